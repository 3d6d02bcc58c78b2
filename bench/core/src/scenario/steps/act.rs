//! What can be done to nodes: start, stop, kill, restart, pause, resume.

use std::fmt;
use std::time::Duration;

use super::{StepTable, Verb, VerbKind, nemesis, workload};
use crate::observation::ActionVerb;
use crate::table::{Key, Kind};
use crate::target::{Eligible, Purpose, Target};

/// Something done to nodes.
#[derive(Debug, Clone)]
pub struct Act {
    /// What.
    pub verb: ActionVerb,
    /// To whom.
    pub to: Target,
    /// Undone after this time: what was killed or stopped is started again and awaited, what was paused is resumed.
    pub undo_after: Option<Duration>,
    /// A kill that spares the children of the main program.
    pub only_program: bool,
}

pub(super) const START: VerbKind = VerbKind {
    key: Key::new(
        "start",
        Kind::Target,
        "Starts nodes or processes that do not run; a list in its order, each when the one before is ready.",
    ),
    modifiers: &[],
    acts: true,
    parse: |step| parse(step, ActionVerb::Start),
};

pub(super) const STOP: VerbKind = VerbKind {
    key: Key::new("stop", Kind::Target, "Asks them to end, as the node's `stop` says."),
    modifiers: &["for"],
    acts: true,
    parse: |step| parse(step, ActionVerb::Stop),
};

pub(super) const KILL: VerbKind = VerbKind {
    key: Key::new("kill", Kind::Target, "SIGKILL to every process of them at once."),
    modifiers: &["for", "only"],
    acts: true,
    parse: |step| parse(step, ActionVerb::Kill),
};

pub(super) const RESTART: VerbKind = VerbKind {
    key: Key::new(
        "restart",
        Kind::Target,
        "Kills what is alive of them and starts them again; the step is done when they are ready.",
    ),
    modifiers: &[],
    acts: true,
    parse: |step| parse(step, ActionVerb::Restart),
};

pub(super) const PAUSE: VerbKind = VerbKind {
    key: Key::new("pause", Kind::Target, "Freezes them: they say, hear and do nothing, and do not know it."),
    modifiers: &["for"],
    acts: true,
    parse: |step| parse(step, ActionVerb::Pause),
};

pub(super) const RESUME: VerbKind = VerbKind {
    key: Key::new("resume", Kind::Target, "Lets what was paused go on."),
    modifiers: &[],
    acts: true,
    parse: |step| parse(step, ActionVerb::Resume),
};

fn parse(step: &StepTable<'_, '_, '_>, verb: ActionVerb) -> Option<Verb> {
    if let Some(nemesis) = nemesis::parse(step, verb) {
        return nemesis;
    }
    if let Some(workload) = workload::parse(step, verb) {
        return workload;
    }
    let to = Target::parse(&step.item, step.names, Purpose::Act);
    let undo_after = step.table.duration("for").map(|undo| undo.value);
    let only_program = verb == ActionVerb::Kill && step.table.word("only").is_some();
    Some(Verb::Act(Act { verb, to: to?, undo_after, only_program }))
}

impl Act {
    /// Who is worth choosing, where the target leaves a choice.
    pub fn eligible(&self) -> Eligible {
        match self.verb {
            ActionVerb::Start => Eligible::Down,
            ActionVerb::Restart => Eligible::Everybody,
            ActionVerb::Resume => Eligible::Paused,
            ActionVerb::Stop | ActionVerb::Kill | ActionVerb::Pause | ActionVerb::Signal | ActionVerb::Input => {
                Eligible::Up
            }
            ActionVerb::Partition | ActionVerb::Heal | ActionVerb::Link | ActionVerb::Unplug | ActionVerb::Plug => {
                Eligible::Everybody
            }
        }
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let program = if self.only_program { " the program of" } else { "" };
        write!(f, "{}{program} {}", self.verb.key(), self.to)?;
        match (self.undo_after, self.verb.undone_by()) {
            (Some(after), Some(undo)) => write!(f, ", {} after {}", undo.key(), humantime::format_duration(after)),
            _ => Ok(()),
        }
    }
}
