//! Fuzz target: any flags, pattern and text, apart by zero bytes, end in an answer or an error.
#![no_main]

use genokura_regex::{Flags, Regex, Replacement};

libfuzzer_sys::fuzz_target!(|given: &str| {
    let mut parts = given.splitn(3, '\0');
    let (Some(flags), Some(pattern), Some(text)) = (parts.next(), parts.next(), parts.next())
    else {
        return;
    };
    let Ok(regex) = Flags::read(flags).and_then(|flags| Regex::new(pattern, flags)) else {
        return;
    };
    let asked = std::cell::Cell::new(0);
    let stop = || {
        asked.set(asked.get() + 1);
        asked.get() > 100
    };
    let mut matcher = regex.matcher(&stop);
    let found = matcher.is_match(text);
    let groups = genokura_regex::matches(&mut matcher, text, true);
    if let (Ok(found), Ok(groups)) = (found, groups) {
        assert_eq!(found, !groups.is_empty());
    }
    let replacement = Replacement::new("\\1\\&");
    drop(genokura_regex::replace(&mut matcher, text, &replacement, 1, 0));
});
