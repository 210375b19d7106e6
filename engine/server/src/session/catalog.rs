//! Routing to the system catalog: which statements it answers, and its tables for joins with data.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Float32Array, Float64Array, Int16Array, Int32Array,
    Int64Array, StringArray, StructArray, UInt32Array,
};
use arrow::datatypes::{Field, Fields, Schema};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::catalog::{
    CatalogProvider, MemoryCatalogProvider, MemorySchemaProvider, SchemaProvider,
};
use datafusion::datasource::MemTable;
use datafusion::sql::sqlparser::ast;
use genokura_exec::AccessContext;
use tokio::sync::OnceCell;

use super::plan::{PlanContext, Planned};
use super::rewrite::Relations;
use super::{DATABASE, PortalFacts, PreparedFacts, SessionInfo, rewrite, statement};
use crate::clock;
use crate::limits::QueryPool;
use crate::pg_catalog::{
    self, CatalogColumn, CatalogError, CatalogModel, CatalogResult, RelationOids, Rights, Value,
};
use crate::pg_types::PgType;
use crate::pgwire::column::Column;
use crate::pgwire::encode::TextStyle;
use crate::sqlstate::ServerError;

mod by_engine;

/// The DataFusion catalog that holds copies of system relations while a statement joins them.
pub(super) const SYSTEM: &str = "genokura_system";

/// The catalog of one snapshot, built when the first statement asks for it.
pub(super) type LazyModel = Arc<LazyCatalog>;

/// What is built of a snapshot's catalog, each when it is first asked for.
#[derive(Default)]
pub(super) struct LazyCatalog {
    model: OnceCell<Arc<CatalogModel>>,
    oids: OnceLock<RelationOids>,
}

/// The OIDs of the relations that a session sees: those of its catalog.
pub(super) fn relation_oids(context: &PlanContext) -> &RelationOids {
    let build = || RelationOids::from_context(&context.context, DATABASE);
    context.model.oids.get_or_init(build)
}

/// Whether the catalog evaluator answers the statement: it reads catalog relations only, or no
/// relation at all and something that only the catalog knows.
///
/// # Errors
/// None today; building the model may report its own later.
pub(crate) async fn answers(
    context: &PlanContext,
    relations: &Relations,
    statement: &ast::Statement,
) -> Result<bool, ServerError> {
    if relations.lake > 0 || (relations.catalog.is_empty() && !relations.foreign) {
        return Ok(false);
    }
    // Values that the evaluator has not got as the engine has them.
    if relations.catalog.is_empty() && !relations.of_catalog && by_engine::computes(statement) {
        return Ok(false);
    }
    let model = model(context).await;
    Ok(pg_catalog::is_catalog_query(
        statement,
        &context.info.search_path,
        &model,
    ))
}

pub(super) async fn model(context: &PlanContext) -> Arc<CatalogModel> {
    let build = || async {
        let own: BTreeSet<&str> = genokura_sql_ext::functions()
            .iter()
            .map(|doc| doc.name)
            .collect();
        let own = |name: &str| own.contains(name);
        let mut model = CatalogModel::from_context(&context.context, DATABASE, &own).await;
        add_roles(&mut model, &context.info);
        if let Some(schema) = &context.info.temporary_schema {
            for (name, facts) in context.temporary.facts() {
                model.set_own(schema, name, facts);
            }
        }
        for (name, value) in context.info.settings.all() {
            model.add_setting(name, &value, "");
        }
        Arc::new(model)
    };
    Arc::clone(context.model.model.get_or_init(build).await)
}

/// The roles that the session may know of: itself, all for an admin, and the one that owns what nobody made.
fn add_roles(model: &mut CatalogModel, info: &SessionInfo) {
    let Some(own) = &info.authorised.role else {
        return model.add_role(&info.user, false, true);
    };
    model.add_role(DATABASE, true, false);
    let public = info.authorised.public.as_ref();
    model.set_public(Rights {
        granted: public.access(),
        cohorts: public.cohorts,
    });
    let others = info
        .roles
        .iter()
        .filter(|_| own.admin)
        .flat_map(|roles| roles.iter());
    for role in [own].into_iter().chain(others) {
        model.add_role(&role.name, role.admin, true);
        if role.admin {
            continue;
        }
        let owning = |access: AccessContext| {
            let cohorts = info.cohorts.iter();
            access.owning(cohorts.map(|(name, state)| (name.as_str(), state)))
        };
        let all = Rights {
            granted: owning(role.access(public)),
            cohorts: role.cohorts || public.cohorts,
        };
        let own = Rights {
            granted: owning(role.granted()),
            cohorts: role.cohorts,
        };
        model.set_rights(&role.name, all, own);
    }
}

