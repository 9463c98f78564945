//! Messages and log entries as bytes. Each begins with the version byte of its format and has one form only.
//!
//! ```text
//! message    version (1) | range | id (16) | kind (1) | fields of the kind
//! log entry  version (1, from 0x81) | kind (1) | range | id (16) | which fields (1) | fields
//! deps       count | { epoch less the one before, hlc (less the one before if of one epoch), core }* | count of unstable | their indices
//! ```
//! Numbers are varints; what may be absent follows a byte that says whether it is there. Decoding never panics and allocates no more than a small multiple
//! of the bytes; what a transaction does is decoded by the environment's [`WorkloadCodec`].

use alloc::sync::Arc;
use alloc::vec::Vec;

use types::Timestamp;
use types::codec::{Decoder, Encoder};

use super::command::Change;
use super::deps::{Deps, Evidence};
use super::member::LogEntry;
use super::message::{Agreement, Answer, Known, Message, Proposal, RecoveryVote, Request};
use super::replica::Bounds;
use super::status::{Ballot, Durability, Status};
use super::topology::RangeId;
use super::transaction::Transaction;
use crate::footprint::Footprint;
use crate::rows::Rows;
use crate::txn::TxnId;
use crate::workload::{Record, WorkloadCodec, WorkloadDecodeError};

const MESSAGE_FORMAT: u8 = 1;
/// Apart from those of messages, so that neither is taken for the other.
const LOG_FORMAT: u8 = 0x81;

/// What decoding needs to know.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Decodes what transactions do.
    pub workloads: &'a dyn WorkloadCodec,
    /// Ranges of the topology; their ids are below this.
    pub ranges: u16,
}

type Result<T> = core::result::Result<T, WorkloadDecodeError>;

/// Appends a message about a transaction on a range.
pub fn encode_message(range: RangeId, txn_id: TxnId, message: &Message, out: &mut Vec<u8>) {
    let mut to = Writer(Encoder::after(core::mem::take(out)));
    to.0.u8(MESSAGE_FORMAT);
    to.range(range);
    to.timestamp(txn_id.0);
    match message {
        Message::Request(request) => to.request(request),
        Message::Answer { ballot, answer } => to.answer(*ballot, answer),
    }
    *out = to.0.into_bytes();
}

/// Reads what [`encode_message`] appended; nothing may follow.
///
/// # Errors
/// Bytes that it does not make, another format, a range that there is not; a workload that this program does not know.
pub fn decode_message(bytes: &[u8], context: Context<'_>) -> Result<(RangeId, TxnId, Message)> {
    let mut from = Reader { decoder: Decoder::new(bytes), context };
    from.format(MESSAGE_FORMAT, "message format")?;
    let (range, txn_id) = (from.range()?, from.txn_id()?);
    let message = from.message()?;
    from.decoder.finish()?;
    Ok((range, txn_id, message))
}

/// Appends a log entry.
pub fn encode_entry(entry: &LogEntry, out: &mut Vec<u8>) {
    let mut to = Writer(Encoder::after(core::mem::take(out)));
    to.0.u8(LOG_FORMAT);
    match entry {
        LogEntry::Change { range, txn_id, change } => {
            to.0.u8(0);
            to.range(*range);
            to.timestamp(txn_id.0);
            to.change(change);
        }
        LogEntry::Bounds { range, bounds } => {
            to.0.u8(1);
            to.range(*range);
            to.timestamp(bounds.rejected_below.0);
            to.timestamp(bounds.applied_below.0);
            to.timestamp(bounds.highest);
        }
        LogEntry::Universal { range, sync_point } => {
            to.0.u8(2);
            to.range(*range);
            to.timestamp(sync_point.0);
        }
        LogEntry::Reserve { through } => {
            to.0.u8(3);
            to.timestamp(*through);
        }
    }
    *out = to.0.into_bytes();
}

