//! The names of assemblies as headers, paths and archives write them.

use super::Assembly;

/// Names that stand for one assembly wherever they occur, in lower case: no digit follows, whatever is before.
const NAMES: [(&str, Assembly); 7] = [
    ("grch37", Assembly::GRCh37),
    ("hg19", Assembly::GRCh37),
    ("g1k_v37", Assembly::GRCh37),
    ("hs37d5", Assembly::GRCh37),
    ("grch38", Assembly::GRCh38),
    ("hg38", Assembly::GRCh38),
    ("chm13", Assembly::Chm13),
];

/// Short names, which stand for an assembly as words of their own only.
const WORDS: [(&str, Assembly); 9] = [
    ("b37", Assembly::GRCh37),
    ("hs37", Assembly::GRCh37),
    ("assembly19", Assembly::GRCh37),
    ("37", Assembly::GRCh37),
    ("b38", Assembly::GRCh38),
    ("hs38", Assembly::GRCh38),
    ("hs38dh", Assembly::GRCh38),
    ("assembly38", Assembly::GRCh38),
    ("38", Assembly::GRCh38),
];

/// Accessions of the human assemblies, without the version, in lower case.
const GENBANK: &str = "gca_000001405.";
const REFSEQ: &str = "gcf_000001405.";
const CHM13: [&str; 2] = ["gca_009914755.", "gcf_009914755."];

/// The assembly that a text names: the only one of which it holds a name. `/ref/hs37d5.fa.gz`, `GCA_000001405.15`.
pub(super) fn named_in(text: &str) -> Option<Assembly> {
    let text = text.to_ascii_lowercase();
    let names = NAMES.iter().filter(|(name, _)| {
        let mut found = text.match_indices(name);
        found.any(|(at, _)| !begins_with_digit(&text[at + name.len()..]))
    });
    // A bare number is a name when it is all there is.
    let is_word = |word: &str| match word.bytes().all(|b| b.is_ascii_digit()) {
        true => text.trim() == word,
        false => words(&text).any(|found| found == word),
    };
    let short = WORDS.iter().filter(|(word, _)| is_word(word));
    let mut all = names
        .chain(short)
        .map(|(_, assembly)| *assembly)
        .chain(
            words(&text)
                .filter(|w| *w == "hs1")
                .map(|_| Assembly::Chm13),
        )
        .chain(of_accession(&text));
    let first = all.next()?;
    all.all(|assembly| assembly == first).then_some(first)
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric())
}

fn begins_with_digit(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
}

/// Patches of GRCh37 end before GRCh38 begins: version 15 at GenBank, 26 at RefSeq.
fn of_accession(text: &str) -> Option<Assembly> {
    if CHM13.iter().any(|accession| text.contains(accession)) {
        return Some(Assembly::Chm13);
    }
    let version = |accession: &str| -> Option<u32> {
        let (_, rest) = text.split_once(accession)?;
        let end = rest.find(|c: char| !c.is_ascii_digit());
        rest[..end.unwrap_or(rest.len())].parse().ok()
    };
    match (version(GENBANK), version(REFSEQ)) {
        (Some(1..=14), _) | (None, Some(13..=25)) => Some(Assembly::GRCh37),
        (Some(15..), _) | (None, Some(26..)) => Some(Assembly::GRCh38),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_name_one_assembly() {
        use Assembly::{Chm13, GRCh37, GRCh38};
        for (text, expected) in [
            ("GRCh37", Some(GRCh37)),
            ("GRCh37.p13", Some(GRCh37)),
            ("file:///data/hs37d5.fa.gz", Some(GRCh37)),
            ("human_g1k_v37_decoy.fasta", Some(GRCh37)),
            ("Homo_sapiens_assembly19.fasta", Some(GRCh37)),
            ("b37", Some(GRCh37)),
            ("37", Some(GRCh37)),
            ("GCA_000001405.14", Some(GRCh37)),
            ("GCF_000001405.25_GRCh37.p13_genomic.fna", Some(GRCh37)),
            ("hg38", Some(GRCh38)),
            ("gnomAD_GRCh38", Some(GRCh38)),
            ("GRCh38_full_analysis_set_plus_decoy_hla.fa", Some(GRCh38)),
            ("/ref/Homo_sapiens_assembly38.fasta", Some(GRCh38)),
            (
                "GCA_000001405.15_GRCh38_no_alt_analysis_set.fna",
                Some(GRCh38),
            ),
            ("GCF_000001405.40", Some(GRCh38)),
            ("38", Some(GRCh38)),
            ("T2T-CHM13v2.0", Some(Chm13)),
            ("chm13.draft_v1.1", Some(Chm13)),
            ("GCA_009914755.4", Some(Chm13)),
            ("/ref/hs1.fa", Some(Chm13)),
            // Two, or none that is known.
            ("/data/hg19/lifted_to_hg38.vcf", None),
            ("GRCh371", None),
            ("club38.fa", None),
            ("chr37.fa", None),
            ("1000GenomesPilot-NCBI36", None),
            ("mm10", None),
            ("", None),
        ] {
            assert_eq!(named_in(text), expected, "{text}");
        }
    }
}
