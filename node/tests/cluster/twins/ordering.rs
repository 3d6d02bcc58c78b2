//! Twins of `test_ordering`: numbers, buffering, the order of deliveries, and each message once.

use dsbench_protocol::Answer;

use super::stage::{Fate, Stage};

#[test]
fn sequence_numbers_are_assigned_by_the_leader_and_rise_by_one_in_each_room() {
    let mut stage = Stage::led_by_three();
    for round in 0..20 {
        for n in 1..=3 {
            stage.sends(n, if round % 4 == 0 { "dev" } else { "general" }, &format!("{round} from {n}"));
        }
    }
    stage.until("all delivered", |stage| (1..=3).all(|n| stage.delivered(n).len() == 60));
    let mut numbers: Vec<u64> = stage.delivered(3).into_iter().map(|(seq, _)| seq).collect();
    numbers.sort_unstable();
    let mut expected: Vec<u64> = (1..=15).chain(1..=45).collect();
    expected.sort_unstable();
    assert_eq!(numbers, expected, "15 in one room, 45 in the other");
    assert!(stage.said.iter().filter(|line| line.is("SEQ_CHAT")).all(|line| line.from == 3), "only the leader does it");
    assert!(stage.said.iter().any(|line| line.is("CHAT") && line.from == 1 && line.to == 3), "others ask it to");
}

#[test]
fn a_message_that_comes_before_the_one_that_it_follows_is_held_back_until_that_is_there() {
    let mut stage = Stage::led_by_three();
    stage.wire(|line| if line.from == 3 && line.to == 1 { Fate::Held } else { Fate::Arrives });
    stage.sends(3, "general", "first");
    stage.sends(3, "general", "second");
    stage.all_arrive();
    assert_eq!(stage.delivered(2).len(), 2, "the others are a majority");
    let on_its_way = |payload| stage.held.iter().find(|line| line.is("SEQ_CHAT") && line.json["payload"] == payload);
    let [first, second] = ["first", "second"].map(|payload| on_its_way(payload).expect("it was sent").clone());
    stage.brings(&second);
    assert_eq!(stage.delivered(1), [], "the second is there, and the first is not");
    let asked = stage.said.iter().rev().find(|line| line.from == 1).expect("it answers");
    assert!(asked.is("CATCHUP_REQ"), "it asks for what it lacks: {asked:?}");
    stage.brings(&first);
    stage.heals();
    stage.until("node 1 has both", |stage| stage.delivered(1).len() == 2);
    assert_eq!(stage.delivered(1), [(1, "first".to_owned()), (2, "second".to_owned())]);
}

#[test]
fn messages_are_delivered_in_the_order_of_their_numbers_in_whatever_order_they_arrive() {
    for seed in 0..50 {
        let mut stage = Stage::led_by_three();
        stage.shuffles(seed);
        for round in 0..10 {
            for n in 1..=3 {
                stage.sends(n, "general", &format!("{round} from {n}"));
            }
        }
        stage.until("all delivered", |stage| (1..=3).all(|n| stage.delivered(n).len() == 30));
        let order = stage.delivered(1);
        let numbers: Vec<u64> = order.iter().map(|(seq, _)| *seq).collect();
        assert_eq!(numbers, (1..=30).collect::<Vec<_>>(), "seed {seed}");
        for n in 1..=3 {
            assert_eq!(stage.delivered(n), order, "seed {seed} node {n}");
            let own: Vec<&String> =
                order.iter().map(|(_, text)| text).filter(|text| text.ends_with(&format!("from {n}"))).collect();
            let sent: Vec<String> = (0..10).map(|round| format!("{round} from {n}")).collect();
            assert_eq!(own, sent.iter().collect::<Vec<_>>(), "seed {seed}: what one sender says keeps its order");
        }
    }
}

#[test]
fn a_message_that_arrives_twice_or_is_asked_for_twice_is_delivered_once() {
    let mut stage = Stage::led_by_three();
    stage.wire(|_| Fate::ArrivesTwice);
    stage.asks(1, Some("alice/1"), "general", "hello");
    stage.asks(2, Some("alice/1"), "general", "hello");
    stage.until("both answered", |stage| (1..=2).all(|n| !stage.answers(n).is_empty()));
    stage.asks(2, Some("alice/1"), "general", "hello");
    stage.sends(3, "general", "the end");
    stage.until("all have the end", |stage| (1..=3).all(|n| stage.delivered(n).len() >= 2));
    for n in 1..=3 {
        assert_eq!(stage.delivered(n), [(1, "hello".to_owned()), (2, "the end".to_owned())], "node {n}");
    }
    let answers: Vec<&Answer> = stage.answers(1).iter().chain(stage.answers(2)).collect();
    assert_eq!(answers.len(), 3);
    assert!(answers.iter().all(|answer| *answer == answers[0]), "asked again, the same answer: {answers:?}");
    assert!(matches!(answers[0], Answer::Acknowledged { seq: 1, .. }), "{answers:?}");
}
