//! Tables of patients, samples, mutations, segments and structural variants: what their columns mean, and which rows
//! say nothing of anybody.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use genokura_core::contig::ContigNames;

use crate::assembly::Said;
use crate::error::{Error, Result};
use crate::progress::CancelFlag;
use crate::table::fixed::Out;
use crate::table::{
    Cell, Column, ColumnType, Inference, Names, Rows as _, Sink, names_people, sql_name,
};

use super::clinical::Told;
use super::file::{File, Part, cell, contig};
use super::maf;
use super::met::Met;
use super::meta::Kind;

/// Columns of contigs in the tables.
const CONTIGS: [&str; 3] = ["contig", "site1_chromosome", "site2_chromosome"];
/// Rows between two looks at the cancel flag.
const ROWS_PER_CHECK: u64 = 4_096;
/// Patients and samples of a study, and where each is listed: file and line.
pub(super) type Listed = HashMap<(&'static str, String), (Arc<str>, u64)>;

/// The name of a column that has a meaning here, by the kind of its file.
fn meaning(table: &str, name: &str) -> Option<(&'static str, ColumnType)> {
    use ColumnType::{Float8, Int4, Int8, Text};
    Some(match (table, name) {
        (_, "patient_id") => ("person_id", Text),
        (_, "sample_id" | "tumor_sample_barcode") | ("segment", "id") => ("sample_id", Text),
        ("mutation", "hugo_symbol") => ("gene", Text),
        (_, "entrez_gene_id") => ("entrez_id", Int8),
        ("mutation", "chromosome") | ("segment", "chrom") => ("contig", Text),
        ("mutation", "start_position") | ("segment", "loc_start") => ("pos", Int4),
        ("mutation", "end_position") | ("segment", "loc_end") => ("end_pos", Int4),
        ("structural_variant", "site1_chromosome") => ("site1_chromosome", Text),
        ("structural_variant", "site2_chromosome") => ("site2_chromosome", Text),
        ("mutation", "reference_allele") => ("ref", Text),
        ("mutation", maf::SECOND) => ("alt", Text),
        ("segment", "num_mark") => ("n_probes", Int4),
        ("segment", "seg_mean") => ("mean", Float8),
        _ => return None,
    })
}

/// The columns that a file must have.
fn needed(table: &str) -> &'static [&'static str] {
    match table {
        "patient" => &["person_id"],
        "sample" => &["person_id", "sample_id"],
        "mutation" => &["gene", "contig", "pos", "ref", "alt", "sample_id"],
        "structural_variant" => &["sample_id"],
        "segment" => &["sample_id", "contig", "pos", "end_pos", "mean"],
        _ => &[],
    }
}

/// The columns without which a row says nothing of anybody, and what a row without them lacks.
fn needed_in_rows(table: &str) -> &'static [(&'static str, &'static str)] {
    const SAMPLE: (&str, &str) = ("sample_id", "sample");
    const CONTIG: (&str, &str) = ("contig", "contig");
    const POS: (&str, &str) = ("pos", "position");
    match table {
        "mutation" => &[SAMPLE, CONTIG, POS],
        "segment" => &[SAMPLE, CONTIG, POS, ("end_pos", "end")],
        "structural_variant" => &[SAMPLE],
        _ => &[],
    }
}

