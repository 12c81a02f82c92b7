//! Real devices in network namespaces of their own. Needs root; says so and passes where there is none.

#![allow(clippy::unwrap_used)]

use std::process::Command;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use weft_frame::{Checksum, Gso, GsoKind, Offload, Packet};
use weft_netdev::{
    Device, LinkEvent, LinkInfo, LinkMonitor, PuntDevice, RING_SLOTS, Rtnl, RxBatch, Shield, Tap,
    open_patch,
};

/// Moves this test's thread (and what it starts) into a fresh network namespace.
fn enter_namespace() -> bool {
    if !nix::unistd::geteuid().is_root()
        || nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).is_err()
    {
        eprintln!("skipped: needs the right to make network namespaces (root)");
        return false;
    }
    // Keeps the kernel from sending frames of its own on new devices.
    run("sysctl -qw net.ipv6.conf.default.disable_ipv6=1");
    true
}

fn run(command: &str) {
    let mut words = command.split_whitespace();
    let status = Command::new(words.next().unwrap())
        .args(words)
        .status()
        .unwrap();
    assert!(status.success(), "{command}");
}

fn veth(a: &str, b: &str) {
    run(&format!("ip link add {a} type veth peer name {b}"));
    run(&format!("ip link set {a} up"));
    run(&format!("ip link set {b} up"));
}

fn link(name: &str) -> LinkInfo {
    Rtnl::new()
        .unwrap()
        .link(name)
        .unwrap()
        .unwrap_or_else(|| panic!("no device {name}"))
}

fn attach(name: &str) -> Device {
    Device::attach(link(name).ifindex).unwrap()
}

fn until<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(5);
    loop {
        if let Some(value) = probe() {
            return value;
        }
        assert!(Instant::now() < end, "not within 5 s: {what}");
        std::thread::yield_now();
    }
}

/// Takes frames of the test's own Ethernet type until `count` have come.
fn frames(device: &mut Device, count: usize) -> Vec<Packet> {
    let mut batch = RxBatch::default();
    let mut seen = Vec::new();
    until("frames", || {
        device.receive(&mut batch).unwrap();
        seen.extend(batch.packets().iter().cloned());
        (seen.len() >= count).then_some(())
    });
    assert_eq!(seen.len(), count);
    seen
}

fn frame(number: u8, length: usize) -> Packet {
    let mut bytes = vec![0; length];
    bytes[..12].copy_from_slice(&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2]);
    bytes[12..14].copy_from_slice(&[0x88, 0xb5]);
    bytes[14] = number;
    Packet::from_frame(&bytes)
}

/// A TCP segment of 20 000 bytes awaiting checksum and segmentation, in as many tags as given.
fn tcp_segment(tags: &[[u8; 4]]) -> Packet {
    let payload = 20_000;
    let mut bytes = vec![0x5a; 54 + payload];
    bytes[..12].copy_from_slice(&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2]);
    bytes[12..14].copy_from_slice(&[8, 0]);
    let total = (40 + payload) as u16;
    bytes[14..34].copy_from_slice(&[
        0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 6, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2,
    ]);
    bytes[16..18].copy_from_slice(&total.to_be_bytes());
    let sum: u32 = bytes[14..34]
        .chunks(2)
        .map(|w| u32::from(u16::from_be_bytes([w[0], w[1]])))
        .sum();
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
    bytes[24..26].copy_from_slice(&sum.to_be_bytes());
    bytes[34..54].copy_from_slice(&[
        0, 80, 0, 81, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 0xff, 0xff, 0, 0, 0, 0,
    ]);
    // The pseudo-header's sum.
    let pseudo: u32 = 0xc000 + 0x0201 + 0xc000 + 0x0202 + 6 + 20 + payload as u32;
    bytes[50..52].copy_from_slice(&(((pseudo & 0xffff) + (pseudo >> 16)) as u16).to_be_bytes());
    let mut packet = Packet::with_capacity(0);
    let offload = Offload {
        checksum: Checksum::Partial {
            start: 34,
            offset: 16,
        },
        gso: Some(Gso {
            kind: GsoKind::Tcp4,
            ecn: false,
            size: 1448,
            hdr_len: 54,
        }),
    };
    packet.assign(&bytes, offload);
    for tag in tags.iter().rev() {
        assert!(packet.insert(12, 4));
        packet.bytes_mut()[12..16].copy_from_slice(tag);
    }
    packet
}

