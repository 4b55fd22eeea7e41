//! Containers in pods.

use super::cri::*;
use super::daemon::{Containerd, image};
use super::pod::Sandbox;
use crate::wait::eventually;
use std::path::{Path, PathBuf};
use tonic::Status;

/// Which mounts a container and the host see of each other beneath a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    /// None.
    Private,
    /// The container sees those that the host makes later (`HostToContainer`).
    FromHost,
    /// Both see those of the other (`Bidirectional`). Only for the privileged.
    BothWays,
}

/// A container as it is asked for.
#[derive(Debug, Clone)]
pub struct ContainerOptions {
    /// The request, for what has no word of its own.
    pub config: ContainerConfig,
}

impl ContainerOptions {
    /// A container of an image that was imported, or [`BUSYBOX`](super::BUSYBOX); it runs what the image says.
    pub fn new(name: &str, image_name: &str) -> Self {
        Self {
            config: ContainerConfig {
                metadata: Some(ContainerMetadata {
                    name: name.to_owned(),
                    attempt: 0,
                }),
                image: Some(image(image_name)),
                log_path: format!("{name}.log"),
                ..ContainerConfig::default()
            },
        }
    }

    /// What it runs instead of the image's entrypoint (`command` of a manifest).
    #[must_use]
    pub fn command(mut self, words: &[&str]) -> Self {
        self.config.command = owned(words);
        self
    }

    /// Arguments (`args` of a manifest).
    #[must_use]
    pub fn args(mut self, words: &[&str]) -> Self {
        self.config.args = owned(words);
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, key: &str, value: &str) -> Self {
        let (key, value) = (key.to_owned(), value.to_owned());
        self.config.envs.push(KeyValue { key, value });
        self
    }

    /// Shows a path of the host inside (`hostPath`), writable.
    #[must_use]
    pub fn mount(
        self,
        host: impl AsRef<Path>,
        inside: impl AsRef<Path>,
        propagation: Propagation,
    ) -> Self {
        self.mounted(host.as_ref(), inside.as_ref(), propagation, false)
    }

    /// Shows a path of the host inside, read-only.
    #[must_use]
    pub fn mount_read_only(self, host: impl AsRef<Path>, inside: impl AsRef<Path>) -> Self {
        self.mounted(host.as_ref(), inside.as_ref(), Propagation::Private, true)
    }

    fn mounted(mut self, host: &Path, inside: &Path, with: Propagation, readonly: bool) -> Self {
        let propagation = match with {
            Propagation::Private => MountPropagation::PropagationPrivate,
            Propagation::FromHost => MountPropagation::PropagationHostToContainer,
            Propagation::BothWays => MountPropagation::PropagationBidirectional,
        };
        self.config.mounts.push(Mount {
            container_path: inside.display().to_string(),
            host_path: host.display().to_string(),
            readonly,
            propagation: propagation.into(),
            ..Mount::default()
        });
        self
    }

    /// Runs as this user and group.
    #[must_use]
    pub fn user(mut self, uid: u32, gid: u32) -> Self {
        let context = self.context();
        context.run_as_user = Some(Int64Value { value: uid.into() });
        context.run_as_group = Some(Int64Value { value: gid.into() });
        self
    }

    /// All rights. The pod has to allow it ([`PodOptions::privileged`](super::PodOptions::privileged)).
    #[must_use]
    pub fn privileged(mut self) -> Self {
        self.context().privileged = true;
        self
    }

    /// Makes the root filesystem read-only.
    #[must_use]
    pub fn read_only_root(mut self) -> Self {
        self.context().readonly_rootfs = true;
        self
    }

    /// Adds and drops capabilities, such as `NET_ADMIN`, or `ALL`.
    #[must_use]
    pub fn capabilities(mut self, add: &[&str], drop: &[&str]) -> Self {
        self.context().capabilities = Some(Capability {
            add_capabilities: owned(add),
            drop_capabilities: owned(drop),
            ..Capability::default()
        });
        self
    }

    fn context(&mut self) -> &mut LinuxContainerSecurityContext {
        let linux = self.config.linux.get_or_insert_default();
        linux.security_context.get_or_insert_default()
    }
}

/// A container that was started. It is a name for one: to drop it changes nothing.
#[derive(Debug, Clone)]
pub struct Container {
    /// Its id.
    pub id: String,
    log: PathBuf,
}

