//! A naive table: a map from (slice, key, execute_at falling) to rows, and files built from it.
#![allow(dead_code, reason = "each test program uses a part of it")]

use sstable::{
    ColumnSpec, Compression, Fetch, FetchPlan, FileColumn, GroupPlan, Joining, KeyRange,
    LayoutChoice, Metadata, Opened, Overlap, PageCheck, PointQuery, PointRead, Position,
    PositionRange, Predicate, RowContent, ScanRequest, Selection, SortedRun, SstableError,
    TableBuilder, TableOptions, TableShape, Versioning, open, tail_range,
};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use types::key::{KeyOrder, Nulls};
use types::prng::{Prng, Ratio};
use types::row::{decode_row, encode_row};
use types::schema::KeyColumn;
use types::{ColumnId, Interval, Numeric, SliceId, SqlType, TableId, Timestamp, Value};

pub const STORABLE: [SqlType; 16] = [
    SqlType::Bool,
    SqlType::Int2,
    SqlType::Int4,
    SqlType::Int8,
    SqlType::Float4,
    SqlType::Float8,
    SqlType::Numeric,
    SqlType::Text,
    SqlType::Varchar,
    SqlType::Bpchar,
    SqlType::Bytea,
    SqlType::Date,
    SqlType::Timestamp,
    SqlType::Timestamptz,
    SqlType::Interval,
    SqlType::Uuid,
];

/// How the values of a column look, so that every encoding is chosen somewhere.
#[derive(Clone, Copy, Debug)]
pub enum Look {
    Constant,
    Few,
    Runs,
    Rising,
    Narrow,
    Any,
}

#[derive(Clone, Debug)]
pub struct Table {
    pub types: Vec<SqlType>,
    pub looks: Vec<Look>,
    pub nulls: Vec<u32>,
    pub key: Vec<KeyColumn>,
    pub slices: u16,
    pub sealed: bool,
}

pub type MapKey = (SliceId, Vec<u8>, Reverse<Timestamp>);

#[derive(Clone, Debug, Default)]
pub struct Model {
    /// Nothing: a tombstone.
    pub rows: BTreeMap<MapKey, Option<Vec<Value>>>,
}

pub struct File {
    pub table: Table,
    pub bytes: Vec<u8>,
    pub metadata: Metadata,
    pub published_at: Option<Timestamp>,
}

pub const PUBLISHED: Timestamp = Timestamp::new(1, 500, 7);

impl Table {
    pub fn random(prng: &mut Prng) -> Table {
        let columns = 1 + prng.index(9);
        let mut types: Vec<SqlType> =
            (0..columns).map(|_| STORABLE[prng.index(STORABLE.len())]).collect();
        if prng.chance(Ratio { numerator: 1, denominator: 2 }) {
            types[0] = SqlType::Int8;
        }
        let key_columns = 1 + prng.index(columns.min(3));
        let mut positions: Vec<u16> = (0..columns as u16).collect();
        if key_columns > 1 {
            prng.shuffle(&mut positions);
        }
        let key = positions[..key_columns].iter().map(|position| KeyColumn {
            position: *position,
            order: match prng.below(6) {
                0 => KeyOrder { descending: true, nulls: Nulls::Never },
                1 => KeyOrder { descending: false, nulls: Nulls::Last },
                2 => KeyOrder { descending: true, nulls: Nulls::First },
                _ => KeyOrder::PRIMARY,
            },
        });
        let key: Vec<KeyColumn> = key.collect();
        let looks = (0..columns).map(|_| match prng.below(6) {
            0 => Look::Constant,
            1 => Look::Few,
            2 => Look::Runs,
            3 => Look::Rising,
            4 => Look::Narrow,
            _ => Look::Any,
        });
        let mut looks: Vec<Look> = looks.collect();
        looks[usize::from(key[0].position)] = Look::Any;
        let nulls = (0..columns)
            .map(|position| {
                let in_key = key.iter().find(|part| usize::from(part.position) == position);
                match in_key {
                    Some(part) if part.order.nulls == Nulls::Never => 0,
                    Some(_) => 10,
                    None => [0, 0, 5, 50, 100][prng.index(5)],
                }
            })
            .collect();
        let slices = [1, 2, 64][prng.index(3)];
        Table { types, looks, nulls, key, slices, sealed: prng.below(6) == 0 }
    }

