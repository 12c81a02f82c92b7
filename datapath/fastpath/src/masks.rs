//! The masks in use: numbers for them, and the order in which the program tries them.

use std::time::{Duration, Instant};

use crate::keys::Words;
use crate::layout::FULL_WORDS;

/// No program run lasts so long: what none could have begun to read since is free to be used again.
pub const GRACE: Duration = Duration::from_millis(200);

#[derive(Debug)]
struct Mask {
    words: Words,
    flows: u32,
    /// Packets lately.
    hits: u64,
}

/// Masks of one kind of key.
#[derive(Debug)]
pub struct Masks {
    slots: Vec<Option<Mask>>,
    /// Since when a slot is unused.
    freed: Vec<Option<Instant>>,
    order: Vec<u32>,
}

/// What has to be told to the program.
#[derive(Debug, PartialEq, Eq)]
pub enum Added {
    /// Nothing: the mask was there.
    Known,
    /// The mask, and that it is to be tried.
    New,
}

impl Masks {
    pub fn new(limit: usize) -> Masks {
        Masks {
            slots: (0..limit).map(|_| None).collect(),
            freed: vec![None; limit],
            order: Vec::new(),
        }
    }

    /// One more flow of a mask that was in use before us.
    pub fn adopt(&mut self, id: u32, words: &Words) {
        match self.slots.get_mut(id as usize) {
            Some(Some(mask)) => mask.flows += 1,
            Some(slot) => {
                *slot = Some(Mask {
                    words: *words,
                    flows: 1,
                    hits: 0,
                });
                self.order.push(id);
            }
            None => {}
        }
    }

    /// The number of a mask, for one more flow. `None`: too many masks.
    pub fn add(&mut self, words: &Words, now: Instant) -> Option<(u32, Added)> {
        let known = self.order.iter().copied().find(|id| {
            self.slots[*id as usize]
                .as_ref()
                .is_some_and(|mask| mask.words == *words)
        });
        if let Some(id) = known {
            if let Some(mask) = &mut self.slots[id as usize] {
                mask.flows += 1;
            }
            return Some((id, Added::Known));
        }
        let is_free = |id: &usize| {
            self.slots[*id].is_none() && self.freed[*id].is_none_or(|at| now >= at + GRACE)
        };
        let id = (0..self.slots.len()).find(is_free)?;
        self.slots[id] = Some(Mask {
            words: *words,
            flows: 1,
            hits: 0,
        });
        self.order.push(id as u32);
        Some((id as u32, Added::New))
    }

    /// Whether [`Masks::add`] would have a number.
    pub fn has_room(&self, words: &Words, now: Instant) -> bool {
        let mut masks = self.slots.iter().zip(&self.freed);
        masks.any(|(slot, freed)| match slot {
            Some(mask) => mask.words == *words,
            None => freed.is_none_or(|at| now >= at + GRACE),
        })
    }

    /// One flow less; whether the mask is not to be tried any more.
    pub fn remove(&mut self, id: u32, now: Instant) -> bool {
        let slot = &mut self.slots[id as usize];
        let Some(mask) = slot else { return false };
        mask.flows -= 1;
        if mask.flows > 0 {
            return false;
        }
        *slot = None;
        self.freed[id as usize] = Some(now);
        self.order.retain(|other| *other != id);
        true
    }

    /// Packets were seen.
    pub fn hit(&mut self, id: u32, packets: u64) {
        if let Some(Some(mask)) = self.slots.get_mut(id as usize) {
            mask.hits += packets;
        }
    }

    /// Puts the most used first; whether that changed anything.
    pub fn sort(&mut self) -> bool {
        let before = self.order.clone();
        let slots = &mut self.slots;
        let hits = |id: &u32| slots[*id as usize].as_ref().map_or(0, |mask| mask.hits);
        self.order.sort_by_key(|id| std::cmp::Reverse(hits(id)));
        for mask in slots.iter_mut().flatten() {
            mask.hits /= 2;
        }
        self.order != before
    }

    /// All bits that any mask has.
    pub fn union(&self) -> Words {
        let mut union = [0; FULL_WORDS];
        for mask in self.slots.iter().flatten() {
            (union.iter_mut().zip(&mask.words)).for_each(|(all, word)| *all |= word);
        }
        union
    }

    /// The order in which masks are tried.
    pub fn order(&self) -> &[u32] {
        &self.order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_used_again_after_a_while() {
        let mask = |word| [word; FULL_WORDS];
        let start = Instant::now();
        let mut masks = Masks::new(2);
        assert_eq!(masks.add(&mask(1), start), Some((0, Added::New)));
        assert_eq!(masks.add(&mask(1), start), Some((0, Added::Known)));
        assert_eq!(masks.add(&mask(2), start), Some((1, Added::New)));
        assert_eq!(masks.add(&mask(3), start), None);
        assert!(masks.has_room(&mask(1), start) && !masks.has_room(&mask(3), start));
        assert!(!masks.remove(0, start));
        assert!(masks.remove(0, start));
        assert_eq!(masks.order(), [1]);
        assert_eq!(masks.add(&mask(3), start), None);
        assert_eq!(masks.add(&mask(3), start + GRACE), Some((0, Added::New)));
        masks.hit(0, 5);
        assert!(masks.sort());
        assert_eq!(masks.order(), [0, 1]);
    }
}
