//! Bundles: all or nothing (ONF EXT-230).

mod common;

use common::{Bridge, SECOND, flow, frame, mac, packet_out};
use weft_agent::{ConnId, ConnectionKind};
use weft_openflow::{
    Action, Body, Bucket, BundleAdd, BundleControl, BundleControlType, ErrorCode, FlowMod,
    FlowModCommand, FlowStats, FlowStatsRequest, GroupMod, GroupModCommand, GroupType, Match,
    Message, MeterBand, MeterMod, MeterModCommand, MultipartReplyBody, MultipartRequest,
    MultipartRequestBody, OxmField, PortMod, flow_mod_flags, group_no, port_config, port_no,
    table_no,
};

const FLAGS: u16 = 3;

fn control(control_type: BundleControlType, flags: u16) -> Body {
    Body::BundleControl(BundleControl {
        bundle_id: 1,
        control_type,
        flags,
        properties: vec![],
    })
}

/// Adds a message to bundle 1; its xid is the one that [`Bridge::send`] will choose, found by asking twice.
fn add(bridge: &mut Bridge, conn: ConnId, body: Body) -> Vec<Body> {
    let xid = bridge.send(conn, Body::BarrierRequest) + 1;
    bridge.received(conn);
    let message = Box::new(Message { xid, body });
    bridge.ask(
        conn,
        Body::BundleAdd(BundleAdd {
            bundle_id: 1,
            flags: FLAGS,
            message,
            properties: vec![],
        }),
    )
}

fn open(bridge: &mut Bridge, conn: ConnId, bodies: Vec<Body>) {
    use BundleControlType::{OpenReply, OpenRequest};
    assert_eq!(
        bridge.ask_one(conn, control(OpenRequest, FLAGS)),
        control(OpenReply, FLAGS)
    );
    for body in bodies {
        assert_eq!(add(bridge, conn, body), []);
    }
}

fn flows(bridge: &mut Bridge, conn: ConnId) -> Vec<FlowStats> {
    let request = FlowStatsRequest {
        table_id: table_no::ALL,
        out_port: port_no::ANY,
        out_group: group_no::ANY,
        cookie: 0,
        cookie_mask: 0,
        match_: Match::any(),
    };
    let request =
        Body::MultipartRequest(MultipartRequest::new(MultipartRequestBody::Flow(request)));
    let Body::MultipartReply(reply) = bridge.ask_one(conn, request) else {
        panic!()
    };
    let MultipartReplyBody::Flow(mut flows) = reply.body else {
        panic!()
    };
    flows.sort_by_key(|flow| (flow.table_id, flow.priority, flow.cookie));
    flows
}

fn group(command: GroupModCommand, group_id: u32, port: u32) -> Body {
    let actions = vec![Action::output(port)];
    let (watch_port, watch_group) = (port_no::ANY, group_no::ANY);
    let buckets = vec![Bucket {
        weight: 0,
        watch_port,
        watch_group,
        actions,
    }];
    Body::GroupMod(GroupMod {
        command,
        group_type: GroupType::All,
        group_id,
        buckets,
    })
}

fn meter(command: MeterModCommand, meter_id: u32, rate: u32) -> Body {
    let bands = vec![MeterBand::Drop {
        rate,
        burst_size: 0,
    }];
    Body::MeterMod(MeterMod {
        command,
        flags: 1,
        meter_id,
        bands,
    })
}

fn groups_and_meters(bridge: &mut Bridge, conn: ConnId) -> Vec<Body> {
    use MultipartRequestBody as Request;
    let meters = weft_openflow::MeterMultipartRequest {
        meter_id: weft_openflow::meter_no::ALL,
    };
    [Request::GroupDesc, Request::MeterConfig(meters)]
        .into_iter()
        .map(|request| bridge.ask_one(conn, Body::MultipartRequest(MultipartRequest::new(request))))
        .collect()
}

#[test]
fn nothing_happens_until_commit_and_then_all_of_it() {
    use BundleControlType::{CloseReply, CloseRequest, CommitReply, CommitRequest};
    let (mut bridge, conn) = Bridge::plain();
    let bodies = vec![
        group(GroupModCommand::Add, 1, 2),
        Body::FlowMod(flow(0, 1, vec![Action::Group { group_id: 1 }])),
        packet_out(1, vec![Action::output(port_no::TABLE)], frame(1, 2)),
    ];
    open(&mut bridge, conn, bodies);
    assert_eq!((bridge.agent.flow_count(), bridge.log.frames.len()), (0, 0));
    assert_eq!(
        bridge.ask_one(conn, control(CloseRequest, FLAGS)),
        control(CloseReply, FLAGS)
    );
    assert_eq!(
        bridge.ask_one(conn, control(CommitRequest, FLAGS)),
        control(CommitReply, FLAGS)
    );
    assert_eq!(bridge.agent.flow_count(), 1);
    assert_eq!(bridge.log.frames, [(2, frame(1, 2))]);
    bridge.fails(
        conn,
        control(CommitRequest, FLAGS),
        ErrorCode::BundleFailedBadId,
    );
}

