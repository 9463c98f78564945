//! `=`, `<>`, `<`, `<=`, `>`, `>=`, `btree` comparison, larger and smaller, for every pair of types that PostgreSQL compares without a conversion.

use super::convert::{Date, FromValue, Oid, Padded, Stamp, Uuid};
use core::cmp::Ordering;
use types::value::float_cmp;
use types::{Interval, Numeric, Value};

/// The order of two values, each of its own type.
trait CompareWith<Other> {
    fn compare_with(self, other: Other) -> Ordering;
}

macro_rules! ordered {
    ($($rust:ty),*) => {$(
        impl CompareWith<$rust> for $rust {
            fn compare_with(self, other: $rust) -> Ordering {
                self.cmp(&other)
            }
        }
    )*};
}

ordered!(bool, i16, i32, i64, Oid, Date, Stamp, Uuid, Interval, &Numeric, &[u8]);

macro_rules! through {
    ($($left:ty, $right:ty => $common:ty;)*) => {$(
        impl CompareWith<$right> for $left {
            fn compare_with(self, other: $right) -> Ordering {
                <$common>::from(self).cmp(&<$common>::from(other))
            }
        }
    )*};
}

through! {
    i16, i32 => i32;
    i16, i64 => i64;
    i32, i16 => i32;
    i32, i64 => i64;
    i64, i16 => i64;
    i64, i32 => i64;
}

macro_rules! floats {
    ($($left:ty, $right:ty;)*) => {$(
        impl CompareWith<$right> for $left {
            fn compare_with(self, other: $right) -> Ordering {
                float_cmp(f64::from(self), f64::from(other))
            }
        }
    )*};
}

floats! { f32, f32; f32, f64; f64, f32; f64, f64; }

