//! Clients that are programs: each runs from its first operation on, reads a line of JSON for every operation, and answers with one.
//!
//! `{"id":7,"op":"write","key":3,"value":1000041,"target":"peer1"}` is answered with `{"id":7,"type":"ok","value":null}`. Whoever says
//! anything else on standard output is no client that one can believe: its operation is in doubt, and the program is started again. So is
//! one that has ended, or has not answered in time.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dsbench_core::observation::{Event, Exit, Life, MAIN};
use dsbench_core::operation::WorkloadState;
use dsbench_core::scenario::{Facts, Wording};
use dsbench_core::target::Aim;
use dsbench_core::template::Place;
use dsbench_core::time::RunTime;
use dsbench_world::{Happening, Patterns, Program, SpawnSpec};
use serde_json::json;

use super::answer::{Answer, Answers};
use super::input::Waiting;
use super::{End, Turn};
use crate::driver::process::ended_with;
use crate::driver::{Driver, Due};

/// How long a program that has ended stays down: one that always ends at once must not take the machine.
const PAUSE: Duration = Duration::from_millis(200);

/// What the first operation of a program may take longer than others: interpreters and virtual machines start slowly.
const STARTS_WITHIN: Duration = Duration::from_secs(5);

/// The program of a client, over all its lives.
#[derive(Debug, Default)]
pub(super) struct ClientProgram {
    life: u32,
    state: State,
    /// It is not started again before.
    not_before: Option<RunTime>,
    /// How many of its lines the driver has not read.
    unread: Arc<AtomicUsize>,
    /// Its end was recorded.
    is_told: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    /// Nothing of it exists.
    #[default]
    Down,
    /// It was asked to start: it will run, or it will be told that it cannot.
    Starting,
    /// It runs.
    Up,
    /// It is being ended, or something of it is left.
    Ending,
}

impl ClientProgram {
    /// True if no operation can be begun, because the program before is not gone.
    pub(super) fn is_ending(&self) -> bool {
        self.state == State::Ending
    }

    /// When an operation can be begun, if not at once.
    pub(super) fn rests_until(&self) -> Option<RunTime> {
        self.not_before.filter(|_| self.state == State::Down)
    }
}

