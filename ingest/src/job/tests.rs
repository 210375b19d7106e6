//! The job end to end, on lakes in memory.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use arrow::util::display::{ArrayFormatter, FormatOptions};
use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use bytes::Bytes;
use genokura_core::codec::array::{ArrayRow, base_of};
use genokura_core::codec::{DefaultCall, GenotypeRow};
use genokura_storage::TableId;
use object_store::ObjectStoreExt as _;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::*;
use crate::progress::Silent;

struct Setup {
    lake: Arc<Lake>,
    dir: tempfile::TempDir,
    strict: bool,
    repeated_samples: bool,
    threads: usize,
    chunk_bytes: usize,
    reference: Option<String>,
}

impl Setup {
    fn new() -> Self {
        Self {
            lake: Arc::new(Lake::memory()),
            dir: tempfile::tempdir().unwrap(),
            strict: false,
            repeated_samples: false,
            threads: 2,
            chunk_bytes: CHUNK_BYTES,
            reference: None,
        }
    }

    fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn job(&self, inputs: &[String]) -> VcfJob {
        VcfJob {
            lake: Arc::clone(&self.lake),
            dataset: "ds".to_owned(),
            inputs: inputs.to_vec(),
            reference: self.reference.clone(),
            assembly: None,
            strict: self.strict,
            repeated_samples: self.repeated_samples,
            threads: self.threads,
            memory_bytes: 0,
            progress: Arc::new(Silent),
            cancel: CancelFlag::new(),
        }
    }

    async fn run(&self, inputs: &[String]) -> Result<IngestReport> {
        self.job(inputs).run_with(self.chunk_bytes).await
    }

    /// Loads one text.
    async fn load(&self, text: &str) -> Result<IngestReport> {
        self.run(&[self.file("input.vcf", text)]).await
    }

    async fn version(&self) -> Option<u64> {
        self.lake.snapshot().await.unwrap().version
    }

    async fn table(&self, table: &str) -> Vec<RecordBatch> {
        let snapshot = self.lake.snapshot().await.unwrap();
        let table = snapshot.table(&TableId::new("ds", table)).await.unwrap();
        let mut batches = Vec::new();
        for file in table.iter().flat_map(|t| &t.files) {
            let bytes: Bytes = self
                .lake
                .store()
                .get(&file.path)
                .await
                .unwrap()
                .bytes()
                .await
                .unwrap();
            let reader = ParquetRecordBatchReaderBuilder::try_new(bytes)
                .unwrap()
                .build()
                .unwrap();
            batches.extend(reader.map(Result::unwrap));
        }
        batches
    }

    /// Columns of a table as text, rows sorted by their text.
    async fn text(&self, table: &str, columns: &[&str]) -> Vec<String> {
        let mut rows: Vec<String> = self
            .table(table)
            .await
            .iter()
            .flat_map(|batch| texts(batch, columns))
            .collect();
        rows.sort();
        rows
    }

    /// The records as VCF lines, rebuilt from the tables: what an export would print.
    async fn lines(&self) -> Vec<String> {
        let sites = self.table("site").await;
        let genotypes = self.table("genotype").await;
        let formats = self.table("format").await;
        let mut lines = Vec::new();
        for batch in &sites {
            for row in 0..batch.num_rows() {
                if number(batch, "alt_index", row) <= 1 {
                    let record = long(batch, "record", row);
                    lines.push((record, line(batch, row, &genotypes, &formats)));
                }
            }
        }
        lines.sort();
        lines.into_iter().map(|(_, line)| line).collect()
    }

    /// Every table as text, the whole content.
    async fn dump(&self) -> String {
        let mut out = String::new();
        for table in [
            "site",
            "genotype",
            "format",
            "samples",
            "headers",
            "quarantine",
        ] {
            for batch in self.table(table).await {
                for row in texts(&batch, &[]) {
                    writeln!(out, "{table}\t{row}").unwrap();
                }
            }
        }
        out
    }
}

fn texts(batch: &RecordBatch, columns: &[&str]) -> Vec<String> {
    let options = FormatOptions::new().with_null("NULL");
    let picked = batch.schema();
    let picked = picked.fields().iter().enumerate();
    let mut indices: Vec<usize> = picked
        .filter(|(_, f)| columns.is_empty() || columns.contains(&f.name().as_str()))
        .map(|(i, _)| i)
        .collect();
    let place = |i: &usize| {
        columns
            .iter()
            .position(|c| c == batch.schema().field(*i).name())
    };
    indices.sort_by_key(place);
    let formats: Vec<_> = indices
        .iter()
        .map(|i| ArrayFormatter::try_new(batch.column(*i), &options).unwrap())
        .collect();
    (0..batch.num_rows())
        .map(|row| {
            formats
                .iter()
                .map(|f| f.value(row).to_string())
                .collect::<Vec<_>>()
                .join("|")
        })
        .collect()
}

fn number(batch: &RecordBatch, column: &str, row: usize) -> i64 {
    cell(batch, column, row).unwrap().parse().unwrap()
}

fn long(batch: &RecordBatch, column: &str, row: usize) -> i64 {
    batch
        .column_by_name(column)
        .unwrap()
        .as_primitive::<Int64Type>()
        .value(row)
}

fn cell(batch: &RecordBatch, column: &str, row: usize) -> Option<String> {
    let array = batch.column_by_name(column)?;
    let options = FormatOptions::new();
    let text = ArrayFormatter::try_new(array, &options)
        .unwrap()
        .value(row)
        .to_string();
    (!array.is_null(row)).then_some(text)
}

/// A list column joined by `separator`, `.` for NULL.
fn list(batch: &RecordBatch, column: &str, row: usize, separator: &str) -> String {
    let array = batch.column_by_name(column).unwrap().as_list::<i32>();
    if arrow_array::Array::is_null(array, row) {
        return ".".to_owned();
    }
    let values = array.value(row);
    let values: Vec<&str> = values.as_string::<i32>().iter().flatten().collect();
    values.join(separator)
}

