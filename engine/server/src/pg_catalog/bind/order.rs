//! The order in which inner joins take their tables.
//!
//! Drivers list tables as they come to mind (`FROM pg_attribute ta, pg_attribute ia, pg_class tc, … WHERE tc.relname =
//! 'x' AND …`). Taken in that order, the first two make millions of pairs. Here a table that a condition narrows by
//! itself comes first, then whatever an index can look up from the tables before it, then what can be hashed.

use std::mem;

use super::from::{as_probe, equality, joined, movable, own_slots, push, within};
use crate::pg_catalog::plan::{Expr, JoinKind, Kind, Reference, Rel, Source, references};
use crate::pg_types::oid;

/// The same relation with its inner joins in a better order.
pub(super) fn ordered(rel: Rel) -> Rel {
    let Rel::Join(mut join) = rel else {
        return rel;
    };
    if join.kind != JoinKind::Inner || !reorderable(&Rel::Join(join.clone())) {
        join.left = ordered(mem::replace(&mut join.left, Rel::Unit));
        join.right = ordered(mem::replace(&mut join.right, Rel::Unit));
        return Rel::Join(join);
    }
    let (mut leaves, mut conditions) = (Vec::new(), Vec::new());
    take_apart(Rel::Join(join), &mut leaves, &mut conditions);
    put_together(leaves, conditions)
}

/// Whether all leaves can be read in any order and all conditions be asked anywhere.
fn reorderable(rel: &Rel) -> bool {
    match rel {
        Rel::Unit => false,
        Rel::Scan(scan) => {
            let free = match &scan.source {
                Source::Table(_) => true,
                source => !scan.lateral && !reads_siblings(source),
            };
            free && scan.filters.iter().all(movable)
        }
        Rel::Join(join) if join.kind == JoinKind::Inner => {
            let mut conditions = join.on.iter().chain(&join.filters);
            conditions.all(movable) && reorderable(&join.left) && reorderable(&join.right)
        }
        // An outer join is one leaf, if nothing in it looks at the tables around it.
        Rel::Join(join) => !join.lateral && is_closed(rel),
    }
}

fn reads_siblings(source: &Source) -> bool {
    let mut reads = false;
    crate::pg_catalog::plan::source_references(
        source,
        0,
        &mut |Reference { depth, slot, .. }| {
            reads |= depth == 0 && slot.is_some();
        },
    );
    reads
}

/// Whether an outer join reads none but its own tables.
fn is_closed(rel: &Rel) -> bool {
    let mut own = Vec::new();
    rel.slots(&mut own);
    let mut closed = true;
    crate::pg_catalog::plan::rel_references(rel, 0, &mut |Reference { depth, slot, .. }| {
        closed &= depth != 0 || slot.is_none_or(|slot| own.contains(&slot));
    });
    closed
}

fn take_apart(rel: Rel, leaves: &mut Vec<Rel>, conditions: &mut Vec<Expr>) {
    match rel {
        Rel::Join(join) if join.kind == JoinKind::Inner => {
            let join = *join;
            take_apart(join.left, leaves, conditions);
            take_apart(join.right, leaves, conditions);
            conditions.extend(join.on);
            conditions.extend(join.filters);
            conditions.extend(join.hash.map(|(left, right)| {
                let (name, args) = ("=".to_owned(), vec![left, right]);
                Expr::new(Kind::Operator { name, args }, oid::BOOL)
            }));
        }
        Rel::Scan(mut scan) => {
            conditions.append(&mut scan.filters);
            conditions.extend(scan.probed.take());
            if scan.probe.take().is_some() {
                scan.lateral = false;
            }
            leaves.push(Rel::Scan(scan));
        }
        outer => leaves.push(ordered(outer)),
    }
}

fn put_together(mut leaves: Vec<Rel>, mut conditions: Vec<Expr>) -> Rel {
    let mut rel = take_leaf(&mut leaves, &[], &conditions);
    for condition in take_within(&rel, &mut conditions) {
        push(&mut rel, condition);
    }
    while !leaves.is_empty() {
        let mut placed = Vec::new();
        rel.slots(&mut placed);
        let leaf = take_leaf(&mut leaves, &placed, &conditions);
        let mut slots = placed;
        leaf.slots(&mut slots);
        let (now, later) = mem::take(&mut conditions)
            .into_iter()
            .partition(|condition| own_slots(condition).iter().all(|slot| slots.contains(slot)));
        conditions = later;
        rel = joined(rel, leaf, JoinKind::Inner, now);
    }
    rel
}

/// Conditions that a relation alone can answer.
fn take_within(rel: &Rel, conditions: &mut Vec<Expr>) -> Vec<Expr> {
    let all = mem::take(conditions).into_iter();
    let (now, later) = all.partition(|condition| within(&own_slots(condition), rel));
    *conditions = later;
    now
}

/// Takes the leaf to join next: the first of the best kind.
fn take_leaf(leaves: &mut Vec<Rel>, placed: &[usize], conditions: &[Expr]) -> Rel {
    let best = (0..leaves.len()).min_by_key(|at| rank(&leaves[*at], placed, conditions));
    leaves.remove(best.unwrap_or(0))
}

/// 0: an index answers with what is known; 1: hashed by what is known; 2: all pairs.
fn rank(leaf: &Rel, placed: &[usize], conditions: &[Expr]) -> u8 {
    let known = |value: &Expr| {
        let mut known = true;
        references(value, 0, &mut |Reference { depth, slot, .. }| {
            known &= depth > 0 || slot.is_none_or(|slot| placed.contains(&slot));
        });
        known
    };
    if let Rel::Scan(scan) = leaf
        && matches!(scan.source, Source::Table(_))
        && conditions
            .iter()
            .filter_map(|condition| as_probe(condition, scan.slot))
            .any(|(_, value)| known(&value))
    {
        return 0;
    }
    let hashed = conditions.iter().filter_map(equality).any(|(a, b)| {
        let (a_slots, b_slots) = (own_slots(a), own_slots(b));
        let meets = |mine: &[usize], other: &[usize]| {
            !mine.is_empty()
                && within(mine, leaf)
                && !other.is_empty()
                && other.iter().all(|slot| placed.contains(slot))
        };
        meets(&a_slots, &b_slots) || meets(&b_slots, &a_slots)
    });
    if hashed { 1 } else { 2 }
}
