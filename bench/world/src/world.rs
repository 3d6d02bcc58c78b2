//! The world of one run: every process of it, from the first start to the proof that nothing is left.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Component, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use dsbench_core::network::{RuleSet, Traffic};
use dsbench_core::observation::{Life, Sample};
use dsbench_core::time::RunTime;
use nix::fcntl::OFlag;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::pipe2;

use crate::capture::{Capture, Follow};
use crate::clock::Clock;
use crate::control::{self, Control};
use crate::desk::{Desk, DeskConfig};
use crate::ending::Ended;
use crate::error::WorldError;
use crate::expose::{Door, Exposed};
use crate::lab::{Lab, LabError, LabSpec, Place, Placement, Porter};
use crate::launch::{Launch, set_nonblocking};
use crate::network::{Switch, SwitchConfig};
use crate::outside::{ExecId, Happening, InputId, Outside, ProbeId, Who};
use crate::process::{Channel, ExecInput, ExecSpec, FollowSpec, Guardian, Order, ProbeSpec, SpawnSpec, in_memory};
use crate::sample::sample;
use crate::signals::Signals;

/// How far the threads may be ahead of the driver before they wait for it, in happenings: memory stays flat also when every line of a
/// flood is an event.
const OUTBOX_LENGTH: usize = 16 * 1024;

/// Where a world puts what it captures.
#[derive(Debug)]
pub struct WorldConfig {
    /// An existing directory. `<node>_log.txt` and `raw/<node>.<process>.<life>.stdout` go here; a world of helper programs alone uses none.
    pub log_dir: PathBuf,
    /// The signals to dsbench that shall come as [`Happening::Signal`].
    pub signals: Option<Signals>,
    /// Where other processes may speak to the run.
    pub desk: Option<DeskConfig>,
    /// The machines of the nodes, if they shall have some. Its cables are the caller's: take them out first.
    pub lab: Option<Lab>,
    /// The switch between these machines.
    pub switch: Option<SwitchConfig>,
    /// Lifts this process's limit of open files to what it may have; nodes keep the one that was in force when the guardian was forked.
    pub lifts_limits: bool,
    /// How often output is looked at, and files that are followed: the bound of the uncertainty of times, and what an idle world costs.
    pub tick: Duration,
}

impl WorldConfig {
    /// The tick where instants are judged: a hundredth of the bounds that clusters have.
    pub const EXACT: Duration = Duration::from_millis(10);
    /// The tick where people look on, for hours: at once to them.
    pub const CALM: Duration = Duration::from_millis(100);
}

/// Which processes of a life a signal goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The main program only.
    Main,
    /// It and all its descendants.
    Tree,
}

/// All processes of one run.
///
/// However it ends - [`shutdown`](Self::shutdown), a drop, a panic, or SIGKILL to dsbench - no process of the run is left.
#[derive(Debug)]
pub struct World {
    pub(crate) clock: Clock,
    pub(crate) inbox: Receiver<Outside>,
    /// Where raw logs go.
    raw: PathBuf,
    /// None once it is over.
    pub(crate) machinery: Option<Machinery>,
    /// Names keepers, inputs, probes and executions.
    next_number: u64,
    /// Every life that ever was.
    known: BTreeSet<Life>,
    pub(crate) alive: BTreeMap<Life, Alive>,
    pub(crate) execs: BTreeMap<ExecId, Arc<Channel>>,
    /// What programs' places are checked against.
    lab: Option<Grounds>,
}

/// What is known of a laboratory.
#[derive(Debug)]
struct Grounds {
    spec: LabSpec,
    low_ports_are_open: bool,
}

/// The parts that act.
#[derive(Debug)]
pub(crate) struct Machinery {
    pub(crate) guardian: Guardian,
    pub(crate) capture: Capture,
    pub(crate) control: Control,
    pub(crate) desk: Option<Desk>,
    /// For threads that are started later.
    pub(crate) outbox: SyncSender<Outside>,
    /// None without a laboratory.
    pub(crate) porter: Option<Porter>,
    /// Between the machines.
    pub(crate) switch: Option<Switch>,
    /// Ports of machines that can be reached from the host.
    pub(crate) exposed: Vec<Exposed>,
    /// Held to the end: then signals act as they did before.
    _signals: Option<Signals>,
}

