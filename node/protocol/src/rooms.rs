//! The chat's machine: the messages of each room are numbered from 1, without a gap.

use std::collections::BTreeMap;
use std::sync::Arc;

use dsbench_wire::room::{self, Header};
use dsbench_wire::{RequestId, RoomId};
use serde::{Deserialize, Serialize};

use crate::Machine;
use crate::priority::Ranking;

/// Rooms that have a numbering of their own. The state is kept by every node for ever, and anybody may name a room.
const ROOMS_MAX: usize = 1024;

/// How many messages each room has.
///
/// Of more than [`ROOMS_MAX`] rooms, the one that was silent for the longest time is forgotten, but never the default room. When it, or
/// any other, is named anew, it goes on after the highest number that a forgotten room had: no number is used twice, and what
/// strangers do to the list of rooms costs those who speak nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rooms {
    rooms: BTreeMap<RoomId, Room>,
    /// The highest number of a room that is forgotten.
    forgotten: u64,
    done: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Room {
    /// The number of its last message.
    last: u64,
    /// Which message of all rooms together that was.
    at: u64,
}

impl Rooms {
    /// The rooms that have messages and are not forgotten, with the number of the last one.
    pub fn iter(&self) -> impl Iterator<Item = (&RoomId, u64)> {
        self.rooms.iter().map(|(room, &Room { last, .. })| (room, last))
    }

    /// The same, the room that spoke last first, at most so many.
    #[must_use]
    pub fn latest(&self, count: usize) -> Vec<(&RoomId, u64)> {
        let mut rooms: Vec<_> = self.rooms.iter().collect();
        rooms.sort_unstable_by_key(|(_, room)| std::cmp::Reverse(room.at));
        rooms.into_iter().take(count).map(|(id, room)| (id, room.last)).collect()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rooms.len()
    }

    /// Whether nothing was ever said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rooms.is_empty()
    }

    fn forget_one(&mut self) {
        let spared = RoomId::default();
        let oldest = (self.rooms.iter()).filter(|(id, _)| **id != spared).min_by_key(|(_, room)| room.at);
        if let Some((id, &Room { last, .. })) = oldest {
            let id = id.clone();
            self.rooms.remove(&id);
            self.forgotten = self.forgotten.max(last);
        }
    }
}

impl Machine for Rooms {
    const RANKING: Ranking = Ranking::Number;

    fn apply(&mut self, _id: &RequestId, payload: &str) -> u64 {
        self.done += 1;
        let (Header { room: id, .. }, _) = room::of(payload);
        if self.rooms.len() >= ROOMS_MAX && !self.rooms.contains_key(&id) {
            self.forget_one();
        }
        let room = self.rooms.entry(id).or_insert(Room { last: self.forgotten, at: 0 });
        *room = Room { last: room.last + 1, at: self.done };
        room.last
    }

    fn done(&self) -> u64 {
        self.done
    }

    fn shown(payload: &Arc<str>) -> (Option<Header>, Arc<str>) {
        let (header, text) = room::of(payload);
        (Some(header), text.into())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn id() -> RequestId {
        "alice/1".parse().unwrap()
    }

    #[test]
    fn every_room_counts_its_own_messages() {
        let mut rooms = Rooms::default();
        let numbers: Vec<u64> = ["general", "dev", "general", "general", "dev"]
            .map(|name| rooms.apply(&id(), &room::payload(&name.parse().unwrap(), "hi")))
            .into();
        assert_eq!(numbers, [1, 1, 2, 3, 2]);
        assert_eq!(rooms.apply(&id(), "no room is the default room"), 4);
        assert_eq!(rooms.done(), 6);
    }

    #[test]
    fn too_many_rooms_cost_bounded_state_and_no_number_twice() {
        let mut rooms = Rooms::default();
        let mut seen = BTreeSet::new();
        for round in 0..3 {
            for n in 0..2 * ROOMS_MAX {
                let name: RoomId = format!("room{n}").parse().unwrap();
                let seq = rooms.apply(&id(), &room::payload(&name, "hi"));
                assert!(seen.insert((name, seq)), "round {round} room {n}");
            }
        }
        assert_eq!(rooms.len(), ROOMS_MAX);
    }

    #[test]
    fn a_flood_of_rooms_costs_those_who_speak_nothing() {
        let mut rooms = Rooms::default();
        let mut says = |room: &str| rooms.apply(&id(), &room::payload(&room.parse().unwrap(), "hi"));
        assert_eq!([says("general"), says("dev"), says("quiet"), says("quiet")], [1, 1, 1, 2]);
        for n in 0..10 * ROOMS_MAX as u64 {
            says(&format!("flood{n}"));
            if n % 500 == 0 {
                assert_eq!(says("dev"), 2 + n / 500);
            }
        }
        assert_eq!(says("general"), 2, "the default room is never forgotten");
        // Ten times as many rooms as are remembered: whoever comes begins after all that was forgotten.
        assert_eq!([says("new"), says("new")], [12, 13]);
    }

    #[test]
    fn the_latest_rooms_are_those_that_spoke_last() {
        let mut rooms = Rooms::default();
        for name in ["a", "b", "c", "a"] {
            rooms.apply(&id(), &room::payload(&name.parse().unwrap(), "hi"));
        }
        let latest: Vec<_> = rooms.latest(2).into_iter().map(|(room, last)| (room.as_str(), last)).collect();
        assert_eq!(latest, [("a", 2), ("c", 1)]);
    }

    proptest! {
        #[test]
        fn rooms_agree_with_counting_by_hand_and_survive_a_snapshot(payloads in prop::collection::vec("[ab]{0,2}\n?[xy \n]{0,3}", 0..60), cut in any::<prop::sample::Index>()) {
            let mut rooms = Rooms::default();
            let cut = cut.index(payloads.len() + 1);
            for (n, payload) in payloads.iter().enumerate() {
                if n == cut {
                    rooms = serde_json::from_str(&serde_json::to_string(&rooms).unwrap()).unwrap();
                }
                let before = payloads[..n].iter().filter(|other| room::of(other).0 == room::of(payload).0).count();
                prop_assert_eq!(rooms.apply(&id(), payload), before as u64 + 1);
            }
        }
    }
}
