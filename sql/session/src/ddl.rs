//! Changes of the schema. They are rows of the system table, written by the same transactions as all other rows; a block sees its own changes through
//! an overlay.

use std::collections::BTreeSet;
use std::sync::Arc;

use accord::SchemaChange;
use plan::catalog::{Catalog, CatalogChange};
use plan::ddl::{Outcome, Work};
use plan::statement::{AlterAction, Ddl, PasswordChange};
use types::schema::IndexState;
use types::{SchemaVersion, SqlState, TableId, TableSchema, Value};

use crate::block::{Opener, State};
use crate::compiled::Compiled;
use crate::error::SqlError;
use crate::execute::STATEMENT_TRIES_MAX;
use crate::node::{BulkLoad, Node};
use crate::output::Output;
use crate::session::Session;
use crate::settings::Ending;
use crate::system::{self, Header, Kind};

/// Changes of the schema that an open block has made.
#[derive(Debug)]
pub struct PendingCatalog {
    /// The catalog with the changes.
    pub overlay: Arc<Catalog>,
    /// The header that COMMIT writes.
    pub header: Header,
    /// Tables made or changed, as they are now.
    pub made: Vec<Arc<TableSchema>>,
}

impl<N: Node> Session<N> {
    /// Runs a change of the schema, in the open block or in a transaction of its own.
    pub(crate) async fn change_schema<O: Output>(
        &mut self,
        ddl: &Ddl,
        compiled: &Arc<Compiled>,
        parameters: Vec<Value>,
        out: &mut O,
    ) -> Result<(), SqlError> {
        if self.is_read_only() {
            return Err(SqlError::new(
                SqlState::READ_ONLY_SQL_TRANSACTION,
                format!("cannot execute {} in a read-only transaction", plan::ddl::tag(ddl)),
            ));
        }
        if matches!(self.state, State::Open(_)) {
            let tag = self.change_in_block(ddl, compiled, &parameters, out).await?;
            out.complete(&tag);
            return Ok(());
        }
        for attempt in 1.. {
            self.open_block(Opener::Batch, plan::statement::TransactionModes::default());
            let outcome = match self.change_in_block(ddl, compiled, &parameters, out).await {
                Ok(tag) => self.commit_block(out).await.map(|()| tag),
                Err(error) => {
                    self.roll_back().await;
                    self.state = State::Idle;
                    self.end_settings(Ending::Rollback, out);
                    Err(error)
                }
            };
            match outcome {
                Ok(tag) => {
                    out.complete(&tag);
                    return Ok(());
                }
                // Another change came first. What this one means now is planned anew by the caller.
                Err(error) if error.sqlstate == SqlState::SERIALIZATION_FAILURE => {
                    let mut error = error;
                    error.schema_moved = attempt < STATEMENT_TRIES_MAX;
                    return Err(error);
                }
                Err(error) => return Err(error),
            }
        }
        unreachable!("the loop above returns")
    }

