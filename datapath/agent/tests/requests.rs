//! Each request and what is answered.

mod common;

use common::{Bridge, SECOND, flow, frame, mac, packet_out, to_controller};
use weft_agent::{BridgeConfig, ConnectionKind, FailMode};
use weft_openflow::{
    Action, Body, ErrorCode, FlowMod, FlowModCommand, FlowStats, FlowStatsRequest,
    GroupStatsRequest, Match, Message, MeterMultipartRequest, MultipartReplyBody, MultipartRequest,
    MultipartRequestBody, OxmField, PortMod, PortStatsRequest, QueueStatsRequest, SwitchConfig,
    TableFeatures, TableMod, group_no, meter_no, port_config, port_no, queue_no, table_no,
};

fn multipart(body: MultipartRequestBody) -> Body {
    Body::MultipartRequest(MultipartRequest::new(body))
}

fn all_flows(table_id: u8) -> FlowStatsRequest {
    FlowStatsRequest {
        table_id,
        out_port: port_no::ANY,
        out_group: group_no::ANY,
        cookie: 0,
        cookie_mask: 0,
        match_: Match::any(),
    }
}

fn flows_of(answers: Vec<Body>) -> Vec<FlowStats> {
    let last = answers.len().saturating_sub(1);
    let mut flows = Vec::new();
    for (index, answer) in answers.into_iter().enumerate() {
        let Body::MultipartReply(reply) = answer else {
            panic!("{answer:?}")
        };
        assert_eq!(reply.more(), index != last, "part {index}");
        let MultipartReplyBody::Flow(part) = reply.body else {
            panic!("not flows")
        };
        flows.extend(part);
    }
    flows
}

#[test]
fn echo_returns_its_data() {
    let (mut bridge, conn) = Bridge::plain();
    assert_eq!(
        bridge.ask_one(conn, Body::EchoRequest(vec![1, 2, 3])),
        Body::EchoReply(vec![1, 2, 3])
    );
}

#[test]
fn features_and_description() {
    let (mut bridge, conn) = Bridge::plain();
    let Body::FeaturesReply(features) = bridge.ask_one(conn, Body::FeaturesRequest) else {
        panic!()
    };
    assert_eq!(features.datapath_id, 0x1234);
    assert_eq!(
        (features.n_buffers, features.n_tables, features.auxiliary_id),
        (0, 254, 0)
    );
    assert_eq!(features.capabilities, 0x4f);
    let Body::MultipartReply(reply) = bridge.ask_one(conn, multipart(MultipartRequestBody::Desc))
    else {
        panic!()
    };
    let MultipartReplyBody::Desc(desc) = reply.body else {
        panic!()
    };
    assert_eq!(
        (&*desc.mfr_desc, &*desc.hw_desc, &*desc.dp_desc),
        ("Weft", "weft-datapath", "br0")
    );
}

#[test]
fn switch_configuration() {
    let (mut bridge, conn) = Bridge::plain();
    let config = |flags, miss_send_len| SwitchConfig {
        flags,
        miss_send_len,
    };
    assert_eq!(
        bridge.ask_one(conn, Body::GetConfigRequest),
        Body::GetConfigReply(config(0, 128))
    );
    bridge.tell(conn, Body::SetConfig(config(1, 65535)));
    assert_eq!(
        bridge.ask_one(conn, Body::GetConfigRequest),
        Body::GetConfigReply(config(1, 65535))
    );
    bridge.fails(
        conn,
        Body::SetConfig(config(2, 0)),
        ErrorCode::SwitchConfigFailedBadFlags,
    );
    bridge.fails(
        conn,
        Body::SetConfig(config(0x10, 0)),
        ErrorCode::SwitchConfigFailedBadFlags,
    );
    // The length is each connection's own; a tool's starts at zero.
    let tool = bridge.connect(ConnectionKind::Management);
    assert_eq!(
        bridge.ask_one(tool, Body::GetConfigRequest),
        Body::GetConfigReply(config(1, 0))
    );
}

#[test]
fn what_only_switches_send_is_refused() {
    let (mut bridge, conn) = Bridge::plain();
    for body in [
        Body::BarrierReply,
        Body::GetConfigReply(SwitchConfig {
            flags: 0,
            miss_send_len: 0,
        }),
    ] {
        bridge.fails(conn, body, ErrorCode::BadRequestBadType);
    }
}

