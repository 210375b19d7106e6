//! What samples are called: told to who may read a column that names them, and to nobody else.

use super::setup::{
    CONDITION, Lake, PERSON, RoleFile, Server, VCF, refused, refused_in_full, rows,
};

/// Columns that name samples, or their calls.
const NAMING: [&str; 6] = [
    "lab.samples.sample_id",
    "lab.calls.sample_id",
    "lab.carriers.sample_id",
    "lab.variants.gt",
    "lab.calls.gt",
    "lab.calls.dosage",
];

/// `part` may read columns that name nobody, `masked` has those that do masked, `half` is left one of them.
fn roles() -> RoleFile {
    let roles = RoleFile::new();
    roles.add("root", &["--admin"]);
    roles.add("part", &[]);
    roles.run(&[
        "grant",
        "part",
        "lab.variants",
        "--columns",
        "contig,pos,ref,alt,ac",
    ]);
    roles.run(&["grant", "part", "clin.person", "--columns", "person_id,sex"]);
    for (name, masks) in [
        ("masked", &NAMING[..]),
        ("half", &NAMING[1..]),
        ("all", &[]),
    ] {
        roles.reader(name, &["lab.*"]);
        for mask in masks {
            roles.run(&["mask", name, mask]);
        }
    }
    roles
}

/// Fails without: `AccessContext::names_samples`, asked by `Engine::samples`, `DatasetView::told_directory` and
/// `DatasetView::knows`.
#[tokio::test(flavor = "multi_thread")]
async fn names_of_samples_are_told_to_who_may_read_them() {
    let lake = Lake::make(VCF, PERSON, CONDITION);
    let roles = roles();
    let server = Server::on(&lake, &["--roles", roles.path().to_str().unwrap()]);
    let root = server.connect("root").await;
    rows(&root, "create cohort cases as select 'S1'").await;
    rows(&root, "grant select on public.cases to part, masked, half").await;
    let datasets = "select datasets from genokura.cohorts";
    for name in ["part", "masked"] {
        let client = server.connect(name).await;
        // A name of a sample looks like one that never was, and no other is told.
        let temp = "create temp cohort c as select 'S1'";
        let named = refused_in_full(&client, temp).await;
        let never = refused_in_full(&client, &temp.replace("S1", "S9")).await;
        assert_eq!(named, never.replace("S9", "S1"));
        assert!(
            named.starts_with("22023") && !named.contains("Did you mean"),
            "{named}"
        );
        assert_eq!(rows(&client, datasets).await, ["{}"], "{name}");
    }
    let masked = server.connect("masked").await;
    assert!(
        rows(&masked, "select * from sample_qc('lab')")
            .await
            .is_empty()
    );
    for sql in [
        "select pos from lab.calls where sample_id = 'S1'",
        "select pos from lab.carriers where sample_id in ('S1')",
    ] {
        let named = server.notices("masked", sql).await;
        let never = server.notices("masked", &sql.replace("S1", "S9")).await;
        let alike: Vec<String> = never.iter().map(|told| told.replace("S9", "S1")).collect();
        assert_eq!(named, alike, "{sql}");
        assert!(!named.concat().contains("Did you mean"), "{named:?}");
    }
    for sql in [
        "explain select gt_allele_count(gt, array['S1']) from lab.variants",
        "explain select gt_text(gt, 'S1') from lab.variants",
        "select gt_allele_count(gt, array['S1']) from lab.variants",
    ] {
        let named = rows(&masked, sql).await.concat();
        let never = rows(&masked, &sql.replace("S1", "S9")).await.concat();
        assert_eq!(named, never.replace("S9", "S1"), "{sql}");
    }
    // A cell that somebody else saw opens no list.
    let all = server.connect("all").await;
    let cell = rows(&all, "select gt::text from lab.variants limit 1")
        .await
        .concat();
    let opened = format!("select gt_carriers('{cell}'::bytea)");
    rows(&all, &opened).await;
    assert!(refused(&masked, &opened).await.starts_with("55000"));
    // One column that names them is enough.
    let half = server.connect("half").await;
    rows(&half, "create temp cohort c as select 'S1'").await;
    assert_eq!(rows(&half, datasets).await, ["{lab}"]);
    let listed = rows(&half, "select sample_id from sample_qc('lab') order by 1").await;
    assert_eq!(listed, ["S1", "S2", "S3", "S4"]);
}

/// Fails without: `forged` of the reader of cells (`sql-ext/src/genotypes.rs`): what a client sent is its mistake and
/// no bug.
#[tokio::test(flavor = "multi_thread")]
async fn a_cell_that_nobody_wrote_is_no_genotype() {
    let roles = RoleFile::new();
    roles.reader("ann", &["lab.*"]);
    let server = Server::with_roles(&roles);
    let ann = server.connect("ann").await;
    let cell = rows(&ann, "select gt::text from lab.variants limit 1")
        .await
        .concat();
    let head = cell.get(.."\\x01".len() + 16).unwrap();
    for parts in ["01b5010002", "01ff7f0002"] {
        let sql = format!("select gt_allele_count('{head}{parts}'::bytea)");
        let told = refused(&ann, &sql).await;
        assert!(told.starts_with("22P03"), "{sql}: {told}");
    }
}
