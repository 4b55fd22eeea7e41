//! Names that come from outside and are checked before they become paths, labels or link names.
//!
//! Container ids and network names follow ENV-2 and CFG-1: a letter or digit first, then letters,
//! digits, `_`, `.` and `-`. That also rules out `.`, `..` and anything with a separator, so such
//! a name is safe as one component of a path. Interface names follow what the kernel accepts.

use std::fmt;
use std::str::FromStr;

/// Why a text is not the name it should be. The reader knows which name was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// There is nothing.
    #[error("it is empty")]
    Empty,
    /// It is longer than what it is used for allows.
    #[error("it is longer than {0} bytes")]
    TooLong(usize),
    /// The first character has a narrower choice than the rest.
    #[error("it starts with {0:?} instead of a letter or digit")]
    First(char),
    /// A character that no name of this kind has.
    #[error("it contains {0:?}")]
    Character(char),
    /// `.` and `..` are directories to the kernel.
    #[error("it is a directory's own name")]
    Dots,
}

/// The longest container id or network name: one path component holds 255 bytes, and fifteen of
/// them are left for the suffix of a file written aside.
const LONGEST: usize = 240;

/// The kernel keeps an interface name in 16 bytes, the last of them zero.
const LONGEST_IFNAME: usize = 15;

fn check_identifier(text: &str) -> Result<(), NameError> {
    let first = text.chars().next().ok_or(NameError::Empty)?;
    if !first.is_ascii_alphanumeric() {
        return Err(NameError::First(first));
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    if let Some(other) = text.chars().find(|&c| !allowed(c)) {
        return Err(NameError::Character(other));
    }
    if text.len() > LONGEST {
        return Err(NameError::TooLong(LONGEST));
    }
    Ok(())
}

fn check_ifname(text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    if matches!(text, "." | "..") {
        return Err(NameError::Dots);
    }
    // The kernel takes `%` for the place of a number and would choose another name.
    let refused = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | ':' | '%');
    if let Some(other) = text.chars().find(|&c| refused(c)) {
        return Err(NameError::Character(other));
    }
    if text.len() > LONGEST_IFNAME {
        return Err(NameError::TooLong(LONGEST_IFNAME));
    }
    Ok(())
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $check:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<str>);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                $check(text)?;
                Ok(Self(text.into()))
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

name! {
    /// The name of a network: the configuration's `name` (CFG-1), at most 240 bytes.
    NetworkName, check_identifier
}
name! {
    /// The runtime's name for a container: `CNI_CONTAINERID` (ENV-2), at most 240 bytes.
    ContainerId, check_identifier
}
name! {
    /// The name of an interface: `CNI_IFNAME` (ENV-4), 1 to 15 bytes.
    IfName, check_ifname
}

/// One container's interface in a network: what ADD makes and DEL removes (ADD-5).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attachment {
    /// Whose interface it is.
    pub container_id: ContainerId,
    /// What the container calls it.
    pub ifname: IfName,
}

impl fmt::Display for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.container_id, self.ifname)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn identifiers() {
        let longest = "a".repeat(LONGEST);
        for good in ["a", "0", "pod-1_x.y", "A..b", &longest] {
            assert!(good.parse::<ContainerId>().is_ok(), "{good:?}");
            assert!(good.parse::<NetworkName>().is_ok(), "{good:?}");
        }
        let too_long = "a".repeat(LONGEST + 1);
        for (bad, why) in [
            ("", NameError::Empty),
            (".", NameError::First('.')),
            ("..", NameError::First('.')),
            ("-a", NameError::First('-')),
            ("_a", NameError::First('_')),
            ("é", NameError::First('é')),
            ("a/b", NameError::Character('/')),
            ("a b", NameError::Character(' ')),
            ("a\n", NameError::Character('\n')),
            ("a\0", NameError::Character('\0')),
            ("aé", NameError::Character('é')),
            (too_long.as_str(), NameError::TooLong(LONGEST)),
        ] {
            assert_eq!(bad.parse::<ContainerId>(), Err(why), "{bad:?}");
            assert_eq!(bad.parse::<NetworkName>(), Err(why), "{bad:?}");
        }
    }

    #[test]
    fn interface_names() {
        for good in ["e", "eth0", "net.100", "...", "fifteen-letters", "ünïcödé"] {
            assert!(good.parse::<IfName>().is_ok(), "{good:?}");
        }
        for (bad, why) in [
            ("", NameError::Empty),
            (".", NameError::Dots),
            ("..", NameError::Dots),
            ("a/b", NameError::Character('/')),
            ("a:b", NameError::Character(':')),
            ("a b", NameError::Character(' ')),
            ("a\u{a0}", NameError::Character('\u{a0}')),
            ("a\u{7f}", NameError::Character('\u{7f}')),
            ("eth%d", NameError::Character('%')),
            ("sixteen-letters-", NameError::TooLong(15)),
        ] {
            assert_eq!(bad.parse::<IfName>(), Err(why), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn an_identifier_is_one_component_of_a_path(text in "\\PC{0,20}|[./a-z]{0,8}") {
            if let Ok(name) = text.parse::<ContainerId>() {
                let path = std::path::Path::new("/base").join(name.as_str());
                prop_assert_eq!(path.parent(), Some(std::path::Path::new("/base")));
                prop_assert_eq!(path.components().count(), 3);
            }
        }
    }
}
