//! Which devices the switch has made promiscuous: empty folders beside the pins, as the devices stay so when the process ends.
//!
//! A packet socket makes its device promiscuous only for as long as it is open. What the kernel forwards without us has to
//! come in then, too, whatever address it is for.

use std::io;
use std::path::PathBuf;

use crate::pins::folder_of;

/// The marks of one run directory's switch, in every life of the process and for every version of the program.
#[derive(Clone, Debug)]
pub struct PromiscuousMarks {
    folder: PathBuf,
}

/// What this folder is called among those of the program's versions.
pub(crate) const FOLDER: &str = "promiscuous";

impl PromiscuousMarks {
    /// Those of the switch of that name (see [`crate::Kernel::load`]).
    pub fn of(name: &str) -> PromiscuousMarks {
        PromiscuousMarks {
            folder: folder_of(name).join(FOLDER),
        }
    }

    fn path(&self, ifindex: u32) -> PathBuf {
        self.folder.join(ifindex.to_string())
    }

    /// Notes that a device is about to be made promiscuous.
    ///
    /// # Errors
    /// Nothing is pinned here, so nothing outlives the process.
    pub fn set(&self, ifindex: u32) -> io::Result<()> {
        for folder in [self.folder.clone(), self.path(ifindex)] {
            match std::fs::create_dir(folder) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether a device is marked.
    pub fn has(&self, ifindex: u32) -> bool {
        self.path(ifindex).is_dir()
    }

    /// Forgets a device.
    pub fn remove(&self, ifindex: u32) {
        // There may be none.
        let _ = std::fs::remove_dir(self.path(ifindex));
    }

    /// All devices that are marked.
    pub fn all(&self) -> Vec<u32> {
        let entries = std::fs::read_dir(&self.folder);
        let entries = entries.into_iter().flatten().flatten();
        entries
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .collect()
    }
}
