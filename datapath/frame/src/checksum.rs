//! Internet checksum (RFC 1071, RFC 1624) and CRC32c (RFC 9260 appendix A).

/// Adds `bytes`, as big-endian 16-bit words (an odd last byte padded with zero), to a running sum.
pub fn sum(bytes: &[u8], mut acc: u64) -> u64 {
    let mut words = bytes.chunks_exact(2);
    for word in &mut words {
        acc += u64::from(u16::from_be_bytes([word[0], word[1]]));
    }
    if let [last] = words.remainder() {
        acc += u64::from(*last) << 8;
    }
    acc
}

/// Folds a running sum to 16 bits.
pub fn fold(mut acc: u64) -> u16 {
    while acc >> 16 != 0 {
        acc = (acc & 0xffff) + (acc >> 16);
    }
    acc as u16
}

/// The internet checksum of `bytes`.
pub fn internet(bytes: &[u8]) -> u16 {
    !fold(sum(bytes, 0))
}

/// A checksum after `old` bytes were replaced by `new` ones at an even offset (RFC 1624, equation 3).
pub fn update(checksum: u16, old: &[u8], new: &[u8]) -> u16 {
    !replace(!checksum, old, new)
}

/// A folded sum (not complemented) after `old` bytes were replaced by `new` ones at an even offset.
pub fn replace(folded: u16, old: &[u8], new: &[u8]) -> u16 {
    let mut acc = u64::from(folded);
    for word in old.chunks(2) {
        acc += u64::from(!word16(word));
    }
    acc = sum(new, acc);
    fold(acc)
}

fn word16(bytes: &[u8]) -> u16 {
    u16::from_be_bytes([bytes[0], bytes.get(1).copied().unwrap_or(0)])
}

const fn crc32c_table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        let mut crc = i as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 != 0 {
                (crc >> 1) ^ 0x82f6_3b78
            } else {
                crc >> 1
            };
            bit += 1;
        }
        table[i] = crc;
        i += 1;
    }
    table
}

static CRC32C: [u32; 256] = crc32c_table();

/// CRC32c of `bytes`, as stored little-endian in an SCTP header.
pub fn crc32c(bytes: &[u8]) -> u32 {
    !crc32c_update(!0, bytes)
}

/// Runs the CRC register over more bytes, without the inversions at either end.
pub fn crc32c_update(mut crc: u32, bytes: &[u8]) -> u32 {
    for byte in bytes {
        crc = CRC32C[((crc ^ u32::from(*byte)) & 0xff) as usize] ^ (crc >> 8);
    }
    crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc32c_check_value() {
        // The check value every catalogue of CRCs gives for "123456789".
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn incremental_update_equals_recomputation() {
        let mut bytes: Vec<u8> = (0..40u8).map(|i| i.wrapping_mul(37)).collect();
        let before = internet(&bytes);
        let old: Vec<u8> = bytes[8..14].to_vec();
        let new = [0xff, 0xff, 0, 1, 0x80, 0x7f];
        bytes[8..14].copy_from_slice(&new);
        assert_eq!(update(before, &old, &new), internet(&bytes));
    }

    #[test]
    fn odd_lengths_are_padded() {
        assert_eq!(internet(&[1, 2, 3]), internet(&[1, 2, 3, 0]));
    }
}
