//! FROM: each item becomes a relation and the names it gives; items of the list are joined without condition.

use super::Binder;
use super::scope::{Clause, ColumnValue, Entry, Scope, ScopeColumn, Visibility};
use crate::catalog::{Relation, VirtualTable};
use crate::error::{PlanError, Result};
use crate::query::{FunctionScan, Join, JoinKind, Lateral, OutputColumn, Rel, Scan, VirtualScan};
use crate::syntax::{self, Alias, ExprKind, Ident, JoinOn, JoinRef, Name, TableRef};
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::rc::Rc;
use alloc::sync::Arc;
use alloc::vec::Vec;
use functions::{Expr, common_type};
use types::{ColumnType, SqlState, SqlType, TableSchema};

/// A relation and the names of its columns.
type Named = (Rel, Vec<Entry>);

impl Entry {
    pub(super) fn unnamed(columns: Rc<[ScopeColumn]>) -> Entry {
        Entry {
            name: None,
            namespace: None,
            columns,
            unqualified: true,
            scalar_function: false,
            table: None,
        }
    }

    fn width(&self) -> usize {
        self.columns.len()
    }
}

impl Binder<'_> {
    pub(super) fn from_clause(&mut self, items: &[TableRef]) -> Result<Named> {
        let Some((first, rest)) = items.split_first() else { return Ok((Rel::OneRow, Vec::new())) };
        let (mut rel, mut entries) = self.table_ref(first)?;
        for item in rest {
            let (right, right_entries, lateral) =
                self.right_side(item, &entries, JoinKind::Inner)?;
            let offset = rel.types().len() as u32;
            check_names(&entries, &right_entries)?;
            entries.extend(right_entries.into_iter().map(|entry| entry.shifted(offset)));
            let join = Join { left: rel, right, kind: JoinKind::Inner, condition: None, lateral };
            rel = Rel::Join(Box::new(join));
        }
        Ok((rel, entries))
    }

    /// The right side of a join: what is LATERAL in it, and functions, may name the left side's columns.
    fn right_side(
        &mut self,
        item: &TableRef,
        left: &[Entry],
        kind: JoinKind,
    ) -> Result<(Rel, Vec<Entry>, Lateral)> {
        if matches!(item, TableRef::Table { .. }) {
            let (rel, entries) = self.table_ref(item)?;
            return Ok((rel, entries, Lateral::Independent));
        }
        let mut scope = Scope::new(left.to_vec(), Clause::FromFunction);
        scope.lateral = true;
        scope.refuses_lateral = matches!(kind, JoinKind::Right | JoinKind::Full);
        self.scopes.push(scope);
        let (mut rel, entries) = self.table_ref(item)?;
        let used = self.scopes.pop().is_some_and(|scope| scope.used_from_inside);
        if used {
            return Ok((rel, entries, Lateral::Dependent));
        }
        // The left side's scope counted as a level, and was none.
        let mut done = BTreeSet::new();
        self.subqueries.visit_outer_of_rel(&mut rel, &mut done, &mut |part, depth| {
            if let Expr::Outer { level, .. } = part
                && *level > depth
            {
                *level -= 1;
            }
        });
        Ok((rel, entries, Lateral::Independent))
    }

    /// Runs `body` while the left sides of open joins cannot be named.
    fn without_lateral<T>(&mut self, body: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let count = self.scopes.iter().rev().take_while(|scope| scope.lateral).count();
        let first = self.scopes.len() - count;
        let before: Vec<Visibility> =
            self.scopes[first..].iter().map(|scope| scope.visibility).collect();
        for scope in &mut self.scopes[first..] {
            scope.visibility = Visibility::Hidden;
        }
        let result = body(self)?;
        for (scope, visibility) in self.scopes[first..].iter_mut().zip(before) {
            scope.visibility = visibility;
        }
        Ok(result)
    }

    fn table_ref(&mut self, item: &TableRef) -> Result<Named> {
        match item {
            TableRef::Table { name, alias } => self.named_table(name, alias.as_ref()),
            TableRef::Subquery { query, alias, lateral, position } => {
                let Some(alias) = alias else {
                    return Err(PlanError::syntax(
                        *position as usize,
                        "subquery in FROM must have an alias",
                    )
                    .hint("For example, FROM (SELECT ...) [AS] foo."));
                };
                let bound = if *lateral {
                    self.query(query)?
                } else {
                    self.without_lateral(|binder| binder.query(query))?
                };
                let entry = self.output_entry(&bound.columns, &alias.name, Some(alias))?;
                Ok((bound.root, alloc::vec![entry]))
            }
            TableRef::Function { call, ordinality, alias, .. } => {
                self.function_table(call, *ordinality, alias.as_ref())
            }
            TableRef::Join(join) => self.join(join),
        }
    }

    fn named_table(&mut self, name: &Name, alias: Option<&Alias>) -> Result<Named> {
        if let [only] = name.parts.as_slice()
            && let Some((rel, columns)) = self.with_scan(&only.name)
        {
            let entry = self.output_entry(&columns, only, alias)?;
            return Ok((rel, alloc::vec![entry]));
        }
        let last = name.parts.last().expect("a name has a part");
        let (rel, mut entry) = match self.relation(name)? {
            Relation::Table(table) => self.stored_scan(&table),
            Relation::Virtual(table) => virtual_scan(table),
            Relation::Sequence(_) => {
                return Err(
                    PlanError::unsupported("a sequence in FROM").or_at(last.position as usize)
                );
            }
            Relation::Index { .. } | Relation::PrimaryIndex(_) => {
                return Err(PlanError::at(
                    SqlState::WRONG_OBJECT_TYPE,
                    last.position as usize,
                    format!("cannot open relation \"{}\"", last.name),
                )
                .detail("This operation is not supported for indexes."));
            }
        };
        if let Some(alias) = alias {
            entry.namespace = None;
            entry.name = Some(alias.name.name.clone());
            entry.columns = renamed(&entry.columns, alias)?;
        }
        Ok((rel, alloc::vec![entry]))
    }

    /// All visible columns of a stored table.
    pub(super) fn stored_scan(&mut self, table: &Arc<TableSchema>) -> (Rel, Entry) {
        let mut positions = Vec::with_capacity(table.columns.len());
        let mut columns = Vec::with_capacity(table.columns.len());
        for (position, column) in table.visible_columns() {
            columns.push(ScopeColumn {
                name: column.name.clone(),
                column_type: column.column_type,
                value: ColumnValue::At(positions.len() as u32),
                origin: Some((table.table_id, position as i16 + 1)),
            });
            positions.push(position);
        }
        let entry = Entry {
            name: Some(table.name.clone()),
            namespace: Some(table.namespace.clone()),
            columns: columns.into(),
            unqualified: true,
            scalar_function: false,
            table: Some(table.clone()),
        };
        (Rel::Scan(Scan { table: table.clone(), columns: positions }), entry)
    }

    /// An entry over the columns of a query.
    fn output_entry(
        &self,
        columns: &[OutputColumn],
        name: &Ident,
        alias: Option<&Alias>,
    ) -> Result<Entry> {
        let columns: Rc<[ScopeColumn]> = columns
            .iter()
            .enumerate()
            .map(|(index, column)| ScopeColumn {
                name: column.name.clone(),
                column_type: column.column_type,
                value: ColumnValue::At(index as u32),
                origin: column.origin,
            })
            .collect();
        let mut entry = Entry::unnamed(columns);
        entry.name = Some(name.name.clone());
        if let Some(alias) = alias {
            entry.name = Some(alias.name.name.clone());
            entry.columns = renamed(&entry.columns, alias)?;
        }
        Ok(entry)
    }

    /// A function in FROM: its rows, or the one row of a plain function.
    fn function_table(
        &mut self,
        call: &syntax::Expr,
        ordinality: bool,
        alias: Option<&Alias>,
    ) -> Result<Named> {
        let position = call.position;
        let ExprKind::Call(inner) = &call.kind else {
            let message = "syntax error: a function is expected in FROM";
            return Err(PlanError::syntax(position as usize, message));
        };
        let name = inner.name.parts.last().map_or("", |part| &*part.name);
        let kind = super::call::set_function(name);
        // Arguments see no row but the left sides of joins, which are scopes already.
        self.scopes.push(Scope::new(Vec::new(), Clause::FromFunction));
        let (rel, column_type) = match kind {
            Some(kind) => {
                let function = self.set_function(kind, name, inner, position)?;
                let column_type = function.column_type;
                (Rel::FunctionScan(FunctionScan { function, ordinality }), column_type)
            }
            None => {
                if ordinality {
                    return Err(PlanError::unsupported("WITH ORDINALITY of this function")
                        .or_at(position as usize));
                }
                let bound = self.expression(call)?;
                let column_type = bound.column_type();
                let input = Box::new(Rel::OneRow);
                (Rel::Project { input, expressions: alloc::vec![bound] }, column_type)
            }
        };
        let popped = self.scopes.pop();
        debug_assert!(popped.is_some_and(|scope| scope.entries.is_empty()));
        let rel = self.sink_level(rel);
        let label = alias.map_or(name, |alias| &*alias.name.name);
        let mut columns = alloc::vec![super::label::plain_column(label, column_type)];
        if ordinality {
            let bigint = ColumnType::plain(SqlType::Int8);
            columns.push(super::label::plain_column("ordinality", bigint));
        }
        let ident = Ident { name: name.into(), position };
        let mut entry = self.output_entry(&columns, &ident, alias)?;
        entry.scalar_function = !ordinality;
        Ok((rel, alloc::vec![entry]))
    }

    /// The scope that only named the clause of a function's arguments was no level.
    fn sink_level(&mut self, mut rel: Rel) -> Rel {
        let mut done = BTreeSet::new();
        self.subqueries.visit_outer_of_rel(&mut rel, &mut done, &mut |part, depth| {
            if let Expr::Outer { level, .. } = part
                && *level > depth
            {
                *level -= 1;
            }
        });
        rel
    }

    // --- joins

    fn join(&mut self, join: &JoinRef) -> Result<Named> {
        let (left, left_entries) = self.table_ref(&join.left)?;
        let (right, right_entries, lateral) =
            self.right_side(&join.right, &left_entries, join.kind)?;
        check_names(&left_entries, &right_entries)?;
        let offset = left.types().len() as u32;
        let right_entries: Vec<Entry> =
            right_entries.into_iter().map(|entry| entry.shifted(offset)).collect();
        let (condition, entries) = match &join.on {
            JoinOn::Cross => (None, both(left_entries, right_entries)),
            JoinOn::On(condition) => {
                let entries = both(left_entries, right_entries);
                let condition = self.join_condition(condition, &entries)?;
                (Some(condition), entries)
            }
            JoinOn::Using(names) => {
                self.merged_join(join.kind, names, left_entries, right_entries)?
            }
            JoinOn::Natural => {
                let names = shared_names(&left_entries, &right_entries, join.position);
                self.merged_join(join.kind, &names, left_entries, right_entries)?
            }
        };
        let entries = match &join.alias {
            Some(alias) => alloc::vec![aliased_join(entries, alias)?],
            None => entries,
        };
        let rel = Rel::Join(Box::new(Join { left, right, kind: join.kind, condition, lateral }));
        Ok((rel, entries))
    }

    fn join_condition(&mut self, condition: &syntax::Expr, entries: &[Entry]) -> Result<Expr> {
        self.without_lateral(|binder| {
            binder.scopes.push(Scope::new(entries.to_vec(), Clause::JoinOn));
            let bound = binder.expression(condition)?;
            let bound = binder.boolean(bound, "JOIN/ON", condition.position)?;
            binder.scopes.pop();
            Ok(bound)
        })
    }

    /// USING and NATURAL: pairs of columns are equal, and one column each remains.
    fn merged_join(
        &mut self,
        kind: JoinKind,
        names: &[Ident],
        left: Vec<Entry>,
        right: Vec<Entry>,
    ) -> Result<(Option<Expr>, Vec<Entry>)> {
        let mut conditions = Vec::with_capacity(names.len());
        let mut merged: Vec<ScopeColumn> = Vec::with_capacity(names.len());
        for (position, name) in names.iter().enumerate() {
            if names[..position].iter().any(|other| other.name == name.name) {
                return Err(PlanError::at(
                    SqlState::DUPLICATE_COLUMN,
                    name.position as usize,
                    format!("column name \"{}\" appears more than once in USING clause", name.name),
                ));
            }
            let a = side_column(&left, name, "left")?;
            let b = side_column(&right, name, "right")?;
            let types = [a.column_type.sql_type, b.column_type.sql_type];
            let place = name.position;
            let equal =
                self.operator("=", (a.expression(), place), (b.expression(), place), place)?;
            conditions.push(equal);
            let common = common_type(&types, "JOIN/USING")
                .map_err(|error| Box::<PlanError>::from(error).or_at(place as usize))?;
            merged.push(self.merged_column(kind, &a, &b, common, place)?);
        }
        let mut columns = merged;
        for side in [&left, &right] {
            for entry in side.iter().filter(|entry| entry.unqualified) {
                let rest = entry
                    .columns
                    .iter()
                    .filter(|column| !names.iter().any(|name| name.name == column.name));
                columns.extend(rest.cloned());
            }
        }
        let mut entries = both(left, right);
        for entry in &mut entries {
            entry.unqualified = false;
        }
        entries.retain(|entry| entry.name.is_some());
        entries.push(Entry::unnamed(columns.into()));
        let condition = match conditions.len() {
            0 => None,
            1 => conditions.pop(),
            _ => Some(Expr::And(conditions)),
        };
        Ok((condition, entries))
    }

    /// The one column that remains: the left one, the right one of a right join, whichever is there of a full join.
    fn merged_column(
        &mut self,
        kind: JoinKind,
        left: &ScopeColumn,
        right: &ScopeColumn,
        common: SqlType,
        place: u32,
    ) -> Result<ScopeColumn> {
        let a = self.operand(left.expression(), common, place)?;
        let b = self.operand(right.expression(), common, place)?;
        let (expression, origin) = match kind {
            JoinKind::Inner | JoinKind::Left => (a, left.origin),
            JoinKind::Right => (b, right.origin),
            JoinKind::Full => {
                let column_type = ColumnType::plain(common);
                (Expr::Coalesce { arguments: alloc::vec![a, b], column_type }, None)
            }
        };
        let column_type = expression.column_type();
        let value = match expression {
            Expr::Column { index, .. } => ColumnValue::At(index),
            other => ColumnValue::Merged(Rc::new(other)),
        };
        let origin = if matches!(value, ColumnValue::At(_)) { origin } else { None };
        Ok(ScopeColumn { name: left.name.clone(), column_type, value, origin })
    }
}

