//! The genotype functions on packed genotypes: literal tables, and a property against a model of texts.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Row, column, error, pack};
use datafusion::error::DataFusionError;
use genokura_core::codec::DefaultCall;
use genokura_core::genotype::Genotype;
use proptest::prelude::*;

/// S0 … S7 over two blocks; the last row has no data for the second block.
fn rows() -> Vec<Row> {
    vec![
        Row::new(1, &["0/0", "0/1", "1/1", "./.", "./1", "1/2", "0|1", "1"]),
        Row::new(2, &["0/0", "0/1", "1/1", "./.", "./1", "1/2", "0|1", "1"]),
        Row::new(1, &["0/0", "0/0", "0/0", "0/0", "0/0", "0/0", "0/0", "0/0"]),
        Row::new(1, &["0/1", "0/0", "0/0", "0/0", "", "", "", ""]),
    ]
}

async fn values(expression: &str) -> Vec<String> {
    let packed = pack(&rows(), DefaultCall::Unphased);
    column(
        &packed.context,
        &format!("SELECT {expression} FROM v ORDER BY id"),
    )
    .await
}

#[tokio::test]
async fn one_sample() {
    for (expression, expected) in [
        ("gt_text(gt, 'S1')", ["0/1", "0/1", "0/0", "0/0"]),
        ("gt_text(gt, 'S7')", ["1", "1", "0/0", "-"]),
        ("gt_text(gt, 'S6')", ["0|1", "0|1", "0/0", "-"]),
        ("gt_dosage(gt, 'S2')", ["2", "0", "0", "0"]),
        ("gt_dosage(gt, 'S3')", ["-", "-", "0", "0"]),
        ("gt_dosage(gt, 'S4')", ["1", "0", "0", "-"]),
        ("gt_dosage(gt, 'S5')", ["1", "1", "0", "-"]),
        ("gt_is_het(gt, 'S1')", ["true", "false", "false", "false"]),
        ("gt_is_het(gt, 'S4')", ["-", "-", "false", "-"]),
        ("gt_is_het(gt, 'S5')", ["true", "true", "false", "-"]),
        ("gt_is_het(gt, 'S7')", ["false", "false", "false", "-"]),
        (
            "gt_is_hom_alt(gt, 'S2')",
            ["true", "false", "false", "false"],
        ),
        ("gt_is_hom_alt(gt, 'S7')", ["true", "false", "false", "-"]),
        ("gt_is_hom_ref(gt, 'S0')", ["true", "true", "true", "false"]),
        (
            "gt_is_hom_ref(gt, 'S1')",
            ["false", "false", "true", "true"],
        ),
        ("gt_is_hom_ref(gt, 'S3')", ["-", "-", "true", "true"]),
        (
            "gt_is_missing(gt, 'S3')",
            ["true", "true", "false", "false"],
        ),
        ("gt_is_missing(gt, 'S4')", ["true", "true", "false", "-"]),
        ("gt_is_phased(gt, 'S6')", ["true", "true", "false", "-"]),
        ("gt_ploidy(gt, 'S7')", ["1", "1", "2", "-"]),
        ("gt_text(gt, NULL)", ["-", "-", "-", "-"]),
        ("gt_text(NULL, 'S1')", ["-", "-", "-", "-"]),
        ("gt_text(gt, 'S' || id)", ["0/0", "0/1", "0/0", "0/0"]),
    ] {
        assert_eq!(values(expression).await, expected, "{expression}");
    }
}

