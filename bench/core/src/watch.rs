//! Following the history until a condition holds.

use std::collections::BTreeMap;

use crate::cluster::ClusterState;
use crate::condition::{Condition, EventPart, OperationsSeen, Part, Probe, Since, Who};
use crate::observation::{Change, Event, Name, Observation, ProcessChange, StepChange, StepState, What};
use crate::target::Target;

/// Follows the history and says whether a condition holds.
#[derive(Debug, Clone)]
pub struct Watch {
    parts: Vec<Watched>,
}

#[derive(Debug, Clone)]
enum Watched {
    Event(EventPart, Seen),
    Operation(OperationsSeen),
    Probe(Probe, Option<Result<(), String>>),
}

/// What was seen of an event, by node and process.
#[derive(Debug, Clone, Default)]
struct Seen {
    has_begun: bool,
    counts: BTreeMap<(Name, Name), u64>,
    /// For `latest`: the newest occurrence in the current life. It is a state, so it is judged by what the words mean now: a node that
    /// followed the leader before the bench heard of the leader follows the leader.
    newest: BTreeMap<(Name, Name), Event>,
}

impl Watch {
    /// A watch that has seen nothing. Feed it the history from its beginning.
    pub fn new(condition: &Condition) -> Self {
        let watched = |part: &Part| match part {
            Part::Event(event) => {
                let has_begun = event.since == Since::Start;
                Watched::Event(event.clone(), Seen { has_begun, ..Seen::default() })
            }
            Part::Operation(operation) => Watched::Operation(OperationsSeen::new(operation)),
            Part::Probe(probe) => Watched::Probe(probe.clone(), None),
        };
        Self { parts: condition.parts.iter().map(watched).collect() }
    }

    /// Takes in the next observation, with the state of the cluster after it.
    pub fn observe(&mut self, observation: &Observation, state: &ClusterState) {
        for part in &mut self.parts {
            match part {
                Watched::Event(event, seen) => seen.observe(event, observation, state),
                Watched::Operation(seen) => seen.observe(observation, state),
                Watched::Probe(..) => {}
            }
        }
    }

    /// The questions to the world, by index; each is to be asked until [`Self::is_met`].
    pub fn probes(&self) -> impl Iterator<Item = (usize, &Probe)> {
        self.parts.iter().enumerate().filter_map(|(index, part)| match part {
            Watched::Probe(probe, _) => Some((index, probe)),
            Watched::Event(..) | Watched::Operation(_) => None,
        })
    }

    /// The latest answer to a question: the error says what was wrong, for people.
    pub fn answer(&mut self, index: usize, answer: Result<(), String>) {
        if let Some(Watched::Probe(_, latest)) = self.parts.get_mut(index) {
            *latest = Some(answer);
        }
    }

    /// True if all parts hold now.
    pub fn is_met(&self, state: &ClusterState) -> bool {
        self.parts.iter().all(|part| part.missing(state).is_none())
    }

    /// The events that it looks at.
    pub fn events(&self) -> impl Iterator<Item = &Name> {
        self.parts.iter().filter_map(|part| match part {
            Watched::Event(event, _) => Some(&event.event),
            Watched::Probe(..) | Watched::Operation(_) => None,
        })
    }

    /// What does not hold yet, for people; empty if all does.
    pub fn missing(&self, state: &ClusterState) -> String {
        self.parts.iter().filter_map(|part| part.missing(state)).collect::<Vec<_>>().join("; ")
    }
}

impl Watched {
    fn missing(&self, state: &ClusterState) -> Option<String> {
        match self {
            Self::Event(event, seen) => event.missing(seen, state),
            Self::Operation(seen) => seen.missing(),
            Self::Probe(_, Some(Ok(()))) => None,
            Self::Probe(probe, Some(Err(why))) => Some(format!("{probe}: {why}")),
            Self::Probe(probe, None) => Some(format!("{probe} has not answered")),
        }
    }
}

impl Seen {
    fn observe(&mut self, part: &EventPart, observation: &Observation, state: &ClusterState) {
        match &observation.what {
            What::Step(StepChange { step, state: StepState::Begun }) => {
                if matches!(&part.since, Since::Step { index, .. } if index == step) {
                    *self = Self { has_begun: true, ..Self::default() };
                }
            }
            What::Process(ProcessChange { of, change: Change::Started { .. } }) => {
                self.newest.remove(&(of.node.clone(), of.process.clone()));
            }
            What::Event(event) if self.has_begun && event.name == part.event && part.is_about(event) => {
                let by = (event.of.node.clone(), event.of.process.clone());
                if part.is_latest {
                    self.newest.insert(by, event.clone());
                } else if part.filter.admits(event, state) {
                    *self.counts.entry(by).or_default() += 1;
                }
            }
            _ => {}
        }
    }

    fn count(&self, part: &EventPart, node: &Name, target: &Target, state: &ClusterState) -> u64 {
        let of_node = |(by, _): &(&(Name, Name), u64)| by.0 == *node && target.matches_process(&by.0, &by.1, state);
        let newest = self.newest.iter().map(|(by, event)| (by, u64::from(part.filter.admits(event, state))));
        self.counts.iter().map(|(by, count)| (by, *count)).chain(newest).filter(of_node).map(|(_, count)| count).sum()
    }
}

