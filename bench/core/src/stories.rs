//! Histories for tests: told step by step in milliseconds, or drawn at random.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::history::History;
use crate::network::{Link, LinkTraffic, Paths, RuleTraffic, Traffic};
use crate::observation::{
    Action, ActionVerb, Answer, Change, Ending, Event, Exit, Fields, Life, LogLine, MAIN, Name, Nanos, NemesisChange,
    Observation, Output, PassedOver, Phase, ProcessChange, Sample, Stall, StepChange, StepState, Value, What,
};
use crate::operation::{Datum, Operation, OperationKind, WorkloadChange, WorkloadState};
use crate::time::RunTime;

/// An instant, in milliseconds of run time.
pub(crate) fn ms(ms: u64) -> RunTime {
    RunTime(ms * 1_000_000)
}

/// A history being told. Every node has one process and is up from the beginning.
#[derive(Debug, Clone)]
pub(crate) struct Story {
    pub(crate) history: History,
    now: RunTime,
    early: u64,
    stderr: bool,
    lives: Vec<(Name, u32)>,
}

impl Story {
    /// All nodes start and are ready at 0.
    pub(crate) fn of(nodes: &[&str]) -> Self {
        let mut story = Self { history: History::default(), now: ms(0), early: 0, stderr: false, lives: Vec::new() };
        story.push(What::Run(Phase::Started));
        for node in nodes {
            story.lives.push(((*node).into(), 0));
            story.begin_life(node);
        }
        story.push(What::Run(Phase::Ready));
        story
    }

    pub(crate) fn push(&mut self, what: What) -> &mut Self {
        self.history.push(self.now, what);
        self
    }

    /// What follows happens then.
    pub(crate) fn at(&mut self, at: u64) -> &mut Self {
        self.now = ms(at);
        self
    }

    /// Lines that follow were written at most this much earlier than they arrived.
    pub(crate) fn early(&mut self, early: u64) -> &mut Self {
        self.early = early;
        self
    }

    /// The next line is written to standard error.
    pub(crate) fn on_stderr(&mut self) -> &mut Self {
        self.stderr = true;
        self
    }

    pub(crate) fn life(&self, node: &str) -> Life {
        let life = self.lives.iter().find(|(name, _)| **name == *node).expect("a node of the story").1;
        Life { node: node.into(), process: MAIN.into(), life }
    }

    pub(crate) fn says(&mut self, node: &str, event: &str, fields: &[(&str, Value)]) -> &mut Self {
        let line = self.history.next_number();
        let fields = fields.iter().map(|(name, value)| ((*name).into(), value.clone())).collect();
        let output = if self.stderr { Output::Stderr } else { Output::Stdout };
        let what = Event {
            fields: Fields::unshared(event, self.life(node), output, fields),
            uncertainty: Nanos(self.early * 1_000_000),
            log: LogLine { offset: line * 10, line, text: format!("{node} {event}").into() },
        };
        self.stderr = false;
        self.push(What::Event(what))
    }

    /// A client of the workload `chat` invokes an operation that writes this.
    pub(crate) fn asks(&mut self, id: u64, op: &str, value: i64) -> &mut Self {
        self.asks_by("client1", id, op, value)
    }

    /// The same by any client.
    pub(crate) fn asks_by(&mut self, client: &str, id: u64, op: &str, value: i64) -> &mut Self {
        let name = |name: &str| Name::from(name);
        let (kind, value) = (OperationKind::Invoke, Some(Datum::Int(value)));
        let (workload, op, client) = (name("chat"), name(op), name(client));
        let (process, node, key, why) = (0, None, None, None);
        let operation = Operation { id, kind, workload, op, client, process, node, key, value, why };
        self.push(What::Operation(Box::new(operation)))
    }

    /// The operation with this id ends so.
    pub(crate) fn told(&mut self, id: u64, kind: OperationKind) -> &mut Self {
        let asked = self.history.operations().find(|performed| performed.invoked.what.id == id);
        let invoked = asked.expect("it was invoked").invoked.what.clone();
        let why = (kind != OperationKind::Ok).then(|| "because".into());
        self.push(What::Operation(Box::new(Operation { kind, why, ..invoked })))
    }

    pub(crate) fn workload(&mut self, state: WorkloadState) -> &mut Self {
        self.push(What::Workload(Box::new(WorkloadChange { name: "chat".into(), state })))
    }

