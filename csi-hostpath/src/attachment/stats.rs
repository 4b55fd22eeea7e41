//! `NodeGetVolumeStats`: how full a volume is, and whether it is well. It takes no lock and its cost does not grow.

use std::fs;
use std::path::Path;

use kernel::storage::filesystem::{self, Space};
use kernel::storage::mounts;

use super::own::Own;
use super::sight::{Mounted, Sight};
use crate::driver::{Condition, Driver};
use crate::error::Error;
use crate::mount_flags::Flags;
use crate::record::Volume;
use crate::request;

/// Less free space than this in a pool is none: filesystems keep a little that nobody gets, and tell it.
const NOTHING: u64 = 1 << 20;

/// What a volume uses and has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// In all.
    pub total: u64,
    /// Taken.
    pub used: u64,
    /// Free.
    pub available: u64,
}

/// What `NodeGetVolumeStats` tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// In bytes. Of a raw device only `total` is known.
    pub bytes: Usage,
    /// Whether `bytes.used` and `bytes.available` are known.
    pub measured: bool,
    /// In inodes, where the filesystem counts them.
    pub inodes: Option<Usage>,
    /// Whether the volume is well.
    pub condition: Condition,
}

impl Driver {
    /// Measures a volume at a path at which it is staged or published (NG-01).
    pub fn stats(&self, wanted: &request::Stats) -> Result<Stats, Error> {
        let volume = self.volume(&wanted.volume)?;
        let own = Own::of(&self.pools, &volume)?;
        if volume.block {
            return match self.is_at(&volume, &own, &wanted.path)? {
                true => {
                    let trouble = self.trouble_beneath(&volume, &own)?;
                    Ok(unmeasured(&volume, trouble.unwrap_or_else(well)))
                }
                false => absent(&volume, &wanted.path),
            };
        }
        match self.sight_of(&wanted.path)? {
            Sight::Mounted(mounted) if own.is(&mounted)? => {
                let condition = match self.trouble_beneath(&volume, &own)? {
                    Some(trouble) => trouble,
                    None => condition(&volume, &mounted, &wanted.path)?,
                };
                if mounted.is_dead() {
                    return Ok(unmeasured(&volume, condition));
                }
                self.measure(&volume, &mounted, &wanted.path, condition)
            }
            _ => absent(&volume, &wanted.path),
        }
    }

    /// What is wrong with what the volume lies on: its bytes are gone, or it gets no more of them.
    fn trouble_beneath(&self, volume: &Volume, own: &Own) -> Result<Option<Condition>, Error> {
        let (id, pool) = (&volume.id, &volume.pool);
        if own.data().is_none() {
            let gone = format!("the data of volume {id} is gone from pool {pool}");
            return Ok(Some(ill(gone)));
        }
        let is_starved = !volume.thick && self.pools.get(pool)?.space()?.available < NOTHING;
        Ok(is_starved.then(|| {
            ill(format!(
                "pool {pool} is full and volume {id} gets no more space from it, make room in the pool"
            ))
        }))
    }

    fn measure(
        &self,
        volume: &Volume,
        mounted: &Mounted,
        path: &Path,
        condition: Condition,
    ) -> Result<Stats, Error> {
        if !volume.kind().is_directory() {
            let space = filesystem::of(mounted.fd(), path)?.space;
            return Ok(of_filesystem(space, condition));
        }
        let pool = self.pools.get(&volume.pool)?;
        if let Err(unenforced) = pool.must_enforce(volume) {
            return Ok(unmeasured(volume, ill(unenforced.to_string())));
        }
        Ok(match pool.usage(volume)? {
            // Asked beneath a project, the kernel tells what its quota leaves, even where the pool has less.
            Some((bytes, inodes)) => {
                of_directory(volume.backing, bytes, inodes, pool.space()?, condition)
            }
            None => unmeasured(volume, condition),
        })
    }
}

/// An image's own filesystem tells all.
fn of_filesystem(space: Space, condition: Condition) -> Stats {
    Stats {
        bytes: Usage {
            total: space.total,
            used: space.total.saturating_sub(space.free),
            available: space.available,
        },
        measured: true,
        inodes: space.inodes.map(|inodes| Usage {
            total: inodes.total,
            used: inodes.total.saturating_sub(inodes.free),
            available: inodes.free,
        }),
        condition,
    }
}

/// A directory has what its quota leaves, if the pool has that much. Inodes are the pool's.
fn of_directory(
    size: u64,
    used: u64,
    inodes: Option<u64>,
    pool: Space,
    condition: Condition,
) -> Stats {
    let free = pool.inodes.map(|inodes| inodes.free);
    Stats {
        bytes: Usage {
            total: size,
            used,
            available: size.saturating_sub(used).min(pool.available),
        },
        measured: true,
        inodes: inodes.zip(free).map(|(used, free)| Usage {
            total: used.saturating_add(free),
            used,
            available: free,
        }),
        condition,
    }
}

/// Nobody counts.
fn unmeasured(volume: &Volume, condition: Condition) -> Stats {
    Stats {
        bytes: Usage {
            total: volume.backing,
            ..Usage::default()
        },
        condition,
        ..Stats::default()
    }
}

