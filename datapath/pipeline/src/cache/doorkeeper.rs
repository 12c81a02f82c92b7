//! Which translations are worth keeping where room or time is short.
//!
//! Most flows of a spray have one packet. To keep their translations would throw out those of others, and cost more than the
//! packets themselves. So while the cache is full, or packets come faster than they can be translated, only what is asked for a
//! second time is kept. What was asked for once is remembered by a few bits, until others have taken their place: a busy
//! flow is back before that.

use weft_classifier::hash_secretly;
use weft_frame::{FlowKey, FlowMask};

/// How many translations are remembered, in bits of the slot's number.
const BITS: u32 = 16;

/// What was asked for once, of late.
#[derive(Debug, Default)]
pub(super) struct Doorkeeper {
    /// Parts of hashes, by another part of them; nothing before the first is asked for.
    seen: Vec<u32>,
}

impl Doorkeeper {
    /// Whether a translation has been asked for before; it is remembered, if not.
    pub fn knows(&mut self, mask: &FlowMask, key: &FlowKey) -> bool {
        if self.seen.is_empty() {
            self.seen.resize(1 << BITS, 0);
        }
        let words = mask.0.iter().zip(&key.0).filter(|(mask, _)| **mask != 0);
        let hash = hash_secretly(words.map(|(mask, key)| mask & key));
        let (slot, mark) = (hash >> (u64::BITS - BITS), hash as u32);
        let seen = &mut self.seen[slot as usize];
        if *seen == mark {
            *seen = 0;
            return true;
        }
        *seen = mark;
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weft_frame::field;

    #[test]
    fn who_comes_twice_is_known() {
        let mut doorkeeper = Doorkeeper::default();
        let mut mask = FlowMask::ZERO;
        mask.need(field::IN_PORT);
        let key = |in_port: u128, metadata: u128| {
            let mut key = FlowKey::ZERO;
            key.set(field::IN_PORT, in_port);
            key.set(field::METADATA, metadata);
            key
        };
        let first: Vec<bool> = (1..200)
            .map(|port| doorkeeper.knows(&mask, &key(port, 0)))
            .collect();
        assert!(first.iter().all(|known| !known));
        // What the mask does not have makes no difference.
        let second = (1..200).filter(|port| doorkeeper.knows(&mask, &key(*port, 7)));
        assert!(second.count() > 190);
        assert!(!doorkeeper.knows(&mask, &key(1, 0)));
    }
}
