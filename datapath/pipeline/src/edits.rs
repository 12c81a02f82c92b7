//! The edits of a packet on its way through the tables, kept as few as they can be.

use crate::datapath::HeaderOp;

/// Edits since the packet came in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Edits {
    ops: Vec<HeaderOp>,
    /// How many of them a packet that has left already has seen.
    committed: usize,
}

impl Edits {
    /// The edits, in order.
    pub fn ops(&self) -> &[HeaderOp] {
        &self.ops
    }

    /// Says that a packet has left with all edits so far.
    pub fn commit(&mut self) {
        self.committed = self.ops.len();
    }

    /// Adds an edit, leaving out what it undoes.
    pub fn add(&mut self, op: HeaderOp) {
        match op {
            HeaderOp::PopVlan => {
                let last = self.ops.iter().rposition(HeaderOp::is_structural);
                if let Some(at) = last
                    && matches!(self.ops[at], HeaderOp::PushVlan(_))
                {
                    // Popped is what was pushed: neither happens, nor what was written into the tag.
                    let mut index = 0;
                    self.ops.retain(|op| {
                        index += 1;
                        index - 1 < at || index - 1 > at && !op.is_vlan_set()
                    });
                    self.committed = self.committed.min(at);
                    return;
                }
            }
            HeaderOp::SetField { field, value, mask } => {
                let settled = self
                    .ops
                    .iter()
                    .rposition(HeaderOp::is_structural)
                    .map_or(0, |at| at + 1);
                let from = settled.max(self.committed);
                for old in &mut self.ops[from..] {
                    if let HeaderOp::SetField {
                        field: f,
                        value: v,
                        mask: m,
                    } = old
                        && *f == field
                    {
                        *v = *v & !mask | value & mask;
                        *m |= mask;
                        return;
                    }
                }
            }
            _ => {}
        }
        self.ops.push(op);
    }
}
