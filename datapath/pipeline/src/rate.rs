//! Rates: when the next packet is due (GCRA, ITU-T I.371 annex A; the same as a token bucket).
//!
//! Instead of counting tokens, a band keeps the time at which its bucket was or will be empty: its _due_ time. A packet that
//! comes later finds tokens and passes; it moves the due time on by what it costs, from `now - tolerance` at least, as
//! that is where a full bucket stands. It may cost more than there is: then those after it wait until the debt is paid,
//! so that frames larger than the bucket get their share, too. There is nothing to be refilled, so a bucket is one word that
//! is changed by compare-and-swap, and the kernel's program (`fastpath/bpf/meter.h`, which says the same in C)
//! and the pipeline can use it at once. A test holds the two to each other.
//!
//! # Precision
//! Times are in 1/16 ns: 18 years of uptime, and 64 bytes at 10 Gbit/s cost 819 of these units. Costs are kept per byte (or per
//! packet) with 16 bits more behind the point, and rounded once per packet: to 0.06 % there, less where packets cost more.

use std::fmt::Debug;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering::Relaxed};

/// Bits behind the point of times in nanoseconds.
const TIME_BITS: u32 = 4;
/// Bits behind the point of costs, in units of time.
const COST_BITS: u32 = 16;
/// A longer burst makes no difference: nine years.
const MAX_TOLERANCE: u128 = 1 << 62;
/// How often compare-and-swap is tried before the packet is charged for without looking again.
const TRIES: u32 = 4;
/// Bands of a meter that the fast path has room for.
pub const MAX_SHARED_BANDS: usize = 4;

/// A band as both worlds see it: `struct band` of `bpf/layout.h`.
#[repr(C)]
#[derive(Debug, Default)]
pub struct Band {
    due: AtomicI64,
    cost: AtomicU64,
    tolerance: AtomicU64,
    /// What it has acted on.
    packets: AtomicU64,
    bytes: AtomicU64,
}

/// A meter as both worlds see it: `struct meter` of `bpf/layout.h`. Bands have the order in which they act: highest rate first.
#[repr(C, align(64))]
#[derive(Debug, Default)]
pub struct MeterCell {
    bands: AtomicU32,
    per_packet: AtomicU32,
    band: [Band; MAX_SHARED_BANDS],
    reserved: [AtomicU64; 3],
}

/// A meter's cell in memory that is shared with a fast path. Who drops it gives it back.
pub trait SharedCell: Debug + Send + Sync {
    /// The cell.
    fn cell(&self) -> &MeterCell;
    /// By which number the fast path knows it.
    fn number(&self) -> u32;
}

/// What a meter's rates are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Kilobits (1000 bit) a second, bursts in kilobits.
    Kilobits,
    /// Packets a second, bursts in packets.
    Packets,
}

impl Unit {
    /// What a packet of so many bytes counts.
    pub fn amount(self, bytes: usize) -> u64 {
        match self {
            Unit::Kilobits => bytes as u64,
            Unit::Packets => 1,
        }
    }
}

/// `now`, in nanoseconds, as bands count it.
fn time(now: u64) -> i64 {
    (now << TIME_BITS) as i64
}

impl Band {
    /// A full bucket. `rate` is not zero; `burst` in what the rate is of, `None`: what comes in 50 ms, at least one.
    pub fn new(unit: Unit, rate: u32, burst: Option<u32>, now: u64) -> Band {
        let rate = u128::from(rate.max(1));
        let second = 1_000_000_000u128 << TIME_BITS;
        // A byte is 8/1000 kilobit.
        let (times, parts) = match unit {
            Unit::Kilobits => (8, 1000),
            Unit::Packets => (1, 1),
        };
        let cost = (((second * times) << COST_BITS) + parts * rate / 2) / (parts * rate);
        let tolerance = match burst {
            Some(burst) => second * u128::from(burst) / rate,
            None => (second / 20).max(second / rate),
        };
        let tolerance = tolerance.clamp(1, MAX_TOLERANCE);
        Band {
            due: AtomicI64::new(time(now).wrapping_sub(tolerance as i64)),
            cost: AtomicU64::new(cost as u64),
            tolerance: AtomicU64::new(tolerance as u64),
            packets: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        }
    }

    /// Whether the rate is exceeded; if not, `amount` (bytes or one packet) is charged for.
    fn exceeds(&self, amount: u64, now: i64) -> bool {
        let cost = self.cost.load(Relaxed);
        let half = 1 << (COST_BITS - 1);
        let cost = (amount.wrapping_mul(cost).wrapping_add(half) >> COST_BITS) as i64;
        let full = now.wrapping_sub(self.tolerance.load(Relaxed) as i64);
        let mut due = self.due.load(Relaxed);
        for _ in 0..TRIES {
            if now <= due {
                return true;
            }
            let next = due.max(full).wrapping_add(cost);
            match self.due.compare_exchange(due, next, Relaxed, Relaxed) {
                Ok(_) => return false,
                Err(other) => due = other,
            }
        }
        if now <= due {
            return true;
        }
        // Others were faster each time. None of them has left it behind `full`, so what is charged still adds up.
        self.due.fetch_add(cost, Relaxed);
        false
    }

    /// Counts a packet that it has acted on.
    pub fn count(&self, bytes: usize) {
        self.packets.fetch_add(1, Relaxed);
        self.bytes.fetch_add(bytes as u64, Relaxed);
    }

