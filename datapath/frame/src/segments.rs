//! Segmentation and checksums in software, for copies that are cut: what is missing can neither be segmented nor summed by the
//! kernel.

use crate::{Checksum, GsoKind, Offload, Packet, checksum, ip_proto};

const IPV6_HEADER: usize = 40;
const TCP_FIN: u8 = 0x01;
const TCP_PSH: u8 = 0x08;
const TCP_CWR: u8 = 0x80;

/// The packets that a frame whose segmentation is pending stands for.
#[derive(Clone, Copy, Debug)]
pub struct Segments {
    l3_at: usize,
    l4_at: usize,
    /// Of all headers.
    headers: usize,
    /// Payload of each but the last.
    size: usize,
    /// Of the frame.
    length: usize,
    is_ipv4: bool,
    is_tcp: bool,
}

impl Segments {
    /// Those of a frame; `None`: nothing is pending, or the headers are not what it should be done to.
    pub fn of(packet: &mut Packet) -> Option<Segments> {
        let gso = packet.offload.gso?;
        let layout = packet.layout();
        let (is_ipv4, is_tcp) = match gso.kind {
            GsoKind::Tcp4 => (layout.is_ipv4(), true),
            GsoKind::Tcp6 if layout.is_ipv6() => (false, true),
            GsoKind::UdpL4 if layout.is_ipv4() || layout.is_ipv6() => (layout.is_ipv4(), false),
            _ => return None,
        };
        let wanted = if is_tcp { ip_proto::TCP } else { ip_proto::UDP };
        let fits = layout.ip_proto == wanted && layout.l4_at != 0 && gso.size != 0;
        if !fits || (gso.kind == GsoKind::Tcp4 && !is_ipv4) {
            return None;
        }
        let (l3_at, l4_at) = (usize::from(layout.l3_at), usize::from(layout.l4_at));
        let l4_bytes = if is_tcp {
            4 * usize::from(packet.bytes().get(l4_at + 12)? >> 4)
        } else {
            8
        };
        let headers = l4_at + l4_bytes;
        (l4_bytes >= 8 && headers < packet.len()).then_some(Segments {
            l3_at,
            l4_at,
            headers,
            size: gso.size.into(),
            length: packet.len(),
            is_ipv4,
            is_tcp,
        })
    }

    /// How many.
    pub fn count(&self) -> usize {
        (self.length - self.headers).div_ceil(self.size)
    }

    /// Bytes of the longest of them.
    pub fn longest(&self) -> usize {
        self.headers + self.size.min(self.length - self.headers)
    }

    /// Makes `into` one of the packets, counted from 0: at most `max_len` bytes of it, with the checksums of all of it.
    pub fn write(&self, whole: &Packet, number: usize, max_len: usize, into: &mut Packet) {
        let begin = (self.headers + number * self.size).min(self.length);
        let end = (begin + self.size).min(self.length);
        let payload = &whole.bytes()[begin..end];
        into.assign(&whole.bytes()[..self.headers], Offload::default());
        self.write_headers(into.bytes_mut(), payload, number, end == self.length);
        let kept = payload.len().min(max_len.saturating_sub(self.headers));
        into.pad(self.headers + kept);
        into.bytes_mut()[self.headers..].copy_from_slice(&payload[..kept]);
        into.truncate(max_len);
    }

    /// As the kernel's segmentation does.
    fn write_headers(&self, headers: &mut [u8], payload: &[u8], number: usize, is_last: bool) {
        let (_, l3) = headers.split_at_mut(self.l3_at);
        let (l3, l4) = l3.split_at_mut(self.l4_at - self.l3_at);
        let l4_length = l4.len() + payload.len();
        if self.is_ipv4 {
            put16(l3, 2, (l3.len() + l4_length) as u16);
            let id = get16(l3, 4).wrapping_add(number as u16);
            put16(l3, 4, id);
            put16(l3, 10, 0);
            put16(l3, 10, checksum::internet(l3));
        } else {
            put16(l3, 4, (l3.len() - IPV6_HEADER + l4_length) as u16);
        }
        let (sum_at, protocol) = if self.is_tcp {
            let before = (number * self.size) as u32;
            let sequence = u32::from_be_bytes([l4[4], l4[5], l4[6], l4[7]]).wrapping_add(before);
            l4[4..8].copy_from_slice(&sequence.to_be_bytes());
            if !is_last {
                l4[13] &= !(TCP_FIN | TCP_PSH);
            }
            if number != 0 {
                l4[13] &= !TCP_CWR;
            }
            (16, ip_proto::TCP)
        } else {
            put16(l4, 4, l4_length as u16);
            (6, ip_proto::UDP)
        };
        let addresses = if self.is_ipv4 {
            &l3[12..20]
        } else {
            &l3[8..IPV6_HEADER]
        };
        put16(l4, sum_at, 0);
        let pseudo = checksum::sum(addresses, u64::from(protocol) + l4_length as u64);
        // Headers have an even length.
        let sum = !checksum::fold(checksum::sum(payload, checksum::sum(l4, pseudo)));
        // RFC 768: zero says that there is none.
        put16(
            l4,
            sum_at,
            if sum == 0 && !self.is_tcp {
                0xffff
            } else {
                sum
            },
        );
    }
}

