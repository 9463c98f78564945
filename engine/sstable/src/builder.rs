//! Sorted row versions → the bytes of a file.
//!
//! Rows are appended to one column vector each; at the end of a row group every column's pages are encoded, laid out and handed over. Memory is bounded by
//! one row group, eight bytes for each distinct key (the filter) and the metadata. The caller takes finished bytes whenever it likes and appends them to
//! the file; nothing is ever changed afterwards.

use crate::column::ColumnVector;
use crate::error::SstableError;
use crate::key_filter::{KeyFilter, key_hash};
use crate::key_schema::KeySchema;
use crate::layout::{
    ByteRange, GROUP_ZONE_BYTES_MAX, PAGE_ROWS_MAX, PAGE_ZONE_BYTES_MAX, Trailer, header,
    placed_checksum,
};
use crate::metadata::{Metadata, split_timestamp};
use crate::options::{ColumnSpec, LayoutChoice, TableOptions, TableShape, Versioning};
use crate::page::{encode_page, seal};
use crate::record::{
    ChunkRecord, ColumnRecord, ContinuationRecord, GroupRecord, KeyColumnRecord, LAYOUT_COLUMNS,
    LAYOUT_ROWS, MetadataRecord, PAGE_CONTINUES, PAGE_SLICES, PAGE_TOMBSTONES, PAGE_VERSIONS,
    PositionRecord, ROW_SAME_KEY, ROW_TOMBSTONE,
};
use crate::sketch::DistinctSketch;
use crate::version::RowContent;
use crate::zone_map::{Bounds, bounds};
use alloc::vec::Vec;
use core::mem;
use core::ops::Range;
use types::key::Nulls;
use types::row::RowReader;
use types::schema::KeyColumn;
use types::{PhysicalType, SliceId, SqlType, Timestamp};

/// A finished file.
#[derive(Debug)]
pub struct FinishedTable {
    /// The last bytes, to be appended after everything taken before.
    pub bytes: Vec<u8>,
    /// The file as [`crate::open`] would give it.
    pub metadata: Metadata,
}

/// Rows of the page that is being filled.
#[derive(Clone, Copy, Debug, Default)]
struct OpenPage {
    start: usize,
    flags: u8,
    row_bytes: usize,
}

/// Writes one file.
#[derive(Debug)]
pub struct TableBuilder {
    options: TableOptions,
    shape: TableShape,
    types: Vec<SqlType>,
    key_schema: KeySchema,
    record: MetadataRecord,
    /// Stored columns, then slice, flags, and unless sealed time and origin.
    columns: Vec<ColumnVector>,
    sketches: Vec<DistinctSketch>,
    /// Ends of the finished pages of this group.
    page_ends: Vec<usize>,
    page_rows: usize,
    page: OpenPage,
    group_row_bytes: usize,
    group_execute_at: Option<(Timestamp, Timestamp)>,
    last: Option<(SliceId, Vec<u8>, Timestamp)>,
    hashes: Vec<u64>,
    output: Vec<u8>,
    taken_bytes: u64,
}

impl TableBuilder {
    /// An empty file.
    ///
    /// # Panics
    /// If an option is zero, or a key column names no column.
    pub fn new(options: TableOptions, shape: TableShape) -> TableBuilder {
        assert!(options.page_rows > 0, "a page has rows");
        assert!(options.page_rows * 2 <= PAGE_ROWS_MAX, "the rows of a page are bounded");
        assert!(options.group_rows > 0, "a row group has rows");
        let types: Vec<SqlType> = shape.columns.iter().map(|column| column.sql_type).collect();
        let key_schema = KeySchema::new(&shape.key, &types);
        let record = empty_record(&shape);
        let mut builder = TableBuilder {
            options,
            types,
            key_schema,
            record,
            columns: Vec::new(),
            sketches: shape.columns.iter().map(|_| DistinctSketch::default()).collect(),
            shape,
            page_ends: Vec::new(),
            page_rows: options.page_rows,
            page: OpenPage::default(),
            group_row_bytes: 0,
            group_execute_at: None,
            last: None,
            hashes: Vec::new(),
            output: header().to_vec(),
            taken_bytes: 0,
        };
        builder.columns = builder.empty_columns();
        builder
    }

