//! The flows that an observer accounts for, and their records.
//!
//! Two queues keep what is next: by when a flow was last heard of, and by when its present record began. So looking for
//! what has timed out costs what it finds, and no more.

use std::collections::{HashMap, VecDeque};

use super::order::Order;
use super::{Sight, Traffic, Tuple};
use weft_openflow::{FlowEndReason, FlowRecord};

/// Least number of records that may wait to be sent.
const LEAST_WAITING: usize = 1024;
const MILLISECOND: u64 = 1_000_000;

/// What makes a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Identity {
    tuple: Tuple,
    in_port: u32,
    vlan: u16,
    domain_id: u32,
    point_id: u32,
}

#[derive(Debug)]
struct Flow {
    identity: Identity,
    /// Since the last record.
    traffic: Traffic,
    /// When it was last heard of.
    heard: u64,
    /// When the present record began.
    began: u64,
    out_port: u32,
    outputs: u16,
}

/// Open flows and records that wait.
#[derive(Debug)]
pub(super) struct FlowCache {
    limit: usize,
    places: HashMap<Identity, u32>,
    flows: Vec<Option<Flow>>,
    free: Vec<u32>,
    /// Longest quiet first.
    quiet: Order,
    /// Longest without a record first.
    age: Order,
    waiting: VecDeque<FlowRecord>,
    lost: u64,
}

impl FlowCache {
    pub fn new(limit: usize) -> FlowCache {
        FlowCache {
            limit,
            places: HashMap::new(),
            flows: Vec::new(),
            free: Vec::new(),
            quiet: Order::new(),
            age: Order::new(),
            waiting: VecDeque::new(),
            lost: 0,
        }
    }

    /// Open flows.
    pub fn open(&self) -> usize {
        self.places.len()
    }

    /// Records that wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Counts packets that are in no flow.
    pub fn lose(&mut self, packets: u64) {
        self.lost += packets;
    }

    /// Packets whose records found no room.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Adds traffic to its flow.
    pub fn add(&mut self, sight: &Sight, tuple: &Tuple, traffic: &Traffic, clock: i64) {
        let identity = Identity {
            tuple: *tuple,
            in_port: sight.in_port,
            vlan: tag_of(sight.vlan),
            domain_id: sight.domain_id,
            point_id: sight.point_id,
        };
        let place = match self.places.get(&identity) {
            Some(place) => *place,
            None => self.open_flow(identity, traffic.first, clock),
        };
        let Some(flow) = self.flows.get_mut(place as usize).and_then(Option::as_mut) else {
            return;
        };
        flow.heard = flow.heard.max(traffic.last);
        if traffic.last >= flow.traffic.last {
            flow.out_port = sight.out_port;
            flow.outputs = sight.outputs;
        }
        let sum = &mut flow.traffic;
        if sum.packets == 0 {
            *sum = *traffic;
        } else {
            sum.packets += traffic.packets;
            sum.octets += traffic.octets;
            sum.tcp_flags |= traffic.tcp_flags;
            sum.first = sum.first.min(traffic.first);
            if traffic.last >= sum.last {
                sum.last = traffic.last;
                sum.eth_src = traffic.eth_src;
                sum.eth_dst = traffic.eth_dst;
            }
        }
        self.quiet.renew(place);
    }

    fn open_flow(&mut self, identity: Identity, now: u64, clock: i64) -> u32 {
        if self.places.len() >= self.limit
            && let Some(quietest) = self.quiet.first()
        {
            self.close(quietest, FlowEndReason::LackOfResources, clock);
        }
        let flow = Some(Flow {
            identity,
            traffic: Traffic::default(),
            heard: now,
            began: now,
            out_port: 0,
            outputs: 0,
        });
        let place = match self.free.pop() {
            Some(place) => {
                self.flows[place as usize] = flow;
                place
            }
            None => {
                self.flows.push(flow);
                (self.flows.len() - 1) as u32
            }
        };
        self.places.insert(identity, place);
        self.quiet.push(place);
        self.age.push(place);
        place
    }