    pub fn specs(&self) -> Vec<ColumnSpec> {
        let spec = |(index, sql_type): (usize, &SqlType)| ColumnSpec {
            id: ColumnId(index as u16),
            sql_type: *sql_type,
            missing: Value::Null,
        };
        self.types.iter().enumerate().map(spec).collect()
    }

    pub fn shape(&self) -> TableShape {
        TableShape {
            table_id: TableId(9),
            salt: 0x5eed,
            columns: self.specs(),
            key: self.key.clone(),
            versioning: if self.sealed { Versioning::Sealed } else { Versioning::PerRow },
        }
    }

    pub fn key_of(&self, row: &[Value]) -> Vec<u8> {
        let mut key = Vec::new();
        for part in &self.key {
            let value = &row[usize::from(part.position)];
            let trimmed = match (value, self.types[usize::from(part.position)]) {
                (Value::Text(text), SqlType::Bpchar) => Value::text(text.trim_end_matches(' ')),
                _ => value.clone(),
            };
            types::key::append_key_column(&trimmed, part.order, &mut key);
        }
        key
    }

    pub fn row(&self, prng: &mut Prng, number: u64) -> Vec<Value> {
        (0..self.types.len())
            .map(|at| {
                if prng.below(100) < u64::from(self.nulls[at]) {
                    return Value::Null;
                }
                let seed = match self.looks[at] {
                    Look::Constant => 7,
                    Look::Few => prng.below(5) * 1_000_003,
                    Look::Runs => number / 40,
                    Look::Rising => 1_000_000 + number * 3,
                    Look::Narrow => prng.below(200),
                    Look::Any => prng.next_u64(),
                };
                value_of(self.types[at], seed)
            })
            .collect()
    }
}

/// A value that is a function of a number, covering the type's corners.
pub fn value_of(sql_type: SqlType, seed: u64) -> Value {
    let signed = seed as i64;
    match sql_type {
        SqlType::Bool => Value::Bool(seed & 1 == 1),
        SqlType::Int2 => Value::Int2(signed as i16),
        SqlType::Int4 => Value::Int4(signed as i32),
        SqlType::Int8 => Value::Int8(signed),
        SqlType::Float4 => Value::Float4(match seed % 11 {
            0 => f32::NAN,
            1 => 0.0,
            2 => -0.0,
            _ => f32::from_bits(seed as u32),
        }),
        SqlType::Float8 => Value::Float8(match seed % 11 {
            0 => f64::NAN,
            1 => -0.0,
            2 => f64::INFINITY,
            _ => signed as f64 / 100.0,
        }),
        SqlType::Numeric => Value::Numeric(Box::new(match seed % 13 {
            0 => Numeric::NAN,
            1 => Numeric::infinity(true),
            2 => Numeric::ZERO.with_display_scale(3),
            3 => Numeric::from_i128(i128::from(signed) * i128::from(signed)),
            _ => Numeric::from_parts(signed < 0, 1, 4, vec![(seed % 9999) as i16 + 1, 17]),
        })),
        SqlType::Text | SqlType::Varchar => Value::text(match seed % 7 {
            0 => String::new(),
            1 => format!("common prefix of some length {seed}"),
            2 => "é".repeat(1 + seed as usize % 40),
            _ => format!("{seed:x}"),
        }),
        SqlType::Bpchar => Value::text(format!("{:<12}", seed % 100_000)),
        SqlType::Bytea => {
            let bytes = seed.to_be_bytes();
            Value::Bytea(bytes[..seed as usize % 9].into())
        }
        SqlType::Date => Value::Date(signed as i32),
        SqlType::Timestamp => Value::Timestamp(signed),
        SqlType::Timestamptz => Value::Timestamptz(signed),
        SqlType::Interval => Value::Interval(Interval {
            months: (seed % 50) as i32 - 25,
            days: (seed % 7) as i32,
            micros: signed >> 20,
        }),
        SqlType::Uuid => {
            let mut uuid = [0u8; 16];
            Prng::new(seed).fill(&mut uuid);
            Value::Uuid(uuid)
        }
        other => panic!("{other:?} is not storable"),
    }
}

