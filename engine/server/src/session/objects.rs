//! What only the catalog knows, in statements that read the lake: computed before the statement is planned.
//!
//! ```text
//! SELECT a.attname, p.sex FROM pg_attribute a, clin.person p WHERE a.attrelid = 'clin.person'::regclass
//!                                                                                └ a number to the planner
//! ```
//! A cast to one of PostgreSQL's types of objects, and a call of a function that asks the catalog, is a constant when
//! all in it are: the catalog evaluator says its value, which is put in its place. An object stands for its number where
//! it is compared; shown, it is a name whose binary form is the number.

use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::execution::FunctionRegistry as _;
use datafusion::execution::context::SessionContext;
use datafusion::sql::sqlparser::ast::{
    self, BinaryOperator, Expr, SetExpr, VisitMut as _, VisitorMut,
};

mod shown;
mod tables;

use shown::AS_OBJECT;
pub(super) use shown::register;
use tables::SystemColumns;
pub(super) use tables::TABLE_OID;

use super::params;
use super::placed::of_constant;
use super::plan::PlanContext;
use super::rewrite::{self, Relations};
use crate::evaluated;
use crate::pg_catalog::{self, CatalogModel, Value, asks_catalog};
use crate::pg_types::{PgType, oid};
use crate::pgwire::encode::Format;
use crate::sqlstate::ServerError;

