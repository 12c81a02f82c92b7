//! One open device, whatever it is: frames in, frames out, counters.

use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use weft_frame::Packet;

use crate::counters::Counters;
use crate::receive::RxBatch;
use crate::shaping::priority_of;
use crate::socket::{PacketSocket, Stopped, Use};
use crate::tap::Tap;
use crate::transmit::{self, TxQueue};

enum Handle {
    Socket(PacketSocket, Box<TxQueue>),
    Tap(Tap),
}

/// An open device.
pub struct Device {
    handle: Handle,
    counters: Counters,
    /// Frames lost for want of buffer, as far as the kernel has been asked: it forgets what it has told.
    lost: Cell<u64>,
}

impl Device {
    /// Takes over an existing device.
    pub fn attach(ifindex: u32) -> io::Result<Device> {
        Device::open(ifindex, Use::Both)
    }

    /// Takes over an existing device whose frames come in by another way: [`crate::PuntDevice`].
    pub fn attach_for_sending(ifindex: u32) -> io::Result<Device> {
        Device::open(ifindex, Use::Send)
    }

    fn open(ifindex: u32, usage: Use) -> io::Result<Device> {
        let handle = Handle::Socket(
            PacketSocket::open(ifindex, usage)?,
            Box::new(TxQueue::new()),
        );
        Ok(Device {
            handle,
            counters: Counters::default(),
            lost: Cell::new(0),
        })
    }

    /// Works the switch's end of a tap.
    pub fn from_tap(tap: Tap) -> Device {
        Device {
            handle: Handle::Tap(tap),
            counters: Counters::default(),
            lost: Cell::new(0),
        }
    }

    /// Receives what waits, at most a batch. Returns how many frames were taken: fewer than a whole batch
    /// ([`crate::RX_BATCH`]) means that nothing waits any more.
    ///
    /// # Errors
    /// `ENETDOWN` when the device was set down (it works again when it is up), others when it is gone.
    pub fn receive(&mut self, batch: &mut RxBatch) -> io::Result<usize> {
        match &mut self.handle {
            Handle::Socket(socket, _) => socket.receive(batch, &mut self.counters),
            Handle::Tap(tap) => batch.receive_tap(tap.as_fd(), &mut self.counters),
        }
    }

    /// Lets in by this way what a BPF program (of type socket filter) says; a tap, whose frames have no other, has none.
    pub fn filter(&self, program: BorrowedFd<'_>) -> io::Result<()> {
        match &self.handle {
            Handle::Socket(socket, _) => socket.filter(program),
            Handle::Tap(_) => Ok(()),
        }
    }

    /// Lets no more frames in by this way; `None` for a tap, whose frames have no other.
    pub fn stop_receiving(&mut self, ifindex: u32) -> io::Result<Option<Stopped>> {
        self.flush();
        match &mut self.handle {
            Handle::Socket(socket, queue) => {
                let stopped = socket.stop_receiving(ifindex)?;
                queue.forget_priority();
                Ok(Some(stopped))
            }
            Handle::Tap(_) => Ok(None),
        }
    }

    /// Counts a frame that came in by another way.
    pub fn count_received(&mut self, bytes: usize) {
        self.counters.rx_packets += 1;
        self.counters.rx_bytes += bytes as u64;
    }

    /// Sends a frame, now or at the next [`Device::flush`]; frames keep their order. What cannot be sent is counted.
    pub fn transmit(&mut self, packet: &Packet) {
        self.transmit_by(None, packet);
    }

    /// The same by one of the device's queues ([`crate::Shaping`]); one that it does not have is the one for all. A tap has
    /// none, as what is sent to it arrives at once.
    pub fn transmit_by(&mut self, queue_id: Option<u32>, packet: &Packet) {
        let header = packet.offload.to_vnet_hdr();
        match &mut self.handle {
            Handle::Socket(socket, queue) => {
                let priority = priority_of(queue_id);
                let frame = packet.bytes();
                queue.push(
                    socket.sender(),
                    &header,
                    frame,
                    priority,
                    &mut self.counters,
                )
            }
            Handle::Tap(tap) => {
                let result = transmit::send_now(tap.as_fd(), &header, packet.bytes());
                transmit::count(result, packet.len(), &mut self.counters);
            }
        }
    }

    /// Sends what waits.
    pub fn flush(&mut self) {
        if let Handle::Socket(socket, queue) = &mut self.handle {
            queue.flush(socket.sender(), &mut self.counters);
        }
    }

    /// Whether something waits to be sent.
    pub fn has_pending(&self) -> bool {
        match &self.handle {
            Handle::Socket(_, queue) => !queue.is_empty(),
            Handle::Tap(_) => false,
        }
    }

    /// What passed so far.
    pub fn counters(&self) -> Counters {
        if let Handle::Socket(socket, _) = &self.handle {
            self.lost
                .set(self.lost.get() + u64::from(socket.take_drops()));
        }
        Counters {
            rx_dropped: self.counters.rx_dropped + self.lost.get(),
            ..self.counters
        }
    }

    /// Counts frames that were taken and not let in.
    pub fn count_dropped(&mut self, frames: u64) {
        self.counters.rx_dropped += frames;
    }

    /// Goes on counting from there: a port keeps its counters while its device comes and goes.
    pub fn set_counters(&mut self, counters: Counters) {
        self.counters = counters;
    }

    /// Closes the device without waiting for the kernel to be done with it, which takes 10 to 20 ms for a socket. Whoever
    /// polls the device has to stop before, as it may stay open for a while.
    pub fn close_aside(self) {
        if let Handle::Socket(socket, _) = self.handle {
            socket.close_aside();
        }
    }

    /// Closes the device; a tap's interface is removed too.
    pub fn remove(self) -> io::Result<()> {
        match self.handle {
            Handle::Socket(..) => Ok(()),
            Handle::Tap(tap) => tap.remove(),
        }
    }
}

impl AsFd for Device {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.handle {
            Handle::Socket(socket, _) => socket.as_fd(),
            Handle::Tap(tap) => tap.as_fd(),
        }
    }
}
