//! Rows of one place (contig and position) stay together: where a scan is cut and where batches end.

use std::sync::Arc;

use arrow::array::{Array as _, AsArray};
use arrow::datatypes::{Int32Type, Schema};
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use genokura_core::schema::site_schema;

use crate::dynamic::DynamicFilters;
use crate::error::Result;
use crate::metrics::ScanMetrics;
use crate::source::{Allowance, ReadContext, SiteRows, SiteSource, column};
use crate::spec::{FilePart, Unit};

/// Rows after a cut that are looked at.
const LOOKED_AT: usize = 1_024;

/// A contig and a position.
type Place = (String, i32);

/// Moves the cuts between partitions so that none goes through a place.
///
/// Units that merge are cut between positions already. A place of more rows than [`LOOKED_AT`] at a cut, which no
/// variant caller makes, brings all work into one partition.
///
/// # Errors
/// What reading the site table fails with.
pub(crate) async fn whole(
    context: &ReadContext,
    mut partitions: Vec<Vec<Unit>>,
) -> Result<Vec<Vec<Unit>>> {
    let keys = Arc::new(keys_of(context)?);
    let mut before: Option<usize> = None;
    for at in 0..partitions.len() {
        if partitions[at].is_empty() {
            continue;
        }
        let Some(left) = before.replace(at) else {
            continue;
        };
        let last = last_part(&partitions[left]);
        let (Some(last), Some(first)) = (last, first_part(&partitions[at])) else {
            continue;
        };
        let Some(moved) = leading(&keys, last, first).await? else {
            let all = partitions.iter_mut().flat_map(std::mem::take).collect();
            if let Some(one) = partitions.first_mut() {
                *one = all;
            }
            return Ok(partitions);
        };
        if moved > 0 {
            let part = cut_off(&mut partitions[at], moved);
            partitions[left].extend(part);
        }
    }
    Ok(partitions)
}

/// Takes the first `rows` rows of the first unit, which has more.
fn cut_off(units: &mut [Unit], rows: usize) -> Option<Unit> {
    let unit = units.first_mut()?;
    let part = unit.streams.first_mut()?.first_mut()?;
    let (group, start, _) = *part.row_groups.first()?;
    if let Some((_, from, _)) = part.row_groups.first_mut() {
        *from = start + rows;
    }
    let file = part.file;
    Some(straight(file, (group, start, start + rows)))
}

fn straight(file: usize, rows: (usize, usize, usize)) -> Unit {
    Unit {
        streams: vec![vec![FilePart {
            file,
            row_groups: vec![rows],
        }]],
        merge: false,
        positions: None,
    }
}

/// Its only stream; `None` of a unit that merges.
fn stream(unit: &Unit) -> Option<&[FilePart]> {
    match unit.streams.as_slice() {
        [stream] if !unit.merge => Some(stream),
        _ => None,
    }
}

fn last_part(units: &[Unit]) -> Option<&FilePart> {
    stream(units.last()?)?.last()
}

fn first_part(units: &[Unit]) -> Option<&FilePart> {
    stream(units.first()?)?.first()
}

/// How many rows at the start of `first` are of the place of the last row of `last`; `None` when it may be more than
/// were looked at.
async fn leading(
    keys: &Arc<ReadContext>,
    last: &FilePart,
    first: &FilePart,
) -> Result<Option<usize>> {
    let (Some(&(group, _, end)), Some(&(of_first, start, stop))) =
        (last.row_groups.last(), first.row_groups.first())
    else {
        return Ok(Some(0));
    };
    let own = read(keys, last.file, (group, end.saturating_sub(1), end)).await?;
    let Some(own) = own.last() else {
        return Ok(Some(0));
    };
    let until = stop.min(start + LOOKED_AT);
    let following = read(keys, first.file, (of_first, start, until)).await?;
    let same = following.iter().take_while(|place| *place == own).count();
    Ok((same < following.len() || following.is_empty()).then_some(same))
}

/// The places of some rows.
async fn read(
    keys: &Arc<ReadContext>,
    file: usize,
    rows: (usize, usize, usize),
) -> Result<Vec<Place>> {
    let mut source = SiteSource::new(Arc::clone(keys), vec![straight(file, rows)]);
    let mut places = Vec::new();
    while let Some(rows) = source.next().await? {
        let contig = column(&rows.batch, "contig")?.as_string::<i32>();
        let pos = column(&rows.batch, "pos")?.as_primitive::<Int32Type>();
        places
            .extend((0..rows.batch.num_rows()).map(|i| (contig.value(i).to_owned(), pos.value(i))));
    }
    Ok(places)
}

/// The reading of places alone: no filter, nothing counted.
fn keys_of(context: &ReadContext) -> Result<ReadContext> {
    let all = site_schema(&context.view.data.state.info);
    let field = |name| all.field_with_name(name).cloned();
    let schema = Schema::new(vec![field("contig")?, field("pos")?]);
    Ok(ReadContext {
        view: Arc::clone(&context.view),
        table: Arc::clone(&context.table),
        schema: Arc::new(schema),
        key: Vec::new(),
        row: Vec::new(),
        batch_size: LOOKED_AT,
        metrics: ScanMetrics::new(&ExecutionPlanMetricsSet::new(), 0),
        dynamic: DynamicFilters::default(),
        allowance: Allowance::new(None),
    })
}

/// Site rows in batches that end where a place does.
pub(crate) struct WholePlaces {
    source: SiteSource,
    held: Option<SiteRows>,
}

impl WholePlaces {
    pub(crate) fn new(source: SiteSource) -> Self {
        Self { source, held: None }
    }

    /// The next rows; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<SiteRows>> {
        let rows = match self.held.take() {
            Some(rows) => Some(rows),
            None => self.source.next().await?,
        };
        let Some(mut rows) = rows else {
            return Ok(None);
        };
        while let Some(following) = self.source.next().await? {
            if place(&rows, rows.len().saturating_sub(1))? != place(&following, 0)? {
                self.held = Some(following);
                break;
            }
            rows = rows.followed_by(&following)?;
        }
        Ok(Some(rows))
    }
}

/// Where a variant stands.
fn place(rows: &SiteRows, group: usize) -> Result<Option<Place>> {
    let contig = rows.column("contig")?.as_string::<i32>();
    let pos = rows.column("pos")?.as_primitive::<Int32Type>();
    let row = rows.members(group).next();
    let row = row.filter(|row| *row < contig.len());
    Ok(row.map(|row| (contig.value(row).to_owned(), pos.value(row))))
}