/// Sets its flag when the statement that owns it is dropped.
struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs a catalog statement.
///
/// # Errors
/// As the catalog evaluator reports them.
pub(crate) async fn execute(
    context: &PlanContext,
    statement: &ast::Statement,
) -> Result<Planned, ServerError> {
    if let Some(pause) = pause(statement)? {
        tokio::time::sleep(pause).await;
    }
    let result = run(context, statement.clone()).await?;
    let columns = result.columns.iter().map(column).collect();
    let style = context.info.settings.text_style();
    Ok(Planned::Ready {
        columns,
        batch: batch(&result, false, &style)?,
    })
}

/// How long the calls of `pg_sleep` in a statement last together; they are waited for before it runs, so that none of
/// the threads that read the lake sleeps.
///
/// # Errors
/// 0A000 for a length that is no constant, or a call for each row of a relation.
fn pause(statement: &ast::Statement) -> Result<Option<Duration>, ServerError> {
    let mut seconds = None;
    let flow = ast::visit_expressions(statement, |expr| {
        let ast::Expr::Function(function) = expr else {
            return ControlFlow::Continue(());
        };
        if !rewrite::is_call_of(function, "pg_sleep") {
            return ControlFlow::Continue(());
        }
        let arguments = rewrite::call_arguments(function);
        let length = match arguments.as_slice() {
            [length] => rewrite::constant(length).and_then(|text| text.trim().parse::<f64>().ok()),
            _ => None,
        };
        match length {
            Some(length) => seconds = Some(seconds.unwrap_or(0.0) + length.max(0.0)),
            None => {
                let text = "pg_sleep of anything but a constant";
                return ControlFlow::Break(ServerError::unsupported(text));
            }
        }
        ControlFlow::Continue(())
    });
    if let ControlFlow::Break(error) = flow {
        return Err(error);
    }
    let Some(seconds) = seconds else {
        return Ok(None);
    };
    let reads = ast::visit_relations(statement, |_| ControlFlow::Break(())).is_break();
    if reads {
        let text = "pg_sleep for each row of a relation";
        return Err(ServerError::unsupported(text));
    }
    // Longer than any session lives.
    let longest = Duration::from_secs(1 << 31);
    let pause = Duration::try_from_secs_f64(seconds).unwrap_or(longest);
    Ok(Some(pause.min(longest)))
}

async fn run(
    context: &PlanContext,
    statement: ast::Statement,
) -> Result<CatalogResult, ServerError> {
    let model = model(context).await;
    let cancelled = Arc::new(AtomicBool::new(false));
    let _guard = CancelOnDrop(Arc::clone(&cancelled));
    let mut session = session_info(&context.info, cancelled);
    let pool = Arc::clone(&context.context.runtime_env().memory_pool);
    session.memory = Some(match context.memory_limit {
        Some(limit) => Arc::new(QueryPool::new(pool, limit)),
        None => pool,
    });
    let work = move || pg_catalog::execute(&model, &session, &statement, &[]);
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(ServerError::from),
        Err(_) => Err(ServerError::internal(
            "the catalog query ran into a bug of the server",
        )),
    }
}

/// Parameter types and columns of a catalog statement, without running it.
///
/// # Errors
/// As the catalog evaluator reports them.
pub(crate) async fn describe(
    context: &PlanContext,
    statement: &ast::Statement,
    declared: &[PgType],
) -> Result<(Vec<PgType>, Vec<Column>), ServerError> {
    let model = model(context).await;
    let session = session_info(&context.info, Arc::default());
    let declared: Vec<u32> = declared
        .iter()
        .map(|declared| {
            if *declared == PgType::UNKNOWN {
                0
            } else {
                declared.oid
            }
        })
        .collect();
    let described = pg_catalog::describe(&model, &session, statement, &declared)?;
    let known = |oid: u32| {
        let array = PgType { oid, len: -1 };
        PgType::scalar(oid)
            .or_else(|| array.element().map(|_| array))
            .unwrap_or(PgType::TEXT)
    };
    let parameters = described.parameters.into_iter().map(known).collect();
    Ok((parameters, described.columns.iter().map(column).collect()))
}

