//! Connection tracking: the flows that the kernel remembers, and making it forget some.
//!
//! A translation is decided on a flow's first packet and kept for as long as packets come. A UDP flow that began before a
//! port led to a pod, or while it led to another one, therefore goes on past it until it is forgotten.

use super::Error;
use super::rtnl::{attributes, ip, messages};
use netlink_packet_core::{NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST};
use netlink_sys::protocols::NETLINK_NETFILTER;
use netlink_sys::{Socket, SocketAddr};
use nix::errno::Errno;
use std::io;
use std::net::IpAddr;

const GET: u16 = 1 << 8 | 1;
const DELETE: u16 = 1 << 8 | 2;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
/// Before the attributes of a message: family, version, resource.
const HEADER: usize = 4;
/// Says that an attribute holds others.
const NESTED: u16 = 1 << 15;
const KIND: u16 = !(3 << 14);

const TUPLE_ORIG: u16 = 1;
const TUPLE_REPLY: u16 = 2;
const ZONE: u16 = 18;
const FILTER: u16 = 25;
const TUPLE_IP: u16 = 1;
const TUPLE_PROTO: u16 = 2;
const IP_V4_SRC: u16 = 1;
const IP_V6_SRC: u16 = 3;
const IP_V4_DST: u16 = 2;
const IP_V6_DST: u16 = 4;
const PROTO_NUMBER: u16 = 1;
const PROTO_SRC_PORT: u16 = 2;
const PROTO_DST_PORT: u16 = 3;
const UDP: u8 = 17;

/// The flows of one network namespace.
pub struct Conntrack {
    socket: Socket,
    sequence: u32,
}

impl std::fmt::Debug for Conntrack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Conntrack").finish_non_exhaustive()
    }
}

/// A UDP flow that the kernel remembers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Where its first packet was sent.
    pub destination: IpAddr,
    /// To which port.
    pub port: u16,
    /// Who answers: another one than its destination where that was translated.
    pub answerer: IpAddr,
    /// From which port.
    pub answering_port: u16,
    family: u8,
    tuple: Vec<u8>,
    zone: Option<Vec<u8>>,
}

impl Conntrack {
    /// Opens a socket in the namespace of the calling thread.
    pub fn open() -> Result<Self, Error> {
        let open = || -> io::Result<Socket> {
            let mut socket = Socket::new(NETLINK_NETFILTER)?;
            socket.bind_auto()?;
            socket.connect(&SocketAddr::new(0, 0))?;
            Ok(socket)
        };
        let socket = open().map_err(|source| Error::io("open a socket to conntrack", source))?;
        Ok(Self {
            socket,
            sequence: 0,
        })
    }

    /// The UDP flows of a family that were sent to any of these ports.
    ///
    /// The kernel looks through all that it remembers for it, 10 ms where its table has 262,144 buckets, so it is asked once.
    pub fn udp_flows(&mut self, v6: bool, ports: &[u16]) -> Result<Vec<Flow>, Error> {
        let what = format!("list the UDP flows to {ports:?}");
        let body = wanted(v6, ports);
        let bodies = self.exchange(GET, NLM_F_DUMP, &body, &what)?;
        let flows = bodies.iter().filter_map(|body| Flow::parse(body));
        // A kernel that knows no filter lists everything.
        Ok(flows.filter(|flow| ports.contains(&flow.port)).collect())
    }

    /// Makes the kernel forget a flow; false when it had already.
    pub fn forget(&mut self, flow: &Flow) -> Result<bool, Error> {
        let what = format!(
            "forget the UDP flow to {}, port {}",
            flow.destination, flow.port
        );
        let mut body = vec![flow.family, 0, 0, 0];
        push(&mut body, TUPLE_ORIG | NESTED, &flow.tuple);
        if let Some(zone) = &flow.zone {
            push(&mut body, ZONE, zone);
        }
        match self.exchange(DELETE, NLM_F_ACK, &body, &what) {
            Err(error) if error.errno() == Some(Errno::ENOENT) => Ok(false),
            outcome => outcome.map(|_| true),
        }
    }

    /// Sends a request; the bodies of what comes back until its end.
    fn exchange(
        &mut self,
        kind: u16,
        flags: u16,
        body: &[u8],
        what: &str,
    ) -> Result<Vec<Vec<u8>>, Error> {
        self.sequence = self.sequence.wrapping_add(1);
        let length = u32::try_from(16 + body.len()).unwrap_or(u32::MAX);
        let mut datagram = Vec::with_capacity(16 + body.len());
        datagram.extend(length.to_ne_bytes());
        datagram.extend(kind.to_ne_bytes());
        datagram.extend((flags | NLM_F_REQUEST).to_ne_bytes());
        datagram.extend(self.sequence.to_ne_bytes());
        datagram.extend([0; 4]);
        datagram.extend(body);
        self.socket
            .send(&datagram, 0)
            .map_err(|source| Error::io(what, source))?;
        let mut bodies = Vec::new();
        loop {
            let (datagram, _) = match self.socket.recv_from_full() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                received => received.map_err(|source| Error::io(what, source))?,
            };
            for message in messages(&datagram) {
                let message = message.map_err(|why| Error::Malformed {
                    what: what.to_owned(),
                    why,
                })?;
                match message.kind {
                    _ if message.sequence != self.sequence => {}
                    NLMSG_ERROR => return settled(message.body, what).map(|()| bodies),
                    NLMSG_DONE => return Ok(bodies),
                    _ => bodies.push(message.body.to_vec()),
                }
            }
        }
    }
}

