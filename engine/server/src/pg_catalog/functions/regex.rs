//! Functions of regular expressions.

use genokura_regex::{Flags, Instance, Matcher, Regex, Replacement};

use super::text_array;
use crate::patterns::{compiled, flags_of_replace, number};
use crate::pg_catalog::error::{CatalogError, Result};
use crate::pg_catalog::eval::Cx;
use crate::pg_catalog::scalar::size;
use crate::pg_catalog::similar::{escape_of, similar_to_escape};
use crate::pg_catalog::value::Value;

fn text(args: &[Value], at: usize) -> &str {
    args.get(at).and_then(Value::as_str).unwrap_or_default()
}

/// A number among the arguments, or another where there is none.
fn place(args: &[Value], at: usize, name: &str, least: i64, other: usize) -> Result<usize> {
    match args.get(at).and_then(Value::as_int) {
        Some(given) => number(name, given, least),
        None => Ok(other),
    }
}

fn groups(found: Vec<Option<&str>>) -> Value {
    text_array(found.into_iter().map(Value::optional_text).collect())
}

/// Looks at a text until the statement is stopped, or has taken too long at all its texts.
pub(crate) fn asked<T, E>(
    cx: &Cx<'_>,
    regex: &Regex,
    ask: impl FnOnce(&mut Matcher<'_>) -> std::result::Result<T, E>,
) -> Result<T>
where
    CatalogError: From<E>,
{
    let stop = || cx.is_cancelled();
    let mut matcher = regex.matcher(&stop);
    matcher.set_excess(cx.excess.get());
    let answer = ask(&mut matcher);
    cx.excess.set(matcher.excess());
    Ok(answer?)
}

/// A call of a function; `None` for one that is not of regular expressions.
pub(super) fn call(cx: &Cx<'_>, name: &str, args: &[Value]) -> Result<Option<Value>> {
    Ok(Some(match name {
        "regexp_replace" => replaced(cx, args)?,
        "regexp_match" => {
            let flags = Flags::of_one(name, text(args, 2))?;
            let regex = compiled(text(args, 1), flags)?;
            let found = asked(cx, &regex, |matcher| {
                genokura_regex::matches(matcher, text(args, 0), false)
            })?;
            found.into_iter().next().map_or(Value::Null, groups)
        }
        "regexp_like" => {
            let flags = Flags::of_one(name, text(args, 2))?;
            let regex = compiled(text(args, 1), flags)?;
            Value::Bool(asked(cx, &regex, |matcher| {
                matcher.is_match(text(args, 0))
            })?)
        }
        "regexp_count" => {
            let start = place(args, 2, "start", 1, 1)?;
            let flags = Flags::of_one(name, text(args, 3))?;
            let regex = compiled(text(args, 1), flags)?;
            let found = asked(cx, &regex, |matcher| {
                genokura_regex::count(matcher, text(args, 0), start)
            })?;
            super::count(found)
        }
        "regexp_substr" => {
            let which = Instance {
                start: place(args, 2, "start", 1, 1)?,
                nth: place(args, 3, "n", 1, 1)?,
                group: place(args, 5, "subexpr", 0, 0)?,
            };
            let flags = Flags::of_one(name, text(args, 4))?;
            let regex = compiled(text(args, 1), flags)?;
            let found = asked(cx, &regex, |matcher| {
                genokura_regex::instance(matcher, text(args, 0), which)
            })?;
            Value::optional_text(found.map(|found| found.text))
        }
        "regexp_instr" => {
            let which = Instance {
                start: place(args, 2, "start", 1, 1)?,
                nth: place(args, 3, "n", 1, 1)?,
                group: place(args, 6, "subexpr", 0, 0)?,
            };
            let behind = place(args, 4, "endoption", 0, 0)?;
            if behind > 1 {
                let text = format!("invalid value for parameter \"endoption\": {behind}");
                return Err(CatalogError::new("22023", text));
            }
            let flags = Flags::of_one(name, text(args, 5))?;
            let regex = compiled(text(args, 1), flags)?;
            let found = asked(cx, &regex, |matcher| {
                genokura_regex::instance(matcher, text(args, 0), which)
            })?;
            super::count(found.map_or(0, |found| match behind {
                0 => found.first,
                _ => found.behind,
            }))
        }
        "regexp_split_to_array" => text_array(parts(cx, name, args)?),
        _ => return Ok(None),
    }))
}

fn replaced(cx: &Cx<'_>, args: &[Value]) -> Result<Value> {
    let (start, nth, flags) = match args.get(3) {
        Some(Value::Int(_)) => {
            let start = place(args, 3, "start", 1, 1)?;
            let nth = place(args, 4, "n", 0, 1)?;
            (start, nth, Flags::read(text(args, 5))?)
        }
        Some(_) => {
            let flags = flags_of_replace(text(args, 3))?;
            (1, usize::from(!flags.global), flags)
        }
        None => (1, 1, Flags::default()),
    };
    let regex = compiled(text(args, 1), flags)?;
    let replacement = Replacement::new(text(args, 2));
    let made = asked(cx, &regex, |matcher| {
        genokura_regex::replace(matcher, text(args, 0), &replacement, start, nth)
    })?;
    Ok(Value::text(made))
}

/// `substring` of a text by a pattern, or by one of SIMILAR TO.
pub(super) fn part(cx: &Cx<'_>, args: &[Value]) -> Result<Value> {
    let regex = match args.get(2).and_then(Value::as_str) {
        Some(escape) => {
            let pattern = similar_to_escape(text(args, 1), escape_of(escape)?)?;
            compiled(&pattern, Flags::default())?
        }
        None => compiled(text(args, 1), Flags::default())?,
    };
    let found = asked(cx, &regex, |matcher| {
        genokura_regex::substring(matcher, text(args, 0))
    })?;
    Ok(Value::optional_text(found))
}

/// The parts of a text between the matches of a pattern.
pub(super) fn parts(cx: &Cx<'_>, name: &str, args: &[Value]) -> Result<Vec<Value>> {
    let regex = compiled(text(args, 1), Flags::of_one(name, text(args, 2))?)?;
    let mut all = Vec::new();
    asked(cx, &regex, |matcher| {
        genokura_regex::each_part(matcher, text(args, 0), |part| {
            keep(cx, &mut all, Value::text(part))
        })
    })?;
    Ok(all)
}

/// Keeps a value, which is counted when it comes.
fn keep(cx: &Cx<'_>, all: &mut Vec<Value>, value: Value) -> Result<()> {
    cx.keep(size(&value))?;
    all.push(value);
    Ok(())
}

/// The groups of the first match, or of all.
pub(super) fn all_matches(cx: &Cx<'_>, args: &[Value]) -> Result<Vec<Value>> {
    let flags = Flags::read(text(args, 2))?;
    let regex = compiled(text(args, 1), flags)?;
    let mut all = Vec::new();
    asked(cx, &regex, |matcher| {
        genokura_regex::each_match(matcher, text(args, 0), flags.global, |found| {
            keep(cx, &mut all, groups(found))
        })
    })?;
    Ok(all)
}
