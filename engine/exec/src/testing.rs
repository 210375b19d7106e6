//! Test support: writes a dataset from genotype texts straight through the storage crate, and says what SQL must show.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::cast_possible_truncation
)]

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, Float32Builder, Int8Builder, Int16Builder, Int32Builder, Int64Builder,
    ListBuilder, RecordBatch, StringBuilder,
};
use arrow::datatypes::{DataType, Field, SchemaRef};
use genokura_core::codec::array::{ArrayEncoder, ArrayKind, ArrayRow, Relation};
use genokura_core::codec::{DefaultCall, RecordEncoder};
use genokura_core::contig::pos_bin;
use genokura_core::genotype::Genotype;
use genokura_core::schema::{
    FORMAT_PREFIX, FieldDef, FieldType, INFO_PREFIX, Number, PARTITION_COLUMN, format_schema,
    genotype_schema, headers_schema, samples_schema, site_schema,
};
use genokura_storage::{
    Batch, Block, CommitOutcome, Contig, InputRecord, Lake, LakeChange, NewFile, PartWriter,
    TableChange, TableId, WritePolicy,
};
use serde_json::json;

pub(crate) const DATASET: &str = "cohort";

/// One record of one input.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record {
    pub(crate) contig: &'static str,
    pub(crate) pos: i32,
    pub(crate) reference: String,
    /// Empty: ALT is `.`.
    pub(crate) alts: Vec<String>,
    pub(crate) qual: Option<f32>,
    pub(crate) info_dp: Option<i32>,
    /// Per sample; empty: no GT.
    pub(crate) gts: Vec<String>,
    /// Per sample `DP` and `AD`; empty: no such keys.
    pub(crate) dp: Vec<String>,
    pub(crate) ad: Vec<String>,
}

impl Record {
    pub(crate) fn new(contig: &'static str, pos: i32, alts: &[&str], gts: &[&str]) -> Self {
        Self {
            contig,
            pos,
            reference: "A".into(),
            alts: alts.iter().map(|a| (*a).to_owned()).collect(),
            gts: gts.iter().map(|g| (*g).to_owned()).collect(),
            qual: Some(f32::from(i16::try_from(pos % 100).unwrap())),
            info_dp: Some(pos * 2),
            ..Self::default()
        }
    }
}

/// One input file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Source {
    pub(crate) samples: Vec<String>,
    pub(crate) records: Vec<Record>,
}

impl Source {
    pub(crate) fn new(samples: &[&str], records: Vec<Record>) -> Self {
        Self {
            samples: samples.iter().map(|s| (*s).to_owned()).collect(),
            records,
        }
    }
}

/// How the tables are cut up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) block_samples: usize,
    /// Alleles of a window of the genotype table.
    pub(crate) window: usize,
    pub(crate) site_rows: usize,
    pub(crate) page_rows: usize,
    /// Rows of a site file.
    pub(crate) file_rows: usize,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            block_samples: 3,
            window: 4,
            site_rows: 8,
            page_rows: 2,
            file_rows: 1 << 20,
        }
    }
}

pub(crate) const CONTIGS: [(&str, u64); 4] = [
    ("chr2", 242_193_529),
    ("chr10", 133_797_422),
    ("chrM", 16_569),
    ("alt1", 5_000),
];

/// A lake with one dataset, one batch per call of [`Fixture::ingest`].
pub(crate) struct Fixture {
    pub(crate) lake: Arc<Lake>,
    pub(crate) batches: Vec<Vec<Source>>,
    shape: Shape,
}

struct SiteRow<'a> {
    source: usize,
    record: &'a Record,
    ordinal: usize,
    alt: usize,
}

impl SiteRow<'_> {
    fn alt_text(&self) -> Option<&str> {
        self.record.alts.get(self.alt).map(String::as_str)
    }

    fn key(&self) -> (usize, i32, &str, Option<&str>, usize) {
        let rank = rank(self.record.contig);
        (
            rank,
            self.record.pos,
            &self.record.reference,
            self.alt_text(),
            self.ordinal,
        )
    }
}

pub(crate) fn rank(contig: &str) -> usize {
    CONTIGS
        .iter()
        .position(|(name, _)| *name == contig)
        .unwrap()
}

fn bin(contig: &str, pos: i32) -> String {
    let length = CONTIGS[rank(contig)].1;
    pos_bin(contig, Some(length), pos)
}

