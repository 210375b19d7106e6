//! Constraints and indexes of tables, as the catalog knows them: only temporary tables have any.

use super::builtin::{OperatorClass, builtin};
use super::format::quote_ident;
use super::model::{CatalogModel, Column, Relation, is_temporary};
use super::value::element_type;
use crate::pg_types::oid;

/// OID of `anyarray`.
const ANY_ARRAY: u32 = 2277;

/// Constraints and indexes of a table.
#[derive(Clone, Debug, Default)]
pub struct RelationRules {
    /// CHECK.
    pub checks: Vec<CheckFacts>,
    /// Indexes, those of constraints among them.
    pub indexes: Vec<IndexFacts>,
    /// The sequences that fill columns, by the places of those.
    pub sequences: Vec<(usize, String)>,
    /// It is a sequence.
    pub sequence: Option<SequenceFacts>,
}

/// A CHECK.
#[derive(Clone, Debug, Default)]
pub struct CheckFacts {
    /// OID in `pg_constraint`.
    pub oid: u32,
    /// Its name.
    pub name: String,
    /// The condition, each part in parentheses.
    pub condition: String,
    /// The condition with the parentheses that it needs.
    pub pretty: String,
    /// The columns that it names, from 0 on.
    pub columns: Vec<usize>,
    /// COMMENT.
    pub comment: Option<String>,
}

/// An index.
#[derive(Clone, Debug, Default)]
pub struct IndexFacts {
    /// OID in `pg_class`.
    pub oid: u32,
    /// OID of its constraint in `pg_constraint`; 0: it has none.
    pub constraint: u32,
    /// Its name.
    pub name: String,
    /// Of PRIMARY KEY.
    pub primary: bool,
    /// Of UNIQUE or PRIMARY KEY.
    pub of_constraint: bool,
    /// No two rows have one key.
    pub unique: bool,
    /// NULLS NOT DISTINCT.
    pub nulls_equal: bool,
    /// As `btree`.
    pub method: String,
    /// Parts of the key.
    pub keys: Vec<KeyFacts>,
    /// Columns beside the key, from 0 on.
    pub include: Vec<usize>,
    /// The rows that it has: each part in parentheses, and with those that it needs.
    pub condition: Option<(String, String)>,
    /// COMMENT of the index.
    pub comment: Option<String>,
    /// COMMENT of the constraint.
    pub constraint_comment: Option<String>,
}

/// A part of a key.
#[derive(Clone, Debug, Default)]
pub struct KeyFacts {
    /// The column, from 0 on; None: an expression.
    pub column: Option<usize>,
    /// What the index calls it.
    pub name: String,
    /// An expression: each part in parentheses, and with those that it needs.
    pub expression: (String, String),
    /// A call of a function stands without parentheses.
    pub is_call: bool,
    /// OID of its type.
    pub ty: u32,
    /// DESC.
    pub descending: bool,
    /// NULLS FIRST.
    pub nulls_first: bool,
    /// An operator class other than the default.
    pub class: Option<String>,
    /// OID of its operator class.
    pub class_oid: u32,
}

/// The OID of a method in `pg_am`.
fn method_oid(method: &str) -> Option<u32> {
    Some(match method {
        "btree" => 403,
        "hash" => 405,
        "gist" => 783,
        "gin" => 2742,
        "brin" => 3580,
        "spgist" => 4000,
        _ => return None,
    })
}

/// An operator class for the values of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OperatorClassOf {
    /// Of this OID, and whether it is the default.
    Found(u32, bool),
    /// There is none of that name.
    Unknown,
    /// It is of another type.
    OfOther,
}

/// The operator class of a method that a type has under a name, or the default one.
pub(crate) fn operator_class(method: &str, named: Option<&str>, ty: u32) -> OperatorClassOf {
    let method = method_oid(method).unwrap_or(0);
    let classes = builtin().operator_classes.iter();
    let of_method: Vec<&OperatorClass> = classes.filter(|class| class.method == method).collect();
    // What a value is, nearest first.
    let is = match ty {
        oid::VARCHAR | oid::UNKNOWN => [ty, oid::TEXT],
        array if element_type(array).is_some() => [ty, ANY_ARRAY],
        _ => [ty, ty],
    };
    let default = is.iter().find_map(|ty| {
        let mut classes = of_method.iter();
        classes.find(|class| class.default && class.ty == *ty)
    });
    let Some(named) = named else {
        return default.map_or(OperatorClassOf::Unknown, |class| {
            OperatorClassOf::Found(class.oid, true)
        });
    };
    let of_name = of_method.iter().filter(|class| class.name == named);
    let of_name: Vec<&&OperatorClass> = of_name.collect();
    if of_name.is_empty() {
        return OperatorClassOf::Unknown;
    }
    match of_name.iter().find(|class| is.contains(&class.ty)) {
        None => OperatorClassOf::OfOther,
        Some(class) => {
            let is_default = default.is_some_and(|default| default.oid == class.oid);
            OperatorClassOf::Found(class.oid, is_default)
        }
    }
}

