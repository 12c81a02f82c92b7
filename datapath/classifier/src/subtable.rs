//! Rules that share one mask.

use crate::RuleId;
use crate::hash::hash_secretly;
use hashbrown::HashTable;
use std::collections::BTreeMap;
use weft_frame::{FlowKey, FlowMask, WORDS};

const NONE: u32 = u32::MAX;

/// A rule: its words are at `slot · width` of the arena. Rules with equal words form a list, highest
/// priority first; the hash table holds its head.
#[derive(Clone, Copy, Debug)]
struct Slot {
    id: RuleId,
    next: u32,
    priority: u16,
}

#[derive(Debug)]
pub struct Subtable {
    mask: FlowMask,
    /// The words of the mask that are not zero.
    parts: Vec<(u8, u64)>,
    heads: HashTable<u32>,
    slots: Vec<Slot>,
    arena: Vec<u64>,
    free: Vec<u32>,
    /// How many rules there are of each priority.
    priorities: BTreeMap<u16, u32>,
    max_priority: u16,
}

impl Subtable {
    pub fn new(mask: &FlowMask) -> Subtable {
        let parts = (0..WORDS)
            .filter(|i| mask.0[*i] != 0)
            .map(|i| (i as u8, mask.0[i]))
            .collect();
        Subtable {
            mask: *mask,
            parts,
            heads: HashTable::new(),
            slots: Vec::new(),
            arena: Vec::new(),
            free: Vec::new(),
            priorities: BTreeMap::new(),
            max_priority: 0,
        }
    }

    pub fn mask(&self) -> &FlowMask {
        &self.mask
    }

    pub fn is_empty(&self) -> bool {
        self.priorities.is_empty()
    }

    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Some rule.
    pub fn any(&self) -> Option<RuleId> {
        let head = self.heads.iter().next()?;
        Some(self.slots[*head as usize].id)
    }

    pub fn max_priority(&self) -> u16 {
        self.max_priority
    }

    #[inline]
    pub fn add_mask(&self, looked_at: &mut FlowMask) {
        for (word, mask) in &self.parts {
            looked_at.0[usize::from(*word)] |= mask;
        }
    }

    #[inline]
    fn hash(&self, key: &FlowKey) -> u64 {
        hash_secretly(
            self.parts
                .iter()
                .map(|(word, mask)| key.0[usize::from(*word)] & mask),
        )
    }

    fn words(&self, slot: u32) -> &[u64] {
        let width = self.parts.len();
        &self.arena[slot as usize * width..][..width]
    }

    #[inline]
    fn equal(&self, slot: u32, key: &FlowKey) -> bool {
        let words = self.words(slot);
        self.parts
            .iter()
            .zip(words)
            .all(|((word, mask), mine)| key.0[usize::from(*word)] & mask == *mine)
    }

    #[inline]
    fn head(&self, key: &FlowKey) -> Option<u32> {
        self.heads
            .find(self.hash(key), |slot| self.equal(*slot, key))
            .copied()
    }

    /// The rule of highest priority with the key's words.
    #[inline]
    pub fn lookup(&self, key: &FlowKey) -> Option<(u16, RuleId)> {
        let slot = &self.slots[self.head(key)? as usize];
        Some((slot.priority, slot.id))
    }

    pub fn find(&self, key: &FlowKey, priority: u16) -> Option<RuleId> {
        let list = self.list(self.head(key)?);
        list.map(|slot| self.slots[slot as usize])
            .find(|slot| slot.priority == priority)
            .map(|slot| slot.id)
    }

    fn list(&self, head: u32) -> impl Iterator<Item = u32> {
        let next = |slot: &u32| Some(self.slots[*slot as usize].next).filter(|next| *next != NONE);
        std::iter::successors(Some(head), next)
    }

