//! What a reader holds of a file in memory: columns, row groups, where each page is, zone maps, key index, key filter, statistics.
//!
//! The records (`record`) are archived with rkyv; their field order is the disk format. They are validated twice on open: by bytecheck that the archive is one,
//! and by [`Metadata::new`] that its parts agree, so that no reader indexes outside what it was given. Page offsets are not stored: pages are packed, so
//! their lengths and the group's layout say where they are.

use crate::error::{Section, SstableError};
use crate::key_filter::KeyFilter;
use crate::key_schema::{KeySchema, Position};
use crate::layout::{ByteRange, HEADER_BYTES, PAGE_ROWS_MAX};
use crate::record::{ChunkRecord, LAYOUT_COLUMNS, LAYOUT_ROWS, MetadataRecord, PAGE_CONTINUES};
use crate::zone_map::Zone;
use alloc::vec::Vec;
use types::key::{KeyOrder, Nulls};
use types::schema::KeyColumn;
use types::{ByteCount, ColumnId, SliceId, SqlType, TableId, Timestamp};

/// A column of a file: the table's own, or one of those that every file has beside them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileColumn {
    /// A column of the table, by stored position.
    Stored(u16),
    /// The slice of a row; four-byte integers. Not stored for a page that lies in one slice.
    Slice,
    /// Hybrid clock of a row's execute_at; eight-byte integers. Not in sealed files.
    ExecuteAtTime,
    /// Epoch (high half) and node (low half) of a row's execute_at; eight-byte integers. Not in sealed files.
    ExecuteAtOrigin,
    /// Tombstone and same-key bits; two-byte integers. Not stored for a page where all are clear.
    Flags,
}

/// The time and the origin of a timestamp, as the two hidden columns hold them.
pub(crate) const fn split_timestamp(at: Timestamp) -> (i64, i64) {
    (at.hlc() as i64, ((at.epoch() as u64) << 32 | at.node() as u64) as i64)
}

/// Inverse of [`split_timestamp`].
#[inline(always)]
pub(crate) const fn join_timestamp(time: i64, origin: i64) -> Timestamp {
    Timestamp::new((origin as u64 >> 32) as u32, time as u64, origin as u32)
}

const fn timestamp(halves: (u64, u64)) -> Timestamp {
    Timestamp::from_halves(halves.0, halves.1)
}

/// A page of all columns: a number over the whole file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PageId(pub u32);

/// What one row group holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupSummary {
    /// Row versions, tombstones included.
    pub row_count: u32,
    /// Pages of each column.
    pub page_count: u32,
    /// No row is older; nothing in a sealed file.
    pub lowest_execute_at: Option<Timestamp>,
    /// No row is newer; nothing in a sealed file.
    pub highest_execute_at: Option<Timestamp>,
    /// Encoded bytes of all columns.
    pub bytes: ByteRange,
}

/// What the planner may know of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColumnStatistics {
    /// About how many distinct values.
    pub distinct_estimate: u64,
    /// Bytes of its values before encoding.
    pub raw_bytes: ByteCount,
    /// Bytes of its pages.
    pub encoded_bytes: ByteCount,
    /// Rows without a value, tombstones included.
    pub null_count: u64,
}

/// An opened file without its pages.
#[derive(Clone, Debug)]
pub struct Metadata {
    pub(crate) record: MetadataRecord,
    pub(crate) salt: u64,
    pub(crate) types: Vec<SqlType>,
    pub(crate) key_schema: KeySchema,
    filter: KeyFilter,
    file_bytes: u64,
    /// Start of each page from its group's start: group → slot-major table.
    page_offsets: Vec<Vec<u64>>,
    page_groups: Vec<u32>,
}

