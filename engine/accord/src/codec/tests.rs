//! Round trips of drawn values, every truncation, and mutated bytes: an error, or a value that encodes to just these bytes.

use types::codec::{DecodeError, Decoder};
use types::prng::Prng;
use types::{SchemaVersion, TableId, Timestamp, Token};

use crate::{
    Access, Expected, Footprint, Installs, RangeNeed, Record, Rows, SchemaChange, TokenRange,
    Validation, Write,
};

const CASES: u64 = 300;

fn bytes(prng: &mut Prng, max: usize) -> Vec<u8> {
    (0..prng.index(max + 1)).map(|_| prng.next_u64() as u8).collect()
}

fn timestamp(prng: &mut Prng) -> Timestamp {
    Timestamp::new(prng.below(3) as u32, prng.next_u64() >> 13, prng.below(1 << 16) as u32)
}

fn table(prng: &mut Prng) -> TableId {
    TableId(if prng.below(4) == 0 { u32::MAX } else { prng.below(40_000) as u32 })
}

fn version(prng: &mut Prng) -> SchemaVersion {
    SchemaVersion(if prng.below(8) == 0 { u64::MAX } else { prng.below(300) })
}

fn access(prng: &mut Prng) -> Access {
    [Access::Read, Access::Write, Access::ReadWrite][prng.index(3)]
}

fn footprint(prng: &mut Prng) -> Footprint {
    let mut footprint = Footprint::new();
    if prng.below(2) == 0 {
        footprint.execute_above(timestamp(prng));
    }
    for _ in 0..prng.index(4) {
        footprint.planned_at(table(prng), version(prng));
    }
    // Points and ranges in any order: the keys lie otherwise in what is decoded.
    for _ in 0..prng.index(8) {
        if prng.below(2) == 0 {
            let token = Token(prng.next_u64());
            footprint.point(table(prng), token, &bytes(prng, 20), access(prng));
            continue;
        }
        let one = Token(prng.next_u64() >> 1);
        let tokens = match prng.below(3) {
            0 => TokenRange::ALL,
            1 => TokenRange::one(one),
            _ => TokenRange { first: one, last: Token(one.0 + 1 + prng.next_u64() / 4) },
        };
        let low = bytes(prng, 9);
        let high = (prng.below(2) == 0).then(|| bytes(prng, 9));
        let need = match prng.below(2) {
            0 => RangeNeed::ChangedAt,
            _ => RangeNeed::Rows { limit: prng.next_u64() as u32 },
        };
        let keys = (low.as_slice(), high.as_deref());
        footprint.range(table(prng), tokens, keys, access(prng), need);
    }
    footprint
}

fn record(prng: &mut Prng) -> Record {
    let write = |prng: &mut Prng| Write {
        table: table(prng),
        token: Token(prng.next_u64()),
        key: bytes(prng, 12),
        row: (prng.below(3) > 0).then(|| bytes(prng, 200)),
    };
    let change = |prng: &mut Prng| SchemaChange {
        table: table(prng),
        version: (prng.below(2) == 0).then(|| version(prng)),
    };
    Record {
        execute_at: timestamp(prng),
        writes: (0..prng.index(5)).map(|_| write(prng)).collect(),
        schema: (0..prng.index(3)).map(|_| change(prng)).collect(),
        attachment: bytes(prng, 30),
        installs: if prng.below(2) == 0 { Installs::AtOnce } else { Installs::WhenDurable },
    }
}

fn rows(prng: &mut Prng) -> Rows {
    let mut rows = Rows::default();
    let mut point = 0;
    for _ in 0..prng.index(4) {
        point += 1 + prng.index(200);
        rows.push_point(point, timestamp(prng), &bytes(prng, 40));
    }
    for _ in 0..prng.index(3) {
        rows.push_range(prng.index(4), timestamp(prng));
        for _ in 0..prng.index(4) {
            rows.push_row(&bytes(prng, 9), timestamp(prng), &bytes(prng, 40));
        }
    }
    if prng.below(2) == 0 {
        // What shards answered is absorbed in any order.
        let mut first = Rows::default();
        first.push_point(0, timestamp(prng), &bytes(prng, 5));
        rows.absorb(&first);
    }
    rows
}

