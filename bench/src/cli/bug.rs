//! A bug in dsbench: told as one, with an exit code of its own, after everything that was started is gone.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dsbench_core::judgement::BUG;

use crate::report::terminal::say;

/// Does the work. A panic in it unwinds through the world, which kills and proves; a panic in a thread beside it makes its result worthless.
///
/// A check that crashes is caught where it is judged and is neither: it decides nothing, and the rest of the run stands.
pub(super) fn guarded(work: impl FnOnce() -> u8) -> u8 {
    let is_broken = Arc::new(AtomicBool::new(false));
    let (before, mark, here) = (std::panic::take_hook(), is_broken.clone(), std::thread::current().id());
    std::panic::set_hook(Box::new(move |panic| {
        if std::thread::current().id() != here {
            mark.store(true, Ordering::SeqCst);
        }
        before(panic);
    }));
    let done = catch_unwind(AssertUnwindSafe(work));
    match done {
        Ok(code) if !is_broken.load(Ordering::SeqCst) => code,
        _ => {
            say!(
                "error: this is a bug in dsbench, not in the cluster: please report it with the lines above and the run's directory"
            );
            BUG
        }
    }
}

#[cfg(test)]
mod tests {
    use super::guarded;

    #[test]
    fn a_panic_anywhere_ends_with_the_exit_code_of_a_bug() {
        assert_eq!(guarded(|| 3), 3);
        assert_eq!(guarded(|| panic!("a bug in the driver")), 70);
        let in_a_thread = || match std::thread::spawn(|| panic!("a bug in a thread")).join() {
            Ok(()) => 0,
            Err(_) => 1,
        };
        assert_eq!(guarded(in_a_thread), 70);
        let crashed_check = || u8::from(std::panic::catch_unwind(|| panic!("a bug in a check")).is_err());
        assert_eq!(guarded(crashed_check), 1, "it is caught and told where it is judged");
    }
}
