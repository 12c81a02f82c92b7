//! What stays in the kernel when the process ends: maps and links, pinned under `/sys/fs/bpf/weft/<name>/<version>`.
//!
//! The version is that of the compiled program: maps of another one cannot be taken over, as their layout may differ.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::io;
use std::path::{Path, PathBuf};

use aya::programs::links::{FdLink, PinnedLink};

/// Where the BPF file system belongs.
const BPFFS: &str = "/sys/fs/bpf";
/// `BPF_FS_MAGIC`
const BPFFS_MAGIC: i64 = 0xcafe_4a11;

/// The folder of one run directory's switch.
#[derive(Debug, Clone)]
pub struct Pins {
    folder: PathBuf,
}

impl Pins {
    /// The folder for a switch of that name and a program of that version; the file system is mounted if need be.
    pub fn open(name: &str, version: &str) -> io::Result<Pins> {
        if !is_bpffs(Path::new(BPFFS))? {
            mount(BPFFS)?;
        }
        let folder = Path::new(BPFFS).join("weft").join(name).join(version);
        std::fs::create_dir_all(&folder)?;
        Ok(Pins { folder })
    }

    /// Where a map of that name is pinned.
    pub fn map(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn link_path(&self, ifindex: u32) -> PathBuf {
        self.folder.join(format!("link-{ifindex}"))
    }

    /// The link a process before us has left on a device.
    pub fn link(&self, ifindex: u32) -> Option<FdLink> {
        PinnedLink::from_pin(self.link_path(ifindex))
            .ok()
            .map(FdLink::from)
    }

    /// Pins a link.
    pub fn pin_link(&self, ifindex: u32, link: FdLink) -> io::Result<FdLink> {
        let pinned = link
            .pin(self.link_path(ifindex))
            .map_err(io::Error::other)?;
        Ok(FdLink::from(pinned))
    }

    /// Takes the program off a device, as far as the pin is concerned.
    pub fn remove_link(&self, ifindex: u32) {
        // It may never have been there.
        let _ = std::fs::remove_file(self.link_path(ifindex));
    }

    /// Devices that have a link here.
    pub fn links(&self) -> Vec<u32> {
        let entries = std::fs::read_dir(&self.folder)
            .into_iter()
            .flatten()
            .flatten();
        entries
            .filter_map(|entry| {
                entry
                    .file_name()
                    .to_str()?
                    .strip_prefix("link-")?
                    .parse()
                    .ok()
            })
            .collect()
    }

    /// Removes what other versions of the program have left; how many there were.
    pub fn remove_others(&self) -> usize {
        let Some(parent) = self.folder.parent() else {
            return 0;
        };
        let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
        let others = entries.filter(|entry| entry.path() != self.folder);
        others
            .filter(|entry| std::fs::remove_dir_all(entry.path()).is_ok())
            .count()
    }

    /// Removes what is here, and keeps the folder.
    pub fn clear(&self) {
        let _ = std::fs::remove_dir_all(&self.folder);
        let _ = std::fs::create_dir_all(&self.folder);
    }

    /// Removes everything of this switch.
    pub fn remove_all(&self) {
        if let Some(parent) = self.folder.parent() {
            let _ = std::fs::remove_dir_all(parent);
        }
    }

    /// Removes everything of the switch of that name; whether there was anything.
    pub fn flush(name: &str) -> io::Result<bool> {
        match std::fs::remove_dir_all(Path::new(BPFFS).join("weft").join(name)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn c_string(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_encoded_bytes()).map_err(io::Error::other)
}

fn is_bpffs(path: &Path) -> io::Result<bool> {
    let path = c_string(path)?;
    // SAFETY: `statfs` is plain data, for which all zeroes is a value.
    let mut info: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are valid for the call; the kernel fills `info` in.
    if unsafe { libc::statfs(path.as_ptr(), &raw mut info) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(info.f_type as i64 == BPFFS_MAGIC)
}

fn mount(path: &str) -> io::Result<()> {
    let target = c_string(Path::new(path))?;
    // SAFETY: all strings are terminated and outlive the call; there is no data.
    let result = unsafe {
        libc::mount(
            c"bpf".as_ptr(),
            target.as_ptr(),
            c"bpf".as_ptr(),
            0,
            std::ptr::null(),
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