fn both(mut left: Vec<Entry>, right: Vec<Entry>) -> Vec<Entry> {
    left.extend(right);
    left
}

/// A join with an alias hides its parts.
fn aliased_join(entries: Vec<Entry>, alias: &Alias) -> Result<Entry> {
    let columns: Rc<[ScopeColumn]> = entries
        .iter()
        .filter(|entry| entry.unqualified)
        .flat_map(|entry| entry.columns.iter().cloned())
        .collect();
    let columns = renamed(&columns, alias)?;
    let mut entry = Entry::unnamed(columns);
    entry.name = Some(alias.name.name.clone());
    Ok(entry)
}

fn shared_names(left: &[Entry], right: &[Entry], position: u32) -> Vec<Ident> {
    let names = |side: &[Entry]| -> Vec<Box<str>> {
        side.iter()
            .filter(|entry| entry.unqualified)
            .flat_map(|entry| entry.columns.iter().map(|column| column.name.clone()))
            .collect()
    };
    let right = names(right);
    let mut shared: Vec<Ident> = Vec::new();
    for name in names(left) {
        if right.contains(&name) && !shared.iter().any(|known| known.name == name) {
            shared.push(Ident { name, position });
        }
    }
    shared
}

fn side_column(entries: &[Entry], name: &Ident, side: &str) -> Result<ScopeColumn> {
    let mut matching = entries
        .iter()
        .filter(|entry| entry.unqualified)
        .flat_map(|entry| entry.columns.iter())
        .filter(|column| column.name == name.name);
    match (matching.next(), matching.next()) {
        (Some(column), None) => Ok(column.clone()),
        (Some(_), Some(_)) => Err(PlanError::at(
            SqlState::AMBIGUOUS_COLUMN,
            name.position as usize,
            format!("common column name \"{}\" appears more than once in {side} table", name.name),
        )),
        _ => Err(PlanError::at(
            SqlState::UNDEFINED_COLUMN,
            name.position as usize,
            format!(
                "column \"{}\" specified in USING clause does not exist in {side} table",
                name.name
            ),
        )),
    }
}

