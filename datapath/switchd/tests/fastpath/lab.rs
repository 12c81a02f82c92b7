//! Ports of every kind in network namespaces of the test's own, with the BPF program on them.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};
use weft_fastpath::{BridgePath, Kernel, Target, Way};
use weft_frame::Packet;
use weft_netdev::{Device, LinkInfo, PuntDevice, Rtnl, RxBatch, Tap};
use weft_pipeline::{Pipeline, Sink};

/// Ports 1 and 2: veth pairs whose far ends are in the switch's namespace; 3 and 4: in another one; 5: an internal interface.
pub const PORTS: u32 = 5;
pub const INTERNAL: u32 = 5;
/// Number of the bridge within the fast path.
const BRIDGE: u32 = 1;
/// How long a frame may take on a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(5);

/// Longer than the fast path leaves alone what a program may still be at.
const REST: Duration = Duration::from_millis(210);

/// What left, by port; frames of one port in order.
pub type Left = BTreeMap<u32, Vec<Vec<u8>>>;

/// A port and what is beyond it.
struct Port {
    link: LinkInfo,
    /// The switch's end of the internal interface.
    tap: Option<Device>,
    /// Sends into the switch and receives what leaves it.
    far: Device,
}

/// The lab.
pub struct Lab {
    kernel: Arc<Mutex<Kernel>>,
    punt: PuntDevice,
    ports: Vec<Port>,
    batch: RxBatch,
    /// How often there were too many masks.
    refused: Option<u64>,
    /// Packets that took the way through user space since the start.
    pub by_user: u64,
    /// Frames sent in all.
    pub sent: u64,
    /// Packets that the kernel has sent out of ports.
    transmitted: BTreeMap<u32, u64>,
}

/// Whether there are the rights for this; says so if not.
pub fn may_run() -> bool {
    let may = nix::unistd::geteuid().is_root() && unshare(CloneFlags::CLONE_NEWNET).is_ok();
    if !may {
        eprintln!("skipped: needs the right to make network namespaces (root)");
    }
    may
}

fn run(command: &str) {
    let mut words = command.split_whitespace();
    let program = words.next().unwrap();
    let status = Command::new(program).args(words).status().unwrap();
    assert!(status.success(), "{command}");
}

fn quiet() {
    // Keeps the kernel from sending frames of its own on new devices.
    run("sysctl -qw net.ipv6.conf.default.disable_ipv6=1 net.ipv6.conf.all.disable_ipv6=1");
}

fn link(name: &str) -> LinkInfo {
    let found = Rtnl::new().unwrap().link(name).unwrap();
    found.unwrap_or_else(|| panic!("no device {name}"))
}

/// Opens far ends in a namespace of their own: `moves` gets the id of a thread that is in it.
fn elsewhere(names: &'static [&'static str], moves: impl FnOnce(i32)) -> Vec<Device> {
    let (tell_id, id) = channel();
    let (tell_moved, moved) = channel::<()>();
    let opening = std::thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        quiet();
        tell_id.send(nix::unistd::gettid().as_raw()).unwrap();
        moved.recv().unwrap();
        let open = |name: &&str| {
            run(&format!("ip link set {name} up"));
            Device::attach(link(name).ifindex).unwrap()
        };
        names.iter().map(open).collect()
    });
    moves(id.recv().unwrap());
    tell_moved.send(()).unwrap();
    opening.join().unwrap()
}

impl Lab {
    /// Makes the ports and loads the program; `None`, with a line that says why, where the kernel has not what it takes.
    pub fn new() -> Option<Lab> {
        quiet();
        for port in 1..INTERNAL {
            run(&format!("ip link add p{port} type veth peer name h{port}"));
            run(&format!("ip link set p{port} up"));
        }
        let mut far = Vec::new();
        for name in ["h1", "h2"] {
            run(&format!("ip link set {name} up"));
            far.push(Device::attach(link(name).ifindex).unwrap());
        }
        far.extend(elsewhere(&["h3", "h4"], |thread| {
            run(&format!("ip link set h3 netns {thread}"));
            run(&format!("ip link set h4 netns {thread}"));
        }));
        let tap = Device::from_tap(Tap::open("p5").unwrap());
        run("ip link set p5 up");
        far.push(Device::attach(link("p5").ifindex).unwrap());
        let mut tap = Some(tap);
        let ports = far.into_iter().zip(1..).map(|(far, port)| Port {
            link: link(&format!("p{port}")),
            tap: (port == INTERNAL).then(|| tap.take()).flatten(),
            far,
        });
        let ports: Vec<Port> = ports.collect();
        let mut rtnl = Rtnl::new().unwrap();
        let punt = PuntDevice::open(&mut rtnl, "punt").unwrap();
        let (mut kernel, mut linker) = match Kernel::load(punt.ifindex(), None) {
            Ok(loaded) => loaded,
            Err(error) => {
                eprintln!("skipped: no fast path here: {error}");
                return None;
            }
        };
        for (port, number) in ports.iter().zip(1..) {
            let internal = number == INTERNAL;
            let ifindex = port.link.ifindex;
            let link = linker.link(ifindex, &port.link.name, internal).unwrap();
            kernel.hook(ifindex, link, internal).unwrap();
            let way = match number {
                INTERNAL => Way::Receive,
                // Addresses that many of the frames are for.
                3 | 4 => Way::Peer(0x0200_0000_00d1 + u64::from(number)),
                _ => Way::Transmit,
            };
            let target = Target {
                ifindex: port.link.ifindex,
                way,
                max_len: 1518,
                policed: false,
            };
            kernel.set_target(BRIDGE, number, Some(target));
        }
        let mut lab = Lab {
            kernel: Arc::new(Mutex::new(kernel)),
            punt,
            ports,
            batch: RxBatch::default(),
            refused: None,
            by_user: 0,
            sent: 0,
            transmitted: BTreeMap::new(),
        };
        lab.swallow();
        Some(lab)
    }

