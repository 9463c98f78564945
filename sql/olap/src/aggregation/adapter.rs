//! An aggregate as the engine below sees it.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{ArrayRef, BooleanArray};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, Expr, GroupsAccumulator, Signature,
    Volatility,
};

use super::{Call, Groups, chosen};

/// A [`Call`] as a function.
#[derive(Debug)]
pub(crate) struct AggregateFunction {
    call: Arc<Call>,
    name: String,
    signature: Signature,
}

impl AggregateFunction {
    /// A call on its arguments (those of ORDER BY included), with a boolean FILTER column.
    pub(crate) fn call(call: Call, arguments: Vec<Expr>, filter: Option<Expr>) -> Expr {
        let signature = if arguments.is_empty() {
            Signature::nullary(Volatility::Immutable)
        } else {
            Signature::any(arguments.len(), Volatility::Immutable)
        };
        let name = format!("aggregate_{}", call.number);
        let function = AggregateFunction { call: Arc::new(call), name, signature };
        Expr::AggregateFunction(datafusion::logical_expr::expr::AggregateFunction::new_udf(
            Arc::new(AggregateUDF::new_from_impl(function)),
            arguments,
            false,
            filter.map(Box::new),
            Vec::new(),
            None,
        ))
    }
}

impl PartialEq for AggregateFunction {
    fn eq(&self, other: &AggregateFunction) -> bool {
        self.call.number == other.call.number
    }
}

impl Eq for AggregateFunction {}

impl Hash for AggregateFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.call.number.hash(state);
    }
}

impl AggregateUDFImpl for AggregateFunction {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(self.call.output_type())
    }

    fn accumulator(&self, _args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let mut groups = self.call.groups();
        groups.resize(1)?;
        Ok(Box::new(OneGroup { groups: Mutex::new(groups) }))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let types = self.call.state_types();
        Ok(types
            .into_iter()
            .enumerate()
            .map(|(at, data_type)| {
                Arc::new(Field::new(format!("{}[{at}]", args.name), data_type, true))
            })
            .collect())
    }

    fn groups_accumulator_supported(&self, _args: AccumulatorArgs) -> bool {
        true
    }

    fn create_groups_accumulator(
        &self,
        _args: AccumulatorArgs,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(ManyGroups { groups: self.call.groups() }))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

/// Grouping without keys.
struct OneGroup {
    /// States may be sent but not shared; nothing ever waits for this lock.
    groups: Mutex<Box<dyn Groups>>,
}

impl OneGroup {
    fn groups(&mut self) -> &mut dyn Groups {
        &mut **self.groups.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for OneGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OneGroup").finish_non_exhaustive()
    }
}

impl Accumulator for OneGroup {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        // `count(*)` has no argument; it is lowered to one, so that its rows can be counted here.
        let rows = values.first().map_or(0, |array| array.len());
        self.groups().update(values, &mut (0..rows).map(|row| (row, 0)))
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let array = self.groups().evaluate(EmitTo::All)?;
        self.groups().resize(1)?;
        ScalarValue::try_from_array(&array, 0)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.groups.lock().unwrap_or_else(PoisonError::into_inner).size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let arrays = self.groups().state(EmitTo::All)?;
        self.groups().resize(1)?;
        arrays.iter().map(|array| ScalarValue::try_from_array(array, 0)).collect()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let rows = states.first().map_or(0, |array| array.len());
        self.groups().merge(states, &mut (0..rows).map(|row| (row, 0)))
    }
}

/// Grouping by keys.
struct ManyGroups {
    groups: Box<dyn Groups>,
}

impl GroupsAccumulator for ManyGroups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.groups.resize(total_num_groups)?;
        self.groups.update(values, &mut chosen(group_indices, opt_filter))
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        self.groups.evaluate(emit_to)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        self.groups.state(emit_to)
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        self.groups.resize(total_num_groups)?;
        self.groups.merge(values, &mut chosen(group_indices, None))
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let rows = values.first().map_or(0, |array| array.len());
        let each: Vec<usize> = (0..rows).collect();
        let mut groups = self.groups.fresh();
        groups.resize(rows)?;
        groups.update(values, &mut chosen(&each, opt_filter))?;
        groups.state(EmitTo::All)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.groups.size()
    }
}
