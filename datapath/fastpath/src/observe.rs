//! What the program samples and accounts for: see `bpf/observe.h`.
//!
//! A flow that is shown to observers has a _watch_, which flows that are shown alike share. What comes of it is brought to its
//! bridge's pipeline, which does the rest as with packets of its own. A watch is known until nothing can speak of it any more.

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{Ordering, fence};
use std::time::Instant;

use aya::Ebpf;
use aya::maps::{Map, MapData, RingBuf};
use weft_frame::{FlowKey, ethertype, field, ip_proto, parse};
use weft_pipeline::{
    ALWAYS, MAX_HEADER_BYTES, Observed, ObserverKind, ObserverMod, Sight, Traffic, Tuple,
};

use crate::kernel::{Error, shared, take};
use crate::layout::{
    self, ACCOUNT_KEY_WORDS, ACCOUNT_WORDS, MAX_OBSERVED, MAX_SIGHTS, MAX_WATCHES, Seen, Turn,
    Watch, sight_kind,
};
use crate::records::Records;
use crate::shared::{Shared, drain};

/// Samples fetched at once.
const MOST_SAMPLES: usize = 4096;
/// Times a processor is looked at before accounts are left for later: a program's work takes less than a microsecond.
const PATIENCE: u32 = 1 << 20;
/// Bytes of `struct sample` before the frame.
const SAMPLE_HEAD: usize = 32;
/// Bit of a TCI in keys: there is a tag.
const PRESENT: u16 = 0x1000;
/// Most that waits for one bridge.
const MAX_PENDING: usize = 1 << 18;

type Accounts = ([u64; ACCOUNT_KEY_WORDS], [u64; ACCOUNT_WORDS]);

/// An observer, and where its counters are.
#[derive(Debug)]
struct Observer {
    settings: ObserverMod,
    slot: u32,
}

/// The program's eyes.
pub(crate) struct Observing {
    watches: Shared<Watch>,
    seen: Shared<Seen>,
    turns: Shared<Turn>,
    samples: RingBuf<MapData>,
    accounts: [MapData; 2],
    /// Whose turn it is.
    turn: u64,
    /// Accounts of the other turn wait for a program.
    waiting: bool,
    cpus: u32,
    observers: HashMap<(u32, u32), Observer>,
    /// Slots of counters, and what was read there.
    slots: Vec<u32>,
    read: Vec<Seen>,
    numbers: Records,
    known: HashMap<(u32, Vec<Sight>), (u32, u32)>,
    /// Bridge and sights of each watch.
    sights: Vec<Option<(u32, Vec<Sight>)>>,
    /// Watches without flows, and how often accounts have been fetched since.
    retired: Vec<(u32, u8)>,
    pending: HashMap<u32, Vec<Observed>>,
    has_samples: bool,
}

impl std::fmt::Debug for Observing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} observers in the kernel", self.observers.len())
    }
}

fn data(bpf: &mut Ebpf, name: &str) -> Result<MapData, Error> {
    match bpf.take_map(name) {
        Some(Map::HashMap(data)) => Ok(data),
        _ => Err(Error(format!("the program has no hash map {name}"))),
    }
}

impl Observing {
    pub fn new(bpf: &mut Ebpf, cpus: u32) -> Result<Observing, Error> {
        let turns: Shared<Turn> = shared(bpf, "TURNS", cpus + 1)?;
        let turn = turns.get(0).unwrap_or_default().value;
        let mut numbers = Records::new(MAX_WATCHES);
        // The first stands for nobody.
        numbers.take(Instant::now());
        let mut observing = Observing {
            watches: shared(bpf, "WATCHES", MAX_WATCHES)?,
            seen: shared(bpf, "SEEN", MAX_OBSERVED * cpus)?,
            turns,
            samples: take(bpf, "SAMPLES")?,
            accounts: [data(bpf, "ACCOUNTS_0")?, data(bpf, "ACCOUNTS_1")?],
            turn,
            waiting: false,
            cpus,
            observers: HashMap::new(),
            slots: (0..MAX_OBSERVED).rev().collect(),
            read: vec![Seen::default(); MAX_OBSERVED as usize],
            numbers,
            known: HashMap::new(),
            sights: Vec::new(),
            retired: Vec::new(),
            pending: HashMap::new(),
            has_samples: false,
        };
        // What a process before us has left there is nobody's.
        (0..MAX_WATCHES as usize).for_each(|n| observing.watches.set(n, Watch::default()));
        while observing.samples.next().is_some() {}
        for accounts in &observing.accounts {
            let _ = drain::<ACCOUNT_KEY_WORDS, ACCOUNT_WORDS>(accounts.fd().as_fd());
        }
        for slot in 0..MAX_OBSERVED {
            observing.read[slot as usize] = observing.count(slot);
        }
        Ok(observing)
    }

