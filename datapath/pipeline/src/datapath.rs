//! What translation produces: the datapath's actions, and all that is to be counted.
//!
//! A packet that leaves by several ports with different headers makes a tree: the packet as it came at the root,
//! an edit at each branch. Flattened, a branch that is not the last one of its node is a [`DpAction::Fork`]: only
//! there the packet is copied.

use crate::drops::DropReason;
use crate::observe::Sight;
use crate::slab::FlowId;
use weft_frame::{Field, FlowMask, Packet, edit, set_field};
use weft_openflow::PacketInReason;

/// A change of the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HeaderOp {
    /// Push a tag of this type.
    PushVlan(u16),
    /// Pop the outermost tag.
    PopVlan,
    /// Push a label stack entry of this type.
    PushMpls(u16),
    /// Pop a label stack entry, this type below.
    PopMpls(u16),
    /// Push an I-TAG of this type.
    PushPbb(u16),
    /// Pop an I-TAG.
    PopPbb,
    /// Write the bits in `mask`.
    SetField {
        /// Where.
        field: Field,
        /// What.
        value: u128,
        /// Which bits.
        mask: u128,
    },
    /// Set the IP TTL.
    SetIpTtl(u8),
    /// Decrement the IP TTL (above 1, as translation has seen).
    DecIpTtl,
    /// Set the MPLS TTL.
    SetMplsTtl(u8),
    /// Decrement the MPLS TTL (above 1, as translation has seen).
    DecMplsTtl,
    /// Copy the TTL outwards.
    CopyTtlOut,
    /// Copy the TTL inwards.
    CopyTtlIn,
    /// Pass the meter with this id, or be dropped. `instance` tells apart several passes.
    Meter {
        /// Id of the meter.
        meter_id: u32,
        /// Number of the pass within the walk.
        instance: u32,
    },
}

impl HeaderOp {
    /// Applies an edit. Returns whether the packet had what it takes. Meters are the executor's.
    pub fn apply(&self, packet: &mut Packet) -> bool {
        match *self {
            HeaderOp::PushVlan(tpid) => edit::push_vlan(packet, tpid),
            HeaderOp::PopVlan => edit::pop_vlan(packet),
            HeaderOp::PushMpls(kind) => edit::push_mpls(packet, kind),
            HeaderOp::PopMpls(kind) => edit::pop_mpls(packet, kind),
            HeaderOp::PushPbb(kind) => edit::push_pbb(packet, kind),
            HeaderOp::PopPbb => edit::pop_pbb(packet),
            HeaderOp::SetField { field, value, mask } => {
                set_field::set_field(packet, field, value, mask)
            }
            HeaderOp::SetIpTtl(ttl) => edit::set_ip_ttl(packet, ttl),
            HeaderOp::DecIpTtl => edit::dec_ip_ttl(packet) == edit::Ttl::Decremented,
            HeaderOp::SetMplsTtl(ttl) => edit::set_mpls_ttl(packet, ttl),
            HeaderOp::DecMplsTtl => edit::dec_mpls_ttl(packet) == edit::Ttl::Decremented,
            HeaderOp::CopyTtlOut => edit::copy_ttl_out(packet),
            HeaderOp::CopyTtlIn => edit::copy_ttl_in(packet),
            HeaderOp::Meter { .. } => true,
        }
    }

    /// Whether the edit concerns nothing but the outermost VLAN tag.
    pub(crate) fn is_vlan_set(&self) -> bool {
        use weft_frame::field::{VLAN_PCP, VLAN_TCI, VLAN_VID};
        matches!(self, HeaderOp::SetField { field, .. } if [VLAN_VID, VLAN_PCP, VLAN_TCI].contains(field))
    }

    /// Whether the edit changes which headers there are.
    pub(crate) fn is_structural(&self) -> bool {
        !matches!(
            self,
            HeaderOp::SetField { .. } | HeaderOp::SetIpTtl(_) | HeaderOp::SetMplsTtl(_)
        )
    }
}

/// What goes with a packet to the controller.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PacketIn {
    /// Port it came in by.
    pub in_port: u32,
    /// Table whose rule sent it.
    pub table_id: u8,
    /// Cookie of that rule, all ones for a packet-out's.
    pub cookie: u64,
    /// Why.
    pub reason: PacketInReason,
    /// Bytes wanted.
    pub max_len: u16,
    /// Which controller (Nicira's `controller` action), 0: all.
    pub controller_id: u16,
    /// Metadata at that point.
    pub metadata: u64,
    /// Tunnel id at that point.
    pub tunnel_id: u64,
    /// Registers at that point.
    pub regs: [u32; 16],
    /// Opaque bytes given with Nicira's `controller` action.
    pub userdata: Vec<u8>,
    /// Raised in a table of the bridge program: for program connections only.
    pub program: bool,
}