    /// What a pipeline hands its flows to.
    pub fn path(&self) -> Box<dyn weft_pipeline::FastPath> {
        Box::new(BridgePath::new(self.kernel.clone(), BRIDGE))
    }

    /// The program and its maps.
    pub fn kernel(&self) -> std::sync::MutexGuard<'_, Kernel> {
        self.kernel.lock().unwrap()
    }

    /// Lets masks that were used rest as long as they have to, if there were too few of them lately.
    pub fn rest(&mut self) {
        let refused = self.kernel().refused().get("too many masks").copied();
        if refused != self.refused {
            self.refused = refused;
            std::thread::sleep(REST);
        }
    }

    /// Forgets what has come so far.
    fn swallow(&mut self) {
        for port in &mut self.ports {
            while port.far.receive(&mut self.batch).unwrap_or(0) > 0 {}
        }
    }

    /// Sends a frame into a port and gives what leaves the switch: by the kernel as captured beyond the ports, by the pipeline
    /// as that says. `expected` frames are waited for; more are noticed then or, late ones, with the next frame.
    pub fn pass(
        &mut self,
        pipeline: &mut Pipeline,
        in_port: u32,
        frame: &Packet,
        now: u64,
        expected: usize,
    ) -> Left {
        let treated = |pipeline: &mut Pipeline| {
            pipeline.update_counters(now);
            let stats = pipeline.cache_stats();
            stats.hits + stats.misses + stats.fast_hits
        };
        let before = treated(pipeline);
        let by_user = self.by_user;
        let far = &mut self.ports[in_port as usize - 1].far;
        far.transmit(frame);
        far.flush();
        self.sent += 1;
        let mut left = Left::default();
        let end = Instant::now() + PATIENCE;
        loop {
            self.take_punted(pipeline, now, &mut left);
            self.capture(&mut left);
            let is_treated = treated(pipeline) > before;
            if is_treated && left.values().map(Vec::len).sum::<usize>() >= expected {
                self.capture(&mut left);
                if self.by_user == by_user {
                    for (port, frames) in &left {
                        *self.transmitted.entry(*port).or_default() += frames.len() as u64;
                    }
                }
                return left;
            }
            if Instant::now() > end {
                let found = left.values().map(Vec::len).sum::<usize>();
                eprintln!(
                    "{found} of {expected} frames after {PATIENCE:?}; treated: {is_treated}; port {in_port}: {:x?}",
                    frame.bytes()
                );
                return left;
            }
        }
    }

    /// Packets that have left by each port of the kernel's doing: as captured, and as counted.
    pub fn transmitted(&self) -> [BTreeMap<u32, u64>; 2] {
        let kernel = self.kernel();
        let counted = self.ports.iter().zip(1..).map(|(port, number)| {
            let counts = kernel.port_counts(port.link.ifindex);
            (number, counts.tx_packets)
        });
        let counted = counted.filter(|(_, packets)| *packets > 0).collect();
        [self.transmitted.clone(), counted]
    }

    fn take_punted(&mut self, pipeline: &mut Pipeline, now: u64, left: &mut Left) {
        let mut sink = Sent(left);
        // Before its first frame a socket may tell that its device was down.
        let _ = self.punt.receive(&mut self.batch);
        for (packet, mark) in self.batch.marked() {
            let mut kernel = self.kernel.lock().unwrap();
            let ifindex = kernel.marked(mark).expect("a frame without a port's mark");
            kernel.punted(mark, packet.len());
            drop(kernel);
            self.by_user += 1;
            let port = self
                .ports
                .iter()
                .position(|port| port.link.ifindex == ifindex);
            let port = port.expect("a device of the lab") as u32 + 1;
            pipeline.process(packet, port, now, &mut sink);
        }
        let internal = &mut self.ports[INTERNAL as usize - 1];
        if let Some(tap) = &mut internal.tap {
            let _ = tap.receive(&mut self.batch);
            for packet in self.batch.packets() {
                self.by_user += 1;
                pipeline.process(packet, INTERNAL, now, &mut sink);
            }
        }
    }

    fn capture(&mut self, left: &mut Left) {
        for (port, number) in self.ports.iter_mut().zip(1..) {
            while port.far.receive(&mut self.batch).unwrap_or(0) > 0 {
                let frames = self.batch.packets().iter();
                let frames = frames.map(|packet| packet.bytes().to_vec());
                left.entry(number).or_default().extend(frames);
            }
        }
    }
}

/// Keeps what the pipeline sends.
pub struct Sent<'a>(pub &'a mut Left);

impl Sink for Sent<'_> {
    fn output(&mut self, port_no: u32, _: Option<u32>, packet: &mut Packet) {
        let frames = self.0.entry(port_no).or_default();
        frames.push(packet.bytes().to_vec());
    }

    fn packet_in(&mut self, packet: &mut Packet, _: &weft_pipeline::PacketIn) {
        // Told apart from what leaves by ports.
        let frames = self.0.entry(u32::MAX).or_default();
        frames.push(packet.bytes().to_vec());
    }
}
