//! The floor under every ADD and DEL: the kernel's part of the work in one bare program.
//!
//! It parses no configuration, asks no IPAM plugin, keeps no record to undo, waits for nothing that the kernel does not
//! make it wait for, and knows its bridge, its address and its packet filter's set beforehand. What is left is what no
//! plugin can save: the veth pair in one request with the peer born in the pod's namespace, enslaved and up; the pod's
//! end up with its address and default route in one datagram; the links read back; one reservation file made with
//! O_EXCL; with masquerade, one element of an nf_tables set. On standard output it tells the microseconds that it
//! spent between its first line and its last.
//!
//! DEL needs no thread to overlap its two waits: the packet filter lets go of the element in a worker while this
//! process sleeps in the removal of the veth pair, and has done so when its socket is closed at the end.

#![allow(
    clippy::print_stdout,
    reason = "the time spent is the program's answer"
)]

use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, socket,
};
use std::fs::File;
use std::io::{self, Error, Write};
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::ExitCode;
use std::time::Instant;

const REQUEST: u16 = 1;
const ACK: u16 = 4;
const CREATE_NEW: u16 = 0x600;

const NEWLINK: u16 = 16;
const DELLINK: u16 = 17;
const GETLINK: u16 = 18;
const NEWADDR: u16 = 20;
const NEWROUTE: u16 = 24;
const IFNAME: u16 = 3;
const UP: u32 = 1;
const PREFIX: u8 = 16;

const NEW_ELEMENT: u16 = 10 << 8 | 12;
const DELETE_ELEMENT: u16 = 10 << 8 | 14;
const INET: u8 = 1;

/// What the command line names.
struct Task {
    netns: String,
    port: String,
    bridge: String,
    address: Ipv4Addr,
    gateway: Ipv4Addr,
    reservation: String,
    masquerade: bool,
}

