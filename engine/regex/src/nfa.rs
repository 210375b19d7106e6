//! The tree of a pattern as states of one automaton, of which each node is a part of its own.

use crate::error::Wrong;
use crate::sets::Colors;
use crate::tree::{Kind, Look, Node, Re, Traits};

/// States of an automaton.
const MOST_STATES: usize = 200_000;

/// A state, and where it leads.
#[derive(Clone, Debug)]
pub(crate) enum State {
    /// Nowhere, as yet.
    Open,
    Free(u32),
    Both(u32, u32),
    Many(Box<[u32]>),
    Set(u32, u32),
    Look(u32, u32),
}

/// A condition on a place.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Test {
    TextStart,
    TextEnd,
    LineStart,
    LineEnd,
    WordStart,
    WordEnd,
    Boundary,
    NoBoundary,
    /// Whether an automaton matches from here on, or up to here.
    Around {
        ahead: bool,
        negative: bool,
        auto: usize,
    },
}

/// A part of the states that is an automaton: from a state to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Auto {
    pub(crate) start: u32,
    pub(crate) end: u32,
    /// It may begin at any place.
    pub(crate) anywhere: bool,
}

/// What is dissected: a node, with the automata of its parts.
#[derive(Debug)]
pub(crate) struct Piece {
    pub(crate) kind: PieceKind,
    pub(crate) auto: usize,
    pub(crate) shorter: bool,
    pub(crate) refers: bool,
    /// Whether there is anything to tell inside.
    pub(crate) matters: bool,
    pub(crate) group: usize,
    /// The groups in it.
    pub(crate) groups: (usize, usize),
}

#[derive(Debug)]
pub(crate) enum PieceKind {
    Plain,
    Again {
        group: usize,
        least: usize,
        most: Option<usize>,
    },
    /// The parts, and for each the automaton of it and all behind it.
    Sequence(Vec<(usize, usize)>),
    Either(Vec<usize>),
    Repeat {
        part: usize,
        least: usize,
        most: Option<usize>,
    },
    Around(usize),
}

/// A pattern that is ready to be matched.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) states: Vec<State>,
    pub(crate) tests: Vec<Test>,
    pub(crate) colors: Colors,
    pub(crate) autos: Vec<Auto>,
    pub(crate) pieces: Vec<Piece>,
    pub(crate) root: usize,
    pub(crate) search: usize,
    /// It matches at the begin of the text or not at all.
    pub(crate) anchored: bool,
    pub(crate) groups: usize,
    pub(crate) insensitive: bool,
}

/// Writes the states.
pub(crate) struct Builder {
    states: Vec<State>,
    autos: Vec<Auto>,
    pieces: Vec<Piece>,
    /// No condition counts.
    loose: bool,
}

