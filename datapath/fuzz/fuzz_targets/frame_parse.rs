//! Any frame, and any edits of it: no panic, and the remembered layout is what parsing anew finds.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weft_frame::edit::Ttl;
use weft_frame::field::{self as f, Field};
use weft_frame::set_field::set_field;
use weft_frame::{Checksum, Offload, Packet, edit, extract, parse};

const FIELDS: &[Field] = &[
    f::ETH_DST,
    f::ETH_SRC,
    f::ETH_TYPE,
    f::VLAN_VID,
    f::VLAN_PCP,
    f::VLAN_TCI,
    f::MPLS_LABEL,
    f::MPLS_TC,
    f::MPLS_BOS,
    f::MPLS_TTL,
    f::IP_PROTO,
    f::IP_DSCP,
    f::IP_ECN,
    f::IP_TTL,
    f::IPV4_SRC,
    f::IPV4_DST,
    f::IPV6_SRC,
    f::IPV6_DST,
    f::IPV6_FLABEL,
    f::L4_SRC,
    f::L4_DST,
    f::ICMP_TYPE,
    f::ICMP_CODE,
    f::ARP_OP,
    f::ARP_SPA,
    f::ARP_TPA,
    f::ARP_SHA,
    f::ARP_THA,
    f::ND_TARGET,
    f::ND_SLL,
    f::ND_TLL,
    f::PBB_ISID,
];

/// One edit: what to do, and two bytes of argument. Whether it could be done.
fn apply(packet: &mut Packet, op: u8, a: u8, b: u8) -> bool {
    let argument = u16::from_be_bytes([a, b]);
    match op % 16 {
        0 => edit::push_vlan(packet, [0x8100, 0x88a8, argument][usize::from(a % 3)]),
        1 => edit::pop_vlan(packet),
        2 => edit::push_mpls(packet, [0x8847, 0x8848][usize::from(a & 1)]),
        3 => edit::pop_mpls(
            packet,
            [0x0800, 0x86dd, 0x8847, argument][usize::from(a & 3)],
        ),
        4 => edit::push_pbb(packet, 0x88e7),
        5 => edit::pop_pbb(packet),
        6 => edit::dec_ip_ttl(packet) == Ttl::Decremented,
        7 => edit::set_ip_ttl(packet, a),
        8 => edit::dec_mpls_ttl(packet) == Ttl::Decremented,
        9 => edit::set_mpls_ttl(packet, a),
        10 => edit::copy_ttl_out(packet),
        11 => edit::copy_ttl_in(packet),
        _ => {
            let field = FIELDS[usize::from(a) % FIELDS.len()];
            let value = u128::from_be_bytes([b; 16]);
            let mask = if op & 0x80 != 0 {
                field.ones()
            } else {
                u128::from_be_bytes([op; 16])
            };
            set_field(packet, field, value, mask)
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    // Number of edits, offload, edits of three bytes, frame.
    let Some((&[count, offload], rest)) = bytes.split_first_chunk::<2>() else {
        return;
    };
    let Some((edits, frame)) = rest.split_at_checked(usize::from(count % 16) * 3) else {
        return;
    };

    let mut packet = Packet::from_frame(frame);
    if offload & 1 != 0 {
        packet.offload = Offload {
            checksum: Checksum::Partial {
                start: u16::from(offload),
                offset: 6,
            },
            gso: None,
        };
    }
    let key = extract(&mut packet, 1);
    assert_eq!(key, parse(frame, 1).0);
    for edit in edits.chunks_exact(3) {
        let &[op, a, b] = edit else { return };
        let before = packet.bytes().to_vec();
        let done = apply(&mut packet, op, a, b);
        assert!(
            done || packet.bytes() == before,
            "what cannot be done changes nothing"
        );
        let (_, fresh) = parse(packet.bytes(), 1);
        assert_eq!(
            packet.layout(),
            fresh,
            "the layout remembered after edit {op} {a} {b}"
        );
    }
});
