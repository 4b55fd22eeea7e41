//! Where kubelet keeps what it does with CSI volumes (K-10 to K-13).

use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Kubelet's directory, and the driver it is about.
#[derive(Debug, Clone)]
pub(super) struct Paths {
    pub(super) kubelet: PathBuf,
    pub(super) driver: String,
}

impl Paths {
    /// The directories that stay when no volume is in use.
    pub(super) fn lasting(&self) -> [PathBuf; 4] {
        [
            self.kubelet.join("pods"),
            self.csi().join(&self.driver),
            self.csi().join("volumeDevices/staging"),
            self.csi().join("volumeDevices/publish"),
        ]
    }

    /// What belongs to a pod.
    pub(super) fn pod(&self, pod: &str) -> PathBuf {
        self.kubelet.join("pods").join(pod)
    }

    /// Where a volume is staged to be mounted (K-11).
    pub(super) fn staging_mount(&self, handle: &str) -> PathBuf {
        let dir = self.csi().join(&self.driver).join(sha256(handle));
        dir.join("globalmount")
    }

    /// Where a block volume is staged (K-12).
    pub(super) fn staging_block(&self, pv: &str) -> PathBuf {
        self.csi().join("volumeDevices/staging").join(pv)
    }

    /// Where a pod's volume is mounted (K-10).
    pub(super) fn target_mount(&self, pv: &str, pod: &str) -> PathBuf {
        let volumes = self.pod(pod).join("volumes/kubernetes.io~csi");
        volumes.join(pv).join("mount")
    }

    /// Where a pod's block device is (K-12).
    pub(super) fn target_block(&self, pv: &str, pod: &str) -> PathBuf {
        self.published_block(pv).join(pod)
    }

    /// The devices of a block volume's pods.
    pub(super) fn published_block(&self, pv: &str) -> PathBuf {
        self.csi().join("volumeDevices/publish").join(pv)
    }

    /// Where kubelet keeps its notes about a block volume.
    pub(super) fn data_block(&self, pv: &str) -> PathBuf {
        self.csi().join("volumeDevices").join(pv).join("data")
    }

    /// Where the driver asks to be registered (K-01).
    pub(super) fn registry(&self) -> PathBuf {
        let socket = format!("{}-reg.sock", self.driver);
        self.kubelet.join("plugins_registry").join(socket)
    }

    fn csi(&self) -> PathBuf {
        self.kubelet.join("plugins/kubernetes.io/csi")
    }
}

/// The file that kubelet keeps beside a mount.
pub(super) fn notes_beside(mount: &Path) -> PathBuf {
    mount.with_file_name("vol_data.json")
}

/// The id of an inline volume (K-13): `csi-` and 64 digits.
pub(super) fn inline_id(volume: &str, pod: &str) -> String {
    format!("csi-{}", sha256(&format!("{volume}{pod}")))
}

fn sha256(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
