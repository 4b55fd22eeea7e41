//! The configuration, with every rule checked: what the verbs work with.
//!
//! ADD, CHECK and STATUS need all of it. DEL and GC need to know where the store is and nothing else, so that they
//! still clean up after the ranges were changed or broken (DEL-1).

use crate::address::Address;
use crate::error::Error;
use crate::range::{Range, RangeError, RangeSet};
use crate::resolv;
use cni::{
    AddResult, Config, ConfigError, Dns, Item, Route, Section, Version, excerpt, parse_address,
    parse_cidr,
};
use cni_plugin::Request;
use std::path::{Path, PathBuf};

/// Where reservations are kept unless `dataDir` says otherwise; the reference's place.
const DATA_DIR: &str = "/var/lib/cni/networks";

/// Everything that an ADD, a CHECK or a STATUS has to know.
#[derive(Debug)]
pub struct Settings {
    /// The network's name.
    pub network: String,
    /// The directory of the network's store.
    pub store: PathBuf,
    /// The range sets; an attachment gets one address of each.
    pub sets: Vec<RangeSet>,
    /// The gateways of all ranges, each once: addresses that no attachment gets, in whichever range they lie.
    pub gateways: Vec<Address>,
    /// Whether reservations of an earlier boot are reclaimed.
    pub reclaim: bool,
    routes: Vec<Route>,
    resolv_conf: Option<PathBuf>,
}

/// The directory of the network's store.
pub fn store_of(config: &Config) -> Result<PathBuf, ConfigError> {
    let ipam = config.ipam()?;
    let data_dir = match &ipam {
        Some(ipam) => text(ipam, "dataDir")?,
        None => None,
    };
    Ok(Path::new(data_dir.unwrap_or(DATA_DIR)).join(config.network().as_str()))
}

impl Settings {
    /// Reads the configuration and checks every rule that does not depend on the request.
    pub fn parse(config: &Config) -> Result<Self, Error> {
        let Some(ipam) = config.ipam()? else {
            return Err(config
                .root()
                .missing("ipam", "an object with ranges")
                .into());
        };
        let sets = sets(config, &ipam)?;
        one_per_family(&sets, config.version())?;
        let mut gateways: Vec<_> = sets
            .iter()
            .flat_map(|set| set.ranges().iter().map(Range::gateway))
            .collect();
        gateways.sort_unstable();
        gateways.dedup();
        Ok(Self {
            network: config.network().to_string(),
            store: store_of(config)?,
            sets,
            gateways,
            reclaim: ipam.boolean("reclaimEarlierBoot")?.unwrap_or(true),
            routes: Route::list(&ipam)?,
            resolv_conf: text(&ipam, "resolvConf")?.map(PathBuf::from),
        })
    }

    /// The address that was requested of each range set, in the order of the sets.
    pub fn requested(&self, request: &Request) -> Result<Vec<Option<Address>>, Error> {
        let mut of_sets = vec![None; self.sets.len()];
        for address in requested(request)? {
            if self.gateways.contains(&address) {
                let network = self.network.clone();
                return Err(Error::Gateway { address, network });
            }
            let offered = self.sets.iter().zip(&mut of_sets);
            let mut offering = offered.filter(|(set, _)| set.range_of(address).is_some());
            let (set, wish) = offering.next().ok_or_else(|| self.outside(address))?;
            match wish.replace(address) {
                Some(other) if other != address => {
                    return Err(Error::TwoOfOneSet(other, address, set.to_string()));
                }
                _ => {}
            }
        }
        Ok(of_sets)
    }

    fn outside(&self, address: Address) -> Error {
        let mut sets = String::from(if self.sets.len() == 1 {
            "range set "
        } else {
            "range sets "
        });
        let texts: Vec<_> = self.sets.iter().map(RangeSet::to_string).collect();
        sets.push_str(&texts.join(" and "));
        Error::Outside {
            address,
            sets,
            network: self.network.clone(),
        }
    }

    /// The part of a result that no allocation has a say in.
    pub fn result(&self) -> Result<AddResult, Error> {
        let mut result = AddResult::default();
        result.routes.clone_from(&self.routes);
        result.dns = self.dns()?;
        Ok(result)
    }

    fn dns(&self) -> Result<Dns, Error> {
        let Some(path) = &self.resolv_conf else {
            return Ok(Dns::default());
        };
        let text = std::fs::read(path).map_err(|source| Error::ResolvConf {
            path: path.clone(),
            source,
        })?;
        Ok(resolv::parse(&String::from_utf8_lossy(&text)))
    }
}

