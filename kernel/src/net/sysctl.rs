//! Network sysctls, through /proc/sys, which shows those of the calling thread's network namespace.

use super::Error;
use std::fs::{self, File};
use std::io::{ErrorKind, Read};

/// Sets `net/<key>`; a key is a path such as `ipv4/conf/eth0/arp_notify`. `false` when the kernel has no such key.
pub fn set(key: &str, value: &str) -> Result<bool, Error> {
    match fs::write(path(key), value) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::io(format!("set sysctl net/{key} to {value}"), error)),
    }
}

/// Reads `net/<key>`; `None` when the kernel has no such key.
pub fn get(key: &str) -> Result<Option<String>, Error> {
    // One read gets a value whole, and every value fits.
    let mut value = [0; 64];
    match File::open(path(key)).and_then(|mut file| file.read(&mut value)) {
        Ok(length) => {
            let value = String::from_utf8_lossy(value.get(..length).unwrap_or_default());
            Ok(Some(value.trim_end().to_owned()))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io(format!("read sysctl net/{key}"), error)),
    }
}

/// Sets `net/<key>` unless it has that value; on a node where somebody else manages it, it is then never written.
pub fn ensure(key: &str, value: &str) -> Result<bool, Error> {
    match get(key)? {
        None => Ok(false),
        Some(present) if present == value => Ok(true),
        Some(_) => set(key, value),
    }
}

fn path(key: &str) -> String {
    format!("/proc/sys/net/{key}")
}
