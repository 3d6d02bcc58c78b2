//! The client at work: one node at a time, what is typed, and what is told.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::pin::pin;
use std::time::Duration;

use dsbench_wire::chat::Delivery;
use dsbench_wire::{ClientId, Endpoint, RoomId};
use serde_json::json;
use tokio::time::{Instant, interval, sleep, sleep_until};

use super::asked::{Asked, Style};
use super::connection::{Incoming, Outgoing, dial};
use super::screen::{Screen, Typed};
use super::session::{Backoff, News, Session, Status};
use super::told::{Now, Told};
use super::{ClientError, HELP, NotAll};

/// So often the node is asked how things are.
const ASK_EVERY: Duration = Duration::from_secs(2);
/// A node that says nothing for so long is not there.
const SILENCE: Duration = Duration::from_secs(6);
/// A node that speaks and takes nothing for so long is of no use.
const STUCK: Duration = Duration::from_secs(30);
/// A node that was busy is asked again after this time.
const BUSY_PAUSE: Duration = Duration::from_millis(500);
/// So many answers without a leader, and another node is tried: this one may be cut off from it.
const LEADERLESS: u32 = 4;
/// What is shown on a terminal of what was said before.
const REMEMBERED: usize = 20;
/// What waits for its answer, in bytes. A pipe that has more waits as well.
const KEPT_MAX: usize = 16 << 20;

pub(super) struct Client {
    session: Session,
    room: RoomId,
    style: Style,
    wait: Duration,
    screen: Screen,
    nodes: Vec<Endpoint>,
    /// Which of them is used, or is tried next.
    at: usize,
    /// What it said last, once it has.
    status: Option<Status>,
    leaderless: u32,
    /// On a terminal, before all that was said earlier is known: the end of it.
    recent: Option<VecDeque<Delivery>>,
    /// Of a workload, by the numbers of their messages.
    operations: BTreeMap<u64, u64>,
    not_all: NotAll,
    /// The input has ended; until when to wait for answers.
    ending: Option<Instant>,
}

/// What goes on, or does not.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    On,
    End,
}

/// Why a connection is over.
enum Over {
    Lost {
        reason: String,
        /// For how long the node had been one of a chat.
        was_of_use: Duration,
    },
    End,
}

impl Client {
    pub(super) fn new(
        (name, room): (ClientId, RoomId),
        nodes: Vec<Endpoint>,
        style: Style,
        wait: Duration,
        screen: Screen,
    ) -> Self {
        Self {
            session: Session::new(name),
            room,
            style,
            wait,
            recent: screen.is_terminal().then(VecDeque::new),
            screen,
            nodes,
            at: 0,
            status: None,
            leaderless: 0,
            operations: BTreeMap::new(),
            not_all: NotAll::default(),
            ending: None,
        }
    }

    pub(super) async fn run(mut self) -> Result<(), ClientError> {
        self.prompts();
        if self.screen.is_terminal() {
            self.show("* type to send; /help lists the commands")?;
        }
        let mut backoff = Backoff::new();
        loop {
            let node = self.nodes[self.at].clone();
            let Some(dialled) = self.beside(dial(node.clone())).await? else { return self.ended() };
            let (reason, was_of_use) = match dialled {
                Ok(connection) => match self.talk(connection).await? {
                    Over::Lost { reason, was_of_use } => (reason, was_of_use),
                    Over::End => return self.ended(),
                },
                Err(error) => (why(&error), Duration::ZERO),
            };
            let was_connected = self.status.take().is_some();
            self.at = (self.at + 1) % self.nodes.len();
            let retry = backoff.after(was_of_use, self.nodes.len());
            let next = self.nodes[self.at].clone();
            self.tell(&Told::Lost { at: &node, was_connected, reason: &reason, retry, next: &next })?;
            if self.beside(sleep(retry)).await?.is_none() {
                return self.ended();
            }
        }
    }

    /// Waits for `work`, and obeys what is typed meanwhile: it is kept until there is a connection. Nothing at the client's end.
    async fn beside<T>(&mut self, work: impl Future<Output = T>) -> Result<Option<T>, ClientError> {
        let mut work = pin!(work);
        while !self.has_done_all() {
            let (until, wants_lines) = (self.ending, self.wants_lines());
            tokio::select! {
                done = &mut work => return Ok(Some(done)),
                () = ends(until) => break,
                typed = self.screen.next(wants_lines) => {
                    if self.typed(typed)? == Next::End {
                        break;
                    }
                }
            }
        }
        Ok(None)
    }

