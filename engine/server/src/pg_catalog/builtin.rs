//! The built-in types, operators, casts, functions and system relations of PostgreSQL 16, read once from the tables in `data/`.

use std::collections::{BTreeMap, HashMap};
use std::sync::OnceLock;

/// One row of the built-in part of `pg_type`.
#[derive(Clone, Debug)]
pub(crate) struct TypeInfo {
    pub(crate) oid: u32,
    pub(crate) schema: String,
    pub(crate) name: String,
    pub(crate) len: i16,
    pub(crate) by_value: bool,
    pub(crate) kind: char,
    pub(crate) category: char,
    pub(crate) preferred: bool,
    pub(crate) delimiter: char,
    pub(crate) relation: u32,
    pub(crate) element: u32,
    pub(crate) array: u32,
    pub(crate) procedures: [String; 4],
    pub(crate) align: char,
    pub(crate) storage: char,
    pub(crate) base: u32,
    pub(crate) typmod: i32,
    pub(crate) collation: u32,
}

/// One row of `pg_operator`.
#[derive(Clone, Debug)]
pub(crate) struct Operator {
    pub(crate) oid: u32,
    pub(crate) name: String,
    pub(crate) kind: char,
    pub(crate) left: u32,
    pub(crate) right: u32,
    pub(crate) result: u32,
    pub(crate) code: String,
}

/// One row of `pg_cast`.
#[derive(Clone, Debug)]
pub(crate) struct Cast {
    pub(crate) oid: u32,
    pub(crate) source: u32,
    pub(crate) target: u32,
    /// i = implicit, a = assignment, e = explicit.
    pub(crate) context: char,
    pub(crate) method: char,
}

/// One row of `pg_opclass`.
#[derive(Clone, Debug)]
pub(crate) struct OperatorClass {
    pub(crate) oid: u32,
    /// OID in `pg_am`.
    pub(crate) method: u32,
    pub(crate) name: String,
    pub(crate) family: u32,
    /// OID of the type that it orders.
    pub(crate) ty: u32,
    pub(crate) default: bool,
    /// OID of the type that it keeps; 0: the same.
    pub(crate) key: u32,
}

/// One row of `pg_proc`.
#[derive(Clone, Debug)]
pub(crate) struct Function {
    pub(crate) oid: u32,
    pub(crate) schema: String,
    pub(crate) name: String,
    /// f = function, a = aggregate, w = window.
    pub(crate) kind: char,
    pub(crate) result: u32,
    pub(crate) set: bool,
    pub(crate) variadic: u32,
    pub(crate) defaults: usize,
    pub(crate) volatility: char,
    pub(crate) strict: bool,
    pub(crate) arguments: Vec<u32>,
    /// Types of all arguments when some are OUT or TABLE arguments.
    pub(crate) all_arguments: Vec<u32>,
    pub(crate) modes: String,
    pub(crate) names: Vec<String>,
    pub(crate) description: Option<String>,
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.oid == other.oid
    }
}

impl Function {
    /// Names and types of the OUT or TABLE arguments.
    pub(crate) fn outputs(&self) -> Vec<(String, u32)> {
        self.modes
            .chars()
            .zip(&self.all_arguments)
            .enumerate()
            .filter(|(_, (mode, _))| matches!(mode, 'o' | 't' | 'b'))
            .map(|(i, (_, ty))| {
                (
                    self.names
                        .get(i)
                        .cloned()
                        .unwrap_or_else(|| format!("column{}", i + 1)),
                    *ty,
                )
            })
            .collect()
    }
}

/// A relation of `pg_catalog` or `information_schema`: its OID and columns (name, type name, not null).
#[derive(Clone, Debug)]
pub(crate) struct SystemRelation {
    pub(crate) oid: u32,
    pub(crate) schema: String,
    pub(crate) name: String,
    pub(crate) kind: char,
    pub(crate) columns: Vec<SystemColumn>,
}

/// A column of a system relation.
#[derive(Clone, Debug)]
pub(crate) struct SystemColumn {
    pub(crate) name: String,
    pub(crate) ty: u32,
    pub(crate) not_null: bool,
}

