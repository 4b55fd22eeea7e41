//! The configuration list of a node: the chain that a pod's network is made by.

use crate::install::{Error, files};
use ipnetwork::IpNetwork;
use serde_json::{Map, Value, json};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The file's name. Runtimes use the first of the folder's files, by name.
pub const FILE: &str = "10-hawser.conflist";

/// A version that every runtime in use reads; containerd before 2.0 knows no later one.
const CNI_VERSION: &str = "1.0.0";
/// The key by which a file is known to be ours. Runtimes pass it over.
const MARK: &str = "managedBy";

/// What differs from node to node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflist {
    /// The network's name.
    pub network: String,
    /// The bridge's name.
    pub bridge: String,
    /// The node's own part of the pod network, one subnet of a family.
    pub subnets: Vec<IpNetwork>,
    /// Bytes; the bridge's own choice where there is none.
    pub mtu: Option<u32>,
    /// Whether pods reach the outside under the node's address.
    pub masquerade: bool,
}

/// What became of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Where it is.
    pub path: PathBuf,
    /// Whether it had to be written.
    pub changed: bool,
    /// The other configurations beside it, by name; the runtime uses the first of all.
    pub before: Vec<String>,
    /// Other configurations that have an address range in common with it.
    pub overlapping: Vec<String>,
}

impl Conflist {
    /// Refuses what the plugins would refuse later.
    pub fn check(&self) -> Result<(), Error> {
        check_name("--network", &self.network)?;
        check_name("--bridge", &self.bridge)?;
        if self.bridge.len() > 15 {
            return Err(refused(
                "--bridge",
                &self.bridge,
                "the kernel takes 15 characters",
            ));
        }
        for (family, v4) in [("IPv4", true), ("IPv6", false)] {
            let of_family = self.subnets.iter().filter(|subnet| subnet.is_ipv4() == v4);
            let count = of_family.count();
            if count > 1 {
                return Err(Error::SubnetsOfOneFamily(count, family));
            }
        }
        self.subnets.iter().try_for_each(check_subnet)
    }

    /// The file's text.
    pub fn text(&self) -> String {
        let value = json!({
            "cniVersion": CNI_VERSION,
            "name": self.network,
            MARK: "hawser",
            "plugins": [
                self.bridge(),
                {"type": "portmap", "capabilities": {"portMappings": true}},
                {"type": "firewall"}
            ]
        });
        format!("{value:#}\n")
    }

    fn bridge(&self) -> Value {
        let ranges = self
            .subnets
            .iter()
            .map(|subnet| json!([{"subnet": subnet.to_string()}]));
        let mut bridge = Map::from_iter([
            ("type".to_owned(), json!("bridge")),
            ("bridge".to_owned(), json!(self.bridge)),
            ("isDefaultGateway".to_owned(), json!(true)),
            ("hairpinMode".to_owned(), json!(true)),
            ("ipMasq".to_owned(), json!(self.masquerade)),
            (
                "ipam".to_owned(),
                json!({"type": "host-local", "ranges": ranges.collect::<Vec<_>>()}),
            ),
        ]);
        if let Some(mtu) = self.mtu {
            bridge.insert("mtu".to_owned(), json!(mtu));
        }
        Value::Object(bridge)
    }

    /// Writes the file, unless it is there as it should be. One of that name that is not ours is refused.
    pub fn write(&self, dir: &Path) -> Result<Placed, Error> {
        self.check()?;
        fs::create_dir_all(dir).map_err(Error::io("make", dir))?;
        let path = dir.join(FILE);
        let text = self.text();
        let present = read(&path)?;
        if present.as_deref().is_some_and(|present| !is_ours(present)) {
            return Err(Error::ForeignConflist(path));
        }
        let changed = present.as_deref() != Some(text.as_str());
        if changed {
            replace(dir, &path, &text)?;
        }
        let others = others(dir)?;
        let overlaps = |config: &str| overlaps(config, &self.subnets);
        let overlapping = others.iter().filter(|(_, config)| overlaps(config));
        Ok(Placed {
            changed,
            overlapping: overlapping.map(|(name, _)| name.clone()).collect(),
            before: others
                .iter()
                .map(|(name, _)| name.clone())
                .filter(|name| name.as_str() < FILE)
                .collect(),
            path,
        })
    }
}

