//! Translation: walking the tables for one packet (OF 1.3.5 §5.1).
//!
//! The walk works on a scratch copy of the packet's headers: an action edits it and the key is read anew, so what
//! later tables see is by construction what the packet will look like. Edits are collected and take effect where
//! the packet leaves; a tag that is pushed and popped again in between costs nothing.
//!
//! # What is looked at
//! Every lookup and every action that depends on the packet adds bits to the mask. Bits of a field that was
//! rewritten meanwhile are added too, needlessly but harmlessly. After an action that brings headers to light which
//! the original key did not show (a pop of an MPLS label, say), looking at the packet makes the
//! translation good for this one packet only.

mod actions;
mod groups;
mod learn;
mod nicira;
mod output;

use crate::config::Config;
use crate::datapath::{Credits, HeaderOp, Marks, Pass, Translation, Tree};
use crate::drops::DropReason;
use crate::edits::Edits;
use crate::group::Groups;
use crate::meter::{Meters, Verdict, raise_drop_precedence};
use crate::observe::{Observers, Sight};
use crate::ports::Ports;
use crate::tables::{TABLES, Tables};
use crate::trace::{Logged, Step};
use std::rc::Rc;
use weft_frame::field::{self, FIRST_PACKET_WORD, frag};
use weft_frame::{FlowKey, FlowMask, Packet, WORDS, parse};
use weft_openflow::{Action, FlowMod, Instruction, port_config, port_no};

/// Deepest nesting of resubmits, groups and clones.
const MAX_DEPTH: usize = 64;
/// Most tables looked into for one packet.
const MAX_LOOKUPS: usize = 4096;
/// So many tables most packets are looked up in.
const USUAL_LOOKUPS: usize = 8;
/// Most edits of one packet.
const MAX_EDITS: usize = 512;
/// Bytes of the packet that the scratch copy holds: more than its headers.
const SCRATCH_BYTES: usize = 2048;

/// What a translation reads.
pub(crate) struct World<'a> {
    pub config: &'a Config,
    pub tables: &'a Tables,
    pub groups: &'a Groups,
    pub ports: &'a Ports,
    pub meters: &'a mut Meters,
    pub observers: &'a Observers,
    pub now: u64,
}

/// Whether to go on with the present list of actions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    On,
    /// The packet (or this copy of it) ends here.
    Stop,
}

/// The packet as it is at some point of the walk.
#[derive(Clone)]
struct State {
    key: FlowKey,
    /// Its headers, once an action has changed them.
    scratch: Option<Rc<Packet>>,
    /// Edits since it came in.
    edits: Edits,
    queue: Option<u32>,
}

/// What a translation gives besides itself.
pub(crate) struct Outcome {
    pub translation: Translation,
    /// Flows to learn.
    pub learned: Vec<FlowMod>,
    /// What happened, if asked for.
    pub steps: Vec<Logged>,
}

pub(crate) struct Walk<'a, 'w> {
    world: &'w mut World<'a>,
    packet: &'w Packet,
    in_port: u32,
    state: State,
    /// The key as it came in, and the bits of it that were different somewhere on the way.
    origin: FlowKey,
    edited: FlowMask,
    action_set: Vec<Action>,
    /// Who wrote to it last: table, cookie, whether a table-miss entry.
    set_by: (u8, u64, bool),
    mask: FlowMask,
    revealed: bool,
    cacheable: bool,
    tree: Tree,
    outputs: usize,
    /// What observers are shown, the outputs apart.
    sights: Vec<Sight>,
    /// The first port that the packet goes to and its tag there; mirrors' ports do not count.
    first_output: Option<(u32, u16)>,
    ports: u16,
    /// The packet at hand is a mirror's copy.
    mirrored: bool,
    credits: Credits,
    learned: Vec<FlowMod>,
    drop: Option<DropReason>,
    depth: usize,
    why_walked: Option<&'static str>,
    passes: Vec<Pass>,
    /// Those that the packet at hand has passed.
    behind: Vec<usize>,
    stack: Vec<u128>,
    exited: bool,
    /// Table and cookie of the rule at work, and whether it is a table-miss entry.
    table_id: u8,
    cookie: u64,
    miss: bool,
    packet_out: bool,
    steps: Option<Vec<Logged>>,
}

