//! What a person can ask of a sensor peer.

use std::collections::{BTreeMap, VecDeque};

use dsbench_protocol::{Event, Sensor, Sequencer};
use dsbench_wire::{NodeId, View};
use serde::Serialize;

use super::options::reading_time;
use crate::cli::group::{self, by_priority, list, view};
use crate::emit::Escaped;
use crate::runtime::{Console, Reply, Saying};
use crate::transport::{Address, Traffic};

const HELP: &str = "\
send TEXT      send TEXT to all peers, in the same order everywhere
status         role, term, leader, view, who is suspected, failed or gone, and how far the log is
view           the members, the one of the highest priority first, and where they are reached
log N          the last N deliveries of this life of the peer [10]
readings TIME  take a reading so often and send it to all; `readings off` ends it
help           this list
quit           leave gracefully, as `leave`, Ctrl-C, Ctrl-D and SIGTERM do";
const COMMANDS: &str = "send, status, view, log, readings, help, leave, quit";

/// Deliveries that `log` remembers.
const REMEMBERED: usize = 100;

/// Answers from what the core knows and from what the log has told, so that a status never contradicts the log.
#[derive(Debug)]
pub(super) struct SensorConsole {
    me: NodeId,
    endpoint: Address,
    trouble: BTreeMap<NodeId, Trouble>,
    deliveries: VecDeque<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    Suspected,
    Failed,
    Left,
}

/// For a program that is no member.
#[derive(Serialize)]
struct Introduction<'a> {
    r#type: &'static str,
    id: &'a NodeId,
    role: &'static str,
    term: u64,
    leader: Option<&'a NodeId>,
    /// Where the leader is reached.
    endpoint: Option<String>,
    delivered: u64,
    seq: u64,
}

impl SensorConsole {
    pub(super) fn new(me: NodeId, endpoint: Address) -> Self {
        Self { me, endpoint, trouble: BTreeMap::new(), deliveries: VecDeque::with_capacity(REMEMBERED) }
    }

    fn status(&self, sensor: &Sensor, traffic: Traffic) -> String {
        let role = group::role(&self.me, sensor);
        let term = sensor.term();
        let leader = sensor.leader().map_or("none", NodeId::as_str);
        let view = view(sensor);
        let id = view.id;
        let members = list(view.members.keys());
        let [suspected, failed, left] =
            [Trouble::Suspected, Trouble::Failed, Trouble::Left].map(|trouble| list(self.in_trouble(trouble)));
        let Traffic { connected, ignored, dropped } = traffic;
        let (last, committed) = (sensor.last().index, sensor.committed());
        let (delivered, seq, open) = (sensor.delivered(), sensor.seq(), sensor.open_requests());
        format!(
            "status role={role} term={term} leader={leader} members={members} suspected={suspected} failed={failed} left={left} \
             connected={connected} ignored={ignored} dropped={dropped} view={id} last={last} \
             committed={committed} delivered={delivered} seq={seq} open={open} orderedPeerList={} groupView={}",
            ordered_peer_list(view),
            group_view(view),
        )
    }

    fn members(&self, sensor: &Sensor) -> String {
        let view = view(sensor);
        let head = format!("view={} orderedPeerList={}", view.id, ordered_peer_list(view));
        group::listed(head, sensor)
    }

    fn log(&self, count: &str) -> String {
        let Ok(count) = (if count.is_empty() { Ok(10) } else { count.parse::<usize>() }) else {
            return "log takes a number: `log 20`".to_owned();
        };
        if self.deliveries.is_empty() {
            return "nothing was delivered in this life of the peer".to_owned();
        }
        let skipped = self.deliveries.len().saturating_sub(count);
        let lines: Vec<&str> = self.deliveries.iter().skip(skipped).map(String::as_str).collect();
        lines.join("\n")
    }

    fn in_trouble(&self, trouble: Trouble) -> impl Iterator<Item = &NodeId> {
        self.trouble.iter().filter(move |(_, is)| **is == trouble).map(|(id, _)| id)
    }
}

