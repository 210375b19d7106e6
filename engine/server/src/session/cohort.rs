//! Cohorts: named sets of samples, of the session or kept in the lake.
//!
//! ```text
//! CREATE COHORT cases AS SELECT sample_id …       run as the session, so that it names nobody whom it does not see
//!   ─► every name is a sample that the session sees, once ─► a table of one column ─► lake commit, or TempTable
//! gt_allele_frequency(gt, 'cases'), cohort('cases')
//!   ─► the samples of the table as the session sees it now ─► ARRAY['S1', …], a constant of the plan
//! ```
//! A cohort of the lake is written whole by one lake commit, which no transaction takes back: these statements are
//! refused inside of transaction blocks, and before other statements of a query string or pipeline, which may fail. A
//! sample that is hidden from the session looks like one that never was.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::array::{AsArray as _, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::TableReference;
use datafusion::datasource::TableType;
use datafusion::prelude::col;
use datafusion::sql::sqlparser::ast::{self, Expr};
use futures::TryStreamExt as _;
use genokura_sql_ext::name_list;
use genokura_storage::{COHORT_COLUMN, COHORT_SCHEMA, CohortState, CommitOutcome};

use super::plan::PlanContext;
use super::rewrite::{self, constant};
use super::statement::cohort::CohortCommand;
use super::statement::long_lists;
use super::statement::temp::{Name, is_temp_schema};
use super::{DATABASE, Outcome, Session, params};
use crate::pg_catalog::parse_array;
use crate::pg_types::PgType;
use crate::sqlstate::{ServerError, Severity, nearest};

/// The samples that somebody sees, and those that a cohort has so far.
pub(super) struct Members {
    known: BTreeSet<String>,
    /// They are of this many datasets, those that name their samples to whoever asks.
    datasets: usize,
    pub(super) names: BTreeSet<String>,
}

impl Members {
    /// Takes the names of a column.
    ///
    /// # Errors
    /// 22023 for a name of no sample that the session sees.
    pub(super) fn add(&mut self, batch: &RecordBatch) -> Result<(), ServerError> {
        for name in batch.column(0).as_string::<i32>().iter().flatten() {
            if self.names.contains(name) {
                continue;
            }
            if !self.known.contains(name) {
                return Err(self.unknown(name));
            }
            self.names.insert(name.to_owned());
        }
        Ok(())
    }

    fn unknown(&self, name: &str) -> ServerError {
        let text = format!("\"{name}\" is not a sample of any dataset");
        let error = ServerError::new("22023", text);
        if self.datasets == 0 {
            return error.hint(
                "No dataset names its samples to you: that is the right to read sample_id of samples, calls or carriers, or gt of variants.",
            );
        }
        match nearest(name, self.known.iter().map(String::as_str)) {
            Some(known) => error.hint(format!("Did you mean \"{known}\"?")),
            None => error.hint(
                "A cohort is of samples of a dataset: join its table samples to leave the others out.",
            ),
        }
    }

    /// The names as a batch of a cohort.
    ///
    /// # Errors
    /// Never for these columns; the signature follows Arrow's.
    pub(super) fn batch(&self) -> Result<RecordBatch, ServerError> {
        let names = StringArray::from_iter_values(&self.names);
        Ok(RecordBatch::try_new(schema(), vec![Arc::new(names)])?)
    }
}

/// Whether a table has the column that a cohort is read from.
pub(super) fn has_samples(schema: &Schema) -> bool {
    schema.index_of(COHORT_COLUMN).is_ok()
}

/// The columns of a cohort of the session.
pub(super) fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new(
        COHORT_COLUMN,
        DataType::Utf8,
        false,
    )]))
}