    pub(crate) fn leads(&mut self, node: &str, term: i64) -> &mut Self {
        self.says(node, "leads", &[("term", Value::Int(term))])
    }

    pub(crate) fn follows(&mut self, node: &str, leader: &str) -> &mut Self {
        self.says(node, "follows", &[("leader", Value::Node(leader.into()))])
    }

    /// Installs a view.
    pub(crate) fn view(&mut self, node: &str, id: i64, members: &[&str]) -> &mut Self {
        let members = members.iter().map(|member| Name::from(*member)).collect();
        self.says(node, "view", &[("id", Value::Int(id)), ("members", Value::Nodes(members))])
    }

    /// Applies an entry of a log.
    pub(crate) fn applied(&mut self, node: &str, index: i64, value: &str) -> &mut Self {
        self.says(node, "applied", &[("index", Value::Int(index)), ("value", Value::Text(value.into()))])
    }

    /// Has so much of something of which there is a fixed amount.
    pub(crate) fn holds(&mut self, node: &str, amount: i64) -> &mut Self {
        self.says(node, "holds", &[("amount", Value::Int(amount))])
    }

    /// Delivers a message at a place of an order, in a view.
    pub(crate) fn delivers(&mut self, node: &str, message: &str, place: i64, view: i64) -> &mut Self {
        let from = Value::Node(message.split('/').next().unwrap_or_default().into());
        let (message, place, view) = (Value::Text(message.into()), Value::Int(place), Value::Int(view));
        self.says(node, "delivered", &[("msg", message), ("seq", place), ("from", from), ("in", view)])
    }

    /// Sends a message, or hears that one was accepted.
    pub(crate) fn tells_of(&mut self, node: &str, event: &str, message: &str) -> &mut Self {
        self.says(node, event, &[("msg", Value::Text(message.into()))])
    }

    pub(crate) fn act(&mut self, verb: ActionVerb, node: &str, hit: bool) -> &mut Self {
        let hit = if hit { vec![self.life(node)] } else { Vec::new() };
        self.push(What::Action(Action { step: Some(0), ..Action::new(verb, vec![node.into()], hit) }.into()))
    }

    pub(crate) fn kill(&mut self, node: &str) -> &mut Self {
        self.act(ActionVerb::Kill, node, true).exit(node, Exit::Signal(9), true)
    }

    pub(crate) fn pause(&mut self, node: &str) -> &mut Self {
        self.act(ActionVerb::Pause, node, true)
    }

    pub(crate) fn resume(&mut self, node: &str) -> &mut Self {
        self.act(ActionVerb::Resume, node, true)
    }

    /// Starts a node that is down.
    pub(crate) fn restart(&mut self, node: &str) -> &mut Self {
        self.act(ActionVerb::Restart, node, false);
        self.begin_life(node)
    }

    pub(crate) fn exit(&mut self, node: &str, exit: Exit, expected: bool) -> &mut Self {
        self.process(node, Change::Exited { exit, expected })
    }

    pub(crate) fn process(&mut self, node: &str, change: Change) -> &mut Self {
        let of = self.life(node);
        self.push(What::Process(ProcessChange { of, change }))
    }

    pub(crate) fn begin_life(&mut self, node: &str) -> &mut Self {
        let life = self.lives.iter_mut().find(|(name, _)| **name == *node).expect("a node of the story");
        life.1 += 1;
        self.process(node, Change::Started { pid: 100 }).process(node, Change::Ready)
    }

    pub(crate) fn stall(&mut self, since: u64) -> &mut Self {
        self.push(What::Stall(Stall { since: ms(since), of: "loop".into() }))
    }

    pub(crate) fn step(&mut self, step: usize, state: StepState) -> &mut Self {
        self.push(What::Step(StepChange { step, state }))
    }

    pub(crate) fn end(&mut self) -> &mut Self {
        self.end_because(Ending::Complete)
    }

    pub(crate) fn end_because(&mut self, because: Ending) -> &mut Self {
        self.push(What::Run(Phase::Ended { because }))
    }
}

