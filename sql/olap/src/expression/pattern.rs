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
            // Asking only whether it is there is cheaper than where.
            return rest.contains(&**only);
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
    use super::LikePattern;

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
