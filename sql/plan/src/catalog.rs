//! A read-only picture of the schema at one version.
//!
//! A catalog never changes; [`Catalog::apply`] makes the next one and shares what did not change. Sessions hold one by `Arc` and plan against it; a plan
//! remembers the versions of the tables it names.

mod definition;
mod rows;
mod virtual_table;

pub use definition::quote_identifier;
pub use rows::catalog_rows;
pub use virtual_table::{VirtualColumn, VirtualSource, VirtualTable};

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use functions::{CatalogFunctions, EvalError, NoCatalog};
use types::Value;
use types::schema::SequenceSchema;
use types::{SchemaVersion, TableId, TableSchema};

/// The first id of a table made by a user; lower ones are the system's.
pub const USER_ID_FIRST: u32 = 16_384;
/// The OID of a primary key's index is its table's plus this.
const PRIMARY_INDEX_OFFSET: u32 = 0x4000_0000;
/// OIDs of the schemas every database has.
const PG_CATALOG_OID: u32 = 11;
const PUBLIC_OID: u32 = 2_200;
const INFORMATION_SCHEMA_OID: u32 = 13_000;
const RINGFENCE_OID: u32 = 13_001;

/// A role that can log in.
#[derive(Clone, PartialEq, Eq)]
pub struct Role {
    /// `pg_authid.oid`
    pub oid: u32,
    /// Name.
    pub name: Box<str>,
    /// May do everything.
    pub superuser: bool,
    /// May connect.
    pub login: bool,
    /// SCRAM verifier.
    pub verifier: Option<Box<str>>,
}

impl core::fmt::Debug for Role {
    /// A verifier is never printed.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Role")
            .field("oid", &self.oid)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// What a qualified name means.
#[derive(Clone, Debug)]
pub enum Relation {
    /// A table.
    Table(Arc<TableSchema>),
    /// A sequence.
    Sequence(Arc<SequenceSchema>),
    /// An index, by its table and its place there.
    Index {
        /// Its table.
        table: Arc<TableSchema>,
        /// Into `TableSchema::indexes`.
        index: usize,
    },
    /// The index of a primary key.
    PrimaryIndex(Arc<TableSchema>),
    /// A computed table.
    Virtual(VirtualTable),
}

impl Relation {
    /// `pg_class.oid`
    pub fn oid(&self) -> u32 {
        match self {
            Relation::Table(table) => table.table_id.0,
            Relation::Sequence(sequence) => sequence.sequence_id.0,
            Relation::Index { table, index } => table.indexes[*index].index_id.0,
            Relation::PrimaryIndex(table) => primary_index_oid(table.table_id),
            Relation::Virtual(table) => table.oid(),
        }
    }

