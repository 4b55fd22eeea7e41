use super::*;
use crate::storage::beneath::Root;
use crate::storage::loopdev::{self, Device, Options};
use crate::storage::mounts::new_filesystem;
use crate::storage::scratch::{eventually, image, inside};
use rustix::fs::{Mode, OFlags, openat};
use rustix::thread::{Pid, gettid};
use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::sync::mpsc::channel;

/// An ext4 filesystem that is mounted nowhere, as its image, device and root.
fn filesystem(folder: &Path) -> (File, Device, OwnedFd) {
    let (file, _) = image(folder, 64, Some("ext4"));
    let autoclear = Options {
        autoclear: true,
        ..Options::default()
    };
    let device = loopdev::attach(&file, &autoclear).unwrap();
    let made = new_filesystem("ext4", &device.path(), &[], false).unwrap();
    let root = openat(&made, ".", OFlags::RDONLY, Mode::empty()).unwrap();
    (file, device, root)
}

fn make(root: &OwnedFd, name: &str) -> File {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR;
    openat(root, name, flags, Mode::RWXU).unwrap().into()
}

/// What a thread of ours does: `R` for running, `D` for waiting in the kernel.
fn state(thread: Pid) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/self/task/{thread}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// Thaws also when the test fails: a frozen filesystem would hold its threads for ever.
struct Thawing<'a>(&'a OwnedFd, &'a Path);

impl Drop for Thawing<'_> {
    fn drop(&mut self) {
        thaw(self.0, self.1).unwrap();
    }
}

#[test]
fn writes_wait_until_the_thaw() {
    inside(|folder| {
        let (_file, _device, root) = filesystem(folder);
        assert!(freeze(&root, folder).unwrap());
        let thawing = Thawing(&root, folder);
        assert!(!freeze(&root, folder).unwrap(), "it was frozen already");
        std::thread::scope(|scope| {
            let (tell, told) = channel();
            let writer = scope.spawn(|| {
                let tell = tell;
                tell.send(gettid()).unwrap();
                make(&root, "file").write_all(b"late").unwrap();
            });
            let thread = told.recv().unwrap();
            eventually(|| {
                assert!(!writer.is_finished(), "it did not wait");
                state(thread) == Some('D')
            });
            drop(thawing);
            writer.join().unwrap();
        });
        thaw(&root, folder).unwrap();
        assert!(freeze(&root, folder).unwrap());
        thaw(&root, folder).unwrap();
    });
}

#[test]
fn trimming_gives_the_space_back() {
    inside(|folder| {
        let (file, _device, root) = filesystem(folder);
        let mut large = make(&root, "large");
        large.write_all(&[1; 16 << 20]).unwrap();
        large.sync_all().unwrap();
        let full = file.metadata().unwrap().blocks();
        drop(large);
        rustix::fs::unlinkat(&root, "large", rustix::fs::AtFlags::empty()).unwrap();
        // A process that is being started has a copy of our descriptors for a moment, and the file lives as long.
        let mut trimmed = 0;
        eventually(|| {
            rustix::fs::syncfs(&root).unwrap();
            trimmed += trim(&root, folder).unwrap();
            file.metadata().unwrap().blocks() + (15 << 11) <= full
        });
        assert!(trimmed >= 16 << 20);
    });
}

#[test]
fn what_cannot_be_frozen_is_named() {
    let root = Root::open("/proc").unwrap();
    let refused = freeze(&root, Path::new("/proc")).unwrap_err();
    assert!(
        refused
            .to_string()
            .starts_with("freeze the filesystem at /proc: "),
        "{refused}"
    );
    let refused = trim(&root, Path::new("/proc")).unwrap_err();
    assert!(
        refused
            .to_string()
            .starts_with("trim the filesystem at /proc: "),
        "{refused}"
    );
}
