//! `dsbench init`: a first scenario, where somebody wants to begin.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::error::BenchError;
use crate::init::{self, Command, Template, Written};
use crate::report::terminal::{clean_line, say};

/// Write a first scenario, with a small cluster to run or for your own program
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dsbench init demo                                       a cluster of shells, in ./demo
  dsbench init --template python                          one in Python, here
  dsbench init --command \"./my-node --port {port}\"        your own program
  dsbench init demo && cd demo && dsbench run             set up, and run

Each scenario passes as it is written. No file that is there is overwritten.")]
pub(super) struct InitArgs {
    /// Where; made if it is not there
    #[arg(value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// What kind of beginning [default: own with --command, else shell]
    #[arg(long, value_name = "KIND")]
    template: Option<Template>,
    /// The command line of your own program; {name} {id} {addr} {port} {peers} ... are filled in for each node
    #[arg(long, value_name = "LINE")]
    command: Option<Command>,
}

pub(super) fn init(args: &InitArgs) -> Result<u8, BenchError> {
    let template = match (args.template, &args.command) {
        (None, None) => Template::Shell,
        (None | Some(Template::Own), _) => Template::Own,
        (Some(template), None) => template,
        (Some(_), Some(_)) => {
            return Err(BenchError::Usage("--command goes with --template own, and with no other".to_owned()));
        }
    };
    let command = args.command.clone().map(|command| command.seen_from(&args.dir));
    let Written(files) = init::init(&args.dir, template, command.as_ref())?;
    let name = |path: &Path| clean_line(&path.strip_prefix(".").unwrap_or(path).display().to_string()).into_owned();
    let longest = files.iter().map(|(path, _)| name(path).len()).max().unwrap_or_default();
    for (path, about) in &files {
        say!("wrote {:longest$}  {about}", name(path));
    }
    let go_there = if args.dir == Path::new(".") { String::new() } else { format!("cd {} && ", shell_word(&args.dir)) };
    say!("\nNext:  {go_there}dsbench run");
    if template == Template::Own && command.is_none() {
        say!(
            "Then put your program into `command` of {}, and what it says into [events].",
            name(&args.dir.join("scenarios/first.toml"))
        );
    }
    Ok(0)
}

/// A path as one types it into a shell.
fn shell_word(path: &Path) -> String {
    let text = clean_line(&path.display().to_string()).into_owned();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=@%,".contains(c);
    if text.chars().all(is_plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn a_path_with_spaces_is_one_word() {
        assert_eq!(super::shell_word(Path::new("a/b-c.d")), "a/b-c.d");
        assert_eq!(super::shell_word(Path::new("it's here")), r"'it'\''s here'");
    }
}
