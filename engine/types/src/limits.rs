//! Every bound in the system, with compile-time assertions between them. Exceeding one is an error of class 54 at the door, before allocation.

use crate::bytes::{KIB, MIB};

/// Longest encoded key in bytes.
pub const KEY_BYTES_MAX: usize = 64 * KIB as usize;
/// Longest encoded row in bytes.
pub const ROW_BYTES_MAX: usize = 16 * MIB as usize;
/// Longest statement, and longest frontend message, in bytes.
pub const STATEMENT_BYTES_MAX: usize = 64 * MIB as usize;
/// Columns of a table, dropped ones included.
pub const COLUMNS_MAX: usize = 1_600;
/// Columns of a key or an index.
pub const KEY_COLUMNS_MAX: usize = 32;
/// Bytes of an identifier (PostgreSQL's NAMEDATALEN less one); longer ones are cut with a notice.
pub const IDENTIFIER_BYTES_MAX: usize = 63;
/// Nesting of an expression or a query.
pub const EXPRESSION_DEPTH_MAX: usize = 256;
/// Parameters of a prepared statement (the wire format counts them in 16 bits).
pub const PARAMETERS_MAX: usize = 65_535;
/// Items of a select list (PostgreSQL's MaxTupleAttributeNumber).
pub const TARGET_LIST_MAX: usize = 1_664;
/// Rows that one transaction buffers before it goes over to sealed table files.
pub const TRANSACTION_ROWS_BUFFERED_MAX: usize = 64 * 1024;
/// Bytes that one transaction buffers before it goes over to sealed table files.
pub const TRANSACTION_BYTES_BUFFERED_MAX: u64 = 8 * MIB;
/// Bytes of one commit-log record.
pub const RECORD_BYTES_MAX: usize = 32 * MIB as usize;
/// Shards of a node.
pub const SHARDS_MAX: u16 = 64;
/// The alignment of direct I/O.
pub const BLOCK_BYTES: usize = 4 * KIB as usize;
/// What a device writes at once or not at all.
pub const SECTOR_BYTES: usize = 512;

const _: () = {
    assert!(KEY_BYTES_MAX < ROW_BYTES_MAX);
    assert!(ROW_BYTES_MAX < RECORD_BYTES_MAX);
    assert!(TRANSACTION_BYTES_BUFFERED_MAX + ROW_BYTES_MAX as u64 <= RECORD_BYTES_MAX as u64);
    assert!(RECORD_BYTES_MAX <= STATEMENT_BYTES_MAX);
    assert!(BLOCK_BYTES.is_multiple_of(SECTOR_BYTES));
    assert!(COLUMNS_MAX < TARGET_LIST_MAX);
};
