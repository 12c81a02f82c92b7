//! What user space and the BPF program share: mirrors `bpf/layout.h`.

/// Words of a short key: ifindex and mask id, then Ethernet and VLAN (words 13 to 15 of a `FlowKey`).
pub const SHORT_WORDS: usize = 4;
/// Words of a full key: those, then 16 to 22.
pub const FULL_WORDS: usize = 11;
/// Masks on short keys.
pub const MAX_SHORT_MASKS: usize = 16;
/// Masks on full keys.
pub const MAX_FULL_MASKS: usize = 32;
/// Buckets of the table of keys.
pub const BUCKETS: usize = 32768;
/// Keys in a bucket.
pub const BUCKET_ENTRIES: usize = 8;
/// Bits of a bucket's entry that are a record's number plus one; the others are of the key's hash.
pub const NUMBER_BITS: u32 = 18;
/// Operations in a flow's record itself.
pub const INLINE_OPS: usize = 3;
/// `FOLLOWS_ALL`: none of the flow's packets has met its record yet.
pub const FOLLOWS_ALL: u8 = 1;
/// A new flow's `behind`: so many packets, above `BEHIND_BITS`, may go by user space after others. Order is not worth more, as who
/// sends without a pause would never get off that way.
pub const BEHIND: u64 = 512 << 48;
/// Operations of a longer program.
pub const MAX_OPS: usize = 128;

/// `struct config`
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Config {
    pub punt_ifindex: u32,
    pub punt_limit: u32,
    pub flows: u32,
    pub n_short: u32,
    pub n_full: u32,
    pub punt_room: u32,
    pub changes: u32,
    pub reserved: u32,
    pub seed: [u64; FULL_WORDS],
    pub full_union: [u64; FULL_WORDS],
    pub short_order: [u32; MAX_SHORT_MASKS],
    pub full_order: [u32; MAX_FULL_MASKS],
    pub short_mask: [[u64; SHORT_WORDS]; MAX_SHORT_MASKS],
    pub full_mask: [[u64; FULL_WORDS]; MAX_FULL_MASKS],
}

/// `struct bucket`
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Bucket {
    pub entry: [u64; BUCKET_ENTRIES],
}

/// `enum op_code`
pub mod op_code {
    pub const OUTPUT: u8 = 1;
    pub const POP_VLAN: u8 = 2;
    pub const PUSH_VLAN: u8 = 3;
    pub const SET_ETH: u8 = 5;
    pub const QUEUE: u8 = 6;
    pub const WRITE: u8 = 7;
    /// And as many words further as the piece is into the header.
    pub const WRITE_IPV4: u8 = 8;
    pub const METER: u8 = 13;
}

/// `enum op_flags`
pub mod op_flags {
    pub const LAST: u8 = 1;
    pub const PEER: u8 = 2;
    pub const INGRESS: u8 = 4;
    pub const RESTORE: u8 = 1;
}

/// `enum write_flags`
pub mod write_flags {
    pub const TRANSPORT: u8 = 4;
    pub const PSEUDO: u8 = 8;
    pub const UDP: u8 = 16;
    pub const ALWAYS: u8 = 32;
}

/// `struct op`
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Op {
    pub code: u8,
    pub flags: u8,
    pub small: u16,
    pub word: u32,
}

/// `struct flow`
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Flow {
    pub n_ops: u8,
    pub follows: u8,
    pub program: u16,
    pub watch: u32,
    pub op: [Op; INLINE_OPS],
    pub key: [u64; FULL_WORDS],
    pub behind: u64,
}

/// `struct program`
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Program {
    pub op: [Op; MAX_OPS],
}

/// `struct count`
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    pub packets: u64,
    pub bytes: u64,
    pub padding: u64,
    pub reserved: u64,
}

/// Meters of all bridges; the cells themselves are the pipeline's.
pub const MAX_METERS: u32 = 16384;
/// Places in flows where meters are passed.
pub const MAX_PASSES: u32 = 16384;

/// `struct dropped`
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    pub packets: u64,
    pub bytes: u64,
}

/// `struct port`
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Port {
    pub sent: u64,
    pub dropped: u64,
    pub taken: u64,
    pub internal: u64,
}

/// `PUNT_LOAD`
pub fn punt_load(bytes: usize) -> u64 {
    1 + bytes as u64 / 512
}

/// Ports of all bridges, and `SLOT_BITS`.
pub const MAX_PORTS: u32 = 1 << 12;

/// `SLOT_OF`
pub fn slot_of(mark: u16) -> usize {
    usize::from(mark) % MAX_PORTS as usize
}

/// What the next port in the place of one has: frames of that one may be on their way yet.
pub fn next_mark(mark: u16) -> u16 {
    mark.wrapping_add(MAX_PORTS as u16)
}

/// Watches; the first is nobody's.
pub const MAX_WATCHES: u32 = 8192;
/// Observers that one flow's packets are shown to.
pub const MAX_SIGHTS: usize = 6;
/// Observers of all bridges.
pub const MAX_OBSERVED: u32 = 256;

/// `enum sight_kind`
pub mod sight_kind {
    pub const SAMPLE: u8 = 1;
    pub const ACCOUNT: u8 = 2;
}

/// `struct sight`
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Sight {
    pub kind: u8,
    pub slot: u8,
    pub header_bytes: u16,
    pub threshold: u32,
}

/// `struct watch`
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Watch {
    pub n: u32,
    pub accounts: u32,
    pub sight: [Sight; MAX_SIGHTS],
    pub reserved: u64,
}

/// `struct seen`
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub pool: u64,
    pub drops: u64,
    pub lost: u64,
    pub reserved: u64,
}

/// `struct turn`
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Turn {
    pub value: u64,
    pub apart: [u64; 7],
}

/// Words of `struct account_key`: watch, place and kind; protocol and ToS; addresses; ports.
pub const ACCOUNT_KEY_WORDS: usize = 8;
/// Words of `struct account`: packets, octets, first, last, flags, Ethernet destination and source.
pub const ACCOUNT_WORDS: usize = 7;

/// `enum stat`
pub const STATISTICS: [&str; 7] = [
    "misses",
    "deep",
    "errors",
    "too_long",
    "punt_drops",
    "unseen",
    "behind",
];
/// `STAT_PUNT_DROP`
pub const PUNT_DROP: usize = 4;
/// Slots of the statistics array.
pub const STATS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::size_of;

    #[test]
    fn sizes_are_those_of_the_program() {
        assert_eq!(size_of::<Op>(), 8);
        assert_eq!(size_of::<Flow>(), 128);
        assert_eq!(size_of::<Count>(), 32);
        assert_eq!(size_of::<Bucket>(), 64);
        assert_eq!(size_of::<Port>(), 32);
        assert_eq!(size_of::<Watch>(), 64);
        assert_eq!(size_of::<Seen>(), 32);
        assert_eq!(size_of::<Turn>(), 64);
        assert_eq!(size_of::<Dropped>(), 16);
        let masks = MAX_SHORT_MASKS * SHORT_WORDS * 8 + MAX_FULL_MASKS * FULL_WORDS * 8;
        assert_eq!(
            size_of::<Config>(),
            32 + 2 * FULL_WORDS * 8 + (MAX_SHORT_MASKS + MAX_FULL_MASKS) * 4 + masks
        );
    }
}
