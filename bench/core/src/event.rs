//! A line of a node's output that means something: who said it, what it says, where it stands.
//!
//! A run may see millions of them and holds all in memory, so an event is small: what it has in common with others is shared
//! ([`Shape`]), and one value needs no memory of its own.

use std::cmp::Ordering;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::observation::{Life, Name};

/// What all events have in common that one stream of one life says in the same way.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shape {
    /// The event's name in the scenario.
    pub name: Name,
    /// Who said it.
    pub of: Life,
    /// In which of its outputs.
    pub output: Output,
    /// The fields that the line holds, in the order of the event's definition.
    fields: Box<[Name]>,
}

/// Where a program writes lines.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Output {
    /// Standard output.
    #[default]
    Stdout,
    /// Standard error.
    Stderr,
    /// A file that is followed: its path in the data directory.
    File(Name),
}

/// Where lines come from in a known order: one output of one life. The order of lines of different ones is only as good as their times.
pub type Source<'a> = (&'a Life, &'a Output);

/// A line matched an event pattern. What it shares with others ([`Shape`]) is read as if it were its own: `event.name`, `event.of`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The named fields, in the order of the event's definition.
    pub fields: Fields,
    /// The line was written at most this long before `at`, and not after it.
    pub uncertainty: Nanos,
    /// Where the line stands.
    pub log: LogLine,
}

impl Deref for Event {
    type Target = Shape;
    fn deref(&self) -> &Shape {
        &self.fields.shape
    }
}

impl Event {
    /// What was said on standard output at an instant that is known, without a line to point to.
    pub fn new(name: impl Into<Name>, of: Life, fields: Vec<(Name, Value)>) -> Self {
        let fields = Fields::unshared(name, of, Output::Stdout, fields);
        Self { fields, uncertainty: Nanos(0), log: LogLine::default() }
    }

    /// Which output its line stood in.
    pub fn source(&self) -> Source<'_> {
        (&self.of, &self.output)
    }

    /// The value of a field; none if the line did not hold it (a group of the pattern that took no part).
    pub fn field(&self, name: &str) -> Option<&Value> {
        self.fields.iter().find(|(field, _)| &***field == name).map(|(_, value)| value)
    }

    /// Gives texts that were seen before the memory of those, and says how many bytes it takes beside its own size, roughly.
    pub(crate) fn settle(&mut self, words: &mut Words) -> usize {
        let values = self.fields.values.as_mut_slice().iter_mut();
        let texts = values.map(|value| value.settle(words)).sum::<usize>();
        self.fields.values.heap_bytes() + texts + self.log.text.len()
    }
}

/// The fields of an event: names that are shared with others, and values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fields {
    shape: Arc<Shape>,
    values: Values,
}

impl Fields {
    /// Of an event that shares nothing with others; where there are many, [`Shapes`] makes them.
    pub fn unshared(name: impl Into<Name>, of: Life, output: Output, fields: Vec<(Name, Value)>) -> Self {
        let shape = Arc::new(Shape::new(name.into(), of, output, &fields));
        Self { shape, values: Values::of(fields.into_iter().map(|(_, value)| value).collect()) }
    }

    /// What the event shares with others.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Each with its name, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&Name, &Value)> + ExactSizeIterator {
        self.shape.fields.iter().zip(self.values.as_slice())
    }

    /// True if the line holds none.
    pub fn is_empty(&self) -> bool {
        self.shape.fields.is_empty()
    }
}

/// As many as there are fields; most events have one.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Values {
    One(Value),
    Many(Box<[Value]>),
}

impl Values {
    fn of(values: Vec<Value>) -> Self {
        match <[Value; 1]>::try_from(values) {
            Ok([value]) => Self::One(value),
            Err(values) => Self::Many(values.into()),
        }
    }

    fn as_slice(&self) -> &[Value] {
        match self {
            Self::One(value) => std::slice::from_ref(value),
            Self::Many(values) => values,
        }
    }

    fn as_mut_slice(&mut self) -> &mut [Value] {
        match self {
            Self::One(value) => std::slice::from_mut(value),
            Self::Many(values) => values,
        }
    }

    fn heap_bytes(&self) -> usize {
        match self {
            Self::One(_) => 0,
            Self::Many(values) => size_of_val::<[Value]>(values),
        }
    }
}

/// Makes events, those of one shape with the same [`Shape`].
///
/// It forgets where two shapes meet in one slot, which costs a little memory and nothing else.
#[derive(Debug, Default)]
pub struct Shapes(Vec<Option<Arc<Shape>>>);

