//! Rows of the site table to records in the order of a VCF: contig as the dataset orders them, POS,
//! input order.
//!
//! # Order
//! Site rows come by (contig, pos) of the trimmed allele, records go by (contig, vcf_pos). Trimming
//! moves an allele right of its record's POS by at most the *spread* of the dataset (left-alignment
//! moves it left), so a record is complete, and none before it is missing, as soon as the rows have
//! passed its POS by more than the spread:
//! ```text
//!   records     A: 100 (REF of 30 bases, SNV at 125)   B: 110
//!   site rows   B at 110, A at 125, ...                spread = 25
//!   B waits until the rows are past 135, and A has come before it
//! ```
//! # Merging
//! Records of different batches or inputs with equal contig, POS, REF and ALT and without a sample in
//! common are one record; the one with the lowest id gives everything but the samples.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use arrow::array::ArrayRef;
use genokura_core::codec::DefaultCall;

use crate::error::{Error, Result};
use crate::records::site::SiteBatch;
use crate::records::{RecordSet, Records, Run};
use crate::source::{Disjoint, Origin, SiteRows, SiteSource};

/// One stored record: its site rows by rising ALT.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) site: Arc<SiteBatch>,
    /// The row of ALT 1, or of the record without ALT.
    pub(crate) row: usize,
    /// The rows of the other ALTs; they may lie in other batches.
    pub(crate) others: Vec<(Arc<SiteBatch>, usize)>,
    pub(crate) id: i64,
    pub(crate) vid: i64,
    pub(crate) default: DefaultCall,
    /// Its sample blocks as places in the view; empty without samples.
    pub(crate) blocks: std::ops::Range<usize>,
}

/// A record of the result: one stored record, or several with different samples.
#[derive(Debug)]
pub(crate) struct Merged {
    /// Place of its contig in the order of the dataset.
    pub(crate) rank: u32,
    /// By rising id; never empty.
    pub(crate) members: Vec<Stored>,
}

type Key = (u32, i32, i64);
/// A site row by its ALT.
type Row = (i16, Arc<SiteBatch>, usize);

/// Records in order.
pub(crate) struct RecordStream {
    records: Arc<Records>,
    runs: VecDeque<Run>,
    source: Option<SiteSource>,
    wanted: Option<Arc<RecordSet>>,
    spread: i32,
    waiting: BTreeMap<Key, Vec<Row>>,
    /// Contig and position that the rows have reached.
    reached: (u32, i32),
    ready: VecDeque<Merged>,
    disjoint: Disjoint,
}

impl RecordStream {
    pub(crate) fn new(
        records: &Arc<Records>,
        runs: Vec<Run>,
        wanted: Option<Arc<RecordSet>>,
        spread: i32,
    ) -> Self {
        Self {
            records: Arc::clone(records),
            runs: runs.into(),
            source: None,
            wanted,
            spread,
            waiting: BTreeMap::new(),
            reached: (0, i32::MIN),
            ready: VecDeque::new(),
            disjoint: Disjoint::default(),
        }
    }

