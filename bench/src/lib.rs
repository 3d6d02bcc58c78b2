//! dsbench: a test bench for clusters. Runs real nodes from one TOML file, breaks things, watches, judges, reports.
//!
//! In a test of your own, a scenario is one line:
//!
//! ```no_run
//! #[test]
//! fn a_killed_leader_is_replaced() -> Result<(), dsbench::BenchError> {
//!     dsbench::Bench::load("scenarios/leader-election.toml")?.seed(7).set("nodes.count", 5).run()?.assert_pass();
//!     Ok(())
//! }
//! ```
//!
//! The flow of a run stands in `run`; everything pure is in `dsbench-core`, everything Linux in `dsbench-world`.

pub mod cli;
mod console;
mod control;
mod doctor;
mod driver;
pub mod error;
mod init;
mod lab;
mod library;
pub mod load;
pub mod report;
mod requirements;
pub mod run;
pub mod series;
mod setting;
pub mod store;

pub use dsbench_core::judgement::Judgement;
pub use dsbench_core::verdict;
pub use error::BenchError;
pub use library::{Bench, Run};
