//! Putting the program on devices.
//!
//! The kernel makes a TCX link with its lock on all devices held and an RCU grace period long, some 10 ms: too long for
//! a thread that forwards frames. So this is a value of its own, for a thread of its own.
//!
//! Before Linux 6.6, which brought TCX, the program is a filter of the device's clsact queueing discipline. It runs at the same
//! place, and stays on the device by itself when the process ends; a marker beside the pins says where.

use aya::Ebpf;
use aya::programs::links::FdLink;
use aya::programs::tc::{
    NlOptions, SchedClassifierLink, TcAttachOptions, TcAttachType, TcHandle, qdisc_add_clsact,
};
use aya::programs::{LinkOrder, SchedClassifier};

use crate::kernel::{Error, program};
use crate::pins::Pins;

/// Priority of the filter: before the one that keeps the host's stack away, and before anything an administrator would add.
const FILTER_PRIORITY: u16 = 1;
/// Its handle, by which it is known again.
const FILTER_HANDLE: TcHandle = TcHandle::new(0x5745, 0x4650);

/// By which means the program is put on devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hooking {
    /// TCX links, since Linux 6.6.
    Tcx,
    /// Filters of clsact queueing disciplines.
    Clsact,
}

impl Hooking {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Hooking::Tcx => "tcx",
            Hooking::Clsact => "clsact",
        }
    }
}

/// Makes links.
#[derive(Debug)]
pub struct Linker {
    /// The program, where it is pinned; else it is in `bpf`.
    pinned: Option<SchedClassifier>,
    bpf: Ebpf,
    pins: Option<Pins>,
    hooking: Hooking,
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

/// The filter on a device, whether it is there or not; what becomes of the value becomes of the filter.
fn filter(name: &str, is_internal: bool) -> Result<SchedClassifierLink, Error> {
    SchedClassifierLink::attached(
        name,
        hook_of(is_internal),
        FILTER_PRIORITY,
        FILTER_HANDLE,
        None,
    )
    .map_err(|error| Error(error.to_string()))
}

/// Removes the filter from a device, if there is one.
pub(crate) fn remove_filter(name: &str, is_internal: bool) {
    drop(filter(name, is_internal));
}

/// Puts the program into the place of the one that is in the filter of a device.
///
/// # Errors
/// There is no such filter.
pub(crate) fn take_filter(
    program: &mut SchedClassifier,
    name: &str,
    is_internal: bool,
) -> Result<SchedClassifierLink, Error> {
    let id = program.attach_to_link(filter(name, is_internal)?)?;
    Ok(program.take_link(id)?)
}

impl Linker {
    pub(crate) fn new(pinned: Option<SchedClassifier>, bpf: Ebpf, pins: Option<Pins>) -> Linker {
        Linker {
            pinned,
            bpf,
            pins,
            hooking: Hooking::Tcx,
        }
    }

    /// Finds out by which means the kernel takes the program, on a device that is no port: TCX unless `only` says otherwise.
    ///
    /// # Errors
    /// By none, or we may not.
    pub fn probe(&mut self, name: &str, only: Option<Hooking>) -> Result<Hooking, Error> {
        self.hooking = only.unwrap_or(Hooking::Tcx);
        let tried = self.attach(name, true);
        let tried = match tried {
            Err(error) if only.is_none() => {
                tracing::debug!(%error, "no TCX");
                self.hooking = Hooking::Clsact;
                self.attach(name, true)
            }
            tried => tried,
        };
        drop(tried?);
        Ok(self.hooking)
    }

    fn program(&mut self) -> Result<&mut SchedClassifier, Error> {
        match &mut self.pinned {
            Some(program) => Ok(program),
            None => program(&mut self.bpf),
        }
    }

    fn attach(&mut self, name: &str, is_internal: bool) -> Result<SchedClassifierLink, Error> {
        let hooking = self.hooking;
        let program = self.program()?;
        let options = match hooking {
            Hooking::Tcx => TcAttachOptions::TcxOrder(LinkOrder::default()),
            Hooking::Clsact => {
                // It may be there already; if it is not to be had, neither is the filter, and that says why.
                let _ = qdisc_add_clsact(name);
                TcAttachOptions::Netlink(NlOptions {
                    priority: FILTER_PRIORITY,
                    handle: FILTER_HANDLE,
                    classid: None,
                })
            }
        };
        let id = match program.attach_with_options(name, hook_of(is_internal), options) {
            // Somebody before us has left one.
            Err(_) if hooking == Hooking::Clsact => {
                return take_filter(program, name, is_internal);
            }
            other => other?,
        };
        Ok(program.take_link(id)?)
    }

    /// Puts the program on a device, where it stays until the link is removed ([`crate::Kernel::unhook`]).
    ///
    /// # Errors
    /// Of the kernel, as when the device is gone.
    pub fn link(&mut self, ifindex: u32, name: &str, is_internal: bool) -> Result<Link, Error> {
        let link = self.attach(name, is_internal)?;
        let Some(pins) = &self.pins else {
            return Ok(Link(link));
        };
        // What has that name there belonged to a device that is gone.
        pins.remove_link(ifindex);
        if self.hooking == Hooking::Clsact {
            pins.mark_filter(ifindex, is_internal)?;
            return Ok(Link(link));
        }
        let link = FdLink::try_from(link).map_err(|error| Error(error.to_string()))?;
        let link = pins.pin_link(ifindex, link)?;
        let link = SchedClassifierLink::try_from(link).map_err(|error| Error(error.to_string()))?;
        Ok(Link(link))
    }
}
