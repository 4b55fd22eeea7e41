//! Translating a packet's destination, the first packet's of a connection; the others follow it.

use super::expression::{Expression, Statement};
use super::value::{Type, Value};
use netlink_packet_core::DefaultNla;
use netlink_packet_netfilter::nftables::{DataAttribute, Expressions, Immediate, Register};
use std::net::IpAddr;

/// `dnat ip to 10.1.0.7:80`.
pub fn dnat_to(address: IpAddr, port: u16) -> Expression {
    let (address_register, port_register) = (Register::Reg1, Register::Reg2);
    let load = |register, value: Value| {
        Expressions::Immediate(vec![
            Immediate::DestinationRegister(register),
            Immediate::Data(DataAttribute::Value(value.bytes())),
        ])
    };
    let address = Value::from(address);
    let of = address.type_of();
    Expression(Statement::Code(Ok(vec![
        load(address_register, address),
        load(port_register, Value::Service(port)),
        to_registers(of, address_register, port_register),
    ])))
}

/// The translation to an address and a port that are in these registers.
pub(super) fn to_registers(of: Type, address: Register, port: Register) -> Expressions {
    const KIND: u16 = 1;
    const FAMILY: u16 = 2;
    const ADDRESS: [u16; 2] = [3, 4];
    const PORT: [u16; 2] = [5, 6];
    const DESTINATION: u32 = 1;
    let family: u32 = if of == Type::Ipv6Addr { 10 } else { 2 };
    let number = |kind, value: u32| DefaultNla::new(kind, value.to_be_bytes().to_vec());
    let mut attributes = vec![number(KIND, DESTINATION), number(FAMILY, family)];
    // From and to the same: no range.
    attributes.extend(ADDRESS.map(|kind| number(kind, address.into())));
    attributes.extend(PORT.map(|kind| number(kind, port.into())));
    Expressions::Other {
        expression_type: "nat".to_owned(),
        attributes,
    }
}
