//! Functions of advisory locks, which are called before the statement that they stand in runs: none of the threads that
//! read the lake waits.
//!
//! ```text
//! SELECT pg_try_advisory_lock(7)   ─►   the lock is taken, or not   ─►   SELECT true AS pg_try_advisory_lock
//! ```

use std::ops::ControlFlow;

use arrow::array::{Array as _, AsArray as _};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::sql::sqlparser::ast::{self, Expr, SelectItem};

use super::plan;
use super::typed::Types;
use super::{Session, rewrite, statement};
use crate::advisory::{Holder, Key, Locks, Mode};
use crate::pg_types::{PgType, oid};
use crate::sqlstate::{ServerError, Severity};

/// What a call does.
#[derive(Clone, Copy)]
enum Act {
    Lock,
    Try,
    Unlock,
    UnlockAll,
}

#[derive(Clone, Copy)]
struct Called {
    act: Act,
    mode: Mode,
    in_transaction: bool,
}

/// The function of this name, when it is one of these.
fn called(name: &str) -> Option<Called> {
    let (name, mode) = match name.strip_suffix("_shared") {
        Some(name) => (name, Mode::Shared),
        None => (name, Mode::Exclusive),
    };
    let (act, in_transaction) = match name {
        "pg_advisory_lock" => (Act::Lock, false),
        "pg_advisory_xact_lock" => (Act::Lock, true),
        "pg_try_advisory_lock" => (Act::Try, false),
        "pg_try_advisory_xact_lock" => (Act::Try, true),
        "pg_advisory_unlock" => (Act::Unlock, false),
        "pg_advisory_unlock_all" if mode == Mode::Exclusive => (Act::UnlockAll, false),
        _ => return None,
    };
    Some(Called {
        act,
        mode,
        in_transaction,
    })
}

/// Whether a statement calls such a function.
pub(super) fn calls_locks(statement: &ast::Statement) -> bool {
    let flow = ast::visit_expressions(statement, |expr| match of(expr) {
        Some(_) => ControlFlow::Break(()),
        None => ControlFlow::Continue(()),
    });
    flow.is_break()
}

fn of(expr: &Expr) -> Option<(Called, String, Vec<Expr>)> {
    let Expr::Function(function) = expr else {
        return None;
    };
    let name = rewrite::last_part(&function.name);
    let called = called(&name)?;
    let arguments = rewrite::call_arguments(function).into_iter().cloned();
    Some((called, name, arguments.collect()))
}

/// Columns that are calls of these functions are called as the functions, also when the answers stand there.
struct Named;

impl ast::VisitorMut for Named {
    type Break = std::convert::Infallible;

    fn pre_visit_select(&mut self, select: &mut ast::Select) -> ControlFlow<Self::Break> {
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(expr) = item
                && let Some((_, name, _)) = of(expr)
            {
                let expr = expr.clone();
                let alias = ast::Ident::new(name);
                *item = SelectItem::ExprWithAlias { expr, alias };
            }
        }
        ControlFlow::Continue(())
    }
}

impl Session {
    /// Calls the functions of advisory locks in a query, and puts their answers into it.
    ///
    /// # Errors
    /// 0A000 for a call for each row of a relation; 55P03, 40P01 and 53200 of the locks.
    pub(super) async fn lock_keys(
        &mut self,
        query: &mut ast::Statement,
    ) -> Result<(), ServerError> {
        let mut calls = Vec::new();
        let _: ControlFlow<()> = ast::visit_expressions(query, |expr| {
            calls.extend(of(expr));
            ControlFlow::Continue(())
        });
        let Some((_, name, _)) = calls.first() else {
            return Ok(());
        };
        if ast::visit_relations(query, |_| ControlFlow::Break(())).is_break() {
            let text = format!("{name} for each row of a relation");
            return Err(ServerError::unsupported(text)
                .hint("Call it without FROM, with a constant or the value of an expression."));
        }
        let mut answers = Vec::with_capacity(calls.len());
        for (called, _, arguments) in calls {
            answers.push(self.lock_key(called, arguments).await?);
        }
        let ControlFlow::Continue(()) = ast::VisitMut::visit(query, &mut Named);
        let mut answers = answers.into_iter();
        let _: ControlFlow<()> = ast::visit_expressions_mut(query, |expr| {
            if of(expr).is_some()
                && let Some(Some(answer)) = answers.next()
            {
                *expr = Expr::value(ast::Value::Boolean(answer));
            }
            ControlFlow::Continue(())
        });
        Ok(())
    }

