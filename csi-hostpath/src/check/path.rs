//! Paths that callers name.

use std::path::PathBuf;

use super::text;
use crate::error::Error;
use crate::excerpt::excerpt;
use crate::id::VolumeId;

/// `PATH_MAX` without the NUL that ends a path.
const PATH: usize = 4095;

/// An absolute path without `.`, `..` and empty components, below `/`.
pub(super) fn absolute(field: &str, path: &str) -> Result<PathBuf, Error> {
    text::required(field, path, PATH)?;
    if is_plain(path) {
        return Ok(PathBuf::from(path));
    }
    Err(Error::Invalid(format!(
        "{field} {} is not a path from / on without ., .. and empty parts",
        excerpt(path)
    )))
}

/// The same, and it may be absent.
pub(super) fn optional(field: &str, path: &str) -> Result<Option<PathBuf>, Error> {
    if path.is_empty() {
        return Ok(None);
    }
    absolute(field, path).map(Some)
}

/// A path at which a volume is looked for, as a caller gave it: not empty.
pub(super) struct Place {
    field: &'static str,
    path: String,
}

/// Where `field` says that a volume is.
pub(super) fn place(field: &'static str, path: &str) -> Result<Place, Error> {
    text::required(field, path, PATH)?;
    let path = path.to_owned();
    Ok(Place { field, path })
}

impl Place {
    /// The path, unless no volume can ever be at such a one (NG-01: then it is not found there).
    pub(super) fn known(self, volume: &VolumeId) -> Result<PathBuf, Error> {
        if is_plain(&self.path) {
            return Ok(PathBuf::from(self.path));
        }
        let id = format!("{volume} at {} {}", self.field, excerpt(&self.path));
        Err(Error::Missing { what: "volume", id })
    }
}

fn is_plain(path: &str) -> bool {
    let Some(rest) = path.strip_prefix('/') else {
        return false;
    };
    rest.split('/').all(|part| !matches!(part, "" | "." | ".."))
}
