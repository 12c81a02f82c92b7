//! Users' flows survive the sudden death of the process.
//!
//! Each bridge has a file `<bridge>.flows` in the run directory, to which every lasting change by a user is appended
//! ([`Host::changed`](weft_agent::Host::changed)). It is written, not synced: what the kernel has been given outlives
//! the process, and after a restart of the machine nothing is to come back, as in Open vSwitch. Writes are gathered;
//! they happen before anything is told to a peer ([`FlowLog::flush`]), so that what a barrier confirms is in the file.
//!
//! When a bridge is made and its file is there — of this boot and for this datapath id —, all is done again, with the
//! times it had. A torn tail is cut, and so is a bundle that is not there in full. When most of a file is history, it
//! is written anew from the tables, a few flows at a time between packets, beside the old one, which it replaces at
//! once when complete. A bridge that is removed, or stopped cleanly, leaves none.

mod format;

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use weft_agent::{Agent, Nanos, Snapshot};
use weft_openflow::Body;

pub use self::format::{Entry, Settings};

/// Bytes gathered before they are written in any case.
const GATHERED: usize = 64 << 10;
/// Records a file may have beyond twice what lives.
const SLACK: u64 = 20_000;
/// Flows looked at in one piece of work when a file is written anew.
const FLOWS_PER_STEP: usize = 128;

/// One bridge's file, open for more.
#[derive(Debug)]
pub struct FlowLog {
    path: PathBuf,
    settings: Settings,
    /// `None` after it could not be written: a file that lacks changes is worse than none.
    current: Option<Output>,
    /// The one to replace it, while it is being written.
    next: Option<(Output, Snapshot)>,
    /// Records when it was last written anew.
    base: u64,
}

#[derive(Debug)]
struct Output {
    file: File,
    gathered: Vec<u8>,
    records: u64,
}

impl Output {
    fn create(path: &Path) -> io::Result<Output> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)?;
        Ok(Output {
            file,
            gathered: format::head(&boot_id()),
            records: 0,
        })
    }

    fn settings(&mut self, settings: &Settings, at: Nanos) {
        format::write_settings(&mut self.gathered, settings, at);
        self.records += 1;
    }

    fn change(&mut self, change: &Body, at: Nanos, continues: bool) {
        if format::write_change(&mut self.gathered, change, at, continues) {
            self.records += 1;
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.gathered.is_empty() {
            self.file.write_all(&self.gathered)?;
            self.gathered.clear();
            self.gathered.shrink_to(4 * GATHERED);
        }
        Ok(())
    }
}

impl FlowLog {
    /// Begins a file; one that was there before is history.
    pub fn create(path: &Path, settings: Settings, now: Nanos) -> FlowLog {
        let mut log = FlowLog {
            path: path.to_owned(),
            settings,
            current: None,
            next: None,
            base: 0,
        };
        let made = Output::create(path).and_then(|mut output| {
            output.settings(&settings, now);
            output.flush()?;
            Ok(output)
        });
        match made {
            Ok(output) => log.current = Some(output),
            Err(error) => log.give_up(&error),
        }
        log
    }

    /// Adds changes that were made together; `more` of them follow.
    pub fn append(&mut self, changes: &[&Body], more: bool, at: Nanos) {
        for output in self.outputs() {
            for (index, change) in changes.iter().enumerate() {
                output.change(change, at, more || index + 1 < changes.len());
            }
        }
        if self
            .current
            .as_ref()
            .is_some_and(|output| output.gathered.len() >= GATHERED)
        {
            self.flush();
        }
    }

    /// Adds that the bridge's settings have changed.
    pub fn configure(&mut self, settings: Settings, at: Nanos) {
        if self.settings != settings {
            self.settings = settings;
            self.outputs()
                .for_each(|output| output.settings(&settings, at));
        }
    }

    fn outputs(&mut self) -> impl Iterator<Item = &mut Output> {
        let next = self.next.as_mut().map(|(output, _)| output);
        self.current.iter_mut().chain(next)
    }

    /// Writes what has been gathered; from here on it survives.
    pub fn flush(&mut self) {
        if let Some(Err(error)) = self.current.as_mut().map(Output::flush) {
            self.give_up(&error);
        }
    }

    /// Whether [`FlowLog::step`] has something to do.
    pub fn wants_rewrite(&self, live: usize) -> bool {
        let most = |output: &Output| output.records > 2 * self.base.max(live as u64) + SLACK;
        self.next.is_some() || self.current.as_ref().is_some_and(most)
    }

    /// Does a piece of the work of writing the file anew. `ports` are the changes that made the ports what they are.
    pub fn step(&mut self, agent: &mut Agent, ports: &[Body], now: Nanos) {
        if let Err(error) = self.try_step(agent, ports, now) {
            self.give_up(&error);
        }
    }

