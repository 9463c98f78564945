//! What an operator or a test may choose, validated once. A number that nobody has a reason to change is a constant beside the code that uses it.

use types::limits::SHARDS_MAX;
use types::token::SliceCount;
use types::{ByteCount, KIB, MIB};

use crate::commit_log::segment::SegmentBlocks;

/// Settings of storage. Slice count and segment size count only when a data directory is made; later its own are used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageOptions {
    /// Slices of a new data directory.
    pub slices: SliceCount,
    /// Blocks of a log segment of a new data directory.
    pub segment_blocks: SegmentBlocks,
    /// Segments that each shard starts with; at least two.
    pub segments_per_shard: u32,
    /// Segments to which a shard's part of the log file may grow.
    pub segments_per_shard_max: u32,
    /// A memtable beyond this is frozen and flushed.
    pub memtable_bytes: ByteCount,
    /// Frozen memtables of a shard beyond which writes wait.
    pub frozen_memtables_max: usize,
    /// First chunk of a table in a memtable.
    pub chunk_bytes_first: usize,
    /// Decoded pages that a shard keeps.
    pub block_cache_bytes: ByteCount,
    /// Files of level zero of one table that start a compaction.
    pub level_zero_files: usize,
    /// Bytes of level one of one table and shard; each level below holds ten times as much.
    pub level_one_bytes: ByteCount,
    /// Bytes at which a compaction ends a file.
    pub file_bytes: ByteCount,
    /// Rows of a row group.
    pub row_group_rows: usize,
    /// Rows of a page.
    pub page_rows: usize,
    /// Bytes of a manifest file before it is written anew.
    pub manifest_bytes: ByteCount,
    /// Bytes of the file that is given up when the disk is full, so that the manifest can be written.
    pub reserve_bytes: ByteCount,
}

impl Default for StorageOptions {
    fn default() -> StorageOptions {
        StorageOptions {
            slices: SliceCount::DEFAULT,
            segment_blocks: SegmentBlocks(4096),
            segments_per_shard: 4,
            segments_per_shard_max: 32,
            memtable_bytes: ByteCount(32 * MIB),
            frozen_memtables_max: 3,
            chunk_bytes_first: 64 * KIB as usize,
            block_cache_bytes: ByteCount(64 * MIB),
            level_zero_files: 4,
            level_one_bytes: ByteCount(64 * MIB),
            file_bytes: ByteCount(64 * MIB),
            row_group_rows: 32 * 1024,
            page_rows: 1024,
            manifest_bytes: ByteCount(512 * KIB),
            reserve_bytes: ByteCount(2 * MIB),
        }
    }
}

/// A setting that cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the storage setting {setting} must be {demand}")]
pub struct OptionError {
    /// Which.
    pub setting: &'static str,
    /// What it must be.
    pub demand: &'static str,
}

impl StorageOptions {
    /// Checks the settings against one another.
    ///
    /// # Errors
    /// The first that cannot be.
    pub fn validate(&self) -> Result<(), OptionError> {
        let demands = [
            (self.segment_blocks.0 >= 2, "segment_blocks", "at least 2"),
            (self.segment_blocks.0 <= 1 << 18, "segment_blocks", "at most 262144"),
            (self.segments_per_shard >= 2, "segments_per_shard", "at least 2"),
            (
                self.segments_per_shard_max >= self.segments_per_shard,
                "segments_per_shard_max",
                "at least segments_per_shard",
            ),
            (self.memtable_bytes.0 >= 4 * KIB, "memtable_bytes", "at least 4 KiB"),
            (self.frozen_memtables_max >= 1, "frozen_memtables_max", "at least 1"),
            (self.level_zero_files >= 2, "level_zero_files", "at least 2"),
            (self.file_bytes.0 >= 4 * KIB, "file_bytes", "at least 4 KiB"),
            (self.row_group_rows >= self.page_rows, "row_group_rows", "at least page_rows"),
            (self.page_rows >= 1, "page_rows", "at least 1"),
            (self.manifest_bytes.0 >= 64 * KIB, "manifest_bytes", "at least 64 KiB"),
        ];
        for (holds, setting, demand) in demands {
            if !holds {
                return Err(OptionError { setting, demand });
            }
        }
        const { assert!(SHARDS_MAX <= 64, "participants are a set of 64 bits") };
        Ok(())
    }
}
