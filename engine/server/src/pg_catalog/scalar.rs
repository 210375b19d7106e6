//! One function, or the rows of one set, for whoever has values and their types: what the catalog evaluator knows
//! serves queries over the lake too.

use std::sync::{Arc, OnceLock};

use datafusion::execution::memory_pool::MemoryPool;

use super::builtin::{Function, builtin};
use super::error::{CatalogError, Result};
use super::eval::Cx;
use super::model::{CatalogModel, SessionInfo};
use super::plan::{Expr, Kind};
use super::resolve::{self, Choice, Signature};
use super::value::{Value, compare, element_type};
use super::{convert, functions, operators};
use crate::pg_types::oid;
use crate::pgwire::encode::TextStyle;

/// Aggregates of PostgreSQL that are a function of all their values in order, which come as an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Aggregated {
    /// `json_agg`, of the values' json.
    Json,
    /// `json_agg` of rows, which stand on lines of their own.
    JsonRows,
    /// `jsonb_agg`, of the values' jsonb.
    Jsonb,
    /// `json_object_agg`, of an array of names and one of values.
    JsonObject,
    /// `jsonb_object_agg`.
    JsonbObject,
    /// `percentile_disc`, of the sorted values and one or more fractions.
    PercentileDisc,
    /// `percentile_cont` of more fractions than one.
    PercentileCont,
    /// `mode`, of the sorted values.
    Mode,
}

impl Aggregated {
    pub(crate) const ALL: [Aggregated; 8] = [
        Aggregated::Json,
        Aggregated::JsonRows,
        Aggregated::Jsonb,
        Aggregated::JsonObject,
        Aggregated::JsonbObject,
        Aggregated::PercentileDisc,
        Aggregated::PercentileCont,
        Aggregated::Mode,
    ];

    /// The aggregate of this name.
    pub(crate) fn named(name: &str) -> Option<Aggregated> {
        Aggregated::ALL
            .into_iter()
            .find(|own| own.aggregate() == name)
    }

    fn aggregate(self) -> &'static str {
        match self {
            Aggregated::Json => "json_agg",
            Aggregated::JsonRows => "json_agg_rows",
            Aggregated::Jsonb => "jsonb_agg",
            Aggregated::JsonObject => "json_object_agg",
            Aggregated::JsonbObject => "jsonb_object_agg",
            Aggregated::PercentileDisc => "percentile_disc",
            Aggregated::PercentileCont => "percentile_cont",
            Aggregated::Mode => "mode",
        }
    }

    /// The name of the function that takes the array.
    pub(crate) fn name(self) -> String {
        format!("{}_of_array", self.aggregate())
    }

    /// The type of the result for these types.
    fn result(self, given: &[u32]) -> Option<u32> {
        let first = element_type(*given.first()?)?;
        let many = given.get(1).is_some_and(|ty| element_type(*ty).is_some());
        Some(match self {
            Aggregated::Json | Aggregated::JsonRows | Aggregated::JsonObject => oid::JSON,
            Aggregated::Jsonb | Aggregated::JsonbObject => oid::JSONB,
            Aggregated::PercentileDisc if many => resolve::array_type(first),
            Aggregated::PercentileDisc | Aggregated::Mode => first,
            Aggregated::PercentileCont if many => oid::FLOAT8_ARRAY,
            Aggregated::PercentileCont => oid::FLOAT8,
        })
    }

    fn call(self, cx: &Cx<'_>, args: &[Value], types: &[Expr]) -> Result<Value> {
        let Some(items) = args.first().and_then(Value::as_array) else {
            return Ok(Value::Null);
        };
        let second = args.get(1);
        match self {
            Aggregated::Json | Aggregated::JsonRows | Aggregated::Jsonb => {
                let texts: Vec<&str> = items
                    .items
                    .iter()
                    .map(|item| item.as_str().unwrap_or("null"))
                    .collect();
                let between = match self {
                    Aggregated::JsonRows => ", \n ",
                    _ => ", ",
                };
                Ok(Value::text(format!("[{}]", texts.join(between))))
            }
            Aggregated::JsonObject | Aggregated::JsonbObject => {
                let Some(values) = second.and_then(Value::as_array) else {
                    return Ok(Value::Null);
                };
                let parts: Vec<String> = items
                    .items
                    .iter()
                    .zip(&values.items)
                    .map(|(name, value)| {
                        let name = functions::scalar_text(cx, name, items.element);
                        let name = name.ok_or_else(|| {
                            CatalogError::new("22023", "field name must not be null")
                        })?;
                        let value = value.as_str().unwrap_or("null");
                        Ok(format!("{} : {value}", serde_json::Value::from(name)))
                    })
                    .collect::<Result<_>>()?;
                let text = format!("{{ {} }}", parts.join(", "));
                match self {
                    Aggregated::JsonObject => Ok(Value::text(text)),
                    _ => convert::input(cx.model, cx.session, &text, oid::JSONB),
                }
            }
            Aggregated::Mode => Ok(most_common(&items.items)),
            Aggregated::PercentileDisc | Aggregated::PercentileCont => {
                let of = |fraction: &Value| match self {
                    Aggregated::PercentileDisc => at_fraction(&items.items, fraction),
                    _ => between(&items.items, fraction),
                };
                let ty = types.first().and_then(|array| element_type(array.ty));
                match second {
                    Some(Value::Array(fractions)) => {
                        let element = match self {
                            Aggregated::PercentileDisc => ty.unwrap_or(oid::TEXT),
                            _ => oid::FLOAT8,
                        };
                        let found = fractions.items.iter().map(of).collect::<Result<_>>()?;
                        Ok(Value::array(element, found))
                    }
                    Some(fraction) => of(fraction),
                    None => Ok(Value::Null),
                }
            }
        }
    }
}

