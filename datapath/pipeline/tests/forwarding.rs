//! What happens to packets.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;
use common::*;
use weft_frame::Packet;
use weft_openflow::{
    Action, Instruction, Match, NxAction, OxmField, OxmId, PacketInReason, port_config, port_no,
};
use weft_pipeline::{Config, DropReason, Owner, Pipeline, PortState, Step};

fn out(port: u32) -> Action {
    Action::output(port)
}

/// Sends the frame twice: the second time it comes from the cache, and must do the same.
fn twice(bridge: &mut Pipeline, in_port: u32, frame: &[u8]) -> Recorder {
    let first = send(bridge, in_port, frame);
    let hits = bridge.cache_stats().hits;
    assert_eq!(send(bridge, in_port, frame), first);
    assert_eq!(
        bridge.cache_stats().hits,
        hits + 1,
        "the translation was not cached"
    );
    first
}

#[test]
fn nothing_matches_nothing_leaves() {
    let mut bridge = bridge();
    assert_eq!(twice(&mut bridge, 1, &tcp_frame(&[])), Recorder::default());
    assert_eq!(bridge.drops().get(DropReason::TableMiss), 2);
    assert_eq!(
        bridge
            .ports()
            .port_drops(1)
            .unwrap()
            .get(DropReason::TableMiss),
        2
    );
    add(&mut bridge, flow(0, 1, Match::any(), vec![]));
    twice(&mut bridge, 1, &tcp_frame(&[]));
    assert_eq!(bridge.drops().get(DropReason::Rule), 2);
    send(&mut bridge, 9, &tcp_frame(&[]));
    assert_eq!(bridge.drops().get(DropReason::UnknownInPort), 1);
    send(&mut bridge, 1, &[1, 2, 3]);
    assert_eq!(bridge.drops().get(DropReason::Malformed), 1);
}

/// IEEE 802.1Q annex G: a frame of legal length is not made a runt by what is popped; a short one stays as it is.
#[test]
fn legal_frames_leave_with_legal_length() {
    let mut bridge = bridge();
    let pop = apply(vec![Action::PopMpls { ethertype: 0x0800 }, out(2)]);
    let matching = Match::any().with(OxmField::EthType, 0x8847u16);
    add(&mut bridge, flow(0, 1, matching, vec![pop]));
    // (length that comes in, length that leaves): 60 is the minimum without FCS
    for (before, after) in [(18, 14), (59, 55), (60, 60), (63, 60), (64, 60), (65, 61)] {
        let header = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0x47, 0, 0, 1, 64];
        let mut frame = header.to_vec();
        frame.resize(before, 1);
        let mut expected = [&header[..12], &[8, 0], &frame[18..]].concat();
        expected.resize(after, 0);
        let left = send(&mut bridge, 1, &frame);
        assert_eq!(left.outputs, [(2, expected)], "{before}");
    }
}

#[test]
fn reserved_ports() {
    let mut bridge = bridge();
    bridge.set_port(
        port_no::LOCAL,
        PortState {
            config: 0,
            live: true,
        },
    );
    bridge.set_port(
        4,
        PortState {
            config: port_config::NO_FWD,
            live: true,
        },
    );
    let cases: [(u32, Vec<u32>); 7] = [
        (port_no::FLOOD, vec![2, 3, port_no::LOCAL]),
        (port_no::ALL, vec![2, 3, port_no::LOCAL]),
        (port_no::IN_PORT, vec![1]),
        (port_no::LOCAL, vec![port_no::LOCAL]),
        (1, vec![]),
        (4, vec![]),
        (77, vec![]),
    ];
    for (port, expected) in cases {
        add(
            &mut bridge,
            flow(0, 1, Match::any(), vec![apply(vec![out(port)])]),
        );
        assert_eq!(
            twice(&mut bridge, 1, &tcp_frame(&[])).ports(),
            expected,
            "{port:#x}"
        );
    }
    assert_eq!(bridge.drops().get(DropReason::InPort), 2);
    assert_eq!(bridge.drops().get(DropReason::NoForward), 2);
    assert_eq!(bridge.drops().get(DropReason::NoSuchPort), 2);
}

#[test]
fn port_configuration() {
    let mut bridge = bridge();
    add(
        &mut bridge,
        flow(
            0,
            0,
            Match::any(),
            vec![apply(vec![out(port_no::CONTROLLER)])],
        ),
    );
    let first = twice(&mut bridge, 1, &tcp_frame(&[]));
    assert_eq!(first.packet_ins[0].0.reason, PacketInReason::NoMatch);
    for (config, reason) in [
        (port_config::NO_PACKET_IN, DropReason::NoPacketIn),
        (port_config::NO_RECV, DropReason::NoReceive),
        (port_config::PORT_DOWN, DropReason::PortDown),
    ] {
        bridge.set_port(1, PortState { config, live: true });
        assert_eq!(twice(&mut bridge, 1, &tcp_frame(&[])), Recorder::default());
        assert_eq!(bridge.drops().get(reason), 2);
    }
}

