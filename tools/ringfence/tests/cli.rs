//! The command line of the built program: help, versions, wrong usage, one-line errors.

use std::process::Command;

fn ringfence(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_ringfence"))
        .args(arguments)
        .env("RUST_LOG", "off")
        .output()
        .expect("the program starts");
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn help_names_every_command() {
    let (code, out, _) = ringfence(&["--help"]);
    assert_eq!(code, Some(0));
    for command in ["serve", "demo", "load", "scan", "inspect", "verify"] {
        assert!(out.contains(command), "{command}");
    }
}

#[test]
fn wrong_usage_ends_with_two() {
    assert_eq!(ringfence(&["serve"]).0, Some(2));
    assert_eq!(ringfence(&["dance"]).0, Some(2));
}

#[test]
fn failures_are_one_line_and_end_with_one() {
    for arguments in [
        &["scan", "--url", "postgresql://127.0.0.1:1/x", "SELECT 1"][..],
        &["inspect", "/nowhere/at/all"],
        &["serve", "--data", "/proc/nowhere", "--memory", "1GiB"],
        &["serve", "--data", "x", "--memory", "1KiB"],
        &["load", "insert", "--url", "ftp://x"],
    ] {
        let (code, _, error) = ringfence(arguments);
        assert_eq!(code, Some(1), "{arguments:?}: {error}");
        assert_eq!(error.trim_end().lines().count(), 1, "{error}");
    }
}