/// What the catalog shows of a temporary table beside its columns.
#[derive(Clone, Debug, Default)]
pub(crate) struct OwnFacts {
    /// Defaults of columns, as SQL.
    pub(crate) defaults: Vec<Option<String>>,
    /// `a` and `d` of identity columns.
    pub(crate) identities: Vec<Option<char>>,
    pub(crate) comment: Option<String>,
    /// Comments of columns.
    pub(crate) comments: Vec<Option<String>>,
    pub(crate) rules: RelationRules,
    /// The sequences that fill columns, by the places of those.
    pub(crate) sequences: Vec<(usize, String)>,
    /// It is a sequence.
    pub(crate) sequence: Option<SequenceFacts>,
}

/// A sequence.
#[derive(Clone, Debug, Default)]
pub struct SequenceFacts {
    /// OID of its type.
    pub ty: u32,
    /// START.
    pub start: i64,
    /// INCREMENT.
    pub increment: i64,
    /// MINVALUE.
    pub min: i64,
    /// MAXVALUE.
    pub max: i64,
    /// CYCLE.
    pub cycle: bool,
    /// The last value that it gave.
    pub last: Option<i64>,
}

impl IndexFacts {
    /// Whether a key is ordered otherwise than usual, as `pg_index` says it.
    pub(crate) fn options(&self) -> impl Iterator<Item = i64> + '_ {
        let keys = self.keys.iter();
        keys.map(|key| i64::from(key.descending) + 2 * i64::from(key.nulls_first))
    }

    /// A part of the key, or a column beside it, by its number from 0 on.
    pub(crate) fn part(&self, table: &Relation, number: usize, pretty: bool) -> Option<String> {
        let column = |at: usize| {
            table
                .columns
                .get(at)
                .map(|column| quote_ident(&column.name))
        };
        let Some(key) = self.keys.get(number) else {
            let at = self.include.get(number.checked_sub(self.keys.len())?)?;
            return column(*at);
        };
        match key.column {
            Some(at) => column(at),
            None => {
                let (full, short) = &key.expression;
                let text = if pretty { short } else { full };
                Some(match key.is_call {
                    true => text.clone(),
                    false => format!("({text})"),
                })
            }
        }
    }

    /// `(a, b DESC) INCLUDE (c)`, and what follows.
    fn parts(&self, table: &Relation, pretty: bool) -> String {
        let keys = self.keys.iter().enumerate().map(|(number, key)| {
            let mut text = self.part(table, number, pretty).unwrap_or_default();
            if let Some(class) = &key.class {
                text = format!("{text} {class}");
            }
            if key.descending {
                text.push_str(" DESC");
            }
            match (key.descending, key.nulls_first) {
                (true, false) => text.push_str(" NULLS LAST"),
                (false, true) => text.push_str(" NULLS FIRST"),
                _ => {}
            }
            text
        });
        let keys: Vec<String> = keys.collect();
        format!("({}){}", keys.join(", "), self.included(table))
    }

    fn included(&self, table: &Relation) -> String {
        if self.include.is_empty() {
            return String::new();
        }
        let names = self.include.iter().filter_map(|at| table.columns.get(*at));
        let names: Vec<String> = names.map(|column| quote_ident(&column.name)).collect();
        format!(" INCLUDE ({})", names.join(", "))
    }

    /// CREATE INDEX as it is told of.
    pub(crate) fn definition(&self, table: &Relation, pretty: bool) -> String {
        let unique = if self.unique { "UNIQUE " } else { "" };
        let schema = match is_temporary(&table.schema) {
            true => "pg_temp".to_owned(),
            false => quote_ident(&table.schema),
        };
        let on = match pretty {
            true => quote_ident(&table.name),
            false => format!("{schema}.{}", quote_ident(&table.name)),
        };
        let nulls = if self.nulls_equal {
            " NULLS NOT DISTINCT"
        } else {
            ""
        };
        let condition = self.condition.as_ref().map(|(full, short)| {
            let text = if pretty { short } else { full };
            format!(" WHERE {text}")
        });
        format!(
            "CREATE {unique}INDEX {} ON {on} USING {} {}{nulls}{}",
            quote_ident(&self.name),
            self.method,
            self.parts(table, pretty),
            condition.unwrap_or_default(),
        )
    }

    /// The constraint that it is of.
    pub(crate) fn constraint_definition(&self, table: &Relation) -> String {
        let what = match (self.primary, self.nulls_equal) {
            (true, _) => "PRIMARY KEY",
            (false, true) => "UNIQUE NULLS NOT DISTINCT",
            (false, false) => "UNIQUE",
        };
        let keys = 0..self.keys.len();
        let keys: Vec<String> = keys.filter_map(|at| self.part(table, at, false)).collect();
        format!("{what} ({}){}", keys.join(", "), self.included(table))
    }

    /// OID of the method in `pg_am`.
    pub(crate) fn method_oid(&self) -> u32 {
        method_oid(&self.method).unwrap_or(0)
    }

    /// The columns of the index as a relation.
    fn columns(&self, table: &Relation) -> Vec<Column> {
        let keys = self.keys.iter().map(|key| {
            let own = key.column.and_then(|at| table.columns.get(at));
            Column {
                name: key.name.clone(),
                ty: key.ty,
                typmod: own.map_or(-1, |column| column.typmod),
                dimensions: own.map_or(0, |column| column.dimensions),
                ..Column::default()
            }
        });
        let beside = self.include.iter().filter_map(|at| table.columns.get(*at));
        let beside = beside.map(|column| Column {
            not_null: false,
            comment: None,
            default: None,
            identity: None,
            ..column.clone()
        });
        keys.chain(beside).collect()
    }
}

