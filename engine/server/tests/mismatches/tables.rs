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