/// The same history with every node called something else.
pub(crate) fn renamed(history: &History) -> History {
    let name = |node: &Name| -> Name { format!("zz-{node}").into() };
    let life = |of: &Life| Life { node: name(&of.node), ..of.clone() };
    told_again(history, |at, what| {
        let what = match what {
            What::Process(process) => What::Process(ProcessChange { of: life(&process.of), ..process }),
            What::Sample(sample) => What::Sample(Sample { of: life(&sample.of), ..sample }),
            What::Action(action) => {
                let nodes = action.nodes.iter().map(name).collect();
                let hit = action.hit.iter().map(life).collect();
                What::Action(Action { nodes, hit, ..*action }.into())
            }
            What::Event(event) => {
                let fields = event.fields.iter().map(|(field, value)| {
                    let value = match value {
                        Value::Node(node) => Value::Node(name(node)),
                        Value::Nodes(nodes) => Value::Nodes(nodes.iter().map(name).collect()),
                        other => other.clone(),
                    };
                    (field.clone(), value)
                });
                let fields =
                    Fields::unshared(event.name.clone(), life(&event.of), event.output.clone(), fields.collect());
                What::Event(Event { fields, ..event })
            }
            What::Step(StepChange { step, state: StepState::Bound { name, to } }) => {
                let to = to.iter().map(|aim| format!("zz-{aim}")).collect();
                What::Step(StepChange { step, state: StepState::Bound { name, to } })
            }
            other => other,
        };
        (at, what)
    })
}

/// The same history, all of it later.
pub(crate) fn shifted(history: &History, by: u64) -> History {
    let later = |at: RunTime| RunTime(at.0 + by * 1_000_000);
    told_again(history, |at, what| {
        let what = match what {
            What::Stall(stall) => What::Stall(Stall { since: later(stall.since), ..stall }),
            other => other,
        };
        (later(at), what)
    })
}

/// The same history, so many times as slow.
pub(crate) fn stretched(history: &History, times: u64) -> History {
    told_again(history, |at, what| {
        let what = match what {
            What::Stall(stall) => What::Stall(Stall { since: RunTime(stall.since.0 * times), ..stall }),
            What::Event(event) => What::Event(Event { uncertainty: Nanos(event.uncertainty.0 * times), ..event }),
            other => other,
        };
        (RunTime(at.0 * times), what)
    })
}

/// The same history, each line on standard error where `stderr` says so, again and again.
pub(crate) fn on_streams(history: &History, stderr: &[bool]) -> History {
    let count = std::cell::Cell::new(0);
    told_again(history, |at, what| {
        let What::Event(event) = what else { return (at, what) };
        let nth = count.replace(count.get() + 1);
        let output = if stderr[nth % stderr.len()] { Output::Stderr } else { Output::Stdout };
        let fields = event.fields.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        let fields = Fields::unshared(event.name.clone(), event.of.clone(), output, fields);
        (at, What::Event(Event { fields, ..event }))
    })
}

fn told_again(history: &History, change: impl Fn(RunTime, What) -> (RunTime, What)) -> History {
    let mut again = History::default();
    for Observation { at, what, .. } in history.observations() {
        let (at, what) = change(*at, what.clone());
        again.push(at, what);
    }
    again
}

/// What may come next in a plausible story of nodes `a`, `b` and `c`.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Turn {
    Leads(u8, i64),
    Follows(u8, u8),
    StepsDown(u8),
    Kill(u8),
    Pause(u8),
    Resume(u8),
    Restart(u8),
    Crash(u8),
    Stall(u64),
    /// A view of the nodes in a mask.
    Views(u8, i64, u8),
    Applies(u8, i64, u8),
    Holds(u8, i64),
    Sends(u8, u8),
    Hears(u8, u8),
    Delivers(u8, u8, i64),
    Jumps(u8),
}

pub(crate) const NODES: [&str; 3] = ["a", "b", "c"];

/// A plausible history: lives, pauses and lines fit together, steps of 0 to 400 ms, lines at most 30 ms early.
pub(crate) fn plausible() -> impl Strategy<Value = History> {
    plausible_within(400, 30, 14)
}

/// The same with steps of less than so many milliseconds, lines less than so many early, and less than so many turns.
pub(crate) fn plausible_within(wait: u64, early: u64, turns: usize) -> impl Strategy<Value = History> {
    let turn = prop_oneof![
        4 => (node_index(), 1..4_i64).prop_map(|(node, term)| Turn::Leads(node, term)),
        3 => (node_index(), node_index()).prop_map(|(node, leader)| Turn::Follows(node, leader)),
        2 => node_index().prop_map(Turn::StepsDown),
        5 => disturbance(),
        1 => (1..wait).prop_map(Turn::Stall),
    ];
    told(turn, wait, early, turns)
}

