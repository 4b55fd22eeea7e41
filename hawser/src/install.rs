//! Putting the plugins into a node's folder, and taking them out again.
//!
//! `hawser` and every plugin's name become hard links of one file. Nothing is ever written under a name that a runtime
//! may be starting: a file is made aside, synced, and renamed, so that each name always leads to a whole executable.
//! What was there before is kept and comes back with [`uninstall`].
//!
//! ```text
//! <bin-dir>                                locked meanwhile
//! <bin-dir>/hawser bridge host-local ...   one file
//! <bin-dir>/.hawser/record                 whose files are ours: every name and every SHA-256 that was installed
//!                   kept/<name>            what a name led to before
//!                   making/                files not yet in their place; cleared at every start
//! ```
//!
//! The record is written before the first name changes, and a file counts as ours when it is the file under `hawser` or
//! its sum is in the record. So a crash between any two steps leaves what the next run, of either kind, puts right.

mod error;
pub(crate) mod files;
mod record;

pub use error::Error;

use files::Files;
use record::Record;
use std::fmt;
use std::path::Path;

/// The name of the executable itself, beside those of the plugins.
const SELF: &str = "hawser";

/// What became of one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It leads to Hawser now.
    Placed,
    /// It leads to Hawser now; what it led to is kept.
    Replaced,
    /// It led to this very version already.
    Unchanged,
    /// It is gone.
    Removed,
    /// It leads again to what it led to before Hawser.
    Restored,
    /// Somebody put another file there since: it stays, and so does what is kept.
    Foreign,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Placed => "installed",
            Self::Replaced => "installed; what was there is kept",
            Self::Unchanged => "already there",
            Self::Removed => "removed",
            Self::Restored => "removed; what was there before is back",
            Self::Foreign => "left alone: it is not Hawser's any more",
        })
    }
}

/// What became of each name.
pub type Changes = Vec<(String, Change)>;

/// Installs the executable at `executable` under its own name and under every plugin's. Coming again changes nothing.
pub fn install(executable: &Path, bin_dir: &Path) -> Result<Changes, Error> {
    let files = Files::open_or_make(bin_dir)?;
    let sum = files::sum(executable)?;
    let known = Record::read(&files)?;
    let mut record = known.clone();
    let plugins = crate::plugins::ALL.iter().map(|plugin| plugin.name);
    let names: Vec<_> = plugins.collect();
    record.add(&sum, names.iter().copied().chain([SELF]));
    if record != known {
        record.write(&files)?;
    }

    let mut changes = vec![(
        SELF.to_owned(),
        place_itself(&files, &record, executable, &sum)?,
    )];
    for name in names {
        changes.push((name.to_owned(), place_link(&files, &record, name, &sum)?));
    }
    files.sync()?;
    Ok(changes)
}

/// Takes out whatever any version of Hawser installed there, and puts back what it had replaced.
pub fn uninstall(bin_dir: &Path) -> Result<Changes, Error> {
    let Some(files) = Files::open(bin_dir)? else {
        return Ok(Changes::new());
    };
    let record = Record::read(&files)?;
    let mut changes = Changes::new();
    // Itself last: by it the others are known.
    let others = record.names().filter(|name| *name != SELF);
    for name in others.chain([SELF]) {
        if let Some(change) = take_out(&files, &record, name)? {
            changes.push((name.to_owned(), change));
        }
    }
    files.sync()?;
    files.leave()?;
    Ok(changes)
}

fn place_itself(
    files: &Files,
    record: &Record,
    executable: &Path,
    sum: &str,
) -> Result<Change, Error> {
    if files.sum_of(SELF)?.as_deref() == Some(sum) {
        return Ok(Change::Unchanged);
    }
    let kept = keep_foreign(files, record, SELF)?;
    files.place_copy(executable, SELF)?;
    Ok(kept)
}

fn place_link(files: &Files, record: &Record, name: &str, sum: &str) -> Result<Change, Error> {
    if files.same_file(name, SELF)? || files.is_copy(name, sum)? {
        return Ok(Change::Unchanged);
    }
    let kept = keep_foreign(files, record, name)?;
    files.place_link(SELF, name)?;
    Ok(kept)
}

/// Keeps what is under a name, unless it is ours or nothing.
fn keep_foreign(files: &Files, record: &Record, name: &str) -> Result<Change, Error> {
    if !files.exists(name)? || is_ours(files, record, name)? {
        return Ok(Change::Placed);
    }
    files.keep(name)?;
    Ok(Change::Replaced)
}

fn take_out(files: &Files, record: &Record, name: &str) -> Result<Option<Change>, Error> {
    if !files.exists(name)? {
        return Ok(None);
    }
    if !is_ours(files, record, name)? {
        // Kept, but killed before it was replaced; or it came back already; or it was never ours.
        files.forget_if_there(name)?;
        return Ok(files.is_kept(name)?.then_some(Change::Foreign));
    }
    if files.is_kept(name)? {
        files.restore(name)?;
        return Ok(Some(Change::Restored));
    }
    files.remove(name)?;
    Ok(Some(Change::Removed))
}

fn is_ours(files: &Files, record: &Record, name: &str) -> Result<bool, Error> {
    let sum = files.sum_of(name)?;
    Ok(sum.is_some_and(|sum| record.knows(&sum)))
}
