//! How many bytes a function will make of its arguments.

use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs};
use genokura_regex::{Flags, Replacement, replaced_bytes};

use super::VALUE_MAX;
use super::kinds::Kind;
use super::lengths::{self, PerRow};
use crate::patterns::compiled;
use crate::semantics::innermost;
use crate::session::heed;
use crate::sqlstate::ServerError;

/// What the evaluator makes of an item of a list.
const VALUE: usize = 40;
/// And of one that is a text: shared, and printed.
const TEXT: usize = 120;
/// What a text takes there: itself, and what is made of it.
const TWICE: usize = 2;
/// The longest character.
const CHARACTER: usize = 4;
/// What a number is printed as.
const NUMBER: usize = 24;
/// What is taken for a list whose length nothing tells.
const UNKNOWN: usize = 1 << 20;

impl Kind {
    /// At most so many bytes for all rows, told cheaply.
    pub(super) fn of_all(self, args: &ScalarFunctionArgs) -> Result<usize> {
        let all = |place| lengths::total(args, place);
        match self {
            Kind::Times(times) => {
                let sum = sum(args, all)?;
                Ok(sum.saturating_mul(times))
            }
            Kind::Replaced if is_constant(args, 1) && is_constant(args, 2) => {
                let (from, to) = (constant(args, 1)?, constant(args, 2)?);
                Ok(replaced(all(0)?, from, to))
            }
            _ => {
                let rows = self.of_rows(args, args.number_rows)?;
                Ok(rows.into_iter().fold(0, usize::saturating_add))
            }
        }
    }

    /// At most so many bytes for each row.
    pub(super) fn of_rows(self, args: &ScalarFunctionArgs, rows: usize) -> Result<Vec<usize>> {
        let bytes = |place| lengths::bytes(args, place);
        let each = |made: &dyn Fn(usize) -> usize| (0..rows).map(made).collect::<Vec<usize>>();
        Ok(match self {
            Kind::Times(times) => {
                let all = every(args, bytes)?;
                each(&|row| sum_at(&all, row).saturating_mul(times))
            }
            Kind::Repeated => {
                let (text, times) = (bytes(0)?, lengths::number(args, 1)?);
                each(&|row| text.at(row).saturating_mul(times.at(row)))
            }
            Kind::Filled => {
                let (value, times) = (bytes(0)?, lengths::number(args, 1)?);
                each(&|row| (value.at(row) + CHARACTER).saturating_mul(times.at(row)))
            }
            Kind::Resized => {
                let (list, items, value) = (bytes(0)?, lengths::number(args, 1)?, bytes(2)?);
                let new = |row| (value.at(row) + CHARACTER).saturating_mul(items.at(row));
                each(&|row| list.at(row).saturating_add(new(row)))
            }
            Kind::Padded => {
                let characters = lengths::number(args, 1)?;
                each(&|row| characters.at(row).saturating_mul(CHARACTER))
            }
            Kind::Replaced => {
                let (text, from, to) = (bytes(0)?, bytes(1)?, bytes(2)?);
                each(&|row| replaced(text.at(row), from.at(row), to.at(row)))
            }
            Kind::Matched => {
                let (text, to) = (bytes(0)?, bytes(2)?);
                // What a reference stands for is a part of the text, and of its parts each is in one match.
                let refers = !is_told(args, 2, |to| !to.contains('\\'));
                let once = !counts(args) && is_told(args, 3, |flags| !flags.contains('g'));
                each(&|row| {
                    let (text, to) = (text.at(row), to.at(row));
                    let references = if refers { to / 2 } else { 0 };
                    let times = if once { 1 } else { text + 1 };
                    text.saturating_mul(1 + references)
                        .saturating_add(times.saturating_mul(to))
                })
            }
            Kind::Between => {
                let (list, items) = (bytes(0)?, lengths::items(args, 0)?);
                let (between, null) = (bytes(1)?, bytes(2)?);
                let beside = |row| between.at(row) + null.at(row) + NUMBER;
                each(&|row| {
                    let beside = items.at(row).saturating_mul(beside(row));
                    list.at(row).saturating_add(beside)
                })
            }
            Kind::Exchanged => {
                let (list, items, to) = (bytes(0)?, lengths::items(args, 0)?, bytes(2)?);
                let new = |row| items.at(row).saturating_mul(to.at(row));
                each(&|row| list.at(row).saturating_add(new(row)))
            }
            Kind::Counted => {
                let bytes = counted(args)?;
                each(&|row| bytes.at(row))
            }
            Kind::Evaluated => {
                let all = every(args, |place| evaluated(args, place))?;
                each(&|row| sum_at(&all, row))
            }
        })
    }

