//! Functions, types and patterns that DataFusion spells otherwise than PostgreSQL.

use datafusion::sql::sqlparser::ast::{
    self, CharacterLength, DataType, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArgumentList, FunctionArguments, GroupByExpr, Ident, ObjectName, Query, Select,
    SelectItem, SetExpr, Value,
};
use datafusion::sql::sqlparser::parser::Parser;

use genokura_sql_ext::dialect::Bounded;

use super::rewrite::cast;
use crate::sqlstate::ServerError;

/// Names whose PostgreSQL meaning DataFusion has under another.
const NAMES: [(&str, &str); 9] = [
    ("array_dims", "pg_array_dims"),
    ("array_ndims", "pg_array_ndims"),
    ("chr", "pg_chr"),
    ("to_hex", "pg_to_hex"),
    ("array_remove", "array_remove_all"),
    ("array_replace", "array_replace_all"),
    ("ceiling", "ceil"),
    ("every", "bool_and"),
    ("variance", "var_samp"),
];

/// Functions whose second argument is a pattern of dates and times.
const PATTERNS: [&str; 3] = ["to_char", "to_date", "to_timestamp"];

/// Makes a call one of DataFusion's.
///
/// # Errors
/// 0A000 for a pattern that has no counterpart, or is no constant.
pub(super) fn function(function: &mut Function) -> Result<(), ServerError> {
    let [ast::ObjectNamePart::Identifier(name)] = function.name.0.as_mut_slice() else {
        return Ok(());
    };
    let lower = name.value.to_ascii_lowercase();
    if let Some((_, known)) = NAMES.iter().find(|(known, _)| *known == lower) {
        name.value = (*known).to_owned();
    }
    if !PATTERNS.contains(&lower.as_str()) {
        return Ok(());
    }
    let FunctionArguments::List(list) = &mut function.args else {
        return Ok(());
    };
    let [_, FunctionArg::Unnamed(FunctionArgExpr::Expr(pattern))] = list.args.as_mut_slice() else {
        return Ok(());
    };
    let Expr::Value(value) = pattern else {
        let message = format!("{lower} with a pattern that is not a constant");
        return Err(ServerError::unsupported(message));
    };
    if let Value::SingleQuotedString(text) = &mut value.value {
        *text = pattern_of(text)?;
    }
    Ok(())
}

/// `varchar(n)` cuts what is longer.
pub(super) fn cut(value: &Expr, data_type: &DataType) -> Option<Expr> {
    let (DataType::Varchar(Some(length))
    | DataType::CharacterVarying(Some(length))
    | DataType::CharVarying(Some(length))) = data_type
    else {
        return None;
    };
    let CharacterLength::IntegerLength { length, .. } = length else {
        return None;
    };
    let length = Expr::value(Value::Number(length.to_string(), false));
    Some(call(
        "left",
        vec![cast(value.clone(), DataType::Text), length],
    ))
}

/// A clock with seconds, which the planner wants and PostgreSQL does not.
pub(super) fn with_seconds(text: &str) -> String {
    let text = text.trim();
    let Some(colon) = text.find(':') else {
        return text.to_owned();
    };
    let (upto, rest) = text.split_at_checked(colon + 3).unwrap_or((text, ""));
    let minutes = upto.get(colon + 1..).unwrap_or_default();
    let two = minutes.len() == 2 && minutes.bytes().all(|byte| byte.is_ascii_digit());
    match two && !rest.starts_with(':') {
        true => format!("{upto}:00{rest}"),
        false => text.to_owned(),
    }
}

/// `EXISTS (…)` in a list of columns is a count above 0.
///
/// # Errors
/// When the subquery cannot be read again.
pub(super) fn exists_as_count(select: &mut Select) -> Result<(), ServerError> {
    for item in &mut select.projection {
        let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item else {
            continue;
        };
        let Expr::Exists { subquery, negated } = expr else {
            continue;
        };
        let is = if *negated { "=" } else { ">" };
        let count = format!("count(*) {is} 0");
        // Columns of the outer query are known in the subquery itself, not in what it is selected from.
        if let Some(select) = plain_select(subquery) {
            let counted = parsed(&format!("SELECT {count}"))?;
            if let SetExpr::Select(counted) = *counted.body {
                select.projection = counted.projection;
            }
            subquery.order_by = None;
            *expr = Expr::Subquery(subquery.clone());
            continue;
        }
        let query = parsed(&format!("SELECT {count} FROM ({subquery}) AS found"))?;
        *expr = Expr::Subquery(Box::new(query));
    }
    Ok(())
}

