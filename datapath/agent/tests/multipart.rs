//! Multipart requests, long replies, and what waits behind them (OF 1.3.5 §7.3.5).

mod common;

use common::{Bridge, SECOND, all_flows, flow, flows_of, frame, multipart};
use weft_agent::ConnectionKind;
use weft_openflow::{
    Action, Body, ErrorCode, FlowMod, FlowModCommand, GroupStatsRequest, Match,
    MeterMultipartRequest, MultipartReplyBody, MultipartRequestBody, OxmField, PortStatsRequest,
    QueueStatsRequest, TableFeatures, group_no, meter_no, port_no, queue_no, table_no,
};

#[test]
fn barriers_are_answered_after_what_came_before() {
    let (mut bridge, conn) = Bridge::plain();
    for number in 0..2000u32 {
        let mut flow_mod = flow(0, 1, vec![]);
        flow_mod.match_ = Match::any().with(OxmField::EthDst, number);
        bridge.tell(conn, Body::FlowMod(flow_mod));
    }
    let dump = bridge.send(
        conn,
        multipart(MultipartRequestBody::Flow(all_flows(table_no::ALL))),
    );
    let barrier = bridge.send(conn, Body::BarrierRequest);
    let echo = bridge.send(conn, Body::EchoRequest(vec![]));
    assert!(bridge.agent.is_busy(conn));
    bridge.drain();
    let xids: Vec<u32> = bridge.log.messages[&conn]
        .iter()
        .map(|message| message.xid)
        .collect();
    let (last, parts) = xids.split_at(xids.len() - 2);
    assert!(
        parts == [barrier, echo] && last.iter().all(|xid| *xid == dump) && last.len() > 1,
        "{xids:?}"
    );
}

#[test]
fn a_long_dump_holds_every_flow_once_and_comes_in_pieces() {
    let (mut bridge, conn) = Bridge::plain();
    for number in 0..5000u32 {
        let mut flow_mod = flow((number % 3) as u8, 1, vec![Action::output(2)]);
        flow_mod.match_ = Match::any().with(OxmField::EthDst, number);
        flow_mod.cookie = u64::from(number);
        bridge.tell(conn, Body::FlowMod(flow_mod));
    }
    bridge.now = 3 * SECOND + 5;
    let flows = flows_of(bridge.ask(
        conn,
        multipart(MultipartRequestBody::Flow(all_flows(table_no::ALL))),
    ));
    let mut cookies: Vec<u64> = flows.iter().map(|flow| flow.cookie).collect();
    cookies.sort_unstable();
    assert_eq!(cookies, (0..5000).collect::<Vec<u64>>());
    assert!(
        flows
            .iter()
            .all(|flow| (flow.duration_sec, flow.duration_nsec) == (3, 5))
    );
    assert!(bridge.log.longest_piece < 65536);
    let flows = flows_of(bridge.ask(conn, multipart(MultipartRequestBody::Flow(all_flows(1)))));
    assert_eq!(flows.len(), 1667);
    bridge.fails(
        conn,
        multipart(MultipartRequestBody::Flow(all_flows(254))),
        ErrorCode::BadRequestBadTableId,
    );
}

#[test]
fn a_dump_survives_the_flows_being_deleted() {
    let (mut bridge, conn) = Bridge::plain();
    let other = bridge.connect(ConnectionKind::Controller);
    for number in 0..3000u32 {
        let mut flow_mod = flow(0, 1, vec![]);
        flow_mod.match_ = Match::any().with(OxmField::EthDst, number);
        bridge.tell(conn, Body::FlowMod(flow_mod));
    }
    bridge.send(conn, multipart(MultipartRequestBody::Flow(all_flows(0))));
    assert!(bridge.agent.is_busy(conn));
    bridge.tell(
        other,
        Body::FlowMod(FlowMod::new(FlowModCommand::Delete, table_no::ALL)),
    );
    bridge.drain();
    let flows = flows_of(bridge.received(conn));
    assert!(flows.len() < 3000);
}

#[test]
fn an_empty_dump_is_one_empty_part() {
    let (mut bridge, conn) = Bridge::plain();
    let answers = bridge.ask(
        conn,
        multipart(MultipartRequestBody::Flow(all_flows(table_no::ALL))),
    );
    assert_eq!(answers.len(), 1);
    assert_eq!(flows_of(answers), []);
}

#[test]
fn aggregate_counts_packets_bytes_and_flows() {
    let (mut bridge, conn) = Bridge::plain();
    bridge.tell(conn, Body::FlowMod(flow(0, 1, vec![Action::output(2)])));
    bridge.tell(conn, Body::FlowMod(flow(5, 1, vec![Action::output(2)])));
    for _ in 0..3 {
        bridge.packet(1, &frame(1, 2));
    }
    let answer = bridge.ask_one(
        conn,
        multipart(MultipartRequestBody::Aggregate(all_flows(table_no::ALL))),
    );
    let Body::MultipartReply(reply) = answer else {
        panic!()
    };
    let MultipartReplyBody::Aggregate(sums) = reply.body else {
        panic!()
    };
    assert_eq!(
        (sums.packet_count, sums.byte_count, sums.flow_count),
        (3, 180, 2)
    );
}

