//! The BPF program and its maps.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, DefaultHasher, Hash, Hasher, RandomState};
use std::io;
use std::mem::offset_of;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use aya::maps::{HashMap as BpfHash, Map, MapData, MapError};
use aya::programs::tc::SchedClassifierLink;
use aya::programs::{ProgramError, SchedClassifier, SocketFilter};
use aya::{Ebpf, EbpfError, EbpfLoader};

use crate::keys::{Kind, Words};
use crate::layout::{
    BUCKETS, Config, Count, FULL_WORDS, Flow, MAX_FULL_MASKS, MAX_OBSERVED, MAX_PASSES, MAX_PORTS,
    MAX_SHORT_MASKS, Op, PUNT_DROP, Port, Program, STATISTICS, STATS,
};
use crate::linker::{Hooking, Linker};
use crate::masks::Masks;
use crate::meters::{Metering, Passing};
use crate::observe::Observing;
use crate::pins::Pins;
use crate::program::{Compiled, Target};
use crate::records::Records;
use crate::shared::Shared;
use crate::table::KeyTable;

/// The compiled program; empty where it was built without clang.
static OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/fastpath.bpf.o"));

/// Flows in the kernel at once.
pub(crate) const MAX_FLOWS: u32 = 65_536;
/// Records: as many again may be waiting to be used again.
pub(crate) const RECORDS: u32 = 2 * MAX_FLOWS;
/// Programs longer than a record has room for.
const LONG_PROGRAMS: u32 = 1024;
/// Load of one port that may be under way to user space: so many small frames, or 32 of 64 KB.
const PUNT_LIMIT: u32 = 4096;
/// The same while user space has little time for such frames: they are not to wait longer for it than it takes to look at the
/// queue again and again.
const SHORT_PUNT_LIMIT: u32 = 512;
/// Load of all ports: so many frames, if they are small, have to find room in the punt device's ring.
pub const PUNT_ROOM: u32 = 16_384;

/// The program's maps.
const MAPS: [&str; 17] = [
    "CONFIG",
    "COUNTS",
    "FLOWS",
    "PUNTS",
    "PROGRAMS",
    "STATISTICS",
    "PORTS",
    "KEYS",
    "FOUND",
    "WATCHES",
    "SEEN",
    "TURNS",
    "SAMPLES",
    "ACCOUNTS_0",
    "ACCOUNTS_1",
    "METERS",
    "DROPPED",
];

/// Name of the program, and of its pin.
pub(crate) const PROGRAM: &str = "weft";

/// Name of the filter for packet sockets.
const GATE: &str = "gate";

/// Why there is no fast path, or not on a device.
#[derive(Debug)]
pub struct Error(pub(crate) String);

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
    // Of the verifier's log, which has many lines, the last but its statistics says it.
    let (head, log) = text.split_once("Verifier output:").unwrap_or((&text, ""));
    let says = |line: &&str| !line.trim().is_empty() && !line.starts_with("processed ");
    let head = head.lines().next().unwrap_or_default().trim_end();
    match log.lines().rfind(says) {
        Some(line) => format!("{head} {line}"),
        None => head.to_owned(),
    }
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

/// Frames of a port that user space was to see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Punts {
    /// Sent there.
    pub sent: u64,
    /// Not sent, as too many of the port were on their way already.
    pub dropped: u64,
    /// On their way.
    pub waiting: u64,
}

/// What the program counts, by name.
pub type Statistics = BTreeMap<&'static str, u64>;

/// A flow in the kernel.
#[derive(Debug)]
pub(crate) struct Installed {
    pub kind: Kind,
    pub mask: u32,
    pub key: Words,
    pub in_ifindex: u32,
    pub compiled: Compiled,
    /// Number of its long program.
    pub long: Option<u32>,
    /// Number of its watch; 0: none.
    pub watch: u32,
    /// What the record's counters showed when last looked at.
    pub seen: Count,
    /// The meters it passes, in this order.
    pub passings: Vec<Passing>,
}

