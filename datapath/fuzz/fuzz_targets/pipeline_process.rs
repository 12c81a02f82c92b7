//! Any requests, then any frame: no panic; and the second packet of a flow, which the cache serves, leaves the switch as
//! the first one did. What observers report is as large as a message may be, and can be read.
//!
//! Input: OpenFlow messages one after the other; what follows the last is the frame.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weft_frame::Packet;
use weft_openflow::{
    Body, Frame, Message, MeterMod, WeftMessage, decode, decode_request, encode, next_frame,
};
use weft_pipeline::{Config, Owner, PacketIn, Pipeline, PortState, Sink};

/// What left the switch: port (or 0 for a packet-in) and bytes.
#[derive(Default, PartialEq, Debug)]
struct Log(Vec<(u32, Option<u32>, Vec<u8>)>);

impl Sink for Log {
    fn output(&mut self, port_no: u32, queue_id: Option<u32>, packet: &mut Packet) {
        self.0.push((port_no, queue_id, packet.bytes().to_vec()));
    }
    fn packet_in(&mut self, packet: &mut Packet, _: &PacketIn) {
        self.0.push((0, None, packet.bytes().to_vec()));
    }
}

/// Nicira's vendor number and the subtype of `learn`.
const LEARN: [u8; 6] = [0, 0, 0x23, 0x20, 0, 16];

const PORTS: [u32; 4] = [1, 2, 3, weft_openflow::port_no::LOCAL];

fn apply(pipeline: &mut Pipeline, message: &Message, metered: &mut bool) {
    let mut log = Log::default();
    match &message.body {
        Body::FlowMod(request) => drop(pipeline.flow_mod(Owner::User, request, 0)),
        Body::GroupMod(request) => drop(pipeline.group_mod(Owner::User, request, 0)),
        Body::MeterMod(request @ MeterMod { .. }) => {
            // Meters let the first packets through and the next not: nothing to compare then.
            *metered = true;
            drop(pipeline.meter_mod(Owner::User, request, 0));
        }
        Body::Weft(WeftMessage::ObserverMod(request)) => {
            drop(pipeline.observer_mod(Owner::User, request, 0));
        }
        Body::Weft(WeftMessage::ObserverFlush(request)) => {
            drop(pipeline.observer_flush(Owner::User, request.observer_id, request.port, 0));
        }
        Body::PacketOut(request) => {
            let mut packet = Packet::from_frame(&request.data);
            drop(pipeline.packet_out(
                Owner::User,
                &mut packet,
                request.in_port,
                &request.actions,
                0,
                &mut log,
            ));
        }
        _ => {}
    }
}

fuzz_target!(|bytes: &[u8]| {
    let mut pipeline = Pipeline::new(Config {
        program_table: None,
        max_flows: 100,
        ..Config::default()
    });
    for port_no in PORTS {
        pipeline.set_port(
            port_no,
            PortState {
                config: 0,
                live: true,
            },
        );
    }
    let mut metered = false;
    // A frame that teaches a flow changes what becomes of the next one.
    let learns = bytes.windows(LEARN.len()).any(|window| window == LEARN);
    let mut rest = bytes;
    while let Frame::Whole(length) = next_frame(rest) {
        let (message, tail) = rest.split_at(length);
        match decode_request(message) {
            Ok(message) => apply(&mut pipeline, &message, &mut metered),
            Err(_) => break,
        }
        rest = tail;
    }

    let run = |pipeline: &mut Pipeline| {
        let mut log = Log::default();
        let mut packet = Packet::from_frame(rest);
        pipeline.process(&mut packet, 1, 0, &mut log);
        log
    };
    let first = run(&mut pipeline);
    let second = run(&mut pipeline);
    if !metered && !learns {
        assert_eq!(first, second, "from the tables, and from the cache");
    }
    let (later, heard) = (10_000_000_000, |_| true);
    let reports = pipeline.observer_reports(later, heard);
    let last = pipeline.flush_observers(weft_openflow::port_no::ANY, later);
    for (_, report) in reports.into_iter().chain(last) {
        let message = Message::new(1, Body::Weft(report));
        let mut written = Vec::new();
        encode(&message, &mut written).expect("a report fits in a message");
        assert_eq!(decode(&written).expect("can be read"), message);
    }
    let _ = pipeline.expire(later);
    let _ = pipeline.take_removed();
    let _ = pipeline.trace(rest, 1, 0);
});
