//! Keeping the host's own stack off a device that belongs to the switch.
//!
//! A packet socket gets a copy of each frame; the frame itself would go on into the host's stack, which would then
//! answer ARP and ping on the switch's ports. The traffic-control ingress hook runs after the packet sockets and
//! before everything else (bridges, VLAN devices, IP), so a program there that drops everything takes the device away
//! from the host and leaves it to us.
//!
//! The program hangs in a clsact filter, which stays until removed: a device that we had when we died is still not the
//! host's, and the next process adopts it. Where clsact is not to be had, kernels from 6.6 on take the program by a TCX
//! *link*, which ends with our process. That is the second choice because each such link waits for an RCU grace period
//! with the kernel's lock on all devices held: 10 to 20 ms, so that a thousand ports would take as many seconds.
//! The program is two instructions long and needs no verifier log, so it is written here and loaded with bpf(2) itself.
#![allow(unsafe_code)]

use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::OnceLock;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::tc::{
    TcAttribute, TcBpfFlags, TcFilterBpfOption, TcHandle, TcMessage, TcOption,
};

use crate::link::Rtnl;

const BPF_PROG_LOAD: libc::c_int = 5;
const BPF_LINK_CREATE: libc::c_int = 28;
const BPF_PROG_TYPE_SCHED_CLS: u32 = 3;
const BPF_TCX_INGRESS: u32 = 46;
const TC_ACT_SHOT: i32 = 2;
/// The filter's priority: before anything an administrator would add, and behind a fast path that is a filter, too.
const FILTER_PRIORITY: u32 = 2;
/// Its handle, by which it is known again.
const FILTER_HANDLE: u32 = 0x5745_4654;

/// How the host is kept off a device.
#[derive(Debug)]
pub enum Shield {
    /// A TCX link; gone with this value, or with the process.
    Tcx(OwnedFd),
    /// A clsact filter on that interface; to be removed by [`Shield::remove`].
    Filter {
        /// Interface index.
        ifindex: u32,
        /// The clsact qdisc was not there before us.
        owns_qdisc: bool,
    },
}

impl Shield {
    /// Takes the device from the host's stack.
    pub fn attach(rtnl: &mut Rtnl, ifindex: u32) -> io::Result<Shield> {
        match Shield::attach_filter(rtnl, ifindex) {
            Ok(shield) => Ok(shield),
            Err(error) => {
                tracing::debug!(ifindex, %error, "no clsact filter, using a TCX program");
                Shield::attach_link(ifindex)
            }
        }
    }

    /// The TCX link alone.
    pub fn attach_link(ifindex: u32) -> io::Result<Shield> {
        Ok(Shield::Tcx(attach_tcx(ifindex)?))
    }

    /// The filter alone.
    pub fn attach_filter(rtnl: &mut Rtnl, ifindex: u32) -> io::Result<Shield> {
        let owns_qdisc = add_filter(rtnl, ifindex)?;
        Ok(Shield::Filter {
            ifindex,
            owns_qdisc,
        })
    }

    /// Gives the device back to the host. Not an error if it is gone.
    pub fn remove(self, rtnl: &mut Rtnl) -> io::Result<()> {
        match self {
            Shield::Tcx(link) => {
                drop(link);
                Ok(())
            }
            Shield::Filter {
                ifindex,
                owns_qdisc,
            } => match remove_filter(rtnl, ifindex, owns_qdisc) {
                Err(error) if matches!(error.raw_os_error(), Some(libc::ENODEV | libc::ENOENT)) => {
                    Ok(())
                }
                other => other,
            },
        }
    }
}

/// `struct bpf_insn`
#[repr(C)]
struct Insn {
    code: u8,
    registers: u8,
    offset: i16,
    immediate: i32,
}

/// The head of `union bpf_attr` for `BPF_PROG_LOAD`, up to `expected_attach_type`.
#[repr(C)]
struct ProgLoad {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
    prog_name: [u8; 16],
    prog_ifindex: u32,
    expected_attach_type: u32,
}

/// The head of `union bpf_attr` for `BPF_LINK_CREATE`.
#[repr(C)]
struct LinkCreate {
    prog_fd: u32,
    target_ifindex: u32,
    attach_type: u32,
    flags: u32,
    relative_fd: u32,
    reserved: u32,
    expected_revision: u64,
}

