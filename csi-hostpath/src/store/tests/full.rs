//! A filesystem without room: what cannot be written is refused, and everything else goes on.

use std::fs;
use std::io::{ErrorKind, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;

use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_string, fsmount,
    fsopen,
};
use tonic::Code;

use super::*;

/// A small filesystem that is mounted nowhere and goes with its descriptor.
struct Small(OwnedFd);

impl Small {
    fn new(size: &str) -> Self {
        let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC).unwrap();
        fsconfig_set_string(&context, "size", size).unwrap();
        fsconfig_create(&context).unwrap();
        let flags = FsMountFlags::FSMOUNT_CLOEXEC;
        Self(fsmount(&context, flags, MountAttrFlags::empty()).unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        format!("/proc/self/fd/{}/{name}", self.0.as_raw_fd()).into()
    }

    /// Takes all the room there is.
    fn fill(&self) {
        let mut ballast = fs::File::create(self.path("ballast")).unwrap();
        let full = (0..).find_map(|_| ballast.write_all(&[0; 4096]).err());
        assert_eq!(full.unwrap().kind(), ErrorKind::StorageFull);
    }
}

/// Puts volumes, three to a call, until one call is refused; returns how many there are by then and the refusal.
fn put_until_refused(store: &Store) -> (u32, Error) {
    let threes = |first: u32| (first..first + 3).map(|number| Change::PutVolume(volume(number)));
    (0..)
        .map(|call| call * 3)
        .find_map(|first| Some((first, store.commit(threes(first).collect()).err()?)))
        .unwrap()
}

#[test]
fn a_full_filesystem_refuses_what_is_new_and_nothing_else() {
    let small = Small::new("1m");
    let path = small.path("state.redb");
    let store = Store::open(&path).unwrap();
    small.fill();
    let (count, refused) = put_until_refused(&store);
    assert_eq!(refused, Error::Full { path: path.clone() });
    assert_eq!(refused.code(), Code::ResourceExhausted);

    assert_eq!(store.promised("default").unwrap().volumes, u64::from(count));
    assert_eq!(store.volume(&volume(0).id), Ok(Some(volume(0))));
    assert_eq!(store.volume(&volume(count).id), Ok(None));
    for number in 0..count {
        let published = Volume {
            frozen: true,
            ..volume(number)
        };
        store.commit(vec![Change::PutVolume(published)]).unwrap();
        store
            .commit(vec![Change::DropVolume(volume(number).id)])
            .unwrap();
    }
    drop(store);

    let store = Store::open(&path).unwrap();
    assert_eq!(store.promised("default"), Ok(Promised::default()));
    fs::remove_file(small.path("ballast")).unwrap();
    let many = (0..count + 100).map(|number| Change::PutVolume(volume(number)));
    store.commit(many.collect()).unwrap();
}
