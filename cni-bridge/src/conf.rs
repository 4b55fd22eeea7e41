//! The configuration as settings: every key read, every rule checked, before anything is made.

use crate::error::Error;
use cni::{ConfigError, Dns, Section, excerpt};
use cni_plugin::Request;
use kernel::net::Mac;
use std::collections::BTreeSet;
use std::ops::RangeInclusive;

const DEFAULT_BRIDGE: &str = "cni0";
/// What a veth takes.
const MTU: RangeInclusive<i64> = 68..=65_535;
const VLAN_LIMIT: i64 = 4094;

/// What a network asks of this plugin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "they are the configuration's own switches"
)]
pub struct Settings {
    /// Name of the bridge.
    pub bridge: String,
    /// The bridge has the gateway's addresses and the node forwards.
    pub is_gateway: bool,
    /// Pods get a default route through it.
    pub is_default_gateway: bool,
    /// Another address that the bridge has is replaced.
    pub force_address: bool,
    /// Pods reach the outside under the node's address.
    pub masquerade: bool,
    /// Bytes; `None` for the kernel's default.
    pub mtu: Option<u32>,
    /// Pods may reach themselves through the bridge.
    pub hairpin: bool,
    /// The bridge takes frames for every address.
    pub promiscuous: bool,
    /// The VLAN of the pod's untagged frames.
    pub vlan: Option<u16>,
    /// The VLANs that the pod may tag; `None` without `vlanTrunk`.
    pub trunk: Option<BTreeSet<u16>>,
    /// VLAN 1, which the kernel gives every port, stays.
    pub preserve_default_vlan: bool,
    /// Frames leave the pod only under its own MAC.
    pub antispoof: bool,
    /// IPv6 addresses are used only once nobody else has them.
    pub detect_duplicates: bool,
    /// The pod's end stays down.
    pub pod_end_down: bool,
    /// The pod reaches only ports that are not isolated.
    pub isolated: bool,
    /// The pod's MAC; `None` for a random one.
    pub mac: Option<Mac>,
    /// The IPAM plugin; `None` on a layer 2 network.
    pub ipam: Option<String>,
    /// What the network says about name resolution, before the IPAM plugin.
    pub dns: Dns,
}

impl Settings {
    /// Reads and checks the settings of a request.
    pub fn parse(request: &Request) -> Result<Self, Error> {
        let config = request.config();
        let mut settings = Self::from_section(&config.root())?;
        settings.ipam = request.ipam_type()?.map(str::to_owned);
        settings.mac = requested_mac(&config.root(), request.args().get("MAC"))?;
        settings.check()?;
        Ok(settings)
    }

    fn from_section(root: &Section<'_>) -> Result<Self, Error> {
        let switch = |key| Ok::<_, ConfigError>(root.boolean(key)?.unwrap_or(false));
        masquerade_backend(root)?;
        let is_default_gateway = switch("isDefaultGateway")?;
        Ok(Self {
            bridge: bridge_name(root)?,
            is_gateway: switch("isGateway")? || is_default_gateway,
            is_default_gateway,
            force_address: switch("forceAddress")?,
            masquerade: switch("ipMasq")?,
            mtu: mtu(root)?,
            hairpin: switch("hairpinMode")?,
            promiscuous: switch("promiscMode")?,
            vlan: number(root, "vlan", 0..=VLAN_LIMIT)?.filter(|vlan| *vlan != 0),
            trunk: trunk(root)?,
            preserve_default_vlan: switch("preserveDefaultVlan")?,
            antispoof: switch("macspoofchk")?,
            detect_duplicates: switch("enabledad")?,
            pod_end_down: switch("disableContainerInterface")?,
            isolated: switch("portIsolation")?,
            mac: None,
            ipam: None,
            dns: root
                .section("dns")?
                .map(|dns| Dns::from_section(&dns))
                .transpose()?
                .unwrap_or_default(),
        })
    }

    fn check(&self) -> Result<(), Error> {
        if self.hairpin && self.promiscuous {
            return conflict(
                "\"hairpinMode\" and \"promiscMode\" exclude each other: set one of them to false",
            );
        }
        if let (true, Some(ipam)) = (self.pod_end_down, &self.ipam) {
            return conflict(format!(
                "\"disableContainerInterface\" keeps the interface down, so it can have no address: remove ipam {} or the key",
                excerpt(ipam)
            ));
        }
        if let (true, Some(vlan)) = (self.is_gateway, self.vlan) {
            let device = format!("{}.{vlan}", self.bridge);
            if device.parse::<cni::IfName>().is_err() {
                return conflict(format!(
                    "\"vlan\" with \"isGateway\" needs a device {device}, whose name is too long: shorten \"bridge\""
                ));
            }
        }
        Ok(())
    }

