//! Each request of one message, and what is answered.

mod common;

use common::{Bridge, flow, frame, mac, multipart, packet_out, to_controller};
use weft_agent::ConnectionKind;
use weft_openflow::{
    Action, Body, ErrorCode, FlowMod, Message, MultipartReplyBody, MultipartRequestBody, PortMod,
    SwitchConfig, TableMod, port_config, port_no,
};

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
