//! `weft-loadgen controller`: switches that are not there, for a controller. Each says hello, has ports, and sends packet-ins
//! of stations that nobody has seen before; what the controller says to each is its answer, and counted with the time it took.
//!
//! It speaks just as much OpenFlow 1.3 as a controller needs to take it for a switch. One thread, non-blocking sockets.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream, ToSocketAddrs};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use clap::Args;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde_json::{Value, json};

/// A load for a controller.
#[derive(Args)]
pub struct ControllerOptions {
    /// Where the controller listens; several: one after the other.
    #[arg(long, required_unless_present = "listen")]
    connect: Vec<String>,
    /// The controller connects: the first switch listens on this port of 127.0.0.1, the next on the one after it.
    #[arg(long, conflicts_with = "connect")]
    listen: Option<u16>,
    /// Switches.
    #[arg(long, default_value_t = 1)]
    switches: u16,
    /// Stations of each switch that become known.
    #[arg(long, default_value_t = 1000)]
    macs: u32,
    /// Stations of each switch before those, which are not counted: a controller that compiles its code as it runs is measured
    /// as it is after its first seconds.
    #[arg(long, default_value_t = 0)]
    warmup: u32,
    /// Ports of each switch, called s0-p1 and so on.
    #[arg(long, default_value_t = 32)]
    ports: u32,
    /// Packet-ins of each switch that wait for an answer at a time.
    #[arg(long, default_value_t = 32)]
    window: u32,
    /// Table that the packet-ins come from.
    #[arg(long, default_value_t = 0)]
    table: u8,
    /// VLAN id that frames are tagged with.
    #[arg(long)]
    vlan: Option<u16>,
    /// Wait so long for switches to be known, and for answers.
    #[arg(long, default_value_t = 20.0)]
    patience: f64,
    /// Silence in seconds before the load begins.
    #[arg(long, default_value_t = 1.0)]
    settle: f64,
}

const VERSION: u8 = 4;
const HELLO: u8 = 0;
const ERROR: u8 = 1;
const ECHO_REQUEST: u8 = 2;
const FEATURES_REQUEST: u8 = 5;
const GET_CONFIG_REQUEST: u8 = 7;
const PACKET_IN: u8 = 10;
const PACKET_OUT: u8 = 13;
const FLOW_MOD: u8 = 14;
const MULTIPART_REQUEST: u8 = 18;
const BARRIER_REQUEST: u8 = 20;
const ROLE_REQUEST: u8 = 24;
const MULTIPART_PORT_DESC: u16 = 13;
/// `ofp_multipart_reply` bodies of one fixed structure, by type: DESC, AGGREGATE, GROUP_FEATURES, METER_FEATURES.
const FIXED_REPLIES: [(u16, usize); 4] = [(0, 1056), (2, 24), (8, 40), (11, 16)];
const ETH_DST: u32 = 0x8000_0606;
const ETH_SRC: u32 = 0x8000_0806;
const NO_BUFFER: u32 = u32::MAX;
/// `OFPR_NO_MATCH`
const NO_MATCH: u8 = 0;
const FRAME_BYTES: usize = 64;

fn be16(bytes: &[u8], at: usize) -> u16 {
    bytes
        .get(at..at + 2)
        .map_or(0, |b| u16::from_be_bytes([b[0], b[1]]))
}

fn be32(bytes: &[u8], at: usize) -> u32 {
    u32::from(be16(bytes, at)) << 16 | u32::from(be16(bytes, at + 2))
}

/// Station `number` of a switch: `02:SS:SS:NN:NN:NN`.
fn station(switch: u16, number: u32) -> [u8; 6] {
    let [high, low] = switch.to_be_bytes();
    let [_, a, b, c] = number.to_be_bytes();
    [2, high, low, a, b, c]
}

fn number_of(switch: u16, mac: &[u8]) -> Option<u32> {
    let [high, low] = switch.to_be_bytes();
    match *mac {
        [2, h, l, a, b, c] if (h, l) == (high, low) => Some(u32::from_be_bytes([0, a, b, c])),
        _ => None,
    }
}

