//! A driver killed in front of one of its system calls.

use super::driver::Driver;
use crate::plugins::built_here;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};

/// Follows a driver from call to call, and kills it in front of one. Whoever drops it lets the driver go on.
#[derive(Debug)]
pub struct Tripwire {
    follower: Child,
    said: BufReader<ChildStdout>,
}

impl Tripwire {
    /// Follows `driver`, and kills it in front of the system call of that number, of those that change something, counted
    /// from one. 0 kills nothing.
    pub fn before(driver: &Driver, number: usize) -> Self {
        let arguments = [driver.pid().to_string(), number.to_string()];
        let mut follower = Command::new(built_here().join("tripwire"));
        let follower = follower.args(arguments).stdin(Stdio::null());
        let mut follower = follower
            .stdout(Stdio::piped())
            .spawn()
            .expect("start tripwire");
        let stdout = follower.stdout.take().expect("its output");
        let mut said = BufReader::new(stdout);
        let mut armed = String::new();
        said.read_line(&mut armed).expect("hear from tripwire");
        assert_eq!(armed.trim_end(), "armed");
        Self { follower, said }
    }

    /// The calls that were met, in their order; the driver goes on if it is still there.
    pub fn calls(mut self) -> Vec<String> {
        let _ = self.follower.kill();
        let mut said = String::new();
        self.said.read_to_string(&mut said).expect("hear all");
        said.lines().map(str::to_owned).collect()
    }
}

impl Drop for Tripwire {
    fn drop(&mut self) {
        // Both do nothing to one that has ended.
        let _ = self.follower.kill();
        let _ = self.follower.wait();
    }
}
