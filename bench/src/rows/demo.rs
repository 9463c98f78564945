//! D1: the demo, its questions during ingest, its figures as it prints them.

use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::Settings;
use crate::report::Report;
use crate::server::ringfence_binary;

#[derive(Deserialize)]
struct Answer {
    figures: Vec<DemoFigure>,
    broken: Vec<String>,
}

#[derive(Deserialize)]
struct DemoFigure {
    what: String,
    ours: String,
    reference: String,
}

pub fn run(settings: &Settings, report: &mut Report) -> Result<()> {
    let output = Command::new(ringfence_binary()?)
        .args(["demo", "--json", "--seconds", &settings.seconds.to_string()])
        .output()
        .context("starting `ringfence demo`")?;
    let document = String::from_utf8_lossy(&output.stdout);
    read(&document, report).with_context(|| {
        format!("`ringfence demo`: {}", String::from_utf8_lossy(&output.stderr).trim())
    })
}

fn read(document: &str, report: &mut Report) -> Result<()> {
    let answer: Answer = serde_json::from_str(document)
        .context("`ringfence demo --json` answered something else")?;
    for figure in answer.figures {
        let beside = match figure.reference.as_str() {
            "" => String::new(),
            reference => format!(" (reference: {reference})"),
        };
        report.figure(figure.what, format!("{}{beside}", figure.ours));
    }
    report.check(answer.broken.is_empty(), format!("the demo's own checks {:?}", answer.broken));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_and_broken_checks_are_taken_over() {
        let mut report = Report::new("D1", "", 1);
        let document = r#"{"figures":[{"what":"count","ours":"9 ms","reference":"8.8 s"},
            {"what":"start","ours":"1 s","reference":""}],"broken":["a count"]}"#;
        read(document, &mut report).expect("a document of the demo");
        assert_eq!(report.figures[0].value, "9 ms (reference: 8.8 s)");
        assert_eq!(report.figures[1].value, "1 s");
        assert_eq!(report.checks_broken.len(), 1);
        assert!(read("", &mut report).is_err());
    }
}
