//! Functions and operators of regular expressions, as PostgreSQL answers them.
//!
//! An operator with a constant pattern is the planner's own where the regex crate matches in the same texts: it is fast,
//! and files may be left out by it. What is asked of a match beyond that there is one is told by PostgreSQL's rules.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array as _, ArrayRef, AsArray as _, BooleanBuilder, Int64Array, Int64Builder, ListBuilder,
    StringArray, StringBuilder,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::planner::{PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};
use datafusion::sql::sqlparser::ast::BinaryOperator;
use genokura_regex::{Flags, Instance, Matcher, Regex, Replacement};

use crate::patterns::{compiled, flags_of_replace, number};
use crate::sqlstate::ServerError;

/// How the regex crate has a backslash: the planner makes LIKE of such patterns, to which it is another thing.
const BACKSLASH: &str = r"\\";

/// What is asked of the matches in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Asked {
    Count,
    Instr,
    Like,
    Match,
    /// The part of a text that a pattern matches.
    Part,
    Replace,
    /// An operator, and whether case does not matter to it.
    Operator(bool),
}

/// The functions by their names.
const FUNCTIONS: [(&str, Asked); 5] = [
    ("regexp_count", Asked::Count),
    ("regexp_instr", Asked::Instr),
    ("regexp_like", Asked::Like),
    ("regexp_match", Asked::Match),
    ("regexp_replace", Asked::Replace),
];

/// Gives a context the functions.
pub(super) fn install(context: &SessionContext) {
    for (name, asked) in FUNCTIONS {
        context.register_udf(ScalarUDF::new_from_impl(Pattern::new(name, asked)));
    }
}

/// Whether `substring` is called with a pattern in place of numbers.
pub(super) fn is_part(types: &[DataType]) -> bool {
    matches!(types, [text, pattern] if super::text::is_text(text) && super::text::is_text(pattern))
}

/// `substring` of a text by a pattern.
pub(super) fn part(args: ScalarFunctionArgs) -> Result<ColumnarValue> {
    Pattern::new("substring", Asked::Part).invoke_with_args(args)
}

/// Plans `~`, `~*`, `!~` and `!~*` of texts.
pub(super) fn operator(expr: RawBinaryExpr) -> PlannerResult<RawBinaryExpr> {
    let (insensitive, operator) = match expr.op {
        BinaryOperator::PGRegexMatch => (false, Operator::RegexMatch),
        BinaryOperator::PGRegexIMatch => (true, Operator::RegexMatch),
        BinaryOperator::PGRegexNotMatch => (false, Operator::RegexNotMatch),
        BinaryOperator::PGRegexNotIMatch => (true, Operator::RegexNotMatch),
        _ => return PlannerResult::Original(expr),
    };
    let RawBinaryExpr { left, right, .. } = expr;
    let written = match &right {
        Expr::Literal(value, _) => value.try_as_str().flatten(),
        _ => None,
    };
    // A pattern that is wrong is told of where a row comes to it.
    let known = written.and_then(|written| compiled(written, Flags::of_operator(insensitive)).ok());
    if let Some(rust) = known
        .as_ref()
        .filter(|known| known.is_fast())
        .and_then(|known| known.as_rust())
        .filter(|rust| !rust.contains(BACKSLASH))
    {
        let right = Expr::Literal(ScalarValue::from(rust), None);
        let made = BinaryExpr::new(Box::new(left), operator, Box::new(right));
        return PlannerResult::Planned(Expr::BinaryExpr(made));
    }
    let name = if insensitive { "~*" } else { "~" };
    let function = Pattern::new(name, Asked::Operator(insensitive));
    let function = Arc::new(ScalarUDF::new_from_impl(function));
    let call = Expr::ScalarFunction(ScalarFunction::new_udf(function, vec![left, right]));
    PlannerResult::Planned(match operator {
        Operator::RegexNotMatch => Expr::Not(Box::new(call)),
        _ => call,
    })
}

/// One of the functions.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Pattern {
    name: &'static str,
    asked: Asked,
    signature: Signature,
}

