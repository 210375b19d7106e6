//! INFO of one record: text into typed values, losslessly.
//!
//! A value that fits its declaration goes to the typed column. One that does not is kept as text
//! (`info_raw`) with the typed column NULL, and is counted: a wrong value is never stored.

use genokura_core::schema::{FieldDef, FieldType, Number};

use crate::plan::floats_hold;

/// Rules by which a value is kept as text.
pub(crate) mod rule {
    pub(crate) const NOT_INTEGER: &str = "not_integer";
    pub(crate) const INTEGER_RANGE: &str = "integer_out_of_range";
    pub(crate) const NOT_FLOAT: &str = "not_float";
    pub(crate) const FLOAT_RANGE: &str = "float_out_of_range";
    pub(crate) const NOT_CHARACTER: &str = "not_one_character";
    pub(crate) const NUMBER: &str = "number_mismatch";
    pub(crate) const NO_VALUE: &str = "value_missing";
    pub(crate) const FLAG_VALUE: &str = "flag_with_value";
    pub(crate) const DUPLICATE: &str = "duplicate_key";
    pub(crate) const NEGATIVE: &str = "negative_count";
    pub(crate) const CIGAR: &str = "not_cigar";
    pub(crate) const FLOAT_DIGITS: &str = "integer_beyond_float";
}

/// State of one declared key in the record at hand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Slot {
    /// The record does not have the key.
    #[default]
    Absent,
    /// The key is there and its value is `.`.
    Missing,
    /// A flag that is set.
    Set,
    /// Values `from..to` of the scratch of the key's type.
    Values(usize, usize),
    /// Kept as text.
    Raw,
}

/// The parsed INFO of one record; reused from record to record.
#[derive(Debug, Default)]
pub(crate) struct Info {
    pub(crate) slots: Vec<Slot>,
    touched: Vec<usize>,
    pub(crate) integers: Vec<Option<i32>>,
    pub(crate) floats: Vec<Option<f32>>,
    /// Byte ranges in the INFO text.
    pub(crate) texts: Vec<Option<(usize, usize)>>,
    /// Keys in the record's order, joined by `;`; meaningless when `is_missing`.
    pub(crate) order: String,
    /// Entries kept as text, joined by `;`.
    pub(crate) raw: String,
    /// INFO is `.`.
    pub(crate) is_missing: bool,
    /// (field, rule) of values that do not fit.
    pub(crate) issues: Vec<(usize, &'static str)>,
    /// Empty entries passed over.
    pub(crate) n_empty: u64,
    /// Keys nobody declared.
    pub(crate) n_undeclared: u64,
    /// Texts of END and SVLEN.
    pub(crate) end: Option<(usize, usize)>,
    pub(crate) svlen: Option<(usize, usize)>,
    /// Fields of floats that the input declares as whole numbers.
    whole: Vec<bool>,
}

impl Info {
    /// `whole`: fields of floats that the input declares as whole numbers.
    pub(crate) fn new(whole: Vec<bool>) -> Self {
        Self {
            whole,
            ..Self::default()
        }
    }

    /// Parses `text`, the INFO column. `index`: field number of a key.
    pub(crate) fn parse(
        &mut self,
        text: &str,
        fields: &[FieldDef],
        index: impl Fn(&str) -> Option<usize>,
        n_alts: usize,
    ) {
        self.reset(fields.len());
        if text == "." || text.is_empty() {
            self.is_missing = true;
            self.n_empty = u64::from(text.is_empty());
            return;
        }
        let mut at = 0;
        for entry in text.split(';') {
            let start = at;
            at += entry.len() + 1;
            if entry.is_empty() {
                self.n_empty += 1;
                continue;
            }
            let (key, value) = match entry.split_once('=') {
                Some((key, value)) => (key, Some((start + key.len() + 1, value))),
                None => (entry, None),
            };
            self.entry(key, value, entry, text, fields, index(key), n_alts);
        }
        self.is_missing = self.order.is_empty();
    }