    /// The next record; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Merged>> {
        loop {
            if let Some(record) = self.ready.pop_front() {
                return Ok(Some(record));
            }
            let Some(rows) = self.rows().await? else {
                self.reached = (u32::MAX, i32::MAX);
                self.release()?;
                return Ok(self.ready.pop_front());
            };
            self.take(&rows)?;
            self.release()?;
            tokio::task::yield_now().await;
        }
    }

    async fn rows(&mut self) -> Result<Option<SiteRows>> {
        loop {
            if let Some(source) = &mut self.source {
                if let Some(rows) = source.next().await? {
                    return Ok(Some(rows));
                }
                self.source = None;
            }
            let Some(run) = self.runs.pop_front() else {
                return Ok(None);
            };
            self.source = Some(self.records.source(run)?);
        }
    }

    fn take(&mut self, rows: &SiteRows) -> Result<()> {
        let data = &self.records.view.data;
        let site = Arc::new(SiteBatch::of(&rows.batch, &self.records.fields)?);
        let mut last: Option<(&str, u32)> = None;
        for row in 0..rows.batch.num_rows() {
            let contig = site.contig.value(row);
            let rank = match last {
                Some((name, rank)) if name == contig => rank,
                _ => data.rank_of(contig),
            };
            last = Some((contig, rank));
            let place = (rank, site.pos.value(row));
            if place < self.reached {
                let what = format!(
                    "the rows of contig {contig:?} are not in one order; its partitions disagree"
                );
                return Err(Error::damaged(format!("{}/site", data.name), what));
            }
            self.reached = place;
            let id = site.record.value(row);
            if self.wanted.as_ref().is_some_and(|set| !set.contains(id)) {
                continue;
            }
            let key = (rank, site.vcf_pos.value(row), id);
            let part = (site.alt_index.value(row), Arc::clone(&site), row);
            self.waiting.entry(key).or_default().push(part);
        }
        Ok(())
    }

    /// Gives out what no row to come can belong to or precede.
    fn release(&mut self) -> Result<()> {
        let (rank, pos) = self.reached;
        let is_past =
            |key: &Key| key.0 < rank || key.0 == rank && key.1.saturating_add(self.spread) < pos;
        let is_past = |key: &Key, all: bool| all || is_past(key);
        let all = rank == u32::MAX && pos == i32::MAX;
        while let Some((first, _)) = self.waiting.first_key_value() {
            if !is_past(first, all) {
                return Ok(());
            }
            let place = (first.0, first.1);
            let mut cluster = Vec::new();
            while let Some(entry) = self.waiting.first_entry() {
                if (entry.key().0, entry.key().1) != place {
                    break;
                }
                cluster.push(entry.remove_entry());
            }
            Self::group(
                &self.records,
                &mut self.disjoint,
                place.0,
                cluster,
                &mut self.ready,
            )?;
        }
        Ok(())
    }

    /// Deals the records of one position, by rising id, to records of the result.
    fn group(
        records: &Records,
        disjoint: &mut Disjoint,
        rank: u32,
        cluster: Vec<(Key, Vec<Row>)>,
        ready: &mut VecDeque<Merged>,
    ) -> Result<()> {
        let mut groups: Vec<Merged> = Vec::with_capacity(cluster.len());
        for ((.., id), rows) in cluster {
            let stored = records.stored(id, rows)?;
            let home = match records.merges {
                true => groups.iter_mut().find(|group| {
                    let same = same_variants(&group.members[0], &stored);
                    let origin = origin(&stored);
                    same && group
                        .members
                        .iter()
                        .all(|other| disjoint.may_merge(&records.view, self::origin(other), origin))
                }),
                false => None,
            };
            match home {
                Some(group) => group.members.push(stored),
                None => groups.push(Merged {
                    rank,
                    members: vec![stored],
                }),
            }
        }
        ready.extend(groups);
        Ok(())
    }
}

fn origin(stored: &Stored) -> Origin {
    Origin {
        batch: stored.id >> 40,
        source: stored.site.source.value(stored.row),
        blocks: stored.site.blocks(stored.row),
    }
}

/// REF and ALT as they stood are equal.
fn same_variants(a: &Stored, b: &Stored) -> bool {
    let alts = |s: &Stored| -> Option<ArrayRef> { s.site.alts(s.row) };
    a.site.vcf_ref.value(a.row) == b.site.vcf_ref.value(b.row) && alts(a) == alts(b)
}

impl Records {
    /// Puts the rows of one record together.
    fn stored(&self, id: i64, mut rows: Vec<Row>) -> Result<Stored> {
        rows.sort_by_key(|(alt, ..)| *alt);
        let damaged = |what: String| Error::damaged(format!("{}/site", self.view.data.name), what);
        let mut rows = rows.into_iter();
        let Some((first, site, row)) = rows.next() else {
            return Err(damaged(format!("record {id} has no row")));
        };
        let n_alts = site.alts(row).map_or(0, |alts| alts.len());
        let others: Vec<_> = rows.map(|(_, site, row)| (site, row)).collect();
        if others.len() + 1 != n_alts.max(1) || (n_alts > 0 && first != 1) {
            let found = others.len() + 1;
            return Err(damaged(format!(
                "record {id} has {found} rows, its ALT column {n_alts} alleles"
            )));
        }
        let default = u8::try_from(site.gt_default.value(row)).ok();
        let default = default.and_then(DefaultCall::from_u8);
        let default = default.ok_or_else(|| damaged(format!("record {id}: gt_default")))?;
        let blocks = match site.blocks(row) {
            None => 0..0,
            Some((from, to)) => {
                let blocks = &self.view.blocks;
                let start = blocks.partition_point(|b| b.block < from);
                start..blocks.partition_point(|b| b.block <= to)
            }
        };
        Ok(Stored {
            id,
            vid: site.vid.value(row),
            default,
            blocks,
            row,
            others,
            site,
        })
    }
}