impl Pattern {
    fn new(name: &'static str, asked: Asked) -> Self {
        Self {
            name,
            asked,
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }

    /// Whether arguments are whole numbers, and how many there must be.
    fn arguments(&self, types: &[DataType]) -> (&'static [bool], usize) {
        let starts = types.get(3).is_some_and(DataType::is_integer) || types.len() > 4;
        match self.asked {
            Asked::Count => (&[false, false, true, false], 2),
            Asked::Instr => (&[false, false, true, true, true, false, true], 2),
            Asked::Like | Asked::Match => (&[false, false, false], 2),
            Asked::Part => (&[false, false], 2),
            Asked::Replace if starts => (&[false, false, false, true, true, false], 4),
            Asked::Replace => (&[false, false, false, false], 3),
            Asked::Operator(_) => (&[false, false], 2),
        }
    }
}

impl ScalarUDFImpl for Pattern {
    fn name(&self) -> &'static str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let (numbers, least) = self.arguments(types);
        let fits = types.iter().zip(numbers).all(|(of, is_number)| {
            let of = match of {
                DataType::Dictionary(_, of) => of,
                of => of,
            };
            // What stands in quotes may be a number.
            of.is_null() || super::text::is_text(of) || *is_number && of.is_integer()
        });
        if !fits || types.len() < least || types.len() > numbers.len() {
            return super::clock::no_function(self.name, types);
        }
        let taken = numbers.iter().take(types.len()).map(|number| match number {
            true => DataType::Int64,
            false => DataType::Utf8,
        });
        Ok(taken.collect())
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(match self.asked {
            Asked::Count | Asked::Instr => DataType::Int64,
            Asked::Like | Asked::Operator(_) => DataType::Boolean,
            Asked::Match => DataType::new_list(DataType::Utf8, true),
            Asked::Part | Asked::Replace => DataType::Utf8,
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_single = |value: &ColumnarValue| matches!(value, ColumnarValue::Scalar(_));
        let single = args.args.iter().all(is_single);
        let rows = if single { 1 } else { args.number_rows };
        let (numbers, _) = self.arguments(
            &args
                .args
                .iter()
                .map(ColumnarValue::data_type)
                .collect::<Vec<_>>(),
        );
        let columns = args.args.iter().zip(numbers).map(|(value, is_number)| {
            let to = if *is_number {
                DataType::Int64
            } else {
                DataType::Utf8
            };
            // A constant is one row, whatever the number of rows.
            let array = value.to_array(if is_single(value) { 1 } else { rows })?;
            Ok((cast(&array, &to)?, is_single(value)))
        });
        let columns: Vec<(ArrayRef, bool)> = columns.collect::<Result<_>>()?;
        let columns: Vec<Column<'_>> = columns
            .iter()
            .map(|(array, is_single)| Column {
                texts: array.as_string_opt::<i32>(),
                numbers: array.as_primitive_opt::<Int64Type>(),
                is_single: *is_single,
            })
            .collect();
        let made = self.answers(&columns, rows);
        let made = made.map_err(|error| DataFusionError::External(Box::new(error)))?;
        Ok(match single {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&made, 0)?),
            false => ColumnarValue::Array(made),
        })
    }
}

/// An argument of all rows.
struct Column<'a> {
    texts: Option<&'a StringArray>,
    numbers: Option<&'a Int64Array>,
    is_single: bool,
}

impl<'a> Column<'a> {
    fn place(&self, row: usize) -> usize {
        if self.is_single { 0 } else { row }
    }

    fn is_null(&self, row: usize) -> bool {
        let row = self.place(row);
        let texts = self.texts.is_none_or(|texts| texts.is_null(row));
        texts && self.numbers.is_none_or(|numbers| numbers.is_null(row))
    }

    fn text(&self, row: usize) -> &'a str {
        let row = self.place(row);
        self.texts.map_or("", |texts| texts.value(row))
    }

    fn number(&self, row: usize) -> i64 {
        let row = self.place(row);
        self.numbers.map_or(0, |numbers| numbers.value(row))
    }
}

/// Where answers go.
enum Answers {
    Numbers(Int64Builder),
    Truths(BooleanBuilder),
    Lists(ListBuilder<StringBuilder>),
    Texts(StringBuilder),
}

impl Answers {
    fn null(&mut self) {
        match self {
            Self::Numbers(all) => all.append_null(),
            Self::Truths(all) => all.append_null(),
            Self::Lists(all) => all.append_null(),
            Self::Texts(all) => all.append_null(),
        }
    }

    /// Bytes of what was made.
    fn size(&self) -> usize {
        match self {
            Self::Numbers(_) | Self::Truths(_) => 0,
            Self::Lists(all) => all.values_ref().values_slice().len(),
            Self::Texts(all) => all.values_slice().len(),
        }
    }

    fn finish(self) -> ArrayRef {
        match self {
            Self::Numbers(mut all) => Arc::new(all.finish()),
            Self::Truths(mut all) => Arc::new(all.finish()),
            Self::Lists(mut all) => Arc::new(all.finish()),
            Self::Texts(mut all) => Arc::new(all.finish()),
        }
    }
}

/// Bytes that all rows of a batch may have together.
const MOST_BYTES: usize = 1 << 30;

type Told<T> = std::result::Result<T, ServerError>;

