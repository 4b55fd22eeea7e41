//! Kills a running program in front of one of its system calls.
//!
//! `tripwire <pid> <number>` follows every thread of a process, says `armed`, and names each system call from then on that
//! changes something, a line each. In front of the call of that number it kills the process, so that between them the
//! numbers are all the states in between. 0 kills nothing. Children of the process are left alone: they end their work as
//! they would after a crash. When this program is killed, the other goes on.
//!
//! `tripwire <number> <program> <argument>...` does the same to a program from its first moment on.

#![allow(
    clippy::print_stdout,
    reason = "the calls and what went wrong are the program's answer"
)]

use nix::libc;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::fs::{self, File};
use std::io::{self, Error, Write};
use std::os::unix::fs::FileExt;
use std::process::{Command, ExitCode};

/// Follows new threads, not children: those are made by other calls.
const THREADS: Options = Options::PTRACE_O_TRACESYSGOOD.union(Options::PTRACE_O_TRACECLONE);
/// PTRACE_SYSCALL_INFO_ENTRY.
const ENTRY: u8 = 1;

fn main() -> ExitCode {
    match run(&std::env::args().skip(1).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("tripwire: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> io::Result<()> {
    let number = |text: &String| text.parse::<i32>().map_err(Error::other);
    match arguments {
        [pid, fatal] => {
            let pid = Pid::from_raw(number(pid)?);
            seize_all(pid)?;
            say("armed")?;
            follow(pid, number(fatal)?)
        }
        [fatal, program @ ..] if !program.is_empty() => {
            let pid = start(program)?;
            follow(pid, number(fatal)?)
        }
        _ => Err(Error::other(
            "tripwire <pid> <number> | <number> <program> <argument>...",
        )),
    }
}

/// Starts a program that waits to be followed, with all that this one was given.
fn start(program: &[String]) -> io::Result<Pid> {
    let mut shell = Command::new("sh");
    let child = shell
        .args(["-c", "kill -STOP $$; exec \"$0\" \"$@\""])
        .args(program)
        .spawn()?;
    let pid = Pid::from_raw(i32::try_from(child.id()).map_err(Error::other)?);
    waitpid(pid, Some(WaitPidFlag::WUNTRACED))?;
    ptrace::seize(
        pid,
        THREADS | Options::PTRACE_O_TRACEEXEC | Options::PTRACE_O_EXITKILL,
    )?;
    kill(pid, Signal::SIGCONT)?;
    loop {
        match waitpid(pid, Some(WaitPidFlag::__WALL))? {
            WaitStatus::PtraceEvent(_, _, libc::PTRACE_EVENT_EXEC) => break,
            WaitStatus::Stopped(_, signal) => ptrace::cont(pid, signal)?,
            WaitStatus::PtraceEvent(..) => ptrace::cont(pid, None)?,
            other => {
                return Err(Error::other(format!(
                    "the program did not start: {other:?}"
                )));
            }
        }
    }
    ptrace::syscall(pid, None)?;
    Ok(pid)
}

/// Takes hold of every thread. One that a new thread makes meanwhile is met in the next round.
fn seize_all(pid: Pid) -> io::Result<()> {
    let mut held = Vec::new();
    loop {
        let before = held.len();
        for entry in fs::read_dir(format!("/proc/{pid}/task"))? {
            let name = entry?.file_name();
            let thread = name
                .to_str()
                .and_then(|name| name.parse().ok())
                .map(Pid::from_raw);
            let Some(thread) = thread.filter(|thread| !held.contains(thread)) else {
                continue;
            };
            // Refused for one that has ended, or that came with its maker.
            if ptrace::seize(thread, THREADS).is_ok() {
                ptrace::interrupt(thread)?;
            }
            held.push(thread);
        }
        if held.len() == before {
            return Ok(());
        }
    }
}

/// Lets the threads go on from call to call, until the process has ended.
fn follow(pid: Pid, fatal: i32) -> io::Result<()> {
    let mut count = 0;
    loop {
        let (thread, signal) = match waitpid(None, Some(WaitPidFlag::__WALL)) {
            Err(nix::Error::ECHILD) => return Ok(()),
            Err(error) => return Err(error.into()),
            Ok(WaitStatus::PtraceSyscall(thread)) => {
                if let Some(call) = change_ahead(thread) {
                    count += 1;
                    say(call)?;
                    if count == fatal {
                        kill(pid, Signal::SIGKILL)?;
                    }
                }
                (thread, None)
            }
            Ok(WaitStatus::Stopped(thread, signal)) => (thread, Some(signal)),
            Ok(WaitStatus::PtraceEvent(thread, ..)) => (thread, None),
            Ok(_) => continue,
        };
        // A thread that was killed meanwhile does not go on.
        let _ = ptrace::syscall(thread, signal);
    }
}

fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

/// The call that a thread is about to make, when it changes something.
fn change_ahead(thread: Pid) -> Option<&'static str> {
    if ptrace::syscall_info(thread).ok()?.op != ENTRY {
        return None;
    }
    let text = fs::read_to_string(format!("/proc/{thread}/syscall")).ok()?;
    let mut words = text.split_whitespace();
    let number = words.next()?.parse().ok()?;
    let arguments: Vec<u64> = words
        .filter_map(|word| u64::from_str_radix(word.strip_prefix("0x")?, 16).ok())
        .collect();
    change(thread, number, &arguments)
}

/// The name of a call that changes something in the kernel or on disk.
fn change(thread: Pid, number: libc::c_long, arguments: &[u64]) -> Option<&'static str> {
    let is = |flags: u64, flag: i32| flags & u64::from(flag.unsigned_abs()) != 0;
    #[cfg(target_arch = "x86_64")]
    match number {
        libc::SYS_mkdir => return Some("mkdir"),
        libc::SYS_rename => return Some("rename"),
        libc::SYS_rmdir => return Some("rmdir"),
        libc::SYS_unlink => return Some("unlink"),
        libc::SYS_chmod => return Some("chmod"),
        _ => {}
    }
    Some(match number {
        libc::SYS_openat if is(*arguments.get(2)?, libc::O_CREAT | libc::O_TRUNC) => "openat",
        libc::SYS_openat2 if is(word_at(thread, *arguments.get(2)?)?, libc::O_CREAT) => "openat2",
        libc::SYS_mkdirat => "mkdirat",
        libc::SYS_mknodat => "mknodat",
        libc::SYS_symlinkat => "symlinkat",
        libc::SYS_linkat => "linkat",
        libc::SYS_renameat | libc::SYS_renameat2 => "renameat",
        libc::SYS_unlinkat => "unlinkat",
        libc::SYS_fchmod | libc::SYS_fchmodat => "fchmod",
        libc::SYS_fchown | libc::SYS_fchownat => "fchown",
        libc::SYS_utimensat => "utimensat",
        libc::SYS_fsetxattr | libc::SYS_setxattr | libc::SYS_lsetxattr => "setxattr",
        libc::SYS_pwrite64 => "pwrite64",
        libc::SYS_ftruncate => "ftruncate",
        libc::SYS_fallocate => "fallocate",
        libc::SYS_copy_file_range => "copy_file_range",
        libc::SYS_fsync => "fsync",
        libc::SYS_fdatasync => "fdatasync",
        libc::SYS_syncfs => "syncfs",
        libc::SYS_fsopen => "fsopen",
        libc::SYS_fsconfig => "fsconfig",
        libc::SYS_fsmount => "fsmount",
        libc::SYS_open_tree => "open_tree",
        libc::SYS_mount_setattr => "mount_setattr",
        libc::SYS_move_mount => "move_mount",
        libc::SYS_mount => "mount",
        libc::SYS_umount2 => "umount2",
        libc::SYS_quotactl | libc::SYS_quotactl_fd => "quotactl",
        libc::SYS_bind => "bind",
        libc::SYS_listen => "listen",
        // The end of a program that was started.
        libc::SYS_wait4 | libc::SYS_waitid => "wait",
        libc::SYS_ioctl => ioctl(*arguments.get(1)?)?,
        _ => return None,
    })
}

