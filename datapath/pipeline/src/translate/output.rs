//! Where the packet leaves: ports, reserved and real, and the controller.

use super::{Flow, Walk};
use crate::datapath::{DpAction, HeaderOp, PacketIn};
use crate::drops::DropReason;
use crate::observe::Sight;
use crate::trace::Step;
use weft_frame::field;
use weft_openflow::{PacketInReason, port_config, port_no};

/// Most times that one packet is shown to observers.
const MAX_SIGHTS: usize = 256;
/// Most copies of one packet.
const MAX_OUTPUTS: usize = 65_536;

impl Walk<'_, '_> {
    /// `OFPAT_OUTPUT` (§4.5, §5.12).
    pub(super) fn output(&mut self, port: u32, max_len: u16) {
        match port {
            port_no::IN_PORT => self.send(self.in_port),
            port_no::TABLE => {
                if self.packet_out {
                    self.table(0, self.in_port);
                }
            }
            port_no::NORMAL => self.normal(),
            port_no::FLOOD | port_no::ALL => {
                let (ports, in_port) = (self.world.ports, self.in_port);
                for port in ports.numbers().filter(|port| *port != in_port) {
                    if ports.output_blocked(port).is_none() {
                        self.send(port);
                    }
                }
                self.note(DropReason::NoSuchPort);
            }
            port_no::CONTROLLER => {
                let reason = if self.miss {
                    PacketInReason::NoMatch
                } else {
                    PacketInReason::Action
                };
                self.controller(reason, max_len, 0, Vec::new());
            }
            port if self.is_in_port(port) => self.note(DropReason::InPort),
            port => self.send(port),
        }
    }

    /// Sends the packet as it is now out of a port that may be missing or blocked.
    fn send(&mut self, port_no: u32) {
        self.send_cut(port_no, None);
    }

    /// The same, of at most `max_len` bytes of it.
    fn send_cut(&mut self, port_no: u32, max_len: Option<u32>) {
        if let Some(reason) = self.world.ports.output_blocked(port_no) {
            self.log(|| Step::Blocked { port_no, reason });
            self.note(reason);
            return;
        }
        if self.outputs >= MAX_OUTPUTS {
            self.note(DropReason::Recursion);
            return;
        }
        self.log(|| Step::Output { port_no });
        let queue_id = self.state.queue;
        let leaf = match max_len {
            None => DpAction::Output { port_no, queue_id },
            Some(max_len) => DpAction::Truncated {
                port_no,
                queue_id,
                max_len,
            },
        };
        self.tree.add(self.state.edits.ops(), leaf);
        self.state.edits.commit();
        self.outputs += 1;
        if !self.mirrored {
            let tag = self.state.key.get64(field::VLAN_TCI) as u16;
            self.first_output.get_or_insert((port_no, tag));
            self.ports = self.ports.saturating_add(1);
        }
    }

    /// Sends at most so many bytes of the packet to a port (Nicira's output with `max_len`).
    pub(super) fn output_cut(&mut self, port: u32, max_len: u32) {
        match port {
            port_no::IN_PORT => self.send_cut(self.in_port, Some(max_len)),
            port if self.is_in_port(port) => self.note(DropReason::InPort),
            port => self.send_cut(port, Some(max_len)),
        }
    }

    /// Shows the packet to an observer (Nicira's `sample`).
    ///
    /// Observers see packets as they came in, so they are shown before anything is done, unless a meter stands before that.
    pub(super) fn observe(&mut self, observer_id: u32, probability: u16, ids: (u32, u32)) {
        let number = self.sights.len();
        if !self.world.observers.has(observer_id) || number >= MAX_SIGHTS {
            return;
        }
        self.look_at_tags();
        self.sights.push(Sight {
            observer_id,
            probability,
            domain_id: ids.0,
            point_id: ids.1,
            in_port: self.in_port,
            vlan: self.state.key.get64(field::VLAN_TCI) as u16,
            vlan_out: 0,
            out_port: port_no::ANY,
            outputs: 0,
        });
        let metered = self
            .state
            .edits
            .ops()
            .iter()
            .any(|op| matches!(op, HeaderOp::Meter { .. }));
        let before: &[HeaderOp] = if metered { self.state.edits.ops() } else { &[] };
        self.tree.add(before, DpAction::Observe(number as u16));
        if metered {
            self.state.edits.commit();
        }
    }

    /// Sends the packet as it is now to the controller.
    pub(super) fn controller(
        &mut self,
        reason: PacketInReason,
        max_len: u16,
        controller_id: u16,
        userdata: Vec<u8>,
    ) {
        let state = self.world.ports.get(self.in_port);
        if state.is_some_and(|port| port.config & port_config::NO_PACKET_IN != 0) {
            self.note(DropReason::NoPacketIn);
            return;
        }
        if self.outputs >= MAX_OUTPUTS {
            self.note(DropReason::Recursion);
            return;
        }
        let key = &self.state.key;
        let mut regs = [0; 16];
        for (n, reg) in regs.iter_mut().enumerate() {
            *reg = key.get64(field::reg(n as u8)) as u32;
        }
        let program = self
            .world
            .config
            .program_table
            .is_some_and(|first| self.table_id >= first);
        let info = PacketIn {
            in_port: self.in_port,
            table_id: self.table_id,
            cookie: self.cookie,
            reason,
            max_len,
            controller_id,
            metadata: key.get64(field::METADATA),
            tunnel_id: key.get64(field::TUNNEL_ID),
            regs,
            userdata,
            program,
        };
        self.log(|| Step::Controller {
            reason: format!("{reason:?}"),
            max_len,
        });
        self.look_at(field::METADATA);
        self.look_at(field::TUNNEL_ID);
        self.tree
            .add(self.state.edits.ops(), DpAction::Controller(Box::new(info)));
        self.state.edits.commit();
        if reason != PacketInReason::InvalidTtl {
            self.outputs += 1;
        }
    }

    /// `OFPP_NORMAL`: the bridge program, as a subroutine. It starts with clean metadata and registers and an action set of
    /// its own, and what it does to the packet does not show afterwards.
    fn normal(&mut self) {
        let table = self.world.config.normal_table();
        let outer = (std::mem::take(&mut self.action_set), self.set_by);
        let rule = (self.table_id, self.cookie, self.miss);
        self.on_copy(|walk| {
            for word in
                &mut walk.state.key.0[usize::from(field::METADATA.word)..field::FIRST_PACKET_WORD]
            {
                *word = 0;
            }
            walk.table(table, walk.in_port);
            walk.run_action_set();
        });
        (self.action_set, self.set_by) = outer;
        (self.table_id, self.cookie, self.miss) = rule;
    }

    /// Runs actions on a copy of the packet.
    pub(super) fn clone_actions(&mut self, actions: &[weft_openflow::Action]) -> Flow {
        self.on_copy(|walk| {
            walk.actions(actions);
        });
        Flow::On
    }
}
