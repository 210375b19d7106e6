//! CREATE INDEX and DROP INDEX.

use datafusion::sql::sqlparser::ast::{Expr, Spanned as _};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use genokura_sql_ext::dialect::Bounded;

use super::super::cursor::{TokenCursor, near};
use super::{Name, Read, TempCommand, columns, folded, identifiers, name, names, split_top};
use crate::sqlstate::{Place, ServerError, from_parser};

/// CREATE INDEX.
#[derive(Clone, Debug)]
pub struct IndexDef {
    /// Its name; None: one is made.
    pub name: Option<String>,
    /// One that is there already is left as it is.
    pub if_not_exists: bool,
    /// No two rows have one key.
    pub unique: bool,
    /// The table.
    pub table: Name,
    /// As `btree`.
    pub method: Option<String>,
    /// The parts of its key.
    pub keys: Vec<KeyPart>,
    /// Columns that stand beside the key.
    pub include: Vec<String>,
    /// NULLS NOT DISTINCT.
    pub nulls_equal: bool,
    /// The rows that it has; None: all.
    pub condition: Option<Expr>,
}

/// A part of the key of an index.
#[derive(Clone, Debug)]
pub struct KeyPart {
    /// A column or an expression.
    pub expr: Expr,
    /// The class of its operators, where it is named.
    pub class: Option<String>,
    /// DESC, or ASC.
    pub descending: Option<bool>,
    /// NULLS FIRST, or LAST.
    pub nulls_first: Option<bool>,
}

/// CREATE INDEX from the word after CREATE on; None when it is none.
pub(super) fn create(cursor: &mut TokenCursor<'_>) -> Read<Option<TempCommand>> {
    let start = cursor.place();
    let unique = cursor.accept("UNIQUE");
    if !cursor.accept("INDEX") {
        cursor.back_to(start);
        return Ok(None);
    }
    // There is nobody else to go on beside.
    cursor.accept("CONCURRENTLY");
    let if_not_exists = cursor.accept("IF");
    if if_not_exists {
        cursor.expect_word("NOT")?;
        cursor.expect_word("EXISTS")?;
    }
    let named = match cursor.peek_word().as_deref() == Some("ON") {
        true if if_not_exists => return Err(cursor.syntax_error()),
        true => None,
        false => Some(cursor.identifier()?),
    };
    cursor.expect_word("ON")?;
    cursor.accept("ONLY");
    let table = name(cursor)?;
    let method = match cursor.accept("USING") {
        true => Some(cursor.identifier()?),
        false => None,
    };
    let inner = cursor.take_parenthesised()?;
    let keys = split_top(inner).into_iter();
    let keys = keys
        .map(|tokens| part(tokens, cursor))
        .collect::<Read<_>>()?;
    let mut include = Vec::new();
    if cursor.accept("INCLUDE") {
        let names = cursor.take_parenthesised()?;
        include = identifiers(&mut TokenCursor::new(names, cursor.sql()))?;
    }
    let mut nulls_equal = false;
    if cursor.accept("NULLS") {
        nulls_equal = cursor.accept("NOT");
        cursor.expect_word("DISTINCT")?;
    }
    // Storage parameters and places of files are PostgreSQL's own.
    if cursor.accept("WITH") {
        cursor.take_parenthesised()?;
    }
    if cursor.accept("TABLESPACE") {
        cursor.identifier()?;
    }
    let condition = match cursor.accept("WHERE") {
        true => Some(columns::expression(cursor.take_rest(), cursor)?),
        false => None,
    };
    Ok(Some(TempCommand::CreateIndex(Box::new(IndexDef {
        name: named,
        if_not_exists,
        unique,
        table,
        method,
        keys,
        include,
        nulls_equal,
        condition,
    }))))
}

fn part(tokens: &[TokenWithSpan], cursor: &TokenCursor<'_>) -> Read<KeyPart> {
    let sql = cursor.sql();
    let dialect = Bounded::of(sql.len());
    let mut parser = Parser::new(&dialect).with_tokens_with_locations(tokens.to_vec());
    let expr = parser
        .parse_expr()
        .map_err(|error| from_parser(&error, sql))?;
    if let Expr::Subquery(query) = &expr {
        let start = query.span().start;
        let text = "syntax error at or near \"SELECT\"";
        let place = Place::at(start.line, start.column);
        return Err(ServerError::syntax(text, None)
            .place(Some(place))
            .locate(sql));
    }
    let mut part = KeyPart {
        expr: match expr {
            Expr::Collate { expr, .. } => *expr,
            expr => expr,
        },
        class: None,
        descending: None,
        nulls_first: None,
    };
    if parser
        .peek_one_of_keywords(&[Keyword::ASC, Keyword::DESC, Keyword::NULLS])
        .is_none()
        && parser.peek_token().token != Token::EOF
    {
        let class = parser.parse_object_name(false);
        let class = class.map_err(|error| from_parser(&error, sql))?;
        let last = class.0.last().and_then(|part| part.as_ident());
        part.class = last.map(folded);
    }
    if parser.parse_keyword(Keyword::ASC) {
        part.descending = Some(false);
    } else if parser.parse_keyword(Keyword::DESC) {
        part.descending = Some(true);
    }
    if parser.parse_keywords(&[Keyword::NULLS, Keyword::FIRST]) {
        part.nulls_first = Some(true);
    } else if parser.parse_keywords(&[Keyword::NULLS, Keyword::LAST]) {
        part.nulls_first = Some(false);
    }
    let next = parser.peek_token();
    match next.token {
        Token::EOF => Ok(part),
        _ => Err(near(&next, sql)),
    }
}

/// DROP INDEX from the word after INDEX on.
pub(super) fn drop_indexes(cursor: &mut TokenCursor<'_>) -> Read<TempCommand> {
    cursor.accept("CONCURRENTLY");
    let if_exists = cursor.accept("IF");
    if if_exists {
        cursor.expect_word("EXISTS")?;
    }
    let names = names(cursor)?;
    let _ = cursor.accept("CASCADE") || cursor.accept("RESTRICT");
    Ok(TempCommand::DropIndex { names, if_exists })
}
