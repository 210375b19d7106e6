//! Columns and constraints of CREATE TEMP TABLE and ALTER TABLE.

use datafusion::sql::sqlparser::ast::{self, ColumnOption, Expr};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use genokura_sql_ext::dialect::Bounded;

use super::super::cursor::{TokenCursor, near};
use super::super::is_space;
use super::generated::{GeneratedDef, SequenceDef, identity, of_serial};
use super::{Name, Read, folded, identifiers, name, split_top};
use crate::sqlstate::{Place, ServerError, from_parser};

/// A part of the definition of a table.
#[derive(Clone, Debug)]
pub enum Element {
    /// A column.
    Column(Box<ColumnDef>),
    /// A constraint.
    Rule(RuleDef),
    /// LIKE: the columns of another relation, and more of it.
    Like(LikeDef),
}

/// LIKE.
#[derive(Clone, Debug)]
pub struct LikeDef {
    /// The relation.
    pub name: Name,
    /// INCLUDING COMMENTS.
    pub comments: bool,
    /// INCLUDING CONSTRAINTS: those of CHECK.
    pub constraints: bool,
    /// INCLUDING DEFAULTS.
    pub defaults: bool,
    /// INCLUDING IDENTITY.
    pub identity: bool,
    /// INCLUDING INDEXES, with the constraints that are some.
    pub indexes: bool,
}

/// A column.
#[derive(Clone, Debug)]
pub struct ColumnDef {
    /// Its name.
    pub name: String,
    /// Its type as written.
    pub data_type: ast::DataType,
    /// Whether NULL is refused; None: nothing is said.
    pub not_null: Option<bool>,
    /// Value where INSERT or COPY gives none.
    pub default: Option<Expr>,
    /// Its constraints.
    pub rules: Vec<RuleDef>,
    /// It is filled by a sequence.
    pub generated: Option<GeneratedDef>,
    /// What of it contradicts what stands before, and where.
    pub(crate) contradicts: Option<(Contradiction, Option<Place>)>,
}

/// What a definition says in two ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contradiction {
    /// NULL and NOT NULL.
    Null,
    /// Two defaults.
    Default,
    /// A default and an identity.
    Identity,
}

impl ColumnDef {
    /// Refuses what contradicts itself.
    ///
    /// # Errors
    /// 42601.
    pub(crate) fn check(&self, table: &str) -> Read<()> {
        let Some((what, place)) = &self.contradicts else {
            return Ok(());
        };
        let what = match what {
            Contradiction::Null => "conflicting NULL/NOT NULL declarations",
            Contradiction::Default => "multiple default values specified",
            Contradiction::Identity => "both default and identity specified",
        };
        let text = format!("{what} for column \"{}\" of table \"{table}\"", self.name);
        Err(ServerError::syntax(text, None).place(place.clone()))
    }
}

/// A constraint.
#[derive(Clone, Debug)]
pub struct RuleDef {
    /// Its name; None: one is made.
    pub name: Option<String>,
    /// What it asks.
    pub rule: Rule,
    /// Where it stands in the statement.
    pub(crate) place: Option<Place>,
}

/// What a constraint asks of the rows.
#[derive(Clone, Debug)]
pub enum Rule {
    /// PRIMARY KEY.
    Primary(KeyDef),
    /// UNIQUE.
    Unique(KeyDef),
    /// CHECK.
    Check(Box<Expr>),
}

/// The columns of a key.
#[derive(Clone, Debug, Default)]
pub struct KeyDef {
    /// Their names.
    pub columns: Vec<String>,
    /// Columns that stand in the index beside the key.
    pub include: Vec<String>,
    /// NULLS NOT DISTINCT.
    pub nulls_equal: bool,
}

/// The elements in the parentheses of CREATE TABLE.
pub(super) fn elements(tokens: &[TokenWithSpan], sql: &str) -> Read<Vec<Element>> {
    split_top(tokens)
        .into_iter()
        .filter(|tokens| tokens.iter().any(|token| !is_space(&token.token)))
        .map(|tokens| element(tokens, sql))
        .collect()
}

fn element(tokens: &[TokenWithSpan], sql: &str) -> Read<Element> {
    let mut cursor = TokenCursor::new(tokens, sql);
    let word = cursor.peek_word().unwrap_or_default();
    match word.as_str() {
        "CONSTRAINT" | "PRIMARY" | "UNIQUE" | "CHECK" | "FOREIGN" | "EXCLUDE" => {
            Ok(Element::Rule(rule(&mut cursor)?))
        }
        "LIKE" => {
            cursor.next();
            Ok(Element::Like(like(&mut cursor)?))
        }
        _ => Ok(Element::Column(Box::new(column(&mut cursor)?))),
    }
}

