//! The kernel's own words about a refused request: the extended acknowledgement of netlink.
//!
//! A socket asks for them with NETLINK_EXT_ACK. They follow the error code and the echo of the request's header, as
//! attributes; with NETLINK_CAP_ACK the echo ends there, without it the whole refused request comes first.

use netlink_packet_core::{
    NLA_HEADER_SIZE, NLM_F_ACK_TLVS, NLM_F_CAPPED, NLM_F_MULTIPART, NlasIterator,
};

const CODE: usize = 4;
const HEADER: usize = 16;
const MESSAGE: u16 = 1;
const OFFSET: u16 = 2;

/// What the kernel says in words. `error` is the payload of an NLMSG_ERROR or NLMSG_DONE message, its code first;
/// `flags` are those of the message's header.
pub(crate) fn text(error: &[u8], flags: u16) -> Option<String> {
    let message = attribute(error, flags, MESSAGE)?;
    let text = message.split(|byte| *byte == 0).next().unwrap_or_default();
    (!text.is_empty()).then(|| String::from_utf8_lossy(text).into_owned())
}

/// Where in the request, counted from the start of its header, the attribute stands that the kernel refused.
pub(crate) fn offset(error: &[u8], flags: u16) -> Option<u32> {
    let offset = attribute(error, flags, OFFSET)?;
    Some(u32::from_ne_bytes(offset.try_into().ok()?))
}

fn attribute(error: &[u8], flags: u16, kind: u16) -> Option<&[u8]> {
    if flags & NLM_F_ACK_TLVS == 0 {
        return None;
    }
    let echo = error.get(CODE..)?;
    let attributes = echo.get(echoed(echo, flags)?..)?;
    let found = NlasIterator::new(attributes)
        .map_while(Result::ok)
        .find(|found| found.kind() == kind)?;
    let length = usize::from(found.length());
    found.into_inner().get(NLA_HEADER_SIZE..length)
}

/// How many bytes of the request come before the attributes. The end of a dump, a part of many, echoes none.
fn echoed(echo: &[u8], flags: u16) -> Option<usize> {
    if flags & NLM_F_MULTIPART != 0 {
        Some(0)
    } else if flags & NLM_F_CAPPED != 0 {
        Some(HEADER)
    } else {
        let request = u32::from_ne_bytes(*echo.first_chunk()?);
        usize::try_from(request)
            .ok()?
            .max(HEADER)
            .checked_next_multiple_of(4)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// An error whose request had `request` bytes, with the attributes that the kernel adds.
    fn error(request: &[u8], words: &str) -> Vec<u8> {
        let mut error = (-2i32).to_ne_bytes().to_vec();
        error.extend(
            u32::try_from(request.len() + HEADER)
                .expect("short")
                .to_ne_bytes(),
        );
        error.extend([0; HEADER - 4]);
        error.extend(request);
        error.resize(error.len().next_multiple_of(4), 0);
        error.extend([8u16.to_ne_bytes(), OFFSET.to_ne_bytes()].concat());
        error.extend(20u32.to_ne_bytes());
        error.extend(
            [u16::try_from(words.len() + 5).expect("short"), MESSAGE]
                .map(u16::to_ne_bytes)
                .concat(),
        );
        error.extend(words.as_bytes());
        error.push(0);
        error
    }

    #[test]
    fn words_and_offset_follow_the_echo_of_the_header() {
        let error = error(&[], "Chain of such a name is in use");
        let flags = NLM_F_ACK_TLVS | NLM_F_CAPPED;
        assert_eq!(
            text(&error, flags).as_deref(),
            Some("Chain of such a name is in use")
        );
        assert_eq!(offset(&error, flags), Some(20));
    }

    #[test]
    fn an_uncapped_error_echoes_the_whole_request_first() {
        let error = error(b"odd", "not here");
        assert_eq!(text(&error, NLM_F_ACK_TLVS).as_deref(), Some("not here"));
    }

    #[test]
    fn the_end_of_a_dump_echoes_nothing() {
        let mut done = (-1i32).to_ne_bytes().to_vec();
        done.extend([9u16, MESSAGE].map(u16::to_ne_bytes).concat());
        done.extend(b"busy\0");
        assert_eq!(
            text(&done, NLM_F_ACK_TLVS | NLM_F_MULTIPART).as_deref(),
            Some("busy")
        );
    }

    #[test]
    fn without_the_flag_there_are_no_words() {
        assert_eq!(text(&error(&[], "ignored"), NLM_F_CAPPED), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(error in prop::collection::vec(any::<u8>(), 0..96), flags in any::<u16>()) {
            let flags = flags | NLM_F_ACK_TLVS;
            let _ = (text(&error, flags), offset(&error, flags));
        }
    }
}
