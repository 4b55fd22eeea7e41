//! The image that `scripts/image` packs, from the executables that cargo built beside the test.

// The lint spares tests, but not what they share.
#![allow(clippy::unwrap_used)]

use hawser_image::contents::{EXECUTABLES, PACKAGES, PROGRAMS};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the driver has the programs do: each makes, checks or grows a filesystem in an image file.
const USES: [(&str, &[&str]); 6] = [
    ("mkfs.ext4", &["-q", "/ext4.img"]),
    ("e2fsck", &["-f", "-n", "/ext4.img"]),
    ("resize2fs", &["/ext4.img", "20M"]),
    ("mkfs.xfs", &["-q", "/xfs.img"]),
    ("mkfs.btrfs", &["-q", "/btrfs.img"]),
    ("btrfstune", &["-f", "-u", "/btrfs.img"]),
];
/// The files for them, and their sizes in MiB.
const IMAGES: [(&str, u64); 3] = [("ext4.img", 16), ("xfs.img", 300), ("btrfs.img", 128)];
/// The largest that what is not ours may be, in bytes, compressed.
const SYSTEM_LIMIT: u64 = 16 << 20;

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
        let archive = folder.path().join("image.tar");
        fs::write(&archive, testkit::packed()).unwrap();
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

    let again = image.folder.path().join("again.tar");
    testkit::pack(&again);
    assert!(
        testkit::packed() == fs::read(again).unwrap(),
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
    for (name, mebibytes) in IMAGES {
        let file = fs::File::create(root.join(name)).unwrap();
        file.set_len(mebibytes << 20).unwrap();
    }
    // The programs look into /proc/mounts, as the driver's container has it.
    let enter = r#"mount -t proc proc "$0/proc" && exec chroot "$0" "$@""#;
    let inside = |program: &str, words: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", enter]).arg(&root);
        let output = command.arg(program).args(words).output().unwrap();
        let told = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        (output.status.success(), told)
    };
    let mut used: Vec<_> = USES.iter().map(|(program, _)| *program).collect();
    used.sort_unstable();
    assert_eq!(used, PROGRAMS);
    for (program, words) in USES {
        let (ran, told) = inside(&format!("/usr/sbin/{program}"), words);
        assert!(ran, "{program}: {told}");
    }
    for program in EXECUTABLES {
        let (ran, told) = inside(&format!("/usr/local/bin/{program}"), &["--version"]);
        assert!(
            ran && told.contains(env!("CARGO_PKG_VERSION")),
            "{program}: {told}"
        );
    }
    let packages = fs::read_to_string(root.join("usr/share/hawser/packages.tsv")).unwrap();
    let listed: Vec<_> = packages
        .lines()
        .map(|line| line.split_once('\t').unwrap().0)
        .collect();
    for package in PACKAGES.into_iter().chain(["libc6", "libuuid1"]) {
        assert!(listed.contains(&package), "{package}: {packages}");
    }
    assert!(
        !listed.contains(&"libpcre2-8-0"),
        "nothing needs it: {packages}"
    );
    let licensed = fs::read_dir(root.join("usr/share/doc")).unwrap();
    let mut licensed: Vec<_> = licensed
        .map(|entry| entry.unwrap().path())
        .inspect(|folder| assert!(folder.join("copyright").is_file(), "{}", folder.display()))
        .map(|folder| folder.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    licensed.sort();
    assert_eq!(licensed, listed);
}

/// Every path in a folder, with mode and target of a link.
fn paths(folder: &Path) -> String {
    let output = Command::new("find")
        .arg(folder)
        .args(["-mindepth", "1", "-printf", "%P %m %l\n"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    lines.join("\n")
}

#[test]
fn a_dockerfile_packs_the_same() {
    let dockerfile =
        fs::read_to_string(testkit::manifests::repository().join("Dockerfile")).unwrap();
    for executable in EXECUTABLES {
        assert!(
            dockerfile.contains(&format!("/{executable}\"")),
            "{executable}"
        );
    }
    assert!(dockerfile.contains(&format!(" {} ", PACKAGES.join(" "))));
    let image = Image::unpacked();
    for (label, value) in image.config["config"]["Labels"].as_object().unwrap() {
        let line = format!("{label}=\"{}\"", value.as_str().unwrap());
        assert!(dockerfile.contains(&line), "{line}");
    }
    let path = image.config["config"]["Env"][0].as_str().unwrap();
    assert!(dockerfile.contains(path), "{path}");

    // What its second stage does after installing the packages, which this machine has.
    let stage = dockerfile
        .split("FROM ")
        .find(|stage| stage.contains("apt-get"))
        .unwrap();
    let (_, commands) = stage.split_once(&PACKAGES.join(" ")).unwrap();
    let commands = commands
        .trim_start()
        .trim_start_matches(['\\', '\n', ' ', '&']);
    let scratch = tempfile::tempdir().unwrap();
    let made = scratch.path().join("image");
    let commands = commands.replace("/image", &made.display().to_string());
    let output = Command::new("sh")
        .arg("-ec")
        .arg(commands)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let root = image.folder.path().join("system");
    unpack(&image.blob(&image.manifest["layers"][0]), &root, true);
    assert_eq!(paths(&made), paths(&root));
}
