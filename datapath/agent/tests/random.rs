//! Random requests from several connections: none brings the agent down, and each that asks for something is answered.

mod common;

use common::{Bridge, SECOND, frame};
use proptest::prelude::*;
use weft_agent::ConnectionKind;
use weft_openflow::{
    Action, AsyncConfig, Body, Bucket, BundleAdd, BundleControl, BundleControlType, FlowMod,
    FlowModCommand, FlowStatsRequest, GroupMod, GroupModCommand, GroupStatsRequest, GroupType,
    Instruction, Match, Message, MeterBand, MeterMod, MeterModCommand, MeterMultipartRequest,
    MultipartRequest, MultipartRequestBody, OFP_NO_BUFFER, OxmField, PortMod, PortStatsRequest,
    QueueStatsRequest, RoleMessage, SwitchConfig, TableMod,
};

fn small_or_reserved() -> impl Strategy<Value = u32> {
    prop_oneof![4 => 0..5u32, 1 => 0xffff_fff0u32..=u32::MAX, 1 => any::<u32>()]
}

fn table() -> impl Strategy<Value = u8> {
    prop_oneof![4 => 0..4u8, 2 => 62..66u8, 1 => any::<u8>()]
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        4 => (small_or_reserved(), any::<u16>()).prop_map(|(port, max_len)| Action::Output { port, max_len }),
        1 => small_or_reserved().prop_map(|group_id| Action::Group { group_id }),
        1 => Just(Action::PushVlan { ethertype: 0x8100 }),
        1 => Just(Action::PopVlan),
        1 => Just(Action::DecNwTtl),
        1 => any::<u16>().prop_map(|ethertype| Action::PushMpls { ethertype }),
        1 => any::<u32>().prop_map(|queue_id| Action::SetQueue { queue_id }),
    ]
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    prop::collection::vec(action(), 0..4)
}

fn instruction() -> impl Strategy<Value = Instruction> {
    prop_oneof![
        table().prop_map(|table_id| Instruction::GotoTable { table_id }),
        actions().prop_map(|actions| Instruction::ApplyActions { actions }),
        actions().prop_map(|actions| Instruction::WriteActions { actions }),
        Just(Instruction::ClearActions),
        any::<(u64, u64)>().prop_map(|(metadata, metadata_mask)| Instruction::WriteMetadata {
            metadata,
            metadata_mask
        }),
        small_or_reserved().prop_map(|meter_id| Instruction::Meter { meter_id }),
    ]
}

fn matching() -> impl Strategy<Value = Match> {
    prop_oneof![
        Just(Match::any()),
        (1..4u32).prop_map(|port| Match::any().with(OxmField::InPort, port)),
        (0..9u32).prop_map(|mac| Match::any().with(OxmField::EthDst, mac)),
        any::<u16>().prop_map(|kind| Match::any()
            .with(OxmField::EthType, kind)
            .with(OxmField::IpProto, 6u8)),
    ]
}

fn flow_mod() -> impl Strategy<Value = Body> {
    let ids = (0..6u8, table(), 0..4u16, 0..64u16);
    let times = (0..3u16, 0..3u16);
    let rest = (
        matching(),
        prop::collection::vec(instruction(), 0..3),
        any::<bool>(),
        small_or_reserved(),
    );
    (ids, times, rest).prop_map(|(ids, times, rest)| {
        let (command, table_id, priority, flags) = ids;
        let (match_, instructions, buffered, out_port) = rest;
        Body::FlowMod(FlowMod {
            priority,
            flags,
            idle_timeout: times.0,
            hard_timeout: times.1,
            buffer_id: if buffered {
                OFP_NO_BUFFER
            } else {
                OFP_NO_BUFFER - u32::from(flags == 0)
            },
            out_port,
            match_,
            instructions,
            ..FlowMod::new(FlowModCommand::from(command), table_id)
        })
    })
}

