//! Lines that fit a terminal: broken between words, and what follows stands below the column in which it began.

use console::measure_text_width;

/// Lines that somebody copies are left whole.
const WHOLE: [&str; 2] = ["  reproduce: ", "  run: "];

/// Breaks the lines of a text (which may have styles) that are wider than `width`. Words are never broken.
pub(super) fn wrapped(text: &str, width: usize) -> String {
    let mut out = String::with_capacity(text.len() + 64);
    for line in text.split_inclusive('\n') {
        let bare = line.trim_end_matches('\n');
        if measure_text_width(bare) <= width || WHOLE.iter().any(|whole| bare.starts_with(whole)) {
            out.push_str(line);
            continue;
        }
        wrap(bare, width, &mut out);
        out.push_str(&line[bare.len()..]);
    }
    out
}

fn wrap(line: &str, width: usize, out: &mut String) {
    let indent = " ".repeat(hanging(line, width));
    let (mut column, mut left) = (0, measure_text_width(line));
    for (gap, word) in words(line) {
        let word_width = measure_text_width(word);
        // What stands apart far to the right goes below as a whole.
        let is_apart = gap.len() > 1 && column > width / 2 && column + left > width;
        left -= gap.len() + word_width;
        // At the beginning of a line a break would leave it empty.
        if column > indent.len() && (is_apart || column + gap.len() + word_width > width) {
            out.push('\n');
            out.push_str(&indent);
            column = indent.len();
        } else {
            out.push_str(gap);
            column += gap.len();
        }
        out.push_str(word);
        column += word_width;
    }
}

/// Words, each with the spaces before it.
fn words(line: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = line;
    std::iter::from_fn(move || {
        let begin = rest.len() - rest.trim_start_matches(' ').len();
        let end = rest[begin..].find(' ').map_or(rest.len(), |length| begin + length);
        let (gap, word) = (&rest[..begin], &rest[begin..end]);
        rest = &rest[end..];
        (!gap.is_empty() || !word.is_empty()).then_some((gap, word))
    })
}

/// Where what does not fit goes on: below the last column that is set apart by spaces, unless that is too far to the right.
fn hanging(line: &str, width: usize) -> usize {
    let (mut at, mut column, mut first) = (0, None, 0);
    for (number, (gap, word)) in words(line).enumerate() {
        at += gap.len();
        if number == 0 {
            first = at;
        } else if gap.len() > 1 && at <= width / 2 {
            column = Some(at);
        }
        at += measure_text_width(word);
    }
    column.unwrap_or(first + 2).min(width / 2)
}

#[cfg(test)]
mod tests {
    use console::measure_text_width;
    use proptest::prelude::*;

    use super::wrapped;

    #[test]
    fn what_does_not_fit_goes_on_below_its_column() {
        let text = "  ok name  it held because everything was seen in time\n  reproduce: dsbench run x.toml --seed 7 --set nodes.count=5\n";
        assert_eq!(
            wrapped(text, 30),
            "  ok name  it held because\n           everything was seen\n           in time\n  reproduce: dsbench run x.toml --seed 7 --set nodes.count=5\n"
        );
        assert_eq!(
            wrapped("  ok a long name of an invariant  and what it came to", 40),
            "  ok a long name of an invariant\n    and what it came to"
        );
        assert_eq!(wrapped("  x a reason without any columns", 20), "  x a reason without\n    any columns");
    }

    #[test]
    fn styles_take_no_room_and_a_word_is_never_broken() {
        let styled = "  \u{1b}[31mx \u{1b}[0m a-very-long-word-that-does-not-fit and more";
        assert_eq!(wrapped(styled, 20), "  \u{1b}[31mx \u{1b}[0m a-very-long-word-that-does-not-fit\n    and more");
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_only_what_cannot_be_broken_is_too_wide(text in "[a-z \u{fc}\u{4e2d}\n]{0,200}", width in 1_usize..60) {
            let shown = wrapped(&text, width);
            let bare = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            prop_assert_eq!(bare(&shown), bare(&text));
            for line in shown.lines().filter(|line| !line.starts_with(' ')) {
                let fits = measure_text_width(line) <= width;
                // Below its column it would stand no better.
                let last = line.trim_end().rfind(' ').map_or(0, |space| measure_text_width(line[..space].trim_end()));
                prop_assert!(fits || last <= width / 2, "{line:?}");
            }
        }
    }
}
