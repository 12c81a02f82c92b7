//! Ports that stay promiscuous while the kernel forwards without us.
//!
//! The packet socket's membership ends with the process; a NIC would then take what is for itself only, and everybody behind
//! it were cut off although programs and flows live on. So such a device gets `IFF_PROMISC` while it is the kernel's, and
//! loses it again when it is not. What an administrator has made promiscuous is not touched.

use weft_fastpath::PromiscuousMarks;
use weft_netdev::{LinkInfo, Rtnl};

/// Kinds of devices that hand over all they get in any case.
const INDIFFERENT: [&str; 3] = ["veth", "netkit", "tun"];

/// `ENODEV`
const NO_SUCH_DEVICE: i32 = 19;

/// Makes devices promiscuous, and remembers which.
#[derive(Clone)]
pub struct Promiscuity {
    marks: PromiscuousMarks,
}

impl Promiscuity {
    /// Of the switch of that name.
    pub fn of(name: &str) -> Promiscuity {
        Promiscuity {
            marks: PromiscuousMarks::of(name),
        }
    }

    /// The device is the kernel's now.
    pub fn hold(&self, rtnl: &mut Rtnl, link: &LinkInfo) {
        let is_indifferent = link
            .kind
            .as_deref()
            .is_some_and(|kind| INDIFFERENT.contains(&kind));
        if is_indifferent || link.promiscuous {
            return;
        }
        // The mark first: what we have set must be known to be ours whenever we die.
        if let Err(error) = self.marks.set(link.ifindex) {
            tracing::debug!(port = link.name, %error, "promiscuous for as long as this process lives");
            return;
        }
        if let Err(error) = rtnl.set_promiscuous(link.ifindex, true) {
            self.marks.remove(link.ifindex);
            tracing::warn!(port = link.name, %error, "promiscuous for as long as this process lives");
        }
    }

    /// The device is the kernel's no more, and may be gone.
    pub fn release(&self, rtnl: &mut Rtnl, ifindex: u32) {
        if !self.marks.has(ifindex) {
            return;
        }
        match rtnl.set_promiscuous(ifindex, false) {
            Err(error) if error.raw_os_error() != Some(NO_SUCH_DEVICE) => {
                tracing::warn!(ifindex, %error, "the device stays promiscuous");
            }
            _ => self.marks.remove(ifindex),
        }
    }

    /// Releases all devices but some.
    pub fn release_all(&self, rtnl: &mut Rtnl, but: impl Fn(u32) -> bool) {
        for ifindex in self.marks.all() {
            if !but(ifindex) {
                self.release(rtnl, ifindex);
            }
        }
    }
}
