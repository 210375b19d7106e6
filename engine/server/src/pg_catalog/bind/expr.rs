//! Expressions: names, literals, operators, casts, calls and subqueries.

use std::sync::Arc;

use datafusion::sql::sqlparser::ast;

use super::{Binder, fold, name_parts, record_fields};
use crate::pg_catalog::builtin::{Function, builtin};
use crate::pg_catalog::convert;
use crate::pg_catalog::error::{CatalogError, Result};
use crate::pg_catalog::numeric::Numeric;
use crate::pg_catalog::plan::{Aggregate, Expr, Fields, Index, Kind, Window};
use crate::pg_catalog::resolve::{self, Freedom};
use crate::pg_catalog::value::{Value, element_type};
use crate::pg_types::oid;

/// System columns every table has.
const SYSTEM_COLUMNS: &[(&str, u32)] = &[
    ("tableoid", oid::OID),
    ("xmin", oid::XID),
    ("xmax", oid::XID),
    ("cmin", oid::CID),
    ("cmax", oid::CID),
    ("ctid", oid::TID),
];

impl Binder<'_> {
    pub(super) fn expr(&mut self, expr: &ast::Expr) -> Result<Expr> {
        self.nested(|b| b.expr_inner(expr))
    }

    pub(super) fn expr_with_set_returning(&mut self, expr: &ast::Expr) -> Result<Expr> {
        self.expr(expr)
    }

    fn boxed(&mut self, expr: &ast::Expr) -> Result<Box<Expr>> {
        self.expr(expr).map(Box::new)
    }

    #[expect(clippy::too_many_lines, reason = "one arm per syntax form")]
    fn expr_inner(&mut self, expr: &ast::Expr) -> Result<Expr> {
        use ast::Expr as E;
        let boolean = |kind| Ok(Expr::new(kind, oid::BOOL));
        match expr {
            E::Identifier(ident) => self.column(std::slice::from_ref(ident)),
            E::CompoundIdentifier(parts) => self.column(parts),
            E::CompoundFieldAccess { root, access_chain } => self.access(root, access_chain),
            E::Nested(inner) => self.expr(inner),
            E::Value(value) => self.literal(value),
            E::Collate { expr, collation } => {
                let name = collation
                    .0
                    .last()
                    .map(ToString::to_string)
                    .unwrap_or_default();
                let known = name.trim_matches('"').to_owned();
                if !matches!(
                    known.as_str(),
                    "default"
                        | "C"
                        | "POSIX"
                        | "ucs_basic"
                        | "en_US"
                        | "en_US.utf8"
                        | "C.utf8"
                        | "und-x-icu"
                ) {
                    return Err(CatalogError::new(
                        "42704",
                        format!("collation \"{known}\" for encoding \"UTF8\" does not exist"),
                    ));
                }
                self.expr(expr)
            }
            E::IsNull(e) => boolean(Kind::IsNull(self.boxed(e)?, false)),
            E::IsNotNull(e) => boolean(Kind::IsNull(self.boxed(e)?, true)),
            E::IsTrue(e) => self.truth(e, Some(true), false),
            E::IsNotTrue(e) => self.truth(e, Some(true), true),
            E::IsFalse(e) => self.truth(e, Some(false), false),
            E::IsNotFalse(e) => self.truth(e, Some(false), true),
            E::IsUnknown(e) => self.truth(e, None, false),
            E::IsNotUnknown(e) => self.truth(e, None, true),
            E::IsDistinctFrom(a, b) => self.distinct_from(a, b, false),
            E::IsNotDistinctFrom(a, b) => self.distinct_from(a, b, true),
            E::BinaryOp { left, op, right } => self.binary(left, op, right),
            E::UnaryOp { op, expr } => self.unary(*op, expr),
            E::Between {
                expr,
                negated,
                low,
                high,
            } => {
                let (e, low, high) = (self.expr(expr)?, self.expr(low)?, self.expr(high)?);
                let ge = self.operator(">=", Some(e.clone()), low)?;
                let le = self.operator("<=", Some(e), high)?;
                let both = Expr::new(Kind::And(Box::new(ge), Box::new(le)), oid::BOOL);
                Ok(if *negated {
                    Expr::new(Kind::Not(Box::new(both)), oid::BOOL)
                } else {
                    both
                })
            }
            E::Like {
                negated,
                expr,
                pattern,
                escape_char,
                ..
            } => self.like(expr, pattern, escape_char.as_ref(), *negated, false, false),
            E::ILike {
                negated,
                expr,
                pattern,
                escape_char,
                ..
            } => self.like(expr, pattern, escape_char.as_ref(), *negated, true, false),
            E::SimilarTo {
                negated,
                expr,
                pattern,
                escape_char,
            } => self.like(expr, pattern, escape_char.as_ref(), *negated, false, true),
            E::InList {
                expr,
                list,
                negated,
            } => self.in_list(expr, list, *negated),
            E::InSubquery {
                expr,
                subquery,
                negated,
            } => {
                let bound = self.row_subquery(expr, "=", subquery, false)?;
                Ok(if *negated {
                    Expr::new(Kind::Not(Box::new(bound)), oid::BOOL)
                } else {
                    bound
                })
            }
            E::AnyOp {
                left,
                compare_op,
                right,
                ..
            } => self.quantified(left, compare_op, right, false),
            E::AllOp {
                left,
                compare_op,
                right,
            } => self.quantified(left, compare_op, right, true),
            E::Exists { subquery, negated } => {
                let exists = Expr::new(Kind::Exists(Box::new(self.subquery(subquery)?)), oid::BOOL);
                Ok(if *negated {
                    Expr::new(Kind::Not(Box::new(exists)), oid::BOOL)
                } else {
                    exists
                })
            }
            E::Subquery(query) => {
                let subquery = self.subquery(query)?;
                let [column] = subquery.query.columns.as_slice() else {
                    return Err(CatalogError::new(
                        "42601",
                        "subquery must return only one column",
                    ));
                };
                let (ty, typmod, fields) = (column.ty, column.typmod, column.fields.clone());
                Ok(Expr {
                    kind: Kind::Scalar(Box::new(subquery)),
                    ty,
                    typmod,
                    fields,
                })
            }
            E::Cast {
                expr, data_type, ..
            } => self.cast(expr, &data_type.to_string()),
            E::Convert { .. } => Err(CatalogError::unsupported(format!("{expr}"))),
            E::TypedString(typed) => {
                let value = typed.value.value.clone().into_string().unwrap_or_default();
                let text = Expr::constant(Value::text(value), oid::UNKNOWN);
                self.cast_bound(text, &typed.data_type.to_string())
            }
            E::Interval(interval) => {
                let mut text = match interval.value.as_ref() {
                    E::Value(v) => v
                        .value
                        .clone()
                        .into_string()
                        .unwrap_or_else(|| v.to_string()),
                    other => other.to_string(),
                };
                if let Some(field) = &interval.leading_field {
                    text = format!("{text} {field}");
                }
                self.cast_bound(Expr::constant(Value::text(text), oid::UNKNOWN), "interval")
            }
            E::Case {
                operand,
                conditions,
                else_result,
                ..
            } => self.case(operand.as_deref(), conditions, else_result.as_deref()),
            E::Array(array) => self.array(&array.elem),
            E::Tuple(items) => {
                let items = items
                    .iter()
                    .map(|e| self.expr(e))
                    .collect::<Result<Vec<_>>>()?;
                self.row(items)
            }
            E::Function(function) => self.function(function),
            E::Position { expr, r#in } => {
                let (needle, text) = (self.expr(expr)?, self.expr(r#in)?);
                self.call("position", vec![text, needle], false)
            }
            E::Substring {
                expr,
                substring_from,
                substring_for,
                ..
            } => {
                let mut args = vec![self.expr(expr)?];
                match (substring_from, substring_for) {
                    (Some(from), _) => args.push(self.expr(from)?),
                    (None, Some(_)) => args.push(Expr::constant(Value::Int(1), oid::INT4)),
                    (None, None) => {}
                }
                if let Some(length) = substring_for {
                    args.push(self.expr(length)?);
                }
                self.call("substring", args, false)
            }
            E::Trim {
                trim_where,
                trim_what,
                expr,
                trim_characters,
            } => {
                let name = match trim_where {
                    Some(ast::TrimWhereField::Leading) => "ltrim",
                    Some(ast::TrimWhereField::Trailing) => "rtrim",
                    _ => "btrim",
                };
                let mut args = vec![self.expr(expr)?];
                let extra = trim_what
                    .as_deref()
                    .into_iter()
                    .chain(trim_characters.iter().flatten());
                for e in extra {
                    args.push(self.expr(e)?);
                }
                self.call(name, args, false)
            }
            E::Overlay {
                expr,
                overlay_what,
                overlay_from,
                overlay_for,
            } => {
                let mut args = vec![
                    self.expr(expr)?,
                    self.expr(overlay_what)?,
                    self.expr(overlay_from)?,
                ];
                if let Some(length) = overlay_for {
                    args.push(self.expr(length)?);
                }
                self.call("overlay", args, false)
            }
            E::Extract { field, expr, .. } => {
                let field =
                    Expr::constant(Value::text(field.to_string().to_lowercase()), oid::TEXT);
                let from = self.expr(expr)?;
                self.call("extract", vec![field, from], false)
            }
            E::Ceil { expr, .. } => {
                let arg = self.expr(expr)?;
                self.call("ceil", vec![arg], false)
            }
            E::Floor { expr, .. } => {
                let arg = self.expr(expr)?;
                self.call("floor", vec![arg], false)
            }
            E::AtTimeZone {
                timestamp,
                time_zone,
            } => {
                // All clocks of catalog queries run in UTC.
                self.expr(time_zone)?;
                let time = self.expr(timestamp)?;
                let to = if time.ty == oid::TIMESTAMPTZ {
                    oid::TIMESTAMP
                } else {
                    oid::TIMESTAMPTZ
                };
                self.coerce(time, to, Freedom::Explicit)
            }
            E::Prefixed { value, .. } => self.expr(value),
            other => Err(CatalogError::unsupported(format!("expression {other}"))),
        }
    }

    fn truth(&mut self, expr: &ast::Expr, wanted: Option<bool>, negated: bool) -> Result<Expr> {
        let bound = self.condition(expr, "IS TRUE")?;
        Ok(Expr::new(
            Kind::IsTruth(Box::new(bound), wanted, negated),
            oid::BOOL,
        ))
    }

    fn distinct_from(&mut self, a: &ast::Expr, b: &ast::Expr, negated: bool) -> Result<Expr> {
        let (a, b) = (self.expr(a)?, self.expr(b)?);
        let equal = self.operator("=", Some(a), b)?;
        match equal.kind {
            Kind::Operator { args, .. } => match <[Expr; 2]>::try_from(args) {
                Ok([a, b]) => Ok(Expr::new(
                    Kind::IsDistinct(Box::new(a), Box::new(b), negated),
                    oid::BOOL,
                )),
                Err(_) => Err(CatalogError::new(
                    "XX000",
                    "equality with other than two operands",
                )),
            },
            _ => Err(CatalogError::unsupported("IS DISTINCT FROM of rows")),
        }
    }

    fn column(&mut self, parts: &[ast::Ident]) -> Result<Expr> {
        let mut names: Vec<String> = parts.iter().map(fold).collect();
        if names.len() == 4 && names[0] == self.model.database {
            names.remove(0);
        }
        if let Some(found) = self.find_column(&names)? {
            return Ok(found);
        }
        let span = parts
            .first()
            .map_or_else(datafusion::sql::sqlparser::tokenizer::Span::empty, |p| {
                p.span
            });
        if names.len() == 1 && parts[0].quote_style.is_none() && is_keyword_function(&names[0]) {
            return self.call(&names[0], Vec::new(), false);
        }
        // t.x.y: field y of column x; x.y: field y of column x.
        if names.len() >= 2
            && let Some(last) = names.pop()
            && let Some(base) = self.find_column(&names)?
        {
            return self.field(base, &last);
        }
        Err(match parts {
            [column] => CatalogError::new(
                "42703",
                format!("column \"{}\" does not exist", column.value),
            )
            .at(span),
            [.., table, column] => {
                let table_name = fold(table);
                if self
                    .scopes
                    .iter()
                    .any(|s| !s.hidden && s.items.iter().any(|i| i.alias == table_name))
                {
                    CatalogError::new(
                        "42703",
                        format!("column {}.{} does not exist", table.value, column.value),
                    )
                    .at(span)
                } else {
                    CatalogError::new(
                        "42P01",
                        format!("missing FROM-clause entry for table \"{}\"", table.value),
                    )
                    .at(span)
                }
            }
            [] => CatalogError::new("42601", "empty name"),
        })
    }

    fn find_column(&self, names: &[String]) -> Result<Option<Expr>> {
        let (schema, alias, column) = match names {
            [column] => (None, None, column),
            [alias, column] => (None, Some(alias), column),
            [schema, alias, column] => (Some(schema), Some(alias), column),
            _ => return Ok(None),
        };
        for (depth, scope) in self.scopes.iter().rev().enumerate() {
            if scope.hidden {
                continue;
            }
            let mut found: Option<Expr> = None;
            for item in &scope.items {
                if alias.is_some_and(|a| *a != item.alias)
                    || schema.is_some_and(|s| item.schema.as_ref() != Some(s))
                {
                    continue;
                }
                for (col, c) in item.columns.iter().enumerate() {
                    if c.name != *column || (alias.is_none() && c.merged) {
                        continue;
                    }
                    if found.is_some() {
                        return Err(CatalogError::new(
                            "42702",
                            format!("column reference \"{column}\" is ambiguous"),
                        ));
                    }
                    found = Some(Expr {
                        kind: Kind::Column {
                            depth,
                            slot: item.slot,
                            col,
                        },
                        ty: c.ty,
                        typmod: c.typmod,
                        fields: c.fields.clone(),
                    });
                }
            }
            if found.is_some() {
                return Ok(found);
            }
            if let Some(system) = system_column(scope, alias, column, depth) {
                return Ok(Some(system));
            }
            if alias.is_none()
                && let Some(item) = scope.items.iter().find(|i| i.alias == *column)
            {
                return Ok(Some(self.whole_row(item, depth)));
            }
        }
        Ok(None)
    }

    fn whole_row(&self, item: &super::Item, depth: usize) -> Expr {
        if item.scalar
            && let Some(column) = item.columns.first()
        {
            return Expr {
                kind: Kind::Column {
                    depth,
                    slot: item.slot,
                    col: 0,
                },
                ty: column.ty,
                typmod: -1,
                fields: None,
            };
        }
        let fields: Vec<(String, u32)> = item
            .columns
            .iter()
            .map(|c| (c.name.clone(), c.ty))
            .collect();
        let ty = item
            .relation
            .and_then(|r| self.model.relation(r))
            .map_or(oid::RECORD, |r| r.row_type);
        Expr {
            kind: Kind::WholeRow {
                depth,
                slot: item.slot,
            },
            ty,
            typmod: -1,
            fields: record_fields(fields),
        }
    }

    fn field(&mut self, base: Expr, name: &str) -> Result<Expr> {
        let fields: Option<Fields> = base.fields.clone();
        let found = fields
            .as_ref()
            .and_then(|f| f.iter().position(|(n, _)| n == name).map(|i| (i, f[i].1)));
        let Some((index, ty)) = found else {
            return Err(CatalogError::new(
                "42703",
                format!(
                    "column \"{name}\" not found in data type {}",
                    self.model.type_name(base.ty)
                ),
            ));
        };
        Ok(Expr::new(
            Kind::Field {
                input: Box::new(base),
                index,
            },
            ty,
        ))
    }

    fn access(&mut self, root: &ast::Expr, chain: &[ast::AccessExpr]) -> Result<Expr> {
        let mut dotted = Vec::new();
        let mut rest = chain;
        // The parser writes a.b[1] as root a, then .b, then [1].
        let mut bound = if let ast::Expr::Identifier(ident) = root {
            dotted.push(ident.clone());
            while let [ast::AccessExpr::Dot(ast::Expr::Identifier(next)), tail @ ..] = rest {
                dotted.push(next.clone());
                rest = tail;
            }
            self.column(&dotted)?
        } else {
            self.expr(root)?
        };
        while let Some((first, tail)) = rest.split_first() {
            match first {
                ast::AccessExpr::Dot(ast::Expr::Identifier(name)) => {
                    bound = self.field(bound, &fold(name))?;
                    rest = tail;
                }
                ast::AccessExpr::Dot(other) => {
                    return Err(CatalogError::unsupported(format!("field {other}")));
                }
                ast::AccessExpr::Subscript(_) => {
                    let count = rest
                        .iter()
                        .take_while(|a| matches!(a, ast::AccessExpr::Subscript(_)))
                        .count();
                    bound = self.subscript(bound, &rest[..count])?;
                    rest = &rest[count..];
                }
            }
        }
        Ok(bound)
    }

    fn subscript(&mut self, input: Expr, chain: &[ast::AccessExpr]) -> Result<Expr> {
        let Some(element) = element_type(input.ty) else {
            return Err(CatalogError::new(
                "42804",
                format!(
                    "cannot subscript type {} because it does not support subscripting",
                    self.model.type_name(input.ty)
                ),
            ));
        };
        let mut indexes = Vec::new();
        let mut slice = false;
        for access in chain {
            match access {
                ast::AccessExpr::Subscript(ast::Subscript::Index { index }) => {
                    let index = self.expr(index)?;
                    indexes.push(Index::At(self.coerce(
                        index,
                        oid::INT4,
                        Freedom::Assignment,
                    )?));
                }
                ast::AccessExpr::Subscript(ast::Subscript::Slice {
                    lower_bound,
                    upper_bound,
                    ..
                }) => {
                    slice = true;
                    let mut bound = |e: &Option<ast::Expr>| -> Result<Option<Expr>> {
                        match e {
                            Some(e) => {
                                let e = self.expr(e)?;
                                self.coerce(e, oid::INT4, Freedom::Assignment).map(Some)
                            }
                            None => Ok(None),
                        }
                    };
                    let lower = bound(lower_bound)?;
                    indexes.push(Index::Slice(lower, bound(upper_bound)?));
                }
                ast::AccessExpr::Dot(_) => {}
            }
        }
        let ty = if slice {
            resolve::array_type(element)
        } else {
            element
        };
        Ok(Expr::new(
            Kind::Subscript {
                input: Box::new(input),
                indexes,
            },
            ty,
        ))
    }

    fn literal(&mut self, value: &ast::ValueWithSpan) -> Result<Expr> {
        Ok(match &value.value {
            ast::Value::Null => super::select::null(),
            ast::Value::Boolean(b) => Expr::constant(Value::Bool(*b), oid::BOOL),
            ast::Value::Number(text, _) => number(text)?,
            ast::Value::Placeholder(name) => self.parameter(name)?,
            ast::Value::HexStringLiteral(_) => {
                return Err(CatalogError::unsupported("bit string literals"));
            }
            other => match other.clone().into_string() {
                Some(text) => Expr::constant(Value::text(text), oid::UNKNOWN),
                None => return Err(CatalogError::unsupported(format!("literal {other}"))),
            },
        })
    }

    fn parameter(&mut self, name: &str) -> Result<Expr> {
        let index: usize = name
            .trim_start_matches('$')
            .parse()
            .ok()
            .filter(|n| (1..=65_535).contains(n))
            .ok_or_else(|| CatalogError::new("42P02", format!("there is no parameter {name}")))?;
        if self.params.len() < index {
            self.params.resize(index, oid::UNKNOWN);
        }
        Ok(Expr::new(Kind::Param(index - 1), self.params[index - 1]))
    }

    fn binary(
        &mut self,
        left: &ast::Expr,
        op: &ast::BinaryOperator,
        right: &ast::Expr,
    ) -> Result<Expr> {
        use ast::BinaryOperator as B;
        match op {
            B::And | B::Or => {
                let name = if *op == B::And { "AND" } else { "OR" };
                let (l, r) = (self.condition(left, name)?, self.condition(right, name)?);
                let kind = if *op == B::And {
                    Kind::And(Box::new(l), Box::new(r))
                } else {
                    Kind::Or(Box::new(l), Box::new(r))
                };
                Ok(Expr::new(kind, oid::BOOL))
            }
            _ => {
                let name = operator_name(op);
                if let (ast::Expr::Tuple(a), ast::Expr::Tuple(b)) = (left, right)
                    && matches!(name.as_str(), "=" | "<>")
                {
                    return self.row_comparison(a, b, &name);
                }
                let (l, r) = (self.expr(left)?, self.expr(right)?);
                self.operator(&name, Some(l), r)
            }
        }
    }

    fn row_comparison(&mut self, a: &[ast::Expr], b: &[ast::Expr], name: &str) -> Result<Expr> {
        if a.len() != b.len() {
            return Err(CatalogError::new(
                "42601",
                "unequal number of entries in row expressions",
            ));
        }
        let mut all: Option<Expr> = None;
        for (a, b) in a.iter().zip(b) {
            let (a, b) = (self.expr(a)?, self.expr(b)?);
            let equal = self.operator("=", Some(a), b)?;
            all = Some(match all {
                Some(so_far) => Expr::new(Kind::And(Box::new(so_far), Box::new(equal)), oid::BOOL),
                None => equal,
            });
        }
        let all = all.ok_or_else(|| CatalogError::unsupported("comparison of empty rows"))?;
        Ok(if name == "=" {
            all
        } else {
            Expr::new(Kind::Not(Box::new(all)), oid::BOOL)
        })
    }

    fn unary(&mut self, op: ast::UnaryOperator, expr: &ast::Expr) -> Result<Expr> {
        match op {
            ast::UnaryOperator::Not => {
                let inner = self.condition(expr, "NOT")?;
                Ok(Expr::new(Kind::Not(Box::new(inner)), oid::BOOL))
            }
            ast::UnaryOperator::Plus => self.expr(expr),
            ast::UnaryOperator::Minus => {
                if let ast::Expr::Value(v) = expr
                    && let ast::Value::Number(text, _) = &v.value
                {
                    return number(&format!("-{text}"));
                }
                let inner = self.expr(expr)?;
                self.operator("-", None, inner)
            }
            ast::UnaryOperator::BitwiseNot => {
                let inner = self.expr(expr)?;
                self.operator("~", None, inner)
            }
            ast::UnaryOperator::PGAbs => {
                let inner = self.expr(expr)?;
                self.operator("@", None, inner)
            }
            other => Err(CatalogError::unsupported(format!("operator {other}"))),
        }
    }

    fn like(
        &mut self,
        expr: &ast::Expr,
        pattern: &ast::Expr,
        escape: Option<&ast::ValueWithSpan>,
        negated: bool,
        insensitive: bool,
        similar: bool,
    ) -> Result<Expr> {
        let (input, pattern) = (self.expr(expr)?, self.expr(pattern)?);
        let text = |b: &mut Self, e: Expr| -> Result<Expr> {
            if matches!(
                e.ty,
                oid::UNKNOWN | oid::TEXT | oid::NAME | oid::VARCHAR | oid::BPCHAR | oid::CHAR
            ) || resolve::can_coerce(e.ty, oid::TEXT, Freedom::Implicit)
            {
                b.coerce(e, oid::TEXT, Freedom::Assignment)
            } else {
                Err(CatalogError::new("42883", format!("operator does not exist: {} ~~ unknown", b.model.type_name(e.ty))).hint("No operator matches the given name and argument types. You might need to add explicit type casts."))
            }
        };
        let input = Box::new(text(self, input)?);
        let pattern = Box::new(text(self, pattern)?);
        let escape = match escape {
            Some(v) => v.value.clone().into_string().and_then(|s| s.chars().next()),
            None => Some('\\'),
        };
        let like = Expr::new(
            Kind::Like {
                input,
                pattern,
                escape,
                insensitive,
                similar,
            },
            oid::BOOL,
        );
        Ok(if negated {
            Expr::new(Kind::Not(Box::new(like)), oid::BOOL)
        } else {
            like
        })
    }

    fn in_list(&mut self, expr: &ast::Expr, list: &[ast::Expr], negated: bool) -> Result<Expr> {
        if let ast::Expr::Tuple(left) = expr {
            let mut any: Option<Expr> = None;
            for item in list {
                let ast::Expr::Tuple(right) = item else {
                    return Err(CatalogError::new(
                        "42601",
                        "unequal number of entries in row expressions",
                    ));
                };
                let equal = self.row_comparison(left, right, "=")?;
                any = Some(match any {
                    Some(so_far) => {
                        Expr::new(Kind::Or(Box::new(so_far), Box::new(equal)), oid::BOOL)
                    }
                    None => equal,
                });
            }
            let any = any.ok_or_else(|| CatalogError::new("42601", "empty IN list"))?;
            return Ok(if negated {
                Expr::new(Kind::Not(Box::new(any)), oid::BOOL)
            } else {
                any
            });
        }
        let input = self.expr(expr)?;
        let items = list
            .iter()
            .map(|e| self.expr(e))
            .collect::<Result<Vec<_>>>()?;
        let mut types = vec![input.ty];
        types.extend(items.iter().map(|i| i.ty));
        let ty = match resolve::common_type(&types) {
            Some(ty) => ty,
            None => {
                // No common type: say so as the comparison would.
                let other = items
                    .iter()
                    .find(|i| i.ty != input.ty)
                    .cloned()
                    .unwrap_or_else(super::select::null);
                return self.operator("=", Some(input), other);
            }
        };
        let input = Box::new(self.coerce(input, ty, Freedom::Implicit)?);
        let items = items
            .into_iter()
            .map(|i| self.coerce(i, ty, Freedom::Implicit))
            .collect::<Result<_>>()?;
        Ok(Expr::new(
            Kind::InList {
                input,
                items,
                negated,
            },
            oid::BOOL,
        ))
    }

    fn row_subquery(
        &mut self,
        left: &ast::Expr,
        operator: &str,
        query: &ast::Query,
        all: bool,
    ) -> Result<Expr> {
        let lefts = match left {
            ast::Expr::Tuple(items) => items
                .iter()
                .map(|e| self.expr(e))
                .collect::<Result<Vec<_>>>()?,
            other => vec![self.expr(other)?],
        };
        let mut subquery = self.subquery(query)?;
        if subquery.query.columns.len() != lefts.len() {
            let error = if subquery.query.columns.len() > lefts.len() {
                "subquery has too many columns"
            } else {
                "subquery has too few columns"
            };
            return Err(CatalogError::new("42601", error));
        }
        let mut left = Vec::new();
        let mut types = Vec::new();
        for (l, column) in lefts.into_iter().zip(&subquery.query.columns) {
            let right = column.ty;
            let Some((_, signature)) = resolve::operator(operator, Some(l.ty), right) else {
                return Err(CatalogError::new("42883", format!("operator does not exist: {} {operator} {}", self.model.type_name(l.ty), self.model.type_name(right)))
                    .hint("No operator matches the given name and argument types. You might need to add explicit type casts."));
            };
            left.push(self.coerce(l, signature.arguments[0], Freedom::Implicit)?);
            types.push(signature.arguments[1]);
        }
        self.coerce_query(&mut subquery.query, &types)?;
        Ok(Expr::new(
            Kind::InSubquery {
                left,
                operator: operator.to_owned(),
                subquery: Box::new(subquery),
                all,
            },
            oid::BOOL,
        ))
    }

    fn quantified(
        &mut self,
        left: &ast::Expr,
        op: &ast::BinaryOperator,
        right: &ast::Expr,
        all: bool,
    ) -> Result<Expr> {
        let operator = operator_name(op);
        let mut inner = right;
        while let ast::Expr::Nested(e) = inner {
            inner = e;
        }
        if let ast::Expr::Subquery(query) = inner {
            return self.row_subquery(left, &operator, query, all);
        }
        let (left, mut right) = (self.expr(left)?, self.expr(inner)?);
        if right.ty == oid::UNKNOWN {
            let element = if left.ty == oid::UNKNOWN {
                oid::TEXT
            } else {
                left.ty
            };
            right = self.coerce(right, resolve::array_type(element), Freedom::Implicit)?;
        }
        let Some(element) = element_type(right.ty) else {
            return Err(CatalogError::new(
                "42809",
                "op ANY/ALL (array) requires array on right side",
            ));
        };
        let Some((_, signature)) = resolve::operator(&operator, Some(left.ty), element) else {
            return Err(CatalogError::new("42883", format!("operator does not exist: {} {operator} {}", self.model.type_name(left.ty), self.model.type_name(element)))
                .hint("No operator matches the given name and argument types. You might need to add explicit type casts."));
        };
        let left = Box::new(self.coerce(left, signature.arguments[0], Freedom::Implicit)?);
        let wanted = signature.arguments[1];
        if wanted != element && element_type(right.ty) != Some(wanted) {
            right = self.coerce(right, resolve::array_type(wanted), Freedom::Explicit)?;
        }
        Ok(Expr::new(
            Kind::Quantified {
                left,
                operator,
                right: Box::new(right),
                all,
            },
            oid::BOOL,
        ))
    }

    fn cast(&mut self, expr: &ast::Expr, type_name: &str) -> Result<Expr> {
        // ARRAY[...]::t[] gives the elements their type.
        if let ast::Expr::Array(array) = expr {
            let (ty, _) = convert::type_named(self.model, type_name)?;
            if let Some(element) = element_type(ty)
                && !array.elem.iter().any(|e| matches!(e, ast::Expr::Array(_)))
            {
                let items = array
                    .elem
                    .iter()
                    .map(|e| {
                        self.expr(e)
                            .and_then(|b| self.coerce(b, element, Freedom::Explicit))
                    })
                    .collect::<Result<Vec<_>>>()?;
                return Ok(Expr::new(
                    Kind::Array {
                        items,
                        nested: false,
                    },
                    ty,
                ));
            }
        }
        let bound = self.expr(expr)?;
        self.cast_bound(bound, type_name)
    }

    fn cast_bound(&mut self, bound: Expr, type_name: &str) -> Result<Expr> {
        let (ty, typmod) = convert::type_named(self.model, type_name)?;
        let mut out = self.coerce(bound, ty, Freedom::Explicit)?;
        if typmod >= 0 && convert::has_length(ty) {
            let fields = None;
            out = Expr {
                kind: Kind::Cast {
                    input: Box::new(out),
                    explicit: true,
                },
                ty,
                typmod,
                fields,
            };
        } else {
            out.typmod = typmod;
        }
        Ok(out)
    }

    fn case(
        &mut self,
        operand: Option<&ast::Expr>,
        conditions: &[ast::CaseWhen],
        otherwise: Option<&ast::Expr>,
    ) -> Result<Expr> {
        let operand = match operand {
            Some(e) => Some(self.expr(e)?),
            None => None,
        };
        let mut whens = Vec::new();
        for branch in conditions {
            let condition = match &operand {
                Some(operand) => {
                    let value = self.expr(&branch.condition)?;
                    self.operator("=", Some(operand.clone()), value)?
                }
                None => self.condition(&branch.condition, "CASE/WHEN")?,
            };
            whens.push((condition, self.expr(&branch.result)?));
        }
        let otherwise = match otherwise {
            Some(e) => Some(self.expr(e)?),
            None => None,
        };
        // The ELSE branch is looked at first.
        let types: Vec<u32> = otherwise
            .iter()
            .map(|e| e.ty)
            .chain(whens.iter().map(|w| w.1.ty))
            .collect();
        let ty = self.common(&types, "CASE")?;
        let fields = whens.iter().find_map(|w| w.1.fields.clone());
        let whens = whens
            .into_iter()
            .map(|(c, r)| Ok((c, self.coerce(r, ty, Freedom::Implicit)?)))
            .collect::<Result<_>>()?;
        let otherwise = match otherwise {
            Some(e) => Some(Box::new(self.coerce(e, ty, Freedom::Implicit)?)),
            None => None,
        };
        Ok(Expr {
            kind: Kind::Case { whens, otherwise },
            ty,
            typmod: -1,
            fields,
        })
    }

    fn array(&mut self, items: &[ast::Expr]) -> Result<Expr> {
        let items = items
            .iter()
            .map(|e| self.expr(e))
            .collect::<Result<Vec<_>>>()?;
        if items.is_empty() {
            return Err(
                CatalogError::new("42P18", "cannot determine type of empty array")
                    .hint("Explicitly cast to the desired type, for example ARRAY[]::integer[]."),
            );
        }
        let types: Vec<u32> = items.iter().map(|i| i.ty).collect();
        let ty = self.common(&types, "ARRAY")?;
        let nested = element_type(ty).is_some()
            && builtin()
                .type_of(ty)
                .is_some_and(|t| t.name.starts_with('_'));
        let items = items
            .into_iter()
            .map(|i| self.coerce(i, ty, Freedom::Implicit))
            .collect::<Result<_>>()?;
        let array = if nested { ty } else { resolve::array_type(ty) };
        Ok(Expr::new(Kind::Array { items, nested }, array))
    }

    fn row(&mut self, items: Vec<Expr>) -> Result<Expr> {
        let items = items
            .into_iter()
            .map(|i| {
                if i.ty == oid::UNKNOWN {
                    self.coerce(i, oid::TEXT, Freedom::Implicit)
                } else {
                    Ok(i)
                }
            })
            .collect::<Result<Vec<_>>>()?;
        let fields = record_fields(
            items
                .iter()
                .enumerate()
                .map(|(i, e)| (format!("f{}", i + 1), e.ty))
                .collect(),
        );
        Ok(Expr {
            kind: Kind::Row(items),
            ty: oid::RECORD,
            typmod: -1,
            fields,
        })
    }

    fn function(&mut self, function: &ast::Function) -> Result<Expr> {
        let parts = name_parts(&function.name, "")?;
        let list = match &function.args {
            ast::FunctionArguments::None => None,
            ast::FunctionArguments::List(list) => Some(list),
            ast::FunctionArguments::Subquery(query) => {
                return match parts.last().map(String::as_str) {
                    Some("array") => {
                        let subquery = self.subquery(query)?;
                        let [column] = subquery.query.columns.as_slice() else {
                            return Err(CatalogError::new(
                                "42601",
                                "subquery must return only one column",
                            ));
                        };
                        let ty = if element_type(column.ty).is_some() {
                            column.ty
                        } else {
                            resolve::array_type(column.ty)
                        };
                        Ok(Expr::new(Kind::ArraySubquery(Box::new(subquery)), ty))
                    }
                    _ => {
                        let inner = self.expr(&ast::Expr::Subquery(query.clone()))?;
                        self.qualified_call(&parts, vec![inner], false)
                    }
                };
            }
        };
        let mut star = false;
        let mut args = Vec::new();
        let mut order_by: Vec<ast::OrderByExpr> = Vec::new();
        let mut distinct = false;
        if let Some(list) = list {
            distinct = list.duplicate_treatment == Some(ast::DuplicateTreatment::Distinct);
            for arg in &list.args {
                match arg {
                    ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(e)) => {
                        args.push(self.expr(e)?)
                    }
                    ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Wildcard) => star = true,
                    ast::FunctionArg::Named {
                        arg: ast::FunctionArgExpr::Expr(e),
                        ..
                    } => args.push(self.expr(e)?),
                    other => return Err(CatalogError::unsupported(format!("argument {other}"))),
                }
            }
            for clause in &list.clauses {
                if let ast::FunctionArgumentClause::OrderBy(order) = clause {
                    order_by.clone_from(order);
                }
            }
        }
        if parts.len() == 1
            && let Some(special) = self.special_form(&parts[0], &mut args)?
        {
            return Ok(special);
        }
        let last = parts.last().cloned().unwrap_or_default();
        let kind = builtin()
            .functions_named(&last)
            .next()
            .map_or('f', |f| f.kind);
        if function.over.is_some() || kind == 'a' || kind == 'w' {
            let call = self.aggregate_call(&last, args, star, distinct, &order_by, function)?;
            return self.place_aggregate(call, function, kind);
        }
        self.qualified_call(&parts, args, true)
    }

    /// COALESCE and its like, which are syntax, not functions.
    fn special_form(&mut self, name: &str, args: &mut Vec<Expr>) -> Result<Option<Expr>> {
        Ok(Some(match name {
            "coalesce" | "greatest" | "least" => {
                let types: Vec<u32> = args.iter().map(|a| a.ty).collect();
                let ty = self.common(&types, &name.to_uppercase())?;
                let items = args
                    .drain(..)
                    .map(|a| self.coerce(a, ty, Freedom::Implicit))
                    .collect::<Result<Vec<_>>>()?;
                if items.is_empty() {
                    return Err(CatalogError::new("42601", "syntax error at or near \")\""));
                }
                let kind = if name == "coalesce" {
                    Kind::Coalesce(items)
                } else {
                    Kind::Extreme {
                        items,
                        greatest: name == "greatest",
                    }
                };
                Expr::new(kind, ty)
            }
            "nullif" => {
                let Ok([a, b]) = <[Expr; 2]>::try_from(std::mem::take(args)) else {
                    return Err(CatalogError::new("42601", "NULLIF takes two arguments"));
                };
                let equal = self.operator("=", Some(a.clone()), b)?;
                let a = if a.ty == oid::UNKNOWN {
                    self.coerce(a, oid::TEXT, Freedom::Implicit)?
                } else {
                    a
                };
                let ty = a.ty;
                Expr::new(Kind::NullIf(Box::new(equal), Box::new(a)), ty)
            }
            "row" => self.row(std::mem::take(args))?,
            _ => return Ok(None),
        }))
    }

    fn aggregate_call(
        &mut self,
        name: &str,
        args: Vec<Expr>,
        star: bool,
        distinct: bool,
        order_by: &[ast::OrderByExpr],
        function: &ast::Function,
    ) -> Result<Aggregate> {
        let bound = self.resolve_call(name, None, args)?;
        let (
            Kind::Call {
                function: chosen,
                args,
            },
            ty,
        ) = (bound.kind, bound.ty)
        else {
            return Err(CatalogError::unsupported(format!("{name}()")));
        };
        if star && name != "count" {
            return Err(CatalogError::new(
                "42883",
                format!("function {name}() does not exist"),
            ));
        }
        let filter = match &function.filter {
            Some(f) => Some(self.condition(f, "FILTER")?),
            None => None,
        };
        let order = self.keys(order_by)?;
        Ok(Aggregate {
            function: chosen,
            ty,
            args,
            star,
            distinct,
            order,
            filter,
        })
    }

    fn place_aggregate(
        &mut self,
        call: Aggregate,
        function: &ast::Function,
        kind: char,
    ) -> Result<Expr> {
        let ty = call.ty;
        let name = call.function.name.clone();
        let Some(over) = &function.over else {
            if kind == 'w' {
                return Err(CatalogError::new(
                    "42P20",
                    format!("window function {name} requires an OVER clause"),
                ));
            }
            let scope = self.scope()?;
            if let Some(place) = scope.no_aggregates {
                return Err(CatalogError::new(
                    "42803",
                    format!("aggregate functions are not allowed in {place}"),
                ));
            }
            scope.aggregates.push(call);
            return Ok(Expr::new(Kind::Aggregate(scope.aggregates.len() - 1), ty));
        };
        let spec = self.window_spec(over)?;
        let partition = spec
            .partition_by
            .iter()
            .map(|e| self.expr(e))
            .collect::<Result<_>>()?;
        let order = self.keys(&spec.order_by)?;
        let whole = match &spec.window_frame {
            None => false,
            Some(frame) => match (&frame.start_bound, &frame.end_bound) {
                (
                    ast::WindowFrameBound::Preceding(None),
                    Some(ast::WindowFrameBound::Following(None)),
                ) => true,
                (
                    ast::WindowFrameBound::Preceding(None),
                    None | Some(ast::WindowFrameBound::CurrentRow),
                ) => false,
                _ => return Err(CatalogError::unsupported("this window frame")),
            },
        };
        let scope = self.scope()?;
        scope.windows.push(Window {
            call,
            partition,
            order,
            whole,
        });
        Ok(Expr::new(Kind::Window(scope.windows.len() - 1), ty))
    }

    fn window_spec(&mut self, over: &ast::WindowType) -> Result<ast::WindowSpec> {
        let named = |b: &mut Self, name: &ast::Ident| -> Result<ast::WindowSpec> {
            let wanted = fold(name);
            let found = b
                .scope()?
                .named_windows
                .iter()
                .find(|w| fold(&w.0) == wanted)
                .cloned();
            match found {
                Some(ast::NamedWindowDefinition(_, ast::NamedWindowExpr::WindowSpec(spec))) => {
                    Ok(spec)
                }
                _ => Err(CatalogError::new(
                    "42704",
                    format!("window \"{wanted}\" does not exist"),
                )),
            }
        };
        match over {
            ast::WindowType::WindowSpec(spec) => match &spec.window_name {
                Some(name) => {
                    let mut base = named(self, name)?;
                    if !spec.order_by.is_empty() {
                        base.order_by.clone_from(&spec.order_by);
                    }
                    Ok(base)
                }
                None => Ok(spec.clone()),
            },
            ast::WindowType::NamedWindow(name) => named(self, name),
        }
    }

    /// Calls a function by its possibly qualified name.
    pub(super) fn qualified_call(
        &mut self,
        parts: &[String],
        args: Vec<Expr>,
        in_select: bool,
    ) -> Result<Expr> {
        let (schema, name) = match parts {
            [name] => (None, name),
            [schema, name] => (Some(schema.as_str()), name),
            _ => {
                return Err(CatalogError::new(
                    "42601",
                    format!(
                        "improper qualified name (too many dotted names): {}",
                        parts.join(".")
                    ),
                ));
            }
        };
        let bound = self.resolve_call(name, schema, args)?;
        self.place_set_returning(bound, in_select)
    }

    pub(super) fn call(&mut self, name: &str, args: Vec<Expr>, in_select: bool) -> Result<Expr> {
        self.qualified_call(&[name.to_owned()], args, in_select)
    }

    fn place_set_returning(&mut self, bound: Expr, in_select: bool) -> Result<Expr> {
        let set = matches!(&bound.kind, Kind::Call { function, .. } if function.set);
        if !set || !in_select {
            return Ok(bound);
        }
        let scope = self.scope()?;
        if let Some(place) = scope.no_aggregates {
            return Err(CatalogError::new(
                "0A000",
                format!("set-returning functions are not allowed in {place}"),
            ));
        }
        let (ty, fields) = (bound.ty, bound.fields.clone());
        scope.set_returning.push(bound);
        Ok(Expr {
            kind: Kind::SetReturning(scope.set_returning.len() - 1),
            ty,
            typmod: -1,
            fields,
        })
    }

    fn resolve_call(&mut self, name: &str, schema: Option<&str>, args: Vec<Expr>) -> Result<Expr> {
        let canonical = match name {
            "current_catalog" => "current_database",
            "current_role" | "user" => "current_user",
            "current_timestamp" | "localtimestamp" => "now",
            "trim" => "btrim",
            other => other,
        };
        let actual: Vec<u32> = args.iter().map(|a| a.ty).collect();
        let own: Vec<Arc<Function>> = self.model.functions_named(canonical);
        let overloads: Vec<&Function> = builtin()
            .functions_named(canonical)
            .chain(own.iter().map(AsRef::as_ref))
            .filter(|f| {
                schema.is_none_or(|s| f.schema == s)
                    && (schema.is_some() || f.schema != "information_schema")
            })
            .collect();
        if name == "current_date" && args.is_empty() {
            let now = self.call("now", Vec::new(), false)?;
            return self.coerce(now, oid::DATE, Freedom::Explicit);
        }
        let chosen = resolve::function(&overloads, &actual);
        let Some((function, signature)) = chosen else {
            return self.cast_call(name, schema, args);
        };
        if !super::super::functions::is_implemented(&function.name) {
            return Err(CatalogError::unsupported(format!("function {name}")));
        }
        let mut coerced = Vec::new();
        for (arg, ty) in args.into_iter().zip(&signature.arguments) {
            coerced.push(self.coerce(arg, *ty, Freedom::Implicit)?);
        }
        let result = if name == "localtimestamp" {
            oid::TIMESTAMP
        } else {
            signature.result
        };
        let fields = self.result_fields(function, &coerced);
        Ok(Expr {
            kind: Kind::Call {
                function: Arc::new(function.clone()),
                args: coerced,
            },
            ty: result,
            typmod: -1,
            fields,
        })
    }

    fn result_fields(&self, function: &Function, args: &[Expr]) -> Option<Fields> {
        let mut outputs = function.outputs();
        if outputs.len() <= 1 {
            return None;
        }
        if function.name == "_pg_expandarray"
            && let Some(element) = args.first().and_then(|a| element_type(a.ty))
        {
            outputs[0].1 = element;
        }
        record_fields(outputs)
    }

    /// `text(x)`: a call of one argument may be a cast.
    fn cast_call(&mut self, name: &str, schema: Option<&str>, args: Vec<Expr>) -> Result<Expr> {
        let actual: Vec<String> = args.iter().map(|a| self.model.type_name(a.ty)).collect();
        if let Ok([arg]) = <[Expr; 1]>::try_from(args)
            && schema.is_none_or(|s| s == "pg_catalog")
            && let Some(ty) = builtin().type_named(name)
            && resolve::can_coerce(arg.ty, ty, Freedom::Explicit)
        {
            return self.coerce(arg, ty, Freedom::Explicit);
        }
        let shown = schema.map_or_else(|| name.to_owned(), |s| format!("{s}.{name}"));
        Err(CatalogError::new("42883", format!("function {shown}({}) does not exist", actual.join(", ")))
            .hint("No function matches the given name and argument types. You might need to add explicit type casts."))
    }
}

