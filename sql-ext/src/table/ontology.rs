//! `hpo_ontology()`: HPO as the lake holds it and the session may read it, packed and held under one number.
//!
//! Users do not call it: `crate::syntax` gives it to `hpo_is_a` and its kin as their last argument. It reads
//! `kb.hpo_terms` alone; ancestors are found while it is packed, so that the larger table of them is not read.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{
    Array, AsArray, BooleanArray, Int64Array, ListArray, RecordBatch, StringArray,
};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::Result as DfResult;
use datafusion::datasource::{TableType, provider_as_source};
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, ident};
use datafusion::physical_plan::ExecutionPlan;
use genokura_core::ontology::{Ontology, Term};
use genokura_exec::CATALOG;

use super::fold::{Batches, Fold, FoldExec};
use super::{projected, source};
use crate::error::Error;
use crate::ontologies;

/// Schema of the tables of ontologies.
const SCHEMA: &str = "kb";
/// The table of terms.
const TERMS: &str = "hpo_terms";
/// The columns of it that are read, in this order.
const COLUMNS: [&str; 5] = ["term", "alt_ids", "parents", "is_obsolete", "resolves_to"];

/// The function.
#[derive(Debug)]
pub(crate) struct HpoOntology;

impl TableFunctionImpl for HpoOntology {
    fn call_with_args(&self, args: TableFunctionArgs<'_, '_>) -> DfResult<Arc<dyn TableProvider>> {
        let catalog = args.session().catalog_list().catalog(CATALOG);
        let schema = catalog.and_then(|catalog| catalog.schema(SCHEMA));
        if !schema.is_some_and(|schema| schema.table_exist(TERMS)) {
            return Err(Error::NoOntology.into());
        }
        let field = Field::new("ontology", DataType::Int64, true);
        let schema = Arc::new(Schema::new(vec![field]));
        Ok(Arc::new(Packed { schema }))
    }
}

/// A table of one row.
#[derive(Debug)]
struct Packed {
    schema: SchemaRef,
}

#[async_trait]
impl TableProvider for Packed {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        let state = super::state_of(session)?;
        let terms = source::table(state, SCHEMA, TERMS).await?;
        let terms = terms.ok_or(Error::NoOntology)?;
        for column in COLUMNS {
            terms
                .schema()
                .field_with_name(column)
                .map_err(|_| Error::NoColumn {
                    table: format!("{SCHEMA}.{TERMS}"),
                    column,
                })?;
        }
        let plan = LogicalPlanBuilder::scan(TERMS, provider_as_source(terms), None)?
            .project(COLUMNS.map(ident))?
            .build()?;
        let rows = state.create_physical_plan(&plan).await?;
        let fold = Pack {
            schema: Arc::clone(&self.schema),
        };
        let plan = Arc::new(FoldExec::new(fold, rows, &self.schema));
        match projection {
            Some(places) => projected(plan, places),
            None => Ok(plan),
        }
    }
}

/// Collects the terms and packs them.
#[derive(Debug)]
struct Pack {
    schema: SchemaRef,
}

/// Bytes of a term with its texts, about.
const TERM_BYTES: usize = 256;

impl Fold for Pack {
    type State = Vec<Term>;

    fn title(&self) -> String {
        format!("ontology of {SCHEMA}.{TERMS}")
    }

    fn start(&self) -> Vec<Term> {
        Vec::new()
    }

    fn bytes(&self, state: &Vec<Term>) -> usize {
        state.len() * TERM_BYTES
    }

    fn add(&self, state: &mut Vec<Term>, batch: &RecordBatch) -> DfResult<()> {
        let wrong = || Error::Internal("a table of terms with columns of other types");
        let text = |at: usize| batch.column(at).as_string_opt::<i32>().ok_or_else(wrong);
        let list = |at: usize| batch.column(at).as_list_opt::<i32>().ok_or_else(wrong);
        let (ids, alts, parents) = (text(0)?, list(1)?, list(2)?);
        let obsolete: &BooleanArray = batch.column(3).as_boolean_opt().ok_or_else(wrong)?;
        let means: &StringArray = text(4)?;
        for row in 0..batch.num_rows() {
            if ids.is_null(row) {
                continue;
            }
            let is_obsolete = obsolete.is_valid(row) && obsolete.value(row);
            let replaced_by =
                (is_obsolete && means.is_valid(row)).then(|| means.value(row).to_owned());
            state.push(Term {
                id: ids.value(row).to_owned(),
                alt_ids: texts(alts, row).ok_or_else(wrong)?,
                parents: texts(parents, row).ok_or_else(wrong)?,
                is_obsolete,
                replaced_by,
            });
        }
        Ok(())
    }

    fn merge(&self, into: &mut Vec<Term>, mut other: Vec<Term>) {
        into.append(&mut other);
    }

    fn finish(&self, state: Vec<Term>) -> DfResult<Batches> {
        let packed = Ontology::build(&state).and_then(|made| made.pack());
        let packed = packed.map_err(|error| Error::Ontology(error.to_string()))?;
        let array = Int64Array::from(vec![ontologies::hold(packed)]);
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), vec![Arc::new(array)])?;
        Ok(Box::new(std::iter::once(Ok(batch))))
    }
}

/// The texts of a list; none where it is NULL. `None` for a list of something else.
fn texts(lists: &ListArray, row: usize) -> Option<Vec<String>> {
    if lists.is_null(row) {
        return Some(Vec::new());
    }
    let items = lists.value(row);
    let items = items.as_string_opt::<i32>()?;
    Some(items.iter().flatten().map(str::to_owned).collect())
}
