//! Functions that ask about the session, or change a setting of it.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{self, DataType, Expr, Function};

use super::calls::{arguments, call};
use super::literals::{boolean, cast, null_text, number, text, text_array};
use super::names::last_part;
use crate::pg_types::PgType;
use crate::session::{DATABASE, SessionInfo, Settings, VERSION, kinds};
use crate::sqlstate::ServerError;

pub(in crate::session) fn is_session_function(name: &str) -> bool {
    matches!(
        name,
        "version"
            | "current_database"
            | "current_catalog"
            | "current_schema"
            | "current_schemas"
            | "current_user"
            | "current_role"
            | "session_user"
            | "user"
            | "pg_backend_pid"
            | "current_setting"
            | "set_config"
            | "pg_is_in_recovery"
    )
}

/// Whether a statement calls `set_config`.
pub(crate) fn calls_set_config(statement: &ast::Statement) -> bool {
    let flow = ast::visit_expressions(statement, |expr| match expr {
        Expr::Function(function) if last_part(&function.name) == "set_config" => {
            ControlFlow::Break(())
        }
        _ => ControlFlow::Continue(()),
    });
    flow.is_break()
}

/// Changes `settings` as the calls of `set_config` in a statement say, one after the other as they stand in it. What
/// they answer, and what `current_setting` answers between them, is put into the statement.
///
/// # Errors
/// 0A000 for arguments that are no constants, what `may_set` says, and 22023 for values that a setting does not take.
pub(crate) fn set_configs(
    statement: &mut ast::Statement,
    settings: &mut Settings,
    may_set: impl Fn(&str, &str) -> Result<(), ServerError>,
) -> Result<(), ServerError> {
    let ControlFlow::Continue(()) = ast::VisitMut::visit(statement, &mut NamedSettings);
    let flow = ast::visit_expressions_mut(statement, |expr| {
        let Expr::Function(function) = expr else {
            return ControlFlow::Continue(());
        };
        let answer = match last_part(&function.name).as_str() {
            "set_config" => set_config(function, settings, &may_set),
            "current_setting" => told(function, settings),
            _ => return ControlFlow::Continue(()),
        };
        match answer {
            Ok(Some(answer)) => *expr = answer,
            Ok(None) => {}
            Err(error) => return ControlFlow::Break(error),
        }
        ControlFlow::Continue(())
    });
    match flow {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

fn set_config(
    function: &Function,
    settings: &mut Settings,
    may_set: &impl Fn(&str, &str) -> Result<(), ServerError>,
) -> Result<Option<Expr>, ServerError> {
    let arguments = arguments(function);
    let [Some(name), Some(value), local] = arguments.as_slice() else {
        return Err(ServerError::unsupported("set_config takes constants only"));
    };
    may_set(name, value)?;
    let local = local
        .as_deref()
        .is_some_and(|local| matches!(local, "true" | "t" | "on" | "1" | "yes"));
    settings.set(name, Some(value), local)?;
    Ok(Some(cast(text(settings.show(name)?), DataType::Text)))
}

/// What `current_setting` of a constant answers; None when its name is no constant.
fn told(function: &Function, settings: &Settings) -> Result<Option<Expr>, ServerError> {
    let arguments = arguments(function);
    let Some(Some(name)) = arguments.first() else {
        return Ok(None);
    };
    let missing_ok = arguments.get(1) == Some(&Some("true".to_owned()));
    Ok(Some(match settings.get(name) {
        None if missing_ok => null_text(),
        Some(value) => cast(text(value), DataType::Text),
        None => text(settings.show(name)?),
    }))
}

/// Columns that are calls of these functions are called as the functions, also when the answers stand there.
struct NamedSettings;

impl ast::VisitorMut for NamedSettings {
    type Break = std::convert::Infallible;

    fn pre_visit_select(&mut self, select: &mut ast::Select) -> ControlFlow<Self::Break> {
        for item in &mut select.projection {
            let ast::SelectItem::UnnamedExpr(Expr::Function(function)) = item else {
                continue;
            };
            let name = last_part(&function.name);
            if matches!(name.as_str(), "set_config" | "current_setting") {
                let expr = Expr::Function(function.clone());
                let alias = ast::Ident::new(name);
                *item = ast::SelectItem::ExprWithAlias { expr, alias };
            }
        }
        ControlFlow::Continue(())
    }
}

/// A text as the name that it is.
fn name_of(text: Expr) -> Expr {
    match kinds::function_of(PgType::NAME) {
        Some(function) => call(function, text),
        None => text,
    }
}

pub(super) fn session_function(
    function: &Function,
    info: &SessionInfo,
) -> Result<Option<Expr>, ServerError> {
    let name = last_part(&function.name);
    if function.name.0.len() != 1 || !is_session_function(&name) {
        return Ok(None);
    }
    Ok(Some(match name.as_str() {
        "version" => text(VERSION),
        "current_database" | "current_catalog" => name_of(text(DATABASE)),
        "current_schema" => name_of(
            info.current_schema()
                .map_or_else(null_text, |schema| text(&schema)),
        ),
        "current_schemas" => {
            let mut schemas = info.schemas.clone();
            if arguments(function).first().cloned().flatten().as_deref() == Some("true") {
                schemas.insert(0, "pg_catalog".to_owned());
                if let Some(own) = &info.temporary_schema {
                    schemas.insert(0, own.clone());
                }
            }
            text_array(&schemas)
        }
        "current_user" | "current_role" | "session_user" | "user" => name_of(text(&info.user)),
        "pg_backend_pid" => cast(number(i64::from(info.pid)), DataType::Integer(None)),
        "pg_is_in_recovery" => boolean(false),
        "current_setting" => {
            return told(function, &info.settings);
        }
        "set_config" => match arguments(function).get(1) {
            Some(Some(value)) => text(value),
            _ => null_text(),
        },
        _ => return Ok(None),
    }))
}
