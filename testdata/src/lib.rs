//! Seeded test data: the simulated cohort, clinical tables and gene spans.
//!
//! Real genes and published variants by their GRCh38 coordinates, simulated people: pedigree, founder
//! haplotypes from a coalescent with growth, meiosis with crossovers, planted de novo variants, depths and
//! missing calls. Equal seeds give equal bytes on every machine. The catalogue is `testdata/README.md`.
//!
//! ```
//! use genokura_testdata::{CohortSpec, Cohort, People};
//! let spec = CohortSpec { people: People::Families(3), sites: 50, ..CohortSpec::quickstart() };
//! let cohort = Cohort::generate(spec);
//! let mut text = Vec::new();
//! let totals = cohort.write_vcf(&mut text)?;
//! assert!(text.starts_with(b"##fileformat=VCFv4.3\n") && totals.records > 0);
//! # Ok::<(), std::io::Error>(())
//! ```

mod clinical;
mod coalescent;
mod cohort;
mod genes;
mod hpo;
mod known;
mod meiosis;
mod pedigree;
mod quickstart;
mod random;
mod reference;
mod regions;
mod sites;
mod vcf;

pub use clinical::{write_dictionary, write_known_variants};
pub use cohort::{Cohort, CohortSpec, DeNovo, Fields, People, cohort};
pub use genes::{CONTIGS, Contig, GENES, Gene};
pub use hpo::write_hpo;
pub use known::{Condition, Inheritance, KNOWN, KnownVariant};
pub use pedigree::{Person, Sex};
pub use quickstart::{QuickstartFiles, write_cohort, write_quickstart};
pub use regions::write_genes_gff3;
pub use vcf::VcfTotals;
