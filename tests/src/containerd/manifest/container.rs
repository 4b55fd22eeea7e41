//! Containers of a manifest's pod.

use super::environment::Environment;
use super::fields::{Fields, Result};
use super::probe::Probe;
use super::volumes::Volumes;
use super::{Placement, resources, security};
use crate::containerd::ContainerOptions;
use crate::containerd::cri::{LinuxContainerConfig, Mount};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Where kubelet reads a container's last words unless the manifest says otherwise.
const LAST_WORDS: &str = "/dev/termination-log";

/// What the containers of a pod have in common.
pub(super) struct Common<'a> {
    pub(super) placement: &'a Placement,
    pub(super) namespace: &'a str,
    pub(super) security: &'a security::Pod,
    pub(super) volumes: &'a Volumes,
    pub(super) critical: bool,
}

/// A container of a manifest.
#[derive(Debug, Clone)]
pub struct ManifestContainer {
    /// Its name.
    pub name: String,
    /// The image, as the manifest names it.
    pub image: String,
    /// Answers well once the container has started.
    pub startup: Option<Probe>,
    /// Answers well as long as it needs not be restarted.
    pub liveness: Option<Probe>,
    /// Answers well while it can be used.
    pub readiness: Option<Probe>,
    options: ContainerOptions,
    last_words: String,
    last_words_dir: PathBuf,
}

impl ManifestContainer {
    pub(super) fn of(mut fields: Fields, common: &Common<'_>) -> Result<Self> {
        let (name, image) = (fields.need("name")?, fields.need("image")?);
        // An image that is there already is pulled for nobody here.
        fields.skip(&["imagePullPolicy"]);
        let mut options = ContainerOptions::new(&name, &image);
        let config = &mut options.config;
        let env = fields.objects("env")?;
        let env = Environment::of(env, common.placement, common.namespace)?;
        let expanded = |texts: Vec<String>| texts.iter().map(|it| env.expand(it)).collect();
        config.command = expanded(fields.texts("command")?);
        config.args = expanded(fields.texts("args")?);
        config.envs = env.into_messages();
        config.mounts = common.volumes.mounts(fields.objects("volumeMounts")?)?;
        config.linux = Some(LinuxContainerConfig {
            resources: Some(resources::of(fields.object("resources")?, common.critical)?),
            security_context: Some(
                common
                    .security
                    .container(fields.object("securityContext")?)?,
            ),
        });
        let ports = ports(fields.objects("ports")?)?;
        let container = Self {
            startup: Probe::of(&mut fields, "startupProbe", &ports)?,
            liveness: Probe::of(&mut fields, "livenessProbe", &ports)?,
            readiness: Probe::of(&mut fields, "readinessProbe", &ports)?,
            last_words: fields
                .text("terminationMessagePath")?
                .unwrap_or_else(|| LAST_WORDS.to_owned()),
            last_words_dir: common.placement.pod_dir().join("containers").join(&name),
            name,
            image,
            options,
        };
        fields.end()?;
        Ok(container)
    }

    /// Whether it has all rights.
    pub fn is_privileged(&self) -> bool {
        let linux = self.options.config.linux.as_ref();
        let context = linux.and_then(|linux| linux.security_context.as_ref());
        context.is_some_and(|context| context.privileged)
    }

    /// Adds an argument to those of the manifest, or changes one that is there.
    pub fn set(&mut self, flag: &str, value: &str) {
        let args = &mut self.options.config.args;
        args.retain(|arg| arg.split('=').next() != Some(flag));
        args.push(format!("{flag}={value}"));
    }

    /// The container as it is started for the nth time, counted from zero.
    pub fn options(&self, attempt: u32) -> ContainerOptions {
        let mut options = self.options.clone();
        if let Some(metadata) = &mut options.config.metadata {
            metadata.attempt = attempt;
        }
        options.config.log_path = format!("{}-{attempt}.log", self.name);
        options.config.mounts.push(Mount {
            container_path: self.last_words.clone(),
            host_path: self.last_words(attempt).display().to_string(),
            ..Mount::default()
        });
        options
    }

    /// The host's file in which kubelet reads the container's last words.
    pub fn last_words(&self, attempt: u32) -> PathBuf {
        self.last_words_dir.join(attempt.to_string())
    }
}

/// The ports that have names.
fn ports(ports: Vec<Fields>) -> Result<BTreeMap<String, i64>> {
    let mut named = BTreeMap::new();
    for mut port in ports {
        let name = port.need("name")?;
        let number = port.number("containerPort")?;
        port.end()?;
        named.insert(name, number.unwrap_or_default());
    }
    Ok(named)
}
