//! What the pipeline does with packets: from the cache or by a walk.

use crate::datapath::Translation;
use crate::drops::{DropReason, Head};
use crate::execute::{Execution, Sink, Spares};
use crate::offload::Counts;
use crate::pipeline::{Owner, Pipeline, apply_credits, apply_entry};
use crate::ports::Ports;
use crate::trace::{Logged, Step, Trace};
use crate::translate::{Outcome, Walk, World};
use crate::validate::Place;
use weft_frame::{FlowKey, Packet, extract};
use weft_openflow::{Action, OfError};

/// Bytes of an Ethernet header: what is shorter is no frame.
const MIN_FRAME: usize = 14;

/// Whether a translation is good for other packets, too.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    Cached,
    Forgotten,
}

impl Pipeline {
    /// Processes a packet received on a port.
    pub fn process(&mut self, packet: &mut Packet, in_port: u32, now: u64, sink: &mut impl Sink) {
        if let Some(key) = self.process_cached(packet, in_port, now, sink) {
            let outcome = self.translate(packet, &key, in_port, now);
            self.carry_out(outcome, (&key, Keep::Cached), packet, in_port, now, sink);
        }
    }

    /// Processes a packet for which there is a cached translation; false: there is none, and nothing has been done. For
    /// packets that come while a transaction is open.
    pub fn process_known(
        &mut self,
        packet: &mut Packet,
        in_port: u32,
        now: u64,
        sink: &mut impl Sink,
    ) -> bool {
        self.process_cached(packet, in_port, now, sink).is_none()
    }

    /// Processes a packet if that needs no walk; its key, if it does.
    #[inline]
    fn process_cached(
        &mut self,
        packet: &mut Packet,
        in_port: u32,
        now: u64,
        sink: &mut impl Sink,
    ) -> Option<FlowKey> {
        if packet.len() < MIN_FRAME {
            let head = Head::of(packet);
            self.ports
                .count_drop(in_port, DropReason::Malformed, head, now);
            return None;
        }
        let key = extract(packet, in_port);
        let len = packet.len() as u64;
        let Pipeline {
            cache,
            ports,
            meters,
            spares,
            observers,
            ..
        } = self;
        cache.at(now);
        let Some((id, entry)) = cache.find(&key, len) else {
            return Some(key);
        };
        if let Some(reason) = entry.translation.drop {
            ports.count_drop(in_port, reason, Head::of(packet), now);
        }
        let translation = &entry.translation;
        let dropped = Execution {
            meters,
            ports,
            spares,
            in_port,
            now,
            head: metered_head(translation, packet),
            is_lost: translation.drop.is_some(),
            dropped: Vec::new(),
            key: &key,
            sights: &translation.sights,
            observers: Some(observers),
        }
        .run(&translation.actions, packet, sink);
        if !dropped.is_empty() {
            cache.count_dropped(id, &dropped, len);
        }
        None
    }

    /// Processes a packet without looking at or filling the cache: for tests that compare, and measurements.
    pub fn process_uncached(
        &mut self,
        packet: &mut Packet,
        in_port: u32,
        now: u64,
        sink: &mut impl Sink,
    ) {
        if packet.len() < MIN_FRAME {
            let head = Head::of(packet);
            return self
                .ports
                .count_drop(in_port, DropReason::Malformed, head, now);
        }
        let key = extract(packet, in_port);
        let outcome = self.translate(packet, &key, in_port, now);
        self.carry_out(outcome, (&key, Keep::Forgotten), packet, in_port, now, sink);
    }

    /// Carries out the actions of a packet-out (§7.3.7).
    pub fn packet_out(
        &mut self,
        owner: Owner,
        packet: &mut Packet,
        in_port: u32,
        actions: &[Action],
        now: u64,
        sink: &mut impl Sink,
    ) -> Result<(), OfError> {
        self.context(owner).unmatched(actions, Place::PacketOut)?;
        let key = extract(packet, in_port);
        let mut world = self.world(now);
        let outcome = Walk::new(&mut world, packet, &key, in_port, false).packet_out(actions);
        self.carry_out(outcome, (&key, Keep::Forgotten), packet, in_port, now, sink);
        Ok(())
    }

