//! The metadata as it lies in the file: archived with rkyv. Field order, flags and layouts are the disk format.

use alloc::vec::Vec;
use rkyv::{Archive, Deserialize, Serialize};

/// A page holds tombstones.
pub(crate) const PAGE_TOMBSTONES: u8 = 1;
/// A page holds more than one version of some key.
pub(crate) const PAGE_VERSIONS: u8 = 2;
/// The first row of a page is a further version of the last key of the page before.
pub(crate) const PAGE_CONTINUES: u8 = 4;
/// The rows of a page lie in more than one slice.
pub(crate) const PAGE_SLICES: u8 = 8;

/// Bit of the hidden flags column: the row is a tombstone.
pub(crate) const ROW_TOMBSTONE: i16 = 1;
/// Bit of the hidden flags column: the row has the key of the row before it.
pub(crate) const ROW_SAME_KEY: i16 = 2;

/// Pages of a column chunk follow each other: scans read one column at once.
pub(crate) const LAYOUT_COLUMNS: u8 = 0;
/// The pages of all columns of the same rows follow each other: a point read is one range.
pub(crate) const LAYOUT_ROWS: u8 = 1;

#[derive(Archive, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub(crate) struct ColumnRecord {
    pub(crate) column_id: u16,
    pub(crate) sql_type: u8,
    pub(crate) distinct_estimate: u64,
    pub(crate) raw_bytes: u64,
}

#[derive(Archive, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyColumnRecord {
    pub(crate) position: u16,
    pub(crate) descending: bool,
    pub(crate) nulls: u8,
}

#[derive(Archive, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub(crate) struct PositionRecord {
    pub(crate) slice: u16,
    pub(crate) key: Vec<u8>,
}

/// One column of one row group. Two bounds a page, then two for the whole chunk.
#[derive(Archive, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ChunkRecord {
    pub(crate) page_bytes: Vec<u32>,
    pub(crate) null_counts: Vec<u32>,
    pub(crate) bound_ends: Vec<u32>,
    pub(crate) bounds: Vec<u8>,
}

#[derive(Archive, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub(crate) struct GroupRecord {
    pub(crate) offset: u64,
    pub(crate) layout: u8,
    pub(crate) first_page: u32,
    pub(crate) page_count: u32,
    pub(crate) row_count: u32,
    pub(crate) lowest_execute_at: (u64, u64),
    pub(crate) highest_execute_at: (u64, u64),
    pub(crate) chunks: Vec<ChunkRecord>,
}

/// A page that begins with further versions of a key: the execute_at of the last version before it.
#[derive(Archive, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub(crate) struct ContinuationRecord {
    pub(crate) page: u32,
    pub(crate) previous: (u64, u64),
}

#[derive(Archive, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub(crate) struct MetadataRecord {
    pub(crate) table_id: u32,
    pub(crate) sealed: bool,
    pub(crate) columns: Vec<ColumnRecord>,
    pub(crate) key: Vec<KeyColumnRecord>,
    pub(crate) row_count: u64,
    pub(crate) key_count: u64,
    pub(crate) tombstone_count: u64,
    pub(crate) lowest_execute_at: (u64, u64),
    pub(crate) highest_execute_at: (u64, u64),
    pub(crate) first: Option<PositionRecord>,
    pub(crate) last: Option<PositionRecord>,
    pub(crate) page_rows: Vec<u16>,
    pub(crate) page_flags: Vec<u8>,
    pub(crate) page_slices: Vec<u16>,
    pub(crate) page_key_ends: Vec<u32>,
    pub(crate) page_keys: Vec<u8>,
    pub(crate) continuations: Vec<ContinuationRecord>,
    pub(crate) groups: Vec<GroupRecord>,
}