struct Switch {
    index: u16,
    stream: TcpStream,
    input: Vec<u8>,
    output: Vec<u8>,
    written: usize,
    is_known: bool,
    next: u32,
    waiting: u32,
    /// When each station's packet-in left; none: answered.
    sent: Vec<Option<Instant>>,
    heard: Instant,
}

/// What all switches have heard.
#[derive(Default)]
struct Heard {
    answers: u64,
    flow_mods: u64,
    packet_outs: u64,
    errors: u64,
    /// Microseconds from packet-in to answer.
    latencies: Vec<u32>,
}

impl Switch {
    fn message(&mut self, kind: u8, xid: u32, body: &[u8]) {
        let length = (8 + body.len()) as u16;
        self.output.extend([VERSION, kind]);
        self.output.extend(length.to_be_bytes());
        self.output.extend(xid.to_be_bytes());
        self.output.extend(body);
    }

    fn packet_in(&mut self, options: &ControllerOptions) {
        let number = self.next;
        self.next += 1;
        self.waiting += 1;
        let mut frame = Vec::with_capacity(FRAME_BYTES);
        // To one that is known already, the first to all.
        let known = number
            .checked_sub(1 + options.window)
            .map(|oldest| number.wrapping_mul(0x9e37_79b1) % (oldest + 1));
        frame.extend(known.map_or([0xff; 6], |other| station(self.index, other)));
        frame.extend(station(self.index, number));
        if let Some(vlan) = options.vlan {
            frame.extend(0x8100_u16.to_be_bytes());
            frame.extend(vlan.to_be_bytes());
        }
        // For local experiments (IEEE 802).
        frame.extend(0x88b5_u16.to_be_bytes());
        frame.resize(FRAME_BYTES, 0);
        let port = 1 + number % options.ports;
        let mut body = Vec::with_capacity(128);
        body.extend(NO_BUFFER.to_be_bytes());
        body.extend((FRAME_BYTES as u16).to_be_bytes());
        body.extend([NO_MATCH, options.table]);
        body.extend([0; 8]);
        // ofp_match: in_port, four bytes of padding.
        body.extend([0, 1, 0, 12, 0x80, 0, 0, 4]);
        body.extend(port.to_be_bytes());
        body.extend([0; 4 + 2]);
        body.extend(frame);
        self.message(PACKET_IN, 0, &body);
        self.sent[number as usize] = Some(Instant::now());
    }

    /// Sends packet-ins until so many stations are known or wait.
    fn fill(&mut self, options: &ControllerOptions, stations: u32) {
        while self.waiting < options.window && self.next < stations {
            self.packet_in(options);
        }
    }

    fn multipart(&mut self, xid: u32, kind: u16, ports: u32) {
        let mut body = Vec::new();
        body.extend(kind.to_be_bytes());
        body.extend([0; 6]);
        if kind == MULTIPART_PORT_DESC {
            for port in 1..=ports {
                let mut entry = [0; 64];
                entry[..4].copy_from_slice(&port.to_be_bytes());
                entry[8..14].copy_from_slice(&station(0xff00 | self.index, port));
                let name = format!("s{}-p{port}", self.index);
                let name = &name.as_bytes()[..name.len().min(15)];
                entry[16..16 + name.len()].copy_from_slice(name);
                body.extend(entry);
            }
        }
        let fixed = FIXED_REPLIES.iter().find(|(fixed, _)| *fixed == kind);
        body.resize(body.len() + fixed.map_or(0, |(_, bytes)| *bytes), 0);
        self.message(19, xid, &body);
    }

    fn answered(&mut self, mac: Option<&[u8]>, heard: &mut Heard) {
        let number = mac.and_then(|mac| number_of(self.index, mac));
        let slot = number.and_then(|number| self.sent.get_mut(number as usize));
        if let Some(sent) = slot.and_then(Option::take) {
            self.waiting -= 1;
            heard.answers += 1;
            heard.latencies.push(sent.elapsed().as_micros() as u32);
        }
    }

