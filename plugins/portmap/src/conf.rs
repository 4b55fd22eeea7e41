//! The configuration as settings: every key read, every rule checked, before anything is made.

use crate::condition::{self, Condition};
use cni::{ConfigError, Section};
use cni_plugin::Request;
use std::fmt;
use std::net::IpAddr;

/// What a network asks of this plugin, and what the runtime asks for one pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The mappings, each once.
    pub mappings: Vec<Mapping>,
    /// Whose source address is hidden from the pod, so that its answers come back this way.
    pub hidden: Hidden,
    /// What an IPv4 packet has to be for the mappings to hold for it.
    pub conditions_v4: Vec<Condition>,
    /// The same for IPv6.
    pub conditions_v6: Vec<Condition>,
}

/// Whose source address is hidden from the pod.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hidden {
    /// Nobody's: `snat` is off.
    Nobody,
    /// Those whose answers would miss the way back: the pod's own subnet, and the node when it says 127.0.0.1.
    #[default]
    Neighbours,
    /// Everybody's: `masqAll`.
    Everybody,
}

/// A port of the node that leads to the pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mapping {
    /// The protocol.
    pub protocol: Protocol,
    /// The address of the node; unspecified for all of one family, none for all of both.
    pub host_ip: Option<IpAddr>,
    /// The node's port.
    pub host_port: u16,
    /// The pod's port.
    pub container_port: u16,
}

/// A protocol with ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Protocol {
    const ALL: [Self; 3] = [Self::Tcp, Self::Udp, Self::Sctp];

    /// The number above IP.
    pub const fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Sctp => 132,
        }
    }

    /// The protocol of this number.
    pub fn of_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.number() == number)
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        })
    }
}

impl Settings {
    /// Reads and checks the configuration.
    pub fn parse(request: &Request) -> Result<Self, ConfigError> {
        Self::read(&request.config().root())
    }

    fn read(root: &Section<'_>) -> Result<Self, ConfigError> {
        check_backend(root)?;
        check_mark(root)?;
        Ok(Self {
            mappings: mappings(root)?,
            hidden: hidden(root)?,
            conditions_v4: conditions(root, "conditionsV4", true)?,
            conditions_v6: conditions(root, "conditionsV6", false)?,
        })
    }
}

/// Both names are served by nf_tables.
fn check_backend(root: &Section<'_>) -> Result<(), ConfigError> {
    match root.string("backend")? {
        None | Some("" | "iptables" | "nftables") => Ok(()),
        Some(_) => Err(root.broken("backend", "\"iptables\" or \"nftables\"; or leave it out")),
    }
}

/// Checked for those who go back to the reference; our own mark never meets another's (see `table`).
fn check_mark(root: &Section<'_>) -> Result<(), ConfigError> {
    let bit = root.integer("markMasqBit", 0..=31)?;
    let chain = root.string("externalSetMarkChain")?;
    if bit.is_some() && chain.is_some_and(|chain| !chain.is_empty()) {
        return Err(root.broken(
            "externalSetMarkChain",
            "either this key or markMasqBit, not both",
        ));
    }
    Ok(())
}

fn hidden(root: &Section<'_>) -> Result<Hidden, ConfigError> {
    let snat = root.boolean("snat")?.unwrap_or(true);
    let all = root.boolean("masqAll")?.unwrap_or(false);
    Ok(match (snat, all) {
        (false, _) => Hidden::Nobody,
        (true, false) => Hidden::Neighbours,
        (true, true) => Hidden::Everybody,
    })
}

fn conditions(root: &Section<'_>, key: &str, v4: bool) -> Result<Vec<Condition>, ConfigError> {
    let words = root.strings(key)?.unwrap_or_default();
    condition::parse(&words, v4).map_err(|wanted| root.broken(key, wanted))
}

fn mappings(root: &Section<'_>) -> Result<Vec<Mapping>, ConfigError> {
    let runtime = root.section("runtimeConfig")?;
    let entries = runtime
        .map(|runtime| runtime.sections("portMappings"))
        .transpose()?;
    let mut mappings: Vec<Mapping> = Vec::new();
    for entry in entries.flatten().unwrap_or_default() {
        let mapping = mapping(&entry)?;
        if mappings.contains(&mapping) {
            continue;
        }
        if mappings.iter().any(|other| other.overlaps(&mapping)) {
            let wanted = "a port that no earlier mapping of this pod has on the same address";
            return Err(entry.broken("hostPort", wanted));
        }
        mappings.push(mapping);
    }
    Ok(mappings)
}

fn mapping(entry: &Section<'_>) -> Result<Mapping, ConfigError> {
    Ok(Mapping {
        protocol: protocol(entry)?,
        host_ip: entry.address("hostIP")?,
        host_port: port(entry, "hostPort")?,
        container_port: port(entry, "containerPort")?,
    })
}

fn port(entry: &Section<'_>, key: &str) -> Result<u16, ConfigError> {
    let port = entry.integer(key, 1..=u16::MAX.into())?;
    let port = port.and_then(|port| u16::try_from(port).ok());
    port.ok_or_else(|| entry.missing(key, "a port from 1 to 65535"))
}

fn protocol(entry: &Section<'_>) -> Result<Protocol, ConfigError> {
    const KEY: &str = "protocol";
    let Some(name) = entry.string(KEY)?.filter(|name| !name.is_empty()) else {
        return Ok(Protocol::Tcp);
    };
    let lower = name.to_ascii_lowercase();
    let known = Protocol::ALL
        .into_iter()
        .find(|known| known.to_string() == lower);
    known.ok_or_else(|| entry.broken(KEY, "\"tcp\", \"udp\" or \"sctp\""))
}

impl fmt::Display for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} port {}", self.protocol, self.host_port)?;
        self.host_ip.map_or(Ok(()), |ip| write!(f, " of {ip}"))
    }
}

impl Mapping {
    /// Whether a packet could be meant by both.
    fn overlaps(&self, other: &Self) -> bool {
        let apart = match (self.host_ip, other.host_ip) {
            (Some(one), Some(two)) => {
                let covers = one == two || one.is_unspecified() || two.is_unspecified();
                one.is_ipv4() != two.is_ipv4() || !covers
            }
            _ => false,
        };
        !apart && (self.protocol, self.host_port) == (other.protocol, other.host_port)
    }
}

#[cfg(test)]
mod tests;
