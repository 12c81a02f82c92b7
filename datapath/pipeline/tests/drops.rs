//! Every reason for dropping: a frame that is dropped for it is counted so, is kept, and a trace of what was kept
//! says the same.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;
use common::*;
use weft_frame::Packet;
use weft_openflow::{
    Action, GroupType, Instruction, Match, MeterBand, MeterMod, MeterModCommand, NxAction,
    OxmField, meter_flags, port_config, port_no,
};
use weft_pipeline::{Config, DropReason, Owner, Pipeline, PortState};

/// A bridge on which `frame`, received on port 1, is dropped for `reason`.
struct Case {
    bridge: Pipeline,
    in_port: u32,
    frame: Vec<u8>,
}

fn out(port: u32) -> Action {
    Action::output(port)
}

fn case(reason: DropReason) -> Case {
    let mut bridge = bridge_with(Config {
        drop_fragments: reason == DropReason::Fragment,
        ..Config::default()
    });
    let (mut in_port, mut frame) = (1, tcp_frame(&[]));
    let mut rule = |matching, instructions| add(&mut bridge, flow(0, 1, matching, instructions));
    let port = |config| PortState { config, live: true };
    match reason {
        DropReason::Rule => rule(Match::any(), vec![]),
        DropReason::TableMiss => {}
        DropReason::UnknownInPort => in_port = 77,
        DropReason::NoSuchPort => rule(Match::any(), vec![apply(vec![out(77)])]),
        DropReason::PortDown | DropReason::NoForward => {
            rule(Match::any(), vec![apply(vec![out(2)])]);
            let config = match reason {
                DropReason::PortDown => port_config::PORT_DOWN,
                _ => port_config::NO_FWD,
            };
            bridge.set_port(2, port(config));
        }
        DropReason::NoReceive => bridge.set_port(1, port(port_config::NO_RECV)),
        DropReason::InPort => rule(Match::any(), vec![apply(vec![out(1)])]),
        DropReason::Meter => {
            let drop = MeterBand::Drop {
                rate: 1,
                burst_size: 1,
            };
            let meter = MeterMod {
                command: MeterModCommand::Add,
                flags: meter_flags::PKTPS | meter_flags::BURST,
                meter_id: 1,
                bands: vec![drop],
            };
            bridge.meter_mod(Owner::User, &meter, 0).unwrap();
            // The frame is changed before the meter, and what is kept is what came in.
            let change = apply(vec![Action::PushVlan { ethertype: 0x8100 }]);
            add(&mut bridge, flow(0, 1, Match::any(), vec![change, goto(1)]));
            let metered = vec![Instruction::Meter { meter_id: 1 }, apply(vec![out(2)])];
            add(&mut bridge, flow(1, 1, Match::any(), metered));
            assert_eq!(send(&mut bridge, 1, &frame).ports(), [2]);
        }
        DropReason::TtlExpired => {
            rule(ip(), vec![apply(vec![Action::DecNwTtl, out(2)])]);
            frame[22] = 1;
        }
        DropReason::Malformed => frame.truncate(13),
        DropReason::Fragment => frame[20] = 0x20,
        DropReason::GroupEmpty => {
            let empty = group(1, GroupType::Select, vec![]);
            bridge.group_mod(Owner::User, &empty, 0).unwrap();
            let to_group = apply(vec![Action::Group { group_id: 1 }]);
            add(&mut bridge, flow(0, 1, Match::any(), vec![to_group]));
        }
        DropReason::Recursion => {
            let again = Action::Nicira(NxAction::ResubmitTable {
                in_port: 0xfff8,
                table: 0,
            });
            rule(Match::any(), vec![apply(vec![again])]);
        }
        DropReason::BadAction => {
            // A rule must say that there is a tag to pop; a bucket, which has no match, need not.
            let pop = group(1, GroupType::All, vec![bucket(vec![Action::PopVlan])]);
            bridge.group_mod(Owner::User, &pop, 0).unwrap();
            let to_group = apply(vec![Action::Group { group_id: 1 }]);
            add(&mut bridge, flow(0, 1, Match::any(), vec![to_group]));
        }
        DropReason::NoPacketIn => {
            rule(Match::any(), vec![apply(vec![out(port_no::CONTROLLER)])]);
            bridge.set_port(1, port(port_config::NO_PACKET_IN));
        }
    }
    Case {
        bridge,
        in_port,
        frame,
    }
}

