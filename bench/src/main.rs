//! Load generator, benchmark suite, peers beside us.
fn main() {}