/// A life that is not proven dead.
#[derive(Debug)]
pub(crate) struct Alive {
    key: u64,
    channel: Arc<Channel>,
    /// Of the main program, from its start to its exit.
    pid: Option<i32>,
}

impl World {
    /// Starts the threads; no process yet.
    pub fn new(guardian: Guardian, clock: Clock, config: WorldConfig) -> Result<Self, WorldError> {
        let raw = config.log_dir.join("raw");
        if let (true, Ok((_, hard))) = (config.lifts_limits, getrlimit(Resource::RLIMIT_NOFILE)) {
            // A hundred nodes need more than the usual 1024. If it is refused, some later start says so.
            let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
        }
        let (outbox, inbox) = sync_channel(OUTBOX_LENGTH);
        let capture = Capture::start(clock, config.log_dir, config.tick, outbox.clone())?;
        let notices = guardian.channel().try_clone().map_err(|error| WorldError::system("hear the guardian", error))?;
        let with_signals = config.signals.is_some();
        let desk = config.desk.map(|desk| Desk::open(clock, desk, outbox.clone())).transpose()?;
        let switch = config.switch.map(|switch| Switch::start(clock, switch, outbox.clone())).transpose()?;
        let (lab, porter) = config.lab.map(apart).unzip();
        let another = porter.as_ref().map(|(_, porter)| porter.another()).transpose();
        let another = another.map_err(|errno| WorldError::system("speak to the laboratory", errno))?;
        let control = Control::start(clock, notices, with_signals, capture.mailbox.clone(), porter, outbox.clone())?;
        let machinery = Some(Machinery {
            guardian,
            capture,
            control,
            desk,
            outbox,
            porter: another,
            switch,
            exposed: Vec::new(),
            _signals: config.signals,
        });
        let (known, alive, execs) = (BTreeSet::new(), BTreeMap::new(), BTreeMap::new());
        Ok(Self { clock, inbox, raw, machinery, next_number: 1, known, alive, execs, lab })
    }

    /// The run clock.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// Starts a program. `Started` or `NotStarted` follows.
    ///
    /// The life before it of the same process must be `Empty`.
    ///
    /// # Errors
    /// If that life was started before, a file to be followed is not below its directory, its place does not exist, or the system gives no
    /// more pipes or no room for logs.
    pub fn spawn(&mut self, life: Life, spec: SpawnSpec) -> Result<(), WorldError> {
        if !self.known.insert(life.clone()) {
            return Err(WorldError::Reused { life: format!("{}/{} life {}", life.node, life.process, life.life) });
        }
        fs::create_dir_all(&self.raw).map_err(|source| WorldError::Create { path: self.raw.clone(), source })?;
        let place = spec.place.map(|place| self.placement(&place, life.life)).transpose()?;
        let (its_stdin, stdin) = pipe2(OFlag::O_CLOEXEC).map_err(|errno| WorldError::system("make a pipe", errno))?;
        set_nonblocking(&stdin)?;
        let (key, channel) = self.launch(Launch {
            who: Who::Life(life.clone()),
            program: spec.program,
            its_stdin,
            stdin: Some(stdin),
            patterns: [spec.stdout, spec.stderr],
            files: spec.files.into_iter().map(follow).collect::<Result<_, _>>()?,
            label: spec.label,
            place,
        })?;
        self.alive.insert(life, Alive { key, channel, pid: None });
        Ok(())
    }

    /// Kills the whole tree of a life at once. `Exited` and `Empty` follow. False if nothing of it is alive.
    pub fn kill(&mut self, life: &Life) -> bool {
        self.order(life, &Order::Kill)
    }

    /// Sends a signal, by number. False if nothing of the life is alive.
    pub fn signal(&mut self, life: &Life, signal: i32, scope: Scope) -> bool {
        self.order(life, &Order::Signal { signal, tree: scope == Scope::Tree })
    }

    /// Freezes the whole tree. `Paused` follows. False if nothing of the life is alive.
    pub fn pause(&mut self, life: &Life) -> bool {
        self.order(life, &Order::Pause)
    }

    /// Thaws the whole tree. `Resumed` follows. False if nothing of the life is alive.
    pub fn resume(&mut self, life: &Life) -> bool {
        self.order(life, &Order::Resume)
    }

