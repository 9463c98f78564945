//! GROUP BY: what the keys are, and how expressions over the rows of FROM become expressions over groups.
//!
//! Until here a result of an aggregate is a column with a marked index. The row of a group is: keys, results of aggregates, GROUPING values. A column of
//! FROM that is no key is an error, unless its table's primary key is among the keys: then the value is the same in all rows of the group, and it
//! becomes a key.

use super::Binder;
use super::query::ordinal;
use super::scope::{
    AGGREGATE_MARK, Clause, ColumnValue, GROUPING_MARK, SET_MARK, Scope, WINDOW_MARK,
};
use super::select::Target;
use crate::error::{PlanError, Result};
use crate::query::{Aggregate, Rel, Subqueries};
use crate::syntax::{Expr as Syntax, GroupItem, Name};
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::vec::Vec;
use functions::Expr;
use types::SqlState;

/// GROUPING SETS beyond this many are refused, as in PostgreSQL.
const SETS_MAX: usize = 4_096;

/// GROUP BY, bound.
#[derive(Debug, Default)]
pub(super) struct Grouping {
    /// Over the rows of FROM.
    keys: Vec<Expr>,
    /// As in [`Aggregate::sets`].
    sets: Vec<Vec<usize>>,
    /// Items of the select list that a key was taken from.
    targets: Vec<(usize, usize)>,
    /// Whether GROUP BY was written.
    written: bool,
}

/// Whether an index is one of the marks, and which.
const fn is_mark(index: u32) -> bool {
    index >= GROUPING_MARK
}

