//! Ontologies: terms, the names that they go by, and who is an ancestor of whom by `is_a`.
//!
//! ```text
//! HP:0001250 Seizure ─is_a─► HP:0012638 ─is_a─► HP:0000707 ─is_a─► HP:0000118 ─is_a─► HP:0000001
//! HP:0001303 (alt_id) ──┘                         every name is known by what it means today
//! ```
//! A term is an ancestor of its own, at distance 0. A name is the id of a term, one of its alternative ids, or that of
//! an obsolete term, which means the term that replaces it; an obsolete term that nothing replaces is known and means
//! nothing. Order of input does not matter: what is made is the same.

use std::collections::BTreeMap;

/// The structure that errors of [`PackedOntology`] name.
const STRUCTURE: &str = "packed ontology";
/// Version byte of the packed form.
const VERSION: u8 = 1;
/// Meaning of a name that means nothing.
const NOTHING: u32 = u32::MAX;

/// What a file says of one term.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Term {
    /// The id.
    pub id: String,
    /// Other ids that mean this term.
    pub alt_ids: Vec<String>,
    /// Ids of the terms that it is a kind of.
    pub parents: Vec<String>,
    /// Whether the term is no longer used.
    pub is_obsolete: bool,
    /// The id of the term that takes its place, of an obsolete one.
    pub replaced_by: Option<String>,
}

/// Why terms are no ontology; `term` is the place of the term among those given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OntologyError {
    /// An id that two terms have.
    #[error("the id \"{id}\" belongs to another term already")]
    Twice {
        /// The later term.
        term: usize,
        /// The id.
        id: String,
    },
    /// A term that is a kind of a term that is not there.
    #[error("is_a \"{parent}\" names no term of the file that is in use")]
    UnknownParent {
        /// The term.
        term: usize,
        /// The parent.
        parent: String,
    },
    /// A term that is among its own ancestors.
    #[error("the term is an ancestor of its own")]
    Circle {
        /// A term of the circle.
        term: usize,
    },
    /// More terms or ancestors than 32 bits count.
    #[error("the ontology is larger than 4 GiB")]
    TooLarge,
}

/// An ancestor of a term.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ancestor {
    /// Place of the ancestor in [`Ontology::ids`].
    pub place: u32,
    /// Steps of `is_a` on the shortest way to it; 0 for the term itself.
    pub distance: u32,
}

/// Terms in use, in the order of their ids, with their ancestors, and every name.
#[derive(Debug, Clone, Default)]
pub struct Ontology {
    ids: Vec<String>,
    ancestors: Vec<Vec<Ancestor>>,
    names: BTreeMap<String, Option<u32>>,
}

impl Ontology {
    /// Makes an ontology of its terms.
    ///
    /// An obsolete term whose replacement is not known, or in a circle, means nothing. Where an alternative id is that
    /// of an obsolete term too, the term in use that has it wins.
    ///
    /// # Errors
    /// [`OntologyError`] with the place of the term.
    pub fn build(terms: &[Term]) -> Result<Self, OntologyError> {
        let mut made = Self::default();
        let mut live: Vec<usize> = (0..terms.len())
            .filter(|&at| !terms[at].is_obsolete)
            .collect();
        live.sort_by(|&a, &b| terms[a].id.cmp(&terms[b].id));
        for (place, &at) in (0_u32..).zip(&live) {
            let id = &terms[at].id;
            made.ids.push(id.clone());
            if made.names.insert(id.clone(), Some(place)).is_some() {
                return Err(twice(at, id));
            }
        }
        for (place, &at) in (0_u32..).zip(&live) {
            for alt in &terms[at].alt_ids {
                let known = made.names.insert(alt.clone(), Some(place));
                if known.is_some_and(|known| known != Some(place)) {
                    return Err(twice(at, alt));
                }
            }
        }
        made.add_obsolete(terms)?;
        made.ancestors = ancestors(terms, &live, &made.ids)?;
        Ok(made)
    }

    fn add_obsolete(&mut self, terms: &[Term]) -> Result<(), OntologyError> {
        let obsolete: Vec<(usize, &Term)> = terms
            .iter()
            .enumerate()
            .filter(|(_, term)| term.is_obsolete)
            .collect();
        let mut next: BTreeMap<&str, Option<&str>> = BTreeMap::new();
        for (at, term) in &obsolete {
            let is_id = self.ids.binary_search(&term.id).is_ok();
            let replaced = term.replaced_by.as_deref();
            if is_id || next.insert(&term.id, replaced).is_some() {
                return Err(twice(*at, &term.id));
            }
        }
        for (_, term) in &obsolete {
            let mut meaning = self.names.get(&term.id).copied();
            let mut at = term.id.as_str();
            // As many steps as there are obsolete terms: whoever walks longer walks in a circle.
            for _ in 0..=next.len() {
                match (meaning, next.get(at).copied().flatten()) {
                    (Some(Some(_)), _) | (_, None) => break,
                    (_, Some(replacement)) => at = replacement,
                }
                meaning = self.names.get(at).copied();
            }
            self.names.insert(term.id.clone(), meaning.flatten());
        }
        for (_, term) in &obsolete {
            for alt in &term.alt_ids {
                let meaning = self.names.get(&term.id).copied().flatten();
                self.names.entry(alt.clone()).or_insert(meaning);
            }
        }
        Ok(())
    }