    /// Writes bytes to the life's standard input, after all earlier ones. `Input` follows with the same id: a failure, if the node has
    /// closed its input, does not read it for 5 seconds, or lets more than 1 MiB wait.
    pub fn input(&mut self, life: &Life, bytes: Vec<u8>) -> InputId {
        let id = InputId(self.number());
        let key = self.alive.get(life).map(|alive| alive.key);
        self.ask_control(control::Task::Input { key, of: life.clone(), id, bytes });
        id
    }

    /// Executes a helper program. `Executed` follows.
    ///
    /// # Errors
    /// If its input cannot be opened, its place does not exist, or the system gives no more pipes.
    pub fn exec(&mut self, spec: ExecSpec) -> Result<ExecId, WorldError> {
        let id = ExecId(self.number());
        let (what, opened) = match spec.stdin {
            ExecInput::Empty => ("open /dev/null".to_owned(), File::open("/dev/null")),
            ExecInput::Bytes(bytes) => ("hold the input of a helper program".to_owned(), in_memory(&bytes)),
            ExecInput::File(path) => (format!("open {}", path.display()), File::open(path)),
        };
        let its_stdin = opened.map_err(|error| WorldError::system(what, error))?.into();
        let mut place = spec.place.map(|place| Ok::<_, WorldError>((self.placement(&place, 1)?, place))).transpose()?;
        if let Some((placement, place)) = &mut place {
            placement.joins = self.main_of(&place.endpoint);
        }
        let place = place.map(|(placement, _)| placement);
        let patterns = [None, None];
        let (_, channel) = self.launch(Launch {
            who: Who::Exec(id),
            program: spec.program,
            its_stdin,
            stdin: None,
            patterns,
            files: Vec::new(),
            label: false,
            place,
        })?;
        self.execs.insert(id, channel);
        Ok(id)
    }

    /// Kills a helper program and everything it started; `Executed` follows (unless it came before).
    pub fn kill_exec(&mut self, id: ExecId) {
        if let Some(channel) = self.execs.get(&id) {
            // If its keeper is gone, so is the helper.
            let _ = channel.send(&Order::Kill, &[]);
        }
    }

    /// Tries to connect once, and asks what it shall ask then. `Probed` follows.
    pub fn probe(&mut self, spec: ProbeSpec) -> ProbeId {
        let id = ProbeId(self.number());
        self.ask_control(control::Task::Probe(id, spec));
        id
    }

    /// Makes a TCP port of a machine reachable from the host, on a port of 127.0.0.1: on `wanted` if that is given, else on any. Gives its
    /// number. Connections go over no link, so no fault touches them.
    ///
    /// # Errors
    /// If there is no such machine, or the host's port is taken.
    pub fn expose(&mut self, machine: &str, port: u16, wanted: Option<u16>) -> Result<u16, WorldError> {
        let spec = &self.lab.as_ref().ok_or(LabError::None)?.spec;
        let Some((number, endpoint)) = spec.all().enumerate().find(|(_, endpoint)| endpoint.name == machine) else {
            return Err(LabError::NoEndpoint { endpoint: machine.to_owned() }.into());
        };
        let to = Door { machine: number, addr: (endpoint.ip4, port).into() };
        let Some(machinery) = &mut self.machinery else { return Err(WorldError::NoGuardian) };
        let porter = machinery.porter.as_ref().ok_or(LabError::None)?;
        let exposed = Exposed::start(porter, to, wanted)?;
        let port = exposed.port();
        machinery.exposed.push(exposed);
        Ok(port)
    }

    /// Measures every life whose main program runs. Looks at all of /proc, which takes milliseconds.
    pub fn sample(&mut self) -> Vec<Sample> {
        sample(self.alive.iter().filter_map(|(life, alive)| Some((life, alive.pid?))))
    }

    /// The process of the life's main program, while it runs.
    pub fn pid(&self, life: &Life) -> Option<i32> {
        self.alive.get(life)?.pid
    }

    /// True if processes of the life exist, or may: from `spawn` until [`next`](Self::next) has given `NotStarted` or `Empty`.
    pub fn is_alive(&self, life: &Life) -> bool {
        self.alive.contains_key(life)
    }

    /// Opens a desk when the run has begun long ago.
    ///
    /// # Errors
    /// If the system gives no thread or no descriptors.
    pub fn open_desk(&mut self, config: DeskConfig) -> Result<(), WorldError> {
        let Some(machinery) = &mut self.machinery else { return Err(WorldError::NoGuardian) };
        machinery.desk = Some(Desk::open(self.clock, config, machinery.outbox.clone())?);
        Ok(())
    }

