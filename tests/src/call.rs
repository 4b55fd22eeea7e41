//! One run of a plugin: environment and standard input in, exit status, standard output and standard error out (IO-1..5).

use crate::place::Place;
use crate::plugins::Plugins;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// No verb of a plugin may take longer; one that does is killed and the test fails.
const DEADLINE: Duration = Duration::from_secs(30);

/// A plugin about to be run on a host.
#[derive(Debug, Clone)]
pub struct Call {
    place: Place,
    command: Vec<OsString>,
    env: BTreeMap<String, OsString>,
    stdin: Vec<u8>,
    lenient: bool,
}

impl Call {
    /// A run of `plugin_type` on `host` with none of the CNI variables set and nothing to read.
    pub fn new(host: &Place, plugins: &Plugins, plugin_type: &str) -> Self {
        let executable = plugins.executable(plugin_type);
        Self::of(host, &executable, plugins.is_reference())
    }

    /// A run of the executable at `path`; `lenient` excuses it from the spec's error codes.
    pub(crate) fn of(host: &Place, path: &Path, lenient: bool) -> Self {
        let command = vec![path.as_os_str().to_owned()];
        Self {
            place: host.clone(),
            command,
            env: BTreeMap::new(),
            stdin: Vec::new(),
            lenient,
        }
    }

    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, key: &str, value: impl Into<OsString>) -> Self {
        self.env.insert(key.to_owned(), value.into());
        self
    }

    /// Unsets a variable.
    #[must_use]
    pub fn without(mut self, key: &str) -> Self {
        self.env.remove(key);
        self
    }

    /// What the plugin reads.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// Runs the plugin under another program, such as `strace`, which is given the plugin as its last argument.
    #[must_use]
    pub fn under(mut self, wrapper: &[&str]) -> Self {
        self.command
            .splice(0..0, wrapper.iter().map(OsString::from));
        self
    }

    /// Runs the plugin to its end.
    pub fn run(self) -> Outcome {
        self.start().finish()
    }

    /// Starts the plugin.
    pub fn start(self) -> Running {
        let started = Instant::now();
        let mut command = Command::new(&self.command[0]);
        command
            .args(&self.command[1..])
            .env_remove("CNI_COMMAND")
            .envs(&self.env);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = self.place.spawn(&mut command);
        if let Some(mut stdin) = child.stdin.take() {
            // A plugin that fails early never reads; that is its right.
            let _ = stdin.write_all(&self.stdin);
        }
        Running {
            call: self,
            child,
            started,
        }
    }

    fn describe(&self) -> String {
        let env: Vec<String> = self
            .env
            .iter()
            .map(|(key, value)| format!("{key}={}", value.display()))
            .collect();
        let stdin = String::from_utf8_lossy(&self.stdin);
        format!(
            "{} {}\n<- {stdin}",
            env.join(" "),
            self.command.join(" ".as_ref()).display()
        )
    }
}

/// A plugin at work.
#[derive(Debug)]
pub struct Running {
    call: Call,
    child: Child,
    started: Instant,
}

impl Running {
    /// Sends the plugin a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).expect("a process id is a positive number");
        kill(Pid::from_raw(pid), signal).expect("signal a process that was not waited for yet");
    }

    /// Waits for its end.
    pub fn finish(mut self) -> Outcome {
        let (done, ended) = mpsc::channel();
        let (mut out, mut err) = (self.child.stdout.take(), self.child.stderr.take());
        thread::spawn(move || {
            let reader = thread::spawn(move || read_all(err.as_mut()));
            let stdout = read_all(out.as_mut());
            let stderr = reader.join().unwrap_or_default();
            let _ = done.send((stdout, stderr));
        });
        let Ok((stdout, stderr)) = ended.recv_timeout(DEADLINE) else {
            let ended = self.child.try_wait().ok().flatten();
            let _ = self.child.kill();
            let _ = self.child.wait();
            let state = ended.map_or("it still runs".to_owned(), |status| {
                format!("it ended ({status}), but a process that it started still holds its output")
            });
            panic!("after {DEADLINE:?} {state}: {}", self.call.describe());
        };
        let status = self.child.wait().expect("wait for the plugin");
        let took = self.started.elapsed();
        let stderr = String::from_utf8_lossy(&stderr).into_owned();
        Outcome {
            status,
            stdout,
            stderr,
            took,
            lenient: self.call.lenient,
            call: self.call.describe(),
        }
    }
}

