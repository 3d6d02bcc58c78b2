//! What people and machines are told: while a run goes on, at its end, and about a scenario that cannot run.

mod cases;
pub mod diagnostics;
mod entry;
pub mod excerpt;
mod faults;
pub mod format;
pub mod github;
pub mod json;
pub mod jsonl;
pub mod junit;
pub mod live;
pub mod operations;
pub mod outlet;
pub(crate) mod page;
pub mod people;
pub mod screen;
pub mod summary;
pub mod tap;
pub(crate) mod tell;
pub(crate) mod terminal;
mod wrap;
