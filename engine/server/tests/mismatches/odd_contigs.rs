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

/// What a statement prints, and whether it warns of a contig.
fn warned(place: &Place, sql: &str) -> (String, Option<String>) {
    let (rows, told) = place.sql(sql);
    let line = told.lines().find(|line| line.contains("is compared with"));
    (rows, line.map(str::to_owned))
}

#[test]
fn joins_that_an_odd_name_leaves_empty_are_warned_of() {
    let place = Place::new();
    let odd = "chr01\t0\t50\nchrX\t0\t50\nchrMT\t0\t50\n";
    place.load("regions --table kb.odd", &place.file("odd.bed", odd));
    place.load("regions --table kb.odd_too", &place.file("too.bed", odd));
    let usual = "chr1\t0\t50\nchrX\t0\t50\nchrM\t0\t50\n";
    place.load("regions --table kb.usual", &place.file("usual.bed", usual));
    let plain = "1\t0\t50\nX\t0\t50\nMT\t0\t50\n";
    place.load("regions --table kb.plain", &place.file("plain.bed", plain));
    // Between the first and the last name of a table, its bounds tell nothing of a name.
    let middle = "chr1\t0\t50\nchrX\t0\t50\n";
    place.load(
        "regions --table kb.middle",
        &place.file("middle.bed", middle),
    );
    let late = place.file("late.bed", "chrMT\t0\t50\n");
    place.load("regions --table kb.middle", &late);
    let later = place.file("later.bed", "chr02\t0\t50\n");
    place.load("regions --table kb.middle", &later);
    let vcf = place.file(
        "c.vcf",
        "##fileformat=VCFv4.2\n##contig=<ID=chr1>\n##contig=<ID=chrM>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tS\n\
         chr1\t5\t.\tA\tG\t.\t.\t.\tGT\t0/1\nchrM\t5\t.\tA\tG\t.\t.\t.\tGT\t1\n",
    );
    place.load("vcf --dataset d", &vcf);
    let joined = |left: &str, right: &str| {
        format!("SELECT count(*) FROM {left} a JOIN {right} b ON a.contig = b.contig")
    };
    for (left, right, rows, name, called) in [
        ("kb.odd", "kb.usual", "1", "chr01", "\"chr1\""),
        ("kb.usual", "kb.odd", "1", "chr01", "\"chr1\""),
        ("d.variants", "kb.odd", "0", "chr01", "\"chr1\""),
        ("kb.middle", "d.variants", "1", "chrMT", "\"chrM\""),
        ("kb.middle", "kb.usual", "2", "chr02", "\"chr2\""),
        (
            "(SELECT * FROM kb.odd WHERE pos > 0)",
            "kb.usual",
            "1",
            "chr01",
            "\"chr1\"",
        ),
    ] {
        let (found, told) = warned(&place, &joined(left, right));
        assert_eq!(found, rows, "{left} {right}");
        let told = told.unwrap_or_else(|| panic!("{left} {right}: no warning"));
        let this = format!(
            "contig \"{name}\" is compared with contigs of a table that calls this one {called}"
        );
        assert!(told.contains(&this), "{left} {right}: {told}");
    }
    for (left, right, rows) in [
        ("kb.odd", "kb.odd_too", "3"),
        ("kb.usual", "d.variants", "2"),
        ("kb.usual", "kb.usual", "3"),
    ] {
        assert_eq!(
            warned(&place, &joined(left, right)),
            (rows.to_owned(), None),
            "{left} {right}"
        );
    }
    // Overlaps, keys, subqueries, functions, rows in memory.
    for sql in [
        "SELECT count(*) FROM kb.odd a JOIN kb.usual b ON interval_overlaps(a.contig, a.pos, a.end_pos, b.contig, b.pos, b.end_pos)",
        "SELECT count(*) FROM kb.odd a JOIN kb.plain b ON contig_key(a.contig) = contig_key(b.contig)",
        "SELECT count(*) FROM kb.odd a WHERE EXISTS (SELECT FROM kb.usual b WHERE a.contig = b.contig AND a.pos <= b.end_pos)",
        "SELECT count(*) FROM kb.odd WHERE contig IN (SELECT contig FROM d.variants)",
        "SELECT count(*) FROM count_overlaps('kb.odd', 'kb.usual')",
        "SELECT count(*) FROM (VALUES ('chr01'), ('chrX')) a (contig) JOIN kb.usual b ON a.contig = b.contig",
    ] {
        let (_, told) = warned(&place, sql);
        assert!(told.is_some_and(|told| told.contains("\"chr01\"")), "{sql}");
    }
    // Written anew without it, a table tells of it no more.
    place.load(
        "regions --replace --table kb.odd",
        &place.file("new.bed", usual),
    );
    assert_eq!(
        warned(&place, &joined("kb.odd", "kb.usual")),
        ("3".to_owned(), None)
    );
}

