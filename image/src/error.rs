//! What can go wrong while packing.

use std::io;
use std::path::{Path, PathBuf};

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The filesystem refused something.
    #[error("{what} {}: {source}", .path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which path.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// An executable of ours that was not built.
    #[error("{} is missing: build it, or name another folder with --bin-dir", .0.display())]
    NotBuilt(PathBuf),
    /// A program that no package brought.
    #[error("{program} is in none of the folders of {}: is its package among those that were unpacked there?", .root.display())]
    NoProgram {
        /// Its name.
        program: String,
        /// Where the packages were unpacked.
        root: PathBuf,
    },
    /// A library that no package brought.
    #[error("{needed_by} needs {library}, which is nowhere in {}: unpack its package there as well", .root.display())]
    NoLibrary {
        /// Its name.
        library: String,
        /// Who needs it.
        needed_by: String,
        /// Where the packages were unpacked.
        root: PathBuf,
    },
    /// A file that no package is said to have brought.
    #[error("{} is from no package: unpack the packages again (delete target/image)", .0.display())]
    Nobodys(PathBuf),
    /// A package without the file that its licence asks for.
    #[error("the package {0} brought no copyright file, which its licence asks to be passed on")]
    NoLicence(String),
    /// A program that cannot be read as one.
    #[error("{}: {source}", .path.display())]
    Elf {
        /// Its path.
        path: PathBuf,
        /// What is wrong with it.
        source: object::Error,
    },
}

impl Error {
    /// For `map_err`.
    pub(crate) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { what, path, source }
    }
}
