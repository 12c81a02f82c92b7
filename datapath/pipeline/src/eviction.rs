//! Full tables: how many flows one may have, and which goes when another comes.
//!
//! As in Open vSwitch (`Flow_Table` of ovs-vswitchd.conf.db(5)) the flow that would end soonest makes room, and one without
//! timeouts is never evicted.

use crate::pipeline::{Owner, Pipeline};
use crate::slab::FlowId;
use crate::tables::{Flow, TABLES, Tables};
use weft_openflow::FlowRemovedReason;

/// How full a table may get.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableLimit {
    /// Most flows, if fewer than any table may have (`flow_limit`).
    pub max_flows: Option<usize>,
    /// Whether flows with timeouts make room for others (`overflow_policy=evict`); otherwise others are refused.
    pub evicts: bool,
}

/// Flows of a table that were found to end soonest by one look at all, so that not each eviction takes one.
const CANDIDATES: usize = 64;

impl Pipeline {
    /// Sets how full a table may get. One that is too full already loses flows at once if it evicts, and none otherwise.
    pub fn set_table_limit(&mut self, table_id: u8, limit: TableLimit, now: u64) {
        let Some(table) = self.tables.tables.get_mut(usize::from(table_id)) else {
            return;
        };
        if table.limit != limit {
            table.limit = limit;
            while self.tables.is_over_full(table_id) && self.make_room(table_id, now) {}
        }
    }

    /// Most flows of a table.
    pub fn max_flows(&self, table_id: u8) -> usize {
        self.tables.max_flows(table_id)
    }

    /// Evicts a flow of a table, if it may and there is one.
    pub(crate) fn make_room(&mut self, table_id: u8, now: u64) -> bool {
        let mut victim = self.tables.next_candidate(table_id);
        if victim.is_none() && self.tables.evicts(table_id) {
            if !self.is_open() {
                // Idle timeouts count from the last use.
                self.update_counters(now);
            }
            self.tables.find_candidates(table_id);
            victim = self.tables.next_candidate(table_id);
        }
        let Some(victim) = victim else {
            return false;
        };
        self.invalidate_users(&[victim]);
        let noted = self.own_tables(Owner::User).end;
        let due = [(victim, FlowRemovedReason::Eviction)];
        self.tables.expire(&due, noted, now);
        true
    }
}

impl Tables {
    pub fn max_flows(&self, table_id: u8) -> usize {
        let limit = self.tables.get(usize::from(table_id));
        let limit = limit.and_then(|table| table.limit.max_flows);
        limit.map_or(self.most_flows, |limit| limit.min(self.most_flows))
    }

    fn evicts(&self, table_id: u8) -> bool {
        let table = self.tables.get(usize::from(table_id));
        table.is_some_and(|table| table.limit.evicts)
    }

    fn is_over_full(&self, table_id: u8) -> bool {
        let table = self.tables.get(usize::from(table_id));
        table.is_some_and(|table| table.classifier.len() > self.max_flows(table_id))
    }

    /// The next of those found, if it is still what it was found to be.
    fn next_candidate(&mut self, table_id: u8) -> Option<FlowId> {
        let index = usize::from(table_id).min(TABLES - 1);
        if !self.tables[index].limit.evicts {
            return None;
        }
        while let Some((deadline, id)) = self.tables[index].candidates.pop() {
            if self.ends_at(id, table_id) == Some(deadline) {
                return Some(id);
            }
        }
        None
    }

    fn find_candidates(&mut self, table_id: u8) {
        let ends = |id: &FlowId| Some((self.ends_at(*id, table_id)?, *id));
        let mut found: Vec<(u64, FlowId)> = self.timed().filter_map(ends).collect();
        if found.len() > CANDIDATES {
            found.select_nth_unstable(CANDIDATES);
            found.truncate(CANDIDATES);
        }
        found.sort_unstable_by(|one, other| other.cmp(one));
        if let Some(table) = self.tables.get_mut(usize::from(table_id)) {
            table.candidates = found;
        }
    }

    /// A flow that has come takes its place among the candidates, if it ends sooner than the last of them.
    pub fn consider(&mut self, id: FlowId) {
        let Some(flow) = self.flows.get(id) else {
            return;
        };
        let Some(table) = self.tables.get_mut(usize::from(flow.table_id)) else {
            return;
        };
        let candidates = &mut table.candidates;
        if let Some((latest, _)) = candidates.first()
            && let Some((deadline, _)) = flow.deadline()
            && deadline < *latest
        {
            let place = candidates.partition_point(|(at, _)| *at >= deadline);
            candidates.insert(place, (deadline, id));
            if candidates.len() > 2 * CANDIDATES {
                candidates.remove(0);
            }
        }
    }

    fn ends_at(&self, id: FlowId, table_id: u8) -> Option<u64> {
        let flow = self.flows.get(id);
        let flow = flow.filter(|flow| flow.table_id == table_id)?;
        Flow::deadline(flow).map(|(at, _)| at)
    }
}
