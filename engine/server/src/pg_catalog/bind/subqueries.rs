//! Values beside subqueries: IN, ANY and ALL.

use datafusion::sql::sqlparser::ast;

use super::Binder;
use super::expr::operator_name;
use crate::pg_catalog::error::{CatalogError, Result};
use crate::pg_catalog::plan::{Expr, Kind};
use crate::pg_catalog::resolve::{self, Freedom};
use crate::pg_catalog::value::element_type;
use crate::pg_types::oid;

impl Binder<'_> {
    pub(super) fn row_subquery(
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

    pub(super) fn quantified(
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
}
