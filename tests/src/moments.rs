//! The moments at which a program can die: in front of each of its system calls.
//!
//! strace counts the calls of each kind, so a moment is a call and its number: the third `sendto`. A first run lists the
//! moments. SIGKILL arrives before the call is made, so between them the moments are all the states in between.

use crate::call::{Call, Outcome};
use crate::host::Host;
use nix::sys::signal::Signal;
use std::collections::BTreeMap;
use std::fmt;
use std::os::unix::process::ExitStatusExt;

/// A system call of a program, and which one of its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    call: String,
    number: usize,
    /// The call with what it was given, as strace shows it.
    shown: String,
}

impl Moment {
    /// In front of the call of this number, of which the first is 1.
    pub fn new(call: &str, number: usize) -> Self {
        Self {
            call: call.to_owned(),
            number,
            shown: call.to_owned(),
        }
    }

    /// The moments that strace saw, without the start and the end of the program.
    pub fn of(trace: &str) -> Vec<Self> {
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        let mut moments = Vec::new();
        for line in trace.lines() {
            let Some((call, _)) = line.split_once('(') else {
                continue;
            };
            let number = seen.entry(call).or_default();
            *number += 1;
            if call != "execve" && call != "exit_group" {
                let shown = line.to_owned();
                moments.push(Self {
                    shown,
                    ..Self::new(call, *number)
                });
            }
        }
        assert!(moments.len() > 20, "a verb is more than {moments:?}");
        moments
    }

    /// Whether the call, as strace shows it, has any of these texts in it.
    pub fn shows(&self, any: &[&str]) -> bool {
        any.iter().any(|text| self.shown.contains(text))
    }

    /// What strace is told to kill the program then.
    pub fn injection(&self) -> String {
        format!("inject={}:signal=KILL:when={}", self.call, self.number)
    }

    /// What strace is told to let the call fail with this error.
    pub fn failure(&self, errno: &str) -> String {
        format!("inject={}:error={errno}:when={}", self.call, self.number)
    }

    /// Asserts that most of the moments came again. How often a call is made differs a little from run to run, and a
    /// host's very first ADD makes more than the next, so some do not.
    #[track_caller]
    pub fn assert_most(killed: usize, moments: usize) {
        assert!(
            killed * 4 >= moments * 3,
            "only {killed} of {moments} injections killed"
        );
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.call, self.number)
    }
}

/// strace with these options, and where the program's name follows.
pub fn strace<'a>(options: &[&'a str]) -> Vec<&'a str> {
    [&["strace", "--quiet=all"], options, &["--"]].concat()
}

impl Call {
    /// Runs the plugin undisturbed, and tells its moments.
    pub fn moments(self, host: &Host) -> (Outcome, Vec<Moment>) {
        let trace = host.scratch("trace");
        let outcome = self
            .under(&strace(&[
                "-o",
                &trace.to_string_lossy(),
                "-e",
                "signal=none",
            ]))
            .run();
        let trace = host.read(&trace).unwrap_or_default();
        (outcome, Moment::of(&trace))
    }

    /// Runs the plugin, killed at a moment. Whether the moment came.
    pub fn killed_at(self, moment: &Moment) -> bool {
        let outcome = self
            .under(&strace(&["-o", "/dev/null", "-e", &moment.injection()]))
            .run();
        outcome.status.signal() == Some(Signal::SIGKILL as i32)
    }
}
