//! The loop of the switch: frames in, frames out, orders in between, and nothing while nothing happens.

use std::io;
use std::sync::mpsc::SyncSender;

use dsbench_core::network::{DATAGRAMS_MAX, Fabric, Note, Offload, Passage, ReadyRules, Traffic, Wire};
use dsbench_core::time::RunTime;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use super::port::{BATCH, Batch, Opened, PortKind, Written};
use super::record::Records;
use crate::clock::{Alarm, Clock};
use crate::error::WorldError;
use crate::mailbox::{Mail, Mailbox, mailbox};

/// The mailbox's place among the descriptors.
const MAIL: u64 = u64::MAX;
/// The alarm's.
const ALARM: u64 = u64::MAX - 1;

/// An order to the switch. Each is answered once it is done.
pub(super) enum Task {
    /// Replaces all rules.
    Rules(ReadyRules, SyncSender<RunTime>),
    /// Plugs an endpoint in or out.
    Plug(usize, bool, SyncSender<RunTime>),
    /// Tells what went over the links.
    Traffic(SyncSender<Traffic>),
    /// Ends the thread.
    Stop(SyncSender<Traffic>),
    /// Ends the thread, without an answer.
    End,
}

/// The thread's state.
pub(super) struct Loop {
    clock: Clock,
    fabric: Fabric,
    ports: Ports,
    mail: Mail<Task>,
    epoll: Epoll,
    alarm: Alarm,
}

/// All ports, as the fabric's wire.
struct Ports {
    ports: Vec<Opened>,
    /// Ports with frames that wait to be written.
    behind: Vec<usize>,
    overruns: u64,
    records: Option<Records>,
}

impl Loop {
    /// Prepares to wait for everything.
    pub(super) fn new(
        clock: Clock,
        fabric: Fabric,
        ports: Vec<Opened>,
        records: Option<Records>,
    ) -> Result<(Self, Mailbox<Task>), WorldError> {
        let failed = |error: io::Error| WorldError::system("start the switch", error);
        let (mailbox, mail) = mailbox().map_err(failed)?;
        let alarm = Alarm::new().map_err(failed)?;
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(|errno| failed(errno.into()))?;
        let add = |fd: &dyn std::os::fd::AsFd, data| epoll.add(fd.as_fd(), EpollEvent::new(EpollFlags::EPOLLIN, data));
        add(&mail, MAIL).map_err(|errno| failed(errno.into()))?;
        add(&alarm, ALARM).map_err(|errno| failed(errno.into()))?;
        for (number, port) in ports.iter().enumerate() {
            add(port, number as u64).map_err(|errno| failed(errno.into()))?;
        }
        let ports = Ports { ports, behind: Vec::new(), overruns: 0, records };
        Ok((Self { clock, fabric, ports, mail, epoll, alarm }, mailbox))
    }

    /// Runs until it is told to stop, or nobody can tell it any more.
    pub(super) fn run(mut self) {
        go_first();
        let mut events = vec![EpollEvent::empty(); 64];
        let mut batch = Batch::new();
        loop {
            let records_due = self.ports.records.as_ref().and_then(Records::next_due);
            if let Some(next) = [self.fabric.next_due(), records_due].into_iter().flatten().min() {
                self.alarm.set(&self.clock, next);
            }
            let count = self.epoll.wait(&mut events, EpollTimeout::NONE).unwrap_or(0);
            let now = self.clock.now();
            self.fabric.release(now, &mut self.ports);
            if let Some(records) = &mut self.ports.records {
                records.hand_over_full(now);
            }
            let mut has_mail = false;
            for event in &events[..count] {
                match event.data() {
                    MAIL => has_mail = true,
                    ALARM => self.alarm.heard(),
                    port => {
                        self.receive(port as usize, &mut batch);
                        self.flush();
                    }
                }
            }
            self.flush();
            if has_mail {
                for task in self.mail.take() {
                    if self.obey(task) {
                        return;
                    }
                }
            }
        }
    }

