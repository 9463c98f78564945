//! What one shard contributes to a snapshot of one table.
//!
//! Sources of a part may hold versions of the same keys: files of different levels, frozen rows, own writes. Where their positions do not overlap, each can be
//! scanned alone; where they do, `sstable::merge_visible` chooses. Rows of frozen runs may lie above the snapshot's timestamp, and files too: a reader filters
//! by execute_at ≤ timestamp, always.

use crate::error::BlockError;
use sstable::{ByteRange, Metadata, PositionRange, ScanRequest, SortedRun};
use std::fmt::Debug;
use std::sync::Arc;
use types::{ShardId, SliceId, SstableId, Timestamp};

/// Slices `first ..= last`; a shard's are always neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SliceRange {
    /// The first.
    pub first: SliceId,
    /// The last, included.
    pub last: SliceId,
}

impl SliceRange {
    /// Whether a slice is one of them.
    pub fn contains(self, slice: SliceId) -> bool {
        (self.first..=self.last).contains(&slice)
    }

    /// All positions in these slices.
    pub fn positions(self) -> PositionRange {
        PositionRange::of_slices(self.first, self.last)
    }
}

/// Reads bytes of one pinned table file, on a background core.
pub trait BlockSource: Send + Sync + Debug {
    /// Reads all ranges in one deeply queued submission, paced, and blocks until they are there: one buffer a range, of its exact length, in order.
    /// Checksums are the reader's to check.
    ///
    /// # Errors
    /// If one of them cannot be read.
    fn read(&self, ranges: &[ByteRange]) -> Result<Vec<Arc<[u8]>>, BlockError>;
}

/// Rows of a memtable, frozen: part of its chunks up to a published length.
pub trait FrozenRows: Send + Sync + Debug {
    /// Number of row versions; known without sorting.
    fn row_count(&self) -> usize;

    /// Bytes of the rows; known without sorting.
    fn byte_count(&self) -> usize;

    /// The versions, sorted. Made once, by whoever asks first, on its own core, and shared from then on. Several calls at once are fine.
    fn run(&self) -> Arc<SortedRun>;
}

/// Keeps files and chunks from deletion until it is dropped.
pub trait SnapshotPin: Send + Sync + Debug {}

/// A table file that stays until the snapshot is dropped.
#[derive(Clone, Debug)]
pub struct PinnedFile {
    /// Which file.
    pub sstable_id: SstableId,
    /// Its metadata, shared with the shard.
    pub metadata: Arc<Metadata>,
    /// The slices of this part. A file may span slices of several shards; rows outside belong to another part.
    pub slices: SliceRange,
    /// Execute_at of all rows of a file sealed by a bulk write: what the version edit that published it says.
    pub published_at: Option<Timestamp>,
    /// Reads its bytes.
    pub blocks: Arc<dyn BlockSource>,
}

/// What one shard contributes.
#[derive(Clone, Debug)]
pub struct Part {
    /// The shard.
    pub shard: ShardId,
    /// The slices that it owns.
    pub slices: SliceRange,
    /// Its files of the table, newest source first.
    pub files: Vec<PinnedFile>,
    /// Frozen rows of its memtables, newest first.
    pub frozen: Vec<Arc<dyn FrozenRows>>,
    /// Keeps all of it; shared by the clones of this part.
    pub pin: Arc<dyn SnapshotPin>,
}

impl PinnedFile {
    /// A request for everything that a snapshot at `at` sees of this file's own slices, to be narrowed by the caller.
    pub fn request(&self, at: Timestamp) -> ScanRequest {
        ScanRequest {
            positions: self.slices.positions(),
            published_at: self.published_at,
            ..ScanRequest::everything(at)
        }
    }
}
