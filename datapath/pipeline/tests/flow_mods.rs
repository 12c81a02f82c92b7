//! What flow-mods do, and what is refused (OF 1.3.5 §6.4, §7.3.4.1).
#![allow(clippy::unwrap_used, missing_docs)]

mod common;
use common::*;
use weft_openflow::{
    Action, ErrorCode, FlowMod, FlowModCommand, FlowRemovedReason, GroupMod, GroupModCommand,
    GroupType, Instruction, Match, OxmField, flow_mod_flags, port_no, table_no,
};
use weft_pipeline::{Config, FlowCursor, FlowFilter, Owner, Pipeline};

fn dump(pipeline: &mut Pipeline, filter: &FlowFilter) -> Vec<weft_openflow::FlowStats> {
    let mut flows = Vec::new();
    let mut cursor = FlowCursor::default();
    while pipeline
        .flows(filter, &mut cursor, 3, SECOND, |view| {
            flows.push(view.stats())
        })
        .unwrap()
    {}
    flows
}

fn code(pipeline: &mut Pipeline, request: &FlowMod) -> ErrorCode {
    let before = dump(pipeline, &FlowFilter::all());
    let error = pipeline.flow_mod(Owner::User, request, 0).unwrap_err();
    assert_eq!(
        dump(pipeline, &FlowFilter::all()),
        before,
        "a refused request changes nothing"
    );
    error.code
}

fn to(port: u32) -> Vec<Instruction> {
    vec![apply(vec![Action::output(port)])]
}

#[test]
fn an_identical_flow_is_replaced_and_keeps_its_counters() {
    let mut bridge = bridge();
    let mut request = flow(0, 5, in_port(1), to(2));
    request.cookie = 1;
    request.flags = flow_mod_flags::SEND_FLOW_REM;
    add(&mut bridge, request.clone());
    send(&mut bridge, 1, &tcp_frame(&[]));
    send(&mut bridge, 1, &tcp_frame(&[]));
    request.cookie = 2;
    request.instructions = to(3);
    add(&mut bridge, request.clone());
    let flows = dump(&mut bridge, &FlowFilter::all());
    assert_eq!(
        (flows.len(), flows[0].cookie, flows[0].packet_count),
        (1, 2, 2)
    );
    assert_eq!(send(&mut bridge, 1, &tcp_frame(&[])).ports(), [3]);
    request.flags |= flow_mod_flags::RESET_COUNTS;
    add(&mut bridge, request);
    assert_eq!(dump(&mut bridge, &FlowFilter::all())[0].packet_count, 0);
    assert!(bridge.take_removed().is_empty(), "replaced is not removed");
}

#[test]
fn modify_changes_instructions_only() {
    let mut bridge = bridge();
    let mut request = flow(0, 5, in_port(1), to(2));
    request.cookie = 7;
    request.idle_timeout = 9;
    add(&mut bridge, request.clone());
    send(&mut bridge, 1, &tcp_frame(&[]));
    let mut modify = flow(0, 1, Match::any(), to(4));
    modify.command = FlowModCommand::Modify;
    modify.cookie = 0x99;
    bridge.flow_mod(Owner::User, &modify, 0).unwrap();
    let flows = dump(&mut bridge, &FlowFilter::all());
    assert_eq!(
        (
            flows[0].cookie,
            flows[0].idle_timeout,
            flows[0].packet_count
        ),
        (7, 9, 1)
    );
    assert_eq!(flows[0].instructions, to(4));
    // Strict: priority and match must be the same. A cookie mask that does not fit leaves flows alone.
    modify.command = FlowModCommand::ModifyStrict;
    modify.instructions = to(3);
    bridge.flow_mod(Owner::User, &modify, 0).unwrap();
    assert_eq!(dump(&mut bridge, &FlowFilter::all())[0].instructions, to(4));
    let mut strict = flow(0, 5, in_port(1), to(3));
    strict.command = FlowModCommand::ModifyStrict;
    (strict.cookie, strict.cookie_mask) = (8, 0xff);
    bridge.flow_mod(Owner::User, &strict, 0).unwrap();
    assert_eq!(dump(&mut bridge, &FlowFilter::all())[0].instructions, to(4));
    strict.cookie = 7;
    bridge.flow_mod(Owner::User, &strict, 0).unwrap();
    assert_eq!(dump(&mut bridge, &FlowFilter::all())[0].instructions, to(3));
}

