//! What `kernel::storage` does there.

use super::{MACHINE, MIB, about, fill, run};
use kernel::storage::loopdev::{self, Device, Options};
use kernel::storage::mounts::new_filesystem;
use kernel::storage::{btrfs, filesystem, grow, project};
use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::Command;
use testkit::eventually;

/// A new filesystem, mounted.
struct Scratch {
    root: File,
    point: PathBuf,
    image: PathBuf,
    device: Device,
    _folder: tempfile::TempDir,
}

impl Scratch {
    fn new(kind: &str, options: &[(&str, Option<&str>)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (image, point) = (folder.path().join("image"), folder.path().join("mounted"));
        let file = File::create_new(&image).unwrap();
        file.set_len(320 * MIB).unwrap();
        let features: &[&str] = match kind {
            "ext4" => &["-O", "quota,project"],
            _ => &[],
        };
        run(Command::new(format!("mkfs.{kind}"))
            .arg("-q")
            .args(features)
            .arg(&image));
        let file = File::options().read(true).write(true).open(&image).unwrap();
        let autoclear = Options {
            autoclear: true,
            ..Options::default()
        };
        let device = loopdev::attach(&file, &autoclear).unwrap();
        let made = new_filesystem(kind, &device.path(), options, false).unwrap();
        fs::create_dir(&point).unwrap();
        made.attach(File::open(&point).unwrap(), &point).unwrap();
        Self {
            root: File::open(&point).unwrap(),
            point,
            image,
            device,
            _folder: folder,
        }
    }

    /// The filesystems that know projects, with quotas enforced.
    fn with_project_quotas() -> [Self; 2] {
        ["ext4", "xfs"].map(|kind| Self::new(kind, &[("prjquota", None)]))
    }

    /// A directory that everybody may write to, in a project of its own.
    fn project(&self, name: &str) -> (PathBuf, u32) {
        let path = self.point.join(name);
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o777)).unwrap();
        let project = project::free_project(&self.root, &self.point).unwrap();
        project::assign(File::open(&path).unwrap(), &path, project).unwrap();
        (path, project)
    }

    fn limit(&self, project: u32, bytes: u64) {
        project::limit(&self.root, &self.point, project, bytes).unwrap();
    }

    fn unlimit(&self, project: u32) {
        project::unlimit(&self.root, &self.point, project).unwrap();
    }

    fn usage(&self, project: u32) -> project::Usage {
        project::usage(&self.root, &self.point, project).unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        run(Command::new("busybox")
            .args(["umount", "-l"])
            .arg(&self.point));
    }
}

#[test]
fn a_project_is_stopped_at_its_limit_which_can_grow_and_go() {
    MACHINE.where_able(false, || {
        for scratch in Scratch::with_project_quotas() {
            assert!(project::enforced(&scratch.root, &scratch.point).unwrap());
            let (path, project) = scratch.project("volume");
            let (other, _) = scratch.project("other");
            for mib in [8, 16] {
                scratch.limit(project, mib * MIB);
                let size = fill(&path.join("file"), 30);
                assert!(about(size, mib), "{size} of {mib} MiB");
                let usage = scratch.usage(project);
                assert_eq!(usage.limit, Some(mib * MIB));
                assert!(about(usage.bytes, mib), "{usage:?}");
                assert_eq!(usage.inodes, 2);
            }
            assert_eq!(fill(&other.join("file"), 30), 30 * MIB);
            scratch.unlimit(project);
            assert_eq!(fill(&path.join("file"), 30), 30 * MIB);
            assert_eq!(scratch.usage(project).limit, None);
        }
    });
}

#[test]
fn limits_are_whole_kib_and_never_none() {
    MACHINE.where_able(false, || {
        for scratch in Scratch::with_project_quotas() {
            let (path, project) = scratch.project("volume");
            for (asked, kib) in [(0, 4), (1, 4), (4 << 10, 4), ((8 << 10) - 1, 8)] {
                scratch.limit(project, asked);
                let limit = scratch.usage(project).limit.unwrap();
                assert!((asked..=kib << 10).contains(&limit), "{limit} for {asked}");
            }
            assert!(fill(&path.join("file"), 1) <= 8 << 10);
        }
    });
}

