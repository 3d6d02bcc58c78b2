//! The first page of `--help`: the commands in groups, in the order in which one needs them.

use std::fmt::Write as _;

use clap::{Command, CommandFactory as _};

use super::Cli;
use crate::control::typed_verbs;

/// Every command that people are to know, under the heading where it is looked for.
fn grouped() -> [(&'static str, Vec<&'static str>); 5] {
    [
        ("Begin", vec!["init", "doctor", "explain"]),
        ("Run and judge", vec!["run", "check", "list", "plan", "config"]),
        ("Look at runs", vec!["show", "recheck", "runs"]),
        ("A cluster by hand", ["up", "attach", "ps", "logs"].into_iter().chain(typed_verbs()).collect()),
        ("Tools", vec!["schema", "completions", "man", "node"]),
    ]
}

/// The command line with its commands in groups.
pub(super) fn command() -> Command {
    let command = Cli::command();
    let template = format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{}{}Options:{:#}\n{{options}}{{after-help}}",
        groups(&command),
        command.get_styles().get_header(),
        command.get_styles().get_header(),
    );
    command.help_template(template)
}

fn groups(command: &Command) -> String {
    let (header, literal) = (*command.get_styles().get_header(), *command.get_styles().get_literal());
    let known = |name: &str| command.find_subcommand(name).filter(|command| !command.is_hide_set());
    let longest = command.get_subcommands().map(|command| command.get_name().len()).max().unwrap_or_default();
    let mut text = String::new();
    for (heading, names) in grouped() {
        let _ = writeln!(text, "{header}{heading}:{header:#}");
        for command in names.iter().filter_map(|name| known(name)) {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            let name = command.get_name();
            let _ = writeln!(text, "  {literal}{name}{literal:#}{:gap$}  {about}", "", gap = longest - name.len());
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use clap::Command;

    use super::{command, grouped};

    fn all(command: &Command, path: &str) -> Vec<(String, Command)> {
        let path = format!("{path} {}", command.get_name());
        let mut found = vec![(path.trim().to_owned(), command.clone())];
        let known = |command: &&Command| !command.is_hide_set() && command.get_name() != "help";
        found.extend(command.get_subcommands().filter(known).flat_map(|inner| all(inner, &path)));
        found
    }

    #[test]
    fn every_command_stands_in_one_group() {
        let command = command();
        for known in command.get_subcommands().filter(|command| !command.is_hide_set()) {
            let groups = grouped().iter().filter(|(_, names)| names.contains(&known.get_name())).count();
            assert_eq!(groups, 1, "`{}`: put it into one of the groups in bench/src/cli/help.rs", known.get_name());
        }
    }

    #[test]
    fn every_command_has_examples_that_call_it() {
        for (path, command) in all(&command(), "") {
            let after = command.get_after_long_help().or(command.get_after_help()).map(ToString::to_string);
            let after = after.unwrap_or_default();
            let below = after.lines().skip_while(|line| *line != "Examples:").skip(1);
            let lines: Vec<&str> = below.take_while(|line| line.is_empty() || line.starts_with("  ")).collect();
            assert!(
                lines.iter().any(|line| line.contains(&path)),
                "`{path} --help` has no line `Examples:` with a line below it that calls `{path}`: after_help = \"Examples:\\n  {path} ..\""
            );
        }
    }

    #[test]
    fn no_line_of_a_help_text_is_broken_where_it_was_broken_already() {
        // The width that a help text has in a pipe.
        let is_long = |line: &str| line.chars().count() > 99;
        let mut long = Vec::new();
        for (path, command) in all(&command(), "") {
            let after = command.get_after_long_help().or(command.get_after_help()).map(ToString::to_string);
            let after = after.unwrap_or_default();
            let lines: Vec<&str> = after.lines().collect();
            for (line, next) in lines.iter().zip(lines.iter().skip(1).chain([&""])) {
                // A paragraph of one line is broken where the terminal ends.
                let is_paragraph = !line.starts_with(' ') && next.is_empty();
                if !is_paragraph && is_long(line) {
                    long.push(format!("{path}: {line}"));
                }
            }
        }
        assert!(long.is_empty(), "{}", long.join("\n"));
    }

    #[test]
    fn every_option_and_argument_is_explained_in_the_same_voice() {
        for (path, command) in all(&command(), "") {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            assert!(!about.is_empty() && !about.ends_with('.'), "`{path}`: \"{about}\"");
            for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
                let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
                let id = argument.get_id();
                assert!(!help.is_empty(), "`{path}`: `{id}` is not explained");
                assert!(!help.ends_with('.') || help.ends_with(" ..."), "`{path}`: `{id}` ends with a full stop");
                assert!(help.starts_with(|c: char| !c.is_lowercase()), "`{path}`: `{id}` begins with a small letter");
            }
        }
    }

    #[test]
    fn the_first_page_names_every_exit_code() {
        let after = command().get_after_help().map(ToString::to_string).unwrap_or_default();
        for (code, _) in dsbench_core::judgement::EXIT_CODES {
            assert!(after.contains(&code.to_string()), "{code} is not in\n{after}");
        }
    }
}
