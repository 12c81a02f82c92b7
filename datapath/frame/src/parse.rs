//! Reading the flow key from a frame.
//!
//! Every access is checked; what is cut short is absent. Lengths written in headers bound what follows them but
//! are never trusted beyond the frame. Absent fields are zero and their bit of [`field::PRESENT`] is clear.

use crate::field::{self, frag, present};
use crate::key::FlowKey;
use crate::layout::Layout;
use crate::packet::Packet;
use crate::{ethertype, ip_proto};

/// Most VLAN tags that are stepped over to find the EtherType.
pub const MAX_TAGS: u8 = 14;
/// Most IPv6 extension headers that are stepped over.
const MAX_EXTENSIONS: usize = 16;

/// Reads the key of `packet`, received on `in_port`, and remembers where its headers lie.
pub fn extract(packet: &mut Packet, in_port: u32) -> FlowKey {
    let (key, layout) = parse(packet.bytes(), in_port);
    packet.set_layout(layout);
    key
}

/// Reads key and layout of a frame.
pub fn parse(frame: &[u8], in_port: u32) -> (FlowKey, Layout) {
    let mut reader = Reader {
        frame,
        key: FlowKey::ZERO,
        layout: Layout::default(),
        present: 0,
    };
    reader.key.0[0] = (u64::from(in_port) << 32) | u64::from(in_port);
    reader.ethernet();
    reader.key.0[15] |= reader.present;
    (reader.key, reader.layout)
}

struct Reader<'a> {
    frame: &'a [u8],
    key: FlowKey,
    layout: Layout,
    present: u64,
}

#[inline]
fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes
        .get(at..at + 2)
        .map(|b| u16::from_be_bytes([b[0], b[1]]))
}

#[inline]
fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes
        .get(at..at + 4)
        .map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
}

#[inline]
fn be64(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes: [u8; 8] = bytes.get(at..at + 8)?.try_into().ok()?;
    Some(u64::from_be_bytes(bytes))
}

/// Six bytes from `at` as a number.
#[inline]
fn mac(bytes: &[u8], at: usize) -> Option<u64> {
    Some((u64::from(be16(bytes, at)?) << 32) | u64::from(be32(bytes, at + 2)?))
}

fn is_tag(ethertype: u16) -> bool {
    matches!(ethertype, ethertype::VLAN | ethertype::SVLAN)
}

