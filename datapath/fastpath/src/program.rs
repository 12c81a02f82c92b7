//! From a translation's actions to the operations of the BPF program.
//!
//! The program works on the frame itself: what one branch of the actions did to it has to be undone before the next one.
//! So the frame's state is followed here, tag by tag: as it is, and as the branch at hand wants it. Operations are only
//! written where the frame is sent, and just those that lead from the one to the other.

use crate::headers::{Headers, Pieces};
use crate::layout::{MAX_OPS, Op, op_code, op_flags};
use weft_frame::field::{self, Field};
use weft_frame::{FlowKey, FlowMask};
use weft_pipeline::{DpAction, HeaderOp, Pass, Translation};

/// Where a port's frames go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// The device.
    pub ifindex: u32,
    /// How frames get there.
    pub way: Way,
    /// Longest frame it takes.
    pub max_len: u16,
    /// What comes in by the port is policed by user space, so it has to come there.
    pub policed: bool,
}

/// How a frame gets to a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// It is transmitted.
    Transmit,
    /// It is a veth whose other end is in another network namespace, with this Ethernet address: what is for that can be
    /// received there at once. It would be taken for the receiver's own, whatever its address, so all else is transmitted.
    Peer(u64),
    /// It is an internal interface: the host receives the frame.
    Receive,
}

/// Where a packet leaves, for the counters of the port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Output {
    /// The device.
    pub ifindex: u32,
    /// Bytes more than the packet had when it came in (fewer: negative), padding apart.
    pub growth: i64,
    /// Whether padding was put on.
    pub padded: bool,
    /// How many meters it has passed.
    pub passed: usize,
}

/// What the program does with the packets of a flow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compiled {
    /// In this order.
    pub ops: Vec<Op>,
    /// Everywhere the packets leave.
    pub outputs: Vec<Output>,
}

/// Bits of a TCI that keys know: all but the drop eligible indicator.
const KNOWN_TCI: u16 = 0xefff;
/// The drop eligible indicator.
const DEI: u16 = 0x1000;

/// A tag of the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tag {
    tpid: u16,
    tci: u16,
    /// Bits of the TCI that are taken from the outermost tag the frame came with.
    kept: u16,
    /// The second tag the frame came with: its DEI is not known, so it must stay where it is.
    fixed: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct State {
    /// Innermost first.
    tags: Vec<Tag>,
    /// `None`: as it came.
    eth_dst: Option<u64>,
    eth_src: Option<u64>,
    /// What was written to the headers behind Ethernet.
    pieces: Pieces,
    /// `SO_PRIORITY`, by which a device's queue is chosen.
    priority: u32,
    /// It has left without a tag that it came with, and so may have been padded: what is pushed on it comes on top of that.
    padded: bool,
}

struct Compiler<'a, R> {
    key: &'a FlowKey,
    mask: &'a FlowMask,
    passes: &'a [Pass],
    /// Meters passed so far.
    passed: usize,
    /// The actions at hand are for a copy: others come after them.
    on_copy: bool,
    resolve: R,
    priority_of: fn(Option<u32>) -> u32,
    origin: State,
    /// As the frame is now.
    present: State,
    popped: bool,
    /// A pop has its padding counted.
    pads: bool,
    compiled: Compiled,
}

/// Writes the program for a translation of a packet with this key. `resolve` tells where a port's frames go, `priority_of`
/// which `SO_PRIORITY` leads to a queue.
///
/// # Errors
/// Why the kernel cannot do it, in a few words.
pub fn compile(
    translation: &Translation,
    key: &FlowKey,
    at_ingress: bool,
    resolve: impl Fn(u32) -> Option<Target>,
    priority_of: fn(Option<u32>) -> u32,
) -> Result<Compiled, &'static str> {
    let origin = State {
        tags: tags_of(key),
        eth_dst: None,
        eth_src: None,
        pieces: Pieces::new(),
        priority: 0,
        padded: false,
    };
    let actions = &translation.actions;
    let mut compiler = Compiler {
        key,
        mask: &translation.mask,
        passes: &translation.passes,
        passed: 0,
        on_copy: false,
        resolve,
        priority_of,
        present: origin.clone(),
        origin: origin.clone(),
        popped: false,
        pads: false,
        compiled: Compiled::default(),
    };
    compiler.steps(actions, origin)?;
    let destination = compiler.destination().filter(|_| at_ingress);
    let Compiler {
        mut compiled,
        resolve,
        ..
    } = compiler;
    finish(&mut compiled, destination, &resolve, actions);
    Ok(compiled)
}

