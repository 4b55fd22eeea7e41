//! A child process that is fed, read and waited for without ever blocking on one of the three.
//!
//! Its input and output may be larger than a pipe holds, in both directions at once; it may close
//! either early, leave its output open in a child of its own, or not end at all. It is always
//! reaped: a process that is dropped unfinished is told to end, and after a grace made to.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, ioctl_fionbio, read, write};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How much of an output is read, in bytes.
pub const LARGEST_OUTPUT: usize = 8 << 20;

/// How long a process that was told to end may still take.
pub const GRACE: Duration = Duration::from_secs(2);

/// How often to look for the end of a process where the kernel (before 5.3) cannot tell of it.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// How long a file that is just being replaced may count as busy, in ever longer pauses.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(512);

/// A child at work.
#[derive(Debug)]
pub struct Process {
    child: Child,
    started: Instant,
    /// Readable once the child has ended.
    end: Option<OwnedFd>,
    input: Option<Input>,
    output: Option<ChildStdout>,
    printed: Vec<u8>,
    status: Option<ExitStatus>,
}

/// What is still to be written to the child.
#[derive(Debug)]
struct Input {
    pipe: ChildStdin,
    bytes: Arc<[u8]>,
    written: usize,
}

/// How waiting came to an end; the child has ended in each case.
#[derive(Debug)]
pub enum Ended {
    /// By itself.
    Exited {
        /// How.
        status: ExitStatus,
        /// All that it printed.
        output: Vec<u8>,
    },
    /// It printed more than [`LARGEST_OUTPUT`].
    Flooded,
    /// It took too long.
    Late,
    /// The caller was asked to stop.
    Stopped,
}

impl Process {
    /// Starts the command and hands it as much of its input as its pipe takes.
    pub fn start(command: &mut Command, input: Arc<[u8]>) -> io::Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = spawn(command)?;
        let input = child.stdin.take().map(|pipe| Input {
            pipe,
            bytes: input,
            written: 0,
        });
        let mut process = Self {
            end: pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).ok(),
            started: Instant::now(),
            input,
            output: child.stdout.take(),
            printed: Vec::new(),
            status: None,
            child,
        };
        if let Some(input) = &process.input {
            ioctl_fionbio(&input.pipe, true)?;
        }
        if let Some(output) = &process.output {
            ioctl_fionbio(output, true)?;
        }
        process.feed()?;
        Ok(process)
    }

    /// The child's process id.
    #[cfg(test)]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the child has ended, by itself or because it is made to: when `stop` becomes
    /// readable, or the deadline, counted from the start, has passed.
    pub fn wait(&mut self, deadline: Duration, stop: Option<BorrowedFd<'_>>) -> io::Result<Ended> {
        let until = self.started + deadline;
        loop {
            self.feed()?;
            // Asked before reading, so that nothing printed before the end is missed.
            let exited = self.exited()?;
            self.drain()?;
            if self.printed.len() > LARGEST_OUTPUT {
                self.end()?;
                return Ok(Ended::Flooded);
            }
            if let Some(status) = exited {
                let output = std::mem::take(&mut self.printed);
                return Ok(Ended::Exited { status, output });
            }
            match self.sleep(until, stop)? {
                Woken::Stop => {
                    self.end()?;
                    return Ok(Ended::Stopped);
                }
                Woken::Timeout => {
                    self.end()?;
                    return Ok(Ended::Late);
                }
                Woken::Child => {}
            }
        }
    }

    /// Writes until the pipe is full or the input at its end, which the child sees as its end too.
    fn feed(&mut self) -> io::Result<()> {
        while let Some(input) = &mut self.input {
            let rest = input.bytes.get(input.written..).unwrap_or_default();
            if rest.is_empty() {
                self.input = None;
                break;
            }
            match write(&input.pipe, rest) {
                Ok(length) => input.written += length,
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                // Whoever does not want to read need not.
                Err(Errno::PIPE) => self.input = None,
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }

    /// Reads what there is.
    fn drain(&mut self) -> io::Result<()> {
        let mut chunk = [0; 8192];
        while let Some(output) = &self.output {
            if self.printed.len() > LARGEST_OUTPUT {
                self.output = None;
                break;
            }
            match read(output, &mut chunk) {
                Ok(0) => self.output = None,
                Ok(length) => {
                    let read = chunk.get(..length).unwrap_or_default();
                    self.printed.extend_from_slice(read);
                }
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }

    /// Reaps the child if it has ended.
    fn exited(&mut self) -> io::Result<Option<ExitStatus>> {
        if self.status.is_none() {
            self.status = self.child.try_wait()?;
        }
        Ok(self.status)
    }

    /// Sleeps until the child or the caller has something new.
    fn sleep(&self, until: Instant, stop: Option<BorrowedFd<'_>>) -> io::Result<Woken> {
        let mut fds = Vec::with_capacity(4);
        // First, so that it can be found again.
        if let Some(stop) = &stop {
            fds.push(PollFd::new(stop, PollFlags::IN));
        }
        if let Some(input) = &self.input {
            fds.push(PollFd::new(&input.pipe, PollFlags::OUT));
        }
        if let Some(output) = &self.output {
            fds.push(PollFd::new(output, PollFlags::IN));
        }
        if let Some(end) = &self.end {
            fds.push(PollFd::new(end, PollFlags::IN));
        }
        let mut left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(Woken::Timeout);
        }
        if self.end.is_none() {
            left = left.min(LOOK_AGAIN);
        }
        sleep_on(&mut fds, left)?;
        let stopped = stop.is_some() && fds.first().is_some_and(|fd| !fd.revents().is_empty());
        Ok(if stopped { Woken::Stop } else { Woken::Child })
    }

    /// Tells the child to end, makes it end after a grace, and reaps it.
    fn end(&mut self) -> io::Result<()> {
        if self.exited()?.is_some() {
            return Ok(());
        }
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let until = Instant::now() + GRACE;
        while self.exited()?.is_none() {
            // What it still has to say must not hold it up.
            self.drain()?;
            if let Woken::Timeout = self.sleep(until, None)? {
                self.child.kill()?;
                self.status = Some(self.child.wait()?);
            }
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // There is nobody to tell, and nothing else to try.
        let _ = self.end();
    }
}

/// What ended a sleep.
enum Woken {
    Stop,
    Timeout,
    Child,
}

/// Starts the command; a file that somebody still holds open for writing is tried again.
fn spawn(command: &mut Command) -> io::Result<Child> {
    let mut pause = FIRST_PAUSE;
    loop {
        match command.spawn() {
            Err(error)
                if error.kind() == io::ErrorKind::ExecutableFileBusy && pause <= LONGEST_PAUSE =>
            {
                sleep_on(&mut [], pause)?;
                pause *= 2;
            }
            spawned => return spawned,
        }
    }
}

/// Sleeps until one of the descriptors is ready, the time has passed, or a signal comes.
pub fn sleep_on(fds: &mut [PollFd<'_>], time: Duration) -> io::Result<()> {
    let timeout = Timespec::try_from(time).map_err(io::Error::other)?;
    match poll(fds, Some(&timeout)) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}
