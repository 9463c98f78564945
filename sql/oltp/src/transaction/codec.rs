//! [`CommitTransaction`] as bytes; the form is in [`crate::codec`].
//!
//! ```text
//! update  surroundings | table | statement | parameters
//! row     point | table | token (8) | key | what (1) | row before? | new row?, or updates?
//! entry   index | key | token (8) | row
//! ```
//! Tables, surroundings and updates are listed once and named by their position. The row before is sent only where index entries move.

use std::collections::BTreeMap;
use std::sync::Arc;

use accord::{SchemaChange, Validation};
use types::codec::{DecodeError, Decoder, Encoder};
use types::token::SliceCount;
use types::{TableId, Token, Value};

use super::{Buffered, BufferedRow, CommitTransaction, DeferredUpdate};
use crate::codec::{self, Part};
use crate::evaluation::Surroundings;
use crate::row::TableRows;

const PUT: u8 = 0;
const DELETED: u8 = 1;
const DEFERRED: u8 = 2;
const HAS_BEFORE: u8 = 4;

/// What is named by its position, as it is collected while rows are written.
#[derive(Default)]
struct Shared<'a> {
    tables: Vec<Vec<u8>>,
    /// Position of tables that were met, by identity: most rows share theirs.
    met: BTreeMap<*const types::TableSchema, usize>,
    surroundings: Vec<&'a Arc<Surroundings>>,
    updates: Vec<(&'a DeferredUpdate, usize, usize)>,
}

impl<'a> Shared<'a> {
    fn table(&mut self, table: &TableRows) -> usize {
        let identity = Arc::as_ptr(&table.schema);
        if let Some(known) = self.met.get(&identity) {
            return *known;
        }
        let mut encoder = Encoder::new();
        codec::encode_table(table, &mut encoder);
        let bytes = encoder.into_bytes();
        let position = self.tables.iter().position(|known| *known == bytes).unwrap_or_else(|| {
            self.tables.push(bytes);
            self.tables.len() - 1
        });
        self.met.insert(identity, position);
        position
    }

    fn update(&mut self, update: &'a DeferredUpdate, table: usize) -> usize {
        let same = |(known, known_table, _): &(&DeferredUpdate, usize, usize)| {
            *known_table == table
                && Arc::ptr_eq(&known.statement, &update.statement)
                && Arc::ptr_eq(&known.parameters, &update.parameters)
                && Arc::ptr_eq(&known.surroundings, &update.surroundings)
        };
        // The last ones are the likely ones; of the others some may be listed twice, which is no error.
        if let Some(back) = self.updates.iter().rev().take(UPDATES_LOOKED_AT).position(same) {
            return self.updates.len() - 1 - back;
        }
        let mut known = self.surroundings.iter().rev().take(UPDATES_LOOKED_AT);
        let surroundings = match known.position(|known| Arc::ptr_eq(known, &update.surroundings)) {
            Some(back) => self.surroundings.len() - 1 - back,
            None => {
                self.surroundings.push(&update.surroundings);
                self.surroundings.len() - 1
            }
        };
        self.updates.push((update, table, surroundings));
        self.updates.len() - 1
    }
}

/// Updates among which an equal one is looked for.
const UPDATES_LOOKED_AT: usize = 32;

impl CommitTransaction {
    pub(super) fn append(&self, out: &mut Vec<u8>) {
        let mut shared = Shared::default();
        let mut rows = Encoder::new();
        rows.varint(self.rows.len() as u64);
        for (point, row) in &self.rows {
            rows.varint(*point as u64);
            append_row(row, &mut shared, &mut rows);
        }
        let encoder = &mut Encoder::after(std::mem::take(out));
        codec::encode_head(codec::COMMIT, encoder);
        let slices = self.rows.first().map_or(SliceCount::DEFAULT, |(_, row)| row.table.slices);
        encoder.varint(u64::from(slices.get()));
        encoder.varint(shared.tables.len() as u64);
        shared.tables.iter().for_each(|table| encoder.raw(table));
        encoder.varint(shared.surroundings.len() as u64);
        shared.surroundings.iter().for_each(|known| codec::encode_surroundings(known, encoder));
        encoder.varint(shared.updates.len() as u64);
        for (update, table, surroundings) in &shared.updates {
            encoder.varint(*surroundings as u64);
            encoder.varint(*table as u64);
            let part = Part::of(&update.statement);
            codec::encode_part(&part, encoder);
            codec::encode_values(codec::parameters_used(&part, &update.parameters), encoder);
        }
        self.validation.encode(encoder);
        encoder.raw(&rows.into_bytes());
        encoder.varint(self.schema.len() as u64);
        self.schema.iter().for_each(|change| change.encode(encoder));
        encoder.varint(self.entries.len() as u64);
        for ((index, key), (token, row)) in &self.entries {
            encoder.varint(u64::from(index.0));
            encoder.var_bytes(key);
            encoder.u64(token.0);
            encoder.var_bytes(row);
        }
        encoder.var_bytes(&self.attachment);
        *out = std::mem::take(encoder).into_bytes();
    }

