//! What a seed makes of a workload: which operation comes when, from whom, with what.
//!
//! Everything follows from the seed, the client and the number of the operation among those of its client, each from a stream of its own:
//! one more client, one more operation or another weight moves as little as possible. For whom it is when its time has come follows from
//! the cluster, and is recorded.

mod acknowledged;
mod pace;
#[cfg(test)]
mod tests;
mod words;

use std::ops::Range;
use std::time::Duration;

pub use self::acknowledged::Acknowledged;
use crate::cluster::ClusterState;
use crate::observation::Name;
use crate::operation::Datum;
use crate::random::{Keyed, raffle};
use crate::scenario::{GoesTo, Op, Pace, Values, Workload};
use crate::target::{Aim, Eligible, EmptyTarget, Target};

/// The first value. All have ten digits, so that none is a part of another where a log is searched for them, and fit into 32 bits.
const FIRST_VALUE: u64 = 1_000_000_001;
/// The first value of operations that steps call.
const FIRST_CALLED: u64 = 2_000_000_001;
/// The last of these.
const LAST_CALLED: u64 = i32::MAX as u64;

/// No client has more operations than this.
const MOST_TURNS: u64 = 1 << 40;

/// The operations of a workload under a seed.
#[derive(Debug, Clone, Copy)]
pub struct Generator<'w> {
    workload: &'w Workload,
    seed: u64,
    /// Its place among the workloads of the scenario, and how many there are: no two write the same.
    place: (u64, u64),
}

/// An operation that is to be performed.
#[derive(Debug, Clone)]
pub struct Drawn<'w> {
    /// Its number within the workload, from 0: that of its time.
    pub serial: u64,
    /// Its client, from 0.
    pub client: usize,
    /// How long after the beginning it is due.
    pub due: Duration,
    /// What it is.
    pub op: &'w Op,
    /// The key that it is about.
    pub key: Option<Datum>,
    /// What it writes.
    pub value: Option<Datum>,
}

impl<'w> Generator<'w> {
    /// What this seed makes of a workload, by its index among all of the scenario.
    pub fn new(workloads: &'w [Workload], index: usize, seed: u64) -> Option<Self> {
        let workload = workloads.get(index)?;
        Some(Self { workload, seed, place: (index as u64, workloads.len() as u64) })
    }