fn times(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// Makes a program of what was read.
pub(crate) fn build(parsed: &crate::parse::Parsed) -> Result<Program, Wrong> {
    let colors = Colors::new(&parsed.sets).ok_or(Wrong::Complex)?;
    let mut builder = Builder {
        states: Vec::new(),
        autos: Vec::new(),
        pieces: Vec::new(),
        loose: false,
    };
    let start = builder.open()?;
    let (root, end) = builder.node(&parsed.node, start)?;
    let search = builder.auto(start, end, true);
    let mut tests = Vec::with_capacity(parsed.looks.len());
    for look in &parsed.looks {
        tests.push(builder.test(look)?);
    }
    let mut program = Program {
        states: builder.states,
        tests,
        colors,
        autos: builder.autos,
        pieces: builder.pieces,
        root,
        search,
        anchored: false,
        groups: parsed.groups,
        insensitive: parsed.insensitive,
    };
    program.anchored = program.is_anchored(start, end);
    Ok(program)
}

impl Builder {
    fn open(&mut self) -> Result<u32, Wrong> {
        let number = u32::try_from(self.states.len()).map_err(|_| Wrong::Complex)?;
        if self.states.len() >= MOST_STATES {
            return Err(Wrong::Complex);
        }
        self.states.push(State::Open);
        Ok(number)
    }

    fn set(&mut self, at: u32, state: State) {
        let at = usize::try_from(at).unwrap_or(usize::MAX);
        if let Some(place) = self.states.get_mut(at) {
            *place = state;
        }
    }

    fn auto(&mut self, start: u32, end: u32, anywhere: bool) -> usize {
        let auto = Auto {
            start,
            end,
            anywhere,
        };
        self.autos.push(auto);
        self.autos.len() - 1
    }

    fn test(&mut self, look: &Look) -> Result<Test, Wrong> {
        Ok(match look {
            Look::TextStart => Test::TextStart,
            Look::TextEnd => Test::TextEnd,
            Look::LineStart => Test::LineStart,
            Look::LineEnd => Test::LineEnd,
            Look::WordStart => Test::WordStart,
            Look::WordEnd => Test::WordEnd,
            Look::Boundary => Test::Boundary,
            Look::NoBoundary => Test::NoBoundary,
            Look::Around {
                ahead,
                negative,
                re,
            } => {
                let start = self.open()?;
                let end = self.re(re, start)?;
                Test::Around {
                    ahead: *ahead,
                    negative: *negative,
                    auto: self.auto(start, end, !ahead),
                }
            }
        })
    }

    /// Writes a pattern from a state on; gives the state behind it.
    fn re(&mut self, re: &Re, start: u32) -> Result<u32, Wrong> {
        match re {
            Re::Empty => {
                let end = self.open()?;
                self.set(start, State::Free(end));
                Ok(end)
            }
            Re::Set(set) => {
                let end = self.open()?;
                self.set(start, State::Set(*set, end));
                Ok(end)
            }
            Re::Look(look) => {
                let end = self.open()?;
                self.set(
                    start,
                    match self.loose {
                        true => State::Free(end),
                        false => State::Look(*look, end),
                    },
                );
                Ok(end)
            }
            Re::Sequence(parts) => {
                let mut at = start;
                for part in parts {
                    at = self.re(part, at)?;
                }
                Ok(at)
            }
            Re::Either(parts) => {
                let mut starts = Vec::with_capacity(parts.len());
                let mut ends = Vec::with_capacity(parts.len());
                for part in parts {
                    let start = self.open()?;
                    starts.push(start);
                    ends.push(self.re(part, start)?);
                }
                self.join(start, starts, &ends)
            }
            Re::Repeat(part, least, most) => self.repeat(part, *least, *most, start),
            Re::Again(part, _) => {
                let before = std::mem::replace(&mut self.loose, true);
                let end = self.re(part, start);
                self.loose = before;
                end
            }
        }
    }

    fn join(&mut self, start: u32, starts: Vec<u32>, ends: &[u32]) -> Result<u32, Wrong> {
        self.set(start, State::Many(starts.into()));
        let end = self.open()?;
        for before in ends {
            self.set(*before, State::Free(end));
        }
        Ok(end)
    }

    fn repeat(
        &mut self,
        part: &Re,
        least: u32,
        most: Option<u32>,
        start: u32,
    ) -> Result<u32, Wrong> {
        let mut at = start;
        // The last of the times that must be may be the one that goes on.
        for _ in 0..least.saturating_sub(u32::from(most.is_none())) {
            at = self.re(part, at)?;
        }
        let end = self.open()?;
        match most {
            None => {
                let inner = self.open()?;
                if least == 0 {
                    let turn = self.open()?;
                    self.set(at, State::Free(turn));
                    self.set(turn, State::Both(inner, end));
                    let behind = self.re(part, inner)?;
                    self.set(behind, State::Free(turn));
                } else {
                    self.set(at, State::Free(inner));
                    let behind = self.re(part, inner)?;
                    self.set(behind, State::Both(inner, end));
                }
            }
            Some(most) => {
                for _ in least..most {
                    let inner = self.open()?;
                    self.set(at, State::Both(inner, end));
                    at = self.re(part, inner)?;
                }
                self.set(at, State::Free(end));
            }
        }
        Ok(end)
    }

    /// Writes a node and its parts; gives its piece and the state behind it.
    fn node(&mut self, node: &Node, start: u32) -> Result<(usize, u32), Wrong> {
        let (kind, end) = match &node.kind {
            Kind::Plain(re) => (PieceKind::Plain, self.re(re, start)?),
            Kind::Again {
                group,
                least,
                most,
                re,
            } => {
                let kind = PieceKind::Again {
                    group: *group,
                    least: times(*least),
                    most: most.map(times),
                };
                (kind, self.re(re, start)?)
            }
            Kind::Sequence(nodes) => {
                let (mut at, mut parts) = (start, Vec::with_capacity(nodes.len()));
                for node in nodes {
                    let (piece, end) = self.node(node, at)?;
                    parts.push((piece, at));
                    at = end;
                }
                let parts = parts
                    .into_iter()
                    .map(|(piece, from)| (piece, self.auto(from, at, false)))
                    .collect();
                (PieceKind::Sequence(parts), at)
            }
            Kind::Either(nodes) => {
                let (mut starts, mut ends, mut parts) = (Vec::new(), Vec::new(), Vec::new());
                for node in nodes {
                    let start = self.open()?;
                    let (piece, end) = self.node(node, start)?;
                    starts.push(start);
                    ends.push(end);
                    parts.push(piece);
                }
                let end = self.join(start, starts, &ends)?;
                (PieceKind::Either(parts), end)
            }
            Kind::Repeat {
                part,
                again,
                least,
                most,
            } => {
                let (part, end) = self.repeated(part, again, *least, *most, start)?;
                let kind = PieceKind::Repeat {
                    part,
                    least: times(*least),
                    most: most.map(times),
                };
                (kind, end)
            }
            Kind::Around(node) => {
                let (piece, end) = self.node(node, start)?;
                (PieceKind::Around(piece), end)
            }
        };
        let inside = self.groups(&kind);
        let groups = match node.group {
            0 => inside,
            group => (group, inside.1.max(group)),
        };
        let piece = Piece {
            kind,
            auto: self.auto(start, end, false),
            shorter: node.traits.has(Traits::SHORTER),
            refers: node.traits.has(Traits::REFERS),
            matters: node.traits.has(Traits::CAPTURES.and(Traits::REFERS)),
            group: node.group,
            groups,
        };
        self.pieces.push(piece);
        Ok((self.pieces.len() - 1, end))
    }

    /// The first and the last group of the parts, which have all between.
    fn groups(&self, kind: &PieceKind) -> (usize, usize) {
        let of = |piece: &usize| self.pieces.get(*piece).map_or((0, 0), |piece| piece.groups);
        let both = |a: (usize, usize), b: (usize, usize)| match (a.0, b.0) {
            (0, _) => b,
            (_, 0) => a,
            _ => (a.0.min(b.0), a.1.max(b.1)),
        };
        match kind {
            PieceKind::Plain | PieceKind::Again { .. } => (0, 0),
            PieceKind::Sequence(parts) => parts
                .iter()
                .fold((0, 0), |all, (piece, _)| both(all, of(piece))),
            PieceKind::Either(parts) => {
                parts.iter().fold((0, 0), |all, piece| both(all, of(piece)))
            }
            PieceKind::Repeat { part, .. } | PieceKind::Around(part) => of(part),
        }
    }

    /// A part that matters, once or more often: the first time is the one that its automaton is of.
    fn repeated(
        &mut self,
        part: &Node,
        again: &Re,
        least: u32,
        most: Option<u32>,
        start: u32,
    ) -> Result<(usize, u32), Wrong> {
        let less = |count: u32| count.saturating_sub(1);
        if least > 0 {
            let inner = self.open()?;
            self.set(start, State::Free(inner));
            let (piece, behind) = self.node(part, inner)?;
            let end = self.repeat(again, less(least), most.map(less), behind)?;
            return Ok((piece, end));
        }
        let (inner, end) = (self.open()?, self.open()?);
        match most {
            None => {
                let turn = self.open()?;
                self.set(start, State::Free(turn));
                self.set(turn, State::Both(inner, end));
                let (piece, behind) = self.node(part, inner)?;
                self.set(behind, State::Free(turn));
                Ok((piece, end))
            }
            Some(most) => {
                self.set(start, State::Both(inner, end));
                let (piece, behind) = self.node(part, inner)?;
                let behind = self.repeat(again, 0, Some(less(most)), behind)?;
                self.set(behind, State::Free(end));
                Ok((piece, end))
            }
        }
    }
}

impl Program {
    pub(crate) fn state(&self, at: u32) -> &State {
        let at = usize::try_from(at).unwrap_or(usize::MAX);
        self.states.get(at).unwrap_or(&State::Open)
    }

    /// Whether every way into the pattern asks for the begin of the text first.
    fn is_anchored(&self, start: u32, end: u32) -> bool {
        let mut seen = std::collections::HashSet::from([start]);
        let mut left = vec![start];
        while let Some(at) = left.pop() {
            if at == end {
                return false;
            }
            let next: &[u32] = match self.state(at) {
                State::Open => &[],
                State::Free(to) => std::slice::from_ref(to),
                State::Both(one, other) => &[*one, *other],
                State::Many(all) => all,
                State::Set(..) => return false,
                State::Look(look, _) => {
                    let test = usize::try_from(*look).ok();
                    match test.and_then(|test| self.tests.get(test)) {
                        Some(Test::TextStart) => &[],
                        _ => return false,
                    }
                }
            };
            left.extend(next.iter().filter(|next| seen.insert(**next)));
        }
        true
    }
}
