//! What is done to nodes by hand: the same as steps do, to the same targets.

use dsbench_core::observation::{Action, ActionVerb, Life, Origin};
use dsbench_core::random::Keyed;
use dsbench_core::scenario::{Act, Signal};
use dsbench_core::target::{Aim, Eligible};
use dsbench_world::{CallerId, InputId};

use crate::control::Done;
use crate::driver::Driver;
use crate::driver::job::{Job, Purpose, Stage, Task};
use crate::driver::undo::Lasts;
use crate::report::tell::did;

impl Driver<'_> {
    pub(super) fn act_by_hand(
        &mut self,
        from: CallerId,
        id: u64,
        verb: ActionVerb,
        words: &[String],
    ) -> Result<(), String> {
        self.may_act(verb)?;
        if verb.is_network() {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let act = self.plan.scenario.network_act(verb.key(), &words)?;
            let mut random = self.random_of_hand();
            self.act_on_network(&act, &mut random, Origin::Hand)?;
            let done = self.newest_action();
            self.answer_hand(from, Done { id, ..done });
            return Ok(());
        }
        let to = self.plan.scenario.target(words.iter().map(String::as_str))?;
        let act = Act { verb, to, undo_after: None, only_program: false };
        let aims = act.to.resolve(&self.cluster, act.eligible(), &mut self.random_of_hand());
        let aims = aims.map_err(|nobody| nobody.to_string())?;
        let stages = self.inflict(verb, &aims, Lasts::ForEver, Origin::Hand);
        let starts = |stage: &Stage| stage.iter().filter(|(_, task)| *task == Task::Start).cloned().collect::<Vec<_>>();
        let wants_up = stages.iter().flat_map(starts).map(|(key, _)| key).collect();
        let done = self.newest_action();
        let number = self.open(from, id, done, wants_up);
        self.run_job(Job::new(Purpose::Hand(number), stages));
        Ok(())
    }

    pub(super) fn signal_by_hand(
        &mut self,
        from: CallerId,
        id: u64,
        signal: &str,
        words: &[String],
    ) -> Result<(), String> {
        self.may_act(ActionVerb::Signal)?;
        let signal = Signal::named(signal).map_err(|unknown| unknown.to_string())?;
        let aims = self.up_by_hand(words)?;
        self.send_signal(signal, &aims, Origin::Hand);
        let done = self.newest_action();
        self.answer_hand(from, Done { id, ..done });
        Ok(())
    }

    pub(super) fn input_by_hand(
        &mut self,
        from: CallerId,
        id: u64,
        text: &str,
        words: &[String],
    ) -> Result<(), String> {
        self.may_act(ActionVerb::Input)?;
        let aims = self.up_by_hand(words)?;
        let number = self.open(from, id, Done::default(), Vec::new());
        for aim in &aims {
            let key = self.addressee(aim);
            let action = self.action_on(ActionVerb::Input, std::slice::from_ref(&key), Origin::Hand);
            let life = self.process(&key).life();
            self.record_action(Action { with: Some(text.to_owned()), ..action });
            let written = self.world.input(&life, format!("{text}\n").into_bytes());
            if let Some(hands) = &mut self.hands {
                hands.inputs.insert(written, number);
            }
        }
        let mut nodes: Vec<String> = aims.iter().map(|aim| aim.node.to_string()).collect();
        nodes.dedup();
        let text = format!("typed to {}", nodes.join(", "));
        if let Some(open) = self.hands.as_mut().and_then(|hands| hands.open.get_mut(&number)) {
            open.done = Done { nodes, text, ..Done::default() };
            open.lines = aims.len();
        }
        Ok(())
    }

    /// A line was taken by its node, or will not be; true if it was typed by hand.
    pub(in crate::driver) fn hand_typed(&mut self, id: InputId, of: &Life, result: &Result<(), String>) -> bool {
        let Some(hands) = &mut self.hands else { return false };
        let Some(number) = hands.inputs.remove(&id) else { return false };
        match result {
            Err(why) => self.hand_failed(number, format!("{}: {why}", of.node)),
            Ok(()) => {
                let Some(open) = hands.open.get_mut(&number) else { return true };
                open.lines = open.lines.saturating_sub(1);
                if open.lines == 0 {
                    self.hand_done(number);
                }
            }
        }
        true
    }

    fn up_by_hand(&self, words: &[String]) -> Result<Vec<Aim>, String> {
        let target = self.plan.scenario.target(words.iter().map(String::as_str))?;
        let aims = target.resolve(&self.cluster, Eligible::Up, &mut self.random_of_hand());
        aims.map_err(|nobody| nobody.to_string())
    }

    /// One stream per request: what is chosen does not depend on what others had asked for.
    fn random_of_hand(&self) -> Keyed {
        Keyed::indexed(self.plan.seed, "by-hand/target", self.recorder.history().next_number())
    }

    /// The action that was just recorded, as an answer.
    fn newest_action(&mut self) -> Done {
        let newest = self.hands.as_mut().and_then(|hands| hands.news.newest_action.take());
        newest.map_or_else(Done::default, |action| Done {
            nodes: action.nodes.iter().map(ToString::to_string).collect(),
            // Who has asked knows that it was by hand.
            text: did(&action.asked_by(Origin::Bench)),
            ..Done::default()
        })
    }
}
