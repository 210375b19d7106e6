//! Types of parameters without one by what they are used as, as PostgreSQL's `parse_param.c` finds them: the first use in
//! the statement that wants a type gives it, and every later one is of that type.
//!
//! ```text
//! SELECT pos / $1 * $1, af > $1     $1: beside an integer first, and so integer in all three places
//! ```
//! What stands beside a parameter is a column mostly, whose type the planner tells. What a parameter within it is comes
//! first: `coalesce(af, $1) > $2`.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    self, AccessExpr, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, SelectItem, SetExpr,
    Subscript, VisitMut as _, VisitorMut,
};

use super::{null_of, placeholder, substitute, unnested};
use crate::pg_catalog::{self, Taken};
use crate::pg_types::{PgType, oid};
use crate::session::plan::PlanContext;
use crate::session::typed::Types;
use crate::session::{asked, rewrite};

/// How often the planner may be asked: what is told once may let it tell more.
const ROUNDS_MAX: usize = 8;

/// The types that parameters of no type have by their uses in a statement whose names are resolved.
pub(in crate::session) async fn used(
    context: &PlanContext,
    resolved: &ast::Statement,
    known: &[Option<PgType>],
) -> BTreeMap<usize, PgType> {
    let given = (1..).zip(known.iter().copied());
    let mut known: BTreeMap<usize, PgType> = given
        .clone()
        .filter_map(|(number, known)| Some((number, known?)))
        .collect();
    let mut found = BTreeMap::new();
    for _ in 0..ROUNDS_MAX {
        let mut statement = resolved.clone();
        let mut uses = Uses {
            known: &known,
            uses: Vec::new(),
            asked: 0,
        };
        let _: ControlFlow<()> = statement.visit(&mut uses);
        let (uses, asked) = (uses.uses, uses.asked);
        if uses.is_empty() {
            break;
        }
        let told = match asked {
            0 => BTreeMap::new(),
            _ => {
                let nulls = given.clone().map(|(number, _)| {
                    let null = known.get(&number).map(|known| null_of(*known));
                    (number, null.unwrap_or(Expr::value(ast::Value::Null)))
                });
                if substitute(&mut statement, &nulls.collect(), false).is_err() {
                    break;
                }
                Box::pin(asked::beside(context, statement)).await
            }
        };
        let more = settled(&uses, &told);
        if more.is_empty() {
            break;
        }
        known.extend(more.iter().map(|(number, ty)| (*number, *ty)));
        found.extend(more);
    }
    found
}

/// One of the values that an operator or a function is given.
enum Side {
    /// A parameter of no type.
    Open(usize),
    Known(u32),
    /// What the planner is asked for; it may hold parameters of no type.
    Asked(usize, bool),
}

/// Where parameters stand.
enum Use {
    /// The operands of an operator.
    Operands(String, [Side; 2]),
    /// `x op ANY ($1)`
    Quantified(String, Side, usize),
    /// `$1 op ANY (array)`
    Item(String, usize, Side),
    /// Arguments of a function.
    Call(String, Vec<Side>),
    /// Values that become one type.
    Alike(Vec<Side>),
    /// Where a type is wanted whatever stands beside.
    Wanted(usize, PgType),
}

impl Use {
    fn sides(&self) -> Vec<&Side> {
        match self {
            Use::Operands(_, sides) => sides.iter().collect(),
            Use::Quantified(_, side, _) | Use::Item(_, _, side) => vec![side],
            Use::Call(_, sides) | Use::Alike(sides) => sides.iter().collect(),
            Use::Wanted(..) => Vec::new(),
        }
    }

    fn open(&self) -> Vec<usize> {
        let own = match self {
            Use::Quantified(_, _, number) | Use::Item(_, number, _) | Use::Wanted(number, _) => {
                Some(*number)
            }
            _ => None,
        };
        let sides = self.sides().into_iter().filter_map(|side| match side {
            Side::Open(number) => Some(*number),
            _ => None,
        });
        sides.chain(own).collect()
    }

