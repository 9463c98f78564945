//! The table file: a pure function between sorted row versions and bytes, columnar with point access.
//!
//! One file holds one storage table and a range of slices. Rows are sorted by slice, then encoded primary key, then execute_at falling. Nothing here does
//! I/O,
//! reads a clock or knows a thread: a builder gives bytes to append, a reader says which bytes it wants and is handed them.
//!
//! # The file, byte by byte
//!
//! Integers are little-endian. Nothing is aligned: pages are packed, and a reader of a device reads the blocks that cover them.
//!
//! ```text
//! file       | header (8) | row group … | key filter | metadata | trailer (80) |
//! header     | "RFtabl" (6) | format version (2) |
//! row group  pages by column: | column 0: page 0, page 1 … | column 1: page 0 … |        a scan reads one column of the group at once
//!         or pages by rows:   | page 0 of each column | page 1 of each column | … |      a point read is one range
//! page       | crc32c (4) | encoding (1) | flags (1) | row count (2) | payload |          see `page`, `encoding`
//! key filter | see `key_filter` |
//! metadata   | rkyv archive of `record::MetadataRecord` |
//! trailer    | metadata offset, bytes | filter offset, bytes | salt | file bytes |        8 each
//!            | crc32c metadata (4) | crc32c filter (4) | zero (8) |
//!            | format version (2) | zero (2) | crc32c of the trailer (4) | "elbatRF\n" (8) |
//! ```
//! Every checksum starts from a value made of the salt (the file's id) and the offset of what it protects, so that a block of another file, or from another
//! place of
//! this one, does not pass for the right one. The trailer's starts from salt and file length.
//!
//! # Columns
//!
//! The stored columns of the table, in order, dropped ones included, and four hidden ones:
//!
//! | column | type | not stored for a page |
//! |---|---|---|
//! | slice | four-byte integer | whose rows lie in one slice (the key index names it) |
//! | flags | two-byte integer: 1 = tombstone, 2 = same key as the row before | with one version a key and no tombstone |
//! | execute_at: hybrid clock | eight-byte integer | never; the column is absent from sealed files |
//! | execute_at: epoch and node | eight-byte integer | never; the column is absent from sealed files |
//!
//! All columns of a row group have the same page borders. A page of a stored column whose rows are all NULL is not stored. A tombstone row holds the key
//! columns,
//! decoded from its key, and NULL in all others. **Keys are not stored**: the metadata names the key columns and a key is encoded again from their values.
//!
//! Zone maps and statistics count row versions, tombstones included. When a predicate may skip pages is said in [`scan`].
//!
//! # Versions of the format
//!
//! The format version stands in header and trailer. A change that an older program would misread raises it; this program then keeps reading every version
//! that any
//! release wrote (`tests/old_versions.rs` holds a file of each). The field order in `record` and the numbers of encodings and page flags
//! *are*
//! the format.
//!
//! # Performance sketch
//!
//! Scan: one checksum (about 20 GB/s) and one decode pass a page; plain and packed integers decode at memory speed, with no branch a value. Point read: two
//! binary
//! searches in memory (key index, page), then one submission; of the columns that do not take part in the search a single value is decoded.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod bitmap;
mod builder;
mod column;
mod compaction;
mod encoding;
mod error;
mod fetch;
mod key_filter;
mod key_schema;
mod layout;
mod merge;
mod metadata;
mod open;
mod options;
mod page;
mod point;
mod predicate;
mod reader;
mod record;
mod row_cursor;
mod run;
pub mod scan;
mod selection;
mod sketch;
mod split;
mod version;
mod zone_map;

pub use bitmap::Bitmap;
pub use builder::{FinishedTable, TableBuilder};
pub use column::{ByteArray, ColumnVector, DictionaryArray, Values};
pub use compaction::{GarbageRule, MUTANT_TOMBSTONE_DROPPED_EARLY, VersionMerge};
pub use encoding::Encoding;
pub use error::{ErrorKind, Section, SstableError};
pub use fetch::{Fetch, Fetched, Joining};
pub use key_filter::{KeyFilter, MUTANT_FILTER_WITHOUT_LAST_KEY};
pub use key_schema::{KeyRange, KeySchema, KeyShape, KeyVector, Position, PositionRange};
pub use layout::{
    ByteRange, FORMAT_VERSION, HEADER_BYTES, TAIL_BYTES, TRAILER_BYTES, check_header,
};
pub use merge::{MUTANT_MERGE_IGNORES_TIMESTAMP, MergeRun, Span, merge_visible};
pub use metadata::{ColumnStatistics, FileColumn, GroupSummary, Metadata, PageId};
pub use open::{Opened, Opening, open, tail_range};
pub use options::{ColumnSpec, LayoutChoice, TableOptions, TableShape, Versioning};
pub use page::{Compression, PageCheck};
pub use point::{MUTANT_POINT_STOPS_AT_FIRST_VERSION, PointQuery, PointRead};
pub use predicate::{Comparison, Outcome, Predicate};
pub use reader::verify_pages;
pub use row_cursor::GroupRows;
pub use run::{RunCursor, SortedRun};
pub use scan::{FetchPlan, GroupPlan, Overlap, ScanRequest};
pub use selection::Selection;
pub use split::splits;
pub use version::{RowContent, RowVersion, VersionSource};
pub use zone_map::{MUTANT_ZONE_OFF_BY_ONE, Zone};
