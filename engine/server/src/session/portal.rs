//! Prepared statements and portals, shared by the extended protocol and SQL's own commands.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::sql::sqlparser::ast;
use parking_lot::Mutex;

use super::cursors::Cursor;
use super::plan::{PlanContext, Planned};
use super::rows::Rows;
use super::scroll::Scroll;
use super::statement::cohort::CohortCommand;
use super::statement::{CursorOptions, Explaining, Fetch, Parsed, Statement};
use super::template::{self, Analysis, Template};
use super::{Outcome, Session, locked, params, rewrite};
use crate::clock::Clock;
use crate::pg_catalog;
use crate::pg_types::{PgType, oid};
use crate::pgwire::column::Column;
use crate::pgwire::encode::Format;
use crate::sqlstate::ServerError;

/// A prepared statement.
#[derive(Debug)]
pub struct Prepared {
    /// The statement; None for an empty query string.
    pub parsed: Option<Arc<Parsed>>,
    /// Parameter types in order.
    pub parameters: Vec<PgType>,
    /// Columns of its result; None when it returns no rows.
    pub columns: Option<Vec<Column>>,
    /// Parameters that the client declared of types without values here, by their place: OIDs of the types.
    foreign: BTreeMap<usize, u32>,
    /// What the system catalog shows of it.
    pub(crate) facts: Arc<PreparedFacts>,
    /// Its plan, where one plan serves all values of the parameters.
    pub(super) template: Mutex<Option<Arc<Template>>>,
    _held: Option<MemoryReservation>,
}

/// What `pg_prepared_statements` shows.
#[derive(Debug, Default)]
pub(crate) struct PreparedFacts {
    pub(crate) name: String,
    pub(crate) statement: Arc<str>,
    /// Microseconds since 1970.
    pub(crate) prepared: i64,
    /// OIDs of types.
    pub(crate) parameters: Vec<u32>,
    pub(crate) results: Option<Vec<u32>>,
    pub(crate) from_sql: bool,
    /// How often it ran by the plan that Parse made.
    pub(crate) generic_plans: AtomicI64,
    /// How often it was planned for its values.
    pub(crate) custom_plans: AtomicI64,
}

/// What `pg_cursors` shows.
#[derive(Clone, Debug)]
pub(crate) struct PortalFacts {
    pub(crate) name: String,
    pub(crate) statement: Arc<str>,
    pub(crate) options: CursorOptions,
    /// Microseconds since 1970.
    pub(crate) created: i64,
}

/// What Describe answers.
#[derive(Debug)]
pub struct Description {
    /// Parameter types; empty for a portal.
    pub parameters: Vec<PgType>,
    /// Columns with the format each is sent in; None for a statement without rows.
    pub columns: Option<Vec<(Column, Format)>>,
}

/// A portal: a statement with its parameters, and how far its rows were read.
pub struct Portal {
    pub(super) facts: Arc<PortalFacts>,
    /// Which of the session's portals it is, by their age.
    pub(super) number: u64,
    formats: Vec<Format>,
    state: PortalState,
    _held: Option<MemoryReservation>,
}

enum PortalState {
    /// A query, or the query of a COPY, that is planned.
    Planned(Box<Planned>, Arc<Parsed>),
    /// Another statement with its arguments.
    Statement(Option<Arc<Parsed>>, Vec<ast::Expr>, Option<Vec<Column>>),
    /// Rows that are being read.
    Running(Rows, Cow<'static, str>, bool),
    /// A SCROLL cursor.
    Scroll(Scroll),
    /// Nothing left to run.
    Finished,
}

/// What Execute of a portal runs.
#[derive(Debug)]
pub enum Bound {
    /// Rows to send in these formats.
    Outcome(Outcome, Vec<Format>),
    /// An empty query string.
    Empty,
}

impl Portal {
    pub(super) fn cursor(cursor: Cursor, formats: Vec<Format>, facts: PortalFacts) -> Portal {
        let state = match cursor {
            Cursor::Forward(rows) => PortalState::Running(rows, "SELECT".into(), true),
            Cursor::Scroll(scroll) => PortalState::Scroll(scroll),
        };
        Portal::new(facts, formats, state)
    }

