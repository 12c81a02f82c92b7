/** Statistics, drops, traces and events over the API; the datapath says what the test wants it to say. */
import { spawnSync } from 'node:child_process';
import { request } from 'node:http';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { encodeAs, Action, FlowStats } from 'node-openflow';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { addBridge, addPort } from '../../src/config/index.js';
import type { PortCounters } from '../../src/datapath/protocol.js';
import { Harness } from './harness.js';

let harness: Harness;
beforeEach(async () => {
  harness = await Harness.create();
  await harness.configuration.apply((database) => addBridge(database, { name: 'br0' }), 'test');
  await harness.configuration.apply((database) => addPort(database, 'br0', { name: 'p1' }), 'test');
});
afterEach(() => harness.close());

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const counters = (name: string, ofport: number, packets: number, drops = {}): PortCounters => ({
  ...{ name, ofport, rxPackets: packets, txPackets: 0, rxBytes: packets * 100, txBytes: 0 },
  ...{ rxDropped: 0, txDropped: 0, rxErrors: 0, txErrors: 0, drops },
});
const frame = `${'02'.repeat(12)}88b5${'00'.repeat(46)}`;

describe('statistics', () => {
  test('rates come with the second sample', async () => {
    const { answers } = harness.switches;
    answers.drops = { rule: 1 };
    answers['port.stats'] = [counters('br0', 0xfffffffe, 1), counters('p1', 1, 10)];
    const first = await harness.call('GET', '/v1/bridges/br0/statistics');
    expect(first).toMatchObject({
      status: 200,
      body: {
        windowS: null,
        total: { rx: { packets: 11, packetsPerS: null } },
        ports: [
          { port: 'p1', rx: { packets: 10, bytes: 1000 } },
          { port: 'br0', ofport: 65534 },
        ],
      },
    });
    answers['port.stats'] = [counters('br0', 0xfffffffe, 1), counters('p1', 1, 1010)];
    answers.drops = { rule: 5 };
    const second = await harness.sampler.window('br0');
    // The sample is younger than a second: taken again only after that.
    expect(second.spanS).toBeNull();
    await expect
      .poll(async () => (await harness.call('GET', '/v1/bridges/br0/ports/p1/statistics')).body, {
        timeout: 10_000,
      })
      .toMatchObject({ rx: { packets: 1010, packetsPerS: expect.any(Number) as number } });
    const all = await harness.call('GET', '/v1/statistics');
    expect(all.body).toMatchObject({
      bridges: [{ bridge: 'br0', total: { dropsPerS: expect.any(Number) as number } }],
    });
  });

  test('no datapath, no bridge, no port', async () => {
    harness.switches.connected = false;
    expect((await harness.call('GET', '/v1/bridges/br0/statistics')).status).toBe(409);
    expect((await harness.call('GET', '/v1/bridges/br9/statistics')).status).toBe(404);
    expect((await harness.call('GET', '/v1/bridges/br0/ports/p9/statistics')).status).toBe(404);
    expect((await harness.call('GET', '/v1/bridges/br0/drops')).status).toBe(409);
  });
});

test('drops by reason and port, with the last frame of each', async () => {
  const { answers } = harness.switches;
  answers.drops = { rule: 2, 'table-miss': 7, 'packet-in-queue-full': 1 };
  answers['port.stats'] = [counters('p1', 1, 9, { rule: 2, 'table-miss': 7 })];
  answers['drops.last'] = [{ port: 'p1', ofport: 1, reason: 'rule', frame, length: 1514, agoMs: 1500 }];
  const { body } = await harness.call('GET', '/v1/bridges/br0/drops');
  expect(body).toMatchObject({
    packets: 10,
    reasons: [{ reason: 'table-miss', packets: 7 }, { reason: 'rule' }, { reason: 'packet-in-queue-full' }],
    ports: [
      {
        port: 'p1',
        reasons: [
          { reason: 'table-miss', last: null },
          { reason: 'rule', last: { length: 1514, agoS: 1.5 } },
        ],
      },
    ],
  });
  expect(JSON.stringify(body)).toContain('dl_type=0x88b5');
});