pub(crate) fn info_fields() -> Vec<FieldDef> {
    vec![FieldDef::new(
        INFO_PREFIX,
        "DP",
        Number::Count(1),
        FieldType::Integer,
        "Depth",
    )]
}

pub(crate) fn format_fields() -> Vec<FieldDef> {
    vec![
        FieldDef::new(
            FORMAT_PREFIX,
            "GT",
            Number::Count(1),
            FieldType::String,
            "Genotype",
        ),
        FieldDef::new(
            FORMAT_PREFIX,
            "DP",
            Number::Count(1),
            FieldType::Integer,
            "Depth",
        ),
        FieldDef::new(FORMAT_PREFIX, "AD", Number::R, FieldType::Integer, "Depths"),
    ]
}

impl Fixture {
    pub(crate) fn new(shape: Shape) -> Self {
        Self {
            lake: Arc::new(Lake::memory()),
            batches: Vec::new(),
            shape,
        }
    }

    /// A dataset of these batches.
    pub(crate) async fn of(shape: Shape, batches: Vec<Vec<Source>>) -> Self {
        let mut fixture = Self::new(shape);
        for sources in batches {
            fixture.ingest(sources).await;
        }
        fixture
    }

    /// Writes one batch and commits it.
    pub(crate) async fn ingest(&mut self, sources: Vec<Source>) {
        let snapshot = self.lake.snapshot().await.unwrap();
        let batch = self.lake.reserve_batch(DATASET).await.unwrap();
        assert_eq!(batch as usize, self.batches.len());
        let mut state = snapshot.dataset(DATASET).cloned().unwrap_or_default();
        state.contigs = CONTIGS
            .iter()
            .map(|(name, length)| Contig {
                name: (*name).into(),
                length: Some(*length),
            })
            .collect();
        state.info = info_fields();
        state.format = format_fields();
        let plan = BatchPlan::new(batch, &sources, self.shape);
        state.blocks.extend(plan.blocks.iter().map(|b| Block {
            block: b.number,
            n_samples: b.samples.len() as u32,
        }));
        state.batches.push(Batch {
            batch,
            inputs: sources
                .iter()
                .enumerate()
                .map(|(i, _)| InputRecord {
                    digest: format!("{batch}/{i}"),
                    ..Default::default()
                })
                .collect(),
            rows: plan.rows.len() as u64,
        });
        let tables = vec![
            self.table(
                "site",
                site_schema(&state.info),
                plan.write_site(self).await,
                true,
            ),
            self.table(
                "genotype",
                genotype_schema(),
                plan.write_genotypes(self).await,
                true,
            ),
            self.table(
                "format",
                format_schema(&state.format),
                plan.write_formats(self).await,
                true,
            ),
            self.table(
                "samples",
                samples_schema(),
                plan.write_samples(self).await,
                false,
            ),
            self.table(
                "headers",
                headers_schema(),
                plan.write_headers(self).await,
                false,
            ),
        ];
        let change = LakeChange {
            operation: "ingest vcf".into(),
            dataset: Some((DATASET.into(), state)),
            tables,
            details: json!({}),
            ..LakeChange::default()
        };
        let outcome = self.lake.commit(&snapshot, change).await.unwrap();
        assert!(
            matches!(outcome, CommitOutcome::Committed(_)),
            "{outcome:?}"
        );
        self.batches.push(sources);
    }

    fn table(&self, name: &str, schema: SchemaRef, add: Vec<NewFile>, bins: bool) -> TableChange {
        let mut fields: Vec<_> = schema.fields().iter().cloned().collect();
        let partition_columns = if bins {
            fields.push(Arc::new(Field::new(
                PARTITION_COLUMN,
                DataType::Utf8,
                false,
            )));
            vec![PARTITION_COLUMN.to_owned()]
        } else {
            Vec::new()
        };
        TableChange {
            id: TableId::new(DATASET, name),
            schema: Arc::new(arrow::datatypes::Schema::new(fields)),
            partition_columns,
            add,
            replace: false,
        }
    }
}

struct PlannedBlock {
    number: i32,
    /// Names, and the inputs that have them.
    samples: Vec<String>,
    sources: Vec<usize>,
    /// First sample of the input's list.
    from: usize,
}

