//! What stays in the kernel when the process ends: maps and links, pinned under `/sys/fs/bpf/weft/<name>/<version>`. Filters stay by
//! themselves; an empty folder for each says where.
//!
//! The version is that of the compiled program: maps of another one cannot be taken over, as their layout may differ.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString};
use std::io;
use std::path::{Path, PathBuf};

use aya::programs::links::{FdLink, PinnedLink};

use crate::promiscuous;

/// Where the BPF file system belongs.
const BPFFS: &str = "/sys/fs/bpf";
/// `BPF_FS_MAGIC`
const BPFFS_MAGIC: i64 = 0xcafe_4a11;

/// The folder of one run directory's switch.
#[derive(Debug, Clone)]
pub struct Pins {
    folder: PathBuf,
}

/// The folder of the switch of that name, with one for each version of the program.
pub(crate) fn folder_of(name: &str) -> PathBuf {
    Path::new(BPFFS).join("weft").join(name)
}

impl Pins {
    /// The folder for a switch of that name and a program of that version; the file system is mounted if need be.
    pub fn open(name: &str, version: &str) -> io::Result<Pins> {
        if !is_bpffs(Path::new(BPFFS))? {
            mount(BPFFS)?;
        }
        let folder = folder_of(name).join(version);
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

    fn filter_path(&self, ifindex: u32, is_internal: bool) -> PathBuf {
        let hook = if is_internal { "egress" } else { "ingress" };
        self.folder.join(format!("filter-{hook}-{ifindex}"))
    }

    /// Notes that a device has the program in a filter.
    pub fn mark_filter(&self, ifindex: u32, is_internal: bool) -> io::Result<()> {
        match std::fs::create_dir(self.filter_path(ifindex, is_internal)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            other => other,
        }
    }

    /// Whether a process before us has put the program into a filter of a device.
    pub fn has_filter(&self, ifindex: u32, is_internal: bool) -> bool {
        self.filter_path(ifindex, is_internal).is_dir()
    }

    /// Takes the program off a device, as far as the pin is concerned.
    pub fn remove_link(&self, ifindex: u32) {
        self.unpin_link(ifindex);
        for is_internal in [false, true] {
            // There is one of them at most.
            let _ = std::fs::remove_dir(self.filter_path(ifindex, is_internal));
        }
    }

    /// Removes the pin of a link, if there is one.
    pub fn unpin_link(&self, ifindex: u32) {
        let _ = std::fs::remove_file(self.link_path(ifindex));
    }

    /// Devices that have a filter here, and whether as internal interfaces.
    pub fn filters(&self) -> Vec<(u32, bool)> {
        filters_in(&self.folder)
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

    /// Removes what other versions of the program have left, but for their filters, which it adds to `filters`; how many there
    /// were.
    pub fn remove_others(&self, filters: &mut Vec<(u32, bool)>) -> usize {
        let Some(parent) = self.folder.parent() else {
            return 0;
        };
        let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
        let others = entries.filter(|entry| {
            entry.path() != self.folder && entry.file_name() != promiscuous::FOLDER
        });
        others
            .inspect(|entry| filters.extend(filters_in(&entry.path())))
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

    /// Removes everything of the switch of that name, but for its filters, which it gives; `None`: there was nothing.
    pub fn flush(name: &str) -> io::Result<Option<Vec<(u32, bool)>>> {
        let folder = folder_of(name);
        let versions = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        let filters = versions.flat_map(|version| filters_in(&version.path()));
        let filters = filters.collect();
        match std::fs::remove_dir_all(folder) {
            Ok(()) => Ok(Some(filters)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn filters_in(folder: &Path) -> Vec<(u32, bool)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let filter_of = |name: &str| {
        let (hook, ifindex) = name.strip_prefix("filter-")?.split_once('-')?;
        Some((ifindex.parse().ok()?, hook == "egress"))
    };
    entries
        .filter_map(|entry| filter_of(entry.file_name().to_str()?))
        .collect()
}

/// Name of a device here.
pub fn name_of(ifindex: u32) -> Option<String> {
    let mut name = [0u8; libc::IF_NAMESIZE];
    // SAFETY: the function writes at most `IF_NAMESIZE` bytes, the terminating zero among them.
    let found = unsafe { libc::if_indextoname(ifindex, name.as_mut_ptr().cast()) };
    if found.is_null() {
        return None;
    }
    let name = CStr::from_bytes_until_nul(&name).ok()?;
    Some(name.to_str().ok()?.to_owned())
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