    fn empty_columns(&self) -> Vec<ColumnVector> {
        let hidden: &[PhysicalType] = match self.shape.versioning {
            Versioning::Sealed => &[PhysicalType::Int32, PhysicalType::Int16],
            Versioning::PerRow => &[
                PhysicalType::Int32,
                PhysicalType::Int16,
                PhysicalType::Int64,
                PhysicalType::Int64,
            ],
        };
        let stored = self.types.iter().map(|sql_type| sql_type.physical());
        stored.chain(hidden.iter().copied()).map(ColumnVector::empty).collect()
    }

    /// Rows pushed.
    pub const fn row_count(&self) -> u64 {
        self.record.row_count
    }

    /// Bytes of the file so far, without the open row group.
    pub fn bytes_written(&self) -> u64 {
        self.taken_bytes + self.output.len() as u64
    }

    /// Bytes in memory for rows whose row group is not finished.
    pub const fn pending_row_bytes(&self) -> usize {
        self.group_row_bytes
    }

    /// Whether [`TableBuilder::take_bytes`] has something to give.
    pub const fn has_bytes(&self) -> bool {
        !self.output.is_empty()
    }

    /// Finished bytes, to be appended to the file.
    pub fn take_bytes(&mut self) -> Vec<u8> {
        self.taken_bytes += self.output.len() as u64;
        mem::take(&mut self.output)
    }

    /// Appends a row version. Order: slice, then key, then execute_at falling. `execute_at` is given exactly if the file is not sealed.
    ///
    /// # Errors
    /// If the row's bytes or the key are not of this table.
    ///
    /// # Panics
    /// If the order is broken, a sealed file gets two versions of a key, or the key is not the row's.
    pub fn push(
        &mut self,
        slice: SliceId,
        key: &[u8],
        execute_at: Option<Timestamp>,
        content: RowContent<'_>,
    ) -> Result<(), SstableError> {
        let sealed = self.shape.versioning == Versioning::Sealed;
        assert_eq!(sealed, execute_at.is_none(), "a file is sealed or has timestamps");
        let at = execute_at.unwrap_or(Timestamp::ZERO);
        let mut new_slice = true;
        let mut same_key = false;
        if let Some((last_slice, last_key, last_at)) = &self.last {
            let order = (*last_slice, last_key.as_slice()).cmp(&(slice, key));
            assert!(order.is_le(), "rows come in order of slice and key");
            same_key = order.is_eq();
            assert!(!same_key || *last_at > at, "versions of a key come newest first");
            new_slice = *last_slice != slice;
        }
        let row_bytes = match content {
            RowContent::Row(row) => row.len(),
            RowContent::Tombstone => key.len(),
        };
        self.make_room(same_key, row_bytes);
        self.append_columns(key, content)?;
        self.begin_row(slice, key, at, same_key, new_slice);
        let mut flags = if same_key { ROW_SAME_KEY } else { 0 };
        if content == RowContent::Tombstone {
            flags |= ROW_TOMBSTONE;
            self.page.flags |= PAGE_TOMBSTONES;
            self.record.tombstone_count += 1;
        }
        self.append_hidden(slice, flags, execute_at);
        self.page.row_bytes += row_bytes + 24;
        self.group_row_bytes += row_bytes + 24;
        self.record.row_count += 1;
        Ok(())
    }

    fn rows_in_group(&self) -> usize {
        // The slice column is appended last of all, so it counts whole rows.
        self.columns[self.types.len()].len()
    }

    /// Ends the page, and the row group, if this row belongs to the next.
    fn make_room(&mut self, same_key: bool, row_bytes: usize) {
        let rows = self.rows_in_group() - self.page.start;
        let full = rows >= self.page_rows
            || (rows > 0 && self.page.row_bytes + row_bytes > self.options.page_row_bytes);
        if !full || (same_key && rows < 2 * self.page_rows) {
            return;
        }
        self.end_page();
        if self.rows_in_group() >= self.options.group_rows
            || self.group_row_bytes >= self.options.group_row_bytes
        {
            self.end_group();
        }
    }

