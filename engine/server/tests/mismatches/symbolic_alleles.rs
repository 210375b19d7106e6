//! Symbolic alleles of different lengths are equal to a join that does not ask where they end.

use super::Place;

fn lake() -> Place {
    let place = Place::new();
    let head = "##fileformat=VCFv4.2\n##contig=<ID=chr1>\n##INFO=<ID=END,Number=1,Type=Integer,Description=\"End\">\n\
                #CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO";
    let calls = format!(
        "{head}\tFORMAT\tS\nchr1\t100\t.\tN\t<DEL>\t.\t.\tEND=3000100\tGT\t0/1\nchr1\t5000\t.\tA\tG\t.\t.\t.\tGT\t0/1\n"
    );
    place.load("vcf --dataset d", &place.file("d.vcf", &calls));
    let known =
        format!("{head}\nchr1\t100\t.\tN\t<DEL>\t.\t.\tEND=150\nchr1\t5000\t.\tA\tG\t.\t.\t.\n");
    place.load("sites --table kb.sv", &place.file("sv.vcf", &known));
    let small = format!("{head}\nchr1\t5000\t.\tA\tG\t.\t.\t.\n");
    place.load("sites --table kb.small", &place.file("small.vcf", &small));
    place
}

#[test]
fn joins_that_do_not_ask_for_the_end_are_warned_of() {
    let place = lake();
    for sql in [
        "SELECT count(*) FROM d.variants JOIN kb.sv USING (contig, pos, ref, alt)",
        "SELECT count(*) FROM d.calls c JOIN kb.sv s ON s.contig = c.contig AND s.pos = c.pos AND s.ref = c.ref AND s.alt = c.alt",
        "SELECT count(*) FROM d.variants WHERE (contig, pos, ref, alt) IN (SELECT contig, pos, ref, alt FROM kb.sv)",
    ] {
        let (rows, said) = place.sql(sql);
        assert_eq!(rows, "2", "{sql}");
        assert!(
            said.contains("symbolic alleles") && said.contains("end_pos"),
            "{sql}: {said}"
        );
    }
}

#[test]
fn other_joins_are_not() {
    let place = lake();
    for (sql, rows) in [
        (
            "SELECT count(*) FROM d.variants JOIN kb.sv USING (contig, pos, end_pos, ref, alt)",
            "1",
        ),
        (
            "SELECT count(*) FROM d.variants JOIN kb.small USING (contig, pos, ref, alt)",
            "1",
        ),
        (
            "SELECT count(*) FROM d.variants JOIN d.calls USING (contig, pos, ref, alt)",
            "2",
        ),
        (
            "SELECT count(*) FROM d.variants v JOIN kb.sv s USING (contig, pos, ref, alt) WHERE v.alt NOT LIKE '<%'",
            "1",
        ),
        (
            "SELECT count(*) FROM d.variants v JOIN kb.sv s ON v.contig = s.contig AND v.pos <= s.end_pos AND s.pos <= v.end_pos",
            "3",
        ),
        (
            "SELECT count(*) FROM d.variants v JOIN kb.sv s USING (contig, pos, ref, alt) WHERE s.end_pos = v.end_pos",
            "1",
        ),
    ] {
        let (found, said) = place.sql(sql);
        assert_eq!((found.as_str(), said.as_str()), (rows, ""), "{sql}");
    }
}
