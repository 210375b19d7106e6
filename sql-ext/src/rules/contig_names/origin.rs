//! Where the contigs of an expression come from, followed through a logical plan.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::catalog::TableProvider;
use datafusion::common::{JoinType, Result as DfResult, ScalarValue};
use datafusion::datasource::cte_worktable::CteWorkTable;
use datafusion::datasource::{MemTable, source_as_provider};
use datafusion::execution::SessionState;
use datafusion::logical_expr::expr::{Cast, TryCast};
use datafusion::logical_expr::{
    Distinct, Expr, ExprSchemable as _, LogicalPlan, Operator, TableScan,
};
use genokura_core::contig::{
    ContigNames, canonical_key, common_spelling, odd_key, spelling as spelling_of_name, usual_name,
};
use genokura_core::schema::{
    ASSEMBLY_KEY, CONTIG_LIKE_KEY, CONTIG_SPELLING_KEY, SYMBOLIC_KEY, UNUSUAL_CONTIGS_KEY,
};
use genokura_exec::dataset_info;

use super::fronts::{front, spelling_of_fronts};
use crate::table::CallOf;

/// Names that are no primaries, at the front of a column, after which it is no column of contigs.
const OTHERS_MAX: usize = 1_000;

/// Unusual names in rows in memory, from which on nothing is told of them.
const UNUSUAL_MAX: usize = 100;

/// One place that contigs come from.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    /// A column of a table.
    Column {
        table: Arc<dyn TableProvider>,
        column: String,
        /// How the table says that it spells the human primaries.
        told: Option<String>,
        /// The same of a column that is not called as contigs are.
        like: Option<String>,
        /// The assembly that it says it is on.
        assembly: Option<String>,
        /// The table or dataset that says that this column holds symbolic alleles.
        symbolic: Option<String>,
        /// Names in it that other tables do not use for a human contig, if the table tells them.
        unusual: Option<BTreeSet<String>>,
    },
    /// Texts that begin with the names of another origin: `contig || ':' || pos`.
    Front(Box<Origin>),
    /// The names of another origin as `contig_key` gives them, which spells all in one way.
    Keyed(Box<Origin>),
    /// Constants.
    Names(Vec<String>),
    /// What is not known, but how it begins: after `'chr' ||`, or with a digit, as a number does that is cast to text.
    Spelled(String),
    /// The names of another origin in one case, as `upper` and `lower` make them.
    Folded(Box<Origin>),
}

impl Origin {
    /// A column of a table, with what the table tells of it.
    pub(crate) fn of_column(table: Arc<dyn TableProvider>, column: &str) -> Self {
        let schema = table.schema();
        let field = schema.field_with_name(column).ok();
        let told = |key: &str| field.and_then(|field| field.metadata().get(key).cloned());
        let unusual = told(UNUSUAL_CONTIGS_KEY);
        Self::Column {
            column: column.to_owned(),
            told: told(CONTIG_SPELLING_KEY),
            like: told(CONTIG_LIKE_KEY),
            assembly: told(ASSEMBLY_KEY),
            symbolic: told(SYMBOLIC_KEY),
            unusual: unusual.map(|names| names.lines().map(str::to_owned).collect()),
            table,
        }
    }

    /// Whether it is rows in memory, or what is not known, of which the schema does not tell.
    pub(super) fn is_made(&self) -> bool {
        match self {
            Self::Folded(origin) | Self::Front(origin) => origin.is_made(),
            origin => matches!(
                origin,
                Self::Column {
                    told: None,
                    like: None,
                    ..
                }
            ),
        }
    }

    /// Whether its names may be in another case than those of a table.
    pub(super) fn is_folded(&self) -> bool {
        matches!(self, Self::Folded(_))
    }

    /// Whether its texts only begin with contigs.
    pub(super) fn is_front(&self) -> bool {
        match self {
            Self::Folded(origin) => origin.is_front(),
            origin => matches!(origin, Self::Front(_)),
        }
    }

