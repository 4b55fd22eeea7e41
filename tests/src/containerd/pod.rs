//! Pods: what kubelet asks for, and what comes of it.

use super::cri::*;
use super::daemon::Containerd;
use crate::place::Place;
use serde_json::Value;
use std::net::IpAddr;
use std::path::PathBuf;
use tonic::Status;

/// A pod as it is asked for.
#[derive(Debug, Clone)]
pub struct PodOptions {
    /// The request, for what has no word of its own.
    pub config: PodSandboxConfig,
}

impl PodOptions {
    /// A pod of this name, which is its hostname, too.
    pub fn new(name: &str) -> Self {
        let context = LinuxSandboxSecurityContext {
            namespace_options: Some(NamespaceOption {
                pid: NamespaceMode::Container.into(),
                ..NamespaceOption::default()
            }),
            ..LinuxSandboxSecurityContext::default()
        };
        Self {
            config: PodSandboxConfig {
                metadata: Some(PodSandboxMetadata {
                    name: name.to_owned(),
                    uid: format!("uid-{name}"),
                    namespace: "default".to_owned(),
                    attempt: 0,
                }),
                hostname: name.to_owned(),
                linux: Some(LinuxPodSandboxConfig {
                    security_context: Some(context),
                    ..LinuxPodSandboxConfig::default()
                }),
                ..PodSandboxConfig::default()
            },
        }
    }

    /// The same pod after its sandbox was lost: kubelet counts.
    #[must_use]
    pub fn attempt(mut self, attempt: u32) -> Self {
        if let Some(metadata) = &mut self.config.metadata {
            metadata.attempt = attempt;
        }
        self
    }

    /// Publishes a TCP port of the pod on the host's addresses.
    #[must_use]
    pub fn port(self, host: u16, pod: u16) -> Self {
        self.published(Protocol::Tcp, host, pod)
    }

    /// Publishes a port of the pod on the host's addresses.
    #[must_use]
    pub fn published(mut self, protocol: Protocol, host: u16, pod: u16) -> Self {
        self.config.port_mappings.push(PortMapping {
            protocol: protocol.into(),
            container_port: pod.into(),
            host_port: host.into(),
            host_ip: String::new(),
        });
        self
    }

    /// The lines of the pod's resolv.conf.
    #[must_use]
    pub fn dns(mut self, servers: &[&str], searches: &[&str], options: &[&str]) -> Self {
        let owned = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        self.config.dns_config = Some(DnsConfig {
            servers: owned(servers),
            searches: owned(searches),
            options: owned(options),
        });
        self
    }

    /// Leaves the pod in the host's network (`hostNetwork`), under the host's name.
    #[must_use]
    pub fn host_network(mut self) -> Self {
        self.config.hostname.clear();
        if let Some(namespaces) = &mut self.context().namespace_options {
            namespaces.network = NamespaceMode::Node.into();
        }
        self
    }

    /// Lets containers of the pod be privileged.
    #[must_use]
    pub fn privileged(mut self) -> Self {
        self.context().privileged = true;
        self
    }

    fn context(&mut self) -> &mut LinuxSandboxSecurityContext {
        let linux = self.config.linux.get_or_insert_default();
        linux.security_context.get_or_insert_default()
    }
}

/// A pod that runs. It is a name for one: to drop it changes nothing.
#[derive(Debug, Clone)]
pub struct Sandbox {
    /// The sandbox's id, which is the plugins' container id.
    pub id: String,
    /// The pod's addresses, the first of each plugin's answer first. None in the host's network.
    pub ips: Vec<IpAddr>,
    /// The path of its network namespace; none in the host's network.
    pub netns: Option<PathBuf>,
    pub(super) config: PodSandboxConfig,
    host: Place,
}

impl Sandbox {
    /// The pod's network, with the mounts of the host: where sockets are opened and `ip` looks.
    pub fn place(&self) -> Place {
        match &self.netns {
            Some(netns) => self.host.in_netns(&self.config.hostname, netns),
            None => self.host.clone(),
        }
    }
}

impl Containerd {
    /// Starts a pod: its network and its sandbox.
    pub fn run_pod(&self, options: PodOptions) -> Result<Sandbox, Status> {
        let mut config = options.config;
        let name = config
            .metadata
            .as_ref()
            .map(|metadata| metadata.name.as_str());
        let logs = self.log_dir().join(name.unwrap_or_default());
        config.log_directory = logs.display().to_string();
        let made = self.cri().run_pod_sandbox(RunPodSandboxRequest {
            config: Some(config.clone()),
            runtime_handler: String::new(),
        });
        let id = made?.pod_sandbox_id;
        let (status, info) = self.pod_status(&id)?;
        let network = status.network.unwrap_or_default();
        let others = network.additional_ips.into_iter().map(|other| other.ip);
        let ips = std::iter::once(network.ip).chain(others);
        Ok(Sandbox {
            id,
            ips: ips.filter_map(|ip| ip.parse().ok()).collect(),
            netns: netns(&info),
            config,
            host: self.host().clone(),
        })
    }

    /// What is known about a pod, and what the daemon tells in confidence: `pid`, `runtimeSpec`, `cniResult` and more.
    pub fn pod_status(&self, id: &str) -> Result<(PodSandboxStatus, Value), Status> {
        let mut answer = self.cri().pod_sandbox_status(PodSandboxStatusRequest {
            pod_sandbox_id: id.to_owned(),
            verbose: true,
        })?;
        let info = answer.info.remove("info").unwrap_or_default();
        let info = serde_json::from_str(&info).unwrap_or_default();
        Ok((answer.status.unwrap_or_default(), info))
    }

    /// Stops a pod with everything in it, and takes its network away.
    pub fn stop_pod(&self, id: &str) -> Result<(), Status> {
        let pod_sandbox_id = id.to_owned();
        let stopped = self
            .cri()
            .stop_pod_sandbox(StopPodSandboxRequest { pod_sandbox_id });
        stopped.map(drop)
    }

    /// Removes a stopped pod.
    pub fn remove_pod(&self, id: &str) -> Result<(), Status> {
        let pod_sandbox_id = id.to_owned();
        let removed = self
            .cri()
            .remove_pod_sandbox(RemovePodSandboxRequest { pod_sandbox_id });
        removed.map(drop)
    }

    /// The pods that the daemon knows, ready or not.
    pub fn pods(&self) -> Vec<PodSandbox> {
        let all = self
            .cri()
            .list_pod_sandbox(ListPodSandboxRequest { filter: None });
        all.expect("list pods").items
    }
}

/// Where the runtime was told to find the network.
fn netns(info: &Value) -> Option<PathBuf> {
    let namespaces = info["runtimeSpec"]["linux"]["namespaces"].as_array()?;
    let network = namespaces.iter().find(|n| n["type"] == "network")?;
    Some(PathBuf::from(network["path"].as_str()?))
}