    /// The types that its parameters have by it, where the types of its sides are these.
    fn types(&self, sides: &[u32]) -> Vec<(usize, u32)> {
        let item = |array: u32| PgType::of_oid(array).element().map(|item| item.oid);
        match (self, sides) {
            (Use::Operands(name, pair), [left, right]) => {
                let taken = pg_catalog::operand_types(name, *left, *right);
                let taken = taken.filter(|(l, r)| is_one(*l) && is_one(*r));
                // An array beside one is of its type.
                let arrays = || match (item(*left), item(*right)) {
                    (Some(_), None) if *right == oid::UNKNOWN => Some((*left, *left)),
                    (None, Some(_)) if *left == oid::UNKNOWN => Some((*right, *right)),
                    _ => None,
                };
                match taken.or_else(arrays) {
                    Some((l, r)) => of_open(pair, &[l, r]),
                    None => Vec::new(),
                }
            }
            (Use::Quantified(name, _, number), [left]) => {
                let taken = pg_catalog::operand_types(name, *left, oid::UNKNOWN);
                let array = taken.map(|(_, item)| PgType::of_oid(item).array().oid);
                array.map(|array| (*number, array)).into_iter().collect()
            }
            (Use::Item(name, number, _), [array]) => {
                let taken = item(*array)
                    .and_then(|item| pg_catalog::operand_types(name, oid::UNKNOWN, item));
                taken.map(|(left, _)| (*number, left)).into_iter().collect()
            }
            (Use::Call(name, arguments), given) => {
                let given: Vec<Option<u32>> = given.iter().copied().map(Some).collect();
                let Taken::As {
                    arguments: taken, ..
                } = pg_catalog::taken(name, &given)
                else {
                    return Vec::new();
                };
                let taken: Vec<u32> = taken.iter().map(|ty| ty.unwrap_or(oid::UNKNOWN)).collect();
                of_open(arguments, &taken)
            }
            (Use::Alike(alike), types) => match pg_catalog::common_type(types) {
                Some(common) => of_open(alike, &vec![common; alike.len()]),
                None => Vec::new(),
            },
            (Use::Wanted(number, pg_type), _) => vec![(*number, pg_type.oid)],
            _ => Vec::new(),
        }
    }
}

/// Whether values may be of a type.
fn is_one(ty: u32) -> bool {
    let known = PgType::scalar(ty).is_some() || PgType::of_oid(ty).element().is_some();
    known && ty != oid::UNKNOWN
}

/// Whether the planner's word on parameters is not enough: something is computed of one, not only compared with it.
pub(in crate::session) fn are_computed_with(statement: &ast::Statement) -> bool {
    use ast::BinaryOperator::{And, Eq, Gt, GtEq, Lt, LtEq, NotEq, Or};
    let computed = ast::visit_expressions(statement, |expr| match expr {
        Expr::BinaryOp { left, op, right }
            if !matches!(op, And | Eq | Gt | GtEq | Lt | LtEq | NotEq | Or)
                && [left, right]
                    .into_iter()
                    .any(|side| placeholder(unnested(side)).is_some()) =>
        {
            ControlFlow::Break(())
        }
        _ => ControlFlow::Continue(()),
    });
    computed.is_break()
}

/// The types of those sides that are parameters.
fn of_open(sides: &[Side], types: &[u32]) -> Vec<(usize, u32)> {
    let pairs = sides.iter().zip(types);
    let open = pairs.filter_map(|(side, ty)| match side {
        Side::Open(number) => Some((*number, *ty)),
        _ => None,
    });
    open.collect()
}

/// The types that uses tell, in their order: one that waits for another type keeps its parameters for itself.
fn settled(uses: &[Use], told: &BTreeMap<usize, u32>) -> BTreeMap<usize, PgType> {
    let mut found: BTreeMap<usize, PgType> = BTreeMap::new();
    let mut waits = BTreeSet::new();
    for each in uses {
        let open = each.open();
        if open.iter().all(|number| found.contains_key(number)) {
            continue;
        }
        let types = each.sides().into_iter().map(|side| match side {
            Side::Open(number) => Some(found.get(number).map_or(oid::UNKNOWN, |ty| ty.oid)),
            Side::Known(ty) => Some(*ty),
            Side::Asked(_, true) => None,
            Side::Asked(number, false) => told.get(number).copied(),
        });
        let types: Option<Vec<u32>> = types.collect();
        let (Some(types), false) = (types, open.iter().any(|number| waits.contains(number))) else {
            waits.extend(open);
            continue;
        };
        for (number, ty) in each.types(&types) {
            if is_one(ty) {
                found.entry(number).or_insert(PgType::of_oid(ty));
            }
        }
    }
    found
}

/// Collects uses in the order of the statement, and has the planner asked for what stands beside parameters.
struct Uses<'a> {
    known: &'a BTreeMap<usize, PgType>,
    uses: Vec<Use>,
    asked: usize,
}

