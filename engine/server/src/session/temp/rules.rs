//! What a temporary table asks of its rows, and its indexes.
//!
//! ```text
//! Rules ─► Check { name, condition }              asked of new rows, by a query over them
//!      └─► Index { name, keys, kind, set }        a unique one knows the keys of all rows (keys.rs)
//! ```
//! Columns are named by their places in the table. A rule is shared by the states of a table that have it.

use std::ops::ControlFlow;

use arrow::datatypes::Schema;
use datafusion::sql::sqlparser::ast::{self, Expr};

use super::keys::SharedKeys;
use crate::pg_types::PgType;
use crate::session::rewrite::folded;
use crate::session::statement;
use crate::sqlstate::ServerError;

/// Bytes of the longest name.
const NAME_MAX: usize = 63;

/// What a table asks of its rows, and its indexes.
#[derive(Clone, Debug, Default)]
pub(super) struct Rules {
    /// In the order of their names, in which they are asked.
    pub(super) checks: Vec<Check>,
    /// In the order in which they are asked: the primary key first, of those that the table was made with.
    pub(super) indexes: Vec<Index>,
}

/// A CHECK.
#[derive(Clone, Debug)]
pub(super) struct Check {
    pub(super) name: String,
    /// Not false of any row. Nothing of it has a place in a statement.
    pub(super) condition: Expr,
}

/// An index.
#[derive(Clone, Debug)]
pub(super) struct Index {
    pub(super) name: String,
    pub(super) kind: IndexKind,
    /// As `btree`.
    pub(super) method: String,
    pub(super) keys: Vec<IndexKey>,
    /// Columns that stand beside the key.
    pub(super) include: Vec<usize>,
    /// NULLS NOT DISTINCT.
    pub(super) nulls_equal: bool,
    /// The rows that it has; None: all.
    pub(super) condition: Option<Expr>,
    /// The keys of the rows, of a unique index.
    pub(super) set: SharedKeys,
}

/// What an index is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IndexKind {
    /// CREATE INDEX.
    Plain,
    /// CREATE UNIQUE INDEX.
    Unique,
    /// UNIQUE.
    UniqueConstraint,
    /// PRIMARY KEY.
    Primary,
}

/// A part of a key.
#[derive(Clone, Debug)]
pub(super) struct IndexKey {
    pub(super) part: Part,
    pub(super) descending: bool,
    pub(super) nulls_first: bool,
    /// An operator class other than the default.
    pub(super) class: Option<String>,
    /// OID of its operator class.
    pub(super) class_oid: u32,
    pub(super) pg_type: PgType,
}

/// What a part of a key is of.
#[derive(Clone, Debug)]
pub(super) enum Part {
    Column(usize),
    Expression(Box<Expr>),
}

impl IndexKey {
    /// A column in the usual order.
    pub(super) fn column(at: usize, class_oid: u32, pg_type: PgType) -> IndexKey {
        IndexKey {
            part: Part::Column(at),
            descending: false,
            nulls_first: false,
            class: None,
            class_oid,
            pg_type,
        }
    }
}

impl Index {
    pub(super) fn is_unique(&self) -> bool {
        self.kind != IndexKind::Plain
    }

    pub(super) fn is_constraint(&self) -> bool {
        matches!(self.kind, IndexKind::UniqueConstraint | IndexKind::Primary)
    }

    /// The columns of its key.
    pub(super) fn columns(&self) -> Vec<usize> {
        let keys = self.keys.iter();
        keys.filter_map(|key| match key.part {
            Part::Column(at) => Some(at),
            Part::Expression(_) => None,
        })
        .collect()
    }

    /// The same of a table that has so many columns before.
    pub(super) fn shifted(&self, columns: usize) -> Index {
        let mut shifted = self.anew();
        for key in &mut shifted.keys {
            if let Part::Column(at) = &mut key.part {
                *at += columns;
            }
        }
        for at in &mut shifted.include {
            *at += columns;
        }
        shifted
    }

    /// The same of a table whose rows are others.
    fn anew(&self) -> Index {
        Index {
            set: SharedKeys::default(),
            ..self.clone()
        }
    }
}

