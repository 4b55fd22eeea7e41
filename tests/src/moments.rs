//! The moments at which a program can die: in front of each of its system calls.
//!
//! strace counts the calls of each kind, so a moment is a call and its number: the third `sendto`. A first run lists the
//! moments. SIGKILL arrives before the call is made, so between them the moments are all the states in between. A program
//! that waits for the kernel makes more calls on a busy machine: a [`Sweep`] counts for itself how many there are.

use crate::call::{Call, Outcome};
use crate::host::Host;
use nix::sys::signal::Signal;
use std::collections::{BTreeMap, BTreeSet};
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

    /// Asserts that most of the moments came again. How often a call is made differs a little from run to run.
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

/// Every moment of a program in turn, whose calls need not be as many each time: of each kind the first, the second and so
/// on, until one does not come.
#[derive(Debug)]
pub struct Sweep {
    /// The kinds that are left, the present one last.
    left: Vec<String>,
    number: usize,
    kinds: usize,
    absent: Vec<String>,
}

impl Sweep {
    /// Over the kinds of calls among these moments.
    pub fn over(moments: &[Moment]) -> Self {
        let kinds: BTreeSet<&str> = moments.iter().map(|moment| moment.call.as_str()).collect();
        Self {
            left: kinds.iter().rev().map(|&kind| kind.to_owned()).collect(),
            number: 0,
            kinds: kinds.len(),
            absent: Vec::new(),
        }
    }

    /// Lets `crash` kill the program at the next moment; it says whether the moment came. `None` when all have been.
    pub fn step(&mut self, crash: impl FnOnce(&Moment) -> bool) -> Option<Moment> {
        self.number += 1;
        let moment = Moment::new(self.left.last()?, self.number);
        if !crash(&moment) {
            let through = self.left.pop();
            self.absent.extend(through.filter(|_| self.number == 1));
            self.number = 0;
        }
        Some(moment)
    }

    /// Asserts that all moments have been, and that calls of most kinds were among them.
    #[track_caller]
    pub fn assert_done(&self) {
        let Self { left, absent, .. } = self;
        assert!(left.is_empty(), "not swept: {left:?}");
        assert!(
            absent.len() * 4 <= self.kinds,
            "of {} kinds of calls these never came: {absent:?}",
            self.kinds
        );
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
