//! The BPF program and its maps.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::mem::offset_of;
use std::os::fd::AsFd;
use std::time::Instant;

use aya::maps::{HashMap as BpfHash, Map, MapData, MapError};
use aya::programs::links::FdLink;
use aya::programs::tc::{SchedClassifierLink, TcAttachOptions, TcAttachType};
use aya::programs::{LinkOrder, ProgramError, SchedClassifier};
use aya::{Ebpf, EbpfError, EbpfLoader};
use weft_frame::{FlowKey, field};
use weft_pipeline::{Counts, Translation};

use crate::keys::{self, Kind};
use crate::layout::{
    Config, Count, FULL_WORDS, Flow, INLINE_OPS, MAX_FULL_MASKS, MAX_OPS, MAX_SHORT_MASKS, Op,
    Program, Punt, SHORT_WORDS, STATISTICS, STATS,
};
use crate::masks::{Added, Masks};
use crate::pins::Pins;
use crate::program::{Compiled, Target, compile};
use crate::records::Records;
use crate::shared::Shared;

/// The compiled program; empty where it was built without clang.
static OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/fastpath.bpf.o"));

/// Flows in the kernel at once.
const MAX_FLOWS: u32 = 65_536;
/// Records: as many again may be waiting to be used again.
const RECORDS: u32 = 2 * MAX_FLOWS;
/// Programs longer than a record has room for.
const LONG_PROGRAMS: u32 = 1024;
/// Ports of all bridges.
const MAX_PORTS: u32 = 1024;
/// Frames of one port that may be under way to user space.
const PUNT_LIMIT: u32 = 2048;

/// The program's maps.
const MAPS: [&str; 9] = [
    "CONFIG",
    "COUNTS",
    "FLOWS",
    "PUNTS",
    "PROGRAMS",
    "STATISTICS",
    "PORTS",
    "SHORT_KEYS",
    "FULL_KEYS",
];

/// Why there is no fast path, or not on a device.
#[derive(Debug)]
pub struct Error(String);

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

macro_rules! from_error {
    ($($kind:ty),*) => {$(
        impl From<$kind> for Error {
            fn from(error: $kind) -> Error {
                Error(chain(&error))
            }
        }
    )*};
}
from_error!(EbpfError, ProgramError, MapError, io::Error);

/// An error with its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    // The verifier's log has many lines; the first says it.
    text.lines().next().unwrap_or_default().to_owned()
}

/// What passed a port in the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortCounts {
    /// Packets that came in and were treated there.
    pub rx_packets: u64,
    /// Their bytes.
    pub rx_bytes: u64,
    /// Packets sent.
    pub tx_packets: u64,
    /// Their bytes.
    pub tx_bytes: u64,
    /// Packets that user space had no room for.
    pub rx_dropped: u64,
}

/// What the program counts, by name.
pub type Statistics = BTreeMap<&'static str, u64>;

/// A flow in the kernel.
#[derive(Debug)]
pub(crate) struct Installed {
    pub kind: Kind,
    pub mask: u32,
    pub key: Vec<u64>,
    pub in_ifindex: u32,
    pub compiled: Compiled,
    /// Number of its long program.
    pub long: Option<u32>,
    /// What the record's counters showed when last looked at.
    pub seen: Count,
}

/// A device with the program on it.
#[derive(Debug)]
pub(crate) struct Hook {
    slot: u32,
    is_internal: bool,
    _link: SchedClassifierLink,
}

/// Long programs by what they say, as many flows flood alike.
#[derive(Debug, Default)]
pub(crate) struct LongPrograms {
    pub numbers: HashMap<Vec<Op>, (u32, u32)>,
}

