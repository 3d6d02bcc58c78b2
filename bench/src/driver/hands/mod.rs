//! By hand: what people at terminals ask of a cluster while it is up, performed by the one loop like everything else.
//!
//! Whoever asks is answered when it is done: a restart when the nodes are ready, the end of the cluster when nothing of it is left.

mod acts;
mod news;

use std::collections::{BTreeMap, BTreeSet};

use dsbench_core::history::History;
use dsbench_core::observation::{ActionVerb, Ending};
use dsbench_world::{CallerId, InputId};

use self::news::News;
use super::Driver;
use super::job::ProcessKey;
use crate::control::{Ask, Done, Request, Word};

/// What is known of callers and of what they wait for.
#[derive(Debug, Default)]
pub(super) struct Hands {
    phase: Phase,
    /// A run has left the cluster.
    is_kept: bool,
    /// True as long as the cluster ends with whoever has launched it.
    has_owner: bool,
    news: News,
    /// What was asked for and is on its way, by number.
    open: BTreeMap<u64, Open>,
    inputs: BTreeMap<InputId, u64>,
    next: u64,
    /// Callers that say no more, and are hung up on when they have their answers.
    left: BTreeSet<CallerId>,
    /// Who waits for the end of the cluster, with their requests.
    farewells: Vec<(CallerId, u64)>,
    /// Why the cluster could not be started.
    failure: Option<String>,
}

/// How far a cluster has come, seen from outside.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Phase {
    /// The nodes are being started, or a run goes on.
    #[default]
    Starting,
    Up,
    Ending,
}

/// Something that was asked for and is on its way.
#[derive(Debug)]
struct Open {
    from: CallerId,
    id: u64,
    done: Done,
    /// Processes that must be up when it is done: something else may have overruled it by then.
    wants_up: Vec<ProcessKey>,
    /// Lines that are not written yet.
    lines: usize,
}

/// How a cluster that was held for people has ended.
#[derive(Debug)]
pub(crate) struct Held {
    /// Why it could not be started, if it could not.
    pub(crate) failure: Option<String>,
    /// The signal to dsbench that has ended it, if one has.
    pub(crate) signal: Option<i32>,
    /// Who waits to be told that nothing is left, with their requests.
    pub(crate) farewells: Vec<(CallerId, u64)>,
}

impl Hands {
    /// Of a cluster that is launched for people; with an owner it ends when that one is gone.
    pub(super) fn launched() -> Self {
        Self { has_owner: true, ..Self::default() }
    }

    /// Of a cluster that a run with this history has left.
    pub(super) fn kept(history: &History) -> Self {
        let mut hands = Self { phase: Phase::Up, is_kept: true, ..Self::launched() };
        history.observations().iter().for_each(|observation| hands.news.observed(&observation.what));
        hands
    }
}