/// The value that comes most often among sorted ones: of several the first.
fn most_common(items: &[Value]) -> Value {
    let mut best = (0, &Value::Null);
    for run in items.chunk_by(|a, b| compare(a, b).is_eq()) {
        if run.len() > best.0
            && let Some(first) = run.first()
        {
            best = (run.len(), first);
        }
    }
    best.1.clone()
}

fn fraction_of(value: &Value) -> Result<Option<f64>> {
    let Some(fraction) = value.as_f64() else {
        return Ok(None);
    };
    match (0.0..=1.0).contains(&fraction) {
        true => Ok(Some(fraction)),
        false => Err(CatalogError::new(
            "22003",
            format!("percentile value {fraction} is not between 0 and 1"),
        )),
    }
}

/// The first of sorted values that so large a part of them reaches.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a place among values in memory"
)]
fn at_fraction(items: &[Value], fraction: &Value) -> Result<Value> {
    let Some(fraction) = fraction_of(fraction)? else {
        return Ok(Value::Null);
    };
    let place = (fraction * items.len() as f64).ceil() as usize;
    Ok(items
        .get(place.saturating_sub(1))
        .cloned()
        .unwrap_or(Value::Null))
}

/// The value at a part of sorted values, between its neighbours.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a place among values in memory"
)]
fn between(items: &[Value], fraction: &Value) -> Result<Value> {
    let (Some(fraction), Some(last)) = (fraction_of(fraction)?, items.len().checked_sub(1)) else {
        return Ok(Value::Null);
    };
    let place = fraction * last as f64;
    let at = |place: f64| items.get(place as usize).and_then(Value::as_f64);
    let found = at(place.floor()).zip(at(place.ceil()));
    Ok(found.map_or(Value::Null, |(low, high)| {
        Value::Float(low + (high - low) * place.fract())
    }))
}

/// Bytes that the results of one batch of rows may take, since no memory pool sees them.
const MADE_MAX: usize = 256 << 20;

/// What a text has beside its bytes: counts of those that share it.
const SHARED: usize = 16;
/// What an array or a row has beside its values: its type, its dimensions, its names.
const AROUND: usize = 96;

/// What a value takes in memory, or nearly so.
pub(super) fn size(value: &Value) -> usize {
    size_of::<Value>()
        + match value {
            Value::Text(text) => SHARED + text.len(),
            Value::Bytes(bytes) => SHARED + bytes.len(),
            Value::Array(array) => AROUND + array.items.iter().map(size).sum::<usize>(),
            Value::Record(record) => AROUND + record.values.iter().map(size).sum::<usize>(),
            _ => 0,
        }
}

