//! Observers: what samples and accounts for the packets that rules show it (`weft_openflow::observers`).
//!
//! A rule shows a packet by Nicira's `sample` action; translation makes a [`Sight`] of that, which says what the packet's
//! way through the tables has to do with it. Packets are looked at as they came in. What observers have seen is fetched as
//! messages; nothing here knows who gets them.

mod flows;
mod order;
mod sampler;
mod tuple;

use crate::meter::PROGRAM_IDS;
use crate::offload::Observed;
use crate::pipeline::Owner;
use flows::FlowCache;
use sampler::{Budget, Random, Sampler};
pub use tuple::{Measure, Tuple};
use weft_frame::{FlowKey, Packet, field};
use weft_openflow::{
    ErrorCode, FlowEndReason, FlowRecords, ObserverCommand, ObserverKind, ObserverMod,
    ObserverStats, OfError, Samples, WeftMessage, port_no,
};

/// Most observers of a bridge.
pub const MAX_OBSERVERS: usize = 64;
/// Flows that are accounted for at once, unless told otherwise.
const DEFAULT_FLOWS: usize = 65_536;
/// Most that may be asked for.
const MAX_FLOWS: usize = 1 << 20;
/// Most bytes of a sampled packet.
pub const MAX_HEADER_BYTES: u16 = 512;
/// Longest time that a sample waits for company, in nanoseconds.
const GATHER: u64 = 100_000_000;
/// How often flows are looked through for some that have timed out.
const SCAN: u64 = 250_000_000;
/// Records in one message: it has at most 64 KB.
const RECORDS_PER_MESSAGE: usize = 500;
/// Samples that are sent without waiting for more.
const MANY_SAMPLES: usize = 256;

/// Stands for "always" in the probability of an action.
pub const ALWAYS: u16 = u16::MAX;

/// A packet shown to an observer, and what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sight {
    /// The observer.
    pub observer_id: u32,
    /// In how many of 65,535 cases it is shown.
    pub probability: u16,
    /// `obs_domain_id` of the action.
    pub domain_id: u32,
    /// `obs_point_id` of the action.
    pub point_id: u32,
    /// Port it came in by.
    pub in_port: u32,
    /// Outermost tag at the action, with the present bit; 0: none.
    pub vlan: u16,
    /// The same at the first output.
    pub vlan_out: u16,
    /// First port it goes to; [`port_no::ANY`]: none. Copies for mirrors do not count.
    pub out_port: u32,
    /// To how many it goes.
    pub outputs: u16,
}

/// Packets of one flow, seen one by one or together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// How many.
    pub packets: u64,
    /// Their octets from the IP header on.
    pub octets: u64,
    /// All their TCP flags.
    pub tcp_flags: u16,
    /// Of the last one.
    pub eth_src: [u8; 6],
    /// Of the last one.
    pub eth_dst: [u8; 6],
    /// When the first one came, in nanoseconds.
    pub first: u64,
    /// When the last one came.
    pub last: u64,
}

/// A packet that was picked.
#[derive(Clone, Copy, Debug)]
struct Picked<'a> {
    /// Bytes of the frame, as one packet.
    frame_length: u32,
    /// Outermost tag as it came in, with the present bit; 0: none.
    vlan_in: u16,
    /// The frame from its first byte on, the tag included, as far as it was kept.
    header: &'a [u8],
    /// When, in nanoseconds.
    at: u64,
}

#[derive(Debug)]
enum Work {
    Sample(Sampler),
    Account(FlowCache),
}

#[derive(Debug)]
struct Observer {
    settings: ObserverMod,
    packets: u64,
    octets: u64,
    records: u64,
    since: u64,
    budget: Budget,
    /// Packets until the next one that is looked at, where only some are accounted for.
    skip: u64,
    work: Work,
}

/// The observers of a bridge.
#[derive(Debug)]
pub(crate) struct Observers {
    all: Vec<Observer>,
    random: Random,
    /// Milliseconds from the caller's clock to Unix time.
    clock: i64,
    /// When something is to be reported.
    due: Option<u64>,
}

impl Default for Observers {
    fn default() -> Self {
        Observers {
            all: Vec::new(),
            random: Random::new(1),
            clock: 0,
            due: None,
        }
    }
}

