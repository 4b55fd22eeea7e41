//! Which part of a list.

use super::text;
use crate::error::Error;
use crate::request::Page;

/// The part that begins after `token`, which has the form of the list's ids (LV-01).
pub(super) fn read(
    max_entries: i32,
    token: String,
    is_id: fn(&str) -> bool,
) -> Result<Page, Error> {
    let most = at_most("max_entries", max_entries)?;
    text::optional("starting_token", &token, text::TEXT)?;
    match token.as_str() {
        "" => Ok(Page { most, after: None }),
        token if is_id(token) => Ok(Page {
            most,
            after: Some(token.to_owned()),
        }),
        token => Err(Error::Token(token.to_owned())),
    }
}

/// A number of entries; 0 is no limit.
pub(super) fn at_most(field: &str, entries: i32) -> Result<Option<usize>, Error> {
    match usize::try_from(entries) {
        Ok(0) => Ok(None),
        Ok(most) => Ok(Some(most)),
        Err(_) => Err(Error::Invalid(format!(
            "{field} {entries} is less than 0: leave it at 0 for no limit"
        ))),
    }
}