    /// Does what a call says; `None` where the call itself has the answer: nothing, NULL, or an error.
    async fn lock_key(
        &mut self,
        called: Called,
        arguments: Vec<Expr>,
    ) -> Result<Option<bool>, ServerError> {
        if let Act::UnlockAll = called.act {
            if let Some(holder) = &mut self.locks {
                holder.unlock_all();
            }
            return Ok(None);
        }
        let Some(key) = self.advisory_key(arguments).await? else {
            return Ok(None);
        };
        let most = self.settings.lock_timeout();
        let Called {
            act,
            mode,
            in_transaction,
        } = called;
        let holder = self.lock_holder();
        Ok(match act {
            Act::Lock => {
                holder.lock(key, mode, in_transaction, most).await?;
                None
            }
            Act::Try => Some(holder.try_lock(key, mode, in_transaction)?),
            _ => {
                let held = holder.unlock(key, mode);
                if !held {
                    let text = format!("you don't own a lock of type {}", mode.name());
                    let warning = ServerError::new("01000", text).severity(Severity::Warning);
                    self.notices.push(warning);
                }
                Some(held)
            }
        })
    }

    fn lock_holder(&mut self) -> &mut Holder {
        let sessions = self.sessions.as_ref();
        self.locks.get_or_insert_with(|| match sessions {
            Some(sessions) => sessions.locks().session(),
            // Nobody else is there.
            None => std::sync::Arc::new(Locks::default()).session(),
        })
    }

    /// The key that arguments say; `None` where they are none, or one is NULL.
    async fn advisory_key(&mut self, arguments: Vec<Expr>) -> Result<Option<Key>, ServerError> {
        let mut numbers = Vec::with_capacity(arguments.len());
        for argument in arguments {
            match self.number_of(argument).await? {
                Some(number) => numbers.push(number),
                None => return Ok(None),
            }
        }
        Ok(match numbers.as_slice() {
            [key] => Some(Key::One(*key)),
            [first, second] => match (i32::try_from(*first), i32::try_from(*second)) {
                (Ok(first), Ok(second)) => Some(Key::Two(first, second)),
                _ => None,
            },
            _ => None,
        })
    }

    /// The whole number that an expression is, without a table.
    async fn number_of(&mut self, expr: Expr) -> Result<Option<i64>, ServerError> {
        let written = rewrite::constant(&expr).and_then(|text| text.trim().parse().ok());
        if written.is_some() {
            return Ok(written);
        }
        // What is no whole number is told of by the call.
        let told = (Types { parameters: None }).of(&expr);
        if told.is_some_and(|told| !matches!(told, oid::INT2 | oid::INT4 | oid::INT8)) {
            return Ok(None);
        }
        let query = statement::query_with("SELECT NULL AS key", |select| {
            select.projection = vec![SelectItem::UnnamedExpr(expr)];
        })?;
        let context = self.plan_context().await?;
        let planned = Box::pin(plan::plan(&context, &query)).await?;
        let whole = planned.columns().first().is_some_and(|column| {
            matches!(column.pg_type, PgType::INT2 | PgType::INT4 | PgType::INT8)
        });
        let rows = Box::pin(plan::start(planned)).await?;
        let batch = rows.next(Some(1)).await?;
        let values = batch.as_ref().and_then(|batch| batch.columns().first());
        let (true, Some(values)) = (whole, values) else {
            return Ok(None);
        };
        let values = cast(values, &DataType::Int64)?;
        let values = values.as_primitive::<Int64Type>();
        Ok((!values.is_empty() && values.is_valid(0)).then(|| values.value(0)))
    }
}
