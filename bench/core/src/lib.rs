//! The pure core of dsbench: what was asked (scenario, plan), what was seen (observation, history), and what it means (check, verdict).
//!
//! Nothing here does I/O, reads a clock or takes an order from a hash. Data flows one way: scenario text → scenario → plan → (the
//! world) → history → verdict.

mod aim;
pub mod check;
pub mod cluster;
pub mod condition;
pub mod confidence;
pub mod diagnostic;
mod event;
pub mod expected;
pub mod explain;
pub mod expression;
pub mod faults;
pub mod filter;
pub mod groups;
pub mod history;
mod item;
pub mod judgement;
pub mod lines;
pub mod names;
pub mod nemesis;
pub mod network;
pub mod observation;
pub mod operation;
pub mod paired;
pub mod pattern;
pub mod plan;
pub mod random;
mod scan;
pub mod scenario;
pub mod schema;
pub mod settle;
pub mod size;
pub mod source;
pub mod stage;
pub mod table;
pub mod target;
pub mod template;
pub mod time;
pub mod verdict;
pub mod watch;
pub mod workload;

#[cfg(test)]
mod stories;
