//! A driver of its own in a directory of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tonic::transport::{Channel, Endpoint};

/// How long anything may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A place for drivers: kubelet's directory, state and socket.
pub struct Home {
    directory: TempDir,
}

impl Home {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("kubelet")).unwrap();
        Self { directory }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn socket(&self) -> PathBuf {
        self.path("csi/csi.sock")
    }

    pub fn registration(&self) -> PathBuf {
        self.path("kubelet/plugins_registry/hostpath.hawser.io-reg.sock")
    }

    /// A driver with the usual flags and `flags`.
    pub fn command(&self, flags: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_csi-hostpath"));
        let usual = [
            ("statedir", self.path("state")),
            ("endpoint", self.socket()),
            ("kubelet-dir", self.path("kubelet")),
        ];
        command
            .env_clear()
            .arg("--nodeid=n1")
            .args(usual.map(|(flag, path)| format!("--{flag}={}", path.display())))
            .args(flags)
            .stderr(Stdio::piped());
        command
    }

    /// A driver that listens.
    pub fn start(&self, flags: &[&str]) -> Running {
        let mut child = self.command(flags).spawn().unwrap();
        let mut running = Running {
            lines: read(child.stderr.take().unwrap()),
            child,
            socket: self.socket(),
            log: String::new(),
        };
        running.says("listening");
        running
    }

    /// How a driver ends that does not start, and what it says.
    pub fn fails(&self, flags: &[&str]) -> (Option<i32>, String) {
        let output = self.command(flags).output().unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stderr).unwrap(),
        )
    }
}

fn read(log: ChildStderr) -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(log).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

/// A driver that runs, killed when dropped.
pub struct Running {
    child: Child,
    lines: Receiver<String>,
    socket: PathBuf,
    log: String,
}

impl Running {
    /// Waits for a further log line with `text`.
    #[track_caller]
    pub fn says(&mut self, text: &str) -> String {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => {
                    self.log += &format!("{line}\n");
                    if line.contains(text) {
                        return line;
                    }
                }
                Err(_) => panic!("the driver never said {text:?}, only:\n{}", self.log),
            }
        }
    }

    /// Whether one of the log lines that are there by now has `text`.
    pub fn has_said(&mut self, text: &str) -> bool {
        let mut lines = self.lines.try_iter();
        lines.any(|line| {
            self.log += &format!("{line}\n");
            line.contains(text)
        })
    }

    pub fn pid(&self) -> i32 {
        self.child.id().try_into().unwrap()
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(self.pid()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits for the end. Returns how it ended and all that it logged.
    pub fn end(mut self) -> (ExitStatus, String) {
        let status = self.child.wait().unwrap();
        self.log
            .extend(self.lines.iter().map(|line| format!("{line}\n")));
        (status, std::mem::take(&mut self.log))
    }

    /// Where HTTP is served, of a driver that was told `--http-endpoint=127.0.0.1:0`.
    pub fn http(&mut self) -> Http {
        let line = self.says("serving HTTP");
        let address = line.rsplit_once("address=").unwrap().1.to_owned();
        Http { address }
    }

    /// A caller of this driver's CSI socket.
    pub fn caller(&self) -> Caller {
        Caller::at(&self.socket)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A connection to a socket, and what drives it.
pub struct Caller {
    pub runtime: Runtime,
    pub channel: Channel,
}

impl Caller {
    pub fn at(socket: &Path) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let endpoint = Endpoint::from_shared(format!("unix://{}", socket.display())).unwrap();
        let endpoint = endpoint.timeout(PATIENCE);
        let channel = runtime.block_on(endpoint.connect()).unwrap();
        Self { runtime, channel }
    }
}

/// Calls a method of a service: `call!(caller, IdentityClient, probe, ProbeRequest {})`.
macro_rules! call {
    ($caller:expr, $client:ident, $method:ident, $request:expr) => {{
        let caller = &$caller;
        let mut client = $client::new(caller.channel.clone());
        let answer = caller.runtime.block_on(client.$method($request));
        answer.map(tonic::Response::into_inner)
    }};
}
pub(crate) use call;

/// An address at which HTTP is served.
pub struct Http {
    address: String,
}

impl Http {
    /// The status line and the body of an answer.
    pub fn get(&self, path: &str) -> (String, String) {
        self.ask("GET", path)
    }

    pub fn ask(&self, method: &str, path: &str) -> (String, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: driver\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.lines().next().unwrap().to_owned(), body.to_owned())
    }
}