pub(super) fn session_info(
    info: &SessionInfo,
    cancelled: Arc<AtomicBool>,
) -> pg_catalog::SessionInfo {
    let settings: BTreeMap<String, String> = info
        .settings
        .all()
        .into_iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value))
        .chain(
            info.settings
                .own()
                .chain(info.settings.unlisted())
                .map(|(name, value)| (name.to_owned(), value.to_owned())),
        )
        .collect();
    let resets = info.settings.all().into_iter().map(|(name, _)| {
        let (reset, default) = info.settings.reset_of(name);
        (name.to_ascii_lowercase(), (reset, default.to_owned()))
    });
    pg_catalog::SessionInfo {
        resets: resets.collect(),
        user: info.user.clone(),
        search_path: info.relation_path(),
        settings,
        style: info.settings.text_style(),
        backend_pid: info.pid,
        server_started: clock::started(),
        activity: info
            .sessions
            .as_ref()
            .map(|sessions| sessions.activity(&info.user, info.authorised.is_admin()))
            .unwrap_or_default(),
        notify: {
            let voice = info.voice.clone();
            let say = move |channel: &str, payload: &str| {
                let said = voice.say(channel, payload);
                said.map_err(|error| CatalogError::of(&error))
            };
            Some(Arc::new(say))
        },
        heard: info.voice.heard(),
        signal: info.sessions.as_ref().map(|sessions| {
            let (sessions, user) = (Arc::clone(sessions), info.user.clone());
            let admin = info.authorised.is_admin();
            let signal = move |pid, terminate| sessions.signal(pid, terminate, &user, admin);
            Arc::new(signal) as pg_catalog::Signal
        }),
        prepared: info.prepared.iter().map(|p| prepared(p)).collect(),
        cursors: info.portals.iter().map(|p| open_cursor(p)).collect(),
        // The session applies constant calls of set_config before the statement runs.
        set_config: Some(Arc::new(|_, value, _| Ok(value.to_owned()))),
        cancelled: Some(cancelled),
        memory: None,
    }
}

fn prepared(facts: &PreparedFacts) -> pg_catalog::PreparedStatement {
    pg_catalog::PreparedStatement {
        name: facts.name.clone(),
        statement: facts.statement.to_string(),
        prepared: facts.prepared,
        parameters: facts.parameters.clone(),
        results: facts.results.clone(),
        from_sql: facts.from_sql,
        generic_plans: facts.generic_plans.load(Ordering::Relaxed),
        custom_plans: facts.custom_plans.load(Ordering::Relaxed),
    }
}

fn open_cursor(facts: &PortalFacts) -> pg_catalog::OpenCursor {
    pg_catalog::OpenCursor {
        name: facts.name.clone(),
        statement: facts.statement.to_string(),
        holdable: facts.options.hold,
        binary: facts.options.binary,
        scrollable: facts.options.scroll,
        created: facts.created,
    }
}

impl From<CatalogError> for ServerError {
    fn from(error: CatalogError) -> ServerError {
        let mut server = ServerError::new(error.sqlstate, error.message);
        if let Some(detail) = error.detail {
            server = server.detail(detail);
        }
        if let Some(hint) = error.hint {
            server = server.hint(hint);
        }
        match error.position {
            Some((line, column)) => server.at(line, column),
            None => server,
        }
    }
}

fn column(column: &CatalogColumn) -> Column {
    let pg_type = PgType {
        oid: column.type_oid,
        len: column.type_len,
    };
    let (table_oid, attnum) = column.origin.unwrap_or_default();
    Column {
        table_oid,
        attnum,
        typmod: column.typmod,
        ..Column::computed(column.name.clone(), pg_type)
    }
}