#[test]
fn all_that_is_copied_into_a_directory_belongs_to_its_project() {
    MACHINE.where_able(false, || {
        for scratch in Scratch::with_project_quotas() {
            let (source, first) = scratch.project("source");
            fs::create_dir_all(source.join("a/b/c")).unwrap();
            for name in ["file", "a/file", "a/b/c/file"] {
                fill(&source.join("new"), 1);
                fs::rename(source.join("new"), source.join(name)).unwrap();
            }
            symlink("nowhere", source.join("a/link")).unwrap();
            run(Command::new("busybox")
                .args(["mkfifo"])
                .arg(source.join("a/pipe")));
            let (copy, second) = scratch.project("copy");
            let all = source.join(".");
            run(Command::new("busybox")
                .args(["cp", "-a"])
                .arg(all)
                .arg(&copy));
            let (from, to) = (scratch.usage(first), scratch.usage(second));
            // Itself, three directories, three files, a link and a pipe.
            assert_eq!((from.inodes, to.inodes), (9, 9));
            assert!(
                from.bytes >= 3 * MIB && to.bytes >= 3 * MIB,
                "{from:?} {to:?}"
            );
            fs::remove_dir_all(&source).unwrap();
            assert!(scratch.usage(second).bytes >= 3 * MIB);
        }
    });
}

#[test]
fn nothing_is_left_of_a_removed_project() {
    MACHINE.where_able(false, || {
        for scratch in Scratch::with_project_quotas() {
            let (path, project) = scratch.project("volume");
            scratch.limit(project, 8 * MIB);
            fill(&path.join("file"), 4);
            fs::remove_dir_all(&path).unwrap();
            for _ in 0..2 {
                scratch.unlimit(project);
            }
            let nothing = project::Usage {
                bytes: 0,
                inodes: 0,
                limit: None,
            };
            // XFS takes files apart in the background.
            eventually("the project's files are gone", || {
                scratch.usage(project) == nothing
            });
        }
    });
}

#[test]
fn without_prjquota_nothing_is_enforced() {
    MACHINE.where_able(false, || {
        for kind in ["ext4", "xfs", "btrfs"] {
            let scratch = Scratch::new(kind, &[]);
            assert!(!project::enforced(&scratch.root, &scratch.point).unwrap());
        }
        let user = Scratch::new("xfs", &[("usrquota", None)]);
        assert!(!project::enforced(&user.root, &user.point).unwrap());
        let refused = project::limit(&user.root, &user.point, 7, MIB).unwrap_err();
        assert!(refused.to_string().contains("prjquota"), "{refused}");
    });
}

#[test]
fn an_older_btrfs_limits_counts_and_removes_as_well() {
    MACHINE.where_able(false, || {
        let scratch = Scratch::new("btrfs", &[]);
        let (root, point) = (&scratch.root, &scratch.point);
        btrfs::create_subvolume(root, point, "volume").unwrap();
        let path = point.join("volume");
        let volume = File::open(&path).unwrap();
        btrfs::enable_quota(root, point).unwrap();
        assert_eq!(
            btrfs::quota_state(root, point).unwrap(),
            btrfs::Quota::Qgroups
        );
        btrfs::limit(&volume, &path, Some(8 * MIB)).unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o777)).unwrap();
        let size = fill(&path.join("file"), 30);
        assert!((7 * MIB..=8 * MIB).contains(&size), "{size}");
        btrfs::sync(root, point).unwrap();
        let usage = btrfs::usage(&volume, &path).unwrap();
        assert!(
            usage.referenced >= size && usage.referenced <= 8 * MIB,
            "{usage:?}"
        );

        btrfs::snapshot(&volume, root, point, "copy", true).unwrap();
        btrfs::limit(&volume, &path, None).unwrap();
        btrfs::create_subvolume(&volume, &path, "inside").unwrap();
        let inside = path.join("inside");
        btrfs::create_subvolume(File::open(&inside).unwrap(), &inside, "deeper").unwrap();
        for one in [&inside, &path] {
            btrfs::set_readonly(File::open(one).unwrap(), one, true).unwrap();
        }
        drop(volume);
        for name in ["volume", "copy"] {
            btrfs::remove_subvolume(root, point, name).unwrap();
        }
        assert_eq!(fs::read_dir(point).unwrap().count(), 0);
        let own = btrfs::usage(root, point).unwrap();
        assert_eq!(own.limit, None);
    });
}

#[test]
fn a_mounted_ext4_grows_by_those_who_may() {
    MACHINE.where_able(false, || {
        let scratch = Scratch::new("ext4", &[("prjquota", None)]);
        let image = File::options().write(true).open(&scratch.image).unwrap();
        image.set_len(640 * MIB).unwrap();
        scratch.device.refresh_size().unwrap();
        let size = || {
            let stat = filesystem::of(&scratch.root, &scratch.point).unwrap();
            stat.space.total
        };
        let before = size();
        for _ in 0..2 {
            let grown = grow::ext4_online(&scratch.root, 640 * MIB).unwrap();
            assert_eq!(grown, grow::Online::Grown);
            assert!(size() > 2 * before - 16 * MIB, "{before} became {}", size());
        }
    });
}
