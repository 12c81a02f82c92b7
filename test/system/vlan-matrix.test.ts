/**
 * The VLAN matrix on the wire: every port mode as ingress and as egress × every kind of frame, flooded and
 * unicast, on the real datapath. What leaves each port is compared with vlan-oracle.ts.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { switchKinds } from './kinds.js';
import { Lab, sh, until, type Wire } from './lab.js';
import { forwardTags, type PortSetup, type Tag } from './vlan-oracle.js';

const ports: PortSetup[] = [
  { name: 'acc10', vlanMode: 'access', tag: 10 },
  { name: 'acc20', vlanMode: 'access', tag: 20 },
  { name: 'prio10', vlanMode: 'access', tag: 10, priorityTags: 'if-nonzero' },
  { name: 'always10', vlanMode: 'access', tag: 10, priorityTags: 'always' },
  { name: 'trunkall', vlanMode: 'trunk' },
  { name: 'trunklist', vlanMode: 'trunk', trunks: [10, 20] },
  { name: 'trunkprio', vlanMode: 'trunk', priorityTags: 'if-nonzero' },
  { name: 'nattag', vlanMode: 'native-tagged', tag: 10, trunks: [20] },
  { name: 'natuntag', vlanMode: 'native-untagged', tag: 10, trunks: [20] },
  { name: 'natall', vlanMode: 'native-untagged', tag: 20 },
  { name: 'tunnel30', vlanMode: 'dot1q-tunnel', tag: 30 },
  { name: 'tunnelc', vlanMode: 'dot1q-tunnel', tag: 30, cvlans: [10] },
];

const c = (vid: number, pcp = 0): Tag => ({ tpid: 0x8100, vid, pcp });
const s = (vid: number, pcp = 0): Tag => ({ tpid: 0x88a8, vid, pcp });
const frames: Record<string, Tag[]> = {
  untagged: [],
  'priority-tagged': [c(0, 5)],
  'tagged 10': [c(10)],
  'tagged 10 with priority': [c(10, 3)],
  'tagged 20': [c(20)],
  'tagged 99, listed nowhere': [c(99)],
  'tagged 30, the service VLAN': [c(30)],
  'double-tagged 30/10': [s(30), c(10)],
  'double-tagged 30/20 with C-tags': [c(30), c(20)],
  'double-tagged 10/20': [c(10), c(20)],
};

const hex = (value: number, digits: number) => value.toString(16).padStart(digits, '0');
const writeTags = (tags: Tag[]) =>
  tags.map((tag) => hex(tag.tpid, 4) + hex((tag.pcp << 13) | tag.vid, 4)).join('');
const frameOf = (destination: string, source: string, tags: Tag[], id: number) =>
  destination + source + writeTags(tags) + '88b5' + hex(id, 8) + '00'.repeat(46);

interface Arrival {
  on: string;
  id: number;
  tags: Tag[];
}

/** What of ours was in a captured frame; frames of others (the kernel's own) give null. */
function readFrame(on: string, frame: string): Arrival | null {
  const tags: Tag[] = [];
  let at = 24;
  for (
    let tpid = frame.slice(at, at + 4);
    tpid === '8100' || tpid === '88a8';
    tpid = frame.slice(at, at + 4)
  ) {
    const tci = Number.parseInt(frame.slice(at + 4, at + 8), 16);
    tags.push({ tpid: Number.parseInt(tpid, 16), vid: tci & 0xfff, pcp: tci >> 13 });
    at += 8;
  }
  if (frame.slice(at, at + 4) !== '88b5') return null;
  return { on: on.slice(1), id: Number.parseInt(frame.slice(at + 4, at + 12), 16), tags };
}

const show = (tags: Tag[] | null) =>
  tags === null
    ? 'nothing'
    : tags.map((t) => `${t.tpid === 0x8100 ? 'C' : 'S'}${t.vid}p${t.pcp}`).join('/') || 'untagged';