    /// Where callers are spoken to, if there is a desk.
    pub fn desk(&self) -> Option<&Desk> {
        self.machinery.as_ref()?.desk.as_ref()
    }

    /// The next thing from outside; none if nothing came until `deadline`.
    pub fn next(&mut self, deadline: RunTime) -> Option<Outside> {
        match self.inbox.recv_timeout(self.clock.until(deadline)) {
            Ok(outside) => {
                self.keep_book(&outside.what);
                Some(outside)
            }
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => {
                let why = "its threads are gone (a bug in dsbench)".to_owned();
                Some(Outside { at: self.clock.now(), what: Happening::Broken { why } })
            }
        }
    }

    /// Kills everything, proves it, and stops the threads. Never takes much longer than `bound`.
    pub fn shutdown(mut self, bound: Duration) -> Ended {
        self.end(bound)
    }
}

/// The network of the run. Without a laboratory there is none.
impl World {
    /// Puts these rules in force instead of those that were, all at once; gives the instant at which they were.
    pub fn set_rules(&mut self, rules: &RuleSet) -> Option<RunTime> {
        self.switch()?.set_rules(rules)
    }

    /// Puts a node's cable in or pulls it; gives the instant at which it was.
    pub fn plug(&mut self, node: &str, is_in: bool) -> Option<RunTime> {
        self.switch()?.plug(node, is_in)
    }

    /// What went over the links, and what the rules did, so far.
    pub fn traffic(&self) -> Option<Traffic> {
        self.switch()?.traffic()
    }

    fn switch(&self) -> Option<&Switch> {
        self.machinery.as_ref()?.switch.as_ref()
    }
}

/// Looks at a file that is to be followed, before its writer can write.
fn follow(spec: FollowSpec) -> Result<Follow, WorldError> {
    let FollowSpec { dir, path, patterns } = spec;
    if !path.components().all(|part| matches!(part, Component::Normal(_))) {
        return Err(WorldError::Outside { path });
    }
    Follow::begin(&dir, path, patterns)
        .map_err(|error| WorldError::system(format!("open the data directory {}", dir.display()), error))
}

/// A laboratory without its ports, and the hold on its process.
fn apart(lab: Lab) -> (Grounds, (LabSpec, Porter)) {
    let Lab { spec, low_ports_are_open, porter, .. } = lab;
    (Grounds { spec: spec.clone(), low_ports_are_open }, (spec, porter))
}

impl World {
    fn placement(&self, place: &Place, life: u32) -> Result<Placement, LabError> {
        let Grounds { spec, low_ports_are_open } = self.lab.as_ref().ok_or(LabError::None)?;
        Placement::of(place, spec, *low_ports_are_open, life)
    }

    /// The keeper of a node's main process, or of another one of it if that is not alive.
    fn main_of(&self, node: &str) -> Option<u64> {
        let of_node = self.alive.iter().filter(|(life, _)| *life.node == *node);
        of_node.max_by_key(|(life, _)| (&*life.process == "main", life.life)).map(|(_, alive)| alive.key)
    }

    pub(crate) fn number(&mut self) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        number
    }

    pub(crate) fn order(&self, life: &Life, order: &Order) -> bool {
        let Some(alive) = self.alive.get(life) else { return false };
        // A keeper that cannot be told is dying, and its tree with it: the reports will say so.
        let _ = alive.channel.send(order, &[]);
        true
    }

    fn ask_control(&self, task: control::Task) {
        if let Some(machinery) = &self.machinery {
            machinery.control.mailbox.put(task);
        }
    }

    pub(crate) fn keep_book(&mut self, what: &Happening) {
        match what {
            Happening::Started { of, pid } => {
                if let Some(alive) = self.alive.get_mut(of) {
                    alive.pid = Some(*pid);
                }
            }
            Happening::Exited { of, .. } => {
                if let Some(alive) = self.alive.get_mut(of) {
                    alive.pid = None;
                }
            }
            Happening::NotStarted { of, .. } | Happening::Empty { of } => drop(self.alive.remove(of)),
            Happening::Executed { id, .. } => drop(self.execs.remove(id)),
            _ => {}
        }
    }
}
