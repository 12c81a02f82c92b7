//! The log of a translation, for operators and tests.

use crate::datapath::{DpAction, Translation};
use crate::drops::DropReason;
use crate::fields::place;
use crate::tables::Flow;
use serde::Serialize;
use weft_frame::{FlowKey, FlowMask};
use weft_openflow::OxmField;

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
        /// Depth of resubmits.
        depth: usize,
        /// Priority of the rule.
        priority: u16,
        /// Its cookie, hexadecimal.
        cookie: String,
        /// Its match, field by field.
        matching: Vec<String>,
    },
    /// No rule of a table matched.
    Miss {
        /// The table.
        table_id: u8,
        /// Depth of resubmits.
        depth: usize,
    },
    /// An action was carried out.
    Action {
        /// The action.
        text: String,
        /// Depth of resubmits, groups and clones.
        depth: usize,
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
    pub(crate) fn matched(table_id: u8, depth: usize, flow: &Flow) -> Step {
        let matching = flow.matching.fields().map(|tlv| match tlv.mask {
            None => format!("{}={:#x}", tlv.field.name(), tlv.value),
            Some(mask) => format!("{}={:#x}/{mask:#x}", tlv.field.name(), tlv.value),
        });
        let cookie = format!("{:#x}", flow.cookie);
        Step::Match {
            table_id,
            depth,
            priority: flow.priority,
            cookie,
            matching: matching.collect(),
        }
    }
}

/// What would happen to a packet, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Trace {
    /// The walk.
    pub steps: Vec<Step>,
    /// What the datapath would do.
    pub actions: Vec<String>,
    /// The bits the outcome depends on, as fields.
    pub mask: Vec<String>,
    /// Why the packet would be dropped, if it would.
    pub drop: Option<DropReason>,
    /// Whether the next packet like it would take the cached path.
    pub cacheable: bool,
}

impl Trace {
    pub(crate) fn new(steps: Vec<Step>, translation: &Translation, key: &FlowKey) -> Trace {
        Trace {
            steps,
            actions: translation.actions.iter().map(text).collect(),
            mask: fields(&translation.mask, key),
            drop: translation.drop,
            cacheable: translation.cacheable,
        }
    }
}

fn text(action: &DpAction) -> String {
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
        DpAction::Controller(info) => {
            format!("controller(max_len={},{:?})", info.max_len, info.reason)
        }
        DpAction::Fork(count) => format!("copy(next {count})"),
    }
}

/// The fields of a mask, with their values. Of fields that share bits only those are named whose prerequisite the
/// packet meets.
fn fields(mask: &FlowMask, key: &FlowKey) -> Vec<String> {
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
