//! dsbench: a test bench for clusters. Runs real nodes from one TOML file, breaks things, watches, judges, reports.
//!
//! The flow of a run stands in [`run`]; everything pure is in `dsbench-core`, everything Linux in `dsbench-world`.

pub mod cli;
mod console;
mod control;
mod doctor;
mod driver;
pub mod error;
mod init;
pub mod load;
pub mod report;
mod requirements;
pub mod run;
pub mod series;
mod setting;
pub mod store;
