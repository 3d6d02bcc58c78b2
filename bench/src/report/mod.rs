//! What people and machines are told: while a run goes on, at its end, and about a scenario that cannot run.

pub mod diagnostics;
pub mod live;
pub mod people;
pub mod screen;
pub mod summary;
pub(crate) mod tell;
pub(crate) mod terminal;
