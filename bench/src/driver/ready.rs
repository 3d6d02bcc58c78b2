//! Readiness: the conditions that a starting process must meet, and the bound within which it must.

use std::collections::BTreeMap;
use std::time::Duration;

use dsbench_core::observation::{Change, Exit, Life};
use dsbench_core::time::RunTime;
use dsbench_world::{ExecId, ExecSpec, Executed, ProbeId, ProbeSpec, Program};

use super::agenda::EntryId;
use super::ending::Blame;
use super::exec::command_line;
use super::http::Question;
use super::job::{ProcessKey, Task};
use super::process::State;
use super::{Driver, Due};

/// How soon an unanswered probe is repeated at first; each time twice as late, up to the longest.
const RETRY_FIRST: Duration = Duration::from_millis(10);
const RETRY_LONGEST: Duration = Duration::from_millis(200);
/// A probe that hangs is given up and repeated.
const PROBE_WITHIN: Duration = Duration::from_secs(1);

/// What a process is still asked for.
#[derive(Debug)]
pub(super) struct Readiness {
    started: bool,
    /// It is ready when it has ended, as it must.
    ends: bool,
    log: bool,
    tcp: Option<std::net::SocketAddr>,
    http: Option<Question>,
    exec: Option<Program>,
    retry: Duration,
    deadline: EntryId,
    /// When that is due.
    due: RunTime,
    /// How long the bench had stood still when that was set.
    stood_still: Duration,
    /// Since when the process is frozen, which does not count.
    still_since: Option<RunTime>,
    /// The last answer that was not yes, for people.
    last_answer: Option<String>,
}

/// Which life a probe under way is for: an answer about one life says nothing about the next.
#[derive(Debug, Default)]
pub(super) struct Probes {
    /// Connections, with an HTTP request or without.
    connections: BTreeMap<ProbeId, Life>,
    exec: BTreeMap<ExecId, Life>,
}

