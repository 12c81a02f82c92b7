//! A bridge of four ports and what leaves it.
#![allow(dead_code, clippy::unwrap_used)]

#[path = "../../../frame/tests/common/mod.rs"]
pub mod frames;

use weft_frame::Packet;
use weft_openflow::{
    Action, Bucket, FlowMod, FlowModCommand, GroupMod, GroupModCommand, GroupType, Instruction,
    Match, OxmField, OxmTlv, group_no, port_no,
};
use weft_pipeline::{Config, Owner, PacketIn, Pipeline, PortState, Sink};

pub const SECOND: u64 = 1_000_000_000;

/// What left, in order.
#[derive(Debug, Default, PartialEq)]
pub struct Recorder {
    pub outputs: Vec<(u32, Vec<u8>)>,
    pub packet_ins: Vec<(PacketIn, Vec<u8>)>,
    pub queues: Vec<Option<u32>>,
}

impl Sink for Recorder {
    fn output(&mut self, port_no: u32, queue_id: Option<u32>, packet: &mut Packet) {
        self.outputs.push((port_no, packet.bytes().to_vec()));
        self.queues.push(queue_id);
    }

    fn packet_in(&mut self, packet: &mut Packet, info: &PacketIn) {
        self.packet_ins
            .push((info.clone(), packet.bytes().to_vec()));
    }
}

impl Recorder {
    pub fn ports(&self) -> Vec<u32> {
        let mut ports: Vec<u32> = self.outputs.iter().map(|output| output.0).collect();
        ports.sort_unstable();
        ports
    }
}

/// A pipeline with live ports 1 to 4.
pub fn bridge() -> Pipeline {
    bridge_with(Config::default())
}

pub fn bridge_with(config: Config) -> Pipeline {
    let mut pipeline = Pipeline::new(config);
    for port in 1..=4 {
        pipeline.set_port(
            port,
            PortState {
                config: 0,
                live: true,
            },
        );
    }
    pipeline
}

pub fn flow(table: u8, priority: u16, matching: Match, instructions: Vec<Instruction>) -> FlowMod {
    let mut request = FlowMod::new(FlowModCommand::Add, table);
    request.priority = priority;
    request.match_ = matching;
    request.instructions = instructions;
    request
}

pub fn apply(actions: Vec<Action>) -> Instruction {
    Instruction::ApplyActions { actions }
}

pub fn write(actions: Vec<Action>) -> Instruction {
    Instruction::WriteActions { actions }
}

pub fn goto(table_id: u8) -> Instruction {
    Instruction::GotoTable { table_id }
}

pub fn set(field: OxmField, value: impl Into<u128>) -> Action {
    Action::SetField {
        field: OxmTlv::new(field, value.into()),
    }
}

pub fn add(pipeline: &mut Pipeline, request: FlowMod) {
    pipeline.flow_mod(Owner::Program, &request, 0).unwrap();
}

pub fn group(id: u32, kind: GroupType, buckets: Vec<Bucket>) -> GroupMod {
    GroupMod {
        command: GroupModCommand::Add,
        group_type: kind,
        group_id: id,
        buckets,
    }
}

pub fn bucket(actions: Vec<Action>) -> Bucket {
    Bucket {
        weight: 1,
        watch_port: port_no::ANY,
        watch_group: group_no::ANY,
        actions,
    }
}

/// Sends a frame through the pipeline.
pub fn watching(port: u32, actions: Vec<Action>) -> Bucket {
    Bucket {
        watch_port: port,
        ..bucket(actions)
    }
}

pub fn send(pipeline: &mut Pipeline, in_port: u32, frame: &[u8]) -> Recorder {
    send_at(pipeline, in_port, frame, 0)
}

pub fn send_at(pipeline: &mut Pipeline, in_port: u32, frame: &[u8], now: u64) -> Recorder {
    let mut recorder = Recorder::default();
    pipeline.process(&mut Packet::from_frame(frame), in_port, now, &mut recorder);
    recorder
}

/// A TCP packet over IPv4, checksums right.
pub fn tcp_frame(tags: &[(u16, u16)]) -> Vec<u8> {
    let mut frame = frames::ethernet(
        tags,
        0x0800,
        &frames::ipv4(6, 0, &[], &frames::tcp(b"data")),
    );
    let l3 = 14 + 4 * tags.len();
    frames::finish(&mut frame, l3, l3 + 20, 6);
    frame
}

pub fn ip() -> Match {
    Match::any().with(OxmField::EthType, 0x0800u16)
}

pub fn in_port(port: u32) -> Match {
    Match::any().with(OxmField::InPort, port)
}
