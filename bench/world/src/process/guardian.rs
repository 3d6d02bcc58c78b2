//! The guardian.

use crate::error::WorldError;

/// The guardian process's handle.
#[derive(Debug)]
pub struct Guardian {}

impl Guardian {
    /// Forks the guardian. Call it early, when the process is small; then process start is cheap.
    pub fn fork() -> Result<Self, WorldError> {
        Err(WorldError::NoGuardian)
    }
}
