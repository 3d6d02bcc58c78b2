//! A worker: makes the one run that it is told to make, and tells what comes of it.

use std::cell::OnceCell;
use std::rc::Rc;

use dsbench_core::observation::Observation;
use dsbench_world::Signals;

use super::errand::{Errand, Word};
use crate::error::BenchError;
use crate::report::live::Live;
use crate::report::outlet::Outlet;
use crate::run;

/// Does the errand on standard input. An error is about the errand itself; what becomes of the run is told on standard output.
pub(crate) fn work() -> Result<(), BenchError> {
    // Whoever has sent this process has blocked them too: none is lost, however early it comes.
    let _signals = Signals::block();
    let errand = dsbench_world::errand().map_err(BenchError::file("read", "standard input"))?;
    let errand: Errand = serde_json::from_slice(&errand).map_err(|_| {
        BenchError::Usage("`dsbench worker` is what `dsbench run --jobs` starts; it is of no use by itself".into())
    })?;
    let mouth = Rc::new(Mouth::default());
    let speaker = Speaker { mouth: Rc::clone(&mouth), is_followed: errand.is_followed, missing: 0, line: Vec::new() };
    let done = errand.into_order().and_then(|order| run::run(&order, Some(Box::new(speaker)), None));
    mouth.say(&match done {
        Ok(outcome) => Word::ended(&outcome),
        Err(error) => Word::impossible(&error),
    });
    match Rc::into_inner(mouth).and_then(|mouth| mouth.outlet.into_inner()).and_then(|mut outlet| outlet.close()) {
        Some(error) => Err(BenchError::file("write", "standard output")(error)),
        None => Ok(()),
    }
}

/// Standard output. Its thread starts with the first word, when the guardian has been forked.
#[derive(Default)]
struct Mouth {
    outlet: OnceCell<Outlet>,
}

impl Mouth {
    fn outlet(&self) -> &Outlet {
        self.outlet.get_or_init(|| Outlet::stdout().expect("a worker can say what it has done"))
    }

    fn say(&self, line: &str) {
        self.outlet().send(line);
    }
}

/// Tells how the run goes on.
struct Speaker {
    mouth: Rc<Mouth>,
    is_followed: bool,
    /// Observations that were left out because the reader is too far behind.
    missing: u64,
    line: Vec<u8>,
}

impl Speaker {
    fn tell_missing(&mut self) {
        if let missing @ 1.. = std::mem::take(&mut self.missing) {
            self.mouth.say(&Word::missing(missing));
        }
    }
}

impl Live for Speaker {
    fn observed(&mut self, observation: &Observation) {
        if !self.is_followed {
            return;
        }
        if !self.mouth.outlet().has_room() {
            self.missing += 1;
            return;
        }
        self.tell_missing();
        Word::observation(observation, &mut self.line);
        self.mouth.say(&String::from_utf8_lossy(&self.line));
    }

    fn told(&mut self, text: &str) {
        self.mouth.say(&Word::told(text));
    }

    fn close(&mut self) {
        self.tell_missing();
    }
}