fn main() -> ExitCode {
    let started = Instant::now();
    let mut words = std::env::args().skip(1);
    let done = match words.next().as_deref() {
        None => return ExitCode::SUCCESS,
        Some("add") => Task::read(words).and_then(|task| add(&task)),
        Some("del") => Task::read(words).and_then(|task| del(&task)),
        Some(verb) => Err(Error::other(format!("no verb {verb:?}: say add or del"))),
    };
    match done {
        Ok(()) => {
            println!("{}", started.elapsed().as_micros());
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}

impl Task {
    /// `NETNS PORT BRIDGE ADDRESS GATEWAY RESERVATION`, and `masquerade` if that is wanted.
    fn read(mut words: impl Iterator<Item = String>) -> io::Result<Self> {
        let word = |name| move || Error::other(format!("the command line lacks the {name}"));
        let netns = words.next().ok_or_else(word("namespace"))?;
        let port = words.next().ok_or_else(word("port"))?;
        let bridge = words.next().ok_or_else(word("bridge"))?;
        let address = words.next().ok_or_else(word("address"))?;
        let gateway = words.next().ok_or_else(word("gateway"))?;
        let reservation = words.next().ok_or_else(word("reservation"))?;
        Ok(Self {
            netns,
            port,
            bridge,
            address: address.parse().map_err(Error::other)?,
            gateway: gateway.parse().map_err(Error::other)?,
            reservation,
            masquerade: words.next().is_some(),
        })
    }
}

fn add(task: &Task) -> io::Result<()> {
    File::create_new(&task.reservation)?.write_all(task.port.as_bytes())?;
    let home = File::open("/proc/thread-self/ns/net")?;
    let netns = File::open(&task.netns)?;
    let host = Netlink::open(SockProtocol::NetlinkRoute)?;
    setns(&netns, CloneFlags::CLONE_NEWNET)?;
    let pod = Netlink::open(SockProtocol::NetlinkRoute)?;
    setns(&home, CloneFlags::CLONE_NEWNET)?;

    let bridge = host.index_of(&task.bridge)?;
    host.settle(&veth(task, bridge, &netns)?)?;
    let eth0 = pod.index_of("eth0")?;
    pod.settle(&configuration(task, eth0)?)?;
    host.index_of(&task.port)?;
    pod.index_of("eth0")?;
    if task.masquerade {
        Netlink::open(SockProtocol::NetlinkNetFilter)?.settle(&joining(task)?)?;
    }
    Ok(())
}

fn del(task: &Task) -> io::Result<()> {
    let filter = if task.masquerade {
        let filter = Netlink::open(SockProtocol::NetlinkNetFilter)?;
        filter.settle(&leaving(task)?)?;
        Some(filter)
    } else {
        None
    };
    let host = Netlink::open(SockProtocol::NetlinkRoute)?;
    let mut datagram = Datagram::default();
    datagram.message(DELLINK, ACK, |body| {
        body.link(0, 0);
        body.text(IFNAME, &task.port)
    })?;
    host.settle(&datagram)?;
    std::fs::remove_file(&task.reservation)?;
    drop(filter);
    Ok(())
}

/// The pair, its host's end a port of the bridge and up.
fn veth(task: &Task, bridge: u32, netns: &File) -> io::Result<Datagram> {
    const MASTER: u16 = 10;
    const LINKINFO: u16 = 18;
    const KIND: u16 = 1;
    const DATA: u16 = 2;
    const PEER: u16 = 1;
    const NET_NS_FD: u16 = 28;
    let mut datagram = Datagram::default();
    datagram.message(NEWLINK, ACK | CREATE_NEW, |body| {
        body.link(0, UP);
        body.text(IFNAME, &task.port)?;
        body.attribute(MASTER, &bridge.to_ne_bytes())?;
        body.nest(LINKINFO, |info| {
            info.attribute(KIND, b"veth")?;
            info.nest(DATA, |data| {
                data.nest(PEER, |peer| {
                    peer.link(0, 0);
                    peer.text(IFNAME, "eth0")?;
                    peer.attribute(NET_NS_FD, &netns.as_raw_fd().to_ne_bytes())
                })
            })
        })
    })?;
    Ok(datagram)
}

/// The pod's end up, with address and default route.
fn configuration(task: &Task, eth0: u32) -> io::Result<Datagram> {
    const LOCAL: u16 = 2;
    const ADDRESS: u16 = 1;
    const BROADCAST: u16 = 4;
    const GATEWAY: u16 = 5;
    let mut datagram = Datagram::default();
    datagram.message(NEWLINK, 0, |body| {
        body.link(eth0, UP);
        Ok(())
    })?;
    datagram.message(NEWADDR, CREATE_NEW, |body| {
        body.0.extend([2, PREFIX, 0, 0]);
        body.0.extend(eth0.to_ne_bytes());
        let [a, b, ..] = task.address.octets();
        body.attribute(LOCAL, &task.address.octets())?;
        body.attribute(ADDRESS, &task.address.octets())?;
        body.attribute(BROADCAST, &[a, b, 255, 255])
    })?;
    datagram.message(NEWROUTE, ACK | CREATE_NEW, |body| {
        // IPv4, the main table, set at boot, to everywhere, unicast.
        body.0.extend([2, 0, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0]);
        body.attribute(GATEWAY, &task.gateway.octets())
    })?;
    Ok(datagram)
}

fn joining(task: &Task) -> io::Result<Datagram> {
    transaction(NEW_ELEMENT, CREATE_NEW, task)
}

fn leaving(task: &Task) -> io::Result<Datagram> {
    transaction(DELETE_ELEMENT, 0, task)
}

/// One change of the element for the task's address, in the set `pods` of the table `inet floor`.
fn transaction(kind: u16, flags: u16, task: &Task) -> io::Result<Datagram> {
    const BEGIN: u16 = 16;
    const END: u16 = 17;
    const BATCH: [u8; 4] = [0, 0, 0, 10];
    const TABLE: u16 = 1;
    const SET: u16 = 2;
    const ELEMENTS: u16 = 3;
    const ELEMENT: u16 = 1;
    const KEY: u16 = 1;
    const VALUE: u16 = 1;
    let mut datagram = Datagram::default();
    let edge = |body: &mut Datagram| {
        body.0.extend(BATCH);
        Ok(())
    };
    datagram.message(BEGIN, 0, edge)?;
    datagram.message(kind, ACK | flags, |body| {
        body.0.extend([INET, 0, 0, 0]);
        body.text(TABLE, "floor")?;
        body.text(SET, "pods")?;
        body.nest(ELEMENTS, |list| {
            list.nest(ELEMENT, |element| {
                element.nest(KEY, |key| key.attribute(VALUE, &task.address.octets()))
            })
        })
    })?;
    datagram.message(END, 0, edge)?;
    Ok(datagram)
}

/// Netlink messages one after the other.
#[derive(Default)]
struct Datagram(Vec<u8>);

impl Datagram {
    fn message(
        &mut self,
        kind: u16,
        flags: u16,
        body: impl FnOnce(&mut Self) -> io::Result<()>,
    ) -> io::Result<()> {
        let start = self.0.len();
        self.0.extend([0; 4]);
        self.0.extend(kind.to_ne_bytes());
        self.0.extend((REQUEST | flags).to_ne_bytes());
        self.0.extend([0; 8]);
        body(self)?;
        let length = u32::try_from(self.0.len() - start).map_err(Error::other)?;
        self.patch(start, &length.to_ne_bytes());
        Ok(())
    }

    /// `struct ifinfomsg`: the link of that index, and flags to set.
    fn link(&mut self, index: u32, flags: u32) {
        self.0.extend([0; 4]);
        self.0.extend(index.to_ne_bytes());
        self.0.extend(flags.to_ne_bytes());
        self.0.extend(flags.to_ne_bytes());
    }

    fn nest(
        &mut self,
        kind: u16,
        inner: impl FnOnce(&mut Self) -> io::Result<()>,
    ) -> io::Result<()> {
        const NESTED: u16 = 1 << 15;
        let start = self.0.len();
        self.0.extend([0; 2]);
        self.0.extend((kind | NESTED).to_ne_bytes());
        inner(self)?;
        let length = u16::try_from(self.0.len() - start).map_err(Error::other)?;
        self.patch(start, &length.to_ne_bytes());
        Ok(())
    }

    fn attribute(&mut self, kind: u16, value: &[u8]) -> io::Result<()> {
        let length = u16::try_from(value.len() + 4).map_err(Error::other)?;
        self.0.extend(length.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        Ok(())
    }

    fn text(&mut self, kind: u16, value: &str) -> io::Result<()> {
        self.attribute(kind, &[value.as_bytes(), &[0]].concat())
    }

    fn patch(&mut self, at: usize, bytes: &[u8]) {
        if let Some(place) = self.0.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    }
}

struct Netlink(OwnedFd);

impl Netlink {
    fn open(protocol: SockProtocol) -> io::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC;
        Ok(Self(socket(
            AddressFamily::Netlink,
            SockType::Raw,
            flags,
            protocol,
        )?))
    }

    /// Sends a datagram whose last request asks for an acknowledgement, and waits for that or the first refusal.
    fn settle(&self, datagram: &Datagram) -> io::Result<()> {
        const ERROR: u16 = 2;
        let (kind, body) = self.exchange(datagram)?;
        let code = body.first_chunk().map(|code| i32::from_ne_bytes(*code));
        match (kind, code) {
            (ERROR, Some(0)) => Ok(()),
            (ERROR, Some(code)) => Err(Error::from_raw_os_error(-code)),
            _ => Err(Error::other("an answer that is no acknowledgement")),
        }
    }

    fn index_of(&self, name: &str) -> io::Result<u32> {
        let mut datagram = Datagram::default();
        datagram.message(GETLINK, 0, |body| {
            body.link(0, 0);
            body.text(IFNAME, name)
        })?;
        let (kind, body) = self.exchange(&datagram)?;
        let index = body.get(4..).and_then(|rest| rest.first_chunk());
        match index {
            Some(index) if kind == NEWLINK => Ok(u32::from_ne_bytes(*index)),
            _ => Err(Error::other(format!("no link {name}"))),
        }
    }

    /// The first message of the answer: its type and its body.
    fn exchange(&self, datagram: &Datagram) -> io::Result<(u16, Vec<u8>)> {
        let to = NetlinkAddr::new(0, 0);
        let fd = self.0.as_raw_fd();
        sendto(fd, &datagram.0, &to, MsgFlags::empty())?;
        let mut answer = [0; 8192];
        let length = recv(fd, &mut answer, MsgFlags::empty())?;
        let answer = answer.get(..length).unwrap_or_default();
        let kind = answer.get(4..).and_then(|rest| rest.first_chunk());
        let body = answer.get(16..).unwrap_or_default();
        Ok((
            kind.map_or(0, |kind| u16::from_ne_bytes(*kind)),
            body.to_vec(),
        ))
    }
}