impl<'a, 'w> Walk<'a, 'w> {
    pub fn new(
        world: &'w mut World<'a>,
        packet: &'w Packet,
        key: &FlowKey,
        in_port: u32,
        log: bool,
    ) -> Self {
        let state = State {
            key: *key,
            scratch: None,
            edits: Edits::default(),
            queue: None,
        };
        let mut mask = FlowMask::ZERO;
        mask.need(field::IN_PORT);
        Walk {
            world,
            packet,
            in_port,
            state,
            origin: *key,
            edited: FlowMask::ZERO,
            action_set: Vec::new(),
            set_by: (0, u64::MAX, false),
            mask,
            revealed: false,
            cacheable: true,
            tree: Tree::new(),
            outputs: 0,
            sights: Vec::new(),
            first_output: None,
            ports: 0,
            mirrored: false,
            credits: Credits {
                flows: Vec::with_capacity(USUAL_LOOKUPS),
                tables: Vec::with_capacity(USUAL_LOOKUPS),
                ..Credits::default()
            },
            learned: Vec::new(),
            drop: None,
            depth: 0,
            why_walked: None,
            passes: Vec::new(),
            behind: Vec::new(),
            stack: Vec::new(),
            exited: false,
            table_id: 0,
            cookie: u64::MAX,
            miss: false,
            packet_out: false,
            steps: log.then(Vec::new),
        }
    }

    /// Translates a packet received on a port.
    pub fn received(mut self) -> Outcome {
        if self.admit() {
            self.table(0, self.in_port);
            self.run_action_set();
        }
        self.finish()
    }

    /// Translates the actions of a packet-out.
    pub fn packet_out(mut self, actions: &[Action]) -> Outcome {
        self.packet_out = true;
        self.cacheable = false;
        self.actions(actions);
        self.run_action_set();
        self.finish()
    }

    /// Whether the ingress port takes the packet (§7.2.1, `OFPPC_NO_RECV`).
    fn admit(&mut self) -> bool {
        let reason = match self.world.ports.get(self.in_port) {
            None => Some(DropReason::UnknownInPort),
            Some(port) if port.config & port_config::PORT_DOWN != 0 => Some(DropReason::PortDown),
            Some(port) if port.config & port_config::NO_RECV != 0 => Some(DropReason::NoReceive),
            Some(_) => None,
        };
        if let Some(reason) = reason {
            self.note(reason);
            return false;
        }
        if self.world.config.drop_fragments {
            self.look_at(field::IP_FRAG);
            if self.state.key.get64(field::IP_FRAG) & frag::ANY != 0 {
                self.note(DropReason::Fragment);
                return false;
            }
        }
        true
    }

    fn finish(mut self) -> Outcome {
        self.step_out(0);
        let nothing = self.outputs == 0;
        let ttl = self.drop == Some(DropReason::TtlExpired);
        let drop = if nothing && (self.tree.is_empty() || ttl) {
            Some(self.drop.unwrap_or(DropReason::Rule))
        } else {
            None
        };
        let mut steps = self.steps.unwrap_or_default();
        if let Some(reason) = drop {
            steps.push(Logged {
                depth: 0,
                step: Step::Drop { reason },
            });
        }
        let mut sights = self.sights;
        let (out_port, vlan_out) = self.first_output.unwrap_or((port_no::ANY, 0));
        for sight in &mut sights {
            (sight.out_port, sight.vlan_out, sight.outputs) = (out_port, vlan_out, self.ports);
        }
        let translation = Translation {
            actions: self.tree.flatten(),
            sights: sights.into(),
            mask: self.mask,
            edited: self.edited,
            credits: self.credits,
            drop,
            cacheable: self.cacheable && self.learned.is_empty(),
            why_walked: self.why_walked,
            passes: self.passes.into(),
        };
        Outcome {
            translation,
            learned: self.learned,
            steps,
        }
    }

    /// Remembers why the packet might go nowhere; the first reason stands.
    fn note(&mut self, reason: DropReason) {
        self.drop.get_or_insert(reason);
    }

    fn log(&mut self, step: impl FnOnce() -> Step) {
        self.log_at(self.depth, step);
    }

    fn log_at(&mut self, depth: usize, step: impl FnOnce() -> Step) {
        if let Some(steps) = &mut self.steps {
            let step = step();
            steps.push(Logged { depth, step });
        }
    }

