//! The mark that says in which boot of which node a reservation was made.
//!
//! No pod survives its node's boot, so a reservation of an earlier one is a leftover that may be reclaimed. The mark is
//! an extended attribute: the file's name and content stay those of the reference. It names the node too, because a
//! store on a network filesystem may be shared, and another node's boot says nothing about that node's pods. Time is
//! never asked: clocks jump, and a leftover is not recognised by its age.

use sha2::{Digest, Sha256};
use std::fs::File;
use std::io;

/// The extended attribute that carries the mark.
pub(super) const ATTRIBUTE: &str = "user.hawser.boot";

const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// This boot of this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Boot {
    mark: String,
}

/// When a reservation was made, judged by its mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Age {
    /// In this boot.
    ThisBoot,
    /// In an earlier boot of this node: its pod is gone.
    EarlierBoot,
    /// By another node, of whose pods nothing is known.
    OtherNode,
}

impl Boot {
    /// The boot that the kernel is in.
    pub fn current() -> io::Result<Self> {
        let mut id = [0; 36];
        let length = rustix::io::read(File::open(BOOT_ID)?, &mut id)?;
        let id = id.get(..length).unwrap_or_default().trim_ascii();
        let id = std::str::from_utf8(id)
            .ok()
            .filter(|id| !id.is_empty())
            .ok_or_else(|| io::Error::other(format!("{BOOT_ID} holds no boot id")))?;
        let uname = rustix::system::uname();
        Ok(Self::of(id, &uname.nodename().to_string_lossy()))
    }

    /// The boot with this id, of the node with this name.
    pub fn of(id: &str, node: &str) -> Self {
        // The digest keeps the mark short enough to stay inside the inode, whatever the name.
        let node = super::key::hex(&Sha256::digest(node)[..4]);
        Self {
            mark: format!("{id}@{node}"),
        }
    }

    /// The mark of reservations made in this boot.
    pub fn mark(&self) -> &str {
        &self.mark
    }

    /// Judges a reservation by its mark. One without a mark, or with one that we did not make, is taken as of this boot:
    /// nothing is ever reclaimed on a guess.
    pub(super) fn age(&self, mark: Option<&[u8]>) -> Age {
        let Some((id, node)) = mark
            .and_then(|mark| std::str::from_utf8(mark).ok())
            .and_then(|mark| mark.split_once('@'))
        else {
            return Age::ThisBoot;
        };
        match self.mark.split_once('@') {
            Some((_, ours)) if ours != node => Age::OtherNode,
            Some((ours, _)) if ours != id => Age::EarlierBoot,
            _ => Age::ThisBoot,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_another_boot_of_the_same_node_is_an_earlier_one() {
        let now = Boot::of("2222", "node-a");
        for (mark, age) in [
            (Some(now.mark().to_owned()), Age::ThisBoot),
            (Some(Boot::of("1111", "node-a").mark), Age::EarlierBoot),
            (Some(Boot::of("2222", "node-b").mark), Age::OtherNode),
            (Some(Boot::of("1111", "node-b").mark), Age::OtherNode),
            (Some("1111".into()), Age::ThisBoot),
            (Some(String::new()), Age::ThisBoot),
            (None, Age::ThisBoot),
        ] {
            assert_eq!(now.age(mark.as_deref().map(str::as_bytes)), age, "{mark:?}");
        }
    }

    #[test]
    fn the_kernel_tells_its_boot() {
        let boot = Boot::current().unwrap();
        assert_eq!(boot, Boot::current().unwrap());
        assert_eq!(boot.mark().len(), 45);
    }
}
