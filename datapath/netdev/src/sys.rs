//! The few system calls the standard library does not have, each wrapped where its safety can be seen whole.
#![allow(unsafe_code)]

use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use libc::{c_int, c_ulong, c_void};

/// A device name as `struct ifreq` carries it: at most 15 bytes and a NUL.
pub(crate) type IfName = [u8; libc::IFNAMSIZ];

/// Checks a device name the way the kernel does (`dev_valid_name`).
pub(crate) fn if_name(name: &str) -> io::Result<IfName> {
    let bytes = name.as_bytes();
    let forbidden = |b: &u8| *b == b'/' || *b == b':' || *b == 0 || b.is_ascii_whitespace();
    if bytes.is_empty()
        || bytes.len() >= libc::IFNAMSIZ
        || name == "."
        || name == ".."
        || bytes.iter().any(forbidden)
    {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{name:?} cannot be the name of a device"),
        ));
    }
    let mut field = [0; libc::IFNAMSIZ];
    field[..bytes.len()].copy_from_slice(bytes);
    Ok(field)
}

/// Turns the usual `-1` into the error in `errno`.
pub(crate) fn check(result: c_int) -> io::Result<c_int> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// Opens a socket, non-blocking and closed on exec.
pub(crate) fn socket(domain: c_int, kind: c_int, protocol: c_int) -> io::Result<OwnedFd> {
    // SAFETY: socket(2) takes no pointers.
    let fd = check(unsafe {
        libc::socket(
            domain,
            kind | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK,
            protocol,
        )
    })?;
    // SAFETY: the kernel just gave us this descriptor; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Binds a packet socket to a device and a protocol (host byte order).
pub(crate) fn bind_packet(fd: &OwnedFd, ifindex: u32, protocol: u16) -> io::Result<()> {
    // SAFETY: `sockaddr_ll` is plain data, for which all zeroes is a value.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = protocol.to_be();
    address.sll_ifindex = ifindex as c_int;
    let length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    // SAFETY: the pointer and the length describe `address`, which outlives the call.
    check(unsafe { libc::bind(fd.as_raw_fd(), (&raw const address).cast(), length) }).map(drop)
}

/// Attaches a filter to a socket that accepts nothing.
pub(crate) fn accept_nothing(fd: &OwnedFd) -> io::Result<()> {
    let mut instruction = libc::sock_filter {
        code: (libc::BPF_RET | libc::BPF_K) as u16,
        jt: 0,
        jf: 0,
        k: 0,
    };
    let program = libc::sock_fprog {
        len: 1,
        filter: &raw mut instruction,
    };
    // (The kernel copies the instruction within the call, for which the pointer is valid.)
    set_option(fd, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program)
}

/// Attaches a filter to a socket, a BPF program that is loaded already.
pub(crate) fn attach_filter(fd: &OwnedFd, program: BorrowedFd<'_>) -> io::Result<()> {
    set_option(
        fd,
        libc::SOL_SOCKET,
        libc::SO_ATTACH_BPF,
        &program.as_raw_fd(),
    )
}

/// Sets a socket option to a plain value.
///
/// `T` must be the type the kernel expects for that option; a shorter one is refused by the kernel (`EINVAL`).
pub(crate) fn set_option<T: Copy>(
    fd: &impl AsRawFd,
    level: c_int,
    name: c_int,
    value: &T,
) -> io::Result<()> {
    let length = size_of::<T>() as libc::socklen_t;
    // SAFETY: the kernel reads `length` bytes at `value`, which is that long and outlives the call.
    check(unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            level,
            name,
            std::ptr::from_ref(value).cast(),
            length,
        )
    })
    .map(drop)
}

/// The error that waits to be told (`SO_ERROR`), which is then taken for told.
pub(crate) fn take_error(fd: BorrowedFd<'_>) -> io::Result<()> {
    let mut error: c_int = 0;
    let mut length = size_of::<c_int>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes to `error`, which is that long.
    check(unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ERROR,
            (&raw mut error).cast::<c_void>(),
            &raw mut length,
        )
    })?;
    match error {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

/// Reads `PACKET_STATISTICS`, which also resets them: frames seen and frames dropped for want of buffer.
pub(crate) fn packet_statistics(fd: &OwnedFd) -> io::Result<(u32, u32)> {
    let mut stats = libc::tpacket_stats {
        tp_packets: 0,
        tp_drops: 0,
    };
    let mut length = size_of::<libc::tpacket_stats>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes to `stats`, which is that long.
    check(unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_STATISTICS,
            (&raw mut stats).cast::<c_void>(),
            &raw mut length,
        )
    })?;
    Ok((stats.tp_packets, stats.tp_drops))
}

/// An ioctl whose argument the kernel reads and perhaps writes in place.
///
/// # Safety
/// `T` must be the structure that `request` is defined for, with every pointer in it valid for the call.
pub(crate) unsafe fn ioctl_ref<T>(
    fd: BorrowedFd<'_>,
    request: c_ulong,
    argument: &mut T,
) -> io::Result<()> {
    // SAFETY: `argument` is exclusive and outlives the call; the caller answers for its type.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), request as _, std::ptr::from_mut(argument)) })
        .map(drop)
}

/// An ioctl whose argument is a number, not a pointer.
pub(crate) fn ioctl_value(fd: BorrowedFd<'_>, request: c_ulong, value: c_ulong) -> io::Result<()> {
    // SAFETY: only called with requests that take their argument by value (TUNSETPERSIST, TUNSETOFFLOAD).
    check(unsafe { libc::ioctl(fd.as_raw_fd(), request as _, value) }).map(drop)
}

/// The descriptor of a foreign socket type that only knows `AsRawFd`.
pub(crate) fn borrow<S: AsRawFd>(socket: &S) -> BorrowedFd<'_> {
    // SAFETY: the borrow's lifetime is that of `socket`, which keeps its descriptor open while it lives.
    unsafe { BorrowedFd::borrow_raw(socket.as_raw_fd()) }
}

/// Whether this process holds a capability in its effective set (`capability.h` numbers).
pub fn has_capability(number: u32) -> bool {
    std::fs::read_to_string("/proc/self/status")
        .ok()
        .and_then(|status| {
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix("CapEff:"))?;
            u64::from_str_radix(line.trim(), 16).ok()
        })
        .is_some_and(|effective| effective & (1 << number) != 0)
}

/// `CAP_NET_ADMIN`: taps, addresses of devices, promiscuous mode.
pub const CAP_NET_ADMIN: u32 = 12;
/// `CAP_NET_RAW`: packet sockets.
pub const CAP_NET_RAW: u32 = 13;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_names_follow_the_kernels_rules() {
        assert!(if_name("eth0").is_ok());
        assert!(if_name("fifteen-bytes-1").is_ok());
        for bad in ["", ".", "..", "a/b", "a:b", "a b", "sixteen-bytes-12"] {
            assert!(if_name(bad).is_err(), "{bad:?}");
        }
    }
}
