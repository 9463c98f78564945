//! What things of the catalog look like as SQL text, and the OIDs of those that have no id of their own.
//!
//! A constraint and a default are parts of their table, so their OIDs are derived: a primary key's from its table's, those of checks and defaults from their
//! place among all of them. They are the same for everybody who looks at one version of the catalog.

use super::{Catalog, Relation, primary_index_oid};
use crate::parse::keyword::{Category, Keyword};
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use types::key::{KeyOrder, Nulls};
use types::schema::{CheckSchema, Generation, KeyColumn};
use types::{ColumnSchema, TableId, TableSchema};

/// The OID of a primary key's constraint is its table's plus this.
const PRIMARY_CONSTRAINT_OFFSET: u32 = 0x8000_0000;
/// Checks and defaults are numbered from here.
const NUMBERED_OIDS_FIRST: u32 = 0xC000_0000;

/// A constraint, as `pg_constraint` has it.
pub(super) struct Constraint<'a> {
    pub(super) oid: u32,
    pub(super) table: &'a Arc<TableSchema>,
    pub(super) name: &'a str,
    pub(super) kind: ConstraintKind<'a>,
}

/// What a constraint demands.
#[derive(Clone, Copy)]
pub(super) enum ConstraintKind<'a> {
    PrimaryKey,
    Check(&'a CheckSchema),
}

/// The DEFAULT of a column, as `pg_attrdef` has it.
pub(super) struct Default<'a> {
    pub(super) oid: u32,
    pub(super) table: &'a Arc<TableSchema>,
    pub(super) column: &'a ColumnSchema,
    pub(super) text: String,
}

impl Constraint<'_> {
    /// What `pg_get_constraintdef` prints.
    fn text(&self) -> String {
        match self.kind {
            ConstraintKind::PrimaryKey => {
                format!("PRIMARY KEY ({})", key_names(self.table, &self.table.key).join(", "))
            }
            ConstraintKind::Check(check) => {
                format!("CHECK (({}))", without_parentheses(&check.expression))
            }
        }
    }

    /// The columns that it names, as numbers of `pg_attribute`.
    pub(super) fn columns(&self) -> Vec<i16> {
        match self.kind {
            ConstraintKind::PrimaryKey => key_numbers(self.table, &self.table.key),
            ConstraintKind::Check(check) => named_columns(self.table, &check.expression),
        }
    }

    /// OID of the index that keeps it.
    pub(super) fn index_oid(&self) -> u32 {
        match self.kind {
            ConstraintKind::PrimaryKey => primary_index_oid(self.table.table_id),
            ConstraintKind::Check(_) => 0,
        }
    }
}

impl Catalog {
    /// All constraints, primary keys and checks.
    pub(super) fn constraints(&self) -> impl Iterator<Item = Constraint<'_>> {
        let mut oid = NUMBERED_OIDS_FIRST;
        self.tables().flat_map(move |table| {
            let primary_key = table.primary_key.as_deref().map(|name| Constraint {
                oid: primary_constraint_oid(table.table_id),
                table,
                name,
                kind: ConstraintKind::PrimaryKey,
            });
            let first = oid;
            oid += table.checks.len() as u32;
            let checks = table.checks.iter().zip(first..).map(move |(check, oid)| Constraint {
                oid,
                table,
                name: &check.name,
                kind: ConstraintKind::Check(check),
            });
            primary_key.into_iter().chain(checks)
        })
    }

    /// All defaults, those of serial columns included.
    pub(super) fn defaults(&self) -> impl Iterator<Item = Default<'_>> {
        let columns = self
            .tables()
            .flat_map(|table| table.visible_columns().map(move |(_, column)| (table, column)));
        columns
            .filter_map(|(table, column)| Some((table, column, self.default_text(column)?)))
            .zip(NUMBERED_OIDS_FIRST..)
            .map(|((table, column, text), oid)| Default { oid, table, column, text })
    }

    /// What `pg_get_expr` prints of a column's default; nothing for an identity column, whose sequence is no default.
    pub(super) fn default_text(&self, column: &ColumnSchema) -> Option<String> {
        match &column.sequence {
            Some(sequence) if sequence.generation != Generation::Serial => return None,
            _ => {}
        }
        if let Some(text) = &column.default {
            return Some((**text).to_owned());
        }
        let sequence = self.sequence(column.sequence?.sequence_id)?;
        let name = qualified_unless_public(&sequence.namespace, &sequence.name);
        Some(format!("nextval('{}'::regclass)", name.replace('\'', "''")))
    }

    /// What `pg_get_constraintdef` prints of the constraint with this OID.
    pub fn constraint(&self, oid: u32) -> Option<String> {
        self.constraints().find(|constraint| constraint.oid == oid).map(|found| found.text())
    }

    /// What `pg_get_indexdef` prints of the index with this OID.
    pub fn index_definition(&self, oid: u32) -> Option<String> {
        let (table, key, name, unique) = match self.relation_by_oid(oid)? {
            Relation::Index { table, index } => {
                let index = table.indexes[index].clone();
                (table, index.columns, index.name, "")
            }
            Relation::PrimaryIndex(table) => {
                let (key, name) = (table.key.clone(), table.primary_key.clone()?);
                (table, key, name, "UNIQUE ")
            }
            _ => return None,
        };
        let columns: Vec<String> = key_names(&table, &key)
            .into_iter()
            .zip(&key)
            .map(|(name, column)| format!("{name}{}", order_text(column.order)))
            .collect();
        Some(format!(
            "CREATE {unique}INDEX {} ON {}.{} USING btree ({})",
            quote_identifier(&name),
            quote_identifier(&table.namespace),
            quote_identifier(&table.name),
            columns.join(", ")
        ))
    }
}