impl Uses<'_> {
    fn open(&self, expr: &Expr) -> Option<usize> {
        let number = placeholder(unnested(expr))?;
        (!self.known.contains_key(&number)).then_some(number)
    }

    fn side(&mut self, expr: &mut Expr) -> Side {
        if let Some(number) = self.open(expr) {
            return Side::Open(number);
        }
        let types = Types {
            parameters: Some(self.known),
        };
        if let Some(ty) = types.of(expr) {
            return Side::Known(ty);
        }
        let mut has_open = false;
        let _: ControlFlow<()> = ast::visit_expressions(expr, |part| {
            has_open |= self.open(part).is_some();
            ControlFlow::Continue(())
        });
        let number = self.asked;
        self.asked += 1;
        *expr = asked::call(number, expr.clone());
        Side::Asked(number, has_open)
    }

    fn sides<'e>(&mut self, exprs: impl Iterator<Item = &'e mut Expr>) -> Option<Vec<Side>> {
        let exprs: Vec<&mut Expr> = exprs.collect();
        let any = exprs.iter().any(|expr| self.open(expr).is_some());
        any.then(|| exprs.into_iter().map(|expr| self.side(expr)).collect())
    }

    fn operator(&mut self, name: &str, left: &mut Expr, right: &mut Expr) {
        if let (Expr::Tuple(left), Expr::Tuple(right)) = (&mut *left, &mut *right) {
            for (left, right) in left.iter_mut().zip(right) {
                self.operator(name, left, right);
            }
            return;
        }
        if self.open(left).is_some() || self.open(right).is_some() {
            let sides = [self.side(left), self.side(right)];
            self.uses.push(Use::Operands(name.to_owned(), sides));
        }
    }

    fn alike<'e>(&mut self, exprs: impl Iterator<Item = &'e mut Expr>) {
        if let Some(sides) = self.sides(exprs) {
            self.uses.push(Use::Alike(sides));
        }
    }

    fn call<'e>(&mut self, name: &str, arguments: impl Iterator<Item = &'e mut Expr>) {
        if let Some(sides) = self.sides(arguments) {
            self.uses.push(Use::Call(name.to_owned(), sides));
        }
    }

    fn wanted(&mut self, expr: &Expr, pg_type: PgType) {
        let open = self.open(expr);
        self.uses
            .extend(open.map(|number| Use::Wanted(number, pg_type)));
    }

    /// `left op ANY (right)`
    fn quantified(&mut self, op: &str, left: &mut Expr, right: &mut Expr) {
        if let Some(number) = self.open(right) {
            let left = self.side(left);
            let used = Use::Quantified(op.to_owned(), left, number);
            self.uses.push(used);
        } else if let Expr::Array(array) = right {
            let items = array.elem.iter_mut();
            self.alike(items.chain([left]));
        } else if let Some(number) = self.open(left)
            && !matches!(unnested(right), Expr::Subquery(_))
        {
            let array = self.side(right);
            self.uses.push(Use::Item(op.to_owned(), number, array));
        }
    }

    fn function(&mut self, function: &mut ast::Function) {
        if let Some(ast::WindowType::WindowSpec(spec)) = &function.over
            && let Some(frame) = &spec.window_frame
            && frame.units != ast::WindowFrameUnits::Range
        {
            for bound in [Some(&frame.start_bound), frame.end_bound.as_ref()] {
                if let Some(
                    ast::WindowFrameBound::Preceding(Some(rows))
                    | ast::WindowFrameBound::Following(Some(rows)),
                ) = bound
                {
                    self.wanted(rows, PgType::INT8);
                }
            }
        }
        let name = rewrite::function_name(function);
        if !matches!(function.name.0.as_slice(), [_]) && !is_of_catalog(&function.name) {
            return;
        }
        let FunctionArguments::List(list) = &mut function.args else {
            return;
        };
        self.named(&name, &list.args);
        let plain = list.args.iter_mut().map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
            _ => None,
        });
        let Some(mut arguments) = plain.collect::<Option<Vec<&mut Expr>>>() else {
            return;
        };
        match (name.as_str(), arguments.as_mut_slice()) {
            ("coalesce" | "greatest" | "least", _) => self.alike(arguments.into_iter()),
            ("nullif", [left, right]) => self.operator("=", left, right),
            (name, _) => self.call(name, arguments.into_iter()),
        }
    }

    /// `make_interval(days => $1)`
    fn named(&mut self, name: &str, arguments: &[FunctionArg]) {
        for argument in arguments {
            let (said, arg) = match argument {
                FunctionArg::Named { name, arg, .. } => (name, arg),
                FunctionArg::ExprNamed {
                    name: Expr::Identifier(name),
                    arg,
                    ..
                } => (name, arg),
                _ => continue,
            };
            if let FunctionArgExpr::Expr(value) = arg
                && let Some(ty) = pg_catalog::named_argument(name, &rewrite::folded(said))
            {
                self.wanted(value, PgType::of_oid(ty));
            }
        }
    }

    /// Columns of VALUES and of the parts of a UNION.
    fn columns(&mut self, body: &mut SetExpr) {
        if !matches!(body, SetExpr::Values(_) | SetExpr::SetOperation { .. }) {
            return;
        }
        let mut rows = Vec::new();
        if !listed(body, &mut rows) {
            return;
        }
        let mut rows: Vec<_> = rows.into_iter().map(Vec::into_iter).collect();
        loop {
            let column = rows.iter_mut().map(Iterator::next);
            let Some(column) = column.collect::<Option<Vec<&mut Expr>>>() else {
                return;
            };
            if column.is_empty() {
                return;
            }
            self.alike(column.into_iter());
        }
    }
}

