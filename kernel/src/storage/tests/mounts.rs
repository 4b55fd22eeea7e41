use super::*;
use crate::storage::beneath::{Root, resolve};
use crate::storage::mountinfo;
use crate::storage::scratch::{inside, patiently};
use rustix::mount::{MountFlags, mount, mount_change};
use std::fs;
use std::os::unix::fs::MetadataExt;

pub(in crate::storage) fn dir(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name);
    fs::create_dir(&path).unwrap();
    path
}

pub(in crate::storage) fn open(path: &Path) -> OwnedFd {
    Root::open("/")
        .unwrap()
        .open_place(path.strip_prefix("/").unwrap())
        .unwrap()
        .unwrap()
}

pub(in crate::storage) fn place(path: &Path) -> Place {
    resolve(path.parent().unwrap(), path).unwrap()
}

pub(in crate::storage) fn look(path: &Path) -> Identity {
    identity(open(path), path).unwrap()
}

fn bind(source: &Path, target: &Path) {
    clone_tree(open(source), source)
        .unwrap()
        .attach(open(target), target)
        .unwrap();
}

/// The topmost mount at a path.
pub(in crate::storage) fn entry(path: &Path) -> mountinfo::Mount {
    let id = look(path).mount_id;
    mountinfo::read()
        .unwrap()
        .into_iter()
        .find(|mount| mount.id == id)
        .unwrap()
}

pub(in crate::storage) fn unmounted(place: &Place) -> bool {
    patiently(|| unmount(place))
}

fn tmpfs(path: &Path) {
    mount("none", path, "tmpfs", MountFlags::empty(), None).unwrap();
}

#[test]
fn a_directory_appears_at_another_place() {
    inside(|folder| {
        let (source, target) = (dir(folder, "source"), dir(folder, "target"));
        fs::write(source.join("file"), "content").unwrap();
        let before = look(&target);
        assert!(!before.mount_root);
        bind(&source, &target);
        assert_eq!(fs::read_to_string(target.join("file")).unwrap(), "content");
        let there = look(&target);
        assert!(there.mount_root);
        let meta = fs::metadata(&source).unwrap();
        assert_eq!(
            (there.dev, there.ino, there.rdev),
            (meta.dev(), meta.ino(), 0)
        );
        assert_eq!(entry(&target).point, target);
        assert!(unmounted(&place(&target)));
        assert_eq!(look(&target), before);
        assert!(!unmounted(&place(&target)));
    });
}

#[test]
fn a_device_node_appears_at_a_file() {
    inside(|folder| {
        let target = folder.join("device");
        fs::write(&target, "").unwrap();
        bind(Path::new("/dev/null"), &target);
        let there = look(&target);
        assert!(there.mount_root);
        assert_eq!(there.rdev, fs::metadata("/dev/null").unwrap().rdev());
        assert!(unmounted(&place(&target)));
        assert_eq!(look(&target).rdev, 0);
    });
}

#[test]
fn a_file_does_not_go_onto_a_directory() {
    inside(|folder| {
        let target = dir(folder, "target");
        let source = Path::new("/dev/null");
        let clone = clone_tree(open(source), source).unwrap();
        let refused = clone.attach(open(&target), &target).unwrap_err();
        let doing = format!("mount /dev/null on {}: ", target.display());
        assert!(refused.to_string().starts_with(&doing), "{refused}");
        assert!(!look(&target).mount_root);
    });
}

#[test]
fn attributes_are_set_before_anybody_sees_it() {
    inside(|folder| {
        let (source, target) = (dir(folder, "source"), dir(folder, "target"));
        let clone = clone_tree(open(&source), &source).unwrap();
        let attributes = Attributes {
            readonly: true,
            nosuid: true,
            nodev: true,
            noexec: true,
            nodiratime: true,
            access_times: Some(AccessTimes::Never),
        };
        assert_eq!(
            attributes.to_string(),
            "ro,nosuid,nodev,noexec,nodiratime,noatime"
        );
        clone.set(&attributes).unwrap();
        clone.attach(open(&target), &target).unwrap();
        assert_eq!(
            entry(&target).options,
            "ro,nosuid,nodev,noexec,noatime,nodiratime"
        );
        assert!(is_readonly(open(&target), &target).unwrap());
        assert!(!is_readonly(open(&source), &source).unwrap());
        let refused = fs::write(target.join("file"), "").unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ReadOnlyFilesystem);
        fs::write(source.join("file"), "").unwrap();
    });
}

