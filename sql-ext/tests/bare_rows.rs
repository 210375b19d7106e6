//! Sorts, groups and windows are those of the rows, whatever the planner knows of parts of them: every answer is that of
//! one partition, no order and no filter that fixes a column. Batches are small, so that groups go over many of them.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::datasource::MemTable;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::physical_plan::displayable;
use datafusion::prelude::{SessionConfig, SessionContext, col};

/// `t(pos, grp, x)`: twelve positions of 20 rows, groups `a`, `b` and `c` in turn; `k(id)` from 0 to 29.
///
/// Half of the positions' rows are in each of two partitions, in their order if `told`.
fn context(partitions: usize, told: bool) -> SessionContext {
    let config = SessionConfig::new()
        .with_target_partitions(partitions)
        .with_batch_size(2);
    let builder = SessionStateBuilder::new()
        .with_config(config)
        .with_default_features();
    let context = SessionContext::new_with_state(genokura_sql_ext::register_all(builder).build());
    let part = |half: i64| {
        let rows: Vec<i64> = (0..120).collect();
        let pos: Int64Array = rows.iter().map(|row| row / 10).collect();
        let grp = rows.iter().map(|row| ["a", "b", "c"][(*row % 3) as usize]);
        let grp: StringArray = grp.map(Some).collect();
        let x: Int64Array = rows.iter().map(|row| row * 2 + half).collect();
        let columns: [(&str, ArrayRef); 3] = [
            ("pos", Arc::new(pos)),
            ("grp", Arc::new(grp)),
            ("x", Arc::new(x)),
        ];
        let rows = RecordBatch::try_from_iter(columns).unwrap();
        (0..60)
            .map(|batch| rows.slice(batch * 2, 2))
            .collect::<Vec<_>>()
    };
    let parts = vec![part(0), part(1)];
    let mut table = MemTable::try_new(parts[0][0].schema(), parts).unwrap();
    if told {
        table = table.with_sort_order(vec![vec![col("pos").sort(true, false)]]);
    }
    context.register_table("t", Arc::new(table)).unwrap();
    let ids: ArrayRef = Arc::new((0..30).collect::<Int64Array>());
    let ids = RecordBatch::try_from_iter([("id", ids)]).unwrap();
    let keys = MemTable::try_new(ids.schema(), vec![vec![ids]]).unwrap();
    context.register_table("k", Arc::new(keys)).unwrap();
    context
}

async fn answer(context: &SessionContext, sql: &str) -> (String, Vec<String>) {
    let frame = context.sql(sql).await.unwrap();
    let plan = frame.create_physical_plan().await.unwrap();
    let shown = displayable(plan.as_ref()).indent(true).to_string();
    let batches = datafusion::physical_plan::collect(plan, context.task_ctx());
    let batches = batches.await.unwrap();
    let options = FormatOptions::default().with_null("-");
    let mut rows = Vec::new();
    for batch in &batches {
        let columns = batch.columns().iter();
        let columns: Vec<_> = columns
            .map(|column| ArrayFormatter::try_new(column, &options).unwrap())
            .collect();
        for row in 0..batch.num_rows() {
            let cells = columns.iter().map(|column| column.value(row).to_string());
            rows.push(cells.collect::<Vec<_>>().join(" "));
        }
    }
    (shown, rows)
}

