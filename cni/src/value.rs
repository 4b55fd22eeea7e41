//! Single JSON values: finding a key, and saying what was found where something else was wanted.

use crate::{Code, Error, Version};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::fmt::{self, Write};

/// A configuration, or a result inside one, that cannot be used. Paths name the key from the
/// outermost object down: `ipam.ranges[0][1].subnet`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Not JSON at all.
    #[error("{what} is not valid JSON: {why}")]
    Syntax {
        /// What should have been.
        what: &'static str,
        /// What the decoder stumbled over, and where.
        why: String,
    },
    /// JSON of another type than the key has.
    #[error("{path}: found {found}, wanted {wanted}")]
    Type {
        /// Which key.
        path: String,
        /// Its value, shortened.
        found: String,
        /// What would be right.
        wanted: Cow<'static, str>,
    },
    /// The right type and a value that breaks a rule.
    #[error("{path}: found {found}, wanted {wanted}")]
    Value {
        /// Which key.
        path: String,
        /// Its value, shortened.
        found: String,
        /// What would be right.
        wanted: Cow<'static, str>,
    },
    /// A key that has to be there.
    #[error("{path} is missing: wanted {wanted}")]
    Missing {
        /// Which key.
        path: String,
        /// What it should hold.
        wanted: Cow<'static, str>,
    },
    /// A version that was never published.
    #[error("{path} {found:?} is not a known CNI version")]
    Version {
        /// Which key.
        path: String,
        /// Its value, shortened.
        found: String,
    },
    /// A previous result of another generation than the configuration it came in.
    #[error(
        "prevResult has cniVersion {prev} and the configuration {config}, whose results have \
         another form: give every plugin of the list one cniVersion"
    )]
    PrevResult {
        /// The previous result's own version.
        prev: Version,
        /// The configuration's.
        config: Version,
    },
}

impl ConfigError {
    /// The specification's code for it.
    pub const fn code(&self) -> Code {
        match self {
            Self::Syntax { .. } | Self::Type { .. } => Code::Decode,
            Self::Value { .. } | Self::Missing { .. } | Self::PrevResult { .. } => {
                Code::InvalidConfig
            }
            Self::Version { .. } => Code::IncompatibleVersion,
        }
    }

    pub(crate) fn wrong_type(path: String, found: &Value, wanted: &'static str) -> Self {
        Self::Type {
            path,
            found: shorten(found),
            wanted: wanted.into(),
        }
    }

    pub(crate) fn unknown_version(path: String, found: &str) -> Self {
        let end = found.floor_char_boundary(EXCERPT);
        Self::Version {
            path,
            found: found.get(..end).unwrap_or_default().to_owned(),
        }
    }

    pub(crate) fn broken(
        path: String,
        found: &Value,
        wanted: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::Value {
            path,
            found: shorten(found),
            wanted: wanted.into(),
        }
    }
}

impl From<ConfigError> for Error {
    fn from(error: ConfigError) -> Self {
        match error {
            ConfigError::Version {
                ref path,
                ref found,
            } if path == "cniVersion" => Self::incompatible_version(found, &Version::ALL),
            error => Self::new(error.code(), error.to_string()),
        }
    }
}

/// Finds a key that is there and not `null`. The exact spelling wins; otherwise letter case does
/// not matter, as it does not to the decoder that existing configurations were written for.
pub(crate) fn lookup<'a>(object: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    let exact = object.get(key).filter(|value| !value.is_null());
    exact.or_else(|| {
        object
            .iter()
            .find(|(name, value)| name.eq_ignore_ascii_case(key) && !value.is_null())
            .map(|(_, value)| value)
    })
}

/// How much of a value an error text repeats, in bytes.
const EXCERPT: usize = 60;

/// The text in quotes, escaped as in JSON, with all but its beginning left out when it is long:
/// what an error text can show of a value that came from outside.
pub fn excerpt(text: &str) -> String {
    shorten(&Value::from(text))
}

/// The value as JSON, cut when it is long.
pub(crate) fn shorten(value: &Value) -> String {
    let mut start = Beginning(String::new());
    if write!(start, "{value}").is_err() {
        start.0.push_str("...");
    }
    start.0
}

/// Collects the beginning of a text and refuses the rest, so that a huge value costs little.
struct Beginning(String);

impl Write for Beginning {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = EXCERPT - self.0.len();
        if text.len() <= room {
            self.0.push_str(text);
            return Ok(());
        }
        let end = text.floor_char_boundary(room);
        self.0.push_str(text.get(..end).unwrap_or_default());
        Err(fmt::Error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn keys_are_found_in_any_letter_case_and_the_exact_spelling_wins() {
        let object = json!({"MTU": 1, "mtu": 2, "Bridge": "b", "ipam": null, "IPAM": 3, "x": null});
        let object = object.as_object().unwrap();
        assert_eq!(lookup(object, "mtu"), Some(&json!(2)));
        assert_eq!(lookup(object, "bridge"), Some(&json!("b")));
        assert_eq!(lookup(object, "ipam"), Some(&json!(3)));
        assert_eq!(lookup(object, "x"), None);
        assert_eq!(lookup(object, "y"), None);
    }

    #[test]
    fn long_values_are_cut() {
        assert_eq!(excerpt("cni0"), r#""cni0""#);
        assert_eq!(excerpt("a\nb"), r#""a\nb""#);
        let cut = excerpt(&"x".repeat(100));
        assert!(cut.ends_with("...") && cut.len() == EXCERPT + 3, "{cut}");
        assert_eq!(shorten(&json!({"a": [1, true]})), r#"{"a":[1,true]}"#);
    }

    proptest! {
        #[test]
        fn an_excerpt_is_short_and_has_no_control_characters(text: String) {
            let shown = excerpt(&text);
            prop_assert!(shown.len() <= EXCERPT + 3);
            prop_assert!(!shown.contains(|c: char| c < ' '));
        }
    }
}