fn line(
    site: &RecordBatch,
    row: usize,
    genotypes: &[RecordBatch],
    formats: &[RecordBatch],
) -> String {
    let text = |column: &str| cell(site, column, row).unwrap_or_else(|| ".".to_owned());
    let mut line = [
        text("contig"),
        text("vcf_pos"),
        list(site, "ids", row, ";"),
        text("vcf_ref"),
        list(site, "vcf_alts", row, ","),
        text("qual"),
        list(site, "filters", row, ";"),
        text("info_order"),
    ]
    .join("\t");
    let Some(keys) = cell(site, "format_keys", row) else {
        return line;
    };
    write!(line, "\t{keys}").unwrap();
    let Some(from) = cell(site, "block_from", row) else {
        return line;
    };
    let from: i32 = from.parse().unwrap();
    let default = u8::try_from(number(site, "gt_default", row)).unwrap();
    let default = DefaultCall::from_u8(default).unwrap();
    let vid = long(site, "vid", row);
    let record = long(site, "record", row);
    let blob = |tables: &[RecordBatch], id: &str, value: i64, column: &str| -> Option<Vec<u8>> {
        tables.iter().find_map(|batch| {
            let ids = batch
                .column_by_name(id)
                .unwrap()
                .as_primitive::<Int64Type>();
            let blocks = batch
                .column_by_name("block")
                .unwrap()
                .as_primitive::<Int32Type>();
            let row = (0..batch.num_rows())
                .find(|r| ids.value(*r) == value && blocks.value(*r) == from)?;
            let blobs = batch.column_by_name(column)?.as_binary::<i32>();
            (!arrow_array::Array::is_null(blobs, row)).then(|| blobs.value(row).to_vec())
        })
    };
    let gt = blob(genotypes, "vid", vid, "gt");
    let array = |key: &str| {
        let column = format!("fmt_{}", key.to_ascii_lowercase());
        blob(formats, "record", record, &column)
    };
    type Arrays = Vec<(Option<Vec<u8>>, Option<Vec<u8>>)>;
    let arrays: Arrays = keys
        .split(':')
        .map(|key| (array(key), base_of(key).and_then(|(base, _)| array(base))))
        .collect();
    for sample in 0..N_SAMPLES.with(std::cell::Cell::get) {
        let mut values = Vec::new();
        for (key, (array, base)) in keys.split(':').zip(&arrays) {
            let mut out = Vec::new();
            match (key, array) {
                ("GT", _) => match &gt {
                    Some(gt) => GenotypeRow::parse(gt)
                        .unwrap()
                        .genotype(sample)
                        .unwrap()
                        .write_to(&mut out),
                    None => out.extend_from_slice(default.text().as_bytes()),
                },
                (_, Some(array)) => ArrayRow::parse_given(array, base.as_deref())
                    .unwrap()
                    .write_text(sample, &mut out),
                (_, None) => out.push(b'.'),
            }
            values.push(String::from_utf8(out).unwrap());
        }
        write!(line, "\t{}", values.join(":")).unwrap();
    }
    line
}

thread_local! {
    static N_SAMPLES: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
}

const HEADER: &str = "##fileformat=VCFv4.2\n\
    ##contig=<ID=chr1,length=248956422>\n\
    ##contig=<ID=chr2,length=242193529>\n\
    ##FILTER=<ID=q10,Description=\"low\">\n\
    ##INFO=<ID=DP,Number=1,Type=Integer,Description=\"depth\">\n\
    ##INFO=<ID=AF,Number=A,Type=Float,Description=\"frequency\">\n\
    ##INFO=<ID=AD,Number=R,Type=Integer,Description=\"depths\">\n\
    ##INFO=<ID=DB,Number=0,Type=Flag,Description=\"in dbSNP\">\n\
    ##FORMAT=<ID=GT,Number=1,Type=String,Description=\"genotype\">\n\
    ##FORMAT=<ID=DP,Number=1,Type=Integer,Description=\"depth\">\n\
    ##FORMAT=<ID=AD,Number=R,Type=Integer,Description=\"depths\">\n";

fn vcf(samples: &[&str], records: &[&str]) -> String {
    let mut text = format!("{HEADER}#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO");
    if !samples.is_empty() {
        write!(text, "\tFORMAT\t{}", samples.join("\t")).unwrap();
    }
    text.push('\n');
    for record in records {
        // Written with spaces for legibility.
        text.push_str(&record.split_whitespace().collect::<Vec<_>>().join("\t"));
        text.push('\n');
    }
    N_SAMPLES.with(|n| n.set(u32::try_from(samples.len()).unwrap()));
    text
}

fn bgzf(text: &[u8], block_bytes: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let blocks = text.chunks(block_bytes).chain([&[][..]]);
    for block in blocks {
        let mut deflate =
            flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::new(6));
        deflate.write_all(block).unwrap();
        let data = deflate.finish().unwrap();
        let size = u16::try_from(data.len() + 25).unwrap();
        out.extend_from_slice(&[31, 139, 8, 4, 0, 0, 0, 0, 0, 255, 6, 0, b'B', b'C', 2, 0]);
        out.extend_from_slice(&size.to_le_bytes());
        out.extend_from_slice(&data);
        out.extend_from_slice(&crc32fast::hash(block).to_le_bytes());
        out.extend_from_slice(&u32::try_from(block.len()).unwrap().to_le_bytes());
    }
    out
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    gz.write_all(text).unwrap();
    gz.finish().unwrap()
}

#[tokio::test]
async fn a_header_without_newline() {
    let text = vcf(&["a"], &[]).trim_end().to_owned();
    let report = Setup::new().load(&text).await.unwrap();
    assert_eq!(report.repairs, [("no-final-newline".to_owned(), 1)]);
    let strict = Setup {
        strict: true,
        ..Setup::new()
    };
    let error = strict.load(&text).await.unwrap_err().to_string();
    assert!(error.contains("input 1, line 12"), "{error}");
}

