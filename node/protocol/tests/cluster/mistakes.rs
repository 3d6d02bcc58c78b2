//! Each planted mistake is caught by the schedules that the correct node passes.

use std::ops::Range;

use dsbench_protocol::{Config, Mistake};

use crate::planted::{caught, kept_seeds};

const SCHEDULES: Range<u64> = 0..300;

/// Shows that at least so many of the schedules catch `mistake`, with one of the complaints that name what it does.
fn is_caught(mistake: Mistake, complaints_of_it: &[&str], at_least: usize) {
    let complaints = caught(SCHEDULES, |config| Config { mistake: Some(mistake), ..config }, |_| {});
    let to_the_point =
        complaints.iter().filter(|(_, text)| complaints_of_it.iter().any(|phrase| text.contains(phrase))).count();
    assert!(
        to_the_point >= at_least,
        "{mistake}: of {SCHEDULES:?} schedules {} catch it, {to_the_point} with one of {complaints_of_it:?}: {complaints:#?}",
        complaints.len()
    );
}

#[test]
#[expect(clippy::disallowed_macros, reason = "for people")]
fn survey() {
    for mistake in Mistake::ALL {
        let complaints = caught(0..150, |config| Config { mistake: Some(*mistake), ..config }, |_| {});
        eprintln!("== {mistake}: {}", complaints.len());
        for (seed, complaint) in complaints.iter().take(6) {
            eprintln!("   {seed}: {}", complaint.chars().take(150).collect::<String>());
        }
    }
}

#[test]
fn the_correct_node_passes_the_same_schedules() {
    assert_eq!(caught(SCHEDULES, |config| config, |_| {}), []);
}
