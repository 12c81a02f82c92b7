//! Entries of multipart replies (OF 1.3.5 §7.3.5).

use crate::group::{Bucket, GroupType};
use crate::instruction::Instruction;
use crate::matching::Match;
use crate::meter::MeterBand;
use crate::text::Text;
use crate::wire::wire_struct;

wire_struct! {
    /// `ofp_desc` (§7.3.5.1).
    pub struct Desc {
        /// Manufacturer.
        pub mfr_desc: Text<256>,
        /// Hardware.
        pub hw_desc: Text<256>,
        /// Software.
        pub sw_desc: Text<256>,
        /// Serial number.
        pub serial_num: Text<32>,
        /// The datapath, in words.
        pub dp_desc: Text<256>,
    }
}

wire_struct! {
    /// `ofp_flow_stats_request`, `ofp_aggregate_stats_request` (§7.3.5.2, §7.3.5.3): which flows.
    pub struct FlowStatsRequest {
        /// Table, or [`crate::table_no::ALL`].
        pub table_id: u8 [pad 3],
        /// Only flows that output here; [`crate::port_no::ANY`]: all.
        pub out_port: u32,
        /// Only flows that use this group; [`crate::group_no::ANY`]: all.
        pub out_group: u32 [pad 4],
        /// Cookie.
        pub cookie: u64,
        /// Bits of the cookie that must match; 0: any.
        pub cookie_mask: u64,
        /// Only flows whose match is as narrow as this or narrower.
        pub match_: Match,
    }
}

wire_struct! {
    /// `ofp_flow_stats` (§7.3.5.2).
    pub struct FlowStats [sized at 0] {
        [length]
        /// Table.
        pub table_id: u8 [pad 1],
        /// Whole seconds it is there.
        pub duration_sec: u32,
        /// Nanoseconds beyond.
        pub duration_nsec: u32,
        /// Priority.
        pub priority: u16,
        /// Idle timeout in seconds.
        pub idle_timeout: u16,
        /// Hard timeout in seconds.
        pub hard_timeout: u16,
        /// [`crate::flow_mod_flags`].
        pub flags: u16 [pad 4],
        /// Cookie.
        pub cookie: u64,
        /// Packets.
        pub packet_count: u64,
        /// Bytes.
        pub byte_count: u64,
        /// Match.
        pub match_: Match,
        /// Instructions.
        pub instructions: Vec<Instruction>,
    }
}

impl FlowStats {
    /// The structure as on the wire.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        crate::wire::Wire::write(self, &mut bytes);
        bytes
    }
}

wire_struct! {
    /// `ofp_aggregate_stats_reply` (§7.3.5.3).
    pub struct AggregateStats {
        /// Packets.
        pub packet_count: u64,
        /// Bytes.
        pub byte_count: u64,
        /// Flows.
        pub flow_count: u32 [pad 4],
    }
}

wire_struct! {
    /// `ofp_table_stats` (§7.3.5.4).
    pub struct TableStats {
        /// Table.
        pub table_id: u8 [pad 3],
        /// Flows.
        pub active_count: u32,
        /// Packets looked up.
        pub lookup_count: u64,
        /// Packets that matched.
        pub matched_count: u64,
    }
}

wire_struct! {
    /// `ofp_port_stats_request` (§7.3.5.6).
    pub struct PortStatsRequest {
        /// Port, or [`crate::port_no::ANY`].
        pub port_no: u32 [pad 4],
    }
}

wire_struct! {
    /// `ofp_port_stats` (§7.3.5.6). A counter that is not kept is all ones.
    pub struct PortStats {
        /// Port.
        pub port_no: u32 [pad 4],
        /// Packets received.
        pub rx_packets: u64,
        /// Packets sent.
        pub tx_packets: u64,
        /// Bytes received.
        pub rx_bytes: u64,
        /// Bytes sent.
        pub tx_bytes: u64,
        /// Packets dropped on receipt.
        pub rx_dropped: u64,
        /// Packets dropped instead of sent.
        pub tx_dropped: u64,
        /// Receive errors.
        pub rx_errors: u64,
        /// Transmit errors.
        pub tx_errors: u64,
        /// Frame alignment errors.
        pub rx_frame_err: u64,
        /// Overruns.
        pub rx_over_err: u64,
        /// CRC errors.
        pub rx_crc_err: u64,
        /// Collisions.
        pub collisions: u64,
        /// Whole seconds the port is there.
        pub duration_sec: u32,
        /// Nanoseconds beyond.
        pub duration_nsec: u32,
    }
}

