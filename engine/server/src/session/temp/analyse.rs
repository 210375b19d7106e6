//! What Parse tells of a statement about temporary tables: the types of its parameters, and the columns of RETURNING.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{self, Expr, Value};

use crate::pg_types::PgType;
use crate::session::Session;
use crate::session::statement::temp::TempCommand;
use crate::session::template::Analysis;
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
            let analysis = self.analyse_query(&query, &found.types(&named)).await?;
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
            if let Some(analysis) = self.analyse_told(command, &types).await? {
                found.add(&named, &analysis.parameters);
                columns = analysis.columns;
            }
        }
        Ok(Analysis::without_plan(found.parameters(), columns))
    }
}
