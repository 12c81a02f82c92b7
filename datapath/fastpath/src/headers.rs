//! Pieces of network and transport headers that the program can write, and where they lie.
//!
//! The same as frame/src/set_field.rs does, for headers without options, which are all that the program reads.

use std::collections::BTreeMap;

use weft_frame::field::{self, Field, present};
use weft_frame::{FlowKey, FlowMask, ethertype, ip_proto};
use weft_pipeline::HeaderOp;

use crate::layout::{Op, op_code, write_flags};

/// How much of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Size {
    Byte,
    Two,
    Four,
}

/// Which checksums are over it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Sums {
    None,
    /// The IPv4 header's.
    Header,
    /// The IPv4 header's and, as part of the pseudo-header, the transport's.
    HeaderAndPseudo,
    /// The transport's, as part of the pseudo-header.
    Pseudo,
    /// The transport's.
    Transport,
}

/// A piece of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Piece {
    /// Behind the network header, not in it.
    transport: bool,
    at: u8,
    size: Size,
    sums: Sums,
}

/// Bits written to a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bits {
    value: u32,
    mask: u32,
}

/// What has been written since the frame came in.
pub type Pieces = BTreeMap<Piece, Bits>;

/// A frame's headers, as its translation has seen them.
pub struct Headers<'a> {
    key: &'a FlowKey,
    mask: &'a FlowMask,
}