#[test]
fn a_trace_says_what_the_frame_meets() {
    for reason in DropReason::ALL.iter().copied() {
        let Case {
            mut bridge,
            in_port,
            frame,
        } = case(reason);
        let before = bridge.drops().get(reason);
        let foretold = bridge.trace(&frame, in_port, 0);
        assert_eq!(foretold.drop, Some(reason), "{reason:?}: {foretold:?}");
        assert_eq!(bridge.drops().get(reason), before, "a trace counts nothing");
        let left = send(&mut bridge, in_port, &frame);
        assert_eq!(bridge.drops().get(reason), before + 1, "{reason:?}");
        assert_eq!(bridge.drops().total(), before + 1, "{reason:?}");
        let outputs: Vec<_> = foretold.outputs.iter().map(|o| o.port_no).collect();
        assert_eq!(left.ports(), outputs, "{reason:?}");
        assert_eq!(left.packet_ins.len(), foretold.packet_ins.len());
        if reason == DropReason::UnknownInPort {
            continue;
        }
        let kept: Vec<_> = bridge.ports().last_dropped(in_port).collect();
        assert_eq!(kept.len(), 1, "{reason:?}");
        assert_eq!(kept[0].0, reason);
        let head = kept[0].1.head;
        assert_eq!((head.bytes(), head.len()), (&frame[..], frame.len()));
    }
}

#[test]
fn of_a_long_frame_the_beginning_is_kept_and_the_length() {
    let mut bridge = bridge();
    let mut frame = tcp_frame(&[]);
    frame.resize(1514, 7);
    send_at(&mut bridge, 1, &frame, 5);
    send_at(&mut bridge, 1, &frame, 9);
    let (reason, dropped) = bridge.ports().last_dropped(1).next().unwrap();
    assert_eq!((reason, dropped.at), (DropReason::TableMiss, 9));
    assert_eq!(dropped.head.bytes(), &frame[..128]);
    assert_eq!(dropped.head.len(), 1514);
}

#[test]
fn a_trace_shows_what_leaves_and_what_it_costs() {
    let mut bridge = bridge();
    let push = vec![
        Action::PushVlan { ethertype: 0x8100 },
        set(OxmField::VlanVid, 0x100au16),
        out(2),
    ];
    add(&mut bridge, flow(0, 2, in_port(1), vec![apply(push)]));
    add(&mut bridge, flow(0, 1, ip(), vec![]));
    let frame = tcp_frame(&[]);
    let trace = bridge.trace(&frame, 1, 0);
    assert_eq!((trace.drop, trace.cacheable), (None, true));
    assert_eq!(trace.outputs.len(), 1);
    let left = send(&mut bridge, 1, &frame);
    let hex: String = left.outputs[0]
        .1
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(trace.outputs[0].frame, hex);
    let steps = names(&trace.steps);
    assert_eq!(steps, ["Match", "Action", "Action", "Action", "Output"]);
}

/// The names of the steps.
fn names(steps: &[weft_pipeline::Logged]) -> Vec<String> {
    steps
        .iter()
        .map(|logged| {
            let text = format!("{:?}", logged.step);
            text.split([' ', '{']).next().unwrap_or("").to_owned()
        })
        .collect()
}

#[test]
fn a_packet_out_is_not_admitted_like_a_frame() {
    let mut bridge = bridge();
    bridge.set_port(
        1,
        PortState {
            config: port_config::NO_RECV,
            live: true,
        },
    );
    let mut recorder = Recorder::default();
    let mut packet = Packet::from_frame(&tcp_frame(&[]));
    bridge
        .packet_out(Owner::User, &mut packet, 1, &[out(2)], 0, &mut recorder)
        .unwrap();
    assert_eq!(recorder.ports(), [2]);
}
