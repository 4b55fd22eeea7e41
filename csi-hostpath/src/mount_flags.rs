//! Mount flags, told apart: what holds for one mount, and what is for the filesystem.
//!
//! Flags may hold secrets and are never shown (G-05). A refusal says which one it means by its place in the list, and
//! names it only where the name is one of ours.

use std::fmt;

/// The longest value of an option, in bytes: what fsconfig(2) takes.
const VALUE: usize = 255;

/// Options that would reach beyond the volume, or that mean something to mount(8) and fstab only.
const REFUSED: [(&[&str], &str); 5] = [
    (
        &[
            "source",
            "device",
            "logdev",
            "rtdev",
            "journal_dev",
            "journal_path",
        ],
        "it would bring in another device",
    ),
    (
        &[
            "bind",
            "rbind",
            "move",
            "remount",
            "loop",
            "offset",
            "sizelimit",
        ],
        "how a volume is mounted is the driver's business",
    ),
    (
        &[
            "private",
            "rprivate",
            "shared",
            "rshared",
            "slave",
            "rslave",
            "unbindable",
            "runbindable",
        ],
        "propagation is asked for by a container's mountPropagation",
    ),
    (
        &[
            "user", "nouser", "users", "owner", "group", "auto", "noauto", "nofail", "_netdev",
            "comment",
        ],
        "it is for /etc/fstab and means nothing to a volume",
    ),
    (&["helper", "uhelper"], "the driver starts no mount helper"),
];
/// Values that let a damaged volume bring down the node.
const PANICS: [(&str, &str); 2] = [("errors", "panic"), ("fatal_errors", "panic")];

/// When reading a file is noted in its inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Atime {
    /// When it was written since, or once a day: `relatime`, the kernel's default.
    #[default]
    Relative,
    /// Never: `noatime`.
    Never,
    /// Always: `strictatime`.
    Always,
}

/// Mount flags, understood. Of flags that say the opposite the last one counts, as in mount(8).
#[derive(Clone, PartialEq, Eq)]
pub struct Flags {
    /// `ro`: nothing can be written.
    pub readonly: bool,
    /// `suid`: programs of the volume may change their user. Not unless asked for.
    pub suid: bool,
    /// `dev`: device nodes of the volume work. Not unless asked for.
    pub dev: bool,
    /// Programs of the volume can be run; `noexec` takes it away.
    pub exec: bool,
    /// Access times of files.
    pub atime: Atime,
    /// Access times of directories; `nodiratime` takes them away.
    pub diratime: bool,
    /// What is for the filesystem: names, and values where there are any.
    pub options: Vec<(String, Option<String>)>,
}

impl Default for Flags {
    fn default() -> Self {
        Self {
            readonly: false,
            suid: false,
            dev: false,
            exec: true,
            atime: Atime::default(),
            diratime: true,
            options: Vec::new(),
        }
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Flags({} options, not shown)", self.options.len())
    }
}

impl Flags {
    /// Reads the flags of a capability. Each may hold several, separated by commas; quotes keep commas together
    /// (K-15: `context="system_u:object_r:container_file_t:s0:c1,c2"`).
    pub fn parse(flags: &[String]) -> Result<Self, String> {
        let mut parsed = Self::default();
        for (index, flag) in flags.iter().enumerate() {
            let outcome = split(flag)
                .and_then(|parts| parts.into_iter().try_for_each(|part| parsed.add(part)));
            outcome.map_err(|why| format!("mount_flags[{index}] {why}"))?;
        }
        Ok(parsed)
    }

    /// Refuses what a directory cannot have: options of a filesystem, which it shares with the whole pool.
    pub fn for_directory(&self) -> Result<(), String> {
        if self.options.is_empty() {
            return Ok(());
        }
        Err(
            "mount_flags has options of a filesystem, but a directory volume has none of its own: \
             leave ro, noexec, noatime and their like, or use kind image"
                .to_owned(),
        )
    }

    fn add(&mut self, part: &str) -> Result<(), String> {
        match part {
            "" | "defaults" => {}
            "ro" => self.readonly = true,
            "rw" => self.readonly = false,
            "suid" => self.suid = true,
            "nosuid" => self.suid = false,
            "dev" => self.dev = true,
            "nodev" => self.dev = false,
            "exec" => self.exec = true,
            "noexec" => self.exec = false,
            "atime" | "relatime" | "nostrictatime" => self.atime = Atime::Relative,
            "noatime" => self.atime = Atime::Never,
            "strictatime" => self.atime = Atime::Always,
            "diratime" => self.diratime = true,
            "nodiratime" => self.diratime = false,
            _ => self.options.push(option(part)?),
        }
        Ok(())
    }
}

/// The parts of a flag between commas that no quotes hold together.
fn split(flag: &str) -> Result<Vec<&str>, String> {
    let mut quoted = false;
    let parts = flag.split(|c| {
        quoted ^= c == '"';
        c == ',' && !quoted
    });
    let parts = parts.collect();
    if quoted {
        return Err("has a quote that does not end".to_owned());
    }
    Ok(parts)
}

/// An option of a filesystem, if it is one that stays within the volume.
fn option(part: &str) -> Result<(String, Option<String>), String> {
    let (name, value) = match part.split_once('=') {
        Some((name, value)) => (name, Some(unquoted(value)?)),
        None => (part, None),
    };
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':');
    if name.is_empty() || name.len() > VALUE || !name.chars().all(is_plain) {
        return Err("is no mount option: a name, or a name, = and a value".to_owned());
    }
    if name.starts_with("x-") || name.starts_with("X-") {
        return Err(
            "begins with x-: such options are for programs that read /etc/fstab".to_owned(),
        );
    }
    let refused = REFUSED.iter().find_map(|(names, why)| {
        let ours = names.iter().find(|refused| **refused == name)?;
        Some(format!("is {ours}, which is refused: {why}"))
    });
    let panics = PANICS
        .iter()
        .find(|(option, on)| *option == name && Some(*on) == value);
    match (refused, panics) {
        (Some(why), _) => Err(why),
        (None, Some((name, value))) => Err(format!(
            "is {name}={value}, which is refused: a damaged volume must not bring down the node"
        )),
        (None, None) => Ok((name.to_owned(), value.map(str::to_owned))),
    }
}

/// A value without the quotes around it.
fn unquoted(value: &str) -> Result<&str, String> {
    let inner = value
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    let value = inner.unwrap_or(value);
    if value.len() > VALUE {
        return Err(format!("has a value of more than {VALUE} bytes"));
    }
    if value.contains(|c: char| c == '"' || c.is_control()) {
        return Err("has a quote or a control character inside its value".to_owned());
    }
    Ok(value)
}

#[cfg(test)]
mod tests;
