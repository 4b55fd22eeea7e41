//! Writing requests: one netlink message after the other into one buffer.
//!
//! Sequence numbers are left zero and numbered when the buffer is sent, so that a transaction can be sent again.

use super::object::Family;
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_netfilter::nftables::NfTablesMessage;
use netlink_packet_netfilter::{
    NetfilterHeader, NetfilterMessage, NetfilterMessageInner, NetfilterProtoFamily,
};

/// Bytes before the attributes of a request: the headers of netlink and of netfilter.
pub(super) const HEADERS: usize = 20;

/// What a length field of an attribute can say; so long may a message be, since one attribute can be most of it.
const LONGEST: usize = u16::MAX as usize;

/// Which subsystem a batch is for; the kernel takes it from the header of the message that begins the batch.
const NF_TABLES: u16 = 10;

const FLAGS: std::ops::Range<usize> = 6..8;
const SEQUENCE: std::ops::Range<usize> = 8..12;

/// Requests, encoded, that go to the kernel in one datagram.
#[derive(Debug, Default, Clone)]
pub(super) struct Messages {
    bytes: Vec<u8>,
    starts: Vec<usize>,
}

impl Messages {
    /// Appends a request of nf_tables; false when it is too long for netlink.
    pub(super) fn push(&mut self, family: Family, flags: u16, request: NfTablesMessage) -> bool {
        self.append(protocol(family), 0, flags, request.into())
    }

    /// Appends the beginning or the end of a batch.
    pub(super) fn push_control(
        &mut self,
        control: netlink_packet_netfilter::none::ControlMessage,
    ) -> bool {
        self.append(NetfilterProtoFamily::Unspec, NF_TABLES, 0, control.into())
    }

    fn append(
        &mut self,
        family: NetfilterProtoFamily,
        resource: u16,
        flags: u16,
        inner: NetfilterMessageInner,
    ) -> bool {
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | flags;
        let inner = NetfilterMessage::new(NetfilterHeader::new(family, 0, resource), inner);
        let mut message = NetlinkMessage::new(header, NetlinkPayload::from(inner));
        let length = message.buffer_len();
        if length > LONGEST {
            return false;
        }
        message.finalize();
        let start = self.bytes.len();
        self.bytes.resize(start + length, 0);
        message.serialize(&mut self.bytes[start..]);
        self.starts.push(start);
        true
    }

    /// How many requests there are.
    pub(super) const fn count(&self) -> usize {
        self.starts.len()
    }

    /// Numbers the requests from `first` on, has the kernel acknowledge the one at `acknowledged`, and gives the
    /// datagram.
    pub(super) fn numbered(&mut self, first: u32, acknowledged: Option<usize>) -> &[u8] {
        let mut sequence = first;
        for (position, start) in self.starts.iter().enumerate() {
            let Some(message) = self.bytes.get_mut(*start..) else {
                continue;
            };
            message[SEQUENCE].copy_from_slice(&sequence.to_ne_bytes());
            if acknowledged == Some(position) {
                let flags = u16::from_ne_bytes([message[6], message[7]]) | NLM_F_ACK;
                message[FLAGS].copy_from_slice(&flags.to_ne_bytes());
            }
            sequence = sequence.wrapping_add(1);
        }
        &self.bytes
    }
}

const fn protocol(family: Family) -> NetfilterProtoFamily {
    match family {
        Family::Inet => NetfilterProtoFamily::Inet,
        Family::Ip => NetfilterProtoFamily::IPv4,
        Family::Ip6 => NetfilterProtoFamily::IPv6,
        Family::Bridge => NetfilterProtoFamily::Bridge,
    }
}
