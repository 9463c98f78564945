//! What a shard's manifest records, and the state that its edits add up to. Pure.
//!
//! The first edit of a manifest file is the whole state; each later one is a change. Applying an edit never fails: an edit that names an
//! unknown file is damage, found by [`ShardState::apply`] and reported.

use std::collections::{BTreeMap, BTreeSet};

use types::codec::{DecodeError, Decoder, Encoder};
use types::{LogId, SliceId, SstableId, TableId, Timestamp};

use crate::layout::TableLayout;
use crate::position::{LogAddress, LogPosition};

/// Levels of the tree. Level zero holds what was flushed or published; its files may overlap. Files of one level below do not.
pub const LEVELS: usize = 7;

/// A piece of a file: the run of slices that begins with `first_slice`. A file shared by shards, or compacted slice by slice, has several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PieceId {
    /// The file.
    pub file: SstableId,
    /// Where the run begins.
    pub first_slice: SliceId,
}

/// A piece of a file as one shard's manifest names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileEntry {
    /// The file.
    pub file: SstableId,
    /// Whose rows.
    pub table: TableId,
    /// Its level.
    pub level: u8,
    /// First and last slice that are read in it; the file may hold others too.
    pub slices: (SliceId, SliceId),
    /// Row versions in the whole file.
    pub row_count: u64,
    /// Length of the whole file.
    pub byte_count: u64,
    /// Lowest execute_at of its rows.
    pub lowest: Timestamp,
    /// Highest execute_at of its rows.
    pub highest: Timestamp,
    /// For a file sealed by a bulk write: when all its rows took effect. The file itself does not know.
    pub published_at: Option<Timestamp>,
}

/// One change of a shard's state, durable as a whole.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VersionEdit {
    /// Files that become part of the shard's version.
    pub added: Vec<FileEntry>,
    /// Files that are no longer part of it.
    pub removed: Vec<PieceId>,
    /// Through which position of each log the shard's files are now complete.
    pub through: Vec<LogAddress>,
    /// Publication records whose files are in `added`.
    pub published: Vec<LogAddress>,
    /// First generation of the shard's own log that is still needed.
    pub low_generation: Option<u32>,
    /// Versions below it, but for the newest of each key, may be gone.
    pub floor: Option<Timestamp>,
    /// No timestamp above it was given out.
    pub reservation: Option<Timestamp>,
    /// Layouts that are new or longer.
    pub layouts: Vec<TableLayout>,
    /// Tables whose rows are garbage.
    pub dropped: Vec<TableId>,
}

fn encode_address(address: &LogAddress, encoder: &mut Encoder) {
    encoder.u32(address.log.0);
    encoder.u64(address.position.to_raw());
}

fn decode_address(decoder: &mut Decoder<'_>) -> Result<LogAddress, DecodeError> {
    let log = LogId(decoder.u32()?);
    Ok(LogAddress { log, position: LogPosition::from_raw(decoder.u64()?) })
}

fn encode_optional_timestamp(value: Option<Timestamp>, encoder: &mut Encoder) {
    encoder.bool(value.is_some());
    if let Some(value) = value {
        encoder.u128(value.0);
    }
}

fn decode_optional_timestamp(
    decoder: &mut Decoder<'_>,
    field: &'static str,
) -> Result<Option<Timestamp>, DecodeError> {
    if decoder.bool(field)? { Ok(Some(Timestamp(decoder.u128()?))) } else { Ok(None) }
}

impl FileEntry {
    /// Its name within a shard's state.
    pub const fn piece(&self) -> PieceId {
        PieceId { file: self.file, first_slice: self.slices.0 }
    }

    /// Whether a slice is read in it.
    pub fn holds(&self, slice: SliceId) -> bool {
        self.slices.0 <= slice && slice <= self.slices.1
    }

    pub(crate) fn encode(&self, encoder: &mut Encoder) {
        encoder.u64(self.file.0);
        encoder.u32(self.table.0);
        encoder.u8(self.level);
        encoder.u16(self.slices.0.0);
        encoder.u16(self.slices.1.0);
        encoder.u64(self.row_count);
        encoder.u64(self.byte_count);
        encoder.u128(self.lowest.0);
        encoder.u128(self.highest.0);
        encode_optional_timestamp(self.published_at, encoder);
    }