const RECORDS: &[&str] = &[
    "chr1 100 rs1;x A G 50 PASS DP=10;AF=0.5;DB GT:DP:AD 0|1:10:5,5 0/0:8 ./.",
    "chr1 200 . AT A,ATT . q10 DP=7;AF=0.25,0.125 GT 1/2 0|2 0/0/1",
    "chr1 200 . AT A,ATT 3 . . GT:DP .:5 . 0:.",
    "chr1 300 . C . 20 PASS AD=4 GT 0/0 0/0 ./0",
    "chr2 1 . G <DEL> . . DB GT 0|0 0|0 0|0",
    "chr2 5 . G T . . DP=3 DP 1 2 .",
];

#[tokio::test]
async fn records_come_back_as_they_stood() {
    let setup = Setup::new();
    let report = setup
        .load(&vcf(&["S1", "S2", "S3"], RECORDS))
        .await
        .unwrap();
    assert_eq!(
        (report.records_read, report.records_stored, report.rows),
        (6, 6, 8)
    );
    assert_eq!(report.batch, Some(0));
    assert_eq!(report.lake_version, Some(0));
    let expected = [
        "chr1\t100\trs1;x\tA\tG\t50.0\tPASS\tDP;AF;DB\tGT:DP:AD\t0|1:10:5,5\t0/0:8:.\t./.:.:.",
        "chr1\t200\t.\tAT\tA,ATT\t.\tq10\tDP;AF\tGT\t1/2\t0|2\t0/0/1",
        "chr1\t200\t.\tAT\tA,ATT\t3.0\t.\t.\tGT:DP\t.:5\t.:.\t0:.",
        "chr1\t300\t.\tC\t.\t20.0\tPASS\tAD\tGT\t0/0\t0/0\t./0",
        "chr2\t1\t.\tG\t<DEL>\t.\t.\tDB\tGT\t0|0\t0|0\t0|0",
        "chr2\t5\t.\tG\tT\t.\t.\tDP\tDP\t1\t2\t.",
    ];
    assert_eq!(setup.lines().await, expected);
}

#[tokio::test]
async fn alleles_are_split_trimmed_and_counted() {
    let setup = Setup::new();
    setup
        .load(&vcf(&["S1", "S2", "S3"], RECORDS))
        .await
        .unwrap();
    let columns = [
        "vid",
        "record",
        "pos",
        "ref",
        "alt",
        "alt_index",
        "variant_type",
        "ac",
        "an",
        "n_het",
        "n_hom_alt",
        "n_missing",
        "info_af",
        "info_db",
    ];
    assert_eq!(
        setup.text("site", &columns).await,
        [
            "0|0|100|A|G|1|SNV|1|4|1|0|1|0.5|true",
            "1|1|200|A|AT|2|INS|2|7|2|0|0|0.125|false",
            "2|2|200|A|AT|2|INS|0|1|0|0|2|NULL|false",
            "3|1|200|AT|A|1|DEL|2|7|2|0|0|0.25|false",
            "4|2|200|AT|A|1|DEL|0|1|0|0|2|NULL|false",
            "5|3|300|C|NULL|0|REF|0|5|0|0|1|NULL|false",
            "6|4|1|G|<DEL>|1|DEL|0|6|0|0|0|NULL|true",
            "7|5|5|G|T|1|SNV|0|0|0|0|0|NULL|false",
        ]
    );
    // The row without a carrier and without anybody missing is left out.
    let vids = setup.text("genotype", &["vid"]).await;
    assert!(!vids.contains(&"6".to_owned()), "{vids:?}");
}

#[tokio::test]
async fn neither_chunks_nor_threads_nor_compression_matter() {
    let mut records = Vec::new();
    for i in 0..400 {
        let gt = ["0|0", "0|1", "1|1", "./.", "0/1", "1"];
        let calls: Vec<&str> = (0..7)
            .map(|s| gt[(i * 7 + s * s + i * i) % if i % 3 == 0 { 6 } else { 3 }])
            .collect();
        let bad = if i % 97 == 5 { "x" } else { "" };
        records.push(format!(
            "chr1 {bad}{} . A C,G . . DP={i} GT {}",
            10 + i / 2,
            calls.join(" ")
        ));
    }
    let records: Vec<&str> = records.iter().map(String::as_str).collect();
    let text = vcf(&["a", "b", "c", "d", "e", "f", "g"], &records);
    let dump = async |bytes: Vec<u8>, chunk_bytes, threads| {
        let setup = Setup {
            chunk_bytes,
            threads,
            ..Setup::new()
        };
        let input = setup.file("in.vcf", bytes);
        let report = setup.run(&[input]).await.unwrap();
        assert_eq!((report.records_read, report.records_quarantined), (400, 5));
        setup.dump().await
    };
    let whole = dump(text.clone().into_bytes(), CHUNK_BYTES, 1).await;
    for (chunk_bytes, threads) in [(1 << 10, 1), (1 << 10, 8), (17, 3), (1 << 14, 2)] {
        assert_eq!(
            dump(text.clone().into_bytes(), chunk_bytes, threads).await,
            whole,
            "{chunk_bytes}"
        );
        assert_eq!(
            dump(bgzf(text.as_bytes(), 333), chunk_bytes, threads).await,
            whole,
            "{chunk_bytes}"
        );
    }
    assert_eq!(dump(gzip(text.as_bytes()), 1000, 2).await, whole);
    let (a, b) = text.as_bytes().split_at(text.len() / 2);
    assert_eq!(
        dump([gzip(a), gzip(b)].concat(), 1000, 2).await,
        whole,
        "two gzip members"
    );
}

