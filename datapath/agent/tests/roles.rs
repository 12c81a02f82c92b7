//! Roles of several controllers, and what each hears (OF 1.3.5 §6.3.4, §6.3.5, §7.3.9, §7.3.10).

mod common;

use common::{Bridge, SECOND, flow, frame, packet_out, port, to_controller};
use weft_agent::{ConnId, ConnectionInfo, ConnectionKind};
use weft_openflow::{
    Action, AsyncConfig, Body, BundleControl, BundleControlType, ErrorCode, FlowModCommand,
    FlowRemovedReason, GroupMod, GroupModCommand, GroupType, MeterMod, MeterModCommand,
    MultipartRequest, MultipartRequestBody, NxAction, NxMessage, PacketInReason, PortMod,
    PortReason, Role, RoleMessage, SwitchConfig, TableMod, flow_mod_flags, table_no,
};

fn role(role: Role, generation_id: u64) -> Body {
    Body::RoleRequest(RoleMessage {
        role,
        generation_id,
    })
}

fn reply(role: Role, generation_id: u64) -> Body {
    Body::RoleReply(RoleMessage {
        role,
        generation_id,
    })
}

#[test]
fn a_new_master_makes_the_old_one_slave() {
    let (mut bridge, one) = Bridge::plain();
    let two = bridge.connect(ConnectionKind::Controller);
    assert_eq!(
        bridge.ask_one(one, role(Role::NoChange, 0)),
        reply(Role::Equal, u64::MAX)
    );
    assert_eq!(
        bridge.ask_one(one, role(Role::Master, 5)),
        reply(Role::Master, 5)
    );
    assert_eq!(
        bridge.ask_one(two, role(Role::Master, 6)),
        reply(Role::Master, 6)
    );
    assert_eq!(
        bridge.ask_one(one, role(Role::NoChange, 0)),
        reply(Role::Slave, 6)
    );
    bridge.fails(
        one,
        role(Role::Master, 5),
        ErrorCode::RoleRequestFailedStale,
    );
    bridge.fails(one, role(Role::Slave, 5), ErrorCode::RoleRequestFailedStale);
    bridge.fails(
        one,
        role(Role::Unknown(9), 7),
        ErrorCode::RoleRequestFailedBadRole,
    );
    assert_eq!(
        bridge.ask_one(two, role(Role::Equal, 0)),
        reply(Role::Equal, 6)
    );
    assert_eq!(
        bridge.ask_one(one, role(Role::NoChange, 0)),
        reply(Role::Slave, 6)
    );
}

#[test]
fn a_slave_may_read_but_not_change() {
    let (mut bridge, conn) = Bridge::plain();
    bridge.ask(conn, role(Role::Slave, 1));
    let Body::MultipartReply(tables) = bridge
        .ask(
            conn,
            Body::MultipartRequest(MultipartRequest::new(MultipartRequestBody::TableFeatures(
                vec![],
            ))),
        )
        .remove(0)
    else {
        panic!()
    };
    let weft_openflow::MultipartReplyBody::TableFeatures(tables) = tables.body else {
        panic!()
    };
    let features = MultipartRequestBody::TableFeatures(tables[..1].to_vec());
    let group_mod = GroupMod {
        command: GroupModCommand::Delete,
        group_type: GroupType::All,
        group_id: 1,
        buckets: vec![],
    };
    let meter_mod = MeterMod {
        command: MeterModCommand::Delete,
        flags: 0,
        meter_id: 1,
        bands: vec![],
    };
    let port_mod = PortMod {
        port_no: 1,
        hw_addr: common::mac(1),
        config: 0,
        mask: 0,
        advertise: 0,
    };
    let open = BundleControl {
        bundle_id: 1,
        control_type: BundleControlType::OpenRequest,
        flags: 0,
        properties: vec![],
    };
    let refused = [
        packet_out(1, vec![Action::output(2)], frame(1, 2)),
        Body::FlowMod(flow(0, 1, vec![])),
        Body::GroupMod(group_mod),
        Body::MeterMod(meter_mod),
        Body::PortMod(port_mod),
        Body::TableMod(TableMod {
            table_id: 0,
            config: 0,
        }),
        Body::MultipartRequest(MultipartRequest::new(features)),
        Body::BundleControl(open),
    ];
    for body in refused {
        bridge.fails(conn, body, ErrorCode::BadRequestIsSlave);
    }
    assert_eq!(
        bridge.ask_one(conn, Body::BarrierRequest),
        Body::BarrierReply
    );
    // Its own miss_send_len it may set, the switch's handling of fragments it may not.
    bridge.tell(
        conn,
        Body::SetConfig(SwitchConfig {
            flags: 1,
            miss_send_len: 77,
        }),
    );
    assert_eq!(
        bridge.ask_one(conn, Body::GetConfigRequest),
        Body::GetConfigReply(SwitchConfig {
            flags: 0,
            miss_send_len: 77
        })
    );
}

