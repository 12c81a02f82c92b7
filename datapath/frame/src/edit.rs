//! Tags and shims put on and taken off, and TTLs (OF 1.3.5 §5.12, table 6 and 7).
//!
//! Each function returns whether the packet had what it takes; if not, the packet is unchanged.

use crate::layout::Layout;
use crate::packet::Packet;
use crate::{checksum, ethertype};

/// Pushes a VLAN tag as the outermost one, VID and PCP copied from the tag that was (else zero).
pub fn push_vlan(packet: &mut Packet, tpid: u16) -> bool {
    let bytes = packet.bytes();
    if bytes.len() < 14 {
        return false;
    }
    let outer = u16::from_be_bytes([bytes[12], bytes[13]]);
    let tci = match bytes.get(14..16) {
        Some(tci) if matches!(outer, ethertype::VLAN | ethertype::SVLAN) => {
            u16::from_be_bytes([tci[0], tci[1]])
        }
        _ => 0,
    };
    if !packet.insert(12, 4) {
        return false;
    }
    let bytes = packet.bytes_mut();
    bytes[12..14].copy_from_slice(&tpid.to_be_bytes());
    bytes[14..16].copy_from_slice(&tci.to_be_bytes());
    true
}

/// Pops the outermost VLAN tag.
pub fn pop_vlan(packet: &mut Packet) -> bool {
    packet.layout().tags > 0 && packet.remove(12, 4)
}

/// Pushes an MPLS label stack entry behind the VLAN tags, label and TC copied from the entry that was (else
/// zero), TTL from the entry or the IP header (else zero).
pub fn push_mpls(packet: &mut Packet, kind: u16) -> bool {
    let layout = packet.layout();
    if layout.ethertype_at == 0 || layout.ethertype == ethertype::NOT_ETHERTYPE {
        return false;
    }
    let entry = if layout.is_mpls() {
        label_entry(packet, &layout) & !0x100
    } else {
        0x100 | u32::from(ip_ttl_at(&layout).map_or(0, |at| packet.bytes()[at]))
    };
    let at = usize::from(layout.ethertype_at);
    if !packet.insert(at + 2, 4) {
        return false;
    }
    let bytes = packet.bytes_mut();
    bytes[at..at + 2].copy_from_slice(&kind.to_be_bytes());
    bytes[at + 2..at + 6].copy_from_slice(&entry.to_be_bytes());
    true
}

/// Pops the outermost MPLS label stack entry; `kind` is the EtherType of what lies under it.
pub fn pop_mpls(packet: &mut Packet, kind: u16) -> bool {
    let layout = packet.layout();
    let at = usize::from(layout.ethertype_at);
    if !layout.is_mpls() || !packet.remove(at + 2, 4) {
        return false;
    }
    packet.bytes_mut()[at..at + 2].copy_from_slice(&kind.to_be_bytes());
    true
}

/// Pushes an I-TAG: the Ethernet addresses are copied into C-DA and C-SA, VLAN tags stay inside.
/// The I-SID is copied from the I-TAG that was, the priority from the VLAN tag (else zero).
pub fn push_pbb(packet: &mut Packet, kind: u16) -> bool {
    let layout = packet.layout();
    if layout.ethertype_at == 0 {
        return false;
    }
    let mut tci = 0;
    if layout.is_pbb() {
        tci |= label_entry(packet, &layout) & 0x00ff_ffff;
    }
    if layout.tags > 0 {
        tci |= u32::from(packet.bytes()[14] >> 5) << 29;
    }
    if !packet.insert(12, 18) {
        return false;
    }
    let bytes = packet.bytes_mut();
    bytes[12..14].copy_from_slice(&kind.to_be_bytes());
    bytes[14..18].copy_from_slice(&tci.to_be_bytes());
    bytes.copy_within(0..12, 18);
    true
}

/// Pops the outermost I-TAG: C-DA and C-SA become the Ethernet addresses, outer VLAN tags stay.
pub fn pop_pbb(packet: &mut Packet) -> bool {
    let layout = packet.layout();
    let at = usize::from(layout.ethertype_at);
    if !layout.is_pbb() || packet.len() < at + 20 {
        return false;
    }
    packet.bytes_mut().copy_within(at + 6..at + 18, 0);
    packet.remove(at, 18)
}

/// Result of decrementing a TTL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ttl {
    /// Decremented.
    Decremented,
    /// It was 0 or 1: the packet is invalid and unchanged.
    Expired,
    /// There is none.
    Absent,
}

/// Decrements the IPv4 TTL or the IPv6 hop limit.
pub fn dec_ip_ttl(packet: &mut Packet) -> Ttl {
    let layout = packet.layout();
    let Some(at) = ip_ttl_at(&layout) else {
        return Ttl::Absent;
    };
    match packet.bytes()[at] {
        0 | 1 => Ttl::Expired,
        ttl => {
            set_ip_ttl(packet, ttl - 1);
            Ttl::Decremented
        }
    }
}

