//! Where in the laboratory a program runs, and with which rights.

use dsbench_core::observation::Name;
use serde::{Deserialize, Serialize};

use super::{CAPABILITIES, LabError, LabSpec, Owner, User};

/// A place for a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The name of the machine.
    pub endpoint: Name,
    /// The user that it runs as; none for the usual one.
    pub user: Option<Name>,
    /// Capabilities that it has besides, within the laboratory (`NET_ADMIN`).
    pub caps: Vec<Name>,
}

impl Place {
    /// On this machine, with the usual rights.
    pub fn at(endpoint: impl Into<Name>) -> Self {
        Self { endpoint: endpoint.into(), user: None, caps: Vec::new() }
    }
}

/// A place as a keeper is told of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Placement {
    pub(crate) endpoint: String,
    /// None: whoever started dsbench.
    pub(crate) owner: Option<Owner>,
    /// One bit for each capability.
    pub(crate) caps: u64,
    /// The number of the first process.
    pub(crate) first_pid: i32,
    /// The keeper whose processes it shall see.
    pub(crate) joins: Option<u64>,
}

/// Ports below 1024.
const NET_BIND_SERVICE: &str = "NET_BIND_SERVICE";

/// Numbers of processes that a life has for itself before the next begins, for those that come in turn.
const PIDS_EACH: i32 = 100;
/// Then they begin again: the kernel counts to 32768 unless it is told otherwise.
const PID_TURNS: u32 = 300;

impl Placement {
    /// Checks a place.
    ///
    /// # Errors
    /// If there is no such machine, user or capability, or the user cannot be had.
    pub(crate) fn of(place: &Place, lab: &LabSpec, low_ports_are_open: bool, life: u32) -> Result<Self, LabError> {
        let Place { endpoint, user, caps } = place;
        if !lab.all().any(|known| *known.name == **endpoint) {
            return Err(LabError::NoEndpoint { endpoint: endpoint.to_string() });
        }
        let owner = match user {
            None => lab.usual_owner().cloned(),
            Some(user) => Some(owner(user)?),
        };
        let mut mask = 0;
        let low = (!low_ports_are_open).then_some(NET_BIND_SERVICE);
        for name in caps.iter().map(|name| &**name).chain(low) {
            let number = CAPABILITIES.iter().position(|known| *known == name);
            mask |= 1 << number.ok_or_else(|| LabError::NoCapability { name: name.to_owned() })?;
        }
        let turn = i32::try_from(life.saturating_sub(1) % PID_TURNS).unwrap_or(0) + 1;
        Ok(Self { endpoint: endpoint.to_string(), owner, caps: mask, first_pid: turn * PIDS_EACH + 2, joins: None })
    }
}

fn owner(name: &str) -> Result<Owner, LabError> {
    let failed = |why: String| LabError::User { user: name.to_owned(), why };
    let user = User::named(name).map_err(|error| failed(error.to_string()))?;
    let user = user.ok_or_else(|| failed("there is no such user here".to_owned()))?;
    user.check()?;
    Ok(user.owner().clone())
}
