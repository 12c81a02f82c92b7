//! Where the headers of a frame lie.

/// Offsets into a frame, in bytes from its begin. A header that is absent or cut short has offset 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// The EtherType behind all VLAN tags; 0 for a frame shorter than an Ethernet header.
    pub ethertype_at: u16,
    /// First label stack entry or I-TAG TCI.
    pub shim_at: u16,
    /// IPv4, IPv6 or ARP header.
    pub l3_at: u16,
    /// TCP, UDP, SCTP, ICMP or ICMPv6 header, complete; absent in later fragments.
    pub l4_at: u16,
    /// End of the IP packet, as its length field has it (Ethernet padding lies behind).
    pub l3_end: u32,
    /// EtherType behind the VLAN tags.
    pub ethertype: u16,
    /// IP protocol, of IPv6 the last next-header value reached; 0 without `l3_at`.
    pub ip_proto: u8,
    /// Number of VLAN tags.
    pub tags: u8,
    /// The packet is a fragment (first or later).
    pub fragment: bool,
    /// Offset of the source link-layer address (6 bytes) in a neighbour-discovery option; 0 if absent.
    pub nd_sll_at: u16,
    /// Offset of the target link-layer address.
    pub nd_tll_at: u16,
    /// Whether the ICMPv6 message is a neighbour solicitation or advertisement with a whole target.
    pub nd_target: bool,
}

impl Layout {
    /// Whether the frame carries an IPv4 header.
    pub fn is_ipv4(&self) -> bool {
        self.l3_at != 0 && self.ethertype == crate::ethertype::IPV4
    }

    /// Whether the frame carries an IPv6 header.
    pub fn is_ipv6(&self) -> bool {
        self.l3_at != 0 && self.ethertype == crate::ethertype::IPV6
    }

    /// Whether the frame carries a complete ARP or RARP message.
    pub fn is_arp(&self) -> bool {
        self.l3_at != 0
            && matches!(
                self.ethertype,
                crate::ethertype::ARP | crate::ethertype::RARP
            )
    }

    /// Whether the frame carries at least one whole MPLS label stack entry.
    pub fn is_mpls(&self) -> bool {
        self.shim_at != 0
            && matches!(
                self.ethertype,
                crate::ethertype::MPLS | crate::ethertype::MPLS_UPSTREAM
            )
    }

    /// Whether the frame carries a whole I-TAG.
    pub fn is_pbb(&self) -> bool {
        self.shim_at != 0 && self.ethertype == crate::ethertype::PBB
    }
}
