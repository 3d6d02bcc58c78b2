//! Launching a program: its pipes, its places in both threads, and the request to the guardian.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::pipe2;

use crate::capture::{self, Follow, Opening, Patterns};
use crate::control;
use crate::error::WorldError;
use crate::lab::Placement;
use crate::outside::Who;
use crate::process::{Channel, Program};
use crate::world::World;

/// Room in each output pipe: how much a program can print while the bench is not looking. Not more, because an ordinary user may have
/// 64 MiB of it in all.
const PIPE_BYTES: i32 = 256 * 1024;

/// What a launch needs.
pub(crate) struct Launch {
    pub(crate) who: Who,
    pub(crate) program: Program,
    pub(crate) its_stdin: OwnedFd,
    pub(crate) stdin: Option<OwnedFd>,
    pub(crate) patterns: [Option<Box<dyn Patterns>>; 2],
    pub(crate) files: Vec<Follow>,
    pub(crate) label: bool,
    pub(crate) place: Option<Placement>,
}

impl World {
    /// Prepares both threads for a program, then asks for its keeper.
    pub(crate) fn launch(&mut self, launch: Launch) -> Result<(u64, Arc<Channel>), WorldError> {
        let key = self.number();
        let Some(machinery) = &self.machinery else { return Err(WorldError::NoGuardian) };
        let (channel, its_channel) = Channel::pair().map_err(|errno| WorldError::system("make a socket", errno))?;
        let (stdout, its_stdout) = output_pipe()?;
        let (stderr, its_stderr) = output_pipe()?;
        // A relative directory means one of dsbench's; keepers live in another.
        let cwd = std::path::absolute(&launch.program.cwd)
            .map_err(|error| WorldError::system("find the working directory", error))?;
        let program = Program { cwd, ..launch.program };
        let Launch { who, patterns, files, label, place, .. } = launch;
        let opening = Opening { key, who: who.clone(), pipes: [stdout, stderr], patterns, files, label };
        machinery.capture.mailbox.put(capture::Task::Open(Box::new(opening)));
        let channel = Arc::new(channel);
        let stdin = launch.stdin;
        machinery.control.mailbox.put(control::Task::Keep {
            key,
            who,
            channel: channel.clone(),
            stdin,
            joins: place.as_ref().is_some_and(|place| place.joins.is_some()),
        });
        let stdio = [launch.its_stdin, its_stdout, its_stderr];
        if let Err(error) = machinery.guardian.keep(key, &its_channel, &program, place, &stdio) {
            machinery.control.mailbox.put(control::Task::NotKept { key, why: error.told() });
        }
        Ok((key, channel))
    }
}

/// A pipe for one output: the end that is read without waiting, and the program's.
fn output_pipe() -> Result<(OwnedFd, OwnedFd), WorldError> {
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC).map_err(|errno| WorldError::system("make a pipe", errno))?;
    set_nonblocking(&reader)?;
    // More than the default if the system allows it; less is no fault.
    let _ = fcntl(&reader, FcntlArg::F_SETPIPE_SZ(PIPE_BYTES));
    Ok((reader, writer))
}

pub(crate) fn set_nonblocking(fd: &impl AsFd) -> Result<(), WorldError> {
    // Only this end: the program's own end has its flags in another open file.
    fcntl(fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))
        .map(drop)
        .map_err(|errno| WorldError::system("prepare a pipe", io::Error::from(errno)))
}
