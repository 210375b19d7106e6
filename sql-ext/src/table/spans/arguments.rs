//! The arguments of a function on spans: sources and names, then numbers, then a word.

use datafusion::common::{Result as DfResult, ScalarValue};
use datafusion::execution::SessionState;
use datafusion::logical_expr::Expr;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast;

use genokura_exec::CATALOG;

use super::super::source::table;
use super::SpanDefinition;
use crate::depth;
use crate::doc::{Argument, argument};
use crate::error::{Error, Result};

pub(super) const REGIONS: Argument = argument(
    "regions",
    "text",
    "The spans: a table (`kb.genes`, `cohort.variants`, a temporary one) or a query, with columns `contig`, `pos` and \
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
    if let Some(parts) = name_parts(text) {
        return named(state, text.trim(), &parts).await;
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

/// The parts of a text that is the name of a table, as FROM reads it: in small letters unless in quotes. `None` of
/// another text.
pub(crate) fn name_parts(text: &str) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    let mut rest = text.trim();
    loop {
        let (part, behind) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_part(quoted)?,
            None => {
                let is_part = |c: char| c.is_alphanumeric() || "_$".contains(c);
                let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
                let part = &rest[..end];
                if part.starts_with(|c: char| c.is_numeric() || c == '$') {
                    return None;
                }
                (part.to_ascii_lowercase(), &rest[end..])
            }
        };
        if part.is_empty() {
            return None;
        }
        parts.push(part);
        match behind.strip_prefix('.') {
            Some(next) => rest = next,
            None => return behind.is_empty().then_some(parts),
        }
    }
}

/// The name before the closing quote, and what stands behind it.
fn quoted_part(text: &str) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut rest = text;
    loop {
        let (front, behind) = rest.split_once('"')?;
        name.push_str(front);
        match behind.strip_prefix('"') {
            Some(next) => {
                name.push('"');
                rest = next;
            }
            None => return Some((name, behind)),
        }
    }
}

/// A table by its name, which must exist and have the columns of spans. A name alone is of the session's own schema.
async fn named(state: &SessionState, shown: &str, parts: &[String]) -> DfResult<String> {
    let absent = || Error::NoRegions(shown.to_owned());
    let own = &state.config().options().catalog.default_schema;
    let (schema, name) = match parts {
        [name] => (own, name),
        [schema, name] => (schema, name),
        [catalog, schema, name] if catalog == CATALOG => (schema, name),
        _ => return Err(absent().into()),
    };
    let provider = table(state, schema, name).await?.ok_or_else(absent)?;
    for column in ["contig", "pos", "end_pos"] {
        if provider.schema().field_with_name(column).is_err() {
            return Err(Error::NoColumn {
                table: shown.to_owned(),
                column,
            }
            .into());
        }
    }
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    Ok(format!("{}.{}", quoted(schema), quoted(name)))
}

#[cfg(test)]
mod tests {
    use super::name_parts;

    #[test]
    fn a_name_is_read_as_in_from() {
        let cases: [(&str, Option<&[&str]>); 10] = [
            (" kb.genes ", Some(&["kb", "genes"])),
            ("Targets", Some(&["targets"])),
            ("\"My \"\"T\"\"\".\"b.c\"", Some(&["My \"T\"", "b.c"])),
            ("pg_temp.t", Some(&["pg_temp", "t"])),
            ("a.b.c", Some(&["a", "b", "c"])),
            ("SELECT 1", None),
            ("a.", None),
            ("\"a", None),
            ("a b", None),
            ("1a", None),
        ];
        for (text, expected) in cases {
            let found = name_parts(text);
            let found: Option<Vec<&str>> = found
                .as_ref()
                .map(|parts| parts.iter().map(String::as_str).collect());
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }
}
