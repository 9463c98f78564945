//! Filters and joins: which condition is evaluated where, and in which order inner joins are made.
//!
//! Inner joins and the filters above them form a cluster: leaves, and conditions over all their columns. A condition on one leaf goes into that leaf (and on
//! into a scan, where it prunes); an equality between two becomes the key of their join; others filter the join that first has their columns. The domain
//! of a dependent relation is one more leaf. Conditions that are volatile or hold subqueries come last.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::common::{Column, JoinConstraint, JoinType, NullEquality};
use datafusion::logical_expr::{Expr as EngineExpr, Join as EngineJoin, LogicalPlan};
use functions::{CastKind, Expr, FunctionId};
use plan::query::{Join, JoinKind, Lateral, Rel, SetOperation};
use types::{ColumnType, SqlType};

use super::domain::{Domain, free_outers};
use super::{Carried, Lowering, Relation, Result, movable, split};
use crate::error::AnalyticsError;
use crate::expression::rejects_nulls;
use crate::sort_key::needs_key;

/// An input of a cluster.
enum Leaf<'r> {
    Rel(&'r Rel),
    Lowered(Box<Relation>),
}

/// An equality that a join is made by: one side reads the left input only, the other the right one.
pub(super) struct EqualityKey {
    pub(super) left: Expr,
    pub(super) right: Expr,
    pub(super) sql_type: SqlType,
}

/// The type in which the sides of an equality are hashed; nothing if its function is not the equality of one type's keys.
pub(super) fn hash_type(function: FunctionId, left: SqlType, right: SqlType) -> Option<SqlType> {
    let name = function.definition().map_or("", |definition| definition.name);
    let same = (left == right).then_some(left);
    match name {
        "int2eq" | "int4eq" | "int8eq" | "float4eq" | "float8eq" | "byteaeq" | "booleq"
        | "date_eq" | "timestamp_eq" | "timestamptz_eq" | "uuid_eq" | "interval_eq"
        | "numeric_eq" | "oideq" | "chareq" | "nameeq" | "bpchareq" => same,
        "texteq" => {
            let text = |sql_type| matches!(sql_type, SqlType::Text | SqlType::Varchar);
            (text(left) && text(right)).then_some(SqlType::Text)
        }
        "int24eq" | "int28eq" | "int42eq" | "int48eq" | "int82eq" | "int84eq" => {
            Some(SqlType::Int8)
        }
        "float48eq" | "float84eq" => Some(SqlType::Float8),
        _ => None,
    }
}

pub(super) fn widened(expr: Expr, to: SqlType) -> Expr {
    let from = expr.sql_type();
    if crate::physical::arrow_type(from) == crate::physical::arrow_type(to) {
        return expr;
    }
    Expr::Cast { argument: Box::new(expr), to: ColumnType::plain(to), kind: CastKind::Implicit }
}

fn shift(expr: &Expr, by: i64) -> Expr {
    expr.map_columns(&|column| {
        u32::try_from(i64::from(column) + by).expect("a condition on a leaf reads its columns")
    })
}

fn has_outer(expr: &Expr) -> bool {
    let mut has = false;
    expr.walk(&mut |part| has |= matches!(part, Expr::Outer { .. }));
    has
}

