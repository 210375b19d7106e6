//! The loci of the cohort: real genes by their published GRCh38 coordinates.
//!
//! Gene spans are Ensembl/RefSeq (GRCh38); the transcript named is MANE Select. Exons are listed
//! for the genes whose exon table we hold from UCSC ncbiRefSeq or Ensembl; the others are a span only.
//! All coordinates here are 1-based and closed.

/// A contig of the cohort: its GRCh38 length and the loci on it.
#[derive(Clone, Copy, Debug)]
pub struct Contig {
    /// Name with the `chr` prefix, as in the analysis set of GRCh38.
    pub name: &'static str,
    /// Length in bases.
    pub length: i32,
}

/// A gene of the cohort. 1-based, closed.
#[derive(Clone, Copy, Debug)]
pub struct Gene {
    /// HGNC symbol.
    pub symbol: &'static str,
    /// Ensembl gene accession.
    pub ensembl: &'static str,
    /// RefSeq MANE Select transcript.
    pub transcript: &'static str,
    /// Contig with `chr` prefix.
    pub contig: &'static str,
    /// First base of the gene.
    pub start: i32,
    /// Last base of the gene.
    pub end: i32,
    /// `+` or `-`.
    pub strand: char,
    /// Exons by ascending position; empty when we do not hold them.
    pub exons: &'static [(i32, i32)],
}

/// Contigs that carry a locus, in the order of the VCF header.
pub const CONTIGS: &[Contig] = &[
    Contig {
        name: "chr2",
        length: 242_193_529,
    },
    Contig {
        name: "chr3",
        length: 198_295_559,
    },
    Contig {
        name: "chr7",
        length: 159_345_973,
    },
    Contig {
        name: "chr11",
        length: 135_086_622,
    },
    Contig {
        name: "chr12",
        length: 133_275_309,
    },
    Contig {
        name: "chr13",
        length: 114_364_328,
    },
    Contig {
        name: "chr17",
        length: 83_257_441,
    },
    Contig {
        name: "chr19",
        length: 58_617_616,
    },
    Contig {
        name: "chrX",
        length: 156_040_895,
    },
];

/// The genes, by contig order and position.
pub const GENES: &[Gene] = &[
    Gene {
        symbol: "SCN1A",
        ensembl: "ENSG00000144285",
        transcript: "NM_001165963.4",
        contig: "chr2",
        start: 165_984_641,
        end: 166_182_806,
        strand: '-',
        exons: &[],
    },
    Gene {
        symbol: "MLH1",
        ensembl: "ENSG00000076242",
        transcript: "NM_000249.4",
        contig: "chr3",
        start: 36_993_350,
        end: 37_050_846,
        strand: '+',
        exons: &[],
    },
    Gene {
        symbol: "CFTR",
        ensembl: "ENSG00000001626",
        transcript: "NM_000492.4",
        contig: "chr7",
        start: 117_287_120,
        end: 117_715_971,
        strand: '+',
        exons: CFTR_EXONS,
    },
    Gene {
        symbol: "HBB",
        ensembl: "ENSG00000244734",
        transcript: "NM_000518.5",
        contig: "chr11",
        start: 5_225_464,
        end: 5_227_071,
        strand: '-',
        exons: &[
            (5_225_464, 5_225_726),
            (5_226_577, 5_226_799),
            (5_226_930, 5_227_071),
        ],
    },
    Gene {
        symbol: "PAH",
        ensembl: "ENSG00000171759",
        transcript: "NM_000277.3",
        contig: "chr12",
        start: 102_836_889,
        end: 102_958_441,
        strand: '-',
        exons: &[],
    },
    Gene {
        symbol: "ALDH2",
        ensembl: "ENSG00000111275",
        transcript: "NM_000690.4",
        contig: "chr12",
        start: 111_766_933,
        end: 111_817_532,
        strand: '+',
        exons: &[],
    },
    Gene {
        symbol: "GJB2",
        ensembl: "ENSG00000165474",
        transcript: "NM_004004.6",
        contig: "chr13",
        start: 20_187_470,
        end: 20_192_938,
        strand: '-',
        exons: &[],
    },
    Gene {
        symbol: "BRCA2",
        ensembl: "ENSG00000139618",
        transcript: "NM_000059.4",
        contig: "chr13",
        start: 32_315_508,
        end: 32_400_268,
        strand: '+',
        exons: BRCA2_EXONS,
    },
    Gene {
        symbol: "TP53",
        ensembl: "ENSG00000141510",
        transcript: "NM_000546.6",
        contig: "chr17",
        start: 7_668_421,
        end: 7_687_490,
        strand: '-',
        exons: TP53_EXONS,
    },
    Gene {
        symbol: "BRCA1",
        ensembl: "ENSG00000012048",
        transcript: "NM_007294.4",
        contig: "chr17",
        start: 43_044_295,
        end: 43_125_364,
        strand: '-',
        exons: BRCA1_EXONS,
    },
    Gene {
        symbol: "LDLR",
        ensembl: "ENSG00000130164",
        transcript: "NM_000527.5",
        contig: "chr19",
        start: 11_089_463,
        end: 11_133_820,
        strand: '+',
        exons: &[],
    },
    Gene {
        symbol: "GLA",
        ensembl: "ENSG00000102393",
        transcript: "NM_000169.3",
        contig: "chrX",
        start: 101_397_803,
        end: 101_407_925,
        strand: '-',
        exons: GLA_EXONS,
    },
];

