//! GRANT and REVOKE: what everybody was given, parts that were taken out of a wider grant, schemas whose use was taken
//! away, and what the catalog tells of it all.

use std::process::Command;

use tokio_postgres::Client;

use super::roles::PATHS;
use super::setup::{RoleFile, Server, must, refused, rows, soon, told};

/// What a role reads of a table, or the SQLSTATE.
async fn read(client: &Client, sql: &str) -> String {
    match client.simple_query(sql).await {
        Ok(_) => rows(client, sql).await.join(" "),
        Err(error) => told(&error).split(' ').next().unwrap().to_owned(),
    }
}

/// A server with an admin `root` and readers `ann` and `bob`, who may read nothing yet.
struct Doors {
    roles: RoleFile,
    server: Server,
    root: Client,
    ann: Client,
}

impl Doors {
    async fn open() -> Doors {
        let roles = RoleFile::new();
        roles.add("root", &["--admin"]);
        roles.add("ann", &[]);
        roles.add("bob", &[]);
        let server = Server::with_roles(&roles);
        let (root, ann) = (server.connect("root").await, server.connect("ann").await);
        Doors {
            roles,
            server,
            root,
            ann,
        }
    }

    async fn says(&self, sql: &str) {
        rows(&self.root, sql).await;
    }
}

const VARIANTS: &str = "select count(*) from lab.variants";
const CALLS: &str = "select count(*) from lab.calls";

/// Fails without: the rights of everybody in `Role::access`.
#[tokio::test(flavor = "multi_thread")]
async fn what_everybody_may_read_every_role_may_until_it_is_revoked_from_everybody() {
    let doors = Doors::open().await;
    let prepared = "select pos from lab.variants order by pos";
    assert_eq!(read(&doors.ann, VARIANTS).await, "42P01");
    doors
        .says("grant select on lab.variants, lab.samples to public")
        .await;
    doors
        .says("grant select (person_id), select (sex) on clin.person to public, ann")
        .await;
    assert_eq!(read(&doors.ann, VARIANTS).await, "3");
    assert_eq!(read(&doors.ann, CALLS).await, "42P01");
    // A role that is made later, too.
    doors.roles.add("eve", &[]);
    let eve = doors.server.connect("eve").await;
    assert_eq!(read(&eve, VARIANTS).await, "3");
    assert_eq!(
        read(&eve, "select * from clin.person order by 1 limit 1").await,
        "P1|female"
    );
    // What everybody has is not taken from one alone, and that is said.
    let told_of = "revoke select on lab.variants from ann";
    let notices = doors.server.notices("root", told_of).await;
    let expected = "WARNING role \"ann\" still reads in lab.variants, as PUBLIC does; ";
    assert_eq!(notices, [expected]);
    let statement = eve.prepare(prepared).await.unwrap();
    rows(
        &eve,
        &format!("declare held cursor with hold for {prepared}"),
    )
    .await;
    assert_eq!(rows(&eve, "fetch 1 from held").await, ["100"]);
    doors
        .says("revoke select on lab.variants from public")
        .await;
    doors
        .says("revoke all on all tables in schema clin from public")
        .await;
    assert!(soon(async || read(&eve, VARIANTS).await == "42P01").await);
    let gone = told(&eve.query(&statement, &[]).await.unwrap_err());
    assert!(gone.starts_with("26000"), "{gone}");
    assert!(
        refused(&eve, "fetch 1 from held")
            .await
            .starts_with("34000")
    );
    assert_eq!(read(&eve, "select 1 from clin.person").await, "42P01");
    // What ann was given herself stays.
    assert_eq!(
        read(&doors.ann, "select min(sex) from clin.person").await,
        "female"
    );
    // Nobody is called so, and nobody but an admin speaks for everybody.
    assert!(
        refused(&doors.root, "create role public")
            .await
            .starts_with("42939")
    );
    let own = refused(&doors.ann, "grant select on lab.calls to public").await;
    assert!(own.starts_with("42501"), "{own}");
}

/// Fails without: `to_public` in `AccessContext::vouches`, and samples and masks that are the role's own.
#[tokio::test(flavor = "multi_thread")]
async fn what_everybody_was_granted_shows_no_hidden_sample_and_vouches_for_no_column() {
    let doors = Doors::open().await;
    doors
        .roles
        .run(&["samples", "ann", "--dataset", "lab", "--only", "S1,S2"]);
    doors.roles.run(&["mask", "ann", "lab.variants.filters"]);
    doors
        .says("grant select on all tables in schema lab to public")
        .await;
    doors
        .says("grant select on all tables in schema clin to public")
        .await;
    doors
        .says("grant select (qual, info_cln) on lab.variants to public")
        .await;
    let sql = "select count(qual), count(info_cln), count(filters), max(an) from lab.variants";
    assert!(soon(async || read(&doors.ann, sql).await == "0|0|0|4").await);
    assert_eq!(
        read(
            &doors.ann,
            "select count(distinct sample_id) from lab.calls"
        )
        .await,
        "2"
    );
    assert_eq!(
        read(&doors.ann, "select count(*) from clin.person").await,
        "2"
    );
    let bob = doors.server.connect("bob").await;
    assert_eq!(read(&bob, sql).await, "3|3|3|8");
    // One's own grant vouches.
    doors
        .says("grant select (info_cln) on lab.variants to ann")
        .await;
    assert!(soon(async || read(&doors.ann, sql).await == "0|3|0|4").await);
}

