//! The `reg*` types: objects of the catalog by name.

use super::{identifier_parts, type_named};
use crate::pg_catalog::builtin::{Operator, builtin};
use crate::pg_catalog::error::{CatalogError, Result};
use crate::pg_catalog::format::quote_ident;
use crate::pg_catalog::model::{CatalogModel, SessionInfo, oid_of};
use crate::pg_catalog::value::Value;
use crate::pg_types::oid;

/// Reads a `reg*` value: a number, or the name of an object.
pub(super) fn reg_input(
    model: &CatalogModel,
    session: &SessionInfo,
    text: &str,
    ty: u32,
) -> Result<Value> {
    let text = text.trim();
    if text == "-" {
        return Ok(Value::Int(0));
    }
    match text.parse::<u32>() {
        Ok(number) => Ok(Value::oid(number)),
        Err(_) => by_name(model, session, text, ty),
    }
}

/// The object of a type that a text names.
pub(crate) fn by_name(
    model: &CatalogModel,
    session: &SessionInfo,
    text: &str,
    ty: u32,
) -> Result<Value> {
    let parts = identifier_parts(text);
    let single = || match parts.as_slice() {
        [name] if !name.is_empty() => Ok(name.as_str()),
        _ => Err(invalid_name()),
    };
    let found = match ty {
        oid::REGCLASS => relation(model, session, &parts)?,
        oid::REGTYPE => type_named(model, text)?.0,
        oid::REGNAMESPACE => {
            let name = single()?;
            match model.namespace_oid(name) {
                0 => return Err(no_schema(name)),
                found => found,
            }
        }
        oid::REGROLE => model.role(single()?)?.oid,
        oid::REGPROC => function(model, text)?,
        oid::REGPROCEDURE => procedure(model, text)?,
        oid::REGOPER => {
            let name = operator_name(text);
            let mut named = builtin().operators_named(name);
            match (named.next(), named.next()) {
                (Some(one), None) => one.oid,
                (None, _) => return Err(no_operator(text)),
                _ => {
                    let text = format!("more than one operator named {text}");
                    return Err(CatalogError::new("42725", text));
                }
            }
        }
        oid::REGOPERATOR => operator_of(model, text)?,
        oid::REGCOLLATION => match parts.last().map(String::as_str) {
            Some("default") => 100,
            Some("C") => 950,
            Some("POSIX") => 951,
            _ => {
                let name = parts.join(".");
                let text = format!("collation \"{name}\" for encoding \"UTF8\" does not exist");
                return Err(CatalogError::new("42704", text));
            }
        },
        _ => {
            let text = format!("text search object \"{text}\" does not exist");
            return Err(CatalogError::new("42704", text));
        }
    };
    Ok(Value::oid(found))
}

fn invalid_name() -> CatalogError {
    CatalogError::new("42602", "invalid name syntax")
}

fn no_schema(name: &str) -> CatalogError {
    CatalogError::new("3F000", format!("schema \"{name}\" does not exist"))
}

fn no_operator(text: &str) -> CatalogError {
    CatalogError::new("42883", format!("operator does not exist: {text}"))
}

fn relation(model: &CatalogModel, session: &SessionInfo, parts: &[String]) -> Result<u32> {
    let named = parts.join(".");
    if parts.iter().any(String::is_empty) {
        return Err(invalid_name());
    }
    let (schema, name) = match parts {
        [name] => (None, name),
        [schema, name] => (Some(schema), name),
        [database, schema, name] if *database == model.database => (Some(schema), name),
        [_, _, _] => {
            let text = format!("cross-database references are not implemented: \"{named}\"");
            return Err(CatalogError::new("0A000", text));
        }
        _ => {
            let text = format!("improper relation name (too many dotted names): {named}");
            return Err(CatalogError::new("42601", text));
        }
    };
    let found = model.find_relation(schema.map(String::as_str), name, &session.search_path);
    match (found, schema) {
        (Some(relation), _) => Ok(relation.oid),
        (None, Some(schema)) if schema != "pg_temp" && model.namespace_oid(schema) == 0 => {
            Err(no_schema(schema))
        }
        _ => {
            let text = format!("relation \"{named}\" does not exist");
            Err(CatalogError::new("42P01", text))
        }
    }
}

/// The functions that a possibly qualified name means.
fn functions(model: &CatalogModel, name: &str) -> Result<Vec<(u32, Vec<u32>)>> {
    let parts = identifier_parts(name);
    let (schema, bare) = match parts.as_slice() {
        [bare] => (None, bare),
        [.., schema, bare] => (Some(schema), bare),
        [] => return Err(invalid_name()),
    };
    if let Some(schema) = schema
        && model.namespace_oid(schema) == 0
    {
        return Err(no_schema(schema));
    }
    let own = model.functions_named(bare);
    let all = builtin()
        .functions_named(bare)
        .chain(own.iter().map(AsRef::as_ref));
    let of_schema = all.filter(|f| schema.is_none_or(|schema| f.schema == *schema));
    Ok(of_schema.map(|f| (f.oid, f.arguments.clone())).collect())
}

