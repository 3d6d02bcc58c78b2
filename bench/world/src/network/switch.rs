//! The hold on the switch's thread.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::mpsc::{SyncSender, sync_channel};

use dsbench_core::network::{Endpoint, Fabric, RuleSet, Traffic, Wiring};
use dsbench_core::observation::Name;
use dsbench_core::time::RunTime;

use super::losses::Losses;
use super::port::{Opened, Port, PortKind};
use super::record::Records;
use super::thread::{Loop, Task};
use crate::clock::Clock;
use crate::error::WorldError;
use crate::mailbox::Mailbox;
use crate::outside::Outside;
use crate::thread;

/// What a switch connects, and what it writes down.
#[derive(Debug, Default)]
pub struct SwitchConfig {
    /// The seed of all choices.
    pub seed: u64,
    /// The endpoints.
    pub ports: Vec<Port>,
    /// The endpoints whose links no rule touches, and nobody counts or records.
    pub exempt: BTreeSet<Name>,
    /// IP addresses that may move from endpoint to endpoint.
    pub movable: BTreeSet<IpAddr>,
    /// Every frame is written here (pcapng).
    pub pcap: Option<PathBuf>,
    /// So many bytes of each frame are; usually 128.
    pub snap: Option<usize>,
    /// The messages between the endpoints are written here.
    pub messages: Option<PathBuf>,
    /// So many messages are kept; usually as many as 64 MiB hold.
    pub messages_max: Option<u64>,
}

/// A switch that runs.
#[derive(Debug)]
pub struct Switch {
    mailbox: Mailbox<Task>,
    wiring: Wiring,
    losses: Losses,
}

impl Switch {
    /// Starts the thread, without rules and with everything plugged in.
    ///
    /// # Errors
    /// If a port cannot be waited for, a file not be created, or the thread not be started.
    pub fn start(clock: Clock, config: SwitchConfig, outbox: SyncSender<Outside>) -> Result<Self, WorldError> {
        let records = Records::start(clock, &config, &outbox)?;
        let mut endpoints = Vec::new();
        let mut ports = Vec::new();
        let mut losses = Losses::default();
        config.ports.iter().for_each(|port| losses.watch(port));
        for Port { name, fd, kind, mac, ips, carrier, statistics: _ } in config.ports {
            let is_exempt = config.exempt.contains(&name);
            endpoints.push(Endpoint {
                name,
                mac,
                addresses: ips,
                is_exempt,
                takes_offloads: kind == PortKind::TapWithOffloads,
            });
            ports.push(Opened::new(fd, kind, carrier)?);
        }
        let wiring = Wiring::new(config.seed, &endpoints);
        let fabric = Fabric::new(endpoints, config.movable);
        let (looping, mailbox) = Loop::new(clock, fabric, ports, records)?;
        thread::spawn("switch", clock, outbox, || looping.run())
            .map_err(|error| WorldError::system("start the switch thread", error))?;
        Ok(Self { mailbox, wiring, losses })
    }

    /// Replaces all rules at once; gives the instant at which that was done. None if the thread is gone, of which the driver is told.
    pub fn set_rules(&self, rules: &RuleSet) -> Option<RunTime> {
        let ready = self.wiring.ready(rules);
        self.ask(|answer| Task::Rules(ready, answer))
    }

    /// Plugs an endpoint in or out; gives the instant. None if there is no such endpoint, or the thread is gone.
    ///
    /// An endpoint that is unplugged neither sends nor gets. One behind a TAP sees its carrier gone, and so does another if its port has a
    /// [`Carrier`](super::Carrier).
    pub fn plug(&self, endpoint: &str, is_plugged: bool) -> Option<RunTime> {
        let number = self.wiring.number(endpoint)?;
        // What a kernel drops because its cable is out is no loss of the bench: counted until before, and from after.
        if !is_plugged {
            self.losses.unplugs(endpoint);
        }
        let at = self.ask(|answer| Task::Plug(number, is_plugged, answer));
        if is_plugged {
            self.losses.plugged(endpoint);
        }
        at
    }

    /// What went over the links so far, and what the rules did. None if the thread is gone.
    pub fn traffic(&self) -> Option<Traffic> {
        Some(self.with_losses(self.ask(Task::Traffic)?))
    }

    /// Ends the thread, once everything is written; gives what went over the links. None if the thread is gone.
    pub fn stop(self) -> Option<Traffic> {
        Some(self.with_losses(self.ask(Task::Stop)?))
    }

    fn with_losses(&self, traffic: Traffic) -> Traffic {
        // Counted here and not by the thread, which has frames to carry.
        Traffic { overruns: traffic.overruns + self.losses.count(), ..traffic }
    }

    fn ask<T>(&self, task: impl FnOnce(SyncSender<T>) -> Task) -> Option<T> {
        let (answer, answered) = sync_channel(1);
        self.mailbox.put(task(answer));
        answered.recv().ok()
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        // After `stop` nobody hears it.
        self.mailbox.put(Task::End);
    }
}