impl Reader<'_> {
    fn ethernet(&mut self) {
        let frame = self.frame;
        let (Some(dst), Some(src), Some(mut kind)) =
            (mac(frame, 0), mac(frame, 6), be16(frame, 12))
        else {
            return;
        };
        let mut at = 12;
        let mut tci = 0;
        while is_tag(kind) && self.layout.tags < MAX_TAGS {
            let (Some(tag), Some(next)) = (be16(frame, at + 2), be16(frame, at + 4)) else {
                break;
            };
            let service = u64::from(kind == ethertype::SVLAN);
            let tag = u64::from(tag | 0x1000);
            match self.layout.tags {
                0 => {
                    tci = tag;
                    self.key.0[15] |= service << field::VLAN_SERVICE.shift;
                }
                1 => {
                    self.key.0[15] |= tag << field::VLAN2_TCI.shift;
                    self.key.0[15] |= service << field::VLAN2_SERVICE.shift;
                }
                _ => {}
            }
            self.layout.tags += 1;
            at += 4;
            kind = next;
        }
        self.key.0[15] |= u64::from(self.layout.tags) << field::VLAN_COUNT.shift;
        if kind < 0x0600 {
            // 802.3 length: the type is in the SNAP header, if there is one (RFC 1042).
            match frame.get(at + 2..at + 10) {
                Some([0xaa, 0xaa, 0x03, 0, 0, 0, high, low])
                    if u16::from_be_bytes([*high, *low]) >= 0x0600 =>
                {
                    kind = u16::from_be_bytes([*high, *low]);
                    at += 8;
                }
                _ => kind = ethertype::NOT_ETHERTYPE,
            }
        }
        self.layout.ethertype_at = at as u16;
        self.layout.ethertype = kind;
        self.key.0[13] = (dst << 16) | u64::from(kind);
        self.key.0[14] = (src << 16) | tci;
        let payload = at + 2;
        match kind {
            ethertype::IPV4 => self.ipv4(payload),
            ethertype::IPV6 => self.ipv6(payload),
            ethertype::ARP | ethertype::RARP => self.arp(payload),
            ethertype::MPLS | ethertype::MPLS_UPSTREAM => self.mpls(payload),
            ethertype::PBB => self.pbb(payload),
            _ => {}
        }
    }

    fn found_l3(&mut self, at: usize) {
        self.layout.l3_at = at as u16;
        self.present |= present::L3;
    }

    fn arp(&mut self, at: usize) {
        let Some(message) = self.frame.get(at..at + 28) else {
            return;
        };
        // Ethernet and IPv4 addresses only (RFC 826).
        if message[..6] != [0, 1, 8, 0, 6, 4] {
            return;
        }
        let (Some(op), Some(sha), Some(spa), Some(tha), Some(tpa)) = (
            be16(message, 6),
            mac(message, 8),
            be32(message, 14),
            mac(message, 18),
            be32(message, 24),
        ) else {
            return;
        };
        self.key.0[17] = (u64::from(spa) << 32) | u64::from(tpa);
        self.key.0[22] = u64::from(op);
        self.key.0[23] = sha << 16;
        self.key.0[24] = tha << 16;
        self.found_l3(at);
    }

    fn mpls(&mut self, at: usize) {
        let Some(entry) = be32(self.frame, at) else {
            return;
        };
        let entry = u64::from(entry);
        self.key.0[15] |= (entry >> 12) << field::MPLS_LABEL.shift;
        self.key.0[15] |= (entry >> 9 & 7) << field::MPLS_TC.shift;
        self.key.0[15] |= (entry >> 8 & 1) << field::MPLS_BOS.shift;
        self.key.0[23] |= entry & 0xff;
        self.layout.shim_at = at as u16;
        self.present |= present::SHIM;
    }

    fn pbb(&mut self, at: usize) {
        // I-TAG TCI (IEEE 802.1Q §9.7): flags, then the 24 bits of the I-SID, then C-DA and C-SA.
        if self.frame.len() < at + 16 {
            return;
        }
        let Some(tci) = be32(self.frame, at) else {
            return;
        };
        self.key.0[27] = u64::from(tci & 0x00ff_ffff);
        self.layout.shim_at = at as u16;
        self.present |= present::SHIM;
    }

    fn ipv4(&mut self, at: usize) {
        let frame = self.frame;
        let Some(header) = frame.get(at..at + 20) else {
            return;
        };
        let header_len = usize::from(header[0] & 0x0f) * 4;
        let (Some(total), Some(fragment), Some(addresses)) =
            (be16(header, 2), be16(header, 6), be64(header, 12))
        else {
            return;
        };
        let total = usize::from(total);
        if header[0] >> 4 != 4 || header_len < 20 || at + header_len > frame.len() {
            return;
        }
        // A segment beyond 64 KB is written with length 0.
        let end = if total == 0 {
            frame.len()
        } else {
            frame.len().min(at + total)
        };
        if end < at + header_len {
            return;
        }
        let mut fragments = 0;
        if fragment & 0x3fff != 0 {
            fragments |= frag::ANY;
            self.layout.fragment = true;
        }
        if fragment & 0x1fff != 0 {
            fragments |= frag::LATER;
        }
        self.key.0[16] = (u64::from(header[9]) << field::IP_PROTO.shift)
            | (u64::from(header[1]) << field::IP_TOS.shift)
            | (u64::from(header[8]) << field::IP_TTL.shift)
            | (fragments << field::IP_FRAG.shift);
        self.key.0[17] = addresses;
        self.found_l3(at);
        self.layout.l3_end = end as u32;
        self.layout.ip_proto = header[9];
        if fragments & frag::LATER == 0 {
            self.transport(header[9], at + header_len, end);
        }
    }

    fn ipv6(&mut self, at: usize) {
        let frame = self.frame;
        let Some(header) = frame.get(at..at + 40) else {
            return;
        };
        let (Some(first), Some(length)) = (be32(header, 0), be16(header, 4)) else {
            return;
        };
        if first >> 28 != 6 {
            return;
        }
        let length = usize::from(length);
        // Length 0: a jumbo payload or a segment beyond 64 KB.
        let end = if length == 0 {
            frame.len()
        } else {
            frame.len().min(at + 40 + length)
        };
        for i in 0..4 {
            self.key.0[18 + i] = be64(header, 8 + 8 * i).unwrap_or(0);
        }
        let chain = Extensions::walk(&frame[..end], at + 40, header[6]);
        self.key.0[16] = (u64::from(chain.proto) << field::IP_PROTO.shift)
            | (u64::from(first >> 20 & 0xff) << field::IP_TOS.shift)
            | (u64::from(header[7]) << field::IP_TTL.shift)
            | (chain.fragments << field::IP_FRAG.shift)
            | (u64::from(first & 0x000f_ffff) << field::IPV6_FLABEL.shift)
            | u64::from(chain.seen);
        self.found_l3(at);
        self.layout.l3_end = end as u32;
        self.layout.ip_proto = chain.proto;
        self.layout.fragment = chain.fragments != 0;
        if chain.complete && chain.fragments & frag::LATER == 0 {
            self.transport(chain.proto, chain.at, end);
        }
    }

    /// Transport header at `at`, the IP packet ending at `end`. Present only when its fixed part is whole.
    fn transport(&mut self, proto: u8, at: usize, end: usize) {
        let Some(header) = self.frame.get(at..end) else {
            return;
        };
        let needed = match proto {
            ip_proto::TCP => 20,
            ip_proto::UDP | ip_proto::ICMP | ip_proto::ICMPV6 => 8,
            ip_proto::SCTP => 12,
            _ => return,
        };
        if header.len() < needed || at > usize::from(u16::MAX) {
            return;
        }
        let word = match proto {
            ip_proto::ICMP | ip_proto::ICMPV6 => {
                (u64::from(header[0]) << field::ICMP_TYPE.shift)
                    | (u64::from(header[1]) << field::ICMP_CODE.shift)
            }
            _ => u64::from(be32(header, 0).unwrap_or(0)) << 32,
        };
        self.key.0[22] = word;
        if proto == ip_proto::TCP {
            let flags = be16(header, 12).unwrap_or(0) & 0x0fff;
            self.key.0[22] |= u64::from(flags) << field::TCP_FLAGS.shift;
        }
        self.layout.l4_at = at as u16;
        self.present |= present::L4;
        if proto == ip_proto::ICMPV6 && matches!(header[0], 135 | 136) && header[1] == 0 {
            self.neighbour(at, end);
        }
    }

    /// Neighbour solicitation or advertisement (RFC 4861 §4.3, §4.4).
    fn neighbour(&mut self, at: usize, end: usize) {
        let message = &self.frame[at..end];
        let (Some(high), Some(low)) = (be64(message, 8), be64(message, 16)) else {
            return;
        };
        self.key.0[25] = high;
        self.key.0[26] = low;
        self.layout.nd_target = true;
        self.present |= present::ND_TARGET;
        let wanted = if message[0] == 135 { 1 } else { 2 };
        let mut option = 24;
        while let Some(&[kind, units]) = message.get(option..option + 2) {
            let length = usize::from(units) * 8;
            if length == 0 || option + length > message.len() {
                return;
            }
            if kind == wanted
                && length == 8
                && let Some(address) = mac(message, option + 2)
                && let Ok(offset) = u16::try_from(at + option + 2)
            {
                if wanted == 1 {
                    self.key.0[23] |= address << 16;
                    self.layout.nd_sll_at = offset;
                    self.present |= present::ND_SLL;
                } else {
                    self.key.0[24] |= address << 16;
                    self.layout.nd_tll_at = offset;
                    self.present |= present::ND_TLL;
                }
                return;
            }
            option += length;
        }
    }
}