    /// The outcome depends on these bits of the present key.
    fn look(&mut self, mask: &FlowMask) {
        if self.revealed && mask.touches_packet() {
            self.cacheable = false;
        }
        self.mask.need_all(mask);
    }

    fn look_at(&mut self, field: weft_frame::Field) {
        let mut mask = FlowMask::ZERO;
        mask.need(field);
        self.look(&mask);
    }

    /// The outcome depends on which headers there are.
    fn look_at_headers(&mut self) {
        self.look_at(field::ETH_TYPE);
        self.look_at(field::PRESENT);
        self.look_at(field::IP_PROTO);
    }

    /// Walks from a table on, following gotos. `in_port` is what rules there see as the ingress port.
    fn table(&mut self, table_id: u8, in_port: u32) {
        if self.depth >= MAX_DEPTH {
            self.note(DropReason::Recursion);
            return;
        }
        self.depth += 1;
        let outer = (self.table_id, self.cookie, self.miss);
        let mirrored = self.mirrored;
        self.mirrored |= self.world.config.mirror_table() == Some(table_id);
        let mut next = Some(table_id);
        while let Some(table_id) = next {
            next = self.one_table(table_id, in_port);
        }
        (self.table_id, self.cookie, self.miss) = outer;
        self.mirrored = mirrored;
        self.depth -= 1;
    }

    /// Looks a table up and carries its instructions out; gives the table to go to.
    fn one_table(&mut self, table_id: u8, in_port: u32) -> Option<u8> {
        if usize::from(table_id) >= TABLES || self.credits.tables.len() >= MAX_LOOKUPS {
            self.note(DropReason::Recursion);
            return None;
        }
        let tables = self.world.tables;
        let mut looked_at = FlowMask::ZERO;
        let found = if in_port == self.in_port {
            tables.tables[usize::from(table_id)]
                .classifier
                .lookup(&self.state.key, &mut looked_at)
        } else {
            let mut key = self.state.key;
            key.set(field::IN_PORT, in_port.into());
            tables.tables[usize::from(table_id)]
                .classifier
                .lookup(&key, &mut looked_at)
        };
        self.look(&looked_at);
        let found = found.and_then(|id| Some((id, tables.flows.get(id)?)));
        self.credits.tables.push((table_id, found.is_some()));
        let (depth, key) = (self.depth - 1, self.state.key);
        let masks = || tables.tables[usize::from(table_id)].classifier.tried(&key);
        let Some((id, flow)) = found else {
            self.log_at(depth, || Step::Miss {
                table_id,
                masks: masks(),
            });
            self.note(DropReason::TableMiss);
            return None;
        };
        self.credits.flows.push(id);
        self.table_id = table_id;
        self.cookie = flow.cookie;
        self.miss = flow.priority == 0 && flow.matching == Default::default();
        let now = self.world.now;
        self.log_at(depth, || Step::matched(masks(), flow, now));
        self.instructions(&flow.instructions)
    }

    /// Instructions are done in the order of their types, whatever theirs in the message (§5.9).
    fn instructions(&mut self, list: &[Instruction]) -> Option<u8> {
        for instruction in list {
            if let Instruction::Meter { meter_id } = instruction
                && self.meter(*meter_id) == Flow::Stop
            {
                return None;
            }
        }
        for instruction in list {
            if let Instruction::ApplyActions { actions } = instruction
                && self.actions(actions) == Flow::Stop
            {
                // What was written to the set earlier does not save a packet that is invalid.
                self.action_set.clear();
                return None;
            }
        }
        if self.exited {
            return None;
        }
        if list
            .iter()
            .any(|instruction| matches!(instruction, Instruction::ClearActions))
        {
            self.action_set.clear();
        }
        let mut next = None;
        for instruction in list {
            match instruction {
                Instruction::WriteActions { actions } => {
                    crate::action_set::write(&mut self.action_set, actions);
                    self.set_by = (self.table_id, self.cookie, self.miss);
                }
                Instruction::WriteMetadata {
                    metadata,
                    metadata_mask,
                } => {
                    self.write_metadata(*metadata, *metadata_mask);
                }
                Instruction::GotoTable { table_id } => next = Some(*table_id),
                _ => {}
            }
        }
        next
    }

