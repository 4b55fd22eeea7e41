//! Which address is next. Pure: the occupied addresses are asked for through a function.
//!
//! Round robin, as the reference does it: the search starts behind the address that was given out last, goes through the
//! ranges of the set in their order, and wraps round once, so that an address rests as long as possible before it is
//! used again (neighbours may still remember its old MAC).

use crate::address::Address;
use crate::bits::{Chunk, ChunkId};
use crate::range::RangeSet;

/// The next free address of the set that is no gateway, or `None` when there is none.
///
/// `cursor` is the address given out last; outside the set it means nothing. `chunk` tells what is occupied, `None`
/// standing for a chunk without any occupied address; it is asked for each chunk at most twice.
pub fn next<E>(
    set: &RangeSet,
    gateways: &[Address],
    cursor: Option<Address>,
    mut chunk: impl FnMut(ChunkId) -> Result<Option<Chunk>, E>,
) -> Result<Option<Address>, E> {
    for (from, to) in spans(set, cursor) {
        if let Some(free) = first_free(from, to, gateways, &mut chunk)? {
            return Ok(Some(free));
        }
    }
    Ok(None)
}

/// The stretches to search, in order; together they are the whole set.
fn spans(set: &RangeSet, cursor: Option<Address>) -> Vec<(Address, Address)> {
    let ranges = set.ranges();
    let whole = |range: &crate::range::Range| (range.start(), range.end());
    let at_cursor = cursor.and_then(|cursor| {
        let index = ranges.iter().position(|range| range.contains(cursor))?;
        Some((index, ranges.get(index)?, cursor))
    });
    let Some((index, range, cursor)) = at_cursor else {
        return ranges.iter().map(whole).collect();
    };
    let behind = cursor.next().filter(|next| *next <= range.end());
    behind
        .map(|next| (next, range.end()))
        .into_iter()
        .chain(ranges.iter().skip(index + 1).map(whole))
        .chain(ranges.iter().take(index).map(whole))
        .chain([(range.start(), cursor)])
        .collect()
}