impl CheckFacts {
    /// The constraint as it is told of.
    pub(crate) fn definition(&self, pretty: bool) -> String {
        match pretty {
            true => format!("CHECK ({})", self.pretty),
            false => format!("CHECK ({})", self.condition),
        }
    }
}

impl CatalogModel {
    /// Says what a temporary table has beside its columns. Its indexes are relations of their own.
    pub(crate) fn set_own(&mut self, schema: &str, name: &str, mut facts: OwnFacts) {
        for index in &mut facts.rules.indexes {
            index.oid = self.assign("index", schema, &index.name);
            if index.of_constraint {
                let key = format!("{name}.{}", index.name);
                index.constraint = self.assign("constraint", schema, &key);
            }
        }
        for check in &mut facts.rules.checks {
            let key = format!("{name}.{}", check.name);
            check.oid = self.assign("constraint", schema, &key);
        }
        let Some(relation) = self.relation_mut(schema, name) else {
            return;
        };
        relation.comment = facts.comment.or_else(|| relation.comment.take());
        for (at, column) in relation.columns.iter_mut().enumerate() {
            let of = |list: &[Option<String>]| list.get(at).cloned().flatten();
            column.default = of(&facts.defaults);
            column.comment = of(&facts.comments);
            column.identity = facts.identities.get(at).copied().flatten();
        }
        relation.rules = RelationRules {
            sequences: facts.sequences,
            sequence: facts.sequence,
            ..facts.rules
        };
        let table = relation.clone();
        for index in &table.rules.indexes {
            self.insert_index(&table, index, index.columns(&table));
        }
    }

    /// The index with this OID, and its table.
    pub(crate) fn index(&self, oid: u32) -> Option<(&Relation, &IndexFacts)> {
        self.relations.iter().find_map(|relation| {
            let mut indexes = relation.rules.indexes.iter();
            Some((relation, indexes.find(|index| index.oid == oid)?))
        })
    }

    /// The text of a constraint with this OID.
    pub(crate) fn constraint(&self, oid: u32, pretty: bool) -> Option<String> {
        self.relations.iter().find_map(|relation| {
            let rules = &relation.rules;
            let check = rules.checks.iter().find(|check| check.oid == oid);
            let index = || {
                let of = |index: &&IndexFacts| index.of_constraint && index.constraint == oid;
                rules.indexes.iter().find(of)
            };
            match check {
                Some(check) => Some(check.definition(pretty)),
                None => Some(index()?.constraint_definition(relation)),
            }
        })
    }

    /// What is said of the constraint with this OID.
    pub(crate) fn constraint_comment(&self, oid: u32) -> Option<&str> {
        self.relations.iter().find_map(|relation| {
            let rules = &relation.rules;
            let checks = rules.checks.iter().map(|check| (check.oid, &check.comment));
            let indexes = rules.indexes.iter();
            let indexes = indexes.map(|index| (index.constraint, &index.constraint_comment));
            let mut all = checks.chain(indexes);
            all.find(|(own, _)| *own == oid)?.1.as_deref()
        })
    }
}
