//! What evaluation needs of a statement of rows, as bytes.
//!
//! ```text
//! statement  kind (1) | its parts: assignment* , condition?, check*, expression of RETURNING*?
//! ```
//! The way to the rows, the query that finds them and what the client is told have done their work before anything is sent.

use functions::Expr;
use functions::expr::{decode_expr, encode_expr};
use plan::classify::{OltpReason, Path};
use plan::query::Subqueries;
use plan::statement::{
    BoundCheck, BoundStatement, Deferred, Delete, Insert, InsertSource, OnConflict, Statement,
    TableAccess, Update,
};
use types::Value;
use types::codec::{DecodeError, Decoder, Encoder};

use super::layout::may_be_null_in_key;
use crate::row::TableRows;

const INSERT: u8 = 0;
const INSERT_OR_NOTHING: u8 = 1;
const INSERT_OR_UPDATE: u8 = 2;
const UPDATE: u8 = 3;
const DELETE: u8 = 4;

/// What is evaluated of a statement.
#[derive(Clone, Copy, Default)]
pub(crate) struct Part<'a> {
    kind: u8,
    assignments: &'a [(u16, Expr)],
    filter: Option<&'a Expr>,
    checks: &'a [BoundCheck],
    returning: Option<&'a [Expr]>,
}

