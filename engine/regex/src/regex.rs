//! Patterns that are ready, and texts in which they are looked for.

use std::sync::{Mutex, OnceLock, PoisonError};

use regex_automata::meta;

use crate::error::{Error, Wrong};
use crate::exec::{Cache, Run, Span};
use crate::flags::Flags;
use crate::nfa::{Program, build};
use crate::parse::parse;
use crate::rust::written;
use crate::tree::Traits;

/// Characters of a pattern.
const LONGEST: usize = 1 << 18;
/// Texts after which it is worth it to have the crate's automata too.
const OFTEN: usize = 32;
/// States of a pattern that is worth to be kept.
const KEPT_STATES: usize = 20_000;
/// Steps of automata that are worth to be kept.
const KEPT_STEPS: usize = 1 << 17;
/// A text for which it is at once.
const LONG: usize = 1 << 14;

/// A pattern that is ready to be matched. It may be used by many at a time.
#[derive(Debug)]
pub struct Regex {
    program: Program,
    rust: Option<String>,
    meta: OnceLock<Option<meta::Regex>>,
    caches: Mutex<Vec<Cache>>,
}

impl Regex {
    /// Reads a pattern.
    ///
    /// # Errors
    /// 2201B as PostgreSQL tells it.
    pub fn new(pattern: &str, flags: Flags) -> Result<Self, Error> {
        if pattern.len() > LONGEST {
            return Err(Wrong::Complex.into());
        }
        let parsed = parse(pattern, flags)?;
        let program = build(&parsed)?;
        Ok(Self {
            program,
            // A group that matched is no pattern to the crate.
            rust: match parsed.node.traits.has(Traits::REFERS) {
                true => None,
                false => written(&parsed),
            },
            meta: OnceLock::new(),
            caches: Mutex::new(Vec::new()),
        })
    }

    /// How many groups it has.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.program.groups
    }

    /// A pattern of the regex crate that matches in the same texts, and from the same places on. What it matches there
    /// may be longer or shorter.
    #[must_use]
    pub fn as_rust(&self) -> Option<&str> {
        self.rust.as_deref()
    }

    /// Whether the pattern of the regex crate is one that it takes.
    #[must_use]
    pub fn is_fast(&self) -> bool {
        self.meta().is_some()
    }

    /// Whether it is small enough to be kept for the next one who asks for it.
    #[must_use]
    pub fn is_small(&self) -> bool {
        self.program.states.len() < KEPT_STATES
    }

    fn caches(&self) -> std::sync::MutexGuard<'_, Vec<Cache>> {
        self.caches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes ready to look at texts.
    #[must_use]
    pub fn matcher<'a>(&'a self, stop: &'a dyn Fn() -> bool) -> Matcher<'a> {
        let mut cache = self.caches().pop().unwrap_or_default();
        cache.excess = 0;
        Matcher {
            regex: self,
            cache,
            stop,
            texts: 0,
        }
    }

    fn meta(&self) -> Option<&meta::Regex> {
        let made = self.meta.get_or_init(|| {
            let config = meta::Config::new()
                .nfa_size_limit(Some(4 << 20))
                .hybrid_cache_capacity(1 << 20);
            let mut builder = meta::Builder::new();
            builder.configure(config);
            self.rust
                .as_deref()
                .and_then(|rust| builder.build(rust).ok())
        });
        made.as_ref()
    }
}

/// Looks at texts, one after another.
pub struct Matcher<'a> {
    regex: &'a Regex,
    cache: Cache,
    stop: &'a dyn Fn() -> bool,
    texts: usize,
}

impl Drop for Matcher<'_> {
    fn drop(&mut self) {
        if self.cache.kept() > KEPT_STEPS {
            return;
        }
        let mut caches = self.regex.caches();
        if caches.len() < 4 {
            caches.push(std::mem::take(&mut self.cache));
        }
    }
}

impl<'a> Matcher<'a> {
    /// The pattern.
    #[must_use]
    pub fn regex(&self) -> &'a Regex {
        self.regex
    }

    /// How much longer than usual the texts took that were looked at so far: there is a bound on it.
    #[must_use]
    pub fn excess(&self) -> u64 {
        self.cache.excess
    }

    /// Goes on where another pattern has taken longer than usual already.
    pub fn set_excess(&mut self, excess: u64) {
        self.cache.excess = excess;
    }

    /// Whether a text has a match.
    ///
    /// # Errors
    /// Where it was stopped, or would take too long.
    pub fn is_match(&mut self, text: &str) -> Result<bool, Error> {
        if let Some(meta) = self.helper(text) {
            return Ok(meta.is_match(text));
        }
        Run::new(&self.regex.program, text, &mut self.cache, self.stop).is_match(0)
    }

    /// The crate's automata, where they are of use.
    fn helper(&mut self, text: &str) -> Option<&'a meta::Regex> {
        self.texts += 1;
        let ready = self.regex.meta.get().is_some();
        match ready || self.texts > OFTEN || text.len() > LONG {
            true => self.regex.meta(),
            false => None,
        }
    }

    /// Looks at a text.
    pub(crate) fn text<'t>(&'t mut self, text: &'t str) -> Text<'t> {
        let meta = self.helper(text);
        Text {
            run: Run::new(&self.regex.program, text, &mut self.cache, self.stop),
            text,
            meta,
        }
    }
}

/// One text, and the matches in it.
pub(crate) struct Text<'t> {
    run: Run<'t>,
    text: &'t str,
    meta: Option<&'t meta::Regex>,
}

impl<'t> Text<'t> {
    /// The next match from a place on; its groups if they are asked for.
    pub(crate) fn find(&mut self, from: usize, groups: bool) -> Result<Option<Span>, Error> {
        if from > self.text.len() {
            return Ok(None);
        }
        let Some(meta) = self.meta else {
            return self.run.find(from, groups);
        };
        let input = regex_automata::Input::new(self.text).range(from..);
        match meta.find(input).map(|found| found.start()) {
            Some(start) => self.run.find_at(start, groups),
            None => Ok(None),
        }
    }

    /// A group of the last match that was asked for with its groups.
    pub(crate) fn group(&self, group: usize) -> Option<Span> {
        self.run.groups().get(group).copied().flatten()
    }

    pub(crate) fn after(&self, at: usize) -> usize {
        self.run.after(at)
    }

    pub(crate) fn slice(&self, (from, to): Span) -> &'t str {
        self.text.get(from..to).unwrap_or_default()
    }
}
