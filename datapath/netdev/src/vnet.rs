//! `struct virtio_net_hdr`: what is still to be done to a frame, as the kernel hands it over and takes it back
//! (virtio 1.1 §5.1.6). Packet sockets and taps use the 10-byte form in the host's byte order.

/// Bytes of the header in front of each frame.
pub const HEADER_LEN: usize = 10;

/// The checksum at `csum_start + csum_offset` is still to be computed.
pub const F_NEEDS_CSUM: u8 = 1;
/// The kernel has verified the checksum.
pub const F_DATA_VALID: u8 = 2;

/// Not to be segmented.
pub const GSO_NONE: u8 = 0;
/// TCP over IPv4.
pub const GSO_TCPV4: u8 = 1;
/// UDP fragmentation; no longer made by Linux.
pub const GSO_UDP: u8 = 3;
/// TCP over IPv6.
pub const GSO_TCPV6: u8 = 4;
/// UDP datagrams of `gso_size` payload each.
pub const GSO_UDP_L4: u8 = 5;
/// TCP with congestion notification; a bit beside the type.
pub const GSO_ECN: u8 = 0x80;

/// One header, decoded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct VnetHeader {
    /// `F_*`
    pub flags: u8,
    /// `GSO_*`
    pub gso_type: u8,
    /// Bytes up to the end of the transport header; a hint.
    pub hdr_len: u16,
    /// Payload bytes of each segment.
    pub gso_size: u16,
    /// Where the checksummed part starts, from the start of the frame.
    pub csum_start: u16,
    /// Where the checksum is, from `csum_start`.
    pub csum_offset: u16,
}

impl VnetHeader {
    /// Reads the header as the kernel wrote it.
    pub fn from_bytes(bytes: [u8; HEADER_LEN]) -> Self {
        let word = |at: usize| u16::from_ne_bytes([bytes[at], bytes[at + 1]]);
        VnetHeader {
            flags: bytes[0],
            gso_type: bytes[1],
            hdr_len: word(2),
            gso_size: word(4),
            csum_start: word(6),
            csum_offset: word(8),
        }
    }

    /// The header as the kernel reads it.
    pub fn to_bytes(self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[0] = self.flags;
        bytes[1] = self.gso_type;
        for (at, word) in [(2, self.hdr_len), (4, self.gso_size), (6, self.csum_start), (8, self.csum_offset)] {
            bytes[at..at + 2].copy_from_slice(&word.to_ne_bytes());
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_follow_the_structure() {
        let header = VnetHeader {
            flags: F_NEEDS_CSUM,
            gso_type: GSO_TCPV4 | GSO_ECN,
            hdr_len: 0x0102,
            gso_size: 0x0304,
            csum_start: 0x0506,
            csum_offset: 0x0708,
        };
        let bytes = header.to_bytes();
        assert_eq!(bytes[..2], [1, 0x81]);
        assert_eq!(u16::from_ne_bytes([bytes[2], bytes[3]]), 0x0102);
        assert_eq!(u16::from_ne_bytes([bytes[8], bytes[9]]), 0x0708);
        assert_eq!(VnetHeader::from_bytes(bytes), header);
    }
}
