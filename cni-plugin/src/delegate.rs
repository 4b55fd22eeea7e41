//! Plugins that do a part of another plugin's work, above all the IPAM (DLG-1 to DLG-5).
//!
//! A delegate is started with our environment and our stdin, its answer is read, and its failure
//! becomes ours with its code and text. It is never waited for without end, and never left behind.
//!
//! Where the delegate's file is the running executable itself, nothing is started: see [`here`].

mod here;
mod outcome;
mod process;

use crate::{Error, Plugin, Request, Siblings, Verb};
use cni::{AddResult, Version, excerpt};
use here::Here;
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
#[derive(Clone, Debug)]
pub struct Delegate {
    name: String,
    path: PathBuf,
    /// The plugin itself, and what else is in this executable, where the file found is this executable.
    here: Option<(&'static Plugin, Siblings)>,
}

/// The first regular file of that name in the folders. A folder that is not absolute depends on
/// where the runtime happens to stand, and is passed over.
pub fn find(plugin_type: &str, folders: &[PathBuf], siblings: Siblings) -> Result<Delegate, Error> {
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
                here: here::find(plugin_type, &path, siblings).map(|plugin| (plugin, siblings)),
                name: plugin_type.to_owned(),
                path,
            })
        },
    )
}

impl Delegate {
    /// Starts the delegate on a verb, which may be another one than the request's (ADD-6).
    pub fn start(&self, request: &Request, verb: Verb) -> Result<Running, Error> {
        let work = match self.here {
            Some((plugin, siblings)) => {
                Here::start(plugin, siblings, verb, request.stdin()).map(Work::Here)
            }
            None => {
                let mut command = Command::new(&self.path);
                command.env("CNI_COMMAND", verb.as_str());
                Process::start(&mut command, request.stdin()).map(Work::Process)
            }
        };
        Ok(Running {
            delegate: self.clone(),
            verb,
            version: request.config().version(),
            work: work.map_err(|source| self.io(source))?,
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
    work: Work,
}

/// Where a delegate works. Both ways give the same environment, bytes and answer.
#[derive(Debug)]
enum Work {
    Process(Process),
    Here(Here),
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

    /// The id of the process that was started.
    #[cfg(test)]
    fn process_id(&self) -> u32 {
        match &self.work {
            Work::Process(process) => process.id(),
            Work::Here(_) => panic!("nothing was started"),
        }
    }

    fn finish_within(
        mut self,
        deadline: Duration,
        stop: Option<BorrowedFd<'_>>,
    ) -> Result<Option<AddResult>, Error> {
        let ended = match &mut self.work {
            Work::Process(process) => process.wait(deadline, stop),
            Work::Here(here) => here.wait(deadline, stop),
        };
        let ended = ended.map_err(|source| self.delegate.io(source))?;
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
