//! Our computations as the engine below sees them: opaque functions of columns, told apart by a number.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use types::SqlType;

use super::Program;
use crate::error::raised;
use crate::physical::arrow_type;
use crate::sort_key::{key_column, key_type, tuple_key};

/// A program as a function.
#[derive(Debug)]
pub(crate) struct ProgramFunction {
    pub(crate) program: Arc<Program>,
    name: String,
    signature: Signature,
}

impl PartialEq for ProgramFunction {
    fn eq(&self, other: &ProgramFunction) -> bool {
        self.program.number == other.program.number
    }
}

impl Eq for ProgramFunction {}

impl Hash for ProgramFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.program.number.hash(state);
    }
}

impl ProgramFunction {
    /// A call of a program on its arguments.
    pub(crate) fn call(program: Arc<Program>, arguments: Vec<Expr>) -> Expr {
        assert_eq!(program.inputs.len(), arguments.len(), "one argument for each column read");
        let volatility = match program.volatility {
            functions::Volatility::Volatile => Volatility::Volatile,
            // Nothing is folded below us: what is constant was folded when the program was compiled.
            functions::Volatility::Immutable | functions::Volatility::Stable => {
                Volatility::Immutable
            }
        };
        let name = format!("expression_{}", program.number);
        let signature = any(arguments.len(), volatility);
        ScalarUDF::new_from_impl(ProgramFunction { program, name, signature }).call(arguments)
    }
}

fn any(arguments: usize, volatility: Volatility) -> Signature {
    if arguments == 0 {
        Signature::nullary(volatility)
    } else {
        Signature::any(arguments, volatility)
    }
}

fn arrays(args: &ScalarFunctionArgs) -> Result<Vec<ArrayRef>> {
    args.args.iter().map(|argument| argument.to_array(args.number_rows)).collect()
}

impl ScalarUDFImpl for ProgramFunction {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(arrow_type(self.program.output.sql_type))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Ok(ColumnarValue::Array(self.program.evaluate(&arrays(&args)?, args.number_rows)?))
    }
}

/// The sort key of a column, or the one key of several columns.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct KeyFunction {
    shape: KeyShape,
    signature: Signature,
}

#[derive(Debug, PartialEq, Eq, Hash)]
enum KeyShape {
    Column(SqlType),
    Tuple(Vec<SqlType>),
}

impl KeyFunction {
    /// [`key_column`] of one column.
    pub(crate) fn column(sql_type: SqlType, argument: Expr) -> Expr {
        let signature = Signature::any(1, Volatility::Immutable);
        let shape = KeyShape::Column(sql_type);
        ScalarUDF::new_from_impl(KeyFunction { shape, signature }).call(vec![argument])
    }

    /// [`tuple_key`] of several.
    pub(crate) fn tuple(sql_types: Vec<SqlType>, arguments: Vec<Expr>) -> Expr {
        let signature = any(arguments.len(), Volatility::Immutable);
        let shape = KeyShape::Tuple(sql_types);
        ScalarUDF::new_from_impl(KeyFunction { shape, signature }).call(arguments)
    }
}

impl ScalarUDFImpl for KeyFunction {
    fn name(&self) -> &str {
        match &self.shape {
            KeyShape::Column(_) => "sort_key",
            KeyShape::Tuple(_) => "tuple_key",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(match &self.shape {
            KeyShape::Column(sql_type) => key_type(*sql_type),
            KeyShape::Tuple(_) => DataType::BinaryView,
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = arrays(&args)?;
        let keys = match &self.shape {
            KeyShape::Column(sql_type) => key_column(&arrays[0], *sql_type).map_err(raised)?,
            KeyShape::Tuple(sql_types) => {
                tuple_key(&arrays, sql_types, args.number_rows).map_err(raised)?
            }
        };
        Ok(ColumnarValue::Array(keys))
    }
}
