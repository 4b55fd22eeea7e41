//! A blocking rtnetlink socket: requests out in one datagram, acknowledgements in.
//!
//! A request is data ([`Request`]), made by the modules beside this one; several of them go out together and the kernel
//! works through them in order. That is not a transaction: after a refusal the later ones still run, so whoever sends a
//! batch has recorded the undo of all of it. Only the last request asks for an acknowledgement, because refusals are
//! reported unasked.

use super::{Error, extack};
use netlink_packet_core::{
    Emitable, NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR,
    NetlinkBuffer, NlasIterator,
};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use nix::errno::Errno;
use rustix::net::netdevice::name_to_index;
use std::io;
use std::net::IpAddr;

pub(super) const RTM_NEWLINK: u16 = 16;
pub(super) const RTM_DELLINK: u16 = 17;
pub(super) const RTM_GETLINK: u16 = 18;
pub(super) const RTM_SETLINK: u16 = 19;
pub(super) const RTM_NEWADDR: u16 = 20;
pub(super) const RTM_DELADDR: u16 = 21;
pub(super) const RTM_GETADDR: u16 = 22;
pub(super) const RTM_NEWROUTE: u16 = 24;
pub(super) const RTM_DELROUTE: u16 = 25;
pub(super) const RTM_GETROUTE: u16 = 26;
/// `struct ifinfomsg`, which stands before the attributes of a link.
pub(super) const IFINFOMSG: usize = 16;

/// The largest reply datagram: the kernel fills dumps up to this size when the reader offers as much.
const REPLY_CAPACITY: usize = 32 * 1024;
const HEADER: usize = 16;
const ATTRIBUTE_HEADER: usize = 4;
/// How often a dump that changed underneath is asked for again.
const DUMP_ATTEMPTS: usize = 16;

/// One request to the kernel, and the phrase that names it in an error.
#[derive(Debug)]
#[must_use = "a request does nothing until it is sent"]
pub struct Request {
    kind: u16,
    flags: u16,
    body: Vec<u8>,
    what: String,
    tolerated: Option<Errno>,
}

impl Request {
    pub(super) fn new(
        kind: u16,
        flags: u16,
        message: &impl Emitable,
        what: impl Into<String>,
    ) -> Self {
        let mut body = vec![0; message.buffer_len()];
        message.emit(&mut body);
        Self {
            kind,
            flags,
            body,
            what: what.into(),
            tolerated: None,
        }
    }

    /// The same request, for which this refusal is as good as success.
    pub fn tolerating(self, errno: Errno) -> Self {
        Self {
            tolerated: Some(errno),
            ..self
        }
    }

    pub(super) fn write(&self, datagram: &mut Vec<u8>, extra_flags: u16, sequence: u32) {
        let length = u32::try_from(HEADER + self.body.len()).unwrap_or(u32::MAX);
        datagram.extend(length.to_ne_bytes());
        datagram.extend(self.kind.to_ne_bytes());
        datagram.extend((self.flags | extra_flags | NLM_F_REQUEST).to_ne_bytes());
        datagram.extend(sequence.to_ne_bytes());
        datagram.extend([0; 4]);
        datagram.extend(&self.body);
        datagram.resize(datagram.len().next_multiple_of(4), 0);
    }
}

/// An rtnetlink socket in one network namespace.
#[derive(Debug)]
pub struct Rtnl {
    socket: Socket,
    sequence: u32,
}

/// One reply message: its type and what follows the netlink header.
pub(super) struct Reply {
    pub kind: u16,
    pub body: Vec<u8>,
}

/// Everything the kernel said to a datagram of requests.
pub(super) struct Heard {
    pub replies: Vec<Reply>,
    /// A dump changed while it was read.
    pub interrupted: bool,
}

impl Rtnl {
    /// Opens a socket in the namespace of the calling thread.
    pub fn open() -> Result<Self, Error> {
        let open = || -> io::Result<Socket> {
            let mut socket = Socket::new(NETLINK_ROUTE)?;
            socket.bind(&SocketAddr::new(0, 0))?;
            // Without these two a refusal is still an error number, only with less to say; strict checking makes the
            // kernel filter dumps.
            let _ = socket.set_ext_ack(true);
            let _ = socket.set_cap_ack(true);
            let _ = socket.set_netlink_get_strict_chk(true);
            Ok(socket)
        };
        let socket = open().map_err(|e| Error::io("open an rtnetlink socket", e))?;
        Ok(Self {
            socket,
            sequence: 0,
        })
    }

