//! A packet's mark: a number of 32 bits that stays with the packet while it is in this network namespace.
//!
//! Bits are tested, set and cleared one by one, because others use the rest of them.

use super::expression::{Expression, Statement};
use netlink_packet_netfilter::nftables::{
    Bitwise, Cmp, DataAttribute, Expressions, Meta, MetaKey, Operator, Register,
};

/// `meta mark & bits == bits`.
pub fn mark_has(bits: u32) -> Expression {
    code(vec![
        load(),
        masked(bits, 0),
        Expressions::Cmp(vec![
            Cmp::SourceRegister(Register::Reg1),
            Cmp::Op(Operator::Equal),
            Cmp::Data(value(bits)),
        ]),
    ])
}

/// `meta mark set meta mark | bits`.
pub fn set_mark(bits: u32) -> Expression {
    code(vec![load(), masked(!bits, bits), store()])
}

/// The same in a register that no address and port reach into.
pub(super) fn set_bits(bits: u32) -> [Expressions; 3] {
    const REGISTER: Register = Register::Reg4;
    [
        Expressions::Meta(vec![
            Meta::Key(MetaKey::Mark),
            Meta::DestinationRegister(REGISTER),
        ]),
        Expressions::Bitwise(vec![
            Bitwise::SourceRegister(REGISTER),
            Bitwise::DestinationRegister(REGISTER),
            Bitwise::Length(4),
            Bitwise::Mask(value(!bits)),
            Bitwise::Xor(value(bits)),
        ]),
        Expressions::Meta(vec![
            Meta::Key(MetaKey::Mark),
            Meta::SourceRegister(REGISTER),
        ]),
    ]
}

/// `meta mark set meta mark & ~bits`.
pub fn clear_mark(bits: u32) -> Expression {
    code(vec![load(), masked(!bits, 0), store()])
}

fn code(code: Vec<Expressions>) -> Expression {
    Expression(Statement::Code(Ok(code)))
}

fn load() -> Expressions {
    Expressions::Meta(vec![
        Meta::Key(MetaKey::Mark),
        Meta::DestinationRegister(Register::Reg1),
    ])
}

fn store() -> Expressions {
    Expressions::Meta(vec![
        Meta::Key(MetaKey::Mark),
        Meta::SourceRegister(Register::Reg1),
    ])
}

/// `(register & mask) ^ flipped`.
fn masked(mask: u32, flipped: u32) -> Expressions {
    Expressions::Bitwise(vec![
        Bitwise::SourceRegister(Register::Reg1),
        Bitwise::DestinationRegister(Register::Reg1),
        Bitwise::Length(4),
        Bitwise::Mask(value(mask)),
        Bitwise::Xor(value(flipped)),
    ])
}

/// Marks are numbers of the machine, not of the network.
fn value(bits: u32) -> DataAttribute {
    DataAttribute::Value(bits.to_ne_bytes().to_vec())
}
