//! Finer floors than the clock, for planted bugs only.
//!
//! Prepare answers with the core's clock, which is above every conflict. The bugs "Prepare forgets reads" and "Prepare
//! forgets snapshots" need to know what the answer would be without them. In the shipped program nothing of this remains.

use types::Timestamp;

#[cfg(mutants)]
#[derive(Clone, Copy, Debug)]
pub(super) struct Floors {
    writes: Timestamp,
    reads: Timestamp,
    snapshots: Timestamp,
}

#[cfg(mutants)]
impl Floors {
    pub(super) const fn new() -> Floors {
        let none = Timestamp::ZERO;
        Floors { writes: none, reads: none, snapshots: none }
    }

    pub(super) fn note_write(&mut self, at: Timestamp) {
        self.writes = self.writes.max(at);
    }

    pub(super) fn note_read(&mut self, at: Timestamp) {
        self.reads = self.reads.max(at);
    }

    pub(super) fn note_snapshot(&mut self, at: Timestamp) {
        self.snapshots = self.snapshots.max(at);
    }

    pub(super) fn floor(&self, clock: Timestamp) -> Timestamp {
        use crate::mutants;
        use types::mutants::live;
        if live(mutants::PREPARE_IGNORES_READS) {
            self.writes.max(self.snapshots)
        } else if live(mutants::PREPARE_IGNORES_SNAPSHOTS) {
            self.writes.max(self.reads)
        } else {
            clock
        }
    }
}

#[cfg(not(mutants))]
#[derive(Clone, Copy, Debug)]
pub(super) struct Floors;

#[cfg(not(mutants))]
impl Floors {
    pub(super) const fn new() -> Floors {
        Floors
    }

    pub(super) const fn note_write(self, _at: Timestamp) {}

    pub(super) const fn note_read(self, _at: Timestamp) {}

    pub(super) const fn note_snapshot(self, _at: Timestamp) {}

    pub(super) const fn floor(self, clock: Timestamp) -> Timestamp {
        clock
    }
}