    /// Packets and bytes that it has acted on.
    pub fn counted(&self) -> (u64, u64) {
        (self.packets.load(Relaxed), self.bytes.load(Relaxed))
    }

    /// Due time, cost and tolerance, as the program knows them.
    pub fn state(&self) -> [u64; 3] {
        let due = self.due.load(Relaxed) as u64;
        [due, self.cost.load(Relaxed), self.tolerance.load(Relaxed)]
    }

    /// Becomes what the other one is now.
    fn assign(&self, other: &Band) {
        self.cost.store(other.cost.load(Relaxed), Relaxed);
        self.tolerance.store(other.tolerance.load(Relaxed), Relaxed);
        self.due.store(other.due.load(Relaxed), Relaxed);
        self.packets.store(other.packets.load(Relaxed), Relaxed);
        self.bytes.store(other.bytes.load(Relaxed), Relaxed);
    }

    /// One that goes its own way from now on.
    pub fn copy(&self) -> Band {
        let band = Band::default();
        band.assign(self);
        band
    }
}

/// Takes a packet into account: every band that is not exceeded charges for it. Gives the first one that is.
pub fn exceeding(bands: &[Band], amount: u64, now: u64) -> Option<usize> {
    let now = time(now);
    let mut acting = None;
    for (place, band) in bands.iter().enumerate() {
        if band.exceeds(amount, now) && acting.is_none() {
            acting = Some(place);
        }
    }
    acting
}

impl MeterCell {
    /// Becomes a meter with these bands, of which there are [`MAX_SHARED_BANDS`] at most. Nobody may be at it.
    pub fn assign(&self, unit: Unit, bands: &[Band]) {
        for (here, band) in self.band.iter().zip(bands) {
            here.assign(band);
        }
        let per_packet = u32::from(unit == Unit::Packets);
        self.per_packet.store(per_packet, Relaxed);
        let count = bands.len().min(MAX_SHARED_BANDS);
        self.bands.store(count as u32, Relaxed);
    }

    /// Its bands.
    pub fn bands(&self) -> &[Band] {
        let count = self.bands.load(Relaxed) as usize;
        &self.band[..count.min(MAX_SHARED_BANDS)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn layout_is_that_of_the_program() {
        assert_eq!(size_of::<Band>(), 40);
        assert_eq!(size_of::<MeterCell>(), 192);
    }

    /// How much more passes than the rate, as a share of it, when frames of this size come a tenth faster than it.
    fn excess(rate: u32, frame: u64) -> f64 {
        const COUNT: u64 = 400_000;
        let band = [Band::new(Unit::Kilobits, rate, Some(100), 0)];
        let cost_ns = frame as f64 * 8e6 / f64::from(rate);
        let at = |n: u64| (n as f64 * cost_ns / 1.1) as u64;
        let passed = (0..COUNT).filter(|n| exceeding(&band, frame, at(*n)).is_none());
        // The first ones have the burst.
        let burst = 100_000.0 / (frame as f64 * 8.0);
        (passed.count() as f64 - burst) * 1.1 / COUNT as f64 - 1.0
    }

    #[test]
    fn rates_are_kept_within_a_thousandth() {
        for (rate, frame) in [
            (1, 64),
            (1_000, 1500),
            (100_000, 64),
            (1_000_000, 1500),
            (10_000_000, 64),
            (40_000_000, 1500),
        ] {
            let excess = excess(rate, frame);
            assert!(
                excess.abs() < 0.001,
                "{rate} kbit/s, {frame} bytes: {excess}"
            );
        }
    }

    /// A token bucket as the specification describes it, in millionths of a bit or billionths of a packet.
    struct Tokens {
        rate: i128,
        capacity: i128,
        tokens: i128,
        filled: u64,
    }

    impl Tokens {
        fn pass(&mut self, cost: i128, now: u64) -> bool {
            let fresh = i128::from(now - self.filled) * self.rate;
            self.filled = now;
            self.tokens = (self.tokens + fresh).min(self.capacity);
            let passes = self.tokens > 0;
            if passes {
                self.tokens -= cost;
            }
            passes
        }
    }

    proptest! {
        /// Where the two do not agree, the bucket is empty but for what rounding is about.
        #[test]
        fn it_is_a_token_bucket(
            packets in prop::bool::ANY,
            rate in 1u32..2_000_000,
            burst in prop::option::of(1u32..5_000),
            arrivals in prop::collection::vec((0u64..3_000_000, 14u64..70_000), 1..200),
        ) {
            let unit = if packets { Unit::Packets } else { Unit::Kilobits };
            let band = [Band::new(unit, rate, burst, 0)];
            let rate = i128::from(rate);
            let capacity = match burst {
                Some(burst) => i128::from(burst) * 1_000_000_000,
                None => (rate * 50_000_000).max(1_000_000_000),
            };
            let mut tokens = Tokens { rate, capacity, tokens: capacity, filled: 0 };
            let mut now = 0;
            for (gap, bytes) in arrivals {
                now += gap;
                let cost = if packets { 1_000_000_000 } else { i128::from(bytes) * 8_000_000 };
                let before = tokens.tokens;
                let passes = tokens.pass(cost, now);
                let found = exceeding(&band, unit.amount(bytes as usize), now).is_none();
                // Each packet is rounded to half a unit of time, which is so many tokens.
                let doubt = rate * 200;
                if passes != found {
                    let left = tokens.tokens + if passes { cost } else { 0 };
                    prop_assert!(left.abs() <= doubt, "{before} {left} tokens at {now}");
                    return Ok(());
                }
            }
        }
    }
}
