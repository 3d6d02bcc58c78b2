//! Sequences of values that may not go down: the common part of [`monotonic`](super::monotonic) and
//! [`view_changes`](super::view_changes).
//!
//! The order of two lines of one stream is known exactly, and so is that of lines of different lives of a process, because nothing of a
//! life is left when the next begins. The order of lines that one life wrote to different streams is only known as far as their times are.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::moment::Moment;
use crate::history::Seen;
use crate::observation::{Event, Source, Value};
use crate::time::RunTime;

/// What is asked of a sequence.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ascent {
    /// The same value again is wrong too.
    pub(super) strictly: bool,
    /// The next life of a process continues the sequence of the last one.
    pub(super) over_lives: bool,
}

/// A line with its value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told<'h> {
    pub(super) seen: Seen<'h, Event>,
    pub(super) value: &'h Value,
}

/// A value and an earlier one that is not below it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fall<'h> {
    pub(super) from: Told<'h>,
    pub(super) to: Told<'h>,
}

/// What became of all sequences.
#[derive(Debug, Default)]
pub(super) struct Course<'h> {
    /// Values that had an earlier one to be compared with.
    pub(super) compared: u64,
    /// How many values are too low, wherever within their uncertainty the lines were written.
    pub(super) falls: u64,
    /// The first of them in time.
    pub(super) first: Option<Fall<'h>>,
    /// One that is too low for some order of its lines.
    pub(super) perhaps: Option<Fall<'h>>,
}

impl<'h> Course<'h> {
    fn fell(&mut self, fall: Fall<'h>) {
        self.falls += 1;
        let when = |fall: &Fall<'_>| (fall.to.seen.at, fall.to.seen.number);
        if self.first.as_ref().is_none_or(|first| when(&fall) < when(first)) {
            self.first = Some(fall);
        }
    }
}

/// A number that is one: by its type, then by its size. What is no number has no place in a sequence.
pub(super) fn is_number(value: &Value) -> bool {
    match value {
        Value::Int(_) => true,
        Value::Float(number) => !number.is_nan(),
        Value::Text(_) | Value::Node(_) | Value::Nodes(_) => false,
    }
}

/// Unlike the order of values as keys, -0 is not below 0.
fn compare(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Float(a), Value::Float(b)) => a.partial_cmp(b).unwrap_or(Ordering::Equal),
        _ => a.cmp(b),
    }
}

/// The last life of a sequence that was seen.
struct Track<'h> {
    source: Source<'h>,
    highest: Told<'h>,
}