fn like(cursor: &mut TokenCursor<'_>) -> Read<LikeDef> {
    let mut like = LikeDef {
        name: name(cursor)?,
        comments: false,
        constraints: false,
        defaults: false,
        identity: false,
        indexes: false,
    };
    while !cursor.at_end() {
        let including = cursor.accept("INCLUDING");
        if !including {
            cursor.expect_word("EXCLUDING")?;
        }
        let word = cursor.peek_word().unwrap_or_default();
        let all = word == "ALL";
        let known = [
            ("COMMENTS", &mut like.comments),
            ("CONSTRAINTS", &mut like.constraints),
            ("DEFAULTS", &mut like.defaults),
            ("IDENTITY", &mut like.identity),
            ("INDEXES", &mut like.indexes),
        ];
        let mut found = all;
        for (name, flag) in known {
            if all || word == name {
                *flag = including;
                found = true;
            }
        }
        // What tables of a session have none of.
        let nothing = ["STORAGE", "STATISTICS", "COMPRESSION", "GENERATED"];
        if !found && !nothing.contains(&word.as_str()) {
            return Err(cursor.syntax_error());
        }
        cursor.next();
    }
    Ok(like)
}

/// A constraint of a table.
pub(super) fn rule(cursor: &mut TokenCursor<'_>) -> Read<RuleDef> {
    let place = cursor.spot();
    let name = match cursor.accept("CONSTRAINT") {
        true => Some(cursor.identifier()?),
        false => None,
    };
    let word = cursor.peek_word().unwrap_or_default();
    let rule = match word.as_str() {
        "CHECK" => {
            cursor.next();
            let inner = cursor.take_parenthesised()?;
            let expr = expression(inner, cursor)?;
            if cursor.accept("NO") {
                cursor.expect_word("INHERIT")?;
            }
            Rule::Check(Box::new(expr))
        }
        "PRIMARY" => {
            cursor.next();
            cursor.expect_word("KEY")?;
            Rule::Primary(key(cursor)?)
        }
        "UNIQUE" => {
            cursor.next();
            let mut nulls_equal = false;
            if cursor.accept("NULLS") {
                nulls_equal = cursor.accept("NOT");
                cursor.expect_word("DISTINCT")?;
            }
            Rule::Unique(KeyDef {
                nulls_equal,
                ..key(cursor)?
            })
        }
        "FOREIGN" | "EXCLUDE" => return Err(unsupported(&word)),
        _ => return Err(cursor.syntax_error()),
    };
    at_once(cursor)?;
    if !cursor.at_end() {
        return Err(cursor.syntax_error());
    }
    Ok(RuleDef { name, rule, place })
}

fn key(cursor: &mut TokenCursor<'_>) -> Read<KeyDef> {
    if cursor.peek_word().as_deref() == Some("USING") {
        return Err(unsupported("USING INDEX"));
    }
    let columns = cursor.take_parenthesised()?;
    let columns = identifiers(&mut TokenCursor::new(columns, cursor.sql()))?;
    let mut include = Vec::new();
    if cursor.accept("INCLUDE") {
        let names = cursor.take_parenthesised()?;
        include = identifiers(&mut TokenCursor::new(names, cursor.sql()))?;
    }
    // Storage parameters are PostgreSQL's own.
    if cursor.accept("WITH") {
        cursor.take_parenthesised()?;
    }
    if cursor.accept("USING") {
        cursor.expect_word("INDEX")?;
        cursor.expect_word("TABLESPACE")?;
        cursor.identifier()?;
    }
    Ok(KeyDef {
        columns,
        include,
        nulls_equal: false,
    })
}

/// When a constraint is looked at: at once.
fn at_once(cursor: &mut TokenCursor<'_>) -> Read<()> {
    loop {
        if cursor.accept("NOT") {
            if cursor.peek_word().as_deref() == Some("VALID") {
                return Err(unsupported("NOT VALID"));
            }
            cursor.expect_word("DEFERRABLE")?;
        } else if cursor.accept("INITIALLY") {
            if cursor.accept("DEFERRED") {
                return Err(unsupported("INITIALLY DEFERRED"));
            }
            cursor.expect_word("IMMEDIATE")?;
        } else if cursor.peek_word().as_deref() == Some("DEFERRABLE") {
            return Err(unsupported("DEFERRABLE"));
        } else {
            return Ok(());
        }
    }
}

pub(super) fn expression(tokens: &[TokenWithSpan], cursor: &TokenCursor<'_>) -> Read<Expr> {
    let sql = cursor.sql();
    let dialect = Bounded::of(sql.len());
    let mut parser = Parser::new(&dialect).with_tokens_with_locations(tokens.to_vec());
    let expr = parser
        .parse_expr()
        .map_err(|error| from_parser(&error, sql))?;
    let next = parser.peek_token();
    match next.token {
        Token::EOF => Ok(expr),
        _ => Err(near(&next, sql)),
    }
}

