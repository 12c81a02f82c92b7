//! Frames: the packet buffer, the flow key read from it, and edits in place.
//!
//! This crate is a leaf. It knows Ethernet and what lies above it, nothing of ports, tables or devices.
//!
//! * [`Packet`]: bytes with headroom and what the kernel still owes them ([`Offload`]).
//! * [`FlowKey`]: every match field of OpenFlow 1.3 as a fixed array of words; [`extract`] fills it from
//!   a packet and never fails: a header that is cut short is simply absent.
//! * [`field`]: where each field lies in the key.
//! * [`edit`] and [`set_field`]: push, pop and set on the packet, checksums kept right.
#![forbid(unsafe_code)]

pub mod checksum;
pub mod edit;
pub mod field;
pub mod key;
pub mod layout;
pub mod packet;
mod parse;
mod segments;
pub mod set_field;
pub mod vnet;

pub use field::Field;
pub use key::{FlowKey, FlowMask, WORDS};
pub use layout::Layout;
pub use packet::{HEADROOM, Packet};
pub use parse::{MAX_TAGS, extract, parse};
pub use segments::{Segments, complete_checksum};
pub use vnet::{Checksum, Gso, GsoKind, Offload};

/// Ethernet types that the parser knows.
pub mod ethertype {
    /// IPv4.
    pub const IPV4: u16 = 0x0800;
    /// ARP.
    pub const ARP: u16 = 0x0806;
    /// Reverse ARP.
    pub const RARP: u16 = 0x8035;
    /// IEEE 802.1Q customer tag.
    pub const VLAN: u16 = 0x8100;
    /// IEEE 802.1ad service tag.
    pub const SVLAN: u16 = 0x88a8;
    /// IPv6.
    pub const IPV6: u16 = 0x86dd;
    /// MPLS, downstream-assigned label.
    pub const MPLS: u16 = 0x8847;
    /// MPLS, upstream-assigned label.
    pub const MPLS_UPSTREAM: u16 = 0x8848;
    /// IEEE 802.1ah I-TAG.
    pub const PBB: u16 = 0x88e7;
    /// The key's value for an 802.3 frame without a SNAP type (OpenFlow 1.0 §3.4, kept by Open vSwitch).
    pub const NOT_ETHERTYPE: u16 = 0x05ff;
}

/// IP protocol numbers that the parser knows.
pub mod ip_proto {
    /// ICMP.
    pub const ICMP: u8 = 1;
    /// TCP.
    pub const TCP: u8 = 6;
    /// UDP.
    pub const UDP: u8 = 17;
    /// ICMPv6.
    pub const ICMPV6: u8 = 58;
    /// SCTP.
    pub const SCTP: u8 = 132;
}
