//! A fast hash of a few words: multiply and fold, seeded, not cryptographic.

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

/// Mixes two words into one: the two halves of their 128-bit product.
#[inline]
fn mix(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ ((product >> 64) as u64)
}

/// Odd constants with about half of their bits set (of the golden ratio and the square roots of 3 and 5).
const K0: u64 = 0x9e37_79b9_7f4a_7c15;
const K1: u64 = 0xbb67_ae85_84ca_a73b;
const K2: u64 = 0x3c6e_f372_fe94_f82b;

/// What tables hash with: nobody outside may know which keys meet in a slot.
static SEED: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(K0));

/// Hash of a sequence of words, another one in each process.
#[inline]
pub fn hash_secretly(words: impl IntoIterator<Item = u64>) -> u64 {
    hash_from(*SEED, words)
}

/// Hash of a sequence of words, the same at all times and everywhere.
#[inline]
pub fn hash_words(words: impl IntoIterator<Item = u64>) -> u64 {
    hash_from(K0, words)
}

#[inline]
fn hash_from(mut hash: u64, words: impl IntoIterator<Item = u64>) -> u64 {
    for word in words {
        hash = mix(hash ^ word, K1).rotate_left(23) ^ word.wrapping_mul(K2);
    }
    mix(hash, K0 ^ K2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_differences_spread() {
        let mut low = std::collections::HashSet::new();
        let mut high = std::collections::HashSet::new();
        for i in 0..4096u64 {
            let hash = hash_words([i << 16, 0]);
            low.insert(hash & 0xfff);
            high.insert(hash >> 52);
        }
        // A random function leaves about 1/e of the slots empty: 2589 are expected to be hit.
        assert!(low.len() > 2400, "{}", low.len());
        assert!(high.len() > 2400, "{}", high.len());
    }

    #[test]
    fn zero_words_count() {
        assert_ne!(hash_words([0]), hash_words([0, 0]));
        assert_ne!(hash_words([K0]), hash_words([0]));
    }
}