#[test]
fn delete_honours_its_filters_and_tells() {
    let mut bridge = bridge();
    for (n, port) in [(1u32, 2u32), (2, 3), (3, 2)] {
        let mut request = flow(0, 5, in_port(n), to(port));
        request.cookie = u64::from(n);
        request.flags = flow_mod_flags::SEND_FLOW_REM;
        add(&mut bridge, request);
    }
    send(&mut bridge, 1, &tcp_frame(&[]));
    let mut delete = FlowMod::new(FlowModCommand::Delete, table_no::ALL);
    delete.out_port = 2;
    (delete.cookie, delete.cookie_mask) = (1, 1);
    bridge.flow_mod(Owner::User, &delete, 2 * SECOND).unwrap();
    assert_eq!(bridge.flow_count(), 1);
    let removed = bridge.take_removed();
    assert_eq!(removed.len(), 2);
    assert_eq!(removed[0].reason, FlowRemovedReason::Delete);
    assert_eq!(
        (removed[0].packets, removed[0].duration_ns),
        (1, 2 * SECOND)
    );
    assert_eq!(removed[0].match_, in_port(1));
    // Loose deletes take what is narrower, never what is wider.
    add(&mut bridge, flow(1, 1, Match::any(), vec![]));
    add(&mut bridge, flow(1, 1, ip(), vec![]));
    let mut delete = FlowMod::new(FlowModCommand::Delete, 1);
    delete.match_ = ip();
    bridge.flow_mod(Owner::User, &delete, 0).unwrap();
    assert_eq!(bridge.table_flow_count(1), 1);
    let mut strict = FlowMod::new(FlowModCommand::DeleteStrict, 1);
    strict.priority = 2;
    bridge.flow_mod(Owner::User, &strict, 0).unwrap();
    assert_eq!(bridge.table_flow_count(1), 1);
    strict.priority = 1;
    bridge.flow_mod(Owner::User, &strict, 0).unwrap();
    assert_eq!(bridge.table_flow_count(1), 0);
}

