//! INSERT, DELETE and UPDATE of the session's own tables, with the parts of them that PostgreSQL has.

use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{self, ObjectName, TableFactor, TableObject};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use genokura_sql_ext::dialect::Bounded;

use super::super::cursor::{TokenCursor, near};
use super::super::{is_space, read_only, values, writes};
use super::{Read, TempCommand, folded, name, name_of};
use crate::sqlstate::{ServerError, from_parser};

/// What the parser makes of all that is left of a statement whose first word is taken.
fn parsed(
    cursor: &mut TokenCursor<'_>,
    queries: impl FnOnce(Vec<TokenWithSpan>) -> Vec<TokenWithSpan>,
    read: impl FnOnce(&mut Parser<'_>, TokenWithSpan) -> Result<ast::Statement, ParserError>,
) -> Read<ast::Statement> {
    let sql = cursor.sql();
    let dialect = Bounded::of(sql.len());
    let tokens = queries(cursor.take_rest().to_vec());
    let mut parser = Parser::new(&dialect).with_tokens_with_locations(tokens);
    let mut statement =
        read(&mut parser, AttachedToken::empty().0).map_err(|error| from_parser(&error, sql))?;
    values::selected(&mut statement);
    let next = parser.peek_token();
    match next.token {
        Token::EOF => Ok(statement),
        _ => Err(near(&next, sql)),
    }
}

pub(super) fn insert(cursor: &mut TokenCursor<'_>) -> Read<TempCommand> {
    let start = cursor.place();
    cursor.expect_word("INTO")?;
    let target = name(cursor)?;
    if cursor.peek_word().as_deref() == Some("DEFAULT") {
        cursor.next();
        cursor.expect_word("VALUES")?;
        return Ok(TempCommand::Insert {
            name: target,
            columns: Vec::new(),
            source: None,
        });
    }
    cursor.back_to(start);
    let statement = parsed(cursor, values::tables_of_insert, |parser, first| {
        parser.parse_insert(first)
    })?;
    let ast::Statement::Insert(mut insert) = statement else {
        return Err(ServerError::syntax("INSERT takes VALUES or a query", None));
    };
    is_plain(&insert)?;
    if insert.on.is_some() {
        return Err(ServerError::unsupported(
            "INSERT … ON CONFLICT is not supported: temporary tables have no unique keys",
        ));
    }
    if insert.returning.is_some() {
        return Err(ServerError::unsupported(
            "INSERT … RETURNING is not supported",
        ));
    }
    let (TableObject::TableName(object), Some(source)) = (&insert.table, insert.source.take())
    else {
        return Err(ServerError::syntax("INSERT takes VALUES or a query", None));
    };
    if writes(&source) {
        return Err(read_only("a data-modifying statement"));
    }
    let columns = insert
        .columns
        .iter()
        .map(|column| match column.0.as_slice() {
            [part] => part
                .as_ident()
                .map(folded)
                .ok_or_else(|| ServerError::syntax("INSERT takes names of columns", None)),
            _ => Err(ServerError::unsupported(
                "INSERT into parts of a column is not supported",
            )),
        });
    Ok(TempCommand::Insert {
        name: name_of(object)?,
        columns: columns.collect::<Read<_>>()?,
        source: Some(source),
    })
}

/// Refuses the words of other databases in an INSERT.
fn is_plain(insert: &ast::Insert) -> Read<()> {
    // Every part is named, so that none that the parser knows is left out in silence.
    let ast::Insert {
        insert_token: _,
        optimizer_hints: _,
        or,
        ignore,
        into: _,
        table: _,
        table_alias: _,
        columns: _,
        overwrite,
        source: _,
        assignments,
        partitioned,
        after_columns,
        has_table_keyword,
        on: _,
        returning: _,
        output,
        replace_into,
        priority,
        insert_alias,
        settings,
        format_clause,
        multi_table_insert_type,
        multi_table_into_clauses,
        multi_table_when_clauses,
        multi_table_else_clause,
    } = insert;
    let plain = or.is_none()
        && !ignore
        && !overwrite
        && assignments.is_empty()
        && partitioned.is_none()
        && after_columns.is_empty()
        && !has_table_keyword
        && output.is_none()
        && !replace_into
        && priority.is_none()
        && insert_alias.is_none()
        && settings.is_none()
        && format_clause.is_none()
        && multi_table_insert_type.is_none()
        && multi_table_into_clauses.is_empty()
        && multi_table_when_clauses.is_empty()
        && multi_table_else_clause.is_none();
    match plain {
        true => Ok(()),
        false => Err(ServerError::syntax(
            "INSERT takes a table, columns, and VALUES or a query",
            None,
        )),
    }
}

pub(super) fn delete(cursor: &mut TokenCursor<'_>) -> Read<TempCommand> {
    no_bounds(cursor)?;
    let statement = parsed(cursor, values::tables, |parser, first| {
        parser.parse_delete(first)
    })?;
    let unsupported = || ServerError::unsupported("DELETE takes one table and a condition");
    let ast::Statement::Delete(delete) = statement else {
        return Err(unsupported());
    };
    // Every part is named, so that none that the parser knows is left out in silence.
    let ast::Delete {
        delete_token: _,
        optimizer_hints: _,
        tables,
        from,
        using,
        selection,
        returning,
        output,
        order_by,
        limit,
    } = delete;
    let plain = tables.is_empty()
        && using.is_none()
        && returning.is_none()
        && output.is_none()
        && order_by.is_empty()
        && limit.is_none();
    let (ast::FromTable::WithFromKeyword(from) | ast::FromTable::WithoutKeyword(from)) = from;
    let ([table], true) = (from.as_slice(), plain) else {
        return Err(unsupported());
    };
    let (name, alias) = bare_table(table).ok_or_else(unsupported)?;
    Ok(TempCommand::Delete {
        name: name_of(name)?,
        alias: alias.map(|alias| folded(&alias.name)),
        condition: selection.map(Box::new),
    })
}

/// ORDER BY and LIMIT, which other databases have in DELETE and UPDATE, are no words of PostgreSQL's; the row that a
/// cursor is at is one that only PostgreSQL knows.
fn no_bounds(cursor: &mut TokenCursor<'_>) -> Read<()> {
    let start = cursor.place();
    let mut depth = 0_usize;
    let tokens = cursor.take_rest();
    let words = [Keyword::WHERE, Keyword::CURRENT, Keyword::OF];
    let is_word = |token: &TokenWithSpan, keyword: &Keyword| {
        matches!(&token.token, Token::Word(word)
            if word.quote_style.is_none() && word.keyword == *keyword)
    };
    let said = tokens.iter().filter(|token| !is_space(&token.token));
    let said: Vec<&TokenWithSpan> = said.collect();
    let are_words = |three: &[&TokenWithSpan]| three.iter().zip(&words).all(|(t, w)| is_word(t, w));
    if said.windows(words.len()).any(are_words) {
        let text = "WHERE CURRENT OF is not supported: tables here have no places for rows";
        return Err(ServerError::unsupported(text).hint("Name the rows by a condition."));
    }
    for token in tokens {
        match &token.token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            Token::Word(word)
                if depth == 0
                    && word.quote_style.is_none()
                    && matches!(word.keyword, Keyword::ORDER | Keyword::LIMIT) =>
            {
                return Err(near(token, cursor.sql()));
            }
            _ => {}
        }
    }
    cursor.back_to(start);
    Ok(())
}

