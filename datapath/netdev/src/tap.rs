//! Internal ports: Linux interfaces whose other end is the switch.
//!
//! Each is a persistent tap: it keeps its addresses and routes when the switch dies, and the next process adopts it.
//! Frames cross it with their virtio header, so the host's stack leaves checksums and segmentation to whoever
//! delivers the frame last, exactly as on a packet socket.
#![allow(unsafe_code)]

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

use libc::{IFF_NO_PI, IFF_TAP, IFF_VNET_HDR, c_ulong};

use crate::sys::{self, IfName};
use weft_frame::vnet::VNET_HDR_LEN;

/// `struct ifreq` with `ifr_flags` in use.
#[repr(C)]
struct IfreqFlags {
    name: IfName,
    flags: libc::c_short,
    rest: [u8; 22],
}

/// An open tap.
#[derive(Debug)]
pub struct Tap {
    fd: OwnedFd,
    name: String,
}

impl Tap {
    /// Creates the interface, or adopts it if a tap of that name is free.
    ///
    /// # Errors
    /// `InvalidInput` if a device of that name exists that is no tap; `EBUSY` if another process holds it.
    pub fn open(name: &str) -> io::Result<Tap> {
        let if_name = sys::if_name(name)?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
            .open("/dev/net/tun")
            .map_err(|error| io::Error::new(error.kind(), format!("/dev/net/tun: {error}")))?;
        let fd = OwnedFd::from(file);
        let mut request = IfreqFlags {
            name: if_name,
            flags: (IFF_TAP | IFF_NO_PI | IFF_VNET_HDR) as libc::c_short,
            rest: [0; 22],
        };
        // SAFETY: TUNSETIFF takes a struct ifreq, which IfreqFlags is, with its full size.
        unsafe { sys::ioctl_ref(fd.as_fd(), libc::TUNSETIFF as c_ulong, &mut request) }.map_err(
            |error| match error.raw_os_error() {
                Some(libc::EINVAL) => io::Error::new(
                    io::ErrorKind::InvalidInput,
                    format!("{name} exists already and is not a tap"),
                ),
                _ => error,
            },
        )?;
        let mut header_size: libc::c_int = VNET_HDR_LEN as libc::c_int;
        // SAFETY: TUNSETVNETHDRSZ reads an int.
        unsafe {
            sys::ioctl_ref(
                fd.as_fd(),
                libc::TUNSETVNETHDRSZ as c_ulong,
                &mut header_size,
            )
        }?;
        set_offloads(fd.as_fd())?;
        sys::ioctl_value(fd.as_fd(), libc::TUNSETPERSIST as c_ulong, 1)?;
        Ok(Tap {
            fd,
            name: name.to_owned(),
        })
    }

    /// The name it was opened under.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Closes the tap and removes the interface.
    pub fn remove(self) -> io::Result<()> {
        // Without persistence the interface goes with its last descriptor.
        sys::ioctl_value(self.fd.as_fd(), libc::TUNSETPERSIST as c_ulong, 0)
    }
}

impl AsFd for Tap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Offers the host all the offloads that every port of the switch can take over from it, fewer on older kernels.
fn set_offloads(fd: BorrowedFd<'_>) -> io::Result<()> {
    let tcp = libc::TUN_F_CSUM | libc::TUN_F_TSO4 | libc::TUN_F_TSO6 | libc::TUN_F_TSO_ECN;
    let udp = libc::TUN_F_USO4 | libc::TUN_F_USO6;
    for offloads in [tcp | udp, tcp, libc::TUN_F_CSUM] {
        match sys::ioctl_value(fd, libc::TUNSETOFFLOAD as c_ulong, c_ulong::from(offloads)) {
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {}
            other => return other,
        }
    }
    Ok(())
}