    fn reset(&mut self, n_fields: usize) {
        if self.slots.len() != n_fields {
            self.slots = vec![Slot::Absent; n_fields];
        }
        for i in self.touched.drain(..) {
            self.slots[i] = Slot::Absent;
        }
        self.integers.clear();
        self.floats.clear();
        self.texts.clear();
        self.order.clear();
        self.raw.clear();
        self.issues.clear();
        (self.is_missing, self.n_empty, self.n_undeclared) = (false, 0, 0);
        (self.end, self.svlen) = (None, None);
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one entry")]
    fn entry(
        &mut self,
        key: &str,
        value: Option<(usize, &str)>,
        entry: &str,
        text: &str,
        fields: &[FieldDef],
        field: Option<usize>,
        n_alts: usize,
    ) {
        push_joined(&mut self.order, key);
        match (key, value) {
            ("END", Some((at, v))) => self.end = Some((at, at + v.len())),
            ("SVLEN", Some((at, v))) => self.svlen = Some((at, at + v.len())),
            _ => {}
        }
        let Some(field) = field else {
            self.n_undeclared += 1;
            push_joined(&mut self.raw, entry);
            return;
        };
        if self.slots[field] != Slot::Absent {
            return self.duplicate(field, entry, text);
        }
        self.touched.push(field);
        let whole = self.whole.get(field) == Some(&true);
        let lost = |text: &str| whole && !floats_hold(text.as_bytes());
        let read = match value {
            Some((_, text)) if lost(text) => Err(Some(rule::FLOAT_DIGITS)),
            value => self.value(&fields[field], value, n_alts),
        };
        match read {
            Ok(slot) => self.slots[field] = slot,
            Err(rule) => {
                self.slots[field] = Slot::Raw;
                push_joined(&mut self.raw, entry);
                if let Some(rule) = rule {
                    self.issues.push((field, rule));
                }
            }
        }
    }

    /// A key that stands twice: every one of its entries is kept as text.
    fn duplicate(&mut self, field: usize, entry: &str, text: &str) {
        self.issues.push((field, rule::DUPLICATE));
        if self.slots[field] == Slot::Raw {
            return push_joined(&mut self.raw, entry);
        }
        self.slots[field] = Slot::Raw;
        let key = entry.split('=').next().unwrap_or(entry);
        // The raw entries stand in the record's order: rebuild, since the first one comes in late.
        let kept: Vec<&str> = self.raw.split(';').filter(|e| !e.is_empty()).collect();
        let mut kept = kept.into_iter().peekable();
        let mut raw = String::new();
        for other in text.split(';') {
            let is_key = other.split('=').next() == Some(key);
            if kept.peek() == Some(&other) {
                kept.next();
                push_joined(&mut raw, other);
            } else if is_key {
                push_joined(&mut raw, other);
            }
            if std::ptr::eq(other, entry) {
                break;
            }
        }
        self.raw = raw;
    }

    /// `Err(None)`: right, but would not print back the same.
    fn value(
        &mut self,
        field: &FieldDef,
        value: Option<(usize, &str)>,
        n_alts: usize,
    ) -> Result<Slot, Option<&'static str>> {
        let Some((at, text)) = value else {
            return if field.ty == FieldType::Flag {
                Ok(Slot::Set)
            } else {
                Err(Some(rule::NO_VALUE))
            };
        };
        if field.ty == FieldType::Flag {
            return Err(Some(rule::FLAG_VALUE));
        }
        if text.is_empty() {
            return Err(Some(rule::NO_VALUE));
        }
        if text == "." {
            return Ok(Slot::Missing);
        }
        let slot = self.values(field, at, text)?;
        let Slot::Values(from, to) = slot else {
            return Ok(slot);
        };
        if expected_values(field.number, n_alts).is_some_and(|n| n != to - from) {
            return Err(Some(rule::NUMBER));
        }
        let split_by_alt = field.number == Number::A && to - from > 1;
        if split_by_alt && self.all_missing(field.ty, from, to) {
            return Err(None);
        }
        Ok(slot)
    }

