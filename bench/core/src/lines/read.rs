//! One JSON object as an observation.
//!
//! Each part is built where it is read, with its names shared through [`Symbols`]: a struct in between, or serde's own tagged enums (which
//! copy a whole line before they look at its tag), would take longer than all checks together.

use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::observation::{
    Change, Event, Life, LogLine, MAIN, Name, Nanos, Observation, Output, ProcessChange, Sample, Shapes, Value, What,
};
use crate::operation::Operation;
use crate::time::RunTime;

/// Reads one line; the error says what is wrong with it.
pub(super) fn read_line(text: &str, symbols: &mut Symbols) -> Result<Observation, String> {
    let mut parser = serde_json::Deserializer::from_str(text);
    let line = LineOf(symbols).deserialize(&mut parser).and_then(|line| parser.end().map(|()| line));
    // The parser counts lines within this one line.
    line.map_err(|error| error.to_string().replace(" at line 1 column ", " at column "))
}

/// Gives equal names the same memory: a history repeats a few names a million times. It forgets where two names meet in one slot, which
/// costs a little memory and nothing else.
#[derive(Debug)]
pub(super) struct Symbols {
    names: Vec<Option<Name>>,
    shapes: Shapes,
}

impl Default for Symbols {
    fn default() -> Self {
        Self { names: vec![None; 1024], shapes: Shapes::default() }
    }
}

impl Symbols {
    fn name(&mut self, text: &str) -> Name {
        // FNV-1a: names are short, and nobody gains by making them meet.
        let hash = text
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
        let slot = &mut self.names[(hash >> 32) as usize % 1024];
        match slot {
            Some(name) if **name == *text => Arc::clone(name),
            _ => Arc::clone(slot.insert(text.into())),
        }
    }
}

impl Symbols {
    /// The same operation, with its names shared.
    fn shared(&mut self, operation: Operation) -> Operation {
        let Operation { workload, op, client, node, .. } = &operation;
        let (workload, op, client) = (self.name(workload), self.name(op), self.name(client));
        let node = node.as_ref().map(|node| self.name(node));
        Operation { workload, op, client, node, ..operation }
    }
}

/// An object that is read key by key.
trait Object<'de> {
    type Value;
    const WHAT: &'static str;
    fn read<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error>;
}

/// Makes serde read an [`Object`].
struct Read<O>(O);

impl<'de, O: Object<'de>> DeserializeSeed<'de> for Read<O> {
    type Value = O::Value;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<O::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, O: Object<'de>> Visitor<'de> for Read<O> {
    type Value = O::Value;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(O::WHAT)
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<O::Value, A::Error> {
        self.0.read(map)
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum LineKey {
    N,
    T,
    Event,
    Sample,
    Process,
    Run,
    Action,
    Operation,
    Workload,
    Step,
    Nemesis,
    Traffic,
    Stall,
    Answer,
    #[serde(other)]
    Later,
}

/// A whole line.
struct LineOf<'s>(&'s mut Symbols);

impl LineOf<'_> {
    fn deserialize<'de, D: Deserializer<'de>>(self, deserializer: D) -> Result<Observation, D::Error> {
        Read(self).deserialize(deserializer)
    }
}

impl<'de> Object<'de> for LineOf<'_> {
    type Value = Observation;
    const WHAT: &'static str = "an observation";

    fn read<A: MapAccess<'de>>(self, mut map: A) -> Result<Observation, A::Error> {
        let Self(symbols) = self;
        let (mut number, mut at, mut what) = (None, None::<RunTime>, None);
        while let Some(key) = map.next_key()? {
            let seen = match key {
                LineKey::N => {
                    number = Some(map.next_value()?);
                    continue;
                }
                LineKey::T => {
                    at = Some(map.next_value()?);
                    continue;
                }
                LineKey::Later => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
                LineKey::Event => What::Event(map.next_value_seed(Read(EventOf(symbols)))?),
                LineKey::Sample => What::Sample(map.next_value_seed(Read(SampleOf(symbols)))?),
                LineKey::Process => What::Process(map.next_value_seed(Read(ProcessOf(symbols)))?),
                LineKey::Run => What::Run(map.next_value()?),
                LineKey::Action => What::Action(Box::new(map.next_value()?)),
                LineKey::Operation => What::Operation(Box::new(symbols.shared(map.next_value()?))),
                LineKey::Workload => What::Workload(Box::new(map.next_value()?)),
                LineKey::Step => What::Step(map.next_value()?),
                LineKey::Nemesis => What::Nemesis(map.next_value()?),
                LineKey::Traffic => What::Traffic(Box::new(map.next_value()?)),
                LineKey::Stall => What::Stall(map.next_value()?),
                LineKey::Answer => What::Answer(map.next_value()?),
            };
            if what.replace(seen).is_some() {
                return Err(Error::custom("it holds two observations"));
            }
        }
        let number = number.ok_or_else(|| Error::missing_field("n"))?;
        let at = at.ok_or_else(|| Error::missing_field("t"))?;
        let what = what.ok_or_else(|| Error::custom("it holds no kind of observation that this dsbench knows"))?;
        Ok(Observation { number, at, what })
    }
}