    /// The key that makes the bridge filter VLANs, if one does.
    pub fn vlan_key(&self) -> Option<&'static str> {
        match (self.vlan, &self.trunk) {
            (Some(_), _) => Some("vlan"),
            (None, Some(_)) => Some("vlanTrunk"),
            (None, None) => None,
        }
    }
}

fn conflict<T>(text: impl Into<String>) -> Result<T, Error> {
    Err(Error::Conflict(text.into()))
}

fn number<T: TryFrom<i64>>(
    section: &Section<'_>,
    key: &str,
    range: RangeInclusive<i64>,
) -> Result<Option<T>, ConfigError> {
    Ok(section
        .integer(key, range)?
        .and_then(|number| T::try_from(number).ok()))
}

fn bridge_name(root: &Section<'_>) -> Result<String, ConfigError> {
    let name = root
        .string("bridge")?
        .filter(|name| !name.is_empty())
        .unwrap_or(DEFAULT_BRIDGE);
    match name.parse::<cni::IfName>() {
        Ok(_) => Ok(name.to_owned()),
        Err(error) => Err(root.broken(
            "bridge",
            format!("a name that an interface can have ({error})"),
        )),
    }
}

fn mtu(root: &Section<'_>) -> Result<Option<u32>, ConfigError> {
    match root.integer("mtu", i64::MIN..=i64::MAX)? {
        None | Some(0) => Ok(None),
        Some(mtu) if MTU.contains(&mtu) => Ok(u32::try_from(mtu).ok()),
        Some(_) => {
            let wanted = format!("a number from {} to {}, or 0", MTU.start(), MTU.end());
            Err(root.broken("mtu", wanted))
        }
    }
}

/// Both names are served by nf_tables: iptables itself is a front end of it.
fn masquerade_backend(root: &Section<'_>) -> Result<(), ConfigError> {
    match root.string("ipMasqBackend")? {
        None | Some("" | "iptables" | "nftables") => Ok(()),
        Some(_) => Err(root.broken(
            "ipMasqBackend",
            "\"nftables\" or \"iptables\" (both are served by nf_tables)",
        )),
    }
}

fn trunk(root: &Section<'_>) -> Result<Option<BTreeSet<u16>>, ConfigError> {
    let Some(entries) = root.sections("vlanTrunk")? else {
        return Ok(None);
    };
    let mut vlans = BTreeSet::new();
    for entry in entries {
        let id: Option<u16> = number(&entry, "id", 0..=VLAN_LIMIT)?;
        let bounds = (
            number::<u16>(&entry, "minID", 0..=VLAN_LIMIT)?,
            number::<u16>(&entry, "maxID", 0..=VLAN_LIMIT)?,
        );
        match bounds {
            (Some(min), Some(max)) if min > max => {
                return Err(entry.broken("minID", format!("a number up to maxID {max}")));
            }
            (Some(min), Some(max)) => vlans.extend(min..=max),
            (Some(_), None) => return Err(entry.missing("maxID", "the last VLAN of the range")),
            (None, Some(_)) => return Err(entry.missing("minID", "the first VLAN of the range")),
            (None, None) if id.is_none() => {
                return Err(entry.missing("id", "a VLAN, or a range as minID and maxID"));
            }
            (None, None) => {}
        }
        vlans.extend(id);
        if vlans.contains(&0) {
            let key = if id == Some(0) { "id" } else { "minID" };
            return Err(entry.broken(key, format!("a number from 1 to {VLAN_LIMIT}")));
        }
    }
    Ok(Some(vlans))
}

/// The MAC from its three places; the runtime's word comes before the user's metadata, and that before `CNI_ARGS`.
fn requested_mac(root: &Section<'_>, from_args: Option<&str>) -> Result<Option<Mac>, ConfigError> {
    let args = root
        .section("args")?
        .map(|args| args.section("cni"))
        .transpose()?
        .flatten();
    for section in [root.section("runtimeConfig")?, args].into_iter().flatten() {
        if let Some(text) = section.string("mac")?.filter(|text| !text.is_empty()) {
            let mac = text
                .parse()
                .map_err(|_| section.broken("mac", MAC_WANTED))?;
            return Ok(Some(mac));
        }
    }
    let parse = |text: &str| {
        text.parse().map_err(|_| ConfigError::Value {
            path: "MAC in CNI_ARGS".into(),
            found: format!("{text:?}"),
            wanted: MAC_WANTED.into(),
        })
    };
    from_args
        .filter(|text| !text.is_empty())
        .map(parse)
        .transpose()
}

const MAC_WANTED: &str = "a unicast MAC address such as 02:00:5e:10:00:01";

