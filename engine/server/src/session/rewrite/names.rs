//! Parts of names, folded as PostgreSQL folds them.

use datafusion::sql::sqlparser::ast::{
    Ident, ObjectName, ObjectNamePart, Select, SelectItem, SelectItemQualifiedWildcardKind,
    TableFactor, TableWithJoins,
};

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

pub(in crate::session) fn last_part(name: &ObjectName) -> String {
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

/// Writes `t.*` of a table without an alias with the table's whole name, which the planner asks for.
pub(super) fn whole_tables(select: &mut Select) {
    for item in &mut select.projection {
        if let SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) =
            item
            && name.0.len() == 1
            && let Some(whole) = table_named(&select.from, &last_part(name))
        {
            *name = whole.clone();
        }
    }
}

fn table_named<'a>(from: &'a [TableWithJoins], wanted: &str) -> Option<&'a ObjectName> {
    from.iter().find_map(|tables| {
        let joined = tables.joins.iter().map(|join| &join.relation);
        let mut factors = std::iter::once(&tables.relation).chain(joined);
        factors.find_map(|factor| match factor {
            TableFactor::Table {
                name,
                alias: None,
                args: None,
                ..
            } => (last_part(name) == wanted).then_some(name),
            TableFactor::NestedJoin {
                table_with_joins,
                alias: None,
            } => table_named(std::slice::from_ref(table_with_joins), wanted),
            _ => None,
        })
    })
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