#[tokio::test]
async fn unsorted_records_give_the_same_tables() {
    let sorted: Vec<String> = (0..300)
        .map(|i| {
            format!(
                "chr{} {} . A C . . DP={i} GT:DP 0|1:{i} 0|0:3",
                1 + i / 200,
                10 + i % 200
            )
        })
        .collect();
    let mut shuffled = sorted.clone();
    shuffled.reverse();
    shuffled.swap(3, 250);
    let load = async |records: &[String]| {
        let setup = Setup {
            chunk_bytes: 700,
            ..Setup::new()
        };
        let records: Vec<&str> = records.iter().map(String::as_str).collect();
        let report = setup.load(&vcf(&["a", "b"], &records)).await.unwrap();
        let repaired = report.repairs.iter().any(|(rule, _)| rule == "unsorted");
        (setup.dump().await, repaired)
    };
    let (expected, was_repaired) = load(&sorted).await;
    assert!(!was_repaired);
    assert_eq!(load(&shuffled).await, (expected, true));
}

#[test]
fn a_sorter_that_spills_keeps_order_and_rows() {
    let layout = Arc::new(Layout::new(Vec::new(), &[], false));
    let input = Arc::new(InputPlan {
        source: 0,
        n_samples: 0,
        has_format: false,
        version: None,
        blocks: Vec::new(),
        filters: Vec::new(),
        annotations: Vec::new(),
        whole: Default::default(),
    });
    let mut parser = crate::vcf::RecordParser::new(Arc::clone(&layout), input, None);
    let mut sorter = crate::sorter::Sorter::new(1);
    for chunk in 0..5 {
        let mut builder = crate::encode::ChunkBuilder::new(Arc::clone(&layout));
        for i in 0..50 {
            let pos = (i * 37 + chunk * 11) % 50 + 1;
            parser.line(
                format!("1\t{pos}\tr{chunk}_{i}\tA\tC\t.\t.\t.").as_bytes(),
                0,
                &mut builder,
            );
        }
        let parsed = builder.finish(50).unwrap();
        let mut start = crate::encode::RecordEnd::default();
        for end in &parsed.records {
            sorter.push(crate::assemble::RecordRows::between(
                0,
                start,
                *end,
                &parsed.rows,
            ));
            start = *end;
        }
        sorter.end_chunk(100).unwrap();
    }
    let mut seen = Vec::new();
    sorter
        .merge(|record| {
            let sites = &record.rows.sites;
            let pos = sites
                .column_by_name("pos")
                .unwrap()
                .as_primitive::<Int32Type>();
            assert_eq!(pos.value(record.sites.start), record.vcf_pos);
            seen.push(record.vcf_pos);
            Ok(())
        })
        .unwrap();
    assert_eq!(seen.len(), 250);
    assert!(seen.is_sorted());
}

#[tokio::test]
async fn a_rerun_is_a_no_op() {
    let setup = Setup::new();
    let input = setup.file("a.vcf", vcf(&["a"], &["chr1 1 . A C . . . GT 0/1"]));
    let first = setup.run(std::slice::from_ref(&input)).await.unwrap();
    let again = setup.run(std::slice::from_ref(&input)).await.unwrap();
    assert!(again.already_done && !first.already_done);
    assert_eq!(again.lake_version, first.lake_version);
    assert_eq!(again.inputs[0].digest, first.inputs[0].digest);
    let other = setup.file("b.vcf", vcf(&["b"], &["chr1 2 . A C . . . GT 0/1"]));
    let error = setup
        .run(&[input, other.clone()])
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("input(s) 1 have landed"), "{error}");
    let second = setup.run(std::slice::from_ref(&other)).await.unwrap();
    assert_eq!(
        (second.batch.is_some(), second.lake_version),
        (true, Some(1))
    );
    let third = setup.file("c.vcf", vcf(&["c"], &["chr1 3 . A C . . . GT 0/1"]));
    let copy = setup.file("d.vcf", std::fs::read(&third).unwrap());
    let error = setup.run(&[third, copy]).await.unwrap_err().to_string();
    assert!(error.contains("in input 1 of this job already"), "{error}");
    let sites = |name| setup.file(name, vcf(&[], &["chr1 3 . A C . . ."]));
    let error = setup.run(&[sites("e.vcf"), sites("f.vcf")]).await;
    let error = error.unwrap_err().to_string();
    assert!(error.contains("inputs 1 and 2 are the same"), "{error}");
    assert_eq!(setup.version().await, Some(1));
}

#[tokio::test]
async fn refused_records_are_kept_with_their_rule() {
    let bad = [
        ("too_few_columns", "chr1 5 . A C"),
        ("bad_position", "chr1 12x . A C . . . GT 0/0 0/0"),
        ("bad_position", "chr1 -1 . A C . . . GT 0/0 0/0"),
        (
            "position_out_of_range",
            "chr1 2147483648 . A C . . . GT 0/0 0/0",
        ),
        ("bad_ref", "chr1 5 . A# C . . . GT 0/0 0/0"),
        ("bad_alt", "chr1 5 . A C,,G . . . GT 0/0 0/0"),
        ("bad_alt", "chr1 5 . A <DEL . . . GT 0/0 0/0"),
        ("bad_qual", "chr1 5 . A C high . . GT 0/0 0/0"),
        ("bad_qual", "chr1 5 . A C nan . . GT 0/0 0/0"),
        ("bad_genotype", "chr1 5 . A C . . . GT 0/0 0/x"),
        ("bad_genotype", "chr1 5 . A C . . . GT 0/0 0/"),
        ("sample_count", "chr1 5 . A C . . . GT 0/0"),
        ("sample_count", "chr1 5 . A C . . . GT 0/0 0/0 0/0"),
        (
            "duplicate_format_key",
            "chr1 5 . A C . . . GT:DP:GT 0/0 0/0",
        ),
        ("bad_format", "chr1 5 . A C . . . GT::DP 0/0 0/0"),
        (
            "too_many_format_values",
            "chr1 5 . A C . . . GT:DP 0/0:1:2 0/0",
        ),
        ("too_many_format_values", "chr1 5 . A C . . . GT 0/0:1 0/0"),
    ];
    for (rule, record) in bad {
        let setup = Setup::new();
        let good = "chr1 4 . A C . . . GT 0/0 0/1";
        let text = vcf(&["a", "b"], &[good, record, good]);
        let report = setup.load(&text).await.unwrap();
        assert_eq!(
            (report.records_stored, report.records_quarantined),
            (2, 1),
            "{record}"
        );
        assert_eq!(report.quarantined, [(rule.to_owned(), 1)], "{record}");
        let rows = setup
            .text("quarantine", &["line", "contig", "rule", "text"])
            .await;
        let kept = record.split_whitespace().collect::<Vec<_>>().join("\t");
        assert_eq!(rows, [format!("14|chr1|{rule}|{kept}")], "{record}");
        let strict = Setup {
            strict: true,
            ..Setup::new()
        };
        let error = strict.load(&text).await.unwrap_err().to_string();
        assert!(
            error.contains("input 1, line 14") && error.contains(rule),
            "{error}"
        );
        assert_eq!(strict.version().await, None);
    }
}

