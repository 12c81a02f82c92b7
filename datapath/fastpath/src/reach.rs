//! How far the BPF program reads: what it leaves to user space whatever flows there are (`read_ethernet` and `read_network` in
//! bpf/fastpath.bpf.c), so that a trace can tell.

use crate::keys::Kind;

const VLAN: u16 = 0x8100;
const SERVICE_VLAN: u16 = 0x88a8;
/// Lower values of the type are lengths (IEEE 802.3 §3.2.6).
const FIRST_TYPE: u16 = 0x0600;

fn be16(frame: &[u8], at: usize) -> Option<u16> {
    let bytes = frame.get(at..at + 2)?;
    Some(u16::from_be_bytes([bytes[0], bytes[1]]))
}

/// Whether the program can make a key of that kind for a frame.
pub fn is_readable(frame: &[u8], kind: Kind) -> bool {
    let mut at = 12;
    let mut tags = 0;
    let ether_type = loop {
        match be16(frame, at) {
            None => return false,
            Some(VLAN | SERVICE_VLAN) if tags == 2 => return false,
            Some(VLAN | SERVICE_VLAN) => (at, tags) = (at + 4, tags + 1),
            Some(ether_type) => break ether_type,
        }
    };
    if ether_type < FIRST_TYPE {
        return false;
    }
    match kind {
        Kind::Short => true,
        Kind::Full => is_network_readable(ether_type, frame.get(at + 2..).unwrap_or_default()),
    }
}

fn is_network_readable(ether_type: u16, packet: &[u8]) -> bool {
    match ether_type {
        // MPLS, and the I-TAG of provider backbone bridges.
        0x8847 | 0x8848 | 0x88e7 => false,
        0x0800 if packet.len() >= 20 && packet[0] >> 4 == 4 => {
            let is_later_fragment = be16(packet, 6).is_some_and(|field| field & 0x1fff != 0);
            is_later_fragment || packet[0] & 15 <= 5
        }
        0x86dd if packet.len() >= 40 && packet[0] >> 4 == 6 => match packet[6] {
            // Extension headers.
            0 | 43 | 44 | 50 | 51 | 59 | 60 => false,
            // Neighbour discovery: its options are fields.
            58 => !matches!(packet.get(40), Some(135 | 136)),
            _ => true,
        },
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(types: &[u16], packet: &[u8]) -> Vec<u8> {
        let mut frame = vec![0; 12];
        for (i, kind) in types.iter().enumerate() {
            frame.extend(kind.to_be_bytes());
            if i + 1 < types.len() {
                frame.extend([0, 1]);
            }
        }
        frame.extend(packet);
        frame
    }

    #[test]
    fn what_is_too_deep() {
        let ip = {
            let mut ip = [0; 28];
            ip[0] = 0x45;
            ip
        };
        let mut options = ip;
        options[0] = 0x46;
        let mut v6 = [0; 48];
        (v6[0], v6[6]) = (0x60, 58);
        let (mut solicitation, mut hop_by_hop) = (v6, v6);
        solicitation[40] = 135;
        hop_by_hop[6] = 0;
        for (types, packet, short, full) in [
            (&[0x0800][..], &ip[..], true, true),
            (&[0x8100, 0x0800], &ip, true, true),
            (&[0x88a8, 0x8100, 0x0800], &ip, true, true),
            (&[0x88a8, 0x8100, 0x8100, 0x0800], &ip, false, false),
            (&[0x0800], &options, true, false),
            (&[0x86dd], &v6, true, true),
            (&[0x86dd], &solicitation, true, false),
            (&[0x86dd], &hop_by_hop, true, false),
            (&[0x8847], &ip, true, false),
            (&[0x0026], &ip, false, false),
        ] {
            let frame = frame(types, packet);
            assert_eq!(is_readable(&frame, Kind::Short), short, "{types:x?}");
            assert_eq!(is_readable(&frame, Kind::Full), full, "{types:x?}");
        }
        assert!(!is_readable(&[0; 12], Kind::Short));
    }
}