fn group_mod() -> impl Strategy<Value = Body> {
    let bucket = (
        any::<u16>(),
        small_or_reserved(),
        small_or_reserved(),
        actions(),
    )
        .prop_map(|(weight, watch_port, watch_group, actions)| Bucket {
            weight,
            watch_port,
            watch_group,
            actions,
        });
    (
        0..4u16,
        0..5u8,
        small_or_reserved(),
        prop::collection::vec(bucket, 0..3),
    )
        .prop_map(|(command, kind, group_id, buckets)| {
            let (command, group_type) = (GroupModCommand::from(command), GroupType::from(kind));
            Body::GroupMod(GroupMod {
                command,
                group_type,
                group_id,
                buckets,
            })
        })
}

fn multipart() -> impl Strategy<Value = Body> {
    use MultipartRequestBody as Request;
    let flows = (
        table(),
        small_or_reserved(),
        small_or_reserved(),
        matching(),
    )
        .prop_map(|(table_id, out_port, out_group, match_)| FlowStatsRequest {
            table_id,
            out_port,
            out_group,
            cookie: 0,
            cookie_mask: 0,
            match_,
        });
    let flows = flows.boxed();
    let body = prop_oneof![
        Just(Request::Desc),
        flows.clone().prop_map(Request::Flow),
        flows.prop_map(Request::Aggregate),
        Just(Request::Table),
        small_or_reserved().prop_map(|port_no| Request::PortStats(PortStatsRequest { port_no })),
        (small_or_reserved(), small_or_reserved()).prop_map(|(port_no, queue_id)| Request::Queue(
            QueueStatsRequest { port_no, queue_id }
        )),
        small_or_reserved().prop_map(|group_id| Request::Group(GroupStatsRequest { group_id })),
        Just(Request::GroupDesc),
        Just(Request::GroupFeatures),
        small_or_reserved().prop_map(|meter_id| Request::Meter(MeterMultipartRequest { meter_id })),
        small_or_reserved()
            .prop_map(|meter_id| Request::MeterConfig(MeterMultipartRequest { meter_id })),
        Just(Request::MeterFeatures),
        Just(Request::TableFeatures(vec![])),
        Just(Request::PortDesc),
        (15..99u16).prop_map(|code| Request::Unknown { code, data: vec![] }),
    ];
    body.prop_map(|body| Body::MultipartRequest(MultipartRequest::new(body)))
}

fn change() -> impl Strategy<Value = Body> {
    let band =
        (1..9u32, 0..9u32).prop_map(|(rate, burst_size)| MeterBand::Drop { rate, burst_size });
    let meter = (
        0..4u16,
        0..16u16,
        small_or_reserved(),
        prop::collection::vec(band, 0..3),
    )
        .prop_map(|(command, flags, meter_id, bands)| {
            Body::MeterMod(MeterMod {
                command: MeterModCommand::from(command),
                flags,
                meter_id,
                bands,
            })
        });
    let port = (1..5u32, any::<u8>(), any::<u8>()).prop_map(|(port_no, config, mask)| {
        let (config, mask) = (u32::from(config), u32::from(mask));
        Body::PortMod(PortMod {
            port_no,
            hw_addr: common::mac(port_no),
            config,
            mask,
            advertise: 0,
        })
    });
    let packet_out =
        (small_or_reserved(), actions(), 0..2usize).prop_map(|(in_port, actions, whole)| {
            common::packet_out(in_port, actions, frame(1, 2)[..60 * whole].to_vec())
        });
    prop_oneof![
        6 => flow_mod(),
        2 => group_mod(),
        1 => meter,
        1 => port,
        2 => packet_out,
        1 => (table(), 0..5u32).prop_map(|(table_id, config)| Body::TableMod(TableMod { table_id, config })),
    ]
}

