//! Queues of a device: a hierarchical token bucket (sch_htb) at its egress, set up over rtnetlink.
//!
//! ```text
//! qdisc 1: htb, what names no class goes to 1:1
//! └ class 1:fffe, the rate of all queues together
//!   ├ class 1:1       queue 0
//!   └ class 1:(n+1)   queue n
//! ```
//!
//! A frame names its class in `skb->priority`, which is `SO_PRIORITY` of the socket that it is sent by. This is the layout
//! that Open vSwitch uses too, so `tc class show` looks as its users expect.

use std::io;

use netlink_packet_core::{DefaultNla, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NlasIterator};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::tc::{TcAttribute, TcHandle, TcMessage, TcOption};

use crate::link::Rtnl;

/// Queues are numbered below this.
pub const QUEUE_LIMIT: u32 = 0xf000;
/// Major number of the qdisc and its classes.
const MAJOR: u16 = 1;
/// The class that all queues share.
const ROOT_CLASS: u16 = 0xfffe;
/// Bytes that a class sends before another's turn comes: a large segment.
const QUANTUM: u32 = 60_000;
/// What the kernel calls a tick, nanoseconds (`PSCHED_SHIFT`).
const TICK_NS: u64 = 64;
/// Rates that the kernel is given at least, bytes per second, as in Open vSwitch.
const MIN_RATE: u64 = 1500;

const RTM_NEWTCLASS: u16 = 40;
/// `struct tcmsg`
const TCMSG_LEN: usize = 20;
const TCA_STATS2: u16 = 7;
const TCA_STATS_BASIC: u16 = 1;
const TCA_STATS_QUEUE: u16 = 3;
const TCA_HTB_PARMS: u16 = 1;
const TCA_HTB_INIT: u16 = 2;
const TCA_HTB_RATE64: u16 = 6;
const TCA_HTB_CEIL64: u16 = 7;
/// `HTB_VER` >> 16
const HTB_VERSION: u32 = 3;
/// `TC_LINKLAYER_ETHERNET`: the kernel needs no rate tables then.
const LINKLAYER_ETHERNET: u8 = 1;

/// How a device's egress is shaped. Rates are in bit/s.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shaping {
    /// Of all queues together.
    pub max_rate: u64,
    /// The queues; queue 0 is there in any case.
    pub queues: Vec<QueueShape>,
}

/// One queue.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueueShape {
    /// Its number, below [`QUEUE_LIMIT`].
    pub id: u32,
    /// What it gets in any case, bit/s.
    pub min_rate: u64,
    /// What it gets at most, bit/s; the device's limit without it.
    pub max_rate: Option<u64>,
    /// What it may send at once, bits.
    pub burst: u64,
    /// Lower goes first where queues share what is left over.
    pub priority: u32,
}

/// What a queue has sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueueCounters {
    /// Bytes.
    pub bytes: u64,
    /// Packets.
    pub packets: u64,
    /// Packets that found it full.
    pub dropped: u64,
}

/// The value of `SO_PRIORITY` that leads to a queue; 0: no queue asked for.
pub fn priority_of(queue_id: Option<u32>) -> u32 {
    match queue_id {
        Some(id) if id < QUEUE_LIMIT => u32::from(MAJOR) << 16 | (id + 1),
        _ => 0,
    }
}

impl Rtnl {
    /// Makes a device's egress so. `had`: what was set before, by this process; without it whatever is there goes.
    ///
    /// # Errors
    /// Of the kernel, which may lack sch_htb; the device is then without queues.
    pub fn set_shaping(
        &mut self,
        ifindex: u32,
        mtu: u32,
        shaping: &Shaping,
        had: Option<&Shaping>,
    ) -> io::Result<()> {
        if had.is_none() {
            self.clear_shaping(ifindex)?;
            let mut message = message(ifindex, handle(0), TcHandle::ROOT);
            message.attributes.push(TcAttribute::Options(vec![init()]));
            self.request(
                RouteNetlinkMessage::NewQueueDiscipline(message),
                NLM_F_CREATE | NLM_F_EXCL,
                |_, _| {},
            )?;
        }
        let queues = with_default(&shaping.queues);
        let result = self.set_classes(ifindex, mtu, shaping, &queues);
        if result.is_err() {
            let _ = self.clear_shaping(ifindex);
            return result;
        }
        let before = had.map_or_else(Vec::new, |had| with_default(&had.queues));
        for gone in before {
            if !queues.iter().any(|queue| queue.id == gone.id) {
                let message = message(ifindex, class_of(gone.id), handle(ROOT_CLASS));
                self.request(RouteNetlinkMessage::DelTrafficClass(message), 0, |_, _| {})?;
            }
        }
        Ok(())
    }

