//! Cases whose answers a running PostgreSQL 15 gave, round trips of random records, and pieces of every size.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use alloc::{format, vec};

use super::*;
use crate::prng::Prng;

/// One record a line: fields between `|`, NULL as `~`; an error as its text, with the line.
fn read(options: CopyOptions, columns: usize, bytes: &[u8], piece: usize) -> Vec<String> {
    let names = (1..=columns).map(|number| format!("c{number}")).collect();
    let mut reader = CopyReader::new(options, names);
    let mut seen = Vec::new();
    let pieces = bytes.chunks(piece).map(Some).chain([None]);
    for piece in pieces {
        match piece {
            Some(piece) => {
                if let Err(error) = reader.push(piece) {
                    seen.push(format!("line {}: {error}", reader.line_number()));
                    return seen;
                }
            }
            None => reader.finish(),
        }
        loop {
            match reader.next_record() {
                Ok(Some(record)) => {
                    let fields: Vec<String> = record
                        .fields()
                        .map(|field| match field {
                            None => "~".to_string(),
                            Some(bytes) => bytes.escape_ascii().to_string(),
                        })
                        .collect();
                    seen.push(fields.join("|"));
                }
                Ok(None) => break,
                Err(error) => {
                    assert!(!error.sqlstate().as_str().is_empty());
                    seen.push(format!("line {}: {error}", reader.line_number()));
                    return seen;
                }
            }
        }
    }
    seen
}

fn check(options: &CopyOptions, columns: usize, bytes: &[u8], expected: &[&str]) {
    for piece in [1, 2, 3, 7, 8, 9, 4_096] {
        let seen = read(options.clone(), columns, bytes, piece);
        assert_eq!(seen, expected, "{:?} in pieces of {piece}", bytes.escape_ascii().to_string());
    }
}

fn options(texts: CopyOptionTexts<'_>) -> CopyOptions {
    texts.check(CopyDirection::From).expect("options that fit together")
}

#[test]
fn text_records() {
    let plain = CopyOptions::plain(CopyFormat::Text);
    let cases: &[(usize, &[u8], &[&str])] = &[
        (2, b"", &[]),
        (2, b"1\ta\n2\tb\n", &["1|a", "2|b"]),
        (2, b"1\ta\n2\tb", &["1|a", "2|b"]),
        (2, b"\\N\t\n", &["~|"]),
        (1, b"\n\n", &["", ""]),
        (1, b"\\\\N\n", &["\\\\N"]),
        (2, b"a\\tb\\nc\t\\b\\f\\r\\v\n", &["a\\tb\\nc|\\x08\\x0c\\r\\x0b"]),
        (1, b"\\101\\1012\\60x\\8\n", &["AA20x8"]),
        (1, b"\\x41\\x4g\\xg\\x\n", &["A\\x04gxgx"]),
        (2, b"a\\\tb\tc\n", &["a\\tb|c"]),
        (1, b"a\\\nb\n", &["a\\nb"]),
        (1, b"a\\", &["a"]),
        (1, b"1\r\n2\r\n", &["1", "2"]),
        (1, b"1\r2\r", &["1", "2"]),
        (1, b"1\n2\r\n", &["1", "line 2: literal carriage return found in data"]),
        (1, b"1\r\n2\n", &["1", "line 2: literal newline found in data"]),
        (1, b"1\r\n2\r3\r\n", &["1", "line 2: literal carriage return found in data"]),
        (1, b"1\n\\.\n2\n", &["1"]),
        (1, b"1\n\\.", &["1", "line 2: end-of-copy marker corrupt"]),
        (1, b"1\n2\\.\n3\n", &["1", "2"]),
        (1, b"1\n\\.x\n", &["1", "line 2: end-of-copy marker corrupt"]),
        (
            1,
            b"1\r\n\\.\n",
            &["1", "line 2: end-of-copy marker does not match previous newline style"],
        ),
        (
            1,
            b"1\n\\.\r\n",
            &["1", "line 2: end-of-copy marker does not match previous newline style"],
        ),
        (1, b"1\r\n\\.\r\n2", &["1"]),
        (2, b"1\n", &["line 1: missing data for column \"c2\""]),
        (2, b"1\t2\t3\n", &["line 1: extra data after last expected column"]),
        (0, b"\n\n", &["", ""]),
        (0, b"x\n", &["line 1: extra data after last expected column"]),
        (1, b"\xff\xfe\n", &["\\xff\\xfe"]),
    ];
    for (columns, bytes, expected) in cases {
        check(&plain, *columns, bytes, expected);
    }
    let other = options(CopyOptionTexts {
        delimiter: Some("|"),
        null: Some("NIL"),
        header: CopyHeader::Present,
        ..CopyOptionTexts::default()
    });
    check(&other, 2, b"any thing\n1|NIL\n\\N|N\\IL\n", &["1|~", "N|NIL"]);
}