fn first_free<E>(
    from: Address,
    to: Address,
    gateways: &[Address],
    chunk: &mut impl FnMut(ChunkId) -> Result<Option<Chunk>, E>,
) -> Result<Option<Address>, E> {
    let mut from = from;
    loop {
        let id = ChunkId::of(from);
        let last = id.last().min(to);
        let mut bits = chunk(id)?.unwrap_or_else(Chunk::empty);
        for gateway in gateways
            .iter()
            .filter(|gateway| ChunkId::of(**gateway) == id)
        {
            bits.set(*gateway, true);
        }
        if let Some(free) = bits.first_free(id, from, last) {
            return Ok(Some(free));
        }
        match last.next() {
            Some(next) if next <= to => from = next,
            _ => return Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::range::Range;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};
    use std::convert::Infallible;

    /// The occupied addresses, as the search asks for them.
    fn chunks(taken: &BTreeSet<Address>) -> BTreeMap<ChunkId, Chunk> {
        let mut chunks = BTreeMap::new();
        for address in taken {
            chunks
                .entry(ChunkId::of(*address))
                .or_insert_with(Chunk::empty)
                .set(*address, true);
        }
        chunks
    }

    fn pick(
        set: &RangeSet,
        gateways: &[Address],
        cursor: Option<Address>,
        taken: &BTreeSet<Address>,
    ) -> Option<Address> {
        let chunks = chunks(taken);
        let asked = |id| Ok::<_, Infallible>(chunks.get(&id).cloned());
        next(set, gateways, cursor, asked).unwrap()
    }

    /// The rule, said without any cleverness.
    fn naive(
        set: &RangeSet,
        gateways: &[Address],
        cursor: Option<Address>,
        taken: &BTreeSet<Address>,
    ) -> Option<Address> {
        let all: Vec<Address> = set
            .ranges()
            .iter()
            .flat_map(|range| {
                (range.start().number()..=range.end().number()).map(Address::from_number)
            })
            .collect();
        let start = cursor
            .and_then(|cursor| all.iter().position(|address| *address == cursor))
            .map_or(0, |position| position + 1);
        (0..all.len())
            .map(|step| all[(start + step) % all.len()])
            .find(|address| !taken.contains(address) && !gateways.contains(address))
    }

    fn address(text: &str) -> Address {
        Address::from_file_name(text).unwrap()
    }

    fn range(subnet: &str, start: &str, end: &str) -> Range {
        let ip = |text: &str| Some(text.parse().unwrap());
        Range::new(subnet.parse().unwrap(), ip(start), ip(end), None).unwrap()
    }

    /// One to three short ranges, across a chunk's border (10.1.127.255 | 10.1.128.0) or far from one.
    fn sets() -> impl Strategy<Value = RangeSet> {
        let border = address("10.1.127.250").number();
        prop::collection::vec((1_u128..12, 0_u128..9), 1..4).prop_map(move |stretches| {
            let mut next = border;
            let mut ranges = Vec::new();
            for (length, gap) in stretches {
                let start = next + gap;
                let end = start + length;
                next = end + 1;
                let text = |number| Address::from_number(number).to_string();
                ranges.push(range("10.1.0.0/16", &text(start), &text(end)));
            }
            ranges.reverse();
            RangeSet::new(ranges).unwrap()
        })
    }

    fn nearby() -> impl Strategy<Value = Address> {
        let border = address("10.1.127.250").number();
        (0_u128..40).prop_map(move |offset| Address::from_number(border + offset))
    }

    proptest! {
        #[test]
        fn agrees_with_the_naive_rule(
            set in sets(),
            gateways in prop::collection::vec(nearby(), 0..3),
            cursor in prop::option::of(nearby()),
            taken in prop::collection::btree_set(nearby(), 0..40),
        ) {
            let found = pick(&set, &gateways, cursor, &taken);
            prop_assert_eq!(found, naive(&set, &gateways, cursor, &taken));
            if let Some(found) = found {
                prop_assert!(set.range_of(found).is_some());
                prop_assert!(!taken.contains(&found) && !gateways.contains(&found));
            }
        }

        #[test]
        fn every_address_is_used_before_one_is_used_again(
            set in sets(),
            gateways in prop::collection::btree_set(nearby(), 0..3),
            cursor in prop::option::of(nearby()),
        ) {
            let gateways: Vec<_> = gateways.into_iter().collect();
            let (mut cursor, mut seen) = (cursor, BTreeSet::new());
            for _ in 0..set.capacity(&gateways) {
                let found = pick(&set, &gateways, cursor, &BTreeSet::new()).unwrap();
                prop_assert!(seen.insert(found), "{} twice", found);
                cursor = Some(found);
            }
        }

        #[test]
        fn a_set_fills_up_exactly(set in sets(), gateways in prop::collection::btree_set(nearby(), 0..3)) {
            let gateways: Vec<_> = gateways.into_iter().collect();
            let (mut cursor, mut taken) = (None, BTreeSet::new());
            while let Some(found) = pick(&set, &gateways, cursor, &taken) {
                prop_assert!(taken.insert(found));
                cursor = Some(found);
            }
            prop_assert_eq!(taken.len() as u128, set.capacity(&gateways));
        }
    }

    #[test]
    fn a_huge_range_asks_for_one_chunk_only() {
        let set = RangeSet::new(vec![range(
            "fd00::/64",
            "fd00::1",
            "fd00::ffff:ffff:ffff:ffff",
        )])
        .unwrap();
        let mut asked = 0;
        let found = next(&set, &[address("fd00::1")], None, |_| {
            asked += 1;
            Ok::<_, Infallible>(None)
        });
        assert_eq!((found.unwrap(), asked), (Some(address("fd00::2")), 1));
    }

    #[test]
    fn the_very_last_address_is_no_trap() {
        let last = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
        let set = RangeSet::new(vec![range("ffff::/16", last, last)]).unwrap();
        let taken = BTreeSet::from([address(last)]);
        assert_eq!(pick(&set, &[], Some(address(last)), &taken), None);
        assert_eq!(
            pick(&set, &[], Some(address(last)), &BTreeSet::new()),
            Some(address(last))
        );
    }

    #[test]
    fn the_last_free_address_of_a_16_is_found_behind_the_cursor() {
        let set = RangeSet::new(vec![range("10.1.0.0/16", "10.1.0.1", "10.1.255.254")]).unwrap();
        let free = address("10.1.0.77");
        let taken = (address("10.1.0.1").number()..=address("10.1.255.254").number())
            .map(Address::from_number)
            .filter(|address| *address != free)
            .collect();
        assert_eq!(
            pick(&set, &[address("10.1.0.1")], Some(free), &taken),
            Some(free)
        );
    }
}
