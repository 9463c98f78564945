//! Analytics against recorded snapshots, on plain threads: answers by hand, both evaluators against each other, budgets.
//!
//! One program, because linking the engine below takes longer than running all of it.

mod answers;
mod exports;
mod queries;
mod resources;
mod snapshots;
mod world;