    /// Forgets a flow, reporting what it has.
    fn close(&mut self, place: u32, reason: FlowEndReason, clock: i64) {
        self.record(place, reason, clock);
        if let Some(flow) = self.flows.get_mut(place as usize).and_then(Option::take) {
            self.places.remove(&flow.identity);
            self.quiet.remove(place);
            self.age.remove(place);
            self.free.push(place);
        }
    }

    /// Makes a record of what a flow has, if that is anything.
    fn record(&mut self, place: u32, reason: FlowEndReason, clock: i64) {
        let Some(flow) = self.flows.get_mut(place as usize).and_then(Option::as_mut) else {
            return;
        };
        let traffic = std::mem::take(&mut flow.traffic);
        if traffic.packets == 0 {
            return;
        }
        if self.waiting.len() >= self.limit.max(LEAST_WAITING) {
            self.lost += traffic.packets;
            return;
        }
        let Identity { tuple, .. } = flow.identity;
        self.waiting.push_back(FlowRecord {
            source: tuple.source,
            destination: tuple.destination,
            eth_src: traffic.eth_src,
            eth_dst: traffic.eth_dst,
            eth_type: tuple.eth_type,
            vlan: flow.identity.vlan,
            protocol: tuple.protocol,
            tos: tuple.tos,
            tcp_flags: traffic.tcp_flags,
            source_port: tuple.source_port,
            destination_port: tuple.destination_port,
            in_port: flow.identity.in_port,
            out_port: flow.out_port,
            outputs: flow.outputs,
            end_reason: reason,
            domain_id: flow.identity.domain_id,
            point_id: flow.identity.point_id,
            packets: traffic.packets,
            octets: traffic.octets,
            first_ms: super::unix_ms(traffic.first, clock),
            last_ms: super::unix_ms(traffic.last, clock),
        });
    }

    /// Makes records of what has timed out; a timeout of 0 never ends.
    pub fn expire(&mut self, active_ms: u32, idle_ms: u32, now: u64, clock: i64) {
        let over = |since: u64, timeout_ms: u32| {
            timeout_ms != 0 && since.saturating_add(u64::from(timeout_ms) * MILLISECOND) <= now
        };
        while let Some(place) = self.quiet.first() {
            if !self
                .flow(place)
                .is_some_and(|flow| over(flow.heard, idle_ms))
            {
                break;
            }
            self.close(place, FlowEndReason::IdleTimeout, clock);
        }
        while let Some(place) = self.age.first() {
            if !self
                .flow(place)
                .is_some_and(|flow| over(flow.began, active_ms))
            {
                break;
            }
            self.record(place, FlowEndReason::ActiveTimeout, clock);
            if let Some(flow) = self.flows.get_mut(place as usize).and_then(Option::as_mut) {
                flow.began = now;
            }
            self.age.renew(place);
        }
    }

    fn flow(&self, place: u32) -> Option<&Flow> {
        self.flows.get(place as usize)?.as_ref()
    }

    /// Ends the flows of these ports.
    pub fn flush(&mut self, of_port: impl Fn(u32) -> bool, reason: FlowEndReason, clock: i64) {
        let flows = self.flows.iter().enumerate();
        let ended: Vec<u32> = flows
            .filter(|(_, flow)| {
                flow.as_ref()
                    .is_some_and(|flow| of_port(flow.identity.in_port))
            })
            .map(|(place, _)| place as u32)
            .collect();
        for place in ended {
            self.close(place, reason, clock);
        }
    }

    /// Takes records that wait, at most so many.
    pub fn take(&mut self, most: usize) -> Vec<FlowRecord> {
        let count = self.waiting.len().min(most);
        self.waiting.drain(..count).collect()
    }
}

/// A tag's VLAN, with the present bit.
fn tag_of(tci: u16) -> u16 {
    tci & 0x1fff
}
