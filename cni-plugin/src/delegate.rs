//! Plugins that do a part of another plugin's work, above all the IPAM (DLG-1 to DLG-5).
//!
//! A delegate is started with our environment and our stdin, its answer is read, and its failure
//! becomes ours with its code and text. It is never waited for without end, and never left behind.

mod outcome;
mod process;

use crate::{Error, Request, Verb};
use cni::{AddResult, Version, excerpt};
use process::{Ended, LARGEST_OUTPUT, Process};
use std::io;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// How long a delegate may take. A kubelet gives up after two minutes; what is undone after this
/// still fits in.
pub const DELEGATE_DEADLINE: Duration = Duration::from_secs(100);

/// Another plugin, found on `CNI_PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delegate {
    name: String,
    path: PathBuf,
}

/// The first regular file of that name in the folders. A folder that is not absolute depends on
/// where the runtime happens to stand, and is passed over.
pub fn find(plugin_type: &str, folders: &[PathBuf]) -> Result<Delegate, Error> {
    if plugin_type.is_empty()
        || matches!(plugin_type, "." | "..")
        || plugin_type.contains(['/', '\0'])
    {
        return Err(Error::DelegateName(excerpt(plugin_type)));
    }
    let absolute = folders.iter().filter(|folder| folder.is_absolute());
    let mut paths = absolute.map(|folder| folder.join(plugin_type));
    let path = paths.find(|path| path.is_file());
    path.map_or_else(
        || {
            Err(Error::DelegateMissing {
                name: plugin_type.to_owned(),
                folders: folders.to_vec(),
            })
        },
        |path| {
            Ok(Delegate {
                name: plugin_type.to_owned(),
                path,
            })
        },
    )
}

impl Delegate {
    /// Starts the delegate on a verb, which may be another one than the request's (ADD-6).
    pub fn start(&self, request: &Request, verb: Verb) -> Result<Running, Error> {
        let mut command = Command::new(&self.path);
        command.env("CNI_COMMAND", verb.as_str());
        let process =
            Process::start(&mut command, request.stdin()).map_err(|source| self.io(source))?;
        Ok(Running {
            delegate: self.clone(),
            verb,
            version: request.config().version(),
            process,
        })
    }

    /// Starts the delegate and waits for its answer; see [`Running::finish`].
    pub fn run(
        &self,
        request: &Request,
        verb: Verb,
        stop: Option<BorrowedFd<'_>>,
    ) -> Result<Option<AddResult>, Error> {
        self.start(request, verb)?.finish(stop)
    }

    fn io(&self, source: io::Error) -> Error {
        Error::DelegateIo {
            path: self.path.clone(),
            source,
        }
    }
}

/// A delegate at work. Dropped before it is finished, it is ended, and always reaped.
#[derive(Debug)]
#[must_use = "dropping a delegate ends it"]
pub struct Running {
    delegate: Delegate,
    verb: Verb,
    version: Version,
    process: Process,
}

impl Running {
    /// Waits for the delegate's answer: a result if it was asked to ADD.
    ///
    /// When `stop` becomes readable, or [`DELEGATE_DEADLINE`] has passed since the start, the
    /// delegate is told to end and, two seconds later, made to. Whatever it had done by then is
    /// for the caller to undo by its DEL, without the same `stop`.
    pub fn finish(self, stop: Option<BorrowedFd<'_>>) -> Result<Option<AddResult>, Error> {
        self.finish_within(DELEGATE_DEADLINE, stop)
    }

    fn finish_within(
        mut self,
        deadline: Duration,
        stop: Option<BorrowedFd<'_>>,
    ) -> Result<Option<AddResult>, Error> {
        let ended = self
            .process
            .wait(deadline, stop)
            .map_err(|source| self.delegate.io(source))?;
        let name = self.delegate.name;
        let verb = self.verb;
        match ended {
            Ended::Exited { status, output } => {
                outcome::judge(name, verb, self.version, status, &output)
            }
            Ended::Flooded => Err(Error::DelegateFlood {
                name,
                limit: LARGEST_OUTPUT,
            }),
            Ended::Late => Err(Error::DelegateHung {
                name,
                verb,
                deadline,
            }),
            Ended::Stopped => Err(Error::Stopped { name, verb }),
        }
    }
}

#[cfg(test)]
mod tests;
