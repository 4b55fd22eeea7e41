//! Elements of sets and maps.

use super::attributes::Attributes;
use super::error::Malformed;
use super::object::{Kind, Set};
use super::userdata;
use super::value::Key;
use super::verdict::Verdict;

const KEY: u16 = 1;
const DATA: u16 = 2;
const TIMEOUT: u16 = 4;
const EXPIRATION: u16 = 5;
const USERDATA: u16 = 6;

/// An element of a set or map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    /// What it is found by.
    pub key: Key,
    /// What a map holds under the key; `None` in a set.
    pub data: Option<Data>,
    /// The comment that `nft list` prints beside it. Adding an element that exists already leaves its comment as it is.
    pub comment: Option<String>,
    /// Whether it was told to go by itself and is about to.
    pub expires: bool,
}

impl Element {
    /// An element of a set.
    pub fn new(key: impl Into<Key>) -> Self {
        Self {
            key: key.into(),
            data: None,
            comment: None,
            expires: false,
        }
    }

    /// The same with what a map holds under its key: a [`Verdict`] or a [`Key`].
    #[must_use]
    pub fn holding(mut self, data: impl Into<Data>) -> Self {
        self.data = Some(data.into());
        self
    }

    /// The same with a comment, of at most 251 bytes; of more than 128 `nft` prints it but will not read it back.
    #[must_use]
    pub fn comment(mut self, comment: impl Into<String>) -> Self {
        self.comment = Some(comment.into());
        self
    }
}

impl Element {
    /// Why the element does not fit the set, if it does not.
    pub(super) fn fault(&self, set: Set<'_>) -> Option<String> {
        let data = match (set.kind, &self.data) {
            (Kind::Set, None) => None,
            (Kind::VerdictMap, Some(Data::Verdict(verdict))) => verdict.fault(),
            (Kind::Map(types), Some(Data::Value(value))) => value.fault(types),
            (Kind::Set, Some(_)) => Some("a set holds keys alone".to_owned()),
            (Kind::VerdictMap, _) => Some("the map holds verdicts".to_owned()),
            (Kind::Map(types), _) => Some(format!("the map holds values of the type {types:?}")),
        };
        let comment = || userdata::fault(self.comment.as_deref()?);
        self.key.fault(set.key).or(data).or_else(comment)
    }

    /// The element as one of this set.
    pub(super) fn typed(raw: RawElement, set: Set<'_>) -> Result<Self, Malformed> {
        let unlike = Malformed::Lacking("element", "key of the set's type");
        let key = Key::read(set.key, &raw.key).ok_or(unlike)?;
        let data = match (raw.data, set.kind) {
            (None, _) => None,
            (Some(RawData::Verdict(verdict)), _) => Some(Data::Verdict(verdict)),
            (Some(RawData::Value(bytes)), Kind::Map(types)) => {
                let unlike = Malformed::Lacking("element", "value of the map's type");
                Some(Data::Value(Key::read(types, &bytes).ok_or(unlike)?))
            }
            (Some(RawData::Value(_)), Kind::Set | Kind::VerdictMap) => {
                return Err(Malformed::Lacking("element", "verdict"));
            }
        };
        Ok(Self {
            key,
            data,
            comment: raw.comment,
            expires: raw.expires,
        })
    }
}

/// An element as the kernel keeps it, without knowledge of its set's types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawElement {
    key: Vec<u8>,
    data: Option<RawData>,
    comment: Option<String>,
    expires: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum RawData {
    Verdict(Verdict),
    Value(Vec<u8>),
}

impl RawElement {
    pub(super) fn read(element: Attributes<'_>) -> Result<Self, Malformed> {
        let key = element.nested(KEY)?.map(RawData::read).transpose()?;
        let Some(RawData::Value(key)) = key else {
            return Err(Malformed::Lacking("element", "key"));
        };
        let data = element.nested(DATA)?.map(RawData::read).transpose()?;
        // One that never does has neither, or empty ones. What is left may be nothing at the moment.
        let is_set = |time: Option<u64>| time.is_some_and(|time| time > 0);
        let expires = is_set(element.u64(TIMEOUT)?) || is_set(element.u64(EXPIRATION)?);
        Ok(Self {
            key,
            data,
            comment: element.find(USERDATA)?.and_then(userdata::comment),
            expires,
        })
    }
}

impl RawData {
    fn read(data: Attributes<'_>) -> Result<Self, Malformed> {
        const VALUE: u16 = 1;
        if let Some(value) = data.find(VALUE)? {
            return Ok(Self::Value(value.to_vec()));
        }
        let verdict = Verdict::from_data(data)?.ok_or(Malformed::Lacking("element", "value"))?;
        Ok(Self::Verdict(verdict))
    }
}

/// What a map holds under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Data {
    /// In a verdict map.
    Verdict(Verdict),
    /// In a map of values.
    Value(Key),
}

impl From<Verdict> for Data {
    fn from(verdict: Verdict) -> Self {
        Self::Verdict(verdict)
    }
}

impl From<Key> for Data {
    fn from(value: Key) -> Self {
        Self::Value(value)
    }
}

#[cfg(test)]
mod tests {
    use super::super::attributes::attribute;
    use super::*;

    #[test]
    fn an_element_expires_also_in_its_last_moment() {
        let expires = |timeout: u64, left: u64| {
            let element = [
                attribute(KEY, &attribute(1, &[10, 1, 0, 7])),
                attribute(TIMEOUT, &timeout.to_be_bytes()),
                attribute(EXPIRATION, &left.to_be_bytes()),
            ];
            let element = element.concat();
            let element = RawElement::read(Attributes::new("element", &element));
            element.expect("an element").expires
        };
        assert!(expires(4, 4) && expires(4, 0));
        assert!(!expires(0, 0));
    }
}
