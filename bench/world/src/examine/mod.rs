//! What this machine can do, found out by doing it: for `dsbench doctor`, and for what a scenario requires.
//!
//! Nothing here is concluded from a version number or a file of the kernel's configuration. A container may refuse what its kernel has.

mod answer;
mod kernel;
mod machine;
mod trial;

pub use answer::answer;
pub use kernel::{CALLS, Call};
pub use machine::{Lateness, Limit, Limits, Space, lateness, limits, space};
pub use trial::{Trial, trial};
