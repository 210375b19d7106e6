//! PostgreSQL's dialect with a bound on the work of the parser, and what it reads otherwise than PostgreSQL mended.
//!
//! The parser tries one reading and then another wherever it cannot tell by the next word, and each reading of what
//! stands in parentheses tries the readings inside of it: `position(position(…` of some twenty levels would take hours,
//! on a thread that nothing can stop. No statement that somebody means is read more than a few times over.

use std::any::TypeId;
use std::cell::Cell;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, visit_expressions};
use datafusion::sql::sqlparser::dialect::{Dialect, PostgreSqlDialect, Precedence};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token;

/// How often each token may be read as the beginning of an expression, all readings together.
const READINGS_MAX: usize = 30;
/// The same of a short statement.
const READINGS_OF_FEW: usize = 10_000;

/// Words that no expression begins with: PostgreSQL has them for columns only in quotes.
const RESERVED: &[Keyword] = &[
    Keyword::AND,
    Keyword::AS,
    Keyword::ASC,
    Keyword::CHECK,
    Keyword::COLUMN,
    Keyword::CONSTRAINT,
    Keyword::CREATE,
    Keyword::DESC,
    Keyword::DISTINCT,
    Keyword::DO,
    Keyword::ELSE,
    Keyword::END,
    Keyword::EXCEPT,
    Keyword::FETCH,
    Keyword::FOR,
    Keyword::FOREIGN,
    Keyword::FROM,
    Keyword::GRANT,
    Keyword::GROUP,
    Keyword::HAVING,
    Keyword::IN,
    Keyword::INTERSECT,
    Keyword::INTO,
    Keyword::LIMIT,
    Keyword::OFFSET,
    Keyword::ON,
    Keyword::ONLY,
    Keyword::OR,
    Keyword::ORDER,
    Keyword::PRIMARY,
    Keyword::REFERENCES,
    Keyword::RETURNING,
    Keyword::SELECT,
    Keyword::THEN,
    Keyword::TO,
    Keyword::UNION,
    Keyword::UNIQUE,
    Keyword::USING,
    Keyword::WHEN,
    Keyword::WHERE,
    Keyword::WINDOW,
    Keyword::WITH,
];

/// Words whose own reading says what is wrong: to read them as a column would tell of a later word.
const OWN_READING: &[Keyword] = &[Keyword::CASE, Keyword::CAST, Keyword::NOT];

/// A dialect for one statement.
#[derive(Debug)]
pub struct Bounded {
    base: PostgreSqlDialect,
    left: Cell<usize>,
}

impl Bounded {
    /// For a statement of so many tokens, or bytes.
    pub fn of(length: usize) -> Self {
        let readings = length.saturating_mul(READINGS_MAX);
        Self {
            base: PostgreSqlDialect {},
            left: Cell::new(readings.saturating_add(READINGS_OF_FEW)),
        }
    }
}

impl Bounded {
    fn between_symmetric(
        &self,
        parser: &mut Parser<'_>,
        expr: &Expr,
    ) -> Option<Result<Expr, ParserError>> {
        let plain = [Keyword::BETWEEN, Keyword::SYMMETRIC];
        let not = [Keyword::NOT, Keyword::BETWEEN, Keyword::SYMMETRIC];
        let negated = match (parser.parse_keywords(&plain), parser.parse_keywords(&not)) {
            (true, _) => false,
            (_, true) => true,
            _ => return None,
        };
        let mut ends = || {
            let low = parser.parse_subexpr(self.prec_value(Precedence::Between))?;
            parser.expect_keyword_is(Keyword::AND)?;
            let high = parser.parse_subexpr(self.prec_value(Precedence::Between))?;
            Ok((Box::new(low), Box::new(high)))
        };
        let ends = ends().and_then(|(low, high)| {
            // Each is written twice, and again where it stands in another one.
            let all = [expr, &low, &high].into_iter().map(parts);
            match all.sum::<usize>() <= SYMMETRIC_PARTS_MAX {
                true => Ok((low, high)),
                false => Err(ParserError::RecursionLimitExceeded),
            }
        });
        Some(ends.map(|(low, high)| {
            let between = |low, high| Expr::Between {
                expr: Box::new(expr.clone()),
                negated,
                low,
                high,
            };
            let op = match negated {
                true => BinaryOperator::And,
                false => BinaryOperator::Or,
            };
            Expr::Nested(Box::new(Expr::BinaryOp {
                left: Box::new(between(low.clone(), high.clone())),
                op,
                right: Box::new(between(high, low)),
            }))
        }))
    }
}