struct BatchPlan<'a> {
    batch: u32,
    sources: &'a [Source],
    shape: Shape,
    blocks: Vec<PlannedBlock>,
    rows: Vec<SiteRow<'a>>,
    /// (source, record) by ordinal.
    records: Vec<(usize, &'a Record)>,
}

impl<'a> BatchPlan<'a> {
    fn new(batch: u32, sources: &'a [Source], shape: Shape) -> Self {
        let mut blocks: Vec<PlannedBlock> = Vec::new();
        for (i, source) in sources.iter().enumerate() {
            let known = sources[..i]
                .iter()
                .position(|s| s.samples == source.samples);
            if let Some(known) = known {
                for block in blocks.iter_mut().filter(|b| b.sources.contains(&known)) {
                    block.sources.push(i);
                }
                continue;
            }
            for (k, samples) in source.samples.chunks(shape.block_samples).enumerate() {
                blocks.push(PlannedBlock {
                    number: (batch << 12) as i32 | blocks.len() as i32,
                    samples: samples.to_vec(),
                    sources: vec![i],
                    from: k * shape.block_samples,
                });
            }
        }
        let mut records: Vec<(usize, &Record)> = sources
            .iter()
            .enumerate()
            .flat_map(|(i, s)| s.records.iter().map(move |r| (i, r)))
            .collect();
        records.sort_by_key(|(_, r)| (rank(r.contig), r.pos));
        let mut rows = Vec::new();
        for (ordinal, &(source, record)) in records.iter().enumerate() {
            for alt in 0..record.alts.len().max(1) {
                rows.push(SiteRow {
                    source,
                    record,
                    ordinal,
                    alt,
                });
            }
        }
        rows.sort_by(|a, b| a.key().cmp(&b.key()));
        Self {
            batch,
            sources,
            shape,
            blocks,
            rows,
            records,
        }
    }

    fn vid(&self, row: usize) -> i64 {
        i64::from(self.batch) << 40 | row as i64
    }

    fn blocks_of(&self, source: usize) -> impl Iterator<Item = &PlannedBlock> {
        self.blocks
            .iter()
            .filter(move |b| b.sources.contains(&source))
    }

    fn writer(&self, fixture: &Fixture, table: &str, schema: SchemaRef, rows: usize) -> PartWriter {
        let policy = WritePolicy {
            row_group_rows: rows,
            page_rows: self.shape.page_rows,
            caller_ends_row_groups: table == "genotype" || table == "format",
            ..match table {
                "site" => WritePolicy::site(),
                "genotype" => WritePolicy::genotype(),
                "format" => WritePolicy::format(),
                _ => WritePolicy::plain(),
            }
        };
        PartWriter::new(&fixture.lake, &TableId::new(DATASET, table), schema, policy)
    }

    async fn write_site(&self, fixture: &Fixture) -> Vec<NewFile> {
        let schema = site_schema(&info_fields());
        let mut files = Vec::new();
        let mut start = 0;
        while start < self.rows.len() {
            let of = |row: &SiteRow<'_>| bin(row.record.contig, row.record.pos);
            let first = of(&self.rows[start]);
            let mut end = start;
            while end < self.rows.len()
                && of(&self.rows[end]) == first
                && end - start < self.shape.file_rows
            {
                end += 1;
            }
            let mut writer =
                self.writer(fixture, "site", Arc::clone(&schema), self.shape.site_rows);
            // One row at a time, so that the writer looks at its limits.
            for row in start..end {
                writer
                    .write(Some(&first), &self.site_batch(&schema, row..row + 1))
                    .await
                    .unwrap();
            }
            files.extend(writer.finish().await.unwrap());
            start = end;
        }
        files
    }

    fn site_batch(&self, schema: &SchemaRef, rows: std::ops::Range<usize>) -> RecordBatch {
        let mut columns: Vec<ArrayRef> = Vec::new();
        for field in schema.fields() {
            columns.push(self.site_column(field, rows.clone()));
        }
        RecordBatch::try_new(Arc::clone(schema), columns).unwrap()
    }