/// Everything built in.
#[derive(Debug)]
pub(crate) struct Builtin {
    pub(crate) types: Vec<TypeInfo>,
    pub(crate) operators: Vec<Operator>,
    pub(crate) casts: Vec<Cast>,
    pub(crate) operator_classes: Vec<OperatorClass>,
    pub(crate) functions: Vec<Function>,
    pub(crate) relations: Vec<SystemRelation>,
    pub(crate) keywords: Vec<(String, char, bool)>,
    type_by_oid: HashMap<u32, usize>,
    type_by_name: HashMap<String, u32>,
    operators_by_name: HashMap<String, Vec<usize>>,
    functions_by_name: HashMap<String, Vec<usize>>,
    casts_by_types: HashMap<(u32, u32), usize>,
    primary_keys: HashMap<u32, Vec<usize>>,
    descriptions: BTreeMap<(u32, u32), &'static str>,
}

impl Builtin {
    pub(crate) fn type_of(&self, oid: u32) -> Option<&TypeInfo> {
        self.type_by_oid.get(&oid).map(|i| &self.types[*i])
    }

    pub(crate) fn type_named(&self, name: &str) -> Option<u32> {
        self.type_by_name.get(name).copied()
    }

    pub(crate) fn operators_named(&self, name: &str) -> impl Iterator<Item = &Operator> {
        self.operators_by_name
            .get(name)
            .into_iter()
            .flatten()
            .map(|i| &self.operators[*i])
    }

    pub(crate) fn functions_named(&self, name: &str) -> impl Iterator<Item = &Function> {
        self.functions_by_name
            .get(name)
            .into_iter()
            .flatten()
            .map(|i| &self.functions[*i])
    }

    /// The columns of a system relation's primary key, counted from 0; a view has none.
    pub(crate) fn primary_key(&self, relation: u32) -> Option<&[usize]> {
        self.primary_keys.get(&relation).map(Vec::as_slice)
    }

    /// The comments on objects: OIDs of the catalog that lists an object and of the object, and the text.
    pub(crate) fn descriptions(&self) -> impl Iterator<Item = ((u32, u32), &'static str)> {
        self.descriptions
            .iter()
            .map(|(object, text)| (*object, *text))
    }

    /// The comment on an object of a catalog.
    pub(crate) fn description(&self, class: u32, object: u32) -> Option<&'static str> {
        self.descriptions.get(&(class, object)).copied()
    }

    pub(crate) fn cast(&self, source: u32, target: u32) -> Option<&Cast> {
        self.casts_by_types
            .get(&(source, target))
            .map(|i| &self.casts[*i])
    }
}

/// The built-in objects; parsed on first use.
pub(crate) fn builtin() -> &'static Builtin {
    static BUILTIN: OnceLock<Builtin> = OnceLock::new();
    BUILTIN.get_or_init(load)
}

fn load() -> Builtin {
    let types = load_types();
    let type_by_oid: HashMap<_, _> = types.iter().enumerate().map(|(i, t)| (t.oid, i)).collect();
    let type_by_name: HashMap<_, _> = types.iter().map(|t| (t.name.clone(), t.oid)).collect();
    let operators = load_operators();
    let casts = load_casts();
    let functions = load_functions();
    let relations = load_relations(&type_by_name);
    let mut operators_by_name: HashMap<String, Vec<usize>> = HashMap::new();
    for (i, operator) in operators.iter().enumerate() {
        operators_by_name
            .entry(operator.name.clone())
            .or_default()
            .push(i);
    }
    let mut functions_by_name: HashMap<String, Vec<usize>> = HashMap::new();
    for (i, function) in functions.iter().enumerate() {
        functions_by_name
            .entry(function.name.clone())
            .or_default()
            .push(i);
    }
    let casts_by_types = casts
        .iter()
        .enumerate()
        .map(|(i, c)| ((c.source, c.target), i))
        .collect();
    let primary_keys = load_primary_keys(&relations);
    let keywords = include_str!("data/keywords.txt")
        .lines()
        .filter_map(keyword)
        .collect();
    Builtin {
        types,
        operators,
        casts,
        operator_classes: load_operator_classes(),
        functions,
        relations,
        keywords,
        type_by_oid,
        type_by_name,
        operators_by_name,
        functions_by_name,
        casts_by_types,
        primary_keys,
        descriptions: rows(include_str!("data/descriptions.tsv"))
            .filter_map(|fields| match fields.as_slice() {
                [class, object, text] => Some(((number(class), number(object)), *text)),
                _ => None,
            })
            .collect(),
    }
}