impl Session {
    /// Runs a statement about cohorts.
    ///
    /// # Errors
    /// 42501 for whoever may not keep cohorts in the lake, before anything is looked up.
    pub(super) async fn cohort(
        &mut self,
        command: &CohortCommand,
        arguments: &[Expr],
    ) -> Result<Outcome, ServerError> {
        match command {
            CohortCommand::Create {
                name,
                temporary: true,
                or_replace,
                if_not_exists,
                query,
            } => {
                if let Some(exists) = self.new_cohort(name, *or_replace, *if_not_exists)? {
                    return Ok(exists);
                }
                let members = self.members_of(&name.name, query, arguments).await?;
                self.put_temporary_cohort(&name.name, &members).await?;
                Ok(Outcome::done("CREATE COHORT"))
            }
            CohortCommand::Create {
                name,
                or_replace,
                if_not_exists,
                query,
                ..
            } => {
                self.may_keep_cohorts()?;
                check_name(name)?;
                if let Some(exists) = self
                    .kept_already(&name.name, *or_replace, *if_not_exists)
                    .await?
                {
                    return Ok(exists);
                }
                let members = self.members_of(&name.name, query, arguments).await?;
                self.keep_cohort(&name.name, &members.names).await?;
                Ok(Outcome::done("CREATE COHORT"))
            }
            CohortCommand::Drop {
                names,
                if_exists,
                cascade,
            } => self.drop_cohorts(names, *if_exists, *cascade).await,
        }
    }

    /// 42501 for a role without the right; 25001 where what follows may fail.
    fn may_keep_cohorts(&mut self) -> Result<(), ServerError> {
        let who = self.authorise()?;
        if !who.keeps_cohorts {
            let text = format!("permission denied for schema {COHORT_SCHEMA}");
            return Err(ServerError::new("42501", text)
                .detail("The role may not keep cohorts in the lake.")
                .hint("A cohort of the session needs no right: CREATE TEMP COHORT."));
        }
        self.must_come_last("CREATE COHORT")
    }

    /// 25001: the lake takes no change back.
    fn must_come_last(&self, what: &str) -> Result<(), ServerError> {
        self.must_be_last(what).map_err(|error| {
            error.hint("The lake takes no change back. CREATE TEMP COHORT works everywhere.")
        })
    }

    /// Whether a cohort of the lake may get this name; an outcome when one is there and that is well.
    async fn kept_already(
        &mut self,
        name: &str,
        or_replace: bool,
        if_not_exists: bool,
    ) -> Result<Option<Outcome>, ServerError> {
        let kept = self.kept_cohorts().await?;
        let Some(state) = kept.get(name) else {
            return Ok(None);
        };
        if or_replace {
            self.must_own(name, state)?;
            return Ok(None);
        }
        let text = format!("relation \"{name}\" already exists");
        if !if_not_exists {
            return Err(ServerError::new("42P07", text));
        }
        let notice = ServerError::new("42P07", format!("{text}, skipping"));
        Ok(Some(Outcome::Done {
            tag: "CREATE COHORT".to_owned(),
            warning: Some(notice.severity(Severity::Notice)),
        }))
    }

    fn must_own(&mut self, name: &str, state: &CohortState) -> Result<(), ServerError> {
        let who = self.authorise()?;
        if who.is_admin() || state.owner == self.options.user {
            return Ok(());
        }
        Err(ServerError::new("42501", format!("must be owner of cohort {name}")).near(name))
    }

    /// The cohorts that the lake keeps now, whoever may read them.
    async fn kept_cohorts(&mut self) -> Result<Arc<BTreeMap<String, CohortState>>, ServerError> {
        let pinned = self.pin().await?;
        Ok(pinned.cohorts)
    }

    /// The samples that the session sees now, and none of them taken yet.
    pub(super) async fn members(&mut self) -> Result<Members, ServerError> {
        let pinned = self.pin().await?;
        let backend = Arc::clone(&self.backend);
        let all = self.spawn(async move {
            let access = &pinned.authorised.access;
            backend.samples(&pinned.snapshot, access).await
        });
        let all = all.await?;
        Ok(Members {
            datasets: all.len(),
            known: all.into_values().flatten().collect(),
            names: BTreeSet::new(),
        })
    }