/// Each of `statements` gives its rows with any number of partitions, of a table that tells its order and of one that
/// does not.
async fn hold(statements: &[(&str, &[&str])]) {
    for partitions in [1, 2, 8] {
        for told in [false, true] {
            let context = context(partitions, told);
            for (sql, expected) in statements {
                let (plan, rows) = answer(&context, sql).await;
                assert_eq!(
                    rows, *expected,
                    "{sql}\nof {partitions} partitions, told {told}:\n{plan}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_limit_cuts_no_part_of_a_group() {
    hold(&[
        (
            "SELECT pos, grp, sum(x) FROM t WHERE grp = 'a' GROUP BY pos, grp ORDER BY pos, grp LIMIT 1",
            &["0 a 76"],
        ),
        (
            "SELECT pos, count(x) FROM t GROUP BY pos ORDER BY pos LIMIT 1",
            &["0 20"],
        ),
        (
            "SELECT pos, grp, max(x) FROM t WHERE grp = 'a' GROUP BY 1, 2 ORDER BY 1, 2 LIMIT 1 OFFSET 1",
            &["1 a 37"],
        ),
        // A limit that is written below stays what it is.
        (
            "SELECT pos, grp, count(*) FROM (SELECT * FROM t WHERE grp = 'a' ORDER BY pos, x LIMIT 9) s \
             GROUP BY pos, grp ORDER BY pos, grp LIMIT 1",
            &["0 a 8"],
        ),
        (
            "SELECT pos, grp, count(*) FROM (SELECT * FROM t WHERE grp = 'a' ORDER BY pos, x LIMIT 9) s \
             GROUP BY pos, grp ORDER BY pos, grp",
            &["0 a 8", "1 a 1"],
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_limit_cuts_no_row_that_a_window_looks_at() {
    hold(&[
        (
            "SELECT pos, x, lead(x) OVER (PARTITION BY grp ORDER BY x), grp FROM t ORDER BY grp, x LIMIT 1",
            &["0 0 1 a"],
        ),
        (
            "SELECT grp, x, sum(x) OVER (PARTITION BY grp ORDER BY x ROWS BETWEEN CURRENT ROW AND 2 FOLLOWING) \
             FROM t ORDER BY grp, x LIMIT 1",
            &["a 0 7"],
        ),
        (
            "SELECT pos, count(*) OVER (PARTITION BY pos) FROM t ORDER BY pos LIMIT 1",
            &["0 20"],
        ),
    ])
    .await;
}

#[tokio::test]
async fn what_is_fixed_below_an_outer_join_is_not_above() {
    let a = "(SELECT * FROM t WHERE grp = 'a' AND x % 2 = 0)";
    let groups = format!(
        "SELECT p.grp, count(*) FROM k LEFT JOIN {a} p ON p.x = k.id GROUP BY p.grp ORDER BY 1 DESC"
    );
    let first = format!(
        "SELECT p.grp FROM {a} p RIGHT JOIN k ON p.x = k.id ORDER BY p.grp NULLS FIRST LIMIT 1"
    );
    let full = format!(
        "SELECT count(*) FROM (SELECT DISTINCT p.grp FROM k FULL JOIN {a} p ON p.x = k.id) s"
    );
    hold(&[
        (&groups, &["- 25", "a 5"]),
        (&first, &["-"]),
        (&full, &["2"]),
    ])
    .await;
}

#[tokio::test]
async fn rows_of_a_build_side_come_in_no_order() {
    hold(&[(
        "SELECT r.n, l.n FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM k) l \
         JOIN (SELECT id, rank() OVER (ORDER BY id / 10) AS n FROM k) r ON l.id = 29 - r.id ORDER BY r.n, l.n LIMIT 2",
        &["1 21", "1 22"],
    )])
    .await;
}

#[tokio::test]
async fn what_is_known_below_grouping_sets_is_not_above() {
    hold(&[
        (
            "SELECT grp, count(*) FROM t WHERE grp = 'a' GROUP BY ROLLUP (grp) ORDER BY grp NULLS FIRST LIMIT 1",
            &["- 80"],
        ),
        (
            "SELECT grp, h, count(*) FROM (SELECT grp, grp AS h FROM t WHERE grp = 'a') s GROUP BY CUBE (grp, h) \
             ORDER BY grp NULLS FIRST, h NULLS FIRST",
            &["- - 80", "- a 80", "a - 80", "a a 80"],
        ),
        (
            "SELECT pos, h, count(*) FROM (SELECT pos, x / 20 AS h FROM t) s WHERE pos = h AND pos < 2 \
             GROUP BY ROLLUP (pos, h) ORDER BY pos NULLS FIRST, h NULLS FIRST",
            &["- - 40", "0 - 20", "0 0 20", "1 - 20", "1 1 20"],
        ),
        (
            "SELECT count(*) FROM (SELECT pos, count(*) FROM t GROUP BY ROLLUP (pos)) s",
            &["13"],
        ),
    ])
    .await;
}
