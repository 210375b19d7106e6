//! Errors of the planner in PostgreSQL's words, by what they say.

use super::type_names::{pg_name, type_name};
use super::{ServerError, between};

/// What an error contains, its SQLSTATE, and what PostgreSQL says.
const SAID: [(&str, &str, &str); 42] = [
    (
        "Aggregate functions are not allowed in the WHERE clause",
        "42803",
        "aggregate functions are not allowed in WHERE",
    ),
    (
        "Aggregate function calls cannot be nested",
        "42803",
        "aggregate function calls cannot be nested",
    ),
    (
        "UNION queries have different number of columns",
        "42601",
        "each UNION query must have the same number of columns",
    ),
    (
        "EXCEPT queries have different number of columns",
        "42601",
        "each EXCEPT query must have the same number of columns",
    ),
    (
        "INTERSECT queries have different number of columns",
        "42601",
        "each INTERSECT query must have the same number of columns",
    ),
    (
        "generate_series function with dates requires exactly 3 arguments",
        "42883",
        "function generate_series does not exist",
    ),
    (
        "RANGE requires exactly one ORDER BY column",
        "42P20",
        "RANGE with offset PRECEDING/FOLLOWING requires exactly one ORDER BY column",
    ),
    ("LIMIT must be >= 0", "2201W", "LIMIT must not be negative"),
    ("OFFSET must be >=0", "2201X", "OFFSET must not be negative"),
    (
        "For SELECT DISTINCT, ORDER BY expressions",
        "42P10",
        "for SELECT DISTINCT, ORDER BY expressions must appear in select list",
    ),
    (
        "SELECT DISTINCT ON expressions must match",
        "42P10",
        "SELECT DISTINCT ON expressions must match initial ORDER BY expressions",
    ),
    (
        "calar subquery returned more than one row",
        "21000",
        "more than one row returned by a subquery used as an expression",
    ),
    (
        "Step cannot be zero",
        "22023",
        "step size cannot equal zero",
    ),
    (
        "step can't be 0 for function generate_series",
        "22023",
        "step size cannot equal zero",
    ),
    (
        "unnest() can only be applied to array",
        "42883",
        "function unnest does not exist",
    ),
    (
        "Decimal(precision = 0,",
        "22023",
        "NUMERIC precision 0 must be between 1 and 1000",
    ),
    (
        "Percentile value for",
        "0A000",
        "a fraction of a percentile that is not a constant",
    ),
    (
        "Unsupported Value 'SingleQuotedByteStringLiteral",
        "0A000",
        "bit strings are not supported",
    ),
    (
        "must be an INTEGER, TIMESTAMP, DATE or NULL, got Utf8",
        "42725",
        "function generate_series(unknown, unknown) is not unique",
    ),
    (
        "zero raised to a negative power is undefined",
        "2201F",
        "zero raised to a negative power is undefined",
    ),
    (
        "square root of a negative",
        "2201F",
        "cannot take square root of a negative number",
    ),
    (
        "factorial of a negative number is undefined",
        "22003",
        "factorial of a negative number is undefined",
    ),
    (
        "field position must not be zero",
        "22023",
        "field position must not be zero",
    ),
    (
        "negative count not allowed",
        "22011",
        "negative substring length not allowed",
    ),
    (
        "negative substring length not allowed",
        "22011",
        "negative substring length not allowed",
    ),
    (
        "cannot be larger than end bound",
        "42P20",
        "frame of a window ends before it starts",
    ),
    (
        "Inconsistent data length across values list",
        "42601",
        "VALUES lists must all be the same length",
    ),
    (
        "Failed to decode from hex: Odd number of digits",
        "22023",
        "invalid hexadecimal data: odd number of digits",
    ),
    (
        "logical expression WindowFunction",
        "42P20",
        "window functions are not allowed in WHERE",
    ),
    (
        "logical expression Unnest",
        "0A000",
        "set-returning functions are not allowed in this place",
    ),
    (
        "logical expression OuterReferenceColumn",
        "0A000",
        "a subquery that reads columns of the query around it, in this form",
    ),
    (
        "logical expression ScalarSubquery",
        "0A000",
        "a subquery as a value in this place",
    ),
    (
        "logical expression InSubquery",
        "0A000",
        "IN with a subquery in this place",
    ),
    ("logical expression Exists", "0A000", "EXISTS in this place"),
    (
        "Too many columns! The subquery should only return one column",
        "42601",
        "subquery has too many columns",
    ),
    (
        "Expected LIMIT to be an integer",
        "42804",
        "argument of LIMIT must be type bigint",
    ),
    (
        "Expected OFFSET to be an integer",
        "42804",
        "argument of OFFSET must be type bigint",
    ),
    (
        "NTILE requires a positive integer",
        "22014",
        "argument of ntile must be greater than zero",
    ),
    (
        "GROUPS requires an ORDER BY clause",
        "42P20",
        "GROUPS mode requires an ORDER BY clause",
    ),
    (
        "In an aggregate with DISTINCT, ORDER BY expressions must appear",
        "42P10",
        "in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list",
    ),
    (
        "Non-recursive term and recursive term must have the same number",
        "42601",
        "each UNION query must have the same number of columns",
    ),
    (
        "overlay start position must be at least 1",
        "22011",
        "negative substring length not allowed",
    ),
];