/// Parts of the operands of `BETWEEN SYMMETRIC`.
const SYMMETRIC_PARTS_MAX: usize = 1_000;

/// Whether BETWEEN comes next, which stands behind no other one.
fn is_between(parser: &Parser<'_>) -> bool {
    let keyword = |place| match &parser.peek_nth_token_ref(place).token {
        Token::Word(word) if word.quote_style.is_none() => Some(word.keyword),
        _ => None,
    };
    let first = keyword(0);
    first == Some(Keyword::BETWEEN)
        || (first == Some(Keyword::NOT) && keyword(1) == Some(Keyword::BETWEEN))
}

/// How many expressions an expression is made of.
fn parts(expr: &Expr) -> usize {
    let mut count = 0;
    let _: ControlFlow<()> = visit_expressions(expr, |_part| {
        count += 1;
        ControlFlow::Continue(())
    });
    count
}

/// `(VALUES …)` where an expression may begin, of which the parser reads a call.
fn values(parser: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
    let begins = matches!(&parser.peek_token_ref().token, Token::Word(word)
        if word.quote_style.is_none() && word.keyword == Keyword::VALUES);
    let is_inside = parser.get_current_token().token == Token::LParen;
    if !begins || !is_inside || parser.peek_nth_token_ref(1).token != Token::LParen {
        return None;
    }
    Some(parser.parse_query().map(Expr::Subquery))
}

/// `x::text COLLATE "C"`, which the parser knows behind what is no cast.
fn collated(parser: &mut Parser<'_>, expr: &Expr) -> Option<Result<Expr, ParserError>> {
    if !parser.parse_keyword(Keyword::COLLATE) {
        return None;
    }
    let collation = parser.parse_object_name(false);
    Some(collation.map(|collation| Expr::Collate {
        expr: Box::new(expr.clone()),
        collation,
    }))
}

/// `x IN ((SELECT …), 2)`: a list, of which the parser takes the first item for the whole.
fn listed(parser: &mut Parser<'_>, expr: &Expr) -> Option<Result<Expr, ParserError>> {
    let word = |parser: &Parser<'_>, place: usize| match &parser.peek_nth_token_ref(place).token {
        Token::Word(word) if word.quote_style.is_none() => Some(word.keyword),
        _ => None,
    };
    let negated = word(parser, 0) == Some(Keyword::NOT);
    let place = usize::from(negated);
    let opens = |place: usize| parser.peek_nth_token_ref(place).token == Token::LParen;
    let queries = [Keyword::SELECT, Keyword::VALUES, Keyword::WITH];
    let of_query = word(parser, place) == Some(Keyword::IN)
        && opens(place + 1)
        && opens(place + 2)
        && word(parser, place + 3).is_some_and(|word| queries.contains(&word));
    if !of_query {
        return None;
    }
    let list = parser.maybe_parse(|parser| {
        if negated {
            parser.expect_keyword_is(Keyword::NOT)?;
        }
        parser.expect_keyword_is(Keyword::IN)?;
        parser.expect_token(&Token::LParen)?;
        let first = parser.parse_expr()?;
        parser.expect_token(&Token::Comma)?;
        let others = parser.parse_comma_separated(Parser::parse_expr)?;
        parser.expect_token(&Token::RParen)?;
        Ok([vec![first], others].concat())
    });
    let made = |list| Expr::InList {
        expr: Box::new(expr.clone()),
        list,
        negated,
    };
    Some(list.transpose()?.map(made))
}

impl Dialect for Bounded {
    /// Counts; the error ends every attempt, as that about recursion does.
    fn parse_prefix(&self, parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
        let Some(left) = self.left.get().checked_sub(1) else {
            return Some(Err(ParserError::RecursionLimitExceeded));
        };
        self.left.set(left);
        if let Token::Word(word) = &parser.peek_token_ref().token
            && word.quote_style.is_none()
            && RESERVED.contains(&word.keyword)
        {
            return Some(parser.expected("an expression", parser.peek_token()));
        }
        if let Some(values) = values(parser) {
            return Some(values);
        }
        self.base.parse_prefix(parser)
    }

