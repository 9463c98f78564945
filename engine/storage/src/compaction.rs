//! Compaction: fewer files, fewer versions. [`picker`] chooses a job as a pure function of the version, [`job`] runs it on a background thread,
//! [`pacer`] says how much writers are slowed while debt is high.

pub(crate) mod job;
pub mod pacer;
pub mod picker;