/// OID of the constraint of a table's primary key.
fn primary_constraint_oid(table_id: TableId) -> u32 {
    table_id.0 + PRIMARY_CONSTRAINT_OFFSET
}

/// `pg_attribute.attnum`
pub(super) fn column_number(column: &ColumnSchema) -> i16 {
    column.id.0 as i16 + 1
}

/// The numbers of the columns of a key.
pub(super) fn key_numbers(table: &TableSchema, key: &[KeyColumn]) -> Vec<i16> {
    key.iter().map(|key| column_number(&table.columns[usize::from(key.position)])).collect()
}

fn key_names(table: &TableSchema, key: &[KeyColumn]) -> Vec<String> {
    key.iter().map(|key| quote_identifier(&table.columns[usize::from(key.position)].name)).collect()
}

/// Whether NULLs come first in an index; where there are none it is what the direction implies.
pub(super) fn nulls_first(order: KeyOrder) -> bool {
    match order.nulls {
        Nulls::Never => order.descending,
        Nulls::First => true,
        Nulls::Last => false,
    }
}

fn order_text(order: KeyOrder) -> &'static str {
    match (order.descending, nulls_first(order)) {
        (false, false) => "",
        (false, true) => " NULLS FIRST",
        (true, true) => " DESC",
        (true, false) => " DESC NULLS LAST",
    }
}

/// A name as SQL text: quoted if it must be.
pub fn quote_identifier(name: &str) -> String {
    let starts_plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    let is_plain = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    let is_free =
        Keyword::find(name).is_none_or(|keyword| keyword.category() == Category::Unreserved);
    if starts_plain && is_plain && is_free {
        name.to_owned()
    } else {
        format!("\"{}\"", name.replace('"', "\"\""))
    }
}

fn qualified_unless_public(namespace: &str, name: &str) -> String {
    let name = quote_identifier(name);
    if namespace == "public" { name } else { format!("{}.{name}", quote_identifier(namespace)) }
}

/// An expression without the parentheses that enclose all of it.
pub(super) fn without_parentheses(text: &str) -> &str {
    let trimmed = text.trim();
    let Some(inside) = trimmed.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) else {
        return trimmed;
    };
    let mut depth = 0i32;
    let mut quote = None;
    for c in inside.chars() {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '(') => depth += 1,
            (None, ')') => depth -= 1,
            (None, _) => {}
        }
        if depth < 0 {
            return trimmed;
        }
    }
    without_parentheses(inside)
}

/// The columns of a table that an expression names.
fn named_columns(table: &TableSchema, expression: &str) -> Vec<i16> {
    let words = words(expression);
    table
        .visible_columns()
        .filter(|(_, column)| words.iter().any(|word| **word == *column.name))
        .map(|(_, column)| column_number(column))
        .collect()
}

/// The names in an expression: not those of functions, nor what stands in a string.
fn words(expression: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = expression;
    while let Some(c) = rest.chars().next() {
        let length = match c {
            '\'' => rest[1..].find('\'').map_or(rest.len(), |end| end + 2),
            '"' => {
                let end = rest[1..].find('"').map_or(rest.len() - 1, |end| end);
                words.push(rest[1..=end].to_owned());
                (end + 2).min(rest.len())
            }
            c if c.is_alphabetic() || c == '_' => {
                let is_word = |c: char| c.is_alphanumeric() || c == '_';
                let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
                if !rest[length..].trim_start().starts_with('(') {
                    words.push(rest[..length].to_lowercase());
                }
                length
            }
            c if c.is_numeric() => rest.find(|c: char| !c.is_alphanumeric()).unwrap_or(rest.len()),
            ':' => {
                let cast = rest.trim_start_matches(':').trim_start();
                let word = cast.find(|c: char| !c.is_alphanumeric()).unwrap_or(cast.len());
                rest.len() - cast.len() + word
            }
            c => c.len_utf8(),
        };
        rest = &rest[length..];
    }
    words
}

#[cfg(test)]
mod tests {
    use super::{quote_identifier, without_parentheses, words};

    #[test]
    fn names_are_quoted_when_they_must_be() {
        for (name, quoted) in [
            ("plain_1", "plain_1"),
            ("1st", "\"1st\""),
            ("Mixed", "\"Mixed\""),
            ("select", "\"select\""),
            ("a\"b", "\"a\"\"b\""),
            ("name", "name"),
            ("", "\"\""),
        ] {
            assert_eq!(quote_identifier(name), quoted);
        }
    }

    #[test]
    fn enclosing_parentheses_go_and_others_stay() {
        assert_eq!(without_parentheses("((a > 1))"), "a > 1");
        assert_eq!(without_parentheses("(a > 1) or (b > 1)"), "(a > 1) or (b > 1)");
        assert_eq!(without_parentheses("(a = ')')"), "a = ')'");
    }

    #[test]
    fn words_are_names_only() {
        let found = words("Abs(a) > 'b'::text AND \"C d\" <> 1e5 and t.e in ('f''g')");
        assert_eq!(found, ["a", "and", "C d", "and", "t", "e"]);
        assert_eq!(words("é = \"x"), ["é", "x"]);
    }
}
