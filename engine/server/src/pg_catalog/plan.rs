//! The bound form of a catalog query: every name resolved, every expression typed.

use std::sync::Arc;

use super::builtin::Function;
use super::value::{Value, base_type};
use crate::pg_types::oid;

/// Names and types of a row's fields.
pub(crate) type Fields = Arc<Vec<(String, u32)>>;

/// A typed expression.
#[derive(Clone, Debug)]
pub(crate) struct Expr {
    pub(crate) kind: Kind,
    pub(crate) ty: u32,
    pub(crate) typmod: i32,
    pub(crate) fields: Option<Fields>,
}

/// The same computation: what a value is called on the way out does not count, nor does a domain over its type.
impl PartialEq for Expr {
    fn eq(&self, other: &Self) -> bool {
        base_type(self.ty) == base_type(other.ty) && self.kind == other.kind
    }
}

/// What an expression does.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    Const(Value),
    Param(usize),
    /// Column of a range-table slot, `depth` frames up.
    Column {
        depth: usize,
        slot: usize,
        col: usize,
    },
    /// The whole row of a slot.
    WholeRow {
        depth: usize,
        slot: usize,
    },
    Aggregate(usize),
    Window(usize),
    SetReturning(usize),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    Not(Box<Expr>),
    IsNull(Box<Expr>, bool),
    /// IS [NOT] TRUE/FALSE/UNKNOWN: wanted truth value, negated.
    IsTruth(Box<Expr>, Option<bool>, bool),
    IsDistinct(Box<Expr>, Box<Expr>, bool),
    Operator {
        name: String,
        args: Vec<Expr>,
    },
    Call {
        function: Arc<Function>,
        args: Vec<Expr>,
    },
    Cast {
        input: Box<Expr>,
        explicit: bool,
    },
    Case {
        whens: Vec<(Expr, Expr)>,
        otherwise: Option<Box<Expr>>,
    },
    Coalesce(Vec<Expr>),
    NullIf(Box<Expr>, Box<Expr>),
    Extreme {
        items: Vec<Expr>,
        greatest: bool,
    },
    InList {
        input: Box<Expr>,
        items: Vec<Expr>,
        negated: bool,
    },
    Quantified {
        left: Box<Expr>,
        operator: String,
        right: Box<Expr>,
        all: bool,
    },
    InSubquery {
        left: Vec<Expr>,
        operator: String,
        subquery: Box<Subquery>,
        all: bool,
    },
    Exists(Box<Subquery>),
    Scalar(Box<Subquery>),
    ArraySubquery(Box<Subquery>),
    Array {
        items: Vec<Expr>,
        nested: bool,
    },
    Row(Vec<Expr>),
    Subscript {
        input: Box<Expr>,
        indexes: Vec<Index>,
    },
    Field {
        input: Box<Expr>,
        index: usize,
    },
    Like {
        input: Box<Expr>,
        pattern: Box<Expr>,
        escape: Option<char>,
        insensitive: bool,
        similar: bool,
    },
}

/// One array subscript.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Index {
    At(Expr),
    Slice(Option<Expr>, Option<Expr>),
}

/// A subquery in an expression; its rows are kept when nothing outside is referred to.
#[derive(Clone, Debug)]
pub(crate) struct Subquery {
    pub(crate) query: Query,
    pub(crate) correlated: bool,
    pub(crate) id: usize,
}

/// Two of the same text are the same, each with a number of its own.
impl PartialEq for Subquery {
    fn eq(&self, other: &Self) -> bool {
        self.correlated == other.correlated && self.query == other.query
    }
}

/// An output column.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct OutputColumn {
    pub(crate) name: String,
    pub(crate) ty: u32,
    pub(crate) typmod: i32,
    pub(crate) fields: Option<Fields>,
    pub(crate) origin: Option<Origin>,
}

/// The column of a relation that an output column shows: OID of the relation, number of the column from 1 on.
pub(crate) type Origin = (u32, i16);

