//! A cluster that is launched to be looked at: the same nodes, logs and guardian as a run has, no steps and no verdict.

use std::os::unix::net::UnixStream;
use std::time::Duration;

use dsbench_core::judgement::Judgement;
use dsbench_world::{Desk, DeskConfig, Ended, Socket, World, WorldConfig, let_go_of_terminal};

use super::prepared::Prepared;
use super::{Order, Outcome, SHUTDOWN};
use crate::control::{Done, Word};
use crate::driver::{self, Held, Setting, Stage};
use crate::error::BenchError;
use crate::lab;
use crate::report::live::Silent;
use crate::store::Recorder;

/// How long callers may take to read how it ended.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Launches the nodes and holds them until somebody ends the cluster: whoever is at the other end of `owner`, unless released, or another
/// terminal. Gives the exit code. From the start of the first node on, everything is said at the desk and nothing on the terminal.
pub(crate) fn up(order: &Order, owner: UnixStream) -> Result<u8, BenchError> {
    let plan = &order.plan;
    let Prepared { guardian, lab, signals, clock, store, mut setting, ports, mut file, mut recorder } =
        Prepared::new(order, false)?;
    file.up = true;
    store.write(&store.run_path(), &file.to_bytes())?;
    recorder.forget();
    let socket = Socket::at(store.control_dir());
    let listener = socket.listen().map_err(|why| {
        BenchError::Environment(format!(
            "no socket can be made in {} ({why}); dsbench up needs a directory on a file system that has them",
            store.control_dir().display()
        ))
    })?;
    let desk = Some(DeskConfig { listener: Some(listener), owner: Some(owner) });
    let (lab, switch) = lab.map(|built| (built.lab, built.switch)).unzip();
    let config = WorldConfig {
        log_dir: store.log_dir(),
        signals,
        desk,
        lab,
        switch,
        lifts_limits: true,
        tick: WorldConfig::CALM,
    };
    let mut world = World::new(guardian, clock, config)?;
    setting.exposed = lab::expose(&mut world, plan)?;
    if !setting.exposed.is_empty() {
        file.exposed = setting.exposed.clone();
        store.write(&store.run_path(), &file.to_bytes())?;
    }
    // Best effort: a shell that waits for the end of a pipe waits longer.
    let _ = let_go_of_terminal(&store.dir().join("dsbench.log"));
    let held = driver::hold(Stage {
        plan,
        setting: &setting,
        world: &mut world,
        recorder: &mut recorder,
        live: &mut Silent,
        store: &store,
    });
    let ended = world.shutdown(SHUTDOWN);
    drop(ports);
    let (_, lost) = recorder.finish();
    store.close(&file, order.keep);
    socket.remove();
    Ok(say_goodbye(held, ended, lost))
}

/// The nodes that a run has left are gone.
pub(super) fn end_of_kept(
    mut outcome: Outcome,
    order: &Order,
    setting: &Setting,
    held: Option<Held>,
    ended: Ended,
    recorder: Recorder,
) -> Outcome {
    let (_, lost) = recorder.finish();
    let artifacts = outcome.store.gather(&order.plan, &setting.addresses);
    if let (Some(end), true) = (&mut outcome.file.end, artifacts.is_some()) {
        end.artifacts = artifacts;
        outcome.lost.extend(outcome.store.write(&outcome.store.run_path(), &outcome.file.to_bytes()).err());
    }
    outcome.store.close(&outcome.file, order.keep);
    Socket::at(outcome.store.control_dir()).remove();
    // None if it could not stay up after all.
    say_goodbye(held.ok_or_else(String::new), ended, lost);
    outcome
}

/// Tells everyone who still listens how it ended; gives the exit code.
fn say_goodbye(held: Result<Held, String>, ended: Ended, lost: Option<BenchError>) -> u8 {
    let held = held.unwrap_or_else(|why| Held { failure: Some(why), signal: None, farewells: Vec::new() });
    let unclean = !ended.survivors.is_empty();
    let mut said: Vec<String> = held.failure.iter().cloned().collect();
    said.extend(ended.survivors.iter().map(|survivor| format!("NOT CLEANED UP: {survivor}")));
    said.extend(lost.map(|lost| format!("warning: {lost}")));
    let environment = (unclean || held.failure.is_some()).then_some(Judgement::Environment);
    let interrupted = held.signal.map(|signal| Judgement::Interrupted { signal });
    let code = Judgement::of_all(environment.into_iter().chain(interrupted)).exit_code();
    if let Some(desk) = ended.desk {
        farewell(desk, &held, !unclean, code, said.join("\n"));
    }
    code
}

fn farewell(desk: Desk, held: &Held, is_clean: bool, code: u8, text: String) {
    for (caller, id) in &held.farewells {
        let word = if is_clean {
            Word::Done(Done { id: *id, text: "nothing of it is left".into(), ..Done::default() })
        } else {
            Word::Refused { id: Some(*id), why: text.clone() }
        };
        desk.tell(*caller, word.to_line());
    }
    desk.close(Word::End { code, text }.to_line(), LAST_WORDS);
}
