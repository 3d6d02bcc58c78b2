//! Keeping the cluster of a run that did not pass: judged while its nodes are up, then left to people, who act by hand and end it.

use std::time::Duration;

use dsbench_core::history::History;
use dsbench_core::observation::Ending;
use dsbench_core::time::RunTime;
use dsbench_world::{CallerId, DeskConfig};

use super::hands::{Hands, Held};
use super::{Driver, Due};
use crate::control::Word;
use crate::store::Recorder;

/// How long after the end what had happened before it may still come in: more than any thread of the bench needs.
const SETTLING: Duration = Duration::from_millis(200);

/// Decides whether the cluster stays up, and takes care of the run's results if it does.
pub(crate) trait Keeper {
    /// True if the cluster of a run with this history is wanted.
    fn wants(&mut self, history: &History) -> bool;

    /// The run is over; what is recorded from now on belongs to nobody's verdict. The error is for people: then the cluster cannot stay.
    fn keep(&mut self, recorder: &mut Recorder) -> Result<Stay, String>;
}

/// What a cluster needs that stays up.
#[derive(Debug)]
pub(crate) struct Stay {
    /// Where callers come from.
    pub(crate) desk: DeskConfig,
    /// The run's exit code, for whoever has asked for it.
    pub(crate) code: u8,
}

/// How a run has ended.
#[derive(Debug)]
pub(crate) struct Driven {
    /// The signal that cut short what came after the run's end (a teardown, the asking of check programs), if one did.
    pub(crate) interrupted: Option<i32>,
    /// How it went on, if its cluster was kept.
    pub(crate) held: Option<Held>,
}

/// Where a run stands that may be kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Keeping {
    /// It goes on, or is not to be kept.
    #[default]
    No,
    /// It has ended, and is about to be judged.
    Settling,
    /// It was judged; its cluster is up.
    Kept,
}

impl Driver<'_> {
    /// The run has ended: it is judged while the nodes are up, if they may be wanted; else they are stopped.
    pub(super) fn begin_end(&mut self, at: RunTime) {
        let is_lost = self.ending.is_broken
            || matches!(self.ending.because, Some(Ending::Interrupted { .. } | Ending::Environment | Ending::ByHand));
        if self.keeper.is_none() || is_lost {
            return self.begin_teardown();
        }
        self.ending.keeping = Keeping::Settling;
        self.ending.sealed = Some(at);
        self.agenda.push(at + SETTLING, Due::Judge);
    }

    /// What had happened in the run has come in.
    pub(super) fn judge(&mut self) {
        if self.ending.keeping != Keeping::Settling {
            return;
        }
        let interrupted = self.ask_check_programs();
        self.ending.asked = Some(interrupted);
        let is_wanted = interrupted.is_none()
            && !self.ending.is_broken
            && self.ending.keeping == Keeping::Settling
            && self.keeper.as_mut().is_some_and(|keeper| keeper.wants(self.recorder.history()));
        if !is_wanted {
            return self.let_go();
        }
        let hands = Hands::kept(self.recorder.history());
        self.live.close();
        self.ending.has_closed_screen = true;
        let Some(keeper) = self.keeper.as_mut() else { return self.let_go() };
        let stay = keeper.keep(self.recorder).and_then(|Stay { desk, code }| {
            self.world.open_desk(desk).map(|()| code).map_err(|error| error.to_string())
        });
        match stay {
            Ok(code) => {
                self.ending.keeping = Keeping::Kept;
                self.hands = Some(hands);
                if let Some(desk) = self.world.desk() {
                    desk.tell(CallerId::OWNER, Word::Kept { code }.to_line());
                }
            }
            Err(why) => {
                self.warn(format!("the cluster cannot stay up: {why}"));
                self.let_go();
            }
        }
    }

    /// Somebody has ended a cluster by hand, or is gone who owned it.
    pub(super) fn end_by_hand(&mut self) {
        if self.ending.because.is_none() {
            self.end(Ending::ByHand);
        } else {
            self.let_go();
        }
    }

    /// The nodes are wanted no more; nothing happens if they are being stopped already.
    pub(super) fn let_go(&mut self) {
        if self.ending.keeping == Keeping::No {
            return;
        }
        self.ending.keeping = Keeping::No;
        self.hands_off();
        self.drop_jobs();
        self.begin_teardown();
    }

    /// True from the end of a run to the end of its cluster.
    pub(super) fn is_kept(&self) -> bool {
        self.ending.keeping != Keeping::No
    }

    /// How it has ended. Check programs that were not asked yet are asked now, when nothing of the nodes is left.
    pub(super) fn driven(mut self) -> Driven {
        let interrupted = self.ending.asked.unwrap_or_else(|| self.ask_check_programs());
        let held = self.hands.is_some().then(|| self.held());
        Driven { interrupted, held }
    }

    /// A moment at which something was seen. After the end of a run that is judged, nothing is as old as the run: else a history that is read
    /// again would be judged by more than this one.
    pub(super) fn placed(&self, at: RunTime) -> RunTime {
        match (self.ending.sealed, self.ending.asked) {
            (Some(sealed), Some(_)) => at.max(sealed + Duration::from_nanos(1)),
            _ => at,
        }
    }
}