    /// Shows what would happen to a frame; nothing is counted, learned or sent.
    pub fn trace(&mut self, frame: &[u8], in_port: u32, now: u64) -> Trace {
        let mut packet = Packet::from_frame(frame);
        if packet.len() < MIN_FRAME {
            return Trace::dropped(DropReason::Malformed);
        }
        let key = extract(&mut packet, in_port);
        // Meters and drops count, but on copies: the verdict is that of the next packet to come.
        let (mut meters, mut ports) = (self.meters.copy(), Ports::default());
        let mut world = World {
            meters: &mut meters,
            ..self.world(now)
        };
        let outcome = Walk::new(&mut world, &packet, &key, in_port, true).received();
        let mut trace = Trace::new(outcome.steps, &outcome.translation, &key);
        trace.why_not = self.cache.refusal(&key, &outcome.translation, frame);
        Execution {
            meters: &mut meters,
            ports: &mut ports,
            spares: &mut Spares::default(),
            in_port,
            now,
            head: None,
            is_lost: outcome.translation.drop.is_some(),
            dropped: Vec::new(),
            key: &key,
            sights: &[],
            observers: None,
        }
        .run(&outcome.translation.actions, &mut packet, &mut trace);
        if let Some((reason, _)) = ports.drops().iter().next() {
            trace.drop = Some(reason);
            trace.steps.push(Logged {
                depth: 0,
                step: Step::Drop { reason },
            });
        }
        trace
    }

    fn world(&mut self, now: u64) -> World<'_> {
        World {
            config: &self.config,
            tables: &self.tables,
            groups: &self.groups,
            ports: &self.ports,
            meters: &mut self.meters,
            observers: &self.observers,
            now,
        }
    }

    pub(crate) fn translate(
        &mut self,
        packet: &Packet,
        key: &FlowKey,
        in_port: u32,
        now: u64,
    ) -> Outcome {
        let mut world = self.world(now);
        Walk::new(&mut world, packet, key, in_port, false).received()
    }

    /// Executes a translation, counts it, keeps it for others if they may use it, and learns what it says.
    fn carry_out(
        &mut self,
        outcome: Outcome,
        (key, keep): (&FlowKey, Keep),
        packet: &mut Packet,
        in_port: u32,
        now: u64,
        sink: &mut impl Sink,
    ) {
        let Outcome {
            mut translation,
            learned,
            ..
        } = outcome;
        let counts = Counts {
            packets: 1,
            bytes: packet.len() as u64,
        };
        if let Some(reason) = translation.drop {
            self.ports
                .count_drop(in_port, reason, Head::of(packet), now);
        }
        let Pipeline {
            ports,
            meters,
            spares,
            observers,
            ..
        } = self;
        let dropped_at = Execution {
            meters,
            ports,
            spares,
            in_port,
            now,
            head: metered_head(&translation, packet),
            is_lost: translation.drop.is_some(),
            dropped: Vec::new(),
            key,
            sights: &translation.sights,
            observers: Some(observers),
        }
        .run(&translation.actions, packet, sink);
        let mut dropped = Vec::new();
        if !dropped_at.is_empty() {
            dropped.resize(translation.passes.len(), Counts::default());
        }
        for pass in dropped_at {
            dropped[pass] = counts;
        }
        apply_credits(
            &mut self.tables,
            &mut self.groups,
            &translation,
            (counts, &dropped),
            now,
        );
        for request in learned {
            // What cannot be learned (a full table, say) is not: the packet has gone its way already.
            let _ = self.flow_mod(Owner::Program, &request, now);
        }
        if keep == Keep::Cached && translation.cacheable {
            let Pipeline {
                cache,
                tables,
                groups,
                ports,
                config,
                meters,
                ..
            } = self;
            if !cache.wants(key, &translation, config.cache_limit) {
                return;
            }
            if let Some(fast_path) = cache.fast_path() {
                for pass in &mut translation.passes {
                    pass.cell = meters.share(pass.meter_id, fast_path);
                }
            }
            cache.insert(key, translation, config.cache_limit, |entry| {
                apply_entry((tables, groups, meters, ports), entry);
            });
        }
    }
}

/// What to show of a packet that a meter drops on its way: nothing is kept where there is no meter.
fn metered_head(translation: &Translation, packet: &Packet) -> Option<Head> {
    (!translation.passes.is_empty()).then(|| Head::of(packet))
}
