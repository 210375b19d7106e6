//! What statements read: a state of the lake as the session may see it, with its temporary relations beside.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::execution::context::SessionContext;
use genokura_sql_ext::Warnings;
use genokura_storage::CohortState;

use super::backend::Snapshot;
use super::plan::PlanContext;
use super::stop::Stop;
use super::temp::{self, TempState};
use super::whole_row::WholeRow;
use super::{
    DATABASE, Session, SessionInfo, bit_strings, catalog, kinds, modified, objects, planning,
    random_uuid, swapped, yielding,
};
use crate::clock::Clock;
use crate::made::{Made, bounding};
use crate::pgwire::encode::TextStyle;
use crate::roles::Authorised;
use crate::sqlstate::ServerError;

/// The context of a snapshot with the temporary relations in it.
pub(super) struct Overlaid {
    of: catalog::LazyModel,
    temporary: TempState,
    context: SessionContext,
    model: catalog::LazyModel,
}

/// A snapshot with the context over it, as one state of the roles lets the session see it.
#[derive(Clone)]
pub(super) struct Pinned {
    pub(super) authorised: Authorised,
    pub(super) snapshot: Snapshot,
    pub(super) context: SessionContext,
    pub(super) model: catalog::LazyModel,
    pub(super) cohorts: Arc<BTreeMap<String, CohortState>>,
}

impl Session {
    /// The context for the next statement: of the transaction, or of the newest snapshot.
    pub(super) async fn plan_context(&mut self) -> Result<PlanContext, ServerError> {
        let pinned = self.pin().await?;
        let (context, model) = self.overlay(&pinned);
        let temporary = self.temporary.clone();
        Ok(self.context_of(pinned, &context, model, temporary))
    }

    /// The context for a query over other temporary relations than the session has.
    pub(super) async fn context_over(
        &mut self,
        temporary: TempState,
    ) -> Result<PlanContext, ServerError> {
        let pinned = self.pin().await?;
        let schema = temp::schema_name(self.options.pid);
        let context = temp::with_temporary(&pinned.context, &schema, &temporary);
        Ok(self.context_of(pinned, &context, catalog::LazyModel::default(), temporary))
    }

    fn context_of(
        &mut self,
        pinned: Pinned,
        context: &SessionContext,
        model: catalog::LazyModel,
        temporary: TempState,
    ) -> PlanContext {
        let now = Clock::read();
        let clock = Clock {
            transaction: match &mut self.transaction {
                Some(transaction) => *transaction.time.get_or_insert(now),
                None => *self.shared.time.get_or_insert(now),
            },
            statement: now,
            ..self.settings.clock()
        };
        let stop = self.work().stop();
        let warnings = Warnings::default();
        let style = TextStyle {
            clock,
            ..self.settings.text_style()
        };
        let limits = pinned.authorised.limits();
        let memory_limit = [self.options.memory_limit, limits.memory_bytes];
        let memory_limit = memory_limit.into_iter().flatten().min();
        let made = Made::of(&context.runtime_env().memory_pool, memory_limit);
        let context = with_settings(context, style, (&stop, made), &warnings);
        let search_path = self.settings.search_path(&self.options.user);
        let catalog = context.catalog(DATABASE);
        let exists = |name: &String| {
            name == "pg_catalog"
                || catalog
                    .as_ref()
                    .is_some_and(|catalog| catalog.schema(name).is_some())
        };
        let schemas = search_path
            .iter()
            .filter(|name| exists(name))
            .cloned()
            .collect();
        let info = SessionInfo {
            user: self.options.user.clone(),
            pid: self.options.pid,
            search_path,
            schemas,
            temporary_schema: (!temporary.is_empty()).then(|| temp::schema_name(self.options.pid)),
            settings: self.settings.clone(),
            roles: self.roles.as_ref().map(|roles| roles.current()),
            authorised: pinned.authorised,
            sessions: self.sessions.clone(),
            voice: self.voice.clone(),
            cohorts: pinned.cohorts,
            prepared: self.prepared_facts(),
            portals: self.portal_facts(),
        };
        PlanContext {
            context,
            model,
            temporary,
            info: Arc::new(info),
            memory_limit,
            spill_limit: limits.spill_bytes,
            declared: Arc::new([]),
            stop,
            warnings,
        }
    }

