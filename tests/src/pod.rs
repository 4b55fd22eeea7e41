//! A pod: a network namespace bound to a path of its host, as a runtime hands it to a plugin.

use crate::host::bind;
use crate::place::Place;
use crate::runtime::Attachment;
use nix::mount::{MntFlags, umount2};
use nix::sched::{CloneFlags, unshare};
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a packet that should arrive may take, and how long one that must not arrive is waited for.
const PATIENCE: Duration = Duration::from_millis(500);

/// A network namespace on a [`Host`](crate::Host), and a place to run things in.
#[derive(Debug)]
pub struct Pod {
    place: Place,
    path: PathBuf,
}

impl Pod {
    pub(crate) fn new(host: &Place, name: &str, dir: &Path) -> Self {
        let path = dir.join(name);
        let made = host.run(|| -> io::Result<()> {
            File::create_new(&path)?;
            unshare(CloneFlags::CLONE_NEWNET)?;
            bind(Path::new("/proc/thread-self/ns/net"), &path)
        });
        made.unwrap_or_else(|e| panic!("make the namespace {}: {e}", path.display()));
        Self {
            place: host.in_netns(name, &path),
            path,
        }
    }

    /// The place that this pod is.
    pub const fn place(&self) -> &Place {
        &self.place
    }

    /// The path of the namespace, on the host.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The pod's interface `eth0`, under the pod's name as container id.
    pub fn attachment(&self) -> Attachment {
        Attachment::new(self.place.name(), "eth0", &self.path.to_string_lossy())
    }

    /// Takes the namespace away, as a runtime does whose DEL comes late; `self` is then only a name and a path.
    pub fn remove(&self) {
        let host = self.place.host_of();
        let removed = host.run(|| -> io::Result<()> {
            umount2(&self.path, MntFlags::MNT_DETACH)?;
            std::fs::remove_file(&self.path)
        });
        removed.unwrap_or_else(|e| panic!("remove the namespace {}: {e}", self.path.display()));
    }

    /// Whether `address` answers one ping within half a second.
    pub fn ping(&self, address: IpAddr) -> bool {
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

impl Deref for Pod {
    type Target = Place;

    fn deref(&self) -> &Place {
        &self.place
    }
}
