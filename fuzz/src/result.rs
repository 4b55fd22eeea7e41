//! Results of every version (CNV-1 to CNV-7): what could be read can be written, and reads back as what was written.

#![no_main]

use cni::{AddResult, ResultError, Version};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|printed: &[u8]| {
    for default in Version::ALL {
        if let Ok(result) = AddResult::parse(printed, default) {
            for version in Version::ALL {
                there_and_back(&result, version);
            }
        }
    }
});

fn there_and_back(result: &AddResult, version: Version) {
    let written = match result.to_json(version) {
        Ok(written) => written,
        Err(error) => {
            assert_eq!(error, ResultError::NoAddress(version));
            assert!(result.ips.is_empty() && version < Version::V0_3_0);
            return;
        }
    };
    // The version that the result names itself decides, so any other default does not matter.
    let read = AddResult::from_json(&written, Version::NEWEST).map_err(|error| error.to_string());
    if version >= Version::V1_0_0 {
        assert_eq!(read.as_ref(), Ok(result));
    }
    assert_eq!(read.map(|read| read.to_json(version)), Ok(Ok(written)));
}
