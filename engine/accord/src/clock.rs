//! One core's clock with its durable reservation, and the slot that it publishes.
//!
//! A timestamp that was ever shown must stay in the past after a restart, when the wall clock may be behind. So a core
//! mints only at or below a reservation that is already durable, and clocks and slots start at the largest reservation of
//! any core. What a core receives was minted, so reserved, by another.

use types::Timestamp;
use types::hybrid_clock::HybridClock;
use types::mutants::live;

use crate::mutants;

/// How far ahead of use a reservation reaches.
const RESERVATION_MICROS: u64 = 5_000_000;
/// A reservation is renewed when less than this is left.
const RESERVATION_LEFT_MICROS: u64 = 2_500_000;

/// The time at which an event is handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// This core's wall clock. It may step, stop or run backwards.
    pub wall_micros: u64,
    /// The largest slot of any core, **read after the event was received**.
    pub slots: Timestamp,
}

/// A hybrid clock that never mints above its reservation.
#[derive(Clone, Debug)]
pub(crate) struct ReservedClock {
    hybrid: HybridClock,
    reserved: Timestamp,
    requested: Timestamp,
}

impl ReservedClock {
    /// A clock that mints for `node` above `floor`, with nothing reserved yet.
    pub(crate) const fn new(node: u32, floor: Timestamp) -> ReservedClock {
        ReservedClock { hybrid: HybridClock::new(node, floor), reserved: floor, requested: floor }
    }

    /// The highest timestamp minted or received.
    pub(crate) const fn highest(&self) -> Timestamp {
        self.hybrid.highest()
    }

    /// Raises the clock to a received timestamp.
    pub(crate) fn receive(&mut self, timestamp: Timestamp) {
        self.hybrid.receive(timestamp);
    }

    fn next_hlc(&self, wall_micros: u64) -> u64 {
        wall_micros.max(self.hybrid.highest().hlc() + 1)
    }

    /// Whether the next timestamp is inside the reservation.
    pub(crate) fn can_mint(&self, wall_micros: u64) -> bool {
        live(mutants::MINT_WITHOUT_RESERVATION) || self.next_hlc(wall_micros) <= self.reserved.hlc()
    }

    /// The next timestamp.
    ///
    /// # Panics
    /// If it would be above the reservation: ask [`ReservedClock::can_mint`] first.
    pub(crate) fn mint(&mut self, wall_micros: u64) -> Timestamp {
        assert!(self.can_mint(wall_micros), "a timestamp is minted within its reservation");
        self.hybrid.mint(wall_micros)
    }

    /// What to reserve now, if the reservation runs out and none is under way.
    pub(crate) fn wanted_reservation(&mut self, wall_micros: u64) -> Option<Timestamp> {
        if live(mutants::MINT_WITHOUT_RESERVATION) || self.requested > self.reserved {
            return None;
        }
        let next = self.next_hlc(wall_micros);
        if next.saturating_add(RESERVATION_LEFT_MICROS) <= self.reserved.hlc() {
            return None;
        }
        let epoch = self.hybrid.highest().epoch();
        self.requested = Timestamp::new(epoch, next + RESERVATION_MICROS, u32::MAX);
        Some(self.requested)
    }

    /// A reservation is durable.
    pub(crate) fn reserved(&mut self, through: Timestamp) {
        self.reserved = self.reserved.max(through);
    }
}

#[cfg(test)]
mod tests {
    use types::Timestamp;

    use super::{RESERVATION_MICROS, ReservedClock};

    #[test]
    fn mints_only_what_is_reserved() {
        let mut clock = ReservedClock::new(3, Timestamp::new(0, 50, 0));
        assert!(!clock.can_mint(10));
        let through = clock.wanted_reservation(10).expect("nothing is reserved yet");
        assert_eq!(clock.wanted_reservation(10), None, "one request at a time");
        clock.reserved(through);
        assert_eq!(clock.mint(10), Timestamp::new(0, 51, 3));
        assert!(clock.can_mint(51 + RESERVATION_MICROS));
        assert!(!clock.can_mint(52 + RESERVATION_MICROS));
        clock.receive(through);
        assert!(!clock.can_mint(0));
        let next = clock.wanted_reservation(0).expect("the clock reached the reservation");
        assert!(next > through);
    }
}