impl EventPart {
    /// True if this occurrence counts, at this state of the cluster.
    pub fn admits(&self, event: &Event, state: &ClusterState) -> bool {
        let (Who::From(who) | Who::Each(who)) = &self.who;
        event.name == self.event
            && self.is_about(event)
            && who.matches_process(&event.of.node, &event.of.process, state)
            && self.filter.admits(event, state)
    }

    fn is_about(&self, event: &Event) -> bool {
        self.process.as_ref().is_none_or(|process| *process == event.of.process)
    }

    fn missing(&self, seen: &Seen, state: &ClusterState) -> Option<String> {
        let (target, nodes) = match &self.who {
            Who::From(target) | Who::Each(target) => (target, target.members(state)),
        };
        let what = format!("{}`{}`{}", if self.is_latest { "newest " } else { "" }, self.event, self.filter);
        let since = format!("since {}", self.since);
        if nodes.is_empty() {
            return Some(format!("no node is `{target}`, so none said {what}"));
        }
        let counts: Vec<(&Name, u64)> =
            nodes.iter().map(|node| (*node, seen.count(self, node, target, state))).collect();
        match self.who {
            Who::From(_) => {
                let total: u64 = counts.iter().map(|(_, count)| count).sum();
                let from = list(nodes.iter().map(|node| &***node));
                (total < self.at_least).then(|| match self.at_least {
                    1 => format!("no {what} from {from} {since}"),
                    wanted => format!("{total} of {wanted} {what} from {from} {since}"),
                })
            }
            Who::Each(_) => {
                let lacking = counts.iter().filter(|(_, count)| *count < self.at_least);
                let lacking: Vec<String> = lacking
                    .map(|(node, count)| match self.at_least {
                        1 => node.to_string(),
                        wanted => format!("{node} ({count} of {wanted})"),
                    })
                    .collect();
                let from = list(lacking.iter().map(String::as_str));
                (!lacking.is_empty()).then(|| format!("no {what} from {from} {since}"))
            }
        }
    }
}