    /// The context of a snapshot with the temporary relations in it, and the system catalog that shows both. They are
    /// others after each change of a temporary relation, so that plans over the old ones are not run again.
    fn overlay(&mut self, pinned: &Pinned) -> (SessionContext, catalog::LazyModel) {
        if self.temporary.is_empty() {
            self.overlaid = None;
            return (pinned.context.clone(), Arc::clone(&pinned.model));
        }
        let holds = |known: &&Overlaid| {
            Arc::ptr_eq(&known.of, &pinned.model) && known.temporary.is(&self.temporary)
        };
        if let Some(known) = self.overlaid.as_ref().filter(holds) {
            return (known.context.clone(), Arc::clone(&known.model));
        }
        let schema = temp::schema_name(self.options.pid);
        let context = temp::with_temporary(&pinned.context, &schema, &self.temporary);
        let model = catalog::LazyModel::default();
        self.overlaid = Some(Overlaid {
            of: Arc::clone(&pinned.model),
            temporary: self.temporary.clone(),
            context: context.clone(),
            model: Arc::clone(&model),
        });
        (context, model)
    }

    /// The state of the lake that the transaction reads, which its first statement pins: statements of a block, of a
    /// query string, and of a pipeline up to its Sync.
    pub(super) async fn pin(&mut self) -> Result<Pinned, ServerError> {
        let authorised = self.authorise()?;
        let pinned = match self.read_before().take() {
            Some(pinned) if pinned.authorised.sees_as(&authorised) => pinned,
            Some(pinned) => self.open(pinned.snapshot, authorised)?,
            None => {
                let snapshot = self.backend.snapshot().await?;
                let reusable = self.pinned.take().filter(|p| {
                    p.snapshot.version == snapshot.version && p.authorised.sees_as(&authorised)
                });
                let pinned = match reusable {
                    Some(pinned) => pinned,
                    None => self.open(snapshot, authorised)?,
                };
                self.pinned = Some(pinned.clone());
                pinned
            }
        };
        *self.read_before() = Some(pinned.clone());
        Ok(pinned)
    }

    /// The state that earlier statements of the transaction read.
    fn read_before(&mut self) -> &mut Option<Pinned> {
        match &mut self.transaction {
            Some(transaction) => &mut transaction.pinned,
            None => &mut self.shared.pinned,
        }
    }

    /// The next statement reads the newest state, for this one wrote it.
    pub(super) fn read_anew(&mut self) {
        *self.read_before() = None;
    }

    /// A context over a snapshot.
    fn open(&self, snapshot: Snapshot, authorised: Authorised) -> Result<Pinned, ServerError> {
        let context = self.backend.restricted(&snapshot, &authorised.access)?;
        let context = yielding::yielding(&swapped::filtering_below(&context));
        let context = planning::stoppable(&bounding(&context));
        kinds::register(&context);
        bit_strings::register(&context);
        random_uuid::register(&context);
        objects::register(&context);
        modified::register(&context);
        temp::register(&context, &TempState::default());
        context.register_udf(WholeRow::default().into());
        Ok(Pinned {
            authorised,
            cohorts: self.backend.cohorts(&snapshot),
            snapshot,
            context,
            model: catalog::LazyModel::default(),
        })
    }
}

/// The context with the session's settings, its own copy of the state.
fn with_settings(
    context: &SessionContext,
    style: TextStyle,
    (stop, made): (&Stop, Made),
    warnings: &Warnings,
) -> SessionContext {
    let mut state = context.state();
    let options = state.config_mut().options_mut();
    // Instants are in UTC inside the engine; the clock shows them in the session's zone.
    options.execution.time_zone = Some("UTC".to_owned());
    options.extensions.insert(style);
    options.extensions.insert(stop.clone());
    options.extensions.insert(made);
    options.extensions.insert(warnings.clone());
    options.sql_parser.enable_ident_normalization = true;
    // Who sees an order decides whether it is dropped (orders.rs).
    options.sql_parser.enable_subquery_sort_elimination = false;
    options.sql_parser.support_varchar_with_length = true;
    DATABASE.clone_into(&mut options.catalog.default_catalog);
    SessionContext::new_with_state(state)
}
