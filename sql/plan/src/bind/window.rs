//! Window functions. Source: PostgreSQL 15, `transformWindowFuncCall` and `transformWindowDefinitions`.

use super::Binder;
use super::scope::{Clause, WINDOW_MARK};
use crate::error::{PlanError, Result};
use crate::query::{
    Frame, FrameBound, FrameExclude, FrameUnits, SortKey, WindowCall, WindowFunction,
};
use crate::syntax::{self, Call, Over, Window};
use alloc::format;
use alloc::vec::Vec;
use functions::{Expr, common_type};
use types::{ColumnType, SqlState, SqlType};

pub(super) fn is_window_function(name: &str) -> bool {
    window_function(name).is_some()
}

fn window_function(name: &str) -> Option<WindowFunction> {
    Some(match name {
        "row_number" => WindowFunction::RowNumber,
        "rank" => WindowFunction::Rank,
        "dense_rank" => WindowFunction::DenseRank,
        "percent_rank" => WindowFunction::PercentRank,
        "cume_dist" => WindowFunction::CumeDist,
        "ntile" => WindowFunction::Ntile,
        "lag" => WindowFunction::Lag,
        "lead" => WindowFunction::Lead,
        "first_value" => WindowFunction::FirstValue,
        "last_value" => WindowFunction::LastValue,
        "nth_value" => WindowFunction::NthValue,
        _ => return None,
    })
}

/// A window with what its base says filled in.
struct Definition {
    partition: Vec<Expr>,
    order: Vec<SortKey>,
    frame: Frame,
}

