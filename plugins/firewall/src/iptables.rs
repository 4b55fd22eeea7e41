//! The rules in iptables' own tables, where the host forwards through them.
//!
//! What our own table accepts, a later chain may still drop, and on many a node that is iptables with `-P FORWARD DROP`.
//! So iptables gets, through nf_tables and in its own encoding, the chain that the reference plugin makes there, with one
//! static rule for all pods instead of two for each address:
//!
//! ```text
//! -A FORWARD     -m comment --comment "CNI firewall plugin rules" -j CNI-FORWARD                first
//! -A CNI-FORWARD -m comment --comment "CNI firewall plugin admin overrides" -j CNI-ADMIN        first
//! -A CNI-FORWARD -m comment --comment "pods of table inet hawser_firewall" -m mark --mark 0x1000/0x1000 -j ACCEPT
//! ```
//!
//! They are there as soon as `FORWARD` is, whatever its policy: somebody may set it later. Every ADD looks whether all
//! of it is still there, because whoever manages iptables may have flushed it meanwhile.

use crate::conf::{Backend, Settings};
use crate::error::Error;
use crate::plan::Plan;
use crate::table::MARK;
use kernel::net::nft::{
    self, Batch, Chain, Expression, Family, Hook, Policy, Rule, Socket, Table, Verdict, counter,
    legacy_tables, xt_comment, xt_mark,
};

/// The chain of iptables that sees what is forwarded.
pub const FORWARD: &str = "FORWARD";
/// The chain that lets pods through.
pub const PODS: &str = "CNI-FORWARD";

const ENTRY: &str = "CNI firewall plugin rules";
const ADMIN: &str = "CNI firewall plugin admin overrides";
const MARKED: &str = "pods of table inet hawser_firewall";

/// How often a change that met another one by somebody else is decided anew.
const ATTEMPTS: u32 = 32;

/// iptables' filter table of a family.
pub const fn filter(family: Family) -> Table<'static> {
    Table::new(family, "filter")
}

/// Makes what is missing of the rules, in the families that the pod has addresses of.
pub fn ensure(nft: &mut Socket, settings: &Settings, plan: &Plan) -> Result<(), Error> {
    if settings.backend == Backend::Nftables {
        return Ok(());
    }
    for family in plan.families() {
        ensure_in(nft, family, settings)?;
    }
    Ok(())
}

/// Tells what is missing of the rules.
pub fn missing(
    nft: &mut Socket,
    settings: &Settings,
    plan: &Plan,
) -> Result<Option<String>, Error> {
    if settings.backend == Backend::Nftables {
        return Ok(None);
    }
    for family in plan.families() {
        let seen = Seen::look(nft, filter(family), &settings.admin_chain)?;
        if let Some(lost) = seen.lost(filter(family), settings) {
            return Ok(Some(lost));
        }
    }
    Ok(None)
}

/// Refuses to make tables of iptables-nft where the node's iptables is the legacy one.
pub fn refuse_legacy(nft: &mut Socket, family: Family) -> Result<(), Error> {
    let table = filter(family);
    let legacy = legacy_tables(family).map_err(Error::Proc)?;
    if !legacy.iter().any(|name| name == table.name) || nft.chain_exists(table.chain(FORWARD))? {
        return Ok(());
    }
    let program = if family == Family::Ip6 {
        "ip6tables-legacy"
    } else {
        "iptables-legacy"
    };
    Err(Error::Legacy {
        table: table.to_string(),
        program,
    })
}

fn ensure_in(nft: &mut Socket, family: Family, settings: &Settings) -> Result<(), Error> {
    let table = filter(family);
    let mut outcome = Err(nft::Error::Unsettled {
        what: format!("look at the rules of {table}"),
        attempts: ATTEMPTS,
    });
    for _ in 0..ATTEMPTS {
        let seen = Seen::look(nft, table, &settings.admin_chain)?;
        // A look is several questions. Two that agree are of one moment; otherwise somebody changes things meanwhile.
        if !seen.is_complete() && seen != Seen::look(nft, table, &settings.admin_chain)? {
            continue;
        }
        if !seen.forwards {
            match settings.backend {
                Backend::Iptables => refuse_legacy(nft, family)?,
                Backend::Automatic | Backend::Nftables => return Ok(()),
            }
        }
        let batch = seen.repair(table, &settings.admin_chain);
        outcome = nft.commit(&batch);
        match &outcome {
            Err(error) if error.is_not_found() || error.already_exists() || error.is_in_use() => {}
            _ => break,
        }
    }
    outcome.map_err(|source| match source {
        // Nobody takes away what was just seen so many times; it is the kernel that does not find a match.
        source if source.is_not_found() => Error::NoCompatibility { source },
        source => source.into(),
    })
}

/// What there is of the rules in one table; a rule by its handle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Seen {
    /// There is a chain FORWARD.
    forwards: bool,
    /// Its rule that leads to our chain.
    entry: Option<u64>,
    /// How many rules our chain has, if it exists.
    length: Option<usize>,
    /// Its rule that leads to the administrator's chain.
    admin: Option<u64>,
    /// It lets marked packets through.
    accepts: bool,
}

