//! The fast path: translations of the pipeline carried out by the kernel.
//!
//! A BPF program (`bpf/fastpath.bpf.c`) sits at the ingress of each port and at the egress of internal interfaces. It
//! reads a frame's headers, tries the masks in use on them, counts the flow it finds, and pushes, pops, rewrites and
//! redirects as the flow says, and drops what exceeds a meter. Whatever it finds nothing for goes to user space whole.
//!
//! * [`Kernel`]: the program and its maps, one for all bridges of a process.
//! * [`Linker`]: puts the program on devices.
//! * [`BridgePath`]: what a bridge's pipeline hands its cached translations to.
//!
//! # What keeps it right
//! The kernel has nothing that the pipeline's cache does not have: flows are taken out before a change of the tables is made,
//! so when a barrier is answered the kernel obeys. Records, masks and long programs are written before anything leads to
//! them, and not used again until no program run can still be at them ([`masks::GRACE`]). Which fields a key has, and where,
//! is the same in both worlds; a mask with others is not handed over.

mod adopt;
mod flows;
mod headers;
mod kernel;
mod keys;
mod layout;
mod linker;
mod masks;
mod meters;
mod observe;
mod path;
mod pins;
mod ports;
mod program;
mod promiscuous;
mod reach;
mod records;
mod shared;
mod table;

pub use kernel::{Error, Kernel, PUNT_ROOM, PortCounts, Punts, Statistics};
pub use linker::{Hooking, Link, Linker};
pub use path::BridgePath;
pub use program::{Target, Way};
pub use promiscuous::PromiscuousMarks;
