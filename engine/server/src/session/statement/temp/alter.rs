//! ALTER TABLE and COMMENT.

use datafusion::sql::sqlparser::ast::{self, Expr};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use genokura_sql_ext::dialect::Bounded;

use super::super::cursor::{TokenCursor, near};
use super::columns::{ColumnDef, RuleDef, column, expression, rule, unsupported};
use super::{Name, Read, TempCommand, name, of_parts, split_top};
use crate::sqlstate::from_parser;

/// What ALTER TABLE does.
#[derive(Clone, Debug)]
pub enum Alteration {
    /// ADD COLUMN.
    AddColumn {
        /// The column.
        column: Box<ColumnDef>,
        /// One of its name is left as it is.
        if_not_exists: bool,
    },
    /// DROP COLUMN.
    DropColumn {
        /// Its name.
        column: String,
        /// One that is not there is told of and no error.
        if_exists: bool,
    },
    /// ALTER COLUMN … TYPE.
    Type {
        /// The column.
        column: String,
        /// The type as written.
        data_type: ast::DataType,
        /// How values of the type are made; None: by assignment.
        using: Option<Box<Expr>>,
    },
    /// SET DEFAULT; None: DROP DEFAULT.
    Default {
        /// The column.
        column: String,
        /// The value.
        value: Option<Box<Expr>>,
    },
    /// SET NOT NULL, or DROP.
    NotNull {
        /// The column.
        column: String,
        /// SET.
        set: bool,
    },
    /// ADD CONSTRAINT.
    AddRule(RuleDef),
    /// DROP CONSTRAINT.
    DropRule {
        /// Its name.
        name: String,
        /// One that is not there is told of and no error.
        if_exists: bool,
    },
    /// RENAME TO.
    Rename(String),
    /// RENAME COLUMN … TO.
    RenameColumn {
        /// Its name.
        column: String,
        /// Its next name.
        to: String,
    },
    /// RENAME CONSTRAINT … TO.
    RenameRule {
        /// Its name.
        name: String,
        /// Its next name.
        to: String,
    },
}

/// What COMMENT is about.
#[derive(Clone, Debug)]
pub enum Commented {
    /// A table, or a view.
    Relation {
        /// Which.
        name: Name,
        /// As `TABLE`.
        kind: &'static str,
    },
    /// A column of either.
    Column {
        /// The relation.
        name: Name,
        /// The column.
        column: String,
    },
    /// An index.
    Index(Name),
    /// A constraint of a table.
    Constraint {
        /// The table.
        table: Name,
        /// The constraint.
        name: String,
    },
}

/// ALTER TABLE from the word after ALTER on; None when it is none.
pub(super) fn alter(cursor: &mut TokenCursor<'_>) -> Read<Option<TempCommand>> {
    if !cursor.accept("TABLE") {
        return Ok(None);
    }
    let if_exists = cursor.accept("IF");
    if if_exists {
        cursor.expect_word("EXISTS")?;
    }
    cursor.accept("ONLY");
    let table = name(cursor)?;
    let first = cursor.peek_word().unwrap_or_default();
    let rest = cursor.take_rest();
    let parts = split_top(rest).into_iter();
    let mut alterations = Vec::new();
    for part in parts {
        let mut inner = TokenCursor::new(part, cursor.sql());
        let alteration = alteration(&mut inner)?;
        if !inner.at_end() {
            return Err(inner.syntax_error());
        }
        alterations.push(alteration);
    }
    if first == "RENAME" && alterations.len() > 1 {
        return Err(cursor.syntax_error());
    }
    Ok(Some(TempCommand::Alter {
        name: table,
        if_exists,
        alterations,
    }))
}

fn alteration(cursor: &mut TokenCursor<'_>) -> Read<Alteration> {
    let Some(word) = cursor.peek_word() else {
        return Err(cursor.syntax_error());
    };
    match word.as_str() {
        "ADD" => {
            cursor.next();
            add(cursor)
        }
        "DROP" => {
            cursor.next();
            let is_rule = cursor.accept("CONSTRAINT");
            if !is_rule {
                cursor.accept("COLUMN");
            }
            let if_exists = cursor.accept("IF");
            if if_exists {
                cursor.expect_word("EXISTS")?;
            }
            let name = cursor.identifier()?;
            let _ = cursor.accept("CASCADE") || cursor.accept("RESTRICT");
            Ok(match is_rule {
                true => Alteration::DropRule { name, if_exists },
                false => Alteration::DropColumn {
                    column: name,
                    if_exists,
                },
            })
        }
        "ALTER" => {
            cursor.next();
            cursor.accept("COLUMN");
            of_column(cursor)
        }
        "RENAME" => {
            cursor.next();
            if cursor.accept("TO") {
                return Ok(Alteration::Rename(cursor.identifier()?));
            }
            let is_rule = cursor.accept("CONSTRAINT");
            if !is_rule {
                cursor.accept("COLUMN");
            }
            let name = cursor.identifier()?;
            cursor.expect_word("TO")?;
            let to = cursor.identifier()?;
            Ok(match is_rule {
                true => Alteration::RenameRule { name, to },
                false => Alteration::RenameColumn { column: name, to },
            })
        }
        "OWNER" | "SET" | "RESET" | "ENABLE" | "DISABLE" | "FORCE" | "NO" | "INHERIT" | "OF"
        | "NOT" | "ATTACH" | "DETACH" | "CLUSTER" | "REPLICA" | "VALIDATE" => {
            Err(unsupported(&format!("ALTER TABLE … {word}")))
        }
        _ => Err(cursor.syntax_error()),
    }
}

