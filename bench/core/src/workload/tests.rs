//! The generator against what a scenario says.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;

use super::Generator;
use crate::operation::Datum;
use crate::scenario::{Scenario, Workload};

fn workloads(text: &str) -> Vec<Workload> {
    let text = format!(
        "schema = 1\nname = 'x'\n[nodes]\ncount = 3\nname = 'n{{id}}'\ncommand = ['true']\n[[invariants]]\nprocess = {{}}\n{text}"
    );
    Scenario::parse(&text, &[]).unwrap_or_else(|mistakes| panic!("{mistakes:?}\n{text}")).workloads
}

fn op(name: &str, of: &str, weight: u32) -> String {
    format!("[{of}.ops.{name}]\nweight = {weight}\ninput = '{name} {{key}} {{value}}'\nack = 'written'\n")
}

/// What is drawn, without what only one build knows.
type Shown = (u64, usize, Duration, String, Option<Datum>, Option<Datum>);

fn drawn(workloads: &[Workload], index: usize, seed: u64, most: usize) -> Vec<Shown> {
    let generator = Generator::new(workloads, index, seed).unwrap();
    let shown = generator.operations().take(most);
    shown
        .map(|drawn| (drawn.serial, drawn.client, drawn.due, drawn.op.name.to_string(), drawn.key, drawn.value))
        .collect()
}

#[test]
fn a_seed_gives_the_same_operations_for_ever() {
    let workloads = workloads(&format!(
        "[workload]\nclients = 2\nrate = 4\nkeys = 9\ncount = 6\n{}{}",
        op("put", "workload", 2),
        op("get", "workload", 1)
    ));
    let shown: Vec<String> = drawn(&workloads, 0, 42, 99)
        .into_iter()
        .map(|(serial, client, due, op, key, value)| {
            format!("{serial} {client} {} {op} {} {}", due.as_millis(), key.unwrap(), value.unwrap())
        })
        .collect();
    assert_eq!(shown, GOLDEN);
}

const GOLDEN: [&str; 6] = [
    "0 0 0 get 7 1000000001",
    "1 1 250 get 4 1000000002",
    "2 0 500 get 7 1000000003",
    "3 1 750 put 2 1000000004",
    "4 0 1000 put 3 1000000005",
    "5 1 1250 get 1 1000000006",
];

#[test]
fn operations_come_by_their_weights() {
    let text = format!(
        "[workload]\nrate = 'max'\ncount = 30000\n{}{}{}",
        op("a", "workload", 3),
        op("b", "workload", 2),
        op("never", "workload", 0)
    );
    let mut counts = BTreeMap::new();
    for (_, _, _, op, ..) in drawn(&workloads(&text), 0, 7, usize::MAX) {
        *counts.entry(op).or_insert(0_u32) += 1;
    }
    assert_eq!(counts.keys().map(String::as_str).collect::<Vec<_>>(), ["a", "b"]);
    assert!(counts["a"].abs_diff(18_000) < 500, "{counts:?}");
}

#[test]
fn another_operation_or_weight_leaves_what_it_does_not_win() {
    let with = |more: &str| {
        drawn(&workloads(&format!("[workload]\ncount = 200\n{}{more}", op("a", "workload", 5))), 0, 7, 999)
    };
    let (before, after) =
        (with(&op("b", "workload", 5)), with(&format!("{}{}", op("b", "workload", 5), op("c", "workload", 1))));
    let moved: Vec<_> = before.iter().zip(&after).filter(|(before, after)| before != after).collect();
    assert!(moved.iter().all(|(_, after)| after.3 == "c"), "{moved:?}");
    assert!((1..80).contains(&moved.len()));
}

