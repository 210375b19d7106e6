//! Text functions.

use super::{count, quote, regex, text_array};
use crate::pg_catalog::builtin::Function;
use crate::pg_catalog::convert::{self, output};
use crate::pg_catalog::error::{CatalogError, Result};
use crate::pg_catalog::eval::Cx;
use crate::pg_catalog::format;
use crate::pg_catalog::plan::Expr;
use crate::pg_catalog::scalar::size;
use crate::pg_catalog::similar::{escape_of, similar_to_escape};
use crate::pg_catalog::value::Value;
use crate::pg_types::oid;
use crate::semantics::cased;

/// `string_to_array` without the NULL text: no separator = every character.
pub(super) fn split<'t>(
    text: &'t str,
    separator: Option<&'t str>,
) -> Box<dyn Iterator<Item = &'t str> + 't> {
    let letter = |(at, letter): (usize, char)| text.get(at..at + letter.len_utf8());
    match separator {
        _ if text.is_empty() => Box::new(std::iter::empty()),
        None => Box::new(text.char_indices().filter_map(letter)),
        Some("") => Box::new(std::iter::once(text)),
        Some(separator) => Box::new(text.split(separator)),
    }
}

/// Bytes of the longest text.
const MADE_MAX: usize = 1 << 26;

/// # Errors
/// 54000 for a text that would be too long.
pub(in crate::pg_catalog) fn fitting(bytes: usize) -> Result<()> {
    match bytes > MADE_MAX {
        true => Err(CatalogError::new("54000", "requested length too large")),
        false => Ok(()),
    }
}

/// Values, each of which is counted when it comes.
///
/// # Errors
/// 53200 when there is no memory for more.
pub(super) fn kept(cx: &Cx<'_>, values: impl Iterator<Item = Value>) -> Result<Vec<Value>> {
    let mut all = Vec::new();
    for value in values {
        cx.keep(size(&value))?;
        all.push(value);
    }
    Ok(all)
}