describe('trace', () => {
  const answer = () => ({
    steps: [
      {
        kind: 'match' as const,
        depth: 0,
        tableId: 0,
        masks: 2,
        flow: hex(
          encodeAs(FlowStats, {
            tableId: 0,
            priority: 7,
            cookie: 5n,
            // A number too large for JSON's, as rules of the bridge program match on it.
            match: { in_port: 1, metadata: { value: 0x1000000n, mask: 0xffffff000000n } },
            instructions: [{ type: 'APPLY_ACTIONS', actions: [{ type: 'OUTPUT', port: 0xfffffffe }] }],
          }),
        ),
      },
      {
        kind: 'action' as const,
        depth: 1,
        action: hex(encodeAs(Action, { type: 'OUTPUT', port: 0xfffffffe })),
      },
      { kind: 'output' as const, depth: 1, portNo: 0xfffffffe },
    ],
    mask: ['in_port=0x1'],
    maskBits: 32,
    drop: null,
    cacheable: true,
    whyNot: 'meter that remarks',
    outputs: [{ portNo: 0xfffffffe, queueId: null, frame }],
    packetIns: [],
  });
  const trace = (body: object, headers = {}) => harness.call('POST', '/v1/bridges/br0/trace', body, headers);

  test('a frame in words, as fields, in hex', async () => {
    harness.switches.answers.trace = answer();
    for (const body of [
      { flow: 'in_port=p1,tcp,nw_dst=10.0.0.2,tp_dst=80' },
      { inPort: 'p1', match: { eth_type: 0x800, ip_proto: 6, ipv4_dst: '10.0.0.2', tcp_dst: 80 } },
      { inPort: 'p1', frame },
    ]) {
      expect(await trace(body)).toMatchObject({
        status: 200,
        body: {
          inPort: 'p1',
          verdict: 'leaves by br0',
          cost: { tables: 1, masks: 2, bits: 32, cacheable: true },
          fastPath: {
            offloaded: false,
            reason: 'meter that remarks',
            sentence: expect.stringContaining('meter') as string,
          },
          steps: [
            {
              kind: 'rule',
              rule: {
                text: expect.stringContaining('in_port=p1') as string,
                match: { in_port: 1, metadata: { value: '0x1000000', mask: '0xffffff000000' } },
              },
            },
            { action: 'LOCAL' },
            {},
          ],
        },
      });
    }
    const { text, headers } = await trace({ inPort: 'p1', frame }, { accept: 'text/plain' });
    expect(headers['content-type']).toMatch(/^text\/plain/);
    expect(text).toMatch(
      /table 0: priority=7,metadata=0x1000000\/0xffffff000000,in_port=p1 actions=LOCAL\n {4}LOCAL\n/,
    );
    expect(text).toMatch(/verdict: leaves by br0/);
    expect(text).toMatch(/frames like it: forwarded in user space \(meter that remarks\)/);
  });

  test('the last dropped', async () => {
    harness.switches.answers.trace = { ...answer(), outputs: [], drop: 'table-miss' };
    harness.switches.answers['drops.last'] = [
      { port: 'p1', ofport: 1, reason: 'rule', frame, length: 100, agoMs: 15 },
      { port: 'p1', ofport: 1, reason: 'table-miss', frame: `ff${frame.slice(2)}`, length: 60, agoMs: 25 },
    ];
    expect(await trace({ inPort: 'p1', lastDropped: true })).toMatchObject({
      status: 200,
      body: { frame: { length: 100 }, drop: { reason: 'table-miss' } },
    });
    expect(await trace({ inPort: 'p1', lastDropped: 'table-miss' })).toMatchObject({
      body: { frame: { length: 60 } },
    });
    expect((await trace({ inPort: 'p1', lastDropped: 'meter' })).status).toBe(404);
  });

  test.each([
    [{}, ''],
    [{ inPort: 'p1', flow: 'tcp', frame }, '/frame'],
    [{ frame }, '/inPort'],
    [{ inPort: 'p9', frame }, '/inPort'],
    [{ flow: 'tcp' }, '/flow'],
    [{ flow: 'in_port=p1,nonsense=4' }, '/flow'],
    [{ flow: 'in_port=p1,ip,nw_dst=10.0.0.0/8' }, '/flow'],
    [{ inPort: 'p1', match: { nonsense: 4 } }, '/match/nonsense'],
    [{ inPort: 'p1', match: { eth_dst: 4 } }, '/match'],
    [{ inPort: 'p1', match: { eth_type: 0x800, ipv4_dst: {} } }, '/match/ipv4_dst'],
    [{ inPort: 'p1', match: { eth_type: 0x800, ipv4_dst: 'x' } }, '/match/ipv4_dst'],
    [{ inPort: 'p1', frame: 'abc' }, '/frame'],
    [{ inPort: 'p1', frame, more: 1 }, '/more'],
  ])('refused: %j', async (body, path) => {
    harness.switches.answers.trace = answer();
    expect(await trace(body)).toMatchObject({
      status: 400,
      body: { errors: expect.arrayContaining([expect.objectContaining({ path })]) as unknown },
    });
  });
});