/// The last output takes the frame itself; only there it can be received by a peer directly, if it is for the peer.
/// `destination`: of the frame as it leaves there, where all packets of the flow have the same and the kernel can do it.
fn finish(
    compiled: &mut Compiled,
    destination: Option<u64>,
    resolve: &impl Fn(u32) -> Option<Target>,
    actions: &[DpAction],
) {
    let counts = |op: &Op| [op_code::OUTPUT, op_code::METER].contains(&op.code);
    let Some(last) = compiled.ops.iter().rposition(counts) else {
        compiled.ops.clear();
        return;
    };
    compiled.ops.truncate(last + 1);
    if compiled.ops[last].code == op_code::METER {
        // Shown to a meter, and then nothing. A single operation would be taken for an output.
        if last == 0 {
            compiled.ops.push(Op {
                code: op_code::QUEUE,
                ..Op::default()
            });
        }
        return;
    }
    let op = &mut compiled.ops[last];
    op.flags |= op_flags::LAST;
    let Some(destination) = destination else {
        return;
    };
    let is_peer = |action: &DpAction| match action {
        DpAction::Output { port_no, .. } => resolve(*port_no).is_some_and(|target| {
            target.ifindex == op.word && target.way == Way::Peer(destination)
        }),
        _ => false,
    };
    if actions.iter().any(is_peer) {
        op.flags |= op_flags::PEER;
    }
}

/// Whether a field is of the Ethernet header or a VLAN tag.
fn is_ethernet(field: Field) -> bool {
    let fields = [
        field::ETH_DST,
        field::ETH_SRC,
        field::VLAN_VID,
        field::VLAN_PCP,
        field::VLAN_TCI,
    ];
    fields.contains(&field)
}

fn tags_of(key: &FlowKey) -> Vec<Tag> {
    let tpid = |service: Field| {
        if key.get64(service) == 1 {
            0x88a8
        } else {
            0x8100
        }
    };
    let first = Tag {
        tpid: tpid(field::VLAN_SERVICE),
        tci: key.get64(field::VLAN_TCI) as u16 & KNOWN_TCI,
        kept: DEI,
        fixed: false,
    };
    let second = Tag {
        tpid: tpid(field::VLAN2_SERVICE),
        tci: key.get64(field::VLAN2_TCI) as u16 & KNOWN_TCI,
        kept: 0,
        fixed: true,
    };
    match key.get64(field::VLAN_COUNT) {
        0 => vec![],
        1 => vec![first],
        _ => vec![second, first],
    }
}

