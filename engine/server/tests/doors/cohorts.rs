//! Cohorts: who may keep them, who may read them, and nobody in them or of them whom one may not see.

use futures::SinkExt as _;
use tokio_postgres::Client;

use super::setup::{CONDITION, Lake, PERSON, RoleFile, Server, VCF, refused, rows, told};

fn serve(roles: &RoleFile) -> (Lake, Server) {
    let lake = Lake::make(VCF, PERSON, CONDITION);
    let server = Server::on(&lake, &["--roles", roles.path().to_str().unwrap()]);
    (lake, server)
}

async fn copy(client: &Client, sql: &str, data: &'static str) -> Result<u64, String> {
    let sink = client.copy_in(sql).await.map_err(|e| told(&e))?;
    let mut sink = std::pin::pin!(sink);
    let sent = sink.send(bytes::Bytes::from_static(data.as_bytes())).await;
    sent.map_err(|e| told(&e))?;
    sink.finish().await.map_err(|e| told(&e))
}

/// Fails without: `Session::may_keep_cohorts`.
#[tokio::test(flavor = "multi_thread")]
async fn cohorts_are_kept_by_who_may_keep_them() {
    let roles = RoleFile::new();
    roles.add("root", &["--admin"]);
    roles.reader("ann", &["lab.*"]);
    let (_lake, server) = serve(&roles);
    let (root, ann) = (server.connect("root").await, server.connect("ann").await);
    let create = "create cohort cases as select sample_id from lab.samples where sample_id < 'S3'";
    // Who may read nothing of a dataset cannot name its samples: they look like ones that never were.
    roles.reader("bob", &["kb.*"]);
    let bob = server.connect("bob").await;
    let named = refused(&bob, "create temp cohort cases as select 'S1'").await;
    let never = refused(&bob, "create temp cohort cases as select 'S9'").await;
    assert_eq!(named, never.replace("S9", "S1"));
    assert!(named.starts_with("22023"), "{named}");
    let told = refused(&ann, create).await;
    assert_eq!(told, "42501 permission denied for schema public");
    // What may not be done is refused before anything is looked up.
    let never = refused(&ann, &create.replace("lab.", "never.")).await;
    assert_eq!(never, told);
    let may = "select has_schema_privilege('public', 'create'), has_schema_privilege('ann', 'public', 'create')";
    assert_eq!(rows(&ann, may).await, ["f|f"]);
    assert!(
        rows(&ann, "create temp cohort cases as select 'S1'")
            .await
            .is_empty()
    );
    assert_eq!(rows(&ann, "select cohort('cases')").await, ["{S1}"]);
    rows(&ann, "drop cohort cases").await;

    let told = refused(&ann, "grant create on schema public to ann").await;
    assert!(told.starts_with("42501"), "{told}");
    rows(&root, "grant create on schema public to ann").await;
    assert!(super::setup::soon(async || rows(&ann, may).await == ["t|t"]).await);
    rows(&ann, create).await;
    assert_eq!(rows(&ann, "select cohort('cases')").await, ["{S1,S2}"]);
    let listed = "select name, datasets, size, owner from genokura.cohorts";
    assert_eq!(rows(&ann, listed).await, ["cases|{lab}|2|ann"]);

    // What the lake does not take back comes last in its query string, where nothing fails after it.
    let more = "create cohort more as select 'S1'";
    for later in [format!("{more}; select 1 / 0"), format!("{more}; select 1")] {
        assert!(refused(&ann, &later).await.starts_with("25001"), "{later}");
    }
    let fails = format!("create temp table t as select 1; select 1 / 0; {more}");
    assert!(refused(&ann, &fails).await.starts_with("22012"));
    assert_eq!(rows(&ann, listed).await, ["cases|{lab}|2|ann"]);
    rows(&ann, &format!("select 1; {more}")).await;
    assert_eq!(rows(&ann, "select cohort('more')").await, ["{S1}"]);
    rows(&ann, "select 1; drop cohort more").await;
    assert_eq!(rows(&ann, listed).await, ["cases|{lab}|2|ann"]);

    // A client adds samples: a set, of samples that one sees.
    copy(&ann, "copy cases from stdin", "S2\nS4\nS4\n")
        .await
        .unwrap();
    assert_eq!(rows(&ann, "select cohort('cases')").await, ["{S1,S2,S4}"]);
    let error = copy(&ann, "copy cases from stdin", "S3\nS9\n")
        .await
        .unwrap_err();
    assert!(error.starts_with("22023"), "{error}");
    assert_eq!(rows(&ann, listed).await, ["cases|{lab}|3|ann"]);
    rows(&ann, "create temp cohort own as select 'S1'").await;
    copy(
        &ann,
        "copy own (sample_id) from stdin csv header",
        "sample_id\nS4\nS1\n",
    )
    .await
    .unwrap();
    assert_eq!(
        rows(&ann, "select sample_id from own order by 1").await,
        ["S1", "S4"]
    );

    rows(&root, "revoke create on schema public from ann").await;
    assert!(super::setup::soon(async || rows(&ann, may).await == ["f|f"]).await);
    let told = refused(&ann, "create cohort more as select 'S1'").await;
    assert!(told.starts_with("42501"), "{told}");
    // What is one's own stays so.
    rows(&ann, "drop cohort cases").await;
    roles.run(&["cohorts", "ann", "yes"]);
    assert!(super::setup::soon(async || rows(&ann, may).await == ["t|t"]).await);
}

