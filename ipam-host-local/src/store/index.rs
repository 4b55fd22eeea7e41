//! The index: what the directory says, in a form whose cost does not grow with it.
//!
//! It lives apart from the directory, in `/run`, and can be thrown away at any time. One directory per store holds
//! `holders`, a header and the [`Table`] of who has what; one bitmap per [`Chunk`] that was ever used, named by the
//! chunk's number; and `earlier`, the addresses whose reservations are of an earlier boot.
//!
//! The header names the stamp that the store's directory has to carry ([`Stamp`]). Whatever changes a name in the store
//! makes its stamp another: the reference at work, a hand, or ourselves. So every verb changes the store first, then the
//! index, writes a fresh stamp into the header, and sets it on the store last; wherever it dies, the two differ, and the
//! next verb builds the index anew. Nothing needs to reach a disk: a machine that crashes comes back in another boot,
//! and the header names that too.

use super::boot::Boot;
use super::holder::Holder;
use super::key::{Key, first_half, hex};
use super::snapshot::Snapshot;
use super::stamp::Stamp;
use super::table::{Entry, Table};
use crate::address::Address;
use crate::bits::{CHUNK_BYTES, Chunk, ChunkId};
use rustix::fs::{AtFlags, Dir, Mode, OFlags};
use rustix::io::Errno;
use sha2::{Digest, Sha256};
use std::fs::{DirBuilder, File};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::{Path, PathBuf};

/// Where indexes live: gone with the boot, like what they describe.
const ROOT: &str = "/run/hawser/host-local";

const HOLDERS: &str = "holders";
const EARLIER: &str = "earlier";
/// The first bytes of the header; to be changed with the format.
const MAGIC: [u8; 16] = *b"hawser-index 2\r\n";
const HEADER: usize = 128;

/// The directory of the index of the store at `path`.
pub fn directory_of(path: &Path) -> PathBuf {
    // The spelling in the configuration is enough: two spellings of one store are two indexes, each of which notices
    // the other's changes.
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let digest = Sha256::digest(path.as_os_str().as_bytes());
    Path::new(ROOT).join(hex(&first_half(&digest)))
}

/// The open index. An error from any method means that it is not to be used any more.
#[derive(Debug)]
pub(super) struct Index {
    dir: OwnedFd,
    holders: Table,
    boot: [u8; 16],
    bare: bool,
}