#[tokio::test]
async fn bytes_that_are_not_utf8_are_refused_and_kept() {
    let setup = Setup::new();
    let mut bytes = vcf(
        &["a"],
        &["chr1 4 . A C . . . GT 0/1", "chr1 5 idX A C . . . GT 0/1"],
    )
    .into_bytes();
    let at = bytes.iter().rposition(|b| *b == b'X').unwrap();
    bytes[at] = 0xe9;
    let input = setup.file("latin1.vcf", bytes);
    let report = setup.run(&[input]).await.unwrap();
    assert_eq!(report.quarantined, [("bad_utf8".to_owned(), 1)]);
}

#[tokio::test]
async fn damage_leaves_the_lake_as_it_was() {
    let setup = Setup::new();
    setup
        .load(&vcf(&["a"], &["chr1 1 . A C . . . GT 0/1"]))
        .await
        .unwrap();
    let records: Vec<String> = (1..2000)
        .map(|i| format!("chr1 {i} . A C . . DP={} GT 0/1", i * 7919 % 1000))
        .collect();
    let records: Vec<&str> = records.iter().map(String::as_str).collect();
    let text = vcf(&["b"], &records);
    let whole = bgzf(text.as_bytes(), 4000);
    let mut broken = whole.clone();
    let middle = broken.len() / 2;
    broken[middle] ^= 0x55;
    let gz = gzip(text.as_bytes());
    for (name, bytes, expected) in [
        (
            "no end block",
            whole[..whole.len() - 28].to_vec(),
            "end-of-file block is missing",
        ),
        ("cut block", whole[..whole.len() - 100].to_vec(), "cut off"),
        ("broken", broken, "damaged"),
        ("cut gzip", gz[..gz.len() / 2].to_vec(), "cut off"),
        ("empty", Vec::new(), "empty"),
        ("no header", b"chr1\t1\t.\tA\tC\n".to_vec(), "VCF"),
        ("xz", b"\xfd7zXZ\0\0\0\0".to_vec(), "xz"),
    ] {
        for chunk_bytes in [1 << 10, CHUNK_BYTES] {
            let input = setup.file("damaged", &bytes);
            let error = setup
                .job(&[input])
                .run_with(chunk_bytes)
                .await
                .unwrap_err()
                .to_string();
            assert!(
                error.contains("input 1") && error.contains(expected),
                "{name}: {error}"
            );
            assert_eq!(setup.version().await, Some(0), "{name}");
        }
    }
    let cancelled = setup.job(&[setup.file("whole", &whole)]);
    cancelled.cancel.cancel();
    assert!(matches!(
        cancelled.run().await.unwrap_err(),
        Error::Cancelled
    ));
    assert_eq!(setup.version().await, Some(0));
    setup.run(&[setup.file("whole", &whole)]).await.unwrap();
}

#[tokio::test]
async fn text_that_the_world_writes() {
    let setup = Setup::new();
    let text = vcf(
        &["a"],
        &["chr1 1 . A C . . . GT 0/1", "chrUn 5 . A C . newf . GT 0/1"],
    );
    let text = text.replace('\n', "\r\n").trim_end().to_owned();
    let report = setup.load(&format!("{text}\r\n\r\n")).await.unwrap();
    let rules: Vec<&str> = report
        .repairs
        .iter()
        .map(|(rule, _)| rule.as_str())
        .collect();
    assert!(
        [
            "crlf",
            "blank-line",
            "contig-undeclared",
            "undeclared-filter"
        ]
        .iter()
        .all(|r| rules.contains(r)),
        "{rules:?}"
    );
    assert_eq!((report.records_read, report.records_stored), (2, 2));
    let last = Setup::new();
    let report = last.load(text.trim_end()).await.unwrap();
    assert_eq!(report.records_stored, 2);
    assert!(report.repairs.contains(&("no-final-newline".to_owned(), 1)));
    let none = Setup::new();
    let report = none.load(&vcf(&["a", "b"], &[])).await.unwrap();
    assert_eq!(
        (report.records_read, report.rows, report.samples),
        (0, 0, 2)
    );
    assert_eq!(
        none.text("samples", &["sample_id", "index_in_block"]).await,
        ["a|0", "b|1"]
    );
    assert_eq!(none.text("site", &["vid"]).await.len(), 0);
}

