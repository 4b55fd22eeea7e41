//! What tests of this module work on: mounts of their own, images of filesystems.

use super::Error;
use super::loopdev::{Options, attach};
use super::mounts::new_filesystem;
use nix::sched::{CloneFlags, unshare};
use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags, mount_change};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Runs a test on a thread whose mounts nobody else sees and that end with it. It gets a folder, which is removed from
/// outside, where nothing is mounted in it.
pub fn inside(test: impl FnOnce(&Path) + Send + 'static) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().to_owned();
    let thread = std::thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNS).expect("a mount namespace needs CAP_SYS_ADMIN");
        let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
        mount_change("/", private).expect("private mounts");
        test(&path);
    });
    let ended = thread.join();
    folder.close().expect("the folder removed");
    if let Err(panic) = ended {
        std::panic::resume_unwind(panic);
    }
}

/// Makes a sparse file in `folder`, formats it when a filesystem is named, and gives it back open, with its path.
pub fn image(folder: &Path, mib: u64, filesystem: Option<&str>) -> (File, PathBuf) {
    let path = folder.join("image");
    let file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)
        .expect("a new file");
    file.set_len(mib << 20).expect("a sparse file");
    if let Some(filesystem) = filesystem {
        run(&format!("mkfs.{filesystem}"), &["-q"], &path);
    }
    (file, path)
}

/// The root of a new, empty filesystem that is mounted nowhere and gone with the last of its descriptors.
pub fn filesystem(folder: &Path, mib: u64, kind: &str) -> OwnedFd {
    let (file, path) = image(folder, mib, Some(kind));
    std::fs::remove_file(path).expect("only its device knows it from here");
    root(&file, kind)
}

/// The root of the filesystem in an image, mounted nowhere and gone with the last of its descriptors.
pub fn root(image: &File, kind: &str) -> OwnedFd {
    let options = Options {
        autoclear: true,
        ..Options::default()
    };
    let device = attach(image, &options).expect("a loop device");
    let mount = new_filesystem(kind, &device.path(), &[], false).expect("a filesystem");
    openat(&mount, ".", OFlags::RDONLY, Mode::empty()).expect("its root")
}

/// Runs a program on a file.
pub fn run(program: &str, arguments: &[&str], path: &Path) {
    let ran = Command::new(program)
        .args(arguments)
        .arg(path)
        .output()
        .expect(program);
    assert!(ran.status.success(), "{program}: {ran:?}");
}

/// Waits until something is so: other tests look at each loop device now and then, and one that is looked at is not let
/// go before they are done.
pub fn eventually(mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < end, "it is still not so");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Does something again while the kernel says EBUSY: a process that another test starts has a copy of our descriptors for
/// a moment, and what they are of is in use as long.
pub fn patiently<T>(mut act: impl FnMut() -> Result<T, Error>) -> T {
    let mut done = None;
    eventually(|| match act() {
        Err(error) if error.errno() == Errno::BUSY => false,
        result => {
            done = Some(result.unwrap());
            true
        }
    });
    done.unwrap()
}