impl Flow {
    /// Reads the body of a conntrack message about a UDP flow.
    pub fn parse(body: &[u8]) -> Option<Self> {
        let mut original = None;
        let mut reply = None;
        let mut zone = None;
        for (kind, value) in attributes(body.get(HEADER..)?) {
            match kind & KIND {
                TUPLE_ORIG => original = Some(value),
                TUPLE_REPLY => reply = Some(value),
                ZONE => zone = Some(value.to_vec()),
                _ => {}
            }
        }
        let (tuple, reply) = (original?, reply?);
        (protocol(tuple)? == UDP).then_some(())?;
        Some(Self {
            destination: address(tuple, [IP_V4_DST, IP_V6_DST])?,
            port: port(tuple, PROTO_DST_PORT)?,
            answerer: address(reply, [IP_V4_SRC, IP_V6_SRC])?,
            answering_port: port(reply, PROTO_SRC_PORT)?,
            family: *body.first()?,
            tuple: tuple.to_vec(),
            zone,
        })
    }
}

fn inside(tuple: &[u8], wanted: u16) -> Option<&[u8]> {
    attributes(tuple).find_map(|(kind, value)| (kind & KIND == wanted).then_some(value))
}

/// The address under one of these kinds.
fn address(tuple: &[u8], kinds: [u16; 2]) -> Option<IpAddr> {
    let addresses = inside(tuple, TUPLE_IP)?;
    attributes(addresses)
        .find_map(|(kind, value)| kinds.contains(&(kind & KIND)).then(|| ip(value))?)
}

fn protocol(tuple: &[u8]) -> Option<u8> {
    inside(inside(tuple, TUPLE_PROTO)?, PROTO_NUMBER)?
        .first()
        .copied()
}

/// The port under this kind.
fn port(tuple: &[u8], kind: u16) -> Option<u16> {
    let port = inside(inside(tuple, TUPLE_PROTO)?, kind)?;
    Some(u16::from_be_bytes(port.try_into().ok()?))
}

/// A request for the UDP flows to these ports. The filter spares copying all others out of the kernel, from 5.8 on; it can
/// name one port.
fn wanted(v6: bool, ports: &[u16]) -> Vec<u8> {
    const ORIG_FLAGS: u16 = 1;
    const BY_PROTOCOL: u32 = 1 << 3;
    const BY_DESTINATION_PORT: u32 = 1 << 5;
    let mut proto = Vec::new();
    push(&mut proto, PROTO_NUMBER, &[UDP]);
    let mut by = BY_PROTOCOL;
    if let [port] = ports {
        push(&mut proto, PROTO_DST_PORT, &port.to_be_bytes());
        by |= BY_DESTINATION_PORT;
    }
    let mut tuple = Vec::new();
    push(&mut tuple, TUPLE_PROTO | NESTED, &proto);
    let mut filter = Vec::new();
    push(&mut filter, ORIG_FLAGS, &by.to_ne_bytes());
    let mut body = vec![if v6 { 10 } else { 2 }, 0, 0, 0];
    push(&mut body, TUPLE_ORIG | NESTED, &tuple);
    push(&mut body, FILTER | NESTED, &filter);
    body
}

fn push(bytes: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
    bytes.extend(length.to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

/// An acknowledgement, or a refusal.
fn settled(body: &[u8], what: &str) -> Result<(), Error> {
    let number = body.first_chunk().map(|bytes| i32::from_ne_bytes(*bytes));
    match number {
        Some(0) => Ok(()),
        Some(number) => Err(Error::Refused {
            what: what.to_owned(),
            errno: Errno::from_raw(number.wrapping_neg()),
            text: None,
        }),
        None => Err(Error::Malformed {
            what: what.to_owned(),
            why: "an answer without a number",
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_asked_for_can_be_read_again() {
        let body = wanted(false, &[5353]);
        let tuple = inside(&body[HEADER..], TUPLE_ORIG).unwrap();
        assert_eq!(protocol(tuple), Some(UDP));
        assert_eq!(port(tuple, PROTO_DST_PORT), Some(5353));
        // Neither addresses nor an answer: no flow.
        assert_eq!(Flow::parse(&body), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Flow::parse(&body);
        }
    }
}
