//! Rights that are taken away hold at once, whatever is open.

use datafusion::prelude::SessionContext;
use genokura_exec::AccessContext;
use genokura_server::roles::{RoleStore, Roles};
use genokura_server::session::{Backend, Session, SessionOptions, Settings, Snapshot, statement};
use genokura_server::sqlstate::ServerError;

use super::roles::PATHS;
use super::setup::{RoleFile, Server, refused, rows, soon, told};

/// Fails without: the check of rights at every statement, not at login alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_revoke_holds_for_open_sessions_statements_portals_and_cursors() {
    let roles = RoleFile::new();
    roles.reader("ann", &["lab.variants", "kb.*"]);
    let server = Server::with_roles(&roles);
    let client = server.connect("ann").await;
    let statement = client
        .prepare("select pos from lab.variants order by pos")
        .await
        .unwrap();
    assert_eq!(client.query(&statement, &[]).await.unwrap().len(), 3);
    let held = "declare held cursor with hold for select pos from lab.variants order by pos";
    rows(&client, held).await;
    assert_eq!(rows(&client, "fetch 1 from held").await, ["100"]);
    rows(&client, "begin").await;
    assert_eq!(
        rows(&client, "select count(*) from lab.variants").await,
        ["3"]
    );
    roles.run(&["revoke", "ann", "lab.variants"]);
    let gone = soon(async || client.simple_query("fetch 1 from held").await.is_err()).await;
    assert!(gone, "the cursor went on reading");
    rows(&client, "rollback").await;
    // Prepared under other rights, it is there no more.
    let told_now = told(&client.query(&statement, &[]).await.unwrap_err());
    assert!(told_now.starts_with("26000"), "{told_now}");
    for path in PATHS {
        let told = refused(&client, &path.replace("{}", "lab.variants")).await;
        assert!(
            told.starts_with("42P01") || told.starts_with("3F000"),
            "{path}: {told}"
        );
    }
    roles.run(&["grant", "ann", "lab.variants"]);
    assert!(
        soon(async || client
            .simple_query("select 1 from lab.variants")
            .await
            .is_ok())
        .await
    );
    roles.run(&["drop", "ann"]);
    let ended = soon(async || match client.simple_query("select 1").await {
        Ok(_) => false,
        Err(error) => told(&error).starts_with("57P01") || client.is_closed(),
    });
    assert!(ended.await, "a role that was removed goes on asking");
    assert!(server.try_connect("ann", "secret-ann").await.is_err());
}

/// Fails without: the identity of roles beside their names (`roles/store.rs`).
#[tokio::test(flavor = "multi_thread")]
async fn a_session_does_not_go_on_as_the_next_role_of_its_name() {
    let roles = RoleFile::new();
    roles.reader("boss", &["*"]);
    roles.reader("ann", &["kb.*"]);
    let server = Server::with_roles(&roles);
    let (one, two) = (server.connect("ann").await, server.connect("ann").await);
    rows(&one, "select 1").await;
    // No statement comes between.
    roles.run(&["drop", "ann"]);
    roles.reader("ann", &["*"]);
    assert!(soon(async || server.try_connect("ann", "secret-ann").await.is_ok()).await);
    let next = server.connect("ann").await;
    let mut told_all = Vec::new();
    for (client, sql) in [
        (&one, "select 1 from lab.variants"),
        (&two, "alter role ann password null"),
    ] {
        told_all.push(told(&client.simple_query(sql).await.unwrap_err()));
    }
    for told in told_all {
        assert!(told.starts_with("57P01"), "{told}");
    }
    assert!(
        next.simple_query("select 1 from lab.variants")
            .await
            .is_ok()
    );
}

