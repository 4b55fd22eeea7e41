//! Making changes: one transaction, one datagram.
//!
//! A batch asks for one acknowledgement, of its last change; refusals come unasked, in the order of the changes, and the
//! first of them is the one that matters.

use super::batch::Batch;
use super::connection::Connection;
use super::error::Error;
use super::message::Messages;
use super::object::Family;
use super::reply::{Answer, Refusal};
use netlink_packet_netfilter::none::ControlMessage;
use nix::errno::Errno;

/// How often a transaction or a question is repeated that the kernel could not settle because of something passing.
pub(super) const ATTEMPTS: u32 = 10;

/// A way to the nf_tables of one network namespace: the one that the opening thread was in.
pub struct Socket {
    pub(super) connection: Connection,
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Socket").finish_non_exhaustive()
    }
}

impl Socket {
    /// Opens a way to the nf_tables of the network namespace that the calling thread is in.
    ///
    /// Closing it after a deletion waits for the kernel to let go of what was deleted, about 10 ms.
    pub fn open() -> Result<Self, Error> {
        Ok(Self {
            connection: Connection::open()?,
        })
    }

    /// Makes the changes of a batch, all or none.
    pub fn commit(&mut self, batch: &Batch) -> Result<(), Error> {
        if let Some((what, why)) = &batch.invalid {
            return Err(Error::Invalid {
                what: what.clone(),
                why: why.clone(),
            });
        }
        if batch.is_empty() {
            return Ok(());
        }
        let mut messages = batch.messages.clone();
        messages.push_control(ControlMessage::BatchEnd);
        for _ in 1..ATTEMPTS {
            match self.try_commit(batch, &mut messages) {
                Err(error) if is_passing(&error) => {}
                settled => return settled,
            }
        }
        self.try_commit(batch, &mut messages)
    }

    fn try_commit(&mut self, batch: &Batch, messages: &mut Messages) -> Result<(), Error> {
        let last = messages.count() - 2;
        let what = batch.phrases.get(last).map_or("", String::as_str);
        let first = self.connection.send(messages, Some(last), what)?;
        let mut refused = None;
        loop {
            let replies = match self.connection.receive(what) {
                Ok(replies) => replies,
                // Where answers are dropped it is the last ones: the first refusal says enough.
                Err(error) => return Err(refused.unwrap_or(error)),
            };
            for reply in replies {
                let position = reply.sequence.wrapping_sub(first) as usize;
                if position > last {
                    continue;
                }
                if let Answer::Refused(refusal) = reply.answer {
                    refused.get_or_insert_with(|| explain(batch, position, refusal));
                }
                // A refusal of the beginning is one of the whole, and may come alone.
                if position == last || position == 0 {
                    return refused.map_or(Ok(()), Err);
                }
            }
        }
    }
}

/// Whether the same transaction may well be accepted the next time: a module was being loaded, another one came between.
fn is_passing(error: &Error) -> bool {
    matches!(
        error,
        Error::Refused {
            errno: Errno::EAGAIN | Errno::ERESTART | Errno::EINTR,
            ..
        }
    )
}

pub(super) fn refused(what: String, refusal: Refusal) -> Error {
    Error::Refused {
        what,
        errno: refusal.errno,
        text: refusal.text,
    }
}

/// The refusal of the change at this position of a batch.
fn explain(batch: &Batch, position: usize, refusal: Refusal) -> Error {
    let what = batch.phrases.get(position).cloned().unwrap_or_default();
    let family = batch
        .tables
        .iter()
        .find(|(at, _)| *at == position)
        .map(|(_, family)| *family);
    match (refusal.errno, family) {
        (Errno::EOPNOTSUPP | Errno::EAFNOSUPPORT, _) if position == 0 => Error::no_nf_tables(what),
        (Errno::EOPNOTSUPP | Errno::EAFNOSUPPORT, Some(family)) => Error::Unsupported {
            what,
            lacking: option_of(family),
        },
        _ => refused(what, refusal),
    }
}

/// The part of the kernel that a family needs.
const fn option_of(family: Family) -> &'static str {
    match family {
        Family::Inet => "nf_tables for the family inet (CONFIG_NF_TABLES_INET)",
        Family::Ip => "nf_tables for the family ip (CONFIG_NF_TABLES_IPV4)",
        Family::Ip6 => "nf_tables for the family ip6 (CONFIG_NF_TABLES_IPV6)",
        Family::Bridge => "nf_tables for the family bridge (CONFIG_NF_TABLES_BRIDGE)",
    }
}