/// The columns of primary keys, counted from 0, by the OID of the relation.
fn load_primary_keys(relations: &[SystemRelation]) -> HashMap<u32, Vec<usize>> {
    let columns: HashMap<u32, &Vec<SystemColumn>> =
        relations.iter().map(|r| (r.oid, &r.columns)).collect();
    rows(include_str!("data/primary_keys.tsv"))
        .filter_map(|fields| {
            let [relation, key] = fields.as_slice() else {
                return None;
            };
            let relation = number(relation);
            let all = columns.get(&relation)?;
            let place = |name| all.iter().position(|column| column.name == name);
            let places: Option<Vec<usize>> = key.split(' ').map(place).collect();
            Some((relation, places?))
        })
        .collect()
}

fn keyword(line: &str) -> Option<(String, char, bool)> {
    let mut fields = line.split(' ');
    Some((
        fields.next()?.to_owned(),
        letter(fields.next()?),
        fields.next()? == "t",
    ))
}

fn number<T: std::str::FromStr + Default>(text: &str) -> T {
    text.parse().unwrap_or_default()
}

fn letter(text: &str) -> char {
    text.chars().next().unwrap_or(' ')
}

fn oids(text: &str) -> Vec<u32> {
    text.split(' ')
        .filter(|t| !t.is_empty())
        .map(number)
        .collect()
}

fn load_types() -> Vec<TypeInfo> {
    rows(include_str!("data/types.tsv"))
        .map(|f| TypeInfo {
            oid: number(f[0]),
            schema: f[1].to_owned(),
            name: f[2].to_owned(),
            len: number(f[3]),
            by_value: f[4] == "t",
            kind: letter(f[5]),
            category: letter(f[6]),
            preferred: f[7] == "t",
            delimiter: letter(f[8]),
            relation: 0,
            element: number(f[9]),
            array: number(f[10]),
            procedures: [
                f[11].to_owned(),
                f[12].to_owned(),
                f[13].to_owned(),
                f[14].to_owned(),
            ],
            align: letter(f[15]),
            storage: letter(f[16]),
            base: number(f[17]),
            typmod: number(f[18]),
            collation: number(f[19]),
        })
        .collect()
}

fn rows(text: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    text.lines().map(|line| line.split('\t').collect())
}

fn load_operators() -> Vec<Operator> {
    rows(include_str!("data/operators.tsv"))
        .map(|f| Operator {
            oid: number(f[0]),
            name: f[1].to_owned(),
            kind: letter(f[2]),
            left: number(f[3]),
            right: number(f[4]),
            result: number(f[5]),
            code: f[6].to_owned(),
        })
        .collect()
}

fn load_operator_classes() -> Vec<OperatorClass> {
    rows(include_str!("data/operator_classes.tsv"))
        .map(|f| OperatorClass {
            oid: number(f[0]),
            method: number(f[1]),
            name: f[2].to_owned(),
            family: number(f[3]),
            ty: number(f[4]),
            default: f[5] == "t",
            key: number(f[6]),
        })
        .collect()
}

fn load_casts() -> Vec<Cast> {
    rows(include_str!("data/casts.tsv"))
        .map(|f| Cast {
            oid: number(f[0]),
            source: number(f[1]),
            target: number(f[2]),
            context: letter(f[3]),
            method: letter(f[4]),
        })
        .collect()
}