impl Console<Sensor> for SensorConsole {
    fn told(&mut self, event: &Event) -> Saying {
        let (peer, trouble) = match event {
            Event::Suspected { peer, .. } => (peer, Trouble::Suspected),
            Event::Failed { peer, .. } => (peer, Trouble::Failed),
            Event::Left { peer, .. } => (peer, Trouble::Left),
            Event::Recovered { peer, .. } => {
                self.trouble.remove(peer);
                return Saying::Plain;
            }
            // Under another leader others are watched, and a suspicion that is not watched means nothing any more.
            Event::BecameLeader { .. } | Event::ReceivedCoordinator { .. } | Event::Follows { .. } => {
                self.trouble.retain(|_, trouble| *trouble != Trouble::Suspected);
                return Saying::Plain;
            }
            Event::ViewChange { view, .. } => {
                self.trouble.retain(|peer, _| view.peer(peer).is_some());
                return Saying::Plain;
            }
            // Without it, nobody could tell why the numbers jump.
            Event::Installed { .. } => return Saying::Sure,
            Event::Delivered { .. } => {
                if self.deliveries.len() == REMEMBERED {
                    self.deliveries.pop_front();
                }
                self.deliveries.push_back(Escaped(&event.to_string()).to_string());
                return Saying::Sure;
            }
            _ => return Saying::Plain,
        };
        self.trouble.insert(peer.clone(), trouble);
        Saying::Plain
    }

    fn command(&self, line: &str, sensor: &Sensor, traffic: Traffic) -> Reply {
        let (command, rest) = line.split_once(' ').unwrap_or((line, ""));
        let rest = rest.trim();
        match command {
            "" => Reply::Nothing,
            "send" if rest.is_empty() => Reply::Answer("send takes what to send: `send hello`".to_owned()),
            "send" => Reply::Request(rest.to_owned()),
            "log" => Reply::Answer(self.log(rest)),
            "readings" if rest == "off" => Reply::Readings(None),
            "readings" => match reading_time(rest) {
                Ok(time) => Reply::Readings(Some(time)),
                Err(error) => Reply::Answer(format!("readings takes a time or off, such as `readings 2s`: {error}")),
            },
            "status" if rest.is_empty() => Reply::Answer(self.status(sensor, traffic)),
            "view" if rest.is_empty() => Reply::Answer(self.members(sensor)),
            "help" if rest.is_empty() => Reply::Answer(HELP.to_owned()),
            "quit" | "leave" if rest.is_empty() => Reply::Leave,
            _ => {
                let unknown: String = line.chars().take(40).collect();
                Reply::Answer(format!("unknown command `{}` (there are: {COMMANDS})", Escaped(&unknown)))
            }
        }
    }

    fn introduction(&self, sensor: &Sensor) -> String {
        let leader = sensor.leader();
        let endpoint = leader.and_then(|leader| {
            if *leader == self.me {
                return Some(self.endpoint.to_string());
            }
            sensor.leader_endpoint().map(ToString::to_string)
        });
        let introduction = Introduction {
            r#type: "STATUS",
            id: &self.me,
            role: group::role(&self.me, sensor),
            term: sensor.term().0,
            leader,
            endpoint,
            delivered: sensor.delivered(),
            seq: sensor.seq(),
        };
        serde_json::to_string(&introduction).expect("an introduction has text keys and plain values only")
    }
}

/// `peer3,peer2,peer1`: who leads if all are alive, and who after it.
fn ordered_peer_list(view: &View) -> String {
    list(by_priority::<Sequencer>(view).into_iter().map(|peer| &peer.id))
}

