//! What the kernel says over netlink: a datagram is read or refused, whatever its lengths claim.
//!
//! An input is a datagram. All of it goes to the reader of nf_tables, which covers refusals with their extended
//! acknowledgements too; the body of each message goes to the readers of rtnetlink, of its own kind or not.

#![no_main]

use kernel::net::nft::{Answer, parse_replies};
use kernel::net::{Address, Link, Route};
use libfuzzer_sys::fuzz_target;

/// `struct nlmsghdr`, whose first four bytes are the message's length.
const HEADER: usize = 16;

fuzz_target!(|datagram: &[u8]| {
    for reply in parse_replies(datagram).unwrap_or_default() {
        if let Answer::Rule(rule) = reply.answer {
            let _ = rule.targets().all(|target| rule.leads_to(target));
        }
    }
    bodies(datagram).for_each(objects);
});

/// What follows the header of each message. A length that cannot be takes the rest, so that any bytes have a body.
fn bodies(datagram: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        let length = u32::from_ne_bytes(*rest.first_chunk()?) as usize;
        let end = if (HEADER..=rest.len()).contains(&length) {
            length
        } else {
            rest.len()
        };
        let message = rest.get(..end)?;
        rest = rest.get(end.next_multiple_of(4)..).unwrap_or_default();
        Some(message.get(HEADER..).unwrap_or_default())
    })
}

fn objects(body: &[u8]) {
    let _ = kernel::net::conntrack::Flow::parse(body);
    // The number of the link is in the same place in a link and in an address, and in an attribute of a route.
    const ROUTES_LINK: u32 = 2;
    let index = body.get(4..).and_then(|rest| rest.first_chunk());
    let index = index.map_or(0, |index| u32::from_ne_bytes(*index));
    if let Some(link) = Link::parse(body) {
        assert_eq!(link.device.index, index);
    }
    let _ = Address::parse(body, index);
    if let Some(route) = Route::parse(body, ROUTES_LINK) {
        assert!(route.is_met_by(&route), "{route:?}");
    }
}