impl File {
    pub(super) fn look_at_table(&mut self, table: &'static str, cancel: &CancelFlag) -> Result<()> {
        let told = match table {
            "patient" | "sample" => self.told()?,
            _ => Told::default(),
        };
        let mut rows = self.rows()?;
        let mut found: Vec<Inference> = vec![Inference::default(); rows.headers().len()];
        let mut n = 0_u64;
        while rows.next_row()?.is_some() {
            for (at, inference) in found.iter_mut().enumerate() {
                inference.observe(cell(rows.cell(at)));
            }
            n += 1;
            if n.is_multiple_of(ROWS_PER_CHECK) {
                cancel.check()?;
            }
        }
        let mut names = Names::default();
        let mut columns = vec![Column {
            name: names.take("study_id"),
            source: "study_id".to_owned(),
            ty: ColumnType::Text,
            comment: "Study".to_owned(),
        }];
        let headers = rows.headers().to_vec();
        let called: Vec<String> = headers
            .iter()
            .zip(1..)
            .map(|(h, n)| sql_name(h, n))
            .collect();
        // Of two alleles the second is the place of the alternative; a file may have the first alone.
        let only_first = !called.iter().any(|name| name == maf::SECOND);
        for (at, (header, name)) in headers.iter().zip(called).enumerate() {
            let (name, known) = match meaning(table, &name) {
                None if table == "mutation" && only_first && name == maf::FIRST => {
                    ("alt".to_owned(), Some(ColumnType::Text))
                }
                Some((name, ty)) => (name.to_owned(), Some(ty)),
                None => (name, None),
            };
            let declared = told.types.get(at).copied().flatten();
            let text = |texts: &[String]| texts.get(at).cloned().unwrap_or_default();
            let comment = match (text(&told.names), text(&told.descriptions)) {
                (name, description) if description.is_empty() || name == description => name,
                (name, description) => format!("{name}: {description}"),
            };
            columns.push(Column {
                name: names.take(&name),
                source: format!("{}: {header}", self.name),
                ty: known
                    .or(declared)
                    .unwrap_or_else(|| match names_people(header) {
                        true => ColumnType::Text,
                        false => found[at].result(),
                    }),
                comment,
            });
            self.parts.push(Part::Column(at + 1));
        }
        for needed in needed(table) {
            if !columns.iter().any(|column| column.name == *needed) {
                return Err(self.refuse(&format!("no column for {needed}")));
            }
        }
        self.columns = columns;
        Ok(())
    }

