//! Groups (OF 1.3.5 §5.6.1): each bucket works on a copy of the packet, as an action set.

use super::Walk;
use crate::drops::DropReason;
use crate::group::{Group, choose, hash_mask};
use crate::trace::Step;
use weft_openflow::GroupType;

/// Most buckets used for one packet: chains of groups multiply.
const MAX_BUCKETS: usize = 65_536;

impl Walk<'_, '_> {
    pub(super) fn group(&mut self, group_id: u32) {
        let groups = self.world.groups;
        let Some(group) = groups.groups.get(&group_id) else {
            self.note(DropReason::GroupEmpty);
            return;
        };
        self.credits.buckets.push((group_id, None));
        match group.kind {
            GroupType::All => {
                for number in 0..group.buckets.len() {
                    self.bucket(group_id, group, number);
                }
                if group.buckets.is_empty() {
                    self.note(DropReason::GroupEmpty);
                }
            }
            GroupType::Select => {
                self.look(&hash_mask());
                let ports = self.world.ports;
                let live = group.buckets.iter().enumerate();
                let live = live.filter(|(_, bucket)| groups.bucket_live(bucket, ports));
                let chosen = choose(&self.state.key, live.map(|(number, b)| (number, b.weight)));
                self.bucket_or_none(group_id, group, chosen);
            }
            GroupType::FastFailover => {
                let ports = self.world.ports;
                let chosen = group
                    .buckets
                    .iter()
                    .position(|b| groups.bucket_live(b, ports));
                self.bucket_or_none(group_id, group, chosen);
            }
            _ => self.bucket_or_none(group_id, group, Some(0)),
        }
    }

    fn bucket_or_none(&mut self, group_id: u32, group: &Group, number: Option<usize>) {
        match number {
            Some(number) => self.bucket(group_id, group, number),
            None => self.note(DropReason::GroupEmpty),
        }
    }

    fn bucket(&mut self, group_id: u32, group: &Group, number: usize) {
        let Some(bucket) = group.buckets.get(number) else {
            return;
        };
        if self.credits.buckets.len() >= MAX_BUCKETS {
            self.note(DropReason::Recursion);
            return;
        }
        self.credits.buckets.push((group_id, Some(number as u16)));
        self.log(|| Step::Bucket {
            group_id,
            bucket: number,
        });
        let mut set = Vec::new();
        crate::action_set::write(&mut set, &bucket.actions);
        let set = crate::action_set::ordered(set);
        self.on_copy(|walk| {
            walk.actions(&set);
        });
    }
}