    fn site_column(&self, field: &Field, rows: std::ops::Range<usize>) -> ArrayRef {
        let name = field.name().as_str();
        let each = || rows.clone().map(|i| (i, &self.rows[i]));
        match field.data_type() {
            DataType::Int64 => {
                let mut b = Int64Builder::new();
                for (i, row) in each() {
                    b.append_value(match name {
                        "vid" => self.vid(i),
                        "record" => self.vid(row.ordinal),
                        other => panic!("{other}"),
                    });
                }
                Arc::new(b.finish())
            }
            DataType::Int32 => {
                let mut b = Int32Builder::new();
                for (_, row) in each() {
                    b.append_option(self.site_int(name, row));
                }
                Arc::new(b.finish())
            }
            DataType::Int16 => {
                let mut b = Int16Builder::new();
                for (_, row) in each() {
                    b.append_value(alt_index(row) as i16);
                }
                Arc::new(b.finish())
            }
            DataType::Int8 => {
                let mut b = Int8Builder::new();
                for (_, row) in each() {
                    b.append_value(default_of(row.record) as u8 as i8);
                }
                Arc::new(b.finish())
            }
            DataType::Float32 => {
                let mut b = Float32Builder::new();
                for (_, row) in each() {
                    b.append_option(row.record.qual);
                }
                Arc::new(b.finish())
            }
            DataType::Utf8 => {
                let mut b = StringBuilder::new();
                for (_, row) in each() {
                    b.append_option(match name {
                        "contig" => Some(row.record.contig),
                        "ref" | "vcf_ref" => Some(row.record.reference.as_str()),
                        "alt" => row.alt_text(),
                        "variant_type" => Some("SNV"),
                        _ => None,
                    });
                }
                Arc::new(b.finish())
            }
            DataType::List(item) => {
                let mut b = ListBuilder::new(StringBuilder::new()).with_field(Arc::clone(item));
                for (_, row) in each() {
                    match name {
                        "vcf_alts" if !row.record.alts.is_empty() => {
                            b.append_value(row.record.alts.iter().map(Some));
                        }
                        "filters" => b.append_value([Some("PASS")]),
                        _ => b.append_null(),
                    }
                }
                Arc::new(b.finish())
            }
            other => panic!("{other}"),
        }
    }

    fn site_int(&self, name: &str, row: &SiteRow<'_>) -> Option<i32> {
        let counts = Counts::of(&row.record.gts, alt_index(row));
        let numbers: Vec<i32> = self.blocks_of(row.source).map(|b| b.number).collect();
        Some(match name {
            "pos" | "vcf_pos" => row.record.pos,
            "end_pos" => row.record.pos + row.record.reference.len() as i32 - 1,
            "ac" => counts.ac,
            "an" => counts.an,
            "n_het" => counts.n_het,
            "n_hom_alt" => counts.n_hom_alt,
            "n_missing" => counts.n_missing,
            "block_from" => return numbers.first().copied(),
            "block_to" => return numbers.last().copied(),
            "source" => row.source as i32,
            "info_dp" => return row.record.info_dp,
            other => panic!("{other}"),
        })
    }

    async fn write_genotypes(&self, fixture: &Fixture) -> Vec<NewFile> {
        let schema = genotype_schema();
        let mut writer = self.writer(fixture, "genotype", Arc::clone(&schema), 1 << 20);
        let mut encoder = RecordEncoder::new();
        let mut windows: Vec<(String, Vec<usize>)> = Vec::new();
        for (i, row) in self.rows.iter().enumerate() {
            let bin = bin(row.record.contig, row.record.pos);
            match windows.last_mut() {
                Some((b, rows))
                    if *b == bin && rows[0] / self.shape.window == i / self.shape.window =>
                {
                    rows.push(i);
                }
                _ => windows.push((bin, vec![i])),
            }
        }
        for (bin, rows) in &windows {
            for block in &self.blocks {
                for &i in rows {
                    let row = &self.rows[i];
                    if !block.sources.contains(&row.source) {
                        continue;
                    }
                    let gts = part(&row.record.gts, block);
                    let default = default_of(row.record);
                    let alts = row.record.alts.len() as u16;
                    encoder.begin(block.samples.len() as u32, alts, default);
                    for (s, gt) in gts.iter().enumerate() {
                        encoder.call(s as u32, gt.as_bytes()).unwrap();
                    }
                    let mut blob = Vec::new();
                    let encoded = encoder.finish(alt_index(row), &mut blob);
                    if encoded.is_default {
                        continue;
                    }
                    let batch = self.genotype_batch(&schema, i, block, &blob, encoded.counts);
                    writer.write(Some(bin), &batch).await.unwrap();
                }
                writer.end_row_group().await.unwrap();
            }
        }
        writer.finish().await.unwrap()
    }

