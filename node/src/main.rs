//! dsnode.
fn main() {}