#[test]
fn refusals() {
    let mut bridge = bridge_with(Config {
        max_flows: 2,
        ..Config::default()
    });
    add(&mut bridge, flow(0, 5, in_port(1), to(2)));
    let any = Match::any;
    let with = |actions: Vec<Action>| flow(0, 9, any(), vec![apply(actions)]);
    let mut overlap = flow(0, 5, ip(), vec![]);
    overlap.flags = flow_mod_flags::CHECK_OVERLAP;
    let mut flags = flow(0, 5, ip(), vec![]);
    flags.flags = 0x8000;
    let cases = [
        (overlap, ErrorCode::FlowModFailedOverlap),
        (flags, ErrorCode::FlowModFailedBadFlags),
        (
            flow(254, 5, any(), vec![]),
            ErrorCode::FlowModFailedBadTableId,
        ),
        (
            flow(255, 5, any(), vec![]),
            ErrorCode::FlowModFailedBadTableId,
        ),
        (
            flow(5, 5, any(), vec![goto(5)]),
            ErrorCode::BadInstructionBadTableId,
        ),
        (
            flow(5, 5, any(), vec![goto(254)]),
            ErrorCode::BadInstructionBadTableId,
        ),
        (
            flow(5, 5, any(), vec![Instruction::Meter { meter_id: 1 }]),
            ErrorCode::MeterModFailedUnknownMeter,
        ),
        (
            flow(5, 5, any(), vec![Instruction::Meter { meter_id: 0 }]),
            ErrorCode::MeterModFailedInvalidMeter,
        ),
        (
            flow(5, 5, any(), vec![goto(6), goto(7)]),
            ErrorCode::BadInstructionDupInst,
        ),
        (
            with(vec![Action::output(0)]),
            ErrorCode::BadActionBadOutPort,
        ),
        (
            with(vec![Action::output(port_no::ANY)]),
            ErrorCode::BadActionBadOutPort,
        ),
        (
            with(vec![Action::output(port_no::TABLE)]),
            ErrorCode::BadActionBadOutPort,
        ),
        (
            with(vec![Action::Group { group_id: 3 }]),
            ErrorCode::BadActionBadOutGroup,
        ),
        (
            with(vec![Action::PushVlan { ethertype: 0x0800 }]),
            ErrorCode::BadActionBadArgument,
        ),
        (
            with(vec![Action::PushMpls { ethertype: 0x8100 }]),
            ErrorCode::BadActionBadArgument,
        ),
        (
            with(vec![Action::PushPbb { ethertype: 0x8100 }]),
            ErrorCode::BadActionBadArgument,
        ),
        (
            with(vec![Action::PopVlan]),
            ErrorCode::BadActionMatchInconsistent,
        ),
        (
            with(vec![Action::DecNwTtl]),
            ErrorCode::BadActionMatchInconsistent,
        ),
        (
            with(vec![Action::PopMpls { ethertype: 0x0800 }]),
            ErrorCode::BadActionMatchInconsistent,
        ),
        (
            with(vec![set(OxmField::VlanVid, 0x1005u16)]),
            ErrorCode::BadActionMatchInconsistent,
        ),
        (
            with(vec![set(OxmField::TcpDst, 80u16)]),
            ErrorCode::BadActionMatchInconsistent,
        ),
        (
            with(vec![set(OxmField::InPort, 1u8)]),
            ErrorCode::BadActionBadSetType,
        ),
        (
            with(vec![set(OxmField::EthSrc, 1u128 << 48)]),
            ErrorCode::BadActionBadSetArgument,
        ),
        (
            with(vec![Action::Unknown {
                code: 99,
                data: vec![],
            }]),
            ErrorCode::BadActionBadType,
        ),
    ];
    for (request, expected) in cases {
        assert_eq!(code(&mut bridge, &request), expected, "{request:?}");
    }
    add(&mut bridge, flow(0, 6, any(), vec![]));
    assert_eq!(
        code(&mut bridge, &flow(0, 7, any(), vec![])),
        ErrorCode::FlowModFailedTableFull
    );
    // Tags and types that earlier actions bring along are good enough.
    let fine = vec![
        Action::PushVlan { ethertype: 0x8100 },
        set(OxmField::VlanVid, 0x1005u16),
        Action::PushMpls { ethertype: 0x8847 },
        set(OxmField::MplsLabel, 5u8),
    ];
    add(&mut bridge, flow(1, 1, any(), vec![apply(fine.clone())]));
    // In the action set they are done in its own order.
    let backwards = fine.into_iter().rev().collect();
    add(&mut bridge, flow(1, 1, ip(), vec![write(backwards)]));
}

#[test]
fn program_tables_are_protected() {
    let mut bridge = bridge_with(Config {
        program_table: Some(64),
        ..Config::default()
    });
    add(&mut bridge, flow(64, 1, Match::any(), vec![]));
    bridge
        .flow_mod(Owner::User, &flow(63, 1, Match::any(), vec![]), 0)
        .unwrap();
    assert_eq!(
        code(&mut bridge, &flow(64, 2, Match::any(), vec![])),
        ErrorCode::BadRequestEperm
    );
    let all = FlowMod::new(FlowModCommand::Delete, table_no::ALL);
    bridge.flow_mod(Owner::User, &all, 0).unwrap();
    assert_eq!(
        (bridge.table_flow_count(63), bridge.table_flow_count(64)),
        (0, 1)
    );
    bridge.flow_mod(Owner::Program, &all, 0).unwrap();
    assert_eq!(bridge.flow_count(), 0);
}

