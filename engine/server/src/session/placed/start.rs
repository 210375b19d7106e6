//! Where an expression begins, as PostgreSQL points at it: its first name, constant or keyword, parentheses left out.

use datafusion::sql::sqlparser::ast::{self, CastKind, Expr, Spanned as _};
use datafusion::sql::sqlparser::tokenizer::Span;

use crate::sqlstate::Place;

pub(super) fn of(span: Span) -> Option<Place> {
    (span.start.line > 0).then(|| Place::at(span.start.line, span.start.column))
}

/// The place of a name.
pub(in crate::session) fn of_ident(ident: &ast::Ident) -> Option<Place> {
    of(ident.span)
}

/// The place right behind an expression; a closing parenthesis may follow.
pub(in crate::session) fn end(expr: &Expr) -> Option<Place> {
    let end = expr.span().end;
    (end.line > 0).then(|| Place::at(end.line, end.column))
}

/// The place of the constant that is cast.
pub(in crate::session) fn of_constant(expr: &Expr) -> Option<Place> {
    match expr {
        Expr::Cast { expr, .. } => start(expr),
        Expr::TypedString(typed) => of(typed.value.span),
        other => start(other),
    }
}

/// The place where an expression begins.
pub(in crate::session) fn start(expr: &Expr) -> Option<Place> {
    let behind = |words: &[&str]| of(expr.span()).map(|place| place.last(words));
    match expr {
        Expr::Nested(inner) => start(inner),
        Expr::BinaryOp { left, .. } => start(left),
        Expr::Function(function) => of(function.name.0.first()?.span()),
        Expr::Cast {
            kind: CastKind::DoubleColon,
            expr,
            ..
        } => start(expr),
        Expr::Cast { expr, .. } => start(expr).map(|place| place.last(&["CAST"])),
        Expr::UnaryOp { op, expr } => {
            let sign = op.to_string();
            start(expr).map(|place| place.last(&[&sign]))
        }
        Expr::Case { case_token, .. } => of(case_token.0.span),
        Expr::Subquery(_) => behind(&["("]),
        Expr::Exists { .. } => behind(&["EXISTS"]),
        Expr::Array(array) => {
            let first = array.elem.first().and_then(start);
            let first = first.or_else(|| of(expr.span()));
            first.map(|place| place.last(&["ARRAY"]))
        }
        Expr::Interval(_) => behind(&["INTERVAL"]),
        Expr::TypedString(typed) => {
            let word = typed.data_type.to_string();
            behind(&[word.split([' ', '(']).next()?])
        }
        Expr::Extract { expr, .. } => start(expr).map(|place| place.last(&["EXTRACT"])),
        Expr::Substring { expr, .. } => {
            start(expr).map(|place| place.last(&["SUBSTRING", "SUBSTR"]))
        }
        Expr::Trim { expr, .. } => start(expr).map(|place| place.last(&["TRIM"])),
        Expr::Position { expr, .. } => start(expr).map(|place| place.last(&["POSITION"])),
        Expr::Ceil { expr, .. } => start(expr).map(|place| place.last(&["CEIL", "CEILING"])),
        Expr::Floor { expr, .. } => start(expr).map(|place| place.last(&["FLOOR"])),
        Expr::Tuple(items) => {
            let first = items.first().and_then(start);
            first.map(|place| place.last(&["(", "ROW"]))
        }
        Expr::IsNull(inner)
        | Expr::IsNotNull(inner)
        | Expr::InList { expr: inner, .. }
        | Expr::InSubquery { expr: inner, .. }
        | Expr::Between { expr: inner, .. }
        | Expr::Like { expr: inner, .. }
        | Expr::ILike { expr: inner, .. }
        | Expr::AnyOp { left: inner, .. }
        | Expr::AllOp { left: inner, .. }
        | Expr::IsDistinctFrom(inner, _)
        | Expr::IsNotDistinctFrom(inner, _)
        | Expr::CompoundFieldAccess { root: inner, .. }
        | Expr::AtTimeZone {
            timestamp: inner, ..
        } => start(inner),
        _ => of(expr.span()),
    }
}