impl<'a> Part<'a> {
    /// # Panics
    /// If it is no statement of rows.
    pub(crate) fn of(statement: &'a BoundStatement) -> Part<'a> {
        match &statement.statement {
            Statement::Insert(insert) => {
                let part = Part {
                    kind: INSERT,
                    checks: &insert.checks,
                    returning: insert.returning.as_deref(),
                    ..Part::default()
                };
                match &insert.on_conflict {
                    None => part,
                    Some(OnConflict::DoNothing) => Part { kind: INSERT_OR_NOTHING, ..part },
                    Some(OnConflict::DoUpdate { assignments, filter }) => {
                        let filter = filter.as_ref();
                        Part { kind: INSERT_OR_UPDATE, assignments, filter, ..part }
                    }
                }
            }
            Statement::Update(update) => Part {
                kind: UPDATE,
                assignments: &update.assignments,
                filter: update.filter.as_ref(),
                checks: &update.checks,
                returning: update.returning.as_deref(),
            },
            Statement::Delete(delete) => Part {
                kind: DELETE,
                filter: delete.filter.as_ref(),
                returning: delete.returning.as_deref(),
                ..Part::default()
            },
            other => unreachable!("no statement of rows: {other:?}"),
        }
    }

    /// Whether it brings rows.
    pub(crate) fn is_insert(&self) -> bool {
        matches!(self.kind, INSERT | INSERT_OR_NOTHING | INSERT_OR_UPDATE)
    }

    /// Whether it is an UPDATE: what may be deferred.
    pub(crate) fn is_update(&self) -> bool {
        self.kind == UPDATE
    }

    fn visit(&self, visit: &mut dyn FnMut(&Expr)) {
        self.assignments.iter().for_each(|(_, value)| visit(value));
        self.filter.iter().for_each(|filter| visit(filter));
        self.checks.iter().for_each(|check| visit(&check.condition));
        self.returning.iter().copied().flatten().for_each(visit);
    }
}

/// The parameters that an expression can name: the others have become rows and keys.
pub(crate) fn parameters_used<'v>(part: &Part<'_>, parameters: &'v [Value]) -> &'v [Value] {
    let mut used = 0;
    part.visit(&mut |expr| {
        expr.walk(&mut |node| {
            if let Expr::Parameter { index, .. } = node {
                used = used.max(*index as usize + 1);
            }
        });
    });
    &parameters[..used.min(parameters.len())]
}

fn append(expr: &Expr, encoder: &mut Encoder) {
    encode_expr(expr, encoder).expect("only portable statements are evaluated where the rows are");
}

pub(crate) fn encode_part(part: &Part<'_>, encoder: &mut Encoder) {
    encoder.u8(part.kind);
    if matches!(part.kind, INSERT_OR_UPDATE | UPDATE) {
        encoder.varint(part.assignments.len() as u64);
        for (position, value) in part.assignments {
            encoder.varint(u64::from(*position));
            append(value, encoder);
        }
    }
    if matches!(part.kind, INSERT_OR_UPDATE | UPDATE | DELETE) {
        encoder.bool(part.filter.is_some());
        part.filter.iter().for_each(|filter| append(filter, encoder));
    }
    if part.kind != DELETE {
        encoder.varint(part.checks.len() as u64);
        for check in part.checks {
            encoder.var_bytes(check.name.as_bytes());
            append(&check.condition, encoder);
        }
    }
    encoder.bool(part.returning.is_some());
    if let Some(returning) = part.returning {
        encoder.varint(returning.len() as u64);
        returning.iter().for_each(|expr| append(expr, encoder));
    }
}

/// Reads what [`encode_part`] appended, as a statement of which only that is filled in.
pub(crate) fn decode_part(
    table: &TableRows,
    decoder: &mut Decoder<'_>,
) -> Result<BoundStatement, DecodeError> {
    let error = decoder.invalid("statement");
    let kind = decoder.u8()?;
    if kind > DELETE {
        return Err(error);
    }
    let assignments = match kind {
        INSERT_OR_UPDATE | UPDATE => decode_assignments(table, decoder)?,
        _ => Vec::new(),
    };
    let has_filter = matches!(kind, INSERT_OR_UPDATE | UPDATE | DELETE);
    let filter =
        if has_filter && decoder.bool("condition")? { Some(decode_expr(decoder)?) } else { None };
    let checks = if kind == DELETE { Vec::new() } else { decode_checks(decoder)? };
    let returning = if decoder.bool("returning")? { Some(decode_list(decoder)?) } else { None };
    let target = TableAccess::whole(&table.schema);
    let statement = match kind {
        UPDATE => Statement::Update(Box::new(Update {
            target,
            filter,
            footprint: None,
            assignments,
            checks,
            returning,
            deferred: Deferred::Impossible,
        })),
        DELETE => {
            Statement::Delete(Box::new(Delete { target, filter, footprint: None, returning }))
        }
        _ => {
            let on_conflict = match kind {
                INSERT => None,
                INSERT_OR_NOTHING => Some(OnConflict::DoNothing),
                _ => Some(OnConflict::DoUpdate { assignments, filter }),
            };
            let source = InsertSource::Rows(Vec::new());
            let table = table.schema.clone();
            Statement::Insert(Box::new(Insert { table, source, checks, on_conflict, returning }))
        }
    };
    Ok(BoundStatement {
        statement,
        subqueries: Subqueries::default(),
        parameters: Vec::new(),
        columns: Vec::new(),
        tables: Vec::new(),
        path: Path::Oltp(OltpReason::NoTable),
        notices: Vec::new(),
    })
}

fn decode_assignments(
    table: &TableRows,
    decoder: &mut Decoder<'_>,
) -> Result<Vec<(u16, Expr)>, DecodeError> {
    let count = decoder.var_count(3, "assignments")?;
    let mut assignments = Vec::with_capacity(count.min(16));
    for _ in 0..count {
        let error = decoder.invalid("assigned column");
        let position = u16::try_from(decoder.varint("assigned column")?).map_err(|_| error)?;
        let known = table.schema.columns.get(usize::from(position));
        if known.is_none() || may_be_null_in_key(table, position) {
            return Err(error);
        }
        assignments.push((position, decode_expr(decoder)?));
    }
    Ok(assignments)
}

fn decode_checks(decoder: &mut Decoder<'_>) -> Result<Vec<BoundCheck>, DecodeError> {
    let count = decoder.var_count(3, "checks")?;
    let mut checks = Vec::with_capacity(count.min(16));
    for _ in 0..count {
        let name = decoder.var_str("check name")?.into();
        checks.push(BoundCheck { name, condition: decode_expr(decoder)? });
    }
    Ok(checks)
}

fn decode_list(decoder: &mut Decoder<'_>) -> Result<Vec<Expr>, DecodeError> {
    let count = decoder.var_count(2, "returning")?;
    let mut list = Vec::with_capacity(count.min(16));
    for _ in 0..count {
        list.push(decode_expr(decoder)?);
    }
    Ok(list)
}
