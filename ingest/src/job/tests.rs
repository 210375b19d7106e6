//! The job end to end, on lakes in memory.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod again;
mod inputs;
mod records;
mod refused;

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

const RECORDS: &[&str] = &[
    "chr1 100 rs1;x A G 50 PASS DP=10;AF=0.5;DB GT:DP:AD 0|1:10:5,5 0/0:8 ./.",
    "chr1 200 . AT A,ATT . q10 DP=7;AF=0.25,0.125 GT 1/2 0|2 0/0/1",
    "chr1 200 . AT A,ATT 3 . . GT:DP .:5 . 0:.",
    "chr1 300 . C . 20 PASS AD=4 GT 0/0 0/0 ./0",
    "chr2 1 . G <DEL> . . DB GT 0|0 0|0 0|0",
    "chr2 5 . G T . . DP=3 DP 1 2 .",
];

const BOTH: [&str; 2] = ["A", "B"];