    pub(crate) fn decode(decoder: &mut Decoder<'_>) -> Result<CommitTransaction, DecodeError> {
        let start = decoder.clone();
        let slices = codec::decode_slices(decoder)?;
        let mut tables = Vec::new();
        for _ in 0..decoder.var_count(9, "tables")? {
            tables.push(codec::decode_table(slices, decoder)?);
        }
        let mut surroundings = Vec::new();
        for _ in 0..decoder.var_count(20, "surroundings")? {
            surroundings.push(Arc::new(codec::decode_surroundings(decoder)?));
        }
        let mut updates = Vec::new();
        for _ in 0..decoder.var_count(6, "updates")? {
            updates.push(decode_update(&tables, &surroundings, decoder)?);
        }
        let validation = Validation::decode(decoder)?;
        let mut rows = Vec::new();
        for _ in 0..decoder.var_count(12, "rows")? {
            let point = decoder.varint_u32("point")? as usize;
            rows.push((point, decode_row(slices, (&tables, &updates), decoder)?));
        }
        let mut schema = Vec::new();
        for _ in 0..decoder.var_count(SchemaChange::ENCODED_BYTES_MIN, "schema changes")? {
            schema.push(SchemaChange::decode(decoder)?);
        }
        let mut entries: BTreeMap<(TableId, Vec<u8>), (Token, Vec<u8>)> = BTreeMap::new();
        for _ in 0..decoder.var_count(11, "entries")? {
            let error = decoder.invalid("entry");
            let index = TableId(decoder.varint_u32("index")?);
            let key = (index, decoder.var_bytes("key")?.to_vec());
            if entries.last_key_value().is_some_and(|(last, _)| *last >= key) {
                return Err(error);
            }
            let token = Token(decoder.u64()?);
            entries.insert(key, (token, decoder.var_bytes("row")?.to_vec()));
        }
        let attachment = decoder.var_bytes("attachment")?.to_vec();
        let commit = CommitTransaction { validation, rows, schema, entries, attachment };
        commit.check_form(start, decoder)?;
        Ok(commit)
    }

    /// What is listed must be listed as [`CommitTransaction::append`] lists it.
    fn check_form(&self, start: Decoder<'_>, end: &Decoder<'_>) -> Result<(), DecodeError> {
        let error = start.invalid("lists of what rows share");
        let mut read = start;
        let bytes = read.raw(end.offset() - read.offset())?;
        let mut again = Vec::with_capacity(bytes.len() + 3);
        self.append(&mut again);
        if again.ends_with(bytes) && again.len() == bytes.len() + 3 { Ok(()) } else { Err(error) }
    }
}

fn append_row<'a>(row: &'a BufferedRow, shared: &mut Shared<'a>, encoder: &mut Encoder) {
    let table = shared.table(&row.table);
    encoder.varint(table as u64);
    codec::encode_address(&row.address, encoder);
    let has_before = row.before.is_some() && !matches!(row.now, Buffered::Deferred { .. });
    let before = if has_before { HAS_BEFORE } else { 0 };
    encoder.u8(before
        | match &row.now {
            Buffered::Put(_) => PUT,
            Buffered::Deleted => DELETED,
            Buffered::Deferred { .. } => DEFERRED,
        });
    if let Some(before) = &row.before
        && has_before
        && !row.table.schema.indexes.is_empty()
    {
        codec::encode_row(&row.table, before, encoder);
    }
    match &row.now {
        Buffered::Put(values) => codec::encode_row(&row.table, values, encoder),
        Buffered::Deleted => {}
        Buffered::Deferred { updates, .. } => {
            encoder.varint(updates.len() as u64);
            for update in updates {
                let position = shared.update(update, table);
                encoder.varint(position as u64);
            }
        }
    }
}

fn decode_row(
    slices: SliceCount,
    (tables, updates): (&[TableRows], &[(usize, DeferredUpdate)]),
    decoder: &mut Decoder<'_>,
) -> Result<BufferedRow, DecodeError> {
    let error = decoder.invalid("table of a row");
    let position = decoder.varint_u32("table of a row")? as usize;
    let table = tables.get(position).ok_or(error)?.clone();
    let address = codec::decode_address(slices, decoder)?;
    let error = decoder.invalid("what becomes of a row");
    let what = decoder.u8()?;
    let has_before = what & HAS_BEFORE != 0;
    let before: Option<Vec<Value>> = match (has_before, table.schema.indexes.is_empty()) {
        (false, _) => None,
        (true, true) => Some(Vec::new()),
        (true, false) => Some(codec::decode_row(&table, decoder)?),
    };
    let now = match what & !HAS_BEFORE {
        PUT => Buffered::Put(codec::decode_row(&table, decoder)?),
        DELETED => Buffered::Deleted,
        DEFERRED if !has_before => {
            let mut made = Vec::new();
            for _ in 0..decoder.var_count(1, "updates of a row")? {
                let error = decoder.invalid("update of a row");
                let update = updates.get(decoder.varint_u32("update of a row")? as usize);
                let (of_table, update) = update.ok_or(error)?;
                if *of_table != position {
                    return Err(error);
                }
                made.push(update.clone());
            }
            Buffered::Deferred { updates: made, shown: Vec::new() }
        }
        _ => return Err(error),
    };
    Ok(BufferedRow { table, address, before, now })
}

fn decode_update(
    tables: &[TableRows],
    surroundings: &[Arc<Surroundings>],
    decoder: &mut Decoder<'_>,
) -> Result<(usize, DeferredUpdate), DecodeError> {
    let error = decoder.invalid("update");
    let surroundings = surroundings.get(decoder.varint_u32("surroundings")? as usize);
    let surroundings = surroundings.ok_or(error)?.clone();
    let position = decoder.varint_u32("table")? as usize;
    let table = tables.get(position).ok_or(error)?;
    let statement = Arc::new(codec::decode_part(table, decoder)?);
    let part = Part::of(&statement);
    if !part.is_update() {
        return Err(error);
    }
    let parameters = codec::decode_values(decoder)?;
    if codec::parameters_used(&part, &parameters).len() != parameters.len() {
        return Err(error);
    }
    let parameters = parameters.into();
    Ok((position, DeferredUpdate { statement, parameters, surroundings }))
}

#[cfg(test)]
mod tests;
