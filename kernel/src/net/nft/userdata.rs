//! Comments, in the form that the `nft` program keeps and prints.
//!
//! The kernel stores them uninterpreted as "user data": a type byte, a length byte and the text with its NUL. Type 0 is
//! the comment, of rules and of elements alike.

const COMMENT: u8 = 0;

/// The longest comment the kernel has room for, in bytes. `nft` prints it whole, but reads no more than 128 back from
/// its own listing.
pub(super) const LONGEST: usize = 253;

/// The comment as user data. It must be no longer than [`LONGEST`] and without NUL.
pub(super) fn with_comment(comment: &str) -> Vec<u8> {
    let length = u8::try_from(comment.len() + 1).unwrap_or(u8::MAX);
    let mut data = vec![COMMENT, length];
    data.extend(comment.as_bytes());
    data.push(0);
    data
}

/// The comment in this user data, whichever other entries stand beside it.
pub(super) fn comment(mut data: &[u8]) -> Option<String> {
    while let [kind, length, rest @ ..] = data {
        let (value, next) = rest.split_at_checked(usize::from(*length))?;
        if *kind == COMMENT {
            return Some(String::from_utf8_lossy(value.strip_suffix(&[0])?).into_owned());
        }
        data = next;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_comment_is_read_back(text in "[^\0]{0,60}", other in prop::collection::vec(any::<u8>(), 0..9)) {
            let mut data = vec![7, u8::try_from(other.len())?];
            data.extend(other);
            data.extend(with_comment(&text));
            prop_assert_eq!(comment(&data), Some(text));
        }

        #[test]
        fn any_bytes_are_read_without_panic(data in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = comment(&data);
        }
    }
}
