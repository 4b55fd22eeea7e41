//! Lines of the mount table: paths in it are whatever pods and images made of them.
//!
//! What was read means the same when it is written as the kernel would and read again.

#![no_main]

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use kernel::storage::mountinfo::{Mount, parse};
use libfuzzer_sys::fuzz_target;
use rustix::fs::{major, minor};

fuzz_target!(|table: &[u8]| {
    for line in table.split(|byte| *byte == b'\n') {
        if let Some(mount) = parse(line) {
            assert_eq!(parse(&written(&mount)).as_ref(), Some(&mount));
        }
    }
});

fn written(mount: &Mount) -> Vec<u8> {
    let (major, minor) = (major(mount.dev), minor(mount.dev));
    let mut line = format!("{} {} {major}:{minor}", mount.id, mount.parent).into_bytes();
    for field in [
        mount.root.as_os_str(),
        mount.point.as_os_str(),
        &mount.options,
    ] {
        escape(field, &mut line);
    }
    line.extend(b" shared:7 -");
    for field in [&mount.fstype, &mount.source, &mount.super_options] {
        escape(field, &mut line);
    }
    line
}

fn escape(field: &OsStr, line: &mut Vec<u8>) {
    line.push(b' ');
    for byte in field.as_bytes() {
        match byte {
            b' ' | b'\t' | b'\n' | b'\\' => line.extend(format!("\\{byte:03o}").into_bytes()),
            byte => line.push(*byte),
        }
    }
}