/// The chain of IPv6 extension headers.
struct Extensions {
    /// `OFPIEH_*` bits.
    seen: u16,
    /// Next-header value that ended the walk.
    proto: u8,
    /// Offset behind the chain.
    at: usize,
    fragments: u64,
    /// The chain was walked to its end.
    complete: bool,
}

/// `OFPIEH_*` (OF 1.3.5 §7.2.3.8).
mod ieh {
    pub const NONEXT: u16 = 1;
    pub const ESP: u16 = 2;
    pub const AUTH: u16 = 4;
    pub const DEST: u16 = 8;
    pub const FRAG: u16 = 16;
    pub const ROUTER: u16 = 32;
    pub const HOP: u16 = 64;
    pub const UNREP: u16 = 128;
    pub const UNSEQ: u16 = 256;
}

impl Extensions {
    fn walk(frame: &[u8], at: usize, first: u8) -> Extensions {
        let mut chain = Extensions {
            seen: 0,
            proto: first,
            at,
            fragments: 0,
            complete: false,
        };
        // Place of the last header in the preferred order of RFC 8200 §4.1.
        let mut rank = 0;
        for _ in 0..MAX_EXTENSIONS {
            let (bit, mut place) = match chain.proto {
                0 => (ieh::HOP, 1),
                60 => (ieh::DEST, 2),
                43 => (ieh::ROUTER, 3),
                44 => (ieh::FRAG, 4),
                51 => (ieh::AUTH, 5),
                50 => (ieh::ESP, 6),
                59 => (ieh::NONEXT, 8),
                _ => {
                    chain.complete = true;
                    return chain;
                }
            };
            if bit == ieh::DEST && rank >= 2 {
                // Destination options may come once before routing and once at the end.
                place = 7;
            }
            if chain.seen & bit != 0 && !(bit == ieh::DEST && rank != 2 && rank < 7) {
                chain.seen |= ieh::UNREP;
            }
            if place < rank {
                chain.seen |= ieh::UNSEQ;
            }
            rank = rank.max(place);
            chain.seen |= bit;
            if matches!(bit, ieh::NONEXT | ieh::ESP) {
                return chain;
            }
            let Some(&[next, units]) = frame.get(chain.at..chain.at + 2) else {
                return chain;
            };
            let length = match bit {
                ieh::FRAG => 8,
                ieh::AUTH => (usize::from(units) + 2) * 4,
                _ => (usize::from(units) + 1) * 8,
            };
            if chain.at + length > frame.len() {
                return chain;
            }
            if bit == ieh::FRAG {
                let offset = be16(frame, chain.at + 2).unwrap_or(0);
                // An atomic fragment (RFC 6946) is a whole packet.
                if offset & 0xfff9 != 0 {
                    chain.fragments |= frag::ANY;
                }
                if offset & 0xfff8 != 0 {
                    chain.fragments |= frag::LATER;
                }
            }
            chain.proto = next;
            chain.at += length;
            if chain.fragments & frag::LATER != 0 {
                return chain;
            }
        }
        chain
    }
}