#[expect(clippy::too_many_lines, reason = "one arm per function")]
pub(super) fn call(
    cx: &Cx<'_>,
    function: &Function,
    args: &[Value],
    exprs: &[Expr],
) -> Result<Option<Value>> {
    let text = |i: usize| args.get(i).and_then(Value::as_str).unwrap_or_default();
    let int = |i: usize| args.get(i).and_then(Value::as_int);
    let shown = |i: usize| {
        output(
            cx.model,
            cx.session,
            &args[i],
            exprs.get(i).map_or(oid::TEXT, |e| e.ty),
        )
    };
    let set = |i: usize| -> Vec<char> {
        if args.len() > i {
            text(i).chars().collect()
        } else {
            vec![' ']
        }
    };
    Ok(Some(match function.name.as_str() {
        "upper" => Value::text(cased("upper", text(0))),
        "lower" => Value::text(cased("lower", text(0))),
        "initcap" => Value::text(cased("initcap", text(0))),
        "length" | "char_length" | "character_length" => match &args[0] {
            Value::Bytes(b) => count(b.len()),
            // Blanks at the end of a char(n) are none of it.
            _ if function.arguments.first() == Some(&oid::BPCHAR) => {
                count(text(0).trim_end_matches(' ').chars().count())
            }
            _ => count(text(0).chars().count()),
        },
        "octet_length" => match &args[0] {
            Value::Bytes(b) => count(b.len()),
            _ => count(text(0).len()),
        },
        "btrim" => Value::text(text(0).trim_matches(set(1).as_slice())),
        "ltrim" => Value::text(text(0).trim_start_matches(set(1).as_slice())),
        "rtrim" => Value::text(text(0).trim_end_matches(set(1).as_slice())),
        "replace" => Value::text(if text(1).is_empty() {
            text(0).to_owned()
        } else {
            let times = text(0).matches(text(1)).count();
            let left = text(0).len().saturating_sub(times * text(1).len());
            fitting(left.saturating_add(times.saturating_mul(text(2).len())))?;
            text(0).replace(text(1), text(2))
        }),
        "translate" => {
            let (from, to): (Vec<char>, Vec<char>) =
                (text(1).chars().collect(), text(2).chars().collect());
            Value::text(
                text(0)
                    .chars()
                    .filter_map(|c| {
                        from.iter()
                            .position(|f| *f == c)
                            .map_or(Some(c), |i| to.get(i).copied())
                    })
                    .collect::<String>(),
            )
        }
        "reverse" => Value::text(text(0).chars().rev().collect::<String>()),
        "repeat" => {
            let times = int(1).and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
            fitting(times.saturating_mul(text(0).len()))?;
            Value::text(text(0).repeat(times))
        }
        "left" | "right" => {
            let chars: Vec<char> = text(0).chars().collect();
            let n = int(1).unwrap_or(0);
            let len = i64::try_from(chars.len()).unwrap_or(i64::MAX);
            let keep =
                usize::try_from(if n < 0 { (len + n).max(0) } else { n.min(len) }).unwrap_or(0);
            Value::text(if function.name == "left" {
                chars[..keep].iter().collect::<String>()
            } else {
                chars[chars.len() - keep..].iter().collect()
            })
        }
        "lpad" | "rpad" => {
            let chars: Vec<char> = text(0).chars().collect();
            let fill: Vec<char> = set(2);
            let wanted = int(1)
                .and_then(|n| usize::try_from(n).ok())
                .unwrap_or(0)
                .min(1 << 24);
            let missing = if fill.is_empty() {
                0
            } else {
                wanted.saturating_sub(chars.len())
            };
            let pad: String = fill.iter().cycle().take(missing).collect();
            let kept: String = chars.iter().take(wanted).collect();
            Value::text(if function.name == "lpad" {
                format!("{pad}{kept}")
            } else {
                format!("{kept}{pad}")
            })
        }
        "ascii" => Value::Int(
            text(0)
                .chars()
                .next()
                .map_or(0, |c| i64::from(u32::from(c))),
        ),
        "chr" => match int(0).unwrap_or(0) {
            0 => return Err(CatalogError::new("54000", "null character not permitted")),
            code if code < 0 => {
                return Err(CatalogError::new(
                    "22023",
                    "character number must be positive",
                ));
            }
            code => {
                let found = u32::try_from(code).ok().and_then(char::from_u32);
                let found = found.ok_or_else(|| {
                    let text = format!("requested character too large for encoding: {code}");
                    CatalogError::new("54000", text)
                })?;
                Value::text(found.to_string())
            }
        },
        "to_hex" => {
            let number = int(0).unwrap_or(0);
            Value::text(match i32::try_from(number) {
                Ok(number) if function.arguments.first() == Some(&oid::INT4) => {
                    format!("{number:x}")
                }
                _ => format!("{number:x}"),
            })
        }
        "position" | "strpos" => count(
            text(0)
                .find(text(1))
                .map_or(0, |at| text(0)[..at].chars().count() + 1),
        ),
        "starts_with" => Value::Bool(text(0).starts_with(text(1))),
        "similar_to_escape" => {
            let escape = match args.get(1).and_then(Value::as_str) {
                Some(escape) => escape_of(escape)?,
                None => Some('\\'),
            };
            Value::text(similar_to_escape(text(0), escape)?)
        }
        "substring" | "substr" => match args.get(1) {
            Some(Value::Text(_)) => regex::part(cx, args)?,
            _ => {
                let start = int(1).unwrap_or(1);
                let end = match int(2) {
                    Some(n) if n < 0 => {
                        return Err(CatalogError::new(
                            "22011",
                            "negative substring length not allowed",
                        ));
                    }
                    Some(n) => start.saturating_add(n),
                    None => i64::MAX,
                };
                let skip = usize::try_from(start - 1).unwrap_or(0);
                let take = usize::try_from(end.saturating_sub(start.max(1))).unwrap_or(0);
                Value::text(text(0).chars().skip(skip).take(take).collect::<String>())
            }
        },
        "overlay" => {
            let chars: Vec<char> = text(0).chars().collect();
            let from = int(2).unwrap_or(1);
            if from <= 0 {
                let text = "negative substring length not allowed";
                return Err(CatalogError::new("22011", text));
            }
            let length = || i64::try_from(text(1).chars().count()).unwrap_or(i64::MAX);
            let behind = from.saturating_add(int(3).unwrap_or_else(length));
            let place = |at: i64| usize::try_from(at.saturating_sub(1)).unwrap_or(0);
            let start = place(from).min(chars.len());
            let end = place(behind).min(chars.len());
            Value::text(format!(
                "{}{}{}",
                chars[..start].iter().collect::<String>(),
                text(1),
                chars[end..].iter().collect::<String>()
            ))
        }
        "split_part" => {
            let parts: Vec<&str> = if text(1).is_empty() {
                vec![text(0)]
            } else {
                text(0).split(text(1)).collect()
            };
            let n = int(2).unwrap_or(1);
            let at = if n > 0 {
                usize::try_from(n - 1).ok()
            } else {
                usize::try_from(-n)
                    .ok()
                    .filter(|n| *n > 0)
                    .and_then(|n| parts.len().checked_sub(n))
            };
            if n == 0 {
                return Err(CatalogError::new(
                    "22023",
                    "field position must not be zero",
                ));
            }
            Value::text(at.and_then(|i| parts.get(i)).copied().unwrap_or_default())
        }
        "string_to_array" => {
            if args[0].is_null() {
                return Ok(Some(Value::Null));
            }
            let null = args.get(2).and_then(Value::as_str);
            let parts = split(text(0), args.get(1).and_then(Value::as_str));
            let value = |part: &str| match null == Some(part) {
                true => Value::Null,
                false => Value::text(part),
            };
            text_array(kept(cx, parts.map(value))?)
        }
        "quote_ident" => Value::text(quote(text(0))),
        "quote_literal" => Value::text(format::quote_literal(&shown(0).unwrap_or_default())),
        "quote_nullable" => {
            Value::text(shown(0).map_or_else(|| "NULL".to_owned(), |t| format::quote_literal(&t)))
        }
        "concat" => Value::text((0..args.len()).filter_map(shown).collect::<String>()),
        "concat_ws" => match args[0].as_str() {
            Some(separator) => Value::text(
                (1..args.len())
                    .filter_map(shown)
                    .collect::<Vec<_>>()
                    .join(separator),
            ),
            None => Value::Null,
        },
        "format" => match args[0].as_str() {
            Some(template) => Value::text(format_text(
                template,
                &(1..args.len()).map(shown).collect::<Vec<_>>(),
            )?),
            None => Value::Null,
        },
        "md5" => return Err(super::unsupported(function)),
        "parse_ident" => text_array(
            convert::identifier_parts(text(0))
                .into_iter()
                .map(Value::text)
                .collect(),
        ),
        "pg_size_bytes" => {
            Value::Int(size_bytes(text(0)).ok_or_else(|| {
                CatalogError::new("22023", format!("invalid size: \"{}\"", text(0)))
            })?)
        }
        "pg_size_pretty" => match &args[0] {
            Value::Int(i) => Value::text(format::pretty_size(*i)),
            Value::Numeric(n) => Value::text(format::pretty_size(n.to_i64().unwrap_or(i64::MAX))),
            _ => Value::Null,
        },
        name => return regex::call(cx, name, args),
    }))
}