#[test]
fn access_to_access_is_untouched_and_trunks_are_tagged() {
    let mut bridge = bridge();
    let push = vec![
        Action::PushVlan { ethertype: 0x8100 },
        set(OxmField::VlanVid, 0x100au16),
    ];
    add(
        &mut bridge,
        flow(0, 1, Match::any(), vec![apply(push), goto(1)]),
    );
    let tagged = Match::any().with(OxmField::VlanVid, 0x100au16);
    let flood = vec![
        out(2),
        Action::Nicira(NxAction::Clone {
            actions: vec![Action::PopVlan, out(3)],
        }),
        Action::PopVlan,
        out(4),
    ];
    add(&mut bridge, flow(1, 1, tagged, vec![apply(flood)]));
    let frame = tcp_frame(&[]);
    let result = twice(&mut bridge, 1, &frame);
    // Untagged copies go first, as they need no edit.
    assert_eq!(
        result.outputs,
        [
            (3, frame.clone()),
            (4, frame.clone()),
            (2, tcp_frame(&[(0x8100, 10)]))
        ]
    );
    let trace = bridge.trace(&frame, 1, 0);
    assert_eq!(trace.actions.len(), 5, "{:?}", trace.actions);
    assert_eq!(trace.actions[..2], ["output:3", "output:4"]);
    assert!(trace.cacheable);
}

#[test]
fn edits_show_in_later_tables_and_on_the_wire() {
    let mut bridge = bridge();
    let edits = vec![
        set(OxmField::Ipv4Dst, 0x0a09_0909u32),
        set(OxmField::TcpDst, 80u16),
        Action::DecNwTtl,
    ];
    let tcp = ip().with(OxmField::IpProto, 6u8);
    add(
        &mut bridge,
        flow(0, 1, tcp.clone(), vec![apply(edits), goto(1)]),
    );
    let changed = tcp
        .with(OxmField::Ipv4Dst, 0x0a09_0909u32)
        .with(OxmField::TcpDst, 80u16);
    add(&mut bridge, flow(1, 1, changed, vec![apply(vec![out(2)])]));
    let result = twice(&mut bridge, 1, &tcp_frame(&[]));
    let frame = &result.outputs[0].1;
    frames::assert_checksums(frame, 14, 34, 6);
    assert_eq!(frame[22], 63);
    assert_eq!(frame[30..34], [10, 9, 9, 9]);
    assert_eq!(frame[36..38], [0, 80]);
}

#[test]
fn what_a_pop_reveals_can_be_matched_but_not_cached() {
    let mut bridge = bridge();
    let mpls = Match::any().with(OxmField::EthType, 0x8847u16);
    let pop = vec![Action::PopMpls { ethertype: 0x0800 }];
    add(&mut bridge, flow(0, 1, mpls, vec![apply(pop), goto(1)]));
    let to = |port: u32, host: u32| {
        flow(
            1,
            1,
            ip().with(OxmField::Ipv4Dst, host),
            vec![apply(vec![out(port)])],
        )
    };
    add(&mut bridge, to(2, 0x0a00_0002));
    add(&mut bridge, to(3, 0x0a00_0003));
    for (last, port) in [(2u8, 2u32), (3, 3), (2, 2)] {
        let mut inner = frames::ipv4(6, 0, &[], &frames::tcp(b"x"));
        inner[19] = last;
        let frame = frames::ethernet(&[], 0x8847, &[&[0, 0, 1, 64][..], &inner].concat());
        assert_eq!(send(&mut bridge, 1, &frame).ports(), [port]);
    }
    assert_eq!(bridge.cache_stats().entries, 0);
}

#[test]
fn the_third_tag_is_revealed_too() {
    let mut bridge = bridge();
    let tagged = Match::any().with_masked(OxmField::VlanVid, 0x1000u16, 0x1000u16);
    add(
        &mut bridge,
        flow(
            0,
            1,
            tagged,
            vec![apply(vec![Action::PopVlan, Action::PopVlan]), goto(1)],
        ),
    );
    for (vid, port) in [(0x1003u16, 2), (0x1004, 3)] {
        let matching = Match::any().with(OxmField::VlanVid, vid);
        add(
            &mut bridge,
            flow(1, 1, matching, vec![apply(vec![out(port)])]),
        );
    }
    for (vid, port) in [(3, 2), (4, 3)] {
        let tags = [(0x8100, 1), (0x8100, 2), (0x8100, vid)];
        assert_eq!(send(&mut bridge, 1, &tcp_frame(&tags)).ports(), [port]);
    }
}

