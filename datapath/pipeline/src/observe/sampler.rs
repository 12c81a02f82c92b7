//! Picking packets at random, and keeping what was picked until it is sent.

use super::{ALWAYS, MAX_HEADER_BYTES, Picked, Sight};
use weft_openflow::{ObserverMod, Sample};

/// Most samples that wait to be sent.
const MAX_WAITING: usize = 4096;
/// Bytes of samples in a message of at most 64 KB.
const BATCH_BYTES: usize = 60_000;
/// Bytes of a sample besides its header.
const SAMPLE_BYTES: usize = 40;
/// Room that is kept for samples.
const SECOND: u64 = 1_000_000_000;

/// Random numbers: xorshift64* (Vigna). Not for secrets.
#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// True in `probability` of 65,535 cases.
    pub fn chance(&mut self, probability: u16) -> bool {
        probability == ALWAYS || (self.next() >> 32) % u64::from(ALWAYS) < u64::from(probability)
    }

    /// How many packets to let pass before the next one, so that each is picked with a chance of one in `interval`,
    /// whatever became of others: a geometric distribution, drawn by its inverse.
    pub fn skip(&mut self, interval: u32) -> u64 {
        if interval <= 1 {
            return 0;
        }
        // In (0, 1]: 53 bits, as many as a double holds.
        let uniform = ((self.next() >> 11) + 1) as f64 / (1u64 << 53) as f64;
        let skip = uniform.ln() / (-1.0 / f64::from(interval)).ln_1p();
        skip as u64
    }
}

/// How many samples or records may still be sent.
#[derive(Debug)]
pub(super) struct Budget {
    /// A second's worth; 0: no limit.
    per_second: u64,
    /// Time not used yet, in nanoseconds: at most a second.
    saved: u64,
    at: u64,
}

impl Budget {
    pub fn new(per_second: u32, now: u64) -> Budget {
        Budget {
            per_second: per_second.into(),
            saved: SECOND,
            at: now,
        }
    }

    /// How many may be sent at once.
    pub fn available(&mut self, now: u64) -> usize {
        if self.per_second == 0 {
            return usize::MAX;
        }
        self.saved = (self.saved + now.saturating_sub(self.at)).min(SECOND);
        self.at = self.at.max(now);
        (self.saved * self.per_second / SECOND) as usize
    }

    pub fn spend(&mut self, count: usize) {
        if let Some(each) = SECOND.checked_div(self.per_second) {
            self.saved = self.saved.saturating_sub(each * count as u64);
        }
    }
}

/// A sampling observer.
#[derive(Debug)]
pub(super) struct Sampler {
    /// Packets to let pass.
    pub skip: u64,
    /// Samples lost.
    pub drops: u32,
    waiting: Vec<Sample>,
}

impl Sampler {
    pub fn new(interval: u32, random: &mut Random) -> Sampler {
        Sampler {
            skip: random.skip(interval),
            drops: 0,
            waiting: Vec::new(),
        }
    }

    /// Keeps a picked packet; false: it is lost, for want of room or beyond the rate.
    pub fn take(
        &mut self,
        sight: &Sight,
        picked: &Picked<'_>,
        settings: &ObserverMod,
        budget: &mut Budget,
        clock: i64,
    ) -> bool {
        if self.waiting.len() >= MAX_WAITING || budget.available(picked.at) == 0 {
            self.drops = self.drops.wrapping_add(1);
            return false;
        }
        budget.spend(1);
        let wanted = settings.header_bytes.min(MAX_HEADER_BYTES);
        let length = usize::from(wanted).min(picked.frame_length as usize);
        let header = picked.header.get(..length).unwrap_or(picked.header);
        self.waiting.push(Sample {
            outputs: sight.outputs,
            in_port: sight.in_port,
            out_port: sight.out_port,
            domain_id: sight.domain_id,
            point_id: sight.point_id,
            frame_length: picked.frame_length,
            vlan_in: picked.vlan_in,
            vlan: sight.vlan,
            vlan_out: sight.vlan_out,
            stripped: 0,
            time_ms: super::unix_ms(picked.at, clock),
            header: header.to_vec(),
        });
        true
    }

    /// Samples that wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Takes as many as fit into a message.
    pub fn batch(&mut self) -> Option<Vec<Sample>> {
        let mut bytes = 0;
        let fit = self.waiting.iter().take_while(|sample| {
            bytes += SAMPLE_BYTES + sample.header.len();
            bytes <= BATCH_BYTES
        });
        let count = fit.count();
        (count > 0).then(|| self.waiting.drain(..count).collect())
    }
}
