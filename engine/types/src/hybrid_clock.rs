//! The hybrid logical clock as a pure function of (highest timestamp seen, wall clock, minting core).
//!
//! Invariant: every minted timestamp is above everything minted or received before on this core, whatever the wall clock does.

use crate::Timestamp;

/// One core's clock. The wall clock is an argument: it may step, stop or run backwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HybridClock {
    highest: Timestamp,
    node: u32,
}

impl HybridClock {
    /// A clock that mints for `node` and starts above `floor`.
    pub const fn new(node: u32, floor: Timestamp) -> HybridClock {
        HybridClock { highest: floor, node }
    }

    /// The highest timestamp minted or received.
    pub const fn highest(&self) -> Timestamp {
        self.highest
    }

    /// Raises the clock to a received timestamp.
    pub fn receive(&mut self, timestamp: Timestamp) {
        if timestamp > self.highest {
            self.highest = timestamp;
        }
    }

    /// Mints a timestamp above everything seen; follows `wall_micros` when it is ahead.
    pub fn mint(&mut self, wall_micros: u64) -> Timestamp {
        let hlc = wall_micros.max(self.highest.hlc() + 1);
        let minted = Timestamp::new(self.highest.epoch(), hlc, self.node);
        assert!(minted > self.highest, "a clock never goes back");
        self.highest = minted;
        minted
    }
}

#[cfg(test)]
mod tests {
    use super::HybridClock;
    use crate::Timestamp;

    #[test]
    fn never_goes_back() {
        let mut clock = HybridClock::new(7, Timestamp::ZERO);
        let first = clock.mint(100);
        let second = clock.mint(50);
        assert!(second > first);
        clock.receive(Timestamp::new(0, 1_000, 9));
        assert!(clock.mint(60) > Timestamp::new(0, 1_000, 9));
        assert_eq!(clock.mint(5_000).hlc(), 5_000);
    }
}
