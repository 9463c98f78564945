//! This crate's own workloads as bytes: blocks of row ids and the publishing of sealed files.
//!
//! ```text
//! 1  block of row ids   slice | token (8) | key | numbers
//! 2  publishing         sealed files (8) | the workload that it wraps
//! ```
//! The composition root's codec hands the kinds of [`WORKLOAD_KINDS`] over to [`decode_workload`], with itself for what is wrapped. Sealed files are named
//! by a number of the node that made them: a publishing decodes everywhere, and can be installed only where its files are.

use std::ops::RangeInclusive;
use std::sync::Arc;

use accord::{Workload, WorkloadCodec, WorkloadDecodeError};
use types::codec::Decoder;
use types::{SliceId, Token, limits};

use crate::attachment::SealedId;
use crate::bulk::Publishing;
use crate::row_ids::TakeBlock;

/// The kinds of this crate.
pub const WORKLOAD_KINDS: RangeInclusive<u8> = 1..=15;

pub(crate) const TAKE_BLOCK: u8 = 1;
pub(crate) const PUBLISHING: u8 = 2;

/// Decodes a workload of one of [`WORKLOAD_KINDS`]; `others` decodes what it wraps, which is never again one of these.
///
/// # Errors
/// As [`WorkloadCodec::decode`].
pub fn decode_workload(
    bytes: &[u8],
    others: &dyn WorkloadCodec,
) -> Result<Arc<dyn Workload>, WorkloadDecodeError> {
    let decoder = &mut Decoder::new(bytes);
    match decoder.u8()? {
        TAKE_BLOCK => take_block(decoder),
        PUBLISHING => publishing(decoder, others),
        kind => Err(WorkloadDecodeError::UnknownKind { kind }),
    }
}

fn take_block(decoder: &mut Decoder<'_>) -> Result<Arc<dyn Workload>, WorkloadDecodeError> {
    let error = decoder.invalid("slice");
    let slice = u16::try_from(decoder.varint("slice")?).map_err(|_| error)?;
    let token = Token(decoder.u64()?);
    let key = decoder.var_bytes("key")?;
    if key.len() > limits::KEY_BYTES_MAX {
        return Err(decoder.invalid("key").into());
    }
    // A count of 32 bits never overflows the counter, whatever is stored.
    let numbers = u64::from(decoder.varint_u32("numbers")?);
    decoder.finish()?;
    Ok(Arc::new(TakeBlock { slice: SliceId(slice), token, key: key.to_vec(), numbers }))
}

fn publishing(
    decoder: &mut Decoder<'_>,
    others: &dyn WorkloadCodec,
) -> Result<Arc<dyn Workload>, WorkloadDecodeError> {
    let error = decoder.invalid("sealed files");
    let sealed = SealedId(decoder.u64()?);
    if sealed.0 == 0 {
        return Err(error.into());
    }
    let error = decoder.invalid("wrapped workload");
    let wrapped = decoder.raw(decoder.remaining())?;
    if wrapped.first().is_none_or(|kind| WORKLOAD_KINDS.contains(kind)) {
        return Err(error.into());
    }
    let workload = others.decode(wrapped)?;
    Ok(Arc::new(Publishing { workload, sealed }))
}

#[cfg(test)]
mod tests {
    use super::{PUBLISHING, decode_workload};
    use crate::attachment::SealedId;
    use crate::bulk::Publishing;
    use crate::row_ids::TakeBlock;
    use accord::{Outcome, View, Workload, WorkloadCodec, WorkloadDecodeError};
    use std::sync::Arc;
    use types::codec::DecodeError;
    use types::{SliceId, Timestamp, Token};

    #[derive(Debug)]
    struct Wrapped(u8);

    impl Workload for Wrapped {
        fn evaluate(&self, _: Timestamp, _: &dyn View) -> Outcome {
            unreachable!("nobody evaluates it here")
        }

        fn encode(&self, out: &mut Vec<u8>) {
            out.extend([200, self.0]);
        }
    }

    struct Others;

    impl WorkloadCodec for Others {
        fn decode(&self, bytes: &[u8]) -> Result<Arc<dyn Workload>, WorkloadDecodeError> {
            match bytes {
                [200, what] => Ok(Arc::new(Wrapped(*what))),
                _ => Err(DecodeError::Truncated { offset: 0 }.into()),
            }
        }
    }

    fn encoded(workload: &dyn Workload) -> Vec<u8> {
        let mut bytes = Vec::new();
        workload.encode(&mut bytes);
        bytes
    }

    fn is_refused(bytes: &[u8]) -> bool {
        let refused = decode_workload(bytes, &Others).map(drop);
        matches!(refused, Err(WorkloadDecodeError::Malformed(_)))
    }

    #[test]
    fn workloads_travel() {
        let block =
            TakeBlock { slice: SliceId(3), token: Token(77), key: vec![1, 2], numbers: 65_536 };
        let publishing = Publishing { workload: Arc::new(Wrapped(5)), sealed: SealedId(9) };
        for bytes in [encoded(&block), encoded(&publishing)] {
            let again = decode_workload(&bytes, &Others).expect("ours");
            assert_eq!(encoded(&*again), bytes);
            for end in 0..bytes.len() {
                assert!(is_refused(&bytes[..end]), "cut at {end}");
            }
            assert!(is_refused(&[&bytes[..], &[0]].concat()), "one more byte");
        }
    }

    #[test]
    fn what_is_wrapped_wraps_nothing() {
        let inner = encoded(&Publishing { workload: Arc::new(Wrapped(5)), sealed: SealedId(9) });
        let mut outer = vec![PUBLISHING];
        outer.extend(7u64.to_le_bytes());
        outer.extend(&inner);
        assert!(is_refused(&outer));
        assert!(is_refused(&outer[..9]), "nothing wrapped");
        assert!(is_refused(&[&[PUBLISHING], &[0; 8][..], &[200, 5]].concat()), "no files");
    }

    #[test]
    fn an_unknown_kind_is_named() {
        let refused = decode_workload(&[15, 0], &Others).map(drop);
        assert_eq!(refused, Err(WorkloadDecodeError::UnknownKind { kind: 15 }));
    }
}
