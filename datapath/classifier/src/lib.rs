//! Tuple-space search: which of many masked rules of highest priority matches a flow key.
//!
//! # What
//! Rules with the same mask live in one *subtable*, a hash table of their masked keys. A lookup tries the
//! subtables in order of the highest priority they hold, and stops when what it has found cannot be beaten. Its
//! cost grows with the number of distinct masks, not with the number of rules.
//!
//! # Un-wildcarding
//! A lookup adds to the caller's mask every bit it has looked at: the masks of the subtables tried. Any packet
//! that agrees with this one on those bits is answered the same way, as it walks the same subtables to the same
//! results. The mask may have more bits than needed, never fewer.
//!
//! # Memory
//! A rule costs the words its mask has a bit in, two small words beside, and a hash slot: about
//! `8 · words + 20` bytes. What a rule *does* belongs to the caller, who gives each one a number.
#![forbid(unsafe_code)]

mod hash;
mod subtable;

pub use hash::{hash_secretly, hash_words};
use hashbrown::HashTable;
use subtable::Subtable;
use weft_frame::{FlowKey, FlowMask};

/// The caller's number for a rule.
pub type RuleId = u32;

/// A set of prioritised, masked rules. Of each (mask, key, priority) there is at most one rule.
#[derive(Debug, Default)]
pub struct Classifier {
    subtables: Vec<Subtable>,
    /// Indices into `subtables`, those with the highest priorities first.
    order: Vec<u32>,
    /// Index of the subtable of each mask, by hash of the mask.
    by_mask: HashTable<u32>,
    free: Vec<u32>,
    len: usize,
}

impl Classifier {
    /// An empty classifier.
    pub fn new() -> Classifier {
        Classifier::default()
    }

    /// Number of rules.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no rules.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Number of distinct masks.
    pub fn masks(&self) -> usize {
        self.order.len()
    }

    /// Adds a rule. If there is one with this mask, key and priority already, its number is replaced and
    /// returned. Bits of `key` outside `mask` are ignored.
    pub fn insert(
        &mut self,
        mask: &FlowMask,
        key: &FlowKey,
        priority: u16,
        id: RuleId,
    ) -> Option<RuleId> {
        let index = match self.with_mask(mask) {
            Some(index) => index,
            None => self.new_subtable(mask),
        };
        let subtable = &mut self.subtables[index as usize];
        let old_max = subtable.max_priority();
        let replaced = subtable.insert(key, priority, id);
        if replaced.is_none() {
            self.len += 1;
        }
        if subtable.max_priority() != old_max {
            self.sort();
        }
        replaced
    }

    /// Removes the rule with exactly this mask, key and priority.
    pub fn remove(&mut self, mask: &FlowMask, key: &FlowKey, priority: u16) -> Option<RuleId> {
        let index = self.with_mask(mask)?;
        let subtable = &mut self.subtables[index as usize];
        let old_max = subtable.max_priority();
        let removed = subtable.remove(key, priority)?;
        self.len -= 1;
        if subtable.is_empty() {
            if let Ok(entry) = self
                .by_mask
                .find_entry(hash_mask(mask), |other| *other == index)
            {
                entry.remove();
            }
            self.order.retain(|other| *other != index);
            self.free.push(index);
        } else if subtable.max_priority() != old_max {
            self.sort();
        }
        Some(removed)
    }

    /// The rule with exactly this mask, key and priority.
    pub fn find(&self, mask: &FlowMask, key: &FlowKey, priority: u16) -> Option<RuleId> {
        let index = self.with_mask(mask)?;
        self.subtables[index as usize].find(key, priority)
    }

    /// The rule of highest priority that matches `key`; the bits looked at are added to `looked_at`.
    pub fn lookup(&self, key: &FlowKey, looked_at: &mut FlowMask) -> Option<RuleId> {
        let mut best: Option<(u16, RuleId)> = None;
        for index in &self.order {
            let subtable = &self.subtables[*index as usize];
            if best.is_some_and(|(priority, _)| priority >= subtable.max_priority()) {
                break;
            }
            subtable.add_mask(looked_at);
            if let Some(found) = subtable.lookup(key)
                && best.is_none_or(|(priority, _)| found.0 > priority)
            {
                best = Some(found);
            }
        }
        best.map(|(_, id)| id)
    }