    fn set_classes(
        &mut self,
        ifindex: u32,
        mtu: u32,
        shaping: &Shaping,
        queues: &[QueueShape],
    ) -> io::Result<()> {
        let limit = (shaping.max_rate / 8).max(MIN_RATE);
        let all = QueueShape {
            max_rate: Some(shaping.max_rate),
            min_rate: shaping.max_rate,
            ..QueueShape::default()
        };
        self.set_class(
            ifindex,
            handle(ROOT_CLASS),
            handle(0),
            &class(&all, limit, mtu),
        )?;
        for queue in queues {
            let options = class(queue, limit, mtu);
            self.set_class(ifindex, class_of(queue.id), handle(ROOT_CLASS), &options)?;
        }
        Ok(())
    }

    /// Adds a class, or changes it.
    fn set_class(
        &mut self,
        ifindex: u32,
        class: TcHandle,
        parent: TcHandle,
        options: &[TcOption],
    ) -> io::Result<()> {
        let mut message = message(ifindex, class, parent);
        message
            .attributes
            .push(TcAttribute::Options(options.to_vec()));
        self.request(
            RouteNetlinkMessage::NewTrafficClass(message),
            NLM_F_CREATE,
            |_, _| {},
        )
    }

    /// Gives the device its default queueing back. Not an error if it has it.
    pub fn clear_shaping(&mut self, ifindex: u32) -> io::Result<()> {
        let mut message = TcMessage::default();
        message.header.index = ifindex as i32;
        message.header.parent = TcHandle::ROOT;
        match self.request(
            RouteNetlinkMessage::DelQueueDiscipline(message),
            0,
            |_, _| {},
        ) {
            Err(error)
                if !matches!(
                    error.raw_os_error(),
                    Some(libc::ENOENT | libc::EINVAL | libc::ENODEV)
                ) =>
            {
                Err(error)
            }
            _ => Ok(()),
        }
    }

    /// What each queue of a device has sent, by number.
    pub fn queue_counters(&mut self, ifindex: u32) -> io::Result<Vec<(u32, QueueCounters)>> {
        let mut message = TcMessage::default();
        message.header.index = ifindex as i32;
        let mut queues = Vec::new();
        self.request(
            RouteNetlinkMessage::GetTrafficClass(message),
            NLM_F_DUMP,
            |kind, body| {
                if kind == RTM_NEWTCLASS {
                    queues.extend(counters(body));
                }
            },
        )?;
        queues.sort_unstable_by_key(|(id, _)| *id);
        Ok(queues)
    }
}

/// The queues with queue 0, which takes what asks for none.
fn with_default(queues: &[QueueShape]) -> Vec<QueueShape> {
    let mut queues = queues.to_vec();
    if !queues.iter().any(|queue| queue.id == 0) {
        queues.push(QueueShape::default());
    }
    queues
}

fn handle(minor: u16) -> TcHandle {
    TcHandle {
        major: MAJOR,
        minor,
    }
}

fn class_of(queue_id: u32) -> TcHandle {
    handle((queue_id + 1) as u16)
}

fn message(ifindex: u32, handle: TcHandle, parent: TcHandle) -> TcMessage {
    let mut message = TcMessage::default();
    message.header.index = ifindex as i32;
    message.header.handle = handle;
    message.header.parent = parent;
    message.attributes.push(TcAttribute::Kind("htb".to_owned()));
    message
}

fn option(kind: u16, words: &[u32]) -> TcOption {
    let bytes = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    TcOption::Other(DefaultNla::new(kind, bytes))
}

/// `struct tc_htb_glob`: version, rate2quantum, defcls, debug, direct_pkts.
fn init() -> TcOption {
    option(TCA_HTB_INIT, &[HTB_VERSION, 10, 1, 0, 0])
}

