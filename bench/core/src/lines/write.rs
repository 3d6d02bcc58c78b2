//! An observation as one JSON object.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::network::Traffic;
use crate::observation::{
    Action, Answer, Change, Event, Fields, Life, LogLine, MAIN, Nanos, NemesisChange, Observation, Output, Phase,
    ProcessChange, Sample, Shape, Stall, StepChange, Value, What,
};
use crate::operation::{Operation, WorkloadChange};
use crate::time::RunTime;

impl Serialize for Observation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut line = Line { n: self.number, t: self.at, ..Line::default() };
        match &self.what {
            What::Run(phase) => line.run = Some(phase),
            What::Process(process) => line.process = Some(process.into()),
            What::Event(event) => line.event = Some(event.into()),
            What::Action(action) => line.action = Some(action),
            What::Operation(operation) => line.operation = Some(operation),
            What::Workload(workload) => line.workload = Some(workload),
            What::Step(step) => line.step = Some(step),
            What::Nemesis(nemesis) => line.nemesis = Some(nemesis),
            What::Sample(sample) => line.sample = Some(sample.into()),
            What::Traffic(traffic) => line.traffic = Some(traffic),
            What::Stall(stall) => line.stall = Some(stall),
            What::Answer(answer) => line.answer = Some(answer),
        }
        line.serialize(serializer)
    }
}

/// One line: exactly one of the options is there.
#[derive(Serialize, Default)]
struct Line<'a> {
    n: u64,
    t: RunTime,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<EventLine<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sample: Option<SampleLine<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    process: Option<ProcessLine<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<&'a Phase>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<&'a Action>,
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<&'a Operation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    workload: Option<&'a WorkloadChange>,
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<&'a StepChange>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nemesis: Option<&'a NemesisChange>,
    #[serde(skip_serializing_if = "Option::is_none")]
    traffic: Option<&'a Traffic>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stall: Option<&'a Stall>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<&'a Answer>,
}

#[derive(Serialize)]
struct EventLine<'a> {
    name: &'a str,
    node: &'a str,
    #[serde(skip_serializing_if = "is_main")]
    process: &'a str,
    life: u32,
    #[serde(skip_serializing_if = "Written::is_empty")]
    fields: Written<&'a Fields>,
    early: Nanos,
    log: LogText<'a>,
}

#[derive(Serialize)]
struct LogText<'a> {
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stderr: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a str>,
    offset: u64,
    line: u64,
    text: &'a str,
}

#[derive(Serialize)]
struct SampleLine<'a> {
    node: &'a str,
    #[serde(skip_serializing_if = "is_main")]
    process: &'a str,
    life: u32,
    cpu: Nanos,
    rss_bytes: u64,
    open_files: u32,
}

#[derive(Serialize)]
struct ProcessLine<'a> {
    node: &'a str,
    #[serde(skip_serializing_if = "is_main")]
    process: &'a str,
    life: u32,
    change: &'a Change,
}

fn is_main(process: &&str) -> bool {
    *process == MAIN
}

impl<'a> From<&'a Event> for EventLine<'a> {
    fn from(event: &'a Event) -> Self {
        let Shape { name, of: Life { node, process, life }, output, .. } = &**event;
        let Event { fields, uncertainty, log: LogLine { offset, line, text } } = event;
        let file = if let Output::File(path) = output { Some(&**path) } else { None };
        let log = LogText { stderr: *output == Output::Stderr, file, offset: *offset, line: *line, text };
        Self { name, node, process, life: *life, fields: Written(fields), early: *uncertainty, log }
    }
}

impl<'a> From<&'a Sample> for SampleLine<'a> {
    fn from(Sample { of, cpu, rss_bytes, open_files }: &'a Sample) -> Self {
        let Life { node, process, life } = of;
        Self { node, process, life: *life, cpu: *cpu, rss_bytes: *rss_bytes, open_files: *open_files }
    }
}

impl<'a> From<&'a ProcessChange> for ProcessLine<'a> {
    fn from(ProcessChange { of, change }: &'a ProcessChange) -> Self {
        let Life { node, process, life } = of;
        Self { node, process, life: *life, change }
    }
}

/// As it stands in a line.
struct Written<T>(T);

/// The fields of an event, in their order.
impl Written<&Fields> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Written<&Fields> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (&**name, Written(value))))
    }
}

impl Serialize for Written<&Value> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        fn tagged<S: Serializer>(serializer: S, tag: &str, value: impl Serialize) -> Result<S::Ok, S::Error> {
            let mut map = serializer.serialize_map(Some(1))?;
            map.serialize_entry(tag, &value)?;
            map.end()
        }
        match self.0 {
            Value::Int(value) => serializer.serialize_i64(*value),
            Value::Float(value) if value.is_finite() => serializer.serialize_f64(*value),
            // JSON has no number for these.
            Value::Float(value) => tagged(serializer, "float", value.to_string()),
            Value::Text(text) => serializer.serialize_str(text),
            Value::Node(node) => tagged(serializer, "node", node),
            Value::Nodes(nodes) => tagged(serializer, "nodes", nodes),
        }
    }
}
