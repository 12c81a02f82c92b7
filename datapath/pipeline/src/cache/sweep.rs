//! Counting what the fast path has treated and forgetting what nobody uses, a little at a time.

use super::{Cache, Entry};
use crate::offload::CROWDED;

/// How long a translation is kept that no packet uses, in nanoseconds, where a fast path holds it, too.
const IDLE: u64 = 10_000_000_000;
/// The same while the fast path lacks room: who goes on using it notices nothing.
const CROWDED_IDLE: u64 = 2_000_000_000;
/// Who was used within that time, in nanoseconds, is in use.
const IN_USE: u64 = 1_500_000_000;
/// So many idle ones are forgotten at a stretch: packets wait meanwhile.
const SWEPT_AT_ONCE: usize = 512;
/// So many are counted at a stretch, which takes about as long.
const COUNTED_AT_ONCE: u32 = 4096;

/// A sweep under way: first all are counted, then those that are idle forgotten.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sweep {
    /// The next entry to count.
    counted: u32,
    /// The next entry to look at.
    at: u32,
    /// How long who is forgotten has been idle, in nanoseconds.
    idle: u64,
    /// The fast path has lacked room.
    is_crowded: bool,
}

impl Cache {
    /// Hands what was counted to `credit`, forgets what has been idle, sooner where the fast path lacks room, and offers it once
    /// more what it had none for and is in use. Whether there is more to do, by [`Cache::sweep_on`].
    pub fn sweep(&mut self, credit: impl FnMut(&Entry)) -> bool {
        let Some(fast_path) = &mut self.fast_path else {
            return false;
        };
        let unfinished = self.sweep.is_some_and(|sweep| sweep.is_crowded);
        let is_crowded = fast_path.take_crowded() | unfinished;
        self.concerns.tidy(self.now);
        self.sweep = Some(Sweep {
            counted: 0,
            at: 0,
            idle: if is_crowded { CROWDED_IDLE } else { IDLE },
            is_crowded,
        });
        self.sweep_on(credit)
    }

    /// Goes on with a sweep for about a millisecond; whether there is still more to do.
    pub fn sweep_on(&mut self, mut credit: impl FnMut(&Entry)) -> bool {
        let Some(sweep) = self.sweep.take() else {
            return false;
        };
        let bound = self.entries.bound();
        if sweep.counted < bound {
            let counted = bound.min(sweep.counted + COUNTED_AT_ONCE);
            for id in sweep.counted..counted {
                self.credit_one(id, &mut credit);
            }
            if counted < bound {
                self.sweep = Some(Sweep { counted, ..sweep });
                return true;
            }
        }
        let mut forgotten = 0;
        for id in sweep.at..bound {
            if forgotten == SWEPT_AT_ONCE {
                self.sweep = Some(Sweep {
                    counted: u32::MAX,
                    at: id,
                    ..sweep
                });
                return true;
            }
            let used = self.entries.get(id).map(|entry| entry.used);
            if used.is_some_and(|used| self.now.saturating_sub(used) > sweep.idle) {
                self.forget(id, &mut credit);
                forgotten += 1;
            }
        }
        if sweep.is_crowded {
            self.offer_again();
        }
        false
    }

    /// Offers the fast path what it had no room for and was in use since the last sweep.
    fn offer_again(&mut self) {
        let Cache {
            entries,
            fast_path: Some(fast_path),
            stats,
            refused,
            now,
            ..
        } = self
        else {
            return;
        };
        let in_use = |entry: &&mut Entry| {
            entry.handle == Err(CROWDED) && now.saturating_sub(entry.used) < IN_USE
        };
        for entry in entries.values_mut().filter(in_use).take(SWEPT_AT_ONCE) {
            entry.handle = fast_path.install(&entry.key, &entry.translation);
            stats.fast_entries += usize::from(entry.handle.is_ok());
            if let Some(count) = refused.get_mut(CROWDED) {
                *count -= 1;
            }
            if let Err(why) = entry.handle {
                *refused.entry(why).or_default() += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datapath::Translation;
    use crate::offload::{Counts, FastPath, Treated};
    use crate::shapes::tests::output;
    use weft_frame::FlowKey;
    use weft_frame::field::{ETH_SRC, IN_PORT};

    /// Takes everything, and sees as many packets of each flow every time.
    #[derive(Debug)]
    struct Sees(u64);

    impl FastPath for Sees {
        fn install(&mut self, _: &FlowKey, _: &Translation) -> Result<u32, &'static str> {
            Ok(0)
        }

        fn refusal(&self, _: &FlowKey, _: &Translation, _: &[u8]) -> Option<&'static str> {
            None
        }

        fn take_counts(&mut self, _: u32) -> Treated {
            let counts = Counts {
                packets: self.0,
                bytes: 60 * self.0,
            };
            Treated {
                counts,
                ..Treated::default()
            }
        }

        fn remove(&mut self, _: u32) -> Treated {
            Treated::default()
        }
    }

    fn key(source: usize) -> FlowKey {
        let mut key = FlowKey::ZERO;
        key.set(IN_PORT, 1);
        key.set(ETH_SRC, source as u128);
        key
    }

    #[test]
    fn many_idle_ones_go_in_several_stretches_and_those_in_use_stay() {
        let mut cache = Cache::default();
        cache.set_fast_path(Some(Box::new(Sees(0))));
        let mut translation = output(2);
        translation.mask.need(IN_PORT);
        translation.mask.need(ETH_SRC);
        for source in 0..2 * SWEPT_AT_ONCE + 10 {
            cache.insert(&key(source), translation.clone(), 1 << 16, |_| ());
        }
        assert!(!cache.sweep(|_| ()));
        cache.at(2 * IDLE);
        assert!(cache.find(&key(7), 60).is_some());
        assert!(cache.sweep(|_| ()));
        assert_eq!(cache.stats().entries, SWEPT_AT_ONCE + 10);
        assert!(cache.sweep_on(|_| ()));
        assert!(!cache.sweep_on(|_| ()));
        assert!(cache.find(&key(7), 60).is_some());
        assert_eq!(cache.stats().entries, 1);
    }

    #[test]
    fn all_are_counted_once_a_sweep_in_several_stretches() {
        let mut cache = Cache::default();
        cache.set_fast_path(Some(Box::new(Sees(3))));
        let mut translation = output(2);
        translation.mask.need(ETH_SRC);
        let flows = 2 * COUNTED_AT_ONCE as usize + 10;
        for source in 0..flows {
            cache.insert(&key(source), translation.clone(), 1 << 16, |_| ());
        }
        let mut packets = Vec::new();
        cache.at(2 * IDLE);
        assert!(cache.sweep(|entry| packets.push(entry.counts.packets)));
        assert_eq!(packets.len(), COUNTED_AT_ONCE as usize);
        assert!(cache.sweep_on(|entry| packets.push(entry.counts.packets)));
        assert!(!cache.sweep_on(|entry| packets.push(entry.counts.packets)));
        assert_eq!(packets, vec![3; flows]);
        // None was idle.
        assert_eq!(cache.stats().entries, flows);
    }
}
