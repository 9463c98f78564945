//! The house laws as a program: crates form floors, pure crates stay pure, names stay behind their fences, files keep their shape.
//!
//! Run from the root of the workspace: `cargo run -p tidy`. Prints one line a violation and ends with 1 if there is any. Called first by CI, because it is the
//! cheapest test there is. Each check is a file; what is allowed in spite of a check is listed beside the check with its reason.

mod docs;
mod fences;
mod floors;
mod sizes;
mod tree;

use std::process::ExitCode;

/// One broken law: where, and what to do about it.
pub struct Violation {
    /// A file or a crate.
    pub place: String,
    /// What is wrong and what the law wants.
    pub message: String,
}

impl Violation {
    fn new(place: impl Into<String>, message: impl Into<String>) -> Violation {
        Violation { place: place.into(), message: message.into() }
    }
}

fn main() -> ExitCode {
    let files = match tree::rust_files() {
        Ok(files) => files,
        Err(error) => {
            eprintln!("tidy: cannot list the tree: {error}; run it from the root of the workspace");
            return ExitCode::from(2);
        }
    };
    let metadata = match floors::metadata() {
        Ok(metadata) => metadata,
        Err(error) => {
            eprintln!("tidy: {error}");
            return ExitCode::from(2);
        }
    };
    let mut violations = Vec::new();
    violations.extend(tree::check_root());
    violations.extend(floors::check(&metadata));
    violations.extend(fences::check(&files));
    violations.extend(sizes::check(&files));
    violations.extend(docs::check(&files));
    for violation in &violations {
        println!("{}: {}", violation.place, violation.message);
    }
    println!("tidy: {} files, {} violations", files.len(), violations.len());
    if violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
