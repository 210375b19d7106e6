//! Chromosomes of phenopackets.

use super::Place;

/// A message of one person with one variant.
pub(super) fn packet(id: &str, assembly: &str, chrom: &str) -> String {
    format!(
        r#"{{"id": "{id}", "subject": {{"id": "{id}"}}, "metaData": {{"created": "2024-01-01T00:00:00Z", "createdBy": "x",
            "resources": [], "phenopacketSchemaVersion": "2.0"}}, "interpretations": [{{"id": "i", "progressStatus": "SOLVED",
            "diagnosis": {{"disease": {{"id": "OMIM:1", "label": "d"}}, "genomicInterpretations": [{{"subjectOrBiosampleId": "{id}",
            "interpretationStatus": "CAUSATIVE", "variantInterpretation": {{"variationDescriptor": {{"id": "v",
            "moleculeContext": "genomic", "vcfRecord": {{"genomeAssembly": "{assembly}", "chrom": "{chrom}", "pos": "100",
            "ref": "A", "alt": "G"}}}}}}}}]}}}}]}}"#
    )
}

#[test]
fn chromosome_23_of_a_phenopacket_is_x() {
    let place = Place::new();
    let packet = |id: &str, chrom: &str| packet(id, "hg38", chrom);
    for (id, chrom) in [("a", "23"), ("b", "chr24"), ("c", "7")] {
        let file = place.file(&format!("{id}.json"), &packet(id, chrom));
        place.load("phenopackets --contigs chr", &file);
    }
    let (rows, _) = place.sql("SELECT person_id, contig FROM clin.interpretation ORDER BY 1");
    assert_eq!(rows, "a,chrX\nb,chrY\nc,chr7");
    place.load(
        "phenopackets --schema plain",
        &place.file("d.json", &packet("d", "23")),
    );
    assert_eq!(place.sql("SELECT contig FROM plain.interpretation").0, "23");
}