    /// The samples that a query gives.
    async fn members_of(
        &mut self,
        name: &str,
        query: &ast::Statement,
        arguments: &[Expr],
    ) -> Result<Members, ServerError> {
        let planned = self.plan(query, arguments).await?;
        if planned.columns().len() != 1 {
            let text = format!(
                "a cohort has one column, {COHORT_COLUMN}; the query gives {}",
                planned.columns().len()
            );
            return Err(ServerError::syntax(text, None));
        }
        let members = self.members().await?;
        self.take_samples(name, planned, members).await
    }

    /// Writes a cohort to the lake.
    async fn keep_cohort(
        &mut self,
        name: &str,
        members: &BTreeSet<String>,
    ) -> Result<(), ServerError> {
        let pinned = self.pin().await?;
        let known = pinned.cohorts.get(name).cloned();
        let state = known.unwrap_or_else(|| CohortState {
            owner: self.options.user.clone(),
            created: chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Micros, true),
        });
        let (backend, name, members) =
            (Arc::clone(&self.backend), name.to_owned(), members.clone());
        let written = self.spawn(async move {
            let outcome = backend
                .put_cohort(&pinned.snapshot, &name, state, &members)
                .await?;
            landed(outcome, &name)
        });
        written.await?;
        self.read_anew();
        Ok(())
    }

    async fn drop_cohorts(
        &mut self,
        names: &[Name],
        if_exists: bool,
        cascade: bool,
    ) -> Result<Outcome, ServerError> {
        let own = |name: &&Name| self.is_temporary(name);
        let (own, others): (Vec<&Name>, Vec<&Name>) = names.iter().partition(own);
        let own: Vec<Name> = own.into_iter().cloned().collect();
        let mut gone = BTreeSet::new();
        let mut skipped = Vec::new();
        if !others.is_empty() {
            let kept = self.kept_cohorts().await?;
            let readable = readable(&self.plan_context().await?);
            for name in others {
                let found = kept
                    .get(&name.name)
                    .filter(|_| in_cohorts(name) && readable.contains(&name.name));
                let Some(state) = found else {
                    let text = format!("cohort \"{}\" does not exist", name.name);
                    if !if_exists {
                        return Err(nearest_of(&name.name, text, &readable));
                    }
                    skipped.push(format!("{text}, skipping"));
                    continue;
                };
                self.must_own(&name.name, state)?;
                gone.insert(name.name.clone());
            }
        }
        if !gone.is_empty() {
            self.must_come_last("DROP COHORT")?;
            self.drop_kept(gone).await?;
        }
        if !own.is_empty() {
            self.drop_temporary_cohorts(&own, cascade).await?;
        }
        let warning = (!skipped.is_empty())
            .then(|| ServerError::new("00000", skipped.join("; ")).severity(Severity::Notice));
        Ok(Outcome::Done {
            tag: "DROP COHORT".to_owned(),
            warning,
        })
    }

    /// Takes cohorts out of the lake, whosever they are.
    pub(super) async fn drop_kept(&mut self, names: BTreeSet<String>) -> Result<(), ServerError> {
        let Some(first) = names.first().cloned() else {
            return Ok(());
        };
        let (pinned, backend) = (self.pin().await?, Arc::clone(&self.backend));
        let written = self.spawn(async move {
            let outcome = backend.drop_cohorts(&pinned.snapshot, names).await?;
            landed(outcome, &first)
        });
        written.await?;
        self.read_anew();
        Ok(())
    }

    /// The cohorts of the lake that belong to one of these roles, with their owners.
    pub(super) async fn owned_by(
        &mut self,
        roles: &[String],
    ) -> Result<BTreeMap<String, CohortState>, ServerError> {
        let kept = self.kept_cohorts().await?;
        let owned = kept
            .iter()
            .filter(|(_, state)| roles.contains(&state.owner));
        Ok(owned
            .map(|(name, state)| (name.clone(), state.clone()))
            .collect())
    }

    /// Gives a cohort of the lake to another role.
    pub(super) async fn give_cohort(
        &mut self,
        name: &str,
        state: CohortState,
    ) -> Result<(), ServerError> {
        let (pinned, backend) = (self.pin().await?, Arc::clone(&self.backend));
        let name = name.to_owned();
        let written = self.spawn(async move {
            let members = backend.cohort_members(&pinned.snapshot, &name).await?;
            let outcome = backend
                .put_cohort(&pinned.snapshot, &name, state, &members)
                .await?;
            landed(outcome, &name)
        });
        written.await?;
        self.read_anew();
        Ok(())
    }

    /// Whether the lake keeps a cohort of this name that the session may read, and may write.
    ///
    /// # Errors
    /// 42501 when it is of somebody else; 25001 where what follows may fail.
    pub(super) async fn is_kept_cohort(&mut self, name: &Name) -> Result<bool, ServerError> {
        if !in_cohorts(name) {
            return Ok(false);
        }
        let kept = self.kept_cohorts().await?;
        let Some(state) = kept.get(&name.name) else {
            return Ok(false);
        };
        if !readable(&self.plan_context().await?).contains(&name.name) {
            return Ok(false);
        }
        self.must_own(&name.name, state)?;
        self.must_come_last("COPY FROM a client into a cohort of the lake")?;
        Ok(true)
    }

    /// Adds samples to a cohort of the lake.
    pub(super) async fn add_to_kept_cohort(
        &mut self,
        name: &str,
        mut members: BTreeSet<String>,
    ) -> Result<(), ServerError> {
        let pinned = self.pin().await?;
        members.extend(self.backend.cohort_members(&pinned.snapshot, name).await?);
        self.keep_cohort(name, &members).await
    }
}

