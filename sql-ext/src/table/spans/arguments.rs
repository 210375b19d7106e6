//! The arguments of a function on spans: sources and names, then numbers, then a word.

use datafusion::common::{Result as DfResult, ScalarValue};
use datafusion::execution::SessionState;
use datafusion::logical_expr::Expr;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast;

use super::super::source::table;
use super::SpanDefinition;
use crate::depth;
use crate::doc::{Argument, argument};
use crate::error::{Error, Result};

pub(super) const REGIONS: Argument = argument(
    "regions",
    "text",
    "The spans: a table as `schema.table` (`kb.genes`, `cohort.variants`) or a query, with columns `contig`, `pos` and \
     `end_pos`, 1-based, both ends included.",
);
pub(super) const OTHERS: Argument = argument(
    "others",
    "text",
    "The spans they are compared with: a table or a query, as before.",
);

/// What a function is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Arguments {
    pub(super) texts: Vec<String>,
    pub(super) numbers: Vec<i64>,
    pub(super) word: Option<String>,
}

impl Arguments {
    pub(super) fn of(definition: &'static SpanDefinition, exprs: &[Expr]) -> Result<Self> {
        let takes = &definition.takes;
        let wrong = || Error::Argument {
            function: definition.doc.name,
            expected: takes.expected,
            got: match exprs.len() {
                1 => "this argument".to_owned(),
                n => format!("these {n} arguments"),
            },
        };
        let mut arguments = Self::default();
        for (place, expr) in exprs.iter().enumerate() {
            let Expr::Literal(value, _) = expr else {
                return Err(wrong());
            };
            match value {
                ScalarValue::Utf8(Some(text))
                | ScalarValue::LargeUtf8(Some(text))
                | ScalarValue::Utf8View(Some(text)) => {
                    if place < takes.texts {
                        arguments.texts.push(text.clone());
                    } else if takes.word && place + 1 == exprs.len() {
                        arguments.word = Some(text.clone());
                    } else {
                        return Err(wrong());
                    }
                }
                ScalarValue::Int64(Some(number)) if place >= takes.texts => {
                    arguments.numbers.push(*number);
                }
                ScalarValue::Int32(Some(number)) if place >= takes.texts => {
                    arguments.numbers.push((*number).into());
                }
                _ => return Err(wrong()),
            }
        }
        let (least, most) = takes.numbers;
        let fits = arguments.texts.len() == takes.texts
            && (least..=most).contains(&arguments.numbers.len());
        if !fits { Err(wrong()) } else { Ok(arguments) }
    }
}

/// What spans are read from, as it may stand behind FROM: a table, or a query in parentheses.
pub(super) async fn source(
    state: &SessionState,
    function: &'static str,
    text: &str,
) -> DfResult<String> {
    if !text.trim().contains(char::is_whitespace) {
        return named(state, text.trim()).await;
    }
    let statement = depth::parsed(state, text)?;
    let Statement::Statement(statement) = statement else {
        return Err(no_query(function));
    };
    match *statement {
        ast::Statement::Query(query) => Ok(format!("({query}) AS source")),
        _ => Err(no_query(function)),
    }
}

fn no_query(function: &'static str) -> datafusion::common::DataFusionError {
    Error::Argument {
        function,
        expected: "reads spans from a table (schema.table) or a query",
        got: "another statement".to_owned(),
    }
    .into()
}

/// A table by its name, which must exist and have the columns of spans.
async fn named(state: &SessionState, name: &str) -> DfResult<String> {
    let found = match name.split_once('.') {
        Some((schema, table_name)) => table(state, schema, table_name).await?,
        None => None,
    };
    let (Some(provider), Some((schema, table_name))) = (found, name.split_once('.')) else {
        return Err(Error::NoRegions(name.to_owned()).into());
    };
    for column in ["contig", "pos", "end_pos"] {
        if provider.schema().field_with_name(column).is_err() {
            return Err(Error::NoColumn {
                table: name.to_owned(),
                column,
            }
            .into());
        }
    }
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    Ok(format!("{}.{}", quoted(schema), quoted(table_name)))
}
