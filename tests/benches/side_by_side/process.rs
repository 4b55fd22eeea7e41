//! One process, timed from the call that starts it until it has been waited for.

use nix::sys::resource::{UsageWho, getrusage};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::hint;
use std::io::{self, PipeReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

const SETTLING: Duration = Duration::from_millis(10);

/// Keeps the processor busy meanwhile: one that has gone to sleep wakes up on the next process's account.
pub fn settle() {
    let until = Instant::now() + SETTLING;
    while Instant::now() < until {
        hint::spin_loop();
    }
}

/// Why an experiment could not go on.
#[derive(Debug)]
pub struct Failed(pub String);

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self(error.to_string())
    }
}

/// A process that can be started any number of times.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// The executable.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// All of its environment.
    pub env: BTreeMap<&'static str, OsString>,
    /// What it reads; less than a pipe holds.
    pub stdin: String,
}

/// A process that has ended.
#[derive(Debug)]
pub struct Ended {
    /// From its start to its end.
    pub took: Duration,
    /// What it printed.
    pub stdout: String,
    /// Whether it says that it has done its work.
    pub succeeded: bool,
}

/// A process at work.
#[derive(Debug)]
pub struct Started {
    child: Child,
    output: PipeReader,
    at: Instant,
}

impl Recipe {
    /// Runs it in the namespaces of the calling thread, after a pause in which the kernel gets done with what the one
    /// before put off: freeing, duplicate address detection. It would otherwise be on this one's account.
    pub fn run(&self) -> io::Result<Ended> {
        settle();
        self.prepare()?.start()?.finish()
    }

    /// Makes everything ready, so that only the start is left.
    pub fn prepare(&self) -> io::Result<Prepared> {
        let (input, mut feed) = io::pipe()?;
        feed.write_all(self.stdin.as_bytes())?;
        let (output, print) = io::pipe()?;
        let mut command = Command::new(&self.program);
        command.args(&self.args).env_clear().envs(&self.env);
        command.stdin(input).stdout(print).stderr(Stdio::inherit());
        Ok(Prepared { command, output })
    }

    /// The most memory that it or one of its children has in use at any time, in KiB. The smallest that can be told is
    /// what this program itself uses.
    pub fn peak(&self) -> Result<f64, Failed> {
        let mut args = vec![OsString::from(PEAK), self.program.clone().into()];
        args.extend(self.args.iter().cloned());
        let program = std::env::current_exe()?;
        let ended = Self {
            program,
            args,
            ..self.clone()
        }
        .run()?;
        let peak = ended.stdout.trim().parse();
        peak.map_err(|_| Failed(format!("{}: {}", self.program.display(), ended.stdout)))
    }
}

/// A process about to start.
#[derive(Debug)]
pub struct Prepared {
    command: Command,
    output: PipeReader,
}

impl Prepared {
    /// Starts it.
    pub fn start(mut self) -> io::Result<Started> {
        let at = Instant::now();
        let child = self.command.spawn()?;
        // The child's end of its output is closed with the command, or there would be no end of it.
        Ok(Started {
            child,
            output: self.output,
            at,
        })
    }
}

impl Started {
    /// Reads what it prints and waits for its end.
    pub fn finish(mut self) -> io::Result<Ended> {
        let mut stdout = String::new();
        self.output.read_to_string(&mut stdout)?;
        let status = self.child.wait()?;
        let took = self.at.elapsed();
        let succeeded = status.success();
        Ok(Ended {
            took,
            stdout,
            succeeded,
        })
    }
}

/// The flag with which this program runs another one and tells its peak of memory.
pub const PEAK: &str = "--peak-of";

/// Runs a program to its end and prints the peak of memory of it and its children in KiB, or what went wrong.
pub fn tell_peak(program: &OsStr, args: &[OsString]) -> ExitCode {
    let ended = Command::new(program)
        .args(args)
        .stdin(Stdio::inherit())
        .output();
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN);
    match (ended, usage) {
        (Ok(output), Ok(usage)) if output.status.success() => {
            println!("{}", usage.max_rss());
            ExitCode::SUCCESS
        }
        (Ok(output), _) => {
            println!("{}", String::from_utf8_lossy(&output.stdout));
            ExitCode::FAILURE
        }
        (Err(why), _) => {
            println!("{why}");
            ExitCode::FAILURE
        }
    }
}
