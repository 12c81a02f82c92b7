//! What the sender left for later: checksum and segmentation state, as in `virtio_net_hdr` (VIRTIO 1.2 §5.1.6).

/// State of the transport checksum of a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Checksum {
    /// The bytes are as they should be on the wire; nobody has verified them.
    #[default]
    None,
    /// `VIRTIO_NET_HDR_F_NEEDS_CSUM`: sum from `start` to the end must be stored at `start + offset`, where
    /// the pseudo-header's sum (not complemented) lies already. Both in bytes, `start` from the frame's begin.
    Partial {
        /// First byte that is summed.
        start: u16,
        /// Where the checksum goes, from `start`.
        offset: u16,
    },
    /// `VIRTIO_NET_HDR_F_DATA_VALID`: verified by the receiver's hardware.
    Valid,
}

/// Kind of segmentation that is pending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GsoKind {
    /// TCP over IPv4.
    Tcp4,
    /// TCP over IPv6.
    Tcp6,
    /// UDP fragmentation (IPv4 or IPv6), obsolete.
    Udp,
    /// UDP segmentation into datagrams.
    UdpL4,
}

/// Pending segmentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gso {
    /// Which kind.
    pub kind: GsoKind,
    /// The TCP segments carry ECN (`VIRTIO_NET_HDR_GSO_ECN`).
    pub ecn: bool,
    /// Payload bytes per segment.
    pub size: u16,
    /// Length of all headers, from the frame's begin to the payload.
    pub hdr_len: u16,
}

/// Work left for the kernel or the NIC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offload {
    /// State of the transport checksum.
    pub checksum: Checksum,
    /// Pending segmentation, if any.
    pub gso: Option<Gso>,
}

/// Length of `struct virtio_net_hdr`.
pub const VNET_HDR_LEN: usize = 10;

const F_NEEDS_CSUM: u8 = 1;
const F_DATA_VALID: u8 = 2;
const GSO_TCPV4: u8 = 1;
const GSO_UDP: u8 = 3;
const GSO_TCPV6: u8 = 4;
const GSO_UDP_L4: u8 = 5;
const GSO_ECN: u8 = 0x80;

impl Offload {
    /// Reads a `virtio_net_hdr` in host byte order, as Linux gives it. Unknown kinds of segmentation are
    /// returned as `None`: such a frame must be dropped.
    pub fn from_vnet_hdr(header: &[u8; VNET_HDR_LEN]) -> Option<Offload> {
        let word = |at: usize| u16::from_ne_bytes([header[at], header[at + 1]]);
        let checksum = if header[0] & F_NEEDS_CSUM != 0 {
            Checksum::Partial {
                start: word(6),
                offset: word(8),
            }
        } else if header[0] & F_DATA_VALID != 0 {
            Checksum::Valid
        } else {
            Checksum::None
        };
        let kind = match header[1] & !GSO_ECN {
            0 => {
                return Some(Offload {
                    checksum,
                    gso: None,
                });
            }
            GSO_TCPV4 => GsoKind::Tcp4,
            GSO_TCPV6 => GsoKind::Tcp6,
            GSO_UDP => GsoKind::Udp,
            GSO_UDP_L4 => GsoKind::UdpL4,
            _ => return None,
        };
        let gso = Gso {
            kind,
            ecn: header[1] & GSO_ECN != 0,
            size: word(4),
            hdr_len: word(2),
        };
        Some(Offload {
            checksum,
            gso: Some(gso),
        })
    }

    /// Writes a `virtio_net_hdr` in host byte order. `DATA_VALID` is not passed on: on transmit it has no meaning
    /// to a packet socket, and [`Checksum::Valid`] bytes are complete.
    pub fn to_vnet_hdr(&self) -> [u8; VNET_HDR_LEN] {
        let mut header = [0; VNET_HDR_LEN];
        if let Checksum::Partial { start, offset } = self.checksum {
            header[0] = F_NEEDS_CSUM;
            header[6..8].copy_from_slice(&start.to_ne_bytes());
            header[8..10].copy_from_slice(&offset.to_ne_bytes());
        }
        if let Some(gso) = self.gso {
            header[1] = match gso.kind {
                GsoKind::Tcp4 => GSO_TCPV4,
                GsoKind::Tcp6 => GSO_TCPV6,
                GsoKind::Udp => GSO_UDP,
                GsoKind::UdpL4 => GSO_UDP_L4,
            };
            if gso.ecn {
                header[1] |= GSO_ECN;
            }
            header[2..4].copy_from_slice(&gso.hdr_len.to_ne_bytes());
            header[4..6].copy_from_slice(&gso.size.to_ne_bytes());
        }
        header
    }

    /// Moves what points into the packet after `count` bytes were put in at `at`.
    pub(crate) fn grown(&mut self, at: usize, count: usize) {
        let count = count as u16;
        if let Checksum::Partial { start, .. } = &mut self.checksum
            && usize::from(*start) >= at
        {
            *start = start.saturating_add(count);
        }
        if let Some(gso) = &mut self.gso {
            gso.hdr_len = gso.hdr_len.saturating_add(count);
        }
    }

    /// Moves what points into the packet after `count` bytes were taken out at `at`.
    pub(crate) fn shrunk(&mut self, at: usize, count: usize) {
        let count = count as u16;
        if let Checksum::Partial { start, .. } = &mut self.checksum
            && usize::from(*start) >= at
        {
            *start = start.saturating_sub(count);
        }
        if let Some(gso) = &mut self.gso {
            gso.hdr_len = gso.hdr_len.saturating_sub(count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vnet_header_round_trips() {
        let offload = Offload {
            checksum: Checksum::Partial {
                start: 34,
                offset: 16,
            },
            gso: Some(Gso {
                kind: GsoKind::Tcp4,
                ecn: true,
                size: 1448,
                hdr_len: 66,
            }),
        };
        let header = offload.to_vnet_hdr();
        assert_eq!(header[0], 1);
        assert_eq!(header[1], 0x81);
        assert_eq!(Offload::from_vnet_hdr(&header), Some(offload));
        assert_eq!(Offload::from_vnet_hdr(&[0; 10]), Some(Offload::default()));
    }

    #[test]
    fn unknown_segmentation_is_refused() {
        assert_eq!(
            Offload::from_vnet_hdr(&[0, 9, 0, 0, 0, 0, 0, 0, 0, 0]),
            None
        );
    }

    #[test]
    fn data_valid_is_seen_and_not_passed_on() {
        let offload = Offload::from_vnet_hdr(&[2, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(offload.map(|o| o.checksum), Some(Checksum::Valid));
        assert_eq!(offload.map(|o| o.to_vnet_hdr()), Some([0; 10]));
    }
}