    /// The right side of `IS DISTINCT FROM` ends before AND and OR; the parser itself reads on. `BETWEEN SYMMETRIC`,
    /// which it does not know, takes its ends in either order; a list after IN may begin with a subquery; COLLATE may
    /// stand behind a cast.
    fn parse_infix(
        &self,
        parser: &mut Parser<'_>,
        expr: &Expr,
        _precedence: u8,
    ) -> Option<Result<Expr, ParserError>> {
        if matches!(expr, Expr::Between { .. }) && is_between(parser) {
            return Some(parser.expected("parentheses around BETWEEN", parser.peek_token()));
        }
        if let Some(between) = self.between_symmetric(parser, expr) {
            return Some(between);
        }
        if let Some(collated) = collated(parser, expr) {
            return Some(collated);
        }
        if let Some(list) = listed(parser, expr) {
            return Some(list);
        }
        let is = [Keyword::IS, Keyword::DISTINCT, Keyword::FROM];
        let is_not = [Keyword::IS, Keyword::NOT, Keyword::DISTINCT, Keyword::FROM];
        let same = match (parser.parse_keywords(&is), parser.parse_keywords(&is_not)) {
            (true, _) => false,
            (_, true) => true,
            _ => return None,
        };
        let other = parser.parse_subexpr(self.prec_value(Precedence::Is));
        Some(other.map(|other| {
            let (left, right) = (Box::new(expr.clone()), Box::new(other));
            match same {
                true => Expr::IsNotDistinctFrom(left, right),
                false => Expr::IsDistinctFrom(left, right),
            }
        }))
    }

    // What follows is PostgreSQL's: the rules that it has of its own, and the identity that the parser asks for.

    fn dialect(&self) -> TypeId {
        self.base.dialect()
    }

    fn identifier_quote_style(&self, identifier: &str) -> Option<char> {
        self.base.identifier_quote_style(identifier)
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        self.base.is_delimited_identifier_start(ch)
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        self.base.is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        self.base.is_identifier_part(ch)
    }

    fn is_reserved_for_identifier(&self, kw: Keyword) -> bool {
        OWN_READING.contains(&kw) || self.base.is_reserved_for_identifier(kw)
    }

    fn is_custom_operator_part(&self, ch: char) -> bool {
        self.base.is_custom_operator_part(ch)
    }

    fn get_next_precedence(&self, parser: &Parser) -> Option<Result<u8, ParserError>> {
        self.base.get_next_precedence(parser)
    }

    fn prec_value(&self, prec: Precedence) -> u8 {
        self.base.prec_value(prec)
    }

    fn supports_unicode_string_literal(&self) -> bool {
        self.base.supports_unicode_string_literal()
    }

    fn supports_filter_during_aggregation(&self) -> bool {
        self.base.supports_filter_during_aggregation()
    }

    fn supports_group_by_expr(&self) -> bool {
        self.base.supports_group_by_expr()
    }

    fn allow_extract_custom(&self) -> bool {
        self.base.allow_extract_custom()
    }

    fn allow_extract_single_quotes(&self) -> bool {
        self.base.allow_extract_single_quotes()
    }

    fn supports_create_index_with_clause(&self) -> bool {
        self.base.supports_create_index_with_clause()
    }

    fn supports_explain_with_utility_options(&self) -> bool {
        self.base.supports_explain_with_utility_options()
    }

    fn supports_listen_notify(&self) -> bool {
        self.base.supports_listen_notify()
    }

    fn supports_factorial_operator(&self) -> bool {
        self.base.supports_factorial_operator()
    }

    fn supports_bitwise_shift_operators(&self) -> bool {
        self.base.supports_bitwise_shift_operators()
    }

    fn supports_comment_on(&self) -> bool {
        self.base.supports_comment_on()
    }

    fn supports_load_extension(&self) -> bool {
        self.base.supports_load_extension()
    }

    fn supports_named_fn_args_with_colon_operator(&self) -> bool {
        self.base.supports_named_fn_args_with_colon_operator()
    }

    fn supports_named_fn_args_with_expr_name(&self) -> bool {
        self.base.supports_named_fn_args_with_expr_name()
    }

    fn supports_empty_projections(&self) -> bool {
        self.base.supports_empty_projections()
    }

    fn supports_nested_comments(&self) -> bool {
        self.base.supports_nested_comments()
    }

    fn supports_string_escape_constant(&self) -> bool {
        self.base.supports_string_escape_constant()
    }

    fn supports_numeric_literal_underscores(&self) -> bool {
        self.base.supports_numeric_literal_underscores()
    }

    fn supports_array_typedef_with_brackets(&self) -> bool {
        self.base.supports_array_typedef_with_brackets()
    }

    fn supports_geometric_types(&self) -> bool {
        self.base.supports_geometric_types()
    }

    fn supports_set_names(&self) -> bool {
        self.base.supports_set_names()
    }

    fn supports_alter_column_type_using(&self) -> bool {
        self.base.supports_alter_column_type_using()
    }

    fn supports_notnull_operator(&self) -> bool {
        self.base.supports_notnull_operator()
    }

    fn supports_interval_options(&self) -> bool {
        self.base.supports_interval_options()
    }

