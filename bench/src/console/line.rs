//! A line that is being typed.

use super::keys::Key;

/// More lines than this are not remembered.
const REMEMBERED: usize = 200;

/// Text, cursor, and the lines that were typed before.
#[derive(Debug, Clone, Default)]
pub(super) struct Line {
    text: Vec<char>,
    cursor: usize,
    before: Vec<String>,
    /// Which of those is shown; one behind the last is the line being typed.
    shown: usize,
}

impl Line {
    /// Another line, with what was typed before.
    pub(super) fn next(&mut self) -> String {
        let text: String = self.text.iter().collect();
        if !text.trim().is_empty() && self.before.last() != Some(&text) {
            self.before.push(text.clone());
            if self.before.len() > REMEMBERED {
                self.before.remove(0);
            }
        }
        self.clear();
        text
    }

    /// Forgets what is being typed.
    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.cursor = 0;
        self.shown = self.before.len();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// What stands before and behind the cursor.
    pub(super) fn around_cursor(&self) -> (String, String) {
        let (before, behind) = self.text.split_at(self.cursor);
        (before.iter().collect(), behind.iter().collect())
    }

    /// Puts a text in the place of the word before the cursor.
    pub(super) fn replace_word(&mut self, word: &str) {
        let start = self.word_start();
        self.text.splice(start..self.cursor, word.chars());
        self.cursor = start + word.chars().count();
    }

    /// The word before the cursor, and what stands before it.
    pub(super) fn word(&self) -> (String, String) {
        let start = self.word_start();
        (self.text[start..self.cursor].iter().collect(), self.text[..start].iter().collect())
    }

    fn word_start(&self) -> usize {
        self.text[..self.cursor].iter().rposition(|c| c.is_whitespace() || *c == '!').map_or(0, |at| at + 1)
    }

    /// Does what an editing key does.
    pub(super) fn edit(&mut self, key: Key) {
        match key {
            Key::Char(c) => {
                self.text.insert(self.cursor, c);
                self.cursor += 1;
            }
            Key::Backspace if self.cursor > 0 => {
                self.cursor -= 1;
                self.text.remove(self.cursor);
            }
            Key::Delete if self.cursor < self.text.len() => drop(self.text.remove(self.cursor)),
            Key::Left => self.cursor = self.cursor.saturating_sub(1),
            Key::Right => self.cursor = (self.cursor + 1).min(self.text.len()),
            Key::Home | Key::Ctrl('a') => self.cursor = 0,
            Key::End | Key::Ctrl('e') => self.cursor = self.text.len(),
            Key::Ctrl('k') => self.text.truncate(self.cursor),
            Key::Ctrl('u') => {
                self.text.drain(..self.cursor);
                self.cursor = 0;
            }
            Key::Ctrl('w') => {
                let text = &self.text[..self.cursor];
                let end = text.iter().rposition(|c| !c.is_whitespace()).map_or(0, |at| at + 1);
                let start = text[..end].iter().rposition(|c| c.is_whitespace()).map_or(0, |at| at + 1);
                self.text.drain(start..self.cursor);
                self.cursor = start;
            }
            Key::Up if self.shown > 0 => self.show(self.shown - 1),
            Key::Down if self.shown < self.before.len() => self.show(self.shown + 1),
            _ => {}
        }
    }

    fn show(&mut self, index: usize) {
        self.shown = index;
        self.text = self.before.get(index).map_or_else(Vec::new, |line| line.chars().collect());
        self.cursor = self.text.len();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn typed(line: &mut Line, text: &str) {
        text.chars().for_each(|c| line.edit(Key::Char(c)));
    }

    fn shown(line: &Line) -> String {
        let (before, behind) = line.around_cursor();
        format!("{before}|{behind}")
    }

    #[test]
    fn a_line_is_edited_as_in_a_shell() {
        let mut line = Line::default();
        typed(&mut line, "kil peer2");
        line.edit(Key::Home);
        (0..3).for_each(|_| line.edit(Key::Right));
        line.edit(Key::Char('l'));
        assert_eq!(shown(&line), "kill| peer2");
        line.edit(Key::Ctrl('e'));
        line.edit(Key::Ctrl('w'));
        assert_eq!(shown(&line), "kill |");
        line.edit(Key::Backspace);
        line.edit(Key::Left);
        line.edit(Key::Delete);
        assert_eq!(shown(&line), "kil|");
        line.edit(Key::Ctrl('u'));
        assert!(line.is_empty());
    }

    #[test]
    fn what_was_typed_before_comes_back() {
        let mut line = Line::default();
        for text in ["one", "two", "two", "  "] {
            typed(&mut line, text);
            assert_eq!(line.next(), text);
        }
        typed(&mut line, "thr");
        let up = |line: &mut Line| {
            line.edit(Key::Up);
            shown(line)
        };
        assert_eq!(up(&mut line), "two|");
        assert_eq!(up(&mut line), "one|");
        assert_eq!(up(&mut line), "one|", "there is nothing before it");
        line.edit(Key::Down);
        line.edit(Key::Down);
        assert_eq!(shown(&line), "|");
    }

    #[test]
    fn the_word_before_the_cursor_can_be_completed() {
        let mut line = Line::default();
        typed(&mut line, "kill !le");
        assert_eq!(line.word(), ("le".into(), "kill !".into()));
        line.replace_word("leader");
        assert_eq!(shown(&line), "kill !leader|");
    }

    proptest! {
        #[test]
        fn no_keys_break_a_line(keys in proptest::collection::vec(0..16_u8, 0..60)) {
            let mut line = Line::default();
            for key in keys {
                match key {
                    0 => drop(line.next()),
                    1 => line.replace_word("word"),
                    2..=5 => line.edit(Key::Char(char::from(b'a' + key))),
                    6 => line.edit(Key::Char(' ')),
                    7 => line.edit(Key::Left),
                    8 => line.edit(Key::Home),
                    9 => line.edit(Key::Backspace),
                    10 => line.edit(Key::Delete),
                    11 => line.edit(Key::Ctrl('w')),
                    12 => line.edit(Key::Ctrl('u')),
                    13 => line.edit(Key::Up),
                    14 => line.edit(Key::Down),
                    _ => line.edit(Key::Ctrl('k')),
                }
                let (before, behind) = line.around_cursor();
                prop_assert_eq!(before.chars().count() + behind.chars().count(), line.text.len());
            }
        }
    }
}