    /// The workload.
    pub fn workload(&self) -> &'w Workload {
        self.workload
    }

    /// The operation of a client with this number among its own, from 0. None if there are not so many, or no more values.
    pub fn operation(&self, client: usize, turn: u64) -> Option<Drawn<'w>> {
        let workload = self.workload;
        // The operations that are due one after the other are of one client after the other.
        let serial = turn.checked_mul(workload.clients.len() as u64)?.checked_add(client as u64)?;
        if workload.count.is_some_and(|count| serial >= count) || !self.has_value(serial) {
            return None;
        }
        let due = workload.pace.due(serial)?;
        if workload.duration.is_some_and(|duration| due >= duration) {
            return None;
        }
        let entries = workload.ops.iter().map(|op| (&*op.name, op.weight));
        let op = workload.ops.get(raffle(self.seed, &self.stream("op", client), turn, entries)?)?;
        let number = |purpose: &str, of: u64| {
            let drawn = Keyed::indexed(self.seed, &self.stream(purpose, client), turn).below(of);
            Datum::Int(i64::try_from(drawn + 1).unwrap_or(i64::MAX))
        };
        let key = op.has_key.then(|| number("key", workload.keys));
        let value = op.has_value.then(|| match workload.values {
            Values::Unique => self.unique(FIRST_VALUE..FIRST_CALLED, serial),
            Values::UpTo(most) => Some(number("value", most)),
        });
        let value = match value {
            Some(value) => Some(value?),
            None => None,
        };
        Some(Drawn { serial, client, due, op, key, value })
    }

    /// How many operations of a client are due within this time of the beginning, at the most.
    pub fn due_within(&self, client: usize, time: Duration) -> u64 {
        if self.workload.pace == Pace::AsAnswersCome {
            return 0;
        }
        let clients = self.workload.clients.len() as u64;
        let is_due = |turn: u64| {
            let serial = turn.saturating_mul(clients).saturating_add(client as u64);
            let is_asked = self.workload.count.is_none_or(|count| serial < count) && self.has_value(serial);
            let due = self.workload.pace.due(serial).filter(|_| is_asked);
            due.is_some_and(|due| due <= time && self.workload.duration.is_none_or(|duration| due < duration))
        };
        // Times never go back: the first that is not due is found by halves.
        let (mut low, mut high) = (0_u64, MOST_TURNS);
        while low < high {
            let middle = low + (high - low) / 2;
            (low, high) = if is_due(middle) { (middle + 1, high) } else { (low, middle) };
        }
        low
    }

    /// What an operation takes that a step calls, by its number among all of the workload that were called before.
    pub fn called(&self, op: &Op, number: u64) -> (Option<Datum>, Option<Datum>) {
        let drawn = |purpose: &str, of: u64| {
            let drawn = Keyed::indexed(self.seed, &format!("workload/{}/call/{purpose}", self.workload.name), number);
            Datum::Int(i64::try_from(drawn.clone().below(of) + 1).unwrap_or(i64::MAX))
        };
        let key = op.has_key.then(|| drawn("key", self.workload.keys));
        let value = op.has_value.then(|| match self.workload.values {
            // A scenario has not as many steps as there are values.
            Values::Unique => self.unique(FIRST_CALLED..LAST_CALLED + 1, number).unwrap_or(Datum::Int(i64::MAX)),
            Values::UpTo(most) => drawn("value", most),
        });
        (key, value)
    }

    /// What stands for the number of an operation that a step calls: no other has it.
    pub fn serial_of_call(&self, number: u64) -> u64 {
        FIRST_CALLED.saturating_add(number)
    }

    /// For whom an operation is that a step calls without saying so.
    ///
    /// # Errors
    ///
    /// Why it is for nobody, in people's words.
    pub fn aim_of_call(&self, cluster: &ClusterState, random: &mut Keyed) -> Result<Aim, String> {
        match &self.workload.target {
            GoesTo::Each(nodes) => {
                let own = random.choose(nodes).map(|node| Aim { node: node.clone(), process: None });
                own.ok_or_else(|| "there is no node".to_owned())
            }
            GoesTo::Target(target) => one_of(target, cluster, random),
        }
    }

    /// A value that no other operation writes; none if there are not so many.
    fn unique(&self, of: Range<u64>, serial: u64) -> Option<Datum> {
        let (index, count) = self.place;
        let value = serial.checked_mul(count)?.checked_add(index)?.checked_add(of.start)?;
        (value < of.end).then(|| i64::try_from(value).ok().map(Datum::Int)).flatten()
    }

    /// True if there is a value for the operation of this number.
    fn has_value(&self, serial: u64) -> bool {
        let takes_one = self.workload.values == Values::Unique && self.workload.ops.iter().any(|op| op.has_value);
        !takes_one || self.unique(FIRST_VALUE..FIRST_CALLED, serial).is_some()
    }

    /// All operations in the order in which they are due.
    pub fn operations(self) -> impl Iterator<Item = Drawn<'w>> {
        let clients = self.workload.clients.len() as u64;
        (0_u64..).map_while(move |serial| {
            let client = usize::try_from(serial % clients.max(1)).ok()?;
            self.operation(client, serial / clients.max(1))
        })
    }

    /// For whom an operation is now.
    ///
    /// # Errors
    ///
    /// Why it is for nobody, in people's words.
    pub fn aim(&self, client: usize, turn: u64, cluster: &ClusterState) -> Result<Aim, String> {
        match &self.workload.target {
            GoesTo::Each(nodes) => {
                let own = nodes.get(client % nodes.len().max(1));
                let aim = |node: &Name| Aim { node: node.clone(), process: None };
                own.map(aim).ok_or_else(|| "there is no node".to_owned())
            }
            GoesTo::Target(target) => {
                let mut random = Keyed::indexed(self.seed, &self.stream("target", client), turn);
                one_of(target, cluster, &mut random)
            }
        }
    }

    fn stream(&self, purpose: &str, client: usize) -> String {
        format!("workload/{}/{}/{purpose}", self.workload.name, client + 1)
    }
}

/// One of whom a target means: of those that are up, if any is.
fn one_of(target: &Target, cluster: &ClusterState, random: &mut Keyed) -> Result<Aim, String> {
    let nobody = |empty: EmptyTarget| match *target == Target::all() {
        true => "no node is up".to_owned(),
        false => empty.to_string(),
    };
    let aims = target.resolve(cluster, Eligible::Up, random).map_err(nobody)?;
    let up: Vec<&Aim> = aims.iter().filter(|aim| cluster.is_up(&aim.node)).collect();
    let from = if up.is_empty() { aims.iter().collect() } else { up };
    random.choose(&from).map(|aim| (*aim).clone()).ok_or_else(|| format!("`{target}` is nobody at this moment"))
}
