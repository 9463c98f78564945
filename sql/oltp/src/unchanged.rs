//! A COMMIT that stands on whole tables as they were when somebody looked: loads, whose keys were compared with the rows there.

use std::sync::Arc;

use accord::{Abort, Outcome, View, Workload};
use types::Timestamp;
use types::codec::Encoder;

use crate::codec;

/// A workload that takes effect only if some ranges have not changed.
#[derive(Debug)]
pub struct Unchanged {
    /// What takes effect: a workload of this crate, and no other one of these.
    pub workload: Arc<dyn Workload>,
    /// Index among the footprint's ranges, and when somebody looked.
    pub ranges: Vec<(usize, Timestamp)>,
}

impl Workload for Unchanged {
    fn evaluate(&self, execute_at: Timestamp, view: &dyn View) -> Outcome {
        let changed = self.ranges.iter().find(|(range, at)| view.changed_at(*range) > *at);
        match changed {
            Some((range, _)) => Outcome::Abort(Abort::RangeChanged(*range)),
            None => self.workload.evaluate(execute_at, view),
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let mut encoder = Encoder::after(std::mem::take(out));
        codec::encode_head(codec::UNCHANGED, &mut encoder);
        encoder.varint(self.ranges.len() as u64);
        for (range, at) in &self.ranges {
            encoder.varint(*range as u64);
            encoder.u128(at.0);
        }
        *out = encoder.into_bytes();
        self.workload.encode(out);
    }
}