fn validation(prng: &mut Prng) -> Validation {
    let expected = |prng: &mut Prng| match prng.below(3) {
        0 => Expected::Absent,
        1 => Expected::Present,
        _ => Expected::Version(timestamp(prng)),
    };
    Validation {
        points: (0..prng.index(5)).map(|_| (prng.index(900), expected(prng))).collect(),
        ranges: (0..prng.index(3)).map(|_| (prng.index(9), timestamp(prng))).collect(),
    }
}

struct Kind<T> {
    draw: fn(&mut Prng) -> T,
    encode: fn(&T) -> Vec<u8>,
    decode: fn(&mut Decoder<'_>) -> Result<T, DecodeError>,
}

impl<T: PartialEq + core::fmt::Debug> Kind<T> {
    fn whole(&self, bytes: &[u8]) -> Result<T, DecodeError> {
        let mut decoder = Decoder::new(bytes);
        let value = (self.decode)(&mut decoder)?;
        decoder.finish().map(|()| value)
    }

    fn check(&self) {
        let (mut refused, mut accepted) = (0, 0);
        for seed in 0..CASES {
            let mut prng = Prng::new(seed);
            let value = (self.draw)(&mut prng);
            let encoded = (self.encode)(&value);
            assert_eq!(self.whole(&encoded).as_ref(), Ok(&value), "seed {seed}");
            assert_eq!((self.encode)(&self.whole(&encoded).expect("ours")), encoded, "seed {seed}");
            for end in 0..encoded.len() {
                assert!(self.whole(&encoded[..end]).is_err(), "seed {seed}, cut at {end}");
            }
            for _ in 0..20 {
                let mut mutated = encoded.clone();
                for _ in 0..1 + prng.index(3) {
                    let at = prng.index(mutated.len());
                    mutated[at] = match prng.below(3) {
                        0 => mutated[at] ^ 1 << prng.below(8),
                        1 => [0, 1, 0x7f, 0x80, 0xff][prng.index(5)],
                        _ => prng.next_u64() as u8,
                    };
                }
                match self.whole(&mutated) {
                    Err(_) => refused += 1,
                    Ok(value) => {
                        accepted += 1;
                        assert_eq!((self.encode)(&value), mutated, "seed {seed}");
                    }
                }
            }
        }
        assert!(refused > 100 && accepted > 100, "both happen: {refused}, {accepted}");
    }
}

#[test]
fn footprints_travel() {
    let encode = |value: &Footprint| {
        let mut out = vec![7];
        value.encode(&mut out);
        assert_eq!(out.remove(0), 7, "it appends");
        out
    };
    Kind { draw: footprint, encode, decode: Footprint::decode }.check();
}

#[test]
fn records_travel() {
    let encode = |value: &Record| {
        let mut out = Vec::new();
        value.encode(&mut out);
        out
    };
    Kind { draw: record, encode, decode: Record::decode }.check();
}

#[test]
fn rows_travel() {
    let encode = |value: &Rows| {
        let mut out = Vec::new();
        value.encode(&mut out);
        out
    };
    Kind { draw: rows, encode, decode: Rows::decode }.check();
}

#[test]
fn validations_travel() {
    let encode = |value: &Validation| {
        let mut encoder = types::codec::Encoder::new();
        value.encode(&mut encoder);
        encoder.into_bytes()
    };
    Kind { draw: validation, encode, decode: Validation::decode }.check();
}

#[test]
fn another_format_is_refused() {
    let mut encoded = Vec::new();
    Footprint::new().encode(&mut encoded);
    encoded[0] = 2;
    let refused = Footprint::decode(&mut Decoder::new(&encoded));
    assert_eq!(refused, Err(DecodeError::Invalid { field: "footprint format", offset: 0 }));
}

#[test]
fn a_table_planned_twice_is_refused() {
    let mut footprint = Footprint::new();
    footprint.planned_at(TableId(1), SchemaVersion(1));
    footprint.planned_at(TableId(2), SchemaVersion(1));
    let mut encoded = Vec::new();
    footprint.encode(&mut encoded);
    let second = encoded.iter().rposition(|byte| *byte == 2).expect("its table");
    encoded[second] = 1;
    assert!(Footprint::decode(&mut Decoder::new(&encoded)).is_err());
}
