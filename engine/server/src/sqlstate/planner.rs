//! What the planner refuses, by the text that it says.

use super::slips::slip_of;
use super::type_names::type_name;
use super::{NO_FUNCTION, NO_OPERATOR, ServerError, between, first_of, undefined_table, wording};

/// What the planner says of two expressions that it names alike.
pub(super) const NAMED_ALIKE: &str = "Projections require unique expression names";

pub(super) fn plan_error(text: &str) -> ServerError {
    let text = first_of(text, "\n\nbacktrace");
    if let Some(error) = wording::told(text).or_else(|| wrong_types(text)) {
        return error;
    }
    if let Some(table) = between(text, "table '", "' not found") {
        return undefined_table(table.rsplit('.').next().unwrap_or(table));
    }
    if let Some(name) = between(text, "Invalid function '", "'") {
        let error = ServerError::new("42883", format!("function {name} does not exist")).near(name);
        return match between(text, "Did you mean '", "'") {
            Some(similar) if slip_of(name, [similar]).is_some() => {
                error.hint(format!("Perhaps you meant the function \"{similar}\"."))
            }
            _ => error.hint(NO_FUNCTION),
        };
    }
    if let Some(name) = between(text, "table function '", "' not found") {
        return ServerError::new("42883", format!("function {name} does not exist")).near(name);
    }
    let no_match = text.contains("No function matches")
        || text.contains("does not support zero arg")
        || text.contains("function failed: ")
        || text.contains("Failed to coerce arguments");
    if let Some(name) = between(text, "Invalid qualifier ", "\n")
        .or_else(|| text.split_once("Invalid qualifier ").map(|(_, name)| name))
    {
        let name = name
            .rsplit('.')
            .next()
            .unwrap_or(name)
            .trim()
            .trim_matches('"');
        let text = format!("missing FROM-clause entry for table \"{name}\"");
        return ServerError::new("42P01", text).near(name);
    }
    let code = if no_match {
        "42883"
    } else if text.contains("must be in GROUP BY") || text.contains("aggregate function") {
        "42803"
    } else if text.contains("ambiguous") {
        "42702"
    } else if text.contains(NAMED_ALIKE) {
        "42701"
    } else if text.contains("common argument type")
        || text.contains("Cannot coerce")
        || text.contains("Unsupported CAST")
        || text.contains("type_coercion")
    {
        "42804"
    } else if text.contains("laceholder") {
        "42P18"
    } else {
        "42000"
    };
    ServerError::new(code, super::dumps::without(text.to_owned()))
}

/// What a function or an operator is refused for by the types it is given, as PostgreSQL says it.
fn wrong_types(text: &str) -> Option<ServerError> {
    if let Some(own) = between(
        text,
        "coercion failed with: External error: ",
        " No function matches",
    ) {
        let code = match own.starts_with("cannot cast type ") {
            true => "42846",
            false => "42883",
        };
        return Some(ServerError::new(code, own.trim_end_matches('.')));
    }
    let hint = |what: &str| {
        format!(
            "No {what} matches the given name and argument types. You might need to add explicit type casts."
        )
    };
    if let Some(call) = between(text, "given name and argument types '", "'") {
        let (name, arguments) = call.strip_suffix(')')?.split_once('(')?;
        let arguments: Vec<String> = arrow_types(arguments).map(type_name).collect();
        let of_arrays = match name {
            "array_has_any" => Some("&&"),
            "array_has_all" => Some("@>"),
            _ => None,
        };
        if let (Some(op), [left, right]) = (of_arrays, arguments.as_slice()) {
            let text = format!("operator does not exist: {left} {op} {right}");
            return Some(ServerError::new("42883", text).hint(NO_OPERATOR));
        }
        if name == "array_has" {
            let text = "op ANY/ALL (array) requires array on right side";
            return Some(ServerError::new("42809", text));
        }
        if name == "make_array"
            && let Some(first) = arguments.first()
            && let Some(other) = arguments.iter().find(|other| *other != first)
        {
            let text = format!("ARRAY types {first} and {other} cannot be matched");
            return Some(ServerError::new("42804", text));
        }
        let message = format!("function {name}({}) does not exist", arguments.join(", "));
        return Some(
            ServerError::new("42883", message)
                .hint(hint("function"))
                .near(name),
        );
    }
    let inferred = text.split_once("Cannot infer common ");
    let compared = inferred.and_then(|(_, rest)| rest.split_once("operation "));
    let calculated = between(
        text,
        "Cannot coerce arithmetic expression ",
        " to valid types",
    );
    let operation = compared.map(|(_, operation)| operation).or(calculated)?;
    let words: Vec<&str> = split_top(operation.trim(), ' ').collect();
    let (left, op, right) = match words.as_slice() {
        [left, "IS", .., "FROM", "Boolean"] => {
            let found = type_name(left);
            let text = format!("argument of IS TRUE must be type boolean, not type {found}");
            return Some(ServerError::new("42804", text));
        }
        [left, "IS", .., "FROM", right] => (*left, "=", *right),
        [left, op, right, ..] => (*left, *op, *right),
        _ => return None,
    };
    // PostgreSQL adds an integer, an interval and a time to a date: a constant may be any of them.
    if let ("Date32", "+", "Utf8") = (left, op, right) {
        let text = "operator is not unique: date + unknown";
        return Some(ServerError::new("42725", text).hint(
            "Could not choose a best candidate operator. You might need to add explicit type casts.",
        ));
    }
    let (left, right) = (type_name(left), type_name(right));
    let message = format!("operator does not exist: {left} {op} {right}");
    let hint = match (left.strip_suffix("[]"), op) {
        (Some(_), "=") => "To look for an item of a list: \"value = ANY (list)\".".to_owned(),
        _ => hint("operator"),
    };
    Some(ServerError::new("42883", message).hint(hint))
}

/// The types of a list of Arrow's.
fn arrow_types(list: &str) -> impl Iterator<Item = &str> {
    split_top(list, ',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
}

/// Parts of a text between separators that stand in no parentheses.
fn split_top(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut depth = 0_usize;
    text.split(move |c: char| {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == separator && depth == 0
    })
}
