//! SQL's workloads as bytes: what travels to every node that may have to evaluate a transaction, and what a recovery finds.
//!
//! ```text
//! 16  read of rows        version (1) | points | ranges
//! 17  statement, one turn version (1) | library | slices | table | surroundings | statement | parameters | rows? | { token (8), key }*
//! 18  COMMIT              version (1) | library | slices | table* | surroundings* | update* | validation | row* | schema* | entry* | attachment
//! 19  COMMIT if unchanged  version (1) | { range, at (16) }* | a workload of kind 18
//! ```
//! `library` is the version of the function library by which the expressions were bound; a node that does not evaluate it takes no part.
//!
//! Invariants:
//! - One form: what decodes encodes to the same bytes. So lists of what is shared (tables, surroundings, updates) are in the order of their first use, each
//!   is used, and no table occurs twice.
//! - Decoding checks what evaluation relies on: positions within a row, rows of their table's types, no NULL where a key cannot hold one. It does not
//!   check that the footprint beside it names the same rows: who sends one sends both.
//! - Only what [`functions::Expr::check_portable`] passes is submitted; whoever compiles a statement asks it ([`crate::statement`]).
//!
//! A table travels as what evaluation needs of it: no defaults, checks (they are a part of the statement, bound), sequences or modifiers. Memory for what is
//! decoded is a small multiple of the bytes.

use std::ops::RangeInclusive;
use std::sync::Arc;

use accord::{Workload, WorkloadCodec, WorkloadDecodeError};
use functions::{LIBRARY_VERSION, LIBRARY_VERSION_OLDEST};
use types::codec::{DecodeError, Decoder, Encoder};
use types::schema::RowAddress;
use types::token::SliceCount;
use types::{TextSettings, Timestamp, Token, Value};

use crate::evaluation::Surroundings;
use crate::read::ReadRows;
use crate::row::TableRows;
use crate::statement::PointWrite;
use crate::transaction::CommitTransaction;
use crate::unchanged::Unchanged;

mod layout;
mod parts;

pub(crate) use layout::{decode_table, encode_table};
pub(crate) use parts::{Part, decode_part, encode_part, parameters_used};

/// The kinds of this crate.
pub const WORKLOAD_KINDS: RangeInclusive<u8> = 16..=63;

pub(crate) const READ_ROWS: u8 = 16;
pub(crate) const POINT_WRITE: u8 = 17;
pub(crate) const COMMIT: u8 = 18;
pub(crate) const UNCHANGED: u8 = 19;

/// Of every kind; a kind whose form changes gets a version of its own.
const FORMAT: u8 = 1;

// When there are two, a decoded workload has to remember which of them it carries, and a statement which of them it was planned for.
const _: () = assert!(LIBRARY_VERSION_OLDEST == LIBRARY_VERSION);

/// Decodes the workloads of SQL, kinds [`WORKLOAD_KINDS`]. The program's codec hands those over to it, and `shard`'s to [`shard::decode_workload`].
#[derive(Clone, Copy, Debug, Default)]
pub struct SqlWorkloads;

impl SqlWorkloads {
    /// Versions of the function library whose expressions it evaluates.
    pub const LIBRARY_VERSIONS: RangeInclusive<u16> = LIBRARY_VERSION_OLDEST..=LIBRARY_VERSION;
}

impl WorkloadCodec for SqlWorkloads {
    fn decode(&self, bytes: &[u8]) -> Result<Arc<dyn Workload>, WorkloadDecodeError> {
        let decoder = &mut Decoder::new(bytes);
        let kind = decoder.u8()?;
        if !matches!(kind, READ_ROWS..=UNCHANGED) {
            return Err(WorkloadDecodeError::UnknownKind { kind });
        }
        let error = decoder.invalid("workload format");
        if decoder.u8()? != FORMAT {
            return Err(error.into());
        }
        let workload: Arc<dyn Workload> = match kind {
            READ_ROWS => Arc::new(ReadRows::decode(decoder)?),
            POINT_WRITE => {
                check_library(decoder)?;
                Arc::new(PointWrite::decode(decoder)?)
            }
            UNCHANGED => return self.decode_unchanged(decoder),
            _ => {
                check_library(decoder)?;
                Arc::new(CommitTransaction::decode(decoder)?)
            }
        };
        decoder.finish()?;
        Ok(workload)
    }
}