/// A query: one frame holding its CTEs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Query {
    pub(crate) ctes: Vec<Cte>,
    pub(crate) body: Body,
    /// Order of a set operation or VALUES, by output column; a SELECT orders itself.
    pub(crate) order: Vec<(usize, Direction)>,
    pub(crate) limit: Option<Expr>,
    pub(crate) offset: Option<Expr>,
    pub(crate) columns: Vec<OutputColumn>,
}

/// A common table expression.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cte {
    pub(crate) query: Query,
    pub(crate) recursive: bool,
}

/// What produces a query's rows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Body {
    Select(Box<Select>),
    Values(Vec<Vec<Expr>>),
    Query(Box<Query>),
    Set {
        op: SetOp,
        all: bool,
        left: Box<Body>,
        right: Box<Body>,
    },
}

/// Kind of set operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SetOp {
    Union,
    Except,
    Intersect,
}

/// Direction of a sort key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Direction {
    pub(crate) descending: bool,
    pub(crate) nulls_first: bool,
}

/// A sort key: an output column or an expression of the input.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SortKey {
    pub(crate) expr: Expr,
    pub(crate) direction: Direction,
}

/// DISTINCT clause.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Distinct {
    No,
    All,
    On(Vec<Expr>),
}

/// A SELECT: one frame holding the slots of its FROM clause.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Select {
    pub(crate) from: Rel,
    pub(crate) slots: usize,
    pub(crate) filters: Vec<Expr>,
    pub(crate) group_by: Option<Vec<Expr>>,
    pub(crate) having: Option<Expr>,
    pub(crate) aggregates: Vec<Aggregate>,
    pub(crate) windows: Vec<Window>,
    pub(crate) set_returning: Vec<Expr>,
    /// Those of them that the groups are made by: one group a row of theirs.
    pub(crate) grouped_sets: Vec<usize>,
    pub(crate) outputs: Vec<Expr>,
    pub(crate) distinct: Distinct,
    pub(crate) order: Vec<SortKey>,
}

/// An aggregate call.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Aggregate {
    pub(crate) function: Arc<Function>,
    pub(crate) ty: u32,
    pub(crate) args: Vec<Expr>,
    pub(crate) star: bool,
    pub(crate) distinct: bool,
    pub(crate) order: Vec<SortKey>,
    pub(crate) filter: Option<Expr>,
}

/// A window call.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Window {
    pub(crate) call: Aggregate,
    pub(crate) partition: Vec<Expr>,
    pub(crate) order: Vec<SortKey>,
    /// The frame is the whole partition (UNBOUNDED PRECEDING to UNBOUNDED FOLLOWING).
    pub(crate) whole: bool,
}

/// A FROM clause.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "a plan has few, and they stay where they are made"
)]
pub(crate) enum Rel {
    /// No FROM: one row.
    Unit,
    Scan(Scan),
    Join(Box<Join>),
}

/// One FROM item.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Scan {
    pub(crate) slot: usize,
    pub(crate) source: Source,
    /// Refers to slots on its left.
    pub(crate) lateral: bool,
    /// `column = expression of what is known before the scan`: answered by an index.
    pub(crate) probe: Option<(usize, Expr)>,
    /// The condition that the probe was made of.
    pub(crate) probed: Option<Expr>,
    pub(crate) filters: Vec<Expr>,
}

/// Where the rows of a FROM item come from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Source {
    Table(u32),
    Query(Box<Query>),
    Cte {
        depth: usize,
        index: usize,
    },
    Functions {
        calls: Vec<FunctionCall>,
        ordinality: bool,
    },
}

/// A function in FROM and how many columns it gives.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FunctionCall {
    pub(crate) expr: Expr,
    pub(crate) width: usize,
    /// Its record is spread over the columns.
    pub(crate) spread: bool,
}

/// Kind of join; a right join is a left join with its sides exchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JoinKind {
    Inner,
    Left,
    Full,
}

/// A join.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Join {
    pub(crate) left: Rel,
    pub(crate) right: Rel,
    pub(crate) kind: JoinKind,
    pub(crate) on: Vec<Expr>,
    /// Applied to the joined rows: what WHERE says about an outer join.
    pub(crate) filters: Vec<Expr>,
    /// The right side needs rows of the left side: it is run once per left row.
    pub(crate) lateral: bool,
    /// Equality of an expression of the left and one of the right side.
    pub(crate) hash: Option<(Expr, Expr)>,
}

