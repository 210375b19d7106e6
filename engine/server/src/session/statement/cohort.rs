//! Statements about cohorts, read from tokens.

use datafusion::sql::sqlparser::ast;

use super::cursor::TokenCursor;
use super::temp::{self, Name};
use super::{Statement, query};
use crate::sqlstate::ServerError;

/// A statement about cohorts.
#[derive(Clone, Debug)]
pub enum CohortCommand {
    /// CREATE COHORT name AS query.
    Create {
        /// The new cohort.
        name: Name,
        /// Of the session; else the lake keeps it.
        temporary: bool,
        /// A cohort of that name is replaced.
        or_replace: bool,
        /// One that is there already is left as it is.
        if_not_exists: bool,
        /// Gives the samples.
        query: Box<ast::Statement>,
    },
    /// DROP COHORT names.
    Drop {
        /// Which.
        names: Vec<Name>,
        /// One that is not there is told of and no error.
        if_exists: bool,
        /// Views that read them go as well.
        cascade: bool,
    },
}

/// Reads CREATE and DROP COHORT from the second word on; what is about something else is left unread.
pub(super) fn read(
    word: &str,
    cursor: &mut TokenCursor<'_>,
) -> Result<Option<Statement>, ServerError> {
    let start = cursor.place();
    let command = match word {
        "CREATE" => create(cursor)?,
        "DROP" if cursor.accept("COHORT") => Some(dropped(cursor)?),
        _ => None,
    };
    if command.is_none() {
        cursor.back_to(start);
    }
    Ok(command.map(|command| Statement::Cohort(Box::new(command))))
}

fn create(cursor: &mut TokenCursor<'_>) -> Result<Option<CohortCommand>, ServerError> {
    let or_replace = cursor.accept("OR") && cursor.accept("REPLACE");
    let temporary = cursor.accept("TEMP") || cursor.accept("TEMPORARY");
    if !cursor.accept("COHORT") {
        return Ok(None);
    }
    let if_not_exists = !or_replace && cursor.accept("IF");
    if if_not_exists {
        cursor.expect_word("NOT")?;
        cursor.expect_word("EXISTS")?;
    }
    let name = temp::name(cursor)?;
    cursor.expect_word("AS")?;
    let temporary = temporary || name.schema.as_deref().is_some_and(temp::is_temp_schema);
    Ok(Some(CohortCommand::Create {
        name,
        temporary,
        or_replace,
        if_not_exists,
        query: query(cursor)?,
    }))
}

fn dropped(cursor: &mut TokenCursor<'_>) -> Result<CohortCommand, ServerError> {
    let if_exists = cursor.accept("IF");
    if if_exists {
        cursor.expect_word("EXISTS")?;
    }
    let names = temp::names(cursor)?;
    let cascade = cursor.accept("CASCADE");
    if !cascade {
        cursor.accept("RESTRICT");
    }
    Ok(CohortCommand::Drop {
        names,
        if_exists,
        cascade,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    fn one(sql: &str) -> CohortCommand {
        match super::super::parse(sql).unwrap().remove(0).statement {
            Statement::Cohort(command) => *command,
            other => panic!("{sql}: {other:?}"),
        }
    }

    #[test]
    fn cohorts_are_read_and_tables_left_alone() {
        assert!(matches!(
            one("create or replace cohort Cases as select sample_id from clin.person"),
            CohortCommand::Create { name, temporary: false, or_replace: true, if_not_exists: false, .. }
                if name.name == "cases"
        ));
        assert!(matches!(
            one("create temp cohort if not exists c as values ('S1')"),
            CohortCommand::Create {
                temporary: true,
                if_not_exists: true,
                ..
            }
        ));
        assert!(matches!(
            one("create cohort pg_temp.c as select 'S1'"),
            CohortCommand::Create {
                temporary: true,
                ..
            }
        ));
        assert!(matches!(
            one("drop cohort if exists a, public.b cascade"),
            CohortCommand::Drop { names, if_exists: true, cascade: true } if names.len() == 2
        ));
        let table = super::super::parse("create temp table cohort as select 1").unwrap();
        assert!(matches!(table[0].statement, Statement::Temp(_)));
        for sql in [
            "create cohort",
            "create cohort c",
            "create cohort c as",
            "drop cohort",
        ] {
            assert_eq!(
                super::super::parse(sql).unwrap_err().code(),
                "42601",
                "{sql}"
            );
        }
    }
}