impl Rules {
    /// The same of a table whose rows are others.
    pub(super) fn anew(&self) -> Rules {
        Rules {
            checks: self.checks.clone(),
            indexes: self.indexes.iter().map(Index::anew).collect(),
        }
    }

    /// The unique indexes, as they are asked.
    pub(super) fn unique(&self) -> impl Iterator<Item = &Index> {
        self.indexes.iter().filter(|index| index.is_unique())
    }

    pub(super) fn primary(&self) -> Option<&Index> {
        let mut indexes = self.indexes.iter();
        indexes.find(|index| index.kind == IndexKind::Primary)
    }

    /// Whether a constraint has this name.
    pub(super) fn has_constraint(&self, name: &str) -> bool {
        let indexes = self.indexes.iter().filter(|index| index.is_constraint());
        self.checks.iter().any(|check| check.name == name)
            || indexes.into_iter().any(|index| index.name == name)
    }

    /// Adds a CHECK where its name puts it.
    pub(super) fn add_check(&mut self, check: Check) {
        let at = self.checks.partition_point(|known| known.name < check.name);
        self.checks.insert(at, check);
    }
}

/// A name of a table or column, what stands beside it, and what it is of, no longer than names are: the parts are cut,
/// the longest first.
pub(super) fn made_name(first: &str, second: Option<&str>, label: &str) -> String {
    let overhead = label.len() + 1 + usize::from(second.is_some());
    let room = NAME_MAX.saturating_sub(overhead);
    let mut first = first;
    let mut second = second.unwrap_or_default();
    let shorter =
        |text: &'_ str| -> usize { text.char_indices().next_back().map_or(0, |(at, _)| at) };
    let with_second = !second.is_empty();
    while first.len() + second.len() > room {
        if first.len() > second.len() {
            first = first.get(..shorter(first)).unwrap_or_default();
        } else {
            second = second.get(..shorter(second)).unwrap_or_default();
        }
    }
    match with_second {
        true => format!("{first}_{second}_{label}"),
        false => format!("{first}_{label}"),
    }
}

/// The name that PostgreSQL would choose, with a number where others have it.
pub(super) fn chosen_name(
    first: &str,
    second: Option<&str>,
    label: &str,
    taken: impl Fn(&str) -> bool,
) -> String {
    let mut number = 0_usize;
    loop {
        let numbered = match number {
            0 => label.to_owned(),
            number => format!("{label}{number}"),
        };
        let name = made_name(first, second, &numbered);
        if !taken(&name) {
            return name;
        }
        number += 1;
    }
}

/// The columns that an expression names, by their places, in the order in which it names them.
pub(super) fn columns_of(expr: &Expr, schema: &Schema) -> Vec<usize> {
    let mut found = Vec::new();
    let _: ControlFlow<()> = ast::visit_expressions(expr, |part| {
        let name = match part {
            Expr::Identifier(name) => Some(name),
            Expr::CompoundIdentifier(names) => names.last(),
            _ => None,
        };
        if let Some(at) = name.and_then(|name| schema.index_of(&folded(name)).ok())
            && !found.contains(&at)
        {
            found.push(at);
        }
        ControlFlow::Continue(())
    });
    found
}

/// The same expression, of no statement: nothing of it has a place.
///
/// # Errors
/// 42601 for what cannot be written and read again.
pub(super) fn placeless(expr: &Expr) -> Result<Expr, ServerError> {
    let query = statement::query_text(&format!("SELECT {expr}"))?;
    if let ast::Statement::Query(query) = *query
        && let ast::SetExpr::Select(select) = *query.body
        && let Some(ast::SelectItem::UnnamedExpr(expr)) = select.projection.into_iter().next()
    {
        return Ok(expr);
    }
    Err(ServerError::internal(
        "an expression that is none when it is read again",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_to_what_fits() {
        assert_eq!(made_name("t", Some("a"), "key"), "t_a_key");
        assert_eq!(made_name("t", None, "pkey"), "t_pkey");
        let long = "x".repeat(60);
        assert_eq!(made_name(&long, Some("column"), "idx").len(), NAME_MAX);
        let taken = |name: &str| name == "t_a_key";
        assert_eq!(chosen_name("t", Some("a"), "key", taken), "t_a_key1");
    }
}