    /// Name of its schema and its own.
    pub fn name(&self) -> (&str, &str) {
        match self {
            Relation::Table(table) => (&table.namespace, &table.name),
            Relation::Sequence(sequence) => (&sequence.namespace, &sequence.name),
            Relation::Index { table, index } => (&table.namespace, &table.indexes[*index].name),
            Relation::PrimaryIndex(table) => {
                (&table.namespace, table.primary_key.as_deref().unwrap_or(&table.name))
            }
            Relation::Virtual(table) => (table.schema(), table.name()),
        }
    }
}

/// OID of the index of a table's primary key.
pub const fn primary_index_oid(table_id: TableId) -> u32 {
    table_id.0 + PRIMARY_INDEX_OFFSET
}

/// One step from a catalog to the next.
#[derive(Clone, Debug)]
pub enum CatalogChange {
    /// A table is made or replaced.
    PutTable(Arc<TableSchema>),
    /// A table is no more, nor its indexes.
    DropTable(TableId),
    /// A sequence is made or replaced.
    PutSequence(Arc<SequenceSchema>),
    /// A sequence is no more.
    DropSequence(TableId),
    /// A schema is made.
    PutSchema {
        /// Name.
        name: Box<str>,
        /// `pg_namespace.oid`
        oid: u32,
    },
    /// A schema is no more; nothing is in it.
    DropSchema(Box<str>),
    /// A role is made or replaced.
    PutRole(Role),
    /// A role is no more.
    DropRole(Box<str>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Named {
    Table(TableId),
    Sequence(TableId),
    Index(TableId, u32),
    PrimaryIndex(TableId),
    Virtual(VirtualTable),
}

#[derive(Clone, Debug)]
struct Namespace {
    oid: u32,
    names: Arc<BTreeMap<Box<str>, Named>>,
}

/// The schema at one version.
#[derive(Clone, Debug)]
pub struct Catalog {
    version: SchemaVersion,
    namespaces: BTreeMap<Box<str>, Namespace>,
    tables: BTreeMap<TableId, Arc<TableSchema>>,
    sequences: BTreeMap<TableId, Arc<SequenceSchema>>,
    roles: BTreeMap<Box<str>, Role>,
}

impl Catalog {
    /// What a fresh data directory has: the system's schemas and `public`, no table, no role.
    pub fn initial() -> Catalog {
        let mut namespaces = BTreeMap::new();
        for (name, oid) in [
            ("pg_catalog", PG_CATALOG_OID),
            ("public", PUBLIC_OID),
            ("information_schema", INFORMATION_SCHEMA_OID),
            ("ringfence", RINGFENCE_OID),
        ] {
            let mut names = BTreeMap::new();
            for table in VirtualTable::all().filter(|table| table.schema() == name) {
                names.insert(table.name().into(), Named::Virtual(table));
            }
            namespaces.insert(name.into(), Namespace { oid, names: Arc::new(names) });
        }
        Catalog {
            version: SchemaVersion(0),
            namespaces,
            tables: BTreeMap::new(),
            sequences: BTreeMap::new(),
            roles: BTreeMap::new(),
        }
    }

    /// Grows with every change.
    pub const fn version(&self) -> SchemaVersion {
        self.version
    }

    /// The next catalog. Changes apply in order; the caller has checked them against this catalog (see `crate::ddl`).
    ///
    /// # Panics
    /// If a change names a schema that does not exist.
    pub fn apply(&self, version: SchemaVersion, changes: &[CatalogChange]) -> Catalog {
        let mut next = self.clone();
        next.version = version;
        for change in changes {
            next.apply_one(change);
        }
        next
    }

    fn apply_one(&mut self, change: &CatalogChange) {
        match change {
            CatalogChange::PutTable(table) => {
                self.forget_table(table.table_id);
                let id = table.table_id;
                self.put_name(&table.namespace, &table.name, Named::Table(id));
                if let Some(name) = &table.primary_key {
                    self.put_name(&table.namespace, name, Named::PrimaryIndex(id));
                }
                for (position, index) in table.indexes.iter().enumerate() {
                    self.put_name(&table.namespace, &index.name, Named::Index(id, position as u32));
                }
                self.tables.insert(id, table.clone());
            }
            CatalogChange::DropTable(id) => self.forget_table(*id),
            CatalogChange::PutSequence(sequence) => {
                self.forget_sequence(sequence.sequence_id);
                let named = Named::Sequence(sequence.sequence_id);
                self.put_name(&sequence.namespace, &sequence.name, named);
                self.sequences.insert(sequence.sequence_id, sequence.clone());
            }
            CatalogChange::DropSequence(id) => self.forget_sequence(*id),
            CatalogChange::PutSchema { name, oid } => {
                let namespace = Namespace { oid: *oid, names: Arc::new(BTreeMap::new()) };
                self.namespaces.entry(name.clone()).or_insert(namespace);
            }
            CatalogChange::DropSchema(name) => {
                self.namespaces.remove(name);
            }
            CatalogChange::PutRole(role) => {
                self.roles.insert(role.name.clone(), role.clone());
            }
            CatalogChange::DropRole(name) => {
                self.roles.remove(name);
            }
        }
    }

    fn put_name(&mut self, namespace: &str, name: &str, named: Named) {
        let namespace = self.namespaces.get_mut(namespace).expect("the schema exists");
        Arc::make_mut(&mut namespace.names).insert(name.into(), named);
    }

    fn forget_names(&mut self, namespace: &str, is_gone: impl Fn(&Named) -> bool) {
        if let Some(namespace) = self.namespaces.get_mut(namespace) {
            Arc::make_mut(&mut namespace.names).retain(|_, named| !is_gone(named));
        }
    }

    fn forget_table(&mut self, id: TableId) {
        if let Some(table) = self.tables.remove(&id) {
            self.forget_names(&table.namespace, |named| {
                matches!(named, Named::Table(found) | Named::Index(found, _)
                    | Named::PrimaryIndex(found) if *found == id)
            });
        }
    }

    fn forget_sequence(&mut self, id: TableId) {
        if let Some(sequence) = self.sequences.remove(&id) {
            self.forget_names(
                &sequence.namespace,
                |named| matches!(named, Named::Sequence(found) if *found == id),
            );
        }
    }

    /// A relation by its qualified name.
    pub fn relation(&self, namespace: &str, name: &str) -> Option<Relation> {
        let named = *self.namespaces.get(namespace)?.names.get(name)?;
        Some(match named {
            Named::Table(id) => Relation::Table(self.tables.get(&id)?.clone()),
            Named::Sequence(id) => Relation::Sequence(self.sequences.get(&id)?.clone()),
            Named::Index(id, index) => {
                Relation::Index { table: self.tables.get(&id)?.clone(), index: index as usize }
            }
            Named::PrimaryIndex(id) => Relation::PrimaryIndex(self.tables.get(&id)?.clone()),
            Named::Virtual(table) => Relation::Virtual(table),
        })
    }

    /// A relation by an unqualified name: `pg_catalog` first, then the search path in order.
    pub fn find(&self, search_path: &SearchPath, name: &str) -> Option<Relation> {
        search_path.effective().find_map(|namespace| self.relation(namespace, name))
    }

    /// A relation by `pg_class.oid`.
    pub fn relation_by_oid(&self, oid: u32) -> Option<Relation> {
        if let Some(table) = self.tables.get(&TableId(oid)) {
            return Some(Relation::Table(table.clone()));
        }
        if let Some(sequence) = self.sequences.get(&TableId(oid)) {
            return Some(Relation::Sequence(sequence.clone()));
        }
        if let Some(table) = VirtualTable::from_oid(oid) {
            return Some(Relation::Virtual(table));
        }
        if oid >= PRIMARY_INDEX_OFFSET {
            let table = self.tables.get(&TableId(oid - PRIMARY_INDEX_OFFSET))?;
            return table.primary_key.is_some().then(|| Relation::PrimaryIndex(table.clone()));
        }
        self.tables.values().find_map(|table| {
            let index = table.indexes.iter().position(|index| index.index_id.0 == oid)?;
            Some(Relation::Index { table: table.clone(), index })
        })
    }

    /// A table by id.
    pub fn table(&self, id: TableId) -> Option<&Arc<TableSchema>> {
        self.tables.get(&id)
    }

    /// A sequence by id.
    pub fn sequence(&self, id: TableId) -> Option<&Arc<SequenceSchema>> {
        self.sequences.get(&id)
    }

    /// All tables by id.
    pub fn tables(&self) -> impl Iterator<Item = &Arc<TableSchema>> {
        self.tables.values()
    }

    /// All sequences by id.
    pub fn sequences(&self) -> impl Iterator<Item = &Arc<SequenceSchema>> {
        self.sequences.values()
    }

    /// All schemas: name and `pg_namespace.oid`.
    pub fn schemas(&self) -> impl Iterator<Item = (&str, u32)> {
        self.namespaces.iter().map(|(name, namespace)| (&**name, namespace.oid))
    }

    /// `pg_namespace.oid`
    pub fn schema_oid(&self, name: &str) -> Option<u32> {
        self.namespaces.get(name).map(|namespace| namespace.oid)
    }

    /// Whether nothing is in a schema.
    pub fn schema_is_empty(&self, name: &str) -> bool {
        self.namespaces.get(name).is_none_or(|namespace| namespace.names.is_empty())
    }

    /// A role by name.
    pub fn role(&self, name: &str) -> Option<&Role> {
        self.roles.get(name)
    }

    /// All roles by name.
    pub fn roles(&self) -> impl Iterator<Item = &Role> {
        self.roles.values()
    }

    /// Whether the tables and sequences are still at the versions that a plan was made at.
    pub fn still_at(&self, versions: &[(TableId, SchemaVersion)]) -> bool {
        versions.iter().all(|(id, version)| {
            self.tables.get(id).is_some_and(|table| table.version == *version)
                || self.sequences.get(id).is_some_and(|sequence| sequence.version == *version)
        })
    }
}

/// Where unqualified names are looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchPath {
    /// Schemas in order, `"$user"` replaced by the user's name.
    schemas: Vec<Box<str>>,
    /// Whether `pg_catalog` is named in it; otherwise it comes first.
    names_system: bool,
}

impl SearchPath {
    /// From the elements of the setting.
    pub fn new(elements: impl IntoIterator<Item = Box<str>>, user: &str) -> SearchPath {
        let schemas: Vec<Box<str>> = elements
            .into_iter()
            .map(|element| if &*element == "$user" { user.into() } else { element })
            .collect();
        let names_system = schemas.iter().any(|schema| &**schema == "pg_catalog");
        SearchPath { schemas, names_system }
    }

