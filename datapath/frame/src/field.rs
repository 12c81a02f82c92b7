//! Where each field lies in a [`FlowKey`](crate::FlowKey).
//!
//! Fields that can never be in one packet share bits, as the prerequisites of their matches keep them apart:
//! ARP addresses with IPv4's, ICMP type and code with the transport ports, ARP hardware addresses with those
//! of neighbour discovery.

/// A run of bits in the key: `bits` wide, its lowest bit at `shift` in `word`. Wider than 64 bits: the most
/// significant half is in `word`, the other in the word behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Field {
    /// Index of the word.
    pub word: u8,
    /// Position of the lowest bit.
    pub shift: u8,
    /// Width: at most 64, or 128.
    pub bits: u8,
}

const fn at(word: u8, shift: u8, bits: u8) -> Field {
    Field { word, shift, bits }
}

impl Field {
    /// All ones in the field's width.
    pub const fn ones(self) -> u128 {
        if self.bits == 128 {
            u128::MAX
        } else {
            (1 << self.bits) - 1
        }
    }

    /// The field's bits within its (first) word.
    pub const fn word_mask(self) -> u64 {
        if self.bits >= 64 {
            u64::MAX
        } else {
            ((1u64 << self.bits) - 1) << self.shift
        }
    }

    /// A part of the field: `count` bits from bit `offset` (0: the lowest). `None` when out of range; of a field
    /// of 128 bits only parts that lie in one half.
    pub fn part(self, offset: u8, count: u8) -> Option<Field> {
        if count == 0 || u16::from(offset) + u16::from(count) > u16::from(self.bits) {
            return None;
        }
        if self.bits < 128 {
            return Some(at(self.word, self.shift + offset, count));
        }
        match (offset, count) {
            (0, 128) => Some(self),
            (64.., _) => Some(at(self.word, offset - 64, count)),
            _ if offset + count <= 64 => Some(at(self.word + 1, offset, count)),
            _ => None,
        }
    }
}

/// Ingress port.
pub const IN_PORT: Field = at(0, 32, 32);
/// Physical ingress port (the ingress port, as there are no tunnels under a port).
pub const IN_PHY_PORT: Field = at(0, 0, 32);
/// Metadata passed between tables.
pub const METADATA: Field = at(1, 0, 64);
/// Tunnel id.
pub const TUNNEL_ID: Field = at(2, 0, 64);
/// IPv4 source of the tunnel (NXM).
pub const TUN_SRC: Field = at(3, 32, 32);
/// IPv4 destination of the tunnel (NXM).
pub const TUN_DST: Field = at(3, 0, 32);
/// Packet mark (NXM).
pub const PKT_MARK: Field = at(4, 0, 32);
/// Conjunction id (NXM).
pub const CONJ_ID: Field = at(4, 32, 32);
/// Number of general registers (NXM).
pub const REGS: u8 = 16;
/// Register `n` (NXM), `n` below [`REGS`].
pub const fn reg(n: u8) -> Field {
    at(5 + n / 2, if n.is_multiple_of(2) { 32 } else { 0 }, 32)
}
/// Extended register `n`: registers `2n` (most significant) and `2n + 1`.
pub const fn xreg(n: u8) -> Field {
    at(5 + n, 0, 64)
}
/// First word that describes the packet itself; the words before are pipeline fields.
pub const FIRST_PACKET_WORD: usize = 13;

/// Ethernet destination.
pub const ETH_DST: Field = at(13, 16, 48);
/// Ethernet type behind the VLAN tags.
pub const ETH_TYPE: Field = at(13, 0, 16);
/// Ethernet source.
pub const ETH_SRC: Field = at(14, 16, 48);
/// Tag control information of the outermost tag, with bit 12 set whenever there is a tag.
pub const VLAN_TCI: Field = at(14, 0, 16);
/// VLAN id with the present bit (`OFPVID_PRESENT`) above it: 13 bits as in `OXM_OF_VLAN_VID`.
pub const VLAN_VID: Field = at(14, 0, 13);
/// VLAN priority.
pub const VLAN_PCP: Field = at(14, 13, 3);
/// Tag control information of the second tag, with its present bit.
pub const VLAN2_TCI: Field = at(15, 48, 16);
/// VLAN id of the second tag with its present bit.
pub const VLAN2_VID: Field = at(15, 48, 13);
/// Number of VLAN tags (15: that or more).
pub const VLAN_COUNT: Field = at(15, 44, 4);
/// Outer tag is a service tag (0x88a8).
pub const VLAN_SERVICE: Field = at(15, 43, 1);
/// Second tag is a service tag.
pub const VLAN2_SERVICE: Field = at(15, 42, 1);
/// All that describes the VLAN tags, in word 15.
pub const VLAN_REST: Field = at(15, 42, 22);
/// MPLS label of the outermost label stack entry.
pub const MPLS_LABEL: Field = at(15, 20, 20);
/// MPLS traffic class.
pub const MPLS_TC: Field = at(15, 17, 3);
/// MPLS bottom of stack.
pub const MPLS_BOS: Field = at(15, 16, 1);
/// Which headers were found whole: see [`present`].
pub const PRESENT: Field = at(15, 0, 8);

