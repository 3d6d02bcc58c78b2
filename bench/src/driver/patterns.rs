//! What a process's output is searched for: the scenario's events, its ready line, and lines that tell of a crash.

use std::sync::Arc;

use dsbench_core::pattern::Matcher;
use dsbench_world::{Found, Meaning, Patterns};

/// The reserved name of the ready line among the events of one process.
pub(super) const READY: &str = "dsbench.ready";

/// A matcher of the core as the world's capture wants it.
#[derive(Debug)]
pub(super) struct Output(Arc<Matcher>);

impl Output {
    pub(super) fn boxed(matcher: Arc<Matcher>) -> Box<dyn Patterns> {
        Box::new(Self(matcher))
    }
}

impl Patterns for Output {
    fn scan(&mut self, lines: &[u8], found: &mut dyn FnMut(Found)) {
        self.0.scan(lines, |index, offset, line, matches| {
            for found_here in matches {
                let meaning = match &*found_here.event {
                    READY => Meaning::Ready,
                    _ => Meaning::Event { name: found_here.event, fields: found_here.fields },
                };
                found(Found { index, line: offset..offset + line.len(), meaning });
            }
        });
    }
}
