//! Records with their genotypes and FORMAT arrays, ready to be written on any thread.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use genokura_core::codec::array::{ArrayRow, base_of};
use genokura_core::codec::{DefaultCall, GenotypeRow};
use genokura_core::schema::FieldDef;

use crate::blobs::{BlobReader, Blobs, Wanted};
use crate::dataset::HIDDEN;
use crate::error::{Error, Result};
use crate::records::Records;
use crate::records::site::SiteBatch;
use crate::records::stream::{Merged, RecordStream, Stored};

/// Bytes of decoded blobs of a group of records, as a guess.
const GROUP_BLOB_BYTES: usize = 32 << 20;
/// Bytes of FORMAT values per sample and key, as a guess.
const FORMAT_VALUE_BYTES: usize = 4;
/// Records of a group at most.
const GROUP_RECORDS_MAX: usize = 8_192;

/// Which samples are written, and in which column each stands.
#[derive(Debug)]
pub struct Selection {
    names: Vec<String>,
    blocks: Vec<BlockSlots>,
    chosen: Vec<bool>,
}

/// The columns of the samples of one block.
#[derive(Debug)]
pub struct BlockSlots {
    slots: Vec<u32>,
    run: Option<u32>,
    n_selected: usize,
}

impl BlockSlots {
    /// The column of a sample of the block, from 0; `None` when it is not selected.
    #[must_use]
    pub fn column(&self, sample: u32) -> Option<usize> {
        let slot = self.slots.get(sample as usize).copied()?;
        (slot != HIDDEN).then_some(slot as usize)
    }

    /// Samples of the block that are selected.
    #[must_use]
    pub fn n_selected(&self) -> usize {
        self.n_selected
    }

    /// The first column when all samples of the block stand in columns next to each other, in order.
    #[must_use]
    pub fn run(&self) -> Option<usize> {
        self.run.map(|first| first as usize)
    }
}

impl Selection {
    /// Names of the columns.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }
}

impl Records {
    /// Selects visible samples by their index in [`Records::samples`], in this order; one that stands
    /// twice is taken once, an index without a sample is passed over.
    #[must_use]
    pub fn select(&self, samples: impl IntoIterator<Item = usize>) -> Arc<Selection> {
        let all = self.samples();
        let mut column_of = vec![HIDDEN; all.len()];
        let mut names: Vec<String> = Vec::new();
        for index in samples {
            let Some(column) = column_of.get_mut(index).filter(|c| **c == HIDDEN) else {
                continue;
            };
            *column = u32::try_from(names.len()).unwrap_or(HIDDEN);
            names.push(all[index].clone());
        }
        let slot = |sample: &u32| column_of.get(*sample as usize).copied().unwrap_or(HIDDEN);
        let blocks: Vec<BlockSlots> = self
            .view
            .blocks
            .iter()
            .map(|block| {
                let slots: Vec<u32> = block.directory_index.iter().map(slot).collect();
                let first = slots.first().copied().filter(|first| *first != HIDDEN);
                let run = first
                    .filter(|first| (*first..).zip(&slots).all(|(column, slot)| column == *slot));
                BlockSlots {
                    n_selected: slots.iter().filter(|slot| **slot != HIDDEN).count(),
                    slots,
                    run,
                }
            })
            .collect();
        let chosen = blocks.iter().map(|b| b.slots.iter().any(|s| *s != HIDDEN));
        Arc::new(Selection {
            names,
            chosen: chosen.collect(),
            blocks,
        })
    }
}

/// Gives records in groups.
pub struct RecordReader {
    records: Arc<Records>,
    stream: RecordStream,
    selection: Arc<Selection>,
    genotypes: Option<BlobReader>,
    formats: Option<BlobReader>,
    /// Column of the FORMAT blobs of each field of the dataset.
    format_columns: Arc<[Option<usize>]>,
    group_records: usize,
}

impl std::fmt::Debug for RecordReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecordReader").finish_non_exhaustive()
    }
}

