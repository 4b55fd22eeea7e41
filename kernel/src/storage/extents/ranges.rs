//! Ranges that follow from extents. Nothing here looks at a file.

use super::Extent;

/// Where a file of `size` bytes holds data.
pub fn allocated(extents: &[Extent], size: u64) -> Vec<(u64, u64)> {
    let mut ranges = Ranges::default();
    for extent in written(extents) {
        ranges.add(extent.logical, extent.end().min(size));
    }
    ranges.0
}

/// Where `target`, a file of `size` bytes, does not share its bytes with `base`: data that lies elsewhere, has come or has
/// gone. Holds as long as both files keep what they have, as snapshots do: then bytes at the same place are the same.
///
/// An extent whose bytes are not simply those at its place (compressed, for example) counts as changed unless `base` has
/// the very same one; one without a place always does.
pub fn changed(base: &[Extent], target: &[Extent], size: u64) -> Vec<(u64, u64)> {
    let (base, target): (Vec<_>, Vec<_>) = (written(base).collect(), written(target).collect());
    let (mut base, mut target) = (Cursor::new(&base), Cursor::new(&target));
    let mut ranges = Ranges::default();
    let mut at = 0;
    while at < size {
        let (old, new) = (base.at(at), target.at(at));
        // Up to here both are what they are at `at`.
        let end = base.until(at).min(target.until(at)).min(size);
        if !same(old, new) {
            ranges.add(at, end);
        }
        at = end;
    }
    ranges.0
}

/// The ranges widened to multiples of `unit` bytes, but not beyond `size`.
pub fn aligned(ranges: &[(u64, u64)], unit: u64, size: u64) -> Vec<(u64, u64)> {
    let unit = unit.max(1);
    let mut wide = Ranges::default();
    for (offset, length) in ranges {
        let end = offset.saturating_add(*length);
        let end = end.checked_next_multiple_of(unit).unwrap_or(u64::MAX);
        wide.add(offset / unit * unit, end.min(size));
    }
    wide.0
}

fn written(extents: &[Extent]) -> impl Iterator<Item = &Extent> {
    extents.iter().filter(|extent| !extent.is_unwritten())
}

/// Whether two files have the same bytes where one has `old` and the other `new`, `None` for a hole.
fn same(old: Option<&Extent>, new: Option<&Extent>) -> bool {
    match (old, new) {
        (None, None) => true,
        (Some(old), Some(new)) if old.is_direct() && new.is_direct() => {
            // The same distance from file to place.
            old.physical.wrapping_sub(old.logical) == new.physical.wrapping_sub(new.logical)
        }
        (Some(old), Some(new)) => {
            let whole = |extent: &Extent| (extent.logical, extent.physical, extent.length);
            old.is_placed()
                && new.is_placed()
                && old.is_direct() == new.is_direct()
                && whole(old) == whole(new)
        }
        (Some(_), None) | (None, Some(_)) => false,
    }
}

/// A place in ascending extents that only moves on.
struct Cursor<'a> {
    ahead: &'a [&'a Extent],
}

impl<'a> Cursor<'a> {
    const fn new(extents: &'a [&'a Extent]) -> Self {
        Self { ahead: extents }
    }

    /// The extent over a byte.
    fn at(&mut self, at: u64) -> Option<&'a Extent> {
        while let [first, rest @ ..] = self.ahead
            && first.end() <= at
        {
            self.ahead = rest;
        }
        self.ahead
            .first()
            .copied()
            .filter(|extent| extent.logical <= at)
    }

    /// Where the extent, or the hole, over the byte that was asked for last ends.
    fn until(&self, at: u64) -> u64 {
        match self.ahead.first() {
            Some(extent) if extent.logical <= at => extent.end(),
            Some(extent) => extent.logical,
            None => u64::MAX,
        }
    }
}

/// Ranges being put together, in ascending order of their beginnings.
#[derive(Default)]
pub(super) struct Ranges(pub(super) Vec<(u64, u64)>);

impl Ranges {
    /// Adds what lies between two offsets, to the last range where they touch.
    pub(super) fn add(&mut self, start: u64, end: u64) {
        match self.0.last_mut() {
            Some((offset, length)) if start <= *offset + *length => {
                *length = (*length).max(end.saturating_sub(*offset));
            }
            _ if start < end => self.0.push((start, end - start)),
            _ => {}
        }
    }
}
