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

/// Chooses among candidate argument lists; `None` when none fits or several fit equally well.
pub(crate) fn choose(candidates: &[Vec<u32>], actual: &[u32]) -> Option<usize> {
    let actual_base: Vec<u32> = actual.iter().map(|t| base_type(*t)).collect();
    if let Some(exact) = candidates.iter().position(|c| c.as_slice() == actual) {
        return Some(exact);
    }
    let mut left: Vec<usize> = (0..candidates.len())
        .filter(|i| {
            candidates[*i].len() == actual.len()
                && candidates[*i]
                    .iter()
                    .zip(actual)
                    .all(|(to, from)| can_coerce(*from, *to, Freedom::Implicit))
                && consistent(&candidates[*i], actual)
        })
        .collect();
    if left.len() <= 1 {
        return left.first().copied();
    }
    keep_best(&mut left, |i| {
        let hits = candidates[i]
            .iter()
            .zip(&actual_base)
            .filter(|(to, from)| to == from && **from != oid::UNKNOWN)
            .count();
        // Polymorphic arguments match less well than the type itself.
        hits
    });
    if left.len() == 1 {
        return left.first().copied();
    }
    keep_best(&mut left, |i| {
        candidates[i]
            .iter()
            .zip(&actual_base)
            .filter(|(to, from)| {
                **from != oid::UNKNOWN
                    && (to == from || (preferred(**to) && category(**to) == category(**from)))
            })
            .count()
    });
    if left.len() == 1 {
        return left.first().copied();
    }
    choose_for_unknown(candidates, actual, &actual_base, left)
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

fn choose_for_unknown(
    candidates: &[Vec<u32>],
    actual: &[u32],
    actual_base: &[u32],
    mut left: Vec<usize>,
) -> Option<usize> {
    let unknown: Vec<usize> = (0..actual.len())
        .filter(|i| actual[*i] == oid::UNKNOWN)
        .collect();
    if unknown.is_empty() {
        return None;
    }
    for position in &unknown {
        let categories: Vec<char> = left
            .iter()
            .map(|i| category(candidates[*i][*position]))
            .collect();
        let wanted = if categories.contains(&'S') {
            'S'
        } else if categories.windows(2).all(|w| w[0] == w[1]) {
            categories.first().copied()?
        } else {
            continue;
        };
        let mut kept: Vec<usize> = left
            .iter()
            .copied()
            .filter(|i| category(candidates[*i][*position]) == wanted)
            .collect();
        let best: Vec<usize> = kept
            .iter()
            .copied()
            .filter(|i| preferred(candidates[*i][*position]))
            .collect();
        if !best.is_empty() {
            kept = best;
        }
        left = kept;
    }
    if left.len() == 1 {
        return left.first().copied();
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
    if fitting.len() == 1 {
        fitting.first().copied()
    } else {
        None
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
    let chosen = binary_exact(&lists, &actual).or_else(|| choose(&lists, &actual))?;
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

/// Finds the overload of a function for the given arguments.
pub(crate) fn function<'f>(
    overloads: &[&'f Function],
    actual: &[u32],
) -> Option<(&'f Function, Signature)> {
    let mut candidates: Vec<(&'f Function, Vec<u32>)> = Vec::new();
    for function in overloads {
        let declared = &function.arguments;
        if function.variadic != 0 && actual.len() + 1 >= declared.len() {
            // Both spelled out and spread.
            if declared.len() == actual.len() && function.variadic != oid::ANY {
                candidates.push((function, declared.clone()));
            }
            let mut spread: Vec<u32> = declared[..declared.len() - 1].to_vec();
            if actual.len() >= declared.len() || function.variadic == oid::ANY {
                let element = if function.variadic == oid::ANY {
                    oid::ANY
                } else {
                    function.variadic
                };
                spread.resize(actual.len().max(spread.len()), element);
                candidates.push((function, spread));
            }
        } else if actual.len() <= declared.len()
            && actual.len() + function.defaults >= declared.len()
        {
            candidates.push((function, declared[..actual.len()].to_vec()));
        }
    }
    let lists: Vec<Vec<u32>> = candidates.iter().map(|c| c.1.clone()).collect();
    let chosen = choose(&lists, actual)?;
    let (function, declared) = &candidates[chosen];
    let mut actual = actual.to_vec();
    resolve_unknown(declared, &mut actual);
    let (arguments, result) = polymorphic(declared, &actual, function.result)?;
    Some((function, Signature { arguments, result }))
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