/// The rows as a batch. Plain types become Arrow's; of the others both wire forms are kept, or
/// their text when `plain` is asked for.
fn batch(
    result: &CatalogResult,
    plain: bool,
    style: &TextStyle,
) -> Result<RecordBatch, ServerError> {
    let arrays: Vec<ArrayRef> = (0..result.columns.len())
        .map(|at| array(result, at, plain, style))
        .collect();
    let fields: Vec<Field> = result
        .columns
        .iter()
        .zip(&arrays)
        .map(|(column, array)| Field::new(column.name.clone(), array.data_type().clone(), true))
        .collect();
    let options = RecordBatchOptions::new().with_row_count(Some(result.rows.len()));
    Ok(RecordBatch::try_new_with_options(
        Arc::new(Schema::new(fields)),
        arrays,
        &options,
    )?)
}

fn array(result: &CatalogResult, at: usize, plain: bool, style: &TextStyle) -> ArrayRef {
    let oid = result.columns.get(at).map_or(25, |column| column.type_oid);
    let values = || {
        result
            .rows
            .iter()
            .map(move |row| row.get(at).unwrap_or(&Value::Null))
    };
    let texts = || {
        values()
            .map(|value| value.to_text(oid, style))
            .collect::<StringArray>()
    };
    match oid {
        16 => Arc::new(values().map(boolean).collect::<BooleanArray>()),
        21 => Arc::new(values().map(integer::<i16>).collect::<Int16Array>()),
        23 => Arc::new(values().map(integer::<i32>).collect::<Int32Array>()),
        20 => Arc::new(values().map(integer::<i64>).collect::<Int64Array>()),
        26 | 28 => Arc::new(values().map(integer::<u32>).collect::<UInt32Array>()),
        #[expect(clippy::cast_possible_truncation, reason = "a float4 kept as f64")]
        700 => Arc::new(
            values()
                .map(|v| float(v).map(|f| f as f32))
                .collect::<Float32Array>(),
        ),
        701 => Arc::new(values().map(float).collect::<Float64Array>()),
        18 | 19 | 25 | 114 | 194 | 1042 | 1043 => Arc::new(texts()),
        _ if plain => Arc::new(texts()),
        _ => {
            let text: ArrayRef = Arc::new(texts());
            let forms: Vec<Option<Vec<u8>>> = values().map(|v| v.to_binary(oid)).collect();
            let binary: ArrayRef = Arc::new(
                forms
                    .iter()
                    .map(|form| form.as_deref())
                    .collect::<BinaryArray>(),
            );
            let nulls = text.logical_nulls();
            let fields = Fields::from(crate::pgwire::encode::two_forms());
            Arc::new(StructArray::new(fields, vec![text, binary], nulls))
        }
    }
}

fn boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(on) => Some(*on),
        _ => None,
    }
}

fn integer<T: TryFrom<i64>>(value: &Value) -> Option<T> {
    match value {
        Value::Int(number) => T::try_from(*number).ok(),
        _ => None,
    }
}

fn float(value: &Value) -> Option<f64> {
    match value {
        Value::Float(number) => Some(*number),
        _ => None,
    }
}

/// Makes copies of catalog relations visible to DataFusion, for statements that join them with
/// data or call functions the catalog does not have.
///
/// # Errors
/// 42P01 for a relation the catalog does not have.
pub(crate) async fn materialise(
    context: &PlanContext,
    relations: &BTreeSet<String>,
) -> Result<(), ServerError> {
    let system = MemoryCatalogProvider::new();
    for name in ["pg_catalog", "information_schema"] {
        let schema = MemorySchemaProvider::new();
        for table in relations
            .iter()
            .filter_map(|r| r.strip_prefix(name)?.strip_prefix('.'))
        {
            let sql = format!("SELECT * FROM {name}.\"{}\"", table.replace('"', "\"\""));
            let Some(parsed) = statement::parse(&sql)?.pop() else {
                continue;
            };
            let statement::Statement::Query(query) = parsed.statement else {
                continue;
            };
            let style = context.info.settings.text_style();
            let rows = batch(&run(context, *query).await?, true, &style)?;
            let copy = MemTable::try_new(rows.schema(), vec![vec![rows]])?;
            schema.register_table(table.to_owned(), Arc::new(copy))?;
        }
        system.register_schema(name, Arc::new(schema))?;
    }
    context.context.register_catalog(SYSTEM, Arc::new(system));
    Ok(())
}
