//! What goes into the image.

use crate::error::Error;
use crate::layer::{Content, Layer};
use crate::needed;
use std::fs;
use std::path::{Path, PathBuf};

/// Our executables.
pub const EXECUTABLES: [&str; 3] = ["csi-hostpath", "hawser", "hawser-node"];

/// The programs that the storage driver starts.
pub const PROGRAMS: [&str; 6] = [
    "btrfstune",
    "e2fsck",
    "mkfs.btrfs",
    "mkfs.ext4",
    "mkfs.xfs",
    "resize2fs",
];

/// The Debian packages that bring the programs.
pub const PACKAGES: [&str; 3] = ["btrfs-progs", "e2fsprogs", "xfsprogs"];

/// Where executables of packages are.
const FOLDERS: [&str; 4] = ["usr/sbin", "sbin", "usr/bin", "bin"];

/// Links of the top level into `/usr`, as Debian has them.
const LINKS: [&str; 4] = ["bin", "lib", "lib64", "sbin"];

const PASSWD: &str = "root:x:0:0:root:/:/nonexistent\nnobody:x:65534:65534:nobody:/:/nonexistent\n";
const GROUP: &str = "root:x:0:\nnogroup:x:65534:\n";

/// The layer of programs and libraries from packages that were unpacked in `root`; `listed` is a table of their versions.
pub fn system(root: &Path, listed: &str) -> Result<Layer, Error> {
    let mut layer = Layer::default();
    for link in LINKS {
        layer.link(link, &format!("usr/{link}"));
    }
    layer.folder("tmp", 0o1777);
    for folder in ["dev", "proc", "run", "sys", "var/lib"] {
        layer.folder(folder, 0o755);
    }
    layer.text("etc/passwd", PASSWD);
    layer.text("etc/group", GROUP);
    layer.text("usr/share/hawser/packages.tsv", listed);

    let mut programs = Vec::new();
    for program in PROGRAMS {
        let (place, file) = program_of(root, program)?;
        layer.add(&place, Content::File(file.clone()), 0o755);
        programs.push(file);
    }
    for (place, file) in needed::closure(root, &programs)? {
        layer.add(&place, Content::File(file), 0o755);
    }
    let defaults = root.join("etc/mke2fs.conf");
    layer.add("etc/mke2fs.conf", Content::File(defaults), 0o644);
    add_licences(&mut layer, root)?;
    Ok(layer)
}

/// The layer of our executables, built in `bin_dir`.
pub fn executables(bin_dir: &Path) -> Result<Layer, Error> {
    let mut layer = Layer::default();
    for name in EXECUTABLES {
        let path = bin_dir.join(name);
        if !path.is_file() {
            return Err(Error::NotBuilt(path));
        }
        layer.add(&format!("usr/local/bin/{name}"), Content::File(path), 0o755);
    }
    Ok(layer)
}

fn program_of(root: &Path, program: &str) -> Result<(String, PathBuf), Error> {
    for folder in FOLDERS {
        let place = format!("{folder}/{program}");
        if let Some(file) = needed::resolved(root, &root.join(&place)) {
            return Ok((needed::in_usr(&place), file));
        }
    }
    Err(Error::NoProgram {
        program: program.to_owned(),
        root: root.to_owned(),
    })
}

/// What the packages' licences ask to be passed on with them.
fn add_licences(layer: &mut Layer, root: &Path) -> Result<(), Error> {
    let folder = root.join("usr/share/doc");
    for entry in fs::read_dir(&folder).map_err(Error::io("look into", &folder))? {
        let package = entry.map_err(Error::io("look into", &folder))?.path();
        let copyright = package.join("copyright");
        let name = package
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        if let (Some(name), Some(file)) = (name, needed::resolved(root, &copyright)) {
            let place = format!("usr/share/doc/{name}/copyright");
            layer.add(&place, Content::File(file), 0o644);
        }
    }
    Ok(())
}
