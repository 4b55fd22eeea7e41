//! Waiting for the kernel to get somewhere: on its events, never by sleeping.

use super::{Error, Rtnl};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

/// What rtnetlink tells of.
#[derive(Clone, Copy, Debug)]
pub enum Events {
    /// Links come, go and change state.
    Links,
    /// IPv6 addresses come, go and stop being tentative.
    AddressesV6,
}

impl Events {
    const fn group(self) -> u32 {
        match self {
            Self::Links => 1,
            Self::AddressesV6 => 9,
        }
    }
}

/// Waits until `probe` finds what it looks for, looking again whenever an event of that kind arrives.
///
/// Usually the first look finds it and nothing is subscribed to. The events are those of the calling thread's
/// namespace. `stop` ends the wait as soon as it is readable.
pub fn wait<T>(
    rtnl: &mut Rtnl,
    events: Events,
    limit: Duration,
    stop: BorrowedFd<'_>,
    what: &str,
    mut probe: impl FnMut(&mut Rtnl) -> Result<Option<T>, Error>,
) -> Result<T, Error> {
    if let Some(found) = probe(rtnl)? {
        return Ok(found);
    }
    let deadline = Instant::now() + limit;
    let socket =
        subscribe(events).map_err(|e| Error::io(format!("subscribe to events for {what}"), e))?;
    loop {
        if let Some(found) = probe(rtnl)? {
            return Ok(found);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Error::Late {
                what: what.to_owned(),
                seconds: limit.as_secs(),
            });
        }
        if stopped_while_waiting(&socket, stop, left) {
            return Err(Error::Stopped {
                what: what.to_owned(),
            });
        }
        drain(&socket);
    }
}

fn subscribe(events: Events) -> io::Result<Socket> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind(&SocketAddr::new(0, 0))?;
    socket.add_membership(events.group())?;
    socket.set_non_blocking(true)?;
    Ok(socket)
}

fn stopped_while_waiting(socket: &Socket, stop: BorrowedFd<'_>, left: Duration) -> bool {
    let mut fds = [
        PollFd::new(socket.as_fd(), PollFlags::POLLIN),
        PollFd::new(stop, PollFlags::POLLIN),
    ];
    // Rounded up, or the last millisecond would be spent spinning.
    let timeout = PollTimeout::try_from(left.as_millis() + 1).unwrap_or(PollTimeout::MAX);
    match poll(&mut fds, timeout) {
        Ok(_) | Err(Errno::EINTR) => {}
        Err(_) => return true,
    }
    fds[1].any().unwrap_or(false)
}

/// Throws the events away: each only means "look again". An overrun means the same.
fn drain(socket: &Socket) {
    let mut events = Vec::with_capacity(16 * 1024);
    loop {
        events.clear();
        match socket.recv(&mut events, 0) {
            Ok(_) => {}
            Err(error) if error.raw_os_error() == Some(Errno::ENOBUFS as i32) => {}
            Err(_) => return,
        }
    }
}