/// Fails without: the parts that a grant does not give (`ReadGrant::gives`).
#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_was_revoked_of_a_wider_grant_is_absent() {
    let doors = Doors::open().await;
    let ann = &doors.ann;
    doors
        .says("grant select on all tables in schema lab, clin to ann, bob")
        .await;
    assert_eq!(read(ann, CALLS).await, "12");
    let statement = ann.prepare("select gt from lab.calls").await.unwrap();
    doors.says("revoke select on lab.calls from ann").await;
    doors
        .says("revoke select (sex, zero) on clin.person from ann")
        .await;
    assert!(soon(async || read(ann, CALLS).await == "42P01").await);
    let gone = told(&ann.query(&statement, &[]).await.unwrap_err());
    assert!(gone.starts_with("26000"), "{gone}");
    for path in PATHS {
        let hidden = read(ann, &path.replace("{}", "lab.calls")).await;
        let never = read(ann, &path.replace("{}", "lab.calm")).await;
        assert_eq!(hidden, never, "{path}");
    }
    let columns = "select * from clin.person order by 1 limit 1";
    assert_eq!(read(ann, columns).await, "P1|S1|F1");
    assert_eq!(read(ann, "select max(sex) from clin.person").await, "42703");
    assert_eq!(read(ann, "select count(*) from lab.carriers").await, "6");
    let listed =
        "select table_name from information_schema.tables where table_schema = 'lab' order by 1";
    assert_eq!(
        rows(ann, listed).await,
        ["carriers", "headers", "samples", "variants"]
    );
    let bob = doors.server.connect("bob").await;
    assert_eq!(read(&bob, CALLS).await, "12");
    // A table of which no column is left has no rows to count either.
    doors
        .says("revoke select (person_id, sample_id, family_id) on clin.person from ann")
        .await;
    assert!(soon(async || read(ann, "select count(*) from clin.person").await == "42P01").await);
    // Given again, with one column less.
    doors.says("grant select (gt) on lab.calls to ann").await;
    assert!(soon(async || read(ann, "select count(gt) from lab.calls").await == "12").await);
    assert_eq!(
        read(ann, "select count(dosage) from lab.calls").await,
        "42703"
    );
    doors
        .says("grant select on all tables in schema lab to ann")
        .await;
    assert!(soon(async || read(ann, "select count(dosage) from lab.calls").await == "11").await);
    // In the same way by command, without a lake at hand; and of the whole lake.
    doors.roles.run(&["grant", "bob", "*"]);
    doors.roles.run(&["revoke", "bob", "lab.*", "kb.panel"]);
    assert!(soon(async || read(&bob, "select 1 from kb.panel").await.starts_with('4')).await);
    assert_eq!(read(&bob, VARIANTS).await.get(..1), Some("4"));
    assert_eq!(read(&bob, "select count(*) from clin.person").await, "4");
}