impl SqlWorkloads {
    fn decode_unchanged(
        self,
        decoder: &mut Decoder<'_>,
    ) -> Result<Arc<dyn Workload>, WorkloadDecodeError> {
        let mut ranges = Vec::new();
        for _ in 0..decoder.var_count(17, "ranges")? {
            let range = decoder.varint_u32("range")? as usize;
            ranges.push((range, Timestamp(decoder.u128()?)));
        }
        let error = decoder.invalid("what takes effect");
        let wrapped = decoder.raw(decoder.remaining())?;
        if wrapped.first() != Some(&COMMIT) {
            return Err(error.into());
        }
        let workload = self.decode(wrapped)?;
        Ok(Arc::new(Unchanged { workload, ranges }))
    }
}

fn check_library(decoder: &mut Decoder<'_>) -> Result<(), WorkloadDecodeError> {
    let error = decoder.invalid("library version");
    let found = u16::try_from(decoder.varint("library version")?).map_err(|_| error)?;
    if SqlWorkloads::LIBRARY_VERSIONS.contains(&found) {
        return Ok(());
    }
    let (oldest, newest) = SqlWorkloads::LIBRARY_VERSIONS.into_inner();
    Err(WorkloadDecodeError::UnknownLibraryVersion { found, oldest, newest })
}

pub(crate) fn encode_head(kind: u8, encoder: &mut Encoder) {
    encoder.u8(kind);
    encoder.u8(FORMAT);
    if matches!(kind, POINT_WRITE | COMMIT) {
        encoder.varint(u64::from(LIBRARY_VERSION));
    }
}

pub(crate) fn decode_slices(decoder: &mut Decoder<'_>) -> Result<SliceCount, DecodeError> {
    let error = decoder.invalid("slices");
    let count = u16::try_from(decoder.varint("slices")?).map_err(|_| error)?;
    SliceCount::new(count).ok_or(error)
}

pub(crate) fn encode_surroundings(surroundings: &Surroundings, encoder: &mut Encoder) {
    surroundings.settings.encode(encoder);
    encoder.i64(surroundings.settings.transaction_micros);
    encoder.i64(surroundings.statement_micros);
    encoder.var_bytes(surroundings.user.as_bytes());
    encoder.var_bytes(surroundings.database.as_bytes());
}

pub(crate) fn decode_surroundings(decoder: &mut Decoder<'_>) -> Result<Surroundings, DecodeError> {
    let settings = TextSettings::decode(decoder)?;
    let settings = TextSettings { transaction_micros: decoder.i64()?, ..settings };
    Ok(Surroundings {
        settings,
        statement_micros: decoder.i64()?,
        user: decoder.var_str("user")?.into(),
        database: decoder.var_str("database")?.into(),
        catalog: Arc::new(functions::NoCatalog),
        random_seed: 0,
    })
}

pub(crate) fn encode_values(values: &[Value], encoder: &mut Encoder) {
    encoder.varint(values.len() as u64);
    values.iter().for_each(|value| encoder.value(value));
}

pub(crate) fn decode_values(decoder: &mut Decoder<'_>) -> Result<Vec<Value>, DecodeError> {
    let count = decoder.var_count(1, "parameters")?;
    // A value may take twenty times its bytes: room is made as they come.
    let mut values = Vec::with_capacity(count.min(16));
    for _ in 0..count {
        values.push(decoder.value()?);
    }
    Ok(values)
}

pub(crate) fn encode_address(address: &RowAddress, encoder: &mut Encoder) {
    encoder.u64(address.token.0);
    encoder.var_bytes(&address.key);
}

pub(crate) fn decode_address(
    slices: SliceCount,
    decoder: &mut Decoder<'_>,
) -> Result<RowAddress, DecodeError> {
    let token = Token(decoder.u64()?);
    let error = decoder.invalid("key");
    let key = decoder.var_bytes("key")?.to_vec();
    if key.len() > types::limits::KEY_BYTES_MAX {
        return Err(error);
    }
    Ok(RowAddress { token, slice: slices.slice_of(token), key })
}

/// A stored row in the form in which it is stored.
pub(crate) fn encode_row(table: &TableRows, row: &[Value], encoder: &mut Encoder) {
    let mut bytes = Vec::with_capacity(64);
    types::row::encode_row(&table.types, row, &mut bytes);
    encoder.var_bytes(&bytes);
}

pub(crate) fn decode_row(
    table: &TableRows,
    decoder: &mut Decoder<'_>,
) -> Result<Vec<Value>, DecodeError> {
    let error = decoder.invalid("row");
    let bytes = decoder.var_bytes("row")?;
    let row = table.decode(bytes).map_err(|_| error)?;
    let mut again = Vec::with_capacity(bytes.len());
    types::row::encode_row(&table.types, &row, &mut again);
    if again != bytes || table.null_in_key(&row).is_some() {
        return Err(error);
    }
    Ok(row)
}
