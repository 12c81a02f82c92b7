//! `weft-loadgen tap`: minimum-size frames written to one tap as a VM's would be, taken from another and counted there, on a
//! core for each.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use nix::errno::Errno;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::{Pid, read, write};
use serde_json::{Value, json};
use weft_frame::vnet::VNET_HDR_LEN;
use weft_netdev::Tap;

use crate::frame::{Addresses, Mac, Template};

/// Frames from tap to tap.
#[derive(Args)]
pub struct TapOptions {
    /// The tap that frames are written to.
    #[arg(long)]
    from: String,
    /// The tap that they are taken from.
    #[arg(long)]
    to: String,
    /// The sender's MAC address.
    #[arg(long, default_value = "02:00:00:00:00:0a")]
    source: Mac,
    /// The receiver's MAC address.
    #[arg(long, default_value = "02:00:00:00:00:0b")]
    destination: Mac,
    /// How many UDP flows to go through, one a frame.
    #[arg(long, default_value_t = 1)]
    flows: u32,
    /// So long, at 100,000 frames per second and with a frame of the receiver's now and then, before what is counted.
    #[arg(long, default_value_t = 1.0)]
    warmup: f64,
    /// So long.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// The core that writes.
    #[arg(long, default_value_t = 0)]
    sender_core: usize,
    /// The core that takes.
    #[arg(long, default_value_t = 1)]
    receiver_core: usize,
}

const WARMUP_RATE: f64 = 100_000.0;
/// Frames between two looks at the clock.
const ROUND: u64 = 64;

/// Keeps this thread on a core.
fn stay_on(core: usize) -> io::Result<()> {
    let mut set = CpuSet::new();
    set.set(core)?;
    Ok(sched_setaffinity(Pid::from_raw(0), &set)?)
}

/// A frame with its virtio header.
struct Outgoing {
    template: Template,
    bytes: Vec<u8>,
}

impl Outgoing {
    fn new(source: Mac, destination: Mac) -> Self {
        let template = Template::new(Addresses {
            destination,
            source,
            vlan: None,
        });
        // All zeroes: nothing is left to be done.
        let bytes = [&[0; VNET_HDR_LEN], template.bytes()].concat();
        Self { template, bytes }
    }

    /// Whether the tap took it.
    fn send(&mut self, tap: &Tap, flow: u32) -> io::Result<bool> {
        self.template.vary(&mut self.bytes[VNET_HDR_LEN..], 0, flow);
        match write(tap, &self.bytes) {
            Ok(_) => Ok(true),
            Err(Errno::EAGAIN | Errno::ENOBUFS | Errno::EINTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// Counts the frames to an address until told to stop.
fn take(tap: &Tap, address: Mac, received: &AtomicU64, is_over: &AtomicBool) -> io::Result<()> {
    let mut frame = vec![0; 1 << 17];
    while !is_over.load(Ordering::Relaxed) {
        match read(tap, &mut frame) {
            Ok(length) if length >= VNET_HDR_LEN + 6 => {
                if frame[VNET_HDR_LEN..VNET_HDR_LEN + 6] == address.0 {
                    received.fetch_add(1, Ordering::Relaxed);
                }
            }
            Ok(_) | Err(Errno::EINTR) => {}
            // Who waited in poll(2) would be woken by the sender, at a cost to each of its frames.
            Err(Errno::EAGAIN) => std::thread::sleep(Duration::from_micros(50)),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Sends; JSON of how many frames were sent and received after the warm-up, and how long it took.
pub fn run(options: &TapOptions) -> io::Result<Value> {
    let from = Tap::open(&options.from)?;
    let to = Tap::open(&options.to)?;
    let (received, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let taker = scope.spawn(|| {
            stay_on(options.receiver_core)?;
            take(&to, options.destination, &received, &is_over)
        });
        let sending = send(options, &from, &to, &received);
        is_over.store(true, Ordering::Relaxed);
        let taking = taker
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the receiver panicked")));
        taking.and(sending)
    })
}

fn send(options: &TapOptions, from: &Tap, to: &Tap, received: &AtomicU64) -> io::Result<Value> {
    stay_on(options.sender_core)?;
    let mut frame = Outgoing::new(options.source, options.destination);
    let mut answer = Outgoing::new(options.destination, options.source);
    let flows = u64::from(options.flows.max(1));
    let warm = Instant::now();
    let mut number: u64 = 0;
    while warm.elapsed().as_secs_f64() < options.warmup {
        if number as f64 > warm.elapsed().as_secs_f64() * WARMUP_RATE {
            std::thread::sleep(Duration::from_micros(50));
            continue;
        }
        // Switches learn the receiver's address, a link that has only just come up or not.
        answer.send(to, 0)?;
        for _ in 0..ROUND {
            frame.send(from, (number % flows) as u32)?;
            number += 1;
        }
    }
    let before = received.load(Ordering::Relaxed);
    let limit = Duration::from_secs_f64(options.seconds);
    let started = Instant::now();
    let mut sent: u64 = 0;
    while started.elapsed() < limit {
        for _ in 0..ROUND {
            sent += u64::from(frame.send(from, (number % flows) as u32)?);
            number += 1;
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    let received = received.load(Ordering::Relaxed) - before;
    Ok(json!({"sent": sent, "received": received, "seconds": seconds, "cpu": crate::cpu_seconds()}))
}
