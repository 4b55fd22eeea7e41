//! The netlink socket itself: numbering requests, sending them, receiving what comes back.
//!
//! The kernel carries a request out while it is being sent, so that its answer waits when the sending returns; only a
//! long listing is written while it is read.

use super::error::{Error, Malformed};
use super::message::Messages;
use super::reply::{Reply, parse_replies};
use netlink_sys::SocketAddr;
use netlink_sys::protocols::NETLINK_NETFILTER;
use nix::errno::Errno;
use nix::libc::{ENOBUFS, MSG_DONTWAIT, MSG_TRUNC};
use nix::sys::socket::{setsockopt, sockopt};
use nix::sys::time::{TimeVal, TimeValLike};
use std::io;

/// Room for answers that wait in the kernel.
const RECEIVE_BUFFER: usize = 1 << 20;
/// The longest part of an answer; the kernel makes none longer than 32 KiB.
const DATAGRAM: usize = 1 << 16;
/// The largest transaction, in bytes: about 100,000 elements.
const LARGEST: usize = 16 << 20;
/// What the kernel adds to a datagram when it compares it with the send buffer.
const OVERHEAD: usize = 1 << 10;
/// The send buffer that every socket has at least, where `net.core.wmem_default` was not lowered.
const SMALL: usize = 64 << 10;

pub(super) struct Connection {
    socket: netlink_sys::Socket,
    sequence: u32,
    datagram: Vec<u8>,
    /// How to receive: without waiting, once the kernel has said that it had to drop an answer.
    receiving: i32,
}

impl Connection {
    /// Opens a connection to the netfilter of the calling thread's network namespace.
    pub(super) fn open() -> Result<Self, Error> {
        const WHAT: &str = "open a netfilter socket";
        let socket = netlink_sys::Socket::new(NETLINK_NETFILTER).map_err(|error| {
            match error.raw_os_error().map(Errno::from_raw) {
                Some(Errno::EPROTONOSUPPORT | Errno::EAFNOSUPPORT) => Error::no_nf_tables(WHAT),
                _ => Error::io(WHAT, error),
            }
        })?;
        configure(&socket).map_err(|error| Error::io(WHAT, error))?;
        let datagram = Vec::with_capacity(DATAGRAM);
        Ok(Self {
            socket,
            sequence: 0,
            datagram,
            receiving: MSG_TRUNC,
        })
    }

    /// Sends requests in one datagram and gives the number of the first.
    pub(super) fn send(
        &mut self,
        messages: &mut Messages,
        acknowledged: Option<usize>,
        what: &str,
    ) -> Result<u32, Error> {
        self.receiving = MSG_TRUNC;
        let first = self.sequence.wrapping_add(1);
        let count = u32::try_from(messages.count()).unwrap_or(u32::MAX);
        self.sequence = self.sequence.wrapping_add(count);
        let datagram = messages.numbered(first, acknowledged);
        if datagram.len() > LARGEST {
            let why = format!("{} bytes are too many for one transaction", datagram.len());
            return Err(Error::Invalid {
                what: what.to_owned(),
                why,
            });
        }
        if datagram.len() + OVERHEAD > SMALL {
            make_room(&self.socket, datagram.len() + OVERHEAD);
        }
        loop {
            match self.socket.send(datagram, 0) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::io(what, error)),
                Ok(_) => return Ok(first),
            }
        }
    }

    /// The messages of the next datagram.
    pub(super) fn receive(&mut self, what: &str) -> Result<Vec<Reply>, Error> {
        let malformed = |source| Error::Malformed {
            what: what.to_owned(),
            source,
        };
        self.datagram.clear();
        loop {
            match self.socket.recv(&mut self.datagram, self.receiving) {
                Ok(length) if length > self.datagram.len() => {
                    return Err(malformed(Malformed::Message));
                }
                Ok(_) => return parse_replies(&self.datagram).map_err(malformed),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.raw_os_error() == Some(ENOBUFS) => {
                    self.receiving |= MSG_DONTWAIT;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Err(malformed(Malformed::Unfinished));
                }
                Err(error) => return Err(Error::io(what, error)),
            }
        }
    }
}

fn configure(socket: &netlink_sys::Socket) -> io::Result<()> {
    // Both make for better messages only; old kernels have neither.
    let _ = socket.set_ext_ack(true);
    let _ = socket.set_cap_ack(true);
    if setsockopt(socket, sockopt::RcvBufForce, &RECEIVE_BUFFER).is_err() {
        let _ = setsockopt(socket, sockopt::RcvBuf, &RECEIVE_BUFFER);
    }
    // Answers wait when a request has been sent; should one be lost all the same, no verb may hang for it.
    setsockopt(socket, sockopt::ReceiveTimeout, &TimeVal::seconds(10))?;
    // Datagrams of other processes do not get through to a connected socket.
    socket.connect(&SocketAddr::new(0, 0))
}

/// Raises the send buffer, as far as the system lets it; sending says so if that is not enough.
fn make_room(socket: &netlink_sys::Socket, bytes: usize) {
    if setsockopt(socket, sockopt::SndBufForce, &bytes).is_err() {
        let _ = setsockopt(socket, sockopt::SndBuf, &bytes);
    }
}
