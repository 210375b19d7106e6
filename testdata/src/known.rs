//! Known variants: published alleles by their GRCh38 coordinates.
//!
//! Every allele stands as VCF writes it (1-based, left-aligned, anchored). The coordinates are those of
//! gnomAD and ClinVar; the tests below recompute the coding position wherever the exon table is here.

/// How a variant acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inheritance {
    /// One copy is enough.
    Dominant,
    /// Two copies in the same gene.
    Recessive,
    /// One copy in a male, mild in a female.
    XLinked,
    /// A common variant that changes the response to a substance; no disease.
    Response,
}

impl Inheritance {
    /// The word used in the tables: `AD`, `AR`, `XL`, `response`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dominant => "AD",
            Self::Recessive => "AR",
            Self::XLinked => "XL",
            Self::Response => "response",
        }
    }
}

/// A published variant. Position 1-based, alleles as in VCF.
#[derive(Clone, Copy, Debug)]
pub struct KnownVariant {
    /// Contig with `chr` prefix.
    pub contig: &'static str,
    /// POS of the VCF record.
    pub pos: i32,
    /// REF.
    pub reference: &'static str,
    /// ALT.
    pub alternate: &'static str,
    /// HGNC symbol.
    pub gene: &'static str,
    /// Coding change on the MANE transcript.
    pub hgvs_c: &'static str,
    /// Protein change.
    pub hgvs_p: &'static str,
    /// dbSNP id.
    pub rsid: &'static str,
    /// Significance in ClinVar's words.
    pub significance: &'static str,
    /// Condition (OMIM number and name).
    pub condition: Condition,
    /// Mode of inheritance of the condition.
    pub inheritance: Inheritance,
    /// Probability that a founder's haplotype carries it in the simulated population.
    pub background: f64,
}

/// A condition by its OMIM number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Condition {
    /// `OMIM:nnnnnn`.
    pub id: &'static str,
    /// Name.
    pub name: &'static str,
}

const CF: Condition = Condition {
    id: "OMIM:219700",
    name: "Cystic fibrosis",
};
const HBOC1: Condition = Condition {
    id: "OMIM:604370",
    name: "Breast-ovarian cancer, familial, 1",
};
const HBOC2: Condition = Condition {
    id: "OMIM:612555",
    name: "Breast-ovarian cancer, familial, 2",
};
const FH: Condition = Condition {
    id: "OMIM:143890",
    name: "Hypercholesterolemia, familial, 1",
};
const PKU: Condition = Condition {
    id: "OMIM:261600",
    name: "Phenylketonuria",
};
const FABRY: Condition = Condition {
    id: "OMIM:301500",
    name: "Fabry disease",
};
const LFS: Condition = Condition {
    id: "OMIM:151623",
    name: "Li-Fraumeni syndrome 1",
};
const SICKLE: Condition = Condition {
    id: "OMIM:603903",
    name: "Sickle cell disease",
};
const DEAF: Condition = Condition {
    id: "OMIM:220290",
    name: "Deafness, autosomal recessive 1A",
};
const ALCOHOL: Condition = Condition {
    id: "OMIM:610251",
    name: "Alcohol sensitivity, acute",
};
/// Dravet syndrome: caused here by de novo variants of SCN1A without a published name.
pub(crate) const DRAVET: Condition = Condition {
    id: "OMIM:607208",
    name: "Dravet syndrome",
};

