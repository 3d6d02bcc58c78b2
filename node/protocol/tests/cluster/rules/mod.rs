//! One script per rule. See [`script`](crate::script) for how they read.

mod classroom;
pub(crate) mod committing;
pub(crate) mod delivering;
pub(crate) mod founding;
mod installing;
pub(crate) mod membership;
pub(crate) mod replicating;
pub(crate) mod requesting;
mod standing;
mod suspicion;
pub(crate) mod takeover;
mod voting;
