//! JSON into the engine's values and back, counted: at most 10,000 values and 64 levels either way.

use std::collections::HashMap;

use ::cel::ExecutionError;
use ::cel::common::types::{CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelUInt};
use ::cel::common::value::Val;
use serde_json::{Map, Number, Value};

use super::failure::ours;
use crate::expr::EvalError;

/// How many values a document may hold, itself counted.
pub(super) const MAX_VALUES: usize = 10_000;

/// How deep a document may be.
const MAX_LEVELS: usize = 64;

/// What is left of the bounds.
struct Budget {
    values: usize,
    /// How many elements one list or map may have.
    most: usize,
}

/// A JSON value as one of the engine's. Text is borrowed. `most` is how many elements one list or map may have.
pub(super) fn read(value: &Value, most: usize) -> Result<Box<dyn Val + '_>, ExecutionError> {
    Budget { values: MAX_VALUES, most }.read(value, MAX_LEVELS)
}

impl Budget {
    fn read<'v>(&mut self, value: &'v Value, levels: usize) -> Result<Box<dyn Val + 'v>, ExecutionError> {
        self.values = self.values.checked_sub(1).ok_or_else(|| ours("a document holds more than 10,000 values"))?;
        let levels = levels.checked_sub(1).ok_or_else(|| ours("a document is more than 64 levels deep"))?;
        Ok(match value {
            Value::Array(items) => self.list(items, levels)?,
            Value::Bool(value) => Box::new(CelBool::from(*value)),
            Value::Null => Box::new(CelNull),
            Value::Number(number) => read_number(number)?,
            Value::Object(fields) => self.map(fields, levels)?,
            Value::String(text) => Box::new(CelString::from(text.as_str())),
        })
    }

    fn list<'v>(&mut self, items: &'v [Value], levels: usize) -> Result<Box<dyn Val + 'v>, ExecutionError> {
        self.may_have(items.len())?;
        let items = items.iter().map(|item| self.read(item, levels)).collect::<Result<Vec<_>, _>>()?;
        Ok(Box::new(CelList::from(items)))
    }

    fn map<'v>(&mut self, fields: &'v Map<String, Value>, levels: usize) -> Result<Box<dyn Val + 'v>, ExecutionError> {
        self.may_have(fields.len())?;
        let fields = fields.iter().map(|(name, value)| {
            let name = CelMapKey::String(CelString::from(name.as_str()));
            Ok((name, self.read(value, levels)?))
        });
        Ok(Box::new(CelMap::from(fields.collect::<Result<HashMap<_, _>, _>>()?)))
    }

    fn may_have(&self, elements: usize) -> Result<(), ExecutionError> {
        if elements <= self.most { Ok(()) } else { Err(ours("a list or map is longer than two nested loops may walk")) }
    }
}

/// Whole numbers stay whole, all 64 bits of them.
fn read_number<'v>(number: &Number) -> Result<Box<dyn Val + 'v>, ExecutionError> {
    if let Some(number) = number.as_i64() {
        Ok(Box::new(CelInt::from(number)))
    } else if let Some(number) = number.as_u64() {
        Ok(Box::new(CelUInt::from(number)))
    } else {
        number
            .as_f64()
            .map(|number| Box::new(CelDouble::from(number)) as Box<dyn Val>)
            .ok_or_else(|| ours("a number is none"))
    }
}

/// One of the engine's values as JSON.
///
/// # Errors
/// For what JSON cannot write, and over the bounds.
pub(super) fn written(value: &dyn Val) -> Result<Value, EvalError> {
    write(value, &mut MAX_VALUES.clone(), MAX_LEVELS)
}

fn write(value: &dyn Val, left: &mut usize, levels: usize) -> Result<Value, EvalError> {
    *left = left.checked_sub(1).ok_or_else(|| EvalError::new("it yields more than 10,000 values"))?;
    let levels = levels.checked_sub(1).ok_or_else(|| EvalError::new("it yields more than 64 levels"))?;
    if let Some(value) = value.downcast_ref::<CelBool>() {
        Ok(Value::Bool(*value.inner()))
    } else if let Some(value) = value.downcast_ref::<CelInt>() {
        Ok(Value::from(*value.inner()))
    } else if let Some(value) = value.downcast_ref::<CelString>() {
        Ok(Value::from(value.inner()))
    } else if let Some(value) = value.downcast_ref::<CelUInt>() {
        Ok(Value::from(*value.inner()))
    } else if let Some(value) = value.downcast_ref::<CelDouble>() {
        Number::from_f64(*value.inner()).map(Value::Number).ok_or_else(|| EvalError::new("it yields no finite number"))
    } else if value.downcast_ref::<CelNull>().is_some() {
        Ok(Value::Null)
    } else if let Some(list) = value.downcast_ref::<CelList>() {
        list.inner().iter().map(|item| write(&**item, left, levels)).collect::<Result<_, _>>().map(Value::Array)
    } else if let Some(map) = value.downcast_ref::<CelMap>() {
        write_map(map, left, levels)
    } else {
        Err(EvalError::new(format!("it yields a {}, which JSON cannot write", value.get_type().name())))
    }
}

fn write_map(map: &CelMap<'_>, left: &mut usize, levels: usize) -> Result<Value, EvalError> {
    let fields = map.inner().iter().map(|(name, value)| match name {
        CelMapKey::String(name) => Ok((name.inner().to_owned(), write(&**value, left, levels)?)),
        _ => Err(EvalError::new("it yields a map whose keys are not all text")),
    });
    fields.collect::<Result<_, _>>().map(Value::Object)
}
