//! Edits: bytes as they should be, checksums by recomputation.
#![allow(clippy::unwrap_used)]

mod common;
use common::*;
use proptest::prelude::*;
use weft_frame::field::{self, Field};
use weft_frame::{Checksum, Gso, GsoKind, Offload, Packet, checksum, edit, parse, set_field};

#[test]
fn push_vlan_copies_the_tag_that_was() {
    let mut packet = Packet::from_frame(&ethernet(&[(0x8100, 0xa00a)], 0x0806, &arp()));
    assert!(edit::push_vlan(&mut packet, 0x88a8));
    assert_eq!(
        packet.bytes(),
        ethernet(&[(0x88a8, 0xa00a), (0x8100, 0xa00a)], 0x0806, &arp())
    );
    assert!(edit::pop_vlan(&mut packet));
    assert!(edit::pop_vlan(&mut packet));
    assert_eq!(packet.bytes(), ethernet(&[], 0x0806, &arp()));
    assert!(!edit::pop_vlan(&mut packet));
}

#[test]
fn mpls_push_and_pop() {
    let ip = ipv4(6, 0, &[], &tcp(&[]));
    let mut packet = Packet::from_frame(&ethernet(&[(0x8100, 5)], 0x0800, &ip));
    assert!(edit::push_mpls(&mut packet, 0x8847));
    let labelled = [&[0, 0, 1, 64][..], &ip].concat();
    assert_eq!(packet.bytes(), ethernet(&[(0x8100, 5)], 0x8847, &labelled));
    assert!(set_field::set_field(
        &mut packet,
        field::MPLS_LABEL,
        77,
        u128::MAX
    ));
    assert!(set_field::set_field(
        &mut packet,
        field::MPLS_TC,
        3,
        u128::MAX
    ));
    assert!(edit::push_mpls(&mut packet, 0x8848));
    let twice = [&[0, 4, 0xd6, 64][..], &[0, 4, 0xd7, 64], &ip].concat();
    assert_eq!(packet.bytes(), ethernet(&[(0x8100, 5)], 0x8848, &twice));
    assert!(edit::pop_mpls(&mut packet, 0x8847));
    assert!(edit::pop_mpls(&mut packet, 0x0800));
    assert_eq!(packet.bytes(), ethernet(&[(0x8100, 5)], 0x0800, &ip));
}

#[test]
fn ttls_between_mpls_and_ip() {
    let ip = ipv4(6, 0, &[], &tcp(&[]));
    let mut packet = Packet::from_frame(&ethernet(&[], 0x8847, &[&[0, 1, 1, 9][..], &ip].concat()));
    assert!(edit::copy_ttl_in(&mut packet));
    assert_eq!(packet.bytes()[18 + 8], 9);
    assert_eq!(checksum::internet(&packet.bytes()[18..38]), 0);
    assert!(edit::set_mpls_ttl(&mut packet, 200));
    assert!(edit::copy_ttl_out(&mut packet));
    assert_eq!(packet.bytes()[17], 9);
    assert_eq!(edit::dec_mpls_ttl(&mut packet), edit::Ttl::Decremented);
    assert_eq!(packet.bytes()[17], 8);
    assert_eq!(edit::dec_ip_ttl(&mut packet), edit::Ttl::Absent);
}

#[test]
fn ip_ttl_expires() {
    let mut packet = Packet::from_frame(&ethernet(&[], 0x0800, &ipv4(6, 0, &[], &tcp(&[]))));
    assert!(edit::set_ip_ttl(&mut packet, 2));
    assert_eq!(edit::dec_ip_ttl(&mut packet), edit::Ttl::Decremented);
    assert_eq!(checksum::internet(&packet.bytes()[14..34]), 0);
    assert_eq!(edit::dec_ip_ttl(&mut packet), edit::Ttl::Expired);
    assert_eq!(packet.bytes()[22], 1);
}

