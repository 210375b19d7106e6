//! Where a pattern matches in a text, and where its groups do.

use crate::classes::is_word;
use crate::dfa::{ACCEPTS, Dfa, IDLE, IS_DEAD, LOOKS, Seen};
use crate::error::{Error, Wrong};
use crate::nfa::{Piece, Program, Test};

mod dissect;

/// Steps after which it is asked whether to stop.
const BETWEEN: u64 = 1 << 16;
/// Steps for a character of a text, which any text may take.
const EACH: u64 = 64;
/// Steps beyond those, of all texts that are looked at together.
const MOST_STEPS: u64 = 4_000_000_000;

/// What a pattern keeps from one text to the next.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    dfas: Vec<Option<Box<Dfa>>>,
    seen: Seen,
    /// Steps that the automata keep.
    kept: usize,
    /// Room for groups, and for what takes matches apart.
    groups: Vec<Option<Span>>,
    rooms: Vec<Vec<usize>>,
    /// Steps beyond those that texts may take.
    pub(crate) excess: u64,
}

/// The steps that a text may take whatever others took.
fn free(text: &str) -> u64 {
    EACH.saturating_mul(u64::try_from(text.len()).unwrap_or(u64::MAX))
}

impl Cache {
    /// How many steps the automata keep.
    pub(crate) fn kept(&self) -> usize {
        self.kept
    }
}

/// A span of a text, in bytes.
pub(crate) type Span = (usize, usize);

/// What looks behind and how far it has come: the automaton, the place, the state.
type Behind = (usize, usize, u32);

/// A text in which a pattern is looked for.
pub(crate) struct Run<'a> {
    program: &'a Program,
    text: &'a str,
    cache: &'a mut Cache,
    stop: &'a dyn Fn() -> bool,
    steps: u64,
    next_look: u64,
    most: u64,
    groups: Vec<Option<Span>>,
    behind: Vec<Behind>,
    /// What an automaton says may be wrong, as groups are referred to.
    refers: bool,
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        self.cache.groups = std::mem::take(&mut self.groups);
        self.cache.excess += self.steps.saturating_sub(free(self.text));
    }
}

/// Which end of a match is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Last,
    /// The first one, from a place on.
    First(usize),
}

type Result<T> = std::result::Result<T, Error>;

impl<'a> Run<'a> {
    pub(crate) fn new(
        program: &'a Program,
        text: &'a str,
        cache: &'a mut Cache,
        stop: &'a dyn Fn() -> bool,
    ) -> Self {
        if Dfa::is_full(cache.kept) {
            *cache = Cache {
                excess: cache.excess,
                ..Cache::default()
            };
        }
        let most = free(text).saturating_add(MOST_STEPS.saturating_sub(cache.excess));
        let groups = std::mem::take(&mut cache.groups);
        let refers = program
            .pieces
            .get(program.root)
            .is_some_and(|root| root.refers);
        Self {
            program,
            text,
            cache,
            stop,
            steps: 0,
            next_look: BETWEEN,
            most,
            groups,
            behind: Vec::new(),
            refers,
        }
    }

