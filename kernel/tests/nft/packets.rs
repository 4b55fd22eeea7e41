//! Datagrams, sent and waited for.

use super::namespace::run;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

pub const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Lets the namespace speak to itself.
pub fn loopback() {
    run("ip", "link set lo up");
    await_own(Ipv6Addr::LOCALHOST);
}

/// How long a datagram may take that should arrive.
const PATIENCE: Duration = Duration::from_secs(5);

/// Gives the namespace another address.
pub fn own(address: Ipv6Addr) {
    run("ip", &format!("address add {address}/128 dev lo nodad"));
    await_own(address);
}

/// Waits until what is sent to an address of IPv6 arrives: the kernel adds the route in its own time.
fn await_own(address: Ipv6Addr) {
    let begun = Instant::now();
    let arrives = || {
        let socket = UdpSocket::bind((address, 0))?;
        socket.set_read_timeout(Some(Duration::from_millis(5)))?;
        socket.connect(socket.local_addr()?)?;
        socket.send(b"hello")?;
        socket.recv(&mut [0; 5])
    };
    while let Err(error) = arrives() {
        assert!(begun.elapsed() < PATIENCE, "no way to {address}: {error}");
    }
}

/// A socket on this address.
pub fn bound(address: impl Into<IpAddr>, port: u16) -> UdpSocket {
    let address = SocketAddr::new(address.into(), port);
    let socket = UdpSocket::bind(address).expect("bind");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    socket
}

/// Sends a datagram there.
pub fn send(client: &UdpSocket, to: (impl Into<IpAddr>, u16)) {
    let to = SocketAddr::new(to.0.into(), to.1);
    client.send_to(b"hello", to).expect("send");
}

/// Who sent the next datagram that comes, if one does.
pub fn heard(server: &UdpSocket) -> Option<SocketAddr> {
    let (_, peer) = server.recv_from(&mut [0; 5]).ok()?;
    Some(peer)
}

/// Asserts that a datagram comes to the server, and that its answer comes from where the client had sent it.
pub fn assert_answered(server: &UdpSocket, client: &UdpSocket, to: (impl Into<IpAddr>, u16)) {
    let peer = heard(server);
    assert!(peer.is_some(), "nothing comes to {:?}", server.local_addr());
    let peer = peer.expect("a datagram");
    server.send_to(b"there", peer).expect("send");
    assert_eq!(heard(client), Some(SocketAddr::new(to.0.into(), to.1)));
}

/// Asserts that nothing waits at any of these. Within a namespace a datagram nearly always arrives before the call that
/// sends it returns, and always before the next one to the same server.
pub fn assert_silent<'a>(servers: impl IntoIterator<Item = &'a UdpSocket>) {
    for server in servers {
        server.set_nonblocking(true).expect("a socket of ours");
        assert_eq!(heard(server), None, "at {:?}", server.local_addr());
        server.set_nonblocking(false).expect("a socket of ours");
    }
}
