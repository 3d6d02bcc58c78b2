//! One script per rule. See [`script`](crate::script) for how they read.

mod classroom;
mod committing;
mod delivering;
mod founding;
mod installing;
mod membership;
mod replicating;
mod standing;
mod suspicion;
mod takeover;
mod voting;
