//! One version of one row, and sources that give versions in order: slice, key, execute_at falling.

use types::{SliceId, Timestamp};

/// What a row version holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowContent<'a> {
    /// The row's bytes (`types::row`).
    Row(&'a [u8]),
    /// The row was deleted.
    Tombstone,
}

/// A row version with its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowVersion<'a> {
    /// Slice.
    pub slice: SliceId,
    /// Encoded key.
    pub key: &'a [u8],
    /// When it took effect.
    pub execute_at: Timestamp,
    /// The row, or that it was deleted.
    pub content: RowContent<'a>,
}

/// A sorted source of row versions that is read from front to back.
pub trait VersionSource {
    /// Why going on failed.
    type Error;

    /// The version at which the source stands; nothing at its end.
    fn head(&self) -> Option<RowVersion<'_>>;

    /// Goes on to the next version.
    ///
    /// # Errors
    /// If the source cannot be read.
    fn advance(&mut self) -> Result<(), Self::Error>;
}
