//! Where text leaves the program: people's words to standard error, data to standard output, and nothing in either that commands a terminal.
//!
//! Nobody has to listen. A reader that goes away (`dsbench show | head -1`, a closed terminal) neither stops a run nor makes it crash.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Write};

use super::github;
use super::wrap::wrapped;
use crate::error::BenchError;

/// Says a line to people.
macro_rules! say {
    ($($text:tt)*) => { $crate::report::terminal::line(format_args!($($text)*)) };
}
pub(crate) use say;

/// A line to people. What cannot be said is not worth a run.
pub(crate) fn line(text: fmt::Arguments<'_>) {
    page(&format!("{text}\n"));
}

/// Several lines to people.
pub(crate) fn page(text: &str) {
    put(&for_people(text));
}

/// A text as standard error takes it: nothing that commands a CI's runner, and colour only where it is shown.
pub(super) fn for_people(text: &str) -> Cow<'_, str> {
    let text = if github::is_here() { github::harmless(text) } else { text.into() };
    match anstream::AutoStream::choice(&io::stderr()) {
        anstream::ColorChoice::Never => anstream::adapter::strip_str(&text).to_string().into(),
        _ => text,
    }
}

/// Puts out a text as it is.
pub(super) fn put(text: &str) {
    let mut stderr = io::stderr().lock();
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}

/// A text for people, with its lines broken where their terminal ends. In a file or a pipe every line stays whole: there it is searched.
pub(super) fn fitted(text: &str) -> Cow<'_, str> {
    let term = console::Term::stderr();
    match term.is_term() {
        true => wrapped(text, term.size_checked().map_or(WIDTH, |(_, columns)| usize::from(columns))).into(),
        false => text.into(),
    }
}

/// The width of a terminal that does not tell it.
const WIDTH: usize = 80;

/// A command to the runner of a CI job that reads what is said to people.
pub(super) fn command(text: &str) {
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}

/// Prints an error with its causes.
pub(crate) fn tell_error(error: &BenchError) {
    let red = anstyle::AnsiColor::Red.on_default().bold();
    say!("{red}error{red:#}: {}", clean(&error.to_string()));
    let mut cause = std::error::Error::source(error);
    while let Some(why) = cause {
        say!("  because: {}", clean(&why.to_string()));
        cause = why.source();
    }
    if let Some(help) = error.help() {
        say!("  help: {}", clean(&help));
    }
}

/// Data for whoever reads standard output. One who has read enough and left is content.
pub(crate) fn data(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), BenchError> {
    let mut out = io::BufWriter::new(anstream::stdout().lock());
    let done = match github::is_here() {
        true => write_harmless(write, &mut out),
        false => write(&mut out),
    };
    match done.and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(BenchError::file("write", "standard output")(error))
        }
        _ => Ok(()),
    }
}

/// Data as one JSON document.
pub(crate) fn json(document: &impl serde::Serialize) -> Result<(), BenchError> {
    let text = serde_json::to_string_pretty(document).expect("plain data has JSON");
    data(|out| writeln!(out, "{}", super::entry::harmless(&text)))
}

fn write_harmless(write: impl FnOnce(&mut dyn Write) -> io::Result<()>, out: &mut impl Write) -> io::Result<()> {
    let mut text = Vec::new();
    write(&mut text)?;
    out.write_all(github::harmless(&String::from_utf8_lossy(&text)).as_bytes())
}

/// A path as a person would type it here.
pub(crate) fn shown_here(path: &str) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    let path = std::path::Path::new(path);
    path.strip_prefix(here).unwrap_or(path).display().to_string()
}

/// A text from outside (a log, a file, a name) as it may be shown: whatever could move the cursor, colour, hide or reorder is written out.
/// Line breaks and tabs stay.
pub(crate) fn clean(text: &str) -> Cow<'_, str> {
    written_out(text, |c| is_harmful(c) && !matches!(c, '\n' | '\t'))
}

/// [`clean`], on one line.
pub(crate) fn clean_line(text: &str) -> Cow<'_, str> {
    written_out(text, is_harmful)
}

fn written_out(text: &str, is_written_out: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_written_out) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_written_out(c) { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    Cow::Owned(shown)
}

/// Control characters, and those that change the direction of what follows.
pub(super) fn is_harmful(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::{clean, clean_line};

    #[test]
    fn nothing_that_commands_a_terminal_gets_through() {
        assert_eq!(clean("Grüße, \u{1b}[2J\u{9b}m\r\u{7}\u{202e}x"), "Grüße, \\u{1b}[2J\\u{9b}m\\r\\u{7}\\u{202e}x");
        assert_eq!(clean("two\nlines\tand a tab"), "two\nlines\tand a tab");
        assert_eq!(clean_line("two\nlines"), "two\\nlines");
    }

    #[test]
    fn a_reader_that_leaves_is_content_and_a_full_disk_is_told() {
        let fails = |kind: std::io::ErrorKind| super::data(|_| Err(kind.into()));
        assert!(fails(std::io::ErrorKind::BrokenPipe).is_ok());
        assert_eq!(fails(std::io::ErrorKind::StorageFull).unwrap_err().exit_code(), 5);
    }
}
