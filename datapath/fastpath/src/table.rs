//! The table that leads from keys to records. It lies in memory that the program reads too, so a flow comes and goes without a
//! system call, and the program looks without a call to a helper: see `bpf/layout.h`.

use crate::layout::{BUCKET_ENTRIES, BUCKETS, Bucket, FULL_WORDS, NUMBER_BITS};
use crate::shared::Shared;

/// Bits of an entry that are the record's number plus one.
const NUMBER: u64 = (1 << NUMBER_BITS) - 1;

/// Keys by hash.
#[derive(Debug)]
pub struct KeyTable {
    buckets: Shared<Bucket>,
    seed: [u64; FULL_WORDS],
}

/// A bucket has no room: so many keys that meet are no chance, or the table is far too full.
#[derive(Debug, PartialEq, Eq)]
pub struct Full;

/// The program's hash of a key: NH with the seed, its bits then spread.
fn hash(key: &[u64], seed: &[u64; FULL_WORDS]) -> u64 {
    let product = |(word, seed): (&u64, &u64)| {
        let low = (*word as u32).wrapping_add(*seed as u32);
        let high = ((*word >> 32) as u32).wrapping_add((*seed >> 32) as u32);
        u64::from(low).wrapping_mul(u64::from(high))
    };
    let mut sum = key.iter().zip(seed).map(product).fold(0, u64::wrapping_add);
    sum ^= sum >> 29;
    sum = sum.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    sum ^ sum >> 32
}

impl KeyTable {
    pub fn new(buckets: Shared<Bucket>, seed: [u64; FULL_WORDS]) -> KeyTable {
        KeyTable { buckets, seed }
    }

    /// Leads a key to a record, whose number is less than 2^[`NUMBER_BITS`] - 1. If `same` says of the number in its place that
    /// its record has this key, the new one takes that place.
    ///
    /// # Errors
    /// There is no room, or another key has the same hash (about one pair in 2^61).
    pub fn insert(
        &mut self,
        key: &[u64],
        number: u32,
        same: impl Fn(u32) -> bool,
    ) -> Result<(), Full> {
        let (at, tag) = self.place(key);
        let bucket = self.buckets.get(at).unwrap_or_default();
        let used = bucket.used();
        let alike = |entry: &u64| entry & !NUMBER == tag;
        let known = bucket.entry[..used].iter().position(alike);
        if known.is_some_and(|slot| !same(number_of(bucket.entry[slot]))) {
            return Err(Full);
        }
        let slot = known.unwrap_or(used);
        if slot >= BUCKET_ENTRIES {
            return Err(Full);
        }
        let entry = tag | (u64::from(number) + 1);
        self.buckets.set_part(at, slot * 8, entry);
        Ok(())
    }

    /// Removes what leads a key to a record, if it does.
    pub fn remove(&mut self, key: &[u64], number: u32) {
        let (at, tag) = self.place(key);
        let bucket = self.buckets.get(at).unwrap_or_default();
        let used = bucket.used();
        let entry = tag | (u64::from(number) + 1);
        let Some(slot) = bucket.entry[..used].iter().position(|each| *each == entry) else {
            return;
        };
        // There are no gaps: the last one is moved, and for a moment is there twice.
        let last = used - 1;
        if slot != last {
            self.buckets.set_part(at, slot * 8, bucket.entry[last]);
        }
        self.buckets.set_part(at, last * 8, 0u64);
    }

    /// Numbers of all records that are led to.
    pub fn numbers(&self) -> Vec<u32> {
        let buckets = (0..BUCKETS).filter_map(|at| self.buckets.get(at));
        let entries = buckets.flat_map(|bucket| bucket.entry.into_iter().take(bucket.used()));
        entries.map(number_of).collect()
    }

    fn place(&self, key: &[u64]) -> (usize, u64) {
        let hash = hash(key, &self.seed);
        ((hash as usize) & (BUCKETS - 1), hash & !NUMBER)
    }
}

fn number_of(entry: u64) -> u32 {
    ((entry & NUMBER) as u32).wrapping_sub(1)
}

impl Bucket {
    fn used(&self) -> usize {
        let end = self.entry.iter().position(|entry| *entry == 0);
        end.unwrap_or(BUCKET_ENTRIES)
    }
}