impl Metadata {
    pub(crate) fn new(
        record: MetadataRecord,
        filter: KeyFilter,
        salt: u64,
        file_bytes: u64,
        data_end: u64,
    ) -> Result<Metadata, SstableError> {
        let malformed = |reason| SstableError::Malformed {
            section: Section::Metadata,
            offset: data_end,
            reason,
        };
        let types: Option<Vec<SqlType>> =
            record.columns.iter().map(|column| SqlType::from_code(column.sql_type)).collect();
        let types = types.ok_or(malformed("an unknown type"))?;
        let mut key = Vec::with_capacity(record.key.len());
        for column in &record.key {
            let nulls = match column.nulls {
                0 => Nulls::Never,
                1 => Nulls::First,
                2 => Nulls::Last,
                _ => return Err(malformed("an unknown order of NULLs")),
            };
            if usize::from(column.position) >= types.len() {
                return Err(malformed("a key column that does not exist"));
            }
            let order = KeyOrder { descending: column.descending, nulls };
            key.push(KeyColumn { position: column.position, order });
        }
        check_pages(&record).map_err(malformed)?;
        let slots = types.len() + if record.sealed { 2 } else { 4 };
        let page_offsets = place_pages(&record, slots, data_end).map_err(malformed)?;
        let mut page_groups = Vec::with_capacity(record.page_rows.len());
        for (group, entry) in record.groups.iter().enumerate() {
            page_groups.resize(page_groups.len() + entry.page_count as usize, group as u32);
        }
        let key_schema = KeySchema::new(&key, &types);
        Ok(Metadata {
            record,
            salt,
            types,
            key_schema,
            filter,
            file_bytes,
            page_offsets,
            page_groups,
        })
    }

    /// The table.
    pub const fn table_id(&self) -> TableId {
        TableId(self.record.table_id)
    }

    /// Whether rows carry no execute_at: it comes from the version edit that published the file.
    pub const fn is_sealed(&self) -> bool {
        self.record.sealed
    }

    /// Types of the stored columns, by position.
    pub fn types(&self) -> &[SqlType] {
        &self.types
    }