    /// Ids of the terms in use, ascending.
    #[must_use]
    pub fn ids(&self) -> &[String] {
        &self.ids
    }

    /// Ancestors of the term at a place, itself among them, by place.
    #[must_use]
    pub fn ancestors(&self, place: u32) -> &[Ancestor] {
        let of = self.ancestors.get(place as usize);
        of.map_or(&[], Vec::as_slice)
    }

    /// Every name, ascending, with the place of the term that it means; `None`: obsolete without replacement.
    pub fn names(&self) -> impl Iterator<Item = (&str, Option<u32>)> {
        self.names
            .iter()
            .map(|(name, place)| (name.as_str(), *place))
    }

    /// What a name means: `None` when it is not known, `Some(None)` when it means nothing any more.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<Option<u32>> {
        self.names.get(name).copied()
    }

    /// The packed form, which [`PackedOntology`] reads. It is made for one statement and never stored.
    ///
    /// ```text
    /// version u8 | n_names u32 | n_terms u32 | ends of names u32 x n_names | meanings u32 x n_names
    /// | ends of ancestors u32 x n_terms | ancestors u32 …, ascending in each term | names
    /// ```
    ///
    /// # Errors
    /// [`OntologyError::TooLarge`].
    pub fn pack(&self) -> Result<Vec<u8>, OntologyError> {
        let small = |n: usize| u32::try_from(n).map_err(|_| OntologyError::TooLarge);
        let mut bytes = vec![VERSION];
        let mut put = |n: u32| bytes.extend_from_slice(&n.to_le_bytes());
        put(small(self.names.len())?);
        put(small(self.ids.len())?);
        let mut end = 0;
        for name in self.names.keys() {
            end += name.len();
            put(small(end)?);
        }
        for meaning in self.names.values() {
            put(meaning.unwrap_or(NOTHING));
        }
        let mut end = 0;
        for of in &self.ancestors {
            end += of.len();
            put(small(end)?);
        }
        for ancestor in self.ancestors.iter().flatten() {
            put(ancestor.place);
        }
        for name in self.names.keys() {
            bytes.extend_from_slice(name.as_bytes());
        }
        Ok(bytes)
    }
}

fn twice(term: usize, id: &str) -> OntologyError {
    let id = id.to_owned();
    OntologyError::Twice { term, id }
}

/// Ancestors of every term in use, parents before children.
fn ancestors(
    terms: &[Term],
    live: &[usize],
    ids: &[String],
) -> Result<Vec<Vec<Ancestor>>, OntologyError> {
    let mut parents: Vec<Vec<u32>> = Vec::with_capacity(live.len());
    for &at in live {
        let place = |parent: &String| {
            let found = ids.binary_search(parent).ok();
            let found = found.and_then(|place| u32::try_from(place).ok());
            found.ok_or_else(|| OntologyError::UnknownParent {
                term: at,
                parent: parent.clone(),
            })
        };
        let of: Result<Vec<u32>, _> = terms[at].parents.iter().map(place).collect();
        parents.push(of?);
    }
    let mut made: Vec<Option<Vec<Ancestor>>> = vec![None; live.len()];
    let mut on_the_way = vec![false; live.len()];
    for start in 0..live.len() {
        let mut way = vec![start];
        while let Some(&at) = way.last() {
            let missing = parents[at].iter().map(|&parent| parent as usize);
            let missing = missing.filter(|&parent| made[parent].is_none());
            let missing: Vec<usize> = missing.collect();
            if made[at].is_none() && !missing.is_empty() {
                if on_the_way[at] {
                    return Err(OntologyError::Circle { term: live[at] });
                }
                on_the_way[at] = true;
                way.extend(missing);
                continue;
            }
            way.pop();
            if made[at].is_none() {
                made[at] = Some(joined(at, &parents[at], &made));
            }
        }
    }
    Ok(made.into_iter().flatten().collect())
}

