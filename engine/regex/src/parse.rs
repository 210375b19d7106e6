//! Patterns as trees.

use std::collections::HashMap;
use std::rc::Rc;

use crate::classes::{Class, element, lower, others_of, upper};
use crate::error::Wrong;
use crate::flags::{Flags, Syntax};
use crate::lex::{Lexer, Token};
use crate::sets::CharSet;
use crate::tree::{Kind, Look, Node, Re, Segment, Traits, branch};

/// Groups in groups.
const DEEPEST: usize = 200;
/// The largest repetition count.
const MOST: u32 = 255;
/// The last character.
const LAST: u32 = 0x10_FFFF;
/// The largest group that a reference to it is compared with as a pattern first.
const LARGEST_AGAIN: usize = 2_000;

/// A pattern that was read.
pub(crate) struct Parsed {
    pub(crate) re: Rc<Re>,
    pub(crate) node: Node,
    pub(crate) sets: Vec<CharSet>,
    pub(crate) looks: Vec<Look>,
    pub(crate) groups: usize,
    pub(crate) insensitive: bool,
}

/// Reads a pattern.
pub(crate) fn parse(pattern: &str, flags: Flags) -> Result<Parsed, Wrong> {
    let mut parser = Parser {
        lexer: Lexer::new(pattern, flags)?,
        sets: Vec::new(),
        known: HashMap::new(),
        looks: Vec::new(),
        closed: Vec::new(),
        depth: 0,
    };
    let (re, node) = parser.alternatives(false, false)?;
    Ok(Parsed {
        re,
        node,
        sets: parser.sets,
        looks: parser.looks,
        groups: parser.lexer.groups,
        insensitive: parser.lexer.flags.insensitive,
    })
}

struct Parser {
    lexer: Lexer,
    sets: Vec<CharSet>,
    known: HashMap<CharSet, u32>,
    looks: Vec<Look>,
    /// The groups that are closed, and how large they are, by their number.
    closed: Vec<Option<(Rc<Re>, usize)>>,
    depth: usize,
}

/// What may be counted, or a condition, which may not.
enum Atom {
    Look(Rc<Re>),
    Plain(Rc<Re>),
    Group { re: Rc<Re>, node: Node },
    Again(usize, Rc<Re>),
}

/// A repetition count, and what it prefers.
struct Count {
    least: u32,
    most: Option<u32>,
    prefers: Traits,
}

fn preference(longer: bool) -> Traits {
    match longer {
        true => Traits::LONGER,
        false => Traits::SHORTER,
    }
}

/// How large a pattern is written out.
fn size(re: &Re) -> usize {
    match re {
        Re::Empty | Re::Set(_) | Re::Look(_) => 1,
        Re::Sequence(parts) | Re::Either(parts) => parts
            .iter()
            .fold(1, |sum, part| size(part).saturating_add(sum)),
        Re::Repeat(part, least, most) => {
            let times = most.unwrap_or(*least).max(1);
            size(part).saturating_mul(usize::try_from(times).unwrap_or(usize::MAX))
        }
        Re::Again(_, size) => *size,
    }
}