    pub(crate) fn decode(decoder: &mut Decoder<'_>) -> Result<FileEntry, DecodeError> {
        let file = SstableId(decoder.u64()?);
        let table = TableId(decoder.u32()?);
        let error = decoder.invalid("level");
        let level = decoder.u8()?;
        let slices = (SliceId(decoder.u16()?), SliceId(decoder.u16()?));
        if usize::from(level) >= LEVELS || slices.0 > slices.1 {
            return Err(error);
        }
        Ok(FileEntry {
            file,
            table,
            level,
            slices,
            row_count: decoder.u64()?,
            byte_count: decoder.u64()?,
            lowest: Timestamp(decoder.u128()?),
            highest: Timestamp(decoder.u128()?),
            published_at: decode_optional_timestamp(decoder, "published at")?,
        })
    }
}

impl VersionEdit {
    /// The payload of a manifest frame.
    pub fn encode(&self) -> Vec<u8> {
        let mut encoder = Encoder::new();
        encoder.u32(self.added.len() as u32);
        self.added.iter().for_each(|entry| entry.encode(&mut encoder));
        encoder.u32(self.removed.len() as u32);
        for piece in &self.removed {
            encoder.u64(piece.file.0);
            encoder.u16(piece.first_slice.0);
        }
        for addresses in [&self.through, &self.published] {
            encoder.u32(addresses.len() as u32);
            addresses.iter().for_each(|address| encode_address(address, &mut encoder));
        }
        encoder.u32(self.low_generation.unwrap_or(0));
        encode_optional_timestamp(self.floor, &mut encoder);
        encode_optional_timestamp(self.reservation, &mut encoder);
        encoder.u32(self.layouts.len() as u32);
        self.layouts.iter().for_each(|layout| encoder.raw(&layout.encode()));
        encoder.u32(self.dropped.len() as u32);
        self.dropped.iter().for_each(|table| encoder.u32(table.0));
        encoder.into_bytes()
    }

    /// Reads the payload of a manifest frame.
    ///
    /// # Errors
    /// If it was not written by [`VersionEdit::encode`].
    pub fn decode(payload: &[u8]) -> Result<VersionEdit, DecodeError> {
        let decoder = &mut Decoder::new(payload);
        let mut edit = VersionEdit::default();
        for _ in 0..decoder.count(58, "files added")? {
            edit.added.push(FileEntry::decode(decoder)?);
        }
        for _ in 0..decoder.count(10, "files removed")? {
            let file = SstableId(decoder.u64()?);
            edit.removed.push(PieceId { file, first_slice: SliceId(decoder.u16()?) });
        }
        for _ in 0..decoder.count(12, "positions")? {
            edit.through.push(decode_address(decoder)?);
        }
        for _ in 0..decoder.count(12, "publications")? {
            edit.published.push(decode_address(decoder)?);
        }
        let low_generation = decoder.u32()?;
        edit.low_generation = (low_generation > 0).then_some(low_generation);
        edit.floor = decode_optional_timestamp(decoder, "floor")?;
        edit.reservation = decode_optional_timestamp(decoder, "reservation")?;
        for _ in 0..decoder.count(5, "layouts")? {
            edit.layouts.push(TableLayout::decode(decoder)?);
        }
        for _ in 0..decoder.count(4, "tables dropped")? {
            edit.dropped.push(TableId(decoder.u32()?));
        }
        if decoder.remaining() > 0 {
            return Err(decoder.invalid("end of the edit"));
        }
        Ok(edit)
    }
}

/// What the edits of a shard's manifest add up to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ShardState {
    /// The files of the shard.
    pub files: BTreeMap<PieceId, FileEntry>,
    /// Through which position of each log they are complete.
    pub through: BTreeMap<LogId, LogPosition>,
    /// Publication records above those positions whose files are installed.
    pub published: BTreeSet<LogAddress>,
    /// First generation of the shard's log that is still needed; zero for "from the first".
    pub low_generation: u32,
    /// Versions below it, but for the newest of each key, may be gone.
    pub floor: Timestamp,
    /// No timestamp above it was given out.
    pub reservation: Timestamp,
    /// The layouts of all tables that have or had rows here.
    pub layouts: BTreeMap<TableId, TableLayout>,
    /// Tables whose rows are garbage.
    pub dropped: BTreeSet<TableId>,
}