impl Seen {
    fn look(nft: &mut Socket, table: Table<'_>, admin: &str) -> Result<Self, Error> {
        let Some(forward) = rules(nft, table.chain(FORWARD))? else {
            return Ok(Self::default());
        };
        let pods = rules(nft, table.chain(PODS))?;
        let ours = pods.as_deref().unwrap_or_default();
        let leading = |rules: &[Rule], to: &str| {
            let found = rules.iter().find(|rule| rule.leads_to(to));
            found.map(|rule| rule.handle)
        };
        Ok(Self {
            forwards: true,
            entry: leading(&forward, PODS),
            length: pods.as_ref().map(Vec::len),
            admin: leading(ours, admin),
            accepts: ours
                .iter()
                .any(|rule| rule.comment.as_deref() == Some(MARKED)),
        })
    }

    const fn is_complete(&self) -> bool {
        self.entry.is_some() && self.accepts && self.admin.is_some()
    }

    /// The changes that make it complete.
    fn repair(self, table: Table<'_>, admin: &str) -> Batch {
        let [forward, pods] = [FORWARD, PODS].map(|name| table.chain(name));
        let mut batch = Batch::new();
        if self.is_complete() {
            return batch;
        }
        if !self.forwards {
            batch.add_table(table);
            let hook = Hook::FilterForward(Hook::FILTER);
            batch.add_new_base_chain(forward, hook, Policy::Accept);
        }
        let entered = self.stake(&mut batch, forward, pods);
        batch.add_chain(table.chain(admin));
        batch.insert_rule(pods, jump(ADMIN, admin));
        if !self.accepts {
            batch.add_rule(pods, accept());
        }
        if !entered {
            batch.insert_rule(forward, jump(ENTRY, PODS));
        }
        batch
    }

    /// Takes away something that is there, or makes something that must not be there, so that of two processes which see the
    /// same one fails and looks again; otherwise rules would be there twice. Tells whether FORWARD still leads to our chain.
    fn stake(self, batch: &mut Batch, forward: Chain<'_>, pods: Chain<'_>) -> bool {
        match (self.length, self.admin, self.entry) {
            (None, ..) => {
                batch.add_new_chain(pods);
            }
            (_, Some(admin), _) => {
                batch.delete_rule(pods, admin);
            }
            (_, None, Some(entry)) => {
                batch.delete_rule(forward, entry);
                return false;
            }
            (Some(0), None, None) => {
                batch.delete_chain(pods).add_new_chain(pods);
            }
            // Somebody's rules and none of ours: there is nothing to stake.
            (Some(_), None, None) => {}
        }
        self.entry.is_some()
    }

    fn lost(self, table: Table<'_>, settings: &Settings) -> Option<String> {
        let admin = &settings.admin_chain;
        if !self.forwards {
            let wanted = settings.backend == Backend::Iptables;
            return wanted.then(|| format!("{table} has no chain {FORWARD}"));
        }
        if self.entry.is_none() {
            return Some(format!(
                "chain {FORWARD} of {table} does not lead to {PODS}"
            ));
        }
        if self.admin.is_none() {
            return Some(format!(
                "chain {PODS} of {table} does not lead to the administrator's {admin}"
            ));
        }
        (!self.accepts)
            .then(|| format!("chain {PODS} of {table} does not let marked packets through"))
    }
}

/// The rules of a chain; none where there is no such chain.
fn rules(nft: &mut Socket, chain: Chain<'_>) -> Result<Option<Vec<Rule>>, nft::Error> {
    membership::or_none(nft.rules(chain))
}

fn jump(comment: &str, to: &str) -> [Expression; 3] {
    [
        xt_comment(comment),
        counter(),
        Verdict::Jump(to.to_owned()).into(),
    ]
}

fn accept() -> [Expression; 4] {
    [
        xt_comment(MARKED),
        xt_mark(MARK),
        counter(),
        Verdict::Accept.into(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conf::Ingress;
    use proptest::prelude::*;

    const COMPLETE: Seen = Seen {
        forwards: true,
        entry: Some(3),
        length: Some(2),
        admin: Some(7),
        accepts: true,
    };

    fn settings(backend: Backend) -> Settings {
        Settings {
            backend,
            admin_chain: "CNI-ADMIN".to_owned(),
            ingress: Ingress::Open,
        }
    }

    #[test]
    fn what_is_complete_is_left_alone() {
        assert!(COMPLETE.repair(filter(Family::Ip), "CNI-ADMIN").is_empty());
        assert_eq!(
            COMPLETE.lost(filter(Family::Ip), &settings(Backend::Iptables)),
            None
        );
    }

    #[test]
    fn tables_that_the_host_does_not_have_are_missed_only_where_they_were_asked_for() {
        let nothing = Seen::default();
        assert_eq!(
            nothing.lost(filter(Family::Ip), &settings(Backend::Automatic)),
            None
        );
        let lost = nothing.lost(filter(Family::Ip6), &settings(Backend::Iptables));
        assert_eq!(lost.as_deref(), Some("ip6 filter has no chain FORWARD"));
    }

    proptest! {
        #[test]
        fn what_is_lost_is_repaired(entry: Option<u64>, length: Option<usize>, admin: Option<u64>, accepts: bool) {
            let seen = Seen { forwards: true, entry, length, admin, accepts };
            let lost = seen.lost(filter(Family::Ip), &settings(Backend::Automatic));
            let batch = seen.repair(filter(Family::Ip), "CNI-ADMIN");
            prop_assert_eq!(lost.is_none(), batch.is_empty());
        }
    }
}