#[test]
fn frames_pass_in_order_and_own_frames_are_not_heard() {
    if !enter_namespace() {
        return;
    }
    veth("va0", "vb0");
    let (mut a, mut b) = (attach("va0"), attach("vb0"));
    // Small ones wait for a batch, large ones do not; the order must hold all the same.
    for number in 0..200u8 {
        a.transmit(&frame(number, if number % 7 == 0 { 1514 } else { 60 }));
        if number == 100 {
            a.transmit(&tcp_segment(&[]));
        }
    }
    a.flush();
    let seen = frames(&mut b, 201);
    let numbers: Vec<u8> = seen
        .iter()
        .filter(|p| p.len() < 2000)
        .map(|p| p.bytes()[14])
        .collect();
    assert_eq!(numbers, (0..200).collect::<Vec<_>>());
    assert!(seen[101].len() > 20_000);
    let mut batch = RxBatch::default();
    assert_eq!(a.receive(&mut batch).unwrap(), 0);
    assert_eq!(a.counters().tx_packets, 201);
    assert_eq!(b.counters().rx_packets, 201);
    assert_eq!(a.counters().tx_bytes, b.counters().rx_bytes);
}

#[test]
fn offloads_cross_whole_with_and_without_tags() {
    if !enter_namespace() {
        return;
    }
    veth("va0", "vb0");
    let (mut a, mut b) = (attach("va0"), attach("vb0"));
    for tags in [
        &[][..],
        &[[0x81, 0, 0x20, 5]],
        &[[0x88, 0xa8, 0, 7], [0x81, 0, 0, 5]],
    ] {
        let sent = tcp_segment(tags);
        a.transmit(&sent);
        a.flush();
        let seen = frames(&mut b, 1);
        assert_eq!(seen[0].bytes(), sent.bytes(), "{} tags", tags.len());
        assert_eq!(seen[0].offload.checksum, sent.offload.checksum);
        let (got, want) = (seen[0].offload.gso.unwrap(), sent.offload.gso.unwrap());
        assert_eq!((got.kind, got.size), (want.kind, want.size));
    }
    assert_eq!(a.counters().tx_errors, 0);
}

#[test]
fn a_tag_the_kernel_took_out_is_put_back() {
    if !enter_namespace() {
        return;
    }
    veth("va0", "vb0");
    let (mut a, mut b) = (attach("va0"), attach("vb0"));
    // The kernel takes the outer tag out of a received frame before the packet sockets see it.
    for tag in [[0x81, 0, 0, 5], [0x88, 0xa8, 0x60, 7], [0x81, 0, 0xf0, 0]] {
        let mut tagged = frame(1, 60);
        assert!(tagged.insert(12, 4));
        tagged.bytes_mut()[12..16].copy_from_slice(&tag);
        b.transmit(&tagged);
        b.flush();
        assert_eq!(frames(&mut a, 1)[0].bytes(), tagged.bytes());
    }
}

fn arp_request() -> Packet {
    let mut bytes = vec![0xff; 6];
    bytes.extend([
        2, 0, 0, 0, 0, 2, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 2, 192, 0, 2, 2,
    ]);
    bytes.extend([0, 0, 0, 0, 0, 0, 192, 0, 2, 1]);
    bytes.resize(60, 0);
    Packet::from_frame(&bytes)
}

/// Whether the host answers ARP on `a`, asked from the other end; `a`'s own socket must see the question either way.
fn host_answers(inside: &mut Device, outside: &mut Device) -> bool {
    let mut batch = RxBatch::default();
    outside.transmit(&arp_request());
    // An answer would have been given before this frame's turn.
    outside.transmit(&frame(9, 60));
    outside.flush();
    assert_eq!(frames(inside, 2)[0].bytes()[12..14], [8, 6]);
    std::thread::sleep(Duration::from_millis(20));
    outside.receive(&mut batch).unwrap();
    batch
        .packets()
        .iter()
        .any(|packet| packet.bytes()[20..22] == [0, 2])
}

