//! Consequence: Sequence Ontology terms of what a variant does to a feature, in Ensembl's order of severity.
//!
//! # Source
//! Ensembl, "Calculated variant consequences" (order and impact), with the spellings of SnpEff and `bcftools csq`:
//! a term that is a kind of a listed one has the rank of that one.

/// Severity of a term: 1 is the worst.
pub type Rank = u8;

/// What a consequence is likely to do, Ensembl's classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Impact {
    /// Disrupts the product.
    High,
    /// Changes the product.
    Moderate,
    /// Unlikely to change how the product works.
    Low,
    /// Not coding, or not known.
    Modifier,
}

impl Impact {
    /// `HIGH`, `MODERATE`, `LOW` or `MODIFIER`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::High => "HIGH",
            Self::Moderate => "MODERATE",
            Self::Low => "LOW",
            Self::Modifier => "MODIFIER",
        }
    }
}

/// Ensembl's terms, the worst first.
const TERMS: [(&str, Impact); 41] = {
    use Impact::{High, Low, Moderate, Modifier};
    [
        ("transcript_ablation", High),
        ("splice_acceptor_variant", High),
        ("splice_donor_variant", High),
        ("stop_gained", High),
        ("frameshift_variant", High),
        ("stop_lost", High),
        ("start_lost", High),
        ("transcript_amplification", High),
        ("feature_elongation", High),
        ("feature_truncation", High),
        ("inframe_insertion", Moderate),
        ("inframe_deletion", Moderate),
        ("missense_variant", Moderate),
        ("protein_altering_variant", Moderate),
        ("splice_donor_5th_base_variant", Low),
        ("splice_region_variant", Low),
        ("splice_donor_region_variant", Low),
        ("splice_polypyrimidine_tract_variant", Low),
        ("incomplete_terminal_codon_variant", Low),
        ("start_retained_variant", Low),
        ("stop_retained_variant", Low),
        ("synonymous_variant", Low),
        ("coding_sequence_variant", Modifier),
        ("mature_miRNA_variant", Modifier),
        ("5_prime_UTR_variant", Modifier),
        ("3_prime_UTR_variant", Modifier),
        ("non_coding_transcript_exon_variant", Modifier),
        ("intron_variant", Modifier),
        ("NMD_transcript_variant", Modifier),
        ("non_coding_transcript_variant", Modifier),
        ("coding_transcript_variant", Modifier),
        ("upstream_gene_variant", Modifier),
        ("downstream_gene_variant", Modifier),
        ("TFBS_ablation", Modifier),
        ("TFBS_amplification", Modifier),
        ("TF_binding_site_variant", Modifier),
        ("regulatory_region_ablation", Modifier),
        ("regulatory_region_amplification", Modifier),
        ("regulatory_region_variant", Modifier),
        ("intergenic_variant", Modifier),
        ("sequence_variant", Modifier),
    ]
};

/// Terms of SnpEff, of `bcftools csq` and of old releases of Ensembl, with the listed term that each is or is a kind of.
const OTHERS: [(&str, &str); 49] = [
    ("3_prime_utr", "3_prime_UTR_variant"),
    ("5_prime_utr", "5_prime_UTR_variant"),
    ("3_prime_UTR_truncation", "3_prime_UTR_variant"),
    ("5_prime_UTR_truncation", "5_prime_UTR_variant"),
    (
        "5_prime_UTR_premature_start_codon_gain_variant",
        "5_prime_UTR_variant",
    ),
    ("bidirectional_gene_fusion", "feature_truncation"),
    ("chromosome_number_variation", "transcript_ablation"),
    ("coding_sequence", "coding_sequence_variant"),
    ("conservative_inframe_deletion", "inframe_deletion"),
    ("conservative_inframe_insertion", "inframe_insertion"),
    ("conserved_intergenic_variant", "intergenic_variant"),
    ("conserved_intron_variant", "intron_variant"),
    ("disruptive_inframe_deletion", "inframe_deletion"),
    ("disruptive_inframe_insertion", "inframe_insertion"),
    ("downstream", "downstream_gene_variant"),
    ("exon_loss_variant", "transcript_ablation"),
    ("exon_region", "non_coding_transcript_exon_variant"),
    ("exon_variant", "non_coding_transcript_exon_variant"),
    ("feature_ablation", "transcript_ablation"),
    ("frameshift", "frameshift_variant"),
    ("gene_fusion", "feature_truncation"),
    ("gene_variant", "coding_transcript_variant"),
    ("inframe_altering", "protein_altering_variant"),
    ("initiator_codon_variant", "start_retained_variant"),
    ("intergenic", "intergenic_variant"),
    ("intergenic_region", "intergenic_variant"),
    ("intragenic_variant", "intron_variant"),
    ("intron", "intron_variant"),
    ("miRNA", "mature_miRNA_variant"),
    ("missense", "missense_variant"),
    ("nc_transcript_variant", "non_coding_transcript_variant"),
    ("non_coding", "non_coding_transcript_variant"),
    (
        "non_coding_exon_variant",
        "non_coding_transcript_exon_variant",
    ),
    ("non_canonical_start_codon", "start_retained_variant"),
    ("rare_amino_acid_variant", "missense_variant"),
    ("sequence_feature", "sequence_variant"),
    ("splice_acceptor", "splice_acceptor_variant"),
    ("splice_branch_variant", "splice_region_variant"),
    ("splice_donor", "splice_donor_variant"),
    ("splice_region", "splice_region_variant"),
    ("start_gained", "5_prime_UTR_variant"),
    ("start_retained", "start_retained_variant"),
    ("stop_retained", "stop_retained_variant"),
    ("structural_interaction_variant", "protein_altering_variant"),
    ("protein_protein_contact", "protein_altering_variant"),
    ("synonymous", "synonymous_variant"),
    ("transcript_variant", "coding_transcript_variant"),
    ("upstream", "upstream_gene_variant"),
    ("utr_variant", "5_prime_UTR_variant"),
];

