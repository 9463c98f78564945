//! How the rows of a short statement are reached: whole primary keys, a range of clustering columns, a prefix of an index.
//!
//! The expressions of an access path see no columns: they are literals, parameters and functions of them that are stable within the statement. They
//! have the types of the key columns, casts included. A key expression that is NULL at run time matches nothing.

mod condition;
mod short;

pub(crate) use short::short_read;

use crate::statement::TableAccess;
use alloc::sync::Arc;
use alloc::vec::Vec;
use condition::{ColumnTest, Conjunct, TestKind};
use functions::Expr;
use types::TableSchema;
use types::schema::{IndexState, KeyColumn, Partitioning};

/// Keys that one statement may name; more are an analytic question.
const POINTS_MAX: usize = 1_024;

/// How rows are reached.
#[derive(Clone, Debug)]
pub enum Access {
    /// The rows with these whole keys (in key order); the same key may occur twice and counts once.
    Points(Vec<Vec<Expr>>),
    /// The rows whose key, one column, is among the elements of an array; of the key's type, or another width of integer.
    Among(Expr),
    /// Rows of one partition, neighbours in key order.
    KeyRange(KeyRange),
    /// Rows whose index entries are neighbours; the entries lie in every slice, unless the range also fixes the partition.
    IndexRange {
        /// Into `TableSchema::indexes`.
        index: usize,
        /// Columns of the index.
        range: KeyRange,
    },
    /// The condition is never true.
    Nothing,
    /// Every row must be looked at.
    Whole,
}

/// A range of keys that share leading columns.
#[derive(Clone, Debug, Default)]
pub struct KeyRange {
    /// Values of the leading key columns.
    pub equal: Vec<Expr>,
    /// Where the next key column begins, in the column's own order (not the key's).
    pub lower: Option<RangeBound>,
    /// Where it ends.
    pub upper: Option<RangeBound>,
}

/// One end of a range.
#[derive(Clone, Debug)]
pub struct RangeBound {
    /// Value of the key column after the equal ones.
    pub value: Expr,
    /// Whether the value itself is in the range.
    pub inclusive: bool,
}

/// In what order an access path gives its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadOrder {
    /// No order was asked for, or the sort keys remain to be applied.
    Any,
    /// Key order is the order asked for.
    Forward,
    /// Reverse key order is the order asked for.
    Backward,
}

/// What bounds the number of rows of an access path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowBound {
    /// The keys themselves.
    Keys,
    /// A LIMIT, with rows coming in the order asked for and no other condition.
    Limit,
    /// Nothing that is known before reading; the reader stops at a bound of its own and gives the statement to the other path.
    Unknown,
}

impl TableAccess {
    /// Every row.
    pub fn whole(table: &Arc<TableSchema>) -> TableAccess {
        TableAccess {
            table: table.clone(),
            access: Access::Whole,
            order: ReadOrder::Any,
            bound: RowBound::Unknown,
        }
    }
}

/// The best way to the rows for which a condition over stored rows is true, and what of it remains to be tested on them.
pub(crate) fn plan_access(
    table: &Arc<TableSchema>,
    filter: Option<&Expr>,
) -> (TableAccess, Option<Expr>) {
    let conjuncts = filter.map_or_else(Vec::new, |filter| condition::conjuncts(table, filter));
    let (access, used) = choose(table, &conjuncts);
    let bound = match &access {
        Access::Points(_) | Access::Nothing => RowBound::Keys,
        _ => RowBound::Unknown,
    };
    let rest: Vec<Expr> = conjuncts
        .into_iter()
        .enumerate()
        .filter(|(index, _)| !used.contains(index))
        .map(|(_, conjunct)| conjunct.expression)
        .collect();
    let rest = match rest.len() {
        0 => None,
        1 => rest.into_iter().next(),
        _ => Some(Expr::And(rest)),
    };
    (TableAccess { table: table.clone(), access, order: ReadOrder::Any, bound }, rest)
}

