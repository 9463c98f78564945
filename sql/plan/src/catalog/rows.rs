//! The rows of the computed tables that the catalog alone decides.
//!
//! What a table says of things that Ringfence does not have (triggers, policies, publications, …) is true: it is empty. What is not known here, such as
//! counts of reads, is NULL.

mod cell;
mod database;
mod information_schema;
mod relation;
mod routine;
mod type_table;
mod view;

use super::{Catalog, VirtualTable};
use cell::Row;

/// OID of the role that owns what nobody was named for.
const BOOTSTRAP_ROLE_OID: u32 = 10;
/// `pg_am.oid` of tables and of indexes.
const HEAP_OID: u32 = 2;
const BTREE_OID: u32 = 403;
/// The database that a node serves.
const DATABASE: &str = "ringfence";

/// The rows of a computed table whose source is [`super::VirtualSource::Catalog`]; none of another.
pub fn catalog_rows(table: VirtualTable, catalog: &Catalog) -> alloc::vec::Vec<Row> {
    let mut rows = match (table.schema(), table.name()) {
        ("pg_catalog", name) => system_rows(name, catalog),
        ("information_schema", name) => information_schema::rows(name, catalog),
        _ => alloc::vec::Vec::new(),
    };
    // What is known of a row comes first; the rest is not known.
    for row in &mut rows {
        row.resize(table.columns().len(), types::Value::Null);
    }
    rows
}

fn system_rows(name: &str, catalog: &Catalog) -> alloc::vec::Vec<Row> {
    match name {
        "pg_am" => routine::pg_am(),
        "pg_amop" => routine::pg_amop(),
        "pg_amproc" => routine::pg_amproc(),
        "pg_attrdef" => relation::pg_attrdef(catalog),
        "pg_attribute" => relation::pg_attribute(catalog),
        "pg_authid" => database::pg_authid(catalog),
        "pg_cast" => routine::pg_cast(),
        "pg_class" => relation::pg_class(catalog),
        "pg_collation" => routine::pg_collation(catalog),
        "pg_constraint" => relation::pg_constraint(catalog),
        "pg_database" => database::pg_database(catalog),
        "pg_depend" => relation::pg_depend(catalog),
        "pg_index" => relation::pg_index(catalog),
        "pg_indexes" => view::pg_indexes(catalog),
        "pg_language" => routine::pg_language(catalog),
        "pg_namespace" => database::pg_namespace(catalog),
        "pg_opclass" => routine::pg_opclass(catalog),
        "pg_operator" => routine::pg_operator(catalog),
        "pg_opfamily" => routine::pg_opfamily(catalog),
        "pg_proc" => routine::pg_proc(catalog),
        "pg_roles" => database::pg_roles(catalog),
        "pg_sequence" => relation::pg_sequence(catalog),
        "pg_sequences" => view::pg_sequences(catalog),
        "pg_shadow" | "pg_user" => database::pg_user(catalog),
        "pg_stat_all_indexes" => view::pg_stat_indexes(catalog),
        "pg_stat_all_tables" => view::pg_stat_tables(catalog, true),
        "pg_stat_user_indexes" => view::pg_stat_indexes(catalog),
        "pg_stat_user_tables" => view::pg_stat_tables(catalog, false),
        "pg_tables" => view::pg_tables(catalog),
        "pg_tablespace" => database::pg_tablespace(catalog),
        "pg_type" => type_table::pg_type(catalog),
        _ => alloc::vec::Vec::new(),
    }
}

/// OID of the role that owns everything: the first superuser.
fn owner(catalog: &Catalog) -> u32 {
    let superusers = catalog.roles().filter(|role| role.superuser);
    superusers.map(|role| role.oid).min().unwrap_or(BOOTSTRAP_ROLE_OID)
}

/// Its name.
fn owner_name(catalog: &Catalog) -> &str {
    let superusers = catalog.roles().filter(|role| role.superuser);
    superusers.min_by_key(|role| role.oid).map_or(DATABASE, |role| &role.name)
}

/// OID of the schema of a relation.
fn schema_oid(catalog: &Catalog, name: &str) -> u32 {
    catalog.schema_oid(name).unwrap_or(0)
}

#[cfg(test)]
mod tests;
