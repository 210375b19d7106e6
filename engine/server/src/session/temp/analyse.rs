//! What Parse tells of a statement about temporary tables: the types of its parameters, and the columns of RETURNING.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{self, Expr, Value};

use super::beside::Beside;
use super::found::Wanted;
use crate::pg_types::PgType;
use crate::pgwire::encode::Format;
use crate::session::plan::PlanContext;
use crate::session::statement::temp::TempCommand;
use crate::session::template::Analysis;
use crate::session::{Session, params};
use crate::sqlstate::ServerError;

/// What the parts of a statement have found of its parameters, by their numbers.
struct Found<'a> {
    declared: &'a [PgType],
    known: BTreeMap<usize, PgType>,
    most: usize,
}

impl Found<'_> {
    /// The types to analyse a part with: those that it does not name are any.
    fn types(&self, named: &BTreeSet<usize>) -> Vec<PgType> {
        let most = named.last().copied().unwrap_or(0).max(self.declared.len());
        let types = (1..=most).map(|number| {
            let declared = self.declared.get(number - 1).copied();
            let declared = declared.filter(|declared| *declared != PgType::UNKNOWN);
            let known = declared.or_else(|| self.known.get(&number).copied());
            known.unwrap_or(match named.contains(&number) {
                true => PgType::UNKNOWN,
                false => PgType::TEXT,
            })
        });
        types.collect()
    }

    fn add(&mut self, named: &BTreeSet<usize>, types: &[PgType]) {
        for (number, found) in (1..).zip(types) {
            if named.contains(&number) {
                self.known.entry(number).or_insert(*found);
            }
        }
        self.most = self.most.max(named.last().copied().unwrap_or(0));
    }

    fn parameters(&self) -> Vec<PgType> {
        let numbers = 1..=self.most.max(self.declared.len());
        let types = numbers.map(|number| {
            let declared = self.declared.get(number - 1).copied();
            let declared = declared.filter(|declared| *declared != PgType::UNKNOWN);
            let known = declared.or_else(|| self.known.get(&number).copied());
            known.unwrap_or(PgType::TEXT)
        });
        types.collect()
    }
}

/// The numbers of the parameters that a query names.
fn named(query: &ast::Statement) -> BTreeSet<usize> {
    let mut numbers = BTreeSet::new();
    let _: ControlFlow<()> = ast::visit_expressions(query, |expr| {
        if let Expr::Value(value) = expr
            && let Value::Placeholder(name) = &value.value
            && let Some(number) = name.strip_prefix('$').and_then(|n| n.parse().ok())
        {
            numbers.insert(number);
        }
        ControlFlow::Continue(())
    });
    numbers
}

impl Session {
    /// The context of the query of the rows that UPDATE and DELETE find; None for another command.
    async fn context_of_command(
        &mut self,
        command: &TempCommand,
    ) -> Result<Option<PlanContext>, ServerError> {
        let (TempCommand::Delete { name, .. } | TempCommand::Update { name, .. }) = command else {
            return Ok(None);
        };
        let table = self.target(name, "UPDATE").await?;
        let none = table.with_pieces(Vec::new());
        let (context, _) = self.context_of_found(&none, false).await?;
        Ok(Some(context))
    }

    /// What RETURNING tells of beside the rows of the table, without rows.
    async fn beside_of(
        &mut self,
        command: &TempCommand,
        types: &[PgType],
    ) -> Result<Vec<Beside>, ServerError> {
        let Some(wanted) = Wanted::of(command).filter(|wanted| wanted.told) else {
            return Ok(Vec::new());
        };
        let (Some(query), Some(context)) = (
            self.parameters_of(command).await?,
            self.context_of_command(command).await?,
        ) else {
            return Ok(Vec::new());
        };
        let none = types.iter();
        let none = none.map(|pg_type| params::constant(None, Format::Text, *pg_type));
        let none = none.collect::<Result<Vec<_>, _>>()?;
        let (TempCommand::Delete { name, .. } | TempCommand::Update { name, .. }) = command else {
            return Ok(Vec::new());
        };
        let table = self.target(name, "UPDATE").await?;
        let width = wanted.set.map_or(0, |_| table.schema.fields().len());
        self.beside(wanted, &query, &context, &none, width + 1)
            .await
    }

    /// Parameters and columns of a statement.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(in crate::session) async fn analyse_temporary(
        &mut self,
        command: &TempCommand,
        declared: &[PgType],
    ) -> Result<Analysis, ServerError> {
        let mut found = Found {
            declared,
            known: BTreeMap::new(),
            most: 0,
        };
        if let Some(query) = self.parameters_of(command).await? {
            let named = named(&query);
            let types = found.types(&named);
            let analysis = match self.context_of_command(command).await? {
                Some(context) => self.analyse_in(context, &query, &types).await?,
                None => self.analyse_query(&query, &types).await?,
            };
            let width = analysis.columns.as_ref().map_or(0, Vec::len);
            self.check_given(command, width).await?;
            found.add(&named, &analysis.parameters);
        }
        if let Some((query, context)) = self.conflict_query(command).await? {
            let named = named(&query);
            let types = found.types(&named);
            let analysis = self.analyse_in(context, &query, &types).await?;
            found.add(&named, &analysis.parameters);
        }
        let mut columns = None;
        if let Some(query) = self.told_query(command)? {
            let named = named(&query);
            let types = found.types(&named);
            let beside = self.beside_of(command, &found.parameters()).await?;
            if let Some(analysis) = self.analyse_told(command, &beside, &types).await? {
                found.add(&named, &analysis.parameters);
                columns = analysis.columns;
            }
        }
        Ok(Analysis::without_plan(found.parameters(), columns))
    }
}
