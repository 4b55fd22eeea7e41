//! A network in a folder of its own, and the plugin run on it as a runtime would.

#![allow(dead_code, reason = "each test file uses its part")]

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use tempfile::TempDir;

/// Our executable.
pub const OURS: &str = env!("CARGO_BIN_EXE_host-local");

/// The executable that ours replaces.
pub fn reference() -> &'static str {
    let path = "/usr/lib/cni/host-local";
    assert!(
        Path::new(path).exists(),
        "{path} is missing: install containernetworking-plugins"
    );
    path
}

/// One network's configuration and store. Dropping it removes the store and its index.
pub struct Network {
    folder: TempDir,
    pub config: Value,
}

impl Network {
    /// A network with these range sets.
    pub fn new(ranges: &Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = json!({
            "cniVersion": "1.0.0", "name": "podnet", "type": "bridge",
            "ipam": {"type": "host-local", "dataDir": folder.path(), "ranges": ranges},
        });
        Self { folder, config }
    }

    /// The same network, as `change` would have it configured.
    pub fn changed(&self, change: impl FnOnce(&mut Value)) -> Value {
        let mut config = self.config.clone();
        change(&mut config);
        config
    }

    pub fn store(&self) -> PathBuf {
        self.folder.path().join("podnet")
    }

    pub fn index(&self) -> PathBuf {
        ipam_host_local::store::index_directory_of(&self.store())
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The reservations: file name and content.
    pub fn reservations(&self) -> BTreeMap<String, String> {
        let Ok(entries) = fs::read_dir(self.store()) else {
            return BTreeMap::new();
        };
        entries
            .map(|entry| entry.unwrap())
            .map(|entry| (entry.file_name().into_string().unwrap(), entry.path()))
            .filter(|(name, _)| name != "lock" && !name.starts_with("last_reserved_ip."))
            .map(|(name, path)| (name, fs::read_to_string(path).unwrap()))
            .collect()
    }

    pub fn call<'a>(&'a self, verb: &'a str, container: &'a str) -> Call<'a> {
        Call {
            executable: OURS,
            verb,
            container,
            config: self.config.clone(),
            args: "",
            around: &[],
        }
    }

    /// The address that an ADD of ours gives.
    pub fn add(&self, container: &str) -> String {
        address(&self.call("ADD", container).run().unwrap())
    }

    pub fn del(&self, container: &str) {
        self.call("DEL", container).run().unwrap();
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(self.index());
    }
}

/// The first address of a result, without its prefix length.
pub fn address(result: &Value) -> String {
    let with_prefix = result["ips"][0]["address"].as_str().unwrap();
    with_prefix.split_once('/').unwrap().0.to_owned()
}

/// One call of the plugin.
pub struct Call<'a> {
    executable: &'a str,
    verb: &'a str,
    container: &'a str,
    config: Value,
    args: &'a str,
    /// A program that runs the plugin, with its arguments.
    around: &'a [&'a str],
}

impl<'a> Call<'a> {
    /// By the reference instead of ours.
    pub fn of_reference(mut self) -> Self {
        self.executable = reference();
        self
    }

    pub fn config(mut self, config: Value) -> Self {
        self.config = config;
        self
    }

    /// With this `CNI_ARGS`.
    pub fn args(mut self, args: &'a str) -> Self {
        self.args = args;
        self
    }

    /// Run by another program.
    pub fn around(mut self, around: &'a [&'a str]) -> Self {
        self.around = around;
        self
    }

    fn command(&self) -> Command {
        let mut words = self.around.iter().copied().chain([self.executable]);
        let mut command = Command::new(words.next().unwrap());
        command
            .args(words)
            .env("CNI_COMMAND", self.verb)
            .env("CNI_CONTAINERID", self.container)
            .env("CNI_IFNAME", "eth0")
            // An IPAM never enters the namespace, so the plugin's own does.
            .env("CNI_NETNS", "/proc/self/ns/net")
            .env("CNI_NETNS_OVERRIDE", "1")
            .env("CNI_PATH", "/nowhere")
            .env("CNI_ARGS", self.args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Starts it and lets it run.
    pub fn start(&self) -> Child {
        let mut child = self.command().spawn().unwrap();
        let config = self.config.to_string();
        // A plugin that is killed early does not read.
        let _ = std::io::Write::write_all(&mut child.stdin.take().unwrap(), config.as_bytes());
        child
    }

    /// Runs it to its end.
    pub fn output(&self) -> Output {
        self.start().wait_with_output().unwrap()
    }

    /// What it prints: a result, `null` for nothing, or an error object.
    pub fn run(&self) -> Result<Value, Value> {
        answer(&self.output())
    }

    /// The error's code and text.
    pub fn error(&self) -> (u64, String) {
        let error = self.run().unwrap_err();
        (
            error["code"].as_u64().unwrap(),
            error["msg"].as_str().unwrap().to_owned(),
        )
    }
}

/// The answer on stdout.
pub fn answer(output: &Output) -> Result<Value, Value> {
    let printed = String::from_utf8_lossy(&output.stdout);
    let value = if printed.trim().is_empty() {
        Value::Null
    } else {
        serde_json::from_str(&printed).unwrap_or_else(|_| panic!("no JSON: {printed}"))
    };
    if output.status.success() {
        Ok(value)
    } else {
        Err(value)
    }
}
