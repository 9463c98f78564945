//! LIKE with a constant pattern made of plain text and `%`: no `_`, no escape. Others go to the row evaluator.

/// Whether a function is LIKE (`Some(false)`) or NOT LIKE (`Some(true)`) of strings.
pub(super) fn like_function(name: &str) -> Option<bool> {
    match name {
        "textlike" | "namelike" => Some(false),
        "textnlike" | "namenlike" => Some(true),
        _ => None,
    }
}

/// Texts that must occur in order, without overlap.
#[derive(Debug)]
pub(super) struct LikePattern {
    /// Must begin the string; with `whole`, must be it.
    prefix: Box<str>,
    middle: Vec<Box<str>>,
    suffix: Box<str>,
    whole: bool,
}

/// Texts up to this long are searched by hand: the standard search compares short ones at every position.
const SHORT_BYTES: usize = 128;

/// Whether a part is somewhere in a text; both are whole characters, so bytes may be compared.
fn contains(text: &str, part: &str) -> bool {
    if text.len() > SHORT_BYTES {
        return text.contains(part);
    }
    let (text, part) = (text.as_bytes(), part.as_bytes());
    let [first, .., last] = part else {
        return part.first().is_none_or(|only| text.contains(only));
    };
    let ends = text.get(part.len() - 1..).unwrap_or_default();
    text.iter()
        .zip(ends)
        .enumerate()
        .any(|(at, ends)| ends == (first, last) && text[at..at + part.len()] == *part)
}

impl LikePattern {
    pub(super) fn of(pattern: &str) -> Option<LikePattern> {
        if pattern.contains(['_', '\\']) {
            return None;
        }
        let mut parts = pattern.split('%');
        let prefix: Box<str> = parts.next().unwrap_or("").into();
        let mut middle: Vec<Box<str>> = parts.map(Box::from).collect();
        let Some(suffix) = middle.pop() else {
            return Some(LikePattern { prefix, middle, suffix: "".into(), whole: true });
        };
        middle.retain(|part| !part.is_empty());
        Some(LikePattern { prefix, middle, suffix, whole: false })
    }

    pub(super) fn matches(&self, string: &str) -> bool {
        if self.whole {
            return *string == *self.prefix;
        }
        let Some(rest) = string.strip_prefix(&*self.prefix) else { return false };
        let Some(mut rest) = rest.strip_suffix(&*self.suffix) else { return false };
        if let [only] = &self.middle[..] {
            return contains(rest, only);
        }
        for part in &self.middle {
            match rest.find(&**part) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::{LikePattern, SHORT_BYTES, contains};

    #[test]
    fn a_part_is_found_wherever_it_is() {
        let long = "é".repeat(SHORT_BYTES);
        let texts = ["", "a", "ab", "ba", "aab", "abab", "xaby", "b é a", "aé", &long];
        for text in texts {
            for part in ["a", "b", "ab", "ba", "aab", "é", "éé", "b é a", "abababab"] {
                assert_eq!(contains(text, part), text.contains(part), "{part} in {text}");
            }
        }
    }

    #[test]
    fn percent_matches_any_text() {
        let cases = [
            ("abc", "abc", true),
            ("abc", "abcd", false),
            ("a%", "abc", true),
            ("%c", "abc", true),
            ("a%a", "a", false),
            ("%b%", "abc", true),
            ("%b%b%", "abc", false),
            ("a%b%c", "aXbYc", true),
            ("", "", true),
            ("", "x", false),
            ("%", "", true),
            ("%%", "é", true),
        ];
        for (pattern, string, expected) in cases {
            let like = LikePattern::of(pattern).expect("no underscore, no escape");
            assert_eq!(like.matches(string), expected, "{string} LIKE {pattern}");
        }
        assert!(LikePattern::of("a_").is_none());
        assert!(LikePattern::of("a\\%").is_none());
    }
}
