//! Analytic snapshots as analytics sees them: every shard's frozen part behind the narrow gate (`engine/snapshot`).

use std::sync::Arc;

use accord::SnapshotAt;
use platform::{BlockIo, BlockRead, DISK_ALIGNMENT, DiskError, DiskErrorKind, JobClass};
use snapshot::{
    BlockError, BlockSource, FrozenRows, Part, PinnedFile, ReadAt, SliceRange, Snapshot,
    SnapshotError, SnapshotFuture, SnapshotPin, SnapshotSource, TableSnapshot,
};
use sstable::{ByteRange, SortedRun};
use storage::{FrozenChunk, Pin, TableFile};
use types::schema::TableSchema;
use types::{ByteOffset, ShardId, Timestamp};

use crate::client::ShardClient;
use crate::error::ShardError;
use crate::inbox::WantedTable;

#[derive(Debug)]
struct Held {
    _pin: Pin,
}

impl SnapshotPin for Held {}

#[derive(Debug)]
struct Chunk(FrozenChunk);

impl FrozenRows for Chunk {
    fn row_count(&self) -> usize {
        self.0.row_count()
    }

    fn byte_count(&self) -> usize {
        self.0.byte_count()
    }

    fn run(&self) -> Arc<SortedRun> {
        self.0.run()
    }
}

/// The bytes of one table file, read on a background core.
struct Blocks {
    file: Arc<TableFile>,
    io: Arc<dyn BlockIo>,
}

impl std::fmt::Debug for Blocks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Blocks({})", self.file.id)
    }
}

impl Blocks {
    fn device_error(&self, offset: u64, error: &DiskError) -> BlockError {
        if error.kind() == DiskErrorKind::Cancelled {
            return BlockError::Cancelled;
        }
        let source = std::io::Error::other(error.clone());
        BlockError::Device { sstable_id: self.file.id, offset, source }
    }

    fn short(&self, range: &ByteRange) -> BlockError {
        let source = std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
        BlockError::Device { sstable_id: self.file.id, offset: range.offset, source }
    }
}

/// The aligned blocks that cover a range, and where it begins in them.
fn cover(range: &ByteRange) -> (ByteOffset, usize, usize) {
    let block = DISK_ALIGNMENT as u64;
    let start = range.offset / block * block;
    let end = range.end().next_multiple_of(block);
    (ByteOffset(start), (end - start) as usize, (range.offset - start) as usize)
}

impl BlockSource for Blocks {
    fn read(&self, ranges: &[ByteRange]) -> Result<Vec<Arc<[u8]>>, BlockError> {
        let reads: Vec<BlockRead> = ranges
            .iter()
            .map(|range| {
                let (offset, bytes, _) = cover(range);
                BlockRead { file: self.file.handle.clone(), offset, bytes }
            })
            .collect();
        let first = ranges.first().map_or(0, |range| range.offset);
        let buffers =
            self.io.read_many(&reads).map_err(|error| self.device_error(first, &error))?;
        let mut answers = Vec::with_capacity(ranges.len());
        for (range, buffer) in ranges.iter().zip(&buffers) {
            let (_, _, skip) = cover(range);
            let bytes = buffer.get(skip..skip + range.bytes as usize);
            answers.push(Arc::from(bytes.ok_or_else(|| self.short(range))?));
        }
        Ok(answers)
    }
}

impl ShardClient {
    async fn take_parts(
        &self,
        tables: &[Arc<TableSchema>],
        at: ReadAt,
    ) -> Result<Snapshot, SnapshotError> {
        let wanted = tables.iter().map(|schema| WantedTable {
            table: schema.table_id,
            storage: schema.storage_id,
            version: schema.version,
        });
        let moment = match at {
            ReadAt::Strict | ReadAt::AtLeast(_) => SnapshotAt::Strict,
            ReadAt::Exactly(at) => SnapshotAt::Exactly(at),
        };
        let frozen = self.freeze(wanted.collect(), moment).await;
        let (timestamp, shards) = frozen.map_err(|error| self.refusal(at, error))?;
        let mut taken: Vec<TableSnapshot> = tables
            .iter()
            .map(|schema| TableSnapshot {
                schema: Arc::clone(schema),
                parts: Vec::new(),
                own_writes: None,
            })
            .collect();
        for (shard, of_shard) in shards {
            for (table, frozen) in taken.iter_mut().zip(of_shard) {
                table.parts.push(self.part(shard, frozen));
            }
        }
        Ok(Snapshot { timestamp, tables: taken })
    }

    /// The slices that a shard owns.
    pub fn slices_of(&self, shard: ShardId) -> SliceRange {
        let placement = self.shard().inner.placement;
        let owned = placement.owned(shard);
        let slices = placement.slices();
        SliceRange { first: slices.slice_of(owned.first), last: slices.slice_of(owned.last) }
    }

    /// A table file as analytics reads it.
    pub fn pinned_file(&self, piece: &storage::Piece) -> PinnedFile {
        let (first, last) = piece.entry.slices;
        let io = self.shard().block_io(JobClass::Scan);
        PinnedFile {
            sstable_id: piece.file.id,
            metadata: Arc::clone(&piece.file.metadata),
            slices: SliceRange { first, last },
            published_at: piece.entry.published_at,
            blocks: Arc::new(Blocks { file: Arc::clone(&piece.file), io }),
        }
    }

    fn part(&self, shard: ShardId, frozen: storage::TableSnapshot) -> Part {
        let (first, last) = frozen.slices;
        let files = frozen.pieces.iter().map(|piece| self.pinned_file(piece));
        let chunks = frozen.frozen.chunks();
        Part {
            shard,
            slices: SliceRange { first, last },
            files: files.collect(),
            frozen: chunks.map(|chunk| Arc::new(Chunk(chunk.clone())) as _).collect(),
            pin: Arc::new(Held { _pin: frozen.pin }),
        }
    }

    fn refusal(&self, at: ReadAt, error: ShardError) -> SnapshotError {
        let shard = self.shard().tree().shard();
        let unavailable = |reason| SnapshotError::ShardUnavailable { shard, reason };
        match error {
            ShardError::SnapshotTooOld => {
                let floor = self.shard().tree().floor();
                let asked = match at {
                    ReadAt::Exactly(asked) | ReadAt::AtLeast(asked) => asked,
                    ReadAt::Strict => Timestamp::ZERO,
                };
                SnapshotError::TooOld { asked, floor }
            }
            ShardError::SchemaChanged { table } => SnapshotError::SchemaChanged { table },
            ShardError::Overloaded { .. } => unavailable("too many requests are under way"),
            ShardError::Stopped(_) => unavailable("it has stopped"),
            _ => unavailable("its storage failed"),
        }
    }
}

impl SnapshotSource for ShardClient {
    fn take(&self, tables: &[Arc<TableSchema>], at: ReadAt) -> SnapshotFuture<'_> {
        let tables = tables.to_vec();
        Box::pin(async move { self.take_parts(&tables, at).await })
    }
}