    fn handle(&mut self, message: &[u8], options: &ControllerOptions, heard: &mut Heard) {
        let xid = be32(message, 4);
        match message[1] {
            HELLO => {}
            ERROR => heard.errors += 1,
            ECHO_REQUEST => self.message(3, xid, &message[8..]),
            FEATURES_REQUEST => {
                let mut body = [0; 24];
                body[..8].copy_from_slice(&u64::from(self.index + 1).to_be_bytes());
                body[12] = 254;
                self.message(6, xid, &body);
                self.is_known = true;
            }
            GET_CONFIG_REQUEST => self.message(8, xid, &[0, 0, 0, 128]),
            BARRIER_REQUEST => self.message(21, xid, &[]),
            ROLE_REQUEST => self.message(25, xid, &message[8..]),
            MULTIPART_REQUEST => self.multipart(xid, be16(message, 8), options.ports),
            FLOW_MOD => {
                heard.flow_mods += 1;
                let source = oxm(message, ETH_SRC);
                // A rule for the source says that it is known; one that has none is for a destination.
                let mac =
                    source.or_else(|| oxm(message, ETH_DST).filter(|_| options.vlan.is_none()));
                self.answered(mac, heard);
            }
            PACKET_OUT => {
                heard.packet_outs += 1;
                let frame = 24 + usize::from(be16(message, 16));
                self.answered(message.get(frame + 6..frame + 12), heard);
            }
            _ => {}
        }
    }

    /// Reads what there is; whether the connection is open.
    fn read(&mut self, options: &ControllerOptions, heard: &mut Heard) -> io::Result<bool> {
        let mut chunk = [0; 65536];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => return Ok(false),
                Ok(n) => self.input.extend(&chunk[..n]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
        }
        let input = std::mem::take(&mut self.input);
        let mut at = 0;
        while input.len() >= at + 8 {
            let length = usize::from(be16(&input, at + 2)).max(8);
            let Some(message) = input.get(at..at + length) else {
                break;
            };
            self.handle(message, options, heard);
            at += length;
        }
        self.input = input[at..].to_vec();
        self.heard = Instant::now();
        Ok(true)
    }

