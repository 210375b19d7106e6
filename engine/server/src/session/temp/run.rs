//! Statements about temporary tables and views.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::sql::sqlparser::ast::{self, Expr};

use super::comments::Comments;
use super::define::columns_of;
use super::found::Wanted;
use super::insert::{check_width, targets, typed};
use super::rules::Rules;
use super::{Relation, TempState, TempTable, schema_name};
use crate::session::statement;
use crate::session::statement::Statement;
use crate::session::statement::temp::{Name, TempCommand};
use crate::session::{DATABASE, Outcome, Session, params};
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
                elements,
                on_commit,
            } => {
                if let Some(exists) = self.new_name(name, *if_not_exists, "CREATE TABLE")? {
                    return Ok(exists);
                }
                self.create_table(&name.name, elements, *on_commit).await?;
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
                    rules: Rules::default(),
                    comments: Comments::default(),
                    generated: BTreeMap::new(),
                };
                self.put(&name.name, Relation::Table(Arc::new(table)));
                Ok(Outcome::done(&match with_data {
                    true => format!("SELECT {rows}"),
                    false => "CREATE TABLE AS".to_owned(),
                }))
            }
            TempCommand::CreateAsExecute {
                create,
                statement,
                arguments,
            } => self.create_as_execute(create, statement, arguments).await,
            TempCommand::CreateView {
                name,
                or_replace,
                columns,
                query,
            } => self.create_view(name, *or_replace, columns, query).await,
            TempCommand::Insert { .. } => self.insert(command, arguments).await,
            TempCommand::Delete { .. } => self.delete(command, arguments).await,
            TempCommand::Update { .. } => self.update(command, arguments).await,
            TempCommand::Drop {
                kind,
                names,
                if_exists,
                cascade,
            } => {
                self.drop_relations(*kind, names, *if_exists, *cascade)
                    .await
            }
            TempCommand::CreateIndex(def) => self.create_index(def).await,
            TempCommand::DropIndex { names, if_exists } => {
                self.drop_indexes(names, *if_exists).await
            }
            TempCommand::Alter {
                name,
                if_exists,
                alterations,
            } => self.alter_table(name, *if_exists, alterations).await,
            TempCommand::Comment { on, text } => self.comment(on, text.as_deref()).await,
            TempCommand::Truncate { names, restart } => self.truncate(names, *restart).await,
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

    /// CREATE TABLE AS EXECUTE.
    ///
    /// # Errors
    /// 42809 for a prepared statement that is no query.
    async fn create_as_execute(
        &mut self,
        create: &TempCommand,
        statement: &str,
        arguments: &[Expr],
    ) -> Result<Outcome, ServerError> {
        let prepared = self.prepared_statement(statement)?;
        let arguments = params::of_execute(statement, arguments, &prepared.parameters)?;
        let parsed = prepared.parsed.as_deref();
        let Some(Statement::Query(of)) = parsed.map(|inner| &inner.statement) else {
            let text = "prepared statement is not a SELECT";
            return Err(ServerError::new("42809", text));
        };
        let mut create = create.clone();
        if let TempCommand::CreateAs { query, .. } = &mut create {
            query.clone_from(of);
        }
        let made = Box::pin(self.temporary(&create, &arguments)).await?;
        let without_data = matches!(
            create,
            TempCommand::CreateAs {
                with_data: false,
                ..
            }
        );
        Ok(match made {
            Outcome::Done { warning: None, .. } if without_data => Outcome::done("SELECT 0"),
            made => made,
        })
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
                ..
            } => {
                let table = self.target(name, "INSERT").await?;
                let targets = targets(&table, &name.name, columns)?;
                let mut source = source.clone();
                typed(&mut source, &table, &targets, &self.settings.text_style())?;
                self.assign_cells(&mut source, &table, &targets).await?;
                Ok(Some(Box::new(ast::Statement::Query(source))))
            }
            TempCommand::Delete { name, .. } | TempCommand::Update { name, .. } => {
                let what = match command {
                    TempCommand::Delete { .. } => "DELETE",
                    _ => "UPDATE",
                };
                let table = self.target(name, what).await?;
                let wanted = Wanted::of(command);
                let query = wanted.map(|wanted| self.found_query(wanted, &table));
                query.transpose()
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
            ..
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
        if !self.temporary.has_name(&name.name) {
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
                Some(Relation::Sequence(_)) => {
                    let text = match what {
                        "TRUNCATE TABLE" | "ALTER TABLE" | "CREATE INDEX" => {
                            format!("\"{}\" is not a table", name.name)
                        }
                        "COPY FROM" => format!("cannot copy to sequence \"{}\"", name.name),
                        _ => format!("cannot change sequence \"{}\"", name.name),
                    };
                    return Err(ServerError::new("42809", text));
                }
                Some(Relation::View(_)) => {
                    let text = match what {
                        "ALTER TABLE" => {
                            return Err(ServerError::unsupported(
                                "ALTER TABLE of a view is not supported",
                            ));
                        }
                        "CREATE INDEX" => {
                            format!("cannot create index on relation \"{}\"", name.name)
                        }
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

    /// 42P01 with the temporary relation that was meant, perhaps.
    pub(super) fn unknown(&self, name: &Name) -> ServerError {
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
    pub(super) async fn is_in_lake(&mut self, name: &Name) -> Result<bool, ServerError> {
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
}

pub(super) fn notice(code: &'static str, text: String) -> ServerError {
    ServerError::new(code, text).severity(Severity::Notice)
}
