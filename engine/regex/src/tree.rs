//! A pattern as a tree: what it matches, and where its groups are in what was matched.
//!
//! A node prefers to match as much or as little as it can. PostgreSQL's rules: a quantifier says it for what it counts, a
//! branch is as the first of its parts that says anything, and alternatives are for much. Where the parts of a node agree
//! and no group is asked for, it is one automaton, and what is inside does not matter.

use std::rc::Rc;

/// What matches, without groups.
#[derive(Debug)]
pub(crate) enum Re {
    Empty,
    /// One character of a set.
    Set(u32),
    /// A condition on a place.
    Look(u32),
    Sequence(Vec<Rc<Re>>),
    Either(Vec<Rc<Re>>),
    Repeat(Rc<Re>, u32, Option<u32>),
    /// Something as a group matched before: the same pattern, of which no condition counts, and how large it is.
    Again(Rc<Re>, usize),
}

impl Re {
    pub(crate) fn sequence(mut parts: Vec<Rc<Re>>) -> Rc<Re> {
        match parts.len() {
            0 => Rc::new(Self::Empty),
            1 => parts.swap_remove(0),
            _ => Rc::new(Self::Sequence(parts)),
        }
    }

    pub(crate) fn repeat(part: &Rc<Re>, least: u32, most: Option<u32>) -> Rc<Re> {
        match (least, most) {
            (1, Some(1)) => Rc::clone(part),
            (_, Some(0)) => Rc::new(Self::Empty),
            _ => Rc::new(Self::Repeat(Rc::clone(part), least, most)),
        }
    }
}

/// A condition on a place.
#[derive(Debug)]
pub(crate) enum Look {
    TextStart,
    TextEnd,
    LineStart,
    LineEnd,
    WordStart,
    WordEnd,
    Boundary,
    NoBoundary,
    Around {
        ahead: bool,
        negative: bool,
        re: Rc<Re>,
    },
}

/// What a node prefers and has in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Traits(u8);

impl Traits {
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const LONGER: Self = Self(1);
    pub(crate) const SHORTER: Self = Self(2);
    /// Parts of it prefer one and the other.
    const MIXED: Self = Self(4);
    pub(crate) const CAPTURES: Self = Self(8);
    pub(crate) const REFERS: Self = Self(16);

    pub(crate) fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    fn preference(self) -> Self {
        Self(self.0 & 3)
    }

    /// What is left of it for what is around.
    pub(crate) fn outwards(self) -> Self {
        let mixed = match self.0 & 3 == 3 {
            true => Self::MIXED,
            false => Self::NONE,
        };
        Self(self.0 & !3).and(mixed)
    }

    /// Of two things side by side; the preference is that of the first one that has any.
    pub(crate) fn beside(self, other: Self) -> Self {
        let preference = match self.preference() {
            Self::NONE => other.preference(),
            preference => preference,
        };
        self.and(other).outwards().and(preference)
    }

    /// Whether the parts have to be told apart.
    pub(crate) fn matters(self) -> bool {
        self.has(Self(4 | 8 | 16))
    }

    /// Whether a quantifier asks for nothing that its operand does not do.
    pub(crate) fn agrees(self, quantifier: Self) -> bool {
        let own = self.0 & 7;
        quantifier == Self::NONE || own == 0 || own == quantifier.0
    }

    pub(crate) fn only_preference(self) -> Self {
        self.preference()
    }
}

/// A part of a pattern that is told apart from others.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    pub(crate) traits: Traits,
    /// The number of its group; 0 for none.
    pub(crate) group: usize,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Plain(Rc<Re>),
    Again {
        group: usize,
        least: u32,
        most: Option<u32>,
        re: Rc<Re>,
    },
    Sequence(Vec<Node>),
    Either(Vec<Node>),
    Repeat {
        part: Box<Node>,
        /// The same, for the times that are not the first.
        again: Rc<Re>,
        least: u32,
        most: Option<u32>,
    },
    /// A group of nothing but a group.
    Around(Box<Node>),
}

impl Node {
    pub(crate) fn plain(re: Rc<Re>, traits: Traits) -> Self {
        Self {
            kind: Kind::Plain(re),
            traits,
            group: 0,
        }
    }

    fn is_plain(&self) -> bool {
        matches!(self.kind, Kind::Plain(_))
    }

    /// This and then another, which is spread out where it is a sequence itself.
    pub(crate) fn then(self, rest: Self, traits: Traits) -> Self {
        let mut parts = vec![self];
        match rest {
            Self {
                kind: Kind::Sequence(more),
                group: 0,
                ..
            } => parts.extend(more),
            rest => parts.push(rest),
        }
        Self {
            kind: Kind::Sequence(parts),
            traits,
            group: 0,
        }
    }

    /// Makes it a group.
    pub(crate) fn captured(mut self, group: usize) -> Self {
        let traits = self.traits.and(Traits::CAPTURES);
        if self.group == 0 {
            (self.traits, self.group) = (traits, group);
            return self;
        }
        Self {
            kind: Kind::Around(Box::new(self)),
            traits,
            group,
        }
    }
}

/// A part of a branch that matters, behind what does not.
pub(crate) struct Segment {
    pub(crate) before: Vec<Rc<Re>>,
    pub(crate) before_traits: Traits,
    pub(crate) node: Node,
    pub(crate) traits: Traits,
}

/// A branch of such parts, and what stands behind the last of them.
pub(crate) fn branch(segments: Vec<Segment>, rest: Option<Node>) -> Node {
    let mut rest = rest;
    for segment in segments.into_iter().rev() {
        rest = Some(before(segment, rest));
    }
    rest.unwrap_or_else(|| Node::plain(Rc::new(Re::Empty), Traits::NONE))
}

fn before(segment: Segment, rest: Option<Node>) -> Node {
    let Segment {
        before,
        before_traits,
        node,
        traits,
    } = segment;
    let is_first = before.is_empty();
    let before = Node::plain(Re::sequence(before), before_traits);
    let Some(rest) = rest else {
        let traits = before_traits.and(before_traits.beside(node.traits));
        return match is_first {
            true => node,
            false => before.then(node, traits),
        };
    };
    let inner = traits.and(traits.beside(rest.traits));
    let outer = before_traits.and(before_traits.beside(inner));
    if is_first {
        return node.then(rest, outer);
    }
    let both = node.traits.and(rest.traits);
    // What was told apart for its preference alone may agree with what follows.
    if node.is_plain() && rest.is_plain() && !both.outwards().matters() {
        let traits = node.traits.beside(rest.traits);
        if let (Kind::Plain(node), Kind::Plain(rest)) = (node.kind, rest.kind) {
            let merged = Node::plain(Re::sequence(vec![node, rest]), traits);
            return before.then(merged, outer);
        }
        return before;
    }
    before.then(node.then(rest, inner), outer)
}