impl Parser {
    /// Alternatives, up to the end of a group or of the pattern.
    fn alternatives(&mut self, grouped: bool, looking: bool) -> Result<(Rc<Re>, Node), Wrong> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(Wrong::Complex);
        }
        let (mut parts, mut nodes) = (Vec::new(), Vec::new());
        let mut traits = Traits::LONGER;
        loop {
            let (re, node) = self.branch(grouped, looking)?;
            traits = traits.and(traits.and(node.traits).outwards());
            parts.push(re);
            nodes.push(node);
            if self.lexer.token != Token::Either {
                break;
            }
            self.lexer.next()?;
        }
        if grouped && self.lexer.token != Token::Close {
            return Err(Wrong::Parentheses);
        }
        self.depth -= 1;
        if nodes.len() == 1
            && let (Some(re), Some(node)) = (parts.pop(), nodes.pop())
        {
            return Ok((re, node));
        }
        let re = Rc::new(Re::Either(parts));
        let node = match traits.matters() {
            true => Node {
                kind: Kind::Either(nodes),
                traits,
                group: 0,
            },
            false => Node::plain(Rc::clone(&re), traits),
        };
        Ok((re, node))
    }

    fn ends(&self, grouped: bool) -> bool {
        match self.lexer.token {
            Token::Either | Token::End => true,
            Token::Close => grouped,
            _ => false,
        }
    }

    fn branch(&mut self, grouped: bool, looking: bool) -> Result<(Rc<Re>, Node), Wrong> {
        let (mut all, mut segments) = (Vec::new(), Vec::new());
        let (mut before, mut before_traits) = (Vec::new(), Traits::NONE);
        while !self.ends(grouped) {
            let atom = match self.atom(looking)? {
                Atom::Look(re) => {
                    all.push(Rc::clone(&re));
                    before.push(re);
                    continue;
                }
                atom => atom,
            };
            let count = self.count()?;
            let is_again = matches!(atom, Atom::Again(..));
            let (re, node) = match atom {
                Atom::Look(re) | Atom::Plain(re) => (re, None),
                Atom::Group { re, node } => (re, Some(node)),
                Atom::Again(group, re) => {
                    let node = Self::again(group, &re, &count);
                    (re, Some(node))
                }
            };
            let repeated = Re::repeat(&re, count.least, count.most);
            all.push(Rc::clone(&repeated));
            if count.most == Some(0) {
                before.push(repeated);
                continue;
            }
            let own = node.as_ref().map_or(Traits::NONE, |node| node.traits);
            let traits = before_traits.and(count.prefers).and(own);
            if !traits.outwards().matters() {
                before_traits = traits;
                before.push(repeated);
                continue;
            }
            let node = node.unwrap_or_else(|| Node::plain(Rc::clone(&re), Traits::NONE));
            segments.push(Segment {
                before: std::mem::take(&mut before),
                before_traits: std::mem::take(&mut before_traits),
                traits: count.prefers.beside(node.traits),
                // References count by themselves.
                node: match is_again {
                    true => node,
                    false => counted(node, &re, &count),
                },
            });
        }
        let rest = match before.is_empty() && !segments.is_empty() {
            true => None,
            false => Some(Node::plain(Re::sequence(before), before_traits)),
        };
        Ok((Re::sequence(all), branch(segments, rest)))
    }

    fn again(group: usize, re: &Rc<Re>, count: &Count) -> Node {
        let traits = Traits::REFERS;
        Node {
            kind: Kind::Again {
                group,
                least: count.least,
                most: count.most,
                re: Re::repeat(re, count.least, count.most),
            },
            traits: traits.and(count.prefers.beside(traits)),
            group: 0,
        }
    }

    fn atom(&mut self, looking: bool) -> Result<Atom, Wrong> {
        let token = self.lexer.token;
        let set = match token {
            Token::Open(captures) => return self.group(captures && !looking, looking),
            Token::Around { ahead, negative } => {
                self.lexer.next()?;
                let (re, _) = self.alternatives(true, true)?;
                self.lexer.next()?;
                let look = Look::Around {
                    ahead,
                    negative,
                    re,
                };
                return self.look(look);
            }
            Token::Backreference(number) => {
                let found = self.closed.get(number).and_then(Option::as_ref);
                let (re, size) = found.filter(|_| !looking).ok_or(Wrong::Backreference)?;
                let re = match *size > LARGEST_AGAIN {
                    false => Rc::new(Re::Again(Rc::clone(re), *size)),
                    true => {
                        let any = Rc::new(Re::Set(self.set(CharSet::all())?));
                        Re::repeat(&any, 0, None)
                    }
                };
                self.lexer.next()?;
                return Ok(Atom::Again(number, re));
            }
            Token::Close if self.lexer.flags.syntax == Syntax::Extended => {
                self.single(u32::from(')'))
            }
            Token::Close => return Err(Wrong::Parentheses),
            Token::Plain(code) => self.single(code),
            Token::Bracket(positive) => self.bracket(positive)?,
            Token::Class(class) => class.set(self.lexer.flags.insensitive),
            Token::NoClass(class) => class.set(self.lexer.flags.insensitive).complement(),
            Token::Dot if self.lexer.flags.stops => new_line().complement(),
            Token::Dot => CharSet::all(),
            token => {
                let look = self.condition(token).ok_or(Wrong::Operand)?;
                self.lexer.next()?;
                return self.look(look);
            }
        };
        self.lexer.next()?;
        Ok(Atom::Plain(Rc::new(Re::Set(self.set(set)?))))
    }

    fn condition(&self, token: Token) -> Option<Look> {
        let lines = self.lexer.flags.anchors;
        Some(match token {
            Token::LineStart if lines => Look::LineStart,
            Token::LineEnd if lines => Look::LineEnd,
            Token::LineStart | Token::TextStart => Look::TextStart,
            Token::LineEnd | Token::TextEnd => Look::TextEnd,
            Token::WordStart => Look::WordStart,
            Token::WordEnd => Look::WordEnd,
            Token::Boundary => Look::Boundary,
            Token::NoBoundary => Look::NoBoundary,
            _ => return None,
        })
    }

    fn look(&mut self, look: Look) -> Result<Atom, Wrong> {
        let number = u32::try_from(self.looks.len()).map_err(|_| Wrong::Complex)?;
        self.looks.push(look);
        Ok(Atom::Look(Rc::new(Re::Look(number))))
    }

    fn group(&mut self, captures: bool, looking: bool) -> Result<Atom, Wrong> {
        let mut number = 0;
        if captures {
            self.lexer.groups += 1;
            number = self.lexer.groups;
        }
        self.lexer.next()?;
        let (re, mut node) = self.alternatives(true, looking)?;
        self.lexer.next()?;
        if captures {
            node = node.captured(number);
            if self.closed.len() <= number {
                self.closed.resize_with(number + 1, || None);
            }
            let size = size(&re);
            if let Some(place) = self.closed.get_mut(number) {
                *place = Some((Rc::clone(&re), size));
            }
        }
        Ok(Atom::Group { re, node })
    }

    fn count(&mut self) -> Result<Count, Wrong> {
        let (least, most, longer) = match self.lexer.token {
            Token::Star(longer) => (0, None, longer),
            Token::Plus(longer) => (1, None, longer),
            Token::Question(longer) => (0, Some(1), longer),
            Token::Bound => return self.bound(),
            _ => {
                return Ok(Count {
                    least: 1,
                    most: Some(1),
                    prefers: Traits::NONE,
                });
            }
        };
        self.lexer.next()?;
        Ok(Count {
            least,
            most,
            prefers: preference(longer),
        })
    }

    fn bound(&mut self) -> Result<Count, Wrong> {
        self.lexer.next()?;
        let least = self.number()?;
        let (mut most, mut says) = (Some(least), false);
        if self.lexer.token == Token::Comma {
            self.lexer.next()?;
            most = match self.lexer.token {
                Token::Digit(_) => Some(self.number()?),
                _ => None,
            };
            says = true;
        }
        let Token::BoundEnd(longer) = self.lexer.token else {
            return Err(Wrong::Repetition);
        };
        if most.is_some_and(|most| most < least) {
            return Err(Wrong::Repetition);
        }
        self.lexer.next()?;
        Ok(Count {
            least,
            most,
            prefers: match says {
                true => preference(longer),
                false => Traits::NONE,
            },
        })
    }

    fn number(&mut self) -> Result<u32, Wrong> {
        let mut number = 0;
        while let Token::Digit(digit) = self.lexer.token {
            number = number * 10 + digit;
            if number > MOST {
                return Err(Wrong::Repetition);
            }
            self.lexer.next()?;
        }
        Ok(number)
    }

    /// The number of a set.
    fn set(&mut self, set: CharSet) -> Result<u32, Wrong> {
        if let Some(number) = self.known.get(&set) {
            return Ok(*number);
        }
        let number = u32::try_from(self.sets.len()).map_err(|_| Wrong::Complex)?;
        self.sets.push(set.clone());
        self.known.insert(set, number);
        Ok(number)
    }

    /// A character, in both cases where case does not matter.
    fn single(&self, code: u32) -> CharSet {
        let mut set = CharSet::default();
        self.push(&mut set, code);
        set.normalize();
        set
    }

    fn push(&self, set: &mut CharSet, code: u32) {
        let Some(c) = char::from_u32(code) else {
            return;
        };
        match self.lexer.flags.insensitive {
            false => set.push_char(c),
            true => {
                set.push_char(lower(c));
                set.push_char(upper(c));
            }
        }
    }

    fn bracket(&mut self, positive: bool) -> Result<CharSet, Wrong> {
        self.lexer.next()?;
        let mut set = CharSet::default();
        while !matches!(self.lexer.token, Token::BracketEnd | Token::End) {
            self.item(&mut set)?;
        }
        set.normalize();
        if positive {
            return Ok(set);
        }
        if self.lexer.flags.stops {
            set.extend(&new_line());
            set.normalize();
        }
        Ok(set.complement())
    }

    /// A character, range or class in brackets.
    fn item(&mut self, set: &mut CharSet) -> Result<(), Wrong> {
        let insensitive = self.lexer.flags.insensitive;
        let (low, is_plain) = match self.lexer.token {
            Token::Plain(code) => {
                self.lexer.next()?;
                (code, true)
            }
            Token::Collating => (self.collating()?, false),
            Token::Equivalence => {
                let code = self.collating()?;
                self.push(set, code);
                return Ok(());
            }
            Token::Named => {
                let name = self.name(Wrong::Class)?;
                let class = Class::named(&name).ok_or(Wrong::Class)?;
                set.extend(&class.set(insensitive));
                return Ok(());
            }
            Token::Class(class) => {
                set.extend(&class.set(insensitive));
                return self.lexer.next();
            }
            Token::NoClass(class) => {
                set.extend(&class.set(insensitive).complement());
                return self.lexer.next();
            }
            _ => return Err(Wrong::Range),
        };
        let mut high = low;
        if self.lexer.token == Token::Range {
            self.lexer.next()?;
            high = match self.lexer.token {
                Token::Plain(code) => {
                    self.lexer.next()?;
                    code
                }
                Token::Range => {
                    self.lexer.next()?;
                    u32::from('-')
                }
                Token::Collating => self.collating()?,
                _ => return Err(Wrong::Range),
            };
        } else if is_plain {
            self.push(set, low);
            return Ok(());
        }
        self.range(set, low, high)
    }

    fn range(&self, set: &mut CharSet, low: u32, high: u32) -> Result<(), Wrong> {
        if high < low {
            return Err(Wrong::Range);
        }
        if low > LAST {
            return Ok(());
        }
        set.push(low, high.min(LAST));
        if self.lexer.flags.insensitive {
            others_of(set, low, high);
        }
        Ok(())
    }

    fn collating(&mut self) -> Result<u32, Wrong> {
        let name = self.name(Wrong::Collation)?;
        element(&name).map(u32::from).ok_or(Wrong::Collation)
    }

    /// What stands between `[.` and `.]` or their like.
    fn name(&mut self, wrong: Wrong) -> Result<String, Wrong> {
        self.lexer.next()?;
        let mut name = String::new();
        while let Token::Plain(code) = self.lexer.token {
            name.extend(char::from_u32(code));
            self.lexer.next()?;
        }
        self.lexer.next()?;
        match name.is_empty() {
            true => Err(wrong),
            false => Ok(name),
        }
    }
}

fn new_line() -> CharSet {
    let mut set = CharSet::default();
    set.push_char('\n');
    set
}

/// A part that matters with its repetition count.
fn counted(node: Node, re: &Rc<Re>, count: &Count) -> Node {
    let Count {
        least,
        most,
        prefers,
    } = *count;
    let traits = prefers.beside(node.traits);
    if (least, most) == (1, Some(1)) && node.traits.agrees(prefers) {
        return node;
    }
    let is_group = node.traits.has(Traits::CAPTURES.and(Traits::REFERS));
    if !is_group {
        return Node::plain(Re::repeat(re, least, most), traits);
    }
    if least > 0 && !node.traits.has(Traits::REFERS) {
        // The last time alone tells where the groups are.
        let most = most.map(|most| most - 1);
        let before = Re::repeat(re, least - 1, most);
        let before = Node::plain(before, traits.only_preference());
        return before.then(node, traits);
    }
    Node {
        kind: Kind::Repeat {
            part: Box::new(node),
            again: Rc::clone(re),
            least,
            most,
        },
        traits,
        group: 0,
    }
}