/// Fails without: `AccessContext::columns` on the tables of cohorts (`engine/exec/src/catalog.rs`), `Session::must_own`.
#[tokio::test(flavor = "multi_thread")]
async fn a_cohort_is_of_its_owner() {
    let roles = RoleFile::new();
    roles.add("root", &["--admin"]);
    for name in ["ann", "bob"] {
        roles.reader(name, &["lab.*"]);
        roles.run(&["cohorts", name, "yes"]);
    }
    let (_lake, server) = serve(&roles);
    let root = server.connect("root").await;
    let (ann, bob) = (server.connect("ann").await, server.connect("bob").await);
    rows(&ann, "create cohort cases as select 'S1' union select 'S2'").await;
    // To bob it looks like one that never was.
    for sql in [
        "select * from cases",
        "select sample_id from public.cases",
        "select cohort('cases')",
        "select gt_allele_count(gt, 'cases') from lab.variants",
        "copy cases to stdout",
        "copy cases from stdin",
        "drop cohort cases",
        "select 'cases'::regclass",
        "explain select * from cases",
    ] {
        let told = refused(&bob, sql).await;
        let never = refused(&bob, &sql.replace("cases", "never")).await;
        assert_eq!(told, never.replace("never", "cases"), "{sql}");
    }
    assert!(
        rows(&bob, "select * from genokura.cohorts")
            .await
            .is_empty()
    );
    assert_eq!(
        rows(
            &bob,
            "select count(*) from pg_class where relname = 'cases'"
        )
        .await,
        ["0"]
    );
    rows(&root, "grant select on public.cases to bob").await;
    let seen = async || rows(&bob, "select name, size, owner from genokura.cohorts").await;
    assert!(super::setup::soon(async || seen().await == ["cases|2|ann"]).await);
    assert_eq!(rows(&bob, "select cohort('cases')").await, ["{S1,S2}"]);
    // The list itself can be granted by columns.
    roles.run(&["cohorts", "bob", "no"]);
    roles.run(&["grant", "bob", "genokura.cohorts", "--columns", "name,size"]);
    let narrow = async || bob.simple_query("select owner from genokura.cohorts").await;
    assert!(super::setup::soon(async || narrow().await.is_err()).await);
    assert_eq!(
        rows(&bob, "select * from genokura.cohorts").await,
        ["cases|2"]
    );
    roles.run(&["revoke", "bob", "genokura.cohorts"]);
    roles.run(&["cohorts", "bob", "yes"]);
    assert!(super::setup::soon(async || narrow().await.is_ok()).await);
    for sql in [
        "drop cohort cases",
        "create or replace cohort cases as select 'S4'",
        "copy cases from stdin",
    ] {
        let told = refused(&bob, sql).await;
        assert_eq!(told, "42501 must be owner of cohort cases", "{sql}");
    }
    // An admin may; whose it is does not change.
    rows(&root, "create or replace cohort cases as select 'S4'").await;
    assert_eq!(seen().await, ["cases|1|ann"]);
    assert_eq!(
        rows(
            &root,
            "select has_table_privilege('ann', 'public.cases', 'select')"
        )
        .await,
        ["t"]
    );
    rows(&root, "drop cohort cases").await;
    assert!(seen().await.is_empty());
}

