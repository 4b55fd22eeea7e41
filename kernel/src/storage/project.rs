//! Project quotas of XFS and ext4: files belong to numbered projects, and a project has a limit.
//!
//! A filesystem enforces them when it is mounted with `prjquota`. Whoever owns a file may give it to another project,
//! unless it lives in a user namespace: against a pod with ill will the quota holds only there. ext4 lets processes with
//! CAP_SYS_RESOURCE pass every limit.

use super::{Error, sys::project as sys};
use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};
use std::ops::Range;
use std::os::fd::AsFd;
use std::path::Path;

/// Numbers that we give to projects: beyond those that people choose, and positive for programs that take them for signed.
const OURS: Range<u32> = 1 << 30..1 << 31;
/// Among a billion numbers so many in use, met by chance, mean that something else is wrong.
const ATTEMPTS: usize = 32;

/// What a project uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of all its files, with what is not written to the disk yet.
    pub bytes: u64,
    /// Its files and directories.
    pub inodes: u64,
    /// The bytes that it may use at most.
    pub limit: Option<u64>,
}

/// Whether the filesystem of `fd` enforces the limits of projects. `at` names it in errors.
pub fn enforced(fd: impl AsFd, at: &Path) -> Result<bool, Error> {
    match sys::state(fd.as_fd()) {
        Ok(flags) => Ok(flags & sys::ENFORCED != 0),
        // No quotas at all: the filesystem does not know any, this kernel's does not, or none are on.
        Err(Errno::NOSYS | Errno::NOTSUP | Errno::INVAL) => Ok(false),
        Err(errno) => Err(Error::new(
            format!("read the quota state of the filesystem at {}", at.display()),
            errno,
        )),
    }
}

/// Gives an empty directory to a project, and all that will be made in it or copied into it: files, links, devices and
/// directories. `at` names it in errors.
pub fn assign(directory: impl AsFd, at: &Path, project: u32) -> Result<(), Error> {
    let directory = directory.as_fd();
    let assign = || {
        let mut attributes = sys::attributes(directory)?;
        attributes.project = project;
        attributes.flags |= sys::INHERIT;
        sys::set_attributes(directory, attributes)
    };
    assign()
        .map_err(|errno| Error::new(format!("give {} to project {project}", at.display()), errno))
}

/// The project of a directory, if [`free_project`] may have chosen it. `at` names the directory in errors.
pub fn of(directory: impl AsFd, at: &Path) -> Result<Option<u32>, Error> {
    let attributes = sys::attributes(directory.as_fd())
        .map_err(|errno| Error::new(format!("read the project of {}", at.display()), errno))?;
    Ok(Some(attributes.project).filter(|project| OURS.contains(project)))
}

/// Limits what a project may use in the filesystem of `fd`, in bytes, to whole KiB above. `at` names the filesystem in
/// errors.
pub fn limit(fd: impl AsFd, at: &Path, project: u32, bytes: u64) -> Result<(), Error> {
    // No blocks at all would be no limit.
    let blocks = bytes.div_ceil(sys::BLOCK).max(1);
    sys::set_limit(fd.as_fd(), project, blocks).map_err(|errno| {
        let at = at.display();
        let doing = format!("limit project {project} at {at} to {bytes} bytes");
        explained(Error::new(doing, errno))
    })
}

/// Lifts the limit of a project in the filesystem of `fd`, after which nothing is left of a project without files. Where
/// quotas are off, nobody is limited. `at` names the filesystem in errors.
pub fn unlimit(fd: impl AsFd, at: &Path, project: u32) -> Result<(), Error> {
    match sys::set_limit(fd.as_fd(), project, 0) {
        Ok(()) | Err(Errno::SRCH | Errno::NOSYS) => Ok(()),
        Err(errno) => {
            let doing = format!("lift the limit of project {project} at {}", at.display());
            Err(Error::new(doing, errno))
        }
    }
}

/// What a project uses in the filesystem of `fd`. `at` names the filesystem in errors.
pub fn usage(fd: impl AsFd, at: &Path, project: u32) -> Result<Usage, Error> {
    let account = match sys::account(fd.as_fd(), project) {
        Err(Errno::NOENT) => Ok(sys::Account::default()),
        account => account,
    };
    let account = account.map_err(|errno| {
        let doing = format!("read the usage of project {project} at {}", at.display());
        explained(Error::new(doing, errno))
    })?;
    Ok(Usage {
        bytes: account.space,
        inodes: account.inodes,
        limit: (account.hard_limit > 0).then(|| account.hard_limit.saturating_mul(sys::BLOCK)),
    })
}

/// A project that has neither files nor a limit in the filesystem of `fd`: chosen by chance, so that two who ask at the
/// same time get two. `at` names the filesystem in errors.
pub fn free_project(fd: impl AsFd, at: &Path) -> Result<u32, Error> {
    let doing = |errno| Error::new(format!("choose a project at {}", at.display()), errno);
    for _ in 0..ATTEMPTS {
        let mut random = [0; 4];
        getrandom(&mut random, GetRandomFlags::empty()).map_err(doing)?;
        let project = OURS.start + u32::from_ne_bytes(random) % (OURS.end - OURS.start);
        let used = usage(&fd, at, project)?;
        if used.inodes == 0 && used.bytes == 0 && used.limit.is_none() {
            return Ok(project);
        }
    }
    Err(doing(Errno::EXIST).with_note("all numbers tried are in use"))
}

/// "No such process" is the kernel's word for quotas that are off.
fn explained(error: Error) -> Error {
    if matches!(error.errno(), Errno::SRCH | Errno::NOSYS) {
        error.with_note("the filesystem is not mounted with prjquota")
    } else {
        error
    }
}

// What a kernel with project quotas does is tested in the VM of `testkit`.
#[cfg(test)]
mod tests {
    use super::super::scratch;
    use super::*;
    use std::fs::File;

    #[test]
    fn a_filesystem_without_project_quotas_says_so() {
        for (kind, mib) in [("ext4", 16), ("btrfs", 128)] {
            scratch::inside(move |folder| {
                let (_, image) = scratch::image(folder, mib, Some(kind));
                let point = folder.join("mounted");
                std::fs::create_dir(&point).unwrap();
                scratch::run("mount", &["-o", "loop", image.to_str().unwrap()], &point);
                let root = File::open(&point).unwrap();
                assert!(!enforced(&root, &point).unwrap());
                for refused in [
                    limit(&root, &point, OURS.start, 1).unwrap_err(),
                    usage(&root, &point, OURS.start).unwrap_err(),
                    free_project(&root, &point).unwrap_err(),
                ] {
                    assert!(refused.to_string().contains("prjquota"), "{refused}");
                }
                assign(&root, &point, OURS.start).unwrap_err();
                unlimit(&root, &point, OURS.start).unwrap();
                assert_eq!(of(&root, &point).unwrap(), None);
                drop(root);
                scratch::run("umount", &["-l"], &point);
            });
        }
    }
}
