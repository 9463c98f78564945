//! Which names an expression sees, and what they mean. Source: PostgreSQL 15, `parse_relation.c` for the rules, their errors and hints.

use crate::error::{PlanError, Result};
use crate::query::{AggregateCall, SetFunction, WindowCall};
use crate::syntax::{self, Name};
use alloc::boxed::Box;
use alloc::format;
use alloc::rc::Rc;
use alloc::sync::Arc;
use alloc::vec::Vec;
use functions::Expr;
use types::{ColumnType, SqlState, TableId, TableSchema};

/// Column indexes from here on stand for results of calls until the select list is complete: see `bind/group.rs`.
pub(super) const AGGREGATE_MARK: u32 = 0x4000_0000;
pub(super) const WINDOW_MARK: u32 = 0x2000_0000;
pub(super) const SET_MARK: u32 = 0x1000_0000;
pub(super) const GROUPING_MARK: u32 = 0x0800_0000;

/// One column that can be named.
#[derive(Clone, Debug)]
pub(super) struct ScopeColumn {
    pub(super) name: Box<str>,
    pub(super) column_type: ColumnType,
    /// What it is over the row; a plain column unless it merges two of a join.
    pub(super) value: ColumnValue,
    pub(super) origin: Option<(TableId, i16)>,
}

/// Where a named column's value comes from.
#[derive(Clone, Debug)]
pub(super) enum ColumnValue {
    /// This column of the row.
    At(u32),
    /// This expression over the row.
    Merged(Rc<Expr>),
}

impl ScopeColumn {
    pub(super) fn expression(&self) -> Expr {
        match &self.value {
            ColumnValue::At(index) => Expr::Column { index: *index, column_type: self.column_type },
            ColumnValue::Merged(expression) => (**expression).clone(),
        }
    }

    fn shifted(&self, offset: u32) -> ScopeColumn {
        let value = match &self.value {
            ColumnValue::At(index) => ColumnValue::At(index + offset),
            ColumnValue::Merged(expression) => {
                ColumnValue::Merged(Rc::new(expression.map_columns(&|index| index + offset)))
            }
        };
        ScopeColumn { value, ..self.clone() }
    }
}

/// Something in FROM that names columns.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Its alias or table name; nothing for a join without alias.
    pub(super) name: Option<Box<str>>,
    /// The schema, when it is a table without alias.
    pub(super) namespace: Option<Box<str>>,
    pub(super) columns: Rc<[ScopeColumn]>,
    /// Whether its columns are found without a qualifier (not below a join that merges columns).
    pub(super) unqualified: bool,
    /// Whether it is a function of one column, whose name may stand for the column.
    pub(super) scalar_function: bool,
    /// The stored table that it is.
    pub(super) table: Option<Arc<TableSchema>>,
}

impl Entry {
    pub(super) fn shifted(self, offset: u32) -> Entry {
        if offset == 0 {
            return self;
        }
        let columns = self.columns.iter().map(|column| column.shifted(offset)).collect();
        Entry { columns, ..self }
    }
}

/// The clause an expression stands in; it decides what may be called there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clause {
    SelectList,
    Where,
    JoinOn,
    GroupBy,
    Having,
    OrderBy,
    DistinctOn,
    Window,
    Limit,
    Offset,
    Values,
    FromFunction,
    Update,
    Returning,
    Default,
    Check,
    Execute,
    CopyWhere,
    AggregateArgument,
    Filter,
    WindowArgument,
}

impl Clause {
    /// As error messages name it: "aggregate functions are not allowed in …".
    pub(super) const fn name(self) -> &'static str {
        match self {
            Clause::SelectList => "SELECT",
            Clause::Where => "WHERE",
            Clause::JoinOn => "JOIN conditions",
            Clause::GroupBy => "GROUP BY",
            Clause::Having => "HAVING",
            Clause::OrderBy => "ORDER BY",
            Clause::DistinctOn => "DISTINCT ON",
            Clause::Window => "window definitions",
            Clause::Limit => "LIMIT",
            Clause::Offset => "OFFSET",
            Clause::Values => "VALUES",
            Clause::FromFunction => "functions in FROM",
            Clause::Update => "UPDATE",
            Clause::Returning => "RETURNING",
            Clause::Default => "DEFAULT expressions",
            Clause::Check => "check constraints",
            Clause::Execute => "EXECUTE parameters",
            Clause::CopyWhere => "COPY FROM WHERE conditions",
            Clause::AggregateArgument => "aggregate function calls",
            Clause::Filter => "FILTER",
            Clause::WindowArgument => "window function calls",
        }
    }

    pub(super) const fn allows_aggregates(self) -> bool {
        matches!(
            self,
            Clause::SelectList
                | Clause::Having
                | Clause::OrderBy
                | Clause::DistinctOn
                | Clause::Window
                | Clause::WindowArgument
        )
    }

    pub(super) const fn allows_windows(self) -> bool {
        matches!(self, Clause::SelectList | Clause::OrderBy | Clause::DistinctOn)
    }

    /// Where no subquery may stand, and what PostgreSQL says then.
    pub(super) const fn refuses_subqueries(self) -> Option<&'static str> {
        match self {
            Clause::Check => Some("cannot use subquery in check constraint"),
            Clause::Default => Some("cannot use subquery in DEFAULT expression"),
            Clause::CopyWhere => Some("cannot use subquery in COPY FROM WHERE condition"),
            Clause::Execute => Some("cannot use subquery in EXECUTE parameter"),
            _ => None,
        }
    }

    pub(super) const fn allows_sets(self) -> bool {
        matches!(self, Clause::SelectList | Clause::OrderBy | Clause::DistinctOn)
    }
}

