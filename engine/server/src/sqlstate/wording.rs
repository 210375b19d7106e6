//! Errors of the planner in PostgreSQL's words, by what they say.

use super::{ServerError, between, pg_name};

/// What an error contains, its SQLSTATE, and what PostgreSQL says.
const SAID: [(&str, &str, &str); 24] = [
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
    ("LIMIT must be >= 0", "2201W", "LIMIT must not be negative"),
    ("OFFSET must be >=0", "2201X", "OFFSET must not be negative"),
    (
        "For SELECT DISTINCT, ORDER BY expressions",
        "42P10",
        "for SELECT DISTINCT, ORDER BY expressions must appear in select list",
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
];

/// An error in PostgreSQL's words; `None` for one that is not known here.
pub(super) fn told(text: &str) -> Option<ServerError> {
    let said = SAID.iter().find(|(part, ..)| text.contains(part));
    if let Some((_, code, message)) = said {
        return Some(ServerError::new(code, *message));
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
