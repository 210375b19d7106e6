//! OMOP tables, as csv and Parquet.

use super::*;

#[test]
fn omop_tables_of_synthea_are_typed_by_the_model() {
    let dir = tempfile::tempdir().unwrap();
    let lake = dir.path().join("lake");
    let source = shared("omop-synthea");
    ingest(&lake, &["omop"], &[&source]);
    assert!(ingest(&lake, &["omop"], &[&source]).contains("already"));
    // Each table has as many rows as its file has records.
    for entry in std::fs::read_dir(&source).unwrap() {
        let path = entry.unwrap().path();
        let table = path.file_stem().unwrap().to_str().unwrap().to_lowercase();
        let n = csv_records(&path);
        let sql = format!("SELECT count(*) FROM omop.{table}");
        assert_eq!(select(&lake, &sql), [n.to_string()], "{table}");
    }
    let types = "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = 'omop' AND \
                 (table_name, column_name) IN (('person', 'person_id'), ('person', 'birth_datetime'), \
                 ('person', 'year_of_birth'), ('location', 'latitude'), ('drug_exposure', 'quantity'), \
                 ('death', 'death_date')) ORDER BY 1";
    let expected = [
        "birth_datetime,timestamp without time zone",
        "death_date,date",
        "latitude,double precision",
        "person_id,bigint",
        "quantity,double precision",
        "year_of_birth,integer",
    ];
    assert_eq!(select(&lake, types), expected);
    let joined = "SELECT count(*), min(d.drug_exposure_start_date) FROM omop.person p \
                  JOIN omop.drug_exposure d USING (person_id)";
    let told = select(&lake, joined);
    assert!(
        told[0].starts_with(&format!(
            "{},",
            csv_records(&source.join("DRUG_EXPOSURE.csv"))
        )),
        "{told:?}"
    );
}

/// The same tables as Parquet, under names in any case, load to the same rows.
#[test]
fn omop_tables_in_parquet_are_those_in_csv() {
    let dir = tempfile::tempdir().unwrap();
    let lake = dir.path().join("lake");
    ingest(&lake, &["omop"], &[&shared("omop-synthea")]);
    let cdm = dir.path().join("cdm");
    std::fs::create_dir(&cdm).unwrap();
    let tables = ["person", "condition_occurrence", "death"];
    for (table, file) in tables
        .into_iter()
        .zip(["PERSON", "Condition_Occurrence", "death"])
    {
        let sql = format!("SELECT * FROM omop.{table}");
        let mut command = genokura();
        command.args(["sql", "--format", "parquet", "-c", &sql, "--lake"]);
        let output = run(command.arg(&lake));
        assert!(output.status.success(), "{output:?}");
        std::fs::write(cdm.join(format!("{file}.parquet")), output.stdout).unwrap();
    }
    ingest(&lake, &["omop", "--schema", "again"], &[&cdm]);
    for table in tables {
        let rows = |schema: &str| {
            let mut rows = select(&lake, &format!("SELECT * FROM {schema}.{table}"));
            rows.sort();
            rows
        };
        assert_eq!(rows("again"), rows("omop"), "{table}");
        let types = |schema: &str| {
            let sql = "SELECT column_name, data_type FROM information_schema.columns";
            let of = format!("{sql} WHERE table_schema = '{schema}' AND table_name = '{table}'");
            select(&lake, &format!("{of} ORDER BY ordinal_position"))
        };
        assert_eq!(types("again"), types("omop"), "{table}");
    }
    std::fs::write(cdm.join("death.parquet"), "PAR1 and nothing else").unwrap();
    let told = refused(&lake, "omop", &cdm);
    assert!(
        told.contains("input 3") && told.contains("Parquet"),
        "{told}"
    );
}

/// Records of a csv file behind its header.
fn csv_records(path: &Path) -> usize {
    let text = std::fs::read_to_string(path).unwrap();
    let (mut quoted, mut records) = (false, 0);
    for c in text.chars() {
        match c {
            '"' => quoted = !quoted,
            '\n' if !quoted => records += 1,
            _ => {}
        }
    }
    records + usize::from(!text.ends_with('\n')) - 1
}

#[test]
fn a_bad_omop_directory_is_named_by_table_line_and_column() {
    let dir = tempfile::tempdir().unwrap();
    let lake = dir.path().join("lake");
    let source = dir.path().join("cdm");
    std::fs::create_dir(&source).unwrap();
    assert!(refused(&lake, "omop", &source).contains("no csv, tsv or Parquet file"));
    let person = "person_id,gender_concept_id,year_of_birth,Ward No.\n1,8507.0,1980,7\n";
    written(&source, "Person.csv", person);
    for (name, text, told) in [
        (
            "death.csv",
            "person_id,death_date\n1,20200229\n1,2021-02-30\n",
            "line 3, column \"death.death_date\": a text of 10 characters is no date (rule cell-type); mend the cell\n",
        ),
        (
            "death.csv",
            "person_id,death_date\n,2020-02-29\n",
            "line 2, column \"death.person_id\": no value",
        ),
        (
            "death.csv",
            "death_date\n2020-02-29\n",
            "death has no column person_id",
        ),
        (
            "deaths.csv",
            "person_id\n1\n",
            "deaths is no table of the OMOP CDM; did you mean death?",
        ),
        (
            "cost.csv",
            "cost_id\n1\n",
            "table cost tells of persons without a column person_id",
        ),
        (
            "death.csv",
            "person_id,cause_source_value\n1,\"x\n1,y\n",
            "line 2: death: a quote that opens here is never closed",
        ),
        ("person.csv.gz", "", "two files of table person"),
        (
            "visit_occurrence.csv",
            "visit_occurrence_id,person_id\n7,1\n5,1\n6,2\n5.0,2\n",
            "line 5, column \"visit_occurrence.visit_occurrence_id\": a row before it has the same key (rule omop-key-twice)",
        ),
        (
            "vocabulary.csv",
            "vocabulary_id,vocabulary_name\nSNOMED,x\nSNOMED,y\n",
            "line 3, column \"vocabulary.vocabulary_id\": a row before it",
        ),
    ] {
        let file = written(&source, name, text);
        let error = refused(&lake, "omop", &source);
        assert!(error.contains(told), "{name}: {error}");
        std::fs::remove_file(file).unwrap();
    }
    written(
        &source,
        "CONCEPT.csv",
        "concept_id\tconcept_name\tvalid_start_date\n8507\tMALE, \"m\"\t19700101\n",
    );
    let told = ingest(&lake, &["omop"], &[&source]);
    assert!(told.contains("column-not-of-the-model: 1"), "{told}");
    let persons = "SELECT p.person_id, p.ward_no, c.concept_name, c.valid_start_date FROM omop.person p \
                   JOIN omop.concept c ON c.concept_id = p.gender_concept_id";
    assert_eq!(
        select(&lake, persons),
        ["1,7,\"MALE, \"\"m\"\"\",1970-01-01"]
    );
    // Another delivery adds rows, and columns that are new.
    let more = dir.path().join("more");
    std::fs::create_dir(&more).unwrap();
    written(&more, "person.csv", "person_id,month_of_birth\n2,12\n");
    ingest(&lake, &["omop"], &[&more]);
    let both = "SELECT person_id, year_of_birth, month_of_birth FROM omop.person ORDER BY 1";
    assert_eq!(select(&lake, both), ["1,1980,", "2,,12"]);
}
