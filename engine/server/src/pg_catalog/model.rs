//! What a session's catalog holds: schemas, relations, functions, roles and settings, each with an OID that survives restarts.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;

use datafusion::execution::memory_pool::MemoryPool;
use parking_lot::Mutex;

use genokura_exec::AccessContext;
use genokura_exec::access::Columns;

use super::builtin::{Function, builtin};
use super::error::{CatalogError, Result};
use super::eval::Row;
use super::format;
use super::rules::{IndexFacts, RelationRules};
use super::value::element_type;
use crate::pg_types::{FIRST_USER_OID, oid};
use crate::pgwire::encode::TextStyle;

/// A schema.
#[derive(Clone, Debug)]
pub struct Namespace {
    /// OID in `pg_namespace`.
    pub oid: u32,
    /// Name.
    pub name: String,
    /// Comment shown by `\dn+`.
    pub comment: Option<String>,
}

/// A column of a relation.
#[derive(Clone, Debug, Default)]
pub struct Column {
    /// Name.
    pub name: String,
    /// OID of its type.
    pub ty: u32,
    /// Type modifier, -1 for none.
    pub typmod: i32,
    /// Dimensions of its arrays as declared, 0 for what is none.
    pub dimensions: usize,
    /// Whether NULL cannot occur.
    pub not_null: bool,
    /// Comment shown by `\d+`.
    pub comment: Option<String>,
    /// What it gets where no value is given, as SQL.
    pub default: Option<String>,
    /// `a` for GENERATED ALWAYS AS IDENTITY, `d` for BY DEFAULT.
    pub identity: Option<char>,
}

/// A table or view.
#[derive(Clone, Debug)]
pub struct Relation {
    /// OID in `pg_class`.
    pub oid: u32,
    /// OID of its row type.
    pub row_type: u32,
    /// OID of the array over its row type.
    pub array_type: u32,
    /// Schema name.
    pub schema: String,
    /// Relation name.
    pub name: String,
    /// `r` table, `v` view, `i` index or `S` sequence.
    pub kind: char,
    /// Columns in order.
    pub columns: Vec<Column>,
    /// Estimated number of rows, when known.
    pub rows: Option<f64>,
    /// Estimated size in bytes, when known.
    pub bytes: Option<i64>,
    /// Comment shown by `\dt+`.
    pub comment: Option<String>,
    /// Text of a view.
    pub definition: Option<String>,
    /// One of PostgreSQL's own catalogs.
    pub system: bool,
    /// Its constraints and indexes.
    pub rules: RelationRules,
}

/// Whether a schema holds the temporary relations of a session.
pub(crate) fn is_temporary(schema: &str) -> bool {
    schema.starts_with("pg_temp_")
}

/// A role.
#[derive(Clone, Debug)]
pub struct Role {
    /// OID in `pg_roles`.
    pub oid: u32,
    /// Name.
    pub name: String,
    /// Whether the role may do everything.
    pub superuser: bool,
    /// Whether the role may connect.
    pub login: bool,
    /// What it may do, by its own rights and everybody's; None: everything that can be done.
    pub access: Option<Rights>,
    /// What was granted to itself; None for who needs no grant.
    pub rights: Option<Rights>,
}

/// What somebody was granted.
#[derive(Clone, Debug)]
pub struct Rights {
    /// Tables, columns and schemas.
    pub granted: AccessContext,
    /// To keep cohorts in the lake: CREATE ON SCHEMA public.
    pub cohorts: bool,
}

impl Rights {
    /// What was granted of a relation; a schema that may not be used leaves that as it is, as in PostgreSQL.
    pub(crate) fn columns(&self, relation: &Relation) -> Option<Columns<'_>> {
        match relation.system || is_temporary(&relation.schema) {
            true => Some(Columns::All),
            false => self.granted.granted(&relation.schema, &relation.name),
        }
    }

    /// Whether names of the schema may be used.
    pub(crate) fn uses(&self, schema: &str) -> bool {
        matches!(schema, "pg_catalog" | "information_schema")
            || is_temporary(schema)
            || self.granted.uses(schema)
    }
}

/// A run-time parameter shown by `pg_settings`.
#[derive(Clone, Debug)]
pub struct Setting {
    /// Name.
    pub name: String,
    /// Current value.
    pub value: String,
    /// Description.
    pub description: String,
}

