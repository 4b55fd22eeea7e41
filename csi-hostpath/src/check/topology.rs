//! From where a volume has to be reachable: a volume of this driver is reachable from its node and from no other.

use proto::csi::{Topology, TopologyRequirement};

use super::{Rules, text};
use crate::error::Error;
use crate::excerpt::excerpt;

/// Terms, and keys of a term, that an error text shows.
const SHOWN: usize = 3;

/// Refuses a volume that nobody wants here (CV-08). `requisite` is what is acceptable; without it, `preferred` is.
pub(super) fn reachable(rules: &Rules, wanted: Option<TopologyRequirement>) -> Result<(), Error> {
    let Some(TopologyRequirement {
        requisite,
        preferred,
    }) = wanted
    else {
        return Ok(());
    };
    let requisite = terms(rules, "accessibility_requirements.requisite", requisite)?;
    let preferred = terms(rules, "accessibility_requirements.preferred", preferred)?;
    let acceptable = if requisite.is_empty() {
        preferred
    } else {
        requisite
    };
    if acceptable.is_empty() || acceptable.iter().any(|term| is_here(rules, term)) {
        return Ok(());
    }
    let mut asked: Vec<_> = acceptable
        .iter()
        .take(SHOWN)
        .map(|term| shown(rules, term))
        .collect();
    if acceptable.len() > SHOWN {
        asked.push(format!("{} more", acceptable.len() - SHOWN));
    }
    Err(Error::Full(format!(
        "the volume is wanted on {}, and this is node {}: volumes can be made on their own node only",
        asked.join(" or "),
        excerpt(&rules.node)
    )))
}

/// Whether `wanted` is this node, or nothing in particular (GC-01).
pub(super) fn here(rules: &Rules, wanted: Option<Topology>) -> Result<bool, Error> {
    let terms = terms(rules, "accessible_topology", wanted.into_iter().collect())?;
    Ok(terms.iter().all(|term| is_here(rules, term)))
}

/// A term's keys and values.
type Term = Vec<(String, String)>;

fn terms(rules: &Rules, field: &str, terms: Vec<Topology>) -> Result<Vec<Term>, Error> {
    if !terms.is_empty() && !rules.offers.topology {
        return Err(Error::Invalid(format!(
            "{field} is set, but this driver was started without topology: leave it out, or start the driver with it"
        )));
    }
    let read = |topology: Topology| Ok(text::map(field, topology.segments)?.into_iter().collect());
    terms.into_iter().map(read).collect()
}

/// Keys are the same in any letter case; a term with further keys is about something that we cannot promise.
fn is_here(rules: &Rules, term: &Term) -> bool {
    let [(key, node)] = term.as_slice() else {
        return false;
    };
    key.eq_ignore_ascii_case(&rules.topology_key) && *node == rules.node
}

fn shown(rules: &Rules, term: &Term) -> String {
    if let [(key, node)] = term.as_slice()
        && key.eq_ignore_ascii_case(&rules.topology_key)
    {
        return format!("node {}", excerpt(node));
    }
    let segments = term.iter().take(SHOWN);
    let mut texts: Vec<_> = segments
        .map(|(key, value)| format!("{}={}", excerpt(key), excerpt(value)))
        .collect();
    if term.len() > SHOWN {
        texts.push(format!("{} more", term.len() - SHOWN));
    }
    format!("{{{}}}", texts.join(", "))
}
