//! The pipeline of a bridge: state, what changes it, and what it does to packets.

use crate::cache::{Cache, CacheStats, CachedFlow, CachedFlowQuery, Entry};
use crate::config::Config;
use crate::datapath::{Marks, Translation};
use crate::drops::{DropCounters, DropReason};
use crate::execute::Spares;
use crate::fields::Compiled;
use crate::group::Groups;
use crate::meter::Meters;
use crate::observe::Observers;
use crate::offload::{Counts, FastPath};
use crate::ports::{PortState, Ports};
use crate::slab::FlowId;
use crate::tables::{Removed, TABLES, Tables, compile_match};
use crate::transaction::Transaction;
use crate::validate::{Context, Place};
use std::ops::Range;
use weft_openflow::{
    ErrorCode, FlowMod, FlowModCommand, FlowRemovedReason, GroupMod, GroupModCommand, MeterMod,
    MeterModCommand, OfError, flow_mod_flags, table_no,
};

/// Who asks for a change or a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A user's controller or tool: may not touch what belongs to the bridge program.
    User,
    /// The bridge program's controller: may do anything.
    Program,
}

/// See the crate's documentation.
#[derive(Debug)]
pub struct Pipeline {
    pub(crate) config: Config,
    pub(crate) tables: Tables,
    pub(crate) groups: Groups,
    pub(crate) meters: Meters,
    pub(crate) ports: Ports,
    pub(crate) transaction: Option<Transaction>,
    pub(crate) cache: Cache,
    pub(crate) spares: Spares,
    pub(crate) observers: Observers,
}

/// Longest time between two calls of [`Pipeline::expire`] while any flow has a timeout.
const EXPIRE_INTERVAL: u64 = 1_000_000_000;

/// So many flows that change at once are looked up one by one.
pub(crate) const MANY_FLOWS: usize = 16;

fn fail(code: ErrorCode, detail: impl Into<String>) -> OfError {
    OfError::new(code, detail)
}

impl Pipeline {
    /// A pipeline without flows and ports: it drops everything.
    pub fn new(config: Config) -> Pipeline {
        Pipeline {
            config,
            tables: Tables::new(config.max_flows),
            groups: Groups::default(),
            meters: Meters::default(),
            ports: Ports::default(),
            transaction: None,
            cache: Cache::default(),
            spares: Spares::default(),
            observers: Observers::default(),
        }
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Changes where the bridge program begins.
    pub fn set_program_table(&mut self, program_table: Option<u8>) {
        self.invalidate();
        self.config.program_table = program_table;
    }

    /// Sets what is done with IP fragments (`OFPC_FRAG_DROP` or not).
    pub fn set_drop_fragments(&mut self, drop: bool) {
        self.invalidate();
        self.config.drop_fragments = drop;
    }

    /// Adds a port or changes its state.
    pub fn set_port(&mut self, port_no: u32, state: PortState) {
        match self.ports.get(port_no) {
            Some(before) if before == state => return,
            // Only groups look at that, so a link that comes and goes, be it a tenant's who plays with it, disturbs no others.
            Some(before) if before.config == state.config => {
                self.on_cache(|cache, credit| cache.forget_grouped(credit));
            }
            _ => self.invalidate(),
        }
        self.ports.set(port_no, state);
    }

    /// Removes a port.
    pub fn remove_port(&mut self, port_no: u32) {
        // Who would have gone out by a port that is down is not to be told from others.
        if self.ports.get(port_no).is_some_and(|port| port.config == 0) {
            self.forget_port_translations(port_no);
            self.on_cache(|cache, credit| cache.forget_grouped(credit));
        } else {
            self.invalidate();
        }
        self.ports.remove(port_no);
    }

    /// The ports.
    pub fn ports(&self) -> &Ports {
        &self.ports
    }

    /// Tables that `owner` may change.
    pub(crate) fn own_tables(&self, owner: Owner) -> Range<usize> {
        match (owner, self.config.program_table) {
            (Owner::User, Some(first)) => 0..usize::from(first).min(TABLES),
            _ => 0..TABLES,
        }
    }

    pub(crate) fn context(&self, owner: Owner) -> Context<'_> {
        let own_tables = self.own_tables(owner).end;
        Context {
            groups: &self.groups,
            meters: &self.meters,
            own_tables,
        }
    }