#[test]
fn a_bundle_that_fails_leaves_everything_as_it_was() {
    let (mut bridge, conn) = Bridge::plain();
    let watcher = bridge.connect(ConnectionKind::Controller);
    let numbered = |command, number: u32, cookie, actions| {
        let mut flow_mod = flow(0, number, actions);
        (flow_mod.command, flow_mod.cookie) = (command, cookie);
        flow_mod.flags = flow_mod_flags::SEND_FLOW_REM;
        flow_mod
    };
    bridge.tell(conn, group(GroupModCommand::Add, 1, 1));
    bridge.tell(conn, group(GroupModCommand::Add, 2, 2));
    bridge.tell(conn, meter(MeterModCommand::Add, 1, 1000));
    for number in 1..=3 {
        let mut flow_mod = numbered(
            FlowModCommand::Add,
            number,
            u64::from(number),
            vec![Action::output(2)],
        );
        (flow_mod.idle_timeout, flow_mod.hard_timeout) = (100, 200);
        bridge.tell(conn, Body::FlowMod(flow_mod));
    }
    bridge.tell(
        conn,
        Body::FlowMod(numbered(
            FlowModCommand::Add,
            4,
            4,
            vec![Action::Group { group_id: 2 }],
        )),
    );
    bridge.packet(1, &frame(1, 2));
    bridge.packet(2, &frame(1, 3));
    bridge.now = 5 * SECOND;
    let before = (
        flows(&mut bridge, conn),
        groups_and_meters(&mut bridge, conn),
    );
    assert_eq!(before.0.len(), 4);
    bridge.received(watcher);
    let sent = bridge.log.frames.len();

    let mut add_replacing = numbered(FlowModCommand::Add, 1, 99, vec![Action::output(3)]);
    add_replacing.flags = flow_mod_flags::RESET_COUNTS;
    let port_down = PortMod {
        port_no: 1,
        hw_addr: mac(1),
        config: port_config::PORT_DOWN,
        mask: port_config::PORT_DOWN,
        advertise: 0,
    };
    let bodies = vec![
        Body::FlowMod(add_replacing),
        Body::FlowMod(numbered(FlowModCommand::ModifyStrict, 2, 0, vec![])),
        Body::FlowMod(numbered(FlowModCommand::DeleteStrict, 3, 0, vec![])),
        Body::FlowMod(numbered(FlowModCommand::Add, 3, 7, vec![])),
        Body::FlowMod(flow(9, 1, vec![])),
        group(GroupModCommand::Modify, 1, 3),
        Body::GroupMod(GroupMod {
            command: GroupModCommand::Delete,
            group_type: GroupType::All,
            group_id: 2,
            buckets: vec![],
        }),
        group(GroupModCommand::Add, 3, 3),
        meter(MeterModCommand::Modify, 1, 5),
        meter(MeterModCommand::Add, 2, 5),
        Body::PortMod(port_down),
        packet_out(2, vec![Action::output(3)], frame(1, 2)),
        // This one fails: the group exists.
        group(GroupModCommand::Add, 1, 1),
        Body::FlowMod(flow(10, 1, vec![])),
    ];
    open(&mut bridge, conn, bodies);
    bridge.send(conn, control(BundleControlType::CommitRequest, FLAGS));
    let codes: Vec<_> = bridge
        .received(conn)
        .into_iter()
        .map(|body| match body {
            Body::Error(error) => error.error_code(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        codes,
        [
            Some(ErrorCode::GroupModFailedGroupExists),
            Some(ErrorCode::BundleFailedMsgFailed)
        ]
    );
    let after = (
        flows(&mut bridge, conn),
        groups_and_meters(&mut bridge, conn),
    );
    assert_eq!(after, before);
    assert_eq!(
        bridge.received(watcher),
        [],
        "no flow-removed, no port-status"
    );
    assert_eq!(bridge.log.frames.len(), sent, "no packet-out");
    assert_eq!(bridge.log.port_configs, []);
    assert_eq!(
        bridge
            .agent
            .ports()
            .map(|port| port.config)
            .collect::<Vec<_>>(),
        [0, 0, 0]
    );

    // What was restored works: it matches, counts and times out.
    bridge.packet(3, &frame(1, 2));
    let restored = flows(&mut bridge, conn);
    assert_eq!(
        restored
            .iter()
            .find(|flow| flow.cookie == 3)
            .map(|flow| flow.packet_count),
        Some(1)
    );
    bridge.advance(300 * SECOND);
    assert_eq!(bridge.agent.flow_count(), 1);
}

#[test]
fn what_cannot_be_bundled_is_refused() {
    let (mut bridge, conn) = Bridge::plain();
    open(&mut bridge, conn, vec![]);
    let Body::Error(error) = add(&mut bridge, conn, Body::EchoRequest(vec![])).remove(0) else {
        panic!()
    };
    assert_eq!(error.error_code(), Some(ErrorCode::BundleFailedMsgUnsup));
    let message = Box::new(Message {
        xid: 0xbad,
        body: Body::FlowMod(flow(0, 1, vec![])),
    });
    let add = BundleAdd {
        bundle_id: 1,
        flags: FLAGS,
        message,
        properties: vec![],
    };
    let Body::Error(error) = bridge.ask_one(conn, Body::BundleAdd(add)) else {
        panic!()
    };
    assert_eq!(error.error_code(), Some(ErrorCode::BundleFailedMsgBadXid));
}

#[test]
fn control_messages_that_make_no_sense() {
    use BundleControlType::{
        CloseRequest, CommitRequest, DiscardReply, DiscardRequest, OpenReply, OpenRequest,
    };
    let (mut bridge, conn) = Bridge::plain();
    let table = [
        (CloseRequest, 0, ErrorCode::BundleFailedBadId),
        (CommitRequest, 0, ErrorCode::BundleFailedBadId),
        (DiscardRequest, 0, ErrorCode::BundleFailedBadId),
        (OpenRequest, 0x80, ErrorCode::BundleFailedBadFlags),
        (OpenReply, 0, ErrorCode::BundleFailedBadType),
        (
            BundleControlType::Unknown(99),
            0,
            ErrorCode::BundleFailedBadType,
        ),
    ];
    for (kind, flags, code) in table {
        bridge.fails(conn, control(kind, flags), code);
    }
    open(&mut bridge, conn, vec![Body::FlowMod(flow(0, 1, vec![]))]);
    assert_eq!(
        bridge.ask_one(conn, control(DiscardRequest, FLAGS)),
        control(DiscardReply, FLAGS)
    );
    assert_eq!(bridge.agent.flow_count(), 0);
}

#[test]
fn bundles_belong_to_their_connection_and_die_with_it() {
    let (mut bridge, one) = Bridge::plain();
    let two = bridge.connect(ConnectionKind::Controller);
    open(&mut bridge, one, vec![Body::FlowMod(flow(0, 1, vec![]))]);
    bridge.fails(
        two,
        control(BundleControlType::CommitRequest, FLAGS),
        ErrorCode::BundleFailedBadId,
    );
    bridge
        .agent
        .connection_closed(one, bridge.now, &mut bridge.log);
    assert_eq!(bridge.agent.flow_count(), 0);
}

#[test]
fn an_idle_bundle_is_discarded_and_that_is_said() {
    let (mut bridge, conn) = Bridge::plain();
    open(&mut bridge, conn, vec![]);
    assert!(bridge.agent.next_deadline().is_some());
    bridge.advance(60 * SECOND);
    let [Body::Error(error)] = &bridge.received(conn)[..] else {
        panic!()
    };
    assert_eq!(error.error_code(), Some(ErrorCode::BundleFailedTimeout));
    bridge.fails(
        conn,
        control(BundleControlType::CommitRequest, FLAGS),
        ErrorCode::BundleFailedBadId,
    );
}

#[test]
fn replacing_all_flows_in_one_bundle() {
    let (mut bridge, conn) = Bridge::plain();
    for number in 0..100u32 {
        let match_ = Match::any().with(OxmField::EthDst, number);
        bridge.tell(
            conn,
            Body::FlowMod(FlowMod {
                match_,
                ..flow(0, 1, vec![])
            }),
        );
    }
    let mut bodies = vec![Body::FlowMod(FlowMod::new(
        FlowModCommand::Delete,
        table_no::ALL,
    ))];
    bodies.extend((50..150u32).map(|number| {
        let match_ = Match::any().with(OxmField::EthDst, number);
        Body::FlowMod(FlowMod {
            match_,
            cookie: 5,
            ..flow(0, 1, vec![])
        })
    }));
    open(&mut bridge, conn, bodies);
    bridge.ask_one(conn, control(BundleControlType::CommitRequest, FLAGS));
    let flows = flows(&mut bridge, conn);
    assert!(flows.len() == 100 && flows.iter().all(|flow| flow.cookie == 5));
}

/// What a bundle of many flows is for: ports 1 to 2 and a large number of others, flow by flow.
fn many(actions: impl Fn(u32) -> Vec<Action>) -> Vec<Body> {
    let numbered = |number: u32| {
        let match_ = Match::any().with(OxmField::EthDst, number);
        Body::FlowMod(FlowMod {
            match_,
            cookie: u64::from(number),
            flags: flow_mod_flags::SEND_FLOW_REM,
            ..flow(0, 1, actions(number))
        })
    };
    (0..500).map(numbered).collect()
}

fn to(destination: u32) -> Vec<u8> {
    let mut bytes = frame(1, 2);
    bytes[..6].copy_from_slice(&u64::from(destination).to_be_bytes()[2..]);
    bytes
}

#[test]
fn while_many_flows_are_committed_known_packets_go_on_and_others_wait() {
    use BundleControlType::{CommitReply, CommitRequest};
    let (mut bridge, conn) = Bridge::plain();
    let watcher = bridge.connect(ConnectionKind::Controller);
    for body in many(|_| vec![Action::output(2)]) {
        bridge.tell(conn, body);
    }
    bridge.packet(1, &to(7));
    bridge.received(watcher);
    let mut bodies = vec![Body::FlowMod(FlowMod::new(
        FlowModCommand::Delete,
        table_no::ALL,
    ))];
    bodies.extend(many(|_| vec![Action::output(3)]));
    open(&mut bridge, conn, bodies);
    bridge.log.frames.clear();

    bridge.send(conn, control(CommitRequest, FLAGS));
    let mut rounds = 0u32;
    while bridge.agent.is_committing() {
        // Known: as before. Not known: later. Questions of others: later.
        bridge.packet(1, &to(7));
        if rounds == 2 {
            bridge.packet(1, &to(8));
            bridge.send(watcher, Body::BarrierRequest);
        }
        assert!(
            bridge
                .log
                .frames
                .iter()
                .all(|(port, frame)| *port == 2 && *frame == to(7))
        );
        assert_eq!(bridge.received(watcher), []);
        rounds += 1;
        bridge.agent.resume(conn, bridge.now, &mut bridge.log);
    }
    assert!(rounds > 5, "in pieces: {rounds}");
    assert_eq!(bridge.log.frames.len(), rounds as usize + 1);
    assert_eq!(bridge.log.frames.last(), Some(&(3, to(8))));
    bridge.packet(1, &to(7));
    assert_eq!(bridge.log.frames.last(), Some(&(3, to(7))));
    assert_eq!(
        bridge.received(conn).last(),
        Some(&control(CommitReply, FLAGS))
    );

    // Each packet is counted on the flow that it went by, be it gone.
    let heard = bridge.received(watcher);
    let removed = |cookie| {
        heard.iter().find_map(|body| match body {
            Body::FlowRemoved(removed) if removed.cookie == cookie => Some(removed.packet_count),
            _ => None,
        })
    };
    assert_eq!(removed(7), Some(u64::from(rounds) + 1));
    assert_eq!(removed(8), Some(0));
    bridge.drain();
    assert_eq!(bridge.received(watcher), [Body::BarrierReply]);
    let counted: Vec<_> = flows(&mut bridge, conn)
        .into_iter()
        .filter(|flow| flow.packet_count > 0)
        .map(|flow| (flow.cookie, flow.packet_count))
        .collect();
    assert_eq!(counted, [(7, 1), (8, 1)]);
}

#[test]
fn a_large_bundle_that_fails_late_has_never_been_there() {
    let (mut bridge, conn) = Bridge::plain();
    for body in many(|_| vec![Action::output(2)]) {
        bridge.tell(conn, body);
    }
    bridge.packet(1, &to(7));
    let before = flows(&mut bridge, conn);
    let mut bodies = many(|_| vec![Action::output(3)]);
    let mut narrow = FlowMod::new(FlowModCommand::Delete, 0);
    narrow.match_ = Match::any().with(OxmField::EthDst, 7u32);
    bodies.insert(100, Body::FlowMod(narrow));
    // No such group.
    bodies.push(Body::FlowMod(flow(
        1,
        1,
        vec![Action::Group { group_id: 5 }],
    )));
    open(&mut bridge, conn, bodies);
    bridge.log.frames.clear();
    bridge.send(conn, control(BundleControlType::CommitRequest, FLAGS));
    bridge.agent.resume(conn, bridge.now, &mut bridge.log);
    bridge.packet(1, &to(9));
    bridge.drain();
    let errors: Vec<_> = bridge
        .received(conn)
        .into_iter()
        .map(|body| match body {
            Body::Error(error) => error.error_code(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        errors,
        [
            Some(ErrorCode::BadActionBadOutGroup),
            Some(ErrorCode::BundleFailedMsgFailed)
        ]
    );
    bridge.packet(1, &to(7));
    assert_eq!(bridge.log.frames, [(2, to(9)), (2, to(7))]);
    let after = flows(&mut bridge, conn);
    assert_eq!(after.len(), before.len());
    let packets = |flows: &[FlowStats], cookie| {
        flows
            .iter()
            .find(|flow| flow.cookie == cookie)
            .map(|flow| flow.packet_count)
    };
    assert_eq!((packets(&after, 7), packets(&after, 9)), (Some(2), Some(1)));
}

#[test]
fn whoever_cannot_wait_for_a_commit_gets_it_done() {
    let (mut bridge, conn) = Bridge::plain();
    open(&mut bridge, conn, many(|_| vec![Action::output(2)]));
    bridge.send(conn, control(BundleControlType::CommitRequest, FLAGS));
    assert!(bridge.agent.is_committing());
    bridge.add_port(9);
    assert!(!bridge.agent.is_committing());
    assert_eq!(bridge.agent.flow_count(), 500);
    // So does its connection when it ends, and do packets when too many wait.
    let other = bridge.connect(ConnectionKind::Controller);
    open(&mut bridge, other, many(|_| vec![Action::output(3)]));
    bridge.send(other, control(BundleControlType::CommitRequest, FLAGS));
    for _ in 0..5000 {
        bridge.packet(1, &to(1));
    }
    assert!(!bridge.agent.is_committing());
    assert_eq!(
        bridge
            .log
            .frames
            .iter()
            .filter(|(port, _)| *port == 3)
            .count(),
        5000
    );
}

#[test]
fn many_flows_are_deleted_as_if_at_once() {
    let (mut bridge, conn) = Bridge::plain();
    let watcher = bridge.connect(ConnectionKind::Controller);
    let numbered = |number: u32| {
        Body::FlowMod(FlowMod {
            match_: Match::any().with(OxmField::EthDst, number),
            cookie: u64::from(number % 2),
            flags: flow_mod_flags::SEND_FLOW_REM,
            ..flow(0, 1, vec![Action::output(2)])
        })
    };
    for number in 0..6000 {
        bridge.tell(conn, numbered(number));
    }
    for destination in [7, 8] {
        bridge.packet(1, &to(destination));
    }
    bridge.received(watcher);
    bridge.log.frames.clear();

    // Half of them.
    let delete = FlowMod {
        cookie: 1,
        cookie_mask: u64::MAX,
        ..FlowMod::new(FlowModCommand::Delete, table_no::ALL)
    };
    bridge.send(conn, Body::FlowMod(delete));
    bridge.send(conn, Body::BarrierRequest);
    let mut rounds = 0;
    while bridge.agent.is_committing() {
        bridge.packet(1, &to(7));
        if rounds == 2 {
            bridge.packet(1, &to(9));
        }
        assert_eq!(bridge.received(conn), [], "the barrier waits");
        assert_eq!(bridge.received(watcher), []);
        rounds += 1;
        bridge.agent.resume(conn, bridge.now, &mut bridge.log);
    }
    assert!(rounds > 5, "in pieces: {rounds}");
    // 7 was known and went on, 9 waited for the end and has no flow any more, 8 keeps its own.
    assert_eq!(bridge.log.frames.len(), rounds);
    for destination in [7, 9, 8] {
        bridge.packet(1, &to(destination));
    }
    assert_eq!(bridge.log.frames.len(), rounds + 1);
    assert_eq!(bridge.log.frames.last(), Some(&(2, to(8))));
    assert_eq!(bridge.received(conn).last(), Some(&Body::BarrierReply));
    let removed: Vec<_> = bridge
        .received(watcher)
        .into_iter()
        .map(|body| match body {
            Body::FlowRemoved(removed) => (removed.cookie, removed.packet_count),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(removed.len(), 3000);
    assert!(removed.iter().all(|(cookie, _)| *cookie == 1));
    let counted: Vec<u64> = removed.iter().map(|(_, packets)| *packets).collect();
    assert_eq!(counted.iter().sum::<u64>(), rounds as u64 + 1);
    assert_eq!(bridge.agent.flow_count(), 3000);
}