impl<'a> Lowering<'a> {
    /// A relation under more conditions over its columns, each evaluated as early as possible. The conditions are substituted.
    pub(super) fn filtered(
        &self,
        rel: &Rel,
        conditions: Vec<Expr>,
        domain: Option<&Domain>,
    ) -> Result<Relation> {
        match rel {
            Rel::Filter { input, condition } => {
                let mut all = Vec::new();
                split(self.substitute(condition), &mut all);
                all.extend(conditions);
                self.filtered(input, all, domain)
            }
            Rel::Project { input, expressions } => {
                self.filtered_project(input, expressions, conditions, domain)
            }
            Rel::Join(join) if join.lateral == Lateral::Dependent => {
                let relation = self.lateral_join(join, domain)?;
                self.under(relation, conditions, domain)
            }
            Rel::Join(join) if join.kind != JoinKind::Inner => {
                self.outer_join(join, conditions, domain)
            }
            Rel::Join(_) => {
                let mut leaves = Vec::new();
                let mut all = Vec::new();
                self.flatten(rel, 0, &mut leaves, &mut all);
                all.extend(conditions);
                self.cluster(leaves, all, domain)
            }
            Rel::Sort { input, keys } => {
                let (down, up): (Vec<Expr>, Vec<Expr>) = conditions.into_iter().partition(movable);
                let relation = self.filtered(input, down, domain)?;
                let relation = self.sort(relation, keys, domain)?;
                self.under(relation, up, domain)
            }
            Rel::SetOperation { operation: SetOperation::Union, all: true, left, right }
                if conditions.iter().all(movable) =>
            {
                let left = self.filtered(left, conditions.clone(), domain)?;
                let right = self.filtered(right, conditions, domain)?;
                self.union(left, right, domain)
            }
            Rel::Scan(scan) => {
                let (down, up): (Vec<Expr>, Vec<Expr>) = conditions
                    .into_iter()
                    .partition(|condition| movable(condition) && !has_outer(condition));
                let relation = self.scan(scan, down)?;
                self.under(relation, up, domain)
            }
            other => {
                let relation = self.plain(other, domain)?;
                self.under(relation, conditions, domain)
            }
        }
    }

    /// A lowered relation under conditions.
    pub(super) fn under(
        &self,
        relation: Relation,
        conditions: Vec<Expr>,
        domain: Option<&Domain>,
    ) -> Result<Relation> {
        if conditions.is_empty() {
            return Ok(relation);
        }
        let width = relation.columns.len();
        self.cluster(vec![(Leaf::Lowered(Box::new(relation)), width)], conditions, domain)
    }

    fn filtered_project(
        &self,
        input: &Rel,
        expressions: &[Expr],
        conditions: Vec<Expr>,
        domain: Option<&Domain>,
    ) -> Result<Relation> {
        let expressions: Vec<Expr> =
            expressions.iter().map(|expression| self.substitute(expression)).collect();
        let (mut down, mut up) = (Vec::new(), Vec::new());
        for condition in conditions {
            let reads_movable = condition
                .columns_read()
                .into_iter()
                .all(|column| movable(&expressions[column as usize]));
            if movable(&condition) && reads_movable {
                let mut moved = condition;
                moved.transform(&mut |part| {
                    if let Expr::Column { index, .. } = part {
                        *part = expressions[*index as usize].clone();
                    }
                });
                down.push(moved);
            } else {
                up.push(condition);
            }
        }
        let relation = self.filtered(input, down, domain)?;
        let relation = self.projected(relation, &expressions, domain)?;
        self.under(relation, up, domain)
    }

    /// The leaves of nested inner joins, and the conditions of those joins and of filters between them, over all columns.
    fn flatten<'r>(
        &self,
        rel: &'r Rel,
        offset: usize,
        leaves: &mut Vec<(Leaf<'r>, usize)>,
        conditions: &mut Vec<Expr>,
    ) {
        let mut own = Vec::new();
        let inner = match rel {
            Rel::Join(join)
                if join.kind == JoinKind::Inner && join.lateral == Lateral::Independent =>
            {
                if let Some(condition) = &join.condition {
                    split(self.substitute(condition), &mut own);
                }
                // A subquery's outer columns count from this join's row; they cannot be shifted.
                (offset == 0 || own.iter().all(movable)).then_some(join)
            }
            Rel::Filter { input, condition } if matches!(**input, Rel::Join(_)) => {
                split(self.substitute(condition), &mut own);
                if offset == 0 || own.iter().all(movable) {
                    self.flatten(input, offset, leaves, conditions);
                    conditions.extend(own.iter().map(|part| shift(part, offset as i64)));
                    return;
                }
                None
            }
            _ => None,
        };
        let Some(join) = inner else {
            leaves.push((Leaf::Rel(rel), rel.types().len()));
            return;
        };
        self.flatten(&join.left, offset, leaves, conditions);
        self.flatten(&join.right, offset + join.left.types().len(), leaves, conditions);
        conditions.extend(own.iter().map(|part| shift(part, offset as i64)));
    }