    fn genotype_batch(
        &self,
        schema: &SchemaRef,
        i: usize,
        block: &PlannedBlock,
        blob: &[u8],
        counts: genokura_core::codec::AlleleCounts,
    ) -> RecordBatch {
        let row = &self.rows[i];
        let mut gt = BinaryBuilder::new();
        gt.append_value(blob);
        let int = |v: i32| Arc::new(arrow::array::Int32Array::from(vec![v])) as ArrayRef;
        let columns: Vec<ArrayRef> = vec![
            Arc::new(arrow::array::Int64Array::from(vec![self.vid(i)])),
            int(block.number),
            Arc::new(arrow::array::StringArray::from(vec![row.record.contig])),
            int(counts.ac),
            int(counts.an),
            int(counts.n_missing),
            Arc::new(gt.finish()),
        ];
        RecordBatch::try_new(Arc::clone(schema), columns).unwrap()
    }

    async fn write_formats(&self, fixture: &Fixture) -> Vec<NewFile> {
        let schema = format_schema(&format_fields());
        let mut writer = self.writer(fixture, "format", Arc::clone(&schema), 1 << 20);
        let mut windows: Vec<(String, Vec<usize>)> = Vec::new();
        for (ordinal, (_, record)) in self.records.iter().enumerate() {
            if record.dp.is_empty() && record.ad.is_empty() {
                continue;
            }
            let bin = bin(record.contig, record.pos);
            match windows.last_mut() {
                Some((b, records))
                    if *b == bin
                        && records[0] / self.shape.window == ordinal / self.shape.window =>
                {
                    records.push(ordinal);
                }
                _ => windows.push((bin, vec![ordinal])),
            }
        }
        for (bin, records) in &windows {
            for block in &self.blocks {
                for &ordinal in records {
                    if block.sources.contains(&self.records[ordinal].0) {
                        let batch = self.format_batch(&schema, ordinal, block);
                        writer.write(Some(bin), &batch).await.unwrap();
                    }
                }
                writer.end_row_group().await.unwrap();
            }
        }
        writer.finish().await.unwrap()
    }

    fn format_batch(
        &self,
        schema: &SchemaRef,
        ordinal: usize,
        block: &PlannedBlock,
    ) -> RecordBatch {
        let record = self.records[ordinal].1;
        let mut encoder = ArrayEncoder::new();
        let mut blobs: Vec<Option<Vec<u8>>> = Vec::new();
        for texts in [&record.dp, &record.ad] {
            encoder.begin(ArrayKind::Integer, block.samples.len() as u32);
            for (s, text) in part(texts, block).iter().enumerate() {
                encoder.push_text(s as u32, text.as_bytes());
            }
            let mut blob = Vec::new();
            // AD is relative to DP, as the ingest writes it.
            let is_written = match blobs.first() {
                Some(Some(dp)) => {
                    let dp = ArrayRow::parse(dp).unwrap();
                    encoder.finish_given(Relation::RestOfBase, &dp, &mut blob)
                }
                _ => encoder.finish(&mut blob),
            };
            blobs.push(is_written.then_some(blob));
        }
        let binary = |blob: &Option<Vec<u8>>| {
            let mut b = BinaryBuilder::new();
            b.append_option(blob.as_deref());
            Arc::new(b.finish()) as ArrayRef
        };
        let columns: Vec<ArrayRef> = vec![
            Arc::new(arrow::array::Int64Array::from(vec![self.vid(ordinal)])),
            Arc::new(arrow::array::Int32Array::from(vec![block.number])),
            Arc::new(arrow::array::StringArray::from(vec![record.contig])),
            Arc::new(arrow::array::Int32Array::from(vec![record.pos])),
            binary(&blobs[0]),
            binary(&blobs[1]),
        ];
        RecordBatch::try_new(Arc::clone(schema), columns).unwrap()
    }

