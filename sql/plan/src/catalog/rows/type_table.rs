//! Types: `pg_type`, and how values of each lie in PostgreSQL. Source: PostgreSQL 15, `pg_type`, for the types that we have; an array type is named only where
//! we have it.

use super::cell::{NO, NONE, NULL, Row, YES, char, oid, text};
use super::owner;
use crate::catalog::{Catalog, PG_CATALOG_OID};
use alloc::vec;
use alloc::vec::Vec;
use types::{SqlType, Value};

/// A row of `pg_type`.
struct Type {
    oid: u32,
    name: &'static str,
    length: i16,
    by_value: bool,
    /// `typtype`, `typcategory`, `typalign`, `typstorage`.
    letters: &'static str,
    preferred: bool,
    /// `typelem`, `typarray`, `typsubscript`.
    array: [u32; 3],
    /// `typinput`, `typoutput`, `typreceive`, `typsend`, `typmodin`, `typmodout`.
    functions: [u32; 6],
    collation: u32,
}

/// What `pg_attribute` repeats of a column's type.
pub(super) struct Layout {
    pub(super) by_value: bool,
    pub(super) alignment: char,
    pub(super) storage: char,
    pub(super) collation: u32,
}

#[expect(clippy::too_many_arguments, reason = "one row of the table")]
const fn t(
    oid: u32,
    name: &'static str,
    length: i16,
    by_value: bool,
    letters: &'static str,
    preferred: bool,
    array: [u32; 3],
    functions: [u32; 6],
    collation: u32,
) -> Type {
    Type { oid, name, length, by_value, letters, preferred, array, functions, collation }
}

/// In ascending order of OIDs.
#[rustfmt::skip]
static TYPES: &[Type] = &[
    t(16, "bool", 1, true, "bBcp", true, [0, 0, 0], [1242, 1243, 2436, 2437, 0, 0], 0),
    t(17, "bytea", -1, false, "bUix", false, [0, 0, 0], [1244, 31, 2412, 2413, 0, 0], 0),
    t(18, "char", 1, true, "bZcp", false, [0, 0, 0], [1245, 33, 2434, 2435, 0, 0], 0),
    t(19, "name", 64, false, "bScp", false, [18, 0, 6180], [34, 35, 2422, 2423, 0, 0], 950),
    t(20, "int8", 8, true, "bNdp", false, [0, 1016, 0], [460, 461, 2408, 2409, 0, 0], 0),
    t(21, "int2", 2, true, "bNsp", false, [0, 1005, 0], [38, 39, 2404, 2405, 0, 0], 0),
    t(23, "int4", 4, true, "bNip", false, [0, 1007, 0], [42, 43, 2406, 2407, 0, 0], 0),
    t(24, "regproc", 4, true, "bNip", false, [0, 0, 0], [44, 45, 2444, 2445, 0, 0], 0),
    t(25, "text", -1, false, "bSix", true, [0, 1009, 0], [46, 47, 2414, 2415, 0, 0], 100),
    t(26, "oid", 4, true, "bNip", true, [0, 1028, 0], [1798, 1799, 2418, 2419, 0, 0], 0),
    t(700, "float4", 4, true, "bNip", false, [0, 0, 0], [200, 201, 2424, 2425, 0, 0], 0),
    t(701, "float8", 8, true, "bNdp", true, [0, 0, 0], [214, 215, 2426, 2427, 0, 0], 0),
    t(705, "unknown", -2, false, "pXcp", false, [0, 0, 0], [109, 110, 2416, 2417, 0, 0], 0),
    t(1005, "_int2", -1, false, "bAix", false, [21, 0, 6179], [750, 751, 2400, 2401, 0, 0], 0),
    t(1007, "_int4", -1, false, "bAix", false, [23, 0, 6179], [750, 751, 2400, 2401, 0, 0], 0),
    t(1009, "_text", -1, false, "bAix", false, [25, 0, 6179], [750, 751, 2400, 2401, 0, 0], 100),
    t(1016, "_int8", -1, false, "bAdx", false, [20, 0, 6179], [750, 751, 2400, 2401, 0, 0], 0),
    t(1028, "_oid", -1, false, "bAix", false, [26, 0, 6179], [750, 751, 2400, 2401, 0, 0], 0),
    t(1042, "bpchar", -1, false, "bSix", false, [0, 0, 0], [1044, 1045, 2430, 2431, 2913, 2914], 100),
    t(1043, "varchar", -1, false, "bSix", false, [0, 0, 0], [1046, 1047, 2432, 2433, 2915, 2916], 100),
    t(1082, "date", 4, true, "bDip", false, [0, 0, 0], [1084, 1085, 2468, 2469, 0, 0], 0),
    t(1114, "timestamp", 8, true, "bDdp", false, [0, 0, 0], [1312, 1313, 2474, 2475, 2905, 2906], 0),
    t(1184, "timestamptz", 8, true, "bDdp", true, [0, 0, 0], [1150, 1151, 2476, 2477, 2907, 2908], 0),
    t(1186, "interval", 16, false, "bTdp", true, [0, 0, 0], [1160, 1161, 2478, 2479, 2903, 2904], 0),
    t(1700, "numeric", -1, false, "bNim", false, [0, 0, 0], [1701, 1702, 2460, 2461, 2917, 2918], 0),
    t(2205, "regclass", 4, true, "bNip", false, [0, 0, 0], [2218, 2219, 2452, 2453, 0, 0], 0),
    t(2206, "regtype", 4, true, "bNip", false, [0, 0, 0], [2220, 2221, 2454, 2455, 0, 0], 0),
    t(2276, "any", 4, true, "pPip", false, [0, 0, 0], [2294, 2295, 0, 0, 0, 0], 0),
    t(2277, "anyarray", -1, false, "pPdx", false, [0, 0, 0], [2296, 2297, 2502, 2503, 0, 0], 0),
    t(2278, "void", 4, true, "pPip", false, [0, 0, 0], [2298, 2299, 3120, 3121, 0, 0], 0),
    t(2283, "anyelement", 4, true, "pPip", false, [0, 0, 0], [2312, 2313, 0, 0, 0, 0], 0),
    t(2950, "uuid", 16, false, "bUcp", false, [0, 0, 0], [2952, 2953, 2961, 2962, 0, 0], 0),
];

