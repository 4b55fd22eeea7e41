//! Sizes that callers ask for.

use proto::csi::CapacityRange;

use crate::error::Error;
use crate::quantity::Bytes;
use crate::request::SizeRange;

/// The range, if there is one (CV-03).
pub(super) fn optional(range: Option<CapacityRange>) -> Result<Option<SizeRange>, Error> {
    range.map(read).transpose()
}

fn read(range: CapacityRange) -> Result<SizeRange, Error> {
    let required = bytes("required_bytes", range.required_bytes)?;
    let limit = bytes("limit_bytes", range.limit_bytes)?;
    if required == 0 && limit == 0 {
        return Err(Error::Invalid(
            "capacity_range has neither required_bytes nor limit_bytes: set one, or leave the range out".to_owned(),
        ));
    }
    // Zero means not given (G-07).
    let limit = (limit != 0).then_some(limit);
    if let Some(limit) = limit.filter(|limit| *limit < required) {
        return Err(Error::Invalid(format!(
            "capacity_range.required_bytes {} is more than limit_bytes {}",
            Bytes(required),
            Bytes(limit)
        )));
    }
    Ok(SizeRange { required, limit })
}

fn bytes(field: &str, bytes: i64) -> Result<u64, Error> {
    u64::try_from(bytes)
        .map_err(|_| Error::Invalid(format!("capacity_range.{field} {bytes} is less than 0")))
}
