//! `dsbench schema`: the JSON Schema of a scenario, for editors.

use clap::Args;
use dsbench_core::schema as language;

use crate::error::BenchError;
use crate::report::terminal;

/// Print the JSON Schema of a scenario, from which editors complete and explain
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dsbench schema > scenario.schema.json          beside your scenarios

Then let a scenario begin with this line, and leave the next one empty:
  #:schema ./scenario.schema.json

Editors with Tombi or Even Better TOML complete keys from it, explain them, and underline what is wrong. `dsbench init` does all this.")]
pub(super) struct SchemaArgs {}

pub(super) fn schema(_: &SchemaArgs) -> Result<u8, BenchError> {
    let text = language::text();
    terminal::data(|out| out.write_all(text.as_bytes()))?;
    Ok(0)
}
