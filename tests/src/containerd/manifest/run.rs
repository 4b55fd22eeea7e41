//! Pods of manifests, run: what kubelet does around the runtime's calls.

use super::{HostFolder, ManifestContainer, ManifestPod, Probe};
use crate::containerd::cri::ContainerState;
use crate::containerd::{Container, Containerd, Sandbox};
use std::time::{Duration, Instant};
use tonic::Status;

impl Containerd {
    /// Looks after the pod's folders on the host, and starts its sandbox.
    pub fn run_manifest_pod(&self, pod: &ManifestPod) -> Result<Sandbox, Status> {
        for HostFolder { path, made } in &pod.folders {
            let path = path.display();
            let look_after = if *made { "mkdir -p" } else { "test -d" };
            self.host().sh(&format!("{look_after} {path}"));
        }
        self.run_pod(pod.options.clone())
    }

    /// Starts a container of the pod for the nth time, counted from zero. Its image has to be there already, under the name
    /// of the manifest.
    pub fn run_manifest_container(
        &self,
        sandbox: &Sandbox,
        container: &ManifestContainer,
        attempt: u32,
    ) -> Result<Container, Status> {
        let image = &container.image;
        assert!(self.has_image(image), "kubelet would pull {image}");
        self.host().write(container.last_words(attempt), "");
        self.run_container(sandbox, container.options(attempt))
    }

    /// Waits until the container has started, in the eyes of its startup probe, if it has one, and then of its
    /// readiness probe.
    #[track_caller]
    pub fn await_started(
        &self,
        sandbox: &Sandbox,
        container: &ManifestContainer,
        running: &Container,
    ) {
        for probe in container.startup.iter().chain(&container.readiness) {
            let patience = Duration::from_secs(probe.patience.unsigned_abs());
            let deadline = Instant::now() + patience;
            while !self.answers_well(sandbox, probe) {
                let state = self
                    .status(running)
                    .expect("the container's status")
                    .state();
                assert!(
                    state == ContainerState::ContainerRunning && Instant::now() < deadline,
                    "{} is {}, and not well:\n{}",
                    container.name,
                    state.as_str_name(),
                    self.output_of(running)
                );
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }

    /// Whether a probe is answered well now.
    pub fn answers_well(&self, sandbox: &Sandbox, probe: &Probe) -> bool {
        let url = probe.url(&sandbox.ips);
        let curl = format!("curl -sf -m {} -o /dev/null {url}", probe.timeout);
        self.host().succeeds(&curl)
    }

    /// Ends a pod as kubelet does when it is deleted: its containers are asked to end, and have their time for it; then
    /// everything of it is removed.
    pub fn end_manifest_pod(&self, sandbox: &Sandbox, pod: &ManifestPod, running: &[&Container]) {
        for container in running {
            self.stop_container(container, pod.grace)
                .expect("stop a container");
        }
        self.stop_pod(&sandbox.id).expect("stop a pod");
        self.remove_pod(&sandbox.id).expect("remove a pod");
        self.host().sh(&format!("rm -r {}", pod.dir.display()));
    }
}
