//! `boolean`: order, and conversion to and from `integer` and `text`.

functions! {
    fn int4_bool(number: i32) -> bool { Ok(number != 0) }
    fn bool_int4(truth: bool) -> i32 { Ok(i32::from(truth)) }
    fn booltext(truth: bool) -> &'static str { Ok(if truth { "true" } else { "false" }) }
    fn booland_statefunc(a: bool, b: bool) -> bool { Ok(a && b) }
    fn boolor_statefunc(a: bool, b: bool) -> bool { Ok(a || b) }
}
