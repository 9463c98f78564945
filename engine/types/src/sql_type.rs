//! SQL types by their PostgreSQL names, OIDs and widths. Source: PostgreSQL 15, `pg_type`.

/// A type without its modifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SqlType {
    /// `boolean`
    Bool,
    /// `smallint`
    Int2,
    /// `integer`
    Int4,
    /// `bigint`
    Int8,
    /// `real`
    Float4,
    /// `double precision`
    Float8,
    /// `numeric`
    Numeric,
    /// `text`
    Text,
    /// `character varying`
    Varchar,
    /// `character`, blank-padded
    Bpchar,
    /// `bytea`
    Bytea,
    /// `date`
    Date,
    /// `timestamp without time zone`
    Timestamp,
    /// `timestamp with time zone`
    Timestamptz,
    /// `interval`
    Interval,
    /// `uuid`
    Uuid,
    /// `oid` (catalog only)
    Oid,
    /// `name` (catalog only)
    Name,
    /// `"char"`, one byte (catalog only)
    Char,
    /// `regclass` (catalog only)
    Regclass,
    /// `regtype` (catalog only)
    Regtype,
    /// `regproc` (catalog only)
    Regproc,
    /// `text[]` (catalog and results only)
    TextArray,
    /// `smallint[]` and `int2vector` (catalog and results only)
    Int2Array,
    /// `integer[]` (catalog and results only)
    Int4Array,
    /// `bigint[]` (catalog and results only)
    Int8Array,
    /// `oid[]` and `oidvector` (catalog and results only)
    OidArray,
    /// A literal or parameter whose type is not decided yet
    Unknown,
    /// What a function returns that returns nothing
    Void,
}

/// How values of a type lie in column chunks and rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PhysicalType {
    /// One bit in pages, one byte in rows.
    Bool,
    /// Two bytes, two's complement.
    Int16,
    /// Four bytes, two's complement.
    Int32,
    /// Eight bytes, two's complement.
    Int64,
    /// IEEE 754, four bytes.
    Float32,
    /// IEEE 754, eight bytes.
    Float64,
    /// Sixteen bytes.
    Fixed16,
    /// Any number of bytes that are UTF-8.
    Utf8,
    /// Any number of bytes.
    Bytes,
}

impl PhysicalType {
    /// Bytes of a value in a row; nothing for variable lengths.
    pub const fn fixed_bytes(self) -> Option<usize> {
        match self {
            PhysicalType::Bool => Some(1),
            PhysicalType::Int16 => Some(2),
            PhysicalType::Int32 | PhysicalType::Float32 => Some(4),
            PhysicalType::Int64 | PhysicalType::Float64 => Some(8),
            PhysicalType::Fixed16 => Some(16),
            PhysicalType::Utf8 | PhysicalType::Bytes => None,
        }
    }
}

macro_rules! sql_types {
    ($($variant:ident = $oid:literal, $length:literal, $name:literal, $code:literal;)*) => {
        impl SqlType {
            /// Every type.
            pub const ALL: &'static [SqlType] = &[$(SqlType::$variant),*];

            /// `pg_type.oid`.
            pub const fn oid(self) -> u32 {
                match self { $(SqlType::$variant => $oid),* }
            }

            /// The type of an OID, if we have it.
            pub const fn from_oid(oid: u32) -> Option<SqlType> {
                match oid { $($oid => Some(SqlType::$variant),)* _ => None }
            }

            /// `pg_type.typlen`: bytes, −1 for variable, −2 for zero-terminated.
            pub const fn typlen(self) -> i16 {
                match self { $(SqlType::$variant => $length),* }
            }

            /// The name as `format_type` prints it.
            pub const fn name(self) -> &'static str {
                match self { $(SqlType::$variant => $name),* }
            }

            /// One byte for encoded forms; never reused.
            pub const fn code(self) -> u8 {
                match self { $(SqlType::$variant => $code),* }
            }

            /// Inverse of [`SqlType::code`].
            pub const fn from_code(code: u8) -> Option<SqlType> {
                match code { $($code => Some(SqlType::$variant),)* _ => None }
            }
        }
    };
}

sql_types! {
    Bool = 16, 1, "boolean", 1;
    Int2 = 21, 2, "smallint", 2;
    Int4 = 23, 4, "integer", 3;
    Int8 = 20, 8, "bigint", 4;
    Float4 = 700, 4, "real", 5;
    Float8 = 701, 8, "double precision", 6;
    Numeric = 1700, -1, "numeric", 7;
    Text = 25, -1, "text", 8;
    Varchar = 1043, -1, "character varying", 9;
    Bpchar = 1042, -1, "character", 10;
    Bytea = 17, -1, "bytea", 11;
    Date = 1082, 4, "date", 12;
    Timestamp = 1114, 8, "timestamp without time zone", 13;
    Timestamptz = 1184, 8, "timestamp with time zone", 14;
    Interval = 1186, 16, "interval", 15;
    Uuid = 2950, 16, "uuid", 16;
    Oid = 26, 4, "oid", 17;
    Name = 19, 64, "name", 18;
    Char = 18, 1, "\"char\"", 19;
    Regclass = 2205, 4, "regclass", 20;
    Regtype = 2206, 4, "regtype", 21;
    Regproc = 24, 4, "regproc", 22;
    TextArray = 1009, -1, "text[]", 23;
    Int2Array = 1005, -1, "smallint[]", 24;
    Int4Array = 1007, -1, "integer[]", 25;
    Int8Array = 1016, -1, "bigint[]", 26;
    OidArray = 1028, -1, "oid[]", 27;
    Unknown = 705, -2, "unknown", 28;
    Void = 2278, 4, "void", 29;
}