    /// The contigs of the dataset that the column is of; `None` of other tables, and of a column that reads as NULL.
    pub(super) fn contigs(&self) -> Option<Vec<String>> {
        let Self::Column {
            table,
            column,
            told,
            ..
        } = self
        else {
            return None;
        };
        let schema = table.schema();
        let masked = schema.field_with_name(column).ok()?.is_nullable() && told.is_none();
        if column != "contig" || masked {
            return None;
        }
        Some(dataset_info(table.as_ref())?.contigs)
    }

    /// The rows in memory that it is a column of, and the column.
    fn rows(&self) -> Option<(&MemTable, &str)> {
        let Self::Column { table, column, .. } = self else {
            return None;
        };
        let rows = (table.as_ref() as &dyn Any).downcast_ref::<MemTable>()?;
        Some((rows, column))
    }

    /// The names that it has of human contigs and that other tables do not use (`chr01`, `chrMT`); `None` where that is
    /// not known.
    pub(super) async fn unusual(&self) -> DfResult<Option<BTreeSet<String>>> {
        match self {
            Self::Names(names) => {
                let unusual = names.iter().filter(|name| usual_name(name).is_some());
                Ok(Some(unusual.cloned().collect()))
            }
            Self::Spelled(_) => Ok(None),
            Self::Folded(origin) | Self::Front(origin) => Box::pin(origin.unusual()).await,
            Self::Keyed(origin) => {
                let mut names = Box::pin(origin.unusual()).await?;
                // contig_key knows the others.
                if let Some(names) = &mut names {
                    names.retain(|name| odd_key(name).is_some());
                }
                Ok(names)
            }
            Self::Column { unusual, .. } => match self.rows() {
                Some((rows, column)) => unusual_of_rows(rows, column).await,
                None => Ok(unusual.clone()),
            },
        }
    }

    /// The assembly that its contigs are of, if its table says so.
    fn assembly(&self) -> Option<&str> {
        match self {
            Self::Column { assembly, .. } => assembly.as_deref(),
            Self::Folded(origin) | Self::Keyed(origin) | Self::Front(origin) => origin.assembly(),
            Self::Names(_) | Self::Spelled(_) => None,
        }
    }

    /// How it spells the human primaries, if all are spelled alike.
    async fn spelling(&self, state: &SessionState) -> DfResult<Option<String>> {
        let (table, column) = match self {
            Self::Names(names) => {
                let names = names.iter().map(String::as_str);
                return Ok(common_spelling(names).map(str::to_owned));
            }
            Self::Spelled(spelling) => return Ok(Some(spelling.clone())),
            Self::Keyed(_) => return Ok(Some(String::new())),
            Self::Folded(origin) | Self::Front(origin) => {
                return Box::pin(origin.spelling(state)).await;
            }
            Self::Column { told, like, .. } if told.is_some() || like.is_some() => {
                return Ok(told.as_ref().or(like.as_ref()).cloned());
            }
            Self::Column { table, column, .. } => (table.as_ref() as &dyn Any, column),
        };
        match table.downcast_ref::<MemTable>() {
            Some(rows) => spelling_of_rows(rows, column).await,
            None => Ok(None),
        }
    }
}

/// How these origins spell the human primaries, if all of them tell, and the same.
pub(crate) async fn spelling(origins: &[Origin], state: &SessionState) -> DfResult<Option<String>> {
    let mut common: Option<String> = None;
    for origin in origins {
        // Constants of other contigs than the primaries say nothing.
        if let Origin::Names(names) = origin
            && names.iter().all(|name| spelling_of_name(name).is_none())
        {
            continue;
        }
        match (origin.spelling(state).await?, &common) {
            (None, _) => return Ok(None),
            (Some(one), Some(other)) if one != *other => return Ok(None),
            (one, _) => common = one,
        }
    }
    Ok(common)
}

/// Origins beside texts that only begin with contigs: constants are looked at by how they begin.
pub(super) fn fronts(origins: Vec<Origin>) -> Vec<Origin> {
    let names = origins.iter().map(|origin| match origin {
        Origin::Names(names) => Some(names.as_slice()),
        _ => None,
    });
    let names: Option<Vec<&[String]>> = names.collect();
    match names.and_then(|names| spelling_of_fronts(&names.concat())) {
        Some(spelled) => vec![Origin::Spelled(spelled)],
        None => origins,
    }
}

