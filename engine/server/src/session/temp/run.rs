//! Statements about temporary tables and views.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::sql::sqlparser::ast::{self, Expr};
use futures::TryStreamExt as _;

use super::assign;
use super::copy::CopyIn;
use super::define::{columns_of, field_of, once_each};
use super::fill::{Arrangement, Filling, Origin};
use super::insert::{check_assignable, check_width, targets, type_cell, typed};
use super::{Piece, Relation, TempState, TempTable, TempView, schema_name};
use crate::pg_types::PgType;
use crate::roles::RoleLimits;
use crate::session::memory::{SessionMemory, all_of};
use crate::session::plan::Planned;
use crate::session::statement::joins::as_written;
use crate::session::statement::temp::{ColumnDef, Kind, Name, OnCommit, TempCommand};
use crate::session::statement::{self, CopyOptions};
use crate::session::{DATABASE, Outcome, Session, params, placed, rewrite};
use crate::sqlstate::{ServerError, Severity, slip_of, undefined_table};

impl Session {
    /// Runs a statement about temporary relations.
    ///
    /// # Errors
    /// As PostgreSQL reports them; 25006 when the relation is one of the lake.
    pub(in crate::session) async fn temporary(
        &mut self,
        command: &TempCommand,
        arguments: &[Expr],
    ) -> Result<Outcome, ServerError> {
        match command {
            TempCommand::Create {
                name,
                if_not_exists,
                columns,
                on_commit,
            } => {
                if let Some(exists) = self.new_name(name, *if_not_exists, "CREATE TABLE")? {
                    return Ok(exists);
                }
                let table = self.table_of(columns, *on_commit).await?;
                self.put(&name.name, Relation::Table(Arc::new(table)));
                Ok(Outcome::done("CREATE TABLE"))
            }
            TempCommand::CreateAs {
                name,
                if_not_exists,
                columns,
                on_commit,
                with_data,
                query,
            } => {
                if let Some(exists) = self.new_name(name, *if_not_exists, "CREATE TABLE AS")? {
                    return Ok(exists);
                }
                let planned = self.plan(query, arguments).await?;
                let (fields, origins) = columns_of(&planned, columns)?;
                let schema: SchemaRef = Arc::new(Schema::new(fields));
                let (pieces, rows) = match with_data {
                    true => {
                        let arrangement = self.arrangement(&name.name, &schema, origins);
                        self.fill(planned, arrangement).await?
                    }
                    false => (Vec::new(), 0),
                };
                let table = TempTable {
                    defaults: vec![None; schema.fields().len()],
                    schema,
                    on_commit: *on_commit,
                    cohort: false,
                    pieces,
                };
                self.put(&name.name, Relation::Table(Arc::new(table)));
                Ok(Outcome::done(&match with_data {
                    true => format!("SELECT {rows}"),
                    false => "CREATE TABLE AS".to_owned(),
                }))
            }
            TempCommand::CreateView {
                name,
                or_replace,
                columns,
                query,
            } => self.create_view(name, *or_replace, columns, query).await,
            TempCommand::Insert {
                name,
                columns,
                source,
            } => {
                self.insert(name, columns, source.as_deref(), arguments)
                    .await
            }
            TempCommand::Delete {
                name,
                alias,
                condition,
            } => {
                self.delete(name, alias.as_deref(), condition.as_deref(), arguments)
                    .await
            }
            TempCommand::Update {
                name,
                alias,
                set,
                condition,
            } => {
                let (alias, condition) = (alias.as_deref(), condition.as_deref());
                self.update(name, alias, set, condition, arguments).await
            }
            TempCommand::Drop {
                kind,
                names,
                if_exists,
                cascade,
            } => {
                self.drop_relations(*kind, names, *if_exists, *cascade)
                    .await
            }
            TempCommand::Truncate(names) => {
                for name in names {
                    let table = self.target(name, "TRUNCATE TABLE").await;
                    let table = table.map_err(ServerError::nowhere)?;
                    let empty = table.with_pieces(Vec::new());
                    self.put(&name.name, Relation::Table(Arc::new(empty)));
                }
                Ok(Outcome::done("TRUNCATE TABLE"))
            }
            TempCommand::CopyFrom {
                name,
                columns,
                options,
                condition,
            } => {
                let condition = condition.as_deref();
                self.copy_from(name, columns, options, condition).await
            }
        }
    }

