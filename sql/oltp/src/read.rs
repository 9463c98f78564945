//! Short reads: rows by key or by a bounded range, then filter, order, limit and projection over them.

use std::sync::Arc;

use accord::{Access, Commit, Footprint, Outcome, RangeNeed, Rows, View, Workload};
use functions::{EvalContext, Expr, evaluate, evaluate_predicate};
use plan::point_plan::ReadOrder;
use plan::query::SortKey;
use plan::statement::ShortRead;
use types::codec::{DecodeError, Decoder, Encoder};
use types::schema::RowAddress;
use types::{SchemaVersion, SqlState, TableId, Timestamp, Value};

use crate::READ_ROWS_MAX;
use crate::access::{Bounds, Targets};
use crate::codec;
use crate::engine::Engine;
use crate::error::{OltpError, StatementError};
use crate::row::TableRows;
use crate::transaction::OwnRow;

/// Stored rows as bytes, one after the other.
#[derive(Clone, Debug, Default)]
pub struct StoredRows {
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

impl StoredRows {
    /// Adds one.
    pub fn push(&mut self, row: &[u8]) {
        self.bytes.extend_from_slice(row);
        self.ends.push(u32::try_from(self.bytes.len()).expect("a short read is bounded"));
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// One of them.
    ///
    /// # Panics
    /// If there are not so many.
    pub fn get(&self, index: usize) -> &[u8] {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        &self.bytes[start..self.ends[index] as usize]
    }

    /// Each in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        (0..self.ends.len()).map(|index| self.get(index))
    }

    /// For the way between cores: count, ends, bytes.
    fn into_reply(self) -> Vec<u8> {
        let mut reply = Vec::with_capacity(4 + 4 * self.ends.len() + self.bytes.len());
        reply.extend_from_slice(&(self.ends.len() as u32).to_le_bytes());
        for end in &self.ends {
            reply.extend_from_slice(&end.to_le_bytes());
        }
        reply.extend_from_slice(&self.bytes);
        reply
    }