impl<'a> Headers<'a> {
    pub fn new(key: &'a FlowKey, mask: &'a FlowMask) -> Headers<'a> {
        Headers { key, mask }
    }

    fn sees(&self, field: Field) -> bool {
        let mut needed = FlowMask::ZERO;
        needed.need(field);
        self.mask.covers(&needed)
    }

    fn kind(&self) -> u16 {
        self.key.get64(field::ETH_TYPE) as u16
    }

    fn has(&self, header: u64) -> bool {
        self.key.get64(field::PRESENT) & header != 0
    }

    fn proto(&self) -> u8 {
        self.key.get64(field::IP_PROTO) as u8
    }

    /// Bytes of the network header.
    fn l3_bytes(&self) -> u8 {
        if self.kind() == ethertype::IPV6 {
            40
        } else {
            20
        }
    }

    /// Where a field lies: its pieces, most significant first, and its lowest bit in the last one.
    fn place(&self, field: Field) -> Option<(Vec<Piece>, u32)> {
        let is_v4 = self.kind() == ethertype::IPV4;
        let is_v6 = self.kind() == ethertype::IPV6;
        let is_arp = matches!(self.kind(), ethertype::ARP | ethertype::RARP);
        let has_ports =
            self.has(present::L4) && matches!(self.proto(), ip_proto::TCP | ip_proto::UDP);
        let has_icmp =
            self.has(present::L4) && matches!(self.proto(), ip_proto::ICMP | ip_proto::ICMPV6);
        let piece = |transport: bool, at: u8, size: Size, sums: Sums| {
            let piece = Piece {
                transport,
                at,
                size,
                sums,
            };
            Some((vec![piece], 0))
        };
        let words = |at: u8| {
            let word = |n: u8| Piece {
                transport: false,
                at: at + 4 * n,
                size: Size::Four,
                sums: Sums::Pseudo,
            };
            Some(((0..4).map(word).collect(), 0))
        };
        if !self.has(present::L3) {
            return None;
        }
        match field {
            field::IPV4_SRC if is_v4 => piece(false, 12, Size::Four, Sums::HeaderAndPseudo),
            field::IPV4_DST if is_v4 => piece(false, 16, Size::Four, Sums::HeaderAndPseudo),
            field::IPV4_SRC if is_arp => piece(false, 14, Size::Four, Sums::None),
            field::IPV4_DST if is_arp => piece(false, 24, Size::Four, Sums::None),
            field::ARP_OP if is_arp => piece(false, 6, Size::Two, Sums::None),
            field::IP_ECN | field::IP_TOS if is_v4 => piece(false, 1, Size::Byte, Sums::Header),
            field::IP_DSCP if is_v4 => {
                piece(false, 1, Size::Byte, Sums::Header).map(|(pieces, _)| (pieces, 2))
            }
            field::IP_TTL if is_v4 => piece(false, 8, Size::Byte, Sums::Header),
            field::IP_TTL if is_v6 => piece(false, 7, Size::Byte, Sums::None),
            field::IPV6_SRC if is_v6 => words(8),
            field::IPV6_DST if is_v6 => words(24),
            field::L4_SRC if has_ports => piece(true, 0, Size::Two, Sums::Transport),
            field::L4_DST if has_ports => piece(true, 2, Size::Two, Sums::Transport),
            field::ICMP_TYPE if has_icmp => piece(true, 0, Size::Byte, Sums::Transport),
            field::ICMP_CODE if has_icmp => piece(true, 1, Size::Byte, Sums::Transport),
            _ => None,
        }
    }

    /// What an edit makes of the headers.
    ///
    /// # Errors
    /// Why the program cannot do it.
    pub fn want(&self, op: &HeaderOp, wanted: &mut Pieces) -> Result<(), &'static str> {
        let looked_at = [field::ETH_TYPE, field::PRESENT, field::IP_PROTO];
        if !looked_at.iter().all(|field| self.sees(*field)) {
            return Err("headers not looked at");
        }
        match *op {
            HeaderOp::SetField { field, value, mask } => self.write(field, value, mask, wanted),
            HeaderOp::SetIpTtl(ttl) => self.write(field::IP_TTL, ttl.into(), u128::MAX, wanted),
            HeaderOp::DecIpTtl => {
                let (pieces, _) = self.place(field::IP_TTL).ok_or("header edit")?;
                let ttl = match wanted.get(&pieces[0]) {
                    Some(bits) if bits.mask & 0xff == 0xff => u64::from(bits.value),
                    Some(bits) if self.sees(field::IP_TTL) => {
                        let original = self.key.get64(field::IP_TTL) as u32;
                        u64::from(bits.value & bits.mask | original & !bits.mask & 0xff)
                    }
                    None if self.sees(field::IP_TTL) => self.key.get64(field::IP_TTL),
                    _ => return Err("headers not looked at"),
                };
                let ttl = ttl.checked_sub(1).ok_or("header edit")?;
                self.write(field::IP_TTL, ttl.into(), u128::MAX, wanted)
            }
            _ => Err("header edit"),
        }
    }

    fn write(
        &self,
        field: Field,
        value: u128,
        mask: u128,
        wanted: &mut Pieces,
    ) -> Result<(), &'static str> {
        let (pieces, shift) = self.place(field).ok_or("set-field")?;
        let (value, mask) = (value & field.ones(), mask & field.ones());
        for (n, piece) in pieces.iter().rev().enumerate() {
            let part = |bits: u128| ((bits << shift) >> (32 * n)) as u32;
            let (value, mask) = (part(value), part(mask));
            if piece.size != Size::Byte && mask.count_ones() != piece.bits() {
                return Err("part of a field");
            }
            let old = wanted.get(piece).copied();
            let old = old.unwrap_or(Bits { value: 0, mask: 0 });
            let new = Bits {
                value: old.value & !mask | value & mask,
                mask: old.mask | mask,
            };
            wanted.insert(*piece, new);
        }
        Ok(())
    }

    /// What the piece held when the frame came in, as far as that was looked at.
    fn original(&self, piece: &Piece, mask: u32) -> Option<u32> {
        let fields = [
            field::IPV4_SRC,
            field::IPV4_DST,
            field::ARP_OP,
            field::IP_TOS,
            field::IP_TTL,
            field::IPV6_SRC,
            field::IPV6_DST,
            field::L4_SRC,
            field::L4_DST,
            field::ICMP_TYPE,
            field::ICMP_CODE,
        ];
        fields.into_iter().find_map(|field| {
            let (pieces, _) = self.place(field)?;
            let n = pieces.iter().rev().position(|other| other == piece)?;
            // The bits of the field that are to be known.
            let offset = 32 * n as u32 + mask.trailing_zeros();
            let width = 32 - mask.leading_zeros() - mask.trailing_zeros();
            let part = field.part(offset as u8, width as u8)?;
            let value = (self.key.get(field) >> (32 * n)) as u32;
            self.sees(part).then_some(value)
        })
    }

    /// The operations that lead from one state of the headers to another.
    ///
    /// # Errors
    /// Why the program cannot do it.
    pub fn lead(
        &self,
        from: &Pieces,
        to: &Pieces,
        mut push: impl FnMut(Op) -> Result<(), &'static str>,
    ) -> Result<(), &'static str> {
        let mut pieces: Vec<&Piece> = from.keys().chain(to.keys()).collect();
        pieces.sort_unstable();
        pieces.dedup();
        for piece in pieces {
            if from.get(piece) == to.get(piece) {
                continue;
            }
            let none = Bits { value: 0, mask: 0 };
            let was = from.get(piece).copied().unwrap_or(none);
            let Bits {
                mut value,
                mut mask,
            } = to.get(piece).copied().unwrap_or(none);
            let restore = was.mask & !mask;
            if restore != 0 {
                let original = self.original(piece, restore).ok_or("field to bring back")?;
                value |= original & restore;
                mask |= restore;
            }
            push(self.op(piece, value, mask))?;
        }
        Ok(())
    }

    fn op(&self, piece: &Piece, value: u32, mask: u32) -> Op {
        // From the network header on: where that begins only the program knows, as nobody may have looked at the tags.
        let l4 = self.l3_bytes();
        let at = if piece.transport { l4 } else { 0 } + piece.at;
        let pseudo = matches!(piece.sums, Sums::HeaderAndPseudo | Sums::Pseudo);
        let sum = match self.proto() {
            _ if !(pseudo || piece.sums == Sums::Transport) || !self.has(present::L4) => None,
            ip_proto::TCP => Some(16),
            ip_proto::UDP => Some(6),
            ip_proto::ICMPV6 if self.kind() == ethertype::IPV6 => Some(2),
            ip_proto::ICMP if !pseudo => Some(2),
            _ => None,
        };
        let (size, word) = match piece.size {
            Size::Byte => (0, value & 0xff | mask << 8),
            Size::Two => (1, u32::from((value as u16).to_be())),
            Size::Four => (2, value.to_be()),
        };
        let transport = match sum {
            None => 0,
            Some(_) if pseudo => write_flags::TRANSPORT | write_flags::PSEUDO,
            Some(_) => write_flags::TRANSPORT,
        };
        let udp = match (sum, self.proto(), self.kind()) {
            (Some(_), ip_proto::UDP, ethertype::IPV6) => write_flags::UDP | write_flags::ALWAYS,
            (Some(_), ip_proto::UDP, _) => write_flags::UDP,
            _ => 0,
        };
        // Where the IPv4 header's checksum is from here.
        let header = match piece.sums {
            Sums::Header | Sums::HeaderAndPseudo => op_code::WRITE_IPV4 + (piece.at & !1) / 4,
            _ => op_code::WRITE,
        };
        let sum = sum.map_or(0, |sum| l4 + sum);
        Op {
            code: header,
            flags: size | transport | udp,
            small: u16::from(at) | u16::from(sum) << 8,
            word,
        }
    }
}

impl Piece {
    fn bits(&self) -> u32 {
        match self.size {
            Size::Byte => 8,
            Size::Two => 16,
            Size::Four => 32,
        }
    }
}
