//! Checked records to Arrow columns, chunk by chunk.
//!
//! A [`ParsedChunk`] holds the rows of its records in record order, without the ids (vid, record)
//! that only the assembler can give: `sites` one row per ALT, `genotypes` one row per ALT and
//! block that is not all default, `formats` one row per record and block with a FORMAT value.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow_array::builder::{
    BinaryBuilder, BooleanBuilder, Float32Builder, Int8Builder, Int16Builder, Int32Builder,
    ListBuilder, StringBuilder,
};
use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, Int32Array, RecordBatch, StringArray};
use genokura_core::schema::{FieldDef, FieldType, Number};

use crate::error::{Error, Result};
use crate::plan::{InputPlan, Layout};
use crate::quarantine::Refusal;
use crate::vcf::annotation_cells::Misfit;
use crate::vcf::genotypes::{FormatCell, Genotypes};
use crate::vcf::info::{Info, Slot};
use crate::vcf::{Allele, Fields};

/// Where the rows of one record end in the tables of its chunk; they begin where those of the
/// record before it end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct RecordEnd {
    /// Index in [`ParsedChunk::contigs`].
    pub(crate) contig: u32,
    pub(crate) vcf_pos: i32,
    pub(crate) sites: u32,
    pub(crate) genotypes: u32,
    pub(crate) formats: u32,
}

/// The rows of a chunk.
#[derive(Debug)]
pub(crate) struct Rows {
    /// Tells this chunk from every other of the process.
    pub(crate) id: u64,
    pub(crate) sites: RecordBatch,
    pub(crate) genotypes: RecordBatch,
    /// ALT number (0: none) of each row of `genotypes`.
    pub(crate) genotype_alts: Vec<u16>,
    pub(crate) formats: RecordBatch,
    /// What rows of `sites` are ordered by.
    pub(crate) order: SiteOrder,
}

/// Columns of site rows that are looked at one by one.
#[derive(Debug)]
pub(crate) struct SiteOrder {
    pub(crate) pos: Int32Array,
    pub(crate) reference: StringArray,
    pub(crate) alternate: StringArray,
}

impl Rows {
    pub(crate) fn new(
        sites: RecordBatch,
        genotypes: RecordBatch,
        genotype_alts: Vec<u16>,
        formats: RecordBatch,
    ) -> Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let column = |name: &str| {
            sites
                .column_by_name(name)
                .ok_or_else(|| Error::Internal(format!("column {name} is missing")))
        };
        let order = SiteOrder {
            pos: column("pos")?.as_primitive::<Int32Type>().clone(),
            reference: column("ref")?.as_string::<i32>().clone(),
            alternate: column("alt")?.as_string::<i32>().clone(),
        };
        Ok(Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            sites,
            genotypes,
            genotype_alts,
            formats,
            order,
        })
    }

    pub(crate) fn bytes(&self) -> usize {
        self.sites.get_array_memory_size()
            + self.genotypes.get_array_memory_size()
            + self.formats.get_array_memory_size()
    }
}

/// What a worker made of a chunk.
#[derive(Debug)]
pub(crate) struct ParsedChunk {
    /// Lines of text (or records of BCF) in the chunk, whatever they hold.
    pub(crate) n_lines: u64,
    pub(crate) contigs: Vec<String>,
    pub(crate) records: Vec<RecordEnd>,
    pub(crate) rows: Arc<Rows>,
    /// `line` counts from 0 within the chunk.
    pub(crate) refusals: Vec<Refusal>,
    /// The first entries of annotations that do not fit the Format; `line` counts as above.
    pub(crate) misfits: Vec<Misfit>,
    /// Some record uses an INFO or FORMAT key that has no column.
    pub(crate) undeclared: bool,
}

/// Builds the columns of chunks; reused from chunk to chunk.
pub(crate) struct ChunkBuilder {
    layout: Arc<Layout>,
    contigs: Vec<String>,
    records: Vec<RecordEnd>,
    refusals: Vec<Refusal>,
    misfits: Vec<Misfit>,
    pub(crate) undeclared: bool,
    sites: SiteColumns,
    genotypes: GenotypeColumns,
    formats: FormatColumns,
}

