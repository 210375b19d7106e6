//! PostgreSQL's rules for choosing an operator or function overload and for coercing types.

use super::builtin::{Function, Operator, builtin};
use super::value::{base_type, element_type};
use crate::pg_types::oid;

const ANYCOMPATIBLE: u32 = 5077;
const ANYCOMPATIBLEARRAY: u32 = 5078;
const ANYCOMPATIBLENONARRAY: u32 = 5079;

/// How freely a coercion may be applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Freedom {
    Implicit,
    Assignment,
    Explicit,
}

fn category(ty: u32) -> char {
    builtin().type_of(base_type(ty)).map_or('C', |t| t.category)
}

fn preferred(ty: u32) -> bool {
    builtin().type_of(ty).is_some_and(|t| t.preferred)
}

fn is_composite(ty: u32) -> bool {
    ty == oid::RECORD || builtin().type_of(ty).is_none()
}

/// int2vector and oidvector are not: nothing becomes them by itself.
fn is_true_array(ty: u32) -> bool {
    !matches!(ty, oid::INT2VECTOR | oid::OIDVECTOR)
}

/// Whether an argument type is polymorphic.
pub(crate) fn is_polymorphic(ty: u32) -> bool {
    matches!(
        ty,
        oid::ANY
            | oid::ANYARRAY
            | oid::ANYELEMENT
            | oid::ANYNONARRAY
            | ANYCOMPATIBLE
            | ANYCOMPATIBLEARRAY
            | ANYCOMPATIBLENONARRAY
    )
}

/// Whether a value of one type may become another.
pub(crate) fn can_coerce(from: u32, to: u32, freedom: Freedom) -> bool {
    if from == to || from == oid::UNKNOWN {
        return true;
    }
    match to {
        oid::ANY | oid::ANYELEMENT | ANYCOMPATIBLE => return true,
        oid::ANYNONARRAY | ANYCOMPATIBLENONARRAY => return element_type(from).is_none(),
        oid::ANYARRAY | ANYCOMPATIBLEARRAY => {
            return element_type(from).is_some() || from == oid::ANYARRAY;
        }
        oid::RECORD => return is_composite(from),
        _ => {}
    }
    let (source, target) = (base_type(from), base_type(to));
    if source == target && (from != source || freedom == Freedom::Explicit || to == target) {
        return true;
    }
    if let Some(cast) = builtin().cast(source, target) {
        return match cast.context {
            'i' => true,
            'a' => freedom >= Freedom::Assignment,
            _ => freedom == Freedom::Explicit,
        };
    }
    match (element_type(source), element_type(target)) {
        (Some(a), Some(b)) if is_true_array(target) => return can_coerce(a, b, freedom),
        _ => {}
    }
    // Anything prints into a string; a string is read as anything when asked explicitly.
    (freedom >= Freedom::Assignment && category(target) == 'S')
        || (freedom == Freedom::Explicit && category(source) == 'S')
}

/// Whether a value of one type may be assigned to what is of another.
pub(crate) fn can_assign(from: u32, to: u32) -> bool {
    can_coerce(from, to, Freedom::Assignment)
}

/// Whether a value of one type is cast to another where a statement says so.
pub(crate) fn can_cast(from: u32, to: u32) -> bool {
    can_coerce(from, to, Freedom::Explicit)
}

/// What of several candidates fits some arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// This one, by its place, fits best.
    One(usize),
    /// Several fit equally well.
    Several,
    /// None fits.
    None,
}

impl Choice {
    fn one(self) -> Option<usize> {
        match self {
            Choice::One(at) => Some(at),
            Choice::Several | Choice::None => None,
        }
    }
}

/// Whether arguments may become what a candidate declares; one of a type that is not known may become anything.
fn fits(declared: &[u32], actual: &[Option<u32>]) -> bool {
    let mut pairs = declared.iter().zip(actual);
    declared.len() == actual.len()
        && pairs.all(|(to, from)| from.is_none_or(|from| can_coerce(from, *to, Freedom::Implicit)))
}

