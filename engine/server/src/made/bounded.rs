//! Functions called so that what they make has an end.

use std::hash::Hash;
use std::ops::Range;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef};
use datafusion::arrow::compute::concat;
use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode as _};
use datafusion::common::{DFSchema, DataFusionError, Result, ScalarValue};
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::preimage::PreimageResult;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ExpressionPlacement, LogicalPlan, Operator,
    ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, StructFieldMapping,
};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

use super::kinds::{self, Kind};
use super::{Made, holding, joined, windows};
use crate::session::heed;

/// What so many bytes are made of is not looked at further.
const FREE: usize = 1 << 20;
/// So many are made at once.
const WHOLE: usize = 32 << 20;
/// And so many at a time where it would be more.
const SLICE: usize = 8 << 20;
/// A constant of so few bytes is not counted.
const SHORT: usize = 4096;

/// The same context, whose optimiser has functions called so. It comes first: what is constant is computed next.
pub(crate) fn bounding(context: &SessionContext) -> SessionContext {
    let state = context.state();
    let rule: Arc<dyn OptimizerRule + Send + Sync> = Arc::new(BoundedFunctions);
    let rules = std::iter::once(rule).chain(state.optimizers().iter().cloned());
    let rules = rules.collect();
    let builder = SessionStateBuilder::new_from_existing(state);
    SessionContext::new_with_state(builder.with_optimizer_rules(rules).build())
}

#[derive(Debug)]
struct BoundedFunctions;

impl OptimizerRule for BoundedFunctions {
    fn name(&self) -> &'static str {
        "bounded_functions"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        let mut schema: Option<DFSchema> = None;
        let inputs: Vec<_> = plan
            .inputs()
            .iter()
            .map(|input| Arc::clone(input.schema()))
            .collect();
        let names = NamePreserver::new(&plan);
        let options = config.options();
        plan.map_expressions(|expr| {
            if !expr.exists(|part| Ok(may_change(part)))? {
                return Ok(Transformed::no(expr));
            }
            let schema = schema.get_or_insert_with(|| {
                let mut all = DFSchema::empty();
                for input in &inputs {
                    all.merge(input);
                }
                all
            });
            let name = names.save(&expr);
            let changed = within(expr, schema, &options)?;
            Ok(changed.update_data(|expr| name.restore(expr)))
        })
    }
}

/// An expression, whose functions are called so.
fn within(
    expr: Expr,
    schema: &DFSchema,
    options: &Arc<ConfigOptions>,
) -> Result<Transformed<Expr>> {
    expr.transform_down(|part| {
        if let Some(parts) = joined::parts(&part, schema) {
            let call = ScalarFunction::new_udf(bounded(joined::function(), Kind::Times(1)), parts);
            return Ok(Transformed::yes(Expr::ScalarFunction(call)));
        }
        match part {
            Expr::WindowFunction(window) if windows::grows(&window) => {
                Ok(Transformed::yes(windows::watched(window, options)))
            }
            part => Ok(called(part)),
        }
    })
}

/// A call, called so.
fn called(expr: Expr) -> Transformed<Expr> {
    let Expr::ScalarFunction(mut call) = expr else {
        return Transformed::no(expr);
    };
    match kind_of_call(&call) {
        Some(kind) => {
            call.func = bounded(call.func, kind);
            Transformed::yes(Expr::ScalarFunction(call))
        }
        None => Transformed::no(Expr::ScalarFunction(call)),
    }
}

fn may_change(expr: &Expr) -> bool {
    match expr {
        Expr::ScalarFunction(call) => kind_of_call(call).is_some(),
        Expr::WindowFunction(window) => windows::grows(window),
        Expr::BinaryExpr(binary) => binary.op == Operator::StringConcat,
        _ => false,
    }
}

/// How a call is reckoned; `None` where it is no matter, or done already.
fn kind_of_call(call: &ScalarFunction) -> Option<Kind> {
    if call.func.inner().downcast_ref::<Bounded>().is_some() {
        return None;
    }
    // A list of constants is as long as it is written.
    let written = call.args.iter().all(|arg| matches!(arg, Expr::Literal(..)));
    if written && call.func.name() == "make_array" {
        return None;
    }
    kinds::of(&call.func)
}

fn bounded(inner: Arc<ScalarUDF>, kind: Kind) -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::new_from_impl(Bounded { inner, kind }))
}

/// A function that is called so.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Bounded {
    inner: Arc<ScalarUDF>,
    kind: Kind,
}

