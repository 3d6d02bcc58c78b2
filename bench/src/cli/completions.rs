//! `dsbench completions`: what a shell needs to complete commands, options and file names.

use clap::Args;
use clap_complete::{Shell, generate};

use super::help;
use crate::error::BenchError;
use crate::report::terminal;

/// Print completions for a shell
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dsbench completions bash > ~/.local/share/bash-completion/completions/dsbench
  dsbench completions zsh > \"${fpath[1]}/_dsbench\"
  dsbench completions fish > ~/.config/fish/completions/dsbench.fish
  source <(dsbench completions bash)                  only for this shell")]
pub(super) struct CompletionsArgs {
    /// For which shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

pub(super) fn completions(args: &CompletionsArgs) -> Result<u8, BenchError> {
    let mut script = Vec::new();
    generate(args.shell, &mut help::command(), "dsbench", &mut script);
    terminal::data(|out| out.write_all(&script))?;
    Ok(0)
}
