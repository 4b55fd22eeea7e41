//! How the node stands, and the two pages that tell it.
//!
//! `/readyz` is 200 when plugins, configuration and, where it is asked for, the network between nodes are as they should be,
//! and 503 with the reasons otherwise; a single node that cannot be reached is told and makes no other unready. `/healthz` is 200 as long as the agent's loop turns: restarting it makes no room on a full disk.

use crate::error::Error;
use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The loop turns once a minute at least, and a look at a slow disk takes its time.
const TURN: Duration = Duration::from_secs(300);
/// For a client to say what it wants.
const PATIENCE: Duration = Duration::from_secs(5);
/// Clients at a time.
const CLIENTS: usize = 16;
/// Bytes of a request that are looked at.
const REQUEST: usize = 4096;

/// A part of the work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Not begun, and what it waits for.
    Waiting(String),
    /// As it should be.
    Well,
    /// Done as far as it goes, and what is lacking.
    Partly(String),
    /// Not as it should be, and why.
    Ill(String),
}

/// How everything stands, shared by the agent and the pages.
#[derive(Clone, Debug)]
pub struct Standing(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    turned: Instant,
    parts: Vec<(&'static str, Part)>,
}

impl Standing {
    /// Nothing has been done yet.
    pub fn new(parts: &[&'static str]) -> Self {
        let waiting = |part: &&'static str| (*part, Part::Waiting("for the start".to_owned()));
        Self(Arc::new(Mutex::new(State {
            turned: Instant::now(),
            parts: parts.iter().map(waiting).collect(),
        })))
    }

    /// Notes how a part is. Whether that is new is returned.
    pub fn set(&self, name: &str, part: Part) -> bool {
        let mut state = self.state();
        let found = state.parts.iter_mut().find(|(known, _)| *known == name);
        found.is_some_and(|(_, known)| std::mem::replace(known, part.clone()) != part)
    }

    /// Notes that the agent's loop turns.
    pub fn turn(&self) {
        self.state().turned = Instant::now();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No holder of the lock can leave the state half written.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Status and text of a page.
    fn page(&self, path: &str) -> (u16, String) {
        let state = self.state();
        match path {
            "/healthz" if state.turned.elapsed() < TURN => (200, "ok\n".to_owned()),
            "/healthz" => (
                503,
                "the agent's loop does not turn any more; see its log\n".to_owned(),
            ),
            "/readyz" => {
                let ready = state
                    .parts
                    .iter()
                    .all(|(_, part)| matches!(part, Part::Well | Part::Partly(_)));
                let mut text = String::new();
                for (name, part) in &state.parts {
                    // Writing to a string cannot go wrong.
                    let _ = match part {
                        Part::Well => writeln!(text, "{name}: ok"),
                        Part::Waiting(what) => writeln!(text, "{name}: waiting {what}"),
                        Part::Partly(why) | Part::Ill(why) => writeln!(text, "{name}: {why}"),
                    };
                }
                (if ready { 200 } else { 503 }, text)
            }
            _ => (404, "here are /healthz and /readyz\n".to_owned()),
        }
    }
}

/// Serves the pages in a thread of its own for as long as the process lives.
pub fn serve(address: SocketAddr, standing: Standing) -> Result<(), Error> {
    let failed = |source| Error::Listen {
        address: address.to_string(),
        source,
    };
    let listener = listen(address).map_err(failed)?;
    let clients = Arc::new(AtomicUsize::new(0));
    let accept = move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else {
                // Out of descriptors, for example.
                thread::sleep(Duration::from_millis(100));
                continue;
            };
            let place = Place::take(&clients);
            let standing = standing.clone();
            if let Some(place) = place {
                // Without a thread the client finds the connection closed.
                let _ = thread::Builder::new().spawn(move || {
                    let _place = place;
                    // A client that goes away has nobody to be told.
                    let _ = answer(stream, &standing);
                });
            }
        }
    };
    let named = thread::Builder::new().name("pages".to_owned());
    named.spawn(accept).map(|_| ()).map_err(failed)
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    match TcpListener::bind(address) {
        // A machine without IPv6.
        Err(error)
            if address.ip() == IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED)
                && error.kind() != io::ErrorKind::AddrInUse =>
        {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port()))
        }
        listener => listener,
    }
}

struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(clients: &Arc<AtomicUsize>) -> Option<Self> {
        let place = Self(Arc::clone(clients));
        (clients.fetch_add(1, Ordering::Relaxed) < CLIENTS).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn answer(mut stream: TcpStream, standing: &Standing) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let head = read_head(&mut stream)?;
    let (status, text) = match wanted(&head) {
        Wanted::Page(path) => standing.page(path),
        Wanted::Else => (405, "only GET\n".to_owned()),
        Wanted::Nonsense => (400, "this is no HTTP request\n".to_owned()),
    };
    let reason = match status {
        200 => "OK",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        _ => "Service Unavailable",
    };
    let length = text.len();
    let body = if head.starts_with("HEAD ") { "" } else { &text };
    write!(
        stream,
        "HTTP/1.1 {status} {reason}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

fn read_head(stream: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    let mut chunk = [0; 512];
    while head.len() < REQUEST && !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut chunk)? {
            0 => break,
            length => head.extend(chunk.get(..length).unwrap_or_default()),
        }
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

enum Wanted<'a> {
    Page(&'a str),
    Else,
    Nonsense,
}

fn wanted(head: &str) -> Wanted<'_> {
    let line = head.lines().next().unwrap_or_default();
    let mut words = line.split(' ');
    match (words.next(), words.next(), words.next()) {
        (Some("GET" | "HEAD"), Some(target), Some(version)) if version.starts_with("HTTP/1.") => {
            Wanted::Page(target.split('?').next().unwrap_or_default())
        }
        (Some(_), Some(_), Some(version)) if version.starts_with("HTTP/1.") => Wanted::Else,
        _ => Wanted::Nonsense,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_when_every_part_is_well() {
        let standing = Standing::new(&["plugins", "configuration"]);
        assert_eq!(standing.page("/readyz").0, 503);
        assert!(standing.set("plugins", Part::Well));
        assert!(!standing.set("plugins", Part::Well), "it is no news");
        standing.set("configuration", Part::Ill("no room".to_owned()));
        let (status, text) = standing.page("/readyz");
        assert_eq!(
            (status, text.as_str()),
            (503, "plugins: ok\nconfiguration: no room\n")
        );
        standing.set("configuration", Part::Well);
        assert_eq!(standing.page("/readyz").0, 200);
        assert_eq!(standing.page("/healthz").0, 200);
        assert_eq!(standing.page("/metrics").0, 404);
    }

    #[test]
    fn requests_of_all_kinds() {
        for (head, path) in [
            ("GET /readyz HTTP/1.1\r\nHost: n\r\n\r\n", Some("/readyz")),
            ("HEAD /healthz?verbose HTTP/1.0\r\n\r\n", Some("/healthz")),
        ] {
            assert!(matches!(wanted(head), Wanted::Page(found) if Some(found) == path));
        }
        assert!(matches!(
            wanted("POST /readyz HTTP/1.1\r\n\r\n"),
            Wanted::Else
        ));
        for head in ["", "GET", "GET /readyz", "\u{16}\u{3}\u{1}"] {
            assert!(matches!(wanted(head), Wanted::Nonsense), "{head:?}");
        }
    }
}
