//! Frames built by hand, and their checksums computed from scratch.
#![allow(dead_code)]

use weft_frame::checksum;

pub const DST: [u8; 6] = [0x02, 0, 0, 0, 0, 0xd5];
pub const SRC: [u8; 6] = [0x02, 0, 0, 0, 0, 0x5c];

/// Ethernet header, VLAN tags as (TPID, TCI), EtherType and payload.
pub fn ethernet(tags: &[(u16, u16)], kind: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = [DST, SRC].concat();
    for (tpid, tci) in tags {
        frame.extend(tpid.to_be_bytes());
        frame.extend(tci.to_be_bytes());
    }
    frame.extend(kind.to_be_bytes());
    frame.extend(payload);
    frame
}

pub fn ipv4(proto: u8, fragment: u16, options: &[u8], payload: &[u8]) -> Vec<u8> {
    let header_len = 20 + options.len();
    let mut packet = vec![0x40 | (header_len / 4) as u8, 0xb9];
    packet.extend(((header_len + payload.len()) as u16).to_be_bytes());
    packet.extend([0x12, 0x34]);
    packet.extend(fragment.to_be_bytes());
    packet.extend([64, proto, 0, 0]);
    packet.extend([10, 0, 0, 1, 10, 0, 0, 2]);
    packet.extend(options);
    let sum = checksum::internet(&packet);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet.extend(payload);
    packet
}

pub fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x6b, 0x9a, 0xbc, 0xde];
    packet.extend((payload.len() as u16).to_be_bytes());
    packet.extend([next, 64]);
    packet.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    packet.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
    packet.extend(payload);
    packet
}

pub fn tcp(payload: &[u8]) -> Vec<u8> {
    let mut segment = vec![0x03, 0xe8, 0x07, 0xd0];
    segment.extend([0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x12, 0x20, 0, 0, 0, 0, 0]);
    segment.extend(payload);
    segment
}

pub fn udp(payload: &[u8]) -> Vec<u8> {
    let mut datagram = vec![0x03, 0xe8, 0x07, 0xd0];
    datagram.extend(((8 + payload.len()) as u16).to_be_bytes());
    datagram.extend([0, 0]);
    datagram.extend(payload);
    datagram
}

pub fn sctp(payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x03, 0xe8, 0x07, 0xd0, 1, 2, 3, 4, 0, 0, 0, 0];
    packet.extend(payload);
    packet
}

/// A neighbour solicitation (135) or advertisement (136) with its link-layer address option.
pub fn neighbour(kind: u8) -> Vec<u8> {
    let mut message = vec![kind, 0, 0, 0, 0, 0, 0, 0];
    message.extend([0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9]);
    message.extend([kind - 134, 1, 0x02, 0xaa, 0xbb, 0xcc, 0xdd, 0xee]);
    message
}

pub fn arp() -> Vec<u8> {
    let mut message = vec![0, 1, 8, 0, 6, 4, 0, 2];
    message.extend(SRC);
    message.extend([10, 0, 0, 1]);
    message.extend(DST);
    message.extend([10, 0, 0, 2]);
    message
}

/// Where the transport checksum lies, from the transport header.
fn checksum_offset(proto: u8) -> usize {
    match proto {
        6 => 16,
        17 => 6,
        132 => 8,
        _ => 2,
    }
}

/// Sum of the pseudo-header of the IP packet at `l3` of `frame`.
pub fn pseudo_sum(frame: &[u8], l3: usize, l4: usize, proto: u8) -> u64 {
    let length = (frame.len() - l4) as u64;
    if frame[l3] >> 4 == 4 {
        if proto == 1 {
            return 0;
        }
        checksum::sum(&frame[l3 + 12..l3 + 20], length + u64::from(proto))
    } else {
        checksum::sum(&frame[l3 + 8..l3 + 40], length + u64::from(proto))
    }
}

/// The transport checksum as it should be, as stored.
pub fn transport_checksum(frame: &[u8], l3: usize, l4: usize, proto: u8) -> Vec<u8> {
    let at = l4 + checksum_offset(proto);
    let mut copy = frame.to_vec();
    if proto == 132 {
        copy[at..at + 4].fill(0);
        return checksum::crc32c(&copy[l4..]).to_le_bytes().to_vec();
    }
    copy[at..at + 2].fill(0);
    let sum = !checksum::fold(checksum::sum(&copy[l4..], pseudo_sum(&copy, l3, l4, proto)));
    let sum = if proto == 17 && sum == 0 { 0xffff } else { sum };
    sum.to_be_bytes().to_vec()
}

/// Stores the transport checksum.
pub fn finish(frame: &mut [u8], l3: usize, l4: usize, proto: u8) {
    let sum = transport_checksum(frame, l3, l4, proto);
    let at = l4 + checksum_offset(proto);
    frame[at..at + sum.len()].copy_from_slice(&sum);
}

/// Asserts that all checksums of the frame are right.
pub fn assert_checksums(frame: &[u8], l3: usize, l4: usize, proto: u8) {
    if frame[l3] >> 4 == 4 {
        assert_eq!(
            checksum::internet(&frame[l3..l4]),
            0,
            "IPv4 header checksum"
        );
    }
    let at = l4 + checksum_offset(proto);
    let expected = transport_checksum(frame, l3, l4, proto);
    assert_eq!(
        &frame[at..at + expected.len()],
        &expected[..],
        "checksum of protocol {proto}"
    );
}
