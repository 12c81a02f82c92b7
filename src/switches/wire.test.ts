import { encode, type MessageInput, type MessageTemplate } from 'node-openflow';
import { expect, it } from 'vitest';
import { newBridge, newPort, parseDpid, type Dpid } from '../domain/index.js';
import { bridgeProgram } from '../programs/index.js';
import { messageOf, sendCommand } from './wire.js';
import { ProgramRunner } from './runner.js';

/** A frame of that station in VLAN 10, as `vlan_in` hands it on. */
const frame = (station: number) =>
  Buffer.from(`ffffffffffff0200000000${station.toString(16).padStart(2, '0')}8100000a88b5`, 'hex');

it('says the same of learned addresses by templates as one by one, also when their ageing time changes', () => {
  const bridge = (macAgeingTimeS: number) => ({
    ...newBridge({ name: 'br0', datapathId: parseDpid('1') as Dpid }),
    macAgeingTimeS,
    ports: [1, 2].map((ofport) =>
      newPort({
        name: `p${ofport}`,
        vlanMode: 'access',
        tag: 10,
        interfaces: [{ name: `p${ofport}`, ofport }],
      } as never),
    ),
  });
  const runner = new ProgramRunner(bridge(300), {
    programs: [bridgeProgram],
    settings: {},
    nowMs: 0,
  });
  const tableId = runner.pipeline.tableId(bridgeProgram, 'eth_src') ?? 0;
  const plain: Buffer[] = [];
  const sent: Buffer[] = [];
  let copies = 0;
  const connection = {
    send: (message: MessageInput) => sent.push(encode(message)),
    sendLike: (template: MessageTemplate, value: never) => {
      copies++;
      return sent.push(template.encode(value));
    },
  };
  for (const [at, ageingS] of [300, 60, 300].entries()) {
    for (const { consequence } of runner.reconfigure(bridge(ageingS), at)) void consequence;
    for (const station of [1, 2, 3])
      for (const inPort of [1, 2]) {
        const event = { inPort, match: { in_port: inPort }, data: frame(16 * at + 4 * inPort + station) };
        for (const command of runner.packetIn(tableId, event, at).commands) {
          plain.push(encode(messageOf(command)));
          sendCommand(connection, command);
        }
      }
  }
  expect(plain).toHaveLength(3 * 3 * 2 * 2);
  expect(sent).toEqual(plain);
  expect(copies).toBe(plain.length);
  expect(new Set(plain.map((bytes) => bytes.toString('hex'))).size).toBe(plain.length);
});