/// NM_000492.4, UCSC ncbiRefSeq hg38.
const CFTR_EXONS: &[(i32, i32)] = &[
    (117_480_025, 117_480_147),
    (117_504_253, 117_504_363),
    (117_509_034, 117_509_142),
    (117_530_899, 117_531_114),
    (117_534_276, 117_534_365),
    (117_535_248, 117_535_411),
    (117_536_548, 117_536_673),
    (117_540_100, 117_540_346),
    (117_542_016, 117_542_108),
    (117_548_641, 117_548_823),
    (117_559_464, 117_559_655),
    (117_587_739, 117_587_833),
    (117_590_353, 117_590_439),
    (117_591_934, 117_592_657),
    (117_594_930, 117_595_058),
    (117_602_826, 117_602_863),
    (117_603_532, 117_603_782),
    (117_606_674, 117_606_753),
    (117_610_519, 117_610_669),
    (117_611_581, 117_611_808),
    (117_614_613, 117_614_713),
    (117_627_522, 117_627_770),
    (117_642_438, 117_642_593),
    (117_652_842, 117_652_931),
    (117_664_688, 117_664_860),
    (117_665_459, 117_665_564),
    (117_666_908, 117_668_665),
];

/// NM_000059.4, UCSC ncbiRefSeq hg38.
const BRCA2_EXONS: &[(i32, i32)] = &[
    (32_315_508, 32_315_667),
    (32_316_422, 32_316_527),
    (32_319_077, 32_319_325),
    (32_325_076, 32_325_184),
    (32_326_101, 32_326_150),
    (32_326_242, 32_326_282),
    (32_326_499, 32_326_613),
    (32_329_443, 32_329_492),
    (32_330_919, 32_331_030),
    (32_332_272, 32_333_387),
    (32_336_265, 32_341_196),
    (32_344_558, 32_344_653),
    (32_346_827, 32_346_896),
    (32_354_861, 32_355_288),
    (32_356_428, 32_356_609),
    (32_357_742, 32_357_929),
    (32_362_523, 32_362_693),
    (32_363_179, 32_363_533),
    (32_370_402, 32_370_557),
    (32_370_956, 32_371_100),
    (32_376_670, 32_376_791),
    (32_379_317, 32_379_515),
    (32_379_750, 32_379_913),
    (32_380_007, 32_380_145),
    (32_394_689, 32_394_933),
    (32_396_898, 32_397_044),
    (32_398_162, 32_400_268),
];

