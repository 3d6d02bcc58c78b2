//! dsbench.
fn main() {}
