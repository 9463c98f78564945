//! Files and functions keep a size that a reader can hold. Far over the mark means that a concept is missing.

use crate::Violation;
use crate::fences::is_test;
use crate::tree::RustFile;

/// Lines of a file without its tests, above which it fails. The style page's mark is lower; this is where health ends.
const FILE_LINES_MAX: usize = 1_000;
/// Lines of a function.
const FUNCTION_LINES_MAX: usize = 150;
/// Characters of a line of code.
const LINE_CHARACTERS_MAX: usize = 160;

/// Files whose length has a reason.
const LONG_FILES: &[(&str, &str)] = &[(
    "sql/functions/src/registry/function_table.rs",
    "generated: one line a function of PostgreSQL's catalog",
)];

/// Checks all sizes.
pub fn check(files: &[RustFile]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for file in files.iter().filter(|file| !is_test(&file.path)) {
        let lines: Vec<&str> = file.text.lines().collect();
        let end =
            lines.iter().position(|line| line.starts_with("#[cfg(test)]")).unwrap_or(lines.len());
        let excused = LONG_FILES.iter().any(|(path, _)| *path == file.path);
        if end > FILE_LINES_MAX && !excused {
            let message = format!("{end} lines; a concept is missing above {FILE_LINES_MAX}");
            violations.push(Violation::new(file.path.clone(), message));
        }
        for (number, line) in lines.iter().enumerate() {
            if line.chars().count() > LINE_CHARACTERS_MAX {
                let place = format!("{}:{}", file.path, number + 1);
                violations.push(Violation::new(place, "the line is too long to read"));
            }
        }
        functions(&file.path, &lines[..end], &mut violations);
    }
    violations
}

/// Measures functions by indentation, which rustfmt keeps honest.
fn functions(path: &str, lines: &[&str], violations: &mut Vec<Violation>) {
    let mut start: Option<(usize, usize)> = None;
    for (number, line) in lines.iter().enumerate() {
        let indent = line.len() - line.trim_start().len();
        let code = line.trim_start();
        let begins =
            ["fn ", "pub fn ", "pub(crate) fn ", "async fn ", "pub async fn ", "pub(super) fn "]
                .iter()
                .any(|prefix| code.starts_with(prefix));
        if begins && start.is_none() && !code.ends_with(';') {
            start = Some((number, indent));
        }
        if let Some((begin, depth)) = start
            && indent == depth
            && (code == "}" || (number == begin && code.ends_with('}')))
        {
            let length = number - begin + 1;
            if length > FUNCTION_LINES_MAX {
                let place = format!("{path}:{}", begin + 1);
                violations.push(Violation::new(place, format!("a function of {length} lines")));
            }
            start = None;
        }
    }
}