    fn try_step(&mut self, agent: &mut Agent, ports: &[Body], now: Nanos) -> io::Result<()> {
        let (output, snapshot) = match &mut self.next {
            Some(next) => next,
            None => {
                let mut output = Output::create(&next_path(&self.path))?;
                output.settings(&self.settings, now);
                for port in ports {
                    output.change(port, now, false);
                }
                self.next.insert((output, Snapshot::default()))
            }
        };
        let more = agent.snapshot(snapshot, FLOWS_PER_STEP, now, |change, at| {
            output.change(change, at, false);
        });
        output.flush()?;
        if more {
            return Ok(());
        }
        fs::rename(next_path(&self.path), &self.path)?;
        if let Some((output, _)) = self.next.take() {
            self.base = output.records;
            self.current = Some(output);
        }
        Ok(())
    }

    fn give_up(&mut self, error: &io::Error) {
        tracing::error!(path = %self.path.display(), %error, "users' flows would not survive a crash from here on");
        self.remove();
    }

    /// Leaves nothing behind.
    pub fn remove(&mut self) {
        self.current = None;
        self.next = None;
        remove(&self.path);
    }
}

/// Removes a bridge's file, if there is one.
fn remove(path: &Path) {
    for path in [path, &next_path(path)] {
        if let Err(error) = fs::remove_file(path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %path.display(), %error, "cannot be removed");
        }
    }
}

/// Removes the files of all bridges.
pub fn remove_all(rundir: &Path) {
    let Ok(entries) = fs::read_dir(rundir) else {
        return;
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path
            .extension()
            .is_some_and(|extension| extension == "flows")
        {
            remove(&path);
        }
    }
}

/// Where a bridge's file is.
pub fn path_of(rundir: &Path, bridge: &str) -> PathBuf {
    rundir.join(format!("{bridge}.flows"))
}

/// Where the file that is to replace another is written.
fn next_path(path: &Path) -> PathBuf {
    path.with_extension("flows.next")
}

/// Tells one run of the machine from another.
fn boot_id() -> String {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    text.trim().to_owned()
}

/// A file left by a process that died.
#[derive(Debug)]
pub struct Left {
    path: PathBuf,
    file: BufReader<File>,
    /// What the bridge was like first.
    pub first: Settings,
    /// What it was like last.
    pub last: Settings,
    /// Where what is whole ends.
    end: u64,
    records: u64,
}

impl Left {
    /// Looks for the file of a bridge; whatever is no good counts as none.
    pub fn find(path: &Path) -> Option<Left> {
        match Left::open(path) {
            Ok(left) => left,
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    tracing::warn!(path = %path.display(), %error, "what users had installed cannot be read");
                }
                None
            }
        }
    }

    fn open(path: &Path) -> io::Result<Option<Left>> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let mut file = BufReader::with_capacity(GATHERED, file);
        if !format::read_head(&mut file, &format::head(&boot_id()))? {
            return Ok(None);
        }
        let mut settings: Option<(Settings, Settings)> = None;
        let (mut at, mut end) = (format::HEAD_LEN, format::HEAD_LEN);
        let (mut seen, mut records) = (0, 0);
        while let Some((record, length)) = format::read_record(&mut file)? {
            at += length;
            seen += 1;
            match (record.entry, &mut settings) {
                (Entry::Settings(new), Some((_, last))) => *last = new,
                (Entry::Settings(new), None) => settings = Some((new, new)),
                (Entry::Change(_), Some(_)) => {}
                // The first record is that of the settings.
                (Entry::Change(_), None) => return Ok(None),
            }
            if !record.continues {
                (end, records) = (at, seen);
            }
        }
        let Some((first, last)) = settings else {
            return Ok(None);
        };
        file.get_ref().set_len(end)?;
        Ok(Some(Left {
            path: path.to_owned(),
            file,
            first,
            last,
            end,
            records,
        }))
    }

    /// All that was done, in order; then the file is open for more.
    pub fn replay(mut self, mut each: impl FnMut(Entry, Nanos)) -> io::Result<FlowLog> {
        self.file.seek(SeekFrom::Start(format::HEAD_LEN))?;
        let mut whole = (&mut self.file).take(self.end - format::HEAD_LEN);
        while let Some((record, _)) = format::read_record(&mut whole)? {
            each(record.entry, record.at);
        }
        let mut file = self.file.into_inner();
        file.seek(SeekFrom::Start(self.end))?;
        Ok(FlowLog {
            path: self.path,
            settings: self.last,
            current: Some(Output {
                file,
                gathered: Vec::new(),
                records: self.records,
            }),
            next: None,
            base: 0,
        })
    }
}

#[cfg(test)]
mod tests;