    /// Identities of the stored columns, by position.
    pub fn column_ids(&self) -> impl Iterator<Item = ColumnId> + '_ {
        self.record.columns.iter().map(|column| ColumnId(column.column_id))
    }

    /// The key columns.
    pub const fn key_schema(&self) -> &KeySchema {
        &self.key_schema
    }

    /// Row versions, tombstones included.
    pub const fn row_count(&self) -> u64 {
        self.record.row_count
    }

    /// Distinct keys.
    pub const fn key_count(&self) -> u64 {
        self.record.key_count
    }

    /// Tombstones.
    pub const fn tombstone_count(&self) -> u64 {
        self.record.tombstone_count
    }

    /// No row is older; nothing if there are no rows or the file is sealed.
    pub fn lowest_execute_at(&self) -> Option<Timestamp> {
        let known = !self.record.sealed && self.record.row_count > 0;
        known.then(|| timestamp(self.record.lowest_execute_at))
    }

    /// No row is newer; nothing if there are no rows or the file is sealed.
    pub fn highest_execute_at(&self) -> Option<Timestamp> {
        let known = !self.record.sealed && self.record.row_count > 0;
        known.then(|| timestamp(self.record.highest_execute_at))
    }

    /// Position of the first row; nothing if there are no rows.
    pub fn first_position(&self) -> Option<Position> {
        let first = self.record.first.as_ref()?;
        Some(Position { slice: SliceId(first.slice), key: first.key.clone() })
    }

    /// Position of the last row; nothing if there are no rows.
    pub fn last_position(&self) -> Option<Position> {
        let last = self.record.last.as_ref()?;
        Some(Position { slice: SliceId(last.slice), key: last.key.clone() })
    }

    /// Whether a row of this slice and key may lie between the first and the last row.
    pub fn covers(&self, slice: SliceId, key: &[u8]) -> bool {
        match (&self.record.first, &self.record.last) {
            (Some(first), Some(last)) => {
                (slice.0, key) >= (first.slice, first.key.as_slice())
                    && (slice.0, key) <= (last.slice, last.key.as_slice())
            }
            _ => false,
        }
    }

    /// The key filter.
    pub const fn key_filter(&self) -> &KeyFilter {
        &self.filter
    }

    /// Length of the file.
    pub const fn file_bytes(&self) -> ByteCount {
        ByteCount(self.file_bytes)
    }

    /// Bytes that this value takes in memory, roughly, for budgets.
    pub fn memory_bytes(&self) -> ByteCount {
        let record = &self.record;
        let pages = record.page_rows.len() * 13 + record.page_keys.len();
        let chunk = |chunk: &ChunkRecord| {
            (chunk.page_bytes.len() + chunk.null_counts.len() + chunk.bound_ends.len()) * 4
                + chunk.bounds.len()
                + 96
        };
        let chunks: usize = record.groups.iter().flat_map(|group| &group.chunks).map(chunk).sum();
        let offsets: usize = self.page_offsets.iter().map(|offsets| offsets.len() * 8).sum();
        ByteCount((pages + chunks + offsets + self.filter.byte_count() + 1024) as u64)
    }

    /// Number of row groups.
    pub fn group_count(&self) -> usize {
        self.record.groups.len()
    }

    /// What a row group holds.
    ///
    /// # Panics
    /// If there is no such group.
    pub fn group(&self, group: usize) -> GroupSummary {
        let entry = &self.record.groups[group];
        let at = |halves| (!self.record.sealed).then(|| timestamp(halves));
        let bytes = entry.chunks.iter().flat_map(|chunk| &chunk.page_bytes);
        GroupSummary {
            row_count: entry.row_count,
            page_count: entry.page_count,
            lowest_execute_at: at(entry.lowest_execute_at),
            highest_execute_at: at(entry.highest_execute_at),
            bytes: ByteRange {
                offset: entry.offset,
                bytes: bytes.map(|bytes| u64::from(*bytes)).sum(),
            },
        }
    }

    /// What the planner may know of a stored column.
    ///
    /// # Panics
    /// If there is no such column.
    pub fn column_statistics(&self, position: u16) -> ColumnStatistics {
        let slot = usize::from(position);
        let record = &self.record.columns[slot];
        let chunks = self.record.groups.iter().map(|group| &group.chunks[slot]);
        let (mut encoded, mut nulls) = (0, 0);
        for chunk in chunks {
            encoded += chunk.page_bytes.iter().map(|bytes| u64::from(*bytes)).sum::<u64>();
            nulls += chunk.null_counts.iter().map(|count| u64::from(*count)).sum::<u64>();
        }
        ColumnStatistics {
            distinct_estimate: record.distinct_estimate,
            raw_bytes: ByteCount(record.raw_bytes),
            encoded_bytes: ByteCount(encoded),
            null_count: nulls,
        }
    }

    /// The zone map of a stored column over a row group.
    ///
    /// # Panics
    /// If there is no such group or column.
    pub fn group_zone(&self, group: usize, position: u16) -> Zone<'_> {
        let entry = &self.record.groups[group];
        let chunk = &entry.chunks[usize::from(position)];
        let nulls = chunk.null_counts.iter().map(|count| u64::from(*count)).sum();
        chunk.zone(entry.page_count as usize, nulls, u64::from(entry.row_count))
    }

    /// The zone map of a stored column over a page.
    ///
    /// # Panics
    /// If there is no such page or column.
    pub fn page_zone(&self, page: PageId, position: u16) -> Zone<'_> {
        let (group, index) = self.place(page);
        let chunk = &self.record.groups[group].chunks[usize::from(position)];
        let rows = u64::from(self.record.page_rows[page.0 as usize]);
        chunk.zone(index, u64::from(chunk.null_counts[index]), rows)
    }

    /// Number of pages of each column.
    pub fn page_count(&self) -> u32 {
        self.record.page_rows.len() as u32
    }

    /// Rows of a page.
    ///
    /// # Panics
    /// If there is no such page.
    pub fn page_row_count(&self, page: PageId) -> usize {
        usize::from(self.record.page_rows[page.0 as usize])
    }

    pub(crate) fn page_flags(&self, page: PageId) -> u8 {
        self.record.page_flags[page.0 as usize]
    }

    /// Row group of a page and its number inside.
    pub(crate) fn place(&self, page: PageId) -> (usize, usize) {
        let group = self.page_groups[page.0 as usize] as usize;
        (group, (page.0 - self.record.groups[group].first_page) as usize)
    }

    /// Separator in front of a page: at most its first position, above every position before.
    pub(crate) fn separator(&self, page: PageId) -> (u16, &[u8]) {
        let index = page.0 as usize;
        let end = self.record.page_key_ends[index] as usize;
        let start = if index == 0 { 0 } else { self.record.page_key_ends[index - 1] as usize };
        (self.record.page_slices[index], &self.record.page_keys[start..end])
    }

    /// The first position of a page: a place where the table can be cut into splits.
    ///
    /// # Panics
    /// If there is no such page.
    pub fn page_position(&self, page: PageId) -> Position {
        let (slice, key) = self.separator(page);
        Position { slice: SliceId(slice), key: key.to_vec() }
    }

    /// The execute_at of the version before a page that begins inside a key.
    pub(crate) fn continuation(&self, page: PageId) -> Option<Timestamp> {
        if self.page_flags(page) & PAGE_CONTINUES == 0 {
            return None;
        }
        let found = self.record.continuations.binary_search_by_key(&page.0, |entry| entry.page);
        found.ok().map(|index| timestamp(self.record.continuations[index].previous))
    }

    /// Pages from the first that may hold a position at or above `(slice, key)` on.
    pub(crate) fn first_page_reaching(&self, slice: u16, key: &[u8]) -> u32 {
        let mut page = self.pages_before(|separator| separator <= (slice, key)).saturating_sub(1);
        // A key whose versions fill pages begins where the chain of pages does.
        while page > 0
            && self.page_flags(PageId(page)) & PAGE_CONTINUES != 0
            && self.separator(PageId(page)) == (slice, key)
        {
            page -= 1;
        }
        page
    }

    /// Number of pages whose separator passes; separators only grow.
    pub(crate) fn pages_before(&self, pass: impl Fn((u16, &[u8])) -> bool) -> u32 {
        let (mut low, mut high) = (0, self.page_count());
        while low < high {
            let middle = low + (high - low) / 2;
            if pass(self.separator(PageId(middle))) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// Index of a column among the chunks of a group; nothing if the file does not have it.
    pub(crate) fn slot(&self, column: FileColumn) -> Option<usize> {
        let stored = self.types.len();
        match column {
            FileColumn::Stored(position) => {
                (usize::from(position) < stored).then_some(usize::from(position))
            }
            FileColumn::Slice => Some(stored),
            FileColumn::Flags => Some(stored + 1),
            FileColumn::ExecuteAtTime => (!self.record.sealed).then_some(stored + 2),
            FileColumn::ExecuteAtOrigin => (!self.record.sealed).then_some(stored + 3),
        }
    }

    /// Where a page of a column lies. Nothing if it is not stored because all its rows are NULL (hidden columns: have the value that the key index says).
    ///
    /// # Panics
    /// If there is no such page or column.
    pub fn page_range(&self, page: PageId, column: FileColumn) -> Option<ByteRange> {
        let slot = self.slot(column).expect("a column of this file");
        let (group, index) = self.place(page);
        let entry = &self.record.groups[group];
        let bytes = u64::from(entry.chunks[slot].page_bytes[index]);
        let offset =
            entry.offset + self.page_offsets[group][slot * entry.page_count as usize + index];
        (bytes > 0).then_some(ByteRange { offset, bytes })
    }

    /// All pages of one column of a row group, where they follow each other; nothing where they do not or there are none.
    ///
    /// # Panics
    /// If there is no such group or column.
    pub fn chunk_range(&self, group: usize, column: FileColumn) -> Option<ByteRange> {
        let slot = self.slot(column).expect("a column of this file");
        let entry = &self.record.groups[group];
        let bytes: u64 = entry.chunks[slot].page_bytes.iter().map(|bytes| u64::from(*bytes)).sum();
        let offset = entry.offset + self.page_offsets[group][slot * entry.page_count as usize];
        (entry.layout == LAYOUT_COLUMNS && bytes > 0).then_some(ByteRange { offset, bytes })
    }
}

impl ChunkRecord {
    fn zone(&self, index: usize, null_count: u64, row_count: u64) -> Zone<'_> {
        let bound = |at: usize| {
            let start = if at == 0 { 0 } else { self.bound_ends[at - 1] as usize };
            &self.bounds[start..self.bound_ends[at] as usize]
        };
        Zone { lowest: bound(2 * index), highest: bound(2 * index + 1), null_count, row_count }
    }
}

