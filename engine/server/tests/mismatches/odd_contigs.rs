//! Names of human contigs that other tables do not use.

use super::Place;

#[test]
fn odd_names_are_named_as_asked_for_and_told_of() {
    let place = Place::new();
    let bed = place.file(
        "a.bed",
        "chr01\t1\t5\nchr_2\t1\t5\nchrMT\t1\t5\nchr10\t1\t5\n",
    );
    let said = place.load("regions --table kb.odd", &bed);
    let told = "note: column \"contig\" of kb.odd holds \"chr01\": if that is the human contig that others call \"chr1\"";
    assert!(said.contains(told), "{said}");
    let said = place.load("regions --table kb.chr --contigs chr", &bed);
    assert!(!said.contains("note"), "{said}");
    let (rows, _) = place.sql("SELECT string_agg(contig, ' ' ORDER BY contig) FROM kb.chr");
    assert_eq!(rows, "chr1 chr10 chr2 chrM");
    let plain = place.file("b.bed", "1\t1\t5\nMT\t1\t5\n");
    let said = place.load("regions --table kb.plain", &plain);
    assert!(!said.contains("note"), "{said}");
    let vcf = place.file(
        "c.vcf",
        "##fileformat=VCFv4.2\n##contig=<ID=chrMT>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tS\n\
         chrMT\t5\t.\tA\tG\t.\t.\t.\tGT\t1\n",
    );
    let said = place.load("vcf --dataset d", &vcf);
    assert!(said.contains("note: input 1: contig \"chrMT\""), "{said}");
}