    /// Appends to the stored columns. On an error they are as they were.
    fn append_columns(&mut self, key: &[u8], content: RowContent<'_>) -> Result<(), SstableError> {
        let rows = self.rows_in_group();
        let appended = match content {
            RowContent::Row(row) => self.append_row(row),
            RowContent::Tombstone => self.append_tombstone(key),
        };
        if let Err(error) = appended {
            let keep: Vec<u32> = (0..rows as u32).collect();
            for column in self.columns.iter_mut().filter(|column| column.len() > rows) {
                *column = column.gather(&keep);
            }
            return Err(error);
        }
        let first_of_page = rows == self.page.start;
        if (first_of_page || cfg!(debug_assertions)) && matches!(content, RowContent::Row(_)) {
            let columns: Vec<&ColumnVector> =
                self.key_schema.positions().map(|at| &self.columns[usize::from(at)]).collect();
            let mut own = Vec::with_capacity(key.len());
            let made = self.key_schema.append_row_key(&columns, rows, &mut own);
            assert!(made && own == key, "the key given is the row's own");
        }
        Ok(())
    }

    fn append_row(&mut self, row: &[u8]) -> Result<(), SstableError> {
        let damaged = |source| SstableError::Row { source };
        let mut reader = RowReader::new(row).map_err(damaged)?;
        if reader.column_count() > self.types.len() {
            let found = reader.column_count();
            return Err(SstableError::RowTooWide { expected: self.types.len(), found });
        }
        for (position, sql_type) in self.types.iter().enumerate() {
            match reader.next_column(*sql_type).map_err(damaged)? {
                Some(value) => self.columns[position].push_ref(value),
                None => self.columns[position].push_value(&self.shape.columns[position].missing),
            }
        }
        Ok(())
    }

    fn append_tombstone(&mut self, key: &[u8]) -> Result<(), SstableError> {
        let values =
            self.key_schema.decode(key).ok_or_else(|| SstableError::Key { key: key.into() })?;
        for position in 0..self.types.len() {
            match values.iter().find(|(at, _)| usize::from(*at) == position) {
                Some((_, value)) => self.columns[position].push_value(value),
                None => self.columns[position].push_null(),
            }
        }
        Ok(())
    }

    /// Key index, filter, statistics and what the page must remember of this row.
    fn begin_row(
        &mut self,
        slice: SliceId,
        key: &[u8],
        at: Timestamp,
        same_key: bool,
        new_slice: bool,
    ) {
        if self.rows_in_group() == self.page.start {
            let cut = match &self.last {
                Some((_, last, _)) if !new_slice && !same_key => {
                    let common = last.iter().zip(key).take_while(|(a, b)| a == b).count();
                    (common + 1).min(key.len())
                }
                Some(_) if new_slice => 0,
                _ => key.len(),
            };
            if same_key && let Some((_, _, previous)) = &self.last {
                self.page.flags |= PAGE_CONTINUES;
                let page = self.record.page_slices.len() as u32;
                let previous = previous.halves();
                self.record.continuations.push(ContinuationRecord { page, previous });
            }
            self.record.page_slices.push(slice.0);
            self.record.page_keys.extend_from_slice(&key[..cut]);
            let end = u32::try_from(self.record.page_keys.len()).expect("a file is below 4 GiB");
            self.record.page_key_ends.push(end);
        } else {
            if same_key {
                self.page.flags |= PAGE_VERSIONS;
            }
            if new_slice {
                self.page.flags |= PAGE_SLICES;
            }
        }
        if self.record.first.is_none() {
            self.record.first = Some(PositionRecord { slice: slice.0, key: key.to_vec() });
        }
        if !same_key {
            self.record.key_count += 1;
            self.hashes.push(key_hash(key));
        }
        let (lowest, highest) = self.group_execute_at.unwrap_or((at, at));
        self.group_execute_at = Some((lowest.min(at), highest.max(at)));
        match &mut self.last {
            Some((last_slice, last_key, last_at)) => {
                (*last_slice, *last_at) = (slice, at);
                last_key.clear();
                last_key.extend_from_slice(key);
            }
            None => self.last = Some((slice, key.to_vec(), at)),
        }
    }

    fn append_hidden(&mut self, slice: SliceId, flags: i16, execute_at: Option<Timestamp>) {
        use crate::column::Values;
        let stored = self.types.len();
        let [slices, flag_bits, rest @ ..] = &mut self.columns[stored..] else {
            panic!("every file has hidden columns");
        };
        if let (Some(at), [times, origins]) = (execute_at, rest)
            && let (Values::Int64(times), Values::Int64(origins)) =
                (&mut times.values, &mut origins.values)
        {
            let (time, origin) = split_timestamp(at);
            times.push(time);
            origins.push(origin);
        }
        if let Values::Int16(flag_bits) = &mut flag_bits.values {
            flag_bits.push(flags);
        }
        if let Values::Int32(slices) = &mut slices.values {
            slices.push(i32::from(slice.0));
        }
    }