impl Driver<'_> {
    fn client_life(&self, index: usize, client: usize) -> Option<Life> {
        let workload = self.workloads.all.get(index)?;
        let program = &workload.clients.get(client)?.program;
        let node = workload.clients[client].name.clone();
        (program.life > 0).then(|| Life { node, process: MAIN.into(), life: program.life })
    }

    /// The client that this life is of, if it is one of a client's.
    fn client_of(&self, life: &Life) -> Option<(usize, usize)> {
        self.workloads.programs.get(&life.node).copied()
    }

    /// True if it is of a client's program.
    pub(in crate::driver) fn is_client(&self, life: &Life) -> bool {
        self.client_of(life).is_some()
    }

    /// Asks a client's program; starts it, if it does not run. The error says why nothing of it was asked.
    pub(super) fn ask_client(&mut self, id: u64, serial: u64, command: &[Wording], aim: &Aim) -> Result<(), String> {
        let Some(open) = self.workloads.open.get(&id) else { return Ok(()) };
        let (index, client, invoked) = (open.workload, open.client, &open.invoked);
        let mut request = json!({ "id": id, "op": &*invoked.op, "target": &*aim.node });
        for (key, datum) in [("key", &invoked.key), ("value", &invoked.value)] {
            if let Some(datum) = datum {
                request[key] = datum.to_json();
            }
        }
        let is_down = self.workloads.all[index].clients[client].program.state == State::Down;
        if is_down {
            self.start_client(index, client, serial, command, aim)?;
        }
        let Some(life) = self.client_life(index, client) else { return Ok(()) };
        if let Some(open) = self.workloads.open.get_mut(&id) {
            open.waiting = Waiting::ForAnswer;
            if is_down {
                // It has to come up before it can read.
                open.within += STARTS_WITHIN;
                self.agenda.cancel(open.deadline);
                let deadline = self.world.clock().now() + open.within;
                open.deadline = self.agenda.push(deadline, Due::Workload(Turn::Deadline(id)));
            }
        }
        let input = self.world.input(&life, format!("{request}\n").into_bytes());
        self.workloads.typed.insert(input, id);
        Ok(())
    }

    fn start_client(
        &mut self,
        index: usize,
        client: usize,
        serial: u64,
        command: &[Wording],
        aim: &Aim,
    ) -> Result<(), String> {
        let workload = &self.workloads.all[index];
        let program = self.client_program(command, &workload.facts(client, serial, None, None), aim)?;
        let name = workload.clients[client].name.clone();
        let machine = self.setting.machine_of_client(workload.machine(client));
        let of = &mut self.workloads.all[index].clients[client].program;
        of.life += 1;
        of.unread = Arc::default();
        of.is_told = false;
        let life = Life { node: name, process: MAIN.into(), life: of.life };
        let stdout: Box<dyn Patterns> = Box::new(Answers { unread: Arc::clone(&of.unread) });
        let spec =
            SpawnSpec { program, stdout: Some(stdout), stderr: None, files: Vec::new(), label: false, place: machine };
        let now = self.now();
        let of = &mut self.workloads.all[index].clients[client].program;
        of.not_before = Some(now + PAUSE);
        match self.world.spawn(life, spec) {
            Ok(()) => of.state = State::Starting,
            Err(error) => return Err(error.told()),
        }
        Ok(())
    }

    /// A program of a client: beside the scenario's file, with the environment of dsbench and what it should know.
    pub(super) fn client_program(&self, command: &[Wording], facts: &Facts<'_>, aim: &Aim) -> Result<Program, String> {
        let addresses = &self.setting.addresses;
        let place = Place { addresses, node: Some(&aim.node), life: 1 };
        if let Some(lacking) = command.iter().find_map(|argument| argument.lacks(&place)) {
            return Err(lacking);
        }
        let argv = Wording::arguments(command, facts, &place).into_iter().map(OsString::from).collect();
        let mut env: BTreeMap<OsString, OsString> = std::env::vars_os().collect();
        let mut set = |name: String, value: String| drop(env.insert(name.into(), value.into()));
        set("DSBENCH_CLIENT".into(), facts.client.into());
        set("DSBENCH_CLIENT_ID".into(), facts.client_id.to_string());
        set("DSBENCH_SEED".into(), self.setting.seed.to_string());
        set("DSBENCH_RUN".into(), self.setting.token.clone());
        set("DSBENCH_TARGET".into(), aim.node.to_string());
        if let Some(at) = addresses.nodes.get(&aim.node) {
            set("DSBENCH_TARGET_IP".into(), at.ip.clone());
            for (port, number) in &at.ports {
                let suffix = if &**port == MAIN { String::new() } else { format!("_{}", port.to_uppercase()) };
                set(format!("DSBENCH_TARGET_ADDR{suffix}"), format!("{}:{number}", at.ip));
            }
        }
        let env = env.into_iter().collect();
        Ok(Program { argv, env, cwd: PathBuf::from(&addresses.scenario_dir) })
    }

    /// A program of a client has said a line.
    pub(in crate::driver) fn client_said(&mut self, event: &Event, at: RunTime) {
        let Some((index, client)) = self.client_of(&event.of) else { return };
        let program = &self.workloads.all[index].clients[client].program;
        if program.life != event.of.life {
            return;
        }
        program.unread.fetch_sub(1, Ordering::Relaxed);
        if matches!(program.state, State::Down | State::Ending) {
            return; // of one that is being ended
        }
        match Answer::read(event) {
            Err(wrong) => self.give_client_up(index, client, &format!("it printed {wrong}"), at),
            Ok(Answer { id, end }) if self.client_waits_for(index, client) == Some(id) => {
                self.end_operation(id, end, at);
            }
            Ok(Answer { id, .. }) => {
                self.give_client_up(
                    index,
                    client,
                    &format!("it answered {id}, which it was not asked or had answered"),
                    at,
                );
            }
        }
    }

    /// The operation that a client has begun and that has not ended.
    fn client_waits_for(&self, index: usize, client: usize) -> Option<u64> {
        let is_its = |open: &super::Open| open.workload == index && open.client == client;
        self.workloads.open.iter().find(|(_, open)| is_its(open)).map(|(id, _)| *id)
    }

    /// A request could not be written. Of a program that is just being started the world will say whether it runs.
    pub(super) fn client_was_not_asked(&mut self, index: usize, client: usize, why: &str, at: RunTime) {
        if self.workloads.all[index].clients[client].program.state == State::Up {
            self.give_client_up(index, client, why, at);
        }
    }

    /// A program of a client cannot be believed, or has not answered: nobody knows what became of its operation, and it is started again.
    pub(super) fn give_client_up(&mut self, index: usize, client: usize, why: &str, at: RunTime) {
        let Some(life) = self.client_life(index, client) else { return };
        let program = &mut self.workloads.all[index].clients[client].program;
        if matches!(program.state, State::Down | State::Ending) {
            return;
        }
        program.state = State::Ending;
        self.world.kill(&life);
        self.tell_client_ended(index, client, &format!("{why}; it is killed"));
        if let Some(id) = self.client_waits_for(index, client) {
            self.end_operation(id, End::info(format!("{}: {why}", life.node)), at);
        }
    }

    fn tell_client_ended(&mut self, index: usize, client: usize, why: &str) {
        let Some(Life { node, life, .. }) = self.client_life(index, client) else { return };
        let program = &mut self.workloads.all[index].clients[client].program;
        if !std::mem::replace(&mut program.is_told, true) {
            self.record_workload(index, WorkloadState::ClientEnded { client: node, life, why: why.to_owned() });
        }
    }

    /// Everything else that the world says about a life of a client's program.
    pub(in crate::driver) fn client_changed(&mut self, of: &Life, what: Happening, at: RunTime) {
        let Some((index, client)) = self.client_of(of) else { return };
        if self.workloads.all[index].clients[client].program.life != of.life {
            return;
        }
        match what {
            Happening::Started { pid, .. } => {
                let program = &mut self.workloads.all[index].clients[client].program;
                if program.state == State::Starting {
                    program.state = State::Up;
                }
                let (client, life) = (of.node.clone(), of.life);
                self.record_workload(index, WorkloadState::ClientStarted { client, life, pid });
            }
            Happening::NotStarted { why, .. } => {
                self.workloads.all[index].clients[client].program.state = State::Down;
                self.tell_client_ended(index, client, &format!("not started: {why}"));
                if let Some(id) = self.client_waits_for(index, client) {
                    self.end_operation(id, End::fail(format!("{} could not be started: {why}", of.node)), at);
                }
                self.client_goes_on(index, client);
            }
            Happening::Exited { exit, .. } => self.client_exited(index, client, of, exit, at),
            Happening::Leaking { .. } => _ = self.world.kill(of),
            Happening::Empty { .. } => {
                self.workloads.all[index].clients[client].program.state = State::Down;
                self.client_goes_on(index, client);
            }
            Happening::Unkillable { survivors, .. } => {
                self.warn(format!(
                    "{}: SIGKILL was sent, but these are still there: {}",
                    of.node,
                    survivors.join(", ")
                ));
            }
            _ => {}
        }
    }

    fn client_exited(&mut self, index: usize, client: usize, of: &Life, exit: Exit, at: RunTime) {
        let why = ended_with(exit);
        self.workloads.all[index].clients[client].program.state = State::Ending;
        // What it has left behind goes with it.
        self.world.kill(of);
        self.tell_client_ended(index, client, &why);
        if let Some(id) = self.client_waits_for(index, client) {
            self.end_operation(id, End::info(format!("{} {why}", of.node)), at);
        }
    }

    /// Nothing of the program before is left: the client's next operation starts it again.
    fn client_goes_on(&mut self, index: usize, client: usize) {
        if self.ending.because.is_none() {
            self.await_turn(index, client, None);
            self.look_if_all_is_asked(index);
        }
    }

    /// Ends the programs of a workload that is over.
    pub(super) fn end_clients(&mut self, index: usize) {
        (0..self.workloads.all[index].clients.len()).for_each(|client| self.end_client(index, client));
    }

    /// Ends the program of a client that has no more to do.
    pub(super) fn end_client(&mut self, index: usize, client: usize) {
        let Some(life) = self.client_life(index, client) else { return };
        let program = &mut self.workloads.all[index].clients[client].program;
        if matches!(program.state, State::Starting | State::Up) {
            program.state = State::Ending;
            program.is_told = true;
            self.world.kill(&life);
        }
    }

    /// Ends the programs of all clients.
    pub(in crate::driver) fn end_all_clients(&mut self) {
        (0..self.workloads.all.len()).for_each(|index| self.end_clients(index));
    }
}