/// What is called.
#[derive(Clone, Copy, Debug)]
enum Callee {
    Function(&'static Function),
    Operator(&'static str),
    Own(Aggregated),
}

/// An overload of a function or of an operator of two, chosen for the types of its arguments as PostgreSQL chooses it.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    callee: Callee,
    /// Types of the arguments as they come, and as the overload takes them.
    given: Vec<u32>,
    taken: Vec<Expr>,
    result: Expr,
    /// The column of the rows of a set that is wanted; None: the rows.
    column: Option<usize>,
}

fn typed(ty: u32) -> Expr {
    Expr {
        kind: Kind::Const(Value::Null),
        ty,
        typmod: -1,
        fields: None,
    }
}

impl Call {
    /// The overload of `name` for arguments of these types, given as types and as what else each may be taken for:
    /// constants of no type yet, integers that fit a narrower type.
    ///
    /// # Errors
    /// 42883, with the types that were tried first.
    pub(crate) fn choose(name: &str, readings: &[Vec<u32>]) -> Result<Call> {
        let overloads: Vec<&'static Function> = builtin()
            .functions_named(name)
            .filter(|function| function.schema == "pg_catalog" && function.kind == 'f')
            .collect();
        let found = readings.iter().find_map(|given| {
            let (function, signature) = resolve::function(&overloads, given)?;
            // The reference outlives the list of overloads.
            let function = overloads.iter().find(|known| known.oid == function.oid)?;
            Some(Call::of(Callee::Function(function), given, &signature))
        });
        found.ok_or_else(|| {
            let types = readings.first().map_or(&[][..], Vec::as_slice);
            let types: Vec<String> = types.iter().map(|ty| model().type_name(*ty)).collect();
            let types = types.join(", ");
            CatalogError::new("42883", format!("function {name}({types}) does not exist")).hint(
                "No function matches the given name and argument types. You might need to add explicit type casts.",
            )
        })
    }

    /// The overload of an operator for operands of these types.
    ///
    /// # Errors
    /// 42883, with the types that were tried first.
    pub(crate) fn operator(name: &'static str, readings: &[Vec<u32>]) -> Result<Call> {
        let found = readings.iter().find_map(|given| {
            let [left, right] = given.as_slice() else {
                return None;
            };
            let (_, signature) = resolve::operator(name, Some(*left), *right)?;
            Some(Call::of(Callee::Operator(name), given, &signature))
        });
        found.ok_or_else(|| {
            let types = readings.first().map_or(&[][..], Vec::as_slice);
            let types: Vec<String> = types.iter().map(|ty| model().type_name(*ty)).collect();
            let types = types.join(&format!(" {name} "));
            CatalogError::new("42883", format!("operator does not exist: {types}")).hint(
                "No operator matches the given name and argument types. You might need to add explicit type casts.",
            )
        })
    }

    /// What finishes an aggregate, for arrays of these types.
    ///
    /// # Errors
    /// 42883 when the first is no array.
    pub(crate) fn finish(own: Aggregated, readings: &[Vec<u32>]) -> Result<Call> {
        let given = readings.first().map_or(&[][..], Vec::as_slice);
        let Some(result) = own.result(given) else {
            let text = format!("function {} of these types does not exist", own.aggregate());
            return Err(CatalogError::new("42883", text));
        };
        let signature = Signature {
            arguments: given.to_vec(),
            result,
        };
        Ok(Call::of(Callee::Own(own), given, &signature))
    }

    fn of(callee: Callee, given: &[u32], signature: &Signature) -> Call {
        Call {
            callee,
            given: given.to_vec(),
            taken: signature.arguments.iter().map(|ty| typed(*ty)).collect(),
            result: typed(signature.result),
            column: None,
        }
    }

    /// One column of the rows of a set, which has a type of its own.
    pub(crate) fn of_column(self, at: usize, ty: u32) -> Call {
        Call {
            result: typed(ty),
            column: Some(at),
            ..self
        }
    }

    /// The type of the result; of a set, that of one of its rows.
    pub(crate) fn result(&self) -> u32 {
        self.result.ty
    }

    /// Whether the function gives a set of rows.
    pub(crate) fn is_set(&self) -> bool {
        matches!(self.callee, Callee::Function(function) if function.set)
    }

    /// The types that the arguments are given as.
    pub(crate) fn given(&self) -> &[u32] {
        &self.given
    }