    pub(crate) async fn change_in_block<O: Output>(
        &mut self,
        ddl: &Ddl,
        compiled: &Arc<Compiled>,
        parameters: &[Value],
        out: &mut O,
    ) -> Result<String, SqlError> {
        if let Ddl::CreateIndex { table, index, skip: false } = ddl
            && self.transaction().await?.has_changed(table.storage_id)
        {
            // Rows that the block has changed are written anew with the others; then the index is made of what is there.
            let id = table.table_id;
            let (values, checks, not_null) = (Vec::new(), Vec::new(), Vec::new());
            let rewrite = AlterAction::Rewrite { values, keep: None, checks, not_null };
            let rewrite = Ddl::AlterTable { table: Some(table.clone()), actions: vec![rewrite] };
            Box::pin(self.change_in_block(&rewrite, compiled, parameters, out)).await?;
            let table = self.catalog().table(id).cloned().expect("it was just written");
            let create = Ddl::CreateIndex { table, index: index.clone(), skip: false };
            return Box::pin(self.change_in_block(&create, compiled, parameters, out)).await;
        }
        let node = self.node.clone();
        let engine = node.engine();
        let committed = self.node.catalog();
        let known = match &self.state {
            State::Open(block) => block.catalog.as_ref().map(|pending| pending.header),
            _ => None,
        };
        self.hold_for_change(ddl);
        let transaction = self.transaction().await?;
        let mut header = match known {
            Some(header) => header,
            None => {
                let found = system::read_header(engine, transaction).await?;
                if found.version != committed.version() {
                    // The change that made this version is not published yet, or was published after planning.
                    let mut error = SqlError::new(
                        SqlState::SERIALIZATION_FAILURE,
                        "the schema was changed by another transaction",
                    );
                    error.schema_moved = true;
                    return Err(error);
                }
                found
            }
        };
        let catalog = self.catalog();
        let mut outcome = plan::ddl::changes(ddl, &catalog, &mut header.next_id)
            .map_err(|error| SqlError::new(error.state, error.message.to_string()))?;
        self.give_password(ddl, &mut outcome);
        if outcome.changes.is_empty() {
            return Ok(outcome.tag.to_string());
        }
        header.version = SchemaVersion(header.version.0 + 1);
        let overlay = Arc::new(catalog.apply(header.version, &unread_indexes(&outcome)));
        self.write_changes(&outcome.changes, &catalog, header).await?;
        let State::Open(block) = &mut self.state else { unreachable!("checked by the caller") };
        let pending = block.catalog.get_or_insert_with(|| PendingCatalog {
            overlay: overlay.clone(),
            header,
            made: Vec::new(),
        });
        pending.overlay = overlay;
        pending.header = header;
        for change in &outcome.changes {
            if let CatalogChange::PutTable(table) = change {
                pending.made.retain(|known| known.table_id != table.table_id);
                pending.made.push(public(table));
            }
        }
        let live = storages_of(&pending.overlay);
        let ended: Vec<TableId> =
            storages_of(&committed).into_iter().filter(|table| !live.contains(table)).collect();
        let made: Vec<Arc<TableSchema>> =
            pending.made.iter().filter(|table| live.contains(&table.storage_id)).cloned().collect();
        let attachment = node.attachment(&made, &ended);
        self.transaction().await?.attach(attachment);
        for sequence in &outcome.restarted {
            self.restart_sequence(*sequence).await?;
        }
        let count = crate::rebuild::fill(self, ddl, &outcome, compiled, parameters, out).await?;
        if let State::Open(block) = &mut self.state {
            // Rows that were loaded into storage tables which this change ends go with them.
            block.loads.retain(|load| live.contains(&load.table().storage_id));
        }
        Ok(match count {
            Some(count) => format!("{} {count}", outcome.tag),
            None => outcome.tag.to_string(),
        })
    }

    /// Writes the rows of some changes and of the header, and claims the tables for COMMIT.
    async fn write_changes(
        &mut self,
        changes: &[CatalogChange],
        before: &Catalog,
        header: Header,
    ) -> Result<(), SqlError> {
        let node = self.node.clone();
        let engine = node.engine();
        let transaction = self.transaction().await?;
        for change in changes {
            let change = &match change {
                CatalogChange::PutTable(table) => CatalogChange::PutTable(public(table)),
                other => other.clone(),
            };
            let (kind, id, payload) = system::change_row(change);
            system::write_row(engine, transaction, kind, &id, payload).await?;
            let claim =
                |table: TableId, version: Option<SchemaVersion>| SchemaChange { table, version };
            match change {
                CatalogChange::PutTable(table) => {
                    let storages = storages(before.table(table.table_id).map(|old| &**old));
                    let change = claim(table.table_id, Some(table.version));
                    transaction.change_schema(change, storages);
                }
                CatalogChange::DropTable(id) => {
                    let storages = storages(before.table(*id).map(|old| &**old));
                    transaction.change_schema(claim(*id, None), storages);
                }
                CatalogChange::PutSequence(sequence) => {
                    let change = claim(sequence.sequence_id, Some(sequence.version));
                    transaction.change_schema(change, []);
                }
                CatalogChange::DropSequence(id) => {
                    transaction.change_schema(claim(*id, None), []);
                    let kind = Kind::SequenceState;
                    system::write_row(engine, transaction, kind, &id.to_string(), None).await?;
                }
                _ => {}
            }
        }
        let payload = Some(header.encode());
        system::write_row(engine, transaction, Kind::Header, "", payload).await?;
        Ok(())
    }

