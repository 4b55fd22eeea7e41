//! Speaking with nf_tables.

use super::batch::Batch;
use super::element::Element;
use super::error::Error;
use super::object::{Chain, Set, Table};
use super::rule::Rule;
use super::value::Key;

/// A way to the nf_tables of one network namespace: the one that the opening thread was in.
#[derive(Debug)]
pub struct Socket;

#[allow(unused_variables, missing_docs)]
impl Socket {
    pub fn open() -> Result<Self, Error> {
        todo!()
    }
    pub fn commit(&mut self, batch: &Batch) -> Result<(), Error> {
        todo!()
    }
    pub fn table_exists(&mut self, table: Table<'_>) -> Result<bool, Error> {
        todo!()
    }
    pub fn chain_exists(&mut self, chain: Chain<'_>) -> Result<bool, Error> {
        todo!()
    }
    pub fn set_exists(&mut self, set: Set<'_>) -> Result<bool, Error> {
        todo!()
    }
    pub fn chains(&mut self, table: Table<'_>) -> Result<Vec<String>, Error> {
        todo!()
    }
    pub fn rules(&mut self, chain: Chain<'_>) -> Result<Vec<Rule>, Error> {
        todo!()
    }
    pub fn element(&mut self, set: Set<'_>, key: &Key) -> Result<Option<Element>, Error> {
        todo!()
    }
    pub fn elements(&mut self, set: Set<'_>) -> Result<Vec<Element>, Error> {
        todo!()
    }
}
