//! Pid files that other programs' tools go by: `ovs-appctl` believes `<rundir>/ovs-vswitchd.pid` only if the process
//! named in it holds a POSIX write lock on the file, which `weftd` cannot take. It asks for them here.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, fcntl_lock};

/// A pid file of this process, locked while this lives and removed with it.
#[derive(Debug)]
pub struct PidFile {
    path: PathBuf,
    // A POSIX lock ends when any descriptor of the file is closed by its process: this is the only one.
    _lock: File,
}

/// Why there is no pid file.
#[derive(Debug, thiserror::Error)]
pub enum PidFileError {
    /// Somebody else has it.
    #[error("{path} is locked by another process (it says pid {pid})")]
    Taken {
        /// The file.
        path: String,
        /// What it contains.
        pid: String,
    },
    /// The system says no.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: String,
        /// What the system says.
        error: io::Error,
    },
}

impl PidFile {
    /// Locks the file, making it if need be, and writes this process's pid into it.
    pub fn take(path: &Path) -> Result<PidFile, PidFileError> {
        let io_error = |error: io::Error| PidFileError::Io {
            path: path.display().to_string(),
            error,
        };
        loop {
            let mut file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o644)
                .open(path)
                .map_err(io_error)?;
            match fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(rustix::io::Errno::AGAIN | rustix::io::Errno::ACCESS) => {
                    let mut pid = String::new();
                    let _ = file.read_to_string(&mut pid);
                    return Err(PidFileError::Taken {
                        path: path.display().to_string(),
                        pid: pid.trim().to_owned(),
                    });
                }
                Err(error) => return Err(io_error(error.into())),
            }
            // Its former owner may have removed it between our opening and our locking.
            let held = file.metadata().map_err(io_error)?;
            if fs::metadata(path).is_ok_and(|there| there.ino() == held.ino()) {
                file.set_len(0)
                    .and_then(|()| file.rewind())
                    .and_then(|()| writeln!(file, "{}", std::process::id()))
                    .map_err(io_error)?;
                return Ok(PidFile {
                    path: path.to_owned(),
                    _lock: file,
                });
            }
        }
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // Removed while still locked, so nobody else's file can be hit.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_a_lock_that_other_processes_see() {
        let folder = std::env::temp_dir().join(format!("weft-pidfile-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("ovs-vswitchd.pid");
        // What a process that died has left.
        fs::write(&path, "1\n").unwrap();
        let held = PidFile::take(&path).unwrap();
        let pid = std::process::id();
        // A lock does not stop its own process: somebody else has to ask who holds it.
        let listed = fs::read_to_string("/proc/locks").unwrap();
        let inode = fs::metadata(&path).unwrap().ino();
        assert!(listed.lines().any(|line| line.contains("POSIX")
            && line.contains(&format!(" {pid} "))
            && line.contains(&format!(":{inode} "))));
        // Last, as closing the file gives the lock up.
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{pid}\n"));
        drop(held);
        assert!(!path.exists());
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error() {
        let error = PidFile::take(Path::new("/nonexistent/x.pid")).unwrap_err();
        assert!(error.to_string().starts_with("/nonexistent/x.pid: "));
    }
}