#[test]
fn the_host_does_not_see_frames_of_a_shielded_device() {
    if !enter_namespace() {
        return;
    }
    veth("va0", "vb0");
    run("ip addr add 192.0.2.1/24 dev va0");
    let (mut a, mut b) = (attach("va0"), attach("vb0"));
    let mut rtnl = Rtnl::new().unwrap();
    let ifindex = link("va0").ifindex;
    assert!(host_answers(&mut a, &mut b));
    let shields = [
        Shield::attach_link(ifindex).unwrap(),
        Shield::attach(&mut rtnl, ifindex).unwrap(),
    ];
    for shield in shields.into_iter().rev() {
        assert!(!host_answers(&mut a, &mut b));
        shield.remove(&mut rtnl).unwrap();
    }
    assert!(host_answers(&mut a, &mut b));
    // Left behind by a process that died: adopted, and removed with it.
    std::mem::forget(Shield::attach_filter(&mut rtnl, ifindex).unwrap());
    let adopted = Shield::attach_filter(&mut rtnl, ifindex).unwrap();
    assert!(!host_answers(&mut a, &mut b));
    adopted.remove(&mut rtnl).unwrap();
    assert!(host_answers(&mut a, &mut b));
    // Gone with its device, which is no error.
    let shield = Shield::attach_filter(&mut rtnl, ifindex).unwrap();
    run("ip link del va0");
    shield.remove(&mut rtnl).unwrap();
}

#[test]
fn taps_persist_are_adopted_and_removed() {
    if !enter_namespace() {
        return;
    }
    let mut rtnl = Rtnl::new().unwrap();
    let tap = Tap::open("in0").unwrap();
    let first = link("in0");
    assert_eq!(first.kind.as_deref(), Some("tun"));
    assert!(!first.admin_up, "the administrator brings it up");
    rtnl.set_mac(first.ifindex, [2, 0, 0, 0, 0, 7]).unwrap();
    rtnl.set_mtu(first.ifindex, 1400).unwrap();
    rtnl.set_alias(first.ifindex, "port of br0").unwrap();
    assert_eq!(
        Tap::open("in0").unwrap_err().raw_os_error(),
        Some(libc_ebusy())
    );
    drop(tap);
    // What another test is just starting may hold the descriptor for a moment.
    let adopted = until("it is free", || Tap::open("in0").ok());
    let again = link("in0");
    assert_eq!(
        (again.ifindex, again.mac, again.mtu),
        (first.ifindex, [2, 0, 0, 0, 0, 7], 1400)
    );

    rtnl.set_admin_up(again.ifindex, true).unwrap();
    assert!(link("in0").link_up);
    let mut host = attach("in0");
    let mut device = Device::from_tap(adopted);
    for packet in [
        frame(1, 60),
        tcp_segment(&[]),
        tcp_segment(&[[0x81, 0, 0, 5]]),
    ] {
        // Up into the host's side …
        device.transmit(&packet);
        let seen = frames(&mut host, 1);
        assert_eq!(seen[0].bytes(), packet.bytes());
        assert_eq!(
            seen[0].offload.gso.map(|g| g.size),
            packet.offload.gso.map(|g| g.size)
        );
        // … and down from it.
        host.transmit(&packet);
        host.flush();
        let seen = frames(&mut device, 1);
        assert_eq!(seen[0].bytes(), packet.bytes());
        assert_eq!(
            seen[0].offload.gso.map(|g| g.size),
            packet.offload.gso.map(|g| g.size)
        );
    }
    device.remove().unwrap();
    until("it is gone", || {
        rtnl.link("in0").unwrap().is_none().then_some(())
    });

    veth("va0", "vb0");
    let error = Tap::open("va0").unwrap_err().to_string();
    assert!(error.contains("not a tap"), "{error}");
}

fn libc_ebusy() -> i32 {
    nix::errno::Errno::EBUSY as i32
}

#[test]
fn patch_ports_are_made_adopted_and_joined_anew() {
    if !enter_namespace() {
        return;
    }
    let mut rtnl = Rtnl::new().unwrap();
    open_patch(&mut rtnl, "p0", "p1").unwrap();
    let (one, other) = (link("p0"), link("p1"));
    assert!(link("p0").link_up && other.link_up);
    // The other end, or the next process, takes what is there.
    open_patch(&mut rtnl, "p1", "p0").unwrap();
    assert_eq!(
        (link("p0").ifindex, link("p1").ifindex),
        (one.ifindex, other.ifindex)
    );
    open_patch(&mut rtnl, "p0", "p2").unwrap();
    assert!(rtnl.link("p1").unwrap().is_none());
    assert!(link("p2").link_up);
    // What is not ours stays as it is.
    veth("v0", "v1");
    let error = open_patch(&mut rtnl, "p0", "v0").unwrap_err();
    assert_eq!(error.to_string(), "v0 exists already and is no patch port");
    assert!(link("v0").link_up && link("p2").link_up);
}

