//! Every file says what it is; every test directory's files belong to a crate; pages under `docs/` that the README names exist.

use crate::Violation;
use crate::tree::RustFile;
use std::fs;
use std::path::Path;

/// Checks headers and links.
pub fn check(files: &[RustFile]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for file in files {
        let first = file.text.lines().next().unwrap_or_default();
        if !first.starts_with("//! ") && !first.starts_with("#!") {
            violations
                .push(Violation::new(file.path.clone(), "begins without saying what it is (//!)"));
        }
    }
    for page in ["README.md", "CONTRIBUTING.md", "docs/architecture.md"] {
        check_links(page, &mut violations);
    }
    violations
}

fn check_links(page: &str, violations: &mut Vec<Violation>) {
    let Ok(text) = fs::read_to_string(page) else {
        violations.push(Violation::new(page, "is missing"));
        return;
    };
    let folder = Path::new(page).parent().unwrap_or(Path::new(""));
    for part in text.split("](").skip(1) {
        let target = part.split(')').next().unwrap_or_default();
        let target = target.split('#').next().unwrap_or_default();
        if target.is_empty() || target.contains("://") {
            continue;
        }
        if !folder.join(target).exists() {
            violations.push(Violation::new(page, format!("links to {target}, which is not there")));
        }
    }
}