/// One step of executing a translation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum DpAction {
    /// Change the packet.
    Apply(HeaderOp),
    /// Send it out of a port.
    Output {
        /// The port.
        port_no: u32,
        /// Its queue, if one was set.
        queue_id: Option<u32>,
    },
    /// Send at most so many bytes of it out of a port.
    Truncated {
        /// The port.
        port_no: u32,
        /// Its queue, if one was set.
        queue_id: Option<u32>,
        /// How many.
        max_len: u32,
    },
    /// Show it to an observer, as the translation's sight of that number says.
    Observe(u16),
    /// Send it to the controller.
    Controller(Box<PacketIn>),
    /// Do the next so many actions on a copy.
    Fork(u32),
}

/// Everything that a packet of a translation counts on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Credits {
    /// Rules matched.
    pub flows: Vec<FlowId>,
    /// Tables looked into, and whether with success.
    pub tables: Vec<(u8, bool)>,
    /// Groups, each with the buckets used.
    pub buckets: Vec<(u32, Option<u16>)>,
    /// Flows learned earlier whose hard timeout each packet starts anew.
    pub refreshed: Vec<FlowId>,
}

/// How far lists of credits have got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Marks {
    pub flows: usize,
    pub tables: usize,
    pub buckets: usize,
    pub refreshed: usize,
}

impl Credits {
    pub(crate) fn marks(&self) -> Marks {
        Marks {
            flows: self.flows.len(),
            tables: self.tables.len(),
            buckets: self.buckets.len(),
            refreshed: self.refreshed.len(),
        }
    }
}

/// A meter that is passed when the actions are carried out ([`HeaderOp::Meter`] with this one's number plus one as its instance).
/// Between its marks are the credits of what is behind it: they are not for packets that it drops.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pass {
    /// Id of the meter.
    pub meter_id: u32,
    /// Why no fast path can do it; `None`: one may.
    pub why_not: Option<&'static str>,
    /// By which number the fast path knows the meter.
    pub cell: Option<u32>,
    pub(crate) from: Marks,
    pub(crate) to: Marks,
}

/// The outcome of translating one packet: good for every packet that agrees with it on `mask`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Translation {
    /// What to do.
    pub actions: Box<[DpAction]>,
    /// What observers are shown.
    pub sights: Box<[Sight]>,
    /// The bits looked at.
    pub mask: FlowMask,
    /// The bits that had another value somewhere on the way.
    pub edited: FlowMask,
    /// What to count on.
    pub credits: Credits,
    /// Why the packet goes nowhere, if it does.
    pub drop: Option<DropReason>,
    /// Whether other packets may be treated by it.
    pub cacheable: bool,
    /// Why each packet is walked through the tables, if there is more to say than that they may not.
    pub why_walked: Option<&'static str>,
    /// The meters that are passed when the actions are carried out.
    pub passes: Box<[Pass]>,
}

/// The tree of edits and what leaves at each of its nodes.
#[derive(Debug)]
pub(crate) struct Tree {
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    op: Option<HeaderOp>,
    leaves: Vec<DpAction>,
    children: Vec<usize>,
}

impl Tree {
    pub fn new() -> Tree {
        Tree {
            nodes: vec![Node::default()],
        }
    }

    /// Whether nothing leaves anywhere. Being looked at is not leaving.
    pub fn is_empty(&self) -> bool {
        let mut leaves = self.nodes.iter().flat_map(|node| &node.leaves);
        leaves.all(|leaf| matches!(leaf, DpAction::Observe(_)))
    }

    /// Adds an output of the packet after `ops`.
    pub fn add(&mut self, ops: &[HeaderOp], leaf: DpAction) {
        let at = self.node(ops);
        self.nodes[at].leaves.push(leaf);
    }

    /// Sees to it that `ops` are done even if nothing leaves after them, as a meter counts what it is shown.
    pub fn keep(&mut self, ops: &[HeaderOp]) {
        self.node(ops);
    }

    fn node(&mut self, ops: &[HeaderOp]) -> usize {
        let mut at = 0;
        for op in ops {
            let known = self.nodes[at].children.iter().copied();
            at = match known
                .into_iter()
                .find(|child| self.nodes[*child].op == Some(*op))
            {
                Some(child) => child,
                None => {
                    self.nodes.push(Node {
                        op: Some(*op),
                        ..Node::default()
                    });
                    let child = self.nodes.len() - 1;
                    self.nodes[at].children.push(child);
                    child
                }
            };
        }
        at
    }

    /// The steps that do it with the fewest copies.
    pub fn flatten(self) -> Box<[DpAction]> {
        let mut actions = Vec::new();
        let mut nodes = self.nodes;
        flatten(&mut nodes, 0, &mut actions);
        actions.into()
    }
}