    fn cluster(
        &self,
        leaves: Vec<(Leaf<'_>, usize)>,
        conditions: Vec<Expr>,
        domain: Option<&Domain>,
    ) -> Result<Relation> {
        Cluster::new(self, domain, leaves).lower(conditions)
    }

    /// Pairs with equal keys and a true filter. `left` and `right` say which columns the positions of the keys mean.
    pub(super) fn joined(
        &self,
        mut left: Relation,
        mut right: Relation,
        join_type: JoinType,
        keys: Vec<(EngineExpr, EngineExpr)>,
        filter: Option<EngineExpr>,
    ) -> Result<LogicalPlan> {
        let (left_keys, right_keys): (Vec<EngineExpr>, Vec<EngineExpr>) = keys.into_iter().unzip();
        let left_keys = self.extend(&mut left, left_keys)?;
        let right_keys = self.extend(&mut right, right_keys)?;
        let on = left_keys
            .into_iter()
            .zip(right_keys)
            .map(|(left, right)| (EngineExpr::Column(left), EngineExpr::Column(right)))
            .collect();
        Ok(LogicalPlan::Join(EngineJoin::try_new(
            Arc::new(left.plan),
            Arc::new(right.plan),
            on,
            filter,
            join_type,
            JoinConstraint::On,
            NullEquality::NullEqualsNothing,
            false,
        )?))
    }

    pub(super) fn cross(&self, left: LogicalPlan, right: LogicalPlan) -> Result<LogicalPlan> {
        Ok(LogicalPlan::Join(EngineJoin::try_new(
            Arc::new(left),
            Arc::new(right),
            Vec::new(),
            None,
            JoinType::Inner,
            JoinConstraint::On,
            NullEquality::NullEqualsNothing,
            false,
        )?))
    }

    /// The equalities of conditions over left and right columns (`width` left ones) that can be join keys; the others stay.
    pub(super) fn equalities(conditions: &mut Vec<Expr>, width: usize) -> Vec<EqualityKey> {
        let mut keys = Vec::new();
        conditions.retain(|condition| {
            let Expr::Call { function, arguments, .. } = condition else { return true };
            let [first, second] = &arguments[..] else { return true };
            if !movable(condition) || has_outer(condition) {
                return true;
            }
            let Some(sql_type) = hash_type(*function, first.sql_type(), second.sql_type()) else {
                return true;
            };
            let side = |expr: &Expr| {
                let columns = expr.columns_read();
                if columns.is_empty() {
                    return None;
                }
                let left = columns.iter().all(|column| (*column as usize) < width);
                let right = columns.iter().all(|column| (*column as usize) >= width);
                (left || right).then_some(left)
            };
            let (left, right) = match (side(first), side(second)) {
                (Some(true), Some(false)) => (first, second),
                (Some(false), Some(true)) => (second, first),
                _ => return true,
            };
            keys.push(EqualityKey {
                left: widened(left.clone(), sql_type),
                right: widened(shift(right, -(width as i64)), sql_type),
                sql_type,
            });
            false
        });
        keys
    }

    /// The keys of a join as scalars over its inputs.
    pub(super) fn key_scalars(
        &self,
        keys: &[EqualityKey],
        left: &Relation,
        right: &Relation,
    ) -> Result<Vec<(EngineExpr, EngineExpr)>> {
        keys.iter()
            .map(|key| {
                let left = self.scalar(&key.left, left, None)?;
                let right = self.scalar(&key.right, right, None)?;
                Ok((self.key(left, key.sql_type), self.key(right, key.sql_type)))
            })
            .collect()
    }

    /// Both inputs' columns, for compiling conditions over a pair.
    pub(super) fn pair(left: &Relation, right: &Relation) -> Relation {
        Relation {
            plan: left.plan.clone(),
            columns: left.columns.iter().chain(&right.columns).cloned().collect(),
            types: left.types.iter().chain(&right.types).copied().collect(),
            carried: left.carried.clone().or_else(|| right.carried.clone()),
        }
    }

    /// All conditions as one filter of a join.
    pub(super) fn join_filter(
        &self,
        conditions: &[Expr],
        pair: &Relation,
        domain: Option<&Domain>,
    ) -> Result<Option<EngineExpr>> {
        let mut filter: Option<EngineExpr> = None;
        for condition in conditions {
            let scalar = self.scalar(condition, pair, domain)?;
            filter = Some(match filter {
                Some(before) => before.and(scalar),
                None => scalar,
            });
        }
        Ok(filter)
    }

    fn outer_join(
        &self,
        join: &Join,
        conditions: Vec<Expr>,
        domain: Option<&Domain>,
    ) -> Result<Relation> {
        let width = join.left.types().len();
        let mut on = Vec::new();
        if let Some(condition) = &join.condition {
            split(self.substitute(condition), &mut on);
        }
        if !on.iter().all(movable) {
            return Err(AnalyticsError::not_supported(
                "a subquery or a volatile function in the condition of an outer join",
            ));
        }
        let kind = simplified(join.kind, &conditions, width);
        let reads = |expr: &Expr, left: bool| {
            movable(expr)
                && !has_outer(expr)
                && expr.columns_read().into_iter().all(|column| ((column as usize) < width) == left)
        };
        let (mut left_down, mut right_down, mut up) = (Vec::new(), Vec::new(), Vec::new());
        for condition in conditions {
            let preserved_left = matches!(kind, JoinKind::Left | JoinKind::Inner);
            let preserved_right = matches!(kind, JoinKind::Right | JoinKind::Inner);
            if preserved_left && reads(&condition, true) {
                left_down.push(condition);
            } else if preserved_right && reads(&condition, false) {
                right_down.push(shift(&condition, -(width as i64)));
            } else {
                up.push(condition);
            }
        }
        let mut between = Vec::new();
        for condition in on {
            let constant = condition.columns_read().is_empty();
            let left_only = matches!(kind, JoinKind::Right | JoinKind::Inner) && !constant;
            let right_only = matches!(kind, JoinKind::Left | JoinKind::Inner) && !constant;
            if left_only && reads(&condition, true) {
                left_down.push(condition);
            } else if right_only && reads(&condition, false) {
                right_down.push(shift(&condition, -(width as i64)));
            } else {
                between.push(condition);
            }
        }
        let left = self.filtered(&join.left, left_down, domain)?;
        let right = self.filtered(&join.right, right_down, domain)?;
        let relation = self.pairs(left, right, kind, between, domain)?;
        self.under(relation, up, domain)
    }

    /// A join of two lowered relations by conditions over both.
    pub(super) fn pairs(
        &self,
        mut left: Relation,
        mut right: Relation,
        kind: JoinKind,
        mut conditions: Vec<Expr>,
        domain: Option<&Domain>,
    ) -> Result<Relation> {
        let depends =
            left.carried.is_some() || right.carried.is_some() || conditions.iter().any(has_outer);
        if depends && matches!(kind, JoinKind::Left | JoinKind::Inner | JoinKind::Full) {
            left = self.dependent(left, domain)?;
        }
        if depends && matches!(kind, JoinKind::Right | JoinKind::Full) {
            right = self.dependent(right, domain)?;
        }
        let width = left.columns.len();
        let equalities = Self::equalities(&mut conditions, width);
        let mut keys = self.key_scalars(&equalities, &left, &right)?;
        if let (Some(a), Some(b)) = (&left.carried, &right.carried) {
            keys.push((EngineExpr::Column(a.key.clone()), EngineExpr::Column(b.key.clone())));
        }
        let mut pair = Self::pair(&left, &right);
        if kind == JoinKind::Right {
            pair.carried = right.carried.clone();
        }
        let filter = self.join_filter(&conditions, &pair, domain)?;
        let join_type = match kind {
            JoinKind::Inner => JoinType::Inner,
            JoinKind::Left => JoinType::Left,
            JoinKind::Right => JoinType::Right,
            JoinKind::Full => JoinType::Full,
        };
        let both = (left.carried.clone(), right.carried.clone());
        pair.plan = self.joined(left, right, join_type, keys, filter)?;
        if let (JoinKind::Full, (Some(a), Some(b)), Some(domain)) = (kind, both, domain) {
            pair.carried = Some(self.either(&mut pair, &a, &b, domain)?);
        }
        Ok(pair)
    }

    /// What a full join carries: that of the side that is there.
    fn either(
        &self,
        relation: &mut Relation,
        left: &Carried,
        right: &Carried,
        domain: &Domain,
    ) -> Result<Carried> {
        let mut types = vec![SqlType::Bytea];
        types.extend(domain.outers.iter().map(|outer| outer.sql_type));
        let lefts = std::iter::once(&left.key).chain(&left.columns);
        let rights = std::iter::once(&right.key).chain(&right.columns);
        let mut scalars = Vec::new();
        for ((left, right), sql_type) in lefts.zip(rights).zip(types) {
            let view = Relation {
                plan: relation.plan.clone(),
                columns: vec![left.clone(), right.clone()],
                types: vec![sql_type; 2],
                carried: None,
            };
            let column_type = ColumnType::plain(sql_type);
            let arguments = (0..2).map(|index| Expr::Column { index, column_type }).collect();
            scalars.push(self.scalar(&Expr::Coalesce { arguments, column_type }, &view, None)?);
        }
        let mut columns = self.extend(relation, scalars)?;
        let key = columns.remove(0);
        Ok(Carried { key, columns })
    }

    fn lateral_join(&self, join: &Join, domain: Option<&Domain>) -> Result<Relation> {
        let left = self.filtered(&join.left, Vec::new(), domain)?;
        let mut on = Vec::new();
        if let Some(condition) = &join.condition {
            split(self.substitute(condition), &mut on);
        }
        if !on.iter().all(movable) {
            return Err(AnalyticsError::not_supported(
                "a subquery or a volatile function in the condition of a lateral join",
            ));
        }
        let outers = free_outers(&join.right, self.subqueries);
        if outers.is_empty() {
            let right = self.filtered(&join.right, Vec::new(), domain)?;
            return self.pairs(left, right, join.kind, on, domain);
        }
        if !matches!(join.kind, JoinKind::Inner | JoinKind::Left) {
            return Err(AnalyticsError::not_supported("RIGHT or FULL JOIN LATERAL"));
        }
        let (left, key, inner) = self.domain_of(left, &outers, domain)?;
        let right = self.filtered(&join.right, Vec::new(), Some(&inner))?;
        let right = self.dependent(right, Some(&inner))?;
        let right_key = right.carried.as_ref().expect("it was made dependent").key.clone();
        let mut left = left;
        if on.iter().any(has_outer) {
            left = self.dependent(left, domain)?;
        }
        let mut pair = Self::pair(&left, &right);
        pair.carried = left.carried.clone();
        let width = left.columns.len();
        let equalities = Self::equalities(&mut on, width);
        let mut keys = self.key_scalars(&equalities, &left, &right)?;
        keys.push((EngineExpr::Column(key), EngineExpr::Column(right_key)));
        let filter = self.join_filter(&on, &pair, domain)?;
        let join_type = if join.kind == JoinKind::Left { JoinType::Left } else { JoinType::Inner };
        pair.plan = self.joined(left, right, join_type, keys, filter)?;
        Ok(pair)
    }
}

/// An outer join under conditions that no row without match can satisfy is less outer.
fn simplified(kind: JoinKind, conditions: &[Expr], width: usize) -> JoinKind {
    let rejects = |left: bool| {
        conditions.iter().any(|condition| {
            rejects_nulls(condition)
                && condition
                    .columns_read()
                    .into_iter()
                    .any(|column| ((column as usize) < width) == left)
        })
    };
    match kind {
        JoinKind::Left if rejects(false) => JoinKind::Inner,
        JoinKind::Right if rejects(true) => JoinKind::Inner,
        JoinKind::Full => match (rejects(true), rejects(false)) {
            (true, true) => JoinKind::Inner,
            (true, false) => JoinKind::Left,
            (false, true) => JoinKind::Right,
            (false, false) => JoinKind::Full,
        },
        other => other,
    }
}

/// A cluster while it is being joined. The domain counts as the leaf after the last.
struct Cluster<'c, 'a, 'r> {
    lowering: &'c Lowering<'a>,
    domain: Option<&'c Domain>,
    leaves: Vec<Option<Leaf<'r>>>,
    /// First column of each leaf, and the number of all.
    offsets: Vec<usize>,
    /// The columns that are joined so far; those of other leaves are not read.
    columns: Vec<Column>,
    types: Vec<SqlType>,
}

