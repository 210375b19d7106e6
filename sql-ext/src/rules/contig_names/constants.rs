//! Constants that are compared with contigs.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode as _, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result as DfResult, ScalarValue};
use datafusion::execution::SessionState;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{BinaryExpr, Expr, Like, LogicalPlan, Operator, lit};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use genokura_core::contig::{
    ContigNames, canonical_key, names_contigs, odd_key, spelling as spelling_of_name, suggest,
    usual_name,
};
use genokura_core::region::Region;

use super::origin::{Origin, origins, spelling, texts};
use super::pairs;
use crate::contigs::names;
use crate::error::Error;

/// Constants that one expression compares with contigs of these origins.
pub(super) struct Compared {
    pub(super) origins: Vec<Origin>,
    names: Vec<String>,
    /// They are regions, which find both usual names.
    region: bool,
    /// What is asked of a name, instead of the names.
    pattern: Option<Pattern>,
}

/// A condition on a contig and constants alone, which no name may meet as a table spells it: `contig LIKE 'chr%'`.
struct Pattern {
    condition: Expr,
    contig: Expr,
}

impl Pattern {
    /// Whether a name meets the condition.
    fn holds(&self, name: &str) -> bool {
        let named = self.condition.clone().transform_down(|part| {
            Ok(match part == self.contig {
                true => Transformed::yes(lit(name)),
                false => Transformed::no(part),
            })
        });
        let held = named.ok().and_then(|named| folded(named.data));
        matches!(held, Some(ScalarValue::Boolean(Some(true))))
    }

    /// The human primaries under names that meet the condition: those of a table, which has these contigs if they are
    /// known, and spells the primaries so; and those that it spells otherwise, each with its name there.
    fn names(&self, contigs: Option<&[String]>, told: Option<&str>) -> Asked {
        let of_table = |key: &str| match (contigs, told) {
            (Some(contigs), _) => {
                let mut own = contigs.iter();
                own.find(|c| canonical_key(c) == Some(key)).cloned()
            }
            (None, Some("chr")) => Some(ContigNames::Chr.of(key).into_owned()),
            (None, Some("")) => Some(ContigNames::Plain.of(key).into_owned()),
            (None, _) => None,
        };
        let mut asked = Asked::default();
        for key in PRIMARIES {
            let Some(own) = of_table(key) else { continue };
            if self.holds(&own) {
                asked.fitting.push(key.to_owned());
                continue;
            }
            let others = [ContigNames::Chr.of(key), ContigNames::Plain.of(key)];
            if let Some(other) = others.iter().find(|other| self.holds(other)) {
                let error = Error::ContigNamed {
                    name: other.clone().into_owned(),
                    known: own,
                };
                asked.wrong.push((key.to_owned(), error));
            }
        }
        // Another contig that meets it is what is asked for.
        let meets = |contig: &String| canonical_key(contig).is_none() && self.holds(contig);
        if !asked.wrong.is_empty() && contigs.is_some_and(|contigs| contigs.iter().any(meets)) {
            asked.wrong.clear();
        }
        asked
    }
}

/// What a table makes of a pattern.
#[derive(Default)]
struct Asked {
    fitting: Vec<String>,
    wrong: Vec<(String, Error)>,
}

/// The human primaries by their keys.
const PRIMARIES: [&str; 25] = [
    "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16", "17",
    "18", "19", "20", "21", "22", "X", "Y", "MT",
];

impl Compared {
    /// Whether functions or rows in memory must be asked.
    pub(super) fn is_made(&self) -> bool {
        let of_primary =
            |name: &String| spelling_of_name(name).is_some() || usual_name(name).is_some();
        let asks = self.pattern.is_some() || self.names.iter().any(of_primary);
        asks && self.origins.iter().any(Origin::is_made)
    }
}

/// Rows of constants that are joined with contigs of these tables, if they spell the primaries in several ways: each
/// constant is judged then. Those of one spelling tell how the side is spelled, as a table does.
pub(super) fn listed(names: &[Origin], of: &[Origin]) -> Option<Compared> {
    let column = |origin: &Origin| matches!(origin, Origin::Column { .. });
    if !of.iter().all(column) {
        return None;
    }
    let names = names.iter().map(|origin| match origin {
        Origin::Names(names) => Some(names.as_slice()),
        _ => None,
    });
    let names = names.collect::<Option<Vec<_>>>()?.concat();
    let mut spelled = names.iter().filter_map(|name| spelling_of_name(name));
    let first = spelled.next()?;
    let mixed = spelled.any(|spelling| spelling != first);
    mixed.then(|| Compared {
        origins: of.to_vec(),
        names,
        region: false,
        pattern: None,
    })
}

