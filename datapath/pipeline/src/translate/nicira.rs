//! Nicira's extension actions.

use super::{Flow, Walk};
use crate::datapath::HeaderOp;
use crate::multipath::{Algorithm, HashFields};
use crate::nicira::{Subfield, bits, port_from_16};
use weft_frame::field::{self, FIRST_PACKET_WORD};
use weft_openflow::{ControllerProperty, NxAction, OxmId, PacketInReason, port_no};

/// Most values on the stack of `push`.
const MAX_STACK: usize = 1024;

impl Walk<'_, '_> {
    pub(super) fn nicira(&mut self, action: &NxAction) -> Flow {
        match action {
            NxAction::Resubmit { in_port } => self.resubmit(*in_port, 255),
            NxAction::ResubmitTable { in_port, table } => self.resubmit(*in_port, *table),
            NxAction::SetTunnel { tun_id } => {
                self.write(field::TUNNEL_ID, u128::from(*tun_id), u128::MAX)
            }
            NxAction::SetTunnel64 { tun_id } => {
                self.write(field::TUNNEL_ID, u128::from(*tun_id), u128::MAX);
            }
            NxAction::WriteMetadata {
                metadata,
                metadata_mask,
            } => {
                self.write(
                    field::METADATA,
                    u128::from(*metadata),
                    u128::from(*metadata_mask),
                );
            }
            NxAction::PopQueue => self.state.queue = None,
            NxAction::RegMove {
                n_bits,
                src_ofs,
                dst_ofs,
                src,
                dst,
            } => {
                let value = self.read(src, *src_ofs, *n_bits);
                self.load(dst, *dst_ofs, *n_bits, value);
            }
            NxAction::RegLoad {
                ofs_nbits,
                dst,
                value,
            } => {
                let (offset, count) = bits(*ofs_nbits);
                self.load(dst, offset, count, u128::from(*value));
            }
            NxAction::RegLoad2 { field } => self.set_field(field),
            NxAction::OutputReg {
                ofs_nbits,
                src,
                max_len,
            }
            | NxAction::OutputReg2 {
                ofs_nbits,
                max_len,
                src,
            } => {
                let (offset, count) = bits(*ofs_nbits);
                let value = self.read(src, offset, count);
                let port = if count <= 16 {
                    port_from_16(value as u16)
                } else {
                    value as u32
                };
                if value <= u128::from(u32::MAX) && port != port_no::TABLE {
                    self.output(port, *max_len);
                }
            }
            NxAction::Multipath {
                fields,
                basis,
                algorithm,
                max_link,
                arg,
                ofs_nbits,
                dst,
            } => {
                let how = Algorithm::from_number(*algorithm);
                if let Some((fields, how)) = HashFields::from_number(*fields).zip(how) {
                    self.look(&fields.mask());
                    let link = how.choose(fields.hash(&self.state.key, *basis), *max_link, *arg);
                    let (offset, count) = bits(*ofs_nbits);
                    self.load(dst, offset, count, u128::from(link));
                }
            }
            NxAction::StackPush {
                offset,
                field,
                n_bits,
            } => {
                let value = self.read(field, *offset, *n_bits);
                if self.stack.len() < MAX_STACK {
                    self.stack.push(value);
                }
            }
            NxAction::StackPop {
                offset,
                field,
                n_bits,
            } => {
                if let Some(value) = self.stack.pop() {
                    self.load(field, *offset, *n_bits, value);
                }
            }
            NxAction::OutputTrunc { port, max_len } => {
                self.output_cut(port_from_16(*port), *max_len);
            }
            NxAction::Sample {
                probability,
                collector_set_id,
                obs_domain_id,
                obs_point_id,
            }
            | NxAction::Sample2 {
                probability,
                collector_set_id,
                obs_domain_id,
                obs_point_id,
                ..
            }
            | NxAction::Sample3 {
                probability,
                collector_set_id,
                obs_domain_id,
                obs_point_id,
                ..
            } => {
                let ids = (*obs_domain_id, *obs_point_id);
                self.observe(*collector_set_id, *probability, ids);
            }
            NxAction::Exit => self.exited = true,
            NxAction::DecTtl | NxAction::DecTtlCntIds { .. } => {
                return self.decrement(field::IP_TTL, HeaderOp::DecIpTtl);
            }
            NxAction::Controller {
                max_len,
                controller_id,
                reason,
            } => {
                self.controller(reason_of(*reason), *max_len, *controller_id, Vec::new());
            }
            NxAction::Controller2 { properties } => self.controller2(properties),
            NxAction::Clone { actions } => return self.clone_actions(actions),
            NxAction::Learn(learn) => self.learn(learn),
            _ => {}
        }
        Flow::On
    }

    /// The table is searched as if the packet had come in by `in_port`; its actions see the true one.
    fn resubmit(&mut self, in_port: u16, table: u8) {
        let in_port = match port_from_16(in_port) {
            port_no::IN_PORT => self.in_port,
            port => port,
        };
        let table = if table == 255 { self.table_id } else { table };
        self.table(table, in_port);
    }

    fn controller2(&mut self, properties: &[ControllerProperty]) {
        let (mut bytes, mut id, mut why, mut userdata) =
            (u16::MAX, 0, PacketInReason::Action, Vec::new());
        for property in properties {
            match property {
                ControllerProperty::MaxLen { max_len } => bytes = *max_len,
                ControllerProperty::ControllerId { controller_id } => id = *controller_id,
                ControllerProperty::Reason { reason } => why = reason_of(*reason),
                ControllerProperty::Userdata { data } => userdata.clone_from(data),
                _ => {}
            }
        }
        self.controller(why, bytes, id, userdata);
    }

    /// Bits of a field, of which the outcome depends from now on.
    pub(super) fn read(&mut self, id: &OxmId, offset: u16, count: u16) -> u128 {
        let Some(bits) = Subfield::new(id, offset, count) else {
            return 0;
        };
        self.look_at(bits.whole);
        // Every frame has an Ethernet header, whatever lies behind.
        if usize::from(bits.whole.word) >= FIRST_PACKET_WORD && !is_ethernet(bits.whole) {
            self.look_at_headers();
        }
        self.state.key.get(bits.whole) >> bits.offset & bits.ones()
    }

    fn load(&mut self, id: &OxmId, offset: u16, count: u16, value: u128) {
        let Some(bits) = Subfield::new(id, offset, count) else {
            return;
        };
        // The bit that says "there is a tag" in the key is none of the packet's.
        self.write(
            bits.whole,
            (value & bits.ones()) << bits.offset,
            bits.mask(),
        );
    }
}

fn is_ethernet(field: weft_frame::Field) -> bool {
    [field::ETH_DST, field::ETH_SRC, field::VLAN_TCI].contains(&field)
}

fn reason_of(reason: u8) -> PacketInReason {
    match reason {
        0 => PacketInReason::NoMatch,
        2 => PacketInReason::InvalidTtl,
        _ => PacketInReason::Action,
    }
}
