//! How a program is run, and what of its words is kept.
//!
//! It is looked for in fixed folders and gets a bare environment, no shell and nothing to read. If the driver dies
//! meanwhile, it ends its work alone.

use std::ffi::OsStr;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use super::Error;

/// Where programs are looked for, in this order.
const FOLDERS: [&str; 6] = [
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
];

/// Of what a program says, so many bytes at the beginning and at the end are kept.
const KEPT: usize = 4 << 10;
/// Of what is kept, so many lines at the beginning and at the end get into an error.
const LINES: usize = 2;

/// A program and the package that it comes with.
pub(super) struct Program {
    name: &'static str,
    package: &'static str,
}

/// How a program ended.
pub(super) struct Ended {
    pub(super) status: ExitStatus,
    pub(super) said: String,
}

impl Program {
    pub(super) const fn new(name: &'static str, package: &'static str) -> Self {
        Self { name, package }
    }

    /// Runs it on `file` to success.
    pub(super) fn run(&self, arguments: &[&str], file: &Path) -> Result<(), Error> {
        let ended = self.end(arguments, file)?;
        if ended.status.success() {
            Ok(())
        } else {
            Err(self.failed(file, ended))
        }
    }

    /// Runs it on `file` to its end.
    pub(super) fn end(&self, arguments: &[&str], file: &Path) -> Result<Ended, Error> {
        let path = self.find()?;
        let mut command = Command::new(path);
        command.args(arguments).arg(file);
        listen(command).map_err(|source| self.start(file, source))
    }

    fn find(&self) -> Result<PathBuf, Error> {
        let paths = FOLDERS
            .iter()
            .map(|folder| Path::new(folder).join(self.name));
        let mut found = paths.filter(|path| path.is_file());
        found.next().ok_or(Error::Absent {
            program: self.name,
            package: self.package,
        })
    }

    pub(super) fn start(&self, file: &Path, source: io::Error) -> Error {
        Error::Start {
            program: self.name,
            file: file.to_owned(),
            source,
        }
    }

    pub(super) fn failed(&self, file: &Path, ended: Ended) -> Error {
        Error::Failed {
            program: self.name,
            file: file.to_owned(),
            status: ended.status,
            said: ended.said,
        }
    }
}

/// A program at work. Dropped before it was waited for, it is killed, and always reaped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Both do nothing to a child that was waited for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts `command` and reads what it says, errors and all, until it ends.
fn listen(mut command: Command) -> io::Result<Ended> {
    let (mut output, input) = io::pipe()?;
    command
        .env_clear()
        .env("PATH", FOLDERS.join(":"))
        .env("LC_ALL", "C")
        .current_dir(OsStr::new("/"))
        .stdin(Stdio::null())
        .stdout(input.try_clone()?)
        .stderr(input);
    let mut running = Running(command.spawn()?);
    // The command holds our ends of the pipe; they must be closed for the reading to end.
    drop(command);
    let kept = keep_ends(&mut output)?;
    let status = running.0.wait()?;
    let said = telling_lines(&String::from_utf8_lossy(&kept));
    Ok(Ended { status, said })
}

/// Reads until nothing more comes. The first and the last [`KEPT`] bytes are returned.
fn keep_ends(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut kept = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let read = match from.read(&mut chunk) {
            Ok(0) => return Ok(kept),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        kept.extend_from_slice(&chunk[..read]);
        let surplus = kept.len().saturating_sub(2 * KEPT);
        if surplus > 0 {
            kept.drain(KEPT..KEPT + surplus);
        }
    }
}

/// The first and the last lines that are not empty, joined to one: some programs name the error and then explain how
/// they are used, others tell what they do until they come to the error.
fn telling_lines(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let mut lines: Vec<&str> = lines.collect();
    if lines.len() > 2 * LINES {
        lines.splice(LINES..lines.len() - LINES, ["..."]);
    }
    lines.join("; ")
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    #[test]
    fn an_absent_program_is_named_with_its_package() {
        let program = Program::new("mkfs.none", "noprogs");
        let error = program.run(&[], Path::new("/x")).unwrap_err();
        assert_eq!(error.code(), Code::FailedPrecondition);
        assert_eq!(
            error.to_string(),
            "mkfs.none is not installed where this driver runs, install the package noprogs"
        );
    }

    #[test]
    fn nothing_of_our_environment_is_passed_on() {
        let mut command = Command::new("/usr/bin/env");
        command.env("HAWSER_SECRET", "x");
        let ended = listen(command).unwrap();
        assert!(ended.said.contains("LC_ALL=C"), "{}", ended.said);
        assert!(!ended.said.contains("HAWSER_SECRET"), "{}", ended.said);
    }

    #[test]
    fn of_a_flood_both_ends_are_kept() {
        let flood: Vec<u8> = (0u32..100_000).flat_map(u32::to_le_bytes).collect();
        let kept = keep_ends(&mut flood.as_slice()).unwrap();
        assert_eq!(kept[..KEPT], flood[..KEPT]);
        assert_eq!(kept[KEPT..], flood[flood.len() - KEPT..]);
    }

    #[test]
    fn of_many_lines_the_first_and_last_are_told() {
        assert_eq!(telling_lines("a\n\n b \nc\nd\n"), "a; b; c; d");
        assert_eq!(telling_lines("a\nb\nc\nd\ne\n"), "a; b; ...; d; e");
    }
}
