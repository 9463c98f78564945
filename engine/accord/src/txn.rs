//! The identity of a transaction.

use core::fmt;

use types::Timestamp;

/// Unique timestamp given to a transaction when it is first registered; never its time of execution by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TxnId(pub Timestamp);

impl fmt::Display for TxnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
