//! Parts of names, folded as PostgreSQL folds them.

use datafusion::sql::sqlparser::ast::{Ident, ObjectName, ObjectNamePart};

use crate::sqlstate::ServerError;

pub(in crate::session) fn folded(ident: &Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_ascii_lowercase(),
    }
}

pub(super) fn name_parts(name: &ObjectName) -> Result<Vec<String>, ServerError> {
    name.0
        .iter()
        .map(|part| match part {
            ObjectNamePart::Identifier(ident) => Ok(folded(ident)),
            ObjectNamePart::Function(_) => Err(ServerError::unsupported(format!(
                "the name {name} is not supported"
            ))),
        })
        .collect()
}

pub(super) fn part_text(part: &ObjectNamePart) -> String {
    part.as_ident().map_or_else(|| part.to_string(), folded)
}

pub(super) fn last_part(name: &ObjectName) -> String {
    name.0.last().map(part_text).unwrap_or_default()
}

pub(super) fn object_name(parts: &[&str]) -> ObjectName {
    ObjectName::from(
        parts
            .iter()
            .map(|p| Ident::with_quote('"', *p))
            .collect::<Vec<_>>(),
    )
}

pub(super) fn strip_pg_catalog(name: &mut ObjectName) {
    if name.0.len() == 2
        && name
            .0
            .first()
            .is_some_and(|part| part_text(part) == "pg_catalog")
    {
        name.0.remove(0);
    }
}