/// Another session, shown by `pg_stat_activity`.
#[derive(Clone, Debug, Default)]
pub struct Activity {
    /// Backend process number.
    pub pid: i32,
    /// User name.
    pub user: String,
    /// application_name.
    pub application: String,
    /// active, idle, …
    pub state: String,
    /// Text of the current or last statement.
    pub query: String,
    /// Microseconds since 1970 when the session began.
    pub started: i64,
    /// Microseconds since 1970 when the transaction began, when the session is in one.
    pub transaction_started: Option<i64>,
    /// Microseconds since 1970 when the statement began.
    pub query_started: Option<i64>,
    /// Microseconds since 1970 when `state` became what it is.
    pub state_changed: i64,
    /// Its connection; None: it has none.
    pub ends: Option<Ends>,
}

/// A connection, shown by `pg_stat_activity` and `pg_stat_ssl`.
#[derive(Clone, Debug)]
pub struct Ends {
    /// The client's.
    pub client: SocketAddr,
    /// The server's.
    pub server: SocketAddr,
    /// None: it is not encrypted.
    pub encryption: Option<Encryption>,
}

/// How a connection is encrypted, in the words of OpenSSL.
#[derive(Clone, Debug, Default)]
pub struct Encryption {
    /// As `TLSv1.3`.
    pub version: String,
    /// The cipher suite.
    pub cipher: String,
    /// Bits of its key.
    pub bits: i32,
    /// What the certificate of the client says; None: it showed none.
    pub certificate: Option<Certificate>,
}

/// The certificate that a client owns.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// Its subject, as `/CN=ann`.
    pub subject: String,
    /// Its serial number, in decimal digits.
    pub serial: String,
    /// Who signed it.
    pub issuer: String,
}

/// A prepared statement, shown by `pg_prepared_statements`.
#[derive(Clone, Debug, Default)]
pub struct PreparedStatement {
    /// Name.
    pub name: String,
    /// The query string that it was prepared by.
    pub statement: String,
    /// Microseconds since 1970.
    pub prepared: i64,
    /// OIDs of the types of its parameters.
    pub parameters: Vec<u32>,
    /// OIDs of the types of its columns; None when it returns no rows.
    pub results: Option<Vec<u32>>,
    /// Prepared by PREPARE and not by the protocol.
    pub from_sql: bool,
    /// How often it ran by a plan that serves all values.
    pub generic_plans: i64,
    /// How often it was planned for its values.
    pub custom_plans: i64,
}

/// A cursor or portal, shown by `pg_cursors`.
#[derive(Clone, Debug, Default)]
pub struct OpenCursor {
    /// Name.
    pub name: String,
    /// The query string that it was declared by.
    pub statement: String,
    /// WITH HOLD.
    pub holdable: bool,
    /// BINARY.
    pub binary: bool,
    /// SCROLL.
    pub scrollable: bool,
    /// Microseconds since 1970.
    pub created: i64,
}

/// Changes a setting: name, value, only for this transaction. Answers the value as stored.
pub type SetConfig = Arc<dyn Fn(&str, &str, bool) -> Result<String> + Send + Sync>;
/// Says something on a channel: its name, the words.
pub type SayWord = Arc<dyn Fn(&str, &str) -> Result<()> + Send + Sync>;
/// Asks to end (`true`) or cancel (`false`) the statement of another session; answers whether there was one.
pub type Signal = Arc<dyn Fn(i32, bool) -> bool + Send + Sync>;

/// The session a catalog query runs in.
#[derive(Clone, Default)]
pub struct SessionInfo {
    /// Current user.
    pub user: String,
    /// Schemas searched for unqualified names, in order, without the implicit `pg_catalog`.
    pub search_path: Vec<String>,
    /// Current values of settings, by lower-case name.
    pub settings: BTreeMap<String, String>,
    /// What settings go back to and what they are where nobody says otherwise, by lower-case name.
    pub resets: BTreeMap<String, (String, String)>,
    /// How those settings have values printed.
    pub style: TextStyle,
    /// `pg_backend_pid()`.
    pub backend_pid: i32,
    /// Microseconds since 1970 when the server started.
    pub server_started: i64,
    /// Sessions shown by `pg_stat_activity`.
    pub activity: Vec<Activity>,
    /// Prepared statements.
    pub prepared: Vec<PreparedStatement>,
    /// Open cursors.
    pub cursors: Vec<OpenCursor>,
    /// Hook of `set_config`; without it `set_config` is refused.
    pub set_config: Option<SetConfig>,
    /// Hook of `pg_notify`; without it `pg_notify` is refused.
    pub notify: Option<SayWord>,
    /// The channels that the session listens to.
    pub heard: Vec<String>,
    /// Hook of `pg_cancel_backend` and `pg_terminate_backend`.
    pub signal: Option<Signal>,
    /// Set when the statement is to stop.
    pub cancelled: Option<Arc<std::sync::atomic::AtomicBool>>,
    /// What the rows of the statement take their memory from; None: nothing counts it.
    pub memory: Option<Arc<dyn MemoryPool>>,
}

