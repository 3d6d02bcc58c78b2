//! The chat's machine: the messages of each room are numbered from 1, without a gap.

use std::collections::BTreeMap;
use std::sync::Arc;

use dsbench_wire::{RequestId, RoomId, room};
use serde::{Deserialize, Serialize};

use crate::Machine;
use crate::priority::Ranking;

/// Rooms that have a numbering of their own. The state is kept by every node for ever, and anybody may name a room.
const ROOMS_MAX: usize = 1024;

/// How many messages each room has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rooms {
    rooms: BTreeMap<RoomId, u64>,
    /// Of all rooms beyond the first [`ROOMS_MAX`] together: their numbers grow and are used once, but have gaps.
    others: u64,
    done: u64,
}

impl Rooms {
    /// The rooms that have messages, with the number of the last one.
    pub fn iter(&self) -> impl Iterator<Item = (&RoomId, u64)> {
        self.rooms.iter().map(|(room, &last)| (room, last))
    }
}

impl Machine for Rooms {
    const RANKING: Ranking = Ranking::Number;

    fn apply(&mut self, _id: &RequestId, payload: &str) -> u64 {
        self.done += 1;
        let (room, _) = room::of(payload);
        let is_full = self.rooms.len() >= ROOMS_MAX && !self.rooms.contains_key(&room);
        let last = if is_full { &mut self.others } else { self.rooms.entry(room).or_default() };
        *last += 1;
        *last
    }

    fn done(&self) -> u64 {
        self.done
    }

    fn shown(payload: &Arc<str>) -> (Option<RoomId>, Arc<str>) {
        let (room, text) = room::of(payload);
        (Some(room), text.into())
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
        assert_eq!(rooms.rooms.len(), ROOMS_MAX);
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