/// The SELECT of a query that has a row for each row of what it reads.
fn plain_select(query: &mut Query) -> Option<&mut Select> {
    if query.with.is_some() || query.limit_clause.is_some() || query.fetch.is_some() {
        return None;
    }
    let SetExpr::Select(select) = query.body.as_mut() else {
        return None;
    };
    let grouped = !matches!(&select.group_by, GroupByExpr::Expressions(by, _) if by.is_empty());
    let calls = |item: &SelectItem| match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => !matches!(
            expr,
            Expr::Value(_) | Expr::Identifier(_) | Expr::CompoundIdentifier(_)
        ),
        SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..) => false,
        SelectItem::ExprWithAliases { .. } => true,
    };
    // A call may be an aggregate, which has a row of nothing too.
    let plain = !grouped
        && select.having.is_none()
        && select.qualify.is_none()
        && select.distinct.is_none()
        && !select.projection.iter().any(calls);
    plain.then_some(select.as_mut())
}

fn parsed(sql: &str) -> Result<Query, ServerError> {
    let dialect = Bounded::of(sql.len());
    let parser = Parser::new(&dialect).try_with_sql(sql);
    let query = parser.and_then(|mut parser| parser.parse_query());
    let query = query.map_err(|error| ServerError::internal(error.to_string()))?;
    Ok(*query)
}

/// `FETCH FIRST n ROWS ONLY` is `LIMIT n`.
pub(super) fn fetch_as_limit(query: &mut Query) {
    let plain = query
        .fetch
        .as_ref()
        .is_some_and(|fetch| !fetch.with_ties && !fetch.percent);
    let free = match &query.limit_clause {
        None => true,
        Some(ast::LimitClause::LimitOffset {
            limit, limit_by, ..
        }) => limit.is_none() && limit_by.is_empty(),
        Some(_) => false,
    };
    if !plain || !free {
        return;
    }
    let Some(fetch) = query.fetch.take() else {
        return;
    };
    let one = || Expr::value(Value::Number("1".to_owned(), false));
    let rows = Some(fetch.quantity.unwrap_or_else(one));
    match &mut query.limit_clause {
        Some(ast::LimitClause::LimitOffset { limit, .. }) => *limit = rows,
        clause => {
            *clause = Some(ast::LimitClause::LimitOffset {
                limit: rows,
                offset: None,
                limit_by: Vec::new(),
            });
        }
    }
}

