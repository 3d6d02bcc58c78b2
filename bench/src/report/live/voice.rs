//! The way to people while a run goes on. A thread of its own writes, so that a terminal that was stopped, or a pager that nobody turns,
//! holds up the reader and not the run.

use super::super::outlet::Outlet;
use super::super::terminal;

/// Standard error, beside a run. The thread starts with the first word: when the run's guardian has been forked, and signals are the
/// driver's.
#[derive(Debug, Default)]
pub(crate) struct Voice {
    outlet: Option<Outlet>,
    /// No thread could be started: what is said is written at once.
    is_direct: bool,
}

impl Voice {
    /// Says a line.
    pub(super) fn say(&mut self, line: &str) {
        let text = terminal::for_people(&format!("{line}\n")).into_owned();
        self.put(&text);
    }

    /// Puts out a text as it is.
    pub(super) fn put(&mut self, text: &str) {
        if self.outlet.is_none() && !self.is_direct {
            self.outlet = Outlet::stderr().ok();
            self.is_direct = self.outlet.is_none();
        }
        match &self.outlet {
            Some(outlet) => outlet.send_text(text),
            None => terminal::put(text),
        }
    }

    /// True if everything that was put out has been taken.
    pub(super) fn is_idle(&self) -> bool {
        self.outlet.as_ref().is_none_or(Outlet::is_idle)
    }

    /// False if so much waits that what can be left out should be.
    pub(super) fn has_room(&self) -> bool {
        self.outlet.as_ref().is_none_or(Outlet::has_room)
    }

    /// Waits until everything is out. A reader that is gone is no reason to end a run.
    pub(super) fn close(&mut self) {
        if let Some(mut outlet) = self.outlet.take() {
            let _ = outlet.close();
        }
    }
}
