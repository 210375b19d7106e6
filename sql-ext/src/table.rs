//! The table functions, one in each file: what a dataset's packed genotypes say of samples and families.
//!
//! Each reads `variants` through the session's own catalog, so that whatever hides samples or masks columns there
//! holds here, and folds or maps the batches as they stream by; a row per call is never made.

mod arguments;
mod autosomal_recessive;
mod compound_het;
mod de_novo;
mod family;
mod fold;
mod genes;
mod map;
mod mendel_errors;
pub(crate) mod omics_wide;
pub(crate) mod ontology;
pub(crate) mod pedigree;
mod sample_qc;
mod source;
pub(crate) mod spans;
mod x_linked;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::tree_node::TreeNode as _;
use datafusion::common::{DFSchema, DataFusionError, Result as DfResult};
use datafusion::datasource::TableType;
use datafusion::execution::SessionState;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::projection::ProjectionExec;
use futures::future::BoxFuture;

use crate::doc::FunctionDoc;
use crate::error::Error;
use crate::rules::contig_names::origin::Origin;
use arguments::Arguments;

/// Key of a field's comment, as the tables of the lake have it.
const COMMENT: &str = "comment";

/// Every table function, in the order of the reference.
pub(crate) static DEFINITIONS: [TableDefinition; 6] = [
    sample_qc::DEFINITION,
    mendel_errors::DEFINITION,
    de_novo::DEFINITION,
    autosomal_recessive::DEFINITION,
    x_linked::DEFINITION,
    compound_het::DEFINITION,
];

/// What a file of this module defines.
pub(crate) struct TableDefinition {
    pub(crate) doc: FunctionDoc,
    pub(crate) columns: &'static [ResultColumn],
    /// How the arguments are read.
    pub(crate) arguments: fn(&'static str, &[Expr]) -> crate::error::Result<Arguments>,
    /// The plan that makes the rows.
    pub(crate) plan: for<'a> fn(&'a Call, &'a SessionState) -> Planned<'a>,
}

/// A plan in the making.
pub(crate) type Planned<'a> = BoxFuture<'a, DfResult<Arc<dyn ExecutionPlan>>>;

/// A column of the result.
pub(crate) struct ResultColumn {
    name: &'static str,
    data_type: DataType,
    nullable: bool,
    comment: &'static str,
}

/// A column that is never NULL.
const fn column(name: &'static str, data_type: DataType, comment: &'static str) -> ResultColumn {
    ResultColumn {
        name,
        data_type,
        nullable: false,
        comment,
    }
}

/// A column that may be NULL.
const fn nullable(name: &'static str, data_type: DataType, comment: &'static str) -> ResultColumn {
    ResultColumn {
        name,
        data_type,
        nullable: true,
        comment,
    }
}

/// The schema of the columns of a result.
fn schema_of(columns: &[ResultColumn]) -> SchemaRef {
    let field = |column: &ResultColumn| {
        let comment = (COMMENT.to_owned(), column.comment.to_owned());
        Field::new(column.name, column.data_type.clone(), column.nullable)
            .with_metadata([comment].into())
    };
    Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
}

/// The columns of a function, where its arguments do not change them.
pub(crate) fn columns_of(function: &str) -> Option<SchemaRef> {
    let mut of_datasets = DEFINITIONS.iter();
    let of_dataset = of_datasets.find(|known| known.doc.name == function);
    match of_dataset {
        Some(known) => Some(schema_of(known.columns)),
        None => spans::columns_of(function),
    }
}

/// Arguments as the constants that they are computed to, where they are: `'a' || 'b'`, `1000::bigint`.
fn constants(args: &TableFunctionArgs<'_, '_>) -> DfResult<Vec<Expr>> {
    let schema = Arc::new(DFSchema::empty());
    let info = SimplifyContext::builder()
        .with_config_options(Arc::clone(args.session().config().options()))
        .with_schema(schema)
        .build();
    let simplifier = ExprSimplifier::new(info);
    let constant = |expr: &Expr| {
        // What is computed of columns is no constant, and refused as such.
        let is_open = expr.exists(|part| {
            Ok(matches!(
                part,
                Expr::Column(_) | Expr::OuterReferenceColumn(..) | Expr::Placeholder(_)
            ))
        })?;
        match expr {
            Expr::Literal(..) => Ok(expr.clone()),
            _ if is_open => Ok(expr.clone()),
            _ => simplifier.simplify(expr.clone()),
        }
    };
    args.exprs().iter().map(constant).collect()
}

/// A definition in DataFusion's form.
pub(crate) struct Function(pub(crate) &'static TableDefinition);

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Function").field(&self.0.doc.name).finish()
    }
}