impl Driver<'_> {
    /// All nodes that start by themselves are ready: people may act.
    pub(super) fn hands_are_ready(&mut self) {
        let Some(hands) = &mut self.hands else { return };
        hands.phase = Phase::Up;
        self.spread(&Word::Ready {});
    }

    /// The nodes are about to be stopped: nothing is done by hand any more.
    pub(super) fn hands_off(&mut self) {
        let Some(hands) = &mut self.hands else { return };
        hands.phase = Phase::Ending;
        let open = std::mem::take(&mut hands.open);
        for open in open.into_values() {
            self.refuse_hand(open.from, Some(open.id), "the cluster is being taken down".into());
        }
    }

    /// The cluster could not be started: who has launched it is told why.
    pub(super) fn hands_failed(&mut self, why: String) {
        if let Some(hands) = &mut self.hands {
            hands.failure.get_or_insert(why);
        }
    }

    /// How it has ended.
    pub(super) fn held(self) -> Held {
        let hands = self.hands.unwrap_or_default();
        let signal = match self.ending.because {
            Some(Ending::Interrupted { signal }) => Some(signal),
            _ => self.ending.let_go_by,
        };
        Held { failure: hands.failure, signal, farewells: hands.farewells }
    }

    /// A caller has said a line.
    pub(super) fn heard(&mut self, from: CallerId, line: Option<&[u8]>) {
        let Some(line) = line else {
            self.refuse_hand(from, None, format!("a request has at most {} bytes", dsbench_world::LINE_HEARD_MAX));
            return self.hang_up(from);
        };
        match Request::read(line) {
            Ok(Request { id, ask }) => self.asked(from, id, ask),
            Err(refused) => self.refuse_hand(from, refused.id, refused.why),
        }
    }

    fn asked(&mut self, from: CallerId, id: u64, ask: Ask) {
        let done = match ask {
            Ask::Status => {
                let status = self.status();
                self.answer_hand(from, Done { id, status: Some(status), ..Done::default() });
                Ok(())
            }
            Ask::Watch => {
                self.watch(from);
                self.answer_hand(from, Done { id, ..Done::default() });
                Ok(())
            }
            Ask::Release => {
                if let (CallerId::OWNER, Some(hands)) = (from, &mut self.hands) {
                    hands.has_owner = false;
                    dsbench_world::outlive_parent();
                }
                self.answer_hand(from, Done { id, ..Done::default() });
                Ok(())
            }
            Ask::Down { now } => {
                self.down(from, id, now);
                Ok(())
            }
            Ask::Act(verb, words) => self.act_by_hand(from, id, verb, &words),
            Ask::Signal(signal, words) => self.signal_by_hand(from, id, &signal, &words),
            Ask::Input(text, words) => self.input_by_hand(from, id, &text, &words),
        };
        if let Err(why) = done {
            self.refuse_hand(from, Some(id), why);
        }
    }

    fn down(&mut self, from: CallerId, id: u64, now: bool) {
        if let Some(hands) = &mut self.hands {
            hands.farewells.push((from, id));
        }
        self.end_by_hand();
        if now {
            self.cut_teardown("its cluster is to be gone now");
            self.kill_all();
        }
    }

    /// A caller says no more. A cluster whose owner is gone ends, as a program ends with its terminal.
    pub(super) fn caller_left(&mut self, caller: CallerId) {
        let Some(hands) = &mut self.hands else { return };
        hands.news.forget(caller);
        let waits = hands.open.values().any(|open| open.from == caller)
            || hands.farewells.iter().any(|(waiting, _)| *waiting == caller);
        let is_owner = caller == CallerId::OWNER && hands.has_owner;
        if waits {
            hands.left.insert(caller);
        } else {
            self.hang_up(caller);
        }
        if is_owner {
            self.end_by_hand();
        }
    }

    /// A cluster whose directory was removed can be reached by nobody any more: it ends, or it would be up for ever.
    pub(super) fn look_for_socket(&mut self) {
        if self.hands.as_ref().is_some_and(|hands| !hands.has_owner)
            && !dsbench_world::Socket::at(self.store.control_dir()).exists()
        {
            self.warn("its socket was removed: nobody could end it any more".into());
            self.end_by_hand();
        }
    }

    fn answer_hand(&mut self, to: CallerId, done: Done) {
        self.say_to(to, &Word::Done(done));
    }

    fn refuse_hand(&mut self, to: CallerId, id: Option<u64>, why: String) {
        self.say_to(to, &Word::Refused { id, why });
    }

    fn say_to(&mut self, to: CallerId, word: &Word) {
        if let Some(desk) = self.world.desk() {
            desk.tell(to, word.to_line());
        }
        let waits = |open: &Open| open.from == to;
        if self.hands.as_ref().is_some_and(|hands| hands.left.contains(&to) && !hands.open.values().any(waits)) {
            self.hang_up(to);
        }
    }

    fn hang_up(&mut self, on: CallerId) {
        if let Some(hands) = &mut self.hands {
            hands.left.remove(&on);
        }
        if let Some(desk) = self.world.desk() {
            desk.hang_up(on);
        }
    }

    /// Something that was asked for by hand is done.
    pub(super) fn hand_done(&mut self, number: u64) {
        let Some(open) = self.hands.as_mut().and_then(|hands| hands.open.remove(&number)) else { return };
        let lost: Vec<&str> = open
            .wants_up
            .iter()
            .filter(|key| self.process(key).state != super::process::State::Up)
            .map(|key| &*key.node)
            .collect();
        if lost.is_empty() {
            self.answer_hand(open.from, Done { id: open.id, ..open.done });
        } else {
            let why = format!("{}: something else was done to it meanwhile", lost.join(", "));
            self.refuse_hand(open.from, Some(open.id), why);
        }
    }

    /// Something that was asked for by hand did not work.
    pub(super) fn hand_failed(&mut self, number: u64, why: String) {
        if let Some(open) = self.hands.as_mut().and_then(|hands| hands.open.remove(&number)) {
            self.refuse_hand(open.from, Some(open.id), why);
        }
    }

    /// What is asked for by hand while the cluster is up; the error is for people.
    fn open(&mut self, from: CallerId, id: u64, done: Done, wants_up: Vec<ProcessKey>) -> u64 {
        let Some(hands) = &mut self.hands else { return 0 };
        let number = hands.next;
        hands.next += 1;
        hands.open.insert(number, Open { from, id, done, wants_up, lines: 0 });
        number
    }

    fn may_act(&self, verb: ActionVerb) -> Result<(), String> {
        match self.hands.as_ref().map(|hands| hands.phase) {
            Some(Phase::Up) => Ok(()),
            Some(Phase::Starting) => {
                Err(format!("the nodes are still being started: {} again when they are ready", verb.key()))
            }
            Some(Phase::Ending) | None => Err("the cluster is being taken down".to_owned()),
        }
    }
}
