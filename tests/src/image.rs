//! Container images made from nothing: one layer, as an OCI archive.

use crate::place::Place;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::path::Path;
use tar::{Builder, EntryType, Header};

/// The layer's files, and what a container runs when it is not told. Words change it; [`write`](Self::write) makes the archive.
pub struct Image {
    name: String,
    layer: Builder<Vec<u8>>,
    command: Vec<String>,
}

impl Image {
    /// An empty image. It has the name under which a runtime knows it, such as `localhost/server:1`.
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            layer: Builder::new(Vec::new()),
            command: Vec::new(),
        }
    }

    /// An image of the machine's static busybox, with a shell that has all of its programs. It sleeps when it is not told to do
    /// anything else, so that it can keep a sandbox, too.
    pub fn busybox(name: &str) -> Self {
        let busybox = std::fs::read("/bin/busybox").expect("Debian's package busybox-static");
        Self::named(name)
            .folder("bin", 0o755)
            .folder("etc", 0o755)
            .folder("tmp", 0o1777)
            .file("bin/busybox", 0o755, &busybox)
            .link("bin/sh", "busybox")
            .command(&["/bin/busybox", "sleep", "infinity"])
    }

    /// Adds a file.
    #[must_use]
    pub fn file(self, path: &str, mode: u32, content: &[u8]) -> Self {
        self.entry(EntryType::Regular, path, mode, content)
    }

    /// Adds a folder. Those above it have to be there.
    #[must_use]
    pub fn folder(self, path: &str, mode: u32) -> Self {
        self.entry(EntryType::Directory, path, mode, &[])
    }

    /// Adds a symbolic link.
    #[must_use]
    pub fn link(mut self, path: &str, target: &str) -> Self {
        let mut header = header(EntryType::Symlink, 0o777, 0);
        let added = self.layer.append_link(&mut header, path, target);
        added.expect("add to a layer in memory");
        self
    }

    /// What a container runs when it is not told.
    #[must_use]
    pub fn command(mut self, command: &[&str]) -> Self {
        self.command = command.iter().map(|&word| word.to_owned()).collect();
        self
    }

    /// Writes the archive at `path` on a host.
    pub fn write(self, host: &Place, path: &Path) {
        let archive = self.archive();
        host.run(|| std::fs::write(path, archive))
            .unwrap_or_else(|e| panic!("write {}: {e}", path.display()));
    }

    fn entry(mut self, kind: EntryType, path: &str, mode: u32, content: &[u8]) -> Self {
        let mut header = header(kind, mode, content.len());
        let added = self.layer.append_data(&mut header, path, content);
        added.expect("add to a layer in memory");
        self
    }

    fn archive(self) -> Vec<u8> {
        let layer = self.layer.into_inner().expect("end a layer in memory");
        let config = json!({
            "architecture": architecture(),
            "os": "linux",
            "config": {"Cmd": self.command, "Env": ["PATH=/bin"]},
            "rootfs": {"type": "layers", "diff_ids": [digest(&layer)]},
        });
        let config = config.to_string().into_bytes();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": descriptor("application/vnd.oci.image.config.v1+json", &config),
            "layers": [descriptor("application/vnd.oci.image.layer.v1.tar", &layer)],
        });
        let manifest = manifest.to_string().into_bytes();
        let mut named = descriptor(MANIFEST, &manifest);
        // containerd reads the first, podman the second.
        named["annotations"] = json!({
            "io.containerd.image.name": self.name,
            "org.opencontainers.image.ref.name": self.name,
        });
        let index = json!({"schemaVersion": 2, "manifests": [named]}).to_string();
        let layout = json!({"imageLayoutVersion": "1.0.0"}).to_string();

        let mut archive = Builder::new(Vec::new());
        let mut add = |path: &str, content: &[u8]| {
            let mut header = header(EntryType::Regular, 0o644, content.len());
            let added = archive.append_data(&mut header, path, content);
            added.expect("add to an archive in memory");
        };
        add("oci-layout", layout.as_bytes());
        add("index.json", index.as_bytes());
        for blob in [&layer, &config, &manifest] {
            add(&format!("blobs/{}", digest(blob).replace(':', "/")), blob);
        }
        archive.into_inner().expect("end an archive in memory")
    }
}

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

fn descriptor(media_type: &str, blob: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": digest(blob), "size": blob.len()})
}

fn digest(blob: &[u8]) -> String {
    let hash = Sha256::digest(blob);
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// The machine's architecture, by the name that images have for it.
const fn architecture() -> &'static str {
    if cfg!(target_arch = "aarch64") {
        "arm64"
    } else {
        "amd64"
    }
}

fn header(kind: EntryType, mode: u32, size: usize) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size.try_into().expect("a size that fits"));
    header
}