/// Puts the values of constants in place that only the catalog knows.
///
/// # Errors
/// What PostgreSQL says of the constant: 42P01 for a relation that does not exist, and its like.
pub(super) async fn read(
    context: &PlanContext,
    relations: &Relations,
    statement: &mut ast::Statement,
) -> Result<(), ServerError> {
    if !relations.foreign || !asks_anything(&context.context, statement) {
        return Ok(());
    }
    let model = super::catalog::model(context).await;
    let session = Arc::new(super::catalog::session_info(&context.info, Arc::default()));
    let reader = Reader {
        context: &context.context,
        model: &model,
        session,
    };
    let ControlFlow::Continue(()) =
        statement.visit(&mut SystemColumns(super::catalog::relation_oids(context)));
    match statement.visit(&mut Placed(&reader)) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

/// Whether there is anything in a statement that only the catalog knows; the catalog is built for nothing else.
fn asks_anything(context: &SessionContext, statement: &ast::Statement) -> bool {
    let flow = ast::visit_expressions(statement, |expr| {
        let asks = match expr {
            Expr::Cast { data_type, .. } => rewrite::is_object_type(data_type),
            Expr::TypedString(typed) => rewrite::is_object_type(&typed.data_type),
            Expr::Function(function) => asks_of(context, &rewrite::last_part(&function.name)),
            Expr::Identifier(name) => rewrite::folded(name) == TABLE_OID,
            Expr::CompoundIdentifier(parts) => {
                parts.last().map(rewrite::folded).as_deref() == Some(TABLE_OID)
            }
            _ => false,
        };
        match asks {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    });
    flow.is_break()
}

/// Whether a function is one that asks the catalog, and that the planner does not have.
fn asks_of(context: &SessionContext, name: &str) -> bool {
    asks_catalog(name)
        && !rewrite::is_session_function(name)
        && context.udf(name).is_err()
        && context.udaf(name).is_err()
}

struct Reader<'a> {
    context: &'a SessionContext,
    model: &'a Arc<CatalogModel>,
    session: Arc<pg_catalog::SessionInfo>,
}

/// A constant: the OID of its type, its value, and that as a text.
struct Constant {
    ty: u32,
    value: Value,
    text: Option<String>,
}

impl Reader<'_> {
    /// Objects among the outputs of a SELECT are shown by name.
    fn shown(&self, select: &mut ast::Select) -> Result<(), ServerError> {
        for item in &mut select.projection {
            // A column keeps the name of what was computed.
            let name = rewrite::item_name(item);
            let (ast::SelectItem::UnnamedExpr(expr) | ast::SelectItem::ExprWithAlias { expr, .. }) =
                item
            else {
                continue;
            };
            let mut asks = false;
            if !self.is_constant(expr, &mut asks) || !asks {
                continue;
            }
            let expr = match self.constant(expr)? {
                Some(constant) if is_object(constant.ty) => as_object(&constant),
                _ => expr.clone(),
            };
            *item = named(expr, name);
        }
        Ok(())
    }

    /// The value of an expression that the catalog alone knows; None for any other.
    fn constant(&self, expr: &Expr) -> Result<Option<Constant>, ServerError> {
        let mut asks = false;
        if !self.is_constant(expr, &mut asks) || !asks {
            return Ok(None);
        }
        let statement = select(expr.clone())?;
        let answer = match pg_catalog::execute(self.model, &self.session, &statement, &[]) {
            // The planner may know of it.
            Err(error) if error.sqlstate == "0A000" => return Ok(None),
            Err(mut error) => {
                // Its place is in the statement that was made here.
                error.position = None;
                return Err(ServerError::from(error).place(of_constant(expr)));
            }
            Ok(answer) => answer,
        };
        let (Some(column), Some(value)) = (answer.columns.first(), answer.rows.first()) else {
            return Ok(None);
        };
        let ty = column.type_oid;
        let style = self.session.style;
        Ok(value.first().map(|value| Constant {
            ty,
            text: value.to_text(ty, &style),
            value: value.clone(),
        }))
    }

    /// Whether an expression is made of constants; `asks` is set when the planner does not know what is in it.
    fn is_constant(&self, expr: &Expr, asks: &mut bool) -> bool {
        match expr {
            Expr::Value(value) => !matches!(value.value, ast::Value::Placeholder(_)),
            Expr::TypedString(typed) => {
                *asks |= rewrite::is_object_type(&typed.data_type);
                true
            }
            Expr::Cast {
                expr, data_type, ..
            } => {
                *asks |= rewrite::is_object_type(data_type);
                self.is_constant(expr, asks)
            }
            Expr::Nested(inner) | Expr::UnaryOp { expr: inner, .. } => {
                self.is_constant(inner, asks)
            }
            Expr::BinaryOp {
                left,
                op: BinaryOperator::StringConcat,
                right,
            } => self.is_constant(left, asks) && self.is_constant(right, asks),
            Expr::Function(function) => self.is_constant_call(function, asks),
            _ => false,
        }
    }

    fn is_constant_call(&self, function: &ast::Function, asks: &mut bool) -> bool {
        let name = rewrite::last_part(&function.name);
        if !asks_of(self.context, &name) {
            return false;
        }
        *asks = true;
        let plain = function.over.is_none() && function.filter.is_none();
        let ast::FunctionArguments::List(list) = &function.args else {
            return false;
        };
        let mut arguments = list.args.iter();
        plain
            && list.clauses.is_empty()
            && list.duplicate_treatment.is_none()
            && arguments.all(|argument| match argument {
                ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(expr)) => {
                    self.is_constant(expr, asks)
                }
                _ => false,
            })
    }

    /// Lets the planner call a function of columns that asks the catalog.
    fn called(&self, function: &mut ast::Function) {
        let name = rewrite::last_part(&function.name);
        if function.over.is_some() || !asks_of(self.context, &name) {
            return;
        }
        let known = evaluated::Known {
            model: Arc::clone(self.model),
            session: Arc::clone(&self.session),
        };
        if let Some(asked) = evaluated::asked(&name, known) {
            function.name = ast::Ident::new(asked.name()).into();
            self.context.register_udf(asked);
        }
    }

    /// Puts the value of a constant in its place; an object is put only where its number is what is meant.
    fn place(&self, expr: &mut Expr, compared: bool) -> Result<(), ServerError> {
        let Some(constant) = self.constant(expr)? else {
            return Ok(());
        };
        if let Some(value) = literal(&constant, compared)? {
            *expr = value;
        }
        Ok(())
    }
}

/// An output of this name.
fn named(expr: Expr, name: Option<String>) -> ast::SelectItem {
    match name {
        Some(name) => ast::SelectItem::ExprWithAlias {
            expr,
            alias: ast::Ident::with_quote('"', name),
        },
        None => ast::SelectItem::UnnamedExpr(expr),
    }
}

/// Puts values in place, wherever constants stand in a statement.
struct Placed<'r, 'a>(&'r Reader<'a>);

