//! Results from JSON (CNV-1, CNV-4): whichever the version, what comes out has the shape of 1.1.0.
//!
//! Keys that a version does not have yet are read all the same, because plugins write them under
//! older versions too. The family tag of an address is not read: the address says it.

use super::{AddResult, Interface, IpConfig};
use crate::section::Section;
use crate::value::ConfigError;
use crate::version::Shape;
use crate::{Dns, Route, Version};
use serde_json::Value;

pub(super) fn result(value: &Value, default: Version) -> Result<AddResult, ConfigError> {
    let Value::Object(object) = value else {
        let path = "the result".into();
        return Err(ConfigError::wrong_type(path, value, "an object"));
    };
    let section = Section::root(object);
    let version = own_version(&section)?.unwrap_or(default);
    read(&section, version)
}

/// Reads a configuration's `prevResult`, which has to be of the configuration's own generation.
pub(crate) fn prev_result(
    section: &Section<'_>,
    config: Version,
) -> Result<AddResult, ConfigError> {
    match own_version(section)? {
        Some(prev) if !prev.same_results(config) => Err(ConfigError::PrevResult { prev, config }),
        _ => read(section, config),
    }
}

fn own_version(section: &Section<'_>) -> Result<Option<Version>, ConfigError> {
    match section.string("cniVersion")? {
        None | Some("") => Ok(None),
        Some(text) => text
            .parse()
            .map(Some)
            .map_err(|_| ConfigError::unknown_version(section.path("cniVersion"), text)),
    }
}

fn read(section: &Section<'_>, version: Version) -> Result<AddResult, ConfigError> {
    let dns = section.section("dns")?;
    let dns = dns.as_ref().map(Dns::from_section).transpose()?;
    let mut result = AddResult {
        dns: dns.unwrap_or_default(),
        ..AddResult::default()
    };
    match version.shape() {
        Shape::PerFamily => per_family(section, &mut result)?,
        Shape::Tagged | Shape::Plain => lists(section, &mut result)?,
    }
    Ok(result)
}

/// `ip4` before `ip6`, and their routes in the same order (CNV-1).
fn per_family(section: &Section<'_>, result: &mut AddResult) -> Result<(), ConfigError> {
    for family in ["ip4", "ip6"] {
        let Some(section) = section.section(family)? else {
            continue;
        };
        result.ips.push(address(&section, "ip")?);
        result.routes.extend(Route::list(&section)?);
    }
    Ok(())
}

fn lists(section: &Section<'_>, result: &mut AddResult) -> Result<(), ConfigError> {
    for link in section.sections("interfaces")?.unwrap_or_default() {
        result.interfaces.push(interface(&link)?);
    }
    for ip in section.sections("ips")?.unwrap_or_default() {
        let mut config = address(&ip, "address")?;
        // Version 0.3.0 had no other way to say "none" than a negative index.
        let index = ip.integer("interface", i64::MIN..=i64::MAX)?;
        config.interface = index.and_then(|index| usize::try_from(index).ok());
        result.ips.push(config);
    }
    result.routes = Route::list(section)?;
    Ok(())
}

fn address(section: &Section<'_>, key: &str) -> Result<IpConfig, ConfigError> {
    let address = section
        .cidr(key)?
        .ok_or_else(|| section.missing(key, "an address such as 10.1.0.7/16"))?;
    Ok(IpConfig {
        address,
        gateway: section.address("gateway")?,
        interface: None,
    })
}

fn interface(section: &Section<'_>) -> Result<Interface, ConfigError> {
    let text = |key| -> Result<String, ConfigError> {
        Ok(section.string(key)?.unwrap_or_default().to_owned())
    };
    Ok(Interface {
        name: text("name")?,
        mac: text("mac")?,
        mtu: section.unsigned("mtu")?.filter(|&mtu| mtu > 0),
        sandbox: text("sandbox")?,
        socket_path: text("socketPath")?,
        pci_id: text("pciID")?,
    })
}