#[test]
fn csv_records() {
    let plain = CopyOptions::plain(CopyFormat::Csv);
    let cases: &[(usize, &[u8], &[&str])] = &[
        (2, b"1,a\n2,b\n", &["1|a", "2|b"]),
        (2, b",\"\"\n", &["~|"]),
        (1, b"\n", &["~"]),
        (2, b"\"a,b\",\"c\"\"d\"\n", &["a,b|c\\\"d"]),
        (2, b"x\"y,z\"w,2\n", &["xy,zw|2"]),
        (1, b"\"a\nb\"\nc\n", &["a\\nb", "c"]),
        (1, b"\"a\r\nb\"\r\nc\r\n", &["a\\r\\nb", "c"]),
        (1, b" a \n", &[" a "]),
        (1, b"a\\nb\n", &["a\\\\nb"]),
        (1, b"\"abc\n", &["line 1: unterminated CSV quoted field"]),
        (1, b"1\n\\.\n2\n", &["1"]),
        (1, b"1\n\\.", &["1", "\\\\."]),
        (1, b"1\n\\.x\n", &["1", "\\\\.x"]),
        (2, b"\\.,x\n", &["\\\\.|x"]),
        (1, b"\"\\.\"\nx\n", &["\\\\.", "x"]),
        (1, b"1\n2\r\n", &["1", "line 2: unquoted carriage return found in data"]),
        (1, b"1\r\n2\n", &["1", "line 2: unquoted newline found in data"]),
        (2, b"1,2,3\n", &["line 1: extra data after last expected column"]),
        (2, b"1,2\n\"a\nb\"\n", &["1|2", "line 3: missing data for column \"c2\""]),
    ];
    for (columns, bytes, expected) in cases {
        check(&plain, *columns, bytes, expected);
    }
    let csv = CopyOptionTexts { format: CopyFormat::Csv, ..CopyOptionTexts::default() };
    let other = options(CopyOptionTexts {
        delimiter: Some(";"),
        quote: Some("'"),
        escape: Some("\\"),
        null: Some("nil"),
        ..csv.clone()
    });
    check(&other, 3, b"nil;'nil';''\n", &["~|nil|"]);
    check(&other, 1, b"'a\\'b\\\\c\\d'\n", &["a\\'b\\\\c\\\\d"]);
    check(&other, 1, b"'a\\\\'\n'b'\n", &["a\\\\", "b"]);
    let forced = options(CopyOptionTexts {
        force_not_null: ColumnChoice::These(vec![0]),
        force_null: ColumnChoice::All,
        ..csv.clone()
    });
    check(&forced, 2, b",\"\"\n\"\",\n", &["|~", "~|~"]);
    let headed = options(CopyOptionTexts { header: CopyHeader::Match, ..csv });
    check(&headed, 2, b"c1,\"c2\"\n1,2\n", &["1|2"]);
    check(
        &headed,
        2,
        b"c1\n",
        &["line 1: wrong number of fields in header line: field count is 1, expected 2"],
    );
    check(
        &headed,
        2,
        b"c1,C2\n",
        &["line 1: column name mismatch in header line field 2: got \"C2\", expected \"c2\""],
    );
    check(
        &headed,
        2,
        b"c1,\n",
        &[
            "line 1: column name mismatch in header line field 2: got null value (\"\"), expected \"c2\"",
        ],
    );
}

