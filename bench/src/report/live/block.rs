//! A block of lines at the bottom of the terminal that is drawn again and again in its place.
//!
//! A frame is one write that goes up to the block's first line, overwrites every line and clears what is left: no moment shows half of it, so nothing flickers.

use anstream::{AutoStream, ColorChoice};
use console::{Term, measure_text_width, truncate_str};

use super::voice::Voice;
use crate::report::terminal;

/// Rows and columns of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
}

/// What is drawn on standard error.
#[derive(Debug)]
pub(crate) struct Block {
    has_colour: bool,
    lines: Vec<String>,
    /// The width of each line on the screen.
    drawn: Vec<usize>,
    /// Beside a run.
    voice: Option<Voice>,
}

impl Block {
    pub(crate) fn new() -> Self {
        let has_colour = AutoStream::choice(&std::io::stderr()) != ColorChoice::Never;
        Self { has_colour, lines: Vec::new(), drawn: Vec::new(), voice: None }
    }

    /// One that never holds up whoever draws it: a frame that the terminal does not take is followed by the newest one when it does.
    pub(super) fn beside_a_run() -> Self {
        Self { voice: Some(Voice::default()), ..Self::new() }
    }

    /// The terminal as it is now: it may have been resized.
    pub(crate) fn size() -> Size {
        let (rows, columns) = Term::stderr().size();
        Size { rows: usize::from(rows).max(1), columns: usize::from(columns).max(1) }
    }

    /// Shows these lines instead of those before.
    pub(crate) fn draw(&mut self, lines: Vec<String>) {
        self.lines = lines;
        if self.voice.as_ref().is_none_or(Voice::is_idle) {
            self.put("");
        }
    }

    /// Lines that stay, above the block.
    pub(crate) fn above(&mut self, text: &str) {
        self.put(&format!("{text}\n"));
    }

    /// Draws it where the cursor is, without looking for what stood there before: the screen was somebody else's meanwhile.
    pub(crate) fn draw_anew(&mut self) {
        self.drawn.clear();
        self.put("");
    }

    /// Takes the block away.
    pub(crate) fn clear(&mut self) {
        self.lines = Vec::new();
        self.put("");
        if let Some(voice) = &mut self.voice {
            voice.close();
        }
    }

    fn put(&mut self, above: &str) {
        let (frame, drawn) = frame(&self.drawn, Self::size(), above, &self.lines, self.has_colour);
        self.drawn = drawn;
        match &mut self.voice {
            Some(voice) => voice.put(&frame),
            None => terminal::put(&frame),
        }
    }
}

/// The text that replaces a drawn block, and the widths of the lines that then stand there.
fn frame(drawn: &[usize], size: Size, above: &str, lines: &[String], has_colour: bool) -> (String, Vec<usize>) {
    // A terminal that has become narrower has broken the lines that were drawn wider.
    let rows: usize = drawn.iter().map(|width| width.div_ceil(size.columns).max(1)).sum();
    let mut text = String::from("\r");
    if let up @ 1.. = rows.min(size.rows - 1) {
        text.push_str(&format!("\x1b[{up}A"));
    }
    if !above.is_empty() {
        // A line that is wider than the terminal takes several rows, and none of them may show what stood there before.
        text.push_str("\x1b[J");
    }
    for line in above.lines() {
        match has_colour {
            true => text.push_str(line),
            false => text.push_str(&anstream::adapter::strip_str(line).to_string()),
        }
        text.push('\n');
    }
    let mut widths = Vec::with_capacity(lines.len());
    for line in lines {
        // Not the last column: some terminals go to the next line when it is written, others do not.
        let mut shown = truncate_str(line, size.columns - 1, "…").into_owned();
        if !has_colour {
            shown = anstream::adapter::strip_str(&shown).to_string();
        }
        widths.push(measure_text_width(&shown));
        text.push_str(&shown);
        text.push_str("\x1b[K\n");
    }
    text.push_str("\x1b[J");
    (text, widths)
}

#[cfg(test)]
mod tests {
    use super::{Size, frame};

    const SIZE: Size = Size { rows: 24, columns: 20 };

    #[test]
    fn a_frame_overwrites_the_one_before() {
        let (first, drawn) = frame(&[], SIZE, "", &["one".into(), "two".into()], true);
        assert_eq!(first, "\rone\x1b[K\ntwo\x1b[K\n\x1b[J");
        assert_eq!(drawn, [3, 3]);
        let (second, _) = frame(&drawn, SIZE, "a warning\n", &["three".into()], true);
        assert_eq!(second, "\r\x1b[2A\x1b[Ja warning\nthree\x1b[K\n\x1b[J");
    }

    #[test]
    fn a_line_never_takes_two_rows() {
        let (text, drawn) = frame(&[], SIZE, "", &["x".repeat(100)], true);
        assert!(text.contains('…'));
        assert_eq!(drawn, [19]);
    }

    #[test]
    fn lines_that_a_narrower_terminal_has_broken_are_overwritten_too() {
        let narrow = Size { rows: 24, columns: 10 };
        assert!(frame(&[19, 3, 0], narrow, "", &[], true).0.starts_with("\r\x1b[4A"));
        let flat = Size { rows: 3, columns: 10 };
        assert!(frame(&[19, 3, 0], flat, "", &[], true).0.starts_with("\r\x1b[2A"), "not above the screen");
    }

    #[test]
    fn without_colour_only_the_cursor_is_moved() {
        let (text, _) = frame(&[], SIZE, "", &["\x1b[32mup\x1b[0m".into()], false);
        assert_eq!(text, "\rup\x1b[K\n\x1b[J");
    }
}
