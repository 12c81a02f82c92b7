//! Groups (OF 1.3.5 §5.6, §6.5).

use crate::Owner;
use crate::meter::PROGRAM_IDS;
use crate::ports::Ports;
use std::collections::BTreeMap;
use weft_classifier::hash_words;
use weft_frame::{FlowKey, FlowMask, field};
use weft_openflow::{
    Action, Bucket, ErrorCode, GroupMod, GroupModCommand, GroupType, OfError, group_no, port_no,
};

/// Most groups of a bridge.
pub const MAX_GROUPS: usize = 65_536;
/// Deepest chain of groups.
pub(crate) const MAX_CHAIN: usize = 32;

#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub kind: GroupType,
    pub buckets: Vec<Bucket>,
    /// Packets and bytes of each bucket.
    pub counters: Vec<(u64, u64)>,
    pub packets: u64,
    pub bytes: u64,
    pub made: u64,
}

/// Configuration and counters of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupView<'a> {
    /// Its id.
    pub group_id: u32,
    /// Its type.
    pub group_type: GroupType,
    /// Its buckets.
    pub buckets: &'a [Bucket],
    /// Flows and groups that use it.
    pub ref_count: u32,
    /// Packets it saw.
    pub packets: u64,
    /// Bytes it saw.
    pub bytes: u64,
    /// Nanoseconds since it was made.
    pub duration_ns: u64,
    /// Packets and bytes of each bucket.
    pub bucket_counters: &'a [(u64, u64)],
}

/// The groups of a bridge.
#[derive(Clone, Debug, Default)]
pub(crate) struct Groups {
    pub groups: BTreeMap<u32, Group>,
}

fn fail(code: ErrorCode, detail: impl Into<String>) -> OfError {
    OfError::new(code, detail)
}

/// Groups that a bucket's actions go to.
fn chained(bucket: &Bucket) -> impl Iterator<Item = u32> {
    bucket.actions.iter().filter_map(|action| match action {
        Action::Group { group_id } => Some(*group_id),
        _ => None,
    })
}

impl Groups {
    pub fn exists(&self, group_id: u32) -> bool {
        self.groups.contains_key(&group_id)
    }

    /// Number of groups that use one.
    pub fn references(&self, group_id: u32) -> u32 {
        let users = self
            .groups
            .values()
            .flat_map(|group| group.buckets.iter().flat_map(chained));
        users.filter(|id| *id == group_id).count() as u32
    }

    /// Checks a request, its actions apart, and who asks.
    pub fn check(&self, owner: Owner, request: &GroupMod) -> Result<(), OfError> {
        let id = request.group_id;
        if owner == Owner::User && (PROGRAM_IDS..=group_no::MAX).contains(&id) {
            return Err(fail(
                ErrorCode::BadRequestEperm,
                "the group belongs to the bridge program",
            ));
        }
        match request.command {
            GroupModCommand::Add | GroupModCommand::Modify => {
                if id > group_no::MAX {
                    return Err(fail(
                        ErrorCode::GroupModFailedInvalidGroup,
                        format!("id {id:#x}"),
                    ));
                }
                let exists = self.exists(id);
                if request.command == GroupModCommand::Add && exists {
                    return Err(fail(
                        ErrorCode::GroupModFailedGroupExists,
                        format!("group {id}"),
                    ));
                }
                if request.command == GroupModCommand::Modify && !exists {
                    return Err(fail(
                        ErrorCode::GroupModFailedUnknownGroup,
                        format!("group {id}"),
                    ));
                }
                if !exists && self.groups.len() >= MAX_GROUPS {
                    return Err(fail(ErrorCode::GroupModFailedOutOfGroups, ""));
                }
                self.check_buckets(request)
            }
            GroupModCommand::Delete => {
                if id <= group_no::MAX && self.references(id) > 0 {
                    let detail = format!("group {id} is used by another group");
                    return Err(fail(ErrorCode::GroupModFailedChainedGroup, detail));
                }
                Ok(())
            }
            _ => Err(fail(
                ErrorCode::GroupModFailedBadCommand,
                "unknown group command",
            )),
        }
    }

    fn check_buckets(&self, request: &GroupMod) -> Result<(), OfError> {
        match request.group_type {
            GroupType::All | GroupType::Select => {}
            GroupType::Indirect if request.buckets.len() != 1 => {
                let detail = "an indirect group has just one bucket";
                return Err(fail(ErrorCode::GroupModFailedInvalidGroup, detail));
            }
            GroupType::Indirect => {}
            GroupType::FastFailover => {
                let watches =
                    |b: &Bucket| b.watch_port != port_no::ANY || b.watch_group != group_no::ANY;
                if !request.buckets.iter().all(watches) {
                    let detail = "a bucket of a fast-failover group watches nothing";
                    return Err(fail(ErrorCode::GroupModFailedBadWatch, detail));
                }
            }
            _ => return Err(fail(ErrorCode::GroupModFailedBadType, "unknown group type")),
        }
        let watches_none =
            |group: u32| group != group_no::ANY && group != request.group_id && !self.exists(group);
        if request
            .buckets
            .iter()
            .any(|bucket| watches_none(bucket.watch_group))
        {
            return Err(fail(
                ErrorCode::GroupModFailedBadWatch,
                "no such watch group",
            ));
        }
        // Walk from the new buckets; back at the group itself: a loop.
        let mut todo: Vec<(u32, usize)> = request
            .buckets
            .iter()
            .flat_map(chained)
            .map(|id| (id, 1))
            .collect();
        let mut seen = std::collections::BTreeSet::new();
        while let Some((id, depth)) = todo.pop() {
            if id == request.group_id || depth > MAX_CHAIN {
                return Err(fail(
                    ErrorCode::GroupModFailedLoop,
                    format!("by way of group {id}"),
                ));
            }
            if seen.insert((id, depth))
                && let Some(group) = self.groups.get(&id)
            {
                todo.extend(
                    group
                        .buckets
                        .iter()
                        .flat_map(chained)
                        .map(|id| (id, depth + 1)),
                );
            }
        }
        Ok(())
    }