    /// The results for rows of arguments, in order; a set is an array of its rows, whatever the type of those.
    ///
    /// # Errors
    /// What the function fails with for a row.
    pub(crate) fn rows(
        &self,
        rows: impl Iterator<Item = Result<Vec<Value>>>,
        style: TextStyle,
        known: Option<(&CatalogModel, &SessionInfo)>,
        memory: Option<Arc<dyn MemoryPool>>,
    ) -> Result<Vec<Value>> {
        let session = SessionInfo {
            style,
            ..known.map_or_else(SessionInfo::default, |(_, session)| session.clone())
        };
        let session = match memory {
            Some(_) => SessionInfo { memory, ..session },
            None => session,
        };
        let catalog: &CatalogModel = match known {
            Some((catalog, _)) => catalog,
            None => model(),
        };
        let cx = Cx::new(catalog, &session, &[]);
        let mut made = 0;
        rows.map(|row| {
            let value = cx.keeping(|| self.row(&cx, row?))?;
            let bytes = size(&value);
            cx.keep(bytes)?;
            made += bytes;
            match made > MADE_MAX {
                true => Err(CatalogError::new("54000", "requested length too large")),
                false => Ok(value),
            }
        })
        .collect()
    }

    fn row(&self, cx: &Cx<'_>, given: Vec<Value>) -> Result<Value> {
        let mut args = Vec::with_capacity(given.len());
        for ((value, from), to) in given.into_iter().zip(&self.given).zip(&self.taken) {
            let strict = matches!(self.callee, Callee::Function(function) if function.strict);
            if strict && value.is_null() {
                return Ok(Value::Null);
            }
            // What has no type yet is text that is read as the type that is taken.
            let from = if *from == oid::UNKNOWN {
                oid::TEXT
            } else {
                *from
            };
            let explicit = true;
            args.push(convert::cast(
                cx.model, cx.session, value, from, to.ty, -1, explicit,
            )?);
        }
        let function = match self.callee {
            Callee::Function(function) => function,
            Callee::Own(own) => return own.call(cx, &args, &self.taken),
            Callee::Operator(name) => {
                return operators::apply(cx, name, &args, &self.taken, self.result.ty);
            }
        };
        if !function.set {
            let value = functions::call(cx, function, &args, &self.taken, &self.result)?;
            return Ok(convert::with_names(
                cx.model,
                cx.session,
                &value,
                self.result.ty,
            ));
        }
        let mut rows = functions::set_returning(cx, function, &args, &self.result)?;
        if let Some(at) = self.column {
            for row in &mut rows {
                if let Value::Record(record) = row {
                    *row = record.values.get(at).cloned().unwrap_or(Value::Null);
                }
            }
        }
        Ok(Value::array(self.result.ty, rows))
    }
}

/// The types that a function takes its arguments as, for arguments of these types, of which some may be unknown;
/// `None` where it depends on more, and for a type that stands for any.
pub(crate) fn argument_types(name: &str, given: &[u32]) -> Option<Vec<Option<u32>>> {
    let overloads: Vec<&'static Function> = builtin()
        .functions_named(name)
        .filter(|function| function.schema == "pg_catalog" && function.kind == 'f')
        .collect();
    let (function, signature) = resolve::function(&overloads, given)?;
    let declared = |at: usize| {
        let ty = function.arguments.get(at).copied()?;
        (function.variadic == 0 && !resolve::is_polymorphic(ty)).then_some(ty)
    };
    let types = signature.arguments.iter().enumerate();
    Some(types.map(|(at, ty)| declared(at).map(|_| *ty)).collect())
}

/// What a call of a function of PostgreSQL is by the types of its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// The types that it takes its arguments as, and that of its result, so far as they are known.
    As {
        arguments: Vec<Option<u32>>,
        result: Option<u32>,
    },
    /// Several functions fit equally well.
    NotUnique,
    /// The function is one of any type, which nothing tells.
    Undetermined,
    /// There is no such function.
    Nothing,
}