impl TableFunctionImpl for Function {
    fn call_with_args(&self, args: TableFunctionArgs<'_, '_>) -> DfResult<Arc<dyn TableProvider>> {
        let definition = self.0;
        let arguments = (definition.arguments)(definition.doc.name, &constants(&args)?)?;
        source::dataset_schema(&args.session().catalog_list(), &arguments.dataset)?;
        Ok(Arc::new(Call {
            definition,
            arguments,
            schema: schema_of(definition.columns),
        }))
    }
}

/// What makes the rows of a table function.
pub(crate) trait Definition: Send + Sync + Sized + 'static {
    /// The arguments as they were read.
    type Arguments: Send + Sync + 'static;

    /// The function's name.
    fn name(&self) -> &'static str;

    /// The plan of one call.
    fn plan<'a>(&self, call: &'a CallOf<Self>, state: &'a SessionState) -> Planned<'a>;

    /// Where the column `contig` of the result comes from, if that is known.
    fn contigs<'a>(&self, call: &'a CallOf<Self>, state: &'a SessionState) -> ContigsOf<'a>;
}

/// Where contigs come from, in the making.
pub(crate) type ContigsOf<'a> = BoxFuture<'a, DfResult<Option<Vec<Origin>>>>;

/// A call of a function of [`DEFINITIONS`].
pub(crate) type Call = CallOf<TableDefinition>;

impl Definition for TableDefinition {
    type Arguments = Arguments;

    fn name(&self) -> &'static str {
        self.doc.name
    }

    fn plan<'a>(&self, call: &'a Call, state: &'a SessionState) -> Planned<'a> {
        (self.plan)(call, state)
    }

    fn contigs<'a>(&self, call: &'a Call, state: &'a SessionState) -> ContigsOf<'a> {
        Box::pin(source::contigs(state, &call.arguments.dataset))
    }
}

/// A table function with its arguments: a table.
pub(crate) struct CallOf<D: Definition> {
    definition: &'static D,
    pub(crate) arguments: D::Arguments,
    pub(crate) schema: SchemaRef,
}

impl<D: Definition> CallOf<D> {
    /// Where a column of contigs of the result comes from.
    pub(crate) async fn contigs(
        &self,
        state: &SessionState,
        column: &str,
    ) -> DfResult<Option<Vec<Origin>>> {
        match column {
            "contig" => self.definition.contigs(self, state).await,
            _ => Ok(None),
        }
    }
}

impl<D: Definition> fmt::Debug for CallOf<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Call")
            .field(&self.definition.name())
            .finish()
    }
}

#[async_trait]
impl<D: Definition> TableProvider for CallOf<D> {
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
        let state = state_of(session)?;
        let plan = self.definition.plan(self, state).await?;
        match projection {
            Some(places) => projected(plan, places),
            None => Ok(plan),
        }
    }
}

/// The state of a session: what a function's inputs are planned in.
pub(crate) fn state_of(session: &dyn Session) -> DfResult<&SessionState> {
    let state = session.as_any().downcast_ref::<SessionState>();
    state.ok_or_else(|| Error::Internal("a table function in a session of another kind").into())
}

/// Some columns of a plan.
fn projected(plan: Arc<dyn ExecutionPlan>, places: &[usize]) -> DfResult<Arc<dyn ExecutionPlan>> {
    let schema = plan.schema();
    let column = |&place: &usize| {
        let name = schema.fields().get(place).map(|field| field.name().clone());
        let name = name
            .ok_or_else(|| DataFusionError::from(Error::Internal("a column beyond the result")))?;
        let expr: Arc<dyn PhysicalExpr> = Arc::new(Column::new(&name, place));
        Ok((expr, name))
    };
    let columns = places.iter().map(column).collect::<DfResult<Vec<_>>>()?;
    Ok(Arc::new(ProjectionExec::try_new(columns, plan)?))
}
