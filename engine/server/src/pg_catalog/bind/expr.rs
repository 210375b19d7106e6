//! Expressions: names, literals, operators, casts, calls and subqueries.

use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::tokenizer::Span;

use super::{Binder, record_fields};
use crate::pg_catalog::builtin::builtin;
use crate::pg_catalog::convert;
use crate::pg_catalog::error::{CatalogError, Result};
use crate::pg_catalog::escapes::escape_text;
use crate::pg_catalog::numeric::Numeric;
use crate::pg_catalog::plan::{Expr, Kind};
use crate::pg_catalog::resolve::{self, Freedom};
use crate::pg_catalog::similar::escape_of;
use crate::pg_catalog::value::{Value, element_type};
use crate::pg_types::oid;

impl Binder<'_> {
    pub(super) fn expr(&mut self, expr: &ast::Expr) -> Result<Expr> {
        self.nested(|b| b.expr_inner(expr))
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
                self.cast_bound(text, &typed.data_type.to_string(), typed.value.span)
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
                let text = Expr::constant(Value::text(text), oid::UNKNOWN);
                self.cast_bound(text, "interval", Span::empty())
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
                let zone = self.expr(time_zone)?;
                let time = self.expr(timestamp)?;
                self.call("timezone", vec![zone, time], false)
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

    fn literal(&mut self, value: &ast::ValueWithSpan) -> Result<Expr> {
        Ok(match &value.value {
            ast::Value::Null => super::select::null(),
            ast::Value::Boolean(b) => Expr::constant(Value::Bool(*b), oid::BOOL),
            ast::Value::Number(text, _) => number(text)?,
            ast::Value::Placeholder(name) => self.parameter(name)?,
            // The value of a parameter is of no place.
            ast::Value::HexStringLiteral(digits) if value.span.start.line == 0 => {
                let bytes = crate::session::bytea_of_text(&format!("\\x{digits}"));
                let bytes = bytes.map_err(|error| CatalogError::of(&error))?;
                Expr::constant(Value::Bytes(bytes.into()), oid::BYTEA)
            }
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
            Some(said) => match escape_text(&said.value)? {
                Some(escape) => escape_of(&escape)?,
                None => {
                    return self.expr(&ast::Expr::Cast {
                        kind: ast::CastKind::Cast,
                        expr: Box::new(ast::Expr::value(ast::Value::Null)),
                        data_type: ast::DataType::Boolean,
                        array: false,
                        format: None,
                    });
                }
            },
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
        // What a constant is no value of is told of where the constant stands.
        let span = match expr {
            ast::Expr::Value(value) => value.span,
            _ => Span::empty(),
        };
        self.cast_bound(bound, type_name, span)
    }

    fn cast_bound(&mut self, bound: Expr, type_name: &str, span: Span) -> Result<Expr> {
        let (ty, typmod) = convert::type_named(self.model, type_name)?;
        let mut out = self
            .coerce(bound, ty, Freedom::Explicit)
            .map_err(|error| error.at(span))?;
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
        let branches = whens.iter().flat_map(|(when, then)| [when, then]);
        self.refuse_sets(branches.chain(&otherwise), "CASE", None)?;
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

    pub(super) fn row(&mut self, items: Vec<Expr>) -> Result<Expr> {
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
}

/// The operator's symbol, its schema dropped.
pub(super) fn operator_name(op: &ast::BinaryOperator) -> String {
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