/// A path at which the volume is not. If it should be, that is an answer; otherwise the question is wrong.
fn absent(volume: &Volume, path: &Path) -> Result<Stats, Error> {
    let staged = volume.staged.iter().map(|staged| &staged.path);
    let published = volume.published.iter().map(|published| &published.target);
    if !staged.chain(published).any(|used| Path::new(used) == path) {
        return Err(Error::Missing {
            what: "a mount of this volume at",
            id: path.display().to_string(),
        });
    }
    let message = format!(
        "volume {} is not at {} any more, restart the pod",
        volume.id,
        path.display()
    );
    Ok(unmeasured(volume, ill(message)))
}

/// Whether a mount of the volume is well.
fn condition(volume: &Volume, mounted: &Mounted, path: &Path) -> Result<Condition, Error> {
    let id = &volume.id;
    if mounted.is_dead() {
        return Ok(ill(format!(
            "the filesystem of volume {id} has shut down after an error, see the node's kernel log and restart the pod"
        )));
    }
    if !volume.kind().is_directory() && mounted.number()?.is_some_and(has_ext4_errors) {
        return Ok(ill(format!(
            "the filesystem of volume {id} has found errors in itself, restart the pod to have it checked"
        )));
    }
    if !is_meant_readonly(volume, path) && mounts::is_readonly(mounted.fd(), path)? {
        return Ok(ill(format!(
            "volume {id} cannot be written any more, see the node's kernel log and restart the pod"
        )));
    }
    Ok(well())
}

/// Whether nobody expects to write at a path.
fn is_meant_readonly(volume: &Volume, path: &Path) -> bool {
    let mut published = volume.published.iter();
    if let Some(published) = published.find(|other| Path::new(&other.target) == path) {
        return published.readonly;
    }
    let flags = volume.staged.iter().flat_map(|staged| &staged.flags);
    let flags: Vec<_> = flags.cloned().collect();
    Flags::parse(&flags).is_ok_and(|flags| flags.readonly)
}

/// What ext4 counts of its errors on a loop device. It may go on as if nothing had happened.
fn has_ext4_errors(number: u32) -> bool {
    let count = fs::read_to_string(format!("/sys/fs/ext4/loop{number}/errors_count"));
    count.is_ok_and(|count| count.trim() != "0")
}

fn ill(message: String) -> Condition {
    Condition {
        abnormal: true,
        message,
    }
}

fn well() -> Condition {
    Condition {
        abnormal: false,
        message: "the volume is well".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Published, Staged};
    use kernel::storage::filesystem::Inodes;

    const SPACE: Space = Space {
        total: 100,
        free: 60,
        available: 50,
        inodes: Some(Inodes { total: 9, free: 4 }),
    };

    fn usage(total: u64, used: u64, available: u64) -> Usage {
        Usage {
            total,
            used,
            available,
        }
    }

    #[test]
    fn an_image_has_what_its_filesystem_tells() {
        let stats = of_filesystem(SPACE, well());
        assert_eq!(stats.bytes, usage(100, 40, 50));
        assert_eq!(stats.inodes, Some(usage(9, 5, 4)));
        assert!(stats.measured);
    }

    #[test]
    fn a_directory_has_its_size_and_not_the_pools() {
        let stats = of_directory(40, 10, Some(3), SPACE, well());
        assert_eq!(stats.bytes, usage(40, 10, 30));
        assert_eq!(stats.inodes, Some(usage(7, 3, 4)));
        let fuller = of_directory(400, 10, None, SPACE, well());
        assert_eq!(
            fuller.bytes.available, 50,
            "a pool may have less than was promised"
        );
        assert_eq!(fuller.inodes, None);
        let over = of_directory(40, 41, None, SPACE, well());
        assert_eq!(over.bytes.available, 0);
    }

    #[test]
    fn ng_01_only_a_path_that_was_used_can_have_lost_the_volume() {
        let volume = Volume {
            id: "vol-1".to_owned(),
            backing: 7,
            published: vec![Published {
                target: "/pods/1".to_owned(),
                ..Published::default()
            }],
            ..Volume::default()
        };
        let stats = absent(&volume, Path::new("/pods/1")).unwrap();
        assert!(stats.condition.abnormal && !stats.measured);
        assert_eq!(stats.bytes.total, 7);
        let error = absent(&volume, Path::new("/pods/2")).unwrap_err();
        assert_eq!(error.code(), tonic::Code::NotFound);
    }

    #[test]
    fn only_who_may_write_misses_it() {
        let target = |target: &str, readonly| Published {
            target: target.to_owned(),
            readonly,
            ..Published::default()
        };
        let mut volume = Volume {
            published: vec![target("/r", true), target("/w", false)],
            ..Volume::default()
        };
        assert!(is_meant_readonly(&volume, Path::new("/r")));
        assert!(!is_meant_readonly(&volume, Path::new("/w")));
        volume.staged = Some(Staged {
            path: "/s".to_owned(),
            flags: vec!["ro".to_owned()],
            mode: 0,
        });
        assert!(is_meant_readonly(&volume, Path::new("/s")));
        assert!(!is_meant_readonly(&volume, Path::new("/w")));
    }
}