/// The fast path of this process.
#[derive(Debug)]
pub struct Kernel {
    bpf: Ebpf,
    pub(crate) config: Shared<Config>,
    pub(crate) flows: Shared<Flow>,
    counts: Shared<Count>,
    punts: Shared<Punt>,
    pub(crate) programs: Shared<Program>,
    statistics: Shared<u64>,
    pub(crate) short_keys: BpfHash<MapData, [u64; SHORT_WORDS], u32>,
    pub(crate) full_keys: BpfHash<MapData, [u64; FULL_WORDS], u32>,
    pub(crate) ports: BpfHash<MapData, u32, u32>,
    cpus: u32,
    pub(crate) records: Records,
    /// By record.
    pub(crate) installed: Vec<Option<Installed>>,
    n_installed: usize,
    /// Flows of a process before us, by record.
    pub(crate) adopted: Vec<(u32, Installed)>,
    pub(crate) pins: Option<Pins>,
    pub(crate) short_masks: Masks,
    pub(crate) full_masks: Masks,
    pub(crate) long: LongPrograms,
    pub(crate) long_records: Records,
    pub(crate) hooks: HashMap<u32, Hook>,
    pub(crate) slots: Vec<u32>,
    /// Where the frames of a bridge's port go.
    targets: HashMap<(u32, u32), Target>,
    port_counts: HashMap<u32, PortCounts>,
    /// Why translations were not taken over.
    refused: BTreeMap<&'static str, u64>,
}

fn take<T: TryFrom<Map>>(bpf: &mut Ebpf, name: &str) -> Result<T, Error>
where
    T::Error: Into<Error>,
{
    let map = bpf
        .take_map(name)
        .ok_or_else(|| Error(format!("the program has no map {name}")))?;
    T::try_from(map).map_err(Into::into)
}

fn shared<T: Copy>(bpf: &mut Ebpf, name: &str, len: u32) -> Result<Shared<T>, Error> {
    let map = bpf
        .take_map(name)
        .ok_or_else(|| Error(format!("the program has no map {name}")))?;
    let Map::Array(data) = map else {
        return Err(Error(format!("map {name} is no array")));
    };
    Ok(Shared::map(data.fd().as_fd(), len as usize)?)
}

impl Kernel {
    /// Loads the program. Frames it finds nothing for go to the device `punt_ifindex`. With `name`, all of it stays in the
    /// kernel when the process ends, and the next one of that name goes on with it: flows that it finds are in force until
    /// they are settled ([`Kernel::settle`]).
    ///
    /// # Errors
    /// Says what is missing: the rights, the kernel's support, or the program itself in this build.
    pub fn load(punt_ifindex: u32, name: Option<&str>) -> Result<Kernel, Error> {
        if OBJECT.is_empty() {
            return Err(Error("built without clang".to_owned()));
        }
        let cpus =
            aya::util::nr_cpus().map_err(|(what, error)| Error(format!("{what}: {error}")))?;
        let cpus = u32::try_from(cpus).unwrap_or(1).max(1);
        let pins = name.and_then(|name| match Pins::open(name, &version()) {
            Ok(pins) => Some(pins),
            Err(error) => {
                tracing::warn!(%error, "the fast path ends with the process: nothing can be pinned");
                None
            }
        });
        if let Some(pins) = &pins
            && pins.remove_others() > 0
        {
            tracing::info!("the fast path of another version is removed");
        }
        let mut bpf = match load_object(pins.as_ref(), cpus) {
            Err(error) if pins.is_some() => {
                // Of another shape, as on a machine with more CPUs: start anew.
                tracing::warn!(%error, "the fast path of the process before us cannot be taken over");
                let pins = pins.as_ref();
                pins.inspect(|pins| pins.clear());
                load_object(pins, cpus)?
            }
            other => other?,
        };
        for name in ["weft_ingress", "weft_egress"] {
            program(&mut bpf, name)?.load()?;
        }
        let mut kernel = Kernel {
            config: shared(&mut bpf, "CONFIG", 1)?,
            flows: shared(&mut bpf, "FLOWS", RECORDS)?,
            counts: shared(&mut bpf, "COUNTS", RECORDS * cpus)?,
            punts: shared(&mut bpf, "PUNTS", MAX_PORTS)?,
            programs: shared(&mut bpf, "PROGRAMS", LONG_PROGRAMS)?,
            statistics: shared(&mut bpf, "STATISTICS", STATS as u32)?,
            short_keys: take(&mut bpf, "SHORT_KEYS")?,
            full_keys: take(&mut bpf, "FULL_KEYS")?,
            ports: take(&mut bpf, "PORTS")?,
            bpf,
            pins,
            cpus,
            records: Records::new(RECORDS),
            installed: Vec::new(),
            n_installed: 0,
            adopted: Vec::new(),
            short_masks: Masks::new(MAX_SHORT_MASKS),
            full_masks: Masks::new(MAX_FULL_MASKS),
            long: LongPrograms::default(),
            long_records: Records::new(LONG_PROGRAMS),
            hooks: HashMap::new(),
            slots: (0..MAX_PORTS).rev().collect(),
            targets: HashMap::new(),
            port_counts: HashMap::new(),
            refused: BTreeMap::new(),
        };
        kernel.adopt();
        let config = &mut kernel.config;
        config.set_part(0, offset_of!(Config, punt_ifindex), punt_ifindex);
        config.set_part(0, offset_of!(Config, punt_limit), PUNT_LIMIT);
        config.set_part(0, offset_of!(Config, flows), RECORDS);
        Ok(kernel)
    }

