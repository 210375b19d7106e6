//! Plain tables and regions: typed, whole or not at all, once; then every such file of the shared data.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::datatypes::{Float64Type, Int32Type, Int64Type};
use arrow::util::display::array_value_to_string;
use common::{read_table, shared, written};
use genokura_ingest::regions::RegionsJob;
use genokura_ingest::table::TableJob;
use genokura_ingest::{Error, IngestReport};
use genokura_storage::{Lake, TableId};

fn id() -> TableId {
    TableId::new("clin", "t")
}

async fn ingest(lake: &Arc<Lake>, path: &Path) -> Result<IngestReport, Error> {
    TableJob::new(Arc::clone(lake), id(), path.to_str().unwrap())
        .run()
        .await
}

async fn ingest_regions(lake: &Arc<Lake>, path: &Path) -> Result<IngestReport, Error> {
    RegionsJob::new(Arc::clone(lake), id(), path.to_str().unwrap())
        .run()
        .await
}

/// `name type` of every column.
fn columns(batch: &RecordBatch) -> Vec<String> {
    batch
        .schema()
        .fields()
        .iter()
        .map(|f| format!("{} {}", f.name(), f.data_type()))
        .collect()
}

fn cells(batch: &RecordBatch, column: &str) -> Vec<Option<String>> {
    let array = batch.column_by_name(column).unwrap();
    let text = |i| {
        array
            .is_valid(i)
            .then(|| array_value_to_string(array, i).unwrap())
    };
    (0..batch.num_rows()).map(text).collect()
}

