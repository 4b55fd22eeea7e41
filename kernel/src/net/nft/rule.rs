//! Rules as the kernel keeps them, including those that other programs made.

use super::verdict::Verdict;

/// A rule of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// What the rule is deleted by.
    pub handle: u64,
    /// Its comment, as `nft` or as the comment match of iptables-nft keeps one.
    pub comment: Option<String>,
    /// What it is made of, in order.
    pub terms: Vec<Term>,
}

/// One expression of a rule, of any kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    /// The kernel's name for it: `cmp`, `lookup`, `match`, `masq` ...
    pub name: String,
    /// The verdict, where the expression is one.
    pub verdict: Option<Verdict>,
}

impl Rule {
    /// Whether the rule hands packets to this chain of its table, by jump or goto.
    pub fn leads_to(&self, chain: &str) -> bool {
        self.targets().any(|target| target == chain)
    }

    /// The chains that the rule hands packets to.
    pub fn targets(&self) -> impl Iterator<Item = &str> {
        self.terms
            .iter()
            .filter_map(|term| term.verdict.as_ref()?.target())
    }
}
