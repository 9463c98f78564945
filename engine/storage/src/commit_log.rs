//! The commit log: records over checksummed blocks over recycled segments of one file a device, written by cohorts.
//!
//! [`record`] and [`segment`] draw the bytes and are pure, as is [`reader`]; [`writer`] is the group commit over the platform's disk.

pub mod progress;
pub mod reader;
pub mod record;
pub mod segment;
pub mod writer;