    fn end_page(&mut self) {
        let end = self.rows_in_group();
        let rows = u16::try_from(end - self.page.start).expect("the rows of a page are bounded");
        self.record.page_rows.push(rows);
        self.record.page_flags.push(self.page.flags);
        self.page_ends.push(end);
        self.page = OpenPage { start: end, ..OpenPage::default() };
    }

    /// Encodes the row group's pages and appends them to the output.
    fn end_group(&mut self) {
        let ends = mem::take(&mut self.page_ends);
        let empty = self.empty_columns();
        let columns = mem::replace(&mut self.columns, empty);
        let first_page = self.record.page_rows.len() - ends.len();
        let mut chunks: Vec<ChunkRecord> = Vec::with_capacity(columns.len());
        let mut pages: Vec<Vec<Vec<u8>>> = Vec::with_capacity(columns.len());
        for (slot, column) in columns.iter().enumerate() {
            let (chunk, encoded) = self.encode_chunk(slot, column, &ends, first_page);
            chunks.push(chunk);
            pages.push(encoded);
        }
        let total: usize = pages.iter().flatten().map(Vec::len).sum();
        let by_rows = match self.options.layout {
            LayoutChoice::ByWidth { point_read_bytes } => total <= point_read_bytes * ends.len(),
            LayoutChoice::Columns => false,
            LayoutChoice::Rows => true,
        };
        if let LayoutChoice::ByWidth { point_read_bytes } = self.options.layout {
            let rows = ends.last().copied().unwrap_or(0).max(1);
            self.page_rows =
                fitting_rows(self.options.page_rows, total.div_ceil(rows), point_read_bytes);
        }
        let offset = self.bytes_written();
        self.output.reserve(total);
        if by_rows {
            for page in 0..ends.len() {
                pages.iter_mut().for_each(|chunk| self.append_page(&mut chunk[page]));
            }
        } else {
            pages.iter_mut().flatten().for_each(|page| self.append_page(page));
        }
        let (lowest, highest) = self.group_execute_at.take().expect("a group has rows");
        let first_group = self.record.groups.is_empty();
        if first_group || Timestamp::halves(lowest) < self.record.lowest_execute_at {
            self.record.lowest_execute_at = lowest.halves();
        }
        self.record.highest_execute_at = self.record.highest_execute_at.max(highest.halves());
        self.record.groups.push(GroupRecord {
            offset,
            layout: if by_rows { LAYOUT_ROWS } else { LAYOUT_COLUMNS },
            first_page: first_page as u32,
            page_count: ends.len() as u32,
            row_count: ends.last().copied().unwrap_or(0) as u32,
            lowest_execute_at: lowest.halves(),
            highest_execute_at: highest.halves(),
            chunks,
        });
        self.group_row_bytes = 0;
        self.page = OpenPage::default();
    }

    fn append_page(&mut self, page: &mut [u8]) {
        if !page.is_empty() {
            let offset = self.bytes_written();
            seal(page, self.shape.salt, offset);
            self.output.extend_from_slice(page);
        }
    }

    fn encode_chunk(
        &mut self,
        slot: usize,
        column: &ColumnVector,
        ends: &[usize],
        first_page: usize,
    ) -> (ChunkRecord, Vec<Vec<u8>>) {
        let mut chunk = ChunkRecord::default();
        let mut pages = Vec::with_capacity(ends.len());
        let mut whole = Bounds::default();
        let sql_type = self.types.get(slot).copied();
        let mut start = 0;
        for (index, end) in ends.iter().enumerate() {
            let rows = start..*end;
            start = *end;
            let mut page = Vec::new();
            let own = sql_type.map(|sql_type| bounds(column, rows.clone(), sql_type));
            let nulls = own.as_ref().map_or(0, |own| own.null_count);
            if !self.elided(slot, &rows, nulls, first_page + index) {
                encode_page(column, rows, self.options.compression, &mut page);
            }
            chunk.page_bytes.push(page.len() as u32);
            chunk.null_counts.push(nulls as u32);
            if let Some(own) = own {
                chunk.push_bounds(own.cut(PAGE_ZONE_BYTES_MAX));
                whole.merge(&own);
            }
            pages.push(page);
        }
        if sql_type.is_some() {
            chunk.push_bounds(whole.cut(GROUP_ZONE_BYTES_MAX));
            self.record.columns[slot].raw_bytes += column.byte_count() as u64;
            self.sketches[slot].add(column);
        }
        (chunk, pages)
    }

