//! What a lake commit says about the whole lake, and how two changes of it are merged.
//!
//! Merging is three-way: `base` is what an ingest read when it began, `mine` what it wants,
//! `head` what the newest lake commit says by now. Everything an ingest adds is appended to
//! `head`; anything both sides say differently is a conflict, told as text.

use std::collections::{BTreeMap, HashMap, HashSet};

use genokura_core::schema::FieldDef;
use serde::{Deserialize, Serialize};

use crate::manifest::TableId;

/// The whole lake at one version.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LakeState {
    /// Every table that exists, with the Delta version that belongs to this lake version.
    pub tables: BTreeMap<TableId, TablePin>,
    /// Every dataset by name.
    pub datasets: BTreeMap<String, DatasetState>,
    /// Every cohort by name; its samples are the rows of its table.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub cohorts: BTreeMap<String, CohortState>,
}

/// What the lake knows of a cohort beside its samples.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CohortState {
    /// The role that made it; it may read, replace and drop it.
    pub owner: String,
    /// When it was made, RFC 3339 in UTC. A replacement keeps it.
    pub created: String,
}

/// Which version of a Delta table belongs to a lake version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TablePin {
    /// The Delta version. Newer Delta versions do not exist for readers of this lake version.
    pub delta_version: u64,
}

/// What the lake knows of a dataset beside its rows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DatasetState {
    /// Assembly name such as `GRCh38`, when known.
    pub assembly: Option<String>,
    /// Digest or name of the reference that indels are left-aligned by; `None`: not left-aligned.
    pub reference: Option<String>,
    /// Contigs in the order rows are sorted by.
    pub contigs: Vec<Contig>,
    /// INFO definitions; each is a column of the site table.
    pub info: Vec<FieldDef>,
    /// FORMAT definitions; each but GT is a column of the format table.
    pub format: Vec<FieldDef>,
    /// FILTER identifiers in order of first appearance.
    pub filters: Vec<String>,
    /// Sample blocks.
    pub blocks: Vec<Block>,
    /// Landed ingest jobs.
    pub batches: Vec<Batch>,
}

/// A contig of a dataset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contig {
    /// Name as in the files.
    pub name: String,
    /// Length in base pairs, when declared.
    pub length: Option<u64>,
}

/// A block of samples of one batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// Block number: `batch << 12 | k`.
    pub block: i32,
    /// Number of samples in it.
    pub n_samples: u32,
}

/// One landed ingest job.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Batch {
    /// Its number within the dataset.
    pub batch: u32,
    /// Its inputs, in the order of the job.
    pub inputs: Vec<InputRecord>,
    /// Rows of the site table that it added.
    pub rows: u64,
}

/// One input of an ingest job. Names are the caller's choice; they must not hold sample names.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct InputRecord {
    /// Content digest, `sha256:…`.
    pub digest: String,
    /// Size in bytes as it was read.
    pub size: u64,
    /// Records read.
    pub records: u64,
    /// Records refused.
    pub quarantined: u64,
    /// What to call it in reports.
    pub name: String,
}

impl DatasetState {
    /// True when an input of this content has landed before.
    #[must_use]
    pub fn has_input(&self, digest: &str) -> bool {
        self.batches
            .iter()
            .flat_map(|b| &b.inputs)
            .any(|input| input.digest == digest)
    }

    /// `head` plus what `mine` added since `base`.
    ///
    /// # Errors
    /// The reason, as text, when both sides say different things: two assemblies or references,
    /// two lengths of a contig, two types of a field, two fields of one column, one batch
    /// number twice, or one input twice.
    pub fn merge(base: Option<&Self>, mine: &Self, head: Option<&Self>) -> Result<Self, String> {
        let Some(head) = head else {
            return Ok(mine.clone());
        };
        if base == Some(head) {
            return Ok(mine.clone());
        }
        Ok(Self {
            assembly: agree("assembly", &mine.assembly, &head.assembly)?,
            reference: agree("reference", &mine.reference, &head.reference)?,
            contigs: merge_contigs(&head.contigs, &mine.contigs)?,
            info: merge_fields("INFO", &head.info, &mine.info)?,
            format: merge_fields("FORMAT", &head.format, &mine.format)?,
            filters: union(&head.filters, &mine.filters),
            blocks: merge_blocks(&head.blocks, &mine.blocks)?,
            batches: merge_batches(base, mine, head)?,
        })
    }
}

