//! The sites of one locus: positions, alleles, and which founder haplotypes carry them.

use crate::coalescent::Tree;
use crate::cohort::{Cohort, DeNovo};
use crate::genes::Gene;
use crate::known::KNOWN;
use crate::random::Random;
use crate::reference::{BASES, base, bases};

/// Sites that share one tree.
const STRETCH: usize = 20;
/// One founder haplotype in so many changes its neighbours from stretch to stretch.
const LEAVES_PER_SWAP: usize = 16;
/// Room kept free around a published or planted variant, in bases.
const MARGIN: i32 = 60;

/// One VCF record before anybody's genotype is looked up.
pub(crate) struct Site {
    pub(crate) pos: i32,
    pub(crate) id: &'static str,
    pub(crate) reference: String,
    pub(crate) alternates: Vec<String>,
    /// (founder haplotype, allele number); a founder not named has allele 0, the last entry wins.
    pub(crate) carriers: Vec<(u32, u8)>,
    /// (person, haplotype) with allele 1 that no parent has.
    pub(crate) de_novo: Vec<(usize, usize)>,
}

enum Plan<'a> {
    Known(usize),
    DeNovo(&'a DeNovo),
    Simulated,
}

/// Calls `visit` for every site of the locus, by position.
pub(crate) fn for_each_site<E>(
    cohort: &Cohort,
    gene: &Gene,
    simulated: usize,
    random: &mut Random,
    mut visit: impl FnMut(Site) -> Result<(), E>,
) -> Result<(), E> {
    let plan = plan(cohort, gene, simulated, random);
    let mut tree = Tree::new(cohort.founder_haplotypes(), random);
    let mut in_stretch = 0;
    for (index, (pos, kind)) in plan.iter().enumerate() {
        match kind {
            Plan::Known(known) => visit(known_site(cohort, *known))?,
            Plan::DeNovo(de_novo) => visit(de_novo_site(de_novo))?,
            Plan::Simulated => {
                if in_stretch == STRETCH {
                    tree = tree.step(LEAVES_PER_SWAP, random);
                    in_stretch = 0;
                }
                in_stretch += 1;
                let gap = plan.get(index + 1).map_or(MARGIN, |next| next.0 - pos);
                for site in simulated_sites(gene.contig, *pos, gap, &tree, random) {
                    visit(site)?;
                }
            }
        }
    }
    Ok(())
}

