//! `expose`: ports of nodes that people and their programs reach from outside the laboratory, on 127.0.0.1.

use std::fmt::Write as _;

use super::Driver;

impl Driver<'_> {
    /// Opens the doors before the first start, and says where they are: to whoever watches, and in a file of the run.
    pub(super) fn expose_ports(&mut self) -> Result<(), String> {
        let mut doors = String::new();
        for node in &self.plan.scenario.nodes {
            let ports = self.setting.addresses.nodes.get(&node.name).map(|at| &at.ports);
            for name in &node.rights.expose {
                let Some(port) = ports.and_then(|ports| ports.get(name)) else { continue };
                let number = self.world.expose(&node.name, *port, None).map_err(|error| error.told())?;
                let _ = writeln!(doors, "{}:{name} 127.0.0.1:{number}", node.name);
            }
        }
        if doors.is_empty() {
            return Ok(());
        }
        for door in doors.lines() {
            let told = format!("exposed: {door}");
            self.live.told(&told);
            self.tell_hands(&told);
        }
        let path = self.store.exposed_path();
        self.store.write(&path, doors.as_bytes()).map_err(|error| error.to_string())
    }
}