fn size_bytes(text: &str) -> Option<i64> {
    let text = text.trim();
    let split = text
        .find(|c: char| c.is_ascii_alphabetic())
        .unwrap_or(text.len());
    let number: f64 = text[..split].trim().parse().ok()?;
    let factor = match text[split..].to_lowercase().as_str() {
        "" | "bytes" | "b" => 1.0,
        "kb" => 1024.0,
        "mb" => 1024.0 * 1024.0,
        "gb" => 1024.0 * 1024.0 * 1024.0,
        "tb" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    #[expect(clippy::cast_possible_truncation, reason = "saturates")]
    let bytes = (number * factor).round() as i64;
    Some(bytes)
}

/// `format`: %s, %I, %L, %%, positions and widths.
fn format_text(template: &str, args: &[Option<String>]) -> Result<String> {
    let mut out = String::new();
    let mut next = 0usize;
    let mut chars = template.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut spec = String::new();
        let kind = loop {
            match chars.next() {
                Some(d) if d.is_ascii_digit() || matches!(d, '$' | '-') => spec.push(d),
                Some(k) => break k,
                None => {
                    return Err(
                        CatalogError::new("22023", "unterminated format() type specifier")
                            .hint("For a single \"%\" use \"%%\"."),
                    );
                }
            }
        };
        if kind == '%' {
            out.push('%');
            continue;
        }
        let width = match spec.split_once('$') {
            Some((position, width)) => {
                next = position.parse::<usize>().unwrap_or(1).saturating_sub(1);
                width.to_owned()
            }
            None => spec,
        };
        let arg = args
            .get(next)
            .ok_or_else(|| CatalogError::new("22023", "too few arguments for format()"))?;
        next += 1;
        let text = match (kind, arg) {
            ('s', arg) => arg.clone().unwrap_or_default(),
            ('I', Some(arg)) => quote(arg),
            ('I', None) => {
                return Err(CatalogError::new(
                    "22004",
                    "null values cannot be formatted as an SQL identifier",
                ));
            }
            ('L', arg) => arg
                .as_ref()
                .map_or_else(|| "NULL".to_owned(), |a| format::quote_literal(a)),
            (other, _) => {
                return Err(CatalogError::new(
                    "22023",
                    format!("unrecognized format() type specifier \"{other}\""),
                )
                .hint("For a single \"%\" use \"%%\"."));
            }
        };
        let (left, size) = (
            width.starts_with('-'),
            width.trim_start_matches('-').parse::<usize>().unwrap_or(0),
        );
        let pad = " ".repeat(size.min(1 << 20).saturating_sub(text.chars().count()));
        if left {
            out.push_str(&text);
            out.push_str(&pad);
        } else {
            out.push_str(&pad);
            out.push_str(&text);
        }
    }
    Ok(out)
}