fn plan<'a>(
    cohort: &'a Cohort,
    gene: &Gene,
    simulated: usize,
    random: &mut Random,
) -> Vec<(i32, Plan<'a>)> {
    let inside =
        |contig: &str, pos: i32| contig == gene.contig && (gene.start..=gene.end).contains(&pos);
    let mut plan: Vec<(i32, Plan<'a>)> = Vec::with_capacity(simulated + 8);
    for (index, known) in KNOWN.iter().enumerate() {
        if inside(known.contig, known.pos) {
            plan.push((known.pos, Plan::Known(index)));
        }
    }
    for de_novo in cohort.de_novos() {
        if de_novo.known.is_none() && inside(de_novo.contig, de_novo.pos) {
            plan.push((de_novo.pos, Plan::DeNovo(de_novo)));
        }
    }
    let taken: Vec<i32> = plan.iter().map(|(pos, _)| *pos).collect();
    let free = |pos: i32| taken.iter().all(|other| (other - pos).abs() > MARGIN);
    plan.extend(
        positions(gene, simulated, random)
            .into_iter()
            .filter(|pos| free(*pos))
            .map(|pos| (pos, Plan::Simulated)),
    );
    plan.sort_by_key(|(pos, _)| *pos);
    plan
}

/// Distinct positions of the gene, ascending.
fn positions(gene: &Gene, count: usize, random: &mut Random) -> Vec<i32> {
    let width = usize::try_from(gene.end - gene.start + 1).unwrap_or(0);
    let mut positions: Vec<i32> = (0..count)
        .map(|_| gene.start + i32::try_from(random.below(width)).unwrap_or(0))
        .collect();
    positions.sort_unstable();
    positions.dedup();
    positions
}

fn known_site(cohort: &Cohort, index: usize) -> Site {
    let known = &KNOWN[index];
    let de_novo = cohort.de_novos().iter().filter(|d| d.known == Some(index));
    Site {
        pos: known.pos,
        id: known.rsid,
        reference: known.reference.to_owned(),
        alternates: vec![known.alternate.to_owned()],
        carriers: cohort
            .known_carriers(index)
            .iter()
            .map(|founder| (*founder, 1))
            .collect(),
        de_novo: de_novo.map(|d| (d.person, d.haplotype)).collect(),
    }
}

fn de_novo_site(de_novo: &DeNovo) -> Site {
    Site {
        pos: de_novo.pos,
        id: ".",
        reference: de_novo.reference.clone(),
        alternates: vec![de_novo.alternate.clone()],
        carriers: Vec::new(),
        de_novo: vec![(de_novo.person, de_novo.haplotype)],
    }
}

/// A substitution for `reference`.
pub(crate) fn other_base(reference: char, random: &mut Random) -> char {
    let first = random.below(4);
    let pick = BASES[first];
    if pick == reference {
        BASES[(first + 1) % 4]
    } else {
        pick
    }
}

/// One site, or a deletion and the site inside it where its carriers show `*`.
fn simulated_sites(
    contig: &str,
    pos: i32,
    gap: i32,
    tree: &Tree,
    random: &mut Random,
) -> Vec<Site> {
    let longest = (gap - 2).clamp(0, 12);
    match random.below(100) {
        0..6 if longest > 0 => deletion(contig, pos, longest, tree, random),
        6..10 => vec![insertion(contig, pos, tree, random)],
        10..12 => vec![two_alternates(contig, pos, tree, random)],
        _ => vec![substitution(contig, pos, tree, random)],
    }
}

fn substitution(contig: &str, pos: i32, tree: &Tree, random: &mut Random) -> Site {
    let reference = base(contig, pos);
    let alternate = other_base(reference, random).to_string();
    site(
        pos,
        reference.to_string(),
        vec![alternate],
        carriers(tree, 1, random),
    )
}

fn two_alternates(contig: &str, pos: i32, tree: &Tree, random: &mut Random) -> Site {
    let mut both = substitution(contig, pos, tree, random);
    let used = [both.reference.clone(), both.alternates[0].clone()];
    let free = BASES
        .iter()
        .map(char::to_string)
        .find(|base| !used.contains(base));
    both.alternates.extend(free);
    both.carriers.extend(carriers(tree, 2, random));
    both
}

fn insertion(contig: &str, pos: i32, tree: &Tree, random: &mut Random) -> Site {
    let anchor = base(contig, pos);
    let mut alternate = anchor.to_string();
    for _ in 0..random.below(5) {
        alternate.push(BASES[random.below(4)]);
    }
    // The last inserted base differs from the anchor, so the insertion cannot move to the left.
    alternate.push(other_base(anchor, random));
    site(
        pos,
        anchor.to_string(),
        vec![alternate],
        carriers(tree, 1, random),
    )
}

fn deletion(contig: &str, pos: i32, longest: i32, tree: &Tree, random: &mut Random) -> Vec<Site> {
    let choices = usize::try_from(longest).unwrap_or(1);
    let deleted = 1 + i32::try_from(random.below(choices)).unwrap_or(0);
    let reference = bases(contig, pos, pos + deleted);
    let anchor = base(contig, pos);
    if reference.ends_with(anchor) {
        // It could move to the left: keep the site left-aligned by making it a substitution.
        return vec![substitution(contig, pos, tree, random)];
    }
    let mut first = site(
        pos,
        reference,
        vec![anchor.to_string()],
        carriers(tree, 1, random),
    );
    if random.chance(0.1) {
        // A substitution of the anchor base in the same record, padded as joint callers write it.
        let padded = format!("{}{}", other_base(anchor, random), &first.reference[1..]);
        first.alternates.push(padded);
        first.carriers.extend(carriers(tree, 2, random));
        return vec![first];
    }
    if !random.chance(0.4) {
        return vec![first];
    }
    let mut spanned = substitution(contig, pos + 1, tree, random);
    spanned.alternates.push("*".to_owned());
    spanned
        .carriers
        .extend(first.carriers.iter().map(|(founder, _)| (*founder, 2)));
    vec![first, spanned]
}

fn carriers(tree: &Tree, allele: u8, random: &mut Random) -> Vec<(u32, u8)> {
    tree.mutation(random)
        .iter()
        .map(|founder| (*founder, allele))
        .collect()
}

fn site(pos: i32, reference: String, alternates: Vec<String>, carriers: Vec<(u32, u8)>) -> Site {
    Site {
        pos,
        id: ".",
        reference,
        alternates,
        carriers,
        de_novo: Vec::new(),
    }
}