fn call(name: &str, args: Vec<Expr>) -> Expr {
    let unnamed = |expr| FunctionArg::Unnamed(FunctionArgExpr::Expr(expr));
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: args.into_iter().map(unnamed).collect(),
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

/// Fields of PostgreSQL's patterns and of chrono's; of those that begin alike the longest comes first.
const FIELDS: [(&str, &str); 27] = [
    ("FMMonth", "%B"),
    ("FMDay", "%A"),
    ("FMDD", "%-d"),
    ("FMMM", "%-m"),
    ("FMHH24", "%-H"),
    ("FMHH12", "%-I"),
    ("FMHH", "%-I"),
    ("YYYY", "%Y"),
    ("IYYY", "%G"),
    ("YY", "%y"),
    ("MM", "%m"),
    ("MON", ""),
    ("Mon", "%b"),
    ("MI", "%M"),
    ("MS", "%3f"),
    ("DDD", "%j"),
    ("DD", "%d"),
    ("Dy", "%a"),
    ("HH24", "%H"),
    ("HH12", "%I"),
    ("HH", "%I"),
    ("SS", "%S"),
    ("US", "%6f"),
    ("AM", "%p"),
    ("PM", "%p"),
    ("IW", "%V"),
    ("ID", "%u"),
];

/// The pattern of chrono for one of PostgreSQL; one with `%` is chrono's already.
///
/// # Errors
/// 0A000 with the field that has no counterpart.
fn pattern_of(pattern: &str) -> Result<String, ServerError> {
    if pattern.contains('%') {
        return Ok(pattern.to_owned());
    }
    let mut out = String::new();
    let mut rest = pattern;
    while let Some(next) = rest.chars().next() {
        if let Some(quoted) = rest.strip_prefix('"') {
            let (text, behind) = quoted.split_once('"').unwrap_or((quoted, ""));
            out.push_str(text);
            rest = behind;
            continue;
        }
        // Keywords of digits are as good in small letters; of words the letters tell the case.
        let is_here = |name: &str| {
            let here = rest.get(..name.len());
            let exact = name.chars().any(|c| c.is_ascii_lowercase()) || name == "MON";
            here.is_some_and(|here| here == name || (!exact && here.eq_ignore_ascii_case(name)))
        };
        match FIELDS.iter().find(|(name, _)| is_here(name)) {
            Some((name, known)) if !known.is_empty() => {
                out.push_str(known);
                rest = &rest[name.len()..];
            }
            None if !next.is_alphabetic() => {
                out.push(next);
                rest = &rest[next.len_utf8()..];
            }
            _ => {
                let word: String = rest.chars().take_while(|c| c.is_alphanumeric()).collect();
                let message = format!("\"{word}\" in the pattern \"{pattern}\"");
                return Err(ServerError::unsupported(message).hint(
                    "Known are YYYY, YY, MM, Mon, FMMonth, DD, DDD, Dy, FMDay, HH24, HH12, MI, SS, MS, US, AM, \
                     IYYY, IW, ID, and \"text\" in quotes.",
                ));
            }
        }
    }
    Ok(out)
}

/// `text SIMILAR TO pattern`: the whole text, by a regular expression.
///
/// # Errors
/// 0A000 for a pattern that is no constant, 22025 and 2201B for a bad one.
pub(super) fn similar(
    text: &Expr,
    negated: bool,
    pattern: &Expr,
    escape: Option<Value>,
) -> Result<Expr, ServerError> {
    let Some(pattern) = super::rewrite::string_literal(pattern) else {
        return Err(ServerError::new(
            "0A000",
            "SIMILAR TO takes a pattern that is a constant here",
        ));
    };
    let escape = match escape.and_then(Value::into_string) {
        None => Some('\\'),
        Some(escape) => escape.chars().next(),
    };
    let regex = crate::pg_catalog::pattern_regex(pattern, escape, true)?;
    Ok(Expr::Nested(Box::new(Expr::BinaryOp {
        left: Box::new(Expr::Nested(Box::new(text.clone()))),
        op: match negated {
            true => ast::BinaryOperator::PGRegexNotMatch,
            false => ast::BinaryOperator::PGRegexMatch,
        },
        right: Box::new(super::rewrite::text(&format!("(?s){regex}"))),
    })))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn seconds_are_added_where_a_clock_has_none() {
        for (text, expected) in [
            ("2024-01-02 03:04", "2024-01-02 03:04:00"),
            ("2024-01-02T03:04+02", "2024-01-02T03:04:00+02"),
            ("03:04", "03:04:00"),
            ("2024-01-02 03:04:05", "2024-01-02 03:04:05"),
            (" 2024-01-02 ", "2024-01-02"),
        ] {
            assert_eq!(with_seconds(text), expected, "{text}");
        }
    }

    #[test]
    fn patterns_become_those_of_chrono() {
        for (pattern, expected) in [
            ("YYYY-MM-DD HH24:MI:SS", "%Y-%m-%d %H:%M:%S"),
            ("dd/mm/yyyy", "%d/%m/%Y"),
            ("DD Mon YYYY", "%d %b %Y"),
            ("\"on\" DDD", "on %j"),
            ("IYYY\"-W\"IW", "%G-W%V"),
            ("%Y", "%Y"),
        ] {
            assert_eq!(pattern_of(pattern).unwrap(), expected, "{pattern}");
        }
        for pattern in ["Month", "MON", "Q", "9999"] {
            let refused = pattern_of(pattern).is_err();
            assert_eq!(refused, pattern != "9999", "{pattern}");
        }
    }
}
