//! Probes: pages that kubelet asks for.

use super::fields::{Fields, Result};
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// A page that says how a container is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// Whom to ask; the pod, if nobody.
    pub host: Option<String>,
    /// At which port.
    pub port: i64,
    /// For what.
    pub path: String,
    /// How many seconds an answer may take.
    pub timeout: i64,
    /// For how many seconds it may fail before kubelet acts on it.
    pub patience: i64,
}

impl Probe {
    /// A probe, if there is one. `ports` are the container's by their names.
    pub(super) fn of(
        container: &mut Fields,
        name: &str,
        ports: &BTreeMap<String, i64>,
    ) -> Result<Option<Self>> {
        let Some(value) = container.take(name) else {
            return Ok(None);
        };
        let mut fields = Fields::of(name, value)?;
        fields.skip(&["initialDelaySeconds"]);
        let period = fields.number("periodSeconds")?.unwrap_or(10);
        let failures = fields.number("failureThreshold")?.unwrap_or(3);
        let mut get = fields.object("httpGet")?;
        let probe = Self {
            host: get.text("host")?,
            port: port(get.take("port"), ports)?,
            path: get.need("path")?,
            timeout: fields.number("timeoutSeconds")?.unwrap_or(1),
            patience: period * failures,
        };
        get.end()?;
        fields.end()?;
        Ok(Some(probe))
    }

    /// The page's address, for a pod with these addresses.
    pub fn url(&self, ips: &[IpAddr]) -> String {
        let pod = ips.first().map(IpAddr::to_string);
        let host = self.host.clone().or(pod);
        let host = host.unwrap_or_else(|| "127.0.0.1".to_owned());
        format!("http://{host}:{}{}", self.port, self.path)
    }
}

fn port(told: Option<Value>, ports: &BTreeMap<String, i64>) -> Result<i64> {
    let told = told.unwrap_or_default();
    let named = || told.as_str().and_then(|name| ports.get(name).copied());
    let port = told.as_i64().or_else(named);
    port.ok_or_else(|| format!("a probe's port {told} is none of the container's"))
}
