//! Names that must not be taken for others: datasets with dots, and the owner of everything.

use super::setup::{Lake, RoleFile, Server, VCF, refused, rows, soon};

/// A lake of datasets `lab` and `lab.v2`.
fn lake() -> Lake {
    let lake = Lake::of(VCF);
    lake.ingest(&["vcf", "--dataset", "lab.v2"], &lake.file("v2.vcf", VCF));
    lake
}

/// Fails without: `Quoted` and `parts` (`engine/server/src/roles/names.rs`) in what is printed and read of grants and
/// masks.
#[tokio::test(flavor = "multi_thread")]
async fn rights_on_a_name_with_dots_are_of_that_name() {
    let roles = RoleFile::new();
    roles.add("root", &["--admin"]);
    for name in ["ann", "bob", "cli"] {
        roles.reader(name, &["*"]);
    }
    roles.add("eve", &[]);
    let lake = lake();
    let server = Server::on(&lake, &["--roles", roles.path().to_str().unwrap()]);
    let root = server.connect("root").await;
    let reads = async |name: &str, table: &str| {
        let client = server.connect(name).await;
        let sql = format!("select count(*) > 0 from {table}");
        match client.simple_query(&sql).await {
            Ok(_) => true,
            Err(error) => {
                assert!(super::setup::told(&error).starts_with("42P01"), "{error}");
                false
            }
        }
    };
    let (all, calls) = ("\"lab.v2\".samples", "\"lab.v2\".calls");
    assert!(reads("ann", calls).await && !reads("eve", all).await);
    // In SQL.
    rows(
        &root,
        "revoke select on all tables in schema \"lab.v2\" from ann",
    )
    .await;
    rows(&root, "revoke select on \"lab.v2\".calls from bob").await;
    rows(&root, "grant select on \"lab.v2\".samples to eve").await;
    assert!(soon(async || !reads("ann", calls).await && !reads("bob", calls).await).await);
    assert!(!reads("ann", all).await && reads("bob", all).await && reads("eve", all).await);
    assert!(reads("ann", "lab.calls").await && !reads("eve", "lab.samples").await);
    // On the command line, and what it writes is read by the server.
    roles.run(&["revoke", "cli", calls]);
    assert!(soon(async || !reads("cli", calls).await).await);
    roles.run(&["revoke", "cli", "\"lab.v2\".*"]);
    assert!(soon(async || !reads("cli", all).await).await);
    assert!(reads("cli", "lab.calls").await);
    roles.run(&["grant", "cli", all]);
    roles.run(&["mask", "cli", "\"lab.v2\".samples.source"]);
    let masked = "select count(source) = 0 from \"lab.v2\".samples";
    assert!(soon(async || reads("cli", all).await).await);
    assert_eq!(rows(&server.connect("cli").await, masked).await, ["t"]);
    let listed = roles.run(&["list"]);
    assert!(
        listed.contains("sees NULL in \"lab.v2\".samples.source"),
        "{listed}"
    );
    assert!(listed.contains("but \"lab.v2\".calls"), "{listed}");
    roles.run(&["unmask", "cli", "\"lab.v2\".samples.source"]);
    // What could be two things is refused, and says how to write either.
    for args in [
        &["revoke", "bob", "lab.v2.*"][..],
        &["grant", "eve", "lab.v2.calls"],
        &["mask", "eve", "lab.v2.variants.gt"],
    ] {
        let told = roles.fails(args);
        assert!(told.contains("double quotes"), "{args:?}: {told}");
    }
}

/// Fails without: `check_new_name` (`engine/server/src/roles/role.rs`).
#[tokio::test(flavor = "multi_thread")]
async fn no_role_takes_the_name_of_the_owner() {
    let roles = RoleFile::new();
    roles.add("root", &["--admin"]);
    let told = roles.fails(&["add", "genokura", "--no-password"]);
    assert!(told.contains("is reserved"), "{told}");
    let server = Server::with_roles(&roles);
    let root = server.connect("root").await;
    let told = refused(&root, "create role genokura").await;
    assert!(told.starts_with("42939"), "{told}");
}