/// A text; as in the reference the empty one is as good as none.
fn text<'a>(section: &Section<'a>, key: &str) -> Result<Option<&'a str>, ConfigError> {
    Ok(section.string(key)?.filter(|text| !text.is_empty()))
}

/// All range sets in the order in which the reference numbers them, which the cursors' files go by: the runtime's, the
/// single range of old configurations, then `ranges`.
fn sets(config: &Config, ipam: &Section<'_>) -> Result<Vec<RangeSet>, Error> {
    let mut sets = Vec::new();
    if let Some(runtime) = config.root().section("runtimeConfig")? {
        push_sets(&mut sets, runtime.elements("ipRanges")?)?;
    }
    if text(ipam, "subnet")?.is_some() {
        let set = range(ipam)?;
        sets.push(("ipam.subnet".to_owned(), set_of("ipam", vec![set])?));
    }
    push_sets(&mut sets, ipam.elements("ranges")?)?;
    if sets.is_empty() {
        let wanted = "range sets such as [[{\"subnet\": \"10.1.0.0/16\"}]]";
        return Err(ipam.broken("ranges", wanted).into());
    }
    for (index, (path, set)) in sets.iter().enumerate() {
        let others = sets.iter().skip(index + 1);
        if let Some((other, (mine, theirs))) = others
            .filter_map(|(other, others)| Some((other, set.overlap(others)?)))
            .next()
        {
            return Err(Error::SetsOverlap(
                format!("{path} {mine}"),
                format!("{other} {theirs}"),
            ));
        }
    }
    Ok(sets.into_iter().map(|(_, set)| set).collect())
}

/// A range set and where it stands in the configuration.
type Placed = (String, RangeSet);

fn push_sets(sets: &mut Vec<Placed>, listed: Option<Vec<Item<'_>>>) -> Result<(), Error> {
    for item in listed.unwrap_or_default() {
        let ranges = item.sections()?;
        let ranges = ranges.iter().map(range).collect::<Result<_, _>>()?;
        sets.push((item.path().to_owned(), set_of(item.path(), ranges)?));
    }
    Ok(())
}

fn set_of(path: &str, ranges: Vec<Range>) -> Result<RangeSet, Error> {
    RangeSet::new(ranges).map_err(|why| broken(path, why))
}

fn range(section: &Section<'_>) -> Result<Range, Error> {
    let subnet = section
        .cidr("subnet")?
        .ok_or_else(|| section.missing("subnet", "a network such as 10.1.0.0/16"))?;
    Range::new(
        subnet,
        section.address("rangeStart")?,
        section.address("rangeEnd")?,
        section.address("gateway")?,
    )
    .map_err(|why| broken(&section.path("subnet"), why))
}

fn broken(path: &str, why: RangeError) -> Error {
    Error::Range {
        path: path.to_owned(),
        why,
    }
}

/// Results before 0.3.0 have room for one address of each family.
fn one_per_family(sets: &[RangeSet], version: Version) -> Result<(), Error> {
    if version >= Version::V0_3_0 {
        return Ok(());
    }
    let v4 = sets.iter().filter(|set| set.is_ipv4()).count();
    for (sets, family) in [(v4, "IPv4"), (sets.len() - v4, "IPv6")] {
        if sets > 1 {
            return Err(Error::OnePerFamily {
                sets,
                family,
                version,
            });
        }
    }
    Ok(())
}

/// Every requested address. The three sources add up, as in the reference, though ARG-2 would have `args` win.
fn requested(request: &Request) -> Result<Vec<Address>, Error> {
    let mut addresses = Vec::new();
    let root = request.config().root();
    if let Some(text) = request.args().get("IP").filter(|text| !text.is_empty()) {
        addresses.push(wish("CNI_ARGS: IP", text)?);
    }
    if let Some(args) = root
        .section("args")?
        .map(|args| args.section("cni"))
        .transpose()?
        .flatten()
    {
        for text in args.strings("ips")?.unwrap_or_default() {
            addresses.push(wish("args.cni.ips", text)?);
        }
    }
    if let Some(runtime) = root.section("runtimeConfig")? {
        for text in runtime.strings("ips")?.unwrap_or_default() {
            addresses.push(wish("runtimeConfig.ips", text)?);
        }
    }
    Ok(addresses)
}

/// An address with or without a prefix length; the subnet's own counts.
fn wish(source_key: &'static str, text: &str) -> Result<Address, Error> {
    parse_address(text)
        .or_else(|| parse_cidr(text).map(|network| network.ip()))
        .map(Address::from)
        .ok_or_else(|| Error::NotAnAddress {
            source_key,
            found: excerpt(text),
        })
}

#[cfg(test)]
mod tests;
