//! Planted bugs of the checker itself. Only the build with `--cfg mutants` contains them; there a number given by the test makes one live in its thread.
//!
//! In the normal build [`live`] is a constant `false`, so nothing of them is left. `tests/planted_bugs.rs` holds a history against each.

/// A planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mutant(pub u32);

macro_rules! mutants {
    ($($(#[$doc:meta])* $name:ident = $number:literal,)*) => {
        $($(#[$doc])* pub const $name: Mutant = Mutant($number);)*
        /// Every planted bug with its name.
        pub const ALL: &[(Mutant, &str)] = &[$(($name, stringify!($name)),)*];
    };
}

mutants! {
    /// Reads do not come before the version that follows the one they saw.
    NO_READ_BEFORE_WRITE = 1,
    /// Appends nobody saw are left out of the order.
    UNSEEN_APPENDS_FORGOTTEN = 2,
    /// A transaction that completed the moment another began counts as before it.
    EQUAL_TIMES_ARE_ORDERED = 3,
    /// An unknown outcome counts as complete when the client gave up.
    UNKNOWN_IS_OVER = 4,
    /// A value of a transaction that failed counts as written.
    FAILED_WRITES_COUNT = 5,
    /// The part of a read that the transaction wrote itself counts as seen from outside.
    OWN_APPENDS_ARE_FOREIGN = 6,
    /// A component is lost when it is found last on the stack.
    LOW_LINK_NOT_PASSED_UP = 7,
    /// Two reads of which neither begins the other are not noticed.
    FORKS_ALLOWED = 8,
    /// A value twice in a list is not noticed.
    DUPLICATES_ALLOWED = 9,
    /// Reads of a transaction whose outcome is unknown are not used once it is seen.
    UNKNOWN_READS_IGNORED = 10,
    /// Real time reaches only the next moment, not those after it.
    MOMENTS_NOT_CHAINED = 11,
    /// A version in the middle of a transaction may be seen by others.
    INTERMEDIATE_READS_ALLOWED = 12,
    /// What an unknown transaction wrote beside what was seen need not have happened.
    UNKNOWN_IS_NOT_ATOMIC = 13,
    /// Replay: a read is not compared beyond its length.
    REPLAY_COMPARES_LENGTHS = 14,
    /// Replay: a range that was read does not come before later writes to it.
    REPLAY_RANGE_BOUNDS_FORGOTTEN = 15,
    /// Online: a list may be shorter than it was at the last quiescent point.
    SHORTER_THAN_SETTLED = 16,
    /// Online: what an unknown transaction read is held against a state later than its own.
    CARRIED_READS_KEPT = 17,
}

#[cfg(mutants)]
std::thread_local! {
    static LIVE: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
}

/// Whether a planted bug is live.
#[cfg(mutants)]
pub fn live(mutant: Mutant) -> bool {
    LIVE.with(|live| live.get() == mutant.0)
}

/// Whether a planted bug is live: never, in this build.
#[cfg(not(mutants))]
pub const fn live(_mutant: Mutant) -> bool {
    false
}

/// Makes one live while a closure runs in this thread.
#[cfg(mutants)]
pub fn with<T>(mutant: Mutant, run: impl FnOnce() -> T) -> T {
    LIVE.with(|live| live.set(mutant.0));
    let result = run();
    LIVE.with(|live| live.set(0));
    result
}
