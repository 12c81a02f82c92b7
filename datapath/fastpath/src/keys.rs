//! Keys and masks as the program has them.

use crate::layout::{FULL_WORDS, MAX_SHORT_MASKS, SHORT_WORDS};
use weft_frame::{FlowKey, FlowMask, WORDS, field};

/// First and last word of a `FlowKey` that a full key has.
const FIRST: usize = field::FIRST_PACKET_WORD;
const LAST: usize = FIRST + FULL_WORDS - 2;
/// The last word of a short key, and the bits of it that are read with the Ethernet header.
const SHORT_LAST: usize = FIRST + SHORT_WORDS - 2;
const SHORT_BITS: u64 = field::VLAN_REST.word_mask();

/// Room for a key of any kind, mask id and all.
pub type Words = [u64; FULL_WORDS];

/// Which kind of key a mask needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Ethernet and VLAN.
    Short,
    /// Up to the transport header.
    Full,
}

impl Kind {
    /// Words of a key.
    pub fn words(self) -> usize {
        match self {
            Kind::Short => SHORT_WORDS,
            Kind::Full => FULL_WORDS,
        }
    }

    /// Id of the kind's first mask.
    pub fn first_mask(self) -> u32 {
        match self {
            Kind::Short => 0,
            Kind::Full => MAX_SHORT_MASKS as u32,
        }
    }

    /// The kind of a key, told by its mask's id.
    pub fn of(key: &Words) -> Kind {
        if (key[0] as u32) < Kind::Full.first_mask() {
            Kind::Short
        } else {
            Kind::Full
        }
    }
}

/// The kind of key that has all bits of a mask; `None`: none has. (What only the pipeline itself sets is the same for every
/// packet that comes in.)
pub fn kind(mask: &FlowMask) -> Option<Kind> {
    if (LAST + 1..WORDS).any(|w| mask.0[w] != 0) {
        return None;
    }
    let short =
        (SHORT_LAST + 1..=LAST).all(|w| mask.0[w] == 0) && mask.0[SHORT_LAST] & !SHORT_BITS == 0;
    Some(if short { Kind::Short } else { Kind::Full })
}

/// The words of a mask or key from the second on; the first is left zero, and so are those that this kind has not.
pub fn words(key: &FlowKey, kind: Kind) -> Words {
    let mut words = [0; FULL_WORDS];
    let n = kind.words() - 1;
    words[1..=n].copy_from_slice(&key.0[FIRST..FIRST + n]);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_get_the_shortest_key() {
        let mut mask = FlowMask::ZERO;
        for field in [
            field::IN_PORT,
            field::ETH_DST,
            field::ETH_SRC,
            field::VLAN_TCI,
            field::VLAN_REST,
        ] {
            mask.need(field);
        }
        assert_eq!(kind(&mask), Some(Kind::Short));
        assert_eq!(
            words(&mask, Kind::Short)[SHORT_WORDS..],
            [0; FULL_WORDS - SHORT_WORDS]
        );
        mask.need(field::PRESENT);
        assert_eq!(kind(&mask), Some(Kind::Full));
        mask.need(field::L4_SRC);
        assert_eq!(kind(&mask), Some(Kind::Full));
        mask.need(field::ARP_SHA);
        assert_eq!(kind(&mask), None);
    }
}