impl Driver<'_> {
    /// Sets the bound; the probing begins when the program runs.
    pub(super) fn begin_readiness(&mut self, key: &ProcessKey) {
        let due = self.now() + self.process(key).spec.ready_within();
        let life = self.process(key).life();
        let deadline = self.agenda.push(due, Due::ReadyDeadline(life.clone()));
        let stood_still = self.standstill.total();
        let process = self.process(key);
        let readiness = Readiness {
            started: false,
            ends: process.spec.is_ready_when_it_ends(),
            log: process.spec.ready_log().is_some(),
            tcp: process.spec.ready_tcp,
            http: process.spec.ready_http.clone(),
            exec: process.spec.ready_exec(process.life),
            retry: RETRY_FIRST,
            deadline,
            due,
            stood_still,
            still_since: None,
            last_answer: None,
        };
        self.process_mut(key).readiness = Some(readiness);
    }

    /// The program runs.
    pub(super) fn process_started(&mut self, key: &ProcessKey) {
        if let Some(readiness) = &mut self.process_mut(key).readiness {
            readiness.started = true;
            let life = self.process(key).life();
            self.probe(&life);
            self.look_if_ready(key);
        }
    }

    /// A line matched the ready pattern.
    pub(super) fn ready_line(&mut self, key: &ProcessKey) {
        if let Some(readiness) = &mut self.process_mut(key).readiness {
            readiness.log = false;
            self.look_if_ready(key);
        }
    }

    /// What a life is still asked for; none if it is over, ready or given up.
    fn readiness_of(&mut self, life: &Life) -> Option<&mut Readiness> {
        let process = self.process_mut(&ProcessKey::of(life));
        if process.life == life.life { process.readiness.as_mut() } else { None }
    }

    /// Asks for the next condition that needs asking; one at a time.
    pub(super) fn probe(&mut self, life: &Life) {
        let Some(readiness) = self.readiness_of(life) else { return };
        if let Some(addr) = readiness.tcp {
            let id = self.world.probe(ProbeSpec { addr, within: PROBE_WITHIN, http: None });
            self.probes.connections.insert(id, life.clone());
        } else if let Some(Question { addr, get }) = readiness.http.clone() {
            let id = self.world.probe(ProbeSpec { addr, within: PROBE_WITHIN, http: Some(get) });
            self.probes.connections.insert(id, life.clone());
        } else if let Some(program) = readiness.exec.clone() {
            let place = self.process(&ProcessKey::of(life)).spec.machine.clone();
            match self.world.exec(ExecSpec { program, place, ..ExecSpec::default() }) {
                Ok(id) => _ = self.probes.exec.insert(id, life.clone()),
                Err(error) => self.probe_again(life, error.to_string()),
            }
        }
    }

    /// A connection has its answer; true if it was one of these.
    pub(super) fn probed(&mut self, id: ProbeId, result: Result<(), String>) -> bool {
        let Some(life) = self.probes.connections.remove(&id) else { return false };
        match (result, self.readiness_of(&life)) {
            (Ok(()), Some(readiness)) => {
                // They are asked for one after the other.
                if readiness.tcp.take().is_none() {
                    readiness.http = None;
                }
                self.probe(&life);
                self.look_if_ready(&ProcessKey::of(&life));
            }
            (Err(why), Some(_)) => self.probe_again(&life, why),
            (_, None) => {}
        }
        true
    }

    /// A probe program has ended; true if it was one of these.
    pub(super) fn ready_executed(&mut self, id: ExecId, result: &Executed) -> bool {
        let Some(life) = self.probes.exec.remove(&id) else { return false };
        match (&result.ended, self.readiness_of(&life)) {
            (Ok(Exit::Code(0)), Some(readiness)) => {
                readiness.exec = None;
                self.look_if_ready(&ProcessKey::of(&life));
            }
            (_, Some(_)) => self.probe_again(&life, super::exec::outcome(result)),
            (_, None) => {}
        }
        true
    }

    fn probe_again(&mut self, life: &Life, why: String) {
        let now = self.now();
        let Some(readiness) = self.readiness_of(life) else { return };
        readiness.last_answer = Some(why);
        let due = now + readiness.retry;
        readiness.retry = (readiness.retry * 2).min(RETRY_LONGEST);
        self.agenda.push(due, Due::ReadyProbe(life.clone()));
    }

    fn look_if_ready(&mut self, key: &ProcessKey) {
        let process = self.process_mut(key);
        let is_met = process
            .readiness
            .as_ref()
            .is_some_and(|r| r.started && !r.ends && !r.log && r.tcp.is_none() && r.http.is_none() && r.exec.is_none());
        if !is_met || process.state != State::Starting {
            return;
        }
        process.state = State::Up;
        let life = process.life();
        self.end_readiness(key);
        let at = self.now();
        self.record_change(&life, Change::Ready, at);
        self.task_done(key, Task::Start);
        self.release(&key.node);
    }

    /// The process is about to be frozen: its time stands still.
    pub(super) fn readiness_stands_still(&mut self, key: &ProcessKey) {
        let now = self.now();
        let Some(readiness) = &mut self.process_mut(key).readiness else { return };
        if readiness.still_since.is_none() {
            readiness.still_since = Some(now);
            let deadline = readiness.deadline;
            self.agenda.cancel(deadline);
        }
    }

    /// The process runs again, and has the time left that it had.
    pub(super) fn readiness_goes_on(&mut self, key: &ProcessKey) {
        let (now, life) = (self.now(), self.process(key).life());
        let Some(readiness) = &mut self.process_mut(key).readiness else { return };
        if let Some(since) = readiness.still_since.take() {
            readiness.due = readiness.due + now.since(since);
            let due = readiness.due;
            self.ready_by(&life, due);
        }
    }

    /// No more asking.
    pub(super) fn end_readiness(&mut self, key: &ProcessKey) {
        if let Some(readiness) = self.process_mut(key).readiness.take() {
            self.agenda.cancel(readiness.deadline);
            self.kill_probe_programs(key);
        }
    }

    /// A probe program that hangs must not hang beside the nodes until the run's end.
    fn kill_probe_programs(&mut self, key: &ProcessKey) {
        for (id, _) in self.probes.exec.iter().filter(|(_, life)| ProcessKey::of(life) == *key) {
            self.world.kill_exec(*id);
        }
    }

    /// Moves the bound, which is due, by the time in which the bench has stood still, and at least until then. Says if it did.
    pub(super) fn prolong_readiness(&mut self, life: &Life, due_at: RunTime, at_least: RunTime) -> bool {
        let total = self.standstill.total();
        let Some(readiness) = self.readiness_of(life) else { return false };
        let until = (due_at + total.saturating_sub(readiness.stood_still)).max(at_least);
        readiness.stood_still = total;
        let is_moved = until > due_at;
        if is_moved {
            self.ready_by(life, until);
        }
        is_moved
    }

    fn ready_by(&mut self, life: &Life, until: RunTime) {
        let entry = self.agenda.push(until, Due::ReadyDeadline(life.clone()));
        match self.readiness_of(life) {
            Some(readiness) => (readiness.deadline, readiness.due) = (entry, until),
            None => self.agenda.cancel(entry),
        }
    }

    /// The bound is over.
    pub(super) fn ready_deadline(&mut self, life: &Life, at: RunTime) {
        if self.readiness_of(life).is_none() {
            return;
        }
        let key = &ProcessKey::of(life);
        self.kill_probe_programs(key);
        let process = self.process_mut(key);
        let Some(readiness) = process.readiness.take() else { return };
        let within = process.spec.ready_within();
        let mut wanted = Vec::new();
        if let (true, Some(pattern)) = (readiness.log, process.spec.ready_log()) {
            wanted.push(format!("a line like '{pattern}'"));
        }
        wanted.extend(readiness.tcp.map(|addr| format!("a connection to {addr}")));
        wanted.extend(readiness.http.as_ref().map(|http| {
            let status = http.get.status.map_or_else(|| "2xx".to_owned(), |status| status.to_string());
            format!("http://{}{} to answer with {status}", http.get.authority, http.get.path)
        }));
        wanted.extend(readiness.exec.map(|program| format!("`{}` to succeed", command_line(&program))));
        if readiness.ends {
            wanted.push("it to end by itself".into());
        }
        if wanted.is_empty() {
            wanted.push("it to be executed".into());
        }
        let mut why = format!("waited {} for {}", humantime::format_duration(within), wanted.join(" and "));
        if let Some(answer) = readiness.last_answer {
            let asked = readiness.tcp.or(readiness.http.map(|http| http.addr));
            let hint = asked.filter(|_| process.spec.machine.is_some() && answer.contains("refused"));
            let hint =
                hint.map(|addr| format!("; does it listen on 127.0.0.1 alone? Others reach it at {}", addr.ip()));
            why.push_str(&format!(" (last answer: {answer}{})", hint.unwrap_or_default()));
        }
        why.push_str(&self.last_words(life, None));
        self.record_change(life, Change::NotReady { why: why.clone() }, at);
        self.start_failed(key, &why, Blame::Cluster);
        self.release(&key.node);
    }
}
