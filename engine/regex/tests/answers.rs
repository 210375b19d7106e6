//! What PostgreSQL answers (testdata/bin/regex-answers.py).

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use genokura_regex::{Error, Flags, Instance, Regex, Replacement};

fn shown(text: &str) -> String {
    let mut out = String::from("'");
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            ' ' => out.push_str("\\s"),
            '-' => out.push_str("\\m"),
            ']' => out.push_str("\\b"),
            c => out.push(c),
        }
    }
    out
}

fn optional(text: Option<&str>) -> String {
    text.map_or_else(|| "-".to_owned(), shown)
}

fn list(items: impl IntoIterator<Item = String>) -> String {
    let items: Vec<String> = items.into_iter().collect();
    format!("[{}]", items.join(" "))
}

/// Reads what `shown` writes.
fn read(field: &str) -> String {
    let mut out = String::new();
    let mut chars = field.chars().skip(1);
    while let Some(c) = chars.next() {
        out.push(match c {
            '\\' => match chars.next().unwrap() {
                't' => '\t',
                'n' => '\n',
                's' => ' ',
                'm' => '-',
                'b' => ']',
                c => c,
            },
            c => c,
        });
    }
    out
}

fn answers(pattern: &str, flags: &str, text: &str) -> Result<Vec<String>, Error> {
    let regex = Regex::new(pattern, Flags::read(flags)?)?;
    let mut all = Vec::new();
    // Also with the crate's automata, which come to help later.
    for round in 0..2 {
        let never = || false;
        let mut matcher = regex.matcher(&never);
        if round == 1 {
            for _ in 0..40 {
                matcher.is_match("")?;
            }
        }
        let found = genokura_regex::matches(&mut matcher, text, true)?;
        let found = found
            .into_iter()
            .map(|groups| list(groups.into_iter().map(optional)));
        let instance = |nth, group| Instance {
            start: 1,
            nth,
            group,
        };
        let mut row = vec![list(found)];
        let replacement = Replacement::new(r"<\1\&>");
        row.push(shown(&genokura_regex::replace(
            &mut matcher,
            text,
            &replacement,
            1,
            0,
        )?));
        let replacement = Replacement::new(r"<\2\1>");
        row.push(shown(&genokura_regex::replace(
            &mut matcher,
            text,
            &replacement,
            2,
            1,
        )?));
        let parts = genokura_regex::split(&mut matcher, text)?;
        row.push(list(parts.into_iter().map(shown)));
        row.push(genokura_regex::count(&mut matcher, text, 2)?.to_string());
        let place = genokura_regex::instance(&mut matcher, text, instance(2, 0))?;
        row.push(place.map_or(0, |place| place.behind).to_string());
        let place = genokura_regex::instance(&mut matcher, text, instance(1, 1))?;
        row.push(optional(place.map(|place| place.text)));
        let matches = matcher.is_match(text)?;
        row.push(if matches { "True" } else { "False" }.to_owned());
        if round == 1 {
            assert_eq!(row, all, "{pattern} {flags} {text}: with and without help");
        }
        all = row;
    }
    Ok(all)
}

fn compare(answered: &str) {
    let (mut lines, mut wrong) = (0, Vec::new());
    for line in answered.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let [pattern, flags, text] = [0, 1, 2].map(|at| read(fields[at]));
        let expected = fields[3..].join("\t");
        let found = match answers(&pattern, &flags, &text) {
            Ok(row) => row.join("\t"),
            Err(error) => format!("!{} {}", error.sqlstate, error.message),
        };
        lines += 1;
        if found != expected {
            wrong.push(format!(
                "{pattern:?} {flags} {text:?}\n  {found}\n  {expected}"
            ));
        }
    }
    assert!(lines > 0);
    let some: Vec<&str> = wrong.iter().take(40).map(String::as_str).collect();
    assert!(
        wrong.is_empty(),
        "{} of {lines} differ: ours, PostgreSQL's\n{}",
        wrong.len(),
        some.join("\n")
    );
}

#[test]
fn matches_are_those_of_postgresql() {
    compare(include_str!("../../../testdata/golden/regex.tsv"));
    if let Ok(more) = std::env::var("GENOKURA_REGEX_ANSWERS") {
        compare(&std::fs::read_to_string(more).unwrap());
    }
}