    /// Ends the fast path. Unless `keep`, nothing of it stays in the kernel.
    pub fn stop(&mut self, keep: bool) {
        if let Some(pins) = self.pins.take().filter(|_| !keep) {
            pins.remove_all();
        }
        self.hooks.clear();
    }

    /// Removes what a process of that name may have left; whether there was anything.
    pub fn flush(name: &str) -> io::Result<bool> {
        Pins::flush(name)
    }

    /// Puts the program on a device: at its ingress, or, as an internal interface, at its egress.
    pub fn attach(&mut self, ifindex: u32, name: &str, is_internal: bool) -> Result<(), Error> {
        if self.hooks.contains_key(&ifindex) {
            return Ok(());
        }
        let known = self.ports.get(&ifindex, 0).ok();
        let slot = known
            .or_else(|| self.slots.pop())
            .ok_or_else(|| Error("too many ports".to_owned()))?;
        if known.is_none() {
            self.punts.set(slot as usize, Punt::default());
        }
        let link = match self.ports.insert(ifindex, slot, 0) {
            Ok(()) => self.link(ifindex, name, is_internal),
            Err(error) => Err(error.into()),
        };
        match link {
            Ok(link) => {
                let hook = Hook {
                    slot,
                    is_internal,
                    _link: link,
                };
                self.hooks.insert(ifindex, hook);
                Ok(())
            }
            Err(error) => {
                // Nothing looks for a device that has no program.
                let _ = self.ports.remove(&ifindex);
                self.slots.push(slot);
                Err(error)
            }
        }
    }

    /// Links the program to a device, in place of the one that a process before us has left there.
    fn link(
        &mut self,
        ifindex: u32,
        name: &str,
        is_internal: bool,
    ) -> Result<SchedClassifierLink, Error> {
        let (program_name, hook) = if is_internal {
            ("weft_egress", TcAttachType::Egress)
        } else {
            ("weft_ingress", TcAttachType::Ingress)
        };
        let program = program(&mut self.bpf, program_name)?;
        if let Some(left) = self.pins.as_ref().and_then(|pins| pins.link(ifindex)) {
            let taken = SchedClassifierLink::try_from(left)
                .map_err(|error| Error(error.to_string()))
                .and_then(|link| Ok(program.attach_to_link(link)?));
            match taken {
                Ok(id) => return Ok(program.take_link(id)?),
                Err(error) => {
                    // Of a device that was removed meanwhile.
                    tracing::debug!(port = name, %error, "a link is made anew");
                    self.pins.iter().for_each(|pins| pins.remove_link(ifindex));
                }
            }
        }
        let order = TcAttachOptions::TcxOrder(LinkOrder::default());
        let id = program.attach_with_options(name, hook, order)?;
        let link = program.take_link(id)?;
        let Some(pins) = &self.pins else {
            return Ok(link);
        };
        let link = FdLink::try_from(link).map_err(|error| Error(error.to_string()))?;
        let link = pins.pin_link(ifindex, link)?;
        SchedClassifierLink::try_from(link).map_err(|error| Error(error.to_string()))
    }