#[test]
fn a_decoding_error_is_answered_with_its_xid() {
    let (mut bridge, conn) = Bridge::plain();
    let bytes = [4, 99, 0, 8, 0, 0, 0, 77];
    let error = weft_openflow::decode_request(&bytes).unwrap_err();
    bridge
        .agent
        .handle_decode_error(conn, &error, &mut bridge.log);
    let message = bridge
        .log
        .messages
        .get_mut(&conn)
        .and_then(|queue| queue.pop_front())
        .unwrap();
    assert_eq!(message.xid, 77);
    let Body::Error(error) = message.body else {
        panic!()
    };
    assert_eq!(error.error_code(), Some(ErrorCode::BadRequestBadType));
    assert_eq!(error.data, bytes);
}

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
            broken(|t| t.config = 1),
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
fn port_mod_changes_what_it_may() {
    let (mut bridge, conn) = Bridge::plain();
    let request = |port_no, config, mask| PortMod {
        port_no,
        hw_addr: mac(1),
        config,
        mask,
        advertise: 0,
    };
    let xid = bridge.send(
        conn,
        Body::PortMod(request(1, port_config::PORT_DOWN, port_config::PORT_DOWN)),
    );
    let Some(Message {
        xid: 0,
        body: Body::PortStatus(status),
    }) = bridge
        .log
        .messages
        .get_mut(&conn)
        .and_then(|queue| queue.pop_front())
    else {
        panic!("no port status for {xid}")
    };
    assert_eq!(status.desc.config, port_config::PORT_DOWN);
    assert_eq!(status.desc.state, 0, "not live");
    assert_eq!(
        bridge.log.port_configs,
        [(1, port_config::PORT_DOWN, port_config::PORT_DOWN)]
    );
    // Once more changes nothing, and nobody is told.
    bridge.tell(
        conn,
        Body::PortMod(request(1, port_config::PORT_DOWN, port_config::PORT_DOWN)),
    );
    assert_eq!(bridge.log.port_configs.len(), 1);

    bridge.fails(
        conn,
        Body::PortMod(request(9, 0, 0)),
        ErrorCode::PortModFailedBadPort,
    );
    bridge.fails(
        conn,
        Body::PortMod(request(2, 0, 0)),
        ErrorCode::PortModFailedBadHwAddr,
    );
    bridge.fails(
        conn,
        Body::PortMod(request(1, 0, 1 << 20)),
        ErrorCode::PortModFailedBadConfig,
    );
    let advertise = PortMod {
        advertise: 1,
        ..request(1, 0, 0)
    };
    bridge.fails(
        conn,
        Body::PortMod(advertise),
        ErrorCode::PortModFailedBadAdvertise,
    );
}

#[test]
fn packet_out_goes_where_it_is_sent() {
    let (mut bridge, conn) = Bridge::plain();
    bridge.tell(
        conn,
        packet_out(port_no::CONTROLLER, vec![Action::output(2)], frame(1, 2)),
    );
    assert_eq!(bridge.log.frames, [(2, frame(1, 2))]);
    bridge.log.frames.clear();
    bridge.tell(
        conn,
        packet_out(1, vec![Action::output(port_no::ALL)], frame(1, 2)),
    );
    assert_eq!(
        bridge
            .log
            .frames
            .iter()
            .map(|(port, _)| *port)
            .collect::<Vec<_>>(),
        [2, 3]
    );
    bridge.log.frames.clear();
    bridge.tell(conn, Body::FlowMod(flow(0, 1, vec![Action::output(3)])));
    bridge.tell(
        conn,
        packet_out(1, vec![Action::output(port_no::TABLE)], frame(1, 2)),
    );
    assert_eq!(bridge.log.frames, [(3, frame(1, 2))]);
}

#[test]
fn packet_out_is_checked() {
    let (mut bridge, conn) = Bridge::plain();
    let out = vec![Action::output(2)];
    bridge.fails(
        conn,
        packet_out(port_no::FLOOD, out.clone(), frame(1, 2)),
        ErrorCode::BadRequestBadPort,
    );
    bridge.fails(
        conn,
        packet_out(1, out.clone(), vec![1, 2, 3]),
        ErrorCode::BadRequestBadPacket,
    );
    let Body::PacketOut(mut buffered) = packet_out(1, out, vec![]) else {
        panic!()
    };
    buffered.buffer_id = 7;
    bridge.fails(
        conn,
        Body::PacketOut(buffered),
        ErrorCode::BadRequestBufferUnknown,
    );
    assert_eq!(bridge.log.frames, []);
}

#[test]
fn a_flow_mod_for_a_buffered_packet_changes_nothing() {
    let (mut bridge, conn) = Bridge::plain();
    let buffered = FlowMod {
        buffer_id: 1,
        ..flow(0, 1, to_controller())
    };
    bridge.fails(
        conn,
        Body::FlowMod(buffered),
        ErrorCode::BadRequestBufferUnknown,
    );
    assert_eq!(bridge.agent.flow_count(), 0);
}

#[test]
fn table_mod_knows_no_configuration() {
    let (mut bridge, conn) = Bridge::plain();
    bridge.tell(
        conn,
        Body::TableMod(TableMod {
            table_id: 0,
            config: 0,
        }),
    );
    bridge.fails(
        conn,
        Body::TableMod(TableMod {
            table_id: 0,
            config: 0xff00,
        }),
        ErrorCode::TableModFailedBadConfig,
    );
}