    fn supports_insert_table_alias(&self) -> bool {
        self.base.supports_insert_table_alias()
    }

    fn supports_create_table_like_parenthesized(&self) -> bool {
        self.base.supports_create_table_like_parenthesized()
    }

    fn supports_select_wildcard_with_alias(&self) -> bool {
        self.base.supports_select_wildcard_with_alias()
    }

    fn supports_comma_separated_trim(&self) -> bool {
        self.base.supports_comma_separated_trim()
    }

    fn supports_xml_expressions(&self) -> bool {
        self.base.supports_xml_expressions()
    }

    fn supports_comment_optimizer_hint(&self) -> bool {
        self.base.supports_comment_optimizer_hint()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn parsed(sql: &str, bounded: &Bounded) -> Result<String, ParserError> {
        let statements = Parser::new(bounded).try_with_sql(sql)?.parse_statements()?;
        Ok(statements.iter().map(ToString::to_string).collect())
    }

    /// Each of these doubles the work with every level; none may be worked at for long.
    #[test]
    fn nothing_is_read_for_hours() {
        for nest in [
            "position(|)",
            "abs(|)",
            "(|, 1)",
            "row(|)",
            "array(select |)",
            "exists(select |)",
            "(select |)",
            "overlay(|)",
            "coalesce(|, position(|))",
            "count(*) filter (where |)",
            "position(array[(select abs(|))])",
        ] {
            let mut inner = "1".to_owned();
            for _ in 0..45 {
                inner = nest.replacen('|', &inner, 1).replace('|', "2");
            }
            let sql = format!("select {inner}");
            let started = std::time::Instant::now();
            let bounded = Bounded::of(sql.len());
            let _ = parsed(&sql, &bounded);
            assert!(started.elapsed().as_secs() < 20, "{nest}");
        }
        let sql = format!("select {}1{}", "position(".repeat(30), ")".repeat(30));
        let refused = parsed(&sql, &Bounded::of(sql.len()));
        assert_eq!(refused, Err(ParserError::RecursionLimitExceeded));
    }

    /// A rule that PostgreSQL's dialect gains and this one does not hand on shows here.
    #[test]
    fn statements_are_read_as_postgresqls() {
        for sql in [
            "select a[1:2], 'x' || b collate \"C\", -c ^ 2 ! , d notnull from \"T\" as t where a @> b and c ~ 'x'",
            "select json_object('a': 'b'), f(x => 1), count(*) filter (where a), interval '1' day, U&'\\0061', E'\\n'",
            "select extract('epoch' from a), trim(both 'x' from y), 1_000, /* a /* b */ */ array[1], cast(a as int[])",
            "select from t group by grouping sets ((a), (b)), cube (a)",
            "explain (analyze, verbose) select 1",
            "listen x",
            "select a.b.c, (row(1, 2)).*, a << 2 # 3 from t left join lateral (select 1) as l on true",
        ] {
            let plain = Parser::parse_sql(&PostgreSqlDialect {}, sql);
            let plain = plain.map(|s| s.iter().map(ToString::to_string).collect::<String>());
            assert_eq!(parsed(sql, &Bounded::of(sql.len())), plain, "{sql}");
        }
    }

    /// An expression with all its parentheses.
    fn told(expr: &Expr) -> String {
        match expr {
            Expr::BinaryOp { left, op, right } => format!("({} {op} {})", told(left), told(right)),
            Expr::UnaryOp { op, expr } => format!("({op} {})", told(expr)),
            Expr::IsDistinctFrom(left, right) => format!("({} <> {})", told(left), told(right)),
            Expr::IsNotDistinctFrom(left, right) => format!("({} == {})", told(left), told(right)),
            other => other.to_string(),
        }
    }

    #[test]
    fn the_right_side_of_is_distinct_from_ends_before_and_and_or() {
        for (sql, expected) in [
            ("a IS DISTINCT FROM b AND c", "((a <> b) AND c)"),
            ("p AND a IS DISTINCT FROM b OR c", "((p AND (a <> b)) OR c)"),
            (
                "a IS NOT DISTINCT FROM b OR c AND d",
                "((a == b) OR (c AND d))",
            ),
            ("a IS DISTINCT FROM b < c AND d", "((a <> (b < c)) AND d)"),
            ("NOT a IS DISTINCT FROM b + 1", "(NOT (a <> (b + 1)))"),
        ] {
            let dialect = Bounded::of(sql.len());
            let mut parser = Parser::new(&dialect).try_with_sql(sql).unwrap();
            assert_eq!(told(&parser.parse_expr().unwrap()), expected, "{sql}");
        }
    }
}