/// bpf(2) for commands that return a descriptor.
///
/// # Safety
/// `T` must be the head of `union bpf_attr` for `command`, and the pointers in it valid for the call.
unsafe fn bpf<T>(command: libc::c_int, attribute: &T) -> io::Result<OwnedFd> {
    // SAFETY: the kernel reads `size_of::<T>()` bytes at `attribute`; the caller answers for their meaning.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_ref(attribute),
            size_of::<T>() as libc::c_uint,
        )
    };
    let fd = libc::c_int::try_from(fd).map_err(io::Error::other)?;
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a fresh descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Loads the program that drops everything.
fn load_program(attach_type: u32) -> io::Result<OwnedFd> {
    // r0 = TC_ACT_SHOT; exit
    let program = [
        Insn {
            code: 0xb7,
            registers: 0,
            offset: 0,
            immediate: TC_ACT_SHOT,
        },
        Insn {
            code: 0x95,
            registers: 0,
            offset: 0,
            immediate: 0,
        },
    ];
    let mut prog_name = [0; 16];
    prog_name[..11].copy_from_slice(b"weft_shield");
    let load = ProgLoad {
        prog_type: BPF_PROG_TYPE_SCHED_CLS,
        insn_cnt: program.len() as u32,
        insns: program.as_ptr() as u64,
        license: c"Apache-2.0".as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log_buf: 0,
        kern_version: 0,
        prog_flags: 0,
        prog_name,
        prog_ifindex: 0,
        expected_attach_type: attach_type,
    };
    // SAFETY: `ProgLoad` is the head of the attribute for this command; `program` and the licence outlive the call.
    unsafe { bpf(BPF_PROG_LOAD, &load) }
}

/// The program of all filters: the kernel takes it as often as it likes.
fn filter_program() -> io::Result<&'static OwnedFd> {
    static PROGRAM: OnceLock<OwnedFd> = OnceLock::new();
    if let Some(program) = PROGRAM.get() {
        return Ok(program);
    }
    // Kernels that need this know no attach type for the program.
    let program = load_program(0)?;
    Ok(PROGRAM.get_or_init(|| program))
}

fn attach_tcx(ifindex: u32) -> io::Result<OwnedFd> {
    let program = load_program(BPF_TCX_INGRESS)?;
    let create = LinkCreate {
        prog_fd: program.as_raw_fd() as u32,
        target_ifindex: ifindex,
        attach_type: BPF_TCX_INGRESS,
        flags: 0,
        relative_fd: 0,
        reserved: 0,
        expected_revision: 0,
    };
    // SAFETY: `LinkCreate` is the head of the attribute for this command and holds no pointers.
    unsafe { bpf(BPF_LINK_CREATE, &create) }
}

fn tc_message(ifindex: u32, kind: &str) -> TcMessage {
    let mut message = TcMessage::default();
    message.header.index = ifindex as i32;
    message.attributes.push(TcAttribute::Kind(kind.to_owned()));
    message
}

/// The ingress side of clsact (`TC_H_MIN_INGRESS`).
const CLSACT_INGRESS: TcHandle = TcHandle {
    major: 0xffff,
    minor: 0xfff2,
};

fn filter_message(ifindex: u32) -> TcMessage {
    let mut message = tc_message(ifindex, "bpf");
    message.header.handle = TcHandle::from(FILTER_HANDLE);
    message.header.parent = CLSACT_INGRESS;
    message.header.info = FILTER_PRIORITY << 16 | u32::from((libc::ETH_P_ALL as u16).to_be());
    message
}

fn clsact_message(ifindex: u32) -> TcMessage {
    let mut message = tc_message(ifindex, "clsact");
    message.header.handle = TcHandle {
        major: 0xffff,
        minor: 0,
    };
    message.header.parent = TcHandle::CLSACT;
    message
}

/// Sends a request to create something; false if it was there already.
fn create(rtnl: &mut Rtnl, message: RouteNetlinkMessage) -> io::Result<bool> {
    match rtnl.request(message, NLM_F_CREATE | NLM_F_EXCL, |_, _| {}) {
        Ok(()) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::EEXIST) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Adds the dropping filter, or finds the one a process before us left; whether clsact itself is new.
fn add_filter(rtnl: &mut Rtnl, ifindex: u32) -> io::Result<bool> {
    let qdisc_is_new = create(
        rtnl,
        RouteNetlinkMessage::NewQueueDiscipline(clsact_message(ifindex)),
    )?;

    let mut filter = filter_message(ifindex);
    let program = filter_program()?;
    filter.attributes.push(TcAttribute::Options(vec![
        TcOption::Bpf(TcFilterBpfOption::ProgFd(program.as_raw_fd() as u32)),
        TcOption::Bpf(TcFilterBpfOption::ProgName("weft_shield".to_owned())),
        TcOption::Bpf(TcFilterBpfOption::Flags(TcBpfFlags::DirectAction)),
    ]));
    create(rtnl, RouteNetlinkMessage::NewTrafficFilter(filter))?;
    Ok(qdisc_is_new)
}

fn remove_filter(rtnl: &mut Rtnl, ifindex: u32, owns_qdisc: bool) -> io::Result<()> {
    rtnl.request(
        RouteNetlinkMessage::DelTrafficFilter(filter_message(ifindex)),
        0,
        |_, _| {},
    )?;
    if owns_qdisc {
        rtnl.request(
            RouteNetlinkMessage::DelQueueDiscipline(clsact_message(ifindex)),
            0,
            |_, _| {},
        )?;
    }
    Ok(())
}