#[tokio::test]
async fn over_a_cohort() {
    for (expression, expected) in [
        ("gt_allele_count(gt)", ["7", "1", "0", "1"]),
        ("gt_allele_number(gt)", ["12", "12", "16", "8"]),
        ("gt_allele_count(gt, ['S1', 'S2'])", ["3", "0", "0", "0"]),
        (
            "gt_allele_count(gt, ['S1', 'S2', 'S1', NULL])",
            ["3", "0", "0", "0"],
        ),
        (
            "gt_allele_number(gt, ['S3', 'S4', 'S7'])",
            ["2", "2", "6", "2"],
        ),
        ("gt_allele_number(gt, [])", ["0", "0", "0", "0"]),
        ("gt_allele_count(gt, [])", ["0", "0", "0", "0"]),
        ("gt_allele_count(gt, NULL)", ["-", "-", "-", "-"]),
        (
            "gt_allele_frequency(gt, ['S1', 'S2'])",
            ["0.75", "0.0", "0.0", "0.0"],
        ),
        ("gt_allele_frequency(gt, [])", ["-", "-", "-", "-"]),
        ("gt_call_rate(gt)", ["0.75", "0.75", "1.0", "1.0"]),
        (
            "gt_call_rate(gt, ['S3', 'S0'])",
            ["0.5", "0.5", "1.0", "1.0"],
        ),
        (
            "gt_carriers(gt)",
            ["[S1, S2, S4, S5, S6, S7]", "[S5]", "[]", "[S0]"],
        ),
        (
            "gt_hwe_p(gt, ['S1', 'S2', 'S7', 'S3'])",
            ["1.0", "1.0", "1.0", "1.0"],
        ),
        ("gt_hwe_p(gt, ['S3', 'S7'])", ["-", "-", "1.0", "1.0"]),
        (
            "gt_allele_count(gt, CASE WHEN id = 0 THEN ['S1'] ELSE ['S5'] END)",
            ["1", "1", "0", "0"],
        ),
    ] {
        assert_eq!(values(expression).await, expected, "{expression}");
    }
}

#[tokio::test]
async fn de_novo() {
    let trio = [
        // child, father, mother, answer
        ("0/1", "0/0", "0/0", "true"),
        ("./1", "0/0", "0/0", "true"),
        ("1", "0", "0/0", "true"),
        ("1|0", "0|0", "0|0", "true"),
        ("0/0", "0/0", "0/0", "false"),
        ("0/1", "0/1", "0/0", "false"),
        ("0/1", "0/2", "0/0", "true"),
        ("0/1", "./.", "0/0", "-"),
        ("0/1", "./0", "0/0", "-"),
        ("0/1", "./1", "./.", "false"),
        ("./.", "0/0", "0/0", "-"),
        ("./.", "0/1", "0/0", "false"),
    ];
    let rows: Vec<Row> = trio
        .iter()
        .map(|(c, f, m, _)| Row::new(1, &[c, f, m]))
        .collect();
    let packed = pack(&rows, DefaultCall::Unphased);
    let sql = "SELECT gt_is_de_novo(gt, 'S0', 'S1', 'S2') FROM v ORDER BY id";
    let expected: Vec<&str> = trio.iter().map(|row| row.3).collect();
    assert_eq!(column(&packed.context, sql).await, expected);
}

#[tokio::test]
async fn a_record_without_gt_has_no_genotypes() {
    let rows = [Row {
        alt: 1,
        n_alts: 1,
        texts: vec![String::new(); 4],
    }];
    let packed = pack(&rows, DefaultCall::None);
    for expression in [
        "gt_text(gt, 'S1')",
        "gt_is_missing(gt, 'S1')",
        "gt_call_rate(gt)",
    ] {
        let sql = format!("SELECT {expression} FROM v");
        assert_eq!(column(&packed.context, &sql).await, ["-"], "{expression}");
    }
    assert_eq!(
        column(&packed.context, "SELECT gt_allele_number(gt) FROM v").await,
        ["0"]
    );
}

/// The error of this crate inside whatever DataFusion put around it.
fn own(error: &DataFusionError) -> Option<&genokura_sql_ext::Error> {
    match error.find_root() {
        DataFusionError::External(source) => source.downcast_ref(),
        _ => None,
    }
}