fn rising(ends: &[u32], total: usize) -> bool {
    ends.is_sorted() && ends.last().copied().unwrap_or(0) as usize == total
}

/// The per-page lists agree with each other and with the groups.
fn check_pages(record: &MetadataRecord) -> Result<(), &'static str> {
    let pages = record.page_rows.len();
    if record.page_flags.len() != pages
        || record.page_slices.len() != pages
        || record.page_key_ends.len() != pages
    {
        return Err("lists of pages of different lengths");
    }
    if !rising(&record.page_key_ends, record.page_keys.len()) {
        return Err("a key index that does not end where it should");
    }
    if record.page_rows.iter().any(|rows| *rows == 0 || usize::from(*rows) > PAGE_ROWS_MAX) {
        return Err("a page with no rows or too many");
    }
    let mut next_page = 0u64;
    let mut rows = 0u64;
    for group in &record.groups {
        if u64::from(group.first_page) != next_page || group.page_count == 0 {
            return Err("row groups that do not follow each other");
        }
        next_page += u64::from(group.page_count);
        let own = record.page_rows.get(group.first_page as usize..next_page as usize);
        let own = own.ok_or("a row group with pages that do not exist")?;
        let own: u64 = own.iter().map(|rows| u64::from(*rows)).sum();
        if own != u64::from(group.row_count) {
            return Err("a row group whose pages have another number of rows");
        }
        rows += own;
    }
    if next_page != pages as u64 || rows != record.row_count {
        return Err("pages or rows outside the row groups");
    }
    if (rows == 0) != record.first.is_none() || (rows == 0) != record.last.is_none() {
        return Err("rows without a first and a last position");
    }
    let continuing = record.page_flags.iter().enumerate();
    let continuing = continuing.filter(|(_, flags)| **flags & PAGE_CONTINUES != 0);
    if !continuing.map(|(page, _)| page as u32).eq(record.continuations.iter().map(|c| c.page)) {
        return Err("continued pages without the version before them");
    }
    Ok(())
}

