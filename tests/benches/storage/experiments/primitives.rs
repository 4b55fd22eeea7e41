//! The steps of which every driver's work is made.

use crate::bed::Bed;
use crate::operation::Kind::{Directory, Reflink};
use crate::operation::{Operation, Primitive};
use crate::options::Options;
use crate::record::Record;
use kernel::storage::clone::reflink;
use kernel::storage::loopdev;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use rustix::fs::{Advice, fadvise};
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::Command;

const GIB: u64 = 1 << 30;
/// Rounds of what takes seconds.
const SLOW: usize = 3;
const NOTHING: Option<&str> = None;

pub fn run(options: &Options, record: &mut Record) {
    let bed = Bed::for_kind(Directory);
    for _ in 0..options.rounds * 10 {
        record.timed(Operation::Machine(Primitive::Probe), || bed.probe());
    }
    bed.node.run(|| {
        let dir = bed.pool.path().join("primitives");
        fs::create_dir(&dir).expect("make a directory");
        files(&dir, options, record);
        mounts(&dir, options, record);
        programs(&dir, options, record);
        let bytes = options.scale(usize::try_from(GIB).unwrap_or(0), 64 << 20);
        for _ in 0..SLOW {
            copy(&dir, bytes, record);
        }
        fs::remove_dir_all(&dir).expect("remove the directory");
    });
    let bed = Bed::for_kind(Reflink);
    bed.node.run(|| {
        let bytes = options.scale(usize::try_from(GIB).unwrap_or(0), 64 << 20);
        share(bed.pool.path(), bytes, options.rounds, record);
    });
}

fn files(dir: &Path, options: &Options, record: &mut Record) {
    let mut log = File::create(dir.join("log")).expect("make a file");
    let parent = File::open(dir).expect("open the directory");
    for round in 0..options.rounds {
        record.timed(Operation::Machine(Primitive::Append), || {
            log.write_all(&[1; 300]).expect("append");
            log.sync_data().expect("fdatasync");
        });
        record.timed(Operation::Machine(Primitive::Directory), || {
            fs::create_dir(dir.join(format!("dir-{round}"))).expect("mkdir");
            parent.sync_all().expect("fsync");
        });
    }
}

fn mounts(dir: &Path, options: &Options, record: &mut Record) {
    let target = dir.join("target");
    fs::create_dir(&target).expect("make a directory");
    let image = image(dir);
    make_ext4(&dir.join("image"));
    let settings = loopdev::Options {
        autoclear: true,
        direct_io: true,
        label: "bench",
        ..loopdev::Options::default()
    };
    for _ in 0..options.rounds {
        record.timed(Operation::Machine(Primitive::Bind), || {
            mount(Some(dir), &target, NOTHING, MsFlags::MS_BIND, NOTHING).expect("bind");
            umount2(&target, MntFlags::empty()).expect("unmount");
        });
        record.timed(Operation::Machine(Primitive::Loop), || {
            drop(loopdev::attach(&image, &settings).expect("attach"));
        });
        let device = loopdev::attach(&image, &settings).expect("attach");
        record.timed(Operation::Machine(Primitive::Mount), || {
            let source = device.path();
            mount(
                Some(&source),
                &target,
                Some("ext4"),
                MsFlags::empty(),
                NOTHING,
            )
            .expect("mount");
            umount2(&target, MntFlags::empty()).expect("unmount");
        });
    }
}

fn programs(dir: &Path, options: &Options, record: &mut Record) {
    for _ in 0..options.rounds {
        record.timed(Operation::Machine(Primitive::Spawn), || {
            let status = Command::new("/bin/true").status();
            assert!(status.expect("start true").success(), "true is false");
        });
        fs::remove_file(dir.join("image")).expect("remove the image");
        drop(image(dir));
        record.timed(Operation::Machine(Primitive::MakeExt4), || {
            make_ext4(&dir.join("image"));
        });
    }
}

fn image(dir: &Path) -> File {
    let mut how = File::options();
    let file = how.read(true).write(true).create(true).truncate(false);
    let file = file.open(dir.join("image")).expect("make a file");
    file.set_len(GIB).expect("give a file its size");
    file
}

fn make_ext4(image: &Path) {
    let mut command = Command::new("mkfs.ext4");
    let how = "nodiscard,lazy_itable_init=1,lazy_journal_init=1";
    command
        .args(["-q", "-F", "-b", "4096", "-E", how])
        .arg(image);
    assert!(command.status().expect("start mkfs.ext4").success());
}

fn copy(dir: &Path, bytes: usize, record: &mut Record) {
    let (from, to) = (dir.join("from"), dir.join("to"));
    random(&from, bytes);
    for primitive in [Primitive::Copy, Primitive::CopyCold] {
        if primitive == Primitive::CopyCold {
            let source = File::open(&from).expect("open the source");
            fadvise(&source, 0, None, Advice::DontNeed).expect("forget the source");
        }
        record.timed(Operation::Machine(primitive), || {
            fs::copy(&from, &to).expect("copy");
            let copy = File::open(&to).expect("open the copy");
            copy.sync_all().expect("fsync");
        });
        fs::remove_file(&to).expect("remove the copy");
    }
    fs::remove_file(&from).expect("remove the source");
}

fn share(dir: &Path, bytes: usize, rounds: usize, record: &mut Record) {
    let (from, to) = (dir.join("from"), dir.join("to"));
    random(&from, bytes);
    let from = File::open(&from).expect("open the source");
    for _ in 0..rounds {
        let copy = File::create(&to).expect("make the copy");
        record.timed(Operation::Machine(Primitive::Reflink), || {
            assert!(
                reflink(&from, &copy).expect("reflink"),
                "XFS has no reflinks"
            );
            copy.sync_all().expect("fsync");
        });
        fs::remove_file(&to).expect("remove the copy");
    }
}

/// A file of random bytes, on disk.
pub fn random(path: &Path, bytes: usize) {
    let script = format!(
        "head -c {bytes} /dev/urandom > {path} && sync {path}",
        path = path.display()
    );
    let status = Command::new("sh").args(["-c", &script]).status();
    assert!(status.expect("start sh").success(), "{script}");
}
