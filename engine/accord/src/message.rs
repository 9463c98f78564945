//! What cores of one node say to each other. Messages from one core to another arrive in order.

use alloc::sync::Arc;

use types::{LogId, Timestamp};

use crate::effect::RequestId;
use crate::footprint::Footprint;
use crate::rows::Rows;
use crate::store::LogPosition;
use crate::txn::TxnId;
use crate::workload::{Abort, Record};

/// What a participant read for a transaction, at its time of execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The rows of its part.
    Rows(Rows),
    /// It cannot take part.
    Refused(Abort),
}

/// One message.
#[derive(Clone, Debug)]
pub enum Message {
    /// Register this transaction on the tokens of your part, and answer without waiting.
    Prepare {
        /// Its identity.
        txn_id: TxnId,
        /// What it touches.
        footprint: Arc<Footprint>,
    },
    /// It is registered; it must execute above `floor`.
    PrepareOk {
        /// Its identity.
        txn_id: TxnId,
        /// Above everything that could conflict, reads included.
        floor: Timestamp,
    },
    /// It executes at `execute_at`: answer when everything before it on your part is done.
    Commit {
        /// Its identity.
        txn_id: TxnId,
        /// When it takes effect.
        execute_at: Timestamp,
    },
    /// Everything before it is done; this is what it reads.
    Executed {
        /// Its identity.
        txn_id: TxnId,
        /// What was read.
        answer: Answer,
    },
    /// It is durable: apply your part. Sent in log order.
    Apply {
        /// Its identity.
        txn_id: TxnId,
        /// Its one record.
        record: Arc<Record>,
        /// The log that holds it.
        log: LogId,
        /// Where.
        position: LogPosition,
    },
    /// It took no effect, or had none to take.
    Release {
        /// Its identity.
        txn_id: TxnId,
    },
    /// What is your clock's highest timestamp? For an analytic snapshot.
    Highest {
        /// The snapshot's request.
        request: RequestId,
    },
    /// This.
    HighestOk {
        /// The snapshot's request.
        request: RequestId,
        /// The highest timestamp that core minted or received.
        highest: Timestamp,
    },
    /// An analytic snapshot is taken at `at`: give out nothing at or below it any more, and freeze.
    Announce {
        /// The snapshot's request.
        request: RequestId,
        /// Its timestamp.
        at: Timestamp,
    },
}