impl Pattern {
    fn answers(&self, columns: &[Column<'_>], rows: usize) -> Told<ArrayRef> {
        let mut answers = match self.asked {
            Asked::Count | Asked::Instr => Answers::Numbers(Int64Builder::with_capacity(rows)),
            Asked::Like | Asked::Operator(_) => {
                Answers::Truths(BooleanBuilder::with_capacity(rows))
            }
            Asked::Match => Answers::Lists(ListBuilder::new(StringBuilder::new())),
            Asked::Part | Asked::Replace => Answers::Texts(StringBuilder::new()),
        };
        let is_null = |row: usize| columns.iter().any(|column| column.is_null(row));
        let never = || false;
        // Nothing can stop a batch: there is a bound on what all of it takes.
        let (mut row, mut excess) = (0, 0);
        while row < rows {
            if is_null(row) {
                answers.null();
                row += 1;
                continue;
            }
            let Some(pattern) = columns.get(1).map(|column| column.text(row)) else {
                break;
            };
            let flags = self.checked(columns, row)?;
            let regex: Arc<Regex> = compiled(pattern, flags)?;
            let mut matcher = regex.matcher(&never);
            matcher.set_excess(excess);
            // Rows with one pattern share what it has found out.
            while row < rows {
                if is_null(row) {
                    answers.null();
                    row += 1;
                    continue;
                }
                let is_same = columns
                    .get(1)
                    .is_some_and(|column| column.text(row) == pattern);
                if !is_same || self.checked(columns, row)? != flags {
                    break;
                }
                self.answer(columns, row, flags, &mut matcher, &mut answers)?;
                if answers.size() > MOST_BYTES {
                    let text = "result of regular expressions is too large";
                    return Err(ServerError::new("54000", text));
                }
                row += 1;
            }
            excess = matcher.excess();
        }
        Ok(answers.finish())
    }

    /// The flags of a row, whose numbers are as they may be.
    fn checked(&self, columns: &[Column<'_>], row: usize) -> Told<Flags> {
        let text = |at: usize| columns.get(at).map_or("", |column| column.text(row));
        let check = |at: usize, name: &str, least: i64| match columns.get(at) {
            Some(column) => number(name, column.number(row), least).map(drop),
            None => Ok(()),
        };
        let flags = match self.asked {
            Asked::Count => {
                check(2, "start", 1)?;
                Flags::of_one(self.name, text(3))?
            }
            Asked::Instr => {
                check(2, "start", 1)?;
                check(3, "n", 1)?;
                if let Some(end) = columns.get(4).map(|column| column.number(row))
                    && !matches!(end, 0 | 1)
                {
                    let text = format!("invalid value for parameter \"endoption\": {end}");
                    return Err(ServerError::new("22023", text));
                }
                let flags = Flags::of_one(self.name, text(5))?;
                check(6, "subexpr", 0)?;
                flags
            }
            Asked::Like | Asked::Match => Flags::of_one(self.name, text(2))?,
            Asked::Replace => match columns.get(3) {
                Some(column) if column.numbers.is_some() => {
                    check(3, "start", 1)?;
                    check(4, "n", 0)?;
                    Flags::read(text(5))?
                }
                Some(column) => flags_of_replace(column.text(row))?,
                None => Flags::default(),
            },
            Asked::Part => Flags::default(),
            Asked::Operator(insensitive) => Flags::of_operator(insensitive),
        };
        Ok(flags)
    }

    fn answer(
        &self,
        columns: &[Column<'_>],
        row: usize,
        flags: Flags,
        matcher: &mut Matcher<'_>,
        answers: &mut Answers,
    ) -> Told<()> {
        let text = columns.first().map_or("", |column| column.text(row));
        let number = |at: usize, other: usize| match columns.get(at) {
            Some(column) => usize::try_from(column.number(row)).unwrap_or(other),
            None => other,
        };
        let whole = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        match (self.asked, answers) {
            (Asked::Count, Answers::Numbers(all)) => {
                all.append_value(whole(genokura_regex::count(matcher, text, number(2, 1))?));
            }
            (Asked::Instr, Answers::Numbers(all)) => {
                let which = Instance {
                    start: number(2, 1),
                    nth: number(3, 1),
                    group: number(6, 0),
                };
                let found = genokura_regex::instance(matcher, text, which)?;
                all.append_value(whole(found.map_or(0, |found| match number(4, 0) {
                    0 => found.first,
                    _ => found.behind,
                })));
            }
            (Asked::Match, Answers::Lists(all)) => {
                let found = genokura_regex::matches(matcher, text, false)?.pop();
                for group in found.iter().flatten() {
                    all.values().append_option(*group);
                }
                all.append(found.is_some());
            }
            (Asked::Part, Answers::Texts(all)) => {
                all.append_option(genokura_regex::substring(matcher, text)?);
            }
            (Asked::Replace, Answers::Texts(all)) => {
                let written = columns.get(2).map_or("", |column| column.text(row));
                let starts = columns
                    .get(3)
                    .is_some_and(|column| column.numbers.is_some());
                let (start, nth) = match (starts, columns.len() > 4) {
                    (true, true) => (number(3, 1), number(4, 0)),
                    (true, false) => (number(3, 1), 1),
                    (false, _) => (1, usize::from(!flags.global)),
                };
                let replacement = Replacement::new(written);
                let made = genokura_regex::replace(matcher, text, &replacement, start, nth)?;
                all.append_value(made);
            }
            (_, Answers::Truths(all)) => all.append_value(matcher.is_match(text)?),
            _ => {}
        }
        Ok(())
    }
}
