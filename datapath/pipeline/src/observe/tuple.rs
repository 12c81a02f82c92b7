//! What accounting reads of a packet.

use super::Traffic;
use weft_frame::field::{self, present};
use weft_frame::{FlowKey, GsoKind, Packet, ethertype, ip_proto};

/// What packets of one flow agree on, apart from where they were seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tuple {
    /// Source address; IPv4: in the last four bytes.
    pub source: [u8; 16],
    /// Destination address.
    pub destination: [u8; 16],
    /// IPv4 or IPv6.
    pub eth_type: u16,
    /// Transport port.
    pub source_port: u16,
    /// Transport port; ICMP: type * 256 + code.
    pub destination_port: u16,
    /// IP protocol.
    pub protocol: u8,
    /// DSCP and ECN.
    pub tos: u8,
}

fn v4(address: u64) -> [u8; 16] {
    u128::from(address).to_be_bytes()
}

impl Tuple {
    /// That of a packet with this key; `None`: it is none of IP's.
    pub fn of(key: &FlowKey) -> Option<Tuple> {
        if key.get64(field::PRESENT) & present::L3 == 0 {
            return None;
        }
        let eth_type = key.get64(field::ETH_TYPE) as u16;
        let (source, destination) = match eth_type {
            ethertype::IPV4 => (
                v4(key.get64(field::IPV4_SRC)),
                v4(key.get64(field::IPV4_DST)),
            ),
            ethertype::IPV6 => (
                key.get(field::IPV6_SRC).to_be_bytes(),
                key.get(field::IPV6_DST).to_be_bytes(),
            ),
            _ => return None,
        };
        let protocol = key.get64(field::IP_PROTO) as u8;
        let (source_port, destination_port) = match protocol {
            ip_proto::ICMP | ip_proto::ICMPV6 => {
                let kind = key.get64(field::ICMP_TYPE) << 8 | key.get64(field::ICMP_CODE);
                (0, kind as u16)
            }
            ip_proto::TCP | ip_proto::UDP | ip_proto::SCTP => (
                key.get64(field::L4_SRC) as u16,
                key.get64(field::L4_DST) as u16,
            ),
            _ => (0, 0),
        };
        Some(Tuple {
            source,
            destination,
            eth_type,
            source_port,
            destination_port,
            protocol,
            tos: key.get64(field::IP_TOS) as u8,
        })
    }
}

/// The packets on the wire that a frame stands for: more than one if its segmentation is pending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measure {
    /// How many.
    pub packets: u64,
    /// Their octets from the IP header on.
    pub octets: u64,
    /// Bytes of each one's headers, from the frame's begin.
    headers: u32,
    /// Bytes of payload of each but the last.
    size: u32,
    /// Bytes of the frame as a whole.
    frame: u32,
}

impl Measure {
    /// That of a frame; `None`: it carries no IP.
    pub fn of(packet: &mut Packet) -> Option<Measure> {
        let layout = packet.layout();
        if !layout.is_ipv4() && !layout.is_ipv6() {
            return None;
        }
        let (l3_at, length) = (u32::from(layout.l3_at), packet.len() as u32);
        let single = Measure {
            packets: 1,
            octets: u64::from(layout.l3_end.saturating_sub(l3_at)),
            headers: 0,
            size: length,
            frame: length,
        };
        let Some(gso) = packet.offload.gso else {
            return Some(single);
        };
        let l4_at = usize::from(layout.l4_at);
        let l4_bytes = match gso.kind {
            _ if l4_at == 0 => return Some(single),
            GsoKind::Tcp4 | GsoKind::Tcp6 => {
                let offset = packet.bytes().get(l4_at + 12).copied().unwrap_or(0);
                4 * u32::from(offset >> 4)
            }
            GsoKind::UdpL4 | GsoKind::Udp => 8,
        };
        let headers = l4_at as u32 + l4_bytes;
        let size = u32::from(gso.size);
        if size == 0 || headers >= length {
            return Some(single);
        }
        let payload = length - headers;
        let packets = u64::from(payload.div_ceil(size));
        Some(Measure {
            packets,
            octets: u64::from(payload) + packets * u64::from(headers - l3_at),
            headers,
            size,
            frame: length,
        })
    }

    /// Bytes of the frame of one of the packets, counted from 0.
    pub fn frame_length(&self, number: u64) -> u32 {
        if self.packets <= 1 {
            return self.frame;
        }
        let payload = self.frame - self.headers;
        let before = (number as u32).saturating_mul(self.size).min(payload);
        self.headers + (payload - before).min(self.size)
    }
}

impl Traffic {
    /// That of one frame.
    pub(super) fn of(key: &FlowKey, measure: &Measure, now: u64) -> Traffic {
        let address = |field| {
            let [_, _, address @ ..] = key.get64(field).to_be_bytes();
            address
        };
        let is_tcp = key.get64(field::IP_PROTO) as u8 == ip_proto::TCP;
        Traffic {
            packets: measure.packets,
            octets: measure.octets,
            tcp_flags: if is_tcp {
                key.get64(field::TCP_FLAGS) as u16
            } else {
                0
            },
            eth_src: address(field::ETH_SRC),
            eth_dst: address(field::ETH_DST),
            first: now,
            last: now,
        }
    }
}