impl ChunkBuilder {
    pub(crate) fn new(layout: Arc<Layout>) -> Self {
        Self {
            contigs: Vec::new(),
            records: Vec::new(),
            refusals: Vec::new(),
            misfits: Vec::new(),
            undeclared: false,
            sites: SiteColumns::new(&layout.info),
            genotypes: GenotypeColumns::default(),
            formats: FormatColumns::new(layout.format.len()),
            layout,
        }
    }

    /// Notes an entry of an annotation that does not fit.
    pub(crate) fn misfit(&mut self, misfit: Misfit) {
        misfit.keep(&mut self.misfits);
    }

    pub(crate) fn refuse(&mut self, refusal: Refusal) {
        self.refusals.push(refusal);
    }

    /// Appends a record that is checked.
    pub(crate) fn record(
        &mut self,
        fields: &Fields<'_>,
        alleles: &[Allele<'_>],
        info: &Info,
        genotypes: &Genotypes,
        input: &InputPlan,
    ) {
        let contig = self.contig(fields.contig);
        self.sites
            .append(fields, alleles, info, genotypes, input, &self.layout.info);
        self.genotypes.append(fields, genotypes, input);
        self.formats.append(fields, genotypes, input);
        self.records.push(RecordEnd {
            contig,
            vcf_pos: fields.pos,
            sites: self.sites.n_rows,
            genotypes: self.genotypes.n_rows,
            formats: self.formats.n_rows,
        });
    }

    fn contig(&mut self, name: &str) -> u32 {
        // Files are mostly sorted: the last one seen is nearly always right.
        let found = self.contigs.iter().rposition(|c| c == name);
        let index = found.unwrap_or_else(|| {
            self.contigs.push(name.to_owned());
            self.contigs.len() - 1
        });
        u32::try_from(index).unwrap_or(u32::MAX)
    }

    /// The rows since the last call.
    pub(crate) fn finish(&mut self, n_lines: u64) -> Result<ParsedChunk> {
        let genotypes = self.genotypes.finish();
        let rows = Rows::new(
            RecordBatch::try_new(Arc::clone(&self.layout.site), self.sites.finish())?,
            RecordBatch::try_new(Arc::clone(&self.layout.genotype), genotypes)?,
            std::mem::take(&mut self.genotypes.alts),
            RecordBatch::try_new(
                Arc::clone(&self.layout.format_schema),
                self.formats.finish(),
            )?,
        )?;
        Ok(ParsedChunk {
            n_lines,
            contigs: std::mem::take(&mut self.contigs),
            records: std::mem::take(&mut self.records),
            rows: Arc::new(rows),
            refusals: std::mem::take(&mut self.refusals),
            misfits: std::mem::take(&mut self.misfits),
            undeclared: std::mem::take(&mut self.undeclared),
        })
    }
}

type Texts = ListBuilder<StringBuilder>;

/// The site table without vid and record.
struct SiteColumns {
    n_rows: u32,
    contig: StringBuilder,
    pos: Int32Builder,
    end_pos: Int32Builder,
    reference: StringBuilder,
    alternate: StringBuilder,
    vcf_pos: Int32Builder,
    vcf_ref: StringBuilder,
    vcf_alts: Texts,
    alt_index: Int16Builder,
    ids: Texts,
    qual: Float32Builder,
    filters: Texts,
    variant_type: StringBuilder,
    counts: [Int32Builder; 5],
    gt_default: Int8Builder,
    info_order: StringBuilder,
    info_raw: StringBuilder,
    format_keys: StringBuilder,
    block_from: Int32Builder,
    block_to: Int32Builder,
    source: Int32Builder,
    info: Vec<InfoColumn>,
}

fn texts() -> Texts {
    ListBuilder::new(StringBuilder::new())
}

impl SiteColumns {
    fn new(info: &[FieldDef]) -> Self {
        Self {
            n_rows: 0,
            contig: StringBuilder::new(),
            pos: Int32Builder::new(),
            end_pos: Int32Builder::new(),
            reference: StringBuilder::new(),
            alternate: StringBuilder::new(),
            vcf_pos: Int32Builder::new(),
            vcf_ref: StringBuilder::new(),
            vcf_alts: texts(),
            alt_index: Int16Builder::new(),
            ids: texts(),
            qual: Float32Builder::new(),
            filters: texts(),
            variant_type: StringBuilder::new(),
            counts: std::array::from_fn(|_| Int32Builder::new()),
            gt_default: Int8Builder::new(),
            info_order: StringBuilder::new(),
            info_raw: StringBuilder::new(),
            format_keys: StringBuilder::new(),
            block_from: Int32Builder::new(),
            block_to: Int32Builder::new(),
            source: Int32Builder::new(),
            info: info.iter().map(InfoColumn::new).collect(),
        }
    }

