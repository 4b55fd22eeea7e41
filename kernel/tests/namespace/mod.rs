//! A network namespace for one test, and programs that look into it.

use nix::sched::{CloneFlags, unshare};
use std::process::Command;

/// Runs a test on a thread in a network namespace that ends with it.
pub fn inside(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace needs CAP_SYS_ADMIN");
        test();
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Runs a program in the calling thread's namespace and gives what it prints.
pub fn run(program: &str, arguments: &str) -> String {
    let ran = Command::new(program)
        .args(arguments.split_whitespace())
        .output()
        .expect(program);
    let stderr = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{program} {arguments}: {stderr}");
    String::from_utf8(ran.stdout).expect("text")
}
