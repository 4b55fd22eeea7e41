use super::*;
use crate::storage::scratch::{eventually, image};
use std::os::unix::fs::{FileExt, MetadataExt};

/// A device for one test, detached also when the test fails.
struct Ours(Option<Device>);

impl Ours {
    fn attach(file: &File, options: &Options<'_>) -> Self {
        Self(Some(attach(file, options).unwrap()))
    }

    fn get(&self) -> &Device {
        self.0.as_ref().unwrap()
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        if let Some(device) = self.0.take() {
            device.detach().unwrap();
        }
    }
}

fn size(device: &Device) -> u64 {
    let sectors = fs::read_to_string(format!("/sys/block/loop{}/size", device.number)).unwrap();
    sectors.trim().parse::<u64>().unwrap() * 512
}

#[test]
fn a_file_becomes_a_device_that_tells_whose_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let (file, path) = image(folder.path(), 4, None);
    let label = "vol-0123456789abcdef0123456789abcdef";
    let ours = Ours::attach(
        &file,
        &Options {
            label,
            ..Options::default()
        },
    );
    let device = ours.get();
    let meta = fs::metadata(&path).unwrap();
    let expected = Backing {
        dev: meta.dev(),
        ino: meta.ino(),
        label: label.to_owned(),
        readonly: false,
        autoclear: false,
        direct_io: false,
        offset: 0,
        size_limit: 0,
    };
    assert_eq!(device.backing().unwrap(), Some(expected.clone()));
    assert_eq!(
        device.path(),
        Path::new(&format!("/dev/loop{}", device.number))
    );
    assert_eq!(
        is_loop(fs::metadata(device.path()).unwrap().rdev()),
        Some(device.number)
    );
    assert_eq!(size(device), 4 << 20);
    assert!(attached().unwrap().contains(&(device.number, expected)));
    device.file.write_all_at(b"written", 512).unwrap();
    device.file.sync_all().unwrap();
    let mut read = [0; 7];
    file.read_exact_at(&mut read, 512).unwrap();
    assert_eq!(&read, b"written");
}

#[test]
fn devices_are_found_by_their_file() {
    let folder = tempfile::tempdir().unwrap();
    let (file, path) = image(folder.path(), 1, None);
    let (dev, ino) = fs::metadata(&path)
        .map(|meta| (meta.dev(), meta.ino()))
        .unwrap();
    let number = |readonly| find(dev, ino, readonly).unwrap().map(|found| found.number);
    assert_eq!(number(false), None);
    let writable = Ours::attach(&file, &Options::default());
    let readonly = Ours::attach(
        &file,
        &Options {
            readonly: true,
            ..Options::default()
        },
    );
    assert_ne!(writable.get().number, readonly.get().number);
    // By what it is, not by its name.
    fs::rename(&path, folder.path().join("renamed")).unwrap();
    assert_eq!(number(false), Some(writable.get().number));
    assert_eq!(number(true), Some(readonly.get().number));
    readonly.get().file.write_at(b"x", 0).unwrap_err();
    drop(readonly);
    eventually(|| number(true).is_none());
    assert_eq!(number(false), Some(writable.get().number));
}

#[test]
fn detaching_frees_and_does_so_once() {
    let folder = tempfile::tempdir().unwrap();
    let (file, _) = image(folder.path(), 1, None);
    let ours = Ours::attach(&file, &Options::default());
    let number = ours.get().number;
    let again = Device::open(number).unwrap().unwrap();
    let ours_still = |backing: Option<Backing>| {
        backing.is_some_and(|backing| backing.ino == file.metadata().unwrap().ino())
    };
    drop(ours);
    assert!(
        ours_still(again.backing().unwrap()),
        "it is open elsewhere and stays until then"
    );
    again.detach().unwrap();
    let look = || {
        Device::open(number)
            .unwrap()
            .and_then(|device| device.backing().unwrap())
    };
    eventually(|| !ours_still(look()));
    assert_eq!(
        Device::open(u32::MAX >> 12)
            .unwrap()
            .map(|device| device.number),
        None
    );
}

