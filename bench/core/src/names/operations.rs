//! Workloads and their operations by name.

use super::Names;
use crate::diagnostic::{self, Located};
use crate::observation::Name;
use crate::operation::Meant;

impl Names<'_> {
    /// Declares a workload, which steps can start and stop.
    pub fn add_workload(&mut self, workload: impl Into<Name>) {
        self.workloads.push(workload.into());
    }

    /// True if there is such a workload.
    pub fn is_workload(&self, name: &str) -> bool {
        self.workloads.iter().any(|workload| &**workload == name)
    }

    /// Declares a client of a workload; on the network it is one that runs programs.
    pub fn add_caller(&mut self, client: Name, is_on_network: bool) {
        if is_on_network {
            self.add_client(client.clone());
        }
        self.callers.push(client);
    }

    /// True if a client of a workload is called so.
    pub fn is_caller(&self, name: &str) -> bool {
        self.callers.iter().any(|caller| &**caller == name)
    }

    /// Declares an operation of a workload.
    pub fn add_operation(&mut self, workload: impl Into<Name>, op: impl Into<Name>) {
        self.operations.push((workload.into(), op.into()));
    }

    /// The operations that a name means: `WORKLOAD.OP`, or `OP` of every workload; reports if there is none.
    pub fn operation(&self, name: &Located<&str>) -> Option<Meant> {
        let is_it = |(workload, op): &&(Name, Name)| {
            &**op == name.value || name.value.split_once('.').is_some_and(|(of, it)| of == &**workload && it == &**op)
        };
        let of: Vec<(Name, Name)> = self.operations.iter().filter(is_it).cloned().collect();
        if of.is_empty() {
            let whole = self.operations.iter().map(|(workload, op)| Name::from(format!("{workload}.{op}")));
            let known: Vec<Name> = self.operations.iter().map(|(_, op)| op.clone()).chain(whole).collect();
            return self.unknown(diagnostic::UNKNOWN_OPERATION, "operation", name, known.iter());
        }
        Some(Meant { told: name.value.into(), of })
    }
}