    /// What holds for every flow-mod: the tables that it may change, and its match.
    pub(crate) fn check_flow_mod(
        &self,
        owner: Owner,
        request: &FlowMod,
    ) -> Result<(Range<usize>, Compiled), OfError> {
        let own = self.own_tables(owner);
        let table_id = usize::from(request.table_id);
        if request.table_id != table_no::ALL {
            if table_id >= TABLES {
                return Err(fail(
                    ErrorCode::FlowModFailedBadTableId,
                    format!("table {table_id}"),
                ));
            }
            if !own.contains(&table_id) {
                let detail = format!("table {table_id} belongs to the bridge program");
                return Err(fail(ErrorCode::BadRequestEperm, detail));
            }
        }
        if request.flags & !flow_mod_flags::ALL != 0 {
            return Err(fail(
                ErrorCode::FlowModFailedBadFlags,
                format!("{:#x}", request.flags),
            ));
        }
        Ok((own, compile_match(request)?))
    }

    /// Adds, changes or removes flows (OF 1.3.5 §6.4). On an error nothing has changed.
    pub fn flow_mod(&mut self, owner: Owner, request: &FlowMod, now: u64) -> Result<(), OfError> {
        self.cache.at(now);
        let (own, compiled) = self.check_flow_mod(owner, request)?;
        match request.command {
            FlowModCommand::Add => {
                if request.table_id == table_no::ALL {
                    return Err(fail(
                        ErrorCode::FlowModFailedBadTableId,
                        "no flow lies in all tables",
                    ));
                }
                let context = self.context(owner);
                context.instructions(&request.instructions, &request.match_, request.table_id)?;
                if !self.tables.check_add(request, &compiled)?
                    && !self.make_room(request.table_id, now)
                {
                    let most = self.tables.max_flows(request.table_id);
                    let detail = format!("table {} has {most} flows", request.table_id);
                    return Err(fail(ErrorCode::FlowModFailedTableFull, detail));
                }
                let replaced = self
                    .tables
                    .find(request.table_id, &compiled, request.priority);
                self.invalidate_users(replaced.as_slice());
                if !self.is_open() {
                    self.on_cache(|cache, credit| {
                        cache.forget_meeting(request.table_id, &compiled, credit);
                    });
                }
                self.tables.add(request, &compiled, now);
                Ok(())
            }
            FlowModCommand::Modify | FlowModCommand::ModifyStrict => {
                let context = self.context(owner);
                let first = if request.table_id == table_no::ALL {
                    0
                } else {
                    request.table_id
                };
                context.instructions(&request.instructions, &request.match_, first)?;
                let ids = self.tables.targets(request, &compiled, own);
                for id in &ids {
                    // A goto must lead onwards from each of them.
                    if let Some(flow) = self.tables.flows.get(*id)
                        && flow.table_id != first
                    {
                        context.instructions(
                            &request.instructions,
                            &request.match_,
                            flow.table_id,
                        )?;
                    }
                }
                self.invalidate_users(&ids);
                self.tables.modify(&ids, request);
                Ok(())
            }
            FlowModCommand::Delete | FlowModCommand::DeleteStrict => {
                let ids = self.tables.targets(request, &compiled, own);
                self.invalidate_users(&ids);
                for id in ids {
                    self.tables.remove(id, FlowRemovedReason::Delete, now);
                }
                Ok(())
            }
            _ => Err(fail(
                ErrorCode::FlowModFailedBadCommand,
                "unknown flow-mod command",
            )),
        }
    }

