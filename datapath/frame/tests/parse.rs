//! What the key says of well-formed, cut and hostile frames.
#![allow(clippy::unwrap_used)]

mod common;
use common::*;
use proptest::prelude::*;
use weft_frame::field::{self, frag, present};
use weft_frame::{Packet, edit, parse, set_field};

#[test]
fn tcp_over_ipv4_with_options_and_tags() {
    let packet = ipv4(6, 0x4000, &[1, 1, 1, 0], &tcp(b"payload"));
    let frame = ethernet(&[(0x88a8, 0x6064), (0x8100, 0xa00a)], 0x0800, &packet);
    let (key, layout) = parse(&frame, 7);
    assert_eq!(key.get(field::IN_PORT), 7);
    assert_eq!(key.get(field::IN_PHY_PORT), 7);
    assert_eq!(key.get(field::ETH_DST), 0x0200_0000_00d5);
    assert_eq!(key.get(field::ETH_SRC), 0x0200_0000_005c);
    assert_eq!(key.get(field::ETH_TYPE), 0x0800);
    assert_eq!(key.get(field::VLAN_VID), 0x1064);
    assert_eq!(key.get(field::VLAN_PCP), 3);
    assert_eq!(key.get(field::VLAN2_VID), 0x100a);
    assert_eq!(key.get(field::VLAN_COUNT), 2);
    assert_eq!(key.get(field::VLAN_SERVICE), 1);
    assert_eq!(key.get(field::VLAN2_SERVICE), 0);
    assert_eq!(key.get(field::IP_PROTO), 6);
    assert_eq!(key.get(field::IP_DSCP), 0xb9 >> 2);
    assert_eq!(key.get(field::IP_ECN), 1);
    assert_eq!(key.get(field::IP_TTL), 64);
    assert_eq!(
        key.get(field::IP_FRAG),
        0,
        "don't fragment is not a fragment"
    );
    assert_eq!(key.get(field::IPV4_SRC), 0x0a00_0001);
    assert_eq!(key.get(field::IPV4_DST), 0x0a00_0002);
    assert_eq!(key.get(field::L4_SRC), 1000);
    assert_eq!(key.get(field::L4_DST), 2000);
    assert_eq!(key.get(field::TCP_FLAGS), 0x12);
    assert_eq!(key.get64(field::PRESENT), present::L3 | present::L4);
    assert_eq!((layout.l3_at, layout.l4_at, layout.tags), (22, 46, 2));
}

#[test]
fn priority_tag_is_present_with_vid_0() {
    let (key, _) = parse(&ethernet(&[(0x8100, 0xe000)], 0x0806, &arp()), 1);
    assert_eq!(key.get(field::VLAN_VID), 0x1000);
    assert_eq!(key.get(field::VLAN_PCP), 7);
    assert_eq!(key.get(field::ARP_OP), 2);
    assert_eq!(key.get(field::ARP_SPA), 0x0a00_0001);
    assert_eq!(key.get(field::ARP_TPA), 0x0a00_0002);
    assert_eq!(key.get(field::ARP_SHA), 0x0200_0000_005c);
    assert_eq!(key.get(field::ARP_THA), 0x0200_0000_00d5);
}

#[test]
fn fragments() {
    let first = parse(
        &ethernet(&[], 0x0800, &ipv4(17, 0x2000, &[], &udp(b"x"))),
        1,
    )
    .0;
    assert_eq!(first.get64(field::IP_FRAG), frag::ANY);
    assert_eq!(first.get(field::L4_DST), 2000);
    let later = parse(
        &ethernet(&[], 0x0800, &ipv4(17, 0x2001, &[], &udp(b"x"))),
        1,
    )
    .0;
    assert_eq!(later.get64(field::IP_FRAG), frag::ANY | frag::LATER);
    assert_eq!(later.get(field::L4_DST), 0);
    assert_eq!(later.get64(field::PRESENT), present::L3);
    assert_eq!(later.get(field::IP_PROTO), 17);
}

#[test]
fn ethernet_padding_is_not_transport() {
    let mut frame = ethernet(&[], 0x0800, &ipv4(17, 0, &[], &[]));
    frame.resize(60, 0xee);
    let key = parse(&frame, 1).0;
    assert_eq!(key.get64(field::PRESENT), present::L3);
    assert_eq!(key.get(field::L4_SRC), 0);
}

