//! Constants in quotes, and NULL, among the arguments of a function: read as the type that PostgreSQL's function takes.
//!
//! ```text
//! make_date('2020', 1, 1)   ─►   make_date(2020::integer, 1, 1)
//! round('1.5')              ─►   round('1.5'::double precision): of several functions that take a number the preferred one
//! power(af, '2')            ─►   as it is: that hangs on the type of the column
//! ```
//! What is no constant keeps its type, so that a column of text is none of these.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use bytes::Bytes;
use datafusion::sql::sqlparser::ast::{
    self, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, ObjectName, Value, VisitMut,
    VisitorMut,
};

use super::literals::string_literal;
use super::names::{folded, last_part};
use crate::pg_catalog::{self, Taken};
use crate::pg_types::{PgType, oid};
use crate::pgwire::encode::Format;
use crate::session::placed::{of_ident, start};
use crate::session::typed::Types;
use crate::session::{params, spelling};
use crate::sqlstate::{Place, ServerError};

/// Where a call of a function begins, by line and column.
pub(in crate::session) type Start = (u64, u64);

/// What reading constants found besides.
#[derive(Debug, Default)]
pub(in crate::session) struct Found {
    /// The first constant that is no value of the type, where it hangs on the types of columns whether there is such a
    /// function at all.
    pub(in crate::session) failed: Option<ServerError>,
    /// Calls with constants that hang on types which are not known.
    pub(in crate::session) open: Vec<Start>,
}

/// Reads the constants of a statement, or of one expression. The planner may have told the types of the arguments of
/// some calls.
///
/// # Errors
/// 22P02, 22007 and 22003 for a text that is no value of the type; 42725 where several functions fit; 42804 where nothing
/// tells a type.
pub(in crate::session) fn read<N: VisitMut>(
    node: &mut N,
    types: Types<'_>,
    told: &BTreeMap<Start, Vec<u32>>,
) -> Result<Found, ServerError> {
    let mut reader = Reader {
        types,
        told,
        found: Found::default(),
    };
    match node.visit(&mut reader) {
        ControlFlow::Continue(()) => Ok(reader.found),
        ControlFlow::Break(error) => Err(error),
    }
}

/// Where a call begins, when it stands in a text.
pub(in crate::session) fn start_of(name: &ObjectName) -> Option<Start> {
    let start = name.0.first()?.as_ident()?.span.start;
    (start.line > 0).then_some((start.line, start.column))
}

struct Reader<'a> {
    types: Types<'a>,
    told: &'a BTreeMap<Start, Vec<u32>>,
    found: Found,
}

impl VisitorMut for Reader<'_> {
    type Break = ServerError;

    /// What is within has its type first.
    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<ServerError> {
        let is_call = matches!(
            expr,
            Expr::Function(_)
                | Expr::Ceil { .. }
                | Expr::Floor { .. }
                | Expr::Extract { .. }
                | Expr::Substring { .. }
                | Expr::Overlay { .. }
                | Expr::AtTimeZone { .. }
        );
        if !is_call {
            return ControlFlow::Continue(());
        }
        if let Expr::Function(function) = expr
            && let Err(error) = spelling::ordered(function)
        {
            return ControlFlow::Break(error);
        }
        let place = start(expr);
        let read = call(expr).map_or(Ok(()), |call| self.arguments(call, place));
        read.map_or_else(ControlFlow::Break, ControlFlow::Continue)
    }

    fn post_visit_table_factor(
        &mut self,
        factor: &mut ast::TableFactor,
    ) -> ControlFlow<ServerError> {
        let ast::TableFactor::Table {
            name,
            args: Some(args),
            ..
        } = factor
        else {
            return ControlFlow::Continue(());
        };
        let first = name.0.first().and_then(|part| part.as_ident());
        let place = first.and_then(of_ident);
        let called = of_function(name, &mut args.args);
        let read = called.map_or(Ok(()), |call| self.arguments(call, place));
        read.map_or_else(ControlFlow::Break, ControlFlow::Continue)
    }
}

/// What is called, with what.
struct Call<'a> {
    name: String,
    /// What the messages of PostgreSQL call it.
    shown: String,
    /// Where it begins, when it is no construct of words.
    start: Option<Start>,
    /// Whether a word of the construct comes before the arguments.
    has_word: bool,
    arguments: Vec<&'a mut Expr>,
}

impl<'a> Call<'a> {
    fn of(name: &str, arguments: Vec<&'a mut Expr>) -> Self {
        Self {
            name: name.to_owned(),
            shown: name.to_owned(),
            start: None,
            has_word: false,
            arguments,
        }
    }

    /// A construct of words that PostgreSQL calls a function of its own for.
    fn construct(name: &str, arguments: Vec<&'a mut Expr>) -> Self {
        Self {
            shown: format!("pg_catalog.{name}"),
            ..Self::of(name, arguments)
        }
    }
}