impl VisitorMut for Placed<'_, '_> {
    type Break = ServerError;

    fn pre_visit_select(&mut self, select: &mut ast::Select) -> ControlFlow<ServerError> {
        match self.0.shown(select) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<ServerError> {
        let mut compared: Vec<&mut Expr> = match expr {
            Expr::BinaryOp { left, op, right } if is_comparison(op) => vec![left, right],
            Expr::IsDistinctFrom(left, right) | Expr::IsNotDistinctFrom(left, right) => {
                vec![left, right]
            }
            Expr::InList { expr, list, .. } => std::iter::once(expr.as_mut()).chain(list).collect(),
            Expr::Between {
                expr, low, high, ..
            } => vec![expr, low, high],
            Expr::InSubquery { expr, .. } => vec![expr],
            _ => Vec::new(),
        };
        let placed = compared
            .iter_mut()
            .try_for_each(|operand| self.0.place(operand, true))
            .and_then(|()| self.0.place(expr, false));
        match placed {
            Ok(()) => {
                if let Expr::Function(function) = expr {
                    self.0.called(function);
                }
                ControlFlow::Continue(())
            }
            Err(error) => ControlFlow::Break(error),
        }
    }
}

fn is_comparison(op: &BinaryOperator) -> bool {
    matches!(
        op,
        BinaryOperator::Eq
            | BinaryOperator::NotEq
            | BinaryOperator::Lt
            | BinaryOperator::LtEq
            | BinaryOperator::Gt
            | BinaryOperator::GtEq
    )
}

/// Types whose values are numbers that are shown by a name.
fn is_object(ty: u32) -> bool {
    matches!(
        ty,
        oid::REGCLASS
            | oid::REGTYPE
            | oid::REGPROC
            | oid::REGPROCEDURE
            | oid::REGNAMESPACE
            | oid::REGROLE
            | oid::REGOPER
            | oid::REGOPERATOR
            | oid::REGCOLLATION
    )
}

/// A constant as the planner takes it; None for what it has no constant of.
fn literal(constant: &Constant, compared: bool) -> Result<Option<Expr>, ServerError> {
    let made = |text: Option<String>, pg_type| {
        params::constant(text.map(Bytes::from).as_ref(), Format::Text, pg_type).map(Some)
    };
    let of_text = |pg_type| made(constant.text.clone(), pg_type);
    if matches!(constant.ty, oid::OID | oid::XID | oid::CID) {
        return of_text(PgType::INT8);
    }
    if is_object(constant.ty) {
        return match (compared, &constant.value) {
            (true, Value::Reg(oid, _)) => made(Some(oid.to_string()), PgType::INT8),
            (true, Value::Null) => of_text(PgType::INT8),
            _ => Ok(None),
        };
    }
    if matches!(
        constant.ty,
        oid::NAME | oid::CHAR | oid::TEXT | oid::VARCHAR
    ) {
        return of_text(PgType::TEXT);
    }
    match PgType::scalar(constant.ty) {
        Some(known @ (PgType::BOOL | PgType::INT2 | PgType::INT4 | PgType::INT8)) => of_text(known),
        Some(known @ (PgType::FLOAT8 | PgType::TIMESTAMPTZ)) => of_text(known),
        _ => Ok(None),
    }
}

fn as_object(constant: &Constant) -> Expr {
    let number = match &constant.value {
        Value::Reg(number, _) => i64::from(*number),
        _ => 0,
    };
    let name = PgType::scalar(constant.ty).map_or("text", PgType::sql_name);
    let text = match &constant.text {
        Some(text) => rewrite::text(text),
        None => Expr::value(ast::Value::Null),
    };
    let number = Expr::value(ast::Value::Number(number.to_string(), false));
    rewrite::call_of(AS_OBJECT, vec![text, number, rewrite::text(name)])
}

/// `SELECT expr`.
fn select(expr: Expr) -> Result<ast::Statement, ServerError> {
    let mut query = rewrite::every_column()?;
    if let SetExpr::Select(select) = query.body.as_mut() {
        select.from.clear();
        select.projection = vec![ast::SelectItem::UnnamedExpr(expr)];
    }
    Ok(ast::Statement::Query(Box::new(query)))
}
