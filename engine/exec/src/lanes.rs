//! Lanes: the rows of a small scan read by several tasks at once and given out in order.
//!
//! A question about one region reads a few thousand rows of one row group: one partition, so one processor would do
//! all of it. Its rows are cut where pages begin, each stretch is read by a task of its own, and the stretches follow
//! one another as if one had read them.
//! ```text
//!   pages that filters leave   |  8,192 rows  |  1,048 |
//!   lane 0                     |####|                      given out first
//!   lane 1                          |##########|           reads ahead, two batches at most
//! ```
//! Nothing is read before the first batch is asked for: filters that a join learns are known then.

use std::ops::Range;

use datafusion::datasource::physical_plan::parquet::ParquetAccessPlan;
use genokura_storage::FileReader;

use crate::error::{Error, Result};
use crate::pruning::UNIT_ROWS;
use crate::source::{Early, ReadContext, is_kept, part_access, prune_pages, rows_left};
use crate::spec::{FilePart, ScanSpec, Unit};

/// Lanes for each processor where rows are kept decoded.
const LANES_OF_KEPT: usize = 2;

/// Rows of a lane at least, when there are several.
const LANE_ROWS_MIN: usize = 1_024;

/// The only stretch of rows that a scan reads, when it is a small one of one row group.
pub(crate) fn lone_part(spec: &ScanSpec) -> Option<&FilePart> {
    let [units] = spec.partitions.as_slice() else {
        return None;
    };
    let [unit] = units.as_slice() else {
        return None;
    };
    let [parts] = unit.streams.as_slice() else {
        return None;
    };
    let [part] = parts.as_slice() else {
        return None;
    };
    let rows = part.rows();
    let small = rows > LANE_ROWS_MIN && rows <= UNIT_ROWS && part.row_groups.len() == 1;
    (small && !unit.merge && spec.limit.is_none()).then_some(part)
}

/// Cuts a stretch of rows into at most `lanes` units of about equal work.
///
/// # Errors
/// What opening the file fails with.
pub(crate) async fn cut(
    context: &ReadContext,
    part: &FilePart,
    lanes: usize,
) -> Result<Vec<Vec<Unit>>> {
    let &[(group, start, end)] = part.row_groups.as_slice() else {
        return Err(Error::Internal("lanes of several row groups".into()));
    };
    let file = context.table.files.get(part.file);
    let file =
        file.ok_or_else(|| Error::Plan(format!("it names file {} of the site table", part.file)))?;
    let store = context.metrics.store(context.view.data.lake());
    let reader = FileReader::open_at(store, file).await?;
    let filters = context.key.iter().chain(&context.row).cloned().collect();
    let ranges = left_by_pages(&reader, &Early::new(context, filters)?, group, start..end)?;
    // Rows that are kept decoded are read from anywhere at no cost, and smaller lanes are shared out better.
    let (pages, lanes) = match is_kept(&reader, group, &context.schema, &ranges) {
        true => (Vec::new(), lanes.saturating_mul(LANES_OF_KEPT)),
        false => (page_starts(&reader, group), lanes),
    };
    let unit = |rows: Range<usize>| Unit {
        streams: vec![vec![FilePart {
            file: part.file,
            row_groups: vec![(group, rows.start, rows.end)],
        }]],
        merge: false,
        positions: None,
    };
    let cuts = cuts(&ranges, &pages, lanes);
    Ok(cuts.into_iter().map(|rows| vec![unit(rows)]).collect())
}

/// Rows of a row group that the page index leaves, rising.
fn left_by_pages(
    reader: &FileReader,
    early: &Early,
    group: usize,
    rows: Range<usize>,
) -> Result<Vec<Range<usize>>> {
    let groups = reader.metadata().row_groups();
    let meta = groups
        .get(group)
        .ok_or_else(|| Error::Plan(format!("it names row group {group} of a file without it")))?;
    let all = usize::try_from(meta.num_rows()).unwrap_or_default();
    let mut access = ParquetAccessPlan::new_none(groups.len());
    access.set(group, part_access(rows.start, rows.end, all));
    if let Some(pages) = &early.pages {
        (access, _, _) = prune_pages(pages, reader, access);
    }
    Ok(rows_left(access.inner().get(group), all))
}

/// First rows of the pages of a row group's first column: all columns have theirs alike, as long as they are small.
fn page_starts(reader: &FileReader, group: usize) -> Vec<usize> {
    let index = reader.metadata().offset_index();
    let column = index.and_then(|groups| groups.get(group)?.first());
    let pages = column.map(|column| column.page_locations().as_slice());
    let first = |page: &parquet::file::page_index::offset_index::PageLocation| {
        usize::try_from(page.first_row_index).ok()
    };
    pages.unwrap_or_default().iter().filter_map(first).collect()
}

