//! What the `nft` program keeps beside objects: comments, and how the values in a set are to be printed.
//!
//! The kernel stores it uninterpreted as "user data": entries of a type byte, a length byte and that many bytes. Of
//! rules and of elements, type 0 is the comment, with a NUL at its end.

use super::value::Type;

const COMMENT: u8 = 0;

/// The longest comment that an element has room for, in bytes: the kernel counts what stands beside an element in one
/// byte. `nft` prints it whole, but reads no more than 128 back from its own listing.
const LONGEST: usize = 251;

/// Why the comment cannot be kept, if it cannot.
pub(super) fn fault(comment: &str) -> Option<String> {
    if comment.len() > LONGEST {
        let length = comment.len();
        return Some(format!(
            "its comment has {length} bytes and may have {LONGEST}: {comment:?}"
        ));
    }
    comment
        .contains('\0')
        .then(|| format!("its comment contains a NUL: {comment:?}"))
}

/// The comment as user data.
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

/// The user data of a set: without it `nft` takes the names of interfaces for numbers, and prints none.
pub(super) fn of_set(key: &[Type], data: &[Type]) -> Vec<u8> {
    const KEY_BYTE_ORDER: u8 = 0;
    const DATA_BYTE_ORDER: u8 = 1;
    let entry = |kind, order: u32| [&[kind, 4][..], &order.to_ne_bytes()].concat();
    [
        entry(KEY_BYTE_ORDER, byte_order(key)),
        entry(DATA_BYTE_ORDER, byte_order(data)),
    ]
    .concat()
}

/// The number that `nft` has for the order of a value's bytes; a concatenation has none.
const fn byte_order(types: &[Type]) -> u32 {
    match types {
        [Type::Ifname] => 1,
        [_] => 2,
        _ => 0,
    }
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