fn add(cursor: &mut TokenCursor<'_>) -> Read<Alteration> {
    let start = cursor.place();
    let word = cursor.peek_word().unwrap_or_default();
    if matches!(
        word.as_str(),
        "CONSTRAINT" | "PRIMARY" | "UNIQUE" | "CHECK" | "FOREIGN" | "EXCLUDE"
    ) {
        return rule(cursor).map(Alteration::AddRule);
    }
    cursor.back_to(start);
    cursor.accept("COLUMN");
    let if_not_exists = cursor.accept("IF");
    if if_not_exists {
        cursor.expect_word("NOT")?;
        cursor.expect_word("EXISTS")?;
    }
    Ok(Alteration::AddColumn {
        column: Box::new(column(cursor)?),
        if_not_exists,
    })
}

fn of_column(cursor: &mut TokenCursor<'_>) -> Read<Alteration> {
    let column = cursor.identifier()?;
    if cursor.accept("TYPE") {
        return of_type(column, cursor);
    }
    let set = cursor.accept("SET");
    if !set && !cursor.accept("DROP") {
        return match cursor.peek_word().as_deref() {
            Some(word @ ("ADD" | "RESTART" | "RESET")) => {
                Err(unsupported(&format!("ALTER TABLE … ALTER COLUMN … {word}")))
            }
            _ => Err(cursor.syntax_error()),
        };
    }
    if set && cursor.accept("DATA") {
        cursor.expect_word("TYPE")?;
        return of_type(column, cursor);
    }
    if cursor.accept("DEFAULT") {
        let value = match set {
            true => Some(Box::new(expression(cursor.take_rest(), cursor)?)),
            false => None,
        };
        return Ok(Alteration::Default { column, value });
    }
    if cursor.accept("NOT") {
        cursor.expect_word("NULL")?;
        return Ok(Alteration::NotNull { column, set });
    }
    match cursor.peek_word().as_deref() {
        Some(
            word @ ("STATISTICS" | "STORAGE" | "COMPRESSION" | "GENERATED" | "IDENTITY"
            | "EXPRESSION"),
        ) => Err(unsupported(&format!("ALTER TABLE … ALTER COLUMN … {word}"))),
        _ => Err(cursor.syntax_error()),
    }
}

fn of_type(column: String, cursor: &mut TokenCursor<'_>) -> Read<Alteration> {
    let sql = cursor.sql();
    let dialect = Bounded::of(sql.len());
    let rest: &[TokenWithSpan] = cursor.take_rest();
    let mut parser = Parser::new(&dialect).with_tokens_with_locations(rest.to_vec());
    let data_type = parser
        .parse_data_type()
        .map_err(|error| from_parser(&error, sql))?;
    if parser.parse_keyword(Keyword::COLLATE) {
        parser
            .parse_object_name(false)
            .map_err(|error| from_parser(&error, sql))?;
    }
    let mut using = None;
    if parser.parse_keyword(Keyword::USING) {
        let expr = parser.parse_expr();
        using = Some(Box::new(expr.map_err(|error| from_parser(&error, sql))?));
    }
    let next = parser.peek_token();
    match next.token {
        Token::EOF => Ok(Alteration::Type {
            column,
            data_type,
            using,
        }),
        _ => Err(near(&next, sql)),
    }
}

/// COMMENT from the word after it on; None for what is not about relations.
pub(super) fn comment(cursor: &mut TokenCursor<'_>) -> Read<Option<TempCommand>> {
    cursor.expect_word("ON")?;
    let word = cursor.peek_word().unwrap_or_default();
    cursor.next();
    let on = match word.as_str() {
        "TABLE" => Commented::Relation {
            name: name(cursor)?,
            kind: "TABLE",
        },
        "VIEW" => Commented::Relation {
            name: name(cursor)?,
            kind: "VIEW",
        },
        "INDEX" => Commented::Index(name(cursor)?),
        "COLUMN" => {
            let mut parts = vec![cursor.identifier()?];
            while cursor.accept_token(&Token::Period) {
                parts.push(cursor.identifier()?);
            }
            let column = parts.pop().unwrap_or_default();
            if parts.is_empty() {
                return Err(crate::sqlstate::ServerError::syntax(
                    "column name must be qualified",
                    None,
                ));
            }
            Commented::Column {
                name: of_parts(parts)?,
                column,
            }
        }
        "CONSTRAINT" => {
            let named = cursor.identifier()?;
            cursor.expect_word("ON")?;
            Commented::Constraint {
                table: name(cursor)?,
                name: named,
            }
        }
        _ => return Ok(None),
    };
    cursor.expect_word("IS")?;
    let text = match cursor.accept("NULL") {
        true => None,
        false => Some(cursor.string()?),
    };
    Ok(Some(TempCommand::Comment { on, text }))
}