/// The assemblies of these origins, if all of them tell.
pub(crate) fn assemblies(origins: &[Origin]) -> Option<BTreeSet<&str>> {
    origins.iter().map(Origin::assembly).collect()
}

/// A human primary in rows in memory whose name is not spelled as `spelled`, and its name in that spelling, which no row
/// has: such rows meet nothing where contigs are spelled so.
pub(crate) async fn lost(origins: &[Origin], spelled: &str) -> DfResult<Option<(String, String)>> {
    let names = match spelled {
        "chr" => ContigNames::Chr,
        "" => ContigNames::Plain,
        _ => return Ok(None),
    };
    let (mut found, mut others) = (BTreeSet::new(), BTreeMap::new());
    for origin in origins {
        let Some((rows, column)) = origin.rows() else {
            return Ok(None);
        };
        let all = each_name(rows, column, |name| {
            let Some(key) = canonical_key(name) else {
                return ControlFlow::Continue(());
            };
            if spelling_of_name(name) == Some(spelled) {
                found.insert(key);
            } else if !others.contains_key(key) {
                others.insert(key, name.to_owned());
            }
            ControlFlow::Continue(())
        });
        if all.await?.is_break() {
            return Ok(None);
        }
    }
    let mut others = others.into_iter();
    let lost = others.find(|(key, _)| !found.contains(key));
    Ok(lost.map(|(key, name)| (name, names.of(key).into_owned())))
}

/// How a column of rows in memory spells the human primaries; a column that begins with many other names has none, and one
/// of other texts in which an `x` stands neither.
async fn spelling_of_rows(rows: &MemTable, column: &str) -> DfResult<Option<String>> {
    let mut common: Option<String> = None;
    let mut others = 0;
    let mut primaries = BTreeSet::new();
    let all = each_name(rows, column, |name| {
        match (spelling_of_name(name), &common) {
            (None, None) if others == OTHERS_MAX => return ControlFlow::Break(()),
            (None, _) => others += 1,
            (Some(one), Some(other)) if one != other => return ControlFlow::Break(()),
            (Some(_), Some(_)) => {}
            (Some(one), None) => common = Some(one.to_owned()),
        }
        if spelling_of_name(name).is_some() {
            primaries.extend(canonical_key(name));
        }
        ControlFlow::Continue(())
    });
    let all = all.await?.is_continue();
    let are_contigs = others <= 2 * primaries.len() + 1;
    Ok((all && are_contigs).then_some(common).flatten())
}

/// The unusual names in a column of rows in memory, if they are not many.
async fn unusual_of_rows(rows: &MemTable, column: &str) -> DfResult<Option<BTreeSet<String>>> {
    let mut names = BTreeSet::new();
    let all = each_name(rows, column, |name| {
        if usual_name(name).is_some() && !names.contains(name) {
            names.insert(name.to_owned());
        }
        match names.len() < UNUSUAL_MAX {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        }
    });
    Ok(all.await?.is_continue().then_some(names))
}