fn call(expr: &mut Expr) -> Option<Call<'_>> {
    Some(match expr {
        Expr::Function(function) => match &mut function.args {
            FunctionArguments::List(list) => return of_function(&function.name, &mut list.args),
            _ => return None,
        },
        Expr::Ceil { expr, .. } => Call::of("ceil", vec![expr]),
        Expr::Floor { expr, .. } => Call::of("floor", vec![expr]),
        Expr::Extract { expr, .. } => Call {
            has_word: true,
            ..Call::construct("extract", vec![expr])
        },
        Expr::Substring {
            expr,
            substring_from: Some(from),
            substring_for,
            special,
            shorthand,
        } => {
            let mut arguments = vec![expr.as_mut(), from.as_mut()];
            arguments.extend(substring_for.as_deref_mut());
            match (shorthand, special) {
                (true, _) => Call::of("substr", arguments),
                (false, true) => Call::of("substring", arguments),
                (false, false) => Call::construct("substring", arguments),
            }
        }
        Expr::Overlay {
            expr,
            overlay_what,
            overlay_from,
            overlay_for,
        } => {
            let mut arguments = vec![expr.as_mut(), overlay_what.as_mut(), overlay_from.as_mut()];
            arguments.extend(overlay_for.as_deref_mut());
            Call::construct("overlay", arguments)
        }
        Expr::AtTimeZone {
            timestamp,
            time_zone,
        } => Call::construct("timezone", vec![time_zone, timestamp]),
        _ => return None,
    })
}

/// The call of a function, none of whose arguments has a name.
fn of_function<'a>(name: &ObjectName, arguments: &'a mut [FunctionArg]) -> Option<Call<'a>> {
    let plain = arguments.iter_mut().map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
        _ => None,
    });
    let arguments = plain.collect::<Option<Vec<&mut Expr>>>()?;
    match name.0.as_slice() {
        [_] => {}
        [ast::ObjectNamePart::Identifier(schema), _] if folded(schema) == "pg_catalog" => {}
        _ => return None,
    }
    Some(Call {
        start: start_of(name),
        ..Call::of(&last_part(name), arguments)
    })
}

impl Reader<'_> {
    fn arguments(&mut self, call: Call<'_>, place: Option<Place>) -> Result<(), ServerError> {
        if !call.arguments.iter().any(|argument| is_untyped(argument)) {
            return Ok(());
        }
        // With the name of a type and one argument it is a cast.
        if call.arguments.len() == 1 && pg_catalog::is_type_name(&call.name) {
            return Ok(());
        }
        let given = self.given(&call);
        let is_open = given.contains(&None);
        let taken = match pg_catalog::taken(&call.name, &given) {
            Taken::As { arguments, .. } => arguments,
            Taken::Nothing => return Ok(()),
            Taken::NotUnique => return Err(not_unique(&call.shown, &given).place(place)),
            Taken::Undetermined => {
                let text = "could not determine polymorphic type because input has type unknown";
                return Err(ServerError::new("42804", text));
            }
        };
        let taken = taken.into_iter().skip(usize::from(call.has_word));
        for (argument, ty) in call.arguments.into_iter().zip(taken) {
            if !is_untyped(argument) {
                continue;
            }
            let Some(ty) = ty else {
                self.found.open.extend(call.start);
                continue;
            };
            let pg_type = PgType::of_oid(ty);
            if !is_read(pg_type) {
                continue;
            }
            match read_as(argument, pg_type) {
                Err(error) if is_open => {
                    // Whatever it says, there may be no such function for the others.
                    *argument = params::null_of(pg_type);
                    self.found.failed.get_or_insert(error);
                }
                read => read?,
            }
        }
        Ok(())
    }

    /// The types of the arguments, so far as they are known.
    fn given(&self, call: &Call<'_>) -> Vec<Option<u32>> {
        let told = call.start.and_then(|start| self.told.get(&start));
        let types = call.arguments.iter().enumerate().map(|(at, part)| {
            let known = self.types.of(part);
            known.or_else(|| told?.get(at).copied().filter(|ty| *ty != oid::UNKNOWN))
        });
        let word = call.has_word.then_some(Some(oid::UNKNOWN));
        word.into_iter().chain(types).collect()
    }
}

/// Whether a constant of this type is another one than a text to the planner, too.
fn is_read(pg_type: PgType) -> bool {
    let is_text = |ty| matches!(ty, PgType::TEXT | PgType::VARCHAR);
    let item = pg_type.element();
    match item.unwrap_or(pg_type) {
        PgType::BOOL
        | PgType::BYTEA
        | PgType::INT2
        | PgType::INT4
        | PgType::INT8
        | PgType::FLOAT4
        | PgType::FLOAT8
        | PgType::NUMERIC
        | PgType::DATE
        | PgType::TIME
        | PgType::TIMESTAMP
        | PgType::TIMESTAMPTZ
        | PgType::INTERVAL
        | PgType::JSON
        | PgType::JSONB
        | PgType::UUID => true,
        other => item.is_some() && is_text(other),
    }
}

fn is_untyped(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(inner) => is_untyped(inner),
        Expr::Value(value) if value.value == Value::Null => true,
        other => string_literal(other).is_some(),
    }
}

fn read_as(expr: &mut Expr, pg_type: PgType) -> Result<(), ServerError> {
    let mut bare = &*expr;
    while let Expr::Nested(inner) = bare {
        bare = inner;
    }
    let text = string_literal(bare).map(|text| Bytes::from(text.to_owned()));
    let read = params::constant(text.as_ref(), Format::Text, pg_type);
    *expr = read.map_err(|error| error.place(start(bare)))?;
    Ok(())
}

/// 42725 for a call that several functions answer.
fn not_unique(name: &str, given: &[Option<u32>]) -> ServerError {
    let types = given.iter().copied().flatten();
    let types: Vec<&str> = types.map(|ty| PgType::of_oid(ty).sql_name()).collect();
    let types = types.join(", ");
    ServerError::new("42725", format!("function {name}({types}) is not unique")).hint(
        "Could not choose a best candidate function. You might need to add explicit type casts.",
    )
}
