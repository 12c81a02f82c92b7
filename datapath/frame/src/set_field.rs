//! Writing header fields, checksums kept right.
//!
//! A packet with [`Checksum::Partial`] over its transport header holds there the sum of the pseudo-header only:
//! then nothing but a change of the pseudo-header touches it.

use crate::checksum;
use crate::field::{self, Field};
use crate::layout::Layout;
use crate::packet::Packet;
use crate::vnet::Checksum;
use crate::{ethertype, ip_proto};

/// Writes `value` to those bits of `field` that are one in `mask`, if the packet has the header. Returns whether it has.
/// Fields that no packet carries (ports, metadata, registers) are not for this function.
pub fn set_field(packet: &mut Packet, field: Field, value: u128, mask: u128) -> bool {
    let layout = packet.layout();
    let Some(place) = place(packet, &layout, field) else {
        return false;
    };
    write(
        packet,
        &layout,
        place,
        field,
        value & field.ones(),
        mask & field.ones(),
    );
    true
}

/// What has to be brought up to date with a field.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sums {
    /// Nothing.
    None,
    /// The IPv4 header's checksum.
    Ipv4,
    /// The IPv4 header's checksum and the pseudo-header.
    Ipv4AndPseudo,
    /// The pseudo-header.
    Pseudo,
    /// The transport checksum, but not as part of the pseudo-header.
    Transport,
}

/// Where a field lies: `len` bytes from `at` hold it, its lowest bit at bit `shift` of them.
struct Place {
    at: usize,
    len: usize,
    shift: u32,
    sums: Sums,
}

fn place(packet: &Packet, layout: &Layout, field: Field) -> Option<Place> {
    let some = |at: usize, len: usize, shift: u32, sums: Sums| {
        Some(Place {
            at,
            len,
            shift,
            sums,
        })
    };
    let l3 = usize::from(layout.l3_at);
    let l4 = usize::from(layout.l4_at);
    let shim = usize::from(layout.shim_at);
    let has_ethernet = layout.ethertype_at != 0;
    let has_ports = l4 != 0
        && matches!(
            layout.ip_proto,
            ip_proto::TCP | ip_proto::UDP | ip_proto::SCTP
        );
    let has_icmp = l4 != 0 && matches!(layout.ip_proto, ip_proto::ICMP | ip_proto::ICMPV6);
    let address_sums = Sums::Ipv4AndPseudo;
    match field {
        field::ETH_DST if has_ethernet => some(0, 6, 0, Sums::None),
        field::ETH_SRC if has_ethernet => some(6, 6, 0, Sums::None),
        field::ETH_TYPE if has_ethernet && layout.ethertype != ethertype::NOT_ETHERTYPE => {
            some(usize::from(layout.ethertype_at), 2, 0, Sums::None)
        }
        // The present bit of the key is the DEI of the frame: VID means the low 12 bits here.
        field::VLAN_VID | field::VLAN_TCI if layout.tags > 0 => some(14, 2, 0, Sums::None),
        field::VLAN_PCP if layout.tags > 0 => some(14, 2, 13, Sums::None),
        field::MPLS_LABEL if layout.is_mpls() => some(shim, 4, 12, Sums::None),
        field::MPLS_TC if layout.is_mpls() => some(shim, 4, 9, Sums::None),
        field::MPLS_BOS if layout.is_mpls() => some(shim, 4, 8, Sums::None),
        field::MPLS_TTL if layout.is_mpls() => some(shim, 4, 0, Sums::None),
        field::PBB_ISID if layout.is_pbb() => some(shim, 4, 0, Sums::None),
        field::IP_DSCP if layout.is_ipv4() => some(l3, 2, 2, Sums::Ipv4),
        field::IP_ECN | field::IP_TOS if layout.is_ipv4() => some(l3, 2, 0, Sums::Ipv4),
        field::IP_TTL if layout.is_ipv4() => some(l3 + 8, 2, 8, Sums::Ipv4),
        field::IP_PROTO if layout.is_ipv4() => some(l3 + 8, 2, 0, address_sums),
        field::IPV4_SRC if layout.is_ipv4() => some(l3 + 12, 4, 0, address_sums),
        field::IPV4_DST if layout.is_ipv4() => some(l3 + 16, 4, 0, address_sums),
        field::IPV4_SRC if layout.is_arp() => some(l3 + 14, 4, 0, Sums::None),
        field::IPV4_DST if layout.is_arp() => some(l3 + 24, 4, 0, Sums::None),
        field::ARP_OP if layout.is_arp() => some(l3 + 6, 2, 0, Sums::None),
        field::ARP_SHA if layout.is_arp() => some(l3 + 8, 6, 0, Sums::None),
        field::ARP_THA if layout.is_arp() => some(l3 + 18, 6, 0, Sums::None),
        field::IP_DSCP if layout.is_ipv6() => some(l3, 4, 22, Sums::None),
        field::IP_ECN | field::IP_TOS if layout.is_ipv6() => some(l3, 4, 20, Sums::None),
        field::IP_TTL if layout.is_ipv6() => some(l3 + 6, 2, 0, Sums::None),
        field::IPV6_FLABEL if layout.is_ipv6() => some(l3, 4, 0, Sums::None),
        // Only a protocol that follows the IPv6 header directly can be renamed.
        field::IP_PROTO
            if layout.is_ipv6() && packet.bytes().get(l3 + 6) == Some(&layout.ip_proto) =>
        {
            some(l3 + 6, 2, 8, Sums::Pseudo)
        }
        field::IPV6_SRC if layout.is_ipv6() => some(l3 + 8, 16, 0, Sums::Pseudo),
        field::IPV6_DST if layout.is_ipv6() => some(l3 + 24, 16, 0, Sums::Pseudo),
        field::L4_SRC if has_ports => some(l4, 2, 0, Sums::Transport),
        field::L4_DST if has_ports => some(l4 + 2, 2, 0, Sums::Transport),
        field::ICMP_TYPE if has_icmp => some(l4, 2, 8, Sums::Transport),
        field::ICMP_CODE if has_icmp => some(l4, 2, 0, Sums::Transport),
        field::ND_TARGET if layout.nd_target => some(l4 + 8, 16, 0, Sums::Transport),
        field::ND_SLL if layout.nd_sll_at != 0 => {
            some(usize::from(layout.nd_sll_at), 6, 0, Sums::Transport)
        }
        field::ND_TLL if layout.nd_tll_at != 0 => {
            some(usize::from(layout.nd_tll_at), 6, 0, Sums::Transport)
        }
        _ => None,
    }
}

