//! What a delegate that has ended meant by it.

use crate::{Error, Verb};
use cni::{AddResult, Version, excerpt};
use std::process::ExitStatus;

/// Reads an exit status and an output. A result is read in the version it names, or else in the
/// configuration's (DLG-4); a failure keeps the delegate's code, text and details.
pub fn judge(
    name: String,
    verb: Verb,
    version: Version,
    status: ExitStatus,
    output: &[u8],
) -> Result<Option<AddResult>, Error> {
    if !status.success() {
        return Err(failure(name, verb, status, output));
    }
    if verb != Verb::Add {
        return Ok(None);
    }
    AddResult::parse(output, version)
        .map(Some)
        .map_err(|error| Error::DelegateGarbage {
            name,
            why: error.to_string(),
            printed: first_line(output),
        })
}

fn failure(name: String, verb: Verb, status: ExitStatus, output: &[u8]) -> Error {
    let value = serde_json::from_slice(output).ok();
    match value.as_ref().and_then(cni::Error::from_json) {
        Some(error) => Error::DelegateFailed { name, error },
        None => Error::DelegateDied {
            name,
            verb,
            status,
            printed: first_line(output),
        },
    }
}

/// The first line that says something, shortened.
fn first_line(output: &[u8]) -> Option<String> {
    let mut lines = output.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
    let line = lines.find(|line| !line.is_empty())?;
    Some(excerpt(&String::from_utf8_lossy(line)))
}