impl Binder<'_> {
    pub(super) fn group_clause(
        &mut self,
        items: &[GroupItem],
        targets: &[Target],
    ) -> Result<Grouping> {
        let mut grouping = Grouping { written: !items.is_empty(), ..Grouping::default() };
        let mut product: Vec<Vec<usize>> = alloc::vec![Vec::new()];
        let mut plain = true;
        for item in items {
            plain &= matches!(item, GroupItem::Expression(_) | GroupItem::List(_));
            let sets = self.group_sets(item, targets, &mut grouping)?;
            let mut next = Vec::with_capacity(product.len() * sets.len());
            for left in &product {
                for right in &sets {
                    if next.len() >= SETS_MAX {
                        return Err(PlanError::new(
                            SqlState::STATEMENT_TOO_COMPLEX,
                            format!("too many grouping sets present (maximum {SETS_MAX})"),
                        ));
                    }
                    let mut set = left.clone();
                    set.extend(right.iter().filter(|key| !left.contains(key)));
                    next.push(set);
                }
            }
            product = next;
        }
        if !plain {
            grouping.sets = product;
        }
        Ok(grouping)
    }

    /// The sets of keys that one item of GROUP BY stands for.
    fn group_sets(
        &mut self,
        item: &GroupItem,
        targets: &[Target],
        grouping: &mut Grouping,
    ) -> Result<Vec<Vec<usize>>> {
        match item {
            GroupItem::Empty => Ok(alloc::vec![Vec::new()]),
            GroupItem::Expression(expression) => {
                Ok(alloc::vec![alloc::vec![self.group_key(expression, targets, grouping)?]])
            }
            GroupItem::List(list) => Ok(alloc::vec![self.group_list(list, targets, grouping)?]),
            GroupItem::Rollup(lists) => {
                let mut parts = Vec::with_capacity(lists.len());
                for list in lists {
                    parts.push(self.group_list(list, targets, grouping)?);
                }
                Ok((0..=parts.len()).rev().map(|end| parts[..end].concat()).collect())
            }
            GroupItem::Cube(lists) => {
                if lists.len() > 12 {
                    return Err(PlanError::new(
                        SqlState::TOO_MANY_COLUMNS,
                        "CUBE is limited to 12 elements",
                    ));
                }
                let mut parts = Vec::with_capacity(lists.len());
                for list in lists {
                    parts.push(self.group_list(list, targets, grouping)?);
                }
                let all = 1usize << parts.len();
                let chosen = |mask: usize| {
                    let mut set = Vec::new();
                    for (position, part) in parts.iter().enumerate() {
                        if mask & (1 << position) != 0 {
                            set.extend_from_slice(part);
                        }
                    }
                    set
                };
                Ok((0..all).rev().map(chosen).collect())
            }
            GroupItem::Sets(items) => {
                let mut sets = Vec::new();
                for item in items {
                    sets.extend(self.group_sets(item, targets, grouping)?);
                }
                Ok(sets)
            }
        }
    }

    fn group_list(
        &mut self,
        list: &[Syntax],
        targets: &[Target],
        grouping: &mut Grouping,
    ) -> Result<Vec<usize>> {
        list.iter().map(|one| self.group_key(one, targets, grouping)).collect()
    }

    /// One key: by position, by a column of FROM, by an output name, by expression.
    fn group_key(
        &mut self,
        syntax: &Syntax,
        targets: &[Target],
        grouping: &mut Grouping,
    ) -> Result<usize> {
        let visible = targets.iter().filter(|target| !target.hidden).count();
        let mut target = ordinal(syntax, visible, "GROUP BY")?;
        if let Some(name) = syntax.as_plain_column()
            && !self.names_own_column(name)
        {
            target = targets[..visible].iter().position(|target| target.name == name.name);
        }
        let bound = match target {
            Some(index) => {
                let expression = targets[index].expression.clone();
                check_no_marks(&expression, targets[index].position)?;
                expression
            }
            None => {
                let bound = self.within(Clause::GroupBy, |binder| binder.expression(syntax))?;
                self.text_if_unknown(bound)?
            }
        };
        let known = grouping.keys.iter().position(|key| *key == bound);
        let key = known.unwrap_or_else(|| {
            grouping.keys.push(bound);
            grouping.keys.len() - 1
        });
        if let Some(index) = target {
            grouping.targets.push((index, key));
        }
        Ok(key)
    }

    /// Whether FROM has a column of this name.
    fn names_own_column(&self, name: &crate::syntax::Ident) -> bool {
        let scope = self.scopes.len() - 1;
        let name = Name { parts: alloc::vec![name.clone()] };
        match super::scope::find_column(&self.scopes[scope..], &name) {
            Ok(_) => true,
            Err(error) => error.state == SqlState::AMBIGUOUS_COLUMN,
        }
    }

    /// Puts groups over the rows of FROM, if the query has any, and HAVING over the groups.
    pub(super) fn aggregate(
        &mut self,
        rel: Rel,
        grouping: Grouping,
        having: Option<Expr>,
        targets: &mut [Target],
    ) -> Result<Rel> {
        let depth = self.scopes.len() - 1;
        let calls = core::mem::take(&mut self.scopes[depth].aggregates);
        let groupings = core::mem::take(&mut self.scopes[depth].groupings);
        if calls.is_empty() && groupings.is_empty() && !grouping.written && having.is_none() {
            return Ok(rel);
        }
        let Grouping { mut keys, sets, targets: from_targets, .. } = grouping;
        let mut windows = core::mem::take(&mut self.scopes[depth].windows);
        let mut functions = core::mem::take(&mut self.scopes[depth].sets);
        let scope = &self.scopes[depth];
        if sets.is_empty() {
            let expressions = targets.iter().map(|target| &target.expression).chain(&having);
            for expression in expressions {
                add_dependent_keys(expression, scope, &mut keys);
            }
        }
        let mut asked = Vec::with_capacity(groupings.len());
        for arguments in groupings {
            let mut positions = Vec::with_capacity(arguments.len());
            for (argument, position) in arguments {
                let key = keys.iter().position(|key| *key == argument).ok_or_else(|| {
                    PlanError::at(
                        SqlState::GROUPING_ERROR,
                        position as usize,
                        "arguments to GROUPING must be grouping expressions of the associated query level",
                    )
                })?;
                positions.push(key);
            }
            asked.push(positions);
        }
        let mut regroup = Regroup {
            keys: &keys,
            calls: calls.len() as u32,
            scope,
            subqueries: &mut self.subqueries,
            done: BTreeSet::new(),
        };
        for (index, target) in targets.iter_mut().enumerate() {
            match from_targets.iter().find(|(from, _)| *from == index) {
                Some((_, key)) => target.expression = regroup.key_column(*key),
                None => regroup.rewrite(&mut target.expression)?,
            }
        }
        let mut having = having;
        if let Some(condition) = &mut having {
            regroup.rewrite(condition)?;
        }
        for call in &mut windows {
            regroup.each(|visit| call.visit(0, visit))?;
        }
        for argument in functions.iter_mut().flat_map(|function| &mut function.arguments) {
            regroup.rewrite(argument)?;
        }
        let scope = &mut self.scopes[depth];
        scope.windows = windows;
        scope.sets = functions;
        let mut rel =
            Rel::Aggregate(Aggregate { input: Box::new(rel), keys, sets, calls, groupings: asked });
        if let Some(condition) = having {
            rel = Rel::Filter { input: Box::new(rel), condition };
        }
        Ok(rel)
    }
}

fn check_no_marks(expression: &Expr, position: u32) -> Result<()> {
    let mut problem = None;
    expression.walk(&mut |part| {
        if let Expr::Column { index, .. } = part {
            if index & AGGREGATE_MARK != 0 {
                problem = Some((SqlState::GROUPING_ERROR, "aggregate"));
            } else if index & WINDOW_MARK != 0 {
                problem = Some((SqlState::WINDOWING_ERROR, "window"));
            } else if index & SET_MARK != 0 {
                problem = Some((SqlState::FEATURE_NOT_SUPPORTED, "set-returning"));
            }
        }
    });
    match problem {
        None => Ok(()),
        Some((state, kind)) => Err(PlanError::at(
            state,
            position as usize,
            format!("{kind} functions are not allowed in GROUP BY"),
        )),
    }
}