describe('events', () => {
  /** Reads a stream until `done` says so. */
  async function stream(path: string, headers: Record<string, string>, done: (text: string) => boolean) {
    await harness.app.listen({ host: '127.0.0.1', port: 0 });
    const { port } = harness.app.server.address() as AddressInfo;
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      request({ port, path, headers }, resolve).on('error', reject).end();
    });
    let text = '';
    response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    response.on('error', () => undefined);
    await expect.poll(() => done(text), { timeout: 10_000 }).toBe(true);
    return { response, text: () => text };
  }

  test('told, filtered, resumed, ended with the server', async () => {
    for (let n = 1; n <= 3; n++) harness.events.publish({ kind: 'learn', bridge: 'br0', data: { n } });
    const { response, text } = await stream(
      '/v1/events?bridge=br0&kind=learn,move',
      { 'last-event-id': 'test-2' },
      (t) => t.includes('"n":3'),
    );
    expect(response.headers['content-type']).toBe('text/event-stream');
    expect(text()).not.toContain('"n":2');
    harness.events.publish({ kind: 'move', bridge: 'br1', data: { n: 4 } });
    harness.events.publish({ kind: 'config', bridge: 'br0', data: { n: 5 } });
    harness.events.publish({ kind: 'move', bridge: 'br0', data: { n: 6 } });
    await expect.poll(text, { timeout: 10_000 }).toContain('id: test-6\nevent: move\ndata: {"kind":"move",');
    expect(text()).not.toMatch(/"n":[45]/);
    const ended = new Promise((resolve) => response.once('close', resolve));
    await harness.app.close();
    await ended;
  });

  test('a gap is told', async () => {
    for (let n = 1; n <= 20; n++) harness.events.publish({ kind: 'learn', bridge: 'br0', data: { n } });
    const { text } = await stream('/v1/events', { 'last-event-id': 'test-3' }, (t) => t.includes('"n":20'));
    expect(text()).toMatch(/event: gap\n/);
    expect(text()).toContain('"n":13');
    expect(text()).not.toContain('"n":12');
  });

  test('a client that does not read is let go', async () => {
    await harness.app.listen({ host: '127.0.0.1', port: 0 });
    const { port } = harness.app.server.address() as AddressInfo;
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      request({ port, path: '/v1/events' }, resolve).on('error', reject).end();
    });
    response.pause();
    const data = { text: 'x'.repeat(100_000) };
    await expect
      .poll(
        () => {
          for (let n = 0; n < 50; n++) harness.events.publish({ kind: 'learn', bridge: 'br0', data });
          return harness.events.listeners;
        },
        { timeout: 20_000 },
      )
      .toBe(0);
    response.destroy();
  });

  test('a filter that there is not', async () => {
    expect((await harness.call('GET', '/v1/events?kind=nonsense')).status).toBe(400);
  });
});

test('what is busy, as a stream: a problem is one before the stream begins', async () => {
  const { status, body } = await harness.call('GET', '/v1/bridges/br0/top/events');
  expect({ status, body }).toMatchObject({
    status: 409,
    body: { type: 'urn:weft:problem:switch-not-connected' },
  });
  expect((await harness.call('GET', '/v1/bridges/br0/top/events?limit=0')).status).toBe(400);
});

describe('metrics and readiness', () => {
  test('promtool accepts the metrics', async () => {
    const { answers } = harness.switches;
    answers.drops = { rule: 1 };
    answers['port.stats'] = [counters('p1', 1, 10, { rule: 1 })];
    const { status, text, headers } = await harness.call('GET', '/metrics');
    expect(status).toBe(200);
    expect(headers['content-type']).toMatch(/^text\/plain; version=0\.0\.4/);
    expect(text).toContain('weft_port_receive_packets_total{bridge="br0",port="p1"} 10\n');
    expect(text).toContain('weft_drops_total{bridge="br0",reason="rule"} 1\n');
    // Scraped again, counters are what they are, not sums of scrapes.
    expect((await harness.call('GET', '/metrics')).text).toContain('port="p1"} 10\n');
    const promtool = spawnSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8' });
    if (promtool.error) return;
    expect(promtool.stdout + promtool.stderr).toBe('');
    expect(promtool.status).toBe(0);
  });

  test('ready, or what is not', async () => {
    expect(await harness.call('GET', '/readyz')).toMatchObject({ status: 200, body: { ready: true } });
    harness.switches.connected = false;
    expect(await harness.call('GET', '/readyz')).toMatchObject({
      status: 503,
      body: {
        ready: false,
        database: { ready: true },
        datapath: { ready: false, why: 'not connected' },
        bridges: [{ bridge: 'br0', ready: false, why: 'not connected' }],
      },
    });
  });
});