/// Chooses among candidate argument lists.
fn choose(candidates: &[Vec<u32>], actual: &[u32]) -> Choice {
    let actual_base: Vec<u32> = actual.iter().map(|t| base_type(*t)).collect();
    if let Some(exact) = candidates.iter().position(|c| c.as_slice() == actual) {
        return Choice::One(exact);
    }
    let known: Vec<Option<u32>> = actual.iter().copied().map(Some).collect();
    let mut left: Vec<usize> = (0..candidates.len())
        .filter(|i| fits(&candidates[*i], &known) && consistent(&candidates[*i], actual))
        .collect();
    match left.as_slice() {
        [] => return Choice::None,
        [one] => return Choice::One(*one),
        _ => {}
    }
    // Polymorphic arguments match less well than the type itself.
    keep_best(&mut left, |i| {
        let pairs = candidates[i].iter().zip(&actual_base);
        pairs
            .filter(|(to, from)| to == from && **from != oid::UNKNOWN)
            .count()
    });
    if let [one] = left.as_slice() {
        return Choice::One(*one);
    }
    keep_best(&mut left, |i| {
        let pairs = candidates[i].iter().zip(&actual_base);
        pairs
            .filter(|(to, from)| {
                **from != oid::UNKNOWN
                    && (to == from || (preferred(**to) && category(**to) == category(**from)))
            })
            .count()
    });
    if let [one] = left.as_slice() {
        return Choice::One(*one);
    }
    match choose_for_unknown(candidates, &actual_base, left) {
        Some(one) => Choice::One(one),
        None => Choice::Several,
    }
}

/// Whether polymorphic arguments agree with each other.
fn consistent(declared: &[u32], actual: &[u32]) -> bool {
    let pairs = || {
        declared
            .iter()
            .zip(actual)
            .filter(|(_, a)| **a != oid::UNKNOWN)
    };
    let mut elements: Vec<u32> = Vec::new();
    let mut compatible: Vec<u32> = Vec::new();
    for (declared, actual) in pairs() {
        match *declared {
            oid::ANYELEMENT | oid::ANYNONARRAY => elements.push(base_type(*actual)),
            oid::ANYARRAY => elements.extend(element_type(*actual)),
            ANYCOMPATIBLE | ANYCOMPATIBLENONARRAY => compatible.push(*actual),
            ANYCOMPATIBLEARRAY => compatible.extend(element_type(*actual)),
            _ => {}
        }
    }
    elements.windows(2).all(|w| w[0] == w[1])
        && (compatible.is_empty() || common_type(&compatible).is_some())
}

/// Chooses by what stands where arguments are of no type yet: where one candidate takes text it is text, else what all
/// of them take is of one category, of which a preferred type wins.
fn choose_for_unknown(
    candidates: &[Vec<u32>],
    actual_base: &[u32],
    mut left: Vec<usize>,
) -> Option<usize> {
    let unknown = (0..actual_base.len()).filter(|at| actual_base[*at] == oid::UNKNOWN);
    let slots: Vec<(usize, Option<Slot>)> = unknown
        .map(|at| (at, Slot::of(left.iter().map(|i| candidates[*i][at]))))
        .collect();
    if slots.is_empty() {
        return None;
    }
    let all: Option<Vec<(usize, Slot)>> = slots
        .iter()
        .map(|(at, slot)| Some((*at, (*slot)?)))
        .collect();
    if let Some(slots) = all {
        let kept: Vec<usize> = left
            .iter()
            .copied()
            .filter(|i| {
                slots
                    .iter()
                    .all(|(at, slot)| slot.takes(candidates[*i][*at]))
            })
            .collect();
        if !kept.is_empty() {
            left = kept;
        }
        if let [one] = left.as_slice() {
            return Some(*one);
        }
    }
    // Let the unknown arguments have the type the known ones agree on.
    let mut known = actual_base.iter().filter(|t| **t != oid::UNKNOWN);
    let first = *known.next()?;
    if known.any(|t| *t != first) {
        return None;
    }
    let fitting: Vec<usize> = left
        .into_iter()
        .filter(|i| {
            candidates[*i]
                .iter()
                .all(|to| can_coerce(first, *to, Freedom::Implicit))
        })
        .collect();
    match fitting.as_slice() {
        [one] => Some(*one),
        _ => None,
    }
}

/// What candidates take where an argument is of no type yet.
#[derive(Clone, Copy, Debug)]
struct Slot {
    category: char,
    has_preferred: bool,
}

