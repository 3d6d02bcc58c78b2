//! Processes: a guardian, a keeper for each life, and the programs that they keep.

mod guardian;
mod spec;

pub use guardian::Guardian;
pub use spec::{ExecInput, ExecSpec, ProbeSpec, Program, SpawnSpec};
