//! Match fields (OF 1.3.5 §7.2.3): which there are, and what is known of them.

/// `OFPXMC_OPENFLOW_BASIC`.
pub const CLASS_BASIC: u16 = 0x8000;
/// `OFPXMC_PACKET_REGS` of later versions, used by Open vSwitch for `xreg0` to `xreg7`.
pub const CLASS_REGISTERS: u16 = 0x8001;
/// `OFPXMC_NXM_0`: Nicira's forms of the OpenFlow 1.0 fields.
pub const CLASS_NXM0: u16 = 0x0000;
/// `OFPXMC_NXM_1`: Nicira's extensions.
pub const CLASS_NXM1: u16 = 0x0001;
/// `OFPXMC_EXPERIMENTER`; the fields known here are all ONF's.
pub const CLASS_EXPERIMENTER: u16 = 0xffff;

/// What must be matched, earlier in the match, for a field to make sense (§7.2.3.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prerequisite {
    /// Nothing.
    None,
    /// `in_port`.
    InPort,
    /// A `vlan_vid` with the present bit.
    VlanPresent,
    /// One of these Ethernet types.
    EthType(&'static [u16]),
    /// This IP protocol.
    IpProto(u8),
    /// One of these ICMPv6 types.
    Icmpv6Type(&'static [u8]),
}

use Prerequisite::{EthType, Icmpv6Type, InPort, IpProto, VlanPresent};
const IP: Prerequisite = EthType(&[0x0800, 0x86dd]);
const IPV4: Prerequisite = EthType(&[0x0800]);
const IPV6: Prerequisite = EthType(&[0x86dd]);
const ARP: Prerequisite = EthType(&[0x0806]);
const MPLS: Prerequisite = EthType(&[0x8847, 0x8848]);
const PBB: Prerequisite = EthType(&[0x88e7]);
const TCP: Prerequisite = IpProto(6);
const UDP: Prerequisite = IpProto(17);
const SCTP: Prerequisite = IpProto(132);
const ICMP: Prerequisite = IpProto(1);
const ICMPV6: Prerequisite = IpProto(58);
const ANY: Prerequisite = Prerequisite::None;

/// What is known of a match field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OxmInfo {
    /// `oxm_class`.
    pub class: u16,
    /// `oxm_field`, 7 bits.
    pub field: u8,
    /// Bytes of a value on the wire.
    pub bytes: u8,
    /// Bits of it that mean something, the lowest ones.
    pub bits: u8,
    /// Whether it may be masked.
    pub maskable: bool,
    /// Whether set-field may write it (§5.12, §7.2.5).
    pub settable: bool,
    /// What must be matched too.
    pub prerequisite: Prerequisite,
    /// The specification's name in lower case; Nicira's twins of standard fields begin with `nxm_`.
    pub name: &'static str,
}

impl OxmInfo {
    /// A number with all meaningful bits set.
    pub const fn max(&self) -> u128 {
        u128::MAX >> (128 - self.bits as u32)
    }
}

macro_rules! flag {
    (mask) => {
        true
    };
    (exact) => {
        false
    };
    (set) => {
        true
    };
    (read) => {
        false
    };
}

macro_rules! oxm_fields {
    ($( $variant:ident $name:literal $class:ident $field:literal $bytes:literal $bits:literal
        $mask:ident $set:ident $prerequisite:ident $(($($values:tt)*))? ; )*) => {
        /// A match field: the 40 of §7.2.3.7 and those of Open vSwitch. Its properties are in [`OxmField::info`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum OxmField {
            $( #[doc = concat!("`", $name, "`, ", stringify!($bits), " bits.")] $variant, )*
        }

        impl OxmField {
            /// Every field there is; a field's place is its number as `usize`.
            pub const ALL: &'static [OxmField] = &[$( OxmField::$variant ),*];

            const INFO: &'static [OxmInfo] = &[$( OxmInfo {
                class: $class,
                field: $field,
                bytes: $bytes,
                bits: $bits,
                maskable: flag!($mask),
                settable: flag!($set),
                prerequisite: $prerequisite $(($($values)*))?,
                name: $name,
            } ),*];
        }
    };
}