impl<'c, 'a, 'r> Cluster<'c, 'a, 'r> {
    fn new(
        lowering: &'c Lowering<'a>,
        domain: Option<&'c Domain>,
        leaves: Vec<(Leaf<'r>, usize)>,
    ) -> Cluster<'c, 'a, 'r> {
        let mut offsets = vec![0];
        for (_, width) in &leaves {
            offsets.push(offsets[offsets.len() - 1] + width);
        }
        let width = offsets[leaves.len()];
        Cluster {
            lowering,
            domain,
            leaves: leaves.into_iter().map(|(leaf, _)| Some(leaf)).collect(),
            offsets,
            columns: vec![Column::new_unqualified("unjoined"); width],
            types: vec![SqlType::Void; width],
        }
    }

    fn leaf_of(&self, column: u32) -> usize {
        self.offsets.partition_point(|offset| *offset <= column as usize) - 1
    }

    /// The leaves that an expression reads; the domain is the one after the last.
    fn reads(&self, expr: &Expr) -> BTreeSet<usize> {
        let mut leaves: BTreeSet<usize> =
            expr.columns_read().into_iter().map(|column| self.leaf_of(column)).collect();
        if has_outer(expr) {
            leaves.insert(self.leaves.len());
        }
        leaves
    }

    fn lower(mut self, conditions: Vec<Expr>) -> Result<Relation> {
        let (mut open, late): (Vec<Expr>, Vec<Expr>) = conditions.into_iter().partition(movable);
        let count = self.leaves.len();
        let mut lowered: Vec<Option<Relation>> = Vec::with_capacity(count + 1);
        for at in 0..count {
            let only = BTreeSet::from([at]);
            let (down, others): (Vec<Expr>, Vec<Expr>) =
                open.into_iter().partition(|condition| self.reads(condition) == only);
            open = others;
            let by = -(self.offsets[at] as i64);
            let down: Vec<Expr> = down.iter().map(|condition| shift(condition, by)).collect();
            let leaf = self.leaves[at].take().expect("each leaf is lowered once");
            lowered.push(Some(match leaf {
                Leaf::Rel(rel) => self.lowering.filtered(rel, down, self.domain)?,
                Leaf::Lowered(relation) => {
                    self.lowering.where_true(*relation, &down, self.domain)?
                }
            }));
        }
        let carried = lowered.iter().flatten().any(|relation| relation.carried.is_some());
        if !carried && open.iter().any(has_outer) {
            let domain = self.domain.ok_or_else(|| {
                AnalyticsError::not_supported("a reference to an outer query that is not there")
            })?;
            lowered.push(Some(self.lowering.domain_alone(domain)?));
        } else {
            lowered.push(None);
        }
        let relation = self.join_all(lowered, open)?;
        self.lowering.late(relation, late, self.domain)
    }

