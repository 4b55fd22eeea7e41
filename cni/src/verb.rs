//! What a runtime can ask of a plugin: the values of `CNI_COMMAND` (ENV-1).

use crate::Version;
use std::fmt;
use std::str::FromStr;

/// A verb of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    /// Attach a container to a network.
    Add,
    /// Detach it.
    Del,
    /// Verify that an attachment is as ADD left it.
    Check,
    /// Remove whatever belongs to attachments that are gone.
    Gc,
    /// Say whether an ADD could be served.
    Status,
    /// Say which versions are understood.
    Version,
}

/// Not a verb of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not one of ADD, DEL, CHECK, GC, STATUS, VERSION")]
pub struct UnknownVerb;

impl Verb {
    /// Every verb.
    pub const ALL: [Self; 6] = [
        Self::Add,
        Self::Del,
        Self::Check,
        Self::Gc,
        Self::Status,
        Self::Version,
    ];

    /// The verb as `CNI_COMMAND` writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Add => "ADD",
            Self::Del => "DEL",
            Self::Check => "CHECK",
            Self::Gc => "GC",
            Self::Status => "STATUS",
            Self::Version => "VERSION",
        }
    }

    /// The first version of the specification that has the verb.
    pub const fn since(self) -> Version {
        match self {
            Self::Add | Self::Del | Self::Version => Version::V0_1_0,
            Self::Check => Version::V0_4_0,
            Self::Gc | Self::Status => Version::V1_1_0,
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Verb {
    type Err = UnknownVerb;

    fn from_str(text: &str) -> Result<Self, UnknownVerb> {
        Self::ALL
            .into_iter()
            .find(|verb| verb.as_str() == text)
            .ok_or(UnknownVerb)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs_read_what_they_write_and_letter_case_counts() {
        for verb in Verb::ALL {
            assert_eq!(verb.to_string().parse(), Ok(verb));
        }
        assert_eq!("add".parse::<Verb>(), Err(UnknownVerb));
    }

    #[test]
    fn the_error_lists_every_verb() {
        for verb in Verb::ALL {
            assert!(UnknownVerb.to_string().contains(verb.as_str()));
        }
    }
}