oxm_fields! {
    // variant    name          class      field bytes bits  may be masked, set  prerequisite
    InPort        "in_port"        CLASS_BASIC 0 4 32 exact read ANY;
    InPhyPort     "in_phy_port"    CLASS_BASIC 1 4 32 exact read InPort;
    Metadata      "metadata"       CLASS_BASIC 2 8 64 mask read ANY;
    EthDst        "eth_dst"        CLASS_BASIC 3 6 48 mask set ANY;
    EthSrc        "eth_src"        CLASS_BASIC 4 6 48 mask set ANY;
    EthType       "eth_type"       CLASS_BASIC 5 2 16 exact set ANY;
    VlanVid       "vlan_vid"       CLASS_BASIC 6 2 13 mask set ANY;
    VlanPcp       "vlan_pcp"       CLASS_BASIC 7 1 3 exact set VlanPresent;
    IpDscp        "ip_dscp"        CLASS_BASIC 8 1 6 exact set IP;
    IpEcn         "ip_ecn"         CLASS_BASIC 9 1 2 exact set IP;
    IpProto       "ip_proto"       CLASS_BASIC 10 1 8 exact set IP;
    Ipv4Src       "ipv4_src"       CLASS_BASIC 11 4 32 mask set IPV4;
    Ipv4Dst       "ipv4_dst"       CLASS_BASIC 12 4 32 mask set IPV4;
    TcpSrc        "tcp_src"        CLASS_BASIC 13 2 16 mask set TCP;
    TcpDst        "tcp_dst"        CLASS_BASIC 14 2 16 mask set TCP;
    UdpSrc        "udp_src"        CLASS_BASIC 15 2 16 mask set UDP;
    UdpDst        "udp_dst"        CLASS_BASIC 16 2 16 mask set UDP;
    SctpSrc       "sctp_src"       CLASS_BASIC 17 2 16 mask set SCTP;
    SctpDst       "sctp_dst"       CLASS_BASIC 18 2 16 mask set SCTP;
    Icmpv4Type    "icmpv4_type"    CLASS_BASIC 19 1 8 exact set ICMP;
    Icmpv4Code    "icmpv4_code"    CLASS_BASIC 20 1 8 exact set ICMP;
    ArpOp         "arp_op"         CLASS_BASIC 21 2 16 exact set ARP;
    ArpSpa        "arp_spa"        CLASS_BASIC 22 4 32 mask set ARP;
    ArpTpa        "arp_tpa"        CLASS_BASIC 23 4 32 mask set ARP;
    ArpSha        "arp_sha"        CLASS_BASIC 24 6 48 mask set ARP;
    ArpTha        "arp_tha"        CLASS_BASIC 25 6 48 mask set ARP;
    Ipv6Src       "ipv6_src"       CLASS_BASIC 26 16 128 mask set IPV6;
    Ipv6Dst       "ipv6_dst"       CLASS_BASIC 27 16 128 mask set IPV6;
    Ipv6Flabel    "ipv6_flabel"    CLASS_BASIC 28 4 20 mask set IPV6;
    Icmpv6Type    "icmpv6_type"    CLASS_BASIC 29 1 8 exact set ICMPV6;
    Icmpv6Code    "icmpv6_code"    CLASS_BASIC 30 1 8 exact set ICMPV6;
    Ipv6NdTarget  "ipv6_nd_target" CLASS_BASIC 31 16 128 mask set Icmpv6Type(&[135, 136]);
    Ipv6NdSll     "ipv6_nd_sll"    CLASS_BASIC 32 6 48 mask set Icmpv6Type(&[135]);
    Ipv6NdTll     "ipv6_nd_tll"    CLASS_BASIC 33 6 48 mask set Icmpv6Type(&[136]);
    MplsLabel     "mpls_label"     CLASS_BASIC 34 4 20 exact set MPLS;
    MplsTc        "mpls_tc"        CLASS_BASIC 35 1 3 exact set MPLS;
    MplsBos       "mpls_bos"       CLASS_BASIC 36 1 1 exact set MPLS;
    PbbIsid       "pbb_isid"       CLASS_BASIC 37 3 24 mask set PBB;
    TunnelId      "tunnel_id"      CLASS_BASIC 38 8 64 mask set ANY;
    Ipv6Exthdr    "ipv6_exthdr"    CLASS_BASIC 39 2 9 mask set IPV6;

    // Open vSwitch's own
    Reg0 "reg0" CLASS_NXM1 0 4 32 mask set ANY;
    Reg1 "reg1" CLASS_NXM1 1 4 32 mask set ANY;
    Reg2 "reg2" CLASS_NXM1 2 4 32 mask set ANY;
    Reg3 "reg3" CLASS_NXM1 3 4 32 mask set ANY;
    Reg4 "reg4" CLASS_NXM1 4 4 32 mask set ANY;
    Reg5 "reg5" CLASS_NXM1 5 4 32 mask set ANY;
    Reg6 "reg6" CLASS_NXM1 6 4 32 mask set ANY;
    Reg7 "reg7" CLASS_NXM1 7 4 32 mask set ANY;
    Reg8 "reg8" CLASS_NXM1 8 4 32 mask set ANY;
    Reg9 "reg9" CLASS_NXM1 9 4 32 mask set ANY;
    Reg10 "reg10" CLASS_NXM1 10 4 32 mask set ANY;
    Reg11 "reg11" CLASS_NXM1 11 4 32 mask set ANY;
    Reg12 "reg12" CLASS_NXM1 12 4 32 mask set ANY;
    Reg13 "reg13" CLASS_NXM1 13 4 32 mask set ANY;
    Reg14 "reg14" CLASS_NXM1 14 4 32 mask set ANY;
    Reg15 "reg15" CLASS_NXM1 15 4 32 mask set ANY;
    Xreg0 "xreg0" CLASS_REGISTERS 0 8 64 mask set ANY;
    Xreg1 "xreg1" CLASS_REGISTERS 1 8 64 mask set ANY;
    Xreg2 "xreg2" CLASS_REGISTERS 2 8 64 mask set ANY;
    Xreg3 "xreg3" CLASS_REGISTERS 3 8 64 mask set ANY;
    Xreg4 "xreg4" CLASS_REGISTERS 4 8 64 mask set ANY;
    Xreg5 "xreg5" CLASS_REGISTERS 5 8 64 mask set ANY;
    Xreg6 "xreg6" CLASS_REGISTERS 6 8 64 mask set ANY;
    Xreg7 "xreg7" CLASS_REGISTERS 7 8 64 mask set ANY;
    Xxreg0 "xxreg0" CLASS_NXM1 111 16 128 mask set ANY;
    Xxreg1 "xxreg1" CLASS_NXM1 112 16 128 mask set ANY;
    Xxreg2 "xxreg2" CLASS_NXM1 113 16 128 mask set ANY;
    Xxreg3 "xxreg3" CLASS_NXM1 114 16 128 mask set ANY;
    IpFrag     "ip_frag"       CLASS_NXM1 26 1 2 mask read IP;
    IpTtl      "ip_ttl"        CLASS_NXM1 29 1 8 exact set IP;
    MplsTtl    "mpls_ttl"      CLASS_NXM1 30 1 8 exact set MPLS;
    TunIpv4Src "tun_ipv4_src"  CLASS_NXM1 31 4 32 mask set ANY;
    TunIpv4Dst "tun_ipv4_dst"  CLASS_NXM1 32 4 32 mask set ANY;
    PktMark    "pkt_mark"      CLASS_NXM1 33 4 32 mask set ANY;
    DpHash     "dp_hash"       CLASS_NXM1 35 4 32 mask read ANY;
    RecircId   "recirc_id"     CLASS_NXM1 36 4 32 exact read ANY;
    ConjId     "conj_id"       CLASS_NXM1 37 4 32 exact read ANY;
    TunGbpId   "tun_gbp_id"    CLASS_NXM1 38 2 16 mask set ANY;
    TunGbpFlags "tun_gbp_flags" CLASS_NXM1 39 1 8 mask set ANY;
    TunFlags   "tun_flags"     CLASS_NXM1 104 2 16 mask set ANY;
    CtState    "ct_state"      CLASS_NXM1 105 4 32 mask read ANY;
    CtZone     "ct_zone"       CLASS_NXM1 106 2 16 exact read ANY;
    CtMark     "ct_mark"       CLASS_NXM1 107 4 32 mask set ANY;
    CtLabel    "ct_label"      CLASS_NXM1 108 16 128 mask set ANY;
    TunIpv6Src "tun_ipv6_src"  CLASS_NXM1 109 16 128 mask set ANY;
    TunIpv6Dst "tun_ipv6_dst"  CLASS_NXM1 110 16 128 mask set ANY;
    TcpFlags   "tcp_flags"     CLASS_EXPERIMENTER 42 2 12 mask read TCP;
    ActsetOutput "actset_output" CLASS_EXPERIMENTER 43 4 32 exact read ANY;

    // Nicira's older ids of what the standard has too (see `OxmField::canonical`)
    NxmInPort  "nxm_in_port"   CLASS_NXM0 0 2 16 exact read ANY;
    NxmEthDst  "nxm_eth_dst"   CLASS_NXM0 1 6 48 mask set ANY;
    NxmEthSrc  "nxm_eth_src"   CLASS_NXM0 2 6 48 mask set ANY;
    NxmEthType "nxm_eth_type"  CLASS_NXM0 3 2 16 exact set ANY;
    NxmVlanTci "nxm_vlan_tci"  CLASS_NXM0 4 2 16 mask set ANY;
    NxmIpTos   "nxm_ip_tos"    CLASS_NXM0 5 1 8 exact set IP;
    NxmIpProto "nxm_ip_proto"  CLASS_NXM0 6 1 8 exact set IP;
    NxmIpSrc   "nxm_ip_src"    CLASS_NXM0 7 4 32 mask set IPV4;
    NxmIpDst   "nxm_ip_dst"    CLASS_NXM0 8 4 32 mask set IPV4;
    NxmTcpSrc  "nxm_tcp_src"   CLASS_NXM0 9 2 16 mask set TCP;
    NxmTcpDst  "nxm_tcp_dst"   CLASS_NXM0 10 2 16 mask set TCP;
    NxmUdpSrc  "nxm_udp_src"   CLASS_NXM0 11 2 16 mask set UDP;
    NxmUdpDst  "nxm_udp_dst"   CLASS_NXM0 12 2 16 mask set UDP;
    NxmIcmpType "nxm_icmp_type" CLASS_NXM0 13 1 8 exact set ICMP;
    NxmIcmpCode "nxm_icmp_code" CLASS_NXM0 14 1 8 exact set ICMP;
    NxmArpOp   "nxm_arp_op"    CLASS_NXM0 15 2 16 exact set ARP;
    NxmArpSpa  "nxm_arp_spa"   CLASS_NXM0 16 4 32 mask set ARP;
    NxmArpTpa  "nxm_arp_tpa"   CLASS_NXM0 17 4 32 mask set ARP;
    NxmTunId   "nxm_tun_id"    CLASS_NXM1 16 8 64 mask set ANY;
    NxmArpSha  "nxm_arp_sha"   CLASS_NXM1 17 6 48 mask set ARP;
    NxmArpTha  "nxm_arp_tha"   CLASS_NXM1 18 6 48 mask set ARP;
    NxmIpv6Src "nxm_ipv6_src"  CLASS_NXM1 19 16 128 mask set IPV6;
    NxmIpv6Dst "nxm_ipv6_dst"  CLASS_NXM1 20 16 128 mask set IPV6;
    NxmIcmpv6Type "nxm_icmpv6_type" CLASS_NXM1 21 1 8 exact set ICMPV6;
    NxmIcmpv6Code "nxm_icmpv6_code" CLASS_NXM1 22 1 8 exact set ICMPV6;
    NxmNdTarget "nxm_nd_target" CLASS_NXM1 23 16 128 mask set Icmpv6Type(&[135, 136]);
    NxmNdSll   "nxm_nd_sll"    CLASS_NXM1 24 6 48 mask set Icmpv6Type(&[135]);
    NxmNdTll   "nxm_nd_tll"    CLASS_NXM1 25 6 48 mask set Icmpv6Type(&[136]);
    NxmIpv6Label "nxm_ipv6_label" CLASS_NXM1 27 4 20 mask set IPV6;
    NxmIpEcn   "nxm_ip_ecn"    CLASS_NXM1 28 1 2 exact set IP;
    NxmTcpFlags "nxm_tcp_flags" CLASS_NXM1 34 2 12 mask read TCP;
}

