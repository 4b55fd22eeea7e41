//! The store on real directories: what it finds, and what it survives.

mod model;

use super::stamp::Stamp;
use super::*;
use crate::bits::ChunkId;
use crate::range::Range;
use std::collections::BTreeSet;
use std::fs;
use tempfile::TempDir;

/// A store in a folder of its own, index included.
struct Fixture {
    folder: TempDir,
    boot: Boot,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("podnet")).unwrap();
        let boot = Boot::of("boot-1", "node");
        Self { folder, boot }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("podnet")
    }

    fn index(&self) -> PathBuf {
        self.folder.path().join("index")
    }

    fn store(&self) -> Store {
        Store {
            files: Files::open(&self.path(), self.boot.clone())
                .unwrap()
                .unwrap(),
            index: self.index(),
        }
    }

    fn file(&self, address: Address) -> PathBuf {
        self.path().join(address.to_string())
    }

    fn write(&self, address: Address, content: &str) {
        fs::write(self.file(address), content).unwrap();
    }

    /// Whether the next verb answers from the index.
    fn index_is_valid(&self) -> bool {
        let store = self.store();
        let locked = store.lock().unwrap();
        !locked.is_fresh()
    }
}

fn address(text: &str) -> Address {
    Address::from_file_name(text).unwrap()
}

fn pod(number: u8) -> Holder {
    Holder::new(&format!("c{number}"), "eth0")
}

fn range_set(subnet: &str) -> RangeSet {
    let range = Range::new(subnet.parse().unwrap(), None, None, None).unwrap();
    RangeSet::new(vec![range]).unwrap()
}

fn is_occupied(locked: &mut Locked<'_>, address: Address) -> bool {
    let id = ChunkId::of(address);
    let chunk = locked.chunk(id).unwrap();
    chunk.is_some_and(|chunk| chunk.first_free(id, address, address).is_none())
}

fn addresses(locked: &mut Locked<'_>, holder: &Holder) -> Vec<Address> {
    let holdings = locked.holdings(holder).unwrap();
    holdings.into_iter().map(|(address, _)| address).collect()
}

/// Makes a reservation in a verb of its own.
fn reserve(fixture: &Fixture, address: Address, holder: &Holder) {
    let store = fixture.store();
    let mut locked = store.lock().unwrap();
    assert!(locked.reserve(address, holder).unwrap());
    locked.seal();
}