/// What came of a command in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Executed {
    /// Its exit code.
    pub code: i32,
    /// What it printed.
    pub stdout: String,
    /// What it complained about.
    pub stderr: String,
}

impl Containerd {
    /// Starts a container in a pod.
    pub fn run_container(
        &self,
        sandbox: &Sandbox,
        options: ContainerOptions,
    ) -> Result<Container, Status> {
        let log = Path::new(&sandbox.config.log_directory).join(&options.config.log_path);
        let made = self.cri().create_container(CreateContainerRequest {
            pod_sandbox_id: sandbox.id.clone(),
            config: Some(options.config),
            sandbox_config: Some(sandbox.config.clone()),
        })?;
        let container = Container {
            id: made.container_id,
            log,
        };
        let container_id = container.id.clone();
        self.cri()
            .start_container(StartContainerRequest { container_id })?;
        Ok(container)
    }

    /// Runs a command in a container to its end.
    pub fn exec(&self, container: &Container, command: &[&str]) -> Result<Executed, Status> {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let ran = self.cri().exec_sync(ExecSyncRequest {
            container_id: container.id.clone(),
            cmd: owned(command),
            timeout: 30,
        })?;
        Ok(Executed {
            code: ran.exit_code,
            stdout: text(ran.stdout),
            stderr: text(ran.stderr),
        })
    }

    /// What a shell script prints in a container of [`BUSYBOX`](super::BUSYBOX). One that fails is a failed test.
    #[track_caller]
    pub fn sh(&self, container: &Container, script: &str) -> String {
        let ran = self.exec(container, &["/bin/busybox", "sh", "-ec", script]);
        let ran = ran.unwrap_or_else(|status| panic!("{script}: {status}"));
        assert_eq!(ran.code, 0, "{script}: {}", ran.stderr);
        ran.stdout.trim_end().to_owned()
    }

    /// The container's state, exit code and message.
    pub fn status(&self, container: &Container) -> Result<ContainerStatus, Status> {
        let answer = self.cri().container_status(ContainerStatusRequest {
            container_id: container.id.clone(),
            verbose: false,
        });
        answer.map(|answer| answer.status.unwrap_or_default())
    }

    /// The container's process, by its id among the [processes of the host](Self::inside).
    pub fn pid(&self, container: &Container) -> u64 {
        let answer = self.cri().container_status(ContainerStatusRequest {
            container_id: container.id.clone(),
            verbose: true,
        });
        let mut answer = answer.expect("the container's status");
        let info = answer.info.remove("info").unwrap_or_default();
        let info: serde_json::Value = serde_json::from_str(&info).unwrap_or_default();
        info["pid"]
            .as_u64()
            .expect("a container that runs has a process")
    }

    /// Waits until the container has ended by itself, and returns its exit code.
    pub fn exit_code(&self, container: &Container) -> i32 {
        let mut code = 0;
        eventually("the container ends", || {
            let status = self.status(container).expect("the container's status");
            code = status.exit_code;
            status.state() == ContainerState::ContainerExited
        });
        code
    }

    /// What the container wrote to stdout and stderr so far.
    pub fn output_of(&self, container: &Container) -> String {
        let log = self.host().read(&container.log).unwrap_or_default();
        let mut said = String::new();
        for line in log.lines() {
            // time, stream, F for a full line or P for a part of one, text
            let mut fields = line.splitn(4, ' ').skip(2);
            let (whole, text) = (fields.next() == Some("F"), fields.next());
            said.push_str(text.unwrap_or_default());
            said.push_str(if whole { "\n" } else { "" });
        }
        said
    }

    /// Stops a container: SIGTERM, and SIGKILL after some seconds.
    pub fn stop_container(&self, container: &Container, seconds: i64) -> Result<(), Status> {
        let stopped = self.cri().stop_container(StopContainerRequest {
            container_id: container.id.clone(),
            timeout: seconds,
        });
        stopped.map(drop)
    }

    /// Kills a container.
    pub fn kill_container(&self, container: &Container) -> Result<(), Status> {
        self.stop_container(container, 0)
    }

    /// Removes a container; one that runs is killed.
    pub fn remove_container(&self, container: &Container) -> Result<(), Status> {
        let container_id = container.id.clone();
        let removed = self
            .cri()
            .remove_container(RemoveContainerRequest { container_id });
        removed.map(drop)
    }
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}