impl std::fmt::Debug for SessionInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionInfo")
            .field("user", &self.user)
            .field("search_path", &self.search_path)
            .finish_non_exhaustive()
    }
}

/// The catalog one session sees.
#[derive(Debug)]
pub struct CatalogModel {
    pub(crate) database: String,
    pub(crate) namespaces: Vec<Namespace>,
    pub(crate) relations: Vec<Relation>,
    pub(crate) functions: Vec<Arc<Function>>,
    pub(crate) roles: Vec<Role>,
    /// What everybody was granted.
    pub(crate) public: Rights,
    pub(crate) settings: Vec<Setting>,
    by_name: HashMap<(String, String), usize>,
    by_oid: HashMap<u32, usize>,
    by_row_type: HashMap<u32, usize>,
    by_array_type: HashMap<u32, usize>,
    taken: HashSet<u32>,
    pub(crate) rows: Mutex<HashMap<u32, Arc<Vec<Row>>>>,
}

/// Schemas with an OID of their own in every database.
const OWN_SCHEMAS: [&str; 4] = ["pg_catalog", "pg_toast", "public", "information_schema"];
/// OID of the schema `public` in every database.
pub(crate) const PUBLIC: u32 = 2200;
/// OID of the bootstrap role.
pub(crate) const OWNER: u32 = 10;

/// The OID an object hashes to, before collisions are resolved.
pub(crate) fn oid_of(kind: &str, schema: &str, name: &str) -> u32 {
    // FNV-1a: the same in every process and release.
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in kind
        .bytes()
        .chain([0])
        .chain(schema.bytes())
        .chain([0])
        .chain(name.bytes())
    {
        hash ^= u64::from(byte);
        hash = hash.wrapping_mul(0x0000_0100_0000_01b3);
    }
    let folded = (hash >> 32) ^ (hash & 0xffff_ffff);
    // Kept below 2^31: some drivers read an OID as a signed number.
    let span = u64::from(0x7fff_ffff - FIRST_USER_OID);
    u32::try_from(folded % span).unwrap_or(0) + FIRST_USER_OID
}

/// The OIDs of a system relation's row type and of the array over it; those that functions take have some in every
/// database.
fn row_types(schema: &str, name: &str) -> (u32, u32) {
    match (schema, name) {
        ("pg_catalog", "pg_type") => (71, 210),
        ("pg_catalog", "pg_attribute") => (75, 270),
        ("pg_catalog", "pg_proc") => (81, 272),
        ("pg_catalog", "pg_class") => (83, 273),
        _ => (oid_of("row", schema, name), oid_of("array", schema, name)),
    }
}

/// The hashed OID, moved on when it is taken. Objects must be added in name order for the outcome to be stable.
fn assign(taken: &mut HashSet<u32>, kind: &str, schema: &str, name: &str) -> u32 {
    let mut oid = oid_of(kind, schema, name);
    while !taken.insert(oid) {
        oid = if oid >= 0x7fff_fffe {
            FIRST_USER_OID
        } else {
            oid + 1
        };
    }
    oid
}

/// The OIDs that relations have in a [`CatalogModel`], told from their names alone: no relation is opened.
#[derive(Debug, Default)]
pub(crate) struct RelationOids(HashMap<String, HashMap<String, Oids>>);

/// The OIDs of a relation and of the type of its rows.
#[derive(Clone, Copy, Debug)]
struct Oids {
    relation: u32,
    row: u32,
}

