//! Texts that begin with contigs, and order among them: what can find nothing is warned of, and nothing else.

use super::Place;

/// `d` and `kb.c` say chr1, `kb.n` says 1.
fn lake() -> Place {
    let place = Place::new();
    let record = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO";
    let calls = format!(
        "##fileformat=VCFv4.2\n##contig=<ID=chr1>\n##contig=<ID=chr2>\n{record}\tFORMAT\tS\n\
         chr1\t100\t.\tA\tG\t.\t.\t.\tGT\t0/1\nchr2\t7\t.\tA\tG\t.\t.\t.\tGT\t0/1\n"
    );
    place.load("vcf --dataset d", &place.file("d.vcf", &calls));
    let sites = format!(
        "##fileformat=VCFv4.2\n##contig=<ID=1>\n##contig=<ID=2>\n{record}\n1\t100\t.\tA\tG\t.\t.\t.\n2\t7\t.\tA\tG\t.\t.\t.\n"
    );
    let file = place.file("n.vcf", &sites);
    place.load("sites --table kb.n", &file);
    place.load("sites --table kb.c --contigs chr", &file);
    place
}

/// Statements over `T`, a table that is spelled otherwise or as the other.
const COMPARED: [&str; 13] = [
    "SELECT count(*) FROM d.variants v JOIN T n ON v.contig || ':' || v.pos = n.contig || ':' || n.pos",
    "SELECT count(*) FROM d.variants v WHERE v.contig || ':' || v.pos IN (SELECT n.contig || ':' || n.pos FROM T n)",
    "SELECT count(*) FROM d.variants v WHERE EXISTS (SELECT 1 FROM T n WHERE concat(n.contig, '-', n.pos) = concat(v.contig, '-', v.pos))",
    "SELECT count(*) FROM d.variants v JOIN T n ON concat_ws('-', v.contig, v.pos) = concat_ws('-', n.contig, n.pos)",
    "SELECT count(*) FROM d.variants v JOIN T n ON format('%s:%s', v.contig, v.pos) = format('%s:%s', n.contig, n.pos)",
    "SELECT count(*) FROM d.variants v JOIN (SELECT contig || ':' || pos AS k FROM T) n ON split_part(n.k, ':', 1) = v.contig",
    "SELECT count(*) FROM d.variants v JOIN (SELECT split_part(contig, ':', 1) AS c FROM T) n ON n.c = v.contig",
    "WITH n AS (SELECT DISTINCT contig || '' AS c FROM T) SELECT count(*) FROM d.calls c JOIN n ON n.c = c.contig",
    "SELECT count(*) FROM d.variants v JOIN (SELECT pos, string_agg(contig, '') AS c FROM T GROUP BY pos) n ON n.c = v.contig",
    "SELECT count(*) FROM d.variants v JOIN T n ON v.contig || '_' || v.pos = n.contig || '_' || n.pos AND v.ref = n.ref",
    "SELECT count(*) FROM d.variants v LEFT JOIN T n ON v.contig || ':' || v.pos = n.contig || ':' || n.pos WHERE n.pos IS NULL OR n.pos > 0",
    "SELECT count(*) FROM d.variants v JOIN T n ON (v.contig || ':', v.pos) = (n.contig || ':', n.pos)",
    "SELECT count(*) FROM d.variants v WHERE (SELECT max(n.contig || ':' || n.pos) FROM T n) = v.contig || ':' || v.pos",
];

#[test]
fn texts_of_two_spellings_are_warned_of() {
    let place = lake();
    for sql in COMPARED {
        let (_, said) = place.sql(&sql.replace(" T", " kb.n"));
        assert!(
            said.contains("texts that begin with contigs like"),
            "{sql}: {said}"
        );
        assert!(said.contains("contig_key"), "{sql}: {said}");
        // Never where both are spelled alike.
        for same in [" kb.c", " d.calls"] {
            let (_, said) = place.sql(&sql.replace(" T", same));
            assert_eq!(said, "", "{sql} of {same}");
        }
    }
}

#[test]
fn constants_that_begin_otherwise_are_warned_of() {
    let place = lake();
    for (sql, table) in [
        (
            "contig || '-' || pos || '-' || ref || '-' || alt = '1-100-A-G'",
            "d.variants",
        ),
        ("'1:100' = contig || ':' || pos", "d.variants"),
        ("concat_ws('-', contig, pos) IN ('1-100', 'X-7')", "kb.c"),
        (
            "contig || ':' || pos = ANY (ARRAY['chr1:100', 'chr2:7'])",
            "kb.n",
        ),
        ("contig || ':' || pos LIKE 'chr1:%'", "kb.n"),
        ("starts_with(contig || ':' || pos, '1:')", "kb.c"),
        ("contig || '' = '1'", "d.calls"),
        ("contig_key(contig) = 'chr1'", "d.variants"),
        ("contig < '9'", "d.variants"),
        ("contig BETWEEN '1' AND '2'", "kb.c"),
        ("contig >= 'chr2'", "kb.n"),
    ] {
        let (_, said) = place.sql(&format!("SELECT count(*) FROM {table} WHERE {sql}"));
        assert!(said.contains("HINT"), "{sql}: {said}");
    }
    for (sql, table, rows) in [
        (
            "contig || '-' || pos || '-' || ref || '-' || alt = 'chr1-100-A-G'",
            "d.variants",
            "1",
        ),
        (
            "contig || '-' || pos IN ('1-100', 'chr1-100')",
            "d.variants",
            "1",
        ),
        ("contig || ':' || pos LIKE '%:100'", "d.variants", "1"),
        ("contig || ':' || pos = 'rs5'", "kb.n", "0"),
        ("contig_key(contig) = '1'", "d.variants", "1"),
        ("contig < 'chr2'", "d.variants", "1"),
        ("contig BETWEEN '1' AND '2'", "kb.n", "2"),
        ("contig > ''", "kb.c", "2"),
        ("ref || ':' || pos = 'A:100'", "d.variants", "1"),
        ("pos || ':' || ref = '100:A'", "d.variants", "1"),
        ("ref < 'X'", "d.variants", "2"),
    ] {
        let (found, said) = place.sql(&format!("SELECT count(*) FROM {table} WHERE {sql}"));
        assert_eq!((found.as_str(), said.as_str()), (rows, ""), "{sql}");
    }
}
