//! What controllers may ask: flows, tables, groups, meters (OF 1.3.5 §7.3.5).

use crate::fields::compile;
use crate::group::GroupView;
use crate::meter::MeterView;
use crate::pipeline::{Owner, Pipeline};
use crate::slab::FlowId;
use crate::tables::{Flow, FlowFilter, TABLES};
use std::collections::HashMap;
use weft_openflow::{
    Action, AggregateStats, ErrorCode, FlowStats, Instruction, OfError, TableStats, group_no,
    meter_no, table_no,
};

/// Where a dump of flows goes on. Flows that are added or removed meanwhile may or may not be seen; all others are
/// seen once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowCursor(u32);

/// A flow, as its statistics show it.
#[derive(Debug)]
pub struct FlowView<'a> {
    flow: &'a Flow,
    now: u64,
    /// Number of the flow, stable while it exists.
    pub id: FlowId,
}

impl FlowView<'_> {
    /// Table of the flow.
    pub fn table_id(&self) -> u8 {
        self.flow.table_id
    }

    /// Cookie of the flow.
    pub fn cookie(&self) -> u64 {
        self.flow.cookie
    }

    /// The entry of a flow-statistics reply.
    pub fn stats(&self) -> FlowStats {
        self.flow.stats(self.now)
    }
}

impl Flow {
    /// The entry of a flow-statistics reply.
    pub(crate) fn stats(&self, now: u64) -> FlowStats {
        let duration = now.saturating_sub(self.created);
        FlowStats {
            table_id: self.table_id,
            duration_sec: (duration / 1_000_000_000) as u32,
            duration_nsec: (duration % 1_000_000_000) as u32,
            priority: self.priority,
            idle_timeout: self.idle_timeout,
            hard_timeout: self.hard_timeout,
            flags: self.flags,
            cookie: self.cookie,
            packet_count: self.packets,
            byte_count: self.bytes,
            match_: self.matching.unpack(),
            instructions: self.instructions.to_vec(),
        }
    }
}