#[test]
fn timeouts_count_cached_packets() {
    let mut bridge = bridge();
    let mut idle = flow(0, 5, in_port(1), to(2));
    idle.idle_timeout = 2;
    idle.flags = flow_mod_flags::SEND_FLOW_REM;
    add(&mut bridge, idle);
    let mut hard = flow(0, 5, in_port(2), to(1));
    hard.hard_timeout = 3;
    hard.flags = flow_mod_flags::SEND_FLOW_REM;
    add(&mut bridge, hard);
    assert_eq!(bridge.expire(SECOND), Some(2 * SECOND));
    for tenth in 0..50 {
        let now = tenth * SECOND / 10;
        send_at(&mut bridge, 1, &tcp_frame(&[]), now);
        send_at(&mut bridge, 2, &tcp_frame(&[]), now);
        bridge.expire(now);
    }
    let removed = bridge.take_removed();
    assert_eq!(removed.len(), 1);
    assert_eq!(removed[0].reason, FlowRemovedReason::HardTimeout);
    assert_eq!(removed[0].packets, 31);
    assert_eq!(bridge.expire(69 * SECOND / 10 - 1), Some(69 * SECOND / 10));
    assert_eq!(bridge.expire(69 * SECOND / 10), None);
    let removed = bridge.take_removed();
    assert_eq!(removed[0].reason, FlowRemovedReason::IdleTimeout);
    assert_eq!(removed[0].packets, 50);
}

#[test]
fn deleting_a_group_takes_its_flows() {
    let mut bridge = bridge();
    let request = group(1, GroupType::All, vec![bucket(vec![Action::output(2)])]);
    bridge.group_mod(Owner::User, &request, 0).unwrap();
    let mut user = flow(
        0,
        5,
        Match::any(),
        vec![write(vec![Action::Group { group_id: 1 }])],
    );
    user.flags = flow_mod_flags::SEND_FLOW_REM;
    add(&mut bridge, user);
    add(&mut bridge, flow(0, 6, in_port(1), to(2)));
    assert_eq!(bridge.groups(1, 0)[0].ref_count, 1);
    let delete = GroupMod {
        command: GroupModCommand::Delete,
        buckets: vec![],
        ..request
    };
    bridge.group_mod(Owner::User, &delete, 0).unwrap();
    assert_eq!(bridge.flow_count(), 1);
    assert_eq!(
        bridge.take_removed()[0].reason,
        FlowRemovedReason::GroupDelete
    );
}

#[test]
fn statistics_follow_filters() {
    let mut bridge = bridge();
    for port in 1..=4 {
        let mut request = flow(0, 5, in_port(port), to(port % 4 + 1));
        request.cookie = u64::from(port);
        add(&mut bridge, request);
        for _ in 0..port {
            send(&mut bridge, port, &tcp_frame(&[]));
        }
    }
    assert_eq!(dump(&mut bridge, &FlowFilter::all()).len(), 4);
    let filter = FlowFilter {
        match_: in_port(3),
        ..FlowFilter::all()
    };
    assert_eq!(dump(&mut bridge, &filter).len(), 1);
    let filter = FlowFilter {
        out_port: 4,
        ..FlowFilter::all()
    };
    let sums = bridge.aggregate(&filter).unwrap();
    assert_eq!((sums.flow_count, sums.packet_count), (1, 3));
    assert_eq!(sums.byte_count, 3 * tcp_frame(&[]).len() as u64);
    let stats = bridge.table_stats();
    assert_eq!(stats.len(), 254);
    assert_eq!(
        (
            stats[0].active_count,
            stats[0].lookup_count,
            stats[0].matched_count
        ),
        (4, 10, 10)
    );
}