    async fn write_samples(&self, fixture: &Fixture) -> Vec<NewFile> {
        let schema = samples_schema();
        let mut rows = Vec::new();
        for block in &self.blocks {
            for &source in &block.sources {
                for (i, name) in block.samples.iter().enumerate() {
                    rows.push((name, source as i32, block.number, i as i32));
                }
            }
        }
        if rows.is_empty() {
            return Vec::new();
        }
        let columns = schema.fields().iter().map(|field| -> ArrayRef {
            match field.data_type() {
                DataType::Utf8 if field.name() == "sample_id" => Arc::new(
                    arrow::array::StringArray::from_iter_values(rows.iter().map(|r| r.0)),
                ),
                DataType::Int32 => Arc::new(arrow::array::Int32Array::from_iter_values(
                    rows.iter().map(|r| match field.name().as_str() {
                        "batch" => self.batch as i32,
                        "source" => r.1,
                        "block" => r.2,
                        _ => r.3,
                    }),
                )),
                DataType::Int64 => Arc::new(arrow::array::Int64Array::from(vec![1; rows.len()])),
                other => arrow::array::new_null_array(other, rows.len()),
            }
        });
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns.collect()).unwrap();
        let mut writer = self.writer(fixture, "samples", schema, 1 << 20);
        writer.write(None, &batch).await.unwrap();
        writer.finish().await.unwrap()
    }

    async fn write_headers(&self, fixture: &Fixture) -> Vec<NewFile> {
        let schema = headers_schema();
        let mut writer = self.writer(fixture, "headers", Arc::clone(&schema), 1 << 20);
        for (i, source) in self.sources.iter().enumerate() {
            let chrom = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT".to_owned();
            let line = [vec![chrom], source.samples.clone()].concat().join("\t");
            let int = |v: i32| Arc::new(arrow::array::Int32Array::from(vec![v; 2])) as ArrayRef;
            let columns: Vec<ArrayRef> = vec![
                int(self.batch as i32),
                int(i as i32),
                Arc::new(arrow::array::Int32Array::from(vec![1, 2])),
                Arc::new(arrow::array::StringArray::from(vec!["fileformat", "CHROM"])),
                Arc::new(arrow::array::StringArray::from(vec![None::<&str>, None])),
                Arc::new(arrow::array::StringArray::from(vec![
                    "##fileformat=VCFv4.2".to_owned(),
                    line,
                ])),
            ];
            let batch = RecordBatch::try_new(Arc::clone(&schema), columns).unwrap();
            writer.write(None, &batch).await.unwrap();
        }
        writer.finish().await.unwrap()
    }
}

fn part<'t>(texts: &'t [String], block: &PlannedBlock) -> &'t [String] {
    if texts.is_empty() {
        &[]
    } else {
        &texts[block.from..block.from + block.samples.len()]
    }
}

fn alt_index(row: &SiteRow<'_>) -> u16 {
    if row.record.alts.is_empty() {
        0
    } else {
        row.alt as u16 + 1
    }
}

/// The commonest call that a default can be.
fn default_of(record: &Record) -> DefaultCall {
    if record.gts.is_empty() {
        return DefaultCall::None;
    }
    let mut counts: BTreeMap<u8, usize> = BTreeMap::new();
    for gt in &record.gts {
        if let Some(default) = DefaultCall::of_text(gt.as_bytes()) {
            *counts.entry(default as u8).or_default() += 1;
        }
    }
    let best = counts.into_iter().max_by_key(|(_, n)| *n);
    best.and_then(|(d, _)| DefaultCall::from_u8(d))
        .unwrap_or(DefaultCall::Unphased)
}

/// Counts by the texts alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) ac: i32,
    pub(crate) an: i32,
    pub(crate) n_het: i32,
    pub(crate) n_hom_alt: i32,
    pub(crate) n_missing: i32,
}

impl Counts {
    pub(crate) fn of<'g>(gts: impl IntoIterator<Item = &'g String>, alt: u16) -> Self {
        let mut counts = Self::default();
        for gt in gts {
            let gt = Genotype::parse(gt.as_bytes()).unwrap();
            counts.an += gt.alleles.iter().flatten().count() as i32;
            counts.ac += i32::from(gt.dosage(alt).unwrap_or(0)) * i32::from(alt > 0);
            counts.n_het += i32::from(alt > 0 && gt.is_het(alt));
            counts.n_hom_alt += i32::from(alt > 0 && gt.is_hom_alt(alt));
            counts.n_missing += i32::from(gt.is_missing());
        }
        counts
    }
}

/// One member row of an expected variant: its input and which ALT of which record.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    pub(crate) contig: &'static str,
    pub(crate) pos: i32,
    pub(crate) reference: String,
    pub(crate) alt: Option<String>,
    pub(crate) qual: Option<f32>,
    /// Sample, genotype text (`None`: no GT), DP text, AD text, ALT number.
    pub(crate) calls: Vec<ExpectedCall>,
    origin: Vec<(usize, usize, usize)>,
}

