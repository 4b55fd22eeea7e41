//! The published versions of the specification and what sets them apart.
//!
//! A version decides the shape of results (three generations, [`Version::same_results`]) and which
//! verbs exist ([`Version::allows`]). A missing version means 0.1.0 (CNV-6).

use crate::Verb;
use std::fmt;
use std::str::FromStr;

/// A version of the CNI specification; a later one is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "each name is the version")]
pub enum Version {
    V0_1_0,
    V0_2_0,
    V0_3_0,
    V0_3_1,
    V0_4_0,
    V1_0_0,
    V1_1_0,
}

/// Not the name of a version known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a known CNI version")]
pub struct UnknownVersion;

impl Version {
    /// Every version, the oldest first.
    pub const ALL: [Self; 7] = [
        Self::V0_1_0,
        Self::V0_2_0,
        Self::V0_3_0,
        Self::V0_3_1,
        Self::V0_4_0,
        Self::V1_0_0,
        Self::V1_1_0,
    ];

    /// The newest version known here.
    pub const NEWEST: Self = Self::V1_1_0;

    /// The version as the specification writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V0_1_0 => "0.1.0",
            Self::V0_2_0 => "0.2.0",
            Self::V0_3_0 => "0.3.0",
            Self::V0_3_1 => "0.3.1",
            Self::V0_4_0 => "0.4.0",
            Self::V1_0_0 => "1.0.0",
            Self::V1_1_0 => "1.1.0",
        }
    }

    /// Whether the verb exists in this version.
    pub const fn allows(self, verb: Verb) -> bool {
        self as u8 >= verb.since() as u8
    }

    /// Whether results of both versions have one shape, so that either can be read as the other.
    pub const fn same_results(self, other: Self) -> bool {
        self.shape() as u8 == other.shape() as u8
    }

    pub(crate) const fn shape(self) -> Shape {
        match self {
            Self::V0_1_0 | Self::V0_2_0 => Shape::PerFamily,
            Self::V0_3_0 | Self::V0_3_1 | Self::V0_4_0 => Shape::Tagged,
            Self::V1_0_0 | Self::V1_1_0 => Shape::Plain,
        }
    }
}

/// How a generation of versions writes a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// One object per family, `ip4` and `ip6`, and no interfaces (RES-010, RES-020).
    PerFamily,
    /// A list of addresses, each tagged with its family (RES-030 to RES-040).
    Tagged,
    /// The same without the tag (RES-100, RES-110).
    Plain,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Version {
    type Err = UnknownVersion;

    /// Reads exactly what the specification writes; the empty text means 0.1.0 (CNV-6).
    fn from_str(text: &str) -> Result<Self, UnknownVersion> {
        if text.is_empty() {
            return Ok(Self::V0_1_0);
        }
        Self::ALL
            .into_iter()
            .find(|version| version.as_str() == text)
            .ok_or(UnknownVersion)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_version_reads_what_it_writes_and_they_are_in_order() {
        for version in Version::ALL {
            assert_eq!(version.to_string().parse(), Ok(version));
        }
        assert!(Version::ALL.is_sorted());
        assert_eq!(Version::ALL.last(), Some(&Version::NEWEST));
    }

    #[test]
    fn only_published_versions_are_known() {
        assert_eq!("".parse(), Ok(Version::V0_1_0));
        for text in ["0.5.0", "1.0", "v1.0.0", " 1.0.0", "1.2.0"] {
            assert_eq!(text.parse::<Version>(), Err(UnknownVersion), "{text:?}");
        }
    }

    #[test]
    fn verbs_appear_with_their_version() {
        let first = |verb| Version::ALL.into_iter().find(|v| v.allows(verb));
        assert_eq!(first(Verb::Add), Some(Version::V0_1_0));
        assert_eq!(first(Verb::Check), Some(Version::V0_4_0));
        assert_eq!(first(Verb::Gc), Some(Version::V1_1_0));
        assert_eq!(first(Verb::Status), Some(Version::V1_1_0));
    }
}