/// Columns outside every key whose table's primary key is among the keys become keys.
fn add_dependent_keys(expression: &Expr, scope: &Scope, keys: &mut Vec<Expr>) {
    if keys.contains(expression) {
        return;
    }
    if let Expr::Column { index, .. } = expression
        && !is_mark(*index)
        && depends_on_keys(*index, scope, keys)
    {
        keys.push(expression.clone());
        return;
    }
    for child in expression.children() {
        add_dependent_keys(child, scope, keys);
    }
}

fn depends_on_keys(index: u32, scope: &Scope, keys: &[Expr]) -> bool {
    let at = |value: &ColumnValue| match value {
        ColumnValue::At(at) => Some(*at),
        ColumnValue::Merged(_) => None,
    };
    let entry = scope.entries.iter().find(|entry| {
        entry.table.is_some() && entry.columns.iter().any(|column| at(&column.value) == Some(index))
    });
    let Some(entry) = entry else { return false };
    let Some(table) = entry.table.as_ref().filter(|table| table.primary_key.is_some()) else {
        return false;
    };
    table.key.iter().all(|key| {
        let attribute = key.position as i16 + 1;
        let column = entry
            .columns
            .iter()
            .find(|column| column.origin.is_some_and(|(_, found)| found == attribute));
        column.and_then(|column| at(&column.value)).is_some_and(|wanted| {
            keys.iter().any(|key| matches!(key, Expr::Column { index, .. } if *index == wanted))
        })
    })
}

/// Rewrites expressions over rows of FROM to expressions over groups.
struct Regroup<'a> {
    keys: &'a [Expr],
    calls: u32,
    scope: &'a Scope,
    subqueries: &'a mut Subqueries,
    done: BTreeSet<u32>,
}

impl Regroup<'_> {
    fn key_column(&self, key: usize) -> Expr {
        Expr::Column { index: key as u32, column_type: self.keys[key].column_type() }
    }

    fn each(&mut self, visit: impl FnOnce(&mut dyn FnMut(&mut Expr, u32))) -> Result<()> {
        let mut result = Ok(());
        visit(&mut |expression, _| {
            if result.is_ok() {
                result = self.rewrite(expression);
            }
        });
        result
    }

    fn rewrite(&mut self, expression: &mut Expr) -> Result<()> {
        if let Some(key) = self.keys.iter().position(|key| key == expression) {
            *expression = self.key_column(key);
            return Ok(());
        }
        if let Expr::Column { index, .. } = expression {
            let first = self.keys.len() as u32;
            if *index & AGGREGATE_MARK != 0 {
                *index = first + (*index - AGGREGATE_MARK);
            } else if *index & (WINDOW_MARK | SET_MARK) != 0 {
                // Placed when windows and sets are.
            } else if *index & GROUPING_MARK != 0 {
                *index = first + self.calls + (*index - GROUPING_MARK);
            } else {
                return Err(self.ungrouped(*index, ""));
            }
            return Ok(());
        }
        for child in expression.children_mut() {
            self.rewrite(child)?;
        }
        if matches!(expression, Expr::Subquery { .. }) {
            self.rewrite_outer(expression)?;
        }
        Ok(())
    }

    /// What a subquery names of the rows of FROM must be a key.
    fn rewrite_outer(&mut self, expression: &Expr) -> Result<()> {
        let mut missing = None;
        let keys = self.keys;
        let shallow = Expr::clone(expression);
        let Expr::Subquery { index, kind: _, column_type } = shallow else { return Ok(()) };
        let kind = functions::SubqueryKind::Exists;
        let only = Expr::Subquery { index, kind, column_type };
        self.subqueries.visit_outer(&only, &mut self.done, &mut |part, depth| {
            if let Expr::Outer { level, index, .. } = part
                && *level == depth
            {
                let wanted = *index;
                let found = keys
                    .iter()
                    .position(|key| matches!(key, Expr::Column { index, .. } if *index == wanted));
                match found {
                    Some(key) => *index = key as u32,
                    None => missing = Some(wanted),
                }
            }
        });
        match missing {
            None => Ok(()),
            Some(index) => Err(self.ungrouped(index, "subquery ")),
        }
    }

    fn ungrouped(&self, index: u32, inside: &str) -> Box<PlanError> {
        let name = self.scope.describe(index);
        let message = if inside.is_empty() {
            format!(
                "column \"{name}\" must appear in the GROUP BY clause or be used in an aggregate function"
            )
        } else {
            format!("subquery uses ungrouped column \"{name}\" from outer query")
        };
        let error = PlanError::new(SqlState::GROUPING_ERROR, message);
        match self.scope.named_at.iter().find(|(named, _)| *named == index) {
            Some((_, position)) => error.or_at(*position as usize),
            None => error,
        }
    }
}

/// Gives results of windows and sets their places after a row of `width` columns.
pub(super) fn place_marks(expression: &mut Expr, width: u32, windows: u32) {
    expression.transform(&mut |part| {
        if let Expr::Column { index, .. } = part {
            if *index & WINDOW_MARK != 0 {
                *index = width + (*index - WINDOW_MARK);
            } else if *index & SET_MARK != 0 {
                *index = width + windows + (*index - SET_MARK);
            }
        }
    });
}
