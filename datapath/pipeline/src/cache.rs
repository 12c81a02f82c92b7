//! Cached translations (megaflows): what packets like an earlier one get without a walk.
//!
//! The cache holds nothing that is not in the tables: it may be emptied at any time, and is, on any change of tables,
//! groups, meters or ports. Counters of cached packets are kept here and handed over before anyone reads them.

use crate::datapath::Translation;
use weft_classifier::Classifier;
use weft_frame::FlowKey;

/// Most distinct masks: beyond, lookups would cost more than a walk of few tables.
const MAX_MASKS: usize = 128;

/// A translation and the packets that used it since they were last credited.
#[derive(Debug)]
pub(crate) struct Entry {
    pub translation: Translation,
    pub packets: u64,
    pub bytes: u64,
    pub used: u64,
}

/// Counters of the cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// Packets that found a translation.
    pub hits: u64,
    /// Packets that did not.
    pub misses: u64,
    /// Translations held.
    pub entries: usize,
    /// Distinct masks among them.
    pub masks: usize,
    /// How often the cache was emptied as it was full.
    pub overflows: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Cache {
    index: Classifier,
    pub entries: Vec<Entry>,
    hits: u64,
    misses: u64,
    overflows: u64,
}

impl Cache {
    /// The entry for a packet.
    #[inline]
    pub fn find(&mut self, key: &FlowKey) -> Option<&mut Entry> {
        match self.index.lookup_any(key) {
            Some(id) => {
                self.hits += 1;
                self.entries.get_mut(id as usize)
            }
            None => {
                self.misses += 1;
                None
            }
        }
    }

    /// Whether another entry fits.
    pub fn is_full(&self, limit: usize) -> bool {
        self.entries.len() >= limit || self.index.masks() > MAX_MASKS
    }

    /// Adds a translation made from a packet with this key.
    pub fn insert(&mut self, key: &FlowKey, translation: Translation, used: u64) {
        let id = self.entries.len() as u32;
        self.index.insert(&translation.mask, key, 0, id);
        self.entries.push(Entry {
            translation,
            packets: 0,
            bytes: 0,
            used,
        });
    }

    pub fn clear(&mut self) {
        if !self.entries.is_empty() {
            self.index.clear();
            self.entries.clear();
        }
    }

    pub fn overflowed(&mut self) {
        self.overflows += 1;
    }

    pub fn stats(&self) -> CacheStats {
        CacheStats {
            hits: self.hits,
            misses: self.misses,
            entries: self.entries.len(),
            masks: self.index.masks(),
            overflows: self.overflows,
        }
    }
}