    /// How many masks [`Classifier::lookup`] tries for `key`: what it costs.
    pub fn tried(&self, key: &FlowKey) -> usize {
        let mut best: Option<u16> = None;
        for (tried, index) in self.order.iter().enumerate() {
            let subtable = &self.subtables[*index as usize];
            if best.is_some_and(|priority| priority >= subtable.max_priority()) {
                return tried;
            }
            best = best.max(subtable.lookup(key).map(|(priority, _)| priority));
        }
        self.order.len()
    }

    /// Some rule that matches `key`, of whatever priority. For sets of rules of which any will do (a cache of
    /// disjoint or agreeing rules): masks that are hit often move to the front.
    #[inline]
    pub fn lookup_any(&mut self, key: &FlowKey) -> Option<RuleId> {
        for at in 0..self.order.len() {
            let subtable = &self.subtables[self.order[at] as usize];
            if let Some((_, id)) = subtable.lookup(key) {
                if at > 0 {
                    self.order.swap(at, at - 1);
                }
                return Some(id);
            }
        }
        None
    }

    /// Some rule of the mask with the fewest of them; of several such masks the one that [`Classifier::lookup_any`] comes to last.
    pub fn sparsest(&self) -> Option<RuleId> {
        let subtables = self.order.iter().rev();
        let subtables = subtables.map(|index| &self.subtables[*index as usize]);
        subtables.min_by_key(|subtable| subtable.len())?.any()
    }

    /// Calls `visit` with the number of each rule that is as specific as (`mask`, `key`) or more so: it has all
    /// bits of `mask`, with the values in `key`. These are the rules that a non-strict flow-mod with that
    /// match speaks of (OF 1.3.5 §6.4).
    pub fn for_each_within(&self, mask: &FlowMask, key: &FlowKey, mut visit: impl FnMut(RuleId)) {
        for index in &self.order {
            let subtable = &self.subtables[*index as usize];
            if subtable.mask().covers(mask) {
                subtable.for_each_within(mask, key, &mut visit);
            }
        }
    }

    /// A rule of this priority, if there is one, that some packet could match together with (`mask`, `key`)
    /// (`OFPFF_CHECK_OVERLAP`), the identical rule included.
    pub fn find_overlap(&self, mask: &FlowMask, key: &FlowKey, priority: u16) -> Option<RuleId> {
        self.order
            .iter()
            .find_map(|index| self.subtables[*index as usize].find_overlap(mask, key, priority))
    }

    /// Removes everything.
    pub fn clear(&mut self) {
        *self = Classifier::default();
    }

    /// The subtable of a mask.
    fn with_mask(&self, mask: &FlowMask) -> Option<u32> {
        let is_same = |index: &u32| self.subtables[*index as usize].mask() == mask;
        self.by_mask.find(hash_mask(mask), is_same).copied()
    }

    fn new_subtable(&mut self, mask: &FlowMask) -> u32 {
        let subtable = Subtable::new(mask);
        let index = match self.free.pop() {
            Some(index) => {
                self.subtables[index as usize] = subtable;
                index
            }
            None => {
                self.subtables.push(subtable);
                (self.subtables.len() - 1) as u32
            }
        };
        let subtables = &self.subtables;
        self.by_mask.insert_unique(hash_mask(mask), index, |index| {
            hash_mask(subtables[*index as usize].mask())
        });
        self.order.push(index);
        index
    }

    fn sort(&mut self) {
        let subtables = &self.subtables;
        self.order.sort_by_key(|index| {
            (
                std::cmp::Reverse(subtables[*index as usize].max_priority()),
                *index,
            )
        });
    }
}

fn hash_mask(mask: &FlowMask) -> u64 {
    hash_words(mask.0.iter().copied())
}
