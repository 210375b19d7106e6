//! One client's session: settings, transaction, prepared statements and portals.
//!
//! The wire server and `genokura sql` run statements through the same [`Session`]. Planning and
//! execution are spawned on the query runtime, so that the tasks that serve sockets stay free;
//! dropping the future of a call stops its work.

mod aliased;
mod ambiguous;
mod arrays;
mod asked;
mod asking_values;
mod backend;
mod bit_strings;
mod catalog;
mod chains;
pub(crate) mod channels;
mod cohort;
mod copies;
mod cursors;
mod digits;
mod embedded;
mod explained;
mod fuzzing;
mod grouping;

mod kinds;
mod lateral;
mod lifted;
mod locked;
mod maintenance;
mod memory;
mod miscalled;
mod modes;
mod modified;
mod modifiers;
mod named_alike;
mod noticed;
mod objects;
mod once;
mod orders;
mod origins;
mod outer_named;
mod params;
mod pinned;
mod placed;
mod plan;
mod planning;
mod portal;
mod random_uuid;
mod rewrite;
mod rights;
mod rows;
mod scroll;
mod settings;
mod smaller;
mod spelling;
pub mod statement;
mod stop;
mod swapped;
mod temp;
mod template;
mod ties;
mod told;
mod transactions;
mod typed;
mod unnested;
mod using;
mod whole_row;
mod whole_rows;
mod widths;
pub(crate) mod work;
mod written;
mod yielding;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use datafusion::sql::sqlparser::ast;
use genokura_storage::CohortState;
use tokio::runtime::Handle;

pub use crate::backend::EngineBackend;
pub use backend::{Backend, Snapshot};
pub use embedded::{no_input, query_batches};
pub use fuzzing::drive_incoming;
use pinned::{Overlaid, Pinned};
pub use portal::{Bound, Description, Portal, Prepared};
pub(crate) use portal::{PortalFacts, PreparedFacts};
pub use rows::{BatchStream, Rows};
pub(crate) use settings::described;
pub use settings::{SERVER_VERSION, Settings};
use statement::{CopyOptions, Explaining, Parsed, SetValue, Statement};
pub use stop::{Stop, StopGuard};
pub use temp::CopyIn;

use crate::advisory::Holder;
use crate::pgwire::cancel::Registry;
use crate::pgwire::encode::Format;
use crate::roles::{Authorised, Role, RoleStore, Roles};
use crate::sqlstate::ServerError;
use channels::Voice;
pub(crate) use kinds::{plain_text, told_as};
use memory::SessionMemory;
pub(crate) use modified::{chosen, plain_characters, told_by, with_blanks};
pub(crate) use params::{Nth, bytea_of_text, declared_name};
use plan::{PlanContext, Planned};
pub(crate) use planning::heed;
use temp::TempState;
use transactions::{Implicit, Shared, Transaction, ends_transaction, inside_block, outside_block};
use work::Work;

/// The name of the one database.
pub const DATABASE: &str = "genokura";

/// What `version()` answers.
pub use crate::pg_catalog::VERSION;

/// Facts about a session that planning needs.
#[derive(Clone)]
pub struct SessionInfo {
    /// The user who connected.
    pub user: String,
    /// The process id the client was given.
    pub pid: i32,
    /// Schemas of `search_path`, existing or not.
    pub search_path: Vec<String>,
    /// Schemas of `search_path` that exist.
    pub schemas: Vec<String>,
    /// The schema of the session's temporary relations, when it has any.
    pub temporary_schema: Option<String>,
    /// All settings.
    pub settings: Settings,
    /// What the session may do.
    pub authorised: Authorised,
    /// The roles.
    pub roles: Option<Arc<Roles>>,
    /// The sessions of the server.
    pub(crate) sessions: Option<Arc<Registry>>,
    /// What it says to them, and hears.
    pub(crate) voice: Voice,
    /// The cohorts that the lake keeps, whoever may read them.
    pub(crate) cohorts: Arc<BTreeMap<String, CohortState>>,
    /// The prepared statements that have a name.
    pub(crate) prepared: Vec<Arc<PreparedFacts>>,
    /// The portals and cursors.
    pub(crate) portals: Vec<Arc<PortalFacts>>,
}

