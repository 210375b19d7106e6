//! The calls of a child and its parents, row by row, with what the place and the child's sex say of inheritance.

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::common::Result as DfResult;
use datafusion::logical_expr::ScalarFunctionArgs;
use genokura_core::codec::CallRef;
use genokura_core::codec::cell::Cell;
use genokura_core::contig::Assembly;
use genokura_core::sex::{Sex, Zone};

use crate::error::{Error, Result};
use crate::genotypes::{Directory, Text, gt_argument, text_argument};

/// A call and the number of its batch; None when the row has no data for the sample, or its record no GT.
pub(crate) type PlacedCall<'a> = Option<(CallRef<'a>, u32)>;

/// Evaluates `value` on the calls of child, father and mother of each row: None for a NULL argument (an unknown sex
/// is none) and where the zone is not known.
pub(crate) fn per_trio(
    args: &ScalarFunctionArgs,
    value: impl Fn(Zone, Sex, [PlacedCall<'_>; 3]) -> Option<bool>,
) -> DfResult<Vec<Option<bool>>> {
    let gt = gt_argument(args)?;
    let names = [
        text_argument(args, 1)?,
        text_argument(args, 2)?,
        text_argument(args, 3)?,
    ];
    let mut places = Places::of(args)?;
    let mut directory = Directory::of_call(args);
    let constant = names.iter().all(|name| matches!(name, Text::Constant(_)));
    // Many rows share one cell: everybody has the default call there.
    let mut last: Option<(u128, Zone, Sex, Option<bool>)> = None;
    let mut values = Vec::with_capacity(gt.len());
    for row in 0..gt.len() {
        let [Some(child), Some(father), Some(mother)] = names.each_ref().map(|name| name.get(row))
        else {
            values.push(None);
            continue;
        };
        let place = places.get(row)?.filter(|_| gt.is_valid(row));
        let Some((zone, sex)) = place else {
            values.push(None);
            continue;
        };
        let view = gt.views()[row];
        if let Some((of_view, of_zone, of_sex, answer)) = last
            && constant
            && (of_view, of_zone, of_sex) == (view, zone, sex)
        {
            values.push(answer);
            continue;
        }
        let cell = Cell::open(gt.value(row)).map_err(Error::Genotype)?;
        let calls = [
            directory.placed_call(&cell, child)?,
            directory.placed_call(&cell, father)?,
            directory.placed_call(&cell, mother)?,
        ];
        let answer = value(zone, sex, calls);
        last = Some((view, zone, sex, answer));
        values.push(answer);
    }
    Ok(values)
}

/// The optional arguments contig, pos, sex and assembly; None: the autosomal rules everywhere.
struct Places<'a>(Option<Given<'a>>);

struct Given<'a> {
    contig: Text<'a>,
    pos: ArrayRef,
    sex: Text<'a>,
    assembly: Text<'a>,
    /// The assembly read last.
    last: Option<(String, Assembly)>,
}

impl<'a> Places<'a> {
    fn of(args: &'a ScalarFunctionArgs) -> DfResult<Self> {
        if args.args.len() <= 4 {
            return Ok(Self(None));
        }
        Ok(Self(Some(Given {
            contig: text_argument(args, 4)?,
            pos: cast(&args.args[5].to_array(args.number_rows)?, &DataType::Int64)?,
            sex: text_argument(args, 6)?,
            assembly: text_argument(args, 7)?,
            last: None,
        })))
    }

    fn get(&mut self, row: usize) -> Result<Option<(Zone, Sex)>> {
        let Some(given) = &mut self.0 else {
            return Ok(Some((Zone::Autosomal, Sex::Unknown)));
        };
        let assembly = match given.assembly.get(row) {
            Some(name) => Some(assembly_of(name, &mut given.last)?),
            None => None,
        };
        let pos = given.pos.as_primitive::<Int64Type>();
        let Some(contig) = given.contig.get(row).filter(|_| pos.is_valid(row)) else {
            return Ok(None);
        };
        let sex = given.sex.get(row).map_or(Sex::Unknown, Sex::of_text);
        let pos = u32::try_from(pos.value(row)).unwrap_or(0);
        Ok(Zone::of(assembly, contig, pos).map(|zone| (zone, sex)))
    }
}

fn assembly_of(name: &str, last: &mut Option<(String, Assembly)>) -> Result<Assembly> {
    match last {
        Some((held, assembly)) if held == name => Ok(*assembly),
        _ => {
            let assembly =
                Assembly::from_name(name).ok_or_else(|| Error::UnknownAssembly(name.to_owned()))?;
            *last = Some((name.to_owned(), assembly));
            Ok(assembly)
        }
    }
}