fn landed(outcome: CommitOutcome, name: &str) -> Result<(), ServerError> {
    match outcome {
        CommitOutcome::Committed(_) => Ok(()),
        CommitOutcome::Conflict { .. } => {
            let text = format!("cohort \"{name}\" was changed by another session");
            Err(ServerError::new("40001", text).hint("Run it again."))
        }
    }
}

/// Whether a name without a schema, or of this one, can be that of a cohort of the lake.
fn in_cohorts(name: &Name) -> bool {
    name.schema
        .as_deref()
        .is_none_or(|schema| schema == COHORT_SCHEMA)
}

fn check_name(name: &Name) -> Result<(), ServerError> {
    if !in_cohorts(name) {
        let text = format!("cohorts are kept in schema {COHORT_SCHEMA} only");
        return Err(ServerError::unsupported(text).hint(format!(
            "Write CREATE COHORT {}, without a schema.",
            name.name
        )));
    }
    if name.name.starts_with("pg_") {
        let text = format!("unacceptable cohort name \"{}\"", name.name);
        let detail = "The prefix \"pg_\" is reserved for system relations.";
        return Err(ServerError::new("42939", text)
            .detail(detail)
            .near(&name.name));
    }
    genokura_storage::layout::check_name("cohort", &name.name)
        .map_err(|error| ServerError::new("42602", error.to_string()).near(&name.name))
}

/// The cohorts of the lake that the session may read.
fn readable(context: &PlanContext) -> BTreeSet<String> {
    let catalog = context.context.catalog(DATABASE);
    let schema = catalog.and_then(|catalog| catalog.schema(COHORT_SCHEMA));
    let names = schema.map(|schema| schema.table_names());
    names.into_iter().flatten().collect()
}

fn nearest_of(name: &str, text: String, known: &BTreeSet<String>) -> ServerError {
    let error = ServerError::new("42704", text).near(name);
    match nearest(name, known.iter().map(String::as_str)) {
        Some(known) => error.hint(format!("Did you mean \"{known}\"?")),
        None => error.hint("SELECT name FROM genokura.cohorts lists those of the lake."),
    }
}

/// The function that gives a cohort's samples.
const COHORT: &str = "cohort";

