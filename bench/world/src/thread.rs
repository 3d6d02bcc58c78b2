//! The threads beside the driver's loop: named, and never silently gone.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::SyncSender;

use crate::clock::Clock;
use crate::outside::{Happening, Outside};

/// Starts a thread. If it panics (a bug of the bench), the driver is told, or it would wait for ever for what the thread should send.
pub(crate) fn spawn(
    name: &'static str,
    clock: Clock,
    outbox: SyncSender<Outside>,
    work: impl FnOnce() + Send + 'static,
) -> io::Result<()> {
    let watched = move || {
        if catch_unwind(AssertUnwindSafe(work)).is_err() {
            let why = format!("its {name} thread has panicked (a bug in dsbench)");
            let _ = outbox.send(Outside { at: clock.now(), what: Happening::Broken { why } });
        }
    };
    std::thread::Builder::new().name(name.to_owned()).spawn(watched).map(drop)
}