    /// Pages that need not be stored because the metadata says what they hold.
    fn elided(&self, slot: usize, rows: &Range<usize>, nulls: u64, page: usize) -> bool {
        let flags = self.record.page_flags[page];
        match slot.checked_sub(self.types.len()) {
            None => nulls == rows.len() as u64,
            Some(0) => flags & PAGE_SLICES == 0,
            Some(1) => flags & (PAGE_TOMBSTONES | PAGE_VERSIONS | PAGE_CONTINUES) == 0,
            Some(_) => false,
        }
    }

    /// Ends the file.
    ///
    /// # Errors
    /// None today; the metadata is checked as a reader would check it.
    pub fn finish(mut self) -> Result<FinishedTable, SstableError> {
        if self.rows_in_group() > 0 {
            self.end_page();
            self.end_group();
        }
        if let Some((slice, key, _)) = self.last.take() {
            self.record.last = Some(PositionRecord { slice: slice.0, key });
        }
        for (column, sketch) in self.record.columns.iter_mut().zip(&self.sketches) {
            column.distinct_estimate = sketch.estimate();
        }
        let salt = self.shape.salt;
        let filter_key = KeyFilter::build(mem::take(&mut self.hashes));
        let filter_bytes = filter_key.encode();
        let filter = ByteRange { offset: self.bytes_written(), bytes: filter_bytes.len() as u64 };
        let archived = rkyv::to_bytes::<rkyv::rancor::Failure>(&self.record)
            .expect("an archive in memory is bounded by its record");
        let metadata = ByteRange { offset: filter.end(), bytes: archived.len() as u64 };
        let file_bytes = metadata.end() + crate::layout::TRAILER_BYTES;
        let trailer = Trailer {
            metadata,
            metadata_checksum: placed_checksum(salt, metadata.offset, &archived),
            filter,
            filter_checksum: placed_checksum(salt, filter.offset, &filter_bytes),
            salt,
            file_bytes,
        };
        let mut bytes = mem::take(&mut self.output);
        bytes.extend_from_slice(&filter_bytes);
        bytes.extend_from_slice(&archived);
        bytes.extend_from_slice(&trailer.encode());
        let metadata = Metadata::new(self.record, filter_key, salt, file_bytes, filter.offset)?;
        Ok(FinishedTable { bytes, metadata })
    }
}

/// The most rows, of all, a half or a quarter, whose columns take at most `point_read_bytes`; all if even a quarter does not fit.
fn fitting_rows(page_rows: usize, row_bytes: usize, point_read_bytes: usize) -> usize {
    let choices = [page_rows, page_rows / 2, page_rows / 4];
    let fits = |rows: &usize| *rows > 0 && rows * row_bytes <= point_read_bytes;
    choices.into_iter().find(fits).unwrap_or(page_rows)
}

impl ChunkRecord {
    fn push_bounds(&mut self, (lowest, highest): (Vec<u8>, Vec<u8>)) {
        for bound in [lowest, highest] {
            self.bounds.extend_from_slice(&bound);
            self.bound_ends.push(self.bounds.len() as u32);
        }
    }
}

fn empty_record(shape: &TableShape) -> MetadataRecord {
    let column = |column: &ColumnSpec| ColumnRecord {
        column_id: column.id.0,
        sql_type: column.sql_type.code(),
        distinct_estimate: 0,
        raw_bytes: 0,
    };
    let key = |column: &KeyColumn| KeyColumnRecord {
        position: column.position,
        descending: column.order.descending,
        nulls: match column.order.nulls {
            Nulls::Never => 0,
            Nulls::First => 1,
            Nulls::Last => 2,
        },
    };
    MetadataRecord {
        table_id: shape.table_id.0,
        sealed: shape.versioning == Versioning::Sealed,
        columns: shape.columns.iter().map(column).collect(),
        key: shape.key.iter().map(key).collect(),
        row_count: 0,
        key_count: 0,
        tombstone_count: 0,
        lowest_execute_at: (0, 0),
        highest_execute_at: (0, 0),
        first: None,
        last: None,
        page_rows: Vec::new(),
        page_flags: Vec::new(),
        page_slices: Vec::new(),
        page_key_ends: Vec::new(),
        page_keys: Vec::new(),
        continuations: Vec::new(),
        groups: Vec::new(),
    }
}
