//! `input = "status"`, or a list of lines: typed into a node's standard input.

use std::fmt;
use std::time::Duration;

use super::{StepTable, Verb, VerbKind};
use crate::diagnostic::{self, Diagnostic};
use crate::groups::Whose;
use crate::table::{Key, Kind, Table};
use crate::target::{Purpose, Target};
use crate::template::{Setting, Template};

/// Lines to type.
#[derive(Debug, Clone)]
pub struct Input {
    /// The lines, without their line ends.
    pub lines: Vec<Template>,
    /// The time from one line to the next.
    pub every: Duration,
    /// Who gets them: the main process of a node, unless the target says which.
    pub to: Target,
}

/// The time between two lines if the scenario does not say: a fast typist.
const EVERY: Duration = Duration::from_millis(100);

pub(super) const INPUT: VerbKind = VerbKind {
    key: Key::new("input", Kind::Texts, "Types a line, or several, into the standard input of `to`."),
    modifiers: &["to", "every"],
    acts: true,
    parse,
};

fn parse(step: &StepTable<'_, '_, '_>) -> Option<Verb> {
    let to = step
        .table
        .required("to", |table: &Table<'_, '_>, key| Target::parse(&table.item(key)?, step.names, Purpose::Act));
    let whose = to.as_ref().map_or(Whose::Anybody, |to| to.whose(step.names));
    let lines: Option<Vec<_>> = step.item.texts().map(|texts| {
        // What is typed is free text: only placeholders that are spelt right are replaced.
        texts.iter().map(|line| Template::parse(line, Setting::FILE.of(whose), step.names)).collect()
    });
    if lines.as_ref().is_some_and(Vec::is_empty) {
        let message = "`input` types nothing";
        step.item.report(Diagnostic::error(diagnostic::EMPTY, message, step.item.span(), "an empty list"));
    }
    let every = step.table.duration("every").map_or(EVERY, |every| every.value);
    let lines = lines?.into_iter().collect::<Option<_>>()?;
    Some(Verb::Input(Input { lines, every, to: to? }))
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.lines.as_slice() {
            [line] => write!(f, "type \"{line}\" to {}", self.to),
            lines => {
                let every = humantime::format_duration(self.every);
                write!(f, "type {} lines to {}, one every {every}", lines.len(), self.to)
            }
        }
    }
}