    /// Puts a sequence back to its start, inside the block.
    async fn restart_sequence(
        &mut self,
        (id, value): (TableId, Option<i64>),
    ) -> Result<(), SqlError> {
        let catalog = self.catalog();
        let Some(sequence) = catalog.sequence(id) else { return Ok(()) };
        let start = value.unwrap_or(sequence.start);
        let node = self.node.clone();
        let payload = Some(crate::functions::encode_position(Some(start)));
        let transaction = self.transaction().await?;
        let kind = Kind::SequenceState;
        system::write_row(node.engine(), transaction, kind, &id.to_string(), payload).await?;
        self.sequences.forget_one(id);
        Ok(())
    }

    /// A password in clear becomes a verifier before anything is written.
    fn give_password(&self, ddl: &Ddl, outcome: &mut Outcome) {
        let Ddl::PutRole { role, password } = ddl else { return };
        let verifier = match password {
            PasswordChange::Keep => return,
            PasswordChange::Clear => None,
            PasswordChange::Set(text) if text.starts_with("SCRAM-SHA-256$") => Some(text.clone()),
            PasswordChange::Set(text) => Some(self.node.password_verifier(text)),
        };
        for change in &mut outcome.changes {
            if let CatalogChange::PutRole(put) = change
                && put.name == role.name
            {
                put.verifier = verifier.clone();
            }
        }
    }
}

/// A table as it is when the block has committed: all its indexes are complete then.
fn public(table: &Arc<TableSchema>) -> Arc<TableSchema> {
    if table.indexes.iter().all(|index| index.state == IndexState::Public) {
        return table.clone();
    }
    let mut public = (**table).clone();
    public.indexes.iter_mut().for_each(|index| index.state = IndexState::Public);
    Arc::new(public)
}

/// The changes as the block itself sees them: it maintains an index that it makes, but its entries for older rows can be read only after COMMIT.
fn unread_indexes(outcome: &Outcome) -> Vec<CatalogChange> {
    let made = |index: TableId| {
        outcome.work.iter().any(|work| match work {
            Work::FillIndex { index: made, .. } => *made == index,
            Work::Rebuild { to, .. } => to.indexes.iter().any(|known| known.index_id == index),
            Work::Validate { .. } => false,
        })
    };
    let mut changes = outcome.changes.clone();
    for change in &mut changes {
        if let CatalogChange::PutTable(table) = change
            && table.indexes.iter().any(|index| made(index.index_id))
        {
            let mut unread = (**table).clone();
            let indexes = unread.indexes.iter_mut().filter(|index| made(index.index_id));
            indexes.for_each(|index| index.state = IndexState::WriteOnly);
            *table = Arc::new(unread);
        }
    }
    changes
}

impl PendingCatalog {
    /// The catalog that COMMIT publishes.
    pub fn committed(&self) -> Arc<Catalog> {
        let made = self.made.iter().filter(|table| self.overlay.table(table.table_id).is_some());
        let made: Vec<CatalogChange> = made.cloned().map(CatalogChange::PutTable).collect();
        Arc::new(self.overlay.apply(self.overlay.version(), &made))
    }
}

/// Every storage table of a catalog.
fn storages_of(catalog: &Catalog) -> BTreeSet<TableId> {
    catalog.tables().flat_map(|table| storages(Some(table))).collect()
}

/// Where the rows and index entries of a table are.
fn storages(table: Option<&TableSchema>) -> Vec<TableId> {
    table.map_or_else(Vec::new, |table| {
        let indexes = table.indexes.iter().map(|index| index.index_id);
        std::iter::once(table.storage_id).chain(indexes).collect()
    })
}