/// Fails without: the look at rights when a portal goes on, and for every statement of a transaction.
#[tokio::test(flavor = "multi_thread")]
async fn a_revoke_holds_inside_of_a_transaction_and_for_a_portal_that_was_begun() {
    let roles = RoleFile::new();
    roles.reader("ann", &["lab.variants", "kb.*"]);
    let server = Server::with_roles(&roles);
    let (mut one, two) = (server.connect("ann").await, server.connect("ann").await);
    let three = server.connect("ann").await;
    let prepared = three.prepare("select 1 from lab.variants").await.unwrap();
    let block = one.transaction().await.unwrap();
    let sql = "select pos from lab.variants order by pos";
    let portal = block.bind(sql, &[]).await.unwrap();
    let untouched = block.bind(sql, &[]).await.unwrap();
    assert_eq!(block.query_portal(&portal, 1).await.unwrap().len(), 1);
    rows(&two, "begin; select 1 from lab.variants; savepoint s").await;
    roles.run(&["revoke", "ann", "lab.variants"]);
    let refused_now = async || {
        let gone = two.batch_execute("select 1 from lab.variants").await;
        let gone = gone.is_err_and(|error| told(&error).starts_with("42P01"));
        two.batch_execute("rollback to s").await.unwrap();
        gone
    };
    assert!(soon(refused_now).await, "the transaction goes on reading");
    // Nothing is bound to what was prepared under other rights.
    let unbound = told(&three.query(&prepared, &[]).await.unwrap_err());
    assert!(unbound.starts_with("26000"), "{unbound}");
    let refused = block.query_portal(&portal, 1).await.unwrap_err();
    assert!(told(&refused).starts_with("34000"), "{}", told(&refused));
    block.rollback().await.unwrap();
    drop(untouched);
    // A role that is gone cannot even prepare what reads nothing.
    roles.run(&["drop", "ann"]);
    assert!(soon(async || server.try_connect("ann", "secret-ann").await.is_err()).await);
    let told = told(&two.prepare("show timezone").await.unwrap_err());
    assert!(told.starts_with("57P01"), "{told}");
}

/// Takes a right away between the plan of a statement and its start.
struct Meddling {
    inner: std::sync::Arc<genokura_server::backend::EngineBackend>,
    roles: std::sync::Arc<RoleStore>,
}

#[async_trait::async_trait]
impl Backend for Meddling {
    async fn snapshot(&self) -> Result<Snapshot, ServerError> {
        self.inner.snapshot().await
    }

    fn context(&self, snapshot: &Snapshot, principal: &str) -> Result<SessionContext, ServerError> {
        self.inner.context(snapshot, principal)
    }

    fn restricted(
        &self,
        snapshot: &Snapshot,
        access: &AccessContext,
    ) -> Result<SessionContext, ServerError> {
        let context = self.inner.restricted(snapshot, access);
        let change = |roles: &mut Roles| {
            roles.get_mut("ann")?.grants.clear();
            Ok(())
        };
        self.roles.update(change).unwrap();
        context
    }
}

/// Fails without: the look at rights when a planned statement starts.
#[tokio::test(flavor = "multi_thread")]
async fn rights_that_change_while_a_statement_is_planned_stop_it() {
    let file = RoleFile::new();
    file.reader("ann", &["kb.*"]);
    let roles = std::sync::Arc::new(RoleStore::open(&file.path()).unwrap());
    let backend = Meddling {
        inner: super::setup::backend(),
        roles: std::sync::Arc::clone(&roles),
    };
    let options = SessionOptions {
        user: "ann".to_owned(),
        pid: 1,
        runtime: tokio::runtime::Handle::current(),
        memory_limit: None,
    };
    let session = Session::new(std::sync::Arc::new(backend), options, Settings::default());
    let login = roles.current().get("ann").cloned();
    let mut session = session.with_roles(roles, login);
    let sql = statement::parse("select 1").unwrap();
    let error = session.run(&sql[0], &[]).await.unwrap_err();
    assert_eq!(error.code(), "40001", "{error}");
    // Nothing is left to take away.
    assert!(session.run(&sql[0], &[]).await.is_ok());
}