fn system_column(
    scope: &super::Scope,
    alias: Option<&String>,
    column: &str,
    _depth: usize,
) -> Option<Expr> {
    let (name, ty) = SYSTEM_COLUMNS.iter().find(|(n, _)| *n == column)?;
    let mut items = scope
        .items
        .iter()
        .filter(|i| alias.is_none_or(|a| *a == i.alias));
    let relation = items.find_map(|i| i.relation)?;
    let value = match *name {
        "tableoid" => Value::oid(relation),
        "ctid" => Value::text("(0,1)"),
        "xmin" => Value::Int(2),
        _ => Value::Int(0),
    };
    Some(Expr::constant(value, *ty))
}

fn is_keyword_function(name: &str) -> bool {
    matches!(
        name,
        "current_user"
            | "session_user"
            | "user"
            | "current_role"
            | "current_catalog"
            | "current_schema"
            | "current_date"
            | "current_timestamp"
            | "localtimestamp"
    )
}

/// The operator's symbol, its schema dropped.
fn operator_name(op: &ast::BinaryOperator) -> String {
    match op {
        ast::BinaryOperator::PGCustomBinaryOperator(parts) => {
            parts.last().cloned().unwrap_or_default()
        }
        ast::BinaryOperator::Custom(name) => name.clone(),
        ast::BinaryOperator::PGExp | ast::BinaryOperator::BitwiseXor => "^".to_owned(),
        ast::BinaryOperator::PGBitwiseXor => "#".to_owned(),
        other => other.to_string(),
    }
}

fn number(text: &str) -> Result<Expr> {
    if let Ok(i) = text.parse::<i64>() {
        let ty = if i32::try_from(i).is_ok() {
            oid::INT4
        } else {
            oid::INT8
        };
        return Ok(Expr::constant(Value::Int(i), ty));
    }
    match Numeric::parse(text) {
        Some(n) => Ok(Expr::constant(Value::Numeric(n), oid::NUMERIC)),
        None => Err(CatalogError::new(
            "22003",
            format!("number \"{text}\" is too long"),
        )),
    }
}
