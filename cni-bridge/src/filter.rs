//! An attachment's part in the packet filter, masquerade and anti-spoofing together: one transaction to join, one to
//! leave.

use crate::conf::Settings;
use crate::error::Error;
use crate::identity::Identity;
use crate::plan::Plan;
use crate::{antispoof, masquerade};
use ipnetwork::IpNetwork;
use kernel::net::Mac;
use kernel::net::nft::{Set, Socket};
use membership::Member;

/// All that an attachment may have elements in.
pub const SETS: [Set<'static>; 4] = [
    masquerade::PODS_V4,
    masquerade::PODS_V6,
    antispoof::GUARDED,
    antispoof::ALLOWED,
];
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
        if !masquerade::serves(&mut nft, &self.masqueraded)? {
            self.ensure_shared_part(&mut nft)?;
        }
        let ensure = |nft: &mut Socket| self.ensure_shared_part(nft);
        membership::join(&mut nft, &self.elements(), ensure, |_, _| Ok(()))
    }

    /// Removes the attachment's elements.
    pub fn leave(&self) -> Result<(), Error> {
        let members = self.elements();
        if members.is_empty() {
            return Ok(());
        }
        let known: Vec<_> = members
            .into_iter()
            .map(|(set, element)| (set, element.key))
            .collect();
        let mut nft = Socket::open()?;
        let belongs = |label: &str| label == self.label;
        membership::leave(&mut nft, &SETS, belongs, &known)?;
        Ok(())
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
        if let Some(absent) = membership::absent(&mut nft, &self.elements())? {
            return Ok(Some(absent));
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

    fn elements(&self) -> Vec<Member> {
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
