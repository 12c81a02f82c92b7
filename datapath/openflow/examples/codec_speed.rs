//! How fast flow-mods are read and flow statistics written: `cargo run --release -p weft-openflow --example codec_speed`.

use std::hint::black_box;
use std::time::Instant;

use weft_openflow::*;

const FLOWS: u64 = 100_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let match_ = Match::any()
        .with(OxmField::InPort, 3u32)
        .with(OxmField::VlanVid, 0x1064u16)
        .with(OxmField::EthDst, 0x0200_0000_0001u64);
    let actions = vec![Action::PopVlan, Action::output(7)];
    let instructions = vec![
        Instruction::ApplyActions { actions },
        Instruction::GotoTable { table_id: 9 },
    ];

    let mut stream = Vec::new();
    for cookie in 0..FLOWS {
        let mut flow_mod = FlowMod::new(FlowModCommand::Add, 3);
        flow_mod.cookie = cookie;
        flow_mod.match_ = match_.clone();
        flow_mod.instructions = instructions.clone();
        encode(&Message::new(1, Body::FlowMod(flow_mod)), &mut stream)?;
    }
    for _ in 0..3 {
        let start = Instant::now();
        let mut rest = stream.as_slice();
        let mut count = 0;
        while let Frame::Whole(length) = next_frame(rest) {
            let (message, tail) = rest.split_at(length);
            black_box(decode_request(message)?);
            rest = tail;
            count += 1;
        }
        println!(
            "{count} flow-mods decoded and checked in {:?}",
            start.elapsed()
        );
    }

    let mut entry = FlowStats {
        table_id: 3,
        duration_sec: 1,
        duration_nsec: 2,
        priority: 3,
        idle_timeout: 0,
        hard_timeout: 0,
        flags: 0,
        cookie: 0,
        packet_count: 5,
        byte_count: 6,
        match_,
        instructions,
    };
    for _ in 0..3 {
        let mut out = Vec::new();
        let start = Instant::now();
        let mut writer = MultipartWriter::new::<FlowStats>(&mut out, 1);
        for cookie in 0..FLOWS {
            entry.cookie = cookie;
            writer.push(&entry);
        }
        writer.finish();
        println!(
            "{FLOWS} flows written to {} bytes in {:?}",
            out.len(),
            start.elapsed()
        );
    }
    Ok(())
}
