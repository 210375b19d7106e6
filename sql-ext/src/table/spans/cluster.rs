//! `cluster(regions [, distance])`: regions with the number of the cluster that they belong to.

use datafusion::arrow::datatypes::DataType;

use super::arguments::REGIONS;
use super::merge_regions::DISTANCE;
use super::{SpanDefinition, Takes, clustered};
use crate::doc::{Chapter, FunctionDoc};
use crate::table::column;

pub(super) const DEFINITION: SpanDefinition = SpanDefinition {
    doc: FunctionDoc {
        name: "cluster",
        chapter: Chapter::Regions,
        arguments: &[REGIONS, DISTANCE],
        returns: "TABLE (contig text, pos integer, end_pos integer, cluster bigint)",
        summary: "Regions with the number of their cluster: those that `merge_regions` makes one of.",
        details: &[
            "Clusters are numbered from 1 along each contig: `contig` and `cluster` together tell one. A row for each \
             region and each copy of it.",
            "The clusters of `bedtools cluster -d`, which counts on over contigs. Names of tables are read as in FROM.",
        ],
        example: "SELECT contig, cluster, count(*) FROM cluster('cohort.variants', 100)\n\
                  GROUP BY contig, cluster ORDER BY count(*) DESC LIMIT 10;",
    },
    columns: &[
        column("contig", DataType::Utf8, "Contig"),
        column("pos", DataType::Int32, "First base, 1-based"),
        column("end_pos", DataType::Int32, "Last base, included"),
        column(
            "cluster",
            DataType::Int64,
            "Number of the cluster on its contig",
        ),
    ],
    takes: Takes {
        texts: 1,
        numbers: (0, 1),
        word: false,
        expected: "takes (regions [, distance]): a text and a number that are constants",
    },
    plan: |call, state| {
        Box::pin(async move {
            let clustered = clustered(&call.spans(state, 0).await?, call.distance()?);
            let sql = format!(
                "SELECT contig, pos, end_pos, cluster \
                 FROM {clustered} AS clustered"
            );
            call.statement(state, &sql).await
        })
    },
};