impl Bounded {
    /// Makes values, a few rows at a time, and takes memory for them.
    fn made(&self, args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
        let made = Made::within(&args.config_options);
        let single = is_single(args);
        let rows = if single { 1 } else { args.number_rows };
        let reckoned = self.reckoned(args, rows, &made)?;
        let mut arrays = Vec::new();
        for range in ranges(&reckoned) {
            heed(&args.config_options)?;
            let bytes = reckoned.get(range.clone()).unwrap_or_default();
            let bytes = bytes
                .iter()
                .fold(0, |sum: usize, of| sum.saturating_add(*of));
            // Of one row it is what will be made; of the evaluator, what it has beside.
            let before = match self.kind {
                Kind::Times(_) => 0,
                _ if range.len() == 1 => bytes,
                Kind::Evaluated => bytes,
                _ => 0,
            };
            let held = made.take(self.name(), before)?;
            let given = if single {
                args.clone()
            } else {
                sliced(args, &range)
            };
            let value = self.inner.invoke_with_args(given.clone())?;
            let array = match &value {
                ColumnarValue::Array(array) => Arc::clone(array),
                ColumnarValue::Scalar(value) => value.to_array()?,
            };
            let bytes = holding::made(&array, &given.args);
            if range.len() <= 1 && bytes / 2 > made.most_of_value() {
                return Err(made.too_long(self.name(), bytes));
            }
            if single {
                made.keep(if bytes > SHORT { bytes } else { 0 })?;
                return Ok(value);
            }
            let array = match value {
                ColumnarValue::Array(_) => array,
                ColumnarValue::Scalar(value) => value.to_array_of_size(range.len())?,
            };
            arrays.push(match held {
                Some(held) if bytes > FREE => {
                    held.try_resize(bytes)?;
                    holding::holding(&array, held)?
                }
                _ => array,
            });
        }
        self.whole(arrays, &made).map(ColumnarValue::Array)
    }

    /// The bytes of each row, of which none is too long.
    fn reckoned(&self, args: &ScalarFunctionArgs, rows: usize, made: &Made) -> Result<Vec<usize>> {
        let mut reckoned = self.kind.of_rows(args, rows)?;
        let most = made.most_of_value();
        for (row, bytes) in reckoned.iter_mut().enumerate() {
            if *bytes <= SLICE {
                continue;
            }
            let Some(exact) = self.kind.of_row(args, row, *bytes)? else {
                continue;
            };
            if exact > most {
                return Err(made.too_long(self.name(), exact));
            }
            *bytes = exact;
        }
        Ok(reckoned)
    }

    /// What was made a few rows at a time as one array.
    fn whole(&self, mut arrays: Vec<ArrayRef>, made: &Made) -> Result<ArrayRef> {
        match (arrays.pop(), arrays.is_empty()) {
            (Some(last), true) => Ok(last),
            (Some(last), false) => {
                arrays.push(last);
                let bytes = arrays.iter().map(|array| holding::made(array, &[]));
                let bytes = bytes.fold(0, usize::saturating_add);
                if i32::try_from(bytes).is_err() {
                    return Err(super::too_much(bytes));
                }
                let held = made.take(self.name(), bytes)?;
                let arrays: Vec<&dyn Array> = arrays.iter().map(AsRef::as_ref).collect();
                let whole = concat(&arrays)?;
                match held {
                    Some(held) => holding::holding(&whole, held),
                    None => Ok(whole),
                }
            }
            (None, _) => Err(DataFusionError::Internal("no rows to call for".to_owned())),
        }
    }
}

fn is_single(args: &ScalarFunctionArgs) -> bool {
    let mut values = args.args.iter();
    values.all(|value| matches!(value, ColumnarValue::Scalar(_)))
}

fn sliced(args: &ScalarFunctionArgs, rows: &Range<usize>) -> ScalarFunctionArgs {
    let values = args.args.iter().map(|value| match value {
        ColumnarValue::Array(array) => ColumnarValue::Array(array.slice(rows.start, rows.len())),
        ColumnarValue::Scalar(_) => value.clone(),
    });
    ScalarFunctionArgs {
        args: values.collect(),
        arg_fields: args.arg_fields.clone(),
        number_rows: rows.len(),
        return_field: Arc::clone(&args.return_field),
        config_options: Arc::clone(&args.config_options),
    }
}

