//! The names PostgreSQL gives to columns of a result. Source: PostgreSQL 15, `FigureColname`.

use crate::query::OutputColumn;
use crate::syntax::{Expr, ExprKind, Name, QueryBody};
use alloc::boxed::Box;
use types::ColumnType;

pub(super) fn plain_column(name: &str, column_type: ColumnType) -> OutputColumn {
    OutputColumn { name: name.into(), column_type, origin: None }
}

/// The name of a column without alias.
pub(super) fn label(expression: &Expr) -> Box<str> {
    match find(expression) {
        Some((name, _)) => name.into(),
        None => "?column?".into(),
    }
}

/// How much a name says; a cast gives its type's name only if its operand has no better one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Strength {
    Weak,
    Strong,
}

fn last(name: &Name) -> Option<(&str, Strength)> {
    name.parts.last().map(|part| (&*part.name, Strength::Strong))
}

fn find(expression: &Expr) -> Option<(&str, Strength)> {
    let strong = |name| Some((name, Strength::Strong));
    match &expression.kind {
        ExprKind::Column(name) => last(name),
        ExprKind::Field { field, .. } => strong(&*field.name),
        ExprKind::Subscript { operand, .. } | ExprKind::Slice { operand, .. } => find(operand),
        ExprKind::Call(call) => last(&call.name),
        ExprKind::NullIf(..) => strong("nullif"),
        ExprKind::Cast { operand, type_name } => match find(operand) {
            Some((name, Strength::Strong)) => strong(name),
            _ => type_name.name.parts.last().map(|part| (&*part.name, Strength::Weak)),
        },
        ExprKind::Collate { operand, .. } => find(operand),
        ExprKind::Case(case) => match case.otherwise.as_ref().and_then(find) {
            Some((name, Strength::Strong)) => strong(name),
            _ => Some(("case", Strength::Weak)),
        },
        ExprKind::Coalesce(_) => strong("coalesce"),
        ExprKind::Extreme { greatest: true, .. } => strong("greatest"),
        ExprKind::Extreme { greatest: false, .. } => strong("least"),
        ExprKind::Array(_) | ExprKind::ArrayQuery(_) => strong("array"),
        ExprKind::Row(_) => strong("row"),
        ExprKind::Exists(_) => strong("exists"),
        ExprKind::Grouping(_) => strong("grouping"),
        ExprKind::Scalar(query) => match &query.body {
            QueryBody::Select(select) => {
                let first = select.items.first()?;
                match &first.alias {
                    Some(alias) => strong(&*alias.name),
                    None => find(&first.expression),
                }
            }
            _ => None,
        },
        _ => None,
    }
}