    /// The bytes of one row by what its values are, or a little more.
    /// `None` where that is known after the call only.
    pub(super) fn of_row(
        self,
        args: &ScalarFunctionArgs,
        row: usize,
        reckoned: usize,
    ) -> Result<Option<usize>> {
        let text = |place| lengths::text(args, place, row);
        Ok(match self {
            Kind::Times(_) => None,
            Kind::Padded => {
                let characters = lengths::number(args, 1)?.at(row);
                let fill = text(2)?.unwrap_or_else(|| " ".to_owned());
                Some(padded(&text(0)?.unwrap_or_default(), characters, &fill))
            }
            Kind::Replaced => {
                let (Some(within), Some(from), Some(to)) = (text(0)?, text(1)?, text(2)?) else {
                    return Ok(Some(0));
                };
                let times = match from.is_empty() {
                    true => 0,
                    false => within.matches(from.as_str()).count(),
                };
                let left = within.len().saturating_sub(times * from.len());
                Some(left.saturating_add(times.saturating_mul(to.len())))
            }
            Kind::Matched => {
                let (Some(within), Some(pattern), Some(to)) = (text(0)?, text(1)?, text(2)?) else {
                    return Ok(Some(0));
                };
                let (start, nth, flags) = match counts(args) {
                    true => {
                        let number = |place: usize, other| match args.args.len() > place {
                            true => Ok(lengths::number(args, place)?.at(row)),
                            false => Ok::<usize, DataFusionError>(other),
                        };
                        (
                            number(3, 1)?,
                            number(4, 1)?,
                            Flags::read(&text(5)?.unwrap_or_default()),
                        )
                    }
                    false => {
                        let flags = Flags::read(&text(3)?.unwrap_or_default());
                        let nth = flags.as_ref().map_or(1, |flags| usize::from(!flags.global));
                        (1, nth, flags)
                    }
                };
                let Some(pattern) = flags.and_then(|flags| compiled(&pattern, flags)).ok() else {
                    // The function tells what is wrong with it.
                    return Ok(None);
                };
                let stop = || heed(&args.config_options).is_err();
                let (to, which) = (Replacement::new(&to), (start, nth));
                let mut matcher = pattern.matcher(&stop);
                let made = replaced_bytes(&mut matcher, &within, &to, which, VALUE_MAX);
                let failed = |error| DataFusionError::External(Box::new(ServerError::from(error)));
                Some(made.map_err(failed)?)
            }
            Kind::Repeated
            | Kind::Filled
            | Kind::Resized
            | Kind::Between
            | Kind::Exchanged
            | Kind::Counted
            | Kind::Evaluated => Some(reckoned),
        })
    }
}

fn is_constant(args: &ScalarFunctionArgs, place: usize) -> bool {
    matches!(args.args.get(place), Some(ColumnarValue::Scalar(_)))
}

/// Whether an argument is left out, or a constant text that has a property.
fn is_told(args: &ScalarFunctionArgs, place: usize, has: impl Fn(&str) -> bool) -> bool {
    match args.args.get(place) {
        None => true,
        Some(ColumnarValue::Scalar(value)) => value.try_as_str().flatten().is_some_and(has),
        Some(ColumnarValue::Array(_)) => false,
    }
}

