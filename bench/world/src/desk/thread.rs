//! The desk's thread: waits for callers, hears them, and writes what they are told.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::net::UnixListener;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::SyncSender;
use std::thread::JoinHandle;
use std::time::Duration;

use dsbench_core::time::RunTime;
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use super::caller::{Caller, Said};
use super::socket::is_one_of_us;
use super::{CallerId, DeskConfig};
use crate::clock::Clock;
use crate::mailbox::{Mail, Mailbox, mailbox};
use crate::outside::{Happening, Outside};

/// More callers at one time are not received.
const CALLERS_MAX: usize = 64;
/// When the system has no descriptor for a caller, it is asked again after this time.
const AGAIN: Duration = Duration::from_millis(100);
/// Names of the other descriptors; callers have their own numbers.
const MAIL: u64 = u64::MAX;
const LISTENER: u64 = u64::MAX - 1;

/// Work for the desk.
#[derive(Debug)]
pub(super) enum Task {
    Tell { to: CallerId, line: Vec<u8>, may_be_left_out: bool },
    HangUp(CallerId),
    Deafen,
    Close { last: Vec<u8>, bound: Duration },
}

/// Starts the thread. Not as the others are: it outlives the world, and must not hold the world's outbox then.
pub(super) fn start(
    clock: Clock,
    config: DeskConfig,
    outbox: SyncSender<Outside>,
) -> io::Result<(Mailbox<Task>, JoinHandle<()>)> {
    let (mailbox, mail) = mailbox()?;
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    epoll.add(&mail, EpollEvent::new(EpollFlags::EPOLLIN, MAIL))?;
    let mut thread = DeskThread {
        clock,
        outbox: Some(outbox),
        mail,
        epoll,
        listener: config.listener,
        is_listening: false,
        callers: BTreeMap::new(),
        next_caller: CallerId::OWNER.0 + 1,
        close_at: None,
    };
    thread.listen();
    if let Some(owner) = config.owner {
        thread.receive(CallerId::OWNER, Caller::new(owner)?)?;
    }
    let watched = move || {
        if catch_unwind(AssertUnwindSafe(|| thread.run())).is_err() {
            thread.say(Happening::Broken { why: "its desk thread has panicked (a bug in dsbench)".to_owned() });
        }
    };
    let handle = std::thread::Builder::new().name("desk".to_owned()).spawn(watched)?;
    Ok((mailbox, handle))
}

struct DeskThread {
    clock: Clock,
    /// None once the world is over.
    outbox: Option<SyncSender<Outside>>,
    mail: Mail<Task>,
    epoll: Epoll,
    listener: Option<UnixListener>,
    /// False while the system has no descriptors.
    is_listening: bool,
    callers: BTreeMap<u64, Caller>,
    next_caller: u64,
    /// When what is not read by then is given up.
    close_at: Option<RunTime>,
}

impl DeskThread {
    fn run(&mut self) {
        let mut events = vec![EpollEvent::empty(); 64];
        loop {
            let count = self.epoll.wait(&mut events, self.patience()).unwrap_or(0);
            for event in &events[..count] {
                match event.data() {
                    MAIL => {}
                    LISTENER => self.accept(),
                    caller => self.attend(caller, event.events()),
                }
            }
            for task in self.mail.take() {
                self.work(task);
            }
            self.listen();
            if self.close_at.is_some_and(|at| self.callers.is_empty() || self.clock.now() >= at) {
                return;
            }
        }
    }

    fn patience(&self) -> EpollTimeout {
        let again = (self.listener.is_some() && !self.is_listening).then_some(AGAIN);
        let left = self.close_at.map(|at| self.clock.until(at) + Duration::from_millis(1));
        let patience = again.into_iter().chain(left).min();
        patience.map_or(EpollTimeout::NONE, |patience| EpollTimeout::try_from(patience).unwrap_or(EpollTimeout::MAX))
    }