    /// Whether the socket's namespace has a link of that name. Unlike a look-up it does not wait for whoever is changing
    /// links just then.
    pub fn has_link(&self, name: &str) -> Result<bool, Error> {
        match name_to_index(&self.socket, name) {
            Ok(_) => Ok(true),
            Err(rustix::io::Errno::NODEV) => Ok(false),
            Err(errno) => Err(Error::io(format!("look for {name}"), errno)),
        }
    }

    /// Sends one request and waits until the kernel has done it.
    pub fn apply(&mut self, request: Request) -> Result<(), Error> {
        self.apply_all(vec![request])
    }

    /// Sends all requests in one datagram and waits until the kernel has been through them; the first refusal is
    /// returned.
    pub fn apply_all(&mut self, requests: Vec<Request>) -> Result<(), Error> {
        self.exchange(&requests, NLM_F_ACK).map(|_| ())
    }

    /// Asks for a single object; `None` when the kernel has none.
    pub(super) fn get(&mut self, request: Request) -> Result<Option<Reply>, Error> {
        // Without NLM_F_ACK the object itself is the whole answer.
        match self.exchange(&[request], 0) {
            Ok(mut heard) => Ok(heard.replies.pop()),
            Err(error) if matches!(error.errno(), Some(Errno::ENODEV | Errno::ENOENT)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Asks for every object that matches. A dump that changed underneath is repeated.
    pub(super) fn dump(&mut self, request: Request) -> Result<Vec<Reply>, Error> {
        let requests = [request];
        for _ in 0..DUMP_ATTEMPTS {
            let heard = self.exchange(&requests, NLM_F_DUMP)?;
            if !heard.interrupted {
                return Ok(heard.replies);
            }
        }
        let [request] = requests;
        Err(Error::Refused {
            what: request.what,
            errno: Errno::EINTR,
            text: None,
        })
    }

    /// Sends all requests in one datagram, the last with `last_flags` as well, and gathers what the kernel says.
    pub(super) fn exchange(
        &mut self,
        requests: &[Request],
        last_flags: u16,
    ) -> Result<Heard, Error> {
        let Some(last) = requests.len().checked_sub(1) else {
            return Ok(Heard {
                replies: Vec::new(),
                interrupted: false,
            });
        };
        let first = self.sequence.wrapping_add(1);
        self.send(requests, last_flags)?;
        let mut heard = Heard {
            replies: Vec::new(),
            interrupted: false,
        };
        let mut refusal = None;
        let mut finished = false;
        while !finished {
            let datagram = self.receive(requests)?;
            for message in messages(&datagram) {
                let message = message.map_err(|why| Error::Malformed {
                    what: phrase(requests),
                    why,
                })?;
                let position = message.sequence.wrapping_sub(first) as usize;
                let Some(request) = requests.get(position) else {
                    continue;
                };
                heard.interrupted |= message.flags & NLM_F_DUMP_INTR != 0;
                if !matches!(message.kind, NLMSG_ERROR | NLMSG_DONE) {
                    finished |= last_flags == 0;
                    heard.replies.push(Reply {
                        kind: message.kind,
                        body: message.body.to_vec(),
                    });
                    continue;
                }
                finished |= position == last;
                if let (Some(errno), None) = (
                    refused(message.body).filter(|e| request.tolerated != Some(*e)),
                    &refusal,
                ) {
                    let text = extack::text(message.body, message.flags);
                    refusal = Some(Error::Refused {
                        what: request.what.clone(),
                        errno,
                        text,
                    });
                }
            }
        }
        refusal.map_or(Ok(heard), Err)
    }

    fn send(&mut self, requests: &[Request], last_flags: u16) -> Result<(), Error> {
        let mut datagram = Vec::with_capacity(1024);
        for (position, request) in requests.iter().enumerate() {
            self.sequence = self.sequence.wrapping_add(1);
            let last = position + 1 == requests.len();
            request.write(
                &mut datagram,
                if last { last_flags } else { 0 },
                self.sequence,
            );
        }
        let sent = self.socket.send_to(&datagram, &SocketAddr::new(0, 0), 0);
        sent.map(|_| ()).map_err(|e| Error::io(phrase(requests), e))
    }

    fn receive(&self, requests: &[Request]) -> Result<Vec<u8>, Error> {
        let mut datagram = Vec::with_capacity(REPLY_CAPACITY);
        loop {
            match self.socket.recv(&mut datagram, 0) {
                Ok(_) => return Ok(datagram),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(Error::io(phrase(requests), e)),
            }
        }
    }
}

fn phrase(requests: &[Request]) -> String {
    requests
        .iter()
        .map(|r| r.what.as_str())
        .collect::<Vec<_>>()
        .join(", ")
}

/// The error number at the head of an NLMSG_ERROR or NLMSG_DONE body; `None` for an acknowledgement.
fn refused(body: &[u8]) -> Option<Errno> {
    let code = body
        .first_chunk()
        .map_or(0, |code| i32::from_ne_bytes(*code));
    (code != 0).then(|| Errno::from_raw(code.wrapping_neg()))
}

/// One netlink message inside a datagram.
pub(super) struct Message<'a> {
    pub kind: u16,
    pub flags: u16,
    pub sequence: u32,
    pub body: &'a [u8],
}

/// The messages of a datagram, one after the other; a torn one ends the walk with an error.
pub(super) fn messages(datagram: &[u8]) -> impl Iterator<Item = Result<Message<'_>, &'static str>> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let message = NetlinkBuffer::new_checked(rest).ok().and_then(|header| {
            let body = rest.get(HEADER..header.length() as usize)?;
            Some(Message {
                kind: header.message_type(),
                flags: header.flags(),
                sequence: header.sequence_number(),
                body,
            })
        });
        let length = message
            .as_ref()
            .map_or(rest.len(), |m| (HEADER + m.body.len()).next_multiple_of(4));
        rest = rest.get(length..).unwrap_or_default();
        Some(message.ok_or("a message is longer than its datagram"))
    })
}

