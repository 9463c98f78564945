//! The house laws as a program.
fn main() {}