impl Index {
    /// The index at `path`, if there is one that describes the store with this stamp.
    pub(super) fn open(path: &Path, boot: &Boot, stamp: Stamp) -> Option<Self> {
        let dir = rustix::fs::open(path, DIRECTORY, Mode::empty()).ok()?;
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::openat(&dir, HOLDERS, flags, Mode::empty()).ok()?);
        let mut bytes = [0; HEADER];
        file.read_exact_at(&mut bytes, 0).ok()?;
        let header = Header::from_bytes(&bytes)?;
        let boot = digest_of(boot);
        (header.boot == boot && header.stamp == stamp.to_bytes()).then(|| Self {
            dir,
            holders: Table::found(file, HEADER as u64, header.slots, header.used),
            boot,
            bare: header.bare,
        })
    }

    /// Writes a new index at `path`. It is not valid before it is stamped.
    pub(super) fn build(path: &Path, boot: &Boot, snapshot: &mut Snapshot) -> io::Result<Self> {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700).create(path)?;
        let dir = rustix::fs::open(path, DIRECTORY, Mode::empty())?;
        empty(&dir)?;
        for (id, chunk) in &snapshot.chunks {
            create(&dir, &chunk_name(*id))?.write_all_at(&chunk.to_bytes(), 0)?;
        }
        let holders = Table::write(create(&dir, HOLDERS)?, HEADER as u64, &mut snapshot.entries)?;
        let index = Self {
            dir,
            holders,
            boot: digest_of(boot),
            bare: snapshot.bare,
        };
        index.set_earlier(&snapshot.earlier)?;
        Ok(index)
    }

    /// Makes the index the description of the store with this stamp.
    pub(super) fn describe(&self, stamp: Stamp) -> io::Result<()> {
        let (slots, used) = self.holders.size();
        let header = Header {
            boot: self.boot,
            stamp: stamp.to_bytes(),
            slots,
            used,
            bare: self.bare,
        };
        self.holders.file().write_all_at(&header.to_bytes(), 0)
    }

    /// Which addresses of a chunk are occupied; `None` when none ever was.
    pub(super) fn chunk(&self, id: ChunkId) -> io::Result<Option<Chunk>> {
        let Some(file) = self.open_file(&chunk_name(id), OFlags::RDONLY)? else {
            return Ok(None);
        };
        let mut bytes = [0; CHUNK_BYTES];
        file.read_exact_at(&mut bytes, 0)?;
        Ok(Some(Chunk::from_bytes(&bytes)))
    }

    /// The addresses of a holder.
    pub(super) fn addresses_of(&self, holder: &Holder) -> io::Result<Vec<Address>> {
        if holder.ifname.is_empty() && !self.bare {
            return Ok(Vec::new());
        }
        self.holders.addresses_of(Key::of(holder))
    }

    /// Notes that `holder` has `address` now.
    pub(super) fn insert(&mut self, holder: &Holder, address: Address) -> io::Result<()> {
        self.holders.insert(Entry::new(Key::of(holder), address))?;
        self.set(address, true)
    }

    /// Notes that `holder` does not have `address` any more.
    pub(super) fn remove(&mut self, holder: &Holder, address: Address) -> io::Result<()> {
        self.holders.remove(Entry::new(Key::of(holder), address))?;
        self.set(address, false)
    }

    fn set(&self, address: Address, occupied: bool) -> io::Result<()> {
        let name = chunk_name(ChunkId::of(address));
        let file = match self.open_file(&name, OFlags::RDWR)? {
            Some(file) => file,
            None => {
                let file = create(&self.dir, &name)?;
                file.set_len(CHUNK_BYTES as u64)?;
                file
            }
        };
        let (offset, mask) = Chunk::byte_of(address);
        let mut byte = [0];
        file.read_exact_at(&mut byte, offset)?;
        let changed = if occupied {
            byte[0] | mask
        } else {
            byte[0] & !mask
        };
        file.write_all_at(&[changed], offset)
    }

    /// The addresses that had a reservation of an earlier boot when the index was built.
    pub(super) fn earlier(&self) -> io::Result<Vec<Address>> {
        let Some(file) = self.open_file(EARLIER, OFlags::RDONLY)? else {
            return Ok(Vec::new());
        };
        let mut bytes = Vec::new();
        io::Read::read_to_end(&mut &file, &mut bytes)?;
        let (numbers, _) = bytes.as_chunks::<16>();
        let address = |number: &[u8; 16]| Address::from_number(u128::from_le_bytes(*number));
        Ok(numbers.iter().map(address).collect())
    }

    /// Replaces that list.
    pub(super) fn set_earlier(&self, addresses: &[Address]) -> io::Result<()> {
        if addresses.is_empty() {
            return match rustix::fs::unlinkat(&self.dir, EARLIER, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => Ok(()),
                Err(errno) => Err(errno.into()),
            };
        }
        let mut file = io::BufWriter::new(create(&self.dir, EARLIER)?);
        for address in addresses {
            file.write_all(&address.number().to_le_bytes())?;
        }
        file.flush()
    }

    fn open_file(&self, name: &str, flags: OFlags) -> io::Result<Option<File>> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::openat(&self.dir, name, flags, Mode::empty()) {
            Ok(file) => Ok(Some(file.into())),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }
}

const DIRECTORY: OFlags = OFlags::DIRECTORY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// Makes an empty file, in place of one that may be there.
fn create(dir: &OwnedFd, name: &str) -> io::Result<File> {
    let flags = OFlags::CREATE | OFlags::TRUNC | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(dir, name, flags, Mode::from_raw_mode(0o600))?.into())
}

/// Removes every file of an index, what makes it valid first.
fn empty(dir: &OwnedFd) -> io::Result<()> {
    let remove = |name: &std::ffi::CStr| match rustix::fs::unlinkat(dir, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(io::Error::from(errno)),
    };
    remove(c"holders")?;
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            remove(entry.file_name())?;
        }
    }
    Ok(())
}

fn chunk_name(id: ChunkId) -> String {
    format!("{:x}", id.number())
}

fn digest_of(boot: &Boot) -> [u8; 16] {
    first_half(&Sha256::digest(boot.mark()))
}

/// The beginning of `holders`.
struct Header {
    boot: [u8; 16],
    stamp: [u8; 16],
    slots: u64,
    used: u64,
    bare: bool,
}

impl Header {
    fn to_bytes(&self) -> [u8; HEADER] {
        let fields = [
            MAGIC,
            self.boot,
            self.stamp,
            u128::from(self.slots).to_le_bytes(),
            u128::from(self.used).to_le_bytes(),
            u128::from(self.bare).to_le_bytes(),
        ];
        let mut bytes = [0; HEADER];
        for (place, field) in bytes.as_chunks_mut().0.iter_mut().zip(fields) {
            *place = field;
        }
        bytes
    }

    fn from_bytes(bytes: &[u8; HEADER]) -> Option<Self> {
        let [magic, boot, stamp, slots, used, bare, ..] = bytes.as_chunks::<16>().0 else {
            return None;
        };
        let number = |field: &[u8; 16]| u64::try_from(u128::from_le_bytes(*field)).ok();
        let slots = number(slots)?;
        (*magic == MAGIC && slots.is_power_of_two()).then_some(Self {
            boot: *boot,
            stamp: *stamp,
            slots,
            used: number(used)?,
            bare: number(bare)? != 0,
        })
    }
}
