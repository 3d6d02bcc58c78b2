//! What exactly is executed: the plan's templates with every node's addresses filled in.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use dsbench_core::observation::{Exit, Life, Name};
use dsbench_core::pattern::{EventPattern, Matcher, Stream};
use dsbench_core::plan::Plan;
use dsbench_core::scenario;
use dsbench_core::template::{Addresses, Place, Template};
use dsbench_world::{FollowSpec, NodeEnv, Program, SpawnSpec, node_env};

use super::http::Question;
use super::job::ProcessKey;
use super::patterns::{Output, READY};
use crate::lab::LabSetting;
use crate::store::Exposed;

/// How long a process without a readiness condition may take to be executed.
const EXECUTED_WITHIN: Duration = Duration::from_secs(10);

/// A run's fixed facts that every program is started with.
#[derive(Debug, Clone)]
pub(crate) struct Setting {
    /// Where everything is.
    pub(crate) addresses: Addresses,
    /// Tells this run from others on the machine.
    pub(crate) token: String,
    /// The run's seed.
    pub(crate) seed: u64,
    /// The laboratory that it runs in; none in host mode.
    pub(crate) lab: Option<LabSetting>,
    /// The ports that this machine can reach.
    pub(crate) exposed: Exposed,
}

/// A process of a node, ready to be executed for any of its lives.
#[derive(Debug)]
pub(super) struct ProcessSpec<'r> {
    pub(super) key: ProcessKey,
    process: &'r scenario::Process,
    setting: &'r Setting,
    data_dir: PathBuf,
    /// Where in the laboratory it runs.
    pub(super) machine: Option<dsbench_world::Place>,
    /// True if its node has several processes.
    label: bool,
    stdout: Arc<Matcher>,
    stderr: Arc<Matcher>,
    /// Of the files that are followed, if there are any.
    file: Option<Arc<Matcher>>,
    /// Where its `tcp` condition connects.
    pub(super) ready_tcp: Option<SocketAddr>,
    /// What its `http` condition asks.
    pub(super) ready_http: Option<Question>,
}

/// Every process of the plan, in order. `tcp` and `http` conditions whose address cannot be resolved are named in the error.
pub(super) fn specs<'r>(plan: &'r Plan, setting: &'r Setting) -> Result<Vec<ProcessSpec<'r>>, String> {
    let mut matchers = Matchers { plan, setting, built: BTreeMap::new() };
    let mut specs = Vec::new();
    for node in &plan.scenario.nodes {
        for process in in_turn(&node.processes) {
            specs.push(ProcessSpec::new(node, process, setting, &mut matchers)?);
        }
    }
    Ok(specs)
}

/// The processes of a node in the order in which they start: none before those that it waits for.
fn in_turn(processes: &[scenario::Process]) -> Vec<&scenario::Process> {
    let mut left: Vec<_> = processes.iter().collect();
    let mut ordered = Vec::new();
    while !left.is_empty() {
        let is_free = |process: &&scenario::Process| left.iter().all(|other| !process.after.contains(&other.name));
        // There are no circles: the scenario's reader refuses them.
        let next = left.iter().position(is_free).unwrap_or_default();
        ordered.push(left.remove(next));
    }
    ordered
}

impl Setting {
    /// A text that speaks of no node in particular.
    pub(super) fn expand(&self, template: &Template) -> String {
        template.expand(&self.place())
    }

    /// A command that the bench runs for itself: beside the scenario file, with the environment of dsbench.
    pub(super) fn bench_program(&self, command: &[Template]) -> Program {
        let argv = Template::arguments(command, &self.place()).into_iter().map(OsString::from).collect();
        Program { argv, env: std::env::vars_os().collect(), cwd: PathBuf::from(&self.addresses.scenario_dir) }
    }

    /// Where in the laboratory the bench's own programs run.
    pub(super) fn bench_machine(&self) -> Option<dsbench_world::Place> {
        self.lab.as_ref().map(LabSetting::place_of_bench)
    }

    /// Where in the laboratory a client's programs run.
    pub(super) fn machine_of_client(&self, client: &Name) -> Option<dsbench_world::Place> {
        self.lab.as_ref().map(|lab| lab.place_of_client(client))
    }