impl SessionInfo {
    /// `current_schema()`: the first schema of the path that exists.
    #[must_use]
    pub fn current_schema(&self) -> Option<String> {
        self.schemas.first().cloned()
    }

    /// Where unqualified names of relations are looked for: among the temporary ones first, unless the search path
    /// says where they come.
    #[must_use]
    pub fn relation_path(&self) -> Vec<String> {
        let Some(own) = &self.temporary_schema else {
            return self.search_path.clone();
        };
        let is_own = |name: &String| name == "pg_temp" || name == own;
        let mut path = Vec::with_capacity(self.search_path.len() + 1);
        if !self.search_path.iter().any(is_own) {
            path.push(own.clone());
        }
        path.extend(self.search_path.iter().map(|name| match is_own(name) {
            true => own.clone(),
            false => name.clone(),
        }));
        path
    }
}

/// What running a statement gave.
#[derive(Debug)]
pub enum Outcome {
    /// Rows; the command tag is `tag` and the number of rows.
    Rows {
        /// The rows.
        rows: Rows,
        /// Command tag; the count is appended when `counted`.
        tag: Cow<'static, str>,
        /// Whether the row count belongs to the tag.
        counted: bool,
        /// Text or binary per column, when the statement itself says so (FETCH of a cursor).
        formats: Option<Vec<Format>>,
    },
    /// Rows for COPY … TO STDOUT.
    Copy {
        /// The rows.
        rows: Rows,
        /// Format and options.
        options: CopyOptions,
    },
    /// COPY … FROM STDIN: it takes data now.
    CopyIn(Box<CopyIn>),
    /// MOVE: rows to count and drop.
    Skip {
        /// The rows.
        rows: Rows,
        /// Command tag; the count is appended.
        tag: Cow<'static, str>,
    },
    /// No rows: the command tag, and a warning for the client.
    Done {
        /// Command tag.
        tag: String,
        /// A notice that does not fail the statement.
        warning: Option<ServerError>,
    },
}

impl Outcome {
    fn done(tag: &str) -> Outcome {
        Outcome::Done {
            tag: tag.to_owned(),
            warning: None,
        }
    }
}

/// Where the session stands between BEGIN and COMMIT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionStatus {
    /// No transaction block.
    Idle,
    /// In a transaction block.
    Open,
    /// In a transaction block that failed.
    Failed,
}

/// How a session is made.
#[derive(Clone)]
pub struct SessionOptions {
    /// The user name.
    pub user: String,
    /// Process id for `pg_backend_pid` and cancel requests.
    pub pid: i32,
    /// Runtime that plans and runs queries.
    pub runtime: Handle,
    /// Bytes one query may take from the engine's memory pool; None: all of it.
    pub memory_limit: Option<usize>,
}

/// One client's session.
pub struct Session {
    backend: Arc<dyn Backend>,
    options: SessionOptions,
    settings: Settings,
    transaction: Option<Transaction>,
    pinned: Option<Pinned>,
    prepared: BTreeMap<String, Arc<Prepared>>,
    portals: BTreeMap<String, Portal>,
    temporary: TempState,
    /// What there was before the statements that are not committed yet, outside of a transaction block.
    implicit: Option<Implicit>,
    /// Other statements of the query string belong to the same transaction.
    implicit_block: bool,
    /// What the statements of an implicit transaction share.
    shared: Shared,
    /// How many portals were ever opened.
    portals_opened: u64,
    /// How many of them when the current transaction, or else the next statement, began.
    portals_before: u64,
    /// The memory of what is kept between statements; None: nothing was yet.
    kept_memory: Option<SessionMemory>,
    overlaid: Option<Overlaid>,
    /// Who may do what; None: the session is its lake's owner.
    roles: Option<Arc<RoleStore>>,
    /// The role that it logged in as; None: there were no roles then.
    login: Option<Arc<Role>>,
    /// The sessions of the server; None: there is no server.
    sessions: Option<Arc<Registry>>,
    /// The advisory locks of the session; None: it asked for none yet.
    locks: Option<Holder>,
    /// What it says to them, and hears.
    voice: Voice,
    /// What the session may do, as of its last statement.
    authorised: Option<Authorised>,
    /// What clients are to be told beside the answers of their statements.
    notices: Vec<ServerError>,
}

