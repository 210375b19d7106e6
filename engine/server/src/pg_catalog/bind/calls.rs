//! Calls: functions, special forms, aggregates, windows, sets, and casts that are written as calls.

use std::sync::Arc;

use datafusion::sql::sqlparser::ast::{self, Spanned as _};

use super::places::Place;
use super::{Binder, fold, name_parts, record_fields};
use crate::pg_catalog::builtin::{Function, builtin};
use crate::pg_catalog::error::{CatalogError, Result};
use crate::pg_catalog::plan::{Aggregate, Expr, Fields, Kind, Window};
use crate::pg_catalog::resolve::{self, Freedom};
use crate::pg_catalog::value::element_type;
use crate::pg_types::oid;

impl Binder<'_> {
    pub(super) fn function(&mut self, function: &ast::Function) -> Result<Expr> {
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
        let last = parts.last().cloned().unwrap_or_default();
        let kind = builtin()
            .functions_named(&last)
            .next()
            .map_or('f', |f| f.kind);
        let aggregates = function.over.is_some() || kind == 'a' || kind == 'w';
        // What stands in a call stands where the call does.
        let place = match (function.over.is_some() || kind == 'w', aggregates) {
            (true, _) => Place::Window,
            (false, true) => Place::Aggregate,
            (false, false) => self.scope()?.place,
        };
        let mut star = false;
        let mut args = Vec::new();
        let mut order_by: Vec<ast::OrderByExpr> = Vec::new();
        let mut distinct = false;
        if let Some(list) = list {
            distinct = list.duplicate_treatment == Some(ast::DuplicateTreatment::Distinct);
            for arg in &list.args {
                match arg {
                    ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(e))
                    | ast::FunctionArg::Named {
                        arg: ast::FunctionArgExpr::Expr(e),
                        ..
                    } => args.push(self.placed(place, |b| b.expr(e))?),
                    ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Wildcard) => star = true,
                    ast::FunctionArg::Unnamed(ast::FunctionArgExpr::QualifiedWildcard(name)) => {
                        args.push(self.row_of(name)?);
                    }
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
        let span = function.name.span();
        if aggregates {
            let call = self.aggregate_call(&last, args, star, distinct, &order_by, function)?;
            return self
                .place_aggregate(call, function, kind)
                .map_err(|error| error.at(span));
        }
        self.qualified_call(&parts, args, true)
            .map_err(|error| error.at(span))
    }

    /// COALESCE and its like, which are syntax, not functions.
    pub(super) fn special_form(
        &mut self,
        name: &str,
        args: &mut Vec<Expr>,
    ) -> Result<Option<Expr>> {
        Ok(Some(match name {
            "coalesce" | "greatest" | "least" => {
                if name == "coalesce" {
                    self.refuse_sets(args.iter(), "COALESCE", None)?;
                }
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

    pub(super) fn aggregate_call(
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
            Some(f) => Some(self.placed(Place::Filter, |b| b.condition(f, "FILTER"))?),
            None => None,
        };
        let order = self.placed(Place::Aggregate, |b| b.keys(order_by))?;
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

    pub(super) fn place_aggregate(
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
            scope.place.aggregate()?;
            let at = place_in(&mut scope.aggregates, call);
            return Ok(Expr::new(Kind::Aggregate(at), ty));
        };
        self.scope()?.place.window()?;
        let spec = self.window_spec(over)?;
        let partition = spec
            .partition_by
            .iter()
            .map(|e| self.placed(Place::Frame, |b| b.expr(e)))
            .collect::<Result<_>>()?;
        let order = self.placed(Place::Frame, |b| b.keys(&spec.order_by))?;
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
        let window = Window {
            call,
            partition,
            order,
            whole,
        };
        let at = place_in(&mut self.scope()?.windows, window);
        Ok(Expr::new(Kind::Window(at), ty))
    }

    pub(super) fn window_spec(&mut self, over: &ast::WindowType) -> Result<ast::WindowSpec> {
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

    pub(super) fn place_set_returning(&mut self, bound: Expr, in_select: bool) -> Result<Expr> {
        let set = matches!(&bound.kind, Kind::Call { function, .. } if function.set);
        if !set || !in_select {
            return Ok(bound);
        }
        let scope = self.scope()?;
        scope.place.set()?;
        let (ty, fields) = (bound.ty, bound.fields.clone());
        let at = place_in(&mut scope.set_returning, bound);
        Ok(Expr {
            kind: Kind::SetReturning(at),
            ty,
            typmod: -1,
            fields,
        })
    }

    pub(super) fn resolve_call(
        &mut self,
        name: &str,
        schema: Option<&str>,
        args: Vec<Expr>,
    ) -> Result<Expr> {
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
        // Functions that cast have the names of types.
        if let ([arg], Some(ty)) = (args.as_slice(), builtin().type_named(name))
            && schema.is_none_or(|s| s == "pg_catalog")
            && resolve::can_coerce(arg.ty, ty, Freedom::Explicit)
        {
            return self.cast_call(name, schema, args);
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

    pub(super) fn result_fields(&self, function: &Function, args: &[Expr]) -> Option<Fields> {
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
    pub(super) fn cast_call(
        &mut self,
        name: &str,
        schema: Option<&str>,
        args: Vec<Expr>,
    ) -> Result<Expr> {
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

/// Where such a call is computed: what is asked for twice is computed once.
fn place_in<T: PartialEq>(calls: &mut Vec<T>, call: T) -> usize {
    calls
        .iter()
        .position(|known| *known == call)
        .unwrap_or_else(|| {
            calls.push(call);
            calls.len() - 1
        })
}

pub(super) fn is_keyword_function(name: &str) -> bool {
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
