//! The folder of executables, and what is kept beside them.

use super::Error;
use sha2::{Digest, Sha256};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The folder, while nobody else changes it.
#[derive(Debug)]
pub struct Files {
    dir: PathBuf,
    own: PathBuf,
    /// Of what was looked at: the names are one file.
    sums: RefCell<BTreeMap<Content, String>>,
    _lock: File,
}

/// What a file was when it was read: device, inode, length, and when it was written.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Content(u64, u64, u64, i64, i64);

impl Content {
    fn of(found: &Metadata) -> Self {
        let written = (found.mtime(), found.mtime_nsec());
        Self(found.dev(), found.ino(), found.len(), written.0, written.1)
    }
}

impl Files {
    /// The folder, made if need be.
    pub fn open_or_make(dir: &Path) -> Result<Self, Error> {
        make(dir)?;
        let files = Self::locked(dir)?;
        for folder in [
            &files.own,
            &files.own.join("kept"),
            &files.own.join("making"),
        ] {
            make(folder)?;
        }
        files.clear_making()?;
        Ok(files)
    }

    /// The folder, if Hawser was ever installed in it.
    pub fn open(dir: &Path) -> Result<Option<Self>, Error> {
        if look(dir)?.is_none() {
            return Ok(None);
        }
        let files = Self::locked(dir)?;
        if look(&files.own)?.is_none() {
            return Ok(None);
        }
        files.clear_making()?;
        Ok(Some(files))
    }

    /// The folder itself is locked: what lies in it comes and goes.
    fn locked(dir: &Path) -> Result<Self, Error> {
        let lock = File::open(dir).map_err(Error::io("open", dir))?;
        lock.lock().map_err(Error::io("lock", dir))?;
        Ok(Self {
            dir: dir.to_owned(),
            own: dir.join(".hawser"),
            sums: RefCell::default(),
            _lock: lock,
        })
    }

    /// Whether there is something under the name that could be an executable.
    pub fn exists(&self, name: &str) -> Result<bool, Error> {
        let path = self.dir.join(name);
        match look(&path)? {
            Some(found) if found.is_dir() => Err(Error::Folder(path)),
            found => Ok(found.is_some()),
        }
    }

    /// Whether two names are one file.
    pub fn same_file(&self, one: &str, other: &str) -> Result<bool, Error> {
        let [one, other] = [one, other].map(|name| look(&self.dir.join(name)));
        let id = |found: Option<Metadata>| found.map(|found| (found.dev(), found.ino()));
        let (one, other) = (id(one?), id(other?));
        Ok(one.is_some() && one == other)
    }

    /// Whether a name leads to a copy of the file of this sum, which is as good as a link where none can be made.
    pub fn is_copy(&self, name: &str, sum: &str) -> Result<bool, Error> {
        Ok(self.sum_of(name)?.as_deref() == Some(sum) && !self.can_link())
    }

    /// The sum of what is under a name; none of something that is no regular file, which is nobody's of ours.
    pub fn sum_of(&self, name: &str) -> Result<Option<String>, Error> {
        let path = self.dir.join(name);
        let Some(found) = look(&path)?.filter(Metadata::is_file) else {
            return Ok(None);
        };
        let content = Content::of(&found);
        if let Some(known) = self.sums.borrow().get(&content) {
            return Ok(Some(known.clone()));
        }
        let sum = sum(&path)?;
        self.sums.borrow_mut().insert(content, sum.clone());
        Ok(Some(sum))
    }

    /// Puts a copy of an executable under a name.
    pub fn place_copy(&self, executable: &Path, name: &str) -> Result<(), Error> {
        let made = self.making(name);
        copy(executable, &made)?;
        self.put(&made, &self.dir.join(name))
    }

    /// Puts the file of one name under another as well.
    pub fn place_link(&self, from: &str, name: &str) -> Result<(), Error> {
        let made = self.making(name);
        link_or_copy(&self.dir.join(from), &made)?;
        self.put(&made, &self.dir.join(name))
    }

    /// Keeps what is under a name; the name itself stays.
    pub fn keep(&self, name: &str) -> Result<(), Error> {
        let made = self.making(name);
        link_or_copy(&self.dir.join(name), &made)?;
        self.put(&made, &self.kept(name))?;
        sync(&self.own.join("kept"))
    }

    /// Whether something is kept for a name.
    pub fn is_kept(&self, name: &str) -> Result<bool, Error> {
        Ok(look(&self.kept(name))?.is_some())
    }

    /// Keeps no longer what is under its name.
    pub fn forget_if_there(&self, name: &str) -> Result<(), Error> {
        let (path, kept) = (self.dir.join(name), self.kept(name));
        let (Some(there), Some(held)) = (look(&path)?, look(&kept)?) else {
            return Ok(());
        };
        let same_file = (there.dev(), there.ino()) == (held.dev(), held.ino());
        let same = || Ok(there.is_file() && held.is_file() && sum(&path)? == sum(&kept)?);
        if same_file || same()? {
            fs::remove_file(&kept).map_err(Error::io("remove", &kept))?;
        }
        Ok(())
    }