/// The term itself and what its parents have, one step further away.
fn joined(at: usize, parents: &[u32], made: &[Option<Vec<Ancestor>>]) -> Vec<Ancestor> {
    let mut nearest: BTreeMap<u32, u32> = BTreeMap::new();
    if let Ok(place) = u32::try_from(at) {
        nearest.insert(place, 0);
    }
    let of_parents = parents.iter().filter_map(|&p| made[p as usize].as_ref());
    for ancestor in of_parents.flatten() {
        let distance = ancestor.distance + 1;
        let known = nearest.entry(ancestor.place).or_insert(distance);
        *known = distance.min(*known);
    }
    let ancestor = |(place, distance)| Ancestor { place, distance };
    nearest.into_iter().map(ancestor).collect()
}

/// The packed form of an [`Ontology`], read where it lies.
#[derive(Debug, Clone, Copy)]
pub struct PackedOntology<'a> {
    name_ends: &'a [u8],
    meanings: &'a [u8],
    ancestor_ends: &'a [u8],
    ancestors: &'a [u8],
    names: &'a str,
}

/// What a name means in a [`PackedOntology`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// The term at this place.
    Term(u32),
    /// A term that is no longer used and that nothing replaces.
    Nothing,
}

impl<'a> PackedOntology<'a> {
    /// Looks at the packed form.
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt) for bytes that are none.
    pub fn open(bytes: &'a [u8]) -> crate::Result<Self> {
        let fault = || crate::Error::corrupt(STRUCTURE, "its parts do not fit");
        let (&version, mut rest) = bytes.split_first().ok_or_else(fault)?;
        if version != VERSION {
            return Err(crate::Error::corrupt(STRUCTURE, "unknown version"));
        }
        let mut take = |n: usize| {
            let length = n.checked_mul(4)?;
            let (taken, left) = rest.split_at_checked(length)?;
            rest = left;
            Some(taken)
        };
        let mut parts = || {
            let counts = take(2)?;
            let n_names = number(counts, 0)? as usize;
            let n_terms = number(counts, 1)? as usize;
            let (name_ends, meanings) = (take(n_names)?, take(n_names)?);
            let ancestor_ends = take(n_terms)?;
            let ancestors =
                take(number(ancestor_ends, n_terms.wrapping_sub(1)).unwrap_or(0) as usize)?;
            Some((name_ends, meanings, ancestor_ends, ancestors))
        };
        let (name_ends, meanings, ancestor_ends, ancestors) = parts().ok_or_else(fault)?;
        let names = std::str::from_utf8(rest).map_err(|_| fault())?;
        Ok(Self {
            name_ends,
            meanings,
            ancestor_ends,
            ancestors,
            names,
        })
    }

    /// Number of names.
    fn len(&self) -> usize {
        self.meanings.len() / 4
    }

    fn name(&self, at: usize) -> Option<&'a str> {
        let start = match at {
            0 => 0,
            at => number(self.name_ends, at - 1)? as usize,
        };
        self.names.get(start..number(self.name_ends, at)? as usize)
    }

    /// What a name means; `None` when it is not known.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<Meaning> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match self.name(middle)?.cmp(name) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => {
                    return Some(match number(self.meanings, middle)? {
                        NOTHING => Meaning::Nothing,
                        place => Meaning::Term(place),
                    });
                }
            }
        }
        None
    }

    /// Whether `ancestor` is the term or an ancestor of it.
    #[must_use]
    pub fn is_a(&self, term: u32, ancestor: u32) -> bool {
        let range = || {
            let start = match term {
                0 => 0,
                term => number(self.ancestor_ends, term as usize - 1)?,
            };
            Some((
                start as usize,
                number(self.ancestor_ends, term as usize)? as usize,
            ))
        };
        let Some((mut low, mut high)) = range() else {
            return false;
        };
        while low < high {
            let middle = low + (high - low) / 2;
            match number(self.ancestors, middle).map(|found| found.cmp(&ancestor)) {
                Some(std::cmp::Ordering::Less) => low = middle + 1,
                Some(std::cmp::Ordering::Greater) => high = middle,
                Some(std::cmp::Ordering::Equal) => return true,
                None => return false,
            }
        }
        false
    }

    /// Every name, ascending.
    pub fn names(&self) -> impl Iterator<Item = &'a str> + '_ {
        (0..self.len()).filter_map(|at| self.name(at))
    }
}