/// The options of a class; `limit` is what all have together, bytes per second.
fn class(queue: &QueueShape, limit: u64, mtu: u32) -> Vec<TcOption> {
    let ceil = queue
        .max_rate
        .map_or(limit, |rate| rate / 8)
        .clamp(MIN_RATE, limit);
    let rate = (queue.min_rate / 8).clamp(MIN_RATE.min(ceil), ceil);
    // What may be sent at once lasts to the kernel's next look at the latest, and is a frame at least.
    let burst = |rate: u64| (queue.burst / 8).max(rate / 100).max(u64::from(mtu) + 64);
    let ticks = |bytes: u64, rate: u64| {
        let ns = u128::from(bytes) * 1_000_000_000 / u128::from(rate.max(1));
        u32::try_from(ns / u128::from(TICK_NS)).unwrap_or(u32::MAX)
    };
    let short = |rate: u64| u32::try_from(rate).unwrap_or(u32::MAX);
    // `struct tc_ratespec`: cell_log, linklayer, overhead, cell_align, mpu, rate.
    let spec = |rate: u64| {
        [
            u32::from_ne_bytes([0, LINKLAYER_ETHERNET, 0, 0]),
            0,
            short(rate),
        ]
    };
    let [a, b, c] = spec(rate);
    let [d, e, f] = spec(ceil);
    // `struct tc_htb_opt`: rate, ceil, buffer, cbuffer, quantum, level, prio.
    let parameters = [
        a,
        b,
        c,
        d,
        e,
        f,
        ticks(burst(rate), rate),
        ticks(burst(ceil), ceil),
        QUANTUM,
        0,
        queue.priority.min(7),
    ];
    let long =
        |kind, rate: u64| TcOption::Other(DefaultNla::new(kind, rate.to_ne_bytes().to_vec()));
    let mut options = vec![option(TCA_HTB_PARMS, &parameters)];
    if rate > u64::from(u32::MAX) {
        options.push(long(TCA_HTB_RATE64, rate));
    }
    if ceil > u64::from(u32::MAX) {
        options.push(long(TCA_HTB_CEIL64, ceil));
    }
    options
}

/// The queue that an `RTM_NEWTCLASS` describes, and what it has sent; `None` if it is no queue of ours.
fn counters(body: &[u8]) -> Option<(u32, QueueCounters)> {
    let header = body.get(..TCMSG_LEN)?;
    let handle = u32::from_ne_bytes(header[8..12].try_into().ok()?);
    let (major, minor) = ((handle >> 16) as u16, handle as u16);
    if major != MAJOR || minor == 0 || minor == ROOT_CLASS {
        return None;
    }
    let mut counters = QueueCounters::default();
    let all = NlasIterator::new(&body[TCMSG_LEN..]).map_while(Result::ok);
    for nla in all.filter(|nla| nla.kind() == TCA_STATS2) {
        for inner in NlasIterator::new(nla.value()).map_while(Result::ok) {
            let value = inner.value();
            match inner.kind() {
                // `struct gnet_stats_basic`: bytes (64 bits), packets.
                TCA_STATS_BASIC => {
                    counters.bytes = u64::from_ne_bytes(value.get(..8)?.try_into().ok()?);
                    let packets = u32::from_ne_bytes(value.get(8..12)?.try_into().ok()?);
                    counters.packets = u64::from(packets);
                }
                // `struct gnet_stats_queue`: qlen, backlog, drops, …
                TCA_STATS_QUEUE => {
                    let drops = u32::from_ne_bytes(value.get(8..12)?.try_into().ok()?);
                    counters.dropped = u64::from(drops);
                }
                _ => {}
            }
        }
    }
    Some((u32::from(minor) - 1, counters))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_have_classes_of_their_own() {
        assert_eq!(priority_of(None), 0);
        assert_eq!(priority_of(Some(0)), 0x1_0001);
        assert_eq!(priority_of(Some(QUEUE_LIMIT - 1)), 0x1_f000);
        assert_eq!(priority_of(Some(QUEUE_LIMIT)), 0);
        assert_eq!(priority_of(Some(u32::MAX)), 0);
    }

    #[test]
    fn rates_stay_within_the_limit() {
        let queue = QueueShape {
            id: 1,
            min_rate: 50_000_000,
            max_rate: Some(5_000_000),
            ..QueueShape::default()
        };
        let options = class(&queue, 1_250_000, 1500);
        let [TcOption::Other(nla)] = &options[..] else {
            panic!("{options:?}");
        };
        let mut bytes = [0; 44];
        netlink_packet_core::Nla::emit_value(nla, &mut bytes);
        let word = |at: usize| u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap());
        // Rate and ceiling, bytes per second: the smaller maximum holds for both.
        assert_eq!((word(8), word(20)), (625_000, 625_000));
        // 6250 bytes at that rate are 10 ms.
        assert_eq!(word(24), 10_000_000 / 64);
    }

    #[test]
    fn rates_beyond_32_bits_have_a_place() {
        let queue = QueueShape {
            min_rate: 1,
            ..QueueShape::default()
        };
        assert_eq!(class(&queue, 12_500_000_000, 1500).len(), 2);
    }
}
