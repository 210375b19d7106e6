//! Functions that ask about the session, or change a setting of it.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{self, DataType, Expr, Function};

use super::calls::arguments;
use super::literals::{boolean, cast, null_text, number, text, text_array};
use super::names::last_part;
use crate::session::{DATABASE, SessionInfo, VERSION};
use crate::sqlstate::ServerError;

pub(super) fn is_session_function(name: &str) -> bool {
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
            | "pg_advisory_unlock_all"
    )
}

/// A setting that `set_config` changes, applied before the statement runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SetConfig {
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) local: bool,
}

/// Whether this is a call of `set_config`.
pub(crate) fn is_set_config(function: &Function) -> bool {
    last_part(&function.name) == "set_config"
}

/// The calls of `set_config` in a statement, with constant arguments.
///
/// # Errors
/// 0A000 for arguments that are no constants.
pub(crate) fn set_configs(statement: &mut ast::Statement) -> Result<Vec<SetConfig>, ServerError> {
    let mut found = Vec::new();
    let flow = ast::visit_expressions_mut(statement, |expr| {
        let Expr::Function(function) = expr else {
            return ControlFlow::Continue(());
        };
        if !is_set_config(function) {
            return ControlFlow::Continue(());
        }
        match arguments(function).as_slice() {
            [Some(name), Some(value), local] => {
                found.push(SetConfig {
                    name: name.clone(),
                    value: value.clone(),
                    local: local.as_deref() == Some("true"),
                });
                ControlFlow::Continue(())
            }
            _ => ControlFlow::Break(ServerError::unsupported("set_config takes constants only")),
        }
    });
    match flow {
        ControlFlow::Continue(()) => Ok(found),
        ControlFlow::Break(error) => Err(error),
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
        "current_database" | "current_catalog" => text(DATABASE),
        "current_schema" => info
            .current_schema()
            .map_or_else(null_text, |schema| text(&schema)),
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
        "current_user" | "current_role" | "session_user" | "user" => text(&info.user),
        "pg_backend_pid" => cast(number(i64::from(info.pid)), DataType::Integer(None)),
        "pg_is_in_recovery" => boolean(false),
        "pg_advisory_unlock_all" => null_text(),
        "current_setting" => {
            let arguments = arguments(function);
            let Some(Some(name)) = arguments.first() else {
                return Ok(None);
            };
            match info.settings.get(name) {
                Some(value) => text(value),
                None if arguments.get(1) == Some(&Some("true".to_owned())) => null_text(),
                None => text(info.settings.show(name)?),
            }
        }
        "set_config" => match arguments(function).get(1) {
            Some(Some(value)) => text(value),
            _ => null_text(),
        },
        _ => return Ok(None),
    }))
}