/// The name of the cohort that an expression names: `cohort('cases')`, or the cohort of a function of `gt`.
fn named(expr: &Expr) -> Option<String> {
    let Expr::Function(function) = expr else {
        return None;
    };
    let [name] = function.name.0.as_slice() else {
        return None;
    };
    if !name.as_ident()?.value.eq_ignore_ascii_case(COHORT) {
        return None;
    }
    match rewrite::call_arguments(function).as_slice() {
        [one] => constant(one),
        _ => None,
    }
}

/// Whether a statement calls `cohort` with something else than a constant.
pub(super) fn waits_for_values(statement: &ast::Statement) -> bool {
    let flow = ast::visit_expressions(statement, |expr| match expr {
        Expr::Function(function)
            if rewrite::is_call_of(function, COHORT) && named(expr).is_none() =>
        {
            ControlFlow::Break(())
        }
        _ => ControlFlow::Continue(()),
    });
    flow.is_break()
}

/// The parameters that stand as the cohort of a function of `gt`: lists of samples.
pub(super) fn parameters(statement: &ast::Statement) -> Vec<usize> {
    let mut found = Vec::new();
    let _: ControlFlow<()> = ast::visit_expressions(statement, |expr| {
        if let Expr::Function(function) = expr
            && let [name] = function.name.0.as_slice()
            && let Some(word) = name.as_ident()
            && let Some(place) = genokura_sql_ext::cohort_argument(&word.value.to_ascii_lowercase())
            && let Some(argument) = rewrite::call_arguments(function).get(place)
        {
            found.extend(params::placeholder(argument));
        }
        ControlFlow::Continue(())
    });
    found
}

/// Turns the cohort of a function of `gt` that is given as a text, as in `gt_allele_count(gt, 'cases')`, into a call of
/// `cohort`. A text in braces is an array as it always was.
fn named_by_text(statement: &mut ast::Statement) {
    let _: ControlFlow<()> = ast::visit_expressions_mut(statement, |expr| {
        if let Expr::Function(function) = expr
            && let [name] = function.name.0.as_slice()
            && let Some(word) = name.as_ident()
            && let Some(place) = genokura_sql_ext::cohort_argument(&word.value.to_ascii_lowercase())
            && let Some(argument) = rewrite::call_argument_mut(function, place)
            && let Some(text) = rewrite::string_literal(argument)
            && !text.trim_start().starts_with('{')
        {
            *argument = rewrite::call(COHORT, argument.clone());
        }
        ControlFlow::Continue(())
    });
}

/// Puts the samples of cohorts into a statement, in the place of their names.
///
/// # Errors
/// 42704 with the nearest name.
pub(super) async fn substitute(
    context: &PlanContext,
    statement: &mut ast::Statement,
) -> Result<(), ServerError> {
    named_by_text(statement);
    let mut samples = BTreeMap::new();
    let _: ControlFlow<()> = ast::visit_expressions(statement, |expr| {
        samples.extend(named(expr).map(|name| (name, Expr::value(ast::Value::Null))));
        ControlFlow::Continue(())
    });
    for (name, value) in &mut samples {
        *value = array(&samples_of(context, name).await?)?;
    }
    let flow = ast::visit_expressions_mut(statement, |expr| {
        if let Some(value) = named(expr).and_then(|name| samples.get(&name)) {
            *expr = value.clone();
        }
        match long_list(expr) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    });
    flow.break_value().map_or(Ok(()), Err)
}

