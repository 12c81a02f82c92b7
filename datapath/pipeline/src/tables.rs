//! Flow tables: what flow-mods do to them (OF 1.3.5 §6.4).

use crate::eviction::TableLimit;
use crate::fields::{Compiled, PackedMatch, compile};
use crate::slab::{FlowId, Slab};
use crate::transaction::Undo;
use std::collections::HashMap;
use weft_classifier::Classifier;
use weft_openflow::{
    Action, ErrorCode, FlowMod, FlowModCommand, FlowRemovedReason, Instruction, Match, OfError,
    flow_mod_flags, group_no, port_no, table_no,
};

/// Number of tables.
pub const TABLES: usize = 254;

/// A flow.
#[derive(Debug)]
pub(crate) struct Flow {
    pub table_id: u8,
    pub priority: u16,
    pub flags: u16,
    pub idle_timeout: u16,
    pub hard_timeout: u16,
    pub cookie: u64,
    pub matching: PackedMatch,
    pub instructions: Box<[Instruction]>,
    pub packets: u64,
    pub bytes: u64,
    pub created: u64,
    pub last_used: u64,
    /// When the hard timeout began: at creation, or when last learned anew.
    pub hard_from: u64,
    /// Place in the list of flows with timeouts.
    timed_at: u32,
}

const UNTIMED: u32 = u32::MAX;
const SECOND: u64 = 1_000_000_000;

impl Flow {
    /// All actions of the flow, those within clones not unfolded.
    pub fn actions(&self) -> impl Iterator<Item = &Action> {
        self.instructions
            .iter()
            .flat_map(|instruction| match instruction {
                Instruction::ApplyActions { actions } | Instruction::WriteActions { actions } => {
                    &actions[..]
                }
                _ => &[],
            })
    }

    pub fn outputs_to(&self, port: u32) -> bool {
        self.actions()
            .any(|action| matches!(action, Action::Output { port: p, .. } if *p == port))
    }

    pub fn uses_group(&self, group: u32) -> bool {
        self.actions()
            .any(|action| matches!(action, Action::Group { group_id } if *group_id == group))
    }

    /// Counts packets, unless the flow asked not to.
    pub fn count(&mut self, packets: u64, bytes: u64, used: u64) {
        if self.flags & flow_mod_flags::NO_PKT_COUNTS == 0 {
            self.packets += packets;
        }
        if self.flags & flow_mod_flags::NO_BYT_COUNTS == 0 {
            self.bytes += bytes;
        }
        self.last_used = self.last_used.max(used);
    }

    /// When the flow ends by itself, and why.
    pub fn deadline(&self) -> Option<(u64, FlowRemovedReason)> {
        let after = |from: u64, seconds: u16, reason| {
            (seconds != 0).then(|| (from + u64::from(seconds) * SECOND, reason))
        };
        let hard = after(
            self.hard_from,
            self.hard_timeout,
            FlowRemovedReason::HardTimeout,
        );
        let idle = after(
            self.last_used,
            self.idle_timeout,
            FlowRemovedReason::IdleTimeout,
        );
        match (hard, idle) {
            (Some(hard), Some(idle)) => Some(if hard.0 <= idle.0 { hard } else { idle }),
            (hard, idle) => hard.or(idle),
        }
    }
}

/// A flow that is gone and wanted that to be told (`OFPFF_SEND_FLOW_REM`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed {
    /// Its table.
    pub table_id: u8,
    /// Its priority.
    pub priority: u16,
    /// Why.
    pub reason: FlowRemovedReason,
    /// Its cookie.
    pub cookie: u64,
    /// Its idle timeout, seconds.
    pub idle_timeout: u16,
    /// Its hard timeout, seconds.
    pub hard_timeout: u16,
    /// How long it was there.
    pub duration_ns: u64,
    /// Packets it counted.
    pub packets: u64,
    /// Bytes it counted.
    pub bytes: u64,
    /// Its match.
    pub match_: Match,
}

/// One table.
#[derive(Debug, Default)]
pub(crate) struct Table {
    pub classifier: Classifier,
    pub lookups: u64,
    pub matched: u64,
    /// `OFPTC_*`.
    pub config: u32,
    pub limit: TableLimit,
    /// Flows to evict, the last one first, and when they end: see `eviction`.
    pub candidates: Vec<(u64, FlowId)>,
}