impl<R: Fn(u32) -> Option<Target>> Compiler<'_, R> {
    fn steps(&mut self, mut actions: &[DpAction], mut wanted: State) -> Result<(), &'static str> {
        while let [action, rest @ ..] = actions {
            actions = rest;
            match action {
                DpAction::Apply(HeaderOp::Meter { instance, .. }) => {
                    self.meter(*instance, &wanted)?;
                }
                DpAction::Apply(op) => self.want(op, &mut wanted)?,
                DpAction::Output { port_no, queue_id } => {
                    wanted.priority = (self.priority_of)(*queue_id);
                    self.output(*port_no, &mut wanted)?;
                }
                DpAction::Controller(_) => return Err("packet-in"),
                // Done before anything else: see `observe.rs`.
                DpAction::Observe(_) if self.passed > 0 => return Err("observed behind a meter"),
                DpAction::Observe(_) => {}
                DpAction::Truncated { .. } => return Err("output with max_len"),
                DpAction::Fork(count) => {
                    let (branch, after) = rest.split_at((*count as usize).min(rest.len()));
                    let outer = std::mem::replace(&mut self.on_copy, true);
                    self.steps(branch, wanted.clone())?;
                    self.on_copy = outer;
                    actions = after;
                }
            }
        }
        Ok(())
    }

    fn sees(&self, field: Field) -> bool {
        let mut needed = FlowMask::ZERO;
        needed.need(field);
        self.mask.covers(&needed)
    }

    /// Where the frame as it is now is sent to, if that is the same for all packets of the flow.
    fn destination(&self) -> Option<u64> {
        let came = || {
            self.sees(field::ETH_DST)
                .then(|| self.key.get64(field::ETH_DST))
        };
        self.present.eth_dst.or_else(came)
    }

    /// What an edit makes of the frame.
    fn want(&self, op: &HeaderOp, wanted: &mut State) -> Result<(), &'static str> {
        let knows_tags = self.sees(field::VLAN_TCI) && self.sees(field::VLAN_REST);
        match *op {
            HeaderOp::PushVlan(_) | HeaderOp::PopVlan if !knows_tags => Err("tags not looked at"),
            HeaderOp::PushVlan(tpid) => {
                let outer = wanted.tags.last().copied();
                if outer.is_some_and(|tag| tag.fixed) {
                    return Err("DEI of an inner tag");
                }
                wanted.tags.push(Tag {
                    tpid,
                    tci: outer.map_or(0, |tag| tag.tci),
                    kept: outer.map_or(0, |tag| tag.kept),
                    fixed: false,
                });
                Ok(())
            }
            HeaderOp::PopVlan => wanted.tags.pop().map(|_| ()).ok_or("no tag"),
            HeaderOp::SetField { field, value, mask } if !is_ethernet(field) => {
                let op = HeaderOp::SetField { field, value, mask };
                Headers::new(self.key, self.mask).want(&op, &mut wanted.pieces)
            }
            HeaderOp::SetField { field, value, mask } => self.set(field, value, mask, wanted),
            HeaderOp::SetIpTtl(_) | HeaderOp::DecIpTtl => {
                Headers::new(self.key, self.mask).want(op, &mut wanted.pieces)
            }
            _ => Err("header edit"),
        }
    }

    fn set(
        &self,
        field: Field,
        value: u128,
        mask: u128,
        wanted: &mut State,
    ) -> Result<(), &'static str> {
        let (value, mask) = (value as u64, (mask & field.ones()) as u64);
        let (shift, bits) = match field {
            field::VLAN_VID => (0, 0x0fff),
            field::VLAN_PCP => (13, 7),
            field::VLAN_TCI => (0, KNOWN_TCI),
            field::ETH_DST | field::ETH_SRC => {
                if mask != u64::MAX >> 16 {
                    return Err("part of an address");
                }
                if field == field::ETH_DST {
                    wanted.eth_dst = Some(value & mask);
                } else {
                    wanted.eth_src = Some(value & mask);
                }
                return Ok(());
            }
            _ => return Err("set-field"),
        };
        if !(self.sees(field::VLAN_TCI) && self.sees(field::VLAN_REST)) {
            return Err("tags not looked at");
        }
        let tag = wanted.tags.last_mut().ok_or("no tag")?;
        if tag.fixed {
            return Err("DEI of an inner tag");
        }
        let mask = (mask as u16 & bits) << shift;
        tag.tci = tag.tci & !mask | (value as u16) << shift & mask;
        Ok(())
    }

    fn output(&mut self, port_no: u32, wanted: &mut State) -> Result<(), &'static str> {
        let target = (self.resolve)(port_no).ok_or("port without a device")?;
        self.lead_to(wanted)?;
        self.push(Op {
            code: op_code::OUTPUT,
            flags: if target.way == Way::Receive {
                op_flags::INGRESS
            } else {
                0
            },
            small: target.max_len,
            word: target.ifindex,
        })?;
        let growth = 4 * (wanted.tags.len() as i64 - self.origin.tags.len() as i64);
        wanted.padded |= growth < 0;
        self.compiled.outputs.push(Output {
            ifindex: target.ifindex,
            growth,
            padded: wanted.padded,
            passed: self.passed,
        });
        Ok(())
    }

    /// Whatever comes after a meter is not done with what it drops, so nothing else may come after it; and the frame may have
    /// left without padding only, or its length would be another one for the meter.
    fn meter(&mut self, instance: u32, wanted: &State) -> Result<(), &'static str> {
        let number = (instance as usize).checked_sub(1);
        let pass = number.and_then(|number| self.passes.get(number));
        let pass = pass.ok_or("meter of a copy")?;
        if let Some(why) = pass.why_not {
            return Err(why);
        }
        if self.on_copy || number != Some(self.passed) {
            return Err("meter of a copy");
        }
        if self.popped {
            return Err("meter after a pop");
        }
        let more = wanted.tags.len() as i64 - self.origin.tags.len() as i64;
        self.push(Op {
            code: op_code::METER,
            flags: i8::try_from(more).map_err(|_| "too many operations")? as u8,
            // Where it counts is said when it is installed.
            small: 0,
            word: pass.cell.unwrap_or_default(),
        })?;
        self.passed += 1;
        Ok(())
    }

    fn push(&mut self, op: Op) -> Result<(), &'static str> {
        if self.compiled.ops.len() >= MAX_OPS {
            return Err("too many operations");
        }
        self.compiled.ops.push(op);
        Ok(())
    }

    /// Brings the frame from its present state to the wanted one.
    fn lead_to(&mut self, wanted: &State) -> Result<(), &'static str> {
        let common = self
            .present
            .tags
            .iter()
            .zip(&wanted.tags)
            .take_while(|(one, other)| one == other)
            .count();
        while self.present.tags.len() > common {
            let below = self.present.tags.len() <= self.origin.tags.len();
            self.popped |= below;
            // Padding is counted once, as all that are popped as far get the same.
            let counted = below && !std::mem::replace(&mut self.pads, below);
            self.present.tags.pop();
            self.push(Op {
                code: op_code::POP_VLAN,
                small: u16::from(counted),
                ..Op::default()
            })?;
        }
        for tag in &wanted.tags[common..] {
            if tag.fixed {
                return Err("DEI of an inner tag");
            }
            self.present.tags.push(*tag);
            let is_whole = self.present.tags.len() == self.origin.tags.len();
            let restores = self.popped && is_whole && !wanted.padded;
            self.push(Op {
                code: op_code::PUSH_VLAN,
                flags: if restores { op_flags::RESTORE } else { 0 },
                small: tag.tpid,
                word: u32::from(tag.tci) | u32::from(tag.kept) << 16,
            })?;
        }
        if self.present.pieces != wanted.pieces {
            let from = std::mem::replace(&mut self.present.pieces, wanted.pieces.clone());
            let headers = Headers::new(self.key, self.mask);
            headers.lead(&from, &wanted.pieces, |op| self.push(op))?;
        }
        if self.present.priority != wanted.priority {
            self.present.priority = wanted.priority;
            self.push(Op {
                code: op_code::QUEUE,
                word: wanted.priority,
                ..Op::default()
            })?;
        }
        for (source, field) in [(false, field::ETH_DST), (true, field::ETH_SRC)] {
            let address = |state: &State| if source { state.eth_src } else { state.eth_dst };
            let (is, to) = (address(&self.present), address(wanted));
            if is == to {
                continue;
            }
            let bytes = match to {
                Some(address) => address,
                None if self.sees(field) => self.key.get64(field),
                None => return Err("address to bring back"),
            }
            .to_be_bytes();
            self.push(Op {
                code: op_code::SET_ETH,
                flags: u8::from(source),
                small: u16::from_ne_bytes([bytes[2], bytes[3]]),
                word: u32::from_ne_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]),
            })?;
            if source {
                self.present.eth_src = to;
            } else {
                self.present.eth_dst = to;
            }
        }
        Ok(())
    }
}
