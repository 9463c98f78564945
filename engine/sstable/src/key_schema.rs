//! Keys of a table file: made again from the key columns, never stored.
//!
//! A file names its key columns and their order; a row's encoded key is a function of their values (`types::key`), so that it costs nothing on disk. In
//! memory a page's keys are a [`KeyVector`]: one 128-bit word each where every key column has a fixed width and all together fit (comparing two is two
//! instructions), else the encoded bytes.

use crate::column::{ByteArray, ColumnVector, Values};
use alloc::vec::Vec;
use core::cmp::Ordering;
use types::key::{Nulls, append_key_column_ref, take_key_column};
use types::schema::KeyColumn;
use types::{SliceId, SqlType, Value, ValueRef};

/// Widest key in bytes that fits a word.
const WORD_BYTES: usize = 16;

/// How the keys of a table are held in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyShape {
    /// So many bytes, in one 128-bit word.
    Word {
        /// Bytes of every key.
        bytes: usize,
    },
    /// Any number of bytes.
    Bytes,
}

/// The key columns of a table with their types.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySchema {
    parts: Vec<(KeyColumn, SqlType)>,
    shape: KeyShape,
}

/// Encoded keys of some rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyVector {
    /// Big-endian and left-aligned, so that their order is the keys' order.
    Words(Vec<u128>),
    /// As they are.
    Bytes(ByteArray),
}

/// A place in a table: rows are sorted by slice, then key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The slice.
    pub slice: SliceId,
    /// The encoded key; empty is before all keys of the slice.
    pub key: Vec<u8>,
}

/// A part of a table: from `start` on, up to but without `end`. Cut at keys, so all versions of a row are on one side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PositionRange {
    /// Nothing: from the beginning.
    pub start: Option<Position>,
    /// Nothing: to the end.
    pub end: Option<Position>,
}

/// Encoded keys from `start` on, up to but without `end`, in every slice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyRange {
    /// Nothing: from the lowest.
    pub start: Option<Vec<u8>>,
    /// Nothing: to the highest.
    pub end: Option<Vec<u8>>,
}

impl PositionRange {
    /// Whether a place is inside.
    pub fn contains(&self, slice: SliceId, key: &[u8]) -> bool {
        let after_start = self
            .start
            .as_ref()
            .is_none_or(|start| (slice, key) >= (start.slice, start.key.as_slice()));
        let before_end =
            self.end.as_ref().is_none_or(|end| (slice, key) < (end.slice, end.key.as_slice()));
        after_start && before_end
    }

    /// All rows of the slices `first ..= last`.
    pub fn of_slices(first: SliceId, last: SliceId) -> PositionRange {
        let at = |slice| Some(Position { slice: SliceId(slice), key: Vec::new() });
        let end = if last.0 == u16::MAX { None } else { at(last.0 + 1) };
        PositionRange { start: at(first.0), end }
    }

    /// Whether nothing is cut off.
    pub const fn is_everything(&self) -> bool {
        self.start.is_none() && self.end.is_none()
    }
}

impl KeyRange {
    /// Whether a key is inside.
    pub fn contains(&self, key: &[u8]) -> bool {
        self.start.as_ref().is_none_or(|start| key >= start.as_slice())
            && self.end.as_ref().is_none_or(|end| key < end.as_slice())
    }

    /// Whether nothing is cut off.
    pub const fn is_everything(&self) -> bool {
        self.start.is_none() && self.end.is_none()
    }
}

/// Bytes of the encoded form of a type's values; nothing if they differ.
const fn key_bytes(sql_type: SqlType) -> Option<usize> {
    match sql_type {
        SqlType::Bool => Some(1),
        SqlType::Int2 => Some(2),
        SqlType::Int4 | SqlType::Date | SqlType::Float4 => Some(4),
        SqlType::Oid | SqlType::Regclass | SqlType::Regtype | SqlType::Regproc => Some(4),
        SqlType::Int8 | SqlType::Float8 | SqlType::Timestamp | SqlType::Timestamptz => Some(8),
        SqlType::Uuid | SqlType::Interval => Some(16),
        _ => None,
    }
}

