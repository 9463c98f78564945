//! Planted bugs. Only the build with `--cfg mutants` contains them; there a number given by the test makes one live.
//!
//! A planted bug is written `if mutants::live(mutants::SOME_NAME) { wrong } else { right }`. In the normal build [`live`] is a constant `false`, so
//! nothing of it remains in the shipped program.

/// The number of a planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mutant(pub u32);

#[cfg(mutants)]
static LIVE: core::sync::atomic::AtomicU32 = core::sync::atomic::AtomicU32::new(0);

/// Whether the planted bug is live. Always `false` in the shipped program.
#[cfg(mutants)]
pub fn live(mutant: Mutant) -> bool {
    LIVE.load(core::sync::atomic::Ordering::Relaxed) == mutant.0
}

/// Whether the planted bug is live. Always `false` in the shipped program.
#[cfg(not(mutants))]
#[inline(always)]
pub const fn live(_mutant: Mutant) -> bool {
    false
}

/// Makes one planted bug live, and every other one not; zero makes none live.
#[cfg(mutants)]
pub fn set_live(number: u32) {
    LIVE.store(number, core::sync::atomic::Ordering::Relaxed);
}