/// A column with its constraints, to the end of the tokens.
pub(super) fn column(cursor: &mut TokenCursor<'_>) -> Read<ColumnDef> {
    let sql = cursor.sql();
    let dialect = Bounded::of(sql.len());
    let name = cursor.identifier()?;
    let (tokens, said) = identity(cursor.take_rest(), sql)?;
    let mut parser = Parser::new(&dialect).with_tokens_with_locations(tokens);
    let data_type = parser
        .parse_data_type()
        .map_err(|error| from_parser(&error, sql))?;
    let mut column = ColumnDef {
        name,
        data_type,
        not_null: None,
        default: None,
        rules: Vec::new(),
        generated: None,
        contradicts: None,
    };
    if let Some(data_type) = of_serial(&column.data_type) {
        column.data_type = data_type;
        column.not_null = Some(true);
        column.generated = Some(GeneratedDef {
            always: None,
            sequence: SequenceDef::default(),
        });
    }
    loop {
        let mut named = None;
        let start = parser.peek_token().span.start;
        let place = Some(Place::at(start.line, start.column));
        if parser.parse_keyword(Keyword::CONSTRAINT) {
            let name = parser.parse_identifier();
            named = Some(folded(&name.map_err(|error| from_parser(&error, sql))?));
        }
        let option = parser
            .parse_optional_column_option()
            .map_err(|error| from_parser(&error, sql))?;
        let Some(option) = option else {
            if named.is_some() {
                return Err(near(&parser.peek_token(), sql));
            }
            break;
        };
        add_option(&mut column, (named, place), option, &said)?;
    }
    let next = parser.peek_token();
    if next.token != Token::EOF {
        return Err(near(&next, sql));
    }
    Ok(column)
}

fn add_option(
    column: &mut ColumnDef,
    (name, place): (Option<String>, Option<Place>),
    option: ColumnOption,
    sequence: &SequenceDef,
) -> Read<()> {
    let own = KeyDef {
        columns: vec![column.name.clone()],
        ..KeyDef::default()
    };
    match option {
        ColumnOption::Null => said(column, false, place)?,
        ColumnOption::NotNull => said(column, true, place)?,
        ColumnOption::Default(_) if column.default.is_some() || column.generated.is_some() => {
            column
                .contradicts
                .get_or_insert((Contradiction::Default, place));
        }
        ColumnOption::Default(expr) => column.default = Some(expr),
        ColumnOption::Generated {
            generated_as: as_ @ (ast::GeneratedAs::Always | ast::GeneratedAs::ByDefault),
            generation_expr: None,
            ..
        } => {
            if column.default.is_some() || column.generated.is_some() {
                let place = place.clone();
                column
                    .contradicts
                    .get_or_insert((Contradiction::Identity, place));
            }
            said(column, true, place.clone())?;
            column.generated = Some(GeneratedDef {
                always: Some(as_ == ast::GeneratedAs::Always),
                sequence: sequence.clone(),
            });
        }
        ColumnOption::Collation(_) => {}
        ColumnOption::PrimaryKey(key) => {
            are_at_once(key.characteristics.as_ref())?;
            let rule = Rule::Primary(own);
            column.rules.push(RuleDef { name, rule, place });
        }
        ColumnOption::Unique(key) => {
            are_at_once(key.characteristics.as_ref())?;
            let rule = Rule::Unique(KeyDef {
                nulls_equal: key.nulls_distinct == ast::NullsDistinctOption::NotDistinct,
                ..own
            });
            column.rules.push(RuleDef { name, rule, place });
        }
        ColumnOption::Check(check) => {
            let rule = Rule::Check(check.expr);
            column.rules.push(RuleDef { name, rule, place });
        }
        other => return Err(unsupported(&other.to_string())),
    }
    Ok(())
}

/// # Errors
/// 42601 when the opposite was said before.
fn said(column: &mut ColumnDef, not_null: bool, place: Option<Place>) -> Read<()> {
    if column.not_null.is_some_and(|before| before != not_null) {
        column
            .contradicts
            .get_or_insert((Contradiction::Null, place));
    }
    column.not_null = Some(not_null);
    Ok(())
}

fn are_at_once(said: Option<&ast::ConstraintCharacteristics>) -> Read<()> {
    let Some(said) = said else { return Ok(()) };
    let later = said.initially == Some(ast::DeferrableInitial::Deferred);
    if said.deferrable == Some(true) || later {
        return Err(unsupported("DEFERRABLE"));
    }
    Ok(())
}

/// 0A000: a part of a definition that tables of a session do not have.
pub(super) fn unsupported(what: &str) -> ServerError {
    ServerError::unsupported(format!("{what} is not supported in a temporary table"))
}
