//! A volume as pods ask for it.

use super::paths::inline_id;
use super::requests::{self, Used};
use proto::csi::volume_capability::AccessType;
use proto::csi::{Volume, VolumeCapability};
use std::collections::HashMap;

/// A PersistentVolume, or an inline volume of a pod. How it is used is said with the words of [`Used`].
#[derive(Debug, Clone, PartialEq)]
pub struct Pv {
    /// The object's name.
    pub name: String,
    /// As the driver made it. The id of an inline volume is another for each pod.
    pub volume: Volume,
    /// How it is used.
    pub capability: VolumeCapability,
    /// Whether pods may only read it.
    pub readonly: bool,
    /// Secrets for staging and publishing.
    pub secrets: HashMap<String, String>,
    /// Whether it lives and dies with a pod (K-13).
    pub inline: bool,
}

impl Pv {
    /// A volume that the driver made, to be mounted.
    pub fn of(name: &str, volume: &Volume) -> Self {
        Self {
            name: name.to_owned(),
            volume: volume.clone(),
            capability: requests::mount(),
            readonly: false,
            secrets: HashMap::new(),
            inline: false,
        }
    }

    /// An inline volume with these attributes.
    pub fn inline(name: &str, attributes: &[(&str, &str)]) -> Self {
        let attributes = attributes.iter();
        let volume = Volume {
            volume_context: attributes
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect(),
            ..Volume::default()
        };
        Self {
            inline: true,
            ..Self::of(name, &volume)
        }
    }

    /// The same for reading only.
    #[must_use]
    pub fn readonly(mut self) -> Self {
        self.readonly = true;
        self
    }

    /// Its id, for a pod.
    pub fn handle(&self, pod: &str) -> String {
        if self.inline {
            inline_id(&self.name, pod)
        } else {
            self.volume.volume_id.clone()
        }
    }

    pub(super) fn is_block(&self) -> bool {
        matches!(self.capability.access_type, Some(AccessType::Block(_)))
    }

    /// The context with what kubelet adds for a driver that wants to know the pod.
    pub(super) fn context(&self, pod: &str) -> HashMap<String, String> {
        let ephemeral = self.inline.to_string();
        let told = [
            ("pod.name", pod),
            ("pod.namespace", "default"),
            ("pod.uid", pod),
            ("serviceAccount.name", "default"),
            ("ephemeral", &ephemeral),
        ];
        let told = told.map(|(key, value)| (format!("csi.storage.k8s.io/{key}"), value.to_owned()));
        let mut context = self.volume.volume_context.clone();
        context.extend(told);
        context
    }
}

impl Used for Pv {
    fn capability(&mut self) -> &mut VolumeCapability {
        &mut self.capability
    }
}