#[test]
fn tables_ports_groups_meters_and_queues_are_listed() {
    let (mut bridge, conn) = Bridge::plain();
    let mut ask = |body| match bridge.ask_one(conn, multipart(body)) {
        Body::MultipartReply(reply) => reply.body,
        other => panic!("{other:?}"),
    };
    use {MultipartReplyBody as Reply, MultipartRequestBody as Request};
    let Reply::Table(tables) = ask(Request::Table) else {
        panic!()
    };
    assert_eq!(tables.len(), 254);
    let Reply::PortDesc(ports) = ask(Request::PortDesc) else {
        panic!()
    };
    assert_eq!(
        ports.iter().map(|port| port.port_no).collect::<Vec<_>>(),
        [1, 2, 3]
    );
    assert!(
        ports
            .iter()
            .all(|port| port.state & weft_openflow::port_state::LIVE != 0)
    );
    let Reply::PortStats(stats) = ask(Request::PortStats(PortStatsRequest { port_no: 2 })) else {
        panic!()
    };
    assert_eq!(
        stats
            .iter()
            .map(|s| (s.port_no, s.rx_packets))
            .collect::<Vec<_>>(),
        [(2, 20)]
    );
    let Reply::PortStats(stats) = ask(Request::PortStats(PortStatsRequest {
        port_no: port_no::ANY,
    })) else {
        panic!()
    };
    assert_eq!(stats.len(), 3);
    let queues = QueueStatsRequest {
        port_no: port_no::ANY,
        queue_id: queue_no::ALL,
    };
    assert_eq!(ask(Request::Queue(queues)), Reply::Queue(vec![]));
    assert_eq!(
        ask(Request::Group(GroupStatsRequest {
            group_id: group_no::ALL
        })),
        Reply::Group(vec![])
    );
    assert_eq!(ask(Request::GroupDesc), Reply::GroupDesc(vec![]));
    let meters = MeterMultipartRequest {
        meter_id: meter_no::ALL,
    };
    assert_eq!(ask(Request::Meter(meters.clone())), Reply::Meter(vec![]));
    assert_eq!(
        ask(Request::MeterConfig(meters)),
        Reply::MeterConfig(vec![])
    );
    let Reply::GroupFeatures(groups) = ask(Request::GroupFeatures) else {
        panic!()
    };
    assert_eq!(groups.types, 15);
    let Reply::MeterFeatures(meters) = ask(Request::MeterFeatures) else {
        panic!()
    };
    assert_eq!(meters.band_types, 0b110);
}

#[test]
fn statistics_of_what_is_not_there() {
    let (mut bridge, conn) = Bridge::plain();
    use MultipartRequestBody as Request;
    let queue = |port_no, queue_id| Request::Queue(QueueStatsRequest { port_no, queue_id });
    let meter = MeterMultipartRequest { meter_id: 5 };
    let table = [
        (
            Request::PortStats(PortStatsRequest { port_no: 9 }),
            ErrorCode::BadRequestBadPort,
        ),
        (queue(9, queue_no::ALL), ErrorCode::QueueOpFailedBadPort),
        (queue(1, 7), ErrorCode::QueueOpFailedBadQueue),
        (
            Request::Meter(meter.clone()),
            ErrorCode::MeterModFailedUnknownMeter,
        ),
        (
            Request::MeterConfig(meter),
            ErrorCode::MeterModFailedUnknownMeter,
        ),
        (
            Request::Unknown {
                code: 99,
                data: vec![],
            },
            ErrorCode::BadRequestBadMultipart,
        ),
    ];
    for (request, code) in table {
        bridge.fails(conn, multipart(request), code);
    }
    bridge.fails(
        conn,
        Body::QueueGetConfigRequest { port: 9 },
        ErrorCode::QueueOpFailedBadPort,
    );
    let Body::QueueGetConfigReply(reply) =
        bridge.ask_one(conn, Body::QueueGetConfigRequest { port: 1 })
    else {
        panic!()
    };
    assert_eq!((reply.port, reply.queues.len()), (1, 0));
}