/// Offsets of all pages from their group's start, and that the groups fill the file up to `data_end`.
fn place_pages(
    record: &MetadataRecord,
    slots: usize,
    data_end: u64,
) -> Result<Vec<Vec<u64>>, &'static str> {
    let mut next_group = HEADER_BYTES;
    let mut groups = Vec::with_capacity(record.groups.len());
    for group in &record.groups {
        let pages = group.page_count as usize;
        if group.chunks.len() != slots {
            return Err("a row group without a chunk for each column");
        }
        for (slot, chunk) in group.chunks.iter().enumerate() {
            let bounds = if slot < record.columns.len() { 2 * (pages + 1) } else { 0 };
            if chunk.page_bytes.len() != pages
                || chunk.null_counts.len() != pages
                || chunk.bound_ends.len() != bounds
                || !rising(&chunk.bound_ends, chunk.bounds.len())
            {
                return Err("a column chunk whose lists have the wrong length");
            }
        }
        let mut offsets = alloc::vec![0u64; slots * pages];
        let mut next = 0u64;
        let mut place = |slot: usize, page: usize| {
            offsets[slot * pages + page] = next;
            next += u64::from(group.chunks[slot].page_bytes[page]);
        };
        match group.layout {
            LAYOUT_COLUMNS => {
                (0..slots).for_each(|slot| (0..pages).for_each(|page| place(slot, page)));
            }
            LAYOUT_ROWS => {
                (0..pages).for_each(|page| (0..slots).for_each(|slot| place(slot, page)));
            }
            _ => return Err("an unknown layout"),
        }
        if group.offset != next_group {
            return Err("row groups that do not lie one after the other");
        }
        next_group = next_group.checked_add(next).ok_or("a row group beyond any file")?;
        groups.push(offsets);
    }
    if next_group != data_end {
        return Err("row groups that do not end where the filter begins");
    }
    Ok(groups)
}
