//! The moment of a cut: volumes held still, their bytes taken.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kernel::storage::freeze;
use kernel::{Step, Undo};

use crate::driver::Driver;
use crate::error::Error;
use crate::pool::{Making, Writable};
use crate::record::{Kind, Volume};
use crate::store::{Change, Store};

/// Volumes held still. Let go when it ends or is dropped.
pub(crate) struct Cut {
    undo: Undo<LetGo>,
    instant: Option<String>,
    frozen: bool,
}

/// How a volume is held still.
enum Still {
    /// Nobody writes to it, and its lock keeps it so.
    Idle,
    /// Its filesystem, mounted here, is frozen.
    Freeze(OwnedFd),
    /// Somebody may write at any time, so its bytes have to be taken at once.
    Instant,
}

/// A volume whose filesystem is frozen, or about to be.
struct Freezing {
    volume: String,
    staged: OwnedFd,
    /// Whether it was us, now or before a crash. Somebody else may have frozen it for the sake of this very snapshot, and
    /// will thaw it.
    by_us: AtomicBool,
}

impl Freezing {
    fn freeze(&self) -> Result<(), Error> {
        if freeze::freeze(&self.staged, at(&self.volume))? {
            self.by_us.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    fn thaw(&self) -> Result<(), Error> {
        if self.by_us.load(Ordering::Relaxed) {
            freeze::thaw(&self.staged, at(&self.volume))?;
        }
        Ok(())
    }
}

/// What has to be taken back to let volumes go: each freeze, and then the mark of it in the record. One that cannot be thawed
/// stays marked, so that the next start tries again.
struct LetGo {
    volumes: Arc<[Freezing]>,
    store: Store,
}

impl Step for LetGo {
    type Error = Error;

    fn revert(&mut self) -> Result<(), Error> {
        let mut first = Ok(());
        let mut thawed = Vec::new();
        for volume in self.volumes.iter() {
            match volume.thaw() {
                Ok(()) => thawed.push(volume.volume.as_str()),
                Err(error) if first.is_ok() => first = Err(error),
                Err(_) => {}
            }
        }
        mark(&self.store, thawed, false)?;
        first
    }
}

impl Cut {
    /// Refuses to copy what may change meanwhile.
    pub(crate) fn may_copy(&self) -> Result<(), Error> {
        self.instant
            .as_ref()
            .map_or(Ok(()), |volume| Err(in_use(volume)))
    }

    /// Whether a filesystem is frozen until the cut ends.
    pub(crate) const fn is_frozen(&self) -> bool {
        self.frozen
    }

    /// Lets the volumes go.
    pub(crate) fn end(self) -> Result<(), Error> {
        self.undo.revert()
    }
}

impl Driver {
    /// Holds volumes still, all at one moment (GG-02). The caller holds their locks.
    pub(crate) fn begin_cut(&self, volumes: &[Volume]) -> Result<Cut, Error> {
        let mut cut = Cut {
            undo: Undo::new(),
            instant: None,
            frozen: false,
        };
        let mut freezing = Vec::new();
        for volume in volumes {
            match self.still(volume)? {
                Still::Idle => {}
                Still::Freeze(staged) => freezing.push(Freezing {
                    volume: volume.id.clone(),
                    staged,
                    by_us: volume.frozen.into(),
                }),
                Still::Instant if cut.instant.is_some() => return Err(not_together(&cut, volume)),
                Still::Instant => cut.instant = Some(volume.id.clone()),
            }
        }
        if freezing.is_empty() {
            return Ok(cut);
        }
        cut.frozen = true;
        let freezing: Arc<[_]> = freezing.into();
        cut.undo.record(LetGo {
            volumes: Arc::clone(&freezing),
            store: self.store.clone(),
        });
        // A filesystem stays frozen when its freezer dies, and the next start has to know whose it was.
        let ids = freezing.iter().map(|volume| volume.volume.as_str());
        mark(&self.store, ids, true)?;
        freezing.iter().try_for_each(Freezing::freeze)?;
        Ok(cut)
    }

    fn still(&self, volume: &Volume) -> Result<Still, Error> {
        let observed = self.observe(volume)?;
        let pool = self.pools.get(&volume.pool)?;
        let at_once = if volume.kind() == Kind::Image {
            pool.has_reflink()
        } else {
            pool.has_subvolumes()
        };
        if let Some(device) = &observed.device {
            let doing = || format!("write the device of volume {} to its image", volume.id);
            rustix::fs::fdatasync(device)
                .map_err(|errno| kernel::storage::Error::new(doing(), errno))?;
        }
        let written = observed.written();
        match observed.staged {
            // Also when nobody writes: what the filesystem still holds back has to reach the image.
            Some(staged) if volume.kind() == Kind::Image && !volume.block => {
                Ok(Still::Freeze(staged))
            }
            _ if !written => Ok(Still::Idle),
            _ if at_once => Ok(Still::Instant),
            _ => Err(in_use(&volume.id)),
        }
    }

    /// Takes a volume's bytes at once; `false` where the pool cannot.
    pub(crate) fn cut_now(
        &self,
        volume: &Volume,
        making: &Making<'_>,
        writable: Writable,
    ) -> Result<bool, Error> {
        let pool = self.pools.get(&volume.pool)?;
        if volume.kind() == Kind::Image {
            return making.reflink_image(&pool.image(volume)?);
        }
        let at_once = pool.has_subvolumes() && making.shares_with(pool);
        if at_once {
            // Some kernels make a broken snapshot of a subvolume that is not on disk yet.
            if self.settler.has_to_settle(&volume.id) {
                pool.commit()?;
            }
            making.subvolume(pool.data(volume)?, writable)?;
        }
        Ok(at_once)
    }

    /// Copies the bytes of a volume that is held still.
    pub(crate) fn cut_slowly(&self, volume: &Volume, making: &Making<'_>) -> Result<(), Error> {
        let pool = self.pools.get(&volume.pool)?;
        if volume.kind() == Kind::Image {
            return making.copy_image(&pool.image(volume)?, &|| self.goes_on());
        }
        making.copy_data(pool.data(volume)?, &|| self.goes_on())
    }

    /// Whether work that takes long goes on.
    pub(crate) fn goes_on(&self) -> bool {
        !self.stopping.load(Ordering::Relaxed)
    }
}

/// Records whether volumes are frozen by us.
fn mark<'a>(
    store: &Store,
    volumes: impl IntoIterator<Item = &'a str>,
    frozen: bool,
) -> Result<(), Error> {
    let mut changes = Vec::new();
    for id in volumes {
        let volume = store.volume(id)?;
        changes.extend(volume.map(|volume| Change::PutVolume(Volume { frozen, ..volume })));
    }
    if changes.is_empty() {
        return Ok(());
    }
    Ok(store.commit(changes)?)
}

/// How a volume's filesystem is called in messages about it.
fn at(volume: &str) -> &Path {
    Path::new(volume)
}

fn in_use(volume: &str) -> Error {
    Error::Unready(format!(
        "volume {volume} is being written to, and its pool cannot copy it at one moment: unpublish it first, or keep such \
         volumes in a pool on XFS or btrfs"
    ))
}

fn not_together(cut: &Cut, volume: &Volume) -> Error {
    let first = cut.instant.as_deref().unwrap_or_default();
    Error::Unready(format!(
        "volumes {first} and {} are being written to and cannot be held still, so that they have no moment in common: \
         unpublish one of them",
        volume.id
    ))
}
