//! The image of this repository, packed from the executables that cargo built beside the test.

use crate::manifests::repository;
use crate::plugins::built_here;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

/// The name that the archive gives the image, which is what Kubernetes makes of the manifests' shorter one.
pub const IMAGE: &str = concat!("docker.io/hawser/hawser:", env!("CARGO_PKG_VERSION"));

/// Packs the archive with `scripts/image`.
#[track_caller]
pub fn pack(archive: &Path) {
    let output = Command::new(repository().join("scripts/image"))
        .arg("--bin-dir")
        .arg(built_here())
        .arg(archive)
        .output()
        .expect("start scripts/image");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "scripts/image: {said}");
}

/// The archive's bytes. Packing takes seconds, so that a test's process does it once.
#[track_caller]
pub fn packed() -> &'static [u8] {
    static PACKED: OnceLock<Vec<u8>> = OnceLock::new();
    PACKED.get_or_init(|| {
        let folder = tempfile::tempdir().expect("make a folder");
        let archive = folder.path().join("image.tar");
        pack(&archive);
        std::fs::read(&archive).expect("read the archive")
    })
}
