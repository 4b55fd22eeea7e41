//! A route of a result or of a configuration (RES-110); the same object under every version.

use crate::section::Section;
use crate::value::ConfigError;
use ipnetwork::IpNetwork;
use serde_json::{Map, Value};
use std::net::IpAddr;

/// A route for the container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Where it leads.
    pub dst: IpNetwork,
    /// The next hop; without one the plugin takes the gateway of the address's network.
    pub gw: Option<IpAddr>,
    /// Largest packet on this route, in bytes; never zero.
    pub mtu: Option<u32>,
    /// Largest segment that TCP announces, in bytes; never zero.
    pub advmss: Option<u32>,
    /// The metric: of two routes with one destination the lower goes first; never zero.
    pub priority: Option<u32>,
    /// The routing table, the main one when absent.
    pub table: Option<u32>,
    /// The scope in the kernel's numbers: 0 universe, 253 link, 254 host.
    pub scope: Option<u8>,
}

impl Route {
    /// A route with a destination and, maybe, a next hop.
    pub const fn new(dst: IpNetwork, gw: Option<IpAddr>) -> Self {
        Self {
            dst,
            gw,
            mtu: None,
            advmss: None,
            priority: None,
            table: None,
            scope: None,
        }
    }

    /// Reads one object of a `routes` list.
    pub fn from_section(section: &Section<'_>) -> Result<Self, ConfigError> {
        let dst = section
            .cidr("dst")?
            .ok_or_else(|| section.missing("dst", "a destination such as 0.0.0.0/0"))?;
        let positive = |key| -> Result<Option<u32>, ConfigError> {
            Ok(section.unsigned(key)?.filter(|&number| number > 0))
        };
        let scope = section.integer("scope", 0..=u8::MAX.into())?;
        Ok(Self {
            dst,
            gw: section.address("gw")?,
            mtu: positive("mtu")?,
            advmss: positive("advmss")?,
            priority: positive("priority")?,
            table: section.unsigned("table")?,
            scope: scope.and_then(|scope| u8::try_from(scope).ok()),
        })
    }

    /// Reads the section's `routes` list; none without the key.
    pub fn list(section: &Section<'_>) -> Result<Vec<Self>, ConfigError> {
        let routes = section.sections("routes")?.unwrap_or_default();
        routes.iter().map(Self::from_section).collect()
    }

    pub(crate) fn to_json(&self) -> Value {
        let mut object = Map::new();
        object.insert("dst".into(), self.dst.to_string().into());
        if let Some(gw) = self.gw {
            object.insert("gw".into(), gw.to_string().into());
        }
        let numbers = [
            ("mtu", self.mtu),
            ("advmss", self.advmss),
            ("priority", self.priority),
            ("table", self.table),
            ("scope", self.scope.map(u32::from)),
        ];
        for (key, number) in numbers {
            if let Some(number) = number {
                object.insert(key.into(), number.into());
            }
        }
        Value::Object(object)
    }
}