impl RecordReader {
    pub(crate) fn new(
        stream: RecordStream,
        records: &Arc<Records>,
        selection: Arc<Selection>,
        with_genotypes: bool,
    ) -> Self {
        let mut columns = Vec::new();
        let format_columns = records.fields.format.iter().map(|field| {
            // Those of masked keys too: a blob may be relative to another key's.
            let is_stored = field.def.key != "GT" && with_genotypes;
            is_stored.then(|| {
                columns.push(field.def.column.clone());
                columns.len() - 1
            })
        });
        let format_columns: Arc<[Option<usize>]> = format_columns.collect();
        let genotypes = with_genotypes && records.fields.gt_is_visible;
        let genotypes = genotypes.then(|| BlobReader::genotypes(&records.view, &records.metrics));
        let formats = (!columns.is_empty())
            .then(|| BlobReader::formats(&records.view, &columns, &records.metrics));
        let blocks = records.view.blocks.iter().zip(&selection.chosen);
        let samples: usize = blocks
            .filter(|(_, chosen)| **chosen)
            .map(|(block, _)| block.n_samples as usize)
            .sum();
        let row_bytes = samples / 4 + samples * FORMAT_VALUE_BYTES * columns.len();
        let group_records = GROUP_BLOB_BYTES / row_bytes.max(1);
        Self {
            records: Arc::clone(records),
            stream,
            selection,
            genotypes: genotypes.flatten(),
            formats: formats.flatten(),
            format_columns,
            group_records: group_records.clamp(1, GROUP_RECORDS_MAX),
        }
    }

    /// The next records, at least one; `None` at the end.
    ///
    /// # Errors
    /// When the dataset cannot be read or a stored value breaks a rule of the format.
    pub async fn next(&mut self) -> Result<Option<LoadedRecords>> {
        let mut merged = Vec::new();
        while merged.len() < self.group_records
            && let Some(record) = self.stream.next().await?
        {
            merged.push(record);
        }
        if merged.is_empty() {
            return Ok(None);
        }
        let stored: Vec<&Stored> = merged.iter().flat_map(|m| &m.members).collect();
        let chosen = &self.selection.chosen;
        let by_vid = Places::of(&stored, |s| s.vid);
        let genotypes = match &self.genotypes {
            Some(reader) => reader.read(&by_vid.wanted, chosen).await?,
            None => Blobs::none(),
        };
        let by_record = Places::of(&stored, |s| s.id);
        let formats = match &self.formats {
            Some(reader) => reader.read(&by_record.wanted, chosen).await?,
            None => Blobs::none(),
        };
        let starts = merged.iter().scan(0, |at, m| {
            let start = *at;
            *at += m.members.len();
            Some(start)
        });
        Ok(Some(LoadedRecords {
            starts: starts.collect(),
            records: Arc::clone(&self.records),
            selection: Arc::clone(&self.selection),
            format_columns: Arc::clone(&self.format_columns),
            genotype_places: by_vid.places,
            format_places: by_record.places,
            merged,
            genotypes,
            formats,
        }))
    }
}

/// Ids in rising order, and the place of each stored record's.
struct Places {
    wanted: Vec<Wanted>,
    places: Vec<usize>,
}

impl Places {
    fn of(stored: &[&Stored], id: impl Fn(&Stored) -> i64) -> Self {
        let mut order: Vec<usize> = (0..stored.len()).collect();
        order.sort_unstable_by_key(|&i| id(stored[i]));
        let mut places = vec![0; stored.len()];
        let mut wanted = Vec::with_capacity(stored.len());
        for (place, i) in order.into_iter().enumerate() {
            places[i] = place;
            wanted.push(Wanted {
                id: id(stored[i]),
                blocks: stored[i].blocks.clone(),
            });
        }
        Self { wanted, places }
    }
}

/// A group of records.
pub struct LoadedRecords {
    records: Arc<Records>,
    selection: Arc<Selection>,
    format_columns: Arc<[Option<usize>]>,
    merged: Vec<Merged>,
    /// Place of the first member of each record among all.
    starts: Vec<usize>,
    genotype_places: Vec<usize>,
    format_places: Vec<usize>,
    genotypes: Blobs,
    formats: Blobs,
}

impl std::fmt::Debug for LoadedRecords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoadedRecords")
            .field("len", &self.merged.len())
            .finish_non_exhaustive()
    }
}

impl LoadedRecords {
    /// Number of records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.merged.len()
    }

    /// True when there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.merged.is_empty()
    }

    /// One record; `None` beyond the last.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<RecordView<'_>> {
        let merged = self.merged.get(index)?;
        let first = merged.members.first()?;
        Some(RecordView {
            group: self,
            merged,
            first,
            start: *self.starts.get(index)?,
        })
    }
}

/// One record: what stands in the columns of its line.
#[derive(Clone, Copy)]
pub struct RecordView<'a> {
    group: &'a LoadedRecords,
    merged: &'a Merged,
    first: &'a Stored,
    start: usize,
}

/// The calls of one sample block.
pub enum Calls<'a> {
    /// Every sample has this call.
    Default(DefaultCall),
    /// The stored row.
    Row(GenotypeRow<'a>),
}

/// A sample block of a record.
pub struct Part<'a> {
    view: RecordView<'a>,
    member: usize,
    place: usize,
    /// Samples of the block.
    pub n_samples: u32,
    /// The columns of the samples.
    pub slots: &'a BlockSlots,
    /// Their calls.
    pub calls: Calls<'a>,
    /// FORMAT of the record that the block belongs to.
    pub format_keys: Option<&'a str>,
}

