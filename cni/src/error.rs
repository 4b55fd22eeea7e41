//! The error a plugin answers with, and the codes of the specification (ERR-1, ERR-2).

use crate::Version;
use crate::value::lookup;
use serde_json::{Map, Value, json};
use std::fmt;

/// The kind of an error, for the runtime to act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// 1: the configuration's version is not one the plugin speaks.
    IncompatibleVersion,
    /// 2: a key or value that the plugin knows of and cannot honour.
    UnsupportedField,
    /// 3: the container does not exist; there is nothing for the runtime to clean up.
    UnknownContainer,
    /// 4: a `CNI_*` variable is missing or cannot be used.
    InvalidEnvironment,
    /// 5: reading, writing or the kernel went wrong.
    Io,
    /// 6: input that is not JSON, or JSON of another type than the key has.
    Decode,
    /// 7: a configuration that breaks a rule.
    InvalidConfig,
    /// 11: a passing condition; the same call may succeed later.
    TryAgainLater,
    /// 50, STATUS alone: an ADD could not be served (STA-2).
    NotAvailable,
    /// 51, STATUS alone: nor do existing containers have their whole network (STA-2).
    NotAvailableImpaired,
    /// 100 and above: a plugin's own.
    Plugin(u32),
    /// Any other number, as a delegate may give one.
    Other(u32),
}

impl Code {
    /// The number on the wire.
    pub const fn number(self) -> u32 {
        match self {
            Self::IncompatibleVersion => 1,
            Self::UnsupportedField => 2,
            Self::UnknownContainer => 3,
            Self::InvalidEnvironment => 4,
            Self::Io => 5,
            Self::Decode => 6,
            Self::InvalidConfig => 7,
            Self::TryAgainLater => 11,
            Self::NotAvailable => 50,
            Self::NotAvailableImpaired => 51,
            Self::Plugin(number) | Self::Other(number) => number,
        }
    }

    /// The code that has this number.
    pub const fn from_number(number: u32) -> Self {
        match number {
            1 => Self::IncompatibleVersion,
            2 => Self::UnsupportedField,
            3 => Self::UnknownContainer,
            4 => Self::InvalidEnvironment,
            5 => Self::Io,
            6 => Self::Decode,
            7 => Self::InvalidConfig,
            11 => Self::TryAgainLater,
            50 => Self::NotAvailable,
            51 => Self::NotAvailableImpaired,
            100.. => Self::Plugin(number),
            _ => Self::Other(number),
        }
    }

    /// The code for what the kernel answered: busy or short of memory may be better later, everything else is input or
    /// output gone wrong.
    pub const fn of_errno(errno: Option<i32>) -> Self {
        const EINTR: i32 = 4;
        const EAGAIN: i32 = 11;
        const ENOMEM: i32 = 12;
        const EBUSY: i32 = 16;
        const ENOBUFS: i32 = 105;
        match errno {
            Some(EINTR | EAGAIN | ENOMEM | EBUSY | ENOBUFS) => Self::TryAgainLater,
            _ => Self::Io,
        }
    }
}

/// What a plugin answers when it could not do as asked (ERR-1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The kind.
    pub code: Code,
    /// What went wrong, in one line.
    pub msg: String,
    /// More about it; may be empty.
    pub details: String,
}

impl Error {
    /// An error without details.
    pub fn new(code: Code, msg: impl Into<String>) -> Self {
        Self {
            code,
            msg: msg.into(),
            details: String::new(),
        }
    }

    /// The same error with these details.
    #[must_use]
    pub fn with_details(mut self, details: impl Into<String>) -> Self {
        self.details = details.into();
        self
    }

    /// A configuration of a version that is not among the supported ones; the details list both.
    pub fn incompatible_version(found: &str, supported: &[Version]) -> Self {
        let supported: Vec<_> = supported.iter().map(|version| version.as_str()).collect();
        Self::new(
            Code::IncompatibleVersion,
            format!(
                "cniVersion {} is not supported: use one of {}",
                crate::excerpt(found),
                supported.join(", ")
            ),
        )
        .with_details(json!({ "config": found, "supported": supported }).to_string())
    }

    /// The error as the runtime reads it; `details` is left out when empty.
    pub fn to_json(&self, version: Version) -> Value {
        let mut object = Map::new();
        object.insert("cniVersion".into(), version.as_str().into());
        object.insert("code".into(), self.code.number().into());
        object.insert("msg".into(), self.msg.as_str().into());
        if !self.details.is_empty() {
            object.insert("details".into(), self.details.as_str().into());
        }
        Value::Object(object)
    }

    /// Reads an error as plugins print them: `None` unless there is a numeric code and a text.
    pub fn from_json(value: &Value) -> Option<Self> {
        let object = value.as_object()?;
        let code = u32::try_from(lookup(object, "code")?.as_u64()?).ok()?;
        let text = |key| lookup(object, key).and_then(Value::as_str);
        Some(Self {
            code: Code::from_number(code),
            msg: text("msg")?.to_owned(),
            details: text("details").unwrap_or_default().to_owned(),
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.msg)?;
        if self.details.is_empty() {
            return Ok(());
        }
        write!(f, " ({})", self.details)
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_error_has_the_keys_of_the_specification() {
        let error = Error::new(Code::InvalidConfig, "mtu: no");
        assert_eq!(
            error.to_json(Version::V0_4_0),
            json!({"cniVersion": "0.4.0", "code": 7, "msg": "mtu: no"})
        );
        assert_eq!(
            error.with_details("more").to_json(Version::V1_1_0),
            json!({"cniVersion": "1.1.0", "code": 7, "msg": "mtu: no", "details": "more"})
        );
    }

    #[test]
    fn what_is_no_error_object_is_not_read_as_one() {
        for value in [
            json!(null),
            json!([]),
            json!({}),
            json!({"code": 7}),
            json!({"msg": "x"}),
            json!({"code": "7", "msg": "x"}),
            json!({"code": -1, "msg": "x"}),
            json!({"code": 7, "msg": null}),
        ] {
            assert_eq!(Error::from_json(&value), None, "{value}");
        }
    }

    #[test]
    fn an_incompatible_version_lists_both_sides() {
        let error = Error::incompatible_version("9.9.9", &[Version::V0_4_0, Version::V1_0_0]);
        assert_eq!(error.code, Code::IncompatibleVersion);
        assert_eq!(
            error.msg,
            r#"cniVersion "9.9.9" is not supported: use one of 0.4.0, 1.0.0"#
        );
        assert_eq!(
            error.details,
            r#"{"config":"9.9.9","supported":["0.4.0","1.0.0"]}"#
        );
    }

    proptest! {
        #[test]
        fn codes_and_errors_survive_the_wire(number: u32, msg: String, details: String) {
            prop_assert_eq!(Code::from_number(number).number(), number);
            let error = Error::new(Code::from_number(number), msg).with_details(details);
            prop_assert_eq!(Error::from_json(&error.to_json(Version::NEWEST)), Some(error));
        }
    }
}
