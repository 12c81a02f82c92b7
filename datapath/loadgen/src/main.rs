//! `weft-loadgen`: sends a bounded number of minimum-size UDP frames out of one interface as fast as asked and
//! prints what it sent as one JSON object. The receiving side is read from the kernel's interface counters, so there is
//! no sink to become the bottleneck. Used by `npm run bench` and the system tests, in namespaces that they make.
//!
//! Load of other kinds, each a subcommand: packet-ins for a controller from switches that are not there (`switches.rs`), frames
//! from tap to tap (`taps.rs`) and from a device's driver (`inject.rs`), transactions over TCP (`exchange.rs`); and a wire
//! between two taps as a VMM has it (`relay.rs`).

mod exchange;
mod frame;
mod inject;
mod relay;
mod switches;
mod taps;

use std::io::IoSlice;
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Parser, Subcommand};
use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, MultiHeaders, SockFlag, SockProtocol, SockType,
    SockaddrLike, sendmmsg, socket,
};
use nix::sys::time::TimeVal;

use frame::{Addresses, Template};

/// Sends bounded load from a packet socket.
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
struct Options {
    #[command(subcommand)]
    other: Option<Other>,
    /// The interface to send from.
    #[arg(long, required = true)]
    interface: Option<String>,
    /// Destination MAC address.
    #[arg(long, default_value = "ff:ff:ff:ff:ff:ff")]
    destination: frame::Mac,
    /// Source MAC address; the first of them with --sources.
    #[arg(long, default_value = "02:00:00:00:00:01")]
    source: frame::Mac,
    /// How many source MAC addresses to go through, one a frame.
    #[arg(long, default_value_t = 1)]
    sources: u32,
    /// How many UDP flows to go through, one a frame.
    #[arg(long, default_value_t = 1)]
    flows: u32,
    /// In turn, set apart one bit of the source address and of both ports from flow 0's, the bits below it at random: 8,192
    /// ways, which is what makes a cache of masks with prefixes grow.
    #[arg(long)]
    spray: bool,
    /// 802.1Q VLAN id to tag with.
    #[arg(long)]
    vlan: Option<u16>,
    /// Frames per second; without it, as many as the machine can.
    #[arg(long)]
    rate: Option<u64>,
    /// At most so many frames.
    #[arg(long, default_value_t = u64::MAX)]
    count: u64,
    /// At most so long.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
}

impl Options {
    fn interface(&self) -> &str {
        self.interface.as_deref().unwrap_or_default()
    }
}

/// Load of another kind.
#[derive(Subcommand)]
enum Other {
    /// Packet-ins for a controller.
    Controller(switches::ControllerOptions),
    /// Frames from one tap to another.
    Tap(taps::TapOptions),
    /// Two taps in two namespaces joined, as a VMM does.
    Relay(relay::RelayOptions),
    /// Transactions over TCP: the one that answers.
    Answer(exchange::AnswerOptions),
    /// Transactions over TCP: the one that asks.
    Ask(exchange::AskOptions),
    /// Frames that arrive at a device as from its driver.
    Inject(inject::InjectOptions),
}

impl Other {
    fn run(&self) -> std::io::Result<serde_json::Value> {
        match self {
            Other::Controller(options) => switches::run(options),
            Other::Tap(options) => taps::run(options),
            Other::Relay(options) => relay::run(options),
            Other::Answer(options) => exchange::answer(options),
            Other::Ask(options) => exchange::ask(options),
            Other::Inject(options) => inject::run(options),
        }
    }
}

const BATCH: usize = 32;

fn main() -> ExitCode {
    let options = Options::parse();
    if let Some(other) = &options.other {
        return match other.run() {
            Ok(report) => {
                println!("{report}");
                ExitCode::SUCCESS
            }
            Err(error) => {
                eprintln!("weft-loadgen: {error}");
                ExitCode::FAILURE
            }
        };
    }
    match run(&options) {
        Ok((sent, elapsed)) => {
            let seconds = elapsed.as_secs_f64();
            let rate = sent as f64 / seconds.max(1e-9);
            println!(
                "{}",
                serde_json::json!({"sent": sent, "seconds": seconds, "pps": rate, "cpu": cpu_seconds()})
            );
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("weft-loadgen: {}: {error}", options.interface());
            ExitCode::FAILURE
        }
    }
}

/// Processor time of the process so far, that of the kernel on its behalf included.
fn cpu_seconds() -> f64 {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) else {
        return 0.0;
    };
    let seconds = |time: TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    seconds(usage.user_time()) + seconds(usage.system_time())
}

fn open(interface: &str) -> Result<(OwnedFd, LinkAddr), Errno> {
    let index = if_nametoindex(interface)?;
    // Protocol 0: the socket sends and never receives.
    let fd = socket(
        AddressFamily::Packet,
        SockType::Raw,
        SockFlag::empty(),
        None::<SockProtocol>,
    )?;
    Ok((fd, link_address(index)?))
}

/// A `sockaddr_ll` with nothing but the interface index, which is all that sending a raw frame needs.
fn link_address(index: u32) -> Result<LinkAddr, Errno> {
    nix::ifaddrs::getifaddrs()?
        .filter_map(|each| each.address?.as_link_addr().copied())
        .find(|address| address.ifindex() == index as usize)
        .ok_or(Errno::ENODEV)
}

fn run(options: &Options) -> Result<(u64, Duration), Errno> {
    let (fd, address) = open(options.interface())?;
    debug_assert_eq!(address.family(), Some(AddressFamily::Packet));
    let template = Template::new(Addresses {
        destination: options.destination,
        source: options.source,
        vlan: options.vlan,
    });
    let mut frames = vec![template.bytes().to_vec(); BATCH];
    let addresses = [Some(address); BATCH];
    let mut headers = MultiHeaders::preallocate(BATCH, None);
    let started = Instant::now();
    let limit = Duration::from_secs_f64(options.seconds);
    let mut sent: u64 = 0;
    while sent < options.count && started.elapsed() < limit {
        let allowed = match options.rate {
            Some(rate) => (started.elapsed().as_secs_f64() * rate as f64) as u64,
            None => u64::MAX,
        };
        let wanted = allowed
            .min(options.count)
            .saturating_sub(sent)
            .min(BATCH as u64) as usize;
        if wanted == 0 {
            std::thread::sleep(Duration::from_micros(50));
            continue;
        }
        for (offset, frame) in frames.iter_mut().take(wanted).enumerate() {
            let number = sent + offset as u64;
            template.vary(
                frame,
                (number % u64::from(options.sources.max(1))) as u32,
                (number % u64::from(options.flows.max(1))) as u32,
            );
            if options.spray {
                template.spray(frame, number);
            }
        }
        let slices: Vec<[IoSlice<'_>; 1]> = frames[..wanted]
            .iter()
            .map(|frame| [IoSlice::new(frame)])
            .collect();
        match sendmmsg(
            fd.as_raw_fd(),
            &mut headers,
            &slices,
            &addresses[..wanted],
            [],
            MsgFlags::empty(),
        ) {
            Ok(results) => sent += results.count() as u64,
            // The interface's queue is full: the kernel takes more in a moment.
            Err(Errno::ENOBUFS | Errno::EAGAIN | Errno::EINTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok((sent, started.elapsed()))
}