/// A value as it takes part in keys and zone maps: `char` without its trailing blanks.
pub(crate) fn comparable(sql_type: SqlType, value: ValueRef<'_>) -> ValueRef<'_> {
    match value {
        ValueRef::Text(text) if matches!(sql_type, SqlType::Bpchar) => {
            ValueRef::Text(text.trim_end_matches(' '))
        }
        other => other,
    }
}

impl KeySchema {
    /// The key columns in key order; `types` are those of the stored columns.
    ///
    /// # Panics
    /// If a key column names no stored column.
    pub fn new(key: &[KeyColumn], types: &[SqlType]) -> KeySchema {
        let parts: Vec<(KeyColumn, SqlType)> =
            key.iter().map(|column| (*column, types[usize::from(column.position)])).collect();
        let total = parts.iter().try_fold(0, |sum, (column, sql_type)| {
            let fixed = column.order.nulls == Nulls::Never;
            key_bytes(*sql_type).filter(|_| fixed).map(|bytes| sum + bytes)
        });
        let shape = match total {
            Some(bytes) if bytes <= WORD_BYTES => KeyShape::Word { bytes },
            _ => KeyShape::Bytes,
        };
        KeySchema { parts, shape }
    }

    /// How its keys are held in memory.
    pub const fn shape(&self) -> KeyShape {
        self.shape
    }

    /// Stored positions of the key columns, in key order.
    pub fn positions(&self) -> impl Iterator<Item = u16> + '_ {
        self.parts.iter().map(|(column, _)| column.position)
    }

    /// Whether a stored column is in the key.
    pub fn contains(&self, position: u16) -> bool {
        self.positions().any(|part| part == position)
    }

    /// Appends the key of one row. `value` gives the stored columns by position. False if a value is damaged or NULL where the key has none.
    pub fn append_key<'v>(
        &self,
        mut value: impl FnMut(u16) -> Option<ValueRef<'v>>,
        out: &mut Vec<u8>,
    ) -> bool {
        self.parts.iter().all(|(column, sql_type)| match value(column.position) {
            Some(ValueRef::Null) if column.order.nulls == Nulls::Never => false,
            Some(value) => append_key_column_ref(comparable(*sql_type, value), column.order, out),
            None => false,
        })
    }

    /// The values of the key columns from an encoded key, by stored position; a position that the key has twice comes twice. Nothing if it is no key.
    pub fn decode(&self, key: &[u8]) -> Option<Vec<(u16, Value)>> {
        let mut rest = key;
        let mut values = Vec::with_capacity(self.parts.len());
        for (column, sql_type) in &self.parts {
            values.push((column.position, take_key_column(*sql_type, column.order, &mut rest)?));
        }
        rest.is_empty().then_some(values)
    }

    /// The word of an encoded key of this shape.
    pub(crate) fn word(key: &[u8]) -> u128 {
        let mut word = [0u8; WORD_BYTES];
        let length = key.len().min(WORD_BYTES);
        word[..length].copy_from_slice(&key[..length]);
        u128::from_be_bytes(word)
    }

    /// Keys of `row_count` rows. `columns` are the key columns in key order. Nothing if a value is damaged.
    pub fn keys(&self, columns: &[&ColumnVector], row_count: usize) -> Option<KeyVector> {
        assert_eq!(columns.len(), self.parts.len(), "one vector for each key column");
        if let KeyShape::Word { bytes } = self.shape {
            return self.words(columns, row_count, bytes).map(KeyVector::Words);
        }
        let mut keys = ByteArray::default();
        keys.offsets.reserve(row_count);
        let mut key = Vec::new();
        for row in 0..row_count {
            key.clear();
            if !self.append_row_key(columns, row, &mut key) {
                return None;
            }
            keys.push(&key);
        }
        Some(KeyVector::Bytes(keys))
    }

    /// Appends the key of one row of `columns`, the key columns in key order.
    pub(crate) fn append_row_key(
        &self,
        columns: &[&ColumnVector],
        row: usize,
        out: &mut Vec<u8>,
    ) -> bool {
        self.parts.iter().zip(columns).all(|((column, sql_type), vector)| {
            match vector.value(*sql_type, row) {
                Some(ValueRef::Null) if column.order.nulls == Nulls::Never => false,
                Some(value) => {
                    append_key_column_ref(comparable(*sql_type, value), column.order, out)
                }
                None => false,
            }
        })
    }

    /// The word of one row of an ascending eight-byte integer key; nothing for other keys.
    pub(crate) fn word_at(&self, column: &ColumnVector, row: usize) -> Option<u128> {
        match (&self.parts[..], &column.values) {
            ([(part, _)], Values::Int64(values)) if !part.order.descending => {
                Some(u128::from(values[row] as u64 ^ (1 << 63)) << 64)
            }
            _ => None,
        }
    }

    fn words(&self, columns: &[&ColumnVector], count: usize, bytes: usize) -> Option<Vec<u128>> {
        if let ([(column, _)], Values::Int64(values), 8) =
            (&self.parts[..], &columns[0].values, bytes)
            && !column.order.descending
            && values.len() >= count
        {
            // The commonest key by far, as one loop without branches.
            let word = |value: &i64| u128::from(*value as u64 ^ (1 << 63)) << 64;
            return Some(values[..count].iter().map(word).collect());
        }
        let mut words = Vec::with_capacity(count);
        let mut key = Vec::with_capacity(WORD_BYTES);
        for row in 0..count {
            key.clear();
            if !self.append_row_key(columns, row, &mut key) {
                return None;
            }
            words.push(KeySchema::word(&key));
        }
        Some(words)
    }
}

