//! A transaction in the making.

use super::element::Element;
use super::error::Error;
use super::expression::Expression;
use super::object::{Chain, Hook, Policy, Set, Table};

/// Changes that come about together or not at all, in the order in which they are given.
///
/// What is added may exist already, unless it is added as *new*; what is deleted must exist. A later change may refer
/// to what an earlier one adds. Whatever the kernel would not take (a name too long, a key of another type) is
/// remembered and reported by [`Socket::commit`](super::Socket::commit).
#[derive(Debug)]
pub struct Batch {
    invalid: Option<Error>,
}

#[allow(unused_variables, missing_docs)]
impl Batch {
    pub fn new() -> Self {
        todo!()
    }
    pub fn is_empty(&self) -> bool {
        todo!()
    }
    pub fn add_table(&mut self, table: Table<'_>) -> &mut Self {
        todo!()
    }
    pub fn add_new_table(&mut self, table: Table<'_>) -> &mut Self {
        todo!()
    }
    pub fn delete_table(&mut self, table: Table<'_>) -> &mut Self {
        todo!()
    }
    pub fn add_chain(&mut self, chain: Chain<'_>) -> &mut Self {
        todo!()
    }
    pub fn add_new_chain(&mut self, chain: Chain<'_>) -> &mut Self {
        todo!()
    }
    pub fn add_base_chain(&mut self, chain: Chain<'_>, hook: Hook, policy: Policy) -> &mut Self {
        todo!()
    }
    pub fn flush_chain(&mut self, chain: Chain<'_>) -> &mut Self {
        todo!()
    }
    pub fn delete_chain(&mut self, chain: Chain<'_>) -> &mut Self {
        todo!()
    }
    pub fn add_rule(
        &mut self,
        chain: Chain<'_>,
        rule: impl IntoIterator<Item = Expression>,
    ) -> &mut Self {
        todo!()
    }
    pub fn add_commented_rule(
        &mut self,
        chain: Chain<'_>,
        rule: impl IntoIterator<Item = Expression>,
        comment: &str,
    ) -> &mut Self {
        todo!()
    }
    pub fn delete_rule(&mut self, chain: Chain<'_>, handle: u64) -> &mut Self {
        todo!()
    }
    pub fn add_set(&mut self, set: Set<'_>) -> &mut Self {
        todo!()
    }
    pub fn delete_set(&mut self, set: Set<'_>) -> &mut Self {
        todo!()
    }
    pub fn flush_set(&mut self, set: Set<'_>) -> &mut Self {
        todo!()
    }
    pub fn add_element(&mut self, set: Set<'_>, element: &Element) -> &mut Self {
        todo!()
    }
    pub fn add_new_element(&mut self, set: Set<'_>, element: &Element) -> &mut Self {
        todo!()
    }
    pub fn delete_element(&mut self, set: Set<'_>, key: &super::value::Key) -> &mut Self {
        todo!()
    }
}
