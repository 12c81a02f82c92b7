//! Meters (OF 1.3.5 §7.3.4.4).

use crate::error::{ErrorCode, Fault};
use crate::wire::{Reader, Wire, open_enum, patch_length, wire_struct, wire_union};

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

impl Wire for MeterBand {
    fn read(r: &mut Reader<'_>) -> Result<Self, Fault> {
        r.bad_len = ErrorCode::MeterModFailedBadBand;
        let mut own = r.sized(2)?;
        let code = u16::read(&mut own)?;
        own.skip(2)?;
        let band = match Self::read_known(code, &mut own)? {
            Some(band) => band,
            None => MeterBand::Unknown {
                code,
                data: own.take_all().to_vec(),
            },
        };
        own.finish()?;
        Ok(band)
    }

    fn write(&self, w: &mut Vec<u8>) {
        let start = w.len();
        let code = match self {
            MeterBand::Unknown { code, .. } => *code,
            _ => self.known_code().unwrap_or_default(),
        };
        code.write(w);
        0u16.write(w);
        match self {
            MeterBand::Unknown { data, .. } => data.write(w),
            _ => self.write_known(w),
        }
        patch_length(w, start, start + 2);
    }
}

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
