//! What surrounds relations: schemas, databases, roles, tablespaces.

use super::cell::{NO, NULL, Row, YES, char, oid, text};
use super::owner;
use crate::catalog::{Catalog, Role};
use alloc::vec;
use alloc::vec::Vec;
use types::Value;

/// The databases that a node answers to: the same one, under two names.
const DATABASES: [(u32, &str); 2] = [(5, "postgres"), (6, super::DATABASE)];
const DEFAULT_TABLESPACE: u32 = 1663;
const GLOBAL_TABLESPACE: u32 = 1664;
/// `pg_char_to_encoding('UTF8')`
const UTF8: i32 = 6;
const NO_LIMIT: Value = Value::Int4(-1);

pub(super) fn pg_namespace(catalog: &Catalog) -> Vec<Row> {
    let owner = owner(catalog);
    catalog.schemas().map(|(name, schema)| vec![oid(schema), text(name), oid(owner)]).collect()
}

pub(super) fn pg_database(catalog: &Catalog) -> Vec<Row> {
    let row = |(database, name): (u32, &str)| {
        vec![
            oid(database),
            text(name),
            oid(owner(catalog)),
            Value::Int4(UTF8),
            char('c'),
            NO,
            YES,
            NO_LIMIT,
            oid(0),
            oid(0),
            oid(DEFAULT_TABLESPACE),
            text("C"),
            text("C"),
        ]
    };
    DATABASES.into_iter().map(row).collect()
}

pub(super) fn pg_tablespace(catalog: &Catalog) -> Vec<Row> {
    let owner = oid(owner(catalog));
    vec![
        vec![oid(DEFAULT_TABLESPACE), text("pg_default"), owner.clone()],
        vec![oid(GLOBAL_TABLESPACE), text("pg_global"), owner],
    ]
}

/// Verifiers are shown to nobody.
fn password(role: &Role) -> Value {
    if role.verifier.is_some() { text("********") } else { NULL }
}

pub(super) fn pg_authid(catalog: &Catalog) -> Vec<Row> {
    let row = |role: &Role| {
        let superuser = Value::Bool(role.superuser);
        vec![
            oid(role.oid),
            text(&role.name),
            superuser.clone(),
            YES,
            superuser.clone(),
            superuser.clone(),
            Value::Bool(role.login),
            superuser.clone(),
            superuser,
            NO_LIMIT,
            password(role),
            NULL,
        ]
    };
    catalog.roles().map(row).collect()
}

pub(super) fn pg_roles(catalog: &Catalog) -> Vec<Row> {
    let row = |role: &Role| {
        let superuser = Value::Bool(role.superuser);
        vec![
            text(&role.name),
            superuser.clone(),
            YES,
            superuser.clone(),
            superuser.clone(),
            Value::Bool(role.login),
            superuser.clone(),
            NO_LIMIT,
            text("********"),
            NULL,
            superuser,
            NULL,
            oid(role.oid),
        ]
    };
    catalog.roles().map(row).collect()
}

/// Roles that may connect.
pub(super) fn pg_user(catalog: &Catalog) -> Vec<Row> {
    let row = |role: &Role| {
        let superuser = Value::Bool(role.superuser);
        vec![
            text(&role.name),
            oid(role.oid),
            superuser.clone(),
            superuser.clone(),
            superuser.clone(),
            superuser,
            text("********"),
        ]
    };
    catalog.roles().filter(|role| role.login).map(row).collect()
}