    /// Takes the program off a device, which may be gone already.
    pub fn detach(&mut self, ifindex: u32) {
        if let Some(hook) = self.hooks.remove(&ifindex) {
            self.pins.iter().for_each(|pins| pins.remove_link(ifindex));
            let dropped = self
                .punts
                .get(hook.slot as usize)
                .map_or(0, |punt| punt.dropped);
            self.port_counts.entry(ifindex).or_default().rx_dropped += dropped;
            let _ = self.ports.remove(&ifindex);
            self.slots.push(hook.slot);
        }
    }

    /// Whether the program is on a device.
    pub fn is_attached(&self, ifindex: u32) -> bool {
        self.hooks.contains_key(&ifindex)
    }

    /// Says where the frames of a bridge's port go; `None`: nowhere. Flows that are there already are not changed: a
    /// pipeline whose port has another target has to forget its translations. Returns whether it is a change.
    pub fn set_target(&mut self, bridge: u32, ofport: u32, target: Option<Target>) -> bool {
        match target {
            Some(target) => self.targets.insert((bridge, ofport), target) != Some(target),
            None => self.targets.remove(&(bridge, ofport)).is_some(),
        }
    }

    /// Frames of a device that user space has taken from the punt device.
    pub fn punted(&mut self, ifindex: u32, frames: u64) {
        if let Some(hook) = self.hooks.get(&ifindex) {
            let slot = hook.slot as usize;
            if let Some(punt) = self.punts.get(slot) {
                self.punts
                    .set_part(slot, offset_of!(Punt, taken), punt.taken + frames);
            }
        }
    }

    /// Frames sent to user space so far, by port: taken before the punt device is emptied, see [`Kernel::drained`].
    pub fn punt_marks(&self) -> Vec<(u32, u64)> {
        let sent = |slot: u32| self.punts.get(slot as usize).map_or(0, |punt| punt.sent);
        self.hooks
            .iter()
            .map(|(ifindex, hook)| (*ifindex, sent(hook.slot)))
            .collect()
    }

    /// The punt device was empty after those marks were taken: what was sent before and did not arrive was lost.
    pub fn drained(&mut self, marks: &[(u32, u64)]) {
        for (ifindex, sent) in marks {
            if let Some(hook) = self.hooks.get(ifindex) {
                let slot = hook.slot as usize;
                if self.punts.get(slot).is_some_and(|punt| punt.taken < *sent) {
                    self.punts.set_part(slot, offset_of!(Punt, taken), *sent);
                }
            }
        }
    }

