//! What the routing tables say of a packet.

use super::expression::{Expression, Statement};
use netlink_packet_core::DefaultNla;
use netlink_packet_netfilter::nftables::{Cmp, DataAttribute, Expressions, Operator, Register};

/// `fib daddr type local`: whether the packet's destination is an address of this host.
pub fn to_this_host() -> Expression {
    const REGISTER: u16 = 1;
    const RESULT: u16 = 2;
    const FLAGS: u16 = 3;
    const ADDRESS_TYPE: u32 = 3;
    const DADDR: u32 = 1 << 1;
    const RTN_LOCAL: u32 = 2;
    let number = |kind, value: u32| DefaultNla::new(kind, value.to_be_bytes().to_vec());
    Expression(Statement::Code(Ok(vec![
        Expressions::Other {
            expression_type: "fib".to_owned(),
            attributes: vec![
                number(REGISTER, Register::Reg1.into()),
                number(RESULT, ADDRESS_TYPE),
                number(FLAGS, DADDR),
            ],
        },
        Expressions::Cmp(vec![
            Cmp::SourceRegister(Register::Reg1),
            Cmp::Op(Operator::Equal),
            Cmp::Data(DataAttribute::Value(RTN_LOCAL.to_ne_bytes().to_vec())),
        ]),
    ])))
}
