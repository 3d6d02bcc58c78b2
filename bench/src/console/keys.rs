//! From the bytes of a keyboard to keys.

/// A key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Char(char),
    Enter,
    Tab,
    Backspace,
    Delete,
    Escape,
    Up,
    Down,
    Left,
    Right,
    Home,
    End,
    /// With a lower-case letter.
    Ctrl(char),
}

/// Bytes that have come, of which the last may be the beginning of a key.
#[derive(Debug, Default)]
pub(super) struct Keys {
    begun: Vec<u8>,
}

impl Keys {
    /// The keys in what was read at once. An escape at its end is the key of that name: a terminal sends a sequence in one piece.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Vec<Key> {
        self.begun.extend_from_slice(bytes);
        let mut keys = Vec::new();
        let mut rest = &self.begun[..];
        while let Some((key, length)) = first(rest) {
            keys.extend(key);
            rest = &rest[length..];
        }
        self.begun = rest.to_vec();
        keys
    }
}

/// The first key and how many bytes it has; a sequence that means nothing here is no key. None if more bytes must come.
fn first(bytes: &[u8]) -> Option<(Option<Key>, usize)> {
    let key = match *bytes.first()? {
        b'\r' | b'\n' => Key::Enter,
        b'\t' => Key::Tab,
        0x7f | 0x08 => Key::Backspace,
        0x1b => return Some(escape(bytes)),
        control @ 1..=26 => Key::Ctrl(char::from(b'a' + control - 1)),
        0..=31 => return Some((None, 1)),
        ascii @ 32..=126 => Key::Char(char::from(ascii)),
        _ => return letter(bytes),
    };
    Some((Some(key), 1))
}

fn escape(bytes: &[u8]) -> (Option<Key>, usize) {
    let Some(kind @ (b'[' | b'O')) = bytes.get(1) else {
        return (Some(Key::Escape), 1);
    };
    // Parameters, then one final byte; longer than any key's sequence is nonsense.
    let Some(length) = bytes.iter().skip(2).take(16).position(|byte| (0x40..=0x7e).contains(byte)) else {
        return (None, bytes.len());
    };
    let (parameters, last) = (&bytes[2..2 + length], bytes[2 + length]);
    let key = match (kind, parameters, last) {
        (_, _, b'A') => Some(Key::Up),
        (_, _, b'B') => Some(Key::Down),
        (_, _, b'C') => Some(Key::Right),
        (_, _, b'D') => Some(Key::Left),
        (_, _, b'H') | (b'[', b"1" | b"7", b'~') => Some(Key::Home),
        (_, _, b'F') | (b'[', b"4" | b"8", b'~') => Some(Key::End),
        (b'[', b"3", b'~') => Some(Key::Delete),
        _ => None,
    };
    (key, length + 3)
}

/// A letter beyond ASCII; bytes that are none are passed over one by one.
fn letter(bytes: &[u8]) -> Option<(Option<Key>, usize)> {
    let length = match bytes[0] {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return Some((None, 1)),
    };
    let whole = bytes.get(..length)?;
    match std::str::from_utf8(whole) {
        Ok(text) => Some((text.chars().next().map(Key::Char), length)),
        Err(_) => Some((None, 1)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keys(bytes: &[u8]) -> Vec<Key> {
        Keys::default().take(bytes)
    }

    #[test]
    fn what_a_terminal_sends_are_keys() {
        assert_eq!(keys(b"kR1"), [Key::Char('k'), Key::Char('R'), Key::Char('1')]);
        assert_eq!(keys(b"\r\x7f\t\x15"), [Key::Enter, Key::Backspace, Key::Tab, Key::Ctrl('u')]);
        assert_eq!(keys(b"\x1b[A\x1b[B\x1bOC\x1b[D"), [Key::Up, Key::Down, Key::Right, Key::Left]);
        assert_eq!(keys(b"\x1b[H\x1b[4~\x1b[3~"), [Key::Home, Key::End, Key::Delete]);
        assert_eq!(keys(b"\x1b"), [Key::Escape]);
        assert_eq!(keys(b"\x1b[1;5Cx"), [Key::Right, Key::Char('x')], "with a modifier it is still that key");
        assert_eq!(keys(b"\x1b[99~x"), [Key::Char('x')], "a key that means nothing here");
    }

    #[test]
    fn a_letter_may_come_in_pieces_and_nonsense_is_passed_over() {
        let mut pieces = Keys::default();
        assert_eq!(pieces.take(&"ü".as_bytes()[..1]), []);
        assert_eq!(pieces.take(&"ü".as_bytes()[1..]), [Key::Char('ü')]);
        assert_eq!(keys(b"\xff\xc3(x"), [Key::Char('('), Key::Char('x')]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken_and_little_is_held(pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..20), 0..10)) {
            let mut keys = Keys::default();
            for piece in pieces {
                keys.take(&piece);
                prop_assert!(keys.begun.len() < 4);
            }
        }
    }
}