/// Reads what [`encode_entry`] appended; nothing may follow.
///
/// # Errors
/// As [`decode_message`].
pub fn decode_entry(bytes: &[u8], context: Context<'_>) -> Result<LogEntry> {
    let mut from = Reader { decoder: Decoder::new(bytes), context };
    from.format(LOG_FORMAT, "log entry format")?;
    let error = from.decoder.invalid("kind of log entry");
    let entry = match from.decoder.u8()? {
        0 => LogEntry::Change {
            range: from.range()?,
            txn_id: from.txn_id()?,
            change: from.change()?,
        },
        1 => {
            let range = from.range()?;
            let (rejected_below, applied_below) = (from.txn_id()?, from.txn_id()?);
            let highest = from.timestamp()?;
            let bounds = Bounds { rejected_below, applied_below, highest };
            LogEntry::Bounds { range, bounds }
        }
        2 => LogEntry::Universal { range: from.range()?, sync_point: from.txn_id()? },
        3 => LogEntry::Reserve { through: from.timestamp()? },
        _ => return Err(error.into()),
    };
    from.decoder.finish()?;
    Ok(entry)
}

struct Writer(Encoder);

impl Writer {
    fn range(&mut self, range: RangeId) {
        self.0.varint(u64::from(range.0));
    }

    fn timestamp(&mut self, timestamp: Timestamp) {
        self.0.u128(timestamp.0);
    }

    fn optional<T>(&mut self, value: Option<&T>, write: impl FnOnce(&mut Writer, &T)) {
        self.0.bool(value.is_some());
        if let Some(value) = value {
            write(self, value);
        }
    }

    fn sized(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = Vec::new();
        write(&mut bytes);
        self.0.var_bytes(&bytes);
    }

    /// What needs no length because it ends by itself.
    fn inline(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = core::mem::take(&mut self.0).into_bytes();
        write(&mut bytes);
        self.0 = Encoder::after(bytes);
    }

    fn transaction(&mut self, transaction: &Transaction) {
        self.0.varint(transaction.route().len() as u64);
        transaction.route().iter().for_each(|range| self.range(*range));
        self.0.bool(transaction.is_sync_point());
        if let (Some(footprint), Some(workload)) = (transaction.footprint(), transaction.workload())
        {
            self.inline(|out| footprint.encode(out));
            self.sized(|out| workload.encode(out));
        }
    }

    fn deps(&mut self, deps: &Deps) {
        self.0.varint(deps.len() as u64);
        let mut before = Timestamp::ZERO;
        for txn_id in deps.iter() {
            let epochs = txn_id.0.epoch() - before.epoch();
            self.0.varint(u64::from(epochs));
            let less = if epochs == 0 { before.hlc() } else { 0 };
            self.0.varint(txn_id.0.hlc() - less);
            self.0.varint(u64::from(txn_id.0.node()));
            before = txn_id.0;
        }
        let unstable = |(index, (_, evidence))| (evidence == Evidence::Unstable).then_some(index);
        let unstable: Vec<usize> =
            deps.iter_with_evidence().enumerate().filter_map(unstable).collect();
        self.0.varint(unstable.len() as u64);
        unstable.iter().for_each(|index| self.0.varint(*index as u64));
    }

    fn ids(&mut self, ids: &[TxnId]) {
        self.0.varint(ids.len() as u64);
        ids.iter().for_each(|txn_id| self.timestamp(txn_id.0));
    }

    fn agreement(&mut self, agreement: &Agreement) {
        self.timestamp(agreement.execute_at);
        self.deps(&agreement.deps);
    }

    fn record(&mut self, record: &Record) {
        self.inline(|out| record.encode(out));
    }

    fn change(&mut self, change: &Change) {
        self.optional(change.status.as_ref(), |to, (status, voted)| {
            to.0.u8(status_code(*status));
            to.0.bool(*voted);
        });
        self.optional(change.ballots.as_ref(), |to, (promised, accepted)| {
            to.timestamp(promised.0);
            to.timestamp(accepted.0);
        });
        self.optional(change.transaction.as_ref(), |to, transaction| to.transaction(transaction));
        self.optional(change.execute_at.as_ref(), |to, execute_at| to.timestamp(*execute_at));
        self.optional(change.deps.as_ref(), Writer::deps);
        self.optional(change.record.as_ref(), |to, record| to.record(record));
        self.optional(change.durability.as_ref(), |to, durability| {
            to.0.u8(durability_code(*durability));
        });
    }

    fn definition(&mut self, transaction: Option<&Arc<Transaction>>) {
        self.optional(transaction, |to, transaction| to.transaction(transaction));
    }