/// A number in the machine's byte order, as most attributes hold one.
pub(super) fn number(value: &[u8]) -> Option<u32> {
    value.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes))
}

/// An address of either family, as attributes hold it.
pub(super) fn ip(value: &[u8]) -> Option<IpAddr> {
    <[u8; 4]>::try_from(value)
        .map(IpAddr::from)
        .or_else(|_| <[u8; 16]>::try_from(value).map(IpAddr::from))
        .ok()
}

/// The attributes in `bytes`, as pairs of type and value; what cannot be read ends the walk.
pub(super) fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    NlasIterator::new(bytes).map_while(Result::ok).map(|nla| {
        let (kind, length) = (nla.kind(), usize::from(nla.length()));
        (
            kind,
            nla.into_inner()
                .get(ATTRIBUTE_HEADER..length)
                .unwrap_or_default(),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{Address, Link, Route};
    use proptest::prelude::*;

    /// Bytes that begin like a message, with lengths that are sometimes right.
    fn datagram() -> impl Strategy<Value = Vec<u8>> {
        let message = (
            0u32..64,
            any::<u16>(),
            prop::collection::vec(any::<u8>(), 0..64),
        )
            .prop_map(|(length, kind, body)| {
                let mut message = length.to_ne_bytes().to_vec();
                message.extend(kind.to_ne_bytes());
                message.extend([0; 10]);
                message.extend(body);
                message
            });
        prop::collection::vec(message, 0..4).prop_map(|messages| messages.concat())
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_to_its_end_or_its_first_fault(bytes in datagram()) {
            let read: Vec<_> = messages(&bytes).collect();
            prop_assert!(read.len() <= bytes.len() / HEADER + 1);
            let faults = read.iter().filter(|message| message.is_err()).count();
            prop_assert!(faults <= 1 && (faults == 0 || read.last().is_some_and(Result::is_err)));
        }

        #[test]
        fn no_body_is_too_strange_to_be_looked_at(body in prop::collection::vec(any::<u8>(), 0..256), index: u32) {
            let _ = Link::parse(&body);
            let _ = Address::parse(&body, index);
            let _ = Route::parse(&body, index);
            prop_assert!(attributes(&body).count() <= body.len());
        }
    }
}
