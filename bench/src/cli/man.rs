//! `dsbench man`: the command line's help as man pages.

use std::path::PathBuf;

use clap::{Args, Command};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::help;
use crate::error::BenchError;
use crate::report::terminal::{self, clean, say};

/// Print the man page, or write those of all commands
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dsbench man | man -l -                         read it
  dsbench man --out ~/.local/share/man/man1      install dsbench.1, dsbench-run.1 ...")]
pub(super) struct ManArgs {
    /// Write the pages of dsbench and of every command into this directory
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub(super) fn man(args: &ManArgs) -> Result<u8, BenchError> {
    let mut command = help::command();
    command.build();
    let Some(dir) = &args.out else {
        let page = page(&command).map_err(BenchError::file("write", "the man page"))?;
        terminal::data(|out| out.write_all(&page))?;
        return Ok(0);
    };
    std::fs::create_dir_all(dir).map_err(BenchError::file("create", dir))?;
    let mut written = 0;
    for command in with_subcommands(&command) {
        let file = dir.join(format!("{}.1", title(&command)));
        let page = page(&command).map_err(BenchError::file("write", &file))?;
        std::fs::write(&file, page).map_err(BenchError::file("write", &file))?;
        written += 1;
    }
    say!("{written} man pages in {}", clean(&dir.display().to_string()));
    Ok(0)
}

/// A command and everything below it that people are to know.
fn with_subcommands(command: &Command) -> Vec<Command> {
    let mut all = vec![command.clone()];
    let known = |command: &&Command| !command.is_hide_set() && command.get_name() != "help";
    all.extend(command.get_subcommands().filter(known).flat_map(with_subcommands));
    all
}

/// `dsbench-run`
fn title(command: &Command) -> String {
    command.get_display_name().unwrap_or(command.get_name()).to_owned()
}

fn page(command: &Command) -> std::io::Result<Vec<u8>> {
    let mut out = Vec::new();
    let after = command.get_after_long_help().or(command.get_after_help()).map(ToString::to_string).unwrap_or_default();
    let man = Man::new(command.clone());
    man.render_title(&mut out)?;
    man.render_name_section(&mut out)?;
    man.render_synopsis_section(&mut out)?;
    man.render_description_section(&mut out)?;
    man.render_options_section(&mut out)?;
    if command.get_subcommands().any(|command| !command.is_hide_set()) {
        man.render_subcommands_section(&mut out)?;
    }
    after_help(&after).to_writer(&mut out)?;
    man.render_version_section(&mut out)?;
    Ok(out)
}

/// What stands below the options: a section for each line that ends with a colon and is followed by indented lines, as those lines are.
fn after_help(text: &str) -> Roff {
    let mut roff = Roff::new();
    let mut is_verbatim = false;
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let begins_block = line.ends_with(':') && lines.peek().is_some_and(|next| next.starts_with("  "));
        if is_verbatim && !line.starts_with("  ") {
            roff.control("fi", []);
            is_verbatim = false;
        }
        if begins_block && line.len() < 40 {
            roff.control("SH", [line.trim_end_matches(':').to_uppercase().as_str()]);
        } else if line.is_empty() {
            roff.control("PP", []);
        } else if line.starts_with("  ") {
            if !is_verbatim {
                roff.control("nf", []);
                is_verbatim = true;
            }
            let line = line.strip_prefix("  ").unwrap_or(line);
            let (command, note) = line.split_once("   ").unwrap_or((line, ""));
            roff.text([bold(command), roman(if note.is_empty() { String::new() } else { format!("   {note}") })]);
        } else {
            roff.text([roman(line)]);
        }
    }
    if is_verbatim {
        roff.control("fi", []);
    }
    roff
}

#[cfg(test)]
mod tests {
    use super::{help, page, title, with_subcommands};

    #[test]
    fn every_command_has_a_page_with_a_name_a_synopsis_and_examples() {
        let mut command = help::command();
        command.build();
        let all = with_subcommands(&command);
        assert!(all.len() > 10, "{}", all.len());
        for command in all {
            let page = String::from_utf8(page(&command).unwrap()).unwrap();
            for part in [".TH ", ".SH NAME", ".SH SYNOPSIS", ".SH EXAMPLES"] {
                assert!(page.contains(part), "{}: no {part} in\n{page}", title(&command));
            }
            assert!(page.contains(&title(&command).replace('-', "\\-")), "{page}");
            assert_eq!(page.matches("\n.nf").count(), page.matches("\n.fi").count(), "{page}");
        }
    }
}
