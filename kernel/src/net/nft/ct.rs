//! What connection tracking knows of the connection that a packet belongs to.

use super::expression::{Expression, Statement};
use netlink_packet_core::DefaultNla;
use netlink_packet_netfilter::nftables::{
    Bitwise, Cmp, DataAttribute, Expressions, Operator, Register,
};

/// The part that a packet plays in its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CtState {
    /// It belongs to no connection and begins none.
    Invalid,
    /// Its connection has been seen in both directions.
    Established,
    /// It begins a connection that another one brought about, or speaks of another one's failure.
    Related,
    /// It begins a connection.
    New,
}

impl CtState {
    const fn bit(self) -> u32 {
        match self {
            Self::Invalid => 1,
            Self::Established => 1 << 1,
            Self::Related => 1 << 2,
            Self::New => 1 << 3,
        }
    }
}

/// What was done with a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CtStatus {
    /// Its destination was translated.
    Dnat,
}

impl CtStatus {
    const fn bit(self) -> u32 {
        match self {
            Self::Dnat => 1 << 5,
        }
    }
}

/// `ct state established,related`: whether a packet is in any of these states.
pub fn ct_state(any: &[CtState]) -> Expression {
    const STATE: u32 = 0;
    has_any(STATE, any.iter().fold(0, |bits, state| bits | state.bit()))
}

/// `ct status dnat`.
pub fn ct_status(status: CtStatus) -> Expression {
    const STATUS: u32 = 2;
    has_any(STATUS, status.bit())
}

fn has_any(key: u32, bits: u32) -> Expression {
    const REGISTER: u16 = 1;
    const KEY: u16 = 2;
    let value = |bits: u32| DataAttribute::Value(bits.to_ne_bytes().to_vec());
    let register = u32::from(Register::Reg1);
    Expression(Statement::Code(Ok(vec![
        Expressions::Other {
            expression_type: "ct".to_owned(),
            attributes: vec![
                DefaultNla::new(KEY, key.to_be_bytes().to_vec()),
                DefaultNla::new(REGISTER, register.to_be_bytes().to_vec()),
            ],
        },
        Expressions::Bitwise(vec![
            Bitwise::SourceRegister(Register::Reg1),
            Bitwise::DestinationRegister(Register::Reg1),
            Bitwise::Length(4),
            Bitwise::Mask(value(bits)),
            Bitwise::Xor(value(0)),
        ]),
        Expressions::Cmp(vec![
            Cmp::SourceRegister(Register::Reg1),
            Cmp::Op(Operator::NotEqual),
            Cmp::Data(value(0)),
        ]),
    ])))
}
