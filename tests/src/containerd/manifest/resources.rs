//! What a container is promised and allowed.

use super::fields::{Fields, Result};
use crate::containerd::cri::LinuxContainerResources;

/// How ready the kernel is to kill a critical pod when memory is short, as kubelet tells it.
const CRITICAL: i64 = -997;
/// The shares that a whole processor is worth.
const SHARES: i64 = 1024;

/// The resources of a container. [`Containerd`](crate::containerd::Containerd) has no controllers that would enforce them.
pub(super) fn of(mut fields: Fields, critical: bool) -> Result<LinuxContainerResources> {
    let (mut requests, mut limits) = (fields.object("requests")?, fields.object("limits")?);
    fields.end()?;
    let cpu = requests.text("cpu")?;
    let memory = limits.text("memory")?;
    // It decides where the pod runs.
    requests.skip(&["memory"]);
    requests.end()?;
    limits.end()?;
    Ok(LinuxContainerResources {
        cpu_shares: cpu.map_or(Ok(2), |text| {
            quantity(&text).map(|milli| milli * SHARES / 1_000_000)
        })?,
        memory_limit_in_bytes: memory
            .map_or(Ok(0), |text| quantity(&text).map(|milli| milli / 1000))?,
        oom_score_adj: if critical { CRITICAL } else { 0 },
        ..LinuxContainerResources::default()
    })
}

/// A quantity in thousandths.
fn quantity(text: &str) -> Result<i64> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = match &text[digits.len()..] {
        "m" => 1,
        "" => 1000,
        "Ki" => 1000 << 10,
        "Mi" => 1000 << 20,
        "Gi" => 1000 << 30,
        other => return Err(format!("the unit {other:?} of {text} is not known")),
    };
    let number: i64 = digits.parse().map_err(|_| format!("{text} is no number"))?;
    Ok(number * unit)
}
