//! One file a subcommand.

pub mod demo;
pub mod inspect;
pub mod load;
pub mod scan;
pub mod serve;