/// Raises one of each asynchronous message: a table-miss and an action packet-in, an invalid TTL, the three port
/// changes, and a flow removed by each of delete, hard timeout and idle timeout.
fn raise_everything(bridge: &mut Bridge, by: ConnId) {
    let send_removed = |table_id, idle_timeout, hard_timeout| {
        let mut flow_mod = flow(table_id, 1, vec![]);
        flow_mod.flags = flow_mod_flags::SEND_FLOW_REM;
        (flow_mod.idle_timeout, flow_mod.hard_timeout) = (idle_timeout, hard_timeout);
        Body::FlowMod(flow_mod)
    };
    let mut miss = flow(0, 1, to_controller());
    miss.match_ = weft_openflow::Match::any();
    miss.priority = 0;
    bridge.send(by, Body::FlowMod(miss));
    bridge.packet(3, &frame(1, 2));
    bridge.send(by, Body::FlowMod(flow(0, 1, to_controller())));
    bridge.packet(1, &frame(1, 2));
    let mut routing = flow(0, 2, vec![Action::DecNwTtl, Action::output(3)]);
    routing.match_ = routing
        .match_
        .with(weft_openflow::OxmField::EthType, 0x0800u16);
    bridge.send(by, Body::FlowMod(routing));
    let mut dying = frame(1, 2);
    dying[22] = 1;
    bridge.packet(2, &dying);
    bridge.add_port(7);
    let changed = weft_openflow::Port {
        state: weft_openflow::port_state::LINK_DOWN,
        ..port(7)
    };
    bridge
        .agent
        .port_modified(changed, bridge.now, &mut bridge.log);
    bridge.agent.port_removed(7, bridge.now, &mut bridge.log);
    bridge.send(by, send_removed(10, 0, 0));
    bridge.send(
        by,
        Body::FlowMod(weft_openflow::FlowMod::new(FlowModCommand::Delete, 10)),
    );
    bridge.send(by, send_removed(11, 0, 1));
    bridge.send(by, send_removed(12, 2, 0));
    bridge.advance(SECOND);
    bridge.advance(SECOND);
    bridge.send(
        by,
        Body::FlowMod(weft_openflow::FlowMod::new(
            FlowModCommand::Delete,
            table_no::ALL,
        )),
    );
}

/// What a connection heard: kind and reason, sorted.
fn heard(bridge: &mut Bridge, conn: ConnId) -> Vec<(char, u8)> {
    let mut heard: Vec<_> = bridge
        .received(conn)
        .into_iter()
        .filter_map(|body| match body {
            Body::PacketIn(packet_in) => Some(('i', packet_in.reason.into())),
            Body::PortStatus(status) => Some(('p', status.reason.into())),
            Body::FlowRemoved(removed) => Some(('r', removed.reason.into())),
            Body::Error(error) => panic!("{error:?}"),
            _ => None,
        })
        .collect();
    heard.sort_unstable();
    heard
}

const PORTS: [(char, u8); 3] = [('p', 0), ('p', 1), ('p', 2)];

#[test]
fn by_default_a_slave_hears_of_ports_and_others_of_all_but_bad_ttls() {
    let (mut bridge, master) = Bridge::plain();
    let equal = bridge.connect(ConnectionKind::Controller);
    let slave = bridge.connect(ConnectionKind::Controller);
    let tool = bridge.connect(ConnectionKind::Management);
    bridge.ask(master, role(Role::Master, 1));
    bridge.ask(slave, role(Role::Slave, 1));
    raise_everything(&mut bridge, master);
    let all = [
        &[('i', 0), ('i', 1)][..],
        &PORTS,
        &[('r', 0), ('r', 1), ('r', 2)],
    ]
    .concat();
    assert_eq!(heard(&mut bridge, master), all);
    assert_eq!(heard(&mut bridge, equal), all);
    assert_eq!(heard(&mut bridge, slave), PORTS);
    assert_eq!(heard(&mut bridge, tool), []);
}

