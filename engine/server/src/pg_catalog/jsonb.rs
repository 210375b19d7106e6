//! What changes and compares `jsonb`: its operators, `jsonb_set`, `jsonb_insert`.

use serde_json::Value as Json;

use super::builtin::Function;
use super::convert::jsonb_text;
use super::error::{CatalogError, Result};
use super::value::{ArrayValue, Value};

/// Applies an operator whose left side is json.
///
/// # Errors
/// 22023 for what the value has no part for.
pub(super) fn operator(name: &str, left: &Value, right: &Value) -> Result<Value> {
    let json = read(left)?;
    let keys = |array: &ArrayValue| -> Vec<String> {
        let texts = array.items.iter().filter_map(Value::as_str);
        texts.map(str::to_owned).collect()
    };
    Ok(match (name, right) {
        ("?", Value::Text(key)) => Value::Bool(has(&json, key)),
        ("?|", Value::Array(array)) => Value::Bool(keys(array).iter().any(|key| has(&json, key))),
        ("?&", Value::Array(array)) => Value::Bool(keys(array).iter().all(|key| has(&json, key))),
        ("@>", Value::Text(_)) => Value::Bool(contains(&json, &read(right)?, true)),
        ("<@", Value::Text(_)) => Value::Bool(contains(&read(right)?, &json, true)),
        ("||", Value::Text(_)) => told(&joined(json, read(right)?)),
        ("-", Value::Text(key)) => told(&without(json, std::slice::from_ref(&key.to_string()))?),
        ("-", Value::Array(array)) => told(&without(json, &keys(array))?),
        ("-", Value::Int(place)) => told(&without_place(json, *place)?),
        ("#-", Value::Array(array)) => told(&without_path(json, &keys(array))?),
        _ => {
            let text = format!("operator {name} of json and this type");
            return Err(CatalogError::unsupported(text));
        }
    })
}

/// Calls one of the functions; None for any other.
///
/// # Errors
/// 22023 and 22P02 in PostgreSQL's words.
pub(super) fn call(function: &Function, args: &[Value]) -> Result<Option<Value>> {
    let insert = match function.name.as_str() {
        "jsonb_set" => false,
        "jsonb_insert" => true,
        _ => return Ok(None),
    };
    let [json, Value::Array(path), new, rest @ ..] = args else {
        return Ok(Some(Value::Null));
    };
    if json.is_null() || new.is_null() || rest.iter().any(Value::is_null) {
        return Ok(Some(Value::Null));
    }
    let path: Option<Vec<&str>> = path.items.iter().map(Value::as_str).collect();
    let Some(path) = path else {
        let text = "path element must not be null";
        return Err(CatalogError::new("22004", text));
    };
    let flag = rest.first().and_then(Value::as_bool).unwrap_or(!insert);
    let change = Change {
        new: read(new)?,
        insert,
        flag,
    };
    let mut json = read(json)?;
    if !matches!(json, Json::Object(_) | Json::Array(_)) {
        let text = "cannot set path in scalar";
        return Err(CatalogError::new("22023", text));
    }
    change.within(&mut json, &path, 1)?;
    Ok(Some(told(&json)))
}

fn read(value: &Value) -> Result<Json> {
    let text = value.as_str().unwrap_or_default();
    Ok(super::json::parsed(text)?.unwrap_or(Json::Null))
}

fn told(json: &Json) -> Value {
    Value::text(jsonb_text(json))
}

/// Whether a key of an object, a text of an array, or a text has this text.
fn has(json: &Json, key: &str) -> bool {
    match json {
        Json::Object(fields) => fields.contains_key(key),
        Json::Array(items) => items.iter().any(|item| item.as_str() == Some(key)),
        other => other.as_str() == Some(key),
    }
}

/// Whether all of one value is in another. At the top an array contains a value that is one of its items.
fn contains(whole: &Json, part: &Json, at_top: bool) -> bool {
    match (whole, part) {
        (Json::Object(whole), Json::Object(part)) => part.iter().all(|(key, part)| {
            let found = whole.get(key);
            found.is_some_and(|whole| contains(whole, part, false))
        }),
        (Json::Array(whole), Json::Array(part)) => part
            .iter()
            .all(|part| whole.iter().any(|item| contains(item, part, false))),
        (Json::Array(whole), part) if at_top && !part.is_object() => {
            whole.iter().any(|item| contains(item, part, false))
        }
        (whole, part) => same(whole, part),
    }
}

/// Whether two scalars are one: numbers by what they are worth.
fn same(left: &Json, right: &Json) -> bool {
    left == right || left.is_number() && right.is_number() && left.as_f64() == right.as_f64()
}

fn joined(left: Json, right: Json) -> Json {
    match (left, right) {
        (Json::Object(mut left), Json::Object(right)) => {
            left.extend(right);
            Json::Object(left)
        }
        (left, right) => {
            let mut items = of_array(left);
            items.extend(of_array(right));
            Json::Array(items)
        }
    }
}

