//! Messages and log entries as bytes: what a real run says, as it is and damaged.

use accord::TxnId;
use accord::cluster::codec::{Context, decode_entry, decode_message, encode_entry, encode_message};
use accord::cluster::message::Message;
use accord::cluster::{LogEntry, RangeId};
use types::prng::Prng;

use crate::cluster::Cluster;
use crate::lists::ListCodec;
use crate::plan::Plan;

const SAMPLE_MAX: usize = 3_000;

/// What a run said and logged.
#[derive(Default)]
pub struct Overheard {
    pub messages: Vec<(RangeId, TxnId, Message)>,
    pub entries: Vec<LogEntry>,
}

impl Overheard {
    pub fn hear(&mut self, said: &(RangeId, TxnId, Message)) {
        if self.messages.len() < SAMPLE_MAX {
            self.messages.push(said.clone());
        }
    }

    pub fn log(&mut self, entry: &LogEntry) {
        if self.entries.len() < SAMPLE_MAX {
            self.entries.push(entry.clone());
        }
    }
}

/// Whatever the bytes are, they are refused or mean something that has just these bytes.
fn is_canonical(bytes: &[u8], context: Context<'_>) {
    let mut again = Vec::new();
    if let Ok((range, txn_id, message)) = decode_message(bytes, context) {
        encode_message(range, txn_id, &message, &mut again);
        assert_eq!(again, bytes, "{message:?}");
    }
    again.clear();
    if let Ok(entry) = decode_entry(bytes, context) {
        encode_entry(&entry, &mut again);
        assert_eq!(again, bytes, "{entry:?}");
    }
}

fn damage(bytes: &[u8], context: Context<'_>, prng: &mut Prng) {
    for end in [prng.index(bytes.len()), bytes.len() - 1] {
        assert!(decode_message(&bytes[..end], context).is_err());
        assert!(decode_entry(&bytes[..end], context).is_err());
    }
    for _ in 0..40 {
        let mut damaged = bytes.to_vec();
        for _ in 0..1 + prng.index(3) {
            let at = prng.index(damaged.len());
            damaged[at] = match prng.below(4) {
                0 => 0,
                1 => 0xFF,
                2 => damaged[at] ^ 1 << prng.below(8),
                _ => prng.next_u64() as u8,
            };
        }
        is_canonical(&damaged, context);
    }
    let longer: Vec<u8> = bytes.iter().copied().chain([0]).collect();
    assert!(decode_message(&longer, context).is_err() && decode_entry(&longer, context).is_err());
}

/// Every message and entry of two runs comes back as it was; of damaged ones none is taken for another form of the same.
#[test]
fn damaged_bytes_are_refused_or_mean_what_they_say() {
    let mut prng = Prng::new(11);
    let (mut messages, mut entries) = ((0, 0), (0, 0));
    for seed in [3, 7] {
        let mut plan = Plan::of_seed(seed);
        plan.wire = true;
        plan.transactions = 300;
        let context = Context { workloads: &ListCodec, ranges: plan.ranges };
        let mut cluster = Cluster::new(plan);
        cluster.run().expect("a clean seed");
        for (range, txn_id, message) in &cluster.overheard.messages {
            let mut bytes = Vec::new();
            encode_message(*range, *txn_id, message, &mut bytes);
            messages = (messages.0 + 1, messages.1 + bytes.len());
            damage(&bytes, context, &mut prng);
        }
        for entry in &cluster.overheard.entries {
            let mut bytes = Vec::new();
            encode_entry(entry, &mut bytes);
            assert_eq!(decode_entry(&bytes, context).as_ref(), Ok(entry));
            entries = (entries.0 + 1, entries.1 + bytes.len());
            damage(&bytes, context, &mut prng);
        }
    }
    println!("{} messages of {} bytes on average", messages.0, messages.1 / messages.0);
    println!("{} log entries of {} bytes on average", entries.0, entries.1 / entries.0);
}
