//! Columns, whole rows, fields and subscripts.

use datafusion::sql::sqlparser::ast;

use super::calls::is_keyword_function;
use super::{Binder, fold, record_fields};
use crate::pg_catalog::error::{CatalogError, Result};
use crate::pg_catalog::plan::{Expr, Fields, Index, Kind};
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
    pub(super) fn column(&mut self, parts: &[ast::Ident]) -> Result<Expr> {
        let mut names: Vec<String> = parts.iter().map(fold).collect();
        if names.len() == 4 && names[0] == self.model.database {
            names.remove(0);
        }
        let span = parts
            .first()
            .map_or_else(datafusion::sql::sqlparser::tokenizer::Span::empty, |p| {
                p.span
            });
        if let Some(found) = self.find_column(&names).map_err(|error| error.at(span))? {
            self.see(&found, span);
            return Ok(found);
        }
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

    pub(super) fn find_column(&self, names: &[String]) -> Result<Option<Expr>> {
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
            if let Some(system) = system_column(scope, alias, column) {
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

    pub(super) fn whole_row(&self, item: &super::Item, depth: usize) -> Expr {
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

    /// The row that `t.*` is as an argument.
    pub(super) fn row_of(&mut self, name: &ast::ObjectName) -> Result<Expr> {
        let parts = super::name_parts(name, &self.model.database)?;
        for (depth, scope) in self.scopes.iter().rev().enumerate() {
            let wanted = |item: &&super::Item| match parts.as_slice() {
                [alias] => item.alias == *alias,
                [schema, alias] => item.alias == *alias && item.schema.as_ref() == Some(schema),
                _ => false,
            };
            if !scope.hidden
                && let Some(item) = scope.items.iter().find(wanted)
            {
                return Ok(self.whole_row(item, depth));
            }
        }
        let text = format!("missing FROM-clause entry for table \"{name}\"");
        Err(CatalogError::new("42P01", text))
    }

    pub(super) fn field(&mut self, base: Expr, name: &str) -> Result<Expr> {
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

    pub(super) fn access(&mut self, root: &ast::Expr, chain: &[ast::AccessExpr]) -> Result<Expr> {
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

    pub(super) fn subscript(&mut self, input: Expr, chain: &[ast::AccessExpr]) -> Result<Expr> {
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
}

fn system_column(scope: &super::Scope, alias: Option<&String>, column: &str) -> Option<Expr> {
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