/// A plausible history of nodes that tell their views, what they apply, and how much of something they hold.
pub(crate) fn talkative() -> impl Strategy<Value = History> {
    talkative_within(400, 30, 14)
}

/// The same with steps of less than so many milliseconds, lines less than so many early, and less than so many turns.
pub(crate) fn talkative_within(wait: u64, early: u64, turns: usize) -> impl Strategy<Value = History> {
    let turn = prop_oneof![
        4 => (node_index(), 1..5_i64, 0..8_u8).prop_map(|(node, id, members)| Turn::Views(node, id, members)),
        3 => (node_index(), 1..4_i64, 0..2_u8).prop_map(|(node, index, value)| Turn::Applies(node, index, value)),
        3 => (node_index(), -1..4_i64).prop_map(|(node, amount)| Turn::Holds(node, amount)),
        3 => disturbance(),
        1 => (1..wait).prop_map(Turn::Stall),
    ];
    told(turn, wait, early, turns)
}

/// A plausible history of nodes that send and deliver messages in views.
pub(crate) fn messaging() -> impl Strategy<Value = History> {
    let turn = prop_oneof![
        2 => (node_index(), 1..3_i64).prop_map(|(node, id)| Turn::Views(node, id, 7)),
        3 => (node_index(), 0..4_u8).prop_map(|(node, message)| Turn::Sends(node, message)),
        3 => (node_index(), 0..4_u8).prop_map(|(node, message)| Turn::Hears(node, message)),
        9 => (node_index(), 0..4_u8).prop_map(|(node, message)| Turn::Delivers(node, message, i64::from(message))),
        1 => (node_index(), 0..4_u8, 0..4_i64).prop_map(|(node, message, at)| Turn::Delivers(node, message, at)),
        1 => node_index().prop_map(Turn::Jumps),
        2 => disturbance(),
        1 => (1..400_u64).prop_map(Turn::Stall),
    ];
    told(turn, 400, 30, 20)
}

fn node_index() -> std::ops::Range<u8> {
    0..3
}

/// What the bench does to nodes, or what befalls them.
pub(crate) fn disturbance() -> impl Strategy<Value = Turn> {
    let what = prop::sample::select(
        &[Turn::Kill as fn(u8) -> Turn, Turn::Pause, Turn::Resume, Turn::Restart, Turn::Crash][..],
    );
    (what, node_index()).prop_map(|(what, node)| what(node))
}

/// Histories of such turns.
pub(crate) fn told(
    turn: impl Strategy<Value = Turn>,
    wait: u64,
    early: u64,
    turns: usize,
) -> impl Strategy<Value = History> {
    let early = prop_oneof![2 => Just(0), 1 => 0..early];
    (vec((0..wait, early, turn), 0..turns), 0..5 * wait, any::<bool>()).prop_map(|(turns, rest, ends)| {
        let mut story = Story::of(&NODES);
        let mut now = 0;
        for (wait, early, turn) in turns {
            now += wait;
            // No line is older than the run.
            take(story.at(now).early(early.min(now)), now, turn);
        }
        if ends {
            story.at(now + rest).end();
        }
        story.history
    })
}

/// Every way in which the lines of a history may have been written within their uncertainty, on a grid of milliseconds; the lines of one
/// node in their order. Each way is the instant of every observation, by number.
pub(crate) fn placements(history: &History) -> Vec<Vec<u64>> {
    let mut ways = vec![Vec::new()];
    for (index, observation) in history.observations().iter().enumerate() {
        let latest = observation.at.0 / 1_000_000;
        let What::Event(event) = &observation.what else {
            ways.iter_mut().for_each(|way| way.push(latest));
            continue;
        };
        let earliest = latest - event.uncertainty.0 / 1_000_000;
        // Nothing is written before the life that writes it.
        let born = history.life(&event.of).map_or(0, |life| life.started.0 / 1_000_000);
        let earliest = earliest.max(born);
        let same_stream =
            |other: &Observation| matches!(&other.what, What::Event(other) if other.source() == event.source());
        let before = history.observations()[..index].iter().rposition(same_stream);
        ways = ways
            .into_iter()
            .flat_map(|way| {
                let from = before.map_or(earliest, |before| earliest.max(way[before]));
                (from..=latest).map(move |at| [way.as_slice(), &[at]].concat())
            })
            .collect();
    }
    ways
}

