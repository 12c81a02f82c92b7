//! What users have put into the switch, in a form that brings it back after a sudden death.
//!
//! The shell keeps the changes that [`Host::changed`](crate::Host::changed) tells it of, in order and with their
//! times, and gives them to [`Agent::restore`] in its next life. As that list grows for ever, it may be replaced now
//! and then by what [`Agent::snapshot`] makes of the tables as they are.
//!
//! What comes back is as old as it was: hard timeouts go on. Idle timeouts start anew, as nobody knows when the flows
//! were used last, but a flow that had ended is not there any more: its end was a change, too. Counters start at zero.
//! Flows learned in users' tables (`learn`) come back as far as a snapshot has seen them; names given to tables do not.

use weft_openflow::{
    Body, ErrorCode, FlowMod, FlowModCommand, GroupMod, GroupModCommand, MeterMod, MeterModCommand,
    OfError, SwitchConfig, TableMod, flow_mod_flags, group_no, meter_no, table_no,
};
use weft_pipeline::{FlowCursor, FlowFilter, Owner, PROGRAM_IDS};

use crate::agent::Agent;
use crate::config::ConnId;
use crate::host::{Host, Nanos};
use crate::standalone;

/// How far a snapshot has come.
#[derive(Debug, Default)]
pub struct Snapshot {
    begun: bool,
    cursor: FlowCursor,
}

/// Whether a change outlives the message that makes it.
fn lasts(body: &Body) -> bool {
    matches!(
        body,
        Body::FlowMod(_)
            | Body::GroupMod(_)
            | Body::MeterMod(_)
            | Body::PortMod(_)
            | Body::TableMod(_)
            | Body::SetConfig(_)
    )
}

impl Agent {
    /// Tells the shell of changes that a user has made together, all or nothing; `more` of them follow.
    pub(crate) fn tell_changed<'a>(
        &self,
        conn: ConnId,
        changes: impl Iterator<Item = &'a Body>,
        more: bool,
        now: Nanos,
        host: &mut dyn Host,
    ) {
        if self.owner(conn) == Owner::User {
            let changes: Vec<&Body> = changes.filter(|body| lasts(body)).collect();
            if !changes.is_empty() {
                host.changed(&changes, more, now);
            }
        }
    }

    /// Tells the shell of users' flows that have ended by themselves.
    pub(crate) fn tell_expired(&mut self, now: Nanos, host: &mut dyn Host) {
        for flow in self.pipeline.take_expired() {
            host.changed(&[&Body::FlowMod(flow)], false, now);
        }
    }

    /// Makes a change again that a user had made at that time. It had been accepted then, so that it is refused only
    /// if it is of a kind that is not kept here ([`Host::changed`] also tells of port-mods, which are the shell's), or
    /// if it leans on a group or meter of the bridge program, which is not back yet.
    pub fn restore(&mut self, change: &Body, at: Nanos) -> Result<(), OfError> {
        let outcome = match change {
            Body::FlowMod(flow_mod) => {
                // What was accepted overlapped with nothing, whatever the order is now.
                let flow_mod = FlowMod {
                    flags: flow_mod.flags & !flow_mod_flags::CHECK_OVERLAP,
                    ..flow_mod.clone()
                };
                self.pipeline.flow_mod(Owner::User, &flow_mod, at)
            }
            Body::GroupMod(group_mod) => self.pipeline.group_mod(Owner::User, group_mod, at),
            Body::MeterMod(meter_mod) => self.pipeline.meter_mod(Owner::User, meter_mod, at),
            Body::TableMod(table) => {
                self.pipeline
                    .table_mod(Owner::User, table.table_id, table.config)
            }
            Body::SetConfig(config) => {
                self.set_fragments(config.flags);
                Ok(())
            }
            _ => Err(OfError::new(
                ErrorCode::BadRequestBadType,
                "nothing that is brought back",
            )),
        };
        // Nobody is there yet to be told.
        drop(self.pipeline.take_removed());
        outcome
    }

    /// To be called when all is restored.
    pub fn restored(&mut self, now: Nanos) {
        self.pipeline.restart_idle(now);
        self.expire_soon(now);
    }

    /// The changes that make an empty switch what this one is for its users, part by part: each call looks at about
    /// `limit` flows. Changes that happen meanwhile must be added to the result in their order. Returns whether there
    /// is more.
    pub fn snapshot(
        &mut self,
        snapshot: &mut Snapshot,
        limit: usize,
        now: Nanos,
        mut write: impl FnMut(&Body, Nanos),
    ) -> bool {
        if !snapshot.begun {
            snapshot.begun = true;
            self.snapshot_beside_flows(now, &mut write);
        }
        let users = self.pipeline.config().program_table.unwrap_or(u8::MAX);
        let more = self.pipeline.flows(
            &FlowFilter::all(),
            &mut snapshot.cursor,
            limit,
            now,
            |flow| {
                if flow.table_id() >= users || flow.cookie() == standalone::FAIL_OPEN_COOKIE {
                    return;
                }
                let stats = flow.stats();
                let age =
                    u64::from(stats.duration_sec) * 1_000_000_000 + u64::from(stats.duration_nsec);
                let flow_mod = FlowMod {
                    cookie: stats.cookie,
                    idle_timeout: stats.idle_timeout,
                    hard_timeout: stats.hard_timeout,
                    priority: stats.priority,
                    flags: stats.flags,
                    match_: stats.match_,
                    instructions: stats.instructions,
                    ..FlowMod::new(FlowModCommand::Add, stats.table_id)
                };
                write(&Body::FlowMod(flow_mod), now.saturating_sub(age));
            },
        );
        more.unwrap_or(false)
    }

    /// Emptiness, then all that flows may refer to.
    fn snapshot_beside_flows(&mut self, now: Nanos, write: &mut impl FnMut(&Body, Nanos)) {
        let nothing = FlowMod::new(FlowModCommand::Delete, table_no::ALL);
        write(&Body::FlowMod(nothing), now);
        write(
            &Body::SetConfig(SwitchConfig {
                flags: self.frag_flags,
                miss_send_len: 0,
            }),
            now,
        );
        let tables = self
            .pipeline
            .config()
            .program_table
            .unwrap_or(self.n_tables());
        for table_id in 0..tables {
            let config = self.pipeline.table_config(table_id).unwrap_or(0);
            if config != 0 {
                write(&Body::TableMod(TableMod { table_id, config }), now);
            }
        }
        let meters = self.pipeline.meters(meter_no::ALL, now).unwrap_or_default();
        for meter in meters.iter().filter(|meter| meter.meter_id < PROGRAM_IDS) {
            let meter_mod = MeterMod {
                command: MeterModCommand::Add,
                flags: meter.flags,
                meter_id: meter.meter_id,
                bands: meter.bands.to_vec(),
            };
            write(
                &Body::MeterMod(meter_mod),
                now.saturating_sub(meter.duration_ns),
            );
        }
        let groups = self.pipeline.groups(group_no::ALL, now);
        // Groups may lead to others: first all of them without buckets, then with.
        for command in [GroupModCommand::Add, GroupModCommand::Modify] {
            for group in groups.iter().filter(|group| group.group_id < PROGRAM_IDS) {
                let buckets = match command {
                    GroupModCommand::Add => Vec::new(),
                    _ => group.buckets.to_vec(),
                };
                let group_mod = GroupMod {
                    command,
                    group_type: group.group_type,
                    group_id: group.group_id,
                    buckets,
                };
                write(
                    &Body::GroupMod(group_mod),
                    now.saturating_sub(group.duration_ns),
                );
            }
        }
    }
}
