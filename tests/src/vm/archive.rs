//! An initramfs: a cpio archive in the "newc" format, which the kernel unpacks into memory as its root directory
//! (the kernel's Documentation/driver-api/early-userspace/buffer-format.rst).

use std::collections::BTreeSet;
use std::path::{Component, Path};

const DIRECTORY: u32 = 0o040_755;
const EXECUTABLE: u32 = 0o100_755;
const ALIGNMENT: usize = 4;

/// An archive being filled. Directories above an entry come by themselves.
#[derive(Debug, Default)]
pub struct Archive {
    bytes: Vec<u8>,
    names: BTreeSet<String>,
}

impl Archive {
    /// Adds an empty directory.
    pub fn directory(&mut self, path: &Path) {
        self.entry(path, DIRECTORY, &[]);
    }

    /// Adds a file that may be executed. What is there already stays.
    pub fn file(&mut self, path: &Path, content: &[u8]) {
        self.entry(path, EXECUTABLE, content);
    }

    /// The finished archive.
    pub fn finish(mut self) -> Vec<u8> {
        self.record("TRAILER!!!", 0, &[]);
        self.bytes
    }

    fn entry(&mut self, path: &Path, mode: u32, content: &[u8]) {
        let Some(name) = name_of(path) else { return };
        if self.names.contains(&name) {
            return;
        }
        if let Some(parent) = path.parent() {
            self.entry(parent, DIRECTORY, &[]);
        }
        self.record(&name, mode, content);
        self.names.insert(name);
    }

    /// Thirteen numbers of eight hexadecimal digits, the name with its null byte, the content; each padded.
    fn record(&mut self, name: &str, mode: u32, content: &[u8]) {
        let inode = self.names.len() + 1;
        let (links, time, device, checksum) = (1, 0, 0, 0);
        let fields = [
            inode,
            mode as usize,
            0,
            0,
            links,
            time,
            content.len(),
            device,
            device,
            device,
            device,
            name.len() + 1,
            checksum,
        ];
        self.bytes.extend(b"070701");
        for field in fields {
            self.bytes.extend(format!("{field:08x}").bytes());
        }
        self.bytes.extend(name.bytes().chain([0]));
        self.pad();
        self.bytes.extend(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes
            .resize(self.bytes.len().next_multiple_of(ALIGNMENT), 0);
    }
}

/// The path as the archive spells it, from the root directory but without a leading slash; `None` for the root itself.
fn name_of(path: &Path) -> Option<String> {
    let parts: Vec<_> = path
        .components()
        .filter_map(|part| match part {
            Component::Normal(part) => Some(part.to_string_lossy()),
            _ => None,
        })
        .collect();
    (!parts.is_empty()).then(|| parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_aligned_and_directories_come_first_and_once() {
        let mut archive = Archive::default();
        archive.file(Path::new("/a/b/odd"), b"12345");
        archive.directory(Path::new("/a/b"));
        archive.directory(Path::new("/empty"));
        let archive = archive.finish();
        assert_eq!(archive.len() % ALIGNMENT, 0);
        let text = String::from_utf8(archive).unwrap();
        let names: Vec<_> = text
            .split("070701")
            .skip(1)
            .map(|record| record[104..].split('\0').next().unwrap())
            .collect();
        assert_eq!(names, ["a", "a/b", "a/b/odd", "empty", "TRAILER!!!"]);
        assert!(text.contains("a/b/odd\0") && text.contains("12345\x00\x00\x00070701"));
    }
}