/// What a diagnostic of the planner says more than its error, which names no types.
pub(super) fn diagnosed(message: &str) -> Option<ServerError> {
    let (op, data_type) = message.split_once(" cannot be used with ")?;
    if !matches!(op, "-" | "+") {
        return None;
    }
    let text = format!(
        "operator does not exist: {op} {}",
        pg_name(data_type.trim())
    );
    Some(ServerError::new("42883", text).hint(
        "No operator matches the given name and argument type. You might need to add an explicit type cast.",
    ))
}

/// 42803 for a column, by its whole name, or for what is made of columns.
fn ungrouped(name: &str) -> ServerError {
    let is_name = name
        .chars()
        .all(|c| c.is_alphanumeric() || matches!(c, '_' | '.'));
    let parts: Vec<&str> = name.rsplit('.').take(2).collect();
    let name = match (is_name, parts.as_slice()) {
        (true, [column, table]) => format!("{table}.{column}"),
        _ => name.to_owned(),
    };
    let text = format!(
        "column \"{name}\" must appear in the GROUP BY clause or be used in an aggregate function"
    );
    let last = name.rsplit('.').next().unwrap_or(&name).to_owned();
    ServerError::new("42803", text).near(last)
}

/// An error in PostgreSQL's words; `None` for one that is not known here.
pub(super) fn told(text: &str) -> Option<ServerError> {
    let said = SAID.iter().find(|(part, ..)| text.contains(part));
    if let Some((_, code, message)) = said {
        let error = ServerError::new(code, *message);
        return Some(match *code {
            "42725" => error.hint(
                "Could not choose a best candidate function. You might need to add explicit type casts.",
            ),
            _ => error,
        });
    }
    if let Some(value) = between(
        text,
        "must be an INTEGER or NULL, got Literal(Utf8(\"",
        "\")",
    ) {
        let text = format!("invalid input syntax for type integer: \"{value}\"");
        return Some(ServerError::new("22P02", text));
    }
    if text.contains(" to grouping function is not in grouping columns ") {
        let text =
            "arguments to GROUPING must be grouping expressions of the associated query level";
        return Some(ServerError::new("42803", text));
    }
    if let Some(name) = between(text, "column \"", "\" must appear in the GROUP BY clause") {
        return Some(ungrouped(name));
    }
    if let Some(name) = between(
        text,
        "HAVING clause references: ",
        " must appear in the GROUP BY clause",
    ) {
        return Some(ungrouped(name));
    }
    if let Some(name) = between(
        text,
        "Dot access not supported for non-string expr: Identifier(Ident { value: \"",
        "\"",
    ) {
        let text = format!("could not identify column \"{name}\" in record data type");
        return Some(ServerError::new("42703", text).near(name));
    }
    if let Some((_, types)) = text.split_once("Unsupported CAST from ")
        && let Some((from, to)) = types.split_once(" to ")
    {
        let (from, to) = (type_name(from.trim()), type_name(to.trim()));
        let text = format!("cannot cast type {from} to {to}");
        return Some(ServerError::new("42846", text));
    }
    if let Some((_, operation)) =
        text.split_once("Cannot infer common argument type for logical boolean operation ")
    {
        let mut words = operation.split(' ');
        let (left, op, right) = (words.next()?, words.next()?, words.next()?);
        let found = if left == "Boolean" { right } else { left };
        let found = pg_name(found.trim());
        let text = format!("argument of {op} must be type boolean, not type {found}");
        return Some(ServerError::new("42804", text));
    }
    if let Some(found) = between(
        text,
        "Cannot access field at argument 1: type ",
        " is not Struct",
    ) {
        let found = pg_name(found.trim());
        let text = format!("a field of type {found}, which is not a composite type");
        return Some(ServerError::new("42809", text));
    }
    if let Some(value) = between(text, "between 0.0 and 1.0 inclusive, ", " is invalid") {
        let text = format!("percentile value {value} is not between 0 and 1");
        return Some(ServerError::new("22003", text));
    }
    if text.contains("Invalid escape character in LIKE expression") {
        let error = ServerError::new("22025", "invalid escape string");
        return Some(error.hint("Escape string must be empty or one character."));
    }
    let of_type = |place: &str, arrow: &str| {
        let found = pg_name(arrow.trim());
        let text = format!("argument of {place} must be type boolean, not type {found}");
        ServerError::new("42804", text)
    };
    if let Some((_, found)) = text
        .split_once("Cannot create filter with non-boolean predicate '")
        .and_then(|(_, rest)| rest.rsplit_once("' returning "))
    {
        return Some(of_type("WHERE", found));
    }
    if let Some((_, found)) = text.split_once("Join condition must be boolean type, but got ") {
        return Some(of_type("JOIN/ON", found));
    }
    if let Some((_, found)) =
        text.split_once("Unary operator 'NOT' requires a boolean expression, got ")
    {
        return Some(of_type("NOT", found));
    }
    if let Some(number) = between(text, "Cannot find column with position ", " in SELECT") {
        let text = format!("GROUP BY position {number} is not in select list");
        return Some(ServerError::new("42P10", text));
    }
    if let Some(number) = between(text, "Order by column out of bounds, specified: ", ",") {
        let text = format!("ORDER BY position {number} is not in select list");
        return Some(ServerError::new("42P10", text));
    }
    if let Some(name) = between(text, "WITH query name \"", "\" specified more than once") {
        let text = format!("WITH query name \"{name}\" specified more than once");
        return Some(ServerError::new("42712", text));
    }
    if let Some(name) = between(text, "The window ", " is not defined!") {
        return Some(
            ServerError::new("42704", format!("window \"{name}\" does not exist")).near(name),
        );
    }
    if let Some((_, rest)) = text.split_once("Source table contains ") {
        let (has, rest) = rest.split_once(" columns but only ")?;
        let (given, _) = rest.split_once(' ')?;
        let text = format!("table has {has} columns available but {given} columns specified");
        return Some(ServerError::new("42P10", text));
    }
    if let Some((_, name)) = text.split_once("Unsupported SQL type ") {
        let name = name.trim();
        if name == "BIT" || name.starts_with("BIT(") {
            let text =
                "bit strings are supported on their way to a number, a text or the client only";
            return Some(ServerError::unsupported(text));
        }
        return Some(
            ServerError::new("42704", format!("type \"{name}\" does not exist")).near(name),
        );
    }
    if let Some(name) = between(text, "There is no built-in encoding named '", "'") {
        let text = format!("unrecognized encoding: \"{name}\"");
        return Some(ServerError::new("22023", text));
    }
    if let Some(digit) = between(
        text,
        "Failed to decode value using hex: Invalid character '",
        "'",
    ) {
        let text = format!("invalid hexadecimal digit: \"{digit}\"");
        return Some(ServerError::new("22023", text));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_as_postgresql_tells_them() {
        for (text, code, message) in [
            (
                "Cannot create filter with non-boolean predicate 't.i' returning Int32",
                "42804",
                "argument of WHERE must be type boolean, not type integer",
            ),
            (
                "Cannot find column with position 2 in SELECT clause. Valid columns: 1 to 1",
                "42P10",
                "GROUP BY position 2 is not in select list",
            ),
            (
                "Source table contains 1 columns but only 2 names given as column alias",
                "42P10",
                "table has 1 columns available but 2 columns specified",
            ),
            (
                "Execution error: cannot take square root of a negative number",
                "2201F",
                "cannot take square root of a negative number",
            ),
        ] {
            let error = told(text);
            let told = error
                .as_ref()
                .map(|error| (error.code(), error.to_string()));
            assert_eq!(told, Some((code, message.to_owned())), "{text}");
        }
        assert!(told("the disk is full").is_none());
    }
}