    fn listen(&mut self) {
        if let (Some(listener), false) = (&self.listener, self.is_listening) {
            self.is_listening = self.epoll.add(listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER)).is_ok();
        }
    }

    fn accept(&mut self) {
        let Some(listener) = &self.listener else { return };
        match listener.accept() {
            Ok((stream, _)) => {
                let is_welcome = self.callers.len() < CALLERS_MAX && is_one_of_us(&stream).unwrap_or(false);
                if let (true, Ok(caller)) = (is_welcome, Caller::new(stream)) {
                    let id = CallerId(self.next_caller);
                    self.next_caller += 1;
                    // What cannot be polled is dropped: the caller sees the end of the call.
                    let _ = self.receive(id, caller);
                }
            }
            Err(error) if has_no_room(&error) => {
                let _ = self.epoll.delete(listener);
                self.is_listening = false;
            }
            // It has gone again.
            Err(_) => {}
        }
    }

    fn receive(&mut self, id: CallerId, caller: Caller) -> io::Result<()> {
        self.epoll.add(&caller, EpollEvent::new(caller.polled, id.0))?;
        self.callers.insert(id.0, caller);
        Ok(())
    }

    /// Something has happened to a caller's connection.
    fn attend(&mut self, id: u64, events: EpollFlags) {
        let Some(caller) = self.callers.get_mut(&id) else { return };
        let mut is_gone = events.contains(EpollFlags::EPOLLERR);
        let mut said = Vec::new();
        if events.contains(EpollFlags::EPOLLOUT) {
            is_gone |= caller.write().is_err();
        }
        if events.contains(EpollFlags::EPOLLIN) && !caller.has_ended {
            match caller.read() {
                Ok(heard) => said = heard,
                Err(_) => is_gone = true,
            }
        } else if events.contains(EpollFlags::EPOLLHUP) {
            // Both directions have ended, and everything that it had said was read.
            is_gone = true;
        }
        let from = CallerId(id);
        for said in said {
            self.say(match said {
                Said::Line(line) => Happening::Heard { from, line: Some(line) },
                Said::TooMuch => Happening::Heard { from, line: None },
                Said::End => Happening::Left { caller: from },
            });
        }
        self.settle(id, is_gone);
    }

    fn work(&mut self, task: Task) {
        match task {
            Task::Tell { to, line, may_be_left_out } => self.tell(to.0, &line, may_be_left_out),
            Task::HangUp(on) => {
                if let Some(caller) = self.callers.get_mut(&on.0) {
                    caller.is_leaving = true;
                    caller.has_ended = true;
                }
                self.settle(on.0, false);
            }
            Task::Deafen => self.outbox = None,
            Task::Close { last, bound } => {
                self.outbox = None;
                self.listener = None;
                let ids: Vec<u64> = self.callers.keys().copied().collect();
                for id in ids {
                    self.tell(id, &last, false);
                    self.work(Task::HangUp(CallerId(id)));
                }
                self.close_at = Some(self.clock.now() + bound);
            }
        }
    }

    fn tell(&mut self, to: u64, line: &[u8], may_be_left_out: bool) {
        let Some(caller) = self.callers.get_mut(&to) else { return };
        let is_gone = caller.tell(line, may_be_left_out).is_err();
        self.settle(to, is_gone);
    }

    /// Ends a call that is over; else waits for what it now needs.
    fn settle(&mut self, id: u64, is_gone: bool) {
        let Some(caller) = self.callers.get_mut(&id) else { return };
        if is_gone || caller.is_done() {
            let has_told = caller.has_ended;
            let _ = self.epoll.delete(&*caller);
            self.callers.remove(&id);
            if !has_told {
                self.say(Happening::Left { caller: CallerId(id) });
            }
            return;
        }
        let interest = caller.interest();
        if interest != caller.polled {
            caller.polled = interest;
            self.epoll.modify(&*caller, &mut EpollEvent::new(interest, id)).expect("it was added when it came");
        }
    }

    fn say(&self, what: Happening) {
        if let Some(outbox) = &self.outbox {
            // If the driver is gone, so is the run.
            let _ = outbox.send(Outside { at: self.clock.now(), what });
        }
    }
}

/// True if the system has no descriptor or memory for a caller now; it will have later.
fn has_no_room(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw);
    matches!(errno, Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM))
}