impl Type {
    fn letter(&self, index: usize) -> char {
        char::from(self.letters.as_bytes()[index])
    }

    fn row(&self, owner: u32) -> Row {
        let [element, array, subscript] = self.array;
        let analyze = if self.letter(1) == 'A' { ARRAY_TYPANALYZE } else { 0 };
        let mut row = vec![
            oid(self.oid),
            text(self.name),
            oid(PG_CATALOG_OID),
            oid(owner),
            Value::Int2(self.length),
            Value::Bool(self.by_value),
            char(self.letter(0)),
            char(self.letter(1)),
            Value::Bool(self.preferred),
            YES,
            char(','),
            NONE,
            oid(subscript),
            oid(element),
            oid(array),
        ];
        row.extend(self.functions.iter().map(|function| oid(*function)));
        row.extend([
            oid(analyze),
            char(self.letter(2)),
            char(self.letter(3)),
            NO,
            NONE,
            Value::Int4(-1),
            Value::Int4(0),
            oid(self.collation),
            NULL,
            NULL,
            NULL,
        ]);
        row
    }
}

/// The `typanalyze` of arrays.
const ARRAY_TYPANALYZE: u32 = 3816;

fn find(oid: u32) -> &'static Type {
    let position = TYPES.binary_search_by_key(&oid, |row| row.oid);
    &TYPES[position.expect("every type of ours has a row")]
}

/// How values of a type lie.
pub(super) fn layout(sql_type: SqlType) -> Layout {
    let found = find(sql_type.oid());
    Layout {
        by_value: found.by_value,
        alignment: found.letter(2),
        storage: found.letter(3),
        collation: found.collation,
    }
}

/// `pg_type.typname`
pub(super) fn name(sql_type: SqlType) -> &'static str {
    find(sql_type.oid()).name
}

pub(super) fn pg_type(catalog: &Catalog) -> Vec<Row> {
    let owner = owner(catalog);
    TYPES.iter().map(|row| row.row(owner)).collect()
}

#[cfg(test)]
mod tests {
    use super::{find, layout};
    use types::SqlType;

    #[test]
    fn every_type_has_a_row_that_agrees() {
        for sql_type in SqlType::ALL {
            let row = find(sql_type.oid());
            assert_eq!(row.length, sql_type.typlen(), "{sql_type:?}");
            if let Some(element) = sql_type.element() {
                assert_eq!(row.array[0], element.oid());
                assert_eq!(find(element.oid()).array[1], sql_type.oid());
            }
            assert!(layout(*sql_type).alignment.is_ascii_lowercase());
        }
    }
}