impl Binder<'_> {
    #[inline(never)]
    pub(super) fn window_call(&mut self, name: &str, call: &Call, position: u32) -> Result<Expr> {
        let place = position as usize;
        let Some(over) = &call.over else {
            return Err(PlanError::at(
                SqlState::WRONG_OBJECT_TYPE,
                place,
                format!("window function {name} requires an OVER clause"),
            ));
        };
        self.check_window_place(position)?;
        if call.distinct {
            return Err(PlanError::at(
                SqlState::FEATURE_NOT_SUPPORTED,
                place,
                "DISTINCT is not implemented for window functions",
            ));
        }
        if !call.order_by.is_empty() {
            return Err(PlanError::at(
                SqlState::FEATURE_NOT_SUPPORTED,
                place,
                "aggregate ORDER BY is not implemented for window functions",
            ));
        }
        let (function, arguments, filter, returns) = match window_function(name) {
            Some(function) => {
                if call.filter.is_some() {
                    return Err(PlanError::at(
                        SqlState::FEATURE_NOT_SUPPORTED,
                        place,
                        "FILTER is not implemented for non-aggregate window functions",
                    ));
                }
                let (arguments, returns) = self.window_arguments(function, name, call, position)?;
                (function, arguments, None, returns)
            }
            None if functions::aggregate::is_aggregate(name) => {
                let bound = self.within(Clause::WindowArgument, |binder| {
                    binder.bind_aggregate(name, call, position)
                })?;
                let function = WindowFunction::Aggregate(bound.function);
                (function, bound.arguments, bound.filter, bound.column_type)
            }
            None => {
                return Err(PlanError::at(
                    SqlState::WRONG_OBJECT_TYPE,
                    place,
                    format!(
                        "OVER specified, but {name} is not a window function nor an aggregate function"
                    ),
                ));
            }
        };
        let definition = match over {
            Over::Name(name) => {
                let window = self.named_window(&name.name, name.position)?;
                self.window_definition(&window)?
            }
            Over::Window(window) => self.window_definition(window)?,
        };
        let bound = WindowCall {
            function,
            arguments,
            filter,
            partition: definition.partition,
            order: definition.order,
            frame: definition.frame,
            column_type: returns,
        };
        let scope = self.scopes.last_mut().expect("a clause that allows windows has a scope");
        let known = scope.windows.iter().position(|one| *one == bound);
        let index = known.unwrap_or_else(|| {
            scope.windows.push(bound);
            scope.windows.len() - 1
        });
        Ok(Expr::Column { index: WINDOW_MARK + index as u32, column_type: returns })
    }

    fn check_window_place(&self, position: u32) -> Result<()> {
        let clause = self.clause();
        if clause.allows_windows() {
            return Ok(());
        }
        let message = match clause {
            Clause::WindowArgument => "window function calls cannot be nested".into(),
            Clause::AggregateArgument => {
                return Err(PlanError::at(
                    SqlState::GROUPING_ERROR,
                    position as usize,
                    "aggregate function calls cannot contain window function calls",
                ));
            }
            other => format!("window functions are not allowed in {}", other.name()),
        };
        Err(PlanError::at(SqlState::WINDOWING_ERROR, position as usize, message))
    }

    fn window_arguments(
        &mut self,
        function: WindowFunction,
        name: &str,
        call: &Call,
        position: u32,
    ) -> Result<(Vec<Expr>, ColumnType)> {
        let arguments =
            self.within(Clause::WindowArgument, |binder| binder.arguments(&call.arguments))?;
        let types: Vec<SqlType> = arguments.iter().map(|(one, _)| one.sql_type()).collect();
        let integer =
            |one: &SqlType| matches!(one, SqlType::Int2 | SqlType::Int4 | SqlType::Unknown);
        let wrong = || super::call::no_such_function(name, &types, position);
        let value = types.first().copied().unwrap_or(SqlType::Unknown);
        let value = if value == SqlType::Unknown { SqlType::Text } else { value };
        let (wanted, returns) = match (function, types.as_slice()) {
            (WindowFunction::RowNumber | WindowFunction::Rank | WindowFunction::DenseRank, []) => {
                (Vec::new(), SqlType::Int8)
            }
            (WindowFunction::PercentRank | WindowFunction::CumeDist, []) => {
                (Vec::new(), SqlType::Float8)
            }
            (WindowFunction::Ntile, [count]) if integer(count) => {
                (alloc::vec![SqlType::Int4], SqlType::Int4)
            }
            (WindowFunction::FirstValue | WindowFunction::LastValue, [_])
            | (WindowFunction::Lag | WindowFunction::Lead, [_]) => (alloc::vec![value], value),
            (WindowFunction::NthValue | WindowFunction::Lag | WindowFunction::Lead, [_, count])
                if integer(count) =>
            {
                (alloc::vec![value, SqlType::Int4], value)
            }
            (WindowFunction::Lag | WindowFunction::Lead, [first, count, default])
                if integer(count) =>
            {
                let common = common_type(&[*first, *default], name).map_err(|_| wrong())?;
                (alloc::vec![common, SqlType::Int4, common], common)
            }
            _ => return Err(wrong()),
        };
        let mut cast = Vec::with_capacity(arguments.len());
        for ((argument, place), wanted) in arguments.into_iter().zip(wanted) {
            cast.push(self.operand(argument, wanted, place)?);
        }
        Ok((cast, ColumnType::plain(returns)))
    }

    fn named_window(&self, name: &str, position: u32) -> Result<Window> {
        let found = self
            .scopes
            .last()
            .and_then(|scope| scope.named_windows.iter().find(|(known, _)| &**known == name));
        match found {
            Some((_, window)) => Ok(window.clone()),
            None => Err(PlanError::at(
                SqlState::UNDEFINED_OBJECT,
                position as usize,
                format!("window \"{name}\" does not exist"),
            )),
        }
    }

    fn window_definition(&mut self, window: &Window) -> Result<Definition> {
        let base = match &window.base {
            Some(base) => {
                let base_window = self.named_window(&base.name, base.position)?;
                self.check_base(window, &base_window, &base.name)?;
                Some(self.window_definition(&base_window)?)
            }
            None => None,
        };
        self.within(Clause::Window, |binder| {
            let mut partition = Vec::with_capacity(window.partition_by.len());
            for one in &window.partition_by {
                let bound = binder.expression(one)?;
                partition.push(binder.text_if_unknown(bound)?);
            }
            let mut order = binder.sort_keys(&window.order_by)?;
            if let Some(base) = base {
                partition = base.partition;
                if order.is_empty() {
                    order = base.order;
                }
            }
            let frame = binder.frame(window.frame.as_ref(), &order, window.position)?;
            Ok(Definition { partition, order, frame })
        })
    }

    fn check_base(&self, window: &Window, base: &Window, name: &str) -> Result<()> {
        let problem = if !window.partition_by.is_empty() {
            format!("cannot override PARTITION BY clause of window \"{name}\"")
        } else if !window.order_by.is_empty() && !base.order_by.is_empty() {
            format!("cannot override ORDER BY clause of window \"{name}\"")
        } else if base.frame.is_some() {
            format!("cannot copy window \"{name}\" because it has a frame clause")
        } else {
            return Ok(());
        };
        Err(PlanError::at(SqlState::WINDOWING_ERROR, window.position as usize, problem))
    }

    fn frame(
        &mut self,
        frame: Option<&syntax::Frame>,
        order: &[SortKey],
        window: u32,
    ) -> Result<Frame> {
        let Some(frame) = frame else {
            return Ok(Frame {
                units: FrameUnits::Range,
                start: FrameBound::UnboundedPreceding,
                end: FrameBound::CurrentRow,
                exclude: FrameExclude::NoOthers,
            });
        };
        check_bounds(frame)?;
        if frame.units == FrameUnits::Groups && order.is_empty() {
            return Err(PlanError::at(
                SqlState::WINDOWING_ERROR,
                frame.positions[0] as usize,
                "GROUPS mode requires an ORDER BY clause",
            ));
        }
        let start = self.frame_bound(&frame.start, frame, order, window)?;
        let end = self.frame_bound(&frame.end, frame, order, window)?;
        Ok(Frame { units: frame.units, start, end, exclude: frame.exclude })
    }

    fn frame_bound(
        &mut self,
        bound: &syntax::FrameBound,
        frame: &syntax::Frame,
        order: &[SortKey],
        window: u32,
    ) -> Result<FrameBound> {
        let (offset, preceding) = match bound {
            syntax::FrameBound::UnboundedPreceding => return Ok(FrameBound::UnboundedPreceding),
            syntax::FrameBound::CurrentRow => return Ok(FrameBound::CurrentRow),
            syntax::FrameBound::UnboundedFollowing => return Ok(FrameBound::UnboundedFollowing),
            syntax::FrameBound::Preceding(offset) => (offset, true),
            syntax::FrameBound::Following(offset) => (offset, false),
        };
        let bound = self.expression(offset)?;
        let names_columns = {
            let mut names = false;
            bound.walk(&mut |part| names |= matches!(part, Expr::Column { .. }));
            names
        };
        let place = offset.place();
        if names_columns {
            let mode = match frame.units {
                FrameUnits::Rows => "ROWS",
                FrameUnits::Range => "RANGE",
                FrameUnits::Groups => "GROUPS",
            };
            return Err(PlanError::at(
                SqlState::INVALID_COLUMN_REFERENCE,
                place as usize,
                format!("argument of {mode} must not contain variables"),
            ));
        }
        let expression = match frame.units {
            FrameUnits::Rows => self.exactly(bound, SqlType::Int8, "ROWS", place)?,
            FrameUnits::Groups => self.exactly(bound, SqlType::Int8, "GROUPS", place)?,
            FrameUnits::Range => self.range_offset(bound, order, window, place)?,
        };
        Ok(if preceding {
            FrameBound::Preceding(expression)
        } else {
            FrameBound::Following(expression)
        })
    }

    /// The offset of RANGE has the type that is added to the sort key's.
    fn range_offset(
        &mut self,
        offset: Expr,
        order: &[SortKey],
        window: u32,
        place: u32,
    ) -> Result<Expr> {
        let [key] = order else {
            return Err(PlanError::at(
                SqlState::WINDOWING_ERROR,
                window as usize,
                "RANGE with offset PRECEDING/FOLLOWING requires exactly one ORDER BY column",
            ));
        };
        let wanted = match key.expression.sql_type() {
            SqlType::Int2 | SqlType::Int4 | SqlType::Int8 => key.expression.sql_type(),
            SqlType::Numeric => SqlType::Numeric,
            SqlType::Float4 | SqlType::Float8 => SqlType::Float8,
            SqlType::Date | SqlType::Timestamp | SqlType::Timestamptz | SqlType::Interval => {
                SqlType::Interval
            }
            other => {
                return Err(PlanError::at(
                    SqlState::FEATURE_NOT_SUPPORTED,
                    place as usize,
                    format!(
                        "RANGE with offset PRECEDING/FOLLOWING is not supported for column type {}",
                        other.name()
                    ),
                ));
            }
        };
        self.exactly(offset, wanted, "RANGE", place)
    }
}

fn check_bounds(frame: &syntax::Frame) -> Result<()> {
    use syntax::FrameBound as Bound;
    let mut place = frame.positions[2];
    let problem = match (&frame.start, &frame.end) {
        (Bound::UnboundedFollowing, _) => {
            place = frame.positions[1];
            "frame start cannot be UNBOUNDED FOLLOWING"
        }
        (_, Bound::UnboundedPreceding) => "frame end cannot be UNBOUNDED PRECEDING",
        (Bound::CurrentRow, Bound::Preceding(_)) => {
            "frame starting from current row cannot have preceding rows"
        }
        (Bound::Following(_), Bound::Preceding(_)) => {
            "frame starting from following row cannot have preceding rows"
        }
        (Bound::Following(_), Bound::CurrentRow) => {
            "frame starting from following row cannot end with current row"
        }
        _ => return Ok(()),
    };
    Err(PlanError::at(SqlState::WINDOWING_ERROR, place as usize, problem))
}
