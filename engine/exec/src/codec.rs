//! Scans, and nodes that count instead, on their way to another process: a plan node to bytes and back.

use std::sync::Arc;

use datafusion::physical_plan::ExecutionPlan;

use crate::counting::CallCountExec;
use crate::error::{Error, Result};
use crate::scan::DatasetScanExec;
use crate::session::Engine;
use crate::spec::ScanSpec;

/// The bytes of a scan or a counting node of this crate; `None` for any other node, and for one that counts what is
/// joined with other tables.
///
/// # Errors
/// See [`ScanSpec::to_bytes`].
pub fn encode_scan(plan: &dyn ExecutionPlan) -> Result<Option<Vec<u8>>> {
    if let Some(count) = plan.downcast_ref::<CallCountExec>() {
        return count.to_bytes();
    }
    plan.downcast_ref::<DatasetScanExec>()
        .map(|scan| scan.spec().to_bytes())
        .transpose()
}

/// The scan of these bytes, on the lake of `engine`, at the version and with the access it was planned with.
///
/// # Errors
/// [`Error::Plan`] for bytes of another build, and for a version or dataset that the lake does not have.
pub async fn decode_scan(engine: &Arc<Engine>, bytes: &[u8]) -> Result<Arc<dyn ExecutionPlan>> {
    let (spec, counting) = ScanSpec::from_bytes_with(bytes)?;
    let version = spec
        .version
        .ok_or_else(|| Error::Plan("it reads a lake without commits".into()))?;
    let snapshot = engine.lake().snapshot_at(version).await?;
    let view = engine
        .view(&snapshot, &spec.dataset, &spec.access)
        .await?
        .ok_or_else(|| Error::Plan(format!("dataset {} does not exist", spec.dataset)))?;
    let scan = DatasetScanExec::new(spec, view)?;
    Ok(match counting {
        Some(counting) => Arc::new(CallCountExec::new(&scan, counting)?),
        None => Arc::new(scan),
    })
}