    fn request(&mut self, request: &Request) {
        match request {
            Request::PreAccept { transaction } => {
                self.0.u8(0);
                self.transaction(transaction);
            }
            Request::Accept { ballot, proposal, agreement, transaction } => {
                self.0.u8(1);
                self.timestamp(ballot.0);
                self.0.bool(*proposal == Proposal::Slow);
                self.agreement(agreement);
                self.definition(transaction.as_ref());
            }
            Request::AcceptInvalidate { ballot } => {
                self.0.u8(2);
                self.timestamp(ballot.0);
            }
            Request::Commit { ballot, agreement, transaction } => {
                self.0.u8(3);
                self.timestamp(ballot.0);
                self.agreement(agreement);
                self.definition(transaction.as_ref());
            }
            Request::Read { agreement, transaction } => {
                self.0.u8(4);
                self.agreement(agreement);
                self.definition(transaction.as_ref());
            }
            Request::Apply { agreement, transaction, record } => {
                self.0.u8(5);
                self.agreement(agreement);
                self.definition(transaction.as_ref());
                self.record(record);
            }
            Request::Invalidate => self.0.u8(6),
            Request::Durable { durability } => {
                self.0.u8(7);
                self.0.u8(durability_code(*durability));
            }
            Request::UniversallyApplied => self.0.u8(8),
            Request::Recover { ballot, transaction } => {
                self.0.u8(9);
                self.timestamp(ballot.0);
                self.transaction(transaction);
            }
            Request::PromiseUnknown { ballot } => {
                self.0.u8(10);
                self.timestamp(ballot.0);
            }
        }
    }

    fn answer(&mut self, ballot: Ballot, answer: &Answer) {
        let kind = match answer {
            Answer::PreAccepted { .. } => 32,
            Answer::Rejected => 33,
            Answer::Accepted { .. } => 34,
            Answer::InvalidateAccepted => 35,
            Answer::Committed => 36,
            Answer::Rows(_) => 37,
            Answer::Applied => 38,
            Answer::Recovered(_) => 39,
            Answer::Known(_) => 40,
            Answer::Preempted { .. } => 41,
            Answer::Decided { .. } => 42,
            Answer::Truncated => 43,
            Answer::Insufficient => 44,
        };
        self.0.u8(kind);
        self.optional((ballot > Ballot::ZERO).then_some(&ballot), |to, ballot| {
            to.timestamp(ballot.0);
        });
        match answer {
            Answer::PreAccepted { witnessed, deps } => {
                self.timestamp(*witnessed);
                self.deps(deps);
            }
            Answer::Accepted { extra } => self.deps(extra),
            Answer::Rows(rows) => self.inline(|out| rows.encode(out)),
            Answer::Recovered(vote) => self.vote(vote),
            Answer::Known(known) => {
                self.0.u8(status_code(known.status));
                self.definition(known.transaction.as_ref());
                self.optional(known.agreement.as_ref(), Writer::agreement);
                self.optional(known.record.as_ref(), |to, record| to.record(record));
            }
            Answer::Preempted { promised } => self.timestamp(promised.0),
            Answer::Decided { status, execute_at, deps } => {
                self.0.u8(status_code(*status));
                self.timestamp(*execute_at);
                self.deps(deps);
            }
            Answer::Rejected
            | Answer::InvalidateAccepted
            | Answer::Committed
            | Answer::Applied
            | Answer::Truncated
            | Answer::Insufficient => {}
        }
    }

    fn vote(&mut self, vote: &RecoveryVote) {
        self.0.u8(status_code(vote.status));
        self.timestamp(vote.accepted.0);
        self.timestamp(vote.execute_at);
        self.deps(&vote.deps);
        self.deps(&vote.local_deps);
        self.0.bool(vote.voted);
        self.0.bool(vote.superseded);
        self.ids(&vote.earlier_wait);
        self.ids(&vote.earlier_no_wait);
        self.optional(vote.record.as_ref(), |to, record| to.record(record));
    }
}

const STATUSES: [Status; 9] = [
    Status::NotDefined,
    Status::PreAccepted,
    Status::AcceptedInvalidate,
    Status::Accepted,
    Status::Committed,
    Status::Stable,
    Status::PreApplied,
    Status::Applied,
    Status::Invalidated,
];
const DURABILITIES: [Durability; 3] =
    [Durability::Unknown, Durability::Majority, Durability::Universal];

fn status_code(status: Status) -> u8 {
    STATUSES.iter().position(|known| *known == status).expect("listed") as u8
}