/// The ioctls that change something.
fn ioctl(command: u64) -> Option<&'static str> {
    Some(match command {
        0x4c01 => "LOOP_CLR_FD",
        0x4c07 => "LOOP_SET_CAPACITY",
        0x4c0a => "LOOP_CONFIGURE",
        0x4004_9409 => "FICLONE",
        0x4020_940d => "FICLONERANGE",
        0xc004_5877 => "FIFREEZE",
        0xc004_5878 => "FITHAW",
        0xc018_5879 => "FITRIM",
        0x4008_6602 => "FS_IOC_SETFLAGS",
        0x401c_5820 => "FS_IOC_FSSETXATTR",
        0x4008_6610 => "EXT4_IOC_RESIZE_FS",
        0x4010_5870 => "XFS_IOC_FSGROWFSDATA",
        0x5000_9403 => "BTRFS_IOC_RESIZE",
        0x5000_940e => "BTRFS_IOC_SUBVOL_CREATE",
        0x5000_940f => "BTRFS_IOC_SNAP_DESTROY",
        0x5000_9417 => "BTRFS_IOC_SNAP_CREATE_V2",
        0x5000_9418 => "BTRFS_IOC_SUBVOL_CREATE_V2",
        0x5000_943f => "BTRFS_IOC_SNAP_DESTROY_V2",
        0x4008_941a => "BTRFS_IOC_SUBVOL_SETFLAGS",
        0xc010_9428 => "BTRFS_IOC_QUOTA_CTL",
        0x4010_942a => "BTRFS_IOC_QGROUP_CREATE",
        0x8030_942b => "BTRFS_IOC_QGROUP_LIMIT",
        _ => return None,
    })
}

/// A word of a thread's memory.
fn word_at(thread: Pid, address: u64) -> Option<u64> {
    let mut word = [0; 8];
    let memory = File::open(format!("/proc/{thread}/mem")).ok()?;
    memory.read_exact_at(&mut word, address).ok()?;
    Some(u64::from_ne_bytes(word))
}
