//! `exec`: a program of your own reads the history as JSON lines on standard input and answers with its exit code.
//!
//! 0 held, 1 violated, 3 unknown; anything else is unknown, for a check that fails decides nothing. The shell runs the program; here is
//! only its answer, as the history holds it, so that a stored run is judged again without the program.

use std::time::Duration;

use super::{Check, CheckKind};
use crate::diagnostic::{self, Diagnostic};
use crate::history::History;
use crate::names::Names;
use crate::observation::Exit;
use crate::table::{Key, Kind, Table};
use crate::verdict::{Finding, Outcome};

pub(super) const KIND: CheckKind = CheckKind {
    name: "exec",
    keys: &[
        Key::required("command", Kind::Texts, "The program and its arguments."),
        Key::new("timeout", Kind::Duration, "How long it may take, 60s if not said."),
    ],
    short: Some("command"),
    doc: "A program reads the history on standard input and exits 0 (held), 1 (violated) or 3 (unknown).",
    parse,
};

/// What the shell runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// The program and its arguments as the scenario has them. Never empty.
    pub command: Vec<String>,
    /// How long it may take.
    pub timeout: Duration,
}

fn parse(table: &Table<'_, '_>, names: &Names<'_>) -> Option<Box<dyn Check>> {
    let command = table.required("command", Table::texts);
    let timeout = match table.duration("timeout") {
        Some(timeout) => timeout.value,
        None if table.has("timeout") => return None,
        None => Duration::from_secs(60),
    };
    let command: Vec<_> = command?.into_iter().map(|word| word.value.to_owned()).collect();
    if command.is_empty() {
        let diagnostic = Diagnostic::error(diagnostic::EMPTY, "`command` names nothing", table.span(), "an empty list");
        names.problems().report(diagnostic);
        return None;
    }
    Some(Box::new(Program { command, timeout }))
}

impl Check for Program {
    fn judge(&self, history: &History) -> Finding {
        let Some(answer) = history.answers().rfind(|answer| answer.what.command == self.command) else {
            return Finding::never_exercised("the program was not run");
        };
        let said = answer.what.said.trim();
        let with = |what: &str| if said.is_empty() { what.to_owned() } else { format!("{what}: {said}") };
        let finding = match answer.what.exit {
            Some(Exit::Code(0)) => Finding::held(1, with("exit 0")),
            Some(Exit::Code(1)) => Finding { at: None, ..Finding::violated(1, 1, answer.at, with("exit 1")) },
            Some(Exit::Code(3)) => Finding::unknown(1, with("exit 3")),
            Some(Exit::Code(code)) => Finding::unknown(1, with(&format!("exit {code}, which is no answer"))),
            Some(Exit::Signal(signal)) => Finding::unknown(1, with(&format!("ended by signal {signal}"))),
            None => Finding::unknown(1, with("it gave no answer")),
        };
        match finding.outcome {
            Outcome::Held => finding,
            _ => finding.showing(answer.number),
        }
    }

    fn program(&self) -> Option<&Program> {
        Some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::{Answer, What};
    use crate::stories::Story;

    fn judged(exit: Option<Exit>) -> Finding {
        let program = Program { command: vec!["check.py".into()], timeout: Duration::from_secs(1) };
        let mut story = Story::of(&["a"]);
        for command in ["check.py", "other.py"] {
            story.push(What::Answer(Answer { command: vec![command.into()], exit, said: "7 lost\n".into() }));
        }
        program.judge(&story.history)
    }

    #[test]
    fn exit_codes_are_answers_and_everything_else_is_unknown() {
        assert_eq!(judged(Some(Exit::Code(0))), Finding::held(1, "exit 0: 7 lost"));
        assert_eq!(judged(Some(Exit::Code(1))).outcome, Outcome::Violated);
        for exit in [Some(Exit::Code(3)), Some(Exit::Code(2)), Some(Exit::Signal(9)), None] {
            assert_eq!(judged(exit).outcome, Outcome::Unknown, "{exit:?}");
        }
    }

    #[test]
    fn the_answer_counts_although_it_comes_after_the_end() {
        let program = Program { command: vec!["check.py".into()], timeout: Duration::from_secs(1) };
        let mut story = Story::of(&["a"]);
        story.at(1).end().at(2);
        let (command, exit) = (vec!["check.py".into()], Some(Exit::Code(0)));
        story.push(What::Answer(Answer { command, exit, said: String::new() }));
        assert_eq!(program.judge(&story.history).outcome, Outcome::Held);
    }

    #[test]
    fn a_program_that_was_not_run_decides_nothing() {
        let program = Program { command: vec!["check.py".into()], timeout: Duration::from_secs(1) };
        let finding = program.judge(&Story::of(&["a"]).history);
        assert_eq!(finding.summary, "never exercised: the program was not run");
    }
}