impl Shapes {
    const SLOTS: usize = 256;

    /// The fields of an event that a life said, with everything that it shares with others.
    pub fn fields(&mut self, name: &Name, of: &Life, output: &Output, fields: Vec<(Name, Value)>) -> Fields {
        if self.0.is_empty() {
            self.0 = vec![None; Self::SLOTS];
        }
        let slot = &mut self.0[slot(name, of, output, &fields)];
        let shape = match slot {
            Some(shape) if shape.is(name, of, output, &fields) => Arc::clone(shape),
            _ => Arc::clone(slot.insert(Arc::new(Shape::new(name.clone(), of.clone(), output.clone(), &fields)))),
        };
        Fields { shape, values: Values::of(fields.into_iter().map(|(_, value)| value).collect()) }
    }
}

/// Short texts that were seen lately: words of a log come again and again.
#[derive(Debug, Clone, Default)]
pub(crate) struct Words(Vec<Option<Name>>);

impl Words {
    const SLOTS: usize = 1024;
    /// Longer texts are messages, and nearly always new.
    const BYTES_MAX: usize = 32;

    /// The same text as it was seen before; remembers it if it was not.
    fn seen(&mut self, text: &Name) -> Option<Name> {
        if text.len() > Self::BYTES_MAX {
            return None;
        }
        if self.0.is_empty() {
            self.0 = vec![None; Self::SLOTS];
        }
        let hash = text.bytes().fold(FNV, |hash, byte| mix(hash, u64::from(byte)));
        let slot = &mut self.0[(hash >> 32) as usize % Self::SLOTS];
        match slot {
            Some(seen) if **seen == **text => Some(Arc::clone(seen)),
            _ => {
                *slot = Some(Arc::clone(text));
                None
            }
        }
    }
}

/// FNV-1a: names are short, and nobody gains by making them meet.
const FNV: u64 = 0xcbf2_9ce4_8422_2325;

fn mix(hash: u64, number: u64) -> u64 {
    (hash ^ number).wrapping_mul(0x0000_0100_0000_01b3)
}

/// A hash over what the shape's names have in their first bytes and lengths: where two meet, memory is lost and nothing else.
fn slot(name: &str, of: &Life, output: &Output, fields: &[(Name, Value)]) -> usize {
    let output = match output {
        Output::Stdout => 0,
        Output::Stderr => 1,
        Output::File(path) => path.len() as u64,
    };
    let mut hash = mix(mix(FNV, u64::from(of.life)), output);
    for text in [name, &*of.node, &*of.process].into_iter().chain(fields.iter().map(|(field, _)| &**field)) {
        let bytes = text.bytes().take(2).chain(text.bytes().rev().take(4));
        hash = bytes.fold(mix(hash, text.len() as u64), |hash, byte| mix(hash, u64::from(byte)));
    }
    (hash >> 32) as usize % Shapes::SLOTS
}

impl Shape {
    fn new(name: Name, of: Life, output: Output, fields: &[(Name, Value)]) -> Self {
        Self { name, of, output, fields: fields.iter().map(|(field, _)| field.clone()).collect() }
    }

    fn is(&self, name: &str, of: &Life, output: &Output, fields: &[(Name, Value)]) -> bool {
        let names = fields.iter().map(|(field, _)| field);
        *self.name == *name && self.of == *of && self.output == *output && self.fields.iter().eq(names)
    }
}

/// A length of time in nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Nanos(pub u64);

impl From<Nanos> for Duration {
    fn from(nanos: Nanos) -> Self {
        Self::from_nanos(nanos.0)
    }
}

/// A pointer to a line of captured output.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogLine {
    /// Byte offset of the line's start in the raw file of its life and stream.
    pub offset: u64,
    /// Line number, from 1, in the node's readable `<node>_log.txt`.
    pub line: u64,
    /// The line as people read it: lossy UTF-8, control characters escaped, cut after 400 characters. Empty where a history holds so many
    /// lines that it does not keep their texts; the stored history has them all.
    pub text: Box<str>,
}

/// A field's value, typed by the event's definition. Ordered, so that values can be keys: by type, then by value (floats by
/// [`f64::total_cmp`]).
#[derive(Debug, Clone)]
pub enum Value {
    /// `"int"`
    Int(i64),
    /// `"float"`
    Float(f64),
    /// `"text"`
    Text(Name),
    /// `"node"`: a node of the scenario, by name or alias.
    Node(Name),
    /// `"nodes"`: a list of nodes as the log wrote it, split at commas and spaces.
    Nodes(Vec<Name>),
}