describe.each(switchKinds)('on $name', (kind) => {
  let lab: Lab;
  let wire: Wire;
  let lastId = 0;

  beforeAll(async () => {
    lab = await Lab.create();
    const hosts = `${lab.switchNamespace}h`;
    await lab.addNamespace(hosts);
    for (const { name } of ports) {
      await sh(
        'ip',
        'link',
        'add',
        'name',
        name,
        'netns',
        lab.switchNamespace,
        'type',
        'veth',
        'peer',
        'name',
        `h${name}`,
        'netns',
        hosts,
      );
      await sh('ip', '-n', lab.switchNamespace, 'link', 'set', name, 'up');
      await sh('ip', '-n', hosts, 'link', 'set', `h${name}`, 'up');
    }
    wire = lab.wire(hosts);
    await wire.listen(...ports.map(({ name }) => `h${name}`));
    await kind.start(
      lab,
      ports.map(({ name }) => name),
    );
    for (const port of ports) await lab.must('POST', '/v1/bridges/br0/ports', port);
    // Open vSwitch forwards by what it had before for a while after it has said that all is done.
    await until(
      'frames from each port pass',
      () =>
        exchange([], 1_000).then(
          () => true,
          () => false,
        ),
      30_000,
    );
  });

  afterAll(() => lab?.close());

  /** Sends the frames, then a marker that must arrive after them, and gives what arrived by frame id. */
  async function exchange(
    injections: { port: PortSetup; frame: string }[],
    deadlineMs = 20_000,
  ): Promise<Map<number, Arrival[]>> {
    wire.seen.length = 0;
    for (const { port, frame } of injections) wire.send(`h${port.name}`, frame);
    // Frames are forwarded in order, so once the markers sent last into each port have been seen, so has all before.
    // A port that refuses untagged frames is marked by a frame of its list.
    const markers = new Map<number, string>();
    for (const port of ports) {
      const tags = (port.vlanMode === 'trunk' && port.trunks) || port.cvlans ? [c(10)] : [];
      const id = (lastId += 1);
      markers.set(id, port.name);
      wire.send(`h${port.name}`, frameOf('ffffffffffff', `0600${hex(id, 8)}`, tags, id));
    }
    const missing = () => {
      const seen = new Set(wire.seen.map(({ on, hex: frame }) => readFrame(on, frame)?.id));
      return [...markers].filter(([id]) => !seen.has(id));
    };
    await until('all markers', () => missing().length === 0, deadlineMs).catch((error: Error) => {
      throw new Error(
        `${error.message}; missing from ${missing()
          .map(([, name]) => name)
          .join(' ')}\n${lab.log.slice(-1500)}`,
      );
    });
    const arrivals = new Map<number, Arrival[]>();
    for (const { on, hex: frame } of wire.seen) {
      const arrival = readFrame(on, frame);
      if (arrival) arrivals.set(arrival.id, [...(arrivals.get(arrival.id) ?? []), arrival]);
    }
    return arrivals;
  }

  test('flooded: each mode and kind of frame, in and out', async () => {
    const cells: { ingress: PortSetup; name: string; tags: Tag[]; id: number; frame: string }[] = [];
    for (const ingress of ports) {
      for (const [name, tags] of Object.entries(frames)) {
        const id = (lastId += 1);
        cells.push({
          ingress,
          name,
          tags,
          id,
          frame: frameOf('ffffffffffff', `0200${hex(id, 8)}`, tags, id),
        });
      }
    }
    const arrivals = await exchange(cells.map(({ ingress, frame }) => ({ port: ingress, frame })));
    const faults: string[] = [];
    for (const { ingress, name, tags, id } of cells) {
      for (const egress of ports) {
        if (!kind.canForward(ingress, tags, egress)) continue;
        const wanted = egress === ingress ? null : forwardTags(ingress, tags, egress);
        const got = (arrivals.get(id) ?? []).filter(({ on }) => on === egress.name);
        const seen = got.length === 0 ? 'nothing' : got.map((arrival) => show(arrival.tags)).join(' and ');
        if (seen !== show(wanted))
          faults.push(`${ingress.name} → ${egress.name}, ${name}: ${seen}, not ${show(wanted)}`);
      }
    }
    expect(faults).toEqual([]);
  });

  test('unicast to learned addresses: the same, exactly once', async () => {
    const macOf = (port: PortSetup) => `0400000000${hex(ports.indexOf(port) + 1, 2)}`;
    // Each port announces one address in every VLAN that it carries.
    const announcements = ports.flatMap((port) =>
      Object.values(frames).map((tags) => ({
        port,
        frame: frameOf('ffffffffffff', macOf(port), tags, (lastId += 1)),
      })),
    );
    await exchange(announcements);
    const cells: {
      ingress: PortSetup;
      egress: PortSetup;
      name: string;
      tags: Tag[];
      id: number;
      frame: string;
    }[] = [];
    for (const ingress of ports) {
      for (const egress of ports) {
        if (ingress === egress) continue;
        for (const [name, tags] of Object.entries(frames)) {
          const id = (lastId += 1);
          cells.push({
            ingress,
            egress,
            name,
            tags,
            id,
            frame: frameOf(macOf(egress), macOf(ingress), tags, id),
          });
        }
      }
    }
    const arrivals = await exchange(cells.map(({ ingress, frame }) => ({ port: ingress, frame })));
    const faults: string[] = [];
    for (const { ingress, egress, name, tags, id } of cells) {
      if (!kind.canForward(ingress, tags, egress)) continue;
      const wanted = forwardTags(ingress, tags, egress);
      const got = (arrivals.get(id) ?? []).filter(({ on }) => on === egress.name);
      const seen = got.length === 0 ? 'nothing' : got.map((arrival) => show(arrival.tags)).join(' and ');
      if (seen !== show(wanted))
        faults.push(`${ingress.name} → ${egress.name}, ${name}: ${seen}, not ${show(wanted)}`);
    }
    expect(faults).toEqual([]);
  });
});
