//! Groups (OF 1.3.5 §7.3.4.2).

use crate::action::Action;
use crate::wire::{open_enum, wire_struct};

open_enum! {
    /// `ofp_group_mod_command`.
    pub enum GroupModCommand: u16 {
        /// New group.
        Add = 0,
        /// Replace a group.
        Modify = 1,
        /// Delete a group.
        Delete = 2,
    }
}

open_enum! {
    /// `ofp_group_type`.
    pub enum GroupType: u8 {
        /// All buckets.
        All = 0,
        /// One bucket, chosen by weight.
        Select = 1,
        /// The one bucket.
        Indirect = 2,
        /// The first live bucket.
        FastFailover = 3,
    }
}

wire_struct! {
    /// `ofp_bucket`.
    pub struct Bucket [sized at 0, errors GroupModFailedBadBucket] {
        [length]
        /// Share of the packets, for select groups.
        pub weight: u16,
        /// Port whose state decides whether the bucket is live, or [`crate::port_no::ANY`].
        pub watch_port: u32,
        /// Group whose state decides it, or [`crate::group_no::ANY`].
        pub watch_group: u32 [pad 4],
        /// What the bucket does, as an action set.
        pub actions: Vec<Action>,
    }
}

wire_struct! {
    /// `OFPT_GROUP_MOD`.
    pub struct GroupMod {
        /// What to do.
        pub command: GroupModCommand,
        /// Type of the group.
        pub group_type: GroupType [pad 1],
        /// Its id.
        pub group_id: u32,
        /// Its buckets.
        pub buckets: Vec<Bucket>,
    }
}