    /// Adds, changes or removes groups (OF 1.3.5 §6.5). Flows that use a removed group go with it.
    pub fn group_mod(&mut self, owner: Owner, request: &GroupMod, now: u64) -> Result<(), OfError> {
        self.groups.check(owner, request)?;
        if request.command != GroupModCommand::Delete {
            let context = self.context(owner);
            for bucket in &request.buckets {
                context.unmatched(&bucket.actions, Place::Bucket)?;
            }
        }
        self.invalidate();
        if let Some(transaction) = &mut self.transaction {
            transaction.keep_groups(&self.groups);
        }
        let deleted = self.groups.modify(owner, request, now);
        if !deleted.is_empty() {
            let uses = |flow: &crate::tables::Flow| deleted.iter().any(|id| flow.uses_group(*id));
            let users = self.tables.flows.iter().filter(|(_, flow)| uses(flow));
            let users: Vec<_> = users.map(|(id, _)| id).collect();
            for id in users {
                self.tables.remove(id, FlowRemovedReason::GroupDelete, now);
            }
        }
        Ok(())
    }

    /// Adds, changes or removes meters (OF 1.3.5 §7.3.4.4). Flows that use a removed meter go with it.
    pub fn meter_mod(&mut self, owner: Owner, request: &MeterMod, now: u64) -> Result<(), OfError> {
        self.invalidate();
        if let Some(transaction) = &mut self.transaction {
            transaction.keep_meters(&self.meters);
        }
        self.meters.modify(owner, request, now)?;
        if request.command == MeterModCommand::Delete {
            let meters = &self.meters;
            let gone = |flow: &crate::tables::Flow| {
                flow.instructions
                    .iter()
                    .any(|instruction| match instruction {
                        weft_openflow::Instruction::Meter { meter_id } => !meters.exists(*meter_id),
                        _ => false,
                    })
            };
            let users = self.tables.flows.iter().filter(|(_, flow)| gone(flow));
            let users: Vec<_> = users.map(|(id, _)| id).collect();
            for id in users {
                self.tables.remove(id, FlowRemovedReason::Delete, now);
            }
        }
        Ok(())
    }

    /// Sets the configuration of a table or, with `OFPTT_ALL`, of all that are the asker's (§7.3.3). OpenFlow 1.3 defines no
    /// bits but the deprecated ones, which are stored and reported.
    pub fn table_mod(&mut self, owner: Owner, table_id: u8, config: u32) -> Result<(), OfError> {
        let own = self.own_tables(owner);
        if config & !3 != 0 {
            return Err(fail(
                ErrorCode::TableModFailedBadConfig,
                format!("{config:#x}"),
            ));
        }
        if table_id == table_no::ALL {
            self.tables.tables[own]
                .iter_mut()
                .for_each(|table| table.config = config);
            return Ok(());
        }
        if usize::from(table_id) >= TABLES {
            return Err(fail(
                ErrorCode::TableModFailedBadTable,
                format!("table {table_id}"),
            ));
        }
        if !own.contains(&usize::from(table_id)) {
            return Err(fail(
                ErrorCode::TableModFailedEperm,
                "the table belongs to the bridge program",
            ));
        }
        self.tables.tables[usize::from(table_id)].config = config;
        Ok(())
    }

    /// Removes flows whose time is up. Returns when to call again: at the next deadline known, within a second.
    pub fn expire(&mut self, now: u64) -> Option<u64> {
        if !self.tables.has_timeouts() {
            return None;
        }
        self.cache.at(now);
        let (mut due, mut next) = self.tables.due(now);
        if !due.is_empty() {
            // Cached packets may have used them.
            self.credit();
            (due, next) = self.tables.due(now);
        }
        let ids: Vec<FlowId> = due.iter().map(|(id, _)| *id).collect();
        self.invalidate_users(&ids);
        let noted = self.own_tables(Owner::User).end;
        self.tables.expire(&due, noted, now);
        next.map(|next| next.min(now + EXPIRE_INTERVAL))
    }