    fn write_metadata(&mut self, value: u64, mask: u64) {
        let word = &mut self.state.key.0[usize::from(field::METADATA.word)];
        *word = *word & !mask | value & mask;
    }

    fn run_action_set(&mut self) {
        // The set is done even after an exit.
        self.exited = false;
        let set = crate::action_set::ordered(std::mem::take(&mut self.action_set));
        if !set.is_empty() {
            self.log(|| Step::ActionSet);
            (self.table_id, self.cookie, self.miss) = self.set_by;
            self.actions(&set);
        }
    }

    /// Passes a meter. One that may rewrite the DSCP is passed during the walk, as later tables see its work;
    /// others when the actions are carried out.
    fn meter(&mut self, meter_id: u32) -> Flow {
        self.log(|| Step::Meter { meter_id });
        if !self.world.meters.remarks(meter_id) && self.state.edits.ops().len() < MAX_EDITS {
            let from = self.credits.marks();
            self.behind.push(self.passes.len());
            self.passes.push(Pass {
                meter_id,
                why_not: self.world.meters.refusal(meter_id),
                cell: None,
                from,
                to: Marks::default(),
            });
            let instance = self.passes.len() as u32;
            self.state.edits.add(HeaderOp::Meter { meter_id, instance });
            self.tree.keep(self.state.edits.ops());
            self.state.edits.commit();
            return Flow::On;
        }
        self.cacheable = false;
        self.why_walked = self.world.meters.refusal(meter_id);
        match self
            .world
            .meters
            .pass(meter_id, self.packet.len(), self.world.now)
        {
            Verdict::Pass => Flow::On,
            Verdict::Drop => {
                self.note(DropReason::Meter);
                self.action_set.clear();
                Flow::Stop
            }
            Verdict::Remark(steps) => {
                let dscp = self.state.key.get64(field::IP_DSCP) as u8;
                let value = u128::from(raise_drop_precedence(dscp, steps));
                self.edit(HeaderOp::SetField {
                    field: field::IP_DSCP,
                    value,
                    mask: u128::MAX,
                });
                Flow::On
            }
        }
    }

    /// What follows is only behind the first so many of the meters that the packet at hand has passed.
    fn step_out(&mut self, passed: usize) {
        let to = self.credits.marks();
        for pass in self.behind.drain(passed..) {
            self.passes[pass].to = to;
        }
    }

    /// Applies an edit to the scratch copy and reads the key anew. Returns whether the packet had what it takes.
    fn edit(&mut self, op: HeaderOp) -> bool {
        if self.state.edits.ops().len() >= MAX_EDITS {
            self.note(DropReason::Recursion);
            return false;
        }
        let packet = self.packet;
        let scratch = self.state.scratch.get_or_insert_with(|| {
            let bytes = packet.bytes();
            Rc::new(Packet::from_frame(
                bytes.get(..SCRATCH_BYTES).unwrap_or(bytes),
            ))
        });
        let scratch = Rc::make_mut(scratch);
        if !op.apply(scratch) {
            return false;
        }
        let (key, _) = parse(scratch.bytes(), 0);
        self.state.key.0[FIRST_PACKET_WORD..].copy_from_slice(&key.0[FIRST_PACKET_WORD..]);
        for word in FIRST_PACKET_WORD..WORDS {
            self.edited.0[word] |= self.state.key.0[word] ^ self.origin.0[word];
        }
        self.state.edits.add(op);
        true
    }

    /// Runs `inner` on a copy of the packet.
    fn on_copy(&mut self, inner: impl FnOnce(&mut Self)) {
        if self.depth >= MAX_DEPTH {
            self.note(DropReason::Recursion);
            return;
        }
        let before = self.state.clone();
        let revealed = self.revealed;
        // An exit ends a bucket or a clone, not what goes on after it.
        let exited = std::mem::take(&mut self.exited);
        let passed = self.behind.len();
        self.depth += 1;
        inner(self);
        self.depth -= 1;
        self.step_out(passed);
        self.revealed = revealed;
        self.exited = exited;
        self.state = before;
    }

    /// The present ingress port as a number that outputs compare with.
    fn is_in_port(&self, port: u32) -> bool {
        port == self.in_port && port != port_no::CONTROLLER
    }
}