#[test]
fn each_role_has_its_own_asynchronous_configuration() {
    let (mut bridge, master) = Bridge::plain();
    let slave = bridge.connect(ConnectionKind::Controller);
    let config = AsyncConfig {
        packet_in_mask: [1 << 2, 1 << 1],
        port_status_mask: [0, 1 << 1],
        flow_removed_mask: [1 << 1, 1 << 2],
    };
    for conn in [master, slave] {
        bridge.tell(conn, Body::SetAsync(config.clone()));
        assert_eq!(
            bridge.ask_one(conn, Body::GetAsyncRequest),
            Body::GetAsyncReply(config.clone())
        );
    }
    bridge.ask(master, role(Role::Master, 1));
    bridge.ask(slave, role(Role::Slave, 1));
    raise_everything(&mut bridge, master);
    assert_eq!(heard(&mut bridge, master), [('i', 2), ('r', 1)]);
    assert_eq!(heard(&mut bridge, slave), [('i', 1), ('p', 1), ('r', 2)]);
}

#[test]
fn a_tool_hears_once_it_has_set_a_length_or_asked() {
    let (mut bridge, controller) = Bridge::plain();
    let monitor = bridge.connect(ConnectionKind::Management);
    let asking = bridge.connect(ConnectionKind::Management);
    bridge.tell(
        monitor,
        Body::SetConfig(SwitchConfig {
            flags: 0,
            miss_send_len: 65535,
        }),
    );
    let config = AsyncConfig {
        packet_in_mask: [2, 0],
        port_status_mask: [0, 0],
        flow_removed_mask: [0, 0],
    };
    bridge.tell(asking, Body::SetAsync(config));
    raise_everything(&mut bridge, controller);
    assert_eq!(heard(&mut bridge, monitor).len(), 8);
    assert_eq!(heard(&mut bridge, asking), [('i', 1)]);
}

#[test]
fn a_packet_in_tells_where_it_comes_from() {
    let (mut bridge, conn) = Bridge::plain();
    let mut flow_mod = flow(0, 1, to_controller());
    flow_mod.cookie = 0xc0ffee;
    bridge.tell(conn, Body::FlowMod(flow_mod));
    bridge.packet(1, &frame(1, 2));
    let [Body::PacketIn(packet_in)] = &bridge.received(conn)[..] else {
        panic!()
    };
    assert_eq!(packet_in.reason, PacketInReason::Action);
    assert_eq!((packet_in.table_id, packet_in.cookie), (0, 0xc0ffee));
    assert_eq!(
        packet_in.match_,
        weft_openflow::Match::any().with(weft_openflow::OxmField::InPort, 1u32)
    );
    assert_eq!(
        (usize::from(packet_in.total_len), &packet_in.data),
        (60, &frame(1, 2))
    );
}

#[test]
fn nothing_is_buffered_so_the_whole_packet_is_sent() {
    let (mut bridge, conn) = Bridge::plain();
    let short = Action::Output {
        port: weft_openflow::port_no::CONTROLLER,
        max_len: 20,
    };
    bridge.tell(conn, Body::FlowMod(flow(0, 1, vec![short])));
    bridge.packet(1, &frame(1, 2));
    let [Body::PacketIn(packet_in)] = &bridge.received(conn)[..] else {
        panic!()
    };
    assert_eq!(
        (packet_in.buffer_id, packet_in.data.len()),
        (weft_openflow::OFP_NO_BUFFER, 60)
    );
}

#[test]
fn a_controller_id_is_for_its_controllers_only() {
    let (mut bridge, one) = Bridge::plain();
    let two = bridge.connect(ConnectionKind::Controller);
    bridge.tell(
        two,
        Body::Nicira(NxMessage::SetControllerId { controller_id: 9 }),
    );
    let to_nine = Action::Nicira(NxAction::Controller {
        max_len: 65535,
        controller_id: 9,
        reason: 1,
    });
    bridge.tell(one, Body::FlowMod(flow(0, 1, vec![to_nine])));
    bridge.packet(1, &frame(1, 2));
    assert_eq!(
        (heard(&mut bridge, one), heard(&mut bridge, two)),
        (vec![], vec![('i', 1)])
    );
}