    /// Takes the users' flows that have ended by themselves since the last call, as requests to delete them.
    pub fn take_expired(&mut self) -> Vec<FlowMod> {
        std::mem::take(&mut self.tables.expired)
    }

    /// Starts all idle timeouts anew: for flows that come back from an earlier life, in which they may have been in
    /// use to its end.
    pub fn restart_idle(&mut self, now: u64) {
        for flow in self.tables.flows.values_mut() {
            flow.last_used = now;
        }
    }

    /// Takes the flow-removed notices since the last call.
    pub fn take_removed(&mut self) -> Vec<Removed> {
        std::mem::take(&mut self.tables.removed)
    }

    /// Drops of the bridge by reason.
    pub fn drops(&self) -> &DropCounters {
        self.ports.drops()
    }

    /// Counters of the translation cache.
    pub fn cache_stats(&self) -> CacheStats {
        self.cache.stats()
    }

    /// See [`Cache::set_hurried`].
    pub fn set_hurried(&mut self, is_hurried: bool) {
        self.cache.set_hurried(is_hurried);
    }

    /// Lets something treat the packets of cached translations instead of us, or ends that.
    pub fn set_fast_path(&mut self, fast_path: Option<Box<dyn FastPath>>) {
        self.invalidate();
        self.take_observed(true, 0);
        // Another one has other cells.
        self.meters = self.meters.copy();
        self.cache.set_fast_path(fast_path);
        self.tell_observers();
    }

    /// Brings the counters of rules, tables, groups and drops up to date, those of the fast path included. What asks for
    /// flows, tables or groups does so by itself.
    pub fn update_counters(&mut self, now: u64) {
        self.cache.at(now);
        self.credit();
        self.take_observed(true, now);
    }

    /// Work of every second where there is a fast path: counters as by [`Pipeline::update_counters`], a part at a time, and no
    /// cached translation is kept that is not in use. Whether there is more to do, by [`Pipeline::sweep_on`].
    pub fn sweep(&mut self, now: u64) -> bool {
        self.cache.at(now);
        self.take_observed(true, now);
        let mut more = false;
        self.on_cache(|cache, credit| more = cache.sweep(credit));
        more
    }

    /// Goes on with it for about a millisecond; whether there is still more to do.
    pub fn sweep_on(&mut self) -> bool {
        let mut more = false;
        self.on_cache(|cache, credit| more = cache.sweep_on(credit));
        more
    }

    /// Cached translations, those used most first; their counters are up to date after [`Pipeline::update_counters`].
    pub fn cached_flows(&self, query: &CachedFlowQuery) -> Vec<CachedFlow> {
        self.cache.flows(query)
    }

    /// How many of them the fast path has not, by reason.
    pub fn refused_flows(&self) -> impl Iterator<Item = (&'static str, usize)> {
        self.cache.refused()
    }

    /// Forgets the cached translations of packets that come in or go out by a port, as when its device is another one.
    pub fn forget_port_translations(&mut self, port_no: u32) {
        self.on_cache(|cache, credit| cache.forget_port(port_no, credit));
    }

    /// Forgets the cached translations of packets that came in by a port, as when the fast path has come to know the port.
    pub fn forget_translations_from(&mut self, in_port: u32) {
        self.on_cache(|cache, credit| cache.forget_from(in_port, credit));
    }

    /// Hands the counters of cached packets over to rules, tables and groups.
    pub(crate) fn credit(&mut self) {
        self.on_cache(|cache, credit| cache.credit(credit));
    }

    /// Forgets all cached translations: something they depend on is about to change.
    pub(crate) fn invalidate(&mut self) {
        self.on_cache(|cache, credit| cache.clear(credit));
    }