#[tokio::test]
async fn an_unknown_sample_is_an_error_with_the_nearest_name() {
    let packed = pack(&rows(), DefaultCall::Unphased);
    for (expression, nearest) in [
        ("gt_dosage(gt, 's1')", "Did you mean \"S1\"?"),
        ("gt_allele_count(gt, ['S1', 'S11'])", "Did you mean \"S1\"?"),
        (
            "gt_is_de_novo(gt, 'S0', 'S1', 'somebody')",
            "The table samples of the dataset lists the names.",
        ),
    ] {
        let error = error(&packed.context, &format!("SELECT {expression} FROM v")).await;
        let own = own(&error).unwrap();
        assert_eq!(
            (own.sqlstate(), own.hint().as_deref()),
            ("22023", Some(nearest)),
            "{own}"
        );
    }
}

#[tokio::test]
async fn a_value_that_is_not_a_genotype_is_refused() {
    let packed = pack(&rows(), DefaultCall::Unphased);
    let wrong_bytes = error(&packed.context, "SELECT gt_text(x'00', 'S1') FROM v").await;
    assert_eq!(own(&wrong_bytes).unwrap().sqlstate(), "22P03");
    let wrong_type = error(&packed.context, "SELECT gt_text(contig, 'S1') FROM v").await;
    assert!(
        wrong_type
            .to_string()
            .contains("gt_text: takes (gt, sample)"),
        "{wrong_type}"
    );
}

fn any_text() -> impl Strategy<Value = String> {
    let common = prop::sample::select(vec!["0/0", "0/1", "1/1", "./.", "1/2", "0|1", "1|0"]);
    let rare = prop::sample::select(vec![
        "1", "0", ".", "./1", "0/.", "2/3", "0/1/1", "/0|1", ".|.",
    ]);
    prop_oneof![6 => common, 1 => rare].prop_map(str::to_owned)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// The counts of the packed form are those of the texts, whatever the default call and the cohort.
    #[test]
    fn counts_are_those_of_the_texts(
        rows in (1usize..12).prop_flat_map(|n| prop::collection::vec(prop::collection::vec(any_text(), n), 1..6)),
        alt in 1u16..=3,
        default in prop::sample::select(vec![DefaultCall::Unphased, DefaultCall::Phased, DefaultCall::Missing]),
        members in prop::collection::vec(0usize..12, 0..6),
    ) {
        let rows: Vec<Row> = rows.into_iter().map(|texts| Row { alt, n_alts: 3, texts }).collect();
        let samples = rows[0].texts.len();
        let members: Vec<usize> = members.into_iter().map(|m| m % samples).collect();
        let cohort = members.iter().map(|m| format!("'S{m}'")).collect::<Vec<_>>().join(", ");
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let counted = runtime.block_on(async {
            let packed = pack(&rows, default);
            let sql = format!(
                "SELECT concat_ws(' ', gt_allele_count(gt, [{cohort}]), gt_allele_number(gt, [{cohort}]), \
                 array_to_string(gt_carriers(gt), ','), gt_text(gt, 'S0')) FROM v ORDER BY id"
            );
            column(&packed.context, &sql).await
        });
        let expected: Vec<String> = rows.iter().map(|row| model(row, &members)).collect();
        prop_assert_eq!(counted, expected);
    }
}

fn model(row: &Row, members: &[usize]) -> String {
    let calls: Vec<Genotype> = row
        .texts
        .iter()
        .map(|text| Genotype::parse(text.as_bytes()).unwrap())
        .collect();
    let mut set = members.to_vec();
    set.sort_unstable();
    set.dedup();
    let tallies: Vec<_> = set.iter().map(|m| calls[*m].tally(row.alt)).collect();
    let ac: u32 = tallies.iter().map(|t| u32::from(t.copies)).sum();
    let an: u32 = tallies.iter().map(|t| u32::from(t.called)).sum();
    let carriers: Vec<String> = (0..calls.len())
        .filter(|s| calls[*s].dosage(row.alt).is_some_and(|copies| copies > 0))
        .map(|s| format!("S{s}"))
        .collect();
    format!("{ac} {an} {} {}", carriers.join(","), row.texts[0])
}
