//! The log of a translation, for operators and tests.

use crate::datapath::{DpAction, HeaderOp, PacketIn, Translation};
use crate::drops::DropReason;
use crate::execute::Sink;
use crate::fields::place;
use crate::tables::Flow;
use serde::Serialize;
use std::fmt::Write as _;
use weft_frame::{FlowKey, FlowMask, Packet};
use weft_openflow::{Action, OxmField};

/// Why what is no frame is not the fast path's.
const TOO_SHORT: &str = "no Ethernet header";

/// Something that happened during the walk, and how deeply nested in resubmits, groups and clones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Logged {
    /// 0: in the walk from table 0 itself.
    pub depth: usize,
    /// What happened.
    #[serde(flatten)]
    pub step: Step,
}

/// Something that happened during the walk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(
    tag = "kind",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum Step {
    /// A rule of a table matched.
    Match {
        /// The table.
        table_id: u8,
        /// Masks tried in it: each costs a hash lookup.
        masks: usize,
        /// The rule: `ofp_flow_stats`, hexadecimal.
        flow: String,
    },
    /// No rule of a table matched.
    Miss {
        /// The table.
        table_id: u8,
        /// Masks tried in it.
        masks: usize,
    },
    /// An action was carried out.
    Action {
        /// The action as on the wire, hexadecimal.
        action: String,
    },
    /// The action set follows.
    ActionSet,
    /// A bucket of a group follows.
    Bucket {
        /// The group.
        group_id: u32,
        /// Number of the bucket.
        bucket: usize,
    },
    /// A meter was passed.
    Meter {
        /// The meter.
        meter_id: u32,
    },
    /// The packet leaves by a port.
    Output {
        /// The port.
        port_no: u32,
    },
    /// The packet cannot leave by a port.
    Blocked {
        /// The port.
        port_no: u32,
        /// Why not.
        reason: DropReason,
    },
    /// The packet goes to the controller.
    Controller {
        /// Why.
        reason: String,
        /// Bytes wanted.
        max_len: u16,
    },
    /// The packet is dropped.
    Drop {
        /// Why.
        reason: DropReason,
    },
}

impl Step {
    pub(crate) fn matched(masks: usize, flow: &Flow, now: u64) -> Step {
        Step::Match {
            table_id: flow.table_id,
            masks,
            flow: hex(&flow.stats(now).to_bytes()),
        }
    }

    pub(crate) fn action(action: &Action) -> Step {
        Step::Action {
            action: hex(&action.to_bytes()),
        }
    }
}

/// What would happen to a packet, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Trace {
    /// The walk.
    pub steps: Vec<Logged>,
    /// What the datapath would do.
    pub actions: Vec<String>,
    /// The bits the outcome depends on, as fields.
    pub mask: Vec<String>,
    /// How many bits those are.
    pub mask_bits: u32,
    /// Why the packet would be dropped, if it would.
    pub drop: Option<DropReason>,
    /// Whether the next packet like it would take the cached path.
    pub cacheable: bool,
    /// Why the fast path would not treat packets like it; `None`: it would, once this one has passed.
    pub why_not: Option<&'static str>,
    /// What would leave by ports.
    pub outputs: Vec<TracedOutput>,
    /// What would go to controllers.
    pub packet_ins: Vec<TracedPacketIn>,
}

/// A frame that would leave by a port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TracedOutput {
    /// The port.
    pub port_no: u32,
    /// Its queue, if one was set.
    pub queue_id: Option<u32>,
    /// The frame, hexadecimal.
    pub frame: String,
}

/// A frame that would go to controllers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TracedPacketIn {
    /// Why.
    pub reason: String,
    /// Bytes wanted.
    pub max_len: u16,
    /// To the bridge program's controller, not to users'.
    pub program: bool,
    /// The frame, hexadecimal.
    pub frame: String,
}

impl Trace {
    pub(crate) fn new(steps: Vec<Logged>, translation: &Translation, key: &FlowKey) -> Trace {
        Trace {
            steps,
            actions: texts(&translation.actions),
            mask: fields(&translation.mask, key),
            mask_bits: translation
                .mask
                .0
                .iter()
                .map(|word| word.count_ones())
                .sum(),
            drop: translation.drop,
            cacheable: translation.cacheable,
            why_not: None,
            outputs: Vec::new(),
            packet_ins: Vec::new(),
        }
    }

