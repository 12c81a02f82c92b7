//! Table-mod (OF 1.3.5 §7.3.3) and table features (§7.3.5.5).

use crate::text::Text;
use crate::tlv::OxmId;
use crate::wire::{wire_struct, wire_tlv, wire_union};

wire_struct! {
    /// `OFPT_TABLE_MOD`.
    pub struct TableMod {
        /// Table, or all of them.
        pub table_id: u8 [pad 3],
        /// `ofp_table_config`: reserved in 1.3.
        pub config: u32,
    }
}

wire_struct! {
    /// `ofp_table_features`.
    pub struct TableFeatures [sized at 0, errors TableFeaturesFailedBadLen] {
        [length]
        /// The table.
        pub table_id: u8 [pad 5],
        /// Its name.
        pub name: Text<32>,
        /// Metadata bits that it can match.
        pub metadata_match: u64,
        /// Metadata bits that it can write.
        pub metadata_write: u64,
        /// `ofp_table_config`.
        pub config: u32,
        /// Flows that fit.
        pub max_entries: u32,
        /// What it can do.
        pub properties: Vec<TableProperty>,
    }
}

wire_struct! {
    /// An instruction's type, as table features name it.
    pub struct InstructionId [sized at 2] {
        /// `OFPIT_*`.
        pub code: u16 [length],
        /// For experimenters: id and what follows.
        pub data: Vec<u8>,
    }
}

wire_struct! {
    /// An action's type, as table features name it.
    pub struct ActionId [sized at 2] {
        /// `OFPAT_*`.
        pub code: u16 [length],
        /// For experimenters: id and what follows.
        pub data: Vec<u8>,
    }
}

wire_union! {
    /// `ofp_table_feature_prop_*` (§7.3.5.5.2). The `…Miss` ones are of the table-miss flow.
    pub enum TableProperty: u16 {
        /// Instructions.
        Instructions = 0 (Vec<InstructionId>),
        /// Instructions of the table-miss flow.
        InstructionsMiss = 1 (Vec<InstructionId>),
        /// Tables that goto can lead to.
        NextTables = 2 (Vec<u8>),
        /// Tables that goto of the table-miss flow can lead to.
        NextTablesMiss = 3 (Vec<u8>),
        /// Actions of write-actions.
        WriteActions = 4 (Vec<ActionId>),
        /// Actions of write-actions of the table-miss flow.
        WriteActionsMiss = 5 (Vec<ActionId>),
        /// Actions of apply-actions.
        ApplyActions = 6 (Vec<ActionId>),
        /// Actions of apply-actions of the table-miss flow.
        ApplyActionsMiss = 7 (Vec<ActionId>),
        /// Fields that can be matched.
        Match = 8 (Vec<OxmId>),
        /// Fields that can be left out.
        Wildcards = 10 (Vec<OxmId>),
        /// Fields that set-field in write-actions can write.
        WriteSetfield = 12 (Vec<OxmId>),
        /// The same of the table-miss flow.
        WriteSetfieldMiss = 13 (Vec<OxmId>),
        /// Fields that set-field in apply-actions can write.
        ApplySetfield = 14 (Vec<OxmId>),
        /// The same of the table-miss flow.
        ApplySetfieldMiss = 15 (Vec<OxmId>),
        /// An experimenter's.
        Experimenter = 0xfffe {
            /// Whose.
            experimenter: u32,
            /// Its type.
            exp_type: u32,
            /// The rest.
            data: Vec<u8>,
        },
        /// An experimenter's, of the table-miss flow.
        ExperimenterMiss = 0xffff {
            /// Whose.
            experimenter: u32,
            /// Its type.
            exp_type: u32,
            /// The rest.
            data: Vec<u8>,
        },
    }
    also {
        /// A property that is not known.
        Unknown {
            /// Its type.
            code: u16,
            /// All after type and length.
            data: Vec<u8>,
        },
    }
}

wire_tlv!(TableProperty, padded, errors TableFeaturesFailedBadLen);