    /// Does what was checked. Returns the ids of deleted groups: flows that use them are the caller's to remove.
    pub fn modify(&mut self, owner: Owner, request: &GroupMod, now: u64) -> Vec<u32> {
        let id = request.group_id;
        let counters = vec![(0, 0); request.buckets.len()];
        match request.command {
            GroupModCommand::Add | GroupModCommand::Modify => {
                let old = self.groups.get(&id);
                let (packets, bytes, made) =
                    old.map_or((0, 0, now), |old| (old.packets, old.bytes, old.made));
                let buckets = request.buckets.clone();
                let kind = request.group_type;
                self.groups.insert(
                    id,
                    Group {
                        kind,
                        buckets,
                        counters,
                        packets,
                        bytes,
                        made,
                    },
                );
                Vec::new()
            }
            _ if id == group_no::ALL => {
                let all: Vec<u32> = self.groups.keys().copied().collect();
                let mine = |id: &u32| owner == Owner::Program || *id < PROGRAM_IDS;
                let deleted: Vec<u32> = all.into_iter().filter(mine).collect();
                deleted.iter().for_each(|id| {
                    self.groups.remove(id);
                });
                deleted
            }
            _ => self.groups.remove(&id).map(|_| id).into_iter().collect(),
        }
    }

    /// Whether a bucket can be used: what it watches is live (§6.5). A group is live if one of its buckets is;
    /// groups that only watch each other are not.
    pub fn bucket_live(&self, bucket: &Bucket, ports: &Ports) -> bool {
        self.live(bucket, ports, &mut BTreeMap::new())
    }

    /// `known`: what was found out already; each group is looked at once.
    fn live(&self, bucket: &Bucket, ports: &Ports, known: &mut BTreeMap<u32, bool>) -> bool {
        let port = bucket.watch_port;
        let id = bucket.watch_group;
        if port == port_no::ANY && id == group_no::ANY
            || port != port_no::ANY && ports.is_live(port)
        {
            return true;
        }
        let Some(group) = self.groups.get(&id) else {
            return false;
        };
        if let Some(live) = known.get(&id) {
            return *live;
        }
        if known.len() >= MAX_CHAIN {
            return false;
        }
        known.insert(id, false);
        let live = group
            .buckets
            .iter()
            .any(|bucket| self.live(bucket, ports, known));
        known.insert(id, live);
        live
    }

    /// Counts packets on a group and maybe one of its buckets.
    pub fn count(&mut self, group_id: u32, bucket: Option<u16>, packets: u64, bytes: u64) {
        let Some(group) = self.groups.get_mut(&group_id) else {
            return;
        };
        match bucket {
            None => {
                group.packets += packets;
                group.bytes += bytes;
            }
            Some(bucket) => {
                if let Some(counter) = group.counters.get_mut(usize::from(bucket)) {
                    counter.0 += packets;
                    counter.1 += bytes;
                }
            }
        }
    }
}

/// Bits that [`choose`] looks at: Ethernet, VLAN, IP or ARP, and transport.
pub(crate) fn hash_mask() -> FlowMask {
    let mut mask = FlowMask::ZERO;
    let fields = [
        field::ETH_DST,
        field::ETH_SRC,
        field::ETH_TYPE,
        field::VLAN_TCI,
        field::IP_PROTO,
        field::IPV4_SRC,
        field::IPV4_DST,
        field::IPV6_SRC,
        field::IPV6_DST,
        field::L4_SRC,
        field::L4_DST,
    ];
    for field in fields {
        mask.need(field);
    }
    mask
}

/// Chooses among (number, weight) by the packet's addresses: each gets a share by its weight, and when one goes
/// only its own flows move (highest random weight).
pub(crate) fn choose(key: &FlowKey, buckets: impl Iterator<Item = (usize, u16)>) -> Option<usize> {
    let key = key.masked(&hash_mask());
    let hash = hash_words(key.0);
    let score = |number: usize, weight: u16| {
        // Uniform in (0, 1]: the top 53 bits.
        let uniform = ((hash_words([hash, number as u64]) >> 11) + 1) as f64 / (1u64 << 53) as f64;
        f64::from(weight) / -uniform.ln()
    };
    buckets
        .filter(|(_, weight)| *weight > 0)
        .map(|(number, weight)| (number, score(number, weight)))
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .map(|(number, _)| number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_honoured() {
        let mut hits = [0u32; 3];
        for i in 0..20_000u128 {
            let mut key = FlowKey::ZERO;
            key.set(field::L4_SRC, i);
            let bucket = choose(&key, [(0, 1), (1, 3), (2, 0)].into_iter()).unwrap();
            hits[bucket] += 1;
        }
        assert_eq!(hits[2], 0);
        let share = f64::from(hits[1]) / 20_000.0;
        assert!((0.73..0.77).contains(&share), "{share}");
    }

    #[test]
    fn only_the_flows_of_a_bucket_that_goes_move() {
        for i in 0..1000u128 {
            let mut key = FlowKey::ZERO;
            key.set(field::IPV4_SRC, i);
            let before = choose(&key, [(0, 1), (1, 1), (2, 1)].into_iter()).unwrap();
            let after = choose(&key, [(0, 1), (2, 1)].into_iter()).unwrap();
            assert!(before == after || before == 1);
        }
    }
}
