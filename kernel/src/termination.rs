//! SIGTERM, SIGINT and SIGHUP, held back while a verb changes things, so that it can take them back first.
//!
//! Until a plugin holds a [`Termination`], the signals keep their default action: a process that has made nothing may
//! simply die.

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// The request to stop, as something to ask for and to wait on.
///
/// Once one exists the signals stay blocked until the process ends, also in threads started later; a program started
/// by the standard library begins with no signal blocked.
#[derive(Debug)]
pub struct Termination {
    signals: SignalFd,
}

impl Termination {
    /// Holds the signals back from now on.
    pub fn defer() -> io::Result<Self> {
        let mut set = SigSet::empty();
        for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
            set.add(signal);
        }
        set.thread_block()?;
        let signals = SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        Ok(Self { signals })
    }

    /// Whether a stop has been asked for.
    pub fn requested(&self) -> bool {
        let mut fds = [PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        loop {
            match poll(&mut fds, PollTimeout::ZERO) {
                Err(Errno::EINTR) => {}
                polled => return polled.is_ok_and(|ready| ready > 0),
            }
        }
    }
}

impl AsFd for Termination {
    /// Becomes readable, and stays so, once a stop has been asked for.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.signals.as_fd()
    }
}