impl Model {
    pub fn random(prng: &mut Prng, table: &Table) -> Model {
        let keys = [0, 1, 3, 40, 400, 3000][prng.index(6)];
        let mut model = Model::default();
        for number in 0..keys {
            let row = table.row(prng, number);
            let key = table.key_of(&row);
            let slice = SliceId((types::Token::of_bytes(&key).0 % u64::from(table.slices)) as u16);
            if table.sealed {
                model.rows.insert((slice, key, Reverse(PUBLISHED)), Some(row));
                continue;
            }
            let versions = match prng.below(40) {
                0 => 30,
                1..5 => 3,
                _ => 1,
            };
            for _ in 0..versions {
                model.add_version(prng, table, slice, &row);
            }
        }
        model
    }

    /// Another version of the row: the same key, other columns new, or a tombstone.
    pub fn add_version(&mut self, prng: &mut Prng, table: &Table, slice: SliceId, row: &[Value]) {
        let key = table.key_of(row);
        let at = Timestamp::new(1, 1 + prng.below(1000), prng.below(3) as u32);
        let content = if prng.below(8) == 0 {
            None
        } else {
            let mut fresh = table.row(prng, prng.clone().below(1000));
            for part in &table.key {
                let at = usize::from(part.position);
                fresh[at] = row[at].clone();
            }
            Some(fresh)
        };
        self.rows.insert((slice, key, Reverse(at)), content);
    }

    pub fn options(prng: &mut Prng) -> TableOptions {
        TableOptions {
            page_rows: [1, 3, 16, 100, 1024][prng.index(5)],
            page_row_bytes: [200, 4096, 1 << 20][prng.index(3)],
            group_rows: [1, 50, 700, 32768][prng.index(4)],
            group_row_bytes: 1 << 20,
            layout: [
                LayoutChoice::Rows,
                LayoutChoice::Columns,
                LayoutChoice::ByWidth { point_read_bytes: 4096 },
            ][prng.index(3)],
            compression: [Compression::Off, Compression::Lz4][prng.index(2)],
        }
    }

    pub fn build(&self, prng: &mut Prng, table: &Table) -> File {
        self.build_with(Model::options(prng), table)
    }

    pub fn build_with(&self, options: TableOptions, table: &Table) -> File {
        let mut builder = TableBuilder::new(options, table.shape());
        let mut bytes = Vec::new();
        for ((slice, key, Reverse(at)), content) in &self.rows {
            let row = content.as_ref().map(|values| encode(table, values));
            let content = row.as_deref().map_or(RowContent::Tombstone, RowContent::Row);
            let at = (!table.sealed).then_some(*at);
            builder.push(*slice, key, at, content).expect("a row of this table");
            if builder.has_bytes() {
                bytes.extend(builder.take_bytes());
            }
        }
        let finished = builder.finish().expect("a file");
        bytes.extend(finished.bytes);
        let metadata = open_bytes(&bytes, 100).expect("what was written opens");
        assert_eq!(format!("{metadata:?}"), format!("{:?}", finished.metadata));
        let published_at = table.sealed.then_some(PUBLISHED);
        File { table: table.clone(), bytes, metadata, published_at }
    }