    fn values(
        &mut self,
        field: &FieldDef,
        at: usize,
        text: &str,
    ) -> Result<Slot, Option<&'static str>> {
        match field.ty {
            FieldType::Integer => {
                let from = self.integers.len();
                let counted = is_count(&field.key);
                for item in text.split(',') {
                    let value = integer(item)?;
                    if counted && value.is_some_and(|v| v < 0) {
                        return Err(Some(rule::NEGATIVE));
                    }
                    self.integers.push(value);
                }
                Ok(Slot::Values(from, self.integers.len()))
            }
            FieldType::Float => {
                let from = self.floats.len();
                for item in text.split(',') {
                    self.floats.push(float(item)?);
                }
                Ok(Slot::Values(from, self.floats.len()))
            }
            FieldType::String | FieldType::Character => {
                let from = self.texts.len();
                let mut at = at;
                for item in text.split(',') {
                    check_text(field, item)?;
                    self.texts
                        .push((item != ".").then_some((at, at + item.len())));
                    at += item.len() + 1;
                }
                Ok(Slot::Values(from, self.texts.len()))
            }
            FieldType::Flag => Ok(Slot::Set),
        }
    }

    fn all_missing(&self, ty: FieldType, from: usize, to: usize) -> bool {
        match ty {
            FieldType::Integer => self.integers[from..to].iter().all(Option::is_none),
            FieldType::Float => self.floats[from..to].iter().all(Option::is_none),
            _ => self.texts[from..to].iter().all(Option::is_none),
        }
    }
}

fn push_joined(list: &mut String, item: &str) {
    if !list.is_empty() {
        list.push(';');
    }
    list.push_str(item);
}

fn check_text(field: &FieldDef, item: &str) -> Result<(), Option<&'static str>> {
    if item.is_empty() {
        return Err(Some(rule::NO_VALUE));
    }
    if field.ty == FieldType::Character && item.chars().count() != 1 {
        return Err(Some(rule::NOT_CHARACTER));
    }
    if field.key == "CIGAR" && item != "." && !is_cigar(item) {
        return Err(Some(rule::CIGAR));
    }
    Ok(())
}

/// Keys of the specification whose values count something.
fn is_count(key: &str) -> bool {
    matches!(
        key,
        "AC" | "AN" | "AD" | "ADF" | "ADR" | "DP" | "END" | "MQ0" | "NS"
    )
}

/// `(<length><operation>)+` as SAM has it.
fn is_cigar(text: &str) -> bool {
    let mut digits = 0;
    for byte in text.bytes() {
        match byte {
            b'0'..=b'9' => digits += 1,
            b'M' | b'I' | b'D' | b'N' | b'S' | b'H' | b'P' | b'=' | b'X' if digits > 0 => {
                digits = 0
            }
            _ => return false,
        }
    }
    digits == 0
}

/// How many values a Number asks for; `None` when any count will do.
pub(crate) fn expected_values(number: Number, n_alts: usize) -> Option<usize> {
    match number {
        Number::Count(n) => usize::try_from(n).ok(),
        Number::A => Some(n_alts),
        Number::R => Some(n_alts + 1),
        _ => None,
    }
}

/// One whole number, or `None` for `.`.
pub(crate) fn integer(text: &str) -> Result<Option<i32>, &'static str> {
    if text == "." {
        return Ok(None);
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(rule::NOT_INTEGER);
    }
    text.parse().map(Some).map_err(|_| rule::INTEGER_RANGE)
}