fn take(story: &mut Story, now: u64, turn: Turn) {
    let name = |node: u8| NODES[usize::from(node)];
    let span = |story: &Story, node: u8| story.history.life(&story.life(name(node))).expect("it has started").clone();
    let is_up = |story: &Story, node: u8| span(story, node).exited.is_none();
    let is_frozen = |story: &Story, node: u8| span(story, node).pauses.last().is_some_and(|p| p.until.is_none());
    let talks = |story: &Story, node: u8| is_up(story, node) && !is_frozen(story, node);
    match turn {
        Turn::Leads(node, term) if talks(story, node) => drop(story.leads(name(node), term)),
        Turn::Follows(node, leader) if talks(story, node) => drop(story.follows(name(node), name(leader))),
        Turn::StepsDown(node) if talks(story, node) => drop(story.says(name(node), "stepped_down", &[])),
        Turn::Kill(node) if is_up(story, node) => drop(story.kill(name(node))),
        Turn::Pause(node) if talks(story, node) => drop(story.pause(name(node))),
        Turn::Resume(node) if is_up(story, node) && is_frozen(story, node) => drop(story.resume(name(node))),
        Turn::Restart(node) if !is_up(story, node) => drop(story.restart(name(node))),
        Turn::Crash(node) if talks(story, node) => drop(story.exit(name(node), Exit::Code(1), false)),
        Turn::Stall(long) => drop(story.stall(now.saturating_sub(long))),
        Turn::Views(node, id, mask) if talks(story, node) => {
            let members: Vec<_> = (0..3).filter(|member| mask & 1 << member != 0).map(name).collect();
            story.view(name(node), id, &members);
        }
        Turn::Applies(node, index, value) if talks(story, node) => {
            story.applied(name(node), index, ["x", "y"][usize::from(value)]);
        }
        Turn::Sends(node, message) if talks(story, node) => {
            story.tells_of(name(node), "sent", &format!("{}/{message}", name(message % 3)));
        }
        Turn::Hears(node, message) if talks(story, node) => {
            story.tells_of(name(node), "acked", &format!("{}/{message}", name(message % 3)));
        }
        Turn::Delivers(node, message, place) if talks(story, node) => {
            story.delivers(name(node), &format!("{}/{message}", name(message % 3)), place, 1);
        }
        Turn::Jumps(node) if talks(story, node) => drop(story.says(name(node), "snapshot", &[])),
        Turn::Holds(node, amount) if talks(story, node) => drop(story.holds(name(node), amount)),
        _ => {}
    }
}

/// Any history at all: numbers are right, nothing else need make sense.
pub(crate) fn wild() -> impl Strategy<Value = History> {
    let at = prop_oneof![4 => 0..5_000_000_000_u64, 1 => any::<u64>()].prop_map(RunTime);
    vec((at, what()), 0..30).prop_map(|observations| {
        let mut history = History::default();
        for (at, what) in observations {
            history.push(at, what);
        }
        history
    })
}

