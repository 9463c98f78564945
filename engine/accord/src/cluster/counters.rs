//! What a member has done, for metrics, for benchmark reports, and to show that tests reach the rare cases.

/// Why a recovery went as it did: the rows of the specification's tables 4.4 (what a conflicting transaction says, counted by
/// replicas) and 4.5 (what follows from a quorum, counted by coordinators).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RecoveryRow {
    /// 4.4: began before, executes after, has witnessed it.
    EarlierWitnessed,
    /// 4.4: began before, executes after, has not witnessed it.
    EarlierNotWitnessed,
    /// 4.4: began before and never takes effect.
    EarlierInvalidated,
    /// 4.4: began before, accepted to execute after.
    EarlierAcceptedAfter,
    /// 4.4: began before; proves nothing.
    EarlierSilent,
    /// 4.4: began after; has witnessed it or proves nothing.
    LaterHarmless,
    /// 4.4: began after, accepted or agreed without it.
    LaterNotWitnessed,
    /// 4.4, for what is let go of: something later is applied everywhere, and this is undecided.
    SettledLater,
    /// 4.5: somebody knows that it never takes effect.
    Invalidated,
    /// 4.5: somebody has accepted that it never takes effect.
    AcceptedInvalidate,
    /// 4.5: somebody has its writes.
    Applied,
    /// 4.5: somebody has an agreement that survives.
    Stable,
    /// 4.5: somebody has an agreement.
    Committed,
    /// 4.5: an agreement, and a range where nobody holds its part.
    DepsMissing,
    /// 4.5: somebody has accepted a timestamp.
    Accepted,
    /// 4.5: accepted on one range, and something must be decided first on another.
    AcceptedWaits,
    /// 4.5: a sync point that nobody accepted.
    SyncPointUndecided,
    /// 4.5: a conflicting transaction excludes the fast path.
    Superseded,
    /// 4.5: too many electors did not vote.
    Rejected,
    /// 4.5: something must be decided first.
    Waits,
    /// 4.5: it may have been fast.
    ProposeInitial,
    /// 4.5: nothing is known of it any more, so it can never be decided.
    Truncated,
}

impl RecoveryRow {
    /// Every row with its name.
    pub const ALL: [(&'static str, RecoveryRow); 22] = [
        ("earlier witnessed", RecoveryRow::EarlierWitnessed),
        ("earlier not witnessed", RecoveryRow::EarlierNotWitnessed),
        ("earlier invalidated", RecoveryRow::EarlierInvalidated),
        ("earlier accepted after", RecoveryRow::EarlierAcceptedAfter),
        ("earlier silent", RecoveryRow::EarlierSilent),
        ("later harmless", RecoveryRow::LaterHarmless),
        ("later not witnessed", RecoveryRow::LaterNotWitnessed),
        ("settled later", RecoveryRow::SettledLater),
        ("invalidated", RecoveryRow::Invalidated),
        ("accepted invalidate", RecoveryRow::AcceptedInvalidate),
        ("applied", RecoveryRow::Applied),
        ("stable", RecoveryRow::Stable),
        ("committed", RecoveryRow::Committed),
        ("deps missing", RecoveryRow::DepsMissing),
        ("accepted", RecoveryRow::Accepted),
        ("accepted, waits", RecoveryRow::AcceptedWaits),
        ("sync point undecided", RecoveryRow::SyncPointUndecided),
        ("superseded", RecoveryRow::Superseded),
        ("rejected", RecoveryRow::Rejected),
        ("waits", RecoveryRow::Waits),
        ("propose initial", RecoveryRow::ProposeInitial),
        ("truncated", RecoveryRow::Truncated),
    ];
}

/// Counts since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Transactions decided by a fast quorum of votes.
    pub fast: u64,
    /// Decided at their initial timestamp after a second round.
    pub medium: u64,
    /// Decided at another timestamp.
    pub slow: u64,
    /// Recoveries begun.
    pub recoveries: u64,
    /// Transactions given up by this member.
    pub invalidated: u64,
    /// Sync points applied everywhere.
    pub rounds: u64,
    /// Commands let go of because all replicas have applied them.
    pub settled: u64,
    /// Commands let go of below a sync point.
    pub expunged: u64,
    /// Messages to other cores.
    pub messages: u64,
    /// Entries of the log.
    pub log_entries: u64,
    /// Which rows of the recovery tables were met.
    pub rows: [u64; RecoveryRow::ALL.len()],
}

impl Counters {
    pub(super) const fn meet(&mut self, row: RecoveryRow) {
        self.rows[row as usize] += 1;
    }

    /// Adds another's counts.
    pub fn add(&mut self, other: &Counters) {
        self.fast += other.fast;
        self.medium += other.medium;
        self.slow += other.slow;
        self.recoveries += other.recoveries;
        self.invalidated += other.invalidated;
        self.rounds += other.rounds;
        self.settled += other.settled;
        self.expunged += other.expunged;
        self.messages += other.messages;
        self.log_entries += other.log_entries;
        for (mine, theirs) in self.rows.iter_mut().zip(other.rows) {
            *mine += theirs;
        }
    }
}