fn function(model: &CatalogModel, text: &str) -> Result<u32> {
    match functions(model, text)?.as_slice() {
        [(one, _)] => Ok(*one),
        [] => {
            let text = format!("function \"{text}\" does not exist");
            Err(CatalogError::new("42883", text))
        }
        _ => {
            let text = format!("more than one function named \"{text}\"");
            Err(CatalogError::new("42725", text))
        }
    }
}

/// A name and the types in parentheses behind it; `none` stands for no operand.
fn signature<'t>(model: &CatalogModel, text: &'t str) -> Result<(&'t str, Vec<u32>)> {
    let expected = |side: &str| {
        let text = format!("expected a {side} parenthesis");
        CatalogError::new("22P02", text)
    };
    let (name, types) = text.split_once('(').ok_or_else(|| expected("left"))?;
    let types = types.trim_end().strip_suffix(')');
    let types = types.ok_or_else(|| expected("right"))?;
    // A comma in parentheses is of a modifier.
    let mut depth = 0;
    let apart = types.split(|c: char| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        c == ',' && depth == 0
    });
    let apart = apart.map(str::trim).filter(|part| !part.is_empty());
    let read = |part: &str| match part.eq_ignore_ascii_case("none") {
        true => Ok(0),
        false => type_named(model, part).map(|(ty, _)| ty),
    };
    let types = apart.map(read).collect::<Result<_>>()?;
    Ok((name.trim(), types))
}

fn procedure(model: &CatalogModel, text: &str) -> Result<u32> {
    let (name, types) = signature(model, text)?;
    let all = functions(model, name)?;
    let found = all.iter().find(|(_, arguments)| *arguments == types);
    found.map(|(oid, _)| *oid).ok_or_else(|| {
        let text = format!("function \"{text}\" does not exist");
        CatalogError::new("42883", text)
    })
}

/// The sign of an operator, without its schema.
fn operator_name(text: &str) -> &str {
    text.strip_prefix("pg_catalog.").unwrap_or(text)
}

fn operator_of(model: &CatalogModel, text: &str) -> Result<u32> {
    let (name, types) = signature(model, text)?;
    let [left, right] = types.as_slice() else {
        let error = CatalogError::new("42P02", "missing argument");
        return Err(error.hint("Use NONE to denote the missing argument of a unary operator."));
    };
    let mut named = builtin().operators_named(operator_name(name));
    let found = named.find(|o| o.left == *left && o.right == *right);
    found.map(|o| o.oid).ok_or_else(|| no_operator(text))
}

fn operator(number: u32) -> Option<&'static Operator> {
    builtin().operators.iter().find(|o| o.oid == number)
}

/// The name a `reg*` value prints.
pub(crate) fn reg_output(
    model: &CatalogModel,
    session: &SessionInfo,
    number: u32,
    ty: u32,
) -> String {
    if number == 0 {
        return "-".to_owned();
    }
    let named = match ty {
        oid::REGCLASS => model.relation(number).map(|r| {
            if model.is_visible(r, &session.search_path) {
                quote_ident(&r.name)
            } else {
                format!("{}.{}", quote_ident(&r.schema), quote_ident(&r.name))
            }
        }),
        oid::REGTYPE => {
            Some(model.format_type(number, None, &session.search_path)).filter(|n| n != "???")
        }
        oid::REGPROC => function_name(model, number),
        oid::REGPROCEDURE => model.function(number).map(|f| {
            let args: Vec<String> = f
                .arguments
                .iter()
                .map(|a| model.format_type(*a, None, &session.search_path))
                .collect();
            format!("{}({})", quote_ident(&f.name), args.join(","))
        }),
        oid::REGNAMESPACE => model
            .namespaces
            .iter()
            .find(|n| n.oid == number)
            .map(|n| quote_ident(&n.name)),
        oid::REGROLE => model
            .roles
            .iter()
            .find(|r| r.oid == number)
            .map(|r| quote_ident(&r.name)),
        oid::REGOPER => {
            operator(number).map(|o| match builtin().operators_named(&o.name).count() {
                1 => o.name.clone(),
                _ => format!("pg_catalog.{}", o.name),
            })
        }
        oid::REGOPERATOR => operator(number).map(|o| {
            let operand = |ty: u32| match ty {
                0 => "NONE".to_owned(),
                ty => model.format_type(ty, None, &session.search_path),
            };
            format!("{}({},{})", o.name, operand(o.left), operand(o.right))
        }),
        oid::REGCOLLATION => match number {
            100 => Some("\"default\"".to_owned()),
            950 => Some("\"C\"".to_owned()),
            _ => None,
        },
        _ => None,
    };
    named.unwrap_or_else(|| number.to_string())
}

fn function_name(model: &CatalogModel, number: u32) -> Option<String> {
    if number == oid_of("function", "pg_catalog", "internal") {
        return None;
    }
    model.function(number).map(|f| {
        if f.schema == "pg_catalog" || f.schema == "public" {
            quote_ident(&f.name)
        } else {
            format!("{}.{}", quote_ident(&f.schema), quote_ident(&f.name))
        }
    })
}