#[test]
fn binary_records() {
    let plain = CopyOptions::plain(CopyFormat::Binary);
    let head = [&BINARY_SIGNATURE[..], &[0; 8]].concat();
    let file = |rest: &[u8]| [&head[..], rest].concat();
    check(&plain, 2, &file(b"\0\x02\0\0\0\x01a\xff\xff\xff\xff\xff\xff"), &["a|~"]);
    check(&plain, 0, &file(b"\0\0\0\0\xff\xff"), &["", ""]);
    let extended = [&BINARY_SIGNATURE[..], b"\0\0\0\0\0\0\0\x02xx\xff\xff"].concat();
    check(&plain, 1, &extended, &[]);
    let end = "unexpected EOF in COPY data";
    let ends = |bytes: &[u8], line: u32| check(&plain, 1, bytes, &[&format!("line {line}: {end}")]);
    ends(b"PGCOPY\n", 0);
    ends(&file(b""), 0);
    ends(&file(b"\0\x01\0\0\0\x05abc"), 1);
    let wrong = |bytes: &[u8], text: &str| check(&plain, 1, bytes, &[text]);
    wrong(b"PGCOPY\nX", "line 0: COPY file signature not recognized");
    wrong(b"1\n2\n", "line 0: COPY file signature not recognized");
    let flagged = |flags: &[u8]| [&BINARY_SIGNATURE[..], flags, &[0; 4]].concat();
    wrong(&flagged(&[0, 1, 0, 0]), "line 0: invalid COPY file header (WITH OIDS)");
    wrong(&flagged(&[0, 2, 0, 0]), "line 0: unrecognized critical flags in COPY file header");
    let lying = [&BINARY_SIGNATURE[..], &[0, 0, 0, 0, 255, 255, 255, 255]].concat();
    wrong(&lying, "line 0: invalid COPY file header (wrong length)");
    wrong(&file(b"\0\x02"), "line 1: row field count is 2, expected 1");
    wrong(&file(b"\xff\xfe"), "line 1: row field count is -2, expected 1");
    wrong(&file(b"\0\x01\xff\xff\xff\xfe"), "line 1: invalid field size");
    let too_long = "line 1: a record of COPY data is longer than 67108864 bytes";
    wrong(&file(b"\0\x01\x7f\xff\xff\xff"), too_long);
    for piece in [1, 4_096] {
        let seen = read(plain.clone(), 0, &file(b"\xff\xffx"), piece);
        assert!(seen[0].ends_with("received copy data after EOF marker"), "{seen:?}");
    }
}

fn write(options: &CopyOptions, rows: &[Vec<Option<Vec<u8>>>], columns: usize) -> Vec<u8> {
    let writer = CopyWriter::new(options.clone(), columns);
    let mut out = Vec::new();
    writer.begin(&mut out);
    for fields in rows {
        let mut row = writer.row(&mut out);
        for field in fields {
            row.field(field.as_deref());
        }
        row.end();
    }
    writer.end(&mut out);
    out
}

#[test]
fn writes_as_postgresql_does() {
    let row = |fields: &[Option<&str>]| -> Vec<Option<Vec<u8>>> {
        fields.iter().map(|field| field.map(|text| text.as_bytes().to_vec())).collect()
    };
    let text = CopyOptions::plain(CopyFormat::Text);
    let fields = row(&[None, Some(""), Some("a\tb\\c\n\r\u{8}\u{b}\u{c}"), Some("\\N")]);
    assert_eq!(write(&text, &[fields], 4), b"\\N\t\ta\\tb\\\\c\\n\\r\\b\\v\\f\t\\\\N\n");
    let csv = CopyOptions::plain(CopyFormat::Csv);
    let fields = row(&[None, Some(""), Some("a,b"), Some("q\"q"), Some("l\nl"), Some(" s ")]);
    assert_eq!(write(&csv, &[fields], 6), b",\"\",\"a,b\",\"q\"\"q\",\"l\nl\", s \n");
    assert_eq!(write(&csv, &[row(&[Some("\\.")])], 1), b"\"\\.\"\n");
    assert_eq!(write(&csv, &[row(&[Some("\\."), Some("\\.")])], 2), b"\\.,\\.\n");
    let forced = CopyOptionTexts {
        format: CopyFormat::Csv,
        force_quote: ColumnChoice::These(vec![1]),
        ..CopyOptionTexts::default()
    };
    let forced = forced.check(CopyDirection::To).expect("options that fit together");
    assert_eq!(write(&forced, &[row(&[Some("a"), Some("b")])], 2), b"a,\"b\"\n");
    assert_eq!(write(&forced, &[row(&[None, None])], 2), b",\n");
    let mut out = Vec::new();
    CopyWriter::new(csv, 2).header(["a,b", "c"], &mut out);
    CopyWriter::new(text, 2).header(["a\tb", "c"], &mut out);
    assert_eq!(out, b"\"a,b\",c\na\\tb\tc\n");
    let binary = CopyOptions::plain(CopyFormat::Binary);
    let written = write(&binary, &[row(&[Some("a"), None])], 2);
    let rest = b"\0\x02\0\0\0\x01a\xff\xff\xff\xff\xff\xff";
    assert_eq!(written, [&BINARY_SIGNATURE[..], &[0; 8], rest].concat());
}

