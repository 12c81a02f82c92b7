//! Settings of a pipeline.

/// Table that the bridge program starts at on this datapath, and what `OFPP_NORMAL` resubmits to.
pub const PROGRAM_TABLE: u8 = 64;

/// Place of the table `mirror` in the bridge program (`src/programs/bridge/tables.ts`).
const MIRROR: u8 = 8;

/// Settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// First table of the bridge program, which users may not change; `None`: all tables are users'.
    pub program_table: Option<u8>,
    /// Most flows of a table.
    pub max_flows: usize,
    /// Most cached translations.
    pub cache_limit: usize,
    /// Drop IP fragments (`OFPC_FRAG_DROP`).
    pub drop_fragments: bool,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            program_table: None,
            max_flows: 1 << 20,
            cache_limit: 65_536,
            drop_fragments: false,
        }
    }
}

impl Config {
    /// The bridge program's table of that name: what leaves there is a mirror's copy, which observers do not count.
    /// None where the program is not the bridge program: the datapath's own for NORMAL has its tables at the end.
    pub fn mirror_table(&self) -> Option<u8> {
        self.program_table?.checked_add(MIRROR)
    }

    /// Table that `OFPP_NORMAL` means.
    pub fn normal_table(&self) -> u8 {
        self.program_table.unwrap_or(PROGRAM_TABLE)
    }
}