/// Stores a checksum that is pending, as far as there is room for it.
pub fn complete_checksum(packet: &mut Packet) {
    let pending = std::mem::take(&mut packet.offload.checksum);
    let Checksum::Partial { start, offset } = pending else {
        return;
    };
    let is_udp = packet.layout().ip_proto == ip_proto::UDP;
    let bytes = packet.bytes_mut();
    let at = usize::from(start) + usize::from(offset);
    if at + 2 > bytes.len() {
        return;
    }
    let sum = checksum::internet(&bytes[usize::from(start)..]);
    put16(bytes, at, if sum == 0 && is_udp { 0xffff } else { sum });
}

fn get16(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn put16(bytes: &mut [u8], at: usize, value: u16) {
    bytes[at..at + 2].copy_from_slice(&value.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Gso;

    const SIZE: usize = 100;

    /// Ethernet, IP and TCP with twelve bytes of options, FIN and PSH and CWR set, and so much payload.
    fn frame(is_ipv4: bool, payload: usize) -> Packet {
        let mut frame = vec![2; 12];
        let length = 32 + payload;
        if is_ipv4 {
            frame.extend([8, 0, 0x45, 0]);
            frame.extend(((length + 20) as u16).to_be_bytes());
            frame.extend([0xff, 0xff, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        } else {
            frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
            frame.extend((length as u16).to_be_bytes());
            frame.extend([6, 64]);
            frame.extend([0xfd; 32]);
        }
        frame.extend([0, 80, 4, 0, 0xff, 0xff, 0xff, 0xf0, 0, 0, 0, 1]);
        frame.extend([0x80, 0x99, 1, 0, 0, 0, 0, 0]);
        frame.extend([1; 12]);
        frame.extend((0..payload).map(|byte| byte as u8));
        let mut packet = Packet::from_frame(&frame);
        packet.offload.gso = Some(Gso {
            kind: if is_ipv4 {
                GsoKind::Tcp4
            } else {
                GsoKind::Tcp6
            },
            ecn: false,
            size: SIZE as u16,
            hdr_len: 0,
        });
        packet
    }

    fn segments_of(is_ipv4: bool, max_len: usize) -> Vec<Packet> {
        let mut packet = frame(is_ipv4, 2 * SIZE + 33);
        let segments = Segments::of(&mut packet).expect("TCP");
        let write = |number| {
            let mut one = Packet::with_capacity(0);
            segments.write(&packet, number, max_len, &mut one);
            one
        };
        (0..segments.count()).map(write).collect()
    }

    #[test]
    fn whole_segments_have_headers_of_their_own_and_right_sums() {
        for is_ipv4 in [true, false] {
            let l3 = if is_ipv4 { 20 } else { 40 };
            let headers = 14 + l3 + 32;
            let list = segments_of(is_ipv4, 1000);
            let lengths: Vec<usize> = list.iter().map(Packet::len).collect();
            assert_eq!(lengths, [headers + SIZE, headers + SIZE, headers + 33]);
            for (number, segment) in list.iter().enumerate() {
                let bytes = segment.bytes();
                let (ip, tcp) = (&bytes[14..14 + l3], &bytes[14 + l3..]);
                let addresses = if is_ipv4 { &ip[12..] } else { &ip[8..] };
                let pseudo = checksum::sum(addresses, 6 + tcp.len() as u64);
                assert_eq!(checksum::fold(checksum::sum(tcp, pseudo)), 0xffff);
                if is_ipv4 {
                    assert_eq!(usize::from(get16(ip, 2)), 20 + tcp.len());
                    assert_eq!(get16(ip, 4), 0xffff_u16.wrapping_add(number as u16));
                    assert_eq!(checksum::internet(ip), 0);
                } else {
                    assert_eq!(usize::from(get16(ip, 4)), tcp.len());
                }
                let sequence = 0xffff_fff0_u32.wrapping_add((number * SIZE) as u32);
                assert_eq!(tcp[4..8], sequence.to_be_bytes());
                assert_eq!(tcp[13], [0x90, 0x10, 0x19][number]);
                assert_eq!(tcp[32], (number * SIZE) as u8);
            }
        }
    }

    #[test]
    fn cut_segments_begin_as_whole_ones() {
        for max_len in [14, 40, 70, 120] {
            for (cut, whole) in segments_of(true, max_len)
                .iter()
                .zip(segments_of(true, 1000))
            {
                assert_eq!(cut.bytes(), &whole.bytes()[..max_len.min(whole.len())]);
            }
        }
    }

    #[test]
    fn what_cannot_be_segmented_is_left() {
        let mut plain = frame(true, 300);
        plain.offload.gso = None;
        assert!(Segments::of(&mut plain).is_none());
        let mut other = frame(false, 300);
        other.offload.gso = frame(true, 300).offload.gso;
        assert!(Segments::of(&mut other).is_none());
    }

    #[test]
    fn a_pending_sum_is_stored() {
        let mut packet = frame(true, 4);
        let l4 = &packet.bytes()[34..];
        let pseudo = checksum::sum(&packet.bytes()[26..34], 6 + l4.len() as u64);
        let wanted = !checksum::fold(checksum::sum(l4, pseudo));
        put16(packet.bytes_mut(), 50, checksum::fold(pseudo));
        packet.offload.checksum = Checksum::Partial {
            start: 34,
            offset: 16,
        };
        complete_checksum(&mut packet);
        assert_eq!(get16(packet.bytes(), 50), wanted);
        assert_eq!(packet.offload.checksum, Checksum::None);
    }
}