#[test]
fn changes_of_devices_are_heard() {
    if !enter_namespace() {
        return;
    }
    let mut monitor = LinkMonitor::new().unwrap();
    let mut events = Vec::new();
    let mut heard = |what: &str, wanted: &dyn Fn(&LinkEvent) -> bool| {
        until(what, || {
            monitor.drain(|event| events.push(event)).unwrap();
            let at = events.iter().position(wanted)?;
            events.drain(..=at);
            Some(())
        });
    };
    run("ip link add va0 type veth peer name vb0");
    heard(
        "added",
        &|e| matches!(e, LinkEvent::Changed(link) if link.name == "va0" && !link.admin_up),
    );
    run("ip link set va0 up");
    heard(
        "up without carrier",
        &|e| matches!(e, LinkEvent::Changed(l) if l.name == "va0" && l.admin_up && !l.link_up),
    );
    run("ip link set vb0 up");
    heard(
        "carrier",
        &|e| matches!(e, LinkEvent::Changed(link) if link.name == "va0" && link.link_up),
    );
    run("ip link set va0 mtu 1300 address 02:00:00:00:00:09");
    heard(
        "address",
        &|e| matches!(e, LinkEvent::Changed(link) if link.name == "va0" && link.mac == [2, 0, 0, 0, 0, 9]),
    );
    let ifindex = link("va0").ifindex;
    assert_eq!(link("va0").mtu, 1300);
    run("ip link set va0 name vc0");
    heard(
        "renamed",
        &|e| matches!(e, LinkEvent::Changed(link) if link.name == "vc0" && link.ifindex == ifindex),
    );
    run("ip link del vc0");
    heard(
        "removed",
        &|e| matches!(e, LinkEvent::Removed { ifindex: i, name } if *i == ifindex && name == "vc0"),
    );
    assert!(Rtnl::new().unwrap().link("vc0").unwrap().is_none());
}

#[test]
fn a_device_works_again_after_it_was_down() {
    if !enter_namespace() {
        return;
    }
    veth("va0", "vb0");
    let (mut a, mut b) = (attach("va0"), attach("vb0"));
    let mut batch = RxBatch::default();
    run("ip link set va0 down");
    assert!(a.receive(&mut batch).is_err());
    assert_eq!(a.receive(&mut batch).unwrap(), 0);
    a.transmit(&frame(1, 60));
    a.flush();
    assert_eq!(a.counters().tx_dropped, 1);
    run("ip link set va0 up");
    until("carrier", || link("va0").link_up.then_some(()));
    b.transmit(&frame(2, 60));
    b.flush();
    assert_eq!(frames(&mut a, 1)[0].bytes()[14], 2);
}

#[test]
fn frames_that_do_not_fit_are_counted() {
    if !enter_namespace() {
        return;
    }
    veth("va0", "vb0");
    let (mut a, mut b) = (attach("va0"), attach("vb0"));
    a.transmit(&frame(1, 60));
    a.transmit(&frame(2, 1540));
    a.transmit(&frame(3, 60));
    a.flush();
    let seen = frames(&mut b, 2);
    assert_eq!(seen[1].bytes()[14], 3);
    assert_eq!((a.counters().tx_packets, a.counters().tx_errors), (2, 1));
}

#[test]
fn only_a_pair_has_its_other_end_elsewhere() {
    if !enter_namespace() {
        return;
    }
    veth("near", "far");
    run("ip link add link far name mv type macvlan");
    let far = link("far");
    assert_eq!(link("near").peer_elsewhere, None);
    let (tell_id, id) = channel();
    let (end, ended) = channel::<()>();
    let elsewhere = std::thread::spawn(move || {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
        tell_id.send(nix::unistd::gettid()).unwrap();
        let _ = ended.recv();
    });
    run(&format!("ip link set far netns {}", id.recv().unwrap()));
    let peer = link("near").peer_elsewhere.unwrap();
    let found = Rtnl::new().unwrap().peer(peer).unwrap().unwrap();
    assert_eq!((found.name.as_str(), found.mac), ("far", far.mac));
    assert_eq!(link("mv").peer_elsewhere, None);
    end.send(()).unwrap();
    elsewhere.join().unwrap();
}

