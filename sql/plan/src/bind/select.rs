//! One SELECT: its clauses in the order in which PostgreSQL resolves them, put together as
//! from → where → groups → having → windows → sets → select list → distinct → order → limit.

use super::Binder;
use super::aggregate::sort_key;
use super::group::Grouping;
use super::label::label;
use super::query::{Unknowns, ordinal};
use super::scope::{Clause, ColumnValue, Scope, ScopeColumn, find_entry};
use crate::error::{PlanError, Result};
use crate::query::{OutputColumn, Query, Rel, SortKey};
use crate::syntax::{self, Distinct, Expr as Syntax, ExprKind, OrderItem, Select, SelectItem};
use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;
use functions::Expr;
use types::{SqlState, SqlType, TableId};

/// One item of a select list, or a sort key that is not in it.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) expression: Expr,
    pub(super) name: Box<str>,
    pub(super) origin: Option<(TableId, i16)>,
    pub(super) position: u32,
    /// Only sorted by, not returned.
    pub(super) hidden: bool,
}

/// A sort key as a place in the select list.
struct Order {
    target: usize,
    key: SortKey,
}

/// How rows of the select list are made distinct.
enum DistinctRows {
    No,
    Whole,
    On(Vec<usize>),
}

impl Binder<'_> {
    pub(super) fn select(
        &mut self,
        select: &Select,
        query: &syntax::Query,
        unknowns: Unknowns,
    ) -> Result<Query> {
        let (mut rel, entries) = self.from_clause(&select.from)?;
        let mut scope = Scope::new(entries, Clause::SelectList);
        for (name, window) in &select.windows {
            if scope.named_windows.iter().any(|(known, _)| *known == name.name) {
                return Err(PlanError::at(
                    SqlState::WINDOWING_ERROR,
                    name.position as usize,
                    format!("window \"{}\" is already defined", name.name),
                ));
            }
            scope.named_windows.push((name.name.clone(), window.clone()));
        }
        self.scopes.push(scope);
        let mut targets = self.select_list(&select.items)?;
        if unknowns == Unknowns::Text {
            for target in &mut targets {
                let taken = core::mem::replace(&mut target.expression, Expr::And(Vec::new()));
                target.expression = self.text_if_unknown(taken)?;
            }
        }
        if let Some(filter) = &select.filter {
            let condition = self.condition(filter, Clause::Where)?;
            rel = Rel::Filter { input: Box::new(rel), condition };
        }
        let having = match &select.having {
            Some(having) => Some(self.condition(having, Clause::Having)?),
            None => None,
        };
        let order = self.order_clause(&query.order_by, &mut targets)?;
        let grouping = self.group_clause(&select.group_by, &targets)?;
        let distinct = self.distinct_clause(&select.distinct, &mut targets, &order)?;
        if !matches!(distinct, DistinctRows::No) {
            check_distinct_order(&distinct, &targets, &order, &query.order_by)?;
        }
        let rel = self.above_from(rel, grouping, having, &mut targets)?;
        let visible = targets.iter().filter(|target| !target.hidden).count();
        let columns = targets[..visible]
            .iter()
            .map(|target| OutputColumn {
                name: target.name.clone(),
                column_type: target.expression.column_type(),
                origin: target.origin,
            })
            .collect();
        let expressions = targets.into_iter().map(|target| target.expression).collect();
        let mut rel = Rel::Project { input: Box::new(rel), expressions };
        rel = arrange(rel, distinct, order);
        rel = self.limit(rel, query)?;
        self.scopes.pop();
        let root = without_hidden(rel, visible);
        Ok(Query { root, columns })
    }

    pub(super) fn condition(&mut self, syntax: &Syntax, clause: Clause) -> Result<Expr> {
        let bound = self.within(clause, |binder| binder.expression(syntax))?;
        self.boolean(bound, clause.name(), syntax.position)
    }

    /// The select list, stars written out.
    pub(super) fn select_list(&mut self, items: &[SelectItem]) -> Result<Vec<Target>> {
        let mut targets = Vec::with_capacity(items.len());
        for item in items {
            let position = item.expression.place();
            if let ExprKind::Star(qualifier) = &item.expression.kind {
                if item.alias.is_some() {
                    let message = "syntax error at or near \"AS\"";
                    return Err(PlanError::syntax(position as usize, message));
                }
                self.star(qualifier, position, &mut targets)?;
                continue;
            }
            let expression = self.expression(&item.expression)?;
            let name = match &item.alias {
                Some(alias) => alias.name.clone(),
                None => label(&item.expression),
            };
            let origin = self.origin(&expression);
            targets.push(Target { expression, name, origin, position, hidden: false });
        }
        Ok(targets)
    }

    /// The table column that an expression is, unchanged.
    fn origin(&self, expression: &Expr) -> Option<(TableId, i16)> {
        let Expr::Column { index, .. } = expression else { return None };
        let scope = self.scopes.last()?;
        let mut columns = scope.entries.iter().flat_map(|entry| entry.columns.iter());
        columns
            .find(|column| matches!(column.value, ColumnValue::At(at) if at == *index))
            .and_then(|column| column.origin)
    }

    fn star(
        &mut self,
        qualifier: &[syntax::Ident],
        position: u32,
        targets: &mut Vec<Target>,
    ) -> Result<()> {
        let columns: Vec<ScopeColumn> = match qualifier {
            [] => {
                let scope = self.scopes.last().expect("a select list has a scope");
                if scope.entries.is_empty() {
                    return Err(PlanError::syntax(
                        position as usize,
                        "SELECT * with no tables specified is not valid",
                    ));
                }
                scope.star()
            }
            [table] => self.star_of(None, table, position)?,
            [schema, table] | [_, schema, table] => {
                self.star_of(Some(&schema.name), table, position)?
            }
            _ => {
                let message = "improper qualified name (too many dotted names)";
                return Err(PlanError::syntax(position as usize, message));
            }
        };
        for column in columns {
            let expression = column.expression();
            if let Some(scope) = self.scopes.last_mut() {
                scope.note_named(&expression, position);
            }
            targets.push(Target {
                expression,
                name: column.name,
                origin: column.origin,
                position,
                hidden: false,
            });
        }
        Ok(())
    }

    fn star_of(
        &self,
        schema: Option<&str>,
        table: &syntax::Ident,
        position: u32,
    ) -> Result<Vec<ScopeColumn>> {
        let (entry, level) = find_entry(&self.scopes, schema, &table.name, position as usize)?;
        if level > 0 {
            return Err(PlanError::unsupported("all columns of an outer query's table")
                .or_at(position as usize));
        }
        Ok(entry.columns.to_vec())
    }

    /// ORDER BY: by position, by output name, by expression.
    fn order_clause(
        &mut self,
        items: &[OrderItem],
        targets: &mut Vec<Target>,
    ) -> Result<Vec<Order>> {
        let mut order = Vec::with_capacity(items.len());
        for item in items {
            let target = self.order_target(&item.expression, targets, Clause::OrderBy)?;
            if order.iter().any(|known: &Order| known.target == target) {
                continue;
            }
            let key = sort_key(targets[target].expression.clone(), item)?;
            order.push(Order { target, key });
        }
        Ok(order)
    }

    /// The place in the select list that an ORDER BY or DISTINCT ON expression means; a hidden one is added if it is not there.
    fn order_target(
        &mut self,
        syntax: &Syntax,
        targets: &mut Vec<Target>,
        clause: Clause,
    ) -> Result<usize> {
        let visible = targets.iter().filter(|target| !target.hidden).count();
        if let Some(index) = ordinal(syntax, visible, clause.name())? {
            self.settle_target(&mut targets[index])?;
            return Ok(index);
        }
        if let Some(name) = syntax.as_plain_column() {
            let mut found: Option<usize> = None;
            for (index, target) in targets[..visible].iter().enumerate() {
                if target.name != name.name {
                    continue;
                }
                match found {
                    Some(first) if targets[first].expression != target.expression => {
                        return Err(PlanError::at(
                            SqlState::AMBIGUOUS_COLUMN,
                            name.position as usize,
                            format!("{} \"{}\" is ambiguous", clause.name(), name.name),
                        ));
                    }
                    Some(_) => {}
                    None => found = Some(index),
                }
            }
            if let Some(index) = found {
                self.settle_target(&mut targets[index])?;
                return Ok(index);
            }
        }
        let bound = self.within(clause, |binder| binder.expression(syntax))?;
        let bound = self.text_if_unknown(bound)?;
        if let Some(index) = targets.iter().position(|target| target.expression == bound) {
            return Ok(index);
        }
        targets.push(Target {
            expression: bound,
            name: "".into(),
            origin: None,
            position: syntax.position,
            hidden: true,
        });
        Ok(targets.len() - 1)
    }

    /// What is sorted by has a type.
    fn settle_target(&mut self, target: &mut Target) -> Result<()> {
        if target.expression.sql_type() == SqlType::Unknown {
            let taken = core::mem::replace(&mut target.expression, Expr::And(Vec::new()));
            target.expression = self.text_if_unknown(taken)?;
        }
        Ok(())
    }

    fn distinct_clause(
        &mut self,
        distinct: &Distinct,
        targets: &mut Vec<Target>,
        order: &[Order],
    ) -> Result<DistinctRows> {
        match distinct {
            Distinct::No => Ok(DistinctRows::No),
            Distinct::Yes => Ok(DistinctRows::Whole),
            Distinct::On(expressions) => {
                let mut on = Vec::with_capacity(expressions.len());
                for syntax in expressions {
                    let target = self.order_target(syntax, targets, Clause::DistinctOn)?;
                    if !on.contains(&target) {
                        on.push(target);
                    }
                }
                // The sort keys must begin with these, in any order.
                for (position, key) in order.iter().enumerate().take(on.len()) {
                    if !on.contains(&key.target) {
                        return Err(PlanError::at(
                            SqlState::INVALID_COLUMN_REFERENCE,
                            expressions[position.min(expressions.len() - 1)].position as usize,
                            "SELECT DISTINCT ON expressions must match initial ORDER BY expressions",
                        ));
                    }
                }
                Ok(DistinctRows::On(on))
            }
        }
    }

    /// Groups, HAVING, windows and sets; the targets then see the row that these give.
    fn above_from(
        &mut self,
        rel: Rel,
        grouping: Grouping,
        having: Option<Expr>,
        targets: &mut [Target],
    ) -> Result<Rel> {
        let mut rel = self.aggregate(rel, grouping, having, targets)?;
        let depth = self.scopes.len() - 1;
        let windows = core::mem::take(&mut self.scopes[depth].windows);
        let sets = core::mem::take(&mut self.scopes[depth].sets);
        if windows.is_empty() && sets.is_empty() {
            return Ok(rel);
        }
        let width = rel.types().len() as u32;
        let window_count = windows.len() as u32;
        for target in targets.iter_mut() {
            super::group::place_marks(&mut target.expression, width, window_count);
        }
        if !windows.is_empty() {
            rel = Rel::Window { input: Box::new(rel), calls: windows };
        }
        if !sets.is_empty() {
            let mut functions = sets;
            for argument in functions.iter_mut().flat_map(|one| &mut one.arguments) {
                super::group::place_marks(argument, width, window_count);
            }
            let nested = functions.iter().flat_map(|one| &one.arguments).any(|argument| {
                let own = width + window_count;
                argument.columns_read().iter().any(|index| *index >= own)
            });
            if nested {
                return Err(PlanError::unsupported("a set-returning function inside another"));
            }
            rel = Rel::ProjectSet { input: Box::new(rel), functions };
        }
        Ok(rel)
    }
}

