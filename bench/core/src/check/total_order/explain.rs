//! What is told of a violation: which nodes, which messages, and what came instead of what.

use std::collections::{BTreeMap, BTreeSet};

use super::cycle::Edge;
use super::{Delivery, Told, TotalOrder};
use crate::check::delivery::{Break, Place, line};
use crate::history::History;
use crate::observation::{Life, Name};

/// A way in which there is no such sequence.
#[derive(Debug, Clone)]
pub(super) enum Fault {
    /// A life delivers a message twice.
    Again { number: u64, message: u32 },
    /// Two lines deliver different messages after the same one, or first.
    Fork { from: Option<u32>, one: u64, other: u64 },
    /// Two lines deliver the same message, each after another one.
    Meet { one: u64, other: u64 },
    /// A life goes on with a message that does not come next after the highest that its node had told.
    Skip { from: u32, to: u64 },
    /// Following what is delivered after what leads back.
    Cycle(Vec<Edge>),
    /// Two messages at one place.
    TwoMessages { place: i64, one: u64, other: u64 },
    /// Two places of one message.
    TwoPlaces { message: u32, one: u64, other: u64 },
    /// Places that are left out, or come again.
    Broken(Break),
}

impl Fault {
    /// The line by which it came to be one.
    pub(super) fn number(&self) -> u64 {
        match self {
            Self::Again { number, .. } | Self::Skip { to: number, .. } => *number,
            Self::Fork { one, other, .. } | Self::Meet { one, other } => *one.max(other),
            Self::TwoMessages { one, other, .. } | Self::TwoPlaces { one, other, .. } => *one.max(other),
            Self::Cycle(edges) => edges.iter().map(|edge| edge.number).max().unwrap_or_default(),
            Self::Broken(broken) => broken.number(),
        }
    }
}

/// One line for people, and the lines that show it.
pub(super) fn explain(
    fault: &Fault,
    check: &TotalOrder,
    told: &Told<'_>,
    deliveries: &[Vec<Delivery>],
    history: &History,
) -> (String, Vec<u64>) {
    let book = Book { check, told, deliveries, history };
    match fault {
        Fault::Again { number, message } => book.again(*number, *message),
        Fault::Fork { from, one, other } => book.fork(*from, *one, *other),
        Fault::Meet { one, other } => book.meet(*one, *other),
        Fault::Skip { from, to } => book.skip(*from, *to),
        Fault::Cycle(edges) => book.cycle(edges),
        Fault::TwoMessages { place, one, other } => {
            let (position, view) = (book.position(), book.view_of(*other));
            let (a, b) = (book.says(*one), book.says(*other));
            (format!("{position} {place}{view}: {a}, {b}"), vec![*one, *other])
        }
        Fault::TwoPlaces { message, one, other } => {
            let place = |number: u64| {
                let at = line(history, number).and_then(|seen| super::int(seen.what, check.position.as_ref()?));
                format!("{} at {}", at.unwrap_or_default(), book.node(number))
            };
            let (name, position) = (told.name(*message), book.position());
            let summary = format!("{name} has {position} {} and {}", place(*one), place(*other));
            (summary, vec![*one, *other])
        }
        Fault::Broken(broken) => book.broken(broken),
    }
}

struct Book<'b, 'h> {
    check: &'b TotalOrder,
    told: &'b Told<'h>,
    deliveries: &'b [Vec<Delivery>],
    history: &'h History,
}