    /// Puts back what is kept.
    pub fn restore(&self, name: &str) -> Result<(), Error> {
        self.put(&self.kept(name), &self.dir.join(name))
    }

    /// Removes a name.
    pub fn remove(&self, name: &str) -> Result<(), Error> {
        let path = self.dir.join(name);
        fs::remove_file(&path).map_err(Error::io("remove", &path))
    }

    /// Reads one of our own files; none where there is none.
    pub fn read_own(&self, name: &str) -> Result<Option<String>, Error> {
        let path = self.own.join(name);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io("read", &path)(error)),
        }
    }

    /// Writes one of our own files, whole and for good.
    pub fn write_own(&self, name: &str, text: &str) -> Result<(), Error> {
        let made = self.making(name);
        write(&made, text.as_bytes())?;
        self.put(&made, &self.own.join(name))?;
        sync(&self.own)
    }

    /// Makes what was done to names survive a power failure.
    pub fn sync(&self) -> Result<(), Error> {
        sync(&self.dir)
    }

    /// Removes our own files, but not what is still kept for somebody.
    pub fn leave(self) -> Result<(), Error> {
        let kept = self.own.join("kept");
        match fs::read_dir(&kept).map(|mut kept| kept.next().is_none()) {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            // Killed before it was made, or while this was going on.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Error::io("look into", &kept)(error)),
        }
        fs::remove_dir_all(&self.own).map_err(Error::io("remove", &self.own))
    }

    fn making(&self, name: &str) -> PathBuf {
        self.own.join("making").join(name)
    }

    fn kept(&self, name: &str) -> PathBuf {
        self.own.join("kept").join(name)
    }

    fn put(&self, from: &Path, to: &Path) -> Result<(), Error> {
        fs::rename(from, to).map_err(Error::io("write", to))?;
        // Two names of one file: renaming the one to the other does nothing at all, and says so to nobody.
        match fs::remove_file(from) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Error::io("remove", from)(error))
            }
            _ => Ok(()),
        }
    }

    /// What an earlier run could not finish.
    fn clear_making(&self) -> Result<(), Error> {
        let making = self.own.join("making");
        let left = match fs::read_dir(&making) {
            Ok(left) => left,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(Error::io("look into", &making)(error)),
        };
        for entry in left {
            let path = entry.map_err(Error::io("look into", &making))?.path();
            fs::remove_file(&path).map_err(Error::io("remove", &path))?;
        }
        Ok(())
    }

    fn can_link(&self) -> bool {
        let (from, to) = (self.making("file"), self.making("link"));
        let can = File::create(&from).is_ok() && fs::hard_link(&from, &to).is_ok();
        for made in [from, to] {
            let _ = fs::remove_file(made);
        }
        can
    }
}

/// The SHA-256 of a file, in hexadecimal digits.
pub fn sum(path: &Path) -> Result<String, Error> {
    let mut file = File::open(path).map_err(Error::io("read", path))?;
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; 1 << 16];
    loop {
        match file.read(&mut chunk) {
            Ok(0) => break,
            Ok(length) => hasher.update(chunk.get(..length).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::io("read", path)(error)),
        }
    }
    let mut text = String::new();
    for byte in hasher.finalize() {
        // Writing to a string cannot go wrong.
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}

/// Writes a file that must not be there yet, and waits until it is on the disk.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let write = || {
        let mut options = OpenOptions::new();
        options.create_new(true).write(true).mode(0o644);
        let mut file = options.open(path)?;
        io::Write::write_all(&mut file, bytes)?;
        file.sync_all()
    };
    write().map_err(Error::io("write", path))
}

/// Waits until the names in a folder are on the disk.
pub fn sync(dir: &Path) -> Result<(), Error> {
    let synced = File::open(dir).and_then(|dir| dir.sync_all());
    synced.map_err(Error::io("sync", dir))
}

fn make(folder: &Path) -> Result<(), Error> {
    let made = DirBuilder::new().recursive(true).mode(0o755).create(folder);
    made.map_err(Error::io("make", folder))
}

fn look(path: &Path) -> Result<Option<Metadata>, Error> {
    match fs::symlink_metadata(path) {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("look at", path)(error)),
    }
}

/// A link as what it is, a symbolic one too; or a copy, where the filesystem makes none.
fn link_or_copy(from: &Path, to: &Path) -> Result<(), Error> {
    match fs::hard_link(from, to) {
        Ok(()) => Ok(()),
        Err(_) => copy(from, to),
    }
}

fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    let copy = || {
        let mut source = File::open(from)?;
        let mut options = OpenOptions::new();
        options.create_new(true).write(true).mode(0o755);
        let mut file = options.open(to)?;
        io::copy(&mut source, &mut file)?;
        // What the caller's umask took away.
        file.set_permissions(fs::Permissions::from_mode(0o755))?;
        file.sync_all()
    };
    copy().map_err(Error::io("write", to))
}
