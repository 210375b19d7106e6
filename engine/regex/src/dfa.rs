//! Automata that are made deterministic where texts lead them.

use std::collections::HashMap;

use crate::nfa::{Auto, Program, State};

/// The state that nothing leads out of.
pub(crate) const DEAD: u32 = 0;
/// Beside the states of a set: a match has begun before this place.
const BEGUN: u32 = u32::MAX;
/// A step that was not taken yet.
const UNKNOWN: u32 = u32::MAX;
/// Steps that are kept, of all automata of a pattern.
const MOST_STEPS: usize = 2 << 20;

/// The state has matched.
pub(crate) const ACCEPTS: u8 = 1;
/// Conditions have to be looked at first.
pub(crate) const LOOKS: u8 = 2;
pub(crate) const IS_DEAD: u8 = 4;
/// No match has begun here.
pub(crate) const IDLE: u8 = 8;

/// Which states a set has had put in already.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    turns: Vec<u32>,
    turn: u32,
}

impl Seen {
    fn start(&mut self, size: usize) {
        if self.turns.len() < size || self.turn == u32::MAX {
            self.turns = vec![0; size];
            self.turn = 0;
        }
        self.turn += 1;
    }

    fn is_new(&mut self, at: u32) -> bool {
        let turn = self.turn;
        let place = usize::try_from(at)
            .ok()
            .and_then(|at| self.turns.get_mut(at));
        place.is_some_and(|place| std::mem::replace(place, turn) != turn)
    }
}

/// The conditions of a state, and what it is by which of them hold.
#[derive(Debug)]
struct Looks {
    of: Box<[u32]>,
    known: Vec<(u64, u32)>,
}

/// One automaton.
#[derive(Debug)]
pub(crate) struct Dfa {
    auto: Auto,
    width: usize,
    flags: Vec<u8>,
    steps: Vec<u32>,
    sets: Vec<Box<[u32]>>,
    /// The conditions of states.
    looks: Vec<Looks>,
    known: HashMap<Box<[u32]>, u32>,
    /// How many states that become others by their conditions.
    resolved: usize,
    first: u32,
    /// States of all sets.
    items: usize,
}

fn place(state: u32) -> usize {
    usize::try_from(state).unwrap_or(usize::MAX)
}

impl Dfa {
    pub(crate) fn new(program: &Program, auto: Auto, seen: &mut Seen) -> Self {
        let mut dfa = Self {
            auto,
            width: program.colors.count(),
            flags: Vec::new(),
            steps: Vec::new(),
            sets: Vec::new(),
            looks: Vec::new(),
            known: HashMap::new(),
            resolved: 0,
            first: DEAD,
            items: 0,
        };
        dfa.intern(program, Vec::new(), seen);
        // Where a match may begin at any place, no state is the last one.
        if !auto.anywhere
            && let Some(flags) = dfa.flags.first_mut()
        {
            *flags = IS_DEAD;
        }
        let mut set = Vec::new();
        seen.start(program.states.len());
        dfa.close(program, auto.start, &mut set, seen, None);
        dfa.first = dfa.intern(program, set, seen);
        if auto.anywhere
            && dfa.first != DEAD
            && let Some(flags) = dfa.flags.get_mut(place(dfa.first))
        {
            *flags |= IDLE;
        }
        dfa
    }

    pub(crate) fn first(&self) -> u32 {
        self.first
    }

    /// How many steps are kept.
    pub(crate) fn size(&self) -> usize {
        self.steps.len() + self.items + self.resolved * 4
    }

    pub(crate) fn is_full(size: usize) -> bool {
        size > MOST_STEPS
    }

    /// What a step from a state costs.
    pub(crate) fn cost(&self, state: u32) -> u64 {
        let items = self.sets.get(place(state)).map_or(0, |set| set.len());
        64 + 4 * u64::try_from(items).unwrap_or(u64::MAX >> 3)
    }

    #[inline]
    pub(crate) fn flags(&self, state: u32) -> u8 {
        self.flags.get(place(state)).copied().unwrap_or(IS_DEAD)
    }

    /// The step that was taken before; `None` where it was not.
    #[inline]
    pub(crate) fn known_step(&self, state: u32, color: u16) -> Option<u32> {
        let at = place(state) * self.width + usize::from(color);
        self.steps.get(at).copied().filter(|to| *to != UNKNOWN)
    }

    /// Forgets all states but one; gives its new number.
    pub(crate) fn forget(&mut self, program: &Program, state: u32, seen: &mut Seen) -> u32 {
        let kept = self.sets.get(place(state)).cloned().unwrap_or_default();
        *self = Self::new(program, self.auto, seen);
        self.intern(program, kept.into_vec(), seen)
    }

    /// The conditions of a state.
    pub(crate) fn looks(&self, state: u32) -> &[u32] {
        let looks = self.looks.get(place(state));
        looks.map_or(&[], |looks| &looks.of)
    }

