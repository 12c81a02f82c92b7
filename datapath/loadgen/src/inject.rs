//! `weft-loadgen inject`: frames that arrive at a device of this namespace as its driver would deliver them, without a host that
//! sends: `BPF_PROG_TEST_RUN` of an XDP program with live frames (Linux 5.18; Documentation/bpf/bpf_prog_run.rst). The device
//! must have a receive queue that XDP knows, which a veth has with NAPI on (`ethtool -K NAME gro on`).

use std::io;
use std::time::{Duration, Instant};

use aya::programs::{TestRun, Xdp};
use aya::{EbpfLoader, TestRunAttrs, TestRunOptions, include_bytes_aligned};
use clap::Args;
use nix::net::if_::if_nametoindex;
use serde_json::{Value, json};

use crate::frame::{Addresses, FIRST_PORT, Mac, Template};

/// Frames into a device.
#[derive(Args)]
pub struct InjectOptions {
    /// The device that the frames arrive at.
    #[arg(long)]
    interface: String,
    /// Destination MAC address.
    #[arg(long)]
    destination: Mac,
    /// Source MAC address.
    #[arg(long)]
    source: Mac,
    /// UDP flows that the frames are of, each frame of one at random.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=60_000))]
    flows: u32,
    /// Frames per second; without it, as many as the machine can.
    #[arg(long)]
    rate: Option<u64>,
    /// About so long.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
}

static OBJECT: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/inject.bpf.o"));
/// Frames that the kernel hands on together: NAPI's budget.
const BATCH: u32 = 64;
/// Frames of the first call. The next is for all the rest of the time, as after each the kernel waits for tens of milliseconds
/// until nobody has any of its memory.
const FIRST_CALL: u32 = 1024 * BATCH;
/// What of the time may be left over.
const SLACK: f64 = 0.1;
/// Calls in a second where a rate is wanted.
const CALLS_AT_RATE: u64 = 20;

fn other(error: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::other(error)
}

/// `struct xdp_md` with nothing in it but where the frame came in: its whole data, `length` bytes, by queue 0.
fn context(length: usize, ifindex: u32) -> Vec<u8> {
    let fields = [0, length as u32, 0, ifindex, 0, 0];
    fields.iter().flat_map(|each| each.to_ne_bytes()).collect()
}

/// Injects the frames; JSON of how many and how long it took.
pub fn run(options: &InjectOptions) -> io::Result<Value> {
    if OBJECT.is_empty() {
        return Err(io::Error::other(
            "built without clang, so there is no `inject`",
        ));
    }
    let ifindex = if_nametoindex(options.interface.as_str())?;
    let mut loaded = EbpfLoader::new()
        .override_global("flows", &options.flows, true)
        .override_global("first_port", &u32::from(FIRST_PORT), true)
        .load(OBJECT)
        .map_err(other)?;
    let program: &mut Xdp = loaded
        .program_mut("inject")
        .ok_or_else(|| io::Error::other("no program in the object"))?
        .try_into()
        .map_err(other)?;
    program.load().map_err(other)?;
    let template = Template::new(Addresses {
        destination: options.destination,
        source: options.source,
        vlan: None,
    });
    let context = context(template.bytes().len(), ifindex);
    let started = Instant::now();
    let mut sent: u64 = 0;
    loop {
        let elapsed = started.elapsed().as_secs_f64();
        if elapsed > options.seconds * (1.0 - SLACK) {
            break;
        }
        let call = match options.rate {
            Some(rate) if sent as f64 > elapsed * rate as f64 => {
                std::thread::sleep(Duration::from_micros(50));
                continue;
            }
            Some(rate) => (rate / CALLS_AT_RATE).max(1) as u32,
            None if sent == 0 => FIRST_CALL,
            None => (sent as f64 / elapsed * (options.seconds - elapsed)).max(1.0) as u32,
        };
        let once = TestRunOptions {
            data_in: Some(template.bytes()),
            ctx_in: Some(&context),
            repeat: call,
            attrs: TestRunAttrs::new().xdp_live_frames(BATCH),
            ..TestRunOptions::new()
        };
        program.test_run(once).map_err(other)?;
        sent += u64::from(call);
    }
    Ok(
        json!({"sent": sent, "seconds": started.elapsed().as_secs_f64(), "cpu": crate::cpu_seconds()}),
    )
}
