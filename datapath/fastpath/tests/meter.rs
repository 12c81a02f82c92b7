//! The program's meters are the pipeline's: `bpf/meter.h`, compiled for this machine, and `pipeline/src/rate.rs` give the same
//! verdicts, due times and counters for generated meters and packets.
#![allow(clippy::unwrap_used, missing_docs)]

use proptest::prelude::*;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use weft_pipeline::{Band, Unit, exceeding};

/// The program, or `None`, with a word, where there is no compiler.
fn compile() -> Option<PathBuf> {
    let clang = std::env::var("CLANG").unwrap_or_else(|_| "clang".to_owned());
    let program = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("meter");
    let result = Command::new(clang)
        .args(["-O2", "-Wall", "-Wno-unused", "-I", "bpf", "-o"])
        .arg(&program)
        .arg("tests/meter.c")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status();
    match result {
        Ok(status) => assert!(status.success(), "meter.c does not compile"),
        Err(error) => {
            eprintln!("skipped: no clang: {error}");
            return None;
        }
    }
    Some(program)
}

fn run(program: &PathBuf, input: &str) -> String {
    let mut child = Command::new(program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let writing = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writing.join().unwrap().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

type Bands = Vec<(u32, Option<u32>)>;

fn bands() -> impl Strategy<Value = Bands> {
    let rate = prop_oneof![1..100u32, 1..10_000_000u32, any::<u32>()];
    let burst = prop_oneof![
        Just(None),
        (1..10_000u32).prop_map(Some),
        Just(Some(u32::MAX))
    ];
    prop::collection::vec((rate, burst), 0..5)
}

#[test]
fn c_equals_rust() {
    let Some(program) = compile() else {
        return;
    };
    let packet = (0..70_000u64, prop_oneof![0..2_000u64, 0..50_000_000u64]);
    let case = (
        any::<bool>(),
        bands(),
        0..1u64 << 58,
        prop::collection::vec(packet, 1..100),
    );
    proptest!(|((packets, bands, start, arrivals) in case)| {
        let unit = if packets { Unit::Packets } else { Unit::Kilobits };
        let bands = bands.iter().map(|(rate, burst)| Band::new(unit, *rate, *burst, start));
        let bands: Vec<Band> = bands.collect();
        let mut input = format!("m {} {}", u8::from(packets), bands.len());
        for band in &bands {
            let [due, cost, tolerance] = band.state();
            write!(input, " {} {cost} {tolerance}", due as i64).unwrap();
        }
        let mut expected = String::new();
        let mut now = start;
        for (bytes, gap) in arrivals {
            now += gap;
            write!(input, "\np {bytes} {now}").unwrap();
            let acting = exceeding(&bands, unit.amount(bytes as usize), now);
            if let Some(acting) = acting {
                bands[acting].count(bytes as usize);
            }
            write!(expected, "{}", u8::from(acting.is_some())).unwrap();
            for band in &bands {
                let ([due, ..], (packets, bytes)) = (band.state(), band.counted());
                write!(expected, " {} {packets} {bytes}", due as i64).unwrap();
            }
            expected.push('\n');
        }
        input.push('\n');
        prop_assert_eq!(run(&program, &input), expected);
    });
}
