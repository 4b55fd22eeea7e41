//! Pods of a manifest, in the words of the Container Runtime Interface: what kubelet makes of a DaemonSet's template on a
//! node. Every field has to be understood; one that is not is an error, so that a manifest cannot say something that no
//! test has ever tried.
//!
//! ```no_run
//! use testkit::containerd::{Containerd, manifest::{ManifestPod, Placement}};
//! use testkit::manifests::{find, render};
//! # fn shown(containerd: &Containerd, placement: &Placement) {
//!
//! let objects = render("overlays/minikube");
//! let workload = find(&objects, "DaemonSet", "hawser-csi-node");
//! let pod = ManifestPod::of(workload, placement).unwrap();
//! let sandbox = containerd.run_manifest_pod(&pod).unwrap();
//! let driver = pod.container("driver");
//! let running = containerd.run_manifest_container(&sandbox, driver, 0).unwrap();
//! containerd.await_started(&sandbox, driver, &running);
//! # }
//! ```
//!
//! Of what kubelet adds by itself there are the token of the service account, the variables of the API server's service,
//! and the file behind `terminationMessagePath`. There is no `/etc/hosts`, and no name server.

mod container;
mod environment;
mod fields;
mod probe;
mod resources;
mod run;
mod security;
mod volumes;

use super::pod::PodOptions;
use fields::{Fields, Result};
use serde_json::Value;
use std::path::PathBuf;

pub use container::ManifestContainer;
pub use probe::Probe;

/// What kubelet knows besides the manifest: where the pod is to run, and under which name.
#[derive(Debug, Clone)]
pub struct Placement {
    /// The pod's name.
    pub pod: String,
    /// The name of the node's object.
    pub node: String,
    /// Kubelet's directory.
    pub kubelet_dir: PathBuf,
    /// The host's folder with the service account's token.
    pub account: PathBuf,
    /// Where the API server is reached.
    pub api_server: (String, u16),
}

impl Placement {
    /// The pod's uid.
    pub fn uid(&self) -> String {
        format!("uid-{}", self.pod)
    }

    /// Where kubelet keeps what belongs to the pod.
    pub fn pod_dir(&self) -> PathBuf {
        self.kubelet_dir.join("pods").join(self.uid())
    }
}

/// A folder of the host that kubelet looks after before a pod starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostFolder {
    /// Where.
    pub path: PathBuf,
    /// Whether it is made, or has to be there.
    pub made: bool,
}

/// A pod of a manifest.
#[derive(Debug, Clone)]
pub struct ManifestPod {
    /// The sandbox.
    pub options: PodOptions,
    /// Its containers.
    pub containers: Vec<ManifestContainer>,
    /// What is looked after before.
    pub folders: Vec<HostFolder>,
    /// Seconds that its containers have to end (`terminationGracePeriodSeconds`).
    pub grace: i64,
    /// Kubelet's folder for it.
    pub dir: PathBuf,
}

impl ManifestPod {
    /// The pod of a workload's template on a node. An error says what is not understood, and where.
    pub fn of(workload: &Value, placement: &Placement) -> std::result::Result<Self, String> {
        let namespace = crate::manifests::text(workload, "/metadata/namespace");
        let spec = workload.pointer("/spec/template/spec");
        let mut spec = Fields::of("spec", spec.cloned().unwrap_or_default())?;
        // Where it may run, and what the scheduler thinks of it, is decided when kubelet hears of it.
        spec.skip(&["nodeSelector", "tolerations", "serviceAccountName"]);
        dns(&mut spec)?;
        let host_network = spec.switch("hostNetwork")?.unwrap_or_default();
        let defaults = security::Pod::of(spec.object("securityContext")?, host_network)?;
        let critical = spec.text("priorityClassName")?.as_deref() == Some("system-node-critical");
        let volumes = volumes::Volumes::of(spec.objects("volumes")?, placement)?;
        let common = container::Common {
            placement,
            namespace,
            security: &defaults,
            volumes: &volumes,
            critical,
        };
        let containers = spec.objects("containers")?.into_iter();
        let containers: Vec<_> = containers
            .map(|fields| ManifestContainer::of(fields, &common))
            .collect::<Result<_>>()?;
        let grace = spec.number("terminationGracePeriodSeconds")?.unwrap_or(30);
        spec.end()?;
        let mut options = PodOptions::new(&placement.pod);
        if host_network {
            options = options.host_network();
        }
        if let Some(metadata) = &mut options.config.metadata {
            metadata.uid = placement.uid();
            namespace.clone_into(&mut metadata.namespace);
        }
        if let Some(linux) = &mut options.config.linux {
            let privileged = containers.iter().any(ManifestContainer::is_privileged);
            linux.security_context = Some(defaults.sandbox(privileged));
        }
        Ok(Self {
            options,
            containers,
            folders: volumes.folders(),
            grace,
            dir: placement.pod_dir(),
        })
    }

    /// The container of that name.
    #[track_caller]
    pub fn container(&self, name: &str) -> &ManifestContainer {
        let found = self.containers.iter().find(|it| it.name == name);
        found.unwrap_or_else(|| panic!("the pod has no container {name}"))
    }

    /// The same, to be changed: for what a test has to do otherwise than the manifest.
    #[track_caller]
    pub fn container_mut(&mut self, name: &str) -> &mut ManifestContainer {
        let found = self.containers.iter_mut().find(|it| it.name == name);
        found.unwrap_or_else(|| panic!("the pod has no container {name}"))
    }
}

/// Names are looked up by nobody here, but a word that kubelet does not know would keep the pod from starting.
fn dns(spec: &mut Fields) -> Result<()> {
    match spec.text("dnsPolicy")?.as_deref() {
        None | Some("Default" | "ClusterFirst" | "ClusterFirstWithHostNet") => Ok(()),
        Some(other) => Err(format!("dnsPolicy: {other} is not known")),
    }
}