impl RelationOids {
    /// The OIDs of PostgreSQL's own relations, and of these: schemas and the names in each, both in name order.
    pub(crate) fn of(schemas: impl IntoIterator<Item = (String, Vec<String>)>) -> RelationOids {
        let mut oids = RelationOids::default();
        let mut taken = HashSet::new();
        let mut known = HashSet::from(OWN_SCHEMAS);
        for system in &builtin().relations {
            let (schema, name) = (&system.schema, &system.name);
            let (row, array) = row_types(schema, name);
            taken.extend([system.oid, row, array]);
            let names = oids.0.entry(schema.clone()).or_default();
            let relation = system.oid;
            names.insert(name.clone(), Oids { relation, row });
        }
        for (schema, names) in schemas {
            if !known.remove(schema.as_str()) {
                assign(&mut taken, "schema", &schema, "");
            }
            let of_schema = oids.0.entry(schema.clone()).or_default();
            for name in names {
                let relation = assign(&mut taken, "relation", &schema, &name);
                let row = assign(&mut taken, "row", &schema, &name);
                assign(&mut taken, "array", &schema, &name);
                of_schema.insert(name, Oids { relation, row });
            }
        }
        oids
    }

    pub(crate) fn get(&self, schema: &str, name: &str) -> Option<u32> {
        Some(self.0.get(schema)?.get(name)?.relation)
    }

    /// The type of the rows of a relation.
    pub(crate) fn row_type(&self, schema: &str, name: &str) -> Option<u32> {
        Some(self.0.get(schema)?.get(name)?.row)
    }
}

impl CatalogModel {
    /// A catalog with PostgreSQL's own schemas and relations and nothing else.
    #[must_use]
    pub fn new(database: &str) -> Self {
        let namespace = |oid, name: &str, comment: &str| Namespace {
            oid,
            name: name.to_owned(),
            comment: Some(comment.to_owned()),
        };
        let mut model = Self {
            database: database.to_owned(),
            namespaces: vec![
                namespace(11, "pg_catalog", "system catalog schema"),
                namespace(99, "pg_toast", "reserved schema for TOAST tables"),
                namespace(PUBLIC, "public", "standard public schema"),
                Namespace {
                    oid: 13_000,
                    name: "information_schema".to_owned(),
                    comment: None,
                },
            ],
            relations: Vec::new(),
            functions: Vec::new(),
            roles: Vec::new(),
            public: Rights {
                granted: crate::roles::Public::default().access(),
                cohorts: false,
            },
            settings: Vec::new(),
            by_name: HashMap::new(),
            by_oid: HashMap::new(),
            by_row_type: HashMap::new(),
            by_array_type: HashMap::new(),
            taken: HashSet::new(),
            rows: Mutex::new(HashMap::new()),
        };
        for system in &builtin().relations {
            let columns = system
                .columns
                .iter()
                .map(|c| Column {
                    name: c.name.clone(),
                    ty: c.ty,
                    typmod: -1,
                    dimensions: usize::from(element_type(c.ty).is_some()),
                    not_null: c.not_null,
                    comment: None,
                    default: None,
                    identity: None,
                })
                .collect();
            let (row_type, array_type) = row_types(&system.schema, &system.name);
            model.insert(Relation {
                oid: system.oid,
                row_type,
                array_type,
                schema: system.schema.clone(),
                name: system.name.clone(),
                kind: system.kind,
                columns,
                rows: None,
                bytes: None,
                comment: None,
                definition: None,
                system: true,
                rules: RelationRules::default(),
            });
        }
        model
    }

    fn insert(&mut self, relation: Relation) {
        let at = self.relations.len();
        self.taken
            .extend([relation.oid, relation.row_type, relation.array_type]);
        self.by_name
            .insert((relation.schema.clone(), relation.name.clone()), at);
        self.by_oid.insert(relation.oid, at);
        self.by_row_type.insert(relation.row_type, at);
        self.by_array_type.insert(relation.array_type, at);
        self.relations.push(relation);
    }

    pub(crate) fn assign(&mut self, kind: &str, schema: &str, name: &str) -> u32 {
        assign(&mut self.taken, kind, schema, name)
    }

    /// Adds a schema unless it is there.
    pub fn add_schema(&mut self, name: &str, comment: Option<String>) {
        if let Some(known) = self.namespaces.iter_mut().find(|n| n.name == name) {
            known.comment = comment.or_else(|| known.comment.take());
            return;
        }
        let oid = self.assign("schema", name, "");
        self.namespaces.push(Namespace {
            oid,
            name: name.to_owned(),
            comment,
        });
    }