/// What a call is for arguments of these types: `UNKNOWN` for a constant that has none yet, `None` for what is not known
/// here.
pub(crate) fn taken(name: &str, given: &[Option<u32>]) -> Taken {
    let overloads: Vec<&'static Function> = builtin()
        .functions_named(name)
        .filter(|function| function.schema == "pg_catalog")
        .collect();
    if overloads.is_empty() {
        return Taken::Nothing;
    }
    let Some(known) = given.iter().copied().collect::<Option<Vec<u32>>>() else {
        return Taken::As {
            arguments: resolve::agreed(&overloads, given),
            result: None,
        };
    };
    match resolve::chosen(&overloads, &known) {
        (Some((function, signature)), _) => {
            if is_undetermined(function, &known) {
                return Taken::Undetermined;
            }
            let plain = function.kind == 'f' && !function.set;
            Taken::As {
                arguments: signature.arguments.into_iter().map(Some).collect(),
                result: plain.then_some(signature.result),
            }
        }
        (None, Choice::Several) => Taken::NotUnique,
        (None, _) => Taken::Nothing,
    }
}

/// Whether a function takes arguments of one type, whatever that is, and only constants without one are given.
fn is_undetermined(function: &Function, given: &[u32]) -> bool {
    let any = [oid::ANYARRAY, oid::ANYELEMENT, oid::ANYNONARRAY];
    let places = function.arguments.iter().zip(given);
    let mut places = places.filter(|(ty, _)| any.contains(ty)).peekable();
    function.variadic == 0
        && places.peek().is_some()
        && places.all(|(_, given)| *given == oid::UNKNOWN)
}

/// Whether a function of PostgreSQL takes arguments of these types, `None` for what is not known; `None` when there is no
/// function of that name.
pub(crate) fn takes(name: &str, given: &[Option<u32>]) -> Option<bool> {
    let overloads = overloads(name);
    (!overloads.is_empty()).then(|| !resolve::fitting(&overloads, given).is_empty())
}

/// The type of what a function gives, where all that take such arguments give the same.
pub(crate) fn result_of(name: &str, given: &[Option<u32>]) -> Option<u32> {
    let overloads = overloads(name);
    let known: Option<Vec<u32>> = given.iter().copied().collect();
    if let Some(known) = known {
        let (function, signature) = resolve::function(&overloads, &known)?;
        let one = !function.set && !is_undetermined(function, &known);
        return one.then_some(signature.result);
    }
    let fitting = resolve::fitting(&overloads, given);
    if fitting.iter().any(|(function, _)| function.set) {
        return None;
    }
    let mut results = fitting.iter().map(|(function, _)| function.result);
    let first = results.next()?;
    (!resolve::is_polymorphic(first) && results.all(|result| result == first)).then_some(first)
}

fn overloads(name: &str) -> Vec<&'static Function> {
    let named = builtin().functions_named(name);
    named
        .filter(|function| function.schema == "pg_catalog")
        .collect()
}

/// Whether there is an operator of two for such operands.
pub(crate) fn has_operator(name: &str, left: u32, right: u32) -> bool {
    resolve::has_operator(name, left, right)
}

/// The type of what an operator of two gives.
pub(crate) fn operator_result(name: &str, left: u32, right: u32) -> Option<u32> {
    let (_, signature) = resolve::operator(name, Some(left), right)?;
    Some(signature.result)
}

/// The type of the argument of this name, where the functions of one name agree.
pub(crate) fn named_argument(function: &str, argument: &str) -> Option<u32> {
    let mut types = builtin().functions_named(function).filter_map(|known| {
        let at = known.names.iter().position(|name| name == argument)?;
        known.arguments.get(at).copied()
    });
    let first = types.next()?;
    types.all(|other| other == first).then_some(first)
}

/// Whether a function is that of a cast to a type: it has the name of one.
pub(crate) fn is_type_name(name: &str) -> bool {
    builtin().type_named(name).is_some()
}

/// The types that an operator takes its operands as, of which one may be unknown.
pub(crate) fn operand_types(name: &str, left: u32, right: u32) -> Option<(u32, u32)> {
    let (_, signature) = resolve::operator(name, Some(left), right)?;
    match signature.arguments.as_slice() {
        [left, right] => Some((*left, *right)),
        _ => None,
    }
}

fn model() -> &'static CatalogModel {
    static MODEL: OnceLock<CatalogModel> = OnceLock::new();
    MODEL.get_or_init(|| CatalogModel::new(crate::session::DATABASE))
}
