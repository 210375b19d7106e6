//! The Human Phenotype Ontology, and terms of tables that it knows or not.

use super::*;

#[test]
fn hpo_is_loaded_once_replaced_whole_and_refused_with_its_line() {
    let dir = tempfile::tempdir().unwrap();
    let lake = dir.path().join("lake");
    let mut text = Vec::new();
    genokura_testdata::write_hpo(&mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    let obo = written(dir.path(), "hp.obo", &text);
    let terms = text.matches("[Term]").count();
    let told = ingest(&lake, &["hpo"], &[&obo]);
    assert!(told.contains(&format!("{terms} records read")), "{told}");
    assert!(told.contains("obsolete-without-replacement: 1"), "{told}");
    assert!(ingest(&lake, &["hpo"], &[&obo]).contains("already"));
    let other = written(
        dir.path(),
        "other.obo",
        &text.replace("2025-01-16", "2026-01-01"),
    );
    assert!(refused(&lake, "hpo", &other).contains("use --replace"));
    ingest(&lake, &["hpo", "--replace"], &[&other]);
    let releases = "SELECT release, count(*) FROM kb.hpo_terms GROUP BY release";
    assert_eq!(
        select(&lake, releases),
        [format!("hp/releases/2026-01-01,{terms}")]
    );
    ingest(&lake, &["hpo", "--name", "second"], &[&obo]);
    let same = "SELECT count(*) FROM kb.second_closure a JOIN kb.hpo_closure b USING (term, ancestor, distance)";
    let all = select(&lake, "SELECT count(*) FROM kb.hpo_closure");
    assert_eq!(select(&lake, same), all);
    let head = "format-version: 1.2\n\n[Term]\nid: A\nname: a\n";
    for (tail, line, what) in [
        ("is_a: B\n", "line 3", "is_a \"B\" names no term"),
        ("\n[Term]\nid: A\n", "line 7", "belongs to another term"),
        ("is_a: A\n", "line 3", "an ancestor of its own"),
        ("def: none\n", "line 6", "no text within quotes"),
    ] {
        let bad = written(dir.path(), "bad.obo", &format!("{head}{tail}"));
        let error = refused(&dir.path().join("no"), "hpo", &bad);
        assert!(
            error.contains(line) && error.contains(what),
            "{tail}: {error}"
        );
    }
    let owl = written(dir.path(), "hp.owl", "<?xml version=\"1.0\"?>\n<rdf:RDF>\n");
    let no = dir.path().join("no");
    assert!(refused(&no, "hpo", &owl).contains("no OBO file"));
}

#[test]
fn functions_on_hpo_say_what_to_do_without_it() {
    let dir = tempfile::tempdir().unwrap();
    let lake = dir.path().join("lake");
    let persons = written(
        dir.path(),
        "person.csv",
        "person_id,hpo_id\nP1,HP:0001250\n",
    );
    ingest(&lake, &["table", "--table", "clin.phenotype"], &[&persons]);
    let sql = "SELECT hpo_is_a(hpo_id, 'HP:0000707') FROM clin.phenotype";
    let output = run(genokura().args(["sql", "-c", sql, "--lake"]).arg(&lake));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        error.contains("HPO is not in this lake") && error.contains("genokura ingest hpo"),
        "{error}"
    );
}

/// A column of terms in a table of any format is looked up too; ids of other vocabularies are not.
#[test]
fn terms_of_a_table_that_hpo_does_not_know_are_named_with_their_line() {
    let dir = tempfile::tempdir().unwrap();
    let lake = dir.path().join("lake");
    let table = |name: &str, text: &str| written(dir.path(), name, text);
    let bad = table(
        "bad.csv",
        "person_id,HPO_ID\np1,HP:0001250\np2,\np3,HP:00012633\n",
    );
    // Without HPO nothing is looked up.
    ingest(&lake, &["table", "--table", "clin.before"], &[&bad]);
    let sql = "SELECT person_id, hpo_id FROM clin.before ORDER BY 1";
    let mut command = genokura();
    command.args(["sql", "--format", "parquet", "-c", sql, "--lake"]);
    let output = run(command.arg(&lake));
    assert!(output.status.success(), "{output:?}");
    let rows = dir.path().join("bad.parquet");
    std::fs::write(&rows, output.stdout).unwrap();

    let hpo = dir.path().join("hp.obo");
    genokura_testdata::write_hpo(&mut std::fs::File::create(&hpo).unwrap()).unwrap();
    ingest(&lake, &["hpo"], &[&hpo]);
    let json = table(
        "bad.jsonl",
        "{\"person_id\": \"p1\", \"hpo_id\": \"HP:0001250\"}\n\n{\"person_id\": \"p2\", \"hpo_id\": \"HP:00012633\"}\n",
    );
    for (input, column, line) in [
        (&bad, "HPO_ID", 4),
        (&rows, "hpo_id", 3),
        (&json, "hpo_id", 3),
    ] {
        let mut command = genokura();
        command.args(["ingest", "table", "--table", "clin.phenotype", "--lake"]);
        let output = run(command.arg(&lake).arg(input));
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{told}");
        for word in [
            format!("line {line}"),
            column.to_owned(),
            "knows no term \"HP:00012633\"; did you mean \"HP:0001263\"?".to_owned(),
        ] {
            assert!(told.contains(&word), "{word}: {told}");
        }
    }
    let good = table("good.csv", "person_id,hpo_id\np1,HP:0001250\np2,OMIM:1\n");
    ingest(&lake, &["table", "--table", "clin.phenotype"], &[&good]);
    let counted = "SELECT count(*), count(hpo_id) FROM clin.phenotype";
    assert_eq!(select(&lake, counted), ["2,2"]);
}
