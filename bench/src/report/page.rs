//! A page of text for people: headings, paragraphs, rows and code, as wide as the terminal is and no wider than one can read.

use std::fmt::Write as _;

use console::measure_text_width;

/// The widest line that is comfortable to read.
const WIDEST: usize = 100;
const INDENT: &str = "  ";

/// A page being written.
#[derive(Debug)]
pub(crate) struct Page {
    width: usize,
    text: String,
}

impl Page {
    /// A page for standard output.
    pub(crate) fn for_output() -> Self {
        let columns = console::Term::stdout().size_checked().map_or(WIDEST, |(_, columns)| usize::from(columns));
        Self::of_width(columns)
    }

    fn of_width(columns: usize) -> Self {
        Self { width: columns.clamp(40, WIDEST), text: String::new() }
    }

    /// What was written.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Begins a section; `note` stands behind its name.
    pub(crate) fn heading(&mut self, name: &str, note: &str) {
        let bold = anstyle::Style::new().bold();
        let gap = if self.text.is_empty() { "" } else { "\n" };
        let note = if note.is_empty() { String::new() } else { format!("  ({note})") };
        let _ = writeln!(self.text, "{gap}{bold}{name}{bold:#}{note}");
    }

    /// Prose, broken at its spaces.
    pub(crate) fn paragraph(&mut self, text: &str) {
        let width = self.width;
        for line in broken(text, width - INDENT.len()) {
            let _ = writeln!(self.text, "{INDENT}{line}");
        }
    }

    /// Names with what they mean, the meanings below each other.
    pub(crate) fn rows(&mut self, rows: &[(String, String)]) {
        let longest = rows.iter().map(|(name, _)| measure_text_width(name)).max().unwrap_or_default();
        // A long name stands alone rather than push all meanings aside.
        let column = longest.min(self.width / 3);
        for (name, meaning) in rows {
            let lines = broken(meaning, self.width - 2 * INDENT.len() - column - 2);
            let fits = measure_text_width(name) <= column;
            let _ = write!(self.text, "{INDENT}{INDENT}{name}");
            let mut padding = if fits { column - measure_text_width(name) + 2 } else { 0 };
            if !fits {
                self.text.push('\n');
            }
            for (index, line) in lines.iter().enumerate() {
                if index > 0 || !fits {
                    padding = 2 * INDENT.len() + column + 2;
                }
                let _ = writeln!(self.text, "{:padding$}{line}", "");
            }
        }
    }

    /// Words side by side.
    pub(crate) fn words(&mut self, words: &[&str]) {
        let longest = words.iter().map(|word| measure_text_width(word)).max().unwrap_or_default() + 2;
        let columns = ((self.width - INDENT.len()) / longest).max(1);
        for row in words.chunks(columns) {
            let cells = row.iter().map(|word| format!("{word:longest$}")).collect::<String>();
            let _ = writeln!(self.text, "{INDENT}{}", cells.trim_end());
        }
    }

    /// Lines as they are, farther in.
    pub(crate) fn code(&mut self, lines: &str) {
        let dim = anstyle::Style::new().fg_color(Some(anstyle::AnsiColor::Cyan.into()));
        for line in lines.lines() {
            let _ = writeln!(self.text, "{INDENT}{INDENT}{dim}{line}{dim:#}");
        }
    }
}

/// A text in lines of at most this width, as far as its words are short enough.
fn broken(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is always one");
        if line.is_empty() {
            line.push_str(word);
        } else if measure_text_width(line) + 1 + measure_text_width(word) <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::Page;

    fn plain(page: &Page) -> String {
        anstream::adapter::strip_str(page.text()).to_string()
    }

    #[test]
    fn nothing_is_wider_than_the_terminal_as_long_as_words_are_short() {
        let mut page = Page::of_width(40);
        page.heading("kill", "verb");
        page.paragraph("SIGKILL to every process of them at once, whatever they are doing at that moment.");
        page.rows(&[
            ("a".into(), "one two three four five six seven eight nine".into()),
            ("long_name".into(), "x".into()),
        ]);
        page.words(&["all", "any", "random", "killed", "paused", "restarted", "minority", "majority"]);
        let text = plain(&page);
        assert!(text.lines().all(|line| line.len() <= 40), "{text}");
        assert!(text.contains("\n    a          one two three four five\n               six"), "{text}");
    }

    #[test]
    fn a_name_too_long_for_its_column_stands_alone() {
        let mut page = Page::of_width(60);
        page.rows(&[("a_name_that_is_far_too_long_for_this".into(), "what it means".into()), ("b".into(), "c".into())]);
        assert_eq!(
            plain(&page),
            "    a_name_that_is_far_too_long_for_this\n                          what it means\n    b                     c\n"
        );
    }
}