/// Fails without: `Engine::samples` asking `AccessContext::sees`, and `VisibleExec` over the rows of cohorts.
#[tokio::test(flavor = "multi_thread")]
async fn a_cohort_names_and_counts_no_hidden_sample() {
    let roles = RoleFile::new();
    roles.add("root", &["--admin"]);
    roles.reader("ann", &["lab.*", "public.*"]);
    roles.run(&["cohorts", "ann", "yes"]);
    roles.run(&["samples", "ann", "--dataset", "lab", "--only", "S1,S2"]);
    let (_lake, server) = serve(&roles);
    let (root, ann) = (server.connect("root").await, server.connect("ann").await);
    // A hidden sample cannot be named: it looks like one that never was.
    for kind in ["cohort", "temp cohort"] {
        let sql = |sample: &str| format!("create {kind} mine as select '{sample}'");
        let told = refused(&ann, &sql("S3")).await;
        let never = refused(&ann, &sql("S9")).await;
        assert_eq!(told, never.replace("S9", "S3"));
        assert!(told.starts_with("22023"), "{told}");
    }
    rows(
        &root,
        "create cohort all_of_them as select sample_id from lab.samples",
    )
    .await;
    rows(
        &root,
        "create cohort hidden as select 'S3' union select 'S4'",
    )
    .await;
    assert_eq!(
        rows(&ann, "select * from all_of_them order by 1").await,
        ["S1", "S2"]
    );
    assert_eq!(
        rows(&ann, "select cohort('all_of_them')").await,
        ["{S1,S2}"]
    );
    assert_eq!(
        rows(
            &ann,
            "select name, datasets, size from genokura.cohorts order by 1"
        )
        .await,
        ["all_of_them|{lab}|2", "hidden|{lab}|0"]
    );
    let counted = |cohort: &str| {
        format!(
            "select pos, gt_allele_count(gt, {cohort}), gt_allele_number(gt, {cohort}), gt_carriers(gt, {cohort}) \
             from lab.variants order by pos"
        )
    };
    assert_eq!(
        rows(&ann, &counted("'all_of_them'")).await,
        rows(&ann, &counted("array['S1', 'S2']")).await
    );
    assert_eq!(
        rows(&ann, &counted("'hidden'")).await,
        rows(&ann, &counted("array[]::text[]")).await
    );
    let plan = rows(
        &ann,
        &format!("explain verbose {}", counted("'all_of_them'")),
    )
    .await;
    assert!(!plan.join("\n").contains("S3"), "{plan:?}");
    let size = "select reltuples < 3 and pg_relation_size('all_of_them') is not distinct from \
                pg_relation_size('hidden') from pg_class where relname = 'all_of_them'";
    assert_eq!(rows(&ann, size).await, ["t"]);
}

/// Fails without: `Session::must_own_nothing`. A later role of the same name would own what the first one kept.
#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_owns_cohorts_is_not_dropped() {
    let roles = RoleFile::new();
    roles.add("root", &["--admin"]);
    for name in ["ann", "bob"] {
        roles.reader(name, &["lab.*"]);
        roles.run(&["cohorts", name, "yes"]);
    }
    let (lake, server) = serve(&roles);
    let root = server.connect("root").await;
    let (ann, bob) = (server.connect("ann").await, server.connect("bob").await);
    for name in ["cases", "controls"] {
        rows(&ann, &format!("create cohort {name} as select 'S1'")).await;
    }
    for sql in ["drop role bob, ann", "drop role if exists nobody, ann"] {
        let error = root.simple_query(sql).await.unwrap_err();
        assert_eq!(
            told(&error),
            "2BP01 role \"ann\" cannot be dropped because some objects depend on it"
        );
        let detail = error.as_db_error().unwrap().detail();
        assert_eq!(
            detail,
            Some("owner of cohort cases\nowner of cohort controls")
        );
    }
    // Neither was dropped.
    rows(&bob, "select 1").await;
    for sql in ["reassign owned by ann to bob", "drop owned by ann"] {
        assert!(refused(&ann, sql).await.starts_with("42501"), "{sql}");
        let told = refused(&root, &sql.replace("ann", "nobody")).await;
        assert_eq!(told, "42704 role \"nobody\" does not exist", "{sql}");
        rows(&root, "begin").await;
        assert!(refused(&root, sql).await.starts_with("25001"), "{sql}");
        rows(&root, "rollback").await;
    }
    let to_nobody = refused(&root, "reassign owned by ann to nobody").await;
    assert!(to_nobody.starts_with("42704"), "{to_nobody}");
    rows(&root, "reassign owned by ann to bob").await;
    let listed = "select name, size, owner from genokura.cohorts order by 1";
    assert_eq!(rows(&root, listed).await, ["cases|1|bob", "controls|1|bob"]);
    assert!(rows(&ann, listed).await.is_empty());
    rows(&bob, "drop cohort controls").await;
    rows(&root, "drop role ann").await;
    rows(&root, "drop owned by bob").await;
    assert!(rows(&root, listed).await.is_empty());
    assert!(
        refused(&bob, "select 1 from lab.samples")
            .await
            .starts_with("42P01")
    );
    rows(&root, "drop role bob").await;
    // The command line looks in the lake that it is told of; what a role keeps stays when that is asked for, and an
    // admin can give it away.
    roles.reader("eve", &["lab.*"]);
    roles.run(&["cohorts", "eve", "yes"]);
    let eve = server.connect("eve").await;
    rows(&eve, "create cohort cases as select 'S2'").await;
    let lake = ["--lake", lake.path.to_str().unwrap()];
    let told = roles.fails(&["drop", "eve", lake[0], lake[1]]);
    assert!(told.contains("owns cohorts: cases"), "{told}");
    let told = roles.fails(&["drop", "eve"]);
    assert!(told.contains("may own cohorts"), "{told}");
    rows(&eve, "select 1").await;
    roles.reader("kim", &["lab.*"]);
    roles.run(&["drop", "kim", lake[0], lake[1]]);
    roles.run(&["drop", "eve", "--leave-cohorts"]);
    rows(&root, "reassign owned by eve to root").await;
    assert_eq!(rows(&root, listed).await, ["cases|1|root"]);
}