    /// Every schema looked into, in order.
    pub fn effective(&self) -> impl Iterator<Item = &str> {
        let system = (!self.names_system).then_some("pg_catalog");
        system.into_iter().chain(self.schemas.iter().map(|schema| &**schema))
    }

    /// Where a new relation goes: the first schema that exists.
    pub fn creation<'a>(&'a self, catalog: &Catalog) -> Option<&'a str> {
        self.schemas
            .iter()
            .map(|schema| &**schema)
            .find(|schema| catalog.schema_oid(schema).is_some())
    }
}

impl Default for SearchPath {
    /// `"$user", public`, for a user without a schema of his own.
    fn default() -> SearchPath {
        SearchPath { schemas: alloc::vec!["public".into()], names_system: false }
    }
}

/// Names of relations as `regclass` reads and prints them.
#[derive(Clone, Copy, Debug)]
pub struct RelationNames<'a> {
    /// The schema.
    pub catalog: &'a Catalog,
    /// Where unqualified names are looked for.
    pub search_path: &'a SearchPath,
}

impl CatalogFunctions for RelationNames<'_> {
    fn call(&self, function: &'static str, arguments: &[&Value]) -> Result<Value, EvalError> {
        NoCatalog.call(function, arguments)
    }

    fn find_relation(&self, name: &str) -> Option<u32> {
        let parts = split_name(name)?;
        let found = match parts.as_slice() {
            [name] => self.catalog.find(self.search_path, name),
            [schema, name] => self.catalog.relation(schema, name),
            _ => None,
        };
        found.map(|relation| relation.oid())
    }

    fn relation_name(&self, oid: u32) -> Option<Box<str>> {
        let relation = self.catalog.relation_by_oid(oid)?;
        let (schema, name) = relation.name();
        let visible = self.catalog.find(self.search_path, name);
        let quoted = quote_identifier(name);
        if visible.is_some_and(|found| found.oid() == oid) {
            return Some(quoted.into());
        }
        Some(alloc::format!("{}.{quoted}", quote_identifier(schema)).into())
    }
}

/// The parts of a name as written in SQL; nothing if it is no name.
fn split_name(text: &str) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    let mut rest = text.trim();
    loop {
        let part;
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut name = String::new();
            let mut characters = quoted.char_indices();
            let end = loop {
                match characters.next()? {
                    (at, '"') if quoted[at + 1..].starts_with('"') => {
                        name.push('"');
                        characters.next();
                    }
                    (at, '"') => break at + 1,
                    (_, character) => name.push(character),
                }
            };
            part = name;
            rest = quoted[end..].trim_start();
        } else {
            let end = rest.find('.').unwrap_or(rest.len());
            part = rest[..end].trim_end().to_ascii_lowercase();
            rest = &rest[end..];
        }
        if part.is_empty() {
            return None;
        }
        parts.push(part);
        match rest.strip_prefix('.') {
            Some(after) => rest = after.trim_start(),
            None if rest.is_empty() => return Some(parts),
            None => return None,
        }
    }
}