    fn place(&self) -> Place<'_> {
        Place { addresses: &self.addresses, node: None, life: 1 }
    }
}

impl<'r> ProcessSpec<'r> {
    fn new(
        node: &scenario::Node,
        process: &'r scenario::Process,
        setting: &'r Setting,
        matchers: &mut Matchers<'_>,
    ) -> Result<Self, String> {
        let key = ProcessKey { node: node.name.clone(), process: process.name.clone() };
        let place = Place { addresses: &setting.addresses, node: Some(&node.name), life: 1 };
        let ready_tcp = match process.ready.as_ref().and_then(|ready| ready.tcp.as_ref()) {
            Some(address) => {
                Some(resolve(&address.expand(&place)).map_err(|why| format!("{}: ready.tcp: {why}", node.name))?)
            }
            None => None,
        };
        let ready_http = match process.ready.as_ref().and_then(|ready| ready.http.as_ref()) {
            Some(http) => {
                let question = Question::of(http, &http.url.expand(&place));
                Some(question.map_err(|why| format!("{}: ready.http: {why}", node.name))?)
            }
            None => None,
        };
        let data_dir =
            setting.addresses.nodes.get(&node.name).map(|at| PathBuf::from(&at.data_dir)).unwrap_or_default();
        Ok(Self {
            stdout: matchers.of(node, process, Stream::Stdout),
            stderr: matchers.of(node, process, Stream::Stderr),
            file: (!process.logs.is_empty()).then(|| matchers.of(node, process, Stream::File)),
            key,
            process,
            setting,
            data_dir,
            machine: setting.lab.as_ref().map(|lab| lab.place_of(node)),
            label: node.processes.len() > 1,
            ready_tcp,
            ready_http,
        })
    }