fn write(
    packet: &mut Packet,
    layout: &Layout,
    place: Place,
    field: Field,
    value: u128,
    mask: u128,
) {
    let Place {
        at,
        len,
        shift,
        sums,
    } = place;
    let bits = match field {
        field::VLAN_VID => 0x0fff,
        field::VLAN_TCI => 0xefff,
        _ => field.ones(),
    };
    let mask = (mask & bits) << shift;
    let mut old = [0; 16];
    old[..len].copy_from_slice(&packet.bytes()[at..at + len]);
    let was = old[..len]
        .iter()
        .fold(0, |acc, byte| (acc << 8) | u128::from(*byte));
    let is = (was & !mask) | ((value << shift) & mask);
    if is == was {
        return;
    }
    let new = is.to_be_bytes();
    let (old, new) = (&old[..len], &new[16 - len..]);
    let crc = (sums == Sums::Transport && layout.ip_proto == ip_proto::SCTP)
        .then(|| SctpCrc::before(packet, layout));
    packet.bytes_same_layout()[at..at + len].copy_from_slice(new);
    match sums {
        Sums::None => {}
        Sums::Ipv4 | Sums::Ipv4AndPseudo => {
            let l3 = usize::from(layout.l3_at);
            update_at(packet, l3 + 10, old, new);
            if sums == Sums::Ipv4AndPseudo {
                // (With the protocol goes the TTL byte beside it, which is not summed but does not change either.)
                update_transport(packet, layout, true, old, new);
            }
        }
        Sums::Pseudo if field == field::IP_PROTO => {
            // In the IPv6 pseudo-header the protocol is the low byte of its word, in the header the high one.
            update_transport(packet, layout, true, &[0, old[0]], &[0, new[0]]);
        }
        Sums::Pseudo => update_transport(packet, layout, true, old, new),
        Sums::Transport => match crc {
            Some(crc) => crc.after(packet, layout),
            None => update_aligned(packet, layout, at, old, new),
        },
    }
    if matches!(
        field,
        field::ETH_TYPE | field::IP_PROTO | field::ICMP_TYPE | field::ICMP_CODE
    ) {
        // What follows is read differently now.
        let _ = packet.bytes_mut();
    }
}