fn list<'n>(names: impl Iterator<Item = &'n str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Role;
    use crate::condition::Origin;
    use crate::diagnostic::Problems;
    use crate::names::{FieldKind, Names};
    use crate::observation::{ActionVerb, MAIN};
    use crate::stage::Stage;
    use crate::stories::Story;
    use crate::table::{Key, Kind, Table, parse_document};

    const KEYS: &[Key] = &[Key::new("wait", Kind::Condition, "The condition.")];

    /// Reads a condition of step 2, before which steps 0 and 1 (`crash`) acted.
    fn parse(condition: &str) -> Result<Condition, String> {
        let text = format!("wait = {condition}");
        let problems = Problems::new();
        let document = parse_document(&text, &problems);
        let mut names = Names::new(&problems);
        for node in ["n1", "n2", "n3"] {
            names.add_node(node, [Name::from(MAIN)]);
        }
        names.add_event("leads", [("term".into(), FieldKind::Int)]);
        names.add_event("follows", [("leader".into(), FieldKind::Node)]);
        names.add_role("leader");
        names.add_step(Stage::Main, None);
        names.add_step(Stage::Main, Some("crash".into()));
        names.add_step(Stage::Main, Some("this".into()));
        let since = Since::Step { index: 1, label: "step 2 (crash)".into() };
        let origin = Origin { since, step: 2 };
        let table = Table::root(&document, KEYS, "a test", &problems);
        let condition = Condition::parse(&table.item("wait").unwrap(), &origin, &names);
        let mistakes: Vec<String> = problems.into_sorted().iter().map(|d| d.code.to_string()).collect();
        condition.filter(|_| mistakes.is_empty()).ok_or_else(|| mistakes.join(" "))
    }

    /// What is missing after a history, told as an expert would.
    fn missing(condition: &str, story: &Story) -> String {
        let nodes: [Name; 3] = ["n1".into(), "n2".into(), "n3".into()];
        let main = [Name::from(MAIN)];
        let mut state = ClusterState::new(nodes.iter().map(|node| (node, &main[..])), &[]);
        let mut watch = Watch::new(&parse(condition).unwrap());
        for observation in story.history.observations() {
            state.observe(observation);
            watch.observe(observation, &state);
        }
        assert_eq!(watch.is_met(&state), watch.missing(&state).is_empty());
        watch.missing(&state)
    }

    /// n1 leads term 1; it is killed in step 1; n2 leads term 2, n3 follows it.
    fn failover() -> Story {
        let mut story = Story::of(&["n1", "n2", "n3"]);
        story.leads("n1", 1).follows("n2", "n1").follows("n3", "n1");
        story.push(What::Step(StepChange { step: 1, state: StepState::Begun }));
        story.kill("n1").leads("n2", 2).follows("n3", "n2");
        story
    }

    #[test]
    fn an_occurrence_counts_from_the_last_step_that_acted() {
        let mut story = Story::of(&["n1", "n2", "n3"]);
        story.leads("n1", 1);
        story.push(What::Step(StepChange { step: 1, state: StepState::Begun })).kill("n1");
        let nobody = "no `leads` from n2, n3 since step 2 (crash)";
        assert_eq!(missing("{ event = \"leads\", from = \"!killed\" }", &story), nobody);
        assert_eq!(missing("{ event = \"leads\", since = \"start\" }", &story), "");
        assert_eq!(missing("{ event = \"leads\", from = \"!killed\" }", &failover()), "");
    }

    #[test]
    fn a_state_is_judged_by_who_leads_now_even_if_the_followers_spoke_first() {
        let role = Role { last: "leads".into(), highest: None, named_by: None, initially: None, name: "leader".into() };
        let nodes: [Name; 3] = ["n1".into(), "n2".into(), "n3".into()];
        let main = [Name::from(MAIN)];
        let mut state = ClusterState::new(nodes.iter().map(|node| (node, &main[..])), &[role]);
        let mut watch = Watch::new(
            &parse("{ latest = \"follows\", each = \"!leader\", where = { leader = \"leader\" } }").unwrap(),
        );
        let mut story = Story::of(&["n1", "n2", "n3"]);
        story.follows("n2", "n1").follows("n3", "n1").leads("n1", 1);
        for observation in story.history.observations() {
            state.observe(observation);
            watch.observe(observation, &state);
        }
        assert_eq!(watch.missing(&state), "");
    }

    #[test]
    fn each_asks_every_one_and_counts_every_one() {
        let each = "{ event = \"follows\", each = [\"n2\", \"n3\"], since = \"start\" }";
        assert_eq!(missing(each, &failover()), "");
        let each = "{ event = \"follows\", each = \"all\", since = \"start\", at_least = 2 }";
        assert_eq!(missing(each, &failover()), "no `follows` from n1 (0 of 2), n2 (1 of 2) since the start");
        let from = "{ event = \"leads\", since = \"start\", at_least = 3 }";
        assert_eq!(missing(from, &failover()), "2 of 3 `leads` from n1, n2, n3 since the start");
    }

    #[test]
    fn nobody_is_never_enough() {
        assert_eq!(
            missing("{ event = \"leads\", each = \"paused\" }", &failover()),
            "no node is `paused`, so none said `leads`"
        );
    }

    #[test]
    fn the_newest_event_of_a_life_is_a_state() {
        let agreed = "{ latest = \"follows\", each = [\"all\", \"!killed\", \"!n2\"], where = { leader = \"n2\" } }";
        assert_eq!(missing(agreed, &failover()), "");
        let mut changed = failover();
        changed.follows("n3", "n1");
        assert_eq!(missing(agreed, &changed), "no newest `follows` where leader = n2 from n3 since the start");
        let mut restarted = failover();
        restarted.kill("n3").restart("n3");
        assert_eq!(missing(agreed, &restarted), "no newest `follows` where leader = n2 from n3 since the start");
    }

    #[test]
    fn all_parts_must_hold_and_probes_are_asked_outside() {
        let condition =
            parse("[{ event = \"leads\", since = \"start\" }, { tcp = \"{n1.ip}:80\" }, { exec = [\"true\"] }]");
        let mut watch = Watch::new(&condition.unwrap());
        let state = ClusterState::new([], &[]);
        assert_eq!(watch.probes().map(|(index, _)| index).collect::<Vec<_>>(), [1, 2]);
        watch.answer(1, Ok(()));
        watch.answer(2, Err("exit 3".to_owned()));
        let missing = watch.missing(&state);
        assert_eq!(missing, "no node is `all`, so none said `leads`; `true`: exit 3");
    }

    #[test]
    fn what_a_condition_cannot_mean_is_refused() {
        assert_eq!(parse("{ event = \"leads\", tcp = \"x:1\" }").unwrap_err(), "DS0104");
        assert_eq!(parse("{ from = \"all\" }").unwrap_err(), "DS0103");
        assert_eq!(parse("{ event = \"leads\", since = \"this\" }").unwrap_err(), "DS0131");
        assert_eq!(parse("{ event = \"leads\", since = \"then\" }").unwrap_err(), "DS0123");
        assert_eq!(parse("{ event = \"leads\", from = \"minority\" }").unwrap_err(), "DS0128");
        assert_eq!(parse("{ event = \"leads\", from = \"all\", each = \"all\" }").unwrap_err(), "DS0104");
        assert_eq!(parse("{ exec = \"a b\" }").unwrap_err(), "DS0110");
        assert_eq!(parse("{ exec = [] }").unwrap_err(), "DS0115");
        assert_eq!(parse("[]").unwrap_err(), "DS0115");
    }

    #[test]
    fn a_bare_name_is_an_event() {
        assert_eq!(missing("\"leads\"", &failover()), "");
        assert_eq!(failover().history.actions().next().map(|action| action.what.verb), Some(ActionVerb::Kill));
    }
}