/// A table that is named, maybe with an alias, and nothing else.
fn bare_table(table: &ast::TableWithJoins) -> Option<(&ObjectName, Option<&ast::TableAlias>)> {
    let ast::TableWithJoins { relation, joins } = table;
    let TableFactor::Table {
        name,
        alias,
        args: None,
        with_hints,
        version: None,
        with_ordinality: false,
        partitions,
        json_path: None,
        sample: None,
        index_hints,
    } = relation
    else {
        return None;
    };
    let bare = joins.is_empty()
        && with_hints.is_empty()
        && partitions.is_empty()
        && index_hints.is_empty();
    let alias = alias.as_ref();
    let plain = alias.is_none_or(|alias| alias.columns.is_empty() && alias.at.is_none());
    (bare && plain).then_some((name, alias))
}

pub(super) fn update(cursor: &mut TokenCursor<'_>) -> Read<TempCommand> {
    cursor.accept("ONLY");
    no_bounds(cursor)?;
    let statement = parsed(cursor, values::tables, |parser, first| {
        parser.parse_update(first)
    })?;
    let unsupported =
        || ServerError::unsupported("UPDATE takes one table, SET of columns and a condition");
    let ast::Statement::Update(update) = statement else {
        return Err(unsupported());
    };
    let ast::Update {
        update_token: _,
        optimizer_hints: _,
        table,
        assignments,
        from,
        selection,
        returning,
        output,
        or,
        order_by,
        limit,
    } = update;
    let plain = from.is_none()
        && returning.is_none()
        && output.is_none()
        && or.is_none()
        && order_by.is_empty()
        && limit.is_none();
    let table = bare_table(&table).filter(|_| plain);
    let (name, alias) = table.ok_or_else(unsupported)?;
    let mut set = Vec::new();
    for assignment in assignments {
        match assignment.target {
            ast::AssignmentTarget::ColumnName(column) => {
                set.push((assigned(&column)?, assignment.value));
            }
            ast::AssignmentTarget::Tuple(columns) => {
                let values = match assignment.value {
                    ast::Expr::Tuple(values) => values,
                    ast::Expr::Nested(value) => vec![*value],
                    _ => return Err(unsupported().hint("Set the columns one by one.")),
                };
                if columns.len() != values.len() {
                    let text = "number of columns does not match number of values";
                    return Err(ServerError::syntax(text, None));
                }
                let names = columns.iter().map(assigned).collect::<Read<Vec<_>>>()?;
                set.extend(names.into_iter().zip(values));
            }
        }
    }
    Ok(TempCommand::Update {
        name: name_of(name)?,
        alias: alias.map(|alias| folded(&alias.name)),
        set,
        condition: selection.map(Box::new),
    })
}

/// The column that is set.
fn assigned(column: &ObjectName) -> Read<String> {
    match column.0.as_slice() {
        [part] => part
            .as_ident()
            .map(folded)
            .ok_or_else(|| ServerError::syntax("UPDATE sets columns", None)),
        _ => Err(
            ServerError::unsupported("UPDATE of parts of a column is not supported")
                .hint("The columns after SET have no table name before them."),
        ),
    }
}