    /// Adds a table (`kind` 'r') or view ('v'); OIDs of the argument are ignored. Refused in PostgreSQL's own schemas.
    pub fn add_relation(&mut self, mut relation: Relation) {
        if matches!(
            relation.schema.as_str(),
            "pg_catalog" | "information_schema"
        ) {
            return;
        }
        self.add_schema(&relation.schema.clone(), None);
        relation.oid = self.assign("relation", &relation.schema, &relation.name);
        relation.row_type = self.assign("row", &relation.schema, &relation.name);
        relation.array_type = self.assign("array", &relation.schema, &relation.name);
        relation.system = false;
        self.insert(relation);
    }

    /// Adds a function shown by `\df`: schema, name, `f`/`a`/`w`, argument types, result type, whether it returns a set, description.
    #[expect(clippy::too_many_arguments, reason = "one column of pg_proc each")]
    pub fn add_function(
        &mut self,
        schema: &str,
        name: &str,
        kind: char,
        arguments: Vec<u32>,
        variadic: bool,
        result: u32,
        set: bool,
        description: Option<String>,
    ) {
        let key = format!("{name}({arguments:?})");
        let oid = self.assign("function", schema, &key);
        self.functions.push(Arc::new(Function {
            oid,
            schema: schema.to_owned(),
            name: name.to_owned(),
            kind,
            result,
            set,
            variadic: if variadic { oid::ANY } else { 0 },
            defaults: 0,
            volatility: 's',
            strict: false,
            arguments,
            all_arguments: Vec::new(),
            modes: String::new(),
            names: Vec::new(),
            description,
        }));
    }

    /// Adds a function whose arguments are known by name: name, type and whether it may be left out of each, and result, or
    /// the columns of the table that it returns. Shown by `\df` in schema `public`.
    pub fn add_documented(
        &mut self,
        name: &str,
        arguments: &[(&str, u32, bool)],
        result: u32,
        columns: &[(&str, u32)],
        description: &str,
    ) {
        let types: Vec<u32> = arguments.iter().map(|(_, ty, _)| *ty).collect();
        let oid = self.assign("function", "public", &format!("{name}({types:?})"));
        let named = arguments.iter().map(|(name, ..)| *name);
        let all = types
            .iter()
            .copied()
            .chain(columns.iter().map(|(_, ty)| *ty));
        let modes = std::iter::repeat_n('i', types.len());
        let of_table = !columns.is_empty();
        self.functions.push(Arc::new(Function {
            oid,
            schema: "public".to_owned(),
            name: name.to_owned(),
            kind: 'f',
            result,
            set: of_table || result == oid::RECORD,
            variadic: 0,
            defaults: arguments.iter().filter(|(.., optional)| *optional).count(),
            volatility: 's',
            strict: false,
            all_arguments: if of_table { all.collect() } else { Vec::new() },
            modes: match of_table {
                true => modes.chain(columns.iter().map(|_| 't')).collect(),
                false => String::new(),
            },
            names: named
                .chain(columns.iter().map(|(name, _)| *name))
                .map(str::to_owned)
                .collect(),
            arguments: types,
            description: Some(description.to_owned()),
        }));
    }

    /// Adds a role; the first one added owns everything.
    pub fn add_role(&mut self, name: &str, superuser: bool, login: bool) {
        if self.roles.iter().any(|r| r.name == name) {
            return;
        }
        let oid = if self.roles.is_empty() {
            OWNER
        } else {
            self.assign("role", name, "")
        };
        self.roles.push(Role {
            oid,
            name: name.to_owned(),
            superuser,
            login,
            access: None,
            rights: None,
        });
    }

    /// Says what a role may do, for questions about its privileges, and what of that it was granted itself.
    pub fn set_rights(&mut self, name: &str, access: Rights, own: Rights) {
        if let Some(role) = self.roles.iter_mut().find(|role| role.name == name) {
            role.access = Some(access);
            role.rights = Some(own);
        }
    }

    /// Says what everybody may do.
    pub fn set_public(&mut self, rights: Rights) {
        self.public = rights;
    }

    /// Adds or replaces a setting shown by `pg_settings`.
    pub fn add_setting(&mut self, name: &str, value: &str, description: &str) {
        self.settings.retain(|s| s.name != name);
        self.settings.push(Setting {
            name: name.to_owned(),
            value: value.to_owned(),
            description: description.to_owned(),
        });
    }

    pub(crate) fn relation_mut(&mut self, schema: &str, name: &str) -> Option<&mut Relation> {
        let at = self.by_name.get(&(schema.to_owned(), name.to_owned()))?;
        self.relations.get_mut(*at)
    }