/// What is wrong with the constants of a node of a plan, as far as the schemas of tables tell.
///
/// # Errors
/// [`Error::ContigNamed`], [`Error::UnknownContig`].
pub(super) fn check(node: &LogicalPlan) -> DfResult<()> {
    let inputs = node.inputs();
    node.apply_expressions(|expr| {
        let compared = of(expr, &inputs);
        let told = |of: &Compared| {
            let told = of.origins.iter().map(|origin| match origin {
                Origin::Column { told, unusual, .. } => Told {
                    spelled: told.clone(),
                    unusual: unusual.clone(),
                },
                _ => Told::default(),
            });
            told.collect()
        };
        let judged: Vec<_> = compared.iter().map(|of| (of, told(of))).collect();
        refuse(&judged)?;
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(())
}

/// The same of constants beside the results of functions and rows in memory.
pub(super) async fn check_made(compared: &[Compared], state: &SessionState) -> DfResult<()> {
    let mut judged: Vec<(&Compared, Vec<Told>)> = Vec::new();
    for of in compared {
        let mut told = Vec::new();
        for origin in &of.origins {
            let spelled = spelling(std::slice::from_ref(origin), state).await?;
            let unusual = match spelled {
                Some(_) => origin.unusual().await?,
                None => None,
            };
            told.push(Told { spelled, unusual });
        }
        judged.push((of, told));
    }
    refuse(&judged)
}

/// Puts the contigs of the regions of a plan in braces, where a dataset has contigs whose names hold `:` and so tells
/// what is meant.
///
/// # Errors
/// [`Error::Region`] for a text that is the name of one of its contigs and a span of another.
pub(super) fn braced(plan: LogicalPlan) -> DfResult<Transformed<LogicalPlan>> {
    plan.transform_down_with_subqueries(|node| {
        let mut known = Vec::new();
        for expr in node.expressions() {
            let inputs = node.inputs();
            expr.apply(|part| {
                known.extend(colons_of_region(part, &inputs));
                Ok(TreeNodeRecursion::Continue)
            })?;
        }
        if known.is_empty() {
            return Ok(Transformed::no(node));
        }
        let names = NamePreserver::new(&node);
        node.map_expressions(|expr| {
            let name = names.save(&expr);
            let expr = expr.transform_up(|part| with_braces(part, &known))?;
            Ok(expr.update_data(|expr| name.restore(expr)))
        })
    })
}

/// Calls of `in_region` with the contigs that their rows can be of.
type OfDatasets = (Expr, Vec<String>);

/// The call with its region in braces.
fn with_braces(part: Expr, known: &[OfDatasets]) -> DfResult<Transformed<Expr>> {
    let Some((_, contigs)) = known.iter().find(|(call, _)| *call == part) else {
        return Ok(Transformed::no(part));
    };
    let Expr::ScalarFunction(mut function) = part else {
        return Ok(Transformed::no(part));
    };
    if let Some(region) = function.args.get_mut(3)
        && let Some([text]) = constant(region).as_deref()
    {
        let meant = Region::parse_with(text, contigs).map_err(Error::Region)?;
        *region = lit(meant.to_string());
    }
    Ok(Transformed::yes(Expr::ScalarFunction(function)))
}

/// A call of `in_region` with a constant region of contigs of datasets some of which hold `:`.
fn colons_of_region(part: &Expr, inputs: &[&LogicalPlan]) -> Option<OfDatasets> {
    let Expr::ScalarFunction(function) = part else {
        return None;
    };
    let ("in_region", [contig, _, _, region]) = (function.name(), &function.args[..]) else {
        return None;
    };
    let texts = constant(region)?;
    let origins = inputs.iter().find_map(|input| origins(contig, input))?;
    let contigs: Option<Vec<Vec<String>>> = origins.iter().map(Origin::contigs).collect();
    let contigs = contigs?.concat();
    let holds = contigs.iter().any(|contig| contig.contains(':'));
    (holds && texts.len() == 1).then(|| (part.clone(), contigs))
}

/// The comparisons of an expression over the rows of some inputs.
pub(super) fn of(expr: &Expr, inputs: &[&LogicalPlan]) -> Vec<Compared> {
    let mut found = Vec::new();
    let visited = expr.apply(|part| {
        collect(part, inputs, &mut found);
        Ok(TreeNodeRecursion::Continue)
    });
    // Nothing in it fails.
    visited.map_or_else(|_| Vec::new(), |_| found)
}

fn collect(part: &Expr, inputs: &[&LogicalPlan], found: &mut Vec<Compared>) {
    // What the constants are is asked only where a contig stands beside them.
    let mut compared = |contig: &Expr, constants: &[&Expr], region: bool| {
        let from = inputs.iter().find_map(|input| origins(contig, input));
        let of_tables = |origins: &Vec<Origin>| {
            let column = |origin: &Origin| matches!(origin, Origin::Column { .. });
            origins.iter().all(column)
        };
        let Some(origins) = from.filter(of_tables) else {
            return;
        };
        let names: Option<Vec<_>> = constants.iter().map(|expr| constant(expr)).collect();
        let mut names = names.unwrap_or_default().concat();
        if region {
            // A text that is no region is refused where it is read.
            names.retain(|text| Region::readings(text).is_ok());
        }
        if !names.is_empty() {
            found.push(Compared {
                origins,
                names,
                region,
                pattern: None,
            });
        }
    };
    match part {
        Expr::BinaryExpr(binary) if is_equality(binary.op) => {
            for (left, right) in pairs(&binary.left, &binary.right) {
                compared(left, &[right], false);
                compared(right, &[left], false);
            }
        }
        Expr::InList(list) => {
            let rows = list.list.iter().map(|item| pairs(&list.expr, item));
            let rows: Vec<Vec<_>> = rows.collect();
            for place in 0..rows.first().map_or(0, Vec::len) {
                let items: Vec<_> = rows.iter().filter_map(|row| row.get(place)).collect();
                let constants: Vec<&Expr> = items.iter().map(|(_, constant)| *constant).collect();
                if let Some((contig, _)) = items.first() {
                    compared(contig, &constants, false);
                }
            }
        }
        Expr::Like(like) => {
            let says_all = |text: &String| !text.contains(['%', '_', '\\']);
            if constant(&like.pattern).is_some_and(|texts| texts.iter().all(says_all)) {
                compared(&like.expr, &[&like.pattern], false);
            }
        }
        Expr::Case(case) => {
            let Some(contig) = &case.expr else { return };
            let constants = case.when_then_expr.iter().map(|(when, _)| when.as_ref());
            compared(contig, &constants.collect::<Vec<_>>(), false);
        }
        Expr::ScalarFunction(function) => match (function.name(), &function.args[..]) {
            ("array_has", [list, contig]) => compared(contig, &[list], false),
            ("array_position" | "array_positions", [list, contig, ..]) => {
                compared(contig, &[list], false);
                compared(list, &[contig], false);
            }
            ("array_has_any" | "array_has_all", [one, other]) => {
                compared(one, &[other], false);
                compared(other, &[one], false);
            }
            ("interval_overlaps", [one, _, _, other, _, _]) => {
                compared(one, &[other], false);
                compared(other, &[one], false);
            }
            ("in_region", [contig, _, _, region]) => compared(contig, &[region], true),
            _ => {}
        },
        _ => {}
    }
    found.extend(pattern(part, inputs));
}

/// A condition on what a contig looks like; `NOT` of it asks the same.
fn pattern(part: &Expr, inputs: &[&LogicalPlan]) -> Option<Compared> {
    let (value, condition) = match part {
        Expr::Like(like) => {
            let plain = Like {
                negated: false,
                ..like.clone()
            };
            (like.expr.as_ref(), Expr::Like(plain))
        }
        Expr::BinaryExpr(binary) => {
            let op = match binary.op {
                Operator::RegexMatch | Operator::RegexNotMatch => Operator::RegexMatch,
                Operator::RegexIMatch | Operator::RegexNotIMatch => Operator::RegexIMatch,
                Operator::Eq | Operator::NotEq if is_changed(&binary.left) => Operator::Eq,
                Operator::Eq | Operator::NotEq if is_changed(&binary.right) => {
                    let (left, right) = (binary.right.clone(), binary.left.clone());
                    let plain = BinaryExpr::new(left, Operator::Eq, right);
                    return of_pattern(&binary.right, Expr::BinaryExpr(plain), inputs);
                }
                _ => return None,
            };
            let plain = BinaryExpr {
                op,
                ..binary.clone()
            };
            (binary.left.as_ref(), Expr::BinaryExpr(plain))
        }
        Expr::InList(list) if is_changed(&list.expr) => {
            let plain = InList {
                negated: false,
                ..list.clone()
            };
            (list.expr.as_ref(), Expr::InList(plain))
        }
        Expr::ScalarFunction(function) if function.name() == "starts_with" => {
            (function.args.first()?, part.clone())
        }
        _ => return None,
    };
    of_pattern(value, condition, inputs)
}

/// A condition on a value of a contig, if there is one contig in it and nothing else that varies.
fn of_pattern(value: &Expr, condition: Expr, inputs: &[&LogicalPlan]) -> Option<Compared> {
    let mut columns = condition.column_refs().into_iter();
    let (Some(column), None) = (columns.next(), columns.next()) else {
        return None;
    };
    let contig = Expr::Column(column.clone());
    let spoken = value.column_refs().contains(column);
    let from = inputs.iter().find_map(|input| origins(&contig, input));
    // What looks like contigs where nothing says so may be something else.
    let column = |origin: &Origin| match origin {
        Origin::Column { column, told, .. } => told.is_some() || names_contigs(column),
        _ => false,
    };
    let origins = from.filter(|from| spoken && from.iter().all(column))?;
    Some(Compared {
        origins,
        names: Vec::new(),
        region: false,
        pattern: Some(Pattern { condition, contig }),
    })
}

/// Whether a value is the front of a text, or the text in another case.
fn is_changed(value: &Expr) -> bool {
    match value {
        Expr::ScalarFunction(function) => {
            matches!(
                function.name(),
                "left" | "substr" | "substring" | "upper" | "lower"
            )
        }
        Expr::Cast(cast) => is_changed(&cast.expr),
        _ => false,
    }
}

fn is_equality(op: Operator) -> bool {
    matches!(
        op,
        Operator::Eq | Operator::NotEq | Operator::IsDistinctFrom | Operator::IsNotDistinctFrom
    )
}

/// The texts of a constant expression, or of the elements of a constant array; none of what is no constant.
pub(super) fn constant(expr: &Expr) -> Option<Vec<String>> {
    if let Expr::Literal(value, _) = expr {
        return texts(value);
    }
    let varies = |part: &Expr| {
        Ok(part.is_volatile_node()
            || matches!(
                part,
                Expr::Column(_)
                    | Expr::OuterReferenceColumn(..)
                    | Expr::Placeholder(_)
                    | Expr::ScalarSubquery(_)
                    | Expr::InSubquery(_)
                    | Expr::Exists(_)
                    | Expr::SetComparison(_)
                    | Expr::AggregateFunction(_)
                    | Expr::WindowFunction(_)
            ))
    };
    if expr.exists(varies).ok()? {
        return None;
    }
    texts(&folded(expr.clone())?)
}

/// The value of an expression of constants.
fn folded(expr: Expr) -> Option<ScalarValue> {
    let info = SimplifyContext::builder().with_schema(Arc::new(DFSchema::empty()));
    match ExprSimplifier::new(info.build()).simplify(expr).ok()? {
        Expr::Literal(value, _) => Some(value),
        _ => None,
    }
}

/// What a table tells of its contigs.
#[derive(Default)]
struct Told {
    /// How it spells the human primaries.
    spelled: Option<String>,
    /// Its names of them that other tables do not use, where all are known.
    unusual: Option<BTreeSet<String>>,
}

/// What a table makes of a name.
enum Judged {
    /// It may hold it, or nothing is known.
    Fits,
    /// It calls this contig otherwise.
    Named(String),
    /// It has no such contig; the nearest.
    Lacks(Option<String>),
}

/// Refuses names that none of their tables can hold, unless the same expression asks for the contig by its name there.
fn refuse(judged: &[(&Compared, Vec<Told>)]) -> DfResult<()> {
    let mut fitting: BTreeSet<String> = BTreeSet::new();
    let mut wrong: Vec<(String, Error)> = Vec::new();
    for (compared, told) in judged {
        let contigs: Vec<_> = compared.origins.iter().map(Origin::contigs).collect();
        if let Some(pattern) = &compared.pattern {
            let mut all = Vec::new();
            for (contigs, told) in contigs.iter().zip(told) {
                all.push(pattern.names(contigs.as_deref(), told.spelled.as_deref()));
            }
            // One that tells nothing may hold it.
            let every = all.iter().all(|asked| !asked.wrong.is_empty());
            for asked in all {
                fitting.extend(asked.fitting);
                wrong.extend(asked.wrong.into_iter().filter(|_| every));
            }
            continue;
        }
        for text in &compared.names {
            let name = &match compared.region {
                true => contig_of(text),
                false => text.clone(),
            };
            let key = canonical_key(name).or_else(|| odd_key(name));
            let key = key.unwrap_or(name).to_owned();
            let mut worst = None;
            let origins = contigs.iter().zip(told);
            let all = origins
                .map(|(contigs, told)| judge(text, contigs.as_deref(), told, compared.region))
                .try_for_each(|judged| match judged {
                    Judged::Fits => ControlFlow::Break(()),
                    judged => {
                        worst.get_or_insert(judged);
                        ControlFlow::Continue(())
                    }
                });
            let name = name.clone();
            match (all, worst) {
                (ControlFlow::Continue(()), Some(Judged::Named(known))) => {
                    wrong.push((key, Error::ContigNamed { name, known }));
                }
                (ControlFlow::Continue(()), Some(Judged::Lacks(nearest))) => {
                    wrong.push((key, Error::UnknownContig { name, nearest }));
                }
                _ => {
                    fitting.insert(key);
                }
            }
        }
    }
    let patterns = judged
        .iter()
        .any(|(compared, _)| compared.pattern.is_some());
    if patterns && !fitting.is_empty() {
        // Some of what a pattern asks for is there.
        return Ok(());
    }
    let refused = wrong.into_iter().find(|(key, _)| !fitting.contains(key));
    refused.map_or(Ok(()), |(_, error)| Err(error.into()))
}

/// The contig of a region, as it is told of: the last that it can mean.
fn contig_of(region: &str) -> String {
    let readings = Region::readings(region).unwrap_or_default();
    let last = readings.into_iter().next_back();
    last.map_or_else(|| region.to_owned(), |region| region.contig)
}

/// What a table makes of a name (or of a region): one with these contigs, if it is of a dataset, that spells them so, if it tells.
fn judge(name: &str, contigs: Option<&[String]>, told: &Told, region: bool) -> Judged {
    let asked = match region {
        true => {
            let readings = Region::readings(name).unwrap_or_default();
            let contigs = readings.into_iter().map(|region| region.contig);
            contigs.flat_map(names).collect()
        }
        false => vec![name.to_owned()],
    };
    let of_region = region.then(|| contig_of(name));
    let name = of_region.as_deref().unwrap_or(name);
    if let Some(contigs) = contigs {
        if contigs.iter().any(|contig| asked.contains(contig)) {
            return Judged::Fits;
        }
        let known: Vec<&str> = contigs.iter().map(String::as_str).collect();
        if region {
            return Judged::Lacks(suggest(name, &known).map(str::to_owned));
        }
        let key = canonical_key(name);
        let key = key.or_else(|| odd_key(name));
        let same = known
            .iter()
            .find(|c| key.is_some() && canonical_key(c) == key);
        if let Some(same) = same {
            return Judged::Named((*same).to_owned());
        }
    }
    let Some(spelled) = told.spelled.as_deref() else {
        return Judged::Fits;
    };
    // The unusual names that it has are those that it tells.
    let may_be = |name: &String| match (&told.unusual, usual_name(name)) {
        (Some(unusual), Some(_)) => unusual.contains(name),
        _ => spelling_of_name(name).is_none_or(|of_name| of_name == spelled),
    };
    if asked.iter().any(may_be) {
        return Judged::Fits;
    }
    Judged::Named(match spelled {
        "chr" => ContigNames::Chr.of(name).into_owned(),
        "" => ContigNames::Plain.of(name).into_owned(),
        accession => format!("{accession}…"),
    })
}
