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
mod tests {
    use super::{Atime, Flags};
    use proptest::prelude::*;

    fn parse(flags: &[&str]) -> Result<Flags, String> {
        Flags::parse(
            &flags
                .iter()
                .map(|&flag| flag.to_owned())
                .collect::<Vec<_>>(),
        )
    }

    #[test]
    fn without_flags_neither_suid_nor_dev() {
        let flags = parse(&[]).unwrap();
        assert_eq!(flags, Flags::default());
        assert!(!flags.readonly && !flags.suid && !flags.dev && flags.exec && flags.diratime);
        assert_eq!(
            parse(&["defaults", "", "rw,relatime"]),
            Ok(Flags::default())
        );
    }

    #[test]
    fn what_holds_for_one_mount_is_told_apart() {
        let flags = parse(&[
            "ro,noexec",
            "suid",
            "dev",
            "noatime",
            "nodiratime",
            "discard",
            "commit=5",
        ])
        .unwrap();
        assert!(flags.readonly && flags.suid && flags.dev && !flags.exec && !flags.diratime);
        assert_eq!(flags.atime, Atime::Never);
        let options = [
            ("discard".to_owned(), None),
            ("commit".to_owned(), Some("5".to_owned())),
        ];
        assert_eq!(flags.options, options);
        assert!(flags.for_directory().unwrap_err().contains("kind image"));
        assert_eq!(
            parse(&["ro", "strictatime"]).unwrap().for_directory(),
            Ok(())
        );
    }

    #[test]
    fn the_last_of_opposites_counts() {
        let opposites = [
            "ro,rw",
            "suid,nosuid",
            "dev,nodev",
            "noexec,exec",
            "noatime,atime",
            "nodiratime,diratime",
        ];
        assert_eq!(parse(&opposites), Ok(Flags::default()));
        assert!(parse(&["rw", "ro"]).unwrap().readonly);
        assert_eq!(
            parse(&["noatime", "strictatime"]).unwrap().atime,
            Atime::Always
        );
    }

    #[test]
    fn k15_quotes_keep_commas_together() {
        let label = "system_u:object_r:container_file_t:s0:c1,c2";
        let flags = parse(&[&format!("ro,context=\"{label}\",noexec")]).unwrap();
        assert!(flags.readonly && !flags.exec);
        assert_eq!(
            flags.options,
            [("context".to_owned(), Some(label.to_owned()))]
        );
    }

    #[test]
    fn options_that_reach_beyond_the_volume_are_refused() {
        for (flag, reason) in [
            ("errors=panic", "must not bring down the node"),
            ("errors=\"panic\"", "must not bring down the node"),
            ("fatal_errors=panic", "must not bring down the node"),
            ("logdev=/dev/sda", "another device"),
            ("device=/dev/sda", "another device"),
            ("source=/dev/sda", "another device"),
            ("journal_dev=0x801", "another device"),
            ("loop", "the driver's business"),
            ("bind", "the driver's business"),
            ("remount", "the driver's business"),
            ("move", "the driver's business"),
            ("rshared", "mountPropagation"),
            ("user", "/etc/fstab"),
            ("users", "/etc/fstab"),
            ("_netdev", "/etc/fstab"),
            ("x-systemd.automount", "/etc/fstab"),
        ] {
            let refusal = parse(&["ro", &format!("noatime,{flag}")]).unwrap_err();
            assert!(
                refusal.starts_with("mount_flags[1] ") && refusal.contains(reason),
                "{refusal}"
            );
        }
        assert!(parse(&["errors=remount-ro"]).is_ok());
    }

    #[test]
    fn g05_a_refusal_does_not_show_what_it_refuses() {
        let long = format!("hunter2={}", "a".repeat(256));
        for flag in [
            "hunter2 ",
            "=hunter2",
            "a=\"hunter2",
            "hunter2=\"a\"b\"",
            "hunter2=a\nb",
            "hunter2=a\0",
            &long,
        ] {
            let refusal = parse(&[flag]).unwrap_err();
            assert!(
                refusal.starts_with("mount_flags[0] ") && !refusal.contains("hunter2"),
                "{refusal}"
            );
        }
        let shown = format!("{:?}", parse(&["password=hunter2"]).unwrap());
        assert!(
            !shown.contains("hunter2") && !shown.contains("password"),
            "{shown}"
        );
    }

    proptest! {
        #[test]
        fn what_is_passed_on_is_what_fsconfig_takes(flag in "\\PC*|[a-z=,\"]{0,20}") {
            for (name, value) in Flags::parse(&[flag]).map_or(Vec::new(), |flags| flags.options) {
                prop_assert!(!name.is_empty() && !name.contains(['=', ',', '"', '\0']));
                prop_assert!(value.is_none_or(|value| value.len() < 256 && !value.contains(['"', '\0'])));
            }
        }
    }
}
