//! What a transaction's record carries beside rows: layouts of the storage tables that it makes, tables that it ends, sealed files that it publishes.
//!
//! ```text
//! tables ended (4) { table (4) }* | sealed files (8), zero for none | layouts: a write batch without writes, if there are any
//! ```

use storage::{StorageError, TableLayout, WriteBatch, WriteBatchBuilder};
use types::codec::{Decoder, Encoder};
use types::{TableId, Timestamp};

/// Names sealed files of a bulk write while its transaction is under way; not zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SealedId(pub(crate) u64);

/// Instructions to the stores of a transaction's participants, opaque to the protocol (`accord::Commit::attachment`).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attachment {
    /// Layouts of storage tables that come or grow.
    pub(crate) layouts: Vec<TableLayout>,
    /// Storage tables that end. Their files go when no read can be below the transaction any more.
    pub(crate) dropped: Vec<TableId>,
    pub(crate) sealed: Option<SealedId>,
}

impl Attachment {
    /// Layouts of storage tables that come or grow, and storage tables that end: their files go when no read can be below the transaction any more.
    pub fn new(layouts: Vec<TableLayout>, dropped: Vec<TableId>) -> Attachment {
        Attachment { layouts, dropped, sealed: None }
    }

    /// The opaque form; nothing if there is nothing to say.
    pub fn encode(&self) -> Vec<u8> {
        if *self == Attachment::default() {
            return Vec::new();
        }
        let mut encoder = Encoder::new();
        encoder.u32(self.dropped.len() as u32);
        self.dropped.iter().for_each(|table| encoder.u32(table.0));
        encoder.u64(self.sealed.map_or(0, |sealed| sealed.0));
        if !self.layouts.is_empty() {
            let mut builder = WriteBatchBuilder::new();
            self.layouts.iter().for_each(|layout| builder.define(layout));
            encoder.raw(&builder.encode(Timestamp::ZERO));
        }
        encoder.into_bytes()
    }

    /// Inverse of [`Attachment::encode`].
    ///
    /// # Errors
    /// If it was not made by it.
    pub fn decode(bytes: &[u8]) -> Result<Attachment, StorageError> {
        let mut attachment = Attachment::default();
        if bytes.is_empty() {
            return Ok(attachment);
        }
        let decoder = &mut Decoder::new(bytes);
        for _ in 0..decoder.count(4, "tables ended")? {
            attachment.dropped.push(TableId(decoder.u32()?));
        }
        attachment.sealed = Some(decoder.u64()?).filter(|sealed| *sealed != 0).map(SealedId);
        if decoder.remaining() > 0 {
            let layouts = decoder.raw(decoder.remaining())?;
            attachment.layouts = WriteBatch::parse(layouts)?.definitions().collect();
        }
        Ok(attachment)
    }
}

#[cfg(test)]
mod tests {
    use super::{Attachment, SealedId};
    use crate::row_ids::row_ids_layout;
    use types::TableId;

    #[test]
    fn round_trip() {
        let empty = Attachment::default();
        assert!(empty.encode().is_empty());
        let full = Attachment {
            layouts: vec![row_ids_layout()],
            dropped: vec![TableId(7), TableId(8)],
            sealed: Some(SealedId(9)),
        };
        let only_sealed = Attachment { sealed: Some(SealedId(1)), ..empty.clone() };
        for attachment in [empty, full.clone(), only_sealed] {
            assert_eq!(Attachment::decode(&attachment.encode()).expect("ours"), attachment);
        }
        let bytes = full.encode();
        for end in 1..bytes.len() {
            let _ = Attachment::decode(&bytes[..end]);
        }
    }
}
