//! The planted bugs of this crate, live only in the `mutants` build, one at a time. `tests/one_node.rs` must find each of
//! [`ALL`], `tests/burn.rs` each of [`CLUSTER`].

use types::mutants::Mutant;

macro_rules! mutants {
    ($(#[$list_doc:meta])* $list:ident: $($(#[$doc:meta])* $name:ident = $number:literal),* $(,)?) => {
        $($(#[$doc])* pub const $name: Mutant = Mutant($number);)*

        $(#[$list_doc])*
        pub const $list: &[(&str, Mutant)] = &[$((stringify!($name), $name)),*];
    };
}

mutants! {
    /// Every planted bug of the rules of one node, with its name.
    ALL:
    /// A turn takes its timestamp before its rows are loaded.
    TIMESTAMP_BEFORE_LOAD = 101,
    /// Prepare does not register on the other participants.
    PREPARE_DOES_NOT_REGISTER = 102,
    /// An analytic snapshot does not wait for the undecided.
    SNAPSHOT_IGNORES_UNDECIDED = 103,
    /// A reply that only read leaves before what it read is durable.
    READ_REPLY_NOT_HELD = 104,
    /// A commit is acknowledged before it is durable.
    COMMIT_REPLY_NOT_HELD = 105,
    /// BEGIN does not read the other cores' slots.
    BEGIN_IGNORES_SLOTS = 106,
    /// A transaction's timestamp is taken without reading the other cores' slots.
    MINT_IGNORES_SLOTS = 107,
    /// A participant's rows leave before they are durable.
    ANSWER_NOT_HELD = 108,
    /// Held outputs, Apply among them, leave in reverse.
    APPLY_OUT_OF_ORDER = 109,
    /// Prepare answers without the floors that snapshots raised.
    PREPARE_IGNORES_SNAPSHOTS = 110,
    /// Prepare answers without the timestamps of reads.
    PREPARE_IGNORES_READS = 111,
    /// Commit and Apply do not raise the clock.
    COMMIT_DOES_NOT_RAISE_CLOCK = 112,
    /// Timestamps are minted without a reservation.
    MINT_WITHOUT_RESERVATION = 113,
    /// The slot does not show commits.
    SLOT_IGNORES_COMMITS = 114,
    /// A read at a snapshot does not wait for the undecided.
    READ_IGNORES_UNDECIDED = 115,
    /// A read at a snapshot does not wait for the decided that are still open.
    READ_IGNORES_OPEN = 116,
    /// Apply is sent before the record is durable.
    APPLY_NOT_HELD = 117,
    /// A turn queues only until the registered transaction is decided.
    TURN_QUEUES_UNTIL_DECIDED = 118,
    /// Validated reads are not validated.
    NO_VALIDATION = 119,
    /// Garbage collection does not know of open snapshots.
    FLOOR_IGNORES_SNAPSHOTS = 120,
    /// A read below the history floor is answered.
    READ_BELOW_FLOOR = 121,
    /// A participant that only writes answers without queueing.
    BLIND_WRITE_SKIPS_QUEUE = 122,
    /// The home core applies its own part only when the record is durable.
    HOME_APPLIES_LATE = 123,
    /// Clock and slot start at zero after a restart.
    START_IGNORES_FLOOR = 124,
    /// A read at a snapshot does not raise the clock.
    READ_DOES_NOT_RAISE_CLOCK = 125,
    /// An announced snapshot does not raise the clock.
    ANNOUNCE_DOES_NOT_RAISE_CLOCK = 126,
    /// A view is frozen before the log is durable through it.
    FREEZE_NOT_HELD = 127,
    /// A read at a snapshot leaves before what it read is durable.
    SNAPSHOT_READ_NOT_HELD = 128,
    /// An analytic snapshot does not wait for the decided that are still open.
    SNAPSHOT_IGNORES_OPEN = 129,
    /// Ranges do not conflict.
    RANGE_DOES_NOT_CONFLICT = 131,
    /// Schema versions are not checked.
    SCHEMA_NOT_CHECKED = 132,
    /// Commit(t) answers when the conflicting are decided, though some below t are not applied.
    COMMIT_ANSWERS_BEFORE_APPLIED = 133,
    /// The home core logs before all participants have answered.
    LOG_BEFORE_ANSWERS = 134,
    /// The last change of a slice is not noted when another core's record is applied.
    CHANGE_NOT_NOTED = 136,
    /// A participant is released when it has answered.
    RELEASE_AT_ANSWER = 137,
    /// An output that observed a schema version is not held until that is durable.
    SCHEMA_NOT_HELD = 139,
    /// A transaction gives up its tokens before its files are installed.
    INSTALL_NOT_AWAITED = 140,
    /// An absence behind an undurable tombstone is not held back.
    ABSENCE_NOT_HELD = 138,
}

mutants! {
    /// Every planted bug of the rules of several nodes, with its name.
    CLUSTER:
    /// A replica votes for a timestamp below a conflicting one.
    VOTE_BELOW_CONFLICTS = 151,
    /// A replica accepts below its promise.
    ACCEPT_IGNORES_PROMISE = 152,
    /// Accepting a timestamp adds no dependencies.
    ACCEPT_ADDS_NO_DEPS = 153,
    /// Dependencies found while accepting count as witnessed.
    EXTRA_DEPS_ARE_EVIDENCE = 154,
    /// A transaction executes before its dependencies.
    EXECUTE_WITHOUT_WAITING = 155,
    /// Recovery does not promise its ballot.
    RECOVERY_DOES_NOT_PROMISE = 156,
    /// Recovery ignores committed transactions that began before.
    RECOVERY_IGNORES_EARLIER_COMMITTED = 157,
    /// Recovery ignores accepted transactions that began after.
    RECOVERY_IGNORES_LATER_ACCEPTED = 158,
    /// Recovery does not wait for earlier undecided transactions.
    RECOVERY_DOES_NOT_WAIT = 159,
    /// Recovery ignores electors that did not vote.
    RECOVERY_IGNORES_REJECTIONS = 160,
    /// A slow quorum of votes decides on the fast path.
    FAST_QUORUM_TOO_SMALL = 161,
    /// Slow-path dependencies are used before they survive.
    NO_STABILISE = 162,
    /// The client is answered before every range has executed.
    ANSWER_WITHOUT_ALL_RANGES = 163,
    /// Messages leave before what they say is durable.
    SEND_BEFORE_DURABLE = 164,
    /// A replica accepts to invalidate below its promise.
    INVALIDATE_IGNORES_PROMISE = 165,
    /// A replica commits below its promise.
    COMMIT_IGNORES_PROMISE = 166,
    /// A promise for an unknown transaction is not kept.
    UNKNOWN_IS_NOT_PROMISED = 167,
    /// A replica that first hears of a transaction from a recovery votes for it.
    RECOVERY_VOTES = 168,
    /// Recovery ignores accepted sync points.
    RECOVERY_IGNORES_SYNC_POINTS = 169,
    /// Recovery ignores what was let go of.
    RECOVERY_IGNORES_SETTLED = 170,
    /// An earlier transaction that is only accepted testifies.
    ACCEPTED_EARLIER_TESTIFIES = 171,
    /// A transaction that executes before testifies.
    EXECUTED_BEFORE_TESTIFIES = 172,
    /// Of two accepted proposals any is taken.
    BALLOT_DOES_NOT_RANK = 173,
    /// A recovery proposes other dependencies than were accepted.
    ACCEPTED_DEPS_IGNORED = 174,
    /// Dependencies of a range that nobody holds are taken for agreed.
    MISSING_DEPS_ASSUMED = 175,
    /// Dependencies that were found while accepting are not agreed on.
    EXTRA_DEPS_DROPPED = 176,
    /// A sync point lets later ones below it begin.
    SYNC_POINT_DOES_NOT_REJECT = 177,
    /// A sync point is applied before those below it that execute above it.
    SYNC_POINT_PASSES_LATER = 178,
    /// A coordinator goes on though a sync point was there first.
    REJECTION_IGNORED = 180,
    /// What was let go of is taken for new.
    GONE_IS_NEW = 181,
    /// What every replica has applied leaves no trace on its tokens.
    SETTLED_LEAVES_NO_TRACE = 182,
    /// A transaction is let go of when one of its ranges has applied it everywhere.
    ONE_RANGE_IS_ENOUGH = 183,
    /// Most replicas are taken for all.
    MAJORITY_IS_UNIVERSAL = 184,
    /// A snapshot may be below what was acknowledged before.
    SNAPSHOT_BELOW_ACKNOWLEDGED = 186,
    /// Promises and acceptances are not logged.
    BALLOTS_NOT_LOGGED = 187,
    /// Replicas outside the electorate vote.
    NON_ELECTORS_VOTE = 188,
    /// Nobody sees to the end of what others wait for.
    BLOCKERS_NOT_WATCHED = 189,
    /// The home range does not see to a transaction's end.
    HOME_DOES_NOT_WATCH = 190,
    /// A time of execution that is agreed on releases nobody.
    COMMITTED_DOES_NOT_UNBLOCK = 191,
    /// Dependencies leave out what nothing is accepted of.
    DEPS_OMIT_UNDECIDED = 192,
    /// What a sync point lets go of leaves no trace on its tokens.
    EXPUNGED_LEAVES_NO_TRACE = 193,
    /// Timestamps are minted again after a restart.
    RESERVATION_FORGOTTEN = 185,
}