#[test]
fn access_times_replace_each_other() {
    inside(|folder| {
        let target = dir(folder, "target");
        for (times, option) in [
            (AccessTimes::Never, "rw,noatime"),
            (AccessTimes::Always, "rw"),
            (AccessTimes::Relative, "rw,relatime"),
        ] {
            let made = new_filesystem("tmpfs", Path::new("none"), &[], false).unwrap();
            let never = Attributes {
                access_times: Some(AccessTimes::Never),
                ..Attributes::default()
            };
            made.set(&never).unwrap();
            made.set(&Attributes {
                access_times: Some(times),
                ..never
            })
            .unwrap();
            made.attach(open(&target), &target).unwrap();
            assert_eq!(entry(&target).options, option);
        }
    });
}

#[test]
fn what_the_source_forbids_stays_forbidden() {
    inside(|folder| {
        let (source, target) = (dir(folder, "source"), dir(folder, "target"));
        mount("none", &source, "tmpfs", MountFlags::NOEXEC, None).unwrap();
        let clone = clone_tree(open(&source), &source).unwrap();
        clone.set(&Attributes::default()).unwrap();
        clone.attach(open(&target), &target).unwrap();
        assert!(entry(&target).options.to_str().unwrap().contains("noexec"));
    });
}

#[test]
fn mounts_below_the_source_are_not_part_of_a_clone() {
    inside(|folder| {
        let (source, target) = (dir(folder, "source"), dir(folder, "target"));
        tmpfs(&dir(&source, "below"));
        bind(&source, &target);
        assert!(look(&source.join("below")).mount_root);
        assert!(!look(&target.join("below")).mount_root);
    });
}

#[test]
fn a_clone_is_no_peer_of_its_source_but_follows_its_new_parent() {
    inside(|folder| {
        let (pool, pods) = (dir(folder, "pool"), dir(folder, "pods"));
        for path in [&pool, &pods] {
            tmpfs(path);
            mount_change(path, MountPropagationFlags::SHARED).unwrap();
        }
        let mirror = dir(folder, "mirror");
        rustix::mount::mount_bind(&pods, &mirror).unwrap();
        let (source, target) = (dir(&pool, "source"), dir(&pods, "target"));
        dir(&source, "inner");
        bind(&source, &target);
        assert!(
            look(&mirror.join("target")).mount_root,
            "it is seen where its parent is"
        );
        tmpfs(&target.join("inner"));
        assert!(look(&mirror.join("target/inner")).mount_root);
        assert!(
            !look(&source.join("inner")).mount_root,
            "the pool sees nothing of it"
        );
    });
}

#[test]
fn only_the_topmost_mount_goes() {
    inside(|folder| {
        let (source, target) = (dir(folder, "source"), dir(folder, "target"));
        tmpfs(&target);
        let lower = look(&target);
        bind(&source, &target);
        assert_ne!(look(&target), lower);
        assert!(unmounted(&place(&target)));
        assert_eq!(look(&target), lower);
    });
}

#[test]
fn a_link_to_a_mount_is_no_mount() {
    inside(|folder| {
        let mounted = dir(folder, "mounted");
        tmpfs(&mounted);
        std::os::unix::fs::symlink("mounted", folder.join("link")).unwrap();
        unmount(&place(&folder.join("link"))).unwrap_err();
        assert!(look(&mounted).mount_root);
        assert!(!unmounted(&place(&folder.join("nothing"))));
    });
}

#[test]
fn a_mount_is_found_by_its_directory_not_by_its_path() {
    inside(|folder| {
        let (own, foreign) = (dir(folder, "own"), dir(folder, "foreign"));
        tmpfs(&dir(&foreign, "target"));
        let target = place(&dir(&own, "target"));
        tmpfs(&target.path());
        // Somebody swaps the directory between our look and our step.
        fs::rename(&own, folder.join("moved")).unwrap();
        std::os::unix::fs::symlink("foreign", &own).unwrap();
        assert!(unmounted(&target));
        assert!(look(&foreign.join("target")).mount_root);
        assert!(!look(&folder.join("moved/target")).mount_root);
    });
}

#[test]
fn a_mount_in_use_stays() {
    inside(|folder| {
        let target = dir(folder, "target");
        tmpfs(&target);
        let held = open(&target);
        let refused = unmount(&place(&target)).unwrap_err();
        assert_eq!(refused.errno(), Errno::BUSY);
        assert!(refused.to_string().contains("target"), "{refused}");
        drop(held);
        assert!(unmounted(&place(&target)));
    });
}

#[test]
fn what_is_not_attached_leaves_nothing() {
    inside(|folder| {
        let before = mountinfo::read().unwrap();
        drop(clone_tree(open(folder), folder).unwrap());
        drop(new_filesystem("tmpfs", Path::new("none"), &[], false).unwrap());
        assert_eq!(mountinfo::read().unwrap(), before);
    });
}