/// A device with the program on it.
#[derive(Debug)]
pub(crate) struct Hook {
    pub mark: u16,
    pub is_internal: bool,
    pub _link: SchedClassifierLink,
}

/// Long programs by what they say, as many flows flood alike.
#[derive(Debug, Default)]
pub(crate) struct LongPrograms {
    pub numbers: HashMap<Vec<Op>, (u32, u32)>,
}

/// The fast path of this process.
#[derive(Debug)]
pub struct Kernel {
    /// The program, where it is pinned: to go on with links of an earlier life.
    pub(crate) program: Option<SchedClassifier>,
    pub(crate) config: Shared<Config>,
    /// What the configuration says of changes: odd during one.
    pub(crate) changes: u32,
    pub(crate) flows: Shared<Flow>,
    pub(crate) counts: Shared<Count>,
    pub(crate) punts: Shared<Port>,
    pub(crate) programs: Shared<Program>,
    statistics: Shared<u64>,
    pub(crate) keys: KeyTable,
    pub(crate) ports: BpfHash<MapData, u32, u32>,
    gate: OwnedFd,
    pub(crate) cpus: u32,
    pub(crate) records: Records,
    /// By record.
    pub(crate) installed: Vec<Option<Installed>>,
    pub(crate) n_installed: usize,
    /// Flows of a process before us, by record.
    pub(crate) adopted: Vec<(u32, Installed)>,
    pub(crate) pins: Option<Pins>,
    pub(crate) hooking: Hooking,
    pub(crate) short_masks: Masks,
    pub(crate) full_masks: Masks,
    pub(crate) long: LongPrograms,
    pub(crate) long_records: Records,
    pub(crate) hooks: HashMap<u32, Hook>,
    /// Those that ports can have.
    pub(crate) marks: Vec<u16>,
    /// Ports' devices by their places, with their marks.
    pub(crate) marked: Vec<(u16, u32)>,
    /// Where the frames of a bridge's port go.
    pub(crate) targets: HashMap<(u32, u32), Target>,
    pub(crate) priority_of: fn(Option<u32>) -> u32,
    pub(crate) port_counts: HashMap<u32, PortCounts>,
    /// How often there was no room for one.
    pub(crate) lacks: u64,
    pub(crate) observing: Observing,
    pub(crate) metering: Metering,
    /// Why translations were not taken over.
    pub(crate) refused: BTreeMap<&'static str, u64>,
}

pub(crate) fn take<T: TryFrom<Map>>(bpf: &mut Ebpf, name: &str) -> Result<T, Error>
where
    T::Error: Into<Error>,
{
    let map = bpf
        .take_map(name)
        .ok_or_else(|| Error(format!("the program has no map {name}")))?;
    T::try_from(map).map_err(Into::into)
}

