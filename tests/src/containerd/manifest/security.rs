//! Rights: `securityContext` of a pod and of its containers.

use super::fields::{Fields, Result};
use crate::containerd::cri::security_profile::ProfileType;
use crate::containerd::cri::*;

/// What kubelet hides of /proc and /sys from those that are not privileged.
const MASKED: [&str; 10] = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
];
/// What it lets them only read.
const READ_ONLY: [&str; 5] = [
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
];

/// What holds for all containers of a pod.
pub(super) struct Pod {
    seccomp: Option<SecurityProfile>,
    selinux: Option<SeLinuxOption>,
    namespaces: NamespaceOption,
}

impl Pod {
    pub(super) fn of(mut fields: Fields, host_network: bool) -> Result<Self> {
        let network = if host_network {
            NamespaceMode::Node
        } else {
            NamespaceMode::Pod
        };
        let pod = Self {
            seccomp: seccomp(fields.object("seccompProfile")?)?,
            selinux: selinux(fields.object("seLinuxOptions")?)?,
            namespaces: NamespaceOption {
                network: network.into(),
                pid: NamespaceMode::Container.into(),
                ..NamespaceOption::default()
            },
        };
        fields.end()?;
        Ok(pod)
    }

    /// The context of the sandbox.
    pub(super) fn sandbox(&self, privileged: bool) -> LinuxSandboxSecurityContext {
        LinuxSandboxSecurityContext {
            namespace_options: Some(self.namespaces.clone()),
            selinux_options: self.selinux.clone(),
            privileged,
            seccomp: Some(profile(ProfileType::RuntimeDefault)),
            ..LinuxSandboxSecurityContext::default()
        }
    }

    /// The context of a container.
    pub(super) fn container(&self, mut fields: Fields) -> Result<LinuxContainerSecurityContext> {
        let privileged = fields.switch("privileged")?.unwrap_or_default();
        let escalates = fields.switch("allowPrivilegeEscalation")?.unwrap_or(true);
        let user = fields.number("runAsUser")?;
        let hidden = |paths: &[&str]| match privileged {
            true => Vec::new(),
            false => paths.iter().map(|&path| path.to_owned()).collect(),
        };
        let context = LinuxContainerSecurityContext {
            capabilities: Some(capabilities(fields.object("capabilities")?)?),
            privileged,
            namespace_options: Some(self.namespaces.clone()),
            selinux_options: self.selinux.clone(),
            run_as_user: user.map(|value| Int64Value { value }),
            readonly_rootfs: fields.switch("readOnlyRootFilesystem")?.unwrap_or_default(),
            no_new_privs: !escalates,
            masked_paths: hidden(&MASKED),
            readonly_paths: hidden(&READ_ONLY),
            seccomp: self.seccomp.clone(),
            ..LinuxContainerSecurityContext::default()
        };
        fields.end()?;
        Ok(context)
    }
}

fn capabilities(mut fields: Fields) -> Result<Capability> {
    let capability = Capability {
        add_capabilities: fields.texts("add")?,
        drop_capabilities: fields.texts("drop")?,
        ..Capability::default()
    };
    fields.end()?;
    Ok(capability)
}

fn seccomp(mut fields: Fields) -> Result<Option<SecurityProfile>> {
    let kind = match fields.text("type")?.as_deref() {
        None => None,
        Some("RuntimeDefault") => Some(profile(ProfileType::RuntimeDefault)),
        Some("Unconfined") => Some(profile(ProfileType::Unconfined)),
        Some(other) => return Err(format!("{}.type: {other} is not known", fields.path())),
    };
    fields.end()?;
    Ok(kind)
}

fn profile(kind: ProfileType) -> SecurityProfile {
    SecurityProfile {
        profile_type: kind.into(),
        ..SecurityProfile::default()
    }
}

fn selinux(mut fields: Fields) -> Result<Option<SeLinuxOption>> {
    let kind = fields.text("type")?;
    fields.end()?;
    Ok(kind.map(|r#type| SeLinuxOption {
        r#type,
        ..SeLinuxOption::default()
    }))
}