impl Slot {
    /// `None` where they take types of several categories, none of them text.
    fn of(types: impl Iterator<Item = u32> + Clone) -> Option<Slot> {
        let mut categories = types.clone().map(category);
        let first = categories.next()?;
        let wanted = match types.clone().any(|ty| category(ty) == 'S') {
            true => 'S',
            false => categories.all(|other| other == first).then_some(first)?,
        };
        let mut among = types.filter(|ty| category(*ty) == wanted);
        Some(Slot {
            category: wanted,
            has_preferred: among.any(preferred),
        })
    }

    fn takes(self, ty: u32) -> bool {
        category(ty) == self.category && (!self.has_preferred || preferred(ty))
    }
}

fn keep_best(left: &mut Vec<usize>, score: impl Fn(usize) -> usize) {
    let best = left.iter().map(|i| score(*i)).max().unwrap_or(0);
    left.retain(|i| score(*i) == best);
}

/// A chosen overload: the types its arguments are coerced to and the type of its result.
#[derive(Clone, Debug)]
pub(crate) struct Signature {
    pub(crate) arguments: Vec<u32>,
    pub(crate) result: u32,
}

/// Finds the operator for operand types (`None` on the left = prefix operator).
pub(crate) fn operator(
    name: &str,
    left: Option<u32>,
    right: u32,
) -> Option<(&'static Operator, Signature)> {
    let mut actual: Vec<u32> = left.into_iter().chain([right]).collect();
    let candidates: Vec<&'static Operator> = builtin()
        .operators_named(name)
        .filter(|o| (o.kind == 'l') == left.is_none())
        .collect();
    let lists: Vec<Vec<u32>> = candidates
        .iter()
        .map(|o| {
            if left.is_some() {
                vec![o.left, o.right]
            } else {
                vec![o.right]
            }
        })
        .collect();
    let chosen = binary_exact(&lists, &actual).or_else(|| choose(&lists, &actual).one())?;
    let declared = &lists[chosen];
    resolve_unknown(declared, &mut actual);
    let (arguments, result) = polymorphic(declared, &actual, candidates[chosen].result)?;
    Some((candidates[chosen], Signature { arguments, result }))
}

/// One unknown operand is first assumed to be of the other's type.
fn binary_exact(lists: &[Vec<u32>], actual: &[u32]) -> Option<usize> {
    let assumed = match actual {
        [oid::UNKNOWN, t] | [t, oid::UNKNOWN] if *t != oid::UNKNOWN => base_type(*t),
        _ => return None,
    };
    lists
        .iter()
        .position(|l| l.as_slice() == [assumed, assumed])
}

fn resolve_unknown(declared: &[u32], actual: &mut [u32]) {
    for (actual, declared) in actual.iter_mut().zip(declared) {
        if *actual == oid::UNKNOWN && !is_polymorphic(*declared) {
            *actual = *declared;
        }
    }
}

/// The concrete types of polymorphic arguments and result.
fn polymorphic(declared: &[u32], actual: &[u32], result: u32) -> Option<(Vec<u32>, u32)> {
    let known = |wanted: &[u32]| -> Vec<u32> {
        declared
            .iter()
            .zip(actual)
            .filter(|(d, a)| wanted.contains(d) && **a != oid::UNKNOWN)
            .map(|(_, a)| *a)
            .collect()
    };
    let element = known(&[oid::ANYELEMENT, oid::ANYNONARRAY])
        .first()
        .copied()
        .or_else(|| {
            known(&[oid::ANYARRAY])
                .first()
                .and_then(|a| element_type(*a))
        });
    let mut compatible = known(&[ANYCOMPATIBLE, ANYCOMPATIBLENONARRAY]);
    compatible.extend(
        known(&[ANYCOMPATIBLEARRAY])
            .iter()
            .filter_map(|a| element_type(*a)),
    );
    let compatible = if compatible.is_empty() {
        None
    } else {
        common_type(&compatible)
    };
    let needs_compatible = declared.iter().any(|d| {
        matches!(
            *d,
            ANYCOMPATIBLE | ANYCOMPATIBLEARRAY | ANYCOMPATIBLENONARRAY
        )
    });
    if needs_compatible
        && compatible.is_none()
        && declared
            .iter()
            .zip(actual)
            .any(|(d, a)| matches!(*d, ANYCOMPATIBLEARRAY) && *a != oid::UNKNOWN)
    {
        return None;
    }
    let element = element.unwrap_or(oid::TEXT);
    let compatible = compatible.unwrap_or(oid::TEXT);
    let concrete = |declared: u32, actual: Option<u32>| match declared {
        oid::ANY => actual.filter(|a| *a != oid::UNKNOWN).unwrap_or(oid::TEXT),
        oid::ANYELEMENT | oid::ANYNONARRAY => element,
        oid::ANYARRAY => actual
            .filter(|a| *a != oid::UNKNOWN)
            .unwrap_or_else(|| array_type(element)),
        ANYCOMPATIBLE | ANYCOMPATIBLENONARRAY => compatible,
        ANYCOMPATIBLEARRAY => array_type(compatible),
        other => other,
    };
    let arguments = declared
        .iter()
        .zip(actual)
        .map(|(d, a)| concrete(*d, Some(*a)))
        .collect();
    Some((arguments, concrete(result, None)))
}