/// One float, or `None` for `.`. Refuses what 32 bits turn into 0 or infinity.
pub(crate) fn float(text: &str) -> Result<Option<f32>, &'static str> {
    if text == "." {
        return Ok(None);
    }
    let value: f32 = text.parse().map_err(|_| rule::NOT_FLOAT)?;
    let is_named = text.bytes().any(|b| matches!(b, b'n' | b'N'));
    if value.is_infinite() && !is_named {
        return Err(rule::FLOAT_RANGE);
    }
    if value == 0.0 {
        let mantissa = text.split(['e', 'E']).next().unwrap_or(text);
        if mantissa.bytes().any(|b| matches!(b, b'1'..=b'9')) {
            return Err(rule::FLOAT_RANGE);
        }
    }
    Ok(Some(value))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn fields() -> Vec<FieldDef> {
        let f = |key, number, ty| FieldDef::new("info_", key, number, ty, "");
        vec![
            f("DP", Number::Count(1), FieldType::Integer),
            f("AF", Number::A, FieldType::Float),
            f("AD", Number::R, FieldType::Integer),
            f("DB", Number::Count(0), FieldType::Flag),
            f("TX", Number::Unknown, FieldType::String),
        ]
    }

    fn parse(text: &str, n_alts: usize) -> Info {
        let fields = fields();
        let mut info = Info::default();
        info.parse(
            text,
            &fields,
            |key| fields.iter().position(|f| f.key == key),
            n_alts,
        );
        info
    }

    #[test]
    fn values_that_do_not_fit_are_kept_as_text() {
        for (text, n_alts, raw, rule) in [
            ("DP=5;AF=0.5;DB", 1, "", None),
            ("DP=5x", 1, "DP=5x", Some(rule::NOT_INTEGER)),
            (
                "DP=99999999999",
                1,
                "DP=99999999999",
                Some(rule::INTEGER_RANGE),
            ),
            ("DP=-1", 1, "DP=-1", Some(rule::NEGATIVE)),
            ("DP=1,2", 1, "DP=1,2", Some(rule::NUMBER)),
            ("DP", 1, "DP", Some(rule::NO_VALUE)),
            ("DP=", 1, "DP=", Some(rule::NO_VALUE)),
            ("DB=1", 1, "DB=1", Some(rule::FLAG_VALUE)),
            ("AF=0.1", 2, "AF=0.1", Some(rule::NUMBER)),
            ("AF=.,.", 2, "AF=.,.", None),
            ("AF=.", 2, "", None),
            ("AF=1e-60", 1, "AF=1e-60", Some(rule::FLOAT_RANGE)),
            ("AF=0e-60", 1, "", None),
            ("AD=1,2", 1, "", None),
            ("DP=1;TX=a;DP=2", 1, "DP=1;DP=2", Some(rule::DUPLICATE)),
            (
                "AF=x;DP=1;NEW=3;DP=2",
                1,
                "AF=x;DP=1;NEW=3;DP=2",
                Some(rule::NOT_FLOAT),
            ),
        ] {
            let info = parse(text, n_alts);
            assert_eq!(info.raw, raw, "{text}");
            assert_eq!(info.issues.first().map(|i| i.1), rule, "{text}");
        }
    }

    #[test]
    fn whole_numbers_that_a_float_does_not_hold_are_kept_as_text() {
        let fields = fields();
        let mut info = Info::new(vec![false, true]);
        for (text, raw) in [
            ("AF=16777216,-16777216", ""),
            ("AF=16777217,1", "AF=16777217,1"),
            ("AF=0.1,.", ""),
        ] {
            let index = |key: &str| fields.iter().position(|f| f.key == key);
            info.parse(text, &fields, index, 2);
            assert_eq!(info.raw, raw, "{text}");
        }
    }

    #[test]
    fn order_and_empty_entries() {
        let info = parse("DP=5;;AF=0.5;DB;", 1);
        assert_eq!((info.order.as_str(), info.n_empty), ("DP;AF;DB", 2));
        assert!(parse(".", 1).is_missing && parse("", 1).is_missing && parse(";", 1).is_missing);
        assert_eq!(info.integers, [Some(5)]);
        assert_eq!(info.floats, [Some(0.5)]);
    }
}