impl Pipeline {
    /// Looks at up to `limit` flows from the cursor on and shows those that the filter accepts: a bounded amount of
    /// work, whatever the filter. Returns whether there may be more.
    pub fn flows(
        &mut self,
        filter: &FlowFilter,
        cursor: &mut FlowCursor,
        limit: usize,
        now: u64,
        mut show: impl FnMut(&FlowView<'_>),
    ) -> Result<bool, OfError> {
        self.check_table(filter.table_id)?;
        let compiled = compile(&filter.match_)?;
        if cursor.0 == 0 {
            self.credit();
        }
        let anything = compiled.mask.is_zero();
        let mut looked_at = 0;
        while cursor.0 < self.tables.flows.bound() {
            if looked_at >= limit {
                return Ok(true);
            }
            let id = cursor.0;
            cursor.0 += 1;
            looked_at += 1;
            let Some(flow) = self.tables.flows.get(id) else {
                continue;
            };
            if filter.table_id != table_no::ALL && filter.table_id != flow.table_id
                || !filter.accepts(flow)
            {
                continue;
            }
            if !anything {
                let own = flow.matching.compile();
                if !own.mask.covers(&compiled.mask)
                    || !compiled.key.matches(&compiled.mask, &own.key)
                {
                    continue;
                }
            }
            show(&FlowView { flow, now, id });
        }
        Ok(false)
    }

    /// Sums over the flows that the filter accepts.
    pub fn aggregate(&mut self, filter: &FlowFilter) -> Result<AggregateStats, OfError> {
        self.check_table(filter.table_id)?;
        let compiled = compile(&filter.match_)?;
        self.credit();
        let mut sums = AggregateStats {
            packet_count: 0,
            byte_count: 0,
            flow_count: 0,
        };
        for id in self.tables.matching(filter, &compiled, 0..TABLES) {
            if let Some(flow) = self.tables.flows.get(id) {
                sums.packet_count += flow.packets;
                sums.byte_count += flow.bytes;
                sums.flow_count += 1;
            }
        }
        Ok(sums)
    }

    fn check_table(&self, table_id: u8) -> Result<(), OfError> {
        if table_id != table_no::ALL && usize::from(table_id) >= TABLES {
            return Err(OfError::new(
                ErrorCode::BadRequestBadTableId,
                format!("table {table_id}"),
            ));
        }
        Ok(())
    }

    /// Number of flows.
    pub fn flow_count(&self) -> usize {
        self.tables.flows.len()
    }

    /// Number of flows of a table.
    pub fn table_flow_count(&self, table_id: u8) -> usize {
        self.tables
            .tables
            .get(usize::from(table_id))
            .map_or(0, |table| table.classifier.len())
    }

    /// `OFPTC_*` of a table.
    pub fn table_config(&self, table_id: u8) -> Option<u32> {
        self.tables
            .tables
            .get(usize::from(table_id))
            .map(|table| table.config)
    }

    /// Counters of all tables.
    pub fn table_stats(&mut self) -> Vec<TableStats> {
        self.credit();
        let tables = self.tables.tables.iter().enumerate();
        tables
            .map(|(id, table)| TableStats {
                table_id: id as u8,
                active_count: table.classifier.len() as u32,
                lookup_count: table.lookups,
                matched_count: table.matched,
            })
            .collect()
    }

    /// Configuration and counters of a group or, with `OFPG_ALL`, of all. A group that does not exist gives none.
    pub fn groups(&mut self, group_id: u32, now: u64) -> Vec<GroupView<'_>> {
        self.credit();
        let wanted = |id: u32| group_id == group_no::ALL || group_id == id;
        let mut uses: HashMap<u32, u32> = HashMap::new();
        let flows = self
            .tables
            .flows
            .iter()
            .flat_map(|(_, flow)| flow.actions());
        let buckets = self.groups.groups.values().flat_map(|group| &group.buckets);
        for action in flows.chain(buckets.flat_map(|bucket| &bucket.actions)) {
            if let Action::Group { group_id } = action {
                *uses.entry(*group_id).or_default() += 1;
            }
        }
        let groups = self.groups.groups.iter().filter(|(id, _)| wanted(**id));
        groups
            .map(|(id, group)| GroupView {
                group_id: *id,
                group_type: group.kind,
                buckets: &group.buckets,
                ref_count: uses.get(id).copied().unwrap_or(0),
                packets: group.packets,
                bytes: group.bytes,
                duration_ns: now.saturating_sub(group.made),
                bucket_counters: &group.counters,
            })
            .collect()
    }

    /// Configuration and counters of a meter or, with `OFPM_ALL`, of all.
    pub fn meters(&mut self, meter_id: u32, now: u64) -> Result<Vec<MeterView<'_>>, OfError> {
        self.credit();
        let mut uses: HashMap<u32, u32> = HashMap::new();
        for instruction in self
            .tables
            .flows
            .iter()
            .flat_map(|(_, flow)| &flow.instructions)
        {
            if let Instruction::Meter { meter_id } = instruction {
                *uses.entry(*meter_id).or_default() += 1;
            }
        }
        self.meters
            .views(meter_id, now, |id| uses.get(&id).copied().unwrap_or(0))
    }

    /// Whether `owner` may change a table.
    pub fn may_change(&self, owner: Owner, table_id: u8) -> bool {
        self.own_tables(owner).contains(&usize::from(table_id))
    }

    /// Removes all flows, groups and meters that `owner` may touch, telling nobody.
    pub fn reset(&mut self, owner: Owner, now: u64) {
        use weft_openflow::{
            FlowMod, FlowModCommand, GroupMod, GroupModCommand, GroupType, MeterMod,
            MeterModCommand,
        };
        let _ = self.flow_mod(
            owner,
            &FlowMod::new(FlowModCommand::Delete, table_no::ALL),
            now,
        );
        let groups = GroupMod {
            command: GroupModCommand::Delete,
            group_type: GroupType::All,
            group_id: group_no::ALL,
            buckets: Vec::new(),
        };
        let _ = self.group_mod(owner, &groups, now);
        let command = MeterModCommand::Delete;
        let meters = MeterMod {
            command,
            flags: 0,
            meter_id: meter_no::ALL,
            bands: Vec::new(),
        };
        let _ = self.meter_mod(owner, &meters, now);
        self.take_removed();
    }
}
