//! How long it takes to match, beside the regex crate: `cargo run --release -p genokura-regex --example speed`.

use std::hint::black_box;
use std::time::Instant;

use genokura_regex::{Flags, Regex, Replacement};

const ROWS: usize = 200_000;

fn timed(what: &str, mut run: impl FnMut() -> usize) {
    let start = Instant::now();
    let found = black_box(run());
    let nanos = start.elapsed().as_nanos() / u128::try_from(ROWS).unwrap_or(1);
    println!("{what:48} {nanos:6} ns a row ({found})");
}

fn main() {
    let rows: Vec<String> = (0..ROWS)
        .map(|at| {
            format!(
                "NM_{:06}.2:c.{}A>G (p.Arg{}Ter)",
                at * 7919 % 999_983,
                at % 3001,
                at % 777
            )
        })
        .collect();
    let patterns = [
        ("Arg", "X"),
        ("[0-9]+", "N"),
        (r"c\.([0-9]+)([ACGT])>([ACGT])", r"\3\2\1"),
        (r"^NM_(\d+)\.(\d+):", r"\1-\2:"),
        (r"\(p\.(.*)\)$", r"\1"),
        (r"\s+", "_"),
        ("Ter|Gly|Arg", "aa"),
        (r"\w+", "w"),
        ("nothing", "x"),
    ];
    for (pattern, replacement) in patterns {
        let Ok(own) = Regex::new(pattern, Flags::default()) else {
            continue;
        };
        let Ok(crates) = regex_automata::meta::Regex::new(pattern) else {
            continue;
        };
        let replaced = Replacement::new(replacement);
        let never = || false;
        timed(&format!("{pattern}: match"), || {
            let mut matcher = own.matcher(&never);
            rows.iter()
                .filter(|row| matcher.is_match(row).unwrap_or(false))
                .count()
        });
        timed(&format!("{pattern}: match by the crate"), || {
            rows.iter()
                .filter(|row| crates.is_match(row.as_str()))
                .count()
        });
        timed(&format!("{pattern}: groups"), || {
            let mut matcher = own.matcher(&never);
            let found = rows.iter().map(|row| {
                genokura_regex::matches(&mut matcher, row, false).map_or(0, |all| all.len())
            });
            found.sum()
        });
        timed(&format!("{pattern}: groups by the crate"), || {
            let mut groups = crates.create_captures();
            let found = rows.iter().map(|row| {
                crates.captures(row.as_str(), &mut groups);
                let all: Vec<_> = groups.iter().collect();
                usize::from(groups.is_match() && !all.is_empty())
            });
            found.sum()
        });
        timed(&format!("{pattern}: replace"), || {
            let mut matcher = own.matcher(&never);
            let made = rows.iter().map(|row| {
                genokura_regex::replace(&mut matcher, row, &replaced, 1, 0)
                    .map_or(0, |made| made.len())
            });
            made.sum()
        });
        timed(&format!("{pattern}: replace by the crate"), || {
            let mut groups = crates.create_captures();
            let made = rows.iter().map(|row| {
                let (mut out, mut copied) = (String::new(), 0);
                let mut from = 0;
                while from <= row.len() {
                    let input = regex_automata::Input::new(row.as_str()).range(from..);
                    crates.search_captures(&input, &mut groups);
                    let Some(found) = groups.get_match() else {
                        break;
                    };
                    out.push_str(row.get(copied..found.start()).unwrap_or_default());
                    groups.interpolate_string_into(row, "$2$1", &mut out);
                    copied = found.end();
                    from = found.end() + usize::from(found.is_empty());
                }
                out.push_str(row.get(copied..).unwrap_or_default());
                out.len()
            });
            made.sum()
        });
    }
}
