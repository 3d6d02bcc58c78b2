//! What is typed after a `:`: the commands of other terminals, without `dsbench` before them.

use dsbench_core::observation::ActionVerb;

use crate::control::{Ask, no_such_verb, typed_verbs};

/// A typed command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    /// Something for the cluster.
    Ask(Ask),
    /// What every node does, as lines that stay.
    Status,
    Help,
    /// Leave; the cluster ends if it is this terminal's.
    Quit,
    /// Leave the cluster up.
    Detach,
}

/// Every first word, for completion.
pub(super) fn words() -> impl Iterator<Item = &'static str> {
    typed_verbs().chain(["detach", "help", "quit"])
}

impl Command {
    /// Reads a line; none if nothing was typed. The error is for people.
    pub(super) fn read(line: &str) -> Result<Option<Self>, String> {
        let line = line.trim();
        let (verb, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let target = || rest.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let act = |verb| Self::Ask(Ask::Act(verb, target()));
        Ok(Some(match verb {
            "" => return Ok(None),
            "kill" => act(ActionVerb::Kill),
            "restart" => act(ActionVerb::Restart),
            "pause" => act(ActionVerb::Pause),
            "resume" => act(ActionVerb::Resume),
            "stop" => act(ActionVerb::Stop),
            "start" => act(ActionVerb::Start),
            "partition" => act(ActionVerb::Partition),
            "link" => act(ActionVerb::Link),
            "unplug" => act(ActionVerb::Unplug),
            "heal" => act(ActionVerb::Heal),
            "signal" => {
                let mut words = target().into_iter();
                let signal = words.next().ok_or("signal what? (signal HUP peer1)")?;
                Self::Ask(Ask::Signal(signal, words.collect()))
            }
            "input" => {
                // What is typed to a node is typed as it is, spaces too.
                let (node, text) = rest.trim_start().split_once(char::is_whitespace).unwrap_or((rest.trim(), ""));
                if node.is_empty() {
                    return Err("input to whom? (input peer1 status)".into());
                }
                Self::Ask(Ask::Input(text.to_owned(), vec![node.to_owned()]))
            }
            "down" => Self::Ask(Ask::Down { now: rest == "--now" || rest == "now" }),
            "status" | "ps" => Self::Status,
            "help" | "?" | "h" => Self::Help,
            "quit" | "q" | "exit" => Self::Quit,
            "detach" | "d" => Self::Detach,
            unknown => return Err(no_such_verb(unknown)),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Command {
        Command::read(line).unwrap().unwrap()
    }

    #[test]
    fn commands_are_those_of_other_terminals() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        assert_eq!(read("kill  peer2 !leader"), Command::Ask(Ask::Act(ActionVerb::Kill, words(&["peer2", "!leader"]))));
        assert_eq!(read(" signal HUP all"), Command::Ask(Ask::Signal("HUP".into(), words(&["all"]))));
        assert_eq!(read("input peer1 sell  2 30"), Command::Ask(Ask::Input("sell  2 30".into(), words(&["peer1"]))));
        assert_eq!(read("input peer1"), Command::Ask(Ask::Input(String::new(), words(&["peer1"]))));
        assert_eq!(read("down now"), Command::Ask(Ask::Down { now: true }));
        assert_eq!(read("quit"), Command::Quit);
        assert_eq!(Command::read("   "), Ok(None));
    }

    #[test]
    fn what_is_no_command_is_told_with_what_to_type_instead() {
        let why = |line: &str| Command::read(line).unwrap_err();
        assert!(why("kil peer1").contains("did you mean `kill`?"));
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        assert_eq!(read("partition a | b"), Command::Ask(Ask::Act(ActionVerb::Partition, words(&["a", "|", "b"]))));
        assert!(why("signal").contains("signal HUP") && why("input").contains("input peer1"));
    }

    #[test]
    fn every_word_that_is_completed_is_one_that_is_read() {
        for word in words() {
            assert!(Command::read(&format!("{word} x y")).is_ok(), "{word}");
        }
    }
}