/// Which flows a request speaks of.
#[derive(Clone, Debug)]
pub struct FlowFilter {
    /// Table or `OFPTT_ALL`.
    pub table_id: u8,
    /// Only flows that output here; `OFPP_ANY`: all.
    pub out_port: u32,
    /// Only flows that use this group; `OFPG_ANY`: all.
    pub out_group: u32,
    /// Cookie to compare.
    pub cookie: u64,
    /// Bits of it that count.
    pub cookie_mask: u64,
    /// The flow's match is this one or narrower.
    pub match_: Match,
}

impl FlowFilter {
    /// Every flow of every table.
    pub fn all() -> FlowFilter {
        FlowFilter {
            table_id: table_no::ALL,
            out_port: port_no::ANY,
            out_group: group_no::ANY,
            cookie: 0,
            cookie_mask: 0,
            match_: Match::any(),
        }
    }

    /// What a loose delete speaks of, but for its match.
    pub(crate) fn of_flow_mod(request: &FlowMod) -> FlowFilter {
        FlowFilter {
            table_id: request.table_id,
            out_port: request.out_port,
            out_group: request.out_group,
            cookie: request.cookie,
            cookie_mask: request.cookie_mask,
            match_: Match::any(),
        }
    }

    pub(crate) fn is_in(&self, table_id: u8) -> bool {
        self.table_id == table_no::ALL || self.table_id == table_id
    }

    pub(crate) fn accepts(&self, flow: &Flow) -> bool {
        (flow.cookie ^ self.cookie) & self.cookie_mask == 0
            && (self.out_port == port_no::ANY || flow.outputs_to(self.out_port))
            && (self.out_group == group_no::ANY || flow.uses_group(self.out_group))
    }
}

/// All tables of a bridge.
#[derive(Debug)]
pub(crate) struct Tables {
    pub tables: Vec<Table>,
    pub flows: Slab<Flow>,
    timed: Vec<FlowId>,
    pub removed: Vec<Removed>,
    /// Flows that ended by themselves, as requests to delete them.
    pub expired: Vec<FlowMod>,
    /// How to take back what was changed, while a transaction runs.
    pub journal: Option<Vec<Undo>>,
    /// In an open transaction: the notices of flows that packets may still be counted on.
    pub gone: Option<HashMap<FlowId, usize>>,
    /// Most flows of any table.
    pub most_flows: usize,
}

fn fail(code: ErrorCode, detail: impl Into<String>) -> OfError {
    OfError::new(code, detail)
}

impl Tables {
    pub fn new(most_flows: usize) -> Tables {
        let tables = (0..TABLES).map(|_| Table::default()).collect();
        Tables {
            tables,
            flows: Slab::default(),
            timed: Vec::new(),
            removed: Vec::new(),
            expired: Vec::new(),
            journal: None,
            gone: None,
            most_flows,
        }
    }

    /// Numbers of the flows a loose request speaks of, in tables of `range`.
    pub fn matching(
        &self,
        filter: &FlowFilter,
        compiled: &Compiled,
        range: std::ops::Range<usize>,
    ) -> Vec<FlowId> {
        let mut found = Vec::new();
        for table_id in range {
            if !filter.is_in(table_id as u8) {
                continue;
            }
            self.tables[table_id]
                .classifier
                .for_each_within(&compiled.mask, &compiled.key, |id| {
                    if self.flows.get(id).is_some_and(|flow| filter.accepts(flow)) {
                        found.push(id);
                    }
                });
        }
        found.sort_unstable();
        found
    }

    /// Number of the flow with just this match and priority.
    pub fn find(&self, table_id: u8, compiled: &Compiled, priority: u16) -> Option<FlowId> {
        let table = self.tables.get(usize::from(table_id))?;
        table
            .classifier
            .find(&compiled.mask, &compiled.key, priority)
    }

    /// The flows that a modify or delete speaks of, in tables of `range`.
    pub fn targets(
        &self,
        request: &FlowMod,
        compiled: &Compiled,
        range: std::ops::Range<usize>,
    ) -> Vec<FlowId> {
        let deleting = matches!(
            request.command,
            FlowModCommand::Delete | FlowModCommand::DeleteStrict
        );
        let mut filter = FlowFilter::of_flow_mod(request);
        if !deleting {
            (filter.out_port, filter.out_group) = (port_no::ANY, group_no::ANY);
        }
        match request.command {
            FlowModCommand::ModifyStrict | FlowModCommand::DeleteStrict => range
                .filter(|id| filter.is_in(*id as u8))
                .filter_map(|id| self.find(id as u8, compiled, request.priority))
                .filter(|id| self.flows.get(*id).is_some_and(|flow| filter.accepts(flow)))
                .collect(),
            _ => self.matching(&filter, compiled, range),
        }
    }