#[test]
fn a_reservation_looks_like_the_references() {
    use std::os::unix::fs::PermissionsExt;
    let fixture = Fixture::new();
    reserve(&fixture, address("10.1.0.2"), &pod(1));
    reserve(&fixture, address("fd00::2"), &pod(1));
    for name in ["10.1.0.2", "fd00::2"] {
        let file = fixture.path().join(name);
        assert_eq!(fs::read(&file).unwrap(), b"c1\r\neth0");
        assert_eq!(
            fs::metadata(&file).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
    let names: BTreeSet<_> = fs::read_dir(fixture.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(
        names,
        BTreeSet::from(["10.1.0.2", "fd00::2", "lock"].map(String::from))
    );
}

#[test]
fn the_index_serves_the_next_verb_and_is_made_again_when_it_is_gone() {
    let fixture = Fixture::new();
    reserve(&fixture, address("10.1.0.2"), &pod(1));
    assert!(fixture.index_is_valid());
    for damage in [0, 1, 2] {
        match damage {
            0 => fs::remove_dir_all(fixture.index()).unwrap(),
            1 => fs::write(fixture.index().join("holders"), "garbage").unwrap(),
            _ => fs::write(fixture.path().join("10.1.0.9"), "c9\r\neth0").unwrap(),
        }
        let store = fixture.store();
        let mut locked = store.lock().unwrap();
        assert!(locked.is_fresh());
        assert_eq!(addresses(&mut locked, &pod(1)), [address("10.1.0.2")]);
        locked.seal();
        drop(locked);
        assert!(fixture.index_is_valid());
    }
}

#[test]
fn a_damaged_part_of_a_valid_index_does_not_mislead() {
    let fixture = Fixture::new();
    reserve(&fixture, address("10.1.0.2"), &pod(1));
    for entry in fs::read_dir(fixture.index()).unwrap() {
        let path = entry.unwrap().path();
        // The header stays, everything else is cut off.
        fs::OpenOptions::new()
            .write(true)
            .open(path)
            .unwrap()
            .set_len(128)
            .unwrap();
    }
    let store = fixture.store();
    let mut locked = store.lock().unwrap();
    assert!(!locked.is_fresh());
    assert!(is_occupied(&mut locked, address("10.1.0.2")));
    assert_eq!(addresses(&mut locked, &pod(1)), [address("10.1.0.2")]);
    assert!(locked.reserve(address("10.1.0.3"), &pod(2)).unwrap());
    locked.seal();
    drop(locked);
    assert_eq!(
        addresses(&mut store.lock().unwrap(), &pod(2)),
        [address("10.1.0.3")]
    );
}

#[test]
fn without_a_place_for_the_index_everything_works() {
    let fixture = Fixture::new();
    fs::write(fixture.index(), "not a directory").unwrap();
    reserve(&fixture, address("10.1.0.2"), &pod(1));
    let store = fixture.store();
    let mut locked = store.lock().unwrap();
    assert_eq!(addresses(&mut locked, &pod(1)), [address("10.1.0.2")]);
    locked.release(address("10.1.0.2"), &pod(1)).unwrap();
    assert!(!is_occupied(&mut locked, address("10.1.0.2")));
}

#[test]
fn empty_and_torn_files_are_free_addresses() {
    let fixture = Fixture::new();
    for content in ["", "\n", "\0\0\0\0", "c1\r\n\0\0\0\0"] {
        fixture.write(address("10.1.0.2"), content);
        let store = fixture.store();
        let mut locked = store.lock().unwrap();
        assert!(!is_occupied(&mut locked, address("10.1.0.2")));
        // Nothing in the view, but a file in the way: as if the scan could not have removed it.
        fixture.write(address("10.1.0.2"), content);
        assert!(locked.reserve(address("10.1.0.2"), &pod(1)).unwrap());
        locked.release(address("10.1.0.2"), &pod(1)).unwrap();
    }
}

#[test]
fn what_no_plugin_wrote_stays_and_counts_as_held() {
    let fixture = Fixture::new();
    fixture.write(address("10.1.0.2"), "this one is the printer's");
    fs::create_dir(fixture.file(address("10.1.0.3"))).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", fixture.file(address("10.1.0.4"))).unwrap();
    let store = fixture.store();
    let mut locked = store.lock().unwrap();
    for text in ["10.1.0.2", "10.1.0.3", "10.1.0.4"] {
        assert!(is_occupied(&mut locked, address(text)));
        assert!(!locked.reserve(address(text), &pod(1)).unwrap());
    }
    let errors = locked
        .sweep(|reservation| reservation.holder.is_none())
        .unwrap();
    assert!(errors.is_empty());
    assert!(is_occupied(&mut locked, address("10.1.0.2")));
}

#[test]
fn a_name_taken_behind_our_back_is_noticed() {
    let fixture = Fixture::new();
    let store = fixture.store();
    let mut locked = store.lock().unwrap();
    locked.seal();
    drop(locked);
    let mut locked = store.lock().unwrap();
    fixture.write(address("10.1.0.2"), "c9\r\neth0");
    assert!(!locked.reserve(address("10.1.0.2"), &pod(1)).unwrap());
    locked.rescan().unwrap();
    assert!(is_occupied(&mut locked, address("10.1.0.2")));
    assert_eq!(
        fs::read(fixture.file(address("10.1.0.2"))).unwrap(),
        b"c9\r\neth0"
    );
}

#[test]
fn a_reservation_removed_behind_our_back_is_nobodys() {
    let fixture = Fixture::new();
    reserve(&fixture, address("10.1.0.2"), &pod(1));
    let store = fixture.store();
    let mut locked = store.lock().unwrap();
    fs::remove_file(fixture.file(address("10.1.0.2"))).unwrap();
    assert_eq!(addresses(&mut locked, &pod(1)), []);
    assert!(!is_occupied(&mut locked, address("10.1.0.2")));
}

#[test]
fn an_address_that_somebody_else_got_behind_our_back_is_not_ours() {
    let fixture = Fixture::new();
    reserve(&fixture, address("10.1.0.2"), &pod(1));
    let store = fixture.store();
    let mut locked = store.lock().unwrap();
    fixture.write(address("10.1.0.2"), "c2\r\neth0");
    assert_eq!(addresses(&mut locked, &pod(1)), []);
    assert_eq!(addresses(&mut locked, &pod(2)), [address("10.1.0.2")]);
}

#[test]
fn what_is_released_leaves_no_trace_in_the_index() {
    let fixture = Fixture::new();
    reserve(&fixture, address("10.1.0.2"), &pod(1));
    let store = fixture.store();
    let mut locked = store.lock().unwrap();
    locked.release(address("10.1.0.2"), &pod(1)).unwrap();
    locked.seal();
    drop(locked);
    let mut locked = store.lock().unwrap();
    assert_eq!(addresses(&mut locked, &pod(1)), []);
    // A trace would have made it read the directory.
    assert!(!locked.is_fresh());
}

#[test]
fn a_stamp_is_older_than_anything_the_kernel_writes() {
    let fixture = Fixture::new();
    for number in 0..100 {
        fs::write(fixture.path().join(number.to_string()), "").unwrap();
        let written = fixture.store().files.stamp().unwrap();
        assert!(Stamp::fresh() < written);
    }
}

#[test]
fn files_of_old_plugins_are_found_by_container_id() {
    let fixture = Fixture::new();
    fixture.write(address("10.1.0.2"), "c1");
    for expected_fresh in [true, false] {
        let store = fixture.store();
        let mut locked = store.lock().unwrap();
        assert_eq!(locked.is_fresh(), expected_fresh);
        assert_eq!(addresses(&mut locked, &pod(1)), []);
        assert_eq!(
            addresses(&mut locked, &pod(1).without_ifname()),
            [address("10.1.0.2")]
        );
        locked.seal();
    }
}

#[test]
fn reservations_of_an_earlier_boot_are_recognised_and_reclaimed() {
    let mut fixture = Fixture::new();
    fixture.write(address("10.1.0.2"), "c1\r\neth0");
    reserve(&fixture, address("10.1.0.3"), &pod(2));
    reserve(&fixture, address("10.2.0.3"), &pod(2));
    fixture.boot = Boot::of("boot-2", "node");
    fixture.write(address("10.1.0.4"), "c4\r\neth0");
    let set = range_set("10.1.0.0/29");

    let store = fixture.store();
    let mut locked = store.lock().unwrap();
    let ages = |locked: &mut Locked<'_>, number| {
        let holdings = locked.holdings(&pod(number)).unwrap();
        holdings.first().map(|(_, age)| *age)
    };
    // The reference's file was seen, and so marked, in the first boot.
    assert_eq!(ages(&mut locked, 1), Some(Age::EarlierBoot));
    assert_eq!(ages(&mut locked, 2), Some(Age::EarlierBoot));
    assert_eq!(ages(&mut locked, 4), Some(Age::ThisBoot));
    locked.seal();
    drop(locked);

    let mut locked = store.lock().unwrap();
    assert!(!locked.is_fresh());
    assert_eq!(locked.reclaim(&set).unwrap(), 2);
    assert_eq!(locked.reclaim(&set).unwrap(), 0);
    assert!(!is_occupied(&mut locked, address("10.1.0.3")));
    assert!(is_occupied(&mut locked, address("10.1.0.4")));
    locked.seal();
    drop(locked);

    let mut locked = store.lock().unwrap();
    assert!(!locked.is_fresh());
    let left = locked.leftovers(&range_set("10.2.0.0/29")).unwrap();
    assert_eq!(left, [(address("10.2.0.3"), pod(2))]);
}

#[test]
fn reservations_of_another_node_are_left_alone() {
    let mut fixture = Fixture::new();
    reserve(&fixture, address("10.1.0.3"), &pod(2));
    fixture.boot = Boot::of("boot-9", "another-node");
    let store = fixture.store();
    let mut locked = store.lock().unwrap();
    assert_eq!(
        locked.holdings(&pod(2)).unwrap(),
        [(address("10.1.0.3"), Age::OtherNode)]
    );
    assert_eq!(locked.reclaim(&range_set("10.1.0.0/29")).unwrap(), 0);
}

#[test]
fn an_index_of_an_earlier_boot_is_not_believed() {
    let mut fixture = Fixture::new();
    reserve(&fixture, address("10.1.0.3"), &pod(2));
    assert!(fixture.index_is_valid());
    fixture.boot = Boot::of("boot-2", "node");
    assert!(!fixture.index_is_valid());
}

#[test]
fn a_symbolic_link_is_no_store() {
    let fixture = Fixture::new();
    let link = fixture.folder.path().join("link");
    std::os::unix::fs::symlink(fixture.path(), &link).unwrap();
    let error = Files::open(&link, fixture.boot.clone())
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with(&format!("open the store {}", link.display())),
        "{error}"
    );
}

#[test]
fn a_cursor_is_a_hint_whatever_is_in_its_file() {
    let fixture = Fixture::new();
    let store = fixture.store();
    let files = store.files();
    assert_eq!(files.cursor(0), None);
    for text in ["10.1.0.200", "10.1.0.3", "fd00::7"] {
        files.set_cursor(0, Some(address(text))).unwrap();
        assert_eq!(
            fs::read_to_string(fixture.path().join("last_reserved_ip.0")).unwrap(),
            text
        );
        assert_eq!(files.cursor(0), Some(address(text)));
    }
    for (content, cursor) in [
        (" 10.1.0.3\n", Some(address("10.1.0.3"))),
        ("", None),
        ("10.1.0.300", None),
    ] {
        fs::write(fixture.path().join("last_reserved_ip.0"), content).unwrap();
        assert_eq!(files.cursor(0), cursor);
    }
    files.set_cursor(0, None).unwrap();
    files.set_cursor(0, None).unwrap();
    assert!(!fixture.path().join("last_reserved_ip.0").exists());
}

#[test]
fn a_census_counts_one_set_and_names_the_oldest() {
    let fixture = Fixture::new();
    let day = |number| std::time::UNIX_EPOCH + std::time::Duration::from_secs(86_400 * number);
    for number in 2..=6_u8 {
        let file = fixture.file(address(&format!("10.1.0.{number}")));
        fs::write(&file, format!("c{number}\r\neth0")).unwrap();
        let file = fs::File::options().write(true).open(file).unwrap();
        file.set_modified(day(100 - u64::from(number))).unwrap();
    }
    fixture.write(address("10.1.0.1"), "gateway\r\neth0");
    fixture.write(address("10.1.0.7"), "");
    fixture.write(address("10.2.0.2"), "c9\r\neth0");
    let census = fixture
        .store()
        .census(&range_set("10.1.0.0/24"), &[address("10.1.0.1")])
        .unwrap();
    assert_eq!(census.held, 5);
    let oldest = |number: u8| {
        let since = day(100 - u64::from(number));
        (
            address(&format!("10.1.0.{number}")),
            Some(pod(number)),
            since,
        )
    };
    assert_eq!(census.oldest, [oldest(6), oldest(5), oldest(4)]);
}
