//! The mount table, `/proc/<pid>/mountinfo`.

use super::Error;
use rustix::fs::makedev;
use rustix::io::Errno;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Its id, unique while it exists.
    pub id: u64,
    /// The id of the mount it is mounted on.
    pub parent: u64,
    /// The filesystem's device, encoded as `st_dev` is. On btrfs files have one of their subvolume's instead.
    pub dev: u64,
    /// What of the filesystem is mounted.
    pub root: PathBuf,
    /// Where.
    pub point: PathBuf,
    /// The mount's own options, separated by commas.
    pub options: OsString,
    /// The kind of filesystem, with its subtype where it has one.
    pub fstype: OsString,
    /// The device, or whatever the filesystem calls its source; possibly empty.
    pub source: OsString,
    /// The filesystem's options, separated by commas.
    pub super_options: OsString,
}

/// The mounts that the calling thread sees, in the kernel's order: of those at one place the topmost comes last.
pub fn read() -> Result<Vec<Mount>, Error> {
    // `self` would be the process's first thread.
    const TABLE: &str = "/proc/thread-self/mountinfo";
    let refused = |errno| Error::new(format!("read {TABLE}"), errno);
    let table = fs::read(TABLE)
        .map_err(|error| refused(Errno::from_io_error(&error).unwrap_or(Errno::IO)))?;
    let lines = table.split(|byte| *byte == b'\n');
    lines
        .filter(|line| !line.is_empty())
        .map(|line| {
            parse(line).ok_or_else(|| {
                let line = String::from_utf8_lossy(line);
                refused(Errno::BADMSG).with_note(format!("{line:?} is no mount"))
            })
        })
        .collect()
}

/// Reads one line, without its end.
pub fn parse(line: &[u8]) -> Option<Mount> {
    // A single space each: a source can be empty.
    let mut fields = line.split(|byte| *byte == b' ');
    let mut mount = Mount {
        id: number(fields.next()?)?,
        parent: number(fields.next()?)?,
        dev: device(fields.next()?)?,
        root: PathBuf::from(unescaped(fields.next()?)),
        point: PathBuf::from(unescaped(fields.next()?)),
        options: unescaped(fields.next()?),
        fstype: OsString::new(),
        source: OsString::new(),
        super_options: OsString::new(),
    };
    // Any number of optional fields, then a dash.
    fields.find(|field| *field == b"-")?;
    mount.fstype = unescaped(fields.next()?);
    mount.source = unescaped(fields.next()?);
    mount.super_options = unescaped(fields.next()?);
    Some(mount)
}

fn number<T: std::str::FromStr>(field: &[u8]) -> Option<T> {
    let digits = field.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(field)
        .ok()
        .filter(|_| digits)?
        .parse()
        .ok()
}

fn device(field: &[u8]) -> Option<u64> {
    let colon = field.iter().position(|byte| *byte == b':')?;
    let major = number(field.get(..colon)?)?;
    let minor = number(field.get(colon + 1..)?)?;
    Some(makedev(major, minor))
}

/// The kernel writes what would end a field as a backslash and three octal digits.
fn unescaped(field: &[u8]) -> OsString {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, after)) = rest.split_first() {
        match after.split_first_chunk::<3>().filter(|_| byte == b'\\') {
            Some((digits, after)) if let Some(byte) = octal(*digits) => {
                plain.push(byte);
                rest = after;
            }
            _ => {
                plain.push(byte);
                rest = after;
            }
        }
    }
    OsString::from_vec(plain)
}

fn octal(digits: [u8; 3]) -> Option<u8> {
    digits.iter().try_fold(0_u8, |value, digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 8)?;
        value.checked_mul(8)?.checked_add(digit)
    })
}

#[cfg(test)]
#[path = "tests/mountinfo.rs"]
mod tests;
