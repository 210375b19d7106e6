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
