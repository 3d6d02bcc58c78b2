//! Lines of several events, brought into the order in which each node wrote them.

use std::collections::BTreeMap;

use crate::event::Shape;
use crate::history::Seen;
use crate::observation::{Event, Life, Name, Output};

/// A line that a check looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::check) struct Line {
    /// Its observation.
    pub(in crate::check) number: u64,
    pub(in crate::check) entry: Entry,
}

/// What it tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::check) enum Entry {
    /// A message was delivered, by its number.
    Delivered(u32),
    /// The same, at the place of the order that the line tells.
    DeliveredAt(u32, i64),
    /// A message was sent, by its number.
    Sent(u32),
    /// A view was installed, or whatever else deliveries belong to, by its number.
    Installed(u32),
    /// The node is somewhere else in the order from here on.
    Jumped,
}

/// A process of a node with its lives, each the lines of its one stream in order.
#[derive(Debug)]
pub(in crate::check) struct Teller<'h> {
    pub(in crate::check) node: &'h Name,
    pub(in crate::check) process: &'h Name,
    pub(in crate::check) lives: Vec<(u32, Vec<Line>)>,
    /// Two lines of one life on two streams, whose order is not known.
    pub(in crate::check) torn: Option<(u64, u64)>,
}

/// The lines of all streams.
#[derive(Debug, Default)]
pub(in crate::check) struct Streams<'h> {
    streams: Vec<Vec<Line>>,
    by_source: BTreeMap<(&'h Life, &'h Output), usize>,
    /// Streams by the address of their shape, which most of their lines share: only to find them sooner.
    near: Vec<Option<(&'h Shape, usize)>>,
    /// From how many lists lines came: of more than one they are not in order yet.
    lists: u32,
}

impl<'h> Streams<'h> {
    const NEAR: usize = 256;

    /// Takes in a list of lines, given by number. What `entry` makes nothing of is left out.
    pub(in crate::check) fn take(
        &mut self,
        lines: impl Iterator<Item = Seen<'h, Event>>,
        mut entry: impl FnMut(Seen<'h, Event>) -> Option<Entry>,
    ) {
        self.lists += 1;
        for seen in lines {
            if let Some(entry) = entry(seen) {
                let index = self.stream(seen.what.fields.shape());
                self.streams[index].push(Line { number: seen.number, entry });
            }
        }
    }

    fn stream(&mut self, shape: &'h Shape) -> usize {
        if self.near.is_empty() {
            self.near = vec![None; Self::NEAR];
        }
        let slot = (std::ptr::from_ref(shape).addr() >> 5) % Self::NEAR;
        match self.near[slot] {
            Some((known, index)) if std::ptr::eq(known, shape) => index,
            _ => {
                let streams = &mut self.streams;
                let index = *self.by_source.entry((&shape.of, &shape.output)).or_insert_with(|| {
                    streams.push(Vec::new());
                    streams.len() - 1
                });
                self.near[slot] = Some((shape, index));
                index
            }
        }
    }

    /// All that was taken in, by node and process, each in the order of its lives.
    pub(in crate::check) fn tellers(mut self) -> Vec<Teller<'h>> {
        if self.lists > 1 {
            self.streams.iter_mut().for_each(|lines| lines.sort_by_key(|line| line.number));
        }
        let mut tellers: BTreeMap<(&Name, &Name), Teller<'h>> = BTreeMap::new();
        // By node, process, life: as the sources are ordered.
        for (&(of, _), &index) in &self.by_source {
            let lines = std::mem::take(&mut self.streams[index]);
            let Some(first) = lines.first() else { continue };
            let empty = || Teller { node: &of.node, process: &of.process, lives: Vec::new(), torn: None };
            let teller = tellers.entry((&of.node, &of.process)).or_insert_with(empty);
            match teller.lives.last_mut().filter(|(life, _)| *life == of.life) {
                Some((_, others)) => {
                    let numbers = (others[0].number, first.number);
                    let in_order = (numbers.0.min(numbers.1), numbers.0.max(numbers.1));
                    teller.torn.get_or_insert(in_order);
                    // All that it tells, in the order in which it was read.
                    others.extend(lines);
                    others.sort_by_key(|line| line.number);
                }
                None => teller.lives.push((of.life, lines)),
            }
        }
        tellers.into_values().collect()
    }
}

impl Teller<'_> {
    /// Why nothing is known of it: its lines have no known order.
    pub(in crate::check) fn why_torn(&self, what: &str) -> String {
        format!("{} tells {what} on two streams, whose order is not known", self.node)
    }
}
