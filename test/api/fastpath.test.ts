/** The fast path over the API; the datapath says what the test wants it to say. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { addBridge, addPort } from '../../src/config/index.js';
import type { FastPathInfo } from '../../src/datapath/protocol.js';
import { Harness } from './harness.js';

let harness: Harness;
beforeEach(async () => {
  harness = await Harness.create();
  await harness.configuration.apply((database) => addBridge(database, { name: 'br0' }), 'test');
  await harness.configuration.apply((database) => addPort(database, 'br0', { name: 'p1' }), 'test');
  Object.assign(harness.switches.answers, { drops: {}, 'port.stats': [], 'fastpath.show': info(10) });
});
afterEach(() => harness.close());

const info = (hits: number): FastPathInfo => ({
  active: true,
  hooking: 'clsact',
  whyNot: null,
  flows: 3,
  masks: 2,
  limits: { flows: 65_536, masks: 48 },
  ports: 2,
  statistics: { misses: 7, punt_drops: 1 },
  refused: { 'packet-in': 4 },
  puntsLost: 0,
  puntShare: 120,
  puntsRefused: 9,
  bridges: [
    {
      ...{
        name: 'br0',
        flows: 4,
        kernelFlows: 3,
        masks: 2,
        hits: 5,
        kernelHits: hits,
        misses: 6,
        evictions: 0,
        turnedAway: 8,
      },
      refused: { 'packet-in': 1 },
      punts: [{ port: 'p1', ofport: 1, sent: 6, dropped: 1, waiting: 0 }],
    },
  ],
});

test('what the kernel has and what it does, with rates', async () => {
  const first = await harness.call('GET', '/v1/fastpath');
  expect(first).toMatchObject({
    status: 200,
    body: {
      active: true,
      whyNot: null,
      kernel: {
        flows: 3,
        limits: { masks: 48 },
        events: { misses: { packets: 7, perS: null } },
        firstPackets: { processorShare: 0.12, refused: { packets: 9, perS: null } },
      },
      bridges: [
        {
          bridge: 'br0',
          flows: { total: 4, kernel: 3 },
          hits: { kernel: { packets: 10, perS: null }, userSpace: { packets: 5 } },
          turnedAway: 8,
          notOffloaded: [{ reason: 'packet-in', flows: 1, sentence: expect.any(String) as string }],
          punts: [{ port: 'p1', sent: { packets: 6 }, dropped: { packets: 1 }, waiting: 0 }],
        },
      ],
    },
  });
  harness.switches.answers['fastpath.show'] = info(1010);
  await expect
    .poll(async () => (await harness.call('GET', '/v1/bridges/br0/fastpath')).body, { timeout: 10_000 })
    .toMatchObject({ hits: { kernel: { packets: 1010, perS: expect.any(Number) as number } } });
  const { text } = await harness.call('GET', '/metrics');
  for (const line of [
    'weft_fastpath_active 1',
    'weft_fastpath_events_total{event="punt_drops"} 1',
    'weft_fastpath_first_packets_processor_ratio 0.12',
    'weft_fastpath_first_packets_refused_total 9',
    'weft_megaflows{bridge="br0",by="kernel"} 3',
    'weft_megaflow_hits_total{bridge="br0",by="kernel"} 1010',
    'weft_megaflow_misses_total{bridge="br0"} 6',
    'weft_megaflows_turned_away_total{bridge="br0"} 8',
    'weft_megaflows_not_offloaded{bridge="br0",reason="packet-in"} 1',
    'weft_port_punt_drops_total{bridge="br0",port="p1"} 1',
  ])
    expect(text).toContain(`${line}\n`);
});

test.each<[what: string, told: FastPathInfo]>([
  ['all of a processor is no limit', { ...info(1), puntShare: 1000 }],
  ['an older datapath tells of no limit', withoutShare(info(1))],
])('%s', async (_what, told) => {
  harness.switches.answers['fastpath.show'] = told;
  expect((await harness.call('GET', '/v1/fastpath')).body).toMatchObject({
    kernel: { firstPackets: { processorShare: null } },
  });
});

function withoutShare({ puntShare: _share, puntsRefused: _refused, ...older }: FastPathInfo): FastPathInfo {
  return older;
}

test('why it is not the kernel', async () => {
  const whyNot = 'built without clang';
  harness.switches.answers['fastpath.show'] = { active: false, whyNot, bridges: [] };
  expect((await harness.call('GET', '/v1/fastpath')).body).toMatchObject({
    active: false,
    whyNot,
    kernel: null,
  });
});

test('megaflows', async () => {
  harness.switches.answers['fastpath.flows'] = [
    {
      ...{ match: ['in_port=0x1', 'eth_dst=0x20000000001'], actions: ['pop_vlan', 'output:1'], drop: null },
      ...{ packets: 3, bytes: 300, usedMsAgo: 1500, inKernel: true, whyNot: null },
    },
    {
      ...{ match: [], actions: [], drop: 'rule', packets: 0, bytes: 0, usedMsAgo: 2, inKernel: false },
      whyNot: 'a word of tomorrow',
    },
  ];
  const { status, body } = await harness.call('GET', '/v1/bridges/br0/fastpath/flows?port=p1&offloaded=true');
  expect({ status, body }).toMatchObject({
    status: 200,
    body: {
      flows: [
        {
          match: 'in_port=p1,dl_dst=02:00:00:00:00:01',
          actions: 'pop_vlan,output:p1',
          usedS: 1.5,
          offloaded: true,
          notOffloaded: null,
        },
        { match: '', drop: 'rule', usedS: null, notOffloaded: { reason: 'a word of tomorrow' } },
      ],
    },
  });
  expect((await harness.call('GET', '/v1/bridges/br0/fastpath/flows?port=p9')).status).toBe(400);
  expect((await harness.call('GET', '/v1/bridges/br0/fastpath/flows?limit=0')).status).toBe(400);
  expect((await harness.call('GET', '/v1/bridges/br9/fastpath/flows')).status).toBe(404);
});

test('nobody to ask', async () => {
  harness.switches.connected = false;
  expect((await harness.call('GET', '/v1/fastpath')).status).toBe(409);
  expect((await harness.call('GET', '/v1/bridges/br0/fastpath')).status).toBe(409);
});