impl Expr {
    pub(crate) fn new(kind: Kind, ty: u32) -> Self {
        Self {
            kind,
            ty,
            typmod: -1,
            fields: None,
        }
    }

    pub(crate) fn constant(value: Value, ty: u32) -> Self {
        Self::new(Kind::Const(value), ty)
    }
}

impl Rel {
    /// Notes which joins must run their right side once per left row.
    pub(crate) fn finish(&mut self) {
        if let Self::Join(join) = self {
            join.left.finish();
            join.right.finish();
            let mut own = Vec::new();
            join.right.slots(&mut own);
            let mut lateral = false;
            rel_references(&join.right, 0, &mut |Reference { depth, slot, .. }| {
                lateral |= depth == 0 && slot.is_some_and(|s| !own.contains(&s))
            });
            join.lateral = lateral;
            // A side that is run once per row is not hashed.
            if lateral && let Some((left, right)) = join.hash.take() {
                join.on.push(Expr::new(
                    Kind::Operator {
                        name: "=".to_owned(),
                        args: vec![left, right],
                    },
                    oid::BOOL,
                ));
            }
        }
    }

    /// Slots this relation fills.
    pub(crate) fn slots(&self, out: &mut Vec<usize>) {
        match self {
            Self::Unit => {}
            Self::Scan(scan) => out.push(scan.slot),
            Self::Join(join) => {
                join.left.slots(out);
                join.right.slots(out);
            }
        }
    }
}

/// A reference out of an expression.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reference {
    /// Frames above the expression's own.
    pub(crate) depth: usize,
    /// The slot; None: a CTE.
    pub(crate) slot: Option<usize>,
    /// The column; None: the whole row.
    pub(crate) column: Option<usize>,
}

/// Calls `f` for every reference to a frame at or above `level` frames up, counted from there.
pub(crate) fn references(expr: &Expr, level: usize, f: &mut dyn FnMut(Reference)) {
    match &expr.kind {
        Kind::Column { depth, slot, .. } | Kind::WholeRow { depth, slot } => {
            if *depth >= level {
                f(Reference {
                    depth: *depth - level,
                    slot: Some(*slot),
                    column: match &expr.kind {
                        Kind::Column { col, .. } => Some(*col),
                        _ => None,
                    },
                });
            }
        }
        Kind::Exists(s) | Kind::Scalar(s) | Kind::ArraySubquery(s) => {
            query_references(&s.query, level + 1, f)
        }
        Kind::InSubquery { left, subquery, .. } => {
            left.iter().for_each(|e| references(e, level, f));
            query_references(&subquery.query, level + 1, f);
        }
        _ => children(expr, &mut |e| references(e, level, f)),
    }
}

/// Calls `f` for each direct sub-expression in the same frame.
pub(crate) fn children<'a>(expr: &'a Expr, f: &mut dyn FnMut(&'a Expr)) {
    match &expr.kind {
        Kind::And(a, b) | Kind::Or(a, b) | Kind::IsDistinct(a, b, _) | Kind::NullIf(a, b) => {
            f(a);
            f(b);
        }
        Kind::Not(e)
        | Kind::IsNull(e, _)
        | Kind::IsTruth(e, _, _)
        | Kind::Cast { input: e, .. }
        | Kind::Field { input: e, .. } => f(e),
        Kind::Operator { args, .. }
        | Kind::Call { args, .. }
        | Kind::Coalesce(args)
        | Kind::Row(args) => args.iter().for_each(f),
        Kind::Extreme { items, .. } | Kind::Array { items, .. } => items.iter().for_each(f),
        Kind::Case { whens, otherwise } => {
            for (when, then) in whens {
                f(when);
                f(then);
            }
            if let Some(otherwise) = otherwise {
                f(otherwise);
            }
        }
        Kind::InList { input, items, .. } => {
            f(input);
            items.iter().for_each(f);
        }
        Kind::Quantified { left, right, .. } => {
            f(left);
            f(right);
        }
        Kind::InSubquery { left, .. } => left.iter().for_each(f),
        Kind::Subscript { input, indexes } => {
            f(input);
            for index in indexes {
                match index {
                    Index::At(e) => f(e),
                    Index::Slice(a, b) => a.iter().chain(b).for_each(&mut *f),
                }
            }
        }
        Kind::Like { input, pattern, .. } => {
            f(input);
            f(pattern);
        }
        Kind::Const(_)
        | Kind::Param(_)
        | Kind::Column { .. }
        | Kind::WholeRow { .. }
        | Kind::Aggregate(_)
        | Kind::Window(_)
        | Kind::SetReturning(_)
        | Kind::Exists(_)
        | Kind::Scalar(_)
        | Kind::ArraySubquery(_) => {}
    }
}