fn agree(
    what: &str,
    mine: &Option<String>,
    head: &Option<String>,
) -> Result<Option<String>, String> {
    match (mine, head) {
        (Some(a), Some(b)) if a != b => {
            Err(format!("{what} is \"{b}\" in the dataset, not \"{a}\""))
        }
        (Some(a), _) => Ok(Some(a.clone())),
        (None, b) => Ok(b.clone()),
    }
}

fn merge_contigs(head: &[Contig], mine: &[Contig]) -> Result<Vec<Contig>, String> {
    let mut merged = head.to_vec();
    let places: HashMap<&str, usize> = head
        .iter()
        .enumerate()
        .map(|(i, c)| (c.name.as_str(), i))
        .collect();
    for contig in mine {
        let Some(&place) = places.get(contig.name.as_str()) else {
            merged.push(contig.clone());
            continue;
        };
        match (merged[place].length, contig.length) {
            (Some(a), Some(b)) if a != b => {
                return Err(format!("contig \"{}\" has length {a} and {b}", contig.name));
            }
            (None, length) => merged[place].length = length,
            _ => {}
        }
    }
    Ok(merged)
}

fn merge_fields(kind: &str, head: &[FieldDef], mine: &[FieldDef]) -> Result<Vec<FieldDef>, String> {
    let mut merged = head.to_vec();
    for field in mine {
        let Some(known) = head.iter().find(|f| f.key == field.key) else {
            if let Some(other) = head.iter().find(|f| f.column == field.column) {
                return Err(format!(
                    "{kind} keys \"{}\" and \"{}\" both want column \"{}\"",
                    other.key, field.key, field.column
                ));
            }
            merged.push(field.clone());
            continue;
        };
        if known.ty != field.ty || known.number != field.number || known.column != field.column {
            return Err(format!(
                "{kind} key \"{}\" has another type or Number by now",
                field.key
            ));
        }
    }
    Ok(merged)
}

fn union(head: &[String], mine: &[String]) -> Vec<String> {
    let known: HashSet<&String> = head.iter().collect();
    head.iter()
        .chain(mine.iter().filter(|m| !known.contains(m)))
        .cloned()
        .collect()
}

fn merge_blocks(head: &[Block], mine: &[Block]) -> Result<Vec<Block>, String> {
    let mut merged = head.to_vec();
    for block in mine {
        match head.iter().find(|b| b.block == block.block) {
            None => merged.push(*block),
            Some(known) if known == block => {}
            Some(_) => return Err(format!("sample block {} is taken", block.block)),
        }
    }
    Ok(merged)
}

fn merge_batches(
    base: Option<&DatasetState>,
    mine: &DatasetState,
    head: &DatasetState,
) -> Result<Vec<Batch>, String> {
    let old: HashSet<u32> = base
        .iter()
        .flat_map(|b| &b.batches)
        .map(|b| b.batch)
        .collect();
    let mut merged = head.batches.clone();
    for batch in mine.batches.iter().filter(|b| !old.contains(&b.batch)) {
        if head.batches.iter().any(|b| b.batch == batch.batch) {
            return Err(format!("batch {} is taken", batch.batch));
        }
        if batch
            .inputs
            .iter()
            .any(|input| head.has_input(&input.digest))
        {
            return Err("an input of the same content has landed meanwhile".to_owned());
        }
        merged.push(batch.clone());
    }
    Ok(merged)
}
