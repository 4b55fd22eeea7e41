//! A delegate in this very process: the file found on `CNI_PATH` is the executable that is running.
//!
//! It reads the same environment and the same bytes and gives the same answer as the process that would have been
//! started, one test compares the two; what is saved is starting it. It works on a thread of its own, as a process would
//! beside its caller. A thread cannot be made to end: told to stop it sees the same signal as everything in this process
//! and takes its changes back, and one that does not come to an end dies with the process, where a started one would
//! have been killed.

use super::process::{Ended, GRACE, sleep_on};
use crate::run::answer;
use crate::{Environment, Plugin, Siblings, Verb};
use rustix::event::{PollFd, PollFlags};
use rustix::fs::stat;
use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::BorrowedFd;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// The plugin of that name in this executable, if `path` is this executable.
pub fn find(name: &str, path: &Path, siblings: Siblings) -> Option<&'static Plugin> {
    let plugin = siblings.iter().find(|plugin| plugin.name == name)?;
    let (found, own) = (stat(path).ok()?, stat("/proc/self/exe").ok()?);
    ((found.st_dev, found.st_ino) == (own.st_dev, own.st_ino)).then_some(plugin)
}

/// A delegate at work on a thread.
#[derive(Debug)]
pub struct Here {
    thread: Option<JoinHandle<(bool, String)>>,
    /// At its end once the thread is done.
    end: PipeReader,
    started: Instant,
}

impl Here {
    /// Lets the plugin answer to a verb.
    pub fn start(
        plugin: &'static Plugin,
        siblings: Siblings,
        verb: Verb,
        stdin: Arc<[u8]>,
    ) -> io::Result<Self> {
        let (end, done) = io::pipe()?;
        let environment = Environment {
            command: Some(verb.as_str().into()),
            ..Environment::of_process()
        };
        let work = move || {
            let _done: PipeWriter = done;
            let answer = answer(plugin, siblings, &environment, |_| Ok(stdin.to_vec()));
            (answer.succeeds(), answer.text())
        };
        let thread = thread::Builder::new().name(plugin.name.to_owned());
        Ok(Self {
            thread: Some(thread.spawn(work)?),
            end,
            started: Instant::now(),
        })
    }

    /// Waits for the answer; after `deadline`, counted from the start, or some time after `stop` became readable, no
    /// longer.
    pub fn wait(&mut self, deadline: Duration, stop: Option<BorrowedFd<'_>>) -> io::Result<Ended> {
        let mut until = self.started + deadline;
        let mut stop = stop;
        let mut stopped = false;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                // Not waited for any more, not by `drop` either.
                self.thread = None;
                return Ok(if stopped { Ended::Stopped } else { Ended::Late });
            }
            let mut fds = vec![PollFd::new(&self.end, PollFlags::IN)];
            if let Some(stop) = &stop {
                fds.push(PollFd::new(stop, PollFlags::IN));
            }
            sleep_on(&mut fds, left)?;
            let ready = |fd: Option<&PollFd<'_>>| fd.is_some_and(|fd| !fd.revents().is_empty());
            if ready(fds.first()) {
                let ended = self.joined()?;
                return Ok(if stopped { Ended::Stopped } else { ended });
            }
            if ready(fds.get(1)) {
                stopped = true;
                stop = None;
                until = until.min(Instant::now() + GRACE);
            }
        }
    }

    fn joined(&mut self) -> io::Result<Ended> {
        let answer = self.thread.take().map(JoinHandle::join);
        let Some(Ok((succeeds, text))) = answer else {
            return Err(io::Error::other("it ended without an answer"));
        };
        // As wait(2) has it: the exit code in the second byte.
        let status = ExitStatus::from_raw(if succeeds { 0 } else { 1 << 8 });
        let output = text.into_bytes();
        Ok(Ended::Exited { status, output })
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        // What comes next may be its DEL, which has to come after its ADD.
        if self.thread.is_some() {
            let left = super::DELEGATE_DEADLINE.saturating_sub(self.started.elapsed());
            let mut fds = [PollFd::new(&self.end, PollFlags::IN)];
            let _ = sleep_on(&mut fds, left);
        }
    }
}
