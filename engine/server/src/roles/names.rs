//! Names of schemas, tables and columns as role files and command lines have them: parts with dots between them.
//!
//! ```text
//! lab.variants      "lab.v2".variants      "lab.v2".*      lab."*"
//! ```
//! A part stands in double quotes, its own double quotes twice, when it would else be read as something else: one that
//! holds a dot or a quote, an empty one, and one that is `*`, which says "every" without quotes. What is printed here
//! is read back as it was, whatever the names are.

use std::fmt;

/// One part of a name with dots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// `*` without quotes.
    Every,
    /// A name.
    Name(String),
}

/// A name, in quotes where it needs them.
pub(super) struct Quoted<'a>(pub(super) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.0;
        match name.is_empty() || name == "*" || name.contains(['.', '"']) {
            true => write!(f, "\"{}\"", name.replace('"', "\"\"")),
            false => f.write_str(name),
        }
    }
}

/// The parts of a text; `None` for one that ends or goes on where a part must begin or end.
pub(super) fn parts(text: &str) -> Option<Vec<Part>> {
    let (mut found, mut rest) = (Vec::new(), text);
    loop {
        let (part, after) = match rest.strip_prefix('"') {
            Some(quoted) => until_quote(quoted)?,
            None => {
                let (name, after) = rest.split_at(rest.find('.').unwrap_or(rest.len()));
                match name {
                    "" => return None,
                    "*" => (Part::Every, after),
                    name => (Part::Name(name.to_owned()), after),
                }
            }
        };
        found.push(part);
        if after.is_empty() {
            return Some(found);
        }
        rest = after.strip_prefix('.')?;
    }
}

/// A part whose opening quote was read, and what follows its closing one.
fn until_quote(text: &str) -> Option<(Part, &str)> {
    let (mut name, mut rest) = (String::new(), text);
    loop {
        let (before, after) = rest.split_once('"')?;
        name.push_str(before);
        match after.strip_prefix('"') {
            Some(more) => {
                name.push('"');
                rest = more;
            }
            None => return Some((Part::Name(name), after)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use genokura_exec::access::MaskedColumn;
    use proptest::prelude::*;

    use super::super::role::Mask;
    use super::super::{GrantError, Target};

    fn read(text: &str) -> Result<Target, GrantError> {
        text.parse()
    }

    /// What a text in a file says.
    fn kept(text: &str) -> Target {
        Target::try_from(text.to_owned()).unwrap()
    }

    fn table(schema: &str, table: &str) -> Target {
        Target::Table(schema.to_owned(), table.to_owned())
    }

    proptest! {
        /// Names that `layout::check_name` allows, and any others.
        #[test]
        fn what_is_printed_is_read_as_it_was(
            schema in "[\\p{L}\\p{Nd}][\\p{L}\\p{Nd}._-]{0,12}|\\PC{0,6}|[.*\"a]{0,4}",
            name in "[\\p{L}\\p{Nd}][\\p{L}\\p{Nd}._-]{0,12}|\\PC{0,6}|[.*\"a]{0,4}",
            column in "[a-z][a-z0-9_.]{0,8}|[.*\"a]{0,4}",
        ) {
            let whole = Target::Schema(schema.clone());
            for target in [table(&schema, &name), whole] {
                prop_assert_eq!(read(&target.to_string()).unwrap(), target.clone());
                prop_assert_eq!(kept(&target.to_string()), target);
            }
            let mask = Mask::from(MaskedColumn { schema, table: name, column });
            prop_assert_eq!(mask.to_string().parse::<Mask>().unwrap(), mask.clone());
            prop_assert_eq!(Mask::try_from(mask.to_string()).unwrap(), mask);
        }

        /// A name without dots and quotes is printed as it is, as in files that were written before there were quotes.
        #[test]
        fn plain_names_stand_as_they_are(schema in "[a-z0-9_-]{1,9}", name in "[a-z0-9_-]{1,9}") {
            prop_assert_eq!(table(&schema, &name).to_string(), format!("{schema}.{name}"));
            prop_assert_eq!(kept(&format!("{schema}.*")), Target::Schema(schema));
        }
    }

    #[test]
    fn a_name_with_dots_stands_in_quotes() {
        for (text, target) in [
            ("*", Target::Lake),
            ("\"lab.v2\".*", Target::Schema("lab.v2".to_owned())),
            ("\"lab.v2\".calls", table("lab.v2", "calls")),
            ("lab.\"v2.calls\"", table("lab", "v2.calls")),
            ("lab.\"*\"", table("lab", "*")),
            ("\"a\"\"b\".\"c.d\"", table("a\"b", "c.d")),
        ] {
            assert_eq!(read(text).unwrap(), target);
            assert_eq!(target.to_string(), text);
        }
        for text in [
            "",
            "t",
            ".t",
            "c.",
            "*.",
            "\"c.t",
            "\"c\"t.u",
            "c..t",
            "lab.v2.*",
            "lab.v2.calls",
            "a.b.c",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
        assert!("lab.v2.variants.gt".parse::<Mask>().is_err());
        let mask: Mask = "\"lab.v2\".variants.gt".parse().unwrap();
        assert_eq!(mask.to_string(), "\"lab.v2\".variants.gt");
    }

    #[test]
    fn files_from_before_there_were_quotes_keep_their_meaning() {
        assert_eq!(kept("lab.v2.calls"), table("lab", "v2.calls"));
        assert_eq!(kept("lab.v2.*"), table("lab", "v2.*"));
        assert_eq!(kept("\"c.t"), table("\"c", "t"));
        for text in ["", "t", ".t", "c."] {
            assert!(Target::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