#[test]
fn ipv6_extension_headers() {
    // Hop-by-hop, routing, fragment (first), then TCP.
    let mut payload = vec![43, 0, 0, 0, 0, 0, 0, 0];
    payload.extend([44, 0, 0, 0, 0, 0, 0, 0]);
    payload.extend([6, 0, 0, 1, 0, 0, 0, 9]);
    payload.extend(tcp(&[]));
    let key = parse(&ethernet(&[], 0x86dd, &ipv6(0, &payload)), 1).0;
    assert_eq!(key.get(field::IPV6_EXTHDR), 64 | 32 | 16);
    assert_eq!(key.get(field::IP_PROTO), 6);
    assert_eq!(key.get64(field::IP_FRAG), frag::ANY);
    assert_eq!(key.get(field::L4_SRC), 1000);
    assert_eq!(key.get(field::IP_TOS), 0xb9);
    assert_eq!(key.get(field::IPV6_FLABEL), 0xabcde);
    assert_eq!(key.get(field::IPV6_SRC) >> 96, 0x2001_0db8);
    assert_eq!(key.get(field::IPV6_DST) & 0xff, 2);
}

#[test]
fn ipv6_extension_headers_out_of_order_and_repeated() {
    // Routing before hop-by-hop; then hop-by-hop again.
    let mut payload = vec![0, 0, 0, 0, 0, 0, 0, 0];
    payload.extend([0, 0, 0, 0, 0, 0, 0, 0]);
    payload.extend([59, 0, 0, 0, 0, 0, 0, 0]);
    let key = parse(&ethernet(&[], 0x86dd, &ipv6(43, &payload)), 1).0;
    assert_eq!(key.get(field::IPV6_EXTHDR), 32 | 64 | 1 | 128 | 256);
    // Destination options may come twice, around routing.
    let mut payload = vec![43, 0, 0, 0, 0, 0, 0, 0];
    payload.extend([60, 0, 0, 0, 0, 0, 0, 0]);
    payload.extend([59, 0, 0, 0, 0, 0, 0, 0]);
    let key = parse(&ethernet(&[], 0x86dd, &ipv6(60, &payload)), 1).0;
    assert_eq!(key.get(field::IPV6_EXTHDR), 8 | 32 | 1);
}

#[test]
fn neighbour_discovery() {
    let key = parse(&ethernet(&[], 0x86dd, &ipv6(58, &neighbour(135))), 1).0;
    assert_eq!(key.get(field::ICMP_TYPE), 135);
    assert_eq!(key.get(field::ND_TARGET), 0xfe80 << 112 | 9);
    assert_eq!(key.get(field::ND_SLL), 0x02aa_bbcc_ddee);
    assert_eq!(key.get(field::ND_TLL), 0);
    let key = parse(&ethernet(&[], 0x86dd, &ipv6(58, &neighbour(136))), 1).0;
    assert_eq!(key.get(field::ND_TLL), 0x02aa_bbcc_ddee);
    assert_eq!(key.get(field::ND_SLL), 0);
}

#[test]
fn mpls_and_pbb() {
    let key = parse(&ethernet(&[], 0x8847, &[0x12, 0x34, 0x5b, 0x40]), 1).0;
    assert_eq!(key.get(field::MPLS_LABEL), 0x12345);
    assert_eq!(key.get(field::MPLS_TC), 5);
    assert_eq!(key.get(field::MPLS_BOS), 1);
    assert_eq!(key.get(field::MPLS_TTL), 0x40);
    let inner = [
        &[0x20, 0xab, 0xcd, 0xef][..],
        &ethernet(&[], 0x0806, &arp()),
    ]
    .concat();
    let key = parse(&ethernet(&[(0x88a8, 5)], 0x88e7, &inner), 1).0;
    assert_eq!(key.get(field::PBB_ISID), 0xabcdef);
    assert_eq!(key.get(field::VLAN_VID), 0x1005);
}

#[test]
fn llc_frames() {
    let (key, _) = parse(&ethernet(&[], 38, &[0x42, 0x42, 3, 0, 0]), 1);
    assert_eq!(key.get(field::ETH_TYPE), 0x05ff);
    let snap = [
        &[0xaa, 0xaa, 3, 0, 0, 0, 8, 0][..],
        &ipv4(6, 0, &[], &tcp(&[])),
    ]
    .concat();
    let (key, _) = parse(&ethernet(&[], 100, &snap), 1);
    assert_eq!(key.get(field::ETH_TYPE), 0x0800);
    assert_eq!(key.get(field::L4_DST), 2000);
}

