//! Workload `sizes`: bytes on disk of the same cohort in each store; no times.
//!
//! Every store holds phased genotypes of one cohort. BCF and VCF hold the fixed columns as well, so that
//! ours are told with and without them. vcf2zarr takes very long over a large cohort: it and everybody
//! else are told again for the first part of the file.

use std::path::{Path, PathBuf};

use crate::RunArgs;
use crate::answers;
use crate::measure::{self, Row};
use crate::peers::{bcftools, genokura, plink2, vcf_zarr};

/// Records of the part that vcf2zarr is given.
const PART_RECORDS: usize = 20_000;

/// Makes what is not there yet and reads the sizes.
///
/// # Errors
/// When a command fails.
pub(crate) fn run(args: &RunArgs) -> anyhow::Result<Vec<Row>> {
    let name = answers::cohort_name(&args.cohort);
    genokura::lake(args)?;
    let mut rows = of_store(args, &format!("stored {name}"))?;
    if args.skips("vcf2zarr") {
        return Ok(rows);
    }
    let part = part(args)?;
    let workload = format!("stored {name} first {PART_RECORDS} records");
    genokura::lake(&part)?;
    rows.extend(of_store(&part, &workload)?);
    let store = part.scratch.join("zarr");
    let (genotypes, all) = vcf_zarr::sizes(args, &part.cohort, &store)?;
    rows.push(Row::size(&workload, "VCF-Zarr genotype arrays", genotypes));
    rows.push(Row::size(&workload, "VCF-Zarr", all));
    Ok(rows)
}

fn of_store(args: &RunArgs, workload: &str) -> anyhow::Result<Vec<Row>> {
    let lake = args.scratch.join("lake");
    let mut rows = vec![
        Row::size(
            workload,
            "genokura genotypes",
            measure::size(&lake.join("cohort/genotype"))?,
        ),
        Row::size(workload, "genokura whole lake", measure::size(&lake)?),
        Row::size(workload, "bgzipped VCF", measure::size(&args.cohort)?),
    ];
    if !args.skips("plink2") {
        let pgen = plink2::pgen(args)?;
        let of = |ending: &str| measure::size(&pgen.with_extension(ending));
        rows.push(Row::size(workload, "plink2 .pgen", of("pgen")?));
        rows.push(Row::size(
            workload,
            "plink2 .pgen and .pvar",
            of("pgen")? + of("pvar")?,
        ));
    }
    if !args.skips("bcftools") {
        let bcf = measure::size(&bcftools::bcf(args)?)?;
        rows.push(Row::size(workload, "bcftools BCF", bcf));
    }
    Ok(rows)
}

/// The same run over the first records of the cohort.
fn part(args: &RunArgs) -> anyhow::Result<RunArgs> {
    let scratch = args.scratch.join("part");
    std::fs::create_dir_all(&scratch)?;
    let vcf: PathBuf = scratch.join("part.vcf.gz");
    if !vcf.exists() {
        write_part(&args.cohort, &vcf)?;
    }
    Ok(RunArgs {
        cohort: vcf,
        scratch,
        ..args.clone()
    })
}

fn write_part(cohort: &Path, part: &Path) -> anyhow::Result<()> {
    // awk ends early, and bgzip before it then has nowhere to write: it may die of that (128 + SIGPIPE), of
    // nothing else.
    measure::output(&format!(
        "set -o pipefail; (bgzip -dc {0} || [ $? -eq 141 ]) | awk '/^#/ {{ print; next }} ++n > {PART_RECORDS} {{ exit }} {{ print }}' \
         | bgzip > {1}.part && mv {1}.part {1} && bcftools index -t {1}",
        cohort.display(),
        part.display()
    ))
    .map(drop)
}