    fn join_all(
        &mut self,
        mut lowered: Vec<Option<Relation>>,
        mut open: Vec<Expr>,
    ) -> Result<Relation> {
        let first = lowered.iter().position(Option::is_some).expect("a cluster has a leaf");
        let start = lowered[first].take().expect("found there");
        let mut have = self.place(first, &start);
        let mut current = Relation {
            plan: start.plan,
            columns: self.columns.clone(),
            types: self.types.clone(),
            carried: start.carried,
        };
        loop {
            let (ready, others): (Vec<Expr>, Vec<Expr>) =
                open.into_iter().partition(|condition| self.reads(condition).is_subset(&have));
            open = others;
            current = self.lowering.where_true(current, &ready, self.domain)?;
            let Some(next) = self.next(&lowered, &have, &open, current.carried.is_some()) else {
                break;
            };
            let relation = lowered[next].take().expect("next is still there");
            current = self.join_next(current, relation, next, &mut have, &mut open)?;
        }
        assert!(open.is_empty(), "every condition's leaves are joined in the end");
        Ok(current)
    }

    /// Takes over a leaf's columns; what it provides.
    fn place(&mut self, leaf: usize, relation: &Relation) -> BTreeSet<usize> {
        let mut provides = BTreeSet::from([leaf]);
        if leaf < self.leaves.len() {
            for (at, column) in relation.columns.iter().enumerate() {
                self.columns[self.offsets[leaf] + at] = column.clone();
                self.types[self.offsets[leaf] + at] = relation.types[at];
            }
        }
        if relation.carried.is_some() {
            provides.insert(self.leaves.len());
        }
        provides
    }