#[test]
fn what_is_written_is_read_back() {
    let mut prng = Prng::new(0xc0b1);
    let csv = CopyOptionTexts { format: CopyFormat::Csv, ..CopyOptionTexts::default() };
    let odd_csv = CopyOptionTexts {
        delimiter: Some("\t"),
        quote: Some("'"),
        escape: Some("\\"),
        null: Some("x"),
        ..csv.clone()
    };
    let odd_text =
        CopyOptionTexts { delimiter: Some(","), null: Some("ab"), ..CopyOptionTexts::default() };
    let binary = CopyOptionTexts { format: CopyFormat::Binary, ..CopyOptionTexts::default() };
    let all = [CopyOptionTexts::default(), odd_text, csv, odd_csv, binary].map(options);
    let alphabet = b"abx\\.N,\t\"'\n\r01\x08 ";
    for _ in 0..3_000 {
        let options = &all[prng.index(all.len())];
        let columns = 1 + prng.index(4);
        let rows: Vec<Vec<Option<Vec<u8>>>> = (0..prng.index(4))
            .map(|_| {
                let mut field = || {
                    let bytes = (0..prng.index(20)).map(|_| alphabet[prng.index(alphabet.len())]);
                    let bytes: Vec<u8> = bytes.collect();
                    (prng.below(5) > 0).then_some(bytes)
                };
                (0..columns).map(|_| field()).collect()
            })
            .collect();
        let written = write(options, &rows, columns);
        let expected: Vec<String> = rows
            .iter()
            .map(|fields| {
                let texts: Vec<String> = fields
                    .iter()
                    .map(|field| match field {
                        None => "~".to_string(),
                        Some(bytes) => bytes.escape_ascii().to_string(),
                    })
                    .collect();
                texts.join("|")
            })
            .collect();
        let piece = 1 + prng.index(30);
        let seen = read(options.clone(), columns, &written, piece);
        assert_eq!(seen, expected, "{:?}", written.escape_ascii().to_string());
    }
}

#[test]
fn noise_is_read_the_same_in_any_pieces() {
    let mut prng = Prng::new(99);
    let alphabet = b"ab\\.\\N,\t\"\n\r1";
    let formats = [CopyFormat::Text, CopyFormat::Csv, CopyFormat::Binary];
    for round in 0..6_000 {
        let options = CopyOptions::plain(formats[round % 3]);
        let mut bytes = Vec::new();
        if round % 3 == 2 {
            bytes.extend_from_slice(BINARY_SIGNATURE);
            bytes.extend_from_slice(&[0; 8]);
        }
        for _ in 0..prng.index(60) {
            let byte = match round % 3 {
                2 => [0, 0, 0, 1, 2, 255][prng.index(6)],
                _ => alphabet[prng.index(alphabet.len())],
            };
            bytes.push(byte);
        }
        let columns = 1 + prng.index(2);
        let whole = read(options.clone(), columns, &bytes, 4_096);
        for piece in [1, 3, 8] {
            let pieces = read(options.clone(), columns, &bytes, piece);
            assert_eq!(pieces, whole, "{}", bytes.escape_ascii());
        }
    }
}