    /// Readable when there are samples.
    pub fn wakes(&self) -> std::io::Result<OwnedFd> {
        // SAFETY is the library's: the descriptor belongs to the map.
        let fd: BorrowedFd<'_> = self.samples.as_fd();
        fd.try_clone_to_owned()
    }

    /// Says how a bridge's observers are set. Flows that are shown to them are not in the kernel at the moment.
    pub fn set_observers(&mut self, bridge: u32, list: &[ObserverMod]) {
        self.fetch(true);
        let gone: Vec<(u32, u32)> = self
            .observers
            .keys()
            .filter(|(owner, _)| *owner == bridge)
            .copied()
            .collect();
        for key in gone {
            if let Some(observer) = self.observers.remove(&key) {
                self.slots.push(observer.slot);
            }
        }
        for settings in list {
            let Some(slot) = self.slots.pop() else {
                return;
            };
            self.read[slot as usize] = self.count(slot);
            let observer = Observer {
                settings: settings.clone(),
                slot,
            };
            self.observers
                .insert((bridge, settings.observer_id), observer);
        }
    }

    /// The counters of a slot, all CPUs together.
    fn count(&self, slot: u32) -> Seen {
        let mut sum = Seen::default();
        for cpu in 0..self.cpus {
            let seen = self.seen.get((cpu * MAX_OBSERVED + slot) as usize);
            let seen = seen.unwrap_or_default();
            sum.pool = sum.pool.wrapping_add(seen.pool);
            sum.drops = sum.drops.wrapping_add(seen.drops);
            sum.lost = sum.lost.wrapping_add(seen.lost);
        }
        sum
    }

