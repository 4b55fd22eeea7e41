//! What goes into the image.

use crate::error::Error;
use crate::layer::{Content, Layer};
use crate::needed;
use std::collections::{BTreeMap, HashMap};
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

/// The layer of programs and libraries from packages that were unpacked in `root`; `files` says which package each file is
/// from, a line of package, version and path for each, with tabs between them.
pub fn system(root: &Path, files: &str) -> Result<Layer, Error> {
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

    let mut programs = Vec::new();
    for program in PROGRAMS {
        let file = program_of(root, program)?;
        let place = format!("usr/sbin/{program}");
        layer.add(&place, Content::File(file.clone()), 0o755);
        programs.push(file);
    }
    for (place, file) in needed::closure(root, &programs)? {
        layer.add(&place, Content::File(file), 0o755);
    }
    let defaults = root.join("etc/mke2fs.conf");
    layer.add("etc/mke2fs.conf", Content::File(defaults), 0o644);
    add_packages(&mut layer, root, files)?;
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

fn program_of(root: &Path, program: &str) -> Result<PathBuf, Error> {
    for folder in FOLDERS {
        if let Some(file) = needed::resolved(root, &root.join(folder).join(program)) {
            return Ok(file);
        }
    }
    Err(Error::NoProgram {
        program: program.to_owned(),
        root: root.to_owned(),
    })
}

/// The list of the packages that files of the layer are from, and what their licences ask to be passed on with them.
fn add_packages(layer: &mut Layer, root: &Path, files: &str) -> Result<(), Error> {
    let owners: HashMap<&str, (&str, &str)> = files.lines().filter_map(owned).collect();
    let mut packages = BTreeMap::new();
    for file in layer.files() {
        let path = file.strip_prefix(root).unwrap_or(file);
        let owner = path.to_str().and_then(|path| owners.get(path));
        let (package, version) = owner.ok_or_else(|| Error::Nobodys(file.to_owned()))?;
        packages.insert((*package).to_owned(), (*version).to_owned());
    }
    let mut listed = String::new();
    for (package, version) in packages {
        let place = format!("usr/share/doc/{package}/copyright");
        let licence = needed::resolved(root, &root.join(&place))
            .ok_or_else(|| Error::NoLicence(package.clone()))?;
        layer.add(&place, Content::File(licence), 0o644);
        listed.push_str(&format!("{package}\t{version}\n"));
    }
    layer.text("usr/share/hawser/packages.tsv", &listed);
    Ok(())
}

/// A line of the table: a path, and the package and version that it is from.
fn owned(line: &str) -> Option<(&str, (&str, &str))> {
    let mut fields = line.splitn(3, '\t');
    let (package, version) = (fields.next()?, fields.next()?);
    Some((fields.next()?, (package, version)))
}
