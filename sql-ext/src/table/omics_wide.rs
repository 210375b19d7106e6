//! `omics_wide(matrix, genes [, profile])`: a long matrix with a column for each gene.
//!
//! It is a statement over the table in the session of the caller, so that hidden samples have no row. Before it is
//! planned, genes and profiles are looked up in the table as the session sees it: a gene that nobody has is an error,
//! never a column of NULLs.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::{Result as DfResult, ScalarValue};
use datafusion::datasource::TableType;
use datafusion::execution::SessionState;
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::{ExecutionPlan, collect};

use super::{COMMENT, projected, source, spans};
use crate::doc::{Chapter, FunctionDoc, argument, optional};
use crate::error::Error;
use crate::nearest::nearest;

/// Genes at most: columns of the result.
const GENES_MAX: usize = 1_000;

/// What the manual says.
pub(crate) static DOC: FunctionDoc = FunctionDoc {
    name: "omics_wide",
    chapter: Chapter::Omics,
    arguments: &[
        argument(
            "matrix",
            "text",
            "A long table with columns `sample_id`, `gene` and `value`, as `omics.expression`.",
        ),
        argument(
            "genes",
            "text[]",
            "Genes, a column for each in this order: `ARRAY['TP53', 'BRCA1']`.",
        ),
        optional(
            "profile",
            "text",
            "Which profile of the table; needed where it holds several.",
        ),
    ],
    returns: "TABLE (sample_id text, … double precision)",
    summary: "A row for each sample and a column for each gene, of a matrix that is stored long.",
    details: &[
        "Columns have the names of the genes in lower case, characters other than letters and digits as `_`: `tp53`, \
         `hla_a`. A sample without a value of a gene has NULL there, one without a value of any has no row. Of several \
         values of one gene and sample the greatest is shown.",
        "A gene that the table does not hold is an error that names it and the nearest one (22023), and so is a table of \
         several profiles when none is named. Only samples that the session may see count as holding a gene.",
    ],
    example: "SELECT sample_id, tp53, brca1 FROM omics_wide('omics.expression', ARRAY['TP53', 'BRCA1'])\n\
              WHERE tp53 > 10;",
};

/// The function.
#[derive(Debug)]
pub(crate) struct OmicsWide;

impl TableFunctionImpl for OmicsWide {
    fn call_with_args(&self, args: TableFunctionArgs<'_, '_>) -> DfResult<Arc<dyn TableProvider>> {
        let wrong = || Error::Argument {
            function: DOC.name,
            expected: "takes (matrix, genes [, profile]): a text, a text[] of at most 1,000 constants, a text",
            got: format!("these {} arguments", args.exprs().len()),
        };
        let constants = super::constants(&args)?;
        let (matrix, genes, profile) = match constants.as_slice() {
            [matrix, genes] => (text(matrix), texts(genes), None),
            [matrix, genes, profile] => {
                let profile = text(profile).ok_or_else(wrong)?;
                (text(matrix), texts(genes), Some(profile))
            }
            _ => return Err(wrong().into()),
        };
        let (Some(matrix), Some(genes)) = (matrix, genes) else {
            return Err(wrong().into());
        };
        if genes.is_empty() || genes.len() > GENES_MAX {
            return Err(wrong().into());
        }
        let mut fields = vec![Field::new("sample_id", DataType::Utf8, true)];
        for gene in &genes {
            let name = column_name(gene);
            if fields.iter().any(|field| *field.name() == name) {
                return Err(Error::TwoColumns { name }.into());
            }
            let comment = (COMMENT.to_owned(), format!("Value of {gene}"));
            let field = Field::new(name, DataType::Float64, true);
            fields.push(field.with_metadata([comment].into()));
        }
        let schema = Arc::new(Schema::new(fields));
        Ok(Arc::new(Wide {
            matrix,
            genes,
            profile,
            schema,
        }))
    }
}

/// `HLA-A` as `hla_a`.
fn column_name(gene: &str) -> String {
    let safe = |c: char| match c.to_ascii_lowercase() {
        c if c.is_ascii_lowercase() || c.is_ascii_digit() => c,
        _ => '_',
    };
    let name: String = gene.chars().map(safe).collect();
    match name.starts_with(|c: char| c.is_ascii_digit()) {
        true => format!("_{name}"),
        false => name,
    }
}

fn text(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Literal(value, _) => value.try_as_str().flatten().map(str::to_owned),
        _ => None,
    }
}