/// The number at a place of packed ones.
fn number(bytes: &[u8], place: usize) -> Option<u32> {
    let start = place.checked_mul(4)?;
    let four = bytes.get(start..start.checked_add(4)?)?;
    four.try_into().ok().map(u32::from_le_bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn term(id: &str, parents: &[&str]) -> Term {
        let parents = parents.iter().map(|p| (*p).to_owned()).collect();
        let id = id.to_owned();
        Term {
            id,
            parents,
            ..Term::default()
        }
    }

    fn obsolete(id: &str, replaced_by: Option<&str>) -> Term {
        Term {
            is_obsolete: true,
            replaced_by: replaced_by.map(str::to_owned),
            ..term(id, &[])
        }
    }

    /// A diamond with a short cut, an alternative id and obsolete terms.
    fn diamond() -> Vec<Term> {
        let mut bottom = term("D", &["B", "C"]);
        bottom.alt_ids = vec!["D2".to_owned()];
        vec![
            bottom,
            term("B", &["A"]),
            term("C", &["B", "A"]),
            term("A", &[]),
            obsolete("O1", Some("O2")),
            obsolete("O2", Some("D2")),
            obsolete("O3", None),
            obsolete("P1", Some("P2")),
            obsolete("P2", Some("P1")),
            obsolete("Q", Some("elsewhere")),
        ]
    }

    #[test]
    fn the_shortest_way_counts() {
        let made = Ontology::build(&diamond()).unwrap();
        let of = |id: &str| {
            let place = made.find(id).unwrap().unwrap();
            let of = made.ancestors(place).iter();
            of.map(|a| (made.ids()[a.place as usize].as_str(), a.distance))
                .collect::<Vec<_>>()
        };
        assert_eq!(of("D"), [("A", 2), ("B", 1), ("C", 1), ("D", 0)]);
        assert_eq!(of("C"), [("A", 1), ("B", 1), ("C", 0)]);
        assert_eq!(of("O1"), of("D"));
    }

    #[test]
    fn names_mean_what_stands_in_their_place_today() {
        let made = Ontology::build(&diamond()).unwrap();
        let bytes = made.pack().unwrap();
        let packed = PackedOntology::open(&bytes).unwrap();
        let d = packed.find("D").unwrap();
        for name in ["D2", "O1", "O2"] {
            assert_eq!(packed.find(name), Some(d), "{name}");
        }
        for name in ["O3", "P1", "P2", "Q"] {
            assert_eq!(packed.find(name), Some(Meaning::Nothing), "{name}");
        }
        assert_eq!(packed.find("elsewhere"), None);
        assert_eq!(packed.names().count(), 11);
    }

    #[test]
    fn what_is_no_ontology_is_refused_with_the_term() {
        let fault = |terms: &[Term]| Ontology::build(terms).unwrap_err();
        let id = || "A".to_owned();
        assert_eq!(
            fault(&[term("A", &[]), term("A", &[])]),
            OntologyError::Twice { term: 1, id: id() }
        );
        assert_eq!(
            fault(&[term("A", &[]), obsolete("A", None)]),
            OntologyError::Twice { term: 1, id: id() }
        );
        let mut other = term("B", &[]);
        other.alt_ids = vec![id()];
        assert_eq!(
            fault(&[other, term("A", &[])]),
            OntologyError::Twice { term: 0, id: id() }
        );
        assert_eq!(
            fault(&[term("A", &["X"])]),
            OntologyError::UnknownParent {
                term: 0,
                parent: "X".to_owned()
            }
        );
        let circle = [term("A", &["B"]), term("B", &["C"]), term("C", &["B"])];
        assert!(matches!(
            fault(&circle),
            OntologyError::Circle { term: 1 | 2 }
        ));
    }

    #[test]
    fn bytes_that_are_no_ontology_are_refused() {
        let bytes = Ontology::build(&diamond()).unwrap().pack().unwrap();
        for cut in [0, 1, 5, 9, 30] {
            assert!(PackedOntology::open(&bytes[..cut]).is_err(), "{cut}");
        }
        assert!(PackedOntology::open(&[9; 40]).is_err());
        let empty = Ontology::default().pack().unwrap();
        assert_eq!(PackedOntology::open(&empty).unwrap().find("A"), None);
    }

    proptest! {
        /// Random graphs without circles: the packed form says what walking up says.
        #[test]
        fn packed_is_a_equals_walking_up(edges in prop::collection::vec((1_usize..30, 0_usize..30), 0..80)) {
            let name = |n: usize| format!("T{n:02}");
            let mut terms: Vec<Term> = (0..30).map(|n| term(&name(n), &[])).collect();
            for (child, parent) in edges {
                if parent < child {
                    terms[child].parents.push(name(parent));
                }
            }
            let made = Ontology::build(&terms).unwrap();
            let bytes = made.pack().unwrap();
            let packed = PackedOntology::open(&bytes).unwrap();
            for child in 0..30 {
                let mut above = vec![child];
                let mut seen = std::collections::BTreeSet::new();
                while let Some(at) = above.pop() {
                    if seen.insert(at) {
                        let parents = terms[at].parents.iter();
                        above.extend(parents.map(|p| p[1..].parse::<usize>().unwrap()));
                    }
                }
                for other in 0..30 {
                    let place = |n: usize| match packed.find(&name(n)) {
                        Some(Meaning::Term(place)) => place,
                        _ => u32::MAX,
                    };
                    prop_assert_eq!(packed.is_a(place(child), place(other)), seen.contains(&other));
                }
            }
        }
    }
}
