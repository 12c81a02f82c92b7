//! What both threads and the control channel call things.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
pub use weft_agent::{FailMode, TableLimit};
use weft_netdev::QueueShape;

use crate::target::Target;

/// The bridge's own interface (OF 1.3.5 §7.2.1).
pub const OFPP_LOCAL: u32 = 0xffff_fffe;
/// Largest number given to a port. OpenFlow 1.3 has more, but Open vSwitch's extensions carry 16 bits.
pub const OFPP_MAX: u32 = 0xfeff;

/// A bridge as it is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BridgeSpec {
    /// Name, also of its sockets.
    pub name: String,
    /// Datapath id.
    pub datapath_id: u64,
    /// What it does without its controllers.
    pub fail_mode: FailMode,
    /// Controllers to connect to.
    pub controllers: Vec<Target>,
    /// Where to listen for controllers, beside the management socket.
    pub listeners: Vec<Target>,
    /// First table of the bridge program; none in the stand-alone form.
    pub program_table: Option<u8>,
    /// For the description reply.
    pub description: String,
    /// How full users' tables may get, where that is not as usual.
    pub table_limits: BTreeMap<u8, TableLimit>,
    /// Ports known from the start (stand-alone form).
    pub ports: Vec<PortSpec>,
}

impl BridgeSpec {
    /// A bridge without anything.
    pub fn new(name: String, datapath_id: u64) -> Self {
        BridgeSpec {
            name,
            datapath_id,
            fail_mode: FailMode::Secure,
            controllers: Vec::new(),
            listeners: Vec::new(),
            program_table: None,
            description: String::new(),
            table_limits: BTreeMap::new(),
            ports: Vec::new(),
        }
    }
}

/// What kind of device a port is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceType {
    /// A network device that exists without us.
    System,
    /// A tap that we make.
    Internal,
    /// One end of a veth pair that we make; the other end is a port of that name.
    Patch,
}

impl DeviceType {
    /// Whether the device is ours: made, and removed, with its port.
    pub fn is_own(self) -> bool {
        self != DeviceType::System
    }
}

/// A port as it is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortSpec {
    /// Name of the device.
    pub name: String,
    /// Kind of the device.
    pub device_type: DeviceType,
    /// OpenFlow port number, if it must be that one.
    pub ofport: Option<u32>,
    /// Address of an internal device.
    pub mac: Option<[u8; 6]>,
    /// MTU of an internal device.
    pub mtu: Option<u32>,
    /// Queues at its egress.
    pub qos: Option<Qos>,
    /// Limit of what it may send into the switch.
    pub policing: Option<Policing>,
    /// Name of a patch port's other end.
    pub peer: Option<String>,
}

impl PortSpec {
    /// A port of which nothing else is asked.
    pub fn new(name: String, device_type: DeviceType, ofport: Option<u32>) -> PortSpec {
        PortSpec {
            name,
            device_type,
            ofport,
            mac: None,
            mtu: None,
            qos: None,
            policing: None,
            peer: None,
        }
    }
}

/// Queues of a port, in Open vSwitch's words (`linux-htb`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Qos {
    /// Rate of all queues together, bit/s; that of the link without it.
    pub max_rate: Option<u64>,
    /// The queues.
    pub queues: Vec<QueueShape>,
}

/// Limit of what a port may send into the switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Policing {
    /// Thousands of bits per second, greater than zero.
    pub rate_kbps: u32,
    /// Thousands of bits that may come at once.
    pub burst_kbits: u32,
}

/// A port as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PortInfo {
    /// Name of the device.
    pub name: String,
    /// Kind of the device.
    #[serde(rename = "type")]
    pub device_type: DeviceType,
    /// OpenFlow port number.
    pub ofport: u32,
    /// Interface index, while the device is there.
    pub ifindex: Option<u32>,
    /// Its address.
    pub mac: Option<String>,
    /// Its MTU, bytes.
    pub mtu: Option<u32>,
    /// What the administrator wants.
    pub admin_up: bool,
    /// Up, with carrier.
    pub link_up: bool,
    /// Megabits per second, where the device knows.
    pub speed_mbps: Option<u32>,
    /// The device is there and forwards.
    pub present: bool,
    /// Why it is not, or what it lacks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Prints an Ethernet address.
pub fn format_mac(mac: [u8; 6]) -> String {
    let [a, b, c, d, e, f] = mac;
    format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
}

/// Reads `aa:bb:cc:dd:ee:ff`.
pub fn parse_mac(text: &str) -> Option<[u8; 6]> {
    let mut mac = [0; 6];
    let mut parts = text.split(':');
    for byte in &mut mac {
        let part = parts.next().filter(|part| part.len() == 2)?;
        *byte = u8::from_str_radix(part, 16).ok()?;
    }
    parts.next().is_none().then_some(mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_round_trip() {
        let mac = [0x02, 0, 0, 0xab, 0xcd, 0xef];
        assert_eq!(parse_mac(&format_mac(mac)), Some(mac));
        for bad in [
            "",
            "02:00:00:ab:cd",
            "02:00:00:ab:cd:ef:01",
            "2:0:0:ab:cd:ef",
            "zz:00:00:ab:cd:ef",
        ] {
            assert_eq!(parse_mac(bad), None, "{bad}");
        }
    }
}
