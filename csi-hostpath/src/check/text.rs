//! Texts and maps: how much of them there may be, and what may stand in them (G-06, G-12, G-13).

use std::collections::{BTreeMap, HashMap};

use super::absent;
use crate::error::Error;
use crate::excerpt::excerpt;

/// The most bytes of a text that has no limit of its own.
pub(super) const TEXT: usize = 128;
/// The most bytes of a node's id.
pub(super) const NODE: usize = 256;
/// The most bytes of a map's keys and values together.
const MAP: usize = 4096;

/// A text that may be empty, of at most `most` bytes.
pub(super) fn optional(field: &str, text: &str, most: usize) -> Result<(), Error> {
    if text.len() > most {
        return Err(Error::Invalid(format!(
            "{field} {} is longer than {most} bytes",
            excerpt(text)
        )));
    }
    if text.contains('\0') {
        return Err(Error::Invalid(format!(
            "{field} {} holds a NUL",
            excerpt(text)
        )));
    }
    Ok(())
}

/// A text that is not empty, of at most `most` bytes.
pub(super) fn required(field: &str, text: &str, most: usize) -> Result<(), Error> {
    if text.is_empty() {
        return Err(absent(field, "it must not be empty"));
    }
    optional(field, text, most)
}

/// A name that the caller chose (G-13).
pub(super) fn name(text: String) -> Result<String, Error> {
    required("name", &text, TEXT)?;
    if text.contains(|c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r')) {
        return Err(Error::Invalid(format!(
            "name {} holds a control character, leave it out",
            excerpt(&text)
        )));
    }
    Ok(text)
}

/// A map with its keys in order.
pub(super) fn map(
    field: &str,
    map: HashMap<String, String>,
) -> Result<BTreeMap<String, String>, Error> {
    size(field, &map)?;
    if map
        .iter()
        .any(|(key, value)| key.contains('\0') || value.contains('\0'))
    {
        return Err(Error::Invalid(format!("{field} holds a NUL")));
    }
    Ok(map.into_iter().collect())
}

/// Secrets are well-formed (G-12); nobody looks at them further. The error shows neither key nor value.
pub(super) fn secrets(map: &HashMap<String, String>) -> Result<(), Error> {
    size("secrets", map)?;
    let is_key = |key: &String| {
        !key.is_empty()
            && key
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
    };
    if map.keys().all(is_key) {
        return Ok(());
    }
    Err(Error::Invalid(
        "secrets has a key of other characters than a-z, A-Z, 0-9, -, _ and .".to_owned(),
    ))
}

fn size(field: &str, map: &HashMap<String, String>) -> Result<(), Error> {
    let bytes: usize = map.iter().map(|(key, value)| key.len() + value.len()).sum();
    if bytes > MAP {
        return Err(Error::Invalid(format!(
            "{field} holds {bytes} bytes of keys and values, more than {MAP}"
        )));
    }
    Ok(())
}