fn texts(expr: &Expr) -> Option<Vec<String>> {
    match expr {
        Expr::Literal(ScalarValue::List(list), _) if list.len() == 1 && list.is_valid(0) => {
            let items = list.value(0);
            let items = items.as_string_opt::<i32>()?;
            items.iter().map(|item| item.map(str::to_owned)).collect()
        }
        Expr::ScalarFunction(function) if function.name() == "make_array" => {
            function.args.iter().map(text).collect()
        }
        _ => None,
    }
}

/// A call.
#[derive(Debug)]
struct Wide {
    matrix: String,
    genes: Vec<String>,
    profile: Option<String>,
    schema: SchemaRef,
}

#[async_trait]
impl TableProvider for Wide {
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
        let from = self.table(state).await?;
        self.check_profile(state, &from).await?;
        self.check_genes(state, &from).await?;
        let mut columns = vec!["CAST(sample_id AS TEXT) AS sample_id".to_owned()];
        for (gene, field) in self.genes.iter().zip(self.schema.fields().iter().skip(1)) {
            let gene = quoted(gene);
            let name = field.name();
            columns.push(format!(
                "max(CAST(value AS DOUBLE)) FILTER (WHERE gene = {gene}) AS \"{name}\""
            ));
        }
        let sql = format!(
            "SELECT {} FROM {from} WHERE {} GROUP BY sample_id",
            columns.join(", "),
            self.wanted()
        );
        let plan = spans::logical(state, &sql).await?;
        let plan = state.create_physical_plan(&plan).await?;
        let plan = spans::declared(plan, &self.schema)?;
        match projection {
            Some(places) => projected(plan, places),
            None => Ok(plan),
        }
    }
}

impl Wide {
    /// The matrix as it may stand behind FROM.
    async fn table(&self, state: &SessionState) -> DfResult<String> {
        let missing = || Error::NoRegions(self.matrix.clone());
        let (schema, name) = self.matrix.split_once('.').ok_or_else(missing)?;
        let table = source::table(state, schema, name)
            .await?
            .ok_or_else(missing)?;
        for column in ["sample_id", "gene", "value"] {
            table
                .schema()
                .field_with_name(column)
                .map_err(|_| Error::NoColumn {
                    table: self.matrix.clone(),
                    column,
                })?;
        }
        let part = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        Ok(format!("{}.{}", part(schema), part(name)))
    }

    /// The condition on rows.
    fn wanted(&self) -> String {
        let genes: Vec<String> = self.genes.iter().map(|gene| quoted(gene)).collect();
        let of_profile = self
            .profile
            .as_ref()
            .map(|p| format!(" AND profile = {}", quoted(p)));
        format!(
            "gene IN ({}){}",
            genes.join(", "),
            of_profile.unwrap_or_default()
        )
    }

    async fn check_profile(&self, state: &SessionState, from: &str) -> DfResult<()> {
        let table = self.matrix.split_once('.');
        let Some((schema, name)) = table else {
            return Ok(());
        };
        let provider = source::table(state, schema, name).await?;
        let has = provider.is_some_and(|t| t.schema().field_with_name("profile").is_ok());
        if !has {
            return match &self.profile {
                None => Ok(()),
                Some(_) => Err(Error::NoColumn {
                    table: self.matrix.clone(),
                    column: "profile",
                }
                .into()),
            };
        }
        let known = distinct(state, &format!("SELECT DISTINCT profile FROM {from}")).await?;
        match &self.profile {
            Some(profile) if known.contains(profile) => Ok(()),
            None if known.len() <= 1 => Ok(()),
            asked => Err(Error::Profile {
                asked: asked.clone(),
                known: known.join(", "),
            }
            .into()),
        }
    }

    async fn check_genes(&self, state: &SessionState, from: &str) -> DfResult<()> {
        let sql = format!("SELECT DISTINCT gene FROM {from} WHERE {}", self.wanted());
        let found = distinct(state, &sql).await?;
        let Some(missing) = self.genes.iter().find(|gene| !found.contains(gene)) else {
            return Ok(());
        };
        let known = distinct(state, &format!("SELECT DISTINCT gene FROM {from}")).await?;
        Err(Error::UnknownGene {
            name: missing.clone(),
            nearest: nearest(missing, known.iter().map(String::as_str)),
        }
        .into())
    }
}

/// A text as SQL writes it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The texts of a statement of one column, ascending.
async fn distinct(state: &SessionState, sql: &str) -> DfResult<Vec<String>> {
    let plan = spans::logical(state, sql).await?;
    let plan = state.create_physical_plan(&plan).await?;
    let mut texts = Vec::new();
    for batch in collect(plan, state.task_ctx()).await? {
        let column = cast(batch.column(0), &DataType::Utf8)?;
        texts.extend(
            column
                .as_string::<i32>()
                .iter()
                .flatten()
                .map(str::to_owned),
        );
    }
    texts.sort();
    Ok(texts)
}