    /// See [`weft_pipeline::FastPath::install`].
    pub fn install(
        &mut self,
        bridge: u32,
        key: &FlowKey,
        translation: &Translation,
    ) -> Result<u32, &'static str> {
        let result = self.try_install(bridge, key, translation);
        if let Err(why) = result {
            *self.refused.entry(why).or_default() += 1;
        }
        result
    }

    fn try_install(
        &mut self,
        bridge: u32,
        key: &FlowKey,
        translation: &Translation,
    ) -> Result<u32, &'static str> {
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
            &translation.actions,
            key,
            &translation.mask,
            !hook.is_internal,
            resolve,
        )?;
        let now = Instant::now();
        let number = self.records.take(now).ok_or("records in use")?;
        let mask_words = keys::words(&translation.mask, kind);
        let Some(mask) = self.add_mask(kind, &mask_words, now) else {
            self.records.free(number, now);
            return Err("too many masks");
        };
        let mut words = keys::words(key, kind);
        for (word, mask) in words.iter_mut().zip(&mask_words) {
            *word &= mask;
        }
        words[0] = u64::from(source.ifindex) << 32 | u64::from(mask);
        let mut installed = Installed {
            kind,
            mask,
            key: words,
            in_ifindex: source.ifindex,
            compiled,
            long: None,
            seen: self.count(number),
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

    /// Writes the record, then the key that leads to it.
    fn write(
        &mut self,
        number: u32,
        installed: &mut Installed,
        now: Instant,
    ) -> Result<(), &'static str> {
        let ops = &installed.compiled.ops;
        let mut flow = Flow {
            n_ops: ops.len() as u16,
            ..Flow::default()
        };
        if ops.len() <= INLINE_OPS {
            flow.op[..ops.len()].copy_from_slice(ops);
        } else {
            let long = self
                .long_program(ops, now)
                .ok_or("too many long programs")?;
            installed.long = Some(long);
            flow.program = long as u16;
        }
        flow.key[..installed.key.len()].copy_from_slice(&installed.key);
        self.flows.set(number as usize, flow);
        self.insert_key(installed, number).map_err(|_| "map full")
    }

    fn insert_key(&mut self, installed: &Installed, number: u32) -> Result<(), MapError> {
        match installed.kind {
            Kind::Short => self.short_keys.insert(array(&installed.key), number, 0),
            Kind::Full => self.full_keys.insert(array(&installed.key), number, 0),
        }
    }

    fn add_mask(&mut self, kind: Kind, words: &[u64], now: Instant) -> Option<u32> {
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
                    array::<SHORT_WORDS>(words),
                ),
                Kind::Full => self.config.set_part(
                    0,
                    offset_of!(Config, full_mask) + at * 8 * FULL_WORDS,
                    array::<FULL_WORDS>(words),
                ),
            }
            self.publish_masks(kind);
        }
        Some(id)
    }

    /// Tells the program which masks to try, in which order.
    pub(crate) fn publish_masks(&mut self, kind: Kind) {
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
        let masks = match installed.kind {
            Kind::Short => &mut self.short_masks,
            Kind::Full => &mut self.full_masks,
        };
        if masks.remove(installed.mask, now) {
            self.publish_masks(installed.kind);
        }
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
        self.records.free(number, now);
    }

    /// See [`weft_pipeline::FastPath::remove`].
    pub fn remove(&mut self, handle: u32) -> Counts {
        let Some(mut installed) = self.lift(handle) else {
            return Counts::default();
        };
        self.n_installed -= 1;
        // It fails only if the key is not there, which is what is wanted.
        let _ = match installed.kind {
            Kind::Short => self.short_keys.remove(&array(&installed.key)),
            Kind::Full => self.full_keys.remove(&array(&installed.key)),
        };
        let counts = self.take_new(handle, &mut installed);
        self.release(handle, &installed, Instant::now());
        counts
    }

    /// See [`weft_pipeline::FastPath::take_counts`].
    pub fn take_counts(&mut self, handle: u32) -> Counts {
        let Some(mut installed) = self.lift(handle) else {
            return Counts::default();
        };
        let counts = self.take_new(handle, &mut installed);
        self.installed[handle as usize] = Some(installed);
        counts
    }

    /// Takes a flow's key out of its map, unless the key leads to another record by now.
    pub(crate) fn remove_key_of(&mut self, installed: &Installed, number: u32) {
        // It fails only if the key is not there, which is what is wanted.
        let _ = match installed.kind {
            Kind::Short => {
                let key = array(&installed.key);
                match self.short_keys.get(&key, 0) {
                    Ok(there) if there != number => Ok(()),
                    _ => self.short_keys.remove(&key),
                }
            }
            Kind::Full => {
                let key = array(&installed.key);
                match self.full_keys.get(&key, 0) {
                    Ok(there) if there != number => Ok(()),
                    _ => self.full_keys.remove(&key),
                }
            }
        };
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
    fn take_new(&mut self, number: u32, installed: &mut Installed) -> Counts {
        let now = self.count(number);
        let seen = std::mem::replace(&mut installed.seen, now);
        let packets = now.packets.wrapping_sub(seen.packets);
        let bytes = now.bytes.wrapping_sub(seen.bytes);
        let padding = now.padding.wrapping_sub(seen.padding);
        if packets == 0 {
            return Counts::default();
        }
        match installed.kind {
            Kind::Short => self.short_masks.hit(installed.mask, packets),
            Kind::Full => self.full_masks.hit(installed.mask, packets),
        }
        let port = self.port_counts.entry(installed.in_ifindex).or_default();
        port.rx_packets += packets;
        port.rx_bytes += bytes;
        for output in &installed.compiled.outputs {
            let port = self.port_counts.entry(output.ifindex).or_default();
            port.tx_packets += packets;
            port.tx_bytes = (port.tx_bytes + bytes)
                .wrapping_add_signed(output.growth.wrapping_mul(packets as i64));
            if output.padded {
                port.tx_bytes += padding;
            }
        }
        Counts { packets, bytes }
    }

    /// What passed a device in the kernel, as far as pipelines have asked for their counts.
    pub fn port_counts(&self, ifindex: u32) -> PortCounts {
        let mut counts = self.port_counts.get(&ifindex).copied().unwrap_or_default();
        if let Some(hook) = self.hooks.get(&ifindex) {
            counts.rx_dropped += self
                .punts
                .get(hook.slot as usize)
                .map_or(0, |punt| punt.dropped);
        }
        counts
    }

    /// Forgets the counters of a device that is gone.
    pub fn take_port_counts(&mut self, ifindex: u32) -> PortCounts {
        self.port_counts.remove(&ifindex).unwrap_or_default()
    }

    /// Work of every second: the masks that are used most are tried first.
    pub fn tick(&mut self) {
        if self.short_masks.sort() {
            self.publish_masks(Kind::Short);
        }
        if self.full_masks.sort() {
            self.publish_masks(Kind::Full);
        }
    }

    /// Flows in the kernel, and masks among them.
    pub fn size(&self) -> (usize, usize) {
        let masks = self.short_masks.order().len() + self.full_masks.order().len();
        (self.n_installed, masks)
    }

    /// What the program counted.
    pub fn statistics(&self) -> Statistics {
        let value = |index: usize| self.statistics.get(index).unwrap_or_default();
        STATISTICS
            .iter()
            .enumerate()
            .map(|(index, name)| (*name, value(index)))
            .collect()
    }

    /// Why translations were not taken over, and how often.
    pub fn refused(&self) -> &BTreeMap<&'static str, u64> {
        &self.refused
    }
}

