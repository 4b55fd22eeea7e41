//! An attachment's part in the packet filter, masquerade and anti-spoofing together: one transaction to join, one to
//! leave.

use crate::conf::Settings;
use crate::error::Error;
use crate::identity::Identity;
use crate::plan::Plan;
use crate::{antispoof, masquerade};
use ipnetwork::IpNetwork;
use kernel::net::Mac;
use kernel::net::nft::{self, Batch, Chain, Element, Key, Set, Socket};

const SETS: [Set<'static>; 4] = [
    masquerade::PODS_V4,
    masquerade::PODS_V6,
    antispoof::GUARDED,
    antispoof::ALLOWED,
];
/// How often a transaction that met a change by somebody else is built anew.
const ATTEMPTS: usize = 8;

/// What one attachment needs of the packet filter.
#[derive(Clone, Debug, Default)]
pub struct Membership {
    /// The attachment's label.
    pub label: String,
    /// The addresses under which the outside must not see it.
    pub masqueraded: Vec<IpNetwork>,
    /// The port and the only MAC that may come in by it.
    pub guarded: Option<(String, Mac)>,
}

impl Membership {
    /// What an attachment whose pod's end has this MAC needs.
    pub fn of(settings: &Settings, identity: &Identity, mac: Mac, plan: &Plan) -> Self {
        let masqueraded = settings.masquerade.then(|| plan.addresses().collect());
        Self {
            label: identity.label.clone(),
            masqueraded: masqueraded.unwrap_or_default(),
            guarded: settings.antispoof.then(|| (identity.port.clone(), mac)),
        }
    }

    /// Whether it needs the packet filter at all.
    pub fn is_empty(&self) -> bool {
        self.masqueraded.is_empty() && self.guarded.is_none()
    }

    /// Adds the attachment. Elements that a vanished pod left under the same address are replaced.
    pub fn join(&self) -> Result<(), Error> {
        if self.is_empty() {
            return Ok(());
        }
        let mut nft = Socket::open()?;
        let elements = self.elements();
        let mut outcome = Ok(());
        for _ in 0..ATTEMPTS {
            // The shared part is nearly always there: it is only made when an element finds it missing.
            let replace = outcome.as_ref().is_err_and(nft::Error::already_exists);
            let batch = adding(&mut nft, &elements, replace)?;
            outcome = nft.commit(&batch);
            match &outcome {
                Err(error) if error.is_not_found() => self.ensure_shared_part(&mut nft)?,
                Err(error) if error.already_exists() => {}
                _ => break,
            }
        }
        Ok(outcome?)
    }

    /// Removes the attachment's elements.
    pub fn leave(&self) -> Result<(), Error> {
        let known: Vec<Place> = self
            .elements()
            .into_iter()
            .map(|(set, element)| (set, element.key))
            .collect();
        if known.is_empty() {
            return Ok(());
        }
        leave(&mut Socket::open()?, |label| label == self.label, &known)
    }

    fn ensure_shared_part(&self, nft: &mut Socket) -> Result<(), Error> {
        masquerade::ensure(nft, &self.masqueraded)?;
        if self.guarded.is_some() {
            antispoof::ensure(nft)
        } else {
            Ok(())
        }
    }

    /// Tells what is missing, of the attachment's own part and of the shared one.
    pub fn missing(&self) -> Result<Option<String>, Error> {
        if self.is_empty() {
            return Ok(None);
        }
        let mut nft = Socket::open()?;
        for (set, element) in self.elements() {
            let found = or_none(nft.element(set, &element.key))?.flatten();
            if found.as_ref() != Some(&element) {
                return Ok(Some(format!(
                    "{set} has no element {} for {}",
                    element.key, self.label
                )));
            }
        }
        for address in &self.masqueraded {
            if let Some(lost) = masquerade::missing(&mut nft, *address)? {
                return Ok(Some(lost));
            }
        }
        if self.guarded.is_some() {
            antispoof::missing(&mut nft)
        } else {
            Ok(None)
        }
    }

    fn elements(&self) -> Vec<(Set<'static>, Element)> {
        let masqueraded = self
            .masqueraded
            .iter()
            .map(|address| masquerade::element(&self.label, *address));
        let guarded = self
            .guarded
            .iter()
            .flat_map(|(port, mac)| antispoof::elements(&self.label, port, *mac));
        masqueraded.chain(guarded).collect()
    }
}