#[test]
fn experimenters_that_are_not_known() {
    let (mut bridge, conn) = Bridge::plain();
    let unknown = weft_openflow::Experimenter {
        experimenter: 0xdead,
        exp_type: 1,
        data: vec![0; 8],
    };
    bridge.fails(
        conn,
        Body::Experimenter(unknown),
        ErrorCode::BadRequestBadExperimenter,
    );
    use weft_openflow::{NxMessage, PacketInFormat};
    let format = |format| Body::Nicira(NxMessage::SetPacketInFormat { format });
    bridge.tell(conn, format(PacketInFormat::Standard));
    bridge.fails(
        conn,
        format(PacketInFormat::Nxt2),
        ErrorCode::BadRequestBadExpType,
    );
}

#[test]
fn a_bridge_alone_forwards_as_normal_and_one_with_controllers_is_empty() {
    // (fail mode, controllers, flows at the start)
    let table = [
        (FailMode::Standalone, 0, 1),
        (FailMode::Standalone, 1, 0),
        (FailMode::Secure, 0, 0),
        (FailMode::Secure, 1, 0),
    ];
    for (fail_mode, controllers, flows) in table {
        let bridge = Bridge::new(BridgeConfig {
            fail_mode,
            controllers,
            ..BridgeConfig::new("br0", 1)
        });
        assert_eq!(
            bridge.agent.flow_count(),
            flows,
            "{fail_mode:?} with {controllers} controllers"
        );
    }
}

#[test]
fn gaining_the_first_controller_empties_the_tables() {
    let mut bridge = Bridge::new(BridgeConfig::new("br0", 1));
    assert_eq!(bridge.agent.flow_count(), 1);
    let with = BridgeConfig {
        controllers: 1,
        ..BridgeConfig::new("br0", 1)
    };
    bridge.agent.configure(with, 0, &mut bridge.log);
    assert_eq!(bridge.agent.flow_count(), 0);
    bridge
        .agent
        .configure(BridgeConfig::new("br0", 1), 0, &mut bridge.log);
    assert_eq!(bridge.agent.flow_count(), 1);
}

#[test]
fn a_standalone_bridge_forwards_while_no_controller_can_be_reached() {
    let (mut bridge, conn) = Bridge::plain();
    bridge.agent.connection_closed(conn, &mut bridge.log);
    bridge
        .agent
        .controllers_unreachable(true, 0, &mut bridge.log);
    assert_eq!(bridge.agent.flow_count(), 1);
    bridge.connect(ConnectionKind::Controller);
    assert_eq!(bridge.agent.flow_count(), 0);
    let secure = BridgeConfig {
        fail_mode: FailMode::Secure,
        ..bridge.agent.config().clone()
    };
    bridge.agent.configure(secure, 0, &mut bridge.log);
    bridge
        .agent
        .controllers_unreachable(true, 0, &mut bridge.log);
    assert_eq!(bridge.agent.flow_count(), 0);
}

#[test]
fn normal_learns_by_itself_without_a_program() {
    let mut bridge = Bridge::new(BridgeConfig {
        learning: true,
        ..BridgeConfig::new("br0", 1)
    });
    for number in 1..=3 {
        bridge.add_port(number);
    }
    let ports = |bridge: &mut Bridge| {
        let mut ports: Vec<u32> = std::mem::take(&mut bridge.log.frames)
            .into_iter()
            .map(|f| f.0)
            .collect();
        ports.sort_unstable();
        ports
    };
    bridge.packet(1, &frame(1, 2));
    assert_eq!(ports(&mut bridge), [2, 3]);
    bridge.packet(2, &frame(2, 1));
    assert_eq!(ports(&mut bridge), [1]);
    bridge.packet(1, &frame(1, 2));
    assert_eq!(ports(&mut bridge), [2]);
    // Users see their tables only, cannot break NORMAL, but can look at it.
    let tool = bridge.connect(ConnectionKind::Management);
    bridge.tell(
        tool,
        Body::FlowMod(FlowMod::new(FlowModCommand::Delete, table_no::ALL)),
    );
    let dump = |table_id| multipart(MultipartRequestBody::Flow(all_flows(table_id)));
    assert_eq!(flows_of(bridge.ask(tool, dump(table_no::ALL))), []);
    assert_eq!(flows_of(bridge.ask(tool, dump(253))).len(), 3);
    bridge.tell(
        tool,
        Body::FlowMod(flow(0, 1, vec![Action::output(port_no::NORMAL)])),
    );
    bridge.packet(1, &frame(1, 2));
    assert_eq!(ports(&mut bridge), [2]);
}