/// Which program this is: maps of another one have another layout, or mean something else.
fn version() -> String {
    let mut hasher = DefaultHasher::new();
    (OBJECT, RECORDS, MAX_FLOWS).hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

fn load_object(pins: Option<&Pins>, cpus: u32) -> Result<Ebpf, Error> {
    let mut loader = EbpfLoader::new();
    loader
        .map_max_entries("COUNTS", RECORDS.saturating_mul(cpus))
        .map_max_entries("FLOWS", RECORDS)
        .map_max_entries("SHORT_KEYS", MAX_FLOWS)
        .map_max_entries("FULL_KEYS", MAX_FLOWS);
    if let Some(pins) = pins {
        for name in MAPS {
            loader.map_pin_path(name, pins.map(name));
        }
    }
    Ok(loader.load(OBJECT)?)
}

fn program<'a>(bpf: &'a mut Ebpf, name: &str) -> Result<&'a mut SchedClassifier, Error> {
    let program = bpf
        .program_mut(name)
        .ok_or_else(|| Error(format!("no program {name}")))?;
    Ok(program.try_into()?)
}

/// Words of a key of that kind.
fn array<const N: usize>(words: &[u64]) -> [u64; N] {
    std::array::from_fn(|i| words.get(i).copied().unwrap_or_default())
}
