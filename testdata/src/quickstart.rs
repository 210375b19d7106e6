//! The files of a cohort in a directory.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::clinical::{write_dictionary, write_known_variants};
use crate::cohort::{Cohort, CohortSpec};
use crate::hpo::write_hpo;
use crate::regions::write_genes_gff3;
use crate::vcf::VcfTotals;

/// Where the files of a cohort were written, and the table each belongs to.
#[derive(Clone, Debug)]
pub struct QuickstartFiles {
    /// The call set.
    pub vcf: PathBuf,
    /// Records and alleles of the call set.
    pub totals: VcfTotals,
    /// Samples in the call set.
    pub samples: usize,
    /// CSV files with the table they are for: `clin.person`, …, `kb.known_variant`.
    pub tables: Vec<(&'static str, PathBuf)>,
    /// GFF3 file with the table it is for: `kb.genes`.
    pub regions: Vec<(&'static str, PathBuf)>,
    /// The excerpt of HPO in OBO form.
    pub hpo: PathBuf,
    /// Data dictionary for every table: `column, type, description`.
    pub dictionary: PathBuf,
    /// Pedigree in PED form.
    pub pedigree: PathBuf,
    /// The planted de novo variants: `sample_id, contig, pos, ref, alt, gene`.
    pub de_novo_truth: PathBuf,
}

/// Writes the quickstart cohort ([`CohortSpec::quickstart`]) into `dir`, which is made if it is not there.
pub fn write_quickstart(dir: &Path) -> io::Result<QuickstartFiles> {
    write_cohort(&Cohort::generate(CohortSpec::quickstart()), dir)
}

/// Writes every file of a cohort into `dir`, which is made if it is not there.
pub fn write_cohort(cohort: &Cohort, dir: &Path) -> io::Result<QuickstartFiles> {
    fs::create_dir_all(dir)?;
    let vcf = dir.join("cohort.vcf");
    let totals = write_file(&vcf, |out| cohort.write_vcf(out))?;
    let tables = vec![
        (
            "clin.person",
            table(dir, "person", |out| cohort.write_persons(out))?,
        ),
        (
            "clin.family",
            table(dir, "family", |out| cohort.write_families(out))?,
        ),
        (
            "clin.condition",
            table(dir, "condition", |out| cohort.write_conditions(out))?,
        ),
        (
            "clin.phenotype",
            table(dir, "phenotype", |out| cohort.write_phenotypes(out))?,
        ),
        (
            "clin.specimen",
            table(dir, "specimen", |out| cohort.write_specimens(out))?,
        ),
        (
            "clin.measurement",
            table(dir, "measurement", |out| cohort.write_measurements(out))?,
        ),
        (
            "kb.known_variant",
            table(dir, "known_variant", write_known_variants)?,
        ),
    ];
    let genes = dir.join("genes.gff3");
    write_file(&genes, write_genes_gff3)?;
    let hpo = dir.join("hp.obo");
    write_file(&hpo, write_hpo)?;
    let pedigree = dir.join("pedigree.ped");
    write_file(&pedigree, |out| cohort.write_pedigree(out))?;
    let dictionary = table(dir, "dictionary", write_dictionary)?;
    let de_novo_truth = table(dir, "de_novo_truth", |out| cohort.write_de_novo_truth(out))?;
    Ok(QuickstartFiles {
        vcf,
        totals,
        samples: cohort.people().len(),
        tables,
        regions: vec![("kb.genes", genes)],
        hpo,
        dictionary,
        pedigree,
        de_novo_truth,
    })
}

impl Cohort {
    /// `sample_id, contig, pos, ref, alt, gene` of every planted de novo variant.
    pub fn write_de_novo_truth(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "sample_id,contig,pos,ref,alt,gene")?;
        for d in self.de_novos() {
            let sample = &self.people()[d.person].sample_id;
            writeln!(
                out,
                "{sample},{},{},{},{},{}",
                d.contig, d.pos, d.reference, d.alternate, d.gene
            )?;
        }
        Ok(())
    }
}

fn table(
    dir: &Path,
    name: &str,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> io::Result<PathBuf> {
    let path = dir.join(format!("{name}.csv"));
    write_file(&path, write)?;
    Ok(path)
}

fn write_file<T>(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<T>,
) -> io::Result<T> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let value = write(&mut out)?;
    out.flush()?;
    Ok(value)
}
