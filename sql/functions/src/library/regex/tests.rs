//! The documentation's examples, patterns that are slow elsewhere, and patterns that are none.

use super::{Options, Regex, characters, slice};

fn groups(pattern: &str, text: &str) -> Option<Vec<String>> {
    let regex = Regex::new(pattern, Options::default()).expect(pattern);
    let text = characters(text);
    let whole = regex.find(&text, 0)?;
    let mut all = vec![slice(&text, whole)];
    let found = regex.groups(&text, whole).expect("small enough");
    all.extend(found.iter().map(|span| span.map_or("-".into(), |span| slice(&text, span))));
    Some(all)
}

#[test]
fn leftmost_then_longest_or_shortest() {
    for (pattern, text, answer) in [
        ("^(t)$", "t", &["t", "t"][..]),
        ("a|ab|abc", "xabcx", &["abc"]),
        ("(a|ab)(c|bcd)", "abcd", &["abcd", "a", "bcd"]),
        ("a+?", "aaa", &["a"]),
        ("(a*)(a*)", "aaa", &["aaa", "aaa", ""]),
        ("(a*?)(a*)", "aaa", &["", "", ""]),
        ("Y*?([0-9]{1,3})", "XY1234Z", &["Y1", "1"]),
        ("Y*([0-9]{1,3})", "XY1234Z", &["Y123", "123"]),
        ("(foo|bar)+", "foobarfoo", &["foobarfoo", "foo"]),
        ("x(?=y)", "xzxy", &["x"]),
        ("\\mcat\\M", "concat cat", &["cat"]),
        ("[[:alpha:]_][^,]*", "1a b,c", &["a b"]),
        ("a{2,3}", "aaaa", &["aaa"]),
        ("(?i)ABC", "xabc", &["abc"]),
        ("", "abc", &[""]),
    ] {
        let found = groups(pattern, text).unwrap_or_default();
        assert_eq!(found, answer, "{pattern} on {text}");
    }
    assert_eq!(groups("x(?!y)", "xyxy"), None);
}

#[test]
fn evil_patterns_are_not_slow() {
    let text = characters(&"a".repeat(2_000));
    let regex = Regex::new("(a*)*(a|aa)+b", Options::default()).expect("valid");
    assert!(!regex.is_match(&text));
}

#[test]
fn broken_patterns_are_refused() {
    for pattern in [
        "(",
        ")",
        "[",
        "a**",
        "*a",
        "a{2,1}",
        "a{300}",
        "\\",
        "[z-a]",
        "[[:nope:]]",
        "(?<=a)b",
        "(a)\\1",
    ] {
        assert!(Regex::new(pattern, Options::default()).is_err(), "{pattern}");
    }
}