    fn write(&mut self) -> io::Result<()> {
        while self.written < self.output.len() {
            match self.stream.write(&self.output[self.written..]) {
                Ok(n) => self.written += n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.output.clear();
        self.written = 0;
        Ok(())
    }
}

/// The value of a field that a flow-mod that adds or modifies matches on.
fn oxm(message: &[u8], header: u32) -> Option<&[u8]> {
    const MATCH: usize = 48;
    // OFPFC_DELETE and OFPFC_DELETE_STRICT answer nothing.
    if *message.get(25)? >= 3 {
        return None;
    }
    let end = (MATCH + usize::from(be16(message, MATCH + 2))).min(message.len());
    let mut at = MATCH + 4;
    while at + 4 <= end {
        let bytes = usize::from(message[at + 3]);
        if be32(message, at) == header {
            return message.get(at + 4..at + 4 + bytes);
        }
        at += 4 + bytes;
    }
    None
}

fn connect(options: &ControllerOptions) -> io::Result<Vec<Switch>> {
    let listeners = options.listen.map(|first| {
        let each = |index| TcpListener::bind(("127.0.0.1", first + index));
        (0..options.switches)
            .map(each)
            .collect::<io::Result<Vec<_>>>()
    });
    let listeners = listeners.transpose()?;
    let mut switches = Vec::new();
    for index in 0..options.switches {
        let stream = match &listeners {
            Some(listeners) => listeners[usize::from(index)].accept()?.0,
            None => {
                let target = &options.connect[usize::from(index) % options.connect.len()];
                let address = target.to_socket_addrs()?.next();
                TcpStream::connect(address.ok_or_else(|| io::Error::other("no such address"))?)?
            }
        };
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut switch = Switch {
            index,
            stream,
            input: Vec::new(),
            output: Vec::new(),
            written: 0,
            is_known: false,
            next: 0,
            waiting: 0,
            sent: vec![None; (options.warmup + options.macs) as usize],
            heard: Instant::now(),
        };
        switch.message(HELLO, 1, &[]);
        switches.push(switch);
    }
    Ok(switches)
}

/// One round of reading and writing, with packet-ins up to so many stations of each switch.
fn round(
    switches: &mut [Switch],
    options: &ControllerOptions,
    heard: &mut Heard,
    stations: u32,
) -> io::Result<()> {
    for switch in &mut *switches {
        switch.fill(options, stations);
        switch.write()?;
    }
    let mut fds: Vec<PollFd<'_>> = switches
        .iter()
        .map(|switch| {
            let more = if switch.output.is_empty() {
                PollFlags::empty()
            } else {
                PollFlags::POLLOUT
            };
            PollFd::new(switch.stream.as_fd(), PollFlags::POLLIN | more)
        })
        .collect();
    poll(&mut fds, PollTimeout::from(20_u8))?;
    let ready: Vec<bool> = fds.iter().map(|fd| fd.any().unwrap_or(true)).collect();
    drop(fds);
    for (switch, _) in switches.iter_mut().zip(ready).filter(|(_, ready)| *ready) {
        if !switch.read(options, heard)? {
            return Err(io::Error::other("the controller closed the connection"));
        }
    }
    Ok(())
}

/// Makes stations known until each switch has so many, or no answer comes any more; the seconds to the last answer.
fn load(
    switches: &mut [Switch],
    options: &ControllerOptions,
    heard: &mut Heard,
    stations: u32,
) -> io::Result<f64> {
    let before: u64 = switches.iter().map(|switch| u64::from(switch.next)).sum();
    let wanted = u64::from(options.switches) * u64::from(stations) - before;
    let patience = Duration::from_secs_f64(options.patience);
    let started = Instant::now();
    let mut last = (0, started);
    while heard.answers < wanted && last.1.elapsed() < patience {
        round(switches, options, heard, stations)?;
        if heard.answers > last.0 {
            last = (heard.answers, Instant::now());
        }
    }
    Ok((last.1 - started).as_secs_f64().max(1e-9))
}

/// Runs the load; gives what is printed.
pub fn run(options: &ControllerOptions) -> io::Result<Value> {
    let mut heard = Heard::default();
    let mut switches = connect(options)?;
    let patience = Duration::from_secs_f64(options.patience);
    let settle = Duration::from_secs_f64(options.settle);
    let begun = Instant::now();
    let is_settled = |switches: &[Switch]| {
        let mut all = switches.iter();
        all.all(|switch| switch.is_known && switch.heard.elapsed() > settle)
    };
    while !is_settled(&switches) {
        if begun.elapsed() > patience {
            return Err(io::Error::other(
                "the controller does not take the switches",
            ));
        }
        round(&mut switches, options, &mut heard, 0)?;
    }
    load(&mut switches, options, &mut heard, options.warmup)?;
    heard = Heard::default();
    let stations = options.warmup + options.macs;
    let seconds = load(&mut switches, options, &mut heard, stations)?;
    heard.latencies.sort_unstable();
    let quantile = |q: f64| {
        let at = (heard.latencies.len() as f64 * q) as usize;
        heard.latencies.get(at).copied().unwrap_or_default()
    };
    Ok(json!({
        "sent": u64::from(options.switches) * u64::from(options.macs),
        "answered": heard.answers,
        "seconds": seconds,
        "perSecond": heard.answers as f64 / seconds,
        "flowMods": heard.flow_mods,
        "packetOuts": heard.packet_outs,
        "errors": heard.errors,
        "medianUs": quantile(0.5),
        "p99Us": quantile(0.99),
    }))
}