pub(crate) fn shared<T>(bpf: &mut Ebpf, name: &str, len: u32) -> Result<Shared<T>, Error> {
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
    /// they are settled ([`Kernel::settle`]). The [`Linker`] puts the program on devices.
    ///
    /// # Errors
    /// Says what is missing: the rights, the kernel's support, or the program itself in this build.
    pub fn load(punt_ifindex: u32, name: Option<&str>) -> Result<(Kernel, Linker), Error> {
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
        if let Some(pins) = &pins {
            let mut filters = Vec::new();
            if pins.remove_others(&mut filters) > 0 {
                tracing::info!("the fast path of another version is removed");
            }
            Kernel::remove_filters(&filters);
        }
        let mut bpf = match load_object(pins.as_ref(), cpus) {
            Err(error) if pins.is_some() => {
                // Of another shape, as on a machine with more CPUs: start anew.
                tracing::warn!(%error, "the fast path of the process before us cannot be taken over");
                let pins = pins.as_ref();
                pins.inspect(|pins| {
                    let filters = pins.filters();
                    pins.clear();
                    Kernel::remove_filters(&filters);
                });
                load_object(pins, cpus)?
            }
            other => other?,
        };
        let pinned = pins.as_ref().map(|pins| pins.map(PROGRAM));
        let program = match pinned {
            Some(path) => {
                // A program that is there already has passed the verifier, which takes a while.
                if !path.exists() {
                    let program = loaded(&mut bpf)?;
                    program.pin(&path).map_err(|error| Error(chain(&error)))?;
                }
                Some(path)
            }
            None => {
                loaded(&mut bpf)?;
                None
            }
        };
        let from_pin = || program.as_ref().map(SchedClassifier::from_pin).transpose();
        let mut config: Shared<Config> = shared(&mut bpf, "CONFIG", 1)?;
        let left = config.get(0);
        // One that was killed may have been at a change.
        let changes = left.map_or(0, |config| config.changes.wrapping_add(1) & !1);
        config.set_part(0, offset_of!(Config, changes), changes);
        // What a process before us has put into the table is found by its seed.
        let seed = left
            .map(|config| config.seed)
            .filter(|seed| *seed != [0; FULL_WORDS])
            .unwrap_or_else(random);
        config.set_part(0, offset_of!(Config, seed), seed);
        let mut kernel = Kernel {
            config,
            changes,
            flows: shared(&mut bpf, "FLOWS", RECORDS)?,
            counts: shared(&mut bpf, "COUNTS", RECORDS * cpus)?,
            punts: shared(&mut bpf, "PUNTS", MAX_PORTS)?,
            programs: shared(&mut bpf, "PROGRAMS", LONG_PROGRAMS)?,
            statistics: shared(&mut bpf, "STATISTICS", STATS as u32)?,
            keys: KeyTable::new(shared(&mut bpf, "KEYS", BUCKETS as u32)?, seed),
            gate: gate(&mut bpf)?,
            ports: take(&mut bpf, "PORTS")?,
            program: from_pin()?,
            pins: pins.clone(),
            hooking: Hooking::Tcx,
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
            // The first is all ports together.
            marks: (1..MAX_PORTS as u16).rev().collect(),
            marked: vec![(0, 0); MAX_PORTS as usize],
            targets: HashMap::new(),
            priority_of: |_| 0,
            port_counts: HashMap::new(),
            lacks: 0,
            observing: Observing::new(&mut bpf, cpus)?,
            metering: Metering::new(&mut bpf, cpus)?,
            refused: BTreeMap::new(),
        };
        kernel.adopt();
        let config = &mut kernel.config;
        config.set_part(0, offset_of!(Config, punt_ifindex), punt_ifindex);
        config.set_part(0, offset_of!(Config, punt_limit), PUNT_LIMIT);
        config.set_part(0, offset_of!(Config, punt_room), PUNT_ROOM);
        config.set_part(0, offset_of!(Config, flows), RECORDS);
        let linker = Linker::new(from_pin()?, bpf, pins);
        Ok((kernel, linker))
    }

    /// A filter for the packet socket of a device that is to become a port here ([`Kernel::hook`]): from then on it lets
    /// nothing through, and before everything.
    pub fn gate(&self) -> BorrowedFd<'_> {
        self.gate.as_fd()
    }

    /// Ends the fast path. Unless `keep`, nothing of it stays in the kernel.
    pub fn stop(&mut self, keep: bool) {
        if keep && self.hooking == Hooking::Clsact {
            // Their end would be that of the filters.
            self.hooks
                .drain()
                .for_each(|(_, hook)| std::mem::forget(hook));
        }
        // The pins last: then the kernel takes the program off devices by and by, and nobody waits.
        self.hooks.clear();
        if let Some(pins) = self.pins.take().filter(|_| !keep) {
            pins.remove_all();
        }
    }

    /// Removes what a process of that name may have left; whether there was anything.
    pub fn flush(name: &str) -> io::Result<bool> {
        let filters = Pins::flush(name)?;
        Kernel::remove_filters(filters.as_deref().unwrap_or_default());
        Ok(filters.is_some())
    }

    /// Says by which means the program gets onto devices ([`Linker::probe`]).
    pub fn set_hooking(&mut self, hooking: Hooking) {
        self.hooking = hooking;
    }

    /// By which means the program gets onto devices.
    pub fn hooking(&self) -> Hooking {
        self.hooking
    }

    /// Says which `SO_PRIORITY` leads to a queue of a device; before that there are no queues.
    pub fn set_queues(&mut self, priority_of: fn(Option<u32>) -> u32) {
        self.priority_of = priority_of;
    }

    /// Says where the frames of a bridge's port go; `None`: nowhere. Flows that are there already are not changed: a
    /// pipeline whose port has another target has to forget its translations. Returns whether it is a change.
    pub fn set_target(&mut self, bridge: u32, ofport: u32, target: Option<Target>) -> bool {
        match target {
            Some(target) => self.targets.insert((bridge, ofport), target) != Some(target),
            None => self.targets.remove(&(bridge, ofport)).is_some(),
        }
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

    /// Lets ports have as much under way to user space as its queue has room for, or only what it soon has time for.
    pub fn set_punts_short(&mut self, short: bool) {
        let limit = if short { SHORT_PUNT_LIMIT } else { PUNT_LIMIT };
        let config = &mut self.config;
        config.set_part(0, offset_of!(Config, punt_limit), limit);
    }

    /// Ports that the kernel has.
    pub fn n_ports(&self) -> usize {
        self.hooks.len()
    }

    /// Flows in the kernel, and masks among them.
    pub fn size(&self) -> (usize, usize) {
        let masks = self.short_masks.order().len() + self.full_masks.order().len();
        (self.n_installed, masks)
    }

    /// A descriptor that is readable when there are samples.
    ///
    /// # Errors
    /// There are no more descriptors.
    pub fn samples(&self) -> io::Result<OwnedFd> {
        self.observing.wakes()
    }

    /// Whether there are more samples than were fetched last.
    pub fn has_samples(&self) -> bool {
        self.observing.has_samples()
    }

    /// The most flows and masks there can be.
    pub fn limits(&self) -> (usize, usize) {
        (MAX_FLOWS as usize, MAX_SHORT_MASKS + MAX_FULL_MASKS)
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

    /// Frames that did not get to user space because too many were on their way.
    pub fn punts_dropped(&self) -> u64 {
        self.statistics.get(PUNT_DROP).unwrap_or_default()
    }

    /// How often there was no room for a flow.
    pub fn lacks(&self) -> u64 {
        self.lacks
    }

    /// Why translations were not taken over, and how often.
    pub fn refused(&self) -> &BTreeMap<&'static str, u64> {
        &self.refused
    }
}

