//! VCF-Zarr as bio2zarr writes it.

use std::path::Path;

use crate::RunArgs;
use crate::measure;

/// Bytes of the genotype arrays and of the whole store, made from a VCF unless it is there.
///
/// # Errors
/// When vcf2zarr fails.
pub(crate) fn sizes(args: &RunArgs, vcf: &Path, store: &Path) -> anyhow::Result<(u64, u64)> {
    if !store.exists() {
        measure::output(&format!(
            "{0} explode -f -p2 {1} {2}.icf && {0} encode -f -p2 {2}.icf {2}.part && \
             mv {2}.part {2} && rm -rf {2}.icf",
            args.vcf2zarr.display(),
            vcf.display(),
            store.display()
        ))?;
    }
    let mut genotypes = 0;
    for entry in std::fs::read_dir(store)? {
        let entry = entry?;
        if entry
            .file_name()
            .to_string_lossy()
            .starts_with("call_genotype")
        {
            genotypes += measure::size(&entry.path())?;
        }
    }
    Ok((genotypes, measure::size(store)?))
}
