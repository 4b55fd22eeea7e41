//! Reading netlink attributes, every length checked.

use super::error::Malformed;
use netlink_packet_core::{NLA_HEADER_SIZE, NlasIterator};

/// The attributes of one object, or those nested in one attribute.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attributes<'a> {
    /// What they describe, for messages.
    object: &'static str,
    bytes: &'a [u8],
}

impl<'a> Attributes<'a> {
    pub(super) const fn new(object: &'static str, bytes: &'a [u8]) -> Self {
        Self { object, bytes }
    }

    /// Each attribute's type and value.
    pub(super) fn iter(self) -> impl Iterator<Item = Result<(u16, &'a [u8]), Malformed>> {
        NlasIterator::new(self.bytes).map(move |attribute| {
            let cut = Malformed::Attribute(self.object);
            let attribute = attribute.map_err(|_| cut)?;
            let (kind, length) = (attribute.kind(), usize::from(attribute.length()));
            let value = attribute
                .into_inner()
                .get(NLA_HEADER_SIZE..length)
                .ok_or(cut)?;
            Ok((kind, value))
        })
    }

    /// The value of the first attribute of this type.
    pub(super) fn find(self, wanted: u16) -> Result<Option<&'a [u8]>, Malformed> {
        for attribute in self.iter() {
            let (kind, value) = attribute?;
            if kind == wanted {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    /// The attributes nested in the first one of this type.
    pub(super) fn nested(self, wanted: u16) -> Result<Option<Self>, Malformed> {
        Ok(self
            .find(wanted)?
            .map(|bytes| Self::new(self.object, bytes)))
    }

    /// The text of the first attribute of this type.
    pub(super) fn string(self, wanted: u16) -> Result<Option<String>, Malformed> {
        Ok(self.find(wanted)?.map(string))
    }

    /// The number, in network order, of the first attribute of this type.
    pub(super) fn u32(self, wanted: u16) -> Result<Option<u32>, Malformed> {
        Ok(self
            .find(wanted)?
            .and_then(|value| value.try_into().ok())
            .map(u32::from_be_bytes))
    }

    /// The long number, in network order, of the first attribute of this type.
    pub(super) fn u64(self, wanted: u16) -> Result<Option<u64>, Malformed> {
        Ok(self
            .find(wanted)?
            .and_then(|value| value.try_into().ok())
            .map(u64::from_be_bytes))
    }
}

/// The text up to its NUL.
pub(super) fn string(value: &[u8]) -> String {
    String::from_utf8_lossy(value.split(|byte| *byte == 0).next().unwrap_or_default()).into_owned()
}

/// One attribute, for tests of those who read some.
#[cfg(test)]
pub(super) fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + value.len()).expect("short");
    let mut attribute = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
    attribute.extend(value);
    attribute.resize(attribute.len().next_multiple_of(4), 0);
    attribute
}