    async fn talk(&mut self, (mut incoming, mut outgoing): (Incoming, Outgoing)) -> Result<Over, ClientError> {
        let (began, mut ask, mut heard, mut of_use) = (Instant::now(), interval(ASK_EVERY), Instant::now(), None);
        let mut held_until = None;
        outgoing.queue(&self.session.connected(self.style != Style::Workload));
        self.leaderless = 0;
        let reason = loop {
            if self.has_done_all() {
                return Ok(Over::End);
            }
            match held_until {
                None if self.session.is_held() => held_until = Some(Instant::now() + BUSY_PAUSE),
                _ => outgoing.queue(&self.session.due()),
            }
            let (until, wants_lines) = (self.ending, self.wants_lines());
            tokio::select! {
                line = incoming.next() => match line {
                    Ok(Some(line)) => {
                        // Something else is of a node that is newer than this client, or of no node at all.
                        if self.hears(&line)? {
                            heard = Instant::now();
                        }
                        if self.status.is_some() {
                            of_use.get_or_insert_with(Instant::now);
                        }
                        if self.leaderless >= LEADERLESS && self.nodes.len() > 1 {
                            break "it knows no leader".to_owned();
                        }
                    }
                    Ok(None) => break "it has closed the connection".to_owned(),
                    Err(error) => break why(&error),
                },
                sent = outgoing.send(), if !outgoing.is_empty() => {
                    if let Err(error) = sent {
                        break why(&error);
                    }
                }
                typed = self.screen.next(wants_lines) => {
                    if self.typed(typed)? == Next::End {
                        return Ok(Over::End);
                    }
                }
                _ = ask.tick() => {
                    if !outgoing.is_empty() && outgoing.stuck() < SILENCE {
                        // It takes what it is sent, and what it will answer to is behind that.
                        heard = Instant::now();
                    }
                    if heard.elapsed() >= SILENCE || of_use.is_none() && began.elapsed() >= SILENCE {
                        break "no answer".to_owned();
                    }
                    if outgoing.stuck() >= STUCK {
                        break "it does not read".to_owned();
                    }
                    if outgoing.is_empty() {
                        outgoing.queue(&Session::asks_status());
                    }
                }
                () = ends(held_until) => {
                    held_until = None;
                    self.session.try_again();
                }
                () = ends(until) => return Ok(Over::End),
            }
        };
        Ok(Over::Lost { reason, was_of_use: of_use.map_or(Duration::ZERO, |since| since.elapsed()) })
    }

    fn wants_lines(&self) -> bool {
        // A person's next line may be /quit.
        self.ending.is_none() && (self.screen.is_terminal() || self.session.bytes() < KEPT_MAX)
    }

    fn has_done_all(&self) -> bool {
        self.ending.is_some() && self.session.open() == 0
    }

    fn typed(&mut self, typed: Typed) -> Result<Next, ClientError> {
        let line = match typed {
            Typed::Line(line) => line,
            Typed::End => {
                self.ending = Some(Instant::now() + if self.screen.is_terminal() { Duration::ZERO } else { self.wait });
                return Ok(Next::On);
            }
            Typed::Signal => return Ok(Next::End),
        };
        match self.style.read(&line) {
            Asked::Nothing => {}
            Asked::Say { room, text, operation } => self.says(room, &text, operation)?,
            Asked::Room(room) => {
                if let Some(room) = room {
                    self.room = room;
                    self.prompts();
                }
                let room = self.room.clone();
                self.tell(&Told::Room(&room))?;
            }
            Asked::Status => self.tells_status()?,
            Asked::Nodes => match self.status.clone() {
                Some(status) => self.tell(&Told::Nodes(&status))?,
                None => self.tells_status()?,
            },
            Asked::Help => self.show(HELP)?,
            Asked::Quit => return Ok(Next::End),
            Asked::Wrong(reason) => self.tell(&Told::Wrong(&reason))?,
        }
        Ok(Next::On)
    }

    fn says(&mut self, room: Option<RoomId>, text: &str, operation: Option<u64>) -> Result<(), ClientError> {
        let room = room.unwrap_or_else(|| self.room.clone());
        match (self.session.says(&room, text), operation) {
            (Ok(serial), Some(operation)) => {
                self.operations.insert(serial, operation);
                Ok(())
            }
            (Ok(serial), None) => {
                let msg = self.session.msg(serial);
                self.tell(&Told::Sent { msg: &msg, room: &room, text })
            }
            (Err(unsayable), Some(operation)) => self.answer(operation, "fail", &unsayable.to_string()),
            (Err(unsayable), None) => {
                self.not_all.refused += 1;
                self.tell(&Told::Wrong(&unsayable.to_string()))
            }
        }
    }

    /// A line of the node. Says if it was one.
    fn hears(&mut self, line: &[u8]) -> Result<bool, ClientError> {
        let Ok(news) = self.session.hears(line) else { return Ok(false) };
        news.into_iter().try_for_each(|news| self.learns(news))?;
        Ok(true)
    }

