//! How far a transaction has come on one replica, and which of two replicas knows more.

use types::Timestamp;

/// Names one attempt to decide a transaction; [`Ballot::ZERO`] is its first coordinator's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ballot(pub Timestamp);

impl Ballot {
    /// The first coordinator's.
    pub const ZERO: Ballot = Ballot(Timestamp::ZERO);
}

/// One replica's knowledge of a transaction. Declared in the order in which it grows; a replica skips states but never
/// goes back, except between the accepted ones, which follow their ballot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// The id at most, and perhaps a promise.
    #[default]
    NotDefined,
    /// What it does, and the timestamp that this replica witnessed.
    PreAccepted,
    /// A vote to give it up.
    AcceptedInvalidate,
    /// A vote for a timestamp and dependencies.
    Accepted,
    /// Timestamp and dependencies are agreed; not yet known to survive.
    Committed,
    /// Timestamp and dependencies are agreed and survive any minority's loss.
    Stable,
    /// Its writes are known.
    PreApplied,
    /// Its writes are in the store, and so are those of everything before it.
    Applied,
    /// It never takes effect.
    Invalidated,
}

/// How many replicas have the writes of a transaction in their stores, as its coordinator counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Durability {
    /// Nobody has said.
    #[default]
    Unknown,
    /// A slow quorum of each of its ranges: no minority's loss takes them away, and nobody need see to its end.
    Majority,
    /// Every replica of each of its ranges: nobody will ever wait for it again.
    Universal,
}

/// Coarse steps: inside one, the higher ballot knows more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Nothing was proposed.
    PreAccept,
    /// Something was proposed.
    Accept,
    /// Timestamp and dependencies are agreed.
    Commit,
    /// They survive.
    Execute,
    /// The writes are known.
    Persist,
    /// It never takes effect.
    Ended,
}

impl Status {
    /// Its coarse step.
    pub const fn phase(self) -> Phase {
        match self {
            Status::NotDefined | Status::PreAccepted => Phase::PreAccept,
            Status::AcceptedInvalidate | Status::Accepted => Phase::Accept,
            Status::Committed => Phase::Commit,
            Status::Stable => Phase::Execute,
            Status::PreApplied | Status::Applied => Phase::Persist,
            Status::Invalidated => Phase::Ended,
        }
    }

    /// Whether its time of execution is agreed, or that it has none.
    pub const fn is_decided(self) -> bool {
        matches!(self.phase(), Phase::Commit | Phase::Execute | Phase::Persist | Phase::Ended)
    }

    /// Whether its time of execution is agreed.
    pub const fn is_committed(self) -> bool {
        self.is_decided() && !matches!(self, Status::Invalidated)
    }

    /// Whether nothing remains to be done here.
    pub const fn is_over(self) -> bool {
        matches!(self, Status::Applied | Status::Invalidated)
    }
}

/// Orders what replicas know: by step, then by ballot, then by status (section 2.2 of the specification).
pub const fn knowledge(status: Status, accepted: Ballot) -> (Phase, Ballot, Status) {
    (status.phase(), accepted, status)
}

#[cfg(test)]
mod tests {
    use types::Timestamp;

    use super::{Ballot, Status, knowledge};

    #[test]
    fn the_higher_ballot_wins_inside_a_step_only() {
        let ballot = |number| Ballot(Timestamp(number));
        let invalidate = knowledge(Status::AcceptedInvalidate, ballot(3));
        assert!(invalidate > knowledge(Status::Accepted, ballot(2)));
        assert!(invalidate < knowledge(Status::Accepted, ballot(4)));
        assert!(invalidate < knowledge(Status::Committed, ballot(1)));
    }
}