proptest! {
    #[test]
    fn what_is_due_by_then_is_counted_right(clients in 1_usize..4, rate in 1_u32..9, millis in 0_u64..4000, count in 1_u64..30) {
        let text = format!("[workload]\nclients = {clients}\nrate = {rate}\ncount = {count}\nduration = '3s'\n{}", op("a", "workload", 1));
        let workloads = workloads(&text);
        let generator = Generator::new(&workloads, 0, 1).unwrap();
        let time = Duration::from_millis(millis);
        for client in 0..clients {
            let due = (0..99).filter_map(|turn| generator.operation(client, turn)).filter(|drawn| drawn.due <= time);
            prop_assert_eq!(generator.due_within(client, time), due.count() as u64);
        }
    }

    #[test]
    fn no_two_operations_of_a_run_write_the_same(seed: u64, clients in 1_usize..6, others in 1_usize..4, count in 1_u64..200) {
        let mut text = String::new();
        for index in 0..others {
            let name = format!("workloads.w{index}");
            text += &format!("[{name}]\nclients = {clients}\ncount = {count}\n{}", op("put", &name, 1));
        }
        let workloads = workloads(&text);
        let mut values = BTreeSet::new();
        for index in 0..workloads.len() {
            for (.., value) in drawn(&workloads, index, seed, usize::MAX) {
                let value = value.unwrap();
                prop_assert_eq!(value.to_string().len(), 10, "as many digits as all others");
                prop_assert!(values.insert(value));
            }
        }
        prop_assert_eq!(values.len() as u64, count * others as u64);
        for index in 0..workloads.len() {
            let generator = Generator::new(&workloads, index, seed).unwrap();
            for number in 0..50 {
                let value = generator.called(&workloads[index].ops[0], number).1.unwrap();
                prop_assert_eq!(value.to_string().len(), 10);
                prop_assert!(values.insert(value), "called twice");
            }
        }
    }

    #[test]
    fn a_client_draws_what_it_draws_whoever_else_there_is(seed: u64, clients in 1_usize..5) {
        let with = |clients: usize| {
            let text = format!("[workload]\nclients = {clients}\nkeys = 50\nvalues = 50\nduration = '9s'\n{}{}", op("a", "workload", 1), op("b", "workload", 2));
            let workloads = workloads(&text);
            let generator = Generator::new(&workloads, 0, seed).unwrap();
            (0..9).filter_map(|turn| generator.operation(0, turn)).map(|drawn| (drawn.op.name.clone(), drawn.key, drawn.value)).collect::<Vec<_>>()
        };
        prop_assert_eq!(with(clients), with(clients + 1));
    }

    #[test]
    fn keys_and_values_are_what_the_scenario_says(seed: u64, keys in 1_i64..9, values in 1_i64..9) {
        let text = format!("[workload]\nkeys = {keys}\nvalues = {values}\ncount = 100\n{}", op("a", "workload", 1));
        for (.., key, value) in drawn(&workloads(&text), 0, seed, 999) {
            prop_assert!((Datum::Int(1)..=Datum::Int(keys)).contains(&key.unwrap()));
            prop_assert!((Datum::Int(1)..=Datum::Int(values)).contains(&value.unwrap()));
        }
    }

    #[test]
    fn operations_are_due_in_their_order_and_within_the_duration(seed: u64, rate in 1_u32..50, millis in 1_u64..3000) {
        let text = format!("[workload]\nclients = 3\nrate = {rate}\nduration = '{millis}ms'\n{}", op("a", "workload", 1));
        let shown = drawn(&workloads(&text), 0, seed, usize::MAX);
        prop_assert!(shown.windows(2).all(|pair| pair[0].2 <= pair[1].2));
        prop_assert_eq!(shown.len() as u64, (millis * u64::from(rate)).div_ceil(1000));
        prop_assert!(shown.iter().all(|shown| shown.2 < Duration::from_millis(millis)));
    }
}

#[test]
fn there_are_so_many_operations_as_values_and_their_last_is_not_yet_one_that_is_called() {
    let text: String = ["a", "b"]
        .map(|name| format!("[workloads.{name}]\ncount = 1000000000\n{}", op("put", &format!("workloads.{name}"), 1)))
        .concat();
    let workloads = workloads(&text);
    let generator = Generator::new(&workloads, 1, 7).unwrap();
    let value = |turn| generator.operation(0, turn).map(|drawn| drawn.value.unwrap());
    assert_eq!(value(499_999_999), Some(Datum::Int(2_000_000_000)));
    assert_eq!(value(500_000_000), None);
    assert_eq!(generator.due_within(0, Duration::MAX), 500_000_000);
    assert_eq!(generator.called(&workloads[1].ops[0], 0).1, Some(Datum::Int(2_000_000_002)));
}

#[test]
fn the_plan_tells_what_the_clients_will_do() {
    let text = format!(
        "schema = 1\nname = 'x'\n[nodes]\ncount = 3\ncommand = ['true']\n[[invariants]]\nprocess = {{}}\n[workload]\nrate = 2\nclients = 2\nduration = '2s'\n{}",
        op("say", "workload", 1)
    );
    let plan = crate::plan::Plan::new(Scenario::parse(&text, &[]).unwrap(), 7);
    let told = plan.describe();
    assert!(told.contains("2 clients, client1 to client2, 2 operations per second, from the moment at which all nodes are ready, for 2s; for one that is up, each within 5s"), "{told}");
    assert!(
        told.contains("say            type \"say {key} {value}\" to the node, done when it is taken (weight 1)"),
        "{told}"
    );
    assert!(told.contains("  2. at 0.500s                    client2: say key 1 1000000002\n"), "{told}");
    assert!(!told.contains("  5. at"), "{told}");
    assert_eq!(plan.to_json(None)["workloads"][0]["operations"][3]["value"], 1_000_000_004);
}