    /// Adds an index as the relation that it is; it has no row type.
    pub(crate) fn insert_index(
        &mut self,
        table: &Relation,
        index: &IndexFacts,
        columns: Vec<Column>,
    ) {
        let at = self.relations.len();
        let key = (table.schema.clone(), index.name.clone());
        self.by_name.insert(key, at);
        self.by_oid.insert(index.oid, at);
        self.relations.push(Relation {
            oid: index.oid,
            row_type: 0,
            array_type: 0,
            schema: table.schema.clone(),
            name: index.name.clone(),
            kind: 'i',
            columns,
            rows: Some(0.0),
            bytes: None,
            comment: index.comment.clone(),
            definition: None,
            system: false,
            rules: RelationRules::default(),
        });
    }

    /// All relations, PostgreSQL's own included.
    #[must_use]
    pub fn relations(&self) -> &[Relation] {
        &self.relations
    }

    /// The relation with this OID.
    #[must_use]
    pub fn relation(&self, oid: u32) -> Option<&Relation> {
        self.by_oid.get(&oid).map(|i| &self.relations[*i])
    }

    /// The relation a possibly unqualified name means; `pg_catalog` is searched first.
    #[must_use]
    pub fn find_relation(
        &self,
        schema: Option<&str>,
        name: &str,
        search_path: &[String],
    ) -> Option<&Relation> {
        let get = |schema: &str| {
            self.by_name
                .get(&(schema.to_owned(), name.to_owned()))
                .map(|i| &self.relations[*i])
        };
        match schema {
            // The session's own, whatever its number.
            Some("pg_temp") => search_path
                .iter()
                .find(|s| is_temporary(s))
                .and_then(|s| get(s)),
            Some(schema) => get(schema),
            None => {
                let implicit = if search_path.iter().any(|s| s == "pg_catalog") {
                    None
                } else {
                    get("pg_catalog")
                };
                implicit.or_else(|| search_path.iter().find_map(|s| get(s)))
            }
        }
    }

    /// Whether the relation is what its bare name means.
    pub(crate) fn is_visible(&self, relation: &Relation, search_path: &[String]) -> bool {
        self.find_relation(None, &relation.name, search_path)
            .is_some_and(|r| r.oid == relation.oid)
    }

    pub(crate) fn namespace_oid(&self, name: &str) -> u32 {
        self.namespaces
            .iter()
            .find(|n| n.name == name)
            .map_or(0, |n| n.oid)
    }

    pub(crate) fn functions_named(&self, name: &str) -> Vec<Arc<Function>> {
        self.functions
            .iter()
            .filter(|f| f.name == name)
            .map(Arc::clone)
            .collect()
    }

    pub(crate) fn function(&self, oid: u32) -> Option<&Function> {
        builtin()
            .functions
            .iter()
            .find(|f| f.oid == oid)
            .or_else(|| {
                self.functions
                    .iter()
                    .find(|f| f.oid == oid)
                    .map(AsRef::as_ref)
            })
    }

    pub(crate) fn row_type(&self, ty: u32) -> Option<&Relation> {
        self.by_row_type.get(&ty).map(|i| &self.relations[*i])
    }

    pub(crate) fn type_name(&self, ty: u32) -> String {
        if ty == oid::UNKNOWN {
            "unknown".to_owned()
        } else {
            self.format_type(ty, None, &[])
        }
    }

    /// `format_type`: the SQL name of any type.
    pub(crate) fn format_type(
        &self,
        ty: u32,
        typmod: Option<i32>,
        search_path: &[String],
    ) -> String {
        let known = |r: &Relation, suffix: &str| {
            if self.is_visible(r, search_path) {
                format!("{}{suffix}", format::quote_ident(&r.name))
            } else {
                format!(
                    "{}.{}{suffix}",
                    format::quote_ident(&r.schema),
                    format::quote_ident(&r.name)
                )
            }
        };
        if ty == 0 {
            return "-".to_owned();
        }
        if let Some(relation) = self.row_type(ty) {
            return known(relation, "");
        }
        if let Some(relation) = self.by_array_type.get(&ty).map(|i| &self.relations[*i]) {
            return known(relation, "[]");
        }
        format::format_builtin(ty, typmod)
    }

    pub(crate) fn role(&self, name: &str) -> Result<&Role> {
        self.roles
            .iter()
            .find(|r| r.name == name)
            .ok_or_else(|| CatalogError::new("42704", format!("role \"{name}\" does not exist")))
    }
}