fn request() -> impl Strategy<Value = Body> {
    let role = (0..5u32, 0..9u64).prop_map(|(role, generation_id)| {
        Body::RoleRequest(RoleMessage {
            role: role.into(),
            generation_id,
        })
    });
    let set_async =
        any::<[[u32; 2]; 3]>().prop_map(|[packet_in_mask, port_status_mask, flow_removed_mask]| {
            Body::SetAsync(AsyncConfig {
                packet_in_mask,
                port_status_mask,
                flow_removed_mask,
            })
        });
    let control = (0..3u32, 0..9u16, 0..5u16).prop_map(|(bundle_id, kind, flags)| {
        let control_type = BundleControlType::from(kind);
        Body::BundleControl(BundleControl {
            bundle_id,
            control_type,
            flags,
            properties: vec![],
        })
    });
    let add = (0..3u32, 0..4u16, change()).prop_map(|(bundle_id, flags, body)| {
        let message = Box::new(Message { xid: 0, body });
        Body::BundleAdd(BundleAdd {
            bundle_id,
            flags,
            message,
            properties: vec![],
        })
    });
    prop_oneof![
        8 => change(),
        3 => multipart(),
        1 => role,
        1 => set_async,
        2 => control,
        3 => add,
        1 => Just(Body::BarrierRequest),
        1 => Just(Body::FeaturesRequest),
        1 => Just(Body::GetConfigRequest),
        1 => Just(Body::GetAsyncRequest),
        1 => any::<(u16, u16)>().prop_map(|(flags, miss_send_len)| {
            Body::SetConfig(SwitchConfig { flags: flags % 4, miss_send_len })
        }),
        1 => small_or_reserved().prop_map(|port| Body::QueueGetConfigRequest { port }),
    ]
}

#[derive(Clone, Debug)]
enum Step {
    Request(usize, Box<Body>),
    Packet(u32, u32),
    Time(u64),
    Reconnect(usize),
    Port(u32, bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0..4usize, request()).prop_map(|(conn, body)| Step::Request(conn, Box::new(body))),
        3 => (1..5u32, 0..9u32).prop_map(|(port, to)| Step::Packet(port, to)),
        1 => (0..3 * SECOND).prop_map(Step::Time),
        1 => (0..4usize).prop_map(Step::Reconnect),
        1 => (1..5u32, any::<bool>()).prop_map(|(port, there)| Step::Port(port, there)),
    ]
}

/// Whether a request is answered even when it succeeds.
fn has_reply(body: &Body) -> bool {
    matches!(
        body,
        Body::BarrierRequest
            | Body::FeaturesRequest
            | Body::GetConfigRequest
            | Body::GetAsyncRequest
            | Body::MultipartRequest(_)
            | Body::RoleRequest(_)
            | Body::BundleControl(_)
            | Body::QueueGetConfigRequest { .. }
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn every_request_is_answered(steps in prop::collection::vec(step(), 1..80)) {
        let mut bridge = Bridge::with_program();
        let kinds = [
            ConnectionKind::Controller,
            ConnectionKind::Controller,
            ConnectionKind::Management,
            ConnectionKind::Program,
        ];
        let mut conns = kinds.map(|kind| bridge.connect(kind));
        for step in steps {
            match step {
                Step::Request(index, body) => {
                    // A message in a bundle needs the xid that it will be sent with: that after a barrier's.
                    let xid = bridge.send(conns[index], Body::BarrierRequest) + 1;
                    let body = match *body {
                        Body::BundleAdd(mut add) => {
                            add.message.xid = xid;
                            Body::BundleAdd(add)
                        }
                        body => body,
                    };
                    let expects_reply = has_reply(&body);
                    bridge.received(conns[index]);
                    let answers = bridge.ask(conns[index], body.clone());
                    let errors = answers.iter().filter(|answer| matches!(answer, Body::Error(_))).count();
                    prop_assert!(errors <= 1, "{:?}: {:?}", body, answers);
                    if expects_reply {
                        prop_assert!(!answers.is_empty(), "{:?} is not answered", body);
                    } else {
                        prop_assert_eq!(answers.len(), errors, "{:?}", body);
                    }
                }
                Step::Packet(port, to) => bridge.packet(port, &frame(port, to)),
                Step::Time(ns) => bridge.advance(ns),
                Step::Reconnect(index) => {
                    bridge.agent.connection_closed(conns[index], bridge.now, &mut bridge.log);
                    conns[index] = bridge.connect(kinds[index]);
                }
                Step::Port(port, true) => bridge.add_port(port),
                Step::Port(port, false) => bridge.agent.port_removed(port, bridge.now, &mut bridge.log),
            }
        }
    }
}
