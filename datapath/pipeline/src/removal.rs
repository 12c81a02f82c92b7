//! Deleting by one flow-mod what takes longer than packets can wait (OF 1.3.5 §6.4).
//!
//! All flows are looked at, and those meant are taken out, a piece at a time, in an open transaction: whoever is known goes on
//! as before the flow-mod, others wait, and in the end it has happened for everybody at once (`transaction`).

use crate::fields::Compiled;
use crate::pipeline::{Owner, Pipeline};
use crate::slab::FlowId;
use crate::tables::FlowFilter;
use std::ops::Range;
use weft_openflow::{FlowMod, FlowModCommand, FlowRemovedReason, OfError};

/// Fewer flows than that are deleted at once.
const MANY_FLOWS: usize = 4096;
/// Flows looked at in a piece, and flows removed.
const LOOKED_AT: usize = 4096;
const REMOVED: usize = 128;

/// A deletion that is under way.
#[derive(Debug)]
pub struct Removal {
    filter: FlowFilter,
    compiled: Compiled,
    own: Range<usize>,
    /// What is still to be looked at.
    rest: Range<FlowId>,
    /// When it began: that is when it happens.
    at: u64,
}

impl Pipeline {
    /// Begins to delete, if that is what the flow-mod asks for and there are many flows; otherwise [`Pipeline::flow_mod`] does
    /// it. Until [`Pipeline::continue_removal`] has come to the end, packets may come in between, to
    /// [`Pipeline::process_known`], and nothing else.
    pub fn begin_removal(
        &mut self,
        owner: Owner,
        request: &FlowMod,
        now: u64,
    ) -> Result<Option<Removal>, OfError> {
        let is_many = self.tables.flows.len() >= MANY_FLOWS;
        if request.command != FlowModCommand::Delete || !is_many || self.transaction.is_some() {
            return Ok(None);
        }
        let (own, compiled) = self.check_flow_mod(owner, request)?;
        self.cache.at(now);
        self.begin_open();
        // It cannot fail half-way.
        self.tables.journal = None;
        Ok(Some(Removal {
            filter: FlowFilter::of_flow_mod(request),
            compiled,
            own,
            rest: 0..self.tables.flows.bound(),
            at: now,
        }))
    }

    /// Does a piece of it; whether all is done, and then it has happened.
    pub fn continue_removal(&mut self, removal: &mut Removal) -> bool {
        let (mut looked_at, mut removed) = (0, 0);
        while looked_at < LOOKED_AT && removed < REMOVED {
            let Some(id) = removal.rest.next() else {
                return true;
            };
            looked_at += 1;
            if self.is_meant(removal, id) {
                self.tables
                    .remove(id, FlowRemovedReason::Delete, removal.at);
                if let Some(transaction) = &mut self.transaction {
                    transaction.deleted(id);
                }
                removed += 1;
            }
        }
        false
    }

    fn is_meant(&self, removal: &Removal, id: FlowId) -> bool {
        let Removal {
            filter,
            compiled,
            own,
            ..
        } = removal;
        self.tables.flows.get(id).is_some_and(|flow| {
            own.contains(&usize::from(flow.table_id))
                && filter.is_in(flow.table_id)
                && filter.accepts(flow)
                && (compiled.mask.is_zero() || flow.matching.compile().is_within(compiled))
        })
    }
}
