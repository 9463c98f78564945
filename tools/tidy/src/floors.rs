//! Crates form floors, and every arrow points strictly down. Pure crates depend on an allow-list only.

use crate::Violation;
use serde_json::Value;
use std::collections::BTreeMap;
use std::process::Command;

/// (crate, floor). A crate may use crates of lower floors only.
const FLOORS: &[(&str, u32)] = &[
    ("types", 0),
    ("tidy", 0),
    ("judge", 0),
    ("accord", 1),
    ("sstable", 1),
    ("platform", 1),
    ("functions", 2),
    ("snapshot", 2),
    ("runtime", 2),
    ("runtime-glommio", 2),
    ("net", 2),
    ("plan", 3),
    ("storage", 3),
    ("sim", 3),
    ("shard", 4),
    ("olap", 4),
    ("oltp", 5),
    ("session", 6),
    ("ringfence", 7),
    ("cluster", 7),
    ("bench", 8),
    ("system-tests", 8),
];

/// Pure crates and everything they may depend on.
const PURE: &[(&str, &[&str])] = &[
    ("types", &["chrono", "chrono-tz", "crc32c", "libm", "thiserror", "xxhash-rust"]),
    ("accord", &["foldhash", "hashbrown", "thiserror", "types"]),
    ("sstable", &["lz4_flex", "rkyv", "thiserror", "types", "xxhash-rust"]),
    ("functions", &["accord", "libm", "regex-automata", "regex-lite", "thiserror", "types"]),
    ("plan", &["functions", "thiserror", "types"]),
];

/// Edges that the floors allow and a law forbids.
const FORBIDDEN: &[(&str, &str, &str)] = &[
    ("olap", "shard", "analytics knows of the engine what engine/snapshot says, and no more"),
    ("olap", "storage", "analytics knows of the engine what engine/snapshot says, and no more"),
    ("olap", "oltp", "analytics knows of the engine what engine/snapshot says, and no more"),
    ("net", "plan", "net and sql meet in tools/ringfence only"),
    ("session", "net", "net and sql meet in tools/ringfence only"),
    ("oltp", "net", "net and sql meet in tools/ringfence only"),
    ("session", "olap", "the composition root passes analytics in"),
];

/// Which third-party crate may be named by which of ours.
const OWNERS: &[(&str, &[&str])] = &[
    ("io-uring", &["runtime"]),
    ("glommio-ng", &["runtime-glommio"]),
    ("datafusion", &["olap"]),
    ("arrow", &["olap"]),
    ("parquet", &["olap"]),
    ("tokio", &["olap", "ringfence", "bench", "system-tests"]),
    ("pgwire", &["net"]),
];

/// The workspace as cargo sees it.
pub fn metadata() -> Result<Value, String> {
    let output = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .output()
        .map_err(|error| format!("cargo metadata does not start: {error}"))?;
    if !output.status.success() {
        return Err(format!("cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr)));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| format!("cargo metadata: {error}"))
}

/// Checks every edge of the workspace.
pub fn check(metadata: &Value) -> Vec<Violation> {
    let floors: BTreeMap<&str, u32> = FLOORS.iter().copied().collect();
    let mut violations = Vec::new();
    let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        let Some(floor) = floors.get(name) else {
            violations.push(Violation::new(name, "has no floor; add it to tidy's table"));
            continue;
        };
        for edge in package["dependencies"].as_array().map(Vec::as_slice).unwrap_or_default() {
            let target = edge["name"].as_str().unwrap_or_default();
            let dev = edge["kind"].as_str() == Some("dev");
            check_edge(name, *floor, target, dev, &floors, &mut violations);
            if edge["features"].as_array().is_some_and(|list| list.iter().any(|f| f == "default")) {
                violations.push(Violation::new(name, format!("asks {target} for its defaults")));
            }
        }
    }
    violations
}

fn check_edge(
    name: &str,
    floor: u32,
    target: &str,
    dev: bool,
    floors: &BTreeMap<&str, u32>,
    violations: &mut Vec<Violation>,
) {
    if let Some(target_floor) = floors.get(target) {
        let up = *target_floor >= floor;
        if up && !(dev && target == "sim") {
            violations.push(Violation::new(name, format!("uses {target}, which is not below it")));
        }
    }
    for (from, to, reason) in FORBIDDEN {
        if *from == name && *to == target {
            violations.push(Violation::new(name, format!("uses {target}: {reason}")));
        }
    }
    for (owned, owners) in OWNERS {
        if *owned == target && !owners.contains(&name) {
            let owners = owners.join(", ");
            violations.push(Violation::new(name, format!("uses {target}, which {owners} owns")));
        }
    }
    for (pure, allowed) in PURE {
        if *pure == name && !dev && !allowed.contains(&target) {
            let message = format!("is pure and may not use {target} without a place on its list");
            violations.push(Violation::new(name, message));
        }
    }
}