    /// Checks whether a flow that has been validated can be added beside those that are there. False: not before there is
    /// room.
    pub fn check_add(&self, request: &FlowMod, compiled: &Compiled) -> Result<bool, OfError> {
        let Some(table) = self.tables.get(usize::from(request.table_id)) else {
            return Err(fail(
                ErrorCode::FlowModFailedBadTableId,
                format!("table {}", request.table_id),
            ));
        };
        let Compiled { key, mask } = compiled;
        let priority = request.priority;
        if request.flags & flow_mod_flags::CHECK_OVERLAP != 0
            && table.classifier.find_overlap(mask, key, priority).is_some()
        {
            return Err(fail(
                ErrorCode::FlowModFailedOverlap,
                "another flow of that priority overlaps",
            ));
        }
        let has_room = table.classifier.len() < self.max_flows(request.table_id);
        Ok(has_room || table.classifier.find(mask, key, priority).is_some())
    }

    /// Adds a flow that has been checked.
    pub fn add(&mut self, request: &FlowMod, compiled: &Compiled, now: u64) {
        let priority = request.priority;
        let old = self.find(request.table_id, compiled, priority);
        let mut flow = Flow {
            table_id: request.table_id,
            priority,
            flags: request.flags,
            idle_timeout: request.idle_timeout,
            hard_timeout: request.hard_timeout,
            cookie: request.cookie,
            matching: PackedMatch::new(&request.match_),
            instructions: request.instructions.clone().into(),
            packets: 0,
            bytes: 0,
            created: now,
            last_used: now,
            hard_from: now,
            timed_at: UNTIMED,
        };
        if let Some(id) = old {
            // A flow that takes the place of an identical one is no removal, and keeps its counters unless asked
            // not to (§6.4).
            self.untime(id);
            if let Some(old) = self.flows.get_mut(id) {
                if request.flags & flow_mod_flags::RESET_COUNTS == 0 {
                    (flow.packets, flow.bytes) = (old.packets, old.bytes);
                }
                let old = std::mem::replace(old, flow);
                if let Some(journal) = &mut self.journal {
                    journal.push(Undo::Replace(id, Box::new(old)));
                }
            }
            self.time(id);
            return;
        }
        let id = self.put_compiled(flow, compiled);
        if let Some(journal) = &mut self.journal {
            journal.push(Undo::Add(id));
        }
    }

    /// Brings back a flow that was removed, by the number that it had.
    pub fn put_back(&mut self, id: FlowId, flow: Flow) {
        let Compiled { key, mask } = flow.matching.compile();
        if let Some(table) = self.tables.get_mut(usize::from(flow.table_id)) {
            table.classifier.insert(&mask, &key, flow.priority, id);
        }
        self.flows.put_back(id, flow);
        self.time(id);
    }

    /// Counts packets on a flow, or on the notice of its end.
    pub fn count(&mut self, id: FlowId, packets: u64, bytes: u64, used: u64) {
        if let Some(flow) = self.flows.get_mut(id) {
            return flow.count(packets, bytes, used);
        }
        let notice = self.gone.as_ref().and_then(|gone| gone.get(&id));
        if let Some(removed) = notice.and_then(|index| self.removed.get_mut(*index)) {
            removed.packets += packets;
            removed.bytes += bytes;
        }
    }

    /// Puts a flow in that is not there, and gives it a number.
    fn put_compiled(&mut self, flow: Flow, Compiled { key, mask }: &Compiled) -> FlowId {
        let (table_id, priority) = (usize::from(flow.table_id), flow.priority);
        let id = self.flows.insert(flow);
        if let Some(table) = self.tables.get_mut(table_id) {
            table.classifier.insert(mask, key, priority, id);
        }
        self.time(id);
        id
    }