impl Ascent {
    /// Judges sequences of lines, given by number, each with what tells its sequence from others.
    pub(super) fn course<'h, K: Ord>(&self, lines: impl Iterator<Item = (K, Told<'h>)> + Clone) -> Course<'h> {
        self.in_one_stream(lines.clone()).unwrap_or_else(|| self.in_several_streams(lines))
    }

    fn is_low(&self, value: &Value, before: &Value) -> bool {
        match compare(value, before) {
            Ordering::Less => true,
            Ordering::Equal => self.strictly,
            Ordering::Greater => false,
        }
    }

    /// The usual case, in one pass: no life used two streams, and lives come in order. None if one did, or if they do not.
    fn in_one_stream<'h, K: Ord>(&self, lines: impl Iterator<Item = (K, Told<'h>)>) -> Option<Course<'h>> {
        let mut tracks: BTreeMap<K, Track<'h>> = BTreeMap::new();
        let mut course = Course::default();
        for (key, told) in lines {
            let source = told.seen.what.source();
            let Some(track) = tracks.get_mut(&key) else {
                tracks.insert(key, Track { source, highest: told });
                continue;
            };
            match source.0.life.cmp(&track.source.0.life) {
                Ordering::Less => return None,
                Ordering::Equal if source != track.source => return None,
                Ordering::Equal => {}
                Ordering::Greater => {
                    track.source = source;
                    if !self.over_lives {
                        track.highest = told;
                        continue;
                    }
                }
            }
            course.compared += 1;
            if self.is_low(told.value, track.highest.value) {
                course.fell(Fall { from: track.highest, to: told });
            } else {
                track.highest = told;
            }
        }
        Some(course)
    }

    /// Any case: each life of a sequence with its streams, and the highest value of the lives before.
    fn in_several_streams<'h, K: Ord>(&self, lines: impl Iterator<Item = (K, Told<'h>)>) -> Course<'h> {
        let mut sequences: BTreeMap<K, BTreeMap<u32, BTreeMap<Source<'h>, Vec<Told<'h>>>>> = BTreeMap::new();
        for (key, told) in lines {
            let source = told.seen.what.source();
            let life = sequences.entry(key).or_default().entry(source.0.life).or_default();
            life.entry(source).or_default().push(told);
        }
        let mut course = Course::default();
        for lives in sequences.into_values() {
            let mut before = None;
            for streams in lives.into_values() {
                for (source, stream) in &streams {
                    let others = streams.iter().filter(|(other, _)| *other != source);
                    let others: Vec<Told<'h>> = others.flat_map(|(_, lines)| lines).copied().collect();
                    self.stream(stream, &Beside::new(&others), before, &mut course);
                }
                if self.over_lives {
                    before = streams.values().flatten().copied().chain(before).reduce(higher);
                }
            }
        }
        course
    }

    /// One stream of a life, beside the others.
    fn stream<'h>(&self, stream: &[Told<'h>], beside: &Beside<'h>, before: Option<Told<'h>>, course: &mut Course<'h>) {
        let mut highest = before;
        for &told in stream {
            let when = Moment::of(&told.seen);
            let earlier = highest.into_iter().chain(beside.certainly_before(when)).reduce(higher);
            // The same value twice is wrong in whatever order.
            let twin = beside.twin(told).filter(|twin| self.strictly && twin.seen.number < told.seen.number);
            let perhaps = beside.possibly_before(when);
            course.compared += u64::from(earlier.is_some() || perhaps.is_some());
            match (earlier.filter(|earlier| self.is_low(told.value, earlier.value)), perhaps) {
                (Some(from), _) => course.fell(Fall { from, to: told }),
                (None, Some(_)) if twin.is_some() => {
                    twin.into_iter().for_each(|from| course.fell(Fall { from, to: told }));
                }
                (None, Some(from)) if compare(told.value, from.value) == Ordering::Less => {
                    course.perhaps.get_or_insert(Fall { from, to: told });
                }
                _ => {}
            }
            highest = Some(highest.map_or(told, |highest| higher(highest, told)));
        }
    }
}

/// The first of equal ones.
fn higher<'h>(a: Told<'h>, b: Told<'h>) -> Told<'h> {
    if compare(b.value, a.value) == Ordering::Greater { b } else { a }
}

/// The other streams, with the highest value up to any instant.
struct Beside<'h> {
    by_latest: Vec<(RunTime, Told<'h>)>,
    by_earliest: Vec<(RunTime, Told<'h>)>,
    by_value: Vec<Told<'h>>,
}

impl<'h> Beside<'h> {
    fn new(stream: &[Told<'h>]) -> Self {
        let rising = |when: fn(Moment) -> RunTime| {
            let mut rising: Vec<_> = stream.iter().map(|told| (when(Moment::of(&told.seen)), *told)).collect();
            rising.sort_by_key(|(at, told)| (*at, told.seen.number));
            for index in 1..rising.len() {
                rising[index].1 = higher(rising[index - 1].1, rising[index].1);
            }
            rising
        };
        let mut by_value = stream.to_vec();
        by_value.sort_by(|a, b| compare(a.value, b.value).then(a.seen.number.cmp(&b.seen.number)));
        Self { by_latest: rising(|when| when.latest), by_earliest: rising(|when| when.earliest), by_value }
    }

    /// The highest of what was written before, in any case.
    fn certainly_before(&self, when: Moment) -> Option<Told<'h>> {
        let end = self.by_latest.partition_point(|(latest, _)| *latest < when.earliest);
        Some(self.by_latest[end.checked_sub(1)?].1)
    }

    /// The highest of what may have been written before.
    fn possibly_before(&self, when: Moment) -> Option<Told<'h>> {
        let end = self.by_earliest.partition_point(|(earliest, _)| *earliest <= when.latest);
        Some(self.by_earliest[end.checked_sub(1)?].1)
    }

    /// The first with the same value.
    fn twin(&self, of: Told<'h>) -> Option<Told<'h>> {
        let at = self.by_value.partition_point(|told| compare(told.value, of.value) == Ordering::Less);
        self.by_value.get(at).filter(|told| compare(told.value, of.value) == Ordering::Equal).copied()
    }
}