impl<'a> RecordView<'a> {
    fn site(&self) -> (&'a SiteBatch, usize) {
        (&self.first.site, self.first.row)
    }

    /// Place of the contig among those of the dataset.
    #[must_use]
    pub fn rank(&self) -> usize {
        self.merged.rank as usize
    }

    /// CHROM.
    #[must_use]
    pub fn contig(&self) -> &'a str {
        let (site, row) = self.site();
        site.contig.value(row)
    }

    /// POS, 1-based.
    #[must_use]
    pub fn pos(&self) -> i32 {
        let (site, row) = self.site();
        site.vcf_pos.value(row)
    }

    /// REF.
    #[must_use]
    pub fn reference(&self) -> &'a str {
        let (site, row) = self.site();
        site.vcf_ref.value(row)
    }

    /// Calls `f` with each ALT; with none when ALT is `.`.
    pub fn for_each_alt(&self, f: impl FnMut(&str)) {
        let (site, row) = self.site();
        each_text(site.alts(row), f);
    }

    /// Number of ALT alleles.
    #[must_use]
    pub fn n_alts(&self) -> usize {
        let (site, row) = self.site();
        site.vcf_alts
            .is_valid(row)
            .then(|| site.vcf_alts.value_length(row))
            .map_or(0, |n| usize::try_from(n).unwrap_or(0))
    }

    /// Calls `f` with each ID.
    pub fn for_each_id(&self, f: impl FnMut(&str)) {
        self.visible_list("ids", |site| &site.ids, f);
    }

    /// Calls `f` with each FILTER.
    pub fn for_each_filter(&self, f: impl FnMut(&str)) {
        self.visible_list("filters", |site| &site.filters, f);
    }

    fn visible_list(
        &self,
        name: &str,
        list: impl Fn(&SiteBatch) -> &arrow::array::ListArray,
        f: impl FnMut(&str),
    ) {
        let (site, row) = self.site();
        let list = list(site);
        if list.is_valid(row) && !self.group.records.hides(name) {
            each_text(Some(list.value(row)), f);
        }
    }

    /// QUAL; `None` for `.`.
    #[must_use]
    pub fn qual(&self) -> Option<f32> {
        let (site, row) = self.site();
        let is_known = site.qual.is_valid(row) && !self.group.records.hides("qual");
        is_known.then(|| site.qual.value(row))
    }

    /// Keys of INFO in the record's order, joined by `;`; `None` for `.`.
    #[must_use]
    pub fn info_order(&self) -> Option<&'a str> {
        let (site, row) = self.site();
        site.info_order
            .is_valid(row)
            .then(|| site.info_order.value(row))
    }

    /// Entries of INFO that are kept as text, joined by `;` in the record's order.
    #[must_use]
    pub fn info_raw(&self) -> Option<&'a str> {
        let (site, row) = self.site();
        site.info_raw
            .is_valid(row)
            .then(|| site.info_raw.value(row))
    }

    /// The typed INFO field of a key: its definition, and its column and row for each ALT. `None`
    /// when the dataset has no such column or the session may not see it.
    #[must_use]
    pub fn info(&self, key: &str) -> Option<(&'a FieldDef, InfoRows<'a>)> {
        let fields = &self.group.records.fields;
        let index = *fields.info_index.get(key)?;
        let def = &fields.info.get(index)?.def;
        let rows = InfoRows {
            first: self.first,
            index,
        };
        rows.get(0)?;
        Some((def, rows))
    }

    /// INFO/END where it is a whole number, 1-based and included.
    #[must_use]
    pub fn end(&self) -> Option<i32> {
        let (_, rows) = self.info("END")?;
        let (column, row) = rows.get(0)?;
        let ends = column.as_primitive_opt::<arrow::datatypes::Int32Type>()?;
        ends.is_valid(row).then(|| ends.value(row))
    }

    /// True when the session may see the FORMAT key.
    #[must_use]
    pub fn shows_format(&self, key: &str) -> bool {
        self.group.records.shows("FORMAT", key)
    }

    /// True when the session may see the INFO key.
    #[must_use]
    pub fn shows_info(&self, key: &str) -> bool {
        self.group.records.shows("INFO", key)
    }

    /// FORMAT of each stored record that this one is made of.
    pub fn format_keys(&self) -> impl Iterator<Item = Option<&'a str>> + use<'a> {
        self.merged.members.iter().map(|stored| {
            let (site, row) = (&stored.site, stored.row);
            site.format_keys
                .is_valid(row)
                .then(|| site.format_keys.value(row))
        })
    }

    /// The sample blocks of which some sample is selected.
    ///
    /// # Errors
    /// A genotype blob that breaks a rule of the format, when its block comes.
    pub fn parts(&self) -> impl Iterator<Item = Result<Part<'a>>> + use<'a> {
        let view = *self;
        let members = self.merged.members.iter().enumerate();
        members.flat_map(move |(member, stored)| {
            let selection = &view.group.selection;
            let places = stored.blocks.clone();
            let places = places.filter(|place| selection.chosen.get(*place) == Some(&true));
            places.map(move |place| view.part(member, stored, place))
        })
    }

    fn part(self, member: usize, stored: &'a Stored, place: usize) -> Result<Part<'a>> {
        let group = self.group;
        let records = &group.records;
        let (Some(block), Some(slots)) = (
            records.view.blocks.get(place),
            group.selection.blocks.get(place),
        ) else {
            return Err(Error::Internal("a record names no block".into()));
        };
        let damaged = |what: String| {
            let what = format!("vid {}, block {}: {what}", stored.vid, block.block);
            Error::damaged(format!("{}/genotype", records.view.data.name), what)
        };
        let wanted = group.genotype_places.get(self.start + member).copied();
        let blob = wanted.and_then(|wanted| group.genotypes.get(wanted, place, 0));
        let calls = match blob {
            _ if !records.fields.gt_is_visible => Calls::Default(DefaultCall::None),
            None => Calls::Default(stored.default),
            Some(bytes) => {
                let row = GenotypeRow::parse(bytes).map_err(|e| damaged(e.to_string()))?;
                if row.n_samples() != block.n_samples {
                    let (found, expected) = (row.n_samples(), block.n_samples);
                    return Err(damaged(format!(
                        "{found} samples, its block has {expected}"
                    )));
                }
                Calls::Row(row)
            }
        };
        let (site, row) = (&stored.site, stored.row);
        let format_keys = site
            .format_keys
            .is_valid(row)
            .then(|| site.format_keys.value(row));
        Ok(Part {
            view: self,
            member,
            place,
            n_samples: block.n_samples,
            slots,
            calls,
            format_keys,
        })
    }
}