    fn append(
        &mut self,
        fields: &Fields<'_>,
        alleles: &[Allele<'_>],
        info: &Info,
        genotypes: &Genotypes,
        input: &InputPlan,
        defs: &[FieldDef],
    ) {
        for (i, allele) in alleles.iter().enumerate() {
            self.n_rows += 1;
            self.append_allele(allele, genotypes, i);
            self.append_record(fields, info, genotypes, input);
            let alt_index = if fields.alts.is_empty() { 0 } else { i + 1 };
            self.alt_index
                .append_value(i16::try_from(alt_index).unwrap_or(i16::MAX));
            for ((column, slot), def) in self.info.iter_mut().zip(&info.slots).zip(defs) {
                column.append(*slot, info, fields.info, def.number, alt_index);
            }
        }
    }

    fn append_allele(&mut self, allele: &Allele<'_>, genotypes: &Genotypes, i: usize) {
        self.pos.append_value(allele.pos);
        self.end_pos.append_value(allele.end_pos);
        self.reference.append_value(text(&allele.reference));
        self.alternate
            .append_option(allele.alternate.as_deref().map(text));
        self.variant_type.append_value(allele.kind.as_str());
        let c = genotypes.counts.get(i).copied().unwrap_or_default();
        for (column, n) in
            self.counts
                .iter_mut()
                .zip([c.ac, c.an, c.n_het, c.n_hom_alt, c.n_missing])
        {
            column.append_value(n);
        }
    }

    fn append_record(
        &mut self,
        fields: &Fields<'_>,
        info: &Info,
        genotypes: &Genotypes,
        input: &InputPlan,
    ) {
        self.contig.append_value(fields.contig);
        self.vcf_pos.append_value(fields.pos);
        self.vcf_ref.append_value(fields.reference);
        for alt in &fields.alts {
            self.vcf_alts.values().append_value(alt);
        }
        self.vcf_alts.append(!fields.alts.is_empty());
        append_list(&mut self.ids, fields.id);
        self.qual.append_option(fields.qual);
        append_list(&mut self.filters, fields.filter);
        self.gt_default.append_value(genotypes.default as i8);
        self.info_order
            .append_option((!info.is_missing).then_some(info.order.as_str()));
        self.info_raw
            .append_option((!info.raw.is_empty()).then_some(info.raw.as_str()));
        self.format_keys.append_option(fields.format);
        self.block_from
            .append_option(input.blocks.first().map(|b| b.block));
        self.block_to
            .append_option(input.blocks.last().map(|b| b.block));
        self.source.append_value(input.source);
    }

    fn finish(&mut self) -> Vec<ArrayRef> {
        self.n_rows = 0;
        let [ac, an, n_het, n_hom_alt, n_missing] = &mut self.counts;
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(self.contig.finish()),
            Arc::new(self.pos.finish()),
            Arc::new(self.end_pos.finish()),
            Arc::new(self.reference.finish()),
            Arc::new(self.alternate.finish()),
            Arc::new(self.vcf_pos.finish()),
            Arc::new(self.vcf_ref.finish()),
            Arc::new(self.vcf_alts.finish()),
            Arc::new(self.alt_index.finish()),
            Arc::new(self.ids.finish()),
            Arc::new(self.qual.finish()),
            Arc::new(self.filters.finish()),
            Arc::new(self.variant_type.finish()),
            Arc::new(ac.finish()),
            Arc::new(an.finish()),
            Arc::new(n_het.finish()),
            Arc::new(n_hom_alt.finish()),
            Arc::new(n_missing.finish()),
            Arc::new(self.gt_default.finish()),
            Arc::new(self.info_order.finish()),
            Arc::new(self.info_raw.finish()),
            Arc::new(self.format_keys.finish()),
            Arc::new(self.block_from.finish()),
            Arc::new(self.block_to.finish()),
            Arc::new(self.source.finish()),
        ];
        columns.extend(self.info.iter_mut().map(InfoColumn::finish));
        columns
    }
}

/// Alleles are plain bases or stood in a checked column, so they are text.
fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// A `;` list, NULL for `.`.
fn append_list(list: &mut Texts, items: Option<&str>) {
    for item in items.into_iter().flat_map(|items| items.split(';')) {
        list.values().append_value(item);
    }
    list.append(items.is_some());
}

/// The typed column of one INFO key.
enum InfoColumn {
    Flag(BooleanBuilder),
    Integer(Int32Builder),
    Float(Float32Builder),
    Text(StringBuilder),
    Integers(ListBuilder<Int32Builder>),
    Floats(ListBuilder<Float32Builder>),
    Texts(Texts),
}

impl InfoColumn {
    fn new(field: &FieldDef) -> Self {
        let is_scalar = matches!(field.number, Number::Count(1) | Number::A);
        match (field.ty, is_scalar) {
            (FieldType::Flag, _) => Self::Flag(BooleanBuilder::new()),
            (FieldType::Integer, true) => Self::Integer(Int32Builder::new()),
            (FieldType::Float, true) => Self::Float(Float32Builder::new()),
            (FieldType::String | FieldType::Character, true) => Self::Text(StringBuilder::new()),
            (FieldType::Integer, false) => Self::Integers(ListBuilder::new(Int32Builder::new())),
            (FieldType::Float, false) => Self::Floats(ListBuilder::new(Float32Builder::new())),
            (FieldType::String | FieldType::Character, false) => Self::Texts(texts()),
        }
    }