#[test]
fn contigs_are_known_by_their_names_in_columns_of_any() {
    let place = Place::new();
    let usual = "chr1\t0\t50\nchrX\t0\t50\n";
    place.load("regions --table kb.usual", &place.file("usual.bed", usual));
    let place_of = "where_it_is,code,mixed\n1,7,pear\nX,2,apple\n22,9,X\n";
    place.load(
        "table --table kb.places",
        &place.file("places.csv", place_of),
    );
    let joined = |column: &str| {
        format!("SELECT count(*) FROM kb.usual u JOIN kb.places p ON u.contig = p.{column}::text")
    };
    let told = place.sql_refused(&joined("where_it_is"));
    assert!(
        told.contains("\"chr1\"") && told.contains("\"1\""),
        "{told}"
    );
    assert_eq!(place.sql(&joined("mixed")).0, "0");
    // Such a text is compared with constants as any other.
    let rows = place.sql("SELECT count(*) FROM kb.places WHERE where_it_is = 'chr1'");
    assert_eq!(rows.0, "0");
}

/// One name that sorts before or behind all others takes nothing from what is known of a table.
#[test]
fn contigs_are_known_whatever_stands_beside_them() {
    let place = Place::new();
    let usual = "chr1\t0\t50\nchrX\t0\t50\n";
    place.load("regions --table kb.usual", &place.file("usual.bed", usual));
    for (n, others) in [
        ".\nhs37d5",
        "0\nscaffold_9",
        "HLA-A*01:01\nphix",
        "-\nunplaced",
    ]
    .iter()
    .enumerate()
    {
        let names = format!("1\n2\n22\nX\n{others}");
        for column in ["chrom", "contig", "where_it_is", "chromosome_name"] {
            let lines = names.lines().map(|name| format!("{name},7\n"));
            let text = format!("{column},n\n{}", lines.collect::<String>());
            let table = format!("kb.{column}_{n}");
            place.load(
                &format!("table --table {table}"),
                &place.file("t.csv", &text),
            );
            let told = place.sql_refused(&format!(
                "SELECT count(*) FROM kb.usual u JOIN {table} t ON u.contig = t.{column}"
            ));
            assert!(
                told.contains("\"chr1\"") && told.contains("\"1\""),
                "{told}"
            );
            if column != "where_it_is" {
                let sql = format!("SELECT count(*) FROM {table} WHERE {column} = 'chr1'");
                assert!(place.sql_refused(&sql).contains("It is \"1\" there"));
            }
            // Its own names are found, also one that no assembly has.
            let sql = format!("SELECT count(*) FROM {table} WHERE {column} IN ('1', 'X', 'phix')");
            assert_eq!(place.sql(&sql).0, if n == 2 { "3" } else { "2" });
        }
    }
    // More rows spell them as the first did; a column of codes may hold whatever it likes.
    let more = place.file("more.csv", "chrom,n\nchr3,1\n");
    place.refused(
        "table --table kb.chrom_0",
        &more,
        &["names contigs like \"3\"", "\"chr3\""],
    );
    let more = place.file("more.csv", "where_it_is,n\nchr3,1\n");
    place.load("table --table kb.where_it_is_0", &more);
    let joined =
        "SELECT count(*) FROM kb.usual u JOIN kb.where_it_is_0 t ON u.contig = t.where_it_is";
    assert_eq!(place.sql(joined).0, "0");
    // Blanks make another name of it, and that is told of.
    let blank = place.file("blank.csv", "chrom,n\nchr1,1\n\" chrX\",2\n");
    let said = place.load("table --table kb.blank", &blank);
    assert!(said.contains("holds \" chrX\""), "{said}");
    let told = place.sql_refused("SELECT count(*) FROM kb.chrom_0 WHERE chrom = 'chr01'");
    assert!(told.contains("It is \"1\" there"), "{told}");
    let plain = place.file("mt.csv", "chrom,n\n1,1\nMT,2\n");
    place.load("table --table kb.mt", &plain);
    let told = place.sql_refused("SELECT count(*) FROM kb.mt WHERE chrom = 'M'");
    assert!(told.contains("It is \"MT\" there"), "{told}");
}