/// Bits of [`PRESENT`].
pub mod present {
    /// Network header: IPv4, IPv6, ARP or RARP.
    pub const L3: u64 = 1;
    /// Transport header.
    pub const L4: u64 = 2;
    /// MPLS label stack entry or I-TAG.
    pub const SHIM: u64 = 4;
    /// Neighbour-discovery target.
    pub const ND_TARGET: u64 = 8;
    /// Neighbour-discovery source link-layer address.
    pub const ND_SLL: u64 = 16;
    /// Neighbour-discovery target link-layer address.
    pub const ND_TLL: u64 = 32;
}

/// IP protocol.
pub const IP_PROTO: Field = at(16, 56, 8);
/// The whole type-of-service or traffic-class byte.
pub const IP_TOS: Field = at(16, 48, 8);
/// Differentiated services code point.
pub const IP_DSCP: Field = at(16, 50, 6);
/// Explicit congestion notification.
pub const IP_ECN: Field = at(16, 48, 2);
/// Time to live or hop limit.
pub const IP_TTL: Field = at(16, 40, 8);
/// Fragment bits (NXM): see [`frag`].
pub const IP_FRAG: Field = at(16, 38, 2);
/// IPv6 flow label.
pub const IPV6_FLABEL: Field = at(16, 16, 20);
/// IPv6 extension headers, `OFPIEH_*`.
pub const IPV6_EXTHDR: Field = at(16, 0, 9);

/// Bits of [`IP_FRAG`].
pub mod frag {
    /// Any fragment.
    pub const ANY: u64 = 1;
    /// A later fragment.
    pub const LATER: u64 = 2;
}

/// IPv4 source.
pub const IPV4_SRC: Field = at(17, 32, 32);
/// IPv4 destination.
pub const IPV4_DST: Field = at(17, 0, 32);
/// ARP source protocol address.
pub const ARP_SPA: Field = IPV4_SRC;
/// ARP target protocol address.
pub const ARP_TPA: Field = IPV4_DST;
/// IPv6 source.
pub const IPV6_SRC: Field = at(18, 0, 128);
/// IPv6 destination.
pub const IPV6_DST: Field = at(20, 0, 128);
/// Transport source port.
pub const L4_SRC: Field = at(22, 48, 16);
/// Transport destination port.
pub const L4_DST: Field = at(22, 32, 16);
/// TCP flags (NXM), 12 bits.
pub const TCP_FLAGS: Field = at(22, 16, 12);
/// ARP opcode.
pub const ARP_OP: Field = at(22, 0, 16);
/// ICMP or ICMPv6 type.
pub const ICMP_TYPE: Field = at(22, 48, 8);
/// ICMP or ICMPv6 code.
pub const ICMP_CODE: Field = at(22, 32, 8);
/// ARP source hardware address.
pub const ARP_SHA: Field = at(23, 16, 48);
/// Neighbour-discovery source link-layer address.
pub const ND_SLL: Field = ARP_SHA;
/// MPLS time to live.
pub const MPLS_TTL: Field = at(23, 0, 8);
/// ARP target hardware address.
pub const ARP_THA: Field = at(24, 16, 48);
/// Neighbour-discovery target link-layer address.
pub const ND_TLL: Field = ARP_THA;
/// Neighbour-discovery target.
pub const ND_TARGET: Field = at(25, 0, 128);
/// I-SID of the outermost PBB tag.
pub const PBB_ISID: Field = at(27, 0, 24);
