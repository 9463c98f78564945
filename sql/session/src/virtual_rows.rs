//! Rows of computed tables: those of the catalog come from `sql/plan`, those of the session and the node from here.

use plan::catalog::{Catalog, VirtualSource, VirtualTable};
use types::Value;

use crate::node::Node;
use crate::session::Session;
use crate::settings::SETTINGS;

impl<N: Node> Session<N> {
    /// The rows of the computed tables that a query scans.
    pub(crate) fn virtual_rows(
        &self,
        tables: &[VirtualTable],
        catalog: &Catalog,
    ) -> Vec<(VirtualTable, Vec<Vec<Value>>)> {
        tables
            .iter()
            .map(|table| {
                let rows = match table.source() {
                    VirtualSource::Catalog => plan::catalog::catalog_rows(*table, catalog),
                    VirtualSource::Session => self.session_rows(*table),
                };
                (*table, rows)
            })
            .collect()
    }

    fn session_rows(&self, table: VirtualTable) -> Vec<Vec<Value>> {
        match table.name() {
            "pg_settings" => self.setting_rows(table),
            _ => self.node.status_rows(table),
        }
    }

    /// `pg_settings`: the columns that we know, by name; the others are NULL.
    fn setting_rows(&self, table: VirtualTable) -> Vec<Vec<Value>> {
        SETTINGS
            .iter()
            .map(|setting| {
                let value = self.shown(setting.name).unwrap_or_default();
                table
                    .columns()
                    .iter()
                    .map(|column| match column.name {
                        "name" => Value::text(setting.name),
                        "setting" => Value::text(value.clone()),
                        "short_desc" => Value::text(setting.text),
                        "boot_val" | "reset_val" => Value::text(setting.default),
                        "context" => Value::text("user"),
                        "source" => Value::text("default"),
                        _ => Value::Null,
                    })
                    .collect()
            })
            .collect()
    }
}
