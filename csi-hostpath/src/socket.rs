//! UNIX sockets that others find by their path: made 0600, freed from what a crash left, removed at the end.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use nix::sys::socket::sockopt::PeerCredentials;
use rustix::fs::Mode;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 128;

/// A listening socket, removed when dropped.
#[derive(Debug)]
pub struct Socket {
    path: PathBuf,
    /// Device and inode, by which it is told from a later socket at the same path.
    identity: (u64, u64),
    listener: UnixListener,
}

impl Socket {
    /// Listens at `path`, readable and writable by root alone from the first moment. A socket that nobody listens at is
    /// replaced. Its directory is made 0700 if it is not there; one that is keeps its mode, for it may be kubelet's.
    pub fn bind(path: &Path) -> Result<Self, String> {
        make_directory(path)?;
        let listener = match listen(path) {
            Err(taken) if taken.kind() == io::ErrorKind::AddrInUse => {
                remove_stale(path)?;
                listen(path)
            }
            outcome => outcome,
        };
        let bound = listener.and_then(|listener| Ok((listener, identity(path)?)));
        let (listener, identity) =
            bound.map_err(|error| format!("socket {}: {error}", path.display()))?;
        Ok(Self {
            path: path.to_owned(),
            identity,
            listener,
        })
    }

    /// Whether its path still leads to it.
    pub fn is_there(&self) -> bool {
        identity(&self.path).is_ok_and(|found| found == self.identity)
    }

    /// Another handle on the listening socket, for the reactor.
    pub fn listener(&self) -> io::Result<UnixListener> {
        self.listener.try_clone()
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.is_there() {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn make_directory(path: &Path) -> Result<(), String> {
    let Some(directory) = path.parent().filter(|directory| !directory.exists()) else {
        return Ok(());
    };
    fs::DirBuilder::new()
        .mode(0o700)
        .recursive(true)
        .create(directory)
        .map_err(|error| format!("directory {}: {error}", directory.display()))
}

/// The kernel gives the file the mode that the socket has when it is bound, so there is no moment at which others could
/// connect.
fn listen(path: &Path) -> io::Result<UnixListener> {
    let socket = rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        None,
    )?;
    rustix::fs::fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
    rustix::net::bind(&socket, &SocketAddrUnix::new(path)?)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(socket.into())
}

fn remove_stale(path: &Path) -> Result<(), String> {
    let name = path.display();
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(format!("{name} is there and no socket, remove it"));
        }
        _ => {}
    }
    match holder(path) {
        None => fs::remove_file(path).map_err(|error| format!("stale socket {name}: {error}")),
        Some(holder) => Err(format!(
            "another process{holder} listens at socket {name}, stop it or choose another --endpoint"
        )),
    }
}

/// Who listens at a socket, as far as can be told: as " (process 7)", or nothing of a process that is not seen from here.
/// `None` if nobody does.
pub fn holder(path: &Path) -> Option<String> {
    let stream = match UnixStream::connect(path) {
        Ok(stream) => stream,
        Err(error) => {
            let is_nobody = matches!(
                error.kind(),
                io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound
            );
            return (!is_nobody).then(String::new);
        }
    };
    let process = nix::sys::socket::getsockopt(&stream, PeerCredentials)
        .ok()
        .map(|peer| peer.pid())
        .filter(|pid| *pid > 0);
    Some(process.map_or_else(String::new, |pid| format!(" (process {pid})")))
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let found = fs::symlink_metadata(path)?;
    Ok((found.dev(), found.ino()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_socket_is_for_root_alone_and_goes_with_its_owner() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("new/deep/a.sock");
        let socket = Socket::bind(&path).unwrap();
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(&place.path().join("new/deep")), 0o700);
        UnixStream::connect(&path).unwrap();
        drop(socket);
        assert!(!path.exists());
    }

    #[test]
    fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a.sock");
        drop(UnixListener::bind(&path).unwrap());
        let socket = Socket::bind(&path).unwrap();
        let refused = Socket::bind(&path).unwrap_err();
        let holder = format!("another process (process {}) listens", std::process::id());
        assert!(refused.contains(&holder), "{refused}");
        assert!(socket.is_there());
    }

    #[test]
    fn what_is_no_socket_stays() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a.sock");
        fs::write(&path, "precious").unwrap();
        assert!(Socket::bind(&path).unwrap_err().contains("no socket"));
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }

    #[test]
    fn another_socket_at_the_path_is_left_alone() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a.sock");
        let socket = Socket::bind(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert!(!socket.is_there());
        let other = Socket::bind(&path).unwrap();
        drop(socket);
        assert!(other.is_there());
    }
}
