//! A crash while a commit is written, and damage afterwards.

use std::fs;
use std::io::Write;
use std::ops::Range;
use std::os::fd::AsRawFd;

use rustix::fs::{MemfdFlags, memfd_create};

use super::*;

/// The unit in which redb writes, in bytes.
const PAGE: usize = 4096;

/// What the file is before and after one commit, as a crash would leave it: never closed.
struct Written {
    before: Vec<u8>,
    after: Vec<u8>,
    /// Where they differ.
    changed: Vec<Range<usize>>,
}

impl Written {
    fn new() -> Self {
        let Fresh { store, folder } = Fresh::new();
        let path = folder.path().join("state.redb");
        let some = (0..40).map(|number| Change::PutVolume(volume(number)));
        store.commit(some.collect()).unwrap();
        let before = fs::read(&path).unwrap();
        let last = vec![
            Change::PutVolume(volume(40)),
            Change::DropVolume(volume(7).id),
            Change::PutSnapshot(snapshot(1, &volume(3))),
        ];
        store.commit(last).unwrap();
        let after = fs::read(&path).unwrap();
        let pages = (0..after.len())
            .step_by(PAGE)
            .map(|start| start..start + PAGE);
        let changed = pages
            .filter(|page| before.get(page.clone()) != after.get(page.clone()))
            .collect();
        Self {
            before,
            after,
            changed,
        }
    }

    /// Opens a file of that content, and tells whether it holds the state after the commit.
    fn holds(&self, content: &[u8]) -> Result<bool, Error> {
        let mut file = fs::File::from(memfd_create("store", MemfdFlags::CLOEXEC).unwrap());
        file.write_all(content).unwrap();
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        let store = Store::open(path.as_ref())?;
        let is_after = store.volume(&volume(40).id)?.is_some();
        assert_eq!(store.volume(&volume(7).id)?.is_none(), is_after);
        assert_eq!(store.volume_named(&volume(7).name)?.is_none(), is_after);
        let snapshots = store.snapshots(Some(&volume(3).id), None, None)?;
        assert_eq!(snapshots.items.len(), usize::from(is_after));
        assert_eq!(store.volumes(None, None)?.items.len(), 40);
        let sums = store.promised("default")?;
        assert_eq!((sums.volumes, sums.snapshots), (40, is_after.into()));
        Ok(is_after)
    }

    /// The file before, grown to the length it has after.
    fn start(&self) -> Vec<u8> {
        let mut content = self.before.clone();
        content.resize(self.after.len(), 0);
        content
    }
}

#[test]
fn a_commit_cut_anywhere_is_there_or_not() {
    let written = Written::new();
    assert_eq!(written.holds(&written.before), Ok(false));
    assert_eq!(written.holds(&written.after), Ok(true));
    // In the order of the file, so that the header comes first, and the other way round.
    for backwards in [false, true] {
        let mut content = written.start();
        let mut pages = written.changed.clone();
        if backwards {
            pages.reverse();
        }
        let mut seen = Vec::new();
        for page in pages {
            for cut in cuts(&page) {
                content[page.start..cut].copy_from_slice(&written.after[page.start..cut]);
                seen.push(written.holds(&content).unwrap());
            }
        }
        assert_eq!(seen.last(), Some(&true));
        assert!(seen.contains(&false));
    }
}

/// Where a page may be cut: at every byte of the header that lies in the first one, otherwise at sectors and beside them.
fn cuts(page: &Range<usize>) -> Vec<usize> {
    if page.start == 0 {
        (1..=320).chain([PAGE]).collect()
    } else {
        let sectors = (page.start..page.end).step_by(512);
        sectors
            .flat_map(|sector| [sector, sector + 1, sector + 257])
            .chain([page.end])
            .collect()
    }
}

#[test]
fn any_part_of_a_commit_may_be_missing() {
    let written = Written::new();
    let pages = &written.changed;
    // Every page alone missing, and every page alone there.
    for odd in 0..pages.len() {
        for others_are_there in [false, true] {
            let mut content = written.start();
            for (number, page) in pages.iter().enumerate() {
                if (number == odd) != others_are_there {
                    content[page.clone()].copy_from_slice(&written.after[page.clone()]);
                }
            }
            written.holds(&content).unwrap();
        }
    }
}

#[test]
fn a_file_that_lost_its_end_is_refused() {
    let written = Written::new();
    let whole = written.after.len();
    let cuts = (0..320)
        .chain((320..whole).step_by(1021))
        .chain([whole - 1]);
    for cut in cuts {
        match written.holds(&written.after[..cut]) {
            Err(Error::Damaged { .. } | Error::Foreign { .. }) => {}
            other => panic!("cut at {cut} of {whole}: {other:?}"),
        }
    }
}

#[test]
fn damage_anywhere_is_found_or_does_no_harm() {
    let written = Written::new();
    let places = (0..320).chain((320..written.after.len()).step_by(509));
    let mut refused = 0;
    for place in places {
        let mut content = written.after.clone();
        content[place] ^= 0x41;
        match written.holds(&content) {
            Ok(_) => {}
            Err(Error::Damaged { .. } | Error::Foreign { .. }) => refused += 1,
            Err(error) => panic!("damage at {place}: {error}"),
        }
    }
    assert!(refused > 0);
}
