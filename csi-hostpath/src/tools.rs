//! The programs that make, check and grow filesystems: the only programs that the driver starts.
//!
//! One that the driver leaves behind when it dies harms nothing: a new image is purged at the next start, and a device
//! that a program works on is claimed by it, so that nobody can mount it before.

mod program;

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use tonic::Code;

use crate::access::Filesystem;
use program::Program;

const MIB: u64 = 1 << 20;
/// btrfs images smaller than this keep their metadata once instead of twice.
const BTRFS_SINGLE_BELOW: u64 = 1 << 30;
/// XFS images smaller than this get two allocation groups instead of four.
const XFS_TWO_GROUPS_BELOW: u64 = 16 << 30;

/// Why a program failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The program is not there.
    #[error("{program} is not installed where this driver runs, install the package {package}")]
    Absent {
        /// Its name.
        program: &'static str,
        /// What to install.
        package: &'static str,
    },
    /// The program could not be started or listened to.
    #[error("{program} on {}: {source}", .file.display())]
    Start {
        /// Its name.
        program: &'static str,
        /// What it was to work on.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The program ended with an error.
    #[error("{program} on {} ended with {status}: {said}", .file.display())]
    Failed {
        /// Its name.
        program: &'static str,
        /// What it worked on.
        file: PathBuf,
        /// "exit status: 1" or the like.
        status: ExitStatus,
        /// The first and last lines of what it said.
        said: String,
    },
    /// An ext4 filesystem is damaged in a way that a program must not decide about.
    #[error(
        "the ext4 filesystem on {} has errors that e2fsck does not repair by itself, run `e2fsck -f` on it: {said}",
        .file.display()
    )]
    Damaged {
        /// The device or image.
        file: PathBuf,
        /// The first and last lines of what e2fsck said.
        said: String,
    },
}

impl Error {
    /// The gRPC code.
    pub fn code(&self) -> Code {
        match self {
            Self::Absent { .. } | Self::Damaged { .. } => Code::FailedPrecondition,
            Self::Failed { said, .. } if said.contains("No space left on device") => {
                Code::ResourceExhausted
            }
            Self::Start { .. } | Self::Failed { .. } => Code::Internal,
        }
    }
}

/// The least size of an image, in bytes, in which the filesystem can be made and later grown.
pub const fn minimum(filesystem: Filesystem) -> u64 {
    match filesystem {
        // Room for a journal of the least size, 4 MiB, and as much again for files.
        Filesystem::Ext4 => 16 * MIB,
        // mkfs.xfs refuses less.
        Filesystem::Xfs => 300 * MIB,
        // The kernel grows no btrfs to less than this.
        Filesystem::Btrfs => 256 * MIB,
    }
}

/// Makes an empty filesystem in the image file at `image`, which the caller knows to be new. Discards nothing, so that
/// reserved space stays reserved.
pub fn make(filesystem: Filesystem, image: &Path) -> Result<(), Error> {
    match filesystem {
        Filesystem::Ext4 => MKFS_EXT4.run(
            // Large blocks, so that a small image can become a large one. A new image reads as zeroes: neither inode
            // tables nor journal are written. Nothing is kept back for root, pods get what they asked for.
            &[
                "-q",
                "-F",
                "-b",
                "4096",
                "-m",
                "0",
                "-E",
                "nodiscard,lazy_itable_init=1,lazy_journal_init=1",
            ],
            image,
        ),
        Filesystem::Xfs => {
            let mut arguments = vec!["-q", "-f", "-K", "-m", "reflink=1"];
            // A mount reads a few blocks of each allocation group, one after the other, and what grows gets further groups
            // of the same size: of small ones it would get many.
            if length(&MKFS_XFS, image)? < XFS_TWO_GROUPS_BELOW {
                arguments.extend(["-d", "agcount=2"]);
            }
            MKFS_XFS.run(&arguments, image)
        }
        Filesystem::Btrfs => {
            let size = length(&MKFS_BTRFS, image)?;
            let metadata = if size < BTRFS_SINGLE_BELOW {
                "single"
            } else {
                "dup"
            };
            MKFS_BTRFS.run(&["-q", "-f", "-K", "-m", metadata], image)
        }
    }
}

