//! Matrices of genes and samples: long, a row for each value.

use crate::error::{Error, Result};
use crate::table::fixed::Out;
use crate::table::{Cell, ColumnType, Rows as _, sql_name};

use super::file::{File, Part, cell};

/// Columns of a matrix that are no samples.
const OF_GENES: [&str; 10] = [
    "hugo_symbol",
    "entrez_gene_id",
    "composite_element_ref",
    "cytoband",
    "entity_stable_id",
    "name",
    "description",
    "transcript_id",
    "url",
    "gene_symbol",
];
/// Columns of a long matrix.
const MATRIX: [(&str, ColumnType, &str); 6] = [
    ("study_id", ColumnType::Text, "Study"),
    (
        "profile",
        ColumnType::Text,
        "Profile: what was measured, and how",
    ),
    (
        "gene",
        ColumnType::Text,
        "Symbol of the gene, or what else names the row",
    ),
    ("entrez_id", ColumnType::Int8, "Entrez id of the gene"),
    ("sample_id", ColumnType::Text, "Sample"),
    ("value", ColumnType::Float8, "Value"),
];

impl File {
    pub(super) fn look_at_matrix(&mut self) -> Result<()> {
        let rows = self.rows()?;
        let part = |(header, number): (&String, usize)| match sql_name(header, number).as_str() {
            "hugo_symbol" | "composite_element_ref" | "entity_stable_id" | "gene_symbol" => {
                Part::Gene
            }
            "entrez_gene_id" => Part::Entrez,
            name if OF_GENES.contains(&name) => Part::Passed,
            _ => Part::Sample(header.clone()),
        };
        let mut parts: Vec<Part> = rows.headers().iter().zip(1..).map(part).collect();
        // Of several columns that name the row the first does.
        let first = parts.iter().position(|part| *part == Part::Gene);
        for (at, part) in parts.iter_mut().enumerate() {
            if *part == Part::Gene && Some(at) != first {
                *part = Part::Passed;
            }
        }
        if first.is_none() && !parts.contains(&Part::Entrez) {
            return Err(
                self.refuse("no column Hugo_Symbol, Entrez_Gene_Id or Composite.Element.REF")
            );
        }
        let mut samples: Vec<&String> = Vec::new();
        for (part, number) in parts.iter().zip(1..) {
            let Part::Sample(sample) = part else { continue };
            if sample.is_empty() || samples.contains(&sample) {
                let message = format!(
                    "column {number} of the header names no sample, or one that another names"
                );
                return Err(self.refuse(&message));
            }
            samples.push(sample);
        }
        self.parts = parts;
        self.columns = crate::table::fixed::columns(&MATRIX);
        Ok(())
    }

    /// Sends the values of a matrix, gene by gene; gives the number of its rows.
    pub(super) fn send_matrix(&self, study: &str, out: &mut Out<'_>) -> Result<u64> {
        let mut rows = self.rows()?;
        let mut n = 0;
        let gene = self.parts.iter().position(|part| *part == Part::Gene);
        let entrez = self.parts.iter().position(|part| *part == Part::Entrez);
        while let Some(line) = rows.next_row()? {
            let of = |place: Option<usize>| place.map_or(Cell::Null, |place| rows.cell(place));
            let (gene, entrez) = (of(gene), of(entrez));
            let gene = if gene == Cell::Null { entrez } else { gene };
            if gene == Cell::Null {
                let message = format!("{}: the row has no gene", self.name);
                return Err(Error::Line {
                    input: 1,
                    line,
                    rule: "cbioportal-gene",
                    message,
                });
            }
            for (at, part) in self.parts.iter().enumerate() {
                let Part::Sample(sample) = part else { continue };
                let value = match cell(rows.cell(at)) {
                    Cell::Null | Cell::Bare("NaN") => continue,
                    value => value,
                };
                if let Cell::Bare(text) | Cell::Quoted(text) = value
                    && text.parse::<f64>().is_err()
                {
                    return Err(Error::Cell {
                        input: 1,
                        line,
                        column: format!("{}: column {}", self.name, at + 1),
                        message: "no number (rule cell-type)".to_owned(),
                    });
                }
                let profile = Cell::Quoted(&self.profile);
                let cells = [
                    Cell::Quoted(study),
                    profile,
                    gene,
                    entrez,
                    Cell::Quoted(sample),
                    value,
                ];
                out.row(&cells, line)?;
            }
            n += 1;
        }
        out.flush()?;
        Ok(n)
    }
}
