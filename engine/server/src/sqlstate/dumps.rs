//! Messages of the planner that show a part of the syntax tree as the program has it: only what it is called is told.
//!
//! ```text
//! Unsupported ast node in sqltorel: RLike { negated: false, expr: Value(…   ─►   RLIKE is not supported
//! ```

/// What stands before the name of a part.
const HEADS: [&str; 6] = [
    "Unsupported ast node in sqltorel: ",
    "Unsupported ast node ",
    "Unsupported expression ",
    "Unsupported JOIN operator ",
    "Unsupported SQL statement: ",
    "Unsupported Value '",
];

/// What only such a part has in its text.
const MARKS: [&str; 9] = [
    "Span(",
    "Ident {",
    "Ident(",
    "ValueWithSpan",
    "Word(Word {",
    "ObjectName([",
    "TokenWithSpan",
    "Wildcard {",
    "Some(Bare",
];

/// The message without the part of a syntax tree.
pub(super) fn without(text: String) -> String {
    let head = HEADS.iter().find_map(|head| {
        let (_, rest) = text.split_once(head)?;
        Some((*head, rest))
    });
    if let Some((head, rest)) = head {
        let name: String = rest.chars().take_while(|c| c.is_alphanumeric()).collect();
        let join = if head.contains("JOIN") { " JOIN" } else { "" };
        if !name.is_empty() {
            return format!("{}{join} is not supported", words(&name));
        }
    }
    let Some(mark) = MARKS.iter().filter_map(|mark| text.find(mark)).min() else {
        return text;
    };
    // The part begins before the first mark in it, where its own name does.
    let before = text.get(..mark).unwrap_or_default();
    let cut = match before.find(['{', '(', '[']) {
        Some(start) => {
            let before = text.get(..start).unwrap_or_default();
            let named = before.trim_end();
            named.trim_end_matches(|c: char| c.is_alphanumeric())
        }
        None => before,
    };
    let said = cut.trim_end_matches([' ', ':', '\'', '"', ',']);
    match said.is_empty() {
        true => "the statement has a part that is not supported".to_owned(),
        false => said.to_owned(),
    }
}

/// `JsonTable` as `JSON TABLE`.
fn words(name: &str) -> String {
    let mut words = String::new();
    let mut before_lower = false;
    for c in name.chars() {
        if c.is_uppercase() && before_lower {
            words.push(' ');
        }
        before_lower = c.is_lowercase();
        words.extend(c.to_uppercase());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_message_shows_a_syntax_tree() {
        for (text, said) in [
            (
                "Unsupported ast node in sqltorel: RLike { negated: false, expr: Value(ValueWithSpan {",
                "RLIKE is not supported",
            ),
            (
                "Unsupported ast node JsonTable { json_expr: Value(",
                "JSON TABLE is not supported",
            ),
            (
                "Unsupported JOIN operator Semi(On(BinaryOp {",
                "SEMI JOIN is not supported",
            ),
            (
                "Unsupported Value 'NationalStringLiteral(\"a\")'",
                "NATIONAL STRING LITERAL is not supported",
            ),
            (
                "No such clause: Clause { name: Ident { value: \"a\" } }",
                "No such clause",
            ),
            (
                "Calling f: LIMIT not supported in function arguments: 1",
                "Calling f: LIMIT not supported in function arguments: 1",
            ),
        ] {
            assert_eq!(without(text.to_owned()), said);
        }
    }
}