impl SqlType {
    /// How its values lie in rows and column chunks.
    pub const fn physical(self) -> PhysicalType {
        match self {
            SqlType::Bool => PhysicalType::Bool,
            SqlType::Int2 => PhysicalType::Int16,
            SqlType::Int4 | SqlType::Date => PhysicalType::Int32,
            SqlType::Int8 | SqlType::Timestamp | SqlType::Timestamptz => PhysicalType::Int64,
            SqlType::Float4 => PhysicalType::Float32,
            SqlType::Float8 => PhysicalType::Float64,
            SqlType::Uuid | SqlType::Interval => PhysicalType::Fixed16,
            SqlType::Oid | SqlType::Regclass | SqlType::Regtype | SqlType::Regproc => {
                PhysicalType::Int64
            }
            SqlType::Text
            | SqlType::Varchar
            | SqlType::Bpchar
            | SqlType::Name
            | SqlType::Char
            | SqlType::Unknown => PhysicalType::Utf8,
            SqlType::Numeric
            | SqlType::Bytea
            | SqlType::TextArray
            | SqlType::Int2Array
            | SqlType::Int4Array
            | SqlType::Int8Array
            | SqlType::OidArray
            | SqlType::Void => PhysicalType::Bytes,
        }
    }

    /// Whether a table column may have this type.
    pub const fn storable(self) -> bool {
        (self.code()) <= SqlType::Uuid.code()
    }

    /// `smallint`, `integer` or `bigint`.
    pub const fn is_integer(self) -> bool {
        matches!(self, SqlType::Int2 | SqlType::Int4 | SqlType::Int8)
    }

    /// Any number.
    pub const fn is_numeric(self) -> bool {
        self.is_integer() || matches!(self, SqlType::Float4 | SqlType::Float8 | SqlType::Numeric)
    }

    /// Any character string.
    pub const fn is_string(self) -> bool {
        matches!(
            self,
            SqlType::Text
                | SqlType::Varchar
                | SqlType::Bpchar
                | SqlType::Name
                | SqlType::Char
                | SqlType::Unknown
        )
    }

    /// Element type of an array.
    pub const fn element(self) -> Option<SqlType> {
        match self {
            SqlType::TextArray => Some(SqlType::Text),
            SqlType::Int2Array => Some(SqlType::Int2),
            SqlType::Int4Array => Some(SqlType::Int4),
            SqlType::Int8Array => Some(SqlType::Int8),
            SqlType::OidArray => Some(SqlType::Oid),
            _ => None,
        }
    }
}

/// A type with PostgreSQL's `atttypmod`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ColumnType {
    /// The type.
    pub sql_type: SqlType,
    /// −1 for none; `varchar(n)`, `char(n)`: n + 4; `numeric(p, s)`: ((p << 16) | (s & 0x7ff)) + 4; `timestamp(p)`, `interval(p)`: p.
    pub modifier: i32,
}

impl ColumnType {
    /// A type without modifier.
    pub const fn plain(sql_type: SqlType) -> ColumnType {
        ColumnType { sql_type, modifier: -1 }
    }

    /// `numeric(precision, scale)`; the scale may be negative.
    pub const fn numeric(precision: u16, scale: i16) -> ColumnType {
        let modifier = (((precision as i32) << 16) | (scale as i32 & 0x7ff)) + 4;
        ColumnType { sql_type: SqlType::Numeric, modifier }
    }

    /// Precision and scale of a `numeric` that declares them.
    pub const fn numeric_precision_scale(self) -> Option<(u16, i16)> {
        if self.modifier < 4 || !matches!(self.sql_type, SqlType::Numeric) {
            return None;
        }
        let packed = self.modifier - 4;
        let scale = ((packed & 0x7ff) ^ 1024) - 1024;
        Some((((packed >> 16) & 0xffff) as u16, scale as i16))
    }

    /// Declared length in characters of `varchar(n)` and `char(n)`.
    pub const fn character_limit(self) -> Option<usize> {
        match self.sql_type {
            SqlType::Varchar | SqlType::Bpchar if self.modifier >= 4 => {
                Some((self.modifier - 4) as usize)
            }
            _ => None,
        }
    }
}

impl core::fmt::Display for ColumnType {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        if let Some((precision, scale)) = self.numeric_precision_scale() {
            return write!(f, "numeric({precision},{scale})");
        }
        if let Some(limit) = self.character_limit() {
            return write!(f, "{}({limit})", self.sql_type.name());
        }
        match (self.sql_type, self.modifier) {
            (SqlType::Timestamp, precision @ 0..) => {
                write!(f, "timestamp({precision}) without time zone")
            }
            (SqlType::Timestamptz, precision @ 0..) => {
                write!(f, "timestamp({precision}) with time zone")
            }
            (SqlType::Interval, precision @ 0..=6) => write!(f, "interval({precision})"),
            _ => f.write_str(self.sql_type.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ColumnType, SqlType};
    use alloc::string::ToString;

    #[test]
    fn codes_and_oids_are_inverses() {
        for sql_type in SqlType::ALL {
            assert_eq!(SqlType::from_oid(sql_type.oid()), Some(*sql_type));
            assert_eq!(SqlType::from_code(sql_type.code()), Some(*sql_type));
        }
    }

    #[test]
    fn modifiers_print_as_format_type_prints_them() {
        assert_eq!(ColumnType::numeric(10, 2).to_string(), "numeric(10,2)");
        assert_eq!(ColumnType::numeric(3, -2).numeric_precision_scale(), Some((3, -2)));
        let varchar = ColumnType { sql_type: SqlType::Varchar, modifier: 24 };
        assert_eq!(varchar.to_string(), "character varying(20)");
        assert_eq!(ColumnType::plain(SqlType::Int4).to_string(), "integer");
    }
}
