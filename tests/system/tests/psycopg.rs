//! psycopg 3, the driver of most Python programs: `psycopg/check.py` against a node. The driver is installed into the target folder, never into the clone.

use std::path::{Path, PathBuf};
use std::process::Command;

use system_tests::{Server, binary};

/// A Python with psycopg, if one can be had.
fn python() -> Option<PathBuf> {
    let target = binary().parent()?.parent()?.to_path_buf();
    let environment =
        std::env::var_os("RINGFENCE_VENV").map_or(target.join("psycopg"), PathBuf::from);
    let python = environment.join("bin/python");
    let has_driver = |python: &Path| {
        let asked = Command::new(python)
            .args(["-c", "import psycopg; assert psycopg.pq.__impl__ == 'binary'"])
            .output();
        asked.is_ok_and(|output| output.status.success())
    };
    if !has_driver(&python) {
        let _made = Command::new("python3").args(["-m", "venv"]).arg(&environment).output();
        let _installed = Command::new(&python)
            .args([
                "-m",
                "pip",
                "install",
                "-q",
                "--disable-pip-version-check",
                "psycopg[binary]>=3.1",
            ])
            .output();
    }
    has_driver(&python).then_some(python)
}

#[test]
fn psycopg_does_what_it_does_with_postgresql() {
    let Some(python) = python() else {
        eprintln!(
            "skipped: python3 with venv, pip and a package index that has psycopg are not all here"
        );
        return;
    };
    let directory = tempfile::tempdir().expect("a temporary directory");
    for shards in [1u16, 2] {
        let server = Server::start(&directory.path().join(shards.to_string()), shards, &[]);
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("psycopg/check.py");
        let output = Command::new(&python)
            .arg(script)
            .args([server.address.ip().to_string(), server.address.port().to_string()])
            .output()
            .expect("Python starts");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{shards} shards:\n{said}{errors}");
        println!("{said}");
        assert!(server.stop());
    }
}
