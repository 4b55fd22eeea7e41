//! Questions about what there is.

use super::element::Element;
use super::error::Error;
use super::message::{HEADERS, Messages};
use super::object::{Chain, Named, Set, Table};
use super::reply::{Answer, Refusal, Reply};
use super::request;
use super::rule::Rule;
use super::socket::{ATTEMPTS, Socket, refused};
use super::value::Key;
use netlink_packet_core::NLM_F_DUMP;
use netlink_packet_netfilter::nftables::{
    ChainAttribute, ChainMessage, GenMessage, NfTablesMessage, RuleMessage, SetMessage,
};
use nix::errno::Errno;

impl Socket {
    /// Whether there is such a table.
    pub fn table_exists(&mut self, table: Table<'_>) -> Result<bool, Error> {
        let request = NfTablesMessage::GetTable(request::table(table));
        self.exists(table, format!("get table {table}"), request)
    }

    /// Whether there is such a chain.
    pub fn chain_exists(&mut self, chain: Chain<'_>) -> Result<bool, Error> {
        let attributes = request::chain(chain);
        let request = NfTablesMessage::GetChain(ChainMessage { attributes });
        self.exists(chain, format!("get {chain}"), request)
    }

    /// Whether there is a set or map of this name, of whatever type.
    pub fn set_exists(&mut self, set: Set<'_>) -> Result<bool, Error> {
        let attributes = request::set(set);
        let request = NfTablesMessage::GetSet(SetMessage { attributes });
        self.exists(set, format!("get {set}"), request)
    }

    fn exists(
        &mut self,
        object: impl Named,
        what: String,
        request: NfTablesMessage,
    ) -> Result<bool, Error> {
        match self.ask(&object, &what, 0, request)? {
            Ok(_) => Ok(true),
            Err(Refusal {
                errno: Errno::ENOENT,
                ..
            }) => Ok(false),
            // Without nf_tables the kernel knows no such request.
            Err(Refusal {
                errno: Errno::EINVAL,
                ..
            }) => Err(Error::no_nf_tables(what)),
            Err(refusal) => Err(refused(what, refusal)),
        }
    }

    /// The names of a table's chains.
    pub fn chains(&mut self, table: Table<'_>) -> Result<Vec<String>, Error> {
        let what = format!("list the chains of {table}");
        let attributes = vec![ChainAttribute::Table(table.name.to_owned())];
        let request = NfTablesMessage::GetChain(ChainMessage { attributes });
        let answers = self.list(&table, &what, request)?;
        let chains: Vec<_> = answers
            .into_iter()
            .filter_map(|answer| match answer {
                Answer::Chain { table: of, name } if of == table.name => Some(name),
                _ => None,
            })
            .collect();
        if chains.is_empty() && !self.table_exists(table)? {
            return Err(not_found(what));
        }
        Ok(chains)
    }

    /// The rules of a chain, in order.
    pub fn rules(&mut self, chain: Chain<'_>) -> Result<Vec<Rule>, Error> {
        let what = format!("list the rules of {chain}");
        let attributes = request::rules(chain);
        let request = NfTablesMessage::GetRule(RuleMessage { attributes });
        let answers = self.list(&chain, &what, request)?;
        let rules: Vec<_> = answers
            .into_iter()
            .filter_map(|answer| match answer {
                Answer::Rule(rule) => Some(rule),
                _ => None,
            })
            .filter(|rule| rule.chain == chain.name && rule.table == chain.table.name)
            .collect();
        // The kernel lists nothing rather than say that there is no such chain.
        if rules.is_empty() && !self.chain_exists(chain)? {
            return Err(not_found(what));
        }
        Ok(rules)
    }

    /// The element of this key. That the set itself is not there is an error.
    pub fn element(&mut self, set: Set<'_>, key: &Key) -> Result<Option<Element>, Error> {
        let what = format!("get element {key} of {set}");
        if let Some(why) = key.fault(set.key) {
            return Err(Error::Invalid { what, why });
        }
        let request = NfTablesMessage::GetSetElement(request::element(set, key, None));
        match self.ask(&set, &what, 0, request)? {
            Ok(heard) => {
                let element = elements(heard.answers, set, &what)?.pop();
                element.map(Some).ok_or_else(|| not_found(what))
            }
            Err(refusal) if refusal.errno != Errno::ENOENT => Err(refused(what, refusal)),
            Err(refusal) if names_the_set(&refusal, set) => Err(refused(what, refusal)),
            Err(_) => Ok(None),
        }
    }