/// Which rows are called for at a time.
fn ranges(bytes: &[usize]) -> Vec<Range<usize>> {
    let all = bytes
        .iter()
        .fold(0, |sum: usize, of| sum.saturating_add(*of));
    if all <= WHOLE {
        return Vec::from([Range {
            start: 0,
            end: bytes.len(),
        }]);
    }
    let (mut ranges, mut from, mut sum) = (Vec::new(), 0, 0_usize);
    for (row, bytes) in bytes.iter().enumerate() {
        sum = sum.saturating_add(*bytes);
        if sum > SLICE && row > from {
            ranges.push(from..row);
            (from, sum) = (row, *bytes);
        }
    }
    ranges.push(from..bytes.len());
    ranges
}

impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        self.inner.schema_name(args)
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn with_updated_config(&self, config: &ConfigOptions) -> Option<ScalarUDF> {
        let inner = self.inner.inner().with_updated_config(config)?;
        Some(ScalarUDF::new_from_impl(Bounded {
            inner: Arc::new(inner),
            kind: self.kind,
        }))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn is_strict(&self) -> bool {
        self.inner.is_strict()
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if self.kind.of_all(&args)? <= FREE {
            return self.inner.invoke_with_args(args);
        }
        self.made(&args)
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        Ok(match self.inner.inner().simplify(args, info)? {
            ExprSimplifyResult::Simplified(expr) => {
                let expr = expr.transform_down(|part| Ok(called(part)))?;
                ExprSimplifyResult::Simplified(expr.data)
            }
            original @ ExprSimplifyResult::Original(_) => original,
        })
    }

    fn preimage(
        &self,
        args: &[Expr],
        literal: &Expr,
        info: &SimplifyContext,
    ) -> Result<PreimageResult> {
        self.inner.inner().preimage(args, literal, info)
    }

    fn short_circuits(&self) -> bool {
        self.inner.short_circuits()
    }

    fn conditional_arguments<'a>(
        &self,
        args: &'a [Expr],
    ) -> Option<(Vec<&'a Expr>, Vec<&'a Expr>)> {
        self.inner.conditional_arguments(args)
    }

    fn evaluate_bounds(&self, inputs: &[&Interval]) -> Result<Interval> {
        self.inner.evaluate_bounds(inputs)
    }

    fn propagate_constraints(
        &self,
        interval: &Interval,
        inputs: &[&Interval],
    ) -> Result<Option<Vec<Interval>>> {
        self.inner.propagate_constraints(interval, inputs)
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        self.inner.output_ordering(inputs)
    }

    fn preserves_lex_ordering(&self, inputs: &[ExprProperties]) -> Result<bool> {
        self.inner.preserves_lex_ordering(inputs)
    }

    fn strictly_order_preserving(&self, inputs: &[ExprProperties]) -> Result<bool> {
        self.inner.strictly_order_preserving(inputs)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(types)
    }

    fn struct_field_mapping(&self, literals: &[Option<ScalarValue>]) -> Option<StructFieldMapping> {
        self.inner.struct_field_mapping(literals)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }

    fn placement(&self, args: &[ExpressionPlacement]) -> ExpressionPlacement {
        self.inner.placement(args)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use datafusion::arrow::record_batch::RecordBatch;
    use datafusion::arrow::util::pretty::pretty_format_batches;
    use datafusion::execution::config::SessionConfig;
    use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryPool};
    use datafusion::execution::session_state::SessionStateBuilder as Builder;

    use super::*;
    use crate::sqlstate::ServerError;

    /// A context whose statements may hold 64 MB in functions, and the memory that they take it from.
    fn context() -> (SessionContext, Arc<dyn MemoryPool>) {
        let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(1 << 30));
        // Rows that are dealt out are copied.
        let config = SessionConfig::new().with_target_partitions(1);
        let builder = Builder::new().with_config(config);
        let mut state = builder.with_default_features().build();
        let options = state.config_mut().options_mut();
        options.extensions.insert(Made::of(&pool, Some(32_000_000)));
        (bounding(&SessionContext::new_with_state(state)), pool)
    }

    async fn run(context: &SessionContext, sql: &str) -> Result<Vec<RecordBatch>, ServerError> {
        let frame = context.sql(sql).await?;
        Ok(frame.collect().await?)
    }

    #[tokio::test]
    async fn what_is_too_long_is_told_before_it_is_made() {
        let (context, _pool) = context();
        let a = "arrow_cast(repeat('a', value::bigint * 100000), 'Utf8')";
        for (made, code) in [
            (format!("replace({a}, 'a', repeat('b', 40000))"), "54000"),
            (format!("replace({a}, 'a', repeat('b', 1000))"), "53200"),
            (
                format!("regexp_replace({a}, 'a', repeat('b', 40000), 'g')"),
                "54000",
            ),
            (
                format!("regexp_replace({a}, '(a)', repeat('$1', 40000), 'g')"),
                "54000",
            ),
            (format!("lpad({a}, 100000000)"), "54000"),
            (
                format!("array_to_string(string_to_array({a}, null), repeat('y', 40000))"),
                "54000",
            ),
            (format!("array_repeat({a}, 1000)"), "53200"),
            (format!("array_resize([{a}], 1000, {a})"), "53200"),
        ] {
            let sql = format!("select {made} from generate_series(1, 2) where value < 2");
            let error = run(&context, &sql).await.unwrap_err();
            assert_eq!(error.code(), code, "{made}: {error}");
        }
        let doubled = "(t || t || t || t || t || t || t || t)";
        let sql = format!(
            "select length({doubled} || {doubled}) from (select {a} || repeat('b', 9000000) t from generate_series(1, 1))"
        );
        assert_eq!(run(&context, &sql).await.unwrap_err().code(), "53200");
    }

    #[tokio::test]
    async fn what_fits_is_made() {
        let (context, _pool) = context();
        let a = "repeat('ab', value::bigint * 1000000)";
        for (made, length) in [
            (
                format!("replace({a}, 'c', repeat('d', 1000000))"),
                2_000_000,
            ),
            (format!("replace({a}, 'a', repeat('d', 20))"), 21_000_000),
            (
                format!("regexp_replace({a}, 'a', repeat('d', 100))"),
                2_000_099,
            ),
            (
                format!("regexp_replace({a}, '^(ab)', repeat('$1', 100))"),
                2_000_198,
            ),
            (format!("lpad({a}, 50000000)"), 50_000_000),
            (format!("upper({a}) || lower({a}) || {a}"), 6_000_000),
        ] {
            let sql = format!("select length({made}) from generate_series(1, 1)");
            let rows = run(&context, &sql).await.unwrap();
            let found = rows.first().unwrap().column(0);
            let found = ScalarValue::try_from_array(found, 0).unwrap().to_string();
            assert_eq!(found, length.to_string(), "{made}");
        }
    }

    #[tokio::test]
    async fn memory_is_held_as_long_as_what_was_made() {
        let (context, pool) = context();
        let wide = "replace(repeat('abcde', 200), 'a', value::text)";
        let of = |made: &str, rows: usize| {
            format!("select {made} as made from generate_series(1, {rows})")
        };
        let narrow = run(&context, &of("replace(value::text, '1', '2')", 8192)).await;
        assert_eq!(pool.reserved(), 0);
        drop(narrow);
        let rows = run(&context, &of(wide, 20_000)).await.unwrap();
        assert!(pool.reserved() > 30_000_000, "{}", pool.reserved());
        let part = rows.first().unwrap().slice(10, 1);
        drop(rows);
        let held = pool.reserved();
        assert!((8_000_000..20_000_000).contains(&held), "{held}");
        drop(part);
        assert_eq!(pool.reserved(), 0);
        // More than there is, in batches of which each would fit.
        let error = run(&context, &of(wide, 100_000)).await.unwrap_err();
        assert_eq!(error.code(), "53200", "{error}");
        assert_eq!(pool.reserved(), 0);
        // They are looked at one after the other.
        let longest = format!("select max(length(made)) from ({})", of(wide, 100_000));
        assert!(run(&context, &longest).await.is_ok());
        assert_eq!(pool.reserved(), 0);
    }

    #[tokio::test]
    async fn joined_texts_are_those_of_the_operator() {
        let (context, _pool) = context();
        let plain = SessionContext::new();
        let texts = "(values ('a', 'b', 1), (null, 'c', 2), ('', 'd', 3)) t(x, y, i)";
        for joined in [
            "x || y || 'z' || x",
            "x || (y || (x || 'é'))",
            "'a' || 'b'",
            "x || null",
            "arrow_cast(x, 'Utf8View') || y || 'long enough to have a buffer of its own'",
            "arrow_cast(x, 'LargeUtf8') || arrow_cast(y, 'LargeUtf8')",
            "x || i::text",
        ] {
            for sql in [
                format!("select {joined} as made from {texts} order by i"),
                format!("select {joined}, count(*) from {texts} group by {joined} order by 1"),
            ] {
                let ours = run(&context, &sql).await.unwrap();
                let theirs = run(&plain, &sql).await.unwrap();
                let shown = |rows: &[RecordBatch]| pretty_format_batches(rows).unwrap().to_string();
                assert_eq!(shown(&ours), shown(&theirs), "{sql}");
                let types = |rows: &[RecordBatch]| rows.first().map(RecordBatch::schema);
                assert_eq!(types(&ours), types(&theirs), "{sql}");
            }
        }
    }
}
