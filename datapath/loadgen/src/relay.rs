//! `weft-loadgen relay`: joins two taps in two network namespaces, each frame whole with its virtio header, as a VMM does with a
//! guest's network card and a port of a switch: what the one side leaves to be done (checksum, segmentation) the other gets to
//! know. One thread for both ways, like a VMM's.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use clap::Args;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, setns};
use nix::unistd::{read, write};
use serde_json::{Value, json};
use weft_netdev::Tap;

/// Two taps as one wire.
#[derive(Args)]
pub struct RelayOptions {
    /// `NAMESPACE/TAP`, the namespace by its name for ip-netns(8); twice.
    #[arg(long, required = true)]
    tap: Vec<String>,
    /// At most so long.
    #[arg(long, default_value_t = 600.0)]
    seconds: f64,
}

/// Frames of one side before the other has its turn.
const TURN: usize = 64;

/// Opens a tap where it is: a tap's descriptor is of the namespace that its thread is in at the time.
fn open(place: &str) -> io::Result<Tap> {
    let (namespace, name) = place.split_once('/').ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{place}: NAMESPACE/TAP is wanted"),
        )
    })?;
    let namespace = File::open(Path::new("/run/netns").join(namespace))?;
    setns(namespace, CloneFlags::CLONE_NEWNET)?;
    Tap::open(name)
}

/// Hands on what waits, at most a turn. Returns how many frames were taken and how many of them got lost.
fn hand_on(from: &Tap, to: &Tap, frame: &mut [u8]) -> io::Result<(u64, u64)> {
    let (mut taken, mut lost) = (0, 0);
    for _ in 0..TURN {
        let length = match read(from, frame) {
            Ok(length) => length,
            Err(Errno::EAGAIN | Errno::EINTR) => break,
            // The kernel cannot say this frame's offloads in a virtio header, and has dropped it.
            Err(Errno::EINVAL) => continue,
            Err(error) => return Err(error.into()),
        };
        taken += 1;
        match write(to, &frame[..length]) {
            Ok(_) => {}
            // Full, down (EIO), or a frame that it does not want: a wire loses such a frame.
            Err(Errno::EAGAIN | Errno::ENOBUFS | Errno::EIO | Errno::EINVAL) => lost += 1,
            Err(error) => return Err(error.into()),
        }
    }
    Ok((taken, lost))
}

/// Relays until its time is over or it is killed; JSON of how many frames it handed on.
pub fn run(options: &RelayOptions) -> io::Result<Value> {
    let [one, other] = options.tap.as_slice() else {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "two taps are wanted",
        ));
    };
    let (one, other) = (open(one)?, open(other)?);
    println!("open");
    let mut frame = vec![0; 1 << 17];
    let started = Instant::now();
    let limit = Duration::from_secs_f64(options.seconds);
    let (mut frames, mut lost) = (0, 0);
    while started.elapsed() < limit {
        let mut waiting = [&one, &other].map(|tap| PollFd::new(tap.as_fd(), PollFlags::POLLIN));
        match poll(&mut waiting, PollTimeout::from(100_u8)) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        for (from, to) in [(&one, &other), (&other, &one)] {
            let (taken, missed) = hand_on(from, to, &mut frame)?;
            frames += taken - missed;
            lost += missed;
        }
    }
    Ok(json!({"frames": frames, "lost": lost, "seconds": started.elapsed().as_secs_f64()}))
}
