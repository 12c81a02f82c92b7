//! Network devices as the switch sees them: packet sockets, taps, and rtnetlink.
//!
//! Frames come and go whole: what the sender left to be done (checksum,
//! segmentation) travels beside the frame in its virtio header and is finished by the kernel or the NIC where the
//! frame leaves the machine, so a 64 KB TCP segment crosses the switch as one frame.
//!
//! It must not know of OpenFlow, bridges or port numbers.

mod closer;
mod counters;
mod device;
mod ethtool;
mod link;
mod patch;
mod punt;
mod receive;
mod ring;
mod shaping;
mod shield;
mod socket;
mod sys;
mod tap;
mod transmit;

pub use closer::wait_until_closed;
pub use counters::Counters;
pub use device::Device;
pub use ethtool::{LinkSpeed, disable_lro, link_speed};
pub use link::{LinkEvent, LinkInfo, LinkMonitor, PeerElsewhere, Rtnl};
pub use patch::open_patch;
pub use punt::PuntDevice;
pub use receive::{RX_BATCH, RxBatch};
pub use ring::RING_SLOTS;
pub use shaping::{QUEUE_LIMIT, QueueCounters, QueueShape, Shaping, priority_of};
pub use shield::Shield;
pub use socket::Stopped;
pub use sys::{CAP_NET_ADMIN, CAP_NET_RAW, has_capability};
pub use tap::Tap;
pub use transmit::TX_BATCH;
