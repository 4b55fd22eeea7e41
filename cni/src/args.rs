//! `CNI_ARGS`: the arguments that a runtime passes as `KEY=value;KEY=value` (ENV-5, ARG-2).
//!
//! Every plugin of a chain, and the IPAM it runs, sees the same text. So a key that one of them
//! knows is no mistake to the others, and the reference's refusal of such keys, which makes a
//! `MAC` break the IPAM, is not repeated here.

use crate::{Code, Error, excerpt};

/// The arguments, in the order given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CniArgs {
    pairs: Vec<(String, String)>,
}

/// Why `CNI_ARGS` cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArgsError {
    /// Something between two semicolons is not a key, one equals sign, and a value.
    #[error("CNI_ARGS: found {0}, wanted KEY=value pairs with \";\" between them")]
    Malformed(String),
    /// `IgnoreUnknown` is neither yes nor no.
    #[error("CNI_ARGS: IgnoreUnknown is {0}, wanted 1, true, 0 or false")]
    IgnoreUnknown(String),
    /// A key that no plugin knows.
    #[error("CNI_ARGS: the key {0} is not known: remove it or add IgnoreUnknown=1")]
    Unknown(String),
}

impl From<ArgsError> for Error {
    fn from(error: ArgsError) -> Self {
        Self::new(Code::InvalidEnvironment, error.to_string())
    }
}

impl CniArgs {
    /// Reads the variable's text.
    pub fn parse(text: &str) -> Result<Self, ArgsError> {
        let pair = |part| pair(part).ok_or_else(|| ArgsError::Malformed(excerpt(part)));
        let pairs = parts(text).map(pair).collect::<Result<_, _>>()?;
        let args = Self { pairs };
        match args.get(IGNORE_UNKNOWN) {
            Some(value) if truth(value).is_none() => Err(ArgsError::IgnoreUnknown(excerpt(value))),
            _ => Ok(args),
        }
    }

    /// Reads what can be read and skips the rest: removing something must not depend on it.
    pub fn parse_lenient(text: &str) -> Self {
        Self {
            pairs: parts(text).filter_map(pair).collect(),
        }
    }

    /// The value of a key, the last one when it is given twice; letter case counts.
    pub fn get(&self, key: &str) -> Option<&str> {
        let mut newest_first = self.pairs.iter().rev();
        newest_first
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    }

    /// Refuses a key that no plugin knows, unless the runtime said to ignore such keys.
    pub fn reject_unknown(&self) -> Result<(), ArgsError> {
        if self.get(IGNORE_UNKNOWN).and_then(truth) == Some(true) {
            return Ok(());
        }
        match self.pairs.iter().find(|(key, _)| !is_known(key)) {
            Some((key, _)) => Err(ArgsError::Unknown(excerpt(key))),
            None => Ok(()),
        }
    }
}

const IGNORE_UNKNOWN: &str = "IgnoreUnknown";

fn is_known(key: &str) -> bool {
    matches!(key, IGNORE_UNKNOWN | "IP" | "MAC" | "GATEWAY") || key.starts_with("K8S_POD_")
}

fn truth(value: &str) -> Option<bool> {
    if value == "1" || value.eq_ignore_ascii_case("true") {
        Some(true)
    } else if value == "0" || value.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

/// What stands between semicolons; one at the end, or doubled, separates nothing.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(';').filter(|part| !part.is_empty())
}

fn pair(part: &str) -> Option<(String, String)> {
    let (key, value) = part.split_once('=')?;
    (!key.is_empty() && !value.contains('=')).then(|| (key.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn pairs_are_found_by_key() {
        let args = CniArgs::parse("IP=10.1.0.7;MAC=;K8S_POD_NAME=web;IP=10.1.0.8;").unwrap();
        assert_eq!(args.get("IP"), Some("10.1.0.8"));
        assert_eq!(args.get("MAC"), Some(""));
        assert_eq!(args.get("ip"), None);
        assert_eq!(args.reject_unknown(), Ok(()));
        assert_eq!(CniArgs::parse(""), Ok(CniArgs::default()));
    }

    #[test]
    fn malformed_pairs_are_named_or_skipped() {
        for bad in ["IP", "=x", "IP=a=b"] {
            let text = format!("MAC=m;{bad}");
            assert_eq!(
                CniArgs::parse(&text),
                Err(ArgsError::Malformed(excerpt(bad))),
                "{bad}"
            );
            assert_eq!(CniArgs::parse_lenient(&text).get("MAC"), Some("m"));
        }
        assert_eq!(
            CniArgs::parse("IgnoreUnknown=yes"),
            Err(ArgsError::IgnoreUnknown(r#""yes""#.into()))
        );
    }

    #[test]
    fn unknown_keys_are_named_unless_they_are_to_be_ignored() {
        for (text, refused) in [
            ("COLOUR=red", true),
            ("COLOUR=red;IgnoreUnknown=1", false),
            ("COLOUR=red;IgnoreUnknown=True", false),
            ("COLOUR=red;IgnoreUnknown=0", true),
            ("K8S_POD_UID=1;GATEWAY=10.1.0.1", false),
        ] {
            let checked = CniArgs::parse(text).unwrap().reject_unknown();
            let expected = if refused {
                Err(ArgsError::Unknown(r#""COLOUR""#.into()))
            } else {
                Ok(())
            };
            assert_eq!(checked, expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text: String) {
            if let Ok(args) = CniArgs::parse(&text) {
                prop_assert_eq!(args, CniArgs::parse_lenient(&text));
            }
        }
    }
}
