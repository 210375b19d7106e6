//! Arrays as PostgreSQL has them: any number of dimensions in one type, whose values compare item by item.
//!
//! ```text
//! m[1][2]                   ─►  pg_subscript(m, 1, 2)        NULL where the array has no such place, or other dimensions
//! m[2:]                     ─►  pg_slice(m, 'l', 2)          the part that is there, with its dimensions
//! m = '{{1,2}}'             ─►  m = an array of m's type     ([`constants`])
//! x.m < y.m, max(m)         ─►  by keys of all items         ([`order`])
//! x.m @> y.m, x.m && y.m    ─►  NULL among items equals none ([`items`])
//! ```

mod alike;
pub(super) mod constants;
pub(super) mod items;
pub(super) mod order;
mod subscripts;
pub(super) mod told;

pub(crate) use subscripts::{Bound, SLICE, SUBSCRIPT};
pub(crate) use told::{Item, says_nothing};

use std::sync::Arc;

use datafusion::arrow::array::{Array as _, ArrayRef, AsArray as _, ListArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::context::SessionContext;

use crate::sqlstate::ServerError;

/// Gives a context the functions of arrays and the operators between them and constants.
pub(super) fn install(context: &SessionContext) {
    subscripts::install(context);
    alike::install(context);
    constants::install(context);
    told::install(context);
}

/// Dimensions of the arrays of a type; 0 for a type of other values.
pub(super) fn dimensions(data_type: &DataType) -> usize {
    match data_type {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            1 + dimensions(item.data_type())
        }
        _ => 0,
    }
}

/// The type of the items of arrays, however many dimensions they have.
pub(crate) fn innermost(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            innermost(item.data_type())
        }
        other => other,
    }
}

/// The arrays of a column in the one form that this module reads; `None` for a column of other values.
pub(super) fn lists(array: &ArrayRef) -> Result<Option<ListArray>> {
    Ok(match array.data_type() {
        DataType::List(_) => Some(array.as_list::<i32>().clone()),
        DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            let list = cast(array, &DataType::List(Arc::clone(item)))?;
            Some(list.as_list::<i32>().clone())
        }
        _ => None,
    })
}

/// Where the items of one array begin and end.
fn range(list: &ListArray, row: usize) -> (usize, usize) {
    let offsets = list.value_offsets();
    let at = |place: usize| {
        let offset = offsets.get(place).copied().unwrap_or_default();
        usize::try_from(offset).unwrap_or_default()
    };
    (at(row), at(row + 1).max(at(row)))
}

fn failed(error: ServerError) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
