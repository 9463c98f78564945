//! The files under check, and what may stand at the visible root.

use crate::Violation;
use std::fs;
use std::io;
use std::path::Path;

/// A Rust file of ours.
pub struct RustFile {
    /// Path from the root, with `/`.
    pub path: String,
    /// Its text.
    pub text: String,
}

const ROOT: &[&str] = &[
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "bench",
    "compose.yml",
    "docs",
    "engine",
    "net",
    "sql",
    "tests",
    "tools",
];

const SOURCES: &[&str] = &["bench", "engine", "net", "sql", "tests", "tools"];

/// Every Rust file of the workspace, sorted by path.
pub fn rust_files() -> io::Result<Vec<RustFile>> {
    let mut files = Vec::new();
    for source in SOURCES {
        walk(Path::new(source), &mut files)?;
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn walk(directory: &Path, files: &mut Vec<RustFile>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            if !path.ends_with("target") {
                walk(&path, files)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path)?;
            files.push(RustFile { path: path.to_string_lossy().replace('\\', "/"), text });
        }
    }
    Ok(())
}

/// The visible root holds what the architecture page names, and nothing else.
pub fn check_root() -> Vec<Violation> {
    let mut violations = Vec::new();
    let Ok(entries) = fs::read_dir(".") else { return violations };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') && name != "target" && !ROOT.contains(&name.as_str()) {
            violations.push(Violation::new(name, "does not belong at the visible root"));
        }
    }
    for name in ROOT {
        if !Path::new(name).exists() {
            violations.push(Violation::new(*name, "is missing from the visible root"));
        }
    }
    violations
}
