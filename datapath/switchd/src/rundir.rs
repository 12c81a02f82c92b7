//! The run directory: one datapath at a time, and none beside a live Open vSwitch.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, test_kill_process};

/// Why the run directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RundirError {
    /// Another of us.
    #[error(
        "another weft-datapath (pid {pid}) is running on {rundir}; stop it or choose another --rundir"
    )]
    Taken {
        /// The directory.
        rundir: String,
        /// What its pid file says.
        pid: String,
    },
    /// Open vSwitch.
    #[error(
        "Open vSwitch (ovs-vswitchd, pid {pid}) is running on {rundir}; stop it or choose another --rundir"
    )]
    OpenVSwitch {
        /// The directory.
        rundir: String,
        /// Its daemon.
        pid: i32,
    },
    /// Some other switch answers.
    #[error("another switch answers on {socket}; stop it or choose another --rundir")]
    SocketAnswered {
        /// The socket.
        socket: String,
    },
    /// The system says no.
    #[error("cannot use run directory {path}: {error}")]
    Io {
        /// What was touched.
        path: String,
        /// What it said.
        error: io::Error,
    },
}

/// Holds the run directory: the pid file stays locked while this lives and is removed with it.
#[derive(Debug)]
pub struct Rundir {
    path: PathBuf,
    pid_file: PathBuf,
    // The lock lives as long as this descriptor.
    _lock: File,
}

impl Rundir {
    /// Takes the directory, making it if need be. On an error nothing new is left in it.
    pub fn take(path: &Path) -> Result<Self, RundirError> {
        let io_error = |path: &Path, error: io::Error| RundirError::Io {
            path: path.display().to_string(),
            error,
        };
        let existed = path.is_dir();
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(path)
            .map_err(|error| io_error(path, error))?;
        check_open_vswitch(path)?;

        let pid_file = path.join("weft-datapath.pid");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o644)
            .open(&pid_file)
            .map_err(|error| io_error(&pid_file, error))?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            let mut pid = String::new();
            let _ = file.read_to_string(&mut pid);
            return Err(RundirError::Taken {
                rundir: path.display().to_string(),
                pid: pid.trim().to_owned(),
            });
        }
        let rundir = Rundir {
            path: path.to_owned(),
            pid_file: pid_file.clone(),
            _lock: file,
        };
        if existed {
            rundir.check_sockets()?;
        }
        let mut file = &rundir._lock;
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(|error| io_error(&pid_file, error))?;
        Ok(rundir)
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A socket that answers belongs to somebody; one that does not is left over from a crash.
    fn check_sockets(&self) -> Result<(), RundirError> {
        let Ok(entries) = fs::read_dir(&self.path) else {
            return Ok(());
        };
        for path in entries.flatten().map(|entry| entry.path()) {
            let extension = path.extension().and_then(|extension| extension.to_str());
            if matches!(extension, Some("mgmt" | "program")) && UnixStream::connect(&path).is_ok() {
                return Err(RundirError::SocketAnswered {
                    socket: path.display().to_string(),
                });
            }
        }
        Ok(())
    }
}

impl Drop for Rundir {
    fn drop(&mut self) {
        // Removed while still locked, so nobody else's file can be hit.
        let _ = fs::remove_file(&self.pid_file);
    }
}

fn check_open_vswitch(path: &Path) -> Result<(), RundirError> {
    let Ok(text) = fs::read_to_string(path.join("ovs-vswitchd.pid")) else {
        return Ok(());
    };
    let Some(raw) = text.trim().parse().ok().filter(|pid| *pid > 0) else {
        return Ok(());
    };
    let alive = Pid::from_raw(raw)
        .is_some_and(|pid| !matches!(test_kill_process(pid), Err(rustix::io::Errno::SRCH)));
    // The number may have been given to another process since.
    let is_ovs = fs::read_to_string(format!("/proc/{raw}/comm"))
        .is_ok_and(|comm| comm.trim() == "ovs-vswitchd");
    if alive && is_ovs {
        return Err(RundirError::OpenVSwitch {
            rundir: path.display().to_string(),
            pid: raw,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    fn scratch(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("weft-rundir-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        path
    }

    #[test]
    fn one_at_a_time_and_nothing_left() {
        let path = scratch("lock");
        let first = Rundir::take(&path).unwrap();
        let pid = fs::read_to_string(path.join("weft-datapath.pid")).unwrap();
        assert_eq!(pid.trim(), std::process::id().to_string());
        assert!(
            matches!(Rundir::take(&path), Err(RundirError::Taken { pid: p, .. }) if p == pid.trim())
        );
        drop(first);
        assert_eq!(fs::read_dir(&path).unwrap().count(), 0);
        drop(Rundir::take(&path).unwrap());
        fs::remove_dir_all(&path).unwrap();
    }

    #[test]
    fn a_socket_that_answers_is_somebodys_a_dead_one_is_not() {
        let path = scratch("sockets");
        fs::create_dir_all(&path).unwrap();
        let listener = UnixListener::bind(path.join("br0.mgmt")).unwrap();
        assert!(matches!(
            Rundir::take(&path),
            Err(RundirError::SocketAnswered { .. })
        ));
        assert!(!path.join("weft-datapath.pid").exists());
        drop(listener);
        drop(Rundir::take(&path).unwrap());
        fs::remove_dir_all(&path).unwrap();
    }

    #[test]
    fn a_stale_pid_file_of_open_vswitch_does_not_count() {
        let path = scratch("stale");
        fs::create_dir_all(&path).unwrap();
        // Alive, but not ovs-vswitchd.
        fs::write(
            path.join("ovs-vswitchd.pid"),
            format!("{}\n", std::process::id()),
        )
        .unwrap();
        drop(Rundir::take(&path).unwrap());
        fs::remove_dir_all(&path).unwrap();
    }
}