/// Sets the IPv4 TTL or the IPv6 hop limit.
pub fn set_ip_ttl(packet: &mut Packet, ttl: u8) -> bool {
    let layout = packet.layout();
    let Some(at) = ip_ttl_at(&layout) else {
        return false;
    };
    write_ip_ttl(packet, &layout, at, ttl);
    true
}

/// Decrements the MPLS TTL.
pub fn dec_mpls_ttl(packet: &mut Packet) -> Ttl {
    let layout = packet.layout();
    if !layout.is_mpls() {
        return Ttl::Absent;
    }
    match label_entry(packet, &layout) as u8 {
        0 | 1 => Ttl::Expired,
        ttl => {
            set_mpls_ttl(packet, ttl - 1);
            Ttl::Decremented
        }
    }
}

/// Sets the MPLS TTL.
pub fn set_mpls_ttl(packet: &mut Packet, ttl: u8) -> bool {
    let layout = packet.layout();
    if !layout.is_mpls() {
        return false;
    }
    packet.bytes_same_layout()[usize::from(layout.shim_at) + 3] = ttl;
    true
}

/// Where the TTL below the outermost one lies.
enum Inner {
    Mpls(usize),
    Ip { l3: usize, v4: bool },
}

fn inner_ttl(packet: &Packet, layout: &Layout) -> Option<Inner> {
    if !layout.is_mpls() {
        return None;
    }
    let next = usize::from(layout.shim_at) + 4;
    if label_entry(packet, layout) & 0x100 == 0 {
        return (packet.len() >= next + 4).then_some(Inner::Mpls(next + 3));
    }
    // Nothing says what lies under the bottom of the stack; the version nibble does.
    let under = packet.bytes().get(next..)?;
    match under.first()? >> 4 {
        4 if under.len() >= 20 && under[0] & 0x0f >= 5 => Some(Inner::Ip { l3: next, v4: true }),
        6 if under.len() >= 40 => Some(Inner::Ip {
            l3: next,
            v4: false,
        }),
        _ => None,
    }
}

/// Copies the TTL from the next to the outermost header: IP to MPLS or MPLS to MPLS.
pub fn copy_ttl_out(packet: &mut Packet) -> bool {
    let layout = packet.layout();
    let at = match inner_ttl(packet, &layout) {
        Some(Inner::Mpls(at)) => at,
        Some(Inner::Ip { l3, v4 }) => l3 + if v4 { 8 } else { 7 },
        None => return false,
    };
    let ttl = packet.bytes()[at];
    set_mpls_ttl(packet, ttl)
}

/// Copies the TTL from the outermost header to the next one: MPLS to IP or MPLS to MPLS.
pub fn copy_ttl_in(packet: &mut Packet) -> bool {
    let layout = packet.layout();
    let ttl = if layout.is_mpls() {
        label_entry(packet, &layout) as u8
    } else {
        0
    };
    match inner_ttl(packet, &layout) {
        Some(Inner::Mpls(at)) => packet.bytes_same_layout()[at] = ttl,
        Some(Inner::Ip { l3, v4: true }) => write_ipv4_word(packet, l3, 8, ttl),
        Some(Inner::Ip { l3, v4: false }) => packet.bytes_same_layout()[l3 + 7] = ttl,
        None => return false,
    }
    true
}

/// The first label stack entry or I-TAG TCI; only with a layout that has one.
fn label_entry(packet: &Packet, layout: &Layout) -> u32 {
    let at = usize::from(layout.shim_at);
    let bytes = packet.bytes();
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn ip_ttl_at(layout: &Layout) -> Option<usize> {
    let l3 = usize::from(layout.l3_at);
    if layout.is_ipv4() {
        Some(l3 + 8)
    } else if layout.is_ipv6() {
        Some(l3 + 7)
    } else {
        None
    }
}

fn write_ip_ttl(packet: &mut Packet, layout: &Layout, at: usize, ttl: u8) {
    if layout.is_ipv4() {
        write_ipv4_word(packet, usize::from(layout.l3_at), 8, ttl);
    } else {
        packet.bytes_same_layout()[at] = ttl;
    }
}

/// Writes the byte at an even offset of an IPv4 header and brings the header's checksum up to date.
fn write_ipv4_word(packet: &mut Packet, l3: usize, offset: usize, value: u8) {
    let header = &mut packet.bytes_same_layout()[l3..l3 + 20];
    let old = [header[offset], header[offset + 1]];
    header[offset] = value;
    let new = [value, old[1]];
    let sum = checksum::update(u16::from_be_bytes([header[10], header[11]]), &old, &new);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
}
