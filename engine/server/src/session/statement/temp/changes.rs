//! INSERT, DELETE and UPDATE of the session's own tables, with the parts of them that PostgreSQL has.

use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{self, ObjectName, TableFactor, TableObject};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use genokura_sql_ext::dialect::Bounded;

use super::super::cursor::{TokenCursor, near};
use super::super::{
    grouping_items, is_space, named_stars, no_columns, read_only, records, values, writes,
};
use super::sets::{sets, whole_columns};
use super::{Read, TempCommand, folded, name, name_of};
use crate::sqlstate::{Place, ServerError, from_parser};

/// What is done with values for identity columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overriding {
    /// They are taken.
    System,
    /// They are left out.
    User,
}

/// ON CONFLICT.
#[derive(Clone, Debug)]
pub struct Conflict {
    /// Which unique indexes are asked; None: all.
    pub target: Option<Arbiter>,
    /// DO UPDATE; None: DO NOTHING.
    pub update: Option<OnUpdate>,
    /// Where the target stands in the statement.
    pub(crate) place: Option<Place>,
}

/// The unique indexes that ON CONFLICT asks.
#[derive(Clone, Debug)]
pub enum Arbiter {
    /// Those of these columns.
    Columns(Vec<String>),
    /// That of a constraint.
    Constraint(String),
}

/// DO UPDATE.
#[derive(Clone, Debug)]
pub struct OnUpdate {
    /// Columns and what they are set to.
    pub set: Vec<(String, ast::Expr)>,
    /// Which of the rows that are there; None: all.
    pub condition: Option<ast::Expr>,
}

/// What the parser makes of all that is left of a statement whose first word is taken.
fn parsed(
    cursor: &mut TokenCursor<'_>,
    queries: impl FnOnce(Vec<TokenWithSpan>) -> Vec<TokenWithSpan>,
    read: impl FnOnce(&mut Parser<'_>, TokenWithSpan) -> Result<ast::Statement, ParserError>,
) -> Read<ast::Statement> {
    let sql = cursor.sql();
    let dialect = Bounded::of(sql.len());
    let tokens = grouping_items::wrapped(grouping_items::flat(named_stars(cursor.take_rest())));
    let tokens = queries(no_columns::with_source(tokens));
    let mut parser = Parser::new(&dialect).with_tokens_with_locations(tokens);
    let mut statement =
        read(&mut parser, AttachedToken::empty().0).map_err(|error| from_parser(&error, sql))?;
    values::selected(&mut statement);
    records::selected(&mut statement).map_err(|error| error.locate(sql))?;
    let next = parser.peek_token();
    match next.token {
        Token::EOF => Ok(statement),
        _ => Err(near(&next, sql)),
    }
}

pub(super) fn insert(cursor: &mut TokenCursor<'_>) -> Read<TempCommand> {
    let start = cursor.place();
    cursor.expect_word("INTO")?;
    name(cursor)?;
    cursor.back_to(start);
    let (tokens, overriding) = overriding(cursor)?;
    let mut rest = TokenCursor::new(&tokens, cursor.sql());
    let statement = parsed(&mut rest, values::tables_of_insert, |parser, first| {
        parser.parse_insert(first)
    })?;
    let ast::Statement::Insert(mut insert) = statement else {
        return Err(ServerError::syntax("INSERT takes VALUES or a query", None));
    };
    is_plain(&insert)?;
    let places = on_conflict(&tokens);
    let conflict = insert
        .on
        .take()
        .map(|on| conflict(on, places, cursor.sql()));
    let conflict = conflict.transpose()?;
    let TableObject::TableName(object) = &insert.table else {
        return Err(ServerError::syntax("INSERT takes VALUES or a query", None));
    };
    let source = insert.source.take();
    if source.as_ref().is_some_and(|source| writes(source)) {
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
        source,
        overriding,
        conflict: conflict.map(Box::new),
        alias: insert.table_alias.map(|alias| folded(&alias.alias)),
        with: None,
        returning: insert.returning,
    })
}

