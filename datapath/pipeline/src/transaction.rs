//! All or nothing: changes since [`Pipeline::begin`] can be taken back, as a bundle that fails asks for (ONF EXT-230).
//!
//! Flows are journaled one change at a time, so that a transaction costs what it changes. Groups and meters, of which
//! there are fewer, are copied when the first of them changes. What packets count in between is not taken back,
//! except on what is restored.
//!
//! # Packets in between
//! A transaction of many flow-mods takes longer than packets can wait. An _open_ one ([`Pipeline::begin_open`]) leaves the
//! cache as it was: whoever is known goes on as before it ([`Pipeline::process_known`]), others have to wait for its end,
//! and then all of it is true for everybody. So that packets are counted on the flows that they went by, numbers of
//! removed flows are not used again before the end, and notices of their removal still count.

use crate::group::Groups;
use crate::meter::Meters;
use crate::pipeline::{MANY_FLOWS, Pipeline};
use crate::slab::FlowId;
use crate::tables::{Flow, Tables};
use std::collections::HashMap;
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
    /// Bring back what was removed.
    Remove(FlowId, Box<Flow>),
}

/// State before the transaction, as far as it has changed.
#[derive(Debug, Default)]
pub(crate) struct Transaction {
    groups: Option<Groups>,
    meters: Option<Meters>,
    /// Flow-removed notices that were there before.
    removed: usize,
    /// Flows that had ended by themselves before.
    expired: usize,
    /// Packets may come in between.
    pub open: bool,
    /// Flows deleted without a journal, one more than are looked for in the cache at most.
    deleted: Vec<FlowId>,
}

/// Changed flows beyond which finding out what they concern takes longer than frames should wait: then all starts anew.
const MANY_CHANGES: usize = 2000;

impl Transaction {
    /// To be called before groups change.
    pub fn keep_groups(&mut self, groups: &Groups) {
        self.groups.get_or_insert_with(|| groups.clone());
    }

    /// A flow is gone for good.
    pub fn deleted(&mut self, id: FlowId) {
        if self.deleted.len() <= MANY_FLOWS {
            self.deleted.push(id);
        }
    }

    /// To be called before meters change.
    pub fn keep_meters(&mut self, meters: &Meters) {
        self.meters.get_or_insert_with(|| meters.clone());
    }
}

impl Pipeline {
    /// Begins a transaction. Until it ends, only `flow_mod`, `group_mod`, `meter_mod` and `packet_out` may be called.
    pub fn begin(&mut self) {
        self.transaction = Some(Transaction {
            removed: self.tables.removed.len(),
            expired: self.tables.expired.len(),
            ..Transaction::default()
        });
        self.tables.journal = Some(Vec::new());
    }

    /// Begins a transaction in which packets may come in between, to [`Pipeline::process_known`]. Until it ends, beside that
    /// only `flow_mod` may be called.
    pub fn begin_open(&mut self) {
        self.begin();
        // What is counted by now is not of its flows' last moments.
        self.credit();
        if let Some(transaction) = &mut self.transaction {
            transaction.open = true;
        }
        self.tables.flows.hold();
        self.tables.gone = Some(HashMap::new());
    }

    /// Whether an open transaction runs.
    pub(crate) fn is_open(&self) -> bool {
        self.transaction
            .as_ref()
            .is_some_and(|transaction| transaction.open)
    }

    /// Ends the transaction: what was changed stays.
    pub fn commit(&mut self) {
        let open = self.is_open();
        let transaction = self.transaction.take().unwrap_or_default();
        let journal = self.tables.journal.take().unwrap_or_default();
        if open {
            self.forget_changed(&journal);
            self.forget_deleted(transaction.deleted);
            self.tables.gone = None;
            self.tables.flows.release();
        }
    }

    /// Ends the transaction: everything is as it was when it began.
    pub fn rollback(&mut self) {
        let Some(transaction) = self.transaction.take() else {
            return;
        };
        // In an open one the cache is of the state before, and what it counts belongs to what comes back.
        if !transaction.open {
            self.invalidate();
        }
        self.tables.roll_back();
        self.tables.gone = None;
        self.tables.removed.truncate(transaction.removed);
        self.tables.expired.truncate(transaction.expired);
        if let Some(groups) = transaction.groups {
            self.groups = groups;
        }
        if let Some(meters) = transaction.meters {
            self.meters = meters;
        }
    }

    /// Forgets the translations that used flows that are gone.
    fn forget_deleted(&mut self, mut ids: Vec<FlowId>) {
        match ids.len() {
            0 => {}
            1..=MANY_FLOWS => {
                ids.sort_unstable();
                self.on_cache(|cache, credit| cache.forget_users(&ids, credit));
            }
            _ => self.invalidate(),
        }
    }

    /// Forgets the translations that changes of flows may concern.
    fn forget_changed(&mut self, journal: &[Undo]) {
        if journal.len() > MANY_CHANGES && self.cache.stats().entries > 0 {
            return self.invalidate();
        }
        for undo in journal {
            match undo {
                Undo::Add(id) => {
                    // One that has gone again concerns nobody.
                    if let Some(flow) = self.tables.flows.get(*id) {
                        let (table_id, rule) = (flow.table_id, flow.matching.compile());
                        self.on_cache(|cache, credit| {
                            cache.forget_meeting(table_id, &rule, credit)
                        });
                    }
                }
                Undo::Replace(id, old) | Undo::Remove(id, old) => {
                    let rule = old.matching.compile();
                    self.on_cache(|cache, credit| cache.forget_users_of(*id, &rule, credit));
                }
                Undo::Modify(id, ..) => {
                    if let Some(flow) = self.tables.flows.get(*id) {
                        let rule = flow.matching.compile();
                        self.on_cache(|cache, credit| cache.forget_users_of(*id, &rule, credit));
                    }
                }
            }
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
                Undo::Remove(id, flow) => self.put_back(id, *flow),
            }
        }
        self.flows.recount();
    }
}
