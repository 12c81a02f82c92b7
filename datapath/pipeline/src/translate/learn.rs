//! The `learn` action: a flow made from the packet at hand.

use super::Walk;
use crate::fields::compile;
use crate::nicira::Subfield;
use weft_openflow::learn::learn_flags;
use weft_openflow::{
    Action, FlowMod, FlowModCommand, Instruction, Learn, LearnSource, LearnTarget, Match, NxAction,
    OxmId, OxmTlv, flow_mod_flags,
};

/// Most flows that one packet learns or refreshes.
const MAX_LEARNED: usize = 256;

impl Walk<'_, '_> {
    /// Learns; a flow that is there already, and the same, only has its timeouts started anew, which a cached
    /// translation can do too.
    pub(super) fn learn(&mut self, learn: &Learn) {
        if self.learned.len() + self.credits.refreshed.len() >= MAX_LEARNED {
            return;
        }
        let request = self.learned_flow(learn);
        let Ok(compiled) = compile(&request.match_) else {
            return;
        };
        let tables = self.world.tables;
        if let Some(id) = tables.find(request.table_id, &compiled, request.priority)
            && let Some(flow) = tables.flows.get(id)
            && *flow.instructions == *request.instructions
            && flow.cookie == request.cookie
            && flow.idle_timeout == request.idle_timeout
            && flow.hard_timeout == request.hard_timeout
        {
            self.credits.refreshed.push(id);
            return;
        }
        self.learned.push(request);
    }

    fn learned_flow(&mut self, learn: &Learn) -> FlowMod {
        let mut fields: Vec<OxmTlv> = Vec::new();
        let mut actions = Vec::new();
        for spec in &learn.specs {
            let value = match &spec.source {
                LearnSource::Field { field, offset } => self.read(field, *offset, spec.n_bits),
                LearnSource::Immediate(bytes) => {
                    let tail = &bytes[bytes.len().saturating_sub(16)..];
                    tail.iter()
                        .fold(0, |number, byte| number << 8 | u128::from(*byte))
                }
            };
            match &spec.target {
                LearnTarget::Match { field, offset } => {
                    if let Some(bits) = Subfield::new(field, *offset, spec.n_bits) {
                        add_match(&mut fields, bits, value);
                    }
                }
                LearnTarget::Load { field, offset } => {
                    actions.extend(load(field, *offset, spec.n_bits, value));
                }
                LearnTarget::Output => actions.push(Action::Output {
                    port: value as u32,
                    max_len: 0,
                }),
            }
        }
        let mut request = FlowMod::new(FlowModCommand::Add, learn.table_id);
        request.cookie = learn.cookie;
        request.idle_timeout = learn.idle_timeout;
        request.hard_timeout = learn.hard_timeout;
        request.priority = learn.priority;
        if learn.flags & learn_flags::SEND_FLOW_REM != 0 {
            request.flags |= flow_mod_flags::SEND_FLOW_REM;
        }
        request.match_ = fields.into_iter().collect::<Match>();
        if !actions.is_empty() {
            request.instructions = vec![Instruction::ApplyActions { actions }];
        }
        request
    }
}

/// Adds bits to the match of their field.
fn add_match(fields: &mut Vec<OxmTlv>, bits: Subfield, value: u128) {
    let max = bits.oxm.info().max();
    let (value, mask) = ((value & bits.ones()) << bits.offset, bits.mask());
    let (old_value, old_mask) = match fields.iter().position(|tlv| tlv.field == bits.oxm) {
        Some(at) => {
            let old = fields.remove(at);
            (old.value, old.mask_or_max())
        }
        None => (0, 0),
    };
    let (value, mask) = (old_value & !mask | value, old_mask | mask);
    let mask = (mask != max).then_some(mask);
    fields.push(OxmTlv {
        field: bits.oxm,
        value,
        mask,
    });
}

/// Loads of at most 64 bits each.
fn load(field: &OxmId, offset: u16, count: u16, value: u128) -> Vec<Action> {
    let mut actions = Vec::new();
    let mut done = 0;
    while done < count {
        let n = (count - done).min(64);
        let ones = if n == 64 { u64::MAX } else { (1 << n) - 1 };
        let value = (value >> done) as u64 & ones;
        let ofs_nbits = (offset + done) << 6 | (n - 1);
        actions.push(Action::Nicira(NxAction::RegLoad {
            ofs_nbits,
            dst: *field,
            value,
        }));
        done += n;
    }
    actions
}
