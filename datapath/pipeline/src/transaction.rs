//! All or nothing: changes since [`Pipeline::begin`] can be taken back, as a bundle that fails asks for (ONF EXT-230).
//!
//! Flows are journaled one change at a time, so that a transaction costs what it changes. Groups and meters, of which
//! there are fewer, are copied when the first of them changes. What packets count in between is not taken back,
//! except on what is restored.

use crate::group::Groups;
use crate::meter::Meters;
use crate::pipeline::Pipeline;
use crate::slab::FlowId;
use crate::tables::{Flow, Tables};
use weft_openflow::Instruction;

/// How to take back one change of a flow.
#[derive(Debug)]
pub(crate) enum Undo {
    /// Remove what was added.
    Add(FlowId),
    /// Bring back what was replaced.
    Replace(FlowId, Box<Flow>),
    /// Bring back instructions and counters (packets, bytes).
    Modify(FlowId, Box<[Instruction]>, (u64, u64)),
    /// Bring back what was removed. As changes are taken back in reverse order, it gets the number that it had.
    Remove(Box<Flow>),
}

/// State before the transaction, as far as it has changed.
#[derive(Debug, Default)]
pub(crate) struct Transaction {
    groups: Option<Groups>,
    meters: Option<Meters>,
    /// Flow-removed notices that were there before.
    removed: usize,
}

impl Transaction {
    /// To be called before groups change.
    pub fn keep_groups(&mut self, groups: &Groups) {
        self.groups.get_or_insert_with(|| groups.clone());
    }

    /// To be called before meters change.
    pub fn keep_meters(&mut self, meters: &Meters) {
        self.meters.get_or_insert_with(|| meters.clone());
    }
}

impl Pipeline {
    /// Begins a transaction. Until it ends, only `flow_mod`, `group_mod`, `meter_mod` and `packet_out` may be called.
    pub fn begin(&mut self) {
        let removed = self.tables.removed.len();
        self.transaction = Some(Transaction {
            removed,
            ..Transaction::default()
        });
        self.tables.journal = Some(Vec::new());
    }

    /// Ends the transaction: what was changed stays.
    pub fn commit(&mut self) {
        self.transaction = None;
        self.tables.journal = None;
    }

    /// Ends the transaction: everything is as it was when it began.
    pub fn rollback(&mut self) {
        self.invalidate();
        let Some(transaction) = self.transaction.take() else {
            return;
        };
        self.tables.roll_back();
        self.tables.removed.truncate(transaction.removed);
        if let Some(groups) = transaction.groups {
            self.groups = groups;
        }
        if let Some(meters) = transaction.meters {
            self.meters = meters;
        }
    }
}

impl Tables {
    fn roll_back(&mut self) {
        for undo in self.journal.take().unwrap_or_default().into_iter().rev() {
            match undo {
                Undo::Add(id) => {
                    self.take(id);
                }
                Undo::Replace(id, old) => {
                    self.untime(id);
                    if let Some(flow) = self.flows.get_mut(id) {
                        *flow = *old;
                    }
                    self.time(id);
                }
                Undo::Modify(id, instructions, (packets, bytes)) => {
                    if let Some(flow) = self.flows.get_mut(id) {
                        flow.instructions = instructions;
                        (flow.packets, flow.bytes) = (packets, bytes);
                    }
                }
                Undo::Remove(flow) => {
                    self.put(*flow);
                }
            }
        }
    }
}
