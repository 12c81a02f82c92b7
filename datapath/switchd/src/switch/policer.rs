//! What a port may send into the switch at most (`Interface.ingress_policing_rate` of Open vSwitch): a token bucket.

use weft_agent::Nanos;

use crate::types::Policing;

/// Thousands of bits that may come at once if nothing is said of it, as in Open vSwitch.
const DEFAULT_BURST_KBITS: u32 = 8000;
/// Nanoseconds times thousands of bits per second that make a byte.
const PER_BYTE: u128 = 8_000_000;

/// The bucket of one port. Levels are in bytes times [`PER_BYTE`], so that no fraction is lost.
#[derive(Debug)]
pub struct Policer {
    limit: Policing,
    /// May be below zero: a frame larger than what is left, such as a segment of 64 KB, goes through and is paid off.
    level: i128,
    at: Nanos,
    /// Frames it refused.
    pub dropped: u64,
}

impl Policer {
    /// A full bucket.
    pub fn new(limit: Policing, now: Nanos) -> Policer {
        let mut policer = Policer {
            limit,
            level: 0,
            at: now,
            dropped: 0,
        };
        policer.level = policer.depth();
        policer
    }

    /// The limit that it keeps.
    pub fn limit(&self) -> Policing {
        self.limit
    }

    fn depth(&self) -> i128 {
        let kbits = match self.limit.burst_kbits {
            0 => DEFAULT_BURST_KBITS,
            kbits => kbits,
        };
        i128::from(kbits) * 125 * PER_BYTE as i128
    }

    /// Whether a frame of so many bytes may pass.
    pub fn admits(&mut self, bytes: usize, now: Nanos) -> bool {
        let earned = i128::from(now.saturating_sub(self.at)) * i128::from(self.limit.rate_kbps);
        self.at = self.at.max(now);
        self.level = (self.level + earned).min(self.depth());
        if self.level <= 0 {
            self.dropped += 1;
            return false;
        }
        self.level -= bytes as i128 * PER_BYTE as i128;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that pass in ten seconds of frames that come at 100 Mbit/s.
    fn passes(limit: Policing, frame: usize) -> usize {
        let mut policer = Policer::new(limit, 0);
        let pause = frame as u64 * 80;
        let times = (0..)
            .map(|n| n * pause)
            .take_while(|at| *at < 10_000_000_000);
        let bytes = times.map(|at| if policer.admits(frame, at) { frame } else { 0 });
        bytes.sum()
    }

    #[test]
    fn the_rate_is_kept_whatever_the_frames() {
        for frame in [60, 1514, 65_226] {
            for (rate_kbps, burst_kbits) in [(1000, 100), (8000, 800), (50_000, 10_000)] {
                let limit = Policing {
                    rate_kbps,
                    burst_kbits,
                };
                let due = rate_kbps as f64 * 1250.0 + burst_kbits as f64 * 125.0;
                let passed = passes(limit, frame) as f64;
                let slack = due * 0.01 + 2.0 * frame as f64;
                assert!(
                    (passed - due).abs() <= slack,
                    "{limit:?} {frame}: {passed} of {due}"
                );
            }
        }
    }

    #[test]
    fn a_rate_above_what_comes_drops_nothing() {
        let limit = Policing {
            rate_kbps: u32::MAX,
            burst_kbits: 0,
        };
        let mut policer = Policer::new(limit, 5);
        assert!((0..1000).all(|n| policer.admits(1514, 5 + n * 120_000)));
        assert_eq!(policer.dropped, 0);
    }
}