/// Fails without: `AccessContext::closes`.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_exists_in_a_schema_that_may_not_be_used() {
    let doors = Doors::open().await;
    let ann = &doors.ann;
    // Whoever may read a table may use its schema, as before USAGE was known.
    doors.says("grant select on lab.variants to ann").await;
    assert_eq!(read(ann, VARIANTS).await, "3");
    let statement = ann.prepare("select pos from lab.variants").await.unwrap();
    doors.says("revoke usage on schema lab from ann").await;
    assert!(soon(async || read(ann, VARIANTS).await.starts_with('4')).await);
    let gone = told(&ann.query(&statement, &[]).await.unwrap_err());
    assert!(gone.starts_with("26000"), "{gone}");
    for path in PATHS {
        let hidden = refused(ann, &path.replace("{}", "lab.variants")).await;
        let never = refused(ann, &path.replace("{}", "lob.variants")).await;
        assert_eq!(
            hidden.replace("lab", "?"),
            never.replace("lob", "?").replace("lab", "?"),
            "{path}"
        );
    }
    let schemas = "select nspname from pg_namespace where nspname in ('lab', 'kb')";
    assert!(rows(ann, schemas).await.is_empty());
    // A later grant on a table does not give the schema, and says so.
    let sql = "grant select on lab.calls to ann, root";
    let notices = doors.server.notices("root", sql).await;
    assert_eq!(
        notices,
        ["WARNING role \"ann\" may not use schema \"lab\"; "]
    );
    assert!(read(ann, CALLS).await.starts_with('4'));
    doors.says("grant usage on schema lab, kb to ann").await;
    assert!(soon(async || read(ann, CALLS).await == "12").await);
    assert_eq!(read(ann, VARIANTS).await, "3");
    // The use of a schema alone shows that it is there, and nothing in it.
    assert_eq!(rows(ann, schemas).await.len(), 2);
    assert_eq!(read(ann, "select 1 from kb.panel").await, "42P01");
    // Everybody's use is everyone's.
    doors.says("revoke all on schema lab from ann").await;
    assert!(soon(async || read(ann, CALLS).await.starts_with('4')).await);
    doors.says("grant usage on schema lab to public").await;
    assert!(soon(async || read(ann, CALLS).await == "12").await);
    let told_of = doors
        .server
        .notices("root", "revoke usage on schema lab from ann")
        .await;
    assert_eq!(
        told_of,
        ["WARNING role \"ann\" still uses schema \"lab\", as PUBLIC does; "]
    );
    doors.says("revoke usage on schema lab from public").await;
    assert!(soon(async || read(ann, CALLS).await.starts_with('4')).await);
    for (sql, code) in [
        ("grant usage on schema nope to ann", "3F000"),
        ("grant select on schema lab to ann", "0LP01"),
        ("grant usage on lab.calls to ann", "0LP01"),
        ("grant create on schema lab to ann", "0A000"),
        ("grant usage (a) on schema lab to ann", "0LP01"),
        ("grant fly on lab.calls to ann", "42601"),
        ("grant root to ann", "0A000"),
        ("grant select, insert on lab.calls to ann", "0A000"),
        (
            "grant select on lab.calls to ann with grant option",
            "0A000",
        ),
    ] {
        assert!(refused(&doors.root, sql).await.starts_with(code), "{sql}");
    }
    // What nobody can be given is not there to be taken.
    doors
        .says("revoke insert, update on lab.calls from public")
        .await;
    doors.says("revoke create on schema lab from public").await;
    let own = refused(ann, "grant usage on schema lab to current_user").await;
    assert!(own.starts_with("42501"), "{own}");
}