/// The rest of an INSERT without OVERRIDING … VALUE, which the parser does not know, and what that says.
fn overriding(cursor: &mut TokenCursor<'_>) -> Read<(Vec<TokenWithSpan>, Option<Overriding>)> {
    let rest = cursor.take_rest();
    let places = rest.iter().enumerate();
    let places = places.filter(|(_, token)| !is_space(&token.token));
    let places: Vec<usize> = places.map(|(at, _)| at).collect();
    let word = |place: usize, words: &[&str]| {
        let at = places.get(place).copied();
        let token = at.and_then(|at| rest.get(at));
        token.is_some_and(|token| super::super::is_word(&token.token, words))
    };
    let mut depth = 0_usize;
    for (place, at) in places.iter().enumerate() {
        match rest.get(*at).map(|token| &token.token) {
            Some(Token::LParen) => depth += 1,
            Some(Token::RParen) => depth = depth.saturating_sub(1),
            _ => {}
        }
        let says = depth == 0
            && word(place, &["OVERRIDING"])
            && word(place + 1, &["SYSTEM", "USER"])
            && word(place + 2, &["VALUE"]);
        if says {
            let last = places.get(place + 2).copied().unwrap_or(*at);
            let kind = match word(place + 1, &["SYSTEM"]) {
                true => Overriding::System,
                false => Overriding::User,
            };
            let mut kept = rest.get(..*at).unwrap_or_default().to_vec();
            kept.extend_from_slice(rest.get(last + 1..).unwrap_or_default());
            return Ok((kept, Some(kind)));
        }
    }
    Ok((rest.to_vec(), None))
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
    let unsupported = || ServerError::unsupported("DELETE FROM takes one table");
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
    let plain = tables.is_empty() && output.is_none() && order_by.is_empty() && limit.is_none();
    let (ast::FromTable::WithFromKeyword(from) | ast::FromTable::WithoutKeyword(from)) = from;
    let ([table], true) = (from.as_slice(), plain) else {
        return Err(unsupported());
    };
    let (name, alias) = bare_table(table).ok_or_else(unsupported)?;
    Ok(TempCommand::Delete {
        name: name_of(name)?,
        alias: alias.map(|alias| folded(&alias.name)),
        with: None,
        beside: using.unwrap_or_default(),
        condition: selection.map(Box::new),
        returning,
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
    no_bounds(cursor)?;
    whole_columns(cursor)?;
    let statement = parsed(cursor, values::tables, |parser, first| {
        parser.parse_update(first)
    })?;
    let unsupported = || ServerError::unsupported("UPDATE takes one table");
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
    let beside = match from {
        None => Vec::new(),
        Some(ast::UpdateTableFromKind::AfterSet(from)) => from,
        Some(ast::UpdateTableFromKind::BeforeSet(_)) => return Err(unsupported()),
    };
    let plain = output.is_none() && or.is_none() && order_by.is_empty() && limit.is_none();
    let table = bare_table(&table).filter(|_| plain);
    let (name, alias) = table.ok_or_else(unsupported)?;
    let set = sets(assignments)?;
    Ok(TempCommand::Update {
        name: name_of(name)?,
        alias: alias.map(|alias| folded(&alias.name)),
        with: None,
        set,
        beside,
        condition: selection.map(Box::new),
        returning,
    })
}

/// Where ON CONFLICT stands, and what follows it.
fn on_conflict(tokens: &[TokenWithSpan]) -> Option<(Place, Place)> {
    let said = tokens.iter().filter(|token| !is_space(&token.token));
    let said: Vec<&TokenWithSpan> = said.collect();
    let words = |pair: &&[&TokenWithSpan]| {
        let [on, conflict, _] = pair else {
            return false;
        };
        super::super::is_word(&on.token, &["ON"])
            && super::super::is_word(&conflict.token, &["CONFLICT"])
    };
    let found = said.windows(3).rfind(words)?;
    let place = |at: usize| {
        let start = found.get(at)?.span.start;
        Some(Place::at(start.line, start.column))
    };
    Some((place(0)?, place(2)?))
}

/// What INSERT does where a row is there already.
fn conflict(on: ast::OnInsert, places: Option<(Place, Place)>, sql: &str) -> Read<Conflict> {
    let (start, target_place) = places.map_or((None, None), |(a, b)| (Some(a), Some(b)));
    let ast::OnInsert::OnConflict(on) = on else {
        return Err(ServerError::syntax(
            "syntax error at or near \"DUPLICATE\"",
            None,
        ));
    };
    let target = match on.conflict_target {
        None => None,
        Some(ast::ConflictTarget::Columns(columns)) => {
            Some(Arbiter::Columns(columns.iter().map(folded).collect()))
        }
        Some(ast::ConflictTarget::OnConstraint(name)) => {
            Some(Arbiter::Constraint(name_of(&name)?.name))
        }
    };
    let update = match on.action {
        ast::OnConflictAction::DoNothing => None,
        ast::OnConflictAction::DoUpdate(update) => Some(OnUpdate {
            set: sets(update.assignments)?,
            condition: update.selection,
        }),
    };
    if target.is_none() && update.is_some() {
        let text = "ON CONFLICT DO UPDATE requires inference specification or constraint name";
        return Err(ServerError::syntax(text, None)
            .place(start)
            .locate(sql)
            .hint("For example, ON CONFLICT (column_name)."));
    }
    Ok(Conflict {
        target,
        update,
        place: target_place,
    })
}