    /// The query whose parameters are those of the statement; None when it takes none.
    ///
    /// # Errors
    /// As [`Session::temporary`] for a table that cannot be written.
    pub(in crate::session) async fn parameters_of(
        &mut self,
        command: &TempCommand,
    ) -> Result<Option<Box<ast::Statement>>, ServerError> {
        match command {
            TempCommand::CreateAs { query, .. } => Ok(Some(query.clone())),
            TempCommand::Insert {
                name,
                columns,
                source: Some(source),
            } => {
                let table = self.target(name, "INSERT").await?;
                let targets = targets(&table, &name.name, columns)?;
                let mut source = source.clone();
                typed(&mut source, &table, &targets, &self.settings.text_style())?;
                self.assign_cells(&mut source, &table, &targets).await?;
                Ok(Some(Box::new(ast::Statement::Query(source))))
            }
            TempCommand::Delete {
                name,
                alias,
                condition: Some(condition),
            } => {
                self.target(name, "DELETE").await?;
                let alias = alias.as_deref();
                self.kept(&name.name, alias, condition).map(Some)
            }
            TempCommand::Update {
                name,
                alias,
                set,
                condition,
            } => {
                let table = self.target(name, "UPDATE").await?;
                let (alias, condition) = (alias.as_deref(), condition.as_deref());
                self.changed(&table, &name.name, alias, set, condition)
                    .map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Refuses an INSERT whose query gives more or fewer columns than there are to fill.
    ///
    /// # Errors
    /// 42601.
    pub(in crate::session) async fn check_given(
        &mut self,
        command: &TempCommand,
        width: usize,
    ) -> Result<(), ServerError> {
        let TempCommand::Insert {
            name,
            columns,
            source: Some(source),
        } = command
        else {
            return Ok(());
        };
        let table = self.target(name, "INSERT").await?;
        let targets = targets(&table, &name.name, columns)?;
        check_width(width, source, &targets, columns)
    }

    /// Takes the next state; the one before the statements that are not committed yet is remembered.
    pub(in crate::session) fn set_temporary(&mut self, next: TempState) {
        self.before_change();
        self.temporary = next;
    }

    pub(super) fn put(&mut self, name: &str, relation: Relation) {
        self.set_temporary(self.temporary.with(name, relation));
    }

    /// Whether a name may be that of a temporary relation of this session.
    pub(super) fn may_be_own(&self, name: &Name) -> bool {
        name.schema
            .as_deref()
            .is_none_or(|schema| schema == "pg_temp" || schema == schema_name(self.options.pid))
    }

    /// Whether a relation may be made under this name; an outcome when one is there and that is well.
    pub(super) fn new_name(
        &self,
        name: &Name,
        if_not_exists: bool,
        tag: &str,
    ) -> Result<Option<Outcome>, ServerError> {
        if !self.may_be_own(name) {
            return Err(ServerError::new(
                "42P16",
                "cannot create temporary relation in non-temporary schema",
            ));
        }
        if self.temporary.get(&name.name).is_none() {
            return Ok(None);
        }
        let text = format!("relation \"{}\" already exists", name.name);
        if !if_not_exists {
            return Err(ServerError::new("42P07", text));
        }
        Ok(Some(Outcome::Done {
            tag: tag.to_owned(),
            warning: Some(notice("42P07", format!("{text}, skipping"))),
        }))
    }

    /// The temporary table of this name, to be written to.
    pub(super) async fn target(
        &mut self,
        name: &Name,
        what: &str,
    ) -> Result<Arc<TempTable>, ServerError> {
        if self.may_be_own(name) {
            match self.temporary.get(&name.name) {
                Some(Relation::Table(table)) => return Ok(Arc::clone(table)),
                Some(Relation::View(_)) => {
                    let text = match what {
                        "TRUNCATE TABLE" => format!("\"{}\" is not a table", name.name),
                        "COPY FROM" => format!("cannot copy to view \"{}\"", name.name),
                        "UPDATE" => format!("cannot update view \"{}\"", name.name),
                        "INSERT" => format!("cannot insert into view \"{}\"", name.name),
                        _ => format!("cannot delete from view \"{}\"", name.name),
                    };
                    return Err(ServerError::new("42809", text));
                }
                None => {}
            }
        }
        if self.is_in_lake(name).await? {
            return Err(statement::read_only(what));
        }
        Err(self.unknown(name))
    }

    /// The table that COPY FROM fills: a temporary one, or a cohort of the lake that is the session's to write.
    async fn copy_target(&mut self, name: &Name) -> Result<CopyTarget, ServerError> {
        if !self.is_temporary(name) && self.is_kept_cohort(name).await? {
            return Ok(CopyTarget::Cohort);
        }
        let table = self.target(name, "COPY FROM").await?;
        Ok(CopyTarget::Table(table))
    }

    /// 42P01 with the temporary relation that was meant, perhaps.
    fn unknown(&self, name: &Name) -> ServerError {
        let shown = match &name.schema {
            Some(schema) => format!("{schema}.{}", name.name),
            None => name.name.clone(),
        };
        let error = undefined_table(&shown).near(&name.name);
        let known = self.temporary.relations.keys().map(String::as_str);
        match slip_of(&name.name, known).filter(|_| self.may_be_own(name)) {
            Some(known) => error.hint(format!("Perhaps you meant the relation \"{known}\".")),
            None => error,
        }
    }

    /// Whether a relation of the lake, or of the system catalog, has this name.
    async fn is_in_lake(&mut self, name: &Name) -> Result<bool, ServerError> {
        if name.schema.is_none() && name.name.starts_with("pg_") {
            return Ok(true);
        }
        let context = self.plan_context().await?;
        let Some(catalog) = context.context.catalog(DATABASE) else {
            return Ok(false);
        };
        let has = |schema: &String| {
            let schema = catalog.schema(schema);
            schema.is_some_and(|schema| schema.table_exist(&name.name))
        };
        Ok(match &name.schema {
            Some(schema) => {
                matches!(schema.as_str(), "pg_catalog" | "information_schema") || has(schema)
            }
            None => context.info.schemas.iter().any(has),
        })
    }

    async fn table_of(
        &mut self,
        columns: &[ColumnDef],
        on_commit: OnCommit,
    ) -> Result<TempTable, ServerError> {
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        once_each(&names)?;
        let fields = columns.iter().map(field_of);
        let schema: SchemaRef = Arc::new(Schema::new(fields.collect::<Result<Vec<_>, _>>()?));
        let table = TempTable {
            schema,
            defaults: columns
                .iter()
                .map(|column| column.default.clone())
                .collect(),
            on_commit,
            cohort: false,
            pieces: Vec::new(),
        };
        // A default that is no value of its column is told of now.
        for at in 0..columns.len() {
            let origin = self.default_of(&table, at).await?;
            if let Origin::Constant(value, from) = origin
                && let Some(field) = table.schema.fields().get(at)
            {
                assign::assign(&value, from, field, &self.assigning())?;
            }
        }
        Ok(table)
    }

    /// What a column gets where no value is given.
    async fn default_of(&mut self, table: &TempTable, at: usize) -> Result<Origin, ServerError> {
        let default = table.defaults.get(at).and_then(Option::as_ref);
        let Some((default, field)) = default.zip(table.schema.fields().get(at)) else {
            let null = arrow::array::new_null_array(&DataType::Null, 1);
            return Ok(Origin::Constant(null, PgType::TEXT));
        };
        let mut value = default.clone();
        type_cell(&mut value, field, None, &self.settings.text_style())?;
        let query = statement::query_text(&format!("SELECT {value}"))?;
        let planned = self.plan(&query, &[]).await?;
        let from = planned
            .columns()
            .first()
            .map_or(PgType::TEXT, |column| column.pg_type);
        check_assignable(from, &planned, 0, field)?;
        let rows = self.start(planned).await?;
        let batches = self.spawn(async move { rows.into_stream().try_collect::<Vec<_>>().await });
        let batches = batches.await?;
        let value = batches.first().and_then(|batch| batch.columns().first());
        let value = value.ok_or_else(|| ServerError::internal("a default without a value"))?;
        Ok(Origin::Constant(Arc::clone(value), from))
    }

    fn assigning(&self) -> assign::Session {
        assign::Session {
            style: self.settings.text_style(),
        }
    }

    pub(super) fn arrangement(
        &self,
        table: &str,
        schema: &SchemaRef,
        origins: Vec<Origin>,
    ) -> Arrangement {
        Arrangement {
            table: table.to_owned(),
            schema: Arc::clone(schema),
            origins,
            session: self.assigning(),
        }
    }

    /// The memory that a statement may fill.
    pub(super) async fn memory(&mut self) -> Result<SessionMemory, ServerError> {
        let context = self.plan_context().await?;
        let pool = &context.context.runtime_env().memory_pool;
        let memory = self
            .kept_memory
            .get_or_insert_with(|| SessionMemory::new(pool));
        Ok(memory.at_most(context.memory_limit, all_of(pool)))
    }

    /// Runs a query and keeps its rows.
    pub(super) async fn fill(
        &mut self,
        planned: Planned,
        arrangement: Arrangement,
    ) -> Result<(Vec<Arc<Piece>>, u64), ServerError> {
        let filling = Filling::new(Arc::clone(&arrangement.schema), self.memory().await?);
        let filled = self.gather(planned, arrangement, filling, Filling::push);
        filled.await?.finish()
    }

    /// Runs a query and has its rows taken as a table would keep them.
    pub(super) async fn gather<T: Send + 'static>(
        &mut self,
        planned: Planned,
        arrangement: Arrangement,
        mut taken: T,
        take: impl Fn(&mut T, RecordBatch) -> Result<(), ServerError> + Send + 'static,
    ) -> Result<T, ServerError> {
        let rows = self.start(planned).await?;
        // The limit of rows is on what leaves the server.
        let limits = self
            .authorised
            .as_ref()
            .map(crate::roles::Authorised::limits)
            .unwrap_or_default();
        let rows = rows
            .under(RoleLimits {
                rows: None,
                ..limits
            })
            .await;
        let guard = rows.stop.guard();
        let gathered = self.spawn(async move {
            let mut batches = rows.into_stream();
            while let Some(batch) = batches.try_next().await? {
                take(&mut taken, arrangement.apply(&batch)?)?;
                tokio::task::yield_now().await;
            }
            Ok(taken)
        });
        let gathered = gathered.await;
        guard.disarm();
        gathered
    }

    async fn create_view(
        &mut self,
        name: &Name,
        or_replace: bool,
        columns: &[String],
        query: &ast::Statement,
    ) -> Result<Outcome, ServerError> {
        let there = self.temporary.get(&name.name);
        if or_replace && matches!(there, Some(Relation::Table(_))) {
            let text = format!("\"{}\" is not a view", name.name);
            return Err(ServerError::new("42809", text));
        }
        if there.is_none() || !or_replace {
            self.new_name(name, false, "CREATE VIEW")?;
        }
        let planned = self.plan(query, &[]).await?;
        let (fields, _) = columns_of(&planned, columns)?;
        let context = self.plan_context().await?;
        let mut resolved = query.clone();
        let path = context.info.relation_path();
        rewrite::resolve(&mut resolved, &context.context, &path, &context.temporary)?;
        let ast::Statement::Query(resolved) = resolved else {
            return Err(ServerError::internal("a view of no query"));
        };
        let view = TempView {
            definition: as_written(&format!("{resolved};")),
            query: *resolved,
            schema: Arc::new(Schema::new(fields)),
            reads: self.reads(query),
        };
        self.put(&name.name, Relation::View(Arc::new(view)));
        Ok(Outcome::done("CREATE VIEW"))
    }

    /// The temporary relations that a query names.
    fn reads(&self, query: &ast::Statement) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let _: std::ops::ControlFlow<()> = ast::visit_relations(query, |name| {
            if let Ok(name) = statement::temp::name_of(name)
                && self.may_be_own(&name)
                && self.temporary.get(&name.name).is_some()
            {
                found.insert(name.name);
            }
            std::ops::ControlFlow::Continue(())
        });
        found
    }

    async fn insert(
        &mut self,
        name: &Name,
        columns: &[String],
        source: Option<&ast::Query>,
        arguments: &[Expr],
    ) -> Result<Outcome, ServerError> {
        let table = self.target(name, "INSERT").await?;
        let targets = targets(&table, &name.name, columns)?;
        let planned = match source {
            None => {
                // One row, none of whose columns goes anywhere.
                let query = statement::query_text("SELECT NULL")?;
                self.plan(&query, &[]).await?
            }
            Some(source) => {
                let mut source = ast::Statement::Query(Box::new(source.clone()));
                let values = arguments.iter().cloned().enumerate();
                let values = values.map(|(n, value)| (n + 1, value)).collect();
                params::substitute(&mut source, &values, false)?;
                if let ast::Statement::Query(source) = &mut source {
                    typed(source, &table, &targets, &self.settings.text_style())?;
                    self.assign_cells(source, &table, &targets).await?;
                }
                self.plan(&source, &[]).await?
            }
        };
        let width = source.map_or(0, |_| planned.columns().len());
        if let Some(source) = source {
            check_width(width, source, &targets, columns)?;
        }
        let mut origins = Vec::with_capacity(table.schema.fields().len());
        for (at, field) in table.schema.fields().iter().enumerate() {
            let given = targets.iter().position(|target| *target == at);
            origins.push(match given.filter(|given| *given < width) {
                Some(given) => {
                    let from = planned.columns()[given].pg_type;
                    check_assignable(from, &planned, given, field).map_err(|error| {
                        let source = source.map(|source| &source.body);
                        error.place(source.and_then(|body| placed::column_place(body, given)))
                    })?;
                    Origin::Column(given, from)
                }
                None => self.default_of(&table, at).await?,
            });
        }
        let arrangement = self.arrangement(&name.name, &table.schema, origins);
        let (pieces, rows) = self.fill(planned, arrangement).await?;
        self.extend(&name.name, &table, pieces).await?;
        Ok(Outcome::done(&format!("INSERT 0 {rows}")))
    }

    async fn extend(
        &mut self,
        name: &str,
        table: &TempTable,
        pieces: Vec<Arc<Piece>>,
    ) -> Result<(), ServerError> {
        if table.cohort {
            return self
                .set_cohort(name, table.pieces.iter().chain(&pieces))
                .await;
        }
        let memory = self.memory().await?;
        let table = table.extended(pieces, &memory)?;
        self.put(name, Relation::Table(Arc::new(table)));
        Ok(())
    }

    async fn delete(
        &mut self,
        name: &Name,
        alias: Option<&str>,
        condition: Option<&Expr>,
        arguments: &[Expr],
    ) -> Result<Outcome, ServerError> {
        let table = self.target(name, "DELETE").await?;
        let before = u64::try_from(table.rows()).unwrap_or(u64::MAX);
        let (pieces, left) = match condition {
            None => (Vec::new(), 0),
            Some(condition) => {
                let query = self.kept(&name.name, alias, condition)?;
                let planned = self.plan(&query, arguments).await.map_err(of_condition)?;
                let types = planned.columns().iter().map(|column| column.pg_type);
                let origins = types.enumerate().map(|(at, from)| Origin::Column(at, from));
                let origins = origins.collect();
                let arrangement = self.arrangement(&name.name, &table.schema, origins);
                let filled = self.fill(planned, arrangement).await;
                filled.map_err(of_condition)?
            }
        };
        let table = table.with_pieces(pieces);
        self.put(&name.name, Relation::Table(Arc::new(table)));
        Ok(Outcome::done(&format!("DELETE {}", before - left)))
    }

    /// The query of the rows that a DELETE leaves.
    pub(super) fn kept(
        &self,
        table: &str,
        alias: Option<&str>,
        condition: &Expr,
    ) -> Result<Box<ast::Statement>, ServerError> {
        let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        let sql = format!(
            "SELECT * FROM {}.{} AS {}",
            quoted(&schema_name(self.options.pid)),
            quoted(table),
            quoted(alias.unwrap_or(table)),
        );
        // The condition keeps its place in the statement.
        let condition = Expr::Nested(Box::new(condition.clone()));
        statement::query_with(&sql, |select| {
            select.selection = Some(Expr::IsNotTrue(Box::new(condition)));
        })
    }

    pub(super) async fn drop_relations(
        &mut self,
        kind: Kind,
        names: &[Name],
        if_exists: bool,
        cascade: bool,
    ) -> Result<Outcome, ServerError> {
        let word = kind.word().to_ascii_lowercase();
        let mut dropped = BTreeSet::new();
        let mut skipped = Vec::new();
        for name in names {
            let own = self.temporary.get(&name.name);
            let own = own
                .filter(|_| self.may_be_own(name))
                .map(|relation| match relation {
                    Relation::Table(table) if table.cohort => Kind::Cohort,
                    Relation::Table(_) => Kind::Table,
                    Relation::View(_) => Kind::View,
                });
            match own {
                Some(own) if own == kind => {
                    dropped.insert(name.name.clone());
                }
                Some(other) => {
                    let text = format!("\"{}\" is not a {word}", name.name);
                    let other = other.word();
                    let hint = format!("Use DROP {other} to remove a {}.", other.to_lowercase());
                    return Err(ServerError::new("42809", text).hint(hint));
                }
                None if self.is_in_lake(name).await? => {
                    return Err(statement::read_only(&format!("DROP {}", kind.word())));
                }
                None => {
                    let text = format!("{word} \"{}\" does not exist", name.name);
                    if !if_exists {
                        return Err(ServerError::new("42P01", text));
                    }
                    skipped.push(format!("{text}, skipping"));
                }
            }
        }
        let mut readers = self.temporary.readers(&dropped);
        if let Some(view) = readers.first().filter(|_| !cascade) {
            let of = dropped.first().map_or("", String::as_str);
            let text = format!("cannot drop {word} {of} because other objects depend on it");
            return Err(ServerError::new("2BP01", text)
                .detail(format!("view {view} depends on {word} {of}"))
                .hint("Use DROP ... CASCADE to drop the dependent objects too."));
        }
        let cascades = readers
            .iter()
            .map(|view| format!("drop cascades to view {view}"));
        skipped.extend(cascades);
        readers.extend(dropped);
        if !readers.is_empty() {
            self.set_temporary(self.temporary.without(&readers));
        }
        let told = (!skipped.is_empty()).then(|| notice("00000", skipped.join("; ")));
        Ok(Outcome::Done {
            tag: format!("DROP {}", kind.word()),
            warning: told,
        })
    }

    async fn copy_from(
        &mut self,
        name: &Name,
        columns: &[String],
        options: &CopyOptions,
        condition: Option<&Expr>,
    ) -> Result<Outcome, ServerError> {
        let table = self.copy_target(name).await;
        let table = match table.map_err(ServerError::nowhere)? {
            CopyTarget::Table(table) => table,
            CopyTarget::Cohort if condition.is_some() => {
                let text = "COPY … FROM STDIN WHERE into a cohort of the lake";
                return Err(ServerError::unsupported(text).hint(
                    "COPY into a temporary table, then INSERT INTO the cohort SELECT … WHERE.",
                ));
            }
            CopyTarget::Cohort => Arc::new(TempTable::of_samples()),
        };
        let condition = match condition {
            Some(condition) => {
                let query = self.chosen(&name.name, condition)?;
                // What is wrong with it is told before any row comes.
                self.plan(&query, &[]).await?;
                Some(query)
            }
            None => None,
        };
        let targets = targets(&table, &name.name, columns).map_err(ServerError::nowhere)?;
        let mut constants = Vec::new();
        for at in 0..table.schema.fields().len() {
            if targets.contains(&at) {
                continue;
            }
            let Origin::Constant(value, from) = self.default_of(&table, at).await? else {
                continue;
            };
            let field = table.schema.field(at);
            constants.push((at, assign::assign(&value, from, field, &self.assigning())?));
        }
        let memory = self.memory().await?;
        let filling = Filling::new(Arc::clone(&table.schema), memory);
        let style = self.settings.text_style();
        let copy = CopyIn::new(name, &table, targets, constants, filling, options, style)?;
        Ok(Outcome::CopyIn(Box::new(copy.of(condition))))
    }

    /// The end of a COPY FROM: its rows are in the table.
    ///
    /// # Errors
    /// What the last of them fail with.
    pub(crate) async fn copied(&mut self, copy: CopyIn) -> Result<u64, ServerError> {
        let name = copy.name().clone();
        let condition = copy.condition();
        let (pieces, rows) = copy.finish()?;
        match self.copy_target(&name).await? {
            CopyTarget::Table(table) => {
                let (pieces, rows) = match condition {
                    Some(query) => self.filtered(&name.name, &table, pieces, &query).await?,
                    None => (pieces, rows),
                };
                self.extend(&name.name, &table, pieces).await?;
                Ok(rows)
            }
            CopyTarget::Cohort => {
                self.extend_kept_cohort(&name.name, pieces).await?;
                Ok(rows)
            }
        }
    }

    /// The rows of these pieces that a query over the table finds, as if they were all that the table holds.
    async fn filtered(
        &mut self,
        name: &str,
        table: &TempTable,
        pieces: Vec<Arc<Piece>>,
        query: &ast::Statement,
    ) -> Result<(Vec<Arc<Piece>>, u64), ServerError> {
        let (before, implicit) = (self.temporary.clone(), self.implicit.clone());
        self.put(name, Relation::Table(Arc::new(table.with_pieces(pieces))));
        let planned = self.plan(query, &[]).await;
        (self.temporary, self.implicit) = (before, implicit);
        let planned = planned?;
        let types = planned.columns().iter().map(|column| column.pg_type);
        let origins = types.enumerate().map(|(at, from)| Origin::Column(at, from));
        let origins = origins.collect();
        let arrangement = self.arrangement(name, &table.schema, origins);
        self.fill(planned, arrangement).await
    }

    /// The query of the rows of a table for which a condition is true.
    fn chosen(&self, table: &str, condition: &Expr) -> Result<Box<ast::Statement>, ServerError> {
        let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        let (own, table) = (quoted(&schema_name(self.options.pid)), quoted(table));
        statement::query_text(&format!("SELECT * FROM {own}.{table} WHERE {condition}"))
    }
}

/// The error of the condition of a DELETE, which keeps the rows that it is not true of.
fn of_condition(error: ServerError) -> ServerError {
    let message = error.to_string();
    let rest = message.strip_prefix("argument of IS NOT TRUE ");
    match rest.or_else(|| message.strip_prefix("argument of IS TRUE ")) {
        Some(rest) => error.reworded(format!("argument of WHERE {rest}")),
        None => error,
    }
}

/// What COPY FROM fills.
enum CopyTarget {
    /// A temporary table.
    Table(Arc<TempTable>),
    /// A cohort of the lake.
    Cohort,
}

fn notice(code: &'static str, text: String) -> ServerError {
    ServerError::new(code, text).severity(Severity::Notice)
}