fn texts(values: &[Option<&str>]) -> Vec<Option<String>> {
    values.iter().map(|v| v.map(str::to_owned)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn csv_is_typed_over_the_whole_file_and_lands_once() {
    let lake = Arc::new(Lake::memory());
    let file = written(
        "a.csv",
        "ID,Born On,Weight,zip,ok,note\n1,2000-02-29,70,02134,true,\"a, b\"\n2,,70.5,NA,FALSE,\n3,1999-01-01,NULL,99999,,x\n",
    );
    let report = ingest(&lake, file.path()).await.unwrap();
    assert_eq!(
        (report.records_read, report.records_stored, report.rows),
        (3, 3, 3)
    );
    assert!(report.is_conserved() && !report.already_done && report.lake_version == Some(0));
    let batch = read_table(&lake, &id()).await;
    assert_eq!(
        columns(&batch),
        [
            "id Int32",
            "born_on Date32",
            "weight Float64",
            "zip Utf8",
            "ok Boolean",
            "note Utf8"
        ]
    );
    assert_eq!(
        cells(&batch, "weight"),
        texts(&[Some("70.0"), Some("70.5"), None])
    );
    assert_eq!(
        cells(&batch, "born_on"),
        texts(&[Some("2000-02-29"), None, Some("1999-01-01")])
    );
    assert_eq!(
        cells(&batch, "note"),
        texts(&[Some("a, b"), None, Some("x")])
    );

    let again = ingest(&lake, file.path()).await.unwrap();
    assert!(again.already_done && again.rows == 0);
    assert_eq!(read_table(&lake, &id()).await.num_rows(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_rows_are_appended_only_under_the_same_columns() {
    let lake = Arc::new(Lake::memory());
    ingest(&lake, written("a.csv", "id,age\n1,20\n").path())
        .await
        .unwrap();
    ingest(&lake, written("b.csv", "age,id\n,2\n").path())
        .await
        .unwrap();
    let batch = read_table(&lake, &id()).await;
    let ids: i32 = batch
        .column_by_name("id")
        .unwrap()
        .as_primitive::<Int32Type>()
        .iter()
        .flatten()
        .sum();
    assert_eq!((batch.num_rows(), ids), (2, 3));

    let wider = ingest(&lake, written("c.csv", "id,age,sex\n3,1,F\n").path()).await;
    assert!(
        matches!(&wider, Err(Error::Request(m)) if m.contains("sex")),
        "{wider:?}"
    );
    let narrower = ingest(&lake, written("c.csv", "id\n3\n").path()).await;
    assert!(
        matches!(&narrower, Err(Error::Request(m)) if m.contains("age")),
        "{narrower:?}"
    );
    let other = ingest(&lake, written("c.csv", "id,age\n3,1\n4,old\n").path()).await;
    match other {
        Err(Error::Cell {
            line,
            column,
            message,
            ..
        }) => {
            assert_eq!((line, column.as_str()), (3, "age"));
            assert!(
                message.contains("rule cell-type") && !message.contains("old"),
                "{message}"
            );
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(
        read_table(&lake, &id()).await.num_rows(),
        2,
        "nothing half done"
    );

    let mut job = TableJob::new(
        Arc::clone(&lake),
        id(),
        written("d.csv", "x\nhello\n").keep(),
    );
    job.replace = true;
    job.run().await.unwrap();
    assert_eq!(columns(&read_table(&lake, &id()).await), ["x Utf8"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dictionary_gives_names_types_and_comments() {
    let lake = Arc::new(Lake::memory());
    let dictionary = written(
        "dict.csv",
        "column,type,description,source\nage_years,int8,\"Age, in years\",AGE\nzip,text,Postal code,\nabsent,text,,\n",
    );
    let mut job = TableJob::new(
        Arc::clone(&lake),
        id(),
        written(
            "a.csv",
            "AGE,zip,other\n12,1\n,2\n"
                .replace("12,1", "12,1,5")
                .replace(",2", ",2,6")
                .as_str(),
        )
        .keep(),
    );
    job.dictionary = Some(dictionary.keep());
    let report = job.run().await.unwrap();
    assert_eq!(
        report.repairs,
        [
            ("column-renamed".to_owned(), 1),
            ("dictionary-column-absent".to_owned(), 1)
        ]
    );
    let batch = read_table(&lake, &id()).await;
    assert_eq!(
        columns(&batch),
        ["age_years Int64", "zip Utf8", "other Int32"]
    );
    let ages: Vec<Option<i64>> = batch.column(0).as_primitive::<Int64Type>().iter().collect();
    assert_eq!(ages, [Some(12), None]);
    let table = lake
        .snapshot()
        .await
        .unwrap()
        .table(&id())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        table
            .schema
            .field(0)
            .metadata()
            .get("comment")
            .map(String::as_str),
        Some("Age, in years")
    );

    let mut job = TableJob::new(
        Arc::clone(&lake),
        TableId::new("clin", "u"),
        written("b.csv", "AGE\n12\nx\n").keep(),
    );
    job.dictionary = Some(written("dict.tsv", "name\ttype\nAGE\tinteger\n").keep());
    let bad = job.run().await;
    assert!(
        matches!(&bad, Err(Error::Cell { line: 3, column, .. }) if column == "AGE"),
        "{bad:?}"
    );
    let mut job = TableJob::new(
        Arc::clone(&lake),
        TableId::new("clin", "u"),
        written("b.csv", "AGE\n12\n").keep(),
    );
    job.dictionary = Some(written("dict.json", r#"[{"name": "AGE", "type": "strange"}]"#).keep());
    let bad = job.run().await;
    assert!(
        matches!(&bad, Err(Error::Request(m)) if m.contains("strange")),
        "{bad:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn json_arrays_and_lines_give_the_same_table() {
    let array = "[\n {\"id\": 1, \"tags\": [\"a\", 2], \"code\": \"007\"},\n {\"id\": 2.5, \"when\": \"2020-01-01\", \"code\": \"x\"}\n]\n";
    let lines = "{\"id\": 1, \"tags\": [\"a\", 2], \"code\": \"007\"}\n{\"id\": 2.5, \"when\": \"2020-01-01\", \"code\": \"x\"}\n";
    for text in [array, lines] {
        let lake = Arc::new(Lake::memory());
        ingest(&lake, written("a.json", text).path()).await.unwrap();
        let batch = read_table(&lake, &id()).await;
        assert_eq!(
            columns(&batch),
            ["id Float64", "tags Utf8", "code Utf8", "when_ Date32"]
        );
        assert_eq!(cells(&batch, "tags"), texts(&[Some("[\"a\",2]"), None]));
        assert_eq!(cells(&batch, "code"), texts(&[Some("007"), Some("x")]));
    }
    let lake = Arc::new(Lake::memory());
    let cut = ingest(&lake, written("a.json", "[{\"id\": 1},\n{\"id\": 2").path()).await;
    assert!(
        matches!(
            cut,
            Err(Error::Line {
                line: 2,
                rule: "json",
                ..
            })
        ),
        "{cut:?}"
    );
    let cut = ingest(&lake, written("a.json", "[{\"id\": 1}\n").path()).await;
    assert!(
        matches!(cut, Err(Error::Line { rule: "json", .. })),
        "{cut:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn parquet_comes_back_as_it_went_in() {
    let lake = Arc::new(Lake::memory());
    ingest(
        &lake,
        written("a.csv", "ID,day,x\n1,2000-02-29,1.5\n2,,\n").path(),
    )
    .await
    .unwrap();
    let batch = read_table(&lake, &id()).await;
    let file = tempfile::Builder::new()
        .suffix(".parquet")
        .tempfile()
        .unwrap();
    let mut writer =
        parquet::arrow::ArrowWriter::try_new(file.reopen().unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let other = TableId::new("clin", "copy");
    let job = TableJob::new(
        Arc::clone(&lake),
        other.clone(),
        file.path().to_str().unwrap(),
    );
    assert_eq!(job.run().await.unwrap().rows, 2);
    assert_eq!(read_table(&lake, &other).await.columns(), batch.columns());
}

#[tokio::test(flavor = "multi_thread")]
async fn ragged_rows_foreign_encodings_and_dataset_schemas_are_refused() {
    let lake = Arc::new(Lake::memory());
    let ragged = ingest(&lake, written("a.csv", "a,b\n1,2\n1\n").path()).await;
    assert!(
        matches!(
            ragged,
            Err(Error::Line {
                line: 3,
                rule: "cell-count",
                ..
            })
        ),
        "{ragged:?}"
    );
    let mut latin1 = tempfile::Builder::new().suffix(".csv").tempfile().unwrap();
    latin1.write_all(b"name\nJos\xe9\n").unwrap();
    let refused = ingest(&lake, latin1.path()).await;
    assert!(
        matches!(&refused, Err(Error::Cell { line: 2, column, .. }) if column == "name"),
        "{refused:?}"
    );
    let job = TableJob::new(
        Arc::clone(&lake),
        TableId::new("pg_catalog", "t"),
        written("a.csv", "a\n1\n").keep(),
    );
    assert!(matches!(job.run().await, Err(Error::Request(_))));
    assert_eq!(
        lake.snapshot().await.unwrap().version,
        None,
        "the lake is as it was"
    );
}

/// A column of contigs is text whatever it holds, unless a dictionary says otherwise, in every format.
#[tokio::test(flavor = "multi_thread")]
async fn contigs_are_names_and_no_numbers() {
    for (name, text) in [
        ("a.csv", "#CHROM,pos\n1,5\n22,6\n"),
        ("a.csv", "Chromosome,pos\n1,5\n22,6\n"),
        (
            "a.json",
            "[{\"chr\": 1, \"pos\": 5}, {\"chr\": 22, \"pos\": 6}]",
        ),
    ] {
        let lake = Arc::new(Lake::memory());
        ingest(&lake, written(name, text).path()).await.unwrap();
        let batch = read_table(&lake, &id()).await;
        let columns = columns(&batch);
        assert!(columns[0].ends_with(" Utf8"), "{text}: {columns:?}");
        assert_eq!(columns[1], "pos Int32");
    }
    let lake = Arc::new(Lake::memory());
    let (dictionary, rows) = (
        written("d.csv", "column,type\nchr,int4\n").keep(),
        written("a.csv", "chr,chrom_count\n1,5\n").keep(),
    );
    let job = TableJob {
        dictionary: Some(dictionary),
        ..TableJob::new(Arc::clone(&lake), id(), rows)
    };
    job.run().await.unwrap();
    let batch = read_table(&lake, &id()).await;
    assert_eq!(columns(&batch), ["chr Int32", "chrom_count Int32"]);
    // In Parquet too.
    let mut parquet = tempfile::Builder::new()
        .suffix(".parquet")
        .tempfile()
        .unwrap();
    let mut writer =
        parquet::arrow::ArrowWriter::try_new(parquet.as_file_mut(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let other = TableId::new("clin", "other");
    let path = parquet.path().to_str().unwrap();
    let job = TableJob::new(Arc::clone(&lake), other.clone(), path);
    job.run().await.unwrap();
    let batch = read_table(&lake, &other).await;
    assert_eq!(columns(&batch), ["chr Utf8", "chrom_count Int32"]);
}

/// Ids keep their text, and so do codes that only look like numbers.
#[tokio::test(flavor = "multi_thread")]
async fn samples_are_names_and_no_numbers() {
    let csv = "Sample ID,person_id,normal.sample_id,family_id,well,p,n\n\
               1E5,1,1.0,2020-01-01,1E5,1e-8,1\n2E3,01,2.0,NA,2E3,0.5,-20\n";
    let json = "[{\"Sample ID\":\"1E5\",\"person_id\":1,\"normal.sample_id\":1.0,\"family_id\":\"2020-01-01\",\
                \"well\":\"1E5\",\"p\":1e-8,\"n\":1},\
                {\"Sample ID\":\"2E3\",\"person_id\":\"01\",\"normal.sample_id\":2.0,\"family_id\":null,\
                \"well\":\"2E3\",\"p\":0.5,\"n\":-20}]";
    for (name, text) in [("a.csv", csv), ("a.json", json)] {
        let lake = Arc::new(Lake::memory());
        ingest(&lake, written(name, text).path()).await.unwrap();
        let batch = read_table(&lake, &id()).await;
        let types = [
            "sample_id Utf8",
            "person_id Utf8",
            "normal_sample_id Utf8",
            "family_id Utf8",
            "well Utf8",
            "p Float64",
            "n Int32",
        ];
        assert_eq!(columns(&batch), types, "{name}");
        for (column, values) in [
            ("sample_id", [Some("1E5"), Some("2E3")]),
            ("person_id", [Some("1"), Some("01")]),
            ("normal_sample_id", [Some("1.0"), Some("2.0")]),
            ("family_id", [Some("2020-01-01"), None]),
            ("well", [Some("1E5"), Some("2E3")]),
            ("n", [Some("1"), Some("-20")]),
        ] {
            assert_eq!(cells(&batch, column), texts(&values), "{name} {column}");
        }
    }
    // A dictionary says otherwise; a table that has numbers already goes on with them.
    let lake = Arc::new(Lake::memory());
    let first = written("a.csv", "person_id,age\n1,20\n");
    let dictionary = written("d.csv", "name,type\nperson_id,bigint\n");
    let job = TableJob {
        dictionary: Some(dictionary.path().to_str().unwrap().to_owned()),
        ..TableJob::new(Arc::clone(&lake), id(), first.path().to_str().unwrap())
    };
    job.run().await.unwrap();
    ingest(&lake, written("b.csv", "person_id,age\n2,30\n").path())
        .await
        .unwrap();
    let batch = read_table(&lake, &id()).await;
    assert_eq!(columns(&batch), ["person_id Int64", "age Int32"]);
    assert_eq!(batch.num_rows(), 2);
}

/// Contigs that are spelt another way than those of the table are refused, and nothing lands.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_keeps_one_spelling_of_contigs() {
    let lake = Arc::new(Lake::memory());
    let first = written("a.csv", "chrom,gene\nchr1,A\nchrX,B\n");
    ingest(&lake, first.path()).await.unwrap();
    let more = written("b.csv", "chrom,gene\nchr2,C\nchrM,D\n,E\n");
    ingest(&lake, more.path()).await.unwrap();
    let other = written("c.csv", "chrom,gene\nchr3,F\n1,G\n");
    let told = ingest(&lake, other.path()).await.unwrap_err().to_string();
    for word in ["clin.t", "\"chr1\"", "\"1\"", "name them", "--replace"] {
        assert!(told.contains(word), "{told}");
    }
    assert_eq!(read_table(&lake, &id()).await.num_rows(), 5);
    let replace = |file: &Path| TableJob {
        replace: true,
        ..TableJob::new(Arc::clone(&lake), id(), file.to_str().unwrap())
    };
    // A table that takes the place of another may be spelt as it likes, one way.
    let told = replace(other.path()).run().await.unwrap_err().to_string();
    assert!(told.contains("in row 2 \"1\""), "{told}");
    assert_eq!(read_table(&lake, &id()).await.num_rows(), 5);
    let plain = written("d.csv", "chrom,gene\n3,F\n1,G\n");
    assert_eq!(replace(plain.path()).run().await.unwrap().rows, 2);

    let lake = Arc::new(Lake::memory());
    let plain = written("a.bed", "1\t0\t9\nX\t0\t9\n");
    ingest_regions(&lake, plain.path()).await.unwrap();
    let chr = written("b.bed", "chr1\t0\t9\n");
    let told = ingest_regions(&lake, chr.path()).await.unwrap_err();
    assert!(told.to_string().contains("--contigs plain"), "{told}");
    let job = RegionsJob {
        contigs: Some(genokura_core::contig::ContigNames::Plain),
        ..RegionsJob::new(Arc::clone(&lake), id(), chr.path().to_str().unwrap())
    };
    job.run().await.unwrap();
    let batch = read_table(&lake, &id()).await;
    let mut contigs = cells(&batch, "contig");
    contigs.sort();
    assert_eq!(contigs, texts(&[Some("1"), Some("1"), Some("X")]));
}

/// What is wrong is told with what the user typed, by the words of the format, and with what can be done.
#[tokio::test(flavor = "multi_thread")]
async fn errors_fit_the_format() {
    let lake = Arc::new(Lake::memory());
    let missing = ingest(&lake, Path::new("/nowhere/a.csv"))
        .await
        .unwrap_err();
    assert!(missing.to_string().contains("/nowhere/a.csv"), "{missing}");
    for name in ["a.csv", "a.json", "a.bed"] {
        let file = written(name, "");
        let empty = match name {
            "a.bed" => ingest_regions(&lake, file.path()).await,
            _ => ingest(&lake, file.path()).await,
        };
        let told = empty.unwrap_err().to_string();
        assert!(told.contains("empty") && !told.contains("VCF"), "{told}");
    }
    let panel = written("a.bed", "chr1\t0\t9\tX\tNM_1\n");
    let told = ingest_regions(&lake, panel.path()).await.unwrap_err();
    assert!(told.to_string().contains("cut -f1-4"), "{told}");
    let open = written("a.csv", "p,n\n1,ok\n2,\"x\n3,y\n");
    let told = ingest(&lake, open.path()).await.unwrap_err().to_string();
    assert!(told.contains("line 3") && told.contains("quote-not-closed"));
    let typed = written("a.csv", "a\n1\n");
    ingest(&lake, typed.path()).await.unwrap();
    let worse = written("b.csv", "a\nx\n");
    let told = ingest(&lake, worse.path()).await.unwrap_err().to_string();
    assert!(told.contains("--replace"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn comments_before_the_header_are_passed() {
    for (text, name) in [
        (
            "#Patient\tAge\n#The patient\tThe age\n#STRING\tNUMBER\n#1\t1\nPATIENT_ID\tAGE\nP1\t3\n",
            "patient_id",
        ),
        ("#version 2.4\nPATIENT_ID\tAGE\nP1\t3\n", "patient_id"),
        ("#FID\tAGE\nP1\t3\n", "fid"),
        ("\u{feff}PATIENT_ID\tAGE\r\nP1\t3\r\n", "patient_id"),
    ] {
        let lake = Arc::new(Lake::memory());
        ingest(&lake, written("a.txt", text).path()).await.unwrap();
        let batch = read_table(&lake, &id()).await;
        assert_eq!(
            columns(&batch),
            [format!("{name} Utf8"), "age Int32".to_owned()],
            "{text}"
        );
        assert_eq!(batch.num_rows(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn regions_are_sorted_typed_and_one_based() {
    let lake = Arc::new(Lake::memory());
    let gff = "##gff-version 3\nchr2\ts\tgene\t50\t90\t.\t-\t.\tID=g2;Name=B;level=2\nchr1\ts\texon\t30\t40\t1.5\t+\t0\tID=e;Parent=t1,t2;level=1\nchr1\ts\tgene\t10\t40\t.\t+\t.\tID=g1;Name=A%3B;level=1\n##FASTA\n>chr1\nACGT\n";
    let report = ingest_regions(&lake, written("a.gff3", gff).path())
        .await
        .unwrap();
    assert_eq!(report.rows, 3);
    let batch = read_table(&lake, &id()).await;
    assert_eq!(
        cells(&batch, "contig"),
        texts(&[Some("chr2"), Some("chr1"), Some("chr1")])
    );
    assert_eq!(
        batch
            .column_by_name("pos")
            .unwrap()
            .as_primitive::<Int32Type>()
            .values(),
        &[50, 10, 30]
    );
    assert_eq!(
        cells(&batch, "name"),
        texts(&[Some("B"), Some("A;"), Some("e")])
    );
    assert_eq!(
        cells(&batch, "attr_name"),
        texts(&[Some("B"), Some("A;"), None])
    );
    assert_eq!(
        cells(&batch, "parent"),
        texts(&[None, None, Some("[t1, t2]")])
    );
    assert_eq!(
        batch
            .column_by_name("level")
            .unwrap()
            .as_primitive::<Int32Type>()
            .values(),
        &[2, 1, 1]
    );
    assert_eq!(
        batch
            .column_by_name("score")
            .unwrap()
            .as_primitive::<Float64Type>()
            .value(2),
        1.5
    );

    let lake = Arc::new(Lake::memory());
    let bed = "track name=x\nchr1\t10\t20\ta\t5\t+\t12\t18\t255,0,0\t2\t3,4,\t0,6\nchr1\t5\t5\tb\t0\t-\t5\t5\t0\t1\t0\t0\n";
    ingest_regions(&lake, written("a.bed", bed).path())
        .await
        .unwrap();
    let batch = read_table(&lake, &id()).await;
    assert_eq!(
        batch
            .column_by_name("pos")
            .unwrap()
            .as_primitive::<Int32Type>()
            .values(),
        &[6, 11]
    );
    assert_eq!(
        batch
            .column_by_name("end_pos")
            .unwrap()
            .as_primitive::<Int32Type>()
            .values(),
        &[5, 20]
    );
    assert_eq!(
        cells(&batch, "thick_start"),
        texts(&[Some("6"), Some("13")])
    );
    assert_eq!(
        cells(&batch, "block_sizes"),
        texts(&[Some("[0]"), Some("[3, 4]")])
    );

    let bad = ingest_regions(&lake, written("b.bed", "chr1\t1\t2\nchr1\t9\t3\n").path()).await;
    assert!(
        matches!(
            bad,
            Err(Error::Line {
                line: 2,
                rule: "span",
                ..
            })
        ),
        "{bad:?}"
    );
}

/// Reads a whole file as text, decompressed by name.
fn text_of(path: &Path) -> String {
    let mut text = String::new();
    let file = std::fs::File::open(path).unwrap();
    let is_gz = path.extension().is_some_and(|e| e == "gz" || e == "bgz");
    match is_gz {
        true => flate2::read::MultiGzDecoder::new(file)
            .read_to_string(&mut text)
            .unwrap(),
        false => BufReader::new(file).read_to_string(&mut text).unwrap(),
    };
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn every_table_of_the_shared_data_lands() {
    let Some(shared) = shared() else { return };
    let files = [
        "lifelines/gbsg2.csv",
        "lifelines/lung.csv",
        "cbioportal/kich_tcga_pub/normals/clinical_normals.txt",
        "cbioportal/kich_tcga_pub/normals/segment_normals.txt",
        "cbioportal/bcc_unige_2016/archived_files/filtered_samples_data_mutations_extended.txt",
        "hail/sampleAnnotations.tsv",
        "hail/regressionLinear.cov",
        "rnanorm/gtex_lung.first30.chr21.csv.gz",
    ];
    let omop = std::fs::read_dir(shared.join("omop-synthea"))
        .unwrap()
        .map(|e| e.unwrap().path());
    let paths: Vec<_> = omop
        .filter(|p| p.extension().is_some_and(|e| e == "csv"))
        .chain(files.map(|f| shared.join(f)))
        .collect();
    assert!(paths.len() >= 17, "{}", paths.len());
    let mut types = BTreeMap::new();
    for path in paths {
        let lake = Arc::new(Lake::memory());
        let report = ingest(&lake, &path)
            .await
            .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let lines = text_of(&path)
            .lines()
            .filter(|l| !l.starts_with('#') && !l.is_empty())
            .count() as u64
            - 1;
        assert_eq!(report.rows, lines, "{}", path.display());
        let batch = read_table(&lake, &id()).await;
        assert_eq!(batch.num_rows() as u64, lines);
        types.insert(
            path.file_name().unwrap().to_str().unwrap().to_owned(),
            columns(&batch),
        );
    }
    assert_eq!(
        types["PERSON.csv"][..6],
        [
            "person_id Utf8",
            "gender_concept_id Int32",
            "year_of_birth Int32",
            "month_of_birth Int32",
            "day_of_birth Int32",
            "birth_datetime Timestamp(µs)"
        ]
    );
    assert_eq!(types["DEATH.csv"][1], "death_date Date32");
    assert_eq!(types["lung.csv"][5], "ph_ecog Float64");
    assert_eq!(
        types["sampleAnnotations.tsv"],
        ["sample Utf8", "status Utf8", "qphen Int32"]
    );
}

/// Data lines of a regions file, counted without any of our code.
fn naive_count(path: &Path) -> u64 {
    let text = text_of(path);
    let is_data = |l: &&str| {
        !(l.trim().is_empty()
            || l.starts_with('#')
            || l.starts_with("track")
            || l.starts_with("browser"))
    };
    text.as_bytes()
        .lines()
        .map(Result::unwrap)
        .take_while(|l| !l.starts_with("##FASTA") && !l.starts_with('>'))
        .filter(|l| is_data(&l.as_str()))
        .count() as u64
}

#[tokio::test(flavor = "multi_thread")]
async fn every_regions_file_of_the_shared_data_lands() {
    let Some(shared) = shared() else { return };
    let files = [
        "glow/gff/test_gff_empty.gff",
        "glow/gff/test_gff_with_fasta.gff",
        "glow/gff/test_gff_with_fasta.gff.bgz",
        "glow/gff/test_gff_with_fasta.gff.gz",
        "glow/gff/test_gff_with_fasta_bgzip.gff.gz",
        "glow/gff/test_gff_with_fasta_multicase_attribute.gff",
        "exon/gff-index/gencode.v38.polyAs.gff.gz",
        "rnanorm/gencode.v26.annotation.chr21.gtf.gz",
        "ensembl-vep/t/testdata/custom/test.gff.gz",
        "polars-bio/io/gff/gencode.v38.annotation.gff3",
        "polars-bio/io/gff/multi_chrom.gff3.gz",
        "polars-bio/io/bed/ENCFF001XKR.bed.gz",
        "polars-bio/io/bed/test.bed",
        "hail/example1.bed",
        "vcfanno/example/fitcons.bed.gz",
        "tiledb-vcf/simple.bed",
        "bcftools/csq.gff3",
        "bcftools/csq.2.gff",
    ];
    for file in files {
        let path = shared.join(file);
        let lake = Arc::new(Lake::memory());
        let report = ingest_regions(&lake, &path)
            .await
            .unwrap_or_else(|e| panic!("{file}: {e}"));
        let expected = naive_count(&path);
        assert_eq!(report.rows, expected, "{file}");
        let batch = read_table(&lake, &id()).await;
        assert_eq!(batch.num_rows() as u64, expected, "{file}");
        assert_eq!(
            columns(&batch)[..3],
            ["contig Utf8", "pos Int32", "end_pos Int32"],
            "{file}"
        );
    }
}
