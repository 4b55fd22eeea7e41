//! A layer: files by their paths, as a tar whose bytes depend on nothing else.

use crate::error::Error;
use flate2::{Compression, GzBuilder};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use tar::{EntryType, Header};

/// The files of a layer.
#[derive(Debug, Default)]
pub struct Layer {
    entries: BTreeMap<String, (Content, u32)>,
}

/// What is under a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A folder.
    Folder,
    /// A symbolic link to this.
    Link(String),
    /// These bytes.
    Bytes(Vec<u8>),
    /// What is in this file when the layer is packed.
    File(PathBuf),
}

/// A layer, packed.
#[derive(Debug)]
pub struct Packed {
    /// The tar, compressed.
    pub gzip: Vec<u8>,
    /// The SHA-256 of the tar as it is when unpacked, in hexadecimal digits.
    pub diff_id: String,
}

impl Layer {
    /// Adds something under a path without a leading slash; what was there is replaced. Folders above come by themselves.
    pub fn add(&mut self, place: &str, content: Content, mode: u32) {
        self.entries.insert(place.to_owned(), (content, mode));
        let mut above = Path::new(place).parent();
        while let Some(folder) = above.filter(|folder| !folder.as_os_str().is_empty()) {
            let name = folder.to_string_lossy().into_owned();
            self.entries.entry(name).or_insert((Content::Folder, 0o755));
            above = folder.parent();
        }
    }

    /// Adds a folder.
    pub fn folder(&mut self, place: &str, mode: u32) {
        self.add(place, Content::Folder, mode);
    }

    /// Adds a symbolic link.
    pub fn link(&mut self, place: &str, to: &str) {
        self.add(place, Content::Link(to.to_owned()), 0o777);
    }

    /// Adds a text.
    pub fn text(&mut self, place: &str, text: &str) {
        self.add(place, Content::Bytes(text.as_bytes().to_vec()), 0o644);
    }

    /// The paths, sorted.
    pub fn places(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// The files that are read when the layer is packed.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.entries
            .values()
            .filter_map(|(content, _)| match content {
                Content::File(path) => Some(path.as_path()),
                _ => None,
            })
    }

    /// Packs the layer; everything in it is as old as `epoch`, in seconds.
    pub fn pack(&self, epoch: u64) -> Result<Packed, Error> {
        let tar = self.tar(epoch)?;
        let mut gzip = GzBuilder::new().write(Vec::new(), Compression::best());
        let memory = Path::new("memory");
        gzip.write_all(&tar)
            .map_err(Error::io("compress into", memory))?;
        Ok(Packed {
            gzip: gzip.finish().map_err(Error::io("compress into", memory))?,
            diff_id: sum(&tar),
        })
    }

    fn tar(&self, epoch: u64) -> Result<Vec<u8>, Error> {
        let mut tar = tar::Builder::new(Vec::new());
        for (place, (content, mode)) in &self.entries {
            let bytes = match content {
                Content::File(path) => fs::read(path).map_err(Error::io("read", path))?,
                Content::Bytes(bytes) => bytes.clone(),
                Content::Folder | Content::Link(_) => Vec::new(),
            };
            append(&mut tar, place, content, *mode, epoch, &bytes)
                .map_err(Error::io("pack", Path::new(place)))?;
        }
        tar.into_inner()
            .map_err(Error::io("pack", Path::new("the layer")))
    }
}

fn append(
    tar: &mut tar::Builder<Vec<u8>>,
    place: &str,
    content: &Content,
    mode: u32,
    epoch: u64,
    bytes: &[u8],
) -> io::Result<()> {
    let mut header = header(mode, epoch, bytes.len() as u64);
    match content {
        Content::Folder => {
            header.set_entry_type(EntryType::Directory);
            tar.append_data(&mut header, format!("{place}/"), io::empty())
        }
        Content::Link(to) => {
            header.set_entry_type(EntryType::Symlink);
            tar.append_link(&mut header, place, to)
        }
        Content::Bytes(_) | Content::File(_) => tar.append_data(&mut header, place, bytes),
    }
}

/// A header that says nothing of who packs.
pub fn header(mode: u32, epoch: u64, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(epoch);
    header.set_size(size);
    header
}

/// A SHA-256 in hexadecimal digits.
pub fn sum(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let mut text = String::new();
    for byte in Sha256::digest(bytes) {
        // Writing to a string cannot go wrong.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer() -> Layer {
        let mut layer = Layer::default();
        layer.link("bin", "usr/bin");
        layer.text("usr/share/a", "a");
        layer.folder("tmp", 0o1777);
        layer
    }

    #[test]
    fn the_order_of_adding_makes_no_difference() {
        let mut other = Layer::default();
        other.folder("tmp", 0o1777);
        other.text("usr/share/a", "a");
        other.link("bin", "usr/bin");
        let (one, two) = (layer().pack(7).unwrap(), other.pack(7).unwrap());
        assert_eq!((one.gzip, one.diff_id), (two.gzip, two.diff_id));
        assert_ne!(
            layer().pack(8).unwrap().diff_id,
            layer().pack(7).unwrap().diff_id
        );
    }

    #[test]
    fn everything_is_roots_and_folders_come_first() {
        let tar = layer().tar(7).unwrap();
        let mut archive = tar::Archive::new(&tar[..]);
        let mut names = Vec::new();
        for entry in archive.entries().unwrap() {
            let entry = entry.unwrap();
            let header = entry.header();
            assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0));
            assert_eq!(header.mtime().unwrap(), 7);
            names.push(entry.path().unwrap().to_string_lossy().into_owned());
        }
        assert_eq!(names, ["bin", "tmp/", "usr/", "usr/share/", "usr/share/a"]);
    }
}
