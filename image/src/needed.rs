//! The libraries that a dynamically linked program needs, as its own headers say.

use crate::error::Error;
use object::elf::{DT_NEEDED, DT_STRTAB, FileHeader64, PT_DYNAMIC, PT_INTERP};
use object::read::elf::{Dyn, FileHeader, ProgramHeader};
use object::{Endianness, StringTable};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

type Header = FileHeader64<Endianness>;

/// What a program asks for at its start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// The loader, by its path; none for a static program.
    pub loader: Option<String>,
    /// Libraries, by name.
    pub libraries: Vec<String>,
}

/// Reads a program or library.
pub fn needs(path: &Path) -> Result<Needs, Error> {
    let bytes = fs::read(path).map_err(Error::io("read", path))?;
    read(&bytes).map_err(|source| Error::Elf {
        path: path.to_owned(),
        source,
    })
}

fn read(bytes: &[u8]) -> object::Result<Needs> {
    let header = Header::parse(bytes)?;
    let endian = header.endian()?;
    let segments = header.program_headers(endian, bytes)?;
    let mut needs = Needs::default();
    for segment in segments {
        if segment.p_type(endian) == PT_INTERP {
            let name = segment.interpreter(endian, bytes)?.unwrap_or_default();
            needs.loader = Some(String::from_utf8_lossy(name).into_owned());
        }
        if segment.p_type(endian) == PT_DYNAMIC {
            let entries = segment.dynamic(endian, bytes)?.unwrap_or_default();
            let strings = strings(endian, bytes, segments, entries);
            for entry in entries
                .iter()
                .filter(|entry| entry.tag32(endian) == Some(DT_NEEDED))
            {
                let name = entry.string(endian, strings)?;
                needs
                    .libraries
                    .push(String::from_utf8_lossy(name).into_owned());
            }
        }
    }
    Ok(needs)
}

/// The names that a dynamic section refers to: it says where they are in memory, the segments where that is in the file.
fn strings<'a, P: ProgramHeader<Endian = Endianness>>(
    endian: Endianness,
    bytes: &'a [u8],
    segments: &[P],
    entries: &[impl Dyn<Endian = Endianness>],
) -> StringTable<'a> {
    let table = entries
        .iter()
        .find(|entry| entry.tag32(endian) == Some(DT_STRTAB));
    let address: u64 = table.map_or(0, |entry| entry.d_val(endian).into());
    for segment in segments {
        if let Ok(Some(data)) = segment.data_range(endian, bytes, address, 1)
            && !data.is_empty()
        {
            let begin = data.as_ptr() as usize - bytes.as_ptr() as usize;
            return StringTable::new(bytes, begin as u64, bytes.len() as u64);
        }
    }
    StringTable::default()
}

/// Every file of `root` that the programs need to start, by its path in the image: loaders and libraries, and what those
/// need in turn.
pub fn closure(root: &Path, programs: &[PathBuf]) -> Result<BTreeMap<String, PathBuf>, Error> {
    let mut found = BTreeMap::new();
    // A library that names the loader means the one that is there already.
    let mut loaders = BTreeSet::new();
    let mut open: Vec<PathBuf> = programs.to_vec();
    while let Some(path) = open.pop() {
        let needs = needs(&path)?;
        let loader = needs.loader.as_deref().unwrap_or_default();
        let loader = loader.trim_start_matches('/').to_owned();
        loaders.extend(loader.rsplit('/').next().map(str::to_owned));
        let libraries = needs.libraries.into_iter();
        let libraries = libraries.filter(|library| !loaders.contains(library));
        for library in libraries.chain((!loader.is_empty()).then_some(loader)) {
            let (place, file) = library_of(root, &library, &path)?;
            if found.insert(place, file.clone()).is_none() {
                open.push(file);
            }
        }
    }
    Ok(found)
}

/// Where Debian puts libraries; what is under `lib` is under `usr/lib` in the image, where `lib` is a link.
const FOLDERS: [&str; 6] = [
    "usr/lib/x86_64-linux-gnu",
    "lib/x86_64-linux-gnu",
    "usr/lib/aarch64-linux-gnu",
    "lib/aarch64-linux-gnu",
    "usr/lib",
    "lib",
];

fn library_of(root: &Path, library: &str, needed_by: &Path) -> Result<(String, PathBuf), Error> {
    // A loader is named with its folder, which is a link in the image.
    let with_folder = library.contains('/').then(|| library.to_owned());
    let name = library.rsplit('/').next().unwrap_or(library);
    let in_folders = FOLDERS.iter().map(|folder| format!("{folder}/{name}"));
    for place in with_folder.into_iter().chain(in_folders) {
        let path = root.join(&place);
        // What the name leads to, inside the root: links there are relative or name the library's own folder.
        if let Some(file) = resolved(root, &path) {
            return Ok((in_usr(&place), file));
        }
    }
    Err(Error::NoLibrary {
        library: library.to_owned(),
        needed_by: needed_by.display().to_string(),
        root: root.to_owned(),
    })
}

/// The regular file behind a chain of links that stays in the root.
pub fn resolved(root: &Path, path: &Path) -> Option<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..8 {
        let found = fs::symlink_metadata(&path).ok()?;
        if !found.is_symlink() {
            return found.is_file().then_some(path);
        }
        let target = fs::read_link(&path).ok()?;
        path = match target.strip_prefix("/") {
            Ok(absolute) => root.join(absolute),
            Err(_) => path.parent()?.join(target),
        };
    }
    None
}

/// `/lib` and its like are links to `/usr` in the image.
pub fn in_usr(place: &str) -> String {
    if place.starts_with("usr/") {
        place.to_owned()
    } else {
        format!("usr/{place}")
    }
}
