//! Typed access to one JSON object of a configuration.
//!
//! Keys are found in any letter case and `null` counts as absent, because configurations in the
//! field were written for a decoder that does both. Unknown keys are nobody's business (CFG-2).
//! A value of another type, or one that breaks a rule, is an error that names its whole path.

use crate::value::{ConfigError, lookup};
use crate::{parse_address, parse_cidr};
use ipnetwork::IpNetwork;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::net::IpAddr;
use std::ops::RangeInclusive;

const CIDR: &str = "an address with its prefix length, such as 10.1.0.0/16 or fd00::/64";

/// One object of a configuration, and where in it that object stands.
#[derive(Clone, Debug)]
pub struct Section<'a> {
    object: &'a Map<String, Value>,
    path: String,
}

impl<'a> Section<'a> {
    pub(crate) const fn root(object: &'a Map<String, Value>) -> Self {
        Self {
            object,
            path: String::new(),
        }
    }

    pub(crate) fn of(value: &'a Value, path: String) -> Result<Self, ConfigError> {
        match value {
            Value::Object(object) => Ok(Self { object, path }),
            other => Err(ConfigError::wrong_type(path, other, "an object")),
        }
    }

    /// The whole path of a key of this section, whether or not it is there.
    pub fn path(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    /// Whether the key is there and not `null`.
    pub fn has(&self, key: &str) -> bool {
        self.value(key).is_some()
    }

    /// The key's value as it is.
    pub fn value(&self, key: &str) -> Option<&'a Value> {
        lookup(self.object, key)
    }

    /// Whether the key is there, be it as `null`.
    pub(crate) fn mentions(&self, key: &str) -> bool {
        let mut names = self.object.keys();
        names.any(|name| name.eq_ignore_ascii_case(key))
    }

    /// The error of a key whose value breaks a rule; `wanted` says what would be right.
    pub fn broken(&self, key: &str, wanted: impl Into<Cow<'static, str>>) -> ConfigError {
        match self.value(key) {
            Some(found) => ConfigError::broken(self.path(key), found, wanted),
            None => self.missing(key, wanted),
        }
    }

    /// The error of a key that has to be there and is not.
    pub fn missing(&self, key: &str, wanted: impl Into<Cow<'static, str>>) -> ConfigError {
        ConfigError::Missing {
            path: self.path(key),
            wanted: wanted.into(),
        }
    }

    /// A text.
    pub fn string(&self, key: &str) -> Result<Option<&'a str>, ConfigError> {
        self.typed(key, Value::as_str, "a text")
    }

    /// `true` or `false`.
    pub fn boolean(&self, key: &str) -> Result<Option<bool>, ConfigError> {
        self.typed(key, Value::as_bool, "true or false")
    }

    /// A whole number within the range.
    pub fn integer(
        &self,
        key: &str,
        range: RangeInclusive<i64>,
    ) -> Result<Option<i64>, ConfigError> {
        let Some(value) = self.value(key) else {
            return Ok(None);
        };
        match value.as_i64() {
            Some(number) if range.contains(&number) => Ok(Some(number)),
            None if !value.is_u64() => Err(ConfigError::wrong_type(
                self.path(key),
                value,
                "a whole number",
            )),
            _ => Err(ConfigError::broken(
                self.path(key),
                value,
                format!("a number from {} to {}", range.start(), range.end()),
            )),
        }
    }

    /// A whole number as the kernel's 32-bit attributes hold it.
    pub fn unsigned(&self, key: &str) -> Result<Option<u32>, ConfigError> {
        let number = self.integer(key, 0..=u32::MAX.into())?;
        Ok(number.and_then(|number| u32::try_from(number).ok()))
    }

    /// An address; the empty text counts as absent.
    pub fn address(&self, key: &str) -> Result<Option<IpAddr>, ConfigError> {
        match self.string(key)? {
            None | Some("") => Ok(None),
            Some(text) => parse_address(text)
                .map(Some)
                .ok_or_else(|| self.broken(key, "an address such as 10.1.0.7 or fd00::7")),
        }
    }

    /// An address with its prefix length; the bits of the host are kept.
    pub fn cidr(&self, key: &str) -> Result<Option<IpNetwork>, ConfigError> {
        match self.string(key)? {
            None => Ok(None),
            Some(text) => parse_cidr(text)
                .map(Some)
                .ok_or_else(|| self.broken(key, CIDR)),
        }
    }

    /// An object.
    pub fn section(&self, key: &str) -> Result<Option<Self>, ConfigError> {
        self.value(key)
            .map(|value| Section::of(value, self.path(key)))
            .transpose()
    }

    /// A list of anything.
    pub fn elements(&self, key: &str) -> Result<Option<Vec<Item<'a>>>, ConfigError> {
        self.value(key)
            .map(|value| items(value, &self.path(key)))
            .transpose()
    }

    /// A list of objects.
    pub fn sections(&self, key: &str) -> Result<Option<Vec<Self>>, ConfigError> {
        self.each(key, Item::section)
    }

    /// A list of texts.
    pub fn strings(&self, key: &str) -> Result<Option<Vec<&'a str>>, ConfigError> {
        self.each(key, Item::string)
    }

    fn each<T>(
        &self,
        key: &str,
        read: impl Fn(&Item<'a>) -> Result<T, ConfigError>,
    ) -> Result<Option<Vec<T>>, ConfigError> {
        self.elements(key)?
            .map(|items| items.iter().map(read).collect())
            .transpose()
    }

    fn typed<T>(
        &self,
        key: &str,
        read: impl Fn(&'a Value) -> Option<T>,
        wanted: &'static str,
    ) -> Result<Option<T>, ConfigError> {
        let Some(value) = self.value(key) else {
            return Ok(None);
        };
        read(value)
            .map(Some)
            .ok_or_else(|| ConfigError::wrong_type(self.path(key), value, wanted))
    }
}

/// One element of a list in a configuration.
#[derive(Clone, Debug)]
pub struct Item<'a> {
    value: &'a Value,
    path: String,
}

impl<'a> Item<'a> {
    /// Where the element stands: `ipam.ranges[0]`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The element as a text.
    pub fn string(&self) -> Result<&'a str, ConfigError> {
        self.value
            .as_str()
            .ok_or_else(|| ConfigError::wrong_type(self.path.clone(), self.value, "a text"))
    }

    /// The element as an object.
    pub fn section(&self) -> Result<Section<'a>, ConfigError> {
        Section::of(self.value, self.path.clone())
    }

    /// The element as a list of its own.
    pub fn elements(&self) -> Result<Vec<Self>, ConfigError> {
        items(self.value, &self.path)
    }

    /// The element as a list of objects.
    pub fn sections(&self) -> Result<Vec<Section<'a>>, ConfigError> {
        self.elements()?.iter().map(Item::section).collect()
    }

    /// The error of an element that breaks a rule; `wanted` says what would be right.
    pub fn broken(&self, wanted: impl Into<Cow<'static, str>>) -> ConfigError {
        ConfigError::broken(self.path.clone(), self.value, wanted)
    }
}

fn items<'a>(value: &'a Value, path: &str) -> Result<Vec<Item<'a>>, ConfigError> {
    let Value::Array(values) = value else {
        return Err(ConfigError::wrong_type(path.to_owned(), value, "a list"));
    };
    let item = |(index, value)| Item {
        value,
        path: format!("{path}[{index}]"),
    };
    Ok(values.iter().enumerate().map(item).collect())
}
