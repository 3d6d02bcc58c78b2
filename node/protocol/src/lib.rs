//! Pure protocol cores of the reference node: they decide, and never do I/O.
//!
//! A core is driven through [`Process`] and answers into [`Cx`]; the same core runs on sockets and in the in-memory cluster of this package's tests.

mod process;

pub use process::{Cx, Effect, Process};