    fn new(facts: PortalFacts, formats: Vec<Format>, state: PortalState) -> Portal {
        Portal {
            facts: Arc::new(facts),
            number: 0,
            formats,
            state,
            _held: None,
        }
    }

    /// The same, with the memory that it takes.
    pub(super) fn holding(self, held: Option<MemoryReservation>) -> Portal {
        Portal {
            _held: held,
            ..self
        }
    }

    /// Whether it outlives the transaction.
    pub(super) fn is_held(&self) -> bool {
        self.facts.options.hold
    }

    fn columns(&self) -> Option<&[Column]> {
        match &self.state {
            PortalState::Planned(planned, parsed) => {
                // COPY is described as a statement without rows.
                matches!(parsed.statement, Statement::Query(_)).then(|| planned.columns())
            }
            PortalState::Statement(_, _, columns) => columns.as_deref(),
            PortalState::Running(rows, ..) => Some(&rows.columns),
            PortalState::Scroll(scroll) => Some(scroll.columns()),
            PortalState::Finished => None,
        }
    }
}

impl Prepared {
    /// The values of a Bind message as constant expressions.
    fn arguments(
        &self,
        portal: &str,
        formats: &[i16],
        values: &[Option<bytes::Bytes>],
    ) -> Result<Vec<ast::Expr>, ServerError> {
        let values = values.iter().zip(&self.parameters).enumerate();
        let values = values.map(|(at, (value, pg_type))| {
            let nth = params::Nth {
                portal,
                number: at + 1,
            };
            let code = match formats {
                [one] => *one,
                many => many.get(at).copied().unwrap_or(0),
            };
            let format = Format::from_code(code).map_err(|error| nth.of(error))?;
            if let (Some(oid), Format::Binary, Some(_)) = (self.foreign.get(&at), format, value) {
                return Err(nth.of(params::no_binary(&pg_catalog::type_name(*oid))));
            }
            nth.constant(value.as_ref(), format, *pg_type)
        });
        values.collect()
    }
}

/// One format for all, one per column, or text when none is given.
fn formats(codes: &[i16], width: usize) -> Result<Vec<Format>, ServerError> {
    let codes = codes
        .iter()
        .map(|c| Format::from_code(*c))
        .collect::<Result<Vec<_>, _>>()?;
    match codes.as_slice() {
        [] => Ok(vec![Format::Text; width]),
        [one] => Ok(vec![*one; width]),
        many if many.len() == width => Ok(codes),
        many => Err(ServerError::protocol(format!(
            "bind message has {} result formats but query has {width} columns",
            many.len()
        ))),
    }
}

/// Bytes of values that are read where sockets are served.
const LONG_VALUES: usize = 16 << 10;

impl Session {
    /// Parse: analyses a statement and keeps it under `name` (empty: the unnamed statement).
    ///
    /// # Errors
    /// 42P05 when the name is taken, and whatever analysis finds.
    pub async fn prepare(
        &mut self,
        name: &str,
        sql: &str,
        declared: &[u32],
    ) -> Result<(), ServerError> {
        self.authorise()?;
        let mut statements = super::statement::parse_beside(self.work(), sql).await?;
        if statements.len() > 1 {
            return Err(ServerError::syntax(
                "cannot insert multiple commands into a prepared statement",
                None,
            ));
        }
        let void = declared.iter().zip(1..);
        let void = void.filter(|(declared, _)| **declared == oid::VOID);
        let void: BTreeSet<usize> = void.map(|(_, number)| number).collect();
        if let Some(Statement::Query(query)) = statements.last_mut().map(|last| &mut last.statement)
        {
            params::void::taken_out(query, void);
        }
        let foreign = declared.iter().copied().enumerate();
        let foreign = foreign.filter(|(_, oid)| is_foreign(*oid)).collect();
        let declared: Vec<PgType> = declared.iter().map(|oid| declared_type(*oid)).collect();
        let prepared = match statements.pop() {
            None => Prepared {
                parsed: None,
                parameters: declared,
                columns: None,
                foreign: BTreeMap::new(),
                facts: Arc::default(),
                template: Mutex::default(),
                _held: None,
            },
            Some(parsed) => {
                let text = Arc::clone(&parsed.text);
                self.analyse(parsed, &declared)
                    .await
                    .map_err(|error| error.locate(&text))?
            }
        };
        let prepared = Prepared {
            foreign,
            ..prepared
        };
        self.keep(name, &sql.into(), false, prepared)
    }

