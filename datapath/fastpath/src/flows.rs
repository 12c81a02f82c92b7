//! Flows of the pipeline as records, keys, masks and programs in the maps.

use std::mem::offset_of;
use std::time::Instant;

use weft_frame::{FlowKey, field};
use weft_pipeline::{CROWDED, Counts, Metered, Translation, Treated};

use crate::kernel::{Installed, Kernel, MAX_FLOWS, RECORDS};
use crate::keys::{self, Kind, Words};
use crate::layout::{
    BEHIND, Config, Count, FOLLOWS_ALL, FULL_WORDS, Flow, INLINE_OPS, MAX_OPS, Op, Program,
    SHORT_WORDS,
};
use crate::masks::Added;
use crate::meters::TOO_MANY_PASSES;
use crate::program::{Compiled, compile};
use crate::reach::is_readable;

/// A translation as the kernel would have it.
struct Plan {
    in_ifindex: u32,
    kind: Kind,
    compiled: Compiled,
}

/// What there may be too little room for.
const TOO_MANY_FLOWS: &str = "too many flows";
const TOO_MANY_MASKS: &str = "too many masks";
const TOO_MANY_PROGRAMS: &str = "too many long programs";
const NO_RECORD: &str = "records in use";
const NO_PLACE: &str = "no place for the key";
/// There are more meters than cells; that does not change as long as they are there.
const TOO_MANY_METERS: &str = "too many meters";
const LACKS: [&str; 6] = [
    TOO_MANY_FLOWS,
    TOO_MANY_MASKS,
    TOO_MANY_PROGRAMS,
    NO_RECORD,
    NO_PLACE,
    TOO_MANY_PASSES,
];

