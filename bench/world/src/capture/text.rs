//! A line as people read it.

use std::fmt::Write;

/// Longest text that a pointer to a line carries along.
const CHARS_MAX: usize = 400;

/// Lossy UTF-8, control characters escaped, cut after 400 characters: safe to print on any terminal, whatever the node wrote.
pub(super) fn readable(line: &[u8]) -> String {
    // A character has at most four bytes, so what stands behind cannot matter.
    let head = &line[..line.len().min(4 * CHARS_MAX + 4)];
    let mut text = String::with_capacity(head.len());
    for (count, character) in String::from_utf8_lossy(head).chars().enumerate() {
        if count == CHARS_MAX {
            text.push('…');
            break;
        }
        match character {
            '\t' => text.push('\t'),
            control if control.is_control() => {
                let _ = write!(text, "\\x{:02x}", u32::from(control));
            }
            other => text.push(other),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_bytes_become_harmless_text() {
        assert_eq!(readable(b"plain \xc3\xa4"), "plain ä");
        assert_eq!(readable(b"\x1b[2Jclear\x07 nul\0 bad\xff\r"), "\\x1b[2Jclear\\x07 nul\\x00 bad\u{fffd}\\x0d");
        assert_eq!(readable("ä".repeat(401).as_bytes()), format!("{}…", "ä".repeat(400)));
        assert_eq!(readable("€".repeat(400).as_bytes()).chars().count(), 400);
        assert!(readable(&vec![b'x'; 10_000_000]).len() < 500);
    }
}