/// The parts of a [`Life`], which stand beside other keys.
#[derive(Default)]
struct LifeParts {
    node: Option<Name>,
    process: Option<Name>,
    life: Option<u32>,
}

impl LifeParts {
    fn whole<E: Error>(self, symbols: &mut Symbols) -> Result<Life, E> {
        Ok(Life {
            node: self.node.ok_or_else(|| E::missing_field("node"))?,
            process: self.process.unwrap_or_else(|| symbols.name(MAIN)),
            life: self.life.ok_or_else(|| E::missing_field("life"))?,
        })
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum EventKey {
    Name,
    Node,
    Process,
    Life,
    Fields,
    Early,
    Log,
    #[serde(other)]
    Later,
}

#[derive(Deserialize)]
struct LogText {
    #[serde(default)]
    stderr: bool,
    #[serde(default)]
    file: Option<String>,
    offset: u64,
    line: u64,
    text: Box<str>,
}

struct EventOf<'s>(&'s mut Symbols);

impl<'de> Object<'de> for EventOf<'_> {
    type Value = Event;
    const WHAT: &'static str = "an event";

    fn read<A: MapAccess<'de>>(self, mut map: A) -> Result<Event, A::Error> {
        let Self(symbols) = self;
        let mut of = LifeParts::default();
        let (mut name, mut early, mut log) = (None, None::<Nanos>, None::<LogText>);
        let mut fields = Vec::new();
        while let Some(key) = map.next_key()? {
            match key {
                EventKey::Name => name = Some(map.next_value_seed(NameOf(symbols))?),
                EventKey::Node => of.node = Some(map.next_value_seed(NameOf(symbols))?),
                EventKey::Process => of.process = Some(map.next_value_seed(NameOf(symbols))?),
                EventKey::Life => of.life = Some(map.next_value()?),
                EventKey::Fields => fields = map.next_value_seed(Read(FieldsOf(symbols)))?,
                EventKey::Early => early = Some(map.next_value()?),
                EventKey::Log => log = Some(map.next_value()?),
                EventKey::Later => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        let LogText { stderr, file, offset, line, text } = log.ok_or_else(|| Error::missing_field("log"))?;
        let name = name.ok_or_else(|| Error::missing_field("name"))?;
        let of = of.whole(symbols)?;
        let output = match (file, stderr) {
            (Some(file), _) => Output::File(symbols.name(&file)),
            (None, true) => Output::Stderr,
            (None, false) => Output::Stdout,
        };
        Ok(Event {
            fields: symbols.shapes.fields(&name, &of, &output, fields),
            uncertainty: early.ok_or_else(|| Error::missing_field("early"))?,
            log: LogLine { offset, line, text },
        })
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum SampleKey {
    Node,
    Process,
    Life,
    Cpu,
    RssBytes,
    OpenFiles,
    #[serde(other)]
    Later,
}

struct SampleOf<'s>(&'s mut Symbols);

impl<'de> Object<'de> for SampleOf<'_> {
    type Value = Sample;
    const WHAT: &'static str = "a sample";

    fn read<A: MapAccess<'de>>(self, mut map: A) -> Result<Sample, A::Error> {
        let Self(symbols) = self;
        let mut of = LifeParts::default();
        let (mut cpu, mut rss_bytes, mut open_files) = (None, None, None);
        while let Some(key) = map.next_key()? {
            match key {
                SampleKey::Node => of.node = Some(map.next_value_seed(NameOf(symbols))?),
                SampleKey::Process => of.process = Some(map.next_value_seed(NameOf(symbols))?),
                SampleKey::Life => of.life = Some(map.next_value()?),
                SampleKey::Cpu => cpu = Some(map.next_value()?),
                SampleKey::RssBytes => rss_bytes = Some(map.next_value()?),
                SampleKey::OpenFiles => open_files = Some(map.next_value()?),
                SampleKey::Later => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        Ok(Sample {
            of: of.whole(symbols)?,
            cpu: cpu.ok_or_else(|| Error::missing_field("cpu"))?,
            rss_bytes: rss_bytes.ok_or_else(|| Error::missing_field("rss_bytes"))?,
            open_files: open_files.ok_or_else(|| Error::missing_field("open_files"))?,
        })
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum ProcessKey {
    Node,
    Process,
    Life,
    Change,
    #[serde(other)]
    Later,
}

struct ProcessOf<'s>(&'s mut Symbols);

impl<'de> Object<'de> for ProcessOf<'_> {
    type Value = ProcessChange;
    const WHAT: &'static str = "a change of a process";

    fn read<A: MapAccess<'de>>(self, mut map: A) -> Result<ProcessChange, A::Error> {
        let Self(symbols) = self;
        let (mut of, mut change) = (LifeParts::default(), None::<Change>);
        while let Some(key) = map.next_key()? {
            match key {
                ProcessKey::Node => of.node = Some(map.next_value_seed(NameOf(symbols))?),
                ProcessKey::Process => of.process = Some(map.next_value_seed(NameOf(symbols))?),
                ProcessKey::Life => of.life = Some(map.next_value()?),
                ProcessKey::Change => change = Some(map.next_value()?),
                ProcessKey::Later => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        let change = change.ok_or_else(|| Error::missing_field("change"))?;
        Ok(ProcessChange { of: of.whole(symbols)?, change })
    }
}

struct FieldsOf<'s>(&'s mut Symbols);

impl<'de> Object<'de> for FieldsOf<'_> {
    type Value = Vec<(Name, Value)>;
    const WHAT: &'static str = "an object of fields";

    fn read<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let Self(symbols) = self;
        // Few events have more; a list that grows by itself would take room for four.
        let mut fields = Vec::with_capacity(2);
        while let Some(name) = map.next_key_seed(NameOf(symbols))? {
            fields.push((name, map.next_value_seed(ValueOf(symbols))?));
        }
        Ok(fields)
    }
}