/// Writes the cohort of a function of `gt` as a [list of names](genokura_sql_ext::name_list): one that is a text of an
/// array, and one of many names.
fn long_list(expr: &mut Expr) -> Result<(), ServerError> {
    let Expr::Function(function) = expr else {
        return Ok(());
    };
    let place = match function.name.0.as_slice() {
        [name] => name
            .as_ident()
            .and_then(|word| genokura_sql_ext::cohort_argument(&word.value.to_ascii_lowercase())),
        _ => None,
    };
    let Some(argument) = place.and_then(|place| rewrite::call_argument_mut(function, place)) else {
        return Ok(());
    };
    let names: Option<Vec<String>> = match &*argument {
        Expr::Array(array) if array.elem.len() >= long_lists::LONG => {
            let name = |item: &Expr| rewrite::string_literal(item).map(str::to_owned);
            array.elem.iter().map(name).collect()
        }
        Expr::Cast {
            expr: text,
            data_type,
            format: None,
            ..
        } if is_text_array(data_type) => match rewrite::string_literal(text) {
            Some(text) => one_dimension(text)?,
            None => None,
        },
        text => match rewrite::string_literal(text) {
            Some(text) => one_dimension(text)?,
            None => None,
        },
    };
    if let Some(names) = names {
        let list = name_list::written(names.iter().map(String::as_str));
        *argument = Expr::value(ast::Value::SingleQuotedString(list));
    }
    Ok(())
}

fn is_text_array(data_type: &ast::DataType) -> bool {
    use ast::{ArrayElemTypeDef as Of, DataType as Type};
    matches!(
        data_type,
        Type::Array(Of::SquareBracket(item, None)) if matches!(**item, Type::Text | Type::Varchar(None))
    )
}

/// The items of the text of an array of one dimension; NULL names nobody.
fn one_dimension(text: &str) -> Result<Option<Vec<String>>, ServerError> {
    let (dimensions, items) = parse_array(text, ',').map_err(ServerError::from)?;
    Ok((dimensions.len() <= 1).then(|| items.into_iter().flatten().collect()))
}

fn array(samples: &BTreeSet<String>) -> Result<Expr, ServerError> {
    if samples.is_empty() {
        let none = bytes::Bytes::from_static(b"{}");
        return params::constant(
            Some(&none),
            crate::pgwire::encode::Format::Text,
            PgType::TEXT.array(),
        );
    }
    let samples: Vec<String> = samples.iter().cloned().collect();
    Ok(rewrite::text_array(&samples))
}

/// The samples of a cohort, those that the session may see.
async fn samples_of(context: &PlanContext, name: &str) -> Result<BTreeSet<String>, ServerError> {
    let found = home_of(context, name).await?;
    let Some((schema, table)) = found else {
        let mut known = readable(context);
        known.extend(context.temporary.cohorts());
        let text = format!("cohort \"{name}\" does not exist");
        return Err(nearest_of(name, text, &known));
    };
    let table = TableReference::full(DATABASE, schema, table);
    let column = col(datafusion::common::Column::new_unqualified(COHORT_COLUMN));
    let rows = context.context.table(table).await?.select(vec![column])?;
    let mut batches = rows.execute_stream().await?;
    let mut samples = BTreeSet::new();
    while let Some(batch) = batches.try_next().await? {
        let names = arrow::compute::cast(batch.column(0), &DataType::Utf8)?;
        let names = names.as_string::<i32>().iter().flatten();
        samples.extend(names.map(str::to_owned));
    }
    Ok(samples)
}

/// Where a cohort lies: among the session's own tables, or in the lake, as the search path has it.
async fn home_of(
    context: &PlanContext,
    name: &str,
) -> Result<Option<(String, String)>, ServerError> {
    let path = context.info.relation_path();
    let (schemas, name) = match name.split_once('.') {
        Some(("pg_temp", name)) => (
            path.into_iter()
                .filter(|schema| is_temp_schema(schema))
                .collect(),
            name,
        ),
        Some((schema, name)) => (vec![schema.to_owned()], name),
        None => (path, name),
    };
    let Some(catalog) = context.context.catalog(DATABASE) else {
        return Ok(None);
    };
    for schema in schemas {
        if schema != COHORT_SCHEMA && !is_temp_schema(&schema) {
            continue;
        }
        let Some(tables) = catalog.schema(&schema) else {
            continue;
        };
        for name in [name.to_owned(), name.to_ascii_lowercase()] {
            if let Some(table) = tables.table(&name).await?
                && table.table_type() != TableType::View
                && has_samples(&table.schema())
            {
                return Ok(Some((schema, name)));
            }
        }
    }
    Ok(None)
}
