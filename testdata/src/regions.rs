//! Gene spans as GFF3.

use std::io::{self, Write};

use crate::genes::{CONTIGS, GENES, Gene};

/// Writes genes, transcripts and exons as GFF3 (1-based, closed), contig by contig.
///
/// A gene without an exon table is a single `gene` line.
pub fn write_genes_gff3(out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "##gff-version 3")?;
    for contig in CONTIGS {
        writeln!(out, "##sequence-region {} 1 {}", contig.name, contig.length)?;
    }
    GENES.iter().try_for_each(|gene| write_gene(gene, out))
}

fn write_gene(gene: &Gene, out: &mut impl Write) -> io::Result<()> {
    let Gene {
        symbol,
        ensembl,
        contig,
        strand,
        transcript,
        ..
    } = gene;
    let line = |out: &mut dyn Write, feature: &str, (start, end): (i32, i32), attributes: &str| {
        writeln!(
            out,
            "{contig}\tgenokura\t{feature}\t{start}\t{end}\t.\t{strand}\t.\t{attributes}"
        )
    };
    let name = format!("ID=gene:{ensembl};Name={symbol};biotype=protein_coding");
    line(out, "gene", (gene.start, gene.end), &name)?;
    let (Some(first), Some(last)) = (gene.exons.first(), gene.exons.last()) else {
        return Ok(());
    };
    let of_gene = format!("ID=transcript:{transcript};Parent=gene:{ensembl};Name={transcript}");
    line(
        out,
        "mRNA",
        (first.0, last.1),
        &format!("{of_gene};gene_name={symbol}"),
    )?;
    for (index, exon) in gene.exons.iter().enumerate() {
        let number = if *strand == '-' {
            gene.exons.len() - index
        } else {
            index + 1
        };
        let attributes = format!(
            "Parent=transcript:{transcript};Name={symbol}-exon-{number};gene_name={symbol};exon_number={number}"
        );
        line(out, "exon", *exon, &attributes)?;
    }
    Ok(())
}