/// A transaction that adds the elements, in place of what is there under their keys if that is to be replaced.
fn adding(
    nft: &mut Socket,
    elements: &[(Set<'static>, Element)],
    replace: bool,
) -> Result<Batch, Error> {
    let mut batch = Batch::new();
    for (set, element) in elements {
        if replace && nft.element(*set, &element.key)?.is_some() {
            batch.delete_element(*set, &element.key);
        }
        batch.add_new_element(*set, element);
    }
    Ok(batch)
}

/// A socket to leave by; `None` in a kernel without nf_tables, which has nothing of ours.
pub fn open() -> Result<Option<Socket>, Error> {
    match Socket::open() {
        Err(nft::Error::Unsupported { .. }) => Ok(None),
        socket => Ok(Some(socket?)),
    }
}

/// Where an element is found.
pub type Place = (Set<'static>, Key);

/// Removes everything whose label `belongs`, whatever configuration it was made under.
///
/// While pods come and go the kernel may leave an element out of a listing; what is `known` of the places is therefore
/// asked for directly as well. An element that another attachment has put there meanwhile stays.
///
/// The caller closes the socket, and last of all: after a deletion closing waits until the kernel has freed what was
/// deleted, and meanwhile holds up whoever removes a link.
pub fn leave(
    nft: &mut Socket,
    belongs: impl Fn(&str) -> bool,
    known: &[Place],
) -> Result<(), Error> {
    let mut outcome = Ok(());
    for _ in 0..ATTEMPTS {
        let batch = removing(nft, &belongs, known)?;
        if batch.is_empty() {
            return Ok(());
        }
        outcome = nft.commit(&batch);
        // Not found: somebody else removed one of them meanwhile, and with it this whole transaction.
        if !outcome.as_ref().is_err_and(nft::Error::is_not_found) {
            break;
        }
    }
    Ok(outcome?)
}

fn removing(
    nft: &mut Socket,
    belongs: impl Fn(&str) -> bool,
    known: &[Place],
) -> Result<Batch, Error> {
    let mut found: Vec<(Set<'_>, Element)> = Vec::new();
    for (set, key) in known {
        found.extend(
            or_none(nft.element(*set, key))?
                .flatten()
                .map(|element| (*set, element)),
        );
    }
    for set in SETS {
        match or_none(nft.elements(set)) {
            Err(nft::Error::Unsettled { .. }) if !known.is_empty() => {}
            elements => found.extend(
                elements?
                    .unwrap_or_default()
                    .into_iter()
                    .map(|element| (set, element)),
            ),
        }
    }
    found.retain(|(_, element)| element.comment.as_deref().is_some_and(&belongs));
    let mut batch = Batch::new();
    for (position, (set, element)) in found.iter().enumerate() {
        let again = found
            .iter()
            .take(position)
            .any(|(other, earlier)| other == set && earlier.key == element.key);
        if !again {
            batch.delete_element(*set, &element.key);
        }
    }
    Ok(batch)
}

/// A set that is not there, or that this kernel cannot have, holds nothing.
fn or_none<T>(answer: Result<T, nft::Error>) -> Result<Option<T>, nft::Error> {
    match answer {
        Err(error) if error.is_not_found() || matches!(error, nft::Error::Unsupported { .. }) => {
            Ok(None)
        }
        answer => answer.map(Some),
    }
}

/// Commits a shared part. Somebody else may make it at the same moment; then it is there, which is all that is wanted.
pub fn commit_new(nft: &mut Socket, batch: &Batch) -> Result<(), Error> {
    match nft.commit(batch) {
        Err(error) if error.already_exists() => Ok(()),
        outcome => Ok(outcome?),
    }
}

/// Tells whether a chain has lost rules, which are known by their comments.
pub fn lost_rules(
    nft: &mut Socket,
    chain: Chain<'_>,
    wanted: &[&str],
) -> Result<Option<String>, Error> {
    let rules = or_none(nft.rules(chain))?.unwrap_or_default();
    let complete = rules
        .iter()
        .map(|rule| rule.comment.as_deref())
        .eq(wanted.iter().copied().map(Some));
    Ok((!complete).then(|| format!("{chain} does not have the rules that were made")))
}