impl KeyVector {
    /// No keys.
    pub fn empty(shape: KeyShape) -> KeyVector {
        match shape {
            KeyShape::Word { .. } => KeyVector::Words(Vec::new()),
            KeyShape::Bytes => KeyVector::Bytes(ByteArray::default()),
        }
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        match self {
            KeyVector::Words(words) => words.len(),
            KeyVector::Bytes(keys) => keys.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends an encoded key.
    pub fn push(&mut self, key: &[u8]) {
        match self {
            KeyVector::Words(words) => words.push(KeySchema::word(key)),
            KeyVector::Bytes(keys) => keys.push(key),
        }
    }

    /// Appends the keys of the same table.
    ///
    /// # Panics
    /// If they are held otherwise.
    pub fn append(&mut self, other: &KeyVector) {
        match (self, other) {
            (KeyVector::Words(words), KeyVector::Words(more)) => words.extend_from_slice(more),
            (KeyVector::Bytes(keys), KeyVector::Bytes(more)) => {
                more.iter().for_each(|key| keys.push(key));
            }
            _ => panic!("keys of one table have one shape"),
        }
    }

    /// Compares a key of this vector with one of another of the same table.
    ///
    /// # Panics
    /// If the vectors are held differently, or a row is not there.
    #[inline]
    pub fn compare(&self, row: usize, other: &KeyVector, other_row: usize) -> Ordering {
        match (self, other) {
            (KeyVector::Words(a), KeyVector::Words(b)) => a[row].cmp(&b[other_row]),
            (KeyVector::Bytes(a), KeyVector::Bytes(b)) => a.get(row).cmp(b.get(other_row)),
            _ => panic!("keys of one table have one shape"),
        }
    }

    /// Compares a key with an encoded one, or with the beginning of one.
    pub fn compare_bytes(&self, row: usize, key: &[u8], shape: KeyShape) -> Ordering {
        match (self, shape) {
            (KeyVector::Words(words), KeyShape::Word { bytes }) => {
                words[row].to_be_bytes()[..bytes].cmp(key)
            }
            (KeyVector::Bytes(keys), _) => keys.get(row).cmp(key),
            (KeyVector::Words(_), KeyShape::Bytes) => panic!("keys of one table have one shape"),
        }
    }
}