    /// Appends the value that ALT `alt_index` (0: no ALT) has.
    fn append(&mut self, slot: Slot, info: &Info, text: &str, number: Number, alt_index: usize) {
        let Slot::Values(from, to) = slot else {
            return self.append_without_value(slot);
        };
        let picked = match number {
            Number::A => Picked::One(from + alt_index.saturating_sub(1)),
            Number::Count(1) => Picked::One(from),
            Number::R if alt_index > 0 => Picked::Pair(from, from + alt_index),
            Number::R => Picked::Range(from, from + 1),
            _ => Picked::Range(from, to),
        };
        let piece = |range: Option<(usize, usize)>| range.and_then(|(from, to)| text.get(from..to));
        match self {
            Self::Flag(column) => column.append_value(true),
            Self::Integer(column) => column.append_option(info.integers[picked.first()]),
            Self::Float(column) => column.append_option(info.floats[picked.first()]),
            Self::Text(column) => column.append_option(piece(info.texts[picked.first()])),
            Self::Integers(column) => {
                picked.each(|i| column.values().append_option(info.integers[i]));
                column.append(true);
            }
            Self::Floats(column) => {
                picked.each(|i| column.values().append_option(info.floats[i]));
                column.append(true);
            }
            Self::Texts(column) => {
                picked.each(|i| column.values().append_option(piece(info.texts[i])));
                column.append(true);
            }
        }
    }

    fn append_without_value(&mut self, slot: Slot) {
        match self {
            Self::Flag(column) if slot == Slot::Raw => column.append_null(),
            Self::Flag(column) => column.append_value(slot == Slot::Set),
            Self::Integer(column) => column.append_null(),
            Self::Float(column) => column.append_null(),
            Self::Text(column) => column.append_null(),
            Self::Integers(column) => column.append_null(),
            Self::Floats(column) => column.append_null(),
            Self::Texts(column) => column.append_null(),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Flag(column) => Arc::new(column.finish()),
            Self::Integer(column) => Arc::new(column.finish()),
            Self::Float(column) => Arc::new(column.finish()),
            Self::Text(column) => Arc::new(column.finish()),
            Self::Integers(column) => Arc::new(column.finish()),
            Self::Floats(column) => Arc::new(column.finish()),
            Self::Texts(column) => Arc::new(column.finish()),
        }
    }
}

/// Which of a record's values a row has.
#[derive(Clone, Copy)]
enum Picked {
    One(usize),
    Pair(usize, usize),
    Range(usize, usize),
}

impl Picked {
    fn first(self) -> usize {
        match self {
            Self::One(i) | Self::Pair(i, _) | Self::Range(i, _) => i,
        }
    }

