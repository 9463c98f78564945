//! The definitions of the computed tables: which there are, and their columns in PostgreSQL 15's order.

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

macro_rules! tables {
    ($($schema:ident.$name:ident = $oid:literal $source:ident { $($column:ident $type:ident),* $(,)? })*) => {
        static TABLES: &[Definition] = &[$(
            Definition {
                oid: $oid,
                schema: stringify!($schema),
                name: stringify!($name),
                source: VirtualSource::$source,
                columns: &[$(column(stringify!($column), SqlType::$type)),*],
            }
        ),*];
    };
}

tables! {
    pg_catalog.pg_namespace = 2615 Catalog { oid Oid, nspname Name, nspowner Oid, nspacl TextArray }
}

impl VirtualTable {
    /// Every computed table.
    pub fn all() -> impl Iterator<Item = VirtualTable> {
        (0..TABLES.len()).map(|index| VirtualTable(index as u16))
    }

    /// One by its OID.
    pub fn from_oid(oid: u32) -> Option<VirtualTable> {
        VirtualTable::all().find(|table| table.oid() == oid)
    }

    fn definition(self) -> &'static Definition {
        &TABLES[usize::from(self.0)]
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