    /// Of a frame that no table gets to see.
    pub(crate) fn dropped(reason: DropReason) -> Trace {
        Trace {
            steps: vec![Logged {
                depth: 0,
                step: Step::Drop { reason },
            }],
            actions: Vec::new(),
            mask: Vec::new(),
            mask_bits: 0,
            drop: Some(reason),
            cacheable: false,
            why_not: Some(TOO_SHORT),
            outputs: Vec::new(),
            packet_ins: Vec::new(),
        }
    }
}

/// Takes down what would leave.
impl Sink for Trace {
    fn output(&mut self, port_no: u32, queue_id: Option<u32>, packet: &mut Packet) {
        let frame = hex(packet.bytes());
        self.outputs.push(TracedOutput {
            port_no,
            queue_id,
            frame,
        });
    }

    fn packet_in(&mut self, packet: &mut Packet, info: &PacketIn) {
        self.packet_ins.push(TracedPacketIn {
            reason: format!("{:?}", info.reason),
            max_len: info.max_len,
            program: info.program,
            frame: hex(packet.bytes()),
        });
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Datapath actions in the words of ovs-actions(7).
pub(crate) fn texts(actions: &[DpAction]) -> Vec<String> {
    let mut list = Vec::new();
    let mut rest = actions;
    while let Some((action, after)) = rest.split_first() {
        rest = after;
        list.push(match action {
            DpAction::Apply(op) => edit_text(op),
            DpAction::Output { port_no, queue_id } => match queue_id {
                None => format!("output:{port_no}"),
                Some(queue) => format!("enqueue:{port_no}:{queue}"),
            },
            DpAction::Truncated {
                port_no, max_len, ..
            } => format!("output(port={port_no},max_len={max_len})"),
            DpAction::Observe(number) => format!("observe:{number}"),
            DpAction::Controller(info) => {
                format!(
                    "controller(max_len={},reason={:?})",
                    info.max_len, info.reason
                )
            }
            DpAction::Fork(count) => {
                let (forked, after) = rest.split_at((*count as usize).min(rest.len()));
                rest = after;
                format!("clone({})", texts(forked).join(","))
            }
        });
    }
    list
}

fn edit_text(op: &HeaderOp) -> String {
    match op {
        HeaderOp::PushVlan(tpid) => format!("push_vlan:{tpid:#06x}"),
        HeaderOp::PopVlan => "pop_vlan".to_owned(),
        HeaderOp::PushMpls(kind) => format!("push_mpls:{kind:#06x}"),
        HeaderOp::PopMpls(kind) => format!("pop_mpls:{kind:#06x}"),
        HeaderOp::PushPbb(kind) => format!("push_pbb:{kind:#06x}"),
        HeaderOp::PopPbb => "pop_pbb".to_owned(),
        HeaderOp::SetField { field, value, mask } => {
            let is_it = |oxm: &&OxmField| place(**oxm).is_some_and(|place| place.field == *field);
            let name = OxmField::ALL
                .iter()
                .find(is_it)
                .map_or("?", |oxm| oxm.name());
            if *mask == field.ones() {
                format!("set_field:{value:#x}->{name}")
            } else {
                format!("set_field:{value:#x}/{mask:#x}->{name}")
            }
        }
        HeaderOp::SetIpTtl(ttl) => format!("mod_nw_ttl:{ttl}"),
        HeaderOp::DecIpTtl => "dec_ttl".to_owned(),
        HeaderOp::SetMplsTtl(ttl) => format!("set_mpls_ttl:{ttl}"),
        HeaderOp::DecMplsTtl => "dec_mpls_ttl".to_owned(),
        HeaderOp::CopyTtlOut => "copy_ttl_out".to_owned(),
        HeaderOp::CopyTtlIn => "copy_ttl_in".to_owned(),
        HeaderOp::Meter { meter_id, .. } => format!("meter:{meter_id}"),
    }
}

/// The fields of a mask, with their values. Of fields that share bits only those are named whose prerequisite the
/// packet meets.
pub(crate) fn fields(mask: &FlowMask, key: &FlowKey) -> Vec<String> {
    let mut list = Vec::new();
    let mut named = FlowMask::ZERO;
    for oxm in OxmField::ALL {
        let Some(place) = place(*oxm) else { continue };
        let bits = mask.get(place.field);
        let here = key.get64(weft_frame::field::PRESENT) & place.present == place.present;
        if bits == 0 || named.get(place.field) & bits == bits || !here {
            continue;
        }
        named.set(place.field, named.get(place.field) | bits);
        let value = key.get(place.field) & bits;
        if bits == place.field.ones() {
            list.push(format!("{}={value:#x}", oxm.name()));
        } else {
            list.push(format!("{}={value:#x}/{bits:#x}", oxm.name()));
        }
    }
    list
}