    /// All elements of a set or map, by key.
    ///
    /// An element that comes or goes during the listing may be in it or not.
    pub fn elements(&mut self, set: Set<'_>) -> Result<Vec<Element>, Error> {
        let what = format!("list the elements of {set}");
        let request = NfTablesMessage::GetSetElement(request::elements(set));
        for _ in 0..ATTEMPTS {
            let answers = self.list(&set, &what, request.clone())?;
            let mut elements = elements(answers, set, &what)?;
            elements.sort_by(|a, b| a.key.cmp(&b.key));
            // A table of hashes grows in the background, which moves everything: what is listed twice took the place of
            // what is not listed at all.
            if elements.windows(2).all(|pair| pair[0].key != pair[1].key) {
                return Ok(elements);
            }
            std::thread::yield_now();
        }
        Err(Error::Unsettled {
            what,
            attempts: ATTEMPTS,
        })
    }

    /// Asks for many objects, again when the ruleset changed meanwhile. The kernel counts how far it has come, so that
    /// what comes or goes before that place makes it repeat or leave out others, and it flags this for few objects.
    fn list(
        &mut self,
        object: &impl Named,
        what: &str,
        request: NfTablesMessage,
    ) -> Result<Vec<Answer>, Error> {
        for _ in 0..ATTEMPTS {
            match self.ask(object, what, NLM_F_DUMP, request.clone())? {
                Ok(heard) if heard.torn => {}
                Ok(heard) if self.is_current(object, heard.generation)? => {
                    return Ok(heard.answers);
                }
                Ok(_)
                | Err(Refusal {
                    errno: Errno::EINTR | Errno::EAGAIN,
                    ..
                }) => {}
                Err(refusal) => return Err(refused(what.to_owned(), refusal)),
            }
        }
        Err(Error::Unsettled {
            what: what.to_owned(),
            attempts: ATTEMPTS,
        })
    }

    /// Whether the ruleset is still of this generation; an empty listing is of any.
    fn is_current(&mut self, object: &impl Named, generation: Option<u16>) -> Result<bool, Error> {
        let Some(generation) = generation else {
            return Ok(true);
        };
        const WHAT: &str = "get the generation of the ruleset";
        let request = NfTablesMessage::GetGen(GenMessage {
            attributes: Vec::new(),
        });
        match self.ask(object, WHAT, 0, request)? {
            Ok(heard) => Ok(heard.generation == Some(generation)),
            Err(refusal) => Err(refused(WHAT.to_owned(), refusal)),
        }
    }

    /// Asks one question.
    fn ask(
        &mut self,
        object: &impl Named,
        what: &str,
        flags: u16,
        request: NfTablesMessage,
    ) -> Result<Result<Heard, Refusal>, Error> {
        let mut messages = Messages::default();
        let invalid = |why| Error::Invalid {
            what: what.to_owned(),
            why,
        };
        if let Some(why) = object.fault() {
            return Err(invalid(why));
        }
        if !messages.push(object.family(), flags, request) {
            return Err(invalid("it is too long for one netlink message".to_owned()));
        }
        let sequence = self.connection.send(&mut messages, None, what)?;
        let mut heard = Heard::default();
        loop {
            let replies = self.connection.receive(what)?;
            for reply in replies
                .into_iter()
                .filter(|reply| reply.sequence == sequence)
            {
                match reply.answer {
                    Answer::Refused(refusal) => return Ok(Err(refusal)),
                    Answer::Complete | Answer::Acknowledged => return Ok(Ok(heard)),
                    _ => heard.add(reply),
                }
            }
            if flags & NLM_F_DUMP == 0 && !heard.answers.is_empty() {
                return Ok(Ok(heard));
            }
        }
    }
}

/// The parts of an answer.
#[derive(Default)]
struct Heard {
    answers: Vec<Answer>,
    /// The generation of the ruleset that the first part is of.
    generation: Option<u16>,
    /// Whether parts are of different generations.
    torn: bool,
}

impl Heard {
    fn add(&mut self, reply: Reply) {
        let generation = *self.generation.get_or_insert(reply.generation);
        self.torn |= reply.interrupted || reply.generation != generation;
        self.answers.push(reply.answer);
    }
}

fn elements(answers: Vec<Answer>, set: Set<'_>, what: &str) -> Result<Vec<Element>, Error> {
    let mut elements = Vec::new();
    for answer in answers {
        if let Answer::Elements(raw) = answer {
            for element in raw {
                let element = Element::typed(element, set).map_err(|source| Error::Malformed {
                    what: what.to_owned(),
                    source,
                })?;
                elements.push(element);
            }
        }
    }
    Ok(elements)
}

/// Whether a refusal is about the attributes that name the set and its table, which stand before all others.
fn names_the_set(refusal: &Refusal, set: Set<'_>) -> bool {
    let attribute = |name: &str| (4 + name.len() + 1).next_multiple_of(4);
    let elements = HEADERS + attribute(set.table.name) + attribute(set.name);
    refusal
        .offset
        .is_some_and(|offset| (offset as usize) < elements)
}

fn not_found(what: String) -> Error {
    Error::Refused {
        what,
        errno: Errno::ENOENT,
        text: None,
    }
}
