//! Delimited files that are written otherwise than their names say, and columns that are not what they seem.

use super::Place;

#[test]
fn the_header_tells_what_divides_a_table() {
    let place = Place::new();
    for (name, text, sign) in [
        ("a.csv", "id;v\n1;\"x;y\"\n2;z\n", "semicolons"),
        ("b.csv", "id\tv\n1\tx;y\n2\tz\n", "tabs"),
        ("c.tsv", "id,v\n1,\"x;y\"\n2,z\n", "commas"),
    ] {
        let table = format!("clin.{}", &name[..1]);
        let said = place.load(&format!("table --table {table}"), &place.file(name, text));
        assert!(
            said.contains(&format!("note: read with {sign} between the cells")),
            "{said}"
        );
        assert_eq!(
            place
                .sql(&format!("SELECT id, v FROM {table} ORDER BY id"))
                .0,
            "1,x;y\n2,z"
        );
    }
    let broken = place.file("d.csv", "id;v\n1;\"x\n2;z\n");
    place.refused(
        "table --table clin.d",
        &broken,
        &["line 2", "quote-not-closed"],
    );
    let said = place.load(
        "table --table clin.e",
        &place.file("e.csv", "id,v\n1,a;b\n"),
    );
    assert!(!said.contains("note"), "{said}");
}

#[test]
fn columns_that_stay_text_are_told_of() {
    let place = Place::new();
    let text =
        "id;born;seen;weight;code\n1;31/12/2019;2020-01-01;70,5;x\n2;01/02/2020;20200102;71;y\n";
    let said = place.load("table --table clin.p", &place.file("p.csv", text));
    for word in [
        "column \"born\" holds dates and is text",
        "to_date(born, 'DD/MM/YYYY')",
        "column \"seen\" holds dates that are written in several ways",
        "column \"weight\" holds numbers with a decimal comma",
    ] {
        assert!(said.contains(word), "{word}: {said}");
    }
    assert!(
        !said.contains("\"code\"") && !said.contains("\"id\""),
        "{said}"
    );
    // As it says.
    let (rows, _) = place.sql("SELECT to_date(born, 'DD/MM/YYYY'), replace(weight, ',', '.')::float8 FROM clin.p ORDER BY id");
    assert_eq!(rows, "2019-12-31,70.5\n2020-02-01,71");
    let usual = place.file("q.csv", "sample_id,born,at\n20200101,2020-01-01,2020-01-01 10:00\n20200102,2020-01-02,2020-01-02 11:00\n");
    let said = place.load("table --table clin.q", &usual);
    assert!(!said.contains("note"), "{said}");
}

#[test]
fn a_column_that_stands_twice_is_told_of() {
    let place = Place::new();
    let text = "person_id,death_date,DEATH_DATE\n1,2020-01-01,2020-01-02\n";
    let said = place.load("table --table clin.death", &place.file("death.csv", text));
    let told = "columns 2 and 3 of the header are both called \"DEATH_DATE\": the second is \"death_date_2\"";
    assert!(said.contains(told), "{said}");
    let cdm = place.file("cdm/death.csv", text);
    let told = ["death.death_date stands twice in the header"];
    place.refused("omop", cdm.parent().unwrap(), &told);
}

#[test]
fn a_header_may_stand_behind_a_sign_below_comments() {
    let place = Place::new();
    for (text, rows) in [
        ("##source=x\n#CHROM\tPOS\n1\t5\n2\t6\n", "1,5\n2,6"),
        ("# made by hand\n#gene\tdisease\nA\tb\nC\td\n", "A,b\nC,d"),
        ("#gene\tdisease\nA\tb\n", "A,b"),
        ("# made by hand, today\ngene\tdisease\nA\tb\n", "A,b"),
        ("#sample\nS1\nS2\n", "S1\nS2"),
        ("# all of them\nsample\nS1\n", "S1"),
    ] {
        let said = place.load("table --replace --table k.t", &place.file("t.tsv", text));
        assert_eq!(place.sql("SELECT * FROM k.t").0, rows, "{text:?}: {said}");
    }
}

/// Bounds of row groups and files leave NaN out, which is greater than all numbers.
#[test]
fn rows_with_nan_are_found() {
    let place = Place::new();
    let vcf = place.file(
        "a.vcf",
        "##fileformat=VCFv4.2\n##contig=<ID=chr1>\n##INFO=<ID=S,Number=1,Type=Float,Description=\"s\">\n\
         #CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\nchr1\t1\t.\tA\tG\t.\t.\tS=0.5\n\
         chr1\t2\t.\tA\tG\t.\t.\tS=NaN\nchr1\t3\t.\tA\tG\t.\t.\tS=3.25\nchr1\t4\t.\tA\tG\t.\t.\tS=7\n\
         chr1\t5\t.\tA\tG\t.\t.\tS=0.125\n",
    );
    place.load("vcf --dataset d", &vcf);
    place.load("sites --table kb.s", &vcf);
    let (n, x) = ("pos", "info_s");
    for table in ["kb.s", "d.variants"] {
        for (condition, found) in [
            ("{x} = 'NaN'", "2"),
            ("{x} >= 'NaN'", "2"),
            ("{x} > 100", "2"),
            ("100 < {x}", "2"),
            ("NOT {x} <= 100", "2"),
            ("NOT ({x} < 100)", "2"),
            ("{x} BETWEEN 5 AND 'NaN'", "2 4"),
            ("{x} IN ('NaN', 7)", "2 4"),
            ("{x} > 3", "2 3 4"),
            ("{x} < 3", "1 5"),
            ("{x} <= 0.125", "5"),
            ("{x} <> 7", "1 2 3 5"),
            ("{x} = 3.25", "3"),
        ] {
            let condition = condition.replace("{x}", x);
            let sql = format!(
                "SELECT string_agg({n}::text, ' ' ORDER BY {n}) FROM {table} WHERE {condition}"
            );
            assert_eq!(place.sql(&sql).0, found, "{sql}");
        }
        let sql = format!("SELECT max({x}), min({x}) FROM {table}");
        assert_eq!(place.sql(&sql).0, "NaN,0.125", "{sql}");
        let sql = format!("SELECT {n} FROM {table} ORDER BY {x} DESC LIMIT 2");
        assert_eq!(place.sql(&sql).0, "2\n4", "{sql}");
    }
}
