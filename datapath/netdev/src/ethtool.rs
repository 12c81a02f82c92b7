//! What only ethtool's ioctl tells: the speed of a link, and large receive offload, which a switch must not have.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::OnceLock;

use crate::sys::{self, IfName};

const ETHTOOL_GSET: u32 = 0x0000_0001;
const ETHTOOL_GFLAGS: u32 = 0x0000_0025;
const ETHTOOL_SFLAGS: u32 = 0x0000_0026;
const ETH_FLAG_LRO: u32 = 1 << 15;
const SIOCETHTOOL: libc::c_ulong = 0x8946;

/// `struct ethtool_cmd`, the form every driver answers (the kernel converts).
#[repr(C)]
#[derive(Default)]
struct EthtoolCmd {
    cmd: u32,
    supported: u32,
    advertising: u32,
    speed: u16,
    duplex: u8,
    port: u8,
    phy_address: u8,
    transceiver: u8,
    autoneg: u8,
    mdio_support: u8,
    max_tx_packets: u32,
    max_rx_packets: u32,
    speed_hi: u16,
    eth_tp_mdix: u8,
    eth_tp_mdix_ctrl: u8,
    link_partner_advertising: u32,
    reserved: [u32; 2],
}

/// `struct ethtool_value`
#[repr(C)]
struct EthtoolValue {
    cmd: u32,
    data: u32,
}

/// `struct ifreq` with its union holding a pointer, padded to the size the kernel copies.
#[repr(C)]
struct IfreqData {
    name: IfName,
    data: *mut libc::c_void,
    rest: [u8; 16],
}

/// Speed, duplex and media of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkSpeed {
    /// Megabits per second; `None` while unknown (no link) or meaningless.
    pub mbps: Option<u32>,
    /// Full duplex.
    pub full_duplex: bool,
    /// Negotiates with its peer.
    pub autoneg: bool,
    /// Twisted pair rather than fibre (`PORT_TP`).
    pub copper: bool,
    /// Fibre (`PORT_FIBRE`).
    pub fibre: bool,
}

/// What the ioctls are made on; any socket will do.
fn socket() -> io::Result<&'static OwnedFd> {
    static SOCKET: OnceLock<OwnedFd> = OnceLock::new();
    if let Some(socket) = SOCKET.get() {
        return Ok(socket);
    }
    let socket = sys::socket(libc::AF_INET, libc::SOCK_DGRAM, 0)?;
    Ok(SOCKET.get_or_init(|| socket))
}

fn ethtool<T>(name: &str, argument: &mut T) -> io::Result<()> {
    let socket = socket()?;
    let mut request = IfreqData {
        name: sys::if_name(name)?,
        data: std::ptr::from_mut(argument).cast(),
        rest: [0; 16],
    };
    // SAFETY: SIOCETHTOOL takes an ifreq whose data points to the structure named by its first word; callers in this
    // module pass exactly those, and `argument` outlives the call.
    unsafe { sys::ioctl_ref(socket.as_fd(), SIOCETHTOOL, &mut request) }
}

/// Asks the driver for its link's speed; an error for devices that have none (`EOPNOTSUPP`).
pub fn link_speed(name: &str) -> io::Result<LinkSpeed> {
    let mut cmd = EthtoolCmd {
        cmd: ETHTOOL_GSET,
        ..EthtoolCmd::default()
    };
    ethtool(name, &mut cmd)?;
    let speed = u32::from(cmd.speed_hi) << 16 | u32::from(cmd.speed);
    // SPEED_UNKNOWN is all ones, in 16 bits on old drivers.
    let known = speed != 0 && speed != u32::MAX && speed != u32::from(u16::MAX);
    Ok(LinkSpeed {
        mbps: known.then_some(speed),
        full_duplex: cmd.duplex == 1,
        autoneg: cmd.autoneg == 1,
        copper: cmd.port == 0,
        fibre: cmd.port == 3,
    })
}

/// Turns large receive offload off. Frames merged by LRO have lost the sizes they came in, so they cannot be
/// forwarded; generic receive offload keeps them and stays on.
pub fn disable_lro(name: &str) -> io::Result<()> {
    let mut flags = EthtoolValue {
        cmd: ETHTOOL_GFLAGS,
        data: 0,
    };
    ethtool(name, &mut flags)?;
    if flags.data & ETH_FLAG_LRO == 0 {
        return Ok(());
    }
    let mut without = EthtoolValue {
        cmd: ETHTOOL_SFLAGS,
        data: flags.data & !ETH_FLAG_LRO,
    };
    ethtool(name, &mut without)
}