    /// Takes a step and remembers it.
    pub(crate) fn step(
        &mut self,
        program: &Program,
        state: u32,
        color: u16,
        seen: &mut Seen,
    ) -> u32 {
        let mut set = Vec::new();
        seen.start(program.states.len());
        for item in self
            .sets
            .get(place(state))
            .into_iter()
            .flat_map(|set| set.iter())
        {
            if let State::Set(chars, to) = program.state(*item)
                && *item != self.auto.end
                && program.colors.has(*chars, color)
            {
                self.close(program, *to, &mut set, seen, None);
            }
        }
        if self.auto.anywhere {
            // A match that has begun is told from one that may begin here, though it may go on alike.
            let has_begun = !set.is_empty();
            self.close(program, self.auto.start, &mut set, seen, None);
            if has_begun {
                set.push(BEGUN);
            }
        }
        let to = self.intern(program, set, seen);
        let at = place(state) * self.width + usize::from(color);
        if let Some(step) = self.steps.get_mut(at) {
            *step = to;
        }
        to
    }

    /// What a state is where the conditions of a mask hold, by their order in it.
    pub(crate) fn resolve(
        &mut self,
        program: &Program,
        state: u32,
        mask: u64,
        seen: &mut Seen,
    ) -> u32 {
        let known = self.looks.get(place(state)).into_iter();
        let known = known
            .flat_map(|looks| &looks.known)
            .find(|known| known.0 == mask);
        if let Some((_, to)) = known {
            return *to;
        }
        let looks = self.looks(state);
        let hold: Vec<u32> = looks
            .iter()
            .enumerate()
            .filter_map(|(at, look)| (mask >> at & 1 == 1).then_some(*look))
            .collect();
        let mut set = Vec::new();
        seen.start(program.states.len());
        for item in self
            .sets
            .get(place(state))
            .into_iter()
            .flat_map(|set| set.iter())
        {
            self.close(program, *item, &mut set, seen, Some(&hold));
        }
        let to = self.intern(program, set, seen);
        if let Some(looks) = self.looks.get_mut(place(state)) {
            // Few of them come.
            if looks.known.len() >= 32 {
                looks.known.clear();
            }
            looks.known.push((mask, to));
        }
        self.resolved += 1;
        to
    }

    /// Adds a state and all that lead on without a character. Conditions stay where they are, or are passed where they
    /// are among those that hold.
    fn close(
        &self,
        program: &Program,
        from: u32,
        set: &mut Vec<u32>,
        seen: &mut Seen,
        hold: Option<&[u32]>,
    ) {
        let mut left = vec![from];
        while let Some(at) = left.pop() {
            if !seen.is_new(at) {
                continue;
            }
            // What follows the end is none of this automaton.
            if at == self.auto.end {
                set.push(at);
                continue;
            }
            match program.state(at) {
                State::Open => {}
                State::Free(to) => left.push(*to),
                State::Both(one, other) => left.extend([*one, *other]),
                State::Many(all) => left.extend_from_slice(all),
                State::Set(..) => set.push(at),
                State::Look(look, to) => match hold {
                    None => set.push(at),
                    Some(hold) if hold.contains(look) => left.push(*to),
                    Some(_) => {}
                },
            }
        }
    }

    fn intern(&mut self, program: &Program, mut set: Vec<u32>, seen: &mut Seen) -> u32 {
        set.sort_unstable();
        if let Some(known) = self.known.get(set.as_slice()) {
            return *known;
        }
        let number = u32::try_from(self.sets.len()).unwrap_or(DEAD);
        let mut flags = 0;
        if set.binary_search(&self.auto.end).is_ok() {
            flags |= ACCEPTS;
        }
        let looks = self.pending(program, &set, seen);
        if !looks.is_empty() {
            flags |= LOOKS;
        }
        self.looks.push(Looks {
            of: looks.into(),
            known: Vec::new(),
        });
        self.flags.push(flags);
        self.steps.resize(self.steps.len() + self.width, UNKNOWN);
        let set: Box<[u32]> = set.into();
        self.items += set.len() * 2 + 32;
        self.sets.push(set.clone());
        self.known.insert(set, number);
        number
    }

    /// The conditions that a set meets, behind others too.
    fn pending(&self, program: &Program, set: &[u32], seen: &mut Seen) -> Vec<u32> {
        let is_look = |at: &u32| matches!(program.state(*at), State::Look(..));
        let mut left: Vec<u32> = set
            .iter()
            .filter(|at| **at != self.auto.end && is_look(at))
            .copied()
            .collect();
        let mut looks = Vec::new();
        if left.is_empty() {
            return looks;
        }
        seen.start(program.states.len());
        while let Some(at) = left.pop() {
            if at == self.auto.end || !seen.is_new(at) {
                continue;
            }
            match program.state(at) {
                State::Open | State::Set(..) => {}
                State::Free(to) => left.push(*to),
                State::Both(one, other) => left.extend([*one, *other]),
                State::Many(all) => left.extend_from_slice(all),
                State::Look(look, to) => {
                    looks.push(*look);
                    left.push(*to);
                }
            }
        }
        looks.sort_unstable();
        looks.dedup();
        looks
    }
}
