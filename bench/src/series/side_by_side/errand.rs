//! What a worker is told, and what it tells: one document to it, lines from it.
//!
//! Both are the same executable, so there is no version: nobody else ever reads this.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dsbench_core::history::History;
use dsbench_core::judgement::Judgement;
use dsbench_core::lines;
use dsbench_core::observation::{Name, Observation};
use dsbench_core::plan::Plan;
use dsbench_core::scenario::Choice;
use dsbench_core::source::Sources;
use serde::{Deserialize, Serialize};

use crate::error::{BenchError, Told};
use crate::load::{self, Source};
use crate::run::{Host, Order, Outcome};
use crate::store::{Keep, RunFile, Store, history_file};

/// One run to be made. With the scenario's text: the file may have changed since it was read.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Errand {
    path: PathBuf,
    /// The files of the scenario, the one that was named first.
    texts: Vec<(Option<Name>, String)>,
    case: Option<String>,
    set: Vec<String>,
    no_faults: bool,
    seed: u64,
    label: String,
    logs: PathBuf,
    keep: Keep,
    pcap: bool,
    jobs: usize,
    /// Every observation is wanted while the run goes on.
    pub(super) is_followed: bool,
}

impl Errand {
    pub(super) fn of(order: &Order, is_followed: bool) -> Self {
        let files = order.source.sources.files().iter();
        Self {
            path: order.source.path.clone(),
            texts: files.map(|file| (file.path.clone(), file.text.clone())).collect(),
            case: order.choice.case.as_deref().map(str::to_owned),
            set: order.set(),
            no_faults: order.choice.without_faults,
            seed: order.plan.seed,
            label: order.label.clone(),
            logs: order.logs.clone(),
            keep: order.keep,
            pcap: order.pcap,
            jobs: order.jobs,
            is_followed,
        }
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("plain data has JSON")
    }

    /// The order as it was.
    pub(super) fn into_order(self) -> Result<Order, BenchError> {
        let mut texts = self.texts.into_iter();
        let mut sources = Sources::of(texts.next().map_or_else(String::new, |(_, text)| text));
        for (path, text) in texts {
            sources.add(path.unwrap_or_default(), text);
        }
        let source = Arc::new(Source::known(self.path, sources));
        let choice = Choice {
            case: self.case.as_deref().map(Name::from),
            overrides: load::overrides(&self.set)?,
            without_faults: self.no_faults,
        };
        let plan = Plan::new(source.scenario(&choice)?, self.seed);
        let (label, logs, keep, pcap, jobs) = (self.label, self.logs, self.keep, self.pcap, self.jobs);
        Ok(Order { source, plan, label, choice, logs, keep, pcap, index: 0, round: 1, jobs, host: Host::Own })
    }
}

/// One thing that a worker tells.
#[derive(Debug)]
pub(super) enum Word {
    /// Something was seen or done.
    Observation(Observation),
    /// So many observations are left out, because nobody took them.
    Missing(u64),
    /// Something for the person who watches.
    Told(String),
    /// The run has a verdict.
    Ended(Box<Ended>),
    /// It could not take place.
    Impossible(Told),
}

/// A run with a verdict, but for what is in its history.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Ended {
    dir: PathBuf,
    file: RunFile,
    judgement: Judgement,
    lost: Vec<Told>,
}

impl Word {
    /// None for what no worker says.
    pub(super) fn read(line: &[u8]) -> Option<Self> {
        let (kind, text) = line.split_first()?;
        let text = std::str::from_utf8(text).ok()?;
        match kind {
            b'o' => lines::read_one(text).ok().map(Self::Observation),
            b'm' => text.parse().ok().map(Self::Missing),
            b't' => serde_json::from_str(text).ok().map(Self::Told),
            b'e' => serde_json::from_str(text).ok().map(Self::Ended),
            b'i' => serde_json::from_str(text).ok().map(Self::Impossible),
            _ => None,
        }
    }

    /// The line of an observation, without its end.
    pub(super) fn observation(observation: &Observation, line: &mut Vec<u8>) {
        line.clear();
        line.push(b'o');
        lines::encode(observation, line);
        line.truncate(line.trim_ascii_end().len());
    }

    pub(super) fn missing(count: u64) -> String {
        format!("m{count}")
    }

    pub(super) fn told(text: &str) -> String {
        said('t', &text)
    }

    pub(super) fn impossible(error: &BenchError) -> String {
        said('i', &Told::of(error))
    }

    pub(super) fn ended(outcome: &Outcome) -> String {
        let ended = Ended {
            dir: outcome.store.dir().to_owned(),
            file: outcome.file.clone(),
            judgement: outcome.judgement,
            lost: outcome.lost.iter().map(Told::of).collect(),
        };
        said('e', &ended)
    }
}

fn said(kind: char, what: &impl Serialize) -> String {
    format!("{kind}{}", serde_json::to_string(what).expect("plain data has JSON"))
}

impl Ended {
    /// The run as the one who made it had it; its history is read from its directory.
    pub(super) fn into_outcome(self, logs: &Path) -> Outcome {
        let Self { dir, file, judgement, lost } = self;
        let store = Store::stored(logs, dir);
        let mut lost: Vec<_> = lost.into_iter().map(BenchError::Told).collect();
        let verdict = file.end.as_ref().map(|end| end.verdict.clone()).expect("a run that has ended has a verdict");
        let history = match history_file::read(&store.history_path()) {
            Ok(recorded) => {
                let mut history = recorded.history;
                history_file::tell_texts(&mut history, &verdict, &store.history_path());
                history
            }
            Err(error) => {
                lost.push(error);
                History::default()
            }
        };
        Outcome { store, file, history, verdict, judgement, lost, was_kept: false }
    }
}