    /// The next leaf to join: one that an equality ties to what is joined already, else the first.
    fn next(
        &self,
        lowered: &[Option<Relation>],
        have: &BTreeSet<usize>,
        open: &[Expr],
        carried: bool,
    ) -> Option<usize> {
        let left: Vec<usize> = (0..lowered.len()).filter(|at| lowered[*at].is_some()).collect();
        let tied = left.iter().copied().find(|at| {
            let relation = lowered[*at].as_ref().expect("listed because it is there");
            let mut provides = BTreeSet::from([*at]);
            if relation.carried.is_some() {
                provides.insert(self.leaves.len());
            }
            (carried && relation.carried.is_some())
                || open.iter().any(|condition| self.key(condition, have, &provides).is_some())
        });
        tied.or_else(|| left.first().copied())
    }

    /// The sides of an equality between what is joined already and the next leaf.
    fn key<'e>(
        &self,
        condition: &'e Expr,
        have: &BTreeSet<usize>,
        next: &BTreeSet<usize>,
    ) -> Option<(&'e Expr, &'e Expr, SqlType)> {
        let Expr::Call { function, arguments, .. } = condition else { return None };
        let [first, second] = &arguments[..] else { return None };
        let sql_type = hash_type(*function, first.sql_type(), second.sql_type())?;
        let (a, b) = (self.reads(first), self.reads(second));
        if a.is_empty() || b.is_empty() {
            return None;
        }
        if a.is_subset(have) && b.is_subset(next) {
            return Some((first, second, sql_type));
        }
        (b.is_subset(have) && a.is_subset(next)).then_some((second, first, sql_type))
    }

    fn join_next(
        &mut self,
        mut current: Relation,
        mut relation: Relation,
        leaf: usize,
        have: &mut BTreeSet<usize>,
        open: &mut Vec<Expr>,
    ) -> Result<Relation> {
        let provides = self.place(leaf, &relation);
        // The next leaf under the cluster's positions.
        relation.columns = self.columns.clone();
        relation.types = self.types.clone();
        let mut keys = Vec::new();
        if let (Some(a), Some(b)) = (&current.carried, &relation.carried) {
            keys.push((EngineExpr::Column(a.key.clone()), EngineExpr::Column(b.key.clone())));
        }
        let mut rest = Vec::new();
        for condition in std::mem::take(open) {
            let Some((left, right, sql_type)) = self.key(&condition, have, &provides) else {
                rest.push(condition);
                continue;
            };
            let left = widened(left.clone(), sql_type);
            let right = widened(right.clone(), sql_type);
            let left = self.lowering.scalar(&left, &current, self.domain)?;
            let right = self.lowering.scalar(&right, &relation, self.domain)?;
            keys.push((self.lowering.key(left, sql_type), self.lowering.key(right, sql_type)));
        }
        have.extend(provides);
        let carried = current.carried.clone().or_else(|| relation.carried.clone());
        let both = Relation {
            plan: current.plan.clone(),
            columns: self.columns.clone(),
            types: self.types.clone(),
            carried: carried.clone(),
        };
        let (between, others): (Vec<Expr>, Vec<Expr>) =
            rest.into_iter().partition(|condition| self.reads(condition).is_subset(have));
        *open = others;
        let filter = self.lowering.join_filter(&between, &both, self.domain)?;
        current.columns = Vec::new();
        let plan = self.lowering.joined(current, relation, JoinType::Inner, keys, filter)?;
        Ok(Relation { plan, columns: self.columns.clone(), types: self.types.clone(), carried })
    }
}

/// Whether rows equal by key may differ in bytes, so that a condition must not be moved below what makes them distinct.
pub(super) fn all_plain(types: &[SqlType]) -> bool {
    !types.iter().any(|sql_type| needs_key(*sql_type))
}