/// `peer1=127.0.0.1:7001,peer2=127.0.0.1:7002`: where the members are reached.
fn group_view(view: &View) -> String {
    if view.members.is_empty() {
        return "none".to_owned();
    }
    let places: Vec<String> = view.members.values().map(|peer| format!("{}={}", peer.id, peer.endpoint)).collect();
    places.join(",")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use dsbench_protocol::{Change, Config, Founding, Ranking};
    use dsbench_wire::{Peer, Term};

    use super::*;

    fn console() -> (SensorConsole, Sensor) {
        let endpoint: Address = "127.0.0.1:7001".parse().unwrap();
        let sensor = Sensor::new(Config::new(endpoint.clone(), Founding::Bootstrap)).unwrap();
        (SensorConsole::new("peer1".parse().unwrap(), endpoint), sensor)
    }

    fn view(id: u64, peers: usize) -> Event {
        let peer = |n: usize| Peer {
            id: format!("peer{n}").parse().unwrap(),
            endpoint: format!("127.0.0.1:700{n}").parse().unwrap(),
            incarnation: 1,
        };
        let members = (1..=peers).map(peer).map(|peer| (peer.id.clone(), peer)).collect();
        let change = Change::Founded;
        Event::ViewChange {
            view: Arc::new(View { id, members, ..View::default() }),
            ranking: Ranking::Text,
            term: Term(1),
            change,
        }
    }

    const TRAFFIC: Traffic = Traffic { connected: 2, ignored: 1, dropped: 0 };

    #[test]
    fn a_status_agrees_with_what_the_log_told() {
        let (mut console, sensor) = console();
        let [two, three, four] = ["peer2", "peer3", "peer4"].map(|id| id.parse::<NodeId>().unwrap());
        let term = Term(1);
        let told = [
            view(3, 4),
            Event::Suspected { peer: two.clone(), term },
            Event::Suspected { peer: three.clone(), term },
            Event::Failed { peer: three.clone(), term },
            Event::Left { peer: four, term },
        ];
        for event in &told {
            console.told(event);
        }
        assert_eq!(
            console.status(&sensor, TRAFFIC),
            "status role=joining term=0 leader=none members=none suspected=peer2 failed=peer3 left=peer4 \
             connected=2 ignored=1 dropped=0 view=0 last=0 committed=0 delivered=0 seq=0 open=0 \
             orderedPeerList=none groupView=none"
        );
        console.told(&Event::Recovered { peer: three, term });
        console.told(&Event::Follows { leader: two, term });
        let status = console.status(&sensor, TRAFFIC);
        assert!(status.contains("suspected=none failed=none left=peer4"), "{status}");
        console.told(&view(4, 3));
        let status = console.status(&sensor, TRAFFIC);
        assert!(status.contains("left=none"), "who is out of the view is no trouble any more: {status}");
    }

    #[test]
    fn views_are_told_by_priority_and_with_places() {
        let Event::ViewChange { view, .. } = view(4, 3) else { panic!("a view") };
        assert_eq!(ordered_peer_list(&view), "peer3,peer2,peer1");
        assert_eq!(group_view(&view), "peer1=127.0.0.1:7001,peer2=127.0.0.1:7002,peer3=127.0.0.1:7003");
    }

    #[test]
    fn deliveries_are_remembered_and_cannot_forge_a_line() {
        let (mut console, sensor) = console();
        let delivered = |seq: u64, text: &str| Event::Delivered {
            seq,
            term: Term(2),
            index: seq + 1,
            id: "peer1/3".parse().unwrap(),
            view: 1,
            room: None,
            text: text.into(),
        };
        for seq in 1..=150 {
            console.told(&delivered(seq, "hello"));
        }
        console.told(&delivered(151, "a\u{1b}[2J\nDELIVERED"));
        let Reply::Answer(log) = console.command("log 2", &sensor, TRAFFIC) else { panic!("an answer") };
        let lines: Vec<&str> = log.lines().collect();
        assert_eq!(lines.len(), 2, "{log}");
        assert!(lines[0].starts_with("DELIVERED seq=150 ") && lines[1].starts_with("DELIVERED seq=151 "), "{log}");
        assert!(!log.contains('\u{1b}'), "{log}");
    }

    #[test]
    fn what_is_typed_is_a_request_a_setting_or_a_question() {
        let (console, sensor) = console();
        let typed = |line: &str| console.command(line, &sensor, TRAFFIC);
        assert_eq!(typed("send  hello world"), Reply::Request("hello world".to_owned()));
        assert_eq!(typed("readings 2s"), Reply::Readings(Some(std::time::Duration::from_secs(2))));
        assert_eq!(typed("readings off"), Reply::Readings(None));
        assert_eq!((typed("leave"), typed("quit"), typed("")), (Reply::Leave, Reply::Leave, Reply::Nothing));
        for wrong in ["send", "log x", "readings fast", "quit now", "reboot"] {
            assert!(matches!(typed(wrong), Reply::Answer(_)), "{wrong}");
        }
    }
}