#[test]
fn one_that_nobody_uses_lets_its_file_go() {
    let folder = tempfile::tempdir().unwrap();
    let (file, path) = image(folder.path(), 1, None);
    let (dev, ino) = fs::metadata(&path)
        .map(|meta| (meta.dev(), meta.ino()))
        .unwrap();
    let device = attach(
        &file,
        &Options {
            autoclear: true,
            ..Options::default()
        },
    )
    .unwrap();
    assert!(device.backing().unwrap().unwrap().autoclear);
    drop(device);
    eventually(|| find(dev, ino, false).unwrap().is_none());
}

#[test]
fn the_size_follows_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let (file, _) = image(folder.path(), 1, None);
    let ours = Ours::attach(&file, &Options::default());
    file.set_len(3 << 20).unwrap();
    assert_eq!(size(ours.get()), 1 << 20);
    ours.get().refresh_size().unwrap();
    assert_eq!(size(ours.get()), 3 << 20);
}

#[test]
fn direct_io_is_used_where_the_file_allows_it() {
    let options = Options {
        direct_io: true,
        ..Options::default()
    };
    let folder = tempfile::tempdir().unwrap();
    let (file, path) = image(folder.path(), 1, None);
    let ours = Ours::attach(&file, &options);
    let sector = fs::read_to_string(format!(
        "/sys/block/loop{}/queue/logical_block_size",
        ours.get().number
    ));
    assert_eq!(sector.unwrap().trim(), "512");
    // What the temporary folder's filesystem can, opening a file without the page cache tells.
    let direct = OFlags::RDWR | OFlags::DIRECT;
    let can = open(&path, direct, Mode::empty()).is_ok();
    assert_eq!(ours.get().backing().unwrap().unwrap().direct_io, can);
    // Where the page cache is all there is, the device works without.
    let memory = tempfile::tempdir_in("/dev/shm").unwrap();
    let (file, _) = image(memory.path(), 1, None);
    let ours = Ours::attach(&file, &options);
    ours.get().file.write_all_at(&[1; 4096], 0).unwrap();
}

#[test]
fn many_at_a_time_get_one_each() {
    let folder = tempfile::tempdir().unwrap();
    let folder = &folder;
    let numbers = std::thread::scope(|scope| {
        let attaching = (0..8).map(|index| {
            scope.spawn(move || {
                let own = folder.path().join(index.to_string());
                fs::create_dir(&own).unwrap();
                let (file, _) = image(&own, 1, None);
                let ours = Ours::attach(&file, &Options::default());
                let backing = ours.get().backing().unwrap().unwrap();
                assert_eq!(backing.ino, file.metadata().unwrap().ino());
                ours
            })
        });
        let attaching: Vec<_> = attaching.collect();
        let ours = attaching.into_iter().map(|thread| thread.join().unwrap());
        let ours: Vec<_> = ours.collect();
        ours.iter()
            .map(|ours| ours.get().number)
            .collect::<std::collections::BTreeSet<_>>()
    });
    assert_eq!(numbers.len(), 8);
}

#[test]
fn a_long_label_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    let (file, _) = image(folder.path(), 1, None);
    let label = &"x".repeat(100);
    let ours = Ours::attach(
        &file,
        &Options {
            label,
            ..Options::default()
        },
    );
    let backing = ours.get().backing().unwrap().unwrap();
    assert_eq!(backing.label, "x".repeat(63));
}

#[test]
fn what_cannot_be_attached_is_said_with_its_label() {
    let folder = tempfile::tempdir().unwrap();
    let file = File::open(folder.path()).unwrap();
    let label = "vol-1";
    let refused = attach(
        &file,
        &Options {
            label,
            ..Options::default()
        },
    )
    .unwrap_err();
    assert_eq!(refused.errno(), Errno::INVAL);
    assert!(
        refused.to_string().starts_with("attach vol-1 to /dev/loop"),
        "{refused}"
    );
}

#[test]
fn other_devices_are_no_loop_devices() {
    assert_eq!(is_loop(fs::metadata("/dev/null").unwrap().rdev()), None);
    assert_eq!(is_loop(0), None);
    for name in ["loop", "loop1p1", "loop-control", "sda", "loop+1"] {
        assert_eq!(number_of(name), None, "{name}");
    }
    assert_eq!(number_of("loop12"), Some(12));
}
