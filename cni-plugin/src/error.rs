//! What the frame itself refuses or meets, and the code of each.

use cni::{ArgsError, Code, ConfigError, NameError, Verb, Version};
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

/// Why a request cannot be served, as far as the frame is concerned.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `CNI_*` variables that the verb needs and the environment lacks, all of them (ENV-7).
    #[error("missing in the environment: {}; {verb} needs {}", List(.missing), List(.needed))]
    MissingVariables {
        /// What was asked for.
        verb: Verb,
        /// What is not there.
        missing: Vec<&'static str>,
        /// What should be there.
        needed: &'static [&'static str],
    },
    /// Some `CNI_*` variable is set, but not the one that says what to do.
    #[error(
        "CNI_COMMAND is missing in the environment: wanted ADD, DEL, CHECK, GC, STATUS or VERSION"
    )]
    MissingCommand,
    /// No verb (ENV-1).
    #[error("CNI_COMMAND is {0}, which is not one of ADD, DEL, CHECK, GC, STATUS, VERSION")]
    UnknownCommand(String),
    /// A variable that holds no such name (ENV-2, ENV-4).
    #[error("{variable} {found} cannot be used: {why}")]
    Name {
        /// Which variable.
        variable: &'static str,
        /// Its value, shortened.
        found: String,
        /// What is wrong with it.
        why: NameError,
    },
    /// A variable that is not text.
    #[error("{0} is not UTF-8")]
    NotText(&'static str),
    /// `CNI_ARGS` (ENV-5).
    #[error(transparent)]
    Args(#[from] ArgsError),

    /// The container's namespace is gone, or never was.
    #[error("CNI_NETNS {}: there is no such file: the container has no network namespace", .0.display())]
    NoNetns(PathBuf),
    /// Something that is no network namespace.
    #[error("CNI_NETNS {} is not a network namespace", .0.display())]
    NotANetns(PathBuf),
    /// The namespace that the plugin itself runs in.
    #[error(
        "CNI_NETNS {} is the network namespace that this plugin runs in, not a container's \
         (CNI_NETNS_OVERRIDE=1 allows it)",
        .0.display()
    )]
    OwnNetns(PathBuf),
    /// The kernel does not show the namespace.
    #[error("CNI_NETNS {}: {source}", .path.display())]
    Netns {
        /// The namespace's path.
        path: PathBuf,
        /// The kernel's word.
        source: io::Error,
    },

    /// Stdin cannot be read.
    #[error("reading the network configuration from stdin: {0}")]
    Stdin(io::Error),
    /// Stdin does not end.
    #[error("the network configuration on stdin is larger than {0} bytes")]
    StdinTooLarge(usize),
    /// A configuration that cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A version that the plugin does not speak.
    #[error(transparent)]
    Incompatible(cni::Error),
    /// A verb that the configuration's version does not have.
    #[error(
        "{verb} does not exist in cniVersion {version} of the configuration: it came with {}",
        .verb.since()
    )]
    VerbTooNew {
        /// What was asked for.
        verb: Verb,
        /// The configuration's version.
        version: Version,
    },
    /// GC and STATUS are about a network, not about one attachment.
    #[error("{0} is not about one attachment")]
    NoAttachment(Verb),

    /// A delegate's name that would lead out of the folders for plugins (CVE-2021-20206).
    #[error("the plugin type {0} cannot be used: wanted the plain name of a file")]
    DelegateName(String),
    /// A delegate that is nowhere.
    #[error("the plugin {name} was not found in CNI_PATH: {}", Folders(.folders))]
    DelegateMissing {
        /// Its type.
        name: String,
        /// All folders of `CNI_PATH`.
        folders: Vec<PathBuf>,
    },
    /// A delegate that cannot be started, written to or waited for.
    #[error("running {}: {source}", .path.display())]
    DelegateIo {
        /// Its file.
        path: PathBuf,
        /// The kernel's word.
        source: io::Error,
    },
    /// A delegate's own error, which keeps its code.
    #[error("{name}: {}", .error.msg)]
    DelegateFailed {
        /// Its type.
        name: String,
        /// What it said.
        error: cni::Error,
    },
    /// A delegate that failed without saying why in a way that can be read.
    #[error("{name} ended {verb} with {status} and no error object; {}", Printed(.printed))]
    DelegateDied {
        /// Its type.
        name: String,
        /// What it was asked for.
        verb: Verb,
        /// How it ended.
        status: ExitStatus,
        /// The first line of its output, shortened.
        printed: Option<String>,
    },
    /// A delegate that succeeded and printed something other than a result.
    #[error("{name} ended ADD without a result that can be read: {why}; {}", Printed(.printed))]
    DelegateGarbage {
        /// Its type.
        name: String,
        /// What is wrong with it.
        why: String,
        /// The first line of its output, shortened.
        printed: Option<String>,
    },
    /// A delegate that prints without end.
    #[error("{name} printed more than {limit} bytes and was ended")]
    DelegateFlood {
        /// Its type.
        name: String,
        /// How much is read.
        limit: usize,
    },
    /// A delegate that did not end in time.
    #[error("{name} did not end {verb} within {} s and was ended", .deadline.as_secs_f32())]
    DelegateHung {
        /// Its type.
        name: String,
        /// What it was asked for.
        verb: Verb,
        /// How long it was waited for.
        deadline: Duration,
    },
    /// A delegate that was ended because the runtime asked this plugin to stop.
    #[error("stopped by a signal while {name} was at {verb}")]
    Stopped {
        /// Its type.
        name: String,
        /// What it was asked for.
        verb: Verb,
    },

    /// A bug.
    #[error("a bug in this plugin: {0}")]
    Panicked(String),
}