fn virtual_scan(table: VirtualTable) -> (Rel, Entry) {
    let columns: Rc<[ScopeColumn]> = table
        .columns()
        .iter()
        .enumerate()
        .map(|(index, column)| ScopeColumn {
            name: column.name.into(),
            column_type: ColumnType::plain(column.sql_type),
            value: ColumnValue::At(index as u32),
            origin: Some((types::TableId(table.oid()), index as i16 + 1)),
        })
        .collect();
    let positions = (0..columns.len() as u16).collect();
    let mut entry = Entry::unnamed(columns);
    entry.name = Some(table.name().into());
    entry.namespace = Some(table.schema().into());
    (Rel::VirtualScan(VirtualScan { table, columns: positions }), entry)
}

/// Columns renamed by `AS name (columns)`.
fn renamed(columns: &Rc<[ScopeColumn]>, alias: &Alias) -> Result<Rc<[ScopeColumn]>> {
    if alias.columns.is_empty() {
        return Ok(columns.clone());
    }
    if alias.columns.len() > columns.len() {
        return Err(PlanError::at(
            SqlState::INVALID_COLUMN_REFERENCE,
            alias.name.position as usize,
            format!(
                "table \"{}\" has {} columns available but {} columns specified",
                alias.name.name,
                columns.len(),
                alias.columns.len()
            ),
        ));
    }
    Ok(columns
        .iter()
        .enumerate()
        .map(|(index, column)| {
            let name = alias.columns.get(index).map_or(&column.name, |alias| &alias.name);
            ScopeColumn { name: name.clone(), ..column.clone() }
        })
        .collect())
}

/// No two tables of one FROM may have one name.
fn check_names(left: &[Entry], right: &[Entry]) -> Result<()> {
    for entry in right {
        let Some(name) = &entry.name else { continue };
        let twice = left.iter().any(|other| {
            other.name.as_ref() == Some(name)
                && (other.namespace.is_none()
                    || entry.namespace.is_none()
                    || other.namespace == entry.namespace)
        });
        if twice {
            return Err(PlanError::new(
                SqlState::DUPLICATE_ALIAS,
                format!("table name \"{name}\" specified more than once"),
            ));
        }
    }
    debug_assert!(right.iter().all(|entry| entry.width() < usize::from(u16::MAX)));
    Ok(())
}