fn flatten(nodes: &mut [Node], at: usize, actions: &mut Vec<DpAction>) {
    if let Some(op) = nodes[at].op {
        actions.push(DpAction::Apply(op));
    }
    actions.append(&mut nodes[at].leaves);
    let children = std::mem::take(&mut nodes[at].children);
    for (i, child) in children.iter().enumerate() {
        if i + 1 == children.len() {
            flatten(nodes, *child, actions);
        } else {
            let fork = actions.len();
            actions.push(DpAction::Fork(0));
            flatten(nodes, *child, actions);
            actions[fork] = DpAction::Fork((actions.len() - fork - 1) as u32);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edits::Edits;

    fn out(port_no: u32) -> DpAction {
        DpAction::Output {
            port_no,
            queue_id: None,
        }
    }

    #[test]
    fn one_branch_needs_no_copy() {
        let mut tree = Tree::new();
        tree.add(&[HeaderOp::PushVlan(0x8100)], out(1));
        tree.add(&[], out(2));
        tree.add(&[HeaderOp::PushVlan(0x8100)], out(3));
        let expected = [
            out(2),
            DpAction::Apply(HeaderOp::PushVlan(0x8100)),
            out(1),
            out(3),
        ];
        assert_eq!(&*tree.flatten(), &expected);
    }

    #[test]
    fn each_further_branch_is_forked() {
        let mut tree = Tree::new();
        tree.add(&[HeaderOp::PopVlan], out(1));
        tree.add(&[HeaderOp::PushVlan(0x8100)], out(2));
        let expected = [
            DpAction::Fork(2),
            DpAction::Apply(HeaderOp::PopVlan),
            out(1),
            DpAction::Apply(HeaderOp::PushVlan(0x8100)),
            out(2),
        ];
        assert_eq!(&*tree.flatten(), &expected);
    }

    use proptest::prelude::*;

    fn op() -> impl Strategy<Value = HeaderOp> {
        use weft_frame::field;
        let set = |field, value| HeaderOp::SetField {
            field,
            value,
            mask: u128::MAX,
        };
        prop_oneof![
            Just(HeaderOp::PushVlan(0x8100)),
            Just(HeaderOp::PushVlan(0x88a8)),
            Just(HeaderOp::PopVlan),
            Just(HeaderOp::PushMpls(0x8847)),
            (0..3u128).prop_map(move |v| set(field::VLAN_VID, v | 0x1000)),
            (0..3u128).prop_map(move |v| set(field::ETH_DST, v)),
            (0..3u128).prop_map(move |v| set(field::VLAN_PCP, v)),
        ]
    }

    /// Carries actions out as the executor does.
    fn run(mut actions: &[DpAction], packet: &mut Packet, left: &mut Vec<(u32, Vec<u8>)>) {
        while let [action, rest @ ..] = actions {
            actions = rest;
            match action {
                DpAction::Apply(op) => {
                    op.apply(packet);
                }
                DpAction::Output { port_no, .. } => left.push((*port_no, packet.bytes().to_vec())),
                DpAction::Controller(_) | DpAction::Observe(_) | DpAction::Truncated { .. } => {}
                DpAction::Fork(count) => {
                    run(&rest[..*count as usize], &mut packet.clone(), left);
                    actions = &rest[*count as usize..];
                }
            }
        }
    }

    proptest! {
        /// However outputs are arranged, each port gets the packet with just its own edits.
        #[test]
        fn the_tree_gives_each_output_its_packet(
            outputs in prop::collection::vec(prop::collection::vec(op(), 0..4), 1..8),
        ) {
            let frame = Packet::from_frame(&[7; 60]);
            let mut tree = Tree::new();
            let mut expected = Vec::new();
            for (port, ops) in outputs.iter().enumerate() {
                tree.add(ops, out(port as u32));
                let mut packet = frame.clone();
                ops.iter().for_each(|op| {
                    op.apply(&mut packet);
                });
                expected.push((port as u32, packet.bytes().to_vec()));
            }
            let mut left = Vec::new();
            run(&tree.flatten(), &mut frame.clone(), &mut left);
            left.sort();
            prop_assert_eq!(left, expected);
        }

        /// What the list of edits leaves out makes no difference.
        #[test]
        fn shortened_edits_do_the_same(ops in prop::collection::vec(op(), 0..12)) {
            let mut packet = Packet::from_frame(&[7; 60]);
            let mut edits = Edits::default();
            for (i, op) in ops.iter().enumerate() {
                if op.apply(&mut packet) {
                    edits.add(*op);
                }
                if i % 3 == 0 {
                    edits.commit();
                }
                let mut again = Packet::from_frame(&[7; 60]);
                edits.ops().iter().for_each(|op| {
                    op.apply(&mut again);
                });
                prop_assert_eq!(again.bytes(), packet.bytes());
            }
        }
    }

    #[test]
    fn a_tag_pushed_and_popped_leaves_no_trace() {
        let mut edits = Edits::default();
        let set = |field, value| HeaderOp::SetField {
            field,
            value,
            mask: u128::MAX,
        };
        edits.add(HeaderOp::PushVlan(0x8100));
        edits.add(set(weft_frame::field::VLAN_VID, 5));
        edits.add(set(weft_frame::field::ETH_DST, 6));
        edits.add(HeaderOp::PopVlan);
        assert_eq!(edits.ops(), [set(weft_frame::field::ETH_DST, 6)]);
    }
}