/// Fails without: the directory of visible samples being the one that names are looked up in.
#[tokio::test(flavor = "multi_thread")]
async fn a_sample_that_is_hidden_is_warned_of_as_one_that_never_was() {
    let roles = RoleFile::new();
    roles.add("root", &["--admin"]);
    roles.reader("ann", &["lab.*"]);
    roles.run(&["samples", "ann", "--dataset", "lab", "--only", "S1,S2"]);
    let (_lake, server) = serve(&roles);
    let of =
        |sample: &str| format!("select pos from lab.carriers c where c.sample_id = '{sample}'");
    let unknown = server.notices("ann", &of("S9")).await;
    let expected = "WARNING sample \"S9\" is not in this dataset: no row is compared equal; Did you mean \"S1\"?";
    assert_eq!(unknown, [expected]);
    let hidden = server.notices("ann", &of("S3")).await;
    assert_eq!(hidden, [expected.replace("S9", "S3")]);
    for sql in [
        of("S1"),
        "select pos from lab.calls where sample_id <> 'S9'".to_owned(),
        "select pos from lab.calls where not (sample_id in ('S9'))".to_owned(),
        "select 1 from (select pos::text as sample_id from lab.variants) v where sample_id = '5'"
            .to_owned(),
    ] {
        assert!(server.notices("ann", &sql).await.is_empty(), "{sql}");
    }
    let several = "select c.pos from lab.calls c join lab.variants v using (contig, pos, ref, alt) \
                   where c.sample_id in ('S1', 'X', 'Y', 'X') and v.af >= 0";
    assert_eq!(server.notices("ann", several).await.len(), 2);
    assert_eq!(server.notices("root", &of("S3")).await, [""; 0]);
    let listed = "select pos from lab.calls where sample_id = any(array['S9'])";
    assert_eq!(server.notices("ann", listed).await, [expected]);
    // A contig is told of in the same way.
    let of_contig = |condition: &str| format!("select pos from lab.variants where {condition}");
    let contigs = server
        .notices(
            "ann",
            &of_contig("contig = 'chrr1' or contig in ('chr1', '1')"),
        )
        .await;
    assert!(
        contigs.len() == 1 && contigs[0].contains("contig \"chrr1\" is not in this dataset"),
        "{contigs:?}"
    );
    let prepared = "prepare p as select pos from lab.calls where sample_id = $1; execute p('S9')";
    assert_eq!(server.notices("ann", prepared).await, [expected]);
    let cursor = format!(
        "begin; declare c cursor for {}; fetch 1 from c; fetch 1 from c; commit",
        of("S9")
    );
    assert_eq!(server.notices("ann", &cursor).await, [expected]);
}