    /// Forgets the translations that matched one of these flows, which are about to change: in an open transaction that is
    /// left to its end.
    pub(crate) fn invalidate_users(&mut self, ids: &[FlowId]) {
        if self.is_open() || ids.is_empty() {
            return;
        }
        // One look at all translations is as long as some at those that a rule may concern.
        if ids.len() > MANY_FLOWS.max(self.cache.stats().entries / 64) {
            let mut ids = ids.to_vec();
            ids.sort_unstable();
            return self.on_cache(|cache, credit| cache.forget_users(&ids, credit));
        }
        for id in ids {
            if let Some(flow) = self.tables.flows.get(*id) {
                let rule = flow.matching.compile();
                self.on_cache(|cache, credit| cache.forget_users_of(*id, &rule, credit));
            }
        }
    }

    pub(crate) fn on_cache(&mut self, act: impl FnOnce(&mut Cache, &mut dyn FnMut(&Entry))) {
        let Pipeline {
            cache,
            tables,
            groups,
            meters,
            ports,
            ..
        } = self;
        act(cache, &mut |entry| {
            apply_entry((tables, groups, meters, ports), entry)
        });
    }
}

/// Counts what a cached translation has counted.
pub(crate) fn apply_entry(
    (tables, groups, meters, ports): (&mut Tables, &mut Groups, &mut Meters, &mut Ports),
    entry: &Entry,
) {
    let translation = &entry.translation;
    if entry.counts.packets != 0 {
        let counts = (entry.counts, entry.dropped());
        apply_credits(tables, groups, translation, counts, entry.used);
    }
    // Packets that came here were counted on meters and when they were dropped.
    let in_port = entry.key.get64(weft_frame::field::IN_PORT) as u32;
    for (pass, metered) in translation.passes.iter().zip(entry.fast_passes()) {
        meters.count(pass.meter_id, metered.shown);
        if translation.drop.is_none() && metered.dropped.packets != 0 {
            ports.count_drops(in_port, DropReason::Meter, metered.dropped.packets);
        }
    }
    if let Some(reason) = translation.drop
        && entry.fast != 0
    {
        ports.count_drops(in_port, reason, entry.fast);
    }
}

/// Counts packets on everything a translation used, without those that meters have dropped before, by pass.
pub(crate) fn apply_credits(
    tables: &mut Tables,
    groups: &mut Groups,
    translation: &Translation,
    (all, dropped): (Counts, &[Counts]),
    used: u64,
) {
    let left = |index: usize, list: fn(&Marks) -> usize| {
        let mut counts = all;
        for (pass, dropped) in translation.passes.iter().zip(dropped) {
            if (list(&pass.from)..list(&pass.to)).contains(&index) {
                counts.packets = counts.packets.saturating_sub(dropped.packets);
                counts.bytes = counts.bytes.saturating_sub(dropped.bytes);
            }
        }
        counts
    };
    let credits = &translation.credits;
    for (index, id) in credits.flows.iter().enumerate() {
        let Counts { packets, bytes } = left(index, |marks| marks.flows);
        if packets != 0 {
            tables.count(*id, packets, bytes, used);
        }
    }
    for (index, (table_id, matched)) in credits.tables.iter().enumerate() {
        let Counts { packets, .. } = left(index, |marks| marks.tables);
        let table = &mut tables.tables[usize::from(*table_id)];
        table.lookups += packets;
        if *matched {
            table.matched += packets;
        }
    }
    for (index, (group_id, bucket)) in credits.buckets.iter().enumerate() {
        let Counts { packets, bytes } = left(index, |marks| marks.buckets);
        groups.count(*group_id, *bucket, packets, bytes);
    }
    for (index, id) in credits.refreshed.iter().enumerate() {
        if left(index, |marks| marks.refreshed).packets != 0
            && let Some(flow) = tables.flows.get_mut(*id)
        {
            flow.hard_from = flow.hard_from.max(used);
            flow.last_used = flow.last_used.max(used);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipeline_may_move_to_its_thread() {
        fn is_send<T: Send>() {}
        is_send::<Pipeline>();
    }
}
