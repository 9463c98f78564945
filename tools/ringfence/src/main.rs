//! The product's binary and composition root.
fn main() {}
