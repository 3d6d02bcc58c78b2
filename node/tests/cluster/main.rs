//! Clusters of real `dsnode` processes on loopback.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod election;
mod harness;
mod hostile;
mod person;
mod port;
mod storage;
