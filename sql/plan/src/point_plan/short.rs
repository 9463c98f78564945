//! Which SELECT a shard core runs by itself: one table or none, reached by key or index, and no more than a sort of few rows above it.

use super::{Access, ReadOrder, RowBound, plan_access};
use crate::query::{Query, Rel, SortKey};
use crate::statement::{RowLock, ShortRead, TableAccess};
use alloc::vec::Vec;
use functions::Expr;
use types::TableSchema;
use types::schema::KeyColumn;

/// The parts of a query of the shape `Project? (Limit? (Sort? (Project (Filter? (Scan | OneRow)))))`.
#[derive(Default)]
struct Shape<'a> {
    strip: Option<&'a [Expr]>,
    limit: Option<&'a Expr>,
    offset: Option<&'a Expr>,
    sort: &'a [SortKey],
    output: &'a [Expr],
    filter: Option<&'a Expr>,
}

/// How a shard core runs a query; nothing if it is not short.
pub(crate) fn short_read(query: &Query, lock: Option<RowLock>) -> Option<ShortRead> {
    let mut shape = Shape::default();
    let mut rel = &query.root;
    if let Rel::Project { input, expressions } = rel
        && matches!(**input, Rel::Limit { .. } | Rel::Sort { .. })
    {
        shape.strip = Some(expressions);
        rel = input;
    }
    if let Rel::Limit { input, limit, offset } = rel {
        shape.limit = limit.as_ref();
        shape.offset = offset.as_ref();
        rel = input;
    }
    if let Rel::Sort { input, keys } = rel {
        shape.sort = keys;
        rel = input;
    }
    let Rel::Project { input, expressions } = rel else { return None };
    shape.output = expressions;
    rel = input;
    if let Rel::Filter { input, condition } = rel {
        shape.filter = Some(condition);
        rel = input;
    }
    let parts = shape.output.iter().chain(shape.filter).chain(shape.limit).chain(shape.offset);
    if parts.clone().any(Expr::needs_query) {
        return None;
    }
    match rel {
        Rel::OneRow => Some(without_table(&shape, lock)),
        Rel::Scan(scan) => {
            let stored = |index: u32| {
                scan.columns.get(index as usize).map_or(index, |position| u32::from(*position))
            };
            let filter = shape.filter.map(|filter| filter.map_columns(&stored));
            let (access, rest) = plan_access(&scan.table, filter.as_ref());
            if matches!(access.access, Access::Whole) {
                return None;
            }
            let output: Vec<Expr> =
                shape.output.iter().map(|one| one.map_columns(&stored)).collect();
            Some(with_table(&shape, access, rest, output, lock))
        }
        _ => None,
    }
}

fn chosen(output: Vec<Expr>, strip: Option<&[Expr]>) -> Vec<Expr> {
    match strip {
        None => output,
        Some(kept) => output.into_iter().take(kept.len()).collect(),
    }
}

/// A sort key over the select list as one over the rows below it.
fn lowered(sort: &[SortKey], output: &[Expr]) -> Vec<SortKey> {
    sort.iter()
        .map(|key| {
            let expression = match &key.expression {
                Expr::Column { index, .. } => output[*index as usize].clone(),
                other => other.clone(),
            };
            SortKey { expression, ..key.clone() }
        })
        .collect()
}

fn without_table(shape: &Shape<'_>, lock: Option<RowLock>) -> ShortRead {
    ShortRead {
        source: None,
        filter: shape.filter.cloned(),
        // One row has one order.
        sort: Vec::new(),
        limit: shape.limit.cloned(),
        offset: shape.offset.cloned(),
        output: chosen(shape.output.to_vec(), shape.strip),
        needed: Vec::new(),
        lock,
    }
}

fn with_table(
    shape: &Shape<'_>,
    mut access: TableAccess,
    filter: Option<Expr>,
    output: Vec<Expr>,
    lock: Option<RowLock>,
) -> ShortRead {
    let mut sort = lowered(shape.sort, &output);
    let single = matches!(&access.access, Access::Points(keys) if keys.len() == 1);
    if single || matches!(access.access, Access::Nothing) {
        sort.clear();
    }
    if let Access::KeyRange(range) = &access.access
        && let Some(order) = read_order(&access.table, range.equal.len(), &sort)
    {
        access.order = order;
        sort.clear();
        if shape.limit.is_some() && filter.is_none() {
            access.bound = RowBound::Limit;
        }
    }
    let output = chosen(output, shape.strip);
    let mut needed: Vec<u16> = Vec::new();
    let keys = sort.iter().map(|key| &key.expression);
    for expression in output.iter().chain(&filter).chain(keys) {
        needed.extend(expression.columns_read().into_iter().map(|index| index as u16));
    }
    needed.sort_unstable();
    needed.dedup();
    ShortRead {
        source: Some(access),
        filter,
        sort,
        limit: shape.limit.cloned(),
        offset: shape.offset.cloned(),
        output,
        needed,
        lock,
    }
}

/// In which direction key order is the order asked for, after `fixed` equal columns; nothing if in neither.
fn read_order(table: &TableSchema, fixed: usize, sort: &[SortKey]) -> Option<ReadOrder> {
    let mut direction: Option<bool> = None;
    let mut rest = table.key[fixed..].iter();
    for key in sort {
        let Expr::Column { index, .. } = &key.expression else { return None };
        let is = |column: &KeyColumn| u32::from(column.position) == *index;
        if table.key[..fixed].iter().any(is) {
            continue;
        }
        let column = rest.next()?;
        if !is(column) {
            return None;
        }
        let backward = key.descending != column.order.descending;
        if *direction.get_or_insert(backward) != backward {
            return None;
        }
    }
    Some(match direction {
        None => ReadOrder::Any,
        Some(false) => ReadOrder::Forward,
        Some(true) => ReadOrder::Backward,
    })
}