#[derive(Clone, Debug)]
pub(crate) struct ExpectedCall {
    pub(crate) sample: String,
    pub(crate) gt: Option<String>,
    pub(crate) dp: Option<String>,
    pub(crate) ad: Option<String>,
    pub(crate) alt: u16,
}

impl Expected {
    pub(crate) fn counts(&self, sees: impl Fn(&str) -> bool) -> Counts {
        let mut sum = Counts::default();
        for call in self.calls.iter().filter(|c| sees(&c.sample)) {
            let one = Counts::of(&call.gt, call.alt);
            sum.ac += one.ac;
            sum.an += one.an;
            sum.n_het += one.n_het;
            sum.n_hom_alt += one.n_hom_alt;
            sum.n_missing += one.n_missing;
        }
        sum
    }
}

/// What `variants` must show, in the order of the genome: merged by comparing every pair of rows.
pub(crate) fn expected(batches: &[Vec<Source>]) -> Vec<Expected> {
    let mut rows: Vec<Expected> = Vec::new();
    for (b, sources) in batches.iter().enumerate() {
        let mut of_batch: Vec<Expected> = Vec::new();
        let mut ordinals: Vec<(usize, usize)> = sources
            .iter()
            .enumerate()
            .flat_map(|(s, source)| (0..source.records.len()).map(move |r| (s, r)))
            .collect();
        ordinals.sort_by_key(|&(s, r)| {
            let record = &sources[s].records[r];
            (rank(record.contig), record.pos)
        });
        for (ordinal, &(s, r)) in ordinals.iter().enumerate() {
            let (source, record) = (&sources[s], &sources[s].records[r]);
            for alt in 0..record.alts.len().max(1) {
                let text = |texts: &[String], i: usize| texts.get(i).cloned();
                let calls = source
                    .samples
                    .iter()
                    .enumerate()
                    .map(|(i, name)| ExpectedCall {
                        sample: name.clone(),
                        gt: text(&record.gts, i),
                        dp: text(&record.dp, i),
                        ad: text(&record.ad, i),
                        alt: if record.alts.is_empty() {
                            0
                        } else {
                            alt as u16 + 1
                        },
                    });
                of_batch.push(Expected {
                    contig: record.contig,
                    pos: record.pos,
                    reference: record.reference.clone(),
                    alt: record.alts.get(alt).cloned(),
                    qual: record.qual,
                    calls: calls.collect(),
                    origin: vec![(b, s, ordinal)],
                });
            }
        }
        of_batch.sort_by(|a, b| sort_key(a).cmp(&sort_key(b)));
        rows.extend(of_batch);
    }
    let mut merged: Vec<Expected> = Vec::new();
    for row in rows {
        let home = merged
            .iter_mut()
            .find(|m| same_variant(m, &row) && joins(m, &row));
        match home {
            Some(m) => {
                m.calls.extend(row.calls);
                m.origin.extend(row.origin);
            }
            None => merged.push(row),
        }
    }
    merged.sort_by(|a, b| sort_key(a).cmp(&sort_key(b)));
    merged
}

type SortKey<'a> = (usize, i32, &'a str, Option<&'a str>, usize, usize);

fn sort_key(e: &Expected) -> SortKey<'_> {
    let (batch, _, ordinal) = e.origin[0];
    (
        rank(e.contig),
        e.pos,
        &e.reference,
        e.alt.as_deref(),
        batch,
        ordinal,
    )
}

fn same_variant(a: &Expected, b: &Expected) -> bool {
    (a.contig, a.pos, &a.reference, &a.alt) == (b.contig, b.pos, &b.reference, &b.alt)
}

fn joins(group: &Expected, row: &Expected) -> bool {
    let (batch, source, _) = row.origin[0];
    let other_source = group
        .origin
        .iter()
        .all(|&(b, s, _)| (b, s) != (batch, source));
    let disjoint = row
        .calls
        .iter()
        .all(|c| group.calls.iter().all(|other| other.sample != c.sample));
    let sites_only = |calls: &[ExpectedCall]| calls.is_empty();
    let own_batch = group.origin.iter().any(|&(b, ..)| b == batch);
    let bare = sites_only(&row.calls) || sites_only(&group.calls);
    other_source && disjoint && !(bare && own_batch)
}