/// Records against the specification that bcftools reads too: kept, counted, refused when strict.
#[tokio::test]
async fn odd_records_are_kept_as_they_stood_and_counted() {
    let out_of_range = ("FORMAT/GT", "genotype_allele_out_of_range");
    for (key, rule, record) in [
        (
            out_of_range.0,
            out_of_range.1,
            "chr1 5 . A C . . . GT 0/0 0/2",
        ),
        (
            out_of_range.0,
            out_of_range.1,
            "chr1 5 . A C . . . GT 0|0 0|12",
        ),
        (
            out_of_range.0,
            out_of_range.1,
            "chr1 5 . A . . . . GT 0/0 0/1",
        ),
        (
            out_of_range.0,
            out_of_range.1,
            "chr1 5 . A . . . . GT ./2 0/0/3",
        ),
        (
            "QUAL",
            "negative_qual",
            "chr1 5 . A C -100.5 . . GT 0/0 0/1",
        ),
        ("QUAL", "negative_qual", "chr1 5 . A C -inf . . GT 0/0 0/1"),
        ("QUAL", "infinite_qual", "chr1 5 . A C inf . . GT 0/0 0/1"),
        ("ALT", "not_bases", "chr1 5 . C I . . . GT 0/0 0/1"),
        ("", "ref_missing", "chr1 5 . . C . . . GT 0/0 0/1"),
    ] {
        let setup = Setup::new();
        let text = vcf(&["a", "b"], &[record]);
        let report = setup.load(&text).await.unwrap();
        assert_eq!(report.records_stored, 1, "{record}");
        if key.is_empty() {
            assert_eq!(report.repairs, [("ref-missing".to_owned(), 1)]);
        } else {
            let n = report.typed_issues[0].2;
            assert_eq!(report.typed_issues, [(key.to_owned(), rule.to_owned(), n)]);
        }
        let kept = record.split_whitespace().collect::<Vec<_>>().join("\t");
        assert_eq!(setup.lines().await, [kept]);
        let strict = Setup {
            strict: true,
            ..Setup::new()
        };
        let error = strict.load(&text).await.unwrap_err().to_string();
        assert!(error.contains(rule) || key == "ALT", "{error}");
    }
}

#[tokio::test]
async fn an_allele_that_the_record_lacks_is_called() {
    let setup = Setup::new();
    let text = vcf(&["a", "b"], &["chr1 5 . A C . . . GT 0/2 1/2"]);
    setup.load(&text).await.unwrap();
    assert_eq!(setup.text("site", &["ac", "an"]).await, ["1|4"]);
}

#[tokio::test]
async fn format_keys_beyond_the_columns_are_quarantined_and_not_dropped() {
    let setup = Setup::new();
    let keys: Vec<String> = (0..1000).map(|i| format!("K{i}")).collect();
    let values = vec!["1"; 1000].join(":");
    let first = format!("chr1 1 . A C . . . GT:{} 0/1:{values}", keys.join(":"));
    let records = [
        first.as_str(),
        "chr1 2 . A C . . . GT:LAST 0/1:7",
        "chr1 3 . A C . . . GT 0/0",
    ];
    let report = setup.load(&vcf(&["a"], &records)).await.unwrap();
    assert_eq!(
        report.quarantined,
        [("too_many_undeclared_keys".to_owned(), 1)]
    );
    assert_eq!((report.records_stored, report.is_conserved()), (2, true));
    let kept = setup.text("quarantine", &["line", "text"]).await;
    assert!(kept[0].ends_with("GT:LAST\t0/1:7"), "{kept:?}");
}

#[tokio::test]
async fn undeclared_keys_become_columns_wherever_they_stand() {
    let setup = Setup::new();
    let text = vcf(
        &["a"],
        &[
            "chr1 1 . A C . . XX=a,b;NS=3 GT:ZZ 0/1:hello",
            "chr1 2 . A C . . YF GT 0/0",
        ],
    );
    let report = setup.load(&text).await.unwrap();
    assert!(
        report.repairs.contains(&("undeclared-key".to_owned(), 4)),
        "{:?}",
        report.repairs
    );
    assert_eq!(
        setup
            .text(
                "site",
                &["pos", "info_xx", "info_ns", "info_yf", "info_raw"]
            )
            .await,
        ["1|[a, b]|3|false|NULL", "2|NULL|NULL|true|NULL"]
    );
    assert_eq!(setup.text("format", &["vcf_pos"]).await, ["1"]);
}

#[tokio::test]
async fn typed_issues_are_null_and_counted() {
    let setup = Setup::new();
    let records = [
        "chr1 1 . A C,G . . DP=ten;AF=0.5 GT:DP:AD 0/1:5:1,2 0/1:x:1,2,3",
        "chr1 2 . A C . . DP=3;DP=4;DB=1 GT 0/1 0/0",
    ];
    let report = setup.load(&vcf(&["a", "b"], &records)).await.unwrap();
    let issue = |key: &str, rule: &str| (key.to_owned(), rule.to_owned(), 1);
    assert_eq!(
        report.typed_issues,
        [
            issue("FORMAT/AD", "number_mismatch"),
            issue("FORMAT/DP", "not_integer"),
            issue("INFO/AF", "number_mismatch"),
            issue("INFO/DB", "flag_with_value"),
            issue("INFO/DP", "duplicate_key"),
            issue("INFO/DP", "not_integer"),
        ]
    );
    assert_eq!(
        setup
            .text(
                "site",
                &[
                    "pos",
                    "alt_index",
                    "info_dp",
                    "info_af",
                    "info_db",
                    "info_order",
                    "info_raw"
                ]
            )
            .await,
        [
            "1|1|NULL|NULL|false|DP;AF|DP=ten;AF=0.5",
            "1|2|NULL|NULL|false|DP;AF|DP=ten;AF=0.5",
            "2|1|NULL|NULL|NULL|DP;DP;DB|DP=3;DP=4;DB=1",
        ]
    );
    let lines = setup.lines().await;
    assert!(
        lines[0].ends_with("GT:DP:AD\t0/1:5:1,2\t0/1:x:1,2,3"),
        "{}",
        lines[0]
    );
}