fn is_of_catalog(name: &ast::ObjectName) -> bool {
    let schema = name.0.first().and_then(ast::ObjectNamePart::as_ident);
    name.0.len() == 2 && schema.is_some_and(|schema| rewrite::folded(schema) == "pg_catalog")
}

/// The lists of the SELECTs of a UNION; whether all of them are lists of expressions.
fn listed<'e>(body: &'e mut SetExpr, rows: &mut Vec<Vec<&'e mut Expr>>) -> bool {
    match body {
        SetExpr::Select(select) => {
            let items = select.projection.iter_mut().map(|item| match item {
                SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
                    Some(expr)
                }
                _ => None,
            });
            let items: Option<Vec<&mut Expr>> = items.collect();
            let plain = items.is_some();
            rows.extend(items);
            plain
        }
        SetExpr::SetOperation { left, right, .. } => listed(left, rows) && listed(right, rows),
        SetExpr::Values(values) => {
            let lists = values.rows.iter_mut();
            rows.extend(lists.map(|row| row.content.iter_mut().collect()));
            true
        }
        SetExpr::Query(query) => listed(&mut query.body, rows),
        _ => false,
    }
}

impl VisitorMut for Uses<'_> {
    type Break = ();

    fn post_visit_query(&mut self, query: &mut ast::Query) -> ControlFlow<()> {
        self.columns(&mut query.body);
        ControlFlow::Continue(())
    }

    /// What is within has its types first.
    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::BinaryOp { left, op, right } => self.operator(&op.to_string(), left, right),
            Expr::IsDistinctFrom(left, right) | Expr::IsNotDistinctFrom(left, right) => {
                self.operator("=", left, right);
            }
            Expr::Like { expr, pattern, .. } => self.operator("~~", expr, pattern),
            Expr::ILike { expr, pattern, .. } => self.operator("~~*", expr, pattern),
            Expr::SimilarTo { expr, pattern, .. } => self.operator("~", expr, pattern),
            Expr::Between {
                expr, low, high, ..
            } => {
                self.operator(">=", expr, low);
                self.operator("<=", expr, high);
            }
            Expr::InList { expr, list, .. } => match expr.as_mut() {
                row @ Expr::Tuple(_) => {
                    list.iter_mut()
                        .for_each(|item| self.operator("=", row, item));
                }
                value => self.alike(list.iter_mut().chain([value])),
            },
            Expr::AnyOp {
                left,
                compare_op,
                right,
                ..
            }
            | Expr::AllOp {
                left,
                compare_op,
                right,
            } => self.quantified(&compare_op.to_string(), left, right),
            Expr::Case {
                operand,
                conditions,
                else_result,
                ..
            } => {
                if let Some(operand) = operand {
                    for case in conditions.iter_mut() {
                        self.operator("=", operand, &mut case.condition);
                    }
                }
                // The type of ELSE comes first.
                let results = conditions.iter_mut().map(|case| &mut case.result);
                let last = else_result.iter_mut().map(AsMut::as_mut);
                self.alike(last.chain(results));
            }
            Expr::Function(function) => self.function(function),
            Expr::Array(array) => self.alike(array.elem.iter_mut()),
            Expr::Ceil { expr, .. } => self.call("ceil", [expr.as_mut()].into_iter()),
            Expr::Floor { expr, .. } => self.call("floor", [expr.as_mut()].into_iter()),
            Expr::AtTimeZone {
                timestamp,
                time_zone,
            } => {
                let arguments = [time_zone.as_mut(), timestamp.as_mut()];
                self.call("timezone", arguments.into_iter());
            }
            Expr::Position { expr, r#in } => {
                self.wanted(expr, PgType::TEXT);
                self.wanted(r#in, PgType::TEXT);
            }
            Expr::IsTrue(truth)
            | Expr::IsNotTrue(truth)
            | Expr::IsFalse(truth)
            | Expr::IsNotFalse(truth)
            | Expr::IsUnknown(truth)
            | Expr::IsNotUnknown(truth) => self.wanted(truth, PgType::BOOL),
            Expr::CompoundFieldAccess { access_chain, .. } => {
                for access in access_chain {
                    if let AccessExpr::Subscript(Subscript::Index { index }) = access {
                        self.wanted(index, PgType::INT4);
                    }
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}