#[test]
fn pbb_push_and_pop() {
    let inside = ethernet(&[(0x8100, 0x6007)], 0x0806, &arp());
    let mut packet = Packet::from_frame(&inside);
    assert!(edit::push_pbb(&mut packet, 0x88e7));
    assert!(set_field::set_field(
        &mut packet,
        field::PBB_ISID,
        0x123456,
        u128::MAX
    ));
    // The priority of the tag is taken over, the tag stays inside.
    let tagged = [&[0x60, 0x12, 0x34, 0x56][..], &inside].concat();
    assert_eq!(packet.bytes(), ethernet(&[], 0x88e7, &tagged));
    assert!(edit::pop_pbb(&mut packet));
    assert_eq!(packet.bytes(), inside);
}

/// (name, frame, l3, l4, protocol) of packets with a transport checksum.
fn transports() -> Vec<(Vec<u8>, usize, usize, u8)> {
    let mut list = vec![
        (
            ethernet(&[], 0x0800, &ipv4(6, 0, &[], &tcp(b"odd"))),
            14,
            34,
            6,
        ),
        (
            ethernet(
                &[(0x8100, 5)],
                0x0800,
                &ipv4(17, 0, &[1, 1, 1, 0], &udp(b"even")),
            ),
            18,
            42,
            17,
        ),
        (
            ethernet(&[], 0x0800, &ipv4(132, 0, &[], &sctp(b"chunk"))),
            14,
            34,
            132,
        ),
        (
            ethernet(&[], 0x0800, &ipv4(1, 0, &[], &[8, 0, 0, 0, 1, 2, 3, 4])),
            14,
            34,
            1,
        ),
        (ethernet(&[], 0x86dd, &ipv6(6, &tcp(b"payload"))), 14, 54, 6),
        (ethernet(&[], 0x86dd, &ipv6(17, &udp(b"p"))), 14, 54, 17),
        (ethernet(&[], 0x86dd, &ipv6(132, &sctp(b"p"))), 14, 54, 132),
        (
            ethernet(&[], 0x86dd, &ipv6(58, &neighbour(135))),
            14,
            54,
            58,
        ),
        (
            ethernet(&[], 0x86dd, &ipv6(58, &neighbour(136))),
            14,
            54,
            58,
        ),
    ];
    for (frame, l3, l4, proto) in &mut list {
        finish(frame, *l3, *l4, *proto);
    }
    list
}