/// Words that nobody can foretell.
fn random() -> [u64; FULL_WORDS] {
    let state = RandomState::new();
    std::array::from_fn(|word| state.hash_one(word))
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
        .map_max_entries("SEEN", MAX_OBSERVED.saturating_mul(cpus))
        .map_max_entries("DROPPED", MAX_PASSES.saturating_mul(cpus))
        .map_max_entries("TURNS", cpus + 1);
    if let Some(pins) = pins {
        for name in MAPS {
            loader.map_pin_path(name, pins.map(name));
        }
    }
    Ok(loader.load(OBJECT)?)
}

/// Hands the program to the kernel.
fn loaded(bpf: &mut Ebpf) -> Result<&mut SchedClassifier, Error> {
    let program = program(bpf)?;
    program.load()?;
    Ok(program)
}

fn gate(bpf: &mut Ebpf) -> Result<OwnedFd, Error> {
    let program = bpf
        .program_mut(GATE)
        .ok_or_else(|| Error(format!("no program {GATE}")))?;
    let program: &mut SocketFilter = program.try_into()?;
    program.load()?;
    Ok(program.fd()?.as_fd().try_clone_to_owned()?)
}

pub(crate) fn program(bpf: &mut Ebpf) -> Result<&mut SchedClassifier, Error> {
    let program = bpf
        .program_mut(PROGRAM)
        .ok_or_else(|| Error(format!("no program {PROGRAM}")))?;
    Ok(program.try_into()?)
}
