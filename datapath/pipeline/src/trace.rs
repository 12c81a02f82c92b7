//! The log of a translation, for operators and tests.

use crate::datapath::{DpAction, PacketIn, Translation};
use crate::drops::DropReason;
use crate::execute::Sink;
use crate::fields::place;
use crate::tables::Flow;
use serde::Serialize;
use std::fmt::Write as _;
use weft_frame::{FlowKey, FlowMask, Packet};
use weft_openflow::{Action, OxmField};

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
            actions: translation.actions.iter().map(text).collect(),
            mask: fields(&translation.mask, key),
            mask_bits: translation
                .mask
                .0
                .iter()
                .map(|word| word.count_ones())
                .sum(),
            drop: translation.drop,
            cacheable: translation.cacheable,
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

pub(crate) fn text(action: &DpAction) -> String {
    match action {
        DpAction::Apply(op) => format!("{op:?}"),
        DpAction::Output {
            port_no,
            queue_id: None,
        } => format!("output:{port_no}"),
        DpAction::Output {
            port_no,
            queue_id: Some(queue),
        } => format!("output:{port_no},queue:{queue}"),
        DpAction::Truncated {
            port_no, max_len, ..
        } => format!("output(port={port_no},max_len={max_len})"),
        DpAction::Observe(number) => format!("observe:{number}"),
        DpAction::Controller(info) => {
            format!("controller(max_len={},{:?})", info.max_len, info.reason)
        }
        DpAction::Fork(count) => format!("copy(next {count})"),
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
