//! The definitions of the computed tables: which there are, and their columns in PostgreSQL 15's order.
//!
//! Types that we do not have stand as the nearest that prints alike: `xid` is `oid`, `pg_node_tree`, `inet` and `pg_lsn` are `text`, `"char"[]`, `name[]`,
//! `aclitem[]` and `anyarray` are `text[]`, `int2vector` is `smallint[]`, `oidvector` and `regtype[]` are `oid[]`, a domain is its base type.

use types::SqlType;

/// A computed table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VirtualTable(u16);

/// A column of a computed table.
#[derive(Clone, Copy, Debug)]
pub struct VirtualColumn {
    /// Name.
    pub name: &'static str,
    /// Type.
    pub sql_type: SqlType,
}

/// Who gives the rows of a computed table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VirtualSource {
    /// A function of the catalog: `crate::catalog_rows`.
    Catalog,
    /// The session and the node: settings, activity, what runs.
    Session,
}

struct Definition {
    oid: u32,
    schema: &'static str,
    name: &'static str,
    source: VirtualSource,
    columns: &'static [VirtualColumn],
}

const fn column(name: &'static str, sql_type: SqlType) -> VirtualColumn {
    VirtualColumn { name, sql_type }
}

/// `schema.name = oid source { column Type, … }`, in ascending order of OIDs.
macro_rules! tables {
    ($($schema:ident.$name:ident = $oid:literal $source:ident { $($column:ident $type:ident),* $(,)? })*) => {
        pub(super) static TABLES: &[super::Definition] = &[$(
            super::Definition {
                oid: $oid,
                schema: stringify!($schema),
                name: stringify!($name),
                source: super::VirtualSource::$source,
                columns: &[$(super::column(stringify!($column), types::SqlType::$type)),*],
            }
        ),*];
    };
}

mod information_schema;
mod ringfence;
mod system;

/// In ascending order of OIDs, each and within each.
static GROUPS: [&[Definition]; 3] = [system::TABLES, information_schema::TABLES, ringfence::TABLES];

impl VirtualTable {
    /// Every computed table.
    pub fn all() -> impl Iterator<Item = VirtualTable> {
        let count: usize = GROUPS.iter().map(|group| group.len()).sum();
        (0..count).map(|index| VirtualTable(index as u16))
    }

    /// One by its OID.
    pub fn from_oid(oid: u32) -> Option<VirtualTable> {
        VirtualTable::all().find(|table| table.oid() == oid)
    }

    fn definition(self) -> &'static Definition {
        let mut index = usize::from(self.0);
        for group in GROUPS {
            match group.get(index) {
                Some(definition) => return definition,
                None => index -= group.len(),
            }
        }
        unreachable!("a computed table is made by `all` only");
    }

    /// `pg_class.oid`
    pub fn oid(self) -> u32 {
        self.definition().oid
    }

    /// Its schema.
    pub fn schema(self) -> &'static str {
        self.definition().schema
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        self.definition().name
    }

    /// Who gives its rows.
    pub fn source(self) -> VirtualSource {
        self.definition().source
    }

    /// Its columns.
    pub fn columns(self) -> &'static [VirtualColumn] {
        self.definition().columns
    }
}
