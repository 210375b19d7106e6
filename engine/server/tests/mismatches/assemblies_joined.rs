//! A join of tables of two assemblies runs and is warned of: tables that map positions are of two.

use super::Place;

fn lake() -> Place {
    let place = Place::new();
    let record = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO";
    let calls = format!(
        "##fileformat=VCFv4.2\n##contig=<ID=chr1,length=248956422>\n{record}\tFORMAT\tS\nchr1\t100\t.\tA\tG\t.\t.\t.\tGT\t0/1\n"
    );
    place.load("vcf --dataset d", &place.file("d.vcf", &calls));
    for (table, length) in [("kb.old", 249_250_621), ("kb.new", 248_956_422)] {
        let sites = format!(
            "##fileformat=VCFv4.2\n##contig=<ID=1,length={length}>\n{record}\n1\t100\t.\tA\tG\t.\t.\t.\n"
        );
        let file = place.file(&format!("{table}.vcf"), &sites);
        place.load(&format!("sites --contigs chr --table {table}"), &file);
    }
    place.load(
        "regions --table kb.bed",
        &place.file("x.bed", "chr1\t1\t500\n"),
    );
    place
}

/// Words of the warning.
const TOLD: [&str; 3] = ["contigs of", "GRCh37", "GRCh38"];

#[test]
fn joins_of_two_assemblies_are_warned_of() {
    let place = lake();
    for (sql, rows) in [
        (
            "SELECT count(*) FROM d.variants v JOIN kb.old o USING (contig, pos, ref, alt)",
            "1",
        ),
        (
            "SELECT count(*) FROM d.variants v, kb.old o WHERE o.contig = v.contig AND v.pos = o.pos",
            "1",
        ),
        (
            "SELECT count(*) FROM d.calls c LEFT JOIN kb.old o ON c.contig = o.contig AND c.pos BETWEEN o.pos AND o.end_pos",
            "1",
        ),
        (
            "SELECT count(*) FROM d.variants v WHERE NOT EXISTS (SELECT 1 FROM kb.old o WHERE o.contig = v.contig AND o.pos = v.pos)",
            "0",
        ),
        (
            "SELECT count(*) FROM d.variants WHERE (contig, pos) IN (SELECT contig, pos FROM kb.old)",
            "1",
        ),
        (
            "SELECT count(*) FROM d.variants v JOIN kb.old o ON contig_key(v.contig) = contig_key(o.contig)",
            "1",
        ),
        (
            "WITH o AS (SELECT contig AS c, max(pos) AS p FROM kb.old GROUP BY 1) SELECT count(*) FROM kb.new n JOIN o ON n.contig = o.c",
            "1",
        ),
        (
            "SELECT n_overlaps FROM count_overlaps('d.variants', 'kb.old')",
            "1",
        ),
    ] {
        let (found, said) = place.sql(sql);
        assert_eq!(found, rows, "{sql}");
        for word in TOLD {
            assert!(said.contains(word), "{sql}: {word} in {said}");
        }
    }
}

#[test]
fn what_functions_make_of_a_table_is_of_its_assembly() {
    let place = lake();
    for sql in [
        "SELECT count(*) FROM merge_regions('kb.old') m JOIN d.variants v ON v.contig = m.contig AND v.pos <= m.end_pos",
        "SELECT count(*) FROM complement('kb.old', 'd')",
        "SELECT count(*) FROM windows('d', 1000000) w JOIN kb.old o ON w.contig = o.contig AND w.pos <= o.end_pos",
    ] {
        let (_, said) = place.sql(sql);
        for word in TOLD {
            assert!(said.contains(word), "{sql}: {word} in {said}");
        }
    }
    for sql in [
        "SELECT count(*) FROM merge_regions('kb.new') m JOIN d.variants v ON v.contig = m.contig AND v.pos <= m.end_pos",
        "SELECT count(*) FROM complement('kb.new', 'd')",
    ] {
        assert_eq!(place.sql(sql).1, "", "{sql}");
    }
}

#[test]
fn joins_of_one_assembly_are_not() {
    let place = lake();
    for sql in [
        "SELECT count(*) FROM d.variants v JOIN kb.new o USING (contig, pos, ref, alt)",
        "SELECT count(*) FROM d.variants v JOIN d.calls o USING (contig, pos, ref, alt)",
        // One that does not tell; both in one input; no comparison.
        "SELECT count(*) FROM kb.old o JOIN kb.bed b ON o.contig = b.contig AND o.pos BETWEEN b.pos AND b.end_pos",
        "SELECT count(*) FROM d.variants v JOIN (SELECT contig FROM kb.old UNION ALL SELECT contig FROM kb.new) o USING (contig)",
        "SELECT (SELECT count(*) FROM kb.old) + (SELECT count(*) FROM d.variants WHERE contig = 'chr1')",
        "SELECT contig FROM kb.old UNION SELECT contig FROM kb.new",
    ] {
        let (_, said) = place.sql(sql);
        assert_eq!(said, "", "{sql}");
    }
}
