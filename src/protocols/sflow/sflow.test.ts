import { expect, test } from 'vitest';
import { SflowAgent, counters, type FlowSample } from './index.js';

const bootMs = 1_700_000_000_000;
const agentOf = (agentAddress = Uint8Array.of(192, 0, 2, 9)) =>
  new SflowAgent({ agentAddress, subAgentId: 1, bootMs });
const header = Uint8Array.from({ length: 18 }, (_, i) => i);
const sample: FlowSample = {
  inputIfIndex: 3,
  outputIfIndexes: [4],
  header,
  frameLength: 60,
  sourceVlan: 10,
  sourcePriority: 5,
  destinationVlan: 20,
  destinationPriority: 6,
  samplingRate: 100,
  samplePool: 12_345,
  drops: 2,
};
const hex = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString('hex');
const wordAt = (bytes: Uint8Array | undefined, word: number) =>
  Buffer.from(bytes ?? []).readUInt32BE(word * 4);

test('a flow sample, word for word', () => {
  const [datagram] = agentOf().datagrams([sample], [], bootMs + 5000);
  const words = [
    ...['00000005', '00000001', 'c0000209', '00000001', '00000001', '00001388', '00000001'], // version 5, IPv4, agent, sub-agent, sequence, uptime, 1 sample
    ...['00000001', '00000064'], // flow_sample, its length
    ...['00000001', '00000003', '00000064', '00003039', '00000002', '00000003', '00000004'], // sequence, source, rate, pool, drops, in, out
    '00000002', // records
    ...['00000001', '00000024'], // raw header: Ethernet, 64 bytes with the FCS, 4 stripped, 18 kept and padded
    ...['00000001', '00000040', '00000004', '00000012', hex(header), '0000'],
    ...['000003e9', '00000010', '0000000a', '00000005', '00000014', '00000006'], // extended switch
  ];
  expect(hex(datagram)).toBe(words.join(''));
});

test('where a frame leaves: nowhere, by one port, by several', () => {
  const outputs = [[], [7], [7, 8, 9]].map((outputIfIndexes) => {
    const [datagram] = agentOf().datagrams([{ ...sample, outputIfIndexes }], [], bootMs);
    return wordAt(datagram, 15);
  });
  expect(outputs).toEqual([0x4000_0000, 7, 0x8000_0003]);
});

test('each source counts its own samples, the agent its datagrams; none is larger than its collector takes', () => {
  const agent = agentOf(Uint8Array.from({ length: 16 }, (_, i) => i));
  const flows = Array.from({ length: 40 }, (_, i) => ({ ...sample, inputIfIndex: 1 + (i % 2) }));
  const name = { ifIndex: 1, records: [counters.portName('tap0')] };
  const datagrams = agent.datagrams(flows, [name, name], bootMs);
  expect(datagrams.length).toBeGreaterThan(3);
  expect(Math.max(...datagrams.map(({ length }) => length))).toBeLessThanOrEqual(1400);
  expect(datagrams.map((it) => wordAt(it, 7))).toEqual(datagrams.map((_, i) => i + 1));
  const [next] = agent.datagrams([sample], [name], bootMs);
  // Behind version, address type, address (4), sub-agent, sequence, uptime, count: type, length, sequence.
  expect(wordAt(next, 12)).toBe(1);
  const [last] = agent.datagrams([{ ...sample, inputIfIndex: 1 }], [], bootMs);
  expect(wordAt(last, 12)).toBe(21);
});

test('nothing to say: nothing is sent', () => {
  expect(agentOf().datagrams([], [], bootMs)).toEqual([]);
});