/// DISTINCT and ORDER BY over the select list.
fn arrange(mut rel: Rel, distinct: DistinctRows, order: Vec<Order>) -> Rel {
    let types = rel.types();
    let column = |target: usize| Expr::Column { index: target as u32, column_type: types[target] };
    let mut keys: Vec<SortKey> = order
        .into_iter()
        .map(|order| SortKey { expression: column(order.target), ..order.key })
        .collect();
    match distinct {
        DistinctRows::No => {}
        DistinctRows::Whole => rel = Rel::Distinct { input: Box::new(rel), on: None },
        DistinctRows::On(on) => {
            for target in &on {
                let expression = column(*target);
                if !keys.iter().any(|key| key.expression == expression) {
                    keys.push(SortKey { expression, descending: false, nulls_first: false });
                }
            }
            rel = Rel::Sort { input: Box::new(rel), keys };
            return Rel::Distinct { input: Box::new(rel), on: Some(on) };
        }
    }
    if keys.is_empty() { rel } else { Rel::Sort { input: Box::new(rel), keys } }
}

/// Drops the columns that were only sorted by.
fn without_hidden(rel: Rel, visible: usize) -> Rel {
    let types = rel.types();
    if types.len() == visible {
        return rel;
    }
    let expressions = types[..visible]
        .iter()
        .enumerate()
        .map(|(index, column_type)| Expr::Column { index: index as u32, column_type: *column_type })
        .collect();
    Rel::Project { input: Box::new(rel), expressions }
}

fn check_distinct_order(
    distinct: &DistinctRows,
    targets: &[Target],
    order: &[Order],
    items: &[OrderItem],
) -> Result<()> {
    if !matches!(distinct, DistinctRows::Whole) {
        return Ok(());
    }
    for known in order {
        if targets[known.target].hidden {
            let place = items
                .iter()
                .find(|item| item.expression.place() == targets[known.target].position)
                .map_or(targets[known.target].position, |item| item.expression.place());
            return Err(PlanError::at(
                SqlState::INVALID_COLUMN_REFERENCE,
                place as usize,
                "for SELECT DISTINCT, ORDER BY expressions must appear in select list",
            ));
        }
    }
    Ok(())
}