    fn learns(&mut self, news: News) -> Result<(), ClientError> {
        match news {
            News::Delivered(delivery) => self.delivered(delivery),
            News::CaughtUp => {
                let recent = self.recent.take().unwrap_or_default();
                recent.iter().try_for_each(|delivery| self.tell(&Told::Delivered(delivery)))
            }
            News::Missing { after, index } => self.tell(&Told::Missing { after, index }),
            News::Acknowledged { serial, seq_no } => {
                if let Some(operation) = self.operations.remove(&serial) {
                    return self.show(&json!({ "id": operation, "type": "ok", "value": seq_no }).to_string());
                }
                let msg = self.session.msg(serial);
                self.tell(&Told::Acknowledged { msg: &msg, seq_no })
            }
            News::Refused { serial, reason } => {
                self.not_all.refused += 1;
                if let Some(operation) = self.operations.remove(&serial) {
                    return self.answer(operation, "fail", &reason);
                }
                let msg = self.session.msg(serial);
                self.tell(&Told::Refused { msg: &msg, reason: &reason })
            }
            News::Unknown { serial, reason } => {
                self.not_all.unknown += 1;
                if let Some(operation) = self.operations.remove(&serial) {
                    return self.answer(operation, "info", &reason);
                }
                let msg = self.session.msg(serial);
                self.tell(&Told::Unknown { msg: &msg, reason: &reason })
            }
            News::Status(status) => self.learns_status(status),
        }
    }

    fn learns_status(&mut self, status: Status) -> Result<(), ClientError> {
        self.leaderless = if status.leader.is_none() { self.leaderless + 1 } else { 0 };
        let leader = |status: &Status| status.leader.as_ref().map(|leader| leader.node_id);
        let known = self.status.replace(status.clone());
        match known {
            None => {
                let at = self.nodes[self.at].clone();
                self.tell(&Told::Connected { at: &at, status: &status })?;
                if self.style == Style::Json { self.tell(&Told::Leader(&status)) } else { Ok(()) }
            }
            Some(known) if leader(&known) != leader(&status) => self.tell(&Told::Leader(&status)),
            Some(_) => Ok(()),
        }
    }

    fn delivered(&mut self, delivery: Delivery) -> Result<(), ClientError> {
        if self.style == Style::Person && delivery.room_id != self.room {
            return Ok(());
        }
        let Some(recent) = &mut self.recent else { return self.tell(&Told::Delivered(&delivery)) };
        recent.push_back(delivery);
        if recent.len() > REMEMBERED {
            recent.pop_front();
        }
        Ok(())
    }

    fn tells_status(&mut self) -> Result<(), ClientError> {
        let (at, status, room) = (self.nodes[self.at].clone(), self.status.clone(), self.room.clone());
        self.tell(&Told::Status(Now { at: &at, status: status.as_ref(), room: &room, open: self.session.open() }))
    }

    fn answer(&mut self, operation: u64, how: &str, why: &str) -> Result<(), ClientError> {
        self.show(&json!({ "id": operation, "type": how, "why": why }).to_string())
    }

    fn tell(&mut self, told: &Told<'_>) -> Result<(), ClientError> {
        match (self.style, told) {
            (Style::Json, _) => self.show(&told.for_programs().to_string()),
            (Style::Person, Told::Sent { .. }) => Ok(()),
            // On a terminal it is seen when it is delivered.
            (Style::Person, Told::Acknowledged { .. }) if self.screen.is_terminal() => Ok(()),
            (Style::Person, _) => self.show(&told.for_people()),
            (Style::Workload, Told::Delivered(_)) => Ok(()),
            // Its output is for answers.
            (Style::Workload, _) => {
                eprintln!("{}", told.for_people());
                Ok(())
            }
        }
    }

    fn show(&mut self, line: &str) -> Result<(), ClientError> {
        self.screen.show(line).map_err(ClientError::Show)
    }

    fn prompts(&mut self) {
        self.screen.prompt_with(format!("{}> ", self.room));
    }

    fn ended(mut self) -> Result<(), ClientError> {
        self.not_all.unanswered = self.session.open();
        let NotAll { unanswered, refused, unknown } = self.not_all;
        if unanswered + refused + unknown == 0 { Ok(()) } else { Err(ClientError::NotAll(self.not_all)) }
    }
}

/// As short as people say it.
fn why(error: &io::Error) -> String {
    if error.raw_os_error().is_some() { error.kind().to_string() } else { error.to_string() }
}

async fn ends(until: Option<Instant>) {
    match until {
        Some(until) => sleep_until(until).await,
        None => std::future::pending().await,
    }
}