/// The array type over an element type; the element itself when it has none.
pub(crate) fn array_type(element: u32) -> u32 {
    match builtin().type_of(base_type(element)) {
        Some(t) if t.array != 0 => t.array,
        Some(_) => element,
        None => oid::RECORD_ARRAY,
    }
}

/// The common type of CASE, UNION, ARRAY and the like; `None` when there is none.
pub(crate) fn common_type(types: &[u32]) -> Option<u32> {
    let first_known = types.iter().copied().find(|t| *t != oid::UNKNOWN);
    let Some(first) = first_known else {
        return Some(oid::TEXT);
    };
    if types.iter().all(|t| *t == first) {
        return Some(first);
    }
    let mut chosen = base_type(first);
    for next in types
        .iter()
        .map(|t| base_type(*t))
        .filter(|t| *t != oid::UNKNOWN)
    {
        if next == chosen {
            continue;
        }
        if category(next) != category(chosen) {
            return None;
        }
        if !preferred(chosen)
            && can_coerce(chosen, next, Freedom::Implicit)
            && !can_coerce(next, chosen, Freedom::Implicit)
        {
            chosen = next;
        }
    }
    types
        .iter()
        .all(|t| can_coerce(*t, chosen, Freedom::Implicit))
        .then_some(chosen)
}

/// What keeps values from having a type in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Apart {
    /// The value at this place is of another category than those before it.
    Unmatched { at: usize, known: u32, other: u32 },
    /// It is of the same, and still does not become the type of the others.
    Unconverted { at: usize, from: u32, to: u32 },
}

/// The first of some values that keeps them from having a type in common, of which some may be of a type that is not
/// known; `None` where they may have one.
pub(crate) fn apart(types: &[Option<u32>]) -> Option<Apart> {
    let known = || {
        let known = types.iter().enumerate();
        let known = known.filter_map(|(at, ty)| Some((at, base_type((*ty)?))));
        known.filter(|(_, ty)| *ty != oid::UNKNOWN)
    };
    let (_, mut chosen) = known().next()?;
    for (at, next) in known() {
        if next == chosen {
            continue;
        }
        if category(next) != category(chosen) {
            return Some(Apart::Unmatched {
                at,
                known: chosen,
                other: next,
            });
        }
        if !preferred(chosen)
            && can_coerce(chosen, next, Freedom::Implicit)
            && !can_coerce(next, chosen, Freedom::Implicit)
        {
            chosen = next;
        }
    }
    if types.iter().any(Option::is_none) {
        return None;
    }
    let mut all = known();
    let (at, from) = all.find(|(_, ty)| !can_coerce(*ty, chosen, Freedom::Implicit))?;
    Some(Apart::Unconverted {
        at,
        from,
        to: chosen,
    })
}

/// A function with what it declares for so many arguments.
pub(crate) type Candidate<'f> = (&'f Function, Vec<u32>);

/// The overloads that take so many arguments.
fn candidates<'f>(overloads: &[&'f Function], count: usize) -> Vec<Candidate<'f>> {
    let mut candidates: Vec<Candidate<'f>> = Vec::new();
    for function in overloads {
        let declared = &function.arguments;
        if function.variadic != 0 {
            // Both spelled out and spread, over one argument at least.
            if declared.len() == count && function.variadic != oid::ANY {
                candidates.push((function, declared.clone()));
            }
            if count >= declared.len() {
                let mut spread: Vec<u32> = declared[..declared.len() - 1].to_vec();
                spread.resize(count, function.variadic);
                candidates.push((function, spread));
            }
        } else if count <= declared.len() && count + function.defaults >= declared.len() {
            candidates.push((function, declared[..count].to_vec()));
        }
    }
    candidates
}

