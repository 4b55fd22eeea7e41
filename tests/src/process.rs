//! A process on a host that ends with the test, is watched by events, and whose output is kept.

use crate::place::Place;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A running process.
#[derive(Debug)]
pub(crate) struct Process {
    pid: u32,
    pidfd: OwnedFd,
    keeper: JoinHandle<ExitStatus>,
}

impl Process {
    /// Starts a program on a place, its output added to `log` there.
    pub(crate) fn start(place: &Place, command: &[OsString], log: &Path) -> Self {
        Self::start_after(|| {}, place, command, log)
    }

    /// The same, by a thread that does something to itself before.
    pub(crate) fn start_after(
        prepare: impl FnOnce() + Send + 'static,
        place: &Place,
        command: &[OsString],
        log: &Path,
    ) -> Self {
        let (tell, started) = mpsc::channel();
        let (place, command, log) = (place.clone(), command.to_vec(), log.to_owned());
        // The kernel kills the program when the thread that started it goes: with the whole test, or with this thread, which
        // therefore stays until the program has ended.
        let keeper = std::thread::Builder::new().name("keeper".to_owned());
        let keeper = keeper.spawn(move || {
            place.run(|| {
                let log = std::fs::File::options()
                    .create(true)
                    .append(true)
                    .open(&log)
                    .expect("open the log");
                prepare();
                let mut child = Command::new("setpriv")
                    .args(["--pdeathsig", "KILL", "--"])
                    .args(&command)
                    .stdin(Stdio::null())
                    .stdout(log.try_clone().expect("duplicate the log"))
                    .stderr(log)
                    .spawn()
                    .expect("start setpriv (util-linux)");
                let raw = i32::try_from(child.id()).expect("a process id");
                let pid = Pid::from_raw(raw).expect("a process id");
                let pidfd = pidfd_open(pid, PidfdFlags::empty()).expect("open the process");
                // Nobody listens when the test is over already.
                let _ = tell.send((child.id(), pidfd));
                child.wait().expect("wait for the process")
            })
        });
        let keeper = keeper.expect("start a thread");
        let (pid, pidfd) = started.recv().expect("start the process");
        Self { pid, pidfd, keeper }
    }

    pub(crate) const fn pid(&self) -> u32 {
        self.pid
    }

    pub(crate) fn has_ended(&self) -> bool {
        wait_for(&[self.pidfd.as_fd()], Duration::ZERO)
    }

    /// Waits until the process has ended or `event` can be read, for some time.
    pub(crate) fn wait_with(&self, event: BorrowedFd<'_>, patience: Duration) {
        wait_for(&[self.pidfd.as_fd(), event], patience);
    }

    /// Sends a signal; None when the process has not ended in time.
    pub(crate) fn end(self, signal: Signal, patience: Duration) -> Option<ExitStatus> {
        // It may have ended by itself.
        let _ = pidfd_send_signal(&self.pidfd, signal);
        if wait_for(&[self.pidfd.as_fd()], patience) {
            return self.keeper.join().ok();
        }
        let _ = pidfd_send_signal(&self.pidfd, Signal::KILL);
        let _ = self.keeper.join();
        None
    }
}

/// Waits until one of `events` can be read, for some time.
fn wait_for(events: &[BorrowedFd<'_>], patience: Duration) -> bool {
    let patience = Timespec::try_from(patience).expect("a time that the kernel can count");
    let mut polled: Vec<_> = events
        .iter()
        .map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN))
        .collect();
    poll(&mut polled, Some(&patience)).is_ok_and(|ready| ready > 0)
}

/// The appearance of a socket, as an event.
#[derive(Debug)]
pub(crate) struct Appearance {
    inotify: OwnedFd,
    place: Place,
    socket: PathBuf,
}

impl Appearance {
    /// Watches for `socket` from now on. Its directory is made.
    pub(crate) fn of(place: &Place, socket: &Path) -> Self {
        use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};
        let dir = socket.parent().expect("a socket lies in a directory");
        let inotify = init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).expect("make an inotify");
        place.run(|| {
            std::fs::create_dir_all(dir).expect("make the socket's directory");
            let appears = WatchFlags::CREATE | WatchFlags::MOVED_TO;
            add_watch(&inotify, dir, appears).expect("watch the socket's directory");
        });
        Self {
            inotify,
            place: place.clone(),
            socket: socket.to_owned(),
        }
    }

    /// Whether somebody listens. When not, it is worth another look after the next [`event`](Self::event).
    pub(crate) fn listens(&self) -> bool {
        let mut events = [0; 4096];
        let mut appeared = false;
        while rustix::io::read(&self.inotify, &mut events).is_ok_and(|read| read > 0) {
            appeared = true;
        }
        // A new socket refuses between bind(2) and listen(2), for microseconds; an old one that a dead server left, always.
        let deadline = Instant::now() + Duration::from_secs(1);
        self.place.run(|| {
            while UnixStream::connect(&self.socket).is_err() {
                if !appeared || Instant::now() > deadline {
                    return false;
                }
                std::thread::yield_now();
            }
            true
        })
    }

    /// Waits until somebody listens; false when nobody does in time.
    pub(crate) fn wait(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        while !self.listens() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            wait_for(&[self.event()], left);
        }
        true
    }

    /// Can be read when the socket's directory has changed.
    pub(crate) fn event(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}