impl Ord for Value {
    fn cmp(&self, other: &Self) -> Ordering {
        let kind = |value: &Self| match value {
            Self::Int(_) => 0,
            Self::Float(_) => 1,
            Self::Text(_) => 2,
            Self::Node(_) => 3,
            Self::Nodes(_) => 4,
        };
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => a.cmp(b),
            (Self::Float(a), Self::Float(b)) => a.total_cmp(b),
            (Self::Text(a), Self::Text(b)) | (Self::Node(a), Self::Node(b)) => a.cmp(b),
            (Self::Nodes(a), Self::Nodes(b)) => a.cmp(b),
            _ => kind(self).cmp(&kind(other)),
        }
    }
}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Value {}

impl fmt::Display for Value {
    /// As the log had it; lists with commas.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(value) => value.fmt(f),
            Self::Float(value) => value.fmt(f),
            Self::Text(value) | Self::Node(value) => value.fmt(f),
            Self::Nodes(nodes) => nodes.iter().enumerate().try_for_each(|(i, node)| {
                let comma = if i == 0 { "" } else { "," };
                write!(f, "{comma}{node}")
            }),
        }
    }
}

impl Value {
    /// Shares its text, if it was seen before; the bytes that it takes beside its own size.
    fn settle(&mut self, words: &mut Words) -> usize {
        match self {
            // Names of nodes are shared.
            Self::Int(_) | Self::Float(_) | Self::Node(_) => 0,
            Self::Text(text) => match words.seen(text) {
                Some(seen) => {
                    *text = seen;
                    0
                }
                None => text.len() + 2 * size_of::<usize>(),
            },
            Self::Nodes(nodes) => size_of_val::<[Name]>(nodes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::{MAIN, Observation};

    fn life(life: u32) -> Life {
        Life { node: "a".into(), process: MAIN.into(), life }
    }

    #[test]
    fn an_observation_is_small() {
        assert!(size_of::<Event>() <= 72, "{}", size_of::<Event>());
        assert!(size_of::<Observation>() <= 96, "{}", size_of::<Observation>());
    }

    #[test]
    fn words_that_come_again_take_no_memory_and_long_texts_their_own() {
        let mut words = Words::default();
        let mut settled = |text: &str| {
            let mut event = Event::new("said", life(1), vec![("x".into(), Value::Text(text.into()))]);
            (event.settle(&mut words), event)
        };
        let long = "a message of a client that is never sent again";
        let (first, again) = (settled("follower"), settled("follower"));
        assert_eq!((first.0, again.0), (24, 0));
        assert_eq!(first.1, again.1);
        assert_eq!((settled(long).0, settled(long).0), (long.len() + 16, long.len() + 16));
    }

    #[test]
    fn events_of_one_shape_share_it_and_others_have_their_own() {
        let mut shapes = Shapes::default();
        let mut fields = |life: &Life, output, fields: &[(&str, i64)]| {
            let fields = fields.iter().map(|(name, value)| (Name::from(*name), Value::Int(*value))).collect();
            shapes.fields(&"said".into(), life, &output, fields)
        };
        let file = Output::File("app.log".into());
        let first = fields(&life(1), Output::Stdout, &[("n", 1)]);
        let others = [
            fields(&life(1), Output::Stdout, &[("n", 2)]),
            fields(&life(2), Output::Stdout, &[("n", 1)]),
            fields(&life(1), Output::Stderr, &[("n", 1)]),
            fields(&life(1), file, &[("n", 1)]),
            fields(&life(1), Output::Stdout, &[("m", 1)]),
            fields(&life(1), Output::Stdout, &[("n", 1), ("m", 2)]),
            fields(&life(1), Output::Stdout, &[]),
        ];
        let shared: Vec<_> = others.iter().map(|other| Arc::ptr_eq(&first.shape, &other.shape)).collect();
        assert_eq!(shared, [true, false, false, false, false, false, false]);
        assert_eq!(first, Fields::unshared("said", life(1), Output::Stdout, vec![("n".into(), Value::Int(1))]));
        let told = |fields: &Fields| fields.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>();
        assert_eq!(told(&others[5]), ["n=1", "m=2"]);
        assert!(others[6].is_empty() && others[6].iter().len() == 0);
    }
}