/// Finds the overload of a function for the given arguments.
pub(crate) fn function<'f>(
    overloads: &[&'f Function],
    actual: &[u32],
) -> Option<(&'f Function, Signature)> {
    chosen(overloads, actual).0
}

/// The overload of a function for the given arguments, and how it was chosen.
pub(crate) fn chosen<'f>(
    overloads: &[&'f Function],
    actual: &[u32],
) -> (Option<(&'f Function, Signature)>, Choice) {
    let candidates = candidates(overloads, actual.len());
    let lists: Vec<Vec<u32>> = candidates.iter().map(|c| c.1.clone()).collect();
    let choice = choose(&lists, actual);
    let found = choice.one().and_then(|chosen| {
        let (function, declared) = &candidates[chosen];
        let mut actual = actual.to_vec();
        resolve_unknown(declared, &mut actual);
        let (arguments, result) = polymorphic(declared, &actual, function.result)?;
        Some((*function, Signature { arguments, result }))
    });
    (found, choice)
}

/// The overloads that take such arguments, of which some may be of a type that is not known.
pub(crate) fn fitting<'f>(
    overloads: &[&'f Function],
    actual: &[Option<u32>],
) -> Vec<Candidate<'f>> {
    let unknown = actual.iter().map(|ty| ty.unwrap_or(oid::UNKNOWN));
    let unknown: Vec<u32> = unknown.collect();
    let mut candidates = candidates(overloads, actual.len());
    candidates.retain(|(_, declared)| fits(declared, actual) && consistent(declared, &unknown));
    candidates
}

/// Whether an operator takes such operands, be there one or more that fit equally well.
pub(crate) fn has_operator(name: &str, left: u32, right: u32) -> bool {
    let actual = [left, right];
    let candidates = builtin().operators_named(name).filter(|o| o.kind != 'l');
    let lists: Vec<Vec<u32>> = candidates.map(|o| vec![o.left, o.right]).collect();
    binary_exact(&lists, &actual).is_some() || choose(&lists, &actual) != Choice::None
}

/// The types that all overloads declare alike which take these arguments, some of a type that is not known; a type that
/// stands for any is none of them.
pub(crate) fn agreed(overloads: &[&Function], actual: &[Option<u32>]) -> Vec<Option<u32>> {
    let candidates = candidates(overloads, actual.len());
    let fitting: Vec<&Vec<u32>> = candidates
        .iter()
        .map(|(_, declared)| declared)
        .filter(|declared| fits(declared, actual))
        .collect();
    let of = |at: usize| {
        let mut types = fitting.iter().filter_map(|declared| declared.get(at));
        let first = *types.next()?;
        (types.all(|ty| *ty == first) && !is_polymorphic(first)).then_some(first)
    };
    (0..actual.len()).map(of).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn operators_resolve_as_in_postgresql() {
        let chosen = |name: &str, l: u32, r: u32| {
            operator(name, Some(l), r).map(|(o, s)| (o.code.clone(), s.result))
        };
        assert_eq!(
            chosen("=", oid::OID, oid::INT4),
            Some(("oideq".to_owned(), oid::BOOL))
        );
        assert_eq!(
            chosen("=", oid::NAME, oid::UNKNOWN),
            Some(("nameeq".to_owned(), oid::BOOL))
        );
        assert_eq!(
            chosen("=", oid::CHAR, oid::UNKNOWN),
            Some(("chareq".to_owned(), oid::BOOL))
        );
        assert_eq!(
            chosen("||", oid::UNKNOWN, oid::UNKNOWN),
            Some(("textcat".to_owned(), oid::TEXT))
        );
        assert_eq!(
            chosen("||", oid::NAME, oid::UNKNOWN),
            Some(("textcat".to_owned(), oid::TEXT))
        );
        assert_eq!(
            chosen("+", oid::INT4, oid::INT8),
            Some(("int48pl".to_owned(), oid::INT8))
        );
        assert_eq!(
            chosen("=", oid::REGCLASS, oid::OID),
            Some(("oideq".to_owned(), oid::BOOL))
        );
        assert_eq!(
            chosen("=", oid::REGCLASS, oid::UNKNOWN),
            Some(("oideq".to_owned(), oid::BOOL))
        );
    }
}