#[test]
fn queueing_and_promiscuity_of_a_device_are_told() {
    if !enter_namespace() {
        return;
    }
    veth("near", "far");
    let ifindex = link("near").ifindex;
    assert!(!link("near").queued && !link("near").promiscuous);
    let mut monitor = LinkMonitor::new().unwrap();
    for (command, queued) in [("add", true), ("del", false)] {
        run(&format!("tc qdisc {command} dev near root pfifo"));
        until("it is said", || {
            let mut said = None;
            let each =
                |event| said = said.or((event == LinkEvent::Requeued { ifindex }).then_some(()));
            monitor.drain(each).unwrap();
            said
        });
        assert_eq!(link("near").queued, queued);
    }
    let _socket = attach("near");
    assert!(!link("near").promiscuous);
    Rtnl::new().unwrap().set_promiscuous(ifindex, true).unwrap();
    assert!(link("near").promiscuous && link("near").admin_up);
}

#[test]
fn frames_of_all_lengths_come_from_the_punt_device_in_order_and_with_their_marks() {
    if !enter_namespace() {
        return;
    }
    let mut punt = PuntDevice::open(&mut Rtnl::new().unwrap(), "punt").unwrap();
    let mut near = attach(punt.name());
    let mut batch = RxBatch::default();
    // A slot ends within the second: those before are in the ring, those after in the queue.
    let lengths = [60, 350, 440, 512, 1514, 60, 20_000, 60, 60];
    let mut expected = 0_u16;
    // More than the ring has slots.
    while usize::from(expected) < RING_SLOTS + 1000 {
        let sent: Vec<Packet> = (0..60)
            .map(|index| match lengths[index % lengths.len()] {
                20_000 => tcp_segment(&[]),
                length => frame(index as u8, length),
            })
            .collect();
        for (packet, mark) in sent.iter().zip(expected..) {
            let mut marked = packet.clone();
            assert!(marked.insert(12, 4));
            let [a, b] = mark.to_be_bytes();
            marked.bytes_mut()[12..16].copy_from_slice(&[0x88, 0xa8, a, b]);
            near.transmit(&marked);
        }
        near.flush();
        let mut received = sent.iter();
        until("all frames", || {
            // Before its first frame it may tell that it was down.
            let _ = punt.receive(&mut batch);
            for (packet, mark) in batch.marked() {
                let sent = received.next().unwrap();
                assert_eq!((mark, packet.bytes()), (expected, sent.bytes()));
                assert_eq!(packet.offload, sent.offload);
                expected += 1;
            }
            received.as_slice().is_empty().then_some(())
        });
    }
    assert_eq!(punt.lost(), 0);
}

#[test]
fn a_full_punt_device_says_how_many_frames_it_has_lost() {
    if !enter_namespace() {
        return;
    }
    let mut punt = PuntDevice::open(&mut Rtnl::new().unwrap(), "punt").unwrap();
    let mut near = attach(punt.name());
    let mut batch = RxBatch::default();
    let _ = punt.receive(&mut batch);
    for _ in 0..RING_SLOTS + 100 {
        near.transmit(&frame(1, 60));
    }
    near.flush();
    let mut received = 0;
    until("what was kept", || {
        let _ = punt.receive(&mut batch);
        received += batch.packets().len();
        (received == RING_SLOTS).then_some(())
    });
    assert_eq!(punt.lost(), 100);
    // It goes on where it was.
    near.transmit(&frame(2, 1000));
    near.transmit(&frame(3, 60));
    near.flush();
    let mut numbers = Vec::new();
    until("frames behind the gap", || {
        let _ = punt.receive(&mut batch);
        numbers.extend(batch.packets().iter().map(|packet| packet.bytes()[14]));
        (numbers.len() == 2).then_some(())
    });
    assert_eq!(numbers, [2, 3]);
}