#[tokio::test]
async fn several_inputs_are_one_batch() {
    let setup = Setup::new();
    let inputs = [
        setup.file(
            "c2.vcf",
            vcf(&["a", "b"], &["chr2 7 . A C . . . GT 0/1 1/1"]),
        ),
        setup.file(
            "c1.vcf",
            vcf(&["a", "b"], &["chr1 9 . A C . . . GT 0/1 0/0"]),
        ),
        setup.file("other.vcf", vcf(&["c"], &["chr1 9 . A C . . . GT 1/1"])),
    ];
    let report = setup.run(&inputs).await.unwrap();
    assert_eq!(
        (report.samples, report.rows, report.inputs.len()),
        (3, 3, 3)
    );
    assert_eq!(
        setup
            .text(
                "site",
                &[
                    "vid",
                    "contig",
                    "pos",
                    "ac",
                    "an",
                    "source",
                    "block_from",
                    "block_to"
                ]
            )
            .await,
        [
            "0|chr1|9|1|4|1|0|0",
            "1|chr1|9|2|2|2|1|1",
            "2|chr2|7|3|4|0|0|0"
        ]
    );
    assert_eq!(
        setup
            .text(
                "samples",
                &[
                    "sample_id",
                    "block",
                    "index_in_block",
                    "n_het",
                    "n_hom_alt",
                    "n_singleton"
                ]
            )
            .await,
        ["a|0|0|2|0|1", "b|0|1|0|1|0", "c|1|0|0|1|0"]
    );
    let second = setup.file("second.vcf", vcf(&["d"], &["chr1 3 . A C . . . GT 1/1"]));
    let report = setup.run(&[second]).await.unwrap();
    let batch = i64::from(report.batch.unwrap());
    assert!(batch > 0);
    let vids = setup.text("site", &["vid"]).await;
    assert!(vids.contains(&(batch << 40).to_string()), "{vids:?}");
    let blocks = setup.text("samples", &["block"]).await;
    assert!(blocks.contains(&(batch << 12).to_string()), "{blocks:?}");
}

#[tokio::test]
async fn left_alignment_holds_rows_back() {
    let mut setup = Setup::new();
    let fasta = setup.file("ref.fa", ">chr1\nGGGCACACACACTTTACGTACGT\n");
    setup.reference = Some(fasta);
    let records = [
        "chr1 5 . A T . . . GT 0/1",
        "chr1 9 . ACA A . . . GT 0/1",
        "chr1 14 . G C . . . GT 0/1",
    ];
    let report = setup.load(&vcf(&["a"], &records)).await.unwrap();
    assert_eq!(
        report.typed_issues,
        [("REF".to_owned(), "ref_mismatch".to_owned(), 1)]
    );
    let rows = setup
        .text("site", &["vid", "pos", "ref", "alt", "vcf_pos"])
        .await;
    assert_eq!(rows, ["0|3|GCA|G|9", "1|5|A|T|5", "2|14|G|C|14"]);
}

#[tokio::test]
async fn sample_counts() {
    let setup = Setup::new();
    let records = [
        "chr1 1 . A G . . . GT 0/1 0/0 ./.",
        "chr1 2 . A C . . . GT 1/1 0/1 0",
        "chr1 3 . A T,G . . . GT 1/2 0/0 0/.",
    ];
    setup.load(&vcf(&["a", "b", "c"], &records)).await.unwrap();
    let columns = [
        "sample_id",
        "n_called",
        "n_hom_ref",
        "n_het",
        "n_hom_alt",
        "n_missing",
        "n_singleton",
        "n_ts",
        "n_tv",
    ];
    assert_eq!(
        setup.text("samples", &columns).await,
        [
            "a|3|0|2|1|0|3|2|2",
            "b|3|2|1|0|0|0|0|1",
            "c|1|1|0|0|2|0|0|0"
        ]
    );
}

fn shared(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("GENOKURA_TEST_DATA")?;
    Some(Path::new(&root).join(path)).filter(|p| p.exists())
}

/// Runs only where the public test files are at hand (`GENOKURA_TEST_DATA`).
#[tokio::test]
async fn bcf_and_vcf_of_the_same_data_give_the_same_lines() {
    for (a, b) in [("bio2zarr/vcf/sample.vcf.gz", "bio2zarr/vcf/sample.bcf")] {
        let (Some(a), Some(b)) = (shared(a), shared(b)) else {
            return;
        };
        let mut dumps = Vec::new();
        for path in [a, b] {
            let setup = Setup::new();
            N_SAMPLES.with(|n| n.set(3));
            setup
                .run(&[path.to_str().unwrap().to_owned()])
                .await
                .unwrap();
            dumps.push(setup.lines().await);
        }
        assert_eq!(dumps[0], dumps[1]);
    }
}

/// A call set of some samples: records as `(contig, pos, alt)`.
fn called(samples: &[&str], records: &[(&str, i32, &str)]) -> String {
    let mut text = "##fileformat=VCFv4.2\n##contig=<ID=1>\n##contig=<ID=2>\n\
                    ##FORMAT=<ID=GT,Number=1,Type=String,Description=\"g\">\n\
                    #CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT"
        .to_owned();
    for sample in samples {
        write!(text, "\t{sample}").unwrap();
    }
    for (contig, pos, alt) in records {
        write!(text, "\n{contig}\t{pos}\t.\tA\t{alt}\t.\t.\t.\tGT").unwrap();
        text.push_str(&"\t0/1".repeat(samples.len()));
    }
    text.push('\n');
    text
}

/// Collects what a job tells.
#[derive(Default)]
struct Told(parking_lot::Mutex<Vec<String>>);

impl Progress for Told {
    fn bytes(&self, _: u64, _: Option<u64>) {}
    fn records(&self, _: u64) {}
    fn message(&self, text: &str) {
        self.0.lock().push(text.to_owned());
    }
}

const BOTH: [&str; 2] = ["A", "B"];