    fn from_reply(mut reply: Vec<u8>) -> StoredRows {
        let word = |at: usize| {
            let bytes = reply[at..at + 4].try_into().expect("four bytes");
            u32::from_le_bytes(bytes)
        };
        let count = word(0) as usize;
        let ends = (0..count).map(|index| word(4 + 4 * index)).collect();
        reply.drain(..4 + 4 * count);
        StoredRows { bytes: reply, ends }
    }
}

/// Gives back every row of its footprint.
#[derive(Debug)]
pub(crate) struct ReadRows {
    pub(crate) points: usize,
    pub(crate) ranges: usize,
}

impl ReadRows {
    /// The form is in [`crate::codec`].
    pub(crate) fn decode(decoder: &mut Decoder<'_>) -> Result<ReadRows, DecodeError> {
        let error = decoder.invalid("points and ranges");
        let points = decoder.varint_u32("points")?;
        let ranges = decoder.varint_u32("ranges")?;
        if points > READ_ROWS_MAX || ranges > 1 {
            return Err(error);
        }
        Ok(ReadRows { points: points as usize, ranges: ranges as usize })
    }
}

impl Workload for ReadRows {
    fn evaluate(&self, _execute_at: Timestamp, view: &dyn View) -> Outcome {
        let mut rows = StoredRows::default();
        for point in 0..self.points {
            if let Some(version) = view.point(point) {
                rows.push(&version.row);
            }
        }
        for range in 0..self.ranges {
            view.range(range, &mut |_, _, row| rows.push(row));
        }
        Outcome::Commit(Commit { reply: rows.into_reply(), ..Commit::default() })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let mut encoder = Encoder::after(std::mem::take(out));
        codec::encode_head(codec::READ_ROWS, &mut encoder);
        encoder.varint(self.points as u64);
        encoder.varint(self.ranges as u64);
        *out = encoder.into_bytes();
    }
}

/// The footprint of reading some targets.
pub(crate) fn read_footprint(
    table: &TableRows,
    targets: &Targets,
    planned: &[(TableId, SchemaVersion)],
) -> Footprint {
    let mut footprint = Footprint::new();
    for (table, version) in planned {
        footprint.planned_at(*table, *version);
    }
    match targets {
        Targets::Points(addresses) => {
            add_points(&mut footprint, table.schema.storage_id, addresses)
        }
        Targets::Range(bounds) | Targets::Index(_, bounds) => {
            add_range(&mut footprint, bounds, Access::Read);
        }
        Targets::Whole => {}
    }
    footprint
}

pub(crate) fn add_points(footprint: &mut Footprint, table: TableId, addresses: &[RowAddress]) {
    for address in addresses {
        footprint.point(table, address.token, &address.key, Access::Read);
    }
}

pub(crate) fn add_range(footprint: &mut Footprint, bounds: &Bounds, access: Access) -> usize {
    let need = RangeNeed::Rows { limit: READ_ROWS_MAX + 1 };
    let keys = (bounds.low.as_slice(), bounds.high.as_deref());
    footprint.range(bounds.table, bounds.tokens, keys, access, need)
}

/// Reads the newest rows of some targets, in key order for a range. Sees everything acknowledged before.
///
/// # Errors
/// [`OltpError::TooManyRows`] beyond [`READ_ROWS_MAX`] rows and for a whole table; those of the engine.
pub async fn read_now<E: Engine>(
    engine: &E,
    table: &TableRows,
    targets: &Targets,
    planned: &[(TableId, SchemaVersion)],
) -> Result<StoredRows, OltpError> {
    let (points, ranges) = match targets {
        Targets::Points(addresses) if addresses.is_empty() => return Ok(StoredRows::default()),
        Targets::Points(addresses) => (addresses.len(), 0),
        Targets::Range(_) => (0, 1),
        Targets::Index(index, bounds) => {
            let at = engine.begin().await?;
            let rows = read_index_at(engine, table, *index, bounds, at).await;
            engine.end_snapshot(at);
            let mut stored = StoredRows::default();
            for (_, _, row) in rows? {
                stored.push(&row);
            }
            return Ok(stored);
        }
        Targets::Whole => return Err(OltpError::TooManyRows),
    };
    let footprint = Arc::new(read_footprint(table, targets, planned));
    let committed = engine.submit(footprint, Arc::new(ReadRows { points, ranges })).await?;
    let rows = StoredRows::from_reply(committed.reply);
    if rows.len() > READ_ROWS_MAX as usize {
        return Err(OltpError::TooManyRows);
    }
    Ok(rows)
}

/// Rows found by an index at a snapshot: address, version, bytes. The order is that of the index.
pub(crate) async fn read_index_at<E: Engine>(
    engine: &E,
    table: &TableRows,
    index: usize,
    bounds: &Bounds,
    at: Timestamp,
) -> Result<Vec<(RowAddress, Timestamp, Vec<u8>)>, OltpError> {
    let mut footprint = Footprint::new();
    let range = add_range(&mut footprint, bounds, Access::Read);
    let entries = engine.read_at(at, Arc::new(footprint)).await?;
    let addresses = index_addresses(table, index, &entries, range)?;
    if addresses.len() > READ_ROWS_MAX as usize {
        return Err(OltpError::TooManyRows);
    }
    read_points_at(engine, table, addresses, at).await
}

/// Rows by key at a snapshot; those that are not there are left out.
pub(crate) async fn read_points_at<E: Engine>(
    engine: &E,
    table: &TableRows,
    addresses: Vec<RowAddress>,
    at: Timestamp,
) -> Result<Vec<(RowAddress, Timestamp, Vec<u8>)>, OltpError> {
    if addresses.is_empty() {
        return Ok(Vec::new());
    }
    let mut footprint = Footprint::new();
    add_points(&mut footprint, table.schema.storage_id, &addresses);
    let rows = engine.read_at(at, Arc::new(footprint)).await?;
    let found = addresses.into_iter().enumerate().filter_map(|(point, address)| {
        let version = rows.point(point)?;
        Some((address, version.execute_at, version.row.into_owned()))
    });
    Ok(found.collect())
}

/// The addresses of the rows behind index entries.
fn index_addresses(
    table: &TableRows,
    index: usize,
    entries: &Rows,
    range: usize,
) -> Result<Vec<RowAddress>, OltpError> {
    let positions = table.schema.index_entry_columns(&table.schema.indexes[index]);
    let types: Vec<_> =
        positions.iter().map(|position| table.types[usize::from(*position)]).collect();
    let mut failure = None;
    let mut addresses = Vec::new();
    let null = Value::Null;
    entries.range(range, &mut |entry_key, _, row| match types::row::decode_row(&types, row, |_| {
        &null
    }) {
        Ok(values) => {
            let key: Vec<&Value> = table
                .schema
                .key
                .iter()
                .map(|column| {
                    let place = positions.iter().position(|p| *p == column.position);
                    &values[place.expect("an index entry holds the row's key")]
                })
                .collect();
            addresses.push((entry_key.to_vec(), table.schema.address(table.slices, &key)));
        }
        Err(error) => {
            let table = table.schema.indexes[index].index_id;
            failure = Some(OltpError::Damaged { table, column: error.column });
        }
    });
    if let Some(error) = failure {
        return Err(error);
    }
    // Slices come one after the other; the reader wants index order over all of them.
    addresses.sort_by(|(left, _), (right, _)| left.cmp(right));
    Ok(addresses.into_iter().map(|(_, address)| address).collect())
}

/// The result of a short read.
#[derive(Clone, Debug)]
pub enum ReadOutcome {
    /// Columns of stored rows, untouched: the positions ascend.
    Stored {
        /// The rows.
        rows: StoredRows,
        /// Stored position of each result column.
        positions: Vec<u16>,
    },
    /// Computed rows.
    Values(Vec<Vec<Value>>),
}

impl ReadOutcome {
    /// Rows of the result.
    pub fn row_count(&self) -> usize {
        match self {
            ReadOutcome::Stored { rows, .. } => rows.len(),
            ReadOutcome::Values(rows) => rows.len(),
        }
    }
}

/// Filter, order, limit and projection.
///
/// # Errors
/// What the expressions raise; damaged rows.
pub fn finish_read(
    short: &ShortRead,
    table: Option<&TableRows>,
    rows: StoredRows,
    parameters: &[Value],
    context: &EvalContext<'_>,
) -> Result<ReadOutcome, OltpError> {
    let limit = row_limit(short.limit.as_ref(), "LIMIT", parameters, context)?;
    let offset = row_limit(short.offset.as_ref(), "OFFSET", parameters, context)?.unwrap_or(0);
    let Some(table) = table else {
        let kept = match &short.filter {
            Some(filter) => evaluate_predicate(filter, &[], parameters, context)
                .map_err(StatementError::from)?,
            None => true,
        };
        let mut values = Vec::new();
        if kept && offset == 0 && limit != Some(0) {
            values.push(project(&short.output, &[], parameters, context)?);
        }
        return Ok(ReadOutcome::Values(values));
    };
    let backward = short.source.as_ref().is_some_and(|source| source.order == ReadOrder::Backward);
    let plain = plain_positions(&short.output);
    let untouched = short.filter.is_none() && short.sort.is_empty() && offset == 0 && !backward;
    if let (Some(positions), true) = (&plain, untouched) {
        let mut kept = rows;
        if let Some(limit) = limit
            && limit < kept.len()
        {
            let mut cut = StoredRows::default();
            kept.iter().take(limit).for_each(|row| cut.push(row));
            kept = cut;
        }
        return Ok(ReadOutcome::Stored { rows: kept, positions: positions.clone() });
    }
    let mut decoded = Vec::with_capacity(rows.len());
    let mut decode = |bytes: &[u8]| -> Result<(), OltpError> {
        let row = table.decode(bytes)?;
        let keep = match &short.filter {
            Some(filter) => evaluate_predicate(filter, &row, parameters, context)
                .map_err(StatementError::from)?,
            None => true,
        };
        if keep {
            decoded.push(row);
        }
        Ok(())
    };
    if backward {
        rows.iter().rev().try_for_each(&mut decode)?;
    } else {
        rows.iter().try_for_each(&mut decode)?;
    }
    sort_rows(&mut decoded, &short.sort, parameters, context)?;
    let chosen = decoded.iter().skip(offset).take(limit.unwrap_or(usize::MAX));
    let values: Result<Vec<_>, OltpError> =
        chosen.map(|row| project(&short.output, row, parameters, context)).collect();
    Ok(ReadOutcome::Values(values?))
}

/// Rows that a short read would give, before its LIMIT: those that pass its condition, in its order, without the first ones that OFFSET leaves out.
///
/// # Errors
/// What the expressions raise.
pub fn candidates(
    short: &ShortRead,
    rows: Vec<OwnRow>,
    parameters: &[Value],
    context: &EvalContext<'_>,
) -> Result<(Vec<OwnRow>, usize), OltpError> {
    let limit = row_limit(short.limit.as_ref(), "LIMIT", parameters, context)?;
    let offset = row_limit(short.offset.as_ref(), "OFFSET", parameters, context)?.unwrap_or(0);
    let backward = short.source.as_ref().is_some_and(|source| source.order == ReadOrder::Backward);
    let mut kept = Vec::with_capacity(rows.len());
    for row in rows {
        let passes = match &short.filter {
            Some(filter) => evaluate_predicate(filter, &row.values, parameters, context)
                .map_err(StatementError::from)?,
            None => true,
        };
        if passes {
            let keys = short.sort.iter();
            let keys = keys.map(|key| evaluate(&key.expression, &row.values, parameters, context));
            let keys: Result<Vec<Value>, _> = keys.collect();
            kept.push((keys.map_err(StatementError::from)?, row));
        }
    }
    if backward {
        kept.reverse();
    }
    kept.sort_by(|(left, _), (right, _)| compare_keys(left, right, &short.sort));
    let rows = kept.into_iter().skip(offset).map(|(_, row)| row).collect();
    Ok((rows, limit.unwrap_or(usize::MAX)))
}

/// Stored positions of a projection that only picks columns in ascending order.
fn plain_positions(output: &[Expr]) -> Option<Vec<u16>> {
    let positions: Option<Vec<u16>> = output
        .iter()
        .map(|expr| match expr {
            Expr::Column { index, .. } => u16::try_from(*index).ok(),
            _ => None,
        })
        .collect();
    positions.filter(|positions| positions.windows(2).all(|pair| pair[0] < pair[1]))
}

pub(crate) fn project(
    output: &[Expr],
    row: &[Value],
    parameters: &[Value],
    context: &EvalContext<'_>,
) -> Result<Vec<Value>, OltpError> {
    let values: Result<Vec<Value>, _> =
        output.iter().map(|expr| evaluate(expr, row, parameters, context)).collect();
    Ok(values.map_err(StatementError::from)?)
}

fn sort_rows(
    rows: &mut Vec<Vec<Value>>,
    keys: &[SortKey],
    parameters: &[Value],
    context: &EvalContext<'_>,
) -> Result<(), OltpError> {
    if keys.is_empty() {
        return Ok(());
    }
    let mut keyed = Vec::with_capacity(rows.len());
    for row in rows.drain(..) {
        let values: Result<Vec<Value>, _> =
            keys.iter().map(|key| evaluate(&key.expression, &row, parameters, context)).collect();
        keyed.push((values.map_err(StatementError::from)?, row));
    }
    keyed.sort_by(|(left, _), (right, _)| compare_keys(left, right, keys));
    rows.extend(keyed.into_iter().map(|(_, row)| row));
    Ok(())
}

fn compare_keys(left: &[Value], right: &[Value], keys: &[SortKey]) -> std::cmp::Ordering {
    for ((left, right), key) in left.iter().zip(right).zip(keys) {
        let order = match (left.is_null(), right.is_null()) {
            (true, true) => std::cmp::Ordering::Equal,
            (true, false) if key.nulls_first => std::cmp::Ordering::Less,
            (true, false) => std::cmp::Ordering::Greater,
            (false, true) if key.nulls_first => std::cmp::Ordering::Greater,
            (false, true) => std::cmp::Ordering::Less,
            (false, false) if key.descending => right.sql_cmp(left),
            (false, false) => left.sql_cmp(right),
        };
        if order.is_ne() {
            return order;
        }
    }
    std::cmp::Ordering::Equal
}

/// The value of LIMIT or OFFSET; NULL is none.
fn row_limit(
    expr: Option<&Expr>,
    clause: &str,
    parameters: &[Value],
    context: &EvalContext<'_>,
) -> Result<Option<usize>, StatementError> {
    let Some(expr) = expr else { return Ok(None) };
    match evaluate(expr, &[], parameters, context)? {
        Value::Null => Ok(None),
        Value::Int8(count) if count >= 0 => Ok(Some(usize::try_from(count).unwrap_or(usize::MAX))),
        Value::Int8(_) => {
            let sqlstate = if clause == "LIMIT" {
                SqlState::INVALID_ROW_COUNT_IN_LIMIT
            } else {
                SqlState::INVALID_ROW_COUNT_IN_OFFSET
            };
            Err(StatementError::new(sqlstate, format!("{clause} must not be negative")))
        }
        other => Err(StatementError::new(
            SqlState::INTERNAL_ERROR,
            format!("{clause} is planned as bigint and came as {other:?}"),
        )),
    }
}