/// Removes the file if it is ours; says whether there was one.
pub fn remove(dir: &Path) -> Result<bool, Error> {
    let path = dir.join(FILE);
    clear_aside(dir)?;
    match read(&path)? {
        None => Ok(false),
        Some(text) if !is_ours(&text) => Err(Error::ForeignConflist(path)),
        Some(_) => {
            match fs::remove_file(&path) {
                // Somebody else, the same command twice, was faster.
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
                removed => removed.map_err(Error::io("remove", &path))?,
            }
            files::sync(dir)?;
            Ok(true)
        }
    }
}

fn check_name(flag: &'static str, value: &str) -> Result<(), Error> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !value.starts_with(|c: char| c.is_ascii_alphanumeric()) || !value.chars().all(plain) {
        let why = "wanted letters, digits, '-', '_' and '.', the first of them a letter or digit";
        return Err(refused(flag, value, why));
    }
    Ok(())
}

fn refused(flag: &'static str, value: &str, why: &str) -> Error {
    Error::Name {
        flag,
        value: value.to_owned(),
        why: why.to_owned(),
    }
}

fn check_subnet(subnet: &IpNetwork) -> Result<(), Error> {
    let longest = if subnet.is_ipv4() { 30 } else { 126 };
    let why = if subnet.ip() != subnet.network() {
        "it has bits behind its prefix; give the network's own address"
    } else if subnet.prefix() > longest {
        "it has no room for a gateway and a pod; give a larger one"
    } else {
        return Ok(());
    };
    Err(Error::Subnet(subnet.to_string(), why))
}

fn read(path: &Path) -> Result<Option<String>, Error> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("read", path)(error)),
    }
}

fn is_ours(text: &str) -> bool {
    // A torn file is what a crash of somebody who does not rename leaves; ours is whole.
    serde_json::from_str(text).is_ok_and(|config: Value| config[MARK] == "hawser")
}

/// Written aside under a name that no runtime reads, and renamed.
fn replace(dir: &Path, path: &Path, text: &str) -> Result<(), Error> {
    clear_aside(dir)?;
    let aside = aside(dir);
    files::write(&aside, text.as_bytes())?;
    fs::rename(&aside, path).map_err(Error::io("write", path))?;
    files::sync(dir)
}

fn aside(dir: &Path) -> PathBuf {
    dir.join(format!(".{FILE}.new"))
}

/// What a run that was killed left.
fn clear_aside(dir: &Path) -> Result<(), Error> {
    let aside = aside(dir);
    match fs::remove_file(&aside) {
        Err(error)
            if !matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Err(Error::io("remove", &aside)(error))
        }
        _ => Ok(()),
    }
}

/// The other files of the folder that a runtime reads, by name.
fn others(dir: &Path) -> Result<Vec<(String, String)>, Error> {
    let mut others = Vec::new();
    for entry in fs::read_dir(dir).map_err(Error::io("look into", dir))? {
        let path = entry.map_err(Error::io("look into", dir))?.path();
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        let known = path.extension().and_then(|extension| extension.to_str());
        if let (Some(name), Some("conf" | "conflist" | "json")) = (name, known)
            && name != FILE
        {
            // One that cannot be read has no ranges that we know of.
            others.push((name, read(&path).ok().flatten().unwrap_or_default()));
        }
    }
    others.sort();
    Ok(others)
}

/// Whether a configuration has an address range in common with one of the subnets.
fn overlaps(config: &str, subnets: &[IpNetwork]) -> bool {
    let config = serde_json::from_str(config).unwrap_or(Value::Null);
    let mut found = Vec::new();
    collect_subnets(&config, &mut found);
    let common = |one: &IpNetwork, other: &IpNetwork| {
        one.contains(other.network()) || other.contains(one.network())
    };
    found
        .iter()
        .any(|found| subnets.iter().any(|subnet| common(found, subnet)))
}

fn collect_subnets(config: &Value, found: &mut Vec<IpNetwork>) {
    match config {
        Value::Object(fields) => {
            let subnet = fields.get("subnet").and_then(Value::as_str);
            found.extend(subnet.and_then(|subnet| subnet.parse::<IpNetwork>().ok()));
            fields
                .values()
                .for_each(|value| collect_subnets(value, found));
        }
        Value::Array(values) => values
            .iter()
            .for_each(|value| collect_subnets(value, found)),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
