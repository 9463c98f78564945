//! Answers as files: written by us, read back by the formats' own readers.

use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use arrow::ipc::reader::FileReader;
use arrow::util::display::array_value_to_string;
use olap::{ExportFormat, FileExport, ResultBatch};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use plan::query::OutputColumn;
use types::text_format::parse_text;
use types::{ColumnType, SqlType, TextSettings, Value};

fn columns() -> Vec<(ColumnType, [&'static str; 2], [&'static str; 2])> {
    let plain = ColumnType::plain;
    vec![
        (plain(SqlType::Bool), ["t", "f"], ["true", "false"]),
        (plain(SqlType::Int2), ["-1", "7"], ["-1", "7"]),
        (plain(SqlType::Int8), ["9223372036854775807", "0"], ["9223372036854775807", "0"]),
        (plain(SqlType::Float8), ["1.5", "-2"], ["1.5", "-2.0"]),
        (ColumnType::numeric(10, 2), ["12345678.90", "-0.01"], ["12345678.90", "-0.01"]),
        (ColumnType::numeric(38, 0), ["0", "10000"], ["0", "10000"]),
        (plain(SqlType::Numeric), ["NaN", "1.50"], ["NaN", "1.50"]),
        (plain(SqlType::Text), ["", "été"], ["", "été"]),
        (plain(SqlType::Bytea), ["\\x00ff", "\\x"], ["00ff", ""]),
        (plain(SqlType::Date), ["1999-12-31", "2024-02-29"], ["1999-12-31", "2024-02-29"]),
        (
            plain(SqlType::Timestamp),
            ["2000-01-01 00:00:00", "2024-02-29 01:02:03.000004"],
            ["2000-01-01T00:00:00", "2024-02-29T01:02:03.000004"],
        ),
        (
            plain(SqlType::Timestamptz),
            ["1969-12-31 23:59:59+00", "2000-01-01 00:00:00+00"],
            ["1969-12-31T23:59:59Z", "2000-01-01T00:00:00Z"],
        ),
        (plain(SqlType::Int4Array), ["{1,2}", "{}"], ["{1,2}", "{}"]),
        (plain(SqlType::Oid), ["4294967295", "1"], ["4294967295", "1"]),
    ]
}

fn answer() -> (Arc<[OutputColumn]>, ResultBatch) {
    let columns = columns();
    let output: Arc<[OutputColumn]> = columns
        .iter()
        .enumerate()
        .map(|(at, (column_type, ..))| OutputColumn {
            name: format!("column {at}").into(),
            column_type: *column_type,
            origin: None,
        })
        .collect();
    let row = |at: usize| -> Vec<Value> {
        let read = |(column_type, texts, _): &(ColumnType, [&str; 2], [&str; 2])| {
            parse_text(texts[at], column_type.sql_type, &TextSettings::DEFAULT).expect("a value")
        };
        columns.iter().map(read).collect()
    };
    let nulls = vec![Value::Null; columns.len()];
    let batch = ResultBatch::from_rows(output.clone(), &[row(0), row(1), nulls]);
    (output, batch.expect("values of their types"))
}

fn written(format: ExportFormat) -> Vec<u8> {
    let (columns, batch) = answer();
    let mut export =
        FileExport::new(Vec::new(), format, columns, TextSettings::DEFAULT).expect("a head");
    export.write(&batch).expect("rows");
    export.finish().expect("an end")
}

fn check(batch: &RecordBatch) {
    assert_eq!(batch.num_rows(), 3);
    for (at, (column_type, _, shown)) in columns().iter().enumerate() {
        let column = batch.column(at);
        for (row, expected) in shown.iter().enumerate() {
            let found = array_value_to_string(column, row).expect("a value");
            assert_eq!(found, *expected, "{column_type}");
        }
        assert!(column.is_null(2), "{column_type}");
    }
}

#[test]
fn parquet_and_arrow_files_hold_the_answer() {
    let bytes = written(ExportFormat::Parquet);
    let directory = tempfile_path("parquet");
    std::fs::write(&directory, bytes).expect("written");
    let file = std::fs::File::open(&directory).expect("opened");
    let mut reader = ParquetRecordBatchReaderBuilder::try_new(file)
        .and_then(ParquetRecordBatchReaderBuilder::build)
        .expect("a Parquet file");
    check(&reader.next().expect("a batch").expect("readable"));
    std::fs::remove_file(&directory).expect("removed");
    let bytes = std::io::Cursor::new(written(ExportFormat::Arrow));
    let mut reader = FileReader::try_new(bytes, None).expect("an Arrow file");
    check(&reader.next().expect("a batch").expect("readable"));
}

fn tempfile_path(name: &str) -> std::path::PathBuf {
    std::env::temp_dir().join(format!("ringfence-export-{}.{name}", std::process::id()))
}

#[test]
fn what_a_file_cannot_hold_is_an_error() {
    for (sql_type, text) in [(SqlType::Date, "infinity"), (SqlType::Timestamp, "-infinity")] {
        let columns: Arc<[OutputColumn]> = Arc::from([OutputColumn {
            name: "x".into(),
            column_type: ColumnType::plain(sql_type),
            origin: None,
        }]);
        let value = parse_text(text, sql_type, &TextSettings::DEFAULT).expect("a value");
        let batch = ResultBatch::from_rows(columns.clone(), &[vec![value]]).expect("rows");
        let format = ExportFormat::Parquet;
        let export = FileExport::new(Vec::new(), format, columns, TextSettings::DEFAULT);
        let error = export.expect("a head").write(&batch).expect_err("no place for it");
        assert_eq!(error.sqlstate().as_str(), "22003");
    }
}