/// The access path, and the conjuncts that it makes superfluous.
fn choose(table: &TableSchema, conjuncts: &[Conjunct]) -> (Access, Vec<usize>) {
    if conjuncts.iter().any(|conjunct| conjunct.never) {
        return (Access::Nothing, (0..conjuncts.len()).collect());
    }
    if table.primary_key.is_some() {
        if let Some(found) = points(table, conjuncts) {
            return found;
        }
        if let [column] = table.key.as_slice()
            && let Some((index, array)) = among(conjuncts, *column)
        {
            return (Access::Among(array), alloc::vec![index]);
        }
        if let Partitioning::Hash { columns } = table.partitioning {
            let (range, used) = range(&table.key, conjuncts, Covered::Exactly);
            if range.equal.len() >= usize::from(columns) {
                return (Access::KeyRange(range), used);
            }
        }
    }
    let mut best: Option<(Access, Vec<usize>, usize)> = None;
    for (index, schema) in table.indexes.iter().enumerate() {
        if schema.state != IndexState::Public {
            continue;
        }
        let (range, used) = range(&schema.columns, conjuncts, Covered::WithNulls);
        let depth = range.equal.len();
        if depth > 0 && best.as_ref().is_none_or(|(_, _, known)| depth > *known) {
            best = Some((Access::IndexRange { index, range }, used, depth));
        }
    }
    match best {
        Some((access, used, _)) => (access, used),
        None => (Access::Whole, Vec::new()),
    }
}

fn equality_on(conjuncts: &[Conjunct], column: KeyColumn) -> Option<(usize, &ColumnTest)> {
    let mut best: Option<(usize, &ColumnTest)> = None;
    for (index, conjunct) in conjuncts.iter().enumerate() {
        let Some(test) = &conjunct.test else { continue };
        if test.position != column.position || test.kind != TestKind::Equal {
            continue;
        }
        if best.is_none_or(|(_, known)| test.values.len() < known.values.len()) {
            best = Some((index, test));
        }
    }
    best
}

/// The array among whose elements a column is.
fn among(conjuncts: &[Conjunct], column: KeyColumn) -> Option<(usize, Expr)> {
    let mut all = conjuncts.iter().enumerate();
    all.find_map(|(index, conjunct)| {
        let test = conjunct.test.as_ref()?;
        let here = test.position == column.position && test.kind == TestKind::Among;
        here.then(|| (index, test.values[0].clone()))
    })
}

/// Whole keys, if every key column is equal to something.
fn points(table: &TableSchema, conjuncts: &[Conjunct]) -> Option<(Access, Vec<usize>)> {
    let mut keys: Vec<Vec<Expr>> = alloc::vec![Vec::with_capacity(table.key.len())];
    let mut used = Vec::with_capacity(table.key.len());
    for column in &table.key {
        let (index, test) = equality_on(conjuncts, *column)?;
        used.push(index);
        if keys.len() * test.values.len() > POINTS_MAX {
            return None;
        }
        if let [value] = test.values.as_slice() {
            keys.iter_mut().for_each(|key| key.push(value.clone()));
            continue;
        }
        let mut next = Vec::with_capacity(keys.len() * test.values.len());
        for key in &keys {
            for value in &test.values {
                let mut longer = key.clone();
                longer.push(value.clone());
                next.push(longer);
            }
        }
        keys = next;
    }
    Some((Access::Points(keys), used))
}

/// Whether a range of a key holds exactly the rows of the conditions it was made from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Covered {
    Exactly,
    /// NULLs lie at an end of the range: the conditions remain to be tested.
    WithNulls,
}

/// Equal leading columns, then bounds of the next one.
fn range(
    columns: &[KeyColumn],
    conjuncts: &[Conjunct],
    covered: Covered,
) -> (KeyRange, Vec<usize>) {
    let mut range = KeyRange::default();
    let mut used = Vec::new();
    for column in columns {
        match equality_on(conjuncts, *column) {
            Some((index, test)) if test.values.len() == 1 => {
                range.equal.push(test.values[0].clone());
                used.push(index);
            }
            _ => break,
        }
    }
    let Some(next) = columns.get(range.equal.len()) else { return (range, used) };
    for (index, conjunct) in conjuncts.iter().enumerate() {
        let Some(test) = conjunct.test.as_ref().filter(|test| test.position == next.position)
        else {
            continue;
        };
        let (side, inclusive) = match test.kind {
            TestKind::Equal | TestKind::Among => continue,
            TestKind::Above { inclusive } => (&mut range.lower, inclusive),
            TestKind::Below { inclusive } => (&mut range.upper, inclusive),
        };
        // A second bound on the same side stays a condition.
        if side.is_none() {
            *side = Some(RangeBound { value: test.values[0].clone(), inclusive });
            if covered == Covered::Exactly {
                used.push(index);
            }
        }
    }
    (range, used)
}