impl Error {
    /// The specification's code for it (ERR-2).
    pub const fn code(&self) -> Code {
        match self {
            Self::MissingVariables { .. }
            | Self::MissingCommand
            | Self::UnknownCommand(_)
            | Self::Name { .. }
            | Self::NotText(_)
            | Self::Args(_)
            | Self::NotANetns(_)
            | Self::OwnNetns(_)
            | Self::DelegateMissing { .. } => Code::InvalidEnvironment,
            Self::NoNetns(_) => Code::UnknownContainer,
            Self::Netns { .. }
            | Self::Stdin(_)
            | Self::DelegateIo { .. }
            | Self::DelegateDied { .. } => Code::Io,
            Self::StdinTooLarge(_) | Self::DelegateGarbage { .. } | Self::DelegateFlood { .. } => {
                Code::Decode
            }
            Self::Config(error) => error.code(),
            Self::Incompatible(error) | Self::DelegateFailed { error, .. } => error.code,
            Self::VerbTooNew { .. } => Code::IncompatibleVersion,
            Self::DelegateName(_) => Code::InvalidConfig,
            Self::DelegateHung { .. } | Self::Stopped { .. } => Code::TryAgainLater,
            Self::NoAttachment(_) | Self::Panicked(_) => INTERNAL,
        }
    }
}

/// What the reference's library uses for whatever should not happen.
const INTERNAL: Code = Code::Plugin(999);

impl From<Error> for cni::Error {
    fn from(error: Error) -> Self {
        let answer = Self::new(error.code(), error.to_string());
        match error {
            Error::Incompatible(error) => error,
            Error::DelegateFailed { error, .. } => answer.with_details(error.details),
            _ => answer,
        }
    }
}

/// Names with commas between them.
struct List<'a>(&'a [&'a str]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(", "))
    }
}

/// The folders that were looked in, and those that were not.
struct Folders<'a>(&'a [PathBuf]);

impl fmt::Display for Folders<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("it is empty or not set");
        }
        for (index, folder) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            let note = if folder.is_absolute() {
                ""
            } else {
                " (not absolute, so passed over)"
            };
            write!(f, "{separator}{}{note}", folder.display())?;
        }
        Ok(())
    }
}

/// What a delegate printed.
struct Printed<'a>(&'a Option<String>);

impl fmt::Display for Printed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(line) => write!(f, "it printed {line}"),
            None => f.write_str("it printed nothing"),
        }
    }
}
