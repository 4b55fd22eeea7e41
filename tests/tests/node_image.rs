//! The image that `scripts/image` packs, from the executables that cargo built beside the test.

// The lint spares tests, but not what they share.
#![allow(clippy::unwrap_used)]

use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the driver starts, and how each tells that it can start.
const PROGRAMS: [(&str, &[&str]); 6] = [
    ("mkfs.ext4", &["-V"]),
    ("e2fsck", &["-V"]),
    ("resize2fs", &["-P", "/small.img"]),
    ("mkfs.xfs", &["-V"]),
    ("mkfs.btrfs", &["--version"]),
    ("btrfstune", &["--help"]),
];
/// The largest that what is not ours may be, in bytes, compressed.
const SYSTEM_LIMIT: u64 = 16 << 20;

/// Packs an archive into a folder.
fn pack(dir: &Path, name: &str) -> PathBuf {
    let archive = dir.join(name);
    testkit::pack(&archive);
    archive
}

fn unpack(archive: &Path, dir: &Path, gzip: bool) {
    fs::create_dir_all(dir).unwrap();
    let status = Command::new("tar")
        .args(["--extract", "--same-permissions", "--file"])
        .arg(archive)
        .args(gzip.then_some("--gzip"))
        .arg("--directory")
        .arg(dir)
        .status();
    assert!(status.unwrap().success(), "{}", archive.display());
}

/// The archive, taken apart.
struct Image {
    folder: tempfile::TempDir,
    manifest: Value,
    config: Value,
}

impl Image {
    fn unpacked() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let archive = pack(folder.path(), "image.tar");
        let layout = folder.path().join("layout");
        unpack(&archive, &layout, false);
        let index = json(&layout.join("index.json"));
        let mut image = Self {
            folder,
            manifest: Value::Null,
            config: Value::Null,
        };
        let descriptor = &index["manifests"][0];
        assert_eq!(
            descriptor["annotations"]["io.containerd.image.name"],
            testkit::IMAGE
        );
        image.manifest = json(&image.blob(descriptor));
        image.config = json(&image.blob(&image.manifest["config"]));
        image
    }

    /// The file of a blob, whose sum and size are as described.
    fn blob(&self, descriptor: &Value) -> PathBuf {
        let sum = descriptor["digest"]
            .as_str()
            .unwrap()
            .strip_prefix("sha256:")
            .unwrap();
        let path = self.folder.path().join("layout/blobs/sha256").join(sum);
        let bytes = fs::read(&path).unwrap();
        assert_eq!(hex(&Sha256::digest(&bytes)), sum);
        assert_eq!(descriptor["size"], bytes.len());
        path
    }

    /// The files of all layers.
    fn root(&self) -> PathBuf {
        let root = self.folder.path().join("root");
        for layer in self.manifest["layers"].as_array().unwrap() {
            unpack(&self.blob(layer), &root, true);
        }
        root
    }
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_archive_is_an_image_and_the_same_each_time() {
    let image = Image::unpacked();
    let layers = image.manifest["layers"].as_array().unwrap();
    assert_eq!(
        layers.len(),
        2,
        "what changes with each release is apart from what does not"
    );
    for (layer, diff) in layers
        .iter()
        .zip(image.config["rootfs"]["diff_ids"].as_array().unwrap())
    {
        let plain = Command::new("gzip")
            .arg("-dc")
            .arg(image.blob(layer))
            .output()
            .unwrap();
        assert_eq!(
            format!("sha256:{}", hex(&Sha256::digest(&plain.stdout))),
            *diff
        );
    }
    assert!(
        layers[0]["size"].as_u64().unwrap() < SYSTEM_LIMIT,
        "{}",
        layers[0]
    );
    let labels = &image.config["config"]["Labels"];
    assert_eq!(
        labels["org.opencontainers.image.version"],
        env!("CARGO_PKG_VERSION")
    );

    let again = pack(image.folder.path(), "again.tar");
    let first = fs::read(image.folder.path().join("image.tar")).unwrap();
    assert!(
        first == fs::read(again).unwrap(),
        "the same input gives the same bytes"
    );

    let docker = json(&image.folder.path().join("layout/manifest.json"));
    let named: Vec<_> = docker[0]["Layers"].as_array().unwrap().iter().collect();
    assert_eq!(named.len(), 2, "docker finds the same layers");
}

#[test]
fn what_is_needed_is_in_it_and_nothing_to_break_in_with() {
    let image = Image::unpacked();
    let root = image.root();
    for shell in [
        "sh", "bash", "dash", "busybox", "perl", "python3", "apt-get",
    ] {
        for folder in ["usr/bin", "usr/sbin", "usr/local/bin"] {
            assert!(!root.join(folder).join(shell).exists(), "{folder}/{shell}");
        }
    }
    let file = fs::File::create(root.join("small.img")).unwrap();
    file.set_len(16 << 20).unwrap();
    drop(file);
    let inside = |program: &str, words: &[&str]| {
        let output = Command::new("chroot")
            .arg(&root)
            .arg(program)
            .args(words)
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        (output.status.success(), told)
    };
    let (formatted, told) = inside("/usr/sbin/mkfs.ext4", &["-q", "/small.img"]);
    assert!(formatted, "{told}");
    for (program, words) in PROGRAMS {
        let place = ["/usr/sbin", "/usr/bin"].map(|folder| format!("{folder}/{program}"));
        let place = place
            .iter()
            .find(|place| root.join(&place[1..]).exists())
            .unwrap();
        let (_, told) = inside(place, words);
        assert!(!told.contains("shared libraries"), "{program}: {told}");
        assert!(!told.is_empty(), "{program} says something");
    }
    for program in ["csi-hostpath", "hawser", "hawser-node"] {
        let (ran, told) = inside(&format!("/usr/local/bin/{program}"), &["--version"]);
        assert!(
            ran && told.contains(env!("CARGO_PKG_VERSION")),
            "{program}: {told}"
        );
    }
    let packages = fs::read_to_string(root.join("usr/share/hawser/packages.tsv")).unwrap();
    let versions: BTreeMap<_, _> = packages
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .collect();
    for package in ["btrfs-progs", "e2fsprogs", "xfsprogs", "libc6"] {
        assert!(versions.contains_key(package), "{package}: {packages}");
        assert!(
            root.join(format!("usr/share/doc/{package}/copyright"))
                .is_file(),
            "{package}"
        );
    }
}

#[test]
fn a_dockerfile_packs_the_same() {
    let dockerfile =
        fs::read_to_string(testkit::manifests::repository().join("Dockerfile")).unwrap();
    for (program, _) in PROGRAMS {
        assert!(dockerfile.contains(program), "{program}");
    }
    for package in ["btrfs-progs", "e2fsprogs", "xfsprogs"] {
        assert!(dockerfile.contains(package), "{package}");
    }
    let image = Image::unpacked();
    for (label, value) in image.config["config"]["Labels"].as_object().unwrap() {
        let line = format!("{label}=\"{}\"", value.as_str().unwrap());
        assert!(dockerfile.contains(&line), "{line}");
    }
    let path = image.config["config"]["Env"][0].as_str().unwrap();
    assert!(dockerfile.contains(path), "{path}");
}