fn load_functions() -> Vec<Function> {
    rows(include_str!("data/functions.tsv"))
        .map(|f| Function {
            oid: number(f[0]),
            schema: f[1].to_owned(),
            name: f[2].to_owned(),
            kind: letter(f[3]),
            result: number(f[4]),
            set: f[5] == "t",
            variadic: number(f[6]),
            defaults: number(f[7]),
            volatility: letter(f[8]),
            strict: f[9] == "t",
            arguments: oids(f[10]),
            all_arguments: oids(f[11]),
            modes: f[12].to_owned(),
            // An argument without a name has an empty one.
            names: if f[13].is_empty() {
                Vec::new()
            } else {
                f[13].split(' ').map(str::to_owned).collect()
            },
            description: None,
        })
        .collect()
}

fn load_relations(types: &HashMap<String, u32>) -> Vec<SystemRelation> {
    let mut relations: Vec<SystemRelation> = rows(include_str!("data/relations.tsv"))
        .map(|f| SystemRelation {
            oid: number(f[0]),
            schema: f[1].to_owned(),
            name: f[2].to_owned(),
            kind: letter(f[3]),
            columns: Vec::new(),
        })
        .collect();
    let index: HashMap<(String, String), usize> = relations
        .iter()
        .enumerate()
        .map(|(i, r)| ((r.schema.clone(), r.name.clone()), i))
        .collect();
    for f in rows(include_str!("data/columns.tsv")) {
        let Some(i) = index.get(&(f[0].to_owned(), f[1].to_owned())) else {
            continue;
        };
        // Columns of row types and the like are shown as text.
        let ty = types.get(f[3]).copied().unwrap_or(25);
        relations[*i].columns.push(SystemColumn {
            name: f[2].to_owned(),
            ty,
            not_null: f[4] == "t",
        });
    }
    for relation in &mut relations {
        raise_to_16(relation);
    }
    relations
}

/// What release 16 changed in the system relations of release 15.
fn raise_to_16(relation: &mut SystemRelation) {
    let columns = &mut relation.columns;
    let mut insert_after = |before: &str, name: &str, ty: u32, not_null: bool| {
        let at = columns
            .iter()
            .position(|c| c.name == before)
            .map_or(columns.len(), |i| i + 1);
        columns.insert(
            at,
            SystemColumn {
                name: name.to_owned(),
                ty,
                not_null,
            },
        );
    };
    match relation.name.as_str() {
        "pg_database" => insert_after("daticulocale", "daticurules", 25, false),
        "pg_collation" => insert_after("colliculocale", "collicurules", 25, false),
        "pg_auth_members" => {
            insert_after("admin_option", "inherit_option", 16, true);
            insert_after("inherit_option", "set_option", 16, true);
            columns.insert(
                0,
                SystemColumn {
                    name: "oid".to_owned(),
                    ty: 26,
                    not_null: true,
                },
            );
        }
        "pg_prepared_statements" => insert_after("parameter_types", "result_types", 2211, false),
        "pg_stat_all_tables" | "pg_stat_user_tables" | "pg_stat_sys_tables" => {
            insert_after("seq_scan", "last_seq_scan", 1184, false);
            insert_after("idx_scan", "last_idx_scan", 1184, false);
            insert_after("n_tup_hot_upd", "n_tup_newpage_upd", 20, false);
        }
        "pg_subscription" => {
            insert_after("subdisableonerr", "subpasswordrequired", 16, true);
            insert_after("subpasswordrequired", "subrunasowner", 16, true);
            insert_after("subpublications", "suborigin", 25, false);
        }
        "pg_attribute" => {
            // Release 16 narrowed and moved these.
            let target = columns
                .iter()
                .position(|c| c.name == "attstattarget")
                .map(|i| columns.remove(i));
            let dimensions = columns
                .iter()
                .position(|c| c.name == "attndims")
                .map(|i| columns.remove(i));
            for (column, after) in [(dimensions, "atttypmod"), (target, "attinhcount")] {
                if let Some(column) = column {
                    let at = columns
                        .iter()
                        .position(|c| c.name == after)
                        .map_or(columns.len(), |i| i + 1);
                    columns.insert(at, column);
                }
            }
            for column in columns.iter_mut().filter(|c| {
                matches!(
                    c.name.as_str(),
                    "attstattarget" | "attndims" | "attinhcount"
                )
            }) {
                column.ty = 21;
            }
        }
        _ => {}
    }
}
