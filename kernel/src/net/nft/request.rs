//! How a request names the object that it is about.

use super::object::{Chain, Set, Table};
use super::value::Key;
use netlink_packet_netfilter::nftables::{
    ChainAttribute, DataAttribute, ListAttribute, RuleAttribute, SetAttribute, SetElementAttribute,
    SetElementList, SetElementMessage, TableAttribute, TableMessage,
};

pub(super) fn table(table: Table<'_>) -> TableMessage {
    TableMessage {
        attributes: vec![TableAttribute::Name(table.name.to_owned())],
    }
}

pub(super) fn chain(chain: Chain<'_>) -> Vec<ChainAttribute> {
    vec![
        ChainAttribute::Table(chain.table.name.to_owned()),
        ChainAttribute::Name(chain.name.to_owned()),
    ]
}

/// The rules of a chain; of these one, if a handle follows.
pub(super) fn rules(chain: Chain<'_>) -> Vec<RuleAttribute> {
    vec![
        RuleAttribute::Table(chain.table.name.to_owned()),
        RuleAttribute::Chain(chain.name.to_owned()),
    ]
}

pub(super) fn set(set: Set<'_>) -> Vec<SetAttribute> {
    vec![
        SetAttribute::Table(set.table.name.to_owned()),
        SetAttribute::Name(set.name.to_owned()),
    ]
}

/// All elements of a set.
pub(super) fn elements(set: Set<'_>) -> SetElementMessage {
    SetElementMessage {
        attributes: vec![
            SetElementList::Table(set.table.name.to_owned()),
            SetElementList::Set(set.name.to_owned()),
        ],
    }
}

/// One element of a set, and what else there is to say about it.
pub(super) fn element(
    set: Set<'_>,
    key: &Key,
    rest: impl IntoIterator<Item = SetElementAttribute>,
) -> SetElementMessage {
    let mut element = vec![SetElementAttribute::Key(DataAttribute::Value(key.bytes()))];
    element.extend(rest);
    let mut message = elements(set);
    message
        .attributes
        .push(SetElementList::Elements(vec![ListAttribute::Element(
            element,
        )]));
    message
}