impl Kernel {
    /// See [`weft_pipeline::FastPath::install`].
    pub fn install(
        &mut self,
        bridge: u32,
        key: &FlowKey,
        translation: &Translation,
    ) -> Result<u32, &'static str> {
        let mut watch = None;
        let result = self.try_install(bridge, key, translation, &mut watch);
        if let Some(unused) = watch {
            self.observing.release(unused);
        }
        if let Err(why) = result {
            *self.refused.entry(why).or_default() += 1;
            if LACKS.contains(&why) {
                self.lacks += 1;
                return Err(CROWDED);
            }
        }
        result
    }

    fn try_install(
        &mut self,
        bridge: u32,
        key: &FlowKey,
        translation: &Translation,
        watch: &mut Option<u32>,
    ) -> Result<u32, &'static str> {
        let Plan {
            in_ifindex,
            kind,
            mut compiled,
        } = self.plan(bridge, key, translation)?;
        if translation.passes.iter().any(|pass| pass.cell.is_none()) {
            return Err(TOO_MANY_METERS);
        }
        if self.n_installed + self.adopted.len() >= MAX_FLOWS as usize {
            return Err(TOO_MANY_FLOWS);
        }
        *watch = Some(self.observing.watch(bridge, &translation.sights)?);
        let now = Instant::now();
        let mask_words = keys::words(&translation.mask, kind);
        let mask = self.add_mask(kind, &mask_words, now);
        let mask = mask.ok_or(TOO_MANY_MASKS)?;
        let Some(number) = self.records.take(now) else {
            self.drop_mask(kind, mask, now);
            return Err(NO_RECORD);
        };
        let passings = match self.metering.begin(&mut compiled.ops, now) {
            Ok(passings) => passings,
            Err(why) => {
                self.drop_mask(kind, mask, now);
                self.records.free(number, now);
                return Err(why);
            }
        };
        let mut words = keys::words(key, kind);
        for (word, mask) in words.iter_mut().zip(&mask_words) {
            *word &= mask;
        }
        words[0] = u64::from(in_ifindex) << 32 | u64::from(kind.first_mask() + mask);
        let mut installed = Installed {
            kind,
            mask,
            key: words,
            in_ifindex,
            compiled,
            long: None,
            watch: watch.take().unwrap_or_default(),
            seen: self.count(number),
            passings,
        };
        let result = self.write(number, &mut installed, now);
        if let Err(why) = result {
            self.release(number, &installed, now);
            return Err(why);
        }
        let slot = number as usize;
        if self.installed.len() <= slot {
            self.installed.resize_with(slot + 1, || None);
        }
        self.installed[slot] = Some(installed);
        self.n_installed += 1;
        Ok(number)
    }

    /// What a translation is to the kernel.
    fn plan(
        &self,
        bridge: u32,
        key: &FlowKey,
        translation: &Translation,
    ) -> Result<Plan, &'static str> {
        let in_port = key.get64(field::IN_PORT) as u32;
        let source = *self
            .targets
            .get(&(bridge, in_port))
            .ok_or("port without a device")?;
        let hook = self
            .hooks
            .get(&source.ifindex)
            .ok_or("port without the program")?;
        if source.policed {
            return Err("ingress policing");
        }
        let kind = keys::kind(&translation.mask).ok_or("match field")?;
        let targets = &self.targets;
        let resolve = |port: u32| targets.get(&(bridge, port)).copied();
        let compiled = compile(
            translation,
            key,
            !hook.is_internal,
            resolve,
            self.priority_of,
        )?;
        Ok(Plan {
            in_ifindex: source.ifindex,
            kind,
            compiled,
        })
    }

    /// See [`weft_pipeline::FastPath::refusal`].
    pub fn refusal(
        &self,
        bridge: u32,
        key: &FlowKey,
        translation: &Translation,
        frame: &[u8],
    ) -> Option<&'static str> {
        let Plan { kind, .. } = match self.plan(bridge, key, translation) {
            Ok(plan) => plan,
            Err(why) => return Some(why),
        };
        // What is shown to observers is read to the end, whatever the rules look at.
        let read = if translation.sights.is_empty() {
            kind
        } else {
            Kind::Full
        };
        if !is_readable(frame, read) {
            return Some("headers too deep");
        }
        let masks = match kind {
            Kind::Short => &self.short_masks,
            Kind::Full => &self.full_masks,
        };
        let has_room = masks.has_room(&keys::words(&translation.mask, kind), Instant::now());
        (!has_room).then_some(TOO_MANY_MASKS)
    }

    /// Writes the record, then the key that leads to it.
    fn write(
        &mut self,
        number: u32,
        installed: &mut Installed,
        now: Instant,
    ) -> Result<(), &'static str> {
        let ops = &installed.compiled.ops;
        let mut flow = Flow {
            n_ops: ops.len() as u8,
            follows: FOLLOWS_ALL,
            watch: installed.watch,
            behind: BEHIND,
            ..Flow::default()
        };
        if ops.len() <= INLINE_OPS {
            flow.op[..ops.len()].copy_from_slice(ops);
        } else {
            let long = self.long_program(ops, now).ok_or(TOO_MANY_PROGRAMS)?;
            installed.long = Some(long);
            flow.program = long as u16;
        }
        // The program may know the number from elsewhere, so the record is of no flow until all of it is there.
        flow.key[1..FULL_WORDS].copy_from_slice(&installed.key[1..]);
        self.flows.set(number as usize, flow);
        let key = &installed.key;
        let flows = &self.flows;
        let same = |other: u32| {
            flows
                .get(other as usize)
                .is_some_and(|flow| flow.key[..FULL_WORDS] == *key)
        };
        let result = self
            .keys
            .insert(&key[..installed.kind.words()], number, same);
        result.map_err(|_| NO_PLACE)?;
        self.flows
            .set_part(number as usize, offset_of!(Flow, key), key[0]);
        Ok(())
    }

    fn add_mask(&mut self, kind: Kind, words: &Words, now: Instant) -> Option<u32> {
        let masks = match kind {
            Kind::Short => &mut self.short_masks,
            Kind::Full => &mut self.full_masks,
        };
        let (id, added) = masks.add(words, now)?;
        if added == Added::New {
            let at = id as usize;
            match kind {
                Kind::Short => self.config.set_part(
                    0,
                    offset_of!(Config, short_mask) + at * 8 * SHORT_WORDS,
                    *words.first_chunk::<SHORT_WORDS>()?,
                ),
                Kind::Full => self.config.set_part(
                    0,
                    offset_of!(Config, full_mask) + at * 8 * FULL_WORDS,
                    *words,
                ),
            }
            self.publish_masks(kind);
        }
        Some(id)
    }

    fn drop_mask(&mut self, kind: Kind, mask: u32, now: Instant) {
        let masks = match kind {
            Kind::Short => &mut self.short_masks,
            Kind::Full => &mut self.full_masks,
        };
        if masks.remove(mask, now) {
            self.publish_masks(kind);
        }
    }

    /// Moves what programs look through: a search beside it may miss something, and is repeated.
    fn rearrange(&mut self, change: impl FnOnce(&mut Kernel)) {
        self.count_change();
        change(self);
        self.count_change();
    }

    fn count_change(&mut self) {
        self.changes = self.changes.wrapping_add(1);
        self.config
            .set_part(0, offset_of!(Config, changes), self.changes);
    }

    /// Tells the program which masks to try, in which order.
    pub(crate) fn publish_masks(&mut self, kind: Kind) {
        self.rearrange(|kernel| kernel.write_masks(kind));
    }

    fn write_masks(&mut self, kind: Kind) {
        let config = &mut self.config;
        match kind {
            Kind::Short => {
                for (place, id) in self.short_masks.order().iter().enumerate() {
                    config.set_part(0, offset_of!(Config, short_order) + place * 4, *id);
                }
                let n = self.short_masks.order().len() as u32;
                config.set_part(0, offset_of!(Config, n_short), n);
            }
            Kind::Full => {
                config.set_part(0, offset_of!(Config, full_union), self.full_masks.union());
                for (place, id) in self.full_masks.order().iter().enumerate() {
                    config.set_part(0, offset_of!(Config, full_order) + place * 4, *id);
                }
                let n = self.full_masks.order().len() as u32;
                config.set_part(0, offset_of!(Config, n_full), n);
            }
        }
    }

    fn long_program(&mut self, ops: &[Op], now: Instant) -> Option<u32> {
        if let Some((number, users)) = self.long.numbers.get_mut(ops) {
            *users += 1;
            return Some(*number);
        }
        let number = self.long_records.take(now)?;
        let mut program = Program {
            op: [Op::default(); MAX_OPS],
        };
        program.op[..ops.len()].copy_from_slice(ops);
        self.programs.set(number as usize, program);
        self.long.numbers.insert(ops.to_vec(), (number, 1));
        Some(number)
    }

    /// Takes back what a flow used, its key being out of the map.
    pub(crate) fn release(&mut self, number: u32, installed: &Installed, now: Instant) {
        self.drop_mask(installed.kind, installed.mask, now);
        self.metering.end(&installed.passings, now);
        if installed.long.is_some()
            && let Some((long, users)) = self.long.numbers.get_mut(&installed.compiled.ops)
        {
            *users -= 1;
            if *users == 0 {
                let long = *long;
                self.long.numbers.remove(&installed.compiled.ops);
                self.long_records.free(long, now);
            }
        }
        self.observing.release(installed.watch);
        self.records.free(number, now);
    }

    /// See [`weft_pipeline::FastPath::remove`].
    pub fn remove(&mut self, handle: u32) -> Treated {
        let Some(mut installed) = self.lift(handle) else {
            return Treated::default();
        };
        self.n_installed -= 1;
        self.end(handle, &installed);
        let counts = self.take_new(handle, &mut installed);
        self.release(handle, &installed, Instant::now());
        counts
    }

    /// See [`weft_pipeline::FastPath::take_counts`].
    pub fn take_counts(&mut self, handle: u32) -> Treated {
        let Some(mut installed) = self.lift(handle) else {
            return Treated::default();
        };
        let counts = self.take_new(handle, &mut installed);
        self.installed[handle as usize] = Some(installed);
        counts
    }

    /// Takes a flow away from the program.
    pub(crate) fn end(&mut self, number: u32, installed: &Installed) {
        let words = installed.kind.words();
        let key = &installed.key[..words];
        self.rearrange(|kernel| kernel.keys.remove(key, number));
        // A program may know the number from elsewhere: no frame comes in by interface 0.
        self.flows
            .set_part(number as usize, offset_of!(Flow, key), 0u64);
    }

    fn lift(&mut self, handle: u32) -> Option<Installed> {
        self.installed.get_mut(handle as usize)?.take()
    }

    /// The counters of a record, all CPUs together.
    pub(crate) fn count(&self, number: u32) -> Count {
        let mut sum = Count::default();
        for cpu in 0..self.cpus {
            let index = cpu as usize * RECORDS as usize + number as usize;
            let count = self.counts.get(index).unwrap_or_default();
            sum.packets = sum.packets.wrapping_add(count.packets);
            sum.bytes = sum.bytes.wrapping_add(count.bytes);
            sum.padding = sum.padding.wrapping_add(count.padding);
        }
        sum
    }

    /// What is new since last time, which ports are credited with at once.
    fn take_new(&mut self, number: u32, installed: &mut Installed) -> Treated {
        let now = self.count(number);
        let seen = std::mem::replace(&mut installed.seen, now);
        let packets = now.packets.wrapping_sub(seen.packets);
        let bytes = now.bytes.wrapping_sub(seen.bytes);
        let padding = now.padding.wrapping_sub(seen.padding);
        if packets == 0 {
            return Treated::default();
        }
        match installed.kind {
            Kind::Short => self.short_masks.hit(installed.mask, packets),
            Kind::Full => self.full_masks.hit(installed.mask, packets),
        }
        let port = self.port_counts.entry(installed.in_ifindex).or_default();
        port.rx_packets += packets;
        port.rx_bytes += bytes;
        let passes = self.take_dropped(installed, Counts { packets, bytes });
        // What is left behind each of the meters.
        let behind = |passed: usize| {
            let dropped = passes.iter().take(passed).map(|pass| pass.dropped);
            dropped.fold((packets, bytes), |left, dropped| {
                (left.0 - dropped.packets, left.1 - dropped.bytes)
            })
        };
        for output in &installed.compiled.outputs {
            let (packets, bytes) = behind(output.passed);
            let port = self.port_counts.entry(output.ifindex).or_default();
            port.tx_packets += packets;
            port.tx_bytes = (port.tx_bytes + bytes)
                .wrapping_add_signed(output.growth.wrapping_mul(packets as i64));
            if output.padded {
                port.tx_bytes += padding;
            }
        }
        let counts = Counts { packets, bytes };
        Treated { counts, passes }
    }

    /// What meters have done with a flow's packets. As these are counted first and then dropped, and looked at in that order
    /// here, too, there may be more dropped ones than that have been counted: the rest is next time's.
    fn take_dropped(&mut self, installed: &mut Installed, all: Counts) -> Vec<Metered> {
        let mut left = all;
        let mut passes = Vec::with_capacity(installed.passings.len());
        for passing in &mut installed.passings {
            let now = self.metering.dropped(passing.place);
            let seen = &mut passing.seen;
            let dropped = Counts {
                packets: now.packets.wrapping_sub(seen.packets).min(left.packets),
                bytes: now.bytes.wrapping_sub(seen.bytes).min(left.bytes),
            };
            seen.packets = seen.packets.wrapping_add(dropped.packets);
            seen.bytes = seen.bytes.wrapping_add(dropped.bytes);
            let growth = passing.growth.wrapping_mul(left.packets as i64);
            let shown = Counts {
                packets: left.packets,
                bytes: left.bytes.wrapping_add_signed(growth),
            };
            passes.push(Metered { shown, dropped });
            left.packets -= dropped.packets;
            left.bytes -= dropped.bytes;
        }
        passes
    }
}