    /// The newest version at or below a timestamp.
    pub fn point(
        &self,
        slice: SliceId,
        key: &[u8],
        at: Timestamp,
    ) -> Option<(Timestamp, Option<Vec<Value>>)> {
        let first = (slice, key.to_vec(), Reverse(at));
        let ((s, k, Reverse(found)), row) = self.rows.range(first..).next()?;
        (*s == slice && k == key).then(|| (*found, row.clone()))
    }

    /// What a snapshot sees, in order.
    pub fn visible(&self, at: Timestamp) -> Vec<(SliceId, Vec<u8>, Vec<Value>)> {
        let mut rows = Vec::new();
        let mut last: Option<(SliceId, Vec<u8>)> = None;
        for ((slice, key, Reverse(execute_at)), row) in &self.rows {
            let position = (*slice, key.clone());
            if *execute_at > at || last.as_ref() == Some(&position) {
                continue;
            }
            last = Some(position);
            if let Some(row) = row {
                rows.push((*slice, key.clone(), row.clone()));
            }
        }
        rows
    }

    pub fn run(&self, table: &Table) -> SortedRun {
        let mut run = SortedRun::new();
        for ((slice, key, Reverse(at)), content) in &self.rows {
            let row = content.as_ref().map(|values| encode(table, values));
            let content = row.as_deref().map_or(RowContent::Tombstone, RowContent::Row);
            run.push(sstable::RowVersion { slice: *slice, key, execute_at: *at, content });
        }
        run
    }
}

pub fn encode(table: &Table, values: &[Value]) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_row(&table.types, values, &mut bytes);
    bytes
}

/// Values by their bytes: −0 is not 0, and 1.0 is not 1.00.
pub fn same(a: &[Value], b: &[Value]) -> bool {
    let text = |values: &[Value]| {
        let mut encoder = types::codec::Encoder::new();
        values.iter().for_each(|value| encoder.value(value));
        encoder.into_bytes()
    };
    text(a) == text(b)
}

pub fn open_bytes(bytes: &[u8], tail_bytes: usize) -> Result<Metadata, SstableError> {
    let length = bytes.len() as u64;
    assert_eq!(tail_range(length).end(), length);
    let tail = &bytes[bytes.len().saturating_sub(tail_bytes)..];
    match open(length, tail)? {
        Opened::Ready(metadata) => Ok(metadata),
        Opened::Needs(opening) => {
            let range = opening.range();
            opening.supply(&bytes[range.offset as usize..range.end() as usize])
        }
    }
}