    fn each(self, mut f: impl FnMut(usize)) {
        match self {
            Self::One(i) => f(i),
            Self::Pair(i, j) => {
                f(i);
                f(j);
            }
            Self::Range(from, to) => (from..to).for_each(f),
        }
    }
}

/// The genotype table without vid.
#[derive(Default)]
struct GenotypeColumns {
    n_rows: u32,
    block: Int32Builder,
    contig: StringBuilder,
    ac: Int32Builder,
    an: Int32Builder,
    n_missing: Int32Builder,
    gt: BinaryBuilder,
    alts: Vec<u16>,
    order: Vec<usize>,
}

impl GenotypeColumns {
    /// Appends the cells of a record, ALT by ALT.
    fn append(&mut self, fields: &Fields<'_>, genotypes: &Genotypes, input: &InputPlan) {
        self.order.clear();
        self.order.extend(0..genotypes.cells.len());
        self.order
            .sort_by_key(|i| (genotypes.cells[*i].alt_index, genotypes.cells[*i].block));
        for i in &self.order {
            let cell = &genotypes.cells[*i];
            self.n_rows += 1;
            self.block.append_value(input.blocks[cell.block].block);
            self.contig.append_value(fields.contig);
            self.ac.append_value(cell.counts.ac);
            self.an.append_value(cell.counts.an);
            self.n_missing.append_value(cell.counts.n_missing);
            self.gt.append_value(&genotypes.bytes[cell.from..cell.to]);
            self.alts.push(cell.alt_index);
        }
    }

    fn finish(&mut self) -> Vec<ArrayRef> {
        self.n_rows = 0;
        vec![
            Arc::new(self.block.finish()),
            Arc::new(self.contig.finish()),
            Arc::new(self.ac.finish()),
            Arc::new(self.an.finish()),
            Arc::new(self.n_missing.finish()),
            Arc::new(self.gt.finish()),
        ]
    }
}

/// The format table without record.
struct FormatColumns {
    n_rows: u32,
    block: Int32Builder,
    contig: StringBuilder,
    vcf_pos: Int32Builder,
    keys: Vec<BinaryBuilder>,
    cells: Vec<Option<FormatCell>>,
}

impl FormatColumns {
    fn new(n_keys: usize) -> Self {
        Self {
            n_rows: 0,
            block: Int32Builder::new(),
            contig: StringBuilder::new(),
            vcf_pos: Int32Builder::new(),
            keys: (0..n_keys).map(|_| BinaryBuilder::new()).collect(),
            cells: vec![None; n_keys],
        }
    }

    /// One row for each block that has a value. The cells come block by block.
    fn append(&mut self, fields: &Fields<'_>, genotypes: &Genotypes, input: &InputPlan) {
        for cells in genotypes.format_cells.chunk_by(|a, b| a.block == b.block) {
            self.n_rows += 1;
            self.block.append_value(input.blocks[cells[0].block].block);
            self.contig.append_value(fields.contig);
            self.vcf_pos.append_value(fields.pos);
            for cell in cells {
                self.cells[cell.column] = Some(*cell);
            }
            for (key, cell) in self.keys.iter_mut().zip(&mut self.cells) {
                let bytes = cell.take().map(|c| &genotypes.format_bytes[c.from..c.to]);
                key.append_option(bytes);
            }
        }
    }

    fn finish(&mut self) -> Vec<ArrayRef> {
        self.n_rows = 0;
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(self.block.finish()),
            Arc::new(self.contig.finish()),
            Arc::new(self.vcf_pos.finish()),
        ];
        columns.extend(
            self.keys
                .iter_mut()
                .map(|key| Arc::new(key.finish()) as ArrayRef),
        );
        columns
    }
}