    pub(super) async fn prepare_sql(
        &mut self,
        name: &str,
        types: &[String],
        statement: &Parsed,
    ) -> Result<(), ServerError> {
        let declared = types
            .iter()
            .map(|name| {
                let element = name.strip_suffix("[]");
                let found = PgType::named(element.unwrap_or(name).trim());
                let found = if element.is_some() {
                    found.map(PgType::array)
                } else {
                    found
                };
                found.ok_or_else(|| {
                    ServerError::new("42704", format!("type \"{name}\" does not exist")).near(name)
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        let prepared = self.analyse(statement.clone(), &declared).await?;
        self.keep(name, &statement.text, true, prepared)
    }

    fn keep(
        &mut self,
        name: &str,
        text: &Arc<str>,
        from_sql: bool,
        prepared: Prepared,
    ) -> Result<(), ServerError> {
        if !name.is_empty() && self.prepared.contains_key(name) {
            return Err(ServerError::new(
                "42P05",
                format!("prepared statement \"{name}\" already exists"),
            ));
        }
        let held = self.memory_of_prepared(name, text)?;
        let oids = |columns: &Vec<Column>| columns.iter().map(|c| c.pg_type.oid).collect();
        let facts = PreparedFacts {
            name: name.to_owned(),
            statement: Arc::clone(text),
            prepared: Clock::read(),
            parameters: prepared.parameters.iter().map(|t| t.oid).collect(),
            results: prepared.columns.as_ref().map(oids),
            from_sql,
            ..PreparedFacts::default()
        };
        let prepared = Prepared {
            facts: Arc::new(facts),
            _held: held,
            ..prepared
        };
        self.prepared.insert(name.to_owned(), Arc::new(prepared));
        Ok(())
    }

    /// Finds parameter types and result columns.
    async fn analyse(
        &mut self,
        parsed: Parsed,
        declared: &[PgType],
    ) -> Result<Prepared, ServerError> {
        let failed = self.transaction_status() == super::TransactionStatus::Failed;
        if failed && !super::ends_transaction(&parsed.statement) {
            return Err(ServerError::aborted());
        }
        let plain = |columns| Analysis::without_plan(declared.to_vec(), columns);
        let analysis = match &parsed.statement {
            Statement::Query(query) => self.analyse_query(query, declared).await?,
            Statement::Copy { query, .. } => {
                let analysis = self.analyse_query(query, declared).await?;
                Analysis {
                    columns: None,
                    ..analysis
                }
            }
            Statement::Declare { query, .. } => {
                let parameters = self.analyse_query(query, declared).await?.parameters;
                Analysis::without_plan(parameters, None)
            }
            Statement::Explain { query, how } => {
                let parameters = self.analyse_query(query, declared).await?.parameters;
                Analysis::without_plan(parameters, Some(lines_of(*how)))
            }
            Statement::ExplainExecute { how, .. } => plain(Some(lines_of(*how))),
            Statement::Show(name) => plain(Some(self.show(name)?.columns().to_vec())),
            Statement::Fetch { .. } | Statement::Execute { .. } => {
                plain(self.columns_now(&parsed.statement))
            }
            Statement::Temp(command) => Box::pin(self.analyse_temporary(command, declared)).await?,
            Statement::Cohort(command) => match command.as_ref() {
                CohortCommand::Create { query, .. } => {
                    let parameters = self.analyse_query(query, declared).await?.parameters;
                    Analysis::without_plan(parameters, None)
                }
                CohortCommand::Drop { .. } => plain(None),
            },
            Statement::Refused(error) => return Err(error.clone()),
            _ => plain(None),
        };
        Ok(Prepared {
            parsed: Some(Arc::new(parsed)),
            parameters: analysis.parameters,
            columns: analysis.columns,
            foreign: BTreeMap::new(),
            facts: Arc::default(),
            template: Mutex::new(analysis.template.map(Arc::new)),
            _held: None,
        })
    }

    /// The columns that FETCH or EXECUTE gives as things are; None where what it names is not there yet, which its
    /// client may make before the statement runs.
    fn columns_now(&self, statement: &Statement) -> Option<Vec<Column>> {
        match statement {
            Statement::Fetch {
                name, skip: false, ..
            } => {
                let columns = self.portals.get(name)?.columns()?;
                Some(columns.to_vec())
            }
            Statement::Execute { name, .. } => self.prepared.get(name)?.columns.clone(),
            _ => None,
        }
    }

    /// Whether what a portal runs cannot be taken back when a later statement fails.
    #[must_use]
    pub fn is_final(&self, portal: &str) -> bool {
        let state = self.portals.get(portal).map(|portal| &portal.state);
        matches!(state, Some(PortalState::Statement(Some(parsed), ..))
            if matches!(parsed.statement, Statement::Rights(_) | Statement::Cohort(_)))
    }

    pub(super) async fn analyse_query(
        &mut self,
        query: &ast::Statement,
        declared: &[PgType],
    ) -> Result<Analysis, ServerError> {
        let context = self.plan_context().await?;
        self.analyse_in(context, query, declared).await
    }

    pub(super) async fn analyse_in(
        &mut self,
        context: PlanContext,
        query: &ast::Statement,
        declared: &[PgType],
    ) -> Result<Analysis, ServerError> {
        let (mut query, declared) = (query.clone(), declared.to_vec());
        let locks = locked::calls_locks(&query);
        let sets = rewrite::calls_set_config(&query);
        if sets {
            // `current_setting` beside it may ask for what is not set yet. Nothing is set by Parse.
            let (mut told, mut settings) = (query.clone(), self.settings.clone());
            if rewrite::set_configs(&mut told, &mut settings, |_, _| Ok(())).is_ok() {
                query = told;
            }
        }
        let guard = context.stop.guard();
        let analysed = self
            .spawn(async move { Box::pin(template::analyse(&context, &query, &declared)).await })
            .await;
        guard.disarm();
        let analysis = analysed?;
        Ok(match sets || locks {
            // Each run sets and locks anew: no plan of it is kept.
            true => Analysis::without_plan(analysis.parameters, analysis.columns),
            false => analysis,
        })
    }

    /// The plan of a prepared query for these values: that of Parse where it still holds, else a new one.
    ///
    /// # Errors
    /// 0A000 when the result has other columns than Parse told the client of.
    pub(super) async fn plan_prepared(
        &mut self,
        prepared: &Prepared,
        query: &ast::Statement,
        arguments: &[ast::Expr],
    ) -> Result<Planned, ServerError> {
        let known = prepared.template.lock().clone();
        let Some(known) = known else {
            return self.plan_custom(prepared, query, arguments).await;
        };
        let context = self.plan_context().await?;
        let template = if known.holds_in(&context) {
            known
        } else {
            let (again, parameters) = (query.clone(), prepared.parameters.clone());
            let planning = context.clone();
            let guard = context.stop.guard();
            let made = self
                .spawn(
                    async move { Box::pin(template::renew(&planning, &again, &parameters)).await },
                )
                .await;
            guard.disarm();
            let Some(made) = made?.map(Arc::new) else {
                *prepared.template.lock() = None;
                return self.plan_custom(prepared, query, arguments).await;
            };
            made.same_columns(&known)?;
            *prepared.template.lock() = Some(Arc::clone(&made));
            made
        };
        let planned = match arguments.iter().any(template::is_long) {
            false => template.with_values(&context, arguments)?,
            true => {
                let arguments = arguments.to_vec();
                let guard = context.stop.guard();
                let planned = self.spawn(async move { template.with_values(&context, &arguments) });
                let planned = planned.await;
                guard.disarm();
                planned?
            }
        };
        match planned {
            Some(planned) => {
                prepared.facts.generic_plans.fetch_add(1, Ordering::Relaxed);
                Ok(planned)
            }
            None => self.plan_custom(prepared, query, arguments).await,
        }
    }

    /// What the system catalog shows of prepared statements that have a name.
    pub(super) fn prepared_facts(&self) -> Vec<Arc<PreparedFacts>> {
        let named = self.prepared.iter().filter(|(name, _)| !name.is_empty());
        named
            .map(|(_, prepared)| Arc::clone(&prepared.facts))
            .collect()
    }

    /// What the system catalog shows of portals and cursors.
    pub(super) fn portal_facts(&self) -> Vec<Arc<PortalFacts>> {
        let portals = self.portals.values();
        portals.map(|portal| Arc::clone(&portal.facts)).collect()
    }

    /// Plans a prepared query with its values in it.
    async fn plan_custom(
        &mut self,
        prepared: &Prepared,
        query: &ast::Statement,
        arguments: &[ast::Expr],
    ) -> Result<Planned, ServerError> {
        prepared.facts.custom_plans.fetch_add(1, Ordering::Relaxed);
        self.plan(query, arguments).await
    }

    pub(super) fn prepared_statement(&self, name: &str) -> Result<Arc<Prepared>, ServerError> {
        self.prepared.get(name).cloned().ok_or_else(|| {
            let which = if name.is_empty() { "unnamed" } else { "" };
            let text = match which {
                "" => format!("prepared statement \"{name}\" does not exist"),
                _ => "unnamed prepared statement does not exist".to_owned(),
            };
            ServerError::new("26000", text)
        })
    }

    /// The text of a prepared statement, when there is one of that name.
    #[must_use]
    pub fn statement_text(&self, name: &str) -> Option<Arc<str>> {
        let prepared = self.prepared.get(name)?;
        prepared
            .parsed
            .as_ref()
            .map(|parsed| Arc::clone(&parsed.text))
    }

    /// The text of the statement of a portal, when there is one of that name.
    #[must_use]
    pub fn portal_text(&self, name: &str) -> Option<Arc<str>> {
        let portal = self.portals.get(name)?;
        Some(Arc::clone(&portal.facts.statement))
    }

    /// Describe of a statement.
    ///
    /// # Errors
    /// 26000 when there is none of that name.
    pub fn describe_statement(&self, name: &str) -> Result<Description, ServerError> {
        let prepared = self.prepared_statement(name)?;
        let columns = prepared.columns.as_ref().map(|columns| {
            columns
                .iter()
                .map(|column| (column.clone(), Format::Text))
                .collect()
        });
        Ok(Description {
            parameters: prepared.parameters.clone(),
            columns,
        })
    }

    /// Describe of a portal.
    ///
    /// # Errors
    /// 34000 when there is none of that name.
    pub fn describe_portal(&self, name: &str) -> Result<Description, ServerError> {
        let portal = self.portal(name)?;
        let columns = portal.columns().map(|columns| {
            columns
                .iter()
                .cloned()
                .zip(portal.formats.iter().copied())
                .collect()
        });
        Ok(Description {
            parameters: Vec::new(),
            columns,
        })
    }

    fn portal(&self, name: &str) -> Result<&Portal, ServerError> {
        self.portals.get(name).ok_or_else(|| no_portal(name))
    }

    /// Bind: makes a portal of a statement and values.
    ///
    /// # Errors
    /// 08P01 for a wrong number of values, 22P02 and 22P03 for values that do not fit.
    pub async fn bind(
        &mut self,
        portal: &str,
        statement: &str,
        value_formats: &[i16],
        values: &[Option<bytes::Bytes>],
        result_formats: &[i16],
    ) -> Result<(), ServerError> {
        self.authorise()?;
        let prepared = self.prepared_statement(statement)?;
        if value_formats.len() > 1 && value_formats.len() != values.len() {
            return Err(ServerError::protocol(format!(
                "bind message has {} parameter formats but {} parameters",
                value_formats.len(),
                values.len()
            )));
        }
        if values.len() != prepared.parameters.len() {
            return Err(ServerError::protocol(format!(
                "bind message supplies {} parameters, but prepared statement \"{statement}\" requires {}",
                values.len(),
                prepared.parameters.len()
            )));
        }
        if !portal.is_empty() && self.portals.contains_key(portal) {
            return Err(ServerError::new(
                "42P03",
                format!("cursor \"{portal}\" already exists"),
            ));
        }
        let bytes = values.iter().flatten().map(bytes::Bytes::len).sum();
        let held = self.memory_of_portal(portal, bytes)?;
        let arguments = match bytes > LONG_VALUES {
            false => prepared.arguments(portal, value_formats, values)?,
            // Threads that serve sockets have others to serve.
            true => {
                let (prepared, portal) = (Arc::clone(&prepared), portal.to_owned());
                let (formats, values) = (value_formats.to_vec(), values.to_vec());
                let read = async move { prepared.arguments(&portal, &formats, &values) };
                self.spawn(read).await?
            }
        };
        let facts = PortalFacts {
            name: portal.to_owned(),
            statement: Arc::clone(&prepared.facts.statement),
            options: CursorOptions::default(),
            created: Clock::read(),
        };
        // A statement that asks for portals sees its own, too.
        self.open_portal(Portal::new(
            facts.clone(),
            Vec::new(),
            PortalState::Finished,
        ));
        match self.bound(&prepared, arguments, result_formats).await {
            Ok((formats, state)) => {
                self.open_portal(Portal::new(facts, formats, state).holding(held));
                Ok(())
            }
            Err(error) => {
                self.portals.remove(portal);
                Err(error)
            }
        }
    }

    /// Keeps a portal under its name.
    pub(super) fn open_portal(&mut self, portal: Portal) {
        self.portals_opened += 1;
        let number = self.portals_opened;
        let name = portal.facts.name.clone();
        self.portals.insert(name, Portal { number, ..portal });
    }

    /// Nothing more comes out of a portal that failed.
    pub(super) fn break_portal(&mut self, name: &str) {
        if let Some(portal) = self.portals.get_mut(name) {
            portal.state = PortalState::Finished;
        }
    }

    async fn bound(
        &mut self,
        prepared: &Prepared,
        arguments: Vec<ast::Expr>,
        result_formats: &[i16],
    ) -> Result<(Vec<Format>, PortalState), ServerError> {
        let Some(parsed) = prepared.parsed.clone() else {
            let state = PortalState::Statement(None, arguments, None);
            return Ok((Vec::new(), state));
        };
        let failed = self.transaction_status() == super::TransactionStatus::Failed;
        if failed && !super::ends_transaction(&parsed.statement) {
            return Err(ServerError::aborted());
        }
        let text = Arc::clone(&parsed.text);
        if let Statement::Query(query) | Statement::Copy { query, .. } = &parsed.statement {
            let planned = self
                .plan_prepared(prepared, query, &arguments)
                .await
                .map_err(|error| error.locate(&text))?;
            let formats = match &parsed.statement {
                Statement::Query(_) => formats(result_formats, planned.columns().len())?,
                // COPY says itself how it writes rows.
                _ => Vec::new(),
            };
            return Ok((formats, PortalState::Planned(Box::new(planned), parsed)));
        }
        prepared.facts.generic_plans.fetch_add(1, Ordering::Relaxed);
        let columns = match &parsed.statement {
            statement @ (Statement::Fetch { .. } | Statement::Execute { .. }) => {
                self.columns_now(statement)
            }
            _ => prepared.columns.clone(),
        };
        let formats = match (&parsed.statement, &columns) {
            // FETCH sends what its cursor was declared with, unless Bind asks otherwise.
            (Statement::Fetch { name, .. }, Some(columns)) if result_formats.is_empty() => {
                self.portals.get(name).map_or_else(
                    || vec![Format::Text; columns.len()],
                    |cursor| cursor.formats.clone(),
                )
            }
            (_, Some(columns)) => formats(result_formats, columns.len())?,
            (_, None) => Vec::new(),
        };
        let state = PortalState::Statement(Some(parsed), arguments, columns);
        Ok((formats, state))
    }

    /// Execute: what to send for at most `limit` rows of the portal.
    ///
    /// # Errors
    /// 34000 without such a portal, 55000 when it has run, and what its statement fails with.
    pub async fn execute(&mut self, name: &str, limit: Option<u64>) -> Result<Bound, ServerError> {
        self.authorise()?;
        let failed = self.transaction_status() == super::TransactionStatus::Failed;
        let portal = self.portals.get_mut(name).ok_or_else(|| no_portal(name))?;
        if failed && !matches!(portal.state, PortalState::Statement(..)) {
            return Err(ServerError::aborted());
        }
        let formats = portal.formats.clone();
        let state = std::mem::replace(&mut portal.state, PortalState::Finished);
        match state {
            PortalState::Finished => Err(cannot_be_run(name)),
            PortalState::Scroll(scroll) => {
                if scroll.is_broken().await {
                    return Err(cannot_be_run(name));
                }
                let which = match limit {
                    Some(most) => Fetch::Forward(most),
                    None => Fetch::AllForward,
                };
                let rows = scroll.fetch(which).limited(limit);
                if let Some(portal) = self.portals.get_mut(name) {
                    portal.state = PortalState::Scroll(scroll);
                }
                let outcome = Outcome::Rows {
                    rows,
                    tag: "SELECT".into(),
                    counted: true,
                    formats: None,
                };
                Ok(Bound::Outcome(outcome, formats))
            }
            PortalState::Running(rows, ..) if rows.is_broken().await => Err(cannot_be_run(name)),
            PortalState::Running(rows, tag, counted) => {
                let outcome = self.continue_portal(name, rows, tag, counted, limit);
                Ok(Bound::Outcome(outcome, formats))
            }
            PortalState::Planned(planned, parsed) => {
                let rows = self.start(*planned).await;
                let rows = rows.map_err(|error| error.locate(&parsed.text))?;
                let rows = rows.of_text(&parsed.text).await;
                let outcome = match &parsed.statement {
                    Statement::Copy { options, .. } => Outcome::Copy {
                        rows,
                        options: options.clone(),
                    },
                    _ => self.continue_portal(name, rows, "SELECT".into(), true, limit),
                };
                Ok(Bound::Outcome(outcome, formats))
            }
            PortalState::Statement(None, ..) => Ok(Bound::Empty),
            PortalState::Statement(Some(parsed), arguments, columns) => {
                match self.run(&parsed, &arguments).await? {
                    // As in PostgreSQL: what was bound before it was there is told without rows, and so it runs.
                    Outcome::Rows {
                        rows, tag, counted, ..
                    } if columns.is_none() => {
                        let outcome = match counted {
                            true => Outcome::Skip { rows, tag },
                            false => Outcome::done(&tag),
                        };
                        Ok(Bound::Outcome(outcome, formats))
                    }
                    Outcome::Rows {
                        rows, tag, counted, ..
                    } => {
                        let outcome = match limit {
                            None => Outcome::Rows {
                                rows,
                                tag,
                                counted,
                                formats: None,
                            },
                            Some(_) => self.continue_portal(name, rows, tag, counted, limit),
                        };
                        Ok(Bound::Outcome(outcome, formats))
                    }
                    outcome => Ok(Bound::Outcome(outcome, formats)),
                }
            }
        }
    }

    fn continue_portal(
        &mut self,
        name: &str,
        rows: Rows,
        tag: Cow<'static, str>,
        counted: bool,
        limit: Option<u64>,
    ) -> Outcome {
        if let Some(portal) = self.portals.get_mut(name) {
            portal.state = PortalState::Running(rows.clone(), tag.clone(), counted);
        }
        // What a FETCH may still take bounds every Execute of its portal.
        let limit = match (rows.limit, limit) {
            (Some(own), Some(asked)) => Some(own.min(asked)),
            (own, asked) => own.or(asked),
        };
        Outcome::Rows {
            rows: rows.limited(limit),
            tag,
            counted,
            formats: None,
        }
    }

    /// A cursor or portal, started if it was not.
    pub(super) async fn cursor(
        &mut self,
        name: &str,
    ) -> Result<(Cursor, Vec<Format>), ServerError> {
        let Some(portal) = self.portals.get_mut(name) else {
            return Err(super::no_cursor(name));
        };
        let formats = portal.formats.clone();
        let (cursor, state) = match std::mem::replace(&mut portal.state, PortalState::Finished) {
            PortalState::Running(rows, tag, counted) if !rows.is_broken().await => {
                let state = PortalState::Running(rows.clone(), tag.clone(), counted);
                (Cursor::Forward(rows), state)
            }
            PortalState::Scroll(scroll) if !scroll.is_broken().await => {
                let state = PortalState::Scroll(scroll.clone());
                (Cursor::Scroll(scroll), state)
            }
            PortalState::Planned(planned, parsed)
                if matches!(parsed.statement, Statement::Query(_)) =>
            {
                let rows = self.start(*planned).await?;
                let state = PortalState::Running(rows.clone(), "SELECT".into(), true);
                (Cursor::Forward(rows), state)
            }
            _ => return Err(cannot_be_run(name)),
        };
        if let Some(portal) = self.portals.get_mut(name) {
            portal.state = state;
        }
        Ok((cursor, formats))
    }

    /// Close of a statement; none of that name is no error.
    pub fn close_statement(&mut self, name: &str) {
        self.prepared.remove(name);
    }

    /// Close of a portal; none of that name is no error.
    pub fn close_portal(&mut self, name: &str) {
        self.portals.remove(name);
    }
}

/// Whether a type has no values here.
fn is_foreign(oid: u32) -> bool {
    let pg_type = PgType { oid, len: -1 };
    oid != 0 && PgType::scalar(oid).is_none() && pg_type.element().is_none()
}

/// 0 leaves the type open; a type we do not know arrives as text.
fn declared_type(oid: u32) -> PgType {
    if oid == 0 {
        return PgType::UNKNOWN;
    }
    PgType::scalar(oid).unwrap_or_else(|| {
        let array = PgType { oid, len: -1 };
        if array.element().is_some() {
            array
        } else {
            PgType::TEXT
        }
    })
}

fn cannot_be_run(name: &str) -> ServerError {
    ServerError::new("55000", format!("portal \"{name}\" cannot be run"))
}

fn no_portal(name: &str) -> ServerError {
    ServerError::new("34000", format!("portal \"{name}\" does not exist"))
}

/// The column of EXPLAIN.
fn lines_of(how: Explaining) -> Vec<Column> {
    let pg_type = match how.json {
        true => PgType::JSON,
        false => PgType::TEXT,
    };
    vec![Column::computed("QUERY PLAN", pg_type)]
}