fn read_all(pipe: Option<&mut impl Read>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        let _ = pipe.read_to_end(&mut bytes);
    }
    bytes
}

/// What a plugin answered.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// How it ended.
    pub status: ExitStatus,
    /// What it printed.
    pub stdout: Vec<u8>,
    /// What it said besides.
    pub stderr: String,
    /// From its start to its end.
    pub took: Duration,
    call: String,
    lenient: bool,
}

/// The error object of a plugin (ERR-1).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Failure {
    /// The `cniVersion`; empty when it is missing, as the reference leaves it.
    pub version: String,
    /// The number.
    pub code: u64,
    /// What is wrong.
    pub msg: String,
    /// What is to be known besides; empty when missing.
    pub details: String,
}

impl Failure {
    /// Whether message or details contain `text`.
    pub fn mentions(&self, text: &str) -> bool {
        self.msg.contains(text) || self.details.contains(text)
    }
}

impl Outcome {
    /// Whether the plugin succeeded.
    pub fn succeeded(&self) -> bool {
        self.status.success()
    }

    /// The result of a plugin that must have succeeded; null when it printed nothing.
    #[track_caller]
    pub fn ok(&self) -> Value {
        assert!(self.succeeded(), "expected success:\n{self}");
        if self.stdout.is_empty() {
            return Value::Null;
        }
        serde_json::from_slice(&self.stdout)
            .unwrap_or_else(|e| panic!("stdout is not one JSON document: {e}\n{self}"))
    }

    /// Asserts success without a word on stdout (CHK-7, GC-7).
    #[track_caller]
    pub fn silent(&self) {
        assert_eq!(
            self.ok(),
            Value::Null,
            "expected nothing on stdout:\n{self}"
        );
    }

    /// The error of a plugin that must have failed.
    #[track_caller]
    pub fn failed(&self) -> Failure {
        assert!(!self.succeeded(), "expected a failure:\n{self}");
        let object: Value = serde_json::from_slice(&self.stdout)
            .unwrap_or_else(|e| panic!("stdout is not one JSON error object: {e}\n{self}"));
        let text = |key: &str| object[key].as_str().unwrap_or_default().to_owned();
        let code = object["code"]
            .as_u64()
            .unwrap_or_else(|| panic!("an error without a code:\n{self}"));
        assert!(
            self.lenient || object["cniVersion"].is_string(),
            "an error without cniVersion (ERR-1):\n{self}"
        );
        Failure {
            version: text("cniVersion"),
            code,
            msg: text("msg"),
            details: text("details"),
        }
    }

    /// The error of a plugin that must have failed with `code`. The reference, which says 999 for nearly all, is
    /// excused from the number.
    #[track_caller]
    pub fn refused(&self, code: u64) -> Failure {
        let failure = self.failed();
        assert!(
            self.lenient || failure.code == code,
            "expected error code {code}:\n{self}"
        );
        failure
    }

    /// Asserts a failure whose text names each of `words`; the reference's wording is its own.
    #[track_caller]
    pub fn refused_naming(&self, code: u64, words: &[&str]) -> Failure {
        let failure = self.refused(code);
        for word in words {
            assert!(
                self.lenient || failure.mentions(word),
                "expected the error to name {word:?}:\n{self}"
            );
        }
        failure
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let stdout = String::from_utf8_lossy(&self.stdout);
        writeln!(
            f,
            "{}\n-> {} after {:?}\n{stdout}",
            self.call, self.status, self.took
        )?;
        if self.stderr.is_empty() {
            Ok(())
        } else {
            writeln!(f, "stderr: {}", self.stderr)
        }
    }
}