/// The published variants, by contig order and position.
pub const KNOWN: &[KnownVariant] = &[
    known(
        "chr7",
        117_559_590,
        "ATCT",
        "A",
        "CFTR",
        CF,
        Inheritance::Recessive,
        0.008,
    )
    .named("c.1521_1523del", "p.Phe508del", "rs113993960"),
    known(
        "chr7",
        117_587_806,
        "G",
        "A",
        "CFTR",
        CF,
        Inheritance::Recessive,
        0.002,
    )
    .named("c.1652G>A", "p.Gly551Asp", "rs75527207"),
    known(
        "chr7",
        117_642_566,
        "G",
        "A",
        "CFTR",
        CF,
        Inheritance::Recessive,
        0.001,
    )
    .named("c.3846G>A", "p.Trp1282Ter", "rs77010898"),
    known(
        "chr11",
        5_227_002,
        "T",
        "A",
        "HBB",
        SICKLE,
        Inheritance::Recessive,
        0.004,
    )
    .named("c.20A>T", "p.Glu7Val", "rs334"),
    known(
        "chr12",
        102_840_507,
        "G",
        "A",
        "PAH",
        PKU,
        Inheritance::Recessive,
        0.006,
    )
    .named("c.1222C>T", "p.Arg408Trp", "rs5030858"),
    known(
        "chr12",
        111_803_962,
        "G",
        "A",
        "ALDH2",
        ALCOHOL,
        Inheritance::Response,
        0.24,
    )
    .named("c.1510G>A", "p.Glu504Lys", "rs671"),
    known(
        "chr13",
        20_189_346,
        "AG",
        "A",
        "GJB2",
        DEAF,
        Inheritance::Recessive,
        0.006,
    )
    .named("c.235del", "p.Leu79fs", "rs80338943"),
    known(
        "chr13",
        20_189_546,
        "AC",
        "A",
        "GJB2",
        DEAF,
        Inheritance::Recessive,
        0.003,
    )
    .named("c.35del", "p.Gly12fs", "rs80338939"),
    known(
        "chr13",
        32_340_300,
        "GT",
        "G",
        "BRCA2",
        HBOC2,
        Inheritance::Dominant,
        0.0,
    )
    .named("c.5946del", "p.Ser1982fs", "rs80359550"),
    known(
        "chr17",
        7_674_220,
        "C",
        "T",
        "TP53",
        LFS,
        Inheritance::Dominant,
        0.0,
    )
    .named("c.743G>A", "p.Arg248Gln", "rs11540652"),
    known(
        "chr17",
        7_675_088,
        "C",
        "T",
        "TP53",
        LFS,
        Inheritance::Dominant,
        0.0,
    )
    .named("c.524G>A", "p.Arg175His", "rs28934578"),
    known(
        "chr17",
        43_057_062,
        "T",
        "TG",
        "BRCA1",
        HBOC1,
        Inheritance::Dominant,
        0.0,
    )
    .named("c.5266dup", "p.Gln1756fs", "rs80357906"),
    known(
        "chr17",
        43_124_027,
        "ACT",
        "A",
        "BRCA1",
        HBOC1,
        Inheritance::Dominant,
        0.0,
    )
    .named("c.68_69del", "p.Glu23fs", "rs80357914"),
    known(
        "chr19",
        11_113_337,
        "C",
        "T",
        "LDLR",
        FH,
        Inheritance::Dominant,
        0.0,
    )
    .named("c.1246C>T", "p.Arg416Trp", "rs570942190"),
    known(
        "chrX",
        101_398_942,
        "T",
        "C",
        "GLA",
        FABRY,
        Inheritance::XLinked,
        0.0,
    )
    .named("c.644A>G", "p.Asn215Ser", "rs28935197"),
];

#[expect(
    clippy::too_many_arguments,
    reason = "a row of the literal table above"
)]
const fn known(
    contig: &'static str,
    pos: i32,
    reference: &'static str,
    alternate: &'static str,
    gene: &'static str,
    condition: Condition,
    inheritance: Inheritance,
    background: f64,
) -> KnownVariant {
    let significance = match inheritance {
        Inheritance::Response => "drug response",
        _ => "Pathogenic",
    };
    KnownVariant {
        contig,
        pos,
        reference,
        alternate,
        gene,
        hgvs_c: "",
        hgvs_p: "",
        rsid: "",
        significance,
        condition,
        inheritance,
        background,
    }
}

impl KnownVariant {
    const fn named(mut self, c: &'static str, p: &'static str, rsid: &'static str) -> Self {
        self.hgvs_c = c;
        self.hgvs_p = p;
        self.rsid = rsid;
        self
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::genes::{CONTIGS, GENES};

    /// Genomic position of the n-th coding base, from the exon table and the first coding base.
    fn coding_position(symbol: &str, first_coding: i32, n: i32) -> i32 {
        let gene = GENES.iter().find(|gene| gene.symbol == symbol).unwrap();
        let mut bases: Vec<i32> = gene.exons.iter().flat_map(|(a, b)| *a..=*b).collect();
        if gene.strand == '-' {
            bases.reverse();
        }
        let start = bases.iter().position(|base| *base == first_coding).unwrap();
        bases[start + usize::try_from(n - 1).unwrap()]
    }

    #[test]
    fn published_coordinates_agree_with_the_coding_positions() {
        // symbol, first coding base, coding position, genomic position
        for (symbol, first, coding, genomic) in [
            ("CFTR", 117_480_095, 1652, 117_587_806),
            ("CFTR", 117_480_095, 3846, 117_642_566),
            ("CFTR", 117_480_095, 1521, 117_559_592), // deleted CTT, VCF shifts it left by one
            ("HBB", 5_227_021, 20, 5_227_002),
            ("BRCA2", 32_316_461, 5946, 32_340_301),
            ("TP53", 7_676_594, 524, 7_675_088),
            ("TP53", 7_676_594, 743, 7_674_220),
            ("BRCA1", 43_124_096, 69, 43_124_028),
            ("BRCA1", 43_124_096, 68, 43_124_029),
        ] {
            assert_eq!(
                coding_position(symbol, first, coding),
                genomic,
                "{symbol} c.{coding}"
            );
        }
    }

    #[test]
    fn the_table_is_sorted_and_every_variant_lies_in_its_gene() {
        let rank = |v: &KnownVariant| CONTIGS.iter().position(|c| c.name == v.contig).unwrap();
        assert!(KNOWN.is_sorted_by_key(|v| (rank(v), v.pos)));
        for v in KNOWN {
            let gene = GENES.iter().find(|gene| gene.symbol == v.gene).unwrap();
            assert!(gene.contig == v.contig && gene.start <= v.pos && v.pos <= gene.end);
        }
    }
}