fn constant(args: &ScalarFunctionArgs, place: usize) -> Result<usize> {
    match args.args.get(place) {
        Some(ColumnarValue::Scalar(value)) => lengths::of_scalar(value),
        _ => Ok(0),
    }
}

fn sum(args: &ScalarFunctionArgs, of: impl Fn(usize) -> Result<usize>) -> Result<usize> {
    (0..args.args.len()).try_fold(0_usize, |sum, place| Ok(sum.saturating_add(of(place)?)))
}

fn every(args: &ScalarFunctionArgs, of: impl Fn(usize) -> Result<PerRow>) -> Result<Vec<PerRow>> {
    (0..args.args.len()).map(of).collect()
}

fn sum_at(all: &[PerRow], row: usize) -> usize {
    all.iter()
        .fold(0, |sum, numbers| sum.saturating_add(numbers.at(row)))
}

/// What the evaluator makes of an argument in each row.
fn evaluated(args: &ScalarFunctionArgs, place: usize) -> Result<PerRow> {
    let of = args.args.get(place).map(ColumnarValue::data_type);
    let (of_item, times) = match of.as_ref().map(innermost) {
        Some(of) if of.is_primitive() => (VALUE, 1),
        _ => (TEXT, TWICE),
    };
    let (bytes, items) = (lengths::bytes(args, place)?, lengths::items(args, place)?);
    let both = |row| {
        let bytes: usize = bytes.at(row);
        let items = items.at(row).saturating_mul(of_item);
        bytes.saturating_mul(times).saturating_add(items)
    };
    Ok(match (&bytes, &items) {
        (PerRow::Same(_), PerRow::Same(_)) => PerRow::Same(both(0)),
        _ => PerRow::Each((0..args.number_rows).map(both).collect()),
    })
}

/// A text in which as much is replaced as there can be.
fn replaced(text: usize, from: usize, to: usize) -> usize {
    match from {
        0 => text,
        from => text.saturating_add((text / from).saturating_mul(to.saturating_sub(from))),
    }
}

fn padded(text: &str, characters: usize, fill: &str) -> usize {
    let mut bytes = 0_usize;
    let mut left = characters;
    for letter in text.chars().take(characters) {
        bytes += letter.len_utf8();
        left -= 1;
    }
    let letters = fill.chars().count();
    let (Some(whole), Some(rest)) = (left.checked_div(letters), left.checked_rem(letters)) else {
        return bytes;
    };
    let rest: usize = fill.chars().take(rest).map(char::len_utf8).sum();
    bytes
        .saturating_add(whole.saturating_mul(fill.len()))
        .saturating_add(rest)
}

/// Whether a number tells which matches are meant.
fn counts(args: &ScalarFunctionArgs) -> bool {
    let mut behind = args.args.iter().skip(3);
    behind.any(|arg| arg.data_type().is_integer())
}

/// Eight bytes a number.
fn counted(args: &ScalarFunctionArgs) -> Result<PerRow> {
    let whole = args.args.iter().all(|arg| arg.data_type().is_integer());
    if !whole {
        return Ok(PerRow::Same(UNKNOWN));
    }
    let numbers = |place| lengths::whole(args, place);
    let (first, second, steps) = (numbers(0)?, numbers(1)?, numbers(2)?);
    let rows = args.number_rows;
    let of = |row: usize| {
        let first = first.get(row).copied().unwrap_or(0);
        let (from, to) = match second.get(row) {
            Some(second) => (first, *second),
            None => (0, first),
        };
        let step = steps.get(row).copied().unwrap_or(1).unsigned_abs().max(1);
        let numbers = (i128::from(to) - i128::from(from)).unsigned_abs() / u128::from(step);
        usize::try_from(numbers)
            .unwrap_or(usize::MAX)
            .saturating_mul(8)
    };
    Ok(PerRow::Each((0..rows).map(of).collect()))
}