/// An edit that does not fit the state before it: the manifest is damaged although its checksums are good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an edit of the manifest does not fit the state before it: file {file}")]
pub struct EditMisfit {
    /// The file that is added twice or removed without being there.
    pub file: SstableId,
}

impl ShardState {
    /// Applies an edit.
    ///
    /// # Errors
    /// If it removes a file that is not there or adds one that is. The state is then half changed and useless.
    pub fn apply(&mut self, edit: &VersionEdit) -> Result<(), EditMisfit> {
        for piece in &edit.removed {
            if self.files.remove(piece).is_none() {
                return Err(EditMisfit { file: piece.file });
            }
        }
        for entry in &edit.added {
            if self.files.insert(entry.piece(), *entry).is_some() {
                return Err(EditMisfit { file: entry.file });
            }
        }
        self.published.extend(edit.published.iter().copied());
        for address in &edit.through {
            let through = self.through.entry(address.log).or_default();
            *through = (*through).max(address.position);
        }
        let through = &self.through;
        self.published.retain(|address| {
            through.get(&address.log).is_none_or(|through| address.position > *through)
        });
        self.low_generation = self.low_generation.max(edit.low_generation.unwrap_or(0));
        self.floor = self.floor.max(edit.floor.unwrap_or_default());
        self.reservation = self.reservation.max(edit.reservation.unwrap_or_default());
        for layout in &edit.layouts {
            self.define(layout);
        }
        self.dropped.extend(edit.dropped.iter().copied());
        Ok(())
    }

    /// Learns a layout; of two for one table the longer one counts. True if something changed.
    pub fn define(&mut self, layout: &TableLayout) -> bool {
        define(&mut self.layouts, layout)
    }

    /// The edit that makes this state of nothing.
    pub fn to_edit(&self) -> VersionEdit {
        let address =
            |(log, position): (&LogId, &LogPosition)| LogAddress { log: *log, position: *position };
        VersionEdit {
            added: self.files.values().copied().collect(),
            removed: Vec::new(),
            through: self.through.iter().map(address).collect(),
            published: self.published.iter().copied().collect(),
            low_generation: (self.low_generation > 0).then_some(self.low_generation),
            floor: Some(self.floor),
            reservation: Some(self.reservation),
            layouts: self.layouts.values().cloned().collect(),
            dropped: self.dropped.iter().copied().collect(),
        }
    }
}

/// Learns a layout; of two for one table the longer one counts. True if something changed.
pub(crate) fn define(layouts: &mut BTreeMap<TableId, TableLayout>, layout: &TableLayout) -> bool {
    match layouts.get(&layout.table) {
        Some(known) if known.columns.len() >= layout.columns.len() => false,
        _ => {
            layouts.insert(layout.table, layout.clone());
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::tests::layout;

    fn entry(file: u64) -> FileEntry {
        FileEntry {
            file: SstableId(file),
            table: TableId(4),
            level: 1,
            slices: (SliceId(0), SliceId(31)),
            row_count: 10,
            byte_count: 4096,
            lowest: Timestamp(1),
            highest: Timestamp(9),
            published_at: (file == 2).then_some(Timestamp(5)),
        }
    }

    #[test]
    fn a_state_is_the_sum_of_its_edits_and_survives_encoding() {
        let address = |raw| LogAddress { log: LogId(3), position: LogPosition::from_raw(raw) };
        let edit = VersionEdit {
            added: vec![entry(1), entry(2)],
            removed: vec![],
            through: vec![address(100)],
            published: vec![address(90), address(110)],
            low_generation: Some(2),
            floor: Some(Timestamp(3)),
            reservation: None,
            layouts: vec![layout(4, 3)],
            dropped: vec![TableId(5)],
        };
        let bytes = edit.encode();
        assert_eq!(VersionEdit::decode(&bytes).as_ref(), Ok(&edit));
        for end in 0..bytes.len() {
            assert!(VersionEdit::decode(&bytes[..end]).is_err());
        }
        let mut state = ShardState::default();
        state.apply(&edit).expect("fits");
        assert_eq!(state.published.len(), 1);
        let removal = VersionEdit { removed: vec![entry(1).piece()], ..VersionEdit::default() };
        state.apply(&removal).expect("fits");
        assert!(state.clone().apply(&removal).is_err());
        let mut again = ShardState::default();
        again.apply(&VersionEdit::decode(&state.to_edit().encode()).expect("decodes")).expect("ok");
        assert_eq!(again, state);
    }
}