/// Every kind of frame the tests know.
fn samples() -> Vec<Vec<u8>> {
    let ns = ipv6(58, &neighbour(135));
    vec![
        ethernet(&[(0x8100, 10)], 0x0800, &ipv4(6, 0, &[], &tcp(b"abc"))),
        ethernet(&[], 0x0800, &ipv4(132, 0, &[1, 1, 1, 0], &sctp(b"abcd"))),
        ethernet(&[(0x88a8, 1), (0x8100, 2), (0x8100, 3)], 0x86dd, &ns),
        ethernet(
            &[],
            0x8847,
            &[&[0, 1, 0x11, 64][..], &ipv4(17, 0, &[], &udp(b"z"))].concat(),
        ),
        ethernet(
            &[],
            0x88e7,
            &[&[0, 0, 0, 9][..], &ethernet(&[], 0x86dd, &ns)].concat(),
        ),
        ethernet(&[], 0x0806, &arp()),
        ethernet(
            &[],
            0x86dd,
            &ipv6(
                0,
                &[&[60, 0, 0, 0, 0, 0, 0, 0, 6, 1][..], &[0; 14], &tcp(&[])].concat(),
            ),
        ),
    ]
}

#[test]
fn every_cut_of_every_sample_is_read() {
    for frame in samples() {
        let whole = parse(&frame, 1).0;
        for len in 0..frame.len() {
            let (key, _) = parse(&frame[..len], 1);
            if key.get64(field::PRESENT) == whole.get64(field::PRESENT) {
                assert_eq!(key, whole);
            }
        }
    }
}

/// All fields there are, for edits on whatever packet.
fn all_fields() -> Vec<field::Field> {
    use field::*;
    vec![
        ETH_DST,
        ETH_SRC,
        ETH_TYPE,
        VLAN_VID,
        VLAN_PCP,
        VLAN_TCI,
        MPLS_LABEL,
        MPLS_TC,
        MPLS_BOS,
        MPLS_TTL,
        PBB_ISID,
        IP_DSCP,
        IP_ECN,
        IP_TOS,
        IP_TTL,
        IP_PROTO,
        IPV4_SRC,
        IPV4_DST,
        ARP_OP,
        ARP_SHA,
        ARP_THA,
        IPV6_FLABEL,
        IPV6_SRC,
        IPV6_DST,
        L4_SRC,
        L4_DST,
        ICMP_TYPE,
        ICMP_CODE,
        ND_TARGET,
        ND_SLL,
        ND_TLL,
        IP_FRAG,
        IPV6_EXTHDR,
        METADATA,
        TCP_FLAGS,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Random edits on damaged frames: no panic, and the layout that is remembered is the one that parsing finds.
    #[test]
    fn edits_on_damaged_frames_never_panic(
        sample in 0..7usize,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in any::<prop::sample::Index>(),
        ops in prop::collection::vec((0..16u8, any::<u16>(), any::<u128>()), 0..12),
    ) {
        let mut frame = samples().swap_remove(sample);
        for (at, value) in damage {
            let at = at.index(frame.len());
            frame[at] = value;
        }
        if cut.index(4) == 0 {
            frame.truncate(cut.index(frame.len()));
        }
        let mut packet = Packet::from_frame(&frame);
        packet.offload.checksum = weft_frame::Checksum::Partial { start: 34, offset: 16 };
        for (op, small, value) in ops {
            match op {
                0 => { edit::push_vlan(&mut packet, 0x8100); }
                1 => { edit::pop_vlan(&mut packet); }
                2 => { edit::push_mpls(&mut packet, 0x8847); }
                3 => { edit::pop_mpls(&mut packet, small); }
                4 => { edit::push_pbb(&mut packet, 0x88e7); }
                5 => { edit::pop_pbb(&mut packet); }
                6 => { edit::dec_ip_ttl(&mut packet); }
                7 => { edit::dec_mpls_ttl(&mut packet); }
                8 => { edit::copy_ttl_in(&mut packet); }
                9 => { edit::copy_ttl_out(&mut packet); }
                _ => {
                    let fields = all_fields();
                    let field = fields[usize::from(small) % fields.len()];
                    set_field::set_field(&mut packet, field, value, u128::MAX);
                }
            }
            let remembered = packet.layout();
            prop_assert_eq!(remembered, parse(packet.bytes(), 0).1);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(frame in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&frame, 1);
    }
}
