//! Stdin: the configuration, read whole.

use crate::Error;
use cni::Verb;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{self, IsTerminal, Read, StdinLock};
use std::time::{Duration, Instant};

/// No configuration comes near this size, in bytes; what does not end must not fill the memory.
const LARGEST: usize = 8 << 20;

/// How long VERSION waits for a caller that has something to say.
const PATIENCE: Duration = Duration::from_secs(1);

/// Reads what the verb needs.
pub fn read(verb: Verb) -> Result<Vec<u8>, Error> {
    let stdin = io::stdin().lock();
    match verb {
        Verb::Version => Ok(offered(stdin)),
        _ => whole(stdin),
    }
}

fn whole(input: impl Read) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    // One byte more than allowed tells a configuration that is too large from one that just fits.
    let limit = LARGEST as u64 + 1;
    input
        .take(limit)
        .read_to_end(&mut bytes)
        .map_err(Error::Stdin)?;
    if bytes.len() > LARGEST {
        return Err(Error::StdinTooLarge(LARGEST));
    }
    Ok(bytes)
}

/// What the caller of VERSION offers. The reference does not read stdin then, so a script or a
/// person may leave it open and write nothing: they are answered all the same.
fn offered(mut stdin: StdinLock<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if stdin.is_terminal() {
        return bytes;
    }
    let until = Instant::now() + PATIENCE;
    let mut chunk = [0; 4096];
    while bytes.len() < LARGEST && is_readable(&stdin, until) {
        match stdin.read(&mut chunk) {
            Ok(0) => break,
            Ok(length) => bytes.extend_from_slice(chunk.get(..length).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    bytes
}

/// Waits for bytes or the end of them.
fn is_readable(stdin: &StdinLock<'_>, until: Instant) -> bool {
    let mut fds = [PollFd::new(stdin, PollFlags::IN)];
    let left = until.saturating_duration_since(Instant::now());
    let Ok(timeout) = Timespec::try_from(left) else {
        return false;
    };
    poll(&mut fds, Some(&timeout)).is_ok_and(|ready| ready > 0)
}