    /// Reads one port, so much and no more that the others have their turn.
    fn receive(&mut self, port: usize, batch: &mut Batch) {
        let one_by_one = self.ports.ports[port].kind() != PortKind::Packet;
        for number in 1..=if one_by_one { BATCH } else { 1 } {
            match self.ports.ports[port].read(batch) {
                Ok(0) => return,
                Ok(count) => {
                    let now = self.clock.now();
                    self.fabric.release(now, &mut self.ports);
                    for index in 0..count {
                        let (frame, offload) = batch.frame(index);
                        self.fabric.receive(now, port, frame, &offload, &mut self.ports);
                    }
                    // What waits for others like it waits for so many of any kind, and no longer.
                    if number % DATAGRAMS_MAX == 0 {
                        self.flush();
                    }
                }
                Err(_) => {
                    // The card is gone, and so is its node. Left where it is, it would wake the thread for ever.
                    let _ = self.epoll.delete(&self.ports.ports[port]);
                    self.ports.ports[port].close();
                    return;
                }
            }
        }
    }

    fn flush(&mut self) {
        let Ports { ports, behind, overruns, .. } = &mut self.ports;
        for port in behind.drain(..) {
            if let Written::Lost(lost) = ports[port].flush() {
                *overruns += lost;
            }
        }
        let overruns = std::mem::take(overruns);
        self.fabric.overrun(overruns);
    }

    /// Does as it is told; true if that is the end. An answer that nobody waits for any more is lost, as it should be.
    fn obey(&mut self, task: Task) -> bool {
        match task {
            Task::Rules(rules, answer) => {
                self.fabric.set_rules(rules);
                let _ = answer.send(self.clock.now());
            }
            Task::Plug(port, is_plugged, answer) => {
                self.fabric.plug(port, is_plugged);
                // Without a carrier to pull it is silent all the same.
                let _ = self.ports.ports[port].set_carrier(is_plugged);
                let _ = answer.send(self.clock.now());
            }
            Task::Traffic(answer) => {
                let unrecorded = self.ports.records.as_ref().map_or(0, Records::lost);
                let _ = answer.send(Traffic { unrecorded, ..self.fabric.traffic() });
            }
            Task::Stop(answer) => {
                let unrecorded = self.ports.records.take().map_or(0, Records::finish);
                let _ = answer.send(Traffic { unrecorded, ..self.fabric.traffic() });
                return true;
            }
            Task::End => {
                self.ports.records.take().map(Records::finish);
                return true;
            }
        }
        false
    }
}

/// Lets this thread go before those whose frames it carries, where the system permits that (it does for root): else each frame may wait until
/// its receiver has read the one before, and a queue overflows whose sender does not wait.
#[expect(unsafe_code, reason = "nix has no setpriority")]
fn go_first() {
    const NICE: libc::c_int = -10;
    // SAFETY: numbers only. Zero is the calling thread.
    let _ = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICE) };
}

impl Wire for Ports {
    fn put(&mut self, to: usize, frame: &[u8], offload: &Offload) {
        let port = &mut self.ports[to];
        if !port.is_open() {
            return;
        }
        let was_behind = port.is_behind();
        if let Written::Lost(lost) = port.write(frame, offload) {
            self.overruns += lost;
        }
        if port.is_behind() && !was_behind {
            self.behind.push(to);
        }
    }

    fn sent(&mut self, at: RunTime, from: usize, frame: &[u8], notes: &[(usize, Note)]) {
        if let Some(records) = &mut self.records {
            records.sent(at, from, frame, notes);
        }
    }

    fn came(&mut self, at: RunTime, to: usize, frame: &[u8], notes: &[Note]) {
        if let Some(records) = &mut self.records {
            records.came(at, to, frame, notes);
        }
    }

    fn passed(&mut self, passage: &Passage<'_>) {
        if let Some(records) = &mut self.records {
            records.passed(passage);
        }
    }
}