fn what() -> impl Strategy<Value = What> {
    let exit = prop_oneof![any::<i32>().prop_map(Exit::Code), any::<i32>().prop_map(Exit::Signal)];
    let ending = prop_oneof![
        Just(Ending::Complete),
        Just(Ending::Abandoned),
        Just(Ending::Timeout),
        Just(Ending::EndStep),
        Just(Ending::TooMuch),
        Just(Ending::ByHand),
        Just(Ending::Environment),
        (1..20).prop_map(|signal| Ending::Interrupted { signal }),
    ];
    let phase = prop_oneof![
        Just(Phase::Started),
        Just(Phase::Ready),
        Just(Phase::StepsDone),
        ending.prop_map(|because| Phase::Ended { because }),
    ];
    let change = prop_oneof![
        3 => any::<i32>().prop_map(|pid| Change::Started { pid }),
        1 => text().prop_map(|why| Change::NotStarted { why }),
        1 => Just(Change::Ready),
        1 => text().prop_map(|why| Change::NotReady { why }),
        2 => (exit.clone(), any::<bool>()).prop_map(|(exit, expected)| Change::Exited { exit, expected }),
        1 => vec(text(), 0..3).prop_map(|children| Change::Leaking { children }),
        1 => Just(Change::Empty),
    ];
    let verb = prop::sample::select(ActionVerb::ALL);
    let index = || prop::option::of(0..9_usize);
    let network = (prop::option::of(0..30_u64), prop::option::of(paths()), vec(0..30_u64, 0..3));
    let extras = (index(), index(), any::<(bool, bool)>(), prop::option::of(text()), network);
    let action = (verb, vec(node(), 0..3), vec(life(), 0..3), extras).prop_map(|(verb, nodes, hit, extras)| {
        let (step, nemesis, (by_hand, setup), with, (undoes, links, ends)) = extras;
        Action { verb, nodes, hit, step, nemesis, by_hand, setup, with, links, ends, undoes }
    });
    let state = prop_oneof![
        Just(StepState::Begun),
        Just(StepState::Done),
        text().prop_map(|why| StepState::WaitMissed { why }),
        text().prop_map(|why| StepState::ExpectMissed { why }),
        text().prop_map(|why| StepState::Failed { why }),
        text().prop_map(|why| StepState::NotBack { why }),
        text().prop_map(|why| StepState::Cut { why }),
        (text(), vec(text(), 0..3)).prop_map(|(name, to)| StepState::Bound { name: name.into(), to }),
    ];
    let fault = || 0..9_usize;
    let because = prop::sample::select(&[PassedOver::MaxDown, PassedOver::Nobody][..]);
    let nemesis = prop_oneof![
        Just(NemesisChange::Waiting),
        Just(NemesisChange::Begun),
        (fault(), because, text()).prop_map(|(fault, because, why)| NemesisChange::PassedOver { fault, because, why }),
        (fault(), text()).prop_map(|(fault, why)| NemesisChange::NotBack { fault, why }),
        prop::option::of(text()).prop_map(|never_came| NemesisChange::Stopped { never_came }),
        Just(NemesisChange::Healed),
    ];
    let workload = (node(), workload_state()).prop_map(|(name, state)| WorkloadChange { name, state });
    let sample = (life(), any::<u64>(), any::<u64>(), any::<u32>());
    let answer = (vec(text(), 0..3), prop::option::of(exit), text());
    prop_oneof![
        1 => phase.prop_map(What::Run),
        3 => (life(), change).prop_map(|(of, change)| What::Process(ProcessChange { of, change })),
        8 => event().prop_map(What::Event),
        3 => action.prop_map(|action| What::Action(action.into())),
        1 => (0..9_usize, state).prop_map(|(step, state)| What::Step(StepChange { step, state })),
        1 => nemesis.prop_map(What::Nemesis),
        3 => operation().prop_map(|operation| What::Operation(operation.into())),
        1 => workload.prop_map(|workload| What::Workload(workload.into())),
        1 => sample.prop_map(|(of, cpu, rss_bytes, open_files)| What::Sample(Sample {
            of,
            cpu: Nanos(cpu),
            rss_bytes,
            open_files
        })),
        1 => traffic().prop_map(|traffic| What::Traffic(traffic.into())),
        1 => any::<u64>().prop_map(|since| What::Stall(Stall { since: RunTime(since), of: "logs".into() })),
        1 => answer.prop_map(|(command, exit, said)| What::Answer(Answer { command, exit, said })),
    ]
}

fn operation() -> impl Strategy<Value = Operation> {
    let kind =
        prop::sample::select(&[OperationKind::Invoke, OperationKind::Ok, OperationKind::Fail, OperationKind::Info][..]);
    let names = (node(), node(), node(), prop::option::of(node()));
    let told = (prop::option::of(datum()), prop::option::of(datum()), prop::option::of(text()));
    (0..9_u64, kind, names, any::<u64>(), told).prop_map(|(id, kind, names, process, (key, value, why))| {
        let (workload, op, client, node) = names;
        // A key is never null: it is there or not.
        let key = key.filter(|key| key.to_json() != serde_json::Value::Null);
        Operation { id, kind, workload, op, client, process, node, key, value, why: why.map(Into::into) }
    })
}

fn datum() -> impl Strategy<Value = Datum> {
    let json = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(serde_json::Value::from),
        any::<u64>().prop_map(serde_json::Value::from),
        prop::num::f64::NORMAL.prop_map(serde_json::Value::from),
        vec(text(), 0..3).prop_map(serde_json::Value::from),
        (text(), any::<i64>()).prop_map(|(key, value)| serde_json::json!({ key: value })),
    ];
    prop_oneof![
        any::<i64>().prop_map(Datum::Int),
        text().prop_map(|text| Datum::Text(text.into())),
        json.prop_map(Datum::from),
    ]
}

