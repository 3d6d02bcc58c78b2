//! One script per rule. See [`script`](crate::script) for how they read.

mod classroom;
mod standing;
mod suspicion;
mod takeover;
mod voting;
