//! Putting the program on devices.
//!
//! The kernel makes a TCX link with its lock on all devices held and an RCU grace period long, some 10 ms: too long for
//! a thread that forwards frames. So this is a value of its own, for a thread of its own.

use aya::Ebpf;
use aya::programs::links::FdLink;
use aya::programs::tc::{SchedClassifierLink, TcAttachOptions, TcAttachType};
use aya::programs::{LinkOrder, SchedClassifier};

use crate::kernel::{Error, program};
use crate::pins::Pins;

/// Makes links.
#[derive(Debug)]
pub struct Linker {
    /// The program, where it is pinned; else it is in `bpf`.
    pinned: Option<SchedClassifier>,
    bpf: Ebpf,
    pins: Option<Pins>,
}

/// The program on a device. It does nothing there before the device is a port ([`crate::Kernel::hook`]).
#[derive(Debug)]
pub struct Link(pub(crate) SchedClassifierLink);

/// Where the program sits: at a port's ingress or, as frames of the host leave by an internal interface, at its egress.
pub(crate) fn hook_of(is_internal: bool) -> TcAttachType {
    if is_internal {
        TcAttachType::Egress
    } else {
        TcAttachType::Ingress
    }
}

impl Linker {
    pub(crate) fn new(pinned: Option<SchedClassifier>, bpf: Ebpf, pins: Option<Pins>) -> Linker {
        Linker { pinned, bpf, pins }
    }

    /// Tries whether the kernel has TCX at all, on a device that is no port.
    ///
    /// # Errors
    /// It has not (before Linux 6.6), or we may not.
    pub fn probe(&mut self, name: &str) -> Result<(), Error> {
        let program = self.program()?;
        let order = TcAttachOptions::TcxOrder(LinkOrder::default());
        let id = program.attach_with_options(name, TcAttachType::Egress, order)?;
        Ok(program.detach(id)?)
    }

    fn program(&mut self) -> Result<&mut SchedClassifier, Error> {
        match &mut self.pinned {
            Some(program) => Ok(program),
            None => program(&mut self.bpf),
        }
    }

    /// Puts the program on a device, where it stays until the link is removed ([`crate::Kernel::unhook`]).
    ///
    /// # Errors
    /// Of the kernel, as when the device is gone.
    pub fn link(&mut self, ifindex: u32, name: &str, is_internal: bool) -> Result<Link, Error> {
        let program = self.program()?;
        let order = TcAttachOptions::TcxOrder(LinkOrder::default());
        let id = program.attach_with_options(name, hook_of(is_internal), order)?;
        let link = program.take_link(id)?;
        let Some(pins) = &self.pins else {
            return Ok(Link(link));
        };
        let link = FdLink::try_from(link).map_err(|error| Error(error.to_string()))?;
        // What has that name there belonged to a device that is gone.
        pins.remove_link(ifindex);
        let link = pins.pin_link(ifindex, link)?;
        let link = SchedClassifierLink::try_from(link).map_err(|error| Error(error.to_string()))?;
        Ok(Link(link))
    }
}