fn of_array(json: Json) -> Vec<Json> {
    match json {
        Json::Array(items) => items,
        other => vec![other],
    }
}

fn without(json: Json, keys: &[String]) -> Result<Json> {
    Ok(match json {
        Json::Object(mut fields) => {
            fields.retain(|key, _| !keys.contains(key));
            Json::Object(fields)
        }
        Json::Array(mut items) => {
            let named = |item: &Json| {
                item.as_str()
                    .is_some_and(|text| keys.iter().any(|k| k == text))
            };
            items.retain(|item| !named(item));
            Json::Array(items)
        }
        _ => return Err(no_scalar("cannot delete from scalar")),
    })
}

fn no_scalar(text: &'static str) -> CatalogError {
    CatalogError::new("22023", text)
}

fn without_place(json: Json, place: i64) -> Result<Json> {
    match json {
        Json::Array(mut items) => {
            if let Ok(place) = item_place(place, items.len()) {
                items.remove(place);
            }
            Ok(Json::Array(items))
        }
        Json::Object(_) => Err(no_scalar("cannot delete from object using integer index")),
        _ => Err(no_scalar("cannot delete from scalar")),
    }
}

fn without_path(mut json: Json, path: &[String]) -> Result<Json> {
    if !matches!(json, Json::Object(_) | Json::Array(_)) {
        return Err(no_scalar("cannot delete path in scalar"));
    }
    let Some((last, steps)) = path.split_last() else {
        return Ok(json);
    };
    let mut at = Some(&mut json);
    for (depth, step) in steps.iter().enumerate() {
        at = match at {
            Some(json) => below(json, step, depth + 1)?,
            None => None,
        };
    }
    match at {
        Some(Json::Object(fields)) => {
            fields.shift_remove(last);
        }
        Some(Json::Array(items)) => {
            let place = array_step(last, path.len())?;
            if let Ok(place) = item_place(place, items.len()) {
                items.remove(place);
            }
        }
        _ => {}
    }
    Ok(json)
}

/// What a step of a path leads to, when it is there.
fn below<'j>(json: &'j mut Json, step: &str, position: usize) -> Result<Option<&'j mut Json>> {
    Ok(match json {
        Json::Object(fields) => fields.get_mut(step),
        Json::Array(items) => {
            let place = item_place(array_step(step, position)?, items.len());
            place.ok().and_then(|place| items.get_mut(place))
        }
        _ => None,
    })
}

/// The number of an item that a step of a path names.
fn array_step(step: &str, position: usize) -> Result<i64> {
    step.trim().parse::<i32>().map(i64::from).map_err(|_| {
        let text = format!("path element at position {position} is not an integer: \"{step}\"");
        CatalogError::new("22P02", text)
    })
}

/// Where an item is, counted from the end when negative.
///
/// # Errors
/// Whether it would be before the first, when there is none.
fn item_place(place: i64, length: usize) -> std::result::Result<usize, bool> {
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    let found = if place < 0 { place + length } else { place };
    match (0..length).contains(&found) {
        true => usize::try_from(found).map_err(|_| false),
        false => Err(found < 0),
    }
}

/// What `jsonb_set` and `jsonb_insert` do at the end of a path.
struct Change {
    new: Json,
    insert: bool,
    /// Of `jsonb_set`: whether to make what is not there; of `jsonb_insert`: whether behind the item.
    flag: bool,
}

impl Change {
    fn within(&self, json: &mut Json, path: &[&str], position: usize) -> Result<()> {
        let (step, last) = match path {
            [] => return Ok(()),
            [step] => (*step, true),
            [step, ..] => (*step, false),
        };
        if !last {
            return match below(json, step, position)? {
                Some(below) => self.within(below, &path[1..], position + 1),
                None => Ok(()),
            };
        }
        match json {
            Json::Object(fields) => match fields.contains_key(step) {
                true if self.insert => {
                    let text = "cannot replace existing key";
                    let hint = "Try using the function jsonb_set to replace key value.";
                    return Err(CatalogError::new("22023", text).hint(hint));
                }
                there if there || self.insert || self.flag => {
                    fields.insert(step.to_owned(), self.new.clone());
                }
                _ => {}
            },
            Json::Array(items) => {
                let place = item_place(array_step(step, position)?, items.len());
                match (place, self.insert) {
                    (Ok(place), false) => items[place] = self.new.clone(),
                    (Ok(place), true) => {
                        items.insert(place + usize::from(self.flag), self.new.clone());
                    }
                    (Err(_), false) if !self.flag => {}
                    (Err(true), _) => items.insert(0, self.new.clone()),
                    (Err(false), _) => items.push(self.new.clone()),
                }
            }
            _ => {}
        }
        Ok(())
    }
}
