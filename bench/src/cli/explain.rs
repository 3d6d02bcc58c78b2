//! `dsbench explain`: what a word means.

use clap::Args;
use dsbench_core::explain::{self, Chapter, Entry, Found, Part};

use crate::error::BenchError;
use crate::report::page::Page;
use crate::report::terminal;

/// Explain a mistake, a verb, a check, a key or any other word; without one, list them all
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dsbench explain                      every word there is
  dsbench explain DS0101               a mistake, with a wrong and a right example
  dsbench explain kill deadline        a verb, a check
  dsbench explain nodes.ready          a key by its path; `ready` finds every key of that name
  dsbench explain '{addr}' majority    a placeholder, a target
  dsbench explain 3                    an exit code")]
pub(super) struct ExplainArgs {
    /// Codes, verbs, checks, targets, placeholders, exit codes, or keys by their paths
    #[arg(value_name = "WORD")]
    words: Vec<String>,
    /// Print the whole reference in Markdown
    #[arg(long, conflicts_with = "words")]
    all: bool,
}

pub(super) fn explain(args: &ExplainArgs) -> Result<u8, BenchError> {
    if args.all {
        let text = explain::reference();
        terminal::data(|out| out.write_all(text.as_bytes()))?;
        return Ok(0);
    }
    let mut page = Page::for_output();
    if args.words.is_empty() {
        list(&mut page);
    }
    for word in &args.words {
        match explain::find(word) {
            Found::Nothing(help) => {
                let word = terminal::clean_line(word);
                return Err(BenchError::Usage(format!("`{word}` is no word of dsbench: {help}")));
            }
            Found::Entries { meant, also } => {
                meant.iter().for_each(|entry| show(&mut page, entry));
                if !also.is_empty() {
                    page.heading(&format!("keys called `{}`", terminal::clean_line(word)), "");
                    page.rows(&also);
                }
            }
        }
    }
    terminal::data(|out| out.write_all(page.text().as_bytes()))?;
    Ok(0)
}

fn list(page: &mut Page) {
    let mut all = explain::all();
    all.retain(|entry| !entry.is_refused);
    for chapter in Chapter::ALL {
        let entries: Vec<&Entry> = all.iter().filter(|entry| entry.chapter == *chapter).collect();
        page.heading(chapter.heading(), "");
        match chapter {
            Chapter::Code | Chapter::ExitCode => {
                let rows: Vec<_> = entries.iter().map(|entry| (entry.name.clone(), entry.summary.clone())).collect();
                page.rows(&rows);
            }
            _ => {
                let names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
                page.words(&names);
            }
        }
    }
    page.heading("One of them", "");
    page.paragraph("`dsbench explain WORD` explains it; `dsbench explain --all` prints everything as one document.");
}

fn show(page: &mut Page, entry: &Entry) {
    page.heading(&entry.name, entry.chapter.one());
    page.paragraph(&entry.summary);
    for part in &entry.parts {
        match part {
            Part::Text(text) => page.paragraph(text),
            Part::Rows(title, rows) => {
                page.paragraph(&format!("{title}:"));
                page.rows(rows);
            }
            Part::Example(title, lines) => {
                page.paragraph(&format!("{title}:"));
                page.code(lines);
            }
        }
    }
}