// Sets of fields are kept as bits of a `u128`.
const _: () = assert!(OxmField::ALL.len() <= 128);

type Index = [Option<OxmField>; 128];

const fn index(class: u16) -> Index {
    let mut table = [None; 128];
    let mut i = 0;
    while i < OxmField::ALL.len() {
        let info = &OxmField::INFO[i];
        if info.class == class {
            table[info.field as usize] = Some(OxmField::ALL[i]);
        }
        i += 1;
    }
    table
}

static BASIC: Index = index(CLASS_BASIC);
static NXM0: Index = index(CLASS_NXM0);
static NXM1: Index = index(CLASS_NXM1);
static REGISTERS: Index = index(CLASS_REGISTERS);
static EXPERIMENTER: Index = index(CLASS_EXPERIMENTER);

impl OxmField {
    /// Class, number, width and rules of the field.
    #[inline]
    pub fn info(self) -> &'static OxmInfo {
        &Self::INFO[self as usize]
    }

    /// The specification's name in lower case.
    pub fn name(self) -> &'static str {
        self.info().name
    }

    /// The field of that name.
    pub fn from_name(name: &str) -> Option<OxmField> {
        Self::ALL.iter().copied().find(|field| field.name() == name)
    }

    /// The field of this class and number; in class 0xffff that of ONF.
    #[inline]
    pub fn from_class_field(class: u16, field: u8) -> Option<OxmField> {
        let table = match class {
            CLASS_BASIC => &BASIC,
            CLASS_NXM0 => &NXM0,
            CLASS_NXM1 => &NXM1,
            CLASS_REGISTERS => &REGISTERS,
            CLASS_EXPERIMENTER => &EXPERIMENTER,
            _ => return None,
        };
        table.get(usize::from(field)).copied().flatten()
    }

    /// The field that says the same in the standard's form with the same width, for Nicira's twins (`nxm_eth_dst` →
    /// `eth_dst`); itself for all others, also for `nxm_in_port`, `nxm_vlan_tci` and `nxm_ip_tos`, whose values
    /// are made up differently.
    pub fn canonical(self) -> OxmField {
        use OxmField as F;
        match self {
            F::NxmEthDst => F::EthDst,
            F::NxmEthSrc => F::EthSrc,
            F::NxmEthType => F::EthType,
            F::NxmIpProto => F::IpProto,
            F::NxmIpSrc => F::Ipv4Src,
            F::NxmIpDst => F::Ipv4Dst,
            F::NxmTcpSrc => F::TcpSrc,
            F::NxmTcpDst => F::TcpDst,
            F::NxmUdpSrc => F::UdpSrc,
            F::NxmUdpDst => F::UdpDst,
            F::NxmIcmpType => F::Icmpv4Type,
            F::NxmIcmpCode => F::Icmpv4Code,
            F::NxmArpOp => F::ArpOp,
            F::NxmArpSpa => F::ArpSpa,
            F::NxmArpTpa => F::ArpTpa,
            F::NxmTunId => F::TunnelId,
            F::NxmArpSha => F::ArpSha,
            F::NxmArpTha => F::ArpTha,
            F::NxmIpv6Src => F::Ipv6Src,
            F::NxmIpv6Dst => F::Ipv6Dst,
            F::NxmIcmpv6Type => F::Icmpv6Type,
            F::NxmIcmpv6Code => F::Icmpv6Code,
            F::NxmNdTarget => F::Ipv6NdTarget,
            F::NxmNdSll => F::Ipv6NdSll,
            F::NxmNdTll => F::Ipv6NdTll,
            F::NxmIpv6Label => F::Ipv6Flabel,
            F::NxmIpEcn => F::IpEcn,
            F::NxmTcpFlags => F::TcpFlags,
            other => other,
        }
    }

    /// Register `n` (0 to 15).
    pub fn reg(n: usize) -> Option<OxmField> {
        if n < 16 {
            Self::ALL.get(OxmField::Reg0 as usize + n).copied()
        } else {
            None
        }
    }

    /// The 32-bit OXM header of the field.
    pub fn header(self, has_mask: bool) -> u32 {
        let info = self.info();
        let experimenter = if info.class == CLASS_EXPERIMENTER {
            4
        } else {
            0
        };
        let length = u32::from(info.bytes) * if has_mask { 2 } else { 1 } + experimenter;
        u32::from(info.class) << 16 | u32::from(info.field) << 9 | u32::from(has_mask) << 8 | length
    }
}