/// Gives each text of a column of rows in memory to `see`, of equal ones that follow one another the first, until it
/// breaks. It breaks at once where there is no such column of texts.
async fn each_name(
    rows: &MemTable,
    column: &str,
    mut see: impl FnMut(&str) -> ControlFlow<()>,
) -> DfResult<ControlFlow<()>> {
    for partition in &rows.batches {
        for batch in partition.read().await.iter() {
            let values = batch.column_by_name(column);
            let Some(values) = values.filter(|values| is_text(values.data_type())) else {
                return Ok(ControlFlow::Break(()));
            };
            let values = cast(values, &DataType::Utf8)?;
            let mut last = None;
            for name in values.as_string::<i32>().iter().flatten() {
                if last == Some(name) {
                    continue;
                }
                last = Some(name);
                if see(name).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
        tokio::task::yield_now().await;
    }
    Ok(ControlFlow::Continue(()))
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}

/// The same origins, results of table functions followed to the tables that these read.
pub(crate) async fn followed(origins: Vec<Origin>, state: &SessionState) -> DfResult<Vec<Origin>> {
    let mut all = Vec::with_capacity(origins.len());
    for origin in origins {
        match of_function(&origin, state).await? {
            Some(read) => all.extend(read),
            None => all.push(origin),
        }
    }
    Ok(all)
}

async fn of_function(origin: &Origin, state: &SessionState) -> DfResult<Option<Vec<Origin>>> {
    let wrap: fn(Box<Origin>) -> Origin = match origin {
        Origin::Column { table, column, .. } => {
            let table = table.as_ref() as &dyn Any;
            if let Some(call) = table.downcast_ref::<CallOf<crate::table::spans::SpanDefinition>>()
            {
                return call.contigs(state, column).await;
            }
            if let Some(call) = table.downcast_ref::<CallOf<crate::table::TableDefinition>>() {
                return call.contigs(state, column).await;
            }
            return Ok(None);
        }
        Origin::Front(_) => Origin::Front,
        Origin::Keyed(_) => Origin::Keyed,
        Origin::Folded(_) => Origin::Folded,
        Origin::Names(_) | Origin::Spelled(_) => return Ok(None),
    };
    let (Origin::Front(of) | Origin::Keyed(of) | Origin::Folded(of)) = origin else {
        return Ok(None);
    };
    let read = Box::pin(of_function(of, state)).await?;
    Ok(read.map(|read| read.into_iter().map(Box::new).map(wrap).collect()))
}

/// Where the values of an expression over the rows of `input` come from; `None` when that is not known. An array comes
/// from where its elements come from.
pub(crate) fn origins(expr: &Expr, input: &LogicalPlan) -> Option<Vec<Origin>> {
    let mut found = Vec::new();
    of_expr(expr, input, &mut found)?;
    (!found.is_empty()).then_some(found)
}

fn of_expr(expr: &Expr, input: &LogicalPlan, found: &mut Vec<Origin>) -> Option<()> {
    match expr {
        Expr::Alias(alias) => of_expr(&alias.expr, input, found),
        Expr::Cast(Cast { expr: value, .. }) | Expr::TryCast(TryCast { expr: value, .. }) => {
            let is_text = expr.get_type(input.schema()).is_ok_and(|ty| is_text(&ty));
            let number = |ty: DataType| ty.is_integer() || ty.is_decimal();
            if is_text && value.get_type(input.schema()).is_ok_and(number) {
                found.push(Origin::Spelled(String::new()));
                return Some(());
            }
            of_expr(value, input, found)
        }
        Expr::Unnest(unnest) => of_expr(&unnest.expr, input, found),
        Expr::Column(column) => {
            let place = input.schema().maybe_index_of_column(column)?;
            of_column(input, place, found)
        }
        Expr::Literal(value, _) => {
            found.push(Origin::Names(texts(value)?));
            Some(())
        }
        Expr::ScalarSubquery(subquery) => of_column(&subquery.subquery, 0, found),
        Expr::Case(case) => {
            let values = case.when_then_expr.iter().map(|(_, value)| value);
            for value in values.chain(&case.else_expr) {
                of_expr(value, input, found)?;
            }
            Some(())
        }
        Expr::BinaryExpr(binary) if binary.op == Operator::StringConcat => {
            of_texts(&[&binary.left, &binary.right], input, found)
        }
        Expr::ScalarFunction(function) => match function.name() {
            // An operator whose parts are reckoned together is a function of all of them.
            "concat" | "||" => of_texts(&function.args.iter().collect::<Vec<_>>(), input, found),
            "concat_ws" => of_texts(&[function.args.get(1)?], input, found),
            "array_to_string" => of_texts(&[function.args.first()?], input, found),
            "format" => {
                let (form, values) = function.args.split_first()?;
                let form = texts(literal(form)?)?;
                let form = form.first()?;
                match form.strip_prefix("%s").or(form.strip_prefix("%1$s")) {
                    Some(_) => of_texts(&[values.first()?], input, found),
                    None => {
                        found.push(begins(form.split('%').next()?)?);
                        Some(())
                    }
                }
            }
            // The first part of a text.
            "split_part" => {
                let first = literal(function.args.get(2)?)?;
                (first.to_string() == "1").then_some(())?;
                of_texts(&[function.args.first()?], input, found)
            }
            "nullif" => of_expr(function.args.first()?, input, found),
            "coalesce" | "make_array" => {
                let mut all = function.args.iter();
                all.try_for_each(|value| of_expr(value, input, found))
            }
            "btrim" | "trim" | "ltrim" | "rtrim" if function.args.len() == 1 => {
                of_expr(function.args.first()?, input, found)
            }
            "contig_key" => {
                let mut of_value = Vec::new();
                of_expr(function.args.first()?, input, &mut of_value)?;
                found.extend(of_value.into_iter().map(Box::new).map(Origin::Keyed));
                Some(())
            }
            "upper" | "lower" => {
                let mut of_value = Vec::new();
                of_expr(function.args.first()?, input, &mut of_value)?;
                let folded = of_value.into_iter().map(Box::new).map(Origin::Folded);
                found.extend(folded);
                Some(())
            }
            _ => None,
        },
        Expr::AggregateFunction(function) => match function.func.name() {
            "min" | "max" | "first_value" | "last_value" | "any_value" | "array_agg" => {
                of_expr(function.params.args.first()?, input, found)
            }
            "string_agg" => of_texts(&[function.params.args.first()?], input, found),
            _ => None,
        },
        Expr::WindowFunction(window) => match window.fun.name() {
            "min" | "max" | "first_value" | "last_value" | "nth_value" | "lag" | "lead" => {
                of_expr(window.params.args.first()?, input, found)
            }
            _ => None,
        },
        _ => None,
    }
}

/// Texts that are put together: they begin as the first of them that is not empty.
fn of_texts(parts: &[&Expr], input: &LogicalPlan, found: &mut Vec<Origin>) -> Option<()> {
    let empty = |part: &&&Expr| {
        let texts = literal(part).and_then(texts);
        texts.is_some_and(|texts| texts.iter().all(String::is_empty))
    };
    let first = parts.iter().find(|part| !empty(part))?;
    if let Some(spelled) = prefixed(first) {
        found.push(spelled);
        return Some(());
    }
    let mut of_first = Vec::new();
    of_expr(first, input, &mut of_first)?;
    found.extend(of_first.into_iter().map(|origin| match origin {
        Origin::Column { .. } | Origin::Keyed(_) | Origin::Names(_) | Origin::Folded(_) => {
            Origin::Front(Box::new(origin))
        }
        Origin::Spelled(_) | Origin::Front(_) => origin,
    }));
    Some(())
}

/// A constant.
fn literal(expr: &Expr) -> Option<&ScalarValue> {
    match expr {
        Expr::Literal(value, _) => Some(value),
        Expr::Alias(alias) => literal(&alias.expr),
        _ => None,
    }
}

/// What begins with a constant, as in `'chr' || x`: names that are spelled so.
fn prefixed(front: &Expr) -> Option<Origin> {
    begins(texts(literal(front)?)?.first()?)
}

/// What a text begins with: `chr`, behind which a name goes on, or a whole name as in `chr1:`.
fn begins(text: &str) -> Option<Origin> {
    let name = format!("{text}1");
    if let Some(spelled) = spelling_of_name(&name) {
        return Some(Origin::Spelled(spelled.to_owned()));
    }
    let spelled = spelling_of_name(front(text)?)?.to_owned();
    Some(Origin::Front(Box::new(Origin::Spelled(spelled))))
}

/// The texts of a constant, or of the elements of a constant array; none of NULL.
pub(super) fn texts(value: &ScalarValue) -> Option<Vec<String>> {
    match value {
        ScalarValue::Utf8(text) | ScalarValue::LargeUtf8(text) | ScalarValue::Utf8View(text) => {
            Some(text.iter().cloned().collect())
        }
        ScalarValue::Null => Some(Vec::new()),
        ScalarValue::Dictionary(_, value) => texts(value),
        ScalarValue::List(list) => {
            let values: &ArrayRef = list.values();
            let values = is_text(values.data_type())
                .then(|| cast(values, &DataType::Utf8).ok())
                .flatten()?;
            let names = values.as_string::<i32>().iter().flatten();
            Some(names.map(str::to_owned).collect())
        }
        _ => None,
    }
}

fn of_column(plan: &LogicalPlan, place: usize, found: &mut Vec<Origin>) -> Option<()> {
    match plan {
        LogicalPlan::Projection(node) => of_expr(node.expr.get(place)?, &node.input, found),
        LogicalPlan::Filter(node) => of_column(&node.input, place, found),
        LogicalPlan::Sort(node) => of_column(&node.input, place, found),
        LogicalPlan::Limit(node) => of_column(&node.input, place, found),
        LogicalPlan::Repartition(node) => of_column(&node.input, place, found),
        LogicalPlan::SubqueryAlias(node) => of_column(&node.input, place, found),
        LogicalPlan::Subquery(node) => of_column(&node.subquery, place, found),
        LogicalPlan::Distinct(Distinct::All(input)) => of_column(input, place, found),
        LogicalPlan::Distinct(Distinct::On(node)) => {
            of_expr(node.select_expr.get(place)?, &node.input, found)
        }
        LogicalPlan::Window(node) => match place.checked_sub(node.input.schema().fields().len()) {
            None => of_column(&node.input, place, found),
            Some(place) => of_expr(node.window_expr.get(place)?, &node.input, found),
        },
        LogicalPlan::RecursiveQuery(node) => {
            of_column(&node.static_term, place, found)?;
            of_column(&node.recursive_term, place, found)
        }
        LogicalPlan::Aggregate(node) => {
            let groups = &node.group_expr;
            if groups.iter().any(|g| matches!(g, Expr::GroupingSet(_))) {
                return None;
            }
            let mut all = groups.iter().chain(&node.aggr_expr);
            of_expr(all.nth(place)?, &node.input, found)
        }
        LogicalPlan::Join(node) => {
            let of_left = node.left.schema().fields().len();
            let only_right = matches!(
                node.join_type,
                JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark
            );
            let only_left = matches!(
                node.join_type,
                JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark
            );
            match place.checked_sub(of_left) {
                _ if only_right => of_column_if_any(&node.right, place, found),
                None => of_column(&node.left, place, found),
                Some(place) if !only_left => of_column_if_any(&node.right, place, found),
                Some(_) => None,
            }
        }
        LogicalPlan::Union(node) => {
            let mut inputs = node.inputs.iter();
            inputs.try_for_each(|input| of_column(input, place, found))
        }
        LogicalPlan::Unnest(node) => {
            let place = node.dependency_indices.get(place)?;
            of_column(&node.input, *place, found)
        }
        LogicalPlan::Values(node) => {
            let mut rows = node.values.iter();
            rows.try_for_each(|row| of_expr(row.get(place)?, plan, found))
        }
        // What a recursive query has so far comes from where its first rows come from.
        LogicalPlan::TableScan(scan) if is_worktable(scan) => Some(()),
        LogicalPlan::TableScan(scan) => {
            found.push(of_table(scan, place)?);
            Some(())
        }
        _ => None,
    }
}

fn of_column_if_any(plan: &LogicalPlan, place: usize, found: &mut Vec<Origin>) -> Option<()> {
    let exists = place < plan.schema().fields().len();
    exists.then(|| of_column(plan, place, found)).flatten()
}

fn is_worktable(scan: &TableScan) -> bool {
    let provider = source_as_provider(&scan.source);
    provider.is_ok_and(|provider| (provider.as_ref() as &dyn Any).is::<CteWorkTable>())
}

fn of_table(scan: &TableScan, place: usize) -> Option<Origin> {
    let field = scan.projected_schema.fields().get(place)?;
    if !is_text(field.data_type()) {
        return None;
    }
    let table = source_as_provider(&scan.source).ok()?;
    Some(Origin::of_column(table, field.name()))
}