fn features_of(answers: Vec<Body>) -> Vec<TableFeatures> {
    answers
        .into_iter()
        .flat_map(|answer| match answer {
            Body::MultipartReply(reply) => match reply.body {
                MultipartReplyBody::TableFeatures(tables) => tables,
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn tables_claim_just_the_fields_that_flows_can_match() {
    use weft_openflow::{TableProperty, oxm::CLASS_BASIC};
    let (mut bridge, conn) = Bridge::plain();
    let request = multipart(MultipartRequestBody::TableFeatures(vec![]));
    let tables = features_of(bridge.ask(conn, request));
    let claimed: Vec<OxmField> = tables[0]
        .properties
        .iter()
        .find_map(|property| match property {
            TableProperty::Match(ids) => Some(ids.iter().filter_map(|id| id.known()).collect()),
            _ => None,
        })
        .unwrap();
    for field in OxmField::ALL.iter().filter(|f| f.canonical() == **f) {
        // Prerequisites are another matter: the field alone is accepted, or refused for the lack of them.
        let mut request = flow(0, 1, vec![]);
        request.match_ = Match::any().with(*field, 0u8);
        let refused = bridge.ask(conn, Body::FlowMod(request)).iter().any(|answer| {
            matches!(answer, Body::Error(error) if error.error_code() == Some(ErrorCode::BadMatchBadField))
        });
        assert_eq!(claimed.contains(field), !refused, "{field:?}");
        let standard = field.info().class == CLASS_BASIC;
        assert!(!standard || claimed.contains(field), "{field:?}");
    }
}

#[test]
fn table_features_can_be_read_and_given_back() {
    let (mut bridge, conn) = Bridge::plain();
    let request = |tables| multipart(MultipartRequestBody::TableFeatures(tables));
    let tables = features_of(bridge.ask(conn, request(vec![])));
    assert_eq!(
        tables
            .iter()
            .map(|table| table.table_id)
            .collect::<Vec<_>>(),
        (0..254).collect::<Vec<_>>()
    );
    let mut named = tables[3].clone();
    named.name = "acl".into();
    let tables = features_of(bridge.ask(conn, request(vec![named.clone()])));
    assert_eq!(&*tables[3].name, "acl");

    let broken = |change: fn(&mut TableFeatures)| {
        let mut table = named.clone();
        change(&mut table);
        request(vec![table])
    };
    use weft_openflow::{ActionId, TableProperty};
    let table = [
        (
            broken(|t| t.table_id = 255),
            ErrorCode::TableFeaturesFailedBadTable,
        ),
        (
            broken(|t| t.config = 4),
            ErrorCode::TableFeaturesFailedBadArgument,
        ),
        (
            broken(|t| t.max_entries = u32::MAX),
            ErrorCode::TableFeaturesFailedBadArgument,
        ),
        (
            broken(|t| {
                t.properties = vec![TableProperty::ApplyActions(vec![ActionId {
                    code: 99,
                    data: vec![],
                }])];
            }),
            ErrorCode::TableFeaturesFailedBadArgument,
        ),
        (
            broken(|t| t.properties = vec![TableProperty::NextTables(vec![3])]),
            ErrorCode::TableFeaturesFailedBadArgument,
        ),
        (
            broken(|t| {
                t.properties = vec![TableProperty::Unknown {
                    code: 0x77,
                    data: vec![],
                }]
            }),
            ErrorCode::TableFeaturesFailedBadType,
        ),
        (
            request(vec![named.clone(), named.clone()]),
            ErrorCode::TableFeaturesFailedBadTable,
        ),
    ];
    for (body, code) in table {
        bridge.fails(conn, body, code);
    }
}

#[test]
fn a_part_of_what_a_table_can_do_may_be_asked_for_with_ids_of_no_length() {
    use weft_openflow::{OxmId, TableProperty};
    let (mut bridge, conn) = Bridge::plain();
    let request = |tables| multipart(MultipartRequestBody::TableFeatures(tables));
    let ask = |ids: Vec<OxmId>| {
        request(vec![TableFeatures {
            table_id: 0,
            name: "vlan".into(),
            metadata_match: 0,
            metadata_write: 0,
            config: 3,
            max_entries: 32,
            properties: vec![TableProperty::Match(ids)],
        }])
    };
    // As os-ken encodes them: no length in the header.
    let id = |field: OxmField, has_mask| OxmId {
        field: Err((field.header(has_mask) & !0xff, 0)),
        has_mask: false,
    };
    let good = ask(vec![
        id(OxmField::EthDst, true),
        id(OxmField::VlanVid, false),
    ]);
    assert_eq!(&*features_of(bridge.ask(conn, good))[0].name, "vlan");
    for bad in [
        id(OxmField::EthType, true),
        OxmId {
            field: Err((0x8000_fe00, 0)),
            has_mask: false,
        },
        OxmId {
            field: Err((OxmField::EthDst.header(false) + 1, 0)),
            has_mask: false,
        },
    ] {
        bridge.fails(
            conn,
            ask(vec![bad]),
            ErrorCode::TableFeaturesFailedBadArgument,
        );
    }
}