wire_struct! {
    /// `ofp_queue_stats_request` (§7.3.5.8).
    pub struct QueueStatsRequest {
        /// Port, or [`crate::port_no::ANY`].
        pub port_no: u32,
        /// Queue, or [`crate::queue_no::ALL`].
        pub queue_id: u32,
    }
}

wire_struct! {
    /// `ofp_queue_stats` (§7.3.5.8).
    pub struct QueueStats {
        /// Port.
        pub port_no: u32,
        /// Queue.
        pub queue_id: u32,
        /// Bytes sent.
        pub tx_bytes: u64,
        /// Packets sent.
        pub tx_packets: u64,
        /// Packets dropped by overrun.
        pub tx_errors: u64,
        /// Whole seconds the queue is there.
        pub duration_sec: u32,
        /// Nanoseconds beyond.
        pub duration_nsec: u32,
    }
}

wire_struct! {
    /// `ofp_group_stats_request` (§7.3.5.9).
    pub struct GroupStatsRequest {
        /// Group, or [`crate::group_no::ALL`].
        pub group_id: u32 [pad 4],
    }
}

wire_struct! {
    /// `ofp_bucket_counter` (§7.3.5.9).
    pub struct BucketCounter {
        /// Packets.
        pub packet_count: u64,
        /// Bytes.
        pub byte_count: u64,
    }
}

wire_struct! {
    /// `ofp_group_stats` (§7.3.5.9).
    pub struct GroupStats [sized at 0] {
        [length] [pad 2]
        /// Group.
        pub group_id: u32,
        /// Flows and groups that use it.
        pub ref_count: u32 [pad 4],
        /// Packets.
        pub packet_count: u64,
        /// Bytes.
        pub byte_count: u64,
        /// Whole seconds it is there.
        pub duration_sec: u32,
        /// Nanoseconds beyond.
        pub duration_nsec: u32,
        /// Of each bucket.
        pub bucket_stats: Vec<BucketCounter>,
    }
}

wire_struct! {
    /// `ofp_group_desc` (§7.3.5.10).
    pub struct GroupDesc [sized at 0] {
        [length]
        /// Type.
        pub group_type: GroupType [pad 1],
        /// Group.
        pub group_id: u32,
        /// Buckets.
        pub buckets: Vec<Bucket>,
    }
}

wire_struct! {
    /// `ofp_group_features` (§7.3.5.11). Lists go by group type: all, select, indirect, fast failover.
    pub struct GroupFeatures {
        /// Bitmap of types supported.
        pub types: u32,
        /// [`crate::group_capabilities`].
        pub capabilities: u32,
        /// Most groups of each type.
        pub max_groups: [u32; 4],
        /// Bitmaps of `OFPAT_*` supported in each type.
        pub actions: [u32; 4],
    }
}

wire_struct! {
    /// `ofp_meter_multipart_request` (§7.3.5.12).
    pub struct MeterMultipartRequest {
        /// Meter, or [`crate::meter_no::ALL`].
        pub meter_id: u32 [pad 4],
    }
}

wire_struct! {
    /// `ofp_meter_band_stats` (§7.3.5.12).
    pub struct MeterBandStats {
        /// Packets in the band.
        pub packet_band_count: u64,
        /// Bytes in the band.
        pub byte_band_count: u64,
    }
}

wire_struct! {
    /// `ofp_meter_stats` (§7.3.5.12).
    pub struct MeterStats [sized at 4] {
        /// Meter.
        pub meter_id: u32 [length] [pad 6],
        /// Flows that use it.
        pub flow_count: u32,
        /// Packets that came in.
        pub packet_in_count: u64,
        /// Bytes that came in.
        pub byte_in_count: u64,
        /// Whole seconds it is there.
        pub duration_sec: u32,
        /// Nanoseconds beyond.
        pub duration_nsec: u32,
        /// Of each band.
        pub band_stats: Vec<MeterBandStats>,
    }
}

wire_struct! {
    /// `ofp_meter_config` (§7.3.5.13).
    pub struct MeterConfig [sized at 0] {
        [length]
        /// [`crate::meter_flags`].
        pub flags: u16,
        /// Meter.
        pub meter_id: u32,
        /// Bands.
        pub bands: Vec<MeterBand>,
    }
}

wire_struct! {
    /// `ofp_meter_features` (§7.3.5.14).
    pub struct MeterFeatures {
        /// Most meters.
        pub max_meter: u32,
        /// Bitmap of band types (bit *n*: type *n*).
        pub band_types: u32,
        /// [`crate::meter_flags`].
        pub capabilities: u32,
        /// Most bands of a meter.
        pub max_bands: u8,
        /// Greatest number of a colour.
        pub max_color: u8 [pad 2],
    }
}