impl CompareWith<&str> for &str {
    fn compare_with(self, other: &str) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl CompareWith<Padded<'_>> for Padded<'_> {
    fn compare_with(self, other: Padded<'_>) -> Ordering {
        self.trimmed().as_bytes().cmp(other.trimmed().as_bytes())
    }
}

impl CompareWith<&[Value]> for &[Value] {
    fn compare_with(self, other: &[Value]) -> Ordering {
        for (left, right) in self.iter().zip(other) {
            let order = left.sql_cmp(right);
            if order != Ordering::Equal {
                return order;
            }
        }
        self.len().cmp(&other.len())
    }
}

macro_rules! comparisons {
    ($($left:ty, $right:ty: $eq:ident $ne:ident $lt:ident $le:ident $gt:ident $ge:ident $($cmp:ident)?;)*) => {$(
        functions! {
            fn $eq(a: $left, b: $right) -> bool { Ok(a.compare_with(b).is_eq()) }
            fn $ne(a: $left, b: $right) -> bool { Ok(a.compare_with(b).is_ne()) }
            fn $lt(a: $left, b: $right) -> bool { Ok(a.compare_with(b).is_lt()) }
            fn $le(a: $left, b: $right) -> bool { Ok(a.compare_with(b).is_le()) }
            fn $gt(a: $left, b: $right) -> bool { Ok(a.compare_with(b).is_gt()) }
            fn $ge(a: $left, b: $right) -> bool { Ok(a.compare_with(b).is_ge()) }
            $(fn $cmp(a: $left, b: $right) -> i32 { Ok(a.compare_with(b) as i32) })?
        }
    )*};
}

comparisons! {
    bool, bool: booleq boolne boollt boolle boolgt boolge btboolcmp;
    i16, i16: int2eq int2ne int2lt int2le int2gt int2ge btint2cmp;
    i16, i32: int24eq int24ne int24lt int24le int24gt int24ge btint24cmp;
    i16, i64: int28eq int28ne int28lt int28le int28gt int28ge btint28cmp;
    i32, i16: int42eq int42ne int42lt int42le int42gt int42ge btint42cmp;
    i32, i32: int4eq int4ne int4lt int4le int4gt int4ge btint4cmp;
    i32, i64: int48eq int48ne int48lt int48le int48gt int48ge btint48cmp;
    i64, i16: int82eq int82ne int82lt int82le int82gt int82ge btint82cmp;
    i64, i32: int84eq int84ne int84lt int84le int84gt int84ge btint84cmp;
    i64, i64: int8eq int8ne int8lt int8le int8gt int8ge btint8cmp;
    f32, f32: float4eq float4ne float4lt float4le float4gt float4ge btfloat4cmp;
    f32, f64: float48eq float48ne float48lt float48le float48gt float48ge btfloat48cmp;
    f64, f32: float84eq float84ne float84lt float84le float84gt float84ge btfloat84cmp;
    f64, f64: float8eq float8ne float8lt float8le float8gt float8ge btfloat8cmp;
    &Numeric, &Numeric: numeric_eq numeric_ne numeric_lt numeric_le numeric_gt numeric_ge numeric_cmp;
    &str, &str: texteq textne text_lt text_le text_gt text_ge bttextcmp;
    &str, &str: nameeq namene namelt namele namegt namege btnamecmp;
    &str, &str: nameeqtext namenetext namelttext nameletext namegttext namegetext btnametextcmp;
    &str, &str: texteqname textnename textltname textlename textgtname textgename bttextnamecmp;
    &str, &str: chareq charne charlt charle chargt charge btcharcmp;
    Padded<'_>, Padded<'_>: bpchareq bpcharne bpcharlt bpcharle bpchargt bpcharge bpcharcmp;
    &[u8], &[u8]: byteaeq byteane bytealt byteale byteagt byteage byteacmp;
    Date, Date: date_eq date_ne date_lt date_le date_gt date_ge date_cmp;
    Stamp, Stamp: timestamp_eq timestamp_ne timestamp_lt timestamp_le timestamp_gt timestamp_ge timestamp_cmp;
    Interval, Interval: interval_eq interval_ne interval_lt interval_le interval_gt interval_ge interval_cmp;
    Uuid, Uuid: uuid_eq uuid_ne uuid_lt uuid_le uuid_gt uuid_ge uuid_cmp;
    Oid, Oid: oideq oidne oidlt oidle oidgt oidge btoidcmp;
    &[Value], &[Value]: array_eq array_ne array_lt array_le array_gt array_ge btarraycmp;
    &[Value], &[Value]: oidvectoreq oidvectorne oidvectorlt oidvectorle oidvectorgt oidvectorge btoidvectorcmp;
}

/// The later argument wins among equals, as in PostgreSQL, except for `char(n)`.
macro_rules! extremes {
    ($($rust:ty: $larger:ident $smaller:ident;)*) => {$(
        functions! {
            fn $larger(a: &Value, b: &Value) -> Value {
                let order = <$rust>::from_value(a)?.compare_with(<$rust>::from_value(b)?);
                Ok(if order.is_gt() { a.clone() } else { b.clone() })
            }
            fn $smaller(a: &Value, b: &Value) -> Value {
                let order = <$rust>::from_value(a)?.compare_with(<$rust>::from_value(b)?);
                Ok(if order.is_lt() { a.clone() } else { b.clone() })
            }
        }
    )*};
}

extremes! {
    i16: int2larger int2smaller;
    i32: int4larger int4smaller;
    i64: int8larger int8smaller;
    f32: float4larger float4smaller;
    f64: float8larger float8smaller;
    &Numeric: numeric_larger numeric_smaller;
    &str: text_larger text_smaller;
    Date: date_larger date_smaller;
    Stamp: timestamp_larger timestamp_smaller;
    Interval: interval_larger interval_smaller;
    Oid: oidlarger oidsmaller;
    &[Value]: array_larger array_smaller;
}

functions! {
    fn bpchar_larger(a: &Value, b: &Value) -> Value {
        let order = <Padded<'_>>::from_value(a)?.compare_with(<Padded<'_>>::from_value(b)?);
        Ok(if order.is_ge() { a.clone() } else { b.clone() })
    }
    fn bpchar_smaller(a: &Value, b: &Value) -> Value {
        let order = <Padded<'_>>::from_value(a)?.compare_with(<Padded<'_>>::from_value(b)?);
        Ok(if order.is_le() { a.clone() } else { b.clone() })
    }
}
