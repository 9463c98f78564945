//! What a workload sees of the rows that its footprint names.

use alloc::borrow::Cow;

use types::Timestamp;

/// One version of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowVersion<'a> {
    /// When it was written; its name in validation.
    pub execute_at: Timestamp,
    /// The encoded row.
    pub row: Cow<'a, [u8]>,
}

/// Is shown rows: key, execute_at, row.
pub type RowVisitor<'a> = dyn FnMut(&[u8], Timestamp, &[u8]) + 'a;

/// The rows of a footprint as they are when the transaction takes effect. Only entries declared as read may be asked for;
/// indexes are those that [`crate::Footprint::point`] and [`crate::Footprint::range`] returned.
///
/// A workload may be evaluated more than once, with rows missing, before one result counts; so it must be a function of
/// the view.
pub trait View {
    /// The row of a point, if there is one.
    fn point(&self, point: usize) -> Option<RowVersion<'_>>;

    /// Visits the rows of a range in (slice, key) order: key, execute_at, row.
    fn range(&self, range: usize, visit: &mut RowVisitor<'_>);

    /// The highest execute_at of any change in the slices that a range covers, as far as this start of the node knows.
    fn changed_at(&self, range: usize) -> Timestamp;
}
