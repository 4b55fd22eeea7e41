//! Real packets from one place to another.

use crate::place::Place;
use std::fmt::Display;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

/// How long a packet that should arrive may take, and how long one that must not arrive is waited for. The kernel asks
/// again for an unanswered address after a second: a pod that cannot be reached from the start is found out.
const PATIENCE: Duration = Duration::from_millis(900);

impl Place {
    /// Whether `address` answers one ping within a second.
    pub fn ping(&self, address: impl Display) -> bool {
        self.succeeds(&format!(
            "ping -n -q -c 1 -W {} {address}",
            PATIENCE.as_secs_f32()
        ))
    }

    /// Sends a few bytes over TCP to `address`, which must be one of `server`'s, and returns the address from which
    /// the server saw them come.
    pub fn seen_by(&self, server: &Place, address: IpAddr) -> io::Result<IpAddr> {
        let listener = server.run(|| TcpListener::bind((address, 0)))?;
        let to = SocketAddr::new(address, listener.local_addr()?.port());
        let mut client = self.run(|| TcpStream::connect_timeout(&to, PATIENCE))?;
        let (mut session, peer) = listener.accept()?;
        client.write_all(b"hello")?;
        let mut heard = [0; 5];
        session.read_exact(&mut heard)?;
        Ok(peer.ip())
    }
}
