//! Volumes, and where containers see them.

use super::fields::{Fields, Result};
use super::{HostFolder, Placement};
use crate::containerd::cri::{Mount, MountPropagation};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Where kubelet shows a container the token of its account.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// The folders behind a pod's volumes, by the volumes' names.
pub(super) struct Volumes {
    folders: BTreeMap<String, HostFolder>,
    account: PathBuf,
}

impl Volumes {
    pub(super) fn of(volumes: Vec<Fields>, placement: &Placement) -> Result<Self> {
        let mut folders = BTreeMap::new();
        for mut volume in volumes {
            let name = volume.need("name")?;
            let folder = match volume.names().first().map(String::as_str) {
                Some("hostPath") => of_host(volume.object("hostPath")?)?,
                _ => of_pod(volume.object("emptyDir")?, &name, placement)?,
            };
            volume.end()?;
            folders.insert(name, folder);
        }
        Ok(Self {
            folders,
            account: placement.account.clone(),
        })
    }

    pub(super) fn folders(&self) -> Vec<HostFolder> {
        self.folders.values().cloned().collect()
    }

    /// A container's mounts, and the one that no manifest names.
    pub(super) fn mounts(&self, mounts: Vec<Fields>) -> Result<Vec<Mount>> {
        let account = Mount {
            container_path: ACCOUNT.to_owned(),
            host_path: self.account.display().to_string(),
            readonly: true,
            ..Mount::default()
        };
        let named = mounts.into_iter().map(|fields| self.mount(fields));
        named.chain([Ok(account)]).collect()
    }

    fn mount(&self, mut fields: Fields) -> Result<Mount> {
        let name = fields.need("name")?;
        let folder = self.folders.get(&name);
        let folder = folder.ok_or_else(|| format!("{}: no volume {name}", fields.path()))?;
        let mount = Mount {
            container_path: fields.need("mountPath")?,
            host_path: folder.path.display().to_string(),
            readonly: fields.switch("readOnly")?.unwrap_or_default(),
            propagation: propagation(fields.text("mountPropagation")?)?.into(),
            ..Mount::default()
        };
        fields.end()?;
        Ok(mount)
    }
}

fn of_host(mut fields: Fields) -> Result<HostFolder> {
    let path = fields.need("path")?.into();
    let made = match fields.need("type")?.as_str() {
        "DirectoryOrCreate" => true,
        "Directory" => false,
        other => return Err(format!("{}.type: {other} is not known", fields.path())),
    };
    fields.end()?;
    Ok(HostFolder { path, made })
}

/// What medium it is on, and how large it may be, is not imitated.
fn of_pod(mut fields: Fields, name: &str, placement: &Placement) -> Result<HostFolder> {
    fields.skip(&["medium", "sizeLimit"]);
    fields.end()?;
    let volumes = placement.pod_dir().join("volumes");
    let path = volumes.join("kubernetes.io~empty-dir").join(name);
    Ok(HostFolder { path, made: true })
}

fn propagation(word: Option<String>) -> Result<MountPropagation> {
    match word.as_deref() {
        None | Some("None") => Ok(MountPropagation::PropagationPrivate),
        Some("HostToContainer") => Ok(MountPropagation::PropagationHostToContainer),
        Some("Bidirectional") => Ok(MountPropagation::PropagationBidirectional),
        Some(other) => Err(format!("mountPropagation: {other} is not known")),
    }
}
