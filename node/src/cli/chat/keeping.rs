//! What becomes of a chat node's deliveries: each goes into the message log, in order and without a hole.
//!
//! Where a snapshot has skipped messages, they are [fetched](super::fill) first, and what is newer waits for them.

use std::collections::BTreeMap;

use dsbench_protocol::{Chat, Event, Rooms};
use dsbench_wire::chat::Delivery;
use dsbench_wire::{Endpoint, NodeId, RoomId, Term, room};
use tokio::task::JoinHandle;

use super::console::shown;
use super::fill::{Fill, Got};
use crate::cli::group::{everybody, view};
use crate::emit::{Log, Place};
use crate::messages::{Durable, MessageLog, MessageLogError};
use crate::runtime::{Beside, Saying};
use crate::storage::StorageError;

/// Fetched messages in the log before it must have written them.
const TOLD_AT_ONCE: usize = 256;
/// Rooms that are remembered without a quorum.
const ROOMS_MAX: usize = 1024;

/// The message log of a node, and what is on its way into it.
#[derive(Debug)]
pub(super) struct Keeper {
    messages: MessageLog,
    log: Log,
    screen: Option<Log>,
    fill: Option<Fill>,
    /// Deliveries that are newer than what is fetched. No more than the core tells before it asks for more.
    later: Vec<Event>,
    /// Fetched messages that the log may not have written yet, and where they end.
    unwritten: usize,
    awaited: Option<Place>,
    syncing: Option<JoinHandle<Result<(), MessageLogError>>>,
    failure: Option<MessageLogError>,
    /// Without a quorum: the rooms with the last number of each.
    rooms: Option<BTreeMap<RoomId, u64>>,
}

impl Keeper {
    pub(super) fn new(messages: MessageLog, is_classroom: bool, log: Log, screen: Option<Log>) -> Self {
        Self {
            messages,
            log,
            screen,
            fill: None,
            later: Vec::new(),
            unwritten: 0,
            awaited: None,
            syncing: None,
            failure: None,
            rooms: is_classroom.then(BTreeMap::new),
        }
    }

    /// The rooms of a node without a quorum, each with the number of its last message.
    pub(super) fn classroom_rooms(&self) -> Option<&BTreeMap<RoomId, u64>> {
        self.rooms.as_ref()
    }

    /// A snapshot that will be told has skipped messages: from now on, what comes after it waits.
    pub(super) fn decided(&mut self, event: &Event) {
        let &Event::Installed { index, .. } = event else { return };
        match &mut self.fill {
            Some(fill) => fill.extend(index),
            None if index > self.messages.upto() => self.fill = Some(Fill::new(self.messages.last(), index)),
            None => {}
        }
    }

    /// A delivery is told.
    pub(super) fn told(&mut self, event: &Event) -> Saying {
        let Event::Delivered { seq, term, index, id, room, text, view } = event else { return Saying::Plain };
        if let Some(fill) = &self.fill {
            if *index > fill.upto() {
                self.later.push(event.clone());
                return Saying::Nothing;
            }
            if *index <= self.messages.last() {
                // It was on its way when the snapshot came, and was fetched meanwhile.
                return Saying::Nothing;
            }
        }
        let header = room.clone().unwrap_or_default();
        if let Some(rooms) = &mut self.rooms {
            rooms.insert(header.room.clone(), *seq);
            if rooms.len() > ROOMS_MAX {
                let oldest = rooms.iter().min_by_key(|&(_, last)| *last).map(|(room, _)| room.clone());
                oldest.map(|oldest| rooms.remove(&oldest));
            }
        }
        let delivery = Delivery::new(id, header, (*term, *seq, *index), text.clone()).in_view(*view);
        self.messages.append(&delivery);
        Saying::Sure
    }

    /// Everything up to this index was told.
    pub(super) fn is_whole(&mut self, upto: u64) {
        if self.fill.is_none() && self.rooms.is_none() {
            self.messages.is_whole(upto);
        }
    }

