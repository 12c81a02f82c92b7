//! The flow key: all that tables can match, in a fixed array of words.

use crate::field::{self, Field};

/// Words in a key.
pub const WORDS: usize = 28;

/// Values of all fields of one packet (or of a rule). Bits that are not of any field are zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct FlowKey(pub [u64; WORDS]);

/// Which bits of a key matter: same shape as the key, one bits matter.
pub type FlowMask = FlowKey;

impl Default for FlowKey {
    fn default() -> Self {
        FlowKey::ZERO
    }
}

impl FlowKey {
    /// All fields zero; as a mask: nothing matters.
    pub const ZERO: FlowKey = FlowKey([0; WORDS]);

    /// Value of a field.
    #[inline]
    pub fn get(&self, field: Field) -> u128 {
        let word = usize::from(field.word);
        if field.bits == 128 {
            return (u128::from(self.0[word]) << 64) | u128::from(self.0[word + 1]);
        }
        u128::from(self.get64(field))
    }

    /// Value of a field of at most 64 bits.
    #[inline]
    pub fn get64(&self, field: Field) -> u64 {
        (self.0[usize::from(field.word)] & field.word_mask()) >> field.shift
    }

    /// Sets a field. Bits of `value` beyond its width are ignored.
    #[inline]
    pub fn set(&mut self, field: Field, value: u128) {
        let word = usize::from(field.word);
        if field.bits == 128 {
            self.0[word] = (value >> 64) as u64;
            self.0[word + 1] = value as u64;
            return;
        }
        let mask = field.word_mask();
        self.0[word] = (self.0[word] & !mask) | (((value as u64) << field.shift) & mask);
    }

    /// Adds all bits of a field to a mask.
    #[inline]
    pub fn need(&mut self, field: Field) {
        let word = usize::from(field.word);
        self.0[word] |= field.word_mask();
        if field.bits == 128 {
            self.0[word + 1] = u64::MAX;
        }
    }

    /// Adds all bits of another mask.
    #[inline]
    pub fn need_all(&mut self, other: &FlowMask) {
        for (word, more) in self.0.iter_mut().zip(&other.0) {
            *word |= more;
        }
    }

    /// The key with the bits outside `mask` zeroed.
    pub fn masked(&self, mask: &FlowMask) -> FlowKey {
        let mut key = *self;
        for (word, mask) in key.0.iter_mut().zip(&mask.0) {
            *word &= mask;
        }
        key
    }

    /// Whether `packet` agrees with this key on all bits of `mask`.
    pub fn matches(&self, mask: &FlowMask, packet: &FlowKey) -> bool {
        (0..WORDS).all(|i| (self.0[i] ^ packet.0[i]) & mask.0[i] == 0)
    }

    /// Whether this mask has every bit that `other` has.
    pub fn covers(&self, other: &FlowMask) -> bool {
        (0..WORDS).all(|i| other.0[i] & !self.0[i] == 0)
    }

    /// Whether no bit is set.
    pub fn is_zero(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    /// Whether any bit of the packet itself (not of pipeline fields) is set.
    pub fn touches_packet(&self) -> bool {
        self.0[field::FIRST_PACKET_WORD..]
            .iter()
            .any(|word| *word != 0)
    }
}

impl std::fmt::Debug for FlowKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let words = self.0.iter().enumerate().filter(|(_, word)| **word != 0);
        f.debug_map()
            .entries(words.map(|(i, word)| (i, format!("{word:016x}"))))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_set_and_read_back_without_touching_others() {
        let fields = [
            field::IN_PORT,
            field::IN_PHY_PORT,
            field::METADATA,
            field::reg(0),
            field::reg(1),
            field::reg(15),
            field::ETH_DST,
            field::ETH_TYPE,
            field::ETH_SRC,
            field::VLAN_TCI,
            field::VLAN2_TCI,
            field::VLAN_COUNT,
            field::VLAN_SERVICE,
            field::VLAN2_SERVICE,
            field::MPLS_LABEL,
            field::MPLS_TC,
            field::MPLS_BOS,
            field::PRESENT,
            field::IP_PROTO,
            field::IP_TOS,
            field::IP_TTL,
            field::IP_FRAG,
            field::IPV6_FLABEL,
            field::IPV6_EXTHDR,
            field::IPV4_SRC,
            field::IPV4_DST,
            field::IPV6_SRC,
            field::IPV6_DST,
            field::L4_SRC,
            field::L4_DST,
            field::TCP_FLAGS,
            field::ARP_OP,
            field::ARP_SHA,
            field::MPLS_TTL,
            field::ARP_THA,
            field::ND_TARGET,
            field::PBB_ISID,
        ];
        let mut all = FlowKey::ZERO;
        for field in fields {
            let mut key = FlowKey::ZERO;
            key.set(field, u128::MAX);
            assert_eq!(key.get(field), field.ones(), "{field:?}");
            for i in 0..WORDS {
                assert_eq!(all.0[i] & key.0[i], 0, "{field:?} overlaps");
            }
            all.need_all(&key);
            let mut mask = FlowMask::ZERO;
            mask.need(field);
            assert_eq!(mask, key);
        }
        all.set(field::IPV6_SRC, 0);
        assert_eq!(all.get(field::IPV6_SRC), 0);
        assert_eq!(all.get(field::IPV6_DST), u128::MAX);
    }

    #[test]
    fn parts_of_fields() {
        assert_eq!(field::VLAN_TCI.part(0, 13), Some(field::VLAN_VID));
        assert_eq!(field::VLAN_TCI.part(13, 3), Some(field::VLAN_PCP));
        assert_eq!(field::VLAN_TCI.part(13, 4), None);
        let mut key = FlowKey::ZERO;
        key.set(field::IPV6_SRC, 0x1122 << 112 | 0x99);
        assert_eq!(
            field::IPV6_SRC.part(112, 16).map(|part| key.get(part)),
            Some(0x1122)
        );
        assert_eq!(
            field::IPV6_SRC.part(0, 8).map(|part| key.get(part)),
            Some(0x99)
        );
        assert_eq!(field::IPV6_SRC.part(60, 8), None);
    }
}