    fn place(&self, life: u32) -> Place<'_> {
        Place { addresses: &self.setting.addresses, node: Some(&self.key.node), life }
    }

    fn env(&self, life: u32) -> Vec<(OsString, OsString)> {
        let place = self.place(life);
        let given: Vec<_> = self.process.env.iter().map(|(name, value)| (name.clone(), value.expand(&place))).collect();
        let about = NodeEnv {
            node: &self.key.node,
            life,
            run: &self.setting.token,
            seed: self.setting.seed,
            data_dir: &self.data_dir,
            inherit: self.process.inherit_env,
        };
        node_env(about, &given)
    }

    /// A command in this process's environment and working directory.
    pub(super) fn program(&self, command: &[Template], life: u32) -> Program {
        let place = self.place(life);
        let argv = Template::arguments(command, &place).into_iter().map(OsString::from).collect();
        let cwd = self
            .process
            .cwd
            .as_ref()
            .map_or_else(|| self.data_dir.clone(), |cwd| self.data_dir.join(cwd.expand(&place)));
        Program { argv, env: self.env(life), cwd }
    }

    /// What to execute for a life, and what to look for in its output.
    pub(super) fn spawn(&self, life: &Life) -> SpawnSpec {
        let command = match &self.process.restart_command {
            Some(again) if life.life > 1 => again,
            _ => &self.process.command,
        };
        SpawnSpec {
            program: self.program(command, life.life),
            stdout: Some(Output::boxed(self.stdout.clone())),
            stderr: Some(Output::boxed(self.stderr.clone())),
            files: self.files(life.life),
            label: self.label,
            place: self.machine.clone(),
        }
    }

    /// What comes before its first start.
    pub(super) fn prepare(&self) -> Option<&'r scenario::Prepare> {
        self.process.prepare.as_ref()
    }

    /// What to execute to prepare it: in its environment and directory, and nothing in its output means anything.
    pub(super) fn spawn_to_prepare(&self, command: &[Template]) -> SpawnSpec {
        SpawnSpec {
            program: self.program(command, 1),
            stdout: None,
            stderr: None,
            files: Vec::new(),
            label: true,
            place: self.machine.clone(),
        }
    }

    /// The processes of its node that are ready before it starts.
    pub(super) fn after(&self) -> &'r [Name] {
        &self.process.after
    }

    /// True if it may end like this by itself.
    pub(super) fn may_end(&self, exit: Exit) -> bool {
        self.process.expected.exits.admit(exit)
    }

    /// True if it is ready when it has ended: a job that must end, and of which nothing else is said.
    pub(super) fn is_ready_when_it_ends(&self) -> bool {
        self.process.ready.is_none() && self.process.expected.exits.within().is_some()
    }

    /// The files that are followed.
    fn files(&self, life: u32) -> Vec<FollowSpec> {
        let Some(matcher) = &self.file else { return Vec::new() };
        let follow = |file: &Template| {
            let path = PathBuf::from(file.expand(&self.place(life)));
            let path = path.strip_prefix(&self.data_dir).map(Path::to_owned).unwrap_or(path);
            FollowSpec { dir: self.data_dir.clone(), path, patterns: Some(Output::boxed(matcher.clone())) }
        };
        self.process.logs.iter().map(follow).collect()
    }

    /// The program of its `exec` condition.
    pub(super) fn ready_exec(&self, life: u32) -> Option<Program> {
        let command = self.process.ready.as_ref()?.exec.as_ref()?;
        Some(self.program(command, life))
    }

    /// The pattern of its `log` condition.
    pub(super) fn ready_log(&self) -> Option<&str> {
        self.process.ready.as_ref()?.log.as_ref().map(|pattern| pattern.as_str())
    }

    pub(super) fn ready_within(&self) -> Duration {
        let usual = self.process.expected.exits.within().unwrap_or(EXECUTED_WITHIN);
        self.process.ready.as_ref().map_or(usual, |ready| ready.within)
    }

    pub(super) fn stop(&self) -> scenario::Stop {
        self.process.stop
    }

    pub(super) fn starts_with_node(&self) -> bool {
        self.process.starts_with_node
    }

    /// A text from this process's point of view.
    pub(super) fn expand(&self, template: &Template, life: u32) -> String {
        template.expand(&self.place(life))
    }

    /// Says what its node does not have for these texts to be complete: groups differ in ports and variables, and a step may turn out to
    /// be for any.
    pub(super) fn refuse_lacking(&self, templates: &[Template]) -> Result<(), String> {
        let place = self.place(1);
        templates.iter().find_map(|template| template.lacks(&place)).map_or(Ok(()), Err)
    }

    /// The matcher of its standard output, for what a helper program says in its name.
    pub(super) fn matcher(&self) -> &Matcher {
        &self.stdout
    }
}

/// The matchers of a run, each built once: nodes of a group differ in their addresses, not in what their lines mean.
struct Matchers<'r> {
    plan: &'r Plan,
    setting: &'r Setting,
    built: BTreeMap<MatcherKey, Arc<Matcher>>,
}

/// What a matcher depends on: the group, the stream (where events tell them apart), the process and its ready pattern.
type MatcherKey = (Option<Name>, Option<Stream>, Name, String);

impl Matchers<'_> {
    fn of(&mut self, node: &scenario::Node, process: &scenario::Process, stream: Stream) -> Arc<Matcher> {
        let ready = process.ready.as_ref().and_then(|ready| ready.log.clone());
        let by_stream = self.plan.events.iter().any(|event| event.stream.is_some());
        let of_stream = by_stream.then_some(stream);
        let ready_text = ready.as_ref().map(ToString::to_string).unwrap_or_default();
        let key = (node.group.clone(), of_stream, process.name.clone(), ready_text);
        let build = || {
            let mut events = self.plan.events.clone();
            events.extend(ready.map(|pattern| EventPattern::plain(READY, pattern)));
            let aliases = self.plan.aliases(&self.setting.addresses, node.group.as_ref());
            Arc::new(Matcher::new(&events, stream, &process.name, &aliases))
        };
        self.built.entry(key).or_insert_with(build).clone()
    }
}

/// An address as a socket's; names are looked up.
pub(super) fn resolve(address: &str) -> Result<SocketAddr, String> {
    let found = address.to_socket_addrs().map_err(|error| format!("`{address}` is no address: {error}"))?.next();
    found.ok_or_else(|| format!("`{address}` has no address"))
}