impl Session {
    /// A session with these settings.
    #[must_use]
    pub fn new(backend: Arc<dyn Backend>, options: SessionOptions, settings: Settings) -> Session {
        Session {
            backend,
            voice: Voice::of(options.pid, Arc::default()),
            options,
            settings,
            transaction: None,
            pinned: None,
            notices: Vec::new(),
            prepared: BTreeMap::new(),
            portals: BTreeMap::new(),
            temporary: TempState::default(),
            implicit: None,
            implicit_block: false,
            shared: Shared::default(),
            portals_opened: 0,
            portals_before: 0,
            kept_memory: None,
            overlaid: None,
            roles: None,
            login: None,
            sessions: None,
            locks: None,
            authorised: None,
        }
    }

    /// The same session as one of a server, which it may ask for the others.
    #[must_use]
    pub(crate) fn with_sessions(mut self, sessions: Arc<Registry>) -> Session {
        self.voice = Voice::of(self.options.pid, sessions.channels());
        self.sessions = Some(sessions);
        self
    }

    /// The same session as one that logged in as this role of `roles`, asked anew for every statement: a REVOKE holds
    /// at once.
    #[must_use]
    pub fn with_roles(mut self, roles: Arc<RoleStore>, login: Option<Arc<Role>>) -> Session {
        // The limits of the role hold for the first statement, too. A role that is gone is told of then.
        let user = &self.options.user;
        self.authorised = roles.authorise(user, login.as_deref()).ok();
        self.login = login;
        self.roles = Some(roles);
        self
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// How long a statement may run: what the session asked for, or less when its role may have less.
    #[must_use]
    pub fn statement_timeout(&self) -> Option<std::time::Duration> {
        let asked = self.settings.statement_timeout();
        let limits = self.authorised.as_ref().map(Authorised::limits);
        limits.unwrap_or_default().timeout(asked)
    }

    /// Where the work of the session is done.
    pub(crate) fn work(&self) -> Work {
        let left = self.sessions.as_ref().map(|sessions| sessions.left());
        let left = left.unwrap_or_default();
        Work::new(self.options.runtime.clone(), &self.options.user, left)
    }

    /// The runtime that queries run on.
    #[must_use]
    pub fn runtime(&self) -> &Handle {
        &self.options.runtime
    }

    /// The state of the transaction block.
    #[must_use]
    pub fn transaction_status(&self) -> TransactionStatus {
        match &self.transaction {
            None => TransactionStatus::Idle,
            Some(transaction) if transaction.failed => TransactionStatus::Failed,
            Some(_) => TransactionStatus::Open,
        }
    }

    /// Runs one statement whose parameters, if it has any, are `arguments` in order.
    ///
    /// # Errors
    /// Any; the caller then calls [`Session::fail`].
    pub async fn run(
        &mut self,
        parsed: &Parsed,
        arguments: &[ast::Expr],
    ) -> Result<Outcome, ServerError> {
        let result = self.dispatch(&parsed.statement, arguments, 0).await;
        match result.map_err(|error| error.locate(&parsed.text))? {
            Outcome::Rows {
                rows,
                tag,
                counted,
                formats,
            } => Ok(Outcome::Rows {
                rows: rows.of_text(&parsed.text).await,
                tag,
                counted,
                formats,
            }),
            other => Ok(other),
        }
    }

    async fn dispatch(
        &mut self,
        statement: &Statement,
        arguments: &[ast::Expr],
        depth: usize,
    ) -> Result<Outcome, ServerError> {
        if self.transaction_status() == TransactionStatus::Failed && !ends_transaction(statement) {
            return Err(ServerError::aborted());
        }
        self.authorise()?;
        self.may_run(statement)?;
        match statement {
            Statement::Query(query) => {
                let rows = self.plan_and_start(query, arguments).await?;
                Ok(Outcome::Rows {
                    rows,
                    tag: "SELECT".into(),
                    counted: true,
                    formats: None,
                })
            }
            Statement::Explain { how, query } => {
                let planned = self.explain(query, arguments, *how).await?;
                self.rows(planned, "EXPLAIN", false).await
            }
            Statement::Copy {
                query,
                table,
                options,
            } => {
                let planned = self.plan(query, arguments).await;
                let planned = planned.map_err(|error| match table {
                    Some(table) => error.of_relation(table).nowhere(),
                    None => error,
                })?;
                let rows = self.start(planned).await?;
                Ok(Outcome::Copy {
                    rows,
                    options: options.clone(),
                })
            }
            Statement::Maintain(command) => self.maintain(command).await,
            Statement::Show(name) => {
                let planned = self.show(name)?;
                self.rows(planned, "SHOW", false).await
            }
            Statement::Execute { name, arguments } if depth == 0 => {
                let prepared = self.prepared_statement(name)?;
                let arguments = params::of_execute(name, arguments, &prepared.parameters)?;
                match prepared.parsed.as_deref().map(|inner| &inner.statement) {
                    None => Ok(Outcome::done("")),
                    Some(Statement::Query(query)) => {
                        let planned = self.plan_prepared(&prepared, query, &arguments).await?;
                        self.rows(planned, "SELECT", true).await
                    }
                    Some(inner) => Box::pin(self.dispatch(inner, &arguments, 1)).await,
                }
            }
            Statement::ExplainExecute {
                how,
                name,
                arguments,
            } => {
                let prepared = self.prepared_statement(name)?;
                let arguments = params::of_execute(name, arguments, &prepared.parameters)?;
                match prepared.parsed.as_deref().map(|inner| &inner.statement) {
                    Some(Statement::Query(query)) => {
                        let planned = self.explain(query, &arguments, *how).await?;
                        self.rows(planned, "EXPLAIN", false).await
                    }
                    _ => Err(ServerError::unsupported("EXPLAIN takes a query")),
                }
            }
            Statement::Execute { .. } => {
                Err(ServerError::unsupported("EXECUTE of a prepared EXECUTE"))
            }
            Statement::Prepare {
                name,
                types,
                statement,
            } => {
                self.prepare_sql(name, types, statement).await?;
                Ok(Outcome::done("PREPARE"))
            }
            Statement::Declare {
                name,
                options,
                query,
                text,
            } => self.declare(name, *options, query, arguments, text).await,
            Statement::Fetch { name, rows, skip } => self.fetch(name, *rows, *skip).await,
            Statement::Temp(command) => Box::pin(self.temporary(command, arguments)).await,
            Statement::Cohort(command) => Box::pin(self.cohort(command, arguments)).await,
            Statement::Rights(command) => self.rights(command).await,
            Statement::Refused(error) => Err(match self.transaction {
                None if error.to_string().starts_with("LOCK TABLE ") => {
                    let text = "LOCK TABLE can only be used in transaction blocks";
                    ServerError::new("25P01", text)
                }
                _ => error.clone(),
            }),
            other => self.command(other),
        }
    }

    /// Statements that need no planning.
    fn command(&mut self, statement: &Statement) -> Result<Outcome, ServerError> {
        match statement {
            Statement::Set { name, value, local } => {
                let value = match value {
                    SetValue::Default => None,
                    SetValue::Text(text) => Some(text.as_str()),
                };
                self.may_set(name, value)?;
                self.before_change();
                self.settings.set(name, value, *local)?;
                Ok(Outcome::Done {
                    tag: "SET".to_owned(),
                    warning: (*local && !self.in_block()).then(|| outside_block("SET LOCAL")),
                })
            }
            Statement::Reset(None) => {
                self.before_change();
                self.settings.reset_all();
                Ok(Outcome::done("RESET"))
            }
            Statement::Reset(Some(name)) => {
                self.before_change();
                self.settings.set(name, None, false)?;
                Ok(Outcome::done("RESET"))
            }
            Statement::Discard(what) => {
                if what == "ALL" {
                    if self.in_block() {
                        return Err(inside_block("DISCARD ALL"));
                    }
                    self.settings.reset_all();
                    self.prepared.clear();
                    self.portals.clear();
                    self.hear(None, false)?;
                }
                if let ("ALL", Some(locks)) = (what.as_str(), &mut self.locks) {
                    locks.unlock_all();
                }
                if matches!(what.as_str(), "ALL" | "TEMP") {
                    self.set_temporary(TempState::default());
                }
                Ok(Outcome::done(&format!("DISCARD {what}")))
            }
            Statement::Deallocate(None) => {
                self.prepared.clear();
                Ok(Outcome::done("DEALLOCATE ALL"))
            }
            Statement::Deallocate(Some(name)) => {
                self.prepared_statement(name)?;
                self.prepared.remove(name);
                Ok(Outcome::done("DEALLOCATE"))
            }
            Statement::Close(None) => {
                self.portals.clear();
                Ok(Outcome::done("CLOSE CURSOR ALL"))
            }
            Statement::Close(Some(name)) => {
                self.portals.remove(name).ok_or_else(|| no_cursor(name))?;
                Ok(Outcome::done("CLOSE CURSOR"))
            }
            Statement::Listen(channel) => self.hear(Some(channel), true),
            Statement::Unlisten(channel) => self.hear(channel.as_deref(), false),
            Statement::Notify(channel, payload) => self.say(channel, payload),
            other => self.transaction_command(other),
        }
    }

    fn show(&self, name: &str) -> Result<Planned, ServerError> {
        if name == "all" {
            let rows = self.settings.all().into_iter().map(|(name, value)| {
                let described = described::find(&name.to_lowercase());
                let description = described.map_or("", |described| described.description);
                vec![
                    Some(name.to_owned()),
                    Some(value),
                    Some(description.to_owned()),
                ]
            });
            return plan::text_table(&["name", "setting", "description"], rows.collect());
        }
        let value = self.settings.show(name)?.to_owned();
        plan::text_column(shown_name(name), vec![value])
    }

    async fn rows(
        &mut self,
        planned: Planned,
        tag: &'static str,
        counted: bool,
    ) -> Result<Outcome, ServerError> {
        let rows = self.start(planned).await?;
        Ok(Outcome::Rows {
            rows,
            tag: tag.into(),
            counted,
            formats: None,
        })
    }

    /// Plans a query on the query runtime.
    async fn plan(
        &mut self,
        query: &ast::Statement,
        arguments: &[ast::Expr],
    ) -> Result<Planned, ServerError> {
        let mut query = self.with_arguments(query, arguments)?;
        Box::pin(self.lock_keys(&mut query)).await?;
        let context = self.plan_context().await?;
        self.plan_in(context, query).await
    }

    /// Plans a query, whose parameters have values, in a context.
    async fn plan_in(
        &mut self,
        context: PlanContext,
        query: ast::Statement,
    ) -> Result<Planned, ServerError> {
        let guard = context.stop.guard();
        let planned = self
            .spawn(async move { plan::plan(&context, &query).await })
            .await;
        guard.disarm();
        planned
    }

    async fn explain(
        &mut self,
        query: &ast::Statement,
        arguments: &[ast::Expr],
        how: Explaining,
    ) -> Result<Planned, ServerError> {
        let query = self.with_arguments(query, arguments)?;
        let context = self.plan_context().await?;
        let guard = context.stop.guard();
        let explained = self
            .spawn(async move { plan::explain(&context, &query, how).await })
            .await;
        guard.disarm();
        explained
    }

    /// The query with its parameters in place; settings that it changes are changed now.
    fn with_arguments(
        &mut self,
        query: &ast::Statement,
        arguments: &[ast::Expr],
    ) -> Result<ast::Statement, ServerError> {
        let mut query = query.clone();
        let values = arguments
            .iter()
            .cloned()
            .enumerate()
            .map(|(n, value)| (n + 1, value));
        params::substitute(&mut query, &values.collect(), false)?;
        if rewrite::calls_set_config(&query) {
            self.before_change();
            let mut settings = self.settings.clone();
            rewrite::set_configs(&mut query, &mut settings, |name, value| {
                self.may_set(name, Some(value))
            })?;
            self.settings = settings;
        }
        Ok(query)
    }

    /// What the last statements have to say beside their answers.
    pub fn take_notices(&mut self) -> Vec<ServerError> {
        std::mem::take(&mut self.notices)
    }

    /// Plans a query and starts it, in one piece of work of the query runtime.
    async fn plan_and_start(
        &mut self,
        query: &ast::Statement,
        arguments: &[ast::Expr],
    ) -> Result<Rows, ServerError> {
        let mut query = self.with_arguments(query, arguments)?;
        Box::pin(self.lock_keys(&mut query)).await?;
        let context = self.plan_context().await?;
        let planned_under = self.authorised.clone();
        let guard = context.stop.guard();
        let started = self
            .spawn(async move {
                let planned = plan::plan(&context, &query).await?;
                let mut notices = noticed::unknown_names(&planned);
                let warnings = context.warnings;
                let rows = plan::start(planned).await;
                notices.extend(noticed::warnings(&warnings));
                Ok((notices, rows))
            })
            .await;
        guard.disarm();
        let (notices, rows) = started?;
        let now = self.unchanged_since(planned_under)?;
        self.notices.extend(notices);
        under_limits(rows, &now).await
    }

    async fn start(&mut self, planned: Planned) -> Result<Rows, ServerError> {
        let planned_under = self.authorised.clone();
        let now = self.unchanged_since(planned_under)?;
        self.notices.extend(noticed::unknown_names(&planned));
        let guard = planned.stop().guard();
        let warnings = planned.warnings();
        let rows = self.spawn(plan::start(planned)).await;
        guard.disarm();
        self.notices.extend(noticed::warnings(&warnings));
        under_limits(rows, &now).await
    }

    /// What the session may do, which is what it might do when a statement was planned.
    fn unchanged_since(&mut self, planned: Option<Authorised>) -> Result<Authorised, ServerError> {
        let now = self.authorise()?;
        if planned.is_some_and(|before| before.access != now.access) {
            let text = "the rights of the role changed while the statement was planned";
            return Err(ServerError::new("40001", text).hint("Run it again."));
        }
        Ok(now)
    }

    /// Runs `work` on the query runtime; dropping the returned future aborts it.
    fn spawn<T, W>(
        &self,
        work: W,
    ) -> impl Future<Output = Result<T, ServerError>> + Send + use<T, W>
    where
        T: Send + 'static,
        W: Future<Output = Result<T, ServerError>> + Send + 'static,
    {
        self.work().run(Box::pin(work))
    }
}

impl Session {
    /// What the session may do now. When that has changed, everything that was planned or is being read under the
    /// old rights goes away: prepared statements, portals and cursors.
    ///
    /// # Errors
    /// 57P01, FATAL, when the role was removed.
    fn authorise(&mut self) -> Result<Authorised, ServerError> {
        let user = &self.options.user;
        let now = match &self.roles {
            Some(roles) => roles.authorise(user, self.login.as_deref())?,
            None => Authorised::owner(user),
        };
        let changed = self
            .authorised
            .as_ref()
            .is_some_and(|before| before.access != now.access);
        if changed {
            self.prepared.clear();
            self.portals.clear();
            self.forget_temporary();
        }
        self.authorised = Some(now.clone());
        Ok(now)
    }
}

impl Session {
    /// Temporary tables hold what was read under rights that the session has no more.
    fn forget_temporary(&mut self) {
        self.temporary = TempState::default();
        if let Some(before) = &mut self.implicit {
            before.temporary = TempState::default();
        }
        self.overlaid = None;
        if let Some(transaction) = &mut self.transaction {
            transaction.temporary = TempState::default();
            for savepoint in &mut transaction.savepoints {
                savepoint.temporary = TempState::default();
            }
        }
    }
}

/// Rows within the limits of a role.
async fn under_limits(
    rows: Result<Rows, ServerError>,
    who: &Authorised,
) -> Result<Rows, ServerError> {
    let limits = who.limits();
    match rows {
        Ok(rows) => Ok(rows.under(limits).await),
        Err(error) => Err(limits.of_spilling(error)),
    }
}

fn task_error(error: &tokio::task::JoinError) -> ServerError {
    if error.is_cancelled() {
        return ServerError::canceled("server shutdown");
    }
    tracing::error!("a query task panicked");
    ServerError::internal("the query ran into a bug of the server")
}

fn no_cursor(name: &str) -> ServerError {
    ServerError::new("34000", format!("cursor \"{name}\" does not exist"))
}

/// The column name of SHOW: the setting as PostgreSQL spells it.
fn shown_name(name: &str) -> &str {
    match name {
        "datestyle" => "DateStyle",
        "timezone" => "TimeZone",
        "intervalstyle" => "IntervalStyle",
        other => other,
    }
}
