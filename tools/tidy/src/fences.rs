//! Unsafe code, wall clocks and ambient threads stay behind their fences; pure crates are `no_std`.

use crate::Violation;
use crate::tree::RustFile;

/// The files that may hold unsafe code. Each begins with its safety argument.
const UNSAFE_FILES: &[&str] = &[
    "engine/platform/src/aligned_buf.rs",
    "engine/runtime/src/mesh.rs",
    "engine/runtime/src/sys.rs",
    "engine/runtime/src/uring/buffers.rs",
    "engine/runtime/src/uring/ring.rs",
    "engine/storage/src/memtable/arena.rs",
];

const PURE_ROOTS: &[&str] = &[
    "engine/types/src/lib.rs",
    "engine/accord/src/lib.rs",
    "engine/sstable/src/lib.rs",
    "sql/functions/src/lib.rs",
    "sql/plan/src/lib.rs",
];

/// (text, where it may stand, what to use). Test files are exempt.
const WORDS: &[(&str, &[&str], &str)] = &[
    ("Instant::now", &["engine/runtime", "bench", "tools", "sql/olap"], "platform's clock"),
    ("SystemTime::now", &["engine/runtime", "bench", "tools"], "platform's clock"),
    ("thread::spawn", &["engine/runtime", "bench", "tools"], "platform's background pool"),
    ("io_uring::", &["engine/runtime/"], "platform's traits"),
    ("glommio::", &["engine/runtime-glommio/"], "platform's traits"),
    ("datafusion::", &["sql/olap/"], "the types of sql/olap"),
    ("arrow::", &["sql/olap/"], "the types of sql/olap"),
    ("todo!(", &[], "finished code or a typed error"),
    ("unimplemented!(", &[], "finished code or a typed error"),
    ("#[ignore", &[], "a test that runs"),
];

/// Whether a file holds tests or tools of tests only.
pub fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs")
        || path.contains("/tests/")
        || path.contains("/benches/")
        || path.contains("/examples/")
        || path.starts_with("tests/")
}

/// The text before the inline test module.
fn shipped_part(file: &RustFile) -> &str {
    match file.text.find("#[cfg(test)]\nmod ") {
        Some(end) => &file.text[..end],
        None => &file.text,
    }
}

/// Checks all fences.
pub fn check(files: &[RustFile]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for file in files {
        if file.path.starts_with("tools/tidy/") {
            continue;
        }
        let shipped = shipped_part(file);
        let path = file.path.as_str();
        if PURE_ROOTS.contains(&path) && !file.text.contains("no_std") {
            violations.push(Violation::new(path, "a pure crate is no_std"));
        }
        if path.ends_with("/mod.rs") {
            violations.push(Violation::new(path, "modules are `thing.rs` + `thing/`, no mod.rs"));
        }
        if is_test(path) {
            continue;
        }
        check_unsafe(path, shipped, &mut violations);
        for (word, allowed, instead) in WORDS {
            let here = shipped
                .lines()
                .any(|line| !line.trim_start().starts_with("//") && names(line, word));
            if here && !allowed.iter().any(|prefix| path.starts_with(prefix)) {
                violations.push(Violation::new(path, format!("names `{word}`; use {instead}")));
            }
        }
    }
    violations
}

/// Whether a line names something; `runtime_glommio::` does not name `glommio::`.
fn names(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|letter| letter.is_alphanumeric() || letter == '_')
    })
}

fn check_unsafe(path: &str, shipped: &str, violations: &mut Vec<Violation>) {
    let fenced = UNSAFE_FILES.contains(&path);
    let mut comment_above = false;
    for (number, line) in shipped.lines().enumerate() {
        let code = line.trim_start();
        let uses =
            code.contains("unsafe {") || code.contains("unsafe impl") || code.contains("unsafe fn");
        if code.starts_with("//") {
            comment_above |= code.contains("SAFETY") || code.contains("# Safety");
            continue;
        }
        if uses && !fenced {
            let place = format!("{path}:{}", number + 1);
            violations.push(Violation::new(place, "unsafe code outside the fenced files"));
        } else if uses && !comment_above && !code.contains("unsafe fn") {
            let place = format!("{path}:{}", number + 1);
            violations.push(Violation::new(place, "an unsafe block without its SAFETY line"));
        }
        if !code.starts_with("#[") && !code.is_empty() && !uses {
            comment_above = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn a_name_is_not_the_end_of_another() {
        assert!(names("use glommio::timer;", "glommio::"));
        assert!(names("let x = (glommio::now)();", "glommio::"));
        assert!(!names("use runtime_glommio::start;", "glommio::"));
        assert!(names("    todo!(\"later\")", "todo!("));
    }
}
