//! What can go wrong while installing, and the way out of each.

use std::io;
use std::path::{Path, PathBuf};

/// Why something could not be installed or removed. What was done before it stays, and is whole.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The filesystem refused something.
    #[error("{what} {}: {source}: {}", .path.display(), remedy(.source))]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which path.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// A folder is where an executable should be.
    #[error("{} is a folder: move it away, it has the name of a plugin", .0.display())]
    Folder(PathBuf),
    /// A network that the address plugin cannot serve.
    #[error("subnet {0}: {1}")]
    Subnet(String, &'static str),
    /// More subnets than there are families.
    #[error("{0} {1} subnets: a pod gets one address of each family; give one")]
    SubnetsOfOneFamily(usize, &'static str),
    /// A name that no network or interface can have.
    #[error("{flag} {value:?}: {why}")]
    Name {
        /// The flag.
        flag: &'static str,
        /// Its value.
        value: String,
        /// What is wrong with it.
        why: String,
    },
    /// A configuration under our name that is not ours.
    #[error(
        "{} was not written by hawser, or somebody took its \"managedBy\" key out: it stays as it is; move it away to have \
         another written",
        .0.display()
    )]
    ForeignConflist(PathBuf),
}

impl Error {
    /// For `map_err`.
    pub(crate) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { what, path, source }
    }
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::ReadOnlyFilesystem => {
            "mount it writable, or install elsewhere with --bin-dir and --conf-dir and tell the runtime"
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "make room there, some 5 MB are needed; every plugin is still whole, the old one or the new one"
        }
        io::ErrorKind::PermissionDenied => {
            "run it as root, with CAP_DAC_OVERRIDE where the folder is another user's"
        }
        io::ErrorKind::NotFound => "is that the right folder?",
        io::ErrorKind::NotADirectory => "a file is in the way: move it, or choose another folder",
        _ => "see what is wrong with that filesystem, and run it again",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_names_path_cause_and_way_out() {
        for (errno, words) in [
            (30, "mount it writable"),
            (28, "make room"),
            (122, "make room"),
            (13, "as root"),
            (20, "in the way"),
        ] {
            let source = io::Error::from_raw_os_error(errno);
            let text = Error::io("write", Path::new("/opt/cni/bin/bridge"))(source).to_string();
            assert!(text.starts_with("write /opt/cni/bin/bridge: "), "{text}");
            assert!(text.contains(words), "{text}");
        }
    }
}
