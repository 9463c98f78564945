//! The table at the end of the demo.

use serde::Serialize;

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
        let ours = width(|figure| &figure.ours, "Ringfence");
        println!("{:what$}  {:ours$}  reference stack (seven cores)", "what", "Ringfence");
        println!("{}  {}  {}", "-".repeat(what), "-".repeat(ours), "-".repeat(29));
        for figure in &self.figures {
            println!("{:what$}  {:ours$}  {}", figure.what, figure.ours, figure.reference);
        }
        for broken in &self.broken {
            println!("BROKEN: {broken}");
        }
    }
}