/// Whether names are looked for in a scope. Its level counts either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Visibility {
    Visible,
    /// What is being bound may not see this far: a subquery in FROM without LATERAL, a WITH query.
    Hidden,
}

/// What one SELECT sees, and the calls found in its expressions.
#[derive(Debug)]
pub(super) struct Scope {
    pub(super) entries: Vec<Entry>,
    pub(super) visibility: Visibility,
    /// Whether it is the left side of a join whose right side is being bound.
    pub(super) lateral: bool,
    pub(super) clause: Clause,
    pub(super) aggregates: Vec<AggregateCall>,
    pub(super) windows: Vec<WindowCall>,
    pub(super) sets: Vec<SetFunction>,
    pub(super) groupings: Vec<Vec<(Expr, u32)>>,
    pub(super) named_windows: Vec<(Box<str>, syntax::Window)>,
    /// First place where each column of the row was named, for grouping errors.
    pub(super) named_at: Vec<(u32, u32)>,
    /// Whether it is the left side of a join that may not depend on it.
    pub(super) refuses_lateral: bool,
    /// Whether an inner query named one of its columns.
    pub(super) used_from_inside: bool,
}

impl Scope {
    pub(super) fn new(entries: Vec<Entry>, clause: Clause) -> Scope {
        Scope {
            entries,
            visibility: Visibility::Visible,
            lateral: false,
            clause,
            aggregates: Vec::new(),
            windows: Vec::new(),
            sets: Vec::new(),
            groupings: Vec::new(),
            named_windows: Vec::new(),
            named_at: Vec::new(),
            refuses_lateral: false,
            used_from_inside: false,
        }
    }

    pub(super) fn note_named(&mut self, expression: &Expr, position: u32) {
        if self.clause != Clause::AggregateArgument
            && let Expr::Column { index, .. } = expression
        {
            self.named_at.push((*index, position));
        }
    }

    /// The columns that `*` stands for.
    pub(super) fn star(&self) -> Vec<ScopeColumn> {
        self.entries
            .iter()
            .filter(|entry| entry.unqualified)
            .flat_map(|entry| entry.columns.iter().cloned())
            .collect()
    }

    /// `table.column` as a message names a column of the row.
    pub(super) fn describe(&self, index: u32) -> Box<str> {
        for entry in &self.entries {
            for column in entry.columns.iter() {
                if matches!(column.value, ColumnValue::At(at) if at == index) {
                    return match &entry.name {
                        Some(name) => format!("{name}.{}", column.name).into(),
                        None => column.name.clone(),
                    };
                }
            }
        }
        "?".into()
    }
}

/// A column found in a stack of scopes.
pub(super) struct Found {
    pub(super) column: ScopeColumn,
    /// Distance: 0 is the innermost scope.
    pub(super) level: u32,
}

/// Looks a column name up, from the innermost scope outwards.
pub(super) fn find_column(scopes: &[Scope], name: &Name) -> Result<Found> {
    let position = name.parts[0].position as usize;
    match name.parts.as_slice() {
        [column] => find_unqualified(scopes, &column.name, position),
        [table, column] => find_qualified(scopes, None, &table.name, &column.name, position),
        [schema, table, column] => {
            find_qualified(scopes, Some(&schema.name), &table.name, &column.name, position)
        }
        parts => Err(PlanError::at(
            SqlState::SYNTAX_ERROR,
            position,
            format!(
                "improper qualified name (too many dotted names): {}",
                parts.iter().map(|part| &*part.name).collect::<Vec<_>>().join(".")
            ),
        )),
    }
}

/// Scopes from the inside out, with their levels.
fn outwards(scopes: &[Scope]) -> impl Iterator<Item = (u32, &Scope)> {
    (0u32..).zip(scopes.iter().rev()).filter(|(_, scope)| scope.visibility == Visibility::Visible)
}