#[test]
fn a_port_is_announced_when_it_comes_changes_and_goes() {
    let (mut bridge, conn) = Bridge::plain();
    bridge.received(conn);
    bridge.add_port(9);
    bridge.agent.port_modified(port(9), 0, &mut bridge.log);
    bridge.agent.port_removed(9, bridge.now, &mut bridge.log);
    bridge.agent.port_removed(9, bridge.now, &mut bridge.log);
    let reasons: Vec<_> = bridge
        .received(conn)
        .into_iter()
        .map(|body| match body {
            Body::PortStatus(status) => (status.reason, status.desc.port_no),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        reasons,
        [(PortReason::Add, 9), (PortReason::Delete, 9)],
        "what stays equal is not announced"
    );
}

#[test]
fn a_removed_flow_is_described() {
    let (mut bridge, conn) = Bridge::plain();
    let mut flow_mod = flow(4, 1, vec![]);
    flow_mod.flags = flow_mod_flags::SEND_FLOW_REM;
    (
        flow_mod.cookie,
        flow_mod.hard_timeout,
        flow_mod.idle_timeout,
    ) = (3, 2, 9);
    let match_ = flow_mod.match_.clone();
    bridge.tell(conn, Body::FlowMod(flow_mod));
    bridge.advance(2 * SECOND);
    let [Body::FlowRemoved(removed)] = &bridge.received(conn)[..] else {
        panic!()
    };
    assert_eq!(removed.reason, FlowRemovedReason::HardTimeout);
    assert_eq!(
        (removed.table_id, removed.priority, removed.cookie),
        (4, 10, 3)
    );
    assert_eq!(
        (
            removed.idle_timeout,
            removed.hard_timeout,
            removed.duration_sec
        ),
        (9, 2, 2)
    );
    assert_eq!(removed.match_, match_);
}

#[test]
fn auxiliary_connections_share_the_role_and_close_with_the_main_one() {
    let (mut bridge, main) = Bridge::plain();
    let auxiliary = ConnId(77);
    let info = ConnectionInfo {
        auxiliary_id: 3,
        main: Some(main),
        ..ConnectionInfo::new(ConnectionKind::Controller)
    };
    bridge
        .agent
        .connection_opened(auxiliary, info, 0, &mut bridge.log);
    let Body::FeaturesReply(features) = bridge.ask_one(auxiliary, Body::FeaturesRequest) else {
        panic!()
    };
    assert_eq!(features.auxiliary_id, 3);
    bridge.ask(main, role(Role::Slave, 1));
    bridge.fails(
        auxiliary,
        Body::FlowMod(flow(0, 1, vec![])),
        ErrorCode::BadRequestIsSlave,
    );
    bridge
        .agent
        .connection_closed(main, bridge.now, &mut bridge.log);
    assert_eq!(bridge.log.disconnected, [auxiliary]);
}

#[test]
fn the_program_hears_of_its_tables_and_users_of_theirs() {
    let mut bridge = Bridge::with_program();
    let user = bridge.connect(ConnectionKind::Controller);
    let program = bridge.connect(ConnectionKind::Program);
    let normal = vec![Action::output(weft_openflow::port_no::NORMAL)];
    bridge.tell(user, Body::FlowMod(flow(0, 1, normal)));
    bridge.tell(user, Body::FlowMod(flow(0, 2, to_controller())));
    bridge.tell(program, Body::FlowMod(flow(64, 1, to_controller())));
    bridge.packet(1, &frame(1, 2));
    assert_eq!(
        (heard(&mut bridge, user), heard(&mut bridge, program)),
        (vec![], vec![('i', 1)])
    );
    bridge.packet(2, &frame(1, 2));
    assert_eq!(
        (heard(&mut bridge, user), heard(&mut bridge, program)),
        (vec![('i', 1)], vec![])
    );
}

#[test]
fn users_may_not_touch_the_program() {
    let mut bridge = Bridge::with_program();
    let program = bridge.connect(ConnectionKind::Program);
    bridge.tell(program, Body::FlowMod(flow(64, 1, vec![])));
    for kind in [ConnectionKind::Controller, ConnectionKind::Management] {
        let user = bridge.connect(kind);
        bridge.fails(
            user,
            Body::FlowMod(flow(64, 2, vec![])),
            ErrorCode::BadRequestEperm,
        );
        bridge.tell(user, Body::FlowMod(flow(63, 2, vec![])));
        let everything = weft_openflow::FlowMod::new(FlowModCommand::Delete, table_no::ALL);
        bridge.tell(user, Body::FlowMod(everything));
        assert_eq!(bridge.agent.flow_count(), 1, "the program's flow is left");
    }
    let everything = weft_openflow::FlowMod::new(FlowModCommand::Delete, table_no::ALL);
    bridge.tell(program, Body::FlowMod(everything));
    assert_eq!(bridge.agent.flow_count(), 0);
}