#[cfg(test)]
mod tests {
    use super::*;
    use cni::Config;

    fn settings(keys: &str) -> Result<Settings, Error> {
        let text = format!(r#"{{"cniVersion":"1.1.0","name":"podnet","type":"bridge"{keys}}}"#);
        let config = Config::parse(text.as_bytes())?;
        let settings = Settings::from_section(&config.root())?;
        settings.check().map(|()| settings)
    }

    #[test]
    fn an_empty_configuration_has_the_documented_defaults() {
        let wanted = Settings {
            bridge: "cni0".into(),
            ..Settings::default()
        };
        assert_eq!(settings("").unwrap(), wanted);
        assert_eq!(
            settings(r#","bridge":"","mtu":0,"vlan":0,"ipMasqBackend":null"#).unwrap(),
            wanted
        );
    }

    #[test]
    fn keys_are_read_in_any_letter_case() {
        let found = settings(r#","BRIDGE":"br1","isdefaultgateway":true,"IPMASQ":true,"ipMasqBackend":"iptables","MTU":1400"#).unwrap();
        assert_eq!(
            (
                found.bridge.as_str(),
                found.is_gateway,
                found.masquerade,
                found.mtu
            ),
            ("br1", true, true, Some(1400))
        );
    }

    #[test]
    fn a_trunk_is_a_set_of_vlans() {
        let found =
            settings(r#","vlanTrunk":[{"minID":10,"maxID":12},{"id":11},{"id":5}]"#).unwrap();
        assert_eq!(found.trunk, Some(BTreeSet::from([5, 10, 11, 12])));
        assert_eq!(
            settings(r#","vlanTrunk":[]"#).unwrap().vlan_key(),
            Some("vlanTrunk")
        );
    }

    #[test]
    fn what_breaks_a_rule_is_named_with_its_value() {
        for (keys, parts) in [
            (
                r#","hairpinMode":true,"promiscMode":true"#,
                ["hairpinMode", "promiscMode"],
            ),
            (r#","bridge":"a/b""#, ["bridge", "a/b"]),
            (
                r#","bridge":"a-much-too-long-name""#,
                ["bridge", "a-much-too-long-name"],
            ),
            (
                r#","ipMasqBackend":"ebtables""#,
                ["ipMasqBackend", "ebtables"],
            ),
            (r#","mtu":"1500""#, ["mtu", "1500"]),
            (r#","mtu":-1"#, ["mtu", "-1"]),
            (r#","mtu":67"#, ["mtu", "from 68"]),
            (r#","vlan":4095"#, ["vlan", "4095"]),
            (
                r#","vlanTrunk":[{"minID":4,"maxID":2}]"#,
                ["vlanTrunk[0].minID", "4"],
            ),
            (
                r#","vlanTrunk":[{"minID":4}]"#,
                ["vlanTrunk[0].maxID", "last VLAN"],
            ),
            (r#","vlanTrunk":[{}]"#, ["vlanTrunk[0].id", "minID"]),
            (
                r#","vlanTrunk":[{"id":0}]"#,
                ["vlanTrunk[0].id", "1 to 4094"],
            ),
            (
                r#","isGateway":true,"vlan":100,"bridge":"elevenchars""#,
                ["vlan", ""],
            ),
        ] {
            match settings(keys) {
                Ok(found) if keys.contains("elevenchars") => assert_eq!(found.vlan, Some(100)),
                Ok(_) => panic!("{keys} was taken"),
                Err(error) => {
                    for part in parts {
                        assert!(
                            error.to_string().contains(part),
                            "{error} does not name {part:?}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn the_mac_of_the_runtime_comes_first() {
        let mac = |keys: &str, args| {
            let text = format!(r#"{{"cniVersion":"1.1.0","name":"podnet","type":"bridge"{keys}}}"#);
            requested_mac(&Config::parse(text.as_bytes()).unwrap().root(), args)
                .map(|mac| mac.map(|mac| mac.to_string()))
        };
        let runtime = r#","runtimeConfig":{"mac":"02:00:00:00:00:01"}"#;
        let args = r#","args":{"cni":{"mac":"02:00:00:00:00:02"}}"#;
        let cni_args = Some("02:00:00:00:00:03");
        assert_eq!(
            mac(&format!("{runtime}{args}"), cni_args).unwrap().unwrap(),
            "02:00:00:00:00:01"
        );
        assert_eq!(mac(args, cni_args).unwrap().unwrap(), "02:00:00:00:00:02");
        assert_eq!(mac("", cni_args).unwrap().unwrap(), "02:00:00:00:00:03");
        assert!(
            mac("", Some("01:00:00:00:00:01"))
                .unwrap_err()
                .to_string()
                .contains("01:00:00:00:00:01")
        );
    }
}