/// The severity of a term, in any case; the mark `*` of `bcftools csq` (behind a stop) does not count. `None` for a term
/// that nobody lists.
#[must_use]
pub fn rank(term: &str) -> Option<Rank> {
    place(term).and_then(|place| Rank::try_from(place + 1).ok())
}

/// The impact of a term.
#[must_use]
pub fn impact(term: &str) -> Option<Impact> {
    place(term).map(|place| TERMS[place].1)
}

fn place(term: &str) -> Option<usize> {
    let term = term.trim_start_matches('*');
    let listed = |term: &str| TERMS.iter().position(|(t, _)| t.eq_ignore_ascii_case(term));
    listed(term).or_else(|| {
        let other = OTHERS.iter().find(|(t, _)| t.eq_ignore_ascii_case(term))?;
        listed(other.1)
    })
}

/// The worst of some terms with its rank; the first of equals. Terms that nobody lists count only where there are no
/// others, and have no rank.
#[must_use]
pub fn worst<'a>(terms: impl IntoIterator<Item = &'a str>) -> Option<(&'a str, Option<Rank>)> {
    let ranked = terms.into_iter().map(|term| (term, rank(term)));
    ranked.min_by_key(|(_, rank)| rank.unwrap_or(Rank::MAX))
}

/// The terms of an entry: `&` stands between them, as VEP, SnpEff and `bcftools csq` write.
pub fn terms(text: &str) -> impl Iterator<Item = &str> {
    let terms = text.split(['&', ',']).map(str::trim);
    terms.filter(|term| !term.is_empty() && *term != ".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_ranked_as_ensembl_does() {
        for (text, expected) in [
            ("missense_variant", Some(("missense_variant", Some(13)))),
            (
                "intron_variant&splice_donor_variant",
                Some(("splice_donor_variant", Some(3))),
            ),
            (
                "splice_region&synonymous",
                Some(("splice_region", Some(16))),
            ),
            ("*missense", Some(("*missense", Some(13)))),
            ("STOP_GAINED", Some(("STOP_GAINED", Some(4)))),
            (
                "disruptive_inframe_deletion",
                Some(("disruptive_inframe_deletion", Some(12))),
            ),
            (
                "new_term&intergenic_region",
                Some(("intergenic_region", Some(40))),
            ),
            ("new_term", Some(("new_term", None))),
            ("sequence_variant", Some(("sequence_variant", Some(41)))),
            ("", None),
            (".", None),
        ] {
            assert_eq!(worst(terms(text)), expected, "{text}");
        }
        assert_eq!(impact("splice_region"), Some(Impact::Low));
        assert_eq!(impact("frameshift"), Some(Impact::High));
        assert_eq!(impact("new_term"), None);
    }

    #[test]
    fn other_spellings_lead_to_listed_terms() {
        for (other, listed) in OTHERS {
            assert!(TERMS.iter().any(|(term, _)| *term == listed), "{other}");
            assert!(!TERMS.iter().any(|(term, _)| *term == other), "{other}");
            assert!(rank(other).is_some());
        }
    }
}
