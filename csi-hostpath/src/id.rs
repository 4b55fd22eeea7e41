//! Ids that we issue. Whatever is not one of them is refused before it becomes a path.

use std::fmt;

/// Hexadecimal digits after the prefix of an id that we mint.
const DIGITS: usize = 32;
/// Hexadecimal digits after `csi-` in the id that kubelet gives to an inline volume (K-13).
const INLINE_DIGITS: usize = 64;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $parse:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// A new id, from 128 random bits.
            pub fn mint() -> Result<Self, rustix::io::Errno> {
                Ok(Self(format!("{}{}", $prefix, random()?)))
            }

            /// The id in `text`, if it has the form of one.
            pub fn parse(text: &str) -> Option<Self> {
                let parses: fn(&str) -> bool = $parse;
                parses(text).then(|| Self(text.to_owned()))
            }

            /// The id as text: a safe file name.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id!(
    /// The id of a volume: `vol-` and 32 hexadecimal digits, or kubelet's id of an inline volume.
    VolumeId,
    "vol-",
    |text| is(text, "vol-", DIGITS) || is(text, "csi-", INLINE_DIGITS)
);
id!(
    /// The id of a snapshot: `snap-` and 32 hexadecimal digits.
    SnapshotId,
    "snap-",
    |text| is(text, "snap-", DIGITS)
);
id!(
    /// The id of a group of snapshots: `group-` and 32 hexadecimal digits.
    GroupId,
    "group-",
    |text| is(text, "group-", DIGITS)
);

impl VolumeId {
    /// Whether kubelet issued it, for an inline volume.
    pub fn is_inline(&self) -> bool {
        self.0.starts_with("csi-")
    }
}

fn is(text: &str, prefix: &str, digits: usize) -> bool {
    text.strip_prefix(prefix).is_some_and(|rest| {
        rest.len() == digits
            && rest
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

fn random() -> Result<String, rustix::io::Errno> {
    let mut bytes = [0u8; DIGITS / 2];
    let mut filled = 0;
    while filled < bytes.len() {
        filled +=
            rustix::rand::getrandom(&mut bytes[filled..], rustix::rand::GetRandomFlags::empty())?;
    }
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
