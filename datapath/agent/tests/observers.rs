//! Observers over OpenFlow: who may set them, who hears what they see, and when.

mod common;

use common::{Bridge, SECOND, flow, frame, multipart};
use weft_agent::{ConnId, ConnectionKind};
use weft_openflow::{
    Action, Body, ErrorCode, ExperimenterMultipart, FlowRecord, MultipartReplyBody,
    MultipartRequestBody, NxAction, ObserverCommand, ObserverFlush, ObserverKind, ObserverMod,
    PortReason, WEFT_EXPERIMENTER, WeftMessage, port_no,
};

const MS: u64 = 1_000_000;

fn observer(command: ObserverCommand, kind: ObserverKind, id: u32) -> Body {
    Body::Weft(WeftMessage::ObserverMod(ObserverMod {
        command,
        kind,
        observer_id: id,
        interval: 1,
        header_bytes: 64,
        active_timeout_ms: 0,
        idle_timeout_ms: 15_000,
        max_flows: 0,
        max_records_per_second: 0,
    }))
}

fn observed(bridge: &mut Bridge, conn: ConnId, ids: &[u32]) {
    let mut actions: Vec<Action> = ids
        .iter()
        .map(|id| {
            Action::Nicira(NxAction::Sample {
                probability: 0xffff,
                collector_set_id: *id,
                obs_domain_id: 0,
                obs_point_id: 0,
            })
        })
        .collect();
    actions.push(Action::output(2));
    bridge.tell(conn, Body::FlowMod(flow(0, 1, actions)));
}

fn records(bodies: Vec<Body>) -> Vec<FlowRecord> {
    let each = bodies.into_iter().flat_map(|body| match body {
        Body::Weft(WeftMessage::FlowRecords(records)) => records.entries,
        _ => Vec::new(),
    });
    each.collect()
}

#[test]
fn records_come_before_the_barrier_that_follows_a_flush() {
    let (mut bridge, conn) = Bridge::plain();
    let other = bridge.connect(ConnectionKind::Controller);
    bridge.tell(
        conn,
        observer(ObserverCommand::Set, ObserverKind::Account, 5),
    );
    observed(&mut bridge, conn, &[5]);
    (0..60).for_each(|_| bridge.packet(1, &frame(1, 2)));
    let flush = ObserverFlush {
        observer_id: 5,
        port: port_no::ANY,
    };
    bridge.send(conn, Body::Weft(WeftMessage::ObserverFlush(flush)));
    bridge.send(conn, Body::BarrierRequest);
    let bodies = bridge.received(conn);
    assert!(matches!(
        bodies[..],
        [Body::Weft(WeftMessage::FlowRecords(_)), Body::BarrierReply]
    ));
    let records = records(bodies);
    assert_eq!(
        (records.len(), records[0].packets, records[0].octets),
        (1, 60, 60 * 46)
    );
    assert_eq!(bridge.received(other), []);
}

#[test]
fn samples_come_soon_and_quiet_flows_when_their_time_is_up() {
    let (mut bridge, conn) = Bridge::plain();
    bridge.tell(
        conn,
        observer(ObserverCommand::Set, ObserverKind::Account, 5),
    );
    bridge.tell(
        conn,
        observer(ObserverCommand::Set, ObserverKind::Sample, 6),
    );
    observed(&mut bridge, conn, &[5, 6]);
    bridge.packet(1, &frame(1, 2));
    let due = bridge.agent.next_deadline().unwrap();
    assert!(due <= bridge.now + 100 * MS);
    bridge.advance(100 * MS);
    let bodies = bridge.received(conn);
    let [Body::Weft(WeftMessage::Samples(samples))] = &bodies[..] else {
        panic!("{bodies:?}");
    };
    assert_eq!((samples.pool, samples.entries.len()), (1, 1));
    bridge.advance(14 * SECOND);
    assert_eq!(bridge.received(conn), []);
    bridge.advance(SECOND);
    assert_eq!(records(bridge.received(conn)).len(), 1);
}

#[test]
fn observers_outlive_their_connection_and_report_to_the_next() {
    let (mut bridge, conn) = Bridge::plain();
    let set = || observer(ObserverCommand::Set, ObserverKind::Account, 5);
    bridge.tell(conn, set());
    observed(&mut bridge, conn, &[5]);
    bridge.packet(1, &frame(1, 2));
    bridge
        .agent
        .connection_closed(conn, bridge.now, &mut bridge.log);
    bridge.advance(20 * SECOND);
    bridge.packet(1, &frame(1, 2));
    let next = bridge.connect(ConnectionKind::Controller);
    bridge.tell(next, set());
    bridge.advance(SECOND);
    let waited = records(bridge.received(next));
    assert_eq!((waited.len(), waited[0].packets), (1, 1));
    let request = ExperimenterMultipart {
        experimenter: WEFT_EXPERIMENTER,
        exp_type: 1,
        data: vec![0, 0, 0, 5, 0, 0, 0, 0],
    };
    let reply = bridge.ask_one(next, multipart(MultipartRequestBody::Experimenter(request)));
    let Body::MultipartReply(reply) = reply else {
        panic!("{reply:?}");
    };
    let MultipartReplyBody::Experimenter(stats) = reply.body else {
        panic!("{reply:?}");
    };
    // Two packets, one record, one flow open.
    assert_eq!(stats.data.len(), 64);
    assert_eq!((stats.data[15], stats.data[23], stats.data[35]), (2, 1, 1));
}

#[test]
fn the_flows_of_a_port_are_reported_before_it_is_said_to_be_gone() {
    let (mut bridge, conn) = Bridge::plain();
    bridge.tell(
        conn,
        observer(ObserverCommand::Set, ObserverKind::Account, 5),
    );
    observed(&mut bridge, conn, &[5]);
    bridge.packet(1, &frame(1, 2));
    bridge.agent.port_removed(1, bridge.now, &mut bridge.log);
    let bodies = bridge.received(conn);
    let [
        Body::Weft(WeftMessage::FlowRecords(records)),
        Body::PortStatus(status),
    ] = &bodies[..]
    else {
        panic!("{bodies:?}");
    };
    assert_eq!(
        (records.entries.len(), status.reason),
        (1, PortReason::Delete)
    );
}

#[test]
fn users_and_slaves_may_not_touch_the_programs_observers() {
    let mut bridge = Bridge::with_program();
    let user = bridge.connect(ConnectionKind::Controller);
    let set = |id| observer(ObserverCommand::Set, ObserverKind::Sample, id);
    bridge.fails(user, set(0x5700_0001), ErrorCode::BadRequestEperm);
    bridge.tell(user, set(1));
    let unknown = observer(ObserverCommand::Set, 7.into(), 1);
    bridge.fails(user, unknown, ErrorCode::ObserverBadArgument);
}
