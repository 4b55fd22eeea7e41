//! A transaction in the making.

use super::element::{Data, Element};
use super::expression::Expression;
use super::lower::{lower, verdict_attributes};
use super::message::Messages;
use super::object::{Chain, Family, Hook, Kind, Named, Policy, Set, Table};
use super::request;
use super::userdata;
use super::value::{self, Key};
use netlink_packet_core::{NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_netfilter::nftables::{
    ChainAttribute, ChainMessage, DataAttribute, Hook as HookAttribute, HookNumber, ListAttribute,
    NfTablesMessage, RuleAttribute, RuleMessage, SetAttribute, SetElementAttribute, SetFlags,
    SetMessage,
};
use netlink_packet_netfilter::none::ControlMessage;

/// The type by which the kernel and `nft` know that a map holds verdicts, and the length of one in the kernel.
const VERDICT_TYPE: u32 = 0xffff_ff00;
const VERDICT_LENGTH: usize = 16;
/// How often the kernel frees what has expired, in milliseconds; what has expired counts as gone before. It walks through
/// the whole set for that, 0.3 ms for 5,000 elements. But a key that comes and goes stays in the hash table each time, and
/// from the seventeenth on the kernel takes the table for unbalanced and builds it anew at every addition.
const CLEARING_MS: u32 = 5_000;
const NEW: u16 = NLM_F_CREATE | NLM_F_EXCL;

/// Changes that come about together or not at all, in the order in which they are given.
///
/// What is added may be there already, and stays as it is, unless it is added as *new*; what is deleted must be there.
/// A change may refer to what an earlier one adds. What no kernel would take, a name too long or a key of another
/// type, is remembered and reported by [`Socket::commit`](super::Socket::commit).
#[derive(Debug)]
pub struct Batch {
    pub(super) messages: Messages,
    /// What each message does, as a phrase.
    pub(super) phrases: Vec<String>,
    /// For which families messages add a table, by position: the place where a kernel without the family says so.
    pub(super) tables: Vec<(usize, Family)>,
    pub(super) invalid: Option<(String, String)>,
    sets: u32,
}

impl Default for Batch {
    fn default() -> Self {
        Self::new()
    }
}

impl Batch {
    /// A transaction that changes nothing.
    pub fn new() -> Self {
        let mut messages = Messages::default();
        messages.push_control(ControlMessage::BatchBegin);
        let phrases = vec!["begin an nf_tables transaction".to_owned()];
        Self {
            messages,
            phrases,
            tables: Vec::new(),
            invalid: None,
            sets: 0,
        }
    }

    /// Whether it changes nothing.
    pub const fn is_empty(&self) -> bool {
        self.messages.count() <= 1 && self.invalid.is_none()
    }

    /// Adds a table.
    pub fn add_table(&mut self, table: Table<'_>) -> &mut Self {
        self.table(table, NLM_F_CREATE)
    }

    /// Adds a table that must not be there yet.
    pub fn add_new_table(&mut self, table: Table<'_>) -> &mut Self {
        self.table(table, NEW)
    }

    /// Deletes a table with all that is in it.
    pub fn delete_table(&mut self, table: Table<'_>) -> &mut Self {
        let message = NfTablesMessage::DeleteTable(request::table(table));
        self.push(table, format!("delete table {table}"), 0, message)
    }

    fn table(&mut self, table: Table<'_>, flags: u16) -> &mut Self {
        self.tables.push((self.messages.count(), table.family));
        let message = NfTablesMessage::NewTable(request::table(table));
        self.push(table, format!("add table {table}"), flags, message)
    }

    /// Adds a chain that rules and maps lead to.
    pub fn add_chain(&mut self, chain: Chain<'_>) -> &mut Self {
        self.chain(chain, NLM_F_CREATE, Vec::new())
    }

    /// Adds a chain that rules and maps lead to and that must not be there yet.
    pub fn add_new_chain(&mut self, chain: Chain<'_>) -> &mut Self {
        self.chain(chain, NEW, Vec::new())
    }

    /// Adds a chain that sees packets by itself. One that is there already with another hook is refused.
    pub fn add_base_chain(&mut self, chain: Chain<'_>, hook: Hook, policy: Policy) -> &mut Self {
        self.chain(chain, NLM_F_CREATE, base(hook, policy))
    }

    /// Adds a chain that sees packets by itself and that must not be there yet: adding one that is there would change
    /// its policy.
    pub fn add_new_base_chain(
        &mut self,
        chain: Chain<'_>,
        hook: Hook,
        policy: Policy,
    ) -> &mut Self {
        self.chain(chain, NEW, base(hook, policy))
    }

    /// Deletes every rule of a chain.
    pub fn flush_chain(&mut self, chain: Chain<'_>) -> &mut Self {
        let message = NfTablesMessage::DeleteRule(RuleMessage {
            attributes: request::rules(chain),
        });
        self.push(chain, format!("flush {chain}"), 0, message)
    }

    /// Deletes a chain, which must have no rules and nothing that leads to it.
    pub fn delete_chain(&mut self, chain: Chain<'_>) -> &mut Self {
        let message = NfTablesMessage::DeleteChain(ChainMessage {
            attributes: request::chain(chain),
        });
        self.push(chain, format!("delete {chain}"), 0, message)
    }

    fn chain(&mut self, chain: Chain<'_>, flags: u16, base: Vec<ChainAttribute>) -> &mut Self {
        let mut attributes = request::chain(chain);
        attributes.extend(base);
        let message = NfTablesMessage::NewChain(ChainMessage { attributes });
        self.push(chain, format!("add {chain}"), flags, message)
    }

    /// Appends a rule to a chain, whether or not there is one like it.
    pub fn add_rule(
        &mut self,
        chain: Chain<'_>,
        rule: impl IntoIterator<Item = Expression>,
    ) -> &mut Self {
        self.rule(chain, rule, None, NLM_F_APPEND)
    }

    /// Puts a rule in front of all others of a chain, whether or not there is one like it.
    pub fn insert_rule(
        &mut self,
        chain: Chain<'_>,
        rule: impl IntoIterator<Item = Expression>,
    ) -> &mut Self {
        self.rule(chain, rule, None, 0)
    }

    /// Appends a rule with a comment, of at most 251 bytes; of more than 128 `nft` prints it but will not read it back.
    pub fn add_commented_rule(
        &mut self,
        chain: Chain<'_>,
        rule: impl IntoIterator<Item = Expression>,
        comment: &str,
    ) -> &mut Self {
        self.rule(chain, rule, Some(comment), NLM_F_APPEND)
    }

    /// Puts a rule with a comment in front of all others; see [`Batch::add_commented_rule`].
    pub fn insert_commented_rule(
        &mut self,
        chain: Chain<'_>,
        rule: impl IntoIterator<Item = Expression>,
        comment: &str,
    ) -> &mut Self {
        self.rule(chain, rule, Some(comment), 0)
    }

    /// Deletes the rule of this handle.
    pub fn delete_rule(&mut self, chain: Chain<'_>, handle: u64) -> &mut Self {
        let mut attributes = request::rules(chain);
        attributes.push(RuleAttribute::Handle(handle));
        let message = NfTablesMessage::DeleteRule(RuleMessage { attributes });
        self.push(
            chain,
            format!("delete rule {handle} of {chain}"),
            0,
            message,
        )
    }

    fn rule(
        &mut self,
        chain: Chain<'_>,
        rule: impl IntoIterator<Item = Expression>,
        comment: Option<&str>,
        place: u16,
    ) -> &mut Self {
        let phrase = format!("add rule to {chain}");
        let code = match lower(chain.table.family, rule) {
            Ok(code) => code,
            Err(why) => return self.refuse(phrase, why),
        };
        let mut attributes = request::rules(chain);
        let code = code.into_iter().map(ListAttribute::from).collect();
        attributes.push(RuleAttribute::Expressions(code));
        if let Some(comment) = comment {
            if let Some(why) = userdata::fault(comment) {
                return self.refuse(phrase, why);
            }
            attributes.push(RuleAttribute::UserData(userdata::with_comment(comment)));
        }
        let message = NfTablesMessage::NewRule(RuleMessage { attributes });
        self.push(chain, phrase, NLM_F_CREATE | place, message)
    }

    /// Adds a set or map without elements.
    pub fn add_set(&mut self, set: Set<'_>) -> &mut Self {
        self.sets += 1;
        let mut attributes = request::set(set);
        let (flags, data) = match set.kind {
            Kind::Set => (SetFlags::empty(), None),
            Kind::Map(types) => (
                SetFlags::Map,
                Some((value::type_number(types), value::length(types))),
            ),
            Kind::VerdictMap => (SetFlags::Map, Some((VERDICT_TYPE, VERDICT_LENGTH))),
        };
        let flags = if set.expiring {
            attributes.push(SetAttribute::GarbageCollectionInterval(CLEARING_MS));
            flags | SetFlags::Timeout
        } else {
            flags
        };
        attributes.extend([
            SetAttribute::Flags(flags),
            SetAttribute::KeyType(value::type_number(set.key)),
            SetAttribute::KeyLen(value::u32_of(value::length(set.key))),
            // The kernel wants a number of the set within the transaction, although names do.
            SetAttribute::Id(self.sets),
            SetAttribute::UserData(userdata::of_set(set.key, set.kind.value())),
        ]);
        if let Some((kind, length)) = data {
            attributes.push(SetAttribute::DataType(kind));
            attributes.push(SetAttribute::DataLen(value::u32_of(length)));
        }
        let message = NfTablesMessage::NewSet(SetMessage { attributes });
        self.push(set, format!("add {set}"), NLM_F_CREATE, message)
    }

    /// Deletes a set or map with its elements; no rule may look things up in it.
    pub fn delete_set(&mut self, set: Set<'_>) -> &mut Self {
        let message = NfTablesMessage::DeleteSet(SetMessage {
            attributes: request::set(set),
        });
        self.push(set, format!("delete {set}"), 0, message)
    }

    /// Deletes every element of a set or map.
    pub fn flush_set(&mut self, set: Set<'_>) -> &mut Self {
        let message = NfTablesMessage::DeleteSetElement(request::elements(set));
        self.push(set, format!("flush {set}"), 0, message)
    }

    /// Adds an element. One that is there already with other data is refused as existing; with the same data it stays,
    /// and keeps its comment.
    pub fn add_element(&mut self, set: Set<'_>, element: &Element) -> &mut Self {
        self.element(set, element, NLM_F_CREATE)
    }

    /// Adds an element that must not be there yet.
    pub fn add_new_element(&mut self, set: Set<'_>, element: &Element) -> &mut Self {
        self.element(set, element, NEW)
    }

    /// Tells an element of an expiring set or map to go by itself within one tick of the kernel's clock, 1 to 10 ms.
    ///
    /// A deletion makes whoever closes the socket wait until no packet can meet the element any more; this does not.
    /// Kernels before 6.12 accept it and do nothing. An element that is not there comes for that tick.
    pub fn expire_element(&mut self, set: Set<'_>, element: &Element) -> &mut Self {
        const ONE_TICK: u64 = 1;
        let timeout = SetElementAttribute::Timeout(ONE_TICK);
        let phrase = format!("let element {} of {set} expire", element.key);
        self.element_with(set, element, phrase, NLM_F_CREATE, Some(timeout))
    }

    /// Deletes an element.
    pub fn delete_element(&mut self, set: Set<'_>, key: &Key) -> &mut Self {
        let phrase = format!("delete element {key} from {set}");
        if let Some(why) = key.fault(set.key) {
            return self.refuse(phrase, why);
        }
        let message = NfTablesMessage::DeleteSetElement(request::element(set, key, None));
        self.push(set, phrase, 0, message)
    }

    fn element(&mut self, set: Set<'_>, element: &Element, flags: u16) -> &mut Self {
        let phrase = format!("add element {} to {set}", element.key);
        self.element_with(set, element, phrase, flags, None)
    }

    fn element_with(
        &mut self,
        set: Set<'_>,
        element: &Element,
        phrase: String,
        flags: u16,
        timeout: Option<SetElementAttribute>,
    ) -> &mut Self {
        if let Some(why) = element.fault(set) {
            return self.refuse(phrase, why);
        }
        let data = element
            .data
            .as_ref()
            .map(|data| SetElementAttribute::Data(data_of(data)));
        let comment = element.comment.as_deref().map(userdata::with_comment);
        let rest = data
            .into_iter()
            .chain(timeout)
            .chain(comment.map(SetElementAttribute::UserData));
        let message = NfTablesMessage::NewSetElement(request::element(set, &element.key, rest));
        self.push(set, phrase, flags, message)
    }

    fn push(
        &mut self,
        object: impl Named,
        phrase: String,
        flags: u16,
        message: NfTablesMessage,
    ) -> &mut Self {
        if let Some(why) = object.fault() {
            return self.refuse(phrase, why);
        }
        if !self.messages.push(object.family(), flags, message) {
            return self.refuse(phrase, "it is too long for one netlink message".to_owned());
        }
        self.phrases.push(phrase);
        self
    }

    fn refuse(&mut self, phrase: String, why: String) -> &mut Self {
        self.invalid.get_or_insert((phrase, why));
        self
    }
}

/// What makes a chain see packets by itself.
fn base(hook: Hook, policy: Policy) -> Vec<ChainAttribute> {
    let (kind, number, priority) = hook.parts();
    let policy = match policy {
        Policy::Drop => 0,
        Policy::Accept => 1,
    };
    vec![
        ChainAttribute::Hook(vec![
            HookAttribute::Number(HookNumber::Inet(number)),
            HookAttribute::Priority(u32::from_ne_bytes(priority.to_ne_bytes())),
        ]),
        ChainAttribute::Policy(policy),
        ChainAttribute::Type(kind.to_owned()),
    ]
}

fn data_of(data: &Data) -> DataAttribute {
    match data {
        Data::Verdict(verdict) => DataAttribute::Verdict(verdict_attributes(verdict)),
        Data::Value(value) => DataAttribute::Value(value.bytes()),
    }
}
