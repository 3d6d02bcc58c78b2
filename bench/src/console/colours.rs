//! A colour for each node, so that the eye finds its lines. Its name stands there in any case.

use anstyle::{AnsiColor, Style};

/// Far from each other, and readable on light and on dark. Red is for what went wrong.
const COLOURS: [AnsiColor; 10] = [
    AnsiColor::Cyan,
    AnsiColor::Yellow,
    AnsiColor::Green,
    AnsiColor::Magenta,
    AnsiColor::Blue,
    AnsiColor::BrightCyan,
    AnsiColor::BrightYellow,
    AnsiColor::BrightGreen,
    AnsiColor::BrightMagenta,
    AnsiColor::BrightBlue,
];

/// The style of the node at this place in the scenario.
pub(crate) fn of_node(index: usize) -> Style {
    COLOURS[index % COLOURS.len()].on_default()
}