struct NameOf<'s>(&'s mut Symbols);

impl<'de> DeserializeSeed<'de> for NameOf<'_> {
    type Value = Name;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Name, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for NameOf<'_> {
    type Value = Name;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }
    fn visit_str<E>(self, text: &str) -> Result<Name, E> {
        Ok(self.0.name(text))
    }
}

struct NamesOf<'s>(&'s mut Symbols);

impl<'de> DeserializeSeed<'de> for NamesOf<'_> {
    type Value = Vec<Name>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<Name>, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for NamesOf<'_> {
    type Value = Vec<Name>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of names")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<Name>, A::Error> {
        let mut names = Vec::new();
        while let Some(name) = seq.next_element_seed(NameOf(self.0))? {
            names.push(name);
        }
        Ok(names)
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum ValueKey {
    Node,
    Nodes,
    Float,
}

struct ValueOf<'s>(&'s mut Symbols);

impl<'de> DeserializeSeed<'de> for ValueOf<'_> {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueOf<'_> {
    type Value = Value;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, a text or an object of `node`, `nodes` or `float`")
    }
    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Int(value))
    }
    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        i64::try_from(value).map(Value::Int).map_err(|_| E::custom("the number is too large"))
    }
    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }
    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        // Texts are mostly unique (messages), and a table of them would only cost.
        Ok(Value::Text(text.into()))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let key = map.next_key()?.ok_or_else(|| Error::custom("the value is an empty object"))?;
        let value = match key {
            ValueKey::Node => Value::Node(map.next_value_seed(NameOf(self.0))?),
            ValueKey::Nodes => Value::Nodes(map.next_value_seed(NamesOf(self.0))?),
            ValueKey::Float => {
                let text: String = map.next_value()?;
                Value::Float(text.parse().map_err(|_| Error::custom("`float` is not a number"))?)
            }
        };
        match map.next_key::<IgnoredAny>()? {
            None => Ok(value),
            Some(_) => Err(Error::custom("the value has more than one kind")),
        }
    }
}
