//! Whatever the pattern and the text: an answer or an error, in time and without a panic.

#![allow(clippy::unwrap_used)]

use std::cell::Cell;
use std::time::{Duration, Instant};

use genokura_regex::{Flags, Instance, Regex, Replacement};
use proptest::prelude::*;

fn all(pattern: &str, flags: &str, text: &str, stop: &dyn Fn() -> bool) {
    let Ok(flags) = Flags::read(flags) else {
        return;
    };
    let Ok(regex) = Regex::new(pattern, flags) else {
        return;
    };
    let mut matcher = regex.matcher(stop);
    let found = matcher.is_match(text);
    let groups = genokura_regex::matches(&mut matcher, text, true);
    if let (Ok(found), Ok(groups)) = (&found, &groups) {
        assert_eq!(*found, !groups.is_empty(), "{pattern:?} {text:?}");
    }
    if let (Some(rust), Ok(found)) = (regex.as_rust(), found)
        && regex.is_fast()
    {
        let crates = regex_automata::meta::Regex::new(rust);
        if let Ok(crates) = crates {
            assert_eq!(crates.is_match(text), found, "{pattern:?} {text:?}");
        }
    }
    let which = Instance {
        start: 1,
        nth: 1,
        group: 0,
    };
    let place = genokura_regex::instance(&mut matcher, text, which);
    if let (Ok(place), Ok(groups)) = (place, groups) {
        assert_eq!(place.is_some(), !groups.is_empty());
    }
    let _ = genokura_regex::split(&mut matcher, text);
    let _ = genokura_regex::replace(&mut matcher, text, &Replacement::new(r"\1\&\\"), 1, 0);
}

/// Says to stop after as many questions.
fn after(questions: usize) -> impl Fn() -> bool {
    let left = Cell::new(questions);
    move || {
        left.set(left.get().saturating_sub(1));
        left.get() == 0
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_pattern_is_read_or_refused(
        pattern in r"[\x00-\x7fé中]{0,30}",
        flags in "[bceimnpqstwxg]{0,2}",
        text in "[a-cé \n]{0,12}",
    ) {
        all(&pattern, &flags, &text, &after(200));
    }

    #[test]
    fn what_looks_like_a_pattern_is_too(
        pattern in r"([abcé.^$|()*+?\[\]\\{}1,:=!<>-]|\(\?[:=!]|\\[dwsDWSmMyYAZ1-3]|\{1,2\}|\[\[:alpha:\]\]){0,16}",
        flags in "[ginx]{0,2}",
        text in "[a-cé \n]{0,12}",
    ) {
        all(&pattern, &flags, &text, &after(200));
    }
}

#[test]
fn what_never_ends_is_stopped() {
    let long = "a".repeat(20_000);
    for pattern in [
        r"(a*)*(a*)*\1\2b",
        r"((a|b)*)\1\1c",
        "(a*)(a*)(a*)(a*)(a*)b?c",
        "(?:a{1,200}){1,200}b",
        "(?=.*b)a*",
        "(a?){100}(a?){100}\\1b",
    ] {
        let start = Instant::now();
        let stop = || start.elapsed() > Duration::from_millis(300);
        all(pattern, "", &long, &stop);
        assert!(start.elapsed() < Duration::from_secs(20), "{pattern}");
    }
}

#[test]
fn what_is_too_much_is_refused() {
    let deep = "(".repeat(100_000);
    let nested = format!("{}a{}", "(".repeat(5_000), ")".repeat(5_000));
    for pattern in [
        deep.as_str(),
        nested.as_str(),
        "((((a{255}){255}){255}){255}){255}",
        &"x".repeat(1 << 20),
    ] {
        let error = Regex::new(pattern, Flags::default()).map(drop).unwrap_err();
        assert_eq!(error.sqlstate, "2201B");
        assert_eq!(
            error.message,
            "invalid regular expression: regular expression is too complex"
        );
    }
    // Groups that are counted again and again are not written out again and again.
    let counted = format!("{}a{}", "(".repeat(60), "+)".repeat(60));
    assert!(Regex::new(&counted, Flags::default()).is_ok());
    // Long ones are not deep.
    let long = "(a)".repeat(20_000);
    let regex = Regex::new(&long, Flags::default()).unwrap();
    let text = "a".repeat(20_000);
    let found = genokura_regex::first_match(&regex, &text, &|| false).unwrap();
    assert_eq!(found.map(|groups| groups.len()), Some(20_000));
}

#[test]
fn results_have_a_bound() {
    let regex = Regex::new("", Flags::default()).unwrap();
    let never = || false;
    let text = "a".repeat(20_000);
    let replacement = Replacement::new(&"x".repeat(20_000));
    let made = genokura_regex::replace(&mut regex.matcher(&never), &text, &replacement, 1, 0);
    assert_eq!(made.unwrap_err().sqlstate, "54000");
}