#[test]
fn expired_ttl_goes_to_the_controller_only() {
    let mut bridge = bridge();
    add(
        &mut bridge,
        flow(
            0,
            1,
            ip(),
            vec![apply(vec![Action::DecNwTtl, out(2)]), write(vec![out(3)])],
        ),
    );
    let mut frame = tcp_frame(&[]);
    assert_eq!(twice(&mut bridge, 1, &frame).ports(), [2, 3]);
    frame[22] = 1;
    let result = twice(&mut bridge, 1, &frame);
    assert_eq!(result.ports(), []);
    assert_eq!(result.packet_ins[0].0.reason, PacketInReason::InvalidTtl);
    assert_eq!(bridge.drops().get(DropReason::TtlExpired), 2);
}

#[test]
fn action_set_and_metadata() {
    let mut bridge = bridge();
    let first = vec![
        Instruction::WriteMetadata {
            metadata: 0x12,
            metadata_mask: 0xff,
        },
        write(vec![out(2), set(OxmField::EthDst, 7u8)]),
        goto(1),
    ];
    add(&mut bridge, flow(0, 1, Match::any(), first));
    let meta = Match::any().with_masked(OxmField::Metadata, 0x10u8, 0xf0u8);
    add(
        &mut bridge,
        flow(1, 1, meta.clone(), vec![write(vec![out(3)])]),
    );
    let result = twice(&mut bridge, 1, &tcp_frame(&[]));
    assert_eq!(result.ports(), [3]);
    assert_eq!(result.outputs[0].1[..6], [0, 0, 0, 0, 0, 7]);
    add(
        &mut bridge,
        flow(1, 1, meta, vec![Instruction::ClearActions]),
    );
    assert_eq!(twice(&mut bridge, 1, &tcp_frame(&[])).ports(), []);
}

#[test]
fn normal_is_a_subroutine() {
    let mut bridge = bridge_with(Config {
        program_table: Some(64),
        ..Config::default()
    });
    let normal = vec![
        Action::Nicira(NxAction::RegLoad {
            ofs_nbits: 31,
            dst: OxmId::new(OxmField::Reg0),
            value: 5,
        }),
        out(port_no::NORMAL),
        out(2),
    ];
    let user = flow(0, 0, Match::any(), vec![apply(normal), write(vec![out(4)])]);
    bridge.flow_mod(Owner::User, &user, 0).unwrap();
    // Registers are clean in the program, and its edits do not show afterwards.
    let clean = Match::any().with(OxmField::Reg0, 0u8);
    let program = vec![
        apply(vec![set(OxmField::EthDst, 9u8)]),
        write(vec![out(3), out(port_no::CONTROLLER)]),
    ];
    add(&mut bridge, flow(64, 1, clean, program));
    let mut result = twice(&mut bridge, 1, &tcp_frame(&[]));
    assert_eq!(result.ports(), [2, 4]);
    assert_eq!(result.outputs[0].1, tcp_frame(&[]));
    let (info, _) = result.packet_ins.remove(0);
    assert!(info.program);
    assert_eq!((info.table_id, info.reason), (64, PacketInReason::Action));
}

#[test]
fn packet_out_and_trace() {
    let mut bridge = bridge();
    add(
        &mut bridge,
        flow(0, 1, in_port(3), vec![apply(vec![out(4)])]),
    );
    let mut recorder = Recorder::default();
    let mut packet = Packet::from_frame(&tcp_frame(&[]));
    let actions = [
        Action::SetQueue { queue_id: 5 },
        out(1),
        out(port_no::TABLE),
    ];
    bridge
        .packet_out(Owner::User, &mut packet, 3, &actions, 0, &mut recorder)
        .unwrap();
    assert_eq!(recorder.ports(), [1, 4]);
    assert_eq!(recorder.queues[0], Some(5));
    let error = bridge.packet_out(Owner::User, &mut packet, 3, &[out(0)], 0, &mut recorder);
    assert_eq!(
        error.unwrap_err().code,
        weft_openflow::ErrorCode::BadActionBadOutPort
    );
    let before = bridge.table_stats();
    let trace = bridge.trace(&tcp_frame(&[]), 2, 0);
    assert_eq!(trace.drop, Some(DropReason::TableMiss));
    assert_eq!(
        trace
            .steps
            .into_iter()
            .map(|logged| logged.step)
            .collect::<Vec<_>>(),
        [
            Step::Miss {
                table_id: 0,
                masks: 1
            },
            Step::Drop {
                reason: DropReason::TableMiss
            }
        ]
    );
    assert!(
        trace.mask.contains(&"in_port=0x2".to_owned()),
        "{:?}",
        trace.mask
    );
    assert_eq!(bridge.table_stats(), before);
}
