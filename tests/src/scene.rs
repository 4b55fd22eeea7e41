//! The usual beginning of a test: one host, one pod, one network.

use crate::dump::Dump;
use crate::host::Host;
use crate::pod::Pod;
use crate::runtime::{Attachment, Network};
use serde_json::Value;

/// A pod `a` on a host of its own, and a network for it.
#[derive(Debug)]
pub struct Scene {
    /// The host.
    pub host: Host,
    /// The pod.
    pub pod: Pod,
    /// The network.
    pub network: Network,
}

impl Scene {
    /// Sets the scene; nothing is added yet.
    pub fn new(config: Value) -> Self {
        let host = Host::new();
        let pod = host.pod("a");
        let network = Network::new(&host, config);
        Self { host, pod, network }
    }

    /// The same with another pod, `keeper`, already on the network: what pods share is there from the start.
    #[track_caller]
    pub fn shared(config: Value) -> Self {
        let scene = Self::new(config);
        scene.join("keeper");
        scene
    }

    /// One more pod on the network.
    #[track_caller]
    pub fn join(&self, name: &str) -> Pod {
        let pod = self.host.pod(name);
        self.network.add(&pod.attachment()).ok();
        pod
    }

    /// The pod's `eth0`.
    pub fn eth0(&self) -> Attachment {
        self.pod.attachment()
    }

    /// Adds the pod, which must succeed, and returns the result.
    #[track_caller]
    pub fn add(&self) -> Value {
        self.network.add(&self.eth0()).ok()
    }

    /// The state of host and pod.
    pub fn dump(&self) -> Dump {
        Dump::of(&self.host).and(&[&self.pod])
    }

    /// The host's end of the pod's `eth0`; null when there is none.
    pub fn port(&self) -> Value {
        self.pod.host_end("eth0")
    }

    /// The host's links called `veth...`.
    pub fn ports(&self) -> Vec<String> {
        let names = self.host.list("/sys/class/net");
        names
            .into_iter()
            .filter(|name| name.starts_with("veth"))
            .collect()
    }
}