    pub fn insert(&mut self, key: &FlowKey, priority: u16, id: RuleId) -> Option<RuleId> {
        let head = self.head(key);
        // The last of the list with a priority not below the new one's.
        let mut before = None;
        for slot in head.into_iter().flat_map(|head| self.list(head)) {
            if self.slots[slot as usize].priority < priority {
                break;
            }
            before = Some(slot);
        }
        if let Some(slot) = before.map(|slot| &mut self.slots[slot as usize])
            && slot.priority == priority
        {
            return Some(std::mem::replace(&mut slot.id, id));
        }
        let slot = self.new_slot(
            key,
            Slot {
                id,
                next: NONE,
                priority,
            },
        );
        match (before, head) {
            (Some(before), _) => {
                let next = std::mem::replace(&mut self.slots[before as usize].next, slot);
                self.slots[slot as usize].next = next;
            }
            (None, Some(head)) => {
                self.slots[slot as usize].next = head;
                self.replace_head(key, head, slot);
            }
            (None, None) => {
                let hash = self.hash(key);
                let Subtable {
                    heads,
                    arena,
                    parts,
                    ..
                } = self;
                heads.insert_unique(hash, slot, |slot| hash_slot(arena, parts.len(), *slot));
            }
        }
        *self.priorities.entry(priority).or_default() += 1;
        self.max_priority = self.max_priority.max(priority);
        None
    }

    pub fn remove(&mut self, key: &FlowKey, priority: u16) -> Option<RuleId> {
        let head = self.head(key)?;
        let mut before = None;
        let mut found = None;
        for slot in self.list(head) {
            if self.slots[slot as usize].priority == priority {
                found = Some(slot);
                break;
            }
            before = Some(slot);
        }
        let found = found?;
        let next = self.slots[found as usize].next;
        match before {
            Some(before) => self.slots[before as usize].next = next,
            None if next != NONE => self.replace_head(key, head, next),
            None => {
                let hash = self.hash(key);
                if let Ok(entry) = self.heads.find_entry(hash, |slot| *slot == found) {
                    entry.remove();
                }
            }
        }
        self.free.push(found);
        if let Some(count) = self.priorities.get_mut(&priority) {
            *count -= 1;
            if *count == 0 {
                self.priorities.remove(&priority);
                self.max_priority = self.priorities.last_key_value().map_or(0, |(max, _)| *max);
            }
        }
        Some(self.slots[found as usize].id)
    }

    fn replace_head(&mut self, key: &FlowKey, old: u32, new: u32) {
        let hash = self.hash(key);
        if let Some(head) = self.heads.find_mut(hash, |slot| *slot == old) {
            *head = new;
        }
    }

    fn new_slot(&mut self, key: &FlowKey, slot: Slot) -> u32 {
        let width = self.parts.len();
        let index = match self.free.pop() {
            Some(index) => {
                self.slots[index as usize] = slot;
                index
            }
            None => {
                self.slots.push(slot);
                self.arena.resize(self.arena.len() + width, 0);
                (self.slots.len() - 1) as u32
            }
        };
        let words = &mut self.arena[index as usize * width..][..width];
        for ((word, mask), mine) in self.parts.iter().zip(words) {
            *mine = key.0[usize::from(*word)] & mask;
        }
        index
    }

    pub fn for_each_within(&self, mask: &FlowMask, key: &FlowKey, visit: &mut impl FnMut(RuleId)) {
        // Only words in which the narrower question has bits need a look.
        let asked: Vec<(usize, u64, u64)> = self
            .parts
            .iter()
            .enumerate()
            .map(|(i, (word, _))| (i, mask.0[usize::from(*word)], key.0[usize::from(*word)]))
            .filter(|(_, mask, _)| *mask != 0)
            .collect();
        for head in &self.heads {
            let words = self.words(*head);
            if asked
                .iter()
                .all(|(i, mask, key)| (words[*i] ^ key) & mask == 0)
            {
                self.list(*head)
                    .for_each(|slot| visit(self.slots[slot as usize].id));
            }
        }
    }

    pub fn find_overlap(&self, mask: &FlowMask, key: &FlowKey, priority: u16) -> Option<RuleId> {
        if !self.priorities.contains_key(&priority) {
            return None;
        }
        let head = self.heads.iter().find(|head| {
            let both = self.parts.iter().zip(self.words(**head));
            let agrees = both.fold(true, |agrees, ((word, mine), value)| {
                let word = usize::from(*word);
                agrees && (value ^ key.0[word]) & mine & mask.0[word] == 0
            });
            agrees
                && self
                    .list(**head)
                    .any(|slot| self.slots[slot as usize].priority == priority)
        })?;
        self.list(*head)
            .map(|slot| self.slots[slot as usize])
            .find(|slot| slot.priority == priority)
            .map(|slot| slot.id)
    }
}

fn hash_slot(arena: &[u64], width: usize, slot: u32) -> u64 {
    hash_secretly(arena[slot as usize * width..][..width].iter().copied())
}