/// The size of an image that `program` is about to fill, in bytes.
fn length(program: &Program, image: &Path) -> Result<u64, Error> {
    let about = std::fs::metadata(image).map_err(|source| program.start(image, source))?;
    Ok(about.len())
}

/// Checks and repairs an ext4 filesystem that is not mounted, as far as is safe without a person.
pub fn check_ext4(device: &Path) -> Result<(), Error> {
    let ended = E2FSCK.end(&["-f", "-p"], device)?;
    match judged(ended.status) {
        Verdict::Sound => Ok(()),
        Verdict::Damaged => Err(Error::Damaged {
            file: device.to_owned(),
            said: ended.said,
        }),
        Verdict::Failed => Err(E2FSCK.failed(device, ended)),
    }
}

/// Grows an ext4 filesystem that is not mounted to the size of its device or image. It is checked first: resize2fs wants
/// it so.
pub fn grow_ext4(device: &Path) -> Result<(), Error> {
    check_ext4(device)?;
    RESIZE2FS.run(&[], device)
}

/// Gives a copied btrfs image an identity of its own; two filesystems with one identity cannot be mounted together. Only
/// the superblock is written.
pub fn new_identity_btrfs(image: &Path) -> Result<(), Error> {
    BTRFSTUNE.run(&["-m"], image)
}

/// What e2fsck's exit status means.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// Clean, or repaired.
    Sound,
    /// Errors are left.
    Damaged,
    /// The check itself failed.
    Failed,
}

/// The status is a sum: 1 repaired, 2 repaired and reboot if it was mounted, 4 errors left, 8 and more the check failed.
fn judged(status: ExitStatus) -> Verdict {
    match status.code() {
        Some(0..=3) => Verdict::Sound,
        Some(4..=7) => Verdict::Damaged,
        _ => Verdict::Failed,
    }
}

