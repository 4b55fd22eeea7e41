//! Rules as the kernel keeps them, including those that other programs made.

use super::attributes::{Attributes, string};
use super::error::Malformed;
use super::userdata;
use super::verdict::Verdict;

const TABLE: u16 = 1;
const CHAIN: u16 = 2;
const HANDLE: u16 = 3;
const EXPRESSIONS: u16 = 4;
const USERDATA: u16 = 7;

/// A rule of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// What the rule is deleted by.
    pub handle: u64,
    /// Its comment, as `nft` or as the comment match of iptables keeps one.
    pub comment: Option<String>,
    /// What it is made of, in order.
    pub terms: Vec<Term>,
    pub(super) table: String,
    pub(super) chain: String,
}

/// One expression of a rule, of any kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    /// The kernel's name for it: `cmp`, `lookup`, `match`, `masq` ...
    pub name: String,
    /// The verdict, where the expression is one.
    pub verdict: Option<Verdict>,
    /// What a packet's bytes are compared with, where the expression is a comparison.
    pub compared: Option<Vec<u8>>,
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

    /// Whether the rule compares a part of the packet with exactly these bytes, such as an address's.
    pub fn compares(&self, bytes: &[u8]) -> bool {
        let mut compared = self.terms.iter().filter_map(|term| term.compared.as_ref());
        compared.any(|compared| compared == bytes)
    }

    pub(super) fn read(rule: Attributes<'_>) -> Result<Self, Malformed> {
        let handle = rule
            .u64(HANDLE)?
            .ok_or(Malformed::Lacking("rule", "handle"))?;
        let mut comment = rule.find(USERDATA)?.and_then(userdata::comment);
        let mut terms = Vec::new();
        if let Some(expressions) = rule.nested(EXPRESSIONS)? {
            for expression in expressions.iter() {
                let expression = Attributes::new("rule", expression?.1);
                let term = Term::read(expression)?;
                if comment.is_none() && term.name == "match" {
                    comment = match_comment(expression)?;
                }
                terms.push(term);
            }
        }
        let table = rule.string(TABLE)?.unwrap_or_default();
        let chain = rule.string(CHAIN)?.unwrap_or_default();
        Ok(Self {
            handle,
            comment,
            terms,
            table,
            chain,
        })
    }
}

const NAME: u16 = 1;
const DATA: u16 = 2;

impl Term {
    fn read(expression: Attributes<'_>) -> Result<Self, Malformed> {
        const IMMEDIATE_DATA: u16 = 2;
        const CMP_DATA: u16 = 3;
        const VALUE: u16 = 1;
        let name = expression
            .string(NAME)?
            .ok_or(Malformed::Lacking("expression", "name"))?;
        let data = expression.nested(DATA)?;
        let nested = |of: &str, attribute| match data {
            Some(data) if name == of => data.nested(attribute),
            _ => Ok(None),
        };
        let verdict = nested("immediate", IMMEDIATE_DATA)?;
        let verdict = verdict.map(Verdict::from_data).transpose()?.flatten();
        let compared = nested("cmp", CMP_DATA)?;
        let compared = compared.map(|data| data.find(VALUE)).transpose()?.flatten();
        let compared = compared.map(<[u8]>::to_vec);
        Ok(Self {
            name,
            verdict,
            compared,
        })
    }
}

/// The text of `-m comment`, if the match is one.
fn match_comment(expression: Attributes<'_>) -> Result<Option<String>, Malformed> {
    const INFO: u16 = 3;
    let Some(data) = expression.nested(DATA)? else {
        return Ok(None);
    };
    if data.string(NAME)?.as_deref() != Some("comment") {
        return Ok(None);
    }
    Ok(data.find(INFO)?.map(string))
}
