//! Bytes of a program on their way to a terminal, as they come: prompts without a newline too, and nothing that commands the terminal.

use crate::report::terminal::clean;

/// Makes a stream of bytes safe, piece by piece.
#[derive(Debug, Default)]
pub(super) struct Washing {
    /// The beginning of a letter or of a line's end whose rest has not come yet.
    begun: Vec<u8>,
}

impl Washing {
    /// The next piece as it may be shown.
    pub(super) fn wash(&mut self, bytes: &[u8]) -> String {
        self.begun.extend_from_slice(bytes);
        let held = unfinished(&self.begun);
        let rest = self.begun.split_off(self.begun.len() - held);
        let whole = std::mem::replace(&mut self.begun, rest);
        // Programs that speak to terminals end their lines with both.
        let text = String::from_utf8_lossy(&whole).replace("\r\n", "\n");
        clean(&text).into_owned()
    }

    /// What is left when nothing more comes.
    pub(super) fn finish(&mut self) -> String {
        clean(&String::from_utf8_lossy(&std::mem::take(&mut self.begun))).into_owned()
    }
}

/// How many bytes at the end are the beginning of something.
fn unfinished(bytes: &[u8]) -> usize {
    if bytes.ends_with(b"\r") {
        return 1;
    }
    let last = bytes.len().saturating_sub(3);
    for (at, byte) in bytes.iter().enumerate().skip(last) {
        let length = match byte {
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            _ => continue,
        };
        if bytes.len() - at < length
            && std::str::from_utf8(&bytes[at..]).is_err_and(|error| error.error_len().is_none())
        {
            return bytes.len() - at;
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_program_prints_comes_as_it_is_and_commands_nothing() {
        let mut washing = Washing::default();
        assert_eq!(washing.wash(b"> "), "> ", "a prompt is shown at once");
        assert_eq!(washing.wash(b"a\tb\r"), "a\tb");
        assert_eq!(washing.wash(b"\nc"), "\nc");
        assert_eq!(washing.wash(b"\x1b[2J\x07"), "\\u{1b}[2J\\u{7}");
        assert_eq!(washing.wash("Gr\u{fc}".as_bytes().split_last().unwrap().1), "Gr");
        assert_eq!(washing.wash(&"ü".as_bytes()[1..]), "ü");
        washing.wash(b"\xf0\x9f");
        assert_eq!(washing.finish(), "\u{fffd}");
    }

    proptest! {
        #[test]
        fn pieces_are_shown_like_the_whole(bytes in proptest::collection::vec(any::<u8>(), 0..60), at in 0..60_usize) {
            let whole = |pieces: &[&[u8]]| {
                let mut washing = Washing::default();
                let mut text: String = pieces.iter().map(|piece| washing.wash(piece)).collect();
                text.push_str(&washing.finish());
                text
            };
            let (one, other) = bytes.split_at(at.min(bytes.len()));
            prop_assert_eq!(whole(&[one, other]), whole(&[&bytes]));
        }

        #[test]
        fn text_is_shown_as_it_is(text in "[a-zA-Zäöü€😀 \t\n]{0,40}") {
            let mut washing = Washing::default();
            prop_assert_eq!(washing.wash(text.as_bytes()), text);
        }
    }
}