impl<'a> Part<'a> {
    /// The values of a FORMAT key; `None` when every sample lacks it.
    ///
    /// # Errors
    /// An array blob that breaks a rule of the format.
    pub fn array(&self, key: &str) -> Result<Option<ArrayRow<'a>>> {
        let group = self.view.group;
        let records = &group.records;
        let wanted = group.format_places.get(self.view.start + self.member);
        let blob_of = |key: &str| {
            let field = records.fields.format_index.get(key)?;
            let column = group.format_columns.get(*field).copied().flatten()?;
            group.formats.get(*wanted?, self.place, column)
        };
        let blob = match records.shows("FORMAT", key) {
            true => blob_of(key),
            false => None,
        };
        let Some(blob) = blob else { return Ok(None) };
        let damaged = |what: String| {
            let id = self
                .view
                .merged
                .members
                .get(self.member)
                .map_or(0, |s| s.id);
            let what = format!("record {id}, FORMAT {key}: {what}");
            Error::damaged(format!("{}/format", records.view.data.name), what)
        };
        let base = base_of(key).and_then(|(base, _)| blob_of(base));
        let row = ArrayRow::parse_given(blob, base).map_err(|e| damaged(e.to_string()))?;
        if row.n_samples() != self.n_samples {
            return Err(damaged(format!("{} samples", row.n_samples())));
        }
        Ok(Some(row))
    }
}

/// The rows of one record in one INFO column.
#[derive(Clone, Copy)]
pub struct InfoRows<'a> {
    first: &'a Stored,
    index: usize,
}

impl<'a> InfoRows<'a> {
    /// Column and row of the `i`th ALT, from 0; of a record without ALT there is one row.
    #[must_use]
    pub fn get(&self, i: usize) -> Option<(&'a ArrayRef, usize)> {
        let (site, row) = match i.checked_sub(1) {
            None => (&self.first.site, self.first.row),
            Some(other) => {
                let (site, row) = self.first.others.get(other)?;
                (site, *row)
            }
        };
        Some((site.info.get(self.index)?.as_ref()?, row))
    }

    /// All of them.
    pub fn iter(self) -> impl Iterator<Item = (&'a ArrayRef, usize)> {
        (0..).map_while(move |i| self.get(i))
    }
}

impl Records {
    fn hides(&self, column: &str) -> bool {
        self.hidden.contains(column)
    }
}

fn each_text(list: Option<ArrayRef>, mut f: impl FnMut(&str)) {
    if let Some(list) = list {
        list.as_string::<i32>()
            .iter()
            .for_each(|text| f(text.unwrap_or(".")));
    }
}