/// NM_000546.6, UCSC ncbiRefSeq hg38.
const TP53_EXONS: &[(i32, i32)] = &[
    (7_668_421, 7_669_690),
    (7_670_609, 7_670_715),
    (7_673_535, 7_673_608),
    (7_673_701, 7_673_837),
    (7_674_181, 7_674_290),
    (7_674_859, 7_674_971),
    (7_675_053, 7_675_236),
    (7_675_994, 7_676_272),
    (7_676_382, 7_676_403),
    (7_676_521, 7_676_622),
    (7_687_377, 7_687_490),
];

/// NM_007294.4 (ENST00000357654).
const BRCA1_EXONS: &[(i32, i32)] = &[
    (43_044_295, 43_045_802),
    (43_047_643, 43_047_703),
    (43_049_121, 43_049_194),
    (43_051_063, 43_051_117),
    (43_057_052, 43_057_135),
    (43_063_333, 43_063_373),
    (43_063_874, 43_063_951),
    (43_067_608, 43_067_695),
    (43_070_928, 43_071_238),
    (43_074_331, 43_074_521),
    (43_076_488, 43_076_614),
    (43_082_404, 43_082_575),
    (43_090_944, 43_091_032),
    (43_091_435, 43_094_860),
    (43_095_846, 43_095_922),
    (43_097_244, 43_097_289),
    (43_099_775, 43_099_880),
    (43_104_122, 43_104_261),
    (43_104_868, 43_104_956),
    (43_106_456, 43_106_533),
    (43_115_726, 43_115_779),
    (43_124_017, 43_124_115),
    (43_125_271, 43_125_364),
];

/// ENST00000218516.
const GLA_EXONS: &[(i32, i32)] = &[
    (101_397_809, 101_398_099),
    (101_398_370, 101_398_567),
    (101_398_785, 101_398_946),
    (101_400_666, 101_400_757),
    (101_401_632, 101_401_809),
    (101_403_811, 101_403_985),
    (101_407_710, 101_407_909),
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Bases of the exons between the first and the last base of the coding sequence.
    fn coding_bases(symbol: &str, from: i32, to: i32) -> i32 {
        let gene = GENES.iter().find(|gene| gene.symbol == symbol).unwrap();
        let inside = gene.exons.iter().filter(|(a, b)| *b >= from && *a <= to);
        inside.map(|(a, b)| b.min(&to) - a.max(&from) + 1).sum()
    }

    #[test]
    fn exon_tables_give_the_published_protein_lengths() {
        assert_eq!(coding_bases("CFTR", 117_480_095, 117_667_108), 3 * 1481);
        assert_eq!(coding_bases("BRCA2", 32_316_461, 32_398_770), 3 * 3419);
        assert_eq!(coding_bases("BRCA1", 43_045_678, 43_124_096), 3 * 1864);
        assert_eq!(coding_bases("TP53", 7_669_609, 7_676_594), 3 * 394);
    }

    #[test]
    fn genes_are_sorted_and_inside_their_contig() {
        let rank = |gene: &Gene| CONTIGS.iter().position(|c| c.name == gene.contig).unwrap();
        assert!(GENES.is_sorted_by_key(|gene| (rank(gene), gene.start)));
        assert!(
            GENES
                .iter()
                .all(|gene| gene.end <= CONTIGS[rank(gene)].length)
        );
        let within = |gene: &Gene, (a, b): (i32, i32)| gene.start <= a && a <= b && b <= gene.end;
        assert!(
            GENES
                .iter()
                .all(|gene| gene.exons.iter().all(|exon| within(gene, *exon)))
        );
        assert!(
            GENES
                .iter()
                .all(|gene| gene.exons.is_sorted_by_key(|exon| exon.0))
        );
    }
}