/// Fields of the transport message may lie at any even offset from its begin; neighbour-discovery addresses do.
fn update_aligned(packet: &mut Packet, layout: &Layout, at: usize, old: &[u8], new: &[u8]) {
    if (at - usize::from(layout.l4_at)).is_multiple_of(2) {
        update_transport(packet, layout, false, old, new);
    }
}

fn update_at(packet: &mut Packet, at: usize, old: &[u8], new: &[u8]) {
    let bytes = &mut packet.bytes_same_layout()[at..at + 2];
    let sum = checksum::update(u16::from_be_bytes([bytes[0], bytes[1]]), old, new);
    bytes.copy_from_slice(&sum.to_be_bytes());
}

/// Offset of the transport checksum that takes part in the internet checksum, from the transport header.
fn transport_checksum(layout: &Layout, pseudo: bool) -> Option<usize> {
    match layout.ip_proto {
        _ if layout.l4_at == 0 => None,
        ip_proto::TCP => Some(16),
        ip_proto::UDP => Some(6),
        ip_proto::ICMPV6 if layout.is_ipv6() => Some(2),
        // ICMP and SCTP have no pseudo-header.
        ip_proto::ICMP if !pseudo => Some(2),
        _ => None,
    }
}

fn update_transport(packet: &mut Packet, layout: &Layout, pseudo: bool, old: &[u8], new: &[u8]) {
    let Some(offset) = transport_checksum(layout, pseudo) else {
        return;
    };
    let l4 = usize::from(layout.l4_at);
    let partial = is_partial(packet, l4, offset);
    let at = l4 + offset;
    let bytes = &mut packet.bytes_same_layout()[at..at + 2];
    let sum = u16::from_be_bytes([bytes[0], bytes[1]]);
    let sum = match (partial, pseudo) {
        (true, false) => return,
        (true, true) => checksum::replace(sum, old, new),
        (false, _) if layout.ip_proto == ip_proto::UDP => {
            if sum == 0 && layout.is_ipv4() {
                return; // The sender computed none (RFC 768).
            }
            match checksum::update(sum, old, new) {
                0 => 0xffff,
                sum => sum,
            }
        }
        (false, _) => checksum::update(sum, old, new),
    };
    bytes.copy_from_slice(&sum.to_be_bytes());
}

/// Whether the checksum at `l4 + offset` is left to the kernel.
fn is_partial(packet: &Packet, l4: usize, offset: usize) -> bool {
    match packet.offload.checksum {
        Checksum::Partial {
            start,
            offset: there,
        } => usize::from(start) + usize::from(there) == l4 + offset,
        _ => false,
    }
}

/// The CRC of an SCTP packet is linear: what an edit adds to the CRC of the bytes, it adds to the stored one, so
/// that a packet that was damaged before stays so.
struct SctpCrc(Option<u32>);

impl SctpCrc {
    fn before(packet: &Packet, layout: &Layout) -> SctpCrc {
        let partial = is_partial(packet, usize::from(layout.l4_at), 8);
        SctpCrc((!partial && !layout.fragment).then(|| SctpCrc::compute(packet, layout)))
    }

    fn compute(packet: &Packet, layout: &Layout) -> u32 {
        let message = &packet.bytes()[usize::from(layout.l4_at)..layout.l3_end as usize];
        let crc = checksum::crc32c_update(!0, &message[..8]);
        let crc = checksum::crc32c_update(crc, &[0; 4]);
        !checksum::crc32c_update(crc, &message[12..])
    }

    fn after(self, packet: &mut Packet, layout: &Layout) {
        let Some(before) = self.0 else { return };
        let change = before ^ SctpCrc::compute(packet, layout);
        let at = usize::from(layout.l4_at) + 8;
        let stored = &mut packet.bytes_same_layout()[at..at + 4];
        let crc = u32::from_le_bytes([stored[0], stored[1], stored[2], stored[3]]) ^ change;
        stored.copy_from_slice(&crc.to_le_bytes());
    }
}