fn workload_state() -> impl Strategy<Value = WorkloadState> {
    prop_oneof![
        Just(WorkloadState::Waiting),
        Just(WorkloadState::Begun),
        any::<u64>().prop_map(|behind| WorkloadState::Stopped { behind }),
        Just(WorkloadState::Over),
        (node(), any::<u32>(), any::<i32>()).prop_map(|(client, life, pid)| WorkloadState::ClientStarted {
            client,
            life,
            pid
        }),
        (node(), any::<u32>(), text()).prop_map(|(client, life, why)| WorkloadState::ClientEnded { client, life, why }),
    ]
}

fn paths() -> impl Strategy<Value = Paths> {
    let nodes = || vec(node(), 0..3);
    prop_oneof![
        vec(nodes(), 0..3).prop_map(Paths::Apart),
        (nodes(), nodes()).prop_map(|(from, to)| Paths::OneWay { from, to }),
        (nodes(), nodes()).prop_map(|(these, those)| Paths::Between(these, those)),
        nodes().prop_map(Paths::Among),
    ]
}

fn traffic() -> impl Strategy<Value = Traffic> {
    let count = || prop_oneof![0..5_u64, any::<u64>()];
    let link = (node(), node(), count(), count(), count()).prop_map(|(from, to, frames, bytes, dropped)| LinkTraffic {
        link: Link { from, to },
        frames,
        bytes,
        dropped,
    });
    let counts = [(); 7].map(|()| count());
    let rule =
        (0..30_u64, counts).prop_map(|(rule, [matched, dropped, delayed, duplicated, reordered, corrupted, reset])| {
            RuleTraffic { rule, matched, dropped, delayed, duplicated, reordered, corrupted, reset }
        });
    let others = [(); 5].map(|()| count());
    (vec(link, 0..3), vec(rule, 0..3), others).prop_map(
        |(links, rules, [overruns, forged, stray, unplugged, unrecorded])| Traffic {
            links,
            rules,
            overruns,
            forged,
            stray,
            unplugged,
            unrecorded,
        },
    )
}

fn event() -> impl Strategy<Value = Event> {
    let name = prop::sample::select(
        &[
            "leads",
            "follows",
            "stepped_down",
            "node.panic",
            "view",
            "applied",
            "holds",
            "delivered",
            "delivered",
            "sent",
            "acked",
            "snapshot",
        ][..],
    );
    let field = prop::sample::select(
        &["term", "leader", "x", "id", "members", "index", "value", "amount", "msg", "seq", "from", "in"][..],
    );
    let value = prop_oneof![
        any::<i64>().prop_map(Value::Int),
        prop::num::f64::ANY.prop_filter("one NaN is like another on disk", |x| !x.is_nan()).prop_map(Value::Float),
        text().prop_map(|text| Value::Text(text.into())),
        node().prop_map(Value::Node),
        vec(node(), 0..3).prop_map(Value::Nodes),
    ];
    let early = prop_oneof![Just(0), 0..100_000_000_u64, any::<u64>()];
    let output = prop_oneof![
        2 => Just(Output::Stdout),
        1 => Just(Output::Stderr),
        1 => text().prop_map(|file| Output::File(file.into())),
    ];
    let log = (output, any::<u64>(), any::<u64>(), text());
    let fields = vec((field, value), 0..3);
    (name, life(), fields, early, log).prop_map(|(name, of, fields, early, (output, offset, line, text))| {
        let fields = fields.into_iter().map(|(name, value)| (name.into(), value)).collect();
        let fields = Fields::unshared(name, of, output, fields);
        Event { fields, uncertainty: Nanos(early), log: LogLine { offset, line, text: text.into() } }
    })
}

fn node() -> impl Strategy<Value = Name> {
    prop::sample::select(&["a", "b", "c", "a\"\\\u{1}é"][..]).prop_map(Name::from)
}

fn life() -> impl Strategy<Value = Life> {
    let process = prop_oneof![3 => Just(MAIN), 1 => Just("sentinel")];
    (node(), process, 1..3_u32).prop_map(|(node, process, life)| Life { node, process: process.into(), life })
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z ]{0,8}", any::<String>()]
}
