//! What a transaction's record carries beside rows: layouts of the storage tables that it makes.

use storage::{StorageError, TableLayout, WriteBatchBuilder};
use types::Timestamp;

/// Instructions to the stores of a transaction's participants, opaque to the protocol (`accord::Commit::attachment`).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attachment {
    /// Layouts of storage tables that come or grow.
    pub layouts: Vec<TableLayout>,
}

impl Attachment {
    /// The opaque form; nothing if there is nothing to say.
    pub fn encode(&self) -> Vec<u8> {
        if self.layouts.is_empty() {
            return Vec::new();
        }
        let mut builder = WriteBatchBuilder::new();
        self.layouts.iter().for_each(|layout| builder.define(layout));
        builder.encode(Timestamp::ZERO)
    }

    /// Inverse of [`Attachment::encode`].
    ///
    /// # Errors
    /// If it was not made by it.
    pub fn decode(bytes: &[u8]) -> Result<Attachment, StorageError> {
        if bytes.is_empty() {
            return Ok(Attachment::default());
        }
        let batch = storage::WriteBatch::parse(bytes)?;
        Ok(Attachment { layouts: batch.definitions().collect() })
    }
}
