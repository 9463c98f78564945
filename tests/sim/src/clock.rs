//! The clocks of a node: monotonic time is virtual time; the wall clock drifts against it, and steps when told.

use std::sync::Arc;

use platform::{Clock, MonotonicNanos};

use crate::machine::Machine;

/// What the wall clock shows at the start of every world: the same, so a restart is a step back.
const WALL_MICROS_AT_START: u64 = 1_700_000_000_000_000;

/// The wall clock's error.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct WallError {
    /// Parts in a million that it is too fast.
    pub(crate) drift: i64,
    /// Microseconds by which it was stepped.
    pub(crate) offset: i64,
}

pub(crate) struct SimClock(pub(crate) Arc<Machine>);

impl Clock for SimClock {
    fn wall_micros(&self) -> u64 {
        let state = self.0.lock();
        let passed = i64::try_from(state.now / 1000).expect("no run lasts for ages");
        let error = passed / 1_000_000 * state.wall.drift + state.wall.offset;
        WALL_MICROS_AT_START.saturating_add_signed(passed + error)
    }

    fn monotonic(&self) -> MonotonicNanos {
        MonotonicNanos(self.0.lock().now)
    }
}