    /// Sends the rows of a table; gives their number.
    pub(super) fn send_table(
        &self,
        study: &str,
        contigs: Option<ContigNames>,
        (listed, met): (&mut Listed, &mut Met),
        out: &mut Out<'_>,
        (table, number, sink): (usize, u32, &Sink),
    ) -> Result<u64> {
        let mut rows = self.rows()?;
        let mut builds = maf::Builds::of(&self.columns, self.kind);
        let key = self.key();
        let name: Arc<str> = Arc::from(self.name.as_str());
        let of_people = self.of_people();
        let needed = self.needed_in_rows();
        let of_contigs = |(place, column): (usize, &Column)| {
            CONTIGS.contains(&column.name.as_str()).then_some(place)
        };
        let of_contigs: Vec<usize> = self
            .columns
            .iter()
            .enumerate()
            .filter_map(of_contigs)
            .collect();
        let alleles = match self.kind {
            Kind::Table("mutation") => maf::Alleles::of(&self.columns),
            _ => None,
        };
        let mut n = 0;
        while let Some(line) = rows.next_row()? {
            let named = of_contigs
                .iter()
                .filter_map(|place| match rows.cell(place - 1) {
                    Cell::Bare(text) | Cell::Quoted(text) => Some((*place, contig(text, contigs))),
                    _ => None,
                });
            let named: Vec<(usize, Cow<'_, str>)> = named.collect();
            let mut cells = vec![Cell::Null; self.columns.len()];
            cells[0] = Cell::Quoted(study);
            for (at, part) in self.parts.iter().enumerate() {
                let Part::Column(place) = part else { continue };
                cells[*place] = cell(rows.cell(at));
            }
            for (place, name) in &named {
                if cells[*place] != Cell::Null {
                    cells[*place] = Cell::Quoted(name);
                }
            }
            if let Some((_, what)) = needed.iter().find(|(place, _)| cells[*place] == Cell::Null) {
                return Err(Error::Line {
                    input: 1,
                    line,
                    rule: "cbioportal-missing",
                    message: format!("{}: the row has no {what}", self.name),
                });
            }
            self.check_span(&cells, line)?;
            if let Some(builds) = &mut builds
                && let Some((assembly, build)) = builds.next(&cells)
            {
                let by = format!("NCBI_Build {build:?} of {}", self.name);
                sink.said(table, Said::by_value(assembly, number, line, by))?;
            }
            let variant = alleles.as_ref().map(|alleles| alleles.variant(&cells));
            let variant = variant.transpose().map_err(|message| Error::Line {
                input: 1,
                line,
                rule: "maf-alternative",
                message: format!("{}: {message}", self.name),
            })?;
            let cells = match (&alleles, &variant) {
                (Some(alleles), Some(variant)) => alleles.put(variant, cells),
                _ => cells,
            };
            if let Some((kind, place)) = key {
                self.check_key(kind, cells.get(place), line, listed)?;
            }
            for (kind, place) in &of_people {
                if let Some(Cell::Bare(text) | Cell::Quoted(text)) = cells.get(*place) {
                    met.of_row(kind, text, &name, line);
                }
            }
            out.row(&cells, line)?;
            n += 1;
        }
        // What no line says the meta files do.
        if let Some((assembly, by)) = &self.assembly
            && !builds.as_ref().is_some_and(maf::Builds::has_said)
        {
            sink.said(table, Said::by_value(*assembly, number, 1, by.clone()))?;
        }
        out.flush()?;
        Ok(n)
    }

    /// The columns that no row may lack, and what each is called.
    fn needed_in_rows(&self) -> Vec<(usize, &'static str)> {
        let Kind::Table(table) = self.kind else {
            return Vec::new();
        };
        let needed = needed_in_rows(table).iter().filter_map(|(name, what)| {
            let place = self
                .columns
                .iter()
                .position(|column| column.name == *name)?;
            Some((place, *what))
        });
        needed.collect()
    }

    /// What a row of a clinical file is about, and the column that names it.
    fn key(&self) -> Option<(&'static str, usize)> {
        let (kind, name) = match self.kind {
            Kind::Table("patient") => ("patient", "person_id"),
            Kind::Table("sample") => ("sample", "sample_id"),
            _ => return None,
        };
        let place = self.columns.iter().position(|column| column.name == name)?;
        Some((kind, place))
    }

    /// The columns of samples and patients that another file should list.
    fn of_people(&self) -> Vec<(&'static str, usize)> {
        let kinds: &[(&'static str, &str)] = match self.kind {
            Kind::Table("patient") => &[],
            Kind::Table("sample") => &[("patient", "person_id")],
            _ => &[("sample", "sample_id")],
        };
        let places = kinds.iter().filter_map(|(kind, name)| {
            let mut columns = self.columns.iter();
            Some((*kind, columns.position(|column| column.name == *name)?))
        });
        places.collect()
    }

    /// Refuses a patient or sample that was listed before, and a row of none.
    fn check_key(
        &self,
        kind: &'static str,
        cell: Option<&Cell<'_>>,
        line: u64,
        listed: &mut Listed,
    ) -> Result<()> {
        let refused = |rule, told: &str| Error::Line {
            input: 1,
            line,
            rule,
            message: format!("{}: {told}", self.name),
        };
        let Some(Cell::Bare(text) | Cell::Quoted(text)) = cell else {
            return Err(refused(
                "cbioportal-key",
                &format!("the row names no {kind}"),
            ));
        };
        match listed.entry((kind, (*text).to_owned())) {
            Entry::Occupied(first) => {
                let (file, first) = first.get();
                let told =
                    format!("the {kind} of this row is listed in line {first} of {file} already");
                Err(refused("cbioportal-twice", &told))
            }
            Entry::Vacant(place) => {
                place.insert((Arc::from(self.name.as_str()), line));
                Ok(())
            }
        }
    }

    /// Refuses a span that ends before it starts; what is no number is refused with its column.
    fn check_span(&self, cells: &[Cell<'_>], line: u64) -> Result<()> {
        let place = |name: &str| -> Option<i64> {
            let at = self.columns.iter().position(|column| column.name == name)?;
            match cells.get(at)? {
                Cell::Bare(text) | Cell::Quoted(text) => text.trim().parse().ok(),
                _ => None,
            }
        };
        match (place("pos"), place("end_pos")) {
            (Some(pos), Some(end)) if end < pos => Err(Error::Line {
                input: 1,
                line,
                rule: "span",
                message: format!("{}: end {end} is before start {pos}", self.name),
            }),
            _ => Ok(()),
        }
    }
}
