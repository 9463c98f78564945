//! Whether what an interactive transaction was shown is still so when it commits.

use alloc::vec::Vec;

use types::Timestamp;
use types::mutants::live;

use crate::mutants;
use crate::view::View;
use crate::workload::Abort;

/// What a client was shown of one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// This version.
    Version(Timestamp),
    /// Only that there is a row: an update deferred to COMMIT.
    Present,
    /// That there is no row.
    Absent,
}

/// The validated reads of an interactive transaction; workloads call [`Validation::check`] first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Validation {
    /// Index among the footprint's points, and what was shown.
    pub points: Vec<(usize, Expected)>,
    /// Index among the footprint's ranges, and the snapshot at which it was read.
    pub ranges: Vec<(usize, Timestamp)>,
}

impl Validation {
    /// # Errors
    /// The first entry that has changed.
    pub fn check(&self, view: &dyn View) -> Result<(), Abort> {
        if live(mutants::NO_VALIDATION) {
            return Ok(());
        }
        for (point, expected) in &self.points {
            let found = view.point(*point).map(|version| version.execute_at);
            let holds = match expected {
                Expected::Version(execute_at) => found == Some(*execute_at),
                Expected::Present => found.is_some(),
                Expected::Absent => found.is_none(),
            };
            if !holds {
                return Err(Abort::PointChanged(*point));
            }
        }
        for (range, snapshot) in &self.ranges {
            if view.changed_at(*range) > *snapshot {
                return Err(Abort::RangeChanged(*range));
            }
        }
        Ok(())
    }
}
