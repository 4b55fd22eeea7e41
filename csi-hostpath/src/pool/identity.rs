//! By what a pool is recognised: a marker in its directory, which the store remembers. A disk that is not mounted leaves an
//! empty directory behind, which must not be taken for an empty pool: volumes would seem lost, and new ones would land on
//! the disk beneath.

use std::io::{Read, Write};

use kernel::storage::beneath::Root;
use rustix::io::Errno;

use super::content::io;
use crate::error::Error;
use crate::id;
use crate::store::{Promised, Store};

/// The marker's file in the pool. It holds an id; an empty one says that the pool is to be taken as it is.
const MARKER: &str = "identity";
/// The most of a marker that is read, in bytes.
const LONGEST: u64 = 64;

/// What is wrong with the pool beneath `root`, if it is not the one that the store knows by this name. A pool that is new to
/// the store is marked.
pub(super) fn complaint(store: &Store, pool: &str, root: &Root) -> Result<Option<String>, Error> {
    let known = store.identity(pool)?;
    let found = found(root)?;
    let is_taken_as_it_is = found.as_deref() == Some("");
    let is_same = match (&known, found.filter(|found| !found.is_empty())) {
        (Some(known), Some(found)) if *known == found => return Ok(None),
        // Marked by a store that is no more, or by a start that was cut short.
        (None, Some(found)) => {
            store.identify(pool, &found)?;
            return Ok(None);
        }
        (Some(_), _) => is_taken_as_it_is,
        (None, None) => {
            is_taken_as_it_is
                || store.promised(pool)? == Promised::default()
                || root.has("volumes")?
        }
    };
    if !is_same {
        let path = root.path();
        return Ok(Some(format!(
            "pool {pool} is not at {}: its filesystem is not mounted there, or it is another one. Mount it and restart the \
             driver; or, to give up what was in it, make the empty file {}",
            path.display(),
            path.join(MARKER).display()
        )));
    }
    let id =
        id::random().map_err(|errno| kernel::storage::Error::new("draw a random id", errno))?;
    match mark(root, &id) {
        Ok(()) => store.identify(pool, &id)?,
        // Nothing can land on it either.
        Err(Error::Kernel(error)) if error.errno() == Errno::ROFS => {}
        Err(error) => return Err(error),
    }
    Ok(None)
}

fn found(root: &Root) -> Result<Option<String>, Error> {
    let file = match root.open_file(MARKER, false) {
        Ok(file) => file,
        Err(missing) if missing.is_missing() => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut text = String::new();
    file.take(LONGEST)
        .read_to_string(&mut text)
        .map_err(|error| {
            io(
                format!("read {}", root.path().join(MARKER).display()),
                &error,
            )
        })?;
    Ok(Some(text.trim().to_owned()))
}

fn mark(root: &Root, id: &str) -> Result<(), Error> {
    let mut file = match root.open_file(MARKER, true) {
        Err(missing) if missing.is_missing() => root.create_file(MARKER, 0o600)?,
        opened => opened?,
    };
    let written = writeln!(file, "{id}").and_then(|()| file.sync_all());
    written.map_err(|error| {
        io(
            format!("write {}", root.path().join(MARKER).display()),
            &error,
        )
    })?;
    Ok(root.sync()?)
}
