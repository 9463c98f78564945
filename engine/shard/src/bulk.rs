//! Bulk commits: files that were sealed on background cores become visible in one transaction, with one record.
//!
//! The files of a bulk write wait in the node's register while its transaction is under way; the record names them. Every shard takes part, since the
//! footprint covers the tables whole; each installs its own files when the record is durable and holds its tokens until then.
#![expect(
    clippy::disallowed_types,
    reason = "sealed on other threads; the lock is held for an insertion or a removal"
)]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use accord::{Footprint, Installs, Outcome, View, Workload};
use storage::sealed::SealedFiles;
use types::Timestamp;

use crate::attachment::{Attachment, SealedId};
use crate::client::{Committed, ShardClient};
use crate::error::ShardError;
use crate::workloads;

struct Held {
    files: Arc<SealedFiles>,
    /// Shards that have not installed them yet.
    shards_left: u16,
}

#[derive(Default)]
struct Register {
    last: u64,
    held: BTreeMap<SealedId, Held>,
}

/// Sealed files whose transactions are under way, for all shards of a node.
#[derive(Clone, Default)]
pub(crate) struct SealedRegister {
    register: Arc<Mutex<Register>>,
}

impl SealedRegister {
    fn lock(&self) -> MutexGuard<'_, Register> {
        self.register.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hold(&self, files: Arc<SealedFiles>, shards_left: u16) -> SealedId {
        let mut register = self.lock();
        register.last += 1;
        let sealed = SealedId(register.last);
        register.held.insert(sealed, Held { files, shards_left });
        sealed
    }

    /// The files that a record names.
    pub(crate) fn get(&self, sealed: SealedId) -> Arc<SealedFiles> {
        let register = self.lock();
        let held = register.held.get(&sealed).expect("held until every shard has installed");
        Arc::clone(&held.files)
    }

    /// One shard has installed its part.
    pub(crate) fn installed(&self, sealed: SealedId) {
        let mut register = self.lock();
        let held = register.held.get_mut(&sealed).expect("held until every shard has installed");
        held.shards_left -= 1;
        if held.shards_left == 0 {
            register.held.remove(&sealed);
        }
    }

    fn forget(&self, sealed: SealedId) {
        self.lock().held.remove(&sealed);
    }
}

/// A workload whose record publishes sealed files, too.
#[derive(Debug)]
pub(crate) struct Publishing {
    pub(crate) workload: Arc<dyn Workload>,
    pub(crate) sealed: SealedId,
}

impl Workload for Publishing {
    fn evaluate(&self, execute_at: Timestamp, view: &dyn View) -> Outcome {
        let mut commit = match self.workload.evaluate(execute_at, view) {
            Outcome::Commit(commit) => commit,
            aborted => return aborted,
        };
        let attachment = Attachment::decode(&commit.attachment);
        let attachment = attachment.expect("a workload attaches what Attachment encodes");
        commit.attachment = Attachment { sealed: Some(self.sealed), ..attachment }.encode();
        commit.installs = Installs::WhenDurable;
        Outcome::Commit(commit)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.push(workloads::PUBLISHING);
        out.extend_from_slice(&self.sealed.0.to_le_bytes());
        self.workload.encode(out);
    }
}

impl ShardClient {
    /// Commits a bulk write: what `workload` writes, and the sealed files, in one transaction. The footprint names every table of the files whole
    /// ([`Footprint::whole_table`] with [`accord::Access::Write`]), and the workload decides what a key is that others wrote since the files were built.
    /// If the transaction takes no effect the files are removed.
    ///
    /// # Errors
    /// As [`ShardClient::submit`].
    ///
    /// # Panics
    /// If the footprint does not reach every shard.
    ///
    /// # Cancel safety
    /// As [`ShardClient::submit`]; if it takes no effect then, the files stay until the next start.
    pub async fn commit_bulk(
        &self,
        files: SealedFiles,
        footprint: Arc<Footprint>,
        workload: Arc<dyn Workload>,
    ) -> Result<Committed, ShardError> {
        if files.is_empty() {
            return self.submit(footprint, workload).await;
        }
        let inner = &self.shard().inner;
        let shard_count = inner.placement.shard_count();
        let reached = inner.placement.participants(&footprint);
        assert_eq!(reached.count(), u32::from(shard_count), "a bulk write holds whole tables");
        let sealed = inner.shared.sealed.hold(Arc::new(files), shard_count);
        let result = self.submit(footprint, Arc::new(Publishing { workload, sealed })).await;
        // Where it is not known whether it took effect the files stay: the next start decides by the log.
        if !matches!(&result, Ok(_) | Err(ShardError::Stopped(_))) {
            inner.shared.sealed.forget(sealed);
        }
        result
    }
}
