//! Ports (OF 1.3.5 §7.2.1), port-mod (§7.3.4.3), port-status (§7.4.3).

use crate::MacAddr;
use crate::text::Text;
use crate::wire::{open_enum, wire_struct};

wire_struct! {
    /// `ofp_port`.
    pub struct Port {
        /// Number.
        pub port_no: u32 [pad 4],
        /// MAC address.
        pub hw_addr: MacAddr [pad 2],
        /// Name.
        pub name: Text<16>,
        /// [`crate::port_config`].
        pub config: u32,
        /// [`crate::port_state`].
        pub state: u32,
        /// Current [`crate::port_features`].
        pub curr: u32,
        /// Advertised features.
        pub advertised: u32,
        /// Supported features.
        pub supported: u32,
        /// Features that the peer advertises.
        pub peer: u32,
        /// Current speed in kbit/s.
        pub curr_speed: u32,
        /// Greatest speed in kbit/s.
        pub max_speed: u32,
    }
}

wire_struct! {
    /// `OFPT_PORT_MOD`.
    pub struct PortMod {
        /// Which port.
        pub port_no: u32 [pad 4],
        /// Its MAC address, as a check.
        pub hw_addr: MacAddr [pad 2],
        /// [`crate::port_config`].
        pub config: u32,
        /// Bits of it to change.
        pub mask: u32,
        /// Features to advertise; 0: no change.
        pub advertise: u32 [pad 4],
    }
}

open_enum! {
    /// `ofp_port_reason`.
    pub enum PortReason: u8 {
        /// The port was added.
        Add = 0,
        /// The port was removed.
        Delete = 1,
        /// The port has changed.
        Modify = 2,
    }
}

wire_struct! {
    /// `OFPT_PORT_STATUS`.
    pub struct PortStatus {
        /// What happened.
        pub reason: PortReason [pad 7],
        /// The port.
        pub desc: Port,
    }
}