    /// Why something could not be kept.
    pub(super) fn failure(&mut self) -> Option<StorageError> {
        self.failure.take().or_else(|| self.messages.failure()).map(storage_error)
    }

    /// Waits until nothing is missing any more. Dropping the future loses nothing.
    pub(super) async fn settles(&mut self, me: &NodeId, chat: &Chat) {
        loop {
            if let Some(place) = self.awaited {
                self.log.written(place).await;
                (self.awaited, self.unwritten) = (None, 0);
            }
            if let Some(syncing) = &mut self.syncing {
                let synced = syncing.await;
                self.syncing = None;
                match synced {
                    Ok(Ok(())) => self.ends(),
                    Ok(Err(error)) => {
                        // The node stops before it tells anything more.
                        (self.failure, self.fill) = (Some(error), None);
                        return;
                    }
                    Err(_) => return,
                }
            }
            let Some(fill) = &mut self.fill else { return };
            fill.begins_after(self.messages.last());
            let others: BTreeMap<NodeId, Endpoint> = everybody::<Rooms>(view(chat))
                .filter(|(peer, _)| peer.id != *me)
                .map(|(peer, _)| (peer.id.clone(), peer.endpoint.clone()))
                .collect();
            match fill.next(&others).await {
                Got::Message(message) => self.fetched(&message),
                Got::Missing(missing) => {
                    self.log.warn(format_args!(
                        "messages are missing, no other node has them after={} upto={}",
                        missing.after, missing.index
                    ));
                    self.messages.lacks(missing);
                }
                Got::Nothing(why) => {
                    if fill.is_news() {
                        let (after, upto) = (self.messages.last(), fill.upto());
                        self.log.warn(format_args!(
                            "messages are missing, and deliveries wait until a node has them after={after} upto={upto}: {why}"
                        ));
                    }
                }
                Got::Whole => {
                    self.messages.is_whole(fill.upto());
                    let durable = self.messages.durable();
                    self.syncing = Some(tokio::task::spawn_blocking(move || Durable::sync(&durable)));
                }
            }
        }
    }

    fn fetched(&mut self, message: &Delivery) {
        if message.index <= self.messages.last() {
            return;
        }
        self.messages.append(message);
        let (id, term) = (message.request(), Term(message.term));
        let header = room::Header::from(message.room_id.clone());
        let event = Event::Delivered {
            seq: message.seq_no,
            term,
            index: message.index,
            id,
            view: message.view,
            room: Some(header),
            text: message.payload.clone(),
        };
        self.says(&event);
        self.unwritten += 1;
        if self.unwritten >= TOLD_AT_ONCE {
            self.awaited = Some(self.log.place());
        }
    }

    fn says(&self, event: &Event) {
        if let Some(screen) = &self.screen
            && let Some(shown) = shown(event)
        {
            screen.answer(shown);
        }
        self.log.sure(event);
    }

    /// Nothing is missing any more, and that is durable: what waited is told.
    fn ends(&mut self) {
        let Some(fill) = self.fill.take() else { return };
        self.log.info(format_args!("has the messages that it missed messages={} upto={}", fill.count, fill.upto()));
        for event in std::mem::take(&mut self.later) {
            // A second snapshot may have covered it, and then it was fetched.
            let is_new = matches!(event, Event::Delivered { index, .. } if index > self.messages.last());
            if is_new && self.told(&event) == Saying::Sure {
                self.says(&event);
            }
        }
    }
}

impl Beside for Durable {
    fn sync(&self) -> Result<(), StorageError> {
        Self::sync(self).map_err(storage_error)
    }
}

fn storage_error(error: MessageLogError) -> StorageError {
    match error {
        MessageLogError::Io { action, path, source } => StorageError::Io { action, path, source },
        MessageLogError::Damaged { path, reason } => {
            StorageError::Damaged { path, offset: 0, reason: reason.to_owned() }
        }
        MessageLogError::Orphaned { path, .. } | MessageLogError::OtherQuorum { path, .. } => {
            StorageError::Damaged { path, offset: 0, reason: "it belongs to other records".to_owned() }
        }
    }
}
