//! The archive: an OCI image layout in a tar, with docker's own manifest beside it.

use crate::error::Error;
use crate::layer::{Packed, header, sum};
use serde_json::{Value, json};
use std::path::Path;

/// What the image is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// Registry and repository.
    pub repository: String,
    /// Its version.
    pub tag: String,
}

impl Name {
    /// Both together.
    pub fn full(&self) -> String {
        format!("{}:{}", self.repository, self.tag)
    }
}

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// Makes the archive of these layers, the lowest first.
pub fn archive(name: &Name, layers: &[Packed], epoch: u64) -> Result<Vec<u8>, Error> {
    let mut blobs = Vec::new();
    let mut descriptors = Vec::new();
    for layer in layers {
        descriptors.push(blob(&mut blobs, LAYER, layer.gzip.clone()));
    }
    let config = blob(
        &mut blobs,
        CONFIG,
        config(name, layers, epoch).to_string().into_bytes(),
    );
    let docker = docker(name, &config, &descriptors);
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": descriptors
    });
    let mut manifest = blob(&mut blobs, MANIFEST, manifest.to_string().into_bytes());
    manifest["platform"] = platform();
    manifest["annotations"] = json!({
        "io.containerd.image.name": name.full(),
        "org.opencontainers.image.ref.name": name.tag
    });
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [manifest]});

    let mut files = vec![
        ("index.json".to_owned(), index.to_string().into_bytes()),
        ("manifest.json".to_owned(), docker.to_string().into_bytes()),
        (
            "oci-layout".to_owned(),
            json!({"imageLayoutVersion": "1.0.0"})
                .to_string()
                .into_bytes(),
        ),
    ];
    files.extend(blobs);
    files.sort();
    pack(&files, epoch).map_err(Error::io("pack", Path::new("the archive")))
}

/// Keeps a blob and describes it.
fn blob(blobs: &mut Vec<(String, Vec<u8>)>, media_type: &str, bytes: Vec<u8>) -> Value {
    let sum = sum(&bytes);
    let descriptor = json!({
        "mediaType": media_type, "digest": format!("sha256:{sum}"), "size": bytes.len()
    });
    blobs.push((format!("blobs/sha256/{sum}"), bytes));
    descriptor
}

fn platform() -> Value {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    json!({"architecture": architecture, "os": "linux"})
}

/// The labels, which the Dockerfile has as well.
pub fn labels(version: &str) -> Value {
    json!({
        "org.opencontainers.image.title": "Hawser",
        "org.opencontainers.image.description": "The pod network and the local storage of a Kubernetes node",
        "org.opencontainers.image.licenses": "Apache-2.0",
        "org.opencontainers.image.version": version
    })
}

/// Where programs are looked for.
pub const PATH: &str = "PATH=/usr/local/bin:/usr/sbin:/usr/bin";

fn config(name: &Name, layers: &[Packed], epoch: u64) -> Value {
    let created = timestamp(epoch);
    let diff_ids: Vec<_> = layers
        .iter()
        .map(|layer| format!("sha256:{}", layer.diff_id))
        .collect();
    let history: Vec<_> = layers
        .iter()
        .map(|_| json!({"created": created, "created_by": "hawser-image"}))
        .collect();
    let mut config = platform();
    config["created"] = json!(created);
    config["config"] = json!({
        "Env": [PATH], "Cmd": ["/usr/local/bin/hawser", "--help"], "WorkingDir": "/",
        "Labels": labels(&name.tag)
    });
    config["rootfs"] = json!({"type": "layers", "diff_ids": diff_ids});
    config["history"] = json!(history);
    config
}

fn docker(name: &Name, config: &Value, layers: &[Value]) -> Value {
    let path = |descriptor: &Value| {
        let digest = descriptor["digest"].as_str().unwrap_or_default();
        format!("blobs/{}", digest.replace(':', "/"))
    };
    let layers: Vec<_> = layers.iter().map(path).collect();
    json!([{"Config": path(config), "RepoTags": [name.full()], "Layers": layers}])
}

fn pack(files: &[(String, Vec<u8>)], epoch: u64) -> std::io::Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    for (place, bytes) in files {
        let mut header = header(0o644, epoch, bytes.len() as u64);
        tar.append_data(&mut header, place, bytes.as_slice())?;
    }
    tar.into_inner()
}

/// Seconds since 1970 as RFC 3339 has them, in UTC.
fn timestamp(epoch: u64) -> String {
    let (days, seconds) = (epoch / 86_400, epoch % 86_400);
    let (mut year, mut left) = (1970, days);
    let leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    loop {
        let length = if leap(year) { 366 } else { 365 };
        if left < length {
            break;
        }
        left -= length;
        year += 1;
    }
    let february = if leap(year) { 29 } else { 28 };
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if left < length {
            break;
        }
        left -= length;
        month += 1;
    }
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!(
        "{year:04}-{month:02}-{:02}T{hour:02}:{minute:02}:{second:02}Z",
        left + 1
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_told_as_people_do() {
        for (epoch, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (1_764_201_600, "2025-11-27T00:00:00Z"),
        ] {
            assert_eq!(timestamp(epoch), text);
        }
    }
}
