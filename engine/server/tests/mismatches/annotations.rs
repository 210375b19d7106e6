//! Annotations that do not fit their header are told of with their line.

use super::Place;

fn vcf(format: &str, entries: &[&str]) -> String {
    let mut text = format!(
        "##fileformat=VCFv4.2\n##contig=<ID=chr1,length=1000>\n\
         ##INFO=<ID=CSQ,Number=.,Type=String,Description=\"Consequences{format}\">\n\
         #CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    );
    for (entry, pos) in entries.iter().zip(5..) {
        text.push_str(&format!("chr1\t{pos}\t.\tA\tG\t.\t.\tCSQ={entry}\n"));
    }
    text
}

#[test]
fn entries_of_other_cells_are_told_of() {
    let place = Place::new();
    let format = ". Format: Allele|Consequence|SYMBOL";
    let good = place.file(
        "good.vcf",
        &vcf(
            format,
            &["G|missense_variant|A", "G|missense_variant||", "."],
        ),
    );
    let said = place.load("vcf --dataset good", &good);
    assert!(!said.contains("note") && !said.contains("cells"), "{said}");
    let entries = [
        "G|missense_variant|A",
        "G|missense_variant|A|x,G|intron_variant|B|y|z",
        "G|missense_variant",
        "G|missense_variant|C|x",
    ];
    let bad = place.file("bad.vcf", &vcf(format, &entries));
    let said = place.load("vcf --dataset bad", &bad);
    for word in [
        "repaired by rule annotation-cells: 4",
        "input 1, line 6: an entry of INFO \"CSQ\" has 4 cells, more than the 3 names of the header's Format",
        "input 1, line 7: an entry of INFO \"CSQ\" has 2 cells, fewer than the 3 names",
    ] {
        assert!(said.contains(word), "{word}: {said}");
    }
    // Told on both ways: the report and standard error. The third of its kind is counted only.
    assert_eq!(said.matches("line 6:").count(), 2, "{said}");
    assert!(!said.contains("line 8"), "{said}");
    // The rest of the entry is there as it stood.
    let (rows, _) =
        place.sql("SELECT gene, entry_text FROM bad.variant_effects ORDER BY pos, entry LIMIT 2");
    assert_eq!(rows, "A,G|missense_variant|A\nA,G|missense_variant|A|x");
    let told = ["line 6", "4 cells", "annotation-cells"];
    place.refused("vcf --dataset strict --strict", &bad, &told);
}

#[test]
fn an_annotation_without_a_format_is_told_of_with_its_line() {
    let place = Place::new();
    let said = place.load("vcf --dataset d", &place.file("a.vcf", &vcf("", &["G|x"])));
    assert_eq!(said.matches("input 1, line 3: INFO").count(), 2, "{said}");
    let said = place.load(
        "vcf --json --dataset e",
        &place.file("b.vcf", &vcf(" 2", &["G|y"])),
    );
    assert!(said.contains("\"notes\":[\"input 1, line 3"), "{said}");
}

#[test]
fn an_annotation_in_no_header_line_is_told_of_with_its_line() {
    let place = Place::new();
    let file = place.file(
        "a.vcf",
        "##fileformat=VCFv4.2\n##contig=<ID=chr1>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n\
         chr1\t5\t.\tA\tG\t.\t.\tDP=1\nchr1\t6\t.\tA\tG\t.\t.\tCSQ=G|missense_variant\n",
    );
    let said = place.load("vcf --dataset d", &file);
    let told = "input 1, line 5: INFO CSQ is declared in no header line";
    assert!(said.contains(told), "{said}");
}

#[test]
fn entries_of_bcftools_csq_have_their_strand_and_are_found_where_they_point_to() {
    let place = Place::new();
    let file = place.file(
        "a.vcf",
        "##fileformat=VCFv4.2\n##contig=<ID=chr1>\n##INFO=<ID=BCSQ,Number=.,Type=String,Description=\"Haplotype-aware \
         consequence annotation from BCFtools/csq. Format: \
         Consequence|gene|transcript|biotype|strand|amino_acid_change|dna_change\">\n\
         #CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n\
         chr1\t100\t.\tA\tG\t.\t.\tBCSQ=missense|GENE1|T1|protein_coding|-|5A>5G|100A>G+150C>T\n\
         chr1\t150\t.\tC\tT\t.\t.\tBCSQ=@100\n",
    );
    place.load("vcf --dataset d", &file);
    let strand = "SELECT pos, bcsq_strand FROM d.variant_effects ORDER BY pos";
    assert_eq!(place.sql(strand).0, "100,-\n150,");
    let pointed = "SELECT e.pos, coalesce(e.worst, at.worst) AS worst, coalesce(e.gene, at.gene) AS gene \
         FROM d.variant_effects e \
         LEFT JOIN d.variant_effects at ON at.contig = e.contig AND e.bcsq_consequence[1] = '@' || at.pos \
         AND at.bcsq_dna_change LIKE '%' || e.pos || e.ref || '>' || e.alt || '%' \
         ORDER BY e.pos";
    assert_eq!(
        place.sql(pointed).0,
        "100,missense,GENE1\n150,missense,GENE1"
    );
}

#[test]
fn a_dataset_that_is_annotated_in_part_is_told_of() {
    let place = Place::new();
    let with = "##fileformat=VCFv4.2\n##contig=<ID=chr1>\n##INFO=<ID=CSQ,Number=.,Type=String,Description=\"x. Format: \
                Allele|Consequence\">\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tS1\n\
                chr1\t5\t.\tA\tG\t.\t.\tCSQ=G|missense_variant\tGT\t0/1\n";
    let without = "##fileformat=VCFv4.2\n##contig=<ID=chr1>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tS2\n\
                   chr1\t5\t.\tA\tG\t.\t.\t.\tGT\t0/1\n";
    let told = "annotation CSQ stands in some inputs of this dataset and not in others";
    let with = place.file("with.vcf", with);
    let without = place.file("without.vcf", without);
    for (dataset, first, second) in [("a", &with, &without), ("b", &without, &with)] {
        let said = place.load(&format!("vcf --dataset {dataset}"), first);
        assert!(!said.contains(told), "{said}");
        let said = place.load(&format!("vcf --dataset {dataset}"), second);
        assert!(said.contains(told), "{dataset}: {said}");
    }
}