    /// The watch for packets that are shown so; 0: to nobody.
    ///
    /// # Errors
    /// Why it cannot be, in a few words.
    pub fn watch(&mut self, bridge: u32, sights: &[Sight]) -> Result<u32, &'static str> {
        if sights.is_empty() {
            return Ok(0);
        }
        // Accounts come first: the first of them says whether the kernel has room.
        let mut sights = sights.to_vec();
        sights.sort_by_key(|sight| !self.accounts_for(bridge, sight));
        let key = (bridge, sights);
        if let Some((number, users)) = self.known.get_mut(&key) {
            *users += 1;
            return Ok(*number);
        }
        let (bridge, sights) = &key;
        if sights.len() > MAX_SIGHTS {
            return Err("too many observers");
        }
        let mut watch = Watch::default();
        for sight in sights {
            let observer = self.observers.get(&(*bridge, sight.observer_id));
            let Observer { settings, slot } = observer.ok_or("observer not known")?;
            let accounts = settings.kind == ObserverKind::Account;
            watch.sight[watch.n as usize] = layout::Sight {
                kind: if accounts {
                    sight_kind::ACCOUNT
                } else {
                    sight_kind::SAMPLE
                },
                slot: *slot as u8,
                header_bytes: settings.header_bytes.min(MAX_HEADER_BYTES),
                threshold: threshold(sight.probability, settings.interval),
            };
            watch.n += 1;
            watch.accounts += u32::from(accounts);
        }
        let number = self
            .numbers
            .take(Instant::now())
            .ok_or("too many watches")?;
        self.watches.set(number as usize, watch);
        let at = number as usize;
        if self.sights.len() <= at {
            self.sights.resize_with(at + 1, || None);
        }
        self.sights[at] = Some((*bridge, sights.clone()));
        self.known.insert(key, (number, 1));
        Ok(number)
    }

    fn accounts_for(&self, bridge: u32, sight: &Sight) -> bool {
        self.observers
            .get(&(bridge, sight.observer_id))
            .is_some_and(|observer| observer.settings.kind == ObserverKind::Account)
    }

    /// A flow no longer uses a watch.
    pub fn release(&mut self, number: u32) {
        let Some(Some(key)) = self.sights.get(number as usize).cloned() else {
            return;
        };
        if let Some((_, users)) = self.known.get_mut(&key) {
            *users -= 1;
            if *users == 0 {
                self.known.remove(&key);
                self.retired.push((number, 0));
            }
        }
    }

    /// Whether the last fetch has left samples.
    pub fn has_samples(&self) -> bool {
        self.has_samples
    }

    /// Fetches samples, but not more than there is room for at once: new ones may come as fast. With `all`, accounts and
    /// counters too.
    pub fn fetch(&mut self, all: bool) {
        self.has_samples = true;
        for _ in 0..MOST_SAMPLES {
            let Some(item) = self.samples.next() else {
                self.has_samples = false;
                break;
            };
            if let Some(sample) = Sample::read(&item)
                && let Some((bridge, sights)) = known(&self.sights, sample.watch)
                && let Some(sight) = sights.get(sample.place)
            {
                let observed = sample.observed(*sight);
                push(&mut self.pending, bridge, observed);
            }
        }
        if all && !(self.known.is_empty() && self.retired.is_empty()) {
            self.fetch_accounts();
            self.fetch_counters();
        }
    }

    fn fetch_accounts(&mut self) {
        if !self.waiting {
            self.turn ^= 1;
            let turn = Turn {
                value: self.turn,
                ..Turn::default()
            };
            self.turns.set(0, turn);
            self.waiting = true;
        }
        fence(Ordering::SeqCst);
        for cpu in 1..=self.cpus as usize {
            let value = |turns: &Shared<Turn>| turns.get(cpu).unwrap_or_default().value;
            let before = value(&self.turns);
            let mut looks = 0;
            while before & 1 == 1 && value(&self.turns) == before {
                looks += 1;
                if looks > PATIENCE {
                    return;
                }
                std::hint::spin_loop();
            }
        }
        fence(Ordering::SeqCst);
        self.waiting = false;
        let other = &self.accounts[(self.turn & 1 ^ 1) as usize];
        let accounts: Vec<Accounts> = match drain(other.fd().as_fd()) {
            Ok(accounts) => accounts,
            Err(error) => {
                tracing::error!(%error, "accounts cannot be read");
                return;
            }
        };
        for (key, value) in accounts {
            let (watch, place) = (key[0] as u32, (key[0] >> 32) as u16);
            if let Some((bridge, sights)) = known(&self.sights, watch)
                && let Some(sight) = sights.get(usize::from(place))
                && let Some(observed) = accounted(*sight, &key, &value)
            {
                push(&mut self.pending, bridge, observed);
            }
        }
        let now = Instant::now();
        let numbers = &mut self.numbers;
        self.retired.retain_mut(|(number, fetches)| {
            *fetches += 1;
            if *fetches > 2 {
                numbers.free(*number, now);
            }
            *fetches <= 2
        });
    }

    fn fetch_counters(&mut self) {
        for ((bridge, id), observer) in &self.observers {
            let now = self.count(observer.slot);
            let read = std::mem::replace(&mut self.read[observer.slot as usize], now);
            if now != read {
                let observed = Observed::Passed {
                    observer_id: *id,
                    packets: now.pool.wrapping_sub(read.pool),
                    drops: now.drops.wrapping_sub(read.drops),
                    lost: now.lost.wrapping_sub(read.lost),
                };
                push(&mut self.pending, *bridge, observed);
            }
        }
    }

    /// Takes what was seen for a bridge.
    pub fn take(&mut self, bridge: u32) -> Vec<Observed> {
        self.pending.remove(&bridge).unwrap_or_default()
    }
}

fn known(sights: &[Option<(u32, Vec<Sight>)>], watch: u32) -> Option<(u32, &[Sight])> {
    let (bridge, sights) = sights.get(watch as usize)?.as_ref()?;
    Some((*bridge, sights))
}

fn push(pending: &mut HashMap<u32, Vec<Observed>>, bridge: u32, observed: Observed) {
    let list = pending.entry(bridge).or_default();
    // A bridge fetches every second; accounts are bounded by their maps, samples by this.
    if list.len() < MAX_PENDING || !matches!(observed, Observed::Picked { .. }) {
        list.push(observed);
    }
}