const MKFS_EXT4: Program = Program::new("mkfs.ext4", "e2fsprogs");
const MKFS_XFS: Program = Program::new("mkfs.xfs", "xfsprogs");
const MKFS_BTRFS: Program = Program::new("mkfs.btrfs", "btrfs-progs");
const E2FSCK: Program = Program::new("e2fsck", "e2fsprogs");
const RESIZE2FS: Program = Program::new("resize2fs", "e2fsprogs");
const BTRFSTUNE: Program = Program::new("btrfstune", "btrfs-progs");

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::unix::fs::FileExt;
    use std::os::unix::process::ExitStatusExt;

    /// An image of the least size for `filesystem`, and the folder that it goes with.
    fn image(filesystem: Filesystem) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("image");
        let file = File::create(&path).unwrap();
        file.set_len(minimum(filesystem)).unwrap();
        (folder, path)
    }

    fn bytes<const N: usize>(path: &Path, at: u64) -> [u8; N] {
        let mut bytes = [0; N];
        File::open(path)
            .unwrap()
            .read_exact_at(&mut bytes, at)
            .unwrap();
        bytes
    }

    #[test]
    fn every_filesystem_fits_into_its_least_size() {
        let (_folder, path) = image(Filesystem::Ext4);
        make(Filesystem::Ext4, &path).unwrap();
        assert_eq!(bytes(&path, 1024 + 0x38), [0x53, 0xef]);

        let (_folder, path) = image(Filesystem::Xfs);
        make(Filesystem::Xfs, &path).unwrap();
        assert_eq!(&bytes(&path, 0), b"XFSB");

        let (_folder, path) = image(Filesystem::Btrfs);
        make(Filesystem::Btrfs, &path).unwrap();
        assert_eq!(&bytes(&path, (64 << 10) + 0x40), b"_BHRfS_M");
    }

    #[test]
    fn a_larger_image_is_filled_by_growing() {
        let (_folder, path) = image(Filesystem::Ext4);
        make(Filesystem::Ext4, &path).unwrap();
        let larger = 2 * minimum(Filesystem::Ext4);
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(larger)
            .unwrap();
        grow_ext4(&path).unwrap();
        let blocks = u32::from_le_bytes(bytes(&path, 1024 + 4));
        assert_eq!(u64::from(blocks) * 4096, larger);
    }

    /// An ext4 filesystem without checksums, of which single bytes can be changed, and its file.
    fn without_checksums() -> (tempfile::TempDir, PathBuf, File) {
        let (folder, path) = image(Filesystem::Ext4);
        let options = ["-q", "-F", "-b", "4096", "-O", "^metadata_csum,^uninit_bg"];
        MKFS_EXT4.run(&options, &path).unwrap();
        let file = File::options().read(true).write(true).open(&path).unwrap();
        (folder, path, file)
    }

    #[test]
    fn small_damage_is_repaired() {
        let (_folder, path, file) = without_checksums();
        let free: [u8; 4] = bytes(&path, 1024 + 0xc);
        file.write_all_at(&[0; 4], 1024 + 0xc).unwrap();
        check_ext4(&path).unwrap();
        assert_eq!(bytes(&path, 1024 + 0xc), free, "the count of free blocks");
    }

    #[test]
    fn great_damage_is_left_to_a_person() {
        let (_folder, path, file) = without_checksums();
        let inodes = u64::from(u32::from_le_bytes(bytes(&path, 4096 + 8))) * 4096;
        let mut size = [0; 2];
        file.read_exact_at(&mut size, 1024 + 0x58).unwrap();
        let root = inodes + u64::from(u16::from_le_bytes(size));
        file.write_all_at(&[0; 128], root).unwrap();
        let error = check_ext4(&path).unwrap_err();
        assert!(matches!(error, Error::Damaged { .. }), "{error}");
        assert_eq!(error.code(), Code::FailedPrecondition);
    }

    #[test]
    fn what_is_no_filesystem_is_not_repaired() {
        let (_folder, path) = image(Filesystem::Ext4);
        let error = check_ext4(&path).unwrap_err();
        assert!(matches!(error, Error::Failed { .. }), "{error}");
        assert!(
            error.to_string().contains("Bad magic number"),
            "the program's own words are told: {error}"
        );
        assert_eq!(error.code(), Code::Internal);
    }

    #[test]
    fn a_copy_of_btrfs_gets_an_identity_of_its_own() {
        let (_folder, path) = image(Filesystem::Btrfs);
        make(Filesystem::Btrfs, &path).unwrap();
        let before: [u8; 16] = bytes(&path, (64 << 10) + 0x20);
        new_identity_btrfs(&path).unwrap();
        assert_ne!(bytes(&path, (64 << 10) + 0x20), before);
    }

    #[test]
    fn statuses_of_e2fsck_are_sums() {
        let exit = |code: i32| ExitStatus::from_raw(code << 8);
        for sound in [0, 1, 2, 3] {
            assert_eq!(judged(exit(sound)), Verdict::Sound);
        }
        for damaged in [4, 5, 6, 7] {
            assert_eq!(judged(exit(damaged)), Verdict::Damaged);
        }
        for failed in [8, 12, 16, 32, 128] {
            assert_eq!(judged(exit(failed)), Verdict::Failed);
        }
        assert_eq!(judged(ExitStatus::from_raw(9)), Verdict::Failed);
    }

    #[test]
    fn a_full_disk_is_told_apart() {
        let failed = |said: &str| Error::Failed {
            program: "mkfs.ext4",
            file: "/x".into(),
            status: ExitStatus::from_raw(1 << 8),
            said: said.to_owned(),
        };
        let full = failed("mkfs.ext4: No space left on device while writing superblock");
        assert_eq!(full.code(), Code::ResourceExhausted);
        assert_eq!(failed("something else").code(), Code::Internal);
    }
}