/// References out of a query whose own frame is `level - 1` frames up from the base.
pub(crate) fn query_references(query: &Query, level: usize, f: &mut dyn FnMut(Reference)) {
    for cte in &query.ctes {
        query_references(&cte.query, level + 1, f);
    }
    query
        .limit
        .iter()
        .chain(&query.offset)
        .for_each(|e| references(e, level, f));
    body_references(&query.body, level, f);
}

fn body_references(body: &Body, level: usize, f: &mut dyn FnMut(Reference)) {
    match body {
        Body::Select(select) => select_references(select, level + 1, f),
        Body::Values(rows) => rows.iter().flatten().for_each(|e| references(e, level, f)),
        Body::Query(query) => query_references(query, level + 1, f),
        Body::Set { left, right, .. } => {
            body_references(left, level, f);
            body_references(right, level, f);
        }
    }
}

fn select_references(select: &Select, level: usize, f: &mut dyn FnMut(Reference)) {
    rel_references(&select.from, level, f);
    let aggregates = select
        .aggregates
        .iter()
        .chain(select.windows.iter().map(|w| &w.call));
    for call in aggregates {
        call.args
            .iter()
            .chain(&call.filter)
            .chain(call.order.iter().map(|k| &k.expr))
            .for_each(|e| references(e, level, f));
    }
    for window in &select.windows {
        window
            .partition
            .iter()
            .chain(window.order.iter().map(|k| &k.expr))
            .for_each(|e| references(e, level, f));
    }
    let on: &[Expr] = match &select.distinct {
        Distinct::On(exprs) => exprs,
        Distinct::No | Distinct::All => &[],
    };
    select
        .filters
        .iter()
        .chain(select.group_by.iter().flatten())
        .chain(&select.having)
        .chain(&select.set_returning)
        .chain(&select.outputs)
        .chain(on)
        .chain(select.order.iter().map(|k| &k.expr))
        .for_each(|e| references(e, level, f));
}

/// References out of a FROM clause whose frame is `level` frames up from the base.
pub(crate) fn rel_references(rel: &Rel, level: usize, f: &mut dyn FnMut(Reference)) {
    match rel {
        Rel::Unit => {}
        Rel::Scan(scan) => {
            source_references(&scan.source, level, f);
            scan.filters
                .iter()
                .chain(scan.probe.iter().map(|p| &p.1))
                .for_each(|e| references(e, level, f));
        }
        Rel::Join(join) => {
            rel_references(&join.left, level, f);
            rel_references(&join.right, level, f);
            join.on
                .iter()
                .chain(&join.filters)
                .for_each(|e| references(e, level, f));
            if let Some((left, right)) = &join.hash {
                references(left, level, f);
                references(right, level, f);
            }
        }
    }
}

/// References out of a FROM item, seen from `level` frames above the base.
pub(crate) fn source_references(source: &Source, level: usize, f: &mut dyn FnMut(Reference)) {
    match source {
        Source::Table(_) => {}
        Source::Query(query) => query_references(query, level + 1, f),
        Source::Cte { depth, .. } => {
            if *depth >= level {
                f(Reference {
                    depth: *depth - level,
                    slot: None,
                    column: None,
                });
            }
        }
        Source::Functions { calls, .. } => calls.iter().for_each(|c| references(&c.expr, level, f)),
    }
}
