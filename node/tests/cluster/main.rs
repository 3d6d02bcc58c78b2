//! Clusters of real `dsnode` processes on loopback.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod chat;
mod chat_client;
mod clients;
mod discovery;
mod election;
mod harness;
mod hostile;
mod log;
mod messages;
mod p2p;
mod person;
mod port;
mod storage;
mod twins;