impl File {
    pub fn buffers<'b>(&'b self, fetch: &Fetch) -> Vec<&'b [u8]> {
        let cut =
            |range: &sstable::ByteRange| &self.bytes[range.offset as usize..range.end() as usize];
        fetch.ranges().iter().map(cut).collect()
    }

    pub fn point(
        &self,
        slice: SliceId,
        key: &[u8],
        at: Timestamp,
    ) -> Result<PointRead, SstableError> {
        let query = PointQuery { slice, key, at, published_at: self.published_at };
        let all: Vec<u16> = (0..self.table.types.len() as u16).collect();
        let Some(mut page) = self.metadata.locate(&query) else {
            return Ok(PointRead::Absent);
        };
        loop {
            let fetch = self.metadata.point_fetch(page, &all);
            let fetched = fetch.with(self.buffers(&fetch))?;
            let read = self.metadata.decode_point(page, &all, &fetched, &query)?;
            let columns = self.metadata.point_columns(&all);
            let vectors = columns.iter().map(|column| {
                let bytes = fetched.page(page, *column);
                self.metadata.decode_page(page, *column, bytes, PageCheck::Verified)
            });
            let vectors = vectors.collect::<Result<Vec<_>, _>>()?;
            let column =
                |wanted| columns.iter().position(|column| *column == wanted).map(|at| &vectors[at]);
            let cached = self.metadata.read_point(page, &all, &query, &column)?;
            assert_eq!(read, cached, "from bytes and from decoded columns");
            match read {
                PointRead::NextPage(next) => page = next,
                read => return Ok(read),
            }
        }
    }

    pub fn check_point(&self, model: &Model, slice: SliceId, key: &[u8], at: Timestamp) {
        let found = self.point(slice, key, at).expect("an undamaged file");
        match (model.point(slice, key, at), found) {
            (None, PointRead::Absent) => {}
            (Some((at, None)), PointRead::Tombstone { execute_at }) => assert_eq!(at, execute_at),
            (Some((at, Some(values))), PointRead::Row { execute_at, row }) => {
                assert_eq!(at, execute_at);
                let null = Value::Null;
                let row = decode_row(&self.table.types, &row, |_| &null).expect("a row");
                assert!(same(&row, &values), "{row:?} is not {values:?}");
            }
            (expected, found) => panic!("{found:?} is not {expected:?}"),
        }
    }

    pub fn check_points(&self, prng: &mut Prng, model: &Model) {
        let keys: Vec<&MapKey> = model.rows.keys().collect();
        for _ in 0..200.min(keys.len() * 3) {
            let (slice, key, Reverse(at)) = keys[prng.index(keys.len())];
            for at in [*at, at.predecessor(), Timestamp::MAX, Timestamp::ZERO] {
                self.check_point(model, *slice, key, at);
            }
            let mut other = key.clone();
            let last = other.len() - 1;
            other[last] ^= 1 << prng.below(8);
            let other_slice = SliceId((slice.0 + 1) % self.table.slices);
            self.check_point(model, *slice, &other, Timestamp::MAX);
            self.check_point(model, other_slice, &other, Timestamp::MAX);
        }
        self.check_point(model, SliceId(0), &[], Timestamp::MAX);
        self.check_point(model, SliceId(u16::MAX), &[0xFF; 40], Timestamp::MAX);
    }

    pub fn fetched_columns(
        &self,
        plan: &GroupPlan,
        columns: &[FileColumn],
        selection: &Selection,
    ) -> Result<Vec<sstable::ColumnVector>, SstableError> {
        let fetch = plan.fetch(&self.metadata, columns);
        let fetched = fetch.with(self.buffers(&fetch))?;
        let decode = |column: &FileColumn| {
            let check = PageCheck::Verify;
            self.metadata.decode_selected(&plan.pages, *column, selection, &fetched, check)
        };
        columns.iter().map(decode).collect()
    }

    /// What a scan sees: visibility first, then the columns of the rows that survive.
    pub fn scan(
        &self,
        request: &ScanRequest,
    ) -> Result<(FetchPlan, Vec<Vec<Value>>), SstableError> {
        let plan = self.metadata.plan_scan(request);
        let mut rows = Vec::new();
        for group in &plan.groups {
            let fetch =
                group.fetch(&self.metadata, &self.metadata.visibility_columns(request, group));
            let fetched = fetch.with(self.buffers(&fetch))?;
            let visible =
                self.metadata.visible_rows(request, group, &fetched, PageCheck::Verify)?;
            let all: Vec<FileColumn> =
                (0..self.table.types.len() as u16).map(FileColumn::Stored).collect();
            let columns = self.fetched_columns(group, &all, &visible)?;
            rows.extend(self.values(&columns, visible.len()));
        }
        Ok((plan, rows))
    }

    pub fn values(&self, columns: &[sstable::ColumnVector], count: usize) -> Vec<Vec<Value>> {
        let value = |row: usize, at: usize| {
            let value = columns[at].value(self.table.types[at], row);
            value.and_then(|value| value.to_value()).expect("an undamaged value")
        };
        (0..count).map(|row| (0..columns.len()).map(|at| value(row, at)).collect()).collect()
    }

    pub fn check_scans(&self, prng: &mut Prng, model: &Model) {
        let keys: Vec<&MapKey> = model.rows.keys().collect();
        for _ in 0..12 {
            let at = match prng.below(3) {
                0 => Timestamp::MAX,
                1 => PUBLISHED,
                _ => Timestamp::new(1, prng.below(1000), 1),
            };
            let mut request =
                ScanRequest { published_at: self.published_at, ..ScanRequest::everything(at) };
            let position = |prng: &mut Prng| {
                if keys.is_empty() || prng.below(3) == 0 {
                    return None;
                }
                let (slice, key, _) = keys[prng.index(keys.len())];
                let key = if prng.below(4) == 0 { Vec::new() } else { key.clone() };
                Some(Position { slice: *slice, key })
            };
            request.positions = PositionRange { start: position(prng), end: position(prng) };
            if prng.below(3) == 0 {
                request.keys = KeyRange {
                    start: position(prng).map(|position| position.key),
                    end: position(prng).map(|position| position.key),
                };
            }
            let expected: Vec<Vec<Value>> = model
                .visible(at)
                .into_iter()
                .filter(|(slice, key, _)| {
                    request.positions.contains(*slice, key) && request.keys.contains(key)
                })
                .map(|(_, _, row)| row)
                .collect();
            let (_, found) = self.scan(&request).expect("an undamaged file");
            assert_eq!(found.len(), expected.len(), "{request:?}");
            for (found, expected) in found.iter().zip(&expected) {
                assert!(same(found, expected), "{found:?} is not {expected:?}");
            }
        }
    }

    /// Every version, as compaction sees them.
    pub fn check_rows(&self, model: &Model) {
        let mut expected = model.rows.iter();
        let (mut key, mut row) = (Vec::new(), Vec::new());
        for group in 0..self.metadata.group_count() {
            let pages = self.metadata.group_pages(group);
            let columns = self.metadata.all_columns();
            let fetch = Fetch::new(&self.metadata, &pages, &columns, Joining::SCAN);
            let fetched = fetch.with(self.buffers(&fetch)).expect("all ranges");
            let rows = self
                .metadata
                .decode_rows(&pages, &fetched, self.published_at, PageCheck::Verify)
                .expect("an undamaged file");
            for at in 0..rows.len() {
                let ((slice, own_key, Reverse(execute_at)), values) =
                    expected.next().expect("no more rows than written");
                rows.key_into(at, &mut key);
                assert_eq!((rows.slice(at), &key), (*slice, own_key));
                assert_eq!(rows.execute_at(at), *execute_at);
                assert_eq!(rows.is_tombstone(at), values.is_none());
                if let Some(values) = values {
                    assert!(rows.row_into(at, &mut row));
                    assert_eq!(row, encode(&self.table, values));
                }
            }
        }
        assert!(expected.next().is_none(), "all rows came");
        let tombstones = model.rows.values().filter(|row| row.is_none()).count();
        assert_eq!(self.metadata.tombstone_count(), tombstones as u64);
        assert_eq!(self.metadata.row_count(), model.rows.len() as u64);
    }

    pub fn matching(
        &self,
        model: &Model,
        predicate: &Predicate,
        matches: impl Fn(&[Value]) -> bool,
    ) -> (usize, usize) {
        let request = ScanRequest {
            predicate: predicate.clone(),
            published_at: self.published_at,
            overlap: Overlap::Alone,
            ..ScanRequest::everything(Timestamp::MAX)
        };
        let (plan, found) = self.scan(&request).expect("an undamaged file");
        let hits: Vec<&Vec<Value>> = found.iter().filter(|row| matches(row)).collect();
        let visible = model.visible(Timestamp::MAX);
        let expected = visible.iter().filter(|(_, _, row)| matches(row));
        assert_eq!(hits.len(), expected.count(), "{predicate:?}");
        for group in plan.groups.iter().filter(|group| group.all_match) {
            let all: Vec<FileColumn> =
                (0..self.table.types.len() as u16).map(FileColumn::Stored).collect();
            let everything = Selection::All(group.row_count);
            let columns = self.fetched_columns(group, &all, &everything).expect("undamaged");
            let rows = self.values(&columns, group.row_count);
            assert!(rows.iter().all(|row| matches(row)), "every row matches {predicate:?}");
        }
        (plan.row_count(), hits.len())
    }
}
