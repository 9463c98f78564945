//! The table at the end of the demo.

use serde::Serialize;

/// Title of the column of published figures.
const REFERENCE: &str = "reference (ten containers, 7 cores)";

/// One line: what, ours, the reference's.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    /// What was measured.
    pub what: String,
    /// What it was here.
    pub ours: String,
    /// What the reference stack needed, as published with it.
    pub reference: String,
}

/// Everything that the demo found out.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Figures {
    /// The lines in order.
    pub figures: Vec<Figure>,
    /// Checks that did not hold.
    pub broken: Vec<String>,
}

impl Figures {
    /// Adds a line.
    pub fn add(&mut self, what: impl Into<String>, ours: impl Into<String>, reference: &str) {
        self.figures.push(Figure {
            what: what.into(),
            ours: ours.into(),
            reference: reference.into(),
        });
    }

    /// Prints the table.
    pub fn print(&self) {
        let width = |cell: fn(&Figure) -> &str, title: &str| {
            let cells = self.figures.iter().map(|figure| cell(figure).chars().count());
            cells.chain([title.chars().count()]).max().unwrap_or(0)
        };
        let what = width(|figure| &figure.what, "what");
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let title = format!("Ringfence (here, {cores} cores)");
        let ours = width(|figure| &figure.ours, &title);
        let reference = width(|figure| &figure.reference, REFERENCE);
        println!("{:what$}  {title:ours$}  {REFERENCE}", "what");
        println!("{}  {}  {}", "-".repeat(what), "-".repeat(ours), "-".repeat(reference));
        for figure in &self.figures {
            println!("{:what$}  {:ours$}  {}", figure.what, figure.ours, figure.reference);
        }
        println!();
        println!(
            "Numbered lines are questions over the live rows; every answer holds all that was acknowledged before it was asked."
        );
        println!(
            "The reference: Cassandra, Spark, Presto, Kafka and a PostgreSQL shim with the same telemetry, as published with it."
        );
        for broken in &self.broken {
            println!("BROKEN: {broken}");
        }
    }
}
