//! The image of this repository, packed from the executables that cargo built beside the test.

use crate::manifests::repository;
use crate::plugins::built_here;
use std::path::Path;
use std::process::Command;

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