#[test]
fn options_are_checked_as_postgresql_checks_them() {
    let text = CopyOptionTexts::default;
    let csv = || CopyOptionTexts { format: CopyFormat::Csv, ..text() };
    let binary = || CopyOptionTexts { format: CopyFormat::Binary, ..text() };
    let from = CopyDirection::From;
    let to = CopyDirection::To;
    let all = || ColumnChoice::All;
    let cases = [
        (
            CopyOptionTexts { delimiter: Some(","), ..binary() },
            from,
            "42601 cannot specify DELIMITER in BINARY mode",
        ),
        (
            CopyOptionTexts { null: Some(""), ..binary() },
            from,
            "42601 cannot specify NULL in BINARY mode",
        ),
        (
            CopyOptionTexts { header: CopyHeader::Present, ..binary() },
            from,
            "0A000 cannot specify HEADER in BINARY mode",
        ),
        (
            CopyOptionTexts { header: CopyHeader::Match, ..csv() },
            to,
            "0A000 cannot use \"match\" with HEADER in COPY TO",
        ),
        (
            CopyOptionTexts { delimiter: Some(""), ..text() },
            from,
            "0A000 COPY delimiter must be a single one-byte character",
        ),
        (
            CopyOptionTexts { delimiter: Some("ü"), ..csv() },
            from,
            "0A000 COPY delimiter must be a single one-byte character",
        ),
        (
            CopyOptionTexts { delimiter: Some("\n"), ..csv() },
            from,
            "22023 COPY delimiter cannot be newline or carriage return",
        ),
        (
            CopyOptionTexts { null: Some("a\r"), ..text() },
            from,
            "22023 COPY null representation cannot use newline or carriage return",
        ),
        (
            CopyOptionTexts { delimiter: Some("a"), ..text() },
            from,
            "22023 COPY delimiter cannot be \"a\"",
        ),
        (
            CopyOptionTexts { quote: Some("'"), ..text() },
            from,
            "0A000 COPY quote available only in CSV mode",
        ),
        (
            CopyOptionTexts { quote: Some("''"), ..csv() },
            from,
            "0A000 COPY quote must be a single one-byte character",
        ),
        (
            CopyOptionTexts { quote: Some(","), ..csv() },
            from,
            "22023 COPY delimiter and quote must be different",
        ),
        (
            CopyOptionTexts { escape: Some("'"), ..text() },
            from,
            "0A000 COPY escape available only in CSV mode",
        ),
        (
            CopyOptionTexts { escape: Some(""), ..csv() },
            from,
            "0A000 COPY escape must be a single one-byte character",
        ),
        (
            CopyOptionTexts { force_quote: all(), ..text() },
            to,
            "0A000 COPY force quote available only in CSV mode",
        ),
        (
            CopyOptionTexts { force_quote: all(), ..csv() },
            from,
            "0A000 COPY force quote only available using COPY TO",
        ),
        (
            CopyOptionTexts { force_not_null: all(), ..csv() },
            to,
            "0A000 COPY force not null only available using COPY FROM",
        ),
        (
            CopyOptionTexts { force_null: all(), ..csv() },
            to,
            "0A000 COPY force null only available using COPY FROM",
        ),
        (
            CopyOptionTexts { null: Some("a\tb"), ..text() },
            from,
            "0A000 COPY delimiter must not appear in the NULL specification",
        ),
        (
            CopyOptionTexts { null: Some("\""), ..csv() },
            from,
            "0A000 CSV quote character must not appear in the NULL specification",
        ),
    ];
    for (texts, direction, expected) in cases {
        let error = texts.check(direction).expect_err(expected);
        assert_eq!(format!("{} {error}", error.sqlstate), expected);
    }
    assert_eq!(text().check(to), Ok(CopyOptions::plain(CopyFormat::Text)));
    assert_eq!(binary().check(from), Ok(CopyOptions::plain(CopyFormat::Binary)));
    assert!(CopyOptionTexts { delimiter: Some("a"), ..csv() }.check(from).is_ok());
}