    /// Takes a flow out, telling nobody.
    pub fn take(&mut self, id: FlowId) -> Option<Flow> {
        self.untime(id);
        let flow = self.flows.remove(id)?;
        let Compiled { key, mask } = flow.matching.compile();
        if let Some(table) = self.tables.get_mut(usize::from(flow.table_id)) {
            table.classifier.remove(&mask, &key, flow.priority);
        }
        Some(flow)
    }

    /// Gives flows new instructions.
    pub fn modify(&mut self, ids: &[FlowId], request: &FlowMod) {
        for id in ids {
            if let Some(flow) = self.flows.get_mut(*id) {
                let instructions = request.instructions.clone().into();
                let instructions = std::mem::replace(&mut flow.instructions, instructions);
                if let Some(journal) = &mut self.journal {
                    journal.push(Undo::Modify(*id, instructions, (flow.packets, flow.bytes)));
                }
                if request.flags & flow_mod_flags::RESET_COUNTS != 0 {
                    (flow.packets, flow.bytes) = (0, 0);
                }
            }
        }
    }

    /// Removes a flow, telling so if it wants that.
    pub fn remove(&mut self, id: FlowId, reason: FlowRemovedReason, now: u64) {
        let Some(flow) = self.take(id) else {
            return;
        };
        if flow.flags & flow_mod_flags::SEND_FLOW_REM != 0 {
            if let Some(gone) = &mut self.gone {
                gone.insert(id, self.removed.len());
            }
            self.removed.push(Removed {
                table_id: flow.table_id,
                priority: flow.priority,
                reason,
                cookie: flow.cookie,
                idle_timeout: flow.idle_timeout,
                hard_timeout: flow.hard_timeout,
                duration_ns: now.saturating_sub(flow.created),
                packets: flow.packets,
                bytes: flow.bytes,
                match_: flow.matching.unpack(),
            });
        }
        if let Some(journal) = &mut self.journal {
            journal.push(Undo::Remove(id, Box::new(flow)));
        }
    }

    /// The flows whose time is up, and when the next one's will be.
    pub fn due(&self, now: u64) -> (Vec<(FlowId, FlowRemovedReason)>, Option<u64>) {
        let mut due = Vec::new();
        let mut next = None;
        for id in &self.timed {
            let Some((deadline, reason)) = self.flows.get(*id).and_then(Flow::deadline) else {
                continue;
            };
            if deadline <= now {
                due.push((*id, reason));
            } else {
                next = Some(next.map_or(deadline, |next: u64| next.min(deadline)));
            }
        }
        (due, next)
    }

    /// Removes the flows that are due, noting those of the tables before `noted`.
    pub fn expire(&mut self, due: &[(FlowId, FlowRemovedReason)], noted: usize, now: u64) {
        for (id, reason) in due {
            if let Some(flow) = self.flows.get(*id)
                && usize::from(flow.table_id) < noted
            {
                self.expired.push(FlowMod {
                    priority: flow.priority,
                    match_: flow.matching.unpack(),
                    ..FlowMod::new(FlowModCommand::DeleteStrict, flow.table_id)
                });
            }
            self.remove(*id, *reason, now);
        }
    }

    /// Flows with timeouts.
    pub fn timed(&self) -> impl Iterator<Item = &FlowId> {
        self.timed.iter()
    }

    /// Whether any flow has a timeout.
    pub fn has_timeouts(&self) -> bool {
        !self.timed.is_empty()
    }

    /// Enters a flow with timeouts in the list of those.
    pub fn time(&mut self, id: FlowId) {
        if let Some(flow) = self.flows.get_mut(id)
            && (flow.idle_timeout != 0 || flow.hard_timeout != 0)
        {
            flow.timed_at = self.timed.len() as u32;
            self.timed.push(id);
            self.consider(id);
        }
    }

    /// Takes a flow off the list of those with timeouts.
    pub fn untime(&mut self, id: FlowId) {
        let Some(flow) = self.flows.get_mut(id) else {
            return;
        };
        let at = std::mem::replace(&mut flow.timed_at, UNTIMED);
        if at == UNTIMED {
            return;
        }
        self.timed.swap_remove(at as usize);
        if let Some(moved) = self.timed.get(at as usize).copied()
            && let Some(flow) = self.flows.get_mut(moved)
        {
            flow.timed_at = at;
        }
    }
}

/// Compiles the match of a request.
pub(crate) fn compile_match(request: &FlowMod) -> Result<Compiled, OfError> {
    compile(&request.match_)
}
