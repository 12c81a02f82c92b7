//! Actions, one by one (OF 1.3.5 §5.12).

use super::{Flow, Walk};
use crate::datapath::HeaderOp;
use crate::drops::DropReason;
use crate::fields::{place, to_key};
use crate::trace::Step;
use weft_frame::MAX_TAGS;
use weft_frame::field::{self, FIRST_PACKET_WORD, Field};
use weft_openflow::{Action, OxmTlv, PacketInReason};

/// `miss_send_len` of packets whose TTL ran out, as Open vSwitch sends them.
const INVALID_TTL_BYTES: u16 = 128;

impl Walk<'_, '_> {
    /// Carries a list of actions out, in order.
    pub(super) fn actions(&mut self, actions: &[Action]) -> Flow {
        for action in actions {
            if self.action(action) == Flow::Stop {
                return Flow::Stop;
            }
            if self.exited {
                break;
            }
        }
        Flow::On
    }

    fn action(&mut self, action: &Action) -> Flow {
        self.log(|| Step::action(action));
        match action {
            Action::Output { port, max_len } => self.output(*port, *max_len),
            Action::Group { group_id } => self.group(*group_id),
            Action::SetQueue { queue_id } => self.state.queue = Some(*queue_id),
            Action::PushVlan { ethertype } => {
                self.look_at_tags();
                // As far as is read, another tag is the last now, and the key did not show of which type that one is.
                let hides = self.state.key.get64(field::VLAN_COUNT) >= MAX_TAGS.into();
                self.tag(HeaderOp::PushVlan(*ethertype));
                self.revealed |= hides;
            }
            Action::PopVlan => {
                self.look_at_tags();
                // A third tag comes to light that the key did not show.
                let third = self.state.key.get64(field::VLAN_COUNT) > 2;
                self.tag(HeaderOp::PopVlan);
                self.revealed |= third;
            }
            Action::PushMpls { ethertype } => self.reveal(HeaderOp::PushMpls(*ethertype)),
            Action::PopMpls { ethertype } => self.reveal(HeaderOp::PopMpls(*ethertype)),
            Action::PushPbb { ethertype } => self.reveal(HeaderOp::PushPbb(*ethertype)),
            Action::PopPbb => self.reveal(HeaderOp::PopPbb),
            Action::CopyTtlOut => self.reveal(HeaderOp::CopyTtlOut),
            Action::CopyTtlIn => self.reveal(HeaderOp::CopyTtlIn),
            Action::SetMplsTtl { mpls_ttl } => self.change(HeaderOp::SetMplsTtl(*mpls_ttl)),
            Action::SetNwTtl { nw_ttl } => self.change(HeaderOp::SetIpTtl(*nw_ttl)),
            Action::DecMplsTtl => return self.decrement(field::MPLS_TTL, HeaderOp::DecMplsTtl),
            Action::DecNwTtl => return self.decrement(field::IP_TTL, HeaderOp::DecIpTtl),
            Action::SetField { field } => self.set_field(field),
            Action::Nicira(action) => return self.nicira(action),
            Action::Experimenter { .. } | Action::Unknown { .. } => {}
        }
        Flow::On
    }

    pub(super) fn look_at_tags(&mut self) {
        self.look_at(field::VLAN_TCI);
        self.look_at(field::VLAN_REST);
        self.look_at(field::ETH_TYPE);
    }

    /// An edit of which the present key tells all.
    fn tag(&mut self, op: HeaderOp) {
        if !self.edit(op) {
            self.note(DropReason::BadAction);
        }
    }

    /// An edit of a header that may not be there.
    fn change(&mut self, op: HeaderOp) {
        self.look_at_headers();
        if !self.edit(op) {
            self.note(DropReason::BadAction);
        }
    }

    /// An edit that makes the key show what it did not show before.
    fn reveal(&mut self, op: HeaderOp) {
        self.look_at_tags();
        self.change(op);
        self.revealed = true;
    }

    /// §5.12: "invalid TTL checking"; the packet ends here and the controller may be told.
    pub(super) fn decrement(&mut self, ttl: Field, op: HeaderOp) -> Flow {
        self.look_at_headers();
        self.look_at(ttl);
        if !self.edit(op) {
            if self.has_ttl(ttl) {
                self.note(DropReason::TtlExpired);
                self.controller(PacketInReason::InvalidTtl, INVALID_TTL_BYTES, 0, Vec::new());
                self.action_set.clear();
                self.exited = true;
                return Flow::Stop;
            }
            self.note(DropReason::BadAction);
        }
        Flow::On
    }

    fn has_ttl(&self, ttl: Field) -> bool {
        let eth_type = self.state.key.get64(field::ETH_TYPE);
        let present = self.state.key.get64(field::PRESENT);
        if ttl == field::MPLS_TTL {
            present & field::present::SHIM != 0 && matches!(eth_type, 0x8847 | 0x8848)
        } else {
            present & field::present::L3 != 0 && matches!(eth_type, 0x0800 | 0x86dd)
        }
    }

    pub(super) fn set_field(&mut self, tlv: &OxmTlv) {
        if let Some(place) = place(tlv.field) {
            let (value, mask) = to_key(tlv);
            self.write(place.field, value, mask);
        }
    }

    /// Writes bits of a field of the packet or the pipeline.
    pub(super) fn write(&mut self, field: Field, value: u128, mask: u128) {
        let old = self.state.key.get(field);
        if usize::from(field.word) < FIRST_PACKET_WORD {
            self.state.key.set(field, old & !mask | value & mask);
            return;
        }
        if mask & field.ones() != field.ones() {
            self.look_at(field);
        }
        if [field::VLAN_VID, field::VLAN_PCP, field::VLAN_TCI].contains(&field) {
            self.look_at_tags();
        } else if ![field::ETH_DST, field::ETH_SRC].contains(&field) {
            self.look_at_headers();
        }
        if !self.edit(HeaderOp::SetField { field, value, mask }) {
            self.note(DropReason::BadAction);
        }
        if [
            field::ETH_TYPE,
            field::IP_PROTO,
            field::ICMP_TYPE,
            field::ICMP_CODE,
        ]
        .contains(&field)
        {
            self.revealed = true;
        }
    }
}
