//! Nanoseconds per packet and per flow-mod: `cargo bench -p weft-pipeline`.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;
use std::time::Instant;
use weft_frame::{Packet, parse};
use weft_openflow::{Action, FlowMod, FlowModCommand, Instruction, Match, OxmField, table_no};
use weft_pipeline::{Config, FlowCursor, FlowFilter, Owner, PacketIn, Pipeline, PortState, Sink};

struct Count(u64);

impl Sink for Count {
    fn output(&mut self, port_no: u32, _: Option<u32>, packet: &mut Packet) {
        self.0 += u64::from(port_no) + packet.len() as u64;
    }
    fn packet_in(&mut self, _: &mut Packet, _: &PacketIn) {}
}

fn frame(source: u32) -> Vec<u8> {
    let mut frame = vec![
        2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17, 0, 0,
    ];
    frame.extend(source.to_be_bytes());
    frame.extend([10, 0, 0, 2, 0, 9, 0, 9, 0, 26, 0, 0]);
    frame.resize(60, 0);
    frame
}

fn flow(table: u8, matching: Match, instructions: Vec<Instruction>) -> FlowMod {
    let mut request = FlowMod::new(FlowModCommand::Add, table);
    (request.match_, request.instructions) = (matching, instructions);
    request
}

/// The tables of a VLAN bridge with learned addresses, access port to access port.
fn vlan_bridge() -> Pipeline {
    let mut bridge = Pipeline::new(Config::default());
    for port in 1..=4 {
        bridge.set_port(
            port,
            PortState {
                config: 0,
                live: true,
            },
        );
    }
    let apply = |actions| Instruction::ApplyActions { actions };
    let goto = |table_id| Instruction::GotoTable { table_id };
    let vid = weft_openflow::OxmTlv::new(OxmField::VlanVid, 0x100a);
    let tag = vec![
        Action::PushVlan { ethertype: 0x8100 },
        Action::SetField { field: vid },
    ];
    let tagged = || Match::any().with(OxmField::VlanVid, 0x100au16);
    let requests = [
        flow(0, Match::any().with(OxmField::InPort, 1u8), vec![goto(1)]),
        flow(
            1,
            Match::any().with(OxmField::InPort, 1u8),
            vec![apply(tag), goto(2)],
        ),
        flow(
            2,
            tagged().with(OxmField::EthSrc, 0x0200_0000_0001u64),
            vec![goto(3)],
        ),
        flow(
            3,
            tagged().with(OxmField::EthDst, 0x0200_0000_0002u64),
            vec![goto(4)],
        ),
        flow(
            4,
            tagged(),
            vec![apply(vec![Action::PopVlan, Action::output(2)])],
        ),
    ];
    for request in requests {
        bridge.flow_mod(Owner::Program, &request, 0).unwrap();
    }
    bridge
}

fn report(what: &str, count: u64, work: impl FnOnce()) {
    let start = Instant::now();
    work();
    let elapsed = start.elapsed();
    println!(
        "{what:<44} {:>8.1} ns",
        elapsed.as_nanos() as f64 / count as f64
    );
}

fn main() {
    const PACKETS: u64 = 3_000_000;
    let mut sink = Count(0);
    let bytes = frame(1);
    report("parse a 60-byte UDP frame", PACKETS, || {
        for _ in 0..PACKETS {
            black_box(parse(black_box(&bytes), 1));
        }
    });
    let mut bridge = vlan_bridge();
    let mut packet = Packet::from_frame(&bytes);
    report("cached, VLAN bridge, access to access", PACKETS, || {
        for now in 0..PACKETS {
            bridge.process(black_box(&mut packet), 1, now, &mut sink);
        }
    });
    report("walked, the same", PACKETS / 10, || {
        for now in 0..PACKETS / 10 {
            bridge.process_uncached(black_box(&mut packet), 1, now, &mut sink);
        }
    });
    let matching = |i: u32| {
        Match::any()
            .with(OxmField::EthType, 0x0800u16)
            .with(OxmField::Ipv4Src, i)
    };
    let to = || {
        vec![Instruction::ApplyActions {
            actions: vec![Action::output(2)],
        }]
    };
    for count in [1_000u32, 100_000, 1_000_000] {
        let mut bridge = vlan_bridge();
        report(&format!("add each of {count} flows"), count.into(), || {
            for i in 0..count {
                let request = FlowMod {
                    priority: 0x9000,
                    ..flow(0, matching(i), to())
                };
                bridge.flow_mod(Owner::User, &request, 0).unwrap();
            }
        });
        let mut packets: Vec<Packet> = (0..10_000)
            .map(|i| Packet::from_frame(&frame(i % count)))
            .collect();
        report("  first packets", 10_000, || {
            for packet in &mut packets {
                bridge.process(packet, 1, 0, &mut sink);
            }
        });
        report("  cached, 10,000 translations", PACKETS, || {
            for i in 0..PACKETS as usize {
                bridge.process(&mut packets[i % 10_000], 1, 0, &mut sink);
            }
        });
        report("  dump, per flow", count.into(), || {
            let mut cursor = FlowCursor::default();
            let show = |view: &weft_pipeline::FlowView<'_>| {
                black_box(view.stats());
            };
            bridge
                .flows(&FlowFilter::all(), &mut cursor, usize::MAX, 0, show)
                .unwrap();
        });
        if let Ok(status) = std::fs::read_to_string("/proc/self/status") {
            let rss = status
                .lines()
                .find(|line| line.starts_with("VmRSS"))
                .unwrap_or("");
            println!("  {rss}");
        }
        report("  delete, per flow", count.into(), || {
            let delete = FlowMod::new(FlowModCommand::Delete, table_no::ALL);
            bridge.flow_mod(Owner::Program, &delete, 0).unwrap();
        });
    }
    black_box(sink.0);
}