    fn piece(&self, at: usize) -> Result<&'a Piece> {
        let found = self.program.pieces.get(at);
        found.ok_or_else(|| Wrong::Argument.into())
    }

    /// Counts steps, and asks now and then whether to stop.
    fn spend(&mut self, steps: u64) -> Result<()> {
        self.steps = self.steps.saturating_add(steps);
        if self.steps < self.next_look {
            return Ok(());
        }
        self.next_look = self.steps.saturating_add(BETWEEN);
        if (self.stop)() {
            return Err(Error::stopped());
        }
        match self.steps > self.most {
            true => Err(Error::too_long()),
            false => Ok(()),
        }
    }

    /// The groups of the last match: the first is the whole.
    pub(crate) fn groups(&self) -> &[Option<Span>] {
        &self.groups
    }

    /// The next match from a place on. `groups` says whether they are asked for.
    pub(crate) fn find(&mut self, from: usize, groups: bool) -> Result<Option<Span>> {
        let root = self.piece(self.program.root)?;
        if self.program.anchored {
            return match from {
                0 => self.begin(root, 0, groups),
                _ => Ok(None),
            };
        }
        let mut from = from;
        loop {
            let Some((low, high)) = self.search(from)? else {
                return Ok(None);
            };
            let mut at = low;
            loop {
                if let Some(found) = self.begin(root, at, groups)? {
                    return Ok(Some(found));
                }
                if at >= high {
                    break;
                }
                at = self.after(at);
            }
            // As in PostgreSQL no further match begins at the very end.
            from = self.after(high);
            if from >= self.text.len() {
                return Ok(None);
            }
        }
    }

    /// The match that is known to begin at a place.
    pub(crate) fn find_at(&mut self, at: usize, groups: bool) -> Result<Option<Span>> {
        let root = self.piece(self.program.root)?;
        self.begin(root, at, groups)
    }

    /// Whether there is a match.
    pub(crate) fn is_match(&mut self, from: usize) -> Result<bool> {
        let root = self.piece(self.program.root)?;
        if root.refers || self.program.anchored {
            return Ok(self.find(from, false)?.is_some());
        }
        Ok(self.search(from)?.is_some())
    }

    /// The match that begins at a place.
    fn begin(&mut self, root: &'a Piece, at: usize, groups: bool) -> Result<Option<Span>> {
        let (mut least, mut limit) = (at, self.text.len());
        loop {
            let end = match root.shorter {
                true => self.first_end(root.auto, at, least, limit)?,
                false => self.last_end(root.auto, at, limit)?,
            };
            let Some(end) = end else {
                return Ok(None);
            };
            if !root.refers && !groups {
                return Ok(Some((at, end)));
            }
            self.groups.clear();
            self.groups.resize(self.program.groups + 1, None);
            if self.dissect(self.program.root, at, end)? {
                if let Some(whole) = self.groups.first_mut() {
                    *whole = Some((at, end));
                }
                return Ok(Some((at, end)));
            }
            if root.shorter {
                if end >= limit {
                    return Ok(None);
                }
                least = self.after(end);
            } else {
                if end <= at {
                    return Ok(None);
                }
                limit = self.before(end);
            }
        }
    }

    /// The place of the next character.
    pub(crate) fn after(&self, at: usize) -> usize {
        let mut next = at + 1;
        while !self.text.is_char_boundary(next) && next < self.text.len() {
            next += 1;
        }
        next
    }

    fn before(&self, at: usize) -> usize {
        let mut last = at.saturating_sub(1);
        while !self.text.is_char_boundary(last) {
            last -= 1;
        }
        last
    }

    /// Lends an automaton.
    fn lend(&mut self, auto: usize) -> Result<Box<Dfa>> {
        if let Some(dfa) = self.cache.dfas.get_mut(auto).and_then(Option::take) {
            return Ok(dfa);
        }
        let known = self.program.autos.get(auto);
        let known = known.ok_or_else(|| Error::from(Wrong::Argument))?;
        let dfa = Dfa::new(self.program, *known, &mut self.cache.seen);
        self.cache.kept += dfa.size();
        Ok(Box::new(dfa))
    }

    fn give_back(&mut self, auto: usize, dfa: Box<Dfa>) {
        if self.cache.dfas.len() <= auto {
            self.cache.dfas.resize_with(auto + 1, || None);
        }
        if let Some(place) = self.cache.dfas.get_mut(auto) {
            *place = Some(dfa);
        }
    }

    /// As `last_end`, and whether it is the only place.
    fn last_and_only(
        &mut self,
        auto: usize,
        from: usize,
        limit: usize,
    ) -> Result<(Option<usize>, bool)> {
        let mut dfa = self.lend(auto)?;
        let (first, mut count) = (dfa.first(), 0);
        let found = self.drive(&mut dfa, first, from, limit, |flags, at, found| {
            if flags & ACCEPTS != 0 {
                *found = Some(at);
                count += 1;
            }
            false
        });
        self.give_back(auto, dfa);
        Ok((found?.0, count == 1))
    }

    /// The last place up to a limit where an automaton that begins at a place ends.
    fn last_end(&mut self, auto: usize, from: usize, limit: usize) -> Result<Option<usize>> {
        self.end(auto, from, limit, End::Last)
    }

    fn first_end(
        &mut self,
        auto: usize,
        from: usize,
        least: usize,
        limit: usize,
    ) -> Result<Option<usize>> {
        self.end(auto, from, limit, End::First(least))
    }

    fn is_whole(&mut self, auto: usize, from: usize, to: usize) -> Result<bool> {
        Ok(self.end(auto, from, to, End::First(to))?.is_some())
    }

    fn end(&mut self, auto: usize, from: usize, limit: usize, end: End) -> Result<Option<usize>> {
        let mut dfa = self.lend(auto)?;
        let first = dfa.first();
        let found = self.drive(&mut dfa, first, from, limit, |flags, at, found| {
            if flags & ACCEPTS != 0 {
                match end {
                    End::Last => *found = Some(at),
                    End::First(least) if at >= least => {
                        *found = Some(at);
                        return true;
                    }
                    End::First(_) => {}
                }
            }
            false
        });
        self.give_back(auto, dfa);
        Ok(found?.0)
    }

    /// Between which places a match begins, if there is one from a place on.
    fn search(&mut self, from: usize) -> Result<Option<Span>> {
        let auto = self.program.search;
        let mut dfa = self.lend(auto)?;
        let (first, mut idle) = (dfa.first(), from);
        let limit = self.text.len();
        let found = self.drive(&mut dfa, first, from, limit, |flags, at, found| {
            if flags & IDLE != 0 {
                idle = at;
            }
            if flags & ACCEPTS != 0 {
                *found = Some(at);
                return true;
            }
            false
        });
        self.give_back(auto, dfa);
        Ok(found?.0.map(|end| (idle, end)))
    }

    /// Leads an automaton through a text until it can go no further, or until what sees the flags of a state says that
    /// it is enough. Gives what that one found, and the last state before its conditions were looked at.
    fn drive(
        &mut self,
        dfa: &mut Dfa,
        state: u32,
        from: usize,
        limit: usize,
        mut sees: impl FnMut(u8, usize, &mut Option<usize>) -> bool,
    ) -> Result<(Option<usize>, u32)> {
        let bytes = self.text.as_bytes();
        let (mut state, mut at, mut found) = (state, from, None);
        let mut counted = from;
        loop {
            let raw = state;
            let mut flags = dfa.flags(state);
            if flags != 0 {
                if flags & LOOKS != 0 {
                    let mask = self.mask(dfa, state, at)?;
                    state = dfa.resolve(self.program, state, mask, &mut self.cache.seen);
                    flags = flags & IDLE | dfa.flags(state) & (ACCEPTS | IS_DEAD);
                }
                if sees(flags, at, &mut found) || flags & IS_DEAD != 0 {
                    self.spend(u64::try_from(at - counted).unwrap_or(0) + 1)?;
                    return Ok((found, raw));
                }
            }
            if at >= limit {
                self.spend(u64::try_from(at - counted).unwrap_or(0) + 1)?;
                return Ok((found, raw));
            }
            let (color, length) = match bytes.get(at) {
                Some(byte) if *byte < 128 => (self.program.colors.of_ascii(*byte), 1),
                _ => match self.text.get(at..).and_then(|rest| rest.chars().next()) {
                    Some(c) => (self.program.colors.of(c), c.len_utf8()),
                    None => return Ok((found, raw)),
                },
            };
            state = match dfa.known_step(state, color) {
                Some(next) => next,
                None => {
                    if Dfa::is_full(self.cache.kept) {
                        state = self.renew(dfa, state);
                    }
                    let size = dfa.size();
                    self.spend(dfa.cost(state))?;
                    let next = dfa.step(self.program, state, color, &mut self.cache.seen);
                    self.cache.kept += dfa.size() - size;
                    next
                }
            };
            at += length;
            if at - counted > 1 << 16 {
                self.spend(u64::try_from(at - counted).unwrap_or(0))?;
                counted = at;
            }
        }
    }

    /// Forgets what automata keep; the one at work goes on from the same states.
    fn renew(&mut self, dfa: &mut Dfa, state: u32) -> u32 {
        self.cache.dfas.clear();
        self.behind.clear();
        let state = dfa.forget(self.program, state, &mut self.cache.seen);
        self.cache.kept = dfa.size();
        state
    }

    /// Which conditions of a state hold at a place, a bit each.
    fn mask(&mut self, dfa: &Dfa, state: u32, at: usize) -> Result<u64> {
        let looks = dfa.looks(state);
        if looks.len() > 64 {
            return Err(Wrong::Complex.into());
        }
        let mut mask = 0;
        for (bit, look) in looks.iter().enumerate() {
            if self.holds(*look, at)? {
                mask |= 1 << bit;
            }
        }
        Ok(mask)
    }

    fn holds(&mut self, look: u32, at: usize) -> Result<bool> {
        let test = usize::try_from(look).ok();
        let Some(test) = test.and_then(|look| self.program.tests.get(look)) else {
            return Ok(false);
        };
        let text = self.text;
        let last = || text.get(..at).and_then(|before| before.chars().next_back());
        let next = || text.get(at..).and_then(|rest| rest.chars().next());
        let words = || (last().is_some_and(is_word), next().is_some_and(is_word));
        Ok(match *test {
            Test::TextStart => at == 0,
            Test::TextEnd => at == text.len(),
            Test::LineStart => last().is_none_or(|c| c == '\n'),
            Test::LineEnd => next().is_none_or(|c| c == '\n'),
            Test::WordStart => words() == (false, true),
            Test::WordEnd => words() == (true, false),
            Test::Boundary => words().0 != words().1,
            Test::NoBoundary => words().0 == words().1,
            Test::Around {
                ahead: true,
                negative,
                auto,
            } => {
                let found = self.first_end(auto, at, at, text.len())?;
                found.is_some() != negative
            }
            Test::Around {
                ahead: false,
                negative,
                auto,
            } => self.ends_at(auto, at)? != negative,
        })
    }

    /// Whether a match of an automaton ends at a place, wherever it begins. Goes on from where it was asked last.
    fn ends_at(&mut self, auto: usize, at: usize) -> Result<bool> {
        let mut dfa = self.lend(auto)?;
        let known = self.behind.iter().position(|(of, ..)| *of == auto);
        let known = known.map(|known| self.behind.swap_remove(known));
        let (from, state) = match known {
            Some((_, from, state)) if from <= at => (from, state),
            _ => (0, dfa.first()),
        };
        let found = self.drive(&mut dfa, state, from, at, |flags, place, found| {
            if flags & ACCEPTS != 0 && place == at {
                *found = Some(place);
            }
            false
        });
        self.give_back(auto, dfa);
        let (found, state) = found?;
        self.behind.push((auto, at, state));
        Ok(found.is_some())
    }
}
