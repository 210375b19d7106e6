//! Queries of WITH and views that are read many times.
//!
//! The planner puts the plan of such a query wherever its name stands. A chain in which each reads the one before twice
//! doubles with every step, and planning could neither be stopped nor be held in memory.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{self, Ident, Query, TableFactor, Visit as _, Visitor};

use crate::error::{Error, Result};

/// Tables that a statement may read beyond those that its text names, by queries of WITH that are named again, or by views.
pub const REPEATED_MAX: u64 = 200;

/// Bounds the tables that a statement reads when each name of a query stands for that query.
///
/// # Errors
/// [`Error::Repeated`].
pub fn check(statement: &ast::Statement) -> Result<()> {
    let mut tables = Tables::default();
    let broken = statement.visit(&mut tables).is_break();
    if broken || tables.read.saturating_sub(tables.named) > REPEATED_MAX {
        return Err(Error::Repeated);
    }
    Ok(())
}

/// A query around, and what it reads so far.
#[derive(Default)]
struct Frame {
    /// Names of its WITH, in the order in which they are visited, before anything else of it.
    names: Vec<String>,
    /// What each reads, as far as they were visited.
    reads: BTreeMap<String, u64>,
    visited: usize,
    read: u64,
}

#[derive(Default)]
struct Tables {
    frames: Vec<Frame>,
    /// Tables that the text names.
    named: u64,
    /// Tables that the whole statement reads.
    read: u64,
}

impl Visitor for Tables {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let with = query.with.iter().flat_map(|with| &with.cte_tables);
        self.frames.push(Frame {
            names: with.map(|cte| name_of(&cte.alias.name)).collect(),
            ..Frame::default()
        });
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        let Some(frame) = self.frames.pop() else {
            return ControlFlow::Continue(());
        };
        let Some(around) = self.frames.last_mut() else {
            self.read = self.read.saturating_add(frame.read);
            return ControlFlow::Continue(());
        };
        match around.names.get(around.visited) {
            Some(name) => {
                around.reads.insert(name.clone(), frame.read);
                around.visited += 1;
            }
            None => around.read = around.read.saturating_add(frame.read),
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        let TableFactor::Table { name, .. } = factor else {
            return ControlFlow::Continue(());
        };
        self.named += 1;
        let single = match name.0.as_slice() {
            [part] => part.as_ident().map(name_of),
            _ => None,
        };
        let reads = single.and_then(|name| {
            let mut frames = self.frames.iter().rev();
            frames.find_map(|frame| frame.reads.get(&name).copied())
        });
        let reads = reads.unwrap_or(1);
        if let Some(frame) = self.frames.last_mut() {
            frame.read = frame.read.saturating_add(reads);
        }
        ControlFlow::Continue(())
    }
}

/// A name as the planner compares it.
fn name_of(ident: &Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::check;

    fn checked(sql: &str) -> bool {
        let statements = Parser::parse_sql(&PostgreSqlDialect {}, sql).unwrap();
        statements.iter().all(|statement| check(statement).is_ok())
    }

    /// A chain of queries of which each reads the one before twice.
    fn chain(steps: usize) -> String {
        let mut sql = "WITH a0 AS (SELECT 1 AS x FROM t)".to_owned();
        for step in 1..=steps {
            let of = step - 1;
            sql += &format!(", a{step} AS (SELECT a.x FROM a{of} a JOIN a{of} b ON a.x = b.x)");
        }
        format!("{sql} SELECT count(*) FROM a{steps}")
    }

    #[test]
    fn chains_that_double_are_refused() {
        assert!(checked(&chain(7)));
        assert!(!checked(&chain(8)));
        assert!(!checked(&chain(26)));
        assert!(!checked(&chain(80)));
        // A query inside of another one hides names of the outer one, and adds nothing where it is not read.
        let nested = format!("SELECT 1 FROM ({}) q, ({}) r", chain(7), chain(7));
        assert!(!checked(&nested));
    }

    #[test]
    fn what_the_text_names_is_no_repetition() {
        let union = vec!["SELECT x FROM t"; 1_500].join(" UNION ALL ");
        assert!(checked(&union));
        let with = format!(
            "WITH a AS (SELECT 1 FROM t) {}",
            vec!["SELECT 1 FROM a"; 400].join(" UNION ALL ")
        );
        assert!(checked(&with));
        assert!(checked(
            "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r, r s) SELECT * FROM r"
        ));
    }
}