fn bad(detail: impl Into<String>) -> OfError {
    OfError::new(ErrorCode::ObserverBadArgument, detail)
}

impl Observers {
    /// Where chance begins.
    pub fn seed(&mut self, seed: u64) {
        self.random = Random::new(seed);
    }

    /// Tells what time it is for others: `unix_ms` at `now`.
    pub fn set_clock(&mut self, unix_ms: u64, now: u64) {
        self.clock = unix_ms as i64 - (now / 1_000_000) as i64;
    }

    pub fn has(&self, id: u32) -> bool {
        self.get(id).is_some()
    }

    fn get(&self, id: u32) -> Option<&Observer> {
        self.all
            .iter()
            .find(|observer| observer.settings.observer_id == id)
    }

    fn get_mut(&mut self, id: u32) -> Option<&mut Observer> {
        self.all
            .iter_mut()
            .find(|observer| observer.settings.observer_id == id)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// How each is set.
    pub fn settings(&self) -> impl Iterator<Item = &ObserverMod> {
        self.all.iter().map(|observer| &observer.settings)
    }

    /// Refuses users what is the bridge program's.
    pub fn check_owner(&self, owner: Owner, id: u32) -> Result<(), OfError> {
        if owner == Owner::User && id >= PROGRAM_IDS {
            return Err(OfError::new(
                ErrorCode::BadRequestEperm,
                format!("observer {id:#x} belongs to the bridge program"),
            ));
        }
        Ok(())
    }

    /// Checks a request; whether it would change anything.
    pub fn check(&self, owner: Owner, request: &ObserverMod) -> Result<bool, OfError> {
        let id = request.observer_id;
        self.check_owner(owner, id)?;
        match request.command {
            ObserverCommand::Set => {}
            ObserverCommand::Delete => return Ok(self.has(id)),
            ObserverCommand::Unknown(command) => return Err(bad(format!("command {command}"))),
        }
        if let ObserverKind::Unknown(kind) = request.kind {
            return Err(bad(format!("kind {kind}")));
        }
        if request.interval == 0 {
            return Err(bad("one packet in none"));
        }
        match self.get(id) {
            Some(observer) => Ok(observer.settings != *request),
            None if self.all.len() >= MAX_OBSERVERS => Err(OfError::new(
                ErrorCode::ObserverTooMany,
                format!("more than {MAX_OBSERVERS} observers"),
            )),
            None => Ok(true),
        }
    }

    /// Does what a request asks that [`Observers::check`] has found to change something. Gives what was open.
    pub fn modify(&mut self, request: &ObserverMod, now: u64) -> Vec<WeftMessage> {
        let last = self.flush(request.observer_id, port_no::ANY);
        self.all
            .retain(|observer| observer.settings.observer_id != request.observer_id);
        if request.command == ObserverCommand::Set {
            let work = match request.kind {
                ObserverKind::Sample => {
                    Work::Sample(Sampler::new(request.interval, &mut self.random))
                }
                _ => {
                    let flows = match request.max_flows {
                        0 => DEFAULT_FLOWS,
                        flows => (flows as usize).min(MAX_FLOWS),
                    };
                    Work::Account(FlowCache::new(flows))
                }
            };
            self.all.push(Observer {
                settings: request.clone(),
                packets: 0,
                octets: 0,
                records: 0,
                since: now,
                budget: Budget::new(request.max_records_per_second, now),
                skip: self.random.skip(request.interval),
                work,
            });
        }
        self.plan(now);
        last
    }

    /// Sets when to look next, as far as that depends on the clock alone.
    fn plan(&mut self, now: u64) {
        let accounts = |observer: &Observer| matches!(observer.work, Work::Account(_));
        let next = self.all.iter().any(accounts).then_some(now + SCAN);
        self.due = match (self.due, next) {
            (Some(due), Some(next)) => Some(due.min(next)),
            (due, next) => due.or(next),
        };
    }

    /// Shows a packet as it came in, with its key.
    #[inline]
    pub fn show(&mut self, sight: &Sight, key: &FlowKey, packet: &mut Packet, now: u64) {
        let clock = self.clock;
        let mut samples = 0;
        let Some(observer) = self
            .all
            .iter_mut()
            .find(|observer| observer.settings.observer_id == sight.observer_id)
        else {
            return;
        };
        let chosen = self.random.chance(sight.probability);
        let interval = observer.settings.interval;
        match &mut observer.work {
            Work::Sample(sampler) => {
                let measure = packet.offload.gso.and_then(|_| Measure::of(packet));
                let segments = measure.map_or(1, |measure| measure.packets);
                observer.packets += segments;
                if !chosen {
                    return;
                }
                let mut passed = 0;
                while sampler.skip < segments - passed {
                    passed += sampler.skip + 1;
                    sampler.skip = self.random.skip(interval);
                    let whole = packet.len() as u32;
                    let picked = Picked {
                        frame_length: measure.map_or(whole, |m| m.frame_length(passed - 1)),
                        vlan_in: key.get64(field::VLAN_TCI) as u16,
                        header: packet.bytes(),
                        at: now,
                    };
                    let taken = sampler.take(
                        sight,
                        &picked,
                        &observer.settings,
                        &mut observer.budget,
                        clock,
                    );
                    observer.records += u64::from(taken);
                    samples = sampler.waiting();
                }
                sampler.skip -= segments - passed;
            }
            Work::Account(cache) => {
                let (Some(tuple), Some(measure)) = (Tuple::of(key), Measure::of(packet)) else {
                    return;
                };
                if !chosen || !pass(&mut observer.skip, interval, &mut self.random) {
                    return;
                }
                observer.packets += measure.packets;
                observer.octets += measure.octets;
                cache.add(sight, &tuple, &Traffic::of(key, &measure, now), clock);
            }
        }
        self.hurry(samples, now);
    }

    /// Takes over what the fast path has seen.
    pub fn absorb(&mut self, observed: &Observed, now: u64) {
        let clock = self.clock;
        let id = match observed {
            Observed::Picked { sight, .. } | Observed::Accounted { sight, .. } => sight.observer_id,
            Observed::Passed { observer_id, .. } => *observer_id,
        };
        let Some(observer) = self.get_mut(id) else {
            return;
        };
        let mut samples = 0;
        match (observed, &mut observer.work) {
            (
                Observed::Picked {
                    sight,
                    times,
                    length,
                    vlan_in,
                    header,
                    at,
                },
                Work::Sample(sampler),
            ) => {
                let picked = Picked {
                    frame_length: *length,
                    vlan_in: *vlan_in,
                    header,
                    at: *at,
                };
                for _ in 0..*times {
                    let (settings, budget) = (&observer.settings, &mut observer.budget);
                    let taken = sampler.take(sight, &picked, settings, budget, clock);
                    observer.records += u64::from(taken);
                }
                samples = sampler.waiting();
            }
            (
                Observed::Accounted {
                    sight,
                    tuple,
                    traffic,
                },
                Work::Account(cache),
            ) => {
                observer.packets += traffic.packets;
                observer.octets += traffic.octets;
                cache.add(sight, tuple, traffic, clock);
            }
            (Observed::Passed { packets, drops, .. }, Work::Sample(sampler)) => {
                observer.packets += packets;
                sampler.drops = sampler.drops.wrapping_add(*drops as u32);
            }
            (Observed::Passed { lost, .. }, Work::Account(cache)) => cache.lose(*lost),
            _ => {}
        }
        self.hurry(samples, now);
    }

    /// Samples wait a moment for company.
    fn hurry(&mut self, samples: usize, now: u64) {
        if samples > 0 {
            let at = if samples >= MANY_SAMPLES {
                now
            } else {
                now + GATHER
            };
            self.due = Some(self.due.map_or(at, |due| due.min(at)));
        }
    }

    /// When [`Observers::reports`] has something to do next.
    pub fn due(&self) -> Option<u64> {
        self.due
    }

    /// What is to be reported by now, to those who are `heard`, by observer.
    pub fn reports(&mut self, now: u64, heard: impl Fn(u32) -> bool) -> Vec<(u32, WeftMessage)> {
        self.due = None;
        let clock = self.clock;
        let mut reports = Vec::new();
        for observer in &mut self.all {
            let id = observer.settings.observer_id;
            if let Work::Account(cache) = &mut observer.work {
                let settings = &observer.settings;
                cache.expire(
                    settings.active_timeout_ms,
                    settings.idle_timeout_ms,
                    now,
                    clock,
                );
            }
            if heard(id) {
                let most = match observer.work {
                    Work::Sample(_) => usize::MAX,
                    Work::Account(_) => observer.budget.available(now),
                };
                reports.extend(observer.report(most).into_iter().map(|body| (id, body)));
            }
        }
        self.plan(now);
        reports
    }

    /// Reports all that an observer has open, of one port or of all ([`port_no::ANY`]), whatever the rate allows.
    pub fn flush(&mut self, id: u32, port: u32) -> Vec<WeftMessage> {
        let clock = self.clock;
        let Some(observer) = self.get_mut(id) else {
            return Vec::new();
        };
        if let Work::Account(cache) = &mut observer.work {
            let of_port = |in_port: u32| port == port_no::ANY || port == in_port;
            cache.flush(of_port, FlowEndReason::ForcedEnd, clock);
        }
        observer.report(usize::MAX)
    }

    /// Reports all that came in by a port that goes away, or all there is, by observer.
    pub fn flush_all(&mut self, port: u32) -> Vec<(u32, WeftMessage)> {
        let ids: Vec<u32> = self
            .settings()
            .map(|settings| settings.observer_id)
            .collect();
        let each = |id| self.flush(id, port).into_iter().map(move |body| (id, body));
        ids.into_iter().flat_map(each).collect()
    }

    /// Counters of one observer or of all.
    pub fn stats(&self, id: u32, now: u64) -> Vec<ObserverStats> {
        let all = id == weft_openflow::ObserverStatsRequest::ALL;
        let wanted = self
            .all
            .iter()
            .filter(|observer| all || observer.settings.observer_id == id);
        wanted.map(|observer| observer.stats(now)).collect()
    }
}

/// Unix time in milliseconds of a time of the caller's clock.
fn unix_ms(at: u64, clock: i64) -> u64 {
    (at / 1_000_000).saturating_add_signed(clock)
}

/// Whether a packet is one of those that are looked at, one in `interval` at random.
fn pass(skip: &mut u64, interval: u32, random: &mut Random) -> bool {
    if interval <= 1 {
        return true;
    }
    if *skip > 0 {
        *skip -= 1;
        return false;
    }
    *skip = random.skip(interval);
    true
}

impl Observer {
    /// Messages with what waits, of records at most so many.
    fn report(&mut self, most: usize) -> Vec<WeftMessage> {
        let observer_id = self.settings.observer_id;
        let mut messages = Vec::new();
        match &mut self.work {
            Work::Sample(sampler) => {
                while let Some(entries) = sampler.batch() {
                    messages.push(WeftMessage::Samples(Samples {
                        observer_id,
                        drops: sampler.drops,
                        pool: self.packets,
                        entries,
                    }));
                }
            }
            Work::Account(cache) => {
                let mut left = most;
                loop {
                    let entries = cache.take(left.min(RECORDS_PER_MESSAGE));
                    if entries.is_empty() {
                        break;
                    }
                    left -= entries.len();
                    self.records += entries.len() as u64;
                    self.budget.spend(entries.len());
                    messages.push(WeftMessage::FlowRecords(FlowRecords {
                        observer_id,
                        lost: cache.lost(),
                        entries,
                    }));
                }
            }
        }
        messages
    }

    fn stats(&self, now: u64) -> ObserverStats {
        let (lost, open_flows, queued) = match &self.work {
            Work::Sample(sampler) => (u64::from(sampler.drops), 0, sampler.waiting()),
            Work::Account(cache) => (cache.lost(), cache.open(), cache.waiting()),
        };
        ObserverStats {
            observer_id: self.settings.observer_id,
            kind: self.settings.kind,
            packets: self.packets,
            records: self.records,
            lost,
            open_flows: open_flows as u32,
            queued: queued as u32,
            octets: self.octets,
            age_ms: now.saturating_sub(self.since) / 1_000_000,
        }
    }
}

#[cfg(test)]
mod tests;
