//! Meters (OF 1.3.5 §7.3.4.4).

use crate::wire::{open_enum, wire_struct, wire_tlv, wire_union};

open_enum! {
    /// `ofp_meter_mod_command`.
    pub enum MeterModCommand: u16 {
        /// New meter.
        Add = 0,
        /// Replace a meter.
        Modify = 1,
        /// Delete a meter.
        Delete = 2,
    }
}

wire_union! {
    /// A band of a meter. Rates are in the meter's unit, per second; bursts in that unit.
    pub enum MeterBand: u16 {
        /// Drop what goes beyond.
        Drop = 1 {
            /// Rate above which the band applies.
            rate: u32,
            /// Burst.
            burst_size: u32 [pad 4],
        },
        /// Raise the drop precedence of what goes beyond.
        DscpRemark = 2 {
            /// Rate above which the band applies.
            rate: u32,
            /// Burst.
            burst_size: u32,
            /// Levels to add.
            prec_level: u8 [pad 3],
        },
        /// An experimenter's band.
        Experimenter = 0xffff {
            /// Rate above which the band applies.
            rate: u32,
            /// Burst.
            burst_size: u32,
            /// Whose.
            experimenter: u32,
            /// The rest.
            data: Vec<u8>,
        },
    }
    also {
        /// A band of a type that is not known.
        Unknown {
            /// Its type.
            code: u16,
            /// All after type and length.
            data: Vec<u8>,
        },
    }
}

wire_tlv!(MeterBand, unpadded, errors MeterModFailedBadBand);

wire_struct! {
    /// `OFPT_METER_MOD`.
    pub struct MeterMod {
        /// What to do.
        pub command: MeterModCommand,
        /// [`crate::meter_flags`].
        pub flags: u16,
        /// Its id.
        pub meter_id: u32,
        /// Its bands.
        pub bands: Vec<MeterBand>,
    }
}
