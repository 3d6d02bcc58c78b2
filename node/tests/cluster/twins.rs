//! The 17 tests that the description of the chat lists, by their four files: each has its twin here.
//!
//! * [`ordering`] (4): sequence number assignment, buffering, delivery order, each message once.
//! * [`election`] (5): the Bully algorithm, the coordinator's announcement, the cancelled election, and what bounds both.
//! * [`failure`] (4): heartbeat recording, timeout detection, and both changes of role.
//! * [`integration`] (4): end to end, with storage and recovery, on real processes.
//!
//! The first three play whole chat nodes on a [`stage`]: the wire is in the test's hands, and time is virtual. There are more tests of
//! the same things elsewhere, rule by rule (`protocol/tests/cluster/rules`) and under random faults (its `schedules`).

mod election;
mod failure;
mod integration;
mod ordering;
mod stage;
