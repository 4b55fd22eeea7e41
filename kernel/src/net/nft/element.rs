//! Elements of sets and maps.

use super::value::Key;
use super::verdict::Verdict;

/// An element of a set or map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    /// What it is found by.
    pub key: Key,
    /// What a map holds under the key; `None` in a set.
    pub data: Option<Data>,
    /// The comment that `nft list` prints beside it. Adding an element that exists already leaves its comment as it is.
    pub comment: Option<String>,
}

impl Element {
    /// An element of a set.
    pub fn new(key: impl Into<Key>) -> Self {
        Self {
            key: key.into(),
            data: None,
            comment: None,
        }
    }

    /// The same with what a map holds under its key: a [`Verdict`] or a [`Key`].
    #[must_use]
    pub fn holding(mut self, data: impl Into<Data>) -> Self {
        self.data = Some(data.into());
        self
    }

    /// The same with a comment, of at most 253 bytes; of more than 128 `nft` prints it but will not read it back.
    #[must_use]
    pub fn comment(mut self, comment: impl Into<String>) -> Self {
        self.comment = Some(comment.into());
        self
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