fn durability_code(durability: Durability) -> u8 {
    DURABILITIES.iter().position(|known| *known == durability).expect("listed") as u8
}

struct Reader<'a> {
    decoder: Decoder<'a>,
    context: Context<'a>,
}

impl Reader<'_> {
    fn format(&mut self, known: u8, field: &'static str) -> Result<()> {
        let error = self.decoder.invalid(field);
        if self.decoder.u8()? == known { Ok(()) } else { Err(error.into()) }
    }

    fn range(&mut self) -> Result<RangeId> {
        let error = self.decoder.invalid("range");
        let range = self.decoder.varint("range")?;
        if range < u64::from(self.context.ranges) {
            Ok(RangeId(range as u16))
        } else {
            Err(error.into())
        }
    }

    fn timestamp(&mut self) -> Result<Timestamp> {
        Ok(Timestamp(self.decoder.u128()?))
    }

    fn txn_id(&mut self) -> Result<TxnId> {
        Ok(TxnId(self.timestamp()?))
    }

    fn ballot(&mut self) -> Result<Ballot> {
        Ok(Ballot(self.timestamp()?))
    }

    fn optional<T>(
        &mut self,
        field: &'static str,
        read: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<Option<T>> {
        if self.decoder.bool(field)? { read(self).map(Some) } else { Ok(None) }
    }

    fn status(&mut self) -> Result<Status> {
        let error = self.decoder.invalid("status");
        let code = self.decoder.u8()?;
        Ok(*STATUSES.get(usize::from(code)).ok_or(error)?)
    }

    fn durability(&mut self) -> Result<Durability> {
        let error = self.decoder.invalid("durability");
        let code = self.decoder.u8()?;
        Ok(*DURABILITIES.get(usize::from(code)).ok_or(error)?)
    }

    fn transaction(&mut self) -> Result<Arc<Transaction>> {
        let error = self.decoder.invalid("route");
        let count = self.decoder.var_count(1, "route")?;
        let mut route: Vec<RangeId> = Vec::with_capacity(count);
        for _ in 0..count {
            let range = self.range()?;
            if route.last().is_some_and(|last| *last >= range) {
                return Err(error.into());
            }
            route.push(range);
        }
        if route.is_empty() {
            return Err(error.into());
        }
        if self.decoder.bool("kind of transaction")? {
            return Ok(Arc::new(Transaction::of_route(route, None)));
        }
        let footprint = Footprint::decode(&mut self.decoder)?;
        let workload = self.context.workloads.decode(self.decoder.var_bytes("workload")?)?;
        Ok(Arc::new(Transaction::of_route(route, Some((footprint, workload)))))
    }

    fn definition(&mut self) -> Result<Option<Arc<Transaction>>> {
        self.optional("whether a transaction follows", Self::transaction)
    }

    fn deps(&mut self) -> Result<Deps> {
        let count = self.decoder.var_count(3, "deps")?;
        let mut found: Vec<(TxnId, Evidence)> = Vec::with_capacity(count);
        let mut before = Timestamp::ZERO;
        for _ in 0..count {
            let error = self.decoder.invalid("dependency");
            let epochs = self.decoder.varint_u32("dependency")?;
            let epoch = before.epoch().checked_add(epochs).ok_or(error)?;
            let less = if epochs == 0 { before.hlc() } else { 0 };
            let hlc = self.decoder.varint("dependency")?.checked_add(less).ok_or(error)?;
            let at = Timestamp::new(epoch, hlc, self.decoder.varint_u32("dependency")?);
            if at <= before && !found.is_empty() {
                return Err(error.into());
            }
            found.push((TxnId(at), Evidence::Stable));
            before = at;
        }
        let mut above = None;
        for _ in 0..self.decoder.var_count(1, "unstable deps")? {
            let error = self.decoder.invalid("unstable dependency");
            let index = self.decoder.varint_u32("unstable dependency")?;
            let dep = found.get_mut(index as usize).ok_or(error)?;
            if above.is_some_and(|above| index <= above) {
                return Err(error.into());
            }
            dep.1 = Evidence::Unstable;
            above = Some(index);
        }
        Ok(Deps::of(found))
    }

    fn ids(&mut self, field: &'static str) -> Result<Vec<TxnId>> {
        let count = self.decoder.var_count(16, field)?;
        let mut ids = Vec::with_capacity(count);
        for _ in 0..count {
            ids.push(self.txn_id()?);
        }
        Ok(ids)
    }

    fn agreement(&mut self) -> Result<Agreement> {
        Ok(Agreement { execute_at: self.timestamp()?, deps: self.deps()? })
    }

    fn record(&mut self) -> Result<Arc<Record>> {
        Ok(Arc::new(Record::decode(&mut self.decoder)?))
    }

    fn change(&mut self) -> Result<Change> {
        Ok(Change {
            status: self.optional("whether a status follows", |from| {
                Ok((from.status()?, from.decoder.bool("vote")?))
            })?,
            ballots: self
                .optional("whether ballots follow", |from| Ok((from.ballot()?, from.ballot()?)))?,
            transaction: self.definition()?,
            execute_at: self.optional("whether a timestamp follows", Self::timestamp)?,
            deps: self.optional("whether deps follow", Self::deps)?,
            record: self.optional("whether writes follow", Self::record)?,
            durability: self.optional("whether durability follows", Self::durability)?,
        })
    }

    fn message(&mut self) -> Result<Message> {
        let error = self.decoder.invalid("kind of message");
        let kind = self.decoder.u8()?;
        let request = match kind {
            0 => Request::PreAccept { transaction: self.transaction()? },
            1 => Request::Accept {
                ballot: self.ballot()?,
                proposal: if self.decoder.bool("proposal")? {
                    Proposal::Slow
                } else {
                    Proposal::Medium
                },
                agreement: self.agreement()?,
                transaction: self.definition()?,
            },
            2 => Request::AcceptInvalidate { ballot: self.ballot()? },
            3 => Request::Commit {
                ballot: self.ballot()?,
                agreement: self.agreement()?,
                transaction: self.definition()?,
            },
            4 => Request::Read { agreement: self.agreement()?, transaction: self.definition()? },
            5 => Request::Apply {
                agreement: self.agreement()?,
                transaction: self.definition()?,
                record: self.record()?,
            },
            6 => Request::Invalidate,
            7 => Request::Durable { durability: self.durability()? },
            8 => Request::UniversallyApplied,
            9 => Request::Recover { ballot: self.ballot()?, transaction: self.transaction()? },
            10 => Request::PromiseUnknown { ballot: self.ballot()? },
            32..=44 => return self.answer(kind),
            _ => return Err(error.into()),
        };
        Ok(Message::Request(request))
    }

    fn answer(&mut self, kind: u8) -> Result<Message> {
        let error = self.decoder.invalid("ballot");
        let ballot = self.optional("whether a ballot follows", Self::ballot)?;
        if ballot == Some(Ballot::ZERO) {
            return Err(error.into());
        }
        let ballot = ballot.unwrap_or(Ballot::ZERO);
        let answer = match kind {
            32 => Answer::PreAccepted { witnessed: self.timestamp()?, deps: self.deps()? },
            33 => Answer::Rejected,
            34 => Answer::Accepted { extra: self.deps()? },
            35 => Answer::InvalidateAccepted,
            36 => Answer::Committed,
            37 => Answer::Rows(Rows::decode(&mut self.decoder)?),
            38 => Answer::Applied,
            39 => Answer::Recovered(self.vote()?),
            40 => Answer::Known(Known {
                status: self.status()?,
                transaction: self.definition()?,
                agreement: self.optional("whether an agreement follows", Self::agreement)?,
                record: self.optional("whether writes follow", Self::record)?,
            }),
            41 => Answer::Preempted { promised: self.ballot()? },
            42 => Answer::Decided {
                status: self.status()?,
                execute_at: self.timestamp()?,
                deps: self.deps()?,
            },
            43 => Answer::Truncated,
            _ => Answer::Insufficient,
        };
        Ok(Message::Answer { ballot, answer })
    }

    fn vote(&mut self) -> Result<RecoveryVote> {
        Ok(RecoveryVote {
            status: self.status()?,
            accepted: self.ballot()?,
            execute_at: self.timestamp()?,
            deps: self.deps()?,
            local_deps: self.deps()?,
            voted: self.decoder.bool("vote")?,
            superseded: self.decoder.bool("whether it is superseded")?,
            earlier_wait: self.ids("transactions that are waited for")?,
            earlier_no_wait: self.ids("transactions that are harmless")?,
            record: self.optional("whether writes follow", Self::record)?,
        })
    }
}