impl<'h> Book<'_, 'h> {
    fn life(&self, number: u64) -> Option<&'h Life> {
        line(self.history, number).map(|seen| &seen.what.of)
    }

    fn node(&self, number: u64) -> &'h str {
        self.life(number).map_or("", |of| &*of.node)
    }

    fn position(&self) -> &Name {
        self.check.position.as_ref().unwrap_or(&self.check.message)
    }

    /// The deliveries of the run in which a line stands, all in its view, and the line's place among them.
    fn run(&self, number: u64) -> (Vec<Delivery>, usize) {
        let by_number = |of: &Delivery| of.number == number;
        let Some((of_node, meant)) =
            self.deliveries.iter().find_map(|of_node| Some((of_node, of_node.iter().find(|it| by_number(it))?)))
        else {
            return (Vec::new(), 0);
        };
        let same = |of: &&Delivery| of.run == meant.run && of.view == meant.view;
        let run: Vec<Delivery> = of_node.iter().filter(same).copied().collect();
        let at = run.iter().position(by_number).unwrap_or_default();
        (run, at)
    }

    fn view_of(&self, number: u64) -> String {
        let (run, at) = self.run(number);
        run.get(at).map(|delivery| self.told.of_view(delivery.view)).unwrap_or_default()
    }

    fn message(&self, number: u64) -> String {
        let (run, at) = self.run(number);
        run.get(at).map(|delivery| self.told.name(delivery.message).to_string()).unwrap_or_default()
    }

    /// `peer1 delivered m7`
    fn says(&self, number: u64) -> String {
        format!("{} delivered {}", self.node(number), self.message(number))
    }

    fn again(&self, number: u64, message: u32) -> (String, Vec<u64>) {
        let (run, _) = self.run(number);
        let first = run.iter().find(|delivery| delivery.message == message).map_or(number, |first| first.number);
        let (name, view) = (self.told.name(message), self.view_of(number));
        (format!("{} delivered {name} twice{view}", self.node(number)), vec![first, number])
    }

    fn fork(&self, from: Option<u32>, one: u64, other: u64) -> (String, Vec<u64>) {
        let (a, at_a) = self.run(one);
        let (b, at_b) = self.run(other);
        let (a, b) = (a.get(at_a..).unwrap_or_default(), b.get(at_b..).unwrap_or_default());
        let [Some(x), Some(y)] = [a.first(), b.first()] else { return Default::default() };
        let place = |of: &[Delivery], message: u32| of.iter().position(|delivery| delivery.message == message);
        match (place(b, x.message), place(a, y.message)) {
            (Some(x_at_b), Some(y_at_a)) => {
                let (x_name, y_name) = (self.told.name(x.message), self.told.name(y.message));
                let (one_node, other_node) = (self.node(one), self.node(other));
                let view = self.told.of_view(x.view);
                let summary = format!(
                    "{one_node} delivered {x_name} before {y_name}, and {other_node} {y_name} before {x_name}{view}"
                );
                (summary, vec![one, a[y_at_a].number, other, b[x_at_b].number])
            }
            (None, Some(skipped)) => self.left_out(from, other, a, skipped),
            (Some(skipped), None) => self.left_out(from, one, b, skipped),
            (None, None) => {
                let view = self.told.of_view(x.view);
                let after = match from {
                    Some(from) => format!("after {}{view}", self.told.name(from)),
                    None => format!("first{view}"),
                };
                (format!("{after}: {}, {}", self.says(one), self.says(other)), vec![one, other])
            }
        }
    }

    /// A node leaves out the first messages of what another one delivered.
    fn left_out(&self, from: Option<u32>, at: u64, others: &[Delivery], count: usize) -> (String, Vec<u64>) {
        let (had, reached) = (others[0], others[count]);
        let (left_out, reached_name) = (self.told.name(had.message), self.told.name(reached.message));
        let more = match count {
            1 => String::new(),
            count => format!(" and {} more", count - 1),
        };
        let (node, other, view) = (self.node(at), self.node(had.number), self.told.of_view(had.view));
        let summary = match from {
            Some(from) => format!(
                "{node} left out {left_out}{more}{view}: it delivered {reached_name} next after {}, and {other} did not",
                self.told.name(from)
            ),
            None => format!(
                "{node} left out {left_out}{more}{view}: it begins with {reached_name}, and {other} with {left_out}"
            ),
        };
        (summary, vec![had.number, reached.number, at])
    }

    fn meet(&self, one: u64, other: u64) -> (String, Vec<u64>) {
        let before = |number: u64| {
            let (run, at) = self.run(number);
            let before = at.checked_sub(1).and_then(|at| run.get(at));
            let node = self.node(number);
            match before {
                Some(before) => format!("{node} delivered it after {}", self.told.name(before.message)),
                None => format!("{node} began with it"),
            }
        };
        let (name, view) = (self.message(other), self.view_of(other));
        (format!("{name}{view}: {}, {}", before(one), before(other)), vec![one, other])
    }

    fn skip(&self, from: u32, to: u64) -> (String, Vec<u64>) {
        let (node, name, highest) = (self.node(to), self.message(to), self.told.name(from));
        let view = self.view_of(to);
        let last = self.deliveries.iter().filter(|of_node| of_node.iter().any(|of| of.number == to));
        let last = last.flatten().filter(|of| of.message == from && of.number < to).map(|of| of.number).next_back();
        let summary = format!("{node} goes on with {name} after a restart{view}, and had told no more than {highest}");
        (summary, last.into_iter().chain([to]).collect())
    }

    fn cycle(&self, edges: &[Edge]) -> (String, Vec<u64>) {
        // Begin where another life's part begins, so that each life's part is one.
        let runs = self.runs_of(edges);
        let same = |a: &Edge, b: &Edge| runs.get(&a.number) == runs.get(&b.number) && a.number < b.number;
        let count = edges.len();
        let start = (0..count).find(|at| !same(&edges[(at + count - 1) % count], &edges[*at])).unwrap_or(0);
        let turned: Vec<Edge> = edges[start..].iter().chain(&edges[..start]).copied().collect();
        let mut parts: Vec<String> = Vec::new();
        let mut shown = Vec::new();
        const MOST: usize = 4;
        let mut all = 0;
        for part in turned.chunk_by(same) {
            all += 1;
            if parts.len() == MOST {
                continue;
            }
            let (first, last) = (part[0], part[part.len() - 1]);
            let (run, _) = self.run(last.number);
            let from = run.iter().find(|delivery| delivery.message == first.from).map_or(first.number, |of| of.number);
            let (x, y) = (self.told.name(first.from), self.told.name(last.to));
            let node = self.node(last.number);
            parts.push(match parts.is_empty() {
                true => format!("{node} delivered {x} before {y}"),
                false => format!("{node} {x} before {y}"),
            });
            shown.extend([from, last.number]);
        }
        let view = edges.first().map(|edge| self.view_of(edge.number)).unwrap_or_default();
        let summary = match all {
            ..=MOST => join(&parts),
            _ => format!("{}, and so on: {all} such pairs lead back to the first", parts.join(", ")),
        };
        (format!("{summary}{view}"), shown)
    }

    /// In which run each of these lines stands: its node and number.
    fn runs_of(&self, edges: &[Edge]) -> BTreeMap<u64, (usize, u32)> {
        let meant: BTreeSet<u64> = edges.iter().map(|edge| edge.number).collect();
        let all = self.deliveries.iter().enumerate().flat_map(|(node, of)| of.iter().map(move |of| (node, of)));
        all.filter(|(_, of)| meant.contains(&of.number)).map(|(node, of)| (of.number, (node, of.run))).collect()
    }

    fn broken(&self, broken: &Break) -> (String, Vec<u64>) {
        let (position, view) = (self.position(), self.view_of(broken.number()));
        let node = self.node(broken.number());
        match *broken {
            Break::Start { with: Place { number, at }, must } => {
                (format!("{node} begins with {position} {at}{view}, and the order with {must}"), vec![number])
            }
            Break::Gap { from, to, restarted } => {
                let how = if restarted { " after a restart" } else { "" };
                let summary = format!("{node} goes from {position} {} to {}{how}{view}", from.at, to.at);
                (summary, vec![from.number, to.number])
            }
            Break::Back { from, to } if from.at == to.at => {
                (format!("{node} delivered {position} {} twice{view}", to.at), vec![from.number, to.number])
            }
            Break::Back { from, to } => (
                format!("{node} goes back from {position} {} to {}{view}", from.at, to.at),
                vec![from.number, to.number],
            ),
        }
    }
}

/// `a, and b`; `a, b, and c`
fn join(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [only] => only.clone(),
        [all @ .., last] => format!("{}, and {last}", all.join(", ")),
    }
}