/// The chance of one in `interval`, on top of the action's, in units of 2^-32 and less one of them.
fn threshold(probability: u16, interval: u32) -> u32 {
    let parts = u64::from(probability) << 32;
    let of = u64::from(ALWAYS) * u64::from(interval.max(1));
    (parts / of).clamp(1, 1 << 32).wrapping_sub(1) as u32
}

/// An account as the pipeline knows it.
fn accounted(
    sight: Sight,
    key: &[u64; ACCOUNT_KEY_WORDS],
    value: &[u64; ACCOUNT_WORDS],
) -> Option<Observed> {
    let [packets, octets, first, last, flags, eth_dst, eth_src] = *value;
    if packets == 0 {
        return None;
    }
    let mut words = FlowKey::default();
    words.set(field::ETH_TYPE, u128::from(key[0] >> 48));
    words.set(field::PRESENT, u128::from(field::present::L3));
    let at = usize::from(field::IP_PROTO.word);
    words.0[at..at + 7].copy_from_slice(&key[1..]);
    let address = |word: u64| {
        let [_, _, address @ ..] = word.to_be_bytes();
        address
    };
    Some(Observed::Accounted {
        sight,
        tuple: Tuple::of(&words)?,
        traffic: Traffic {
            packets,
            octets,
            tcp_flags: flags as u16,
            eth_src: address(eth_src),
            eth_dst: address(eth_dst),
            first,
            last,
        },
    })
}

/// `struct sample`
struct Sample<'a> {
    at: u64,
    watch: u32,
    length: u32,
    place: usize,
    tci: u16,
    tpid: u16,
    gso_size: u16,
    times: u32,
    frame: &'a [u8],
}

impl Sample<'_> {
    fn read(bytes: &[u8]) -> Option<Sample<'_>> {
        let (head, frame) = bytes.split_first_chunk::<SAMPLE_HEAD>()?;
        let word =
            |at: usize| u32::from_ne_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let half = |at: usize| u16::from_ne_bytes([head[at], head[at + 1]]);
        Some(Sample {
            at: u64::from(word(0)) | u64::from(word(4)) << 32,
            watch: word(8),
            length: word(12),
            place: half(16).into(),
            tci: half(18),
            tpid: half(20),
            gso_size: half(22),
            times: word(24),
            frame: frame.get(..word(28) as usize)?,
        })
    }

    /// The kernel keeps the outermost tag beside the frame; here it is where it was.
    fn observed(&self, sight: Sight) -> Observed {
        let mut header = self.frame.to_vec();
        let mut length = self.length;
        if self.tpid != 0 && header.len() >= 12 {
            let tci = self.tci.to_be_bytes();
            header.splice(12..12, self.tpid.to_be_bytes().into_iter().chain(tci));
            length += 4;
        }
        Observed::Picked {
            sight,
            times: self.times,
            length: segment_length(&header, self.gso_size, length),
            vlan_in: if self.tpid == 0 {
                0
            } else {
                self.tci | PRESENT
            },
            header,
            at: self.at,
        }
    }
}

/// Bytes of a full segment of a frame whose segmentation is pending.
fn segment_length(header: &[u8], gso_size: u16, length: u32) -> u32 {
    let (_, layout) = parse(header, 0);
    if gso_size == 0
        || layout.l4_at == 0
        || !matches!(layout.ethertype, ethertype::IPV4 | ethertype::IPV6)
    {
        return length;
    }
    let l4_at = usize::from(layout.l4_at);
    let l4_bytes = if layout.ip_proto == ip_proto::TCP {
        4 * u32::from(header.get(l4_at + 12).copied().unwrap_or(0) >> 4)
    } else {
        8
    };
    length.min(l4_at as u32 + l4_bytes + u32::from(gso_size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chances_are_what_was_asked_for() {
        assert_eq!(threshold(ALWAYS, 1), u32::MAX);
        assert_eq!(
            threshold(ALWAYS, 100),
            (1u64 << 32).div_euclid(100) as u32 - 1
        );
        assert_eq!(threshold(1, u32::MAX), 0);
    }
}