fn find_unqualified(scopes: &[Scope], name: &str, position: usize) -> Result<Found> {
    for (level, scope) in outwards(scopes) {
        let mut found: Option<&ScopeColumn> = None;
        for entry in scope.entries.iter().filter(|entry| entry.unqualified) {
            for column in entry.columns.iter().filter(|column| &*column.name == name) {
                if found.is_some() {
                    return Err(ambiguous(name, position));
                }
                found = Some(column);
            }
        }
        if let Some(column) = found {
            return Ok(Found { column: column.clone(), level });
        }
        // The name of a function of one column stands for the column.
        let function = scope
            .entries
            .iter()
            .find(|entry| entry.scalar_function && entry.name.as_deref() == Some(name));
        if let Some(entry) = function {
            return Ok(Found { column: entry.columns[0].clone(), level });
        }
    }
    Err(undefined_column(scopes, name, position))
}

fn ambiguous(name: &str, position: usize) -> Box<PlanError> {
    PlanError::at(
        SqlState::AMBIGUOUS_COLUMN,
        position,
        format!("column reference \"{name}\" is ambiguous"),
    )
}

fn undefined_column(scopes: &[Scope], name: &str, position: usize) -> Box<PlanError> {
    let error = PlanError::at(
        SqlState::UNDEFINED_COLUMN,
        position,
        format!("column \"{name}\" does not exist"),
    );
    // Name the nearest column that is spelled almost so.
    let mut best: Option<(usize, Box<str>)> = None;
    let mut ties = 0;
    for (_, scope) in outwards(scopes) {
        for entry in &scope.entries {
            let Some(table) = &entry.name else { continue };
            for column in entry.columns.iter() {
                let distance = edit_distance(name, &column.name);
                let near = distance <= 3 && distance * 2 <= name.chars().count();
                if !near {
                    continue;
                }
                let text: Box<str> = format!("{table}.{}", column.name).into();
                match &best {
                    Some((least, _)) if distance > *least => {}
                    Some((least, _)) if distance == *least => ties += 1,
                    _ => {
                        best = Some((distance, text));
                        ties = 0;
                    }
                }
            }
        }
    }
    match best {
        Some((_, text)) if ties == 0 => {
            error.hint(format!("Perhaps you meant to reference the column \"{text}\"."))
        }
        _ => error,
    }
}

/// Levenshtein distance, given up beyond identifiers' lengths.
fn edit_distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.iter().enumerate() {
            let cost = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = cost.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

fn find_qualified(
    scopes: &[Scope],
    schema: Option<&str>,
    table: &str,
    name: &str,
    position: usize,
) -> Result<Found> {
    let (entry, level) = find_entry(scopes, schema, table, position)?;
    let mut matching = entry.columns.iter().filter(|column| &*column.name == name);
    match (matching.next(), matching.next()) {
        (Some(column), None) => Ok(Found { column: column.clone(), level }),
        (Some(_), Some(_)) => Err(ambiguous(name, position)),
        _ => Err(PlanError::at(
            SqlState::UNDEFINED_COLUMN,
            position,
            format!("column {table}.{name} does not exist"),
        )),
    }
}

/// Looks a table name up, from the innermost scope outwards.
pub(super) fn find_entry<'s>(
    scopes: &'s [Scope],
    schema: Option<&str>,
    table: &str,
    position: usize,
) -> Result<(&'s Entry, u32)> {
    for (level, scope) in outwards(scopes) {
        let mut matching = scope.entries.iter().filter(|entry| {
            entry.name.as_deref() == Some(table)
                && schema.is_none_or(|schema| entry.namespace.as_deref() == Some(schema))
        });
        if let Some(entry) = matching.next() {
            if matching.next().is_some() {
                return Err(PlanError::at(
                    SqlState::AMBIGUOUS_COLUMN,
                    position,
                    format!("table reference \"{table}\" is ambiguous"),
                ));
            }
            return Ok((entry, level));
        }
    }
    Err(missing_entry(scopes, table, position))
}

/// Why a table's name means nothing here.
fn missing_entry(scopes: &[Scope], table: &str, position: usize) -> Box<PlanError> {
    let invalid = || {
        PlanError::at(
            SqlState::UNDEFINED_TABLE,
            position,
            format!("invalid reference to FROM-clause entry for table \"{table}\""),
        )
    };
    let mut entries = outwards(scopes).flat_map(|(_, scope)| &scope.entries);
    let aliased = entries.find(|entry| {
        entry.table.as_ref().is_some_and(|schema| &*schema.name == table)
            && entry.name.as_deref() != Some(table)
    });
    if let Some(alias) = aliased.and_then(|entry| entry.name.as_deref()) {
        return invalid()
            .hint(format!("Perhaps you meant to reference the table alias \"{alias}\"."));
    }
    let hidden = scopes.iter().any(|scope| {
        scope.visibility == Visibility::Hidden
            && scope.entries.iter().any(|entry| entry.name.as_deref() == Some(table))
    });
    if hidden {
        return invalid().detail(format!(
            "There is an entry for table \"{table}\", but it cannot be referenced from this part of the query."
        ));
    }
    PlanError::at(
        SqlState::UNDEFINED_TABLE,
        position,
        format!("missing FROM-clause entry for table \"{table}\""),
    )
}