/// Rows of each lane: together they cover `ranges`, and lanes begin where a page does if one begins nearby.
fn cuts(ranges: &[Range<usize>], pages: &[usize], lanes: usize) -> Vec<Range<usize>> {
    let (Some(first), Some(last)) = (ranges.first(), ranges.last()) else {
        return Vec::new();
    };
    let total: usize = ranges.iter().map(Range::len).sum();
    let lanes = lanes.min(total / LANE_ROWS_MIN).max(1);
    let mut starts = vec![first.start];
    for lane in 1..lanes {
        let ideal = nth_row(ranges, total * lane / lanes);
        let near = total / (3 * lanes);
        let page = pages
            .iter()
            .copied()
            .min_by_key(|page| page.abs_diff(ideal));
        let start = page
            .filter(|page| page.abs_diff(ideal) <= near)
            .unwrap_or(ideal);
        if starts.last().is_some_and(|before| start > *before) && start < last.end {
            starts.push(start);
        }
    }
    let ends = starts.iter().skip(1).copied().chain([last.end]);
    starts
        .iter()
        .copied()
        .zip(ends)
        .map(|(start, end)| start..end)
        .collect()
}

/// The row before which there are `n` rows of `ranges`.
fn nth_row(ranges: &[Range<usize>], mut n: usize) -> usize {
    for range in ranges {
        if n < range.len() {
            return range.start + n;
        }
        n -= range.len();
    }
    ranges.last().map_or(0, |range| range.end)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::AccessContext;
    use crate::scan::DatasetScanExec;
    use crate::testing::{Fixture, Record, Shape, Source};
    use crate::tests::{plan, query, session};

    /// 3,000 variants at one row group of sites.
    async fn region() -> Fixture {
        let gts = ["0/0", "0/1", "1/1", "./."];
        let record = |i: i32| {
            let turn = usize::try_from(i).unwrap();
            let gts: Vec<_> = (0..4).map(|s| gts[(turn / (s + 1)) % 4]).collect();
            Record::new("chr2", 1_000 + i * 3, &["C"], &gts)
        };
        let source = Source::new(&["S1", "S2", "S3", "S4"], (0..3_000).map(record).collect());
        let shape = Shape {
            window: 512,
            site_rows: 4_096,
            page_rows: 700,
            ..Shape::default()
        };
        Fixture::of(shape, vec![vec![source]]).await
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn lanes_give_the_rows_of_one_reader_in_its_order() {
        let fixture = region().await;
        let only =
            || AccessContext::only("r", [("cohort".into(), ["S1".into(), "S4".into()].into())]);
        for sql in [
            "SELECT pos, ref, alt, ac, gt FROM cohort.variants",
            "SELECT pos, gt FROM cohort.variants WHERE pos BETWEEN 2500 AND 8000 AND af > 0.3",
            "SELECT pos, sample_id, gt FROM cohort.calls WHERE pos > 4000",
            "SELECT pos, sample_id, dosage FROM cohort.carriers WHERE sample_id <> 'S2'",
            "SELECT pos FROM cohort.variants WHERE pos > 50000",
            "SELECT c.pos, c.sample_id FROM cohort.variants v JOIN cohort.carriers c USING (contig, pos) \
             WHERE v.ac = 1 ORDER BY 1, 2",
        ] {
            for access in [AccessContext::default(), only()] {
                let one = session(&fixture, 1, 8192, access.clone()).await;
                let expected = query(&one, sql).await;
                assert_eq!(expected.is_empty(), sql.contains("50000"));
                for (partitions, batch_size) in [(2, 8192), (8, 8192), (3, 100)] {
                    let several = session(&fixture, partitions, batch_size, access.clone()).await;
                    assert_eq!(query(&several, sql).await, expected, "{sql}");
                }
            }
        }
    }

    #[tokio::test]
    async fn a_region_is_cut_into_lanes() {
        let fixture = region().await;
        let two = session(&fixture, 2, 8192, AccessContext::default()).await;
        let sql = "SELECT pos FROM cohort.variants WHERE pos BETWEEN 1000 AND 8000";
        let plan = plan(&two, sql).await;
        let scan = plan.downcast_ref::<DatasetScanExec>().unwrap();
        assert!(lone_part(&scan.spec).is_some());
        assert_eq!(plan.properties().output_partitioning().partition_count(), 1);
    }

    #[test]
    fn lanes_cover_all_rows_and_begin_with_pages_nearby() {
        let pages = [0, 8_192, 16_384];
        let of_one = |rows: Range<usize>, pages: &[usize], lanes| {
            let cuts = cuts(std::slice::from_ref(&rows), pages, lanes);
            cuts.iter().map(|r| (r.start, r.end)).collect::<Vec<_>>()
        };
        assert!(cuts(&[], &pages, 4).is_empty());
        assert_eq!(of_one(0..900, &pages, 4), [(0, 900)]);
        assert_eq!(of_one(0..16_384, &pages, 2), [(0, 8_192), (8_192, 16_384)]);
        assert_eq!(of_one(0..12_000, &pages, 2), [(0, 6_000), (6_000, 12_000)]);
        let apart = [(1_000, 8_192), (8_192, 15_000)];
        assert_eq!(of_one(1_000..15_000, &pages, 2), apart);
        assert_eq!(of_one(0..4_000, &pages, 2), [(0, 2_000), (2_000, 4_000)]);
        let parted = [0..2_000, 8_192..10_192];
        assert_eq!(cuts(&parted, &pages, 2), [0..8_192, 8_192..10_192]);
        let thirds = [(0, 5_461), (5_461, 10_922), (10_922, 16_384)];
        assert_eq!(of_one(0..16_384, &[], 3), thirds);
    }
}
