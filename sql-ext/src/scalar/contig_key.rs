//! `contig_key(contig)`: one name for all names of a human primary contig.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, StringBuilder};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result as DfResult;
use datafusion::common::utils::take_function_args;
use datafusion::logical_expr::ScalarFunctionArgs;
use genokura_core::contig::canonical_key;

use super::{Definition, types};
use crate::doc::{Chapter, FunctionDoc, argument};

pub(super) const DEFINITION: Definition = Definition {
    doc: FunctionDoc {
        name: "contig_key",
        chapter: Chapter::Regions,
        arguments: &[argument("contig", "text", "Name of a contig.")],
        returns: "text",
        summary: "The plain name of a contig, whichever of its names is given.",
        details: &[
            "`1` to `22`, `X`, `Y` or `MT` for every usual name of a human primary: `chr1`, `1`, `NC_000001.11`, \
             `CM000663.2`; `chrM`, `M`. Every other name is given back as it stands. NULL gives NULL.",
            "For joins of tables that spell contigs in different ways, which are refused when they compare the names \
             themselves. A table that is loaded with `--contigs` is spelled like the others, and joins faster.",
        ],
        example: "SELECT v.pos, k.ids FROM cohort.variants v\n\
                  JOIN clinvar.variants k ON contig_key(k.contig) = contig_key(v.contig)\n\
                  AND k.pos = v.pos AND k.ref = v.ref AND k.alt = v.alt;",
    },
    coerce: types::one_text,
    returns: || DataType::Utf8,
    invoke,
    simplify: None,
};

fn invoke(args: &ScalarFunctionArgs) -> DfResult<ArrayRef> {
    let [contig] = take_function_args(DEFINITION.doc.name, &args.args)?;
    let contigs = contig.to_array(args.number_rows)?;
    let mut keys = StringBuilder::with_capacity(contigs.len(), contigs.len() * 2);
    // Rows of one contig stand together.
    let mut last: Option<(&str, &str)> = None;
    for contig in contigs.as_string::<i32>() {
        let key = contig.map(|contig| match last {
            Some((same, key)) if same == contig => key,
            _ => canonical_key(contig).unwrap_or(contig),
        });
        last = contig.zip(key);
        keys.append_option(key);
    }
    Ok(Arc::new(keys.finish()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::StringArray;
    use datafusion::arrow::datatypes::Field;
    use datafusion::common::config::ConfigOptions;
    use datafusion::logical_expr::ColumnarValue;

    #[test]
    fn every_name_of_a_primary_has_one_key() -> DfResult<()> {
        let names = [
            Some("chr1"),
            Some("1"),
            Some("NC_000001.11"),
            Some("chrM"),
            None,
            Some("HLA-A*01:01"),
            Some("chrUn_KI270302v1"),
        ];
        let field = Arc::new(Field::new("contig", DataType::Utf8, true));
        let keys = invoke(&ScalarFunctionArgs {
            args: vec![ColumnarValue::Array(Arc::new(StringArray::from(
                names.to_vec(),
            )))],
            arg_fields: vec![Arc::clone(&field)],
            number_rows: names.len(),
            return_field: field,
            config_options: Arc::new(ConfigOptions::default()),
        })?;
        let keys: Vec<_> = keys.as_string::<i32>().iter().collect();
        let expected = ["1", "1", "1", "MT", "", "HLA-A*01:01", "chrUn_KI270302v1"];
        let expected: Vec<_> = expected.map(|k| (!k.is_empty()).then_some(k)).to_vec();
        assert_eq!(keys, expected);
        Ok(())
    }
}