#[tokio::test(flavor = "multi_thread")]
async fn a_sample_is_not_called_twice_at_a_variant() {
    let first = called(&BOTH, &[("1", 5, "C"), ("1", 9, "G"), ("2", 5, "C")]);
    for (samples, records, at) in [
        // The same variant, whatever else the file holds.
        (
            &["B", "C"][..],
            &[("1", 1, "C"), ("1", 9, "G"), ("2", 9, "C")][..],
            Some("1:9"),
        ),
        (&["A"], &[("2", 5, "C,G")], Some("2:5")),
        // Another region, another contig, another allele, other samples.
        (&["A", "B"], &[("1", 6, "C"), ("1", 10, "G")], None),
        (&["A", "B"], &[("2", 6, "C")], None),
        (&["A", "B"], &[("1", 5, "G"), ("2", 5, "T")], None),
        (&["C", "D"], &[("1", 5, "C"), ("1", 9, "G")], None),
        (&[], &[("1", 5, "C")], None),
    ] {
        let mut setup = Setup::new();
        setup.load(&first).await.unwrap();
        let before = setup.version().await;
        let second = called(samples, records);
        let outcome = setup.load(&second).await;
        match (at, outcome) {
            (None, Ok(_)) => {}
            (Some(at), Err(error)) => {
                let text = error.to_string();
                let expected = format!(
                    "input 1, {at}: a sample of the input is called at this variant in batch "
                );
                assert!(text.starts_with(&expected), "{text}");
                assert!(
                    text.contains("(rule sample-called-again); dataset \"ds\""),
                    "{text}"
                );
                assert!(text.contains("--repeated-samples"), "{text}");
                assert_eq!(setup.version().await, before, "{text}");
                setup.repeated_samples = true;
                setup.load(&second).await.unwrap();
            }
            (at, outcome) => panic!("{samples:?} {records:?}: {at:?} {outcome:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn inputs_of_one_job_call_a_sample_once_at_a_variant() {
    let by_chromosome = [
        called(&BOTH, &[("1", 5, "C"), ("1", 9, "G")]),
        called(&BOTH, &[("2", 5, "C")]),
    ];
    let other_samples = called(&["C"], &[("1", 5, "C"), ("2", 5, "C")]);
    let again = called(&["C", "A"], &[("1", 7, "C"), ("1", 9, "G")]);
    let setup = Setup::new();
    let mut inputs: Vec<String> = Vec::new();
    for (i, text) in by_chromosome.iter().chain([&other_samples]).enumerate() {
        inputs.push(setup.file(&format!("{i}.vcf"), text));
    }
    let with_again = [&inputs[..], &[setup.file("again.vcf", &again)]].concat();
    let error = setup.run(&with_again).await.unwrap_err().to_string();
    let expected = "input 4, 1:9: a sample of the input is called at this variant in input 1 of this job already";
    assert!(error.starts_with(expected), "{error}");
    setup.run(&inputs).await.unwrap();
}

/// Rows far into a file that is cut into many batches of rows are compared as well, those beside the cuts too.
#[tokio::test(flavor = "multi_thread")]
async fn every_row_is_compared() {
    let records = |from: i32, to: i32| -> Vec<(&str, i32, &str)> {
        (from..to).map(|pos| ("1", pos, "C")).collect()
    };
    for unsorted in [false, true] {
        let setup = Setup::new();
        let mut first = records(1, 40_000);
        if unsorted {
            first.reverse();
        }
        setup.load(&called(&["A"], &first)).await.unwrap();
        let second = records(39_999, 60_000);
        let error = setup.load(&called(&["A"], &second)).await.unwrap_err();
        assert!(
            error.to_string().starts_with("input 1, 1:39999: "),
            "{error}"
        );
        setup.load(&called(&["A"], &second[1..])).await.unwrap();
        let mut third = records(60_000, 99_000);
        third.push(("1", 59_999, "C"));
        let error = setup.load(&called(&["A"], &third)).await.unwrap_err();
        assert!(
            error.to_string().starts_with("input 1, 1:59999: "),
            "{error}"
        );
    }
}

/// Who calls other alleles at a position is told how often.
#[tokio::test(flavor = "multi_thread")]
async fn other_alleles_of_a_sample_are_told() {
    let setup = Setup::new();
    let first = called(&BOTH, &[("1", 5, "C"), ("1", 9, "G"), ("2", 5, "C")]);
    setup.load(&first).await.unwrap();
    let second = called(&["B"], &[("1", 5, "G"), ("1", 6, "C"), ("2", 5, "G,T")]);
    let told = Arc::new(Told::default());
    let job = VcfJob {
        progress: Arc::clone(&told) as Arc<dyn Progress>,
        ..setup.job(&[setup.file("second.vcf", &second)])
    };
    job.run().await.unwrap();
    let said =
        "at 2 positions a sample of this job has other alleles from an earlier batch; both stand";
    assert_eq!(*told.0.lock(), [said]);
}

/// Of two jobs at once that call the same sample, the one that lands later must look again.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_lands_meanwhile_may_not_bring_its_samples() {
    let setup = Setup::new();
    let base = setup.lake.snapshot().await.unwrap();
    setup.load(&called(&["A"], &[("1", 5, "C")])).await.unwrap();
    let path = setup.file("later.vcf", called(&["A"], &[("1", 5, "C"), ("1", 6, "C")]));
    let job = setup.job(&[path]);
    let sources: Vec<Arc<Source>> = resolve(&job.inputs)
        .await
        .unwrap()
        .into_iter()
        .map(Arc::new)
        .collect();
    let opened = job.open_all(&sources, SCAN_BYTES).await.unwrap();
    let report = IngestReport::default();
    let error = job
        .meets_nobody_new(&base, &opened, &report)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Conflict { .. }), "{error}");
    let now = setup.lake.snapshot().await.unwrap();
    job.meets_nobody_new(&now, &opened, &report).await.unwrap();
}