/// Fails without: lists of privileges made of grants.
#[tokio::test(flavor = "multi_thread")]
async fn lists_of_privileges_tell_what_was_granted() {
    let doors = Doors::open().await;
    let (root, ann) = (&doors.root, &doors.ann);
    let relation = "select relacl from pg_class where oid = 'lab.variants'::regclass";
    assert_eq!(rows(root, relation).await, ["NULL"]);
    doors.says("grant select on lab.variants to public").await;
    doors
        .says("grant select on all tables in schema lab to ann")
        .await;
    doors.says("revoke select (gt) on lab.calls from ann").await;
    doors.says("grant usage on schema kb to bob").await;
    doors.says("grant create on schema public to bob").await;
    let bob = rows(root, "select 'bob'::regrole::oid").await.remove(0);
    for (sql, answer) in [
        (relation, "{genokura=r/genokura,=r/genokura,ann=r/genokura}"),
        (
            "select relacl from pg_class where oid = 'lab.calls'::regclass",
            "NULL",
        ),
        (
            "select attacl from pg_attribute where attrelid = 'lab.calls'::regclass and attname = 'pos'",
            "{ann=r/genokura}",
        ),
        (
            "select attacl from pg_attribute where attrelid = 'lab.calls'::regclass and attname = 'gt'",
            "NULL",
        ),
        (
            "select nspacl from pg_namespace where nspname = 'kb'",
            "{genokura=U/genokura,bob=U/genokura}",
        ),
        (
            "select nspacl from pg_namespace where nspname = 'public'",
            "{genokura=UC/genokura,=U/genokura,bob=C/genokura}",
        ),
        (
            "select nspacl from pg_namespace where nspname = 'clin'",
            "NULL",
        ),
        (
            "select pg_get_userbyid(a.grantor), a.grantee, a.privilege_type, a.is_grantable \
             from pg_class c, aclexplode(c.relacl) a where c.oid = 'lab.variants'::regclass and a.grantee = 0",
            "genokura|0|SELECT|f",
        ),
        (
            "select string_agg(coalesce(r.rolname, 'PUBLIC'), ' ' order by r.rolname) from pg_class c, \
             aclexplode(c.relacl) a left join pg_roles r on r.oid = a.grantee where c.oid = 'lab.variants'::regclass",
            "ann genokura PUBLIC",
        ),
        (
            "select (aclexplode(nspacl)).* from pg_namespace where nspname = 'kb' offset 1",
            &format!("10|{}|USAGE|f", bob),
        ),
        ("select acldefault('r', 10)", "{genokura=r/genokura}"),
        (
            "select has_table_privilege('bob', 'lab.variants', 'select')",
            "t",
        ),
        (
            "select has_table_privilege('public', 'lab.variants', 'select')",
            "t",
        ),
        (
            "select has_table_privilege('public', 'lab.calls', 'select')",
            "f",
        ),
        (
            "select has_table_privilege('ann', 'lab.calls', 'select')",
            "f",
        ),
        (
            "select has_any_column_privilege('ann', 'lab.calls', 'select')",
            "t",
        ),
        (
            "select has_column_privilege('ann', 'lab.calls', 'gt', 'select')",
            "f",
        ),
        (
            "select has_column_privilege('ann', 'lab.calls', 'pos', 'select')",
            "t",
        ),
        ("select has_schema_privilege('bob', 'lab', 'usage')", "t"),
        ("select has_schema_privilege('bob', 'kb', 'usage')", "t"),
        ("select has_schema_privilege('ann', 'kb', 'usage')", "f"),
        ("select has_schema_privilege('public', 'kb', 'usage')", "f"),
        (
            "select has_schema_privilege('bob', 'public', 'create')",
            "t",
        ),
        (
            "select has_schema_privilege('ann', 'public', 'create, usage')",
            "t",
        ),
        (
            "select has_schema_privilege('ann', 'public', 'create')",
            "f",
        ),
        (
            "select has_table_privilege('ann', 'pg_class', 'select')",
            "t",
        ),
        (
            "select string_agg(grantee, ' ' order by grantee) from information_schema.table_privileges \
             where table_schema = 'lab' and table_name = 'variants'",
            "PUBLIC ann genokura",
        ),
        (
            "select string_agg(grantee, ' ' order by grantee) from information_schema.column_privileges \
             where table_schema = 'lab' and table_name = 'calls' and column_name in ('pos', 'gt')",
            "ann genokura genokura",
        ),
        (
            "select count(*) from information_schema.usage_privileges where object_type = 'COLLATION' and grantee = 'PUBLIC'",
            "3",
        ),
    ] {
        assert_eq!(rows(root, sql).await, [answer], "{sql}");
    }
    // A role is told of itself and of everybody, and of nobody else.
    for (sql, answer) in [
        (relation, "{genokura=r/genokura,=r/genokura,ann=r/genokura}"),
        (
            "select nspacl from pg_namespace where nspname = 'public'",
            "{genokura=UC/genokura,=U/genokura}",
        ),
        (
            "select string_agg(grantee, ' ' order by grantee) from information_schema.role_table_grants \
             where table_schema = 'lab' and table_name = 'variants'",
            "ann genokura",
        ),
    ] {
        let answers = rows(ann, sql).await;
        assert_eq!(answers, [answer], "{sql}");
    }
    // What changes for everybody and not for the role itself is told in open sessions, too.
    let schema = "select nspacl from pg_namespace where nspname = 'kb'";
    doors.says("grant usage on schema kb to ann").await;
    assert!(soon(async || read(ann, schema).await == "{genokura=U/genokura,ann=U/genokura}").await);
    doors.says("grant usage on schema kb to public").await;
    let both = "{genokura=U/genokura,=U/genokura,ann=U/genokura}";
    assert!(soon(async || read(ann, schema).await == both).await);
    doors
        .says("revoke usage on schema kb from ann, public")
        .await;
    // The use of a schema that was taken away leaves what was granted in it, as in PostgreSQL.
    doors
        .says("revoke usage on schema lab from ann, public")
        .await;
    for (sql, answer) in [
        (
            "select has_table_privilege('ann', 'lab.variants', 'select')",
            "t",
        ),
        ("select has_schema_privilege('ann', 'lab', 'usage')", "f"),
        (
            "select nspacl from pg_namespace where nspname = 'lab'",
            "NULL",
        ),
    ] {
        assert_eq!(rows(root, sql).await, [answer], "{sql}");
    }
    let mut psql = Command::new("psql");
    psql.env("PGPASSWORD", "secret-root")
        .args(["-XAtq", "-h", "127.0.0.1", "-U", "root"]);
    psql.args(["-p", &doors.server.port.to_string(), "-d", "genokura"]);
    psql.args([
        "-c",
        "\\dp lab.variants",
        "-c",
        "\\z lab.calls",
        "-c",
        "\\dn+ kb",
    ]);
    let shown = must(&mut psql);
    let expected = "lab|variants|table|genokura=r/genokura\n=r/genokura\nann=r/genokura||";
    assert!(shown.contains(expected), "{shown}");
    assert!(shown.contains("pos:\n  ann=r/genokura"), "{shown}");
    assert!(
        shown.contains("kb|genokura|genokura=U/genokura\nbob=U/genokura|"),
        "{shown}"
    );
}
