//! Which functions can make more than they are given, and how that is reckoned.

use datafusion::logical_expr::ScalarUDF;

use crate::evaluated;

/// How the bytes that a function makes hang on its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// At most so many times those of its arguments.
    Times(usize),
    /// A text beside itself so many times as the second argument says.
    Repeated,
    /// As many characters as the second argument says.
    Padded,
    /// `replace(text, from, to)`.
    Replaced,
    /// `regexp_replace(text, pattern, to, flags)`.
    Matched,
    /// The first argument so many times as the second says: a list of it.
    Filled,
    /// A list of as many items as the second argument says, the new ones being the third.
    Resized,
    /// The items of a list with a text between them.
    Between,
    /// The items of a list, of which any may become the third argument.
    Exchanged,
    /// Numbers from the first argument to the second.
    Counted,
    /// By the evaluator of the catalog, which makes values of its own of the arguments first.
    Evaluated,
}

/// What upper case makes of a letter: `ŉ` and `ΐ` have three.
const CASED: usize = 3;
/// What four bytes may become of one: a character, two digits, an escape.
const CODED: usize = 4;

/// Functions of texts and of bytea.
const TEXTS: [(&str, usize); 34] = [
    ("btrim", 1),
    ("chr", 1),
    ("concat", 1),
    ("concat_ws", 1),
    ("decode", 1),
    ("digest", 1),
    ("encode", CODED),
    ("initcap", CASED),
    ("left", 1),
    ("lower", CASED),
    ("ltrim", 1),
    ("md5", 1),
    ("overlay", 1),
    ("regexp_match", 2),
    ("reverse", 1),
    ("right", 1),
    ("rtrim", 1),
    ("sha224", 1),
    ("sha256", 1),
    ("sha384", 1),
    ("sha512", 1),
    ("split_part", 1),
    ("string_to_array", CODED),
    ("string_to_list", CODED),
    ("substr", 1),
    ("substr_index", 1),
    ("substring", 1),
    ("substring_index", 1),
    ("to_char", CODED),
    ("to_hex", 1),
    ("translate", CODED),
    ("trim", 1),
    ("upper", CASED),
    ("uuid", 1),
];
/// Functions of lists that give lists or texts, besides those that are reckoned by their items; and values as texts.
const LISTS: [&str; 38] = [
    "array_add",
    "array_any_value",
    "array_append",
    "array_compact",
    "array_concat",
    "array_dims",
    "array_distinct",
    "array_element",
    "array_except",
    "array_intersect",
    "array_max",
    "array_min",
    "array_normalize",
    "array_or_empty",
    "array_pop_back",
    "array_pop_front",
    "array_positions",
    "array_prepend",
    "array_remove",
    "array_remove_all",
    "array_remove_n",
    "array_replace",
    "array_reverse",
    "array_scale",
    "array_slice",
    "array_sort",
    "array_subtract",
    "array_union",
    "arrays_zip",
    "flatten",
    "make_array",
    "map",
    "map_entries",
    "map_extract",
    "map_keys",
    "map_values",
    "printed",
    "printed_items",
];
/// How a function of lists is reckoned: its items may be printed.
const PRINTED: usize = 4;

/// How a function is reckoned; `None` for one that gives numbers and the like, or what it was given.
pub(super) fn of(function: &ScalarUDF) -> Option<Kind> {
    if evaluated::is_own(function) {
        return Some(Kind::Evaluated);
    }
    let name = function.name();
    let by_items = match name {
        "repeat" => Some(Kind::Repeated),
        "lpad" | "rpad" => Some(Kind::Padded),
        "replace" => Some(Kind::Replaced),
        "regexp_replace" => Some(Kind::Matched),
        "array_repeat" => Some(Kind::Filled),
        "array_resize" => Some(Kind::Resized),
        "range" | "generate_series" => Some(Kind::Counted),
        "array_to_string" => Some(Kind::Between),
        "array_replace_all" | "array_replace_n" => Some(Kind::Exchanged),
        _ => None,
    };
    let of_text = || {
        let found = TEXTS.iter().find(|(known, _)| *known == name);
        found.map(|(_, times)| Kind::Times(*times))
    };
    let of_list = || LISTS.contains(&name).then_some(Kind::Times(PRINTED));
    by_items.or_else(of_text).or_else(of_list)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use datafusion::execution::context::SessionContext;
    use datafusion::execution::session_state::SessionStateBuilder;

    use super::*;

    /// Whoever allows a function says how what it makes is bounded.
    #[test]
    fn every_function_is_reckoned_or_makes_little() {
        let narrow = include_str!("narrow.txt").lines();
        let narrow: BTreeSet<&str> = narrow.filter(|line| !line.starts_with('#')).collect();
        let builder = SessionStateBuilder::new().with_default_features();
        let builder = genokura_sql_ext::register_all(builder);
        let context = SessionContext::new_with_state(builder.build());
        crate::allowed::only_allowed_functions(&context);
        let state = context.state();
        let functions: Vec<_> = state.scalar_functions().values().collect();
        let unknown: BTreeSet<&str> = functions
            .iter()
            .filter(|function| of(function).is_none() && !narrow.contains(function.name()))
            .map(|function| function.name())
            .collect();
        assert!(unknown.is_empty(), "{unknown:?}");
        let both: Vec<&str> = functions
            .iter()
            .filter(|function| of(function).is_some() && narrow.contains(function.name()))
            .map(|function| function.name())
            .collect();
        assert!(both.is_empty(), "{both:?}");
        let known: BTreeSet<&str> = functions.iter().map(|function| function.name()).collect();
        let listed = TEXTS.iter().map(|(name, _)| *name).chain(LISTS);
        let absent: Vec<&str> = listed.filter(|name| !known.contains(name)).collect();
        println!("names of others: {absent:?}");
    }
}