fn fields() -> Vec<Field> {
    use field::*;
    vec![
        IPV4_SRC,
        IPV4_DST,
        IPV6_SRC,
        IPV6_DST,
        IP_DSCP,
        IP_ECN,
        IP_TTL,
        IPV6_FLABEL,
        L4_SRC,
        L4_DST,
        ICMP_CODE,
        ND_TARGET,
        ND_SLL,
        ND_TLL,
        ETH_SRC,
        ETH_DST,
        VLAN_VID,
        VLAN_PCP,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn set_field_keeps_checksums_right_and_is_read_back(
        which in 0..9usize,
        edits in prop::collection::vec((0..18usize, any::<u128>(), any::<u128>()), 1..6),
    ) {
        let (frame, l3, l4, proto) = transports().swap_remove(which);
        let mut packet = Packet::from_frame(&frame);
        for (which, value, mask) in edits {
            let field = fields()[which];
            let before = parse(packet.bytes(), 0).0;
            let nothing_else = frame.len();
            if set_field::set_field(&mut packet, field, value, mask) {
                let (key, _) = parse(packet.bytes(), 0);
                let tag = if field == field::VLAN_VID { 0x1000 } else { 0 };
                let expected = (before.get(field) & !mask | value & mask) & field.ones() | tag;
                if field != field::ICMP_CODE {
                    prop_assert_eq!(key.get(field), expected);
                }
            }
            prop_assert_eq!(packet.len(), nothing_else);
            assert_checksums(packet.bytes(), l3, l4, proto);
        }
    }

    /// A partial checksum completed after the edits equals a whole one.
    #[test]
    fn partial_checksums_can_still_be_completed(
        which in prop::sample::select(vec![0usize, 1, 4, 5]),
        edits in prop::collection::vec((0..18usize, any::<u128>()), 1..6),
        push in 0..3usize,
    ) {
        let (frame, l3, l4, proto) = transports().swap_remove(which);
        let mut frame = frame;
        let offset = if proto == 6 { 16 } else { 6 };
        let pseudo = checksum::fold(pseudo_sum(&frame, l3, l4, proto));
        frame[l4 + offset..l4 + offset + 2].copy_from_slice(&pseudo.to_be_bytes());
        let mut packet = Packet::from_frame(&frame);
        packet.offload = Offload {
            checksum: Checksum::Partial { start: l4 as u16, offset: offset as u16 },
            gso: Some(Gso { kind: GsoKind::Tcp4, ecn: false, size: 2, hdr_len: l4 as u16 + 20 }),
        };
        for _ in 0..push {
            edit::push_vlan(&mut packet, 0x8100);
        }
        for (which, value) in edits {
            set_field::set_field(&mut packet, fields()[which], value, u128::MAX);
        }
        let grown = 4 * push;
        prop_assert_eq!(
            packet.offload.checksum,
            Checksum::Partial { start: (l4 + grown) as u16, offset: offset as u16 }
        );
        prop_assert_eq!(packet.offload.gso.unwrap().hdr_len, (l4 + 20 + grown) as u16);
        // What the kernel does at the end.
        let (l3, l4) = (l3 + grown, l4 + grown);
        let mut frame = packet.bytes().to_vec();
        let sum = !checksum::fold(checksum::sum(&frame[l4..], 0));
        let sum = if proto == 17 && sum == 0 { 0xffff } else { sum };
        frame[l4 + offset..l4 + offset + 2].copy_from_slice(&sum.to_be_bytes());
        assert_checksums(&frame, l3, l4, proto);
    }
}

#[test]
fn udp_without_checksum_stays_without() {
    let frame = ethernet(&[], 0x0800, &ipv4(17, 0, &[], &udp(b"x")));
    let mut packet = Packet::from_frame(&frame);
    assert!(set_field::set_field(
        &mut packet,
        field::IPV4_SRC,
        1,
        u128::MAX
    ));
    assert!(set_field::set_field(
        &mut packet,
        field::L4_DST,
        53,
        u128::MAX
    ));
    assert_eq!(&packet.bytes()[40..42], &[0, 0]);
    assert_eq!(checksum::internet(&packet.bytes()[14..34]), 0);
}

#[test]
fn later_fragments_have_no_transport_to_edit() {
    let frame = ethernet(&[], 0x0800, &ipv4(17, 0x0010, &[], b"not a header at all"));
    let mut packet = Packet::from_frame(&frame);
    assert!(!set_field::set_field(
        &mut packet,
        field::L4_DST,
        53,
        u128::MAX
    ));
    assert!(set_field::set_field(
        &mut packet,
        field::IPV4_DST,
        53,
        u128::MAX
    ));
    assert_eq!(&packet.bytes()[34..], &frame[34..]);
}

#[test]
fn damaged_sctp_stays_damaged() {
    let (mut frame, l3, l4, proto) = transports().swap_remove(2);
    frame[l4 + 9] ^= 1;
    let mut packet = Packet::from_frame(&frame);
    assert!(set_field::set_field(
        &mut packet,
        field::L4_SRC,
        9,
        u128::MAX
    ));
    let mut repaired = packet.bytes().to_vec();
    repaired[l4 + 9] ^= 1;
    assert_checksums(&repaired, l3, l4, proto);
}

#[test]
fn eth_type_rereads_the_packet() {
    let mut packet = Packet::from_frame(&ethernet(&[], 0x0806, &ipv4(6, 0, &[], &tcp(&[]))));
    assert!(set_field::set_field(
        &mut packet,
        field::ETH_TYPE,
        0x0800,
        u128::MAX
    ));
    assert!(set_field::set_field(
        &mut packet,
        field::L4_SRC,
        5,
        u128::MAX
    ));
    assert_eq!(parse(packet.bytes(), 0).0.get(field::L4_SRC), 5);
}
