//! What the nemesis does, in the one line that the live screen has for it.

use dsbench_core::observation::{NemesisChange, Origin, What};

use crate::report::tell::{acted, nemesis_change};

/// Empty until the run has a nemesis.
#[derive(Debug, Default)]
pub(super) struct NemesisLine {
    done: usize,
    passed_over: usize,
    newest: Option<String>,
}

impl NemesisLine {
    pub(super) fn observe(&mut self, what: &What) {
        match what {
            What::Nemesis(change) => {
                self.passed_over += usize::from(matches!(change, NemesisChange::PassedOver { .. }));
                self.newest = Some(nemesis_change(change));
            }
            What::Action(action) => {
                let Origin::Nemesis(fault) = action.origin() else { return };
                let fault = fault.saturating_add(1);
                let undone = if action.undoes.is_some() { " is undone" } else { "" };
                self.done += usize::from(action.undoes.is_none());
                self.newest = Some(format!("fault {fault}{undone}: {}", acted(action)));
            }
            _ => {}
        }
    }

    /// `fault 3: kill peer2   (2 done, 1 passed over)`
    pub(super) fn text(&self) -> Option<String> {
        let newest = self.newest.as_ref()?;
        let over = if self.passed_over > 0 { format!(", {} passed over", self.passed_over) } else { String::new() };
        Some(format!("{newest}   ({} done{over})", self.done))
    }
}

#[cfg(test)]
mod tests {
    use dsbench_core::observation::{Action, ActionVerb, Life, PassedOver};

    use super::*;

    fn act(verb: ActionVerb, fault: usize, undoes: Option<u64>) -> What {
        let hit = vec![Life { node: "a".into(), process: "main".into(), life: 1 }];
        let action = Action::new(verb, vec!["a".into()], hit).asked_by(Origin::Nemesis(fault));
        What::Action(Action { undoes, ..action }.into())
    }

    #[test]
    fn its_newest_fault_is_told_and_all_are_counted() {
        let mut line = NemesisLine::default();
        assert_eq!(line.text(), None, "a run without a nemesis has no line for it");
        line.observe(&What::Nemesis(NemesisChange::Begun));
        line.observe(&act(ActionVerb::Kill, 0, None));
        assert_eq!(line.text().unwrap(), "fault 1: kill a   (1 done)");
        line.observe(&act(ActionVerb::Restart, 0, Some(3)));
        assert_eq!(line.text().unwrap(), "fault 1 is undone: restart a   (1 done)");
        let (because, why) = (PassedOver::MaxDown, String::from("1 is down"));
        line.observe(&What::Nemesis(NemesisChange::PassedOver { fault: 1, because, why }));
        assert_eq!(line.text().unwrap(), "passes fault 2 over: 1 is down   (1 done, 1 passed over)");
    }
}
